#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "mem.h"
#include "reports.h"
#include "sheet.h"

struct gate {
	const char *db, *baseline, *campaign;
	bool json;
};

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct gate *)ctx)->db = value;
	return ERR_OK;
}

static int set_baseline(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct gate *)ctx)->baseline = value;
	return ERR_OK;
}

static int set_campaign(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct gate *)ctx)->campaign = value;
	return ERR_OK;
}

static int set_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct gate *)ctx)->json = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"baseline", "FILE", "database with the findings that are known", set_baseline},
	{"db", "FILE", "database with the campaign to judge [powercut.db]", set_db},
	{"campaign", "N", "which one [the newest]", set_campaign},
	{"json", NULL, "for machines", set_json},
	{0},
};

/* A fault point of a target that was never passed. */
struct gap {
	char *target, *fault;
	bool shrunk; /* the baseline passed it; otherwise it should have been passed */
};

struct gaps {
	struct gap *list;
	size_t n, cap;
};

static void gaps_finish(struct gaps *gaps)
{
	for (size_t i = 0; i < gaps->n; i++) {
		free(gaps->list[i].target);
		free(gaps->list[i].fault);
	}
	free(gaps->list);
}

static bool was_passed(const struct fault_row *row)
{
	return row->passages || row->recoveries;
}

/* Whether the baseline has targets of that name, and all of them passed the point:
 * one name may stand for several workloads. */
static int passed_before(struct store *baseline, const char *target, const char *fault,
			 bool *passed, struct err *err)
{
	struct store_query *targets = NULL, *faults = NULL;
	struct target_row row;
	struct fault_row point;
	bool all = true;
	int rc;
	*passed = false;
	while ((rc = store_next_target(baseline, &targets, 0, &row, err)) == 1) {
		bool here = false;
		if (strcmp(row.name, target) != 0)
			continue;
		while ((rc = store_next_fault(baseline, &faults, row.id, &point, err)) == 1)
			here |= was_passed(&point) && strcmp(point.name, fault) == 0;
		if (rc)
			break;
		all = all && here;
		*passed = all;
	}
	store_query_end(&targets);
	return rc;
}

/* The gaps of one target. */
static int collect_gaps_of(struct store *store, struct store *baseline,
			   const struct target_row *target, struct gaps *gaps, struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row row;
	int rc;
	while ((rc = store_next_fault(store, &q, target->id, &row, err)) == 1) {
		bool passed;
		if (was_passed(&row))
			continue;
		rc = passed_before(baseline, target->name, row.name, &passed, err);
		if (rc)
			break;
		if (passed || row.reachable)
			*MEM_PUSH(gaps->list, gaps->n, gaps->cap) = (struct gap){
				mem_printf("%s", target->name), mem_printf("%s", row.name), passed};
	}
	store_query_end(&q);
	return rc;
}

static int collect_gaps(struct store *store, struct store *baseline, int64_t campaign,
			struct gaps *gaps, struct err *err)
{
	struct store_query *q = NULL;
	struct target_row target;
	int rc;
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = collect_gaps_of(store, baseline, &target, gaps, err);
		if (rc)
			break;
	}
	store_query_end(&q);
	return rc;
}

/* A finding, as far as a gate needs it. */
struct known {
	char *fingerprint, *title, *cause, *target;
	bool matched;
};

struct findings {
	struct known *list;
	size_t n, cap;
};

static void findings_finish(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->list[i].fingerprint);
		free(f->list[i].title);
		free(f->list[i].cause);
		free(f->list[i].target);
	}
	free(f->list);
}

static struct known *find(struct findings *f, const char *fingerprint)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].fingerprint, fingerprint) == 0)
			return &f->list[i];
	return NULL;
}

/* All findings of a campaign, or of all where campaign is 0, each once. */
static int collect(struct store *store, int64_t campaign, struct findings *f, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	struct target_row target;
	int rc;
	while ((rc = store_next_finding(store, &q, campaign, &row, err)) == 1) {
		if (find(f, row.fingerprint))
			continue;
		rc = store_get_target(store, row.target, &target, err);
		if (rc)
			break;
		*MEM_PUSH(f->list, f->n, f->cap) =
			(struct known){.fingerprint = mem_printf("%s", row.fingerprint),
				       .title = mem_printf("%s", row.title),
				       .cause = mem_printf("%s", row.cause),
				       .target = mem_printf("%s", target.name)};
	}
	store_query_end(&q);
	return rc;
}

