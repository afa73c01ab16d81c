#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mem.h"
#include "ops.h"

/* A name that a file has now.  The string is the trace's. */
struct file_name {
	uint32_t dir;
	const char *name;
};

struct file {
	uint8_t type;	 /* enum inode_type */
	int fd;		 /* -1: not open */
	bool held;	 /* it cannot be opened again: its last name is gone, or about to go */
	uint32_t needed; /* up to that event its descriptor is needed: 1 + its number, or 0 */
	struct file_name *names;
	size_t n_names, names_cap;
};

struct replay {
	const struct trace *trace;
	bool close_each;
	int root;
	int bytes;	    /* a file in memory, for stores */
	uint32_t done;	    /* events */
	struct file *files; /* by inode */
};

/* ---- names ---- */

static void add_name(struct replay *r, uint32_t ino, uint32_t dir, const char *name)
{
	struct file *file = &r->files[ino];
	*MEM_PUSH(file->names, file->n_names, file->names_cap) = (struct file_name){dir, name};
}

static bool is_name(const struct file_name *n, uint32_t dir, const char *name)
{
	return n->dir == dir && strcmp(n->name, name) == 0;
}

static void remove_name(struct replay *r, uint32_t ino, uint32_t dir, const char *name)
{
	struct file *file = &r->files[ino];
	size_t kept = 0;
	for (size_t i = 0; i < file->n_names; i++)
		if (!is_name(&file->names[i], dir, name))
			file->names[kept++] = file->names[i];
	file->n_names = kept;
}

/* The inode at dir/name, or 0. */
static uint32_t find(const struct replay *r, uint32_t dir, const char *name)
{
	for (uint32_t ino = 1; ino <= r->trace->n_inodes; ino++)
		for (size_t i = 0; i < r->files[ino].n_names; i++)
			if (is_name(&r->files[ino].names[i], dir, name))
				return ino;
	return 0;
}

/* ---- descriptors ---- */

/* Closes what can be opened again. */
static void close_named(struct replay *r)
{
	for (uint32_t ino = 1; ino <= r->trace->n_inodes; ino++) {
		struct file *file = &r->files[ino];
		if (file->fd < 0 || file->n_names == 0 || file->held)
			continue;
		close(file->fd);
		file->fd = -1;
	}
}

