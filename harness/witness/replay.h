/* Replaying: a trace → the same calls again, on another directory.
 *
 * Each event is done as nearly as it was: data by pwrite, or by stores through a
 * shared mapping where it came so; syncs of a write's own by RWF_DSYNC and RWF_SYNC
 * (RWF_ flags need no other open); ranges by fallocate.  What was read, and what only
 * concerns the harness (fault points, operations, acknowledgements, notes), is passed
 * over, but counted.  Files of the trace are found by the names that they have, or
 * had: a file without one is held open. */
#ifndef POWERCUT_REPLAY_H
#define POWERCUT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "trace.h"

struct replay;

/* Called before event `event` is done and after it; and, with before false and event
 * UINT32_MAX, never.  A non-zero return ends the replay with that error. */
typedef int replay_border(void *arg, uint32_t event, bool before, struct err *err);

/* Makes the start of the trace in dir, an empty directory, which is not synced.
 * close_each: descriptors are closed after each event, as by a program that opens,
 * writes and closes; else they stay open to the end.  ERR_IO names the event. */
int replay_create(const struct trace *trace, int dir, bool close_each, struct replay **replay,
		  struct err *err);
/* Does the first n_events events. */
int replay_run(struct replay *replay, uint32_t n_events, replay_border *border, void *arg,
	       struct err *err);
/* Opens a file of the trace that exists now: a descriptor, the caller's to close, or
 * -1 with errno. */
int replay_open(struct replay *replay, uint32_t ino);
/* The number of an existing, named regular file of the trace, chosen by `choice` (any
 * number); 0 if there is none. */
uint32_t replay_file(const struct replay *replay, uint64_t choice);
/* Closes everything.  NULL is fine. */
void replay_destroy(struct replay *replay);

/* What the largest moment of the trace needs in bytes, for the size of a file system:
 * the sum of what its files are given, nothing subtracted. */
uint64_t replay_bytes(const struct trace *trace);

#endif
