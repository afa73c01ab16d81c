/* Reading rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "private.h"

struct store_query {
	struct store *store;
	sqlite3_stmt *stmt;
};

int store_begin_reading(struct store *store, struct err *err)
{
	if (store->writable || store->reading)
		return 0;
	int rc = sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL);
	store->reading = rc == SQLITE_OK;
	return rc == SQLITE_OK ? 0 : store_sqlite_error(store, rc, "cannot be read", err);
}

void store_end_reading(struct store *store)
{
	if (store->reading)
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	store->reading = false;
}

void store_query_end(struct store_query **q)
{
	if (*q)
		sqlite3_finalize((*q)->stmt);
	free(*q);
	*q = NULL;
}

/* Starts a query with its parameters ?1 and ?2, of which sql may use fewer. */
static int start(struct store *store, struct store_query **q, const char *sql, int64_t number,
		 const char *text, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = store_prepare(store, sql, &stmt, err);
	if (rc)
		return rc;
	int parameters = sqlite3_bind_parameter_count(stmt);
	if (parameters >= 1)
		sqlite3_bind_int64(stmt, 1, number);
	if (parameters >= 2)
		sqlite3_bind_text(stmt, 2, text, -1, SQLITE_TRANSIENT);
	*q = mem_alloc(1, sizeof **q);
	**q = (struct store_query){store, stmt};
	return 0;
}

/* 1 with a row to be read from the statement, 0 at the end, or an error. */
static int step(struct store_query **q, struct err *err)
{
	int rc = sqlite3_step((*q)->stmt);
	if (rc == SQLITE_ROW)
		return 1;
	int result =
		rc == SQLITE_DONE ? 0 : store_sqlite_error((*q)->store, rc, "cannot be read", err);
	store_query_end(q);
	return result;
}

/* tail is what follows SELECT … FROM table. */
static int next(struct store *store, struct store_query **q, enum table_number number,
		const char *tail, int64_t id, const char *text, void *row, struct err *err)
{
	const struct table *table = &row_tables[number];
	int rc = 0;
	if (!*q) {
		char *sql = row_select_sql(table, tail);
		rc = start(store, q, sql, id, text, err);
		free(sql);
	}
	if (rc == 0)
		rc = step(q, err);
	if (rc == 1)
		row_read(table, (*q)->stmt, row);
	return rc;
}

static bool given(const char *text)
{
	return text && *text;
}

int store_last_campaign(struct store *store, int64_t *id, struct err *err)
{
	struct store_query *q = NULL;
	int rc =
		start(store, &q, "SELECT max(id) FROM campaigns HAVING count(*) > 0", 0, NULL, err);
	if (rc == 0)
		rc = step(&q, err);
	if (rc == 1)
		*id = sqlite3_column_int64(q->stmt, 0);
	else if (rc == 0)
		rc = err_set(err, ERR_MISSING, "%s: holds no campaign yet", store->path);
	store_query_end(&q);
	return rc < 0 ? rc : 0;
}

int store_next_campaign(struct store *store, struct store_query **q, struct campaign_row *row,
			struct err *err)
{
	return next(store, q, TABLE_CAMPAIGN, "ORDER BY id", 0, NULL, row, err);
}

int store_next_target(struct store *store, struct store_query **q, int64_t campaign,
		      struct target_row *row, struct err *err)
{
	const char *tail = campaign ? "WHERE campaign = ?1 ORDER BY id" : "ORDER BY id";
	return next(store, q, TABLE_TARGET, tail, campaign, NULL, row, err);
}

int store_next_coverage(struct store *store, struct store_query **q, int64_t target,
			struct coverage_row *row, struct err *err)
{
	const char *tail = target ? "WHERE target = ?1 ORDER BY rowid" : "ORDER BY rowid";
	return next(store, q, TABLE_COVERAGE, tail, target, NULL, row, err);
}

int store_next_point(struct store *store, struct store_query **q, int64_t target,
		     const char *profile, struct point_row *row, struct err *err)
{
	static const char *const tails[2][2] = {
		{"ORDER BY target, profile, point",
		 "WHERE profile = ?2 ORDER BY target, profile, point"},
		{"WHERE target = ?1 ORDER BY profile, point",
		 "WHERE target = ?1 AND profile = ?2 ORDER BY point"},
	};
	return next(store, q, TABLE_POINT, tails[target != 0][given(profile)], target, profile, row,
		    err);
}

/* A state alone is looked up by way of the targets, whose number is small: the
 * index begins with the target. */
int store_next_outcome(struct store *store, struct store_query **q, int64_t target,
		       const char *state, struct outcome_row *row, struct err *err)
{
	static const char *const tails[2][2] = {
		{"ORDER BY rowid",
		 "WHERE target IN (SELECT id FROM targets) AND state = ?2 ORDER BY rowid"},
		{"WHERE target = ?1 ORDER BY rowid",
		 "WHERE target = ?1 AND state = ?2 ORDER BY rowid"},
	};
	return next(store, q, TABLE_OUTCOME, tails[target != 0][given(state)], target, state, row,
		    err);
}

