/* One pass over the trace's operation markers gives the changes, their items,
 * and a step after each marker: everything that a contract may ask about the
 * past.  The bounds at a crash point are then two look-ups: the step that the
 * point's event count leads to, and the contract's choice among its fields. */
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mem.h"

#define NO_KEY UINT32_MAX

struct step {
	uint32_t begun, acked;
	uint32_t successes; /* of the acked changes, those that did not fail */
	uint32_t synced;    /* changes that ended before a sync that ended well */
	uint32_t batched;   /* the last batch that ended well */
};

struct history_private {
	struct step *steps; /* [0] is the start */
	uint32_t *step_at;  /* by number of events: index into steps */
	size_t n_events;
	uint32_t *success;     /* [i - 1]: the i-th change that did not fail */
	uint32_t *successes;   /* [n]: how many of the first n changes did not fail */
	uint32_t *first_empty; /* by key: its first write of an empty value, or 0 */
	uint32_t *table;       /* open addressing: key index + 1, or 0 */
	uint32_t table_mask;
};

/* A history while it is read.  Arrays grow in private memory and move to the
 * arena at the end. */
struct builder {
	struct history_change *changes;
	size_t n_changes, changes_cap;
	struct history_item *items;
	size_t n_items, items_cap;
	struct engine_bytes *keys;
	size_t n_keys, keys_cap;
	uint32_t *first_empty;
	size_t first_empty_cap;
	uint32_t *table;
	size_t table_size;
	struct step *steps;
	size_t n_steps, steps_cap;
	uint32_t n_writes;
	/* The operation that has begun and not ended. */
	bool open;
	uint64_t next_op; /* least number that the next one may have */
	uint8_t type;
	uint32_t acked_at_begin;
};

static uint32_t key_slot(const uint32_t *table, size_t mask, const struct engine_bytes *keys,
			 struct engine_bytes key)
{
	size_t at = XXH3_64bits(key.data, key.length) & mask;
	while (table[at]) {
		const struct engine_bytes *other = &keys[table[at] - 1];
		if (other->length == key.length &&
		    (key.length == 0 || memcmp(other->data, key.data, key.length) == 0))
			break;
		at = (at + 1) & mask;
	}
	return (uint32_t)at;
}

/* Keeps the table at most half full, so that probes are short and end. */
static void grow_table(struct builder *b)
{
	if (b->n_keys * 2 < b->table_size)
		return;
	b->table_size = b->table_size ? b->table_size * 2 : 16;
	free(b->table);
	b->table = mem_alloc(b->table_size, sizeof *b->table);
	for (size_t i = 0; i < b->n_keys; i++)
		b->table[key_slot(b->table, b->table_size - 1, b->keys, b->keys[i])] =
			(uint32_t)i + 1;
}

static uint32_t add_key(struct builder *b, struct engine_bytes key)
{
	grow_table(b);
	uint32_t *slot = &b->table[key_slot(b->table, b->table_size - 1, b->keys, key)];
	if (*slot == 0) {
		*MEM_PUSH(b->keys, b->n_keys, b->keys_cap) = key;
		b->first_empty = mem_grow(b->first_empty, &b->first_empty_cap, b->n_keys,
					  sizeof *b->first_empty);
		*slot = (uint32_t)b->n_keys;
	}
	return *slot - 1;
}

static int add_item(struct builder *b, struct reader *r, struct err *err)
{
	uint8_t del = read_byte(r);
	struct engine_bytes key;
	key.data = read_blob(r, &key.length);
	uint64_t write = read_varint(r), length = read_varint(r);
	if (r->bad || del > 1 || length > UINT32_MAX)
		return err_set(err, ERR_CORRUPT, "its encoding is damaged");
	if (write != (del ? 0 : (uint64_t)b->n_writes + 1))
		return err_set(err, ERR_CORRUPT, "it has write %" PRIu64 " after write %u", write,
			       b->n_writes);
	uint32_t index = add_key(b, key);
	uint32_t shows = (uint32_t)write;
	if (!del)
		b->n_writes++;
	if (!del && length == 0) {
		if (b->first_empty[index] == 0)
			b->first_empty[index] = shows;
		shows = b->first_empty[index];
	}
	*MEM_PUSH(b->items, b->n_items, b->items_cap) = (struct history_item){
		.key = index,
		.write = (uint32_t)write,
		.value_length = (uint32_t)length,
		.change = (uint32_t)b->n_changes,
		.shows = shows,
	};
	return ERR_OK;
}

