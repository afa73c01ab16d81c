/* Merging: files in which much is dead → new ones with what is needed of them.
 *
 * A record is needed if it is the newest of its key and either has a value or is
 * a tombstone while any file, merged or not, holds an older value.  The rest is
 * dead.
 *
 * Hardened, in this order; nothing is removed before all that replaces it is
 * durable, so that a crash anywhere leaves the same contents:
 *
 *   sync     the active file: a record in it may be what makes another dead.
 *            It is then left, so that new files follow those of the merge
 *   write    what is needed to NNNNNNNN.tmp, with hints beside them, and sync
 *            the .tmp files
 *   rename   .tmp to .data
 *   sync     the directory
 *   unlink   what was merged
 *
 * Hints are not synced: recovery recognises a whole one (B6).  Nor is the
 * directory at the end: files that come back add nothing (B5), and the next sync
 * of the directory, without which no merge removes anything, keeps them away.
 *
 * Textbook: no syncs, and unlink comes before rename. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bitcask.h"
#include "fault.h"
#include "hint.h"

enum { CHUNK_BYTES = 256 * 1024 };

/* What becomes of a keydir entry. */
struct move {
	struct keydir_entry *entry;
	uint32_t file; /* its new place; 0: it goes, with the tombstone that it stands for */
	uint64_t offset;
};

struct merge {
	struct bitcask *b;
	struct data_files inputs, outputs;
	struct move *moves;
	size_t n_moves, room;

	/* The output being written, the last of outputs. */
	int fd; /* -1: none */
	struct bytes_buffer records, hint;
	uint64_t flushed; /* bytes of it that the kernel has; those in records follow */
};

static void finish(struct merge *m)
{
	if (m->fd >= 0)
		close(m->fd);
	free(m->inputs.at);
	free(m->outputs.at);
	free(m->moves);
	free(m->records.data);
	free(m->hint.data);
}

static bool needed(const struct keydir_entry *e)
{
	if (MUTANT("bitcask/merge-drops-tombstone"))
		return !keydir_deleted(e);
	return keydir_needed(e);
}

/* What is to be merged. */

/* Adds up the needed bytes of each file of the store. */
static void count_needed(const struct bitcask *b, uint64_t *needed_bytes)
{
	const struct keydir_entry *e = NULL;
	while ((e = keydir_next(&b->keydir, e))) {
		const struct data_file *file = data_files_find(&b->files, e->file);
		if (file && needed(e))
			needed_bytes[file - b->files.at] += keydir_record_bytes(e);
	}
}

static bool worth_it(const struct bitcask *b, const struct data_file *file, uint64_t needed_bytes)
{
	uint64_t dead = file->bytes > needed_bytes ? file->bytes - needed_bytes : 0;
	return dead * 100 >= file->bytes * b->dead_percent;
}

static int select_inputs(struct merge *m, struct engine_error *error)
{
	const struct data_files *files = &m->b->files;
	uint64_t *needed_bytes = calloc(files->n + 1, sizeof *needed_bytes);
	if (!needed_bytes)
		return engine_fail(error, "out of memory for a merge");
	count_needed(m->b, needed_bytes);
	int rc = 0;
	for (size_t i = 0; !rc && i < files->n; i++)
		if (worth_it(m->b, &files->at[i], needed_bytes[i]))
			rc = data_files_push(&m->inputs, &files->at[i], error);
	free(needed_bytes);
	return rc;
}

/* Outputs. */

static struct data_file *output(const struct merge *m)
{
	return &m->outputs.at[m->outputs.n - 1];
}

static int output_begin(struct merge *m, struct engine_error *error)
{
	struct data_file file = {.hinted = true};
	if (bitcask_new_number(m->b, &file.number, error) < 0 ||
	    data_files_push(&m->outputs, &file, error) < 0)
		return -1;
	if (hint_begin(&m->hint) < 0)
		return engine_fail(error, "out of memory for a hint");
	struct file_name name = file_name(file.number, bitcask_temporary);
	m->fd = file_open(m->b->dir, &name, O_RDWR | O_CREAT | O_EXCL, error);
	if (m->fd < 0)
		return -1;
	FAULT_POINT("bitcask/merge/created");
	m->flushed = 0;
	return 0;
}

