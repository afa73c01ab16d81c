/* The progress of a campaign: a live screen on a terminal, plain lines elsewhere. */
#ifndef POWERCUT_STATUS_H
#define POWERCUT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "explore.h"

struct status {
	bool off, terminal;
	uint64_t start_ns, shown_ns;
	uint64_t states, recoveries;	       /* of finished profiles */
	uint64_t last_states, last_recoveries; /* of the present one */
	uint32_t findings;
	uint64_t finding_ns; /* when the last new one came */
	char target[128], profile[32];
	unsigned lines; /* on the screen now */
};

/* Writes to standard error; off: nothing at all. */
void status_init(struct status *status, bool off);

/* To be called now and then; arg is a struct status. */
void status_show(void *arg, const struct explore_progress *progress);

/* Removes the live screen. */
void status_finish(struct status *status);

#endif
