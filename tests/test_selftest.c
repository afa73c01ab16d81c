/* The self-test, the spectrum and the claims: what they conclude from runs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "claims.h"
#include "judge.h"
#include "mem.h"
#include "planted.h"
#include "rebuild.h"
#include "selftest.h"
#include "spectrum.h"
#include "target.h"
#include "trace_text.h"

/* Of one recovery: none here hangs, and sanitized ones on a busy machine are slow. */
enum { WALL_MS = 20000 };

/* ---- names ---- */

START_TEST(a_name_stands_for_itself_a_star_for_any_rest_an_engine_for_all_of_it)
{
	ck_assert(selftest_matches("wal/skip-sync", "wal/skip-sync"));
	ck_assert(!selftest_matches("wal/skip-sync", "wal/skip-sync-more"));
	ck_assert(!selftest_matches("wal/skip", "wal/skip-sync"));
	ck_assert(selftest_matches("wal/skip*", "wal/skip-sync"));
	ck_assert(selftest_matches("*", "wal/skip-sync"));
	ck_assert(selftest_matches("wal/*", "wal/skip-sync"));
	ck_assert(!selftest_matches("wal/*", "wal:sync=none"));
	ck_assert(selftest_matches("wal:*", "wal:sync=none"));
	ck_assert(selftest_matches("wal", "wal:sync=none"));
	ck_assert(selftest_matches("wal", "wal/skip-sync"));
	ck_assert(selftest_matches("wal", "wal"));
	ck_assert(!selftest_matches("wal", "walrus/skip-sync"));
	ck_assert(!selftest_matches("wal/", "wal/skip-sync"));
	ck_assert(!selftest_matches("", "wal/skip-sync"));
}
END_TEST

static uint32_t rules(const char *text)
{
	uint32_t set;
	struct err err;
	ck_assert_msg(rules_parse(text, &set, &err) == 0, "%s", err.text);
	return set;
}

START_TEST(rules_are_named_one_or_several)
{
	uint32_t set;
	struct err err;
	ck_assert_uint_eq(rules("O2"), RULE_BIT(RULE_O2));
	ck_assert_uint_eq(rules("O1|O12"), RULE_BIT(RULE_O1) | RULE_BIT(RULE_O12));
	const char *const bad[] = {"", "O", "O2|", "|O2", "O2,O3", "O99", "o2", "O2 "};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(rules_parse(bad[i], &set, &err) == ERR_USAGE, "\"%s\"", bad[i]);
}
END_TEST

/* ---- profiles ---- */

static uint32_t profiles(const char *names)
{
	uint32_t set;
	struct err err;
	ck_assert_msg(profiles_parse(names, &set, &err) == 0, "%s", err.text);
	return set;
}

START_TEST(a_bug_must_show_under_every_weaker_profile)
{
	uint32_t all = profiles("kill ideal ext4-lock ext4 ext4-noda xfs btrfs posix-dir posix");
	struct err err;
	uint32_t set;
	ck_assert_uint_eq(profiles_weaker(profiles("kill")), all);
	ck_assert_uint_eq(profiles_weaker(profiles("posix-dir")), profiles("posix-dir posix"));
	ck_assert_uint_eq(profiles_weaker(profiles("ext4")),
			  profiles("ext4 ext4-noda posix-dir posix"));
	/* btrfs is not within posix-dir. */
	ck_assert_uint_eq(profiles_weaker(profiles("btrfs")), profiles("btrfs posix"));
	ck_assert_uint_eq(profiles_weaker(profiles("btrfs xfs")),
			  profiles_weaker(profiles("btrfs")) | profiles_weaker(profiles("xfs")));
	ck_assert_uint_eq(profiles_weaker(0), 0);
	ck_assert_uint_eq(profiles_minimal(all), profiles("kill"));
	ck_assert_uint_eq(profiles_minimal(profiles("posix btrfs posix-dir xfs")),
			  profiles("xfs btrfs"));
	ck_assert_int_eq(profiles_parse("ext4 fat", &set, &err), ERR_USAGE);
}
END_TEST

