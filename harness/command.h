/* Commands: any program as a workload, and a checker that says which crash states
 * are acceptable (checker.h).  Each line that the workload writes to its standard
 * output is an acknowledgement. */
#ifndef POWERCUT_COMMAND_H
#define POWERCUT_COMMAND_H

#include "checker.h"
#include "err.h"
#include "jury.h"

struct command {
	const char *const *workload; /* words, of which {dir} is filled in; ends with NULL */
	const char *check;	     /* a command line (words.h) with {dir} */
	const char *setup;	     /* the same; makes the durable start, unrecorded; NULL: none */
	const char *ack_pattern;     /* lines that acknowledge: a POSIX extended regular
					expression; NULL: all do */
};

/* Whether a command makes sense, before anything is run: its programs exist, it
 * says where {dir} goes.  ERR_USAGE. */
int command_check(const struct command *command, struct err *err);

/* How a workload is recorded. */
struct command_run {
	uint64_t ms; /* wall time; 0: a default */
	bool no_stacks;
	volatile const bool *stop; /* as in record.h */
};

/* Records the workload in dir, after the setup.
 * ERR_USAGE for a program that fails, prints nothing or changes nothing; ERR_TARGET
 * for one that does not end in time. */
int command_record(const struct command *command, const char *dir, const struct command_run *run,
		   struct trace **trace, struct err *err);

/* What the checker says is the verdict: the rule `check` for a status other than
 * 0; O1 where it crashes, hangs or a sanitizer reports. */
struct jury command_jury(const struct checker *checker);

/* Limits that any program fits in, where none are given. */
void command_limits(struct child_limits *limits);

#endif
