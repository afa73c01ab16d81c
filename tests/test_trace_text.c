/* The text form: each verb, each refusal. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "trace_text.h"

static struct trace *parse(const char *text)
{
	struct trace *trace;
	struct err err;
	ck_assert_msg(trace_parse(text, "t", &trace, &err) == 0, "%s", err.text);
	return trace;
}

/* The listing of what was parsed, without the columns. */
static void check_print(const char *text, const char *expected)
{
	struct trace *trace = parse(text);
	struct buf out = {0};
	trace_print(trace, &out);
	ck_assert_str_eq(buf_text(&out), expected);
	buf_finish(&out);
	trace_destroy(trace);
}

static const char every_verb[] = "# a comment\n"
				 "start-file f \"one\" # another\n"
				 "start-file empty\n"
				 "start-dir d\n"
				 "start-symlink s target\n"
				 "start-link d/l f\n"
				 "\n"
				 "\tcreat  new\n"
				 "mkdir d/e\n"
				 "symlink d/t ../f\n"
				 "link new d/n\n"
				 "rename d/n d/m\n"
				 "exchange f new\n"
				 "unlink empty\n"
				 "rmdir d/e\n"
				 "write new 2 \"ab\\n\\t\\\\\\\"\\x00\"\n"
				 "append new c*3+0*2+\"!\"\n"
				 "dsync-write new 0 x*1\n"
				 "sync-write new 0 #*2\n"
				 "truncate new 7\n"
				 "fallocate new 0 100\n"
				 "fallocate new 0 100 keep # trailing\n"
				 "zero new 1 2\n"
				 "zero new 1 2 keep\n"
				 "fsync new\n"
				 "fdatasync d\n"
				 "fsync .\n"
				 "store new 1 \"ab\"\n"
				 "store-too d/l 5 \"c\"\n"
				 "msync new 4096 8192\n"
				 "sync\n"
				 "hint new\n"
				 "open new\n"
				 "write #3 0 z*1\n"
				 "fault wal/append/flushed\n"
				 "fault wal/append/synced\n"
				 "fault wal/append/flushed\n"
				 "begin 7 \"put\"\n"
				 "end 7\n"
				 "end 8 \"EIO\"\n"
				 "ack all is well # here\n"
				 "note nothing special # here\n"
				 "inconclusive mystery_call\n"
				 "tmpfile\n"
				 "write #9 0 t*1\n"
				 "link #9 tmp\n"
				 "fsync tmp";

START_TEST(every_verb_is_read_and_listed)
{
	check_print(every_verb, "start  file       f  (inode 2, 3 bytes)\n"
				"start  file       empty  (inode 3, 0 bytes)\n"
				"start  directory  d  (inode 4, 0 bytes)\n"
				"start  symlink    s  (inode 5, 6 bytes)\n"
				"start  file       d/l  (inode 2, 3 bytes)\n"
				"    0  creat      new  (inode 6)\n"
				"    1  mkdir      d/e  (inode 7)\n"
				"    2  symlink    d/t -> \"../f\"\n"
				"    3  link       new d/n\n"
				"    4  rename     d/n d/m\n"
				"    5  exchange   f new\n"
				"    6  unlink     empty\n"
				"    7  rmdir      d/e\n"
				"    8  write      new 2+7 \"ab\\x0a\\x09\\\\\\\"\\x00\"\n"
				"    9  write      new 9+6 \"ccc\\x00\\x00!\"\n"
				"   10  write      new 0+1 \"x\" dsync\n"
				"   11  write      new 0+2 \"##\" sync\n"
				"   12  truncate   new 7\n"
				"   13  fallocate  new 0+100\n"
				"   14  fallocate  new 0+100 keep\n"
				"   15  zero       new 1+2\n"
				"   16  zero       new 1+2 keep\n"
				"   17  fsync      new\n"
				"   18  fdatasync  d\n"
				"   19  fsync      .\n"
				"   20  write      new 1+2 \"ab\" stored\n"
				"   21  write      new 5+1 \"c\" stored\n"
				"   22  msync      new 4096+8192\n"
				"   23  sync       \n"
				"   24  hint       new\n"
				"   25  open       new\n"
				"   26  write      #3 0+1 \"z\"\n"
				"   27  fault      wal/append/flushed (passage 1)\n"
				"   28  fault      wal/append/synced (passage 1)\n"
				"   29  fault      wal/append/flushed (passage 2)\n"
				"   30  begin      7\n"
				"   31  end        7\n"
				"   32  end        8 failed: \"EIO\"\n"
				"   33  ack        1 all is well # here\n"
				"   34  note       nothing special # here\n"
				"   35  note       inconclusive: mystery_call\n"
				"   36  creat      without a name  (inode 9)\n"
				"   37  write      #9 0+1 \"t\"\n"
				"   38  link       #9 tmp\n"
				"   39  fsync      tmp\n");
}
END_TEST

