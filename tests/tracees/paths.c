/* The same directory by every way that leads to it, and some that seem to. */
#include "tracee.h"

#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

static int make(const char *path)
{
	return open_raw(path, O_CREAT | O_WRONLY);
}

static void make_dir(const char *path)
{
	NEED(syscall(SYS_mkdirat, AT_FDCWD, path, 0777));
	expect("mkdirat mkdir %s", path);
}

static long open_resolved(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {.flags = flags, .mode = makes ? 0600 : 0, .resolve = resolve};
	return syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* openat2, which may give a path another meaning. */
int tracee_resolved(void)
{
	make_dir("d");
	int d = open_raw("d", O_RDONLY | O_DIRECTORY);
	NEED(open_resolved(d, "/in", O_CREAT | O_WRONLY, RESOLVE_IN_ROOT));
	expect("openat2 creat d/in");
	NEED(open_resolved(d, "/../../still-in", O_CREAT | O_WRONLY, RESOLVE_IN_ROOT));
	expect("openat2 creat d/still-in");
	NEED(open_resolved(d, "../d/below", O_CREAT | O_WRONLY, 0));
	expect("openat2 creat d/below");
	if (open_resolved(d, "../out", O_CREAT | O_WRONLY, RESOLVE_BENEATH) >= 0)
		return 99;
	NEED(syscall(SYS_symlinkat, "below", d, "link"));
	expect("symlinkat symlink d/link -> below");
	if (open_resolved(d, "link", O_WRONLY | O_TRUNC, RESOLVE_NO_SYMLINKS) >= 0)
		return 99;
	int fd = (int)NEED(open_resolved(d, "link", O_WRONLY, RESOLVE_BENEATH));
	expect("openat2 open d/below");
	NEED(syscall(SYS_write, fd, "x", 1));
	expect("write write d/below 0 \"x\"");
	NEED(open_resolved(d, "/link", O_WRONLY | O_TRUNC, RESOLVE_IN_ROOT));
	expect("openat2 open d/below");
	expect("openat2 truncate d/below 0");
	if (open_resolved(d, "/", O_TMPFILE | O_WRONLY, RESOLVE_IN_ROOT) >= 0)
		expect("openat2 creat #7");
	return 0;
}

/* Paths that lead through descriptors: "self" is the tracee. */
int tracee_through_proc(void)
{
	char path[64];
	make_dir("d");
	int d = open_raw("d", O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof path, "/dev/fd/%d/a", d);
	int a = make(path);
	expect("openat creat d/a");
	snprintf(path, sizeof path, "/proc/%d/fd/%d/b", getpid(), d);
	NEED(syscall(SYS_mkdirat, AT_FDCWD, path, 0777));
	expect("mkdirat mkdir d/b");
	NEED(syscall(SYS_renameat, AT_FDCWD, "/proc/self/cwd/d/b", AT_FDCWD,
		     "/proc/thread-self/cwd/c"));
	expect("renameat rename d/b -> c");
	NEED(syscall(SYS_write, a, "abc", 3));
	expect("write write d/a 0 \"abc\"");
	snprintf(path, sizeof path, "/dev/fd/%d", a);
	NEED(syscall(SYS_truncate, path, 1));
	expect("truncate truncate d/a 1");
	snprintf(path, sizeof path, "/proc/self/fd/%d", a);
	NEED(syscall(SYS_truncate, path, 2));
	expect("truncate truncate d/a 2");
	open_raw(path, O_WRONLY | O_TRUNC);
	expect("openat open d/a");
	expect("openat truncate d/a 0");
	return 0;
}

/* Out of the directory and in again, by names and by links. */
int tracee_dotdot(void)
{
	char here[4096], path[4200];
	NEED(getcwd(here, sizeof here) ? 0 : -1);
	const char *name = strrchr(here, '/') + 1;
	snprintf(path, sizeof path, "../%s/../%s/f", name, name);
	int fd = make(path);
	expect("openat creat f");
	NEED(syscall(SYS_write, fd, "1", 1));
	expect("write write f 0 \"1\"");
	NEED(syscall(SYS_symlinkat, "..", AT_FDCWD, "up"));
	expect("symlinkat symlink up -> ..");
	snprintf(path, sizeof path, "up/%s/g", name);
	NEED(syscall(SYS_renameat, AT_FDCWD, "f", AT_FDCWD, path));
	expect("renameat rename f -> g");
	NEED(syscall(SYS_symlinkat, here, AT_FDCWD, "../in"));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "up/in/g", 0));
	expect("unlinkat unlink g");
	snprintf(path, sizeof path, "%s/made", name);
	NEED(syscall(SYS_symlinkat, path, AT_FDCWD, "../to-made"));
	make("../to-made");
	expect("openat creat made");
	make("up/not-ours");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "up/not-ours", 0));
	int up = open_raw("up", O_RDONLY | O_DIRECTORY);
	NEED(fchdir(up));
	snprintf(path, sizeof path, "%s/h", name);
	NEED(syscall(SYS_mkdirat, AT_FDCWD, path, 0777));
	expect("mkdirat mkdir h");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "in/up", 0));
	expect("unlinkat unlink up");
	return 0;
}

