/* SQLite as an engine: one table, each operation a transaction of its own, a
 * batch one transaction.
 *
 * What is promised is what https://sqlite.org/pragma.html says:
 *
 * - #pragma_synchronous, FULL: "ensures that an operating system crash or power
 *   failure will not corrupt the database".  EXTRA is FULL and syncs the directory
 *   once the journal is unlinked; it is there for commits that are "followed
 *   closely by a power loss" in DELETE mode.  That FULL may roll the last of them
 *   back is left unsaid, so a commit is taken at its word: it counts as durable in
 *   all modes of which nothing else is said.
 * - #pragma_synchronous, NORMAL: a transaction in WAL mode "might roll back following
 *   a power loss", and the database is always consistent; the log is synced before
 *   each checkpoint and the database after it.  So with WAL and NORMAL a checkpoint
 *   is the sync.  In the other modes there is "a very small (though non-zero)
 *   chance" of corruption: that is asked for as if there were none.
 * - #pragma_synchronous, OFF: after an application's crash the data is safe; after
 *   a loss of power the database "might become corrupted".
 * - #pragma_journal_mode, MEMORY and OFF: where the application dies in the middle
 *   of a transaction, the database "will very likely go corrupt".
 *
 * Nothing is said of whether what a reader saw after a crash stays after a second
 * one, so that is not promised. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static const struct engine_option options[] = {
	{"journal", "delete", "delete|truncate|persist|wal|memory|off", 0, 0,
	 "PRAGMA journal_mode; memory and off: a kill may corrupt, as documented"},
	{"synchronous", "full", "off|normal|full|extra", 0, 0,
	 "PRAGMA synchronous; off: loss of power may corrupt, as documented"},
	{"page_size", "4096", "512|1024|2048|4096|8192|16384|32768|65536", 0, 0,
	 "PRAGMA page_size: bytes of a page of a new database"},
	{"autocheckpoint", "1000", NULL, 0, 1000000,
	 "PRAGMA wal_autocheckpoint: pages in the log at which it is checkpointed; 0: never"},
	{"locking", "normal", "normal|exclusive", 0, 0,
	 "PRAGMA locking_mode; exclusive: a WAL needs no shared mapping"},
	{NULL},
};

enum statement { PUT, DELETE, GET, SCAN, BEGIN, COMMIT, ROLLBACK, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[PUT] = "INSERT OR REPLACE INTO kv (k, v) VALUES (?1, ?2)",
	[DELETE] = "DELETE FROM kv WHERE k = ?1",
	[GET] = "SELECT v FROM kv WHERE k = ?1",
	[SCAN] = "SELECT k, v FROM kv",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	void *value; /* what get returned last */
};

static bool is(const struct engine_config *config, const char *option, const char *value)
{
	return strcmp(engine_value(config, option), value) == 0;
}

static void contract(const struct engine_config *config, struct engine_contract *contract)
{
	bool wal = is(config, "journal", "wal");
	bool unjournalled = is(config, "journal", "memory") || is(config, "journal", "off");
	*contract = (struct engine_contract){
		.ack = ENGINE_ACK_EACH,
		.against = ENGINE_AGAINST_POWER,
		.prefix = true,
		.batch = unjournalled ? ENGINE_BATCH_NONE : ENGINE_BATCH_ATOMIC,
	};
	if (is(config, "synchronous", "off") || unjournalled)
		contract->against = ENGINE_AGAINST_KILL;
	else if (wal && is(config, "synchronous", "normal"))
		contract->ack = ENGINE_ACK_ON_SYNC;
}

static int fails(struct store *s, const char *doing, struct engine_error *error)
{
	return engine_fail(error, "%s: %s", doing, sqlite3_errmsg(s->db));
}

static int execute(struct store *s, const char *sql, struct engine_error *error)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) ? fails(s, sql, error) : 0;
}

/* Runs a PRAGMA or the like and demands that its first row begins with `expected`
 * (in any case of letters); NULL: whatever it says, if anything. */
static int demand(struct store *s, const char *sql, const char *expected,
		  struct engine_error *error)
{
	sqlite3_stmt *query = NULL;
	int rc = 0;
	if (sqlite3_prepare_v2(s->db, sql, -1, &query, NULL))
		return fails(s, sql, error);
	int step = sqlite3_step(query);
	if (step != SQLITE_ROW && step != SQLITE_DONE) {
		rc = fails(s, sql, error);
	} else if (expected) {
		const char *text =
			step == SQLITE_ROW ? (const char *)sqlite3_column_text(query, 0) : NULL;
		if (!text || sqlite3_stricmp(text, expected) != 0)
			rc = engine_fail(error, "%s says %.150s", sql, text ? text : "nothing");
	}
	sqlite3_finalize(query);
	return rc;
}

/* The order matters: a database is changed to WAL mode by a transaction, which
 * must already be as synchronous as asked; exclusive locking must come before the
 * first use of a WAL, or its index is a shared mapping after all. */
static int configure(struct store *s, const struct engine_config *config,
		     struct engine_error *error)
{
	const char *journal = engine_value(config, "journal");
	char sql[80];
	snprintf(sql, sizeof sql, "PRAGMA locking_mode = %s", engine_value(config, "locking"));
	if (demand(s, sql, engine_value(config, "locking"), error))
		return -1;
	snprintf(sql, sizeof sql, "PRAGMA page_size = %s", engine_value(config, "page_size"));
	if (execute(s, sql, error))
		return -1;
	snprintf(sql, sizeof sql, "PRAGMA synchronous = %s", engine_value(config, "synchronous"));
	if (execute(s, sql, error))
		return -1;
	snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", journal);
	if (demand(s, sql, journal, error))
		return -1;
	snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %s",
		 engine_value(config, "autocheckpoint"));
	if (demand(s, sql, NULL, error))
		return -1;
	/* What VACUUM needs for a while is no part of the store. */
	return execute(s, "PRAGMA temp_store = MEMORY", error);
}

