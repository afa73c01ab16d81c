/* bitcask: an append-only hash table.
 *
 * Every change is a record at the end of the active data file.  The keydir, in
 * memory, knows where the newest record of each key is; values are read from the
 * files.  Merging copies what is still needed of old files to new ones.
 *
 * Files
 *
 *   NNNNNNNN.data  records (record.h), one behind the other.  Those of a key may
 *                  be in any files: the one with the highest timestamp counts
 *   NNNNNNNN.hint  beside a data file that a merge made: its keys and lengths
 *                  (hint.h), so that opening need not read the values
 *   NNNNNNNN.tmp   a data file that a merge is writing
 *
 * Numbers rise; a new file, merged or not, gets a higher one than all others.
 * The active file is the last one, or there is none: then the next record begins
 * a file.
 *
 * Stages of a record: buffer (user space) --flush--> page cache --sync--> disk.
 * Each record is flushed by itself.
 *
 * Invariants of the hardened variant, under a disk that keeps nothing but what a
 * sync of that very file or directory covered, and may keep any part of the
 * rest, in any order, torn at 512 bytes:
 *
 *   B1  A data file is whole and durable before any file with a higher number
 *       has the suffix .data.  Only the last one is ever written to.
 *   B2  The name of a data file is durable before the first record is written
 *       to it.
 *   B3  An output of a merge is whole and durable before its name ends in .data,
 *       and all these names are durable before any input goes.
 *   B4  A record has a higher timestamp than all that were written before it,
 *       and keeps it when it is merged.  By B1 what a crash takes are the newest
 *       records, and a merge only removes records whose loss changes nothing,
 *       given those that are durable.  So opening shows the contents after some
 *       prefix of the operations.
 *   B5  A tombstone is only dropped when no file holds a value of its key, not
 *       even one that the same merge removes: inputs may go in any order, and
 *       each may come back with a crash.  None can after the next merge's sync
 *       of the directory, which precedes its first unlink.  So contents do not
 *       depend on which inputs are left.
 *   B6  A hint counts only with its checksum and the size of its data file; any
 *       other is as good as none.  So it needs no sync.  A file with a hint is
 *       never written to.
 *   B7  What opening has shown is durable, and what it has not shown can never
 *       be seen again, before the first new record: the tail of the last file is
 *       cut off, it is synced, and so is the directory.
 *   B8  After a failed write or sync nothing more is written: what the kernel
 *       then holds is unknown.
 *
 * Operations; "|" is where an acknowledgement may already be given:
 *
 *   put, del   sync_writes=1  buffer, flush, sync |
 *              sync_writes=0  buffer, flush |
 *              Deleting a key that is not there writes nothing.
 *   sync       sync the active file |
 *              With B1 it is the only one that may need it
 *   rotate     (a record would take the active file over max_file_bytes)
 *              sync the active file where it needs it, create, sync the directory
 *   compact    a merge of all files with enough dead bytes: merge.c
 *   close      nothing.  The next opening syncs, so that what is unsynced is not
 *              added to
 *   open       recover.c
 *
 * No file lists the others: a whole data file that somebody removed is not
 * missed, nor is one that was copied back.
 *
 * The textbook variant never syncs but for sync_writes=1 and sync(), and then
 * only the active file: not the one before it when rotating (B1), no directory
 * (B2), no output of a merge (B3), nothing when opening (B7).  Merging removes its
 * inputs before it renames the outputs (B3).  Hints have no checksum and are
 * believed (B6). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bitcask.h"
#include "builtin.h"
#include "fault.h"

const char bitcask_data[] = "data", bitcask_hint[] = "hint", bitcask_temporary[] = "tmp";

static const struct engine_option options[] = {
	{"variant", "hardened", "textbook|hardened", 0, 0,
	 "textbook: as such stores are usually taught; hardened: correct"},
	{"sync_writes", "1", NULL, 0, 1, "1: each record is synced; 0: none but by sync"},
	{"call", "fsync", "fsync|fdatasync", 0, 0, "the call that syncs data files"},
	{"max_file_bytes", "2048", NULL, 64, 1 << 30,
	 "bytes; a record that would take a data file beyond goes to a new one"},
	{"merge_dead_percent", "40", NULL, 0, 100,
	 "percent; files with at least this share of dead bytes are merged; 0: all files"},
	{NULL},
};

/* A file with nothing alive in it is not copied, and one that has a single record is all
 * alive or all dead: then there are neither outputs nor hints to speak of. */
#define COPIES	     "merge_dead_percent<=90"
#define COPIES_AGAIN "merge_dead_percent<=0;merge_dead_percent<=90,max_file_bytes>=512"

