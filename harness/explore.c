#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "clock.h"
#include "again.h"
#include "images.h"
#include "mem.h"
#include "points.h"

enum {
	/* States waiting for their verdicts; beyond it, we wait for workers. */
	WAITING_MAX = 4096,
	/* Failing rows kept a profile; the rest is only counted. */
	FAILURES_KEPT = 2000,
	PROGRESS_EVERY = 64,
	/* One recovery in so many is crashed in turn where one crash is too much. */
	RUNS_SPARED = 4,
	RUNS_LOT = 4,	  /* nested runs between two looks at how they went */
	RUNS_BAD_MAX = 4, /* of them that went wrong by themselves: enough */
};

struct result_key {
	UT_hash_handle hh;
	uint64_t hash;
	uint32_t number;
};

/* A verdict reached already: this result at this place in the history. */
struct judged_key {
	uint32_t result;
	struct bounds bounds;
};

struct judged {
	UT_hash_handle hh;
	struct judged_key key;
	struct verdict verdict;
};

/* A failing pair of image and history counts once a profile. */
struct failed_key {
	struct digest digest;
	struct bounds bounds;
	uint32_t profile;
};

struct failed {
	UT_hash_handle hh;
	struct failed_key key;
};

/* A state that waits for its verdict. */
struct waiting {
	struct state state; /* held is a copy of its own */
	struct digest digest;
	uint32_t at;	 /* index into points */
	bool first;	 /* first time its image is met under this profile */
	bool whole;	 /* nothing is held back or torn */
	uint64_t looked; /* states looked at when it came */
};

struct window {
	UT_hash_handle hh;
	const char *name;
	uint64_t states;
};

struct explore {
	const struct subject *s;
	const struct explore_options *options;
	struct causes *causes;
	struct images images;
	/* What recoveries showed, equal ones once; pointers, so that they stay put. */
	struct recovery **results;
	size_t n_results, results_cap;
	struct result_key *known_results;
	struct judged *judged;
	struct failed *failed;
	struct window *windows;
	uint64_t past[FAULTS_MAX]; /* recoveries that passed each fault point */
	uint32_t n_profiles;	   /* explored so far: the next one's bit */
	struct image *image;

	/* Of the profile being explored: */
	const struct profile *profile;
	struct model *model;  /* at the point that is being chosen from */
	struct model *behind; /* at the point that is being judged */
	struct coverage_row *row;
	struct points points;
	struct waiting *queue; /* a ring */
	size_t head, tail;
	struct cause *whole_cause; /* of the last point at which the whole state failed */
	uint32_t whole_at;	   /* that point */
	struct again *again;	   /* states whose recoveries may be crashed in turn */
	uint64_t failures;
	uint64_t looked, possible;
	uint64_t looked_before; /* under the profiles before */
	bool cut;
	struct err *err;
	int rc;
};

/* ---- results ---- */

static uint64_t hash_result(const struct subject *s, const struct recovery *r)
{
	uint64_t h =
		XXH3_64bits_withSeed(r->text, strlen(r->text), (uint64_t)r->end * 2 + r->survivors);
	h = XXH3_64bits_withSeed(&r->conduct, sizeof r->conduct, h);
	if (r->contents)
		h = XXH3_64bits_withSeed(r->contents, contents_bytes(s->history), h);
	return h;
}

static uint32_t add_result(struct explore *x, const struct recovery *r)
{
	uint64_t hash = hash_result(x->s, r);
	struct result_key *key;
	HASH_FIND(hh, x->known_results, &hash, sizeof hash, key);
	if (key)
		return key->number;
	key = mem_alloc(1, sizeof *key);
	key->hash = hash;
	key->number = (uint32_t)x->n_results;
	HASH_ADD(hh, x->known_results, hash, sizeof hash, key);
	struct recovery *kept = mem_alloc(1, sizeof *kept);
	*kept = *r;
	if (r->contents)
		kept->contents = (const struct contents *)(void *)mem_dup(
			r->contents, contents_bytes(x->s->history));
	*MEM_PUSH(x->results, x->n_results, x->results_cap) = kept;
	return key->number;
}

