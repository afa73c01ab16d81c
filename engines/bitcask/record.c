#include "record.h"

#include <string.h>

#include "fault.h"
#include "io.h"

/* Where the fields are, from the start of a record. */
enum { AT_TIMESTAMP = 4, AT_KEY_LENGTH = 12, AT_VALUE_LENGTH = 16 };

bool bitcask_record_plausible(uint64_t timestamp, uint64_t key_length, uint32_t value_length)
{
	return timestamp > 0 && timestamp <= RECORD_TIMESTAMP_MAX && key_length <= RECORD_KEY_MAX &&
	       (value_length <= RECORD_VALUE_MAX || value_length == RECORD_TOMBSTONE);
}

int bitcask_record_append(struct bytes_buffer *buffer, const struct record *record,
			  const void *value)
{
	size_t key_length = record->key.length;
	size_t length = record_bytes(key_length, record->value_length);
	size_t value_bytes = length - RECORD_HEADER - key_length;
	if (bytes_reserve(buffer, length) < 0)
		return -1;
	uint8_t *p = buffer->data + buffer->used;
	store_le(p + AT_TIMESTAMP, record->timestamp, 8);
	store_le(p + AT_KEY_LENGTH, key_length, 4);
	store_le(p + AT_VALUE_LENGTH, record->value_length, 4);
	if (key_length)
		memcpy(p + RECORD_HEADER, record->key.data, key_length);
	if (value_bytes)
		memcpy(p + RECORD_HEADER + key_length, value, value_bytes);
	store_le(p, io_crc32c(0, p + AT_TIMESTAMP, length - AT_TIMESTAMP), 4);
	buffer->used += length;
	return 0;
}

size_t bitcask_record_decode(const uint8_t *p, size_t n, struct record *record,
			     const uint8_t **value)
{
	if (n < RECORD_HEADER)
		return 0;
	uint64_t timestamp = load_le(p + AT_TIMESTAMP, 8);
	size_t key_length = load_le(p + AT_KEY_LENGTH, 4);
	uint32_t value_length = (uint32_t)load_le(p + AT_VALUE_LENGTH, 4);
	if (!bitcask_record_plausible(timestamp, key_length, value_length))
		return 0;
	size_t length = record_bytes(key_length, value_length);
	if (length > n)
		return 0;
	if (load_le(p, 4) != io_crc32c(0, p + AT_TIMESTAMP, length - AT_TIMESTAMP) &&
	    !MUTANT("bitcask/tail-accepted"))
		return 0;
	*record = (struct record){timestamp, {p + RECORD_HEADER, key_length}, value_length};
	*value = p + RECORD_HEADER + key_length;
	return length;
}
