/* The rules M1-M10 once more, in the plainest way: all combinations of versions
 * of all objects, of which those are struck out that a rule forbids.  Slow, and
 * therefore for traces of a dozen calls; it shares with the model what lowering
 * says and nothing else. */
#ifndef POWERCUT_LIB_REFERENCE_H
#define POWERCUT_LIB_REFERENCE_H

#include "image.h"
#include "model.h"

struct reference;

/* At point 0.  ops and profile must outlive it. */
struct reference *reference_create(const struct ops *ops, const struct profile *profile);
void reference_destroy(struct reference *r);

/* Takes the next step, or the two of a rename.  False at the end, or once the
 * combinations are too many to look at (then reference_lost is true). */
bool reference_advance(struct reference *r);
bool reference_lost(const struct reference *r);
uint32_t reference_point(const struct reference *r);

/* The crash states of the present point as keys, sorted and each once: a word
 * for each object, its version or NONE where it cannot be seen, then three words
 * for the torn block (NONE, 0, 0 where there is none).  For profiles that
 * tear blocks, keys come with each possible tear. */
const uint32_t *reference_keys(const struct reference *r, size_t *n);
size_t reference_key_words(const struct reference *r);

/* The key of a state, to be looked up among those. */
void reference_key(const struct reference *r, const struct state *state, uint32_t *key);

#endif
