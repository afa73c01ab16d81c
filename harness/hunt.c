#include "hunt.h"

#include <stdlib.h>
#include <string.h>

#include "points.h"
#include "seen.h"

enum { STATES_MAX = 1000 };

/* Broken by closing and opening again, or by using what was recovered: here that is not done. */
static const uint32_t of_sessions = RULE_BIT(RULE_O9) | RULE_BIT(RULE_O12);

/* What is under way. */
struct chase {
	const struct hunt *hunt;
	struct hunt_result *result;
	struct digest wanted; /* of the tree of the finding's state */
};

int hunt_check(uint32_t rules, struct err *err)
{
	if (rules & ~of_sessions)
		return ERR_OK;
	return err_set(err, ERR_UNSUPPORTED,
		       "%s is broken by using the store after its recovery, and on real file "
		       "systems stores are only opened and read",
		       rule_name(first_rule(rules)));
}

/* ---- how much is done before the crash ---- */

static bool is_mark(const struct event *e)
{
	switch (e->kind) {
	case EVENT_FAULT:
	case EVENT_OP_BEGIN:
	case EVENT_OP_END:
	case EVENT_NOTE:
	case EVENT_ACK:
		return true;
	default:
		return false;
	}
}

/* The events up to the crash, the call in flight among them, and the marks behind it: what is
 * acknowledged there asks no more of the disk, and more of what it has. */
static uint32_t events_to(const struct rebuilt *c)
{
	const struct ops *ops = c->s.ops;
	const struct trace *trace = c->s.trace;
	uint32_t point = c->state.point;
	uint32_t n = point ? ops->steps[point - 1].event + 1 : 0;
	if (n < c->s.first_event)
		n = c->s.first_event;
	while (n < trace->n_events && is_mark(&trace->events[n]))
		n++;
	return n ? n : 1;
}

static struct digest tree_of(const struct rebuilt *c)
{
	struct image *image = image_create(c->s.ops);
	struct buf tree = {0};
	image_goto(image, &c->state);
	seen_image(image, false, &tree);
	struct digest digest = ((const struct seen *)(const void *)tree.data)->digest;
	buf_finish(&tree);
	image_destroy(image);
	return digest;
}

/* ---- what is seen ---- */

static bool is_wanted(const struct chase *chase, const struct seen *seen)
{
	return seen->digest.lo == chase->wanted.lo && seen->digest.hi == chase->wanted.hi;
}

/* "event 12, rename tmp" */
static void put_event(const struct trace *trace, uint32_t event, struct buf *out)
{
	const struct event *e = &trace->events[event];
	char *path = e->ino && !*e->name ? trace_path(trace, e->ino, event) : NULL;
	const char *what = path ? path : e->name;
	buf_printf(out, "event %u, %s%s%s", event, event_kind_name(e->kind), *what ? " " : "",
		   what);
	free(path);
}

/* "a crash while event 12, rename tmp, was in flight" */
static void put_moment(const struct trace *trace, uint32_t moment, struct buf *out)
{
	uint32_t e = moment_events(moment);
	if (moment_in_flight(moment) && e < trace->n_events) {
		buf_string(out, "a crash during ");
		put_event(trace, e, out);
		return;
	}
	/* People know calls, and what was acknowledged, better than fault points. */
	while (e && (trace->events[e - 1].kind == EVENT_FAULT ||
		     trace->events[e - 1].kind == EVENT_NOTE))
		e--;
	buf_string(out, e ? "a crash after " : "a crash before the first event");
	if (e)
		put_event(trace, e - 1, out);
}

/* Whether it is more telling than what was seen before: another tree of which recovery says
 * the very words of the finding is next to the finding's own. */
static bool better(const struct hunt_result *r, enum hunt_outcome outcome, bool same_words)
{
	return outcome > r->outcome || (outcome == r->outcome && same_words && !r->same_words);
}

static bool enough(const struct chase *chase)
{
	enum hunt_outcome seen = chase->result->outcome;
	return seen == HUNT_WITNESSED || (seen == HUNT_SAME_RULE && chase->hunt->any);
}

static int look(void *arg, const struct real_state *s, struct err *err)
{
	struct chase *chase = arg;
	struct hunt_result *r = chase->result;
	const struct subject *subject = &chase->hunt->subject->s;
	enum rule rule = first_rule(s->verdict.broken & chase->hunt->rules);
	enum hunt_outcome outcome = is_wanted(chase, s->seen) ? HUNT_WITNESSED : HUNT_SAME_RULE;
	struct buf why = {0};
	(void)err;
	if (s->unsure || !rule)
		return 0;
	jury_explain(&subject->jury, s->recovery, &s->bounds, rule, &why);
	bool same_words = strcmp(buf_text(&why), chase->hunt->title) == 0;
	if (better(r, outcome, same_words)) {
		const struct block_states *states = &s->experiment->states;
		r->outcome = outcome;
		r->same_words = same_words;
		r->timing = s->timing;
		buf_clear(&r->blocks);
		buf_clear(&r->text);
		block_state_print(states, &states->list[s->block_state], &r->blocks);
		put_moment(subject->trace, s->to, &r->text);
		buf_printf(&r->text, "; breaks %s (%s): %s", rule_name(rule), rule_promise(rule),
			   buf_text(&why));
	}
	buf_finish(&why);
	return enough(chase);
}

/* ---- the whole ---- */

static int run_half(struct chase *chase, const struct real_options *options, struct err *err)
{
	const struct hunt *h = chase->hunt;
	struct hunt_result *r = chase->result;
	struct real_totals t = {0};
	if (options->states_max == 0 || r->cut || enough(chase))
		return ERR_OK;
	int rc = real_run(&h->subject->s, &h->subject->recover_job, options, look, chase, &t, err);
	r->states += t.mounted;
	if (t.timings > r->variants)
		r->variants = t.timings;
	r->cut = t.cut;
	if (t.mounted && r->outcome == HUNT_NOT_TRIED)
		r->outcome = HUNT_NOT_SEEN;
	if (!rc && !t.cut && !r->states) {
		buf_clear(&r->text);
		buf_printf(&r->text, "%s",
			   *t.refusal ? t.refusal : "no crash image could be mounted");
	}
	if (!rc && t.mounted && t.unmountable && r->outcome == HUNT_NOT_SEEN)
		buf_printf(&r->text, "%s%u more could not be mounted: %s", r->text.len ? "; " : "",
			   t.unmountable, t.refusal);
	return rc;
}

int hunt_run(const struct hunt *hunt, struct hunt_result *result, struct err *err)
{
	const struct rebuilt *c = hunt->subject;
	struct chase chase = {hunt, result, tree_of(c)};
	struct real_options o = hunt->real;
	uint32_t all = o.states_max ? o.states_max : STATES_MAX;
	uint32_t n_events = events_to(c);
	bool whole = n_events >= c->s.trace->n_events;
	*result = (struct hunt_result){0};
	/* What can only be found before a nested run began is no crash of it. */
	o.from_moment = 2 * c->s.first_event;
	o.n_events = n_events;
	o.states_max = whole ? all : all - all / 2;
	int rc = run_half(&chase, &o, err);
	o.n_events = 0;
	o.states_max = whole ? 0 : all / 2;
	o.seed++;
	return rc ? rc : run_half(&chase, &o, err);
}

void hunt_finish(struct hunt_result *result)
{
	buf_finish(&result->blocks);
	buf_finish(&result->text);
	*result = (struct hunt_result){0};
}
