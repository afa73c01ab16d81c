/* Undoing what a recovery did.
 *
 * Directories of the image are watched for everything that is done through
 * their names; backing files for links that come and go and for attributes.
 * Together they leave no way to change a file of the image unseen:
 *
 *   through its name             the directory reports the writing or the close
 *   through a new hard link      making that link is reported for the file
 *   through a name it is moved   leaving its name is reported for the
 *   to                           directory
 *   through a mapping            closing the descriptor is reported, and all
 *                                descriptors are closed when all processes have
 *                                ended
 *
 * Whatever an event touches is compared with the image.  What an event cannot
 * explain leads to the slow way: everything is compared, all names are made
 * anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "disk_inside.h"

/* ---- one file ---- */

/* What mends attributes is reported as well: those events are stirred up by us. */
static void remove_xattrs(struct disk *disk, int fd)
{
	char names[4096];
	ssize_t n = flistxattr(fd, names, sizeof names);
	disk->stirred |= n > 0;
	for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1)
		fremovexattr(fd, name);
}

static int check_attributes(struct disk *disk, uint32_t ino, struct err *err)
{
	struct stat st;
	int fd = disk_open(disk, ino);
	if (fd < 0 || fstat(fd, &st) != 0)
		return disk_error(disk, err, "look at", "a pool file");
	bool owner = st.st_uid == geteuid() && st.st_gid == getegid();
	bool mode = (st.st_mode & 07777) == DISK_FILE_MODE;
	disk->stirred |= !owner || !mode;
	if (!owner && fchown(fd, geteuid(), getegid()) != 0)
		return disk_error(disk, err, "restore the owner of", "a pool file");
	if (!mode && fchmod(fd, DISK_FILE_MODE) != 0)
		return disk_error(disk, err, "restore the mode of", "a pool file");
	remove_xattrs(disk, fd);
	return ERR_OK;
}

/* Whether n bytes of the chunk, of which got were read, are what the block at
 * offset of the inode holds. */
static bool block_right(struct disk *disk, uint32_t ino, uint64_t offset, size_t n,
			const uint8_t *bytes, size_t got)
{
	uint8_t want[BLOCK_BYTES] = {0};
	uint32_t object = ops_block_object(disk->ops, ino, (uint32_t)(offset / BLOCK_BYTES));
	if (object != NONE)
		image_block(disk->image, object, want);
	if (got >= n && memcmp(bytes, want, n) == 0)
		return true;
	memcpy(disk->chunk + (offset % DISK_CHUNK), want, n);
	return false;
}

/* Compares a chunk of a file, and writes what differs. */
static int check_chunk(struct disk *disk, uint32_t ino, int fd, uint64_t offset, uint64_t size)
{
	size_t want = size - offset < DISK_CHUNK ? (size_t)(size - offset) : DISK_CHUNK;
	ssize_t got = pread(fd, disk->chunk, want, (off_t)offset);
	if (got < 0)
		return -1;
	for (size_t at = 0; at < want; at += BLOCK_BYTES) {
		size_t n = want - at < BLOCK_BYTES ? want - at : BLOCK_BYTES;
		size_t have = (size_t)got > at ? (size_t)got - at : 0;
		if (block_right(disk, ino, offset + at, n, disk->chunk + at, have))
			continue;
		if (pwrite(fd, disk->chunk + at, n, (off_t)(offset + at)) != (ssize_t)n)
			return -1;
	}
	return 0;
}

/* Compares the bytes of a backing file with the image, once a turn. */
static int check_file(struct disk *disk, uint32_t ino, struct err *err)
{
	struct backing *b = &disk->backing[ino];
	struct stat st;
	if (!b->made || b->checked == disk->turn || disk->ops->inodes[ino].type != INODE_FILE)
		return ERR_OK;
	b->checked = disk->turn;
	uint64_t size = image_size(disk->image, ino);
	int fd = disk_open(disk, ino);
	if (fd < 0 || fstat(fd, &st) != 0 ||
	    ((uint64_t)st.st_size != size && ftruncate(fd, (off_t)size) != 0))
		return disk_error(disk, err, "restore the size of", "a pool file");
	b->size = size;
	for (uint64_t at = 0; at < size; at += DISK_CHUNK)
		if (check_chunk(disk, ino, fd, at, size) != 0)
			return disk_error(disk, err, "restore", "a pool file");
	return ERR_OK;
}

/* ---- everything ---- */

static int check_backing(struct disk *disk, uint32_t ino, struct err *err)
{
	char name[16];
	struct stat st;
	snprintf(name, sizeof name, "%u", ino);
	bool there = fstatat(disk->pool, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there || st.st_ino != disk->backing[ino].real)
		return disk_forget(disk, ino, err);
	if (disk->ops->inodes[ino].type != INODE_FILE)
		return ERR_OK;
	disk->backing[ino].checked = 0;
	int rc = check_attributes(disk, ino, err);
	return rc ? rc : check_file(disk, ino, err);
}

