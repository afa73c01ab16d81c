/* How the rules become data.
 *
 * Every object lies between low and high.  A micro-op may demand others: "if my
 * version or a later one is on disk, that object is at least at that version"
 * (M3, M8, M9, trees).  What M4 orders is kept as sequences of micro-ops: if one
 * is on disk, so are all before it in its sequence.  Raising a low follows the
 * demands forwards, lowering a high follows them backwards; both end in a state
 * where every object at its low is a legal crash state, so no sequence of
 * decisions runs into a dead end.
 *
 * M5 is not a demand, since it asks of the size that is visible and of no size
 * that it hides: it is looked at where a size is decided, which is before the
 * blocks are.  A size for which a sync has left no choice stays pending for as
 * long as it may still be the visible one and lack its data.
 *
 * M1 raises lows for good, and what is on disk for good leaves its sequence.
 * Where a profile lets what is fsynced overtake (btrfs), lows are raised without
 * M4, and what has overtaken drags none of those before it along. */
#include "model_private.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* ---- construction ---- */

static void add_demand(struct model *model, uint32_t micro, uint32_t object, uint32_t version,
		       enum tag tag)
{
	if (version == 0)
		return;
	uint32_t i = (uint32_t)model->n_demands;
	struct demand *d = MEM_PUSH(model->demands, model->n_demands, model->demands_cap);
	uint32_t to = ops_micro(model->ops, object, version);
	*d = (struct demand){.micro = micro,
			     .object = object,
			     .version = version,
			     .tag = tag,
			     .next = model->of[micro].demands,
			     .next_back = model->of[to].demanded};
	model->of[micro].demands = i;
	model->of[to].demanded = i;
}

/* Which sequence of M4 a micro-op belongs to: a number from 0, or NONE. */
static uint32_t sequence_of(const struct model *model, uint32_t micro)
{
	const struct micro *m = &model->ops->micros[micro];
	const struct object *o = &model->ops->objects[m->object];
	switch (model->profile->order) {
	case ORDER_ALL:
		return 0;
	case ORDER_METADATA:
	case ORDER_OVERTAKE:
		return m->flags & MICRO_META ? 0 : NONE;
	case ORDER_DIRECTORY:
		return o->kind == OBJECT_ENTRY ? o->ino : NONE;
	default:
		return NONE;
	}
}

static void add_loose(struct model *model, uint32_t micro)
{
	*MEM_PUSH(model->loose, model->n_loose, model->loose_cap) = micro;
}

/* Whether a change of names overtakes as soon as it is made: that of a file that has been
 * logged by itself goes to the same log. */
static bool is_loose(const struct model *model, uint32_t micro)
{
	const struct micro *m = &model->ops->micros[micro];
	return model->ops->objects[m->object].kind == OBJECT_ENTRY &&
	       (model->logged[m->ino] || model->logged[m->old]);
}

static void enter_sequence(struct model *model, uint32_t micro)
{
	struct of_micro *of = &model->of[micro];
	of->sequence = sequence_of(model, micro);
	if (of->sequence == NONE)
		return;
	if (is_loose(model, micro)) {
		of->sequence = NONE;
		add_loose(model, micro);
		return;
	}
	for (size_t i = 0; i < model->n_loose; i++) {
		const struct micro *m = &model->ops->micros[model->loose[i]];
		add_demand(model, micro, m->object, m->version, TAG_ORDER);
	}
	model->n_loose = 0;
	of->before = model->last[of->sequence];
	of->after = NONE;
	if (of->before != NONE)
		model->of[of->before].after = micro;
	model->last[of->sequence] = micro;
}

