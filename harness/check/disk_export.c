/* States as trees of their own: written out for people, and compared with real
 * ones.  Slow and simple; what disk.c does fast is tested against this. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

/* ---- export ---- */

struct export
{
	const struct ops *ops;
	struct image *image;
	const char *dir_name;
	int dir;
	char **first; /* by inode: its first path, once written */
	struct err *err;
};

static int export_bytes(struct export *x, uint32_t ino, int fd)
{
	const struct inode *inode = &x->ops->inodes[ino];
	uint64_t size = image_size(x->image, ino);
	uint8_t bytes[BLOCK_BYTES];
	if (ftruncate(fd, (off_t)size) != 0)
		return -1;
	for (uint32_t i = 0; i < inode->n_blocks; i++) {
		uint32_t object = x->ops->block_objects[inode->blocks + i];
		uint64_t start = (uint64_t)x->ops->objects[object].block * BLOCK_BYTES;
		if (start >= size)
			break;
		size_t n = size - start < BLOCK_BYTES ? (size_t)(size - start) : BLOCK_BYTES;
		image_block(x->image, object, bytes);
		if (pwrite(fd, bytes, n, (off_t)start) != (ssize_t)n)
			return -1;
	}
	return 0;
}

static int export_file(struct export *x, const char *path, uint32_t ino)
{
	int fd = openat(x->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	int rc = export_bytes(x, ino, fd);
	if (close(fd) != 0)
		rc = -1;
	return rc;
}

static int export_symlink(struct export *x, const char *path, uint32_t ino)
{
	const struct inode *inode = &x->ops->inodes[ino];
	char *target = mem_dup(inode->start_data, inode->start_size);
	int rc = symlinkat(target, x->dir, path);
	free(target);
	return rc;
}

static int export_name(void *arg, const char *path, uint32_t ino)
{
	struct export *x = arg;
	int rc;
	switch (x->ops->inodes[ino].type) {
	case INODE_DIR:
		rc = mkdirat(x->dir, path, 0755);
		break;
	case INODE_SYMLINK:
		rc = export_symlink(x, path, ino);
		break;
	default:
		rc = x->first[ino] ? linkat(x->dir, x->first[ino], x->dir, path, 0)
				   : export_file(x, path, ino);
		if (!x->first[ino])
			x->first[ino] = mem_dup(path, strlen(path));
	}
	return rc == 0 ? ERR_OK : err_sys(x->err, "cannot write %s/%s", x->dir_name, path);
}

/* Opens dir, made where it is missing, and refuses one that is not empty. */
static int open_empty(const char *dir, int *fd, struct err *err)
{
	if (mkdir(dir, 0755) != 0) {
		if (errno != EEXIST)
			return err_sys(err, "cannot make %s", dir);
		/* Only an empty directory can be removed. */
		if (rmdir(dir) != 0 || mkdir(dir, 0755) != 0)
			return err_set(err, ERR_USAGE, "%s exists and is not an empty directory",
				       dir);
	}
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd >= 0 ? ERR_OK : err_sys(err, "cannot open %s", dir);
}

int disk_export(const struct ops *ops, const struct state *state, const char *dir, struct err *err)
{
	struct export x = {.ops = ops, .dir_name = dir, .dir = -1, .err = err};
	size_t inodes = (size_t)ops->n_inodes + 1;
	x.first = mem_alloc(inodes, sizeof *x.first);
	x.image = image_create(ops);
	image_goto(x.image, state);
	int rc = open_empty(dir, &x.dir, err);
	if (!rc)
		rc = image_walk(x.image, export_name, &x);
	if (x.dir >= 0)
		close(x.dir);
	image_destroy(x.image);
	for (size_t i = 0; i < inodes; i++)
		free(x.first[i]);
	free(x.first);
	return rc;
}

/* ---- compare ---- */

/* A name that the state has. */
struct name {
	char *path;
	uint32_t ino;
	bool seen;
};

struct real_inode {
	ino_t real;
	uint32_t ino;
	const char *path;
};

struct comparison {
	const struct ops *ops;
	struct image *image;
	struct name *names;
	size_t n_names, names_cap;
	struct real_inode *inodes; /* of the files seen */
	size_t n_inodes, inodes_cap;
	char *text;
	size_t text_size;
	struct err *err;
};

static int expect_name(void *arg, const char *path, uint32_t ino)
{
	struct comparison *c = arg;
	*MEM_PUSH(c->names, c->n_names, c->names_cap) =
		(struct name){mem_dup(path, strlen(path)), ino, false};
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

static int by_real(const void *a, const void *b)
{
	const struct real_inode *x = a, *y = b;
	if (x->real != y->real)
		return x->real < y->real ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int by_ino(const void *a, const void *b)
{
	const struct real_inode *x = a, *y = b;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

#define DIFFERS(c, ...) ((void)snprintf((c)->text, (c)->text_size, __VA_ARGS__))

static int read_chunk(int fd, uint8_t *bytes, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t got = pread(fd, bytes, n, (off_t)offset);
		if (got <= 0)
			return -1;
		bytes += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int compare_bytes(struct comparison *c, const char *path, uint32_t ino, int fd)
{
	uint8_t want[BLOCK_BYTES], have[BLOCK_BYTES];
	uint64_t size = image_size(c->image, ino);
	for (uint64_t at = 0; at < size; at += BLOCK_BYTES) {
		size_t n = size - at < BLOCK_BYTES ? (size_t)(size - at) : BLOCK_BYTES;
		if (read_chunk(fd, have, n, at) != 0)
			return -1;
		image_read(c->image, ino, at, want, n);
		if (memcmp(want, have, n) == 0)
			continue;
		size_t i = 0;
		while (want[i] == have[i])
			i++;
		DIFFERS(c, "%s: byte %llu is 0x%02x and not 0x%02x", path,
			(unsigned long long)(at + i), have[i], want[i]);
		break;
	}
	return 0;
}

static int compare_file(struct comparison *c, const FTSENT *e, const char *path, uint32_t ino)
{
	uint64_t size = image_size(c->image, ino), real = (uint64_t)e->fts_statp->st_size;
	if (real != size) {
		DIFFERS(c, "%s: its size is %llu and not %llu", path, (unsigned long long)real,
			(unsigned long long)size);
		return ERR_OK;
	}
	int fd = open(e->fts_accpath, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : compare_bytes(c, path, ino, fd);
	if (rc != 0)
		err_sys(c->err, "cannot read %s", e->fts_path);
	if (fd >= 0)
		close(fd);
	return rc == 0 ? ERR_OK : ERR_IO;
}

static int compare_symlink(struct comparison *c, const FTSENT *e, const char *path, uint32_t ino)
{
	const struct inode *inode = &c->ops->inodes[ino];
	char target[PATH_MAX];
	ssize_t n = readlink(e->fts_accpath, target, sizeof target);
	if (n < 0)
		return err_sys(c->err, "cannot read %s", e->fts_path);
	if ((uint64_t)n != inode->start_size || memcmp(target, inode->start_data, (size_t)n) != 0)
		DIFFERS(c, "%s: it points to %.*s and not to %.*s", path, (int)n, target,
			(int)inode->start_size, (const char *)inode->start_data);
	return ERR_OK;
}

static const char *type_name(const FTSENT *e)
{
	switch (e->fts_statp->st_mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	default:
		return "special file";
	}
}

static int compare_name(struct comparison *c, const FTSENT *e, const char *path)
{
	static const char *const types[] = {
		[INODE_FILE] = "file", [INODE_DIR] = "directory", [INODE_SYMLINK] = "symlink"};
	char *key = mem_dup(path, strlen(path));
	struct name *name = NULL;
	if (c->n_names)
		name = bsearch(&(struct name){.path = key}, c->names, c->n_names, sizeof *name,
			       by_path);
	free(key);
	if (!name) {
		DIFFERS(c, "%s: this %s should not be there", path, type_name(e));
		return ERR_OK;
	}
	name->seen = true;
	const struct inode *inode = &c->ops->inodes[name->ino];
	if (strcmp(type_name(e), types[inode->type]) != 0) {
		DIFFERS(c, "%s: it is a %s and not a %s", path, type_name(e), types[inode->type]);
		return ERR_OK;
	}
	if (inode->type == INODE_DIR)
		return ERR_OK;
	*MEM_PUSH(c->inodes, c->n_inodes, c->inodes_cap) =
		(struct real_inode){e->fts_statp->st_ino, name->ino, name->path};
	return inode->type == INODE_FILE ? compare_file(c, e, path, name->ino)
					 : compare_symlink(c, e, path, name->ino);
}

static int fts_by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int compare_tree(struct comparison *c, char *dir)
{
	char *roots[] = {dir, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, fts_by_name);
	int rc = tree ? ERR_OK : err_sys(c->err, "cannot read %s", dir);
	for (FTSENT *e; !rc && !*c->text && (e = fts_read(tree));) {
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS) {
			errno = e->fts_errno;
			rc = err_sys(c->err, "cannot read %s", e->fts_path);
		} else if (e->fts_level > 0 && e->fts_info != FTS_DP) {
			rc = compare_name(c, e, e->fts_path + strlen(dir) + 1);
		}
	}
	if (tree)
		fts_close(tree);
	return rc;
}

/* Names of one inode must be one real file, and of two, two. */
static void compare_links(struct comparison *c)
{
	if (!c->n_inodes)
		return;
	qsort(c->inodes, c->n_inodes, sizeof *c->inodes, by_real);
	for (size_t i = 1; i < c->n_inodes && !*c->text; i++)
		if (c->inodes[i].real == c->inodes[i - 1].real &&
		    c->inodes[i].ino != c->inodes[i - 1].ino)
			DIFFERS(c, "%s: it should not be a link to %s", c->inodes[i].path,
				c->inodes[i - 1].path);
	qsort(c->inodes, c->n_inodes, sizeof *c->inodes, by_ino);
	for (size_t i = 1; i < c->n_inodes && !*c->text; i++)
		if (c->inodes[i].ino == c->inodes[i - 1].ino &&
		    c->inodes[i].real != c->inodes[i - 1].real)
			DIFFERS(c, "%s: it should be a link to %s", c->inodes[i].path,
				c->inodes[i - 1].path);
}

int disk_compare(const struct ops *ops, const struct state *state, const char *dir, char *text,
		 size_t text_size, struct err *err)
{
	struct comparison c = {.ops = ops, .text = text, .text_size = text_size, .err = err};
	char *root = mem_dup(dir, strlen(dir));
	for (size_t n = strlen(root); n > 1 && root[n - 1] == '/';)
		root[--n] = '\0';
	*text = '\0';
	c.image = image_create(ops);
	image_goto(c.image, state);
	image_walk(c.image, expect_name, &c);
	if (c.n_names)
		qsort(c.names, c.n_names, sizeof *c.names, by_path);
	int rc = compare_tree(&c, root);
	for (size_t i = 0; i < c.n_names && !rc && !*text; i++)
		if (!c.names[i].seen)
			DIFFERS(&c, "%s: it is missing", c.names[i].path);
	if (!rc && !*text)
		compare_links(&c);
	image_destroy(c.image);
	for (size_t i = 0; i < c.n_names; i++)
		free(c.names[i].path);
	free(c.names);
	free(c.inodes);
	free(root);
	return rc;
}
