/* Whether the model admits what was seen, held against all the states that it has. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "admits.h"
#include "choose.h"
#include "lib_traces.h"
#include "mem.h"

enum { STATES_MAX = 400 };

struct set {
	struct digest *list;
	size_t n, cap;
};

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

static bool has(const struct set *set, struct digest d)
{
	return set->n && bsearch(&d, set->list, set->n, sizeof d, compare_digests);
}

static bool same(struct digest a, struct digest b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

/* The trees of all states of the model's present point: their digests in set, and,
 * where wanted, they themselves. */
static void collect(struct model *model, struct image *image, bool data, struct set *set,
		    struct buf **trees, size_t *n_trees)
{
	struct state state;
	size_t cap = 0;
	struct chooser *c = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(c, &state)) {
		struct buf tree = {0};
		image_goto(image, &state);
		seen_image(image, data, &tree);
		*MEM_PUSH(set->list, set->n, set->cap) =
			((const struct seen *)(void *)tree.data)->digest;
		if (trees)
			*MEM_PUSH(*trees, *n_trees, cap) = tree;
		else
			buf_finish(&tree);
	}
	chooser_destroy(c);
	if (set->n)
		qsort(set->list, set->n, sizeof *set->list, compare_digests);
}

static void release(struct set *set, struct buf *trees, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_finish(&trees[i]);
	free(trees);
	free(set->list);
	*set = (struct set){0};
}

static bool is_small(struct model *model)
{
	struct count count = model_count(model, 0);
	return count.exact && count.states <= STATES_MAX;
}

/* Asks, and looks at the state that is given: it shows the same tree, and it is a state
 * that has an ID. */
static enum admitted ask(struct model *model, struct image *image, const struct seen *seen,
			 uint64_t work)
{
	struct state state, again;
	struct buf held = {0}, tree = {0}, id = {0}, held_again = {0};
	struct err err;
	size_t mark = model_mark(model);
	enum admitted admitted = model_admits(model, seen, work, &state, &held);
	ck_assert_uint_eq(model_mark(model), mark);
	if (admitted == ADMITTED_YES) {
		image_goto(image, &state);
		seen_image(image, false, &tree);
		ck_assert(same(((const struct seen *)(void *)tree.data)->digest, seen->digest));
		state_id(model, &state, &id);
		ck_assert_msg(state_from_id(model, buf_text(&id), &again, &held_again, &err) == 0,
			      "%s", err.text);
		ck_assert_uint_eq(again.n_held, state.n_held);
		ck_assert(!state.n_held || memcmp(again.held, state.held,
						  state.n_held * sizeof *state.held) == 0);
		ck_assert_uint_eq(again.tear.object, state.tear.object);
		ck_assert(state.tear.object == NONE || (again.tear.older == state.tear.older &&
							again.tear.sectors == state.tear.sectors));
	}
	buf_finish(&held);
	buf_finish(&held_again);
	buf_finish(&tree);
	buf_finish(&id);
	return admitted;
}

static void complain(struct model *model, const struct seen *seen, const char *text,
		     const char *what)
{
	struct buf out = {0};
	seen_print(seen, &out);
	model_admits_not(model, seen, &out);
	ck_abort_msg("%s, point %u: %s:\n%s\nof\n%s", model_profile(model)->name,
		     model_point(model), what, buf_text(&out), text);
}

/* What the model must say of a tree, given all that it has. */
static void check_answer(struct model *model, struct image *image, const struct set *own,
			 const struct seen *seen, const char *text)
{
	enum admitted admitted = ask(model, image, seen, 0);
	bool should = has(own, seen->digest);
	if (admitted == ADMITTED_UNKNOWN)
		complain(model, seen, text, "given up");
	if (should != (admitted == ADMITTED_YES))
		complain(model, seen, text, should ? "not admitted" : "wrongly admitted");
	struct buf why = {0};
	if (!should)
		model_admits_not(model, seen, &why);
	ck_assert(should || (why.len && !strstr(buf_text(&why), "admitted")));
	buf_finish(&why);
}

