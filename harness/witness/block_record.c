#include "block_record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "prng.h"

/* A file system that is mounted for a recording. */
struct stand {
	const struct block_run *run;
	struct device *device;
	char *dir;
	bool mounted;
	struct timing_place place;
	int data; /* the directory of the workload */
	struct prng prng;
};

static void let_go(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int stand_mount(struct stand *s, struct err *err)
{
	int rc = file_system_mount(s->run->fs, device_path(s->device), s->dir, err);
	if (rc)
		return rc;
	s->mounted = true;
	s->place.root = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->place.other = openat(s->place.root, LAB_OTHER, O_RDWR | O_CLOEXEC);
	s->data = openat(s->place.root, LAB_DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->place.other < 0 || s->data < 0)
		return err_sys(err, "%s", s->dir);
	return ERR_OK;
}

static int stand_unmount(struct stand *s, struct err *err)
{
	let_go(&s->data);
	let_go(&s->place.other);
	let_go(&s->place.root);
	if (!s->mounted)
		return ERR_OK;
	s->mounted = false;
	return file_system_unmount(s->dir, err);
}

static int act(struct stand *s, struct err *err)
{
	s->place.random = prng_next(&s->prng);
	return s->run->timing->act(&s->place, err);
}

static int border(void *arg, uint32_t event, bool before, struct err *err)
{
	struct stand *s = arg;
	device_moment(s->device, 2 * event + (before ? 1 : 2));
	return before ? ERR_OK : act(s, err);
}

/* The start, durable before anything is recorded. */
static int make_start(struct stand *s, struct err *err)
{
	const struct block_run *r = s->run;
	int rc = replay_create(r->trace, s->data, r->close_each, &s->place.replay, err);
	if (!rc && syncfs(s->data) != 0)
		rc = err_sys(err, "syncfs");
	return rc;
}

/* What the kernel remembers of the start is gone then, as after a boot. */
static int remount(struct stand *s, struct err *err)
{
	replay_rest(s->place.replay);
	int rc = stand_unmount(s, err);
	if (!rc)
		rc = stand_mount(s, err);
	return rc ? rc : replay_resume(s->place.replay, s->data, err);
}

static uint32_t slow_us(struct stand *s)
{
	bool slow =
		s->run->timing->slow_share && prng_below(&s->prng, s->run->timing->slow_share) == 0;
	return slow ? s->run->timing->slow_us : 0;
}

static int record(struct stand *s, struct block_recording *recording, struct err *err)
{
	const struct block_run *r = s->run;
	struct err stopped;
	/* In this order: what comes between is in both, and so durable. */
	device_record(s->device);
	device_copy(s->device, &recording->base);
	device_slow(s->device, slow_us(s));
	int rc = act(s, err);
	if (!rc)
		rc = replay_run(s->place.replay, r->n_events, border, s, err);
	device_moment(s->device, 2 * r->n_events);
	if (!rc && syncfs(s->data) != 0)
		rc = err_sys(err, "syncfs");
	int ended = device_stop(s->device, &recording->log, &stopped);
	if (!rc && ended) {
		*err = stopped;
		rc = ended;
	}
	return rc;
}

int block_record(struct lab *lab, struct device *device, const struct block_run *run,
		 struct block_recording *recording, struct err *err)
{
	const struct block_image *fresh;
	struct stand s = {.run = run,
			  .device = device,
			  .dir = lab_mount_dir(lab, device),
			  .data = -1,
			  .place = {.fs = run->fs, .root = -1, .other = -1, .device = device}};
	*recording = (struct block_recording){0};
	prng_init(&s.prng, run->seed);
	int rc = lab_fresh(lab, device, run->fs, &fresh, err);
	if (!rc)
		rc = device_load(device, fresh, err);
	if (!rc)
		rc = stand_mount(&s, err);
	if (!rc)
		rc = make_start(&s, err);
	if (!rc && !run->warm)
		rc = remount(&s, err);
	if (!rc)
		rc = record(&s, recording, err);
	replay_destroy(s.place.replay);
	int left = stand_unmount(&s, rc ? NULL : err);
	rc = rc ? rc : left;
	free(s.dir);
	if (rc) {
		block_recording_finish(recording);
		err_wrap(err, "%s, timing %s", run->fs->name, run->timing->name);
	}
	return rc;
}

void block_recording_finish(struct block_recording *recording)
{
	block_image_finish(&recording->base);
}
