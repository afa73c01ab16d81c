/* Flushing: the memtable becomes the newest table, and the log begins anew.
 *
 * Hardened:
 *
 *   table      NNNNNNNN.tmp is written, synced, renamed to .sst
 *   log        a new and empty one
 *   directory  synced: both names are durable before the MANIFEST has them
 *   commit     a version with this table and this log (manifest.c)
 *   retire     the old log, which from now on nothing needs
 *
 * Textbook: the table is written, then the log is truncated. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "lsm.h"
#include "merge.h"

/* The memtable as a table, which is added to the store's. */
static int add_table(struct lsm *lsm, struct engine_error *error)
{
	struct merge merge;
	struct table *table = NULL;
	int rc = lsm_reserve_table(lsm, error);
	if (rc < 0)
		return -1;
	rc = merge_init(&merge, &lsm->memtable, NULL, 0, error);
	if (!rc)
		rc = lsm_write_table(lsm, &merge, &table, error);
	merge_finish(&merge);
	if (table)
		lsm->tables[lsm->n_tables++] = table;
	return rc;
}

/* Everything durable that the next log and the tables need, in a version that
 * has them. */
static int commit(struct lsm *lsm, uint32_t log, struct engine_error *error)
{
	if (directory_sync(lsm->dir, error) < 0)
		return -1;
	FAULT_POINT("lsm/flush/dirsynced");
	lsm->flushed = lsm->sequence;
	return lsm_commit(lsm, log, error);
}

/* Goes over from the log of the version before, if there was one. */
static int change_log(struct lsm *lsm, struct engine_error *error)
{
	uint32_t number = lsm_new_number(lsm, error);
	if (!number)
		return -1;
	struct file_name name = file_name(number, lsm_log_suffix), old = lsm->log.name;
	int fd = file_open(lsm->dir, &name, O_RDWR | O_CREAT | O_EXCL, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("lsm/flush/log-created");
	if (commit(lsm, number, error) < 0 || lsm_log_close(&lsm->log, error) < 0) {
		close(fd);
		return -1;
	}
	bool had_log = lsm->log.number;
	lsm_log_begin(&lsm->log, fd, number, &name, true, 0);
	memtable_clear(&lsm->memtable);
	if (!had_log)
		return 0;
	if (file_unlink(lsm->dir, &old, error) < 0)
		return -1;
	FAULT_POINT("lsm/flush/log-removed");
	return 0;
}

static int truncate_log(struct lsm *lsm, struct engine_error *error)
{
	struct file_name name = lsm->log.name;
	if (lsm_log_close(&lsm->log, error) < 0)
		return -1;
	int fd = file_open(lsm->dir, &name, O_RDWR | O_TRUNC, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("lsm/flush/log-truncated");
	lsm_log_begin(&lsm->log, fd, 0, &name, false, 0);
	memtable_clear(&lsm->memtable);
	return 0;
}

int lsm_flush(struct lsm *lsm, struct engine_error *error)
{
	FAULT_POINT("lsm/flush/begin");
	if (MUTANT("lsm/truncate-log-first") && lsm->log.fd >= 0 && ftruncate(lsm->log.fd, 0) < 0)
		return engine_fail(error, "ftruncate of %s: %s", lsm->log.name.text,
				   strerror(errno));
	if (add_table(lsm, error) < 0)
		return -1;
	return lsm->hardened ? change_log(lsm, error) : truncate_log(lsm, error);
}