/* Names of 255 bytes, and directories so deep that no path leads there. */
int tracee_long_names(void)
{
	char name[256], path[8192] = "";
	memset(name, 'n', 255);
	name[255] = '\0';
	make(name);
	expect("openat creat %s", name);
	name[254] = 'm';
	NEED(syscall(SYS_linkat, AT_FDCWD, "nothing", AT_FDCWD, name, 0) < 0 ? 0 : -1);
	for (int i = 0; i < 20; i++) {
		snprintf(path + strlen(path), 300, "%s%s", i ? "/" : "", name);
		NEED(syscall(SYS_mkdirat, AT_FDCWD, name, 0777));
		expect("mkdirat mkdir %s", path);
		NEED(chdir(name));
	}
	int fd = make("f");
	expect("openat creat %s/f", path);
	NEED(syscall(SYS_write, fd, "deep", 4));
	expect("write write %s/f 0 \"deep\"", path);
	NEED(syscall(SYS_renameat, AT_FDCWD, "f", AT_FDCWD, "../g"));
	path[strlen(path) - 256] = '\0';
	expect("renameat rename %s/%s/f -> %s/g", path, name, path);
	return 0;
}

/* Directories move with what is in them. */
int tracee_trees(void)
{
	make_dir("a");
	make_dir("a/b");
	make_dir("a/b/c");
	int fd = make("a/b/c/f"), c = open_raw("a/b/c", O_RDONLY | O_DIRECTORY);
	expect("openat creat a/b/c/f");
	make_dir("z");
	NEED(syscall(SYS_renameat, AT_FDCWD, "a/b", AT_FDCWD, "z/y"));
	expect("renameat rename a/b -> z/y");
	NEED(syscall(SYS_write, fd, "moved", 5));
	expect("write write z/y/c/f 0 \"moved\"");
	NEED(syscall(SYS_openat, c, "g", O_CREAT | O_WRONLY, 0666));
	expect("openat creat z/y/c/g");
	NEED(syscall(SYS_openat, c, "../../h", O_CREAT | O_WRONLY, 0666));
	expect("openat creat z/h");
	NEED(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "z/y", 2)); /* RENAME_EXCHANGE */
	expect("renameat2 exchange a <-> z/y");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "a/c/f", 0));
	expect("unlinkat unlink a/c/f");
	NEED(syscall(SYS_fsync, c));
	expect("fsync fsync a/c");
	NEED(syscall(SYS_renameat, AT_FDCWD, "a/c", AT_FDCWD, "z/y")); /* replaces an empty one */
	expect("renameat rename a/c -> z/y");
	NEED(syscall(SYS_unlinkat, c, "g", 0));
	expect("unlinkat unlink z/y/g");
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "z/y", AT_REMOVEDIR));
	expect("unlinkat rmdir z/y");
	NEED(syscall(SYS_openat, c, "gone", O_CREAT | O_WRONLY, 0666) < 0 ? 0 : -1);
	return 0;
}

int tracee_many(void)
{
	enum { FILES = 300 };
	char name[16];
	int fds[FILES / 2];
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "f%d", i % (FILES / 2));
		int fd = make(name);
		expect("openat %s %s", i < FILES / 2 ? "creat" : "open", name);
		if (i < FILES / 2)
			fds[i] = fd;
		else
			close(fd);
	}
	for (int i = 0; i < FILES / 2; i += 2) {
		snprintf(name, sizeof name, "f%d", i);
		NEED(syscall(SYS_unlinkat, AT_FDCWD, name, 0));
		expect("unlinkat unlink %s", name);
		NEED(syscall(SYS_pwrite64, fds[i + 1], name, 2, 100000L * i));
		expect("pwrite64 write f%d %ld \"%.2s\"", i + 1, 100000L * i, name);
	}
	return 0;
}
