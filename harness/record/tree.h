/* What the recorder knows of the data directory: the trace's own numbers for
 * inodes, found by what stat tells and by directory and name.
 *
 * The tree is changed only together with an event, so it is always what the
 * trace, replayed, would give.  Whatever the program does that does not fit it
 * is not guessed at but spoils the run. */
#ifndef POWERCUT_TREE_H
#define POWERCUT_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "trace.h"

/* Stands for whatever is neither a file, a directory nor a symbolic link: it has
 * a name, and no part in the trace. */
#define TREE_OTHER UINT32_MAX

struct node {
	uint8_t type;	/* enum inode_type */
	bool nameless;	/* made without a name, and without one so far (O_TMPFILE) */
	uint32_t links; /* names it has; 0: removed or nameless, though perhaps still open */
	uint64_t size;	/* of a file, in bytes */
};

struct tree {
	struct node *nodes; /* by number; [0] is unused */
	size_t n_nodes, cap;
	struct identity *identities;
	struct name *names;
};

/* A zeroed struct tree is an empty one. */
void tree_finish(struct tree *tree);

/* Makes ino known by st_dev and st_ino.  What had these before is forgotten
 * under them: numbers are reused by file systems. */
void tree_add(struct tree *tree, uint32_t ino, enum inode_type type, const struct stat *st);

/* The number of what stat shows, or 0.  Beware of one without names left: the
 * file system may have given its st_ino to another file since. */
uint32_t tree_identify(const struct tree *tree, const struct stat *st);

/* The same for a directory that is still there; 0 for all else. */
uint32_t tree_identify_dir(const struct tree *tree, const struct stat *st);

/* The node of a number that was added; good until the next tree_add. */
struct node *tree_node(struct tree *tree, uint32_t ino);

/* What dir/name is, which may be TREE_OTHER, or 0. */
uint32_t tree_lookup(const struct tree *tree, uint32_t dir, const char *name);

/* dir/name is ino from now on; it must not exist (must exist). */
void tree_enter(struct tree *tree, uint32_t dir, const char *name, uint32_t ino);
void tree_remove(struct tree *tree, uint32_t dir, const char *name);

#endif
