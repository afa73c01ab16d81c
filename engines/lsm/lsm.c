/* lsm: a log-structured merge tree.
 *
 * A change is a record at the end of a log and an entry of a sorted memtable.
 * When the log has grown, the memtable is written as a table, a sorted file that never
 * changes, and both begin anew; when tables have become many, several become
 * one.  A key is looked up in the memtable, then in the tables from the newest: the first
 * entry found counts, and may be a tombstone, which says that the key was deleted.
 *
 * Files (formats in log.h, table.h, manifest.h)
 *
 *   MANIFEST        hardened: versions, the last of which says what the store is
 *   MANIFEST.tmp    a new one that is being written
 *   NNNNNNNN.log    hardened: a log
 *   LOG             textbook: the log
 *   NNNNNNNN.sst    a table
 *   NNNNNNNN.tmp    hardened: a table that is being written
 *
 * All numbers come from one counter.  Whatever is not of the last version is
 * left over and means nothing.
 *
 * Stages of a record: buffer (user space) --flush--> page cache --sync--> disk.
 *
 * Invariants of the hardened variant, under a disk that keeps nothing but what a
 * sync of that very file or directory covered, and may keep any part of the
 * rest, in any order, torn at 512 bytes:
 *
 *   L1  Before a version is written, all that it names is durable: the contents of its
 *       tables, their names, the name of its log.  Whichever version a crash leaves
 *       as the last one, it can be opened.
 *   L2  A file of the last durable version goes, and a log gets its first record, only
 *       after the version that supersedes or names it is durable.
 *   L3  Sequence numbers have no gaps.  A version says up to which number the tables
 *       have all changes; its log continues from there.  A replay takes records
 *       while each is whole, valid and next in sequence: so it shows the contents
 *       after some prefix of the operations.  A batch is one record.
 *   L4  The tables have disjoint ranges of sequence numbers, in the order of
 *       their age, all below those of the log.  So the newest table that has a key has
 *       its newest entry, and numbers must go on rising after a recovery: above all
 *       that it showed, and the version keeps the highest, although the entry
 *       that had it may be gone.
 *   L5  A tombstone stays while a table older than its own may have its key.
 *   L6  A log is written by one opening only, and never behind what it found: opening
 *       ends in a flush, whose version names a new and empty log.  So what a crash has
 *       left behind the last record that counts cannot be seen again; nor is
 *       anything ever cut off.
 *   L7  What opening has shown is durable before it returns: what was replayed is in a
 *       table, and the version in a MANIFEST of its own; only then do files that are
 *       not of this version go, for an older version may come back until then.
 *   L8  What has a checksum is valid only in the file and at the offset for which it was
 *       written.
 *   L9  After a failed write or sync nothing more is written: what the kernel then
 *       holds is unknown.
 *
 * Operations; "|" is where an acknowledgement may already be given:
 *
 *   put, del,   (first flush if the log has memtable_bytes, and compact)
 *   batch       each     buffer, flush (one write), sync |
 *               on-sync  buffer, flush (one write) |
 *   sync        sync the log, if it was written to since its last sync |
 *   flush       table: write .tmp, sync, rename; create the next log; sync the
 *               directory; commit the version; unlink the old log
 *   compaction  table: write .tmp, sync, rename; sync the directory; commit the
 *               version; unlink the inputs
 *   commit      append to the MANIFEST, sync; or, when it has manifest_bytes and at
 *               opening: write MANIFEST.tmp, sync, rename, sync the directory
 *   compact     flush, unless the memtable is empty; a compaction of all tables |
 *   close       nothing: every record is flushed, and the next opening makes it durable
 *   open        see recover.c
 *
 * No unlink is followed by a sync of the directory: a file that comes back is left over,
 * and goes at the next opening.  The log is not synced before it is retired, since
 * the table has all that it has.
 *
 * The textbook variant has no MANIFEST, no checksums, no batches that are one record, and no
 * sync at all: the tables are those in the directory that are finished, the log is truncated
 * once a table has its contents, and continued after a recovery has cut off its torn
 * end.  A table or its inputs that a kill has left over are harmless: entries keep
 * their numbers, and inputs go from the oldest.  The loss of power breaks L1, L2 and
 * L5 to L7. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "fault.h"
#include "lsm.h"
#include "merge.h"

const char lsm_log_suffix[] = "log", lsm_table_suffix[] = "sst", lsm_temporary_suffix[] = "tmp";

struct file_name lsm_textbook_log(void)
{
	return file_named("LOG");
}

static const struct engine_option options[] = {
	{"variant", "hardened", "textbook|hardened", 0, 0,
	 "textbook: as such trees are usually taught; hardened: correct"},
	{"sync", "each", "each|on-sync", 0, 0,
	 "hardened: when the log is synced: with each change, or by sync only"},
	{"call", "fsync", "fsync|fdatasync", 0, 0, "hardened: the call that syncs files"},
	{"memtable_bytes", "2048", NULL, 1, 1 << 30,
	 "bytes of the log at which the memtable is flushed, before the next change"},
	{"block_bytes", "512", NULL, 1, 1 << 20,
	 "bytes of entries at which a block of a table is ended"},
	{"compact_at", "3", NULL, 2, 64, "tables of similar size that are compacted"},
	{"manifest_bytes", "256", NULL, 256, 1 << 30,
	 "hardened: bytes beyond which the MANIFEST is replaced by a new one"},
	{NULL},
};

static const struct engine_fault_point fault_points[] = {
	{"lsm/append/buffered", NULL, ENGINE_NEEDS_PUT},
	{"lsm/append/flushed", NULL, ENGINE_NEEDS_PUT},
	{"lsm/append/synced", "variant=hardened,sync=each", ENGINE_NEEDS_PUT},
	{"lsm/sync/synced", "variant=hardened,sync=on-sync", ENGINE_NEEDS_PUT | ENGINE_NEEDS_SYNC},
	{"lsm/flush/begin", NULL, ENGINE_NEEDS_PUT},
	{"lsm/table/created", NULL, ENGINE_NEEDS_PUT},
	{"lsm/table/written", NULL, ENGINE_NEEDS_PUT},
	{"lsm/table/synced", "variant=hardened", ENGINE_NEEDS_PUT},
	{"lsm/table/renamed", "variant=hardened", ENGINE_NEEDS_PUT},
	{"lsm/flush/log-created", "variant=hardened", 0},
	{"lsm/flush/dirsynced", "variant=hardened", 0},
	{"lsm/manifest/appended", "variant=hardened", ENGINE_NEEDS_PUT},
	{"lsm/manifest/synced", "variant=hardened", ENGINE_NEEDS_PUT},
	{"lsm/replace/created", "variant=hardened", 0},
	{"lsm/replace/written", "variant=hardened", 0},
	{"lsm/replace/synced", "variant=hardened", 0},
	{"lsm/replace/renamed", "variant=hardened", 0},
	{"lsm/replace/dirsynced", "variant=hardened", 0},
	{"lsm/flush/log-removed", "variant=hardened", ENGINE_NEEDS_PUT},
	{"lsm/flush/log-truncated", "variant=textbook", ENGINE_NEEDS_PUT},
	{"lsm/compact/begin", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"lsm/compact/dirsynced", "variant=hardened", ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"lsm/compact/input-removed", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"lsm/recover/begin", NULL, 0},
	{"lsm/recover/log-opened", "variant=textbook", 0},
	{"lsm/recover/loaded", "variant=hardened", ENGINE_NEEDS_REOPEN},
	{"lsm/recover/replayed", NULL, ENGINE_NEEDS_REOPEN},
	/* Of a log of one record this variant does not notice that it is torn. */
	{"lsm/recover/cut", "variant=textbook,memtable_bytes>=512",
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_CRASH},
	{"lsm/recover/removed", "variant=hardened", ENGINE_NEEDS_PUT | ENGINE_NEEDS_CRASH},
	{NULL},
};