static int open_at(struct replay *r, int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
		return fd;
	close_named(r);
	return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int open_by_name(struct replay *r, uint32_t ino, int flags);

/* A descriptor to find names from; for release_dir. */
static int take_dir(struct replay *r, uint32_t dir)
{
	return dir == TRACE_ROOT ? r->root : open_by_name(r, dir, O_PATH | O_DIRECTORY);
}

static void release_dir(const struct replay *r, int fd)
{
	int error = errno;
	if (fd >= 0 && fd != r->root)
		close(fd);
	errno = error;
}

static int open_by_name(struct replay *r, uint32_t ino, int flags)
{
	const struct file *file = &r->files[ino];
	if (ino == TRACE_ROOT)
		return open_at(r, r->root, ".", flags);
	if (file->n_names == 0) {
		errno = ENOENT;
		return -1;
	}
	int dir = take_dir(r, file->names[0].dir);
	int fd = dir < 0 ? -1 : open_at(r, dir, file->names[0].name, flags);
	release_dir(r, dir);
	return fd;
}

static int open_file(struct replay *r, uint32_t ino)
{
	return open_by_name(r, ino,
			    r->files[ino].type == INODE_DIR ? O_RDONLY | O_DIRECTORY : O_RDWR);
}

/* The descriptor of an inode, opened if need be; or -1. */
static int take(struct replay *r, uint32_t ino)
{
	struct file *file = &r->files[ino];
	if (file->fd < 0)
		file->fd = open_file(r, ino);
	return file->fd;
}

/* Closes what need not stay open after `done` events. */
static int release(struct replay *r, uint32_t ino, uint32_t done)
{
	struct file *file = &r->files[ino];
	if (!r->close_each || file->fd < 0 || (file->n_names == 0 && file->needed > done))
		return 0;
	int rc = close(file->fd);
	file->fd = -1;
	return rc;
}

/* One of its names is about to go: where it is the last one, and the file will be needed, it is
 * opened while it can be. */
static int hold(struct replay *r, uint32_t ino)
{
	struct file *file = &r->files[ino];
	if (file->n_names != 1 || file->needed <= r->done + 1)
		return 0;
	file->held = true;
	return take(r, ino) < 0 ? -1 : 0;
}

/* ---- events on names: 0, or -1 with errno ---- */

static int create(struct replay *r, const struct event *e)
{
	struct file *file = &r->files[e->ino];
	int dir = e->dir ? take_dir(r, e->dir) : r->root;
	if (dir >= 0)
		file->fd = e->dir ? open_at(r, dir, e->name, O_RDWR | O_CREAT | O_EXCL)
				  : open_at(r, dir, ".", O_RDWR | O_TMPFILE);
	release_dir(r, dir);
	if (file->fd >= 0 && e->dir)
		add_name(r, e->ino, e->dir, e->name);
	return file->fd < 0 ? -1 : 0;
}

static int make_dir(struct replay *r, const struct event *e)
{
	int dir = take_dir(r, e->dir);
	int rc = dir < 0 ? -1 : mkdirat(dir, e->name, 0700);
	release_dir(r, dir);
	if (rc == 0)
		add_name(r, e->ino, e->dir, e->name);
	return rc;
}

static int make_symlink(struct replay *r, const struct event *e)
{
	char *target = mem_dup(e->data, (size_t)e->data_length);
	int dir = take_dir(r, e->dir);
	int rc = dir < 0 ? -1 : symlinkat(target, dir, e->name);
	release_dir(r, dir);
	free(target);
	if (rc == 0)
		add_name(r, e->ino, e->dir, e->name);
	return rc;
}

/* A further name of a file that has one: by that, so that a symbolic link can have two. */
static int link_named(struct replay *r, const struct file_name *old, int dir, const char *name)
{
	int old_dir = take_dir(r, old->dir);
	int rc = old_dir < 0 ? -1 : linkat(old_dir, old->name, dir, name, 0);
	release_dir(r, old_dir);
	return rc;
}

static int link_nameless(const struct file *file, int dir, const char *name)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

static int make_link(struct replay *r, const struct event *e)
{
	const struct file *file = &r->files[e->ino];
	int rc = -1, dir = take_dir(r, e->dir);
	if (dir >= 0)
		rc = file->n_names ? link_named(r, &file->names[0], dir, e->name)
				   : link_nameless(file, dir, e->name);
	release_dir(r, dir);
	if (rc == 0)
		add_name(r, e->ino, e->dir, e->name);
	return rc;
}

static int remove_at(struct replay *r, const struct event *e, int flags)
{
	int dir = hold(r, e->ino) ? -1 : take_dir(r, e->dir);
	int rc = dir < 0 ? -1 : unlinkat(dir, e->name, flags);
	release_dir(r, dir);
	if (rc == 0)
		remove_name(r, e->ino, e->dir, e->name);
	return rc;
}

static int remove_file(struct replay *r, const struct event *e)
{
	return remove_at(r, e, 0);
}

static int remove_dir(struct replay *r, const struct event *e)
{
	return remove_at(r, e, AT_REMOVEDIR);
}

static int rename_at(struct replay *r, const struct event *e, unsigned flags)
{
	int dir = take_dir(r, e->dir), dir2 = take_dir(r, e->dir2);
	int rc = dir < 0 || dir2 < 0 ? -1 : renameat2(dir, e->name, dir2, e->name2, flags);
	release_dir(r, dir);
	release_dir(r, dir2);
	return rc;
}

static int move(struct replay *r, const struct event *e)
{
	uint32_t replaced = find(r, e->dir2, e->name2);
	if (replaced == e->ino) /* two names of one file: the kernel does nothing */
		return rename_at(r, e, 0);
	if ((replaced && hold(r, replaced)) || rename_at(r, e, 0))
		return -1;
	if (replaced)
		remove_name(r, replaced, e->dir2, e->name2);
	remove_name(r, e->ino, e->dir, e->name);
	add_name(r, e->ino, e->dir2, e->name2);
	return 0;
}

static int exchange(struct replay *r, const struct event *e)
{
	uint32_t other = find(r, e->dir2, e->name2);
	if (rename_at(r, e, RENAME_EXCHANGE))
		return -1;
	if (other == e->ino)
		return 0;
	remove_name(r, other, e->dir2, e->name2);
	remove_name(r, e->ino, e->dir, e->name);
	add_name(r, other, e->dir, e->name);
	add_name(r, e->ino, e->dir2, e->name2);
	return 0;
}

/* ---- events on contents; fd is the file's ---- */

/* Whole pages around a range, mapped. */
struct window {
	uint8_t *pages, *at; /* at: of the range's first byte */
	size_t length;
};

static int map(int fd, uint64_t offset, uint64_t length, struct window *window)
{
	uint64_t before = offset % (uint64_t)sysconf(_SC_PAGESIZE);
	window->length = (size_t)(before + length);
	void *pages = mmap(NULL, window->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)(offset - before));
	if (pages == MAP_FAILED)
		return -1;
	window->pages = pages;
	window->at = window->pages + before;
	return 0;
}

