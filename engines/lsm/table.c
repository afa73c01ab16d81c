#include "table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

enum {
	CRC_BYTES = 4,
	INDEX_OVERHEAD = 16, /* bytes of a block's row beside its key */
	FOOTER_BYTES = 44,
	CHUNK_BYTES = 256 * 1024, /* of a write */
	MAGIC = 0x54534d4c,	  /* "LMST" */
};

/* Offsets in the footer. */
enum {
	FOOTER_INDEX = 0,
	FOOTER_ENTRIES = 8,
	FOOTER_SEQUENCE_MIN = 16,
	FOOTER_SEQUENCE_MAX = 24,
	FOOTER_INDEX_CRC = 32,
	FOOTER_MAGIC = 36,
	FOOTER_CRC = 40,
};

static int damaged(const struct table *table, const char *what, struct engine_error *error)
{
	return engine_fail(error, "%s is damaged: %s", table->name.text, what);
}

/* Reads n bytes, all of which must be there. */
static int read_at(const struct table *table, void *p, size_t n, uint64_t offset,
		   struct engine_error *error)
{
	ssize_t got = io_read_at(table->fd, p, n, offset);
	if (got < 0)
		return engine_fail(error, "read of %s: %s", table->name.text, strerror(errno));
	return (size_t)got == n ? 0 : damaged(table, "it is too short", error);
}

static bool seal_holds(const struct table *table, uint64_t offset, const uint8_t *p, size_t n,
		       const uint8_t *crc)
{
	return !table->sealed || load_le(crc, CRC_BYTES) == entry_seal(table->number, offset, p, n);
}

/* ---- opening ---- */

/* A length and a key at *at of an index of n bytes; moves *at behind them. */
static bool take_key(const uint8_t *index, size_t n, size_t *at, struct engine_bytes *key)
{
	if (n - *at < 4)
		return false;
	size_t length = load_le(index + *at, 4);
	*at += 4;
	if (length > ENTRY_KEY_MAX || length > n - *at)
		return false;
	*key = (struct engine_bytes){index + *at, length};
	*at += length;
	return true;
}

/* The row of the next block at *at, which must begin where the block before it
 * ends, with a higher key. */
static bool take_block(struct table *table, size_t n, size_t *at, uint64_t blocks_end)
{
	const struct table_block *before =
		table->n_blocks ? &table->blocks[table->n_blocks - 1] : NULL;
	struct table_block *block = &table->blocks[table->n_blocks];
	uint64_t begin = before ? before->offset + before->length : 0;
	if (n - *at < INDEX_OVERHEAD)
		return false;
	block->offset = load_le(table->index + *at, 8);
	block->length = (uint32_t)load_le(table->index + *at + 8, 4);
	*at += 12;
	if (block->offset != begin || block->length < CRC_BYTES + ENTRY_OVERHEAD ||
	    block->length > blocks_end - begin || !take_key(table->index, n, at, &block->first))
		return false;
	return !before || entry_compare_keys(before->first, block->first) < 0;
}

/* The index, of n bytes, of blocks that end at blocks_end. */
static int take_index(struct table *table, size_t n, uint64_t blocks_end,
		      struct engine_error *error)
{
	size_t at = 0;
	uint64_t end = 0;
	table->blocks = calloc(n / INDEX_OVERHEAD + 1, sizeof *table->blocks);
	if (!table->blocks)
		return engine_fail(error, "out of memory for the index of %s", table->name.text);
	while (end < blocks_end) {
		if (!take_block(table, n, &at, blocks_end))
			return damaged(table, "its index", error);
		end = table->blocks[table->n_blocks].offset + table->blocks[table->n_blocks].length;
		table->n_blocks++;
	}
	if (!table->n_blocks || !take_key(table->index, n, &at, &table->last) || at != n ||
	    entry_compare_keys(table->blocks[table->n_blocks - 1].first, table->last) > 0)
		return damaged(table, "its index", error);
	return 0;
}

