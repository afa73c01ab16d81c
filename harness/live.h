/* Live crashes: the engine is killed for real at a passage of a fault point, and
 * what the page cache kept is recovered.
 *
 * This is also the harness's check of itself: the directory that the dead
 * process left behind must be the one that the recorded trace says is there
 * when the process is killed at that moment. */
#ifndef POWERCUT_LIVE_H
#define POWERCUT_LIVE_H

#include "explore.h"
#include "profile.h"
#include "subject.h"
#include "target.h"
#include "workload.h"

struct live_options {
	const struct target *target;
	const struct workload *workload;
	const struct child_limits *limits;
	const char *parent;		       /* where directories are made */
	bool power;			       /* also ask the model what a disk may have kept */
	const struct profile *const *profiles; /* for power; ends with NULL */
	const struct explore_options *explore;
	uint32_t jobs;
	uint32_t passages_max; /* of each fault point; 0: all */
};

struct live_result {
	uint32_t passages;   /* of fault points, in the whole run */
	uint32_t crashes;    /* processes killed, one a passage tried */
	uint32_t mismatches; /* directories that the trace does not explain */
	uint64_t violations, inconclusive;
	uint32_t loss;		   /* most acknowledged changes that any of them lost */
	struct coverage_row power; /* with power: sums over the crashes and profiles */
	char where[256];	   /* the fault point of the first mismatch or violation */
	char text[512];		   /* what it was */
};

/* Kills a run at the passages of every fault point of the subject's trace.  A row
 * for each crash goes to the subject's store. */
int live_run(const struct subject *subject, const struct live_options *options,
	     struct live_result *result, struct err *err);

#endif
