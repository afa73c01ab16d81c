#include "tracee.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* One file through many descriptors and names. */
int tracee_descriptors(void)
{
	int a = open_raw("f", O_CREAT | O_WRONLY);
	expect("openat creat f");
	int b = (int)NEED(dup(a));
	NEED(syscall(SYS_write, a, "1", 1));
	expect("write write f 0 \"1\"");
	NEED(syscall(SYS_write, b, "2", 1)); /* shares the position */
	expect("write write f 1 \"2\"");
	close(a);
	int other = open_raw("g", O_CREAT | O_WRONLY); /* takes the number of a */
	expect("openat creat g");
	NEED(syscall(SYS_write, other, "g", 1));
	expect("write write g 0 \"g\"");
	NEED(dup2(b, other));
	NEED(syscall(SYS_write, other, "3", 1));
	expect("write write f 2 \"3\"");
	NEED(syscall(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, "h", 0));
	expect("linkat link h to f");
	int c = open_raw("h", O_WRONLY);
	expect("openat open f");
	NEED(syscall(SYS_write, c, "4", 1));
	expect("write write f 0 \"4\"");
	NEED(syscall(SYS_fsync, b));
	expect("fsync fsync f");
	return 0;
}

int tracee_unlinked(void)
{
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "f", 0));
	expect("unlinkat unlink f");
	NEED(syscall(SYS_write, fd, "lost", 4));
	expect("write write #2 0 \"lost\"");
	NEED(syscall(SYS_ftruncate, fd, 2));
	expect("ftruncate truncate #2 2");
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync #2");
	int again = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	NEED(syscall(SYS_write, again, "kept", 4));
	expect("write write f 0 \"kept\"");
	int over = open_raw("g", O_CREAT | O_RDWR);
	expect("openat creat g");
	NEED(syscall(SYS_renameat, AT_FDCWD, "g", AT_FDCWD, "f"));
	expect("renameat rename g -> f");
	NEED(syscall(SYS_write, again, "!", 1));
	expect("write write #3 4 \"!\"");
	NEED(syscall(SYS_write, over, "new", 3));
	expect("write write f 0 \"new\"");
	return 0;
}

/* File systems give the number of a file that is gone to the next one, here or
 * elsewhere. */
int tracee_reuse(void)
{
	for (int i = 0; i < 3; i++) {
		int fd = open_raw("f", O_CREAT | O_WRONLY);
		expect("openat creat f");
		NEED(syscall(SYS_write, fd, "x", 1));
		expect("write write f 0 \"x\"");
		NEED(syscall(SYS_unlinkat, AT_FDCWD, "f", 0));
		expect("unlinkat unlink f");
		close(fd);
		int out = open_raw("../outside", O_CREAT | O_RDWR | O_TRUNC);
		NEED(syscall(SYS_write, out, "not ours", 8));
		NEED(syscall(SYS_unlinkat, AT_FDCWD, "../outside", 0));
		NEED(syscall(SYS_write, out, "not ours", 8));
		NEED(syscall(SYS_fsync, out));
		close(out);
		NEED(syscall(SYS_mkdirat, AT_FDCWD, "d", 0777));
		expect("mkdirat mkdir d");
		NEED(syscall(SYS_unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
		expect("unlinkat rmdir d");
		NEED(syscall(SYS_mkdirat, AT_FDCWD, "../other", 0777));
		NEED(syscall(SYS_mkdirat, AT_FDCWD, "../other/d", 0777));
		close(open_raw("../other/d/f", O_CREAT | O_WRONLY));
		NEED(unlink("../other/d/f"));
		NEED(rmdir("../other/d"));
		NEED(rmdir("../other"));
	}
	return 0;
}

static void fails(long result, int with)
{
	if (result >= 0 || errno != with) {
		perror("unexpected");
		exit(99);
	}
}

int tracee_failures(void)
{
	int fd = open_raw("f", O_CREAT | O_RDONLY);
	expect("openat creat f");
	fails(syscall(SYS_openat, AT_FDCWD, "f", O_CREAT | O_EXCL | O_WRONLY, 0666), EEXIST);
	fails(syscall(SYS_openat, AT_FDCWD, "no/f", O_CREAT | O_WRONLY, 0666), ENOENT);
	fails(syscall(SYS_openat, AT_FDCWD, ".", O_WRONLY), EISDIR);
	fails(syscall(SYS_write, fd, "x", 1), EBADF);
	fails(syscall(SYS_write, 77, "x", 1), EBADF);
	fails(syscall(SYS_write, fd, NULL, -1), EBADF);
	fails(syscall(SYS_ftruncate, fd, 5), EINVAL);
	fails(syscall(SYS_fsync, 77), EBADF);
	fails(syscall(SYS_mkdirat, AT_FDCWD, "f", 0777), EEXIST);
	fails(syscall(SYS_mkdirat, AT_FDCWD, "no/d", 0777), ENOENT);
	fails(syscall(SYS_unlinkat, AT_FDCWD, "no", 0), ENOENT);
	fails(syscall(SYS_unlinkat, AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
	fails(syscall(SYS_renameat, AT_FDCWD, "no", AT_FDCWD, "f"), ENOENT);
	fails(syscall(SYS_linkat, AT_FDCWD, "no", AT_FDCWD, "g", 0), ENOENT);
	fails(syscall(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, "f", 0), EEXIST);
	fails(syscall(SYS_symlinkat, "x", AT_FDCWD, "f"), EEXIST);
	fails(syscall(SYS_truncate, "no", 0), ENOENT);
	fails(syscall(SYS_unlinkat, AT_FDCWD, (char *)16, 0), EFAULT);
	fails(syscall(SYS_openat, AT_FDCWD, (char *)16, O_CREAT | O_WRONLY, 0666), EFAULT);
	return 0;
}

/* Nothing of this is under the data directory. */
int tracee_outside(void)
{
	int fd = open_raw("../outside", O_CREAT | O_RDWR);
	NEED(syscall(SYS_write, fd, "x", 1));
	NEED(syscall(SYS_ftruncate, fd, 100));
	NEED(syscall(SYS_fsync, fd));
	NEED(syscall(SYS_linkat, AT_FDCWD, "../outside", AT_FDCWD, "../outside2", 0));
	NEED(syscall(SYS_renameat, AT_FDCWD, "../outside2", AT_FDCWD, "../outside3"));
	NEED(syscall(SYS_truncate, "../outside3", 0));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "../outside3", 0));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "../outside", 0));
	NEED(syscall(SYS_write, fd, "x", 1));
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "../outside", 0777));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "../outside", AT_REMOVEDIR));
	NEED(syscall(SYS_mknodat, AT_FDCWD, "../outside", S_IFIFO | 0600, 0));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "../outside", 0));
	NEED(chmod(".", 0755));
	return 0;
}
