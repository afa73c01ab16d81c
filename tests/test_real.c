/* Real crash images of a subject that is made by hand: its recovery reads the size of a file, and
 * what was acknowledged is that there is one. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "look.h"
#include "mem.h"
#include "points.h"
#include "real.h"
#include "trace_text.h"

static struct shared {
	uint32_t runs;
	bool fail_by_turns;
} * shared;

static struct trace *trace;
static struct subject subject;
static struct history history = {.n_keys = 1};
static struct lab *lab;
static struct err err;

#define OK(call) ck_assert_msg((call) == ERR_OK, "%s", err.text)

/* ---- the subject ---- */

static struct bounds bounds_of(const void *arg, uint32_t n_events, bool power)
{
	struct bounds bounds = {0};
	(void)arg;
	ck_assert(power);
	for (uint32_t i = 0; i < n_events; i++)
		bounds.acked += trace->events[i].kind == EVENT_ACK;
	return bounds;
}

/* O2: as many blocks as lines were acknowledged. */
static void judge(const void *arg, const struct contents *contents, const struct bounds *bounds,
		  struct verdict *verdict)
{
	(void)arg;
	*verdict = (struct verdict){0};
	if (contents->write[0] < bounds->acked * BLOCK_BYTES)
		verdict->broken = RULE_BIT(RULE_O2);
}

static void explain(const void *arg, const struct contents *contents, const struct bounds *bounds,
		    enum rule rule, struct buf *out)
{
	(void)arg;
	(void)rule;
	buf_printf(out, "%u bytes for %u lines", contents->write[0], bounds->acked);
}

static enum rule failed(const void *arg, const struct recovery *recovery,
			const struct bounds *bounds, enum rule rule)
{
	(void)arg;
	(void)recovery;
	(void)bounds;
	return rule;
}

/* What is there is found by a recovery, which then spoils it. */
static int read_size(void *arg, const char *dir, struct contents *contents, struct conduct *conduct,
		     struct engine_error *error)
{
	char path[600];
	struct stat st;
	(void)arg;
	(void)conduct;
	uint32_t run = __atomic_fetch_add(&shared->runs, 1, __ATOMIC_SEQ_CST);
	if (shared->fail_by_turns && run % 2 == 0) {
		snprintf(error->text, sizeof error->text, "it is my turn to fail");
		return -1;
	}
	snprintf(path, sizeof path, "%s/b", dir);
	contents->write[0] = stat(path, &st) == 0 ? (uint32_t)st.st_size : 0;
	unlink(path);
	return 0;
}

static void make_subject(const char *text)
{
	OK(trace_parse(text, "test", &trace, &err));
	trace_seal(trace);
	subject = (struct subject){.name = "test", .trace = trace, .history = &history};
	subject.jury = (struct jury){
		.bounds = bounds_of, .judge = judge, .explain = explain, .failed = failed};
	OK(ops_lower(trace, &subject.ops, &err));
}

static void set_up(void)
{
	shared = mem_map_shared(sizeof *shared);
	ck_assert_ptr_nonnull(shared);
	OK(lab_open(NULL, &lab, &err));
}

static void tear_down(void)
{
	char *dir = mem_printf("%s", lab_dir(lab));
	lab_close(lab);
	ck_assert_msg(access(dir, F_OK) != 0 && errno == ENOENT, "%s is left behind", dir);
	free(dir);
	trace_destroy(trace);
	trace = NULL;
}

/* ---- running it ---- */

enum { VISITS_MAX = 400 };

struct visits {
	uint32_t n, broken, unsure, fresh;
	uint32_t end_after; /* 0: never */
	int end_with;
	struct digest digest[VISITS_MAX];
	struct bounds bounds[VISITS_MAX];
};

static void check_place(const struct real_state *s)
{
	uint32_t events = moment_events(s->to);
	ck_assert_uint_le(s->from, s->to);
	ck_assert(s->point == 0 || subject.ops->steps[s->point - 1].event < events);
	ck_assert(s->point == subject.ops->n_steps || subject.ops->steps[s->point].event >= events);
	struct bounds bounds = bounds_of(NULL, events, true);
	ck_assert_uint_eq(s->bounds.acked, bounds.acked);
	const struct block_state *b = &s->experiment->states.list[s->block_state];
	ck_assert_uint_lt(s->block_state, s->experiment->states.n);
	ck_assert_uint_eq(b->to, s->to);
}

