/* Recording a workload on a real file system: what it asked of the disk, with
 * marks at the borders of its calls (blocks.h: moments). */
#ifndef POWERCUT_BLOCK_RECORD_H
#define POWERCUT_BLOCK_RECORD_H

#include "lab.h"
#include "timing.h"
#include "trace.h"

struct block_run {
	const struct file_system *fs;
	const struct timing *timing;
	const struct trace *trace; /* the calls; its start is made first, and synced */
	uint32_t n_events;	   /* of them, so many are done */
	uint64_t seed;		   /* of the timing */
	bool warm;	 /* the calls follow the making of the start without a mount between them */
	bool close_each; /* as in replay.h */
};

struct block_recording {
	struct block_image base; /* the device as it was when recording began: all durable */
	struct block_log log;	 /* lives in the device until its next recording */
};

/* Replays the calls on a fresh file system on that device, which is the laboratory's
 * and has nothing mounted.  After the last call the timing acts once more, and then
 * everything is written back, still recorded.  ERR_IO names the call that failed;
 * ERR_FULL where the log had no room. */
int block_record(struct lab *lab, struct device *device, const struct block_run *run,
		 struct block_recording *recording, struct err *err);
void block_recording_finish(struct block_recording *recording);

/* The events that had returned at a moment, and whether a further one was in flight. */
static inline uint32_t moment_events(uint32_t moment)
{
	return moment / 2;
}
static inline bool moment_in_flight(uint32_t moment)
{
	return moment % 2;
}

#endif
