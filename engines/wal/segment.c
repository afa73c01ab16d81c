#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "io.h"
#include "wal.h"

int wal_flush(struct wal *wal, struct engine_error *error)
{
	struct bytes_buffer *buffer = &wal->buffer;
	if (!buffer->used)
		return 0;
	wal->dirty = true;
	if (io_write_at(wal->fd, buffer->data, buffer->used, wal->flushed) < 0) {
		struct file_name name = file_name(wal_last(wal), wal_segment);
		return engine_fail(error, "write to %s: %s", name.text, strerror(errno));
	}
	wal->flushed += buffer->used;
	buffer->used = 0;
	return 0;
}

int wal_sync(struct wal *wal, struct engine_error *error)
{
	struct file_name name = file_name(wal_last(wal), wal_segment);
	if (file_sync(wal->fd, &name, wal->datasync, error) < 0)
		return -1;
	wal->dirty = false;
	wal->unsynced = 0;
	return 0;
}

int wal_adopt(struct wal *wal, int fd, uint32_t number, uint64_t size, struct engine_error *error)
{
	if (numbers_push(&wal->segments, number, error) < 0)
		return -1;
	int old = wal->fd;
	wal->fd = fd;
	wal->flushed = size;
	wal->dirty = false;
	if (old >= 0 && close(old) < 0)
		return engine_fail(error, "close the segment before %08u: %s", number,
				   strerror(errno));
	return 0;
}

/* A file for segment number, empty or with what a spare still holds. */
static int new_segment(struct wal *wal, uint32_t number, struct engine_error *error)
{
	struct file_name name = file_name(number, wal_segment);
	int flags = O_RDWR;
	if (wal->spares.n) {
		struct file_name spare = file_name(wal->spares.at[--wal->spares.n], wal_spare);
		if (file_rename(wal->dir, &spare, &name, error) < 0)
			return -1;
		FAULT_POINT("wal/recycle/reused");
	} else {
		flags |= O_CREAT | O_EXCL;
	}
	return file_open(wal->dir, &name, flags, error);
}

int wal_rotate(struct wal *wal, struct engine_error *error)
{
	uint32_t number = wal_last(wal) + 1;
	if (number > FILE_NUMBER_MAX)
		return engine_fail(error, "rotate: no segment numbers are left");
	FAULT_POINT("wal/rotate/begin");
	if (wal->buffer.used) {
		if (wal_flush(wal, error) < 0)
			return -1;
		FAULT_POINT("wal/rotate/flushed");
	}
	if (wal->dirty) {
		if (wal_sync(wal, error) < 0)
			return -1;
		FAULT_POINT("wal/rotate/synced");
	}
	assert(!wal->buffer.used && !wal->dirty); /* W1 */
	int fd = new_segment(wal, number, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("wal/rotate/created");
	if (wal_adopt(wal, fd, number, 0, error) < 0) {
		if (wal->fd != fd)
			close(fd);
		return -1;
	}
	if (wal->hardened) {
		if (!MUTANT("wal/rotate-no-dirsync") && directory_sync(wal->dir, error) < 0)
			return -1;
		FAULT_POINT("wal/rotate/dirsynced");
	}
	return 0;
}

/* Whether a retired segment is worth keeping. */
static bool keeps(const struct wal *wal, uint32_t number)
{
	for (size_t i = 0; i < wal->spares.n; i++)
		if (wal->spares.at[i] == number)
			return false; /* its name is taken */
	return wal->recycle && wal->spares.n < WAL_SPARES_MAX;
}

int wal_retire(struct wal *wal, uint32_t number, struct engine_error *error)
{
	struct file_name name = file_name(number, wal_segment);
	if (!keeps(wal, number))
		return file_unlink(wal->dir, &name, error);
	struct file_name spare = file_name(number, wal_spare);
	if (numbers_push(&wal->spares, number, error) < 0)
		return -1;
	return file_rename(wal->dir, &name, &spare, error);
}
