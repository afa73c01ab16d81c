#include "row.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

/* The type of a field follows from that of its member; the two that share a C
 * type with another say which they are. */
#define FIELD_AS(row, member, type)                                                                \
	{                                                                                          \
#member, type, offsetof(struct row, member)                                        \
	}
#define FIELD(row, member)                                                                         \
	FIELD_AS(row, member,                                                                      \
		 _Generic(((struct row *)0)->member,                                               \
			 const char *: FIELD_TEXT,                                                 \
			 int64_t: FIELD_I64,                                                       \
			 int: FIELD_INT,                                                           \
			 uint32_t: FIELD_U32,                                                      \
			 uint64_t: FIELD_COUNT,                                                    \
			 bool: FIELD_BOOL))
#define FIELD_ID_OF(row)	   FIELD_AS(row, id, FIELD_ID)
#define FIELD_REF_OF(row, member)  FIELD_AS(row, member, FIELD_REF)
#define FIELD_BITS_OF(row, member) FIELD_AS(row, member, FIELD_BITS)

/* A line a field. */
/* clang-format off */

static const struct field campaign_fields[] = {
	FIELD_ID_OF(campaign_row),
	FIELD(campaign_row, version),
	FIELD(campaign_row, command),
	FIELD(campaign_row, started),
	FIELD(campaign_row, finished),
	FIELD(campaign_row, system),
	FIELD_BITS_OF(campaign_row, seed),
	FIELD(campaign_row, jobs),
	FIELD(campaign_row, exit_code),
};

static const struct field trace_fields[] = {
	FIELD_ID_OF(trace_row),
	FIELD_BITS_OF(trace_row, identity),
	FIELD(trace_row, parent),
	FIELD(trace_row, first_event),
};

static const struct field target_fields[] = {
	FIELD_ID_OF(target_row),
	FIELD_REF_OF(target_row, campaign),
	FIELD_REF_OF(target_row, trace),
	FIELD(target_row, name),
	FIELD(target_row, engine),
	FIELD(target_row, options),
	FIELD(target_row, workload),
	FIELD(target_row, contract),
	FIELD(target_row, expected),
	FIELD_BITS_OF(target_row, seed),
	FIELD(target_row, calls),
	FIELD(target_row, operations),
	FIELD(target_row, changes),
	FIELD(target_row, micros),
	FIELD(target_row, points),
	FIELD(target_row, inconclusive),
};

static const struct field coverage_fields[] = {
	FIELD_REF_OF(coverage_row, target),
	FIELD(coverage_row, profile),
	FIELD(coverage_row, points),
	FIELD(coverage_row, possible),
	FIELD(coverage_row, exact),
	FIELD(coverage_row, tested),
	FIELD(coverage_row, merged),
	FIELD(coverage_row, left_out),
	FIELD(coverage_row, recovered),
	FIELD(coverage_row, violations),
	FIELD(coverage_row, inconclusive),
	FIELD(coverage_row, loss),
	FIELD(coverage_row, recoverable),
	FIELD(coverage_row, again),
	FIELD(coverage_row, nested),
	FIELD(coverage_row, nested_left_out),
};

static const struct field point_fields[] = {
	FIELD_REF_OF(point_row, target),
	FIELD(point_row, profile),
	FIELD(point_row, point),
	FIELD(point_row, event),
	FIELD(point_row, before),
	FIELD(point_row, after),
	FIELD(point_row, possible),
	FIELD(point_row, exact),
	FIELD(point_row, tested),
	FIELD(point_row, merged),
	FIELD(point_row, left_out),
	FIELD(point_row, violations),
};

static const struct field outcome_fields[] = {
	FIELD_REF_OF(outcome_row, target),
	FIELD(outcome_row, profile),
	FIELD(outcome_row, state),
	FIELD(outcome_row, point),
	FIELD_BITS_OF(outcome_row, digest_lo),
	FIELD_BITS_OF(outcome_row, digest_hi),
	FIELD(outcome_row, verdict),
	FIELD(outcome_row, rules),
	FIELD(outcome_row, begun),
	FIELD(outcome_row, acked),
	FIELD(outcome_row, durable),
	FIELD(outcome_row, prefix),
	FIELD(outcome_row, loss),
	FIELD(outcome_row, text),
	FIELD(outcome_row, live),
};

