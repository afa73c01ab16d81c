/* Which columns a row struct has: one table of fields for each, from which
 * inserting and reading follow.  A column is named like the struct's member. */
#ifndef POWERCUT_STORE_ROW_H
#define POWERCUT_STORE_ROW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum field_type {
	FIELD_ID,    /* int64_t, given by SQLite */
	FIELD_REF,   /* int64_t, the id of another row; 0 is written as NULL */
	FIELD_I64,   /* int64_t */
	FIELD_INT,   /* int */
	FIELD_U32,   /* uint32_t */
	FIELD_BOOL,  /* bool */
	FIELD_COUNT, /* uint64_t, saturating at INT64_MAX */
	FIELD_BITS,  /* uint64_t, as two's complement */
	FIELD_TEXT,  /* const char *; NULL is written as "" */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset; /* in the row struct */
};

enum table_number {
	TABLE_CAMPAIGN,
	TABLE_TRACE, /* without its bytes */
	TABLE_TARGET,
	TABLE_COVERAGE,
	TABLE_POINT,
	TABLE_OUTCOME,
	TABLE_FAULT,
	TABLE_FINDING,
	TABLE_WITNESS,
	TABLES_COUNT
};

struct table {
	const char *name; /* in SQL */
	const struct field *fields;
	size_t n;
	const char *key; /* unique columns, if a row takes the place of an earlier one with the
			    same; else NULL */
};

extern const struct table row_tables[TABLES_COUNT];

/* "INSERT INTO …" with a parameter for each field but the id, in their order;
 * "SELECT … FROM …" of all fields, followed by tail.  Caller frees. */
char *row_insert_sql(const struct table *table);
char *row_select_sql(const struct table *table, const char *tail);

/* Binds a row's fields, without copying: the row must stay until the statement
 * has run.  *bytes is raised by about what the row takes in the file. */
int row_bind(const struct table *table, const void *row, sqlite3_stmt *stmt, size_t *bytes);

/* Fills a row from the columns; texts are the statement's. */
void row_read(const struct table *table, sqlite3_stmt *stmt, void *row);

/* Copies a row's texts to buf, which is emptied first, and points the row there. */
void row_keep(const struct table *table, void *row, struct buf *buf);

#endif
