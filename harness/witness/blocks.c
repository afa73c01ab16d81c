/* Choosing block states: units, epochs, how the budget is shared, and the subsets. */
#include "blocks.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "prng.h"

enum { SECTOR = 512, WORD = 64, FAIR = 6, TEARS = 4, STATES_DEFAULT = 1000, ALL_DEFAULT = 64 };

/* What lies between two flushes, if anything does. */
struct epoch {
	uint32_t first, end; /* its units */
	uint32_t requests;
	uint32_t last;	  /* moment at which the last of them arrived */
	uint32_t to;	  /* moment at which the flush that ends it arrived */
	uint64_t subsets; /* of requests, neither empty nor whole; saturates */
	uint64_t all;	  /* the same of units, with torn ones */
	uint64_t share;	  /* how many of these it may give */
	bool chosen;
};

/* The kinds of states, beside all subsets. */
enum rung {
	REQUEST_PREFIX,
	REQUEST_LOST,
	REQUEST_KEPT,
	UNIT_PREFIX,
	UNIT_LOST,
	UNIT_KEPT,
	TORN,
	RANDOM,
	RUNGS
};

struct chooser {
	const struct block_options *options;
	struct block_states *states;
	struct prng prng;
	size_t list_cap, sets_cap;
	struct epoch *epochs;
	size_t n_epochs, epochs_cap;
	uint32_t eligible; /* the first epoch that does not end before from_moment */
	bool *boundary;	   /* [n_epochs + 1]; [i]: give the state before epoch i */
	uint64_t budget;
	uint64_t left; /* what epochs could not give, which the next one may */

	/* The epoch at hand, and the state being made of it. */
	const struct epoch *epoch;
	uint32_t *requests; /* [n]: the first unit of its n-th request; then its end */
	size_t requests_cap;
	uint32_t *slots; /* by unit of the epoch: the number of its place */
	uint32_t n_slots;
	uint8_t *covered; /* by place: sectors that later kept units write whole */
	uint64_t *lost;
	size_t words;
	uint32_t torn;
	uint8_t torn_sectors;

	/* Open addressing; 0 is free. */
	uint64_t *seen;
	size_t seen_cap;
};

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- units and epochs ---- */

static void cut(struct chooser *c, const struct block_log *log, uint32_t entry, size_t *cap)
{
	const struct block_entry *e = &log->entries[entry];
	struct block_states *states = c->states;
	size_t n = states->n_units;
	for (uint32_t done = 0, length; done < e->length; done += length) {
		length = UNIT_BYTES - (uint32_t)((e->offset + done) % UNIT_BYTES);
		if (length > e->length - done)
			length = e->length - done;
		*MEM_PUSH(states->units, n, *cap) =
			(struct block_unit){e->offset + done, e->data + done, length, entry};
	}
	states->n_units = (uint32_t)n;
}

/* 2^n - 2, the subsets of n things that are neither empty nor whole. */
static uint64_t subsets(uint32_t n)
{
	return n == 0 ? 0 : n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 2;
}

static uint32_t first_sector(const struct block_unit *unit)
{
	return (uint32_t)(unit->offset % UNIT_BYTES) / SECTOR;
}

static uint32_t n_sectors(const struct block_unit *unit)
{
	uint32_t end = (uint32_t)(unit->offset % UNIT_BYTES) + unit->length;
	return (end + SECTOR - 1) / SECTOR - first_sector(unit);
}

/* A number of torn states of the epoch, or a few less. */
static uint64_t torn_states(const struct chooser *c, const struct epoch *epoch)
{
	uint64_t n = 0;
	for (uint32_t u = epoch->first; u < epoch->end; u++)
		n += subsets(n_sectors(&c->states->units[u]));
	uint32_t others = epoch->end - epoch->first - 1;
	return others >= 40 || n >> 20 ? (n ? UINT64_MAX : 0) : n << others;
}

