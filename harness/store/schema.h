/* The schema and how an older one becomes today's; private to the store. */
#ifndef POWERCUT_STORE_SCHEMA_H
#define POWERCUT_STORE_SCHEMA_H

#include <sqlite3.h>

#include "err.h"

/* One step from version n to n + 1, inside a transaction of its caller's.  A
 * step that fails returns an error and leaves the rolling back to it. */
typedef int schema_step(sqlite3 *db, struct err *err);

/* schema_steps[n] takes version n to n + 1; there are STORE_VERSION of them. */
extern schema_step *const schema_steps[];

/* Takes db, which must be ours or empty (version 0), to version n_steps, each
 * step in a transaction of its own: where one fails, the file is what it was
 * before that step.  ERR_VERSION where the file is newer than that. */
int schema_migrate(sqlite3 *db, schema_step *const *steps, int n_steps, struct err *err);

/* The file's PRAGMA user_version. */
int schema_version(sqlite3 *db, int *version, struct err *err);

/* What SQLite says is wrong, as an error. */
int schema_error(sqlite3 *db, int rc, const char *doing, struct err *err);

#endif
