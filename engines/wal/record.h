/* Records: the only thing that a segment holds, one behind the other.
 *
 *   length        u32   bytes of the whole record, this field included
 *   crc           u32   crc32c, see below
 *   sequence      u64   its number in the log, from 1
 *   type          u8    enum record_type; RECORD_BATCHED is or'ed to a record
 *                       that counts only together with the COMMIT behind it
 *   key length    u32
 *   key
 *   value length  u32
 *   value
 *
 * Integers are little-endian.
 *
 *   PUT, DELETE   a change; alone or BATCHED
 *   COMMIT        ends a batch: the BATCHED records that lead up to it count.
 *                 Value: u64, the sequence number of the batch's first record
 *   CHECKPOINT    always BATCHED and the first record of its segment: with its
 *                 COMMIT, everything with a lower sequence number is superseded
 *
 * The crc of the hardened variant covers the number of the segment (u32) and
 * then the whole record but the crc itself.  Two segment numbers differ within
 * 32 bits, and a crc32 finds every such difference: a record never passes in a
 * segment with another number than the one it was written for, certainly and
 * not just probably.  The crc of the textbook variant covers type, key and
 * value. */
#ifndef POWERCUT_WAL_RECORD_H
#define POWERCUT_WAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "engine.h"

enum record_type {
	RECORD_PUT = 1,
	RECORD_DELETE = 2,
	RECORD_COMMIT = 3,
	RECORD_CHECKPOINT = 4,
};

enum {
	RECORD_BATCHED = 0x80,
	RECORD_OVERHEAD = 25,		     /* bytes beside key and value */
	RECORD_KEY_MAX = 65535,		     /* bytes */
	RECORD_VALUE_MAX = 64 * 1024 * 1024, /* bytes */
};

struct record {
	uint64_t sequence;
	enum record_type type;
	bool batched;
	struct engine_bytes key, value;
};

/* What the crc of a record covers. */
struct record_seal {
	bool whole;	  /* everything; else type, key and value */
	uint32_t segment; /* the segment's number, with whole */
};

static inline size_t record_bytes(size_t key_length, size_t value_length)
{
	return RECORD_OVERHEAD + key_length + value_length;
}

/* Appends a record.  0, or -1 where memory ran out and nothing changed. */
int record_append(struct bytes_buffer *buffer, const struct record_seal *seal,
		  const struct record *record);

/* Appends the COMMIT of the batch whose first record has sequence number first. */
int record_append_commit(struct bytes_buffer *buffer, const struct record_seal *seal,
			 uint64_t sequence, uint64_t first);

/* The length of the record at p, of which n bytes can be read, and the record,
 * whose key and value point into p; 0 where there is no valid one. */
size_t record_decode(const struct record_seal *seal, const uint8_t *p, size_t n,
		     struct record *record);

/* The first sequence number that a COMMIT names; 0 where it names none. */
uint64_t record_commit_first(const struct record *record);

#endif