static void leave_sequence(struct model *model, uint32_t micro)
{
	struct of_micro *of = &model->of[micro];
	if (of->sequence == NONE)
		return;
	if (of->before != NONE)
		model->of[of->before].after = of->after;
	if (of->after != NONE)
		model->of[of->after].before = of->before;
	else
		model->last[of->sequence] = of->before;
	/* Whoever was to come before it comes before the next one. */
	for (uint32_t i = of->demands; i != NONE; i = model->demands[i].next) {
		const struct demand d = model->demands[i];
		if (d.tag != TAG_ORDER || model->low[d.object] >= d.version)
			continue;
		if (of->after != NONE)
			add_demand(model, of->after, d.object, d.version, TAG_ORDER);
		else
			add_loose(model, ops_micro(model->ops, d.object, d.version));
	}
	of->sequence = of->before = of->after = NONE;
}

void model_loosen(struct model *model, uint32_t micro)
{
	const struct micro *m = &model->ops->micros[micro];
	struct of_micro *of = &model->of[micro];
	if (of->sequence == NONE)
		return;
	if (of->after != NONE)
		add_demand(model, of->after, m->object, m->version, TAG_ORDER);
	else
		add_loose(model, micro);
	leave_sequence(model, micro);
	for (uint32_t i = of->demands; i != NONE; i = model->demands[i].next)
		if (model->demands[i].tag == TAG_ORDER)
			model->demands[i].version = 0; /* handed over */
}

struct model *model_create(const struct ops *ops, const struct profile *profile)
{
	struct model *model = mem_alloc(1, sizeof *model);
	model->ops = ops;
	model->profile = profile;
	model->low = mem_alloc(ops->n_objects, sizeof *model->low);
	model->high = mem_alloc(ops->n_objects, sizeof *model->high);
	model->newest = mem_alloc(ops->n_objects, sizeof *model->newest);
	model->nameless = mem_alloc(ops->n_objects, sizeof *model->nameless);
	model->pending_at = mem_alloc(ops->n_objects, sizeof *model->pending_at);
	model->of = mem_alloc(ops->n_micros, sizeof *model->of);
	model->seen = mem_alloc((size_t)ops->n_inodes + 1, sizeof *model->seen);
	model->logged = mem_alloc((size_t)ops->n_inodes + 1, sizeof *model->logged);
	model->last = mem_alloc((size_t)ops->n_inodes + 1, sizeof *model->last);
	memset(model->last, 0xff, ((size_t)ops->n_inodes + 1) * sizeof *model->last);
	for (uint32_t i = 0; i < ops->n_objects; i++)
		model->pending_at[i] = NONE;
	for (uint32_t i = 0; i < ops->n_micros; i++)
		model->of[i] = (struct of_micro){.demands = NONE,
						 .demanded = NONE,
						 .sequence = NONE,
						 .before = NONE,
						 .after = NONE,
						 .need_object = NONE};
	return model;
}

void model_destroy(struct model *model)
{
	if (!model)
		return;
	free(model->low);
	free(model->high);
	free(model->newest);
	free(model->nameless);
	free(model->pending);
	free(model->pending_at);
	free(model->of);
	free(model->seen);
	free(model->last);
	free(model->logged);
	free(model->loose);
	free(model->demands);
	free(model->trail);
	free(model->work);
	free(model);
}

uint32_t model_point(const struct model *model)
{
	return model->point;
}

const struct profile *model_profile(const struct model *model)
{
	return model->profile;
}

const struct ops *model_ops(const struct model *model)
{
	return model->ops;
}

uint32_t model_low(const struct model *model, uint32_t object)
{
	return model->low[object];
}

uint32_t model_high(const struct model *model, uint32_t object)
{
	return model->high[object];
}

/* ---- raising and lowering ---- */

static void remember(struct model *model, uint32_t object)
{
	*MEM_PUSH(model->trail, model->n_trail, model->trail_cap) =
		(struct trail){object, model->low[object], model->high[object]};
}

static void todo(struct model *model, uint32_t object, uint32_t version)
{
	*MEM_PUSH(model->work, model->n_work, model->work_cap) = (struct work){object, version};
}

