/* Which recoveries are crashed in turn: a choice among the states that recovered
 * well, made as they come by, so that what is kept is small.
 *
 * States are of one class if the crash came after the same fault point, all or
 * not all of it was on disk, in the latter case as many acknowledged changes were
 * lost (three or more are one), and the recovery passed the same fault points in
 * the same order.  What is chosen are the first ones of all classes, recoveries
 * of a new path before others; then the second ones, the fourth, the eighth and so
 * on; then those whose number in their class has two bits set, three, and so on. */
#ifndef POWERCUT_AGAIN_H
#define POWERCUT_AGAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image.h"

struct again_state {
	struct state state; /* held is its own */
	bool whole;	    /* nothing was lost: the process may as well have been killed */
	bool done;	    /* for the caller */
	uint32_t rank; /* 0: the first with its recovery's path; rising with the number's bits */
	size_t order;  /* in which it came */
};

/* For a choice of at most max (0: no limit).  Of more states some are let go. */
struct again *again_create(const struct ops *ops, uint64_t max);
void again_destroy(struct again *again);

/* Offers a state; path is that of its recovery (recover.h), loss the number of
 * acknowledged changes that it lost. */
void again_consider(struct again *again, const struct state *state, uint64_t path, uint32_t loss);

/* At most max of them (0: no limit), best first; they are again's.  max is not
 * above that of again_create. */
struct again_state *again_choose(struct again *again, uint64_t max, size_t *n);

#endif
