/* A disk: an image made real as files in a directory, again and again.
 *
 * Each inode of the trace has one backing file, and names are hard links to it,
 * so that going from one state to the next touches only what differs.  What a
 * recovery did is found afterwards (inotify tells which names changed and which
 * files were open for writing; the bytes of those are compared) and undone.
 *
 * A disk lives in memory that forked children do not have: a child may use the
 * directory, but not the struct. */
#ifndef POWERCUT_DISK_H
#define POWERCUT_DISK_H

#include "err.h"
#include "image.h"

struct disk;

/* Makes a working area below parent (an existing directory, best on tmpfs),
 * showing the start of the trace.  ERR_IO; a full file system is named. */
int disk_create(const struct ops *ops, const char *parent, struct disk **disk, struct err *err);

/* Removes the working area.  NULL is fine. */
void disk_destroy(struct disk *disk);

/* The directory that holds the image; valid until disk_destroy, in children
 * too. */
const char *disk_dir(const struct disk *disk);

/* The working area: the directory above, which also holds what belongs to the
 * disk but is no part of the image.  Its owner may keep files there whose names
 * begin with "own-". */
const char *disk_area(const struct disk *disk);

/* Shows a state.  After an error the next call mends what is there; if that
 * fails too, another disk is needed. */
int disk_show(struct disk *disk, const struct state *state, struct err *err);

/* Undoes whatever was done in the directory since disk_show, which must be
 * called again before anything else is done there.  All processes that could
 * write there must have ended.  After an error the disk must be destroyed. */
int disk_restore(struct disk *disk, struct err *err);

/* Writes the tree of a state to dir, which must be empty or missing: the
 * export of `powercut repro`. */
int disk_export(const struct ops *ops, const struct state *state, const char *dir, struct err *err);

/* Compares the real tree in dir with the state's; the first difference is in
 * text (empty if equal). */
int disk_compare(const struct ops *ops, const struct state *state, const char *dir, char *text,
		 size_t text_size, struct err *err);

#endif
