/* A laboratory: devices, and a place where they are mounted that nobody else sees.
 *
 * The process moves to a mount namespace of its own, in which all its mounts are
 * made, so that they go with the last of its processes, however these end.  What a
 * killed predecessor has left all the same is cleared away when a laboratory is
 * opened: its directories, and loop devices of ours that nobody uses. */
#ifndef POWERCUT_LAB_H
#define POWERCUT_LAB_H

#include "device.h"
#include "file_system.h"

struct lab;

/* Whether there can be one: ERR_UNSUPPORTED says what is missing of root, FUSE and loop
 * devices. */
int lab_check(struct err *err);

/* Where lab_check finds something missing, that is the error, and nothing is changed.
 * tmp: as area_choose reads it.  The calling process stays in its own mount namespace for
 * good; one laboratory a process. */
int lab_open(const char *tmp, struct lab **lab, struct err *err);
/* Destroys the devices.  NULL is fine. */
void lab_close(struct lab *lab);
/* Its directory. */
const char *lab_dir(const struct lab *lab);

/* n devices of so many bytes, which belong to the laboratory; those that are there
 * already and large enough are taken first, others of another size are destroyed.
 * Nothing may be mounted.  *devices is valid until the next call. */
int lab_devices(struct lab *lab, uint32_t n, uint64_t bytes, struct device *const **devices,
		struct err *err);

/* The directory at which a device is mounted: one a device. */
char *lab_mount_dir(const struct lab *lab, const struct device *device);

/* A fresh file system of a size, as an image: made by its mkfs, once a laboratory.
 * In it are the directory "data" and the file "other" (for unrelated calls). */
int lab_fresh(struct lab *lab, struct device *device, const struct file_system *fs,
	      const struct block_image **image, struct err *err);

#define LAB_DATA  "data"
#define LAB_OTHER "other"

#endif