/* Each is another tree, or at another place of the history; the recovery had that tree. */
static int visit(void *arg, const struct real_state *s, struct err *e)
{
	struct visits *v = arg;
	check_place(s);
	for (uint32_t i = 0; i < v->n; i++)
		ck_assert(memcmp(&v->digest[i], &s->seen->digest, sizeof v->digest[i]) != 0 ||
			  memcmp(&v->bounds[i], &s->bounds, sizeof v->bounds[i]) != 0);
	ck_assert_uint_lt(v->n, VISITS_MAX);
	v->digest[v->n] = s->seen->digest;
	v->bounds[v->n++] = s->bounds;
	if (s->recovery->end == RECOVERY_OK) {
		uint32_t node = seen_find(s->seen, "b");
		ck_assert_uint_eq(s->recovery->contents->write[0],
				  node == NONE ? 0 : (uint32_t)seen_node(s->seen, node)->size);
	}
	v->broken += s->verdict.broken != 0;
	v->unsure += s->unsure;
	v->fresh += s->fresh;
	ck_assert(!s->unsure || s->verdict.broken == 0);
	ck_assert_uint_le(v->n, s->mounted);
	if (v->n == v->end_after && v->end_with < 0)
		return err_set(e, (enum err_code)v->end_with, "enough");
	return v->n == v->end_after ? v->end_with : 0;
}

static struct real_totals totals;

static int run(const char *fs, const char *timing, uint32_t states_max, struct visits *visits)
{
	const struct timing *const timings[] = {timing_find(timing), NULL};
	const struct recover_job job = {.recover = read_size};
	const struct real_options options = {.lab = lab,
					     .fs = file_system_find(fs),
					     .timings = timings,
					     .states_max = states_max,
					     .seed = 1,
					     .jobs = 2};
	return real_run(&subject, &job, &options, visit, visits, &totals, &err);
}

static const char replaced[] = "start-file b x*4096\n"
			       "ack 1\ncreat tmp\nwrite tmp 0 y*8192\nrename tmp b\nack 2\n";
static const char replaced_safely[] = "start-file b x*4096\n"
				      "ack 1\ncreat tmp\nwrite tmp 0 y*8192\nfsync tmp\n"
				      "rename tmp b\nfsync .\nack 2\n";

START_TEST(what_was_acknowledged_too_early_is_missed)
{
	struct visits v = {0};
	make_subject(replaced);
	OK(run("ext4", "plain", 60, &v));
	ck_assert_uint_gt(v.broken, 0);
	ck_assert_uint_lt(v.broken, v.n);
	ck_assert_uint_eq(v.unsure, 0);
	ck_assert_uint_eq(totals.trees, v.n);
	ck_assert_uint_ge(totals.mounted, totals.trees);
	ck_assert_uint_le(totals.mounted, 60);
	ck_assert_uint_eq(totals.recordings, 1);
	ck_assert_uint_eq(totals.timings, 1);
	ck_assert_uint_eq(totals.unmountable, 0);
	ck_assert(!totals.cut);
}
END_TEST

START_TEST(what_was_synced_in_time_is_there)
{
	static const char *const names[] = {"ext4", "xfs"};
	struct visits v = {0};
	make_subject(replaced_safely);
	if (file_system_check(file_system_find(names[_i]), &err)) {
		printf("SKIPPED: what_was_synced_in_time_is_there on %s: %s\n", names[_i],
		       err.text);
		return;
	}
	OK(run(names[_i], "commit", 60, &v));
	ck_assert_uint_eq(v.broken, 0);
	ck_assert_uint_gt(v.n, 2);
}
END_TEST

START_TEST(equal_trees_are_recovered_once_unless_recoveries_are_told_what_was_acknowledged)
{
	struct visits v = {0};
	/* Between the lines another file is fsynced, so that there are disks that differ. */
	make_subject("start-file b x*4096\ncreat a\nfsync a\nack 1\nack 2\ncreat c\nfsync c\n");
	subject.jury.tells_acked = _i;
	OK(run("ext4", "fsync", 60, &v));
	uint32_t again = v.broken ? v.fresh : 0; /* what fails is recovered twice */
	ck_assert_uint_ge(totals.recoveries, v.fresh);
	ck_assert_uint_le(totals.recoveries, v.fresh + again);
	if (_i)
		ck_assert_uint_eq(v.fresh, v.n);
	else
		ck_assert_uint_lt(v.fresh, v.n);
}
END_TEST