START_TEST(profiles_are_printed_as_they_are_parsed)
{
	struct buf out = {0};
	profiles_print(profiles("posix kill"), &out);
	ck_assert_str_eq(buf_text(&out), "kill posix");
	buf_finish(&out);
}
END_TEST

/* ---- verdicts ---- */

/* What a self-test came to: its last row, and the whole. */
struct outcome {
	int rows, begun;
	struct selftest_row row;
	char why[128], spec[128], state[128];
	struct selftest_result result;
};

static void keep(void *arg, const struct selftest_row *row)
{
	struct outcome *o = arg;
	o->rows++;
	o->row = *row;
	snprintf(o->why, sizeof o->why, "%s", row->why);
	snprintf(o->spec, sizeof o->spec, "%s", row->spec);
	snprintf(o->state, sizeof o->state, "%s", row->state);
}

static void count(void *arg, const char *name)
{
	(void)name;
	((struct outcome *)arg)->begun++;
}

static const struct planted_bug no_bug[] = {{0}};
static const struct campaign_target nothing[] = {{0}};

static void run(struct selftest_options *options, struct outcome *o)
{
	struct err err;
	*o = (struct outcome){0};
	options->bugs = options->bugs ? options->bugs : no_bug;
	options->sound = options->sound ? options->sound : nothing;
	options->trials.campaign.states_max = 300;
	options->trials.campaign.nested_max = 1;
	options->trials.campaign.no_stacks = true;
	options->trials.campaign.limits.wall_ms = WALL_MS;
	options->trials.campaign.command = "test";
	options->begin = count;
	options->row = keep;
	options->arg = o;
	ck_assert_msg(selftest_run(options, &o->result, &err) == 0, "%s", err.text);
	ck_assert_int_eq(o->rows, o->begun);
}

START_TEST(a_bug_that_shows_is_found)
{
	const struct planted_bug bugs[] = {
		{"wal/skip-sync", "wrong", "wal", "ops=20", "O2", "ext4 xfs btrfs"}, {0}};
	struct outcome o;
	run(&(struct selftest_options){.bugs = bugs}, &o);
	ck_assert_int_eq(o.row.verdict, SELFTEST_FOUND);
	ck_assert_str_eq(o.spec, "wal:mutant=wal/skip-sync");
	ck_assert_uint_eq(o.row.required, profiles_weaker(profiles("ext4 xfs btrfs")));
	ck_assert_uint_eq(o.row.required & ~o.row.found, 0);
	ck_assert(o.row.broken & RULE_BIT(RULE_O2));
	ck_assert(o.state[0]);
	ck_assert_uint_gt(o.row.states, o.row.found_after);
	ck_assert_uint_eq(o.row.seed, 1);
	ck_assert_uint_eq(o.result.verdicts[SELFTEST_FOUND], 1);
	ck_assert_int_eq(o.result.exit_code, 0);
}
END_TEST

START_TEST(a_bug_that_breaks_other_rules_only_is_missed)
{
	const struct planted_bug bugs[] = {
		{"wal/skip-sync", "wrong", "wal:buffer_bytes=64", "ops=20", "O1", "ext4"}, {0}};
	struct outcome o;
	run(&(struct selftest_options){.bugs = bugs}, &o);
	ck_assert_int_eq(o.row.verdict, SELFTEST_MISSED);
	ck_assert_str_eq(o.spec, "wal:buffer_bytes=64,mutant=wal/skip-sync");
	ck_assert_uint_eq(o.row.required & ~o.row.found,
			  profiles("ext4 ext4-noda posix-dir posix"));
	ck_assert(o.row.findings > 0);
	ck_assert_str_eq(o.state, "");
	ck_assert_int_eq(o.result.exit_code, 1);
}
END_TEST

