/* btree: pages and a page log.
 *
 * Records are in a B+ tree of pages of 4096 bytes, all of them in one file.  What
 * changes is written as images of whole pages to a log first.
 *
 * Files
 *
 *   tree.pages   the data file: pages (page.c, node.h).  Page 0 is the meta page:
 *                root, height, counts, free list.  Values too long for their
 *                leaf are chains of pages (chain.c)
 *   pages.log    the page log (log.c): transactions since the last checkpoint,
 *                each the images of its pages and a COMMIT with their number
 *
 * A put, a delete that finds its key, and a batch are one transaction each.
 * Transactions are numbered without gaps; the meta page, which is part of
 * each, has the number of the last one.
 *
 * Stages of a page: memory --flush--> log, page cache --sync--> log, disk
 * --write--> data file, page cache --checkpoint--> data file, disk.
 *
 * Invariants of the hardened variant, under a disk that keeps nothing but what a
 * sync of that very file or directory covered, and may keep any part of the
 * rest, in any order, torn at 512 bytes:
 *
 *   B1  The names of both files are durable before the first transaction is.
 *   B2  A transaction is whole and durable in the log before any of its pages is
 *       written to the data file, meta page and free list included.
 *   B3  The log is emptied only when the data file, as of the log's last
 *       transaction, is durable.
 *   B4  So at any time, the pages of the data file that may not be what the last
 *       transaction made them all have images in the log, which has all
 *       transactions from the last checkpoint on.  Writing all of these images
 *       restores the tree, however often and whatever the pages were.
 *   B5  A log that is being emptied is wholly there or not at all until its next
 *       sync, which is before the next page is written: with it, the images are
 *       written again; without it, they are not needed.  Emptying needs no sync.
 *   B6  A transaction counts only if it is whole: its checksums are a chain from
 *       its first entry to its COMMIT, and its number is the next one.  So
 *       nothing counts of a transaction that was torn, or that was left by an
 *       attempt before.
 *   B7  What opening has shown is durable: the log was synced before its images
 *       were written (B2), and the data file before the log was emptied (B3).
 *   B8  After a failed write or sync nothing more is written: what the kernel
 *       then holds is unknown.
 *
 * Operations; "|" is where an acknowledgement may already be given:
 *
 *   put, del, batch   change pages in memory; log entries and COMMIT into the
 *                     buffer, flush (one write), sync | write the pages
 *   checkpoint        (the log has log_bytes; sync; compact; close)
 *                     sync the data file, truncate the log
 *   open              see recover.c
 *
 * An operation that fails before its commit is forgotten and has changed nothing.
 *
 * The textbook variant commits page by page: log entry, sync, write.  It has no
 * COMMIT, so that recovery replays the first pages of a split without the
 * others (B6); the meta page and the free list go to the data file directly
 * (B2); checksums are sums of bytes; recovery does not sync the log (B7). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "fault.h"
#include "io.h"
#include "tree.h"

static const struct engine_option options[] = {
	{"variant", "hardened", "textbook|hardened", 0, 0,
	 "textbook: as such trees are usually taught; hardened: correct"},
	{"call", "fsync", "fsync|fdatasync", 0, 0, "the call that syncs the log and the data file"},
	{"fanout", "4", NULL, 3, FANOUT_MAX, "entries at which a page is full, bytes aside"},
	{"inline_bytes", "128", NULL, 0, INLINE_MAX,
	 "bytes; longer values have pages of their own"},
	{"log_bytes", "16384", NULL, 0, 1 << 30,
	 "bytes of log at which there is a checkpoint; 0: after each transaction"},
	{NULL},
};

#define NEEDS_REPLAY (ENGINE_NEEDS_PUT | ENGINE_NEEDS_CRASH)

static const struct engine_fault_point fault_points[] = {
	{"btree/split/page", NULL, ENGINE_NEEDS_PUT},
	{"btree/split/root", NULL, ENGINE_NEEDS_PUT},
	{"btree/merge/page", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_DELETE},
	{"btree/merge/root", NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_DELETE},
	{"btree/commit/buffered", NULL, 0},
	{"btree/commit/flushed", NULL, 0},
	{"btree/commit/synced", NULL, 0},
	{"btree/commit/page", "variant=textbook", 0},
	{"btree/commit/past-log", "variant=textbook", 0},
	{"btree/commit/written", NULL, 0},
	{"btree/checkpoint/begin", NULL, 0},
	{"btree/checkpoint/synced", NULL, 0},
	{"btree/checkpoint/truncated", NULL, 0},
	{"btree/recover/begin", NULL, 0},
	{"btree/recover/data-opened", NULL, 0},
	{"btree/recover/log-opened", NULL, 0},
	{"btree/recover/read", NULL, 0},
	{"btree/recover/cut", NULL, NEEDS_REPLAY},
	{"btree/recover/dirsynced", NULL, 0},
	{"btree/recover/log-synced", "variant=hardened", NEEDS_REPLAY},
	{"btree/recover/written", NULL, NEEDS_REPLAY},
	{NULL},
};

static bool is_hardened(const struct engine_config *config)
{
	return !strcmp(engine_value(config, "variant"), "hardened");
}

static void btree_contract(const struct engine_config *config, struct engine_contract *contract)
{
	*contract = (struct engine_contract){
		.ack = ENGINE_ACK_EACH,
		.against = ENGINE_AGAINST_POWER,
		.prefix = true,
		.batch = ENGINE_BATCH_DURABLE,
		.stays = is_hardened(config),
	};
}

uint32_t btree_checksum(const struct btree *btree, uint32_t checksum, const void *p, size_t n)
{
	if (btree->hardened)
		return io_crc32c(checksum, p, n);
	for (size_t i = 0; i < n; i++)
		checksum += ((const uint8_t *)p)[i];
	return checksum;
}

static void release(struct btree *btree)
{
	const int descriptors[] = {btree->data, btree->log, btree->dir};
	for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	for (size_t i = 0; i < btree->pages_room; i++)
		free(btree->pages[i]);
	free(btree->pages);
	free(btree->dirty.at);
	free(btree->buffer.data);
	free(btree->value.data);
	free(btree);
}

static void *btree_open(const char *dir, const struct engine_config *config,
			struct engine_error *error)
{
	struct btree *btree = calloc(1, sizeof *btree);
	if (!btree) {
		engine_fail(error, "out of memory for the store");
		return NULL;
	}
	btree->hardened = is_hardened(config);
	btree->datasync = !strcmp(engine_value(config, "call"), "fdatasync");
	btree->fanout = (uint32_t)engine_number(config, "fanout");
	btree->inline_bytes = (uint32_t)engine_number(config, "inline_bytes");
	btree->log_bytes = engine_number(config, "log_bytes");
	btree->data_name = file_named("tree.pages");
	btree->log_name = file_named("pages.log");
	btree->data = btree->log = -1;
	btree->dir = directory_open(dir, error);
	if (btree->dir < 0 || btree_recover(btree, error) < 0) {
		release(btree);
		return NULL;
	}
	return btree;
}

static int refuse(const struct btree *btree, struct engine_error *error)
{
	return engine_fail(error, "no more writes after a failure: %.200s", btree->failed.text);
}

/* Notes a failure, after which every write is refused (B8). */
static int conclude(struct btree *btree, int rc, const struct engine_error *error)
{
	if (rc < 0)
		btree->failed = *error;
	return rc;
}

