/* Recovering: a directory in any state → an open store.
 *
 * Hardened, in this order, each step safe to be cut short and done again:
 *
 *   load     the keydir, from the hint of each data file where it has a valid
 *            one, else from its records.  Only the last file may end with what
 *            is no record (B1); its end is where the first of these begins
 *   remove   temporary files, and hints that are not valid or describe no file
 *   cut      the last file ends where its records do
 *   sync     the last file: what was read from it may be in the page cache only,
 *            after a kill.  No other file can need it (B1, B3)
 *   sync     the directory, for the same reason: from here on, what was loaded is
 *            durable, and what was removed stays removed.  A file that a merge
 *            removed may have had a higher number than those that are left, and
 *            records with higher timestamps than the next ones will get (B1, B4)
 *
 * The last file is then the active one, unless it has a hint: a file with a hint
 * is never written to.
 *
 * Textbook: load, but hints are believed unread, and files may end with anything;
 * remove temporary files and hints without a file; cut. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bitcask.h"
#include "fault.h"
#include "hint.h"

/* What is in the directory, numbers rising. */
enum found { DATA, HINTS, TEMPORARIES, FOUND_COUNT };

static bool contains(const struct numbers *numbers, uint32_t number)
{
	for (size_t i = 0; i < numbers->n; i++)
		if (numbers->at[i] == number)
			return true;
	return false;
}

static int take(struct bitcask *b, const struct record *record, uint32_t file, uint64_t offset,
		struct engine_error *error)
{
	if (keydir_take(&b->keydir, record, file, offset) < 0)
		return engine_fail(error, "out of memory for the keydir");
	if (record->timestamp >= b->timestamp)
		b->timestamp = record->timestamp + 1;
	return 0;
}

/* Takes the records that a hint names, where it is to be believed. */
static int take_hint(struct bitcask *b, struct data_file *file, const uint8_t *p, size_t n,
		     struct engine_error *error)
{
	bool trusting = !b->hardened || MUTANT("bitcask/hint-trusted");
	struct hint_cursor cursor;
	struct record record;
	uint64_t offset;
	if (!trusting && !hint_valid(p, n, file->bytes))
		return 0;
	file->hinted = true;
	hint_first(&cursor, p, n);
	while (hint_next(&cursor, &record, &offset))
		if (take(b, &record, file->number, offset, error) < 0)
			return -1;
	return 0;
}

static int load_hint(struct bitcask *b, struct data_file *file, struct engine_error *error)
{
	struct file_name data = file_name(file->number, bitcask_data);
	struct file_name hint = file_name(file->number, bitcask_hint);
	struct stat st;
	uint8_t *p;
	size_t n;
	if (fstatat(b->dir, data.text, &st, 0) < 0)
		return engine_fail(error, "stat of %s: %s", data.text, strerror(errno));
	file->bytes = (uint64_t)st.st_size;
	if (file_load(b->dir, &hint, &p, &n, error) < 0)
		return -1;
	int rc = take_hint(b, file, p, n, error);
	free(p);
	return rc;
}

/* Takes the records of a data file; file->bytes are those that they fill, *size
 * those of the file. */
static int load_data(struct bitcask *b, struct data_file *file, size_t *size,
		     struct engine_error *error)
{
	struct file_name name = file_name(file->number, bitcask_data);
	struct record record;
	const uint8_t *value;
	uint8_t *p;
	size_t length, at = 0;
	int rc = 0;
	if (file_load(b->dir, &name, &p, size, error) < 0)
		return -1;
	while (!rc && (length = bitcask_record_decode(p + at, *size - at, &record, &value))) {
		rc = take(b, &record, file->number, at, error);
		at += length;
	}
	file->bytes = at;
	free(p);
	return rc;
}

/* Loads one file; *excess is what it has behind its records. */
static int load_file(struct bitcask *b, uint32_t number, bool hint, uint64_t *excess,
		     struct engine_error *error)
{
	struct data_file file = {.number = number};
	size_t size;
	*excess = 0;
	if (hint && load_hint(b, &file, error) < 0)
		return -1;
	if (!file.hinted) {
		if (load_data(b, &file, &size, error) < 0)
			return -1;
		*excess = size - file.bytes;
	}
	return data_files_push(&b->files, &file, error);
}

