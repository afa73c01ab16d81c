/* The digest of an image is a sum, so that it can follow changes:
 *
 *   block    a mix of its number and of the digest of its visible bytes; 0 for
 *            zeros, which makes holes and written zeros alike
 *   file     the sum of its blocks and a mix of its size
 *   tree     the sum over its names of a mix of directory, name, type and file
 *
 * The last sum is kept up to date as long as the tree is simple: all names in
 * the root, one for each file.  Otherwise it is made by a walk. */
#include "image.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "mem.h"

struct image {
	const struct ops *ops;
	uint32_t point;
	struct tear tear;
	uint32_t *version; /* by object: on disk in this state */
	uint32_t *newest;  /* by object: the newest at the point */
	uint32_t *target;  /* by object, valid where stamp is the present one */
	uint32_t *stamp;
	uint32_t now;
	uint32_t *affected;
	size_t n_affected, affected_cap;
	uint32_t *held;
	size_t n_held, held_cap;
	struct digest *term; /* by block object: what it adds to its file */
	struct digest *file; /* by inode */
	uint32_t *links;     /* by inode: names in this state */
	uint32_t *named_by;  /* by inode: one of its names, while links is 1 */
	uint32_t n_linked;   /* inodes with more than one name */
	bool flat;	     /* no names outside the root, ever */
	bool stale;	     /* tree must be summed anew */
	struct digest tree;
	struct image_change *changes;
	size_t n_changes, changes_cap;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	return x;
}

static struct digest mixed(struct digest d, uint64_t a)
{
	return (struct digest){mix(d.lo + mix(a + 0x9e3779b97f4a7c15u)),
			       mix(d.hi + mix(a + 0xc2b2ae3d27d4eb4fu))};
}

static void add(struct digest *sum, struct digest d)
{
	sum->lo += d.lo;
	sum->hi += d.hi;
}

static void subtract(struct digest *sum, struct digest d)
{
	sum->lo -= d.lo;
	sum->hi -= d.hi;
}

const struct ops *image_ops(const struct image *image)
{
	return image->ops;
}

uint32_t image_version(const struct image *image, uint32_t object)
{
	return image->version[object];
}

uint32_t image_entry(const struct image *image, uint32_t object)
{
	return ops_entry(image->ops, object, image->version[object]);
}

uint64_t image_size(const struct image *image, uint32_t ino)
{
	const struct inode *inode = &image->ops->inodes[ino];
	if (inode->size_object == NONE)
		return inode->start_size;
	return ops_size(image->ops, inode->size_object, image->version[inode->size_object]);
}

/* Applies the masks of this state to a block (bytes may be NULL); whether there
 * are any. */
static bool apply_masks(const struct image *image, uint32_t object, uint8_t *bytes)
{
	const struct ops *ops = image->ops;
	const struct inode *inode = &ops->inodes[ops->objects[object].ino];
	uint32_t first, end;
	if (inode->n_masks == 0)
		return false;
	ops_masks(ops, object, image->version[object], image->version[inode->size_object], &first,
		  &end);
	return ops_mask_block(ops, object, first, end, bytes);
}

void image_block(const struct image *image, uint32_t object, uint8_t *out)
{
	uint32_t version = image->version[object];
	ops_content(image->ops, object, version, out);
	if (image->tear.object == object) {
		uint8_t older[BLOCK_BYTES];
		ops_content_under(image->ops, object, image->tear.older, version, older);
		for (size_t i = 0; i < BLOCK_SECTORS; i++)
			if (!(image->tear.sectors >> i & 1))
				memcpy(out + i * SECTOR_BYTES, older + i * SECTOR_BYTES,
				       SECTOR_BYTES);
	}
	apply_masks(image, object, out);
}

/* What a block adds to its file's digest in this state. */
static struct digest block_term(const struct image *image, uint32_t object)
{
	const struct ops *ops = image->ops;
	const struct object *o = &ops->objects[object];
	uint64_t start = (uint64_t)o->block * BLOCK_BYTES, size = image_size(image, o->ino);
	struct digest d = {0, 0};
	if (start >= size)
		return d;
	const struct data_version *data = &ops->data[ops_data(ops, object, image->version[object])];
	bool whole = size - start >= data->extent && image->tear.object != object &&
		     !apply_masks(image, object, NULL);
	if (whole) {
		d = (struct digest){data->lo, data->hi};
	} else {
		uint8_t bytes[BLOCK_BYTES];
		image_block(image, object, bytes);
		if (size - start < BLOCK_BYTES)
			memset(bytes + (size - start), 0, BLOCK_BYTES - (size - start));
		ops_digest(bytes, &d.lo, &d.hi);
	}
	return d.lo | d.hi ? mixed(d, o->block) : d;
}

