#include "lib_reference.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* Points with more combinations, or more states, than this are not looked at. */
enum { COMBINATIONS_MAX = 20000, KEYS_MAX = 40000 };

struct reference {
	const struct ops *ops;
	const struct profile *profile;
	uint32_t point;
	bool lost;
	uint32_t *newest;
	uint32_t *floor;       /* by object: what syncs have put on disk, and no more */
	uint32_t *certain;     /* by object: the least version in any legal state */
	uint32_t *certain_at;  /* [micro * n_objects + object]: as it was when micro was issued */
	uint32_t *newest_at;   /* the same of newest */
	uint32_t *nameless;    /* by object: what was synced when its inode had no name */
	uint32_t *nameless_at; /* the same when micro was issued */
	bool *overtook;	       /* by micro-op: M4 asks nothing of it */
	bool *logged;	       /* by inode: what changes its names overtakes */
	bool *closed;	       /* by inode: scratch */
	bool *split;	       /* by micro-op: its partner may have stayed behind (M9) */
	uint32_t *vectors;     /* the legal combinations */
	size_t n_vectors, vectors_cap;
	uint32_t *keys;
	size_t n_keys, keys_cap;
};

static const struct micro *micro_of(const struct reference *r, uint32_t object, uint32_t version)
{
	return &r->ops->micros[ops_micro(r->ops, object, version)];
}

static bool on_disk(const uint32_t *v, const struct micro *m)
{
	return v[m->object] >= m->version;
}

/* ---- the rules, each as a question about one combination ---- */

static bool is_metadata(const struct micro *m)
{
	return m->flags & MICRO_META;
}

/* M4, and the programs' order of `ideal`. */
static bool ordered(const struct reference *r, const struct micro *earlier,
		    const struct micro *later)
{
	const struct object *a = &r->ops->objects[earlier->object];
	const struct object *b = &r->ops->objects[later->object];
	switch (r->profile->order) {
	case ORDER_ISSUED:
	case ORDER_ALL:
		return true;
	case ORDER_METADATA:
		return is_metadata(earlier) && is_metadata(later);
	case ORDER_OVERTAKE:
		return is_metadata(earlier) && is_metadata(later) &&
		       !r->overtook[later - r->ops->micros];
	case ORDER_DIRECTORY:
		return a->kind == OBJECT_ENTRY && b->kind == OBJECT_ENTRY && a->ino == b->ino;
	default:
		return false;
	}
}

/* Of what was seen in one look nobody knows the order: who keeps the order of all
 * that is written has all of it or none. */
static bool keeps_looks(const struct reference *r, const uint32_t *v)
{
	const struct micro *m = r->ops->micros;
	for (uint32_t i = 0; r->profile->order == ORDER_ALL && i < r->ops->n_micros; i++)
		if (m[i].flags & MICRO_TOGETHER && on_disk(v, &m[i]) != on_disk(v, &m[i + 1]))
			return false;
	return true;
}

static bool keeps_order(const struct reference *r, const uint32_t *v)
{
	for (uint32_t i = 0; i < r->ops->n_micros; i++)
		for (uint32_t k = 0; k < i; k++) {
			const struct micro *later = &r->ops->micros[i],
					   *earlier = &r->ops->micros[k];
			if (on_disk(v, later) && !on_disk(v, earlier) && ordered(r, earlier, later))
				return false;
		}
	return true;
}

/* M3: data of a block that was written after a truncate or a hole implies it. */
static bool over_mask(const struct reference *r, uint32_t i, uint32_t k)
{
	const struct ops *ops = r->ops;
	const struct object *o = &ops->objects[ops->micros[i].object];
	const struct inode *inode = &ops->inodes[o->ino];
	uint64_t start = (uint64_t)o->block * BLOCK_BYTES, end = start + BLOCK_BYTES;
	for (uint32_t n = inode->masks;
	     o->kind == OBJECT_BLOCK && n < inode->masks + inode->n_masks; n++)
		if (ops->masks[n].micro == k && k < i && ops->masks[n].from < end &&
		    ops->masks[n].to > start &&
		    (r->profile->tail_waits ||
		     (ops->masks[n].from <= start && ops->masks[n].to >= end)))
			return true;
	return false;
}

