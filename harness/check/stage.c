/* A disk as a stage. */
#include "stage.h"

#include "disk.h"

static int create(const void *arg, const struct ops *ops, const char *parent, void **stage,
		  struct err *err)
{
	struct disk *disk;
	(void)arg;
	int rc = disk_create(ops, parent, &disk, err);
	*stage = disk;
	return rc;
}

static void destroy(void *stage)
{
	disk_destroy(stage);
}

static const char *dir(const void *stage)
{
	return disk_dir(stage);
}

static const char *area(const void *stage)
{
	return disk_area(stage);
}

static int show(void *stage, const struct state *state, struct err *err)
{
	return disk_show(stage, state, err);
}

static int restore(void *stage, struct err *err)
{
	return disk_restore(stage, err);
}

const struct stage_kind stage_disk = {
	.create = create,
	.destroy = destroy,
	.dir = dir,
	.area = area,
	.show = show,
	.restore = restore,
};
