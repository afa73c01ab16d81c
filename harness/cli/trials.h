/* What the commands made of trials (selftest, spectrum, claims) share: their common
 * options, the interrupt, the progress. */
#ifndef POWERCUT_CLI_TRIALS_H
#define POWERCUT_CLI_TRIALS_H

#include "cli.h"
#include "status.h"
#include "trial.h"

/* The first member of the struct that such a command gives to cli_parse. */
struct cli_trials {
	struct trials trials;
	bool json, quiet;
	struct status status;
};

/* Rows of a table of options, to be named first; states_max is for the help. */
#define CLI_TRIALS_OPTIONS(states_max)                                                             \
	{"seed", "N", "seed of the workloads and of choosing [1]", cli_trials_seed},               \
		{"max-states", "N", "states a target and profile, 0: no limit [" states_max "]",   \
		 cli_trials_states},                                                               \
		{"jobs", "N", "workers [one a CPU]", cli_trials_jobs},                             \
		{"timeout", "TIME", "wall time of one recovery, 500ms or seconds [1s]", cli_trials_timeout},         \
		{"tmp", "DIR", "where images are made [/dev/shm]", cli_trials_tmp},                \
		{"db", "FILE", "keep everything in this database [nothing is kept]",               \
		 cli_trials_db},                                                                   \
		{"json", NULL, "for machines", cli_trials_json},                                   \
	{                                                                                          \
		"quiet", NULL, "no progress", cli_trials_quiet                                     \
	}

int cli_trials_seed(void *ctx, const char *value, struct err *err);
int cli_trials_states(void *ctx, const char *value, struct err *err);
int cli_trials_jobs(void *ctx, const char *value, struct err *err);
int cli_trials_timeout(void *ctx, const char *value, struct err *err);
int cli_trials_tmp(void *ctx, const char *value, struct err *err);
int cli_trials_db(void *ctx, const char *value, struct err *err);
int cli_trials_json(void *ctx, const char *value, struct err *err);
int cli_trials_quiet(void *ctx, const char *value, struct err *err);

/* To be called once the options are read: makes an interrupt end the trials, with what
 * they have, and shows progress on a terminal. */
void cli_trials_begin(struct cli_trials *trials, const char *command_line);

/* Removes the progress from the terminal; it comes back by itself.  To be called before
 * anything is printed, and at the end. */
void cli_trials_clear(struct cli_trials *trials);

#endif
