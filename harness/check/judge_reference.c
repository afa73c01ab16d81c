/* The rules of judge.c once more, each by walking the whole history: slow, and
 * simple enough to be believed.  Shares nothing with judge.c on purpose. */
#include "judge.h"

struct question {
	const struct history *h;
	const struct engine_contract *contract;
	const struct contents *contents;
	const struct bounds *bounds;
};

/* Items are numbered from 1 here, as in judge.c. */
static const struct history_item *item_at(const struct question *q, uint32_t item)
{
	return &q->h->items[item - 1];
}

static bool failed(const struct question *q, uint32_t item)
{
	return q->h->changes[item_at(q, item)->change - 1].failed;
}

/* Whether a key's contents are a write of that key at all, or absent. */
static bool known(const struct question *q, uint32_t key)
{
	uint32_t write = q->contents->write[key];
	if (write == CONTENTS_ABSENT)
		return true;
	return write <= q->h->n_writes && q->h->items[q->h->item_of_write[write - 1]].key == key;
}

/* Whether the key looks as that item leaves it; item 0 is the empty store. */
static bool looks_like(const struct question *q, uint32_t key, uint32_t item)
{
	uint32_t write = q->contents->write[key];
	if (!known(q, key))
		return false;
	if (item == 0)
		return write == CONTENTS_ABSENT;
	uint32_t shows =
		write ? q->h->items[q->h->item_of_write[write - 1]].shows : CONTENTS_ABSENT;
	return item_at(q, item)->key == key && item_at(q, item)->shows == shows;
}

/* Whether the key may look as it does after the first n items. */
static bool may_look_so(const struct question *q, uint32_t key, uint32_t n)
{
	bool so = looks_like(q, key, 0);
	for (uint32_t item = 1; item <= n; item++) {
		if (item_at(q, item)->key != key)
			continue;
		bool like = looks_like(q, key, item);
		so = failed(q, item) ? so || like : like;
	}
	return so;
}

static bool is_prefix(const struct question *q, uint32_t n)
{
	if (q->contents->invented)
		return false;
	for (uint32_t key = 0; key < q->h->n_keys; key++)
		if (!may_look_so(q, key, n))
			return false;
	return true;
}

/* How many items the first n changes have. */
static uint32_t items_of(const struct question *q, uint32_t n)
{
	return n ? q->h->changes[n - 1].first + q->h->changes[n - 1].n : 0;
}

/* Sets has_prefix, prefix, and *items to the items of the longest prefix. */
static void find_prefix(const struct question *q, struct verdict *verdict, uint32_t *items)
{
	uint32_t begun = items_of(q, q->bounds->begun), change = 0;
	for (uint32_t n = 0; n <= begun; n++) {
		while (change < q->bounds->begun && items_of(q, change + 1) <= n)
			change++;
		bool whole = items_of(q, change) == n;
		if (!whole && q->contract->batch != ENGINE_BATCH_NONE)
			continue;
		if (!is_prefix(q, n))
			continue;
		verdict->has_prefix = true;
		verdict->prefix = change;
		*items = n;
	}
}

/* An explanation of a key is an item that had begun; is it viable? */
static bool viable(const struct question *q, uint32_t key, uint32_t item)
{
	for (uint32_t later = item + 1; later <= items_of(q, q->bounds->durable); later++)
		if (item_at(q, later)->key == key && !failed(q, later))
			return false;
	return true;
}

/* The newest explanation, and whether there is any. */
static bool newest(const struct question *q, uint32_t key, uint32_t *found)
{
	for (uint32_t item = items_of(q, q->bounds->begun) + 1; item-- > 0;) {
		if (looks_like(q, key, item)) {
			*found = item;
			return true;
		}
	}
	return false;
}

static bool explained(const struct question *q, uint32_t key)
{
	uint32_t item;
	return newest(q, key, &item);
}

static bool any_viable(const struct question *q, uint32_t key)
{
	for (uint32_t item = 0; item <= items_of(q, q->bounds->begun); item++)
		if (looks_like(q, key, item) && viable(q, key, item))
			return true;
	return false;
}

