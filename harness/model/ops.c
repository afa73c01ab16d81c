#include "ops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "mem.h"

enum {
	/* After so many patches a version is kept whole, so that reading any takes
	 * bounded time. */
	PATCHES_MAX = 16,
	/* Files beyond this many blocks are refused: 16 TiB. */
	BLOCKS_MAX = UINT32_MAX,
};

struct object_key {
	const char *name; /* interned: the pointer is the identity; NULL for others */
	uint32_t ino, block;
	uint32_t kind;
	uint32_t zero; /* no padding in keys */
};

struct object_entry {
	UT_hash_handle hh;
	struct object_key key;
	uint32_t object;
};

/* What lowering keeps beside the result: everything as of the present event. */
struct lowering {
	struct trace *trace;
	struct err *err;
	struct object_entry *known;
	struct object *objects;
	uint32_t *newest_micro; /* by object: its newest micro-op, or NONE */
	bool *allocated;	/* by object: the block has data */
	size_t n_objects, objects_cap, newest_cap, allocated_cap;
	struct micro *micros;
	size_t n_micros, micros_cap;
	struct step *steps;
	size_t n_steps, steps_cap;
	struct data_version *data;
	uint8_t *depth; /* by data version: patches since the last whole one */
	size_t n_data, data_cap, depth_cap;
	struct mask *masks; /* of all inodes, in program order */
	uint32_t *mask_ino;
	size_t n_masks, masks_cap, mask_ino_cap;
	struct inode *inodes;
	uint32_t *blocks; /* by inode: the newest of its BLOCK objects, or NONE */
	uint32_t *next;	  /* by object: the one before it */
	size_t next_cap;
	uint64_t *size; /* by inode: as the page cache has it */
	bool *made;	/* by inode: it exists */
	uint32_t look;	/* the first micro-op of the look that stores were last seen in */
	uint32_t event;
};

/* ---- contents ---- */

static const uint8_t zeros[BLOCK_BYTES];

void ops_digest(const uint8_t *bytes, uint64_t *lo, uint64_t *hi)
{
	*lo = *hi = 0;
	if (memcmp(bytes, zeros, BLOCK_BYTES) == 0)
		return;
	XXH128_hash_t h = XXH3_128bits(bytes, BLOCK_BYTES);
	*lo = h.low64;
	*hi = h.high64;
}

static void content(const struct data_version *data, uint32_t i, uint8_t *out)
{
	uint32_t chain[PATCHES_MAX + 1];
	int n = 0;
	for (; !data[i].whole; i = data[i].before)
		chain[n++] = i;
	memcpy(out, data[i].whole, BLOCK_BYTES);
	while (n--) {
		const struct data_version *d = &data[chain[n]];
		memcpy(out + d->from, d->patch, (size_t)(d->to - d->from));
	}
}

void ops_content(const struct ops *ops, uint32_t object, uint32_t version, uint8_t *out)
{
	content(ops->data, ops_data(ops, object, version), out);
}

static void sector_hashes(const uint8_t *bytes, uint64_t *sector)
{
	for (size_t i = 0; i < BLOCK_SECTORS; i++)
		sector[i] = XXH3_64bits(bytes + i * SECTOR_BYTES, SECTOR_BYTES);
}

static void describe_data(struct data_version *d, const uint8_t *bytes)
{
	uint32_t extent = BLOCK_BYTES;
	while (extent && bytes[extent - 1] == 0)
		extent--;
	d->extent = (uint16_t)extent;
	ops_digest(bytes, &d->lo, &d->hi);
	sector_hashes(bytes, d->sector);
}

static uint32_t add_data(struct lowering *l, struct data_version d, const uint8_t *bytes,
			 uint8_t depth)
{
	uint32_t i = (uint32_t)l->n_data;
	if (!d.whole && depth > PATCHES_MAX) {
		d.whole = trace_bytes(l->trace, bytes, BLOCK_BYTES);
		depth = 0;
	}
	describe_data(&d, bytes);
	*MEM_PUSH(l->data, l->n_data, l->data_cap) = d;
	l->depth = mem_grow(l->depth, &l->depth_cap, l->n_data, 1);
	l->depth[i] = depth;
	return i;
}

/* Version 0 of a block: what the start holds there. */
static uint32_t start_data(struct lowering *l, uint32_t ino, uint32_t block)
{
	const struct inode *inode = &l->inodes[ino];
	uint64_t offset = (uint64_t)block * BLOCK_BYTES;
	if (offset >= inode->start_size)
		return add_data(l, (struct data_version){.whole = zeros}, zeros, 0);
	uint64_t left = inode->start_size - offset;
	if (left >= BLOCK_BYTES) {
		const uint8_t *p = inode->start_data + offset;
		return add_data(l, (struct data_version){.whole = p}, p, 0);
	}
	uint8_t *p = arena_alloc(l->trace->arena, BLOCK_BYTES, 1);
	memcpy(p, inode->start_data + offset, left);
	return add_data(l, (struct data_version){.whole = p}, p, 0);
}

