#include "overview.h"

#include <string.h>

#include "finding.h"
#include "rules.h"
#include "summary.h"
#include "verdict.h"

enum { PRINT_DIGITS = 8 }; /* of a fingerprint: enough for `powercut show` */

/* ---- the table ---- */

static void finding_cell(struct sheet_table *table, const struct target_summary *summary)
{
	struct buf text = {0};
	if (summary->findings || !(summary->expected || summary->missing))
		sheet_number(&text, summary->findings, false);
	if (summary->expected)
		buf_printf(&text, "%s%u expected", text.len ? ", " : "", summary->expected);
	if (summary->missing)
		buf_printf(&text, "%s%u missing", text.len ? ", " : "", summary->missing);
	sheet_cell(table, summary->findings || summary->missing ? SHEET_BAD : SHEET_PLAIN,
		   buf_text(&text));
	buf_finish(&text);
}

static void target_cells(struct sheet_table *table, const struct target_row *target,
			 const struct target_summary *summary)
{
	sheet_cell(table, SHEET_PLAIN, target->name);
	sheet_cell(table, verdict_style(summary->verdict), summary_verdict_text(summary->verdict));
	sheet_cell_number(table, SHEET_PLAIN, summary->tested, false);
	sheet_cell_number(table, SHEET_PLAIN, summary->nested, false);
	finding_cell(table, summary);
	sheet_cell_number(table, SHEET_PLAIN, summary->loss, false);
}

int overview_table(struct sheet *sheet, struct store *store, int64_t campaign, struct err *err)
{
	static const char *const headings[] = {"target", "verdict",  "tested",
					       "nested", "findings", "loss"};
	struct sheet_table table = {.columns = sizeof headings / sizeof *headings};
	struct store_query *q = NULL;
	struct target_row target;
	struct target_summary summary;
	int rc;
	for (uint32_t i = 0; i < table.columns; i++)
		sheet_cell(&table, SHEET_FAINT, headings[i]);
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = summary_of_target(store, &target, &summary, err);
		if (rc)
			break;
		target_cells(&table, &target, &summary);
	}
	store_query_end(&q);
	sheet_table_print(sheet, &table);
	return rc;
}

/* ---- the summary ---- */

/* Targets of one kind by what came of them. */
struct kind {
	uint32_t targets;
	uint32_t kept;	   /* all promises */
	uint32_t expected; /* broke what they were expected to break, and nothing else */
	uint32_t failed, others;
	uint32_t loss; /* the most that one of those that kept their promises lost, as it may */
};

/* What all targets together come to. */
struct totals {
	struct kind hardened, other;  /* by the option that says so */
	struct buf engines, profiles; /* "wal, lsm" */
	uint32_t n_engines, n_profiles;
};

