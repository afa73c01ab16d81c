/* The choosers: what each gives, in which order, and that an ID gives the same
 * state again. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "lib_traces.h"
#include "mem.h"

enum { PROFILES = 9, STATES_MAX = 3000 };

/* ---- sets of states: each as bytes ---- */

struct states {
	char **items;
	size_t n, cap;
};

static char *state_bytes(const struct state *state)
{
	struct buf b = {0};
	for (uint32_t i = 0; i < state->n_held; i++)
		buf_printf(&b, "%u=%u ", state->held[i].object, state->held[i].version);
	if (state->tear.object != NONE)
		buf_printf(&b, "torn %u %u %x", state->tear.object, state->tear.older,
			   state->tear.sectors);
	buf_text(&b);
	return b.data;
}

static void states_add(struct states *s, const struct state *state)
{
	*MEM_PUSH(s->items, s->n, s->cap) = state_bytes(state);
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void states_sort(struct states *s)
{
	if (s->n)
		qsort(s->items, s->n, sizeof *s->items, compare_items);
}

/* The set must be sorted. */
static bool states_have(const struct states *s, const struct state *state)
{
	char *item = state_bytes(state);
	bool found = s->n && bsearch(&item, s->items, s->n, sizeof *s->items, compare_items);
	free(item);
	return found;
}

static void states_finish(struct states *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->items[i]);
	free(s->items);
	*s = (struct states){0};
}

static void collect(struct model *model, enum chooser_kind kind, uint32_t newest, uint64_t budget,
		    uint64_t seed, struct states *s)
{
	struct state state;
	struct chooser *c = chooser_create(model, kind, newest, budget, seed);
	while (chooser_next(c, &state))
		states_add(s, &state);
	chooser_destroy(c);
}

/* ---- every point of random traces ---- */

/* What is looked at: a model at a point with all of its states. */
struct spot {
	struct model *model;
	const struct ops *ops;
	uint32_t newest; /* the micro-op before the point, or NONE */
	struct states all;
	const char *text;
	uint64_t seed;
};

typedef void spot_test(struct spot *spot);

static void look_at_points(struct spot *spot, const struct profile *profile, spot_test *test)
{
	spot->model = model_create(spot->ops, profile);
	do {
		uint32_t point = model_point(spot->model);
		const struct step *s = point ? &spot->ops->steps[point - 1] : NULL;
		struct count count = model_count(spot->model, 0);
		spot->newest = s && s->kind == STEP_MICRO ? s->micro : NONE;
		if (!count.exact || count.states > STATES_MAX)
			continue;
		collect(spot->model, CHOOSE_EXHAUSTIVE, NONE, 0, 0, &spot->all);
		states_sort(&spot->all);
		test(spot);
		states_finish(&spot->all);
	} while (model_advance(spot->model));
	model_destroy(spot->model);
}

static void look_at_traces(const struct profile *profile, unsigned rounds, spot_test *test)
{
	for (unsigned i = 0; i < traces_rounds(rounds); i++) {
		struct prng prng;
		prng_init(&prng, i + 77);
		unsigned mix = TRACES_ALL | TRACES_SMALL | (i % 4 ? 0 : TRACES_STORES);
		char *text = traces_random(&prng, 9, mix);
		struct traces_lowered l = traces_lower(text);
		struct spot spot = {.ops = l.ops, .text = text, .seed = i};
		look_at_points(&spot, profile, test);
		traces_release(&l);
		free(text);
	}
}

/* ---- exhaustive ---- */

static void each_once(struct spot *spot)
{
	for (size_t i = 1; i < spot->all.n; i++)
		ck_assert_str_ne(spot->all.items[i - 1], spot->all.items[i]);
	ck_assert_uint_eq(spot->all.n, model_count(spot->model, 0).states);
}

START_TEST(exhaustive_gives_each_state_once_and_as_many_as_are_counted)
{
	look_at_traces(&profile_table[_i], 60, each_once);
}
END_TEST

static uint32_t version_of(const struct state *state, const struct ops *ops, uint32_t object)
{
	for (uint32_t i = 0; i < state->n_held; i++)
		if (state->held[i].object == object)
			return state->held[i].version;
	return ops_newest(ops, object, state->point);
}

