/* Writing rows, in batches. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "private.h"

/* A batch ends at the first row after either.  The bytes bound the memory that
 * its pages take. */
enum { BATCH_NS = 500 * 1000 * 1000, BATCH_BYTES = 4 << 20 };

/* A row that SQLite refused for its content leaves the batch alone.  Anything
 * else (disk full, an error of the disk, a locked file) is not the row's fault:
 * the batch is given up as a whole, so that what is in the file stays complete
 * up to some moment, and nothing later is written after the gap. */
static int failed(struct store *store, int rc, const char *doing, struct err *err)
{
	struct err own;
	err = err ? err : &own;
	int code = store_sqlite_error(store, rc, doing, err);
	if (code == ERR_INTERNAL)
		return code;
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	store->lost = true;
	store->loss = *err;
	return code;
}

static int run(struct store *store, sqlite3_stmt *stmt, const char *doing, struct err *err)
{
	int rc = sqlite3_step(stmt);
	int result = rc == SQLITE_DONE ? 0 : failed(store, rc, doing, err);
	sqlite3_reset(stmt);
	return result;
}

static int check_writable(struct store *store, struct err *err)
{
	if (!store->writable)
		return err_set(err, ERR_INTERNAL, "%s: is open for reading only", store->path);
	if (store->lost)
		return err_set(err, store->loss.code, "%s", store->loss.text);
	return 0;
}

/* Takes the write lock at once: a lock that is upgraded later can fail without
 * waiting. */
static int batch_begin(struct store *store, struct err *err)
{
	int rc = check_writable(store, err);
	if (rc || !sqlite3_get_autocommit(store->db))
		return rc;
	rc = store_prepare(store, "BEGIN IMMEDIATE", &store->begin, err);
	if (rc == 0)
		rc = run(store, store->begin, "cannot be written", err);
	store->batch_began_ns = clock_ns();
	store->batch_bytes = 0;
	return rc;
}

static int batch_row(struct store *store, size_t bytes, struct err *err)
{
	store->batch_bytes += bytes;
	if (store->batch_bytes < BATCH_BYTES && clock_ns() - store->batch_began_ns < BATCH_NS)
		return 0;
	return store_commit(store, err);
}

int store_commit(struct store *store, struct err *err)
{
	int rc = check_writable(store, err);
	if (rc || sqlite3_get_autocommit(store->db))
		return rc;
	rc = store_prepare(store, "COMMIT", &store->commit, err);
	return rc ? rc : run(store, store->commit, "a batch could not be written", err);
}

static int prepare_insert(struct store *store, enum table_number number, struct err *err)
{
	if (store->insert[number])
		return 0;
	char *sql = row_insert_sql(&row_tables[number]);
	int rc = store_prepare(store, sql, &store->insert[number], err);
	free(sql);
	return rc;
}

/* Adds a row; its id, where the table has one, into *id. */
static int add(struct store *store, enum table_number number, const void *row, int64_t *id,
	       struct err *err)
{
	const struct table *table = &row_tables[number];
	size_t bytes = 0;
	int rc = batch_begin(store, err);
	if (rc == 0)
		rc = prepare_insert(store, number, err);
	if (rc)
		return rc;
	int bound = row_bind(table, row, store->insert[number], &bytes);
	if (bound != SQLITE_OK)
		return failed(store, bound, table->name, err);
	rc = run(store, store->insert[number], table->name, err);
	if (rc)
		return rc;
	if (id)
		*id = sqlite3_last_insert_rowid(store->db);
	return batch_row(store, bytes, err);
}

int store_add_campaign(struct store *store, struct campaign_row *row, struct err *err)
{
	return add(store, TABLE_CAMPAIGN, row, &row->id, err);
}

int store_finish_campaign(struct store *store, int64_t id, const char *finished, int exit_code,
			  struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = batch_begin(store, err);
	if (rc == 0)
		rc = store_prepare(
			store, "UPDATE campaigns SET finished = ?2, exit_code = ?3 WHERE id = ?1",
			&stmt, err);
	if (rc)
		return rc;
	sqlite3_bind_int64(stmt, 1, id);
	sqlite3_bind_text(stmt, 2, finished ? finished : "", -1, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 3, exit_code);
	rc = run(store, stmt, "campaigns", err);
	if (rc == 0 && sqlite3_changes(store->db) != 1)
		rc = err_set(err, ERR_MISSING, "%s: no campaign %lld", store->path, (long long)id);
	sqlite3_finalize(stmt);
	return rc ? rc : batch_row(store, 0, err);
}

