/* Traces are replayed, and the directory is held against the model's; and replaying is
 * recorded in its turn, which must give the same trace again. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "disk.h"
#include "lib_traces.h"
#include "mem.h"
#include "record.h"
#include "replay.h"
#include "trace_text.h"

static char base[64];
static char data[80]; /* the directory of the replay, in base */
static struct traces_lowered lowered;
static struct replay *replay;
static struct err err;

#define OK(call) ck_assert_msg((call) == ERR_OK, "%s", err.text)

static void set_up(void)
{
	snprintf(base, sizeof base, "/dev/shm/test-replay-XXXXXX");
	if (!mkdtemp(base)) {
		snprintf(base, sizeof base, "/tmp/test-replay-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(base));
	}
	snprintf(data, sizeof data, "%s/data", base);
	ck_assert_int_eq(mkdir(data, 0700), 0);
}

/* Ends a replay and empties its directory. */
static void close_replay(void)
{
	replay_destroy(replay);
	replay = NULL;
	traces_release(&lowered);
	int dir = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(area_tree_clear(dir), 0);
	close(dir);
}

static void tear_down(void)
{
	close_replay();
	ck_assert_int_eq(rmdir(data), 0);
	ck_assert_int_eq(rmdir(base), 0);
}

static void begin(const struct trace *trace, bool close_each)
{
	int dir = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OK(replay_create(trace, dir, close_each, &replay, &err));
	close(dir);
}

static void open_replay(const char *text, bool close_each)
{
	lowered = traces_lower(text);
	begin(lowered.trace, close_each);
}

/* The directory is what the first n events make, if nothing is lost. */
static void check_tree(uint32_t n, const char *text)
{
	char difference[512];
	struct state state = {.tear = {.object = NONE}};
	while (state.point < lowered.ops->n_steps && lowered.ops->steps[state.point].event < n)
		state.point++;
	OK(disk_compare(lowered.ops, &state, data, difference, sizeof difference, &err));
	ck_assert_msg(!*difference, "after %u events: %s in\n%s", n, difference, text);
}

/* ---- the directory ---- */

static void check_replay(const char *text, uint32_t stop, bool close_each)
{
	open_replay(text, close_each);
	uint32_t n = (uint32_t)lowered.trace->n_events;
	stop = n ? stop % n : 0;
	check_tree(0, text);
	ck_assert_msg(replay_run(replay, stop, NULL, NULL, &err) == 0, "%s in\n%s", err.text, text);
	check_tree(stop, text);
	ck_assert_msg(replay_run(replay, UINT32_MAX, NULL, NULL, &err) == 0, "%s in\n%s", err.text,
		      text);
	check_tree(n, text);
	close_replay();
}

START_TEST(random_traces_give_the_tree_in_which_nothing_is_lost)
{
	static const unsigned mixes[] = {TRACES_ALL, TRACES_ALL | TRACES_STORES,
					 TRACES_WRITES | TRACES_STORES | TRACES_NAMES,
					 TRACES_NAMES | TRACES_LINKS | TRACES_DIRECTORIES};
	struct prng prng;
	prng_init(&prng, 17);
	for (unsigned i = 0; i < traces_rounds(400); i++) {
		char *text =
			traces_random(&prng, 1 + (unsigned)prng_below(&prng, 40), mixes[i % 4]);
		check_replay(text, (uint32_t)prng_below(&prng, 40), i / 4 % 2);
		free(text);
	}
}
END_TEST

static const char *const by_hand[] = {
	/* Written to without a name. */
	"start-file f \"old\"\nopen f\nunlink f\nwrite #2 1 \"new\"\nfsync #2\ncreat f\n"
	"write f 0 \"other\"\nwrite #2 9 \"still\"\ntruncate #2 4\n",
	/* Replaced, and written to. */
	"creat a\nwrite a 0 \"a\"\ncreat b\nrename a b\nwrite #3 0 \"b\"\nfdatasync #3\n",
	/* Made without a name, and named later. */
	"tmpfile\nwrite #2 0 x*5000\nfsync #2\nlink #2 t\nappend t \"end\"\ntmpfile\n",
	"tmpfile\nlink #2 t\n",
	/* Directories that move, with what is in them. */
	"mkdir d\nmkdir d/e\ncreat d/e/f\nwrite d/e/f 0 \"1\"\nmkdir g\nrename d g/d\n"
	"append g/d/e/f \"2\"\nexchange g/d/e g/d\n",
	"mkdir d\nmkdir d/e\ncreat d/e/f\nmkdir g\nexchange d/e g\nwrite g/f 0 \"1\"\n"
	"rename g d/h\nwrite d/h/f 0 \"22\"\nfsync d/h/f\nfsync d/h\nfsync d\nfsync .\nrmdir d/e\n",
	/* One that is gone. */
	"mkdir d\nrmdir d\nfsync #2\n",
	"mkdir d\nmkdir e\nrename d e\nfsync #3\nfsync e\n",
	/* Links of one file. */
	"start-dir d\nstart-file a \"1\"\nstart-link d/b a\nstart-symlink s a\nlink s d/t\n"
	"rename a d/b\nwrite d/b 1 \"2\"\nunlink a\nappend d/b \"3\"\nunlink d/b\nwrite #3 0 "
	"\"4\"\n",
	/* Ranges. */
	"start-file f x*9000\nfallocate f 8000 9000 keep\nfallocate f 0 12000\nzero f 100 5000\n"
	"zero f 11000 5000\nzero f 20000 10 keep\nzero f 8191 2 keep\nhint f\nmsync f 4096 8192\n",
	/* What is no call. */
	"begin 1\nfault here\nnote text\nack 1\nend 1\nsync\n",
	"",
};

START_TEST(traces_by_hand_give_the_tree_in_which_nothing_is_lost)
{
	/* (A directory cannot change places with its parent.) */
	const char *text = by_hand[_i / 2];
	if (_i / 2 == 4) {
		open_replay(text, _i % 2);
		ck_assert_int_eq(replay_run(replay, UINT32_MAX, NULL, NULL, &err), ERR_IO);
		ck_assert_str_eq(err.text,
				 "cannot replay event 7 (exchange g/d/e): Invalid argument");
		return;
	}
	for (uint32_t stop = 0; stop < 10; stop++)
		check_replay(text, stop, _i % 2);
}
END_TEST

/* ---- the calls ---- */

static int run_all(void *arg)
{
	(void)arg;
	return replay_run(replay, UINT32_MAX, NULL, NULL, &err) == 0 ? 0 : 1;
}

static bool is_compared(const struct event *e)
{
	return e->kind != EVENT_OPEN && e->kind != EVENT_NOTE;
}

/* Numbers of inodes differ between the two; each must always stand for the same one. */
static void check_inode(uint32_t *known, uint32_t was, uint32_t is, size_t at, const char *text)
{
	if (known[was] == 0)
		known[was] = is;
	ck_assert_msg(known[was] == is, "event %zu: inode %u became %u in\n%s", at, was, is, text);
}

static void check_events(const struct trace *was, const struct trace *is, const char *text)
{
	uint32_t *known = mem_alloc((size_t)was->n_inodes + 1, sizeof *known);
	size_t k = 0;
	for (size_t i = 0; i < was->n_events; i++) {
		const struct event *a = &was->events[i];
		if (!is_compared(a))
			continue;
		while (k < is->n_events && !is_compared(&is->events[k]))
			k++;
		ck_assert_msg(k < is->n_events, "event %zu is missing in\n%s", i, text);
		const struct event *b = &is->events[k++];
		bool same = a->kind == b->kind && a->flags == b->flags && a->offset == b->offset &&
			    a->length == b->length && a->data_length == b->data_length &&
			    strcmp(a->name, b->name) == 0 && strcmp(a->name2, b->name2) == 0 &&
			    (a->data_length == 0 || memcmp(a->data, b->data, a->data_length) == 0);
		ck_assert_msg(same, "event %zu (%s) became %s, %llu+%llu, flags %u in\n%s", i,
			      event_kind_name(a->kind), event_kind_name(b->kind),
			      (unsigned long long)b->offset, (unsigned long long)b->length,
			      b->flags, text);
		check_inode(known, a->ino, b->ino, i, text);
		check_inode(known, a->dir, b->dir, i, text);
		check_inode(known, a->dir2, b->dir2, i, text);
	}
	while (k < is->n_events && !is_compared(&is->events[k]))
		k++;
	ck_assert_msg(k == is->n_events, "%s came after the end of\n%s",
		      event_kind_name(is->events[k < is->n_events ? k : 0].kind), text);
	free(known);
}

static void check_recording(const char *text, bool close_each)
{
	struct record_options options = {.root = data, .function = run_all, .no_stacks = true};
	struct record_result result;
	struct trace *trace = trace_create();
	open_replay(text, close_each);
	OK(record_run(&options, trace, &result, &err));
	ck_assert_int_eq(result.wait_status, 0);
	ck_assert_msg(!trace_inconclusive(trace), "%s in\n%s", trace_inconclusive(trace), text);
	check_events(lowered.trace, trace, text);
	trace_destroy(trace);
	close_replay();
}

/* (With links there are renames that do nothing.) */
START_TEST(a_recording_of_a_replay_is_the_trace)
{
	struct prng prng;
	prng_init(&prng, 18);
	for (unsigned i = 0; i < traces_rounds(20); i++) {
		char *text = traces_random(&prng, 60,
					   TRACES_WRITES | TRACES_NAMES | TRACES_DIRECTORIES |
						   TRACES_SYNCS);
		check_recording(text, i % 2);
		free(text);
	}
}
END_TEST

static bool has_zero_range(void)
{
	int fd = open(data, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool has = fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 1) == 0;
	close(fd);
	return has;
}

START_TEST(ranges_stores_and_syncs_of_ranges_are_those_of_the_trace)
{
	static const char text[] =
		"start-file f 0*20000\nstart-symlink s f\ncreat g\nfallocate g 100 9000\n"
		"fallocate g 4096 9000 keep\nzero f 5000 4096 keep\nhint f\n"
		"store f 4096 A*4096\nmsync f 4096 8192\nstore f 100 B*7\nfdatasync f\n"
		"tmpfile\nwrite #5 0 \"x\"\nlink #5 t\nlink s u\nsync-write t 1 \"y\"\n"
		"dsync-write t 1 \"z\"\nsymlink v target\nsync\nunlink u\n";
	check_recording(text, _i);
	if (has_zero_range())
		check_recording("start-file f x*9000\nzero f 100 9000\n", _i);
}
END_TEST

/* ---- borders ---- */

struct borders {
	struct buf text;
	uint32_t fail_at; /* the number of the call that fails, from 1 */
	uint32_t n;
	bool shown; /* before and after, the directory is as it should be */
};

static int note_border(void *arg, uint32_t event, bool before, struct err *error)
{
	struct borders *b = arg;
	buf_printf(&b->text, "%s%u%s", b->n ? " " : "", event, before ? "-" : "+");
	check_tree(before ? event : event + 1, "borders");
	return ++b->n == b->fail_at ? err_set(error, ERR_TARGET, "the end") : ERR_OK;
}

static const char bordered[] = "begin 1\ncreat f\nopen f\nwrite f 0 \"x\"\nfault here\nfsync f\n"
			       "end 1\n";

START_TEST(borders_lie_around_calls_and_after_all_else)
{
	struct borders borders = {0};
	open_replay(bordered, _i);
	OK(replay_run(replay, 5, note_border, &borders, &err));
	OK(replay_run(replay, 7, note_border, &borders, &err));
	ck_assert_str_eq(buf_text(&borders.text), "0+ 1- 1+ 2+ 3- 3+ 4+ 5- 5+ 6+");
	buf_finish(&borders.text);
}
END_TEST

START_TEST(a_hint_by_msync_is_no_call)
{
	struct borders borders = {0};
	OK(trace_parse("start-file f \"x\"\nhint f\nhint f\n", "test", &lowered.trace, &err));
	lowered.trace->events[0].call = "msync";
	trace_seal(lowered.trace);
	OK(ops_lower(lowered.trace, &lowered.ops, &err));
	begin(lowered.trace, _i);
	OK(replay_run(replay, 2, note_border, &borders, &err));
	ck_assert_str_eq(buf_text(&borders.text), "0+ 1- 1+");
	buf_finish(&borders.text);
}
END_TEST

START_TEST(a_border_can_end_the_replay)
{
	for (uint32_t at = 1; at <= 10; at++) {
		struct borders borders = {.fail_at = at};
		open_replay(bordered, _i);
		ck_assert_int_eq(replay_run(replay, 7, note_border, &borders, &err), ERR_TARGET);
		ck_assert_str_eq(err.text, "the end");
		ck_assert_uint_eq(borders.n, at);
		buf_finish(&borders.text);
		close_replay();
	}
}
END_TEST

static int remove_f(void *arg, uint32_t event, bool before, struct err *error)
{
	const uint32_t *at = arg;
	int dir = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)error;
	if (event == *at && before)
		unlinkat(dir, "d/f", 0);
	close(dir);
	return ERR_OK;
}