/* Takes one result from the workers. */
static int collect(struct explore *x)
{
	struct recovery r;
	struct err err;
	int rc = pool_wait(x->s->pool, &r, &err);
	if (rc) {
		*x->err = err;
		x->rc = rc;
		return rc;
	}
	bool is_new;
	struct digest digest;
	/* The tag is the place of the state in the queue. */
	digest = x->queue[r.tag % WAITING_MAX].digest;
	images_meet(&x->images, digest, &is_new)->result = add_result(x, &r);
	x->row->recovered++;
	for (uint32_t i = 0; i < FAULTS_MAX; i++)
		x->past[i] += r.conduct.passed[i / 64] >> (i % 64) & 1;
	return ERR_OK;
}

/* ---- verdicts ---- */

static void judge_result(struct explore *x, uint32_t number, const struct bounds *bounds,
			 struct verdict *verdict)
{
	struct judged_key key = {number, *bounds};
	struct judged *j;
	HASH_FIND(hh, x->judged, &key, sizeof key, j);
	if (!j) {
		j = mem_alloc(1, sizeof *j);
		j->key = key;
		jury_judge(&x->s->jury, x->results[number], bounds, &j->verdict);
		HASH_ADD(hh, x->judged, key, sizeof key, j);
	}
	*verdict = j->verdict;
}

/* The result of a state's image, recovered now if it never was; nothing may be
 * under way. */
static int result_of(struct explore *x, const struct state *state, uint32_t *number)
{
	bool is_new;
	struct recovery r;
	image_goto(x->image, state);
	struct digest digest = image_digest(x->image);
	uint32_t known = images_meet(&x->images, digest, &is_new)->result;
	if (known == RESULT_PENDING) {
		int rc = pool_run(x->s->pool, state, &r, x->err);
		if (rc)
			return x->rc = rc;
		known = add_result(x, &r);
		images_meet(&x->images, digest, &is_new)->result = known;
	}
	*number = known;
	return ERR_OK;
}

struct probing {
	struct explore *x;
	const struct bounds *bounds;
	uint32_t rule;
};

static bool probe_fails(void *arg, const struct state *state)
{
	struct probing *p = arg;
	struct verdict verdict;
	uint32_t number;
	if (result_of(p->x, state, &number))
		return false;
	judge_result(p->x, number, p->bounds, &verdict);
	return first_rule(verdict.broken) == p->rule;
}

/* Brings the model that judges to the point of a state. */
static void catch_up(struct explore *x, uint32_t point)
{
	while (model_point(x->behind) < point)
		model_advance(x->behind);
}

/* The step that brought a failure that needs no loss: the newest micro-op, or
 * the acknowledgement. */
static uint32_t culprit_step(const struct explore *x, const struct point *p)
{
	return p->newest != NONE ? x->s->ops->micros[p->newest].step : p->point - 1;
}

static struct cause *new_cause(struct explore *x, const struct waiting *w, uint32_t rule,
			       const struct recovery *r)
{
	struct buf held = {0}, why = {0};
	struct state minimal = w->state;
	const struct point *p = &x->points.list[w->at];
	struct probing probing = {x, &p->bounds, rule};
	struct cause *cause;
	while (pool_busy(x->s->pool) && !collect(x))
		continue;
	if (!w->whole)
		causes_minimise(x->behind, &w->state, probe_fails, &probing, &minimal, &held);
	bool whole = minimal.n_held == 0 && minimal.tear.object == NONE;
	if (whole && x->whole_cause && x->whole_at + 1 == w->at && x->whole_cause->rule == rule) {
		cause = x->whole_cause; /* the same failure goes on */
	} else {
		uint32_t number;
		/* The minimal state's own contents are the ones to explain. */
		if (result_of(x, &minimal, &number) == ERR_OK)
			r = x->results[number];
		jury_explain(&x->s->jury, r, &p->bounds, (enum rule)rule, &why);
		cause = causes_add(x->causes, x->behind, rule, &minimal, culprit_step(x, p),
				   buf_text(&why));
	}
	if (whole) {
		x->whole_cause = cause;
		x->whole_at = w->at;
	}
	buf_finish(&held);
	buf_finish(&why);
	return cause;
}

