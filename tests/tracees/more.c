/* Less common ways to change a file. */
#include "tracee.h"

#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif
enum { EMPTY_PATH = 0x1000 }; /* AT_EMPTY_PATH */

static int make(const char *name)
{
	int fd = open_raw(name, O_CREAT | O_RDWR);
	expect("openat creat %s", name);
	return fd;
}

/* A file without a name, which may get one. */
int tracee_tmpfile(void)
{
	char path[64];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		return NOT_HERE;
	expect("openat creat #2");
	NEED(syscall(SYS_write, fd, "first", 5));
	expect("write write #2 0 \"first\"");
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync #2");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	NEED(syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
	expect("linkat link f to #2");
	NEED(syscall(SYS_write, fd, "+", 1));
	expect("write write f 5 \"+\"");
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "d", 0777));
	expect("mkdirat mkdir d");
	int dir = open_raw("d", O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
	fd = open_raw(path, O_TMPFILE | O_WRONLY);
	expect("openat creat #4");
	NEED(syscall(SYS_ftruncate, fd, 3));
	expect("ftruncate truncate #4 3");
	/* Needs a privilege. */
	if (syscall(SYS_linkat, fd, "", dir, "g", EMPTY_PATH) == 0)
		expect("linkat link d/g to #4");
	/* Never linked: in no state. */
	fd = open_raw("d", O_TMPFILE | O_WRONLY);
	expect("openat creat #5");
	NEED(syscall(SYS_write, fd, "lost", 4));
	expect("write write #5 0 \"lost\"");
	fd = open_raw("..", O_TMPFILE | O_WRONLY); /* not ours */
	NEED(syscall(SYS_write, fd, "lost", 4));
	return 0;
}

/* Most file systems cannot; then nothing may be reported. */
int tracee_clone_file(void)
{
	int from = make("from"), to = make("to");
	char block[4096];
	memset(block, 'x', sizeof block);
	for (int i = 0; i < 2; i++) {
		NEED(syscall(SYS_write, from, block, sizeof block));
		expect("write write from %d 4096*x", 4096 * i);
	}
	if (ioctl(to, FICLONE, from) == 0)
		expect("ioctl write to 0 8192*x");
	struct file_clone_range range = {
		.src_fd = from, .src_offset = 4096, .src_length = 4096, .dest_offset = 12288};
	if (ioctl(to, FICLONERANGE, &range) == 0)
		expect("ioctl write to 12288 4096*x");
	int attributes;
	if (ioctl(to, FS_IOC_GETFLAGS, &attributes) == 0)
		ioctl(to, FS_IOC_SETFLAGS, &attributes);
	return 0;
}

/* Bytes that come through pipes, by splice, tee and vmsplice. */
int tracee_pipes(void)
{
	int fd = make("f"), a[2], b[2];
	NEED(pipe(a));
	NEED(pipe(b));
	struct iovec v = {(char[]){"gift"}, 4};
	NEED(syscall(SYS_vmsplice, a[1], &v, 1, 0));
	NEED(syscall(SYS_tee, a[0], b[1], 4, 0));
	NEED(syscall(SYS_splice, a[0], NULL, fd, NULL, 4, 0));
	expect("splice write f 0 \"gift\"");
	loff_t at = 10;
	NEED(syscall(SYS_splice, b[0], NULL, fd, &at, 2, 0));
	expect("splice write f 10 \"gi\"");
	NEED(syscall(SYS_splice, b[0], NULL, fd, &at, 100, 0)); /* less than asked for */
	expect("splice write f 12 \"ft\"");
	fflush(stdout);
	/* The writer waits for the pipe while another changes the file. */
	if (NEED(fork()) == 0) {
		usleep(20000);
		NEED(syscall(SYS_pwrite64, fd, "before", 6, 20L));
		NEED(syscall(SYS_write, b[1], "late", 4));
		_exit(0);
	}
	expect("pwrite64 write f 20 \"before\"");
	at = 30;
	NEED(syscall(SYS_splice, b[0], NULL, fd, &at, 4, 0));
	expect("splice write f 30 \"late\"");
	/* Within one file. */
	loff_t in = 0, out = 40;
	NEED(syscall(SYS_copy_file_range, fd, &in, fd, &out, 4, 0));
	expect("copy_file_range write f 40 \"gift\"");
	return 0;
}

