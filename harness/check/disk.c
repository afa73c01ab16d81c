/* The area of a disk:
 *
 *   lock     see area.h
 *   pool/    the backing files, named by inode number
 *   data/    the image: directories, and hard links to backing files
 *
 * A state is shown by what differs from the one before.  File names, sizes and
 * blocks are patched in place; where a directory comes or goes, which is rare,
 * all names are made anew. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_inside.h"
#include "mem.h"

enum { DEPTH_MAX = 128 };

int disk_error(const struct disk *disk, struct err *err, const char *what, const char *name)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return err_set(err, ERR_IO,
			       "%s is full: free some space, or choose another directory with "
			       "--tmp DIR",
			       disk->area.path);
	return err_sys(err, "cannot %s %s in %s", what, name, disk->area.path);
}

/* ---- watches ---- */

static void watches_add(struct disk *disk, struct watches *list, const char *path, uint32_t mask,
			uint32_t ino)
{
	if (disk->notify < 0)
		return;
	int wd = inotify_add_watch(disk->notify, path, mask | IN_DONT_FOLLOW);
	if (wd < 0) {
		/* Too many, most likely.  Without watches everything is compared. */
		close(disk->notify);
		disk->notify = -1;
		return;
	}
	*MEM_PUSH(list->all, list->n, list->cap) = (struct watch){wd, ino};
}

static void watch_dir(struct disk *disk, uint32_t ino)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", disk->dir, disk->path[ino]);
	watches_add(disk, &disk->dir_watches, n < PATH_MAX ? path : "",
		    IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVE |
			    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
		    ino);
}

/* Directories report what is done through their names.  A file is watched for
 * links coming and going, since it may be changed through a name that is gone
 * by the end. */
static void watch_file(struct disk *disk, uint32_t ino)
{
	char path[AREA_PATH_MAX + 32];
	snprintf(path, sizeof path, "%s/pool/%u", disk->area.path, ino);
	watches_add(disk, &disk->file_watches, path, IN_ATTRIB, ino);
}

bool disk_read_more(size_t got)
{
	return got + sizeof(struct inotify_event) + NAME_MAX + 1 > DISK_EVENTS;
}

void disk_drain(struct disk *disk)
{
	ssize_t n;
	disk->stirred = false;
	do
		n = disk->notify < 0 ? 0 : read(disk->notify, disk->events, DISK_EVENTS);
	while (n > 0 && disk_read_more((size_t)n));
}

/* ---- backing files ---- */

