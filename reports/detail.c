#include "detail.h"

#include <stdlib.h>
#include <string.h>

#include "finding.h"
#include "mem.h"
#include "verdict.h"
#include "witnesses.h"

enum { REASONS_MAX = 5 };

static void print_heading(struct sheet *sheet, const struct target_row *target, uint32_t number,
			  uint32_t total, enum report_verdict verdict)
{
	buf_byte(sheet->out, '\n');
	struct buf text = {0};
	buf_printf(&text, "Target %u of %u: %s", number, total, target->name);
	sheet_paint(sheet, SHEET_BOLD, buf_text(&text));
	/* A name that leaves no room has a line of its own. */
	size_t room = text.len + 2 + strlen(summary_verdict_text(verdict));
	buf_string(sheet->out, room > sheet->width ? "\n  " : "  ");
	sheet_paint(sheet, verdict_style(verdict), summary_verdict_text(verdict));
	buf_string(sheet->out, "\n\n");
	buf_clear(&text);
	buf_printf(&text, "%s, seed %llu", target->workload, (unsigned long long)target->seed);
	sheet_field(sheet, "workload", buf_text(&text));
	buf_clear(&text);
	sheet_count(&text, target->calls, "system call");
	buf_string(&text, ", ");
	if (summary_is_command(target)) {
		sheet_count(&text, target->changes, "acknowledged line");
		buf_string(&text, ", ");
	} else {
		sheet_count(&text, target->operations, "operation");
		buf_string(&text, " of which ");
		sheet_number(&text, target->changes, false);
		buf_string(&text, " change contents, ");
	}
	sheet_count(&text, target->points, "crash point");
	sheet_field(sheet, "recorded", buf_text(&text));
	if (summary_is_command(target))
		sheet_field(sheet, "checker", target->options);
	else
		sheet_field(sheet, "contract", target->contract);
	buf_finish(&text);
}

static void coverage_cells(struct sheet_table *table, const struct coverage_row *row)
{
	enum sheet_style bad = row->violations ? SHEET_BAD : SHEET_PLAIN;
	sheet_cell(table, SHEET_PLAIN, row->profile);
	sheet_cell_number(table, SHEET_PLAIN, row->possible, !row->exact);
	sheet_cell_number(table, SHEET_PLAIN, row->tested, false);
	sheet_cell_number(table, SHEET_PLAIN, row->merged, false);
	sheet_cell_number(table, SHEET_PLAIN, row->left_out, !row->exact);
	sheet_cell_number(table, SHEET_PLAIN, row->nested, false);
	sheet_cell_number(table, bad, row->violations, false);
	sheet_cell_number(table, SHEET_PLAIN, row->loss, false);
}

static int print_coverage(struct sheet *sheet, struct store *store, int64_t target, struct err *err)
{
	static const char *const headings[] = {"profile",  "possible", "tested",     "merged",
					       "left out", "nested",   "violations", "loss"};
	struct sheet_table table = {.columns = sizeof headings / sizeof *headings};
	struct store_query *q = NULL;
	struct coverage_row row;
	int rc;
	for (uint32_t i = 0; i < table.columns; i++)
		sheet_cell(&table, SHEET_FAINT, headings[i]);
	while ((rc = store_next_coverage(store, &q, target, &row, err)) == 1)
		coverage_cells(&table, &row);
	sheet_table_print(sheet, &table);
	return rc;
}

/* How many of the recoveries the states in the column "nested" came from. */
static void print_nested(struct sheet *sheet, const struct target_summary *summary)
{
	struct buf text = {0};
	if (!summary->recoverable)
		return;
	sheet_number(&text, summary->again, false);
	buf_string(&text, " of ");
	sheet_number(&text, summary->recoverable, false);
	buf_string(&text, " good recoveries were crashed in turn: ");
	sheet_count(&text, summary->nested, "state");
	buf_string(&text, " after a second crash");
	if (summary->nested_left_out) {
		buf_string(&text, ", and ");
		sheet_number(&text, summary->nested_left_out, true);
		buf_string(&text, " left out");
	}
	buf_string(sheet->out, "\n  ");
	sheet_wrap(sheet, 2, buf_text(&text));
	buf_finish(&text);
}

/* The window between a flush and its sync is the one that a kill does not show
 * and a loss of power does. */
static bool of_interest(const struct window_row *row)
{
	const char *moment = strrchr(row->before, '/');
	return row->violations || (moment && strcmp(moment, "/flushed") == 0);
}

static void window_cells(struct sheet_table *table, const struct window_row *row)
{
	struct buf name = {0};
	enum sheet_style bad = row->violations ? SHEET_BAD : SHEET_PLAIN;
	buf_printf(&name, "%s … %s", *row->before ? row->before : "start",
		   *row->after ? row->after : "end");
	sheet_cell(table, SHEET_PLAIN, buf_text(&name));
	sheet_cell_number(table, SHEET_PLAIN, row->tested, false);
	sheet_cell_number(table, bad, row->violations, false);
	buf_finish(&name);
}

