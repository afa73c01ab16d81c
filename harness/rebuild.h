/* A crash state from the ID that people paste, with all that is needed to
 * recover and judge it again: from the database alone. */
#ifndef POWERCUT_REBUILD_H
#define POWERCUT_REBUILD_H

#include "buf.h"
#include "err.h"
#include "image.h"
#include "model.h"
#include "subject.h"
#include "target.h"

/* Takes a pasted state ID apart and rebuilds what is needed from the database
 * alone.  rebuilt_finish releases everything. */
struct rebuilt {
	struct subject s;
	struct target *target;
	struct engine_contract contract;
	struct charge charge;
	struct recover_engine recover;
	struct recover_job recover_job;
	struct model *model;
	struct state state;
	struct buf held;
};
int rebuild_state(struct store *store, const char *id, struct rebuilt *subject, struct err *err);
void rebuilt_finish(struct rebuilt *subject);

#endif
