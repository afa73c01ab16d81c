/* Recovering: a directory in any state → an open store.
 *
 * Hardened, in this order, each step safe to be cut short and done again:
 *
 *   replay     find the log: its segments and where it ends
 *   cut        the last segment ends where the log does
 *   remove     segments behind a gap, temporary files, unusable spares
 *   sync       the last segment, then the directory: from here on, what was
 *              replayed is durable, and what was removed stays removed.  The
 *              segments before the last one are durable already (W1)
 *   retire     segments before the last checkpoint, which may go only now that
 *              the checkpoint's name is durable; sync the directory
 *
 * Cutting before syncing is safe since nothing that counts is cut.  Removing
 * before syncing is safe since no replay needs what is removed.
 *
 * Textbook: cut, and sync the last segment. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "wal.h"

/* Ends the last segment where the log ends. */
static int cut(const struct wal *wal, const struct replay *replay, struct engine_error *error)
{
	struct file_name name = file_name(wal_last(wal), wal_segment);
	if (replay->size == replay->end)
		return 0;
	if (!MUTANT("wal/recover-no-cut") && ftruncate(wal->fd, (off_t)replay->end) < 0)
		return engine_fail(error, "ftruncate of %s: %s", name.text, strerror(errno));
	FAULT_POINT("wal/recover/cut");
	return 0;
}

/* Opens the last segment of the log, or the first of a new one. */
static int resume(struct wal *wal, struct replay *replay, struct engine_error *error)
{
	bool fresh = !replay->segments.n;
	if (fresh && numbers_push(&replay->segments, 1, error) < 0)
		return -1;
	wal->segments = replay->segments;
	replay->segments = (struct numbers){0};
	wal->map = replay->map;
	replay->map = (struct map){0};
	wal->sequence = replay->sequence;
	wal->flushed = replay->end;

	struct file_name name = file_name(wal_last(wal), wal_segment);
	wal->fd = file_open(wal->dir, &name, fresh ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, error);
	if (wal->fd < 0)
		return -1;
	if (fresh)
		FAULT_POINT("wal/recover/created");
	return cut(wal, replay, error);
}

static int remove_file(const struct wal *wal, uint32_t number, const char *suffix,
		       struct engine_error *error)
{
	struct file_name name = file_name(number, suffix);
	if (file_unlink(wal->dir, &name, error) < 0)
		return -1;
	FAULT_POINT("wal/recover/removed");
	return 0;
}

/* Spares for later rotations.  Their numbers are below those of the log (W6);
 * what has another number was left by nobody that we know, and goes. */
static int take_spares(struct wal *wal, const struct numbers *found, struct engine_error *error)
{
	for (size_t i = 0; i < found->n; i++) {
		uint32_t number = found->at[i];
		bool keep = wal->recycle && number < wal->segments.at[0] &&
			    wal->spares.n < WAL_SPARES_MAX;
		if (keep ? numbers_push(&wal->spares, number, error) < 0
			 : remove_file(wal, number, wal_spare, error) < 0)
			return -1;
	}
	return 0;
}

/* What is in the directory, numbers rising. */
enum found { SEGMENTS, SPARES, TEMPORARIES, FOUND_COUNT };

static int remove_leftovers(struct wal *wal, const struct numbers *found,
			    struct engine_error *error)
{
	for (size_t i = 0; i < found[TEMPORARIES].n; i++)
		if (remove_file(wal, found[TEMPORARIES].at[i], wal_temporary, error) < 0)
			return -1;
	/* From the newest, so that what remains has no further gaps. */
	for (size_t i = found[SEGMENTS].n; i > 0; i--) {
		if (found[SEGMENTS].at[i - 1] <= wal_last(wal))
			break;
		if (remove_file(wal, found[SEGMENTS].at[i - 1], wal_segment, error) < 0)
			return -1;
	}
	return take_spares(wal, &found[SPARES], error);
}

/* Syncs the last segment: a process that was killed may have left what it wrote,
 * and was not yet durable, to be read by us.  Or it left a cut, which is no data,
 * all that fdatasync promises to keep: fsync, whatever the options say. */
static int sync_last(const struct wal *wal, struct engine_error *error)
{
	struct file_name name = file_name(wal_last(wal), wal_segment);
	if (MUTANT("wal/recover-no-sync"))
		return 0;
	return file_sync(wal->fd, &name, false, error);
}

static int retire_superseded(struct wal *wal, const struct numbers *found,
			     struct engine_error *error)
{
	size_t i = 0;
	for (; i < found->n && found->at[i] < wal->segments.at[0]; i++) {
		if (wal_retire(wal, found->at[i], error) < 0)
			return -1;
		FAULT_POINT("wal/recover/retired");
	}
	if (!i)
		return 0;
	/* Not for W4: so that their space is free for good. */
	if (directory_sync(wal->dir, error) < 0)
		return -1;
	FAULT_POINT("wal/recover/cleaned");
	return 0;
}

static int make_durable(struct wal *wal, const struct numbers *found, struct engine_error *error)
{
	if (!wal->hardened)
		return take_spares(wal, &found[SPARES], error) < 0 ? -1 : sync_last(wal, error);
	if (remove_leftovers(wal, found, error) < 0 || sync_last(wal, error) < 0)
		return -1;
	FAULT_POINT("wal/recover/synced");
	if (directory_sync(wal->dir, error) < 0)
		return -1;
	FAULT_POINT("wal/recover/dirsynced");
	return retire_superseded(wal, &found[SEGMENTS], error);
}

int wal_recover(struct wal *wal, struct engine_error *error)
{
	static const char *const suffixes[] = {
		[SEGMENTS] = wal_segment, [SPARES] = wal_spare, [TEMPORARIES] = wal_temporary};
	struct numbers found[FOUND_COUNT] = {0};
	struct replay replay = {0};
	int rc = -1;
	FAULT_POINT("wal/recover/begin");
	if (files_list(wal->dir, suffixes, found, FOUND_COUNT, error) < 0 ||
	    wal_replay(wal, &found[SEGMENTS], &replay, error) < 0)
		goto done;
	FAULT_POINT("wal/recover/replayed");
	if (resume(wal, &replay, error) < 0)
		goto done;
	rc = make_durable(wal, found, error);
done:
	replay_finish(&replay);
	for (int i = 0; i < FOUND_COUNT; i++)
		free(found[i].at);
	return rc;
}
