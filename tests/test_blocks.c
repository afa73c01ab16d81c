#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "buf.h"
#include "mem.h"
#include "prng.h"

/* The device of these tests. */
enum { PLACES = 3, DEVICE = PLACES * UNIT_BYTES, SECTOR = 512 };

static struct block_log the_log;
static size_t entries_cap, data_cap;
static struct block_states states;

static void add_bytes(uint64_t offset, uint32_t length, uint32_t moment, uint64_t seed)
{
	struct prng prng;
	size_t n = the_log.n;
	prng_init(&prng, seed);
	the_log.data =
		mem_grow(the_log.data, &data_cap, (size_t)the_log.data_bytes + length + 8, 1);
	*MEM_PUSH(the_log.entries, n, entries_cap) =
		(struct block_entry){offset, the_log.data_bytes, length, moment};
	the_log.n = (uint32_t)n;
	for (uint32_t i = 0; i < length; i += 8) {
		uint64_t bytes = prng_next(&prng);
		memcpy(the_log.data + the_log.data_bytes + i, &bytes, 8);
	}
	the_log.data_bytes += length;
	the_log.last_moment = moment;
}

/* Bytes that nothing else has. */
static void add_write(uint64_t offset, uint32_t length, uint32_t moment)
{
	add_bytes(offset, length, moment, the_log.data_bytes + 1);
}

static void add_flush(uint32_t moment)
{
	add_bytes(0, 0, moment, 0);
}

static void clear(void)
{
	block_states_finish(&states);
	free(the_log.entries);
	free(the_log.data);
	the_log = (struct block_log){0};
	entries_cap = data_cap = 0;
}

static void choose(struct block_options options)
{
	block_states_finish(&states);
	block_states_choose(&the_log, &options, &states);
}

/* ---- contents ---- */

/* A state's bytes, and what stands for them: a number that two contents share by a
 * hopeless accident only. */
static uint64_t number_of(const uint8_t *device)
{
	uint64_t number = 0, word;
	for (size_t i = 0; i < DEVICE; i += 8) {
		memcpy(&word, device + i, 8);
		number = (number ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		number ^= number >> 29;
	}
	return number;
}

static void show(const struct block_state *state, uint8_t *device)
{
	memset(device, 0, DEVICE);
	block_units_apply(&states, 0, state->first, device);
	block_state_apply(&states, state, device);
}

/* Contents at moments, sorted, each once. */
struct found {
	uint64_t content;
	uint32_t moment;
};

struct set {
	struct found *of;
	size_t n, cap;
};

static int by_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->content != y->content)
		return x->content < y->content ? -1 : 1;
	return x->moment < y->moment ? -1 : x->moment > y->moment;
}

static void put(struct set *set, uint64_t content, uint32_t moment)
{
	*MEM_PUSH(set->of, set->n, set->cap) = (struct found){content, moment};
}

static void settle(struct set *set)
{
	size_t n = 0;
	qsort(set->of, set->n, sizeof *set->of, by_found);
	for (size_t i = 0; i < set->n; i++)
		if (i == 0 || by_found(&set->of[i], &set->of[n - 1]) != 0)
			set->of[n++] = set->of[i];
	set->n = n;
}

static bool contains(const struct set *outer, const struct set *inner)
{
	for (size_t i = 0; i < inner->n; i++)
		if (!bsearch(&inner->of[i], outer->of, outer->n, sizeof *outer->of, by_found))
			return false;
	return true;
}

/* What the chooser says. */
static struct set chosen(void)
{
	struct set set = {0};
	uint8_t device[DEVICE];
	for (uint32_t i = 0; i < states.n; i++) {
		const struct block_state *state = &states.list[i];
		show(state, device);
		for (uint32_t m = state->from; m <= state->to; m++)
			put(&set, number_of(device), m);
	}
	settle(&set);
	return set;
}

/* ---- what a disk may have kept, said in the plainest way ---- */

