/* Whole campaigns, from the recording to the rows of the store. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_campaign.h"
#include "rebuild.h"
#include "mem.h"
#include "sanitized.h"
#include "trace_codec.h"

/* ---- sound engines stay silent ---- */

static const char *const sound[] = {
	"wal:variant=hardened,sync=sync",
	"wal:variant=hardened,sync=sync,call=fdatasync",
	"wal:variant=hardened,sync=sync,recycle=1",
	"wal:variant=hardened,sync=batch,batch=8",
	"wal:variant=hardened,sync=batch,batch=8,recycle=1,call=fdatasync",
	"wal:variant=hardened,sync=none",
	"wal:variant=hardened,sync=none,recycle=1",
};

START_TEST(hardened_wal_is_never_accused)
{
	struct campaign c;
	struct err err;
	struct store_query *q = NULL;
	struct coverage_row row;
	struct finding_row finding;
	int profiles = 0;
	campaign_init(&c, sound[_i], ALL);
	campaign_go(&c);
	while (store_next_finding(c.store, &q, c.result.id, &finding, &err) == 1)
		ck_abort_msg("%s: %s\n%s\n%s", sound[_i], finding.title, finding.profiles,
			     finding.explanation);
	ck_assert_int_eq(c.result.exit_code, 0);
	while (store_next_coverage(c.store, &q, 1, &row, &err) == 1) {
		ck_assert_uint_gt(row.tested, 0);
		ck_assert_uint_ge(row.possible, row.tested + row.merged);
		ck_assert_uint_eq(row.possible - row.tested - row.merged, row.left_out);
		profiles++;
	}
	ck_assert_int_eq(profiles, 9);
	campaign_end(&c);
}
END_TEST

/* ---- every fault point is crashed at ---- */

enum { POINTS_MAX = 256 };

/* A fault point of an engine, over the targets of that engine. */
struct point_seen {
	char *name;
	bool crashed;
};

static struct point_seen *point_seen(struct point_seen *points, const char *name)
{
	size_t i = 0;
	while (points[i].name && strcmp(points[i].name, name) != 0)
		i++;
	ck_assert_uint_lt(i, POINTS_MAX - 1);
	if (!points[i].name)
		points[i].name = mem_printf("%s", name);
	return &points[i];
}

START_TEST(the_built_in_campaign_crashes_at_every_fault_point)
{
	static struct campaign_target targets[64];
	struct point_seen points[POINTS_MAX] = {0};
	struct campaign c;
	struct store_query *q = NULL;
	struct fault_row row;
	struct err err;
	size_t n = 0;
	for (const struct campaign_target *t = campaign_builtin; t->spec; t++)
		if (strstr(t->spec, "variant=hardened"))
			targets[n++] = *t;
	ck_assert_uint_gt(n, 4);
	campaign_init(&c, "", "ideal ext4");
	c.options.targets = targets;
	c.options.workload.ops = 0; /* as the built-in campaign has it */
	c.options.no_outcomes = true;
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 0);
	while (store_next_fault(c.store, &q, 0, &row, &err) == 1)
		if (row.reachable) {
			struct point_seen *seen = point_seen(points, row.name);
			seen->crashed = seen->crashed || row.crashes;
		}
	n = 0;
	for (; points[n].name; n++) {
		ck_assert_msg(points[n].crashed, "no crash at %s", points[n].name);
		free(points[n].name);
	}
	ck_assert_uint_gt(n, 90);
	campaign_end(&c);
}
END_TEST

/* ---- the textbook's flaws are found ---- */

START_TEST(textbook_wal_is_fine_on_ext4_without_compaction)
{
	struct campaign c;
	campaign_init(&c, "wal:variant=textbook,sync=sync", "ext4");
	c.targets[0].mix = "put,delete,sync";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 0);
	campaign_end(&c);
}
END_TEST

/* Whether a line of a source file, "file.c:12 in function", contains a text. */
static bool line_contains(const char *source, const char *text)
{
	char file[256], line[1024];
	int number, at = 0;
	if (sscanf(source, "%255[^:]:%d", file, &number) != 2)
		return false;
	char *path = mem_printf("%s/wal/%s", ENGINES_DIR, file);
	FILE *f = fopen(path, "r");
	free(path);
	bool found = false;
	while (f && fgets(line, sizeof line, f))
		found = found || (++at == number && strstr(line, text));
	if (f)
		fclose(f);
	return found;
}

