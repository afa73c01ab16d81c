#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "prng.h"
#include "schema.h"
#include "store.h"

/* Each test runs in a directory of its own, which is empty at first. */
static char dir[64];

static void enter_directory(void)
{
	strcpy(dir, "/tmp/test_store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
}

static void remove_directory(void)
{
	DIR *d = opendir(dir);
	for (struct dirent *entry; d && (entry = readdir(d));)
		unlinkat(dirfd(d), entry->d_name,
			 entry->d_type == DT_DIR && entry->d_name[0] != '.' ? AT_REMOVEDIR : 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

static struct store *create(const char *path)
{
	struct err err = {0};
	struct store *store = NULL;
	int rc = store_create(path, &store, &err);
	ck_assert_msg(rc == 0, "%s", err.text);
	return store;
}

static struct store *reopen(const char *path)
{
	struct err err = {0};
	struct store *store = NULL;
	int rc = store_open(path, &store, &err);
	ck_assert_msg(rc == 0, "%s", err.text);
	return store;
}

/* A call that must succeed tells in failure why it did not. */
static struct err failure;

static void ok(int rc)
{
	ck_assert_msg(rc == 0, "%s", failure.text);
}

/* A campaign with one target, whose id it returns. */
static int64_t add_target(struct store *store)
{
	struct campaign_row campaign = {.command = "powercut run", .exit_code = -1};
	ok(store_add_campaign(store, &campaign, &failure));
	struct trace_row trace = {.identity = 1, .bytes = "trace", .length = 5};
	ok(store_add_trace(store, &trace, &failure));
	struct target_row target = {
		.campaign = campaign.id, .trace = trace.id, .name = "wal:sync=sync"};
	ok(store_add_target(store, &target, &failure));
	return target.id;
}

static struct outcome_row outcome(int64_t target, uint32_t point)
{
	return (struct outcome_row){.target = target,
				    .profile = "posix",
				    .state = "posix.1.0",
				    .point = point,
				    .verdict = "pass",
				    .prefix = -1};
}

/* How many outcomes are there; each must be the next after the one before. */
static uint32_t count_outcomes(struct store *store)
{
	struct store_query *q = NULL;
	struct outcome_row row;
	struct err err = {0};
	uint32_t n = 0;
	int rc;
	while ((rc = store_next_outcome(store, &q, 0, NULL, &row, &err)) == 1)
		ck_assert_uint_eq(row.point, n++);
	ck_assert_msg(rc == 0, "%s", err.text);
	return n;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void read_file(const char *path, struct buf *out)
{
	char bytes[4096];
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
		buf_append(out, bytes, n);
	fclose(f);
}

static void execute(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	char *text = NULL;
	int rc = sqlite3_exec(db, sql, NULL, NULL, &text);
	ck_assert_msg(rc == SQLITE_OK, "%s", text);
	sqlite3_close(db);
}

/* The first value that a query gives, as text. */
static const char *ask(const char *path, const char *sql)
{
	static char answer[256];
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return answer;
}

/* ---- rows ---- */

START_TEST(campaigns_and_targets_come_back_as_they_were_written)
{
	struct store *store = create("x.db");
	struct campaign_row c = {.version = "0.1.0",
				 .command = "powercut run --seed 7",
				 .started = "2024-05-01T12:00:00Z",
				 .system = "Linux 6.1 x86_64",
				 .seed = UINT64_MAX - 1,
				 .jobs = 2,
				 .exit_code = -1};
	ok(store_add_campaign(store, &c, &failure));
	ok(store_finish_campaign(store, c.id, "2024-05-01T12:00:09Z", 1, &failure));
	struct target_row t = {.campaign = c.id,
			       .name = "wal:sync=sync",
			       .engine = "wal",
			       .options = "sync=sync,batch=8",
			       .workload = "ops=60",
			       .contract = "each",
			       .expected = "0123456789abcdef",
			       .seed = 1ull << 63,
			       .calls = 1,
			       .operations = 2,
			       .changes = 3,
			       .micros = 4,
			       .points = UINT32_MAX,
			       .inconclusive = "io_uring"};
	ok(store_add_target(store, &t, &failure));
	store_close(store);

	store = reopen("x.db");
	struct campaign_row c2;
	ok(store_get_campaign(store, c.id, &c2, &failure));
	ck_assert_str_eq(c2.version, "0.1.0");
	ck_assert_str_eq(c2.command, "powercut run --seed 7");
	ck_assert_str_eq(c2.started, "2024-05-01T12:00:00Z");
	ck_assert_str_eq(c2.finished, "2024-05-01T12:00:09Z");
	ck_assert_str_eq(c2.system, "Linux 6.1 x86_64");
	ck_assert_uint_eq(c2.seed, UINT64_MAX - 1);
	ck_assert_uint_eq(c2.jobs, 2);
	ck_assert_int_eq(c2.exit_code, 1);
	struct target_row t2;
	ok(store_get_target(store, t.id, &t2, &failure));
	ck_assert_int_eq(t2.campaign, c.id);
	ck_assert_int_eq(t2.trace, 0);
	ck_assert_str_eq(t2.name, "wal:sync=sync");
	ck_assert_str_eq(t2.engine, "wal");
	ck_assert_str_eq(t2.options, "sync=sync,batch=8");
	ck_assert_str_eq(t2.workload, "ops=60");
	ck_assert_str_eq(t2.contract, "each");
	ck_assert_str_eq(t2.expected, "0123456789abcdef");
	ck_assert_uint_eq(t2.seed, 1ull << 63);
	ck_assert_uint_eq(t2.calls, 1);
	ck_assert_uint_eq(t2.operations, 2);
	ck_assert_uint_eq(t2.changes, 3);
	ck_assert_uint_eq(t2.micros, 4);
	ck_assert_uint_eq(t2.points, UINT32_MAX);
	ck_assert_str_eq(t2.inconclusive, "io_uring");
	store_close(store);
}
END_TEST

START_TEST(coverage_points_and_faults_come_back_as_they_were_written)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct coverage_row c = {.target = target,
				 .profile = "xfs",
				 .points = 1,
				 .possible = 2,
				 .exact = true,
				 .tested = 3,
				 .merged = 4,
				 .left_out = 5,
				 .recovered = 6,
				 .violations = 7,
				 .inconclusive = 8,
				 .loss = 9};
	ok(store_add_coverage(store, &c, &failure));
	struct point_row p = {.target = target,
			      .profile = "xfs",
			      .point = 1,
			      .event = 2,
			      .before = "a/b/c",
			      .after = "d/e/f",
			      .possible = 3,
			      .exact = true,
			      .tested = 4,
			      .merged = 5,
			      .left_out = 6,
			      .violations = 7};
	ok(store_add_point(store, &p, &failure));
	struct fault_row f = {.target = target, .name = "a/b/c", .passages = 1, .crashes = 2};
	ok(store_add_fault(store, &f, &failure));

	struct store_query *q = NULL;
	struct err err = {0};
	struct coverage_row c2;
	ck_assert_int_eq(store_next_coverage(store, &q, target, &c2, &err), 1);
	ck_assert_int_eq(c2.target, target);
	ck_assert_str_eq(c2.profile, "xfs");
	c2.profile = c.profile;
	ck_assert_uint_eq(c2.points, 1);
	ck_assert_uint_eq(c2.possible, 2);
	ck_assert(c2.exact);
	ck_assert_uint_eq(c2.tested, 3);
	ck_assert_uint_eq(c2.merged, 4);
	ck_assert_uint_eq(c2.left_out, 5);
	ck_assert_uint_eq(c2.recovered, 6);
	ck_assert_uint_eq(c2.violations, 7);
	ck_assert_uint_eq(c2.inconclusive, 8);
	ck_assert_uint_eq(c2.loss, 9);
	ck_assert_int_eq(store_next_coverage(store, &q, target, &c2, &err), 0);
	ck_assert_ptr_null(q);
	struct point_row p2;
	ck_assert_int_eq(store_next_point(store, &q, target, "xfs", &p2, &err), 1);
	ck_assert_str_eq(p2.before, "a/b/c");
	ck_assert_str_eq(p2.after, "d/e/f");
	ck_assert_uint_eq(p2.point, 1);
	ck_assert_uint_eq(p2.event, 2);
	ck_assert_uint_eq(p2.possible, 3);
	ck_assert(p2.exact);
	ck_assert_uint_eq(p2.tested, 4);
	ck_assert_uint_eq(p2.merged, 5);
	ck_assert_uint_eq(p2.left_out, 6);
	ck_assert_uint_eq(p2.violations, 7);
	store_query_end(&q);
	ck_assert_int_eq(store_next_point(store, &q, target, "posix", &p2, &err), 0);
	struct fault_row f2;
	ck_assert_int_eq(store_next_fault(store, &q, target, &f2, &err), 1);
	ck_assert_str_eq(f2.name, "a/b/c");
	ck_assert_uint_eq(f2.passages, 1);
	ck_assert_uint_eq(f2.crashes, 2);
	store_query_end(&q);
	store_close(store);
}
END_TEST

START_TEST(outcomes_and_findings_come_back_as_they_were_written)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct outcome_row o = {.target = target,
				.profile = "posix",
				.state = "posix.3.1-2",
				.point = 3,
				.digest_lo = UINT64_MAX,
				.digest_hi = (1ull << 63) + 5,
				.verdict = "fail",
				.rules = 1u << 2,
				.begun = 4,
				.acked = 3,
				.durable = 2,
				.prefix = -1,
				.loss = 7,
				.text = "key k1 is lost",
				.live = true};
	ok(store_add_outcome(store, &o, &failure));
	struct finding_row f = {.target = target,
				.fingerprint = "0123456789abcdef",
				.rule = 2,
				.rules = 1u << 2 | 1u << 4,
				.title = "title",
				.cause = "cause",
				.source = "wal.c:210",
				.before = "a",
				.after = "b",
				.profiles = "ext4 posix",
				.minimal = "ext4",
				.state = "posix.3.1-2",
				.explanation = "one\ntwo\n",
				.states = 12,
				.expected = true};
	ok(store_add_finding(store, &f, &failure));

	struct store_query *q = NULL;
	struct err err = {0};
	struct outcome_row o2;
	ck_assert_int_eq(store_next_outcome(store, &q, target, "posix.3.1-2", &o2, &err), 1);
	ck_assert_str_eq(o2.profile, "posix");
	ck_assert_str_eq(o2.state, "posix.3.1-2");
	ck_assert_uint_eq(o2.point, 3);
	ck_assert_uint_eq(o2.digest_lo, UINT64_MAX);
	ck_assert_uint_eq(o2.digest_hi, (1ull << 63) + 5);
	ck_assert_str_eq(o2.verdict, "fail");
	ck_assert_uint_eq(o2.rules, 4);
	ck_assert_uint_eq(o2.begun, 4);
	ck_assert_uint_eq(o2.acked, 3);
	ck_assert_uint_eq(o2.durable, 2);
	ck_assert_int_eq(o2.prefix, -1);
	ck_assert_uint_eq(o2.loss, 7);
	ck_assert_str_eq(o2.text, "key k1 is lost");
	ck_assert(o2.live);
	store_query_end(&q);
	struct finding_row f2;
	ck_assert_int_eq(store_next_finding(store, &q, 0, &f2, &err), 1);
	ck_assert_int_eq(f2.id, f.id);
	ck_assert_int_eq(f2.target, target);
	ck_assert_str_eq(f2.fingerprint, "0123456789abcdef");
	ck_assert_uint_eq(f2.rule, 2);
	ck_assert_uint_eq(f2.rules, 20);
	ck_assert_str_eq(f2.title, "title");
	ck_assert_str_eq(f2.cause, "cause");
	ck_assert_str_eq(f2.source, "wal.c:210");
	ck_assert_str_eq(f2.before, "a");
	ck_assert_str_eq(f2.after, "b");
	ck_assert_str_eq(f2.profiles, "ext4 posix");
	ck_assert_str_eq(f2.minimal, "ext4");
	ck_assert_str_eq(f2.state, "posix.3.1-2");
	ck_assert_str_eq(f2.explanation, "one\ntwo\n");
	ck_assert_uint_eq(f2.states, 12);
	ck_assert(f2.expected);
	store_query_end(&q);
	store_close(store);
}
END_TEST

static struct finding_row finding(int64_t target)
{
	return (struct finding_row){.target = target, .fingerprint = "0123456789abcdef", .rule = 2};
}

static struct witness_row witness(int64_t of, const char *file_system, const char *outcome)
{
	return (struct witness_row){.finding = of,
				    .file_system = file_system,
				    .kernel = "6.18.44 x86_64",
				    .options = "mkfs.ext4 -b 4096; mount data=ordered",
				    .made = "2026-01-02T03:04:05Z",
				    .seed = UINT64_MAX,
				    .states = 1240,
				    .variants = 6,
				    .outcome = outcome,
				    .variant = "commit",
				    .blocks = "keeps 12 of 14 writes",
				    .text = "key k1 is lost"};
}

static void check_witness(const struct witness_row *row, const struct witness_row *expected)
{
	ck_assert_int_eq(row->finding, expected->finding);
	ck_assert_str_eq(row->file_system, expected->file_system);
	ck_assert_str_eq(row->kernel, expected->kernel);
	ck_assert_str_eq(row->options, expected->options);
	ck_assert_str_eq(row->made, expected->made);
	ck_assert_uint_eq(row->seed, expected->seed);
	ck_assert_uint_eq(row->states, expected->states);
	ck_assert_uint_eq(row->variants, expected->variants);
	ck_assert_str_eq(row->outcome, expected->outcome);
	ck_assert_str_eq(row->variant, expected->variant);
	ck_assert_str_eq(row->blocks, expected->blocks);
	ck_assert_str_eq(row->text, expected->text);
}

START_TEST(a_later_witness_takes_the_place_of_the_earlier)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct finding_row one = finding(target), two = finding(target);
	ok(store_add_finding(store, &one, &failure));
	ok(store_add_finding(store, &two, &failure));
	struct witness_row ext4 = witness(one.id, "ext4", "witnessed");
	struct witness_row xfs = witness(one.id, "xfs", "not seen");
	struct witness_row other = witness(two.id, "ext4", "same rule");
	ok(store_add_witness(store, &ext4, &failure));
	ok(store_add_witness(store, &xfs, &failure));
	ok(store_add_witness(store, &other, &failure));
	ext4 = (struct witness_row){.finding = one.id,
				    .file_system = "ext4",
				    .kernel = "6.19.0 aarch64",
				    .options = "other",
				    .made = "2026-02-02T03:04:05Z",
				    .seed = 1,
				    .states = UINT64_MAX,
				    .variants = 0,
				    .outcome = "not tried",
				    .variant = "",
				    .blocks = "",
				    .text = "needs root"};
	ok(store_add_witness(store, &ext4, &failure));
	ext4.states = INT64_MAX;

	struct store_query *q = NULL;
	struct witness_row row;
	ck_assert_int_eq(store_next_witness(store, &q, one.id, &row, &failure), 1);
	check_witness(&row, &ext4);
	ck_assert_int_eq(store_next_witness(store, &q, one.id, &row, &failure), 1);
	check_witness(&row, &xfs);
	ck_assert_int_eq(store_next_witness(store, &q, one.id, &row, &failure), 0);
	ck_assert_int_eq(store_next_witness(store, &q, two.id, &row, &failure), 1);
	check_witness(&row, &other);
	store_query_end(&q);
	uint32_t n = 0;
	while (store_next_witness(store, &q, 0, &row, &failure) == 1)
		n++;
	ck_assert_uint_eq(n, 3);
	store_close(store);
}
END_TEST

START_TEST(a_witness_of_no_finding_or_with_no_known_outcome_is_refused)
{
	struct store *store = create("x.db");
	struct finding_row f = finding(add_target(store));
	struct err err = {0};
	ok(store_add_finding(store, &f, &failure));
	struct witness_row row = witness(f.id + 1, "ext4", "not seen");
	ck_assert_int_eq(store_add_witness(store, &row, &err), ERR_INTERNAL);
	row = witness(f.id, "ext4", "impossible");
	ck_assert_int_eq(store_add_witness(store, &row, &err), ERR_INTERNAL);
	row = witness(f.id, "ext4", "not seen");
	ok(store_add_witness(store, &row, &failure));
	ok(store_commit(store, &failure));
	ck_assert_str_eq(ask("x.db", "SELECT count(*) FROM witnesses"), "1");
	store_close(store);
}
END_TEST

START_TEST(witnesses_are_added_to_a_file_that_is_there)
{
	struct store *store = create("x.db");
	struct finding_row f = finding(add_target(store));
	ok(store_add_finding(store, &f, &failure));
	store_close(store);
	store = create("x.db");
	struct witness_row row = witness(f.id, "btrfs", "witnessed"), read;
	ok(store_add_witness(store, &row, &failure));
	ok(store_commit(store, &failure));
	store_close(store);
	store = reopen("x.db");
	struct store_query *q = NULL;
	ck_assert_int_eq(store_next_witness(store, &q, f.id, &read, &failure), 1);
	check_witness(&read, &row);
	store_query_end(&q);
	ok(store_get_finding(store, f.id, &f, &failure));
	ck_assert_int_eq(store_add_witness(store, &row, &failure), ERR_INTERNAL);
	store_close(store);
}
END_TEST

START_TEST(a_count_that_saturates_is_no_longer_exact)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct coverage_row row = {
		.target = target, .profile = "posix", .possible = UINT64_MAX, .exact = true};
	ok(store_add_coverage(store, &row, &failure));
	struct store_query *q = NULL;
	ck_assert_int_eq(store_next_coverage(store, &q, target, &row, NULL), 1);
	ck_assert_uint_eq(row.possible, INT64_MAX);
	ck_assert(!row.exact);
	store_query_end(&q);
	store_close(store);
}
END_TEST

