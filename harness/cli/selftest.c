#include <inttypes.h>
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "judge.h"
#include "mem.h"
#include "selftest.h"
#include "sheet.h"
#include "trials.h"

struct selftest {
	struct cli_trials common; /* first: its options are set through it */
	struct selftest_options options;
	struct buf out; /* JSON, until the end */
	struct json json;
	uint64_t seed; /* of the row before, 0 at first */
	int code;      /* not 0: standard output is closed or full */
};

static int set_seeds(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 1, 1000000, &((struct selftest *)ctx)->options.seeds, err);
}

static const struct cli_option options[] = {
	CLI_TRIALS_OPTIONS("2000"),
	{"seeds", "N", "try N seeds, from --seed on [1]", set_seeds},
	{0},
};

static void put_rules(uint32_t rules, struct buf *out)
{
	const char *space = "";
	for (int rule = RULE_O1; rule < RULES_END; rule++) {
		if (!(rules & RULE_BIT(rule)))
			continue;
		buf_printf(out, "%s%s", space, rule_name(rule));
		space = " ";
	}
}

/* ---- text ---- */

static void print(struct selftest *s, struct buf *out)
{
	cli_trials_clear(&s->common);
	if (cli_print(out, 0))
		s->code = 70;
	buf_finish(out);
}

/* The columns of a line; what has no bounds comes last. */
static void put_line(struct buf *out, const char *verdict, const char *name, const char *expected,
		     const char *broken, const char *at, const char *time, const char *from)
{
	buf_printf(out, "%-12s  %-29s  %-10s  %-17s  %8s  %7s  %s\n", verdict, name, expected,
		   broken, at, time, from);
}

static void put_profiles(const char *what, uint32_t set, struct buf *out)
{
	buf_printf(out, "    %s ", what);
	profiles_print(set, out);
	buf_byte(out, '\n');
}

/* What stands under a line that is not as it should be. */
static void put_details(const struct selftest_row *row, struct buf *out)
{
	if (row->verdict == SELFTEST_MISSED)
		put_profiles("missed under", row->required & ~row->found, out);
	if (row->verdict == SELFTEST_ACCUSED)
		put_profiles("accused under", row->found, out);
	if (row->verdict == SELFTEST_UNDECIDED) {
		buf_string(out, "    ");
		sheet_escape(out, row->why);
		buf_byte(out, '\n');
	}
	if (row->verdict == SELFTEST_ACCUSED && row->state[0])
		buf_printf(out, "    state %s\n", row->state);
}

static void put_bug(const struct selftest_row *row, const char *time, struct buf *out)
{
	struct buf expected = {0}, broken = {0}, from = {0}, at = {0};
	put_rules(row->expected, &expected);
	put_rules(row->broken, &broken);
	profiles_print(profiles_minimal(row->found), &from);
	if (row->state[0])
		sheet_number(&at, row->found_after, false);
	put_line(out, selftest_verdict_text(row->verdict), row->name, buf_text(&expected),
		 buf_text(&broken), buf_text(&at), time, buf_text(&from));
	buf_finish(&expected);
	buf_finish(&broken);
	buf_finish(&from);
	buf_finish(&at);
}

/* The name of a sound engine has its options in it, and takes the room of the rules. */
static void put_sound(const struct selftest_row *row, const char *time, struct buf *out)
{
	struct buf broken = {0};
	put_rules(row->broken, &broken);
	buf_printf(out, "%-12s  %-70s  %7s%s%s\n", selftest_verdict_text(row->verdict), row->name,
		   time, broken.len ? "  " : "", buf_text(&broken));
	buf_finish(&broken);
}

static void print_row(struct selftest *s, const struct selftest_row *row)
{
	struct buf out = {0};
	char *time = mem_printf("%.1f s", (double)row->elapsed_ns / 1e9);
	if (!s->seed) /* the first row */
		put_line(&out, "verdict", "planted bug", "expected", "broken", "found at", "time",
			 "from");
	if (s->options.seeds > 1 && row->seed != s->seed)
		buf_printf(&out, "seed %" PRIu64 "\n", row->seed);
	s->seed = row->seed;
	if (row->wrong)
		put_bug(row, time, &out);
	else
		put_sound(row, time, &out);
	put_details(row, &out);
	print(s, &out);
	free(time);
}

static void print_end(struct selftest *s, const struct selftest_result *r)
{
	struct buf out = {0};
	const uint32_t *v = r->verdicts;
	buf_printf(&out,
		   "\nselftest: %s: %u found, %u missed, %u silent, %u accused, "
		   "%u inconclusive in %.1f s, seed %" PRIu64,
		   r->exit_code == 0   ? "passed"
		   : r->exit_code == 1 ? "FAILED"
				       : "INCONCLUSIVE",
		   v[SELFTEST_FOUND], v[SELFTEST_MISSED], v[SELFTEST_SILENT], v[SELFTEST_ACCUSED],
		   v[SELFTEST_UNDECIDED], (double)r->elapsed_ns / 1e9,
		   s->options.trials.campaign.seed);
	if (s->options.seeds > 1)
		buf_printf(&out, " to %" PRIu64,
			   s->options.trials.campaign.seed + s->options.seeds - 1);
	buf_byte(&out, '\n');
	print(s, &out);
}