/* A checkpoint, if there is something to put down. */
static int checkpoint(struct btree *btree, struct engine_error *error)
{
	if (btree->failed.text[0])
		return refuse(btree, error);
	if (!btree->log_end)
		return 0;
	return conclude(btree, btree_checkpoint(btree, error), error);
}

static int close_file(int *fd, const struct file_name *name, struct engine_error *error)
{
	int closing = *fd;
	*fd = -1;
	if (close(closing) < 0)
		return engine_fail(error, "close %s: %s", name->text, strerror(errno));
	return 0;
}

static int btree_close(void *store, struct engine_error *error)
{
	struct btree *btree = store;
	int rc = checkpoint(btree, error);
	if (!rc)
		rc = close_file(&btree->data, &btree->data_name, error);
	if (!rc)
		rc = close_file(&btree->log, &btree->log_name, error);
	release(btree);
	return rc;
}

static int check_change(const struct engine_change *change, struct engine_error *error)
{
	if (change->key.length > BTREE_KEY_MAX)
		return engine_fail(error, "a key has at most %d bytes, not %zu", BTREE_KEY_MAX,
				   change->key.length);
	if (!change->del && change->value.length > BTREE_VALUE_MAX)
		return engine_fail(error, "a value has at most %d bytes, not %zu", BTREE_VALUE_MAX,
				   change->value.length);
	return 0;
}

/* Makes the changes in memory. */
static int apply(struct btree *btree, const struct engine_change *changes, size_t n,
		 struct engine_error *error)
{
	for (size_t i = 0; i < n; i++) {
		const struct engine_change *change = &changes[i];
		int rc = change->del ? tree_delete(btree, change->key, error)
				     : tree_put(btree, change->key, change->value, error);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int btree_batch(void *store, const struct engine_change *changes, size_t n,
		       struct engine_error *error)
{
	struct btree *btree = store;
	if (btree->failed.text[0])
		return refuse(btree, error);
	for (size_t i = 0; i < n; i++)
		if (check_change(&changes[i], error) < 0)
			return -1;
	if (apply(btree, changes, n, error) < 0) {
		pages_forget(btree);
		return -1;
	}
	return conclude(btree, btree_commit(btree, error), error);
}

static int btree_put(void *store, struct engine_bytes key, struct engine_bytes value,
		     struct engine_error *error)
{
	return btree_batch(store, &(struct engine_change){.key = key, .value = value}, 1, error);
}

static int btree_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return btree_batch(store, &(struct engine_change){.key = key, .del = true}, 1, error);
}

static int btree_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		     struct engine_error *error)
{
	return tree_get(store, key, value, error);
}

static int btree_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	return tree_scan(store, visit, arg, error);
}

/* Every transaction is durable already: this is for the log. */
static int btree_sync(void *store, struct engine_error *error)
{
	return checkpoint(store, error);
}

static int btree_compact(void *store, struct engine_error *error)
{
	return checkpoint(store, error);
}

static int btree_verify_store(void *store, struct engine_error *error)
{
	struct btree *btree = store;
	return btree->failed.text[0] ? refuse(btree, error) : btree_verify(btree, error);
}

const struct engine btree_engine = {
	.abi = ENGINE_ABI,
	.name = "btree",
	.summary = "pages of a tree and a log of page images",
	.options = options,
	.fault_points = fault_points,
	.contract = btree_contract,
	.open = btree_open,
	.close = btree_close,
	.put = btree_put,
	.del = btree_del,
	.get = btree_get,
	.scan = btree_scan,
	.batch = btree_batch,
	.sync = btree_sync,
	.compact = btree_compact,
	.verify = btree_verify_store,
};
