/* The newest changes in memory, one for each key, sorted by key: a skip list. */
#ifndef POWERCUT_LSM_MEMTABLE_H
#define POWERCUT_LSM_MEMTABLE_H

#include "entry.h"

enum { MEMTABLE_HEIGHT = 16 };

struct memtable_node;

/* Zeroed is empty. */
struct memtable {
	struct memtable_node *first[MEMTABLE_HEIGHT]; /* of each level */
	size_t n;				      /* keys */
};

void memtable_clear(struct memtable *memtable);

/* Takes a copy of an entry, in place of the one that its key had.  0, or -1
 * where memory ran out and nothing changed. */
int memtable_set(struct memtable *memtable, const struct entry *entry);

/* The entry of a key, which may be a tombstone; NULL: it has none. */
const struct entry *memtable_find(const struct memtable *memtable, struct engine_bytes key);

/* Walks all entries by rising keys; the memtable must not change meanwhile.
 * Start with a zeroed cursor; NULL at the end. */
struct memtable_cursor {
	const struct memtable_node *at;
};
const struct entry *memtable_next(const struct memtable *memtable, struct memtable_cursor *cursor);

#endif