START_TEST(an_event_that_cannot_be_done_is_named)
{
	uint32_t at = 2;
	open_replay("mkdir d\ncreat d/f\nwrite d/f 0 \"x\"\n", true);
	ck_assert_int_eq(replay_run(replay, UINT32_MAX, remove_f, &at, &err), ERR_IO);
	ck_assert_str_eq(err.text, "cannot replay event 2 (write d/f): No such file or directory");
	close_replay();
	at = 3;
	open_replay("mkdir d\ncreat d/f\ncreat d/g\nrename d/f d/g\n", _i);
	ck_assert_int_eq(replay_run(replay, UINT32_MAX, remove_f, &at, &err), ERR_IO);
	ck_assert_str_eq(err.text, "cannot replay event 3 (rename d/f): No such file or directory");
}
END_TEST

/* A store where there is no page is a signal to the program that does it. */
START_TEST(a_store_that_fails_is_an_error)
{
	OK(trace_parse("start-file f x*10\nstore f 0 \"x\"\n", "test", &lowered.trace, &err));
	lowered.trace->events[0].offset = 8192;
	trace_seal(lowered.trace);
	begin(lowered.trace, _i);
	ck_assert_int_eq(replay_run(replay, 1, NULL, NULL, &err), ERR_FULL);
	ck_assert_str_eq(err.text, "cannot replay event 0 (write f): Input/output error");
}
END_TEST