static void end_epoch(struct chooser *c, struct epoch *epoch, uint32_t to)
{
	epoch->end = c->states->n_units;
	if (epoch->end > epoch->first) {
		epoch->to = to;
		epoch->subsets = subsets(epoch->requests);
		epoch->all = subsets(epoch->end - epoch->first);
		if (c->options->tear)
			epoch->all = add(epoch->all, torn_states(c, epoch));
		*MEM_PUSH(c->epochs, c->n_epochs, c->epochs_cap) = *epoch;
	}
	*epoch = (struct epoch){.first = epoch->end};
}

static void find_epochs(struct chooser *c, const struct block_log *log)
{
	struct epoch epoch = {0};
	size_t cap = 0;
	for (uint32_t i = 0; i < log->n; i++) {
		if (log->entries[i].length == 0) {
			end_epoch(c, &epoch, log->entries[i].moment);
			continue;
		}
		cut(c, log, i, &cap);
		epoch.requests++;
		epoch.last = log->entries[i].moment;
	}
	end_epoch(c, &epoch, log->last_moment);
}

/* ---- the budget ---- */

/* The last moment of the state before epoch i, or after the last one. */
static uint32_t boundary_to(const struct chooser *c, size_t i)
{
	return i < c->n_epochs ? c->epochs[i].to : c->states->log->last_moment;
}

static void find_eligible(struct chooser *c)
{
	struct block_states *states = c->states;
	while (c->eligible < c->n_epochs && c->epochs[c->eligible].to < c->options->from_moment)
		c->eligible++;
	states->epochs = (uint32_t)(c->n_epochs - c->eligible);
	states->possible = boundary_to(c, c->eligible) >= c->options->from_moment;
	for (size_t i = c->eligible; i < c->n_epochs; i++)
		states->possible = add(states->possible, add(c->epochs[i].subsets, 1));
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Chooses as many epochs as can have FAIR states each, and in any case one: those in which
 * something can be lost first, in the order of a random permutation. */
static void choose_epochs(struct chooser *c, uint64_t budget)
{
	uint32_t n = c->states->epochs, chosen = 0;
	uint32_t *order = mem_alloc(n, sizeof *order);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = (uint32_t)prng_below(&c->prng, i + 1);
		order[i] = order[k];
		order[k] = c->eligible + i;
	}
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < n; i++) {
			struct epoch *epoch = &c->epochs[order[i]];
			uint64_t cost = 2 + at_most(epoch->all, FAIR);
			if ((epoch->all == 0) != pass || (chosen > 0 && cost > budget))
				continue;
			epoch->chosen = true;
			budget -= at_most(cost, budget);
			chosen++;
		}
	c->states->left_out = n - chosen;
	free(order);
}

/* Which epochs are looked at, and which states before and after them are needed. */
static void plan_epochs(struct chooser *c)
{
	uint64_t least = 1;
	for (size_t i = c->eligible; i < c->n_epochs; i++)
		least += 1 + at_most(c->epochs[i].all, FAIR);
	c->budget = c->options->states_max ? c->options->states_max : STATES_DEFAULT;
	if (c->budget < 2)
		c->budget = 2;
	if (least > c->budget)
		choose_epochs(c, c->budget);
	c->boundary = mem_alloc(c->n_epochs + 1, sizeof *c->boundary);
	/* Where no epoch is eligible, this is the last state. */
	c->boundary[c->eligible] =
		c->states->epochs == 0 && boundary_to(c, c->eligible) >= c->options->from_moment;
	for (size_t i = c->eligible; i < c->n_epochs; i++) {
		c->epochs[i].chosen |= least <= c->budget;
		if (c->epochs[i].chosen)
			c->boundary[i] = c->boundary[i + 1] = true;
	}
	for (size_t i = 0; i <= c->n_epochs; i++)
		c->budget -= c->boundary[i];
}

/* Gives each of n a share of the budget, the same for all but for those that are content
 * with less.  Returns what is left. */
static uint64_t share(uint64_t budget, const uint64_t *wanted, uint64_t *given, size_t n)
{
	for (;;) {
		uint64_t open = 0;
		for (size_t i = 0; i < n; i++)
			open += given[i] < wanted[i];
		if (open == 0 || budget == 0)
			return budget;
		uint64_t each = budget / open ? budget / open : 1;
		for (size_t i = 0; i < n; i++) {
			if (given[i] >= wanted[i])
				continue;
			uint64_t more = at_most(at_most(each, wanted[i] - given[i]), budget);
			given[i] += more;
			budget -= more;
		}
	}
}