START_TEST(texts_that_are_null_come_back_empty)
{
	struct store *store = create("x.db");
	struct campaign_row row = {0};
	ok(store_add_campaign(store, &row, &failure));
	ok(store_get_campaign(store, row.id, &row, &failure));
	ck_assert_str_eq(row.command, "");
	ck_assert_str_eq(row.finished, "");
	store_close(store);
}
END_TEST

static int64_t add_trace(struct store *store, uint64_t identity, const void *bytes, size_t length)
{
	struct trace_row row = {.identity = identity, .bytes = bytes, .length = length};
	ok(store_add_trace(store, &row, &failure));
	return row.id;
}

START_TEST(a_trace_is_kept_once_for_the_same_bytes)
{
	struct store *store = create("x.db");
	int64_t a = add_trace(store, UINT64_MAX, "a\0b", 3);
	ck_assert_int_eq(add_trace(store, UINT64_MAX, "a\0b", 3), a);
	int64_t b = add_trace(store, UINT64_MAX, "a\0c", 3);
	ck_assert_int_ne(a, b);
	int64_t empty = add_trace(store, 0, NULL, 0);
	ck_assert_int_eq(add_trace(store, 0, NULL, 0), empty);
	struct buf out = {0};
	ok(store_get_trace(store, b, &out, &failure));
	ck_assert_uint_eq(out.len, 3);
	ck_assert_mem_eq(out.data, "a\0c", 3);
	struct err err = {0};
	ck_assert_int_eq(store_get_trace(store, 99, &out, &err), ERR_MISSING);
	ck_assert_str_eq(err.text, "x.db: no trace 99");
	buf_finish(&out);
	store_close(store);
}
END_TEST

