/* A disk: an image made real as files in a directory, again and again.
 *
 * Each inode of the trace has one backing file, and names are hard links to it,
 * so that going from one state to the next touches only what differs.  What a
 * recovery wrote is found afterwards (inotify tells which files were opened for
 * writing; their bytes are compared) and undone. */
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

/* The directory that holds the image; valid until disk_destroy. */
const char *disk_dir(const struct disk *disk);

/* Shows a state. */
int disk_show(struct disk *disk, const struct state *state, struct err *err);

/* Undoes whatever was done in the directory since disk_show.  All processes
 * that could write there must have ended. */
int disk_restore(struct disk *disk, struct err *err);

/* Writes the tree of a state to dir, which must be empty or missing: the
 * export of `powercut repro`. */
int disk_export(const struct ops *ops, const struct state *state, const char *dir,
		struct err *err);

/* Compares the real tree in dir with the state's; the first difference is in
 * text (empty if equal). */
int disk_compare(const struct ops *ops, const struct state *state, const char *dir, char *text,
		 size_t text_size, struct err *err);

#endif