static void unmap(const struct window *window)
{
	int error = errno;
	munmap(window->pages, window->length);
	errno = error;
}

static int write_all(int fd, const uint8_t *data, uint64_t n, uint64_t offset, int flags)
{
	while (n > 0) {
		struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = (size_t)n};
		ssize_t done = pwritev2(fd, &piece, 1, (off_t)offset, flags);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			errno = done == 0 ? EIO : errno;
			return -1;
		}
		data += done;
		n -= (uint64_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

/* Has the kernel store to memory: where a page cannot be had, on a full disk say, that is an
 * error, and not a signal as for stores of our own. */
static int copy_in(int bytes, uint8_t *to, const uint8_t *data, uint64_t n)
{
	uint64_t have = 0;
	if (write_all(bytes, data, n, 0, 0))
		return -1;
	while (have < n) {
		ssize_t got = pread(bytes, to + have, (size_t)(n - have), (off_t)have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			errno = got == 0 || errno == EFAULT ? EIO : errno;
			return -1;
		}
		have += (uint64_t)got;
	}
	return 0;
}

static int store(struct replay *r, const struct event *e, int fd)
{
	struct window window;
	if (e->data_length == 0)
		return 0;
	if (map(fd, e->offset, e->data_length, &window))
		return -1;
	int rc = copy_in(r->bytes, window.at, e->data, e->data_length);
	unmap(&window);
	return rc;
}

static int write_(struct replay *r, const struct event *e, int fd)
{
	if (e->flags & EVENT_STORE)
		return store(r, e, fd);
	int flags = e->flags & EVENT_FSYNC_TOO ? RWF_SYNC : e->flags & EVENT_DSYNC ? RWF_DSYNC : 0;
	return write_all(fd, e->data, e->data_length, e->offset, flags);
}

static int truncate_(struct replay *r, const struct event *e, int fd)
{
	(void)r;
	return ftruncate(fd, (off_t)e->length);
}

static int allocate(int fd, int mode, const struct event *e)
{
	return fallocate(fd, mode, (off_t)e->offset, (off_t)e->length);
}

static int fallocate_(struct replay *r, const struct event *e, int fd)
{
	(void)r;
	return allocate(fd, e->flags & EVENT_KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0, e);
}

static int zero(struct replay *r, const struct event *e, int fd)
{
	(void)r;
	if (e->flags & EVENT_KEEP_SIZE)
		return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, e);
	if (allocate(fd, FALLOC_FL_ZERO_RANGE, e) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -1;
	return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, e) || allocate(fd, 0, e)
		       ? -1
		       : 0;
}

static int fsync_(struct replay *r, const struct event *e, int fd)
{
	(void)r;
	(void)e;
	return fsync(fd);
}

static int fdatasync_(struct replay *r, const struct event *e, int fd)
{
	(void)r;
	(void)e;
	return fdatasync(fd);
}

