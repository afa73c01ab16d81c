/* The real file systems: how each is made and mounted. */
#ifndef POWERCUT_FILE_SYSTEM_H
#define POWERCUT_FILE_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum { MKFS_WORDS = 12 };

struct file_system {
	const char *name;	      /* that of its profile */
	const char *type;	      /* as mount(2) names it */
	const char *options;	      /* of the mount */
	const char *mkfs[MKFS_WORDS]; /* the device's path is appended; ends with NULL */
	uint64_t bytes_min;	      /* of a device */
	uint64_t overhead_bytes;      /* of the file system itself, about */
};

/* Ends with a NULL name. */
extern const struct file_system file_system_table[];

/* The row of a name, or NULL. */
const struct file_system *file_system_find(const char *name);

/* Whether this machine has it: ERR_UNSUPPORTED says what is missing (the program that
 * makes it, with its Debian package, or the kernel's part). */
int file_system_check(const struct file_system *fs, struct err *err);

/* The size of a device on which `bytes` of data have room, and a recovery too. */
uint64_t file_system_bytes(const struct file_system *fs, uint64_t bytes);

/* Makes a file system on a device.  ERR_IO with what the program said. */
int file_system_make(const struct file_system *fs, const char *device, struct err *err);

/* Mounts it over dir.  ERR_IO. */
int file_system_mount(const struct file_system *fs, const char *device, const char *dir,
		      struct err *err);
/* Unmounts dir; where somebody keeps it busy, it is tried again for a while.  ERR_IO. */
int file_system_unmount(const char *dir, struct err *err);

/* Appends how it is made and mounted: "mkfs.ext4 -b 4096 …; mount -o noatime,…". */
void file_system_describe(const struct file_system *fs, struct buf *out);

#endif
