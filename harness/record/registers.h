/* What must be done to a tracee's registers, which each architecture does its
 * own way. */
#ifndef POWERCUT_REGISTERS_H
#define POWERCUT_REGISTERS_H

#include <stdint.h>
#include <sys/types.h>

/* At the entry stop: the call is not made and fails with that error number.
 * Returns 0, or -1 with errno. */
int registers_refuse(pid_t tid, int error);

/* At the stop before a thread ends that was killed in a call: what the call
 * returned.  Returns 0, or -1 where it failed, was not made, or that cannot be
 * told here. */
int registers_result(pid_t tid, uint64_t *result);

#endif