/* ---- objects and micro-ops ---- */

static uint32_t find_object(struct lowering *l, enum object_kind kind, uint32_t ino, uint32_t block,
			    const char *name, bool make)
{
	struct object_key key = {.name = name, .ino = ino, .block = block, .kind = kind};
	struct object_entry *found;
	HASH_FIND(hh, l->known, &key, sizeof key, found);
	if (found || !make)
		return found ? found->object : NONE;
	found = mem_alloc(1, sizeof *found);
	found->key = key;
	found->object = (uint32_t)l->n_objects;
	HASH_ADD(hh, l->known, key, sizeof key, found);
	*MEM_PUSH(l->objects, l->n_objects, l->objects_cap) = (struct object){
		.kind = (uint8_t)kind, .ino = ino, .block = block, .name = name, .data0 = NONE};
	l->newest_micro =
		mem_grow(l->newest_micro, &l->newest_cap, l->n_objects, sizeof *l->newest_micro);
	l->newest_micro[found->object] = NONE;
	l->allocated =
		mem_grow(l->allocated, &l->allocated_cap, l->n_objects, sizeof *l->allocated);
	l->next = mem_grow(l->next, &l->next_cap, l->n_objects, sizeof *l->next);
	if (kind == OBJECT_BLOCK) {
		l->next[found->object] = l->blocks[ino];
		l->blocks[ino] = found->object;
		uint32_t data0 = start_data(l, ino, block);
		l->objects[found->object].data0 = data0;
		l->allocated[found->object] =
			(uint64_t)block * BLOCK_BYTES < l->inodes[ino].start_size;
	}
	return found->object;
}

static struct micro *add_micro(struct lowering *l, uint32_t object, uint8_t flags)
{
	uint32_t i = (uint32_t)l->n_micros;
	*MEM_PUSH(l->steps, l->n_steps, l->steps_cap) =
		(struct step){.kind = STEP_MICRO, .micro = i, .event = l->event};
	struct micro *m = MEM_PUSH(l->micros, l->n_micros, l->micros_cap);
	*m = (struct micro){.object = object,
			    .version = ++l->objects[object].n,
			    .event = l->event,
			    .step = (uint32_t)l->n_steps - 1,
			    .partner = NONE,
			    .flags = flags,
			    .data = NONE};
	l->newest_micro[object] = i;
	return m;
}

static void add_step(struct lowering *l, enum step_kind kind)
{
	*MEM_PUSH(l->steps, l->n_steps, l->steps_cap) =
		(struct step){.kind = (uint8_t)kind, .micro = NONE, .event = l->event};
}

#define CONTRADICTION(l, ...) err_set((l)->err, ERR_CORRUPT, __VA_ARGS__)

static int need_inode(struct lowering *l, uint32_t ino, int type)
{
	if (ino == 0 || ino > l->trace->n_inodes || !l->made[ino])
		return CONTRADICTION(l, "inode %u does not exist", ino);
	if (type >= 0 && l->inodes[ino].type != type)
		return CONTRADICTION(l, "inode %u is not a %s", ino,
				     type == INODE_DIR ? "directory" : "file");
	return ERR_OK;
}

static int make_inode(struct lowering *l, uint32_t ino, enum inode_type type, uint64_t size,
		      const uint8_t *data)
{
	if (ino <= TRACE_ROOT || ino > l->trace->n_inodes || l->made[ino])
		return CONTRADICTION(l, "inode %u is made twice", ino);
	l->made[ino] = true;
	l->inodes[ino] = (struct inode){
		.type = (uint8_t)type, .size_object = NONE, .start_size = size, .start_data = data};
	if (type == INODE_FILE) {
		l->size[ino] = size;
		l->inodes[ino].size_object = find_object(l, OBJECT_SIZE, ino, 0, NULL, true);
	}
	return ERR_OK;
}

/* ---- entries ---- */

/* What a name stands for at present: 0 for nothing. */
static uint32_t entry_now(const struct lowering *l, uint32_t object)
{
	uint32_t m = l->newest_micro[object];
	return m == NONE ? l->objects[object].block : l->micros[m].ino;
}