/* What a micro-op on disk asks for, but for the tags left out. */
static void follow(struct model *model, uint32_t micro, unsigned without)
{
	const struct ops *ops = model->ops;
	for (uint32_t i = model->of[micro].demands; i != NONE; i = model->demands[i].next) {
		const struct demand *d = &model->demands[i];
		if (!(d->tag & without) && model->low[d->object] < d->version)
			todo(model, d->object, d->version);
	}
	if (without & TAG_ORDER)
		return;
	/* Back along the sequence to where everything is on disk already. */
	for (uint32_t m = model->of[micro].before; m != NONE; m = model->of[m].before) {
		const struct micro *before = &ops->micros[m];
		if (model->low[before->object] >= before->version)
			break;
		todo(model, before->object, before->version);
	}
}

void model_raise(struct model *model, uint32_t object, uint32_t version, unsigned without)
{
	size_t base = model->n_work;
	todo(model, object, version);
	while (model->n_work > base) {
		struct work w = model->work[--model->n_work];
		uint32_t from = model->low[w.object];
		if (from >= w.version)
			continue;
		remember(model, w.object);
		model->low[w.object] = w.version;
		for (uint32_t v = from + 1; v <= w.version; v++)
			follow(model, ops_micro(model->ops, w.object, v), without);
	}
}

/* What may no longer be on disk since a micro-op is not. */
static void follow_back(struct model *model, uint32_t micro)
{
	const struct ops *ops = model->ops;
	for (uint32_t i = model->of[micro].demanded; i != NONE; i = model->demands[i].next_back) {
		const struct micro *m = &ops->micros[model->demands[i].micro];
		if (model->demands[i].version == 0)
			continue; /* asks nothing any more */
		if (model->high[m->object] >= m->version && model->low[m->object] < m->version)
			todo(model, m->object, m->version - 1);
	}
	for (uint32_t m = model->of[micro].after; m != NONE; m = model->of[m].after) {
		const struct micro *after = &ops->micros[m];
		if (model->high[after->object] < after->version)
			break; /* and so are those behind it */
		todo(model, after->object, after->version - 1);
	}
}

static void lower_high(struct model *model, uint32_t object, uint32_t version)
{
	size_t base = model->n_work;
	todo(model, object, version);
	while (model->n_work > base) {
		struct work w = model->work[--model->n_work];
		uint32_t from = model->high[w.object];
		if (from <= w.version)
			continue;
		remember(model, w.object);
		model->high[w.object] = w.version;
		for (uint32_t v = from; v > w.version; v--)
			follow_back(model, ops_micro(model->ops, w.object, v));
	}
}

/* ---- decisions ---- */

static uint32_t need_of(const struct model *model, uint32_t object, uint32_t version,
			uint32_t *need_version)
{
	if (version == 0 || model->ops->objects[object].kind != OBJECT_SIZE)
		return NONE;
	const struct of_micro *of = &model->of[ops_micro(model->ops, object, version)];
	*need_version = of->need_version;
	return of->need_object;
}

bool model_lacks(const struct model *model, uint32_t object)
{
	uint32_t need_version = 0, low = model->low[object];
	uint32_t need = need_of(model, object, low, &need_version);
	return need != NONE && low == model->high[object] && model->low[need] < need_version;
}

/* Whether who keeps the order of all that is written never stops there: in the middle of a step,
 * at a size that the step's end hides. */
static bool is_passing(const struct model *model, uint32_t object, uint32_t version)
{
	return model->profile->order == ORDER_ALL && version > 0 &&
	       model->ops->objects[object].kind == OBJECT_SIZE &&
	       model->ops->micros[ops_micro(model->ops, object, version)].flags & MICRO_TOGETHER;
}

bool model_possible(const struct model *model, uint32_t object, uint32_t version)
{
	uint32_t need_version = 0;
	if (version < model->low[object] || version > model->high[object] ||
	    is_passing(model, object, version))
		return false;
	uint32_t need = need_of(model, object, version, &need_version);
	return need == NONE || model->high[need] >= need_version; /* M5 */
}

