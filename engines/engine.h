/* What a storage engine tells powercut about itself, and how it is driven.
 *
 * An engine is one const struct engine.  All functions run in a process of
 * their own that may be killed at any moment.  Functions return 0 on success
 * and -1 on failure with a text in error; a failed operation may or may not
 * have happened.  Bytes passed in are only valid during the call; an engine
 * copies what it keeps.  Functions marked optional may be NULL.
 *
 * An engine outside powercut's own source is a plug-in: a shared object that
 * defines powercut_engine, below.  Loading it calls none of its functions but
 * constructors, so that one made for another version can be told. */
#ifndef POWERCUT_ENGINE_H
#define POWERCUT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when this header changes in a way that old plug-ins cannot follow. */
#define ENGINE_ABI 3

struct engine_error {
	char text[256];
};

struct engine_bytes {
	const void *data;
	size_t length;
};

/* One change of a batch. */
struct engine_change {
	struct engine_bytes key;
	struct engine_bytes value;
	bool del; /* delete key; value is ignored */
};

/* An option that the engine understands, as in wal:sync=batch,batch=8. */
struct engine_option {
	const char *name;     /* NULL ends the table */
	const char *fallback; /* value when not given; never NULL */
	const char *choices;  /* "a|b|c", NULL for a number, "" for any text without a comma */
	uint64_t min, max;    /* bounds of a number, inclusive */
	const char *help;     /* one line: meaning, unit, what zero means */
};

/* The options of one run: one value for each row of the table, in its order,
 * already checked against choices and bounds. */
struct engine_config {
	const struct engine_option *options;
	const char *const *values;
};

/* Which acknowledgements mean "this will be there". */
enum engine_ack {
	ENGINE_ACK_EACH,    /* every operation that returned */
	ENGINE_ACK_EVERY,   /* all operations that returned but the last every - 1 */
	ENGINE_ACK_ON_SYNC, /* operations that returned before a sync that returned */
};

/* What an acknowledgement holds against. */
enum engine_against {
	ENGINE_AGAINST_POWER, /* loss of power (and so also against a kill) */
	ENGINE_AGAINST_KILL,  /* the death of the process only */
};

enum engine_batch {
	ENGINE_BATCH_NONE,    /* no batches, or no promise about them */
	ENGINE_BATCH_ATOMIC,  /* wholly there or wholly not */
	ENGINE_BATCH_DURABLE, /* atomic, and its return makes it and all before it durable */
};

struct engine_contract {
	enum engine_ack ack;
	uint32_t every; /* for ENGINE_ACK_EVERY, at least 1 */
	enum engine_against against;
	bool prefix; /* whatever is lost is a suffix of the operations */
	enum engine_batch batch;
	bool stays; /* contents that an opening after a crash has shown are durable by then,
		       against what the contract is against */
};

/* What a run must do for a fault point to be passed. */
enum engine_need {
	ENGINE_NEEDS_PUT = 1,
	ENGINE_NEEDS_DELETE = 2,
	ENGINE_NEEDS_BATCH = 4,
	ENGINE_NEEDS_SYNC = 8,
	ENGINE_NEEDS_COMPACT = 16,
	ENGINE_NEEDS_REOPEN = 32, /* closing and opening again in between */
	ENGINE_NEEDS_CRASH = 64,  /* an opening after a crash that left something to repair */
};

/* A named moment in the engine's source, where it may be killed (fault.h).
 *
 * A point is reachable in a run whose options agree with `when` and which does
 * all that it needs; a run in which a reachable point was never passed has not
 * tested what it should have, and says so. */
struct engine_fault_point {
	const char *name; /* "engine/operation/moment"; NULL ends the table */
	const char *when; /* "variant=hardened,sync=sync|batch,batch>=2": options that must have
			     one of these values, or a number within a bound (>= or <=), all of
			     them; of several such lists, separated by ";", one will do; NULL:
			     whatever they are */
	unsigned needs;	  /* enum engine_need, or'ed; opening and closing are always done */
};

/* Called once for each record of a scan, in any order, each key once.  A
 * non-zero return ends the scan, which then returns -1. */
typedef int engine_visit(void *arg, struct engine_bytes key, struct engine_bytes value);

struct engine {
	uint32_t abi; /* ENGINE_ABI; stays the first member for all time */
	const char *name;
	const char *summary;		     /* one line */
	const struct engine_option *options; /* ends with a NULL name; NULL: it has none */

	const struct engine_fault_point *fault_points; /* ends with a NULL name; NULL: none */

	/* What the engine promises with these options. */
	void (*contract)(const struct engine_config *config, struct engine_contract *contract);

	/* Opens the store in dir, an existing directory, making a new store where
	 * it is empty and recovering where there is one.  config stays valid
	 * while the store is open.  NULL on failure. */
	void *(*open)(const char *dir, const struct engine_config *config,
		      struct engine_error *error);
	/* Closes the store and frees everything, also on failure. */
	int (*close)(void *store, struct engine_error *error);

	int (*put)(void *store, struct engine_bytes key, struct engine_bytes value,
		   struct engine_error *error);
	/* Deleting a key that is not there is a success. */
	int (*del)(void *store, struct engine_bytes key, struct engine_error *error);
	/* 1 and the value (valid until the next call) if there, 0 if not, -1. */
	int (*get)(void *store, struct engine_bytes key, struct engine_bytes *value,
		   struct engine_error *error);
	int (*scan)(void *store, engine_visit *visit, void *arg, struct engine_error *error);

	/* Optional. */
	int (*batch)(void *store, const struct engine_change *changes, size_t n,
		     struct engine_error *error);
	/* Optional: makes everything acknowledged so far durable. */
	int (*sync)(void *store, struct engine_error *error);
	/* Optional: maintenance (compaction, merge, checkpoint); contents stay. */
	int (*compact)(void *store, struct engine_error *error);
	/* Optional: the engine's own structural check of an open store. */
	int (*verify)(void *store, struct engine_error *error);

	/* Optional, for an engine with processes of its own: the process that opened the
	 * store is about to end without closing it.  Ends them and frees everything. */
	void (*abandon)(void *store);

	/* Optional, and rarely of use: this row only stands for engines that are known
	 * once their options are.  Makes the one for config, with a table of the same
	 * options; of the row's other functions none is called.  NULL on failure.  What
	 * it made is given back to unmake of the row. */
	const struct engine *(*make)(const struct engine_config *config,
				     struct engine_error *error);
	void (*unmake)(const struct engine *engine);
};

/* The value of an option, which must be one of the table. */
const char *engine_value(const struct engine_config *config, const char *name);
uint64_t engine_number(const struct engine_config *config, const char *name);

/* Sets the text of an error (a longer one is cut) and returns -1, so that an
 * engine can `return engine_fail(...)`. */
int engine_fail(struct engine_error *error, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What a plug-in defines, as its only symbol that must be visible:
 *
 *	const struct engine powercut_engine = {.abi = ENGINE_ABI, .name = "mine", ...};
 *
 * powercut gives it engine_value, engine_number, engine_fail and what the macros
 * of fault.h need; all else it brings along or links with.  The name is at most
 * 32 letters, digits, - and _; so are those of options, which "mutant" is not. */
extern const struct engine powercut_engine __attribute__((visibility("default")));

/* A plug-in may also define this, where it has planted bugs (fault.h): their names,
 * ending with NULL.  mutant=NAME in a target turns one on. */
extern const char *const powercut_mutants[] __attribute__((visibility("default")));

/* The engines that are built in, NULL-terminated; not for plug-ins. */
extern const struct engine *const engine_table[];

#ifdef __cplusplus
}
#endif

#endif
