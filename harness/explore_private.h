/* Inside exploring: what explore.c (choosing and judging), explore_rows.c (what
 * is told of it), explore_again.c (crashing recoveries in turn) and explore_real.c
 * (real file systems) share. */
#ifndef POWERCUT_EXPLORE_PRIVATE_H
#define POWERCUT_EXPLORE_PRIVATE_H

#include <uthash.h>

#include "again.h"
#include "explore.h"
#include "images.h"
#include "points.h"

struct result_key {
	UT_hash_handle hh;
	uint64_t hash;
	uint32_t number;
};

/* A verdict reached already: this result at this place in the history. */
struct judged_key {
	uint32_t result;
	struct bounds bounds;
};

_Static_assert(sizeof(struct judged_key) == sizeof(uint32_t) + sizeof(struct bounds),
	       "hashed as bytes");

struct judged {
	UT_hash_handle hh;
	struct judged_key key;
	struct verdict verdict;
};

/* A failing pair of image and history counts once a profile. */
struct failed_key {
	struct digest digest;
	struct bounds bounds;
	uint64_t profile; /* wide, so that no padding is hashed */
};
_Static_assert(sizeof(struct failed_key) ==
		       sizeof(struct digest) + sizeof(struct bounds) + sizeof(uint64_t),
	       "hashed as bytes");

struct failed {
	UT_hash_handle hh;
	struct failed_key key;
};

/* A state that waits for its verdict. */
struct waiting {
	struct state state; /* held is a copy of its own */
	struct digest digest;
	uint32_t at;	 /* index into points */
	bool first;	 /* first time its image is met under this profile */
	bool whole;	 /* nothing is held back or torn */
	uint64_t looked; /* states looked at when it came */
};

struct window {
	UT_hash_handle hh;
	const char *name;
	uint64_t states;
};

struct explore {
	const struct subject *s;
	const struct explore_options *options;
	struct causes *causes;
	struct images images;
	/* What recoveries showed, equal ones once; pointers, so that they stay put. */
	struct recovery **results;
	size_t n_results, results_cap;
	struct result_key *known_results;
	struct judged *judged;
	struct failed *failed;
	struct window *windows;
	uint64_t past[FAULTS_MAX]; /* recoveries that passed each fault point */
	uint32_t n_profiles;	   /* explored so far: the next one's bit */
	struct image *image;

	/* Of the profile being explored: */
	const struct profile *profile;
	const char *label;    /* what rows and people call it */
	char on_label[40];    /* "on:ext4", where it is one */
	struct model *model;  /* at the point that is being chosen from */
	struct model *behind; /* at the point that is being judged */
	struct coverage_row *row;
	struct points points;
	struct waiting *queue; /* a ring */
	size_t head, tail;
	struct cause *whole_cause; /* why the whole state fails, since one last passed; or NULL */
	uint32_t whole_at;	   /* the last point at which it was seen to fail */
	struct again *again;	   /* states whose recoveries may be crashed in turn */
	uint64_t failures;
	uint64_t looked, possible;
	uint64_t looked_before; /* under the profiles before */
	bool cut;
	bool abandoned; /* recoveries under way are not waited for */
	struct err *err;
	int rc;
};

/* Tells who wants to know how far it is. */
void explore_report(struct explore *x);
/* Whether a budget, a signal or an error ends it. */
bool explore_must_stop(struct explore *x);

/* The two ends of exploring under a profile, which is called label: models of it and an empty
 * row; and the row added to the store, *cut set, and what was made released. */
void explore_begin(struct explore *x, const struct profile *profile, const char *label,
		   struct coverage_row *row, struct err *err);
int explore_done(struct explore *x, bool *cut);

/* The number of the result of a state's image, which is recovered now if it never was;
 * nothing may be under way. */
int explore_recover(struct explore *x, const struct state *state, const struct bounds *bounds,
		    uint32_t *number);
/* The verdict on a result. */
void explore_judge(struct explore *x, uint32_t number, const struct bounds *bounds,
		   struct verdict *verdict);

/* For causes_minimise: whether that rule is the first that a state breaks. */
struct explore_probing {
	struct explore *x;
	const struct bounds *bounds;
	uint32_t rule;
};
bool explore_probe(void *arg, const struct state *state);

/* Notes that waiting for workers failed: an error, or an interruption, which ends
 * exploring as a budget does.  Returns rc. */
int explore_failed(struct explore *x, int rc);

/* Adds states to the window that begins with a fault point. */
void explore_count_window(struct explore *x, const char *name, uint64_t states);
/* Sums up the points: their rows, and their part of the coverage's. */
void explore_add_rows(struct explore *x);

/* Crashes recoveries of the profile in turn, as the options say. */
void explore_again(struct explore *x);

#endif