/* Each state of one profile is admitted by another exactly where that one has a state
 * of the same tree, at this point and every other. */
static void compare(const char *text, struct traces_lowered *l, const struct profile *from,
		    const struct profile *to, unsigned every, unsigned *asked, unsigned *no)
{
	struct model *a = model_create(l->ops, from), *b = model_create(l->ops, to);
	struct image *image = image_create(l->ops);
	do {
		struct set all = {0}, own = {0};
		struct buf *trees = NULL;
		size_t n = 0;
		if (model_point(a) % every == 0 && is_small(a) && is_small(b)) {
			collect(a, image, model_point(a) % 2, &all, &trees, &n);
			collect(b, image, false, &own, NULL, NULL);
			for (size_t i = 0; i < n; i++) {
				const struct seen *seen = (const void *)trees[i].data;
				check_answer(b, image, &own, seen, text);
				*no += !has(&own, seen->digest);
				++*asked;
			}
		}
		release(&all, trees, n);
		release(&own, NULL, 0);
		/* A look is one step for all profiles, as is a rename. */
	} while (model_advance(a) && model_advance(b));
	image_destroy(image);
	model_destroy(a);
	model_destroy(b);
}

static unsigned pick_mix(uint64_t seed)
{
	static const unsigned mixes[] = {
		TRACES_ALL | TRACES_SMALL,
		TRACES_ALL | TRACES_SMALL | TRACES_STORES,
		TRACES_WRITES | TRACES_SYNCS | TRACES_RANGES | TRACES_SMALL,
		TRACES_NAMES | TRACES_DIRECTORIES | TRACES_LINKS | TRACES_SYNCS,
		TRACES_NAMES | TRACES_WRITES | TRACES_SYNCS,
		TRACES_ALL,
	};
	return mixes[seed % (sizeof mixes / sizeof *mixes)];
}

START_TEST(each_state_is_admitted_where_it_is_one)
{
	unsigned asked = 0, no = 0;
	for (uint64_t seed = 0; seed < traces_rounds(60); seed++) {
		struct prng prng;
		prng_init(&prng, seed * 100 + (uint64_t)_i);
		char *text = traces_random(&prng, 6 + (unsigned)seed % 8, pick_mix(seed));
		struct traces_lowered l = traces_lower(text);
		compare(text, &l, &profile_table[_i], &profile_table[_i], 3, &asked, &no);
		traces_release(&l);
		free(text);
	}
	ck_assert_uint_gt(asked, traces_rounds(100));
	ck_assert_uint_eq(no, 0);
}
END_TEST

START_TEST(other_trees_are_not)
{
	static const char *const from[] = {"posix", "posix-dir", "btrfs", "ext4"};
	unsigned asked = 0, no = 0;
	for (uint64_t seed = 0; seed < traces_rounds(60); seed++) {
		struct prng prng;
		prng_init(&prng, seed * 100 + 50 + (uint64_t)_i);
		char *text = traces_random(&prng, 6 + (unsigned)seed % 8, pick_mix(seed));
		struct traces_lowered l = traces_lower(text);
		compare(text, &l, profile_find(from[seed % 4]), &profile_table[_i], 3, &asked, &no);
		traces_release(&l);
		free(text);
	}
	ck_assert_uint_gt(asked, traces_rounds(100));
	/* posix has everything but some states of btrfs. */
	ck_assert(no > 0 || strcmp(profile_table[_i].name, "posix") == 0);
}
END_TEST

int main(void)
{
	int n = 0;
	while (profile_table[n].name)
		n++;
	TCase *cases = tcase_create("admits");
	tcase_set_timeout(cases, 200);
	tcase_add_loop_test(cases, each_state_is_admitted_where_it_is_one, 0, n);
	tcase_add_loop_test(cases, other_trees_are_not, 0, n);
	Suite *suite = suite_create("admits");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
