/* Exploring: the crash states of one target, profile after profile.
 *
 * For each crash point the model counts the states, a chooser gives them, their
 * images are looked up, and only what was never met is recovered.  Verdicts are
 * reached in the order in which states were chosen, whatever order the workers
 * finish in: so findings do not depend on the number of workers.
 *
 * A crash point is explored after each micro-op (there, only states that contain
 * it are new) and after each acknowledgement that changes what must be there
 * (there, all states are judged anew; their images are known). */
#ifndef POWERCUT_EXPLORE_H
#define POWERCUT_EXPLORE_H

#include "cause.h"
#include "lab.h"
#include "nest.h"
#include "profile.h"
#include "subject.h"

struct explore_progress {
	const char *target, *profile;
	uint64_t states;   /* looked at so far under this profile */
	uint64_t possible; /* that there are */
	uint64_t recoveries;
	uint32_t findings;
};

struct explore_options {
	uint64_t states_max;	   /* at most so many states a profile; 0: no limit */
	uint64_t deadline_ns;	   /* clock_ns() at which to stop; 0: never */
	volatile const bool *stop; /* set by a signal; NULL: none */
	/* Called now and then. */
	void (*progress)(void *arg, const struct explore_progress *progress);
	void *progress_arg;
	bool no_outcomes;	 /* keep passing outcomes out of the store */
	const struct nest *nest; /* recoveries are crashed in turn; NULL: they are not.  The pool's
				    errand is nest_errand */
};

struct explore;

/* subject and options must outlive it. */
struct explore *explore_create(const struct subject *subject,
			       const struct explore_options *options);
void explore_destroy(struct explore *explore);

/* Explores all crash points under a profile and adds the rows (coverage,
 * points, outcomes) to the store.  coverage->target is set; *cut is whether the
 * budget or a signal ended it early. */
int explore_profile(struct explore *explore, const struct profile *profile,
		    struct coverage_row *coverage, bool *cut, struct err *err);

/* Only the states of one crash point, the last of the trace: for live crashes. */
int explore_end(struct explore *explore, const struct profile *profile,
		struct coverage_row *coverage, bool *cut, struct err *err);

/* On a real file system instead. */
struct explore_real_options {
	struct lab *lab;
	const struct file_system *fs;
	const struct recover_job *job; /* the one of the subject's pool */
	uint32_t states_max;	       /* block states */
	uint32_t jobs;		       /* as pool_options has it */
	struct child_limits limits;
};

/* Explores what crashes leave on a real file system, under the name "on:ext4", and adds the
 * same rows.  Where the calls cannot be done there, or some states not be mounted, that is no
 * error: the row is inconclusive and why is appended. */
int explore_real(struct explore *explore, const struct explore_real_options *options,
		 struct coverage_row *coverage, struct buf *why, bool *cut, struct err *err);

/* States looked at so far, under all profiles. */
uint64_t explore_looked(const struct explore *explore);

/* The causes found so far, all profiles together. */
struct causes *explore_causes(struct explore *explore);

/* States that stand for a crash at a fault point's passages or between them and
 * the next one, nested runs included; and the recoveries that passed the
 * engine's fault point number `index`.  For the fault points' rows. */
uint64_t explore_crashes_after(const struct explore *explore, const char *fault_point);
uint64_t explore_recoveries_past(const struct explore *explore, uint32_t index);

#endif