int store_set_inconclusive(struct store *store, int64_t target, const char *why, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = batch_begin(store, err);
	if (rc == 0)
		rc = store_prepare(store, "UPDATE targets SET inconclusive = ?2 WHERE id = ?1",
				   &stmt, err);
	if (rc)
		return rc;
	sqlite3_bind_int64(stmt, 1, target);
	sqlite3_bind_text(stmt, 2, why ? why : "", -1, SQLITE_STATIC);
	rc = run(store, stmt, "targets", err);
	sqlite3_finalize(stmt);
	return rc ? rc : batch_row(store, 0, err);
}

/* The id of a trace with the same bytes, or 0. */
static int find_trace(struct store *store, struct trace_row *row, struct err *err)
{
	int rc = store_prepare(
		store, "SELECT id FROM traces WHERE identity = ?1 AND bytes = ?2 AND parent = ?3",
		&store->find_trace, err);
	if (rc)
		return rc;
	sqlite3_stmt *stmt = store->find_trace;
	sqlite3_bind_int64(stmt, 1, (int64_t)row->identity);
	sqlite3_bind_blob64(stmt, 2, row->length ? row->bytes : "", row->length, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, row->parent ? row->parent : "", -1, SQLITE_STATIC);
	int step = sqlite3_step(stmt);
	row->id = step == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	if (step != SQLITE_ROW && step != SQLITE_DONE)
		rc = failed(store, step, "traces", err);
	sqlite3_reset(stmt);
	return rc;
}

int store_add_trace(struct store *store, struct trace_row *row, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = batch_begin(store, err);
	if (rc == 0)
		rc = find_trace(store, row, err);
	if (rc || row->id)
		return rc;
	rc = store_prepare(store,
			   "INSERT INTO traces(identity, bytes, parent, first_event) "
			   "VALUES(?1, ?2, ?3, ?4)",
			   &stmt, err);
	if (rc)
		return rc;
	sqlite3_bind_int64(stmt, 1, (int64_t)row->identity);
	int bound = sqlite3_bind_blob64(stmt, 2, row->length ? row->bytes : "", row->length,
					SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, row->parent ? row->parent : "", -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, row->first_event);
	rc = bound == SQLITE_OK ? run(store, stmt, "traces", err)
				: failed(store, bound, "traces", err);
	sqlite3_finalize(stmt);
	if (rc)
		return rc;
	row->id = sqlite3_last_insert_rowid(store->db);
	return batch_row(store, row->length, err);
}

int store_add_target(struct store *store, struct target_row *row, struct err *err)
{
	return add(store, TABLE_TARGET, row, &row->id, err);
}

int store_add_coverage(struct store *store, const struct coverage_row *row, struct err *err)
{
	struct coverage_row copy = *row;
	copy.exact = row->exact && row->possible <= INT64_MAX;
	return add(store, TABLE_COVERAGE, &copy, NULL, err);
}

int store_add_point(struct store *store, const struct point_row *row, struct err *err)
{
	struct point_row copy = *row;
	copy.exact = row->exact && row->possible <= INT64_MAX;
	return add(store, TABLE_POINT, &copy, NULL, err);
}

int store_add_outcome(struct store *store, const struct outcome_row *row, struct err *err)
{
	return add(store, TABLE_OUTCOME, row, NULL, err);
}

int store_add_fault(struct store *store, const struct fault_row *row, struct err *err)
{
	return add(store, TABLE_FAULT, row, NULL, err);
}

int store_add_finding(struct store *store, struct finding_row *row, struct err *err)
{
	return add(store, TABLE_FINDING, row, &row->id, err);
}

int store_add_witness(struct store *store, const struct witness_row *row, struct err *err)
{
	return add(store, TABLE_WITNESS, row, NULL, err);
}