static int hint(struct replay *r, const struct event *e, int fd)
{
	(void)r;
	return sync_file_range(fd, (off_t)e->offset, (off_t)e->length,
			       SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				       SYNC_FILE_RANGE_WAIT_AFTER);
}

static int msync_(struct replay *r, const struct event *e, int fd)
{
	struct window window;
	(void)r;
	if (e->length == 0)
		return 0;
	if (map(fd, e->offset, e->length, &window))
		return -1;
	int rc = msync(window.pages, window.length, MS_SYNC);
	unmap(&window);
	return rc;
}

static int sync_(struct replay *r, const struct event *e)
{
	(void)e;
	return syncfs(r->root);
}

/* ---- one event ---- */

/* How events are done: by name, by the inode's descriptor, or not at all. */
static const struct {
	int (*names)(struct replay *r, const struct event *e);
	int (*contents)(struct replay *r, const struct event *e, int fd);
} verbs[EVENT_KINDS_COUNT] = {
	[EVENT_CREATE] = {.names = create},
	[EVENT_MKDIR] = {.names = make_dir},
	[EVENT_SYMLINK] = {.names = make_symlink},
	[EVENT_LINK] = {.names = make_link},
	[EVENT_UNLINK] = {.names = remove_file},
	[EVENT_RMDIR] = {.names = remove_dir},
	[EVENT_RENAME] = {.names = move},
	[EVENT_EXCHANGE] = {.names = exchange},
	[EVENT_WRITE] = {.contents = write_},
	[EVENT_TRUNCATE] = {.contents = truncate_},
	[EVENT_FALLOCATE] = {.contents = fallocate_},
	[EVENT_ZERO] = {.contents = zero},
	[EVENT_FSYNC] = {.contents = fsync_},
	[EVENT_FDATASYNC] = {.contents = fdatasync_},
	[EVENT_SYNC] = {.names = sync_},
	[EVENT_HINT] = {.contents = hint},
	[EVENT_MSYNC] = {.contents = msync_},
};

/* A hint by msync writes nothing out. */
static bool is_call(const struct event *e)
{
	if (e->kind == EVENT_HINT && strcmp(e->call, "msync") == 0)
		return false;
	return verbs[e->kind].names || verbs[e->kind].contents;
}

/* Whether the event needs a descriptor of its inode, should that have no name. */
static bool needs_file(const struct event *e)
{
	return (is_call(e) && verbs[e->kind].contents) || e->kind == EVENT_LINK;
}

static int do_event(struct replay *r, const struct event *e)
{
	int rc, fd;
	if (verbs[e->kind].names) {
		rc = verbs[e->kind].names(r, e);
	} else {
		fd = take(r, e->ino);
		rc = fd < 0 ? -1 : verbs[e->kind].contents(r, e, fd);
	}
	return rc == 0 && e->ino ? release(r, e->ino, r->done + 1) : rc;
}

/* "a" in "dir": the paths that an event is about, for people.  Caller frees. */
static char *event_path(const struct replay *r, const struct event *e)
{
	char *place = trace_path(r->trace, e->dir ? e->dir : e->ino, r->done), *path = NULL;
	if (e->kind == EVENT_SYNC)
		path = mem_printf(".");
	else if (!e->dir)
		path = mem_printf("%s", place);
	else if (e->dir == TRACE_ROOT)
		path = mem_printf("%s", e->name);
	else
		path = mem_printf("%s/%s", place, e->name);
	free(place);
	return path;
}

static int say_failed(const struct replay *r, const struct event *e, struct err *err)
{
	int error = errno;
	char *path = event_path(r, e);
	errno = error;
	int rc = err_sys(err, "cannot replay event %u (%s %s)", r->done, event_kind_name(e->kind),
			 path);
	free(path);
	return rc;
}

