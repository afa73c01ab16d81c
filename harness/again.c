#include "again.h"

#include <stdlib.h>
#include <uthash.h>
#include <xxhash.h>

#include "mem.h"

/* So many times what may be chosen is kept: to choose from, in little memory. */
enum { KEPT_FACTOR = 8 };

enum { LOSS_MAX = 3 }; /* acknowledged changes lost: so many or more are one class */

struct seen {
	UT_hash_handle hh;
	uint64_t class;
	uint64_t n;
};

struct again {
	const struct ops *ops;
	struct seen *seen;
	struct again_state *list;
	size_t n, cap;
	uint64_t max, others; /* others: kept, whose number has more than one bit */
};

struct again *again_create(const struct ops *ops, uint64_t max)
{
	struct again *again = mem_alloc(1, sizeof *again);
	again->ops = ops;
	again->max = max > UINT64_MAX / KEPT_FACTOR ? 0 : max;
	return again;
}

void again_destroy(struct again *again)
{
	struct seen *s, *next;
	if (!again)
		return;
	HASH_ITER (hh, again->seen, s, next) {
		HASH_DEL(again->seen, s);
		free(s);
	}
	for (size_t i = 0; i < again->n; i++)
		free((void *)(uintptr_t)again->list[i].state.held);
	free(again->list);
	free(again);
}

/* How many of a class there are with this one. */
static uint64_t count(struct again *again, uint64_t class)
{
	struct seen *s;
	HASH_FIND(hh, again->seen, &class, sizeof class, s);
	if (!s) {
		s = mem_alloc(1, sizeof *s);
		s->class = class;
		HASH_ADD(hh, again->seen, class, sizeof s->class, s);
	}
	return ++s->n;
}

static void keep(struct again *again, const struct state *state, bool whole, uint32_t rank)
{
	struct again_state *kept = MEM_PUSH(again->list, again->n, again->cap);
	*kept = (struct again_state){
		.state = *state, .whole = whole, .rank = rank, .order = again->n};
	kept->state.held = state->n_held ? (const struct held *)(const void *)mem_dup(
						   state->held, state->n_held * sizeof *state->held)
					 : NULL;
}

/* By the bits of a number first, then by its size. */
static uint32_t rank_of(uint64_t n)
{
	return 64 * (uint32_t)__builtin_popcountll(n) + 63 - (uint32_t)__builtin_clzll(n);
}

void again_consider(struct again *again, const struct state *state, uint64_t path, uint32_t loss)
{
	bool whole = state_is_whole(state);
	const char *before =
		ops_fault_before(again->ops, ops_point_named(again->ops, state->point));
	bool new_path = count(again, path) == 1;
	uint32_t lost = whole ? 0 : 1 + (loss < LOSS_MAX ? loss : LOSS_MAX);
	uint64_t class = XXH3_64bits_withSeed(before, strlen(before), path + 1 + lost);
	uint64_t n = count(again, class);
	bool other = n & (n - 1);
	if (new_path)
		keep(again, state, whole, 0);
	else if (!other || !again->max || again->others++ < again->max * KEPT_FACTOR)
		keep(again, state, whole, rank_of(n));
}

static int compare(const void *a, const void *b)
{
	const struct again_state *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

struct again_state *again_choose(struct again *again, uint64_t max, size_t *n)
{
	if (again->n)
		qsort(again->list, again->n, sizeof *again->list, compare);
	*n = max && max < again->n ? max : again->n;
	return again->list;
}