/* Whether an object can be seen in a state: else it is in no version at all. */
static bool seen(const struct state *state, const struct ops *ops, uint32_t object)
{
	const struct object *o = &ops->objects[object];
	bool named = o->kind == OBJECT_ENTRY;
	for (uint32_t i = 0; i < ops->n_objects && !named; i++)
		named = ops->objects[i].kind == OBJECT_ENTRY &&
			ops_entry(ops, i, version_of(state, ops, i)) == o->ino;
	if (!named || o->kind != OBJECT_BLOCK)
		return named;
	uint32_t size = ops->inodes[o->ino].size_object;
	return (uint64_t)o->block * BLOCK_BYTES < ops_size(ops, size, version_of(state, ops, size));
}

/* `newest` gives all states that visibly hold the micro-op, and no state that
 * visibly does not; where it cannot be seen either is as good. */
static void newest_is_there(struct spot *spot)
{
	struct states with = {0};
	struct state state;
	if (spot->newest == NONE || model_profile(spot->model)->order == ORDER_ISSUED)
		return;
	const struct micro *m = &spot->ops->micros[spot->newest];
	collect(spot->model, CHOOSE_EXHAUSTIVE, spot->newest, 0, 0, &with);
	states_sort(&with);
	struct chooser *c = chooser_create(spot->model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(c, &state)) {
		if (!seen(&state, spot->ops, m->object))
			continue;
		bool holds = version_of(&state, spot->ops, m->object) >= m->version;
		bool torn = state.tear.object == m->object;
		if (holds || !torn)
			ck_assert_msg(holds == states_have(&with, &state) || torn, "%s",
				      spot->text);
	}
	chooser_destroy(c);
	for (size_t i = 1; i < with.n; i++)
		ck_assert_str_ne(with.items[i - 1], with.items[i]);
	for (size_t i = 0; i < with.n; i++)
		ck_assert(bsearch(&with.items[i], spot->all.items, spot->all.n, sizeof *with.items,
				  compare_items));
	size_t mark = model_mark(spot->model);
	model_at_least(spot->model, m->object, m->version);
	struct count count = model_count(spot->model, 0);
	model_undo(spot->model, mark);
	ck_assert_msg(count.exact && count.states == with.n,
		      "%lu counted, %zu given under %s in\n%s", (unsigned long)count.states, with.n,
		      model_profile(spot->model)->name, spot->text);
	states_finish(&with);
}

START_TEST(newest_gives_exactly_the_states_that_hold_the_micro_op)
{
	look_at_traces(&profile_table[_i], 60, newest_is_there);
}
END_TEST

/* ---- ladder and random ---- */

static void stays_within(struct spot *spot)
{
	for (int kind = CHOOSE_LADDER; kind <= CHOOSE_RANDOM; kind++)
		for (int with = 0; with < 2; with++) {
			struct state state;
			struct states given = {0};
			uint32_t newest = with ? spot->newest : NONE;
			struct chooser *c = chooser_create(spot->model, (enum chooser_kind)kind,
							   newest, 40, spot->seed);
			while (chooser_next(c, &state)) {
				ck_assert_msg(states_have(&spot->all, &state),
					      "point %u under %s of\n%s", state.point,
					      model_profile(spot->model)->name, spot->text);
				states_add(&given, &state);
			}
			chooser_destroy(c);
			ck_assert_uint_le(given.n, 40);
			ck_assert_uint_ge(given.n, 1);
			states_sort(&given);
			for (size_t i = 1; i < given.n; i++)
				ck_assert_str_ne(given.items[i - 1], given.items[i]);
			/* Of two or three states, all, none and one prefix are all there is. */
			if (newest == NONE && kind == CHOOSE_LADDER && spot->all.n <= 3)
				ck_assert_uint_eq(given.n, spot->all.n);
			states_finish(&given);
		}
}

START_TEST(ladder_and_random_stay_within_the_states_and_the_budget)
{
	look_at_traces(&profile_table[_i], 60, stays_within);
}
END_TEST

static void repeats(struct spot *spot)
{
	for (int kind = CHOOSE_LADDER; kind <= CHOOSE_RANDOM; kind++) {
		struct states a = {0}, b = {0};
		collect(spot->model, (enum chooser_kind)kind, NONE, 30, 5, &a);
		collect(spot->model, (enum chooser_kind)kind, NONE, 30, 5, &b);
		for (size_t i = 0; i < a.n; i++)
			ck_assert_str_eq(a.items[i], b.items[i]);
		states_finish(&a);
		states_finish(&b);
	}
}

