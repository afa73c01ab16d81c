/* Counting the states of a crash point.
 *
 * Objects that have nothing to do with each other multiply; objects that have
 * are split in two by one question, after which they fall apart into groups
 * again: where M4 orders them, "is the middle one of the sequence on disk?";
 * elsewhere, "is the first object at least at its middle version?".  Either way
 * half of it is settled: most blocks are then below every size that is left, or
 * above.  This is exact.  Where it would take more than the work allowed, a group
 * counts as one state: then the result is a lower bound.
 *
 * What has to do with what:
 *   - a demand that is still open joins two objects
 *   - a sequence of M4 joins all its open members
 *   - a size and the blocks that it may or may not cover, or needs (M5)
 *   - an entry and the contents of what it may or may not name
 *
 * Torn blocks (M10, one a state) are counted beside the whole ones: n counts
 * states without, t those with exactly one. */
#include <stdlib.h>

#include "mem.h"
#include "model_private.h"

enum {
	WORK_DEFAULT = 200000,
	/* With more versions than this, only tears between neighbours count. */
	TEAR_VERSIONS_MAX = 32,
};

struct sum {
	uint64_t n, t;
	bool exact;
};

struct counting {
	struct model *model;
	uint64_t work;
	uint32_t *slot;	    /* by place among the pending: 1 + local number, or 0 */
	uint32_t *sequence; /* by sequence: 1 + local number of its first member */
	uint32_t *middle;   /* scratch: micro-ops of a sequence */
	size_t n_middle, middle_cap;
	uint32_t *size_slot;  /* by inode: 1 + local number of its open size */
	uint64_t *size_least; /* by inode: the least of its open sizes */
};

static uint64_t add_up(uint64_t a, uint64_t b, bool *exact)
{
	uint64_t c;
	if (__builtin_add_overflow(a, b, &c)) {
		*exact = false;
		return UINT64_MAX;
	}
	return c;
}

static uint64_t multiply(uint64_t a, uint64_t b, bool *exact)
{
	uint64_t c;
	if (__builtin_mul_overflow(a, b, &c)) {
		*exact = false;
		return UINT64_MAX;
	}
	return c;
}

static struct sum product(struct sum a, struct sum b)
{
	struct sum c = {.exact = a.exact && b.exact};
	c.n = multiply(a.n, b.n, &c.exact);
	c.t = add_up(multiply(a.t, b.n, &c.exact), multiply(a.n, b.t, &c.exact), &c.exact);
	return c;
}

static struct sum sum_of(struct sum a, struct sum b)
{
	struct sum c = {.exact = a.exact && b.exact};
	c.n = add_up(a.n, b.n, &c.exact);
	c.t = add_up(a.t, b.t, &c.exact);
	return c;
}

uint64_t count_tears(const struct ops *ops, uint32_t object, uint32_t newer, uint32_t older)
{
	uint8_t sectors = ops_sectors_differing(ops, object, newer, older);
	uint64_t masks = (uint64_t)1 << __builtin_popcount(sectors);
	return masks > 2 ? masks - 2 : 0;
}

/* An object that nothing else depends on. */
static struct sum count_alone(const struct model *model, uint32_t object)
{
	struct sum s = {.exact = true};
	uint32_t low = model->low[object], high = model->high[object];
	for (uint32_t v = low; v <= high; v++)
		s.n += model_possible(model, object, v);
	if (!model->profile->tears || model->ops->objects[object].kind != OBJECT_BLOCK)
		return s;
	bool few = high - low <= TEAR_VERSIONS_MAX;
	for (uint32_t v = low + 1; v <= high; v++)
		for (uint32_t u = v; u-- > low;) {
			s.t += count_tears(model->ops, object, v, u);
			if (!few)
				break;
		}
	s.exact = few;
	return s;
}

/* ---- groups: union-find over local numbers ---- */

static uint32_t find(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i)
		i = parent[i] = parent[parent[i]];
	return i;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b)
{
	a = find(parent, a);
	b = find(parent, b);
	/* The least number leads, so that groups keep the order of deciding. */
	if (a < b)
		parent[b] = a;
	else
		parent[a] = b;
}

static uint32_t slot_of(const struct counting *c, uint32_t object)
{
	uint32_t at = c->model->pending_at[object];
	return at == NONE ? 0 : c->slot[at];
}

