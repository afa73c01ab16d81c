/* Why the model does not admit a tree, in words: the first thing that no version
 * explains by itself, or else the place where the search came to an end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admits_private.h"
#include "mem.h"

struct words {
	struct search *s;
	struct buf *out;
	uint32_t object; /* the entry whose versions are looked at */
};

static const char *const type_names[] = {
	[INODE_FILE] = "file", [INODE_DIR] = "directory", [INODE_SYMLINK] = "symbolic link"};

static uint32_t count_versions(const struct words *w)
{
	return w->s->model->high[w->object] - w->s->model->low[w->object] + 1;
}

/* What version number i, from the newest, of the entry names: an inode or 0. */
static uint32_t candidate(const struct words *w, uint32_t i)
{
	return ops_entry(w->s->ops, w->object, w->s->model->high[w->object] - i);
}

static void put_name(const struct words *w, uint32_t dir)
{
	if (dir != NONE)
		buf_printf(w->out, "%s/", seen_path(w->s->seen, dir));
	buf_string(w->out, w->s->ops->objects[w->object].name);
}

static void put_bytes(struct buf *out, uint64_t n)
{
	buf_printf(out, "%" PRIu64 " byte%s", n, n == 1 ? "" : "s");
}

/* ---- a file none of whose versions is like it ---- */

static bool size_fits(const struct search *s, uint32_t size, uint32_t version, uint32_t node)
{
	return ops_size(s->ops, size, version) == seen_node(s->seen, node)->size &&
	       model_possible(s->model, size, version);
}

/* The first block that no version of an inode reads like while its size is at a
 * version; the number of blocks where there is none such. */
static uint32_t blocks_fitting(struct search *s, uint32_t ino, uint32_t size_version, uint32_t node)
{
	uint32_t block = 0, n = seen_node(s->seen, node)->n_blocks;
	for (; block < n; block++) {
		struct digest d = seen_block(s->seen, node, block);
		uint32_t object = ops_block_object(s->ops, ino, block);
		bool fits = object == NONE && !(d.lo | d.hi);
		if (object != NONE)
			for (uint32_t v = s->model->low[object];
			     v <= s->model->high[object] && !fits; v++)
				fits = search_reads(s, object, v, size_version, node, block);
		if (!fits)
			break;
	}
	return block;
}

/* The micro-op of a version, as the call it came from. */
static void put_origin(const struct words *w, uint32_t object, uint32_t version)
{
	const struct ops *ops = w->s->ops;
	if (version == 0) {
		buf_string(w->out, "at the start");
		return;
	}
	uint32_t event = ops->micros[ops_micro(ops, object, version)].event;
	buf_printf(w->out, "after event %" PRIu32 " (%s)", event,
		   event_kind_name(ops->trace->events[event].kind));
}

/* What a block reads as, which should not be. */
static void put_block(const struct words *w, uint32_t ino, uint32_t size_version, uint32_t node,
		      uint32_t block)
{
	struct search *s = w->s;
	struct digest d = seen_block(s->seen, node, block);
	uint32_t object = ops_block_object(s->ops, ino, block);
	buf_printf(w->out, ", and block %" PRIu32, block);
	for (uint32_t v = object == NONE ? 0 : s->ops->objects[object].n + 1; v-- > 0;) {
		if (!search_reads(s, object, v, size_version, node, block))
			continue;
		buf_string(w->out, " reads as ");
		put_origin(w, object, v);
		buf_string(w->out, v > s->model->high[object]
					   ? ", which had not happened yet"
					   : ", which what was synced has replaced");
		return;
	}
	buf_string(w->out, d.lo | d.hi ? " reads as no version of it does"
				       : " reads as zeros, as no version of it does");
}

/* The candidate whose blocks agree longest, at its best size. */
struct nearest {
	uint32_t ino, size_version, block;
};

static bool find_nearest(const struct words *w, uint32_t node, struct nearest *nearest)
{
	struct search *s = w->s;
	bool found = false;
	for (uint32_t i = 0; i < count_versions(w); i++) {
		uint32_t ino = candidate(w, i);
		if (!ino || s->ops->inodes[ino].type != INODE_FILE)
			continue;
		uint32_t size = s->ops->inodes[ino].size_object;
		for (uint32_t v = s->model->high[size] + 1; v-- > s->model->low[size];) {
			if (!size_fits(s, size, v, node))
				continue;
			uint32_t block = blocks_fitting(s, ino, v, node);
			if (!found || block > nearest->block)
				*nearest = (struct nearest){ino, v, block};
			found = true;
		}
	}
	return found;
}

/* The sizes that the newest candidate may have, of which one is a file. */
static void put_sizes(const struct words *w)
{
	const struct search *s = w->s;
	uint32_t i = 0, ino = candidate(w, i);
	while (!ino || s->ops->inodes[ino].type != INODE_FILE)
		ino = candidate(w, ++i);
	uint32_t size = s->ops->inodes[ino].size_object;
	uint32_t high = s->model->high[size], low = s->model->low[size];
	buf_printf(w->out, " (it may have %" PRIu64, ops_size(s->ops, size, high));
	if (high > low + 1)
		buf_printf(w->out, ", …");
	if (high > low)
		buf_printf(w->out, " or %" PRIu64, ops_size(s->ops, size, low));
	buf_byte(w->out, ')');
}

