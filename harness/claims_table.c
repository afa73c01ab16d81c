/* The twelve claims and their cases. */
#include "claims.h"

#define FILE_SYSTEMS "ext4 ext4-lock ext4-noda xfs btrfs"
/* What must be there is not: an older store, a resurrected key, or no store at all. */
#define LOSES	"O1|O2|O6"
#define WRONG	"O1|O2|O3|O4|O5|O6|O7|O8"
#define CHANGES "mix=put=80,delete=20"
#define BATCHES "mix=put=60,delete=15,batch=15,sync=5"

/* One segment: where segments vanish, keys of lost puts look as if a batch had deleted
 * them, which says nothing of the batch. */
#define BATCH_CASE(variant, mode)                                                                  \
	{                                                                                          \
		.kind = CLAIM_NEVER, .says = "no batch is there in part",                          \
		.spec = "wal:variant=" variant "," mode ",segment_bytes=1048576",                  \
		.workload = BATCHES, .rules = "O5", .expected = CLAIM_CONFIRMED                    \
	}
#define FDATASYNC_CASE(target)                                                                     \
	{                                                                                          \
		.kind = CLAIM_SAME, .says = "fdatasync is as safe as fsync", .spec = target,       \
		.workload = "ops=60", .rules = WRONG, .expected = CLAIM_CONFIRMED                  \
	}