START_TEST(textbook_wal_loses_a_segment_whose_entry_was_never_synced)
{
	struct campaign c;
	struct finding_row f = {0};
	campaign_init(&c, "wal:variant=textbook,sync=sync", "posix");
	c.targets[0].mix = "put,delete,sync";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 1);
	ck_assert(campaign_finding(&c, RULE_O2, &f));
	ck_assert_ptr_nonnull(strstr(f.cause, "directory entry"));
	ck_assert_ptr_nonnull(strstr(f.cause, ".wal (created)"));
	ck_assert_ptr_nonnull(strstr(f.cause, "never synced"));
	ck_assert_msg(line_contains(f.source, "open"), "source is %s", f.source);
	ck_assert_str_eq(f.minimal, "posix");
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

START_TEST(textbook_wal_loses_by_compaction_under_a_mere_kill)
{
	struct campaign c;
	struct finding_row f = {0};
	campaign_init(&c, "wal:variant=textbook,sync=sync", "kill");
	c.options.workload.ops = 120;
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 1);
	ck_assert(campaign_finding(&c, RULE_O2, &f));
	ck_assert_str_eq(f.minimal, "kill");
	ck_assert_msg(strncmp(f.before, "wal/compact/", 12) == 0, "before is %s", f.before);
	ck_assert_msg(strncmp(f.after, "wal/compact/", 12) == 0, "after is %s", f.after);
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

/* A tree that a page's write broke stays broken when more is acknowledged: that
 * call is the cause, whatever came after it. */
START_TEST(what_failed_before_an_acknowledgement_is_not_blamed_on_it)
{
	struct campaign c;
	struct store_query *q = NULL;
	struct finding_row row;
	struct err err;
	campaign_init(&c, "btree:variant=textbook,fanout=3", "kill btrfs");
	c.targets[0].workload = "ops=60 keys=20 mix=put=60,delete=60";
	c.options.states_max = 1500;
	campaign_go(&c);
	ck_assert_uint_gt(c.result.findings, 1);
	while (store_next_finding(c.store, &q, c.result.id, &row, &err) == 1)
		ck_assert_msg(!strstr(row.cause, "acknowledged before") && *row.source, "%s",
			      row.cause);
	campaign_end(&c);
}
END_TEST

START_TEST(textbook_wal_without_sync_loses_to_a_kill_what_it_never_promised)
{
	struct campaign c;
	struct finding_row f = {0};
	campaign_init(&c, "wal:variant=textbook,sync=none", "kill");
	c.targets[0].contract = "each";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 1);
	ck_assert(campaign_finding(&c, RULE_O2, &f));
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

START_TEST(batch_mode_really_loses_all_but_one_of_a_batch)
{
	struct campaign c;
	struct err err;
	struct store_query *q = NULL;
	struct coverage_row row;
	campaign_init(&c, "wal:variant=hardened,sync=batch,batch=8", "ext4");
	c.targets[0].mix = "put,delete";
	c.options.workload.ops = 60;
	campaign_go(&c);
	ck_assert_uint_eq(c.result.findings, 0);
	ck_assert_int_eq(store_next_coverage(c.store, &q, 1, &row, &err), 1);
	ck_assert_uint_eq(row.loss, 7);
	store_query_end(&q);
	campaign_end(&c);
}
END_TEST

START_TEST(expected_findings_make_a_pass_and_missing_ones_a_failure)
{
	struct campaign c;
	campaign_init(&c, "wal:variant=textbook,sync=sync", "posix");
	c.targets[0].mix = "put,delete,sync";
	c.targets[0].expected = "O2@posix";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 0);
	campaign_end(&c);
	campaign_init(&c, "wal:variant=hardened,sync=sync", "posix");
	c.targets[0].expected = "O2@posix";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 1);
	ck_assert_uint_eq(c.result.missing, 1);
	campaign_end(&c);
}
END_TEST

/* ---- the same again ---- */

static char *run_text(const char *spec, const char *profiles, uint32_t jobs, uint64_t seed)
{
	struct campaign c;
	campaign_init(&c, spec, profiles);
	c.options.jobs = jobs;
	c.options.seed = seed;
	c.options.states_max = 1500;
	c.options.limits.wall_ms = 20000; /* a slow machine is not the subject */
	campaign_go(&c);
	char *text = campaign_everything(&c);
	campaign_end(&c);
	return text;
}

