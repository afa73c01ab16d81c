#include "explore_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "mem.h"

enum {
	/* One recovery in so many is crashed in turn where one crash is too much. */
	RUNS_SPARED = 4,
	RUNS_LOT = 4,	  /* nested runs between two looks at how they went */
	RUNS_BAD_MAX = 4, /* of them that went wrong by themselves: enough */
};

/* The known cause of what a nested run found.  Where what it lost is enough for a
 * failure after one crash, that is the cause. */
static struct cause *nested_cause(struct explore *x, const struct nest_found *found)
{
	struct cause *cause = causes_explaining(x->causes, found->sites, found->n_sites);
	return cause ? cause : causes_find(x->causes, found->key);
}

/* Asks for all that a nested run found, and keeps the cause with that key. */
static void learn(struct explore *x, const struct again_state *a, uint64_t key_hash)
{
	struct nest_order order = {x->profile, a->whole, true};
	struct trace_row row;
	struct recovery r;
	struct buf bytes = {0};
	if (!pool_errand(x->s->pool, &a->state, nest_order_encode(&order), 0))
		return;
	int rc = pool_wait(x->s->pool, &r, x->err);
	if (rc) {
		explore_failed(x, rc);
		return;
	}
	const struct nest_answer *answer = r.answer;
	if (!answer->file[0])
		return;
	x->rc = nest_read(answer->file, key_hash, x->causes, &row, &bytes, x->err);
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
	struct cause *cause =
		causes_add_use(x->causes, x->profile, answer->broken, &a->state, answer->text);
	count_cause(x, cause, 1, RULE_BIT(answer->broken));
	x->row->violations++;
}

/* Why a nested run could not be concluded from, as an outcome of its state. */
static void note_unsure(struct explore *x, const struct again_state *a, const char *why)
{
	struct buf id = {0};
	x->row->inconclusive++;
	state_public_id_alone(x->s, x->profile, &a->state, &id);
	struct outcome_row row = {.target = x->s->id,
				  .profile = x->profile->name,
				  .state = buf_text(&id),
				  .point = a->state.point,
				  .verdict = "inconclusive",
				  .prefix = -1,
				  .text = why};
	if (x->s->store && !x->rc)
		x->rc = store_add_outcome(x->s->store, &row, x->err);
	buf_finish(&id);
}

static void take_answer(struct explore *x, const struct again_state *a,
			const struct nest_answer *answer)
{
	x->row->again++;
	x->row->nested += answer->tested;
	x->row->nested_left_out += answer->left_out;
	x->row->violations += answer->violations;
	x->row->inconclusive += answer->inconclusive;
	const struct engine_fault_point *p =
		x->options->nest->session->engine->target->engine->fault_points;
	for (uint32_t i = 0; p && p[i].name && i < FAULTS_MAX; i++) {
		x->past[i] += answer->passed[i / 64] >> (i % 64) & 1;
		if (answer->crashes[i])
			explore_count_window(x, p[i].name, answer->crashes[i]);
	}
	if (answer->broken)
		session_broke(x, a, answer);
	for (uint32_t i = 0; i < answer->n_found && !x->rc; i++) {
		const struct nest_found *found = &answer->found[i];
		if (!nested_cause(x, found))
			learn(x, a, found->key);
		struct cause *cause = nested_cause(x, found);
		if (cause)
			count_cause(x, cause, found->states, found->rules);
		else
			note_unsure(x, a,
				    "a second crash lost something, but not when it was tried "
				    "once more");
	}
	if (answer->unsure[0])
		note_unsure(x, a, answer->unsure);
}

/* Hands out runs list[*next] to list[end - 1]; the answers come in any order. */
static void run_some(struct explore *x, struct again_state *list, size_t *next, size_t end,
		     struct nest_answer *answers)
{
	for (size_t done = *next; done < end && !x->rc; done++) {
		struct recovery r;
		while (*next < end && !explore_must_stop(x)) {
			struct nest_order order = {x->profile, list[*next].whole, false};
			uint64_t code = nest_order_encode(&order);
			if (!pool_errand(x->s->pool, &list[*next].state, code, *next))
				break;
			++*next;
		}
		if (!pool_busy(x->s->pool))
			return;
		int rc = pool_wait(x->s->pool, &r, x->err);
		if (rc) {
			explore_failed(x, rc);
			return;
		}
		if (r.end == RECOVERY_OK)
			answers[r.tag] = *(const struct nest_answer *)r.answer;
		else
			snprintf(answers[r.tag].unsure, sizeof answers->unsure, "%.250s", r.text);
		list[r.tag].done = true;
		explore_report(x);
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

void explore_again(struct explore *x)
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
	}
	free(answers);
}