int disk_check_all(struct disk *disk, struct err *err)
{
	struct stat path, dir;
	if (stat(disk->dir, &path) != 0 || fstat(disk->data, &dir) != 0 ||
	    path.st_ino != dir.st_ino)
		return err_set(err, ERR_IO, "%s is not there any more", disk->dir);
	for (uint32_t ino = 1; ino <= disk->ops->n_inodes; ino++) {
		int rc = disk->backing[ino].made ? check_backing(disk, ino, err) : ERR_OK;
		if (rc)
			return rc;
	}
	return ERR_OK;
}

static int repair_all(struct disk *disk, struct err *err)
{
	int rc = disk_check_all(disk, err);
	return rc ? rc : disk_rebuild_names(disk, err);
}

/* ---- by events ---- */

enum {
	NAME_EVENTS = IN_CREATE | IN_DELETE | IN_MOVE,
	LOST_EVENTS = IN_Q_OVERFLOW | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF,
};

static int by_wd(const void *a, const void *b)
{
	const struct watch *x = a, *y = b;
	return (x->wd > y->wd) - (x->wd < y->wd);
}

static const struct watch *watches_find(const struct watches *list, int wd)
{
	struct watch key = {.wd = wd};
	return list->n ? bsearch(&key, list->all, list->n, sizeof key, by_wd) : NULL;
}

/* The entry of that name, or NONE where the trace never had it. */
static uint32_t find_entry(const struct ops *ops, uint32_t dir, const char *name)
{
	const struct inode *inode = &ops->inodes[dir];
	uint32_t low = 0, high = inode->n_entries;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t object = ops->entry_objects[inode->entries + middle];
		int order = strcmp(ops->objects[object].name, name);
		if (order == 0)
			return object;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NONE;
}

/* Takes away a name that the trace never had. */
static int remove_stranger(struct disk *disk, uint32_t dir, const char *name, struct err *err)
{
	char path[PATH_MAX];
	const char *in = disk->path[dir];
	int n = snprintf(path, sizeof path, "%s%s%s", in, *in ? "/" : "", name);
	if (n >= PATH_MAX)
		errno = ENAMETOOLONG;
	disk->stirred = true;
	if (n >= PATH_MAX || area_tree_remove(disk->area.fd, disk->data, path) != 0)
		return disk_error(disk, err, "remove", name);
	return ERR_OK;
}

/* Makes a name right that came, went or moved. */
static int restore_name(struct disk *disk, uint32_t object, struct err *err)
{
	uint32_t ino = disk->shown[object];
	const char *name = disk_name(disk, object);
	struct stat st;
	bool there = fstatat(disk->data, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (ino && there && st.st_ino == disk->backing[ino].real)
		return ERR_OK;
	disk->stirred = true;
	if (there && area_tree_remove(disk->area.fd, disk->data, name) != 0)
		return disk_error(disk, err, "remove", name);
	disk->shown[object] = 0;
	return disk_set_name(disk, object, err);
}

/* ERR_MISSING: this is beyond what an event can tell. */
static int restore_entry(struct disk *disk, uint32_t dir, const struct inotify_event *e,
			 struct err *err)
{
	uint32_t object = find_entry(disk->ops, dir, e->name);
	uint32_t ino = object == NONE ? 0 : disk->shown[object];
	int rc = ERR_OK;
	if (ino && disk->ops->inodes[ino].type == INODE_DIR)
		return ERR_MISSING;
	if (e->mask & NAME_EVENTS)
		rc = object == NONE ? remove_stranger(disk, dir, e->name, err)
				    : restore_name(disk, object, err);
	return rc || !ino ? rc : check_file(disk, ino, err);
}

static int restore_event(struct disk *disk, const struct inotify_event *e, struct err *err)
{
	const struct watch *file = watches_find(&disk->file_watches, e->wd);
	if (e->mask & LOST_EVENTS)
		return ERR_MISSING;
	if (file && !(e->mask & IN_ATTRIB))
		return ERR_MISSING; /* the backing file itself is gone */
	if (file && disk->ops->inodes[file->ino].type != INODE_FILE)
		return ERR_OK;
	if (file) {
		int rc = check_attributes(disk, file->ino, err);
		return rc ? rc : check_file(disk, file->ino, err);
	}
	const struct watch *dir = watches_find(&disk->dir_watches, e->wd);
	if (!dir || e->len == 0)
		return ERR_MISSING;
	return restore_entry(disk, dir->ino, e, err);
}

static int restore_events(struct disk *disk, size_t n, struct err *err)
{
	int rc = ERR_OK;
	for (size_t at = 0; at < n && !rc;) {
		const struct inotify_event *e = (const void *)(disk->events + at);
		at += sizeof *e + e->len;
		rc = restore_event(disk, e, err);
	}
	return rc;
}

int disk_restore(struct disk *disk, struct err *err)
{
	ssize_t n = disk->notify < 0 ? -1 : read(disk->notify, disk->events, DISK_EVENTS);
	if (n < 0 && disk->notify >= 0 && errno == EAGAIN)
		return ERR_OK;
	disk->turn++;
	int rc = n < 0 ? ERR_MISSING : ERR_OK;
	while (n > 0 && !rc) {
		rc = restore_events(disk, (size_t)n, err);
		if (!disk_read_more((size_t)n))
			break;
		n = read(disk->notify, disk->events, DISK_EVENTS);
	}
	/* Mending by event may fail where mending everything does not. */
	return rc ? repair_all(disk, err) : ERR_OK;
}