/* A part of a write that is kept or lost as a whole. */
struct piece {
	uint64_t offset, data;
	uint32_t length;
};

/* The pieces of entries [from, end). */
static size_t pieces_of(uint32_t from, uint32_t end, bool units, struct piece *pieces)
{
	size_t n = 0;
	for (uint32_t i = from; i < end; i++) {
		const struct block_entry *e = &the_log.entries[i];
		for (uint32_t at = 0; at < e->length;) {
			uint64_t offset = e->offset + at;
			uint64_t next = (offset / UNIT_BYTES + 1) * UNIT_BYTES;
			uint32_t length = e->length - at;
			if (units && next - offset < length)
				length = (uint32_t)(next - offset);
			pieces[n++] = (struct piece){offset, e->data + at, length};
			at += length;
		}
	}
	return n;
}

/* Power is lost when the first `arrived` entries have arrived, and the flush last among them
 * was done or not: all contents, at moment m. */
static void lose_power(uint32_t arrived, bool last_done, uint32_t m, bool units, struct set *set)
{
	struct piece pieces[64];
	uint8_t base[DEVICE] = {0}, device[DEVICE];
	uint32_t durable = 0;
	for (uint32_t i = 0; i < arrived; i++)
		if (the_log.entries[i].length == 0 && (i + 1 < arrived || last_done))
			durable = i + 1;
	size_t n = pieces_of(0, durable, units, pieces);
	for (size_t i = 0; i < n; i++)
		memcpy(base + pieces[i].offset, the_log.data + pieces[i].data, pieces[i].length);
	n = pieces_of(durable, arrived, units, pieces);
	for (uint64_t kept = 0; kept < UINT64_C(1) << n; kept++) {
		memcpy(device, base, DEVICE);
		for (size_t i = 0; i < n; i++)
			if (kept >> i & 1)
				memcpy(device + pieces[i].offset, the_log.data + pieces[i].data,
				       pieces[i].length);
		put(set, number_of(device), m);
	}
}

static struct set possible(bool units)
{
	struct set set = {0};
	for (uint32_t m = 0; m <= the_log.last_moment; m++)
		for (uint32_t arrived = 0; arrived <= the_log.n; arrived++) {
			if ((arrived > 0 && the_log.entries[arrived - 1].moment > m) ||
			    (arrived < the_log.n && the_log.entries[arrived].moment < m))
				continue;
			lose_power(arrived, true, m, units, &set);
			if (arrived > 0 && the_log.entries[arrived - 1].moment == m)
				lose_power(arrived, false, m, units, &set);
		}
	settle(&set);
	return set;
}

/* ---- random logs ---- */

static void add_random(struct prng *prng, unsigned n, uint32_t length_max, unsigned flush_of)
{
	uint32_t moment = 0;
	for (unsigned i = 0; i < n; i++) {
		moment += (uint32_t)prng_below(prng, 3);
		if (prng_below(prng, flush_of) == 0) {
			add_flush(moment);
			continue;
		}
		uint64_t offset = prng_below(prng, DEVICE / SECTOR) * SECTOR;
		uint64_t room = DEVICE - offset;
		if (length_max <= UNIT_BYTES)
			room = UNIT_BYTES - offset % UNIT_BYTES;
		/* Mostly whole places, so that some hide others. */
		if (prng_below(prng, 2)) {
			offset = offset / UNIT_BYTES * UNIT_BYTES;
			room = length_max < DEVICE - offset ? length_max : DEVICE - offset;
		} else {
			room = (1 + prng_below(prng, room / SECTOR)) * SECTOR;
			room = room < length_max ? room : length_max;
		}
		add_write(offset, (uint32_t)room, moment);
	}
	the_log.last_moment = moment + (uint32_t)prng_below(prng, 3);
}