START_TEST(rows_that_do_not_exist_are_missing)
{
	struct store *store = create("x.db");
	struct err err = {0};
	int64_t id;
	ck_assert_int_eq(store_last_campaign(store, &id, &err), ERR_MISSING);
	ck_assert_str_eq(err.text, "x.db: holds no campaign yet");
	struct target_row target;
	ck_assert_int_eq(store_get_target(store, 5, &target, &err), ERR_MISSING);
	ck_assert_str_eq(err.text, "x.db: no row 5 in targets");
	ck_assert_int_eq(store_finish_campaign(store, 5, "", 0, &err), ERR_MISSING);
	store_close(store);
}
END_TEST

START_TEST(a_row_refused_for_its_content_leaves_the_others_alone)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct coverage_row row = {.target = target, .profile = "posix"};
	struct err err = {0};
	ok(store_add_coverage(store, &row, &failure));
	ck_assert_int_eq(store_add_coverage(store, &row, &err), ERR_INTERNAL);
	struct outcome_row orphan = outcome(target + 1, 0);
	ck_assert_int_eq(store_add_outcome(store, &orphan, &err), ERR_INTERNAL);
	struct outcome_row good = outcome(target, 0);
	ok(store_add_outcome(store, &good, &failure));
	ok(store_commit(store, &failure));
	ck_assert_uint_eq(count_outcomes(store), 1);
	store_close(store);
}
END_TEST

