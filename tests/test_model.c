/* The model against the rules in their plainest form (lib_reference.h): the
 * same crash states at every point of thousands of random traces, under every
 * profile.  Then single rules by hand. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "lib_reference.h"
#include "lib_traces.h"
#include "mem.h"

enum { PROFILES = 9 };

/* ---- against the reference ---- */

struct compared {
	const char *text;
	const struct profile *profile;
	uint64_t points, states;
};

static void explain_key(const struct ops *ops, const uint32_t *key, struct buf *out)
{
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		if (o->kind == OBJECT_ENTRY)
			buf_printf(out, " entry %u/%s", o->ino, o->name);
		else
			buf_printf(out, o->kind == OBJECT_SIZE ? " size #%u" : " data #%u:%u",
				   o->ino, o->block);
		buf_printf(out, "=%d", (int)key[i]);
	}
	buf_printf(out, " tear %d %u %x", (int)key[ops->n_objects], key[ops->n_objects + 1],
		   key[ops->n_objects + 2]);
}

static void fail_at(const struct compared *c, const struct reference *r, const struct ops *ops,
		    const uint32_t *key, const char *what)
{
	struct buf out = {0};
	explain_key(ops, key, &out);
	ck_abort_msg("%s at point %u of\n%s%s:%s", c->profile->name, reference_point(r), c->text,
		     what, buf_text(&out));
}

static int find_key(const uint32_t *keys, size_t n, size_t words, const uint32_t *key)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = memcmp(keys + middle * words, key, words * sizeof *key);
		if (order == 0)
			return (int)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static void compare_point(struct compared *c, struct model *model, const struct reference *r)
{
	const struct ops *ops = model_ops(model);
	size_t n, words = reference_key_words(r), found = 0;
	const uint32_t *keys = reference_keys(r, &n);
	uint32_t *key = mem_alloc(words, sizeof *key);
	bool *seen = mem_alloc(n, sizeof *seen);
	struct state state;
	struct count count = model_count(model, 100000000);
	struct chooser *chooser = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(chooser, &state)) {
		reference_key(r, &state, key);
		int at = find_key(keys, n, words, key);
		if (at < 0)
			fail_at(c, r, ops, key, "the model has a state too many");
		if (seen[at])
			fail_at(c, r, ops, key, "the model has a state twice");
		seen[at] = true;
		found++;
	}
	chooser_destroy(chooser);
	for (size_t i = 0; found < n && i < n; i++)
		if (!seen[i])
			fail_at(c, r, ops, keys + i * words, "the model lacks a state");
	ck_assert_msg(count.exact && count.states == n,
		      "%s at point %u: %s%lu counted of %zu in\n%s", c->profile->name,
		      reference_point(r), count.exact ? "" : "inexact ",
		      (unsigned long)count.states, n, c->text);
	c->points++;
	c->states += n;
	free(key);
	free(seen);
}

static void compare_trace(struct compared *c, const struct ops *ops)
{
	struct model *model = model_create(ops, c->profile);
	struct reference *r = reference_create(ops, c->profile);
	do {
		while (model_point(model) < reference_point(r))
			ck_assert(model_advance(model));
		ck_assert_uint_eq(model_point(model), reference_point(r));
		if (!reference_lost(r))
			compare_point(c, model, r);
	} while (reference_advance(r));
	reference_destroy(r);
	model_destroy(model);
}

static void compare_random(const struct profile *profile, unsigned mix, unsigned calls,
			   bool threads, unsigned rounds, uint64_t seed)
{
	struct compared c = {.profile = profile};
	for (unsigned i = 0; i < traces_rounds(rounds); i++) {
		struct prng prng;
		prng_init(&prng, seed * 1000003 + i);
		char *text = traces_random(&prng, calls, mix);
		struct traces_lowered l =
			threads ? traces_lower_threads(text, &prng) : traces_lower(text);
		c.text = text;
		compare_trace(&c, l.ops);
		traces_release(&l);
		free(text);
	}
	ck_assert_uint_ge(c.points, rounds);
}

START_TEST(writes_and_syncs_match_the_rules)
{
	compare_random(&profile_table[_i],
		       TRACES_WRITES | TRACES_RANGES | TRACES_SYNCS | TRACES_SMALL, 8, false, 60,
		       1);
}
END_TEST

START_TEST(names_and_syncs_match_the_rules)
{
	compare_random(&profile_table[_i], TRACES_NAMES | TRACES_LINKS | TRACES_SYNCS, 10, false,
		       60, 2);
}
END_TEST

START_TEST(directories_match_the_rules)
{
	compare_random(&profile_table[_i], TRACES_NAMES | TRACES_DIRECTORIES | TRACES_SYNCS, 10,
		       false, 60, 3);
}
END_TEST

START_TEST(everything_matches_the_rules)
{
	compare_random(&profile_table[_i], TRACES_ALL | TRACES_SMALL, 9, false, 60, 4);
}
END_TEST

START_TEST(wide_writes_match_the_rules)
{
	bool tears = profile_table[_i].tears;
	compare_random(&profile_table[_i], TRACES_ALL, tears ? 3 : 6, false, tears ? 10 : 60, 5);
}
END_TEST

START_TEST(threads_match_the_rules)
{
	compare_random(&profile_table[_i], TRACES_ALL | TRACES_SMALL, 9, true, 60, 6);
}
END_TEST

START_TEST(replacing_by_rename_matches_the_rules)
{
	compare_random(&profile_table[_i],
		       TRACES_NAMES | TRACES_WRITES | TRACES_SYNCS | TRACES_SMALL, 8, false, 60, 7);
}
END_TEST

int main(void)
{
	TCase *random = tcase_create("random");
	tcase_add_loop_test(random, writes_and_syncs_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, names_and_syncs_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, directories_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, everything_matches_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, wide_writes_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, threads_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, replacing_by_rename_matches_the_rules, 0, PROFILES);
	tcase_set_timeout(random, 600);
	Suite *suite = suite_create("model");
	suite_add_tcase(suite, random);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