/* ---- JSON ---- */

static void json_rules(struct json *json, const char *name, uint32_t rules)
{
	struct buf list = {0};
	put_rules(rules, &list);
	json_words(json, name, buf_text(&list));
	buf_finish(&list);
}

static void json_profiles(struct json *json, const char *name, uint32_t set)
{
	struct buf list = {0};
	profiles_print(set, &list);
	json_words(json, name, buf_text(&list));
	buf_finish(&list);
}

static void json_row(struct json *json, const struct selftest_row *row)
{
	json_open(json, NULL, '{');
	json_text(json, "name", row->name);
	json_text(json, "kind", row->wrong ? "bug" : "sound");
	json_text(json, "wrong", row->wrong ? row->wrong : "");
	json_text(json, "target", row->spec);
	json_bits(json, "seed", row->seed);
	json_text(json, "verdict", selftest_verdict_json(row->verdict));
	json_rules(json, "expected", row->expected);
	json_rules(json, "broken", row->broken);
	json_profiles(json, "required", row->required);
	json_profiles(json, "found", row->found);
	json_profiles(json, "missed", row->required & ~row->found);
	json_profiles(json, "from", profiles_minimal(row->found));
	json_count(json, "findings", row->findings);
	json_text(json, "state", row->state);
	if (row->state[0])
		json_count(json, "found_after", row->found_after);
	json_count(json, "states", row->states);
	json_count(json, "elapsed_ms", row->elapsed_ns / 1000000);
	json_count(json, "unreached_fault_points", row->unreached);
	json_text(json, "why", row->why);
	json_close(json, '}');
}

static void json_end(struct selftest *s, const struct selftest_result *r)
{
	struct json *json = &s->json;
	json_close(json, ']');
	for (int v = 0; v <= SELFTEST_UNDECIDED; v++)
		json_count(json, selftest_verdict_json((enum selftest_verdict)v), r->verdicts[v]);
	json_count(json, "elapsed_ms", r->elapsed_ns / 1000000);
	json_number(json, "exit_code", r->exit_code);
	json_close(json, '}');
}

/* ---- the whole ---- */

static void on_row(void *arg, const struct selftest_row *row)
{
	struct selftest *s = arg;
	if (s->common.json)
		json_row(&s->json, row);
	else
		print_row(s, row);
}

static int run_selftest(struct selftest *s)
{
	struct selftest_result result;
	struct err err;
	s->options.row = on_row;
	s->options.arg = s;
	s->json.out = &s->out;
	if (s->common.json) {
		json_open(&s->json, NULL, '{');
		json_format(&s->json, "powercut-selftest");
		json_open(&s->json, "rows", '[');
	}
	int rc = selftest_run(&s->options, &result, &err);
	cli_trials_clear(&s->common);
	if (rc)
		return cli_fail("selftest", &err);
	if (!s->common.json) {
		print_end(s, &result);
		return s->code ? s->code : result.exit_code;
	}
	json_end(s, &result);
	return cli_print(&s->out, result.exit_code);
}

static int run(int argc, char **argv, const char *command_line)
{
	struct selftest *s = mem_alloc(1, sizeof *s);
	int rest, code;
	if (cli_parse(&cli_selftest, s, argc, argv, &rest, &code))
		goto done;
	cli_trials_begin(&s->common, command_line);
	if (s->options.seeds > INT64_MAX - s->common.trials.campaign.seed + 1) {
		code = cli_usage("selftest",
				 "--seeds: there are no %" PRIu64 " seeds from %" PRIu64
				 " on, only up to %" PRId64,
				 s->options.seeds, s->common.trials.campaign.seed, INT64_MAX);
		goto done;
	}
	s->options.trials = s->common.trials;
	s->options.names = (const char *const *)argv + rest;
	s->options.n_names = (size_t)(argc - rest);
	code = run_selftest(s);
done:
	buf_finish(&s->out);
	free(s);
	return code;
}

const struct cli_command cli_selftest = {
	.name = "selftest",
	.arguments = "[OPTIONS] [NAME...]",
	.help = "Finds the planted bugs, and nothing in sound engines",
	.details =
		"NAME is a planted bug (wal/skip-sync), a sound target as it is printed, either\n"
		"with a star at its end for any rest, or an engine's name for all of that engine.\n"
		"\n"
		"  expected  the rules by which the bug is known\n"
		"  broken    those that findings in it broke\n"
		"  from      the strongest profiles under which it was found\n"
		"  found at  states looked at until then\n"
		"  time      of the whole run, under all profiles\n"
		"\n"
		"Exit code 1 where a bug was missed under a profile from which it must show, or a\n"
		"sound engine was accused; else 2 where anything could not be decided.\n",
	.options = options,
	.run = run,
};
