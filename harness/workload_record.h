/* Recording a workload on an engine: what campaign.c and live.c share. */
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
	struct workload_progress *progress; /* in shared memory; may be NULL */
};

/* Runs the workload in the calling process, which it makes the one under test:
 * fault points are marked.  Returns its exit status: 0, or 1 with a text on
 * standard error. */
int workload_record_child(void *arg);

/* Records it into a new trace, sealed, which the caller destroys. */
int workload_record(const struct workload_record *r, struct trace **trace,
		    struct record_result *result, struct err *err);

#endif
