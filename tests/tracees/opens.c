#include "tracee.h"

#include <linux/openat2.h>
#include <string.h>

int tracee_opens(void)
{
	int fd = open_raw("f", O_CREAT | O_RDONLY);
	expect("openat creat f");
	open_raw("f", O_CREAT | O_RDONLY);
	open_raw("f", O_RDONLY);
	open_raw("f", O_RDWR | O_PATH);
	open_raw(".", O_RDONLY | O_DIRECTORY);
	open_raw("f", O_RDWR | O_TRUNC); /* empty: nothing to cut */
	expect("openat open f");
	fd = open_raw("f", O_WRONLY);
	expect("openat open f");
	NEED(syscall(SYS_write, fd, "abc", 3));
	expect("write write f 0 \"abc\"");
	open_raw("f", O_WRONLY | O_TRUNC);
	expect("openat open f");
	expect("openat truncate f 0");
#ifdef SYS_open
	NEED(syscall(SYS_open, "g", O_CREAT | O_WRONLY, 0666));
	expect("open creat g");
	NEED(syscall(SYS_creat, "g", 0666));
	expect("creat open g");
	NEED(syscall(SYS_creat, "h", 0666));
	expect("creat creat h");
#endif
	struct open_how how = {.flags = O_CREAT | O_WRONLY | O_EXCL, .mode = 0600};
	NEED(syscall(SYS_openat2, AT_FDCWD, "i", &how, sizeof how));
	expect("openat2 creat i");
	NEED(symlink("f", "to-f"));
	expect("symlink symlink to-f -> f");
	open_raw("to-f", O_WRONLY);
	expect("openat open f");
	NEED(symlink("later", "to-later"));
	expect("symlink symlink to-later -> later");
	open_raw("to-later", O_WRONLY | O_CREAT);
	expect("openat creat later");
	return 0;
}

/* The same file by every kind of path. */
int tracee_paths(void)
{
	char absolute[4096], proc[64];
	NEED(getcwd(absolute, sizeof absolute - 100) ? 0 : -1);
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "d", 0777));
	expect("mkdirat mkdir d");
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "d/e///", 0777));
	expect("mkdirat mkdir d/e");
	int d = open_raw("d", O_RDONLY | O_DIRECTORY);
	NEED(syscall(SYS_openat, d, "e/../e/./f", O_CREAT | O_WRONLY, 0666));
	expect("openat creat d/e/f");
	strcat(absolute, "/d/e/g");
	NEED(syscall(SYS_openat, d, absolute, O_CREAT | O_WRONLY, 0666));
	expect("openat creat d/e/g");
	NEED(syscall(SYS_symlinkat, "d/e", AT_FDCWD, "short"));
	expect("symlinkat symlink short -> d/e");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "short/g", 0));
	expect("unlinkat unlink d/e/g");
	NEED(chdir("d/e"));
	int f = open_raw("f", O_WRONLY);
	expect("openat open d/e/f");
	NEED(syscall(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, "../h", 0));
	expect("linkat link d/h to d/e/f");
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", f);
	open_raw(proc, O_WRONLY);
	expect("openat open d/e/f");
	NEED(syscall(SYS_linkat, AT_FDCWD, proc, AT_FDCWD, "/proc/self/cwd/i", AT_SYMLINK_FOLLOW));
	expect("linkat link d/e/i to d/e/f");
	return 0;
}