static const struct claim_case flush_only[] = {
	{.kind = CLAIM_NEVER,
	 .says = "no acknowledged write is lost by a kill",
	 .spec = "lsm:variant=textbook,memtable_bytes=1048576",
	 .workload = CHANGES,
	 .rules = LOSES,
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_CAN,
	 .says = "acknowledged writes are lost when power goes",
	 .spec = "lsm:variant=textbook,memtable_bytes=1048576",
	 .workload = CHANGES,
	 .contract = "power",
	 .rules = "O2|O6",
	 .profiles = FILE_SYSTEMS,
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case sync_mode[] = {
	{.kind = CLAIM_NEVER,
	 .says = "nothing acknowledged is lost",
	 .spec = "wal:variant=textbook,sync=sync",
	 .workload = "mix=put,delete,sync",
	 .rules = LOSES,
	 .profiles = "ext4",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "nothing acknowledged is lost",
	 .spec = "wal:variant=textbook,sync=sync",
	 .workload = "mix=put,delete,sync",
	 .rules = LOSES,
	 .profiles = "posix",
	 .expected = CLAIM_REFUTED},
	{.kind = CLAIM_NEVER,
	 .says = "nothing acknowledged is lost",
	 .spec = "wal:variant=hardened,sync=sync",
	 .workload = "mix=put,delete,sync",
	 .rules = LOSES,
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case batch_mode[] = {
	{.kind = CLAIM_NEVER,
	 .says = "no more than 7 acknowledged writes are lost",
	 .spec = "wal:variant=hardened,sync=batch,batch=8",
	 .workload = CHANGES,
	 .contract = "every=8",
	 .rules = LOSES,
	 .expected = CLAIM_CONFIRMED},
	/* With a promise that at most 6 are lost, which 7 would break. */
	{.kind = CLAIM_CAN,
	 .says = "7 acknowledged writes are lost",
	 .spec = "wal:variant=hardened,sync=batch,batch=8",
	 .workload = CHANGES,
	 .contract = "every=7",
	 .rules = "O2|O6",
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case mode_none[] = {
	{.kind = CLAIM_CAN,
	 .says = "acknowledged writes are lost by a kill",
	 .spec = "wal:variant=textbook,sync=none",
	 .workload = CHANGES,
	 .contract = "each",
	 .rules = "O2|O6",
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case commit_marker[] = {
	BATCH_CASE("textbook", "sync=sync"),
	BATCH_CASE("textbook", "sync=batch"),
	BATCH_CASE("textbook", "sync=none"),
	BATCH_CASE("hardened", "sync=sync"),
	BATCH_CASE("hardened", "sync=batch"),
	BATCH_CASE("hardened", "sync=none"),
	{0},
};

static const struct claim_case page_log_order[] = {
	{.kind = CLAIM_NEVER,
	 .says = "syncing the data file, then truncating the log loses and breaks nothing",
	 .spec = "btree:variant=hardened,log_bytes=0",
	 .workload = "",
	 .rules = WRONG,
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_CAN,
	 .says = "truncating the log before that sync loses writes or breaks the tree",
	 .spec = "btree:variant=hardened,log_bytes=0,mutant=btree/truncate-log-first",
	 .workload = "",
	 .rules = "O1|O2|O6|O8",
	 .profiles = FILE_SYSTEMS " posix-dir posix",
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case meta_past_log[] = {
	{.kind = CLAIM_CAN,
	 .says = "the tree is broken, or has lost writes, even by a kill",
	 .spec = "btree:variant=textbook",
	 .workload = CHANGES,
	 .rules = "O1|O2|O6|O8",
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	/* The same flaw by itself. */
	{.kind = CLAIM_CAN,
	 .says = "the tree is broken, or has lost writes, even by a kill",
	 .spec = "btree:variant=hardened,mutant=btree/meta-past-log",
	 .workload = CHANGES,
	 .rules = "O1|O2|O6|O8",
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case delete_then_rename[] = {
	{.kind = CLAIM_CAN,
	 .says = "committed data is lost, even by a kill",
	 .spec = "bitcask:variant=textbook,sync_writes=1",
	 .workload = "mix=put=60,delete=15,compact=10",
	 .rules = "O1|O2|O6",
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	/* The same flaw by itself, and without it. */
	{.kind = CLAIM_CAN,
	 .says = "committed data is lost, even by a kill",
	 .spec = "bitcask:variant=hardened,sync_writes=1,mutant=bitcask/merge-unlink-first",
	 .workload = "mix=put=60,delete=15,compact=10",
	 .rules = "O1|O2|O6",
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "merging by rename-then-delete loses nothing",
	 .spec = "bitcask:variant=hardened,sync_writes=1",
	 .workload = "mix=put=60,delete=15,compact=10",
	 .rules = "O1|O2|O6",
	 .expected = CLAIM_CONFIRMED},
	{0},
};

/* A crash between the new table and the last unlink leaves inputs; under power failure
 * unlinks may be lost too. */
static const struct claim_case leftover_inputs[] = {
	{.kind = CLAIM_NEVER,
	 .says = "inputs left by a crash in a compaction change nothing",
	 .spec = "lsm:variant=hardened,sync=each",
	 .workload = "mix=put=60,delete=20,compact=10",
	 .rules = WRONG,
	 .at = "lsm/compact/input-removed",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "inputs left by a kill in a compaction change nothing",
	 .spec = "lsm:variant=textbook",
	 .workload = "mix=put=60,delete=20,compact=10",
	 .rules = WRONG,
	 .at = "lsm/compact/input-removed",
	 .profiles = "kill",
	 .expected = CLAIM_CONFIRMED},
	{0},
};

static const struct claim_case unsynced_tables[] = {
	{.kind = CLAIM_CAN,
	 .says = "what an earlier sync had made durable is lost",
	 .spec = "lsm:variant=hardened,sync=each,mutant=lsm/sstable-no-sync",
	 .workload = CHANGES,
	 .rules = LOSES,
	 .profiles = FILE_SYSTEMS,
	 .expected = CLAIM_CONFIRMED},
	{0},
};

/* L17 of the model's litmus tests: the rename is not part of what fdatasync waits for. */
static const struct claim_calls renamed_then_fdatasync = {
	.text = "start-file b \"old\"\n"
		"creat t\nwrite t 0 \"new\"\nfsync t\nrename t b\nfdatasync b\n",
	.path = "b",
	.contents = "old"};
static const struct claim_calls renamed_then_fsync = {
	.text = "start-file b \"old\"\n"
		"creat t\nwrite t 0 \"new\"\nfsync t\nrename t b\nfsync b\n",
	.path = "b",
	.contents = "old"};

static const struct claim_case fdatasync_enough[] = {
	FDATASYNC_CASE("wal:variant=hardened,sync=sync"),
	FDATASYNC_CASE("wal:variant=hardened,sync=batch"),
	FDATASYNC_CASE("wal:variant=hardened,sync=sync,recycle=1,segment_bytes=1024"),
	FDATASYNC_CASE("lsm:variant=hardened,sync=each"),
	FDATASYNC_CASE("btree:variant=hardened"),
	FDATASYNC_CASE("bitcask:variant=hardened,sync_writes=1"),
	/* A file that is used again has been renamed; who then leaves it to the sync of the
	 * file to keep the name must call fsync. */
	{.kind = CLAIM_SAME,
	 .says = "fdatasync is as safe as fsync where the directory is never synced",
	 .spec = "wal:variant=hardened,sync=sync,recycle=1,segment_bytes=1024,"
		 "mutant=wal/rotate-no-dirsync",
	 .workload = "ops=60 mix=put=60,compact=10",
	 .rules = LOSES,
	 .profiles = "ext4",
	 .expected = CLAIM_REFUTED},
	{.kind = CLAIM_CAN,
	 .says = "a rename, then fdatasync of the file: the old name's file is still there",
	 .calls = &renamed_then_fdatasync,
	 .profiles = "ext4 ext4-lock ext4-noda",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "never so on xfs and btrfs",
	 .calls = &renamed_then_fdatasync,
	 .profiles = "xfs btrfs",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "never so with fsync of the file",
	 .calls = &renamed_then_fsync,
	 .profiles = FILE_SYSTEMS,
	 .expected = CLAIM_CONFIRMED},
	{0},
};

/* L1 of the model's litmus tests. */
static const struct claim_calls synced_file = {.text = "creat f\nwrite f 0 \"data\"\nfsync f\n",
					       .path = "f"};

static const struct claim_case vanishing_file[] = {
	{.kind = CLAIM_CAN,
	 .says = "creat, write, fsync of the file: it is gone",
	 .calls = &synced_file,
	 .profiles = "posix-dir posix",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "never so on a file system",
	 .calls = &synced_file,
	 .profiles = FILE_SYSTEMS,
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_CAN,
	 .says = "a synced segment vanishes, and with it acknowledged writes",
	 .spec = "wal:variant=hardened,sync=sync,mutant=wal/rotate-no-dirsync",
	 .workload = CHANGES,
	 .rules = "O2|O6",
	 .profiles = "posix-dir posix",
	 .expected = CLAIM_CONFIRMED},
	{.kind = CLAIM_NEVER,
	 .says = "no synced segment vanishes on a file system",
	 .spec = "wal:variant=hardened,sync=sync,mutant=wal/rotate-no-dirsync",
	 .workload = CHANGES,
	 .rules = LOSES,
	 .profiles = FILE_SYSTEMS,
	 .expected = CLAIM_CONFIRMED},
	{0},
};

const struct claim claims[CLAIMS_COUNT] = {
	{1,
	 "A flush-only log survives a process kill and loses acknowledged writes when power goes",
	 flush_only},
	{2, "A log in sync mode loses nothing acknowledged", sync_mode},
	{3, "Batch mode of N loses at most N-1 acknowledged writes, and really can lose N-1",
	 batch_mode},
	{4, "Mode none loses acknowledged writes even to a plain kill", mode_none},
	{5, "A batch with a COMMIT marker is atomic in every mode", commit_marker},
	{6,
	 "Syncing the data file and then truncating the page log is a safe order; the reverse is "
	 "not",
	 page_log_order},
	{7, "Metadata written past the log breaks the tree", meta_past_log},
	{8, "Merging by delete-then-rename loses committed data", delete_then_rename},
	{9, "Leftover inputs of a compaction are harmless duplicates", leftover_inputs},
	{10, "Unsynced tables and log truncation lose what an earlier sync had made durable",
	 unsynced_tables},
	{11, "fdatasync is a safe replacement for fsync on every append path", fdatasync_enough},
	{12, "Without a directory sync, a file whose contents were synced can still vanish",
	 vanishing_file},
};