/* Crash states become files: a name that leads elsewhere is no name. */
static int need_name(struct lowering *l, const char *name)
{
	if (*name == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return CONTRADICTION(l, "\"%s\" is no name", name);
	return ERR_OK;
}

/* Names are interned in a trace: one name, one pointer. */
static uint32_t entry_object(struct lowering *l, uint32_t dir, const char *name)
{
	return find_object(l, OBJECT_ENTRY, dir, 0, name, true);
}

static uint32_t set_entry(struct lowering *l, uint32_t object, uint32_t ino)
{
	uint32_t old = entry_now(l, object);
	struct micro *m = add_micro(l, object, MICRO_META);
	m->ino = ino;
	m->old = old;
	return (uint32_t)l->n_micros - 1;
}

static int lower_make(struct lowering *l, const struct event *e)
{
	static const uint8_t types[EVENT_KINDS_COUNT] = {[EVENT_CREATE] = INODE_FILE,
							 [EVENT_MKDIR] = INODE_DIR,
							 [EVENT_SYMLINK] = INODE_SYMLINK};
	/* A file without a name is in no state until it is linked. */
	if (e->kind == EVENT_CREATE && e->dir == 0)
		return make_inode(l, e->ino, INODE_FILE, 0, NULL);
	int rc = need_inode(l, e->dir, INODE_DIR);
	if (!rc)
		rc = need_name(l, e->name);
	if (rc)
		return rc;
	uint32_t object = entry_object(l, e->dir, e->name);
	if (entry_now(l, object))
		return CONTRADICTION(l, "\"%s\" exists already", e->name);
	if (e->kind != EVENT_LINK) {
		bool symlink = e->kind == EVENT_SYMLINK;
		rc = make_inode(l, e->ino, types[e->kind], symlink ? e->data_length : 0,
				symlink ? e->data : NULL);
		/* A new file's size and blocks begin at nothing, which is durable. */
	} else {
		rc = need_inode(l, e->ino, -1);
		if (!rc && l->inodes[e->ino].type == INODE_DIR)
			rc = CONTRADICTION(l, "inode %u is a directory, which has one name",
					   e->ino);
	}
	if (!rc)
		set_entry(l, object, e->ino);
	return rc;
}

static int lower_remove(struct lowering *l, const struct event *e)
{
	int rc = need_inode(l, e->dir, INODE_DIR);
	if (rc)
		return rc;
	uint32_t object = entry_object(l, e->dir, e->name);
	uint32_t ino = entry_now(l, object);
	if (!ino)
		return CONTRADICTION(l, "\"%s\" does not exist", e->name);
	if ((l->inodes[ino].type == INODE_DIR) != (e->kind == EVENT_RMDIR))
		return CONTRADICTION(l, "\"%s\" is of another type", e->name);
	set_entry(l, object, 0);
	return ERR_OK;
}

static int lower_rename(struct lowering *l, const struct event *e)
{
	int rc = need_inode(l, e->dir, INODE_DIR);
	if (!rc)
		rc = need_inode(l, e->dir2, INODE_DIR);
	if (!rc)
		rc = need_name(l, e->name2);
	if (rc)
		return rc;
	uint32_t from = entry_object(l, e->dir, e->name);
	uint32_t to = entry_object(l, e->dir2, e->name2);
	uint32_t ino = entry_now(l, from), replaced = entry_now(l, to);
	bool exchange = e->kind == EVENT_EXCHANGE;
	if (!ino || (exchange && !replaced))
		return CONTRADICTION(l, "\"%s\" does not exist", ino ? e->name2 : e->name);
	if (ino == replaced)
		return ERR_OK; /* two links of one file: rename does nothing */
	uint32_t a = set_entry(l, to, ino);
	uint32_t b = set_entry(l, from, exchange ? replaced : 0);
	l->micros[a].partner = b;
	l->micros[b].partner = a;
	if (!exchange && replaced && l->inodes[ino].type == INODE_FILE)
		l->micros[a].flags |= MICRO_REPLACES;
	return ERR_OK;
}

/* ---- contents ---- */

/* The part of a block that a mask makes zeros: [*from, *to), perhaps empty. */
static void mask_in_block(const struct mask *mask, uint32_t block, uint32_t *from, uint32_t *to)
{
	uint64_t start = (uint64_t)block * BLOCK_BYTES, end = start + BLOCK_BYTES;
	*from = *to = 0;
	if (mask->from >= end || mask->to <= start)
		return;
	*from = mask->from > start ? (uint32_t)(mask->from - start) : 0;
	*to = mask->to < end ? (uint32_t)(mask->to - start) : BLOCK_BYTES;
}

/* Whether a mask came over the block after micro-op m, and then what it left. */
static bool masked_since(const struct lowering *l, uint32_t ino, uint32_t block, uint32_t m,
			 uint8_t *bytes)
{
	bool any = false;
	for (size_t i = l->n_masks; i-- > 0;) {
		uint32_t from = 0, to = 0;
		if (m != NONE && l->masks[i].micro < m)
			break;
		if (l->mask_ino[i] == ino)
			mask_in_block(&l->masks[i], block, &from, &to);
		memset(bytes + from, 0, to - from);
		any = any || from < to;
	}
	return any;
}

/* Whether an event was seen in one look with the one before it. */
static bool same_look(const struct lowering *l, const struct event *e)
{
	return l->event > 0 && e[-1].flags & EVENT_STORE && e[-1].entered == e->entered;
}

/* Data of [from, to) of one block. */
static void write_block(struct lowering *l, uint32_t ino, uint32_t block, uint32_t from,
			uint32_t to, const uint8_t *bytes)
{
	uint8_t page[BLOCK_BYTES];
	uint32_t object = find_object(l, OBJECT_BLOCK, ino, block, NULL, true);
	uint32_t last = l->newest_micro[object];
	uint32_t before = last == NONE ? l->objects[object].data0 : l->micros[last].data;
	content(l->data, before, page);
	/* What is zeros already needs no mask. */
	bool masked = l->data[before].extent && masked_since(l, ino, block, last, page);
	memcpy(page + from, bytes, to - from);
	struct data_version d = {
		.patch = bytes, .before = before, .from = (uint16_t)from, .to = (uint16_t)to};
	if (masked || to - from == BLOCK_BYTES)
		d.whole =
			to - from == BLOCK_BYTES ? bytes : trace_bytes(l->trace, page, BLOCK_BYTES);
	uint32_t data = add_data(l, d, page, d.whole ? 0 : (uint8_t)(l->depth[before] + 1));
	struct micro *m = add_micro(l, object, l->allocated[object] ? 0 : MICRO_ALLOCATES);
	m->data = data;
	l->allocated[object] = true;
}

static void set_size(struct lowering *l, uint32_t ino, uint64_t size, uint8_t flags)
{
	add_micro(l, l->inodes[ino].size_object, flags)->size = size;
	l->size[ino] = size;
}

static bool is_in_look(struct lowering *l, uint32_t ino, uint32_t block)
{
	uint32_t object = find_object(l, OBJECT_BLOCK, ino, block, NULL, false);
	uint32_t newest = object == NONE ? NONE : l->newest_micro[object];
	return newest != NONE && newest >= l->look;
}

/* Where a write begins behind the block in which the file ends, that block is sent as well, and
 * the file may be found to end with it. */
static bool grow_to_block(struct lowering *l, uint32_t ino, uint64_t offset)
{
	uint64_t end = (l->size[ino] + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
	if (end == l->size[ino] || offset < end)
		return false;
	set_size(l, ino, end, MICRO_GROWTH | MICRO_TOGETHER);
	return true;
}

static int lower_write(struct lowering *l, const struct event *e)
{
	int rc = need_inode(l, e->ino, INODE_FILE);
	if (rc)
		return rc;
	if (e->length > UINT64_MAX - e->offset ||
	    (e->offset + e->length) / BLOCK_BYTES >= BLOCKS_MAX)
		return CONTRADICTION(l, "a write at %" PRIu64 " is past any file's end", e->offset);
	bool store = e->flags & EVENT_STORE, together = store && same_look(l, e);
	if (store && e->offset + e->length > l->size[e->ino])
		return CONTRADICTION(l, "a store at %" PRIu64 " is past the end of inode %u",
				     e->offset, e->ino);
	bool gap = e->length && grow_to_block(l, e->ino, e->offset);
	for (uint64_t at = e->offset, end = e->offset + e->length; at < end;) {
		uint32_t block = (uint32_t)(at / BLOCK_BYTES);
		uint64_t start = (uint64_t)block * BLOCK_BYTES;
		uint64_t to = end < start + BLOCK_BYTES ? end : start + BLOCK_BYTES;
		if (together && is_in_look(l, e->ino, block))
			return CONTRADICTION(l, "block %u was stored to twice in one look", block);
		write_block(l, e->ino, block, (uint32_t)(at - start), (uint32_t)(to - start),
			    e->data + (at - e->offset));
		if (gap)
			l->micros[l->n_micros - 1].flags |= MICRO_TOGETHER;
		gap = false;
		if (together)
			l->micros[l->n_micros - 2].flags |= MICRO_TOGETHER;
		else if (store)
			l->look = (uint32_t)l->n_micros - 1;
		together = store;
		if (to > l->size[e->ino])
			set_size(l, e->ino, to, MICRO_GROWTH);
		at = to;
	}
	if (e->flags & (EVENT_DSYNC | EVENT_FSYNC_TOO))
		add_step(l, STEP_SYNC);
	return ERR_OK;
}

/* From the newest micro-op on, older data in [from, to) reads as zeros. */
static void add_mask(struct lowering *l, uint32_t ino, uint64_t from, uint64_t to)
{
	*MEM_PUSH(l->masks, l->n_masks, l->masks_cap) =
		(struct mask){(uint32_t)l->n_micros - 1, from, to};
	l->mask_ino = mem_grow(l->mask_ino, &l->mask_ino_cap, l->n_masks, sizeof *l->mask_ino);
	l->mask_ino[l->n_masks - 1] = ino;
	for (uint32_t i = l->blocks[ino]; i != NONE; i = l->next[i]) {
		uint64_t start = (uint64_t)l->objects[i].block * BLOCK_BYTES;
		if (start >= from && start + BLOCK_BYTES <= to)
			l->allocated[i] = false;
	}
}

/* A block of which only a part becomes zeros keeps its place, and is written, if there was
 * anything. */
static void zero_part(struct lowering *l, uint32_t ino, uint32_t block, uint32_t from, uint32_t to)
{
	uint8_t page[BLOCK_BYTES];
	uint32_t object = find_object(l, OBJECT_BLOCK, ino, block, NULL, false);
	if (from >= to || to - from == BLOCK_BYTES || object == NONE || !l->allocated[object])
		return;
	uint32_t last = l->newest_micro[object];
	uint32_t before = last == NONE ? l->objects[object].data0 : l->micros[last].data;
	content(l->data, before, page);
	if (memcmp(page + from, zeros, to - from) != 0)
		write_block(l, ino, block, from, to, zeros);
}

/* The blocks at the ends of a range that became zeros. */
static void zero_ends(struct lowering *l, uint32_t ino, uint64_t from, uint64_t to)
{
	uint32_t first = (uint32_t)(from / BLOCK_BYTES), last = (uint32_t)(to / BLOCK_BYTES);
	uint32_t begin = (uint32_t)(from % BLOCK_BYTES), end = (uint32_t)(to % BLOCK_BYTES);
	zero_part(l, ino, first, begin, first == last ? end : BLOCK_BYTES);
	if (first != last)
		zero_part(l, ino, last, 0, end);
}

static int lower_truncate(struct lowering *l, const struct event *e)
{
	int rc = need_inode(l, e->ino, INODE_FILE);
	if (rc)
		return rc;
	uint64_t before = l->size[e->ino];
	if (e->length == before)
		return ERR_OK; /* nothing but times change */
	set_size(l, e->ino, e->length, MICRO_META);
	if (e->length < before) {
		add_mask(l, e->ino, e->length, UINT64_MAX);
		zero_ends(l, e->ino, e->length, before);
	}
	return ERR_OK;
}

static int lower_range(struct lowering *l, const struct event *e)
{
	int rc = need_inode(l, e->ino, INODE_FILE);
	if (rc)
		return rc;
	if (e->length > UINT64_MAX - e->offset)
		return CONTRADICTION(l, "the range ends past any file's end");
	uint64_t end = e->offset + e->length, size = l->size[e->ino];
	uint64_t first = (e->offset + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
	uint64_t last = end / BLOCK_BYTES * BLOCK_BYTES;
	bool grows = !(e->flags & EVENT_KEEP_SIZE) && end > size;
	if (e->kind == EVENT_ZERO)
		zero_ends(l, e->ino, e->offset, end);
	set_size(l, e->ino, grows ? end : size, MICRO_META);
	if (e->kind == EVENT_ZERO && first < last)
		add_mask(l, e->ino, first, last);
	return ERR_OK;
}

/* ---- the whole ---- */

static int lower_event(struct lowering *l, const struct event *e)
{
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_SYMLINK:
	case EVENT_LINK:
		return lower_make(l, e);
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		return lower_remove(l, e);
	case EVENT_RENAME:
	case EVENT_EXCHANGE:
		return lower_rename(l, e);
	case EVENT_WRITE:
		return lower_write(l, e);
	case EVENT_TRUNCATE:
		return lower_truncate(l, e);
	case EVENT_FALLOCATE:
	case EVENT_ZERO:
		return lower_range(l, e);
	case EVENT_MSYNC:
		if (e->length > UINT64_MAX - e->offset)
			return CONTRADICTION(l, "the range ends past any file's end");
		/* fall through */
	case EVENT_FSYNC:
	case EVENT_FDATASYNC: {
		int rc = need_inode(l, e->ino, e->kind == EVENT_MSYNC ? INODE_FILE : -1);
		if (!rc)
			add_step(l, STEP_SYNC);
		return rc;
	}
	case EVENT_SYNC:
		add_step(l, STEP_SYNC);
		return ERR_OK;
	case EVENT_FAULT:
		add_step(l, STEP_FAULT);
		return ERR_OK;
	case EVENT_OP_BEGIN:
		add_step(l, STEP_BEGIN);
		return ERR_OK;
	case EVENT_OP_END:
	case EVENT_ACK:
		add_step(l, STEP_END);
		return ERR_OK;
	default:
		return ERR_OK; /* hints, opens and notes change nothing */
	}
}

static int lower_start(struct lowering *l)
{
	const struct trace *t = l->trace;
	l->made[TRACE_ROOT] = true;
	l->inodes[TRACE_ROOT] = (struct inode){.type = INODE_DIR, .size_object = NONE};
	for (size_t i = 0; i < t->n_start_inodes; i++) {
		const struct start_inode *s = &t->start_inodes[i];
		int rc = make_inode(l, s->ino, s->type, s->size, s->data);
		if (rc)
			return err_wrap(l->err, "the start");
		for (uint64_t b = 0; s->type == INODE_FILE && b * BLOCK_BYTES < s->size; b++)
			find_object(l, OBJECT_BLOCK, s->ino, (uint32_t)b, NULL, true);
	}
	for (size_t i = 0; i < t->n_start_entries; i++) {
		const struct start_entry *s = &t->start_entries[i];
		if (need_inode(l, s->dir, INODE_DIR) || need_inode(l, s->ino, -1) ||
		    need_name(l, s->name))
			return err_wrap(l->err, "the start");
		/* An entry's start is kept in block, which entries do not use. */
		uint32_t object = entry_object(l, s->dir, s->name);
		l->objects[object].block = s->ino;
	}
	return ERR_OK;
}

/* Hands out ranges of a shared array to inodes: counts become starts, and the
 * counts begin anew for the filling. */
#define RANGES(inodes, n, first, count, total)                                                     \
	for (uint32_t i_ = 1; i_ <= (n); i_++) {                                                   \
		(inodes)[i_].first = (total);                                                      \
		(total) += (inodes)[i_].count;                                                     \
		(inodes)[i_].count = 0;                                                            \
	}

static void count_by_inode(const struct lowering *l, struct ops *ops)
{
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		if (o->kind == OBJECT_BLOCK)
			ops->inodes[o->ino].n_blocks++;
		if (o->kind == OBJECT_ENTRY) {
			ops->inodes[o->ino].n_entries++;
			ops->inodes[o->block].n_namings++;
		}
	}
	for (uint32_t i = 0; i < ops->n_micros; i++)
		if (ops->objects[ops->micros[i].object].kind == OBJECT_ENTRY)
			ops->inodes[ops->micros[i].ino].n_namings++;
	for (size_t i = 0; i < l->n_masks; i++)
		ops->inodes[l->mask_ino[i]].n_masks++;
}

static void add_naming(struct ops *ops, uint32_t ino, uint32_t object, uint32_t version)
{
	struct inode *inode = &ops->inodes[ino];
	if (ino)
		ops->namings[inode->namings + inode->n_namings++] =
			(struct naming){object, version};
}

static void fill_by_inode(const struct lowering *l, struct ops *ops)
{
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		struct inode *inode = &ops->inodes[o->ino];
		if (o->kind == OBJECT_BLOCK)
			ops->block_objects[inode->blocks + inode->n_blocks++] = i;
		if (o->kind == OBJECT_ENTRY) {
			ops->entry_objects[inode->entries + inode->n_entries++] = i;
			add_naming(ops, o->block, i, 0);
		}
	}
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = &ops->micros[i];
		if (ops->objects[m->object].kind == OBJECT_ENTRY)
			add_naming(ops, m->ino, m->object, m->version);
	}
	for (size_t i = 0; i < l->n_masks; i++) {
		struct inode *inode = &ops->inodes[l->mask_ino[i]];
		ops->masks[inode->masks + inode->n_masks++] = l->masks[i];
	}
}