START_TEST(queries_keep_to_their_campaign_target_state_and_verdict)
{
	struct store *store = create("x.db");
	int64_t one = add_target(store), two = add_target(store);
	struct finding_row f = {.target = one, .fingerprint = "1"};
	ok(store_add_finding(store, &f, &failure));
	f = (struct finding_row){.target = two, .fingerprint = "2"};
	ok(store_add_finding(store, &f, &failure));
	struct outcome_row o = outcome(two, 0);
	ok(store_add_outcome(store, &o, &failure));
	o.verdict = "fail";
	o.state = "posix.2.0";
	ok(store_add_outcome(store, &o, &failure));

	struct store_query *q = NULL;
	int64_t last = 0;
	ok(store_last_campaign(store, &last, &failure));
	ck_assert_int_eq(store_next_finding(store, &q, last, &f, NULL), 1);
	ck_assert_str_eq(f.fingerprint, "2");
	ck_assert_int_eq(store_next_finding(store, &q, last, &f, NULL), 0);
	struct target_row t;
	ck_assert_int_eq(store_next_target(store, &q, last, &t, NULL), 1);
	ck_assert_int_eq(t.id, two);
	ck_assert_int_eq(store_next_target(store, &q, last, &t, NULL), 0);
	ck_assert_int_eq(store_next_outcome(store, &q, one, NULL, &o, NULL), 0);
	ck_assert_int_eq(store_next_outcome(store, &q, 0, "posix.2.0", &o, NULL), 1);
	ck_assert_str_eq(o.verdict, "fail");
	ck_assert_int_eq(store_next_outcome(store, &q, 0, "posix.2.0", &o, NULL), 0);
	ck_assert_int_eq(store_next_verdict(store, &q, two, "fail", &o, NULL), 1);
	ck_assert_str_eq(o.state, "posix.2.0");
	ck_assert_int_eq(store_next_verdict(store, &q, two, "fail", &o, NULL), 0);
	ck_assert_int_eq(store_next_verdict(store, &q, two, "inconclusive", &o, NULL), 0);
	store_close(store);
}
END_TEST

START_TEST(windows_sum_the_points_between_two_fault_points)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	for (uint32_t i = 0; i < 6; i++) {
		struct point_row row = {.target = target,
					.profile = i % 2 ? "posix" : "ext4",
					.point = i / 2,
					.before = i < 4 ? "z/flushed" : "a/synced",
					.after = i < 4 ? "a/synced" : "",
					.tested = 10 + i,
					.violations = i == 3};
		ok(store_add_point(store, &row, &failure));
	}
	struct store_query *q = NULL;
	struct window_row w;
	ck_assert_int_eq(store_next_window(store, &q, target, &w, NULL), 1);
	ck_assert_str_eq(w.before, "z/flushed");
	ck_assert_str_eq(w.after, "a/synced");
	ck_assert_uint_eq(w.points, 4);
	ck_assert_uint_eq(w.tested, 46);
	ck_assert_uint_eq(w.violations, 1);
	ck_assert_int_eq(store_next_window(store, &q, target, &w, NULL), 1);
	ck_assert_str_eq(w.before, "a/synced");
	ck_assert_uint_eq(w.tested, 29);
	ck_assert_int_eq(store_next_window(store, &q, target, &w, NULL), 0);
	store_close(store);
}
END_TEST

/* ---- batches ---- */

START_TEST(readers_see_finished_batches_while_a_batch_is_being_written)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct outcome_row row = outcome(target, 0);
	ok(store_add_outcome(store, &row, &failure));
	ok(store_commit(store, &failure));
	row = outcome(target, 1);
	ok(store_add_outcome(store, &row, &failure));
	struct store *reader = reopen("x.db");
	ck_assert_uint_eq(count_outcomes(reader), 1);
	ok(store_commit(store, &failure));
	ck_assert_uint_eq(count_outcomes(reader), 2);
	store_close(reader);
	store_close(store);
}
END_TEST

START_TEST(a_batch_is_finished_at_the_first_row_after_half_a_second)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	ok(store_commit(store, &failure));
	struct store *reader = reopen("x.db");
	struct outcome_row row = outcome(target, 0);
	ok(store_add_outcome(store, &row, &failure));
	ck_assert_uint_eq(count_outcomes(reader), 0);
	usleep(520 * 1000);
	row = outcome(target, 1);
	ok(store_add_outcome(store, &row, &failure));
	ck_assert_uint_eq(count_outcomes(reader), 2);
	store_close(reader);
	store_close(store);
}
END_TEST

START_TEST(a_batch_is_finished_when_it_has_grown_to_a_few_megabytes)
{
	struct store *store = create("x.db");
	char *bytes = mem_alloc(5, 1 << 20);
	add_trace(store, 1, bytes, 5 << 20);
	ck_assert_str_eq(ask("x.db", "SELECT count(*) FROM traces"), "1");
	free(bytes);
	store_close(store);
}
END_TEST

