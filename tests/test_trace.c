/* Traces in memory, and their listing. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib_traces.h"
#include "mem.h"
#include "ops.h"
#include "trace_join.h"
#include "trace_text.h"

static struct trace *parse(const char *text)
{
	struct trace *trace;
	struct err err;
	ck_assert_msg(trace_parse(text, "t", &trace, &err) == 0, "%s", err.text);
	return trace;
}

START_TEST(an_event_begins_empty_and_entered_at_its_own_place)
{
	struct trace *t = trace_create();
	for (uint32_t i = 0; i < 100; i++) {
		struct event *e = trace_append(t, EVENT_SYNC);
		ck_assert_uint_eq(e->entered, i);
		ck_assert_str_eq(e->call, "");
		ck_assert_str_eq(e->name, "");
		ck_assert_str_eq(e->name2, "");
	}
	trace_destroy(t);
}
END_TEST

START_TEST(equal_strings_are_one_pointer)
{
	struct trace *t = trace_create();
	char copy[] = "name";
	ck_assert_ptr_eq(trace_intern(t, "name"), trace_intern(t, copy));
	ck_assert_ptr_ne(trace_intern(t, "name"), trace_intern(t, "nam"));
	trace_destroy(t);
}
END_TEST

START_TEST(equal_stacks_and_modules_are_one_number)
{
	struct trace *t = trace_create();
	uint32_t libc = trace_module(t, "/lib/libc.so", "ab"),
		 other = trace_module(t, "/lib/libc.so", "cd");
	struct frame a[2] = {{libc, 16}, {other, 32}}, b[2];
	/* Different bytes in the padding. */
	memset(b, 0xff, sizeof b);
	for (int i = 0; i < 2; i++) {
		b[i].module = a[i].module;
		b[i].offset = a[i].offset;
	}
	ck_assert_uint_ne(libc, other);
	ck_assert_uint_eq(trace_module(t, "/lib/libc.so", "ab"), libc);
	ck_assert_uint_eq(trace_stack(t, a, 0), 0);
	ck_assert_uint_eq(trace_stack(t, a, 2), trace_stack(t, b, 2));
	ck_assert_uint_ne(trace_stack(t, a, 2), trace_stack(t, a, 1));
	trace_destroy(t);
}
END_TEST

START_TEST(sealing_keeps_everything)
{
	struct trace *t = parse("start-file f a*3\ncreat g\nwrite g 0 b*2");
	struct buf before = {0}, after = {0};
	trace_print(t, &before);
	trace_seal(t);
	trace_seal(t);
	trace_print(t, &after);
	ck_assert(t->sealed);
	ck_assert_str_eq(buf_text(&before), buf_text(&after));
	buf_finish(&before);
	buf_finish(&after);
	trace_destroy(t);
}
END_TEST

START_TEST(the_first_inconclusive_note_is_found)
{
	struct trace *t = parse("note fine\ninconclusive first\ninconclusive second");
	ck_assert_str_eq(trace_inconclusive(t), "first");
	trace_destroy(t);
	t = parse("note fine");
	ck_assert_ptr_null(trace_inconclusive(t));
	trace_destroy(t);
}
END_TEST

START_TEST(every_kind_has_a_name)
{
	for (int i = 0; i < EVENT_KINDS_COUNT; i++)
		ck_assert_str_ne(event_kind_name((enum event_kind)i), "?");
	ck_assert_str_eq(event_kind_name(EVENT_CREATE), "creat");
	ck_assert_str_eq(event_kind_name(EVENT_NOTE), "note");
	ck_assert_str_eq(event_kind_name(EVENT_KINDS_COUNT), "?");
}
END_TEST

static const char moves[] = "start-dir d\n"    /* 2 */
			    "start-file d/f\n" /* 3 */
			    "creat g\n"	       /* 4: event 0 */
			    "rename d/f h\n"   /* 1 */
			    "exchange g h\n"   /* 2 */
			    "rename g d/k\n"   /* 3 */
			    "rename d e\n"     /* 4 */
			    "rename h e/k\n"   /* 5: replaces 3 */
			    "link e/k again\n" /* 6 */
			    "unlink e/k\n"     /* 7: has another name */
			    "unlink again\n"   /* 8 */
			    "sync";

static const struct {
	uint32_t ino;
	size_t at;
	const char *path;
} paths[] = {
	{1, 0, "."},  {2, 0, "d"},    {3, 0, "d/f"}, {4, 0, "#4"},    {4, 1, "g"},
	{3, 2, "h"},  {3, 3, "g"},    {4, 3, "h"},   {3, 4, "d/k"},   {3, 5, "e/k"},
	{2, 5, "e"},  {4, 6, "e/k"},  {3, 6, "#3"},  {4, 7, "again"}, {4, 8, "again"},
	{4, 9, "#4"}, {99, 9, "#99"}, {2, 99, "e"},
};

START_TEST(a_path_is_that_of_the_moment)
{
	struct trace *t = parse(moves);
	char *path = trace_path(t, paths[_i].ino, paths[_i].at);
	ck_assert_str_eq(path, paths[_i].path);
	free(path);
	trace_destroy(t);
}
END_TEST

