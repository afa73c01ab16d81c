/* One finding, explained to somebody who has not seen the report. */
#include <stdlib.h>
#include <string.h>

#include "finding.h"
#include "json.h"
#include "sheet.h"
#include "summary.h"
#include "witnesses.h"

static void print_numbers(struct sheet *sheet, const struct outcome_row *row)
{
	struct buf text = {0};
	sheet_count(&text, row->begun, "change");
	buf_string(&text, " had begun, ");
	sheet_number(&text, row->acked, false);
	buf_string(&text, row->acked == 1 ? " was acknowledged, " : " were acknowledged, ");
	sheet_number(&text, row->durable, false);
	buf_string(&text, " of these had to be durable");
	sheet_field(sheet, "at the crash", buf_text(&text));
	buf_clear(&text);
	if (row->prefix == 0) {
		buf_string(&text, "the contents before any change");
	} else if (row->prefix == 1) {
		buf_string(&text, "the contents after the first change");
	} else if (row->prefix > 0) {
		buf_string(&text, "the contents after the first ");
		sheet_count(&text, (uint64_t)row->prefix, "change");
	} else {
		buf_string(&text, "not the contents after any number of changes");
	}
	if (row->loss) {
		buf_string(&text, "; ");
		sheet_count(&text, row->loss, "acknowledged change");
		buf_string(&text, " lost");
	}
	sheet_field(sheet, "recovered", buf_text(&text));
	buf_finish(&text);
}

static void print_acknowledged(struct sheet *sheet, const struct outcome_row *row)
{
	struct buf text = {0};
	sheet_count(&text, row->acked, "acknowledged line");
	sheet_field(sheet, "at the crash", buf_text(&text));
	buf_finish(&text);
}

/* Of a state of a nested run: the state whose recovery was crashed, in *parent; "" for others.
 * A state's ID begins with 8 digits of its trace's identity. */
static int find_parent(struct store *store, const char *state, struct buf *parent, struct err *err)
{
	struct store_query *q = NULL;
	struct trace_row row;
	char head[9] = "";
	int rc = 0;
	buf_clear(parent);
	strncat(head, state, 8);
	if (strspn(head, "0123456789abcdef") != 8 || state[8] != '.')
		return 0;
	uint32_t bits = (uint32_t)strtoul(head, NULL, 16);
	while (!parent->len && (rc = store_next_trace(store, &q, bits, &row, err)) == 1)
		buf_string(parent, row.parent);
	store_query_end(&q);
	return rc < 0 ? rc : 0;
}

static int print_state(struct sheet *sheet, struct store *store, const struct finding_row *finding,
		       const struct target_row *target, const char *parent, struct err *err)
{
	struct store_query *q = NULL;
	struct outcome_row row;
	if (!*finding->state)
		return 0;
	int rc = store_next_outcome(store, &q, finding->target, finding->state, &row, err);
	if (rc == 1 || *parent) {
		buf_byte(sheet->out, '\n');
		sheet_paint(sheet, SHEET_BOLD, "One such state");
		buf_byte(sheet->out, '\n');
		sheet_field_whole(sheet, "state", finding->state);
		sheet_field_whole(sheet, "after", parent);
		if (*parent)
			sheet_field(sheet, "",
				    "left by a crash before: it was recovered and used, and a "
				    "second crash left this one");
	}
	if (rc == 1) {
		if (summary_is_command(target))
			print_acknowledged(sheet, &row);
		else if (row.acked || row.begun)
			print_numbers(sheet, &row);
		sheet_field(sheet, "verdict", row.text);
	}
	store_query_end(&q);
	return rc < 0 ? rc : 0;
}

static void print_heading(struct sheet *sheet, const struct finding_row *row)
{
	struct buf text = {0};
	sheet_paint(sheet, row->expected ? SHEET_WARN : SHEET_BAD,
		    row->expected ? "Expected finding" : "Finding");
	buf_printf(&text, " %s  ", row->fingerprint);
	finding_rules(row, &text);
	sheet_paint(sheet, SHEET_BOLD, buf_text(&text));
	buf_byte(sheet->out, '\n');
	sheet_wrap(sheet, 0, row->title);
	if (row->expected)
		sheet_wrap(sheet, 0, "The target declares it: it does not fail the campaign.");
	buf_byte(sheet->out, '\n');
	finding_fields(sheet, row);
	buf_finish(&text);
}

