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
		ck_assert(!state.n_held ||
			  memcmp(again.held, state.held, state.n_held * sizeof *state.held) == 0);
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
		TRACES_NAMES | TRACES_LINKS,
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

/* What was there at other times: trees that a state may show, or may not. */
START_TEST(times_are_told_apart)
{
	unsigned yes = 0, no = 0;
	for (uint64_t seed = 0; seed < traces_rounds(30); seed++) {
		struct prng prng;
		prng_init(&prng, seed * 100 + 70 + (uint64_t)_i);
		char *text = traces_random(&prng, 6 + (unsigned)seed % 8, pick_mix(seed));
		struct traces_lowered l = traces_lower_threads(text, &prng);
		struct model *model = model_create(l.ops, &profile_table[_i]);
		struct image *image = image_create(l.ops);
		struct buf *trees = mem_alloc((size_t)l.ops->n_steps + 1, sizeof *trees);
		for (uint32_t point = 0; point <= l.ops->n_steps; point++) {
			struct state state = {.point = point, .tear = {.object = NONE}};
			image_goto(image, &state);
			seen_image(image, point % 2, &trees[point]);
		}
		do {
			struct set own = {0};
			if (model_point(model) % 3 == 0 && is_small(model)) {
				collect(model, image, false, &own, NULL, NULL);
				for (uint32_t point = 0; point <= l.ops->n_steps; point++) {
					const struct seen *seen = (const void *)trees[point].data;
					check_answer(model, image, &own, seen, text);
					*(has(&own, seen->digest) ? &yes : &no) += 1;
				}
			}
			release(&own, NULL, 0);
		} while (model_advance(model));
		image_destroy(image);
		model_destroy(model);
		release(&(struct set){0}, trees, (size_t)l.ops->n_steps + 1);
		traces_release(&l);
		free(text);
	}
	ck_assert_uint_gt(yes, traces_rounds(100));
	ck_assert_uint_gt(no, traces_rounds(100));
}
END_TEST

/* Trees that are found only by going back on earlier choices: of names that are alike,
 * and of a block that a torn one could explain as well as a whole one. */
START_TEST(choices_are_taken_back)
{
	static const char *const texts[] = {
		"start-file a\nstart-file b\nstart-link d b\nrename a d\nlink d c\nrename c b\n",
		"start-file a\ncreat b\nrename b a\ncreat b\nrename b c\ncreat b\nrename a b\n"
		"rename c a\n",
		"start-file a x*4608\nappend a A*512\nwrite a 512 B*700\nzero a 4096 512\n"
		"append a C*700\n",
	};
	unsigned asked = 0, no = 0;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (const struct profile *from = profile_table; from->name; from++) {
			struct traces_lowered l = traces_lower(texts[i]);
			compare(texts[i], &l, from, &profile_table[_i], 1, &asked, &no);
			traces_release(&l);
		}
}
END_TEST

/* ---- by hand ---- */

/* The tree that a program leaves without a crash. */
static void tree_of(const char *text, bool data, struct buf *tree)
{
	struct traces_lowered l = traces_lower(text);
	struct image *image = image_create(l.ops);
	struct state state = {.point = l.ops->n_steps, .tear = {.object = NONE}};
	image_goto(image, &state);
	seen_image(image, data, tree);
	image_destroy(image);
	traces_release(&l);
}

/* Whether a profile admits, at the end of a trace, the tree that another one leaves;
 * why not is found in the words. */
static enum admitted admits(const char *text, const char *profile, const char *other, uint64_t work,
			    const char *why)
{
	struct traces_lowered l = traces_lower(text);
	struct model *model = model_create(l.ops, profile_find(profile));
	struct image *image = image_create(l.ops);
	struct buf tree = {0}, words = {0};
	tree_of(other, true, &tree);
	while (model_advance(model))
		continue;
	const struct seen *seen = (const void *)tree.data;
	enum admitted admitted = ask(model, image, seen, work);
	if (admitted == ADMITTED_NO)
		model_admits_not(model, seen, &words);
	ck_assert_msg(strstr(buf_text(&words), why), "\"%s\" is not in \"%s\"", why,
		      buf_text(&words));
	buf_finish(&tree);
	buf_finish(&words);
	image_destroy(image);
	model_destroy(model);
	traces_release(&l);
	return admitted;
}

