/* Recording a workload on an engine: what job.c and live.c share, and what
 * recording a session needs of it (nest.c). */
#ifndef POWERCUT_WORKLOAD_RECORD_H
#define POWERCUT_WORKLOAD_RECORD_H

#include "record.h"
#include "target.h"
#include "trace.h"
#include "workload.h"

struct workload_record {
	const struct target *target;
	const struct workload *workload;
	const char *dir; /* the data directory: empty */
	uint64_t seed;
	bool no_stacks;
	/* Kill the process at this passage of this fault point; NULL: run to the end. */
	const char *kill_at;
	uint64_t kill_passage;
	volatile const bool *stop;	    /* as in record.h; may be NULL */
	struct workload_progress *progress; /* in shared memory; may be NULL */
	struct engine_error *error;	    /* in shared memory: why it did not run to its end;
					       NULL: that goes to standard error */
};

/* Makes the calling process one that is recorded: what the engine prints is no part
 * of a report, fault points are marked, the target's planted bug is on. */
int recorded_child_begin(const struct target *target, uint64_t seed, struct err *err);

/* Runs the workload in the calling process, which it makes the one under test:
 * fault points are marked.  Returns its exit status: 0, or 1 with a text in error
 * or on standard error. */
int workload_record_child(void *arg);

/* Records it into a new trace, sealed, which the caller destroys. */
int workload_record(const struct workload_record *r, struct trace **trace,
		    struct record_result *result, struct err *err);

#endif
