/* Merging a memtable and tables: the newest entry of each key, by rising keys. */
#ifndef POWERCUT_LSM_MERGE_H
#define POWERCUT_LSM_MERGE_H

#include "memtable.h"
#include "table.h"

struct merge_source {
	struct memtable_cursor memory; /* used where cursor.table is NULL */
	struct table_cursor cursor;
	struct entry entry; /* the one in hand */
	bool ended;
	bool taken; /* the one in hand was merged: go on to the next */
};

struct merge {
	const struct memtable *memtable; /* NULL: none */
	struct merge_source *sources;
	size_t n;

	/* Set after merge_init to leave out tombstones, but for those that lie
	 * within the keys of one of n_older tables. */
	bool drops;
	struct table *const *older;
	size_t n_older;
};

/* Begins to merge; neither the memtable nor the tables may change meanwhile.
 * To be released with merge_finish, also on failure.  0, or -1 with a text in
 * error. */
int merge_init(struct merge *merge, const struct memtable *memtable, struct table *const *tables,
	       size_t n, struct engine_error *error);
void merge_finish(struct merge *merge);

/* 1 and an entry, valid until the next call; 0 at the end; or -1. */
int merge_next(struct merge *merge, struct entry *entry, struct engine_error *error);

#endif
