/* Plans, for the tests of the engines: random steps, what a store must contain
 * after each of them, and what it does contain.  All functions fail the running
 * test where they cannot do what they say, unless they say otherwise. */
#ifndef POWERCUT_LIB_PLAN_H
#define POWERCUT_LIB_PLAN_H

#include "lib_store.h"

struct subject; /* lib_engine.h */

enum step_type {
	STEP_PUT,
	STEP_DELETE,
	STEP_BATCH,
	STEP_SYNC,
	STEP_COMPACT,
	STEP_REOPEN,
	STEP_TYPES
};

/* A set of step types, for the members `without`. */
#define WITHOUT(type) (1u << STEP_##type)

enum { PLAN_KEYS_MAX = 64, PLAN_STEPS_MAX = 200, PLAN_CHANGES_MAX = 24 };

/* What is to be done, and what must be there after each step.  Writes have
 * numbers from 1, which make their values. */
struct plan {
	const struct subject *subject;
	struct {
		enum step_type type;
		size_t n;
		struct {
			uint16_t key, write; /* write 0: delete */
		} changes[PLAN_CHANGES_MAX];
	} steps[PLAN_STEPS_MAX];
	size_t n;
	uint16_t states[PLAN_STEPS_MAX + 1][PLAN_KEYS_MAX]; /* before each step: the write under
							       each key */
};

/* n random steps, without those of `without` and those that the engine lacks. */
void plan_make(struct plan *plan, const struct subject *subject, uint64_t seed, size_t n,
	       unsigned without);

/* Does the step on the open store; 0, or -1 where that failed. */
int plan_step(const struct plan *plan, size_t step, struct store *store);

/* Opens the store, does the whole plan, comparing after each step, and reopens
 * it, which leaves it open. */
void plan_compare(const struct plan *plan, struct store *store);

/* The most of the first `most` steps whose contents the open store has by get
 * and scan alike; -1 where there is none. */
int plan_prefix(const struct plan *plan, struct store *store, size_t most);

/* How many of the first `ended` steps the contract says are durable. */
size_t plan_durable(const struct plan *plan, const struct store *store, size_t ended);

/* ---- what a store shows ---- */

/* What is under a key: the number of a write, or one of these. */
enum {
	SHOWN_NOTHING = 0,
	SHOWN_EMPTY = -1, /* the value of several writes */
	SHOWN_ERROR = -2,
	SHOWN_OTHER = -3, /* what was never written */
};

struct shown {
	unsigned int keys;
	int32_t under[PLAN_KEYS_MAX];	/* by get */
	int32_t scanned[PLAN_KEYS_MAX]; /* by scan */
	bool scan_failed;
	bool others; /* the scan showed a key that is not in the plan, or one twice */
	char error[256];
};

/* Reads all that the open store shows under the keys of a plan; errors are noted,
 * and must have texts. */
void shown_look(struct store *store, const struct subject *subject, struct shown *shown);

/* Whether get or scan failed. */
bool shown_failed(const struct shown *shown);
/* Whether neither failed, and both show the same. */
bool shown_consistent(const struct shown *shown);
/* Whether the two show the same, texts of errors aside. */
bool shown_same(const struct shown *a, const struct shown *b);

/* Whether this is under a key after a write; 0: after a delete. */
bool shown_is(const struct plan *plan, int32_t under, uint16_t write);

/* The most of the first `most` steps whose contents are shown, errors aside; -1
 * where there is none. */
int shown_prefix(const struct shown *shown, const struct plan *plan, size_t most);
/* Whether under each key is nothing, an error, or what some step wrote there. */
bool shown_written(const struct shown *shown, const struct plan *plan);

#endif