static bool count_failure(struct explore *x, const struct waiting *w, const struct bounds *bounds)
{
	struct failed_key key = {w->digest, *bounds, x->n_profiles};
	struct failed *f;
	HASH_FIND(hh, x->failed, &key, sizeof key, f);
	if (f)
		return false;
	f = mem_alloc(1, sizeof *f);
	f->key = key;
	HASH_ADD(hh, x->failed, key, sizeof key, f);
	return true;
}

static void attribute(struct explore *x, const struct waiting *w, const struct verdict *verdict,
		      const struct recovery *r)
{
	uint32_t rule = first_rule(verdict->broken);
	struct cause *cause;
	bool whole_fails = x->whole_cause && x->whole_at == w->at && x->whole_cause->rule == rule;
	cause = whole_fails ? x->whole_cause
		: w->whole  ? NULL
			    : causes_known(x->causes, rule, &w->state);
	if (!cause)
		cause = new_cause(x, w, rule, r);
	if (!cause->states++)
		cause->found_after = w->looked;
	cause->rules |= verdict->broken;
	cause->profiles |= 1u << (x->profile - profile_table);
}

static void add_outcome(struct explore *x, const struct waiting *w, const struct recovery *r,
			const struct verdict *verdict)
{
	const struct bounds *b = &x->points.list[w->at].bounds;
	struct buf id = {0}, why = {0};
	if (!x->s->store)
		return;
	bool unsure = recovery_unsure(r);
	state_public_id(x->s, x->behind, &w->state, &id);
	if (verdict->broken || unsure)
		jury_explain(&x->s->jury, r, b, first_rule(verdict->broken), &why);
	struct outcome_row row = {
		.target = x->s->id,
		.profile = x->profile->name,
		.state = buf_text(&id),
		.point = w->state.point,
		.digest_lo = w->digest.lo,
		.digest_hi = w->digest.hi,
		.verdict = unsure	     ? "inconclusive"
			   : verdict->broken ? "fail"
					     : "pass",
		.rules = verdict->broken,
		.begun = b->begun,
		.acked = b->acked,
		.durable = b->durable,
		.prefix = verdict->has_prefix ? (int64_t)verdict->prefix : -1,
		.loss = verdict->loss,
		.text = buf_text(&why),
	};
	if (!x->rc)
		x->rc = store_add_outcome(x->s->store, &row, x->err);
	buf_finish(&id);
	buf_finish(&why);
}

/* The verdict on the state at the head of the queue, whose result is known. */
static void judge_waiting(struct explore *x, struct waiting *w, uint32_t number)
{
	const struct recovery *r = x->results[number];
	struct point *p = &x->points.list[w->at];
	struct verdict verdict;
	judge_result(x, number, &p->bounds, &verdict);
	bool bad = verdict.broken || recovery_unsure(r);
	bool counts = bad && count_failure(x, w, &p->bounds);
	if (verdict.loss > x->row->loss)
		x->row->loss = verdict.loss;
	catch_up(x, w->state.point);
	if (counts && verdict.broken) {
		x->row->violations++;
		p->violations++;
		attribute(x, w, &verdict, r);
	}
	if (counts && recovery_unsure(r))
		x->row->inconclusive++;
	if (w->first && !bad && x->options->nest) {
		x->row->recoverable++;
		again_consider(x->again, &w->state, r->conduct.path);
	}
	bool keep = counts && x->failures++ < FAILURES_KEPT;
	if (keep || (w->first && !bad && !x->options->no_outcomes))
		add_outcome(x, w, r, &verdict);
}

static void judge_ready(struct explore *x)
{
	bool is_new;
	while (x->head != x->tail && !x->rc) {
		struct waiting *w = &x->queue[x->head % WAITING_MAX];
		uint32_t number = images_meet(&x->images, w->digest, &is_new)->result;
		if (number == RESULT_PENDING)
			return;
		judge_waiting(x, w, number);
		free((void *)(uintptr_t)w->state.held);
		x->head++;
	}
}

/* ---- choosing ---- */

static void report(struct explore *x)
{
	struct explore_progress progress = {
		.target = x->s->name,
		.profile = x->profile->name,
		.states = x->looked,
		.possible = x->possible,
		.recoveries = x->row->recovered,
		.findings = (uint32_t)causes_count(x->causes),
	};
	if (x->options->progress)
		x->options->progress(x->options->progress_arg, &progress);
}