static bool has_few_subsets(const struct chooser *c, const struct epoch *epoch)
{
	uint32_t all_max = c->options->all_max ? c->options->all_max : ALL_DEFAULT;
	return epoch->subsets <= UINT32_MAX && epoch->subsets + 2 <= all_max;
}

/* How many states a chosen epoch may have for now: FAIR ones each, then all subsets where those
 * are few, then what larger ones have, then what all have. */
static uint64_t wanted_states(const struct chooser *c, const struct epoch *epoch, int round)
{
	uint64_t fair = at_most(epoch->all, FAIR);
	bool few = has_few_subsets(c, epoch);
	if (!epoch->chosen)
		return 0;
	switch (round) {
	case 0:
		return fair;
	case 1:
		return few && epoch->subsets > fair ? epoch->subsets : fair;
	case 2:
		return few ? 0 : epoch->all;
	default:
		return epoch->all;
	}
}

static void share_budget(struct chooser *c)
{
	uint64_t *wanted = mem_alloc(c->n_epochs, sizeof *wanted);
	uint64_t *given = mem_alloc(c->n_epochs, sizeof *given);
	uint64_t rest = c->budget;
	bool any_large = false;
	for (size_t i = 0; i < c->n_epochs; i++)
		any_large |= c->epochs[i].chosen && !has_few_subsets(c, &c->epochs[i]);
	for (int round = 0; round < 4; round++) {
		uint64_t kept = round == 1 && any_large ? rest / 2 : 0;
		for (size_t i = 0; i < c->n_epochs; i++)
			wanted[i] = wanted_states(c, &c->epochs[i], round);
		rest = kept + share(rest - kept, wanted, given, c->n_epochs);
	}
	for (size_t i = 0; i < c->n_epochs; i++)
		c->epochs[i].share = given[i];
	free(wanted);
	free(given);
}

/* ---- states already given ---- */

/* A number for a unit that can be seen, or for how it is torn. */
static uint64_t mark(uint64_t unit, uint64_t sectors)
{
	struct prng prng;
	prng_init(&prng, unit << 8 | sectors);
	return prng_next(&prng);
}

/* Adds a key; false if it was there. */
static bool remember(struct chooser *c, uint64_t key)
{
	size_t i = key % c->seen_cap;
	while (c->seen[i] != 0 && c->seen[i] != key)
		i = (i + 1) % c->seen_cap;
	if (c->seen[i] == key)
		return false;
	c->seen[i] = key;
	return true;
}

static void forget_all(struct chooser *c, uint64_t states)
{
	size_t cap = 2 * (size_t)states + 64;
	if (cap > c->seen_cap) {
		free(c->seen);
		c->seen = mem_alloc(cap, sizeof *c->seen);
		c->seen_cap = cap;
	} else {
		memset(c->seen, 0, c->seen_cap * sizeof *c->seen);
	}
}

/* ---- the state being made ---- */

static bool is_lost(const struct chooser *c, uint32_t unit)
{
	uint32_t i = unit - c->epoch->first;
	return c->lost[i / WORD] >> i % WORD & 1;
}

static void set_lost(struct chooser *c, uint32_t from, uint32_t end, bool lost)
{
	for (uint32_t u = from; u < end; u++) {
		uint32_t i = u - c->epoch->first;
		uint64_t bit = UINT64_C(1) << i % WORD;
		c->lost[i / WORD] = lost ? c->lost[i / WORD] | bit : c->lost[i / WORD] & ~bit;
	}
}

/* Begins a state of which all units are lost, or none. */
static void begin(struct chooser *c, bool lost)
{
	set_lost(c, c->epoch->first, c->epoch->end, lost);
	c->torn = UINT32_MAX;
	c->torn_sectors = 0;
}