static void join_micro(struct counting *c, uint32_t *parent, uint32_t i, uint32_t micro)
{
	const struct model *model = c->model;
	const struct of_micro *of = &model->of[micro];
	for (uint32_t k = of->demands; k != NONE; k = model->demands[k].next) {
		const struct demand *d = &model->demands[k];
		uint32_t other = slot_of(c, d->object);
		if (other && model->low[d->object] < d->version)
			join(parent, i, other - 1);
	}
	if (of->sequence != NONE) {
		if (c->sequence[of->sequence])
			join(parent, i, c->sequence[of->sequence] - 1);
		else
			c->sequence[of->sequence] = i + 1;
	}
}

/* M5: a size joins the data that it may ask for. */
static void join_needs(struct counting *c, uint32_t *parent, uint32_t i, uint32_t object)
{
	const struct model *model = c->model;
	uint32_t low = model->low[object];
	for (uint32_t v = low ? low : 1; v <= model->high[object]; v++) {
		uint32_t need = model->of[ops_micro(model->ops, object, v)].need_object;
		if (need != NONE && slot_of(c, need))
			join(parent, i, slot_of(c, need) - 1);
	}
}

/* Contents join the entries that may or may not name them. */
static void join_names(struct counting *c, uint32_t *parent, uint32_t i, uint32_t ino)
{
	const struct model *model = c->model;
	const struct inode *inode = &model->ops->inodes[ino];
	if (model_naming(model, ino) != NAMED_MAYBE)
		return;
	for (uint32_t k = 0; k < inode->n_namings; k++) {
		const struct naming *n = &model->ops->namings[inode->namings + k];
		uint32_t other = slot_of(c, n->object);
		if (other)
			join(parent, i, other - 1);
	}
}

static void join_block_to_size(struct counting *c, uint32_t *parent, uint32_t i,
			       const struct object *o)
{
	uint32_t size = c->size_slot[o->ino];
	if (size && (uint64_t)o->block * BLOCK_BYTES >= c->size_least[o->ino])
		join(parent, i, size - 1);
}

static uint64_t least_size(const struct model *model, uint32_t object)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t v = model->low[object]; v <= model->high[object]; v++) {
		uint64_t size = ops_size(model->ops, object, v);
		least = size < least ? size : least;
	}
	return least;
}

/* Whether an object is a choice at all, given what is decided. */
static bool open_choice(const struct model *model, uint32_t object)
{
	const struct object *o = &model->ops->objects[object];
	if (model->low[object] == model->high[object] && !model_lacks(model, object))
		return false;
	if (o->kind == OBJECT_ENTRY)
		return true;
	if (model_naming(model, o->ino) == NAMED_NO)
		return false;
	if (o->kind == OBJECT_SIZE)
		return true;
	uint32_t size = model->ops->inodes[o->ino].size_object;
	return model->low[size] != model->high[size] ||
	       (uint64_t)o->block * BLOCK_BYTES < ops_size(model->ops, size, model->low[size]);
}

/* Fills parent for the objects of vars. */
static void group(struct counting *c, const uint32_t *vars, uint32_t n, uint32_t *parent)
{
	const struct model *model = c->model;
	for (uint32_t i = 0; i < n; i++) {
		const struct object *o = &model->ops->objects[vars[i]];
		parent[i] = i;
		c->slot[model->pending_at[vars[i]]] = i + 1;
		if (o->kind == OBJECT_SIZE) {
			c->size_slot[o->ino] = i + 1;
			c->size_least[o->ino] = least_size(model, vars[i]);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct object *o = &model->ops->objects[vars[i]];
		for (uint32_t v = model->low[vars[i]] + 1; v <= model->high[vars[i]]; v++)
			join_micro(c, parent, i, ops_micro(model->ops, vars[i], v));
		if (o->kind == OBJECT_SIZE)
			join_needs(c, parent, i, vars[i]);
		if (o->kind != OBJECT_ENTRY)
			join_names(c, parent, i, o->ino);
		if (o->kind == OBJECT_BLOCK)
			join_block_to_size(c, parent, i, o);
	}
	/* Leave the tables as they were found. */
	for (uint32_t i = 0; i < n; i++) {
		const struct object *o = &model->ops->objects[vars[i]];
		c->slot[model->pending_at[vars[i]]] = 0;
		if (o->kind == OBJECT_SIZE)
			c->size_slot[o->ino] = 0;
		for (uint32_t v = model->low[vars[i]] + 1; v <= model->high[vars[i]]; v++) {
			uint32_t s = model->of[ops_micro(model->ops, vars[i], v)].sequence;
			if (s != NONE)
				c->sequence[s] = 0;
		}
	}
}

static struct sum count_all(struct counting *c, const uint32_t *vars, uint32_t n);

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Whether all that is said of an object can be seen, whatever else is decided:
 * a question about anything else might count one state twice. */
static bool surely_seen(const struct model *model, uint32_t object)
{
	const struct object *o = &model->ops->objects[object];
	return o->kind == OBJECT_ENTRY ||
	       (o->kind == OBJECT_SIZE && model_naming(model, o->ino) == NAMED_YES);
}

/* The middle one of the open micro-ops that sequences order and that can be
 * seen; NONE where there are not two of them. */
static uint32_t middle_of_sequence(struct counting *c, const uint32_t *vars, uint32_t n)
{
	const struct model *model = c->model;
	c->n_middle = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t low = model->low[vars[i]], high = model->high[vars[i]];
		if (low == high || !surely_seen(model, vars[i]))
			continue;
		for (uint32_t v = low + 1; v <= high; v++) {
			uint32_t m = ops_micro(model->ops, vars[i], v);
			if (model->of[m].sequence != NONE)
				*MEM_PUSH(c->middle, c->n_middle, c->middle_cap) = m;
		}
	}
	if (c->n_middle < 2)
		return NONE;
	qsort(c->middle, c->n_middle, sizeof *c->middle, compare_u32);
	return c->middle[c->n_middle / 2];
}