/* What a name adds to the tree's digest while it stands for ino. */
static struct digest name_term(const struct image *image, uint32_t object, uint32_t ino)
{
	const struct object *o = &image->ops->objects[object];
	const struct inode *inode = &image->ops->inodes[ino];
	XXH128_hash_t h = XXH3_128bits_withSeed(o->name, strlen(o->name),
						((uint64_t)o->ino << 2) + inode->type);
	struct digest d = {h.low64, h.high64};
	add(&d, image->file[ino]);
	return mixed(d, 0);
}

/* A file's digest changed by `by`: so does the tree's, through its one name. */
static void file_changed(struct image *image, uint32_t ino, struct digest before)
{
	if (!image->flat || image->stale || image->links[ino] != 1)
		return;
	struct digest after = image->file[ino];
	uint32_t name = image->named_by[ino];
	image->file[ino] = before;
	subtract(&image->tree, name_term(image, name, ino));
	image->file[ino] = after;
	add(&image->tree, name_term(image, name, ino));
}

static void update_term(struct image *image, uint32_t object)
{
	uint32_t ino = image->ops->objects[object].ino;
	subtract(&image->file[ino], image->term[object]);
	image->term[object] = block_term(image, object);
	add(&image->file[ino], image->term[object]);
}

static void change_block(struct image *image, uint32_t object, uint32_t version)
{
	uint32_t ino = image->ops->objects[object].ino;
	struct digest before = image->file[ino];
	image->version[object] = version;
	update_term(image, object);
	file_changed(image, ino, before);
}

static struct digest size_term(uint64_t size)
{
	return mixed((struct digest){size, ~size}, 1);
}

/* The first BLOCK object of an inode, in the order of numbers, whose number is
 * at least block. */
static uint32_t first_block(const struct ops *ops, const struct inode *inode, uint64_t block)
{
	uint32_t low = 0, high = inode->n_blocks;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ops->objects[ops->block_objects[inode->blocks + middle]].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Widens [*from, *to) by what the masks hide in one of two versions of the size
 * and not in the other. */
static void widen_by_masks(const struct ops *ops, uint32_t object, uint32_t a, uint32_t b,
			   uint64_t *from, uint64_t *to)
{
	uint32_t i, end;
	ops_masks_switched(ops, object, a < b ? a : b, a < b ? b : a, &i, &end);
	for (; i < end; i++) {
		*from = ops->masks[i].from < *from ? ops->masks[i].from : *from;
		*to = ops->masks[i].to > *to ? ops->masks[i].to : *to;
	}
}

static void change_size(struct image *image, uint32_t object, uint32_t version)
{
	const struct ops *ops = image->ops;
	uint32_t ino = ops->objects[object].ino;
	const struct inode *inode = &ops->inodes[ino];
	struct digest before = image->file[ino];
	uint32_t old_version = image->version[object];
	uint64_t old = ops_size(ops, object, old_version);
	uint64_t new = ops_size(ops, object, version);
	uint64_t from = old < new ? old : new, to = old < new ? new : old, limit = to;
	image->version[object] = version;
	subtract(&image->file[ino], size_term(old));
	add(&image->file[ino], size_term(new));
	widen_by_masks(ops, object, old_version, version, &from, &to);
	to = to < limit ? to : limit; /* past both sizes nothing is seen */
	for (uint32_t i = first_block(ops, inode, from / BLOCK_BYTES); i < inode->n_blocks; i++) {
		uint32_t block = ops->block_objects[inode->blocks + i];
		if ((uint64_t)ops->objects[block].block * BLOCK_BYTES >= to)
			break;
		update_term(image, block);
	}
	file_changed(image, ino, before);
}

/* A name leaves the tree, or joins it. */
static void drop_entry(struct image *image, uint32_t object)
{
	uint32_t ino = image_entry(image, object);
	if (!ino)
		return;
	if (!image->stale)
		subtract(&image->tree, name_term(image, object, ino));
	image->links[ino]--;
	if (image->links[ino] == 1) {
		image->n_linked--;
		image->stale = true; /* named_by must be found anew */
	}
}

static void join_entry(struct image *image, uint32_t object)
{
	uint32_t ino = image_entry(image, object);
	if (!ino)
		return;
	image->links[ino]++;
	if (image->links[ino] == 2) {
		image->n_linked++;
		image->stale = true;
	}
	image->named_by[ino] = object;
	if (!image->stale)
		add(&image->tree, name_term(image, object, ino));
}

static void change(struct image *image, uint32_t object, uint32_t version)
{
	*MEM_PUSH(image->changes, image->n_changes, image->changes_cap) =
		(struct image_change){object, image->version[object], version};
	switch (image->ops->objects[object].kind) {
	case OBJECT_BLOCK:
		change_block(image, object, version);
		break;
	case OBJECT_SIZE:
		change_size(image, object, version);
		break;
	default:
		image->version[object] = version;
	}
}

/* ---- walking from state to state ---- */

static void affect(struct image *image, uint32_t object, uint32_t version)
{
	if (image->stamp[object] != image->now) {
		image->stamp[object] = image->now;
		*MEM_PUSH(image->affected, image->n_affected, image->affected_cap) = object;
	}
	image->target[object] = version;
}

static void move_point(struct image *image, uint32_t point)
{
	const struct ops *ops = image->ops;
	for (; image->point < point; image->point++) {
		const struct step *s = &ops->steps[image->point];
		if (s->kind == STEP_MICRO) {
			const struct micro *m = &ops->micros[s->micro];
			image->newest[m->object] = m->version;
			affect(image, m->object, m->version);
		}
	}
	while (image->point > point) {
		const struct step *s = &ops->steps[--image->point];
		if (s->kind == STEP_MICRO) {
			const struct micro *m = &ops->micros[s->micro];
			image->newest[m->object] = m->version - 1;
			affect(image, m->object, m->version - 1);
		}
	}
}

static void mend_names(struct image *image)
{
	const struct ops *ops = image->ops;
	image->tree = (struct digest){0, 0};
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		if (ops->objects[i].kind != OBJECT_ENTRY)
			continue;
		uint32_t ino = image_entry(image, i);
		if (ino) {
			image->named_by[ino] = i;
			add(&image->tree, name_term(image, i, ino));
		}
	}
	image->stale = false;
}

