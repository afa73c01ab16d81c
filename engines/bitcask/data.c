/* The data files: appending to the active one, beginning the next, reading. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bitcask.h"
#include "fault.h"
#include "io.h"

int data_files_push(struct data_files *files, const struct data_file *file,
		    struct engine_error *error)
{
	if (files->n == files->room) {
		size_t room = files->room ? files->room * 2 : 16;
		struct data_file *at = realloc(files->at, room * sizeof *at);
		if (!at)
			return engine_fail(error, "out of memory for a list of files");
		files->at = at;
		files->room = room;
	}
	files->at[files->n++] = *file;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct data_file *x = a, *y = b;
	return (x->number > y->number) - (x->number < y->number);
}

struct data_file *data_files_find(const struct data_files *files, uint32_t number)
{
	struct data_file wanted = {.number = number};
	if (!files->n)
		return NULL;
	return bsearch(&wanted, files->at, files->n, sizeof wanted, compare);
}

int bitcask_new_number(struct bitcask *b, uint32_t *number, struct engine_error *error)
{
	if (b->next_file > FILE_NUMBER_MAX)
		return engine_fail(error, "no file numbers are left");
	*number = b->next_file++;
	return 0;
}

static struct data_file *active(const struct bitcask *b)
{
	assert(b->fd >= 0 && b->files.n);
	return &b->files.at[b->files.n - 1];
}

int bitcask_sync_active(struct bitcask *b, struct engine_error *error)
{
	if (!b->dirty)
		return 0;
	struct file_name name = file_name(active(b)->number, bitcask_data);
	if (file_sync(b->fd, &name, b->datasync, error) < 0)
		return -1;
	b->dirty = false;
	return 0;
}

int bitcask_leave_active(struct bitcask *b, struct engine_error *error)
{
	int fd = b->fd;
	b->fd = -1;
	b->dirty = false; /* closing the store, and textbook, leave it unsynced */
	if (fd >= 0 && close(fd) < 0)
		return engine_fail(error, "close the active file: %s", strerror(errno));
	return 0;
}

/* Leaves the active file, which is full. */
static int rotate(struct bitcask *b, struct engine_error *error)
{
	FAULT_POINT("bitcask/rotate/begin");
	if (b->hardened && b->dirty) {
		if (bitcask_sync_active(b, error) < 0)
			return -1;
		FAULT_POINT("bitcask/rotate/synced");
	}
	assert(!b->hardened || !b->dirty); /* B1 */
	return bitcask_leave_active(b, error);
}

static int begin_file(struct bitcask *b, struct engine_error *error)
{
	struct data_file file = {0};
	if (bitcask_new_number(b, &file.number, error) < 0)
		return -1;
	struct file_name name = file_name(file.number, bitcask_data);
	int fd = file_open(b->dir, &name, O_RDWR | O_CREAT | O_EXCL, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("bitcask/rotate/created");
	if (data_files_push(&b->files, &file, error) < 0) {
		close(fd);
		return -1;
	}
	b->fd = fd;
	if (b->hardened && !MUTANT("bitcask/rotate-no-dirsync")) {
		if (directory_sync(b->dir, error) < 0)
			return -1;
		FAULT_POINT("bitcask/rotate/dirsynced");
	}
	return 0;
}

/* Makes the active file have room for n bytes, which may be more than a file is
 * meant to hold: then they get one of their own. */
static int make_room(struct bitcask *b, size_t n, struct engine_error *error)
{
	if (b->fd >= 0 && active(b)->bytes && active(b)->bytes + n > b->max_file_bytes &&
	    rotate(b, error) < 0)
		return -1;
	return b->fd < 0 ? begin_file(b, error) : 0;
}

static int flush(struct bitcask *b, struct engine_error *error)
{
	struct data_file *file = active(b);
	struct file_name name = file_name(file->number, bitcask_data);
	b->dirty = true;
	if (file_write(b->fd, &name, b->record.data, b->record.used, file->bytes, error) < 0)
		return -1;
	file->bytes += b->record.used;
	return 0;
}

int bitcask_append(struct bitcask *b, const struct record *change, const void *value,
		   struct engine_error *error)
{
	struct record record = *change;
	record.timestamp = b->timestamp;
	if (record.timestamp > RECORD_TIMESTAMP_MAX)
		return engine_fail(error, "no timestamps are left");
	if (make_room(b, record_bytes(record.key.length, record.value_length), error) < 0)
		return -1;
	b->record.used = 0;
	if (bitcask_record_append(&b->record, &record, value) < 0)
		return engine_fail(error, "out of memory for a record");
	FAULT_POINT("bitcask/append/buffered");
	uint64_t offset = active(b)->bytes;
	if (flush(b, error) < 0)
		return -1;
	FAULT_POINT("bitcask/append/flushed");
	if (b->sync_writes) {
		if (bitcask_sync_active(b, error) < 0)
			return -1;
		FAULT_POINT("bitcask/append/synced");
	}
	b->timestamp++;
	if (keydir_take(&b->keydir, &record, active(b)->number, offset) < 0)
		return engine_fail(error, "out of memory for the keydir");
	return 0;
}

void bitcask_close_reader(struct bitcask *b)
{
	if (b->reader >= 0)
		close(b->reader);
	b->reader = -1;
}

/* A descriptor from which that file can be read; the store's own. */
static int reader(struct bitcask *b, uint32_t number, struct engine_error *error)
{
	if (b->fd >= 0 && active(b)->number == number)
		return b->fd;
	if (b->reader >= 0 && b->reader_file == number)
		return b->reader;
	struct file_name name = file_name(number, bitcask_data);
	bitcask_close_reader(b);
	b->reader = file_open(b->dir, &name, O_RDONLY, error);
	b->reader_file = number;
	return b->reader;
}

static int damaged(const struct keydir_entry *entry, struct engine_error *error)
{
	return engine_fail(error, "%08u.data is damaged: no record of its key at byte %llu",
			   entry->file, (unsigned long long)entry->offset);
}

/* Finds the value in the record that was read. */
static int take_value(const struct bitcask *b, const struct keydir_entry *entry,
		      struct engine_bytes *value, struct engine_error *error)
{
	struct record record;
	const uint8_t *at;
	size_t length = bitcask_record_decode(b->value.data, b->value.used, &record, &at);
	if (!length || record.timestamp != entry->timestamp ||
	    record.value_length != entry->value_length || record.key.length != entry->key_length ||
	    memcmp(record.key.data, entry->key, entry->key_length))
		return damaged(entry, error);
	*value = (struct engine_bytes){at, record.value_length};
	return 0;
}

int bitcask_read(struct bitcask *b, const struct keydir_entry *entry, struct engine_bytes *value,
		 struct engine_error *error)
{
	const struct data_file *file = data_files_find(&b->files, entry->file);
	size_t length = keydir_record_bytes(entry);
	/* A hint that is believed unchecked may say anything. */
	if (!file || entry->offset > file->bytes || length > file->bytes - entry->offset)
		return damaged(entry, error);
	int fd = reader(b, entry->file, error);
	if (fd < 0)
		return -1;
	b->value.used = 0;
	if (bytes_reserve(&b->value, length) < 0)
		return engine_fail(error, "out of memory for a value");
	ssize_t got = io_read_at(fd, b->value.data, length, entry->offset);
	if (got < 0)
		return engine_fail(error, "read of %08u.data: %s", entry->file, strerror(errno));
	b->value.used = (size_t)got;
	return take_value(b, entry, value, error);
}