#define YES(text, profile, other)                                                                  \
	ck_assert_int_eq(admits(text, profile, other, 0, ""), ADMITTED_YES)
#define NO(text, profile, other, why)                                                              \
	ck_assert_int_eq(admits(text, profile, other, 0, why), ADMITTED_NO)

/* L21. */
START_TEST(what_was_cut_off_never_comes_back)
{
	const char *text = "start-file f x*1000\ntruncate f 0\ntruncate f 2000\n";
	YES(text, "posix", "start-file f x*1000\n");
	YES(text, "posix", "start-file f\n");
	YES(text, "posix", "start-file f 0*2000\n");
	NO(text, "posix", "start-file f x*1000+0*1000\n",
	   "f has 2000 bytes, and block 0 reads as no version of it does");
	NO(text, "posix", "start-file f 0*1000\n", "block 0 reads as zeros");
	NO(text, "posix", "start-file f x*10\n",
	   "f has 10 bytes, which no version of it has (it may have 2000, … or 1000)");
}
END_TEST

START_TEST(links_are_one_file)
{
	const char *text = "start-file a x*10\nfsync a\nlink a b\nwrite a 0 y*10\n";
	YES(text, "ext4", "start-file a x*10\nstart-link b a\n");
	YES(text, "ext4", "start-file a y*10\n");
	NO(text, "ext4", "start-file a x*10\nstart-file b x*10\n", "");
	NO(text, "ext4", "start-file a x*10\nstart-file b y*10\n", "");
	/* And two files are not. */
	text = "start-file a x*10\ncreat b\nwrite b 0 x*10\n";
	YES(text, "ext4", "start-file a x*10\nstart-file b x*10\n");
	NO(text, "ext4", "start-file a x*10\nstart-link b a\n",
	   "possible by itself, but in no state with the rest");
}
END_TEST

START_TEST(a_rename_over_a_file)
{
	const char *text = "start-file b o*5000\ncreat t\nwrite t 0 n*5000\nrename t b\n";
	YES(text, "ext4", "start-file b o*5000\n");
	YES(text, "ext4", "start-file b o*5000\nstart-file t\n");
	YES(text, "ext4", "start-file b n*4096+0*904\n");
	YES(text, "xfs", "start-file b\n");
	NO(text, "ext4", "start-file b\n", "in no state with the rest");
	NO(text, "ext4-lock", "start-file b 0*5000\n", "");
	NO(text, "posix", "start-file t n*5000\n", "b is missing, which it is in no state");
	NO(text, "posix", "start-file b n*5000\nstart-file t n*5000\n", "");
}
END_TEST

START_TEST(order_of_names)
{
	const char *text = "creat a\ncreat b\n";
	YES(text, "posix", "start-file b\n");
	NO(text, "ext4", "start-file b\n", "b, as it is, is possible by itself, but");
	NO(text, "posix", "start-file b\nstart-file c\n", "c is there, and nothing ever made it");
	NO(text, "posix", "start-dir b\n", "b is a directory, which no version of it is");
}
END_TEST

START_TEST(directories_and_symbolic_links)
{
	const char *text = "mkdir d\ncreat d/f\nwrite d/f 0 x*10\nsymlink d/l over/there\n"
			   "fsync d\nrename d e\n";
	YES(text, "xfs", "start-dir e\nstart-file e/f x*10\nstart-symlink e/l over/there\n");
	YES(text, "xfs", "start-dir d\nstart-file d/f\nstart-symlink d/l over/there\n");
	YES(text, "posix", "creat nothing\nunlink nothing\n"); /* d is nowhere */
	NO(text, "xfs", "start-dir d\nstart-symlink d/l over/there\n", "d/f is missing");
	NO(text, "xfs", "start-dir d\nstart-file d/f\nstart-symlink d/l elsewhere\n",
	   "d/l leads elsewhere");
	NO(text, "xfs", "start-dir e\nstart-file e/f\nstart-symlink e/l over/there\nstart-dir d\n",
	   "");
}
END_TEST