static bool is_hardened(const char *options)
{
	static const char option[] = "variant=hardened";
	for (const char *at = options; *at;) {
		size_t length = strcspn(at, ",");
		if (length == sizeof option - 1 && memcmp(at, option, length) == 0)
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

static int add_profiles(struct totals *t, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct coverage_row row;
	int rc;
	while ((rc = store_next_coverage(store, &q, target, &row, err)) == 1)
		t->n_profiles += sheet_add_once(&t->profiles, row.profile);
	return rc;
}

static void add_kind(struct kind *kind, const struct target_summary *summary)
{
	bool passed = summary->verdict == REPORT_PASSED;
	bool kept = passed && !summary->expected;
	kind->targets++;
	kind->kept += kept;
	kind->expected += passed && !kept;
	kind->failed += summary->verdict == REPORT_FAILED;
	kind->others += !passed && summary->verdict != REPORT_FAILED;
	if (kept && summary->loss > kind->loss)
		kind->loss = summary->loss;
}

static int add_up(struct totals *t, struct store *store, int64_t campaign, struct err *err)
{
	struct store_query *q = NULL;
	struct target_row target;
	struct target_summary summary;
	int rc;
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = summary_of_target(store, &target, &summary, err);
		if (rc == 0)
			rc = add_profiles(t, store, target.id, err);
		if (rc)
			break;
		t->n_engines += sheet_add_once(&t->engines, target.engine);
		add_kind(is_hardened(target.options) ? &t->hardened : &t->other, &summary);
	}
	store_query_end(&q);
	return rc;
}

static void print_tested(struct sheet *sheet, struct totals *t,
			 const struct report_summary *summary)
{
	struct buf text = {0};
	sheet_count(&text, summary->targets, "target");
	buf_string(&text, " of ");
	sheet_count(&text, t->n_engines, "engine");
	buf_printf(&text, " (%s), %s ", buf_text(&t->engines), summary->real ? "on" : "under");
	sheet_count(&text, t->n_profiles, summary->real ? "real file system" : "profile");
	buf_printf(&text, "%s (%s): ", summary->real ? "" : " of what a disk keeps",
		   buf_text(&t->profiles));
	sheet_count(&text, summary->tested, "state");
	buf_string(&text, " after a crash");
	if (summary->nested) {
		buf_string(&text, ", and ");
		sheet_number(&text, summary->nested, false);
		buf_string(&text, " more after a second one");
	}
	sheet_field(sheet, "tested", buf_text(&text));
	buf_finish(&text);
}

static void print_kind(struct sheet *sheet, const char *label, const struct kind *kind, bool real)
{
	struct buf text = {0};
	if (!kind->targets)
		return;
	if (kind->kept) {
		buf_printf(&text,
			   "%u of %u kept what they promise: in no tested state, %s, was anything "
			   "lost that had to be there",
			   kind->kept, kind->targets,
			   real ? "on any file system" : "under any profile");
		if (kind->loss)
			buf_printf(&text,
				   " (up to %u of the last changes were, where the contract "
				   "allows it)",
				   kind->loss);
	}
	if (kind->expected)
		buf_printf(&text, "%s%u of %u broke promises as expected, and no others",
			   text.len ? "; " : "", kind->expected, kind->targets);
	if (kind->failed)
		buf_printf(&text, "%s%u of %u failed", text.len ? "; " : "", kind->failed,
			   kind->targets);
	if (kind->others)
		buf_printf(&text, "%s%u of %u not tested to the end", text.len ? "; " : "",
			   kind->others, kind->targets);
	sheet_field(sheet, label, buf_text(&text));
	buf_finish(&text);
}

/* ---- findings by name ---- */

/* Of a title up to its first semicolon: what follows are details. */
static void print_finding(struct sheet *sheet, const struct finding_row *row, const char *print)
{
	enum { COLUMN = 6 + PRINT_DIGITS + 2 };
	struct buf text = {0};
	buf_string(sheet->out, "      ");
	sheet_paint(sheet, row->expected ? SHEET_WARN : SHEET_BAD, print);
	for (size_t i = 6 + strlen(print); i < COLUMN; i++)
		buf_byte(sheet->out, ' ');
	buf_string(&text, "from ");
	finding_profiles(row->minimal, "", &text);
	buf_string(&text, ": ");
	buf_append(&text, row->title, strcspn(row->title, ";"));
	sheet_wrap(sheet, COLUMN, buf_text(&text));
	buf_finish(&text);
}

/* Which findings are listed, and the beginning of the first one's fingerprint. */
struct listing {
	bool expected;
	char first[PRINT_DIGITS + 1];
};

/* The rules that they are filed under, a bit each. */
static int rules_of(struct store *store, const struct target_row *target, bool expected,
		    uint32_t *rules, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	int rc;
	*rules = 0;
	while ((rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1)
		if (row.target == target->id && row.expected == expected && row.rule < 32)
			*rules |= 1u << row.rule;
	return rc;
}

static int print_rule(struct sheet *sheet, struct store *store, const struct target_row *target,
		      uint32_t rule, struct listing *l, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	struct buf text = {0};
	int rc;
	buf_printf(&text, "breaks %s: %s", rule_name(rule), rule_sentence(rule));
	buf_string(sheet->out, "    ");
	sheet_wrap(sheet, 4, buf_text(&text));
	while ((rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1) {
		char print[PRINT_DIGITS + 1] = "";
		if (row.target != target->id || row.expected != l->expected || row.rule != rule)
			continue;
		strncat(print, row.fingerprint, PRINT_DIGITS);
		if (!*l->first)
			strcpy(l->first, print);
		print_finding(sheet, &row, print);
	}
	buf_finish(&text);
	return rc;
}

/* By target, then by rule. */
static int print_findings(struct sheet *sheet, struct store *store, int64_t campaign,
			  const char *heading, struct listing *l, struct err *err)
{
	struct store_query *q = NULL;
	struct target_row target;
	uint32_t rules;
	bool any = false;
	int rc;
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = rules_of(store, &target, l->expected, &rules, err);
		if (rules && !any) {
			buf_byte(sheet->out, '\n');
			sheet_paint(sheet, SHEET_BOLD, heading);
			buf_byte(sheet->out, '\n');
			any = true;
		}
		if (rules) {
			buf_string(sheet->out, "  ");
			sheet_paint(sheet, SHEET_PLAIN, target.name);
			buf_byte(sheet->out, '\n');
		}
		for (uint32_t rule = 0; rule < 32 && !rc; rule++)
			if (rules >> rule & 1)
				rc = print_rule(sheet, store, &target, rule, l, err);
		if (rc)
			break;
	}
	store_query_end(&q);
	return rc;
}

/* ---- the whole ---- */

/* finding is the beginning of a fingerprint, or "". */
static void print_commands(struct sheet *sheet, struct store *store, const char *finding)
{
	struct buf command = {0};
	buf_byte(sheet->out, '\n');
	sheet_paint(sheet, SHEET_BOLD, "What to do next");
	buf_byte(sheet->out, '\n');
	if (*finding) {
		buf_printf(&command, "powercut show %s", finding);
		sheet_database(&command, store_path(store));
		sheet_command(sheet, buf_text(&command),
			      "explains a finding, call by call, and says how to replay it");
		buf_clear(&command);
	}
	buf_string(&command, "powercut report --full");
	sheet_database(&command, store_path(store));
	sheet_command(sheet, buf_text(&command), "has every target in full");
	buf_finish(&command);
}

int overview_summary(struct sheet *sheet, struct store *store, int64_t campaign,
		     const struct report_summary *summary, struct err *err)
{
	struct totals t = {0};
	struct listing expected = {.expected = true}, unexpected = {0};
	int rc = add_up(&t, store, campaign, err);
	if (rc)
		goto done;
	buf_byte(sheet->out, '\n');
	sheet_paint(sheet, SHEET_BOLD, "Summary");
	buf_byte(sheet->out, '\n');
	print_tested(sheet, &t, summary);
	print_kind(sheet, "hardened", &t.hardened, summary->real);
	print_kind(sheet, t.hardened.targets ? "others" : "targets", &t.other, summary->real);
	rc = print_findings(sheet, store, campaign, "Findings that were expected", &expected, err);
	if (rc == 0)
		rc = print_findings(sheet, store, campaign, "Findings that were not expected",
				    &unexpected, err);
	if (rc)
		goto done;
	print_commands(sheet, store, *unexpected.first ? unexpected.first : expected.first);
	buf_byte(sheet->out, '\n');
	rc = verdict_print(sheet, 0, store, campaign, summary, err);
done:
	buf_finish(&t.engines);
	buf_finish(&t.profiles);
	return rc;
}
