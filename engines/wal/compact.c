/* Compacting: the contents as a checkpoint, then the segments before it go.
 *
 * Hardened: the checkpoint is written to NNNNNNNN.tmp, whose number is that of
 * the next segment, synced, renamed to be that segment, and its name synced;
 * only then are the others retired, which may become durable in any order: a
 * replay begins at the checkpoint whichever of them are left.
 *
 * Textbook: the last segment is rewritten in place.
 *
 * Either way the records in the buffer are in the checkpoint, and are dropped
 * from the buffer. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "io.h"
#include "wal.h"

enum { CHUNK_BYTES = 256 * 1024 };

/* Writes a checkpoint to the start of fd: its size in *size. */
struct snapshot {
	int fd;
	struct file_name name; /* of the file, for errors */
	struct record_seal seal;
	struct bytes_buffer buffer;
	uint64_t sequence; /* of the next record */
	uint64_t size;	   /* bytes written */
};

static int snapshot_write(struct snapshot *s, struct engine_error *error)
{
	if (io_write_at(s->fd, s->buffer.data, s->buffer.used, s->size) < 0)
		return engine_fail(error, "write to %s: %s", s->name.text, strerror(errno));
	s->size += s->buffer.used;
	s->buffer.used = 0;
	return 0;
}

static int snapshot_add(struct snapshot *s, enum record_type type, struct engine_bytes key,
			struct engine_bytes value, struct engine_error *error)
{
	const struct record record = {
		.sequence = s->sequence, .type = type, .batched = true, .key = key, .value = value};
	if (record_append(&s->buffer, &s->seal, &record) < 0)
		return engine_fail(error, "out of memory for the checkpoint");
	s->sequence++;
	return s->buffer.used >= CHUNK_BYTES ? snapshot_write(s, error) : 0;
}

static int snapshot_map(struct snapshot *s, const struct map *map, struct engine_error *error)
{
	const struct engine_bytes none = {0};
	uint64_t first = s->sequence;
	if (snapshot_add(s, RECORD_CHECKPOINT, none, none, error) < 0)
		return -1;
	struct map_cursor cursor = {0};
	const struct map_entry *e;
	while ((e = map_next(map, &cursor)))
		if (snapshot_add(s, RECORD_PUT, map_key(e), map_value(e), error) < 0)
			return -1;
	if (record_append_commit(&s->buffer, &s->seal, s->sequence++, first) < 0)
		return engine_fail(error, "out of memory for the checkpoint");
	return snapshot_write(s, error);
}

/* Writes the checkpoint that is to be segment number into fd. */
static int write_snapshot(struct wal *wal, int fd, uint32_t number, const struct file_name *name,
			  uint64_t *size, struct engine_error *error)
{
	struct snapshot s = {.fd = fd,
			     .name = *name,
			     .seal = {.whole = wal->hardened, .segment = number},
			     .sequence = wal->sequence};
	int rc = snapshot_map(&s, &wal->map, error);
	if (!rc) {
		wal->sequence = s.sequence;
		*size = s.size;
	}
	free(s.buffer.data);
	return rc;
}

/* All segments but the last one. */
static int retire_older(struct wal *wal, struct engine_error *error)
{
	uint32_t last = wal_last(wal);
	for (size_t i = 0; i + 1 < wal->segments.n; i++) {
		if (wal_retire(wal, wal->segments.at[i], error) < 0)
			return -1;
		FAULT_POINT("wal/compact/retired");
	}
	wal->segments.n = 1;
	wal->segments.at[0] = last;
	return 0;
}

static int compact_in_place(struct wal *wal, struct engine_error *error)
{
	struct file_name name = file_name(wal_last(wal), wal_segment);
	int fd = file_open(wal->dir, &name, O_RDWR | O_TRUNC, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("wal/compact/truncated");
	close(wal->fd);
	wal->fd = fd;
	wal->dirty = true;
	wal->buffer.used = 0;
	if (write_snapshot(wal, fd, wal_last(wal), &name, &wal->flushed, error) < 0)
		return -1;
	FAULT_POINT("wal/compact/rewritten");
	return retire_older(wal, error);
}

/* The checkpoint under its temporary name, durable; its descriptor or -1. */
static int make_checkpoint(struct wal *wal, uint32_t number, const struct file_name *name,
			   uint64_t *size, struct engine_error *error)
{
	int fd = file_open(wal->dir, name, O_RDWR | O_CREAT | O_EXCL, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("wal/compact/created");
	if (write_snapshot(wal, fd, number, name, size, error) < 0)
		goto failed;
	FAULT_POINT("wal/compact/written");
	if (file_sync(fd, name, wal->datasync, error) < 0)
		goto failed;
	FAULT_POINT("wal/compact/synced");
	return fd;
failed:
	close(fd);
	return -1;
}

/* Puts the checkpoint in place as the last segment. */
static int install(struct wal *wal, int fd, uint32_t number, uint64_t size,
		   struct engine_error *error)
{
	struct file_name from = file_name(number, wal_temporary);
	struct file_name to = file_name(number, wal_segment);
	if (file_rename(wal->dir, &from, &to, error) < 0)
		goto failed;
	FAULT_POINT("wal/compact/renamed");
	if (directory_sync(wal->dir, error) < 0)
		goto failed;
	FAULT_POINT("wal/compact/dirsynced");
	if (wal_adopt(wal, fd, number, size, error) < 0)
		goto failed;
	wal->buffer.used = 0;
	wal->unsynced = 0;
	return 0;
failed:
	if (wal->fd != fd)
		close(fd);
	return -1;
}

static int compact_beside(struct wal *wal, struct engine_error *error)
{
	uint32_t number = wal_last(wal) + 1;
	if (number > FILE_NUMBER_MAX)
		return engine_fail(error, "compact: no segment numbers are left");
	struct file_name name = file_name(number, wal_temporary);
	uint64_t size;
	int fd = make_checkpoint(wal, number, &name, &size, error);
	if (fd < 0 || install(wal, fd, number, size, error) < 0 || retire_older(wal, error) < 0)
		return -1;
	/* Not for W4: so that their space is free for good. */
	if (directory_sync(wal->dir, error) < 0)
		return -1;
	FAULT_POINT("wal/compact/cleaned");
	return 0;
}

int wal_compact(struct wal *wal, struct engine_error *error)
{
	FAULT_POINT("wal/compact/begin");
	return wal->hardened && !MUTANT("wal/compact-in-place") ? compact_beside(wal, error)
								: compact_in_place(wal, error);
}
