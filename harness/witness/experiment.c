#include "experiment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash_disk.h"
#include "look.h"
#include "mem.h"

static bool known(const struct experiment *e, const struct seen *seen, uint32_t from, uint32_t to)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct sighting *s = &e->list[i];
		if (s->from <= from && s->to >= to && s->seen->digest.lo == seen->digest.lo &&
		    s->seen->digest.hi == seen->digest.hi)
			return true;
	}
	return false;
}

static int look_at(struct experiment *e, const struct crash_disk *disk, uint32_t number,
		   bool keep_data, struct err *err)
{
	const struct block_state *state = &e->states.list[number];
	struct buf tree = {0};
	int dir = open(crash_disk_dir(disk), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = dir < 0 ? err_sys(err, "%s", crash_disk_dir(disk))
			 : look_tree(dir, keep_data, &tree, err);
	if (dir >= 0)
		close(dir);
	const struct seen *seen = (const void *)tree.data;
	if (rc || known(e, seen, state->from, state->to)) {
		buf_finish(&tree);
		return rc;
	}
	/* The sighting has the memory from here. */
	*MEM_PUSH(e->list, e->n, e->cap) = (struct sighting){seen, state->from, state->to, number};
	return ERR_OK;
}

static int show_all(struct experiment *e, struct crash_disk *disk, bool keep_data,
		    volatile const bool *stop, struct err *err)
{
	int rc = ERR_OK;
	for (uint32_t i = 0; i < e->states.n && !rc; i++) {
		struct err refused;
		if (stop && *stop)
			return err_set(err, ERR_TARGET, "stopped");
		if (crash_disk_show(disk, i, &refused)) {
			if (!e->unmountable++)
				snprintf(e->refusal, sizeof e->refusal, "%.250s", refused.text);
			continue;
		}
		e->mounted++;
		rc = look_at(e, disk, i, keep_data, err);
		int left = crash_disk_restore(disk, rc ? NULL : err);
		rc = rc ? rc : left;
	}
	return rc;
}

int experiment_record(struct lab *lab, struct device *device, const struct block_run *run,
		      const struct block_options *options, struct experiment *e, struct err *err)
{
	*e = (struct experiment){0};
	int rc = block_record(lab, device, run, &e->recording, err);
	if (!rc)
		block_states_choose(&e->recording.log, options, &e->states);
	return rc;
}

int experiment_run(struct lab *lab, struct device *device, const struct block_run *run,
		   const struct block_options *options, bool keep_data, volatile const bool *stop,
		   struct experiment *e, struct err *err)
{
	struct crash_disk *disk = NULL;
	int rc = experiment_record(lab, device, run, options, e, err);
	if (rc)
		return rc;
	const struct crash_source source = {lab, run->fs, &e->recording.base, &e->states};
	rc = crash_disk_create(&source, device, &disk, err);
	if (!rc)
		rc = show_all(e, disk, keep_data, stop, err);
	crash_disk_destroy(disk);
	return rc;
}

void experiment_finish(struct experiment *e)
{
	for (size_t i = 0; i < e->n; i++)
		free((void *)(uintptr_t)e->list[i].seen);
	free(e->list);
	block_states_finish(&e->states);
	block_recording_finish(&e->recording);
	*e = (struct experiment){0};
}
