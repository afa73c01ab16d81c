/* The FUSE program behind a device: one directory with one file, the disk. */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "device_inside.h"
#include "prng.h"

enum {
	DISK_INO = 2,
	LATE_MAX = 256, /* writes that are under way at a time; a further one is done at once */
};
static const double forever = 1e9; /* seconds: nothing changes behind the kernel's back */

static struct device *device_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static void fill(fuse_req_t request, fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){.st_ino = ino, .st_nlink = 1, .st_mode = S_IFDIR | 0700};
	if (ino == DISK_INO) {
		st->st_mode = S_IFREG | 0600;
		st->st_size = (off_t)device_of(request)->shared->bytes;
	}
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {
		.ino = DISK_INO, .attr_timeout = forever, .entry_timeout = forever};
	if (parent != FUSE_ROOT_ID || strcmp(name, DISK_NAME) != 0) {
		fuse_reply_err(request, ENOENT);
		return;
	}
	fill(request, DISK_INO, &e.attr);
	fuse_reply_entry(request, &e);
}

static void on_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat st;
	(void)info;
	fill(request, ino, &st);
	fuse_reply_attr(request, &st, forever);
}

/* Not through the page cache: each request of the loop device comes here at once. */
static void on_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	if (ino != DISK_INO) {
		fuse_reply_err(request, EISDIR);
		return;
	}
	info->direct_io = 1;
	fuse_reply_open(request, info);
}

static void on_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	const struct device *d = device_of(request);
	uint64_t from = (uint64_t)offset, bytes = d->shared->bytes;
	(void)ino;
	(void)info;
	if (from >= bytes)
		size = 0;
	else if (size > bytes - from)
		size = bytes - from;
	fuse_reply_buf(request, size ? (const char *)d->data + from : NULL, size);
}

static void record(struct device *d, uint64_t offset, const void *bytes, uint32_t length)
{
	struct device_shared *s = d->shared;
	if (!__atomic_load_n(&s->recording, __ATOMIC_SEQ_CST))
		return;
	if (s->n == LOG_ENTRIES || s->data_bytes + length > LOG_BYTES) {
		s->overflow = 1;
		return;
	}
	d->entries[s->n] = (struct block_entry){
		.offset = offset,
		.data = s->data_bytes,
		.length = length,
		.moment = __atomic_load_n(&s->moment, __ATOMIC_SEQ_CST),
	};
	if (length)
		memcpy(d->log_data + s->data_bytes, bytes, length);
	s->data_bytes += length;
	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_SEQ_CST);
}

/* ---- writes that take their time ---- */

/* A slow disk answers some writes much later than others.  A write that has not been
 * answered when a flush comes is not covered by it: it is recorded when it is answered. */
struct late {
	fuse_req_t request;
	uint64_t offset, due_ns;
	char *bytes;
	size_t size;
};

static struct late late[LATE_MAX];
static size_t n_late;
static struct prng delays;

/* One in four takes four times as long, the others anything up to a quarter of it. */
static uint64_t delay_ns(uint32_t slow_us)
{
	uint64_t ns = slow_us * UINT64_C(1000);
	return prng_below(&delays, 4) == 0 ? 4 * ns : prng_below(&delays, ns / 4 + 1);
}

static void put_off(fuse_req_t request, uint64_t offset, const char *bytes, size_t size,
		    uint32_t slow_us)
{
	late[n_late] =
		(struct late){request, offset, clock_ns() + delay_ns(slow_us), malloc(size), size};
	if (!late[n_late].bytes) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	memcpy(late[n_late++].bytes, bytes, size);
}

/* Answers what is due by then, the earliest first; returns when the next one is, or
 * UINT64_MAX. */
static uint64_t answer_late(struct device *d, uint64_t now_ns)
{
	for (;;) {
		size_t first = 0;
		for (size_t i = 1; i < n_late; i++)
			if (late[i].due_ns < late[first].due_ns)
				first = i;
		if (n_late == 0)
			return UINT64_MAX;
		struct late l = late[first];
		if (l.due_ns > now_ns)
			return l.due_ns;
		late[first] = late[--n_late];
		record(d, l.offset, l.bytes, (uint32_t)l.size);
		free(l.bytes);
		fuse_reply_write(l.request, l.size);
	}
}

static void on_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size,
		     off_t offset, struct fuse_file_info *info)
{
	struct device *d = device_of(request);
	uint64_t from = (uint64_t)offset;
	(void)ino;
	(void)info;
	if (from > d->shared->bytes || size > d->shared->bytes - from) {
		fuse_reply_err(request, ENOSPC);
		return;
	}
	memcpy(d->data + from, bytes, size);
	if (size)
		memset(d->shared->dirty + from / DEVICE_BLOCK, DEVICE_TOUCHED,
		       (from + size - 1) / DEVICE_BLOCK - from / DEVICE_BLOCK + 1);
	uint32_t slow_us = __atomic_load_n(&d->shared->slow_us, __ATOMIC_SEQ_CST);
	if (slow_us && n_late < LATE_MAX) {
		put_off(request, from, bytes, size, slow_us);
		return;
	}
	record(d, from, bytes, (uint32_t)size);
	fuse_reply_write(request, size);
}

static void on_fsync(fuse_req_t request, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
	(void)ino;
	(void)datasync;
	(void)info;
	record(device_of(request), 0, NULL, 0);
	fuse_reply_err(request, 0);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
};

static void leave_caller(int ready)
{
	sigset_t none;
	sigemptyset(&none);
	for (int s = 1; s <= SIGRTMAX; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	/* ready moves to 3, and all others are closed. */
	if (ready != 3) {
		dup3(ready, 3, O_CLOEXEC);
		close(ready);
	}
	close_range(4, ~0U, 0);
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 3)
		close(null);
}

static void serve(struct device *d, struct fuse_session *session)
{
	struct fuse_buf buf = {0};
	while (!fuse_session_exited(session)) {
		uint64_t now = clock_ns(), next = answer_late(d, now);
		struct pollfd p = {.fd = fuse_session_fd(session), .events = POLLIN};
		const struct timespec t = {.tv_sec = (time_t)((next - now) / 1000000000),
					   .tv_nsec = (long)((next - now) % 1000000000)};
		if (ppoll(&p, 1, next == UINT64_MAX ? NULL : &t, NULL) <= 0)
			continue;
		int n = fuse_session_receive_buf(session, &buf);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		fuse_session_process_buf(session, &buf);
	}
}

void device_serve(struct device *device, const char *dir, int ready, pid_t parent)
{
	char *argv[] = {(char[]){"powercut"}, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	uint8_t answer = SERVER_FAILED;
	struct fuse_session *session = NULL;
	leave_caller(ready);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	/* While the last users of the disk end, this process must not be one of those
	 * that the kernel waits for: the mount is in a namespace that only it has. */
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0 &&
	    (session = fuse_session_new(&args, &operations, sizeof operations, device)) &&
	    fuse_session_mount(session, dir) == 0)
		answer = SERVER_READY;
	else
		device->shared->error = errno;
	if (write(3, &answer, 1) != 1 || answer != SERVER_READY)
		_exit(1);
	close(3);
	prng_init(&delays, 1);
	serve(device, session);
	_exit(0);
}
