#include "lib_campaign.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

static void add_profiles(struct campaign *c, const char *names)
{
	char *copy = mem_printf("%s", names), *save = NULL;
	size_t n = 0;
	for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		c->profiles[n] = profile_find(name);
		ck_assert_ptr_nonnull(c->profiles[n]);
		n++;
	}
	free(copy);
	c->options.profiles = n ? c->profiles : NULL;
}

void campaign_init(struct campaign *c, const char *spec, const char *profiles)
{
	*c = (struct campaign){0};
	snprintf(c->db, sizeof c->db, "/tmp/test-campaign-XXXXXX");
	int fd = mkstemp(c->db);
	ck_assert_int_ge(fd, 0);
	close(fd);
	c->targets[0].spec = spec;
	add_profiles(c, profiles);
	c->options.targets = c->targets;
	c->options.command = "test";
	c->options.workload.ops = 40;
	c->options.states_max = 3000;
}

void campaign_go(struct campaign *c)
{
	struct err err;
	ck_assert_msg(store_create(c->db, &c->store, &err) == 0, "%s", err.text);
	int rc = campaign_run(&c->options, c->store, &c->result, &err);
	ck_assert_msg(rc == 0, "%s: %s", c->targets[0].spec, err.text);
}

void campaign_end(struct campaign *c)
{
	store_close(c->store);
	unlink(c->db);
}

char *campaign_everything(struct campaign *c)
{
	struct buf out = {0};
	struct err err;
	struct store_query *q = NULL;
	struct target_row t;
	struct coverage_row v;
	struct finding_row f;
	struct outcome_row o;
	while (store_next_target(c->store, &q, c->result.id, &t, &err) == 1)
		buf_printf(&out, "%s %s %u\n", t.name, t.workload, t.micros);
	while (store_next_coverage(c->store, &q, 1, &v, &err) == 1)
		buf_printf(&out, "%s %lu %d %lu %lu %lu %lu %lu %u %lu %lu %lu\n", v.profile,
			   v.possible, v.exact, v.tested, v.merged, v.left_out, v.violations,
			   v.inconclusive, v.loss, v.recoverable, v.again, v.nested);
	while (store_next_finding(c->store, &q, c->result.id, &f, &err) == 1)
		buf_printf(&out, "%s %s %s %s %s %lu\n", f.fingerprint, f.title, f.cause, f.minimal,
			   f.state, f.states);
	while (store_next_outcome(c->store, &q, 1, NULL, &o, &err) == 1)
		buf_printf(&out, "%s %s %u %ld %s\n", o.state, o.verdict, o.rules, (long)o.prefix,
			   o.text);
	buf_text(&out);
	return out.data;
}

bool campaign_finding(struct campaign *c, uint32_t rule, struct finding_row *found)
{
	struct store_query *q = NULL;
	struct finding_row row;
	struct err err;
	bool any = false;
	while (store_next_finding(c->store, &q, c->result.id, &row, &err) == 1)
		if (row.rules >> rule & 1 && !any) {
			any = true;
			*found = row;
			found->fingerprint = mem_printf("%s", row.fingerprint);
			found->title = mem_printf("%s", row.title);
			found->cause = mem_printf("%s", row.cause);
			found->source = mem_printf("%s", row.source);
			found->before = mem_printf("%s", row.before);
			found->after = mem_printf("%s", row.after);
			found->minimal = mem_printf("%s", row.minimal);
			found->state = mem_printf("%s", row.state);
			found->explanation = mem_printf("%s", row.explanation);
		}
	return any;
}

void finding_free(struct finding_row *f)
{
	const char *texts[] = {f->fingerprint, f->title,   f->cause, f->source,	    f->before,
			       f->after,       f->minimal, f->state, f->explanation};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free((void *)(uintptr_t)texts[i]);
}

void campaign_assert_same(const char *a, const char *b)
{
	while (*a && *b) {
		size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
		ck_assert_msg(n == m && memcmp(a, b, n) == 0, "\"%.*s\" is not \"%.*s\"",
			      n < 300 ? (int)n : 300, a, m < 300 ? (int)m : 300, b);
		a += n + (a[n] == '\n');
		b += m + (b[m] == '\n');
	}
	ck_assert_msg(*a == *b, "one has more lines: %.300s", *a ? a : b);
}