START_TEST(small_logs_give_what_a_disk_may_keep_at_each_moment_and_nothing_else)
{
	struct prng prng;
	prng_init(&prng, 1);
	for (unsigned round = 0; round < 400; round++) {
		add_random(&prng, (unsigned)prng_below(&prng, 9), UNIT_BYTES, 4);
		choose((struct block_options){.states_max = 5000, .all_max = 1 << 10});
		struct set ours = chosen(), truth = possible(false);
		ck_assert_msg(contains(&ours, &truth), "round %u: a state is missing", round);
		ck_assert_msg(contains(&truth, &ours), "round %u: a state is impossible", round);
		free(ours.of);
		free(truth.of);
		clear();
	}
}
END_TEST

START_TEST(requests_of_several_units_are_kept_whole_and_in_part)
{
	struct prng prng;
	unsigned in_part = 0;
	prng_init(&prng, 2);
	for (unsigned round = 0; round < 150; round++) {
		add_random(&prng, (unsigned)prng_below(&prng, 7), DEVICE, 5);
		choose((struct block_options){.states_max = 5000, .all_max = 1 << 10});
		struct set ours = chosen(), requests = possible(false), units = possible(true);
		ck_assert_msg(contains(&ours, &requests), "round %u: a state is missing", round);
		ck_assert_msg(contains(&units, &ours), "round %u: a state is impossible", round);
		in_part += ours.n > requests.n;
		free(ours.of);
		free(requests.of);
		free(units.of);
		clear();
	}
	ck_assert_uint_gt(in_part, 50);
}
END_TEST

/* Devices write sectors, but a log may have any bytes. */
START_TEST(a_write_hides_no_more_than_it_covers)
{
	add_write(0, 512, 1);
	add_write(100, 104, 2);
	add_write(4000, 5000, 3);
	add_write(3996, 5004, 4);
	choose((struct block_options){.states_max = 5000});
	struct set ours = chosen(), requests = possible(false), units = possible(true);
	ck_assert(contains(&ours, &requests));
	ck_assert(contains(&units, &ours));
	free(ours.of);
	free(requests.of);
	free(units.of);
}
END_TEST

/* ---- what holds of any choice ---- */

static void check_choice(const struct block_options *options)
{
	struct set contents = {0};
	uint8_t device[DEVICE];
	uint32_t budget = options->states_max < 2 ? 2 : options->states_max;
	ck_assert_uint_le(states.n, budget);
	for (uint32_t i = 0; i < states.n; i++) {
		const struct block_state *state = &states.list[i];
		ck_assert_uint_le(state->from, state->to);
		ck_assert_uint_ge(state->to, options->from_moment);
		ck_assert_uint_le(state->to, the_log.last_moment);
		ck_assert_uint_le(state->end, states.n_units);
		ck_assert(i == 0 || state->first >= states.list[i - 1].first);
		show(state, device);
		put(&contents, number_of(device), 0);
	}
	settle(&contents);
	/* All writes bring bytes of their own. */
	ck_assert_uint_eq(contents.n, states.n);
	free(contents.of);
}

START_TEST(a_choice_keeps_to_its_budget_and_gives_nothing_twice)
{
	static const uint32_t budgets[] = {1, 2, 3, 7, 20, 64, 150, 700};
	struct prng prng;
	prng_init(&prng, 3);
	for (unsigned round = 0; round < 160; round++) {
		unsigned flush_of = 2 + (unsigned)prng_below(&prng, 20);
		add_random(&prng, 1 + (unsigned)prng_below(&prng, 60), DEVICE, flush_of);
		struct block_options options = {.states_max = budgets[round % 8],
						.tear = prng_below(&prng, 2),
						.seed = round,
						.all_max = (uint32_t)prng_below(&prng, 2) * 300,
						.from_moment = (uint32_t)prng_below(&prng, 3) *
							       the_log.last_moment / 3};
		choose(options);
		ck_assert_uint_gt(states.n, 0);
		check_choice(&options);
		clear();
	}
}
END_TEST