static int read_index(struct table *table, const uint8_t *footer, struct engine_error *error)
{
	uint64_t begin = load_le(footer + FOOTER_INDEX, 8), end = table->bytes - FOOTER_BYTES;
	if (begin > end)
		return damaged(table, "its footer", error);
	size_t n = (size_t)(end - begin);
	table->index = malloc(n + 1);
	if (!table->index)
		return engine_fail(error, "out of memory for the index of %s", table->name.text);
	if (read_at(table, table->index, n, begin, error) < 0)
		return -1;
	if (!seal_holds(table, begin, table->index, n, footer + FOOTER_INDEX_CRC))
		return damaged(table, "its index", error);
	return take_index(table, n, begin, error);
}

static int read_footer(struct table *table, struct engine_error *error)
{
	uint8_t footer[FOOTER_BYTES];
	struct stat st;
	if (fstat(table->fd, &st) < 0)
		return engine_fail(error, "fstat of %s: %s", table->name.text, strerror(errno));
	table->bytes = (uint64_t)st.st_size;
	if (table->bytes < FOOTER_BYTES)
		return damaged(table, "it is too short", error);
	uint64_t offset = table->bytes - FOOTER_BYTES;
	if (read_at(table, footer, FOOTER_BYTES, offset, error) < 0)
		return -1;
	if (load_le(footer + FOOTER_MAGIC, 4) != MAGIC ||
	    !seal_holds(table, offset, footer, FOOTER_CRC, footer + FOOTER_CRC))
		return damaged(table, "its footer", error);
	table->n = load_le(footer + FOOTER_ENTRIES, 8);
	table->sequence_min = load_le(footer + FOOTER_SEQUENCE_MIN, 8);
	table->sequence_max = load_le(footer + FOOTER_SEQUENCE_MAX, 8);
	return read_index(table, footer, error);
}

int table_open(int dir, uint32_t number, const struct file_name *name, bool sealed,
	       struct table **out, struct engine_error *error)
{
	struct table *table = calloc(1, sizeof *table);
	*out = NULL;
	if (!table)
		return engine_fail(error, "out of memory for %s", name->text);
	*table = (struct table){.number = number, .name = *name, .sealed = sealed};
	table->fd = file_open(dir, name, O_RDONLY, error);
	if (table->fd < 0 || read_footer(table, error) < 0) {
		table_close(table);
		return -1;
	}
	*out = table;
	return 0;
}

void table_close(struct table *table)
{
	if (!table)
		return;
	if (table->fd >= 0)
		close(table->fd);
	free(table->blocks);
	free(table->index);
	free(table);
}

int table_finished(int dir, const struct file_name *name, struct engine_error *error)
{
	uint8_t magic[4];
	ssize_t got = 0;
	int fd = file_open(dir, name, O_RDONLY, error);
	if (fd < 0)
		return -1;
	off_t size = lseek(fd, 0, SEEK_END);
	if (size >= FOOTER_BYTES)
		got = io_read_at(fd, magic, 4, (uint64_t)size - FOOTER_BYTES + FOOTER_MAGIC);
	if (size < 0 || got < 0)
		engine_fail(error, "read of %s: %s", name->text, strerror(errno));
	close(fd);
	return size < 0 || got < 0 ? -1 : got == 4 && load_le(magic, 4) == MAGIC;
}

/* ---- reading ---- */

bool table_covers(const struct table *table, struct engine_bytes key)
{
	return entry_compare_keys(table->blocks[0].first, key) <= 0 &&
	       entry_compare_keys(key, table->last) <= 0;
}

/* Fills buffer with the entries of a block. */
static int read_block(const struct table *table, size_t i, struct bytes_buffer *buffer,
		      struct engine_error *error)
{
	const struct table_block *block = &table->blocks[i];
	size_t n = block->length - CRC_BYTES;
	buffer->used = 0;
	if (bytes_reserve(buffer, block->length) < 0)
		return engine_fail(error, "out of memory for a block of %s", table->name.text);
	if (read_at(table, buffer->data, block->length, block->offset, error) < 0)
		return -1;
	if (!seal_holds(table, block->offset, buffer->data, n, buffer->data + n))
		return damaged(table, "a block", error);
	buffer->used = n;
	return 0;
}

