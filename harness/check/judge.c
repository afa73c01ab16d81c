/* What may be said of recovered contents.
 *
 * Definitions
 *
 *   item      one put or delete of one key; a change has one, a batch many.
 *             Items are numbered from 1 in the order of the history.
 *   unit      what is there as a whole or not at all: a change; or, where the
 *             contract promises nothing of batches, an item.
 *   look      what contents show of a key: absent, empty, or a write.
 *   explains  an item that had begun explains a key if the key looks as the
 *             item leaves it.  Item 0, the empty store, explains absent keys.
 *   viable    an explanation after which no other item of the key came that is
 *             durable (within D) and did not fail.
 *
 * p is the longest prefix of units, none of which had not begun, after which
 * each key may look as it does: as its last item that did not fail left it, or
 * as a failed one after that did.  Each key is taken by itself here: that a
 * failed batch is whole is left to O5.  p in changes is the number of changes
 * that are wholly in the prefix.
 *
 * The rules
 *
 *   O2, O6  a key lost what was durable if it has explanations and none is
 *           viable, or if its value is invented where its last durable item is
 *           a put.  O6 where its last durable item is a delete, else O2.  Asked
 *           where p does not exist or is less than D.  Where p is less than D,
 *           order is promised, and each key by itself is in order: O2.
 *   O3      a record is invented, or a key is explained only by items that had
 *           not begun.
 *   O4      p does not exist, and the contract promises order.
 *   O5      a batch is partly there: one of its keys says that it is there (all
 *           viable explanations are items of the batch; or all explanations
 *           are, where none is viable), and one that it is not (an item of the
 *           batch is newer than all explanations of its key).  Asked where the
 *           contract promises atomic batches, unless p explains the contents:
 *           no change failed, and p is at least D or order is promised (O2 then
 *           says what is wrong).
 *   O7      the same of the batch in flight.
 *
 * A sound engine is not accused of O5: what is really there of each key is a
 * viable explanation.  If the batch was applied, that is an item at least as
 * new as the batch's last one of the key, so no key says that it is not there;
 * if it was not applied, that is no item of the batch, so none says that it is.
 *
 * Speed.  For each look, the spans of units after which the key may look so are
 * kept in order.  Finding p starts from what had begun and lowers p to the end
 * of the last span that begins at or before it, key by key, until all agree or
 * one has no span.  For a write that is one span; only keys that are absent or
 * empty have several. */
#include "judge.h"

#include <stdlib.h>

#include "judge_inside.h"
#include "mem.h"

static bool atomic(const struct judge *j)
{
	return j->contract.batch != ENGINE_BATCH_NONE;
}

/* The unit of an item, and the units of the first n changes. */
static uint32_t unit_of(const struct judge *j, uint32_t item)
{
	return atomic(j) ? j->history->items[item - 1].change : item;
}

static uint32_t units_of(const struct judge *j, uint32_t n)
{
	if (atomic(j) || n == 0)
		return n;
	const struct history_change *c = &j->history->changes[n - 1];
	return c->first + c->n;
}

uint32_t judge_changes(const struct view *view, uint32_t units)
{
	const struct history *h = view->judge->history;
	uint32_t n = units;
	if (!atomic(view->judge))
		n = units < h->n_items ? h->items[units].change - 1 : h->n_changes;
	return n < view->bounds->begun ? n : view->bounds->begun;
}

/* Looks are numbered: a write has its own number, absence of a key a number
 * after all writes. */
static uint32_t look_of(const struct history *h, uint32_t key, uint32_t shows)
{
	return shows ? shows : h->n_writes + 1 + key;
}

static void fill_spans(struct judge *j)
{
	const struct history *h = j->history;
	uint32_t n_looks = h->n_writes + 1 + h->n_keys;
	uint32_t n_units = units_of(j, h->n_changes);
	j->spans = arena_alloc(j->arena, (size_t)h->n_items + h->n_keys, sizeof *j->spans);
	j->first_span = arena_alloc(j->arena, (size_t)n_looks + 1, sizeof *j->first_span);
	for (uint32_t i = 0; i < h->n_items; i++)
		j->first_span[look_of(h, h->items[i].key, h->items[i].shows)]++;
	for (uint32_t key = 0; key < h->n_keys; key++)
		j->first_span[look_of(h, key, 0)]++;
	for (uint32_t look = 1; look <= n_looks; look++)
		j->first_span[look] += j->first_span[look - 1];

	/* From the end, so that the next item of a key is known. */
	uint32_t *until = mem_alloc(h->n_keys, sizeof *until);
	for (uint32_t key = 0; key < h->n_keys; key++)
		until[key] = n_units;
	for (uint32_t item = h->n_items; item > 0; item--) {
		const struct history_item *it = &h->items[item - 1];
		uint32_t at = --j->first_span[look_of(h, it->key, it->shows)];
		j->spans[at] = (struct span){item, unit_of(j, item), until[it->key]};
		if (!h->changes[it->change - 1].failed)
			until[it->key] = unit_of(j, item) - 1;
	}
	for (uint32_t key = 0; key < h->n_keys; key++)
		j->spans[--j->first_span[look_of(h, key, 0)]] = (struct span){0, 0, until[key]};
	free(until);
}

