/* Trials: a campaign over one target with a workload of its own, whose rows are
 * read while they are there.  What selftest, spectrum and claims are made of. */
#ifndef POWERCUT_TRIAL_H
#define POWERCUT_TRIAL_H

#include "campaign.h"

/* What all trials of a command have in common.  A zeroed struct is valid. */
struct trials {
	/* As for campaign_run; its targets, profiles and workload are set by each trial. */
	struct campaign_options campaign;
	const char *db; /* the database that keeps all trials; NULL: each has one of its own,
			   below campaign.tmp as area_choose reads it, removed afterwards */
};

struct trial {
	const char *spec;     /* "wal:variant=hardened,mutant=wal/skip-sync" */
	const char *workload; /* as workload_parse reads it; NULL or "": the default */
	const char *mix;      /* as workload_parse_mix reads it; NULL: the workload's */
	const char *contract; /* overrides the engine's, as contract_override reads; NULL */
	const struct profile *const *profiles; /* ends with NULL; NULL: all */
};

/* Reads the rows of a trial's campaign; returns 0 or an error. */
typedef int trial_read(void *arg, struct store *store, const struct campaign_result *result,
		       struct err *err);

/* Runs one trial and then calls read.  Errors: as campaign_run, and those of read. */
int trial_run(const struct trials *trials, const struct trial *trial, trial_read *read, void *arg,
	      struct err *err);

/* Whether a trial was interrupted, so that no further one is worth beginning. */
bool trials_stopped(const struct trials *trials);

/* Whether the engine that a target's text begins with is among engines, a list that
 * ends with NULL (NULL: the built-in ones). */
bool trial_engine_known(const struct engine *const *engines, const char *spec);

/* The first target of a campaign.  ERR_MISSING where it has none. */
int trial_target(struct store *store, int64_t campaign, struct target_row *row, struct err *err);

/* Why nothing can be concluded from a trial: the target's own reason, or that something
 * was not decided or that nothing was tested.  *why is the caller's to free, and NULL
 * where all was decided.  row: of trial_target. */
int trial_undecided(struct store *store, const struct campaign_result *result,
		    const struct target_row *row, char **why, struct err *err);

/* ---- sets: of rules, by RULE_BIT; of profiles, bit i is the i-th row of profile_table ---- */

/* The rules that "O2|O6" names.  ERR_USAGE with the word that is none. */
int rules_parse(const char *text, uint32_t *rules, struct err *err);

/* Those that words separated by spaces name; "" is the empty set.  ERR_USAGE with the
 * word that names none. */
int profiles_parse(const char *names, uint32_t *set, struct err *err);

/* All profiles that are as weak as one of the set, or weaker: the closure of the set. */
uint32_t profiles_weaker(uint32_t set);

/* Those of the set than which none in it is stronger. */
uint32_t profiles_minimal(uint32_t set);

/* Appends their names, separated by spaces. */
void profiles_print(uint32_t set, struct buf *out);

#endif
