/* The session: what is done with a store after a recovery, to see whether what
 * was recovered is a store again.
 *
 *   open    open it and scan it: these contents are what the recovery shows
 *   again   close it, open it and scan it: they are the same (O9)
 *   put     overwrite a key of the workload
 *   delete  delete another one
 *   new     put a key that the workload never used
 *   sync    where the engine has it
 *   reopen  close, open and scan: the contents are those shown with the three
 *           changes made to them (O12)
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
	SESSION_DELETE,
	SESSION_NEW,
	SESSION_SYNC,
	SESSION_REOPEN,
	SESSION_STEPS
};

/* "recovery", "closing and opening", "a put", …: for people; "" beyond the table. */
const char *session_step_name(uint64_t step);

enum { SESSION_CHANGES = SESSION_NEW - SESSION_PUT + 1 };

struct session {
	const struct recover_engine *engine;
	bool keeps; /* a clean closing keeps what was done: not so where only a sync would, and
		       the engine has none */
	struct op_change changes[SESSION_CHANGES]; /* of PUT, DELETE and NEW */
	uint32_t keys[SESSION_CHANGES];		   /* the same as indices into the history's */
};

/* Chooses the keys, and invites the values as guests of the history, whose
 * arena that is.  The workload must have changed something. */
void session_init(struct session *session, const struct recover_engine *engine,
		  const struct engine_contract *contract, struct history *history,
		  struct arena *arena);

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
void session_expect(const struct session *session, const struct contents *shown, uint32_t n,
		    struct contents *expected);

#endif