/* The sectors of its place that a unit touches, and those that it writes whole. */
static void sectors_of(const struct block_unit *unit, uint8_t *touched, uint8_t *whole)
{
	uint32_t from = (uint32_t)(unit->offset % UNIT_BYTES), end = from + unit->length;
	uint32_t first = from / SECTOR, whole_from = (from + SECTOR - 1) / SECTOR;
	uint32_t whole_end = end / SECTOR;
	*touched = (uint8_t)((1u << (first + n_sectors(unit))) - (1u << first));
	*whole = whole_from < whole_end ? (uint8_t)((1u << whole_end) - (1u << whole_from)) : 0;
}

/* A key of what can be seen of the state; 0 where its torn unit is hidden in part, and may
 * look whole. */
static uint64_t key_of(struct chooser *c)
{
	uint64_t key = 1;
	memset(c->covered, 0, c->n_slots);
	for (uint32_t u = c->epoch->end; u-- > c->epoch->first;) {
		const struct block_unit *unit = &c->states->units[u];
		uint8_t touched, whole, *covered = &c->covered[c->slots[u - c->epoch->first]];
		if (is_lost(c, u))
			continue;
		sectors_of(unit, &touched, &whole);
		if (u == c->torn) {
			if (touched & *covered)
				return 0;
			whole &= (uint8_t)(c->torn_sectors << first_sector(unit));
		}
		if (touched & ~*covered)
			key ^= mark(u, u == c->torn ? c->torn_sectors : 0);
		*covered |= whole;
	}
	return key ? key : 1;
}

static void append(struct chooser *c, uint32_t from, uint32_t to)
{
	struct block_states *states = c->states;
	size_t n = states->n, at = states->n_sets;
	states->sets = mem_grow(states->sets, &c->sets_cap, at + c->words, sizeof *states->sets);
	if (c->words)
		memcpy(states->sets + at, c->lost, c->words * sizeof *c->lost);
	states->n_sets += c->words;
	*MEM_PUSH(states->list, n, c->list_cap) =
		(struct block_state){.first = c->epoch->first,
				     .end = c->epoch->end,
				     .lost = (uint32_t)at,
				     .torn = c->torn,
				     .torn_sectors = c->torn_sectors,
				     .from = from,
				     .to = to};
	states->n = (uint32_t)n;
}

/* Gives the state, if it is new.  (The last kept unit is always seen: equal states can be
 * found from the same moment on.) */
static bool give(struct chooser *c)
{
	uint64_t key = key_of(c);
	uint32_t last = c->epoch->end - 1;
	if (key == 0 || !remember(c, key))
		return false;
	while (is_lost(c, last))
		last--;
	append(c, c->states->log->entries[c->states->units[last].entry].moment, c->epoch->to);
	return true;
}

/* ---- subsets ---- */

static uint32_t n_requests(const struct chooser *c)
{
	return c->epoch->requests;
}

static void set_request(struct chooser *c, uint32_t i, bool lost)
{
	set_lost(c, c->requests[i], c->requests[i + 1], lost);
}

static uint64_t give_all_subsets(struct chooser *c)
{
	uint64_t given = 0;
	for (uint64_t kept = 1; kept <= c->epoch->subsets; kept++) {
		begin(c, true);
		for (uint32_t i = 0; i < n_requests(c); i++)
			if (kept >> i & 1)
				set_request(c, i, false);
		given += give(c);
	}
	return given;
}

/* Tears a kept unit; false where it has one sector only.  Half of the time sectors were
 * written in order. */
static bool tear(struct chooser *c, uint32_t unit)
{
	uint32_t n = n_sectors(&c->states->units[unit]);
	if (n < 2 || is_lost(c, unit))
		return false;
	c->torn = unit;
	if (prng_below(&c->prng, 2))
		c->torn_sectors = (uint8_t)((1u << (1 + prng_below(&c->prng, n - 1))) - 1);
	else
		c->torn_sectors = (uint8_t)(1 + prng_below(&c->prng, (1u << n) - 2));
	return true;
}

/* A unit is torn beside all others, as the last one, or alone; each several times. */
static bool make_torn(struct chooser *c, uint64_t i)
{
	uint32_t unit = c->epoch->first + (uint32_t)(i / (3 * TEARS));
	begin(c, i % 3 == 2);
	if (i % 3 == 1)
		set_lost(c, unit + 1, c->epoch->end, true);
	set_lost(c, unit, unit + 1, false);
	return tear(c, unit);
}