START_TEST(no_verb_is_missing_here)
{
	struct trace *trace = parse(every_verb);
	unsigned seen = 0;
	for (size_t i = 0; i < trace->n_events; i++)
		seen |= 1u << trace->events[i].kind;
	ck_assert_uint_eq(seen, (1u << EVENT_KINDS_COUNT) - 1);
	trace_destroy(trace);
}
END_TEST

static const struct {
	const char *text, *says;
} refusals[] = {
	{"frobnicate f", "t:1: unknown verb \"frobnicate\""},
	{"# one\n\ncreat", "t:3: path is missing"},
	{"creat f g", "t:1: \"g\" is too much"},
	{"creat f\ncreat f", "t:2: \"f\" exists already"},
	{"creat d/f", "t:1: path: no directory \"d\""},
	{"creat f\ncreat f/g", "t:2: path: no directory \"f\""},
	{"creat d/", "t:1: path: no directory \"d\""},
	{"mkdir d\ncreat d/", "t:2: path ends in \"\", expected a name"},
	{"creat .", "t:1: path ends in \".\", expected a name"},
	{"mkdir d\ncreat d/..", "t:2: path ends in \"..\", expected a name"},
	{"mkdir d\nmkdir d", "t:2: \"d\" exists already"},
	{"symlink s", "t:1: target is missing"},
	{"link f g", "t:1: old path: \"f\" does not exist"},
	{"creat f\nlink f f", "t:2: \"f\" exists already"},
	{"creat f\nlink f", "t:2: path is missing"},
	{"unlink f", "t:1: \"f\" does not exist"},
	{"start-file f a*3\nstore f 2 \"ab\"",
	 "t:2: a store cannot go past the end, which is at 3"},
	{"start-file f a*3\nstore-too f 0 \"a\"", "t:2: no store comes right before it"},
	{"creat f\nmsync f 0", "t:2: length is missing"},
	{"rmdir d", "t:1: \"d\" does not exist"},
	{"rename f g", "t:1: \"f\" does not exist"},
	{"creat f\nrename f", "t:2: new path is missing"},
	{"creat f\nexchange f g", "t:2: \"g\" does not exist"},
	{"write f 0 a*1", "t:1: path: \"f\" does not exist"},
	{"creat f\nwrite f", "t:2: offset is missing"},
	{"creat f\nwrite f x a*1", "t:2: offset is \"x\", expected a number below 2^64"},
	{"creat f\nwrite f -1 a*1", "t:2: offset is \"-1\", expected a number below 2^64"},
	{"creat f\nwrite f 18446744073709551616 a*1",
	 "t:2: offset is \"18446744073709551616\", expected a number below 2^64"},
	{"creat f\nwrite f 0", "t:2: data: expected \"text\" or c*N, found \"\""},
	{"creat f\nwrite f 0 abc", "t:2: data: expected \"text\" or c*N, found \"abc\""},
	{"creat f\nwrite f 0 a*", "t:2: data: expected \"text\" or c*N, found \"a*\""},
	{"creat f\nwrite f 0 a*1+", "t:2: data: expected \"text\" or c*N, found \"\""},
	{"creat f\nwrite f 0 a*99999999999", "t:2: data: more than 1 GiB"},
	{"creat f\nwrite f 0 \"abc", "t:2: data: the closing quote is missing"},
	{"creat f\nwrite f 0 \"\\q\"",
	 "t:2: data: unknown escape, expected \\n \\t \\\\ \\\" or \\xHH"},
	{"creat f\nwrite f 0 \"\\x1\"",
	 "t:2: data: unknown escape, expected \\n \\t \\\\ \\\" or \\xHH"},
	{"creat f\nwrite f 0 \"a\" b", "t:2: \"b\" is too much"},
	{"write #9 0 a*1", "t:1: path: there is no inode 9"},
	{"write #0 0 a*1", "t:1: path: there is no inode 0"},
	{"write #x 0 a*1", "t:1: path is \"x\", expected a number below 2^64"},
	{"creat f\ntruncate f", "t:2: size is missing"},
	{"creat f\nzero f 0", "t:2: length is missing"},
	{"creat f\nzero f 0 1 hold", "t:2: flag is \"hold\", expected \"keep\""},
	{"creat f\nzero f 0 1 keep on", "t:2: \"on\" is too much"},
	{"fsync", "t:1: path is missing"},
	{"sync f", "t:1: \"f\" is too much"},
	{"fault", "t:1: name is missing"},
	{"begin", "t:1: number is missing"},
	{"end 1 x", "t:1: data: expected \"text\" or c*N, found \"x\""},
	{"creat f\nstart-file g", "t:2: start-file must come before all calls"},
	{"start-file f\nfsync f\nstart-link g f", "t:3: start-link must come before all calls"},
	{"start-file f\nstart-file f", "t:2: \"f\" exists already"},
	{"start-file f\nstart-link f f", "t:2: \"f\" exists already"},
	{"start-symlink s", "t:1: target is missing"},
	{"start-file f x", "t:1: data: expected \"text\" or c*N, found \"x\""},
};