START_TEST(the_same_seed_gives_the_same_states)
{
	look_at_traces(&profile_table[_i], 20, repeats);
}
END_TEST

/* Four writes to four files: nothing depends on anything. */
static const char four[] = "start-file a x*512\nstart-file b x*512\nstart-file c x*512\n"
			   "start-file d x*512\nwrite a 0 1*512\nwrite b 0 2*512\n"
			   "write c 0 3*512\nwrite d 0 4*512";

START_TEST(the_rungs_of_the_ladder_come_in_order)
{
	static const unsigned expected[] = {
		15,		  /* all */
		0,		  /* none */
		1,  3,	7,	  /* prefixes */
		14, 13, 11,	  /* one left out; without the last is a prefix */
		2,  4,	8,	  /* one kept; the first alone is a prefix */
		12, 10, 6,  9, 5, /* two left out */
	};
	struct traces_lowered l = traces_lower(four);
	struct model *model = model_create(l.ops, profile_find("posix"));
	struct state state;
	while (model_advance(model))
		continue;
	uint32_t n;
	const uint32_t *pending = model_pending(model, &n);
	ck_assert_uint_eq(n, 4);
	struct chooser *c = chooser_create(model, CHOOSE_LADDER, NONE, 200, 1);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		unsigned set = 15;
		ck_assert(chooser_next(c, &state));
		ck_assert_uint_eq(state.tear.object, NONE);
		for (uint32_t k = 0; k < n; k++)
			if (version_of(&state, l.ops, pending[k]) == 0)
				set &= ~(1u << k);
		ck_assert_msg(set == expected[i], "state %zu holds %x, expected %x", i, set,
			      expected[i]);
	}
	chooser_destroy(c);
	model_destroy(model);
	traces_release(&l);
}
END_TEST

START_TEST(the_ladder_tears_each_pending_block)
{
	struct traces_lowered l = traces_lower(
		"start-file f a*4096\nwrite f 0 b*4096\nwrite f 0 c*4096\nappend f d*4096");
	struct model *model = model_create(l.ops, profile_find("posix"));
	struct state state;
	unsigned seen_tears = 0;
	while (model_advance(model))
		continue;
	uint32_t block = ops_block_object(l.ops, 2, 0), second = ops_block_object(l.ops, 2, 1);
	struct chooser *c = chooser_create(model, CHOOSE_LADDER, NONE, 40, 1);
	while (chooser_next(c, &state)) {
		if (state.tear.object == block)
			seen_tears |= state.tear.older == 0 ? 1 : 2;
		if (state.tear.object == block && state.tear.sectors == 0x0f)
			seen_tears |= 4;
		if (state.tear.object == block && state.tear.sectors == 0x80)
			seen_tears |= 8;
		if (state.tear.object == second)
			seen_tears |= 16;
	}
	ck_assert_uint_eq(seen_tears, 31);
	chooser_destroy(c);
	model_destroy(model);
	traces_release(&l);
}
END_TEST

/* In a long chain, random states must not all be short prefixes. */
START_TEST(random_states_of_a_long_chain_are_of_all_lengths)
{
	struct buf text = {0};
	for (int i = 0; i < 400; i++)
		buf_printf(&text, "creat f%d\n", i);
	struct traces_lowered l = traces_lower(buf_text(&text));
	struct model *model = model_create(l.ops, profile_find("ext4"));
	struct state state;
	unsigned quarters = 0;
	while (model_advance(model))
		continue;
	struct chooser *c = chooser_create(model, CHOOSE_RANDOM, NONE, 60, 9);
	while (chooser_next(c, &state))
		quarters |= 1u << (state.n_held * 4 / 401);
	ck_assert_uint_eq(quarters, 15);
	chooser_destroy(c);
	model_destroy(model);
	traces_release(&l);
	buf_finish(&text);
}
END_TEST

/* ---- IDs ---- */