int store_next_trace(struct store *store, struct store_query **q, uint32_t head,
		     struct trace_row *row, struct err *err)
{
	row->bytes = NULL;
	row->length = 0;
	return next(store, q, TABLE_TRACE, "WHERE identity >> 32 & 4294967295 = ?1 ORDER BY id",
		    head, NULL, row, err);
}

int store_next_verdict(struct store *store, struct store_query **q, int64_t target,
		       const char *verdict, struct outcome_row *row, struct err *err)
{
	/* The first condition is the one of the index. */
	return next(store, q, TABLE_OUTCOME,
		    "WHERE verdict <> 'pass' AND target = ?1 AND verdict = ?2 ORDER BY rowid",
		    target, verdict, row, err);
}

int store_next_window(struct store *store, struct store_query **q, int64_t target,
		      struct window_row *row, struct err *err)
{
	static const char sql[] = "SELECT before, after, count(*), sum(tested), sum(violations)"
				  " FROM points WHERE target = ?1"
				  " GROUP BY before, after ORDER BY min(point), before, after";
	int rc = *q ? 0 : start(store, q, sql, target, NULL, err);
	if (rc == 0)
		rc = step(q, err);
	if (rc != 1)
		return rc;
	sqlite3_stmt *stmt = (*q)->stmt;
	*row = (struct window_row){
		.before = (const char *)sqlite3_column_text(stmt, 0),
		.after = (const char *)sqlite3_column_text(stmt, 1),
		.points = (uint32_t)sqlite3_column_int64(stmt, 2),
		.tested = (uint64_t)sqlite3_column_int64(stmt, 3),
		.violations = (uint64_t)sqlite3_column_int64(stmt, 4),
	};
	return 1;
}

int store_next_fault(struct store *store, struct store_query **q, int64_t target,
		     struct fault_row *row, struct err *err)
{
	const char *tail = target ? "WHERE target = ?1 ORDER BY rowid" : "ORDER BY rowid";
	return next(store, q, TABLE_FAULT, tail, target, NULL, row, err);
}

int store_next_finding(struct store *store, struct store_query **q, int64_t campaign,
		       struct finding_row *row, struct err *err)
{
	const char *tail =
		campaign
			? "WHERE target IN (SELECT id FROM targets WHERE campaign = ?1) ORDER BY id"
			: "ORDER BY id";
	return next(store, q, TABLE_FINDING, tail, campaign, NULL, row, err);
}

int store_next_witness(struct store *store, struct store_query **q, int64_t finding,
		       struct witness_row *row, struct err *err)
{
	const char *tail = finding ? "WHERE finding = ?1 ORDER BY rowid" : "ORDER BY rowid";
	return next(store, q, TABLE_WITNESS, tail, finding, NULL, row, err);
}

/* One row by its id.  Its texts are copied: a statement that stays at a row
 * would hold a lock. */
static int get(struct store *store, enum table_number number, int64_t id, void *row,
	       struct err *err)
{
	const struct table *table = &row_tables[number];
	char *sql = row_select_sql(table, "WHERE id = ?1");
	int rc = store_prepare(store, sql, &store->get[number], err);
	free(sql);
	if (rc)
		return rc;
	sqlite3_stmt *stmt = store->get[number];
	sqlite3_bind_int64(stmt, 1, id);
	int step_rc = sqlite3_step(stmt);
	if (step_rc == SQLITE_ROW) {
		row_read(table, stmt, row);
		row_keep(table, row, &store->got[number]);
	} else if (step_rc == SQLITE_DONE) {
		rc = err_set(err, ERR_MISSING, "%s: no row %lld in %s", store->path, (long long)id,
			     table->name);
	} else {
		rc = store_sqlite_error(store, step_rc, "cannot be read", err);
	}
	sqlite3_reset(stmt);
	return rc;
}

int store_get_campaign(struct store *store, int64_t id, struct campaign_row *row, struct err *err)
{
	return get(store, TABLE_CAMPAIGN, id, row, err);
}

int store_get_target(struct store *store, int64_t id, struct target_row *row, struct err *err)
{
	return get(store, TABLE_TARGET, id, row, err);
}

int store_get_finding(struct store *store, int64_t id, struct finding_row *row, struct err *err)
{
	return get(store, TABLE_FINDING, id, row, err);
}

int store_get_trace(struct store *store, int64_t id, struct buf *out, struct err *err)
{
	struct store_query *q = NULL;
	int rc = start(store, &q, "SELECT bytes FROM traces WHERE id = ?1", id, NULL, err);
	if (rc == 0)
		rc = step(&q, err);
	if (rc == 0)
		return err_set(err, ERR_MISSING, "%s: no trace %lld", store->path, (long long)id);
	if (rc < 0)
		return rc;
	const void *bytes = sqlite3_column_blob(q->stmt, 0);
	buf_append(out, bytes, (size_t)sqlite3_column_bytes(q->stmt, 0));
	store_query_end(&q);
	return 0;
}
