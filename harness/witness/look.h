/* Looking: a real directory tree → what was seen (seen.h). */
#ifndef POWERCUT_LOOK_H
#define POWERCUT_LOOK_H

#include <stdbool.h>

#include "buf.h"
#include "err.h"

/* Reads the tree below an open directory, which stays open, and appends it to out,
 * which must be empty, as a struct seen; with keep_data, the bytes of its files too.
 * Symbolic links are not followed.  After an error out is still empty: ERR_IO, with the
 * path from dir on; ERR_CORRUPT where there is something that is no file, directory or
 * symbolic link, or where a file ends before its size. */
int look_tree(int dir, bool keep_data, struct buf *out, struct err *err);

#endif