static int prepare(struct store *s, struct engine_error *error)
{
	if (execute(s,
		    "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) "
		    "WITHOUT ROWID",
		    error))
		return -1;
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->statements[i], NULL))
			return fails(s, texts[i], error);
	return 0;
}

static int store_close(void *store, struct engine_error *error)
{
	struct store *s = store;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statements[i]);
	int rc = sqlite3_close(s->db) ? fails(s, "close", error) : 0;
	free(s->value);
	free(s);
	return rc;
}

static void *store_open(const char *dir, const struct engine_config *config,
			struct engine_error *error)
{
	struct store *s = calloc(1, sizeof *s);
	char *path = sqlite3_mprintf("%s/store.db", dir);
	struct engine_error ignored;
	int rc = -1;
	if (!s || !path)
		engine_fail(error, "no memory");
	else if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL))
		fails(s, path, error);
	else
		rc = configure(s, config, error);
	sqlite3_free(path);
	if (!rc && !prepare(s, error))
		return s;
	if (s)
		store_close(s, &ignored);
	return NULL;
}

/* NULL would be bound as NULL and not as no bytes. */
static void bind(sqlite3_stmt *statement, int i, struct engine_bytes bytes)
{
	sqlite3_bind_blob64(statement, i, bytes.length ? bytes.data : "", bytes.length,
			    SQLITE_STATIC);
}

/* Runs a statement that gives no rows. */
static int run(struct store *s, enum statement which, struct engine_error *error)
{
	sqlite3_stmt *statement = s->statements[which];
	int rc = sqlite3_step(statement) == SQLITE_DONE ? 0 : fails(s, texts[which], error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return rc;
}

static int store_put(void *store, struct engine_bytes key, struct engine_bytes value,
		     struct engine_error *error)
{
	struct store *s = store;
	bind(s->statements[PUT], 1, key);
	bind(s->statements[PUT], 2, value);
	return run(s, PUT, error);
}

static int store_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	struct store *s = store;
	bind(s->statements[DELETE], 1, key);
	return run(s, DELETE, error);
}

static struct engine_bytes column(sqlite3_stmt *statement, int i)
{
	/* The bytes come first: they are converted by asking for them. */
	const void *data = sqlite3_column_blob(statement, i);
	return (struct engine_bytes){data, (size_t)sqlite3_column_bytes(statement, i)};
}

static int keep(struct store *s, struct engine_bytes found, struct engine_bytes *value,
		struct engine_error *error)
{
	free(s->value);
	s->value = malloc(found.length + 1);
	if (!s->value)
		return engine_fail(error, "no memory");
	if (found.length)
		memcpy(s->value, found.data, found.length);
	*value = (struct engine_bytes){s->value, found.length};
	return 1;
}

static int store_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		     struct engine_error *error)
{
	struct store *s = store;
	sqlite3_stmt *statement = s->statements[GET];
	bind(statement, 1, key);
	int step = sqlite3_step(statement);
	int rc = step == SQLITE_DONE  ? 0
		 : step == SQLITE_ROW ? keep(s, column(statement, 0), value, error)
				      : fails(s, texts[GET], error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return rc;
}

static int store_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct store *s = store;
	sqlite3_stmt *statement = s->statements[SCAN];
	int step, rc = 0;
	while (!rc && (step = sqlite3_step(statement)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = fails(s, texts[SCAN], error);
		else if (visit(arg, column(statement, 0), column(statement, 1)))
			rc = engine_fail(error, "the scan was ended");
	}
	sqlite3_reset(statement);
	return rc;
}

static int store_batch(void *store, const struct engine_change *changes, size_t n,
		       struct engine_error *error)
{
	struct engine_error ignored;
	int rc = run(store, BEGIN, error);
	for (size_t i = 0; i < n && !rc; i++)
		rc = changes[i].del ? store_del(store, changes[i].key, error)
				    : store_put(store, changes[i].key, changes[i].value, error);
	if (!rc)
		rc = run(store, COMMIT, error);
	if (rc && !sqlite3_get_autocommit(((struct store *)store)->db))
		run(store, ROLLBACK, &ignored);
	return rc;
}

static int checkpoint(struct store *s, int mode, struct engine_error *error)
{
	if (sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL))
		return fails(s, "checkpoint", error);
	return 0;
}

/* With a WAL, a checkpoint; the other modes have nothing that commits did not do. */
static int store_sync(void *store, struct engine_error *error)
{
	return checkpoint(store, SQLITE_CHECKPOINT_FULL, error);
}

static int store_compact(void *store, struct engine_error *error)
{
	int rc = execute(store, "VACUUM", error);
	return rc ? rc : checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE, error);
}

static int store_verify(void *store, struct engine_error *error)
{
	return demand(store, "PRAGMA integrity_check", "ok", error);
}

const struct engine powercut_engine = {
	.abi = ENGINE_ABI,
	.name = "sqlite",
	.summary = "SQLite: a table with a primary key, each change a transaction",
	.options = options,
	.contract = contract,
	.open = store_open,
	.close = store_close,
	.put = store_put,
	.del = store_del,
	.get = store_get,
	.scan = store_scan,
	.batch = store_batch,
	.sync = store_sync,
	.compact = store_compact,
	.verify = store_verify,
};