/* The tree: a directory that is gone was empty. */
static bool must_empty(const struct reference *r, uint32_t i, uint32_t k)
{
	const struct ops *ops = r->ops;
	const struct micro *m = &ops->micros[i];
	const struct object *o = &ops->objects[ops->micros[k].object];
	bool entry = ops->objects[m->object].kind == OBJECT_ENTRY;
	bool moved = m->partner != NONE && ops->micros[m->partner].ino == m->old;
	return entry && m->old && ops->inodes[m->old].type == INODE_DIR && !moved && k < i &&
	       o->kind == OBJECT_ENTRY && o->ino == m->old;
}

/* Whether micro-op i cannot be on disk without k, whatever the profile: M3,
 * M9, the tree. */
static bool asks_for(const struct reference *r, uint32_t i, uint32_t k)
{
	const struct micro *later = &r->ops->micros[i], *earlier = &r->ops->micros[k];
	const struct object *o = &r->ops->objects[earlier->object];
	/* The zeros at the ends of a range. */
	if (r->profile->zeros_ordered && k < i && later->event == earlier->event &&
	    r->ops->trace->events[later->event].kind == EVENT_ZERO && o->kind == OBJECT_BLOCK &&
	    r->ops->objects[later->object].kind == OBJECT_SIZE)
		return true;
	/* A name, and what was synced before the inode had one. */
	if (r->ops->objects[later->object].kind == OBJECT_ENTRY && later->ino &&
	    o->kind != OBJECT_ENTRY && o->ino == later->ino &&
	    later->version <= r->newest[later->object] &&
	    earlier->version <= r->nameless_at[(size_t)i * r->ops->n_objects + earlier->object])
		return true;
	return (r->ops->micros[i].partner == k && !r->split[i]) || over_mask(r, i, k) ||
	       must_empty(r, i, k);
}

static bool keeps_together(const struct reference *r, const uint32_t *v)
{
	const struct micro *micros = r->ops->micros;
	for (uint32_t i = 0; i < r->ops->n_micros; i++)
		for (uint32_t k = 0; k < r->ops->n_micros; k++)
			if (on_disk(v, &micros[i]) && !on_disk(v, &micros[k]) && asks_for(r, i, k))
				return false;
	return true;
}

/* The micro-op that last gave a block its place, as of version v. */
static uint32_t allocated_at(const struct reference *r, uint32_t object, uint32_t v)
{
	while (v > 0 && !(micro_of(r, object, v)->flags & MICRO_ALLOCATES))
		v--;
	return v;
}

/* M5: of the last size on disk, where it is by an extending write. */
static bool keeps_size(const struct reference *r, const uint32_t *v)
{
	const struct ops *ops = r->ops;
	if (r->profile->size == SIZE_FREE)
		return true;
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		if (o->kind != OBJECT_SIZE || v[i] == 0 ||
		    !(micro_of(r, i, v[i])->flags & MICRO_GROWTH))
			continue;
		/* The block in which the size ends, and its data then. */
		uint32_t at = ops_micro(ops, i, v[i]);
		uint64_t old = ops_size(ops, i, v[i] - 1);
		uint64_t block_start = (ops_size(ops, i, v[i]) - 1) / BLOCK_BYTES * BLOCK_BYTES;
		uint32_t block =
			ops_block_object(ops, o->ino, (uint32_t)(block_start / BLOCK_BYTES));
		if (block == NONE)
			continue;
		uint32_t needed = r->newest_at[(size_t)at * ops->n_objects + block];
		if (r->profile->size == SIZE_NEW && old > block_start &&
		    old < block_start + BLOCK_BYTES)
			needed = allocated_at(r, block, needed);
		if (v[block] < needed)
			return false;
	}
	return true;
}

/* M8 */
static bool keeps_replacement(const struct reference *r, const uint32_t *v)
{
	const struct ops *ops = r->ops;
	if (r->profile->replace == REPLACE_FREE)
		return true;
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = &ops->micros[i];
		if (!(m->flags & MICRO_REPLACES) || !on_disk(v, m) || r->overtook[i])
			continue;
		const uint32_t *then = &r->newest_at[(size_t)i * ops->n_objects];
		const uint32_t *certain = &r->certain_at[(size_t)i * ops->n_objects];
		for (uint32_t k = 0; k < ops->n_objects; k++) {
			const struct object *o = &ops->objects[k];
			if (o->kind == OBJECT_ENTRY || o->ino != m->ino || v[k] >= then[k])
				continue;
			if (o->kind == OBJECT_SIZE)
				return false;
			/* ext4: only blocks whose place on disk is not yet certain. */
			if (r->profile->replace == REPLACE_WAITS &&
			    allocated_at(r, k, then[k]) > certain[k])
				return false;
		}
	}
	return true;
}

