#include "planted.h"

#include <stddef.h>

#define EVERY_FILE_SYSTEM "ext4 ext4-lock ext4-noda xfs btrfs"

const struct planted_bug planted_bugs[] = {
	/* wal */

	/* lsm */

	/* btree */

	/* bitcask */

	{NULL},
};
