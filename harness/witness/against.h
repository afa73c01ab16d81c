/* Sightings against the model: is each tree that a real file system showed among
 * the states that the model has for that moment, and how many of the model's states were
 * shown? */
#ifndef POWERCUT_AGAINST_H
#define POWERCUT_AGAINST_H

#include "experiment.h"
#include "ops.h"
#include "profile.h"

/* A tree that the model does not admit: a hole in the model. */
struct miss {
	size_t sighting;
	uint32_t moment; /* the first at which it is not admitted */
};

struct against {
	struct miss *misses; /* at most one a sighting */
	size_t n_misses, misses_cap;
	uint32_t undecided; /* sightings for which the search was given up */
	/* Different trees that the model has at any of its points, and how many of these were seen;
	 * 0 where there are too many to list. */
	uint64_t model, seen;
};

/* Compares.  n_events: of the trace, as many as were done. */
void against_model(const struct experiment *experiment, const struct ops *ops,
		   const struct profile *profile, uint32_t n_events, struct against *against);
void against_finish(struct against *against);

/* For people: what the model cannot explain at that moment, and what the disk had kept.
 * Appends lines. */
void miss_print(const struct experiment *experiment, const struct ops *ops,
		const struct profile *profile, const struct miss *miss, struct buf *out);

#endif
