/* Hints: what the keydir needs of a merged data file, without its values.
 *
 *   crc           u32   crc32c of everything behind it; textbook: 0
 *   data bytes    u64   size of the data file that it describes
 *
 * and for each record of the data file, in its order:
 *
 *   timestamp     u64
 *   key length    u32
 *   value length  u32   or RECORD_TOMBSTONE
 *   key
 *
 * The records lie one behind the other, so that their lengths tell where each
 * begins. */
#ifndef POWERCUT_BITCASK_HINT_H
#define POWERCUT_BITCASK_HINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

/* Begins a hint in an empty buffer, adds to it, and fills in its head.  0, or -1
 * where memory ran out. */
int hint_begin(struct bytes_buffer *hint);
int hint_add(struct bytes_buffer *hint, const struct record *record);
void hint_end(struct bytes_buffer *hint, uint64_t data_bytes, bool checksum);

/* A walk through the records of a hint. */
struct hint_cursor {
	const uint8_t *p; /* the hint */
	size_t n;	  /* its bytes */
	size_t at;	  /* of these, the ones behind us */
	uint64_t offset;  /* of the next record in the data file */
};

void hint_first(struct hint_cursor *cursor, const uint8_t *p, size_t n);

/* The next record, whose key points into the hint, and its offset in the data
 * file; false at the end, or where nothing plausible follows. */
bool hint_next(struct hint_cursor *cursor, struct record *record, uint64_t *offset);

/* Whether a hint is whole and describes a data file of that size. */
bool hint_valid(const uint8_t *p, size_t n, uint64_t data_bytes);

#endif
