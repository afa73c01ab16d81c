/* Exploring what real file systems leave.
 *
 * R1  A tree fails where the recovery on the mounted file system fails, twice.
 * R2  What it lost is said by the model: a state of it that shows the same tree, at the
 *     latest moment at which the tree can be found.  The file system's own profile is asked
 *     first, and then posix, which leaves most open.
 * R3  From there on it is a failing state like any other: it is made minimal by recoveries of
 *     the model's images, and has the cause, fingerprint and ID that it would have had without
 *     a real file system.
 * R4  Where the model has no such state, or its image does not break the same rule, there is no
 *     finding but an inconclusive state, whose text has both facts.
 *
 * Passing trees are counted, and have no rows among the outcomes: they have no ID. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admits.h"
#include "explore_private.h"
#include "mem.h"
#include "real.h"

enum { STATES_PROGRESS = 16 };

struct at_point {
	uint32_t tested, violations;
};

struct explore_real {
	struct explore *x;
	const struct explore_real_options *o;
	const struct profile *own, *other;
	struct model *model;	 /* somewhere */
	struct at_point *points; /* [n_steps + 1] */
	struct real_totals totals;
};

/* A state of the model that shows a tree. */
struct mapped {
	enum admitted admitted;
	const struct profile *profile;
	struct state state;
	struct buf held;
	struct buf why; /* where there is none */
};

/* ---- which state of the model it is ---- */

/* The model of a profile at a point with nothing decided. */
static struct model *model_at(struct explore_real *r, const struct profile *profile, uint32_t point)
{
	if (!r->model || model_profile(r->model) != profile || model_point(r->model) > point) {
		model_destroy(r->model);
		r->model = model_create(r->x->s->ops, profile);
	}
	while (model_point(r->model) < point && model_advance(r->model))
		continue;
	return r->model;
}

/* The last crash point of the moment whose first one is given: a call in flight may have done
 * any part of what it does. */
static uint32_t last_point(const struct explore_real *r, const struct real_state *s)
{
	const struct ops *ops = r->x->s->ops;
	uint32_t point = s->point;
	if (!moment_in_flight(s->to))
		return point;
	while (point < ops->n_steps && ops->steps[point].event == moment_events(s->to))
		point++;
	return point;
}

static void ask(struct explore_real *r, const struct profile *profile, const struct real_state *s,
		struct mapped *m)
{
	uint32_t last = last_point(r, s);
	for (uint32_t point = s->point; point <= last; point++) {
		struct model *model = model_at(r, profile, point);
		buf_clear(&m->held);
		enum admitted a = model_admits(model, s->seen, 0, &m->state, &m->held);
		if (a == ADMITTED_NO)
			continue;
		m->admitted = a;
		m->profile = profile;
		if (a == ADMITTED_YES)
			return;
	}
	/* Of the last point, since there most is possible. */
	if (m->admitted == ADMITTED_NO && profile == r->own)
		model_admits_not(model_at(r, profile, last), s->seen, &m->why);
}

static void map(struct explore_real *r, const struct real_state *s, struct mapped *m)
{
	*m = (struct mapped){.admitted = ADMITTED_NO};
	ask(r, r->own, s, m);
	if (m->admitted != ADMITTED_YES && r->other != r->own)
		ask(r, r->other, s, m);
}

static void mapped_finish(struct mapped *m)
{
	buf_finish(&m->held);
	buf_finish(&m->why);
}

/* ---- causes ---- */

/* The step that brought a failure that needs no loss, and the point after it: from there on,
 * all states in which nothing is lost break that rule.  NONE: it was there before the first. */
static int find_culprit(struct explore *x, uint32_t rule, struct state *whole, uint32_t *step)
{
	const struct ops *ops = x->s->ops;
	uint32_t number;
	for (*step = NONE; whole->point > 0; whole->point--) {
		struct state before = *whole;
		struct verdict verdict;
		before.point--;
		*step = whole->point - 1;
		/* Nothing is new between the two, for whoever recovers. */
		if (ops->steps[*step].kind != STEP_MICRO && ops->steps[*step].kind != STEP_END)
			continue;
		struct bounds bounds = points_bounds(x->s, before.point, true);
		int rc = explore_recover(x, &before, &bounds, &number);
		if (rc)
			return rc;
		explore_judge(x, number, &bounds, &verdict);
		if (!(verdict.broken & RULE_BIT(rule)))
			return ERR_OK;
	}
	*step = NONE;
	return ERR_OK;
}

