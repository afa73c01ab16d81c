/* Stores and their files, for the tests of the engines.  All functions fail the
 * running test where they cannot do what they say, unless they say otherwise. */
#ifndef POWERCUT_LIB_STORE_H
#define POWERCUT_LIB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

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
/* What verify says; 0 where the engine has none: it cannot disapprove then. */
int store_verify(struct store *store);
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
/* Removes all files that do not begin with a dot. */
void files_wipe(const char *dir);

#endif
