/* Nested runs: a recovery is itself recorded and crashed.
 *
 * A state that recovers well is recovered once more, under the recorder, by a
 * session that then uses the store (session.h).  The recording is a trace like
 * any other, and its crash states are explored like any others, with a jury of
 * their own:
 *
 *   stage 1  The recovery has not ended.  What a further recovery shows must be
 *            acceptable by the standards of the first crash (else O10).
 *   stage 2  It has ended and shown its contents, but the contract does not say
 *            that these stay, and no sync has ended since: the contents may be
 *            those of stage 1 too.
 *   stage 3  What was shown must be there (else O11), with the changes of the
 *            session, of which the durable ones must not be lost (else O2, O6)
 *            and which are there in their order (else O4), a batch as a whole (else
 *            O5).  The store opens (O1),
 *            its answers agree (O8), and it holds nothing else (O3).
 *
 * What else the session sees by itself is O9 and O12.
 *
 * Where power failed, the state is what the disk had: a durable start.  Where
 * the process was killed, the state is what the page cache had: then what was
 * pending stays pending, and the two lives are joined to one trace
 * (trace_join.h).  A state from which nothing was lost is taken in this second
 * way, which contains the first.
 *
 * A nested run is done by a worker, as an errand with an order, and told about
 * in a few numbers.  Where it found what is not known yet, a second errand asks
 * for the whole of it, in a file. */
#ifndef POWERCUT_NEST_H
#define POWERCUT_NEST_H

#include <stdbool.h>
#include <stdint.h>

#include "cause.h"
#include "profile.h"
#include "session.h"
#include "subject.h"

enum { NEST_CAUSES = 8, NEST_SITES = 8, NEST_PATH_MAX = 600 };

/* What is fixed for all nested runs of a subject; plain data. */
struct nest {
	const struct subject *subject; /* of the states that are recovered */
	const struct session *session;
	const char *parent; /* where disks are made */
	struct library *library;
	struct child_limits limits;
	uint64_t states_max; /* crash states looked at in one run */
	uint32_t depth;	     /* crashes below this one; at least 1 */
	uint64_t runs_max;   /* runs a profile */
};

struct nest_order {
	const struct profile *profile;
	bool joined; /* the process was killed */
	bool full;   /* write everything to a file */
};
uint64_t nest_order_encode(const struct nest_order *order);

struct nest_found {
	uint64_t key; /* cause_key_hash */
	uint32_t rule, rules;
	uint64_t states;
	uint32_t n_sites;
	uint64_t sites[NEST_SITES]; /* what was lost (cause_sites) */
};

/* The answer to an order. */
struct nest_answer {
	char unsure[256]; /* why nothing can be concluded; "": all is well */
	enum rule broken; /* by the session itself: O9, O12; 0: none */
	char text[256];	  /* why */
	uint64_t tested, left_out, recovered, violations, inconclusive;
	uint32_t n_found;
	struct nest_found found[NEST_CAUSES]; /* what its crash states broke */
	uint64_t passed[FAULTS_MAX / 64];     /* fault points of the engine */
	uint32_t crashes[FAULTS_MAX];	      /* states tested after each of them */
	char file[NEST_PATH_MAX];	      /* with full: the caller removes it */
};

/* The errand itself (recover_job.errand), with arg a struct nest. */
void nest_errand(void *arg, const struct state *state, uint64_t order, const char *dir,
		 void *answer);

/* A nested run from what was written about it, or from its trace. */
struct nested {
	struct subject s; /* jury, trace, ops, history; the rest is the parent's */
	const struct nest *nest;
	struct bounds before; /* of the first crash */
	bool power;	      /* whether that was a loss of power */
	const struct contents *shown;
	struct session_plan plan;			     /* the changes made to that */
	uint32_t begun[SESSION_STEPS], ended[SESSION_STEPS]; /* events + 1; 0: it has not */
	struct contents *scratch;
};

/* Fills nested for a trace that begins at first_event, after a crash at the
 * point of the parent's, which has that ID; shown is what the session showed.
 * All must outlive it.
 * nested_finish releases what it holds, not the trace. */
int nested_init(struct nested *nested, const struct nest *nest, struct trace *trace,
		uint32_t first_event, const struct state *parent, const char *parent_id, bool power,
		const struct contents *shown, struct err *err);
void nested_finish(struct nested *nested);

/* Reads the file of a full answer: the cause with that key, which is added to
 * causes, and its trace's row (whose bytes are in *bytes).  The file is removed. */
int nest_read(const char *path, uint64_t key_hash, struct causes *causes, struct trace_row *row,
	      struct buf *bytes, struct err *err);

#endif
