/* A crash disk: block states, mounted one after the other.
 *
 * Going from one to the next writes what differs: what the last state and whoever
 * had it mounted have written is put back first. */
#ifndef POWERCUT_CRASH_DISK_H
#define POWERCUT_CRASH_DISK_H

#include "block_record.h"
#include "stage.h"

struct crash_disk;

/* What block states are shown from; plain data, all of which must outlive the disk. */
struct crash_source {
	struct lab *lab;
	const struct file_system *fs;
	const struct block_image *base;
	const struct block_states *states;
};

/* On a device of the size of the base, with nothing mounted. */
int crash_disk_create(const struct crash_source *source, struct device *device,
		      struct crash_disk **disk, struct err *err);
/* Unmounts.  NULL is fine. */
void crash_disk_destroy(struct crash_disk *disk);

/* Makes and mounts the state of that number.  ERR_IO, also where the file system
 * refuses to be mounted. */
int crash_disk_show(struct crash_disk *disk, uint32_t state, struct err *err);
/* The workload's directory in it; valid until crash_disk_destroy. */
const char *crash_disk_dir(const struct crash_disk *disk);
/* Unmounts.  ERR_IO: the disk must be destroyed. */
int crash_disk_restore(struct crash_disk *disk, struct err *err);

/* Crash disks as a stage for recoveries.  The stage's arg is a struct crash_stage; a
 * state's held[0].object is the number of the block state. */
struct crash_stage {
	struct crash_source source;
	struct device *const *devices; /* one for each worker, of its own */
	uint32_t n;
};
extern const struct stage_kind stage_crash_disk;

#endif
