#include "record.h"

#include <string.h>

#include "fault.h"
#include "io.h"

/* Where the fields are, from the start of a record. */
enum { AT_CRC = 4, AT_SEQUENCE = 8, AT_TYPE = 16, AT_KEY_LENGTH = 17, AT_KEY = 21 };

/* The crc of a record whose lengths are known to lie within it. */
static uint32_t seal_crc(const struct record_seal *seal, const uint8_t *p, size_t length,
			 size_t key_length)
{
	uint32_t crc;
	if (seal->whole) {
		uint8_t segment[4];
		store_le(segment, MUTANT("wal/stale-tail") ? 0 : seal->segment, 4);
		crc = io_crc32c(0, segment, sizeof segment);
		crc = io_crc32c(crc, p, AT_CRC);
		return io_crc32c(crc, p + AT_SEQUENCE, length - AT_SEQUENCE);
	}
	crc = io_crc32c(0, p + AT_TYPE, 1);
	crc = io_crc32c(crc, p + AT_KEY, key_length);
	const uint8_t *value = p + AT_KEY + key_length + 4;
	return io_crc32c(crc, value, (size_t)(p + length - value));
}

int record_append(struct bytes_buffer *buffer, const struct record_seal *seal,
		  const struct record *record)
{
	const struct engine_bytes *key = &record->key, *value = &record->value;
	size_t length = record_bytes(key->length, value->length);
	if (bytes_reserve(buffer, length) < 0)
		return -1;
	uint8_t *p = buffer->data + buffer->used;
	store_le(p, length, 4);
	store_le(p + AT_SEQUENCE, record->sequence, 8);
	p[AT_TYPE] = (uint8_t)((unsigned int)record->type | (record->batched ? RECORD_BATCHED : 0));
	store_le(p + AT_KEY_LENGTH, key->length, 4);
	if (key->length)
		memcpy(p + AT_KEY, key->data, key->length);
	store_le(p + AT_KEY + key->length, value->length, 4);
	if (value->length)
		memcpy(p + AT_KEY + key->length + 4, value->data, value->length);
	store_le(p + AT_CRC, seal_crc(seal, p, length, key->length), 4);
	buffer->used += length;
	return 0;
}

int record_append_commit(struct bytes_buffer *buffer, const struct record_seal *seal,
			 uint64_t sequence, uint64_t first)
{
	uint8_t bytes[8];
	store_le(bytes, first, 8);
	struct record commit = {
		.sequence = sequence, .type = RECORD_COMMIT, .value = {bytes, sizeof bytes}};
	return record_append(buffer, seal, &commit);
}

size_t record_decode(const struct record_seal *seal, const uint8_t *p, size_t n,
		     struct record *record)
{
	if (n < RECORD_OVERHEAD)
		return 0;
	size_t length = load_le(p, 4);
	if (length < RECORD_OVERHEAD || length > n)
		return 0;
	size_t key_length = load_le(p + AT_KEY_LENGTH, 4);
	if (key_length > RECORD_KEY_MAX || key_length > length - RECORD_OVERHEAD)
		return 0;
	size_t value_length = length - RECORD_OVERHEAD - key_length;
	if (value_length > RECORD_VALUE_MAX || load_le(p + AT_KEY + key_length, 4) != value_length)
		return 0;
	unsigned int type = p[AT_TYPE] & ~(unsigned int)RECORD_BATCHED;
	if (type < RECORD_PUT || type > RECORD_CHECKPOINT)
		return 0;
	if (load_le(p + AT_CRC, 4) != seal_crc(seal, p, length, key_length) &&
	    !MUTANT("wal/replay-ignores-crc"))
		return 0;
	*record = (struct record){
		.sequence = load_le(p + AT_SEQUENCE, 8),
		.type = (enum record_type)type,
		.batched = p[AT_TYPE] & RECORD_BATCHED,
		.key = {p + AT_KEY, key_length},
		.value = {p + AT_KEY + key_length + 4, value_length},
	};
	return length;
}

uint64_t record_commit_first(const struct record *record)
{
	return record->value.length == 8 ? load_le(record->value.data, 8) : 0;
}
