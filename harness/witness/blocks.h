/* What a disk may have kept: a log of block writes → block states.
 *
 * A disk with a write cache may keep any of the writes that arrived after the last
 * flush, in any order, and has all that arrived before it.  An **epoch** is what
 * lies between two flushes.  A block state is an epoch and the set of its writes
 * that are kept; of two kept writes of one place the later one counts.
 *
 * Writes are cut into units of at most 4096 bytes, aligned to that: no more than a
 * unit is written whole.  A whole request is kept or lost in most states, single
 * units in some; with tearing on, one unit may have its new bytes in some of its
 * sectors of 512 bytes only.
 *
 * A **moment** is a place among the calls that the workload made: 2 e stands for
 * "the first e events had returned and no further one was begun", 2 e + 1 for
 * "event e was in flight".  A state can be found at any moment from that at which its
 * last kept write arrived to that at which the flush that ends its epoch arrived, that
 * one included, since a flush that has arrived is not done yet; in the last epoch, to
 * the last moment of the log.
 *
 * With all writes of its epoch, a disk holds what it holds with none of the next
 * one's.  This is one state: it stands in the earlier epoch, and lasts to the end of the
 * later one.  Only the state with nothing at all stands as "none", in the first
 * epoch, from moment 0 on.  Flushes with nothing between them end no epoch.
 *
 * Pure. */
#ifndef POWERCUT_BLOCKS_H
#define POWERCUT_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIT_BYTES = 4096 };

struct block_entry {
	uint64_t offset; /* on the device, in bytes */
	uint64_t data;	 /* where its bytes begin in the log's data */
	uint32_t length; /* in bytes; 0: a flush */
	uint32_t moment; /* at which it arrived */
};

struct block_log {
	struct block_entry *entries;
	uint8_t *data;
	uint32_t n;
	uint64_t data_bytes;
	uint32_t last_moment; /* of the recording */
};

/* A part of a write. */
struct block_unit {
	uint64_t offset, data; /* as above */
	uint32_t length;
	uint32_t entry;
};

struct block_state {
	uint32_t first, end;  /* the units of its epoch; all before first are on disk */
	uint32_t lost;	      /* where its set begins in block_states.sets: a bit a unit of the
				 epoch, set for those that are lost */
	uint32_t torn;	      /* a kept unit that is torn, or UINT32_MAX */
	uint8_t torn_sectors; /* bits of its sectors that have the new bytes; bit 0 is the sector
				 of the device in which the unit begins */
	uint32_t from, to;    /* moments at which it can be found, both inclusive */
};

/* All states chosen of a log.  The log must outlive it. */
struct block_states {
	const struct block_log *log;
	struct block_unit *units; /* in the order of the log */
	uint32_t n_units;
	struct block_state *list; /* by rising first */
	uint32_t n;
	uint64_t *sets;
	uint64_t n_sets; /* words */
	/* The following count from the first epoch on that does not end before from_moment. */
	uint64_t possible; /* subsets of whole requests there are; UINT64_MAX saturates */
	uint32_t epochs;   /* that have writes */
	uint32_t left_out; /* of these: epochs of which no subset was chosen, since the budget was
			      too small for all of them */
};

/* A zeroed struct is valid. */
struct block_options {
	uint32_t states_max;  /* in all; 0: 1000; at least 2 */
	uint32_t all_max;     /* an epoch with no more subsets gives them all; 0: 64 */
	uint32_t from_moment; /* leave out states that can only be found before it */
	uint64_t seed;
	bool tear; /* also torn at 512 bytes */
};

/* Chooses: for each epoch all subsets of its requests where they are few; else
 * all, none, each prefix, each one lost, each one kept, then the same by units, then
 * torn units, then random by seed.  Where an epoch's share is too small for all of
 * that, each kind gets a part of it and is thinned out by seed.
 *
 * Never more than states_max states.  Each epoch gets six states beside all and none, if it
 * has them; then those with few subsets get the others of these, as long as half of the
 * budget is left for larger ones; the rest is shared.  Where there is not enough for six
 * each, epochs are left out, by seed: many epochs with their harmless states only would show
 * nothing.
 *
 * No two states are equal in which writes can be seen on disk: a write that a later kept one
 * hides may be kept or lost, and is in one of the two only.  Writes that bring the bytes that
 * were there already are not looked for.  states is for block_states_finish. */
void block_states_choose(const struct block_log *log, const struct block_options *options,
			 struct block_states *states);
void block_states_finish(struct block_states *states);

static inline bool block_state_lost(const struct block_states *states,
				    const struct block_state *state, uint32_t unit)
{
	uint32_t i = unit - state->first;
	return states->sets[state->lost + i / 64] >> i % 64 & 1;
}

/* Writes units [from, end) whole to device, in the order of the log: from the end of one
 * epoch to that of a later one, this is what all its writes and a flush make of a disk.
 * device has room for all units. */
void block_units_apply(const struct block_states *states, uint32_t from, uint32_t end,
		       uint8_t *device);

/* Makes the state on a device that holds all units before state->first, and none after: writes
 * what it keeps of its epoch, in the order of the log, a torn unit in part.  What it
 * overwrites lies in units [first, end). */
void block_state_apply(const struct block_states *states, const struct block_state *state,
		       uint8_t *device);

struct buf;

/* For people: how many writes of the epoch are kept and which are lost, by number (from 1,
 * within the epoch) and place: "keeps 12 of 14 writes since the last flush; loses write 3
 * (4096 bytes at 0x12000), …".  Appends. */
void block_state_print(const struct block_states *states, const struct block_state *state,
		       struct buf *out);

#endif
