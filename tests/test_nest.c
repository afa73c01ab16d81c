/* Recoveries that are crashed in turn: small stores that go wrong in one way
 * each, and the rule that says so. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "lib_campaign.h"
#include "mem.h"
#include "points.h"
#include "rebuild.h"
#include "sanitized.h"

/* ---- a store of whole records in one file, "log" ---- */

/* Each opening rewrites the log with what it holds: beside it, then renamed. */

enum { KEY_BYTES = 304, VALUE_BYTES = 256, RECORDS_MAX = 64 };

struct item {
	uint32_t check; /* crc32c of the rest */
	uint32_t key_length, value_length;
	char key[KEY_BYTES], value[VALUE_BYTES];
};

enum way { WELL, TRUNCATES, SYNCS_NOT, FORGETS, REFUSES, DIFFERS, HANGS, FILLS, BARREN, WAYS };
static const char *const ways[WAYS] = {"well",	  "truncates", "syncs-not", "forgets", "refuses",
				       "differs", "hangs",     "fills",	    "barren"};

struct frail {
	int dir, fd;
	enum way way;
	bool recovered; /* there was something to recover */
	size_t n;
	off_t end;
	struct item items[RECORDS_MAX]; /* one a key */
};

static uint32_t item_check(const struct item *item)
{
	return io_crc32c(0, &item->key_length, sizeof *item - sizeof item->check);
}

static struct item *item_of(struct frail *f, struct engine_bytes key)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->items[i].key_length == key.length &&
		    memcmp(f->items[i].key, key.data, key.length) == 0)
			return &f->items[i];
	return NULL;
}

static int keep(struct frail *f, const struct item *item)
{
	struct item *known = item_of(f, (struct engine_bytes){item->key, item->key_length});
	if (!known && f->n == RECORDS_MAX)
		return -1;
	*(known ? known : &f->items[f->n++]) = *item;
	return 0;
}

static void load(struct frail *f)
{
	struct item item;
	int fd = openat(f->dir, "log", O_RDONLY);
	while (fd >= 0 && io_read_at(fd, &item, sizeof item, (uint64_t)f->end) == sizeof item &&
	       item.check == item_check(&item)) {
		keep(f, &item);
		f->end += (off_t)sizeof item;
		f->recovered = true;
	}
	if (fd >= 0)
		close(fd);
}

/* A store that was opened once before shows one key less. */
static void forget(struct frail *f)
{
	int fd = openat(f->dir, "opened", O_RDONLY);
	if (fd >= 0 && f->n)
		f->n--;
	else if (f->recovered)
		fd = openat(f->dir, "opened", O_RDWR | O_CREAT, 0666);
	if (fd >= 0)
		close(fd);
}

static int rewrite(struct frail *f)
{
	const char *name = f->way == TRUNCATES ? "log" : "new";
	f->fd = openat(f->dir, name, O_RDWR | O_CREAT | O_TRUNC, 0666);
	if (f->fd < 0)
		return -1;
	for (size_t i = 0; i < f->n; i++)
		if (io_write_at(f->fd, &f->items[i], sizeof *f->items, i * sizeof *f->items))
			return -1;
	f->end = (off_t)(f->n * sizeof *f->items);
	if (fsync(f->fd))
		return -1;
	if (f->way != TRUNCATES && renameat(f->dir, "new", f->dir, "log"))
		return -1;
	return fsync(f->dir);
}

/* Goes on with the log as it is found, and says nothing of it to the disk. */
static int reuse(struct frail *f)
{
	f->fd = openat(f->dir, "log", O_RDWR | O_CREAT, 0666);
	return f->fd < 0 || (!f->recovered && fsync(f->dir)) ? -1 : 0;
}

static void *frail_open(const char *dir, const struct engine_config *config,
			struct engine_error *error)
{
	struct frail *f = mem_alloc(1, sizeof *f);
	while (strcmp(ways[f->way], engine_value(config, "how")))
		f->way++;
	f->dir = open(dir, O_RDONLY | O_DIRECTORY);
	load(f);
	if (f->way == FORGETS)
		forget(f);
	if (f->way == SYNCS_NOT ? reuse(f) : rewrite(f)) {
		engine_fail(error, "%s", strerror(errno));
		return NULL;
	}
	return f;
}

static int frail_close(void *store, struct engine_error *error)
{
	struct frail *f = store;
	(void)error;
	close(f->fd);
	close(f->dir);
	free(f);
	return 0;
}

/* Writes until it is stopped. */
static void fill(struct frail *f)
{
	static const char zeros[1 << 16];
	int fd = openat(f->dir, "filler", O_WRONLY | O_CREAT, 0666);
	while (write(fd, zeros, sizeof zeros) > 0)
		continue;
}

