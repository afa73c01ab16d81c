/* A hunt: the state of a finding, looked for on a real file system.
 *
 * The finding's calls, up to the crash, are run there again and again, under all timings;
 * what crashes left is recovered and judged (real.h) until the very tree of the finding's
 * state fails in the same way.  Half of the block states go to that; where it has not come by
 * then, the other half goes to the whole run, of which other moments may break the same
 * rule. */
#ifndef POWERCUT_HUNT_H
#define POWERCUT_HUNT_H

#include "buf.h"
#include "real.h"
#include "rebuild.h"

struct hunt {
	const struct rebuilt *subject; /* with the finding's state */
	uint32_t rules;		       /* RULE_BITs that the finding broke */
	const char *title;	       /* of the finding: what its recovery said */
	bool any; /* be content with another tree on which one of these rules breaks */
	/* lab, fs, rounds, seed, jobs, limits, stop and progress count; states_max: both
	 * halves [1000]. */
	struct real_options real;
};

enum hunt_outcome {
	HUNT_NOT_TRIED, /* nothing could be mounted: text says why */
	HUNT_NOT_SEEN,
	HUNT_SAME_RULE, /* a rule of the finding broke, on another tree */
	HUNT_WITNESSED, /* on the tree of the finding's state */
};

struct hunt_result {
	enum hunt_outcome outcome;
	uint64_t states;	     /* block states mounted */
	uint32_t variants;	     /* of timing */
	const struct timing *timing; /* that showed it; NULL: none did */
	bool same_words;	     /* recovery said what it had said of the finding's state */
	struct buf blocks;	     /* what the disk had kept then */
	struct buf text;	     /* when the crash came and what recovery said */
	bool cut;		     /* a signal ended it */
};

/* Whether a finding can be looked for so: ERR_UNSUPPORTED where none of its rules is broken by
 * opening and reading a store alone. */
int hunt_check(uint32_t rules, struct err *err);

/* Errors: as real_run.  hunt_finish releases the result in any case. */
int hunt_run(const struct hunt *hunt, struct hunt_result *result, struct err *err);
void hunt_finish(struct hunt_result *result);

#endif
