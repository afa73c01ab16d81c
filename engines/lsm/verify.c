/* The store's check of itself: what is on disk, read again, against what is in
 * memory. */
#include <stdlib.h>
#include <string.h>

#include "lsm.h"
#include "merge.h"

static bool same_bytes(struct engine_bytes a, struct engine_bytes b)
{
	return a.length == b.length && (!a.length || !memcmp(a.data, b.data, a.length));
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
	return a->sequence == b->sequence && a->del == b->del && same_bytes(a->key, b->key) &&
	       same_bytes(a->value, b->value);
}

static bool same_memtable(const struct memtable *a, const struct memtable *b)
{
	struct memtable_cursor in_a = {0}, in_b = {0};
	const struct entry *x, *y;
	do {
		x = memtable_next(a, &in_a);
		y = memtable_next(b, &in_b);
	} while (x && y && same_entry(x, y));
	return !x && !y;
}

static int check_tables(const struct lsm *lsm, struct engine_error *error)
{
	uint64_t last = 0;
	for (size_t i = 0; i < lsm->n_tables; i++) {
		const struct table *table = lsm->tables[i];
		if (table_verify(table, error) < 0)
			return -1;
		if (!lsm->hardened)
			continue;
		if (table->sequence_min <= last || table->sequence_max > lsm->flushed)
			return engine_fail(error, "verify: %s is not behind the tables before it",
					   table->name.text);
		last = table->sequence_max;
	}
	return 0;
}

static int check_log(const struct lsm *lsm, struct engine_error *error)
{
	struct memtable memtable = {0};
	struct replay replay = {.sequence = lsm->hardened ? lsm->flushed : 0};
	int rc = lsm_log_replay(lsm->dir, lsm->log.number, &lsm->log.name, lsm->hardened, &memtable,
				&replay, error);
	if (!rc && (replay.end != lsm->log.size || replay.size != lsm->log.size))
		rc = engine_fail(error, "verify: %s does not end where it should",
				 lsm->log.name.text);
	if (!rc && !same_memtable(&memtable, &lsm->memtable))
		rc = engine_fail(error, "verify: %s and the memtable differ", lsm->log.name.text);
	memtable_clear(&memtable);
	return rc;
}

static bool same_version(const struct version *a, const struct version *b)
{
	return a->sequence == b->sequence && a->log == b->log && a->tables.n == b->tables.n &&
	       (!a->tables.n ||
		!memcmp(a->tables.at, b->tables.at, a->tables.n * sizeof *a->tables.at));
}

static int check_manifest(const struct lsm *lsm, struct engine_error *error)
{
	struct version expected, found = {0};
	int rc = lsm_version(lsm, lsm->log.number, &expected, error);
	if (!rc)
		rc = manifest_load(lsm->dir, &found, error);
	if (!rc && !same_version(&expected, &found))
		rc = engine_fail(error, "verify: the MANIFEST has another version");
	free(expected.tables.at);
	free(found.tables.at);
	return rc;
}

/* Whether looking a key up stops at the same entry as a merge of everything. */
static int check_lookup(struct lsm *lsm, const struct entry *newest, struct engine_error *error)
{
	struct entry entry;
	int rc = lsm_find(lsm, newest->key, &entry, error);
	if (rc < 0)
		return -1;
	if (!rc || !same_entry(newest, &entry))
		return engine_fail(error, "verify: a key is not found as its newest entry says");
	return 0;
}

static int check_lookups(struct lsm *lsm, struct engine_error *error)
{
	struct merge merge;
	struct entry entry;
	int rc = merge_init(&merge, &lsm->memtable, lsm->tables, lsm->n_tables, error);
	while (!rc && (rc = merge_next(&merge, &entry, error)) > 0)
		rc = check_lookup(lsm, &entry, error);
	merge_finish(&merge);
	return rc;
}

int lsm_verify(struct lsm *lsm, struct engine_error *error)
{
	if (check_tables(lsm, error) < 0 || check_log(lsm, error) < 0 ||
	    check_lookups(lsm, error) < 0)
		return -1;
	return lsm->hardened ? check_manifest(lsm, error) : 0;
}