static int load(struct bitcask *b, const struct numbers *found, uint64_t *excess,
		struct engine_error *error)
{
	const struct numbers *data = &found[DATA];
	*excess = 0;
	b->timestamp = 1;
	b->next_file = 1;
	for (size_t i = 0; i < data->n; i++) {
		uint32_t number = data->at[i];
		if (load_file(b, number, contains(&found[HINTS], number), excess, error) < 0)
			return -1;
		if (b->hardened && *excess && i + 1 < data->n)
			return engine_fail(error,
					   "%08u.data is damaged at byte %llu: a file that is not "
					   "the last one ends with a record; no crash changes that",
					   number, (unsigned long long)b->files.at[i].bytes);
		b->next_file = number + 1;
	}
	return 0;
}

static int remove_file(const struct bitcask *b, uint32_t number, const char *suffix,
		       struct engine_error *error)
{
	struct file_name name = file_name(number, suffix);
	if (file_unlink(b->dir, &name, error) < 0)
		return -1;
	FAULT_POINT("bitcask/recover/removed");
	return 0;
}

static int remove_leftovers(const struct bitcask *b, const struct numbers *found,
			    struct engine_error *error)
{
	for (size_t i = 0; i < found[TEMPORARIES].n; i++)
		if (remove_file(b, found[TEMPORARIES].at[i], bitcask_temporary, error) < 0)
			return -1;
	for (size_t i = 0; i < found[HINTS].n; i++) {
		const struct data_file *file = data_files_find(&b->files, found[HINTS].at[i]);
		if (!file && MUTANT("bitcask/orphan-hints"))
			continue;
		if ((!file || !file->hinted) &&
		    remove_file(b, found[HINTS].at[i], bitcask_hint, error) < 0)
			return -1;
	}
	return 0;
}

/* Opens the last file, to be the active one. */
static int resume(struct bitcask *b, uint64_t excess, struct engine_error *error)
{
	if (!b->files.n || b->files.at[b->files.n - 1].hinted)
		return 0;
	struct data_file *last = &b->files.at[b->files.n - 1];
	struct file_name name = file_name(last->number, bitcask_data);
	b->fd = file_open(b->dir, &name, O_RDWR, error);
	if (b->fd < 0)
		return -1;
	if (excess) {
		if (ftruncate(b->fd, (off_t)last->bytes) < 0)
			return engine_fail(error, "ftruncate of %s: %s", name.text,
					   strerror(errno));
		FAULT_POINT("bitcask/recover/cut");
	}
	if (b->hardened) {
		/* fsync, whatever the options say: a cut is no data, which is all that
		 * fdatasync promises to keep. */
		if (file_sync(b->fd, &name, false, error) < 0)
			return -1;
		FAULT_POINT("bitcask/recover/synced");
	}
	return 0;
}

int bitcask_recover(struct bitcask *b, struct engine_error *error)
{
	static const char *const suffixes[] = {
		[DATA] = bitcask_data, [HINTS] = bitcask_hint, [TEMPORARIES] = bitcask_temporary};
	struct numbers found[FOUND_COUNT] = {0};
	uint64_t excess;
	int rc = -1;
	FAULT_POINT("bitcask/recover/begin");
	if (files_list(b->dir, suffixes, found, FOUND_COUNT, error) < 0 ||
	    load(b, found, &excess, error) < 0)
		goto done;
	FAULT_POINT("bitcask/recover/loaded");
	if (remove_leftovers(b, found, error) < 0 || resume(b, excess, error) < 0)
		goto done;
	if (b->hardened && !MUTANT("bitcask/recover-no-dirsync")) {
		if (directory_sync(b->dir, error) < 0)
			goto done;
		FAULT_POINT("bitcask/recover/dirsynced");
	}
	rc = 0;
done:
	for (int i = 0; i < FOUND_COUNT; i++)
		free(found[i].at);
	return rc;
}
