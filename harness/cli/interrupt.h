/* Signals that ask a command to end: SIGINT and SIGTERM. */
#ifndef POWERCUT_INTERRUPT_H
#define POWERCUT_INTERRUPT_H

#include <stdbool.h>

/* Whether one has come. */
extern volatile bool interrupted;

/* From now on such a signal sets it, and the command ends with what it has.  Who is impatient
 * and asks again ends the process; but timeout(1) and the like send one signal twice at once. */
void interrupt_catch(void);

#endif
