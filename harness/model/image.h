/* An image: the directory that a crash state leaves behind, as data.
 *
 * A crash state is a crash point and what is held back there: the objects that
 * are not on disk in their newest version, each with the version that is.  At
 * most one block may be torn (M10).  What cannot be seen (blocks past the end
 * of a file, contents of files without a name) is not held back: it is not a
 * choice, since no recovery can tell.
 *
 * An image walks from state to state in time proportional to what differs, and
 * keeps a digest: equal digests mean equal trees (names, types, links, sizes,
 * bytes), whatever state or profile led there.  The digest has 128 bits; a
 * billion states collide with probability 10^-21.
 *
 * Pure, but for its own memory. */
#ifndef POWERCUT_IMAGE_H
#define POWERCUT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "ops.h"

struct held {
	uint32_t object;
	uint32_t version; /* older than the newest at the point */
};

struct tear {
	uint32_t object;  /* NONE: nothing is torn */
	uint32_t older;   /* the version whose bytes the other sectors hold */
	uint8_t sectors;  /* bits of the sectors that hold the new version */
};

struct state {
	uint32_t point;
	uint32_t n_held;
	const struct held *held; /* by rising object number */
	struct tear tear;
};

/* Whether nothing is held back, and nothing torn: all is on disk. */
static inline bool state_is_whole(const struct state *state)
{
	return state->n_held == 0 && state->tear.object == NONE;
}

struct digest {
	uint64_t lo, hi;
};

/* An object whose version (or tear) the last image_goto changed.  The same
 * object may be listed twice. */
struct image_change {
	uint32_t object;
	uint32_t before, after; /* versions */
};

struct image;

/* An image at the start of the trace.  Released by image_destroy (NULL is
 * fine).  ops must outlive it. */
struct image *image_create(const struct ops *ops);
void image_destroy(struct image *image);

/* Moves to a state.  state is only read during the call. */
void image_goto(struct image *image, const struct state *state);

struct digest image_digest(const struct image *image);

/* What the image is of. */
const struct ops *image_ops(const struct image *image);

/* What the last image_goto changed; valid until the next one. */
const struct image_change *image_changes(const struct image *image, size_t *n);

uint32_t image_version(const struct image *image, uint32_t object);
/* What an entry names now: an inode or 0. */
uint32_t image_entry(const struct image *image, uint32_t object);
uint64_t image_size(const struct image *image, uint32_t ino);
/* The bytes of a block as they would be read were the file long enough: tear
 * and masks applied, not cut at the size. */
void image_block(const struct image *image, uint32_t object, uint8_t *out);

/* Calls visit for every name that is reachable from the root, parents before
 * children, names of a directory in the order of their bytes.  path has no
 * leading slash.  A non-zero return ends the walk and is returned. */
typedef int image_visit(void *arg, const char *path, uint32_t ino);
int image_walk(const struct image *image, image_visit *visit, void *arg);

/* size bytes at offset of an inode as a program would read them. */
void image_read(const struct image *image, uint32_t ino, uint64_t offset, void *out, size_t size);

#endif