/* What the campaign says of itself beside its findings: a gate must not turn what
 * was not decided into a pass, nor a failure that left no finding (one that was
 * expected did not occur, or a live crash failed). */
static const char *objection(const struct report_summary *summary, const struct gaps *gaps,
			     int ended, int *code)
{
	const char *gap = summary->unreached
				  ? "fault points that should have been passed never were"
			  : gaps->n ? "fault points that the baseline passed no longer are"
				    : NULL;
	*code = ended == EXIT_NOTHING ? EXIT_NOTHING : EXIT_INCONCLUSIVE;
	switch (ended) {
	case 0:
		*code = EXIT_NOTHING;
		return gap;
	case EXIT_VIOLATION:
		*code = EXIT_VIOLATION;
		if (summary->missing)
			return "an expected finding did not occur";
		if (!summary->findings)
			return "a live crash lost what the model's states kept";
		/* Known findings do not make up for what could not be told. */
		*code = summary->targets_undecided ? EXIT_INCONCLUSIVE : EXIT_NOTHING;
		return summary->targets_undecided ? "the campaign was inconclusive" : gap;
	case EXIT_INCONCLUSIVE:
		return "the campaign was inconclusive";
	case EXIT_NOTHING:
		return summary->verdict == REPORT_TOO_LITTLE ? gap : "the campaign tested nothing";
	default:
		return ended < 0 ? "the campaign did not end" : "the campaign ended with an error";
	}
}

enum { TEXT_COLUMN = 7 };

static void put_text(struct buf *out, const char *text)
{
	const struct report_options how = {.width = cli_width()};
	struct sheet sheet;
	sheet_init(&sheet, &how, out);
	sheet_wrap(&sheet, TEXT_COLUMN, text);
}

/* Texts from a database are not to reach a terminal as they are. */
static void put_line(const char *what, const char *name, const char *text, struct buf *out)
{
	struct buf line = {0};
	buf_printf(out, "%-6s ", what);
	buf_printf(&line, "%s  %s", name, text);
	put_text(out, buf_text(&line));
	buf_finish(&line);
}

static void put_finding(const struct gate *g, const struct known *k, const char *what, bool first,
			struct buf *out)
{
	if (!g->json) {
		struct buf more = {0};
		put_line(what, k->fingerprint, k->title, out);
		buf_printf(&more, "in %s: %s", k->target, k->cause);
		buf_printf(out, "%*s", TEXT_COLUMN, "");
		put_text(out, buf_text(&more));
		buf_finish(&more);
		return;
	}
	buf_printf(out, "%s{\"fingerprint\":\"", first ? "" : ",");
	buf_json(out, k->fingerprint, strlen(k->fingerprint));
	buf_string(out, "\",\"title\":\"");
	buf_json(out, k->title, strlen(k->title));
	buf_string(out, "\",\"target\":\"");
	buf_json(out, k->target, strlen(k->target));
	buf_string(out, "\",\"cause\":\"");
	buf_json(out, k->cause, strlen(k->cause));
	buf_string(out, "\"}");
}

static size_t put_unmatched(const struct gate *g, const struct findings *f, const char *what,
			    struct buf *out)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++)
		if (!f->list[i].matched)
			put_finding(g, &f->list[i], what, n++ == 0, out);
	return n;
}

/* The gaps of one sort, in text a line each: "never" or "shrunk". */
static void put_gaps(const struct gate *g, const struct gaps *gaps, bool shrunk, struct buf *out)
{
	const char *separator = "";
	for (size_t i = 0; i < gaps->n; i++) {
		const struct gap *gap = &gaps->list[i];
		if (gap->shrunk != shrunk)
			continue;
		if (!g->json) {
			put_line(shrunk ? "shrunk" : "never", gap->fault, gap->target, out);
			continue;
		}
		buf_printf(out, "%s{\"fault\":\"", separator);
		buf_json(out, gap->fault, strlen(gap->fault));
		buf_string(out, "\",\"target\":\"");
		buf_json(out, gap->target, strlen(gap->target));
		buf_string(out, "\"}");
		separator = ",";
	}
}

