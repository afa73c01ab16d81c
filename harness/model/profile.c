#include "profile.h"

#include <string.h>

/* clang-format off */
const struct profile profile_table[] = {
	{.name = "kill", .summary = "the process dies; the page cache survives, its own buffers do not",
	 .order = ORDER_ISSUED, .sector_bytes = 4096},
	{.name = "ideal", .summary = "what naive code assumes: the disk keeps a prefix of all writes",
	 .order = ORDER_ALL, .sector_bytes = 4096},
	{.name = "ext4-lock", .summary = "ext4 with dioread_lock, and before Linux 5.6",
	 .order = ORDER_METADATA, .size = SIZE_NEW, .fsync = NAMES_ALL, .fdatasync = NAMES_CREATION,
	 .journal = true, .zeros_ordered = true, .replace = REPLACE_WAITS, .sector_bytes = 4096, .file_system = true},
	{.name = "ext4", .summary = "ext4 with its defaults, since Linux 5.6",
	 .order = ORDER_METADATA, .size = SIZE_FREE, .fsync = NAMES_ALL, .fdatasync = NAMES_CREATION,
	 .journal = true, .zeros_ordered = true, .replace = REPLACE_STARTS, .sector_bytes = 4096, .file_system = true},
	{.name = "ext4-noda", .summary = "ext4 with noauto_da_alloc",
	 .order = ORDER_METADATA, .size = SIZE_FREE, .fsync = NAMES_ALL, .fdatasync = NAMES_CREATION,
	 .journal = true, .zeros_ordered = true, .replace = REPLACE_FREE, .sector_bytes = 4096, .file_system = true},
	{.name = "xfs", .summary = "xfs with its defaults",
	 .order = ORDER_METADATA, .size = SIZE_LAST, .fsync = NAMES_ALL, .fdatasync = NAMES_ALL,
	 .journal = true, .replace = REPLACE_FREE, .exchange_unnamed = true, .sync_flushes_log = true,
	 .sector_bytes = 4096, .file_system = true},
	{.name = "btrfs", .summary = "btrfs with its defaults",
	 .order = ORDER_OVERTAKE, .size = SIZE_FREE, .fsync = NAMES_ALL, .fdatasync = NAMES_ALL,
	 .replace = REPLACE_FREE, .rename_splits = true, .nameless_unlogged = true, .tail_waits = true,
	 .sector_bytes = 4096, .file_system = true},
	{.name = "posix-dir", .summary = "posix, but the entries of each directory change in order",
	 .order = ORDER_DIRECTORY, .sync_flushes_log = true, .sector_bytes = 512, .tears = true},
	{.name = "posix", .summary = "only what the standard promises: fsync, and rename is atomic",
	 .order = ORDER_NONE, .sync_flushes_log = true, .sector_bytes = 512, .tears = true},
	{0},
};
/* clang-format on */

const struct profile *profile_find(const char *name)
{
	for (const struct profile *p = profile_table; p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* How far up a profile stands; within one level none is within another. */
static int level(const struct profile *p)
{
	switch (p->order) {
	case ORDER_ISSUED:
		return 0;
	case ORDER_ALL:
		return 1;
	case ORDER_METADATA:
	case ORDER_OVERTAKE:
		return 2;
	case ORDER_DIRECTORY:
		return 3;
	case ORDER_NONE:
		return 4;
	}
	return 4;
}

/* One file system within another, rule by rule. */
static bool rules_within(const struct profile *a, const struct profile *b)
{
	return a->order == b->order && a->journal == b->journal && a->fsync >= b->fsync &&
	       a->fdatasync >= b->fdatasync && a->tail_waits >= b->tail_waits &&
	       a->zeros_ordered >= b->zeros_ordered && a->sync_flushes_log <= b->sync_flushes_log &&
	       a->nameless_unlogged <= b->nameless_unlogged &&
	       a->exchange_unnamed <= b->exchange_unnamed && a->replace >= b->replace &&
	       (b->size == SIZE_FREE || a->size == b->size ||
		(a->size == SIZE_LAST && b->size == SIZE_NEW));
}

bool profile_within(const struct profile *a, const struct profile *b)
{
	if (a == b)
		return true;
	/* What overtakes need not keep the order of its directory. */
	if (a->order == ORDER_OVERTAKE && b->order == ORDER_DIRECTORY)
		return false;
	if (level(a) != level(b))
		return level(a) < level(b);
	return level(a) == 2 && rules_within(a, b);
}
