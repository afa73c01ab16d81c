/* What the files of the model share; for everyone else a model is opaque. */
#ifndef POWERCUT_MODEL_PRIVATE_H
#define POWERCUT_MODEL_PRIVATE_H

#include "model.h"

enum tag {
	TAG_GROUP = 1,   /* M3, M9 */
	TAG_MOVED = 2,   /* M9: the new name of a file asks that its old one elsewhere goes */
	TAG_TREE = 4,    /* a directory and its entries */
	TAG_ORDER = 8,   /* M4; in sequences, and in demands for what has left its sequence */
	TAG_REPLACE = 16, /* M8 */
};

/* If micro is on disk, object is at least at version. */
struct demand {
	uint32_t micro;
	uint32_t object, version;
	enum tag tag;
	uint32_t next;      /* another demand of micro */
	uint32_t next_back; /* another demand of the same object and version */
};

/* What a profile makes of each micro-op. */
struct of_micro {
	uint32_t demands, demanded; /* lists */
	uint32_t sequence;          /* M4; NONE, also once it is on disk for good */
	uint32_t before, after;     /* its neighbours there */
	uint32_t need_object, need_version; /* M5 */
};

struct trail {
	uint32_t object, low, high;
};

struct work {
	uint32_t object, version;
};

struct model {
	const struct ops *ops;
	const struct profile *profile;
	uint32_t point;
	uint32_t *low, *high; /* by object, with what is decided */
	uint32_t *newest;     /* by object, without */
	uint32_t *nameless;   /* by object: the version that was synced when its inode had no name */
	uint32_t *pending;
	uint32_t *pending_at; /* by object: its place there, or NONE */
	size_t n_pending, pending_cap;
	bool sorted;
	struct of_micro *of;
	uint32_t *last; /* by sequence: its newest member */
	bool *logged;	/* by inode: a sync has logged it by itself, so that its names overtake */
	uint32_t *loose; /* micro-ops that ask for nothing in their order; the next one there asks for
			    them */
	size_t n_loose, loose_cap;
	struct demand *demands;
	size_t n_demands, demands_cap;
	struct trail *trail;
	size_t n_trail, trail_cap;
	struct work *work;
	size_t n_work, work_cap;
	uint32_t *seen; /* by inode: settle_names was here */
	uint32_t seen_now;
};

/* Raises an object's low, with all that follows but what tags in `without` ask
 * for. */
void model_raise(struct model *model, uint32_t object, uint32_t version, unsigned without);

/* From now on the micro-op may be on disk without those before it (M4), but not those after it
 * without it. */
void model_loosen(struct model *model, uint32_t micro);

/* What was raised since nothing was decided is so for good. */
void model_make_final(struct model *model);

/* The sync event of a step has returned. */
void settle_sync(struct model *model, uint32_t event);

/* M5: whether an object is a size that asks for data which may yet be missing,
 * although no choice is left for the size itself. */
bool model_lacks(const struct model *model, uint32_t object);

/* Whether an inode has a name, given what is decided. */
enum named { NAMED_NO, NAMED_MAYBE, NAMED_YES };
enum named model_naming(const struct model *model, uint32_t ino);

/* How many ways there are to tear a block between two versions (M10). */
uint64_t count_tears(const struct ops *ops, uint32_t object, uint32_t newer, uint32_t older);

#endif
