/* Real crash images of a subject: its calls are run on a real file system over a disk
 * that we record (witness/), and what crashes leave of them is mounted, recovered there and
 * judged.
 *
 * A tree is recovered and judged once for each different set of bounds of the history
 * under which it can be found: the latest moment at which a crash may leave it is the one
 * at which most had been acknowledged, and so the one that asks most. */
#ifndef POWERCUT_REAL_H
#define POWERCUT_REAL_H

#include "experiment.h"
#include "subject.h"

/* A zeroed struct, but for lab and fs, is valid. */
struct real_options {
	struct lab *lab;
	const struct file_system *fs;
	const struct timing *const *timings; /* ends with NULL; NULL: all of timing_table */
	uint32_t rounds;      /* recordings under each timing [1] */
	uint32_t states_max;  /* block states to mount, all recordings together [1000]; at least
				 two of each recording are */
	uint32_t n_events;    /* of the trace, so many are done; 0: all */
	uint32_t from_moment; /* leave out what can only be found before it */
	uint64_t seed;
	uint32_t jobs;		    /* workers [one a CPU] */
	struct child_limits limits; /* of one recovery */
	uint64_t deadline_ns;	    /* clock_ns() at which to stop; 0: never */
	volatile const bool *stop;  /* set by a signal's handler; NULL: none */
	void (*progress)(void *arg, uint64_t mounted, uint64_t recoveries);
	void *progress_arg;
};

/* One that was judged; all is valid during the visit only. */
struct real_state {
	const struct seen *seen;
	uint32_t from, to; /* moments at which it can be found */
	uint32_t point;	   /* the crash point of the model at `to` */
	struct bounds bounds;
	const struct recovery *recovery;
	bool fresh;		/* it was made for this state, not for an equal one before */
	struct verdict verdict; /* broken is 0 where it is unsure */
	bool unsure;		/* nothing can be concluded from the recovery, or it failed, and did
				   not when it was done again */
	const struct timing *timing;
	const struct experiment *experiment; /* its states and recording; list is empty */
	uint32_t block_state;
	uint64_t mounted; /* block states mounted until then */
};

/* Returns 0 to go on, 1 to end here, or an error. */
typedef int real_visit(void *arg, const struct real_state *state, struct err *err);

struct real_totals {
	uint64_t possible;   /* subsets of whole requests that there are; saturates */
	uint64_t mounted;    /* block states */
	uint64_t trees;	     /* that differ, or differ in their bounds: judged */
	uint64_t recoveries;
	uint32_t unmountable; /* states that could not be mounted, or not be read */
	char refusal[256];    /* of the first of these */
	uint32_t recordings, timings;
	bool cut; /* the deadline or a signal ended it */
};

/* Runs the subject's recover_job (job; the subject's pool is not used) over its real crash images.
 * The laboratory's devices are taken, and stay.  Errors: as lab_devices, block_record,
 * pool_create and pool_wait; ERR_TARGET where its files are too large to be looked at so often;
 * and those of visit. */
int real_run(const struct subject *subject, const struct recover_job *job,
	     const struct real_options *options, real_visit *visit, void *arg,
	     struct real_totals *totals, struct err *err);

#endif
