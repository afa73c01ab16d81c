#include "entry.h"

#include <string.h>

#include "io.h"

enum { TYPE_VALUE = 1, TYPE_TOMBSTONE = 2 };

int entry_append(struct bytes_buffer *buffer, const struct entry *entry)
{
	uint8_t head[ENTRY_OVERHEAD];
	if (bytes_reserve(buffer, entry_bytes(entry)) < 0)
		return -1;
	store_le(head, entry->sequence, 8);
	head[8] = entry->del ? TYPE_TOMBSTONE : TYPE_VALUE;
	store_le(head + 9, entry->key.length, 4);
	store_le(head + 13, entry->value.length, 4);
	bytes_append(buffer, head, sizeof head);
	bytes_append(buffer, entry->key.data, entry->key.length);
	return bytes_append(buffer, entry->value.data, entry->value.length);
}

size_t entry_decode(const uint8_t *p, size_t n, struct entry *entry)
{
	if (n < ENTRY_OVERHEAD)
		return 0;
	size_t key = load_le(p + 9, 4), value = load_le(p + 13, 4);
	if (key > ENTRY_KEY_MAX || value > ENTRY_VALUE_MAX || key + value > n - ENTRY_OVERHEAD)
		return 0;
	if (p[8] != TYPE_VALUE && (p[8] != TYPE_TOMBSTONE || value))
		return 0;
	entry->sequence = load_le(p, 8);
	entry->del = p[8] == TYPE_TOMBSTONE;
	entry->key = (struct engine_bytes){p + ENTRY_OVERHEAD, key};
	entry->value = (struct engine_bytes){p + ENTRY_OVERHEAD + key, value};
	return ENTRY_OVERHEAD + key + value;
}

int entry_compare_keys(struct engine_bytes a, struct engine_bytes b)
{
	size_t n = a.length < b.length ? a.length : b.length;
	int order = n ? memcmp(a.data, b.data, n) : 0;
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

uint32_t entry_seal(uint32_t file, uint64_t offset, const void *p, size_t n)
{
	uint8_t place[12];
	store_le(place, file, 4);
	store_le(place + 4, offset, 8);
	return io_crc32c(io_crc32c(0, place, sizeof place), p, n);
}
