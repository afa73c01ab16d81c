#include "tracee.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#ifndef RWF_DSYNC
#define RWF_DSYNC  2
#define RWF_SYNC   4
#define RWF_APPEND 16
#endif

static void write_plainly(void)
{
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	NEED(syscall(SYS_write, fd, "hello ", 6));
	expect("write write f 0 \"hello \"");
	NEED(syscall(SYS_write, fd, "world", 5));
	expect("write write f 6 \"world\"");
	NEED(lseek(fd, 2, SEEK_SET));
	NEED(syscall(SYS_write, fd, "LL", 2));
	expect("write write f 2 \"LL\"");
	NEED(syscall(SYS_write, fd, "", 0));
	NEED(syscall(SYS_pwrite64, fd, "!", 1, 20L));
	expect("pwrite64 write f 20 \"!\"");
	struct iovec v[] = {{(char[]){"ab"}, 2}, {NULL, 0}, {(char[]){"cde"}, 3}};
	NEED(syscall(SYS_writev, fd, v, 3));
	expect("writev write f 4 \"abcde\"");
	NEED(syscall(SYS_pwritev, fd, v, 3, 1L, 0L));
	expect("pwritev write f 1 \"abcde\"");
	NEED(syscall(SYS_pwritev2, fd, v, 1, 30L, 0L, 0));
	expect("pwritev2 write f 30 \"ab\"");
	NEED(syscall(SYS_pwritev2, fd, v, 1, -1L, -1L, RWF_DSYNC));
	expect("pwritev2 write f 9 \"ab\" dsync");
	NEED(syscall(SYS_pwritev2, fd, v, 1, 0L, 0L, RWF_SYNC));
	expect("pwritev2 write f 0 \"ab\" fsync");
	NEED(syscall(SYS_pwritev2, fd, v, 1, 0L, 0L, RWF_APPEND));
	expect("pwritev2 write f 32 \"ab\"");
	close(fd);
}

static void write_appending(void)
{
	int fd = open_raw("f", O_WRONLY | O_APPEND);
	expect("openat open f");
	NEED(syscall(SYS_write, fd, "tail", 4));
	expect("write write f 34 \"tail\"");
	NEED(syscall(SYS_pwrite64, fd, "end", 3, 0L)); /* Linux: appends all the same */
	expect("pwrite64 write f 38 \"end\"");
	NEED(fcntl(fd, F_SETFL, 0));
	NEED(syscall(SYS_pwrite64, fd, "x", 1, 0L));
	expect("pwrite64 write f 0 \"x\"");
	close(fd);
}

static void write_synchronously(void)
{
	int fd = open_raw("f", O_WRONLY | O_DSYNC);
	expect("openat open f");
	NEED(syscall(SYS_write, fd, "d", 1));
	expect("write write f 0 \"d\" dsync");
	close(fd);
	fd = open_raw("f", O_WRONLY | O_SYNC);
	expect("openat open f");
	NEED(syscall(SYS_write, fd, "s", 1));
	expect("write write f 0 \"s\" fsync");
	close(fd);
}

static void write_much(void)
{
	static char block[100000];
	memset(block, 'x', sizeof block);
	int fd = open_raw("big", O_CREAT | O_WRONLY);
	expect("openat creat big");
	NEED(syscall(SYS_write, fd, block, sizeof block));
	expect("write write big 0 100000*x");
	close(fd);
}

int tracee_contents(void)
{
	write_plainly();
	write_appending();
	write_synchronously();
	write_much();
	return 0;
}

int tracee_copies(void)
{
	int from = open_raw("from", O_CREAT | O_RDWR), to = open_raw("to", O_CREAT | O_WRONLY);
	expect("openat creat from");
	expect("openat creat to");
	NEED(syscall(SYS_write, from, "0123456789", 10));
	expect("write write from 0 \"0123456789\"");
	loff_t in = 2, out = 5;
	NEED(syscall(SYS_copy_file_range, from, &in, to, &out, 4, 0));
	expect("copy_file_range write to 5 \"2345\"");
	NEED(lseek(from, 0, SEEK_SET));
	NEED(syscall(SYS_copy_file_range, from, NULL, to, NULL, 3, 0));
	expect("copy_file_range write to 0 \"012\"");
	off_t at = 7;
	NEED(syscall(SYS_sendfile, to, from, &at, 2));
	expect("sendfile write to 3 \"78\"");
	int pair[2];
	NEED(pipe(pair));
	NEED(syscall(SYS_write, pair[1], "through a pipe", 14));
	out = 20;
	NEED(syscall(SYS_splice, pair[0], NULL, to, &out, 7, 0));
	expect("splice write to 20 \"through\"");
	NEED(syscall(SYS_splice, pair[0], NULL, to, NULL, 7, 0));
	expect("splice write to 5 \" a pipe\"");
	return 0;
}

static void allocate(int fd, int mode, off_t offset, off_t length, const char *line)
{
	if (syscall(SYS_fallocate, fd, mode, offset, length) == 0)
		expect("%s", line);
	else if (errno != EOPNOTSUPP)
		exit(99);
}

int tracee_sizes(void)
{
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	NEED(syscall(SYS_ftruncate, fd, 5000));
	expect("ftruncate truncate f 5000");
	NEED(syscall(SYS_write, fd, "abcdefgh", 8));
	expect("write write f 0 \"abcdefgh\"");
	NEED(syscall(SYS_truncate, "f", 4));
	expect("truncate truncate f 4");
	NEED(syscall(SYS_truncate, "f", 10000));
	expect("truncate truncate f 10000");
	allocate(fd, 0, 8000, 4000, "fallocate fallocate f 8000 4000");
	allocate(fd, FALLOC_FL_KEEP_SIZE, 10000, 9000, "fallocate fallocate f 10000 9000 keep");
	allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 2, "fallocate zero f 1 2 keep");
	allocate(fd, FALLOC_FL_ZERO_RANGE, 11000, 3000, "fallocate zero f 11000 3000");
	NEED(syscall(SYS_ftruncate, fd, 1LL << 40));
	expect("ftruncate truncate f 1099511627776");
	NEED(syscall(SYS_pwrite64, fd, "far", 3, 1LL << 39));
	expect("pwrite64 write f 549755813888 \"far\"");
	close(fd);
	return 0;
}
