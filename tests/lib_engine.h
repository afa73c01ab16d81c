/* Tests that every storage engine must pass, and what an engine's own tests need.
 *
 * An engine's test states in a struct subject what the engine is, and ends in
 *
 *   return subject_run(&subject, add_own_tests);
 *
 * which runs, with Check:
 *
 *   model    after each step of a random plan, get and scan show what a model in
 *            memory holds, and verify approves; also after reopening
 *   sizes    empty, large and longest keys and values are kept, or refused
 *            without harm
 *   kills    killed at each fault point, and then again while it recovers, the
 *            store keeps its contract; every fault point that the options and
 *            steps reach is passed
 *   errors   after a failed write no more are taken, and nothing acknowledged is
 *            lost; a missing directory is an error with its cause
 *   damage   files cut, altered, missing, swapped, zeros and noise: no crash, and
 *            no more than the subject says is lost
 *   source   the fault points listed are those in the source
 *
 * What a power failure leaves is the harness's own matter.  All functions fail
 * the running test where they cannot do what they say, unless they say otherwise. */
#ifndef POWERCUT_LIB_ENGINE_H
#define POWERCUT_LIB_ENGINE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

/* ---- the subject ---- */

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

/* Options with which the store is killed, and with which its disk fills up. */
struct subject_kill {
	const char *options; /* NULL ends the table */
	unsigned without;    /* steps that are left out, since dying in them breaks the contract */
	/* Puts into dir, whose store is closed, what only a crash or a stranger leaves and an
	 * opening mends without a loss.  It runs in a child of the test: it ends with _exit(6)
	 * where it fails.  NULL: nothing. */
	void (*litter)(const char *dir);
};

/* What a store may contain that opened although its files were damaged.  Errors
 * are never wrong, see `lazy`. */
enum damaged {
	DAMAGED_PREFIX,	 /* the contents after some prefix of the steps */
	DAMAGED_WRITTEN, /* under each key nothing, or a value that was once written for it */
	DAMAGED_ANYTHING,
};

/* Options with which the files of a store are damaged. */
struct subject_damage {
	const char *options; /* NULL ends the table */
	enum damaged contents;
	/* Damage may be noticed after opening: get, scan, verify, put, close, and the next opening
	 * may return errors.  Otherwise they must work once open() returned a store.  In either
	 * case verify must not approve where get and scan disagree or fail. */
	bool lazy;
	unsigned without;
	size_t steps; /* that make the store; 0: 30 */
};

struct subject {
	const struct engine *engine;
	const char *sources;	    /* directory of the engine's sources */
	const char *const *options; /* combinations in which it is compared; NULL ends them */
	const struct subject_kill *kills;
	const struct subject_damage *damages;
	const char *const *names; /* of files that get zeros and noise; NULL ends them */

	unsigned keys;	    /* different keys in a plan; 0: 9, at most 64 */
	size_t value_bytes; /* of the longest values in a plan; 0: 700, at most 9000 */
	bool no_empty_key;  /* the empty key is refused, and not in plans */
};

/* Runs the tests above and then those that own adds; NULL: none.  For main() to return. */
int subject_run(const struct subject *subject, void (*own)(TCase *cases));

/* ---- stores ---- */

/* An engine's store in a directory of its own.  Not to be copied. */
struct store {
	const struct engine *engine;
	char dir[100];
	void *handle; /* NULL: closed */
	struct target *target;
	struct engine_config config;
	struct engine_contract contract;
	struct engine_error error; /* of the last call that failed */
};

/* Makes a new, empty directory, in memory where that can be (tests sync a lot),
 * for an engine with these options: "name=value,name=value", the others with
 * their fallback. */
void store_init(struct store *store, const struct engine *engine, const char *options);

/* Closes the store, whatever that returns, and removes the directory. */
void store_finish(struct store *store);

/* Other options from the next opening on; the store must be closed. */
void store_options(struct store *store, const char *options);

bool store_open(struct store *store);  /* whether it opened */
int store_close(struct store *store);  /* what close returned; 0 where it is closed */
int store_reopen(struct store *store); /* 0, or -1 where closing or opening failed */

/* As the engine's functions, with texts. */
int store_put(struct store *store, const char *key, const char *value);
int store_del(struct store *store, const char *key);
/* Whether the value under key is this one; NULL: whether there is none. */
bool store_has(struct store *store, const char *key, const char *value);
/* How many records a scan shows. */
size_t store_count(struct store *store);

/* ---- files ---- */

enum { SNAPSHOT_FILES_MAX = 200 };

/* The files of a directory, in the order of their names. */
struct snapshot {
	size_t n;
	struct {
		char name[64];
		size_t size;
		uint8_t *data; /* at least one byte of room more than size */
	} files[SNAPSHOT_FILES_MAX];
};

/* Reads all files in dir that do not begin with a dot; no directories are
 * expected.  To be released with snapshot_finish. */
void snapshot_take(struct snapshot *snapshot, const char *dir);
void snapshot_finish(struct snapshot *snapshot);
/* Makes the files of dir those of the snapshot. */
void snapshot_restore(const struct snapshot *snapshot, const char *dir);

/* Makes name in dir have these bytes and no others. */
void files_write(const char *dir, const char *name, const void *data, size_t size);
void files_remove(const char *dir, const char *name);

/* ---- plans ---- */

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

/* Runs the plan in a child on a wiped directory, killing it at the n-th passage
 * (from 1) of a fault point; with litter before each reopening where it is not
 * NULL.  Whether it came to that; *ended is the number of steps that ended. */
bool plan_kill(const struct plan *plan, struct store *store, const char *point, uint64_t n,
	       void (*litter)(const char *dir), size_t *ended);

#endif