static void print_target(struct sheet *sheet, const struct target_row *target)
{
	struct buf text = {0};
	buf_byte(sheet->out, '\n');
	sheet_paint(sheet, SHEET_BOLD, "What ran");
	buf_byte(sheet->out, '\n');
	sheet_field(sheet, "target", target->name);
	for (const char *at = target->options; *at && !summary_is_command(target); at++)
		buf_printf(&text, "%c%s", *at, *at == ',' ? " " : "");
	sheet_field(sheet, "options", buf_text(&text));
	buf_clear(&text);
	if (summary_is_command(target))
		sheet_field(sheet, "checker", target->options);
	buf_printf(&text, "%s, seed %llu", target->workload, (unsigned long long)target->seed);
	sheet_field(sheet, "workload", buf_text(&text));
	if (!summary_is_command(target))
		sheet_field(sheet, "contract", target->contract);
	buf_clear(&text);
	buf_printf(&text, "%lld", (long long)target->campaign);
	sheet_field(sheet, "campaign", buf_text(&text));
	buf_finish(&text);
}

static void print_explanation(struct sheet *sheet, const struct finding_row *row)
{
	if (!*row->explanation)
		return;
	buf_byte(sheet->out, '\n');
	sheet_paint(sheet, SHEET_BOLD, "What happened");
	buf_byte(sheet->out, '\n');
	sheet_lines(sheet, 2, row->explanation);
}

static void print_commands(struct sheet *sheet, struct store *store, const struct finding_row *row,
			   const char *parent)
{
	struct buf command = {0};
	buf_byte(sheet->out, '\n');
	sheet_paint(sheet, SHEET_BOLD, "What to do next");
	buf_byte(sheet->out, '\n');
	buf_printf(&command, "powercut repro %s --export DIR", row->state);
	sheet_database(&command, store_path(store));
	sheet_command(sheet, buf_text(&command), "writes the files to DIR as that crash left them");
	buf_clear(&command);
	buf_printf(&command, "powercut repro %s", row->state);
	sheet_database(&command, store_path(store));
	sheet_command(sheet, buf_text(&command), "recovers and judges that state again");
	if (*parent) {
		buf_clear(&command);
		buf_printf(&command, "powercut repro %s", parent);
		sheet_database(&command, store_path(store));
		sheet_command(sheet, buf_text(&command),
			      "the same with the state after the crash before");
	}
	buf_finish(&command);
}

static int show_text(struct sheet *sheet, struct store *store, const struct finding_row *finding,
		     const struct target_row *target, const char *parent, struct err *err)
{
	print_heading(sheet, finding);
	print_explanation(sheet, finding);
	int rc = print_state(sheet, store, finding, target, parent, err);
	if (rc == 0)
		rc = witnesses_block(sheet, store, finding->id, err);
	print_target(sheet, target);
	if (*finding->state)
		print_commands(sheet, store, finding, parent);
	return rc;
}

static int show_json(struct buf *out, struct store *store, const struct finding_row *finding,
		     const struct target_row *target, const char *parent, struct err *err)
{
	struct json json = {.out = out};
	json_open(&json, NULL, '{');
	json_format(&json, "powercut-finding");
	json_number(&json, "campaign", target->campaign);
	json_text(&json, "target", target->name);
	json_text(&json, "options", target->options);
	json_text(&json, "workload", target->workload);
	json_text(&json, "contract", target->contract);
	json_bits(&json, "seed", target->seed);
	/* The state whose recovery was crashed in turn; "" where there was one crash only. */
	json_text(&json, "after", parent);
	int rc = json_finding(&json, "finding", store, finding, err);
	json_close(&json, '}');
	return rc;
}

int report_show(struct store *store, const char *what, const struct report_options *options,
		struct buf *out, struct err *err)
{
	struct sheet sheet;
	struct finding_row finding;
	struct target_row target;
	struct buf parent = {0};
	int64_t id = 0;
	sheet_init(&sheet, options, out);
	int rc = store_begin_reading(store, err);
	if (rc == 0)
		rc = finding_find(store, what, &id, err);
	if (rc == 0)
		rc = store_get_finding(store, id, &finding, err);
	if (rc == 0)
		rc = store_get_target(store, finding.target, &target, err);
	if (rc == 0)
		rc = find_parent(store, finding.state, &parent, err);
	if (rc == 0 && options && options->json)
		rc = show_json(out, store, &finding, &target, buf_text(&parent), err);
	else if (rc == 0)
		rc = show_text(&sheet, store, &finding, &target, buf_text(&parent), err);
	buf_finish(&parent);
	store_end_reading(store);
	return rc;
}
