#include "explore_private.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "clock.h"
#include "mem.h"

enum {
	/* States waiting for their verdicts; beyond it, we wait for workers. */
	WAITING_MAX = 4096,
	/* Failing rows kept a profile; the rest is only counted. */
	FAILURES_KEPT = 2000,
	PROGRESS_EVERY = 64,
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

int explore_failed(struct explore *x, int rc)
{
	if (x->options->stop && *x->options->stop)
		x->cut = x->abandoned = true;
	else
		x->rc = rc;
	return rc;
}

/* Takes one result from the workers. */
static int collect(struct explore *x)
{
	struct recovery r;
	struct err err;
	int rc = pool_wait(x->s->pool, &r, &err);
	if (rc) {
		*x->err = err;
		return explore_failed(x, rc);
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

/* What tells recoveries apart: the files, and where recoveries are told, how much
 * had been acknowledged. */
static struct digest digest_of(const struct explore *x, const struct bounds *bounds)
{
	struct digest d = image_digest(x->image);
	if (x->s->jury.tells_acked) {
		struct digest mixed = {
			XXH3_64bits_withSeed(&d, sizeof d, bounds->acked),
			XXH3_64bits_withSeed(&d, sizeof d, ~(uint64_t)bounds->acked)};
		d = mixed;
	}
	return d;
}

/* ---- verdicts ---- */

void explore_judge(struct explore *x, uint32_t number, const struct bounds *bounds,
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

int explore_recover(struct explore *x, const struct state *state, const struct bounds *bounds,
		    uint32_t *number)
{
	bool is_new;
	struct recovery r;
	image_goto(x->image, state);
	struct digest digest = digest_of(x, bounds);
	uint32_t known = images_meet(&x->images, digest, &is_new)->result;
	if (known == RESULT_PENDING) {
		int rc = x->abandoned ? ERR_TARGET : pool_run(x->s->pool, state, &r, x->err);
		if (rc)
			return explore_failed(x, rc);
		known = add_result(x, &r);
		images_meet(&x->images, digest, &is_new)->result = known;
	}
	*number = known;
	return ERR_OK;
}

bool explore_probe(void *arg, const struct state *state)
{
	struct explore_probing *p = arg;
	struct verdict verdict;
	uint32_t number;
	if (explore_recover(p->x, state, p->bounds, &number))
		return false;
	explore_judge(p->x, number, p->bounds, &verdict);
	return first_rule(verdict.broken) == p->rule;
}

/* Brings the model that judges to the point of a state. */
static void catch_up(struct explore *x, uint32_t point)
{
	while (model_point(x->behind) < point)
		model_advance(x->behind);
}

/* The step that brought a failure that needs no loss: the newest micro-op, or
 * the acknowledgement; NONE before the first step. */
static uint32_t culprit_step(const struct explore *x, const struct point *p)
{
	if (p->newest != NONE)
		return x->s->ops->micros[p->newest].step;
	return p->point ? p->point - 1 : NONE;
}

/* Whether the whole state failed before this point, and nothing at it can have
 * brought another failure: the rule is one that was broken, or it is a point
 * without a micro-op of its own. */
static bool goes_on(const struct explore *x, const struct point *p, uint32_t rule)
{
	return x->whole_cause && (x->whole_cause->rules & RULE_BIT(rule) || p->newest == NONE);
}

/* Keeps track of whether the whole state fails, from point to point. */
static void follow_whole(struct explore *x, const struct waiting *w, const struct verdict *verdict)
{
	if (!verdict->broken)
		x->whole_cause = NULL;
	else if (goes_on(x, &x->points.list[w->at], first_rule(verdict->broken)))
		x->whole_at = w->at;
}

/* Whether a state fails again when it is recovered again.  What comes and goes is
 * the recovery's own doing, or the machine's, and proves nothing of the disk. */
static bool fails_again(struct explore *x, const struct waiting *w, uint32_t rule)
{
	struct recovery r;
	struct verdict verdict;
	while (pool_busy(x->s->pool) && !collect(x))
		continue;
	if (x->rc || x->abandoned)
		return true; /* nothing is said of it */
	int rc = pool_run(x->s->pool, &w->state, &r, x->err);
	if (rc) {
		explore_failed(x, rc);
		return true;
	}
	jury_judge(&x->s->jury, &r, &x->points.list[w->at].bounds, &verdict);
	return verdict.broken & RULE_BIT(rule);
}

static struct cause *new_cause(struct explore *x, const struct waiting *w, uint32_t rule,
			       const struct recovery *r)
{
	struct buf held = {0}, why = {0};
	struct state minimal = w->state;
	const struct point *p = &x->points.list[w->at];
	struct explore_probing probing = {x, &p->bounds, rule};
	struct cause *cause;
	while (pool_busy(x->s->pool) && !collect(x))
		continue;
	if (!w->whole)
		causes_minimise(x->behind, &w->state, explore_probe, &probing, &minimal, &held);
	bool whole = state_is_whole(&minimal);
	if (whole && goes_on(x, p, rule)) {
		cause = x->whole_cause; /* the same failure goes on */
	} else {
		uint32_t number;
		/* The minimal state's own contents are the ones to explain. */
		if (explore_recover(x, &minimal, &p->bounds, &number) == ERR_OK)
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

/* Counts a failure to its cause.  False where it does not fail again. */
static bool attribute(struct explore *x, const struct waiting *w, const struct verdict *verdict,
		      const struct recovery *r)
{
	uint32_t rule = first_rule(verdict->broken);
	struct cause *cause;
	bool whole_fails = x->whole_cause && x->whole_at == w->at &&
			   (w->whole || x->whole_cause->rules & RULE_BIT(rule));
	cause = whole_fails ? x->whole_cause
		: w->whole  ? NULL
			    : causes_known(x->causes, rule, &w->state);
	if (!cause && !fails_again(x, w, rule))
		return false;
	if (!cause)
		cause = new_cause(x, w, rule, r);
	if (!cause->states++)
		cause->found_after = w->looked;
	cause->rules |= verdict->broken;
	cause->profiles |= 1u << (x->profile - profile_table);
	return true;
}

static void add_outcome(struct explore *x, const struct waiting *w, const struct recovery *r,
			const struct verdict *verdict, bool reproduced)
{
	const struct bounds *b = &x->points.list[w->at].bounds;
	struct buf id = {0}, why = {0};
	if (!x->s->store)
		return;
	bool unsure = recovery_unsure(r) || !reproduced;
	state_public_id(x->s, x->behind, &w->state, &id);
	if (!reproduced)
		buf_string(&why, "it failed, and did not when it was recovered again: ");
	if (verdict->broken || unsure)
		jury_explain(&x->s->jury, r, b, first_rule(verdict->broken), &why);
	struct outcome_row row = {
		.target = x->s->id,
		.profile = x->label,
		.state = buf_text(&id),
		.point = w->state.point,
		.digest_lo = w->digest.lo,
		.digest_hi = w->digest.hi,
		.verdict = unsure	     ? "inconclusive"
			   : verdict->broken ? "fail"
					     : "pass",
		.rules = unsure ? 0 : verdict->broken,
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
	explore_judge(x, number, &p->bounds, &verdict);
	bool bad = verdict.broken || recovery_unsure(r);
	bool counts = bad && count_failure(x, w, &p->bounds);
	if (verdict.loss > x->row->loss)
		x->row->loss = verdict.loss;
	catch_up(x, w->state.point);
	if (w->whole && !recovery_unsure(r))
		follow_whole(x, w, &verdict);
	bool reproduced = !counts || !verdict.broken || attribute(x, w, &verdict, r);
	if (counts && verdict.broken && reproduced) {
		x->row->violations++;
		p->violations++;
	}
	if (counts && (recovery_unsure(r) || !reproduced))
		x->row->inconclusive++;
	if (w->first && !bad && x->options->nest) {
		x->row->recoverable++;
		again_consider(x->again, &w->state, r->conduct.path, verdict.loss);
	}
	bool keep = counts && x->failures++ < FAILURES_KEPT;
	if (keep || (w->first && !bad && !x->options->no_outcomes))
		add_outcome(x, w, r, &verdict, reproduced);
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

void explore_report(struct explore *x)
{
	struct explore_progress progress = {
		.target = x->s->name,
		.profile = x->label,
		.states = x->looked,
		.possible = x->possible,
		.recoveries = x->row->recovered,
		.findings = (uint32_t)causes_count(x->causes),
	};
	if (x->options->progress)
		x->options->progress(x->options->progress_arg, &progress);
}

bool explore_must_stop(struct explore *x)
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
	explore_judge(x, number, bounds, &verdict);
	if (verdict.broken)
		return false;
	if (verdict.loss > x->row->loss)
		x->row->loss = verdict.loss;
	return true;
}

static void enqueue(struct explore *x, const struct state *state, struct digest digest, uint32_t at,
		    bool first, bool is_new)
{
	while (x->tail - x->head == WAITING_MAX && !x->rc && !x->abandoned) {
		if (collect(x) == ERR_OK)
			judge_ready(x);
	}
	if (x->rc || x->abandoned)
		return;
	struct waiting *w = &x->queue[x->tail % WAITING_MAX];
	*w = (struct waiting){*state, digest,	       at,
			      first,  state_is_whole(state), x->looked_before + x->looked};
	w->state.held = state->n_held ? (const struct held *)(const void *)mem_dup(
						state->held, state->n_held * sizeof *state->held)
				      : NULL;
	while (is_new && !pool_submit(x->s->pool, &w->state, x->tail) && !x->rc && !x->abandoned)
		collect(x);
	x->tail++;
	judge_ready(x);
}

static void consider(struct explore *x, const struct state *state, uint32_t at)
{
	struct point *p = &x->points.list[at];
	bool is_new;
	image_goto(x->image, state);
	struct digest digest = digest_of(x, &p->bounds);
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
	if (!first && x->head == x->tail && passes_already(x, met->result, &p->bounds)) {
		if (state_is_whole(state))
			x->whole_cause = NULL;
		return;
	}
	enqueue(x, state, digest, at, first, is_new);
}

/* Looks at one point; limit is the most states to take. */
static void explore_point(struct explore *x, uint32_t at, uint64_t limit)
{
	struct point *p = &x->points.list[at];
	struct state state;
	bool all = p->chosen.exact && p->chosen.states <= limit;
	uint64_t seed = x->s->seed ^ ((uint64_t)p->point << 20);
	struct chooser *c = chooser_create(x->model,
					   all		      ? CHOOSE_EXHAUSTIVE
					   : x->points.sparse ? CHOOSE_SPARSE
							      : CHOOSE_LADDER,
					   p->keep, limit, seed);
	while (!explore_must_stop(x) && chooser_next(c, &state)) {
		consider(x, &state, at);
		if (x->looked % PROGRESS_EVERY == 0)
			explore_report(x);
	}
	chooser_destroy(c);
	/* What lacks the micro-op to keep was possible at the point before. */
	bool before = p->keep == NONE || p->possible.states == p->chosen.states ||
		      (at > 0 && x->points.list[at - 1].complete);
	p->complete = all && before && !x->cut && !x->rc;
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

void explore_begin(struct explore *x, const struct profile *profile, const char *label,
		   struct coverage_row *row, struct err *err)
{
	*row = (struct coverage_row){.target = x->s->id, .profile = label};
	x->profile = profile;
	x->label = label;
	x->row = row;
	x->err = err;
	x->rc = ERR_OK;
	x->cut = false;
	x->head = x->tail = 0;
	x->looked_before += x->looked;
	x->looked = x->possible = x->failures = 0;
	x->whole_cause = NULL;
	x->again = again_create(x->s->ops, x->options->nest ? x->options->nest->runs_max : 1);
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
	explore_again(x);
	if (!x->rc)
		explore_add_rows(x);
	return explore_done(x, cut);
}

int explore_done(struct explore *x, bool *cut)
{
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

static bool stop_planning(void *arg)
{
	return explore_must_stop(arg);
}

int explore_profile(struct explore *x, const struct profile *profile, struct coverage_row *row,
		    bool *cut, struct err *err)
{
	explore_begin(x, profile, profile->name, row, err);
	points_plan(&x->points, x->s, profile, stop_planning, x);
	x->possible = points_total(&x->points);
	uint64_t level = points_share(&x->points, x->options->states_max);
	for (size_t i = 0; i < x->points.n && !explore_must_stop(x); i++) {
		while (model_point(x->model) < x->points.list[i].point)
			model_advance(x->model);
		if (!x->points.list[i].skipped)
			explore_point(x, (uint32_t)i, level);
	}
	explore_report(x);
	return end_profile(x, cut);
}

int explore_end(struct explore *x, const struct profile *profile, struct coverage_row *row,
		bool *cut, struct err *err)
{
	explore_begin(x, profile, profile->name, row, err);
	points_end(&x->points, x->s, profile);
	x->possible = points_total(&x->points);
	while (model_advance(x->model))
		continue;
	explore_point(x, 0, points_share(&x->points, x->options->states_max));
	return end_profile(x, cut);
}