/* What is told of where it was seen, before all else. */
static void put_sighting(const struct explore_real *r, const struct real_state *s,
			 const struct mapped *m, struct buf *out)
{
	const struct experiment *e = s->experiment;
	buf_printf(out, "Seen on a real file system, %s (", r->o->fs->name);
	file_system_describe(r->o->fs, out);
	buf_printf(out, "), with the timing %s: the disk ", s->timing->name);
	block_state_print(&e->states, &e->states.list[s->block_state], out);
	buf_printf(out, ".\n");
	if (m->profile != r->own)
		buf_printf(out,
			   "The profile %s has no such state: run powercut fidelity.  What follows "
			   "is in terms of %s.\n",
			   r->own->name, m->profile->name);
}

static struct cause *new_cause(struct explore_real *r, const struct mapped *m, uint32_t rule)
{
	struct explore *x = r->x;
	struct buf held = {0}, why = {0};
	struct bounds bounds = points_bounds(x->s, m->state.point, true);
	struct explore_probing probing = {x, &bounds, rule};
	struct state minimal = m->state;
	struct cause *cause = NULL;
	uint32_t number, culprit = NONE;
	int rc = ERR_OK;
	if (!state_is_whole(&minimal))
		causes_minimise(model_at(r, m->profile, minimal.point), &m->state, explore_probe,
				&probing, &minimal, &held);
	if (state_is_whole(&minimal))
		rc = find_culprit(x, rule, &minimal, &culprit);
	bounds = points_bounds(x->s, minimal.point, true);
	if (!rc)
		rc = explore_recover(x, &minimal, &bounds, &number);
	if (!rc) {
		jury_explain(&x->s->jury, x->results[number], &bounds, (enum rule)rule, &why);
		cause = causes_add(x->causes, model_at(r, m->profile, minimal.point), rule,
				   &minimal, culprit, buf_text(&why));
	}
	buf_finish(&held);
	buf_finish(&why);
	return cause;
}

/* The first time that a cause is met. */
static void tell_sighting(struct explore_real *r, const struct real_state *s,
			  const struct mapped *m, struct cause *cause)
{
	struct buf text = {0};
	put_sighting(r, s, m, &text);
	buf_string(&text, cause->explanation);
	free(cause->explanation);
	cause->explanation = mem_dup(text.data, text.len);
	buf_finish(&text);
}

static bool attribute(struct explore_real *r, const struct real_state *s, const struct mapped *m,
		      uint32_t rule)
{
	struct explore *x = r->x;
	struct cause *cause = state_is_whole(&m->state) ? NULL : causes_known(x->causes, rule, &m->state);
	if (!cause)
		cause = new_cause(r, m, rule);
	if (!cause)
		return false;
	if (!cause->states++) {
		cause->found_after = x->looked_before + s->mounted;
		tell_sighting(r, s, m, cause);
	}
	cause->rules |= s->verdict.broken;
	cause->profiles |= CAUSE_ON(r->o->fs - file_system_table);
	return true;
}

/* ---- rows ---- */

/* One that failed or is unsure.  id: of the model's state; NULL: there is none. */
static void add_outcome(struct explore_real *r, const struct real_state *s, const char *id,
			const char *verdict, const char *text)
{
	struct explore *x = r->x;
	char *place = mem_printf("block state %u on %s with the timing %s", s->block_state,
				 r->o->fs->name, s->timing->name);
	struct outcome_row row = {
		.target = x->s->id,
		.profile = x->label,
		.state = id ? id : place,
		.point = s->point,
		.digest_lo = s->seen->digest.lo,
		.digest_hi = s->seen->digest.hi,
		.verdict = verdict,
		.rules = *verdict == 'f' ? s->verdict.broken : 0,
		.begun = s->bounds.begun,
		.acked = s->bounds.acked,
		.durable = s->bounds.durable,
		.prefix = s->verdict.has_prefix ? (int64_t)s->verdict.prefix : -1,
		.loss = s->verdict.loss,
		.text = text,
	};
	if (!x->rc && x->s->store)
		x->rc = store_add_outcome(x->s->store, &row, x->err);
	free(place);
}

