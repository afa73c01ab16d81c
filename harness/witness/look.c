#include "look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "mem.h"
#include "seen.h"

struct identity {
	uint64_t dev, ino;
};

/* A file with several names, of which one was seen. */
struct linked {
	UT_hash_handle hh;
	struct identity key;
	uint32_t node;
};

struct look {
	struct seen_maker maker;
	struct linked *linked;
	struct buf path; /* of what is looked at, from the directory on */
	struct err *err;
};

/* ---- the names of a directory ---- */

struct names {
	char **list;
	size_t n, cap;
};

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_finish(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

/* For messages. */
static const char *path_of(struct look *l)
{
	return l->path.len ? buf_text(&l->path) : "the directory";
}

static int read_names(struct look *l, int fd, struct names *names)
{
	/* A descriptor of its own: the caller's place in the directory stays. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = own < 0 ? NULL : fdopendir(own);
	if (!stream) {
		int rc = err_sys(l->err, "cannot list %s", path_of(l));
		if (own >= 0)
			close(own);
		return rc;
	}
	errno = 0;
	for (struct dirent *e; (e = readdir(stream)); errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			*MEM_PUSH(names->list, names->n, names->cap) =
				mem_dup(e->d_name, strlen(e->d_name));
	int rc = errno ? err_sys(l->err, "cannot list %s", path_of(l)) : ERR_OK;
	closedir(stream);
	if (names->n)
		qsort(names->list, names->n, sizeof *names->list, by_bytes);
	return rc;
}

/* ---- contents ---- */

/* The node of another name of the same file, or NONE. */
static struct linked *find_linked(const struct look *l, const struct stat *st)
{
	struct identity key = {st->st_dev, st->st_ino};
	struct linked *found;
	HASH_FIND(hh, l->linked, &key, sizeof key, found);
	return found;
}

static void remember(struct look *l, const struct stat *st, uint32_t node)
{
	if (st->st_nlink < 2)
		return;
	struct linked *linked = mem_alloc(1, sizeof *linked);
	linked->key = (struct identity){st->st_dev, st->st_ino};
	linked->node = node;
	HASH_ADD(hh, l->linked, key, sizeof linked->key, linked);
}

/* Reads up to a block; less than n bytes are followed by zeros. */
static int read_block(struct look *l, int fd, uint64_t offset, size_t n, uint8_t *bytes)
{
	memset(bytes, 0, BLOCK_BYTES);
	while (n) {
		ssize_t got = pread(fd, bytes, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(l->err, "cannot read %s", path_of(l));
		if (got == 0)
			return err_set(l->err, ERR_CORRUPT, "%s ends before its size", path_of(l));
		bytes += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return ERR_OK;
}

static int look_file(struct look *l, int parent, const char *name, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size;
	uint8_t bytes[BLOCK_BYTES];
	int rc = ERR_OK, fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(l->err, "cannot open %s", path_of(l));
	remember(l, st, seen_add(&l->maker, buf_text(&l->path), INODE_FILE, NONE, size));
	for (uint64_t at = 0; at < size && !rc; at += BLOCK_BYTES) {
		size_t n = size - at < BLOCK_BYTES ? (size_t)(size - at) : BLOCK_BYTES;
		rc = read_block(l, fd, at, n, bytes);
		if (!rc)
			seen_add_block(&l->maker, bytes);
	}
	close(fd);
	return rc;
}

static int look_symlink(struct look *l, int parent, const char *name, const struct stat *st)
{
	uint8_t target[PATH_MAX] = {0};
	ssize_t n = readlinkat(parent, name, (char *)target, sizeof target);
	if (n < 0)
		return err_sys(l->err, "cannot read the symbolic link %s", path_of(l));
	remember(l, st, seen_add(&l->maker, buf_text(&l->path), INODE_SYMLINK, NONE, (uint64_t)n));
	if (n > 0)
		seen_add_block(&l->maker, target);
	return ERR_OK;
}

static int look_dir(struct look *l, int fd);

static int look_below(struct look *l, int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(l->err, "cannot open %s", path_of(l));
	seen_add(&l->maker, buf_text(&l->path), INODE_DIR, NONE, 0);
	int rc = look_dir(l, fd);
	close(fd);
	return rc;
}

static int look_name(struct look *l, int parent, const char *name)
{
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(l->err, "cannot stat %s", path_of(l));
	if (S_ISDIR(st.st_mode))
		return look_below(l, parent, name);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_set(l->err, ERR_CORRUPT,
			       "%s is neither a file nor a directory nor a symbolic link",
			       path_of(l));
	const struct linked *other = find_linked(l, &st);
	if (other) {
		seen_add(&l->maker, buf_text(&l->path),
			 S_ISREG(st.st_mode) ? INODE_FILE : INODE_SYMLINK, other->node,
			 (uint64_t)st.st_size);
		return ERR_OK;
	}
	return S_ISREG(st.st_mode) ? look_file(l, parent, name, &st)
				   : look_symlink(l, parent, name, &st);
}

static int look_dir(struct look *l, int fd)
{
	struct names names = {0};
	size_t length = l->path.len;
	int rc = read_names(l, fd, &names);
	for (size_t i = 0; i < names.n && !rc; i++) {
		if (length)
			buf_byte(&l->path, '/');
		buf_string(&l->path, names.list[i]);
		rc = look_name(l, fd, names.list[i]);
		l->path.len = length;
	}
	names_finish(&names);
	return rc;
}

static void forget_linked(struct look *l)
{
	struct linked *linked, *next;
	HASH_ITER (hh, l->linked, linked, next) {
		HASH_DEL(l->linked, linked);
		free(linked);
	}
}

int look_tree(int dir, bool keep_data, struct buf *out, struct err *err)
{
	struct look l = {.maker.keep_data = keep_data, .err = err};
	int rc = look_dir(&l, dir);
	if (!rc)
		seen_finish(&l.maker, out);
	seen_maker_finish(&l.maker);
	buf_finish(&l.path);
	forget_linked(&l);
	return rc;
}
