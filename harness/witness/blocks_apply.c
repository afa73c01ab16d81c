/* Block states as bytes of a device, and for people. */
#include "blocks.h"

#include <inttypes.h>
#include <string.h>

#include "buf.h"

enum { SECTOR = 512, LISTED_MAX = 6 };

/* ---- as bytes ---- */

static void apply(const struct block_states *states, uint32_t unit, uint8_t *device)
{
	const struct block_unit *u = &states->units[unit];
	memcpy(device + u->offset, states->log->data + u->data, u->length);
}

static void apply_torn(const struct block_states *states, const struct block_state *state,
		       uint8_t *device)
{
	const struct block_unit *u = &states->units[state->torn];
	const uint8_t *data = states->log->data + u->data;
	uint64_t first = u->offset / SECTOR;
	for (uint32_t at = 0, n; at < u->length; at += n) {
		uint64_t offset = u->offset + at;
		n = SECTOR - (uint32_t)(offset % SECTOR);
		if (n > u->length - at)
			n = u->length - at;
		if (state->torn_sectors >> (offset / SECTOR - first) & 1)
			memcpy(device + offset, data + at, n);
	}
}

void block_units_apply(const struct block_states *states, uint32_t from, uint32_t end,
		       uint8_t *device)
{
	for (uint32_t unit = from; unit < end; unit++)
		apply(states, unit, device);
}

void block_state_apply(const struct block_states *states, const struct block_state *state,
		       uint8_t *device)
{
	for (uint32_t unit = state->first; unit < state->end; unit++) {
		if (block_state_lost(states, state, unit))
			continue;
		if (unit == state->torn)
			apply_torn(states, state, device);
		else
			apply(states, unit, device);
	}
}

/* ---- for people ---- */

struct counts {
	uint32_t requests, kept, lost; /* the others are kept in part */
};

/* The end of the units of the request that unit is the first of, and how many of them are
 * lost. */
static uint32_t request_end(const struct block_states *states, const struct block_state *state,
			    uint32_t unit, uint32_t *lost)
{
	uint32_t entry = states->units[unit].entry;
	*lost = 0;
	for (; unit < state->end && states->units[unit].entry == entry; unit++)
		*lost += block_state_lost(states, state, unit);
	return unit;
}

static struct counts count(const struct block_states *states, const struct block_state *state)
{
	struct counts counts = {0};
	for (uint32_t unit = state->first, lost, end; unit < state->end; unit = end) {
		end = request_end(states, state, unit, &lost);
		counts.requests++;
		counts.kept += lost == 0;
		counts.lost += lost == end - unit;
	}
	return counts;
}

/* The bytes of units [from, end), which lie side by side. */
static void print_place(const struct block_states *states, uint32_t from, uint32_t end,
			struct buf *out)
{
	const struct block_unit *first = &states->units[from], *last = &states->units[end - 1];
	buf_printf(out, "%" PRIu64 " bytes at 0x%" PRIx64,
		   last->offset + last->length - first->offset, first->offset);
}

/* What is lost of a request with units [from, end), the number-th of the epoch. */
static void print_request(const struct block_states *states, const struct block_state *state,
			  uint32_t number, uint32_t from, uint32_t end, struct buf *out)
{
	const char *separator = "";
	buf_printf(out, "write %u (", number);
	for (uint32_t unit = from; unit < end; unit++) {
		uint32_t start = unit;
		while (unit < end && block_state_lost(states, state, unit))
			unit++;
		if (unit == start)
			continue;
		buf_string(out, separator);
		print_place(states, start, unit, out);
		separator = ", ";
	}
	buf_byte(out, ')');
}

static void print_lost(const struct block_states *states, const struct block_state *state,
		       struct buf *out)
{
	uint32_t number = 0, listed = 0, others = 0;
	for (uint32_t unit = state->first, lost, end; unit < state->end; unit = end) {
		end = request_end(states, state, unit, &lost);
		number++;
		if (lost == 0)
			continue;
		if (listed == LISTED_MAX) {
			others++;
			continue;
		}
		buf_string(out, listed++ ? ", " : "; loses ");
		print_request(states, state, number, unit, end, out);
	}
	if (others)
		buf_printf(out, " and %u more", others);
}

static void print_torn(const struct block_states *states, const struct block_state *state,
		       struct buf *out)
{
	const char *separator = "";
	buf_string(out, "; of ");
	print_place(states, state->torn, state->torn + 1, out);
	buf_string(out, " only the sectors ");
	for (uint32_t i = 0; i < 8; i++)
		if (state->torn_sectors >> i & 1) {
			buf_printf(out, "%s%u", separator, i);
			separator = ", ";
		}
}

void block_state_print(const struct block_states *states, const struct block_state *state,
		       struct buf *out)
{
	struct counts counts = count(states, state);
	uint32_t parts = counts.requests - counts.kept - counts.lost;
	const char *plural = counts.requests == 1 ? "" : "s";
	bool nothing_after = counts.kept == counts.requests && state->torn == UINT32_MAX &&
			     state->end < states->n_units;
	const char *where =
		nothing_after ? "before a flush, and nothing after it" : "since the last flush";
	if (counts.requests == 0)
		buf_string(out, "nothing was written");
	else if (counts.lost == counts.requests)
		buf_printf(out, "keeps none of %u write%s %s", counts.requests, plural, where);
	else if (counts.kept == counts.requests)
		buf_printf(out, "keeps all of %u write%s %s", counts.requests, plural, where);
	else
		buf_printf(out, "keeps %u of %u write%s %s", counts.kept, counts.requests, plural,
			   where);
	if (parts)
		buf_printf(out, ", and %u in part", parts);
	if (counts.lost < counts.requests)
		print_lost(states, state, out);
	if (state->torn != UINT32_MAX)
		print_torn(states, state, out);
}
