/* The model against the litmus table (litmus.h): every cell, by looking at every
 * state. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "image.h"
#include "litmus.h"
#include "model.h"
#include "trace_text.h"

struct looked {
	uint64_t states;
	bool shown;
};

static bool shows(const struct image *image, const struct litmus *l)
{
	struct buf tree = {0};
	seen_image(image, true, &tree);
	bool shown = litmus_shows(l, (const struct seen *)(const void *)tree.data);
	buf_finish(&tree);
	return shown;
}

/* Looks at every state of the model's present point. */
static void look(struct model *model, struct image *image, const struct litmus *l,
		 struct looked *looked)
{
	struct state state;
	struct chooser *c = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	uint64_t n = 0;
	while (chooser_next(c, &state)) {
		image_goto(image, &state);
		looked->shown = shows(image, l) || looked->shown;
		n++;
	}
	chooser_destroy(c);
	struct count count = model_count(model, 0);
	ck_assert_msg(count.exact && count.states == n, "%s: counted %lu states, found %lu",
		      l->name, (unsigned long)count.states, (unsigned long)n);
	looked->states += n;
}

static struct looked run(const struct litmus *l, const char *profile)
{
	struct trace *trace;
	struct ops *ops;
	struct err err;
	ck_assert_msg(trace_parse(l->calls, l->name, &trace, &err) == 0, "%s", err.text);
	trace_seal(trace);
	ck_assert_msg(ops_lower(trace, &ops, &err) == 0, "%s", err.text);
	struct model *model = model_create(ops, profile_find(profile));
	struct image *image = image_create(ops);
	struct looked looked = {0};
	if (!l->after)
		look(model, image, l, &looked);
	while (model_advance(model))
		if (!l->after || model_point(model) == ops->n_steps)
			look(model, image, l, &looked);
	image_destroy(image);
	model_destroy(model);
	trace_destroy(trace);
	return looked;
}

START_TEST(every_cell_of_the_litmus_table)
{
	const struct litmus *l = &litmus_table[_i];
	ck_assert_uint_eq(strlen(l->expected), LITMUS_COLUMNS);
	for (int c = 0; c < LITMUS_COLUMNS; c++) {
		bool expected = litmus_expects(l, c);
		struct looked looked = run(l, litmus_columns[c]);
		ck_assert_msg(looked.shown == expected, "%s under %s: %s, expected %s (%lu states)",
			      l->name, litmus_columns[c], looked.shown ? "yes" : "no",
			      expected ? "yes" : "no", (unsigned long)looked.states);
	}
}
END_TEST

START_TEST(kill_leaves_one_state_at_each_point)
{
	struct trace *trace;
	struct ops *ops;
	struct err err;
	ck_assert_msg(trace_parse(litmus_table[_i].calls, "", &trace, &err) == 0, "%s", err.text);
	trace_seal(trace);
	ck_assert_msg(ops_lower(trace, &ops, &err) == 0, "%s", err.text);
	struct model *model = model_create(ops, profile_find("kill"));
	while (model_advance(model))
		ck_assert_uint_eq(model_count(model, 0).states, 1);
	model_destroy(model);
	trace_destroy(trace);
}
END_TEST

int main(void)
{
	int n = 0;
	while (litmus_table[n].name)
		n++;
	TCase *cases = tcase_create("litmus");
	tcase_add_loop_test(cases, every_cell_of_the_litmus_table, 0, n);
	tcase_add_loop_test(cases, kill_leaves_one_state_at_each_point, 0, n);
	tcase_set_timeout(cases, 60);
	Suite *suite = suite_create("litmus");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
