/* The plan of crash points loses no state: the images that the planned points
 * show are all images that any point shows. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "image.h"
#include "lib_traces.h"
#include "mem.h"
#include "points.h"
#include "profile.h"

enum { TRACES = 60, CALLS = 9, STATES_MAX = 3000 };

struct set {
	struct digest *list;
	size_t n, cap;
};

static bool has(const struct set *set, struct digest d)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->list[i].lo == d.lo && set->list[i].hi == d.hi)
			return true;
	return false;
}

/* Adds the images of the model's present point; keep as for choosing. */
static void add_images(struct set *set, struct model *model, struct image *image, uint32_t keep)
{
	struct state state;
	struct chooser *c = chooser_create(model, CHOOSE_EXHAUSTIVE, keep, 0, 0);
	while (chooser_next(c, &state)) {
		image_goto(image, &state);
		struct digest d = image_digest(image);
		if (!has(set, d))
			*MEM_PUSH(set->list, set->n, set->cap) = d;
	}
	chooser_destroy(c);
}

static bool small(struct model *model)
{
	struct count count = model_count(model, 0);
	return count.exact && count.states <= STATES_MAX;
}

/* What the planned points show, up to a point; false where there is too much. */
static bool planned(struct set *set, const struct subject *s, const struct profile *profile)
{
	struct points points = {0};
	struct model *model = model_create(s->ops, profile);
	struct image *image = image_create(s->ops);
	bool ok = true;
	points_plan(&points, s, profile, NULL, NULL);
	for (size_t i = 0; i < points.n && ok; i++) {
		while (model_point(model) < points.list[i].point)
			model_advance(model);
		ok = small(model);
		if (ok)
			add_images(set, model, image, points.list[i].keep);
	}
	image_destroy(image);
	model_destroy(model);
	points_finish(&points);
	return ok;
}

static void compare(const char *text, const struct profile *profile)
{
	struct traces_lowered l = traces_lower(text);
	struct subject s = {.trace = l.trace, .ops = l.ops};
	struct engine_contract contract = {.ack = ENGINE_ACK_EACH, .every = 1};
	struct set shown = {0};
	struct err err;
	ck_assert_msg(history_create(l.trace, &s.history, &err) == 0, "%s", err.text);
	struct charge charge = {.history = s.history, .contract = &contract};
	s.contract = &contract;
	s.jury = jury_create(&charge);
	if (planned(&shown, &s, profile)) {
		struct model *model = model_create(l.ops, profile);
		struct image *image = image_create(l.ops);
		struct set all = {0};
		do
			add_images(&all, model, image, NONE);
		while (model_advance(model));
		for (size_t i = 0; i < all.n; i++)
			ck_assert_msg(has(&shown, all.list[i]), "%s: a state is lost of\n%s",
				      profile->name, text);
		free(all.list);
		image_destroy(image);
		model_destroy(model);
	}
	free(shown.list);
	traces_release(&l);
}

START_TEST(the_plan_loses_no_state)
{
	for (uint64_t seed = 0; seed < TRACES; seed++) {
		struct prng prng;
		prng_init(&prng, seed + 1000);
		unsigned mix = TRACES_ALL | TRACES_SMALL | (seed % 4 ? 0 : TRACES_STORES);
		char *text = traces_random(&prng, CALLS, mix);
		compare(text, &profile_table[_i]);
		free(text);
	}
}
END_TEST

START_TEST(a_write_in_place_may_be_torn_before_its_sync)
{
	compare("start-file f a*4096\nwrite f 0 b*4096\nfsync f\n", profile_find("posix"));
}
END_TEST

START_TEST(what_is_fsynced_overtakes_at_its_sync)
{
	compare("start-file t a*10\nrename t b\ncreat clean\nwrite clean 0 c*10\nfsync clean\n",
		profile_find("btrfs"));
}
END_TEST

START_TEST(a_budget_is_shared_and_never_exceeded)
{
	struct point list[4] = {{.chosen = {1, true}},
				{.chosen = {100, true}},
				{.chosen = {7, true}},
				{.chosen = {1000, false}}};
	struct points points = {.list = list, .n = 4};
	uint64_t level = points_share(&points, 58);
	ck_assert_uint_eq(level, 25);			      /* 1 + 25 + 7 + 25 */
	ck_assert_uint_gt(points_share(&points, 0), 1000000); /* no limit */
}
END_TEST

/* One state a point would be the whole one, which says nothing of losses. */
START_TEST(a_small_budget_is_for_a_few_states_of_some_points)
{
	enum { N = 1000, BUDGET = 600 };
	struct point list[N];
	struct points points = {.list = list, .n = N};
	uint64_t taken = 0, acknowledged = 0;
	for (uint32_t i = 0; i < N; i++)
		list[i] = (struct point){.newest = i % 10 ? i : NONE, .chosen = {i % 7 + 1, true}};
	uint64_t level = points_share(&points, BUDGET);
	ck_assert(points.sparse);
	ck_assert_uint_ge(level, 8);
	for (uint32_t i = 0; i < N; i++)
		if (!list[i].skipped) {
			taken += list[i].chosen.states;
			acknowledged += list[i].newest == NONE ? list[i].chosen.states : 0;
		}
	ck_assert_uint_le(taken, BUDGET);
	ck_assert_uint_gt(taken, BUDGET - 20);
	ck_assert_uint_gt(acknowledged, BUDGET / 2 - 20);
}
END_TEST

int main(void)
{
	int n = 0;
	while (profile_table[n].name)
		n++;
	TCase *cases = tcase_create("points");
	tcase_set_timeout(cases, 200);
	tcase_add_loop_test(cases, the_plan_loses_no_state, 0, n);
	tcase_add_test(cases, a_write_in_place_may_be_torn_before_its_sync);
	tcase_add_test(cases, what_is_fsynced_overtakes_at_its_sync);
	tcase_add_test(cases, a_budget_is_shared_and_never_exceeded);
	tcase_add_test(cases, a_small_budget_is_for_a_few_states_of_some_points);
	Suite *suite = suite_create("points");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
