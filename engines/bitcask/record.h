/* Records: the only thing that a data file holds, one behind the other.
 *
 *   crc           u32   crc32c of everything behind it
 *   timestamp     u64   when it was written, by the store's own clock: 1 for the
 *                       first record, one more for each after it
 *   key length    u32
 *   value length  u32   or RECORD_TOMBSTONE: the key was deleted, no value
 *   key
 *   value
 *
 * Integers are little-endian.  A merge copies records as they are: a record
 * keeps its timestamp wherever it goes. */
#ifndef POWERCUT_BITCASK_RECORD_H
#define POWERCUT_BITCASK_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "engine.h"

enum {
	RECORD_HEADER = 20,		     /* bytes before the key */
	RECORD_KEY_MAX = 65535,		     /* bytes */
	RECORD_VALUE_MAX = 64 * 1024 * 1024, /* bytes */
};

#define RECORD_TOMBSTONE     UINT32_MAX
#define RECORD_TIMESTAMP_MAX ((uint64_t)INT64_MAX)

/* What is known of a record without its value. */
struct record {
	uint64_t timestamp;
	struct engine_bytes key;
	uint32_t value_length; /* bytes, or RECORD_TOMBSTONE */
};

static inline size_t record_bytes(size_t key_length, uint32_t value_length)
{
	return RECORD_HEADER + key_length + (value_length == RECORD_TOMBSTONE ? 0 : value_length);
}

/* Whether the fields have values that a record can have. */
bool bitcask_record_plausible(uint64_t timestamp, uint64_t key_length, uint32_t value_length);

/* Appends a record; value must have record->value_length bytes.  0, or -1 where
 * memory ran out and nothing changed. */
int bitcask_record_append(struct bytes_buffer *buffer, const struct record *record,
			  const void *value);

/* The length of the record at p, of which n bytes can be read, the record, whose
 * key points into p, and where its value begins; 0 where there is no valid one. */
size_t bitcask_record_decode(const uint8_t *p, size_t n, struct record *record,
			     const uint8_t **value);

#endif
