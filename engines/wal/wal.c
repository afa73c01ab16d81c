/* wal: a log with an index in memory.
 *
 * Every change is a record at the end of a log; opening replays the log into a
 * map, which answers all reads.
 *
 * Files
 *
 *   NNNNNNNN.wal    a segment: records (record.h), one behind the other.  The
 *                   log is all segments in the order of their numbers, from 1
 *                   or from the last that begins with a CHECKPOINT
 *   NNNNNNNN.tmp    a checkpoint that is being written
 *   NNNNNNNN.spare  with recycle=1: a retired segment, to be renamed to a new
 *                   one, whose records then overwrite the old ones
 *
 * Stages of a record: buffer (user space) --flush--> page cache --sync--> disk.
 *
 * Invariants of the hardened variant, under a disk that keeps nothing but what a
 * sync of that very file or directory covered, and may keep any part of the
 * rest, in any order, torn at 512 bytes:
 *
 *   W1  A segment is whole and durable before its successor has a name.  Only
 *       the last segment is ever written to.
 *   W2  A segment's name is durable before the first record is written to it.
 *   W3  Sequence numbers have no gaps.  A replay takes records while each is
 *       valid and next in sequence, batches only with their COMMIT, and nothing
 *       behind.  So it shows the contents after some prefix of the operations.
 *   W4  A checkpoint is whole and durable before it has a segment's name, and
 *       that name is durable before any segment that it supersedes goes.  These
 *       may go in any order: a replay begins at the newest checkpoint.
 *   W5  What opening has shown is durable, and what it has not shown can never
 *       be seen again, before the first new record: the tail is cut off,
 *       segments behind a gap are gone, the last segment and the directory are
 *       synced; W1 has seen to the others.
 *       For a lost record may have the number that the next one will have.
 *   W6  A record is valid only in a segment of the number for which it was
 *       written (record.h), and a file that is used again gets a number higher
 *       than all that it had.  So what is left in it is never taken for new.
 *   W7  After a failed write or sync nothing more is written: what the kernel
 *       then holds is unknown.
 *
 * Operations; "|" is where an acknowledgement may already be given:
 *
 *   put, del   sync    buffer, flush, sync |
 *              batch   buffer | and with the N-th since the last sync: flush,
 *                      sync first.  At most N-1 are unsynced
 *              none    buffer |
 *              A buffer that is full is flushed in every mode.
 *   batch      buffer with COMMIT, flush (one write), sync |     in every mode
 *   sync       flush, sync |                                     in every mode
 *   rotate     (a record would take the segment over segment_bytes)
 *              flush, sync, create or rename, sync the directory
 *   compact    temporary file, sync, rename, sync the directory, retire the
 *              older segments, sync the directory
 *   close      flush.  The next opening syncs, so that what is unsynced is not
 *              added to
 *   open       see recover.c
 *
 * In every mode, none included, rotating syncs the old segment: with W1 losses
 * are suffixes, and sync() need not remember other segments.
 *
 * The textbook variant keeps W1 and W7 only: the crc covers type, key and value,
 * so that sequence numbers are not protected and need only rise (W3, W6); no
 * sync of the directory (W2); compacting rewrites the last segment in place and
 * syncs nothing (W4); opening cuts the tail of the last segment and syncs it,
 * without more (W5). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "fault.h"
#include "wal.h"

const char wal_segment[] = "wal", wal_spare[] = "spare", wal_temporary[] = "tmp";

static const struct engine_option options[] = {
	{"variant", "hardened", "textbook|hardened", 0, 0,
	 "textbook: as such logs are usually taught; hardened: correct"},
	{"sync", "sync", "sync|batch|none", 0, 0,
	 "what is synced: each record, each N-th (batch=N), or none but by sync and batch"},
	{"batch", "8", NULL, 1, 65536, "with sync=batch: records to a sync"},
	{"call", "fsync", "fsync|fdatasync", 0, 0, "the call that syncs data files"},
	{"recycle", "0", NULL, 0, 1, "1: retired segments are renamed and overwritten"},
	{"segment_bytes", "4096", NULL, 256, 1 << 30,
	 "bytes; a record that would take a segment beyond goes to a new one"},
	{"buffer_bytes", "4096", NULL, 1, 1 << 30,
	 "bytes in user space at which they are flushed, synced or not"},
	{NULL},
};

/* Rotating syncs, so that a segment must hold as many records as are synced at once;
 * and where each record fills the buffer, there is nothing to flush when rotating. */