static void same_state(const struct state *a, const struct state *b)
{
	ck_assert_uint_eq(a->point, b->point);
	ck_assert_uint_eq(a->n_held, b->n_held);
	for (uint32_t i = 0; i < a->n_held; i++) {
		ck_assert_uint_eq(a->held[i].object, b->held[i].object);
		ck_assert_uint_eq(a->held[i].version, b->held[i].version);
	}
	ck_assert_uint_eq(a->tear.object, b->tear.object);
	if (a->tear.object != NONE) {
		ck_assert_uint_eq(a->tear.older, b->tear.older);
		ck_assert_uint_eq(a->tear.sectors, b->tear.sectors);
	}
}

/* From a state to its ID and back, with a model that was never there. */
static void there_and_back(const struct spot *spot, const struct state *state)
{
	const struct profile *profile = model_profile(spot->model);
	struct buf id = {0}, held = {0};
	struct state again;
	struct err err;
	state_id(spot->model, state, &id);
	ck_assert_ptr_eq(state_id_profile(buf_text(&id)), profile);
	ck_assert_uint_eq(strspn(buf_text(&id), "abcdefghijklmnopqrstuvwxyz0123456789.-"), id.len);
	struct model *fresh = model_create(spot->ops, profile);
	ck_assert_msg(state_from_id(fresh, buf_text(&id), &again, &held, &err) == 0, "%s",
		      err.text);
	same_state(state, &again);
	model_destroy(fresh);
	buf_finish(&id);
	buf_finish(&held);
}

/* While the chooser is at work: asking for an ID must not disturb it. */
static void ids_return(struct spot *spot)
{
	for (int kind = CHOOSE_EXHAUSTIVE; kind <= CHOOSE_RANDOM; kind++) {
		struct state state;
		uint64_t every = kind == CHOOSE_EXHAUSTIVE ? 1 + spot->all.n / 20 : 1, n = 0;
		struct chooser *c = chooser_create(spot->model, (enum chooser_kind)kind,
						   spot->newest, 20, spot->seed);
		while (chooser_next(c, &state))
			if (n++ % every == 0)
				there_and_back(spot, &state);
		chooser_destroy(c);
	}
}

START_TEST(an_id_gives_the_same_state_again)
{
	look_at_traces(&profile_table[_i], 20, ids_return);
}
END_TEST

START_TEST(the_state_where_everything_reached_the_disk_is_called_0)
{
	struct traces_lowered l = traces_lower(four);
	struct model *model = model_create(l.ops, profile_find("ext4"));
	struct buf id = {0};
	while (model_advance(model))
		continue;
	struct state state = {.point = model_point(model), .tear.object = NONE};
	state_id(model, &state, &id);
	ck_assert_str_eq(buf_text(&id), "ext4.4.0");
	buf_finish(&id);
	model_destroy(model);
	traces_release(&l);
}
END_TEST

static const struct {
	const char *id, *says;
} nonsense[] = {
	{"", "is no crash-state ID"},
	{"ext4", "is no crash-state ID"},
	{"ext4.", "is no crash-state ID"},
	{"ext4.4", "is no crash-state ID"},
	{"ext4.4.", "is no crash-state ID"},
	{"ext4..0", "is no crash-state ID"},
	{"ext4.-1.0", "is no crash-state ID"},
	{"ext4. 4.0", "is no crash-state ID"},
	{"ext4.4x.0", "is no crash-state ID"},
	{"xfs.4.0", "is no crash-state ID of profile ext4"},
	{"ext4.4.!", "'!' is not one of 0-9a-v"},
	{"ext4.4.Z", "'Z' is not one of 0-9a-v"},
	{"ext4.5.0", "the trace has no crash point 5"},
	{"ext4.99999999999999999999999.0", "the trace has no crash point"},
	{"ext4.4.v1", "does not fit this trace"}, /* more answers than questions */
	{"ext4.4.00", "does not fit this trace"}, /* zeros at the end are left out */
	{"ext4.04.0", "does not fit this trace"},
	{"ext4.4.0000000000000000000000v", "does not fit this trace"},
};

START_TEST(nonsense_is_refused_with_a_text)
{
	struct traces_lowered l = traces_lower(four);
	struct model *model = model_create(l.ops, profile_find("ext4"));
	struct state state;
	struct buf held = {0};
	struct err err;
	ck_assert_int_eq(state_from_id(model, nonsense[_i].id, &state, &held, &err), ERR_USAGE);
	ck_assert_msg(strstr(err.text, nonsense[_i].says) != NULL, "%s: %s", nonsense[_i].id,
		      err.text);
	buf_finish(&held);
	model_destroy(model);
	traces_release(&l);
}
END_TEST

