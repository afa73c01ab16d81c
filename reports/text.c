/* The report for people: the verdict in one line, then each target: what ran,
 * what it promised, how much was tried, what was found. */
#include <stdlib.h>
#include <string.h>

#include "finding.h"
#include "mem.h"
#include "sheet.h"
#include "summary.h"

enum { REASONS_MAX = 5 };

static enum sheet_style verdict_style(enum report_verdict verdict)
{
	return verdict == REPORT_PASSED	  ? SHEET_GOOD
	       : verdict == REPORT_FAILED ? SHEET_BAD
					  : SHEET_WARN;
}

static void failed_words(const struct report_summary *s, struct buf *out)
{
	if (!s->findings && !s->missing && !s->violations) {
		buf_string(out, "a live crash lost what the model's states kept");
		return;
	}
	if (s->findings || !s->missing)
		sheet_count(out, s->findings ? s->findings : s->violations,
			    s->findings ? "finding" : "unexplained violation");
	if (s->findings && s->missing)
		buf_string(out, ", ");
	if (s->missing) {
		sheet_count(out, s->missing, "expected finding");
		buf_string(out, " missing");
	}
	buf_printf(out, " in %u of ", s->targets_failed);
	sheet_count(out, s->targets, "target");
	if (s->targets_inconclusive)
		buf_printf(out, "; %u not judged", s->targets_inconclusive);
	if (s->unfinished)
		buf_string(out, "; the campaign is still running, or was killed");
}

static void verdict_words(const struct report_summary *s, struct buf *out)
{
	switch (s->verdict) {
	case REPORT_FAILED:
		failed_words(s, out);
		break;
	case REPORT_UNFINISHED:
		buf_string(out, "the campaign is still running, or was killed; no violation so far "
				"in ");
		sheet_count(out, s->tested, "state");
		break;
	case REPORT_INCONCLUSIVE:
		if (s->targets_inconclusive) {
			buf_printf(out, "%u of ", s->targets_inconclusive);
			sheet_count(out, s->targets, "target");
			buf_string(out, " could not be judged to the end");
		} else {
			buf_string(out, "not all was tested: a budget, a signal or an error ended "
					"it early, or a workload changed nothing");
		}
		buf_string(out, "; no violation in what was tested");
		break;
	case REPORT_NOTHING:
		buf_string(out, s->tested ? "the workload changed nothing, so that there was "
					    "nothing to lose"
					  : "no crash state was looked at");
		break;
	case REPORT_PASSED:
		buf_string(out, s->expected ? "nothing but the expected " : "no violation in ");
		if (s->expected) {
			sheet_count(out, s->expected, "finding");
			buf_string(out, " in ");
		}
		sheet_count(out, s->tested, "state");
		buf_string(out, " of ");
		sheet_count(out, s->targets, "target");
		if (s->left_out) {
			buf_string(out, "; ");
			sheet_count(out, s->left_out, "state");
			buf_string(out, " left out by the budget");
		}
		break;
	}
}

static void print_verdict(struct sheet *sheet, const struct report_summary *summary)
{
	struct buf words = {0};
	const char *verdict = summary_verdict_text(summary->verdict);
	verdict_words(summary, &words);
	sheet_paint(sheet, verdict_style(summary->verdict), verdict);
	buf_string(sheet->out, ": ");
	sheet_wrap(sheet, (uint32_t)strlen(verdict) + 2, buf_text(&words));
	buf_finish(&words);
}

static int print_campaign(struct sheet *sheet, struct store *store, int64_t id, struct err *err)
{
	struct campaign_row row;
	struct buf text = {0};
	int rc = store_get_campaign(store, id, &row, err);
	if (rc)
		return rc;
	buf_byte(sheet->out, '\n');
	buf_printf(&text, "%lld of powercut %s", (long long)id, row.version);
	sheet_field(sheet, "campaign", buf_text(&text));
	sheet_field_whole(sheet, "command", row.command);
	buf_clear(&text);
	buf_printf(&text, "%s to %s", row.started, *row.finished ? row.finished : "?");
	if (row.exit_code >= 0)
		buf_printf(&text, ", exit code %d", row.exit_code);
	sheet_field(sheet, "ran", buf_text(&text));
	buf_clear(&text);
	buf_printf(&text, "seed %llu, jobs %u, on %s", (unsigned long long)row.seed, row.jobs,
		   row.system);
	sheet_field(sheet, "with", buf_text(&text));
	buf_finish(&text);
	return 0;
}

static void print_heading(struct sheet *sheet, const struct target_row *target, uint32_t number,
			  uint32_t total, enum report_verdict verdict)
{
	buf_byte(sheet->out, '\n');
	struct buf text = {0};
	buf_printf(&text, "Target %u of %u: %s", number, total, target->name);
	sheet_paint(sheet, SHEET_BOLD, buf_text(&text));
	buf_string(sheet->out, "  ");
	sheet_paint(sheet, verdict_style(verdict), summary_verdict_text(verdict));
	buf_string(sheet->out, "\n\n");
	buf_clear(&text);
	buf_printf(&text, "%s, seed %llu", target->workload, (unsigned long long)target->seed);
	sheet_field(sheet, "workload", buf_text(&text));
	buf_clear(&text);
	sheet_count(&text, target->calls, "system call");
	buf_string(&text, ", ");
	sheet_count(&text, target->operations, "operation");
	buf_string(&text, " of which ");
	sheet_number(&text, target->changes, false);
	buf_string(&text, " change contents, ");
	sheet_count(&text, target->points, "crash point");
	sheet_field(sheet, "recorded", buf_text(&text));
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
	sheet_cell_number(table, bad, row->violations, false);
	sheet_cell_number(table, SHEET_PLAIN, row->loss, false);
}