START_TEST(readers_are_not_locked_out_by_a_batch_of_many_pages)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	char text[3000];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	ok(store_commit(store, &failure));
	for (uint32_t i = 0; i < 1200; i++) {
		struct outcome_row row = outcome(target, i);
		row.text = text;
		ok(store_add_outcome(store, &row, &failure));
	}
	struct store *reader = reopen("x.db");
	ck_assert_uint_lt(count_outcomes(reader), 1200);
	store_close(reader);
	store_close(store);
}
END_TEST

/* Another process, made before this one opens the file: SQLite keeps its locks
 * in memory too, and a child that inherits them believes that it holds them.  It
 * runs function when *go is set and exits with its result. */
static pid_t other_process(int (*function)(void), volatile int **go)
{
	*go = mem_map_shared(sizeof **go);
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	while (!**go)
		usleep(1000);
	_exit(function());
}

static int write_one(void)
{
	struct store *store = NULL;
	struct campaign_row row = {.command = "other"};
	return store_create("x.db", &store, NULL) || store_add_campaign(store, &row, NULL) ||
	       store_commit(store, NULL);
}

static uint32_t count_campaigns(struct store *store)
{
	struct store_query *q = NULL;
	struct campaign_row row;
	uint32_t n = 0;
	while (store_next_campaign(store, &q, &row, NULL) == 1)
		n++;
	return n;
}

START_TEST(what_is_read_between_begin_and_end_is_of_one_moment)
{
	volatile int *go;
	int status = 0;
	store_close(create("x.db"));
	pid_t pid = other_process(write_one, &go);
	struct store *reader = reopen("x.db");
	ok(store_begin_reading(reader, &failure));
	ck_assert_uint_eq(count_campaigns(reader), 0);
	*go = 1;
	usleep(300 * 1000);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0); /* its commit waits */
	ck_assert_uint_eq(count_campaigns(reader), 0);
	store_end_reading(reader);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(count_campaigns(reader), 1);
	store_close(reader);
}
END_TEST

static int try_to_lock(void)
{
	sqlite3 *db = NULL;
	sqlite3_open("x.db", &db);
	return sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

START_TEST(opening_the_file_again_in_one_process_does_not_drop_its_locks)
{
	volatile int *go;
	int status = 0;
	pid_t pid = other_process(try_to_lock, &go);
	struct store *store = create("x.db");
	add_target(store); /* the batch is open */
	store_close(reopen("x.db"));
	*go = 1;
	waitpid(pid, &status, 0);
	ck_assert_int_eq(WEXITSTATUS(status), SQLITE_BUSY);
	store_close(store);
}
END_TEST

/* ---- kills ---- */

struct progress {
	volatile uint32_t begun, committed;
};

static void write_until_killed(int64_t target, struct progress *progress)
{
	struct store *store = NULL;
	if (store_create("x.db", &store, NULL) != 0)
		_exit(1);
	for (;;) {
		struct outcome_row row = outcome(target, progress->begun);
		progress->begun++;
		if (store_add_outcome(store, &row, NULL) != 0)
			_exit(2);
		if (progress->begun % 40 == 0) {
			if (store_commit(store, NULL) != 0)
				_exit(3);
			progress->committed = progress->begun;
		}
	}
}

/* Kills a child that much later, which was not to end by itself. */
static void kill_after(pid_t pid, uint64_t us)
{
	int status = 0;
	usleep((useconds_t)us);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ck_assert_msg(WIFSIGNALED(status), "the writer failed with %d", WEXITSTATUS(status));
}

static void kill_writer(int64_t target, struct progress *progress, uint64_t us)
{
	uint32_t begun = progress->begun;
	pid_t pid = fork();
	if (pid == 0)
		write_until_killed(target, progress);
	while (progress->begun == begun && waitpid(pid, NULL, WNOHANG) == 0)
		usleep(100);
	kill_after(pid, us);
}

START_TEST(a_kill_at_any_moment_leaves_all_finished_batches)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	store_close(store);
	struct progress *progress = mem_map_shared(sizeof *progress);
	struct prng prng;
	prng_init(&prng, (uint64_t)_i);
	uint32_t journals = 0, grown = 0;
	for (int round = 0; round < 60; round++) {
		kill_writer(target, progress, prng_below(&prng, 20000));
		journals += access("x.db-journal", F_OK) == 0;
		store = reopen("x.db");
		uint32_t n = count_outcomes(store);
		store_close(store);
		ck_assert_uint_ge(n, progress->committed);
		ck_assert_uint_le(n, progress->begun);
		grown += n > progress->committed;
		ck_assert_str_eq(ask("x.db", "PRAGMA integrity_check"), "ok");
		progress->begun = progress->committed = n;
	}
	printf("kills: %u rows, %u of 60 kills left a journal, %u came between the commit and "
	       "its report\n",
	       progress->committed, journals, grown);
	ck_assert_uint_gt(progress->committed, 0);
	ck_assert_uint_gt(journals, 0);
	mem_unmap(progress, sizeof *progress);
}
END_TEST

static pid_t fork_creator(void)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	struct store *store = NULL;
	if (store_create("new.db", &store, NULL) != 0)
		_exit(1);
	for (;;)
		pause();
}

START_TEST(a_kill_while_the_database_is_made_leaves_one_that_can_be_made_again)
{
	struct prng prng;
	prng_init(&prng, 1);
	for (int round = 0; round < 60; round++) {
		kill_after(fork_creator(), prng_below(&prng, 6000));
		struct store *store = NULL;
		struct err err = {0};
		int rc = store_open("new.db", &store, &err);
		ck_assert_msg(rc == 0 || rc == ERR_MISSING || rc == ERR_CORRUPT, "%s", err.text);
		store_close(store);
		store_close(create("new.db"));
		store_close(reopen("new.db"));
		unlink("new.db");
	}
}
END_TEST

/* ---- disks that refuse ---- */

/* In a child: writes until the store refuses; then whether it says so again, and
 * what is in the file.  Returns 0 where all is as it should be. */
