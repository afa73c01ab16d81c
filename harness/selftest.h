/* The self-test: what is planted must be found, what is sound must stay silent.
 *
 * Each planted bug is turned on in its own target and workload, under all profiles.
 * It is found under a profile if a finding of that run lists the profile and broke
 * one of the rules that the bug is known by.  It must be found under each profile
 * from which it shows and under every weaker one.  Then the hardened engines run
 * without any bug, and every finding in them is one too many. */
#ifndef POWERCUT_SELFTEST_H
#define POWERCUT_SELFTEST_H

#include "trial.h"

struct planted_bug; /* planted.h */

/* X(constant, for people, in JSON) */
#define SELFTEST_VERDICTS(X)                                                                       \
	X(FOUND, "found", "found")	 /* a bug, under all that is required */                   \
	X(SILENT, "silent", "silent")	 /* a sound engine */                                      \
	X(MISSED, "MISSED", "missed")	 /* a bug, under a profile that is required */             \
	X(ACCUSED, "ACCUSED", "accused") /* a sound engine with a finding */                       \
	X(UNDECIDED, "INCONCLUSIVE",                                                               \
	  "inconclusive") /* otherwise, where something was not decided */

enum selftest_verdict {
#define X(constant, text, json) SELFTEST_##constant,
	SELFTEST_VERDICTS(X)
#undef X
};

/* "MISSED" and "missed". */
const char *selftest_verdict_text(enum selftest_verdict verdict);
const char *selftest_verdict_json(enum selftest_verdict verdict);

/* What came of one bug or sound engine with one seed.  Texts are valid during the
 * call that the row is given to. */
struct selftest_row {
	const char *name;  /* of the bug, or the sound target */
	const char *wrong; /* what is wrong; NULL: a sound engine */
	const char *spec;  /* the target that ran, with mutant= */
	uint64_t seed;
	enum selftest_verdict verdict;
	uint32_t expected, broken; /* RULE_BITs: broken by any finding */
	uint32_t required, found;  /* sets of profiles; found: by one of the expected rules, or
				      for a sound engine by any */
	uint32_t findings;
	const char *state;    /* ID of a state of the finding met first, "" where there is none */
	uint64_t found_after; /* states looked at until then, if state is not "" */
	uint64_t states;      /* looked at in all */
	uint64_t elapsed_ns;  /* of the whole run */
	uint32_t unreached;   /* fault points that should have been passed and were not */
	const char *why;      /* UNDECIDED: why; else "" */
};

struct selftest_options {
	/* campaign.seed is the first seed [1], campaign.states_max and nested_max are per
	 * profile [the constants below] */
	struct trials trials;
	uint64_t seeds;			     /* so many, rising by one [1] */
	const struct planted_bug *bugs;	     /* ends with a NULL name [planted_bugs] */
	const struct campaign_target *sound; /* ends with a NULL spec [the rows of campaign_builtin
						that expect no finding, and selftest_sound] */
	const char *const *names;	     /* only what one of these matches [everything] */
	size_t n_names;
	void (*begin)(void *arg, const char *name);		/* before each run; may be NULL */
	void (*row)(void *arg, const struct selftest_row *row); /* may be NULL */
	void *arg;
};

enum {
	SELFTEST_STATES_MAX = 2000,
	/* Recoveries crashed in turn: of a bug that is known by that, and of a sound engine. */
	SELFTEST_NESTED_BUG = 48,
	SELFTEST_NESTED_SOUND = 8,
	/* Crash states of one of these, of a bug that is known by them. */
	SELFTEST_NESTED_STATES = 128,
};

/* Hardened engines with options that the built-in campaign does not try; those of
 * engines that are not there are passed over.  Ends with a NULL spec. */
extern const struct campaign_target selftest_sound[];

struct selftest_result {
	uint32_t verdicts[SELFTEST_UNDECIDED + 1]; /* rows of each kind */
	uint64_t elapsed_ns;
	int exit_code; /* 1 where one is missed or accused, else 2 where one is undecided or the
			  run was interrupted, else 3 where nothing was run, else 0 */
};

/* ERR_USAGE where a name matches nothing; ERR_INTERNAL where the tables hold nonsense;
 * else as campaign_run. */
int selftest_run(const struct selftest_options *options, struct selftest_result *result,
		 struct err *err);

/* Whether a name given by the user stands for a bug or a sound target: the same text, or
 * the same up to a star at its end, or the engine's name alone. */
bool selftest_matches(const char *name, const char *subject);

#endif
