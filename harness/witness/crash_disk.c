#include "crash_disk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "area.h"
#include "mem.h"

struct crash_disk {
	const struct crash_source *source;
	struct device *device;
	char *mount_dir, *dir;
	uint8_t *clean; /* the device with all units before `first` */
	uint8_t *used;	/* a byte a block of these: it may hold something */
	uint32_t first;
	uint64_t n_blocks;
	bool mounted;
	struct area area; /* of a stage */
};

static uint64_t block_bytes(uint64_t block)
{
	return block * DEVICE_BLOCK;
}

/* ---- what was durable ---- */

static void load_clean(struct crash_disk *d)
{
	const struct block_image *base = d->source->base;
	for (uint64_t i = 0; i < d->n_blocks; i++) {
		if (base->used[i])
			memcpy(d->clean + block_bytes(i), base->data + block_bytes(i),
			       DEVICE_BLOCK);
		else if (d->used[i])
			memset(d->clean + block_bytes(i), 0, DEVICE_BLOCK);
		d->used[i] = base->used[i];
	}
	d->first = 0;
}

/* What was durable may differ from what comes, as what was written does. */
static void also_dirty(struct crash_disk *d)
{
	uint8_t *dirty = device_dirty(d->device);
	for (uint64_t i = 0; i < d->n_blocks; i++)
		if (d->used[i])
			dirty[i] = DEVICE_TOUCHED;
}

static void forget_dirty(struct crash_disk *d)
{
	uint8_t *dirty = device_dirty(d->device);
	for (uint64_t i = 0; i < d->n_blocks; i++)
		dirty[i] &= DEVICE_WRITTEN;
}

/* All units before `first` are on disk.  Both the clean copy and the device get them;
 * the latter has nothing else then. */
static void advance(struct crash_disk *d, uint32_t first)
{
	const struct block_states *states = d->source->states;
	uint8_t *dirty = device_dirty(d->device), *data = device_data(d->device);
	if (first < d->first) {
		also_dirty(d);
		load_clean(d);
	}
	for (uint32_t u = d->first; u < first; u++) {
		uint64_t block = states->units[u].offset / DEVICE_BLOCK;
		d->used[block] = 1;
		dirty[block] = DEVICE_TOUCHED;
	}
	block_units_apply(states, d->first, first, d->clean);
	d->first = first;
	for (uint64_t i = 0; i < d->n_blocks; i++)
		if (dirty[i] & DEVICE_DIRTY)
			memcpy(data + block_bytes(i), d->clean + block_bytes(i), DEVICE_BLOCK);
	forget_dirty(d);
}

/* ---- states ---- */

int crash_disk_show(struct crash_disk *d, uint32_t number, struct err *err)
{
	const struct block_states *states = d->source->states;
	const struct block_state *state = &states->list[number];
	uint8_t *dirty = device_dirty(d->device);
	advance(d, state->first);
	for (uint32_t u = state->first; u < state->end; u++)
		dirty[states->units[u].offset / DEVICE_BLOCK] = DEVICE_TOUCHED;
	block_state_apply(states, state, device_data(d->device));
	int rc = device_forget(d->device, err);
	if (!rc)
		rc = file_system_mount(d->source->fs, device_path(d->device), d->mount_dir, err);
	d->mounted = rc == ERR_OK;
	return rc;
}

const char *crash_disk_dir(const struct crash_disk *disk)
{
	return disk->dir;
}

int crash_disk_restore(struct crash_disk *d, struct err *err)
{
	if (!d->mounted)
		return ERR_OK;
	d->mounted = false;
	return file_system_unmount(d->mount_dir, err);
}

int crash_disk_create(const struct crash_source *source, struct device *device,
		      struct crash_disk **disk, struct err *err)
{
	struct crash_disk *d = mem_alloc(1, sizeof *d);
	*disk = NULL;
	d->source = source;
	d->device = device;
	d->n_blocks = source->base->bytes / DEVICE_BLOCK;
	d->mount_dir = lab_mount_dir(source->lab, device);
	d->dir = mem_printf("%s/" LAB_DATA, d->mount_dir);
	d->used = mem_alloc(d->n_blocks, 1);
	d->clean = mmap(NULL, source->base->bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->clean == MAP_FAILED) {
		d->clean = NULL;
		crash_disk_destroy(d);
		return err_sys(err, "no memory for an image");
	}
	load_clean(d);
	/* Whatever was there before: a killed worker may have left it mounted. */
	umount2(d->mount_dir, MNT_DETACH);
	int rc = device_load(device, source->base, err);
	forget_dirty(d);
	if (rc)
		crash_disk_destroy(d);
	else
		*disk = d;
	return rc;
}

void crash_disk_destroy(struct crash_disk *d)
{
	struct err err;
	if (!d)
		return;
	crash_disk_restore(d, &err);
	if (d->clean)
		munmap(d->clean, d->source->base->bytes);
	area_remove(&d->area);
	free(d->mount_dir);
	free(d->dir);
	free(d->used);
	free(d);
}

/* ---- as a stage ---- */

static int stage_create(const void *arg, const struct ops *ops, const char *parent, void **stage,
			struct err *err)
{
	const struct crash_stage *s = arg;
	struct crash_disk *disk = NULL;
	(void)ops;
	*stage = NULL;
	struct device *device = device_claim(s->devices, s->n);
	if (!device)
		return err_set(err, ERR_INTERNAL, "no device is left for a worker");
	int rc = crash_disk_create(&s->source, device, &disk, err);
	if (!rc)
		rc = area_create(parent, &disk->area, err);
	if (rc) {
		crash_disk_destroy(disk);
		device_release(device);
	} else {
		*stage = disk;
	}
	return rc;
}

static void stage_destroy(void *stage)
{
	struct crash_disk *disk = stage;
	struct device *device = disk ? disk->device : NULL;
	crash_disk_destroy(disk);
	if (device)
		device_release(device);
}

static const char *stage_dir(const void *stage)
{
	return crash_disk_dir(stage);
}

static const char *stage_area(const void *stage)
{
	const struct crash_disk *disk = stage;
	return disk->area.path;
}

static int stage_show(void *stage, const struct state *state, struct err *err)
{
	return crash_disk_show(stage, state->held[0].object, err);
}

static int stage_restore(void *stage, struct err *err)
{
	return crash_disk_restore(stage, err);
}

const struct stage_kind stage_crash_disk = {stage_create, stage_destroy, stage_dir,
					    stage_area,	  stage_show,	 stage_restore};