/* What is at another version in the state than in the image. */
static void find_affected(struct image *image, const struct state *state)
{
	size_t n = 0;
	image->n_affected = 0;
	image->now++;
	for (size_t i = 0; i < image->n_held; i++)
		affect(image, image->held[i], image->newest[image->held[i]]);
	move_point(image, state->point);
	image->n_held = 0;
	for (uint32_t i = 0; i < state->n_held; i++) {
		affect(image, state->held[i].object, state->held[i].version);
		*MEM_PUSH(image->held, image->n_held, image->held_cap) = state->held[i].object;
	}
	for (size_t i = 0; i < image->n_affected; i++) {
		uint32_t object = image->affected[i];
		if (image->target[object] != image->version[object])
			image->affected[n++] = object;
	}
	image->n_affected = n;
}

static void set_tear(struct image *image, struct tear tear)
{
	uint32_t torn = image->tear.object;
	image->tear = tear;
	if (torn != NONE)
		change(image, torn, image->version[torn]);
	if (tear.object != NONE && tear.object != torn)
		change(image, tear.object, image->version[tear.object]);
}

void image_goto(struct image *image, const struct state *state)
{
	const struct object *objects = image->ops->objects;
	image->n_changes = 0;
	set_tear(image, (struct tear){.object = NONE});
	find_affected(image, state);
	/* Old names go before new ones come, so that a file that was renamed never
	 * seems to have two. */
	for (size_t i = 0; i < image->n_affected; i++)
		if (objects[image->affected[i]].kind == OBJECT_ENTRY)
			drop_entry(image, image->affected[i]);
	for (size_t i = 0; i < image->n_affected; i++)
		change(image, image->affected[i], image->target[image->affected[i]]);
	for (size_t i = 0; i < image->n_affected; i++)
		if (objects[image->affected[i]].kind == OBJECT_ENTRY)
			join_entry(image, image->affected[i]);
	set_tear(image, state->tear);
	if (image->stale && image->flat && image->n_linked == 0)
		mend_names(image);
}

const struct image_change *image_changes(const struct image *image, size_t *n)
{
	*n = image->n_changes;
	return image->changes;
}