static bool legal(const struct reference *r, const uint32_t *v)
{
	return keeps_together(r, v) && keeps_looks(r, v) && keeps_order(r, v) && keeps_size(r, v) &&
	       keeps_replacement(r, v);
}

/* ---- all combinations ---- */

static void keep_vector(struct reference *r, const uint32_t *v)
{
	uint32_t n = r->ops->n_objects;
	r->vectors =
		mem_grow(r->vectors, &r->vectors_cap, (r->n_vectors + 1) * n, sizeof *r->vectors);
	memcpy(r->vectors + r->n_vectors++ * n, v, n * sizeof *v);
}

static void find_vectors(struct reference *r)
{
	uint32_t n = r->ops->n_objects;
	uint32_t *v = mem_alloc(n, sizeof *v);
	uint64_t combinations = 1;
	r->n_vectors = 0;
	for (uint32_t i = 0; i < n; i++) {
		v[i] = r->profile->order == ORDER_ISSUED ? r->newest[i] : r->floor[i];
		combinations *= r->newest[i] - v[i] + 1;
		r->lost = r->lost || combinations > COMBINATIONS_MAX;
	}
	for (bool more = !r->lost; more;) {
		if (legal(r, v))
			keep_vector(r, v);
		more = false;
		for (uint32_t i = 0; i < n && !more; i++) {
			more = v[i] < r->newest[i];
			v[i] = more				   ? v[i] + 1
			       : r->profile->order == ORDER_ISSUED ? r->newest[i]
								   : r->floor[i];
		}
	}
	for (uint32_t i = 0; i < n && !r->lost; i++) {
		uint32_t least = UINT32_MAX;
		for (size_t k = 0; k < r->n_vectors; k++)
			least = r->vectors[k * n + i] < least ? r->vectors[k * n + i] : least;
		r->certain[i] = least;
	}
	free(v);
}

/* ---- what can be seen of a combination ---- */

static bool has_name(const struct reference *r, const uint32_t *v, uint32_t ino)
{
	for (uint32_t i = 0; i < r->ops->n_objects; i++)
		if (r->ops->objects[i].kind == OBJECT_ENTRY && ops_entry(r->ops, i, v[i]) == ino)
			return true;
	return false;
}

static void hide(const struct reference *r, const uint32_t *v, uint32_t *key)
{
	const struct ops *ops = r->ops;
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		key[i] = v[i];
		if (o->kind == OBJECT_ENTRY)
			continue;
		uint32_t size = ops->inodes[o->ino].size_object;
		if (!has_name(r, v, o->ino) ||
		    (o->kind == OBJECT_BLOCK &&
		     (uint64_t)o->block * BLOCK_BYTES >= ops_size(ops, size, v[size])))
			key[i] = NONE;
	}
	key[ops->n_objects] = NONE;
	key[ops->n_objects + 1] = key[ops->n_objects + 2] = 0;
}

/* The bytes of a version, less what was cut off or punched before micro `until`. */
static void bytes_until(const struct reference *r, uint32_t object, uint32_t version,
			uint32_t until, uint8_t *out)
{
	const struct ops *ops = r->ops;
	const struct object *o = &ops->objects[object];
	const struct inode *inode = &ops->inodes[o->ino];
	uint64_t start = (uint64_t)o->block * BLOCK_BYTES;
	ops_content(ops, object, version, out);
	for (uint32_t k = inode->masks; k < inode->masks + inode->n_masks; k++) {
		const struct mask *mask = &ops->masks[k];
		if (mask->micro >= until ||
		    (version && mask->micro < ops_micro(ops, object, version)))
			continue;
		for (uint64_t i = 0; i < BLOCK_BYTES; i++)
			if (start + i >= mask->from && start + i < mask->to)
				out[i] = 0;
	}
}

static void keep_key(struct reference *r, const uint32_t *key)
{
	size_t words = reference_key_words(r);
	r->keys = mem_grow(r->keys, &r->keys_cap, (r->n_keys + 1) * words, sizeof *r->keys);
	memcpy(r->keys + r->n_keys++ * words, key, words * sizeof *key);
	r->lost = r->lost || r->n_keys > KEYS_MAX;
}

