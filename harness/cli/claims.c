#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "claims.h"
#include "commands.h"
#include "json.h"
#include "mem.h"
#include "sheet.h"
#include "trials.h"

struct claims_command {
	struct cli_trials common; /* first: its options are set through it */
	struct claims_options options;
	unsigned numbers[CLAIMS_COUNT];
	const struct claim *last; /* the claim of the row before */
	struct buf out;
	struct json json;
	int code; /* not 0: standard output is closed or full */
};

static const struct cli_option options[] = {
	CLI_TRIALS_OPTIONS("2000"),
	{0},
};

static const char *profiles_of(const struct claim_case *what)
{
	return what->profiles ? what->profiles : "all profiles";
}

/* ---- text: each answer as soon as it is there ---- */

static void print(struct claims_command *c)
{
	cli_trials_clear(&c->common);
	if (cli_print(&c->out, 0))
		c->code = 70;
	buf_clear(&c->out);
}

static void put_where(const struct claim_case *what, struct buf *out)
{
	if (what->spec)
		sheet_escape(out, what->spec);
	else
		buf_string(out, "calls written by hand");
	if (what->contract)
		buf_printf(out, ", held to \"%s\"", what->contract);
	buf_printf(out, ", under %s", profiles_of(what));
}

static void put_evidence(const struct claim_row *row, struct buf *out)
{
	sheet_number(out, row->states, false);
	buf_string(out, row->states == 1 ? " state tried" : " states tried");
	if (row->left_out) {
		buf_string(out, ", ");
		sheet_number(out, row->left_out, false);
		buf_string(out, " or more left out");
	}
}

static void print_row(struct claims_command *c, const struct claim_row *row)
{
	struct sheet sheet;
	struct buf line = {0};
	const struct report_options how = {.width = cli_width(), .colour = cli_colour()};
	static const enum sheet_style styles[] = {
		[CLAIM_CONFIRMED] = SHEET_GOOD,
		[CLAIM_REFUTED] = SHEET_BAD,
		[CLAIM_UNDECIDED] = SHEET_WARN,
	};
	sheet_init(&sheet, &how, &c->out);
	if (row->claim != c->last) {
		buf_printf(&line, "%s%2u  ", c->last ? "\n" : "", row->claim->number);
		buf_string(&c->out, buf_text(&line));
		sheet_wrap(&sheet, 4, row->claim->text);
		c->last = row->claim;
	}
	buf_string(&c->out, "    ");
	sheet_paint(&sheet, styles[row->answer], claim_answer_name(row->answer));
	buf_string(&c->out, ": ");
	sheet_wrap(&sheet, 6, row->what->says);
	buf_clear(&line);
	put_where(row->what, &line);
	sheet_lines(&sheet, 6, buf_text(&line));
	buf_clear(&line);
	put_evidence(row, &line);
	sheet_lines(&sheet, 6, buf_text(&line));
	buf_clear(&line);
	if (row->state[0])
		buf_printf(&line, "state %s\n", row->state);
	if (row->only)
		buf_printf(&line, "%" PRIu64 " states that only fdatasync admits: %s\n", row->only,
			   row->admits);
	if (row->why[0])
		buf_printf(&line, "%s\n", row->why);
	if (line.len)
		sheet_lines(&sheet, 6, buf_text(&line));
	buf_finish(&line);
	print(c);
}

static void print_end(struct claims_command *c, const struct claims_result *r)
{
	buf_printf(&c->out,
		   "\nclaims: %u confirmed, %u refuted, %u inconclusive, seed %" PRIu64 "\n",
		   r->answers[CLAIM_CONFIRMED], r->answers[CLAIM_REFUTED],
		   r->answers[CLAIM_UNDECIDED], c->options.trials.campaign.seed);
	if (r->passed_over)
		buf_printf(&c->out, "%u of engines that are not built in were passed over\n",
			   r->passed_over);
	if (c->options.trials.db) {
		buf_string(&c->out, "Any state: powercut repro");
		sheet_database(&c->out, c->options.trials.db);
		buf_string(&c->out, " STATE\n");
	} else {
		buf_string(&c->out, "With --db FILE, `powercut repro` rebuilds the states.\n");
	}
	print(c);
}

/* ---- JSON ---- */