/* An ID of another trace is refused, or else names a state that this one has:
 * never anything beyond the rules, and never a crash. */
START_TEST(an_id_of_another_trace_gives_no_illegal_state)
{
	struct prng prng;
	unsigned refused = 0, tried = 400;
	prng_init(&prng, 3);
	struct traces_lowered l = traces_lower(four);
	for (unsigned i = 0; i < tried; i++) {
		struct state state;
		struct buf held = {0}, id = {0}, again = {0};
		struct err err;
		struct model *model = model_create(l.ops, profile_find("posix"));
		buf_printf(&id, "posix.%u.", (unsigned)prng_below(&prng, 5));
		for (uint64_t n = 1 + prng_below(&prng, 5); n; n--)
			buf_byte(&id, (uint8_t) "0123456789abcdefghijklmnopqrstuv"[prng_below(&prng,
											      32)]);
		int rc = state_from_id(model, buf_text(&id), &state, &held, &err);
		refused += rc != 0;
		if (rc == 0) {
			state_id(model, &state, &again);
			ck_assert_str_eq(buf_text(&again), buf_text(&id));
		}
		buf_finish(&held);
		buf_finish(&id);
		buf_finish(&again);
		model_destroy(model);
	}
	ck_assert_uint_gt(refused, tried / 2);
	traces_release(&l);
}
END_TEST

START_TEST(an_unknown_profile_is_none)
{
	ck_assert_ptr_null(state_id_profile("zfs.1.0"));
	ck_assert_ptr_null(state_id_profile("nonsense"));
	ck_assert_ptr_null(state_id_profile(""));
}
END_TEST

/* ---- more on disk ---- */

static void restores(struct spot *spot)
{
	struct state state, nearer;
	struct buf held = {0};
	uint32_t n;
	const uint32_t *pending = model_pending(spot->model, &n);
	struct chooser *c = chooser_create(spot->model, CHOOSE_LADDER, NONE, 20, 2);
	while (n && chooser_next(c, &state)) {
		uint32_t object = pending[state.n_held % n];
		uint32_t newest = ops_newest(spot->ops, object, state.point);
		state_restore(spot->model, &state, object, &nearer, &held);
		ck_assert_uint_eq(version_of(&nearer, spot->ops, object), newest);
		ck_assert(states_have(&spot->all, &nearer));
	}
	chooser_destroy(c);
	buf_finish(&held);
}

START_TEST(restoring_an_object_gives_a_legal_state_that_has_it)
{
	look_at_traces(&profile_table[_i], 40, restores);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("choose");
	int n = sizeof nonsense / sizeof *nonsense;
	tcase_add_loop_test(cases, exhaustive_gives_each_state_once_and_as_many_as_are_counted, 0,
			    PROFILES);
	tcase_add_loop_test(cases, newest_gives_exactly_the_states_that_hold_the_micro_op, 0,
			    PROFILES);
	tcase_add_loop_test(cases, ladder_and_random_stay_within_the_states_and_the_budget, 0,
			    PROFILES);
	tcase_add_loop_test(cases, the_same_seed_gives_the_same_states, 0, PROFILES);
	tcase_add_test(cases, the_rungs_of_the_ladder_come_in_order);
	tcase_add_test(cases, the_ladder_tears_each_pending_block);
	tcase_add_test(cases, random_states_of_a_long_chain_are_of_all_lengths);
	tcase_add_loop_test(cases, an_id_gives_the_same_state_again, 0, PROFILES);
	tcase_add_test(cases, the_state_where_everything_reached_the_disk_is_called_0);
	tcase_add_loop_test(cases, nonsense_is_refused_with_a_text, 0, n);
	tcase_add_test(cases, an_id_of_another_trace_gives_no_illegal_state);
	tcase_add_test(cases, an_unknown_profile_is_none);
	tcase_add_loop_test(cases, restoring_an_object_gives_a_legal_state_that_has_it, 0,
			    PROFILES);
	tcase_set_timeout(cases, 600);
	Suite *suite = suite_create("choose");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
