/* Recovering: a directory in any state → an open store.
 *
 * Hardened, in this order, each step safe to be cut short and done again:
 *
 *   load     the last version of the MANIFEST; its tables
 *   replay   its log into the memtable
 *   flush    as at any other time (flush.c), but always into a new MANIFEST: from
 *            here on, all that was loaded and replayed is durable
 *   remove   every table, log and temporary file that is not of this version;
 *            only now, since the version that a second crash goes back to may
 *            need it
 *
 * Nothing that is there is ever changed, nor continued.  A kill may have left a
 * version or a record that is read here and not yet durable: the new MANIFEST
 * and the new table are what makes it so.
 *
 * Textbook: all finished tables that there are; the log, whose tail is cut off,
 * is continued. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "lsm.h"

/* What is in the directory, numbers rising. */
enum found { LOGS, TABLES, TEMPORARIES, FOUND_COUNT };

static int older_first(const void *a, const void *b)
{
	const struct table *x = *(struct table *const *)a, *y = *(struct table *const *)b;
	if (x->sequence_max != y->sequence_max)
		return x->sequence_max < y->sequence_max ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static int open_table(struct lsm *lsm, uint32_t number, struct engine_error *error)
{
	struct file_name name = file_name(number, lsm_table_suffix);
	if (lsm_reserve_table(lsm, error) < 0)
		return -1;
	int rc = table_open(lsm->dir, number, &name, lsm->hardened, &lsm->tables[lsm->n_tables],
			    error);
	lsm->n_tables += rc == 0;
	return rc;
}

static void sort_tables(struct lsm *lsm)
{
	if (lsm->n_tables)
		qsort(lsm->tables, lsm->n_tables, sizeof(struct table *), older_first);
}

/* ---- textbook ---- */

/* What is not finished was cut short, and its contents are in the log still. */
static int open_finished(struct lsm *lsm, const struct numbers *found, struct engine_error *error)
{
	for (size_t i = 0; i < found->n; i++) {
		struct file_name name = file_name(found->at[i], lsm_table_suffix);
		int rc = table_finished(lsm->dir, &name, error);
		if (rc > 0)
			rc = open_table(lsm, found->at[i], error);
		if (rc < 0)
			return -1;
	}
	sort_tables(lsm);
	return 0;
}

/* Ends the log where its records do. */
static int cut(const struct lsm *lsm, const struct replay *replay, struct engine_error *error)
{
	if (replay->size == replay->end)
		return 0;
	if (ftruncate(lsm->log.fd, (off_t)replay->end) < 0)
		return engine_fail(error, "ftruncate of %s: %s", lsm->log.name.text,
				   strerror(errno));
	FAULT_POINT("lsm/recover/cut");
	return 0;
}

static int continue_log(struct lsm *lsm, struct engine_error *error)
{
	struct file_name name = lsm_textbook_log();
	struct replay replay = {0};
	if (lsm->n_tables)
		replay.sequence = lsm->tables[lsm->n_tables - 1]->sequence_max;
	int fd = file_open(lsm->dir, &name, O_RDWR | O_CREAT, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("lsm/recover/log-opened");
	lsm_log_begin(&lsm->log, fd, 0, &name, false, 0);
	if (lsm_log_replay(lsm->dir, 0, &name, false, &lsm->memtable, &replay, error) < 0)
		return -1;
	FAULT_POINT("lsm/recover/replayed");
	lsm->log.size = replay.end;
	lsm->sequence = replay.sequence;
	return cut(lsm, &replay, error);
}

static int recover_textbook(struct lsm *lsm, const struct numbers *found,
			    struct engine_error *error)
{
	int exists = manifest_exists(lsm->dir, error);
	if (exists > 0)
		return engine_fail(error, "this store was made with variant=hardened");
	if (exists < 0 || open_finished(lsm, &found[TABLES], error) < 0)
		return -1;
	return continue_log(lsm, error);
}

/* ---- hardened ---- */

/* Without a MANIFEST there is no store, and has never been one: before the first
 * MANIFEST is durable, nothing is written but an empty log. */
static int check_new(const struct lsm *lsm, const struct numbers *found, struct engine_error *error)
{
	struct file_name textbook = lsm_textbook_log();
	struct stat st;
	if (!faccessat(lsm->dir, textbook.text, F_OK, 0))
		return engine_fail(error, "this store was made with variant=textbook");
	if (errno != ENOENT)
		return engine_fail(error, "look for %s: %s", textbook.text, strerror(errno));
	size_t written = found[TABLES].n;
	for (size_t i = 0; i < found[LOGS].n; i++) {
		struct file_name name = file_name(found[LOGS].at[i], lsm_log_suffix);
		if (fstatat(lsm->dir, name.text, &st, 0) < 0)
			return engine_fail(error, "fstatat of %s: %s", name.text, strerror(errno));
		written += st.st_size > 0;
	}
	if (written)
		return engine_fail(error, "there are tables or logs but no MANIFEST; no crash "
					  "leaves that");
	return 0;
}

/* The store as a version says it is. */
static int load(struct lsm *lsm, const struct version *version, struct engine_error *error)
{
	for (size_t i = 0; i < version->tables.n; i++)
		if (open_table(lsm, version->tables.at[i], error) < 0)
			return -1;
	sort_tables(lsm);
	FAULT_POINT("lsm/recover/loaded");
	struct replay replay = {.sequence = version->sequence};
	lsm->log.number = version->log;
	lsm->log.name = file_name(version->log, lsm_log_suffix);
	if (lsm_log_replay(lsm->dir, version->log, &lsm->log.name, true, &lsm->memtable, &replay,
			   error) < 0)
		return -1;
	FAULT_POINT("lsm/recover/replayed");
	lsm->sequence = replay.sequence;
	if (MUTANT("lsm/sequence-reset"))
		lsm->sequence = 0;
	return 0;
}

static int load_or_make(struct lsm *lsm, const struct numbers *found, struct engine_error *error)
{
	struct version version = {0};
	int exists = manifest_exists(lsm->dir, error);
	if (exists < 0)
		return -1;
	if (!exists)
		return check_new(lsm, found, error);
	int rc = manifest_load(lsm->dir, &version, error);
	if (!rc)
		rc = load(lsm, &version, error);
	free(version.tables.at);
	return rc;
}

static int remove_file(const struct lsm *lsm, uint32_t number, const char *suffix,
		       struct engine_error *error)
{
	struct file_name name = file_name(number, suffix);
	if (file_unlink(lsm->dir, &name, error) < 0)
		return -1;
	FAULT_POINT("lsm/recover/removed");
	return 0;
}

static bool is_live(const struct lsm *lsm, uint32_t table)
{
	for (size_t i = 0; i < lsm->n_tables; i++)
		if (lsm->tables[i]->number == table)
			return true;
	return false;
}

/* Removes what was found and is not of the version; not the log that was
 * replayed, which the flush has removed. */
static int remove_leftovers(const struct lsm *lsm, const struct numbers *found, uint32_t replayed,
			    struct engine_error *error)
{
	for (size_t i = 0; i < found[TEMPORARIES].n; i++)
		if (remove_file(lsm, found[TEMPORARIES].at[i], lsm_temporary_suffix, error) < 0)
			return -1;
	for (size_t i = 0; i < found[TABLES].n; i++)
		if (!is_live(lsm, found[TABLES].at[i]) &&
		    remove_file(lsm, found[TABLES].at[i], lsm_table_suffix, error) < 0)
			return -1;
	for (size_t i = 0; i < found[LOGS].n; i++)
		if (found[LOGS].at[i] != replayed &&
		    remove_file(lsm, found[LOGS].at[i], lsm_log_suffix, error) < 0)
			return -1;
	return 0;
}

static int recover_hardened(struct lsm *lsm, const struct numbers *found,
			    struct engine_error *error)
{
	if (load_or_make(lsm, found, error) < 0)
		return -1;
	uint32_t replayed = lsm->log.number;
	bool early = MUTANT("lsm/leftovers-before-flush");
	if (early && remove_leftovers(lsm, found, replayed, error) < 0)
		return -1;
	if (lsm_flush(lsm, error) < 0)
		return -1;
	return early ? 0 : remove_leftovers(lsm, found, replayed, error);
}

/* ---- both ---- */

static uint32_t number_above(const struct numbers *found)
{
	uint32_t highest = 0;
	for (int i = 0; i < FOUND_COUNT; i++)
		if (found[i].n && found[i].at[found[i].n - 1] > highest)
			highest = found[i].at[found[i].n - 1];
	return highest + 1;
}

int lsm_recover(struct lsm *lsm, struct engine_error *error)
{
	static const char *const suffixes[] = {[LOGS] = lsm_log_suffix,
					       [TABLES] = lsm_table_suffix,
					       [TEMPORARIES] = lsm_temporary_suffix};
	struct numbers found[FOUND_COUNT] = {0};
	FAULT_POINT("lsm/recover/begin");
	int rc = files_list(lsm->dir, suffixes, found, FOUND_COUNT, error);
	if (!rc) {
		lsm->next = number_above(found);
		rc = lsm->hardened ? recover_hardened(lsm, found, error)
				   : recover_textbook(lsm, found, error);
	}
	for (int i = 0; i < FOUND_COUNT; i++)
		free(found[i].at);
	return rc;
}
