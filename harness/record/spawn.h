/* Starting the first tracee. */
#ifndef POWERCUT_SPAWN_H
#define POWERCUT_SPAWN_H

#include <signal.h>
#include <sys/types.h>

#include "err.h"
#include "record.h"

/* A child that waits to be traced. */
struct spawned {
	pid_t pid;
	int go;	    /* closing it lets the child go on; -1 */
	int report; /* what went wrong before the program ran; -1 */
};

/* Forks the child; mask is the signal mask that it gets, output what it has as
 * its standard output (-1: ours).  It goes on when spawn_go is called, which must
 * be after the tracer has seized it. */
int spawn(const struct record_options *options, const sigset_t *mask, int output,
	  struct spawned *spawned, struct err *err);
void spawn_go(struct spawned *spawned);

/* Once the child has ended: whether the program was started at all.
 * ERR_MISSING, ERR_UNSUPPORTED, ERR_IO. */
int spawn_finish(struct spawned *spawned, const struct record_options *options, struct err *err);

#endif