/* Without the sync of a directory nothing is lost on ext4. */
START_TEST(a_bug_is_missed_under_the_profiles_that_do_not_show_it)
{
	const struct planted_bug bugs[] = {{"wal/rotate-no-dirsync", "wrong",
					    "wal:segment_bytes=512", "ops=20 mix=put", "O2",
					    "ext4"},
					   {0}};
	struct outcome o;
	run(&(struct selftest_options){.bugs = bugs}, &o);
	ck_assert_int_eq(o.row.verdict, SELFTEST_MISSED);
	ck_assert_uint_eq(o.row.required & ~o.row.found, profiles("ext4 ext4-noda"));
	ck_assert_int_eq(o.result.exit_code, 1);
}
END_TEST

START_TEST(a_sound_engine_is_silent_and_another_is_accused)
{
	const struct campaign_target sound[] = {{.spec = "wal:variant=hardened", .mix = "put"},
						{0}};
	const struct campaign_target flawed[] = {
		{.spec = "wal:variant=textbook,segment_bytes=512", .mix = "put,compact"}, {0}};
	struct outcome o;
	run(&(struct selftest_options){.sound = sound}, &o);
	ck_assert_int_eq(o.row.verdict, SELFTEST_SILENT);
	ck_assert_uint_eq(o.row.found, 0);
	ck_assert_int_eq(o.result.exit_code, 0);
	run(&(struct selftest_options){.sound = flawed}, &o);
	ck_assert_int_eq(o.row.verdict, SELFTEST_ACCUSED);
	ck_assert_uint_ne(o.row.found, 0);
	ck_assert(o.state[0]);
	ck_assert_int_eq(o.result.exit_code, 1);
}
END_TEST

static int refuse(void *store, struct engine_bytes key, struct engine_error *error)
{
	(void)store;
	(void)key;
	return engine_fail(error, "not today");
}

/* wal, but for deletes, which fail: nothing can be concluded from such a run. */
static struct engine fake;

static void make_fake(void)
{
	fake = wal_engine;
	fake.name = "fake";
	fake.del = refuse;
}

START_TEST(what_cannot_be_decided_is_no_pass)
{
	const struct engine *const engines[] = {&fake, NULL};
	const struct campaign_target sound[] = {{.spec = "fake", .mix = "put,delete"},
						{.spec = "unknown"}, /* passed over */
						{0}};
	struct selftest_options options = {.sound = sound};
	struct outcome o;
	make_fake();
	options.trials.campaign.engines = engines;
	options.trials.campaign.depth = UINT32_MAX; /* whose own deletes would be a finding */
	run(&options, &o);
	ck_assert_int_eq(o.rows, 1);
	ck_assert_int_eq(o.row.verdict, SELFTEST_UNDECIDED);
	ck_assert_msg(strstr(o.why, "not today") != NULL, "%s", o.why);
	ck_assert_int_eq(o.result.exit_code, 2);
}
END_TEST

START_TEST(a_workload_that_changes_nothing_decides_nothing)
{
	const struct campaign_target sound[] = {{.spec = "wal", .mix = "sync"}, {0}};
	struct outcome o;
	run(&(struct selftest_options){.sound = sound}, &o);
	ck_assert_int_eq(o.row.verdict, SELFTEST_UNDECIDED);
	ck_assert_int_eq(o.result.exit_code, 2);
}
END_TEST

START_TEST(a_failure_outweighs_what_is_undecided)
{
	const struct planted_bug bugs[] = {
		{"wal/skip-sync", "wrong", "wal", "ops=20", "O1", "ext4"}, {0}};
	const struct campaign_target sound[] = {{.spec = "wal", .mix = "sync"}, {0}};
	struct outcome o;
	run(&(struct selftest_options){.bugs = bugs, .sound = sound}, &o);
	ck_assert_uint_eq(o.result.verdicts[SELFTEST_UNDECIDED], 1);
	ck_assert_uint_eq(o.result.verdicts[SELFTEST_MISSED], 1);
	ck_assert_int_eq(o.result.exit_code, 1);
}
END_TEST