/* Of a prefix, each request or unit with the same probability. */
static bool make_random(struct chooser *c)
{
	static const uint8_t kept_of_256[] = {128, 224, 32, 128, 248};
	bool units = prng_below(&c->prng, 4) == 0;
	uint32_t n = units ? c->epoch->end - c->epoch->first : n_requests(c);
	uint64_t kept = kept_of_256[prng_below(&c->prng, sizeof kept_of_256)];
	begin(c, true);
	for (uint64_t end = 1 + prng_below(&c->prng, n), i = 0; i < end; i++) {
		if (prng_below(&c->prng, 256) >= kept)
			continue;
		uint32_t unit = c->epoch->first + (uint32_t)i;
		if (units)
			set_lost(c, unit, unit + 1, false);
		else
			set_request(c, (uint32_t)i, false);
	}
	if (c->options->tear && prng_below(&c->prng, 8) == 0)
		tear(c, c->epoch->first +
				(uint32_t)prng_below(&c->prng, c->epoch->end - c->epoch->first));
	return true;
}

/* The i-th state of a rung other than RANDOM; false where there is none. */
static bool make(struct chooser *c, enum rung rung, uint64_t i)
{
	uint32_t unit = c->epoch->first + (uint32_t)i;
	begin(c, rung != REQUEST_LOST && rung != UNIT_LOST);
	switch (rung) {
	case REQUEST_PREFIX:
		set_lost(c, c->epoch->first, c->requests[i + 1], false);
		return true;
	case REQUEST_LOST:
	case REQUEST_KEPT:
		set_request(c, (uint32_t)i, rung == REQUEST_LOST);
		return true;
	case UNIT_PREFIX:
		set_lost(c, c->epoch->first, unit + 1, false);
		return true;
	case UNIT_LOST:
	case UNIT_KEPT:
		set_lost(c, unit, unit + 1, rung == UNIT_LOST);
		return true;
	default:
		return make_torn(c, i);
	}
}

/* How many states a rung has.  subsets_given: those of requests are given already. */
static uint64_t rung_states(const struct chooser *c, enum rung rung, bool subsets_given)
{
	uint32_t requests = n_requests(c), units = c->epoch->end - c->epoch->first;
	switch (rung) {
	case REQUEST_PREFIX:
	case REQUEST_LOST:
	case REQUEST_KEPT:
		return subsets_given || requests < 2 ? 0 : requests;
	case UNIT_PREFIX:
	case UNIT_LOST:
	case UNIT_KEPT:
		return units == requests ? 0 : units;
	case TORN:
		return c->options->tear ? UINT64_C(3) * TEARS * units : 0;
	default:
		return UINT64_MAX;
	}
}

/* Gives `wanted` states of a rung that has n: all, or one of each of as many equal parts. */
static uint64_t climb(struct chooser *c, enum rung rung, uint64_t n, uint64_t wanted)
{
	uint64_t given = 0;
	for (uint64_t k = 0; k < wanted; k++) {
		uint64_t from = n * k / wanted, end = n * (k + 1) / wanted;
		if (make(c, rung, from + prng_below(&c->prng, end - from)))
			given += give(c);
	}
	return given;
}

/* What equal states left of the share.  There may be no others, so it does not insist.
 * Returns what is still left. */
static uint64_t give_random(struct chooser *c, uint64_t wanted)
{
	uint64_t torn = rung_states(c, TORN, false);
	for (uint64_t tries = 4 * wanted + 64; wanted > 0 && tries > 0; tries--) {
		bool tears = torn > 0 && prng_below(&c->prng, 4) == 0;
		if (tears ? make_torn(c, prng_below(&c->prng, torn)) : make_random(c))
			wanted -= give(c);
	}
	return wanted;
}