static struct sum count_halves(struct counting *c, const uint32_t *vars, uint32_t n, uint32_t micro)
{
	struct model *model = c->model;
	const struct micro *m = &model->ops->micros[micro];
	size_t mark = model_mark(model);
	model_at_least(model, m->object, m->version);
	struct sum with = count_all(c, vars, n);
	model_undo(model, mark);
	model_at_most(model, m->object, m->version - 1);
	struct sum without = count_all(c, vars, n);
	model_undo(model, mark);
	return sum_of(with, without);
}

/* The group's objects are in the order of deciding, so that the first one can be
 * seen whatever else is decided. */
static struct sum count_group(struct counting *c, const uint32_t *vars, uint32_t n)
{
	struct model *model = c->model;
	struct sum s = {.exact = true};
	if (n == 1)
		return count_alone(model, vars[0]);
	uint32_t first = vars[0], low = model->low[first], high = model->high[first];
	uint32_t middle = middle_of_sequence(c, vars, n);
	if (middle == NONE && low < high)
		middle = ops_micro(model->ops, first, low + (high - low + 1) / 2);
	if (middle != NONE)
		return count_halves(c, vars, n, middle);
	/* A size without a choice, which may lack its data (M5). */
	if (!model_possible(model, first, low))
		return s;
	size_t mark = model_mark(model);
	model_decide(model, first, low);
	s = count_all(c, vars + 1, n - 1);
	model_undo(model, mark);
	return s;
}

/* Splits vars into groups and multiplies. */
static struct sum count_all(struct counting *c, const uint32_t *vars, uint32_t n)
{
	struct sum s = {.n = 1, .exact = true};
	uint32_t m = 0;
	if (c->work < n + 1) {
		s.exact = false;
		return s;
	}
	c->work -= n + 1;
	uint32_t *open = mem_alloc((size_t)n * 3, sizeof *open);
	uint32_t *parent = open + n, *members = parent + n;
	for (uint32_t i = 0; i < n; i++)
		if (open_choice(c->model, vars[i]))
			open[m++] = vars[i];
	group(c, open, m, parent);
	for (uint32_t i = 0; i < m; i++)
		parent[i] = find(parent, i);
	for (uint32_t lead = 0; lead < m; lead++) {
		uint32_t k = 0;
		if (parent[lead] != lead)
			continue;
		for (uint32_t i = lead; i < m; i++)
			if (parent[i] == lead)
				members[k++] = open[i];
		s = product(s, count_group(c, members, k));
	}
	free(open);
	return s;
}

struct count model_count(struct model *model, uint64_t work)
{
	uint32_t n;
	const uint32_t *pending = model_pending(model, &n);
	size_t inodes = (size_t)model->ops->n_inodes + 1;
	if (n == 0)
		return (struct count){1, true};
	struct counting c = {
		.model = model,
		.work = work ? work : WORK_DEFAULT,
		.slot = mem_alloc(n, sizeof *c.slot),
		.sequence = mem_alloc(inodes, sizeof *c.sequence),
		.size_slot = mem_alloc(inodes, sizeof *c.size_slot),
		.size_least = mem_alloc(inodes, sizeof *c.size_least),
	};
	struct sum s = count_all(&c, pending, n);
	free(c.slot);
	free(c.middle);
	free(c.sequence);
	free(c.size_slot);
	free(c.size_least);
	struct count count = {.exact = s.exact};
	count.states = add_up(s.n, s.t, &count.exact);
	return count;
}