START_TEST(nothing_run_is_no_pass)
{
	struct outcome o;
	run(&(struct selftest_options){0}, &o);
	ck_assert_int_eq(o.rows, 0);
	ck_assert_int_eq(o.result.exit_code, 3);
}
END_TEST

START_TEST(names_select_and_one_that_matches_nothing_is_refused)
{
	const char *const skip[] = {"wal/skip*"}, *const unknown[] = {"wal/skip*", "wall"};
	const struct planted_bug bugs[] = {
		{"wal/skip-sync", "wrong", "wal", "ops=10", "O2", "posix"},
		{"wal/ack-before-sync", "wrong", "wal", "ops=10", "O2", "posix"},
		{0}};
	const struct campaign_target sound[] = {{.spec = "wal"}, {0}};
	struct selftest_options options = {
		.bugs = bugs, .sound = sound, .names = skip, .n_names = 1, .seeds = 2};
	struct outcome o;
	struct err err;
	run(&options, &o);
	ck_assert_int_eq(o.rows, 2);
	ck_assert_str_eq(o.row.name, "wal/skip-sync");
	ck_assert_uint_eq(o.row.seed, 2);
	options.names = unknown;
	options.n_names = 2;
	ck_assert_int_eq(selftest_run(&options, &o.result, &err), ERR_USAGE);
	ck_assert_msg(strstr(err.text, "wall") != NULL, "%s", err.text);
}
END_TEST

/* ---- the table of planted bugs ---- */

START_TEST(planted_bugs_name_targets_rules_and_profiles_that_there_are)
{
	for (const struct planted_bug *b = planted_bugs; b->name; b++) {
		struct target *target;
		struct workload_options workload = {0};
		struct err err;
		int rc = target_parse(b->target, engine_table, &target, &err);
		ck_assert_msg(rc == 0, "%s: %s", b->name, err.text);
		target_destroy(target);
		ck_assert_msg(workload_parse(b->workload, &workload, &err) == 0, "%s: %s", b->name,
			      err.text);
		ck_assert_uint_ne(rules(b->rules), 0);
		ck_assert_uint_ne(profiles(b->from), 0);
	}
}
END_TEST

/* ---- the spectrum ---- */

static void count_syncs(const char *text, struct sync_cost *cost)
{
	struct trace *trace;
	struct err err;
	ck_assert_msg(trace_parse(text, "test", &trace, &err) == 0, "%s", err.text);
	sync_cost_count(trace, cost);
	trace_destroy(trace);
}

START_TEST(syncs_are_counted_within_the_operations)
{
	struct sync_cost cost;
	count_syncs("start-file f \"1234\"\n"
		    "fsync f\n" /* before the first operation */
		    "begin 0\n"
		    "write f 0 \"56\"\nfdatasync f\n" /* the same size */
		    "append f \"78\"\nfsync f\n"
		    "fsync f\n" /* the same size */
		    "creat g\nfsync .\n"
		    "end 0\n"
		    "begin 1\n"
		    "fsync g\n" /* empty, as it was created */
		    "append g \"9\"\nsync\n"
		    "sync\n" /* nothing had changed */
		    "truncate g 1\nfsync g\n"
		    "sync-write g 0 \"0\"\n" /* the same size */
		    "dsync-write g 1 \"0\"\n"
		    "fallocate g 0 4096 keep\nfsync g\n"
		    "mkdir d\nfsync d\n"
		    "end 1\n"
		    "fsync g\n",
		    &cost);
	ck_assert_uint_eq(cost.files, 10);
	ck_assert_uint_eq(cost.same_size, 5);
	ck_assert_uint_eq(cost.directories, 2);
}
END_TEST