static void put_verdict(struct buf *out, const char *verdict, size_t known, size_t fresh,
			size_t gone, const char *why)
{
	const struct report_options how = {.width = cli_width()};
	struct sheet sheet;
	struct buf text = {0};
	sheet_init(&sheet, &how, out);
	buf_printf(&text, "%s (%zu new, %zu known, %zu gone)%s%s", verdict, fresh, known, gone,
		   why ? ": " : "", why ? why : "");
	buf_string(out, "gate: ");
	sheet_wrap(&sheet, 6, buf_text(&text));
	buf_finish(&text);
}

static int judge(const struct gate *g, struct findings *now, struct findings *before,
		 const struct gaps *gaps, const struct report_summary *summary, int ended,
		 struct buf *out)
{
	for (size_t i = 0; i < now->n; i++) {
		struct known *k = find(before, now->list[i].fingerprint);
		if (k)
			k->matched = now->list[i].matched = true;
	}
	if (g->json)
		buf_string(out, "{\"format\":\"powercut-gate\",\"version\":1,\"new\":[");
	size_t fresh = put_unmatched(g, now, "new", out);
	if (g->json)
		buf_string(out, "],\"gone\":[");
	size_t gone = put_unmatched(g, before, "gone", out);
	if (g->json)
		buf_string(out, "],\"unreached\":[");
	put_gaps(g, gaps, false, out);
	if (g->json)
		buf_string(out, "],\"shrunk\":[");
	put_gaps(g, gaps, true, out);
	int code;
	const char *why = objection(summary, gaps, ended, &code);
	const char *verdict = fresh		       ? "new findings"
			      : !why		       ? "passed"
			      : code == EXIT_VIOLATION ? "failed"
						       : "undecided";
	if (g->json)
		buf_printf(out, "],\"known\":%zu,\"verdict\":\"%s\",\"why\":\"%s\"}\n",
			   now->n - fresh, verdict, why ? why : "");
	else
		put_verdict(out, verdict, now->n - fresh, fresh, gone, why);
	return fresh ? EXIT_VIOLATION : why ? code : 0;
}

static int compare(const struct gate *g, struct store *store, struct store *baseline,
		   struct buf *out, int *code, struct err *err)
{
	struct findings now = {0}, before = {0};
	struct gaps gaps = {0};
	int64_t id;
	int ended = -1;
	struct campaign_row row;
	struct report_summary summary;
	int rc = cli_campaign(store, g->campaign, &id, err);
	if (!rc)
		rc = store_get_campaign(store, id, &row, err);
	if (!rc) {
		ended = *row.finished ? row.exit_code : -1;
		rc = report_summarise(store, id, &summary, err);
	}
	if (!rc)
		rc = collect(store, id, &now, err);
	if (!rc)
		rc = collect(baseline, 0, &before, err);
	if (!rc)
		rc = collect_gaps(store, baseline, id, &gaps, err);
	if (!rc)
		*code = judge(g, &now, &before, &gaps, &summary, ended, out);
	gaps_finish(&gaps);
	findings_finish(&now);
	findings_finish(&before);
	return rc;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct gate g = {0};
	struct store *store = NULL, *baseline = NULL;
	struct buf out = {0};
	struct err err;
	int rest, code;
	(void)command_line;
	if (cli_parse(&cli_gate, &g, argc, argv, &rest, &code))
		return code;
	if (rest < argc)
		return cli_usage("gate", "\"%s\" is too much", argv[rest]);
	if (!g.baseline)
		return cli_usage("gate", "--baseline FILE is missing");
	store = cli_open("gate", g.db, &code);
	if (store)
		baseline = cli_open("gate", g.baseline, &code);
	if (baseline)
		code = compare(&g, store, baseline, &out, &code, &err) ? cli_fail("gate", &err)
								       : cli_print(&out, code);
	if (baseline && code != EXIT_WRONG_USAGE && same_file(store_path(store), g.baseline))
		fprintf(stderr, "powercut gate: note: the baseline is the database itself, so that "
				"nothing in it can be new\n");
	buf_finish(&out);
	store_close(baseline);
	store_close(store);
	return code;
}

const struct cli_command cli_gate = {
	.name = "gate",
	.arguments = "--baseline FILE [OPTIONS]",
	.help = "Compares a campaign with a baseline: the exit code for CI",
	.details =
		"Exit code 1 where the campaign has a finding whose fingerprint the baseline\n"
		"lacks, or failed without a finding; 2 where it was inconclusive or did not end; 3 "
		"where\n"
		"it tested nothing or too little: a fault point was never passed that should\n"
		"have been, or that the same target passed in the baseline; 0 otherwise.\n",
	.options = options,
	.run = run,
};