static const struct field fault_fields[] = {
	FIELD_REF_OF(fault_row, target),
	FIELD(fault_row, name),
	FIELD(fault_row, passages),
	FIELD(fault_row, recoveries),
	FIELD(fault_row, crashes),
	FIELD(fault_row, reachable),
};

static const struct field finding_fields[] = {
	FIELD_ID_OF(finding_row),
	FIELD_REF_OF(finding_row, target),
	FIELD(finding_row, fingerprint),
	FIELD(finding_row, rule),
	FIELD(finding_row, rules),
	FIELD(finding_row, title),
	FIELD(finding_row, cause),
	FIELD(finding_row, source),
	FIELD(finding_row, before),
	FIELD(finding_row, after),
	FIELD(finding_row, profiles),
	FIELD(finding_row, minimal),
	FIELD(finding_row, state),
	FIELD(finding_row, explanation),
	FIELD(finding_row, states),
	FIELD(finding_row, found_after),
	FIELD(finding_row, expected),
};

static const struct field witness_fields[] = {
	FIELD_REF_OF(witness_row, finding),
	FIELD(witness_row, file_system),
	FIELD(witness_row, kernel),
	FIELD(witness_row, options),
	FIELD(witness_row, made),
	FIELD_BITS_OF(witness_row, seed),
	FIELD(witness_row, states),
	FIELD(witness_row, variants),
	FIELD(witness_row, outcome),
	FIELD(witness_row, variant),
	FIELD(witness_row, blocks),
	FIELD(witness_row, text),
};

/* clang-format on */

#define TABLE(name, fields)                                                                        \
	{                                                                                          \
		name, fields, sizeof(fields) / sizeof *(fields), NULL                              \
	}

const struct table row_tables[TABLES_COUNT] = {
	[TABLE_CAMPAIGN] = TABLE("campaigns", campaign_fields),
	[TABLE_TRACE] = TABLE("traces", trace_fields),
	[TABLE_TARGET] = TABLE("targets", target_fields),
	[TABLE_COVERAGE] = TABLE("coverage", coverage_fields),
	[TABLE_POINT] = TABLE("points", point_fields),
	[TABLE_OUTCOME] = TABLE("outcomes", outcome_fields),
	[TABLE_FAULT] = TABLE("faults", fault_fields),
	[TABLE_FINDING] = TABLE("findings", finding_fields),
	[TABLE_WITNESS] = {"witnesses", witness_fields,
			   sizeof witness_fields / sizeof *witness_fields, "finding, file_system"},
};

static void column_list(const struct table *table, bool with_id, struct buf *sql)
{
	const char *separator = "";
	for (size_t i = 0; i < table->n; i++) {
		if (table->fields[i].type == FIELD_ID && !with_id)
			continue;
		buf_printf(sql, "%s\"%s\"", separator, table->fields[i].name);
		separator = ",";
	}
}

/* All columns of the earlier row become the new one's; its place stays. */
static void replace_clause(const struct table *table, struct buf *sql)
{
	buf_printf(sql, " ON CONFLICT(%s) DO UPDATE SET ", table->key);
	for (size_t i = 0; i < table->n; i++)
		buf_printf(sql, "%s\"%s\"=excluded.\"%s\"", i ? "," : "", table->fields[i].name,
			   table->fields[i].name);
}

char *row_insert_sql(const struct table *table)
{
	struct buf sql = {0};
	buf_printf(&sql, "INSERT INTO \"%s\"(", table->name);
	column_list(table, false, &sql);
	buf_string(&sql, ") VALUES(");
	const char *separator = "";
	for (size_t i = 0; i < table->n; i++) {
		if (table->fields[i].type == FIELD_ID)
			continue;
		buf_printf(&sql, "%s?", separator);
		separator = ",";
	}
	buf_string(&sql, ")");
	if (table->key)
		replace_clause(table, &sql);
	buf_text(&sql);
	return sql.data;
}