#define FITS  "batch<=16,segment_bytes>=4096"
#define HOLDS "buffer_bytes>=512"

static const struct engine_fault_point fault_points[] = {
	{"wal/append/buffered", NULL, ENGINE_NEEDS_PUT},
	{"wal/append/flushed",
	 "sync=sync;sync=batch," FITS ";sync=batch,batch<=1;"
	 "sync=batch|none,buffer_bytes<=512,segment_bytes>=4096",
	 ENGINE_NEEDS_PUT},
	{"wal/append/synced", "sync=sync;sync=batch," FITS ";sync=batch,batch<=1",
	 ENGINE_NEEDS_PUT},
	{"wal/batch/buffered", NULL, ENGINE_NEEDS_BATCH},
	{"wal/batch/flushed", NULL, ENGINE_NEEDS_BATCH},
	{"wal/batch/synced", NULL, ENGINE_NEEDS_BATCH},
	{"wal/sync/flushed", NULL, ENGINE_NEEDS_SYNC},
	{"wal/sync/synced", NULL, ENGINE_NEEDS_SYNC},
	{"wal/close/flushed", NULL, 0},
	{"wal/rotate/begin", NULL, ENGINE_NEEDS_PUT},
	{"wal/rotate/flushed", "sync=none," HOLDS ";sync=batch,batch>=2," HOLDS, ENGINE_NEEDS_PUT},
	{"wal/rotate/synced", "sync=none;sync=batch,batch>=2", ENGINE_NEEDS_PUT},
	{"wal/recycle/reused", "recycle=1", ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"wal/rotate/created", NULL, ENGINE_NEEDS_PUT},
	{"wal/rotate/dirsynced", "variant=hardened", ENGINE_NEEDS_PUT},
	{"wal/compact/begin", NULL, ENGINE_NEEDS_COMPACT},
	{"wal/compact/created", "variant=hardened", ENGINE_NEEDS_COMPACT},
	{"wal/compact/written", "variant=hardened", ENGINE_NEEDS_COMPACT},
	{"wal/compact/synced", "variant=hardened", ENGINE_NEEDS_COMPACT},
	{"wal/compact/renamed", "variant=hardened", ENGINE_NEEDS_COMPACT},
	{"wal/compact/dirsynced", "variant=hardened", ENGINE_NEEDS_COMPACT},
	{"wal/compact/retired", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT},
	{"wal/compact/cleaned", "variant=hardened", ENGINE_NEEDS_COMPACT},
	{"wal/compact/truncated", "variant=textbook", ENGINE_NEEDS_COMPACT},
	{"wal/compact/rewritten", "variant=textbook", ENGINE_NEEDS_COMPACT},
	{"wal/recover/begin", NULL, 0},
	{"wal/recover/replayed", NULL, 0},
	{"wal/recover/created", NULL, 0},
	{"wal/recover/cut", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_CRASH},
	{"wal/recover/removed", "variant=hardened",
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT | ENGINE_NEEDS_CRASH},
	{"wal/recover/synced", "variant=hardened", 0},
	{"wal/recover/dirsynced", "variant=hardened", 0},
	{"wal/recover/retired", "variant=hardened",
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT | ENGINE_NEEDS_CRASH},
	{"wal/recover/cleaned", "variant=hardened",
	 ENGINE_NEEDS_PUT | ENGINE_NEEDS_COMPACT | ENGINE_NEEDS_CRASH},
	{NULL},
};

static enum wal_mode mode_of(const struct engine_config *config)
{
	const char *sync = engine_value(config, "sync");
	if (!strcmp(sync, "batch"))
		return WAL_BATCH;
	return !strcmp(sync, "none") ? WAL_NONE : WAL_SYNC;
}