int replay_run(struct replay *r, uint32_t n_events, replay_border *border, void *arg,
	       struct err *err)
{
	int rc = ERR_OK;
	for (; rc == ERR_OK && r->done < n_events && r->done < r->trace->n_events; r->done++) {
		const struct event *e = &r->trace->events[r->done];
		bool call = is_call(e);
		if (call && border)
			rc = border(arg, r->done, true, err);
		if (!rc && call && do_event(r, e))
			rc = say_failed(r, e, err);
		if (!rc && border)
			rc = border(arg, r->done, false, err);
	}
	return rc;
}

/* ---- the start ---- */

static int start_file(struct replay *r, const struct start_entry *entry,
		      const struct start_inode *inode)
{
	struct event e = {.ino = entry->ino, .dir = entry->dir, .name = entry->name};
	struct file *file = &r->files[entry->ino];
	if (create(r, &e))
		return -1;
	int rc = write_all(file->fd, inode->data, inode->size, 0, 0);
	if (close(file->fd) != 0)
		rc = -1;
	file->fd = -1;
	return rc;
}

static int start_entry(struct replay *r, const struct start_entry *entry,
		       const struct start_inode *inode)
{
	struct event e = {.ino = entry->ino, .dir = entry->dir, .name = entry->name};
	if (r->files[entry->ino].n_names > 0)
		return make_link(r, &e);
	if (!inode) {
		errno = ENOENT;
		return -1;
	}
	e.data = inode->data;
	e.data_length = inode->size;
	switch (inode->type) {
	case INODE_DIR:
		return make_dir(r, &e);
	case INODE_SYMLINK:
		return make_symlink(r, &e);
	default:
		return start_file(r, entry, inode);
	}
}

static int make_start(struct replay *r, struct err *err)
{
	const struct trace *trace = r->trace;
	const struct start_inode **inodes =
		mem_alloc((size_t)trace->n_inodes + 1, sizeof(struct start_inode *));
	int rc = ERR_OK;
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		inodes[trace->start_inodes[i].ino] = &trace->start_inodes[i];
	for (size_t i = 0; i < trace->n_start_entries && !rc; i++) {
		const struct start_entry *entry = &trace->start_entries[i];
		if (start_entry(r, entry, inodes[entry->ino]))
			rc = err_sys(err, "cannot make %s of the start", entry->name);
	}
	free(inodes);
	return rc;
}

/* ---- all of it ---- */

static bool are_numbers_valid(const struct trace *trace)
{
	uint32_t n = trace->n_inodes;
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		if (trace->start_inodes[i].ino == 0 || trace->start_inodes[i].ino > n)
			return false;
	for (size_t i = 0; i < trace->n_start_entries; i++)
		if (trace->start_entries[i].ino == 0 || trace->start_entries[i].ino > n ||
		    trace->start_entries[i].dir > n)
			return false;
	for (size_t i = 0; i < trace->n_events; i++)
		if (trace->events[i].kind >= EVENT_KINDS_COUNT || trace->events[i].ino > n ||
		    trace->events[i].dir > n || trace->events[i].dir2 > n)
			return false;
	return true;
}

/* Types, and up to which event descriptors are needed. */
static void look_ahead(struct replay *r)
{
	const struct trace *trace = r->trace;
	r->files[TRACE_ROOT].type = INODE_DIR;
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		r->files[trace->start_inodes[i].ino].type = trace->start_inodes[i].type;
	for (uint32_t i = 0; i < trace->n_events; i++) {
		const struct event *e = &trace->events[i];
		struct file *file = &r->files[e->ino];
		if (e->kind == EVENT_MKDIR)
			file->type = INODE_DIR;
		else if (e->kind == EVENT_SYMLINK)
			file->type = INODE_SYMLINK;
		if (needs_file(e))
			file->needed = i + 1;
	}
}

int replay_create(const struct trace *trace, int dir, bool close_each, struct replay **replay,
		  struct err *err)
{
	*replay = NULL;
	if (!are_numbers_valid(trace))
		return err_set(err, ERR_CORRUPT, "the trace has inode numbers above %u",
			       trace->n_inodes);
	struct replay *r = mem_alloc(1, sizeof *r);
	r->trace = trace;
	r->close_each = close_each;
	r->files = mem_alloc((size_t)trace->n_inodes + 1, sizeof *r->files);
	for (uint32_t ino = 0; ino <= trace->n_inodes; ino++)
		r->files[ino].fd = -1;
	look_ahead(r);
	r->root = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r->bytes = memfd_create("powercut", MFD_CLOEXEC);
	int rc = r->root < 0 || r->bytes < 0 ? err_sys(err, "cannot open what a replay needs")
					     : make_start(r, err);
	if (rc) {
		replay_destroy(r);
		return rc;
	}
	*replay = r;
	return ERR_OK;
}