static bool must_stop(struct explore *x)
{
	bool late = x->options->deadline_ns && x->looked % PROGRESS_EVERY == 0 &&
		    clock_ns() >= x->options->deadline_ns;
	if (late || (x->options->stop && *x->options->stop))
		x->cut = true;
	return x->cut || x->rc;
}

static bool passes_already(struct explore *x, uint32_t number, const struct bounds *bounds)
{
	struct verdict verdict;
	if (number == RESULT_PENDING || recovery_unsure(x->results[number]))
		return false;
	judge_result(x, number, bounds, &verdict);
	if (verdict.broken)
		return false;
	if (verdict.loss > x->row->loss)
		x->row->loss = verdict.loss;
	return true;
}

static void enqueue(struct explore *x, const struct state *state, struct digest digest, uint32_t at,
		    bool first, bool is_new)
{
	while (x->tail - x->head == WAITING_MAX && !x->rc) {
		if (collect(x) == ERR_OK)
			judge_ready(x);
	}
	if (x->rc)
		return;
	struct waiting *w = &x->queue[x->tail % WAITING_MAX];
	*w = (struct waiting){*state,
			      digest,
			      at,
			      first,
			      state->n_held == 0 && state->tear.object == NONE,
			      x->looked_before + x->looked};
	w->state.held = state->n_held ? (const struct held *)(const void *)mem_dup(
						state->held, state->n_held * sizeof *state->held)
				      : NULL;
	while (is_new && !pool_submit(x->s->pool, &w->state, x->tail) && !x->rc)
		collect(x);
	x->tail++;
	judge_ready(x);
}

static void consider(struct explore *x, const struct state *state, uint32_t at)
{
	struct point *p = &x->points.list[at];
	bool is_new;
	image_goto(x->image, state);
	struct digest digest = image_digest(x->image);
	struct met *met = images_meet(&x->images, digest, &is_new);
	uint16_t bit = (uint16_t)(1u << x->n_profiles);
	bool first = !(met->profiles & bit);
	met->profiles |= bit;
	if (first) {
		x->row->tested++;
		p->tested++;
	} else {
		x->row->merged++;
		p->merged++;
	}
	x->looked++;
	/* Most states are old friends that pass: nothing more to do. */
	if (!first && x->head == x->tail && passes_already(x, met->result, &p->bounds))
		return;
	enqueue(x, state, digest, at, first, is_new);
}

/* Looks at one point; limit is the most states to take. */
static void explore_point(struct explore *x, uint32_t at, uint64_t limit)
{
	struct point *p = &x->points.list[at];
	struct state state;
	bool all = p->chosen.exact && p->chosen.states <= limit;
	uint64_t seed = x->s->seed ^ ((uint64_t)p->point << 20);
	struct chooser *c = chooser_create(x->model, all ? CHOOSE_EXHAUSTIVE : CHOOSE_LADDER,
					   p->keep, limit, seed);
	while (!must_stop(x) && chooser_next(c, &state)) {
		consider(x, &state, at);
		if (x->looked % PROGRESS_EVERY == 0)
			report(x);
	}
	chooser_destroy(c);
	/* What lacks the micro-op to keep was possible at the point before. */
	bool before = p->keep == NONE || p->possible.states == p->chosen.states ||
		      (at > 0 && x->points.list[at - 1].complete);
	p->complete = all && before && !x->cut && !x->rc;
}

/* ---- rows ---- */

static void count_window(struct explore *x, const char *name, uint64_t states)
{
	struct window *w;
	HASH_FIND_STR(x->windows, name, w);
	if (!w) {
		w = mem_alloc(1, sizeof *w);
		w->name = name;
		HASH_ADD_KEYPTR(hh, x->windows, w->name, strlen(w->name), w);
	}
	w->states += states;
}

uint64_t explore_recoveries_past(const struct explore *x, uint32_t index)
{
	return index < FAULTS_MAX ? x->past[index] : 0;
}

uint64_t explore_crashes_after(const struct explore *x, const char *fault_point)
{
	struct window *w;
	HASH_FIND_STR(x->windows, fault_point, w);
	return w ? w->states : 0;
}