/* M10: block i is partly of an older version. */
static void keep_tears(struct reference *r, uint32_t *key, uint32_t i)
{
	uint32_t n = r->ops->n_objects, newer = key[i];
	uint8_t a[BLOCK_BYTES], b[BLOCK_BYTES];
	for (uint32_t older = r->certain[i]; older < newer && !r->lost; older++) {
		uint32_t at = ops_micro(r->ops, i, newer);
		unsigned differing = 0;
		bytes_until(r, i, newer, at, a);
		bytes_until(r, i, older, at, b);
		for (unsigned s = 0; s < BLOCK_SECTORS; s++)
			if (memcmp(a + s * SECTOR_BYTES, b + s * SECTOR_BYTES, SECTOR_BYTES) != 0)
				differing |= 1u << s;
		for (unsigned set = 1; set < 255; set++) {
			/* Some of the differing sectors are new, and some are not. */
			if ((set & ~differing) || set == differing)
				continue;
			key[n] = i;
			key[n + 1] = older;
			key[n + 2] = (set | ~differing) & 255;
			keep_key(r, key);
		}
	}
	key[n] = NONE;
	key[n + 1] = key[n + 2] = 0;
}

static int compare_keys(const void *a, const void *b, void *arg)
{
	const size_t *words = arg;
	return memcmp(a, b, *words * sizeof(uint32_t));
}

static void sort_keys(struct reference *r)
{
	size_t words = reference_key_words(r), kept = 0;
	if (r->n_keys)
		qsort_r(r->keys, r->n_keys, words * sizeof *r->keys, compare_keys, &words);
	for (size_t i = 0; i < r->n_keys; i++)
		if (i == 0 || memcmp(r->keys + (kept - 1) * words, r->keys + i * words,
				     words * sizeof *r->keys) != 0)
			memmove(r->keys + kept++ * words, r->keys + i * words,
				words * sizeof *r->keys);
	r->n_keys = kept;
}

static void find_keys(struct reference *r)
{
	const struct ops *ops = r->ops;
	uint32_t *key = mem_alloc(reference_key_words(r), sizeof *key);
	r->n_keys = 0;
	for (size_t k = 0; k < r->n_vectors; k++) {
		hide(r, r->vectors + k * ops->n_objects, key);
		keep_key(r, key);
	}
	sort_keys(r);
	size_t whole = r->n_keys, words = reference_key_words(r);
	for (size_t k = 0; k < whole && r->profile->tears && !r->lost; k++) {
		memcpy(key, r->keys + k * words, words * sizeof *key);
		for (uint32_t i = 0; i < ops->n_objects; i++)
			if (ops->objects[i].kind == OBJECT_BLOCK && key[i] != NONE)
				keep_tears(r, key, i);
	}
	sort_keys(r);
	free(key);
}

/* ---- syncs ---- */

struct syncing {
	struct reference *r;
	const struct event *e;
	uint32_t event;
	uint32_t *reached; /* by object: at least this is on disk after it */
};

static bool covers(const struct syncing *s, const struct micro *m)
{
	return m->event < s->e->entered || m->event == s->event;
}

static void reach(struct syncing *s, const struct micro *m)
{
	if (s->reached[m->object] < m->version)
		s->reached[m->object] = m->version;
}

static bool pending(const struct syncing *s, const struct micro *m)
{
	return s->r->certain[m->object] < m->version;
}

static const struct micro *issued(const struct reference *r, uint32_t i)
{
	const struct micro *m = &r->ops->micros[i];
	return m->version <= r->newest[m->object] ? m : NULL;
}

static bool is_rename(const struct micro *m)
{
	return m->partner != NONE;
}

static bool is_exchange(const struct reference *r, const struct micro *m)
{
	return is_rename(m) && m->ino && r->ops->micros[m->partner].ino;
}

/* The micro-op that made an inode, where it did not exist at the start. */
static const struct micro *made_by(const struct reference *r, uint32_t ino)
{
	for (uint32_t i = 0; i < r->ops->n_objects; i++)
		if (r->ops->objects[i].kind == OBJECT_ENTRY && r->ops->objects[i].block == ino)
			return NULL;
	for (uint32_t i = 0; i < r->ops->n_micros; i++)
		if (issued(r, i) && r->ops->micros[i].ino == ino &&
		    r->ops->objects[r->ops->micros[i].object].kind == OBJECT_ENTRY)
			return &r->ops->micros[i];
	return NULL;
}

