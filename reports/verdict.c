#include "verdict.h"

#include <string.h>

#include "summary.h"

enum { NAMED_MAX = 6 };

enum sheet_style verdict_style(enum report_verdict verdict)
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

static void passed_words(const struct report_summary *s, struct buf *out)
{
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
}

static void inconclusive_words(const struct report_summary *s, struct buf *out)
{
	if (s->targets_inconclusive) {
		buf_printf(out, "%u of ", s->targets_inconclusive);
		sheet_count(out, s->targets, "target");
		buf_string(out, " could not be judged to the end");
	} else {
		buf_string(out, "not all was tested: a budget, a signal or an error ended "
				"it early, or a workload changed nothing");
	}
	buf_string(out, "; no violation in what was tested");
}

/* Names fault points that were never passed, each once, whatever the number of
 * targets that should have passed it; their number in *n, that of the targets in
 * *in. */
static int unreached_names(struct store *store, int64_t campaign, struct buf *names, uint32_t *n,
			   uint32_t *in, struct err *err)
{
	struct store_query *targets = NULL, *q = NULL;
	struct target_row target;
	struct fault_row row;
	struct buf seen = {0};
	int rc;
	while ((rc = store_next_target(store, &targets, campaign, &target, err)) == 1) {
		bool here = false;
		while ((rc = store_next_fault(store, &q, target.id, &row, err)) == 1) {
			if (!summary_unreached(&row))
				continue;
			here = true;
			if (sheet_add_once(&seen, row.name) && (*n)++ < NAMED_MAX)
				sheet_add_once(names, row.name);
		}
		*in += here;
		if (rc)
			break;
	}
	store_query_end(&targets);
	if (*n > NAMED_MAX)
		buf_printf(names, " and %u more", *n - NAMED_MAX);
	buf_finish(&seen);
	return rc;
}

static int unreached_words(struct store *store, int64_t campaign, const struct report_summary *s,
			   struct buf *out, struct err *err)
{
	struct buf names = {0};
	uint32_t n = 0, in = 0;
	if (!s->unreached)
		return 0;
	int rc = unreached_names(store, campaign, &names, &n, &in, err);
	if (out->len)
		buf_string(out, "; ");
	sheet_count(out, n, "fault point");
	buf_printf(out, " that should have been passed never %s", n == 1 ? "was" : "were");
	if (s->targets > 1) {
		buf_string(out, ", in ");
		sheet_count(out, in, "target");
	}
	buf_printf(out, ": %s", buf_text(&names));
	buf_finish(&names);
	return rc;
}

static int verdict_words(struct store *store, int64_t campaign, const struct report_summary *s,
			 struct buf *out, struct err *err)
{
	int rc = 0;
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
		inconclusive_words(s, out);
		break;
	case REPORT_NOTHING:
		buf_string(out, s->tested ? "the workload changed nothing, so that there was "
					    "nothing to lose"
					  : "no crash state was looked at");
		break;
	case REPORT_TOO_LITTLE:
		rc = unreached_words(store, campaign, s, out, err);
		buf_string(out, "; ");
		passed_words(s, out);
		return rc;
	case REPORT_PASSED:
		passed_words(s, out);
		break;
	}
	return unreached_words(store, campaign, s, out, err);
}

int verdict_print(struct sheet *sheet, uint32_t column, struct store *store, int64_t campaign,
		  const struct report_summary *summary, struct err *err)
{
	struct buf words = {0};
	const char *verdict = summary_verdict_text(summary->verdict);
	int rc = verdict_words(store, campaign, summary, &words, err);
	sheet_paint(sheet, verdict_style(summary->verdict), verdict);
	buf_string(sheet->out, ": ");
	sheet_wrap(sheet, column + (uint32_t)strlen(verdict) + 2, buf_text(&words));
	buf_finish(&words);
	return rc;
}
