/* Fault points and planted bugs, as an engine's source sees them.
 *
 *   FAULT_POINT("wal/append/flushed");      names a moment: engine/operation/moment
 *   if (MUTANT("wal/skip-sync")) …          a planted bug, off unless enabled by name
 *
 * Both are libfiu points of failure.  Outside a run that asked for them they
 * cost one test of a global variable. */
#ifndef POWERCUT_FAULT_H
#define POWERCUT_FAULT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAULT_POINT(name)                                                                          \
	do {                                                                                       \
		if (__builtin_expect(fault_points_on, 0))                                          \
			fault_point_passed(name);                                                  \
	} while (0)

#define MUTANT(name) (__builtin_expect(fault_mutants_on, 0) && fault_mutant(name))

/* The machinery behind the macros; see faults.h for its controls. */
extern bool fault_points_on, fault_mutants_on;
void fault_point_passed(const char *name);
bool fault_mutant(const char *name);

#ifdef __cplusplus
}
#endif

#endif