static void inconclusive(struct explore_real *r, const struct real_state *s, const char *id,
			 const char *text)
{
	r->x->row->inconclusive++;
	add_outcome(r, s, id, "inconclusive", text);
}

static void put_why(const struct explore_real *r, const struct real_state *s, struct buf *out)
{
	jury_explain(&r->x->s->jury, s->recovery, &s->bounds, first_rule(s->verdict.broken), out);
}

/* ---- judging ---- */

static void not_mapped(struct explore_real *r, const struct real_state *s, struct mapped *m)
{
	struct buf text = {0};
	const struct experiment *e = s->experiment;
	if (m->admitted == ADMITTED_UNKNOWN) {
		buf_printf(
			&text,
			"it fails on %s, and the search for the state of the model was given up: ",
			r->o->fs->name);
	} else {
		buf_printf(&text,
			   "%s shows a state that the model has not: run powercut fidelity. %s; "
			   "the disk ",
			   r->o->fs->name, buf_text(&m->why));
		block_state_print(&e->states, &e->states.list[s->block_state], &text);
		buf_string(&text, ". It fails there: ");
	}
	put_why(r, s, &text);
	inconclusive(r, s, NULL, buf_text(&text));
	buf_finish(&text);
}

/* It failed where it was mounted, and its image of the model does not break the same. */
static void disagree(struct explore_real *r, const struct real_state *s, uint32_t number,
		     const struct bounds *bounds, const struct verdict *verdict, const char *id)
{
	const struct recovery *image = r->x->results[number];
	struct buf text = {0};
	buf_printf(&text, "it fails on the mounted %s (", r->o->fs->name);
	put_why(r, s, &text);
	buf_string(&text, "), but the same tree as plain files ");
	if (recovery_unsure(image) || verdict->broken) {
		buf_string(&text, recovery_unsure(image) ? "cannot be judged (" : "differently (");
		jury_explain(&r->x->s->jury, image, bounds, first_rule(verdict->broken), &text);
		buf_string(&text, ")");
	} else {
		buf_string(&text, "recovers well");
	}
	inconclusive(r, s, id, buf_text(&text));
	buf_finish(&text);
}

static void judge_mapped(struct explore_real *r, const struct real_state *s, struct mapped *m)
{
	struct explore *x = r->x;
	struct bounds bounds = points_bounds(x->s, m->state.point, true);
	struct verdict verdict;
	struct buf id = {0}, why = {0};
	uint32_t number;
	state_public_id(x->s, model_at(r, m->profile, m->state.point), &m->state, &id);
	if (explore_recover(x, &m->state, &bounds, &number) == ERR_OK) {
		explore_judge(x, number, &bounds, &verdict);
		uint32_t both = verdict.broken & s->verdict.broken;
		if (!both || recovery_unsure(x->results[number])) {
			disagree(r, s, number, &bounds, &verdict, buf_text(&id));
		} else if (attribute(r, s, m, first_rule(both))) {
			x->row->violations++;
			r->points[s->point].violations++;
			put_why(r, s, &why);
			add_outcome(r, s, buf_text(&id), "fail", buf_text(&why));
		}
	}
	buf_finish(&id);
	buf_finish(&why);
}

static void judge_failure(struct explore_real *r, const struct real_state *s)
{
	struct mapped m;
	map(r, s, &m);
	if (m.admitted == ADMITTED_YES)
		judge_mapped(r, s, &m);
	else
		not_mapped(r, s, &m);
	mapped_finish(&m);
}

static void judge_unsure(struct explore_real *r, const struct real_state *s)
{
	struct buf text = {0};
	if (!recovery_unsure(s->recovery))
		buf_string(&text, "it failed, and did not when it was recovered again: ");
	put_why(r, s, &text);
	inconclusive(r, s, NULL, buf_text(&text));
	buf_finish(&text);
}