/* The states of a point are what a crash can leave from the fault point before it
 * on, and at every one that is passed until the next point: syncs in between
 * only take some away. */
static void count_crashes(struct explore *x, const struct point *p, uint32_t until)
{
	const struct ops *ops = x->s->ops;
	const struct event *events = x->s->trace->events;
	uint64_t states = p->tested + p->merged;
	if (!states)
		return;
	count_window(x, ops_fault_before(ops, p->point), states);
	for (uint32_t i = p->point; i < until; i++)
		if (ops->steps[i].kind == STEP_FAULT)
			count_window(x, events[ops->steps[i].event].name, states);
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void add_point_rows(struct explore *x)
{
	struct coverage_row *row = x->row;
	row->exact = true;
	for (size_t i = 0; i < x->points.n && !x->rc; i++) {
		struct point *p = &x->points.list[i];
		/* States without the micro-op to keep were looked at before it, where all
		 * were. */
		uint64_t old = p->possible.states - p->chosen.states;
		if (p->complete && p->keep != NONE) {
			p->merged += old;
			row->merged += old;
		}
		uint64_t seen = add_saturating(p->tested, p->merged);
		uint64_t possible = p->possible.states > seen ? p->possible.states : seen;
		uint32_t at = ops_point_named(x->s->ops, p->point);
		bool last = i + 1 == x->points.n;
		struct point_row r = {
			.target = x->s->id,
			.profile = x->profile->name,
			.point = p->point,
			.event = p->event,
			.before = ops_fault_before(x->s->ops, at),
			.after = ops_fault_after(x->s->ops, at),
			.possible = possible,
			.exact = p->possible.exact && p->chosen.exact,
			.tested = p->tested,
			.merged = p->merged,
			.left_out = possible - seen,
			.violations = p->violations,
		};
		if (p->tested + p->merged)
			row->points++;
		row->possible = add_saturating(row->possible, possible);
		row->exact = row->exact && r.exact && row->possible != UINT64_MAX;
		count_crashes(x, p, last ? x->s->ops->n_steps : x->points.list[i + 1].point);
		if (x->s->store && !p->skipped)
			x->rc = store_add_point(x->s->store, &r, x->err);
	}
	row->left_out = row->possible - add_saturating(row->tested, row->merged);
	if (row->possible == UINT64_MAX)
		row->exact = false;
}

/* ---- crashing recoveries in turn ---- */

/* The known cause of what a nested run found.  Where what it lost is enough for a
 * failure after one crash, that is the cause. */
static struct cause *nested_cause(struct explore *x, const struct nest_found *found)
{
	struct cause *cause = causes_explaining(x->causes, found->sites, found->n_sites);
	return cause ? cause : causes_find(x->causes, found->key);
}

/* Asks for all that a nested run found, and keeps it. */
static void learn(struct explore *x, const struct again_state *a)
{
	struct nest_order order = {x->profile, a->whole, true};
	struct trace_row row;
	struct recovery r;
	struct buf bytes = {0};
	if (!pool_errand(x->s->pool, &a->state, nest_order_encode(&order), 0))
		return;
	x->rc = pool_wait(x->s->pool, &r, x->err);
	const struct nest_answer *answer = r.answer;
	if (x->rc || !answer->file[0])
		return;
	x->rc = nest_read(answer->file, x->causes, &row, &bytes, x->err);
	if (!x->rc && x->s->store)
		x->rc = store_add_trace(x->s->store, &row, x->err);
	buf_finish(&bytes);
}

static void count_cause(struct explore *x, struct cause *cause, uint64_t states, uint32_t rules)
{
	if (!cause->states)
		cause->found_after = x->looked_before + x->looked;
	cause->states += states;
	cause->rules |= rules;
	cause->profiles |= 1u << (x->profile - profile_table);
}

/* What the session after a recovery broke, without a second crash. */
static void session_broke(struct explore *x, const struct again_state *a,
			  const struct nest_answer *answer)
{
	struct model *model = model_create(x->s->ops, x->profile);
	while (model_point(model) < a->state.point)
		model_advance(model);
	uint32_t step = a->state.point ? a->state.point - 1 : 0;
	struct cause *cause =
		causes_add(x->causes, model, answer->broken, &a->state, step, answer->text);
	count_cause(x, cause, 1, RULE_BIT(answer->broken));
	x->row->violations++;
	model_destroy(model);
}

static void take_answer(struct explore *x, const struct again_state *a,
			const struct nest_answer *answer)
{
	x->row->again++;
	x->row->nested += answer->tested;
	x->row->nested_left_out += answer->left_out;
	x->row->violations += answer->violations;
	x->row->inconclusive += answer->inconclusive + (answer->unsure[0] != 0);
	const struct engine_fault_point *p =
		x->options->nest->session->engine->target->engine->fault_points;
	for (uint32_t i = 0; p && p[i].name && i < FAULTS_MAX; i++) {
		x->past[i] += answer->passed[i / 64] >> (i % 64) & 1;
		if (answer->crashes[i])
			count_window(x, p[i].name, answer->crashes[i]);
	}
	if (answer->broken)
		session_broke(x, a, answer);
	for (uint32_t i = 0; i < answer->n_found && !x->rc; i++) {
		const struct nest_found *found = &answer->found[i];
		if (!nested_cause(x, found))
			learn(x, a);
		struct cause *cause = nested_cause(x, found);
		if (cause)
			count_cause(x, cause, found->states, found->rules);
	}
}

/* Why a nested run could not be concluded from, as an outcome of its state. */
static void note_unsure(struct explore *x, const struct again_state *a, const char *why)
{
	struct buf id = {0};
	struct model *model = model_create(x->s->ops, x->profile);
	while (model_point(model) < a->state.point)
		model_advance(model);
	state_public_id(x->s, model, &a->state, &id);
	struct outcome_row row = {.target = x->s->id,
				  .profile = x->profile->name,
				  .state = buf_text(&id),
				  .point = a->state.point,
				  .verdict = "inconclusive",
				  .prefix = -1,
				  .text = why};
	if (x->s->store && !x->rc)
		x->rc = store_add_outcome(x->s->store, &row, x->err);
	model_destroy(model);
	buf_finish(&id);
}

/* Hands out runs list[*next] to list[end - 1]; the answers come in any order. */
static void run_some(struct explore *x, struct again_state *list, size_t *next, size_t end,
		     struct nest_answer *answers)
{
	for (size_t done = *next; done < end && !x->rc; done++) {
		struct recovery r;
		while (*next < end && !must_stop(x)) {
			struct nest_order order = {x->profile, list[*next].whole, false};
			uint64_t code = nest_order_encode(&order);
			if (!pool_errand(x->s->pool, &list[*next].state, code, *next))
				break;
			++*next;
		}
		if (!pool_busy(x->s->pool))
			return;
		x->rc = pool_wait(x->s->pool, &r, x->err);
		if (x->rc)
			return;
		if (r.end == RECOVERY_OK)
			answers[r.tag] = *(const struct nest_answer *)r.answer;
		else
			snprintf(answers[r.tag].unsure, sizeof answers->unsure, "%.250s", r.text);
		list[r.tag].done = true;
		report(x);
	}
}

/* In lots, so that a store whose sessions already go wrong without a second crash
 * (they do not end, say) is soon left alone, and after the same runs each time. */
static void run_again(struct explore *x, struct again_state *list, size_t n,
		      struct nest_answer *answers)
{
	uint32_t enough = 0;
	for (size_t next = 0; next < n && enough < RUNS_BAD_MAX && !x->rc && !x->cut;) {
		size_t begin = next, end = n - next < RUNS_LOT ? n : next + RUNS_LOT;
		run_some(x, list, &next, end, answers);
		for (size_t i = begin; i < next; i++)
			enough += answers[i].unsure[0] || answers[i].broken;
	}
}

/* A store that does not survive one crash is not asked for long about two. */
static uint64_t runs_max(const struct explore *x)
{
	uint64_t max = x->options->nest->runs_max;
	return x->row->violations ? (max + RUNS_SPARED - 1) / RUNS_SPARED : max;
}

static void crash_again(struct explore *x)
{
	size_t n;
	if (!x->options->nest || x->cut || x->rc)
		return;
	struct again_state *list = again_choose(x->again, runs_max(x), &n);
	struct nest_answer *answers = mem_alloc(n, sizeof *answers);
	run_again(x, list, n, answers);
	for (size_t i = 0; i < n && !x->rc; i++) {
		if (!list[i].done)
			continue;
		take_answer(x, &list[i], &answers[i]);
		if (answers[i].unsure[0])
			note_unsure(x, &list[i], answers[i].unsure);
	}
	free(answers);
}

/* ---- the whole ---- */

struct explore *explore_create(const struct subject *subject, const struct explore_options *options)
{
	struct explore *x = mem_alloc(1, sizeof *x);
	x->s = subject;
	x->options = options;
	x->causes = causes_create(subject);
	x->image = image_create(subject->ops);
	x->queue = mem_alloc(WAITING_MAX, sizeof *x->queue);
	return x;
}

#define FREE_HASH(type, head)                                                                      \
	do {                                                                                       \
		struct type *e_, *next_;                                                           \
		HASH_ITER (hh, head, e_, next_) {                                                  \
			HASH_DEL(head, e_);                                                        \
			free(e_);                                                                  \
		}                                                                                  \
	} while (0)

void explore_destroy(struct explore *x)
{
	if (!x)
		return;
	FREE_HASH(result_key, x->known_results);
	FREE_HASH(judged, x->judged);
	FREE_HASH(failed, x->failed);
	FREE_HASH(window, x->windows);
	for (size_t i = 0; i < x->n_results; i++) {
		free((void *)(uintptr_t)x->results[i]->contents);
		free(x->results[i]);
	}
	free(x->results);
	images_finish(&x->images);
	image_destroy(x->image);
	causes_destroy(x->causes);
	points_finish(&x->points);
	free(x->queue);
	free(x);
}

uint64_t explore_looked(const struct explore *x)
{
	return x->looked_before + x->looked;
}

struct causes *explore_causes(struct explore *x)
{
	return x->causes;
}

static void begin_profile(struct explore *x, const struct profile *profile,
			  struct coverage_row *row, struct err *err)
{
	*row = (struct coverage_row){.target = x->s->id, .profile = profile->name};
	x->profile = profile;
	x->row = row;
	x->err = err;
	x->rc = ERR_OK;
	x->cut = false;
	x->head = x->tail = 0;
	x->looked_before += x->looked;
	x->looked = x->possible = x->failures = 0;
	x->whole_cause = NULL;
	x->again = again_create(x->s->ops);
	x->model = model_create(x->s->ops, profile);
	x->behind = model_create(x->s->ops, profile);
}

static int end_profile(struct explore *x, bool *cut)
{
	while (x->head != x->tail && !x->rc) {
		if (pool_busy(x->s->pool) && collect(x))
			break;
		judge_ready(x);
	}
	while (x->head != x->tail) {
		free((void *)(uintptr_t)x->queue[x->head % WAITING_MAX].state.held);
		x->head++;
	}
	crash_again(x);
	if (!x->rc)
		add_point_rows(x);
	if (!x->rc && x->s->store)
		x->rc = store_add_coverage(x->s->store, x->row, x->err);
	again_destroy(x->again);
	model_destroy(x->model);
	model_destroy(x->behind);
	x->model = x->behind = NULL;
	x->n_profiles++;
	*cut = x->cut;
	return x->rc;
}

int explore_profile(struct explore *x, const struct profile *profile, struct coverage_row *row,
		    bool *cut, struct err *err)
{
	begin_profile(x, profile, row, err);
	points_plan(&x->points, x->s, profile);
	x->possible = points_total(&x->points);
	uint64_t level = points_share(&x->points, x->options->states_max);
	for (size_t i = 0; i < x->points.n && !must_stop(x); i++) {
		while (model_point(x->model) < x->points.list[i].point)
			model_advance(x->model);
		if (!x->points.list[i].skipped)
			explore_point(x, (uint32_t)i, level);
	}
	report(x);
	return end_profile(x, cut);
}

int explore_end(struct explore *x, const struct profile *profile, struct coverage_row *row,
		bool *cut, struct err *err)
{
	begin_profile(x, profile, row, err);
	points_end(&x->points, x->s, profile);
	x->possible = points_total(&x->points);
	while (model_advance(x->model))
		continue;
	explore_point(x, 0, points_share(&x->points, x->options->states_max));
	return end_profile(x, cut);
}
