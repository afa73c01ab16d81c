/* Opening, closing, and what a kill leaves behind.
 *
 * The journal is a rollback journal that is deleted at each commit, not a
 * write-ahead log: a database between two batches is one file, which can be
 * copied, kept as a baseline and sent around, and readers need no shared
 * memory.  A kill in the midst of a commit leaves a journal beside the file;
 * whoever opens it next rolls the unfinished batch back.
 *
 * synchronous=NORMAL: a kill needs no sync at all, since the page cache
 * survives it.  But a database that a power failure can tear apart would be a
 * poor advertisement, and at two commits a second a sync costs little.
 *
 * A page that is changed stays in memory until its commit (cache_spill=OFF):
 * spilling would lock readers out for the rest of the batch.  The size of a
 * batch is bounded instead. */
#include "store.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "private.h"
#include "schema.h"

enum {
	HEADER_BYTES = 100,	 /* of a SQLite file */
	HEADER_APPLICATION = 68, /* offset of the application id, 4 bytes, big-endian */
	READER_BUSY_MS = 10000,	 /* a commit takes milliseconds */
	WRITER_BUSY_MS = 60000,	 /* a report takes seconds */
};

int store_sqlite_error(struct store *store, int rc, const char *doing, struct err *err)
{
	int code = schema_error(store->db, rc, doing, err);
	err_wrap(err, "%s", store->path);
	return code;
}

int store_prepare(struct store *store, const char *sql, sqlite3_stmt **stmt, struct err *err)
{
	if (*stmt)
		return 0;
	int rc = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
	return rc == SQLITE_OK ? 0 : store_sqlite_error(store, rc, "cannot be used", err);
}

/* What can be told without opening the file. */
static int check_path(const char *path, bool create, struct err *err)
{
	struct stat st;
	if (!*path)
		return err_set(err, ERR_USAGE, "a database needs a file name");
	if (stat(path, &st) != 0) {
		if (errno == ENOENT && create)
			return 0;
		if (errno == ENOENT)
			return err_set(err, ERR_MISSING, "%s: no such database", path);
		return err_sys(err, "%s", path);
	}
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "%s: is a directory, expected a powercut database",
			       path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_USAGE,
			       "%s: is not a regular file, expected a powercut database", path);
	return 0;
}

/* A writer makes and deletes journals beside the file: better to say now than
 * at the first batch that it cannot. */
static int check_directory(const char *path, struct err *err)
{
	char *copy = mem_dup(path, strlen(path));
	const char *dir = dirname(copy);
	int rc = 0;
	if (access(dir, W_OK | X_OK) != 0)
		rc = err_sys(err, "%s: cannot write to its directory %s", path, dir);
	free(copy);
	return rc;
}

/* A look at the file's header through SQLite's own descriptor, before SQLite
 * looks: it would roll back a journal that lies beside a foreign database.
 * (Opening the file a second time is not an option: closing that descriptor
 * would drop the locks that this process may hold on the file.) */
static int check_header(struct store *store, bool create, struct err *err)
{
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	unsigned char header[HEADER_BYTES] = {0};
	sqlite3_file_control(store->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (!file || !file->pMethods || file->pMethods->xFileSize(file, &size) != SQLITE_OK)
		return err_set(err, ERR_IO, "%s: cannot be read", store->path);
	if (size == 0 && create)
		return 0;
	if (size == 0)
		return err_set(err, ERR_CORRUPT, "%s: file is empty, expected a powercut database",
			       store->path);
	int rc = file->pMethods->xRead(file, header, sizeof header, 0);
	if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
		return err_set(err, ERR_IO, "%s: cannot be read: %s", store->path,
			       sqlite3_errstr(rc));
	if (size < HEADER_BYTES || memcmp(header, "SQLite format 3", 16) != 0)
		return err_set(err, ERR_CORRUPT,
			       "%s: file is not a database, expected a powercut database",
			       store->path);
	uint32_t id = 0;
	for (int i = 0; i < 4; i++)
		id = id << 8 | header[HEADER_APPLICATION + i];
	if (id != STORE_APPLICATION_ID)
		return err_set(err, ERR_CORRUPT,
			       "%s: a SQLite database of another program (application id 0x%08x, "
			       "expected 0x%08x); left untouched",
			       store->path, id, STORE_APPLICATION_ID);
	return 0;
}

static int pragma_number(struct store *store, const char *sql, int *value, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*value = sqlite3_column_int(stmt, 0);
	int result = rc == SQLITE_ROW ? 0 : store_sqlite_error(store, rc, "cannot be read", err);
	sqlite3_finalize(stmt);
	return result;
}

/* The header may have been that of a first batch which was never finished, and
 * which SQLite has rolled back by now: the file is empty again. */
static int check_identity(struct store *store, bool create, struct err *err)
{
	int id = 0, pages = 0;
	/* Both of one moment: another process may be finishing its first batch. */
	sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL);
	int rc = pragma_number(store, "PRAGMA application_id", &id, err);
	if (rc == 0)
		rc = pragma_number(store, "PRAGMA page_count", &pages, err);
	sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
	if (rc || id == STORE_APPLICATION_ID || (pages == 0 && create))
		return rc;
	return err_set(err, ERR_CORRUPT,
		       "%s: nothing was ever finished in it, expected a powercut database",
		       store->path);
}