int disk_open(struct disk *disk, uint32_t ino)
{
	struct open_file *oldest = &disk->open[0];
	for (int i = 0; i < DISK_OPEN_MAX; i++) {
		struct open_file *f = &disk->open[i];
		if (f->ino == ino) {
			f->used = disk->turn;
			return f->fd;
		}
		if (f->ino == 0 || (oldest->ino && f->used < oldest->used))
			oldest = f;
	}
	char name[16];
	snprintf(name, sizeof name, "%u", ino);
	int fd = openat(disk->pool, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == EACCES && fchmodat(disk->pool, name, DISK_FILE_MODE, 0) == 0)
		fd = openat(disk->pool, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	if (oldest->ino)
		close(oldest->fd);
	*oldest = (struct open_file){ino, fd, disk->turn};
	return fd;
}

int disk_forget(struct disk *disk, uint32_t ino, struct err *err)
{
	char name[16];
	snprintf(name, sizeof name, "%u", ino);
	for (int i = 0; i < DISK_OPEN_MAX; i++) {
		if (disk->open[i].ino != ino)
			continue;
		close(disk->open[i].fd);
		disk->open[i].ino = 0;
	}
	disk->backing[ino].made = false;
	if (area_tree_remove(disk->area.fd, disk->pool, name) != 0)
		return disk_error(disk, err, "remove pool file", name);
	return ERR_OK;
}

static int write_all(int fd, const uint8_t *bytes, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t done = pwrite(fd, bytes, n, (off_t)offset);
		if (done < 0)
			return -1;
		bytes += done;
		offset += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

/* Writes one block, as far as the file reaches, to where it belongs. */
static int write_block(struct disk *disk, uint32_t object, struct err *err)
{
	const struct object *o = &disk->ops->objects[object];
	uint64_t start = (uint64_t)o->block * BLOCK_BYTES, size = image_size(disk->image, o->ino);
	uint8_t bytes[BLOCK_BYTES];
	if (start >= size || disk->written[object] == disk->turn)
		return ERR_OK;
	disk->written[object] = disk->turn;
	image_block(disk->image, object, bytes);
	uint64_t n = size - start < BLOCK_BYTES ? size - start : BLOCK_BYTES;
	int fd = disk_open(disk, o->ino);
	if (fd < 0 || write_all(fd, bytes, (size_t)n, start) != 0)
		return disk_error(disk, err, "write", "a pool file");
	struct backing *b = &disk->backing[o->ino];
	if (b->size < start + n)
		b->size = start + n;
	return ERR_OK;
}

/* The first of an inode's blocks, as an index among them, with at least that
 * number. */
static uint32_t first_block(const struct ops *ops, const struct inode *inode, uint64_t number)
{
	uint32_t low = 0, high = inode->n_blocks;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ops->objects[ops->block_objects[inode->blocks + middle]].block < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where a file grows from inside a block that has no data, zeros must be
 * written: a store through a mapping may have left bytes past its end. */
static int write_gap(struct disk *disk, uint32_t ino, uint64_t from, uint64_t to, struct err *err)
{
	static const uint8_t zeros[BLOCK_BYTES];
	uint64_t end = (from / BLOCK_BYTES + 1) * BLOCK_BYTES;
	if (from % BLOCK_BYTES == 0 ||
	    ops_block_object(disk->ops, ino, (uint32_t)(from / BLOCK_BYTES)) != NONE)
		return ERR_OK;
	int fd = disk_open(disk, ino);
	size_t n = (size_t)((end < to ? end : to) - from);
	if (fd < 0 || write_all(fd, zeros, n, from) != 0)
		return disk_error(disk, err, "write", "a pool file");
	if (disk->backing[ino].size < from + n)
		disk->backing[ino].size = from + n;
	return ERR_OK;
}

static int set_size(struct disk *disk, uint32_t ino, uint64_t size, struct err *err)
{
	struct backing *b = &disk->backing[ino];
	if (b->size == size)
		return ERR_OK;
	int fd = disk_open(disk, ino);
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		return disk_error(disk, err, "set the size of", "a pool file");
	b->size = size;
	return ERR_OK;
}

int disk_write(struct disk *disk, uint32_t ino, uint64_t from, uint64_t to, struct err *err)
{
	const struct ops *ops = disk->ops;
	const struct inode *inode = &ops->inodes[ino];
	uint64_t size = image_size(disk->image, ino);
	int rc = ERR_OK;
	if (disk->backing[ino].size > size)
		rc = set_size(disk, ino, size, err);
	else if (disk->backing[ino].size < size)
		rc = write_gap(disk, ino, disk->backing[ino].size, size, err);
	if (to > size)
		to = size;
	for (uint32_t i = first_block(ops, inode, from / BLOCK_BYTES); i < inode->n_blocks && !rc;
	     i++) {
		uint32_t object = ops->block_objects[inode->blocks + i];
		if ((uint64_t)ops->objects[object].block * BLOCK_BYTES >= to)
			break;
		rc = write_block(disk, object, err);
	}
	/* The last block written has often set the size already. */
	return rc ? rc : set_size(disk, ino, size, err);
}

static int make_symlink(struct disk *disk, const struct inode *inode, const char *name)
{
	char *target = mem_dup(inode->start_data, inode->start_size);
	int rc = symlinkat(target, disk->pool, name);
	free(target);
	return rc;
}

static int make_file(struct disk *disk, const char *name)
{
	int fd = openat(disk->pool, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, DISK_FILE_MODE);
	if (fd < 0)
		return -1;
	int rc = fchmod(fd, DISK_FILE_MODE); /* whatever the umask */
	close(fd);
	return rc;
}

/* Makes the backing file of an inode where there is none. */
static int need_backing(struct disk *disk, uint32_t ino, struct err *err)
{
	const struct inode *inode = &disk->ops->inodes[ino];
	struct backing *b = &disk->backing[ino];
	char name[16];
	struct stat st;
	if (b->made)
		return ERR_OK;
	snprintf(name, sizeof name, "%u", ino);
	int rc = inode->type == INODE_SYMLINK ? make_symlink(disk, inode, name)
					      : make_file(disk, name);
	if (rc != 0 || fstatat(disk->pool, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return disk_error(disk, err, "make pool file", name);
	*b = (struct backing){.made = true, .checked = disk->turn, .real = st.st_ino};
	watch_file(disk, ino);
	return inode->type == INODE_FILE ? disk_write(disk, ino, 0, UINT64_MAX, err) : ERR_OK;
}

/* ---- names ---- */

const char *disk_name(struct disk *disk, uint32_t object)
{
	const struct object *o = &disk->ops->objects[object];
	const char *dir = disk->path[o->ino];
	if (!dir)
		return NULL;
	/* Too long a path is cut, and then does not exist: an error like any. */
	snprintf(disk->name, sizeof disk->name, "%s%s%s", dir, *dir ? "/" : "", o->name);
	return disk->name;
}

int disk_set_name(struct disk *disk, uint32_t object, struct err *err)
{
	uint32_t want = image_entry(disk->image, object);
	const char *name = disk_name(disk, object);
	char real[16];
	if (!name || disk->shown[object] == want)
		return ERR_OK;
	disk->stirred = true;
	if (disk->shown[object] && unlinkat(disk->data, name, 0) != 0)
		return disk_error(disk, err, "remove", name);
	disk->shown[object] = 0;
	if (!want)
		return ERR_OK;
	int rc = need_backing(disk, want, err);
	if (rc)
		return rc;
	snprintf(real, sizeof real, "%u", want);
	if (linkat(disk->pool, real, disk->data, name, 0) != 0)
		return disk_error(disk, err, "make", name);
	disk->shown[object] = want;
	return ERR_OK;
}

static int build_dir(struct disk *disk, uint32_t dir, int depth, struct err *err);

static int build_subdir(struct disk *disk, uint32_t object, uint32_t ino, int depth,
			struct err *err)
{
	const char *name = disk_name(disk, object);
	if (disk->path[ino])
		return err_set(err, ERR_UNSUPPORTED, "directory %s has two names", name);
	if (mkdirat(disk->data, name, DISK_DIR_MODE) != 0 ||
	    fchmodat(disk->data, name, DISK_DIR_MODE, 0) != 0)
		return disk_error(disk, err, "make", name);
	disk->path[ino] = mem_dup(name, strlen(name));
	disk->shown[object] = ino;
	return build_dir(disk, ino, depth + 1, err);
}

static int build_dir(struct disk *disk, uint32_t dir, int depth, struct err *err)
{
	const struct inode *inode = &disk->ops->inodes[dir];
	int rc = ERR_OK;
	watch_dir(disk, dir);
	for (uint32_t i = 0; i < inode->n_entries && !rc && depth < DEPTH_MAX; i++) {
		uint32_t object = disk->ops->entry_objects[inode->entries + i];
		uint32_t ino = image_entry(disk->image, object);
		if (ino && disk->ops->inodes[ino].type == INODE_DIR)
			rc = build_subdir(disk, object, ino, depth, err);
		else
			rc = disk_set_name(disk, object, err);
	}
	return rc;
}

static void forget_names(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->ops->n_objects; i++)
		disk->shown[i] = 0;
	for (uint32_t i = 1; i <= disk->ops->n_inodes; i++) {
		free(disk->path[i]);
		disk->path[i] = NULL;
	}
	disk->dir_watches.n = 0;
}

int disk_rebuild_names(struct disk *disk, struct err *err)
{
	disk->stirred = true;
	if (area_tree_clear(disk->data) != 0)
		return disk_error(disk, err, "clear", disk->dir);
	forget_names(disk);
	disk->path[TRACE_ROOT] = mem_dup("", 0);
	return build_dir(disk, TRACE_ROOT, 0, err);
}

/* ---- from state to state ---- */

/* What the masks hide that came into or out of force with a change of size. */
static int patch_masked(struct disk *disk, const struct image_change *c, struct err *err)
{
	const struct ops *ops = disk->ops;
	uint32_t ino = ops->objects[c->object].ino;
	uint32_t i, end;
	int rc = ERR_OK;
	ops_masks_switched(ops, c->object, c->before < c->after ? c->before : c->after,
			   c->before < c->after ? c->after : c->before, &i, &end);
	for (; i < end && !rc; i++)
		rc = disk_write(disk, ino, ops->masks[i].from, ops->masks[i].to, err);
	return rc;
}

static int patch_size(struct disk *disk, const struct image_change *c, struct err *err)
{
	uint32_t ino = disk->ops->objects[c->object].ino;
	if (!disk->backing[ino].made)
		return ERR_OK;
	int rc = disk_write(disk, ino, disk->backing[ino].size, UINT64_MAX, err);
	return rc ? rc : patch_masked(disk, c, err);
}

static int patch_block(struct disk *disk, const struct image_change *c, struct err *err)
{
	uint32_t ino = disk->ops->objects[c->object].ino;
	return disk->backing[ino].made ? write_block(disk, c->object, err) : ERR_OK;
}

static int patch_name(struct disk *disk, const struct image_change *c, struct err *err)
{
	return disk_set_name(disk, c->object, err);
}

/* Applies the changes of one kind. */
static int patch(struct disk *disk, enum object_kind kind, struct err *err)
{
	static int (*const patch_one[])(struct disk *, const struct image_change *,
					struct err *) = {[OBJECT_ENTRY] = patch_name,
							 [OBJECT_SIZE] = patch_size,
							 [OBJECT_BLOCK] = patch_block};
	size_t n;
	const struct image_change *changes = image_changes(disk->image, &n);
	int rc = ERR_OK;
	for (size_t i = 0; i < n && !rc; i++)
		if (disk->ops->objects[changes[i].object].kind == kind)
			rc = patch_one[kind](disk, &changes[i], err);
	return rc;
}

static bool is_dir(const struct ops *ops, uint32_t ino)
{
	return ino && ops->inodes[ino].type == INODE_DIR;
}

static bool dirs_change(const struct disk *disk)
{
	const struct ops *ops = disk->ops;
	size_t n;
	const struct image_change *changes = image_changes(disk->image, &n);
	for (size_t i = 0; i < n; i++) {
		const struct image_change *c = &changes[i];
		if (ops->objects[c->object].kind == OBJECT_ENTRY &&
		    (is_dir(ops, ops_entry(ops, c->object, c->before)) ||
		     is_dir(ops, ops_entry(ops, c->object, c->after))))
			return true;
	}
	return false;
}

static int show(struct disk *disk, struct err *err)
{
	if (disk->suspect) {
		int rc = disk_check_all(disk, err);
		return rc ? rc : disk_rebuild_names(disk, err);
	}
	/* Sizes first: blocks are cut at them. */
	int rc = patch(disk, OBJECT_SIZE, err);
	if (!rc)
		rc = patch(disk, OBJECT_BLOCK, err);
	if (rc)
		return rc;
	return dirs_change(disk) ? disk_rebuild_names(disk, err) : patch(disk, OBJECT_ENTRY, err);
}

int disk_show(struct disk *disk, const struct state *state, struct err *err)
{
	disk->turn++;
	image_goto(disk->image, state);
	int rc = show(disk, err);
	disk->suspect = rc != ERR_OK;
	if (disk->stirred)
		disk_drain(disk);
	return rc;
}

/* ---- making and removing ---- */

static int open_subdir(struct disk *disk, const char *name, mode_t mode)
{
	if (mkdirat(disk->area.fd, name, mode) != 0)
		return -1;
	return openat(disk->area.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Memory that forks neither copy nor see, so that it costs them nothing and a
 * recovery gone wild cannot reach it. */
static struct disk *disk_map(const struct ops *ops, struct err *err)
{
	size_t objects = ops->n_objects, inodes = (size_t)ops->n_inodes + 1;
	size_t bytes = sizeof(struct disk) + inodes * (sizeof(struct backing) + sizeof(char *)) +
		       objects * 2 * sizeof(uint32_t);
	struct disk *disk = mem_map_shared(bytes);
	if (!disk || madvise(disk, (bytes + 4095) & ~(size_t)4095, MADV_DONTFORK) != 0) {
		err_sys(err, "no memory for a disk");
		mem_unmap(disk, bytes);
		return NULL;
	}
	disk->bytes = bytes;
	disk->backing = (struct backing *)(disk + 1);
	disk->path = (char **)(disk->backing + inodes);
	disk->shown = (uint32_t *)(disk->path + inodes);
	disk->written = disk->shown + objects;
	return disk;
}

static int disk_build(struct disk *disk, const char *parent, struct err *err)
{
	int rc = area_create(parent, &disk->area, err);
	if (rc)
		return rc;
	disk->dir = mem_printf("%s/data", disk->area.path);
	disk->pool = open_subdir(disk, "pool", 0700);
	disk->data = open_subdir(disk, "data", DISK_DIR_MODE);
	if (disk->pool < 0 || disk->data < 0)
		return disk_error(disk, err, "make", "directories");
	disk->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	rc = disk_rebuild_names(disk, err);
	disk_drain(disk);
	return rc;
}

int disk_create(const struct ops *ops, const char *parent, struct disk **out, struct err *err)
{
	*out = NULL;
	struct disk *disk = disk_map(ops, err);
	if (!disk)
		return ERR_IO;
	disk->ops = ops;
	disk->image = image_create(ops);
	disk->pool = disk->data = disk->notify = -1;
	disk->turn = 1;
	int rc = disk_build(disk, parent, err);
	if (rc)
		disk_destroy(disk);
	else
		*out = disk;
	return rc;
}

void disk_destroy(struct disk *disk)
{
	if (!disk)
		return;
	for (int i = 0; i < DISK_OPEN_MAX; i++)
		if (disk->open[i].ino)
			close(disk->open[i].fd);
	if (disk->notify >= 0)
		close(disk->notify);
	if (disk->pool >= 0)
		close(disk->pool);
	if (disk->data >= 0)
		close(disk->data);
	forget_names(disk);
	area_remove(&disk->area);
	image_destroy(disk->image);
	free(disk->dir_watches.all);
	free(disk->file_watches.all);
	free(disk->dir);
	mem_unmap(disk, disk->bytes);
}

const char *disk_dir(const struct disk *disk)
{
	return disk->dir;
}

const char *disk_area(const struct disk *disk)
{
	return disk->area.path;
}
