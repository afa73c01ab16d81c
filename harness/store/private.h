/* What the files of the store share; nobody else includes it. */
#ifndef POWERCUT_STORE_PRIVATE_H
#define POWERCUT_STORE_PRIVATE_H

#include <sqlite3.h>

#include "row.h"
#include "store.h"

struct store {
	sqlite3 *db;
	char *path; /* as given, for messages */
	bool writable;
	bool lost; /* a batch could not be written: nothing more is */
	struct err loss;
	bool reading;		 /* between store_begin_reading and store_end_reading */
	uint64_t batch_began_ns; /* where a transaction is open */
	size_t batch_bytes;	 /* of the rows in it, roughly */
	sqlite3_stmt *insert[TABLES_COUNT];
	sqlite3_stmt *get[TABLES_COUNT];
	struct buf got[TABLES_COUNT]; /* texts of the rows that get gave last */
	sqlite3_stmt *begin, *commit, *find_trace;
};

/* Puts what SQLite said last into err, with the path and what was being done;
 * returns the code that fits. */
int store_sqlite_error(struct store *store, int rc, const char *doing, struct err *err);

/* Prepares sql into *stmt unless that is done already. */
int store_prepare(struct store *store, const char *sql, sqlite3_stmt **stmt, struct err *err);

#endif