static void put_file(const struct words *w, uint32_t node)
{
	struct nearest nearest;
	buf_string(w->out, " has ");
	put_bytes(w->out, seen_node(w->s->seen, node)->size);
	if (!find_nearest(w, node, &nearest)) {
		buf_string(w->out, ", which no version of it has");
		put_sizes(w);
	} else if (nearest.block < seen_node(w->s->seen, node)->n_blocks) {
		put_block(w, nearest.ino, nearest.size_version, node, nearest.block);
	} else {
		buf_string(w->out, ", and its blocks do not go together");
	}
}

/* ---- a name ---- */

/* A name that was seen; false where there is nothing to say against it alone. */
static bool put_seen(const struct words *w, uint32_t node)
{
	const struct search *s = w->s;
	uint8_t type = seen_node(s->seen, node)->type;
	bool named = false, typed = false;
	for (uint32_t i = 0; i < count_versions(w); i++) {
		uint32_t ino = candidate(w, i);
		named = named || ino;
		typed = typed || (ino && s->ops->inodes[ino].type == type);
		if (ino && search_cost(s, ino, node) != COST_IMPOSSIBLE)
			return false;
	}
	buf_string(w->out, seen_path(s->seen, node));
	if (!named)
		buf_string(w->out, " is there, which it is in no state");
	else if (!typed)
		buf_printf(w->out, " is a %s, which no version of it is", type_names[type]);
	else if (type == INODE_SYMLINK)
		buf_string(w->out, " leads elsewhere than any version of it");
	else
		put_file(w, node);
	return true;
}

/* A name that is missing; the same. */
static bool put_missing(const struct words *w, uint32_t dir)
{
	for (uint32_t i = 0; i < count_versions(w); i++)
		if (candidate(w, i) == 0)
			return false;
	put_name(w, dir);
	buf_string(w->out, " is missing, which it is in no state");
	return true;
}

/* The first name that nothing ever made in a directory. */
static void put_unknown(const struct words *w, uint32_t dir)
{
	const struct search *s = w->s;
	size_t length = dir == NONE ? 0 : strlen(seen_path(s->seen, dir)) + 1;
	for (uint32_t i = 0; i < s->seen->n_nodes; i++) {
		const char *path = seen_path(s->seen, i);
		if (dir != NONE && (strncmp(path, seen_path(s->seen, dir), length - 1) != 0 ||
				    path[length - 1] != '/'))
			continue;
		if (strchr(path + length, '/'))
			continue;
		bool known = false;
		for (uint32_t k = 0; k < s->ops->n_objects && !known; k++)
			known = s->ops->objects[k].kind == OBJECT_ENTRY &&
				strcmp(s->ops->objects[k].name, path + length) == 0;
		if (!known) {
			buf_printf(w->out, "%s is there, and nothing ever made it", path);
			return;
		}
	}
	buf_printf(w->out, "%s has names that were never made in it",
		   dir == NONE ? "the directory" : seen_path(s->seen, dir));
}

/* ---- what is wrong with each alone, in the order of the tree ---- */

static bool put_entry(struct words *w, uint32_t object, uint32_t dir, uint32_t node)
{
	w->object = object;
	return node == NONE ? put_missing(w, dir) : put_seen(w, node);
}

/* The names in the root, which are still there as variables. */
static bool put_root(struct words *w)
{
	for (size_t i = 0; i < w->s->n_variables; i++) {
		const struct variable *v = &w->s->variables[i];
		if (put_entry(w, v->object, v->dir, v->node))
			return true;
	}
	return false;
}

/* Each thing is possible by itself, so what came last is named. */
static void put_conflict(struct words *w, const struct trouble *t)
{
	const struct search *s = w->s;
	w->object = t->object;
	if (s->ops->objects[t->object].kind == OBJECT_ENTRY && t->node == NONE) {
		put_name(w, t->dir);
		buf_string(w->out, " is missing, which it is in no state with all that is there");
		return;
	}
	buf_string(w->out, seen_path(s->seen, t->node));
	if (s->ops->objects[t->object].kind == OBJECT_ENTRY)
		buf_string(w->out, ", as it is,");
	else if (t->block == NONE)
		buf_printf(w->out, "'s size of %" PRIu64, seen_node(s->seen, t->node)->size);
	else
		buf_printf(w->out, "'s block %" PRIu32, t->block);
	buf_string(w->out, " is possible by itself, but in no state with the rest");
}

/* The first that is wrong by itself, or what went wrong last. */
static void put_reason(struct words *w, const struct trouble *t)
{
	if (t->object == NONE) {
		put_unknown(w, t->dir);
		return;
	}
	bool entry = w->s->ops->objects[t->object].kind == OBJECT_ENTRY;
	if (put_root(w) || (entry && put_entry(w, t->object, t->dir, t->node)))
		return;
	put_conflict(w, t);
}

void model_admits_not(struct model *model, const struct seen *seen, struct buf *out)
{
	struct search s;
	size_t mark = model_mark(model);
	search_init(&s, model, seen, 0);
	struct words w = {.s = &s, .out = out};
	enum admitted admitted = search_run(&s);
	struct trouble t = s.trouble;
	model_undo(model, mark);
	/* For the words there is always work enough. */
	s.spent = false;
	s.work = UINT64_MAX;
	if (admitted != ADMITTED_NO)
		buf_string(out,
			   admitted == ADMITTED_YES ? "it is admitted" : "the search was given up");
	else
		put_reason(&w, &t);
	search_finish(&s);
}