START_TEST(a_refusal_names_the_line_and_what_was_expected)
{
	struct trace *trace = NULL;
	struct err err;
	ck_assert_int_eq(trace_parse(refusals[_i].text, "t", &trace, &err), ERR_USAGE);
	ck_assert_int_eq(err.code, ERR_USAGE);
	ck_assert_str_eq(err.text, refusals[_i].says);
	ck_assert_ptr_null(trace);
}
END_TEST

START_TEST(appending_follows_the_size)
{
	struct trace *t =
		parse("start-file f a*10\nappend f b*5\ntruncate f 3\nappend f c*1\n"
		      "fallocate f 0 100\nappend f d*1\nfallocate f 0 500 keep\nappend f e*1");
	uint64_t offsets[] = {10, 0, 3, 0, 100, 0, 101};
	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].kind == EVENT_WRITE)
			ck_assert_uint_eq(t->events[i].offset, offsets[i]);
	trace_destroy(t);
}
END_TEST

START_TEST(renaming_a_link_onto_its_file_leaves_both)
{
	struct trace *t =
		parse("creat f\nlink f g\nrename f g\nfsync f\nfsync g\nrename f f\nunlink f");
	ck_assert_uint_eq(t->n_events, 7);
	trace_destroy(t);
}
END_TEST

START_TEST(names_follow_renames_and_exchanges)
{
	struct trace *t =
		parse("creat a\ncreat b\nexchange a b\nfsync a\nmkdir d\nrename a d/x\n"
		      "rename d e\nfsync e/x\ncreat c\nrename c e/x\nfsync e/x\nfsync #3");
	ck_assert_uint_eq(t->events[3].ino, 3);
	ck_assert_uint_eq(t->events[7].ino, 3);
	ck_assert_uint_eq(t->events[10].ino, 5);
	trace_destroy(t);
}
END_TEST

START_TEST(text_without_calls_is_an_empty_trace)
{
	struct trace *t = parse("\n  \n# nothing\n");
	ck_assert_uint_eq(t->n_events, 0);
	ck_assert_uint_eq(t->n_inodes, 1);
	trace_destroy(t);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("text");
	tcase_add_test(cases, every_verb_is_read_and_listed);
	tcase_add_test(cases, no_verb_is_missing_here);
	tcase_add_loop_test(cases, a_refusal_names_the_line_and_what_was_expected, 0,
			    sizeof refusals / sizeof *refusals);
	tcase_add_test(cases, appending_follows_the_size);
	tcase_add_test(cases, renaming_a_link_onto_its_file_leaves_both);
	tcase_add_test(cases, names_follow_renames_and_exchanges);
	tcase_add_test(cases, text_without_calls_is_an_empty_trace);
	Suite *suite = suite_create("trace_text");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