static bool is_hardened(const struct engine_config *config)
{
	return !strcmp(engine_value(config, "variant"), "hardened");
}

static bool syncs_each(const struct engine_config *config)
{
	return is_hardened(config) && !strcmp(engine_value(config, "sync"), "each");
}

static void lsm_contract(const struct engine_config *config, struct engine_contract *contract)
{
	bool hardened = is_hardened(config);
	*contract = (struct engine_contract){
		.ack = hardened && !syncs_each(config) ? ENGINE_ACK_ON_SYNC : ENGINE_ACK_EACH,
		.every = 1,
		.against = hardened ? ENGINE_AGAINST_POWER : ENGINE_AGAINST_KILL,
		.prefix = true,
		.batch = hardened ? ENGINE_BATCH_ATOMIC : ENGINE_BATCH_NONE,
		.stays = hardened,
	};
}

static void configure(struct lsm *lsm, const struct engine_config *config)
{
	lsm->hardened = is_hardened(config);
	lsm->datasync = !strcmp(engine_value(config, "call"), "fdatasync");
	lsm->sync_each = syncs_each(config);
	lsm->memtable_bytes = engine_number(config, "memtable_bytes");
	lsm->block_bytes = engine_number(config, "block_bytes");
	lsm->compact_at = engine_number(config, "compact_at");
	lsm->manifest.datasync = lsm->datasync;
	lsm->manifest.bytes_max = engine_number(config, "manifest_bytes");
}

