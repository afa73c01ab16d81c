/* The page log: entries, one behind the other, each from a sector boundary.
 *
 *   0   checksum  u32  see below
 *   4   page      u32  its number, or LOG_COMMIT
 *   8   sequence  u64  the number of the transaction
 *   16  length    u32  bytes of data
 *   20  data      the page's bytes up to its last that counts; the others are
 *                 zeros.  COMMIT: u32, the number of pages before it
 *       zeros, up to a multiple of 512 bytes
 *
 * No two entries share a sector, so that writing one does not put the others at
 * risk.
 *
 * The checksum of the hardened variant is a crc that continues the one of the
 * entry before, in the same transaction: that of the COMMIT covers all of it, and
 * entries of two attempts at the same transaction never make a whole one.  The
 * checksum of the textbook variant is the sum of the entry's own bytes. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "btree.h"
#include "fault.h"

enum { AT_PAGE = 4, AT_SEQUENCE = 8, AT_LENGTH = 16, AT_DATA = 20 };
enum { SECTOR_BYTES = 512, COMMIT_BYTES = 4 };
#define LOG_COMMIT UINT32_MAX

static size_t entry_bytes(size_t length)
{
	return (AT_DATA + length + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
}

static uint32_t entry_checksum(const struct btree *btree, uint32_t before, const uint8_t *p,
			       size_t length)
{
	return btree_checksum(btree, btree->hardened ? before : 0, p + AT_PAGE,
			      AT_DATA - AT_PAGE + length);
}

static int append(struct btree *btree, uint32_t page, const void *data, size_t length,
		  struct engine_error *error)
{
	size_t n = entry_bytes(length);
	if (bytes_reserve(&btree->buffer, n) < 0)
		return engine_fail(error, "out of memory for the log");
	uint8_t *p = btree->buffer.data + btree->buffer.used;
	memset(p, 0, n);
	store_le(p + AT_PAGE, page, 4);
	store_le(p + AT_SEQUENCE, btree->meta.sequence, 8);
	store_le(p + AT_LENGTH, length, 4);
	memcpy(p + AT_DATA, data, length);
	btree->entry_checksum = entry_checksum(btree, btree->entry_checksum, p, length);
	store_le(p, btree->entry_checksum, 4);
	btree->buffer.used += n;
	return 0;
}

int log_append_page(struct btree *btree, uint32_t number, struct engine_error *error)
{
	const struct page *page = btree->pages[number];
	return append(btree, number, page->bytes, page_used(page), error);
}

int log_append_commit(struct btree *btree, uint32_t n, struct engine_error *error)
{
	uint8_t count[COMMIT_BYTES];
	store_le(count, n, sizeof count);
	if (append(btree, LOG_COMMIT, count, sizeof count, error) < 0)
		return -1;
	btree->entry_checksum = 0;
	return 0;
}

int log_flush(struct btree *btree, struct engine_error *error)
{
	struct bytes_buffer *buffer = &btree->buffer;
	if (file_write(btree->log, &btree->log_name, buffer->data, buffer->used, btree->log_end,
		       error) < 0)
		return -1;
	btree->log_end += buffer->used;
	buffer->used = 0;
	return 0;
}

int log_truncate(struct btree *btree, struct engine_error *error)
{
	if (ftruncate(btree->log, 0) < 0)
		return engine_fail(error, "ftruncate of %s: %s", btree->log_name.text,
				   strerror(errno));
	btree->log_end = 0;
	return 0;
}

bool log_next(const struct btree *btree, struct log_reader *reader, struct log_entry *entry)
{
	const uint8_t *p = reader->data + reader->at;
	size_t left = reader->size - reader->at;
	if (left < SECTOR_BYTES)
		return false;
	*entry = (struct log_entry){
		.page = (uint32_t)load_le(p + AT_PAGE, 4),
		.sequence = load_le(p + AT_SEQUENCE, 8),
		.length = load_le(p + AT_LENGTH, 4),
		.data = p + AT_DATA,
	};
	entry->commit = entry->page == LOG_COMMIT;
	if (entry->commit ? entry->length != COMMIT_BYTES
			  : entry->page >= PAGES_MAX || entry->length < PAGE_HEADER)
		return false;
	if (entry->length > PAGE_BYTES || entry_bytes(entry->length) > left)
		return false;
	uint32_t checksum = entry_checksum(btree, reader->checksum, p, entry->length);
	if (load_le(p, 4) != checksum && !MUTANT("btree/no-checksum"))
		return false;
	reader->checksum = entry->commit ? 0 : checksum;
	reader->at += entry_bytes(entry->length);
	return true;
}
