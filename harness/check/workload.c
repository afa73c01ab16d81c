/* Making a workload: which operations, on which keys, with values how long.
 *
 * Everything follows from one generator in one order, so that the same options
 * and abilities give the same workload; what an engine lacks is taken out of
 * the mix before the first number is drawn.  The sizes and keys that are known
 * to trip stores are drawn more often than chance would have them: the least
 * and the greatest value, keys that begin alike, keys of one byte, keys with
 * zero bytes, a key twice in one batch. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "prng.h"

enum {
	KEY_BYTES_MAX = 40,
	BATCH_DELETE_PERCENT = 20,
	BATCH_REPEAT_PERCENT = 10, /* of a batch's changes that take a key of the same batch */
	EXTREME_PERCENT = 6,	   /* of values that are as short as can be, and as long */
};

struct workload_storage {
	struct workload_options options;
	struct prng prng;
	char (*key_bytes)[KEY_BYTES_MAX];
	struct engine_bytes *keys;
	uint32_t *order; /* keys in the order in which they come into use */
	uint32_t used;	 /* order[0..used) were */
	struct op_change *changes;
	size_t n_changes, changes_cap;
};

static uint32_t below(struct workload_storage *s, uint32_t bound)
{
	return (uint32_t)prng_below(&s->prng, bound);
}

static bool percent(struct workload_storage *s, uint32_t share)
{
	return below(s, 100) < share;
}

static size_t put_base36(uint32_t v, char *out)
{
	size_t n = 0;
	for (uint32_t rest = v; n == 0 || rest; rest /= 36)
		n++;
	for (size_t i = n; i-- > 0; v /= 36)
		out[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % 36];
	return n;
}

/* Key number i.  Each kind begins or ends in a way that no other does and
 * contains i, so that all are distinct. */
static size_t make_key(struct workload_storage *s, uint32_t i, char *out)
{
	if (i % 8 == 5)
		return put_base36(i, out);
	if (i % 16 == 7) {
		const char bytes[] = {0,       (char)0xff,     '\n',
				      (char)i, (char)(i >> 8), (char)(i >> 16)};
		memcpy(out, bytes, sizeof bytes);
		return sizeof bytes;
	}
	char text[16];
	size_t n = (size_t)snprintf(text, sizeof text, "key%02u", i);
	memcpy(out, text, n);
	if (i % 8 != 3)
		return n;
	size_t length = i % 16 == 3 ? KEY_BYTES_MAX : n + 1 + below(s, KEY_BYTES_MAX - (uint32_t)n);
	memset(out + n, '-', length - n);
	return length;
}

static void make_keys(struct workload_storage *s)
{
	uint32_t n = s->options.keys;
	s->key_bytes = mem_alloc(n, sizeof *s->key_bytes);
	s->keys = mem_alloc(n, sizeof *s->keys);
	s->order = mem_alloc(n, sizeof *s->order);
	for (uint32_t i = 0; i < n; i++) {
		size_t length = make_key(s, i, s->key_bytes[i]);
		s->keys[i] = (struct engine_bytes){s->key_bytes[i], length};
		uint32_t at = below(s, i + 1);
		s->order[i] = s->order[at];
		s->order[at] = i;
	}
}

static struct engine_bytes pick_key(struct workload_storage *s)
{
	bool fresh = s->used == 0 || (s->used < s->options.keys && !percent(s, s->options.reuse));
	uint32_t at = fresh ? s->used++ : below(s, s->used);
	return s->keys[s->order[at]];
}

static uint32_t pick_length(struct workload_storage *s)
{
	const struct workload_options *o = &s->options;
	if (o->empty && percent(s, o->empty))
		return 0;
	uint32_t die = below(s, 100);
	if (die < EXTREME_PERCENT)
		return o->value_min;
	if (die < 2 * EXTREME_PERCENT)
		return o->value_max;
	return o->value_min + below(s, o->value_max - o->value_min + 1);
}

static void add_change(struct workload *w, struct engine_bytes key, bool del)
{
	struct workload_storage *s = w->storage;
	struct op_change *change = MEM_PUSH(s->changes, s->n_changes, s->changes_cap);
	*change = (struct op_change){.key = key, .del = del};
	if (del)
		return;
	change->write = ++w->n_writes;
	change->value_length = pick_length(s);
}

static void add_batch(struct workload *w)
{
	struct workload_storage *s = w->storage;
	const struct workload_options *o = &s->options;
	uint32_t n = o->batch_min + below(s, o->batch_max - o->batch_min + 1);
	size_t first = s->n_changes;
	for (uint32_t i = 0; i < n; i++) {
		bool repeat = i > 0 && percent(s, BATCH_REPEAT_PERCENT);
		struct engine_bytes key =
			repeat ? s->changes[first + below(s, i)].key : pick_key(s);
		add_change(w, key, percent(s, BATCH_DELETE_PERCENT));
	}
}

static bool engine_has(const struct engine *engine, enum op_type type)
{
	switch (type) {
	case OP_BATCH:
		return engine->batch != NULL;
	case OP_SYNC:
		return engine->sync != NULL;
	case OP_COMPACT:
		return engine->compact != NULL;
	default:
		return true;
	}
}

static enum op_type pick_type(struct workload_storage *s, uint32_t total)
{
	uint32_t at = below(s, total);
	enum op_type type = 0;
	while (at >= s->options.weight[type])
		at -= s->options.weight[type++];
	return type;
}

static void add_op(struct workload *w, struct op *op, enum op_type type)
{
	struct workload_storage *s = w->storage;
	size_t before = s->n_changes;
	op->type = type;
	if (type == OP_PUT || type == OP_DELETE)
		add_change(w, pick_key(s), type == OP_DELETE);
	else if (type == OP_BATCH)
		add_batch(w);
	op->n = (uint32_t)(s->n_changes - before);
}

/* Only once all changes are made does their array stay where it is. */
static void set_pointers(struct workload *w)
{
	struct op_change *at = w->storage->changes;
	for (uint32_t i = 0; i < w->n_ops; i++) {
		w->ops[i].changes = w->ops[i].n ? at : NULL;
		if (w->ops[i].n)
			at += w->ops[i].n;
	}
}

int workload_create(const struct workload_options *options, const struct engine *engine,
		    struct workload **workload, struct err *err)
{
	struct workload *w = mem_alloc(1, sizeof *w);
	struct workload_storage *s = w->storage = mem_alloc(1, sizeof *s);
	s->options = *options;
	uint32_t total = 0;
	for (int type = 0; type < OP_TYPES_COUNT; type++) {
		if (!engine_has(engine, type))
			s->options.weight[type] = 0;
		total += s->options.weight[type];
	}
	*workload = NULL;
	if (total == 0) {
		workload_destroy(w);
		return err_set(err, ERR_USAGE, "%s has none of the operations of the mix",
			       engine->name);
	}
	prng_init(&s->prng, options->seed);
	make_keys(s);
	w->n_ops = options->ops;
	w->ops = mem_alloc(w->n_ops, sizeof *w->ops);
	for (uint32_t i = 0; i < w->n_ops; i++)
		add_op(w, &w->ops[i], pick_type(s, total));
	set_pointers(w);
	*workload = w;
	return ERR_OK;
}

void workload_destroy(struct workload *workload)
{
	if (!workload)
		return;
	struct workload_storage *s = workload->storage;
	free(s->key_bytes);
	free(s->keys);
	free(s->order);
	free(s->changes);
	free(s);
	free(workload->ops);
	free(workload);
}
