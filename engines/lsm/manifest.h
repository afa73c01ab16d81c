/* The MANIFEST: versions of the store, each saying which files make it up.  The
 * last one counts.
 *
 *   length    u32   bytes of the whole record
 *   crc       u32   of all behind it, for this place in the file (entry_seal)
 *   sequence  u64   the number of the last change that is in the tables
 *   log       u32   the number of the log, with the changes behind it
 *   n         u32   tables
 *   tables    n times u32: their numbers
 *
 * A version is either appended or becomes the only one of a new file, MANIFEST.tmp,
 * which is renamed.  Either way it is durable when that is done.
 *
 * Functions that can fail return 0 (or what they say), or -1 with a text in
 * error. */
#ifndef POWERCUT_LSM_MANIFEST_H
#define POWERCUT_LSM_MANIFEST_H

#include "bytes.h"
#include "files.h"

struct version {
	uint64_t sequence;
	uint32_t log;
	struct numbers tables;
};

struct manifest {
	int dir;
	int fd; /* -1: none yet */
	bool datasync;
	uint64_t bytes_max; /* a new file is begun before it grows beyond */
	uint64_t size;	    /* bytes */
	struct bytes_buffer record;
};

/* Whether there is one: 1 or 0, or -1. */
int manifest_exists(int dir, struct engine_error *error);

/* Reads the last version, whose tables the caller frees, also on failure. */
int manifest_load(int dir, struct version *version, struct engine_error *error);

/* Makes this the version, durably; in a new file where none is open or the one
 * that is would grow too large. */
int manifest_commit(struct manifest *manifest, const struct version *version,
		    struct engine_error *error);

void manifest_finish(struct manifest *manifest);

#endif