static void fill_key_items(struct judge *j)
{
	const struct history *h = j->history;
	j->key_items = arena_alloc(j->arena, h->n_items, sizeof *j->key_items);
	j->first_item = arena_alloc(j->arena, (size_t)h->n_keys + 1, sizeof *j->first_item);
	for (uint32_t i = 0; i < h->n_items; i++)
		j->first_item[h->items[i].key]++;
	for (uint32_t key = 1; key <= h->n_keys; key++)
		j->first_item[key] += j->first_item[key - 1];
	for (uint32_t item = h->n_items; item > 0; item--)
		j->key_items[--j->first_item[h->items[item - 1].key]] = item;
}

struct judge *judge_create(const struct history *history, const struct engine_contract *contract)
{
	struct judge *j = mem_alloc(1, sizeof *j);
	j->history = history;
	j->contract = *contract;
	j->arena = arena_create();
	fill_spans(j);
	fill_key_items(j);
	/* Not in the arena: processes that share a judge by fork each need their own. */
	j->stamps = mem_alloc((size_t)history->n_changes + 1, sizeof *j->stamps);
	return j;
}

void judge_destroy(struct judge *judge)
{
	if (!judge)
		return;
	arena_destroy(judge->arena);
	free(judge->stamps);
	free(judge);
}

struct view judge_view(struct judge *judge, const struct contents *contents,
		       const struct bounds *bounds)
{
	return (struct view){.judge = judge,
			     .contents = contents,
			     .bounds = bounds,
			     .begun = units_of(judge, bounds->begun),
			     .durable = units_of(judge, bounds->durable)};
}

/* The spans of what a key looks like: [*from, *to); false if it is invented. */
static bool spans_of(const struct view *view, uint32_t key, const struct span **from,
		     const struct span **to)
{
	const struct judge *j = view->judge;
	const struct history *h = j->history;
	uint32_t write = view->contents->write[key], shows = 0;
	if (write > h->n_writes)
		return false;
	if (write) {
		const struct history_item *item = &h->items[h->item_of_write[write - 1]];
		if (item->key != key)
			return false;
		shows = item->shows;
	}
	uint32_t look = look_of(h, key, shows);
	*from = j->spans + j->first_span[look];
	*to = j->spans + j->first_span[look + 1];
	return true;
}

/* The last span that begins at or before a unit, or NULL. */
static const struct span *last_from(const struct span *from, const struct span *to, uint32_t unit)
{
	const struct span *start = from;
	while (from < to) {
		const struct span *middle = from + (to - from) / 2;
		if (middle->from <= unit)
			from = middle + 1;
		else
			to = middle;
	}
	return from > start ? from - 1 : NULL;
}

/* The first span that lasts to a unit, or NULL. */
static const struct span *first_until(const struct span *from, const struct span *to, uint32_t unit)
{
	const struct span *end = to;
	while (from < to) {
		const struct span *middle = from + (to - from) / 2;
		if (middle->until < unit)
			from = middle + 1;
		else
			to = middle;
	}
	return from < end ? from : NULL;
}

bool judge_prefix(const struct view *view, uint32_t *units)
{
	uint32_t n_keys = view->contents->n_keys, p = view->begun;
	if (view->contents->invented)
		return false;
	for (uint32_t key = 0, agreed = 0; agreed < n_keys;) {
		const struct span *from, *to;
		if (!spans_of(view, key, &from, &to))
			return false;
		const struct span *span = last_from(from, to, p);
		if (!span)
			return false;
		if (span->until < p) {
			p = span->until;
			agreed = 0;
		} else {
			key = key + 1 < n_keys ? key + 1 : 0;
			agreed++;
		}
	}
	*units = p;
	return true;
}

enum key_state judge_key_state(const struct view *view, uint32_t key)
{
	const struct span *from, *to;
	if (!spans_of(view, key, &from, &to))
		return KEY_INVENTED;
	return last_from(from, to, view->begun) ? KEY_EXPLAINED : KEY_FUTURE;
}

const struct span *judge_newest(const struct view *view, uint32_t key)
{
	const struct span *from, *to;
	return spans_of(view, key, &from, &to) ? last_from(from, to, view->begun) : NULL;
}

const struct span *judge_oldest(const struct view *view, uint32_t key)
{
	const struct span *from, *to;
	if (!spans_of(view, key, &from, &to))
		return NULL;
	const struct span *viable = first_until(from, to, view->durable);
	return viable && viable->from <= view->begun ? viable : from;
}