static int fill(const char *path, const char *expected)
{
	struct err err = {0};
	struct store *store = NULL;
	if (store_create(path, &store, &err) != 0)
		return 1;
	struct campaign_row campaign = {.command = "x"};
	char text[1000];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	int rc = 0;
	campaign.command = text;
	for (int i = 0; i < 100000 && rc == 0; i++) {
		rc = store_add_campaign(store, &campaign, &err);
		if (rc == 0 && i % 20 == 0)
			rc = store_commit(store, &err);
	}
	if (rc != ERR_FULL || strncmp(err.text, path, strlen(path)) != 0 ||
	    !strstr(err.text, expected)) {
		fprintf(stderr, "%d: %s\n", rc, err.text);
		return 2;
	}
	struct err again = {0};
	if (store_add_campaign(store, &campaign, &again) != rc || strcmp(again.text, err.text) != 0)
		return 3;
	if (store_commit(store, NULL) != rc)
		return 4;
	store_close(store);
	return 0;
}

static int in_child(int (*function)(void))
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(function());
	int status = 0;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int fill_under_a_limit(void)
{
	struct rlimit limit = {200000, 200000};
	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &limit) ? 9 : fill("x.db", "File too large");
}

START_TEST(a_file_that_may_not_grow_is_named_and_keeps_its_finished_batches)
{
	ck_assert_int_eq(in_child(fill_under_a_limit), 0);
	ck_assert_str_eq(ask("x.db", "PRAGMA integrity_check"), "ok");
	ck_assert_int_ge(atoi(ask("x.db", "SELECT count(*) FROM campaigns")), 20);
}
END_TEST

static int fill_a_small_disk(void)
{
	if (mkdir("disk", 0700) != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "disk", "tmpfs", 0, "size=400k") != 0)
		return 77;
	int rc = fill("disk/x.db", "full");
	if (rc)
		return rc;
	struct store *store = NULL;
	struct err err = {0};
	struct campaign_row row;
	struct store_query *q = NULL;
	uint32_t n = 0;
	if (store_open("disk/x.db", &store, &err) != 0)
		return 5;
	while (store_next_campaign(store, &q, &row, &err) == 1)
		n++;
	store_close(store);
	return n >= 20 && err.code == 0 ? 0 : 6;
}

START_TEST(a_full_disk_is_named_and_keeps_its_finished_batches)
{
	int rc = in_child(fill_a_small_disk);
	if (rc == 77)
		printf("SKIPPED: a full disk: cannot mount a tmpfs here\n");
	else
		ck_assert_int_eq(rc, 0);
}
END_TEST

static int create_without_permission(void)
{
	if (getuid() == 0 && setuid(65534) != 0)
		return 77;
	struct err err = {0};
	struct store *store = NULL;
	if (store_create("locked/x.db", &store, &err) != ERR_IO ||
	    strcmp(err.text, "locked/x.db: cannot write to its directory locked: "
			     "Permission denied") != 0)
		return 1;
	if (store_create("open/x.db", &store, &err) != ERR_IO ||
	    strcmp(err.text, "open/x.db: cannot be written: permission denied") != 0)
		return 2;
	if (store_open("open/x.db", &store, &err) != 0)
		return 3;
	if (store_open("open/hidden.db", &store, &err) != ERR_IO ||
	    !strstr(err.text, "open/hidden.db: ") || !strstr(err.text, "Permission denied"))
		return 4;
	return 0;
}

START_TEST(a_path_without_permission_is_refused_with_its_name)
{
	chmod(".", 0755);
	mkdir("locked", 0755);
	mkdir("open", 0777);
	chmod("open", 0777);
	store_close(create("open/x.db"));
	store_close(create("open/hidden.db"));
	chmod("open/x.db", 0444);
	chmod("open/hidden.db", 0);
	int rc = in_child(create_without_permission);
	unlink("open/x.db");
	unlink("open/hidden.db");
	ck_assert_int_eq(rc, 0);
}
END_TEST

/* ---- files that are not ours ---- */

static void refuses(int (*function)(const char *, struct store **, struct err *), const char *path,
		    enum err_code code, const char *text)
{
	struct err err = {0};
	struct store *store = NULL;
	ck_assert_int_eq(function(path, &store, &err), code);
	ck_assert_str_eq(err.text, text);
	ck_assert_ptr_null(store);
}

static void both_refuse(const char *path, enum err_code code, const char *text)
{
	struct buf before = {0}, after = {0};
	struct stat st;
	bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	if (file)
		read_file(path, &before);
	refuses(store_open, path, code, text);
	refuses(store_create, path, code, text);
	if (file) {
		read_file(path, &after);
		ck_assert_uint_eq(before.len, after.len);
		ck_assert_mem_eq(before.data, after.data, before.len);
	}
	buf_finish(&before);
	buf_finish(&after);
}

START_TEST(a_file_that_is_no_database_is_refused_and_left_alone)
{
	char text[5000];
	memset(text, 'x', sizeof text);
	write_file("short.db", text, 7);
	write_file("long.db", text, sizeof text);
	both_refuse("short.db", ERR_CORRUPT,
		    "short.db: file is not a database, expected a powercut database");
	both_refuse("long.db", ERR_CORRUPT,
		    "long.db: file is not a database, expected a powercut database");
}
END_TEST

START_TEST(a_database_of_another_program_is_refused_and_left_alone)
{
	execute("other.db", "PRAGMA application_id = 4660; CREATE TABLE t(x)");
	both_refuse("other.db", ERR_CORRUPT,
		    "other.db: a SQLite database of another program (application id 0x00001234, "
		    "expected 0x50574354); left untouched");
}
END_TEST

