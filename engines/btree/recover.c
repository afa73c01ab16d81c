/* Recovering: a directory in any state → an open store.  In this order, each step
 * safe to be cut short and done again:
 *
 *   open     both files, which are created where they are missing
 *   create   where the data file is empty and the log has no transaction: sync
 *            the directory, commit an empty tree.  Done
 *   read     the whole transactions of the log, one behind the other, into
 *            memory; the last image of a page counts
 *   sync     the log (B2): a process that was killed may have left a transaction
 *            that we can read and that is not durable
 *   write    these pages to the data file
 *   empty    a checkpoint: sync the data file, truncate the log
 *
 * Where the log has no whole transaction, the data file is what a checkpoint
 * made durable, and all that is left to do is to truncate the log.
 *
 * Textbook: the same for what is valid in the log, whole transactions or not,
 * and without the sync of the log. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "tree.h"

/* The part of the log that counts. */
struct extent {
	size_t end;	      /* bytes; 0: nothing counts */
	uint64_t first, last; /* transactions */
};

/* Finds the end of the last whole transaction, each being the next one after
 * that before it. */
static struct extent find_extent(const struct btree *btree, const uint8_t *data, size_t size)
{
	struct log_reader reader = {.data = data, .size = size};
	struct extent extent = {0};
	struct log_entry entry;
	bool whole = true;     /* the transaction before this entry has ended */
	uint64_t sequence = 0; /* of that transaction */
	uint32_t pages = 0;    /* that it had so far */
	while (log_next(btree, &reader, &entry)) {
		if (!extent.first) {
			extent.first = entry.sequence;
			sequence = entry.sequence - 1;
		}
		uint64_t step = entry.sequence - sequence;
		if (btree->hardened ? step != whole : step > 1)
			break;
		if (entry.commit && load_le(entry.data, 4) != pages)
			break;
		sequence = entry.sequence;
		whole = entry.commit;
		pages = entry.commit ? 0 : pages + 1;
		if (whole || !btree->hardened || MUTANT("btree/no-commit-record")) {
			extent.end = reader.at;
			extent.last = sequence;
		}
	}
	return extent;
}

/* Takes the images into memory, as one transaction. */
static int take_images(struct btree *btree, const uint8_t *data, size_t end,
		       struct engine_error *error)
{
	struct log_reader reader = {.data = data, .size = end};
	struct log_entry entry;
	while (log_next(btree, &reader, &entry)) {
		if (entry.commit)
			continue;
		struct page *page = page_blank(btree, entry.page, error);
		if (!page)
			return -1;
		memcpy(page->bytes, entry.data, entry.length);
		store_le(page->bytes, 0, 4);
	}
	return 0;
}

/* What the data file was before: its meta page, if it has a whole one. */
struct before {
	uint64_t size; /* bytes */
	bool known;
	struct meta meta;
};

static int look(const struct btree *btree, struct before *before, struct engine_error *error)
{
	uint8_t bytes[PAGE_BYTES] = {0};
	struct stat st;
	if (fstat(btree->data, &st) < 0)
		return engine_fail(error, "fstat of %s: %s", btree->data_name.text,
				   strerror(errno));
	before->size = (uint64_t)st.st_size;
	int rc = page_read(btree, META_PAGE, bytes, error);
	if (rc < 0)
		return -1;
	if (meta_foreign(btree, bytes))
		return engine_fail(error, "this store was made with variant=%s",
				   btree->hardened ? "textbook" : "hardened");
	before->known = rc;
	return rc ? meta_decode(btree, bytes, &before->meta, error) : 0;
}

/* Whether the log belongs to the data file.  It goes on where the last checkpoint
 * ended, and has all that was written to the data file since.  A log without
 * would take pages back to what they were. */