static int frail_put(void *store, struct engine_bytes key, struct engine_bytes value,
		     struct engine_error *error)
{
	struct frail *f = store;
	struct item item = {.key_length = (uint32_t)key.length,
			    .value_length = (uint32_t)value.length};
	if (key.length > KEY_BYTES || value.length > VALUE_BYTES)
		return engine_fail(error, "too long");
	while (f->way == HANGS && f->recovered)
		pause();
	if (f->way == FILLS && f->recovered)
		fill(f);
	if (f->way == REFUSES && f->recovered)
		return engine_fail(error, "read-only after a recovery");
	if (key.length)
		memcpy(item.key, key.data, key.length);
	if (value.length)
		memcpy(item.value, value.data, value.length);
	item.check = item_check(&item);
	if (io_write_at(f->fd, &item, sizeof item, (uint64_t)f->end) || fsync(f->fd) ||
	    keep(f, &item))
		return engine_fail(error, "%s", strerror(errno));
	f->end += (off_t)sizeof item;
	return 0;
}

/* An empty value stands for none. */
static int frail_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return frail_put(store, key, (struct engine_bytes){"", 0}, error);
}

static int frail_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		     struct engine_error *error)
{
	struct frail *f = store;
	const struct item *item = item_of(f, key);
	(void)error;
	if (!item || !item->value_length || (f->way == DIFFERS && item == &f->items[f->n - 1]))
		return 0;
	*value = (struct engine_bytes){item->value, item->value_length};
	return 1;
}

static int frail_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct frail *f = store;
	(void)error;
	for (size_t i = 0; i < f->n; i++) {
		const struct item *item = &f->items[i];
		if (item->value_length &&
		    visit(arg, (struct engine_bytes){item->key, item->key_length},
			  (struct engine_bytes){item->value, item->value_length}))
			return -1;
	}
	return 0;
}

static int frail_verify(void *store, struct engine_error *error)
{
	struct frail *f = store;
	return f->way == BARREN && !f->n ? engine_fail(error, "there is nothing") : 0;
}

static void frail_contract(const struct engine_config *config, struct engine_contract *contract)
{
	(void)config;
	*contract = (struct engine_contract){
		.ack = ENGINE_ACK_EACH, .every = 1, .prefix = true, .stays = true};
}

static const struct engine_option frail_options[] = {
	{.name = "how",
	 .fallback = "well",
	 .choices = "well|truncates|syncs-not|forgets|refuses|differs|hangs|fills|barren",
	 .help = "what is wrong with it"},
	{0},
};

static const struct engine frail_engine = {
	.abi = ENGINE_ABI,
	.name = "frail",
	.summary = "goes wrong when it recovers, or afterwards",
	.options = frail_options,
	.contract = frail_contract,
	.open = frail_open,
	.close = frail_close,
	.put = frail_put,
	.del = frail_del,
	.get = frail_get,
	.scan = frail_scan,
	.verify = frail_verify,
};

static const struct engine *const frail_table[] = {&frail_engine, NULL};

static void init(struct campaign *c, const char *how, const char *profiles)
{
	static char spec[64];
	snprintf(spec, sizeof spec, "frail:how=%s", how);
	campaign_init(c, spec, profiles);
	c->options.engines = frail_table;
	c->options.workload.ops = 12;
	c->targets[0].mix = "put,delete";
}

/* ---- each has its rule ---- */

static const struct {
	const char *how;
	uint32_t rule;
	const char *profiles;
} frailties[] = {
	{"truncates", RULE_O10, "kill"},  {"truncates", RULE_O10, "posix"},
	{"syncs-not", RULE_O11, "ext4"},  {"syncs-not", RULE_O11, "xfs"},
	{"syncs-not", RULE_O11, "btrfs"}, {"syncs-not", RULE_O11, "posix"},
	{"forgets", RULE_O9, "kill"},	  {"refuses", RULE_O12, "kill"},
	{"differs", RULE_O8, "kill"},
};