/* Versions of what has no name are no choice, and do not hold the search up. */
START_TEST(files_without_a_name)
{
	const char *text = "start-file a x*10\ntmpfile\nwrite #3 0 y*9000\nunlink a\n"
			   "write #2 0 z*10\nlink #3 b\nunlink b\n";
	YES(text, "ext4", "start-dir d\nrmdir d\n");
	YES(text, "ext4", "start-file a z*10\n");
	YES(text, "posix", "start-file b y*4096\n");
	NO(text, "ext4", "start-file a z*10\nstart-file b\n", "");
}
END_TEST

START_TEST(one_block_may_be_torn)
{
	const char *text = "start-file f a*8192\nwrite f 0 b*8192\n";
	YES(text, "posix", "start-file f b*512+a*3584+b*4096\n");
	YES(text, "posix", "start-file f a*4096+a*512+b*512+a*512+b*2560\n");
	NO(text, "posix", "start-file f b*512+a*3584+b*512+a*3584\n", "block 0");
	NO(text, "posix", "start-file f b*500+a*3596+b*4096\n", "block 0");
	NO(text, "ext4", "start-file f b*512+a*3584+b*4096\n", "block 0");
	/* What lies past the end, and is the same either way, decides nothing. */
	text = "start-file f a*600\nwrite f 0 b*600\n";
	YES(text, "posix", "start-file f b*512+a*88\n");
	YES(text, "posix", "start-file f a*512+b*88\n");
}
END_TEST

START_TEST(what_is_synced_and_what_is_to_come)
{
	NO("start-file f a*10\nwrite f 0 b*10\nfsync f\n", "ext4", "start-file f a*10\n",
	   "block 0 reads as at the start, which what was synced has replaced");
}
END_TEST

/* The search gives up only where it was allowed next to nothing. */
START_TEST(a_search_can_be_given_up)
{
	const char *text = "start-file a x*10\ncreat b\nwrite a 3 y*10\nrename a c\n";
	const char *other = "start-file c x*3+y*10\nstart-file b\n";
	ck_assert_int_eq(admits(text, "posix", other, 1, ""), ADMITTED_UNKNOWN);
	ck_assert_int_eq(admits(text, "posix", other, 100, ""), ADMITTED_YES);
}
END_TEST

/* Many files that look alike, of which the last is not there: without care each of the
 * many ways to explain the others is tried. */
START_TEST(what_cannot_be_is_seen_at_once)
{
	struct buf text = {0}, other = {0};
	for (int i = 0; i < 60; i++) {
		buf_printf(&text, "creat n%d\n", i);
		buf_printf(&other, "start-file n%d\n", i);
		for (int k = 0; k < 6; k++)
			buf_printf(&text, "creat t\nrename t n%d\n", i);
		if (i % 2)
			buf_printf(&text, "write n%d 0 x*5000\n", i);
	}
	buf_string(&text, "creat z\nwrite z 0 x*5000\nfsync z\n");
	for (size_t i = 0; profile_table[i].name; i++) {
		bool named = profile_table[i].fsync != NAMES_NONE || i < 2;
		ck_assert_int_eq(
			admits(buf_text(&text), profile_table[i].name, buf_text(&other), 0, ""),
			named ? ADMITTED_NO : ADMITTED_YES);
	}
	buf_string(&other, "start-file z x*5000\n");
	YES(buf_text(&text), "ext4-noda", buf_text(&other));
	YES(buf_text(&text), "xfs", buf_text(&other));
	buf_string(&other, "start-file t\n");
	YES(buf_text(&text), "posix", buf_text(&other));
	buf_finish(&text);
	buf_finish(&other);
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
	tcase_add_loop_test(cases, times_are_told_apart, 0, n);
	tcase_add_loop_test(cases, choices_are_taken_back, 0, n);
	tcase_add_test(cases, what_was_cut_off_never_comes_back);
	tcase_add_test(cases, links_are_one_file);
	tcase_add_test(cases, a_rename_over_a_file);
	tcase_add_test(cases, order_of_names);
	tcase_add_test(cases, directories_and_symbolic_links);
	tcase_add_test(cases, files_without_a_name);
	tcase_add_test(cases, one_block_may_be_torn);
	tcase_add_test(cases, what_is_synced_and_what_is_to_come);
	tcase_add_test(cases, a_search_can_be_given_up);
	tcase_add_test(cases, what_cannot_be_is_seen_at_once);
	Suite *suite = suite_create("admits");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