static int print_windows(struct sheet *sheet, struct store *store, int64_t target, bool all,
			 struct err *err)
{
	struct sheet_table table = {.columns = 3};
	struct store_query *q = NULL;
	struct window_row row;
	uint64_t others = 0, others_tested = 0;
	int rc;
	sheet_cell(&table, SHEET_FAINT, "crash between");
	sheet_cell(&table, SHEET_FAINT, "tested");
	sheet_cell(&table, SHEET_FAINT, "violations");
	while ((rc = store_next_window(store, &q, target, &row, err)) == 1) {
		if (all || of_interest(&row)) {
			window_cells(&table, &row);
		} else {
			others++;
			others_tested += row.tested;
		}
	}
	if (others) {
		struct buf name = {0};
		sheet_count(&name, others, table.n > 3 ? "other window" : "window");
		sheet_cell(&table, SHEET_PLAIN, buf_text(&name));
		sheet_cell_number(&table, SHEET_PLAIN, others_tested, false);
		sheet_cell_number(&table, SHEET_PLAIN, 0, false);
		buf_finish(&name);
	}
	sheet_table_print(sheet, &table);
	return rc;
}

/* The sizes among the options of a target, "segment_bytes or buffer_bytes". */
static void size_options(const char *options, struct buf *out)
{
	static const char unit[] = "_bytes";
	const size_t unit_length = sizeof unit - 1;
	for (const char *at = options; *at;) {
		size_t length = strcspn(at, ","), name = strcspn(at, "=,");
		if (name > unit_length && memcmp(at + name - unit_length, unit, unit_length) == 0) {
			buf_string(out, out->len ? " or " : "");
			buf_append(out, at, name);
		}
		at += length + (at[length] == ',');
	}
}

static void print_unreached(struct sheet *sheet, const struct target_row *target, const char *names,
			    uint32_t n)
{
	struct buf text = {0}, sizes = {0};
	buf_string(sheet->out, "\n  ");
	sheet_paint(sheet, SHEET_WARN, "Never passed");
	buf_string(sheet->out, "\n  ");
	sheet_count(&text, n, "fault point");
	buf_printf(&text,
		   " that this run should have passed and did not, so that nothing is known of "
		   "what lies behind %s:",
		   n == 1 ? "it" : "them");
	sheet_wrap(sheet, 2, buf_text(&text));
	buf_string(sheet->out, "    ");
	sheet_wrap(sheet, 4, names);
	buf_clear(&text);
	size_options(target->options, &sizes);
	buf_string(&text,
		   "What may help: more operations (--ops) or keys (--keys), another mix (--mix)");
	if (sizes.len)
		buf_printf(&text, ", a smaller %s", buf_text(&sizes));
	buf_string(&text, "; for what only a recovery passes, more profiles (--model) or states "
			  "(--max-states).");
	buf_string(sheet->out, "  ");
	sheet_wrap(sheet, 2, buf_text(&text));
	buf_finish(&text);
	buf_finish(&sizes);
}

/* The fault points that were never passed, neither in the recorded run nor in a
 * recovery: by name those that should have been, and where all is asked for also
 * those that these options and operations do not lead to. */
static int print_unpassed(struct sheet *sheet, struct store *store, const struct target_row *target,
			  bool all, struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row row;
	struct buf missed = {0}, others = {0};
	uint32_t n_missed = 0, n_others = 0, total = 0;
	int rc;
	while ((rc = store_next_fault(store, &q, target->id, &row, err)) == 1) {
		total++;
		if (row.passages || row.recoveries)
			continue;
		bool is_missed = summary_unreached(&row);
		struct buf *names = is_missed ? &missed : &others;
		buf_printf(names, "%s%s", names->len ? " " : "", row.name);
		n_missed += is_missed;
		n_others += !is_missed;
	}
	if (n_missed)
		print_unreached(sheet, target, buf_text(&missed), n_missed);
	if (n_others && all) {
		buf_printf(sheet->out,
			   "\n  Not to be passed with these options and operations, %u of %u fault "
			   "points:\n    ",
			   n_others, total);
		sheet_wrap(sheet, 4, buf_text(&others));
	}
	buf_finish(&missed);
	buf_finish(&others);
	return rc;
}

static int print_finding(struct sheet *sheet, struct store *store, const struct finding_row *row,
			 struct err *err)
{
	struct buf text = {0};
	buf_string(sheet->out, "\n  ");
	sheet_paint(sheet, row->expected ? SHEET_WARN : SHEET_BAD,
		    row->expected ? "Expected finding" : "Finding");
	buf_printf(&text, " %s  ", row->fingerprint);
	finding_rules(row, &text);
	sheet_paint(sheet, SHEET_BOLD, buf_text(&text));
	buf_string(sheet->out, "\n  ");
	sheet_wrap(sheet, 2, row->title);
	finding_fields(sheet, row);
	int rc = witnesses_line(sheet, store, row->id, err);
	buf_clear(&text);
	buf_printf(&text, "powercut repro %s --export DIR", row->state);
	sheet_database(&text, store_path(store));
	sheet_field_whole(sheet, "replay", buf_text(&text));
	buf_clear(&text);
	buf_printf(&text, "powercut show %s", row->fingerprint);
	sheet_database(&text, store_path(store));
	sheet_field_whole(sheet, "explain", buf_text(&text));
	buf_finish(&text);
	return rc;
}