/* The items of a key that belong to the first n changes end here. */
static uint32_t items_end(const struct view *view, uint32_t key, uint32_t n)
{
	const struct judge *j = view->judge;
	uint32_t from = j->first_item[key], to = j->first_item[key + 1];
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		if (judge_item(view, j->key_items[middle])->change <= n)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

uint32_t judge_last_durable(const struct view *view, uint32_t key)
{
	const struct judge *j = view->judge;
	for (uint32_t at = items_end(view, key, view->bounds->durable); at > j->first_item[key];
	     at--) {
		uint32_t item = j->key_items[at - 1];
		if (!judge_change(view, judge_item(view, item)->change)->failed)
			return item;
	}
	return 0;
}

enum rule judge_key_lost(const struct view *view, uint32_t key)
{
	enum key_state state = judge_key_state(view, key);
	if (state == KEY_FUTURE)
		return 0;
	if (state == KEY_EXPLAINED && judge_newest(view, key)->until >= view->durable)
		return 0;
	uint32_t item = judge_last_durable(view, key);
	if (item && judge_item(view, item)->shows)
		return RULE_O2;
	return state == KEY_EXPLAINED ? RULE_O6 : 0;
}

uint32_t judge_partly(const struct view *view, uint32_t key, uint32_t *missing)
{
	const struct span *newest = judge_newest(view, key), *oldest = judge_oldest(view, key);
	if (!newest || newest->item == 0 || oldest->item == 0)
		return 0;
	uint32_t change = judge_item(view, newest->item)->change;
	const struct history_change *c = judge_change(view, change);
	if (judge_item(view, oldest->item)->change != change)
		return 0;
	/* A change of one item gets here too, and has nothing that is missing. */
	for (uint32_t item = c->first + 1; item <= c->first + c->n; item++) {
		const struct span *span = judge_newest(view, judge_item(view, item)->key);
		if (span && span->item < item) {
			*missing = item;
			return change;
		}
	}
	return 0;
}

static void judge_invention(const struct view *view, struct verdict *verdict)
{
	bool invented = view->contents->invented > 0;
	for (uint32_t key = 0; key < view->contents->n_keys && !invented; key++)
		invented = judge_key_state(view, key) != KEY_EXPLAINED;
	if (invented)
		verdict->broken |= RULE_BIT(RULE_O3);
}

static void judge_durability(const struct view *view, struct verdict *verdict)
{
	uint32_t lost = 0;
	for (uint32_t key = 0; key < view->contents->n_keys; key++) {
		enum rule rule = judge_key_lost(view, key);
		if (rule)
			lost |= RULE_BIT(rule);
	}
	if (!lost && verdict->has_prefix && view->judge->contract.prefix)
		lost = RULE_BIT(RULE_O2);
	verdict->broken |= lost;
}

static void judge_batches(const struct view *view, struct verdict *verdict)
{
	const struct bounds *bounds = view->bounds;
	for (uint32_t key = 0; key < view->contents->n_keys; key++) {
		uint32_t missing, batch = judge_partly(view, key, &missing);
		if (batch)
			verdict->broken |= RULE_BIT(RULE_O5);
		if (batch > bounds->acked)
			verdict->broken |= RULE_BIT(RULE_O7);
	}
}

/* Counts the acknowledged changes of a key that it shows not to be there and
 * that were not counted already. */
static uint32_t count_lost_of(const struct view *view, uint32_t key)
{
	struct judge *j = view->judge;
	const struct span *span = judge_newest(view, key);
	uint32_t n = 0;
	if (!span)
		return 0;
	for (uint32_t at = items_end(view, key, view->bounds->acked); at > j->first_item[key];
	     at--) {
		uint32_t item = j->key_items[at - 1], change = judge_item(view, item)->change;
		if (item <= span->item)
			break;
		if (j->stamps[change] != j->stamp && !judge_change(view, change)->failed) {
			j->stamps[change] = j->stamp;
			n++;
		}
	}
	return n;
}

static uint32_t count_lost(const struct view *view)
{
	struct judge *j = view->judge;
	uint32_t n = 0;
	j->stamp++;
	for (uint32_t key = 0; key < view->contents->n_keys; key++)
		n += count_lost_of(view, key);
	return n;
}

void judge_contents(struct judge *judge, const struct contents *contents,
		    const struct bounds *bounds, struct verdict *verdict)
{
	struct view view = judge_view(judge, contents, bounds);
	const struct history *h = judge->history;
	uint32_t units = 0;
	*verdict = (struct verdict){.has_prefix = judge_prefix(&view, &units)};
	if (verdict->has_prefix) {
		verdict->prefix = judge_changes(&view, units);
		if (verdict->prefix < bounds->acked)
			verdict->loss = history_successes(h, bounds->acked) -
					history_successes(h, verdict->prefix);
	} else {
		judge_invention(&view, verdict);
		verdict->loss = count_lost(&view);
		if (judge->contract.prefix)
			verdict->broken |= RULE_BIT(RULE_O4);
	}
	bool enough = verdict->has_prefix && units >= view.durable;
	bool in_order = verdict->has_prefix && judge->contract.prefix;
	if (!enough)
		judge_durability(&view, verdict);
	if (atomic(judge) && (h->failures || !(enough || in_order)))
		judge_batches(&view, verdict);
}
