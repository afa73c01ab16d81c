/* Entries: changes of one key, as the log and the tables hold them.
 *
 *   sequence      u64   its number, from 1; of two changes of a key the one with
 *                       the higher number counts
 *   type          u8    1: a value, 2: a tombstone (the key was deleted)
 *   key length    u32
 *   value length  u32   0 in a tombstone
 *   key
 *   value
 *
 * Integers are little-endian. */
#ifndef POWERCUT_LSM_ENTRY_H
#define POWERCUT_LSM_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "engine.h"

enum {
	ENTRY_OVERHEAD = 17,		    /* bytes beside key and value */
	ENTRY_KEY_MAX = 65535,		    /* bytes */
	ENTRY_VALUE_MAX = 64 * 1024 * 1024, /* bytes */
};

struct entry {
	struct engine_bytes key, value;
	uint64_t sequence;
	bool del;
};

/* Bytes of an entry. */
static inline size_t entry_bytes(const struct entry *entry)
{
	return ENTRY_OVERHEAD + entry->key.length + entry->value.length;
}

/* Appends an entry.  0, or -1 where memory ran out and nothing changed. */
int entry_append(struct bytes_buffer *buffer, const struct entry *entry);

/* The length of the entry at p, of which n bytes can be read, and the entry,
 * whose key and value point into p; 0 where there is none. */
size_t entry_decode(const uint8_t *p, size_t n, struct entry *entry);

/* Below, at or above 0, as a is before, the same as or behind b: by bytes, and a
 * key before those that it begins. */
int entry_compare_keys(struct engine_bytes a, struct engine_bytes b);

/* The crc32c of n bytes which begin at an offset of a numbered file.  It covers
 * file and offset as well: what was written for another place does not pass. */
uint32_t entry_seal(uint32_t file, uint64_t offset, const void *p, size_t n);

#endif