char *row_select_sql(const struct table *table, const char *tail)
{
	struct buf sql = {0};
	buf_string(&sql, "SELECT ");
	column_list(table, true, &sql);
	buf_printf(&sql, " FROM \"%s\" %s", table->name, tail);
	buf_text(&sql);
	return sql.data;
}

static int bind_text(sqlite3_stmt *stmt, int parameter, const char *text, size_t *bytes)
{
	size_t length = text ? strlen(text) : 0;
	*bytes += length;
	return sqlite3_bind_text64(stmt, parameter, text ? text : "", length, SQLITE_STATIC,
				   SQLITE_UTF8);
}

/* The value of a field that is not a text. */
static int64_t number(const struct field *field, const void *p)
{
	switch (field->type) {
	case FIELD_ID:
	case FIELD_REF:
	case FIELD_I64:
		return *(const int64_t *)p;
	case FIELD_INT:
		return *(const int *)p;
	case FIELD_U32:
		return *(const uint32_t *)p;
	case FIELD_BOOL:
		return *(const bool *)p;
	case FIELD_COUNT:
		return *(const uint64_t *)p > INT64_MAX ? INT64_MAX : *(const int64_t *)p;
	case FIELD_BITS:
		return (int64_t) * (const uint64_t *)p;
	case FIELD_TEXT:
		break;
	}
	abort();
}

int row_bind(const struct table *table, const void *row, sqlite3_stmt *stmt, size_t *bytes)
{
	int rc = SQLITE_OK, parameter = 1;
	for (size_t i = 0; i < table->n && rc == SQLITE_OK; i++) {
		const struct field *field = &table->fields[i];
		const void *p = (const char *)row + field->offset;
		if (field->type == FIELD_ID)
			continue;
		if (field->type == FIELD_TEXT)
			rc = bind_text(stmt, parameter, *(const char *const *)p, bytes);
		else if (field->type == FIELD_REF && *(const int64_t *)p == 0)
			rc = sqlite3_bind_null(stmt, parameter);
		else
			rc = sqlite3_bind_int64(stmt, parameter, number(field, p));
		*bytes += 4;
		parameter++;
	}
	return rc;
}

/* A file may have been edited by hand: a number that does not fit its field
 * becomes the nearest one that does. */
static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

static void read_field(const struct field *field, sqlite3_stmt *stmt, int column, void *p)
{
	int64_t v = field->type == FIELD_TEXT ? 0 : sqlite3_column_int64(stmt, column);
	switch (field->type) {
	case FIELD_ID:
	case FIELD_REF:
	case FIELD_I64:
		*(int64_t *)p = v;
		break;
	case FIELD_INT:
		*(int *)p = (int)clamp(v, INT32_MIN, INT32_MAX);
		break;
	case FIELD_U32:
		*(uint32_t *)p = (uint32_t)clamp(v, 0, UINT32_MAX);
		break;
	case FIELD_BOOL:
		*(bool *)p = v != 0;
		break;
	case FIELD_COUNT:
		*(uint64_t *)p = (uint64_t)clamp(v, 0, INT64_MAX);
		break;
	case FIELD_BITS:
		*(uint64_t *)p = (uint64_t)v;
		break;
	case FIELD_TEXT: {
		const void *text = sqlite3_column_text(stmt, column);
		*(const char **)p = text ? text : "";
		break;
	}
	}
}

void row_read(const struct table *table, sqlite3_stmt *stmt, void *row)
{
	for (size_t i = 0; i < table->n; i++)
		read_field(&table->fields[i], stmt, (int)i, (char *)row + table->fields[i].offset);
}

void row_keep(const struct table *table, void *row, struct buf *buf)
{
	buf_clear(buf);
	for (size_t i = 0; i < table->n; i++) {
		if (table->fields[i].type != FIELD_TEXT)
			continue;
		const char *text = *(const char **)((char *)row + table->fields[i].offset);
		buf_append(buf, text, strlen(text) + 1);
	}
	const char *at = buf->data; /* which no longer moves */
	for (size_t i = 0; i < table->n; i++) {
		if (table->fields[i].type != FIELD_TEXT)
			continue;
		*(const char **)((char *)row + table->fields[i].offset) = at;
		at += strlen(at) + 1;
	}
}