START_TEST(one_seed_gives_one_result_with_any_number_of_workers)
{
	static const char *const specs[] = {"wal:variant=textbook,sync=sync",
					    "wal:variant=hardened,sync=none"};
	char *one = run_text(specs[_i], "kill ext4 posix", 1, 7);
	char *again = run_text(specs[_i], "kill ext4 posix", 1, 7);
	char *two = run_text(specs[_i], "kill ext4 posix", 2, 7);
	char *other = run_text(specs[_i], "kill ext4 posix", 1, 8);
	campaign_assert_same(one, again);
	campaign_assert_same(one, two);
	ck_assert(strcmp(one, other) != 0);
	free(one);
	free(again);
	free(two);
	free(other);
}
END_TEST

/* ---- engines that misbehave when they recover ---- */

struct bad {
	const char *name;
	uint32_t rule; /* that is broken; 0: none */
};

static void fill_disk(const char *dir)
{
	char *path = mem_printf("%s/filler", dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	static char zeros[1 << 16];
	while (fd >= 0 && write(fd, zeros, sizeof zeros) > 0)
		continue;
	free(path);
}

static void daemonise(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
}

static int misbehave(const char *how, const char *dir, struct engine_error *error)
{
	if (strcmp(how, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(how, "crash") == 0)
		raise(SIGSEGV);
	if (strcmp(how, "memory") == 0)
		for (;;) {
			char *p = malloc(1 << 20);
			if (!p) {
				snprintf(error->text, sizeof error->text, "out of memory");
				return -1;
			}
			memset(p, 1, 1 << 20);
		}
	if (strcmp(how, "daemon") == 0)
		daemonise();
	if (strcmp(how, "disk") == 0)
		fill_disk(dir);
	if (strcmp(how, "exit") == 0)
		_exit(3);
	return 0;
}

/* How its operations misbehave. */
static bool refuses, leaves, aborts;

/* A store that keeps nothing: opening a directory that holds its mark is its
 * recovery. */
static void *bad_open(const char *dir, const struct engine_config *config,
		      struct engine_error *error)
{
	char *path = mem_printf("%s/mark", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
	bool bad = fd < 0 && misbehave(engine_value(config, "how"), dir, error);
	if (fd < 0)
		fd = open(path, O_RDWR | O_APPEND);
	free(path);
	if (bad)
		return NULL;
	refuses = strcmp(engine_value(config, "how"), "refuse") == 0;
	leaves = strcmp(engine_value(config, "how"), "leave") == 0;
	aborts = strcmp(engine_value(config, "how"), "abort") == 0;
	int *store = mem_alloc(1, sizeof *store);
	*store = fd;
	return store;
}

static int bad_close(void *store, struct engine_error *error)
{
	(void)error;
	close(*(int *)store);
	free(store);
	return 0;
}

static int bad_put(void *store, struct engine_bytes key, struct engine_bytes value,
		   struct engine_error *error)
{
	(void)key;
	(void)value;
	if (refuses) {
		snprintf(error->text, sizeof error->text, "no");
		return -1;
	}
	if (leaves)
		_exit(0);
	if (aborts)
		raise(SIGKILL);
	return write(*(int *)store, "x", 1) == 1 ? 0 : -1;
}

static int bad_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		   struct engine_error *error)
{
	(void)store;
	(void)key;
	(void)value;
	(void)error;
	return 0;
}

static int bad_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return bad_put(store, key, key, error);
}

static int bad_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	(void)store;
	(void)visit;
	(void)arg;
	(void)error;
	return 0;
}

static void bad_contract(const struct engine_config *config, struct engine_contract *contract)
{
	(void)config;
	*contract = (struct engine_contract){.ack = ENGINE_ACK_ON_SYNC, .every = 1, .prefix = true};
}

static const struct engine_option bad_options[] = {
	{.name = "how",
	 .fallback = "well",
	 .choices = "well|hang|crash|memory|daemon|disk|exit|refuse|leave|abort",
	 .help = "how its recovery misbehaves"},
	{0},
};

static const struct engine bad_engine = {
	.abi = ENGINE_ABI,
	.name = "bad",
	.summary = "misbehaves when it recovers",
	.options = bad_options,
	.contract = bad_contract,
	.open = bad_open,
	.close = bad_close,
	.put = bad_put,
	.del = bad_del,
	.get = bad_get,
	.scan = bad_scan,
};

static const struct engine *const bad_table[] = {&bad_engine, NULL};

static const char *const manners[] = {"hang", "crash", "daemon", "disk", "exit", "memory"};

