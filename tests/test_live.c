/* Live crashes at every fault point of wal: what they leave must be what the
 * recorded trace says, and the engine must recover it. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <signal.h>
#include <sys/wait.h>

#include "sanitized.h"
#include "area.h"
#include "campaign.h"
#include "rebuild.h"
#include "disk.h"
#include "faults.h"
#include "mem.h"
#include "record.h"

enum { NAMES_MAX = 256 };

/* The fault points that a run passed, by name, with the crashes made there. */
struct passed {
	char *names[NAMES_MAX];
	size_t n;
};

static void add_name(struct passed *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->names[i], name) == 0)
			return;
	ck_assert_uint_lt(p->n, NAMES_MAX);
	p->names[p->n++] = mem_printf("%s", name);
}

static void free_names(struct passed *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->names[i]);
}

static bool has_name(const struct passed *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->names[i], name) == 0)
			return true;
	return false;
}

/* Runs a target with live crashes; any difference between a directory and the
 * trace is an error of campaign_run.  db is a template, and stays. */
static int go_in(char *db, const char *spec, const char *mix, bool power, struct passed *passed)
{
	int fd = mkstemp(db);
	struct campaign_target targets[2] = {{.spec = spec, .mix = mix}, {0}};
	const struct profile *profiles[] = {profile_find("kill"), profile_find("posix"), NULL};
	struct campaign_options options = {
		.targets = targets,
		.profiles = profiles,
		.workload = {.ops = 120},
		.states_max = 300,
		.live = true,
		.live_power = power,
		.no_stacks = true,
	};
	struct campaign_result result;
	struct store *store = NULL;
	struct store_query *q = NULL;
	struct fault_row row;
	struct err err = {0};
	close(fd);
	ck_assert_int_eq(store_create(db, &store, &err), 0);
	int rc = campaign_run(&options, store, &result, &err);
	ck_assert_msg(rc == 0, "%s: %s", spec, err.text);
	while (store_next_fault(store, &q, 1, &row, &err) == 1)
		if (row.passages)
			add_name(passed, row.name);
	store_close(store);
	return result.exit_code;
}

static int go(const char *spec, const char *mix, bool power, struct passed *passed)
{
	char db[] = "/tmp/test-live-XXXXXX";
	int code = go_in(db, spec, mix, power, passed);
	unlink(db);
	return code;
}

static const char *const sound[] = {
	"wal:variant=hardened,sync=sync",
	"wal:variant=hardened,sync=sync,recycle=1,segment_bytes=1024",
	"wal:variant=hardened,sync=batch,batch=4",
	"wal:variant=hardened,sync=none,segment_bytes=1024",
};

START_TEST(what_live_crashes_leave_is_in_the_trace)
{
	struct passed passed = {0};
	ck_assert_int_eq(go(sound[_i], NULL, false, &passed), 0);
	ck_assert_uint_gt(passed.n, 5);
	free_names(&passed);
}
END_TEST

START_TEST(what_live_crashes_of_the_textbook_leave_is_in_the_trace)
{
	struct passed passed = {0};
	/* It loses; but what it leaves is what the trace says. */
	ck_assert_int_eq(go("wal:variant=textbook,sync=sync", "put,delete,compact", false, &passed),
			 1);
	free_names(&passed);
}
END_TEST

START_TEST(a_disk_may_keep_less_and_the_hardened_log_survives_that_too)
{
	struct passed passed = {0};
	ck_assert_int_eq(
		go("wal:variant=hardened,sync=sync,segment_bytes=1024", NULL, true, &passed), 0);
	free_names(&passed);
}
END_TEST

/* ---- crashes of recovery itself ---- */

/* Opening and closing a store that a crash left behind. */
struct opening {
	const struct rebuilt *subject;
	const char *dir;
	const char *kill_at;
	uint64_t passage;
};

static int open_and_close(void *arg)
{
	const struct opening *o = arg;
	const struct target *t = o->subject->target;
	struct engine_error error;
	struct err err;
	if (faults_init(1, &err) || faults_mark(&err) ||
	    (o->kill_at && faults_kill_at(o->kill_at, o->passage, &err)))
		return 2;
	void *store = t->engine->open(o->dir, &t->config, &error);
	return store && t->engine->close(store, &error) == 0 ? 0 : 1;
}

static void export_to(struct area *area, const struct rebuilt *s, const char *dir)
{
	struct err err;
	ck_assert_int_eq(area_tree_remove(area->fd, area->fd, "data"), 0);
	ck_assert_msg(disk_export(s->s.ops, &s->state, dir, &err) == 0, "%s", err.text);
}