START_TEST(numbers_that_cannot_be_are_refused)
{
	OK(trace_parse("creat f\n", "test", &lowered.trace, &err));
	lowered.trace->events[0].dir = 7;
	trace_seal(lowered.trace);
	int dir = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(replay_create(lowered.trace, dir, false, &replay, &err), ERR_CORRUPT);
	ck_assert_ptr_null(replay);
	close(dir);
}
END_TEST

/* ---- descriptors ---- */

/* How many descriptors there are of files in the directory. */
static unsigned n_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		char target[256];
		ssize_t length = readlinkat(dirfd(dir), e->d_name, target, sizeof target - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		n += strncmp(target, data, strlen(data)) == 0 && strcmp(target, data) != 0;
	}
	closedir(dir);
	return n;
}

static void check_open(uint32_t events, unsigned n)
{
	OK(replay_run(replay, events, NULL, NULL, &err));
	ck_assert_msg(n_open() == n, "after %u events %u are open and not %u", events, n_open(), n);
}

static const char unlinked[] = "start-file f \"1\"\nstart-dir d\ncreat g\nwrite f 0 \"2\"\n"
			       "unlink f\nfsync g\nwrite #2 0 \"3\"\nfsync d\nunlink g\n";

START_TEST(closing_each_time_leaves_open_what_has_no_name_and_is_needed)
{
	open_replay(unlinked, true);
	check_open(2, 0);
	check_open(3, 1);
	check_open(4, 1);
	check_open(7, 0);
}
END_TEST

