#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/driver.h"
#include "area.h"
#include "campaign.h"
#include "commands.h"
#include "contract.h"
#include "interrupt.h"
#include "lab.h"
#include "mem.h"
#include "on.h"
#include "reports.h"
#include "status.h"
#include "target.h"
#include "words.h"

enum { TARGETS_MAX = 64, PROFILES_MAX = 32, DEPTH_MAX = 4 };

/* A recovery with less cannot even start, and would be taken for a broken one. */
static const uint64_t memory_min = (uint64_t)16 << 20, disk_min = (uint64_t)1 << 20;
static const uint64_t budget_max_ms = (uint64_t)365 * 24 * 3600 * 1000;

struct run {
	struct campaign_options options;
	struct campaign_target targets[TARGETS_MAX + 1];
	const struct profile *profiles[PROFILES_MAX + 1];
	size_t n_targets, n_profiles;
	struct on on;
	struct command command;
	char *name; /* of the command */
	const char *mix, *contract, *expect, *db;
	char *made[TARGETS_MAX]; /* specs that are not words of the command line */
	size_t n_made;
	bool json, quiet;
};

/* ---- options; all are checked here, before there is a database ---- */

static int set_engine(void *ctx, const char *value, struct err *err)
{
	struct run *r = ctx;
	struct target *target = NULL;
	if (r->n_targets == TARGETS_MAX)
		return err_set(err, ERR_USAGE, "more than %d targets", TARGETS_MAX);
	int rc = target_parse(value, engine_table, &target, err);
	target_destroy(target);
	r->targets[r->n_targets++].spec = value;
	return rc;
}

static int set_driver(void *ctx, const char *value, struct err *err)
{
	struct run *r = ctx;
	if (r->n_made == TARGETS_MAX)
		return err_set(err, ERR_USAGE, "more than %d targets", TARGETS_MAX);
	r->made[r->n_made] = driver_target(value);
	return set_engine(ctx, r->made[r->n_made++], err);
}

static int set_model(void *ctx, const char *value, struct err *err)
{
	struct run *r = ctx;
	if (!*value)
		return err_set(err, ERR_USAGE, "names no profile");
	for (const char *p = value; p;) {
		size_t n = strcspn(p, ",");
		char *name = mem_dup(p, n);
		const struct profile *profile = profile_find(name);
		if (!profile || r->n_profiles == PROFILES_MAX) {
			struct buf known = {0};
			for (const struct profile *k = profile_table; k->name; k++)
				buf_printf(&known, " %s", k->name);
			int rc = err_set(err, ERR_USAGE,
					 "\"%s\" is not a profile, expected one of%s", name,
					 buf_text(&known));
			buf_finish(&known);
			free(name);
			return rc;
		}
		bool again = false;
		for (size_t i = 0; i < r->n_profiles; i++)
			again = again || r->profiles[i] == profile;
		if (!again)
			r->profiles[r->n_profiles++] = profile;
		free(name);
		p = p[n] ? p + n + 1 : NULL;
	}
	return ERR_OK;
}

static int set_on(void *ctx, const char *value, struct err *err)
{
	return on_parse(&((struct run *)ctx)->on, value, err);
}

static int set_number(const char *value, uint64_t min, uint64_t max, uint32_t *to, struct err *err)
{
	uint64_t n;
	int rc = cli_parse_number(value, min, max, &n, err);
	if (!rc)
		*to = (uint32_t)n;
	return rc;
}

/* The options of the workload are words of its own little language. */
static int set_workload(struct run *r, const char *word, const char *value, struct err *err)
{
	char *text = mem_printf("%s=%s", word, value);
	int rc = workload_parse(text, &r->options.workload, err);
	free(text);
	return rc;
}

static int set_ops(void *ctx, const char *value, struct err *err)
{
	return set_workload(ctx, "ops", value, err);
}

static int set_keys(void *ctx, const char *value, struct err *err)
{
	return set_workload(ctx, "keys", value, err);
}

static int set_values(void *ctx, const char *value, struct err *err)
{
	return set_workload(ctx, "values", value, err);
}

static int set_batches(void *ctx, const char *value, struct err *err)
{
	return set_workload(ctx, "batches", value, err);
}

static int set_reuse(void *ctx, const char *value, struct err *err)
{
	return set_workload(ctx, "reuse", value, err);
}

static int set_empty(void *ctx, const char *value, struct err *err)
{
	return set_workload(ctx, "empty", value, err);
}

static int set_mix(void *ctx, const char *value, struct err *err)
{
	struct workload_options probe = {0};
	((struct run *)ctx)->mix = value;
	int rc = workload_parse_mix(value, &probe, err);
	return rc ? rc : workload_expand(&probe, err);
}