static void wal_contract(const struct engine_config *config, struct engine_contract *contract)
{
	static const enum engine_ack acks[] = {
		[WAL_SYNC] = ENGINE_ACK_EACH,
		[WAL_BATCH] = ENGINE_ACK_EVERY,
		[WAL_NONE] = ENGINE_ACK_ON_SYNC,
	};
	*contract = (struct engine_contract){
		.ack = acks[mode_of(config)],
		.every = (uint32_t)engine_number(config, "batch"),
		.against = ENGINE_AGAINST_POWER,
		.prefix = true,
		.batch = ENGINE_BATCH_DURABLE,
		.stays = true,
	};
}

static void configure(struct wal *wal, const struct engine_config *config)
{
	wal->hardened = !strcmp(engine_value(config, "variant"), "hardened");
	wal->datasync = !strcmp(engine_value(config, "call"), "fdatasync");
	wal->recycle = engine_number(config, "recycle");
	wal->mode = mode_of(config);
	wal->batch = engine_number(config, "batch");
	wal->segment_bytes = engine_number(config, "segment_bytes");
	wal->buffer_bytes = engine_number(config, "buffer_bytes");
}

static void release(struct wal *wal)
{
	if (wal->fd >= 0)
		close(wal->fd);
	if (wal->dir >= 0)
		close(wal->dir);
	free(wal->segments.at);
	free(wal->spares.at);
	free(wal->buffer.data);
	map_clear(&wal->map);
	free(wal);
}

static void *wal_open(const char *dir, const struct engine_config *config,
		      struct engine_error *error)
{
	struct wal *wal = calloc(1, sizeof *wal);
	if (!wal) {
		engine_fail(error, "out of memory for the store");
		return NULL;
	}
	configure(wal, config);
	wal->fd = -1;
	wal->dir = directory_open(dir, error);
	if (wal->dir < 0 || wal_recover(wal, error) < 0) {
		release(wal);
		return NULL;
	}
	return wal;
}

static int refuse(const struct wal *wal, struct engine_error *error)
{
	return engine_fail(error, "no more writes after a failure: %.200s", wal->failed.text);
}

/* Notes a failure, after which every write is refused (W7). */
static int conclude(struct wal *wal, int rc, const struct engine_error *error)
{
	if (rc < 0)
		wal->failed = *error;
	return rc;
}

static int close_log(struct wal *wal, struct engine_error *error)
{
	if (wal->failed.text[0])
		return refuse(wal, error);
	if (wal_flush(wal, error) < 0)
		return -1;
	FAULT_POINT("wal/close/flushed");
	int fd = wal->fd;
	wal->fd = -1;
	if (close(fd) < 0)
		return engine_fail(error, "close the last segment: %s", strerror(errno));
	return 0;
}

static int wal_close(void *store, struct engine_error *error)
{
	struct wal *wal = store;
	int rc = close_log(wal, error);
	release(wal);
	return rc;
}

/* Makes the segment have room for n bytes, which may be more than a segment is
 * meant to hold: then they get one of their own. */
static int make_room(struct wal *wal, size_t n, struct engine_error *error)
{
	uint64_t end = wal->flushed + wal->buffer.used;
	if (!end || end + n <= wal->segment_bytes)
		return 0;
	return wal_rotate(wal, error);
}

static int check_change(struct engine_bytes key, struct engine_bytes value,
			struct engine_error *error)
{
	if (key.length > RECORD_KEY_MAX)
		return engine_fail(error, "a key has at most %d bytes, not %zu", RECORD_KEY_MAX,
				   key.length);
	if (value.length > RECORD_VALUE_MAX)
		return engine_fail(error, "a value has at most %d bytes, not %zu", RECORD_VALUE_MAX,
				   value.length);
	return 0;
}

static struct record record_of(const struct engine_change *change, bool batched)
{
	const struct engine_bytes none = {0};
	return (struct record){.type = change->del ? RECORD_DELETE : RECORD_PUT,
			       .batched = batched,
			       .key = change->key,
			       .value = change->del ? none : change->value};
}

/* Puts a record with the next sequence number into the buffer. */
static int buffer_record(struct wal *wal, struct record *record, struct engine_error *error)
{
	const struct record_seal seal = {.whole = wal->hardened, .segment = wal_last(wal)};
	record->sequence = wal->sequence;
	if (record_append(&wal->buffer, &seal, record) < 0)
		return engine_fail(error, "out of memory for a record");
	wal->sequence++;
	return 0;
}