/* What was kept in program order, in ranges by inode. */
static void by_inode(const struct lowering *l, struct ops *ops)
{
	struct arena *a = l->trace->arena;
	uint32_t n = ops->n_inodes, blocks = 0, entries = 0, namings = 0, masks = 0;
	count_by_inode(l, ops);
	RANGES(ops->inodes, n, blocks, n_blocks, blocks);
	RANGES(ops->inodes, n, entries, n_entries, entries);
	RANGES(ops->inodes, n, namings, n_namings, namings);
	RANGES(ops->inodes, n, masks, n_masks, masks);
	ops->block_objects = arena_alloc(a, blocks, sizeof *ops->block_objects);
	ops->entry_objects = arena_alloc(a, entries, sizeof *ops->entry_objects);
	ops->namings = arena_alloc(a, namings, sizeof *ops->namings);
	ops->masks = arena_alloc(a, masks, sizeof *ops->masks);
	fill_by_inode(l, ops);
}

static int compare_blocks(const void *a, const void *b, void *arg)
{
	const struct object *objects = arg;
	uint32_t x = objects[*(const uint32_t *)a].block, y = objects[*(const uint32_t *)b].block;
	return (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b, void *arg)
{
	const struct object *objects = arg;
	return strcmp(objects[*(const uint32_t *)a].name, objects[*(const uint32_t *)b].name);
}

static struct ops *result(struct lowering *l)
{
	struct arena *a = l->trace->arena;
	struct ops *ops = arena_alloc(a, 1, sizeof *ops);
	ops->trace = l->trace;
	ops->n_objects = (uint32_t)l->n_objects;
	ops->n_micros = (uint32_t)l->n_micros;
	ops->n_steps = (uint32_t)l->n_steps;
	ops->n_data = (uint32_t)l->n_data;
	ops->n_inodes = l->trace->n_inodes;
	ops->objects = arena_dup(a, l->objects, l->n_objects, sizeof *l->objects);
	ops->micros = arena_dup(a, l->micros, l->n_micros, sizeof *l->micros);
	ops->steps = arena_dup(a, l->steps, l->n_steps, sizeof *l->steps);
	ops->data = arena_dup(a, l->data, l->n_data, sizeof *l->data);
	ops->inodes = arena_dup(a, l->inodes, (size_t)ops->n_inodes + 1, sizeof *l->inodes);
	ops->versions = arena_alloc(a, l->n_micros, sizeof *ops->versions);
	uint32_t first = 0;
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		ops->objects[i].first = first;
		first += ops->objects[i].n;
	}
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = &ops->micros[i];
		ops->versions[ops->objects[m->object].first + m->version - 1] = i;
	}
	by_inode(l, ops);
	for (uint32_t i = 1; i <= ops->n_inodes; i++) {
		struct inode *inode = &ops->inodes[i];
		qsort_r(ops->block_objects + inode->blocks, inode->n_blocks,
			sizeof *ops->block_objects, compare_blocks, ops->objects);
		qsort_r(ops->entry_objects + inode->entries, inode->n_entries,
			sizeof *ops->entry_objects, compare_names, ops->objects);
	}
	return ops;
}