static int output_flush(struct merge *m, struct engine_error *error)
{
	struct file_name name = file_name(output(m)->number, bitcask_temporary);
	if (file_write(m->fd, &name, m->records.data, m->records.used, m->flushed, error) < 0)
		return -1;
	m->flushed += m->records.used;
	m->records.used = 0;
	return 0;
}

/* Writes the hint of the output; its descriptor, or -1. */
static int write_hint(struct merge *m, struct engine_error *error)
{
	struct file_name name = file_name(output(m)->number, bitcask_hint);
	int fd = file_open(m->b->dir, &name, O_RDWR | O_CREAT | O_EXCL, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("bitcask/merge/hint-created");
	hint_end(&m->hint, output(m)->bytes, m->b->hardened);
	if (file_write(fd, &name, m->hint.data, m->hint.used, 0, error) < 0) {
		close(fd);
		return -1;
	}
	FAULT_POINT("bitcask/merge/hint-written");
	return fd;
}

static int output_sync(struct merge *m, int hint, struct engine_error *error)
{
	struct file_name name = file_name(output(m)->number, bitcask_temporary);
	int fd = MUTANT("bitcask/hint-before-data") ? hint : m->fd;
	if (!m->b->hardened)
		return 0;
	if (file_sync(fd, &name, m->b->datasync, error) < 0)
		return -1;
	FAULT_POINT("bitcask/merge/synced");
	return 0;
}

static int close_both(struct merge *m, int hint, struct engine_error *error)
{
	int fd = m->fd;
	m->fd = -1;
	bool failed = close(fd) < 0;
	if (close(hint) < 0 || failed)
		return engine_fail(error, "close of file %08u: %s", output(m)->number,
				   strerror(errno));
	return 0;
}

/* Ends the output, if there is one. */
static int output_end(struct merge *m, struct engine_error *error)
{
	if (m->fd < 0)
		return 0;
	if (output_flush(m, error) < 0)
		return -1;
	FAULT_POINT("bitcask/merge/written");
	int hint = write_hint(m, error);
	if (hint < 0)
		return -1;
	if (output_sync(m, hint, error) < 0) {
		close(hint);
		return -1;
	}
	return close_both(m, hint, error);
}

/* Copying. */

static int note_move(struct merge *m, struct keydir_entry *entry, uint32_t file, uint64_t offset,
		     struct engine_error *error)
{
	if (m->n_moves == m->room) {
		size_t room = m->room ? m->room * 2 : 64;
		struct move *moves = realloc(m->moves, room * sizeof *moves);
		if (!moves)
			return engine_fail(error, "out of memory for a merge");
		m->moves = moves;
		m->room = room;
	}
	m->moves[m->n_moves++] = (struct move){entry, file, offset};
	return 0;
}

static int copy_record(struct merge *m, struct keydir_entry *entry, const struct record *record,
		       const uint8_t *p, size_t length, struct engine_error *error)
{
	if (m->fd >= 0 && output(m)->bytes + length > m->b->max_file_bytes &&
	    output_end(m, error) < 0)
		return -1;
	if (m->fd < 0 && output_begin(m, error) < 0)
		return -1;
	if (note_move(m, entry, output(m)->number, output(m)->bytes, error) < 0)
		return -1;
	if (bytes_append(&m->records, p, length) < 0 || hint_add(&m->hint, record) < 0)
		return engine_fail(error, "out of memory for a merge");
	output(m)->bytes += length;
	return m->records.used >= CHUNK_BYTES ? output_flush(m, error) : 0;
}

/* Decides about a record of an input. */
static int take_record(struct merge *m, const struct data_file *input, const struct record *record,
		       const uint8_t *p, size_t at, size_t length, struct engine_error *error)
{
	struct keydir_entry *e = keydir_find(&m->b->keydir, record->key);
	if (!e)
		return 0; /* a tombstone older than one that was no longer needed */
	bool newest = e->file == input->number && e->offset == at;
	if (newest && needed(e))
		return copy_record(m, e, record, p + at, length, error);
	if (newest)
		return note_move(m, e, 0, 0, error);
	if (record->value_length != RECORD_TOMBSTONE)
		e->going++;
	return 0;
}

static int take_input(struct merge *m, const struct data_file *input, struct engine_error *error)
{
	struct file_name name = file_name(input->number, bitcask_data);
	struct record record;
	const uint8_t *value;
	uint8_t *p;
	size_t size, length, at = 0;
	int rc = 0;
	if (file_load(m->b->dir, &name, &p, &size, error) < 0)
		return -1;
	while (!rc && (length = bitcask_record_decode(p + at, size - at, &record, &value))) {
		rc = take_record(m, input, &record, p, at, length, error);
		at += length;
	}
	free(p);
	if (!rc && at != input->bytes)
		rc = engine_fail(error, "%s is damaged at byte %zu", name.text, at);
	return rc;
}

/* Putting the outputs in the place of the inputs. */

static int rename_outputs(const struct merge *m, struct engine_error *error)
{
	for (size_t i = 0; i < m->outputs.n; i++) {
		struct file_name from = file_name(m->outputs.at[i].number, bitcask_temporary);
		struct file_name to = file_name(m->outputs.at[i].number, bitcask_data);
		if (file_rename(m->b->dir, &from, &to, error) < 0)
			return -1;
		FAULT_POINT("bitcask/merge/renamed");
	}
	return 0;
}

static int unlink_inputs(const struct merge *m, struct engine_error *error)
{
	for (size_t i = 0; i < m->inputs.n; i++) {
		struct file_name data = file_name(m->inputs.at[i].number, bitcask_data);
		struct file_name hint = file_name(m->inputs.at[i].number, bitcask_hint);
		if (file_unlink(m->b->dir, &data, error) < 0)
			return -1;
		FAULT_POINT("bitcask/merge/unlinked");
		if (!m->inputs.at[i].hinted)
			continue;
		if (file_unlink(m->b->dir, &hint, error) < 0)
			return -1;
		FAULT_POINT("bitcask/merge/hint-unlinked");
	}
	return 0;
}

/* The store's files are those that were not merged, and the outputs. */
static int replace_files(const struct merge *m, struct engine_error *error)
{
	struct data_files *files = &m->b->files;
	size_t kept = 0;
	for (size_t i = 0; i < files->n; i++)
		if (!data_files_find(&m->inputs, files->at[i].number))
			files->at[kept++] = files->at[i];
	files->n = kept;
	for (size_t i = 0; i < m->outputs.n; i++)
		if (data_files_push(files, &m->outputs.at[i], error) < 0)
			return -1;
	return 0;
}

/* The keydir points to the outputs, and knows of no inputs any more. */
static void move_entries(const struct merge *m)
{
	struct keydir_entry *e = NULL;
	while ((e = keydir_next(&m->b->keydir, e))) {
		e->values -= e->going;
		e->going = 0;
	}
	for (size_t i = 0; i < m->n_moves; i++) {
		const struct move *move = &m->moves[i];
		if (!move->file) {
			keydir_remove(&m->b->keydir, move->entry);
			continue;
		}
		move->entry->file = move->file;
		move->entry->offset = move->offset;
	}
}

static int install(struct merge *m, struct engine_error *error)
{
	bool early = !m->b->hardened || MUTANT("bitcask/merge-unlink-first");
	if (early && unlink_inputs(m, error) < 0)
		return -1;
	if (rename_outputs(m, error) < 0)
		return -1;
	if (m->b->hardened) {
		if (directory_sync(m->b->dir, error) < 0)
			return -1;
		FAULT_POINT("bitcask/merge/dirsynced");
	}
	if (replace_files(m, error) < 0)
		return -1;
	move_entries(m);
	return early ? 0 : unlink_inputs(m, error);
}

static int settle_active(struct bitcask *b, struct engine_error *error)
{
	if (b->hardened && b->dirty) {
		if (bitcask_sync_active(b, error) < 0)
			return -1;
		FAULT_POINT("bitcask/merge/active-synced");
	}
	assert(!b->hardened || !b->dirty); /* B1 */
	return bitcask_leave_active(b, error);
}

static int merge_inputs(struct merge *m, struct engine_error *error)
{
	bitcask_close_reader(m->b);
	if (settle_active(m->b, error) < 0)
		return -1;
	for (size_t i = 0; i < m->inputs.n; i++)
		if (take_input(m, &m->inputs.at[i], error) < 0)
			return -1;
	if (output_end(m, error) < 0)
		return -1;
	return install(m, error);
}

int bitcask_merge(struct bitcask *b, struct engine_error *error)
{
	struct merge m = {.b = b, .fd = -1};
	FAULT_POINT("bitcask/merge/begin");
	int rc = select_inputs(&m, error);
	if (!rc && m.inputs.n)
		rc = merge_inputs(&m, error);
	finish(&m);
	return rc;
}
