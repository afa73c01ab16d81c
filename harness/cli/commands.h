/* The subcommands: X(name).  main.c makes the table of them; each is defined as
 * `const struct cli_command cli_NAME` in NAME.c. */
#ifndef POWERCUT_COMMANDS_H
#define POWERCUT_COMMANDS_H

#include "cli.h"

#define CLI_COMMANDS(X)                                                                            \
	X(run)                                                                                     \
	X(report)                                                                                  \
	X(show)                                                                                    \
	X(repro)                                                                                   \
	X(gate)                                                                                    \
	X(selftest)                                                                                \
	X(spectrum)                                                                                \
	X(claims)                                                                                  \
	X(list)                                                                                    \
	X(trace)                                                                                   \
	X(witness)                                                                                 \
	X(fidelity)                                                                                \
	X(driver_test)                                                                             \
	X(bench)

/* Tells plugin.h where plug-ins are: beside the program where it was built, and
 * where it was to be installed; and which adapters were not built, and why. */
void cli_find_plugins(void);

#define X(name) extern const struct cli_command cli_##name;
CLI_COMMANDS(X)
#undef X

#endif
