#include "hint.h"

#include <string.h>

#include "io.h"

enum { AT_DATA_BYTES = 4, HEAD = 12 };
enum { AT_KEY_LENGTH = 8, AT_VALUE_LENGTH = 12, ENTRY = 16 };

int hint_begin(struct bytes_buffer *hint)
{
	if (bytes_reserve(hint, HEAD) < 0)
		return -1;
	memset(hint->data, 0, HEAD);
	hint->used = HEAD;
	return 0;
}

int hint_add(struct bytes_buffer *hint, const struct record *record)
{
	if (bytes_reserve(hint, ENTRY + record->key.length) < 0)
		return -1;
	uint8_t *p = hint->data + hint->used;
	store_le(p, record->timestamp, 8);
	store_le(p + AT_KEY_LENGTH, record->key.length, 4);
	store_le(p + AT_VALUE_LENGTH, record->value_length, 4);
	hint->used += ENTRY;
	return bytes_append(hint, record->key.data, record->key.length);
}

static uint32_t crc_of(const uint8_t *p, size_t n)
{
	return io_crc32c(0, p + AT_DATA_BYTES, n - AT_DATA_BYTES);
}

void hint_end(struct bytes_buffer *hint, uint64_t data_bytes, bool checksum)
{
	store_le(hint->data + AT_DATA_BYTES, data_bytes, 8);
	if (checksum)
		store_le(hint->data, crc_of(hint->data, hint->used), 4);
}

void hint_first(struct hint_cursor *cursor, const uint8_t *p, size_t n)
{
	*cursor = (struct hint_cursor){.p = p, .n = n, .at = n < HEAD ? n : HEAD};
}

bool hint_next(struct hint_cursor *cursor, struct record *record, uint64_t *offset)
{
	const uint8_t *p = cursor->p + cursor->at;
	size_t left = cursor->n - cursor->at;
	if (left < ENTRY)
		return false;
	uint64_t timestamp = load_le(p, 8);
	size_t key_length = load_le(p + AT_KEY_LENGTH, 4);
	uint32_t value_length = (uint32_t)load_le(p + AT_VALUE_LENGTH, 4);
	if (!bitcask_record_plausible(timestamp, key_length, value_length) ||
	    key_length > left - ENTRY)
		return false;
	*record = (struct record){timestamp, {p + ENTRY, key_length}, value_length};
	*offset = cursor->offset;
	cursor->at += ENTRY + key_length;
	cursor->offset += record_bytes(key_length, value_length);
	return true;
}

bool hint_valid(const uint8_t *p, size_t n, uint64_t data_bytes)
{
	struct hint_cursor cursor;
	struct record record;
	uint64_t offset;
	if (n < HEAD || load_le(p, 4) != crc_of(p, n) ||
	    load_le(p + AT_DATA_BYTES, 8) != data_bytes)
		return false;
	hint_first(&cursor, p, n);
	while (hint_next(&cursor, &record, &offset))
		;
	return cursor.at == n && cursor.offset == data_bytes;
}
