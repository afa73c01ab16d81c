/* Calls that change what is in a file. */
#include "handlers.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "acks.h"
#include "mapped.h"
#include "mem.h"
#include "peer.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef FALLOC_FL_WRITE_ZEROES
#define FALLOC_FL_WRITE_ZEROES 0x80
#endif

enum { VECTOR_MAX = 1024 }; /* UIO_MAXIOV */

static void grow(struct task *task, uint64_t end)
{
	struct node *node = tree_node(&task->recorder->tree, task->call.ino);
	if (node->size < end)
		node->size = end;
}

/* Reads back what the kernel wrote. */
static bool read_file(const struct task *task, uint64_t offset, uint8_t *out, size_t n)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", task->call.fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	while (fd >= 0 && have < n) {
		ssize_t got = pread(fd, out + have, n - have, (off_t)(offset + have));
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	return have == n;
}

static bool read_vector(const struct task *task, const struct source_bytes *from, uint8_t *out,
			size_t n)
{
	struct iovec vector[VECTOR_MAX];
	size_t count = 0, total = 0;
	if (from->count > VECTOR_MAX ||
	    !peer_read(task, from->vector, vector, from->count * sizeof *vector))
		return false;
	for (; count < from->count && total < n; count++) {
		if (vector[count].iov_len > n - total)
			vector[count].iov_len = n - total;
		total += vector[count].iov_len;
	}
	return peer_gather(task, vector, count, out, n);
}

/* The n bytes that the call wrote at offset.  Where there is somebody else who
 * might have changed the caller's memory since, they come from the file, which
 * nobody else can have written to: the call was exclusive. */
static bool read_bytes_written(const struct task *task, const struct source_bytes *from,
			       uint64_t offset, uint8_t *out, size_t n)
{
	if (HASH_COUNT(task->recorder->tasks) > 1 && read_file(task, offset, out, n))
		return true;
	if (from->count > 0 && read_vector(task, from, out, n))
		return true;
	if (from->buffer != 0 && peer_read(task, from->buffer, out, n))
		return true;
	return read_file(task, offset, out, n);
}

void call_wrote_at(struct task *task, uint64_t offset, const struct source_bytes *from)
{
	struct recorder *r = task->recorder;
	size_t n = (size_t)task->call.ret;
	if (n == 0)
		return;
	uint8_t *data = arena_alloc(r->trace->arena, n, 1);
	if (!read_bytes_written(task, from, offset, data, n)) {
		call_inconclusive(task, "cannot read the bytes that it wrote");
		return;
	}
	struct event *event = call_event(task, EVENT_WRITE);
	event->ino = task->call.ino;
	event->offset = offset;
	event->length = event->data_length = n;
	event->data = data;
	if ((task->call.fd_flags & O_SYNC) == O_SYNC || task->call.flags & RWF_SYNC)
		event->flags = EVENT_FSYNC_TOO;
	else if (task->call.fd_flags & O_DSYNC || task->call.flags & RWF_DSYNC)
		event->flags = EVENT_DSYNC;
	grow(task, offset + n);
}

/* The position after the call, less what it wrote: right for O_APPEND too. */
static uint64_t offset_before(const struct task *task, unsigned fd_arg)
{
	return peer_fd_position(task, (int)task->call.args[fd_arg]) - task->call.ret;
}

/* Where a call that was given an offset wrote.  Linux appends to a file opened
 * with O_APPEND whatever the offset. */
static uint64_t offset_given(const struct task *task, uint64_t offset)
{
	bool append = task->call.flags & RWF_APPEND ||
		      (task->call.fd_flags & O_APPEND && !(task->call.flags & RWF_NOAPPEND));
	struct stat st;
	if (append && fstat(task->call.fd, &st) == 0)
		return (uint64_t)st.st_size - task->call.ret;
	return offset;
}

static void wrote_write(struct task *task)
{
	struct source_bytes from = {.buffer = task->call.args[1]};
	call_wrote_at(task, offset_before(task, 0), &from);
}

static void wrote_writev(struct task *task)
{
	struct source_bytes from = {.vector = task->call.args[1], .count = task->call.args[2]};
	call_wrote_at(task, offset_before(task, 0), &from);
}

static void wrote_pwrite(struct task *task)
{
	struct source_bytes from = {.buffer = task->call.args[1]};
	call_wrote_at(task, offset_given(task, task->call.args[3]), &from);
}

/* An offset is whole in one argument on 64-bit machines; the other is unused. */
static void wrote_pwritev(struct task *task)
{
	struct source_bytes from = {.vector = task->call.args[1], .count = task->call.args[2]};
	uint64_t offset = task->call.args[3];
	bool at_position = offset == UINT64_MAX && !(task->call.flags & RWF_APPEND);
	call_wrote_at(task, at_position ? offset_before(task, 0) : offset_given(task, offset),
		      &from);
}

static void wrote_line(struct task *task)
{
	acks_take(task->recorder, task);
}

static void enter_write(struct task *task, unsigned fd_arg, void (*at_exit)(struct task *))
{
	if (call_takes_fd(task, (int)task->call.args[fd_arg])) {
		task->call.exclusive = true;
		task->call.at_exit = at_exit;
	} else if (acks_come_from(task, (int)task->call.args[fd_arg])) {
		task->call.at_exit = wrote_line;
	}
}

void call_write(struct task *task)
{
	enter_write(task, 0, wrote_write);
}

void call_pwrite64(struct task *task)
{
	enter_write(task, 0, wrote_pwrite);
}

void call_writev(struct task *task)
{
	enter_write(task, 0, wrote_writev);
}

