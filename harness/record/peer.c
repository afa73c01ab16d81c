#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

static void *peer_pointer(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

bool peer_read(const struct task *task, uint64_t addr, void *out, size_t n)
{
	struct iovec here = {out, n}, there = {peer_pointer(addr), n};
	return process_vm_readv(task->tid, &here, 1, &there, 1, 0) == (ssize_t)n;
}

bool peer_gather(const struct task *task, const struct iovec *from, size_t n_from, void *out,
		 size_t n)
{
	struct iovec here = {out, n};
	return process_vm_readv(task->tid, &here, 1, from, n_from, 0) == (ssize_t)n;
}

bool peer_string(const struct task *task, uint64_t addr, char *out, size_t size)
{
	/* A page at a time: the next one may not be there. */
	for (size_t have = 0; have < size;) {
		size_t n = PAGE_BYTES - (addr + have) % PAGE_BYTES;
		if (n > size - have)
			n = size - have;
		if (!peer_read(task, addr + have, out + have, n))
			return false;
		if (memchr(out + have, '\0', n))
			return true;
		have += n;
	}
	return false;
}

int peer_fd(const struct task *task, int fd, bool *shared)
{
	*shared = false;
	if (task->process->pidfd >= 0) {
		int ours = (int)syscall(SYS_pidfd_getfd, task->process->pidfd, fd, 0);
		*shared = ours >= 0;
		if (ours >= 0)
			return ours;
	}
	/* The descriptor table asked for is that of the process's first thread, which
	 * may have ended before the others. */
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/fd/%d", task->tid, fd);
	int ours = open(path, O_PATH | O_CLOEXEC);
	return ours >= 0 || errno == ENOENT ? ours : PEER_BLIND;
}

struct fd_info {
	uint64_t position;
	int flags;
};

static struct fd_info read_fd_info(const struct task *task, int fd)
{
	struct fd_info info = {0};
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", task->tid, fd);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? 0 : read(file, text, sizeof text - 1);
	if (file >= 0)
		close(file);
	text[n > 0 ? n : 0] = '\0';
	const char *position = strstr(text, "pos:"), *flags = strstr(text, "flags:");
	if (position)
		info.position = strtoull(position + 4, NULL, 10);
	if (flags)
		info.flags = (int)strtol(flags + 6, NULL, 8);
	return info;
}

int peer_fd_flags(const struct task *task, int fd)
{
	return task->call.fd_shared ? fcntl(task->call.fd, F_GETFL) : read_fd_info(task, fd).flags;
}

uint64_t peer_fd_position(const struct task *task, int fd)
{
	return task->call.fd_shared ? (uint64_t)lseek(task->call.fd, 0, SEEK_CUR)
				    : read_fd_info(task, fd).position;
}

bool peer_fd_path(int ours, char *out)
{
	static const char deleted[] = " (deleted)";
	struct stat st;
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", ours);
	ssize_t n = readlink(link, out, PATH_MAX - 1);
	if (n <= 0 || out[0] != '/' || fstat(ours, &st) != 0)
		return false;
	size_t tail = sizeof deleted - 1, length = (size_t)n;
	if (st.st_nlink == 0 && length > tail && memcmp(out + length - tail, deleted, tail) == 0)
		length -= tail;
	out[length] = '\0';
	return true;
}

/* Paths.  What a path means is looked up by the kernel, from a directory of the
 * tracee's (BASE, a link in /proc that leads there).  Links in /proc are followed
 * nowhere else, since "self" in a path would be us. */

enum { BASE_BYTES = 64 };

/* The length of a leading "cwd", "root" or "fd/N" that ends a component, or 0. */
static size_t magic_length(const char *path)
{
	size_t n = strncmp(path, "cwd", 3) == 0	   ? 3
		   : strncmp(path, "root", 4) == 0 ? 4
		   : strncmp(path, "fd/", 3) == 0  ? 3 + strspn(path + 3, "0123456789")
						   : 0;
	return n <= 20 && (path[n] == '/' || path[n] == '\0') ? n : 0;
}

/* The same for "/proc/N/cwd" and the like: the tracee's numbers are ours. */
static size_t numbered_base(const char *path, char *base)
{
	static const char proc[] = "/proc/";
	size_t n = sizeof proc - 1;
	if (strncmp(path, proc, n) != 0)
		return 0;
	size_t digits = strspn(path + n, "0123456789");
	if (digits == 0 || digits > 10 || path[n + digits] != '/')
		return 0;
	n += digits + 1;
	size_t length = magic_length(path + n);
	if (length > 0)
		snprintf(base, BASE_BYTES, "%.*s", (int)(n + length), path);
	return length > 0 ? n + length : 0;
}

/* Where a path begins with a link in /proc, writes it to base as it is for the
 * tracee and returns how much of the path that was; else 0. */
static size_t magic_base(const struct task *task, const char *path, char *base)
{
	static const struct {
		const char *prefix, *link; /* link NULL: the path goes on with it */
	} links[] = {
		{"/proc/self/", NULL},	{"/proc/thread-self/", NULL}, {"/dev/fd/", "fd/"},
		{"/dev/stdin", "fd/0"}, {"/dev/stdout", "fd/1"},      {"/dev/stderr", "fd/2"},
	};
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		size_t n = strlen(links[i].prefix);
		char link[32];
		if (strncmp(path, links[i].prefix, n) != 0)
			continue;
		snprintf(link, sizeof link, "%s%.20s", links[i].link ? links[i].link : "",
			 path + n);
		size_t length = magic_length(link);
		if (length == 0)
			return 0;
		snprintf(base, BASE_BYTES, "/proc/%d/%.*s", task->tid, (int)length, link);
		return n + length - (links[i].link ? strlen(links[i].link) : 0);
	}
	return numbered_base(path, base);
}