/* A name that overtakes lets the other halves be of what it named before, and of the names
 * that the file had before; and its old name, where that is another's on disk. */
static void reach_name(struct syncing *s, const struct micro *named)
{
	struct reference *r = s->r;
	for (uint32_t i = 0; r->profile->order == ORDER_OVERTAKE && i < r->ops->n_micros; i++) {
		const struct micro *m = issued(r, i);
		if (!m || r->ops->objects[m->object].kind != OBJECT_ENTRY)
			continue;
		if (m->object == named->object && m->version < named->version && pending(s, m))
			r->split[i] = true;
		if (m->ino != named->ino || !is_rename(m) || !is_rename(named) || m > named)
			continue;
		uint32_t from = r->ops->micros[m->partner].object;
		if (m < named)
			r->split[m->partner] = r->split[i] = true;
		else if (ops_entry(r->ops, from, s->reached[from]) != m->ino)
			r->split[i] = true;
	}
	reach(s, named);
}

/* M6 */
static void reach_names(struct syncing *s, uint32_t ino, enum rule_names rule, int depth)
{
	struct reference *r = s->r;
	const struct micro *created = made_by(r, ino), *renamed = NULL;
	if (rule == NAMES_NONE || ino == TRACE_ROOT || depth > 8)
		return;
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < r->ops->n_micros; i++) {
			const struct micro *m = issued(r, i);
			if (!m || m->ino != ino ||
			    r->ops->objects[m->object].kind != OBJECT_ENTRY ||
			    (!covers(s, m) && pending(s, m)) ||
			    (is_exchange(r, m) && r->profile->exchange_unnamed))
				continue;
			if (round == 0 && is_rename(m))
				renamed = m;
			if (round == 0 || !(m == created ||
					    (rule == NAMES_ALL && (m == renamed || !is_rename(m)))))
				continue;
			reach_name(s, m);
			uint32_t dir = r->ops->objects[m->object].ino;
			const struct micro *made = made_by(r, dir);
			if (r->profile->order == ORDER_OVERTAKE && made && pending(s, made))
				reach_names(s, dir, NAMES_CREATION, depth + 1);
		}
}

/* M7, of the changes that this sync has put on disk so far. */
static void reach_journal(struct syncing *s, uint32_t ino)
{
	struct reference *r = s->r;
	uint32_t last = NONE;
	for (uint32_t i = 0; i < r->ops->n_micros; i++) {
		const struct micro *m = issued(r, i);
		const struct object *o = m ? &r->ops->objects[m->object] : NULL;
		if (o && o->ino == ino && o->kind != OBJECT_ENTRY && on_disk(s->reached, m) &&
		    pending(s, m) && (o->kind == OBJECT_SIZE || m->flags & MICRO_ALLOCATES))
			last = i;
	}
	for (uint32_t i = 0; last != NONE && i < last; i++)
		if (is_metadata(&r->ops->micros[i]))
			reach(s, &r->ops->micros[i]);
}

static void reach_contents(struct syncing *s, uint32_t ino)
{
	for (uint32_t i = 0; i < s->r->ops->n_micros; i++) {
		const struct micro *m = issued(s->r, i);
		const struct object *o = m ? &s->r->ops->objects[m->object] : NULL;
		if (o && o->kind != OBJECT_ENTRY && o->ino == ino && covers(s, m))
			reach(s, m);
	}
}

/* The blocks of an msync's range, and the newest size without which the range would
 * read otherwise. */
