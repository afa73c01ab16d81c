/* A block device of our own: a file that a small FUSE program keeps in memory, and
 * a loop device on it.
 *
 * Whatever a file system does with the device arrives at that program as writes
 * and flushes (a write with FUA arrives as a write and a flush), which it can
 * record.  The bytes lie in memory that it shares with us, so that images are made
 * by writing there.
 *
 * The FUSE file system is mounted in a mount namespace of its program's own, and
 * that program ends with the process that made the device.  The loop device is
 * cleared by the kernel when its last user is gone.  So nothing is left after a
 * kill, whenever it comes. */
#ifndef POWERCUT_DEVICE_H
#define POWERCUT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks.h"
#include "err.h"

struct device;

enum { DEVICE_BLOCK = UNIT_BYTES };

/* A copy of a device: the blocks that were ever written. */
struct block_image {
	uint64_t bytes;
	uint8_t *data; /* shared memory; zeros where nothing was written */
	uint8_t *used; /* a byte a block: it was written */
};
void block_image_finish(struct block_image *image);

/* Makes a device of zeros.  bytes is a multiple of DEVICE_BLOCK; dir an existing
 * directory, over which the FUSE file system is mounted where nobody else sees it.
 * Ends with the calling thread.  ERR_UNSUPPORTED where FUSE or loop devices cannot
 * be had. */
int device_create(const char *dir, uint64_t bytes, struct device **device, struct err *err);
/* What is mounted from it must be unmounted.  NULL is fine. */
void device_destroy(struct device *device);

/* "/dev/loop3" */
const char *device_path(const struct device *device);
uint64_t device_bytes(const struct device *device);

/* The bytes, for writing an image while nothing is mounted; device_forget makes the
 * kernel see it. */
uint8_t *device_data(struct device *device);
/* A byte a block.  WRITTEN: it may hold something else than zeros; DIRTY: it was written through
 * the device since the caller last took that bit away.  Who writes to device_data sets both. */
enum { DEVICE_WRITTEN = 1, DEVICE_DIRTY = 2, DEVICE_TOUCHED = 3 };
uint8_t *device_dirty(struct device *device);
/* Drops what the kernel has cached of the device.  ERR_IO. */
int device_forget(const struct device *device, struct err *err);

/* A copy of what is on the device now.  Released by block_image_finish. */
void device_copy(const struct device *device, struct block_image *image);
/* Makes the device equal to a copy, of the same size. */
int device_load(struct device *device, const struct block_image *image, struct err *err);

/* Recording: from now on, writes and flushes are kept, at moment 0; a log that was
 * kept before is gone. */
void device_record(struct device *device);
/* Everything that arrives from now on belongs to that moment. */
void device_moment(struct device *device, uint32_t moment);
/* Ends the recording.  The log lives in the device until the next one.  ERR_FULL if there
 * was more than it can hold. */
int device_stop(struct device *device, struct block_log *log, struct err *err);
/* From now on some writes take four times that long, and others next to nothing; a flush that
 * comes meanwhile does not cover them.  0: no more. */
void device_slow(struct device *device, uint32_t microseconds);

/* For processes that share devices made before they were forked: takes one that
 * no living process has taken, or NULL. */
struct device *device_claim(struct device *const *devices, uint32_t n);
/* Gives a claimed device back. */
void device_release(struct device *device);

#endif