/* Returns what is left of the epoch's share. */
static uint64_t give_inner(struct chooser *c)
{
	uint64_t rest = c->epoch->share, states[RUNGS], given[RUNGS] = {0};
	bool all = has_few_subsets(c, c->epoch) && rest >= c->epoch->subsets;
	if (all)
		rest -= give_all_subsets(c);
	for (int i = 0; i < RUNGS; i++)
		states[i] = rung_states(c, i, all);
	share(rest, states, given, RUNGS);
	for (int i = 0; i < RANDOM; i++)
		rest -= climb(c, i, states[i], given[i]);
	return give_random(c, rest);
}

/* ---- epoch by epoch ---- */

struct placed {
	uint64_t place;
	uint32_t i;
};

static int by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;
	return x->place < y->place ? -1 : x->place > y->place;
}

/* Numbers the places of UNIT_BYTES that units of the epoch write to. */
static void find_slots(struct chooser *c)
{
	uint32_t n = c->epoch->end - c->epoch->first;
	struct placed *placed = mem_alloc(n, sizeof *placed);
	c->slots = mem_alloc(n, sizeof *c->slots);
	for (uint32_t i = 0; i < n; i++)
		placed[i] = (struct placed){
			c->states->units[c->epoch->first + i].offset / UNIT_BYTES, i};
	qsort(placed, n, sizeof *placed, by_place);
	c->n_slots = 0;
	for (uint32_t i = 0; i < n; i++) {
		c->n_slots += i == 0 || placed[i].place != placed[i - 1].place;
		c->slots[placed[i].i] = c->n_slots - 1;
	}
	c->covered = mem_alloc(c->n_slots, 1);
	free(placed);
}

static void enter_epoch(struct chooser *c, const struct epoch *epoch)
{
	size_t n = 0;
	c->epoch = epoch;
	c->words = (epoch->end - epoch->first + WORD - 1) / WORD;
	c->lost = mem_alloc(c->words, sizeof *c->lost);
	for (uint32_t u = epoch->first; u < epoch->end; u++)
		if (u == epoch->first || c->states->units[u].entry != c->states->units[u - 1].entry)
			*MEM_PUSH(c->requests, n, c->requests_cap) = u;
	*MEM_PUSH(c->requests, n, c->requests_cap) = epoch->end;
	find_slots(c);
	forget_all(c, epoch->share + 2);
}

static void leave_epoch(struct chooser *c)
{
	free(c->lost);
	free(c->slots);
	free(c->covered);
}

static void give_epoch(struct chooser *c, size_t i)
{
	struct epoch *epoch = &c->epochs[i];
	if (epoch->chosen)
		epoch->share = at_most(epoch->share + c->left, epoch->all);
	enter_epoch(c, epoch);
	begin(c, true);
	remember(c, key_of(c));
	if (i == 0 && c->boundary[0])
		append(c, 0, epoch->to);
	begin(c, false);
	remember(c, key_of(c));
	if (c->boundary[i + 1])
		append(c, epoch->last, boundary_to(c, i + 1));
	if (epoch->chosen)
		c->left = give_inner(c);
	leave_epoch(c);
}

/* The state of a log in which nothing is written. */
static void give_nothing(struct chooser *c)
{
	static const struct epoch nothing;
	c->epoch = &nothing;
	begin(c, true);
	append(c, 0, c->states->log->last_moment);
}

void block_states_choose(const struct block_log *log, const struct block_options *options,
			 struct block_states *states)
{
	struct chooser c = {.options = options, .states = states};
	*states = (struct block_states){.log = log};
	prng_init(&c.prng, options->seed);
	find_epochs(&c, log);
	find_eligible(&c);
	plan_epochs(&c);
	share_budget(&c);
	if (c.n_epochs == 0 && c.boundary[0])
		give_nothing(&c);
	for (size_t i = 0; i < c.n_epochs; i++)
		if (c.epochs[i].chosen || c.boundary[i + 1] || (i == 0 && c.boundary[0]))
			give_epoch(&c, i);
	free(c.epochs);
	free(c.boundary);
	free(c.requests);
	free(c.seen);
}

void block_states_finish(struct block_states *states)
{
	free(states->units);
	free(states->list);
	free(states->sets);
	*states = (struct block_states){0};
}