void model_decide(struct model *model, uint32_t object, uint32_t version)
{
	uint32_t need_version = 0;
	model_raise(model, object, version, 0);
	lower_high(model, object, version);
	uint32_t need = need_of(model, object, version, &need_version);
	if (need != NONE)
		model_raise(model, need, need_version, 0);
}

void model_at_least(struct model *model, uint32_t object, uint32_t version)
{
	model_raise(model, object, version, 0);
}

void model_at_most(struct model *model, uint32_t object, uint32_t version)
{
	lower_high(model, object, version);
}

size_t model_mark(const struct model *model)
{
	return model->n_trail;
}

void model_undo(struct model *model, size_t mark)
{
	while (model->n_trail > mark) {
		struct trail t = model->trail[--model->n_trail];
		model->low[t.object] = t.low;
		model->high[t.object] = t.high;
	}
}

enum named model_naming(const struct model *model, uint32_t ino)
{
	const struct ops *ops = model->ops;
	const struct inode *inode = &ops->inodes[ino];
	enum named named = NAMED_NO;
	for (uint32_t i = 0; i < inode->n_namings; i++) {
		const struct naming *n = &ops->namings[inode->namings + i];
		uint32_t low = model->low[n->object], high = model->high[n->object];
		if (n->version < low || n->version > high)
			continue;
		if (low == high)
			return NAMED_YES;
		named = NAMED_MAYBE;
	}
	return named;
}

bool model_named(const struct model *model, uint32_t ino)
{
	return model_naming(model, ino) != NAMED_NO;
}

/* ---- pending objects ---- */

static void add_pending(struct model *model, uint32_t object)
{
	if (model->pending_at[object] != NONE)
		return;
	model->pending_at[object] = (uint32_t)model->n_pending;
	*MEM_PUSH(model->pending, model->n_pending, model->pending_cap) = object;
	model->sorted = false;
}

/* Forgets those that are no longer pending; nothing may be decided. */
static void drop_settled(struct model *model)
{
	size_t n = 0;
	for (size_t i = 0; i < model->n_pending; i++) {
		uint32_t object = model->pending[i];
		if (model->low[object] == model->newest[object] && !model_lacks(model, object)) {
			model->pending_at[object] = NONE;
			continue;
		}
		model->pending_at[object] = (uint32_t)n;
		model->pending[n++] = object;
	}
	model->n_pending = n;
	model->sorted = false;
}

/* What was raised is on disk for good: it cannot be undone and is in nobody's
 * way any more. */
void model_make_final(struct model *model)
{
	while (model->n_trail) {
		struct trail t = model->trail[--model->n_trail];
		for (uint32_t v = t.low + 1; v <= model->low[t.object]; v++)
			leave_sequence(model, ops_micro(model->ops, t.object, v));
	}
	drop_settled(model);
}

/* The first micro-op that is not certainly on disk, or the last one. */
static uint32_t first_pending(const struct model *model, uint32_t object)
{
	uint32_t low = model->low[object], newest = model->newest[object];
	return ops_micro(model->ops, object, low < newest ? low + 1 : newest);
}

static int compare_pending(const void *a, const void *b, void *arg)
{
	const struct model *model = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int kind = model->ops->objects[x].kind - model->ops->objects[y].kind;
	if (kind)
		return kind;
	uint32_t p = first_pending(model, x), q = first_pending(model, y);
	return (p > q) - (p < q);
}

const uint32_t *model_pending(struct model *model, uint32_t *n)
{
	if (!model->sorted && model->n_pending) {
		qsort_r(model->pending, model->n_pending, sizeof *model->pending, compare_pending,
			model);
		for (size_t i = 0; i < model->n_pending; i++)
			model->pending_at[model->pending[i]] = (uint32_t)i;
		model->sorted = true;
	}
	*n = (uint32_t)model->n_pending;
	return model->pending;
}

/* ---- a micro-op is issued: what it will demand ---- */

/* M3: data written after a truncate or a punched hole implies it; where the block keeps its
 * place since only a part of it became zeros, only under some profiles. */
