/* What is commonly claimed of storage engines, decided by runs.
 *
 * Each claim is a sentence about engines and some cases that decide it.  A case is a
 * narrower sentence, about one target under named profiles, of one of these forms:
 *
 *   NEVER   no crash state under any of the profiles shows it
 *   CAN     under each of the profiles some crash state shows it
 *   SAME    with call=fdatasync no rule is broken, under any of the profiles, that is
 *           not broken with call=fsync too
 *
 * where "it" is a broken rule, or, for a few calls written out by hand, contents of a
 * file.  A case is confirmed or refuted by what the runs show, never by its table; what
 * the table expects is there for the tests.
 *
 * A NEVER or SAME that is confirmed, and a CAN that is refuted, are said of the states
 * that were tried: their number is given, and that of those left out. */
#ifndef POWERCUT_CLAIMS_H
#define POWERCUT_CLAIMS_H

#include "trial.h"

enum { CLAIMS_STATES_MAX = 2000, CLAIMS_COUNT = 12 };

/* X(constant, name) */
#define CLAIM_ANSWERS(X)                                                                           \
	X(CONFIRMED, "confirmed")                                                                  \
	X(REFUTED, "refuted")                                                                      \
	X(UNDECIDED, "inconclusive")

enum claim_answer {
#define X(constant, name) CLAIM_##constant,
	CLAIM_ANSWERS(X)
#undef X
};

const char *claim_answer_name(enum claim_answer answer);

enum claim_kind { CLAIM_NEVER, CLAIM_CAN, CLAIM_SAME };

/* Calls written by hand, and a question about what a crash after the last one leaves. */
struct claim_calls {
	const char *text;     /* as trace_parse reads it */
	const char *path;     /* of a file */
	const char *contents; /* asked for: the file holds them; NULL: there is no such file */
};

struct claim_case {
	enum claim_kind kind;
	const char *says;     /* what is confirmed or refuted, for people; NULL ends a list */
	const char *spec;     /* the target, for SAME without its call; NULL: see calls */
	const char *workload; /* as workload_parse reads it */
	const char *contract; /* overrides the engine's; NULL */
	const char *rules;    /* "O2|O6": what breaking "it" is */
	const char *profiles; /* separated by spaces; NULL: all */
	const char *at;	      /* fault point: at least one crash at it must have been tried; NULL */
	const struct claim_calls *calls;
	enum claim_answer expected; /* for tests */
};

struct claim {
	unsigned number;
	const char *text;
	const struct claim_case *cases;
};

/* By number, from 1. */
extern const struct claim claims[CLAIMS_COUNT];

/* The answer to one case; texts are valid during the call that it is given to. */
struct claim_row {
	const struct claim *claim;
	const struct claim_case *what;
	enum claim_answer answer;
	const char *state;  /* ID of the deciding state, or "" */
	uint64_t states;    /* tried */
	uint64_t left_out;  /* of the possible ones; at least so many */
	uint64_t only;	    /* SAME: states that only fdatasync admits, among those profiles
			       of which all of fsync's were tried */
	const char *admits; /* SAME: IDs of the first of these, separated by spaces */
	const char *why;    /* UNDECIDED: why; else "" */
};

struct claims_options {
	struct trials trials;	    /* campaign.states_max is per profile [CLAIMS_STATES_MAX] */
	const struct claim *claims; /* [claims]; */
	size_t n_claims;	    /* how many there are at claims [all] */
	const unsigned *numbers;    /* only these [all] */
	size_t n_numbers;
	void (*row)(void *arg, const struct claim_row *row);
	void *arg;
};

struct claims_result {
	uint32_t answers[CLAIM_UNDECIDED + 1]; /* cases of each kind */
	uint32_t surprises;   /* answers other than the table expects, undecided ones aside */
	uint32_t passed_over; /* cases of engines that are not there */
	int exit_code;	      /* 2 where a case is undecided or passed over or the run was
				 interrupted, 3 where there was no case, else 0: an answer is an
				 answer */
};

/* ERR_USAGE where a number is no claim's; else as campaign_run. */
int claims_run(const struct claims_options *options, struct claims_result *result, struct err *err);

#endif