START_TEST(what_does_not_fail_again_is_unsure)
{
	struct visits v = {0};
	make_subject("creat a\nfsync a\n");
	shared->fail_by_turns = true;
	const struct timing *const timings[] = {timing_find("plain"), NULL};
	const struct recover_job job = {.recover = read_size};
	const struct real_options options = {.lab = lab,
					     .fs = file_system_find("ext4"),
					     .timings = timings,
					     .states_max = 2,
					     .seed = 1,
					     .jobs = 1};
	OK(real_run(&subject, &job, &options, visit, &v, &totals, &err));
	ck_assert_uint_gt(v.unsure, 0);
	ck_assert_uint_eq(v.broken, 0);
}
END_TEST

START_TEST(a_visitor_may_have_enough_or_fail)
{
	struct visits v = {.end_after = 2, .end_with = _i ? ERR_CORRUPT : 1};
	make_subject(replaced);
	int rc = run("ext4", "commit", 60, &v);
	ck_assert_int_eq(rc, _i ? ERR_CORRUPT : ERR_OK);
	ck_assert_uint_eq(v.n, 2);
	if (_i)
		ck_assert_str_eq(err.text, "enough");
}
END_TEST

START_TEST(a_signal_or_a_deadline_ends_it)
{
	static const bool stop = true;
	struct visits v = {0};
	const struct recover_job job = {.recover = read_size};
	const struct real_options options = {.lab = lab,
					     .fs = file_system_find("ext4"),
					     .stop = _i ? &stop : NULL,
					     .deadline_ns = _i ? 0 : 1,
					     .jobs = 1};
	make_subject(replaced);
	OK(real_run(&subject, &job, &options, visit, &v, &totals, &err));
	ck_assert(totals.cut);
	ck_assert_uint_eq(v.n, 0);
}
END_TEST

START_TEST(files_that_nobody_can_read_so_often_are_refused)
{
	struct visits v = {0};
	make_subject("creat a\ntruncate a 1125899906842624\n");
	ck_assert_int_eq(run("ext4", "plain", 60, &v), ERR_TARGET);
	ck_assert_ptr_nonnull(strstr(err.text, "too large"));
}
END_TEST

START_TEST(a_call_that_the_file_system_refuses_is_named)
{
	struct visits v = {0};
	char name[301] = "", *text;
	memset(name, 'n', sizeof name - 1); /* no file system takes it */
	text = mem_printf("creat a\nmkdir %s\n", name);
	make_subject(text);
	free(text);
	ck_assert_int_eq(run("ext4", "plain", 60, &v), ERR_IO);
	ck_assert_msg(strstr(err.text, "ext4") && strstr(err.text, "plain") &&
			      strstr(err.text, "mkdir"),
		      "%s", err.text);
	ck_assert_uint_eq(v.n, 0);
}
END_TEST

int main(void)
{
	struct err missing;
	if (lab_check(&missing) || file_system_check(file_system_find("ext4"), &missing)) {
		printf("SKIPPED: test_real: %s\n", missing.text);
		return 77;
	}
	TCase *cases = tcase_create("real");
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, what_was_acknowledged_too_early_is_missed);
	tcase_add_loop_test(cases, what_was_synced_in_time_is_there, 0, 2);
	tcase_add_loop_test(
		cases,
		equal_trees_are_recovered_once_unless_recoveries_are_told_what_was_acknowledged, 0,
		2);
	tcase_add_test(cases, what_does_not_fail_again_is_unsure);
	tcase_add_loop_test(cases, a_visitor_may_have_enough_or_fail, 0, 2);
	tcase_add_loop_test(cases, a_signal_or_a_deadline_ends_it, 0, 2);
	tcase_add_test(cases, files_that_nobody_can_read_so_often_are_refused);
	tcase_add_test(cases, a_call_that_the_file_system_refuses_is_named);
	Suite *suite = suite_create("real");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
