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

#include "lib_plan.h"

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

/* Runs the plan in a child on a wiped directory, killing it at the n-th passage
 * (from 1) of a fault point; with litter before each reopening where it is not
 * NULL.  Whether it came to that; *ended is the number of steps that ended. */
bool plan_kill(const struct plan *plan, struct store *store, const char *point, uint64_t n,
	       void (*litter)(const char *dir), size_t *ended);

#endif
