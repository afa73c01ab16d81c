/* This knows nothing of how the trace came about: it reads the trace as the
 * model will.  Directory entries are replayed first; then the contents of one
 * file after the other, so that only one is in memory at a time. */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "content.h"
#include "listing.h"
#include "mem.h"

struct entry_key {
	uint32_t dir;
	char name[256];
};

struct entry {
	UT_hash_handle hh;
	uint32_t ino;
	bool seen;
	struct entry_key key;
};

struct verifier {
	const struct trace *trace;
	struct entry *entries;
	uint8_t *types;	  /* by inode */
	struct stat *met; /* by inode; st_ino 0: not met yet */
	struct content_index *contents;
	char **difference;
	struct err *err;
};

static size_t key_bytes(struct entry_key *key, uint32_t dir, const char *name)
{
	key->dir = dir;
	size_t n = strnlen(name, sizeof key->name);
	memcpy(key->name, name, n);
	return offsetof(struct entry_key, name) + n;
}

static struct entry *find(const struct verifier *v, uint32_t dir, const char *name)
{
	struct entry_key key;
	size_t n = key_bytes(&key, dir, name);
	struct entry *found;
	HASH_FIND(hh, v->entries, &key, n, found);
	return found;
}

/* dir/name is ino; 0 for nothing. */
static void set(struct verifier *v, uint32_t dir, const char *name, uint32_t ino)
{
	struct entry *entry = find(v, dir, name);
	if (entry) {
		entry->ino = ino;
		return;
	}
	entry = mem_alloc(1, sizeof *entry);
	entry->ino = ino;
	size_t n = key_bytes(&entry->key, dir, name);
	HASH_ADD_KEYPTR(hh, v->entries, &entry->key, n, entry);
}

static uint32_t get(const struct verifier *v, uint32_t dir, const char *name)
{
	const struct entry *entry = find(v, dir, name);
	return entry ? entry->ino : 0;
}

static void replay_event(struct verifier *v, const struct event *e)
{
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_SYMLINK:
		v->types[e->ino] = e->kind == EVENT_CREATE  ? INODE_FILE
				   : e->kind == EVENT_MKDIR ? INODE_DIR
							    : INODE_SYMLINK;
		if (e->dir != 0)
			set(v, e->dir, e->name, e->ino);
		break;
	case EVENT_LINK:
		set(v, e->dir, e->name, e->ino);
		break;
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		set(v, e->dir, e->name, 0);
		break;
	case EVENT_RENAME:
		set(v, e->dir, e->name, 0);
		set(v, e->dir2, e->name2, e->ino);
		break;
	case EVENT_EXCHANGE: {
		uint32_t other = get(v, e->dir2, e->name2);
		set(v, e->dir2, e->name2, e->ino);
		set(v, e->dir, e->name, other);
		break;
	}
	default:
		break;
	}
}

static void replay(struct verifier *v)
{
	const struct trace *t = v->trace;
	v->types[TRACE_ROOT] = INODE_DIR;
	for (size_t i = 0; i < t->n_start_inodes; i++)
		v->types[t->start_inodes[i].ino] = t->start_inodes[i].type;
	for (size_t i = 0; i < t->n_start_entries; i++)
		set(v, t->start_entries[i].dir, t->start_entries[i].name, t->start_entries[i].ino);
	for (size_t i = 0; i < t->n_events; i++)
		replay_event(v, &t->events[i]);
}

static void differ(struct verifier *v, const char *path, const char *how)
{
	if (!*v->difference)
		*v->difference = mem_printf("%s %s", path, how);
}

static int inode_type(mode_t mode)
{
	return S_ISREG(mode) ? INODE_FILE : S_ISDIR(mode) ? INODE_DIR : INODE_SYMLINK;
}

