/* Whether the model admits what was seen: the question that real file systems ask.
 *
 * A state is admitted at a crash point if some choice of versions that the rules
 * allow shows exactly that tree.  It is searched for, not enumerated: entries are
 * decided first, among the versions that agree with the names seen; then the sizes
 * and blocks of the inodes that have names, each among the versions that read as
 * what was seen.
 *
 * Pure. */
#ifndef POWERCUT_ADMITS_H
#define POWERCUT_ADMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "model.h"
#include "seen.h"

enum admitted {
	ADMITTED_NO,
	ADMITTED_YES,
	ADMITTED_UNKNOWN, /* the search was given up: too many choices */
};

/* Searches at the model's present point, with nothing decided, and leaves it so.
 * Where the answer is yes, *state is one that shows the tree; held is the storage of
 * state->held, the caller's to finish.  work bounds the effort, in decisions; 0: a
 * sensible default. */
enum admitted model_admits(struct model *model, const struct seen *seen, uint64_t work,
			   struct state *state, struct buf *held);

/* For people, after a "no", at the same point: the first name, size or block that no
 * version explains ("b has 3000 bytes, which no version of it has (it may have 5000 or
 * 0)"), or, where each is possible by itself, the one at which the search came to its
 * end.  Appends. */
void model_admits_not(struct model *model, const struct seen *seen, struct buf *out);

#endif