static const struct engine_fault_point fault_points[] = {
	{"bitcask/append/buffered", NULL, ENGINE_NEEDS_PUT},
	{"bitcask/append/flushed", NULL, ENGINE_NEEDS_PUT},
	{"bitcask/append/synced", "sync_writes=1", ENGINE_NEEDS_PUT},
	{"bitcask/sync/synced", "sync_writes=0", ENGINE_NEEDS_PUT | ENGINE_NEEDS_SYNC},
	{"bitcask/rotate/begin", NULL, ENGINE_NEEDS_PUT},
	{"bitcask/rotate/synced", "variant=hardened,sync_writes=0", ENGINE_NEEDS_PUT},
	{"bitcask/rotate/created", NULL, ENGINE_NEEDS_PUT},
	{"bitcask/rotate/dirsynced", "variant=hardened", ENGINE_NEEDS_PUT},
	{"bitcask/merge/begin", NULL, ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/active-synced", "variant=hardened,sync_writes=0",
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/created", COPIES, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/written", COPIES, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/hint-created", COPIES, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/hint-written", COPIES, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/synced", "variant=hardened," COPIES,
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/renamed", COPIES, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/dirsynced", "variant=hardened", ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/unlinked", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/merge/hint-unlinked", COPIES_AGAIN, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"bitcask/recover/begin", NULL, 0},
	{"bitcask/recover/loaded", NULL, 0},
	{"bitcask/recover/removed", COPIES,
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT | ENGINE_NEEDS_CRASH},
	{"bitcask/recover/cut", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_CRASH},
	{"bitcask/recover/synced", "variant=hardened", ENGINE_NEEDS_PUT | ENGINE_NEEDS_REOPEN},
	{"bitcask/recover/dirsynced", "variant=hardened", 0},
	{NULL},
};

static void bitcask_contract(const struct engine_config *config, struct engine_contract *contract)
{
	bool each = engine_number(config, "sync_writes");
	*contract = (struct engine_contract){
		.ack = each ? ENGINE_ACK_EACH : ENGINE_ACK_ON_SYNC,
		.against = ENGINE_AGAINST_POWER,
		.prefix = true,
		.batch = ENGINE_BATCH_NONE,
		.stays = !strcmp(engine_value(config, "variant"), "hardened"),
	};
}

static void configure(struct bitcask *b, const struct engine_config *config)
{
	b->hardened = !strcmp(engine_value(config, "variant"), "hardened");
	b->datasync = !strcmp(engine_value(config, "call"), "fdatasync");
	b->sync_writes = engine_number(config, "sync_writes");
	b->max_file_bytes = engine_number(config, "max_file_bytes");
	b->dead_percent = engine_number(config, "merge_dead_percent");
}

static void release(struct bitcask *b)
{
	bitcask_close_reader(b);
	if (b->fd >= 0)
		close(b->fd);
	if (b->dir >= 0)
		close(b->dir);
	keydir_clear(&b->keydir);
	free(b->files.at);
	free(b->record.data);
	free(b->value.data);
	free(b);
}

static void *bitcask_open(const char *dir, const struct engine_config *config,
			  struct engine_error *error)
{
	struct bitcask *b = calloc(1, sizeof *b);
	if (!b) {
		engine_fail(error, "out of memory for the store");
		return NULL;
	}
	configure(b, config);
	b->fd = b->reader = -1;
	b->dir = directory_open(dir, error);
	if (b->dir < 0 || bitcask_recover(b, error) < 0) {
		release(b);
		return NULL;
	}
	return b;
}

static int refuse(const struct bitcask *b, struct engine_error *error)
{
	return engine_fail(error, "no more writes after a failure: %.200s", b->failed.text);
}

/* Notes a failure, after which every write is refused (B8). */
static int conclude(struct bitcask *b, int rc, const struct engine_error *error)
{
	if (rc < 0)
		b->failed = *error;
	return rc;
}

static int bitcask_close(void *store, struct engine_error *error)
{
	struct bitcask *b = store;
	int rc = b->failed.text[0] ? refuse(b, error) : bitcask_leave_active(b, error);
	release(b);
	return rc;
}

static int check_change(const struct bitcask *b, struct engine_bytes key, size_t value_length,
			struct engine_error *error)
{
	if (b->failed.text[0])
		return refuse(b, error);
	if (key.length > RECORD_KEY_MAX)
		return engine_fail(error, "a key has at most %d bytes, not %zu", RECORD_KEY_MAX,
				   key.length);
	if (value_length > RECORD_VALUE_MAX)
		return engine_fail(error, "a value has at most %d bytes, not %zu", RECORD_VALUE_MAX,
				   value_length);
	return 0;
}

static int bitcask_put(void *store, struct engine_bytes key, struct engine_bytes value,
		       struct engine_error *error)
{
	struct bitcask *b = store;
	if (check_change(b, key, value.length, error) < 0)
		return -1;
	const struct record record = {.key = key, .value_length = (uint32_t)value.length};
	return conclude(b, bitcask_append(b, &record, value.data, error), error);
}

