/* A crash state from the ID that people paste, with all that is needed to
 * recover and judge it again: from the database alone. */
#ifndef POWERCUT_REBUILD_H
#define POWERCUT_REBUILD_H

#include "buf.h"
#include "command.h"
#include "err.h"
#include "image.h"
#include "model.h"
#include "nest.h"
#include "subject.h"
#include "target.h"

/* Takes a pasted state ID apart and rebuilds what is needed from the database
 * alone.  The state of a nested run needs the state that was recovered, which is
 * rebuilt and recovered again: child processes are made.  limits and tmp are for
 * that (recover.h).  rebuilt_finish releases everything. */
struct rebuilt {
	struct subject s;
	char *parent;	      /* ID of the state that was recovered; NULL: none was */
	struct rebuilt *base; /* that state */
	struct session session;
	struct nest nest;
	struct nested nested;
	struct contents *shown; /* by that recovery */
	struct trace *own;	/* of a nested run */
	struct target *target;
	struct engine_contract contract;
	struct charge charge;
	char *check; /* of a command: what checker points to */
	struct checker checker;
	struct recover_engine recover;
	struct recover_job recover_job;
	struct model *model;
	struct state state;
	struct buf held;
};
int rebuild_state(struct store *store, const char *id, const struct child_limits *limits,
		  const char *tmp, struct rebuilt *subject, struct err *err);
void rebuilt_finish(struct rebuilt *subject);

#endif