static bool changes_contents(uint8_t type)
{
	return type == OP_PUT || type == OP_DELETE || type == OP_BATCH;
}

static bool sound_count(uint8_t type, uint64_t n)
{
	if (type == OP_PUT || type == OP_DELETE)
		return n == 1;
	return type == OP_BATCH || n == 0;
}

static int read_begin(struct builder *b, const struct event *event, uint32_t at, struct err *err)
{
	if (b->open || event->offset < b->next_op || event->offset > UINT32_MAX)
		return err_set(err, ERR_CORRUPT, "it is out of order");
	struct reader r;
	reader_init(&r, event->data, event->data_length);
	b->type = read_byte(&r);
	uint64_t n = read_varint(&r);
	if (r.bad || b->type >= OP_TYPES_COUNT || !sound_count(b->type, n))
		return err_set(err, ERR_CORRUPT, "its encoding is damaged");
	b->open = true;
	b->next_op = event->offset + 1;
	struct step step = b->steps[b->n_steps - 1];
	b->acked_at_begin = step.acked;
	if (changes_contents(b->type)) {
		struct history_change *c = MEM_PUSH(b->changes, b->n_changes, b->changes_cap);
		*c = (struct history_change){.op = (uint32_t)event->offset,
					     .type = b->type,
					     .begun = at,
					     .ended = UINT32_MAX,
					     .first = (uint32_t)b->n_items,
					     .n = (uint32_t)n};
		step.begun = (uint32_t)b->n_changes;
	}
	*MEM_PUSH(b->steps, b->n_steps, b->steps_cap) = step;
	for (uint64_t i = 0; i < n; i++) {
		int code = add_item(b, &r, err);
		if (code)
			return code;
	}
	return r.at == r.end ? ERR_OK : err_set(err, ERR_CORRUPT, "bytes follow its encoding");
}

static int read_end(struct builder *b, const struct event *event, uint32_t at, struct err *err)
{
	if (!b->open || event->offset + 1 != b->next_op)
		return err_set(err, ERR_CORRUPT, "it ends without having begun");
	b->open = false;
	bool failed = event->data_length > 0;
	struct step step = b->steps[b->n_steps - 1];
	if (changes_contents(b->type)) {
		struct history_change *c = &b->changes[b->n_changes - 1];
		c->ended = at;
		c->failed = failed;
		step.acked = (uint32_t)b->n_changes;
		step.successes += !failed;
		if (b->type == OP_BATCH && !failed)
			step.batched = step.acked;
	} else if (b->type == OP_SYNC && !failed) {
		step.synced = b->acked_at_begin;
	}
	*MEM_PUSH(b->steps, b->n_steps, b->steps_cap) = step;
	return ERR_OK;
}

static int read_events(struct builder *b, const struct trace *trace, uint32_t *step_at,
		       struct err *err)
{
	MEM_PUSH(b->steps, b->n_steps, b->steps_cap); /* the start, all zero */
	for (size_t i = 0; i < trace->n_events; i++) {
		const struct event *event = &trace->events[i];
		int code = ERR_OK;
		if (event->kind == EVENT_OP_BEGIN)
			code = read_begin(b, event, (uint32_t)i, err);
		else if (event->kind == EVENT_OP_END)
			code = read_end(b, event, (uint32_t)i, err);
		if (code)
			return err_wrap(err, "event %zu, operation %" PRIu64, i, event->offset);
		step_at[i + 1] = (uint32_t)b->n_steps - 1;
	}
	return ERR_OK;
}

static void index_writes(struct history *h, struct arena *arena)
{
	h->item_of_write = arena_alloc(arena, h->n_writes, sizeof *h->item_of_write);
	for (uint32_t i = 0; i < h->n_items; i++)
		if (h->items[i].write)
			h->item_of_write[h->items[i].write - 1] = i;
}

static void index_successes(struct history *h, struct arena *arena)
{
	struct history_private *p = h->priv;
	p->success = arena_alloc(arena, h->n_changes, sizeof *p->success);
	p->successes = arena_alloc(arena, (size_t)h->n_changes + 1, sizeof *p->successes);
	for (uint32_t c = 1; c <= h->n_changes; c++) {
		p->successes[c] = p->successes[c - 1];
		if (h->changes[c - 1].failed)
			h->failures = true;
		else
			p->success[p->successes[c]++] = c;
	}
}