int replay_open(struct replay *r, uint32_t ino)
{
	if (ino == 0 || ino > r->trace->n_inodes) {
		errno = ENOENT;
		return -1;
	}
	if (r->files[ino].fd >= 0)
		return fcntl(r->files[ino].fd, F_DUPFD_CLOEXEC, 0);
	return open_file(r, ino);
}

uint32_t replay_file(const struct replay *r, uint64_t choice)
{
	uint32_t n = 0;
	for (uint32_t ino = 1; ino <= r->trace->n_inodes; ino++)
		n += r->files[ino].type == INODE_FILE && r->files[ino].n_names > 0;
	if (n == 0)
		return 0;
	choice %= n;
	for (uint32_t ino = 1;; ino++)
		if (r->files[ino].type == INODE_FILE && r->files[ino].n_names > 0 && choice-- == 0)
			return ino;
}

void replay_rest(struct replay *r)
{
	for (uint32_t ino = 0; ino <= r->trace->n_inodes; ino++) {
		if (r->files[ino].fd >= 0)
			close(r->files[ino].fd);
		r->files[ino].fd = -1;
	}
	if (r->root >= 0)
		close(r->root);
	r->root = -1;
}

int replay_resume(struct replay *r, int dir, struct err *err)
{
	r->root = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r->root < 0 ? err_sys(err, "cannot open the directory of a replay") : ERR_OK;
}

void replay_destroy(struct replay *r)
{
	if (!r)
		return;
	for (uint32_t ino = 0; ino <= r->trace->n_inodes; ino++) {
		if (r->files[ino].fd >= 0)
			close(r->files[ino].fd);
		free(r->files[ino].names);
	}
	if (r->root >= 0)
		close(r->root);
	if (r->bytes >= 0)
		close(r->bytes);
	free(r->files);
	free(r);
}

/* ---- how large ---- */

static uint64_t add_blocks(uint64_t sum, uint64_t blocks)
{
	return blocks > (UINT64_MAX - sum) / BLOCK_BYTES ? UINT64_MAX : sum + blocks * BLOCK_BYTES;
}

/* What a range gives to a file: its blocks, less the first where the range before ended in it,
 * as where a file is appended to. */
static uint64_t add_range(uint64_t sum, uint64_t *last, uint64_t offset, uint64_t length)
{
	if (length == 0)
		return sum;
	uint64_t first = offset / BLOCK_BYTES;
	uint64_t end = offset > UINT64_MAX - length ? UINT64_MAX : offset + length;
	uint64_t blocks = (end - 1) / BLOCK_BYTES - first + 1;
	blocks -= *last == first + 1;
	*last = (end - 1) / BLOCK_BYTES + 1;
	return add_blocks(sum, blocks);
}

uint64_t replay_bytes(const struct trace *trace)
{
	/* By inode: 1 + the block in which the range before ended, 0 for none. */
	uint64_t *last = mem_alloc((size_t)trace->n_inodes + 1, sizeof *last);
	uint64_t sum = add_blocks(0, trace->n_inodes);
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		sum = add_range(sum, &last[trace->start_inodes[i].ino], 0,
				trace->start_inodes[i].size);
	for (size_t i = 0; i < trace->n_events; i++) {
		const struct event *e = &trace->events[i];
		bool given = e->kind == EVENT_WRITE || e->kind == EVENT_FALLOCATE ||
			     (e->kind == EVENT_ZERO && !(e->flags & EVENT_KEEP_SIZE));
		if (given)
			sum = add_range(sum, &last[e->ino], e->offset, e->length);
	}
	free(last);
	return sum;
}
