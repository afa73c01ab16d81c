/* An experiment: calls on a real file system, and what crashes at any moment leave
 * of them there.
 *
 * The calls are recorded once under one timing (block_record.h); block states are
 * chosen of what the disk was asked for (blocks.h); each is mounted and looked at. */
#ifndef POWERCUT_EXPERIMENT_H
#define POWERCUT_EXPERIMENT_H

#include "block_record.h"
#include "blocks.h"
#include "seen.h"

/* A tree that was found, and when the crash may have come that left it. */
struct sighting {
	const struct seen *seen;
	uint32_t from, to;    /* moments, both inclusive */
	uint32_t block_state; /* one that showed it */
};

struct experiment {
	struct block_recording recording;
	struct block_states states;
	struct sighting *list; /* no two with equal trees and moments */
	size_t n, cap;
	uint32_t mounted;     /* block states that were mounted */
	uint32_t unmountable; /* that the file system refused: its own recovery failed */
	char refusal[256];    /* what it said of the first of these */
};

/* Does it on one device of the laboratory.  keep_data: trees keep their bytes.  A state
 * that cannot be mounted is counted.  stop: set by a signal's handler, NULL: none.
 * Errors: as block_record; ERR_IO where the device or a tree cannot be read;
 * ERR_TARGET where it was stopped.  experiment_finish releases it in any case. */
int experiment_run(struct lab *lab, struct device *device, const struct block_run *run,
		   const struct block_options *options, bool keep_data, volatile const bool *stop,
		   struct experiment *experiment, struct err *err);
void experiment_finish(struct experiment *experiment);

/* Its first half alone: records, and chooses the block states; nothing is mounted, and the
 * list stays empty. */
int experiment_record(struct lab *lab, struct device *device, const struct block_run *run,
		      const struct block_options *options, struct experiment *experiment,
		      struct err *err);

#endif