static struct history *build(struct builder *b, const struct trace *trace, uint32_t *step_at)
{
	struct arena *arena = trace->arena;
	grow_table(b); /* there is one even without keys */
	struct history *h = arena_alloc(arena, 1, sizeof *h);
	struct history_private *p = h->priv = arena_alloc(arena, 1, sizeof *p);
	h->changes = arena_dup(arena, b->changes, b->n_changes, sizeof *b->changes);
	h->n_changes = (uint32_t)b->n_changes;
	h->items = arena_dup(arena, b->items, b->n_items, sizeof *b->items);
	h->n_items = (uint32_t)b->n_items;
	h->keys = arena_dup(arena, b->keys, b->n_keys, sizeof *b->keys);
	h->n_keys = (uint32_t)b->n_keys;
	h->n_writes = b->n_writes;
	p->first_empty = arena_dup(arena, b->first_empty, b->n_keys, sizeof *b->first_empty);
	p->table = arena_dup(arena, b->table, b->table_size, sizeof *b->table);
	p->table_mask = (uint32_t)b->table_size - 1;
	p->steps = arena_dup(arena, b->steps, b->n_steps, sizeof *b->steps);
	p->step_at = step_at;
	p->n_events = trace->n_events;
	index_writes(h, arena);
	index_successes(h, arena);
	return h;
}

int history_create(const struct trace *trace, struct history **history, struct err *err)
{
	struct builder b = {0};
	uint32_t *step_at = arena_alloc(trace->arena, trace->n_events + 1, sizeof *step_at);
	*history = NULL;
	int code = read_events(&b, trace, step_at, err);
	if (code == ERR_OK)
		*history = build(&b, trace, step_at);
	free(b.changes);
	free(b.items);
	free(b.keys);
	free(b.first_empty);
	free(b.table);
	free(b.steps);
	return code;
}

/* The index of a key, which is added where it is new. */
static uint32_t invite_key(struct history *h, struct arena *arena, struct engine_bytes key)
{
	struct history_private *p = h->priv;
	uint32_t known = history_key(h, key);
	if (known != NO_KEY)
		return known;
	size_t n = h->n_keys + 1, size = 16;
	while (size < 2 * n)
		size *= 2;
	struct engine_bytes *keys = arena_alloc(arena, n, sizeof *keys);
	uint32_t *first_empty = arena_alloc(arena, n, sizeof *first_empty);
	if (h->n_keys) {
		memcpy(keys, h->keys, h->n_keys * sizeof *keys);
		memcpy(first_empty, p->first_empty, h->n_keys * sizeof *first_empty);
	}
	keys[h->n_keys] =
		(struct engine_bytes){arena_dup(arena, key.data, key.length, 1), key.length};
	p->table = arena_alloc(arena, size, sizeof *p->table);
	p->table_mask = (uint32_t)size - 1;
	for (uint32_t i = 0; i < n; i++)
		p->table[key_slot(p->table, p->table_mask, keys, keys[i])] = i + 1;
	h->keys = keys;
	p->first_empty = first_empty;
	return h->n_keys++;
}

