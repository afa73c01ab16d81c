/* The search.
 *
 * A1  Only what can be seen is decided.  Names first, from the root down: what a
 *     name stands for must be of the type seen, and one inode is all names that were
 *     seen to be links of one file, and no others.  A directory that has its place
 *     asks for its names in turn.
 * A2  Before anything is decided, each inode is held against each node that it might
 *     be: whether some size and some version of each block reads like it.  What does
 *     not is no candidate for a name.  A name with no candidate left ends a branch
 *     at once, and one with a single candidate needs no branch.
 * A3  Then sizes and blocks, inode by inode.  Of two versions that mean the same for
 *     all that is still to be decided, only the newer is tried.  Under M4 the others
 *     are told apart by how much of its sequence is on disk, and no such question is
 *     asked twice, so there are no more branches than places in the sequence;
 *     without M4 inodes have nothing to do with each other.
 * A4  A torn block (M10) is taken where no whole version reads as what was seen, and
 *     only one.
 * A5  What cannot be seen is free, and comes last: by then every choice is possible
 *     (model.c), so it is as new as it can be. */
#include "admits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "admits_private.h"
#include "choose.h"
#include "mem.h"

enum { WORK_DEFAULT = 1000000 };

struct known_key {
	uint32_t ino, node;
};

struct known {
	UT_hash_handle hh;
	struct known_key key;
	enum cost cost;
};

/* False once the work allowed is done. */
static bool spend(struct search *s)
{
	if (s->work == 0)
		s->spent = true;
	else
		s->work--;
	return !s->spent;
}

/* ---- contents: what a version reads as ---- */