START_TEST(else_descriptors_stay_open_to_the_end)
{
	open_replay(unlinked, false);
	check_open(0, 0);
	check_open(1, 1);
	check_open(3, 2);
	check_open(7, 3);
}
END_TEST

/* Whichever call finds none free: opening the file that is about to lose its name may, and so
 * may then finding the directory. */
START_TEST(more_files_than_descriptors_are_no_trouble)
{
	struct rlimit before, few;
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){30, before.rlim_max};
	for (unsigned n = 10; n < 40; n++) {
		struct buf text = {0};
		buf_string(&text, "mkdir d\ncreat d/o\n");
		for (unsigned i = 0; i < n; i++)
			buf_printf(&text, "creat f%u\nwrite f%u 0 \"x\"\nfsync d\n", i, i);
		buf_string(&text, "unlink d/o\nwrite #3 0 \"x\"\nwrite f0 1 \"x\"\n");
		open_replay(buf_text(&text), false);
		setrlimit(RLIMIT_NOFILE, &few);
		int rc = replay_run(replay, UINT32_MAX, NULL, NULL, &err);
		setrlimit(RLIMIT_NOFILE, &before);
		OK(rc);
		check_tree(UINT32_MAX, "many files");
		buf_finish(&text);
		close_replay();
	}
}
END_TEST

/* ---- questions ---- */

