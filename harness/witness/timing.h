/* Timing: what a file system is made to do between the calls of a workload, so
 * that what it would do later, or in another order, is seen.
 *
 * None of this changes what the workload's calls promise: a commit may happen at any
 * moment, and so may writing back data. */
#ifndef POWERCUT_TIMING_H
#define POWERCUT_TIMING_H

#include <stdint.h>

#include "device.h"
#include "file_system.h"
#include "replay.h"

struct timing_place {
	const struct file_system *fs;
	int root;  /* the mounted file system's root */
	int other; /* the file LAB_OTHER, open for writing */
	struct replay *replay;
	struct device *device;
	uint64_t random; /* a number of its own for each gap */
};

struct timing {
	const char *name;
	const char *summary; /* one line for people */
	/* In the gap before the first call and after each.  ERR_IO. */
	int (*act)(const struct timing_place *place, struct err *err);
	uint32_t slow_share; /* one in so many recordings is on a slow disk; 0: none */
	uint32_t slow_us;    /* as device_slow reads it */
};

/* Ends with a NULL name. */
extern const struct timing timing_table[];

const struct timing *timing_find(const char *name);

#endif
