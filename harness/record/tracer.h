/* The tracing loop. */
#ifndef POWERCUT_TRACER_H
#define POWERCUT_TRACER_H

#include <signal.h>

#include "err.h"
#include "recorder.h"

/* Starts the program and follows it and its descendants until all have ended.
 * Must run in a thread of its own: the tracees are children of that thread, so
 * that waiting for them takes no other child of the caller's, and the thread
 * binds itself to one CPU, which the tracees inherit.  mask is the signal mask
 * of the program. */
int tracer_run(struct recorder *recorder, const sigset_t *mask, struct err *err);

/* Kills all tracees, and those that are still to be seen.  From any thread. */
void tracer_kill(struct recorder *recorder);

#endif