/* The entry of a key that has a value, or NULL. */
static const struct keydir_entry *find_live(const struct bitcask *b, struct engine_bytes key)
{
	const struct keydir_entry *e = keydir_find(&b->keydir, key);
	return e && !keydir_deleted(e) ? e : NULL;
}

static int bitcask_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	struct bitcask *b = store;
	if (check_change(b, key, 0, error) < 0)
		return -1;
	if (!find_live(b, key))
		return 0;
	const struct record record = {.key = key, .value_length = RECORD_TOMBSTONE};
	return conclude(b, bitcask_append(b, &record, NULL, error), error);
}

static int sync_active(struct bitcask *b, struct engine_error *error)
{
	if (!b->dirty)
		return 0;
	if (bitcask_sync_active(b, error) < 0)
		return -1;
	FAULT_POINT("bitcask/sync/synced");
	return 0;
}

static int bitcask_sync(void *store, struct engine_error *error)
{
	struct bitcask *b = store;
	if (b->failed.text[0])
		return refuse(b, error);
	return conclude(b, sync_active(b, error), error);
}

static int bitcask_compact(void *store, struct engine_error *error)
{
	struct bitcask *b = store;
	if (b->failed.text[0])
		return refuse(b, error);
	return conclude(b, bitcask_merge(b, error), error);
}

static int bitcask_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		       struct engine_error *error)
{
	struct bitcask *b = store;
	const struct keydir_entry *e = find_live(b, key);
	if (!e)
		return 0;
	return bitcask_read(b, e, value, error) < 0 ? -1 : 1;
}

static int bitcask_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct bitcask *b = store;
	const struct keydir_entry *e = NULL;
	struct engine_bytes value;
	while ((e = keydir_next(&b->keydir, e))) {
		if (keydir_deleted(e))
			continue;
		if (bitcask_read(b, e, &value, error) < 0)
			return -1;
		if (visit(arg, keydir_key(e), value))
			return engine_fail(error, "the scan was ended by its visitor");
	}
	return 0;
}

/* Takes the records of a file, which must fill it, into a keydir. */
static int verify_file(const struct bitcask *b, const struct data_file *file, struct keydir *keydir,
		       struct engine_error *error)
{
	struct file_name name = file_name(file->number, bitcask_data);
	struct record record;
	const uint8_t *value;
	uint8_t *p;
	size_t size, length, at = 0;
	int rc = 0;
	if (file_load(b->dir, &name, &p, &size, error) < 0)
		return -1;
	while (!rc && (length = bitcask_record_decode(p + at, size - at, &record, &value))) {
		if (record.timestamp >= b->timestamp)
			rc = engine_fail(error, "verify: a record of %s is from the future",
					 name.text);
		else if (keydir_take(keydir, &record, file->number, at) < 0)
			rc = engine_fail(error, "verify: out of memory");
		at += length;
	}
	free(p);
	if (!rc && (at != file->bytes || (b->hardened && at != size)))
		rc = engine_fail(error, "verify: the records of %s end at byte %zu, not %llu",
				 name.text, at, (unsigned long long)file->bytes);
	return rc;
}

/* Whether b has every needed entry of a, and has it at the same place. */
static bool has_all(const struct keydir *a, const struct keydir *b)
{
	const struct keydir_entry *x = NULL, *y;
	while ((x = keydir_next(a, x))) {
		if (!keydir_needed(x))
			continue;
		y = keydir_find(b, keydir_key(x));
		if (!y || x->timestamp != y->timestamp || x->file != y->file ||
		    x->offset != y->offset || x->value_length != y->value_length ||
		    x->values != y->values)
			return false;
	}
	return true;
}

/* Loads the data files again, without hints, and compares. */
static int bitcask_verify(void *store, struct engine_error *error)
{
	struct bitcask *b = store;
	struct keydir keydir = {0};
	int rc = b->failed.text[0] ? refuse(b, error) : 0;
	for (size_t i = 0; !rc && i < b->files.n; i++)
		rc = verify_file(b, &b->files.at[i], &keydir, error);
	if (!rc && !(has_all(&keydir, &b->keydir) && has_all(&b->keydir, &keydir)))
		rc = engine_fail(error, "verify: the data files and the keydir differ");
	keydir_clear(&keydir);
	return rc;
}

const struct engine bitcask_engine = {
	.abi = ENGINE_ABI,
	.name = "bitcask",
	.summary = "an append-only hash table",
	.options = options,
	.fault_points = fault_points,
	.contract = bitcask_contract,
	.open = bitcask_open,
	.close = bitcask_close,
	.put = bitcask_put,
	.del = bitcask_del,
	.get = bitcask_get,
	.scan = bitcask_scan,
	.sync = bitcask_sync,
	.compact = bitcask_compact,
	.verify = bitcask_verify,
};
