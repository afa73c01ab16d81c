/* Choosing: which of the possible crash states to look at.
 *
 * A crash state comes about by a walk over the pending objects of a crash
 * point; at each the walk asks choose(bound) for a number below bound: 0 is the
 * newest version still possible, bound - 1 the oldest.  Who answers decides the
 * exploration:
 *
 *   exhaustive  every sequence of answers once, depth first
 *   ladder      a fixed sequence of interesting states up to a budget: all,
 *               none, each prefix, each single one left out, each single one
 *               kept, torn ones, pairs of those, then random by seed
 *   sparse      for few states of very many: all, none, then prefixes, single ones
 *               left out or kept, and others, by chance from a seed
 *   random      answers from a seed
 *   replay      answers from an ID
 *
 * An ID names a state for ever: profile, point, and the answers.  With the
 * trace it rebuilds the state bit for bit. */
#ifndef POWERCUT_CHOOSE_H
#define POWERCUT_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "image.h"
#include "model.h"

enum chooser_kind { CHOOSE_EXHAUSTIVE, CHOOSE_LADDER, CHOOSE_SPARSE, CHOOSE_RANDOM };

struct chooser;

/* Starts choosing at the model's present point, which must not advance until
 * chooser_destroy.
 *
 * newest: a micro-op that must be on disk, or NONE.  At the point right after a
 *   micro-op, the states without it were possible at the point before.
 * budget: the most states to give; 0 means no limit.  EXHAUSTIVE ignores it.
 * seed: for RANDOM, SPARSE and the end of the ladder. */
struct chooser *chooser_create(struct model *model, enum chooser_kind kind, uint32_t newest,
			       uint64_t budget, uint64_t seed);
void chooser_destroy(struct chooser *chooser);

/* The next state, or false.  The state is valid until the next call.  No state
 * is given twice; LADDER, SPARSE and RANDOM end where chance finds no new one. */
bool chooser_next(struct chooser *chooser, struct state *state);

/* The ID of a state, "PROFILE.POINT.ANSWERS": letters, digits, dots and
 * hyphens only.  The model must be at the state's point with nothing decided;
 * the state must be one of its states. */
void state_id(struct model *model, const struct state *state, struct buf *out);

/* The state of an ID that state_id gave for the same trace.  The model must be
 * new and of the ID's profile; it is advanced to the point.  held is the
 * storage for state->held and is the caller's to finish.  ERR_USAGE where the
 * text is no ID or does not fit the trace. */
int state_from_id(struct model *model, const char *id, struct state *state, struct buf *held,
		  struct err *err);

/* The state nearest to `wanted` in which more is on disk: `object` in its newest
 * version, and whatever that demands.  The model must be at the state's point
 * with nothing decided.  held is the storage for state->held, the caller's to
 * finish. */
void state_restore(struct model *model, const struct state *wanted, uint32_t object,
		   struct state *state, struct buf *held);

/* The state in which all that is not yet decided is as new as it can be, with no
 * block torn.  model_pending must have been asked at this point while nothing was
 * decided.  The model is left decided; held is the storage for state->held, the
 * caller's to finish. */
void state_newest(struct model *model, struct state *state, struct buf *held);

/* The profile that an ID names, or NULL. */
const struct profile *state_id_profile(const char *id);

#endif
