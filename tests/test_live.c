/* Live crashes at every fault point of wal: what they leave must be what the
 * recorded trace says, and the engine must recover it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "campaign.h"
#include "mem.h"

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

/* Runs a target with live crashes; any difference between a directory and the
 * trace is an error of campaign_run. */
static int go(const char *spec, bool power, struct passed *passed)
{
	char db[] = "/tmp/test-live-XXXXXX";
	int fd = mkstemp(db);
	struct campaign_target targets[2] = {{.spec = spec}, {0}};
	const struct profile *profiles[] = {profile_find("kill"), profile_find("posix"), NULL};
	struct campaign_options options = {
		.targets = targets,
		.profiles = profiles,
		.workload = {.ops = 60},
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
	unlink(db);
	return result.exit_code;
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
	ck_assert_int_eq(go(sound[_i], false, &passed), 0);
	ck_assert_uint_gt(passed.n, 5);
}
END_TEST

START_TEST(what_live_crashes_of_the_textbook_leave_is_in_the_trace)
{
	struct passed passed = {0};
	/* It loses; but what it leaves is what the trace says. */
	ck_assert_int_eq(go("wal:variant=textbook,sync=sync", false, &passed), 1);
}
END_TEST

START_TEST(a_disk_may_keep_less_and_the_hardened_log_survives_that_too)
{
	struct passed passed = {0};
	ck_assert_int_eq(go("wal:variant=hardened,sync=sync,segment_bytes=1024", true, &passed), 0);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("live");
	tcase_set_timeout(cases, 300);
	tcase_add_loop_test(cases, what_live_crashes_leave_is_in_the_trace, 0,
			    (int)(sizeof sound / sizeof *sound));
	tcase_add_test(cases, what_live_crashes_of_the_textbook_leave_is_in_the_trace);
	tcase_add_test(cases, a_disk_may_keep_less_and_the_hardened_log_survives_that_too);
	Suite *suite = suite_create("live");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