static void write_appending(int fd)
{
	struct iovec v = {(char[]){"ab"}, 2};
	NEED(fcntl(fd, F_SETFL, O_APPEND));
	NEED(syscall(SYS_pwrite64, fd, "end", 3, 0L));
	expect("pwrite64 write f 100 \"end\"");
	if (syscall(SYS_pwritev2, fd, &v, 1, 0L, 0L, RWF_NOAPPEND) == 2)
		expect("pwritev2 write f 0 \"ab\"");
	NEED(lseek(fd, 0, SEEK_SET));
	NEED(syscall(SYS_writev, fd, &v, 1));
	expect("writev write f 103 \"ab\"");
	NEED(fcntl(fd, F_SETFL, 0));
	NEED(syscall(SYS_write, fd, "!", 1));
	expect("write write f 105 \"!\"");
	if (syscall(SYS_pwritev2, fd, &v, 1, 50L, 0L, RWF_DONTCACHE) == 2)
		expect("pwritev2 write f 50 \"ab\"");
	NEED(syscall(SYS_pwritev2, fd, &v, 1, 52L, 0L, RWF_DSYNC));
	expect("pwritev2 write f 52 \"ab\" dsync");
	v.iov_len = 0;
	NEED(syscall(SYS_pwritev2, fd, &v, 1, 52L, 0L, RWF_SYNC));
}

static void write_directly(int fd)
{
	void *block;
	if (posix_memalign(&block, 4096, 4096) != 0)
		exit(99);
	memset(block, 'd', 4096);
	if (fcntl(fd, F_SETFL, O_DIRECT) == 0 &&
	    syscall(SYS_pwrite64, fd, block, 4096, 8192L) == 4096)
		expect("pwrite64 write f 8192 4096*d");
	free(block);
}

static void allocate(int fd, int mode, const char *line)
{
	if (syscall(SYS_fallocate, fd, mode, 4096L, 4096L) == 0)
		expect("%s", line);
}

/* Flags that change what a call does, or that only seem to. */
int tracee_flags(void)
{
	int fd = make("f");
	NEED(syscall(SYS_ftruncate, fd, 100L));
	expect("ftruncate truncate f 100");
	write_appending(fd);
	write_directly(fd);
	allocate(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE,
		 "fallocate fallocate f 4096 4096 keep");
	allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, "fallocate zero f 4096 4096 keep");
	allocate(fd, 0x80, "fallocate zero f 4096 4096"); /* FALLOC_FL_WRITE_ZEROES */
	int dup = (int)NEED(syscall(SYS_dup3, fd, 100, O_CLOEXEC));
	NEED(fcntl(fd, F_SETFL, 0));
	NEED(lseek(dup, 7, SEEK_SET));
	NEED(syscall(SYS_flock, fd, 2)); /* LOCK_EX */
	NEED(syscall(SYS_write, fd, "dup", 3));
	expect("write write f 7 \"dup\"");
	close(fd);
	fd = open_raw("f", O_RDONLY | O_TRUNC); /* cuts, though it cannot write */
	expect("openat truncate f 0");
	return 0;
}

static void submit(aio_context_t context, struct iocb *block)
{
	NEED(syscall(SYS_io_submit, context, 1, &block));
}

static void reap(aio_context_t context, int n)
{
	struct io_event done[4];
	while (n > 0)
		n -= (int)NEED(syscall(SYS_io_getevents, context, 1, 4, done, NULL));
}

/* More than its ring has room for, so that it goes round. */
static void submit_often(aio_context_t context, int fd)
{
	for (int i = 0; i < 200; i++) {
		char byte = (char)('a' + i % 26);
		struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE,
				     .aio_fildes = (unsigned)fd,
				     .aio_buf = (uintptr_t)&byte,
				     .aio_nbytes = 1,
				     .aio_offset = i};
		submit(context, &write);
		expect("io_submit write f %d \"%c\"", i, byte);
		reap(context, 1);
	}
}

/* These do not wait in io_submit for the disk. */
static void submit_directly(aio_context_t context)
{
	void *block;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "f", O_WRONLY | O_DIRECT);
	if (fd < 0)
		return;
	expect("openat open f");
	if (posix_memalign(&block, 4096, 16384) != 0)
		exit(99);
	memset(block, 'd', 16384);
	struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			     .aio_fildes = (unsigned)fd,
			     .aio_buf = (uintptr_t)block,
			     .aio_nbytes = 16384,
			     .aio_offset = 4096};
	for (int i = 0; i < 20; i++) { /* the first allocates, the others need not */
		submit(context, &write);
		expect("io_submit write f 4096 16384*d");
		reap(context, 1);
	}
	close(fd);
	free(block);
}