static int print_coverage(struct sheet *sheet, struct store *store, int64_t target, struct err *err)
{
	static const char *const headings[] = {"profile",  "possible",	 "tested", "merged",
					       "left out", "violations", "loss"};
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

/* The fault points that were never passed: by name where all is asked for. */
static int print_unpassed(struct sheet *sheet, struct store *store, int64_t target, bool all,
			  struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row row;
	struct buf names = {0};
	uint32_t n = 0, total = 0;
	int rc;
	while ((rc = store_next_fault(store, &q, target, &row, err)) == 1) {
		total++;
		if (row.passages)
			continue;
		n++;
		buf_printf(&names, "%s%s", names.len ? " " : "", row.name);
	}
	if (n) {
		buf_printf(sheet->out, "\n  The workload never passed %u of %u fault points%s\n", n,
			   total, all ? ":" : "; report --windows names them.");
		if (all) {
			buf_string(sheet->out, "    ");
			sheet_wrap(sheet, 4, buf_text(&names));
		}
	}
	buf_finish(&names);
	return rc;
}

static void print_finding(struct sheet *sheet, struct store *store, const struct finding_row *row)
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
	buf_clear(&text);
	buf_printf(&text, "powercut repro %s --export DIR", row->state);
	sheet_database(&text, store_path(store));
	sheet_field_whole(sheet, "replay", buf_text(&text));
	buf_clear(&text);
	buf_printf(&text, "powercut show %s", row->fingerprint);
	sheet_database(&text, store_path(store));
	sheet_field_whole(sheet, "explain", buf_text(&text));
	buf_finish(&text);
}

static int print_findings(struct sheet *sheet, struct store *store, const struct target_row *target,
			  struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	int rc;
	while ((rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1)
		if (row.target == target->id)
			print_finding(sheet, store, &row);
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

static int print_target(struct sheet *sheet, struct store *store, const struct target_row *target,
			const struct target_summary *summary, bool all_windows, struct err *err)
{
	int rc = print_coverage(sheet, store, target->id, err);
	if (rc == 0)
		rc = print_windows(sheet, store, target->id, all_windows, err);
	if (rc == 0)
		rc = print_unpassed(sheet, store, target->id, all_windows, err);
	if (rc == 0)
		rc = print_findings(sheet, store, target, err);
	if (rc == 0)
		rc = print_missing(sheet, store, target, err);
	if (rc == 0)
		rc = print_inconclusive(sheet, store, target, summary->inconclusive, err);
	return rc;
}

static int print_targets(struct sheet *sheet, struct store *store, int64_t campaign, uint32_t total,
			 bool all_windows, struct err *err)
{
	struct store_query *q = NULL;
	struct target_row target;
	struct target_summary summary;
	uint32_t number = 0;
	int rc;
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = summary_of_target(store, &target, &summary, err);
		if (rc)
			break;
		print_heading(sheet, &target, ++number, total, summary.verdict);
		rc = print_target(sheet, store, &target, &summary, all_windows, err);
		if (rc)
			break;
	}
	store_query_end(&q);
	return rc;
}

static void print_legend(struct sheet *sheet)
{
	buf_byte(sheet->out, '\n');
	sheet_field(sheet, "possible", "crash states that the profile allows (≥: at least)");
	sheet_field(sheet, "tested",
		    "states with different files, each recovered (here or under an earlier "
		    "profile) and judged");
	sheet_field(sheet, "merged", "states whose files equal those of a tested one");
	sheet_field(sheet, "left out", "states beyond the budget: nothing is known of them");
	sheet_field(sheet, "violations",
		    "failing states; files that fail at several places of the history count at "
		    "each");
	sheet_field(sheet, "loss",
		    "most acknowledged changes that any tested state had lost; the "
		    "contract may allow some");
}

int report_text(struct store *store, int64_t campaign, const struct report_options *options,
		struct buf *out, struct err *err)
{
	struct sheet sheet;
	struct report_summary summary;
	sheet_init(&sheet, options, out);
	int rc = store_begin_reading(store, err);
	if (rc == 0)
		rc = report_summarise(store, campaign, &summary, err);
	if (rc)
		goto done;
	print_verdict(&sheet, &summary);
	rc = print_campaign(&sheet, store, campaign, err);
	if (rc == 0)
		rc = print_targets(&sheet, store, campaign, summary.targets,
				   options && options->all_windows, err);
	if (rc == 0 && summary.targets)
		print_legend(&sheet);
done:
	store_end_reading(store);
	return rc;
}
