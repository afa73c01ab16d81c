/* The images met so far, by digest: what makes sure that no state is recovered
 * twice.  A table of our own, because a campaign meets millions and the 24 bytes
 * an image takes here are a fifth of what a general table would need. */
#ifndef POWERCUT_IMAGES_H
#define POWERCUT_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"

enum { RESULT_PENDING = UINT32_MAX };

struct met {
	struct digest digest; /* 0, 0: a free place */
	uint32_t result;      /* number of the recovery's result, or RESULT_PENDING */
	uint16_t profiles;    /* bit i: met under the i-th profile of the campaign */
	uint16_t spare;
};

struct images {
	struct met *table;
	size_t n, size; /* size is a power of two */
};

/* A zeroed struct images is empty. */
void images_finish(struct images *images);

/* The entry of a digest, made (pending, no profiles) where it is new.  The
 * pointer is good until the next call. */
struct met *images_meet(struct images *images, struct digest digest, bool *is_new);

#endif
