/* What was seen: a directory tree as somebody found it, in the form in which a
 * mounted file system is held against the model.
 *
 * Names, types, hard links, sizes, and a digest of each block; the bytes too where
 * they were asked for.  It is flat, one piece of memory without pointers, so that a
 * worker can hand it over.
 *
 * Nodes come as image_walk (image.h) gives them: parents before children, names
 * of a directory in the order of their bytes.  The root is not among them. */
#ifndef POWERCUT_SEEN_H
#define POWERCUT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "image.h"

struct seen_node {
	uint32_t path;	/* of its text; seen_path */
	uint32_t first; /* the first node of the same inode: itself, but for further hard links */
	uint64_t size;	/* files: bytes; symbolic links: length of the target; directories: 0 */
	uint32_t block; /* its first block; further links have no blocks of their own */
	uint32_t n_blocks;
	uint8_t type; /* enum inode_type */
};

struct seen {
	uint64_t bytes; /* of the whole, this struct included */
	uint32_t n_nodes, n_blocks;
	uint64_t nodes, blocks, text, data; /* where they begin, in bytes from here; data: 0 for
					       none, else BLOCK_BYTES a block */
	struct digest digest; /* of all but data: equal for equal trees */
};

/* Collects a tree.  A zeroed struct is empty. */
struct seen_maker {
	struct buf nodes, blocks, text, data;
	bool keep_data;
};

/* Adds a node, whose path is copied.  first: the number that an earlier link of the
 * same inode was given, or NONE.  Returns its number. */
uint32_t seen_add(struct seen_maker *maker, const char *path, enum inode_type type, uint32_t first,
		  uint64_t size);
/* Adds the next block of the node added last: BLOCK_BYTES, zeros past the end. */
void seen_add_block(struct seen_maker *maker, const uint8_t *bytes);
/* Appends the finished tree to out, which must be empty, and empties the maker. */
void seen_finish(struct seen_maker *maker, struct buf *out);
/* Releases what the maker holds. */
void seen_maker_finish(struct seen_maker *maker);

/* The tree that an image shows; appended to out, which must be empty. */
void seen_image(const struct image *image, bool keep_data, struct buf *out);

const struct seen_node *seen_node(const struct seen *seen, uint32_t node);
const char *seen_path(const struct seen *seen, uint32_t node);
/* The digest (ops_digest) of a block of a node, which may be a further link. */
struct digest seen_block(const struct seen *seen, uint32_t node, uint32_t block);
/* Its bytes, or NULL where they were not kept or the block is past the end. */
const uint8_t *seen_data(const struct seen *seen, uint32_t node, uint32_t block);
/* The node at a path, or NONE. */
uint32_t seen_find(const struct seen *seen, const char *path);

/* For people: a line a node ("f  3000 bytes, block 0 zeros"). */
void seen_print(const struct seen *seen, struct buf *out);

#endif
