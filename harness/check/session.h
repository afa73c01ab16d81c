/* The session: what is done with a store after a recovery, to see whether what
 * was recovered is a store again.
 *
 *   open    open it and scan it: these contents are what the recovery shows
 *   again   close it, open it and scan it: they are the same (O9)
 *   put     overwrite a key of the workload
 *   new     put a key that the workload never used
 *   delete  delete another one of the workload's
 *   batch   put another such key and delete the first
 *   sync    where the engine has it
 *   reopen  close, open and scan: the contents are those shown with the changes
 *           made to them (O12)
 *   compact compact, and scan: the contents are the same (O12)
 *
 * Of batches and compactions only what the workload had, and batches only where they
 * are promised to be atomic.
 *
 * The two puts take the place of what was lost: of the first writes that what was
 * shown lacks, the first has the key and the length, the second the length of key
 * and value together.  A store that left the tail of a log behind, and writes over
 * the beginning of it, then has old records at the end of the new ones, where they
 * may count again.
 *
 * Each step stands between begin and end markers with its number, so that a
 * recording of the session tells how far it had come.  The values that it
 * writes are guests of the history. */
#ifndef POWERCUT_SESSION_H
#define POWERCUT_SESSION_H

#include "judge.h"
#include "recover.h"

enum session_step {
	SESSION_OPEN,
	SESSION_AGAIN,
	SESSION_PUT,
	SESSION_NEW,
	SESSION_DELETE,
	SESSION_BATCH,
	SESSION_SYNC,
	SESSION_REOPEN,
	SESSION_COMPACT,
	SESSION_STEPS
};

/* "recovery", "closing and opening", "a put", …: for people; "" beyond the table. */
const char *session_step_name(uint64_t step);

enum { SESSION_CHANGES_MAX = SESSION_BATCH - SESSION_PUT + 1, SESSION_ITEMS_MAX = 2 };

struct session {
	const struct recover_engine *engine;
	bool keeps; /* a clean closing keeps what was done: not so where only a sync would, and
		       the engine has none */
	bool batches, compacts;
	uint32_t n_changes; /* PUT, NEW, DELETE and, where there is one, BATCH */
	uint32_t n_keys;    /* of the workload; the session's own follow */
};

/* Invites the session's values and keys as guests of the history of that trace.
 * The workload must have changed something. */
void session_init(struct session *session, const struct recover_engine *engine,
		  const struct engine_contract *contract, struct history *history,
		  const struct trace *trace);

/* Whether that step is taken. */
bool session_has(const struct session *session, enum session_step step);

/* The changes of a session, which depend on what the recovery showed. */
struct session_change {
	uint32_t n;
	struct op_change items[SESSION_ITEMS_MAX];
	uint32_t keys[SESSION_ITEMS_MAX]; /* the same as indices into the history's */
};

struct session_plan {
	struct session_change changes[SESSION_CHANGES_MAX]; /* of PUT, NEW, … */
};

void session_make_plan(const struct session *session, const struct contents *shown,
		       struct session_plan *plan);

/* What a session found, in shared memory; zeroed at first. */
struct session_result {
	uint32_t steps;	  /* that ended */
	enum rule broken; /* O9, O12; O1 where already the first opening failed; 0: all is well */
	char text[256];	  /* why */
	struct conduct conduct; /* at the first opening */
	/* Followed by the contents that the first opening showed (session_shown). */
};

size_t session_result_bytes(const struct history *history);
struct contents *session_shown(struct session_result *result);

/* Holds a session in dir, in the calling process.  0 where it came to its end. */
int session_run(const struct session *session, const char *dir, struct session_result *result);

/* What contents must be after the first n changes to what was shown. */
void session_expect(const struct session *session, const struct session_plan *plan,
		    const struct contents *shown, uint32_t n, struct contents *expected);

#endif