static bool same_digest(struct digest a, struct digest b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

/* Makes zeros of what a program does not see of a block's bytes. */
static void hide(const struct search *s, uint32_t object, uint32_t version, uint32_t size_version,
		 uint64_t visible, uint8_t *bytes)
{
	uint32_t first, end;
	ops_masks(s->ops, object, version, size_version, &first, &end);
	ops_mask_block(s->ops, object, first, end, bytes);
	if (visible < BLOCK_BYTES)
		memset(bytes + visible, 0, BLOCK_BYTES - visible);
}

/* How many bytes there are from the beginning of a block to the end of the file. */
static uint64_t visible_bytes(const struct search *s, uint32_t node, uint32_t block)
{
	return seen_node(s->seen, node)->size - (uint64_t)block * BLOCK_BYTES;
}

bool search_reads(struct search *s, uint32_t object, uint32_t version, uint32_t size_version,
		  uint32_t node, uint32_t block)
{
	const struct ops *ops = s->ops;
	const struct data_version *data = &ops->data[ops_data(ops, object, version)];
	uint64_t visible = visible_bytes(s, node, block);
	struct digest want = seen_block(s->seen, node, block), d = {data->lo, data->hi};
	uint32_t first, end;
	ops_masks(ops, object, version, size_version, &first, &end);
	if (visible < data->extent || ops_mask_block(ops, object, first, end, NULL)) {
		uint8_t bytes[BLOCK_BYTES];
		if (!spend(s))
			return false;
		ops_content(ops, object, version, bytes);
		hide(s, object, version, size_version, visible, bytes);
		ops_digest(bytes, &d.lo, &d.hi);
	}
	return same_digest(d, want);
}

/* ---- torn blocks ---- */

/* A version of a block on top of an older one, both as a program would see them. */
struct layers {
	uint8_t newer[BLOCK_BYTES], older[BLOCK_BYTES];
	uint8_t differing; /* sectors that a tear may leave old */
};

static bool sector_is(const uint8_t *a, const uint8_t *b, size_t sector)
{
	return memcmp(a + sector * SECTOR_BYTES, b + sector * SECTOR_BYTES, SECTOR_BYTES) == 0;
}

/* Which sectors are new, by the bytes seen. */
static bool tear_by_data(const struct layers *l, const uint8_t *bytes, uint8_t *sectors)
{
	uint8_t must = 0, may = 0;
	for (size_t i = 0; i < BLOCK_SECTORS; i++) {
		bool new = sector_is(bytes, l->newer, i), old = sector_is(bytes, l->older, i);
		uint8_t bit = (uint8_t)(1u << i);
		if (!new && (!old || !(l->differing & bit)))
			return false;
		if (new && l->differing & bit)
			*(old ? &may : &must) |= bit;
	}
	*sectors = must | may;
	/* All new is not torn: then one that looks the same either way is old. */
	if (*sectors == l->differing)
		*sectors = (uint8_t)(*sectors & ~(may & -may));
	return *sectors && *sectors != l->differing;
}

/* The same where only a digest is known: one combination after the other. */
static bool tear_by_digest(struct search *s, const struct layers *l, struct digest want,
			   uint8_t *sectors)
{
	uint8_t bytes[BLOCK_BYTES];
	/* All proper parts of the set, from the largest. */
	for (uint8_t set = (uint8_t)((l->differing - 1) & l->differing); set;
	     set = (uint8_t)((set - 1) & l->differing)) {
		struct digest d;
		if (!spend(s))
			return false;
		memcpy(bytes, l->newer, sizeof bytes);
		for (size_t i = 0; i < BLOCK_SECTORS; i++)
			if ((l->differing & ~set) >> i & 1)
				memcpy(bytes + i * SECTOR_BYTES, l->older + i * SECTOR_BYTES,
				       SECTOR_BYTES);
		ops_digest(bytes, &d.lo, &d.hi);
		if (same_digest(d, want)) {
			*sectors = set;
			return true;
		}
	}
	return false;
}

/* Works out which sectors of all versions that a block may have look like those seen,
 * where their bytes are known.  A tear takes each sector from one of two versions, so
 * most pairs need no closer look. */
static void match_sectors(struct search *s, uint32_t object, uint32_t size_version, uint32_t node,
			  uint32_t block)
{
	struct matches *m = &s->matches;
	const uint8_t *bytes = seen_data(s->seen, node, block);
	uint32_t low = s->model->low[object], high = s->model->high[object];
	if (m->set && m->object == object && m->size_version == size_version && m->node == node &&
	    m->low == low && m->high == high)
		return;
	*m = (struct matches){object, size_version, node, low, high, m->set, m->cap};
	m->set = mem_grow(m->set, &m->cap, high - low + 1, 1);
	for (uint32_t v = low; v <= high; v++) {
		uint8_t version[BLOCK_BYTES], set = 0;
		ops_content(s->ops, object, v, version);
		hide(s, object, v, size_version, visible_bytes(s, node, block), version);
		for (size_t i = 0; i < BLOCK_SECTORS; i++)
			set |= (uint8_t)(sector_is(bytes, version, i) << i);
		m->set[v - low] = set;
	}
}

/* Whether each sector seen may come from one of two versions. */
static bool may_be_torn(const struct search *s, uint32_t newer, uint32_t older)
{
	const struct matches *m = &s->matches;
	return (m->set[newer - m->low] | m->set[older - m->low]) == UINT8_MAX;
}

/* A tear of a version of a block that reads as what was seen. */
static bool find_tear(struct search *s, uint32_t object, uint32_t version, uint32_t size_version,
		      uint32_t node, uint32_t block, struct tear *tear)
{
	const uint8_t *bytes = seen_data(s->seen, node, block);
	struct digest want = seen_block(s->seen, node, block);
	uint64_t visible = visible_bytes(s, node, block);
	struct layers l;
	uint8_t set = 0;
	if (bytes)
		match_sectors(s, object, size_version, node, block);
	ops_content(s->ops, object, version, l.newer);
	hide(s, object, version, size_version, visible, l.newer);
	for (uint32_t u = version; u-- > s->model->low[object];) {
		if (bytes && !may_be_torn(s, version, u))
			continue;
		if (!spend(s))
			return false;
		l.differing = ops_sectors_differing(s->ops, object, version, u);
		ops_content_under(s->ops, object, u, version, l.older);
		hide(s, object, version, size_version, visible, l.older);
		if (bytes ? tear_by_data(&l, bytes, &set) : tear_by_digest(s, &l, want, &set)) {
			/* Sectors that do not differ count as new (choose.c). */
			*tear = (struct tear){object, u, (uint8_t)(set | ~l.differing)};
			return true;
		}
	}
	return false;
}

/* ---- A2: what an inode costs as a node ---- */

static bool reads_in_any(struct search *s, uint32_t object, uint32_t size_version, uint32_t node,
			 uint32_t block)
{
	for (uint32_t v = s->model->high[object] + 1; v-- > s->model->low[object];)
		if (search_reads(s, object, v, size_version, node, block))
			return true;
	return false;
}

static bool torn_in_any(struct search *s, uint32_t object, uint32_t size_version, uint32_t node,
			uint32_t block)
{
	struct tear tear;
	if (!s->model->profile->tears)
		return false;
	for (uint32_t v = s->model->high[object]; v > s->model->low[object]; v--)
		if (find_tear(s, object, v, size_version, node, block, &tear))
			return true;
	return false;
}

static bool is_zeros(const struct search *s, uint32_t node, uint32_t block)
{
	return same_digest(seen_block(s->seen, node, block), (struct digest){0, 0});
}

/* Of all blocks, with the size decided. */
static enum cost blocks_cost(struct search *s, uint32_t ino, uint32_t node, uint32_t size_version)
{
	const struct inode *inode = &s->ops->inodes[ino];
	uint32_t n = seen_node(s->seen, node)->n_blocks, next = 0;
	enum cost cost = COST_NONE;
	for (uint32_t block = 0; block < n; block++) {
		uint32_t object = NONE;
		if (next < inode->n_blocks)
			object = s->ops->block_objects[inode->blocks + next];
		if (object == NONE || s->ops->objects[object].block != block) {
			if (!is_zeros(s, node, block))
				return COST_IMPOSSIBLE;
			continue;
		}
		next++;
		if (reads_in_any(s, object, size_version, node, block))
			continue;
		if (cost == COST_TORN || !torn_in_any(s, object, size_version, node, block))
			return COST_IMPOSSIBLE;
		cost = COST_TORN;
	}
	return cost;
}

static enum cost file_cost(struct search *s, uint32_t ino, uint32_t node)
{
	struct model *model = s->model;
	uint32_t size = s->ops->inodes[ino].size_object;
	enum cost best = COST_IMPOSSIBLE;
	for (uint32_t v = model->high[size] + 1; v-- > model->low[size] && best != COST_NONE;) {
		if (ops_size(s->ops, size, v) != seen_node(s->seen, node)->size ||
		    !model_possible(model, size, v))
			continue;
		if (!spend(s))
			break;
		size_t mark = model_mark(model);
		model_decide(model, size, v);
		enum cost cost = blocks_cost(s, ino, node, v);
		best = cost < best ? cost : best;
		model_undo(model, mark);
	}
	return best;
}

static enum cost symlink_cost(const struct search *s, uint32_t ino, uint32_t node)
{
	const struct inode *inode = &s->ops->inodes[ino];
	if (inode->start_size != seen_node(s->seen, node)->size)
		return COST_IMPOSSIBLE;
	for (uint64_t at = 0; at < inode->start_size; at += BLOCK_BYTES) {
		uint64_t left = inode->start_size - at;
		uint8_t bytes[BLOCK_BYTES] = {0};
		struct digest d;
		memcpy(bytes, inode->start_data + at, left < BLOCK_BYTES ? left : BLOCK_BYTES);
		ops_digest(bytes, &d.lo, &d.hi);
		if (!same_digest(d, seen_block(s->seen, node, (uint32_t)(at / BLOCK_BYTES))))
			return COST_IMPOSSIBLE;
	}
	return COST_NONE;
}

static struct known *find_known(const struct search *s, uint32_t ino, uint32_t node)
{
	struct known_key key = {ino, seen_node(s->seen, node)->first};
	struct known *known;
	HASH_FIND(hh, s->known, &key, sizeof key, known);
	return known;
}

enum cost search_cost(const struct search *s, uint32_t ino, uint32_t node)
{
	const struct known *known = find_known(s, ino, node);
	return known ? known->cost : COST_IMPOSSIBLE;
}

/* ---- names and nodes ---- */

/* The node of an entry of a directory, or NONE. */
static uint32_t node_below(const struct search *s, uint32_t dir, const char *name)
{
	struct buf path = {0};
	if (dir != NONE)
		buf_printf(&path, "%s/", seen_path(s->seen, dir));
	buf_string(&path, name);
	uint32_t node = seen_find(s->seen, buf_text(&path));
	buf_finish(&path);
	return node;
}

/* The node of the directory that a node is in, or NONE. */
static uint32_t node_above(const struct search *s, uint32_t node)
{
	const char *path = seen_path(s->seen, node), *slash = strrchr(path, '/');
	if (!slash)
		return NONE;
	char *above = mem_dup(path, (size_t)(slash - path));
	uint32_t dir = seen_find(s->seen, above);
	free(above);
	return dir;
}

static void expand(struct search *s, uint32_t dir, uint32_t dir_node);

/* Works out what an inode costs as a node, once. */
static void learn(struct search *s, uint32_t ino, uint32_t node)
{
	uint8_t type = s->ops->inodes[ino].type;
	if (type != seen_node(s->seen, node)->type || find_known(s, ino, node))
		return;
	struct known *known = mem_alloc(1, sizeof *known);
	known->key = (struct known_key){ino, seen_node(s->seen, node)->first};
	HASH_ADD(hh, s->known, key, sizeof known->key, known);
	known->cost = type == INODE_FILE      ? file_cost(s, ino, node)
		      : type == INODE_SYMLINK ? symlink_cost(s, ino, node)
					      : COST_NONE;
	if (type == INODE_DIR)
		expand(s, ino, node);
}

/* What may be in a directory that may be that node. */
static void expand(struct search *s, uint32_t dir, uint32_t dir_node)
{
	const struct inode *inode = &s->ops->inodes[dir];
	for (uint32_t i = 0; i < inode->n_entries && !s->spent; i++) {
		uint32_t object = s->ops->entry_objects[inode->entries + i];
		uint32_t node = node_below(s, dir_node, s->ops->objects[object].name);
		for (uint32_t v = s->model->low[object];
		     v <= s->model->high[object] && node != NONE; v++) {
			uint32_t ino = ops_entry(s->ops, object, v);
			if (ino)
				learn(s, ino, node);
		}
	}
}

/* ---- A1: names ---- */

static void note_trouble(struct search *s, size_t depth, struct trouble trouble)
{
	if (depth <= s->trouble.depth)
		return;
	trouble.depth = depth;
	s->trouble = trouble;
}

static bool is_bound(const struct search *s, uint32_t ino)
{
	return s->node_of[ino] != NONE;
}

/* Whether an inode may be at a node beside what has its place already. */
static bool may_be(const struct search *s, uint32_t ino, uint32_t node)
{
	uint32_t first = seen_node(s->seen, node)->first;
	if (is_bound(s, ino))
		return s->node_of[ino] == first && s->ops->inodes[ino].type != INODE_DIR;
	if (s->ino_of[first])
		return false;
	enum cost cost = search_cost(s, ino, node);
	return cost == COST_NONE || (cost == COST_TORN && s->n_torn == 0);
}

static bool entry_fits(const struct search *s, const struct variable *variable, uint32_t version)
{
	uint32_t ino = ops_entry(s->ops, variable->object, version);
	if (variable->node == NONE)
		return ino == 0;
	return ino != 0 && may_be(s, ino, variable->node);
}

/* Gives an inode its place. */
static void bind(struct search *s, uint32_t ino, uint32_t node, enum cost cost)
{
	uint32_t first = seen_node(s->seen, node)->first;
	*MEM_PUSH(s->bindings, s->n_bindings, s->bindings_cap) =
		(struct binding){ino, first, cost, (uint32_t)s->n_variables};
	s->node_of[ino] = first;
	s->ino_of[first] = ino;
	s->n_torn += cost == COST_TORN;
}

/* The entries of a directory that has its place; false where a name was seen there
 * that it never had. */
static bool add_entries(struct search *s, uint32_t dir, uint32_t dir_node)
{
	const struct inode *inode = &s->ops->inodes[dir];
	uint32_t left = s->children[dir_node == NONE ? 0 : 1 + dir_node];
	for (uint32_t i = 0; i < inode->n_entries; i++) {
		uint32_t object = s->ops->entry_objects[inode->entries + i];
		uint32_t node = node_below(s, dir_node, s->ops->objects[object].name);
		left -= node != NONE;
		*MEM_PUSH(s->variables, s->n_variables, s->variables_cap) =
			(struct variable){object, dir_node, node, false};
	}
	if (left)
		note_trouble(s, s->n_decided + 1,
			     (struct trouble){.object = NONE, .dir = dir_node, .node = NONE});
	return left == 0;
}

static bool decide_entry(struct search *s, uint32_t i, uint32_t version)
{
	const struct variable v = s->variables[i];
	uint32_t ino = ops_entry(s->ops, v.object, version);
	model_decide(s->model, v.object, version);
	s->variables[i].decided = true;
	*MEM_PUSH(s->decided, s->n_decided, s->decided_cap) = i;
	if (!ino || is_bound(s, ino))
		return true;
	bind(s, ino, v.node, search_cost(s, ino, v.node));
	return s->ops->inodes[ino].type != INODE_DIR || add_entries(s, ino, v.node);
}

/* Where a branch began. */
struct place {
	size_t mark, n_decided, n_bindings;
};

static struct place here(const struct search *s)
{
	return (struct place){model_mark(s->model), s->n_decided, s->n_bindings};
}

static void go_back(struct search *s, struct place place)
{
	model_undo(s->model, place.mark);
	while (s->n_decided > place.n_decided)
		s->variables[s->decided[--s->n_decided]].decided = false;
	while (s->n_bindings > place.n_bindings) {
		const struct binding *b = &s->bindings[--s->n_bindings];
		s->node_of[b->ino] = NONE;
		s->ino_of[b->node] = 0;
		s->n_torn -= b->cost == COST_TORN;
		s->n_variables = b->n_variables;
	}
}

/* How many versions of an entry fit, up to two, and the newest of them. */
static unsigned count_fitting(const struct search *s, const struct variable *v, uint32_t *newest)
{
	unsigned n = 0;
	for (uint32_t version = s->model->high[v->object] + 1;
	     version-- > s->model->low[v->object] && n < 2;)
		if (entry_fits(s, v, version) && n++ == 0)
			*newest = version;
	return n;
}

/* The entry to decide next: one with fewer than two candidates, else the first. */
static uint32_t pick(const struct search *s, unsigned *candidates, uint32_t *newest)
{
	uint32_t first = NONE, version = 0;
	*candidates = 0;
	for (uint32_t i = 0; i < s->n_variables; i++) {
		if (s->variables[i].decided)
			continue;
		unsigned n = count_fitting(s, &s->variables[i], &version);
		if (first == NONE || n < 2) {
			first = i;
			*candidates = n;
			*newest = version;
		}
		if (n < 2)
			break;
	}
	return first;
}

static bool is_content(const struct object *o)
{
	return o->kind != OBJECT_ENTRY;
}

/* Whether a micro-op on disk or not makes a difference to anything but the contents
 * of its own inode. */
static bool matters(const struct search *s, uint32_t micro)
{
	const struct model *model = s->model;
	const struct of_micro *of = &model->of[micro];
	const struct object *own = &s->ops->objects[s->ops->micros[micro].object];
	if (of->sequence != NONE)
		return true;
	for (uint32_t i = of->demands; i != NONE; i = model->demands[i].next) {
		const struct object *o = &s->ops->objects[model->demands[i].object];
		if (!is_content(o) || !is_content(own) || o->ino != own->ino)
			return true;
	}
	for (uint32_t i = of->demanded; i != NONE; i = model->demands[i].next_back) {
		const struct micro *m = &s->ops->micros[model->demands[i].micro];
		const struct object *o = &s->ops->objects[m->object];
		bool decided =
			model->low[m->object] >= m->version || model->high[m->object] < m->version;
		if (!decided && (!is_content(o) || !is_content(own) || o->ino != own->ino))
			return true;
	}
	return false;
}

/* Whether two versions of an object mean the same for everything else. */
static bool alike(const struct search *s, uint32_t object, uint32_t older, uint32_t newer)
{
	for (uint32_t v = newer; v > older; v--)
		if (matters(s, ops_micro(s->ops, object, v)))
			return false;
	return true;
}

/* Whether a newer version of an entry that was tried is as good as this one. */
static bool tried_entry(const struct search *s, uint32_t object, uint32_t version, uint32_t high)
{
	for (uint32_t v = version + 1; v <= high; v++) {
		if (matters(s, ops_micro(s->ops, object, v)))
			return false;
		if (ops_entry(s->ops, object, v) == ops_entry(s->ops, object, version))
			return true;
	}
	return false;
}

static bool solve_contents(struct search *s);
static bool solve_names(struct search *s);

static bool branch(struct search *s, uint32_t i)
{
	uint32_t object = s->variables[i].object;
	uint32_t high = s->model->high[object], low = s->model->low[object];
	struct place place = here(s);
	for (uint32_t v = high + 1; v-- > low;) {
		if (!entry_fits(s, &s->variables[i], v) || tried_entry(s, object, v, high))
			continue;
		if (!spend(s))
			return false;
		if (decide_entry(s, i, v) && solve_names(s))
			return true;
		go_back(s, place);
	}
	return false;
}

/* Decides all entries that can be seen, then contents.  After a failure the caller
 * goes back. */
static bool solve_names(struct search *s)
{
	for (;;) {
		unsigned n;
		uint32_t version = 0, i = pick(s, &n, &version);
		if (i == NONE)
			return solve_contents(s);
		if (n > 1)
			return branch(s, i);
		if (n == 0) {
			const struct variable *v = &s->variables[i];
			note_trouble(s, s->n_decided + 1,
				     (struct trouble){.object = v->object,
						      .dir = v->dir,
						      .node = v->node,
						      .block = NONE});
			return false;
		}
		if (!spend(s) || !decide_entry(s, i, version))
			return false;
	}
}

/* ---- A3: sizes and blocks ---- */

static void list_choices(struct search *s)
{
	s->n_choices = 0;
	for (size_t i = 0; i < s->n_bindings; i++) {
		const struct binding *b = &s->bindings[i];
		const struct inode *inode = &s->ops->inodes[b->ino];
		uint32_t size = (uint32_t)s->n_choices;
		if (inode->type != INODE_FILE)
			continue;
		*MEM_PUSH(s->choices, s->n_choices, s->choices_cap) = (struct choice){
			.object = inode->size_object, .node = b->node, .block = NONE, .size = size};
		for (uint32_t k = 0; k < inode->n_blocks; k++) {
			uint32_t object = s->ops->block_objects[inode->blocks + k];
			uint32_t block = s->ops->objects[object].block;
			if (block >= seen_node(s->seen, b->node)->n_blocks)
				break;
			*MEM_PUSH(s->choices, s->n_choices, s->choices_cap) = (struct choice){
				.object = object, .node = b->node, .block = block, .size = size};
		}
	}
}

static void take_back(struct search *s, struct choice *c)
{
	model_undo(s->model, c->mark);
	if (c->torn)
		s->tear.object = NONE;
	c->torn = false;
}

/* The next candidate of a size: its versions, the newest first; then, where a block
 * may be torn, once more. */
static bool next_size(struct search *s, struct choice *c)
{
	struct model *model = s->model;
	uint32_t high = model->high[c->object], n = high - model->low[c->object] + 1;
	bool tears = model->profile->tears && s->tear.object == NONE;
	for (; c->tried < (tears ? 2 * n : n); c->tried++) {
		uint32_t v = high - c->tried % n;
		if (ops_size(s->ops, c->object, v) != seen_node(s->seen, c->node)->size ||
		    !model_possible(model, c->object, v))
			continue;
		if (c->fitted && alike(s, c->object, v < c->last_fit ? v : c->last_fit,
				       v < c->last_fit ? c->last_fit : v))
			continue;
		if (!spend(s))
			return false;
		c->may_tear = c->tried >= n;
		c->chosen = v;
		c->tried++;
		model_decide(model, c->object, v);
		return true;
	}
	return false;
}

/* The next candidate of a block: its versions, the newest first; then, where its file
 * may have one, torn ones. */
static bool next_block(struct search *s, struct choice *c)
{
	struct model *model = s->model;
	const struct choice *size = &s->choices[c->size];
	uint32_t high = model->high[c->object], n = high - model->low[c->object] + 1;
	bool again = c->tried > 0, tears = size->may_tear && s->tear.object == NONE;
	for (; c->tried < (tears ? 2 * n - 1 : n); c->tried++) {
		uint32_t v = high - c->tried % n;
		struct tear tear = {.object = NONE};
		if (again && alike(s, c->object, v < c->chosen ? v : c->chosen,
				   v < c->chosen ? c->chosen : v))
			continue;
		if (n > 1 && !spend(s))
			return false;
		if (c->tried >= n
			    ? !find_tear(s, c->object, v, size->chosen, c->node, c->block, &tear)
			    : !search_reads(s, c->object, v, size->chosen, c->node, c->block))
			continue;
		c->chosen = v;
		c->torn = tear.object != NONE;
		if (c->torn)
			s->tear = tear;
		c->tried++;
		model_decide(model, c->object, v);
		return true;
	}
	return false;
}

static bool next_candidate(struct search *s, struct choice *c)
{
	return c->block == NONE ? next_size(s, c) : next_block(s, c);
}

/* A choice has a candidate: if it was the last of its file, the size fits. */
static void note_fit(struct search *s, size_t i)
{
	struct choice *size = &s->choices[s->choices[i].size];
	if (i + 1 < s->n_choices && s->choices[i + 1].size == s->choices[i].size)
		return;
	size->fitted = true;
	size->last_fit = size->chosen;
}

static void begin_choice(struct search *s, size_t i)
{
	struct choice *c = &s->choices[i];
	c->tried = 0;
	c->fitted = c->torn = false;
	c->mark = model_mark(s->model);
}

static bool solve_contents(struct search *s)
{
	size_t i = 0;
	list_choices(s);
	s->tear.object = NONE;
	if (s->n_choices)
		begin_choice(s, 0);
	while (i < s->n_choices) {
		struct choice *c = &s->choices[i];
		if (next_candidate(s, c)) {
			note_fit(s, i++);
			if (i < s->n_choices)
				begin_choice(s, i);
			continue;
		}
		if (s->spent)
			return false; /* the caller undoes all at once */
		note_trouble(s, s->n_decided + i + 1,
			     (struct trouble){.object = c->object,
					      .dir = NONE,
					      .node = c->node,
					      .block = c->block});
		if (i == 0)
			return false;
		take_back(s, &s->choices[--i]);
	}
	return true;
}

/* ---- the whole ---- */

void search_init(struct search *s, struct model *model, const struct seen *seen, uint64_t work)
{
	size_t inodes = (size_t)model->ops->n_inodes + 1, nodes = (size_t)seen->n_nodes + 1;
	*s = (struct search){.model = model,
			     .ops = model->ops,
			     .seen = seen,
			     .work = work ? work : WORK_DEFAULT,
			     .tear = {.object = NONE}};
	s->node_of = mem_alloc(inodes, sizeof *s->node_of);
	memset(s->node_of, 0xff, inodes * sizeof *s->node_of);
	s->ino_of = mem_alloc(nodes, sizeof *s->ino_of);
	s->children = mem_alloc(nodes, sizeof *s->children);
	for (uint32_t i = 0; i < seen->n_nodes; i++) {
		uint32_t dir = node_above(s, i);
		s->children[dir == NONE ? 0 : 1 + dir]++;
	}
}

enum admitted search_run(struct search *s)
{
	uint32_t n;
	model_pending(s->model, &n); /* sorted while nothing is decided */
	struct place place = here(s);
	expand(s, TRACE_ROOT, NONE);
	if (!s->spent && add_entries(s, TRACE_ROOT, NONE) && solve_names(s) && !s->spent)
		return ADMITTED_YES;
	go_back(s, place);
	return s->spent ? ADMITTED_UNKNOWN : ADMITTED_NO;
}

void search_finish(struct search *s)
{
	struct known *known, *next;
	HASH_ITER (hh, s->known, known, next) {
		HASH_DEL(s->known, known);
		free(known);
	}
	free(s->node_of);
	free(s->ino_of);
	free(s->children);
	free(s->variables);
	free(s->decided);
	free(s->bindings);
	free(s->choices);
	free(s->matches.set);
}

enum admitted model_admits(struct model *model, const struct seen *seen, uint64_t work,
			   struct state *state, struct buf *held)
{
	struct search s;
	size_t mark = model_mark(model);
	search_init(&s, model, seen, work);
	enum admitted admitted = search_run(&s);
	if (admitted == ADMITTED_YES) {
		state_newest(model, state, held);
		state->tear = s.tear;
	}
	model_undo(model, mark);
	search_finish(&s);
	return admitted;
}
