/* The inside of a disk: for disk.c, which shows states, and disk_restore.c,
 * which undoes what was done to them. */
#ifndef POWERCUT_DISK_INSIDE_H
#define POWERCUT_DISK_INSIDE_H

#include <limits.h>
#include <sys/types.h>

#include "area.h"
#include "disk.h"

enum {
	DISK_OPEN_MAX = 8, /* backing files kept open: fork copies them, so few */
	DISK_CHUNK = 16 * BLOCK_BYTES,
	DISK_EVENTS = 1 << 16, /* bytes of events read at once */
	DISK_FILE_MODE = 0644,
	DISK_DIR_MODE = 0755,
};

/* The real file behind an inode: pool/INO in the area.  It is made when the
 * inode first has a name, and kept. */
struct backing {
	bool made;
	uint32_t checked; /* turn in which its bytes were last compared */
	ino_t real;
	uint64_t size;
};

struct open_file {
	uint32_t ino; /* 0: none */
	int fd;
	uint32_t used; /* turn */
};

/* An inotify watch, on a directory of the image or on a backing file. */
struct watch {
	int wd;
	uint32_t ino;
};

struct watches {
	struct watch *all; /* by rising wd */
	size_t n, cap;
};

/* Invariant, between disk_show and what a recovery does, unless suspect: for
 * each backing file, its size is the image's, and so are its bytes up to
 * there. */
struct disk {
	const struct ops *ops;
	struct image *image;
	size_t bytes; /* of this mapping */
	struct area area;
	char *dir;
	int pool, data; /* directories */
	int notify;	/* inotify, or -1 where there is none */
	struct watches dir_watches, file_watches;
	uint32_t turn; /* counts shows and restores */
	bool suspect;  /* what is there is not known */
	bool stirred;  /* we changed names: their events are to be thrown away */
	struct open_file open[DISK_OPEN_MAX];
	struct backing *backing; /* by inode */
	char **path;		 /* by inode: a shown directory's path below data */
	uint32_t *shown;	 /* by object: ENTRY: the inode that the real name stands for */
	uint32_t *written;	 /* by object: BLOCK: the turn in which it was last written */
	char name[PATH_MAX];	 /* scratch: of disk_name */
	uint8_t chunk[DISK_CHUNK];
	char events[DISK_EVENTS] __attribute__((aligned(16)));
};

/* err_sys, in words for a user where the file system is full. */
int disk_error(const struct disk *disk, struct err *err, const char *what, const char *name);

/* The path of an entry below data, valid until the next call; NULL where its
 * directory is not shown. */
const char *disk_name(struct disk *disk, uint32_t object);

/* A descriptor of the backing file, which stays the disk's; -1 with errno. */
int disk_open(struct disk *disk, uint32_t ino);

/* Writes the blocks that hold bytes [from, to) of a backing file, which is
 * extended or cut to the image's size. */
int disk_write(struct disk *disk, uint32_t ino, uint64_t from, uint64_t to, struct err *err);

/* Forgets a backing file, which is removed if it is still there. */
int disk_forget(struct disk *disk, uint32_t ino, struct err *err);

/* Makes the name real, or takes it away, as image_entry says. */
int disk_set_name(struct disk *disk, uint32_t object, struct err *err);

/* Throws away all names and makes them anew. */
int disk_rebuild_names(struct disk *disk, struct err *err);

/* Compares all backing files with the image, attributes too, and mends them. */
int disk_check_all(struct disk *disk, struct err *err);

/* Whether, after reading that many bytes of events, there may be more: with room
 * left for one, that was all. */
bool disk_read_more(size_t got);

/* Throws away pending events. */
void disk_drain(struct disk *disk);

#endif
