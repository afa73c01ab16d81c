/* Recovering: crash states → what the engine makes of them, by workers.
 *
 * A pool has N worker processes, each with one stage (stage.h).  Jobs are handed out and
 * results come back through shared memory; a result is the same whichever
 * worker made it.  A recovery that exceeds its wall time is run once more,
 * alone, with ten times the limit. */
#ifndef POWERCUT_RECOVER_H
#define POWERCUT_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "child.h"
#include "err.h"
#include "history.h"
#include "image.h"
#include "target.h"

enum recovery_end {
	RECOVERY_OK,	   /* contents are valid */
	RECOVERY_FAILED,   /* the engine returned an error, a checker a status; text says which */
	RECOVERY_SIGNAL,   /* it died of a signal */
	RECOVERY_EXIT,	   /* it left the process by itself (exit, sanitizer) */
	RECOVERY_TIMEOUT,  /* wall or CPU time exceeded, and again with ten times as much */
	RECOVERY_LIMIT,	   /* memory, file size or disk exceeded */
	RECOVERY_UNSTABLE, /* a time-out that did not repeat: inconclusive */
	RECOVERY_BROKEN, /* the harness could not do it (disk full, fork refused); text says why */
};

enum { FAULTS_MAX = 128 }; /* fault points of an engine that are told apart */

/* How a recovery went, besides what it showed. */
struct conduct {
	uint64_t path; /* depends on the fault points passed, in their order; 0: none */
	uint64_t passed[FAULTS_MAX / 64]; /* bit i: the engine's i-th fault point was passed */
	char disagreement[200]; /* O8: in what the store's answers differ; "": they agree */
};

struct recovery {
	uint64_t tag;
	enum recovery_end end;
	char text[256]; /* for people; deterministic for a given state */
	bool survivors; /* processes were left behind and killed */
	struct conduct conduct;
	const struct contents *contents; /* with RECOVERY_OK; valid until the next pool call */
	const void *answer;		 /* of an errand; valid as long */
};

/* What a worker's child does with a directory: fills contents and conduct and
 * returns 0, or puts a text in error and returns -1.  Both are empty at first
 * (contents_init).  Runs in a child of a child of the process that made the
 * pool, with no descriptor open but 0 to 2.
 *
 * Where become is not NULL, it is called instead, and becomes another program,
 * whose exit status is the answer: 0 is RECOVERY_OK, with empty contents.
 * Processes that it leaves behind say nothing.  If it returns, nothing can be
 * concluded, and error says why.
 *
 * An errand is anything else that is to be done with a state, by the worker
 * itself: order is what pool_errand was given, answer is answer_bytes of zeroed
 * memory for the result.  Whatever it does to the directory is undone. */
struct recover_job {
	int (*recover)(void *arg, const char *dir, struct contents *contents,
		       struct conduct *conduct, struct engine_error *error);
	void *arg;
	int (*become)(void *arg, const struct state *state, const char *dir,
		      struct engine_error *error);
	void (*errand)(void *arg, const struct state *state, uint64_t order, const char *dir,
		       void *answer);
	void *errand_arg;
	size_t answer_bytes;
};

/* Opens the store with the engine, scans it, and asks it for each key and for
 * its own opinion.  O8 wants these to agree. */
struct recover_engine {
	const struct target *target;
	const struct history *history;
};
int recover_with_engine(void *arg, const char *dir, struct contents *contents,
			struct conduct *conduct, struct engine_error *error);

/* The same with a store that is open already, and no word of its conduct but
 * the disagreement. */
int recover_scan(const struct recover_engine *r, void *store, struct contents *contents,
		 struct conduct *conduct, struct engine_error *error);

struct stage_kind;

struct pool_options {
	uint32_t jobs;	    /* worker processes; 0 means one for each CPU */
	const char *parent; /* where stages are made; NULL: /dev/shm, else $TMPDIR, else /tmp */
	const struct stage_kind *stage; /* where states are shown; NULL: stage_disk */
	const void *stage_arg;		/* for its create and sweep */
	struct child_limits limits;
	volatile const bool *stop; /* set by a signal's handler: pool_wait gives up; NULL */
	int cpu; /* pin all workers there; -1: do not (a zeroed struct pins to 0,
		    so set it) */
};

struct pool;

/* Starts the workers.  ops, history and what job and stage_arg point to must be in place
 * before and must not change.  Workers die with the calling thread.  Forks copy
 * what private memory the caller has by now: make the pool early. */
int pool_create(const struct ops *ops, const struct history *history, const struct recover_job *job,
		const struct pool_options *options, struct pool **pool, struct err *err);

/* A pool without workers: each job is done in the calling process, which must
 * have called child_init and may have no children, by the time that it was
 * submitted.  For a worker that has states of its own to look at. */
int pool_create_here(const struct ops *ops, const struct history *history,
		     const struct recover_job *job, const struct pool_options *options,
		     struct pool **pool, struct err *err);

/* Ends the workers and removes their stages.  NULL is fine. */
void pool_destroy(struct pool *pool);

/* Hands a job to a worker.  Returns false where all slots are taken: call
 * pool_wait first. */
bool pool_submit(struct pool *pool, const struct state *state, uint64_t tag);

/* The same for an errand; order is not 0.  Its result has end RECOVERY_OK and
 * an answer, or RECOVERY_BROKEN. */
bool pool_errand(struct pool *pool, const struct state *state, uint64_t order, uint64_t tag);

/* Waits for one result.  ERR_MISSING if nothing is under way.  ERR_TARGET where stop
 * was set, and nothing has come for a second: what is under way is lost then.  A worker that is
 * killed is replaced and its jobs are run again; ERR_IO if no worker is left.
 * Jobs that must be run alone wait until nothing else is under way. */
int pool_wait(struct pool *pool, struct recovery *recovery, struct err *err);

/* Jobs that are under way. */
uint32_t pool_busy(const struct pool *pool);

/* Submits one state and waits for its result alone; nothing may be under way. */
int pool_run(struct pool *pool, const struct state *state, struct recovery *recovery,
	     struct err *err);

/* CPU time of the workers themselves, without their recoveries, and the number
 * of recoveries, so far. */
void pool_cost(const struct pool *pool, uint64_t *worker_cpu_ns, uint64_t *recoveries);

#endif