static void lowering_finish(struct lowering *l)
{
	struct object_entry *e, *next;
	HASH_ITER (hh, l->known, e, next) {
		HASH_DEL(l->known, e);
		free(e);
	}
	free(l->objects);
	free(l->newest_micro);
	free(l->allocated);
	free(l->micros);
	free(l->steps);
	free(l->data);
	free(l->depth);
	free(l->masks);
	free(l->mask_ino);
	free(l->inodes);
	free(l->blocks);
	free(l->next);
	free(l->size);
	free(l->made);
}

int ops_lower(struct trace *trace, struct ops **ops, struct err *err)
{
	struct err scratch;
	size_t inodes = (size_t)trace->n_inodes + 1;
	struct lowering l = {.trace = trace, .err = err ? err : &scratch};
	l.inodes = mem_alloc(inodes, sizeof *l.inodes);
	l.blocks = mem_alloc(inodes, sizeof *l.blocks);
	memset(l.blocks, 0xff, inodes * sizeof *l.blocks);
	l.size = mem_alloc(inodes, sizeof *l.size);
	l.made = mem_alloc(inodes, sizeof *l.made);
	*ops = NULL;
	int rc = lower_start(&l);
	for (size_t i = 0; i < trace->n_events && !rc; i++) {
		l.event = (uint32_t)i;
		rc = lower_event(&l, &trace->events[i]);
		if (rc)
			err_wrap(l.err, "trace event %zu (%s)", i,
				 event_kind_name(trace->events[i].kind));
	}
	if (!rc)
		*ops = result(&l);
	lowering_finish(&l);
	return rc;
}