void call_pwritev(struct task *task)
{
	enter_write(task, 0, wrote_pwritev);
}

void call_pwritev2(struct task *task)
{
	task->call.flags = task->call.args[5];
	enter_write(task, 0, wrote_pwritev);
}

/* copy_file_range and splice: argument 2 is the descriptor that is written to,
 * argument 3 points to an offset, which the call moves on, or is NULL. */
static void wrote_copy(struct task *task)
{
	static const struct source_bytes from_file;
	uint64_t after;
	if (!task->call.exclusive && mapped_is_watched(task->recorder, task->call.ino))
		call_inconclusive(task, "from an empty pipe into a file that is mapped shared");
	if (task->call.args[3] == 0)
		call_wrote_at(task, offset_before(task, 2), &from_file);
	else if (peer_read(task, task->call.args[3], &after, sizeof after))
		call_wrote_at(task, after - task->call.ret, &from_file);
	else
		call_inconclusive(task, "cannot read its offset");
}

static void wrote_sendfile(struct task *task)
{
	static const struct source_bytes from_file;
	call_wrote_at(task, offset_before(task, 0), &from_file);
}

void call_copy_file_range(struct task *task)
{
	enter_write(task, 2, wrote_copy);
}

void call_sendfile(struct task *task)
{
	enter_write(task, 0, wrote_sendfile);
}

/* Whether there is something in the pipe that a descriptor of the tracee reads. */
static bool is_pipe_filled(const struct task *task, int fd)
{
	bool shared;
	int ours = peer_fd(task, fd, &shared);
	struct pollfd ready = {.fd = ours, .events = POLLIN};
	bool filled = shared && poll(&ready, 1, 0) == 1;
	if (ours >= 0)
		close(ours);
	return filled;
}

/* It may wait for whoever fills the pipe. */
void call_splice(struct task *task)
{
	enter_write(task, 2, wrote_copy);
	task->call.exclusive =
		task->call.exclusive && is_pipe_filled(task, (int)task->call.args[0]);
}

static void truncated(struct task *task)
{
	uint64_t size = task->call.args[1];
	struct event *event = call_event(task, EVENT_TRUNCATE);
	event->ino = task->call.ino;
	event->length = size;
	tree_node(&task->recorder->tree, task->call.ino)->size = size;
}

void call_ftruncate(struct task *task)
{
	enter_write(task, 0, truncated);
}

static void truncated_unresolved(struct task *task)
{
	call_inconclusive(task, "cannot follow its path");
}

void call_truncate(struct task *task)
{
	struct call *call = &task->call;
	struct stat st;
	peer_place(task, AT_FDCWD, call->args[0], 0, &task->to);
	call->fd = peer_place_open(&task->to);
	if (call->fd < 0 || fstat(call->fd, &st) != 0) {
		/* Then the call will fail too, unless only we cannot follow. */
		call->at_exit = truncated_unresolved;
		return;
	}
	call->ino = call_identify(task->recorder, call->fd, &st);
	if (call->ino == 0)
		return;
	call->exclusive = true;
	call->at_exit = truncated;
}

static void allocated(struct task *task)
{
	uint64_t mode = task->call.args[1], offset = task->call.args[2],
		 length = task->call.args[3];
	const uint64_t zeroing =
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_WRITE_ZEROES;
	/* (Unsharing blocks is allocating them.) */
	if (mode & ~(zeroing | FALLOC_FL_KEEP_SIZE | FALLOC_FL_UNSHARE_RANGE)) {
		call_inconclusive(task, "mode 0x%llx is not modelled", (unsigned long long)mode);
		return;
	}
	struct event *event = call_event(task, mode & zeroing ? EVENT_ZERO : EVENT_FALLOCATE);
	event->ino = task->call.ino;
	event->offset = offset;
	event->length = length;
	if (mode & FALLOC_FL_KEEP_SIZE)
		event->flags = EVENT_KEEP_SIZE;
	else
		grow(task, offset + length);
}

/* A full disk may be noticed when a part has been done. */
static void allocated_in_part(struct task *task)
{
	struct stat st;
	const struct node *node = tree_node(&task->recorder->tree, task->call.ino);
	if (fstat(task->call.fd, &st) == 0 && (uint64_t)st.st_size != node->size)
		call_inconclusive(task, "failed, and yet changed the size");
}

void call_fallocate(struct task *task)
{
	enter_write(task, 0, allocated);
	if (task->call.exclusive)
		task->call.at_failure = allocated_in_part;
}

/* Sharing blocks by ioctl is like copy_file_range: FICLONE's argument is the
 * descriptor to take all from, FICLONERANGE's points to a range. */
static void cloned(struct task *task)
{
	static const struct source_bytes from_file;
	const uint64_t *args = task->call.args;
	struct file_clone_range range = {.src_fd = (int)args[2]};
	struct stat st;
	bool shared;
	if ((uint32_t)args[1] == FICLONERANGE && !peer_read(task, args[2], &range, sizeof range)) {
		call_inconclusive(task, "cannot read its range");
		return;
	}
	int source = peer_fd(task, (int)range.src_fd, &shared);
	if (range.src_length == 0 && (source < 0 || fstat(source, &st) != 0)) {
		call_inconclusive(task, "cannot see what it copied from");
	} else {
		task->call.ret = range.src_length ? range.src_length
						  : (uint64_t)st.st_size - range.src_offset;
		call_wrote_at(task, range.dest_offset, &from_file);
	}
	if (source >= 0)
		close(source);
}

void call_clone_range(struct task *task)
{
	enter_write(task, 0, cloned);
}
