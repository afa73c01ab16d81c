#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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

int peer_fd(const struct task *task, int fd)
{
	if (task->process->pidfd >= 0)
		return (int)syscall(SYS_pidfd_getfd, task->process->pidfd, fd, 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/fd/%d", task->tid, fd);
	return open(path, O_PATH | O_CLOEXEC);
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

int peer_fd_flags(const struct task *task, int fd, int ours)
{
	return task->process->pidfd >= 0 ? fcntl(ours, F_GETFL) : read_fd_info(task, fd).flags;
}

uint64_t peer_fd_position(const struct task *task, int fd, int ours)
{
	return task->process->pidfd >= 0 ? (uint64_t)lseek(ours, 0, SEEK_CUR)
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

bool peer_path(const struct task *task, int dirfd, const char *path, char *out)
{
	static const char self[] = "/proc/self/", thread[] = "/proc/thread-self/";
	int n;
	/* In /proc, "self" is the tracee. */
	if (strncmp(path, self, sizeof self - 1) == 0)
		n = snprintf(out, PATH_BYTES, "/proc/%d/%s", task->tid, path + sizeof self - 1);
	else if (strncmp(path, thread, sizeof thread - 1) == 0)
		n = snprintf(out, PATH_BYTES, "/proc/%d/%s", task->tid, path + sizeof thread - 1);
	else if (path[0] == '/')
		n = snprintf(out, PATH_BYTES, "%s", path);
	else if (dirfd == AT_FDCWD)
		n = snprintf(out, PATH_BYTES, "/proc/%d/cwd/%s", task->tid, path);
	else
		n = snprintf(out, PATH_BYTES, "/proc/%d/fd/%d/%s", task->tid, dirfd, path);
	return n >= 0 && n < PATH_BYTES;
}

/* Looks up the directory that holds the last component. */
static void find_dir(const struct task *task, struct place *place)
{
	const struct recorder *r = task->recorder;
	struct stat st;
	char *slash = strrchr(place->path, '/');
	place->name = slash + 1;
	if (strcmp(place->name, ".") == 0 || strcmp(place->name, "..") == 0)
		return; /* no name that a call could make or remove */
	char after = slash[1];
	/* "dir/" rather than "dir": through a link in /proc, and nothing else. */
	slash[1] = '\0';
	int rc = stat(place->path, &st);
	slash[1] = after;
	if (rc != 0) {
		place->unresolved = true;
		return;
	}
	place->dir = tree_identify_dir(&r->tree, &st);
}

void peer_place(const struct task *task, int dirfd, uint64_t addr, struct place *place)
{
	char path[PATH_MAX];
	*place = (struct place){.name = ""};
	if (!peer_string(task, addr, path, sizeof path) ||
	    !peer_path(task, dirfd, path, place->path)) {
		place->unresolved = true;
		return;
	}
	size_t n = strlen(place->path);
	while (n > 1 && place->path[n - 1] == '/')
		place->path[--n] = '\0';
	find_dir(task, place);
}

bool peer_mapping(const struct task *task, uint64_t addr, struct stat *st)
{
	bool found = false;
	char path[64], *line = NULL;
	size_t cap = 0;
	snprintf(path, sizeof path, "/proc/%d/maps", task->tid);
	FILE *maps = fopen(path, "re");
	while (maps && !found && getline(&line, &cap, maps) > 0) {
		unsigned long from, to, ino;
		unsigned major, minor;
		if (sscanf(line, "%lx-%lx %*s %*x %x:%x %lu", &from, &to, &major, &minor, &ino) ==
			    5 &&
		    addr >= from && addr < to) {
			*st = (struct stat){.st_dev = makedev(major, minor), .st_ino = ino};
			found = ino != 0;
			break;
		}
	}
	free(line);
	if (maps)
		fclose(maps);
	return found;
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
