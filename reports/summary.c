#include "summary.h"

#include <string.h>

const char *summary_verdict_text(enum report_verdict verdict)
{
	static const char *const texts[] = {
#define X(constant, text, json) text,
		REPORT_VERDICTS(X)
#undef X
	};
	return texts[verdict];
}

const char *summary_verdict_json(enum report_verdict verdict)
{
	static const char *const texts[] = {
#define X(constant, text, json) json,
		REPORT_VERDICTS(X)
#undef X
	};
	return texts[verdict];
}

int summary_occurred(struct store *store, const struct target_row *target, const char *word,
		     size_t length, bool *occurred, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	int rc;
	*occurred = false;
	while (!*occurred && (rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1)
		*occurred = row.target == target->id && store_finding_is(&row, word, length);
	store_query_end(&q);
	return *occurred ? 0 : rc;
}

static void add_saturating(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

static int count_coverage(struct store *store, int64_t target, struct target_summary *summary,
			  struct err *err)
{
	struct store_query *q = NULL;
	struct coverage_row row;
	int rc;
	while ((rc = store_next_coverage(store, &q, target, &row, err)) == 1) {
		summary->real = summary->real || strncmp(row.profile, "on:", 3) == 0;
		summary->tested += row.tested;
		add_saturating(&summary->left_out, row.left_out);
		summary->violations += row.violations;
		summary->inconclusive += row.inconclusive;
		summary->recoverable += row.recoverable;
		summary->again += row.again;
		summary->nested += row.nested;
		add_saturating(&summary->nested_left_out, row.nested_left_out);
		summary->loss = row.loss > summary->loss ? row.loss : summary->loss;
	}
	return rc;
}

bool summary_unreached(const struct fault_row *row)
{
	return row->reachable && !row->passages && !row->recoveries;
}

static int count_faults(struct store *store, int64_t target, struct target_summary *summary,
			struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row row;
	int rc;
	while ((rc = store_next_fault(store, &q, target, &row, err)) == 1)
		summary->unreached += summary_unreached(&row);
	return rc;
}

static int count_findings(struct store *store, const struct target_row *target,
			  struct target_summary *summary, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	int rc;
	while ((rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1) {
		if (row.target != target->id)
			continue;
		if (row.expected)
			summary->expected++;
		else
			summary->findings++;
	}
	return rc;
}

static int count_missing(struct store *store, const struct target_row *target,
			 struct target_summary *summary, struct err *err)
{
	const char *list = target->expected, *word;
	size_t length;
	int rc = 0;
	while (rc == 0 && store_next_word(&list, &word, &length)) {
		bool occurred;
		rc = summary_occurred(store, target, word, length, &occurred, err);
		summary->missing += rc == 0 && !occurred;
	}
	return rc;
}

/* Violations that no finding explains are there when a campaign ended early:
 * they are no less violations. */
static enum report_verdict verdict(const struct target_row *target,
				   const struct target_summary *summary)
{
	if (summary->findings || summary->missing || (summary->violations && !summary->expected))
		return REPORT_FAILED;
	if (*target->inconclusive || summary->inconclusive)
		return REPORT_INCONCLUSIVE;
	if (!summary->tested || !target->changes)
		return REPORT_NOTHING;
	return summary->unreached ? REPORT_TOO_LITTLE : REPORT_PASSED;
}

int summary_of_target(struct store *store, const struct target_row *target,
		      struct target_summary *summary, struct err *err)
{
	*summary = (struct target_summary){0};
	int rc = count_coverage(store, target->id, summary, err);
	if (rc == 0)
		rc = count_faults(store, target->id, summary, err);
	if (rc == 0)
		rc = count_findings(store, target, summary, err);
	if (rc == 0)
		rc = count_missing(store, target, summary, err);
	summary->verdict = verdict(target, summary);
	summary->undecided = *target->inconclusive || summary->inconclusive;
	return rc;
}

static void add_target(struct report_summary *all, const struct target_summary *target,
		       uint32_t *tested)
{
	all->targets++;
	all->real = all->real || target->real;
	all->targets_failed += target->verdict == REPORT_FAILED;
	all->targets_inconclusive += target->verdict == REPORT_INCONCLUSIVE;
	all->targets_undecided += target->undecided;
	*tested += target->verdict == REPORT_PASSED || target->verdict == REPORT_TOO_LITTLE;
	all->findings += target->findings;
	all->expected += target->expected;
	all->missing += target->missing;
	all->unreached += target->unreached;
	all->tested += target->tested;
	all->nested += target->nested;
	add_saturating(&all->left_out, target->left_out);
	all->violations += target->violations;
}

/* The rows do not tell that a budget or an error ended a campaign early, or that a
 * live crash failed: its exit code does. */
static enum report_verdict campaign_verdict(const struct report_summary *s, uint32_t tested,
					    int exit_code)
{
	if (s->targets_failed || (!s->unfinished && exit_code == 1))
		return REPORT_FAILED;
	if (s->unfinished)
		return REPORT_UNFINISHED;
	if (s->targets_inconclusive || s->cut_short)
		return REPORT_INCONCLUSIVE;
	if (!tested)
		return REPORT_NOTHING;
	return s->unreached ? REPORT_TOO_LITTLE : REPORT_PASSED;
}

int report_summarise(struct store *store, int64_t campaign, struct report_summary *summary,
		     struct err *err)
{
	struct campaign_row row;
	struct target_row target;
	struct target_summary one;
	struct store_query *q = NULL;
	uint32_t tested = 0; /* targets with nothing against what was tested of them */
	int exit_code;
	*summary = (struct report_summary){0};
	int rc = store_get_campaign(store, campaign, &row, err);
	if (rc)
		return rc;
	summary->unfinished = !*row.finished;
	exit_code = row.exit_code;
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = summary_of_target(store, &target, &one, err);
		if (rc)
			break;
		add_target(summary, &one, &tested);
	}
	store_query_end(&q);
	summary->cut_short = !summary->unfinished && !summary->targets_inconclusive &&
			     exit_code != 0 && exit_code != 1 && exit_code != 3;
	summary->verdict = campaign_verdict(summary, tested, exit_code);
	return rc;
}

bool summary_is_command(const struct target_row *target)
{
	return strcmp(target->engine, STORE_COMMAND) == 0;
}
