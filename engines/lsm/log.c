#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

void lsm_log_begin(struct log *log, int fd, uint32_t number, const struct file_name *name,
		   bool sealed, uint64_t size)
{
	log->fd = fd;
	log->number = number;
	log->name = *name;
	log->sealed = sealed;
	log->size = size;
	log->dirty = false;
}

int lsm_log_close(struct log *log, struct engine_error *error)
{
	int fd = log->fd;
	log->fd = -1;
	if (fd >= 0 && close(fd) < 0)
		return engine_fail(error, "close %s: %s", log->name.text, strerror(errno));
	return 0;
}

void lsm_log_finish(struct log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	free(log->buffer.data);
	*log = (struct log){.fd = -1};
}

/* The crc of the record at p, whose entries have that length. */
static uint32_t seal_record(uint32_t number, uint64_t offset, const uint8_t *p, size_t length)
{
	return io_crc32c(entry_seal(number, offset, p, 4), p + LOG_OVERHEAD, length);
}

int lsm_log_buffer(struct log *log, const struct entry *entries, size_t n,
		   struct engine_error *error)
{
	static const uint8_t head[LOG_OVERHEAD];
	struct bytes_buffer *buffer = &log->buffer;
	if (bytes_append(buffer, head, sizeof head) < 0)
		return engine_fail(error, "out of memory for a record");
	for (size_t i = 0; i < n; i++)
		if (entry_append(buffer, &entries[i]) < 0)
			return engine_fail(error, "out of memory for a record");
	size_t length = buffer->used - LOG_OVERHEAD;
	store_le(buffer->data, length, 4);
	if (log->sealed)
		store_le(buffer->data + 4,
			 seal_record(log->number, log->size, buffer->data, length), 4);
	return 0;
}

int lsm_log_flush(struct log *log, struct engine_error *error)
{
	struct bytes_buffer *buffer = &log->buffer;
	if (file_write(log->fd, &log->name, buffer->data, buffer->used, log->size, error) < 0)
		return -1;
	log->dirty = true;
	log->size += buffer->used;
	buffer->used = 0;
	return 0;
}

int lsm_log_sync(struct log *log, bool datasync, struct engine_error *error)
{
	if (file_sync(log->fd, &log->name, datasync, error) < 0)
		return -1;
	log->dirty = false;
	return 0;
}

/* The length of the record at p, which is offset bytes into the log, of which n
 * bytes can be read; 0 where there is no whole and valid one.  *sequence is the
 * number of the entry before it and becomes that of its last one. */
static size_t check_record(uint32_t number, bool sealed, uint64_t offset, const uint8_t *p,
			   size_t n, uint64_t *sequence)
{
	struct entry entry;
	uint64_t last = *sequence;
	size_t length = n < LOG_OVERHEAD ? 0 : load_le(p, 4), at = 0, bytes;
	if (!length || length > n - LOG_OVERHEAD)
		return 0;
	if (sealed && load_le(p + 4, 4) != seal_record(number, offset, p, length))
		return 0;
	for (; at < length; at += bytes) {
		bytes = entry_decode(p + LOG_OVERHEAD + at, length - at, &entry);
		if (!bytes || (sealed && entry.sequence != last + 1))
			return 0;
		last = entry.sequence;
	}
	*sequence = last;
	return LOG_OVERHEAD + length;
}

/* Takes the entries of a record of n bytes that check_record found to be valid. */
static int take_record(const uint8_t *p, size_t n, struct memtable *memtable)
{
	struct entry entry;
	for (size_t at = LOG_OVERHEAD; at < n; at += entry_bytes(&entry)) {
		if (!entry_decode(p + at, n - at, &entry))
			return -1; /* cannot be: check_record has seen it */
		if (memtable_set(memtable, &entry) < 0)
			return -1;
	}
	return 0;
}

int lsm_log_replay(int dir, uint32_t number, const struct file_name *name, bool sealed,
		   struct memtable *memtable, struct replay *replay, struct engine_error *error)
{
	uint8_t *data;
	size_t size, at = 0, n;
	if (file_load(dir, name, &data, &size, error) < 0)
		return -1;
	int rc = 0;
	while (!rc &&
	       (n = check_record(number, sealed, at, data + at, size - at, &replay->sequence))) {
		rc = take_record(data + at, n, memtable);
		at += n;
	}
	free(data);
	if (rc < 0)
		return engine_fail(error, "out of memory for the contents of %s", name->text);
	replay->end = at;
	replay->size = size;
	return 0;
}