struct image *image_create(const struct ops *ops)
{
	struct image *image = mem_alloc(1, sizeof *image);
	size_t objects = ops->n_objects, inodes = (size_t)ops->n_inodes + 1;
	image->ops = ops;
	image->tear.object = NONE;
	image->version = mem_alloc(objects, sizeof *image->version);
	image->newest = mem_alloc(objects, sizeof *image->newest);
	image->target = mem_alloc(objects, sizeof *image->target);
	image->stamp = mem_alloc(objects, sizeof *image->stamp);
	image->term = mem_alloc(objects, sizeof *image->term);
	image->file = mem_alloc(inodes, sizeof *image->file);
	image->links = mem_alloc(inodes, sizeof *image->links);
	image->named_by = mem_alloc(inodes, sizeof *image->named_by);
	image->flat = true;
	for (uint32_t i = 1; i <= ops->n_inodes; i++) {
		const struct inode *inode = &ops->inodes[i];
		if (inode->type == INODE_SYMLINK) {
			XXH128_hash_t h = XXH3_128bits(inode->start_data, inode->start_size);
			image->file[i] = (struct digest){h.low64, h.high64};
		} else if (inode->type == INODE_FILE) {
			image->file[i] = size_term(inode->start_size);
		}
	}
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		if (o->kind == OBJECT_BLOCK)
			update_term(image, i);
		if (o->kind != OBJECT_ENTRY)
			continue;
		image->flat = image->flat && o->ino == TRACE_ROOT;
		if (o->block && ++image->links[o->block] == 2)
			image->n_linked++;
	}
	mend_names(image);
	image->stale = image->n_linked > 0;
	return image;
}

void image_destroy(struct image *image)
{
	if (!image)
		return;
	free(image->version);
	free(image->newest);
	free(image->target);
	free(image->stamp);
	free(image->affected);
	free(image->held);
	free(image->term);
	free(image->file);
	free(image->links);
	free(image->named_by);
	free(image->changes);
	free(image);
}

/* ---- the tree as a whole ---- */

enum { PATH_MAX_BYTES = 4096, DEPTH_MAX = 128 };

static int walk(const struct image *image, uint32_t dir, char *path, size_t length, int depth,
		image_visit *visit, void *arg)
{
	const struct ops *ops = image->ops;
	const struct inode *inode = &ops->inodes[dir];
	for (uint32_t i = 0; i < inode->n_entries; i++) {
		uint32_t object = ops->entry_objects[inode->entries + i];
		uint32_t ino = image_entry(image, object);
		size_t n = strlen(ops->objects[object].name);
		if (!ino || length + n + 2 > PATH_MAX_BYTES)
			continue;
		memcpy(path + length, ops->objects[object].name, n + 1);
		int rc = visit(arg, path, ino);
		if (!rc && ops->inodes[ino].type == INODE_DIR && depth < DEPTH_MAX) {
			path[length + n] = '/';
			rc = walk(image, ino, path, length + n + 1, depth + 1, visit, arg);
		}
		if (rc)
			return rc;
	}
	return 0;
}

int image_walk(const struct image *image, image_visit *visit, void *arg)
{
	char path[PATH_MAX_BYTES] = "";
	return walk(image, TRACE_ROOT, path, 0, 0, visit, arg);
}

struct summing {
	const struct image *image;
	struct digest sum;
	uint64_t *first; /* by inode: a hash of its first path, or NULL without links */
};

static int sum_name(void *arg, const char *path, uint32_t ino)
{
	struct summing *s = arg;
	const struct image *image = s->image;
	uint8_t type = image->ops->inodes[ino].type;
	XXH128_hash_t h = XXH3_128bits_withSeed(path, strlen(path), type);
	struct digest d = {h.low64, h.high64};
	add(&d, image->file[ino]);
	/* Names of one file are told from names of equal files: by the first of
	 * them, and not by the inode's number, which no program can see. */
	uint64_t first = h.low64;
	if (s->first) {
		s->first[ino] = s->first[ino] ? s->first[ino] : first | 1;
		first = s->first[ino];
	}
	add(&s->sum, mixed(d, first | 1));
	return 0;
}

struct digest image_digest(const struct image *image)
{
	if (image->flat && image->n_linked == 0)
		return image->tree;
	struct summing s = {.image = image};
	if (image->n_linked)
		s.first = mem_alloc((size_t)image->ops->n_inodes + 1, sizeof *s.first);
	image_walk(image, sum_name, &s);
	free(s.first);
	/* A simple tree's sum is of another form: keep the two apart. */
	return mixed(s.sum, 2);
}

void image_read(const struct image *image, uint32_t ino, uint64_t offset, void *out, size_t size)
{
	const struct ops *ops = image->ops;
	uint64_t end = image_size(image, ino);
	uint8_t *to = out;
	memset(out, 0, size);
	while (size && offset < end) {
		uint8_t bytes[BLOCK_BYTES];
		uint32_t block = (uint32_t)(offset / BLOCK_BYTES);
		uint64_t in = offset % BLOCK_BYTES;
		size_t n = BLOCK_BYTES - in < size ? BLOCK_BYTES - in : size;
		n = end - offset < n ? (size_t)(end - offset) : n;
		uint32_t object = ops_block_object(ops, ino, block);
		if (object != NONE) {
			image_block(image, object, bytes);
			memcpy(to, bytes + in, n);
		}
		to += n;
		offset += n;
		size -= n;
	}
}