void history_invite(struct history *h, struct arena *arena, const struct engine_bytes *keys,
		    uint32_t n_keys, uint32_t n_guests)
{
	for (uint32_t i = 0; i < n_keys; i++)
		invite_key(h, arena, keys[i]);
	h->n_guests = n_guests;
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* All that have ended but the last every - 1 of those that did not fail. */
static uint32_t all_but_last(const struct history *h, const struct step *step, uint32_t every)
{
	uint32_t spared = every ? every - 1 : 0;
	if (step->successes <= spared)
		return 0;
	return h->priv->success[step->successes - spared - 1];
}

struct bounds history_bounds(const struct history *history, const struct engine_contract *contract,
			     uint32_t n_events, bool power)
{
	const struct history_private *p = history->priv;
	const struct step *step =
		&p->steps[p->step_at[n_events < p->n_events ? n_events : p->n_events]];
	struct bounds bounds = {.begun = step->begun, .acked = step->acked};
	if (power && contract->against == ENGINE_AGAINST_KILL)
		return bounds;
	bounds.durable = step->synced;
	if (contract->batch == ENGINE_BATCH_DURABLE)
		bounds.durable = max(bounds.durable, step->batched);
	if (contract->ack == ENGINE_ACK_EACH)
		bounds.durable = step->acked;
	else if (contract->ack == ENGINE_ACK_EVERY)
		bounds.durable = max(bounds.durable, all_but_last(history, step, contract->every));
	return bounds;
}

uint32_t history_key(const struct history *history, struct engine_bytes key)
{
	const struct history_private *p = history->priv;
	uint32_t found = p->table[key_slot(p->table, p->table_mask, history->keys, key)];
	return found ? found - 1 : NO_KEY;
}

uint32_t history_successes(const struct history *history, uint32_t n)
{
	return history->priv->successes[n < history->n_changes ? n : history->n_changes];
}

void history_print_key(struct engine_bytes key, struct buf *out)
{
	const unsigned char *p = key.data;
	bool plain = key.length > 0;
	for (size_t i = 0; i < key.length; i++)
		plain = plain && p[i] > ' ' && p[i] < 0x7f && p[i] != '"' && p[i] != '\\';
	if (plain) {
		buf_append(out, p, key.length);
		return;
	}
	buf_byte(out, '"');
	for (size_t i = 0; i < key.length; i++) {
		if (p[i] < ' ' || p[i] >= 0x7f)
			buf_printf(out, "\\x%02x", p[i]);
		else
			buf_printf(out, p[i] == '"' || p[i] == '\\' ? "\\%c" : "%c", p[i]);
	}
	buf_byte(out, '"');
}

size_t contents_bytes(const struct history *history)
{
	return sizeof(struct contents) + history->n_keys * sizeof(uint32_t);
}

void contents_init(const struct history *history, struct contents *contents)
{
	memset(contents, 0, contents_bytes(history));
	contents->n_keys = history->n_keys;
}

/* What the record shows, or CONTENTS_INVENTED. */
static uint32_t recognise(const struct history *h, uint32_t index, struct engine_bytes value)
{
	if (value.length == 0) {
		uint32_t empty = h->priv->first_empty[index];
		return empty ? empty : CONTENTS_INVENTED;
	}
	uint32_t write = value_parse(h->keys[index], value);
	if (write > h->n_writes && write - h->n_writes <= h->n_guests)
		return write;
	if (write == 0 || write > h->n_writes)
		return CONTENTS_INVENTED;
	const struct history_item *item = &h->items[h->item_of_write[write - 1]];
	bool same = item->key == index && item->value_length == value.length;
	return same ? write : CONTENTS_INVENTED;
}

static void print_value(struct engine_bytes value, struct buf *out)
{
	const unsigned char *p = value.data;
	size_t zeros = 0;
	for (size_t i = 0; i < value.length; i++)
		zeros += p[i] == 0;
	buf_printf(out, "%zu bytes", value.length);
	if (value.length == 0)
		return;
	if (zeros == value.length) {
		buf_string(out, ", all zero");
		return;
	}
	size_t shown = value.length < 24 ? value.length : 24;
	buf_string(out, " (");
	history_print_key((struct engine_bytes){p, shown}, out);
	buf_string(out, shown < value.length ? " …)" : ")");
	if (zeros)
		buf_printf(out, ", %zu of them zero", zeros);
}

static void note_invented(struct contents *contents, const char *what, struct engine_bytes key,
			  struct engine_bytes value)
{
	if (contents->invented++)
		return;
	struct buf text = {0};
	history_print_key(key, &text);
	buf_string(&text, what);
	print_value(value, &text);
	snprintf(contents->text, sizeof contents->text, "%s", buf_text(&text));
	buf_finish(&text);
}

void contents_add(const struct history *history, struct contents *contents, struct engine_bytes key,
		  struct engine_bytes value)
{
	uint32_t index = history_key(history, key);
	if (index == NO_KEY) {
		note_invented(contents, ", a key that was never used, holds ", key, value);
		return;
	}
	if (contents->write[index] != CONTENTS_ABSENT) {
		note_invented(contents, " was returned twice, the second time with ", key, value);
		return;
	}
	contents->write[index] = recognise(history, index, value);
	if (contents->write[index] == CONTENTS_INVENTED)
		note_invented(contents, " holds what was never written to it: ", key, value);
}
