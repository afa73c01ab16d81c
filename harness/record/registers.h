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

/* At the exit stop: makes the thread do another system call, and brings it back to this
 * stop as it was.  *result is what the kernel answered (negative: an error number).
 * Where it cannot be done (CALL_IMPOSSIBLE) the thread is at its stop as before; or it
 * has gone from there (CALL_GONE): its end, or the exec of another thread, is still to
 * be waited for.  The call must be one that no filter of ours stops at. */
enum call_outcome { CALL_DONE, CALL_IMPOSSIBLE, CALL_GONE };
enum call_outcome registers_call(pid_t tid, long number, const uint64_t args[6], long *result);

#endif
