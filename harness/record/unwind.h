/* Call stacks of tracees. */
#ifndef POWERCUT_UNWIND_H
#define POWERCUT_UNWIND_H

#include <stdint.h>

#include "recorder.h"

/* The stack of a thread that is at a system call stop, as a number in the
 * trace: 0 if it cannot be unwound at all. */
uint32_t unwind_stack(struct task *task);

/* Forgets a process: it has ended, or runs another program now.  NULL is fine. */
void unwind_destroy(struct unwinder *unwinder);

#endif
