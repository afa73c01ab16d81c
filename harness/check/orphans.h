/* Ending what a child left behind. */
#ifndef POWERCUT_ORPHANS_H
#define POWERCUT_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

/* Kills and reaps every descendant of the calling process, which must be their
 * subreaper.  group is the process group in which most of them are expected;
 * it is killed in one stroke, which ends a fork bomb that stayed in it.
 * Returns whether there were any, dead or alive. */
bool orphans_end(pid_t group);

#endif