static void judge_invention(const struct question *q, struct verdict *verdict)
{
	bool invented = q->contents->invented > 0;
	for (uint32_t key = 0; key < q->h->n_keys; key++)
		invented = invented || !explained(q, key);
	if (invented)
		verdict->broken |= RULE_BIT(RULE_O3);
}

/* The last durable item of a key that did not fail, or 0. */
static uint32_t last_durable(const struct question *q, uint32_t key)
{
	uint32_t found = 0;
	for (uint32_t item = 1; item <= items_of(q, q->bounds->durable); item++)
		if (item_at(q, item)->key == key && !failed(q, item))
			found = item;
	return found;
}

static void judge_durability(const struct question *q, struct verdict *verdict)
{
	uint32_t before = verdict->broken;
	for (uint32_t key = 0; key < q->h->n_keys; key++) {
		uint32_t item = last_durable(q, key);
		if (item == 0)
			continue;
		bool put = item_at(q, item)->shows != 0;
		if (!known(q, key) && put)
			verdict->broken |= RULE_BIT(RULE_O2);
		if (explained(q, key) && !any_viable(q, key))
			verdict->broken |= RULE_BIT(put ? RULE_O2 : RULE_O6);
	}
	if (verdict->broken == before && verdict->has_prefix && q->contract->prefix)
		verdict->broken |= RULE_BIT(RULE_O2);
}

static bool says_there(const struct question *q, uint32_t key, uint32_t batch)
{
	bool only_viable = any_viable(q, key), there = false;
	for (uint32_t item = 0; item <= items_of(q, q->bounds->begun); item++) {
		if (!looks_like(q, key, item) || (only_viable && !viable(q, key, item)))
			continue;
		if (item == 0 || item_at(q, item)->change != batch)
			return false;
		there = true;
	}
	return there;
}

static bool says_missing(const struct question *q, uint32_t item)
{
	uint32_t found;
	return newest(q, item_at(q, item)->key, &found) && found < item;
}

static bool partly_there(const struct question *q, uint32_t batch)
{
	bool there = false, missing = false;
	for (uint32_t item = items_of(q, batch - 1) + 1; item <= items_of(q, batch); item++) {
		there = there || says_there(q, item_at(q, item)->key, batch);
		missing = missing || says_missing(q, item);
	}
	return there && missing;
}

static void judge_batches(const struct question *q, struct verdict *verdict)
{
	for (uint32_t change = 1; change <= q->bounds->begun; change++) {
		if (q->h->changes[change - 1].type != OP_BATCH || !partly_there(q, change))
			continue;
		verdict->broken |= RULE_BIT(RULE_O5);
		if (change > q->bounds->acked)
			verdict->broken |= RULE_BIT(RULE_O7);
	}
}

/* Of the changes after the first `from`, up to those acknowledged, how many did
 * not fail, and are shown not to be there (or all, where they are after p)? */
static uint32_t count_lost(const struct question *q, uint32_t from, bool all)
{
	uint32_t n = 0;
	for (uint32_t change = from + 1; change <= q->bounds->acked; change++) {
		bool lost = all;
		for (uint32_t item = items_of(q, change - 1) + 1; item <= items_of(q, change);
		     item++)
			lost = lost || says_missing(q, item);
		n += lost && !q->h->changes[change - 1].failed;
	}
	return n;
}

void judge_reference(const struct history *history, const struct engine_contract *contract,
		     const struct contents *contents, const struct bounds *bounds,
		     struct verdict *verdict)
{
	struct question q = {history, contract, contents, bounds};
	uint32_t items = 0;
	*verdict = (struct verdict){0};
	find_prefix(&q, verdict, &items);
	if (verdict->has_prefix) {
		verdict->loss = count_lost(&q, verdict->prefix, true);
	} else {
		judge_invention(&q, verdict);
		verdict->loss = count_lost(&q, 0, false);
		if (contract->prefix)
			verdict->broken |= RULE_BIT(RULE_O4);
	}
	bool short_of_d = !verdict->has_prefix || items < items_of(&q, bounds->durable);
	if (short_of_d)
		judge_durability(&q, verdict);
	if (contract->batch == ENGINE_BATCH_NONE)
		return;
	if (!verdict->has_prefix || history->failures || (short_of_d && !contract->prefix))
		judge_batches(&q, verdict);
}