START_TEST(the_listing_shows_threads_and_system_calls)
{
	struct trace *t = parse("creat f\nwrite f 0 \"hello\"\nfsync f");
	struct buf out = {0};
	t->events[1].call = trace_intern(t, "pwritev2");
	t->events[1].thread = 3;
	t->events[2].call = trace_intern(t, "fsync");
	trace_print(t, &out);
	ck_assert_str_eq(buf_text(&out), "    0  creat      f  (inode 2)\n"
					 "    1  [3] write      f 0+5 \"hello\"  by pwritev2\n"
					 "    2  fsync      f\n");
	buf_finish(&out);
	trace_destroy(t);
}
END_TEST

START_TEST(the_listing_cuts_long_data)
{
	struct trace *t = parse("creat f\nwrite f 0 a*25");
	struct buf out = {0};
	trace_print(t, &out);
	ck_assert_ptr_nonnull(strstr(buf_text(&out), "0+25 \"aaaaaaaaaaaaaaaaaaaaaaaa\"…\n"));
	buf_finish(&out);
	trace_destroy(t);
}
END_TEST

START_TEST(the_listing_has_no_control_characters)
{
	struct trace *t = parse("creat f\nnote x");
	struct buf out = {0};
	t->events[0].name = trace_intern(t, "a\033[2J\nb");
	t->events[1].data = trace_bytes(t, "y\033\n", 4);
	t->events[1].data_length = 3;
	trace_print(t, &out);
	ck_assert_str_eq(buf_text(&out), "    0  creat      a\\x1b[2J\\x0ab  (inode 2)\n"
					 "    1  note       y\\x1b\\x0a\n");
	buf_finish(&out);
	trace_destroy(t);
}
END_TEST

START_TEST(random_traces_are_listed_a_line_an_event)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct prng prng;
		struct buf out = {0};
		size_t lines = 0;
		prng_init(&prng, seed);
		char *text = traces_random(&prng, 40, TRACES_ALL);
		struct traces_lowered l = traces_lower(text);
		trace_print(l.trace, &out);
		for (size_t i = 0; i < out.len; i++)
			lines += out.data[i] == '\n';
		ck_assert_uint_eq(lines, l.trace->n_start_entries + l.trace->n_events);
		buf_finish(&out);
		traces_release(&l);
		free(text);
	}
}
END_TEST

/* ---- two lives of one directory ---- */

START_TEST(what_was_pending_at_a_kill_stays_pending_in_the_second_life)
{
	struct trace *first = parse("start-file old \"o\"\n"
				    "creat a\nwrite a 0 \"one\"\nrename a b\n"
				    "unlink old\nmkdir d\ncreat d/x\n"
				    "creat never\n");
	struct trace *second = parse("start-file b \"one\"\nstart-dir d\nstart-file d/x\n"
				     "append b \"two\"\nrename b c\ncreat d/y\nfsync c\n");
	struct err err;
	struct trace *joined = trace_join(first, 6, second, &err);
	ck_assert_msg(joined != NULL, "%s", err.text);
	ck_assert_uint_eq(joined->n_events, 10);
	const struct event *e = joined->events;
	ck_assert_uint_eq(e[6].ino, e[0].ino); /* b is the file that was made as a */
	ck_assert_uint_eq(e[6].offset, 3);
	ck_assert_uint_eq(e[7].entered, 7);
	ck_assert_uint_eq(e[8].dir, e[4].ino);
	ck_assert_uint_gt(e[8].ino, e[5].ino);
	ck_assert_uint_eq(e[9].ino, e[0].ino);
	ck_assert_uint_eq(joined->n_start_inodes, 1);
	struct ops *ops;
	ck_assert_msg(ops_lower(joined, &ops, &err) == 0, "%s", err.text);
	trace_destroy(joined);
	trace_destroy(second);
	trace_destroy(first);
}
END_TEST

START_TEST(a_second_life_of_another_directory_is_refused)
{
	struct trace *first = parse("creat a\n"), *second = parse("start-file b\n");
	struct err err;
	ck_assert_ptr_null(trace_join(first, 1, second, &err));
	ck_assert_int_eq(err.code, ERR_INTERNAL);
	trace_destroy(second);
	trace_destroy(first);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("trace");
	tcase_add_test(cases, an_event_begins_empty_and_entered_at_its_own_place);
	tcase_add_test(cases, equal_strings_are_one_pointer);
	tcase_add_test(cases, equal_stacks_and_modules_are_one_number);
	tcase_add_test(cases, sealing_keeps_everything);
	tcase_add_test(cases, the_first_inconclusive_note_is_found);
	tcase_add_test(cases, every_kind_has_a_name);
	tcase_add_loop_test(cases, a_path_is_that_of_the_moment, 0, sizeof paths / sizeof *paths);
	tcase_add_test(cases, the_listing_shows_threads_and_system_calls);
	tcase_add_test(cases, the_listing_cuts_long_data);
	tcase_add_test(cases, the_listing_has_no_control_characters);
	tcase_add_test(cases, random_traces_are_listed_a_line_an_event);
	tcase_add_test(cases, what_was_pending_at_a_kill_stays_pending_in_the_second_life);
	tcase_add_test(cases, a_second_life_of_another_directory_is_refused);
	Suite *suite = suite_create("trace");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
