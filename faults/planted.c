#include "planted.h"

#include <stddef.h>

#define EVERY_FILE_SYSTEM "ext4 ext4-lock ext4-noda xfs btrfs"

const struct planted_bug planted_bugs[] = {
	/* wal */
	{"wal/skip-sync", "sync mode does not sync", "wal", "", "O2", EVERY_FILE_SYSTEM},
	{"wal/sync-before-flush", "the sync comes before the flush of what it is for", "wal", "",
	 "O2", EVERY_FILE_SYSTEM},
	{"wal/ack-before-sync", "a record is acknowledged first and synced with the next one",
	 "wal", "", "O2", EVERY_FILE_SYSTEM},
	{"wal/rotate-no-dirsync", "the name of a new segment is not synced", "wal", "", "O2",
	 "posix-dir"},
	/* Large values: their inner blocks may read as zeros where their last one is there. */
	{"wal/replay-ignores-crc", "a record whose crc is wrong is replayed",
	 "wal:segment_bytes=65536", "mix=put values=200-9000", "O3", EVERY_FILE_SYSTEM},
	/* An old checkpoint at the head of a file that is used again supersedes the log. */
	{"wal/stale-tail", "the crc leaves out the segment's number: old records of a file count",
	 "wal:recycle=1,segment_bytes=1024", "mix=put=60,delete=15,batch=8,compact=10", "O4|O6",
	 "kill"},
	/* A batch of several blocks, of which a kill may leave the first ones. */
	{"wal/commit-apart", "COMMIT is written apart from its batch, which is replayed without it",
	 "wal", "values=200 batches=30-40", "O5", "kill"},
	{"wal/compact-in-place", "the last segment is rewritten in place", "wal", "", "O2", "kill"},
	/* Flushed at once and not synced, records are there for a recovery to show. */
	{"wal/recover-no-sync", "what recovery has shown is not synced",
	 "wal:sync=none,buffer_bytes=1", "", "O11", EVERY_FILE_SYSTEM},

	/* lsm */

	/* btree */

	/* bitcask */

	{NULL},
};