static int set_contract(void *ctx, const char *value, struct err *err)
{
	struct engine_contract probe = {0};
	((struct run *)ctx)->contract = value;
	return contract_override(value, &probe, err);
}

/* "O2@posix", or a fingerprint. */
static bool is_expectation(const char *word, size_t length)
{
	char name[64];
	if (length >= sizeof name)
		return false;
	memcpy(name, word, length);
	name[length] = '\0';
	if (strspn(name, "0123456789abcdef") == 16 && length == 16)
		return true;
	const char *at = strchr(name, '@');
	if (!at || !rule_named(name, (size_t)(at - name)))
		return false;
	return profile_find(at + 1) || (strncmp(at + 1, "on:", 3) == 0 && file_system_find(at + 4));
}

static int set_expect(void *ctx, const char *value, struct err *err)
{
	const char *list = value, *word;
	size_t length;
	((struct run *)ctx)->expect = value;
	while (store_next_word(&list, &word, &length))
		if (!is_expectation(word, length))
			return err_set(err, ERR_USAGE,
				       "\"%.*s\" is neither a rule and profile such as O2@posix or "
				       "O2@on:ext4 nor a fingerprint of 16 digits",
				       (int)length, word);
	return ERR_OK;
}

static int set_check(void *ctx, const char *value, struct err *err)
{
	((struct run *)ctx)->command.check = value;
	return checker_check(value, err);
}

static int set_setup(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct run *)ctx)->command.setup = value;
	return ERR_OK;
}

static int set_ack_pattern(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct run *)ctx)->command.ack_pattern = value;
	return ERR_OK;
}

static int set_run_timeout(void *ctx, const char *value, struct err *err)
{
	uint64_t *ms = &((struct run *)ctx)->options.run_ms;
	int rc = cli_parse_time(value, ms, err);
	if (!rc && (*ms == 0 || *ms > budget_max_ms))
		rc = err_set(err, ERR_USAGE, "\"%s\" is not a time from 1ms to a year", value);
	return rc;
}

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct run *)ctx)->db = value;
	return ERR_OK;
}

static int set_seed(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 1, INT64_MAX, &((struct run *)ctx)->options.seed, err);
}

static int set_budget(void *ctx, const char *value, struct err *err)
{
	uint64_t *ms = &((struct run *)ctx)->options.budget_ms;
	int rc = cli_parse_time(value, ms, err);
	if (!rc && (*ms == 0 || *ms > budget_max_ms))
		rc = err_set(err, ERR_USAGE, "\"%s\" is not a time from 1ms to a year", value);
	return rc;
}

static int set_states(void *ctx, const char *value, struct err *err)
{
	struct run *r = ctx;
	int rc = cli_parse_number(value, 0, INT64_MAX, &r->options.states_max, err);
	if (!rc && r->options.states_max == 0)
		r->options.states_max = UINT64_MAX;
	return rc;
}

static int set_depth(void *ctx, const char *value, struct err *err)
{
	struct run *r = ctx;
	int rc = set_number(value, 0, DEPTH_MAX, &r->options.depth, err);
	if (!rc && r->options.depth == 0)
		r->options.depth = UINT32_MAX;
	return rc;
}

static int set_nested(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 1, INT64_MAX, &((struct run *)ctx)->options.nested_max, err);
}

static int set_nested_states(void *ctx, const char *value, struct err *err)
{
	uint64_t *states = &((struct run *)ctx)->options.nested_states;
	int rc = cli_parse_number(value, 0, INT64_MAX, states, err);
	if (!rc && *states == 0)
		*states = UINT64_MAX;
	return rc;
}

static int set_jobs(void *ctx, const char *value, struct err *err)
{
	return set_number(value, 1, 256, &((struct run *)ctx)->options.jobs, err);
}

static int set_timeout(void *ctx, const char *value, struct err *err)
{
	return cli_parse_timeout(value, &((struct run *)ctx)->options.limits.wall_ms, err);
}

static int set_size(const char *value, uint64_t min, uint64_t *bytes, struct err *err)
{
	int rc = cli_parse_size(value, bytes, err);
	if (!rc && (*bytes < min || *bytes > INT64_MAX))
		rc = err_set(err, ERR_USAGE, "\"%s\" is not a size of %" PRIu64 "M or more", value,
			     min >> 20);
	return rc;
}

static int set_memory(void *ctx, const char *value, struct err *err)
{
	return set_size(value, memory_min, &((struct run *)ctx)->options.limits.memory_bytes, err);
}

static int set_disk(void *ctx, const char *value, struct err *err)
{
	return set_size(value, disk_min, &((struct run *)ctx)->options.limits.disk_bytes, err);
}

