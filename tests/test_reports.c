#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "reports.h"
#include "sheet.h"

/* Golden files are in $GOLDEN, else below the directory that the test was
 * started in.  With GOLDEN_UPDATE=1 they are written instead of compared: look
 * at what changed before you keep it. */
static char golden[1024];
static char dir[64];
static struct store *store;
static struct err failure;

static void ok(int rc)
{
	ck_assert_msg(rc == 0, "%s", failure.text);
}

static void open_store(void)
{
	strcpy(dir, "/tmp/test_reports.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ok(store_create("golden.db", &store, &failure));
}

static void remove_store(void)
{
	store_close(store);
	unlink("golden.db");
	unlink("out");
	rmdir(dir);
}

/* ---- a small database ---- */

static int64_t add_campaign(const char *finished, int exit_code)
{
	struct campaign_row row = {
		.version = "0.1.0",
		.command = "powercut run --db golden.db --engine wal:variant=textbook --engine "
			   "wal:variant=hardened",
		.started = "2024-05-01T12:00:00Z",
		.system = "Linux 6.1.0 x86_64, gcc 12.2",
		.seed = UINT64_MAX,
		.jobs = 2,
		.exit_code = -1,
	};
	ok(store_add_campaign(store, &row, &failure));
	if (finished)
		ok(store_finish_campaign(store, row.id, finished, exit_code, &failure));
	return row.id;
}

static int64_t add_target(int64_t campaign, const char *name, const char *expected,
			  const char *inconclusive)
{
	struct target_row row = {
		.campaign = campaign,
		.name = name,
		.engine = "wal",
		.options = "variant=textbook,sync=sync,batch=8,call=fsync,segment_bytes=4096",
		.workload = "ops=60 keys=12 mix=put=60,delete=15,batch=8,sync=7,compact=4,reopen=6 "
			    "values=24-200 batches=2-40 reuse=70",
		.contract = "every change that returned survives a loss of power; what is lost is "
			    "a suffix; batches are atomic",
		.expected = expected,
		.seed = 42,
		.calls = 312,
		.operations = 60,
		.changes = 48,
		.micros = 900,
		.points = 1951,
		.inconclusive = inconclusive,
	};
	ok(store_add_target(store, &row, &failure));
	return row.id;
}

static void add_coverage(int64_t target, const char *profile, uint64_t possible, bool exact,
			 uint64_t tested, uint64_t violations)
{
	struct coverage_row row = {
		.target = target,
		.profile = profile,
		.points = 1951,
		.possible = possible,
		.exact = exact,
		.tested = tested,
		.merged = tested / 3,
		.left_out = possible - tested - tested / 3,
		.recovered = tested,
		.violations = violations,
		.loss = violations ? 3 : 0,
		.recoverable = tested - violations,
		.again = tested > 48 ? 48 : tested,
		.nested = 423,
		.nested_left_out = tested > 48 ? 37 : 0,
	};
	ok(store_add_coverage(store, &row, &failure));
}

static void add_point(int64_t target, uint32_t point, const char *before, const char *after,
		      uint64_t violations)
{
	struct point_row row = {
		.target = target,
		.profile = "posix",
		.point = point,
		.before = before,
		.after = after,
		.tested = 1000 + point,
		.violations = violations,
	};
	ok(store_add_point(store, &row, &failure));
}

static void add_fault(int64_t target, const char *name, uint64_t passages, uint64_t recoveries,
		      bool reachable)
{
	struct fault_row row = {.target = target,
				.name = name,
				.passages = passages,
				.recoveries = recoveries,
				.crashes = passages + recoveries,
				.reachable = reachable};
	ok(store_add_fault(store, &row, &failure));
}

static void add_points(int64_t target)
{
	add_point(target, 0, "", "wal/append/buffered", 0);
	add_point(target, 1, "wal/append/buffered", "wal/append/flushed", 0);
	add_point(target, 2, "wal/append/flushed", "wal/append/synced", 0);
	add_point(target, 3, "wal/rotate/created", "wal/append/buffered", 17);
	add_point(target, 4, "wal/recover/the-name-of-this-fault-point-is-rather-long",
		  "wal/recover/and-so-is-the-next-one", 1);
	add_point(target, 5, "wal/append/synced", "", 0);
	add_fault(target, "wal/append/flushed", 40, 0, true);
	add_fault(target, "wal/recover/cut", 0, 18, true);
	add_fault(target, "wal/compact/renamed", 0, 0, true);
	add_fault(target, "wal/recycle/reused", 0, 0, false);
}

static struct finding_row lost_segment(int64_t target)
{
	return (struct finding_row){
		.target = target,
		.fingerprint = "3f2a9c0d11223344",
		.rule = 2,
		.rules = 1u << 2,
		.title = "acknowledged changes are lost: the new segment's name is gone",
		.cause = "the entry 00000002.wal in the data directory was created and never "
			 "synced: no fsync of its directory followed",
		.source = "wal.c:210 in segment_create",
		.before = "wal/rotate/created",
		.after = "wal/append/buffered",
		.profiles = "posix-dir posix",
		.minimal = "posix-dir",
		.state = "posix.120.0-1-0",
		.explanation =
			"Rule O2: every change whose acknowledgement meant durable is there.\n"
			"\n"
			"  put k07 (operation 41) was acknowledged; after the crash and recovery "
			"the key is missing, and so is every change after it.\n"
			"  The bytes were synced, but into a file that nothing names.\n",
		.states = 1234,
	};
}

static struct finding_row known_problem(int64_t target)
{
	return (struct finding_row){
		.target = target,
		.fingerprint = "3f2affff00000001",
		.rule = 2,
		.rules = 1u << 2 | 1u << 4,
		.title = "compaction loses committed records",
		.cause = "00000001.wal was truncated before its records were written again",
		.before = "wal/compact/truncated",
		.profiles = "kill ext4 posix",
		.minimal = "kill",
		.state = "kill.7.",
		.states = 1,
		.expected = true,
	};
}

static void add_witness(int64_t finding, const char *file_system, const char *outcome,
			uint64_t states, const char *variant, const char *blocks, const char *text)
{
	bool tried = strcmp(outcome, "not tried") != 0;
	struct witness_row row = {
		.finding = finding,
		.file_system = file_system,
		.kernel = tried ? "6.18.44 x86_64" : "",
		.options = tried ? "mkfs -b 4096; mount data=ordered,noauto_da_alloc" : "",
		.made = "2024-05-02T08:00:00Z",
		.seed = UINT64_MAX,
		.states = states,
		.variants = tried ? 6 : 0,
		.outcome = outcome,
		.variant = variant,
		.blocks = blocks,
		.text = text,
	};
	ok(store_add_witness(store, &row, &failure));
}

/* One of each outcome, and one more that is seen. */
static void add_witnesses(int64_t finding)
{
	add_witness(finding, "ext4", "witnessed", 77, "commit",
		    "keeps 12 of 14 writes since the last flush; loses 4 KiB at 0x12000, 8 KiB at "
		    "0x40000",
		    "O2: key k07 is missing");
	add_witness(finding, "ext4-noda", "witnessed", 5, "plain", "keeps 1 of 2 writes",
		    "O2: key k07 is missing");
	add_witness(finding, "btrfs", "same rule", 312, "unrelated fsync", "keeps all writes",
		    "O2: key k03 is missing");
	add_witness(finding, "xfs", "not seen", 1240, "", "", "");
	add_witness(finding, "ext4-lock", "not tried", 0, "", "",
		    "the kernel knows no dioread_lock");
}

static void add_findings(int64_t target)
{
	struct finding_row row = lost_segment(target);
	ok(store_add_finding(store, &row, &failure));
	add_witnesses(row.id);
	row = known_problem(target);
	ok(store_add_finding(store, &row, &failure));
	struct outcome_row outcome = {
		.target = target,
		.profile = "posix",
		.state = "posix.120.0-1-0",
		.verdict = "fail",
		.rules = 1u << 2,
		.begun = 42,
		.acked = 41,
		.durable = 41,
		.prefix = 38,
		.loss = 3,
		.text = "O2: key k07 is missing",
	};
	ok(store_add_outcome(store, &outcome, &failure));
}

static void add_inconclusive(int64_t target)
{
	struct outcome_row row = {
		.target = target,
		.profile = "ext4",
		.verdict = "inconclusive",
		.text = "recovery took more than 1000 ms, and less when run alone",
		.prefix = -1,
	};
	struct coverage_row coverage = {
		.target = target, .profile = "ext4", .tested = 100, .inconclusive = 7};
	ok(store_add_coverage(store, &coverage, &failure));
	for (int i = 0; i < 7; i++) {
		char state[32];
		snprintf(state, sizeof state, "ext4.%d.1", i);
		row.state = state;
		ok(store_add_outcome(store, &row, &failure));
	}
}

/* One target that fails, one that passes, one that cannot be judged. */
static int64_t add_everything(void)
{
	int64_t campaign = add_campaign("2024-05-01T12:00:09Z", 1);
	int64_t target = add_target(campaign, "wal:variant=textbook,sync=sync",
				    "3f2affff00000001 00000000deadbeef", "");
	add_coverage(target, "kill", 1951, true, 400, 1);
	add_coverage(target, "ext4", 9876543, true, 120000, 0);
	add_coverage(target, "posix", UINT64_MAX, true, 250000, 1234);
	add_points(target);
	add_findings(target);
	target = add_target(campaign, "wal:variant=hardened,sync=sync", "", "");
	add_coverage(target, "posix", 123456789, true, 250000, 0);
	target = add_target(campaign, "wal:variant=hardened,sync=batch", "",
			    "the system call io_uring_enter changed files and is not modelled");
	add_inconclusive(target);
	return campaign;
}

/* Of a run whose recovery was itself crashed, with the trace of that. */
static void add_second_crash(int64_t target)
{
	struct trace_row trace = {.identity = 0xfa93c75c00000001,
				  .parent = "9a606d64.ext4.11.0",
				  .first_event = 10,
				  .bytes = "x",
				  .length = 1};
	ok(store_add_trace(store, &trace, &failure));
	struct finding_row row = {
		.target = target,
		.fingerprint = "c7d22e6354bade11",
		.rule = 11,
		.rules = 1u << 11,
		.title = "key00: recovery had shown its value, and a second crash lost it",
		.cause = "data of 00000001.wal (block 0) was not on disk: it was not yet synced",
		.before = "wal/recover/dirsynced",
		.after = "wal/close/flushed",
		.profiles = "ext4 posix",
		.minimal = "ext4",
		.state = "fa93c75c.ext4.18.2",
		.explanation =
			"A second crash, after the state 9a606d64.ext4.11.0 was recovered.\n",
		.states = 18,
		.found_after = 700,
	};
	ok(store_add_finding(store, &row, &failure));
}

/* A target that breaks a promise as it is expected to. */
static int64_t add_taught(int64_t campaign, const char *name)
{
	int64_t target = add_target(campaign, name, "3f2affff00000001", "");
	struct finding_row row = known_problem(target);
	add_coverage(target, "kill", 400, true, 100, 1);
	add_coverage(target, "posix", 4000, true, 1000, 1);
	ok(store_add_finding(store, &row, &failure));
	row.fingerprint = "77aa0c0000000002";
	row.rule = 4;
	row.title = "key03: put #7 is missing between others; the contents are of no moment";
	row.minimal = "ext4-lock xfs";
	ok(store_add_finding(store, &row, &failure));
	return target;
}

static int64_t add_sound(int64_t campaign, const char *name)
{
	struct target_row row = {
		.campaign = campaign,
		.name = name,
		.engine = "lsm",
		.options = "variant=hardened,sync=each,memtable_bytes=2048,block_bytes=512",
		.workload = "ops=60 keys=12",
		.contract = "each acknowledged operation survives loss of power",
		.seed = 42,
		.calls = 312,
		.operations = 60,
		.changes = 48,
		.points = 1951,
	};
	ok(store_add_target(store, &row, &failure));
	add_coverage(row.id, "kill", 400, true, 100, 0);
	add_coverage(row.id, "posix", 4000, true, 1000, 0);
	add_fault(row.id, "lsm/append/flushed", 40, 0, true);
	return row.id;
}

/* ---- comparing ---- */

static void compare(const char *name, struct buf *out)
{
	char *path = mem_printf("%s/%s", golden, name);
	if (getenv("GOLDEN_UPDATE")) {
		FILE *f = fopen(path, "w");
		ck_assert_ptr_nonnull(f);
		fwrite(out->data, 1, out->len, f);
		fclose(f);
	}
	FILE *f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s is missing", path);
	struct buf expected = {0};
	char bytes[4096];
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
		buf_append(&expected, bytes, n);
	fclose(f);
	bool same = expected.len == out->len && memcmp(expected.data, out->data, out->len) == 0;
	if (!same)
		printf("%s\n", buf_text(out));
	ck_assert_msg(same, "what is printed above differs from %s", path);
	buf_finish(&expected);
	buf_finish(out);
	free(path);
}

/* The most columns of any line that is not a command. */
static uint32_t widest_line(struct buf *out)
{
	uint32_t widest = 0, columns = 0;
	const char *line = buf_text(out);
	for (const char *p = line; *p; p++) {
		if (*p == '\n') {
			bool command = strstr(line, "powercut ") && strstr(line, "powercut ") < p;
			widest = columns > widest && !command ? columns : widest;
			columns = 0;
			line = p + 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			columns++;
		}
	}
	return widest;
}

static void report(int64_t campaign, const struct report_options *options, struct buf *out)
{
	ok(report_text(store, campaign, options, out, &failure));
}

/* ---- the reports ---- */

START_TEST(the_text_report_is_the_golden_one)
{
	struct buf out = {0};
	report(add_everything(), NULL, &out);
	ck_assert_uint_le(widest_line(&out), 80);
	compare("report.txt", &out);
}
END_TEST

START_TEST(the_text_report_has_all_windows_on_demand)
{
	struct buf out = {0};
	struct report_options options = {.all_windows = true, .colour = true, .width = 120};
	report(add_everything(), &options, &out);
	compare("report_wide_colour.txt", &out);
}
END_TEST

/* Targets that hold, and such as break promises as is expected of them. */
static int64_t add_many(void)
{
	int64_t campaign = add_campaign("2024-05-01T12:00:09Z", 0);
	add_sound(campaign, "lsm:variant=hardened,sync=each");
	add_sound(campaign, "lsm:variant=hardened,sync=each,memtable_bytes=512,compact_at=2");
	add_taught(campaign, "wal:variant=textbook,sync=sync");
	add_taught(campaign, "wal:variant=textbook,sync=none");
	return campaign;
}

START_TEST(many_targets_have_a_table_and_a_summary)
{
	struct buf out = {0};
	report(add_many(), NULL, &out);
	ck_assert_uint_le(widest_line(&out), 80);
	compare("many.txt", &out);
}
END_TEST

START_TEST(of_many_targets_only_those_that_did_not_pass_are_in_full)
{
	struct buf out = {0};
	int64_t campaign = add_many();
	int64_t target = add_sound(campaign, "lsm:variant=hardened,sync=on-sync");
	add_fault(target, "lsm/compact/begin", 0, 0, true);
	add_second_crash(add_taught(campaign, "wal:variant=textbook,sync=batch"));
	report(campaign, NULL, &out);
	ck_assert_uint_le(widest_line(&out), 80);
	compare("many_failed.txt", &out);
}
END_TEST

/* How often a text is in the report. */
static uint32_t times(struct buf *out, const char *text)
{
	uint32_t n = 0;
	for (const char *at = buf_text(out); (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

START_TEST(all_targets_are_in_full_on_demand_and_where_they_are_few)
{
	struct buf out = {0};
	int64_t campaign = add_many();
	report(campaign, &(struct report_options){.full = true}, &out);
	ck_assert_uint_eq(times(&out, "\nTarget "), 4);
	ck_assert_uint_eq(times(&out, "\nSummary\n"), 0);
	ck_assert_uint_eq(times(&out, "\n  Expected finding "), 4);
	buf_clear(&out);
	report(campaign, &(struct report_options){.all_windows = true}, &out);
	ck_assert_uint_eq(times(&out, "\nTarget "), 4);
	buf_clear(&out);
	report(add_everything(), NULL, &out);
	ck_assert_uint_eq(times(&out, "\nTarget "), 3);
	ck_assert_uint_eq(times(&out, "\nSummary\n"), 0);
	buf_finish(&out);
}
END_TEST

START_TEST(a_finding_after_two_crashes_names_the_state_between_them)
{
	struct buf out = {0};
	int64_t campaign = add_campaign("now", 1);
	add_second_crash(add_target(campaign, "wal:mutant=wal/recover-no-sync", "", ""));
	ok(report_show(store, "c7d2", NULL, &out, &failure));
	ck_assert_uint_le(widest_line(&out), 80);
	compare("show_nested.txt", &out);
}
END_TEST

START_TEST(the_json_report_is_the_golden_one)
{
	struct buf out = {0};
	ok(report_json(store, add_everything(), NULL, &out, &failure));
	compare("report.json", &out);
}
END_TEST

START_TEST(a_finding_is_shown_as_in_the_golden_file)
{
	struct buf out = {0};
	add_everything();
	ok(report_show(store, "3f2a9", NULL, &out, &failure));
	ck_assert_uint_le(widest_line(&out), 80);
	compare("show.txt", &out);
	ok(report_show(store, "#2", NULL, &out, &failure));
	compare("show_expected.txt", &out);
}
END_TEST

START_TEST(the_lists_are_the_golden_ones)
{
	struct buf out = {0};
	add_everything();
	add_campaign(NULL, -1);
	ok(report_list_campaigns(store, NULL, &out, &failure));
	buf_byte(&out, '\n');
	ok(report_list_findings(store, 0, NULL, &out, &failure));
	compare("lists.txt", &out);
}
END_TEST

/* ---- verdicts ---- */

static const char *verdict_line(int64_t campaign)
{
	static char line[256];
	struct buf out = {0};
	report(campaign, &(struct report_options){.width = 250}, &out);
	snprintf(line, sizeof line, "%.*s", (int)strcspn(buf_text(&out), "\n"), out.data);
	buf_finish(&out);
	return line;
}

START_TEST(a_campaign_without_violations_passed)
{
	int64_t campaign = add_campaign("now", 0);
	add_coverage(add_target(campaign, "wal", "", ""), "posix", 40, true, 30, 0);
	ck_assert_str_eq(verdict_line(campaign), "PASSED: no violation in 30 states of 1 target");
}
END_TEST

START_TEST(a_campaign_with_just_its_expected_findings_passed)
{
	int64_t campaign = add_campaign("now", 0);
	int64_t target = add_target(campaign, "wal", "3f2affff00000001", "");
	add_coverage(target, "posix", 40, true, 30, 2);
	struct finding_row row = known_problem(target);
	ok(store_add_finding(store, &row, &failure));
	ck_assert_str_eq(verdict_line(campaign),
			 "PASSED: nothing but the expected 1 finding in 30 states of 1 target");
}
END_TEST

START_TEST(a_campaign_without_its_expected_finding_failed)
{
	int64_t campaign = add_campaign("now", 1);
	int64_t target = add_target(campaign, "wal", "3f2affff00000001", "");
	add_coverage(target, "posix", 40, true, 30, 0);
	ck_assert_str_eq(verdict_line(campaign),
			 "FAILED: 1 expected finding missing in 1 of 1 target");
}
END_TEST

START_TEST(violations_that_no_finding_explains_fail)
{
	int64_t campaign = add_campaign(NULL, -1);
	add_coverage(add_target(campaign, "wal", "", ""), "posix", 40, true, 30, 2);
	ck_assert_str_eq(verdict_line(campaign),
			 "FAILED: 2 unexplained violations in 1 of 1 target; the campaign is still "
			 "running, or was killed");
}
END_TEST

START_TEST(an_unfinished_campaign_has_not_passed)
{
	int64_t campaign = add_campaign(NULL, -1);
	add_coverage(add_target(campaign, "wal", "", ""), "posix", 40, true, 30, 0);
	ck_assert_str_eq(verdict_line(campaign),
			 "UNFINISHED: the campaign is still running, or was killed; no violation "
			 "so far in 30 states");
}
END_TEST

START_TEST(an_inconclusive_state_makes_the_campaign_inconclusive)
{
	int64_t campaign = add_campaign("now", 2);
	add_inconclusive(add_target(campaign, "wal", "", ""));
	ck_assert_str_eq(verdict_line(campaign),
			 "INCONCLUSIVE: 1 of 1 target could not be judged to the end; "
			 "no violation in what was tested");
}
END_TEST

START_TEST(a_campaign_that_tested_nothing_has_not_passed)
{
	int64_t campaign = add_campaign("now", 3);
	add_target(campaign, "wal", "", "");
	ck_assert_str_eq(verdict_line(campaign), "NOTHING TESTED: no crash state was looked at");
}
END_TEST

START_TEST(a_fault_point_never_passed_is_too_little)
{
	int64_t campaign = add_campaign("now", 3);
	int64_t target = add_target(campaign, "wal", "", "");
	add_coverage(target, "posix", 40, true, 30, 0);
	add_fault(target, "wal/append/flushed", 40, 0, true);
	add_fault(target, "wal/rotate/begin", 0, 0, true);
	add_fault(target, "wal/recycle/reused", 0, 0, false);
	ck_assert_str_eq(verdict_line(campaign),
			 "TOO LITTLE: 1 fault point that should have been passed never was: "
			 "wal/rotate/begin; no violation in 30 states of 1 target");
}
END_TEST

START_TEST(a_fault_point_that_a_recovery_passed_was_passed)
{
	int64_t campaign = add_campaign("now", 0);
	int64_t target = add_target(campaign, "wal", "", "");
	add_coverage(target, "posix", 40, true, 30, 0);
	add_fault(target, "wal/recover/cut", 0, 18, true);
	ck_assert_str_eq(verdict_line(campaign), "PASSED: no violation in 30 states of 1 target");
}
END_TEST

START_TEST(points_never_passed_are_named_once_and_not_all)
{
	int64_t campaign = add_campaign("now", 3);
	for (int i = 0; i < 2; i++) {
		int64_t target = add_target(campaign, "wal", "", "");
		add_coverage(target, "posix", 40, true, 30, 0);
		for (char name[] = "wal/a"; name[4] < 'h'; name[4]++)
			add_fault(target, name, 0, 0, true);
	}
	ck_assert_str_eq(
		verdict_line(campaign),
		"TOO LITTLE: 7 fault points that should have been passed never were, in 2 "
		"targets: wal/a, wal/b, wal/c, wal/d, wal/e, wal/f and 1 more; no violation in 60 "
		"states of 2 targets");
}
END_TEST

/* The order of the exit codes: 1, 2, 3. */
START_TEST(a_violation_and_an_open_question_come_before_too_little)
{
	int64_t campaign = add_campaign("now", 2);
	int64_t target = add_target(campaign, "wal", "", "");
	add_inconclusive(target);
	add_fault(target, "wal/rotate/begin", 0, 0, true);
	ck_assert_str_eq(verdict_line(campaign),
			 "INCONCLUSIVE: 1 of 1 target could not be judged to the end; no violation "
			 "in what was tested; 1 fault point that should have been passed never "
			 "was: wal/rotate/begin");
	campaign = add_campaign("now", 1);
	target = add_target(campaign, "wal", "", "");
	add_coverage(target, "posix", 40, true, 30, 2);
	add_fault(target, "wal/rotate/begin", 0, 0, true);
	ck_assert_str_eq(verdict_line(campaign),
			 "FAILED: 2 unexplained violations in 1 of 1 target; 1 fault point that "
			 "should have been passed never was: wal/rotate/begin");
}
END_TEST

/* ---- what reaches the terminal ---- */

START_TEST(numbers_are_readable_and_lower_bounds_stay_true)
{
	static const struct {
		uint64_t n;
		bool at_least;
		const char *text;
	} rows[] = {
		{0, false, "0"},
		{999, false, "999"},
		{1000, false, "1,000"},
		{1000001, false, "1,000,001"},
		{9999999, true, "≥9,999,999"},
		{10000000, false, "1.0e7"},
		{19999999, true, "≥1.9e7"},
		{12345678901234567890u, true, "≥1.2e19"},
		{UINT64_MAX, true, "≥1.8e19"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		sheet_number(&out, rows[i].n, rows[i].at_least);
		ck_assert_str_eq(buf_text(&out), rows[i].text);
		buf_finish(&out);
	}
}
END_TEST

START_TEST(text_is_made_harmless)
{
	struct buf out = {0};
	sheet_escape(&out, "a\033[2J\a\r\n\t\x7f\xc2\x9b"
			   "31m\xff\xe2\x80\xae\xe2\x80\xa8\xc3\xa4\xe2\x89\xa5\xf0\x9f\x98\x80");
	ck_assert_str_eq(buf_text(&out), "a\\x1b[2J\\x07\\x0d\\n\\t\\x7f\\u009b31m\\xff\\u202e"
					 "\\u2028\xc3\xa4\xe2\x89\xa5\xf0\x9f\x98\x80");
	buf_finish(&out);
}
END_TEST

/* A database in which every text is hostile. */
static int64_t add_hostile(void)
{
	static const char hostile[] = "x\033]0;owned\a\r\xff\xc2\x9b\xe2\x80\xae\"\\";
	struct campaign_row campaign = {.version = hostile,
					.command = hostile,
					.started = hostile,
					.finished = hostile,
					.system = hostile};
	ok(store_add_campaign(store, &campaign, &failure));
	struct target_row target = {.campaign = campaign.id,
				    .name = hostile,
				    .engine = hostile,
				    .options = hostile,
				    .workload = hostile,
				    .contract = hostile,
				    .expected = hostile,
				    .inconclusive = hostile};
	ok(store_add_target(store, &target, &failure));
	struct coverage_row coverage = {.target = target.id, .profile = hostile, .violations = 1};
	ok(store_add_coverage(store, &coverage, &failure));
	struct point_row point = {.target = target.id,
				  .profile = hostile,
				  .before = hostile,
				  .after = hostile,
				  .violations = 1};
	ok(store_add_point(store, &point, &failure));
	struct fault_row fault = {.target = target.id, .name = hostile, .reachable = true};
	ok(store_add_fault(store, &fault, &failure));
	struct outcome_row outcome = {.target = target.id,
				      .profile = hostile,
				      .state = hostile,
				      .verdict = "inconclusive",
				      .text = hostile};
	ok(store_add_outcome(store, &outcome, &failure));
	struct finding_row finding = {.target = target.id,
				      .fingerprint = hostile,
				      .rule = 2,
				      .title = hostile,
				      .cause = hostile,
				      .source = hostile,
				      .before = hostile,
				      .after = hostile,
				      .profiles = hostile,
				      .minimal = hostile,
				      .state = hostile,
				      .explanation = hostile};
	ok(store_add_finding(store, &finding, &failure));
	struct witness_row witness = {.finding = finding.id,
				      .file_system = hostile,
				      .kernel = hostile,
				      .options = hostile,
				      .made = hostile,
				      .outcome = "witnessed",
				      .variant = hostile,
				      .blocks = hostile,
				      .text = hostile};
	ok(store_add_witness(store, &witness, &failure));
	target.expected = "";
	for (int i = 0; i < REPORT_FULL_MAX; i++)
		ok(store_add_target(store, &target, &failure));
	return campaign.id;
}

static void assert_harmless(struct buf *out)
{
	for (size_t i = 0; i < out->len; i++) {
		unsigned char c = (unsigned char)out->data[i];
		ck_assert_msg(c == '\n' || (c >= 0x20 && c < 0x7f) || c >= 0x80, "byte %02x at %zu",
			      c, i);
	}
	ck_assert_ptr_null(strstr(buf_text(out), "\xc2\x9b"));
	ck_assert_ptr_null(strstr(buf_text(out), "\xe2\x80\xae"));
	ck_assert_ptr_null(strchr(buf_text(out), 0xff));
	ck_assert_uint_gt(out->len, 0);
	buf_finish(out);
}

START_TEST(no_text_from_the_database_controls_the_terminal)
{
	struct buf out = {0};
	int64_t campaign = add_hostile();
	report(campaign, &(struct report_options){.all_windows = true}, &out);
	assert_harmless(&out);
	report(campaign, NULL, &out);
	ck_assert_uint_eq(times(&out, "\nSummary\n"), 1);
	assert_harmless(&out);
	ok(report_show(store, "#1", NULL, &out, &failure));
	assert_harmless(&out);
	ok(report_list_campaigns(store, NULL, &out, &failure));
	assert_harmless(&out);
	ok(report_list_findings(store, 0, NULL, &out, &failure));
	assert_harmless(&out);
}
END_TEST

START_TEST(without_colour_there_is_no_escape_and_with_it_there_is)
{
	struct buf out = {0};
	int64_t campaign = add_everything();
	report(campaign, NULL, &out);
	ck_assert_ptr_null(strchr(buf_text(&out), '\033'));
	buf_clear(&out);
	report(campaign, &(struct report_options){.colour = true}, &out);
	ck_assert_ptr_nonnull(strstr(buf_text(&out), "\033[1;31mFAILED\033[0m"));
	buf_finish(&out);
}
END_TEST

START_TEST(a_path_is_quoted_for_the_shell)
{
	struct buf out = {0};
	sheet_database(&out, "powercut.db");
	ck_assert_str_eq(buf_text(&out), "");
	sheet_database(&out, "a/b.db");
	sheet_database(&out, "it's $HOME");
	ck_assert_str_eq(buf_text(&out), " --db a/b.db --db 'it'\\''s $HOME'");
	buf_finish(&out);
}
END_TEST

/* ---- JSON ---- */

/* Reads a document strictly with another program's parser and prints one value
 * of it. */
static const char *python(struct buf *document, const char *expression)
{
	static char answer[256];
	char *command = mem_printf("python3 -c 'import json, sys\n"
				   "d = json.loads(open(\"out\", \"rb\").read().decode(\"utf-8\"), "
				   "strict=True)\n"
				   "print((%s))'",
				   expression);
	FILE *f = fopen("out", "w");
	fwrite(document->data, 1, document->len, f);
	fclose(f);
	f = popen(command, "r");
	answer[0] = '\0';
	if (fgets(answer, sizeof answer, f))
		answer[strcspn(answer, "\n")] = '\0';
	int status = pclose(f);
	ck_assert_msg(status == 0, "python3 refuses the document: %s", buf_text(document));
	free(command);
	return answer;
}

static bool without_python(void)
{
	if (system("python3 -c 'import json' 2>/dev/null") == 0)
		return false;
	printf("SKIPPED: JSON by another parser: python3 is not installed\n");
	return true;
}

START_TEST(the_json_documents_are_valid_and_say_what_they_are)
{
	struct buf out = {0};
	struct report_options json = {.json = true};
	if (without_python())
		return;
	int64_t campaign = add_everything();
	ok(report_json(store, campaign, NULL, &out, &failure));
	ck_assert_str_eq(python(&out, "d[\"format\"], d[\"version\"]"), "('powercut-report', 1)");
	ck_assert_str_eq(python(&out, "d[\"campaign\"][\"verdict\"], d[\"campaign\"][\"seed\"]"),
			 "('failed', '18446744073709551615')");
	ck_assert_str_eq(python(&out, "d[\"targets\"][0][\"coverage\"][2][\"possible\"], "
				      "d[\"targets\"][0][\"findings\"][1][\"rules\"]"),
			 "(9223372036854775807, ['O2', 'O4'])");
	ck_assert_str_eq(python(&out, "d[\"campaign\"][\"unreached\"], "
				      "d[\"targets\"][0][\"unreached\"], "
				      "d[\"targets\"][0][\"faults\"][1][\"recoveries\"]"),
			 "(1, ['wal/compact/renamed'], 18)");
	buf_clear(&out);
	ok(report_show(store, "3f2a9", &json, &out, &failure));
	ck_assert_str_eq(python(&out, "d[\"format\"], d[\"finding\"][\"rule\"]"),
			 "('powercut-finding', 'O2')");
	ck_assert_str_eq(
		python(&out,
		       "[(w[\"file_system\"], w[\"outcome\"], w[\"states\"], w[\"seed\"]) for w in "
		       "d[\"finding\"][\"witnesses\"]][3]"),
		"('xfs', 'not seen', 1240, '18446744073709551615')");
	buf_clear(&out);
	ok(report_list_campaigns(store, &json, &out, &failure));
	ck_assert_str_eq(python(&out, "d[\"format\"], len(d[\"campaigns\"])"),
			 "('powercut-campaigns', 1)");
	buf_clear(&out);
	ok(report_list_findings(store, campaign, &json, &out, &failure));
	ck_assert_str_eq(python(&out, "d[\"format\"], len(d[\"findings\"])"),
			 "('powercut-findings', 2)");
	ck_assert_str_eq(python(&out, "[len(f[\"finding\"][\"witnesses\"]) for f in "
				      "d[\"findings\"]]"),
			 "[5, 0]");
	buf_finish(&out);
}
END_TEST

START_TEST(hostile_text_makes_valid_json)
{
	struct buf out = {0};
	if (without_python())
		return;
	ok(report_json(store, add_hostile(), NULL, &out, &failure));
	ck_assert_str_eq(python(&out, "ascii(d[\"targets\"][0][\"name\"])"),
			 "'x\\x1b]0;owned\\x07\\r\\ufffd\\x9b\\u202e\"\\\\'");
	buf_finish(&out);
}
END_TEST

START_TEST(an_empty_database_makes_valid_lists)
{
	struct buf out = {0};
	struct report_options json = {.json = true};
	ok(report_list_campaigns(store, &json, &out, &failure));
	ck_assert_str_eq(buf_text(&out), "{\n  \"format\": \"powercut-campaigns\",\n  "
					 "\"version\": 1,\n  \"campaigns\": []\n}\n");
	buf_finish(&out);
}
END_TEST

/* ---- looking up ---- */

static void refuses_to_show(const char *what, enum err_code code, const char *text)
{
	struct buf out = {0};
	struct err err = {0};
	ck_assert_int_eq(report_show(store, what, NULL, &out, &err), code);
	ck_assert_str_eq(err.text, text);
	ck_assert_uint_eq(out.len, 0);
}

START_TEST(what_names_no_single_finding_is_refused)
{
	static const char nonsense[] = " names no finding, expected a fingerprint or at least 4 "
				       "digits of one";
	char text[200];
	add_everything();
	snprintf(text, sizeof text, "'3f2'%s", nonsense);
	refuses_to_show("3f2", ERR_USAGE, text);
	snprintf(text, sizeof text, "'wal:x'%s", nonsense);
	refuses_to_show("wal:x", ERR_USAGE, text);
	snprintf(text, sizeof text, "''%s", nonsense);
	refuses_to_show("", ERR_USAGE, text);
	refuses_to_show("3f2a", ERR_USAGE,
			"3f2a begins several fingerprints: 3f2a9c0d11223344, 3f2affff00000001");
	refuses_to_show("00001111", ERR_MISSING,
			"golden.db: no finding's fingerprint begins with 00001111");
	refuses_to_show("#77", ERR_MISSING, "golden.db: no row 77 in findings");
}
END_TEST

START_TEST(of_several_with_one_fingerprint_the_newest_is_shown)
{
	struct buf out = {0};
	add_everything();
	int64_t again = add_everything();
	char campaign[40];
	snprintf(campaign, sizeof campaign, "  campaign      %lld\n", (long long)again);
	ok(report_show(store, "3F2A9C", NULL, &out, &failure));
	ck_assert_ptr_nonnull(strstr(buf_text(&out), campaign));
	buf_finish(&out);
}
END_TEST

START_TEST(renderers_are_found_by_name)
{
	struct err err = {0};
	ck_assert_ptr_eq(report_find("json", &err)->render, report_json);
	ck_assert_ptr_null(report_find("pdf", &err));
	ck_assert_str_eq(err.text, "no report format 'pdf', expected one of: text, json");
}
END_TEST

START_TEST(a_campaign_that_does_not_exist_is_missing)
{
	struct buf out = {0};
	struct err err = {0};
	ck_assert_int_eq(report_text(store, 9, NULL, &out, &err), ERR_MISSING);
	ck_assert_int_eq(report_json(store, 9, NULL, &out, &err), ERR_MISSING);
	ck_assert_str_eq(err.text, "golden.db: no row 9 in campaigns");
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

static TCase *cases(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, open_store, remove_store);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static void add_reports(Suite *suite)
{
	TCase *reports = cases(suite, "reports");
	tcase_add_test(reports, the_text_report_is_the_golden_one);
	tcase_add_test(reports, the_text_report_has_all_windows_on_demand);
	tcase_add_test(reports, many_targets_have_a_table_and_a_summary);
	tcase_add_test(reports, of_many_targets_only_those_that_did_not_pass_are_in_full);
	tcase_add_test(reports, all_targets_are_in_full_on_demand_and_where_they_are_few);
	tcase_add_test(reports, a_finding_after_two_crashes_names_the_state_between_them);
	tcase_add_test(reports, the_json_report_is_the_golden_one);
	tcase_add_test(reports, a_finding_is_shown_as_in_the_golden_file);
	tcase_add_test(reports, the_lists_are_the_golden_ones);
	TCase *verdicts = cases(suite, "verdicts");
	tcase_add_test(verdicts, a_campaign_without_violations_passed);
	tcase_add_test(verdicts, a_campaign_with_just_its_expected_findings_passed);
	tcase_add_test(verdicts, a_campaign_without_its_expected_finding_failed);
	tcase_add_test(verdicts, violations_that_no_finding_explains_fail);
	tcase_add_test(verdicts, an_unfinished_campaign_has_not_passed);
	tcase_add_test(verdicts, an_inconclusive_state_makes_the_campaign_inconclusive);
	tcase_add_test(verdicts, a_campaign_that_tested_nothing_has_not_passed);
	tcase_add_test(verdicts, a_fault_point_never_passed_is_too_little);
	tcase_add_test(verdicts, a_fault_point_that_a_recovery_passed_was_passed);
	tcase_add_test(verdicts, points_never_passed_are_named_once_and_not_all);
	tcase_add_test(verdicts, a_violation_and_an_open_question_come_before_too_little);
}

static void add_details(Suite *suite)
{
	TCase *terminal = cases(suite, "terminal");
	tcase_add_test(terminal, numbers_are_readable_and_lower_bounds_stay_true);
	tcase_add_test(terminal, text_is_made_harmless);
	tcase_add_test(terminal, no_text_from_the_database_controls_the_terminal);
	tcase_add_test(terminal, without_colour_there_is_no_escape_and_with_it_there_is);
	tcase_add_test(terminal, a_path_is_quoted_for_the_shell);
	TCase *json = cases(suite, "json");
	tcase_add_test(json, the_json_documents_are_valid_and_say_what_they_are);
	tcase_add_test(json, hostile_text_makes_valid_json);
	tcase_add_test(json, an_empty_database_makes_valid_lists);
	TCase *lookup = cases(suite, "lookup");
	tcase_add_test(lookup, what_names_no_single_finding_is_refused);
	tcase_add_test(lookup, of_several_with_one_fingerprint_the_newest_is_shown);
	tcase_add_test(lookup, renderers_are_found_by_name);
	tcase_add_test(lookup, a_campaign_that_does_not_exist_is_missing);
}

int main(void)
{
	char here[512];
	const char *given = getenv("GOLDEN");
	snprintf(golden, sizeof golden, "%s",
		 given			     ? given
		 : getcwd(here, sizeof here) ? strcat(here, "/tests/golden")
					     : ".");
	Suite *suite = suite_create("reports");
	add_reports(suite);
	add_details(suite);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
