/* Committing a transaction, and the checkpoints that empty the log. */
#include "btree.h"
#include "fault.h"

/* Whether a page of the transaction goes to the data file directly.
 *
 * Hardened: none.  Textbook: the meta page and the free list. */
static bool past_log(const struct btree *btree, uint32_t number)
{
	const struct page *page = btree->pages[number];
	enum page_type type = page_type(page);
	if (!btree->hardened)
		return type == PAGE_META || type == PAGE_FREE;
	if (type == PAGE_META && MUTANT("btree/meta-past-log"))
		return true;
	/* "It was free, nobody needs what it held": not if it was freed just now. */
	return page->reused && MUTANT("btree/free-page-reused");
}

/* The log has what is written here until the next checkpoint: no sync. */
int btree_write_pages(struct btree *btree, struct engine_error *error)
{
	for (size_t i = 0; i < btree->dirty.n; i++)
		if (page_write(btree, btree->dirty.at[i], error) < 0)
			return -1;
	return 0;
}

/* Puts all of the transaction into the buffer. */
static int buffer_transaction(struct btree *btree, struct engine_error *error)
{
	uint32_t logged = 0;
	for (size_t i = 0; i < btree->dirty.n; i++) {
		uint32_t number = btree->dirty.at[i];
		bool past = past_log(btree, number);
		if (past ? page_write(btree, number, error) < 0
			 : log_append_page(btree, number, error) < 0)
			return -1;
		logged += !past;
	}
	return log_append_commit(btree, logged, error);
}

static int commit_whole(struct btree *btree, struct engine_error *error)
{
	if (buffer_transaction(btree, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/buffered");
	if (log_flush(btree, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/flushed");
	if (MUTANT("btree/page-before-log") && btree_write_pages(btree, error) < 0)
		return -1;
	if (file_sync(btree->log, &btree->log_name, btree->datasync, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/synced");
	return btree_write_pages(btree, error);
}

/* Textbook: one page after the other. */
static int commit_page(struct btree *btree, uint32_t number, struct engine_error *error)
{
	if (past_log(btree, number)) {
		if (page_write(btree, number, error) < 0)
			return -1;
		FAULT_POINT("btree/commit/past-log");
		return 0;
	}
	if (log_append_page(btree, number, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/buffered");
	if (log_flush(btree, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/flushed");
	if (file_sync(btree->log, &btree->log_name, btree->datasync, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/synced");
	if (page_write(btree, number, error) < 0)
		return -1;
	FAULT_POINT("btree/commit/page");
	return 0;
}

static int commit_pages(struct btree *btree, struct engine_error *error)
{
	for (size_t i = 0; i < btree->dirty.n; i++)
		if (commit_page(btree, btree->dirty.at[i], error) < 0)
			return -1;
	return 0;
}

int btree_commit(struct btree *btree, struct engine_error *error)
{
	if (!btree->dirty.n)
		return 0;
	btree->meta.sequence++;
	if (meta_store(btree, error) < 0)
		return -1;
	if ((btree->hardened ? commit_whole(btree, error) : commit_pages(btree, error)) < 0)
		return -1;
	pages_settle(btree);
	FAULT_POINT("btree/commit/written");
	return btree->log_end >= btree->log_bytes ? btree_checkpoint(btree, error) : 0;
}

/* The data file can do without the log, which is then emptied.  That needs no
 * sync: until the log's next one, which is before any page that it does not have
 * is written, a log that is still there leads to the same pages. */
int btree_checkpoint(struct btree *btree, struct engine_error *error)
{
	bool early = MUTANT("btree/truncate-log-first");
	FAULT_POINT("btree/checkpoint/begin");
	if (early && log_truncate(btree, error) < 0)
		return -1;
	if (file_sync(btree->data, &btree->data_name, btree->datasync, error) < 0)
		return -1;
	FAULT_POINT("btree/checkpoint/synced");
	if (!early && log_truncate(btree, error) < 0)
		return -1;
	FAULT_POINT("btree/checkpoint/truncated");
	return 0;
}
