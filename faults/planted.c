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
	{"wal/recover-no-sync", "what recovery has shown is not synced", "wal", "", "O11",
	 EVERY_FILE_SYSTEM},
	/* Unsynced records, each in blocks of its own: an earlier one is lost, a later one is not. */
	{"wal/recover-no-cut", "what recovery did not read stays behind the end of the log",
	 "wal:sync=none,buffer_bytes=1,segment_bytes=65536",
	 "ops=20 mix=put=60,sync=40 values=3900-4200", "O11",
	 EVERY_FILE_SYSTEM},

	/* lsm */
	{"lsm/truncate-log-first", "a flush empties the log before its table is written", "lsm", "",
	 "O2", "kill"},
	{"lsm/sstable-no-sync", "a table is renamed to its name without a sync", "lsm", "", "O1|O2",
	 EVERY_FILE_SYSTEM},
	{"lsm/manifest-no-dirsync", "the name of a new MANIFEST is not synced", "lsm", "", "O1|O2",
	 "posix-dir"},
	{"lsm/unlink-inputs-first", "a compaction's inputs go before the version without them", "lsm",
	 "", "O1|O2", "kill"},
	{"lsm/drop-tombstone", "a compaction drops a tombstone while an older value remains", "lsm",
	 "", "O6", "kill"},
	{"lsm/sequence-reset", "sequence numbers begin anew after a recovery", "lsm", "", "O2|O6",
	 "kill"},
	/* The version that was loaded may be one that a kill left, and that is not durable. */
	{"lsm/leftovers-before-flush", "a recovery removes leftovers before its version is durable",
	 "lsm", "", "O10", EVERY_FILE_SYSTEM},

	/* btree */
	{"btree/page-before-log", "pages are written before their log entries are synced",
	 "btree:log_bytes=0", "ops=20", "O4|O8", EVERY_FILE_SYSTEM},
	{"btree/meta-past-log", "the meta page goes to the data file directly, past the log",
	 "btree", "", "O2|O8", "kill"},
	{"btree/truncate-log-first", "the log is truncated before the data file is synced",
	 "btree:log_bytes=0", "", "O2|O8", EVERY_FILE_SYSTEM},
	{"btree/no-commit-record", "what is there of a transaction is replayed without its COMMIT",
	 "btree", "", "O4|O8", "kill"},
	/* Large values: an entry's data may be a block of zeros where those around it are there. */
	{"btree/no-checksum", "a log entry whose checksum is wrong is replayed",
	 "btree:log_bytes=0", "ops=8 mix=put values=8000-16000", "O3|O8", EVERY_FILE_SYSTEM},
	/* A value's pages, free once it is replaced, become those of the value that replaces it. */
	{"btree/free-page-reused", "pages freed and used again are written past the log",
	 "btree:inline_bytes=0", "", "O3|O8", "kill"},

	/* bitcask */
	{"bitcask/merge-unlink-first", "a merge removes its inputs before its outputs are in place",
	 "bitcask", "", "O2", "kill"},
	{"bitcask/hint-trusted", "a hint is believed without a look at its checksum and size",
	 "bitcask", "", "O2|O3", EVERY_FILE_SYSTEM},
	{"bitcask/hint-before-data", "a merge syncs the hint and not the data file beside it",
	 "bitcask", "", "O1|O2", EVERY_FILE_SYSTEM},
	/* Small files, of which many are not worth a merge. */
	{"bitcask/merge-drops-tombstone", "a merge drops tombstones while older values remain",
	 "bitcask:max_file_bytes=512,merge_dead_percent=70", "ops=200 mix=put=60,delete=25,compact=25",
	 "O6", "kill"},
	{"bitcask/rotate-no-dirsync", "the name of a new data file is not synced", "bitcask", "",
	 "O2", "posix-dir"},
	{"bitcask/recover-no-dirsync", "names that recovery has seen come and go are not synced",
	 "bitcask:max_file_bytes=512", "", "O2|O11|O12", "posix-dir"},
	{"bitcask/tail-accepted", "a record counts once its lengths fit, whatever its crc",
	 "bitcask:max_file_bytes=65536", "mix=put values=200-9000", "O3", EVERY_FILE_SYSTEM},
	{"bitcask/orphan-hints", "hints that a merge left without their data file are not removed",
	 "bitcask", "", "O12", "kill"},

	{NULL},
};
