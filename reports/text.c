/* The report for people: the verdict in one line, then each target: what ran,
 * what it promised, how much was tried, what was found.  With many targets: a
 * table of them, in full only those that did not pass, and a summary for who has
 * never seen such a report. */
#include "detail.h"
#include "overview.h"
#include "sheet.h"
#include "summary.h"
#include "verdict.h"

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

/* All targets in full, or those only that did not pass; their number in *printed. */
static int print_targets(struct sheet *sheet, struct store *store, int64_t campaign,
			 struct detail_options how, uint32_t *printed, struct err *err)
{
	struct store_query *q = NULL;
	struct target_row target;
	struct target_summary summary;
	int rc;
	*printed = 0;
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = summary_of_target(store, &target, &summary, err);
		how.number++;
		if (rc == 0 && !(how.brief && summary.verdict == REPORT_PASSED)) {
			rc = detail_print(sheet, store, &target, &summary, &how, err);
			++*printed;
		}
		if (rc)
			break;
	}
	store_query_end(&q);
	return rc;
}

/* The same where states come from real file systems. */
static void print_real_legend(struct sheet *sheet, bool full)
{
	buf_byte(sheet->out, '\n');
	if (full)
		sheet_field(sheet, "possible",
			    "sets of writes that the disk may have kept of those not yet flushed "
			    "(≥: at least)");
	sheet_field(sheet, "tested",
		    "mounted states with different files, or with different acknowledgements "
		    "before the crash, each judged");
	if (full) {
		sheet_field(sheet, "merged", "mounted states equal to a tested one");
		sheet_field(sheet, "left out",
			    "states beyond the budget: nothing is known of them");
		sheet_field(sheet, "violations", "failing states among those tested");
	}
	sheet_field(sheet, "loss",
		    "most acknowledged changes that any tested state had lost; the "
		    "contract may allow some");
}

/* Of the columns of the targets in full, or those of the overview only. */
static void print_legend(struct sheet *sheet, const struct report_summary *summary, bool full)
{
	if (summary->real) {
		print_real_legend(sheet, full);
		return;
	}
	buf_byte(sheet->out, '\n');
	if (full)
		sheet_field(sheet, "possible",
			    "crash states that the profile allows (≥: at least)");
	sheet_field(sheet, "tested",
		    "states with different files, each recovered (here or under an earlier "
		    "profile) and judged");
	if (full) {
		sheet_field(sheet, "merged", "states whose files equal those of a tested one");
		sheet_field(sheet, "left out",
			    "states beyond the budget: nothing is known of them");
	}
	sheet_field(sheet, "nested",
		    "further states, tested after a second crash: a recovery, and the use of the "
		    "store after it, was itself recorded and crashed");
	if (full)
		sheet_field(sheet, "violations",
			    "failing states, nested ones included; files that fail at several "
			    "places of the history count at each");
	if (full)
		sheet_field(sheet, "windows",
			    "single crashes only; files are tested once, where they first occur, "
			    "and violations count wherever the same files fail");
	sheet_field(sheet, "loss",
		    "most acknowledged changes that any tested state had lost; the "
		    "contract may allow some");
}

static int print_full(struct sheet *sheet, struct store *store, int64_t campaign,
		      const struct report_summary *summary, bool all_windows, struct err *err)
{
	struct detail_options how = {.total = summary->targets, .all_windows = all_windows};
	uint32_t printed;
	int rc = print_targets(sheet, store, campaign, how, &printed, err);
	if (rc == 0 && printed)
		print_legend(sheet, summary, true);
	return rc;
}

static int print_brief(struct sheet *sheet, struct store *store, int64_t campaign,
		       const struct report_summary *summary, struct err *err)
{
	struct detail_options how = {.total = summary->targets, .brief = true};
	uint32_t printed = 0;
	int rc = overview_table(sheet, store, campaign, err);
	if (rc == 0)
		rc = print_targets(sheet, store, campaign, how, &printed, err);
	if (rc == 0)
		print_legend(sheet, summary, printed > 0);
	if (rc == 0)
		rc = overview_summary(sheet, store, campaign, summary, err);
	return rc;
}

int report_text(struct store *store, int64_t campaign, const struct report_options *options,
		struct buf *out, struct err *err)
{
	struct sheet sheet;
	struct report_summary summary;
	bool all_windows = options && options->all_windows;
	sheet_init(&sheet, options, out);
	int rc = store_begin_reading(store, err);
	if (rc == 0)
		rc = report_summarise(store, campaign, &summary, err);
	if (rc == 0)
		rc = verdict_print(&sheet, 0, store, campaign, &summary, err);
	if (rc == 0)
		rc = print_campaign(&sheet, store, campaign, err);
	if (rc)
		goto done;
	bool full = all_windows || (options && options->full) || summary.targets <= REPORT_FULL_MAX;
	if (full)
		rc = print_full(&sheet, store, campaign, &summary, all_windows, err);
	else
		rc = print_brief(&sheet, store, campaign, &summary, err);
done:
	store_end_reading(store);
	return rc;
}