/* The bytes are possible too: torn ones are those of a unit in some of its sectors. */
START_TEST(torn_units_have_their_new_bytes_in_some_sectors_only)
{
	uint8_t whole[DEVICE], device[DEVICE], without[DEVICE];
	unsigned torn = 0;
	add_write(0, UNIT_BYTES, 1);
	add_write(UNIT_BYTES + 1024, 1536, 3);
	add_flush(5);
	add_write(512, 2 * UNIT_BYTES, 7);
	add_write(0, 512, 9);
	choose((struct block_options){.states_max = 400, .tear = true});
	for (uint32_t i = 0; i < states.n; i++) {
		struct block_state state = states.list[i];
		unsigned fresh = 0, old = 0;
		if (state.torn == UINT32_MAX)
			continue;
		torn++;
		const struct block_unit *unit = &states.units[state.torn];
		ck_assert(!block_state_lost(&states, &state, state.torn));
		ck_assert_uint_gt(unit->length, SECTOR);
		show(&state, device);
		state.torn = UINT32_MAX;
		show(&state, whole);
		uint32_t at = state.torn = states.list[i].torn;
		state.torn_sectors = 0;
		show(&state, without);
		for (uint64_t o = 0; o < DEVICE; o += SECTOR) {
			bool inside = o >= unit->offset && o < unit->offset + unit->length;
			bool is_new = memcmp(device + o, whole + o, SECTOR) == 0;
			bool is_old = memcmp(device + o, without + o, SECTOR) == 0;
			ck_assert_msg(is_new || is_old, "unit %u: a sector is neither", at);
			ck_assert(inside || (is_new && is_old));
			fresh += inside && is_new;
			old += inside && is_old;
			if (inside)
				ck_assert_int_eq(is_new, states.list[i].torn_sectors >>
									 (o / SECTOR -
									  unit->offset / SECTOR) &
								 1);
		}
		ck_assert_uint_gt(fresh, 0);
		ck_assert_uint_gt(old, 0);
	}
	ck_assert_uint_gt(torn, 50);
}
END_TEST

START_TEST(a_torn_unit_hides_what_lies_under_its_new_sectors)
{
	struct block_options options = {.states_max = 300, .tear = true};
	add_write(1024, 512, 1);
	add_write(1024, 1536, 2);
	choose(options);
	/* None, the first, the second; and the second torn in six ways at most, of which half leave
	 * the first to be seen. */
	ck_assert_uint_ge(states.n, 8);
	ck_assert_uint_le(states.n, 3 + 6 + 3);
	check_choice(&options);
}
END_TEST

/* ---- the ladder ---- */

static bool has(uint64_t lost)
{
	for (uint32_t i = 0; i < states.n; i++) {
		const struct block_state *s = &states.list[i];
		if (s->torn == UINT32_MAX && states.sets[s->lost] == lost)
			return true;
	}
	return false;
}

START_TEST(larger_epochs_give_prefixes_single_ones_and_units)
{
	enum { N = 12 };
	for (unsigned i = 0; i < N; i++)
		add_write((uint64_t)i * 2 * UNIT_BYTES, 2 * UNIT_BYTES, i);
	choose((struct block_options){.states_max = 300});
	ck_assert_uint_eq(states.n, 300);
	ck_assert_uint_eq(states.possible, 1 << N);
	ck_assert_uint_eq(states.epochs, 1);
	ck_assert_uint_eq(states.left_out, 0);
	const uint64_t all = (UINT64_C(1) << 2 * N) - 1;
	for (unsigned i = 0; i <= 2 * N; i++) {
		uint64_t before = (UINT64_C(1) << i) - 1, unit = UINT64_C(1) << i & all;
		ck_assert_msg(has(all & ~before), "the first %u units", i);
		ck_assert_msg(has(unit), "unit %u lost", i);
		ck_assert_msg(has(all & ~unit), "unit %u kept", i);
		if (i % 2 == 0 && i < 2 * N) {
			ck_assert_msg(has(3 * unit), "request %u lost", i / 2);
			ck_assert_msg(has(all & ~(3 * unit)), "request %u kept", i / 2);
		}
	}
}
END_TEST