static void compare_file(struct verifier *v, int parent, const char *name, const char *path,
			 uint32_t ino, const struct stat *st)
{
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_sys(v->err, "cannot open %s", path);
		return;
	}
	const char *how = content_compare(v->contents, ino, fd, (uint64_t)st->st_size);
	if (how)
		differ(v, path, how);
	close(fd);
}

static void compare_symlink(struct verifier *v, int parent, const char *name, const char *path,
			    uint32_t ino)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent, name, target, sizeof target);
	size_t length;
	const uint8_t *expected = content_symlink(v->contents, ino, &length);
	if (n < 0 || (size_t)n != length || memcmp(target, expected, length) != 0)
		differ(v, path, "links elsewhere");
}

static void compare_dir(struct verifier *v, int fd, uint32_t dir, const char *path);

static void compare_subdir(struct verifier *v, int parent, const char *name, const char *path,
			   uint32_t ino)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_sys(v->err, "cannot open %s", path);
		return;
	}
	compare_dir(v, fd, ino, path);
	close(fd);
}

static void compare_entry(struct verifier *v, int parent, uint32_t dir, const char *name,
			  const char *path)
{
	struct stat st;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		err_sys(v->err, "cannot stat %s", path);
		return;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return; /* sockets and the like are in no crash state */
	struct entry *entry = find(v, dir, name);
	if (!entry || entry->ino == 0) {
		differ(v, path, "is not in the trace");
		return;
	}
	uint32_t ino = entry->ino;
	entry->seen = true;
	if (v->types[ino] != inode_type(st.st_mode)) {
		differ(v, path, "is of another type");
		return;
	}
	struct stat *met = &v->met[ino];
	if (met->st_ino != 0 && (met->st_ino != st.st_ino || met->st_dev != st.st_dev))
		differ(v, path, "is linked otherwise");
	bool first = met->st_ino == 0;
	*met = st;
	if (!first)
		return;
	if (S_ISREG(st.st_mode))
		compare_file(v, parent, name, path, ino, &st);
	else if (S_ISDIR(st.st_mode))
		compare_subdir(v, parent, name, path, ino);
	else
		compare_symlink(v, parent, name, path, ino);
}

static void compare_dir(struct verifier *v, int fd, uint32_t dir, const char *path)
{
	char **names = NULL;
	size_t n = 0;
	if (listing_read(fd, path, &names, &n, v->err) == ERR_OK)
		for (size_t i = 0; i < n; i++) {
			char *below = path[0] ? mem_printf("%s/%s", path, names[i])
					      : mem_dup(names[i], strlen(names[i]));
			compare_entry(v, fd, dir, names[i], below);
			free(below);
		}
	listing_free(names, n);
}

static void find_missing(struct verifier *v)
{
	for (struct entry *e = v->entries; e; e = e->hh.next) {
		if (e->ino == 0 || e->seen)
			continue;
		char *dir = trace_path(v->trace, e->key.dir, v->trace->n_events);
		char *path = mem_printf("%s/%s", dir, e->key.name);
		differ(v, path, "is missing");
		free(dir);
		free(path);
	}
}

int verify_trace(const struct trace *trace, const char *root, char **difference, struct err *err)
{
	struct err inner = {0};
	size_t n = (size_t)trace->n_inodes + 1;
	struct verifier v = {.trace = trace, .difference = difference, .err = &inner};
	*difference = NULL;
	v.types = mem_alloc(n, sizeof *v.types);
	v.met = mem_alloc(n, sizeof *v.met);
	v.contents = content_index_create(trace);
	replay(&v);
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		*difference = mem_printf("%s is gone", root);
	} else {
		compare_dir(&v, fd, TRACE_ROOT, "");
		close(fd);
	}
	if (inner.code == ERR_OK)
		find_missing(&v);
	else if (err)
		*err = inner;
	struct entry *e, *next;
	HASH_ITER (hh, v.entries, e, next) {
		HASH_DEL(v.entries, e);
		free(e);
	}
	content_index_destroy(v.contents);
	free(v.types);
	free(v.met);
	return inner.code;
}