static int set_up(struct store *store, struct err *err)
{
	const char *sql = store->writable
				  ? "PRAGMA foreign_keys = ON; PRAGMA journal_mode = DELETE;"
				    "PRAGMA synchronous = NORMAL; PRAGMA cache_spill = OFF;"
				    "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY"
				  : "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY";
	int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_sqlite_error(store, rc, "cannot be set up", err);
}

/* SQLite gives names such as ":memory:" and "file:x?mode=ro" a meaning; a path
 * with a directory in front is only ever a path. */
static int open_file(struct store *store, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
		    (store->writable ? SQLITE_OPEN_CREATE : 0);
	char *path = mem_printf("%s%s", *store->path == '/' ? "" : "./", store->path);
	int rc = sqlite3_open_v2(path, &store->db, flags, NULL);
	free(path);
	if (!store->db)
		return err_set(err, ERR_IO, "%s: %s", store->path, sqlite3_errstr(rc));
	if (rc != SQLITE_OK)
		return store_sqlite_error(store, rc, "cannot be opened", err);
	if (store->writable && sqlite3_db_readonly(store->db, "main") == 1)
		return err_set(err, ERR_IO, "%s: cannot be written: permission denied",
			       store->path);
	sqlite3_busy_timeout(store->db, store->writable ? WRITER_BUSY_MS : READER_BUSY_MS);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return 0;
}

/* A reader, too, opens for writing where it may: a journal that a killed
 * writer left can be rolled back in no other way. */
static int open_store(const char *path, bool create, struct store **result, struct err *err)
{
	*result = NULL;
	struct store *store = mem_alloc(1, sizeof *store);
	store->path = mem_dup(path, strlen(path));
	store->writable = create;
	int rc = check_path(path, create, err);
	if (rc == 0 && create)
		rc = check_directory(path, err);
	if (rc == 0)
		rc = open_file(store, err);
	if (rc == 0)
		rc = check_header(store, create, err);
	if (rc == 0)
		rc = check_identity(store, create, err);
	if (rc == 0) {
		rc = schema_migrate(store->db, schema_steps, STORE_VERSION, err);
		if (rc)
			err_wrap(err, "%s", path);
	}
	if (rc == 0)
		rc = set_up(store, err);
	if (rc)
		store_close(store);
	else
		*result = store;
	return rc;
}

int store_create(const char *path, struct store **store, struct err *err)
{
	return open_store(path, true, store, err);
}

int store_open(const char *path, struct store **store, struct err *err)
{
	return open_store(path, false, store, err);
}

const char *store_path(const struct store *store)
{
	return store->path;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->db && store->writable)
		store_commit(store, NULL);
	for (size_t i = 0; i < TABLES_COUNT; i++) {
		sqlite3_finalize(store->insert[i]);
		sqlite3_finalize(store->get[i]);
		buf_finish(&store->got[i]);
	}
	sqlite3_finalize(store->begin);
	sqlite3_finalize(store->commit);
	sqlite3_finalize(store->find_trace);
	sqlite3_close_v2(store->db);
	free(store->path);
	free(store);
}