START_TEST(a_small_budget_has_some_of_every_kind)
{
	enum { N = 40 };
	unsigned prefixes = 0, lost = 0, kept = 0, others = 0;
	for (unsigned i = 0; i < N; i++)
		add_write((uint64_t)i * UNIT_BYTES, UNIT_BYTES, i);
	choose((struct block_options){.states_max = 40});
	for (uint32_t i = 0; i < states.n; i++) {
		uint64_t set = states.sets[states.list[i].lost];
		int n = __builtin_popcountll(set);
		unsigned first = set ? (unsigned)__builtin_ctzll(set) : N;
		if (n == 1)
			lost++;
		else if (n == N - 1)
			kept++;
		else if (n + (int)first == N && set >> N == 0)
			prefixes++;
		else
			others++;
	}
	ck_assert_uint_eq(states.n, 40);
	ck_assert_uint_ge(prefixes, 6);
	ck_assert_uint_ge(lost, 6);
	ck_assert_uint_ge(kept, 6);
	ck_assert_uint_ge(others, 6);
}
END_TEST

/* ---- epochs and the budget ---- */

static unsigned states_of(uint32_t first)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < states.n; i++)
		n += states.list[i].first == first;
	return n;
}

START_TEST(small_epochs_give_all_and_the_rest_is_for_the_large_one)
{
	uint32_t moment = 0;
	for (unsigned epoch = 0; epoch < 10; epoch++) {
		for (unsigned i = 0; i < 4; i++)
			add_write((uint64_t)i * UNIT_BYTES, UNIT_BYTES, moment++);
		add_flush(moment++);
	}
	for (unsigned i = 0; i < 50; i++)
		add_write((uint64_t)i * UNIT_BYTES, UNIT_BYTES, moment++);
	choose((struct block_options){.states_max = 400});
	ck_assert_uint_eq(states.n, 400);
	ck_assert_uint_eq(states.epochs, 11);
	ck_assert_uint_eq(states.left_out, 0);
	ck_assert_uint_eq(states_of(0), 16);
	for (uint32_t epoch = 1; epoch < 10; epoch++)
		ck_assert_uint_eq(states_of(4 * epoch), 15);
	ck_assert_uint_eq(states_of(40), 400 - 16 - 9 * 15);
	ck_assert_uint_eq(states.possible, 1 + 10 * 15 + (UINT64_C(1) << 50) - 1);
	/* Large ones keep half where small ones are many. */
	choose((struct block_options){.states_max = 140});
	ck_assert_uint_eq(states.n, 140);
	ck_assert_uint_ge(states_of(40), 32);
	ck_assert_uint_ge(states_of(4), 7);
}
END_TEST

START_TEST(what_an_epoch_cannot_give_is_for_the_next)
{
	for (unsigned i = 0; i < 40; i++)
		add_write(0, UNIT_BYTES, i);
	add_flush(40);
	for (unsigned i = 0; i < 40; i++)
		add_write((uint64_t)i * UNIT_BYTES, UNIT_BYTES, 41 + i);
	choose((struct block_options){.states_max = 400});
	ck_assert_uint_eq(states_of(0), 41); /* none, or the one that hides all before it */
	ck_assert_uint_eq(states.n, 400);
}
END_TEST

START_TEST(where_there_are_too_many_epochs_some_are_left_out)
{
	uint32_t moment = 0;
	for (unsigned epoch = 0; epoch < 100; epoch++) {
		for (unsigned i = 0; i < 4; i++)
			add_write((uint64_t)i * UNIT_BYTES, UNIT_BYTES, moment++);
		add_flush(moment++);
	}
	unsigned looked_at = 0, both = 0;
	choose((struct block_options){.states_max = 80, .seed = 5});
	ck_assert_uint_le(states.n, 80);
	for (uint32_t epoch = 0; epoch < 100; epoch++)
		if (states_of(4 * epoch) > 1) {
			looked_at++;
			ck_assert_uint_ge(states_of(4 * epoch), 7);
			both += epoch == 0 || states_of(4 * (epoch - 1)) > 0;
		}
	ck_assert_uint_eq(looked_at, 10);
	ck_assert_uint_eq(both, 10);
	ck_assert_uint_eq(states.left_out, 90);
	ck_assert_uint_eq(states.epochs, 100);
}
END_TEST