/* Linux's own asynchronous calls. */
int tracee_aio(void)
{
	aio_context_t context = 0;
	int fd = make("f"), other = open_raw("../outside", O_CREAT | O_RDWR);
	char buffer[8];
	if (syscall(SYS_io_setup, 2, &context) != 0)
		return NOT_HERE;
	struct iovec v[] = {{(char[]){"ab"}, 2}, {(char[]){"cde"}, 3}};
	struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			     .aio_fildes = (unsigned)fd,
			     .aio_buf = (uintptr_t) "asynchronous",
			     .aio_nbytes = 12,
			     .aio_offset = 3},
		    vector = {.aio_lio_opcode = IOCB_CMD_PWRITEV,
			      .aio_fildes = (unsigned)fd,
			      .aio_buf = (uintptr_t)v,
			      .aio_nbytes = 2,
			      .aio_rw_flags = RWF_DSYNC},
		    read = {.aio_lio_opcode = IOCB_CMD_PREAD,
			    .aio_fildes = (unsigned)fd,
			    .aio_buf = (uintptr_t)buffer,
			    .aio_nbytes = sizeof buffer},
		    outside = write,
		    sync = {.aio_lio_opcode = IOCB_CMD_FDSYNC, .aio_fildes = (unsigned)fd};
	outside.aio_fildes = (unsigned)other;
	submit(context, &write);
	expect("io_submit write f 3 \"asynchronous\"");
	struct iocb *list[] = {&outside, &read, &vector};
	NEED(syscall(SYS_io_submit, context, 3, list));
	expect("io_submit write f 0 \"abcde\" dsync");
	reap(context, 4);
	submit(context, &sync);
	expect("io_submit fdatasync f");
	reap(context, 1);
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync f");
	submit_often(context, fd);
	submit_directly(context);
	write.aio_fildes = 77;
	if (syscall(SYS_io_submit, context, 1, (struct iocb *[]){&write}) >= 0)
		return 99;
	NEED(syscall(SYS_io_destroy, context));
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync f");
	NEED(unlink("../outside"));
	return 0;
}

static int bind_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = (int)NEED(socket(AF_UNIX, SOCK_STREAM, 0));
	memcpy(address.sun_path, path, strlen(path) + 1);
	NEED(bind(fd, (struct sockaddr *)(void *)&address, sizeof address));
	return fd;
}

/* A socket has a name, and no part in the trace. */
int tracee_sockets(void)
{
	bind_to("s");
	bind_to("t");
	NEED(syscall(SYS_renameat, AT_FDCWD, "s", AT_FDCWD, "u"));
	NEED(syscall(SYS_renameat, AT_FDCWD, "u", AT_FDCWD, "t"));
	make("u");
	make("f");
	NEED(syscall(SYS_renameat, AT_FDCWD, "t", AT_FDCWD, "f"));
	expect("renameat unlink f");
	make("g");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g", 2)); /* RENAME_EXCHANGE */
	expect("renameat2 rename g -> f");
	make("h");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "h", AT_FDCWD, "g", 2));
	expect("renameat2 rename h -> g");
	NEED(syscall(SYS_linkat, AT_FDCWD, "h", AT_FDCWD, "i", 0));
	NEED(syscall(SYS_renameat, AT_FDCWD, "g", AT_FDCWD, "i"));
	expect("renameat rename g -> i");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "h", 0));
	bind_to("../outside");
	return 0;
}

/* Replaced again and again, while somebody has it open. */
int tracee_replaced(void)
{
	char line[16];
	int old = make("f");
	for (int i = 0; i < 5; i++) {
		int fd = make("f.new");
		snprintf(line, sizeof line, "v%d", i);
		NEED(syscall(SYS_write, fd, line, 2));
		expect("write write f.new 0 \"%s\"", line);
		NEED(syscall(SYS_fdatasync, fd));
		expect("fdatasync fdatasync f.new");
		NEED(syscall(SYS_renameat, AT_FDCWD, "f.new", AT_FDCWD, "f"));
		expect("renameat rename f.new -> f");
		NEED(syscall(SYS_pwrite64, old, "late", 4, 0L));
		expect("pwrite64 write #%d 0 \"late\"", 2 + i);
		close(old);
		old = fd;
	}
	return 0;
}
