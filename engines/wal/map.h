/* The index in memory: a chained hash table from keys to values. */
#ifndef POWERCUT_WAL_MAP_H
#define POWERCUT_WAL_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

struct map_entry {
	struct map_entry *next;
	uint32_t hash;
	size_t key_length, value_length;
	char bytes[]; /* the key, then the value */
};

/* A zeroed struct map is an empty one. */
struct map {
	struct map_entry **slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n;
};

void map_clear(struct map *map);

/* Sets a copy of value under a copy of key.  0, or -1 where memory ran out and
 * the map is as before. */
int map_put(struct map *map, struct engine_bytes key, struct engine_bytes value);
void map_delete(struct map *map, struct engine_bytes key);

/* The entry of a key, or NULL. */
const struct map_entry *map_find(const struct map *map, struct engine_bytes key);

/* Walks all entries, in no particular order; the map must not change meanwhile.
 * Start with a zeroed cursor; NULL at the end. */
struct map_cursor {
	size_t slot;
	const struct map_entry *at;
};
const struct map_entry *map_next(const struct map *map, struct map_cursor *cursor);

struct engine_bytes map_key(const struct map_entry *entry);
struct engine_bytes map_value(const struct map_entry *entry);

#endif