static void reach_mapped(struct syncing *s)
{
	const struct ops *ops = s->r->ops;
	const struct inode *inode = &ops->inodes[s->e->ino];
	uint64_t from = s->e->offset, end = from + s->e->length;
	uint32_t newest = s->r->certain[inode->size_object], v = 0;
	for (uint32_t i = 0; i < ops->n_micros; i++)
		if (issued(s->r, i) && ops->micros[i].object == inode->size_object &&
		    covers(s, &ops->micros[i]) && ops->micros[i].version > newest)
			newest = ops->micros[i].version;
	uint64_t size = ops_size(ops, inode->size_object, newest);
	end = size < end ? size : end;
	for (uint32_t k = 1; k <= newest; k++) {
		if (ops_size(ops, inode->size_object, k - 1) < end)
			v = k;
		for (uint32_t n = inode->masks; n < inode->masks + inode->n_masks; n++)
			if (ops->masks[n].micro == ops_micro(ops, inode->size_object, k) &&
			    ops->masks[n].from < from + s->e->length && ops->masks[n].to > from)
				v = k;
	}
	if (v > 0)
		reach(s, micro_of(s->r, inode->size_object, v));
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = issued(s->r, i);
		const struct object *o = m ? &ops->objects[m->object] : NULL;
		if (o && o->kind == OBJECT_BLOCK && o->ino == s->e->ino && covers(s, m) &&
		    (uint64_t)o->block * BLOCK_BYTES < end &&
		    (uint64_t)(o->block + 1) * BLOCK_BYTES > from)
			reach(s, m);
	}
}

/* The bytes of one write, and a size with which they can be read. */
static void reach_range(struct syncing *s)
{
	const struct ops *ops = s->r->ops;
	uint64_t end = s->e->offset + s->e->length;
	uint32_t size = ops->inodes[s->e->ino].size_object;
	for (uint32_t i = 0; i < ops->n_micros; i++)
		if (ops->micros[i].event == s->event)
			if (ops->objects[ops->micros[i].object].kind == OBJECT_BLOCK)
				reach(s, &ops->micros[i]);
	/* The least version from which on every size covers them. */
	uint32_t v = s->r->newest[size];
	while (v > 0 && ops_size(ops, size, v - 1) >= end)
		v--;
	if (s->reached[size] < v)
		s->reached[size] = v;
}

static void reach_entries(struct syncing *s, uint32_t dir)
{
	struct reference *r = s->r;
	const struct ops *ops = r->ops;
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = issued(r, i);
		const struct object *o = m ? &ops->objects[m->object] : NULL;
		if (!o || o->kind != OBJECT_ENTRY || o->ino != dir || !covers(s, m))
			continue;
		if (!pending(s, m))
			continue;
		reach(s, m);
		/* M9: the old name of a file in another directory may stay. */
		if (r->profile->rename_splits && m->partner != NONE && m->ino &&
		    ops->inodes[m->ino].type != INODE_DIR && ops->micros[m->partner].ino == 0 &&
		    ops->objects[ops->micros[m->partner].object].ino != dir)
			r->split[i] = true;
	}
}

/* What overtakes takes along what it cannot be without, and no more. */
static void overtake(struct syncing *s)
{
	struct reference *r = s->r;
	const struct micro *micros = r->ops->micros;
	for (bool more = true; more;) {
		more = false;
		for (uint32_t i = 0; i < r->ops->n_micros; i++)
			for (uint32_t k = 0; k < r->ops->n_micros; k++)
				if (on_disk(s->reached, &micros[i]) &&
				    !on_disk(s->reached, &micros[k]) && asks_for(r, i, k)) {
					reach(s, &micros[k]);
					more = true;
				}
	}
	for (uint32_t i = 0; i < r->ops->n_micros; i++)
		if (on_disk(s->reached, &micros[i]) && pending(s, &micros[i]))
			r->overtook[i] = true;
}

/* All changes that are pending of the names and sizes of a file, of others that had or have
 * these names, of the directories they are in, and so on. */
static void let_inode_overtake(struct reference *r, uint32_t ino);

static void let_entry_overtake(struct reference *r, uint32_t object)
{
	const struct ops *ops = r->ops;
	if (r->certain[object] == r->newest[object])
		return;
	for (uint32_t v = r->certain[object] + 1; v <= r->newest[object]; v++) {
		uint32_t m = ops_micro(ops, object, v);
		r->overtook[m] = true;
		if (ops->micros[m].partner != NONE)
			r->overtook[ops->micros[m].partner] = true;
	}
	for (uint32_t v = r->certain[object]; v <= r->newest[object]; v++)
		let_inode_overtake(r, ops_entry(ops, object, v));
	let_inode_overtake(r, ops->objects[object].ino);
}

