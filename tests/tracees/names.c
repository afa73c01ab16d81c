#include "tracee.h"

#include <linux/fs.h>
#include <sys/stat.h>

static void rename_kinds(void)
{
	open_raw("a", O_CREAT | O_WRONLY);
	expect("openat creat a");
	open_raw("b", O_CREAT | O_WRONLY);
	expect("openat creat b");
	NEED(syscall(SYS_renameat, AT_FDCWD, "a", AT_FDCWD, "c"));
	expect("renameat rename a -> c");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "b", 0)); /* replaces */
	expect("renameat2 rename c -> b");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "d", RENAME_NOREPLACE));
	expect("renameat2 rename b -> d");
	open_raw("e", O_CREAT | O_WRONLY);
	expect("openat creat e");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "e", RENAME_EXCHANGE));
	expect("renameat2 exchange d <-> e");
	NEED(syscall(SYS_linkat, AT_FDCWD, "d", AT_FDCWD, "d2", 0));
	expect("linkat link d2 to d");
	NEED(syscall(SYS_renameat, AT_FDCWD, "d", AT_FDCWD, "d2")); /* one file: nothing */
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "d", 0));
	expect("unlinkat unlink d");
}

static void directories(void)
{
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "x", 0777));
	expect("mkdirat mkdir x");
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "x/y", 0777));
	expect("mkdirat mkdir x/y");
	open_raw("x/y/f", O_CREAT | O_WRONLY);
	expect("openat creat x/y/f");
	NEED(syscall(SYS_renameat, AT_FDCWD, "x/y", AT_FDCWD, "z/"));
	expect("renameat rename x/y -> z");
	int fd = open_raw("z/f", O_WRONLY);
	expect("openat open z/f");
	NEED(syscall(SYS_write, fd, "1", 1));
	expect("write write z/f 0 \"1\"");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "x", AT_REMOVEDIR));
	expect("unlinkat rmdir x");
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "x", 0777));
	expect("mkdirat mkdir x");
	open_raw("x/f", O_CREAT | O_WRONLY);
	expect("openat creat x/f");
	NEED(syscall(SYS_mknodat, AT_FDCWD, "node", S_IFREG | 0600, 0));
	expect("mknodat creat node");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "x/f", AT_FDCWD, "z/f", RENAME_EXCHANGE));
	expect("renameat2 exchange x/f <-> z/f");
}

static void old_calls(void)
{
#ifdef SYS_rename
	NEED(syscall(SYS_rename, "e", "e1"));
	expect("rename rename e -> e1");
	NEED(syscall(SYS_link, "e1", "e2"));
	expect("link link e2 to e1");
	NEED(syscall(SYS_unlink, "e1"));
	expect("unlink unlink e1");
	NEED(syscall(SYS_symlink, "no/where", "s"));
	expect("symlink symlink s -> no/where");
	NEED(syscall(SYS_mkdir, "w", 0777));
	expect("mkdir mkdir w");
	NEED(syscall(SYS_rmdir, "w/"));
	expect("rmdir rmdir w");
	NEED(syscall(SYS_unlink, "s"));
	expect("unlink unlink s");
#endif
}

int tracee_names(void)
{
	rename_kinds();
	directories();
	old_calls();
	return 0;
}
