/* What the search for a tree shares with the words about its failure. */
#ifndef POWERCUT_ADMITS_PRIVATE_H
#define POWERCUT_ADMITS_PRIVATE_H

#include "admits.h"
#include "model_private.h"

/* How an inode can be what was seen at a node: as it is, only with a torn block
 * (M10), or not at all. */
enum cost { COST_NONE, COST_TORN, COST_IMPOSSIBLE };

struct known; /* what an inode costs as a node, once it was worked out */

/* An entry of a directory that has its place in the tree. */
struct variable {
	uint32_t object;
	uint32_t dir;  /* the node of its directory; NONE: the root */
	uint32_t node; /* what was seen of that name, or NONE: nothing was */
	bool decided;
};

/* An inode has its place in the tree. */
struct binding {
	uint32_t ino, node;
	enum cost cost;
	uint32_t n_variables; /* before: a directory adds its own */
};

/* A size or a visible block of an inode that has its place. */
struct choice {
	uint32_t object, node;
	uint32_t block;		 /* NONE: the size */
	uint32_t size;		 /* the place of the inode's size among the choices */
	uint32_t tried;		 /* candidates tried so far */
	size_t mark;		 /* the model's, before the present candidate */
	uint32_t chosen, oldest; /* the present candidate; the versions tried come first */
	bool torn;		 /* the present candidate is torn */
	bool may_tear;		 /* size: its blocks may be */
	bool fitted;		 /* size: with version last_fit all blocks could be decided */
	uint32_t last_fit;
};

/* Which sectors of each version of a block look like those seen, a bit each. */
struct matches {
	uint32_t object, size_version, node, low, high; /* what it was worked out for */
	uint8_t *set;					/* by version, from low */
	size_t cap;
};

/* Where a search that failed came farthest: what then had no version left. */
struct trouble {
	size_t depth;		   /* 0: there is none */
	uint32_t object;	   /* NONE: no name like that was ever made */
	uint32_t dir, node, block; /* as in variables and choices */
};

struct search {
	struct model *model;
	const struct ops *ops;
	const struct seen *seen;
	uint64_t work;
	bool spent;	    /* the work allowed was not enough */
	uint32_t *node_of;  /* by inode: the first node that it is, or NONE */
	uint32_t *ino_of;   /* by node: the inode that has it as its first, or 0 */
	uint32_t *children; /* by 1 + node, and 0 for the root: names seen in it */
	struct known *known;
	struct variable *variables;
	size_t n_variables, variables_cap;
	uint32_t *decided; /* variables, in the order in which they were */
	size_t n_decided, decided_cap;
	struct binding *bindings;
	size_t n_bindings, bindings_cap;
	unsigned n_torn; /* bindings that cannot do without a torn block */
	struct choice *choices;
	size_t n_choices, choices_cap;
	struct tear tear;
	struct matches matches;
	struct trouble trouble;
};

/* A search at the model's present point, in which nothing may be decided. */
void search_init(struct search *s, struct model *model, const struct seen *seen, uint64_t work);
/* The answer; where it is yes, the model is left decided. */
enum admitted search_run(struct search *s);
/* Releases all but the model and what is decided there. */
void search_finish(struct search *s);

/* Whether a version of a block reads as what was seen, where its inode's size is at
 * size_version. */
bool search_reads(struct search *s, uint32_t object, uint32_t version, uint32_t size_version,
		  uint32_t node, uint32_t block);
/* The cost of an inode as a node; worked out before anything is decided. */
enum cost search_cost(const struct search *s, uint32_t ino, uint32_t node);

#endif
