#include "area.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	ROOM_MIN_MIB = 64,   /* what a pool needs to work in */
	NUMBERS_MAX = 10000, /* areas of one process */
	MAKING_SECONDS = 60, /* an area without a lock may still be in the making */
};

static const char prefix[] = "powercut-";
static const char lock_name[] = "lock", new_lock_name[] = "lock.new";

/* ---- where ---- */

static uint64_t room_mib(const struct statfs *fs)
{
	return (uint64_t)fs->f_bavail * (uint64_t)fs->f_bsize >> 20;
}

static bool shm_usable(const char *path)
{
	struct statfs fs;
	return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
	       room_mib(&fs) >= ROOM_MIN_MIB && access(path, W_OK) == 0;
}

int area_choose(const char *wanted, char parent[AREA_PATH_MAX], struct err *err)
{
	struct statfs fs;
	const char *tmpdir = getenv("TMPDIR");
	const char *path = wanted		    ? wanted
			   : shm_usable("/dev/shm") ? "/dev/shm"
			   : tmpdir && *tmpdir	    ? tmpdir
						    : "/tmp";
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		return err_set(err, ERR_USAGE, "%s is no directory", path);
	} else if (statfs(path, &fs) != 0 || access(path, W_OK | X_OK) != 0) {
		err_sys(err, "cannot work in %s (choose another directory with --tmp DIR)", path);
		return err ? (int)(err->code = ERR_USAGE) : ERR_USAGE;
	}
	if (room_mib(&fs) < ROOM_MIN_MIB)
		return err_set(err, ERR_USAGE,
			       "%s has %llu MiB free and %d are needed: free some, or choose "
			       "another directory with --tmp DIR",
			       path, (unsigned long long)room_mib(&fs), ROOM_MIN_MIB);
	/* Recoveries may change their directory: the path must not depend on it. */
	char *full = realpath(path, NULL);
	int n = full ? snprintf(parent, AREA_PATH_MAX, "%s", full) : 0;
	free(full);
	if (n <= 0 || n > AREA_PATH_MAX - 128)
		return err_set(err, ERR_USAGE, "the path of %s is too long", path);
	return ERR_OK;
}

/* ---- removing trees ---- */

/* Trees are flattened before they are removed: a directory found inside one is
 * moved up to base under a number, so that neither depth nor the length of a
 * path is a limit. */
struct removal {
	int base;
	unsigned next; /* number for the next directory moved up */
	unsigned done; /* numbers below it are gone */
};

static void number_name(unsigned number, char name[32])
{
	snprintf(name, 32, ".powercut-%u", number);
}

/* Moves the directory at dir/name up, to be removed later. */
static int move_up(struct removal *r, int dir, const char *name)
{
	for (;;) {
		char to[32];
		number_name(r->next, to);
		if (syscall(SYS_renameat2, dir, name, r->base, to, 1 /* RENAME_NOREPLACE */) == 0) {
			r->next++;
			return 0;
		}
		if (errno != EEXIST)
			return -1;
		r->next++; /* a name that somebody else made; removed with the others */
	}
}

/* Removes all in dir but directories, which move up.  dir is closed. */
static int empty_directory(struct removal *r, int dir)
{
	DIR *list = fdopendir(dir);
	int rc = 0;
	if (!list) {
		close(dir);
		return -1;
	}
	for (struct dirent *e; (e = readdir(list));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dir, e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		/* Moving a directory changes its "..": the right to write is needed. */
		fchmodat(dir, e->d_name, 0700, 0);
		if (move_up(r, dir, e->d_name) != 0)
			rc = -1;
	}
	int saved = errno;
	closedir(list);
	errno = saved;
	return rc;
}

static int remove_directory(struct removal *r, int parent, const char *name)
{
	fchmodat(parent, name, 0700, 0);
	int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || empty_directory(r, dir) != 0)
		return -1;
	return unlinkat(parent, name, AT_REMOVEDIR);
}

static int remove_moved(struct removal *r)
{
	while (r->done < r->next) {
		char name[32];
		number_name(r->done++, name);
		if (unlinkat(r->base, name, 0) == 0 || errno == ENOENT)
			continue;
		if (remove_directory(r, r->base, name) != 0)
			return -1;
	}
	return 0;
}

int area_tree_remove(int base, int dir, const char *name)
{
	struct removal r = {.base = base};
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
		return -1;
	return remove_directory(&r, dir, name) == 0 ? remove_moved(&r) : -1;
}

int area_tree_clear(int dir)
{
	struct removal r = {.base = dir};
	fchmod(dir, 0755);
	int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (list < 0 || empty_directory(&r, list) != 0)
		return -1;
	return remove_moved(&r);
}

/* ---- areas ---- */

int area_create(const char *parent, struct area *area, struct err *err)
{
	*area = (struct area){.fd = -1, .lock = -1};
	int made = -1;
	for (int n = 0; n < NUMBERS_MAX && made != 0; n++) {
		snprintf(area->path, sizeof area->path, "%.*s/%s%d-%d", AREA_PATH_MAX - 64, parent,
			 prefix, (int)getpid(), n);
		made = mkdir(area->path, 0700);
		if (made != 0 && errno != EEXIST)
			break;
	}
	if (made != 0)
		return err_sys(err, "cannot make a directory in %s", parent);
	area->fd = open(area->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (area->fd >= 0)
		area->lock = openat(area->fd, new_lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Under its name it is only ever seen locked: nobody can take it for a dead one's. */
	if (area->lock < 0 || flock(area->lock, LOCK_EX | LOCK_NB) != 0 ||
	    renameat(area->fd, new_lock_name, area->fd, lock_name) != 0) {
		err_sys(err, "cannot prepare %s", area->path);
		area_remove(area);
		return ERR_IO;
	}
	return ERR_OK;
}

void area_remove(struct area *area)
{
	if (!area->path[0])
		return;
	if (area->fd >= 0)
		area_tree_clear(area->fd);
	rmdir(area->path);
	if (area->lock >= 0)
		close(area->lock);
	if (area->fd >= 0)
		close(area->fd);
	*area = (struct area){.fd = -1, .lock = -1};
}

/* Whether the area's process is dead.  A lock that can be had says so; an area
 * without one was left half made, or is being made just now. */
static bool area_dead(int dir, const char *name)
{
	char path[300];
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_uid != geteuid())
		return false;
	snprintf(path, sizeof path, "%.250s/%s", name, lock_name);
	int lock = openat(dir, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (lock >= 0) {
		bool dead = flock(lock, LOCK_EX | LOCK_NB) == 0;
		close(lock);
		return dead;
	}
	pid_t pid = (pid_t)strtol(name + strlen(prefix), NULL, 10);
	return errno == ENOENT && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH &&
	       time(NULL) - st.st_ctime > MAKING_SECONDS;
}

static bool area_name(const char *name)
{
	int pid, number, end = 0;
	return strncmp(name, prefix, strlen(prefix)) == 0 &&
	       sscanf(name + strlen(prefix), "%d-%d%n", &pid, &number, &end) == 2 &&
	       name[strlen(prefix) + (size_t)end] == '\0';
}

static void remove_dead(int parent, const char *name)
{
	int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return;
	area_tree_clear(dir);
	close(dir);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void area_sweep(const char *parent)
{
	DIR *list = opendir(parent);
	for (struct dirent *e; list && (e = readdir(list));)
		if (area_name(e->d_name) && area_dead(dirfd(list), e->d_name))
			remove_dead(dirfd(list), e->d_name);
	if (list)
		closedir(list);
}
