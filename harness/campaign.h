/* A campaign: targets × profiles → work for the workers, rows for the store. */
#ifndef POWERCUT_CAMPAIGN_H
#define POWERCUT_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "command.h"
#include "err.h"
#include "explore.h"
#include "file_system.h"
#include "profile.h"
#include "store.h"
#include "workload.h"

/* One target of a campaign. */
struct campaign_target {
	const char *spec;     /* "wal:variant=hardened,sync=sync" */
	const char *mix;      /* operations, as workload_parse_mix reads them; NULL: as in
				 the campaign's options */
	const char *workload; /* further words that override these options, as workload_parse
				 reads them; NULL */
	uint64_t states_max;  /* a profile, if less than in the campaign's options; 0 */
	uint64_t nested_max;  /* recoveries crashed in turn, likewise; 0 */
	uint64_t seed;	      /* instead of the campaign's, where something is expected of it; 0 */
	/* Instead of an engine: a program and its checker; spec is then its name only. */
	const struct command *command;
	const char *contract; /* overrides the engine's, as contract_override reads; NULL */
	/* Findings that must occur and may occur, "O2@posix O4@kill": a rule and its
	 * minimal profile; NULL: none. */
	const char *expected;
	const char *why; /* for people: what the target is there to show; NULL */
};

/* What `powercut run` does when no target is named; ends with a NULL spec. */
extern const struct campaign_target campaign_builtin[];

/* A zeroed struct is valid; zeros mean the default in brackets. */
struct campaign_options {
	const struct campaign_target *targets; /* ends with a NULL spec [campaign_builtin] */
	const struct profile *const *profiles; /* ends with NULL [all] */
	/* Real file systems instead of profiles, ends with NULL; for these there are no nested
	 * runs [none]. */
	const struct file_system *const *on;
	const struct engine *const *engines; /* ends with NULL [engine_table] */
	struct workload_options workload;
	uint64_t run_ms;	/* wall time of a recorded run [60 s] */
	uint64_t seed;		/* [1] */
	uint64_t states_max;	/* a target and profile [20000, for commands 3000]; UINT64_MAX: no
				   limit.  A target and file system: block states [2000], at most
				   UINT32_MAX */
	uint32_t depth;		/* crashes in a row: recoveries that are crashed in turn, and
				   theirs [1]; UINT32_MAX: none */
	uint64_t nested_max;	/* recoveries crashed in turn, a target and profile [24] */
	uint64_t nested_states; /* crash states of one of these [64]; UINT64_MAX: no limit */
	uint64_t budget_ms;	/* whole campaign [none] */
	uint32_t jobs;		/* [one a CPU] */
	struct child_limits limits; /* of one recovery */
	const char *tmp;	    /* where disks are made [see recover.h] */
	const char *command;	    /* as stored */
	bool live, live_power;	    /* also crash for real at each passage of a fault point */
	bool no_stacks;
	bool twice;	  /* record twice, and refuse what differs */
	bool no_outcomes; /* do not store passing outcomes */
	volatile const bool *stop;
	void (*progress)(void *arg, const struct explore_progress *progress);
	void *progress_arg;
};

struct campaign_result {
	int64_t id;
	uint32_t targets, findings, unexpected, missing; /* missing: expected, did not occur */
	uint32_t inconclusive; /* targets or profiles cut short or not decided */
	uint32_t idle;	       /* targets whose workload changed nothing */
	uint32_t unreached;    /* fault points that should have been passed and were not */
	uint64_t tested, recoveries;
	uint64_t states; /* looked at: tested and merged */
	uint64_t elapsed_ns;
	uint64_t explore_ns; /* of that, exploring; recording and reporting left out */
	uint64_t
		own_cpu_ns; /* CPU time of exploring: ours and the workers', recoveries' left out */
	double private_mib; /* private memory while exploring, at its largest */
	int exit_code;	    /* 0, 1, 2 or 3, as the design defines them */
};

/* Runs a campaign and adds it to the store.  Errors: ERR_USAGE for nonsense in
 * the options, ERR_IO, ERR_UNSUPPORTED; a misbehaving target is no error. */
int campaign_run(const struct campaign_options *options, struct store *store,
		 struct campaign_result *result, struct err *err);

#endif
