#include "images.h"

#include <stdlib.h>

#include "mem.h"

void images_finish(struct images *images)
{
	free(images->table);
	*images = (struct images){0};
}

/* The place where a digest is or belongs. */
static struct met *place(const struct images *images, struct digest d)
{
	size_t i = d.lo & (images->size - 1);
	for (;; i = (i + 1) & (images->size - 1)) {
		struct met *m = &images->table[i];
		bool is_free = !m->digest.lo && !m->digest.hi;
		if (is_free || (m->digest.lo == d.lo && m->digest.hi == d.hi))
			return m;
	}
}

static void grow(struct images *images)
{
	struct images bigger = {.n = images->n, .size = images->size ? images->size * 2 : 1024};
	bigger.table = mem_alloc(bigger.size, sizeof *bigger.table);
	for (size_t i = 0; i < images->size; i++) {
		const struct met *m = &images->table[i];
		if (m->digest.lo || m->digest.hi)
			*place(&bigger, m->digest) = *m;
	}
	free(images->table);
	*images = bigger;
}

struct met *images_meet(struct images *images, struct digest d, bool *is_new)
{
	if (!d.lo && !d.hi)
		d.hi = 1; /* the empty tree */
	if (images->n >= images->size - images->size / 4)
		grow(images);
	struct met *m = place(images, d);
	*is_new = !m->digest.lo && !m->digest.hi;
	if (*is_new) {
		*m = (struct met){.digest = d, .result = RESULT_PENDING};
		images->n++;
	}
	return m;
}
