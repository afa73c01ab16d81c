/* The model: micro-ops + a profile → what may be on disk at a crash point.
 *
 * A model walks the steps once, from the start to the end.  At each crash point
 * it answers, one object at a time, "which versions may this object hold, given
 * what is decided so far?".  choose.h asks; nothing here decides. */
#ifndef POWERCUT_MODEL_H
#define POWERCUT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "ops.h"
#include "profile.h"

struct model;

/* A model at point 0.  ops and profile must outlive it.  Released by
 * model_destroy (NULL is fine). */
struct model *model_create(const struct ops *ops, const struct profile *profile);
void model_destroy(struct model *model);

/* Takes the next step; false at the end.  Nothing may be decided. */
bool model_advance(struct model *model);
uint32_t model_point(const struct model *model);
const struct profile *model_profile(const struct model *model);
const struct ops *model_ops(const struct model *model);

/* The versions between which an object may still be, both inclusive: before
 * any decision its floor (M1) and its newest (M2). */
uint32_t model_low(const struct model *model, uint32_t object);
uint32_t model_high(const struct model *model, uint32_t object);

/* Whether that version is possible given what is decided. */
bool model_possible(const struct model *model, uint32_t object, uint32_t version);

/* Decides: the object is at that version, or at least, or at most there; with
 * everything that follows by the rules.  The version must be possible (for
 * at_least and at_most, within low and high). */
void model_decide(struct model *model, uint32_t object, uint32_t version);
void model_at_least(struct model *model, uint32_t object, uint32_t version);
void model_at_most(struct model *model, uint32_t object, uint32_t version);

/* Decisions can be taken back to a mark, newest first. */
size_t model_mark(const struct model *model);
void model_undo(struct model *model, size_t mark);

/* The pending objects of this point, in the order in which they are to be
 * decided: entries, sizes, blocks; among these by their first pending step. */
const uint32_t *model_pending(struct model *model, uint32_t *n);

/* Whether the contents of an inode can be reached by name, once all pending
 * entries are decided. */
bool model_named(const struct model *model, uint32_t ino);

/* How many states this point has (within what is decided): exact, or a lower
 * bound where exact is false.  Saturates at UINT64_MAX, which is then a lower
 * bound.  work bounds the effort; 0 means a sensible default. */
struct count {
	uint64_t states;
	bool exact;
};
struct count model_count(struct model *model, uint64_t work);

#endif