static void json_row(struct claims_command *c, const struct claim_row *row)
{
	static const char *const kinds[] = {
		[CLAIM_NEVER] = "never", [CLAIM_CAN] = "can", [CLAIM_SAME] = "same"};
	struct json *json = &c->json;
	const struct claim_case *what = row->what;
	json_open(json, NULL, '{');
	json_count(json, "claim", row->claim->number);
	json_text(json, "text", row->claim->text);
	json_text(json, "case", what->says);
	json_text(json, "kind", kinds[what->kind]);
	json_text(json, "target", what->spec ? what->spec : "");
	json_text(json, "calls", what->calls ? what->calls->text : "");
	json_text(json, "workload", what->workload ? what->workload : "");
	json_text(json, "contract", what->contract ? what->contract : "");
	json_text(json, "rules", what->rules ? what->rules : "");
	json_words(json, "profiles", what->profiles ? what->profiles : "");
	json_text(json, "answer", claim_answer_name(row->answer));
	json_count(json, "states", row->states);
	json_count(json, "left_out", row->left_out);
	json_text(json, "state", row->state);
	json_count(json, "only_fdatasync", row->only);
	json_words(json, "admits", row->admits);
	json_text(json, "why", row->why);
	json_close(json, '}');
}

static void begin_json(struct claims_command *c)
{
	json_open(&c->json, NULL, '{');
	json_format(&c->json, "powercut-claims");
	json_bits(&c->json, "seed", c->options.trials.campaign.seed);
	json_open(&c->json, "cases", '[');
}

static void end_json(struct claims_command *c, const struct claims_result *r)
{
	json_close(&c->json, ']');
	for (int a = 0; a <= CLAIM_UNDECIDED; a++)
		json_count(&c->json, claim_answer_name((enum claim_answer)a), r->answers[a]);
	json_count(&c->json, "passed_over", r->passed_over);
	json_close(&c->json, '}');
}

/* ---- the whole ---- */

static void on_row(void *arg, const struct claim_row *row)
{
	struct claims_command *c = arg;
	if (c->common.json)
		json_row(c, row);
	else
		print_row(c, row);
}

static int run_claims(struct claims_command *c)
{
	struct claims_result result;
	struct err err;
	c->options.row = on_row;
	c->options.arg = c;
	c->json.out = &c->out;
	if (c->common.json)
		begin_json(c);
	int rc = claims_run(&c->options, &result, &err);
	cli_trials_clear(&c->common);
	if (rc)
		return cli_fail("claims", &err);
	if (c->common.json) {
		end_json(c, &result);
		return cli_print(&c->out, result.exit_code);
	}
	print_end(c, &result);
	return c->code ? c->code : result.exit_code;
}

/* The numbers of claims after the options; each at most once. */
static int take_numbers(struct claims_command *c, char **words, int n, struct err *err)
{
	uint64_t number;
	for (int i = 0; i < n; i++) {
		int rc = cli_parse_number(words[i], 1, CLAIMS_COUNT, &number, err);
		if (rc)
			return rc;
		for (size_t k = 0; k < c->options.n_numbers; k++)
			if (c->numbers[k] == number)
				return err_set(err, ERR_USAGE, "%s is given twice", words[i]);
		c->numbers[c->options.n_numbers++] = (unsigned)number;
	}
	c->options.numbers = c->numbers;
	return ERR_OK;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct claims_command *c = mem_alloc(1, sizeof *c);
	struct err err;
	int rest, code;
	if (cli_parse(&cli_claims, c, argc, argv, &rest, &code))
		goto done;
	if (take_numbers(c, argv + rest, argc - rest, &err)) {
		code = cli_usage("claims", "%s", err.text);
		goto done;
	}
	cli_trials_begin(&c->common, command_line);
	c->options.trials = c->common.trials;
	code = run_claims(c);
done:
	buf_finish(&c->out);
	free(c);
	return code;
}

const struct cli_command cli_claims = {
	.name = "claims",
	.arguments = "[OPTIONS] [NUMBER...]",
	.help = "Decides what is commonly claimed of such engines",
	.details = "Twelve claims, each decided by a few cases: for the target, contract and\n"
		   "profiles that it names, a case is confirmed or refuted, by one crash state or "
		   "by all that\n"
		   "were tried.  NUMBER: only these claims.\n"
		   "\n"
		   "Exit code 0 where all were answered, whatever the answers; 2 where one could\n"
		   "not be.\n",
	.options = options,
	.run = run,
};
