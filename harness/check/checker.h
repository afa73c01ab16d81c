/* Checkers: a program that says of a crash state whether it is acceptable.
 *
 * It is run once for each state, in a child with limits (recover.h), with
 *
 *   {dir}    the directory, as the crash left it; it may do there what it likes
 *   {acked}  how many lines the workload had acknowledged by then
 *   {acks}   a file with these lines
 *
 * and ends with 0 where the state is acceptable.  POWERCUT_DIR and POWERCUT_ACKED
 * in its environment say the same. */
#ifndef POWERCUT_CHECKER_H
#define POWERCUT_CHECKER_H

#include <stdint.h>

#include "err.h"
#include "ops.h"
#include "recover.h"

struct checker {
	const char *command; /* as the user wrote it */
	const struct ops *ops;
	uint32_t *acked; /* [n]: acknowledgements among the first n events; of the arena
			    of the trace */
};

/* Checks a command line: that it can be taken apart, mentions {dir}, and that its
 * program exists.  ERR_USAGE. */
int checker_check(const char *command, struct err *err);

/* Prepares a checker for a recorded workload; what is given must outlive it. */
void checker_init(struct checker *checker, const char *command, const struct ops *ops);

/* Acknowledgements among the first n events. */
uint32_t checker_acked(const struct checker *checker, uint32_t n_events);

/* The job for a pool (recover.h). */
struct recover_job checker_job(const struct checker *checker);

#endif