START_TEST(a_trace_without_operations_costs_nothing)
{
	struct sync_cost cost;
	count_syncs("creat f\nappend f \"1\"\nfsync f\n", &cost);
	ck_assert_uint_eq(cost.files, 0);
}
END_TEST

struct measured {
	int rows;
	struct spectrum_row row[4];
};

static void keep_measured(void *arg, const struct spectrum_row *row)
{
	struct measured *m = arg;
	ck_assert_int_lt(m->rows, 4);
	ck_assert_str_eq(row->why, "");
	m->row[m->rows++] = *row;
}

static const struct spectrum_loss *loss(const struct spectrum_row *row, const char *profile)
{
	return &row->losses[profile_find(profile) - profile_table];
}

START_TEST(the_spectrum_is_what_modes_lose)
{
	const struct spectrum_mode modes[] = {{"wal", "hardened", "batch=3", "sync=batch,batch=3"},
					      {"unknown", "hardened", "", ""},
					      {"wal", "hardened", "sync", "sync=sync"},
					      {0}};
	struct measured m = {0};
	struct spectrum_options options = {.modes = modes, .row = keep_measured, .arg = &m};
	struct err err;
	int code;
	options.trials.campaign.no_stacks = true;
	options.trials.campaign.limits.wall_ms = WALL_MS;
	ck_assert_msg(spectrum_run(&options, &code, &err) == 0, "%s", err.text);
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(m.rows, 4); /* each with both calls */
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(loss(&m.row[i], "kill")->loss, 2);
		ck_assert_uint_eq(loss(&m.row[i], "posix")->loss, 2);
		ck_assert_uint_gt(m.row[i].operations, m.row[i].cost.files);
	}
	for (int i = 2; i < 4; i++) {
		ck_assert_uint_eq(loss(&m.row[i], "posix")->loss, 0);
		ck_assert_uint_ge(m.row[i].cost.files, m.row[i].operations);
	}
	ck_assert_str_eq(m.row[2].call, "fsync");
	ck_assert_str_eq(m.row[3].call, "fdatasync");
}
END_TEST

/* ---- the claims ---- */

static void check_case(const struct claim *claim, const struct claim_case *c)
{
	struct target *target = NULL;
	struct workload_options workload = {0};
	struct err err;
	ck_assert_msg((c->spec != NULL) == (c->calls == NULL), "%u", claim->number);
	ck_assert(c->expected == CLAIM_CONFIRMED || c->expected == CLAIM_REFUTED);
	if (c->profiles)
		ck_assert_uint_ne(profiles(c->profiles), 0);
	if (c->calls) {
		ck_assert_int_ne(c->kind, CLAIM_SAME);
		return;
	}
	ck_assert_uint_ne(rules(c->rules), 0);
	ck_assert_msg(workload_parse(c->workload, &workload, &err) == 0, "%s", err.text);
	ck_assert_msg(target_parse(c->spec, engine_table, &target, &err) == 0, "%u: %s",
		      claim->number, err.text);
	target_destroy(target);
}

START_TEST(every_claim_has_cases_that_can_be_run)
{
	for (unsigned i = 0; i < CLAIMS_COUNT; i++) {
		ck_assert_uint_eq(claims[i].number, i + 1);
		ck_assert(claims[i].text && claims[i].text[0]);
		ck_assert_ptr_nonnull(claims[i].cases[0].says);
		for (const struct claim_case *c = claims[i].cases; c->says; c++)
			check_case(&claims[i], c);
	}
}
END_TEST

struct answers {
	int rows;
	enum claim_answer answer;
	char state[128], why[128];
	const char *db; /* NULL, or where deciding states must be */
};

