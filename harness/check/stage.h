/* A stage: where crash states are shown to recoveries.
 *
 * A worker shows a state on its stage, runs a recovery or an errand in the stage's
 * directory, has the stage restored, and shows the next.  The usual stage is a disk
 * (disk.h): an image of the model, as files.  Another one may mount a file system
 * with what a real disk had kept; what a state's list of held objects means is
 * between it and whoever submits states, as long as there are no more of them than
 * the trace has objects, or one where it has none.  The crash point stays what it
 * is: recoveries and checkers are told of it.
 *
 * Between show and restore neither the worker nor what it ran keeps a descriptor, a
 * current directory or a process in the directory, so that restore may unmount it. */
#ifndef POWERCUT_STAGE_H
#define POWERCUT_STAGE_H

#include "err.h"
#include "image.h"

struct stage_kind {
	/* Makes a stage in the process of a worker (for pool_create_here: in the
	 * caller's), below parent, an existing directory.  arg is pool_options.stage_arg;
	 * both it and ops outlive the stage.  It may start threads, but no processes:
	 * with each recovery, all children of its process are killed.  ERR_IO. */
	int (*create)(const void *arg, const struct ops *ops, const char *parent, void **stage,
		      struct err *err);

	/* Ends it and removes all that it made.  NULL is fine.  A worker that is killed, or
	 * ends because its parent has, does not come to this: see sweep. */
	void (*destroy)(void *stage);

	/* Where states are shown: the same absolute path, shorter than STAGE_PATH_MAX, for
	 * as long as the stage lives; children use it, too. */
	const char *(*dir)(const void *stage);

	/* A directory for the worker's own files, whose names begin with "own-": not in
	 * dir, and shorter than AREA_PATH_MAX (area.h).  Some stay open, even
	 * past destroy. */
	const char *(*area)(const void *stage);

	/* Shows a state.  After an error the stage is destroyed, and another is tried
	 * once. */
	int (*show)(void *stage, const struct state *state, struct err *err);

	/* Undoes whatever was done in the directory since show, which must be called again
	 * before anything else is done there.  All processes that could write there have
	 * ended.  After an error the stage is destroyed. */
	int (*restore)(void *stage, struct err *err);

	/* Removes what stages of processes that are dead have left below parent, as far as
	 * area_sweep (area.h), which is called next, cannot: mounts, say.  Runs in the
	 * process that made the pool.  NULL: there is no such thing. */
	void (*sweep)(const void *arg, const char *parent);
};

enum { STAGE_PATH_MAX = 528 };

/* The default, a disk; its arg is not used. */
extern const struct stage_kind stage_disk;

#endif