static void let_inode_overtake(struct reference *r, uint32_t ino)
{
	const struct ops *ops = r->ops;
	if (ino == 0 || r->closed[ino])
		return;
	r->closed[ino] = true;
	for (uint32_t o = 0; o < ops->n_objects; o++) {
		bool named = false;
		for (uint32_t v = 0; ops->objects[o].kind == OBJECT_ENTRY && v <= r->newest[o]; v++)
			named = named || ops_entry(ops, o, v) == ino;
		if (named)
			let_entry_overtake(r, o);
		for (uint32_t v = r->certain[o] + 1;
		     ops->objects[o].kind == OBJECT_SIZE && ops->objects[o].ino == ino &&
		     v <= r->newest[o];
		     v++)
			r->overtook[ops_micro(ops, o, v)] = true;
	}
}

/* The data that a size by an extending write says is there was written before it. */
static void reach_needed(struct syncing *s, uint32_t micro)
{
	const struct ops *ops = s->r->ops;
	const struct micro *m = &ops->micros[micro];
	if (s->r->profile->size != SIZE_LAST || ops->objects[m->object].kind != OBJECT_SIZE ||
	    !(m->flags & MICRO_GROWTH))
		return;
	uint32_t block = ops_block_object(ops, ops->objects[m->object].ino,
					  (uint32_t)((m->size - 1) / BLOCK_BYTES));
	if (block == NONE)
		return;
	uint32_t version = s->r->newest_at[(size_t)micro * ops->n_objects + block];
	if (s->reached[block] < version)
		s->reached[block] = version;
}

static bool named_now(const struct reference *r, uint32_t ino)
{
	for (uint32_t i = 0; i < r->ops->n_objects; i++)
		if (r->ops->objects[i].kind == OBJECT_ENTRY &&
		    ops_entry(r->ops, i, r->newest[i]) == ino)
			return true;
	return false;
}

static void sync_event(struct reference *r, uint32_t event)
{
	const struct event *e = &r->ops->trace->events[event];
	uint32_t n = r->ops->n_objects;
	struct syncing s = {
		.r = r, .e = e, .event = event, .reached = mem_alloc(n, sizeof(uint32_t))};
	memcpy(s.reached, r->certain, n * sizeof(uint32_t));
	bool all = e->kind == EVENT_SYNC || r->profile->order == ORDER_ALL;
	bool names = e->kind == EVENT_FSYNC || e->flags & EVENT_FSYNC_TOO;
	if ((e->kind == EVENT_WRITE || e->kind == EVENT_MSYNC) && e->length == 0)
		goto done;
	if (e->kind == EVENT_SYNC)
		memset(r->logged, 0, r->ops->n_inodes + 1);
	if (all) {
		for (uint32_t i = 0; i < r->ops->n_micros; i++)
			if (issued(r, i) && covers(&s, issued(r, i)) &&
			    (!r->profile->sync_flushes_log ||
			     r->ops->objects[r->ops->micros[i].object].kind != OBJECT_BLOCK ||
			     r->ops->micros[i].flags & MICRO_ALLOCATES))
				reach(&s, issued(r, i));
		for (uint32_t i = 0; r->profile->sync_flushes_log && i < r->ops->n_micros; i++)
			if (issued(r, i) && covers(&s, issued(r, i)) && pending(&s, issued(r, i)))
				reach_needed(&s, i);
		goto done;
	}
	if (r->profile->order == ORDER_OVERTAKE) {
		memset(r->closed, 0, r->ops->n_inodes + 1);
		let_inode_overtake(r, e->ino);
		for (uint32_t o = 0; o < n; o++)
			if (r->ops->objects[o].kind == OBJECT_ENTRY &&
			    r->ops->objects[o].ino == e->ino)
				let_entry_overtake(r, o);
		r->logged[e->ino] = true;
	}
	if (r->profile->nameless_unlogged && e->ino != TRACE_ROOT && !named_now(r, e->ino)) {
		for (uint32_t i = 0; i < r->ops->n_micros; i++) {
			const struct micro *m = issued(r, i);
			const struct object *o = m ? &r->ops->objects[m->object] : NULL;
			if (o && o->kind != OBJECT_ENTRY && o->ino == e->ino && covers(&s, m))
				r->nameless[m->object] = m->version;
		}
		goto done;
	}
	if (e->kind == EVENT_WRITE)
		reach_range(&s);
	else if (e->kind == EVENT_MSYNC)
		reach_mapped(&s);
	else if (r->ops->inodes[e->ino].type == INODE_DIR)
		reach_entries(&s, e->ino);
	else
		reach_contents(&s, e->ino);
	if (r->profile->journal && r->ops->inodes[e->ino].type == INODE_FILE)
		reach_journal(&s, e->ino);
	reach_names(&s, e->ino, names ? r->profile->fsync : r->profile->fdatasync, 0);
	if (r->profile->order == ORDER_OVERTAKE)
		overtake(&s);
done:
	memcpy(r->floor, s.reached, n * sizeof(uint32_t));
	free(s.reached);
}

