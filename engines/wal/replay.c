/* Replaying: the segments of a directory, in the order of their numbers → the
 * contents, and where the log ends.
 *
 * A unit is what counts as a whole: a change that stands alone, or a batch with
 * its COMMIT.  Units are taken from a segment up to the first that is not
 * whole, valid and next in sequence.  What is behind that in the segment is
 * ignored: a torn tail, or an old one in a recycled file.
 *
 * Hardened: the next unit must have the next sequence number, also across
 * segments.  A segment that does not begin with it is behind a gap, and so is
 * all that follows, except that a segment which begins with a checkpoint makes
 * everything before it irrelevant, gaps included.  What is replayed is therefore
 * the contents after some prefix of the operations, whatever the files hold.
 *
 * Textbook: sequence numbers only have to rise, and every segment counts. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "wal.h"

/* Whether a record may stand where it does, `at` bytes into its unit. */
static bool in_place(const struct record *record, size_t at, uint64_t first, bool head)
{
	switch (record->type) {
	case RECORD_PUT:
	case RECORD_DELETE:
		return at == 0 || record->batched;
	case RECORD_COMMIT:
		return at > 0 && !record->batched && record_commit_first(record) == first;
	case RECORD_CHECKPOINT:
		return at == 0 && record->batched && head;
	}
	return false;
}

/* The length of the unit at p, or 0 where there is none.  head: p is the start
 * of the segment.  *sequence is that of the next record, before and after. */
static size_t unit_check(const struct wal *wal, uint32_t segment, const uint8_t *p, size_t n,
			 bool head, uint64_t *sequence)
{
	const struct record_seal seal = {.whole = wal->hardened, .segment = segment};
	struct record record;
	uint64_t next = *sequence, first = 0;
	size_t at = 0;
	do {
		size_t length = record_decode(&seal, p + at, n - at, &record);
		if (!length && at && MUTANT("wal/commit-apart"))
			break; /* without its COMMIT */
		if (!length || !in_place(&record, at, first, head))
			return 0;
		if (wal->hardened && record.type == RECORD_CHECKPOINT)
			next = record.sequence; /* it needs nothing of what was before */
		if (wal->hardened ? record.sequence != next : record.sequence < next)
			return 0;
		if (at == 0)
			first = record.sequence;
		next = record.sequence + 1;
		at += length;
	} while (record.batched);
	*sequence = next;
	return at;
}

/* Applies a unit that unit_check found to be whole. */
static int unit_apply(const struct wal *wal, uint32_t segment, const uint8_t *p, size_t length,
		      struct map *map)
{
	const struct record_seal seal = {.whole = wal->hardened, .segment = segment};
	struct record record;
	for (size_t at = 0; at < length;) {
		size_t n = record_decode(&seal, p + at, length - at, &record);
		if (!n)
			return -1; /* cannot be: unit_check has seen it */
		at += n;
		if (record.type == RECORD_PUT && map_put(map, record.key, record.value) < 0)
			return -1;
		if (record.type == RECORD_DELETE)
			map_delete(map, record.key);
		if (record.type == RECORD_CHECKPOINT)
			map_clear(map);
	}
	return 0;
}

static int64_t take_units(const struct wal *wal, uint32_t segment, const uint8_t *p, size_t n,
			  bool head, struct replay *replay)
{
	size_t at = 0, length;
	while (at < n && (length = unit_check(wal, segment, p + at, n - at, head && at == 0,
					      &replay->sequence))) {
		if (unit_apply(wal, segment, p + at, length, &replay->map) < 0)
			return -1;
		at += length;
	}
	return (int64_t)at;
}

int64_t wal_replay_bytes(const struct wal *wal, uint32_t segment, const uint8_t *p, size_t n,
			 struct replay *replay)
{
	return take_units(wal, segment, p, n, false, replay);
}

/* Whether the segment begins with a whole checkpoint. */
static bool begins_anew(const struct wal *wal, uint32_t number, const uint8_t *p, size_t n)
{
	const struct record_seal seal = {.whole = wal->hardened, .segment = number};
	struct record record;
	uint64_t sequence = 0;
	return record_decode(&seal, p, n, &record) && record.type == RECORD_CHECKPOINT &&
	       unit_check(wal, number, p, n, true, &sequence);
}

/* Takes what a segment adds to the log. */
static int take_segment(const struct wal *wal, uint32_t number, const uint8_t *p, size_t n,
			struct replay *replay, struct engine_error *error)
{
	if (wal->hardened && begins_anew(wal, number, p, n)) {
		replay->segments.n = 0;
		replay->gap = false;
	}
	if (replay->gap)
		return 0;
	int64_t end = take_units(wal, number, p, n, true, replay);
	if (end < 0)
		return engine_fail(error, "out of memory for the contents of %08u.wal", number);
	/* The very first segment counts also while it is empty. */
	if (wal->hardened && end == 0 && number != 1) {
		replay->gap = true;
		return 0;
	}
	replay->end = (uint64_t)end;
	replay->size = n;
	return numbers_push(&replay->segments, number, error);
}

/* Opening a store as the other variant would find no records in it and cut
 * them all off. */
static bool other_variant(const struct wal *wal, uint32_t number, const uint8_t *p, size_t n)
{
	const struct record_seal ours = {.whole = wal->hardened, .segment = number};
	const struct record_seal theirs = {.whole = !wal->hardened, .segment = number};
	struct record record;
	return !record_decode(&ours, p, n, &record) && record_decode(&theirs, p, n, &record);
}

int wal_replay(const struct wal *wal, const struct numbers *found, struct replay *replay,
	       struct engine_error *error)
{
	*replay = (struct replay){.sequence = 1};
	for (size_t i = 0; i < found->n; i++) {
		uint8_t *data;
		size_t size = 0;
		struct file_name name = file_name(found->at[i], wal_segment);
		int rc = file_load(wal->dir, &name, &data, &size, error);
		if (!rc && i == 0 && other_variant(wal, found->at[i], data, size))
			rc = engine_fail(error, "this store was made with variant=%s",
					 wal->hardened ? "textbook" : "hardened");
		if (!rc)
			rc = take_segment(wal, found->at[i], data, size, replay, error);
		free(data);
		if (rc < 0)
			return -1;
	}
	if (found->n && !replay->segments.n)
		return engine_fail(error,
				   "the head of the log is gone: %08u.wal is the first segment and "
				   "begins with no checkpoint; no crash leaves that",
				   found->at[0]);
	return 0;
}

void replay_finish(struct replay *replay)
{
	free(replay->segments.at);
	map_clear(&replay->map);
	*replay = (struct replay){0};
}
