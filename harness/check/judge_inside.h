/* What judge.c and judge_explain.c share. */
#ifndef POWERCUT_JUDGE_INSIDE_H
#define POWERCUT_JUDGE_INSIDE_H

#include "judge.h"

/* The units after which a key may have looked as it does because of one item:
 * from the item on and until before the next one of the same key that did not
 * fail.  Empty (from > until) where that is in the same unit. */
struct span {
	uint32_t item; /* from 1; 0 is the empty store that all begins with */
	uint32_t from, until;
};

struct judge {
	const struct history *history;
	struct engine_contract contract;
	struct arena *arena;
	/* spans[first_span[look]..first_span[look + 1]): the ways to a look, by
	 * rising item; from and until never fall. */
	struct span *spans;
	uint32_t *first_span;
	/* key_items[first_item[key]..first_item[key + 1]): its items, from 1. */
	uint32_t *key_items;
	uint32_t *first_item;
	/* Changes that were counted as lost bear the present stamp. */
	uint64_t *stamps;
	uint64_t stamp;
};

/* One question: contents at a crash point. */
struct view {
	struct judge *judge;
	const struct contents *contents;
	const struct bounds *bounds;
	uint32_t begun, durable; /* bounds in units */
};

enum key_state {
	KEY_EXPLAINED, /* some item that had begun looks like this */
	KEY_FUTURE,    /* only items that had not begun do */
	KEY_INVENTED,  /* none does */
};

struct view judge_view(struct judge *judge, const struct contents *contents,
		       const struct bounds *bounds);

/* Units are the steps of a prefix: the first `units` of them contain how many
 * whole changes? */
uint32_t judge_changes(const struct view *view, uint32_t units);

/* The longest prefix in units that gives the contents; false if there is none. */
bool judge_prefix(const struct view *view, uint32_t *units);

enum key_state judge_key_state(const struct view *view, uint32_t key);

/* The newest item that explains a KEY_EXPLAINED key, and the oldest (where some
 * explain it without a broken promise, the oldest of these). */
const struct span *judge_newest(const struct view *view, uint32_t key);
const struct span *judge_oldest(const struct view *view, uint32_t key);

/* The last item of a key, from 1, that is durable and did not fail; 0: none. */
uint32_t judge_last_durable(const struct view *view, uint32_t key);

/* RULE_O2 or RULE_O6 if the key lost what was durable, else 0. */
enum rule judge_key_lost(const struct view *view, uint32_t key);

/* If the key shows that a batch is there while another key shows that it is
 * not: the batch's number, from 1, and the item (from 1) that is not there. */
uint32_t judge_partly(const struct view *view, uint32_t key, uint32_t *missing);

/* The item of the history with that number, from 1. */
static inline const struct history_item *judge_item(const struct view *view, uint32_t item)
{
	return &view->judge->history->items[item - 1];
}

static inline const struct history_change *judge_change(const struct view *view, uint32_t change)
{
	return &view->judge->history->changes[change - 1];
}

#endif
