/* RocksDB as an engine.
 *
 * What is promised is what include/rocksdb/options.h says:
 *
 * - WriteOptions::sync: as LevelDB's, the crash semantics of write() without it, and
 *   of write() and fdatasync() with it; db.h says of FlushWAL(true) that it syncs
 *   the log, which is the sync here;
 * - WriteOptions::disableWAL: "the write may get lost after a crash"; a flush, which
 *   makes a file of what is in memory, is then the sync;
 * - WALRecoveryMode: kPointInTimeRecovery, the default, stops at the first
 *   inconsistency; kTolerateCorruptedTailRecords forgives an incomplete last record
 *   and refuses others; kAbsoluteConsistency expects "to find no corruption", and
 *   may refuse what a crash left; kSkipAnyCorruptedRecords salvages what it can, so
 *   that what is lost need not be the end.
 *
 * A batch is atomic (write_batch.h).  Nothing is said of what a reader saw after a
 * crash. */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define API(name) rocksdb_##name
#include "leveldb_calls.h"

enum { INFO_LOG_FATAL = 4 }; /* InfoLogLevel::FATAL_LEVEL, for which c.h has no name */

static const struct engine_option options[] = {
	{"sync", "0", "0|1", 0, 0, "1: each write is synced before it is acknowledged"},
	{"wal", "1", "0|1", 0, 0, "0: disableWAL, writes stay in memory until a flush"},
	{"recovery", "point-in-time", "tolerate|absolute|point-in-time|skip", 0, 0,
	 "wal_recovery_mode"},
	{"write_buffer_size", "65536", NULL, 65536, 1073741824,
	 "bytes of the table in memory at which it becomes a file (RocksDB itself: 67108864)"},
	{"paranoid", "1", "0|1", 0, 0, "paranoid_checks"},
	{NULL},
};

static void contract(const struct engine_config *config, struct engine_contract *contract)
{
	bool each = is(config, "sync", "1") && is(config, "wal", "1");
	*contract = (struct engine_contract){
		.ack = each ? ENGINE_ACK_EACH : ENGINE_ACK_ON_SYNC,
		.against = ENGINE_AGAINST_POWER,
		.prefix = !is(config, "recovery", "skip"),
		.batch = ENGINE_BATCH_ATOMIC,
	};
}

static int recovery_mode(const struct engine_config *config)
{
	return is(config, "recovery", "tolerate") ? rocksdb_tolerate_corrupted_tail_records_recovery
	       : is(config, "recovery", "absolute") ? rocksdb_absolute_consistency_recovery
	       : is(config, "recovery", "skip")	    ? rocksdb_skip_any_corrupted_records_recovery
						    : rocksdb_point_in_time_recovery;
}

static void configure(struct store *s, const struct engine_config *config)
{
	rocksdb_options_set_write_buffer_size(s->options,
					      engine_number(config, "write_buffer_size"));
	rocksdb_options_set_paranoid_checks(s->options, is(config, "paranoid", "1"));
	rocksdb_options_set_wal_recovery_mode(s->options, recovery_mode(config));
	/* Neither threads that do nothing but report, nor sixteen to open a few files: a
	 * recovery is a short life. */
	rocksdb_options_set_max_file_opening_threads(s->options, 1);
	rocksdb_options_set_stats_dump_period_sec(s->options, 0);
	rocksdb_options_set_skip_stats_update_on_db_open(s->options, 1);
	/* What LOG tells people is no part of the data, and each line of it would be a
	 * write that the disk may or may not have. */
	rocksdb_options_set_info_log_level(s->options, INFO_LOG_FATAL);
	/* Preallocated room costs a memory file system its pages. */
	rocksdb_options_set_manifest_preallocation_size(s->options, 4096);
	rocksdb_options_set_stats_persist_period_sec(s->options, 0);
	/* RocksDB refuses a synced write without a log. */
	rocksdb_writeoptions_set_sync(s->write, is(config, "sync", "1") && is(config, "wal", "1"));
	rocksdb_writeoptions_disable_WAL(s->write, is(config, "wal", "0"));
	s->logged = is(config, "wal", "1");
}

static void sync_db(struct store *s, char **why)
{
	if (s->logged) {
		rocksdb_flush_wal(s->db, 1, why);
		return;
	}
	rocksdb_flushoptions_t *waiting = rocksdb_flushoptions_create();
	rocksdb_flushoptions_set_wait(waiting, 1);
	rocksdb_flush(s->db, waiting, why);
	rocksdb_flushoptions_destroy(waiting);
}

const struct engine powercut_engine = {
	.abi = ENGINE_ABI,
	.name = "rocksdb",
	.summary = "RocksDB: a log-structured merge tree, by its C interface",
	.options = options,
	.contract = contract,
	.open = store_open,
	.close = store_close,
	.put = store_put,
	.del = store_del,
	.get = store_get,
	.scan = store_scan,
	.batch = store_batch,
	.sync = store_sync,
	.compact = store_compact,
};
