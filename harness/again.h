/* Which recoveries are crashed in turn: a choice among the states that recovered
 * well, made as they come by, so that what is kept is small.
 *
 * States are of one class if the crash came after the same fault point, all or
 * not all of it was on disk, and the recovery passed the same fault points in
 * the same order.  Of each class the first is kept, then the second, the fourth,
 * the eighth and so on; what is chosen are first the first ones of all classes,
 * recoveries of a new path before others, then the second ones, and so on. */
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
	uint32_t rank; /* 0: the first with its recovery's path; 1: the first of its class; … */
	size_t order;  /* in which it came */
};

struct again *again_create(const struct ops *ops);
void again_destroy(struct again *again);

/* Offers a state; path is that of its recovery (recover.h). */
void again_consider(struct again *again, const struct state *state, uint64_t path);

/* At most max of them (0: all that were kept), best first; they are again's. */
struct again_state *again_choose(struct again *again, uint64_t max, size_t *n);

#endif
