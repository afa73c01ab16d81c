/* The store's tables: writing one, and the versions that they make up. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "lsm.h"
#include "merge.h"

uint32_t lsm_new_number(struct lsm *lsm, struct engine_error *error)
{
	if (lsm->next <= FILE_NUMBER_MAX)
		return lsm->next++;
	engine_fail(error, "no file numbers are left");
	return 0;
}

/* Writes first and then the rest of the merge. */
static int write_entries(struct table_writer *writer, const struct entry *first,
			 struct merge *merge, struct engine_error *error)
{
	struct entry entry = *first;
	int rc;
	do {
		if (table_add(writer, &entry, error) < 0)
			return -1;
	} while ((rc = merge_next(merge, &entry, error)) > 0);
	return rc < 0 ? -1 : table_end(writer, error);
}

/* Fills the file of a table, whose name at the moment is `name`. */
static int fill(const struct lsm *lsm, int fd, uint32_t number, const struct file_name *name,
		const struct entry *first, struct merge *merge, struct engine_error *error)
{
	struct table_writer writer = {.fd = fd,
				      .number = number,
				      .name = *name,
				      .sealed = lsm->hardened,
				      .block_bytes = lsm->block_bytes};
	int rc = write_entries(&writer, first, merge, error);
	table_writer_finish(&writer);
	if (rc < 0)
		return -1;
	FAULT_POINT("lsm/table/written");
	if (!lsm->hardened)
		return 0;
	if (!MUTANT("lsm/sstable-no-sync") && file_sync(fd, name, lsm->datasync, error) < 0)
		return -1;
	FAULT_POINT("lsm/table/synced");
	return 0;
}

/* A file of that name with the table in it. */
static int make_file(const struct lsm *lsm, uint32_t number, const struct file_name *name,
		     const struct entry *first, struct merge *merge, struct engine_error *error)
{
	int fd = file_open(lsm->dir, name, O_RDWR | O_CREAT | O_EXCL, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("lsm/table/created");
	int rc = fill(lsm, fd, number, name, first, merge, error);
	if (close(fd) < 0 && !rc)
		return engine_fail(error, "close %s: %s", name->text, strerror(errno));
	return rc;
}

int lsm_write_table(struct lsm *lsm, struct merge *merge, struct table **table,
		    struct engine_error *error)
{
	struct entry first;
	int rc = merge_next(merge, &first, error);
	*table = NULL;
	if (rc <= 0)
		return rc;
	uint32_t number = lsm_new_number(lsm, error);
	if (!number)
		return -1;
	struct file_name name = file_name(number, lsm_table_suffix);
	struct file_name temporary = file_name(number, lsm_temporary_suffix);
	if (make_file(lsm, number, lsm->hardened ? &temporary : &name, &first, merge, error) < 0)
		return -1;
	if (lsm->hardened) {
		if (file_rename(lsm->dir, &temporary, &name, error) < 0)
			return -1;
		FAULT_POINT("lsm/table/renamed");
	}
	return table_open(lsm->dir, number, &name, lsm->hardened, table, error);
}

int lsm_reserve_table(struct lsm *lsm, struct engine_error *error)
{
	if (lsm->n_tables < lsm->tables_room)
		return 0;
	size_t room = lsm->tables_room ? lsm->tables_room * 2 : 16;
	struct table **tables = realloc(lsm->tables, room * sizeof(struct table *));
	if (!tables)
		return engine_fail(error, "out of memory for the list of tables");
	lsm->tables = tables;
	lsm->tables_room = room;
	return 0;
}

int lsm_version(const struct lsm *lsm, uint32_t log, struct version *version,
		struct engine_error *error)
{
	*version = (struct version){.sequence = lsm->flushed, .log = log};
	for (size_t i = 0; i < lsm->n_tables; i++)
		if (numbers_push(&version->tables, lsm->tables[i]->number, error) < 0)
			return -1;
	return 0;
}

int lsm_commit(struct lsm *lsm, uint32_t log, struct engine_error *error)
{
	struct version version;
	int rc = lsm_version(lsm, log, &version, error);
	if (!rc)
		rc = manifest_commit(&lsm->manifest, &version, error);
	free(version.tables.at);
	return rc;
}