START_TEST(a_recovery_that_misbehaves_is_a_verdict_and_the_campaign_goes_on)
{
	struct campaign c;
	struct finding_row f = {0};
	struct err err;
	struct store_query *q = NULL;
	struct coverage_row row;
	char *spec = mem_printf("bad:how=%s", manners[_i]);
	if (strcmp(manners[_i], "memory") == 0 && SANITIZED) {
		printf("SKIPPED: memory: limits on memory cannot be set under a sanitizer\n");
		free(spec);
		return;
	}
	campaign_init(&c, spec, "kill posix");
	c.options.engines = bad_table;
	c.options.workload.ops = 4;
	c.options.depth = UINT32_MAX;
	c.targets[0].mix = "put";
	c.options.limits =
		(struct child_limits){.wall_ms = strcmp(manners[_i], "hang") == 0 ? 100 : 5000,
				      .memory_bytes = 64 << 20,
				      .disk_bytes = 8 << 20};
	campaign_go(&c);
	ck_assert_msg(c.result.exit_code == 1, "%s: exit code %d", spec, c.result.exit_code);
	ck_assert(campaign_finding(&c, RULE_O1, &f));
	int n = 0;
	while (store_next_coverage(c.store, &q, 1, &row, &err) == 1) {
		ck_assert_uint_gt(row.tested, 0);
		n++;
	}
	ck_assert_int_eq(n, 2);
	finding_free(&f);
	campaign_end(&c);
	free(spec);
}
END_TEST

START_TEST(a_recovery_that_behaves_is_no_finding)
{
	struct campaign c;
	campaign_init(&c, "bad:how=well", "kill posix");
	c.options.engines = bad_table;
	c.targets[0].mix = "put";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 0);
	campaign_end(&c);
}
END_TEST

START_TEST(operations_that_fail_without_any_crash_are_no_pass)
{
	struct campaign c;
	struct err err;
	struct store_query *q = NULL;
	struct target_row row;
	campaign_init(&c, "bad:how=refuse", "kill posix");
	c.options.engines = bad_table;
	c.targets[0].mix = "put";
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 2);
	ck_assert_int_eq(store_next_target(c.store, &q, c.result.id, &row, &err), 1);
	ck_assert_ptr_nonnull(strstr(row.inconclusive, "40 of 40 operations failed"));
	store_query_end(&q);
	campaign_end(&c);
}
END_TEST

START_TEST(a_workload_that_does_not_run_to_its_end_is_no_pass_and_stops_no_other)
{
	static const char *const specs[] = {"bad:how=leave", "bad:how=abort"};
	struct campaign c;
	struct campaign_target targets[] = {
		{.spec = specs[_i], .mix = "put"}, {.spec = "bad:how=well", .mix = "put"}, {0}};
	struct err err;
	struct store_query *q = NULL;
	struct target_row row;
	campaign_init(&c, specs[_i], "kill posix");
	c.options.engines = bad_table;
	c.options.targets = targets;
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 2);
	ck_assert_uint_eq(c.result.targets, 2);
	ck_assert_int_eq(store_next_target(c.store, &q, c.result.id, &row, &err), 1);
	ck_assert_msg(strstr(row.inconclusive, specs[_i]), "%s", row.inconclusive);
	ck_assert_int_eq(store_next_target(c.store, &q, c.result.id, &row, &err), 1);
	ck_assert_str_eq(row.inconclusive, "");
	store_query_end(&q);
	campaign_end(&c);
}
END_TEST

START_TEST(all_spellings_of_a_target_have_one_fingerprint)
{
	static const char *const specs[] = {"wal:variant=textbook,segment_bytes=8192",
					    "wal:segment_bytes=8192,sync=sync,variant=textbook"};
	char *prints[2];
	for (int i = 0; i < 2; i++) {
		struct campaign c;
		struct finding_row f = {0};
		campaign_init(&c, specs[i], "posix");
		c.targets[0].mix = "put,delete";
		campaign_go(&c);
		ck_assert(campaign_finding(&c, RULE_O2, &f));
		prints[i] = mem_printf("%s", f.fingerprint);
		finding_free(&f);
		campaign_end(&c);
	}
	ck_assert_str_eq(prints[0], prints[1]);
	free(prints[0]);
	free(prints[1]);
}
END_TEST

/* ---- states from their IDs ---- */

static const struct child_limits no_limits;

