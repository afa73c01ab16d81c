/* LevelDB as an engine.
 *
 * What is promised is what include/leveldb/options.h says of WriteOptions::sync,
 * and https://github.com/google/leveldb/blob/main/doc/index.md under "Synchronous
 * Writes" and "Atomic Updates":
 *
 * - sync=1 "has similar crash semantics to a write() system call followed by
 *   fdatasync()": each acknowledged write is durable;
 * - sync=0: where only the process dies "no writes will be lost"; where the machine
 *   does, "some recent writes may be lost".  A bulk load that makes every N-th
 *   write a synchronous one is to start again behind the last of those, so that a
 *   synchronous write makes those before it durable.  It is the sync: a batch of
 *   nothing;
 * - a batch is atomic.
 *
 * A contract has one clause on durability, so that sync=0 is held to its syncs when
 * power goes; --contract each,kill holds it to the other.  It does not keep the
 * first one wholly: a synced write syncs the log that is written now, and not the
 * one before, while its table is still being made.  Nothing is said of what
 * a reader saw after a crash. */
#include <leveldb/c.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define API(name) leveldb_##name
#include "leveldb_calls.h"

static const struct engine_option options[] = {
	{"sync", "0", "0|1", 0, 0, "1: each write is synced before it is acknowledged"},
	{"write_buffer_size", "65536", NULL, 65536, 1073741824,
	 "bytes of the table in memory at which it becomes a file (LevelDB itself: 4194304)"},
	{"paranoid", "0", "0|1", 0, 0, "1: paranoid_checks, errors where damage is seen"},
	{"compression", "snappy", "none|snappy", 0, 0, "of blocks of tables"},
	{NULL},
};

static void contract(const struct engine_config *config, struct engine_contract *contract)
{
	*contract = (struct engine_contract){
		.ack = is(config, "sync", "1") ? ENGINE_ACK_EACH : ENGINE_ACK_ON_SYNC,
		.against = ENGINE_AGAINST_POWER,
		.prefix = true,
		.batch = ENGINE_BATCH_ATOMIC,
	};
}

static void configure(struct store *s, const struct engine_config *config)
{
	leveldb_options_set_write_buffer_size(s->options,
					      engine_number(config, "write_buffer_size"));
	leveldb_options_set_paranoid_checks(s->options, is(config, "paranoid", "1"));
	leveldb_options_set_compression(s->options, is(config, "compression", "snappy")
							    ? leveldb_snappy_compression
							    : leveldb_no_compression);
	leveldb_writeoptions_set_sync(s->write, is(config, "sync", "1"));
}

static void sync_db(struct store *s, char **why)
{
	leveldb_writebatch_t *nothing = leveldb_writebatch_create();
	leveldb_write(s->db, s->synced, nothing, why);
	leveldb_writebatch_destroy(nothing);
}

const struct engine powercut_engine = {
	.abi = ENGINE_ABI,
	.name = "leveldb",
	.summary = "LevelDB: a log-structured merge tree, by its C interface",
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