/* ---- moments ---- */

static void check_state(uint32_t i, uint32_t first, uint64_t lost, uint32_t from, uint32_t to)
{
	const struct block_state *s = &states.list[i];
	ck_assert_uint_lt(i, states.n);
	ck_assert_msg(s->first == first && states.sets[s->lost] == lost && s->from == from &&
			      s->to == to,
		      "state %u: %u, lost %llu, from %u to %u", i, s->first,
		      (unsigned long long)states.sets[s->lost], s->from, s->to);
}

START_TEST(all_of_an_epoch_lasts_as_long_as_nothing_of_the_next)
{
	add_flush(1);
	add_write(0, UNIT_BYTES, 3);
	add_write(UNIT_BYTES, UNIT_BYTES, 4);
	add_flush(7);
	add_flush(8);
	add_write(0, UNIT_BYTES, 9);
	add_flush(11);
	the_log.last_moment = 20;
	choose((struct block_options){0});
	ck_assert_uint_eq(states.n, 5);
	check_state(0, 0, 3, 0, 7);
	check_state(1, 0, 0, 4, 11);
	check_state(2, 0, 2, 3, 7);
	check_state(3, 0, 1, 4, 7);
	check_state(4, 2, 0, 9, 20);
	ck_assert_uint_eq(states.possible, 5);
	choose((struct block_options){.from_moment = 8});
	ck_assert_uint_eq(states.n, 2);
	check_state(0, 0, 0, 4, 11);
	check_state(1, 2, 0, 9, 20);
	ck_assert_uint_eq(states.possible, 2);
	ck_assert_uint_eq(states.epochs, 1);
	choose((struct block_options){.from_moment = 12});
	ck_assert_uint_eq(states.n, 1);
	check_state(0, 2, 0, 9, 20);
	ck_assert_uint_eq(states.possible, 1);
	choose((struct block_options){.from_moment = 21});
	ck_assert_uint_eq(states.n, 0);
	ck_assert_uint_eq(states.possible, 0);
}
END_TEST

START_TEST(a_log_without_writes_has_one_state)
{
	struct buf text = {0};
	add_flush(1);
	add_flush(2);
	the_log.last_moment = 6;
	choose((struct block_options){0});
	ck_assert_uint_eq(states.n, 1);
	ck_assert_uint_eq(states.possible, 1);
	ck_assert_uint_eq(states.epochs, 0);
	ck_assert_uint_eq(states.list[0].from, 0);
	ck_assert_uint_eq(states.list[0].to, 6);
	block_state_print(&states, &states.list[0], &text);
	ck_assert_str_eq(buf_text(&text), "nothing was written");
	buf_finish(&text);
	clear();
	choose((struct block_options){0});
	ck_assert_uint_eq(states.n, 1);
}
END_TEST

/* ---- size, seeds, words ---- */

START_TEST(an_epoch_of_many_writes_is_no_trouble)
{
	for (uint32_t i = 0; i < 10000; i++)
		add_write((uint64_t)(i % 7000) * UNIT_BYTES, UNIT_BYTES, i);
	choose((struct block_options){.tear = true});
	ck_assert_uint_eq(states.n, 1000);
	ck_assert_uint_eq(states.possible, UINT64_MAX);
}
END_TEST

START_TEST(a_seed_tells_the_choice)
{
	struct prng prng;
	struct set sets[3];
	prng_init(&prng, 4);
	add_random(&prng, 40, DEVICE, 20);
	for (unsigned i = 0; i < 3; i++) {
		choose((struct block_options){.states_max = 100, .tear = true, .seed = 7 + i / 2});
		sets[i] = chosen();
	}
	ck_assert(contains(&sets[0], &sets[1]) && contains(&sets[1], &sets[0]));
	ck_assert(!contains(&sets[0], &sets[2]));
	for (unsigned i = 0; i < 3; i++)
		free(sets[i].of);
}
END_TEST

