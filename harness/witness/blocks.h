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
 * "event e was in flight".  A state can be found at any moment from that of its
 * last kept write to the end of its epoch.
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
	uint32_t first, end;   /* the units of its epoch; all before first are on disk */
	uint32_t lost;	       /* where its set begins in block_states.sets: a bit a unit of the
				  epoch, set for those that are lost */
	uint32_t torn;	       /* a kept unit that is torn, or UINT32_MAX */
	uint8_t torn_sectors;  /* bits of its sectors that have the new bytes */
	uint32_t from, to;     /* moments at which it can be found, both inclusive */
};

/* All states chosen of a log.  The log must outlive it. */
struct block_states {
	const struct block_log *log;
	struct block_unit *units;
	uint32_t n_units;
	struct block_state *list; /* by rising first */
	uint32_t n;
	uint64_t *sets;
	uint64_t n_sets; /* words */
	uint64_t possible; /* subsets of whole requests there are; UINT64_MAX saturates */
	uint32_t epochs; /* that have writes */
};

/* A zeroed struct is valid. */
struct block_options {
	uint32_t states_max;  /* in all; 0: 1000 */
	uint32_t all_max;     /* an epoch with no more subsets gives them all; 0: 64 */
	uint32_t from_moment; /* leave out states that can only be found before it */
	uint64_t seed;
	bool tear;	      /* also torn at 512 bytes */
};

/* Chooses: for each epoch all subsets of its requests where they are few; else
 * all, none, each prefix, each one lost, each one kept, then the same by units,
 * then random by seed.  The budget is shared among epochs; none gets less than the
 * state with all and the one with none.  No state is given twice in an epoch, nor
 * "none" where the epoch before had "all".  states is for block_states_finish. */
void block_states_choose(const struct block_log *log, const struct block_options *options,
			 struct block_states *states);
void block_states_finish(struct block_states *states);

static inline bool block_state_lost(const struct block_states *states,
				    const struct block_state *state, uint32_t unit)
{
	uint32_t i = unit - state->first;
	return states->sets[state->lost + i / 64] >> i % 64 & 1;
}

struct buf;

/* For people: how many writes of the epoch are kept and which are lost, by number and
 * place ("keeps 12 of 14 writes since the last flush; loses 4 KiB at 0x12000, …").
 * Appends. */
void block_state_print(const struct block_states *states, const struct block_state *state,
		       struct buf *out);

#endif