START_TEST(a_state_can_be_rebuilt_from_the_database_alone)
{
	struct campaign c;
	struct err err;
	struct store_query *q = NULL;
	struct outcome_row row;
	int n = 0;
	campaign_init(&c, "wal:variant=textbook,sync=none", "ext4 posix");
	c.options.states_max = 200;
	campaign_go(&c);
	while (store_next_outcome(c.store, &q, 1, NULL, &row, &err) == 1) {
		struct rebuilt s;
		int rc = rebuild_state(c.store, row.state, &no_limits, NULL, &s, &err);
		ck_assert_msg(rc == 0, "%s: %s", row.state, err.text);
		struct image *image = image_create(s.s.ops);
		image_goto(image, &s.state);
		struct digest d = image_digest(image);
		ck_assert_uint_eq(d.lo, row.digest_lo);
		ck_assert_uint_eq(d.hi, row.digest_hi);
		image_destroy(image);
		rebuilt_finish(&s);
		n++;
	}
	ck_assert_int_gt(n, 50);
	campaign_end(&c);
}
END_TEST

START_TEST(nonsense_ids_are_refused)
{
	static const char *const ids[] = {"",
					  "x",
					  "00000000.ext4.1.0",
					  "zzzzzzzz.ext4.1.0",
					  "00000000.nofs.1.0",
					  "00000000.ext4",
					  "00000000.ext4.1."};
	struct campaign c;
	struct err err;
	struct rebuilt s;
	campaign_init(&c, "wal", "kill");
	campaign_go(&c);
	ck_assert_int_ne(rebuild_state(c.store, ids[_i], &no_limits, NULL, &s, &err), 0);
	ck_assert_uint_gt(strlen(err.text), 0);
	rebuilt_finish(&s);
	campaign_end(&c);
}
END_TEST

/* ---- limits ---- */

START_TEST(an_exhausted_budget_is_inconclusive)
{
	struct campaign c;
	campaign_init(&c, "wal:variant=hardened", "posix");
	c.options.budget_ms = 1;
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 2);
	campaign_end(&c);
}
END_TEST

START_TEST(states_max_is_kept)
{
	struct campaign c;
	struct err err;
	struct store_query *q = NULL;
	struct coverage_row row;
	campaign_init(&c, "wal:variant=hardened,sync=none", "posix");
	c.options.states_max = 20 + (uint64_t)_i * 40;
	campaign_go(&c);
	ck_assert_int_eq(store_next_coverage(c.store, &q, 1, &row, &err), 1);
	ck_assert_uint_le(row.tested, c.options.states_max);
	ck_assert_uint_gt(row.left_out, 0);
	store_query_end(&q);
	campaign_end(&c);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("campaign");
	tcase_set_timeout(cases, 300);
	/* The forks of sanitized programs are slow: they take turns less often. */
	tcase_add_loop_test(cases, hardened_wal_is_never_accused, 0,
			    SANITIZED ? 2 : (int)(sizeof sound / sizeof *sound));
	if (!SANITIZED)
		tcase_add_test(cases, the_built_in_campaign_crashes_at_every_fault_point);
	tcase_add_test(cases, textbook_wal_is_fine_on_ext4_without_compaction);
	tcase_add_test(cases, textbook_wal_loses_a_segment_whose_entry_was_never_synced);
	tcase_add_test(cases, textbook_wal_loses_by_compaction_under_a_mere_kill);
	tcase_add_test(cases, what_failed_before_an_acknowledgement_is_not_blamed_on_it);
	tcase_add_test(cases, textbook_wal_without_sync_loses_to_a_kill_what_it_never_promised);
	tcase_add_test(cases, batch_mode_really_loses_all_but_one_of_a_batch);
	tcase_add_test(cases, expected_findings_make_a_pass_and_missing_ones_a_failure);
	tcase_add_loop_test(cases, one_seed_gives_one_result_with_any_number_of_workers, 0, 2);
	tcase_add_loop_test(cases, a_recovery_that_misbehaves_is_a_verdict_and_the_campaign_goes_on,
			    0, (int)(sizeof manners / sizeof *manners));
	tcase_add_test(cases, a_recovery_that_behaves_is_no_finding);
	tcase_add_test(cases, operations_that_fail_without_any_crash_are_no_pass);
	tcase_add_loop_test(
		cases, a_workload_that_does_not_run_to_its_end_is_no_pass_and_stops_no_other, 0, 2);
	tcase_add_test(cases, all_spellings_of_a_target_have_one_fingerprint);
	tcase_add_test(cases, a_state_can_be_rebuilt_from_the_database_alone);
	tcase_add_loop_test(cases, nonsense_ids_are_refused, 0, 7);
	tcase_add_test(cases, an_exhausted_budget_is_inconclusive);
	tcase_add_loop_test(cases, states_max_is_kept, 0, 2);
	Suite *suite = suite_create("campaign");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