/* A deciding state comes with its database, and is of a run. */
static void keep_answer(void *arg, const struct claim_row *row)
{
	struct answers *a = arg;
	a->rows++;
	a->answer = row->answer;
	snprintf(a->state, sizeof a->state, "%s", row->state);
	snprintf(a->why, sizeof a->why, "%s", row->why);
	bool can = row->what->kind == CLAIM_CAN;
	bool decided = row->answer == (can ? CLAIM_CONFIRMED : CLAIM_REFUTED);
	ck_assert_int_eq(row->state[0] != '\0', decided && row->what->spec);
	if (!row->state[0] || !a->db)
		return;
	struct store *store;
	struct rebuilt rebuilt = {0};
	const struct child_limits limits = {0};
	struct err err;
	ck_assert_msg(store_open(a->db, &store, &err) == 0, "%s", err.text);
	ck_assert_msg(rebuild_state(store, row->state, &limits, NULL, &rebuilt, &err) == 0, "%s",
		      err.text);
	rebuilt_finish(&rebuilt);
	store_close(store);
}

/* The quick ones; all of them are a test of their own. */
START_TEST(claims_are_answered_as_expected_and_their_states_can_be_rebuilt)
{
	const unsigned numbers[] = {3, 4, 12};
	char db[] = "/tmp/test-claims-XXXXXX";
	struct answers a = {.db = db};
	struct claims_options options = {
		.numbers = numbers, .n_numbers = 3, .row = keep_answer, .arg = &a};
	struct claims_result result;
	struct err err;
	int fd = mkstemp(db);
	ck_assert_int_ge(fd, 0);
	close(fd);
	options.trials.db = db;
	options.trials.campaign.states_max = 1000;
	options.trials.campaign.no_stacks = true;
	options.trials.campaign.limits.wall_ms = WALL_MS;
	ck_assert_msg(claims_run(&options, &result, &err) == 0, "%s", err.text);
	unlink(db);
	ck_assert_int_eq(a.rows, 7);
	ck_assert_uint_eq(result.surprises, 0);
	ck_assert_uint_eq(result.answers[CLAIM_CONFIRMED], 7);
	ck_assert_int_eq(result.exit_code, 0);
}
END_TEST

static void answer_one(const struct claim_case *what, struct answers *a,
		       struct claims_result *result)
{
	const struct engine *const engines[] = {&fake, &wal_engine, NULL};
	const struct claim_case cases[] = {*what, {0}};
	const struct claim claim = {7, "text", cases};
	struct claims_options options = {
		.claims = &claim, .n_claims = 1, .row = keep_answer, .arg = a};
	struct err err;
	make_fake();
	options.trials.campaign.engines = engines;
	options.trials.campaign.states_max = 300;
	options.trials.campaign.no_stacks = true;
	options.trials.campaign.limits.wall_ms = WALL_MS;
	ck_assert_msg(claims_run(&options, result, &err) == 0, "%s", err.text);
}

/* What the table expects has no part in the answer. */
START_TEST(answers_come_from_the_runs)
{
	struct claims_result result;
	struct answers a = {0};
	struct claim_case what = {.kind = CLAIM_NEVER,
				  .says = "nothing is lost",
				  .spec = "wal:sync=none",
				  .workload = "ops=20 mix=put",
				  .contract = "each",
				  .rules = "O2",
				  .profiles = "kill ext4",
				  .expected = CLAIM_CONFIRMED};
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_REFUTED);
	ck_assert_uint_eq(result.surprises, 1);
	ck_assert_int_eq(result.exit_code, 0);
	what.contract = NULL;
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_CONFIRMED);
	what.kind = CLAIM_CAN;
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_REFUTED);
	/* Under each profile, not under one of them. */
	what.spec = "wal:sync=sync,segment_bytes=512,mutant=wal/rotate-no-dirsync";
	what.profiles = "posix";
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_CONFIRMED);
	what.profiles = "ext4 posix";
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_REFUTED);
}
END_TEST