static void release(struct lsm *lsm)
{
	manifest_finish(&lsm->manifest);
	lsm_log_finish(&lsm->log);
	memtable_clear(&lsm->memtable);
	for (size_t i = 0; i < lsm->n_tables; i++)
		table_close(lsm->tables[i]);
	free(lsm->tables);
	free(lsm->found.data);
	if (lsm->dir >= 0)
		close(lsm->dir);
	free(lsm);
}

static void *lsm_open(const char *dir, const struct engine_config *config,
		      struct engine_error *error)
{
	struct lsm *lsm = calloc(1, sizeof *lsm);
	if (!lsm) {
		engine_fail(error, "out of memory for the store");
		return NULL;
	}
	configure(lsm, config);
	lsm->log.fd = lsm->manifest.fd = -1;
	lsm->dir = lsm->manifest.dir = directory_open(dir, error);
	if (lsm->dir < 0 || lsm_recover(lsm, error) < 0) {
		release(lsm);
		return NULL;
	}
	return lsm;
}

static int refuse(const struct lsm *lsm, struct engine_error *error)
{
	return engine_fail(error, "no more writes after a failure: %.200s", lsm->failed.text);
}

/* Notes a failure, after which every write is refused (L9). */
static int conclude(struct lsm *lsm, int rc, const struct engine_error *error)
{
	if (rc < 0)
		lsm->failed = *error;
	return rc;
}

static int lsm_close(void *store, struct engine_error *error)
{
	struct lsm *lsm = store;
	int rc = lsm->failed.text[0] ? refuse(lsm, error) : lsm_log_close(&lsm->log, error);
	release(lsm);
	return rc;
}

/* ---- changes ---- */

/* What is due before the next change: flushing, compacting. */
static int make_room(struct lsm *lsm, struct engine_error *error)
{
	if (lsm->log.size >= lsm->memtable_bytes && lsm_flush(lsm, error) < 0)
		return -1;
	return lsm_compact_some(lsm, error);
}

/* Takes the changes of one record as far as the options demand. */
static int append(struct lsm *lsm, const struct entry *entries, size_t n,
		  struct engine_error *error)
{
	if (make_room(lsm, error) < 0 || lsm_log_buffer(&lsm->log, entries, n, error) < 0)
		return -1;
	FAULT_POINT("lsm/append/buffered");
	if (lsm_log_flush(&lsm->log, error) < 0)
		return -1;
	FAULT_POINT("lsm/append/flushed");
	if (lsm->sync_each) {
		if (lsm_log_sync(&lsm->log, lsm->datasync, error) < 0)
			return -1;
		FAULT_POINT("lsm/append/synced");
	}
	for (size_t i = 0; i < n; i++)
		if (memtable_set(&lsm->memtable, &entries[i]) < 0)
			return engine_fail(error, "out of memory for the memtable");
	lsm->sequence += n;
	return 0;
}

/* Makes entries out of changes, numbered from the next number on. */
static void number_changes(const struct lsm *lsm, const struct engine_change *changes, size_t n,
			   struct entry *entries)
{
	const struct engine_bytes none = {0};
	for (size_t i = 0; i < n; i++)
		entries[i] = (struct entry){.key = changes[i].key,
					    .value = changes[i].del ? none : changes[i].value,
					    .sequence = lsm->sequence + 1 + i,
					    .del = changes[i].del};
}

static int check_entries(const struct entry *entries, size_t n, struct engine_error *error)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++) {
		if (entries[i].key.length > ENTRY_KEY_MAX)
			return engine_fail(error, "a key has at most %d bytes, not %zu",
					   ENTRY_KEY_MAX, entries[i].key.length);
		if (entries[i].value.length > ENTRY_VALUE_MAX)
			return engine_fail(error, "a value has at most %d bytes, not %zu",
					   ENTRY_VALUE_MAX, entries[i].value.length);
		bytes += entry_bytes(&entries[i]);
		if (bytes > LOG_RECORD_MAX)
			return engine_fail(error, "a batch has at most %d bytes", LOG_RECORD_MAX);
	}
	return 0;
}