/* ---- questions ---- */

uint32_t ops_newest(const struct ops *ops, uint32_t object, uint32_t point)
{
	const struct object *o = &ops->objects[object];
	uint32_t low = 0, high = o->n; /* versions <= low are before the point */
	while (low < high) {
		uint32_t middle = (low + high + 1) / 2;
		if (ops->micros[ops_micro(ops, object, middle)].step < point)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

uint64_t ops_size(const struct ops *ops, uint32_t object, uint32_t version)
{
	return version ? ops->micros[ops_micro(ops, object, version)].size
		       : ops->inodes[ops->objects[object].ino].start_size;
}

uint32_t ops_entry(const struct ops *ops, uint32_t object, uint32_t version)
{
	return version ? ops->micros[ops_micro(ops, object, version)].ino
		       : ops->objects[object].block;
}

uint32_t ops_block_object(const struct ops *ops, uint32_t ino, uint32_t block)
{
	const struct inode *inode = &ops->inodes[ino];
	const uint32_t *objects = ops->block_objects + inode->blocks;
	uint32_t low = 0, high = inode->n_blocks;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ops->objects[objects[middle]].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low < inode->n_blocks && ops->objects[objects[low]].block == block ? objects[low]
										  : NONE;
}

/* The first of masks [low, high) whose micro-op is at or after a place. */
static uint32_t first_mask(const struct ops *ops, uint32_t low, uint32_t high, uint32_t micro)
{
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ops->masks[middle].micro < micro)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void ops_masks(const struct ops *ops, uint32_t object, uint32_t version, uint32_t size_version,
	       uint32_t *first, uint32_t *end)
{
	const struct inode *inode = &ops->inodes[ops->objects[object].ino];
	uint32_t low = inode->masks, high = inode->masks + inode->n_masks;
	*first = *end = high;
	if (low == high || size_version == 0)
		return;
	uint32_t after = version ? ops_micro(ops, object, version) : 0;
	uint32_t until = ops_micro(ops, inode->size_object, size_version);
	*first = first_mask(ops, low, high, after);
	*end = first_mask(ops, *first, high, until + 1);
}

void ops_masks_switched(const struct ops *ops, uint32_t object, uint32_t a, uint32_t b,
			uint32_t *first, uint32_t *end)
{
	const struct inode *inode = &ops->inodes[ops->objects[object].ino];
	uint32_t high = inode->masks + inode->n_masks;
	*first = first_mask(ops, inode->masks, high, a ? ops_micro(ops, object, a) + 1 : 0);
	*end = b ? first_mask(ops, *first, high, ops_micro(ops, object, b) + 1) : *first;
}

bool ops_mask_block(const struct ops *ops, uint32_t object, uint32_t first, uint32_t end,
		    uint8_t *bytes)
{
	bool any = false;
	for (uint32_t i = first; i < end; i++) {
		uint32_t from, to;
		mask_in_block(&ops->masks[i], ops->objects[object].block, &from, &to);
		any = any || from < to;
		if (bytes)
			memset(bytes + from, 0, to - from);
	}
	return any;
}

/* The masks that came between two versions of a block. */
static void masks_between(const struct ops *ops, uint32_t object, uint32_t older, uint32_t newer,
			  uint32_t *first, uint32_t *end)
{
	const struct inode *inode = &ops->inodes[ops->objects[object].ino];
	uint32_t high = inode->masks + inode->n_masks;
	uint32_t after = older ? ops_micro(ops, object, older) : 0;
	*first = first_mask(ops, inode->masks, high, after);
	*end = first_mask(ops, *first, high, ops_micro(ops, object, newer));
}

void ops_content_under(const struct ops *ops, uint32_t object, uint32_t version, uint32_t newer,
		       uint8_t *out)
{
	uint32_t first, end;
	ops_content(ops, object, version, out);
	masks_between(ops, object, version, newer, &first, &end);
	ops_mask_block(ops, object, first, end, out);
}

uint8_t ops_sectors_differing(const struct ops *ops, uint32_t object, uint32_t newer,
			      uint32_t older)
{
	const uint64_t *x = ops->data[ops_data(ops, object, newer)].sector;
	const uint64_t *y = ops->data[ops_data(ops, object, older)].sector;
	uint64_t masked[BLOCK_SECTORS];
	uint32_t first, end;
	uint8_t set = 0;
	masks_between(ops, object, older, newer, &first, &end);
	if (ops_mask_block(ops, object, first, end, NULL)) {
		uint8_t bytes[BLOCK_BYTES];
		ops_content_under(ops, object, older, newer, bytes);
		sector_hashes(bytes, masked);
		y = masked;
	}
	for (int i = 0; i < BLOCK_SECTORS; i++)
		if (x[i] != y[i])
			set |= (uint8_t)(1u << i);
	return set;
}

static const char *fault_name(const struct ops *ops, uint32_t step)
{
	return ops->trace->events[ops->steps[step].event].name;
}

const char *ops_fault_before(const struct ops *ops, uint32_t point)
{
	while (point-- > 0)
		if (ops->steps[point].kind == STEP_FAULT)
			return fault_name(ops, point);
	return "";
}

const char *ops_fault_after(const struct ops *ops, uint32_t point)
{
	for (; point < ops->n_steps; point++)
		if (ops->steps[point].kind == STEP_FAULT)
			return fault_name(ops, point);
	return "";
}

uint32_t ops_events_before(const struct ops *ops, uint32_t point)
{
	if (point == 0)
		return 0;
	const struct step *s = &ops->steps[point - 1];
	return s->event + (s->kind == STEP_MICRO ? 0 : 1);
}

uint32_t ops_point_named(const struct ops *ops, uint32_t point)
{
	if (point > 0 && ops->steps[point - 1].kind == STEP_MICRO)
		while (point < ops->n_steps && ops->steps[point].kind == STEP_FAULT)
			point++;
	return point;
}