static void check_text(uint64_t lost, uint32_t torn, uint8_t sectors, const char *expected)
{
	struct buf text = {0};
	struct block_state state = states.list[0];
	states.sets[state.lost] = lost;
	state.torn = torn;
	state.torn_sectors = sectors;
	block_state_print(&states, &state, &text);
	ck_assert_str_eq(buf_text(&text), expected);
	buf_finish(&text);
}

START_TEST(a_state_is_told_in_words)
{
	add_write(0, 3 * UNIT_BYTES, 0);
	add_write(0x10200, 1024, 0);
	for (unsigned i = 0; i < 9; i++)
		add_write(0x20000 + (uint64_t)i * UNIT_BYTES, UNIT_BYTES, 0);
	add_flush(1);
	add_write(0, 512, 2);
	choose((struct block_options){.states_max = 2});
	check_text(0xfff & ~7u, UINT32_MAX, 0,
		   "keeps 2 of 11 writes since the last flush; loses write 2 (1024 bytes at "
		   "0x10200), write 3 (4096 bytes at 0x20000), write 4 (4096 bytes at 0x21000), "
		   "write 5 (4096 bytes at 0x22000), write 6 (4096 bytes at 0x23000), write 7 "
		   "(4096 bytes at 0x24000) and 3 more");
	check_text(1 | 4, UINT32_MAX, 0,
		   "keeps 10 of 11 writes since the last flush, and 1 in part; loses write 1 "
		   "(4096 bytes at 0x0, 4096 bytes at 0x2000)");
	check_text(3 | 8, 4, 5,
		   "keeps 9 of 11 writes since the last flush, and 1 in part; loses write 1 (8192 "
		   "bytes at 0x0), write 2 (1024 bytes at 0x10200); of 4096 bytes at 0x20000 only "
		   "the sectors 0, 2");
	check_text(0x1fff, UINT32_MAX, 0, "keeps none of 11 writes since the last flush");
	check_text(0, UINT32_MAX, 0, "keeps all of 11 writes before a flush, and nothing after it");
	check_text(0, 3, 1,
		   "keeps all of 11 writes since the last flush; of 1024 bytes at 0x10200 only "
		   "the sectors 0");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blocks");
	TCase *cases = tcase_create("blocks");
	tcase_add_checked_fixture(cases, NULL, clear);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, small_logs_give_what_a_disk_may_keep_at_each_moment_and_nothing_else);
	tcase_add_test(cases, requests_of_several_units_are_kept_whole_and_in_part);
	tcase_add_test(cases, a_write_hides_no_more_than_it_covers);
	tcase_add_test(cases, a_choice_keeps_to_its_budget_and_gives_nothing_twice);
	tcase_add_test(cases, torn_units_have_their_new_bytes_in_some_sectors_only);
	tcase_add_test(cases, a_torn_unit_hides_what_lies_under_its_new_sectors);
	tcase_add_test(cases, larger_epochs_give_prefixes_single_ones_and_units);
	tcase_add_test(cases, a_small_budget_has_some_of_every_kind);
	tcase_add_test(cases, small_epochs_give_all_and_the_rest_is_for_the_large_one);
	tcase_add_test(cases, what_an_epoch_cannot_give_is_for_the_next);
	tcase_add_test(cases, where_there_are_too_many_epochs_some_are_left_out);
	tcase_add_test(cases, all_of_an_epoch_lasts_as_long_as_nothing_of_the_next);
	tcase_add_test(cases, a_log_without_writes_has_one_state);
	tcase_add_test(cases, an_epoch_of_many_writes_is_no_trouble);
	tcase_add_test(cases, a_seed_tells_the_choice);
	tcase_add_test(cases, a_state_is_told_in_words);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