START_TEST(a_journal_beside_a_foreign_database_is_left_alone)
{
	execute("other.db", "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
	pid_t pid = fork();
	if (pid == 0) {
		sqlite3 *db = NULL;
		sqlite3_open("other.db", &db);
		sqlite3_exec(db,
			     "PRAGMA cache_size = 1; BEGIN; INSERT INTO t "
			     "SELECT randomblob(5000) FROM (VALUES(1),(2),(3),(4),(5),(6))",
			     NULL, NULL, NULL);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(access("other.db-journal", F_OK), 0);
	refuses(store_open, "other.db", ERR_CORRUPT,
		"other.db: a SQLite database of another program (application id 0x00000000, "
		"expected 0x50574354); left untouched");
	ck_assert_int_eq(access("other.db-journal", F_OK), 0);
}
END_TEST

START_TEST(a_newer_database_is_refused_and_left_alone)
{
	store_close(create("x.db"));
	execute("x.db", "PRAGMA user_version = 99");
	both_refuse("x.db", ERR_VERSION,
		    "x.db: made by another powercut: database version 99, expected at most 3");
}
END_TEST

START_TEST(an_empty_file_is_new_to_a_writer_and_nothing_to_a_reader)
{
	write_file("x.db", "", 0);
	refuses(store_open, "x.db", ERR_CORRUPT,
		"x.db: file is empty, expected a powercut database");
	store_close(create("x.db"));
	store_close(reopen("x.db"));
}
END_TEST

START_TEST(paths_that_cannot_be_a_database_are_refused_with_their_name)
{
	mkdir("sub", 0700);
	mkfifo("pipe", 0600);
	refuses(store_open, "none.db", ERR_MISSING, "none.db: no such database");
	ck_assert_int_ne(access("none.db", F_OK), 0);
	both_refuse("sub", ERR_USAGE, "sub: is a directory, expected a powercut database");
	both_refuse("pipe", ERR_USAGE, "pipe: is not a regular file, expected a powercut database");
	both_refuse("", ERR_USAGE, "a database needs a file name");
	refuses(store_create, "no/x.db", ERR_IO,
		"no/x.db: cannot write to its directory no: No such file or directory");
}
END_TEST

START_TEST(names_that_mean_something_to_sqlite_are_plain_files)
{
	store_close(create(":memory:"));
	store_close(create("file:x.db?mode=memory"));
	ck_assert_int_eq(access(":memory:", F_OK), 0);
	ck_assert_int_eq(access("file:x.db?mode=memory", F_OK), 0);
}
END_TEST

START_TEST(a_damaged_database_is_an_error_and_not_a_crash)
{
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	for (uint32_t i = 0; i < 2000; i++) {
		struct outcome_row row = outcome(target, i);
		ok(store_add_outcome(store, &row, &failure));
	}
	store_close(store);
	struct buf bytes = {0};
	read_file("x.db", &bytes);
	for (size_t n = 4096; n < bytes.len; n += 4096 * 5) {
		write_file("cut.db", bytes.data, n);
		struct err err = {0};
		struct store_query *q = NULL;
		struct outcome_row row;
		int rc = store_open("cut.db", &store, &err);
		while (rc == 0 && (rc = store_next_outcome(store, &q, 0, NULL, &row, &err)) == 1)
			rc = 0;
		ck_assert_int_eq(rc, ERR_CORRUPT);
		ck_assert_msg(strncmp(err.text, "cut.db: ", 8) == 0, "%s", err.text);
		store_close(store);
	}
	buf_finish(&bytes);
}
END_TEST

START_TEST(a_database_without_its_tables_is_refused)
{
	execute("x.db", "PRAGMA application_id = 0x50574354; PRAGMA user_version = 3;"
			"CREATE TABLE campaigns(id)");
	struct store *store = reopen("x.db");
	struct err err = {0};
	struct target_row row;
	ck_assert_int_eq(store_get_target(store, 1, &row, &err), ERR_CORRUPT);
	ck_assert_str_eq(err.text, "x.db: cannot be used: no such table: targets (not the schema "
				   "that its version number promises)");
	store_close(store);
}
END_TEST

/* ---- migrations ---- */

START_TEST(a_database_of_version_0_is_migrated)
{
	execute("x.db", "PRAGMA application_id = 0x50574354");
	store_close(reopen("x.db"));
	ck_assert_str_eq(ask("x.db", "PRAGMA user_version"), "3");
	struct store *store = create("x.db");
	add_target(store);
	store_close(store);
}
END_TEST

/* A file as an earlier powercut left it, with a finding. */
static void make_version(int version)
{
	struct err err = {0};
	sqlite3 *db = NULL;
	ck_assert_int_eq(sqlite3_open("x.db", &db), SQLITE_OK);
	int rc = schema_migrate(db, schema_steps, version, &err);
	ck_assert_msg(rc == 0, "%s", err.text);
	sqlite3_close(db);
	execute("x.db",
		"INSERT INTO campaigns VALUES(1, '', '', '', '', '', 0, 1, 1);"
		"INSERT INTO targets VALUES(1, 1, NULL, 'wal', '', '', '', '', '', 0, 0, 0, "
		"0, 0, 0, '');"
		"INSERT INTO findings(target, fingerprint, rule, rules, title, cause, source, "
		"before, after, profiles, minimal, state, explanation, states, expected) "
		"VALUES(1, '0123456789abcdef', 2, 4, 'old', '', '', '', '', '', '', '', '', "
		"5, 0)");
}

START_TEST(findings_of_an_earlier_version_get_witnesses)
{
	make_version(_i);
	struct store *store = _i % 2 ? reopen("x.db") : create("x.db");
	ck_assert_str_eq(ask("x.db", "PRAGMA user_version"), "3");
	struct store_query *q = NULL;
	struct witness_row row = witness(1, "ext4", "not seen"), read;
	struct finding_row f;
	ok(store_get_finding(store, 1, &f, &failure));
	ck_assert_str_eq(f.title, "old");
	ck_assert_int_eq(store_next_witness(store, &q, 0, &read, &failure), 0);
	store_close(store);
	store = create("x.db");
	ok(store_add_witness(store, &row, &failure));
	ck_assert_int_eq(store_next_witness(store, &q, f.id, &read, &failure), 1);
	check_witness(&read, &row);
	store_query_end(&q);
	store_close(store);
}
END_TEST

static int add_a_column(sqlite3 *db, struct err *err)
{
	int rc = sqlite3_exec(db, "ALTER TABLE faults ADD COLUMN note TEXT NOT NULL DEFAULT 'x'",
			      NULL, NULL, NULL);
	return rc ? schema_error(db, rc, "faults", err) : 0;
}

static int fail_half_way(sqlite3 *db, struct err *err)
{
	sqlite3_exec(db, "DROP TABLE faults", NULL, NULL, NULL);
	return err_set(err, ERR_CORRUPT, "no good");
}

/* A database with a row, migrated by two more steps. */
static int migrate(schema_step *one, schema_step *two, struct err *err)
{
	struct store *store = create("x.db");
	struct fault_row row = {.target = add_target(store), .name = "a/b/c"};
	ok(store_add_fault(store, &row, &failure));
	store_close(store);
	schema_step *const steps[] = {schema_steps[0], schema_steps[1], schema_steps[2], one, two};
	sqlite3 *db = NULL;
	ck_assert_int_eq(sqlite3_open("x.db", &db), SQLITE_OK);
	int rc = schema_migrate(db, steps, 5, err);
	ck_assert(sqlite3_get_autocommit(db));
	sqlite3_close(db);
	return rc;
}

START_TEST(migrations_go_step_by_step_and_keep_the_rows)
{
	struct err err = {0};
	ck_assert_int_eq(migrate(add_a_column, fail_half_way, &err), ERR_CORRUPT);
	ck_assert_str_eq(err.text, "from database version 4 to 5: no good");
	ck_assert_str_eq(ask("x.db", "PRAGMA user_version"), "4");
	ck_assert_str_eq(ask("x.db", "SELECT name || note FROM faults"), "a/b/cx");
}
END_TEST

START_TEST(a_migration_that_fails_leaves_the_version_before_it)
{
	struct err err = {0};
	ck_assert_int_eq(migrate(fail_half_way, add_a_column, &err), ERR_CORRUPT);
	ck_assert_str_eq(ask("x.db", "PRAGMA user_version"), "3");
	store_close(reopen("x.db"));
	ck_assert_str_eq(ask("x.db", "SELECT name FROM faults"), "a/b/c");
}
END_TEST

/* ---- speed ---- */

/* STORE_TEST_OUTCOMES sets another number, to measure with. */
START_TEST(many_outcomes_are_written_in_little_time)
{
	const char *wanted = getenv("STORE_TEST_OUTCOMES");
	uint32_t n = wanted ? (uint32_t)strtoul(wanted, NULL, 10) : 100000;
	struct store *store = create("x.db");
	int64_t target = add_target(store);
	struct prng prng;
	prng_init(&prng, 3);
	uint64_t wall = clock_ns(), cpu = clock_cpu_ns();
	char state[64];
	for (uint32_t i = 0; i < n; i++) {
		snprintf(state, sizeof state, "posix.%u.%llx", i / 500,
			 (unsigned long long)prng_next(&prng));
		struct outcome_row row = outcome(target, i);
		row.state = state;
		row.digest_lo = prng_next(&prng);
		row.digest_hi = prng_next(&prng);
		ok(store_add_outcome(store, &row, &failure));
	}
	ok(store_commit(store, &failure));
	double wall_s = (double)(clock_ns() - wall) / 1e9;
	double cpu_s = (double)(clock_cpu_ns() - cpu) / 1e9;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	struct stat st;
	ck_assert_int_eq(stat("x.db", &st), 0);
	printf("%u outcomes: %.2f s, %.2f s of CPU, %.0f bytes a row, %ld MiB resident\n", n,
	       wall_s, cpu_s, (double)st.st_size / n, usage.ru_maxrss / 1024);
	ck_assert_uint_eq(count_outcomes(store), n);
	store_close(store);
}
END_TEST

static TCase *cases(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, enter_directory, remove_directory);
	tcase_set_timeout(tcase, 90);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static void add_rows_and_batches(Suite *suite)
{
	TCase *rows = cases(suite, "rows");
	tcase_add_test(rows, campaigns_and_targets_come_back_as_they_were_written);
	tcase_add_test(rows, coverage_points_and_faults_come_back_as_they_were_written);
	tcase_add_test(rows, outcomes_and_findings_come_back_as_they_were_written);
	tcase_add_test(rows, a_later_witness_takes_the_place_of_the_earlier);
	tcase_add_test(rows, a_witness_of_no_finding_or_with_no_known_outcome_is_refused);
	tcase_add_test(rows, witnesses_are_added_to_a_file_that_is_there);
	tcase_add_test(rows, a_count_that_saturates_is_no_longer_exact);
	tcase_add_test(rows, texts_that_are_null_come_back_empty);
	tcase_add_test(rows, a_trace_is_kept_once_for_the_same_bytes);
	tcase_add_test(rows, rows_that_do_not_exist_are_missing);
	tcase_add_test(rows, a_row_refused_for_its_content_leaves_the_others_alone);
	tcase_add_test(rows, queries_keep_to_their_campaign_target_state_and_verdict);
	tcase_add_test(rows, windows_sum_the_points_between_two_fault_points);
	TCase *batches = cases(suite, "batches");
	tcase_add_test(batches, readers_see_finished_batches_while_a_batch_is_being_written);
	tcase_add_test(batches, a_batch_is_finished_at_the_first_row_after_half_a_second);
	tcase_add_test(batches, a_batch_is_finished_when_it_has_grown_to_a_few_megabytes);
	tcase_add_test(batches, readers_are_not_locked_out_by_a_batch_of_many_pages);
	tcase_add_test(batches, what_is_read_between_begin_and_end_is_of_one_moment);
	tcase_add_test(batches, opening_the_file_again_in_one_process_does_not_drop_its_locks);
	tcase_add_loop_test(batches, a_kill_at_any_moment_leaves_all_finished_batches, 0, 3);
	tcase_add_test(batches,
		       a_kill_while_the_database_is_made_leaves_one_that_can_be_made_again);
	tcase_add_test(batches, many_outcomes_are_written_in_little_time);
}

static void add_refusals_and_migrations(Suite *suite)
{
	TCase *refusals = cases(suite, "refusals");
	tcase_add_test(refusals, a_file_that_may_not_grow_is_named_and_keeps_its_finished_batches);
	tcase_add_test(refusals, a_full_disk_is_named_and_keeps_its_finished_batches);
	tcase_add_test(refusals, a_path_without_permission_is_refused_with_its_name);
	tcase_add_test(refusals, a_file_that_is_no_database_is_refused_and_left_alone);
	tcase_add_test(refusals, a_database_of_another_program_is_refused_and_left_alone);
	tcase_add_test(refusals, a_journal_beside_a_foreign_database_is_left_alone);
	tcase_add_test(refusals, a_newer_database_is_refused_and_left_alone);
	tcase_add_test(refusals, an_empty_file_is_new_to_a_writer_and_nothing_to_a_reader);
	tcase_add_test(refusals, paths_that_cannot_be_a_database_are_refused_with_their_name);
	tcase_add_test(refusals, names_that_mean_something_to_sqlite_are_plain_files);
	tcase_add_test(refusals, a_damaged_database_is_an_error_and_not_a_crash);
	tcase_add_test(refusals, a_database_without_its_tables_is_refused);
	TCase *migrations = cases(suite, "migrations");
	tcase_add_test(migrations, a_database_of_version_0_is_migrated);
	tcase_add_loop_test(migrations, findings_of_an_earlier_version_get_witnesses, 1, 3);
	tcase_add_test(migrations, migrations_go_step_by_step_and_keep_the_rows);
	tcase_add_test(migrations, a_migration_that_fails_leaves_the_version_before_it);
}

int main(void)
{
	Suite *suite = suite_create("store");
	add_rows_and_batches(suite);
	add_refusals_and_migrations(suite);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