static int set_tmp(void *ctx, const char *value, struct err *err)
{
	char parent[AREA_PATH_MAX];
	((struct run *)ctx)->options.tmp = value;
	return area_choose(value, parent, err);
}

#define FLAG(name, field)                                                                          \
	static int set_##name(void *ctx, const char *value, struct err *err)                       \
	{                                                                                          \
		(void)value;                                                                       \
		(void)err;                                                                         \
		((struct run *)ctx)->field = true;                                                 \
		return ERR_OK;                                                                     \
	}
FLAG(live, options.live)
FLAG(power, options.live_power)
FLAG(no_stacks, options.no_stacks)
FLAG(twice, options.twice)
FLAG(no_outcomes, options.no_outcomes)
FLAG(json, json)
FLAG(quiet, quiet)

static const struct cli_option options[] = {
	{"engine", "SPEC", "engine and options, wal:sync=batch,batch=8; repeatable", set_engine},
	{"driver", "CMD", "a program that speaks docs/driver.md; repeatable", set_driver},
	{"check", "CMD", "with -- WORKLOAD: says which states are acceptable", set_check},
	{"setup", "CMD", "with it: makes what is there at the start", set_setup},
	{"ack-pattern", "REGEX", "with it: lines that acknowledge [all]", set_ack_pattern},
	{"run-timeout", "TIME", "wall time of the recorded run [1m]", set_run_timeout},
	{"model", "NAME,...", "persistence profiles [all; see list profiles]", set_model},
	{"on", "NAME,...", "real file systems instead: ext4,xfs [none]", set_on},
	{"ops", "N", "operations of the workload [120]", set_ops},
	{"mix", "OP=W,...", "operations and weights, put=60,delete=15,sync", set_mix},
	{"keys", "N", "distinct keys [12]", set_keys},
	{"values", "MIN-MAX", "bytes of a value [24-200]", set_values},
	{"batches", "MIN-MAX", "changes of a batch [2-40]", set_batches},
	{"reuse", "PERCENT", "writes that go to a key used before [70]", set_reuse},
	{"empty", "PERCENT", "values that are empty [0]", set_empty},
	{"contract", "WORDS", "override: each, every=N, on-sync, kill, power, ...", set_contract},
	{"expect", "LIST", "findings that must occur, \"O2@posix O4@kill\"", set_expect},
	{"seed", "N", "seed of the workload and of choosing [1]", set_seed},
	{"max-states", "N", "states a target and profile, 0: no limit [20000]", set_states},
	{"depth", "N", "crashes of recoveries in turn, 0: none [1]", set_depth},
	{"nested", "N", "recoveries crashed so, a target and profile [24]", set_nested},
	{"nested-states", "N", "crash states of one of these, 0: no limit [64]", set_nested_states},
	{"budget", "TIME", "stop after so long: 30s, 5m [none]", set_budget},
	{"jobs", "N", "workers [one a CPU]", set_jobs},
	{"timeout", "TIME", "wall time of one recovery, 500ms or seconds [1s]", set_timeout},
	{"memory", "SIZE", "memory of one recovery [1G]", set_memory},
	{"disk", "SIZE", "what one recovery may write [512M]", set_disk},
	{"tmp", "DIR", "where images are made [/dev/shm]", set_tmp},
	{"live", NULL, "also kill the engine for real at its fault points", set_live},
	{"power", NULL, "with --live: and ask what a disk may have kept", set_power},
	{"twice", NULL, "record twice, and refuse a workload that differs", set_twice},
	{"no-stacks", NULL, "record without call stacks", set_no_stacks},
	{"no-outcomes", NULL, "keep passing outcomes out of the database", set_no_outcomes},
	{"db", "FILE", "database [powercut.db]", set_db},
	{"json", NULL, "the report as JSON", set_json},
	{"quiet", NULL, "no progress, only the report", set_quiet},
	{0},
};

static int print_report(const struct run *r, struct store *store,
			const struct campaign_result *result)
{
	struct buf out = {0};
	struct err err;
	struct report_options how = {.width = cli_width(), .colour = cli_colour()};
	report_function *render = r->json ? report_json : report_text;
	int rc = render(store, result->id, &how, &out, &err);
	int code = rc ? cli_fail("run", &err) : cli_print(&out, result->exit_code);
	buf_finish(&out);
	return code;
}

static int run_campaign(struct run *r)
{
	struct store *store = NULL;
	struct campaign_result result;
	struct err err;
	struct status status;
	int rc = store_create(r->db ? r->db : CLI_DATABASE, &store, &err);
	if (rc)
		return cli_fail("run", &err);
	interrupt_catch();
	r->options.stop = &interrupted;
	status_init(&status, r->quiet || r->json);
	r->options.progress = status_show;
	r->options.progress_arg = &status;
	rc = campaign_run(&r->options, store, &result, &err);
	status_finish(&status);
	int code = rc ? cli_fail("run", &err) : print_report(r, store, &result);
	store_close(store);
	return code;
}

