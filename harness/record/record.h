/* Recording: a running program → a trace.
 *
 * The program runs under ptrace with a seccomp filter made from the table in
 * syscalls.def, so that only calls that can change files stop it; tracer and
 * tracee share one CPU, which makes a stop five times cheaper.  Every thread
 * and child is followed.  Only what happens under the root counts. */
#ifndef POWERCUT_RECORD_H
#define POWERCUT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "trace.h"

struct record_options {
	/* The data directory: must exist; its contents become the trace's start. */
	const char *root;

	/* Exactly one of the two: a function to run in a forked child, whose
	 * return value is the exit status; or a program, found along PATH, with
	 * its arguments, NULL-terminated. */
	int (*function)(void *arg);
	void *arg;
	char *const *argv;

	/* Each line that the program, or a descendant, writes to its standard output
	 * becomes an event (EVENT_ACK), in order with its system calls; a last line
	 * without an end counts when all have ended.  Where is_ack is not NULL, only
	 * lines that it accepts (they have no end and no zero byte behind them). */
	bool acks;
	bool (*is_ack)(void *arg, const char *line, size_t length);
	void *is_ack_arg;

	bool no_stacks;	       /* leave the call stacks out */
	bool compare_mappings; /* look for stores through mappings by comparing all that is mapped,
				  not only the pages that the kernel knows to have been written */
	uint64_t timeout_ms;   /* wall time; 0 means 60,000 */
	volatile const bool *stop; /* set by a signal's handler: as if the time were over; NULL */
};

struct record_result {
	int wait_status;	 /* of the first process, as waitpid gives it */
	bool timed_out;		 /* it and its descendants were killed */
	bool left_running;	 /* then: the first process had ended, and others had not */
	uint64_t stops;		 /* system calls stopped at */
	uint64_t calls;		 /* of these, the ones that are in the trace */
	uint64_t pages_compared; /* of mapped files, to find what stores have changed */
	uint64_t elapsed_ns;
};

/* Records into trace, which must be new, and seals it.  How the program ended
 * is in result and is not an error.  A call that changed files under the root
 * and is not modelled is in the trace as an inconclusive note with its name;
 * so is any difference between the directory at the end and what the trace
 * says it should be.  Errors: ERR_IO, ERR_UNSUPPORTED (no ptrace or seccomp
 * here), ERR_MISSING (no such program or root). */
int record_run(const struct record_options *options, struct trace *trace,
	       struct record_result *result, struct err *err);

/* The table, for listings and coverage: row i's name, what the recorder does
 * with it, and its numbers (-1 where that architecture lacks it).  Returns
 * false past the end. */
struct record_syscall {
	const char *name;
	const char *handling; /* "modelled", "no effect", "inconclusive", "refused" */
	int x86_64, aarch64;
};
bool record_syscall(size_t i, struct record_syscall *row);

#endif