/* Planted bugs of append: the record is not synced now, or not any more. */
static bool unsynced_by_mistake(void)
{
	return MUTANT("wal/skip-sync") || MUTANT("wal/ack-before-sync") ||
	       MUTANT("wal/sync-before-flush");
}

/* Takes a single change as far as the mode demands. */
static int append(struct wal *wal, const struct engine_change *change, struct engine_error *error)
{
	struct record record = record_of(change, false);
	if (MUTANT("wal/ack-before-sync") && wal->dirty && wal_sync(wal, error) < 0)
		return -1; /* the record before this one, acknowledged long ago */
	if (make_room(wal, record_bytes(record.key.length, record.value.length), error) < 0 ||
	    buffer_record(wal, &record, error) < 0)
		return -1;
	FAULT_POINT("wal/append/buffered");
	wal->unsynced++;
	bool due = wal->mode == WAL_SYNC || (wal->mode == WAL_BATCH && wal->unsynced >= wal->batch);
	if (due && MUTANT("wal/sync-before-flush") && wal_sync(wal, error) < 0)
		return -1;
	if (due || wal->buffer.used >= wal->buffer_bytes) {
		if (wal_flush(wal, error) < 0)
			return -1;
		FAULT_POINT("wal/append/flushed");
	}
	if (due) {
		if (!unsynced_by_mistake() && wal_sync(wal, error) < 0)
			return -1;
		FAULT_POINT("wal/append/synced");
	}
	return 0;
}

static int apply(struct wal *wal, const struct engine_change *change, struct engine_error *error)
{
	if (change->del)
		map_delete(&wal->map, change->key);
	else if (map_put(&wal->map, change->key, change->value) < 0)
		return engine_fail(error, "out of memory for the index");
	return 0;
}

static int change_one(struct wal *wal, const struct engine_change *change,
		      struct engine_error *error)
{
	if (wal->failed.text[0])
		return refuse(wal, error);
	if (check_change(change->key, change->value, error) < 0)
		return -1;
	int rc = append(wal, change, error);
	if (!rc)
		rc = apply(wal, change, error);
	return conclude(wal, rc, error);
}

static int wal_put(void *store, struct engine_bytes key, struct engine_bytes value,
		   struct engine_error *error)
{
	return change_one(store, &(struct engine_change){.key = key, .value = value}, error);
}

static int wal_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return change_one(store, &(struct engine_change){.key = key, .del = true}, error);
}

/* Buffers a batch of at least one change with its COMMIT, in one segment. */
static int buffer_batch(struct wal *wal, const struct engine_change *changes, size_t n,
			struct engine_error *error)
{
	size_t bytes = record_bytes(0, sizeof(uint64_t));
	for (size_t i = 0; i < n; i++)
		bytes += record_bytes(changes[i].key.length,
				      changes[i].del ? 0 : changes[i].value.length);
	if (make_room(wal, bytes, error) < 0)
		return -1;
	uint64_t first = wal->sequence;
	for (size_t i = 0; i < n; i++) {
		struct record record = record_of(&changes[i], true);
		if (buffer_record(wal, &record, error) < 0)
			return -1;
	}
	if (MUTANT("wal/commit-apart") && wal_flush(wal, error) < 0)
		return -1;
	const struct record_seal seal = {.whole = wal->hardened, .segment = wal_last(wal)};
	if (record_append_commit(&wal->buffer, &seal, wal->sequence++, first) < 0)
		return engine_fail(error, "out of memory for a COMMIT");
	return 0;
}

static int write_batch(struct wal *wal, const struct engine_change *changes, size_t n,
		       struct engine_error *error)
{
	if (n && buffer_batch(wal, changes, n, error) < 0)
		return -1;
	FAULT_POINT("wal/batch/buffered");
	if (wal_flush(wal, error) < 0)
		return -1;
	FAULT_POINT("wal/batch/flushed");
	if (wal_sync(wal, error) < 0)
		return -1;
	FAULT_POINT("wal/batch/synced");
	for (size_t i = 0; i < n; i++)
		if (apply(wal, &changes[i], error) < 0)
			return -1;
	return 0;
}

