/* Drivers: programs in any language that speak the protocol of docs/driver.md.
 *
 * driver_engine (builtin.h) is the row of the engine table that stands for them:
 * "driver:command=CMD" makes an engine whose functions start CMD and talk to it. */
#ifndef POWERCUT_DRIVER_H
#define POWERCUT_DRIVER_H

/* A command as a target, "driver:command=CMD": what may not stand in an option is
 * %XX.  NULL where memory ran out; the caller frees it. */
char *driver_target(const char *command);

#endif
