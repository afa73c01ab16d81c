#include "snapshot.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "listing.h"
#include "mem.h"

struct snapshot {
	struct trace *trace;
	struct tree *tree;
	struct err *err;
};

static int take_dir(struct snapshot *s, int fd, uint32_t dir, const char *path);

static int take_file(struct snapshot *s, int fd, uint32_t dir, const char *name, size_t size,
		     uint32_t *ino)
{
	void *data = NULL;
	if (size > 0) {
		data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			return err_sys(s->err, "cannot read %s", name);
	}
	*ino = trace_start(s->trace, dir, name, INODE_FILE, data, size);
	if (data)
		munmap(data, size);
	return ERR_OK;
}

/* A file or directory, for which a descriptor is needed. */
static int take_opened(struct snapshot *s, int parent, uint32_t dir, const char *name,
		       const char *path, const struct stat *st)
{
	int rc = ERR_OK;
	uint32_t ino = 0;
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (S_ISDIR(st->st_mode) ? O_DIRECTORY : 0);
	int fd = openat(parent, name, flags);
	if (fd < 0)
		return err_sys(s->err, "cannot open %s", path);
	if (S_ISDIR(st->st_mode)) {
		ino = trace_start(s->trace, dir, name, INODE_DIR, NULL, 0);
		tree_add(s->tree, ino, INODE_DIR, st);
		tree_enter(s->tree, dir, name, ino);
		rc = take_dir(s, fd, ino, path);
	} else {
		rc = take_file(s, fd, dir, name, (size_t)st->st_size, &ino);
		if (rc == ERR_OK) {
			tree_add(s->tree, ino, INODE_FILE, st);
			tree_enter(s->tree, dir, name, ino);
			tree_node(s->tree, ino)->size = (uint64_t)st->st_size;
		}
	}
	close(fd);
	return rc;
}

static int take_symlink(struct snapshot *s, int parent, uint32_t dir, const char *name,
			const char *path, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent, name, target, sizeof target);
	if (n < 0)
		return err_sys(s->err, "cannot read the symbolic link %s", path);
	uint32_t ino = trace_start(s->trace, dir, name, INODE_SYMLINK, target, (size_t)n);
	tree_add(s->tree, ino, INODE_SYMLINK, st);
	tree_enter(s->tree, dir, name, ino);
	return ERR_OK;
}

static int take_entry(struct snapshot *s, int parent, uint32_t dir, const char *name,
		      const char *path)
{
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(s->err, "cannot stat %s", path);
	uint32_t known = tree_identify(s->tree, &st);
	if (known != 0 && !S_ISDIR(st.st_mode)) {
		trace_start_link(s->trace, dir, name, known);
		tree_enter(s->tree, dir, name, known);
		return ERR_OK;
	}
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return take_opened(s, parent, dir, name, path, &st);
	if (S_ISLNK(st.st_mode))
		return take_symlink(s, parent, dir, name, path, &st);
	tree_enter(s->tree, dir, name, TREE_OTHER);
	return ERR_OK;
}

static int take_dir(struct snapshot *s, int fd, uint32_t dir, const char *path)
{
	char **names = NULL;
	size_t n = 0;
	int rc = listing_read(fd, path, &names, &n, s->err);
	for (size_t i = 0; i < n && rc == ERR_OK; i++) {
		char *below = mem_printf("%s/%s", path, names[i]);
		rc = take_entry(s, fd, dir, names[i], below);
		free(below);
	}
	listing_free(names, n);
	return rc;
}

int snapshot_take(const char *root, struct trace *trace, struct tree *tree, struct err *err)
{
	struct snapshot s = {trace, tree, err};
	struct stat st;
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (fd >= 0)
			close(fd);
		return err_sys(err, "cannot open the data directory %s", root);
	}
	tree_add(tree, TRACE_ROOT, INODE_DIR, &st);
	tree_node(tree, TRACE_ROOT)->links = 1;
	int rc = take_dir(&s, fd, TRACE_ROOT, root);
	close(fd);
	return rc;
}
