#include "map.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"

enum { SLOTS_MIN = 64 };

struct engine_bytes map_key(const struct map_entry *entry)
{
	return (struct engine_bytes){entry->bytes, entry->key_length};
}

struct engine_bytes map_value(const struct map_entry *entry)
{
	return (struct engine_bytes){entry->bytes + entry->key_length, entry->value_length};
}

void map_clear(struct map *map)
{
	for (size_t i = 0; i < map->n_slots; i++) {
		struct map_entry *next;
		for (struct map_entry *e = map->slots[i]; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(map->slots);
	*map = (struct map){0};
}

/* The link that points to the entry of key, or to NULL where it would go.  The
 * table must have slots. */
static struct map_entry **find_link(const struct map *map, struct engine_bytes key, uint32_t hash)
{
	struct map_entry **link = &map->slots[hash & (map->n_slots - 1)];
	while (*link && ((*link)->hash != hash || (*link)->key_length != key.length ||
			 (key.length && memcmp((*link)->bytes, key.data, key.length))))
		link = &(*link)->next;
	return link;
}

static int grow(struct map *map)
{
	size_t n = map->n_slots ? map->n_slots * 2 : SLOTS_MIN;
	struct map_entry **slots = calloc(n, sizeof *slots);
	if (!slots)
		return -1;
	for (size_t i = 0; i < map->n_slots; i++) {
		struct map_entry *next;
		for (struct map_entry *e = map->slots[i]; e; e = next) {
			next = e->next;
			e->next = slots[e->hash & (n - 1)];
			slots[e->hash & (n - 1)] = e;
		}
	}
	free(map->slots);
	map->slots = slots;
	map->n_slots = n;
	return 0;
}

int map_put(struct map *map, struct engine_bytes key, struct engine_bytes value)
{
	if (map->n >= map->n_slots && grow(map) < 0)
		return -1;
	struct map_entry *entry = malloc(sizeof *entry + key.length + value.length);
	if (!entry)
		return -1;
	entry->hash = io_crc32c(0, key.data, key.length);
	entry->key_length = key.length;
	entry->value_length = value.length;
	if (key.length)
		memcpy(entry->bytes, key.data, key.length);
	if (value.length)
		memcpy(entry->bytes + key.length, value.data, value.length);
	struct map_entry **link = find_link(map, key, entry->hash), *old = *link;
	entry->next = old ? old->next : NULL;
	*link = entry;
	map->n += !old;
	free(old);
	return 0;
}

void map_delete(struct map *map, struct engine_bytes key)
{
	if (!map->n)
		return;
	struct map_entry **link = find_link(map, key, io_crc32c(0, key.data, key.length));
	struct map_entry *old = *link;
	if (!old)
		return;
	*link = old->next;
	map->n--;
	free(old);
}

const struct map_entry *map_find(const struct map *map, struct engine_bytes key)
{
	return map->n ? *find_link(map, key, io_crc32c(0, key.data, key.length)) : NULL;
}

const struct map_entry *map_next(const struct map *map, struct map_cursor *cursor)
{
	if (cursor->at)
		cursor->at = cursor->at->next;
	while (!cursor->at && cursor->slot < map->n_slots)
		cursor->at = map->slots[cursor->slot++];
	return cursor->at;
}