/* Makes a target of the words that the options left. */
static int take_command(struct run *r, char **words)
{
	struct command *c = &r->command;
	struct buf name = {0};
	struct err err;
	c->workload = (const char *const *)words;
	if (r->n_targets || r->mix || r->contract || r->options.live)
		return cli_usage("run",
				 "--%s goes with an engine, not with a workload and its "
				 "checker",
				 r->n_made	? "driver"
				 : r->n_targets ? "engine"
				 : r->mix	? "mix"
				 : r->contract	? "contract"
						: "live");
	if (command_check(c, &err))
		return cli_usage("run", "%s", err.text);
	words_join(c->workload, &name);
	r->name = mem_printf("%s", buf_text(&name));
	buf_finish(&name);
	r->targets[0] = (struct campaign_target){.spec = r->name, .command = c};
	r->n_targets = 1;
	return 0;
}

/* What has no meaning on real file systems, and whether these are here. */
static int check_on(struct run *r)
{
	const struct campaign_options *o = &r->options;
	struct err err;
	const char *other = r->n_profiles      ? "model"
			    : o->live	       ? "live"
			    : o->depth	       ? "depth"
			    : o->nested_max    ? "nested"
			    : o->nested_states ? "nested-states"
					       : NULL;
	if (other && !(o->depth == UINT32_MAX && strcmp(other, "depth") == 0))
		return cli_usage("run", "--%s does not go with --on", other);
	if (o->states_max && (o->states_max < 2 || o->states_max > UINT32_MAX))
		return cli_usage("run", "with --on, --max-states is a number from 2 to %u",
				 UINT32_MAX);
	return lab_check(&err) || on_complete(&r->on, &err) ? cli_fail("run", &err) : 0;
}

/* Findings are named by what can show them: a profile, or a real file system. */
static int check_expectations(const struct run *r)
{
	const char *list = r->expect, *word;
	size_t length;
	while (store_next_word(&list, &word, &length)) {
		const char *at = memchr(word, '@', length);
		bool real = at && strncmp(at, "@on:", 4) == 0;
		if (at && real != (r->on.n > 0))
			return cli_usage("run", "--expect: %.*s is not found %s --on", (int)length,
					 word, real ? "without" : "with");
	}
	return 0;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct run *r = mem_alloc(1, sizeof *r);
	int rest, code;
	if (cli_parse(&cli_run, r, argc, argv, &rest, &code))
		goto done;
	if (rest < argc || r->command.check || r->command.setup || r->command.ack_pattern) {
		code = take_command(r, argv + rest);
		if (code)
			goto done;
	}
	if (r->options.live_power && !r->options.live) {
		code = cli_usage("run", "--power goes with --live");
		goto done;
	}
	if (!r->n_targets && (r->contract || r->expect || r->mix)) {
		code = cli_usage("run", "--%s goes with --engine or --driver",
				 r->contract ? "contract"
				 : r->expect ? "expect"
					     : "mix");
		goto done;
	}
	code = r->on.n ? check_on(r) : 0;
	if (!code)
		code = check_expectations(r);
	if (code)
		goto done;
	for (size_t i = 0; i < r->n_targets; i++) {
		r->targets[i].mix = r->mix;
		r->targets[i].contract = r->contract;
		r->targets[i].expected = r->expect;
	}
	r->options.targets = r->n_targets ? r->targets : NULL;
	r->options.profiles = r->n_profiles ? r->profiles : NULL;
	r->options.on = r->on.n ? r->on.fs : NULL;
	r->options.command = command_line;
	code = run_campaign(r);
done:
	free(r->name);
	for (size_t i = 0; i < r->n_made; i++)
		free(r->made[i]);
	free(r);
	return code;
}

const struct cli_command cli_run = {
	.name = "run",
	.arguments = "[OPTIONS] [--check CMD -- WORKLOAD ARGS...]",
	.help = "Runs a campaign; without --engine or --check, the built-in one",
	.details =
		"With --on (ext4, ext4-lock, ext4-noda, xfs, btrfs), calls are repeated on a real "
		"file\n"
		"system over a disk whose writes are recorded, and recoveries run on what crashes "
		"leave,\n"
		"mounted; --max-states is then the number of block states a target and file system "
		"[2000].\n"
		"Recoveries are not crashed in turn there.  Needs root, FUSE and loop devices.\n",
	.options = options,
	.run = run,
};