START_TEST(what_goes_wrong_after_a_recovery_is_found_by_its_rule)
{
	struct campaign c;
	struct finding_row f;
	init(&c, frailties[_i].how, frailties[_i].profiles);
	campaign_go(&c);
	ck_assert_msg(campaign_finding(&c, frailties[_i].rule, &f), "%s: no O%u", frailties[_i].how,
		      frailties[_i].rule);
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

START_TEST(without_a_second_crash_nothing_of_it_shows)
{
	struct campaign c;
	init(&c, ways[TRUNCATES + _i], "kill ext4");
	c.options.depth = UINT32_MAX;
	campaign_go(&c);
	ck_assert_uint_eq(c.result.findings, 0);
	campaign_end(&c);
}
END_TEST

START_TEST(a_store_that_recovers_well_is_not_accused_after_two_or_three_crashes)
{
	struct campaign c;
	init(&c, "well", "kill ideal ext4 xfs posix");
	c.options.depth = _i ? 2 : 1;
	c.options.nested_max = _i ? 12 : 48;
	campaign_go(&c);
	ck_assert_uint_eq(c.result.findings, 0);
	ck_assert_int_eq(c.result.exit_code, 0);
	campaign_end(&c);
}
END_TEST

START_TEST(a_contract_that_does_not_promise_it_is_not_held_to_it)
{
	struct campaign c;
	init(&c, "syncs-not", "ext4 posix");
	c.targets[0].contract = "no-stays";
	campaign_go(&c);
	ck_assert_uint_eq(c.result.findings, 0);
	campaign_end(&c);
}
END_TEST

START_TEST(what_fails_before_anything_was_done_has_a_cause)
{
	struct campaign c;
	struct finding_row f;
	init(&c, "barren", _i ? "posix" : "kill");
	campaign_go(&c);
	ck_assert(campaign_finding(&c, RULE_O8, &f));
	ck_assert_str_eq(f.cause, "the store fails before anything was done to it: an empty "
				  "directory");
	ck_assert_ptr_nonnull(strstr(f.title, "there is nothing"));
	ck_assert_int_eq(c.result.exit_code, 1);
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

START_TEST(a_session_that_does_not_end_is_inconclusive_and_soon_left_alone)
{
	struct campaign c;
	init(&c, "hangs", "kill posix");
	c.options.limits.wall_ms = 100;
	campaign_go(&c);
	ck_assert_int_eq(c.result.exit_code, 2);
	ck_assert_uint_eq(c.result.findings, 0);
	ck_assert_uint_lt(c.result.elapsed_ns, 60 * (uint64_t)1000000000);
	campaign_end(&c);
}
END_TEST

START_TEST(a_session_that_writes_too_much_is_stopped)
{
	struct campaign c;
	struct finding_row f;
	init(&c, "fills", "kill");
	c.options.limits.disk_bytes = 4 << 20;
	campaign_go(&c);
	ck_assert(campaign_finding(&c, RULE_O12, &f));
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

/* ---- bugs planted in the engines that need a second look ---- */

static const struct {
	const char *spec, *workload, *profile;
	uint32_t rule;
} planted[] = {
	/* Old records behind the end of a log, where new ones of their length are written. */
	{"wal:sync=none,buffer_bytes=1,segment_bytes=65536,mutant=wal/recover-no-cut",
	 "ops=20 mix=put=60,sync=40 values=3900-4200", "xfs", RULE_O11},
	/* Late in a long recovery. */
	{"lsm:mutant=lsm/leftovers-before-flush", "ops=120", "ext4", RULE_O10},
	/* Only compacting shows it. */
	{"bitcask:mutant=bitcask/orphan-hints", "ops=120", "kill", RULE_O12},
};

START_TEST(a_planted_bug_that_one_crash_does_not_show_is_found_with_the_defaults)
{
	struct campaign c;
	struct finding_row f;
	campaign_init(&c, planted[_i].spec, planted[_i].profile);
	c.targets[0].workload = planted[_i].workload;
	campaign_go(&c);
	ck_assert_msg(campaign_finding(&c, planted[_i].rule, &f), "%s: no O%u", planted[_i].spec,
		      planted[_i].rule);
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

/* ---- how much is tried ---- */

/* Of the only profile. */
static struct coverage_row coverage(struct campaign *c)
{
	struct store_query *q = NULL;
	struct coverage_row row = {0};
	struct err err;
	ck_assert_int_eq(store_next_coverage(c->store, &q, 1, &row, &err), 1);
	store_query_end(&q);
	return row;
}

START_TEST(as_many_recoveries_are_crashed_as_are_asked_for)
{
	static const uint64_t wanted[] = {5, 60, 100000};
	struct campaign c;
	init(&c, "well", "ext4");
	c.options.workload.ops = 40;
	c.options.nested_max = wanted[_i];
	c.options.nested_states = 1;
	campaign_go(&c);
	struct coverage_row row = coverage(&c);
	ck_assert_uint_gt(row.recoverable, 60);
	ck_assert_uint_eq(row.again, wanted[_i] < row.recoverable ? wanted[_i] : row.recoverable);
	campaign_end(&c);
}
END_TEST

START_TEST(the_limit_of_states_in_a_nested_run_is_kept_and_can_be_lifted)
{
	enum { RUNS = 4, LIMIT = 8 };
	struct campaign c;
	init(&c, "well", "ext4");
	c.options.nested_max = RUNS;
	c.options.nested_states = _i ? LIMIT : UINT64_MAX;
	campaign_go(&c);
	struct coverage_row row = coverage(&c);
	ck_assert_uint_eq(row.again, RUNS);
	if (_i)
		ck_assert_uint_le(row.nested, (uint64_t)RUNS * LIMIT);
	else
		ck_assert_uint_gt(row.nested, (uint64_t)RUNS * LIMIT);
	campaign_end(&c);
}
END_TEST

/* ---- what is told of it ---- */

static char *told(const char *spec, uint32_t jobs)
{
	struct campaign c;
	campaign_init(&c, spec, "ext4 posix");
	c.options.jobs = jobs;
	c.options.states_max = 300;
	c.options.limits.wall_ms = 20000; /* a slow machine is not the subject */
	campaign_go(&c);
	char *text = campaign_everything(&c);
	campaign_end(&c);
	return text;
}

START_TEST(nested_runs_are_the_same_with_any_number_of_workers)
{
	static const char *const specs[] = {"wal:mutant=wal/recover-no-sync",
					    "wal:variant=textbook"};
	char *one = told(specs[_i], 1), *two = told(specs[_i], 2);
	campaign_assert_same(one, two);
	free(one);
	free(two);
}
END_TEST

/* Recovers the state that an ID names, and judges it. */
static uint32_t broken_rules(struct campaign *c, const char *id)
{
	static const struct child_limits limits;
	struct pool_options options = {.jobs = 1, .cpu = -1};
	struct rebuilt s;
	struct recovery r;
	struct verdict verdict = {0};
	struct err err;
	int rc = rebuild_state(c->store, id, &limits, NULL, &s, &err);
	ck_assert_msg(rc == 0, "%s: %s", id, err.text);
	rc = pool_create(s.s.ops, s.s.history, &s.recover_job, &options, &s.s.pool, &err);
	ck_assert_msg(rc == 0, "%s", err.text);
	ck_assert_int_eq(pool_run(s.s.pool, &s.state, &r, &err), 0);
	struct bounds bounds = points_bounds(&s.s, s.state.point, true);
	jury_judge(&s.s.jury, &r, &bounds, &verdict);
	pool_destroy(s.s.pool);
	rebuilt_finish(&s);
	return verdict.broken;
}

START_TEST(the_state_of_a_second_crash_can_be_rebuilt_from_the_database_alone)
{
	struct campaign c;
	struct finding_row f;
	campaign_init(&c, "wal:mutant=wal/recover-no-sync", "ext4");
	campaign_go(&c);
	ck_assert(campaign_finding(&c, RULE_O11, &f));
	ck_assert_ptr_nonnull(strstr(f.explanation, "the process is killed here"));
	ck_assert(broken_rules(&c, f.state) & RULE_BIT(RULE_O11));
	finding_free(&f);
	campaign_end(&c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nest");
	TCase *cases = tcase_create("nest");
	tcase_set_timeout(cases, SANITIZED ? 600 : 120);
	tcase_add_loop_test(cases, what_goes_wrong_after_a_recovery_is_found_by_its_rule, 0,
			    sizeof frailties / sizeof *frailties);
	tcase_add_loop_test(cases, without_a_second_crash_nothing_of_it_shows, 0,
			    SANITIZED ? 1 : DIFFERS - TRUNCATES);
	tcase_add_loop_test(cases,
			    a_store_that_recovers_well_is_not_accused_after_two_or_three_crashes, 0,
			    SANITIZED ? 1 : 2);
	tcase_add_loop_test(cases,
			    a_planted_bug_that_one_crash_does_not_show_is_found_with_the_defaults,
			    0, SANITIZED ? 1 : sizeof planted / sizeof *planted);
	tcase_add_loop_test(cases, as_many_recoveries_are_crashed_as_are_asked_for, 0,
			    SANITIZED ? 1 : 3);
	tcase_add_loop_test(cases, the_limit_of_states_in_a_nested_run_is_kept_and_can_be_lifted, 0,
			    2);
	tcase_add_loop_test(cases, what_fails_before_anything_was_done_has_a_cause, 0, 2);
	tcase_add_test(cases, a_session_that_does_not_end_is_inconclusive_and_soon_left_alone);
	tcase_add_test(cases, a_session_that_writes_too_much_is_stopped);
	tcase_add_test(cases, a_contract_that_does_not_promise_it_is_not_held_to_it);
	tcase_add_loop_test(cases, nested_runs_are_the_same_with_any_number_of_workers, 0,
			    SANITIZED ? 1 : 2);
	tcase_add_test(cases, the_state_of_a_second_crash_can_be_rebuilt_from_the_database_alone);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
