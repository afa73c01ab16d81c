/* What the rows of one target come to; shared by the renderers. */
#ifndef POWERCUT_SUMMARY_H
#define POWERCUT_SUMMARY_H

#include "reports.h"

struct target_summary {
	enum report_verdict verdict; /* UNFINISHED never */
	uint32_t findings, expected, missing;
	uint32_t unreached; /* fault points, see summary_unreached */
	uint32_t loss;	    /* the most, of all profiles */
	uint64_t tested, left_out, violations, inconclusive;
	/* Recoveries that could be crashed in turn, those that were, the states tested
	 * then, and those known to be left out. */
	uint64_t recoverable, again, nested, nested_left_out;
	bool real;	/* its states come from real file systems */
	bool undecided; /* something could not be told, whatever the verdict */
};

int summary_of_target(struct store *store, const struct target_row *target,
		      struct target_summary *summary, struct err *err);

/* Sets *occurred to whether the target has a finding that a word of its
 * expectation names (store_finding_is). */
int summary_occurred(struct store *store, const struct target_row *target, const char *word,
		     size_t length, bool *occurred, struct err *err);

/* Whether the run should have passed a fault point and did not, neither in the
 * recorded run nor in any recovery. */
bool summary_unreached(const struct fault_row *row);

/* Whether a target is a command with a checker rather than an engine. */
bool summary_is_command(const struct target_row *target);

const char *summary_verdict_text(enum report_verdict verdict); /* "FAILED" */
const char *summary_verdict_json(enum report_verdict verdict); /* "failed" */

#endif
