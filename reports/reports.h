/* Reports: what a database says, for people and for machines.
 *
 * Reports read the store and nothing else; everything that needs a trace or a
 * model to be said was put in words when the row was written.  Each appends to
 * a buffer, which is the caller's to print.
 *
 * Texts that came from a program under test (errors, names, keys) may hold
 * anything: in text for people, control characters, broken UTF-8 and marks
 * that change the direction of writing are shown as escapes, never sent to the
 * terminal. */
#ifndef POWERCUT_REPORTS_H
#define POWERCUT_REPORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "store.h"

/* Up to so many targets, the report in text has each of them in full. */
enum { REPORT_FULL_MAX = 3 };

/* A zeroed struct is valid. */
struct report_options {
	uint32_t width;	  /* columns of the terminal; 0 means 80; at least 60 are used */
	bool colour;	  /* for a terminal; the caller has looked at NO_COLOR */
	bool all_windows; /* text: list every window between two fault points; otherwise those
			     with violations and those between a flush and its sync */
	bool full;	  /* text: every target in full, however many there are; otherwise, where
			     there are more than REPORT_FULL_MAX, a table of all, in full only those
			     that did not pass, and a summary.  all_windows implies it */
	bool json;	  /* report_show and the lists: JSON rather than text */
};

/* One whole campaign. */
typedef int report_function(struct store *store, int64_t campaign,
			    const struct report_options *options, struct buf *out, struct err *err);

/* X(name on the command line, function, one line of help) */
#define REPORT_RENDERERS(X)                                                                        \
	X("text", report_text, "for people, on a terminal")                                        \
	X("json", report_json, "for machines: the whole report, with a format version")

#define X(name, function, help) report_function function;
REPORT_RENDERERS(X)
#undef X

struct report_renderer {
	const char *name, *help;
	report_function *render;
};

/* Ends with a NULL name. */
extern const struct report_renderer report_renderers[];

/* The renderer of that name, or NULL with ERR_USAGE and the names there are. */
const struct report_renderer *report_find(const char *name, struct err *err);

/* One finding, explained.  what is a fingerprint or the beginning of one (at
 * least 4 digits), or "#" and the number of a finding.  Of several with one
 * fingerprint it is the newest.  ERR_MISSING; ERR_USAGE where the beginning
 * fits several fingerprints, which are named. */
int report_show(struct store *store, const char *what, const struct report_options *options,
		struct buf *out, struct err *err);

/* The campaigns of a database; the findings of a campaign (0: of all). */
int report_list_campaigns(struct store *store, const struct report_options *options,
			  struct buf *out, struct err *err);
int report_list_findings(struct store *store, int64_t campaign,
			 const struct report_options *options, struct buf *out, struct err *err);

/* ---- the verdict on a campaign, as reports state it ---- */

/* X(constant, for people, in JSON).  The first that applies, from the top. */
#define REPORT_VERDICTS(X)                                                                         \
	X(FAILED, "FAILED", "failed") /* a violation that was not expected, or an expected         \
					 finding that did not occur */                             \
	X(UNFINISHED, "UNFINISHED", "unfinished") /* running, or killed */                         \
	X(INCONCLUSIVE, "INCONCLUSIVE", "inconclusive")                                            \
	X(NOTHING, "NOTHING TESTED", "nothing")                                                    \
	X(TOO_LITTLE, "TOO LITTLE", "too_little") /* a fault point that should have been passed    \
						     never was */                                  \
	X(PASSED, "PASSED", "passed")

enum report_verdict {
#define X(constant, text, json) REPORT_##constant,
	REPORT_VERDICTS(X)
#undef X
};

struct report_summary {
	enum report_verdict verdict;
	bool unfinished;
	bool cut_short; /* it ended with a budget, a signal or an error before all was tested */
	uint32_t targets, targets_failed, targets_inconclusive;
	uint32_t targets_undecided; /* where something could not be told, failed ones included */
	uint32_t findings;	    /* not expected */
	uint32_t expected;	    /* findings that were expected */
	uint32_t missing;	    /* expected findings that did not occur */
	uint32_t unreached;	    /* fault points, summed over targets, that the run should have
				       passed and did not: what is behind them was not tested */
	uint64_t tested;	    /* distinct images looked at, summed over profiles */
	uint64_t nested;	    /* of recoveries that were crashed in turn, the same */
	uint64_t left_out;	    /* states beyond the budget, of which nothing is known */
	uint64_t violations;
	bool real; /* states come from real file systems instead of profiles */
};

/* ERR_MISSING where there is no such campaign. */
int report_summarise(struct store *store, int64_t campaign, struct report_summary *summary,
		     struct err *err);

#endif