static void demand_masks(struct model *model, uint32_t micro)
{
	const struct ops *ops = model->ops;
	const struct micro *m = &ops->micros[micro];
	const struct object *o = &ops->objects[m->object];
	const struct inode *inode = &ops->inodes[o->ino];
	uint64_t start = (uint64_t)o->block * BLOCK_BYTES;
	uint32_t i, end;
	if (inode->n_masks == 0)
		return;
	ops_masks(ops, m->object, m->version - 1, model->newest[inode->size_object], &i, &end);
	for (; i < end; i++) {
		const struct mask *k = &ops->masks[i];
		bool whole = k->from <= start && k->to >= start + BLOCK_BYTES;
		if (k->to > start && k->from < start + BLOCK_BYTES &&
		    (whole || model->profile->tail_waits))
			add_demand(model, micro, inode->size_object, ops->micros[k->micro].version,
				   TAG_GROUP);
	}
}

/* A directory that loses its name has lost its entries before. */
static void demand_empty(struct model *model, uint32_t micro, uint32_t dir)
{
	const struct inode *inode = &model->ops->inodes[dir];
	for (uint32_t i = 0; i < inode->n_entries; i++) {
		uint32_t object = model->ops->entry_objects[inode->entries + i];
		add_demand(model, micro, object, model->newest[object], TAG_TREE);
	}
}

/* The newest version of a block that gave it its place on disk. */
static uint32_t allocating_version(const struct model *model, uint32_t object)
{
	for (uint32_t v = model->newest[object]; v > 0; v--)
		if (model->ops->micros[ops_micro(model->ops, object, v)].flags & MICRO_ALLOCATES)
			return v;
	return 0;
}

/* M8: what a rename over an existing file sends first. */
static void demand_replacement(struct model *model, uint32_t micro, uint32_t ino)
{
	const struct ops *ops = model->ops;
	const struct inode *inode = &ops->inodes[ino];
	enum rule_replace rule = model->profile->replace;
	if (rule == REPLACE_FREE)
		return;
	add_demand(model, micro, inode->size_object, model->newest[inode->size_object],
		   TAG_REPLACE);
	if (rule == REPLACE_STARTS)
		return;
	for (uint32_t i = 0; i < inode->n_blocks; i++) {
		uint32_t block = ops->block_objects[inode->blocks + i];
		if (allocating_version(model, block) <= model->low[block])
			continue; /* in place */
		add_demand(model, micro, block, model->newest[block], TAG_REPLACE);
	}
}

/* M5: what this size, where it is the visible one, says of its last block. */
static void note_need(struct model *model, uint32_t micro, uint64_t old_size)
{
	const struct ops *ops = model->ops;
	const struct micro *m = &ops->micros[micro];
	enum rule_size rule = model->profile->size;
	if (rule == SIZE_FREE || !(m->flags & MICRO_GROWTH))
		return;
	uint32_t last = (uint32_t)((m->size - 1) / BLOCK_BYTES);
	uint32_t block = ops_block_object(ops, ops->objects[m->object].ino, last);
	if (block == NONE)
		return; /* a hole, up to the end of which the file grew */
	uint32_t version = model->newest[block];
	bool inside = old_size % BLOCK_BYTES && old_size / BLOCK_BYTES == last;
	if (rule == SIZE_NEW && inside)
		version = allocating_version(model, block);
	if (version) {
		model->of[micro].need_object = block;
		model->of[micro].need_version = version;
	}
}

/* What was synced while the inode had no name comes before the name. */
static void demand_synced(struct model *model, uint32_t micro, uint32_t ino)
{
	const struct ops *ops = model->ops;
	const struct inode *inode = &ops->inodes[ino];
	if (inode->type != INODE_FILE)
		return;
	add_demand(model, micro, inode->size_object, model->nameless[inode->size_object],
		   TAG_GROUP);
	for (uint32_t i = 0; i < inode->n_blocks; i++) {
		uint32_t block = ops->block_objects[inode->blocks + i];
		add_demand(model, micro, block, model->nameless[block], TAG_GROUP);
	}
}