static int print_findings(struct sheet *sheet, struct store *store, const struct target_row *target,
			  bool brief, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	uint32_t left_out = 0;
	int rc;
	while ((rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1) {
		if (row.target != target->id)
			continue;
		if (brief && row.expected)
			left_out++;
		else if ((rc = print_finding(sheet, store, &row, err)) != 0)
			break;
	}
	store_query_end(&q);
	if (rc == 0 && left_out) {
		buf_string(sheet->out, "\n  ");
		sheet_count(sheet->out, left_out, "expected finding");
		buf_string(sheet->out,
			   left_out == 1 ? " is in the summary.\n" : " are in the summary.\n");
	}
	return rc;
}

static int print_missing(struct sheet *sheet, struct store *store, const struct target_row *target,
			 struct err *err)
{
	const char *list = target->expected, *word;
	size_t length;
	int rc = 0;
	while (rc == 0 && store_next_word(&list, &word, &length)) {
		bool occurred = true;
		rc = summary_occurred(store, target, word, length, &occurred, err);
		if (occurred)
			continue;
		struct buf text = {0};
		buf_append(&text, word, length);
		buf_string(sheet->out, "\n  ");
		sheet_paint(sheet, SHEET_BAD, "Missing");
		buf_byte(sheet->out, ' ');
		sheet_paint(sheet, SHEET_BOLD, buf_text(&text));
		buf_string(sheet->out, "\n  ");
		sheet_wrap(sheet, 2, "This finding was expected and did not occur.");
		buf_finish(&text);
	}
	return rc;
}

/* States that could not be judged for one reason. */
struct reason {
	char *text, *state; /* of the first one */
	uint64_t n;
};

static void add_reason(struct reason *reasons, size_t *n, const struct outcome_row *row)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(reasons[i].text, row->text) == 0) {
			reasons[i].n++;
			return;
		}
	}
	if (*n == REASONS_MAX)
		return;
	reasons[(*n)++] = (struct reason){mem_dup(row->text, strlen(row->text)),
					  mem_dup(row->state, strlen(row->state)), 1};
}

static void print_reason(struct sheet *sheet, const struct reason *reason)
{
	struct buf text = {0};
	sheet_count(&text, reason->n, "state");
	buf_printf(&text, ", such as %s: %s", reason->state,
		   *reason->text ? reason->text : "(no reason stored)");
	buf_string(sheet->out, "  ");
	sheet_wrap(sheet, 2, buf_text(&text));
	buf_finish(&text);
}

/* Prints and frees reasons; what they leave of the states that the coverage
 * counts is said too. */
static void print_reasons(struct sheet *sheet, struct reason *reasons, size_t n, uint64_t states)
{
	struct buf text = {0};
	for (size_t i = 0; i < n; i++) {
		print_reason(sheet, &reasons[i]);
		states -= reasons[i].n < states ? reasons[i].n : states;
		free(reasons[i].text);
		free(reasons[i].state);
	}
	if (states) {
		sheet_count(&text, states, n ? "more state" : "state");
		buf_printf(sheet->out, "  %s\n", buf_text(&text));
	}
	buf_finish(&text);
}

/* Why the target as a whole, then why single states could not be judged. */
static int print_inconclusive(struct sheet *sheet, struct store *store,
			      const struct target_row *target, uint64_t states, struct err *err)
{
	struct store_query *q = NULL;
	struct outcome_row row;
	struct reason reasons[REASONS_MAX];
	size_t n = 0;
	int rc;
	if (!*target->inconclusive && states == 0)
		return 0;
	buf_string(sheet->out, "\n  ");
	sheet_paint(sheet, SHEET_WARN, "Inconclusive");
	buf_byte(sheet->out, '\n');
	if (*target->inconclusive) {
		buf_string(sheet->out, "  ");
		sheet_wrap(sheet, 2, target->inconclusive);
	}
	while ((rc = store_next_verdict(store, &q, target->id, "inconclusive", &row, err)) == 1)
		add_reason(reasons, &n, &row);
	print_reasons(sheet, reasons, n, states);
	return rc;
}

int detail_print(struct sheet *sheet, struct store *store, const struct target_row *target,
		 const struct target_summary *summary, const struct detail_options *options,
		 struct err *err)
{
	print_heading(sheet, target, options->number, options->total, summary->verdict);
	int rc = print_coverage(sheet, store, target->id, err);
	if (rc == 0)
		print_nested(sheet, summary);
	if (rc == 0)
		rc = summary_is_command(target)
			     ? 0 /* it has no fault points to name them */
			     : print_windows(sheet, store, target->id, options->all_windows, err);
	if (rc == 0)
		rc = print_unpassed(sheet, store, target, options->all_windows, err);
	if (rc == 0)
		rc = print_findings(sheet, store, target, options->brief, err);
	if (rc == 0)
		rc = print_missing(sheet, store, target, err);
	if (rc == 0)
		rc = print_inconclusive(sheet, store, target, summary->inconclusive, err);
	return rc;
}