static int check_extent(const struct btree *btree, const struct extent *extent,
			const struct before *before, struct engine_error *error)
{
	uint64_t sequence = before->meta.sequence;
	bool gap = (before->known || !before->size) && extent->first > sequence + 1;
	if (gap || (btree->hardened && extent->last < sequence))
		return engine_fail(error,
				   "damaged: the log has transactions %llu to %llu, the data file "
				   "is as of %llu",
				   (unsigned long long)extent->first,
				   (unsigned long long)extent->last, (unsigned long long)sequence);
	return 0;
}

/* The meta page, from the log or else from the data file, and whether the images
 * taken can be what it speaks of. */
static int take_meta(struct btree *btree, const struct before *before, struct engine_error *error)
{
	const struct page *page = btree->pages_room ? btree->pages[META_PAGE] : NULL;
	if (!page && !before->known)
		return engine_fail(error, "damaged: %s has no meta page", btree->data_name.text);
	btree->meta = before->meta;
	if (page && meta_decode(btree, page->bytes, &btree->meta, error) < 0)
		return -1;
	for (size_t i = 0; i < btree->dirty.n; i++)
		if (btree->dirty.at[i] >= btree->meta.pages)
			return engine_fail(error, "damaged: the log has page %u, of %u",
					   btree->dirty.at[i], btree->meta.pages);
	return 0;
}

/* The names of the files may be new, or left by a process that was killed before
 * this very sync (B1).  Later openings find a transaction, and need none. */
static int create(struct btree *btree, struct engine_error *error)
{
	if (directory_sync(btree->dir, error) < 0)
		return -1;
	FAULT_POINT("btree/recover/dirsynced");
	return tree_create(btree, error) < 0 ? -1 : btree_commit(btree, error);
}

static int write_images(struct btree *btree, struct engine_error *error)
{
	if (btree->hardened) {
		if (file_sync(btree->log, &btree->log_name, btree->datasync, error) < 0)
			return -1;
		FAULT_POINT("btree/recover/log-synced");
	}
	if (btree_write_pages(btree, error) < 0)
		return -1;
	FAULT_POINT("btree/recover/written");
	pages_settle(btree);
	return btree_checkpoint(btree, error);
}

/* Whether nothing was ever committed.  Textbook: the first transaction, which
 * ends with the meta page, was cut short. */
static bool is_fresh(const struct btree *btree, const struct extent *extent,
		     const struct before *before)
{
	if (btree->hardened)
		return !before->size && !extent->end;
	return !before->known && before->size <= (size_t)2 * PAGE_BYTES && extent->last <= 1;
}

static int replay(struct btree *btree, const uint8_t *log, size_t size, struct engine_error *error)
{
	struct before before = {0};
	if (look(btree, &before, error) < 0)
		return -1;
	struct extent extent = find_extent(btree, log, size);
	bool fresh = is_fresh(btree, &extent, &before);
	if (fresh)
		extent.end = 0;
	if (extent.end && (check_extent(btree, &extent, &before, error) < 0 ||
			   take_images(btree, log, extent.end, error) < 0))
		return -1;
	if (!fresh && take_meta(btree, &before, error) < 0)
		return -1;
	btree->committed = btree->meta;
	FAULT_POINT("btree/recover/read");
	if (extent.end)
		return write_images(btree, error);
	if (size) {
		if (log_truncate(btree, error) < 0)
			return -1;
		FAULT_POINT("btree/recover/cut");
	}
	return fresh ? create(btree, error) : 0;
}

int btree_recover(struct btree *btree, struct engine_error *error)
{
	FAULT_POINT("btree/recover/begin");
	btree->data = file_open(btree->dir, &btree->data_name, O_RDWR | O_CREAT, error);
	if (btree->data < 0)
		return -1;
	FAULT_POINT("btree/recover/data-opened");
	btree->log = file_open(btree->dir, &btree->log_name, O_RDWR | O_CREAT, error);
	if (btree->log < 0)
		return -1;
	FAULT_POINT("btree/recover/log-opened");
	uint8_t *log;
	size_t size;
	if (file_load(btree->dir, &btree->log_name, &log, &size, error) < 0)
		return -1;
	int rc = replay(btree, log, size, error);
	free(log);
	return rc;
}