/* Kills the opening at one passage: what it leaves must be what its trace says. */
static void kill_opening(struct area *area, struct opening o, const struct ops *ops, uint32_t step)
{
	char text[256] = "";
	struct err err;
	struct state state = {.point = step + 1, .tear = {.object = NONE}};
	const struct event *e = &ops->trace->events[ops->steps[step].event];
	int status;
	export_to(area, o.subject, o.dir);
	o.kill_at = e->name;
	o.passage = e->offset;
	pid_t pid = fork();
	if (pid == 0)
		_exit(open_and_close(&o));
	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: not killed",
		      e->name);
	ck_assert_msg(disk_compare(ops, &state, o.dir, text, sizeof text, &err) == 0, "%s",
		      err.text);
	ck_assert_msg(!text[0], "%s: %s", e->name, text);
}

/* Crashes the recovery of one state at the fault points that are new. */
static void crash_recovery(struct area *area, const struct rebuilt *s, const char *dir,
			   struct passed *passed)
{
	struct opening o = {.subject = s, .dir = dir};
	struct record_options options = {
		.root = dir, .function = open_and_close, .arg = &o, .no_stacks = true};
	struct record_result result;
	struct trace *trace = trace_create();
	struct ops *ops;
	struct err err;
	export_to(area, s, dir);
	ck_assert_msg(record_run(&options, trace, &result, &err) == 0, "%s", err.text);
	ck_assert_int_eq(result.wait_status, 0);
	ck_assert_ptr_null(trace_inconclusive(trace));
	ck_assert_msg(ops_lower(trace, &ops, &err) == 0, "%s", err.text);
	for (uint32_t i = 0; i < ops->n_steps; i++) {
		const struct step *step = &ops->steps[i];
		if (step->kind != STEP_FAULT || has_name(passed, trace->events[step->event].name))
			continue;
		kill_opening(area, o, ops, i);
		add_name(passed, trace->events[step->event].name);
	}
	trace_destroy(trace);
}

/* Crashes recovery on the states of a campaign. */
static void crash_recoveries(const char *db, struct passed *passed)
{
	char parent[AREA_PATH_MAX];
	static const struct child_limits limits;
	struct area area;
	struct store *store = NULL;
	struct store_query *q = NULL;
	struct outcome_row row;
	struct err err;
	ck_assert_int_eq(area_choose(NULL, parent, &err), 0);
	ck_assert_int_eq(area_create(parent, &area, &err), 0);
	char *dir = mem_printf("%s/data", area.path);
	ck_assert_int_eq(store_open(db, &store, &err), 0);
	while (store_next_outcome(store, &q, 1, NULL, &row, &err) == 1) {
		struct rebuilt s;
		if (row.live || strcmp(row.verdict, "pass") != 0)
			continue;
		ck_assert_msg(rebuild_state(store, row.state, &limits, NULL, &s, &err) == 0, "%s",
			      err.text);
		crash_recovery(&area, &s, dir, passed);
		rebuilt_finish(&s);
	}
	store_close(store);
	area_remove(&area);
	free(dir);
}

START_TEST(every_fault_point_of_wal_was_crashed_at)
{
	static const char *const specs[] = {
		"wal:variant=hardened,sync=sync,segment_bytes=1024",
		"wal:variant=hardened,sync=none,recycle=1,segment_bytes=1024",
		"wal:variant=textbook,sync=sync,segment_bytes=1024",
	};
	struct passed passed = {0};
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		char db[] = "/tmp/test-live-XXXXXX";
		go_in(db, specs[i], NULL, false, &passed);
		crash_recoveries(db, &passed);
		unlink(db);
	}
	for (const struct engine_fault_point *p = engine_table[0]->fault_points; p->name; p++)
		ck_assert_msg(has_name(&passed, p->name), "never crashed at %s", p->name);
	free_names(&passed);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("live");
	tcase_set_timeout(cases, 300);
	tcase_add_loop_test(cases, what_live_crashes_leave_is_in_the_trace, 0,
			    SANITIZED ? 2 : (int)(sizeof sound / sizeof *sound));
	tcase_add_test(cases, what_live_crashes_of_the_textbook_leave_is_in_the_trace);
	if (!SANITIZED) /* it looks at all of these together */
		tcase_add_test(cases, every_fault_point_of_wal_was_crashed_at);
	tcase_add_test(cases, a_disk_may_keep_less_and_the_hardened_log_survives_that_too);
	Suite *suite = suite_create("live");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