/* M4: ext4's journal is held back until the zeros at the ends of a range are written. */
static void demand_zero_ends(struct model *model, uint32_t micro)
{
	const struct micro *micros = model->ops->micros;
	if (!model->profile->zeros_ordered ||
	    model->ops->trace->events[micros[micro].event].kind != EVENT_ZERO)
		return;
	for (uint32_t i = micro; i-- > 0 && micros[i].event == micros[micro].event;)
		add_demand(model, micro, micros[i].object, micros[i].version, TAG_GROUP);
}

static void issue_entry(struct model *model, uint32_t micro)
{
	const struct ops *ops = model->ops;
	const struct micro *m = &ops->micros[micro];
	if (m->ino)
		demand_synced(model, micro, m->ino);
	bool moved = m->partner != NONE && ops->micros[m->partner].ino == m->old;
	if (m->old && ops->inodes[m->old].type == INODE_DIR && !moved)
		demand_empty(model, micro, m->old);
	if (m->flags & MICRO_REPLACES)
		demand_replacement(model, micro, m->ino);
}

static void issue(struct model *model, uint32_t micro)
{
	const struct ops *ops = model->ops;
	const struct micro *m = &ops->micros[micro];
	uint64_t old_size = 0;
	if (ops->objects[m->object].kind == OBJECT_SIZE)
		old_size = ops_size(ops, m->object, model->newest[m->object]);
	model->newest[m->object] = model->high[m->object] = m->version;
	if (model->profile->order == ORDER_ISSUED) {
		model->low[m->object] = m->version;
		return;
	}
	enter_sequence(model, micro);
	switch (ops->objects[m->object].kind) {
	case OBJECT_ENTRY:
		issue_entry(model, micro);
		break;
	case OBJECT_SIZE:
		note_need(model, micro, old_size);
		demand_zero_ends(model, micro);
		break;
	default:
		demand_masks(model, micro);
	}
	add_pending(model, m->object);
}

/* The halves of a rename demand each other. */
static void tie_halves(struct model *model, uint32_t micro, uint32_t partner)
{
	const struct ops *ops = model->ops;
	const struct micro *a = &ops->micros[micro], *b = &ops->micros[partner];
	bool elsewhere = ops->objects[a->object].ino != ops->objects[b->object].ino;
	bool moves_file = b->ino == 0 && ops->inodes[a->ino].type != INODE_DIR;
	add_demand(model, micro, b->object, b->version,
		   elsewhere && moves_file ? TAG_MOVED : TAG_GROUP);
	add_demand(model, partner, a->object, a->version, TAG_GROUP);
}

/* What is one step: who keeps the order of all that is written has all of it or none.  Of stores
 * that were seen in one look nobody knows the order. */
static void tie_look(struct model *model, uint32_t first, uint32_t last)
{
	const struct micro *m = &model->ops->micros[last];
	if (model->profile->order == ORDER_ALL)
		add_demand(model, first, m->object, m->version, TAG_GROUP);
}

/* Issues the rest of a look; it is one step. */
static void issue_look(struct model *model, uint32_t first)
{
	uint32_t last = first;
	while (model->ops->micros[last].flags & MICRO_TOGETHER) {
		issue(model, ++last);
		model->point++;
	}
	if (last != first)
		tie_look(model, first, last);
}

bool model_advance(struct model *model)
{
	const struct ops *ops = model->ops;
	if (model->point >= ops->n_steps)
		return false;
	const struct step *s = &ops->steps[model->point++];
	if (s->kind == STEP_SYNC)
		settle_sync(model, s->event);
	if (s->kind != STEP_MICRO)
		return true;
	issue(model, s->micro);
	/* Both halves of a rename are one step: neither can be there alone. */
	uint32_t partner = ops->micros[s->micro].partner;
	if (partner != NONE) {
		issue(model, partner);
		model->point++;
		tie_halves(model, s->micro, partner);
	}
	issue_look(model, s->micro);
	return true;
}