/* Entries that are one record in the hardened variant, and one each in the
 * textbook one. */
static int append_all(struct lsm *lsm, const struct entry *entries, size_t n,
		      struct engine_error *error)
{
	size_t step = lsm->hardened ? n : 1;
	for (size_t i = 0; i < n; i += step)
		if (append(lsm, entries + i, step, error) < 0)
			return -1;
	return 0;
}

static int change(struct lsm *lsm, const struct engine_change *changes, size_t n,
		  struct engine_error *error)
{
	if (lsm->failed.text[0])
		return refuse(lsm, error);
	struct entry *entries = malloc((n + 1) * sizeof *entries);
	if (!entries)
		return engine_fail(error, "out of memory for changes");
	number_changes(lsm, changes, n, entries);
	int rc = check_entries(entries, n, error);
	if (!rc)
		rc = conclude(lsm, append_all(lsm, entries, n, error), error);
	free(entries);
	return rc;
}

static int lsm_put(void *store, struct engine_bytes key, struct engine_bytes value,
		   struct engine_error *error)
{
	return change(store, &(struct engine_change){.key = key, .value = value}, 1, error);
}

static int lsm_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return change(store, &(struct engine_change){.key = key, .del = true}, 1, error);
}

static int lsm_batch(void *store, const struct engine_change *changes, size_t n,
		     struct engine_error *error)
{
	return change(store, changes, n, error);
}

/* Every record is flushed already: in the textbook variant nothing is left to do. */
static int sync_log(struct lsm *lsm, struct engine_error *error)
{
	if (!lsm->hardened || !lsm->log.dirty)
		return 0;
	if (lsm_log_sync(&lsm->log, lsm->datasync, error) < 0)
		return -1;
	FAULT_POINT("lsm/sync/synced");
	return 0;
}

static int lsm_sync(void *store, struct engine_error *error)
{
	struct lsm *lsm = store;
	if (lsm->failed.text[0])
		return refuse(lsm, error);
	return conclude(lsm, sync_log(lsm, error), error);
}

static int lsm_compact(void *store, struct engine_error *error)
{
	struct lsm *lsm = store;
	if (lsm->failed.text[0])
		return refuse(lsm, error);
	return conclude(lsm, lsm_compact_all(lsm, error), error);
}

/* ---- reading ---- */

int lsm_find(struct lsm *lsm, struct engine_bytes key, struct entry *entry,
	     struct engine_error *error)
{
	const struct entry *newest = memtable_find(&lsm->memtable, key);
	int rc = 0;
	if (newest) {
		*entry = *newest;
		return 1;
	}
	for (size_t i = lsm->n_tables; !rc && i > 0; i--)
		rc = table_find(lsm->tables[i - 1], key, &lsm->found, entry, error);
	return rc;
}

static int lsm_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		   struct engine_error *error)
{
	struct entry entry;
	int rc = lsm_find(store, key, &entry, error);
	if (rc <= 0)
		return rc;
	if (!entry.del)
		*value = entry.value;
	return !entry.del;
}

static int lsm_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct lsm *lsm = store;
	struct merge merge;
	struct entry entry;
	int rc = merge_init(&merge, &lsm->memtable, lsm->tables, lsm->n_tables, error);
	merge.drops = true;
	while (!rc && (rc = merge_next(&merge, &entry, error)) > 0)
		rc = visit(arg, entry.key, entry.value)
			     ? engine_fail(error, "the scan was ended by its visitor")
			     : 0;
	merge_finish(&merge);
	return rc;
}

static int lsm_verify_store(void *store, struct engine_error *error)
{
	struct lsm *lsm = store;
	return lsm->failed.text[0] ? refuse(lsm, error) : lsm_verify(lsm, error);
}

const struct engine lsm_engine = {
	.abi = ENGINE_ABI,
	.name = "lsm",
	.summary = "a log-structured merge tree",
	.options = options,
	.fault_points = fault_points,
	.contract = lsm_contract,
	.open = lsm_open,
	.close = lsm_close,
	.put = lsm_put,
	.del = lsm_del,
	.get = lsm_get,
	.scan = lsm_scan,
	.batch = lsm_batch,
	.sync = lsm_sync,
	.compact = lsm_compact,
	.verify = lsm_verify_store,
};