START_TEST(a_claim_that_cannot_be_decided_is_not_answered)
{
	struct claims_result result;
	struct answers a = {0};
	struct claim_case what = {.kind = CLAIM_NEVER,
				  .says = "nothing is lost",
				  .spec = "fake",
				  .workload = "ops=20 mix=put,delete",
				  .rules = "O2"};
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_UNDECIDED);
	ck_assert(a.why[0]);
	ck_assert_int_eq(result.exit_code, 2);
	what.spec = "wal";
	what.at = "wal/compact/renamed"; /* which no put passes */
	what.workload = "ops=20 mix=put";
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.answer, CLAIM_UNDECIDED);
	what.spec = "unknown";
	a.rows = 0;
	answer_one(&what, &a, &result);
	ck_assert_int_eq(a.rows, 0);
	ck_assert_uint_eq(result.passed_over, 1);
	ck_assert_int_eq(result.exit_code, 2);
}
END_TEST

/* Slow, and so a run of its own. */
START_TEST(all_claims_are_answered_as_expected)
{
	struct answers a = {0};
	struct claims_options options = {.row = keep_answer, .arg = &a};
	struct claims_result result;
	struct err err;
	options.trials.campaign.no_stacks = true;
	options.trials.campaign.limits.wall_ms = WALL_MS;
	ck_assert_msg(claims_run(&options, &result, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(result.surprises, 0);
	ck_assert_uint_eq(result.passed_over, 0);
	ck_assert_uint_eq(result.answers[CLAIM_UNDECIDED], 0);
	ck_assert_int_eq(result.exit_code, 0);
}
END_TEST

static Suite *claims_suite(void)
{
	Suite *s = suite_create("claims");
	TCase *all = tcase_create("all");
	tcase_add_test(all, all_claims_are_answered_as_expected);
	tcase_set_timeout(all, 900);
	suite_add_tcase(s, all);
	return s;
}

static Suite *suite(void)
{
	Suite *s = suite_create("selftest");
	TCase *pure = tcase_create("pure"), *runs = tcase_create("runs");
	tcase_add_test(pure, a_name_stands_for_itself_a_star_for_any_rest_an_engine_for_all_of_it);
	tcase_add_test(pure, rules_are_named_one_or_several);
	tcase_add_test(pure, a_bug_must_show_under_every_weaker_profile);
	tcase_add_test(pure, profiles_are_printed_as_they_are_parsed);
	tcase_add_test(pure, planted_bugs_name_targets_rules_and_profiles_that_there_are);
	tcase_add_test(pure, syncs_are_counted_within_the_operations);
	tcase_add_test(pure, a_trace_without_operations_costs_nothing);
	tcase_add_test(pure, every_claim_has_cases_that_can_be_run);
	tcase_add_test(runs, a_bug_that_shows_is_found);
	tcase_add_test(runs, a_bug_that_breaks_other_rules_only_is_missed);
	tcase_add_test(runs, a_bug_is_missed_under_the_profiles_that_do_not_show_it);
	tcase_add_test(runs, a_sound_engine_is_silent_and_another_is_accused);
	tcase_add_test(runs, what_cannot_be_decided_is_no_pass);
	tcase_add_test(runs, a_workload_that_changes_nothing_decides_nothing);
	tcase_add_test(runs, a_failure_outweighs_what_is_undecided);
	tcase_add_test(runs, nothing_run_is_no_pass);
	tcase_add_test(runs, names_select_and_one_that_matches_nothing_is_refused);
	tcase_add_test(runs, the_spectrum_is_what_modes_lose);
	tcase_add_test(runs, claims_are_answered_as_expected_and_their_states_can_be_rebuilt);
	tcase_add_test(runs, answers_come_from_the_runs);
	tcase_add_test(runs, a_claim_that_cannot_be_decided_is_not_answered);
	tcase_set_timeout(runs, 300);
	suite_add_tcase(s, pure);
	suite_add_tcase(s, runs);
	return s;
}

/* With the word "claims": all claims, and nothing else. */
int main(int argc, char **argv)
{
	bool slow = argc > 1 && strcmp(argv[1], "claims") == 0;
	SRunner *runner = srunner_create(slow ? claims_suite() : suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