static int wal_batch(void *store, const struct engine_change *changes, size_t n,
		     struct engine_error *error)
{
	struct wal *wal = store;
	if (wal->failed.text[0])
		return refuse(wal, error);
	for (size_t i = 0; i < n; i++)
		if (check_change(changes[i].key, changes[i].value, error) < 0)
			return -1;
	return conclude(wal, write_batch(wal, changes, n, error), error);
}

static int sync_all(struct wal *wal, struct engine_error *error)
{
	if (wal_flush(wal, error) < 0)
		return -1;
	FAULT_POINT("wal/sync/flushed");
	if (wal_sync(wal, error) < 0)
		return -1;
	FAULT_POINT("wal/sync/synced");
	return 0;
}

static int wal_sync_store(void *store, struct engine_error *error)
{
	struct wal *wal = store;
	if (wal->failed.text[0])
		return refuse(wal, error);
	return conclude(wal, sync_all(wal, error), error);
}

static int wal_compact_store(void *store, struct engine_error *error)
{
	struct wal *wal = store;
	if (wal->failed.text[0])
		return refuse(wal, error);
	return conclude(wal, wal_compact(wal, error), error);
}

static int wal_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		   struct engine_error *error)
{
	(void)error;
	struct wal *wal = store;
	const struct map_entry *entry = map_find(&wal->map, key);
	if (entry)
		*value = map_value(entry);
	return entry != NULL;
}

static int wal_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct wal *wal = store;
	struct map_cursor cursor = {0};
	const struct map_entry *entry;
	while ((entry = map_next(&wal->map, &cursor)))
		if (visit(arg, map_key(entry), map_value(entry)))
			return engine_fail(error, "the scan was ended by its visitor");
	return 0;
}

/* Whether two maps have the same contents. */
static bool same(const struct map *a, const struct map *b)
{
	struct map_cursor cursor = {0};
	const struct map_entry *x, *y;
	while ((x = map_next(a, &cursor))) {
		y = map_find(b, map_key(x));
		if (!y || y->value_length != x->value_length ||
		    memcmp(map_value(x).data, map_value(y).data, x->value_length))
			return false;
	}
	return a->n == b->n;
}

/* Compares what a replay found, and the buffer behind it, with what the store
 * believes. */
static int compare(const struct wal *wal, struct replay *replay, struct engine_error *error)
{
	const struct bytes_buffer *buffer = &wal->buffer;
	int64_t n = wal_replay_bytes(wal, wal_last(wal), buffer->data, buffer->used, replay);
	if (n < 0)
		return engine_fail(error, "verify: out of memory");
	if ((uint64_t)n != buffer->used)
		return engine_fail(error, "verify: the buffer holds a record that is not valid");
	if (replay->sequence != wal->sequence)
		return engine_fail(error, "verify: the next sequence number is %llu, not %llu",
				   (unsigned long long)replay->sequence,
				   (unsigned long long)wal->sequence);
	if (!same(&replay->map, &wal->map))
		return engine_fail(error, "verify: the log and the index differ");
	return 0;
}

static int verify_log(const struct wal *wal, struct replay *replay, struct engine_error *error)
{
	/* A segment without records is not yet part of the log for a replay. */
	struct numbers written = wal->segments;
	bool empty = !wal->flushed && written.n > 1;
	if (empty)
		written.n--;
	if (wal_replay(wal, &written, replay, error) < 0)
		return -1;
	if (replay->segments.n != written.n || (!empty && replay->end != wal->flushed))
		return engine_fail(error, "verify: the log does not end where it should");
	return compare(wal, replay, error);
}

static int wal_verify(void *store, struct engine_error *error)
{
	struct wal *wal = store;
	struct replay replay = {0};
	if (wal->failed.text[0])
		return refuse(wal, error);
	int rc = verify_log(wal, &replay, error);
	replay_finish(&replay);
	return rc;
}

const struct engine wal_engine = {
	.abi = ENGINE_ABI,
	.name = "wal",
	.summary = "a log with an index in memory",
	.options = options,
	.fault_points = fault_points,
	.contract = wal_contract,
	.open = wal_open,
	.close = wal_close,
	.put = wal_put,
	.del = wal_del,
	.get = wal_get,
	.scan = wal_scan,
	.batch = wal_batch,
	.sync = wal_sync_store,
	.compact = wal_compact_store,
	.verify = wal_verify,
};