/* ---- walking ---- */

struct reference *reference_create(const struct ops *ops, const struct profile *profile)
{
	struct reference *r = mem_alloc(1, sizeof *r);
	size_t n = ops->n_objects, m = ops->n_micros;
	r->ops = ops;
	r->profile = profile;
	r->newest = mem_alloc(n, sizeof *r->newest);
	r->floor = mem_alloc(n, sizeof *r->floor);
	r->certain = mem_alloc(n, sizeof *r->certain);
	r->certain_at = mem_alloc(n * m, sizeof *r->certain_at);
	r->newest_at = mem_alloc(n * m, sizeof *r->newest_at);
	r->nameless = mem_alloc(n, sizeof *r->nameless);
	r->nameless_at = mem_alloc(n * m, sizeof *r->nameless_at);
	r->overtook = mem_alloc(m, sizeof *r->overtook);
	r->logged = mem_alloc((size_t)ops->n_inodes + 1, sizeof *r->logged);
	r->closed = mem_alloc((size_t)ops->n_inodes + 1, sizeof *r->closed);
	r->split = mem_alloc(m, sizeof *r->split);
	find_vectors(r);
	find_keys(r);
	return r;
}

void reference_destroy(struct reference *r)
{
	free(r->newest);
	free(r->floor);
	free(r->certain);
	free(r->certain_at);
	free(r->newest_at);
	free(r->nameless);
	free(r->nameless_at);
	free(r->overtook);
	free(r->split);
	free(r->logged);
	free(r->closed);
	free(r->vectors);
	free(r->keys);
	free(r);
}

static void issue(struct reference *r, uint32_t micro)
{
	const struct micro *m = &r->ops->micros[micro];
	size_t n = r->ops->n_objects, at = micro * n;
	memcpy(r->certain_at + at, r->certain, n * sizeof *r->certain);
	memcpy(r->nameless_at + at, r->nameless, n * sizeof *r->nameless);
	memcpy(r->newest_at + at, r->newest, n * sizeof *r->newest);
	r->newest[m->object] = m->version;
	if (r->profile->order == ORDER_OVERTAKE &&
	    r->ops->objects[m->object].kind == OBJECT_ENTRY &&
	    (r->logged[m->ino] || r->logged[m->old]))
		r->overtook[micro] = true;
}

bool reference_advance(struct reference *r)
{
	const struct ops *ops = r->ops;
	if (r->lost || r->point == ops->n_steps)
		return false;
	const struct step *s = &ops->steps[r->point++];
	if (s->kind == STEP_SYNC)
		sync_event(r, s->event);
	if (s->kind == STEP_MICRO) {
		issue(r, s->micro);
		if (ops->micros[s->micro].partner != NONE) {
			issue(r, ops->micros[s->micro].partner);
			r->point++;
		}
		for (uint32_t i = s->micro; ops->micros[i].flags & MICRO_TOGETHER; r->point++)
			issue(r, ++i);
	}
	find_vectors(r);
	if (!r->lost)
		find_keys(r);
	return !r->lost;
}

bool reference_lost(const struct reference *r)
{
	return r->lost;
}

uint32_t reference_point(const struct reference *r)
{
	return r->point;
}

const uint32_t *reference_keys(const struct reference *r, size_t *n)
{
	*n = r->n_keys;
	return r->keys;
}

size_t reference_key_words(const struct reference *r)
{
	return (size_t)r->ops->n_objects + 3;
}

void reference_key(const struct reference *r, const struct state *state, uint32_t *key)
{
	uint32_t n = r->ops->n_objects, *v = mem_alloc(n, sizeof *v);
	memcpy(v, r->newest, n * sizeof *v);
	for (uint32_t i = 0; i < state->n_held; i++)
		v[state->held[i].object] = state->held[i].version;
	hide(r, v, key);
	if (state->tear.object != NONE) {
		key[n] = state->tear.object;
		key[n + 1] = state->tear.older;
		key[n + 2] = state->tear.sectors;
	}
	free(v);
}