START_TEST(files_that_exist_can_be_chosen_and_opened)
{
	char byte;
	open_replay("start-dir d\nstart-file d/f \"f\"\nstart-symlink s x\ncreat g\n"
		    "write g 0 \"g\"\nunlink d/f\nwrite #3 0 \"3\"\nunlink g\n",
		    _i);
	ck_assert_uint_eq(replay_file(replay, 0), 3);
	ck_assert_uint_eq(replay_file(replay, 7), 3);
	OK(replay_run(replay, 2, NULL, NULL, &err));
	ck_assert_uint_eq(replay_file(replay, 6), 3);
	ck_assert_uint_eq(replay_file(replay, 7), 5);
	int fd = replay_open(replay, 5);
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'g');
	ck_assert_int_eq(pwrite(fd, "g", 1, 0), 1);
	close(fd);
	fd = replay_open(replay, 2);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	OK(replay_run(replay, 3, NULL, NULL, &err));
	fd = replay_open(replay, 3); /* it has no name, but is held */
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'f');
	close(fd);
	OK(replay_run(replay, 5, NULL, NULL, &err));
	ck_assert_uint_eq(replay_file(replay, 7), 0);
	errno = 0;
	ck_assert_int_eq(replay_open(replay, 6), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

/* The kernel does nothing then, and both names stay. */
START_TEST(a_file_renamed_to_another_name_of_it_keeps_both)
{
	open_replay("start-file a \"x\"\nstart-link b a\nrename a b\nunlink b\n", _i);
	OK(replay_run(replay, 2, NULL, NULL, &err));
	ck_assert_uint_eq(replay_file(replay, 0), 2);
	check_tree(2, "rename");
}
END_TEST

START_TEST(bytes_are_the_blocks_that_are_given)
{
	static const struct {
		const char *text;
		uint64_t blocks;
	} rows[] = {
		{"", 1},
		{"start-file f x*4097\n", 2 + 2},
		{"creat f\nappend f x*100\nappend f x*100\nappend f x*4000\nunlink f\n", 2 + 2},
		{"creat f\nwrite f 0 x*1\nwrite f 8000 x*1\nwrite f 0 x*1\n", 2 + 3},
		{"creat f\ntruncate f 99999\nfallocate f 4095 2\nzero f 0 9000 keep\n", 2 + 2},
		{"creat f\nzero f 0 9000\n", 2 + 3},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		lowered = traces_lower(rows[i].text);
		ck_assert_uint_eq(replay_bytes(lowered.trace), rows[i].blocks * 4096);
		traces_release(&lowered);
	}
	OK(trace_parse("creat f\nfallocate f 0 18446744073709551615 keep\ncreat g\n"
		       "fallocate g 0 18446744073709551615 keep\n",
		       "test", &lowered.trace, &err));
	ck_assert_uint_eq(replay_bytes(lowered.trace), UINT64_MAX);
}
END_TEST

int main(void)
{
	enum { BY_HAND = sizeof by_hand / sizeof *by_hand };
	Suite *suite = suite_create("replay");
	TCase *cases = tcase_create("replay");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_set_timeout(cases, 120);
	tcase_add_test(cases, random_traces_give_the_tree_in_which_nothing_is_lost);
	tcase_add_loop_test(cases, traces_by_hand_give_the_tree_in_which_nothing_is_lost, 0,
			    2 * BY_HAND);
	tcase_add_test(cases, a_recording_of_a_replay_is_the_trace);
	tcase_add_loop_test(cases, ranges_stores_and_syncs_of_ranges_are_those_of_the_trace, 0, 2);
	tcase_add_loop_test(cases, borders_lie_around_calls_and_after_all_else, 0, 2);
	tcase_add_loop_test(cases, a_hint_by_msync_is_no_call, 0, 2);
	tcase_add_loop_test(cases, a_border_can_end_the_replay, 0, 2);
	tcase_add_loop_test(cases, an_event_that_cannot_be_done_is_named, 0, 2);
	tcase_add_loop_test(cases, a_store_that_fails_is_an_error, 0, 2);
	tcase_add_test(cases, numbers_that_cannot_be_are_refused);
	tcase_add_test(cases, closing_each_time_leaves_open_what_has_no_name_and_is_needed);
	tcase_add_test(cases, else_descriptors_stay_open_to_the_end);
	tcase_add_test(cases, more_files_than_descriptors_are_no_trouble);
	tcase_add_loop_test(cases, files_that_exist_can_be_chosen_and_opened, 0, 2);
	tcase_add_loop_test(cases, a_file_renamed_to_another_name_of_it_keeps_both, 0, 2);
	tcase_add_test(cases, bytes_are_the_blocks_that_are_given);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
