/* A subject: everything that is fixed about a target while its crash states are
 * explored.  Plain data, put together by job.c. */
#ifndef POWERCUT_SUBJECT_H
#define POWERCUT_SUBJECT_H

#include "engine.h"
#include "history.h"
#include "jury.h"
#include "ops.h"
#include "recover.h"
#include "store.h"
#include "symbols.h"
#include "trace.h"

struct subject {
	const char *name;      /* the target as given */
	const char *canonical; /* engine and options that are not the default, in their order:
				  equal for all spellings of a target */
	int64_t id;	       /* of its row in the store */
	struct trace *trace;
	struct ops *ops;
	struct history *history;
	const struct engine_contract *contract;
	struct jury jury;
	const char *parent;   /* in a nested run: ID of the state that was recovered, else NULL */
	uint32_t first_event; /* crash points are those after the events before it */
	struct symbols *symbols;
	struct pool *pool;
	struct store *store; /* NULL: nothing is stored */
	uint64_t identity;   /* of the trace */
	uint64_t seed;
};

#endif
