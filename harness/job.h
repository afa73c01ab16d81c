/* A job: one target of a campaign while it is worked on.  For campaign.c and the
 * files of the job alone. */
#ifndef POWERCUT_JOB_H
#define POWERCUT_JOB_H

#include "area.h"
#include "campaign.h"
#include "nest.h"
#include "session.h"
#include "subject.h"
#include "target.h"

struct job;

/* Texts of a target's row, and operations that failed without any crash. */
struct target_words {
	struct buf options, workload, contract, failures;
};

/* What depends on what is tested. */
struct job_kind {
	/* Checks what the target asks for, and prepares it.  ERR_USAGE. */
	int (*prepare)(struct job *job);
	/* Runs the workload in an empty directory, and sets s.trace.  ERR_TARGET where
	 * it misbehaves. */
	int (*record)(struct job *job, const char *dir);
	/* Fills in what is known of the target, before or after it was recorded. */
	void (*describe)(const struct job *job, struct target_words *words, struct target_row *row);
	/* How its states are recovered and judged: recover_job, s.jury, s.contract,
	 * canonical, and nest where nests. */
	int (*arrange)(struct job *job);
	/* Whether testing makes sense, now that states can be recovered; NULL: it does.
	 * ERR_USAGE. */
	int (*try_out)(struct job *job);
	/* Releases what these made. */
	void (*finish)(struct job *job);
};
extern const struct job_kind job_of_engine, job_of_command;

struct job {
	const struct job_kind *kind;
	const struct campaign_options *options;
	const struct campaign_target *what;
	struct store *store;
	int64_t campaign;
	struct lab *lab; /* for real file systems; NULL: none is asked for */
	struct err *err;
	struct child_limits limits; /* of one recovery */
	struct target *target;
	struct workload_options workload_options;
	struct workload *workload;
	struct engine_contract contract;
	struct recover_engine recover;
	struct recover_job recover_job;
	struct session session;
	struct nest nest;
	bool nests; /* recoveries are crashed in turn */
	struct checker checker;
	struct library *library;    /* a worker fills its own copy */
	char parent[AREA_PATH_MAX]; /* where disks are made */
	struct charge charge;
	struct subject s;
	struct buf canonical; /* what s.canonical points to */
	struct explore_options explore_options;
	struct explore *explore;
	uint64_t tested, recoveries, states, explore_ns, own_cpu_ns;
	double private_mib;
	uint32_t changes; /* what the workload changed or acknowledged */
	bool inconclusive;
	uint32_t findings, unexpected, missing, unreached;
};

/* Completes a job whose first fields, to err, are set; kind->prepare is the next. */
void job_init(struct job *job);
/* Does everything, from preparing to the last row.  A target that misbehaves is
 * a row, no error. */
int job_run(struct job *job, uint64_t deadline_ns);
/* Releases everything. */
void job_finish(struct job *job);

/* The seed that counts for this target. */
uint64_t job_seed(const struct job *job);
/* The workload again, which is released while states are explored. */
int job_make_workload(struct job *job);

/* ---- rows of the target (job_rows.c) ---- */

/* With its trace, which is there now. */
int job_add_target(struct job *job);
/* A target whose workload cannot even run without a crash is not judged; others
 * are.  The error says why. */
int job_add_failed_target(struct job *job);
int job_add_faults(struct job *job);
int job_add_findings(struct job *job);

/* ---- real kills (job_live.c) ---- */

int job_crash_live(struct job *job);

#endif