int table_next(struct table_cursor *cursor, struct entry *entry, struct engine_error *error)
{
	struct bytes_buffer *buffer = &cursor->buffer;
	if (cursor->at == buffer->used) {
		if (cursor->block == cursor->table->n_blocks)
			return 0;
		if (read_block(cursor->table, cursor->block, buffer, error) < 0)
			return -1;
		cursor->block++;
		cursor->at = 0;
	}
	size_t n = entry_decode(buffer->data + cursor->at, buffer->used - cursor->at, entry);
	cursor->at += n;
	return n ? 1 : damaged(cursor->table, "an entry", error);
}

/* The last block whose first key is not behind key; 0 where there is none. */
static size_t block_of(const struct table *table, struct engine_bytes key)
{
	size_t low = 0, high = table->n_blocks;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (entry_compare_keys(table->blocks[middle].first, key) <= 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int table_find(const struct table *table, struct engine_bytes key, struct bytes_buffer *buffer,
	       struct entry *entry, struct engine_error *error)
{
	if (!table_covers(table, key))
		return 0;
	if (read_block(table, block_of(table, key), buffer, error) < 0)
		return -1;
	for (size_t at = 0, n; at < buffer->used; at += n) {
		n = entry_decode(buffer->data + at, buffer->used - at, entry);
		if (!n)
			return damaged(table, "an entry", error);
		if (!entry_compare_keys(entry->key, key))
			return 1;
	}
	return 0;
}

/* A key that outlives the cursor's buffer. */
static int keep_key(struct bytes_buffer *kept, struct engine_bytes key, struct engine_error *error)
{
	kept->used = 0;
	if (bytes_append(kept, key.data, key.length) < 0)
		return engine_fail(error, "out of memory for a key");
	return 0;
}

/* What table_verify has seen so far. */
struct seen {
	uint64_t n, sequence_min, sequence_max;
	struct bytes_buffer last; /* the key */
};

static int see(const struct table *table, const struct table_cursor *cursor, struct seen *seen,
	       const struct entry *entry, struct engine_error *error)
{
	struct engine_bytes last = {seen->last.data, seen->last.used};
	if (seen->n && entry_compare_keys(last, entry->key) >= 0)
		return damaged(table, "its keys do not rise", error);
	bool begins = cursor->at == entry_bytes(entry);
	if (begins && entry_compare_keys(table->blocks[cursor->block - 1].first, entry->key))
		return damaged(table, "its index differs from a block", error);
	if (!seen->n || entry->sequence < seen->sequence_min)
		seen->sequence_min = entry->sequence;
	if (entry->sequence > seen->sequence_max)
		seen->sequence_max = entry->sequence;
	seen->n++;
	return keep_key(&seen->last, entry->key, error);
}

static int compare_seen(const struct table *table, const struct seen *seen,
			struct engine_error *error)
{
	struct engine_bytes last = {seen->last.data, seen->last.used};
	if (entry_compare_keys(last, table->last))
		return damaged(table, "its last key differs from its index", error);
	if (seen->n != table->n || seen->sequence_min != table->sequence_min ||
	    seen->sequence_max != table->sequence_max)
		return damaged(table, "its footer differs from its entries", error);
	return 0;
}

int table_verify(const struct table *table, struct engine_error *error)
{
	struct table_cursor cursor = {.table = table};
	struct seen seen = {0};
	struct entry entry;
	int rc;
	while ((rc = table_next(&cursor, &entry, error)) > 0) {
		rc = see(table, &cursor, &seen, &entry, error);
		if (rc < 0)
			break;
	}
	if (!rc)
		rc = compare_seen(table, &seen, error);
	free(seen.last.data);
	free(cursor.buffer.data);
	return rc;
}

/* ---- writing ---- */

static int no_memory(const struct table_writer *writer, struct engine_error *error)
{
	return engine_fail(error, "out of memory for %s", writer->name.text);
}

static int write_out(struct table_writer *writer, struct engine_error *error)
{
	struct bytes_buffer *out = &writer->out;
	if (file_write(writer->fd, &writer->name, out->data, out->used, writer->offset, error) < 0)
		return -1;
	writer->offset += out->used;
	out->used = 0;
	return 0;
}

/* The crc of bytes that begin at an offset of the file. */
static uint32_t seal_of(const struct table_writer *writer, uint64_t offset,
			const struct bytes_buffer *bytes)
{
	return writer->sealed ? entry_seal(writer->number, offset, bytes->data, bytes->used) : 0;
}

/* A length and a key into the index. */
static int index_key(struct table_writer *writer, struct engine_bytes key)
{
	uint8_t length[4];
	store_le(length, key.length, 4);
	if (bytes_append(&writer->index, length, 4) < 0)
		return -1;
	return bytes_append(&writer->index, key.data, key.length);
}

/* Ends the block in hand: it goes out, and into the index. */
static int end_block(struct table_writer *writer, struct engine_error *error)
{
	struct bytes_buffer *block = &writer->block;
	struct entry first;
	uint8_t row[12], crc[CRC_BYTES];
	uint64_t offset = writer->offset + writer->out.used;
	if (!block->used)
		return 0;
	store_le(crc, seal_of(writer, offset, block), CRC_BYTES);
	store_le(row, offset, 8);
	store_le(row + 8, block->used + CRC_BYTES, 4);
	entry_decode(block->data, block->used, &first);
	if (bytes_append(&writer->index, row, sizeof row) < 0 || index_key(writer, first.key) < 0 ||
	    bytes_append(&writer->out, block->data, block->used) < 0 ||
	    bytes_append(&writer->out, crc, sizeof crc) < 0)
		return no_memory(writer, error);
	block->used = 0;
	return writer->out.used < CHUNK_BYTES ? 0 : write_out(writer, error);
}

int table_add(struct table_writer *writer, const struct entry *entry, struct engine_error *error)
{
	if (writer->block.used >= writer->block_bytes && end_block(writer, error) < 0)
		return -1;
	writer->last_at = writer->block.used;
	if (entry_append(&writer->block, entry) < 0)
		return no_memory(writer, error);
	if (!writer->n || entry->sequence < writer->sequence_min)
		writer->sequence_min = entry->sequence;
	if (entry->sequence > writer->sequence_max)
		writer->sequence_max = entry->sequence;
	writer->n++;
	return 0;
}

static void make_footer(const struct table_writer *writer, uint64_t index_offset, uint8_t *footer)
{
	uint64_t offset = index_offset + writer->index.used;
	store_le(footer + FOOTER_INDEX, index_offset, 8);
	store_le(footer + FOOTER_ENTRIES, writer->n, 8);
	store_le(footer + FOOTER_SEQUENCE_MIN, writer->sequence_min, 8);
	store_le(footer + FOOTER_SEQUENCE_MAX, writer->sequence_max, 8);
	store_le(footer + FOOTER_INDEX_CRC, seal_of(writer, index_offset, &writer->index), 4);
	store_le(footer + FOOTER_MAGIC, MAGIC, 4);
	uint32_t crc = writer->sealed ? entry_seal(writer->number, offset, footer, FOOTER_CRC) : 0;
	store_le(footer + FOOTER_CRC, crc, 4);
}

int table_end(struct table_writer *writer, struct engine_error *error)
{
	uint8_t footer[FOOTER_BYTES];
	struct bytes_buffer *block = &writer->block;
	struct entry last;
	assert(block->used); /* something was added, and a block is only ended for its successor */
	size_t end = block->used;
	if (end_block(writer, error) < 0)
		return -1;
	/* The bytes of a block stay in the buffer until the next one begins. */
	entry_decode(block->data + writer->last_at, end - writer->last_at, &last);
	if (index_key(writer, last.key) < 0)
		return no_memory(writer, error);
	make_footer(writer, writer->offset + writer->out.used, footer);
	if (bytes_append(&writer->out, writer->index.data, writer->index.used) < 0 ||
	    bytes_append(&writer->out, footer, sizeof footer) < 0)
		return no_memory(writer, error);
	return write_out(writer, error);
}

void table_writer_finish(struct table_writer *writer)
{
	free(writer->out.data);
	free(writer->block.data);
	free(writer->index.data);
}
