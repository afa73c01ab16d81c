/* Compacting: tables that are next to each other in age become one.
 *
 * Which ones: from some table on, compact_at tables towards the older ones, of
 * which none is larger than twice all newer ones of them together; the newest that
 * are such.  Tables that are left grow so fast with their age that there are few.
 *
 * Only neighbours are merged, so that the tables keep disjoint ranges of sequence numbers
 * (L4), and what is older than a tombstone is in the tables before its own.  A
 * tombstone goes when no table before those that are merged has its key
 * within its own keys.
 *
 * Hardened: the table is written, synced and renamed, the directory synced, a
 * version committed that has it in place of its inputs, and then these go.
 *
 * Textbook: the table is written, then its inputs go, from the oldest: a
 * tombstone stays for as long as what it hides. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "lsm.h"
#include "merge.h"

/* Tables lsm->tables[first .. first + n]. */
struct span {
	size_t first, n;
};

/* One table out of those of the span; NULL where nothing is left of them. */
static int merge_tables(struct lsm *lsm, struct span span, struct table **table,
			struct engine_error *error)
{
	struct merge merge;
	*table = NULL;
	int rc = merge_init(&merge, NULL, lsm->tables + span.first, span.n, error);
	merge.drops = true;
	merge.older = lsm->tables;
	merge.n_older = MUTANT("lsm/drop-tombstone") ? 0 : span.first;
	if (!rc)
		rc = lsm_write_table(lsm, &merge, table, error);
	merge_finish(&merge);
	if (rc < 0 || !*table || !lsm->hardened)
		return rc;
	if (directory_sync(lsm->dir, error) < 0)
		return -1;
	FAULT_POINT("lsm/compact/dirsynced");
	return 0;
}

/* Puts the table, if there is one, in place of those of the span. */
static void splice(struct lsm *lsm, struct span span, struct table *table)
{
	size_t behind = span.first + span.n, kept = table ? 1 : 0;
	if (table)
		lsm->tables[span.first] = table;
	memmove(lsm->tables + span.first + kept, lsm->tables + behind,
		(lsm->n_tables - behind) * sizeof(struct table *));
	lsm->n_tables -= span.n - kept;
}

static int remove_inputs(struct lsm *lsm, struct table *const *inputs, size_t n,
			 struct engine_error *error)
{
	for (size_t i = 0; i < n; i++) {
		if (file_unlink(lsm->dir, &inputs[i]->name, error) < 0)
			return -1;
		FAULT_POINT("lsm/compact/input-removed");
	}
	return 0;
}

/* Ends a compaction: the tables are those of the store already, the inputs no
 * longer. */
static int settle(struct lsm *lsm, struct table *const *inputs, size_t n,
		  struct engine_error *error)
{
	bool early = MUTANT("lsm/unlink-inputs-first");
	if (early && remove_inputs(lsm, inputs, n, error) < 0)
		return -1;
	if (lsm->hardened && lsm_commit(lsm, lsm->log.number, error) < 0)
		return -1;
	return early ? 0 : remove_inputs(lsm, inputs, n, error);
}

static int compact(struct lsm *lsm, struct span span, struct engine_error *error)
{
	struct table *table, **inputs = malloc(span.n * sizeof(struct table *));
	if (!inputs)
		return engine_fail(error, "out of memory for a compaction");
	FAULT_POINT("lsm/compact/begin");
	int rc = merge_tables(lsm, span, &table, error);
	if (rc < 0) {
		table_close(table);
		goto done;
	}
	memcpy(inputs, lsm->tables + span.first, span.n * sizeof(struct table *));
	splice(lsm, span, table);
	rc = settle(lsm, inputs, span.n, error);
	for (size_t i = 0; i < span.n; i++)
		table_close(inputs[i]);
done:
	free(inputs);
	return rc;
}

/* How many tables before `end` are alike, at most compact_at. */
static size_t alike(const struct lsm *lsm, size_t end)
{
	uint64_t sum = 0;
	size_t n = 0;
	for (; n < end && n < lsm->compact_at; n++) {
		uint64_t bytes = lsm->tables[end - 1 - n]->bytes;
		if (n && bytes > 2 * sum)
			break;
		sum += bytes;
	}
	return n;
}

static bool choose(const struct lsm *lsm, struct span *span)
{
	for (size_t end = lsm->n_tables; end >= lsm->compact_at; end--) {
		if (alike(lsm, end) == lsm->compact_at) {
			*span = (struct span){end - lsm->compact_at, lsm->compact_at};
			return true;
		}
	}
	return false;
}

int lsm_compact_some(struct lsm *lsm, struct engine_error *error)
{
	struct span span;
	while (choose(lsm, &span))
		if (compact(lsm, span, error) < 0)
			return -1;
	return 0;
}

int lsm_compact_all(struct lsm *lsm, struct engine_error *error)
{
	if (lsm->memtable.n && lsm_flush(lsm, error) < 0)
		return -1;
	if (!lsm->n_tables)
		return 0;
	return compact(lsm, (struct span){0, lsm->n_tables}, error);
}
