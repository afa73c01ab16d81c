#include "status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* A longer name has a line of its own: no line is wider than 80 columns then. */
enum { REFRESH_NS = 100000000, TARGET_COLUMNS = 24 };

void status_init(struct status *s, bool off)
{
	const char *term = getenv("TERM");
	bool dumb = !term || !*term || strcmp(term, "dumb") == 0;
	*s = (struct status){.off = off, .terminal = !dumb && isatty(STDERR_FILENO)};
	s->start_ns = s->finding_ns = clock_ns();
}

static double seconds(uint64_t from, uint64_t to)
{
	return (double)(to - from) / 1e9;
}

static void erase(struct status *s)
{
	for (; s->lines; s->lines--)
		fputs("\033[A\033[2K", stderr);
}

static void draw(struct status *s, const struct explore_progress *p, uint64_t now)
{
	double elapsed = seconds(s->start_ns, now);
	uint64_t states = s->states + p->states, recoveries = s->recoveries + p->recoveries;
	double share = p->possible ? 100.0 * (double)p->states / (double)p->possible : 100.0;
	erase(s);
	/* No wrapping: more lines than are erased again would result from it. */
	fprintf(stderr, "\033[?7l  target    %s\n", p->target);
	fprintf(stderr, "  profile   %s, %.3g %% of its states\n", p->profile,
		share > 100 ? 100 : share);
	fprintf(stderr,
		"  time      %.1f s   states %" PRIu64 " (%.0f/s)   recoveries %" PRIu64
		" (%.0f/s)\n",
		elapsed, states, elapsed > 0 ? (double)states / elapsed : 0, recoveries,
		elapsed > 0 ? (double)recoveries / elapsed : 0);
	if (p->findings)
		fprintf(stderr, "  findings  %u in this target, last new one %.1f s ago\n",
			p->findings, seconds(s->finding_ns, now));
	else
		fprintf(stderr, "  findings  none in this target\n");
	fputs("\033[?7h", stderr);
	s->lines = 4;
	fflush(stderr);
}

/* One profile is done: a line that stays, where there is no screen. */
static void next_profile(struct status *s, const struct explore_progress *p)
{
	if (s->profile[0] && !s->terminal)
		fprintf(stderr, "%s%s%s: %" PRIu64 " state%s, %" PRIu64 " recover%s, %.1f s\n",
			s->target, strlen(s->target) > TARGET_COLUMNS ? "\n    " : "  ", s->profile,
			s->last_states, s->last_states == 1 ? "" : "s", s->last_recoveries,
			s->last_recoveries == 1 ? "y" : "ies", seconds(s->start_ns, clock_ns()));
	s->states += s->last_states;
	s->recoveries += s->last_recoveries;
	s->last_states = s->last_recoveries = 0;
	if (p) {
		snprintf(s->target, sizeof s->target, "%s", p->target);
		snprintf(s->profile, sizeof s->profile, "%s", p->profile);
	}
}

void status_show(void *arg, const struct explore_progress *p)
{
	struct status *s = arg;
	uint64_t now = clock_ns();
	if (s->off)
		return;
	if (strncmp(s->target, p->target, sizeof s->target - 1) != 0) {
		next_profile(s, p);
		s->findings = 0;
	} else if (strcmp(s->profile, p->profile) != 0) {
		next_profile(s, p);
	}
	s->last_states = p->states;
	s->last_recoveries = p->recoveries;
	if (p->findings > s->findings)
		s->finding_ns = now;
	s->findings = p->findings;
	if (s->terminal && now - s->shown_ns >= REFRESH_NS) {
		s->shown_ns = now;
		draw(s, p, now);
	}
}

void status_finish(struct status *s)
{
	if (s->off)
		return;
	if (s->terminal)
		erase(s);
	else
		next_profile(s, NULL);
	fflush(stderr);
}