static int visit(void *arg, const struct real_state *s, struct err *err)
{
	struct explore_real *r = arg;
	struct explore *x = r->x;
	(void)err;
	r->points[s->point].tested++;
	explore_count_window(x, ops_fault_before(x->s->ops, s->point), 1);
	for (uint32_t i = 0; i < FAULTS_MAX && s->fresh; i++)
		x->past[i] += s->recovery->conduct.passed[i / 64] >> (i % 64) & 1;
	if (s->unsure)
		judge_unsure(r, s);
	else if (s->verdict.broken)
		judge_failure(r, s);
	if (!s->unsure && s->verdict.loss > x->row->loss)
		x->row->loss = s->verdict.loss;
	return x->rc ? x->rc : x->abandoned;
}

/* ---- the whole ---- */

static void show_progress(void *arg, uint64_t mounted, uint64_t recoveries)
{
	struct explore_real *r = arg;
	r->x->looked = mounted;
	r->x->row->recovered = recoveries;
	if (mounted % STATES_PROGRESS == 0)
		explore_report(r->x);
}

static void add_points(struct explore_real *r)
{
	struct explore *x = r->x;
	const struct ops *ops = x->s->ops;
	for (uint32_t i = 0; i <= ops->n_steps && !x->rc; i++) {
		uint32_t at = ops_point_named(ops, i);
		struct point_row row = {
			.target = x->s->id,
			.profile = x->label,
			.point = i,
			.event = i ? ops->steps[i - 1].event : 0,
			.before = ops_fault_before(ops, at),
			.after = ops_fault_after(ops, at),
			.possible = r->points[i].tested,
			.tested = r->points[i].tested,
			.violations = r->points[i].violations,
		};
		if (!row.tested)
			continue;
		x->row->points++;
		if (x->s->store)
			x->rc = store_add_point(x->s->store, &row, x->err);
	}
}

static void add_up(struct explore_real *r)
{
	struct coverage_row *row = r->x->row;
	const struct real_totals *t = &r->totals;
	uint64_t seen = t->mounted;
	row->tested = t->trees;
	row->merged = seen > t->trees ? seen - t->trees : 0;
	row->possible = t->possible > seen ? t->possible : seen;
	row->left_out = row->possible - row->tested - row->merged;
	row->recovered = t->recoveries;
	row->inconclusive += t->unmountable;
	r->x->looked = seen;
	r->x->cut = r->x->cut || t->cut;
}

/* Where states could not be mounted, no outcome says so. */
static void note_refusal(const struct explore_real *r, struct buf *why)
{
	if (r->totals.unmountable)
		buf_printf(why, "%s: %u states could not be mounted or read, the first: %s",
			   r->x->label, r->totals.unmountable, r->totals.refusal);
}

/* What fails here concerns this target and this file system: a call that cannot be made there, a
 * disk that is too small.  Others are tried. */
static bool is_of_target(int rc)
{
	return rc == ERR_IO || rc == ERR_FULL || rc == ERR_CORRUPT || rc == ERR_TARGET;
}

int explore_real(struct explore *x, const struct explore_real_options *options,
		 struct coverage_row *row, struct buf *why, bool *cut, struct err *err)
{
	struct explore_real r = {.x = x,
				 .o = options,
				 .own = profile_find(options->fs->name),
				 .other = profile_find("posix")};
	struct real_options real = {.lab = options->lab,
				    .fs = options->fs,
				    .states_max = options->states_max,
				    .seed = x->s->seed,
				    .jobs = options->jobs,
				    .limits = options->limits,
				    .deadline_ns = x->options->deadline_ns,
				    .stop = x->options->stop,
				    .progress = show_progress,
				    .progress_arg = &r};
	snprintf(x->on_label, sizeof x->on_label, "on:%s", options->fs->name);
	explore_begin(x, r.own, x->on_label, row, err);
	x->possible = options->states_max;
	r.points = mem_alloc((size_t)x->s->ops->n_steps + 1, sizeof *r.points);
	int rc = real_run(x->s, options->job, &real, visit, &r, &r.totals, err);
	if (rc && !x->rc && is_of_target(rc)) {
		buf_printf(why, "%s: %s", x->label, err->text);
		row->inconclusive++;
	} else if (rc && !x->rc) {
		x->rc = rc;
	}
	if (!rc)
		note_refusal(&r, why);
	add_up(&r);
	add_points(&r);
	explore_report(x);
	free(r.points);
	model_destroy(r.model);
	return explore_done(x, cut);
}
