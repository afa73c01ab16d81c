#include "timing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of the kernel's own fs/ext4/ext4.h, since 5.14: commits the running transaction and
 * empties the journal, and does not write back data. */
#define IOC_EXT4_CHECKPOINT _IOW('f', 43, uint32_t)

static int nothing(const struct timing_place *place, struct err *err)
{
	(void)place;
	(void)err;
	return ERR_OK;
}

/* An fsync of a file of another: its data and size have changed. */
static int sync_other(const struct timing_place *place, struct err *err)
{
	uint64_t bytes[8];
	for (size_t i = 0; i < 8; i++)
		bytes[i] = place->random + i;
	off_t at = (off_t)(place->random % 8 * sizeof bytes);
	off_t end = lseek(place->other, 0, SEEK_END);
	if (place->random & 8 && end >= 0 && end < 65536)
		at = end;
	if (pwrite(place->other, bytes, sizeof bytes, at) != sizeof bytes ||
	    fsync(place->other) != 0)
		return err_sys(err, "fsync of an unrelated file");
	return ERR_OK;
}

/* What has been logged is committed, without the data that waits. */
static int commit(const struct timing_place *place, struct err *err)
{
	uint32_t flags = 0;
	uint64_t transaction = 0;
	int rc;
	if (strcmp(place->fs->type, "ext4") == 0) {
		rc = ioctl(place->root, IOC_EXT4_CHECKPOINT, &flags);
	} else if (strcmp(place->fs->type, "btrfs") == 0) {
		rc = ioctl(place->root, BTRFS_IOC_START_SYNC, &transaction);
		if (rc == 0)
			rc = ioctl(place->root, BTRFS_IOC_WAIT_SYNC, &transaction);
	} else {
		/* xfs forces its log up to the file's last change: so that is made now. */
		rc = fchmod(place->other, place->random & 1 ? 0600 : 0644);
		if (rc == 0)
			rc = fsync(place->other);
	}
	if (rc != 0 && (errno == ENOTTY || errno == EOPNOTSUPP))
		return sync_other(place, err);
	return rc == 0 ? ERR_OK : err_sys(err, "a commit of %s", place->fs->name);
}

/* Data of one file is written back. */
static int write_back(const struct timing_place *place, struct err *err)
{
	uint32_t ino = replay_file(place->replay, place->random >> 8);
	int fd = ino ? replay_open(place->replay, ino) : -1;
	if (fd < 0)
		return ERR_OK;
	/* One page at times, so that it overtakes its neighbours. */
	off_t from = place->random & 1 ? (off_t)(place->random >> 4 & 3) * DEVICE_BLOCK : 0;
	off_t length = place->random & 1 ? DEVICE_BLOCK : 0;
	int rc = sync_file_range(fd, from, length,
				 SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					 SYNC_FILE_RANGE_WAIT_AFTER);
	if (rc != 0)
		err_sys(err, "sync_file_range");
	close(fd);
	return rc == 0 ? ERR_OK : ERR_IO;
}

/* Now and then the journal follows, before other data does. */
static int write_back_at_times(const struct timing_place *place, struct err *err)
{
	int rc = write_back(place, err);
	if (rc || place->random >> 40 & 1)
		return rc;
	return commit(place, err);
}

static int pause_a_little(const struct timing_place *place, struct err *err)
{
	const struct timespec t = {.tv_nsec = (long)(place->random % 5000000)};
	(void)err;
	nanosleep(&t, NULL);
	return ERR_OK;
}

/* One of the others, or none, or two. */
static int mix(const struct timing_place *place, struct err *err)
{
	struct timing_place p = *place;
	p.random >>= 4;
	switch (place->random % 10) {
	case 0:
	case 1:
		return commit(&p, err);
	case 2:
	case 3:
		return write_back(&p, err);
	case 4:
		return sync_other(&p, err);
	case 5: {
		int rc = write_back(&p, err);
		return rc ? rc : commit(&p, err);
	}
	case 6:
		return pause_a_little(&p, err);
	default:
		return ERR_OK;
	}
}

const struct timing timing_table[] = {
	{"plain", "as fast as it goes", nothing, 0, 0},
	{"commit", "the journal is committed between calls", commit, 0, 0},
	{"range", "data of one file is written back between calls", write_back_at_times, 0, 0},
	{"fsync", "an unrelated file is fsynced between calls", sync_other, 0, 0},
	{"slow", "a disk on which some writes take 4 ms", nothing, 1, 1000},
	{"mixed", "by chance one of the others between calls", mix, 2, 1000},
	{0},
};

const struct timing *timing_find(const char *name)
{
	for (const struct timing *t = timing_table; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}
