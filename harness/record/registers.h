/* What must be done to a tracee's registers, which each architecture does its
 * own way. */
#ifndef POWERCUT_REGISTERS_H
#define POWERCUT_REGISTERS_H

#include <sys/types.h>

/* At the entry stop: the call is not made and fails with that error number.
 * Returns 0, or -1 with errno. */
int registers_refuse(pid_t tid, int error);

#endif