/* Opens what a path leads to from a directory.  (Where openat2 is forbidden, as
 * in some containers, links in /proc are followed.) */
static int open_from(int base, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_PATH | O_CLOEXEC,
			       .resolve = resolve | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, base, path, &how, sizeof how);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(base, path, (int)how.flags);
	return fd;
}

/* Opens the directory that a path begins at, and moves *path on. */
static int open_base(const struct task *task, int dirfd, uint64_t resolve, const char **path)
{
	char base[BASE_BYTES];
	size_t skip = magic_base(task, *path, base);
	if (skip > 0 && !(resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH))) {
		*path += skip;
		*path += strspn(*path, "/");
	} else if (**path == '/' && !(resolve & RESOLVE_IN_ROOT)) {
		snprintf(base, sizeof base, "/");
	} else if (dirfd == AT_FDCWD) {
		snprintf(base, sizeof base, "/proc/%d/cwd", task->tid);
	} else {
		snprintf(base, sizeof base, "/proc/%d/fd/%d", task->tid, dirfd);
	}
	return open(base, O_PATH | O_CLOEXEC);
}

/* Looks up the directory of `name`, which is within place->path; `from` is where
 * in it the part begins that is relative to base. */
static void find_dir(const struct task *task, struct place *place, int base, char *from, char *name,
		     uint64_t resolve)
{
	struct stat st;
	char first = *name;
	*name = '\0';
	place->at = open_from(base, *from ? from : ".", O_DIRECTORY, resolve);
	*name = first;
	if (place->at < 0 || fstat(place->at, &st) != 0) {
		place->unresolved = true;
		return;
	}
	place->name = name;
	/* No name that a call could make or remove. */
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		place->dir = tree_identify_dir(&task->recorder->tree, &st);
}

void peer_place_path(const struct task *task, int dirfd, uint64_t resolve, struct place *place)
{
	char *path = place->path;
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	const char *rest = path;
	place->name = "";
	place->dir = 0;
	place->unresolved = false;
	place->at = open_base(task, dirfd, resolve, &rest);
	if (place->at < 0 || *path == '\0') {
		place->unresolved = true;
		return;
	}
	char *from = path + (rest - path), *slash = strrchr(from, '/');
	if (*from == '\0')
		return; /* a link in /proc and nothing else */
	int base = place->at;
	find_dir(task, place, base, from, slash ? slash + 1 : from, resolve);
	close(base);
}

void peer_place(const struct task *task, int dirfd, uint64_t addr, uint64_t resolve,
		struct place *place)
{
	if (peer_string(task, addr, place->path, sizeof place->path)) {
		peer_place_path(task, dirfd, resolve, place);
		return;
	}
	place->path[0] = '\0';
	place->name = "";
	place->dir = 0;
	place->unresolved = true;
}

int peer_place_open(const struct place *place)
{
	if (place->at >= 0 && !*place->name)
		return fcntl(place->at, F_DUPFD_CLOEXEC, 0);
	errno = ENOENT;
	return place->at >= 0 ? open_from(place->at, place->name, 0, 0) : -1;
}

bool peer_place_stat(const struct place *place, struct stat *st)
{
	return place->at >= 0 && *place->name &&
	       fstatat(place->at, place->name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

void peer_place_release(struct place *place)
{
	if (place->at >= 0)
		close(place->at);
	place->at = -1;
	place->name = "";
	place->dir = 0;
	place->unresolved = false;
}

bool peer_under_root(const struct recorder *recorder, const char *path)
{
	return strncmp(path, recorder->root, recorder->root_length) == 0 &&
	       path[recorder->root_length] == '/';
}

pid_t peer_process(pid_t tid)
{
	char path[64], text[1024];
	snprintf(path, sizeof path, "/proc/%d/status", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return tid;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *at = strstr(text, "\nTgid:");
	return at ? (pid_t)strtol(at + 6, NULL, 10) : tid;
}
