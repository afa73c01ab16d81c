/* The durability spectrum: what each engine and mode really loses, and what it pays.
 *
 * Measured, contract or not: for each engine, variant, mode and sync call, under each
 * profile, the most acknowledged operations that any tested crash state lost; and how
 * many sync calls an operation costs.
 *
 * The workload is puts and deletes alone.  A batch, a sync or a compaction makes what
 * came before it durable in many modes, and so hides what the mode itself would lose. */
#ifndef POWERCUT_SPECTRUM_H
#define POWERCUT_SPECTRUM_H

#include "trace.h"
#include "trial.h"

enum { SPECTRUM_STATES_MAX = 2000, SPECTRUM_PROFILES_MAX = 16 };

/* The workload, as workload_parse reads it. */
extern const char spectrum_workload[];

/* One row to be measured, but for the sync call. */
struct spectrum_mode {
	const char *engine; /* NULL ends the table */
	const char *variant;
	const char *mode;    /* for people, at most 9 characters */
	const char *options; /* that make the mode: "sync=batch,batch=8"; "": none */
};
extern const struct spectrum_mode spectrum_modes[];

/* The loss under one profile. */
struct spectrum_loss {
	uint32_t loss;		   /* acknowledged operations, at most those of the workload */
	bool at_least;		   /* states were left out, so that others may lose more */
	uint64_t tested, left_out; /* states, as a coverage row has them */
};

/* Sync calls between the begin of the first operation and the end of the last one. */
struct sync_cost {
	uint32_t files;	    /* fsync, fdatasync and sync calls, and writes that sync themselves */
	uint32_t same_size; /* of these, those of files whose size and allocation had not
			       been changed since they were last synced */
	uint32_t directories;
};

struct spectrum_row {
	const struct spectrum_mode *mode;
	const char *call;    /* "fsync" or "fdatasync" */
	const char *spec;    /* of the target; valid during the call that the row is given to */
	uint32_t operations; /* that change contents */
	struct sync_cost cost;
	struct spectrum_loss losses[SPECTRUM_PROFILES_MAX]; /* by row of profile_table */
	const char *why; /* why nothing can be concluded, or ""; valid as spec */
};

struct spectrum_options {
	struct trials trials; /* campaign.states_max is per profile [SPECTRUM_STATES_MAX] */
	const struct spectrum_mode *modes; /* ends with a NULL engine [spectrum_modes]; those of
					      engines that are not there are passed over */
	void (*row)(void *arg, const struct spectrum_row *row);
	void *arg;
};

/* Measures everything, row by row.  *exit_code: 2 where a row is not conclusive or the
 * run was interrupted, 3 where there is no row, else 0.  Errors: as campaign_run. */
int spectrum_run(const struct spectrum_options *options, int *exit_code, struct err *err);

/* Counts the sync calls of a trace.  Pure. */
void sync_cost_count(const struct trace *trace, struct sync_cost *cost);

#endif
