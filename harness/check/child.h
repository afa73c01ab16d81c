/* A function in a forked child with limits, of which nothing survives.
 *
 * The child leads a process group of its own.  When it has ended, however it
 * did, every descendant is killed and reaped, also those that made themselves
 * a new session: the caller must have called child_init, which makes it the
 * reaper of orphans.  A process that uses this must have no other children. */
#ifndef POWERCUT_CHILD_H
#define POWERCUT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* Zero means the default in brackets. */
struct child_limits {
	uint32_t wall_ms;      /* [1000] */
	uint32_t cpu_ms;       /* rounded up to seconds [wall_ms] */
	uint64_t memory_bytes; /* beyond what the parent has mapped [1 GiB] */
	uint64_t file_bytes;   /* size of any one file [256 MiB] */
	uint64_t disk_bytes;   /* growth of the file system that holds dir [512 MiB] */
};

enum child_end {
	CHILD_EXIT,   /* code: exit status */
	CHILD_SIGNAL, /* code: signal */
	CHILD_WALL,   /* wall time exceeded */
	CHILD_CPU,    /* CPU time exceeded */
	CHILD_FILE,   /* a file grew too large */
	CHILD_DISK,   /* too much was written in all; other users of the file
			 system are counted too, so try again alone */
	CHILD_MEMORY, /* it failed, and at its peak held nearly all memory it might */
};

struct child_result {
	enum child_end end;
	int code;
	bool survivors; /* it left processes behind, which were killed */
};

/* Once per process that will call child_run: subreaper, tick timer (the real
 * time signal SIGRTMAX - 1 interrupts system calls a few times a second). */
int child_init(struct err *err);

/* From now on a signal ends the calling process, but a child that is being run first,
 * with all its descendants.  Children get the signal's default back. */
void child_end_on(int signal_number);

/* Puts the defaults where there are zeros. */
void child_limits_expand(struct child_limits *limits);

/* Applies the limits on CPU time, memory, the size of a file and core dumps to the
 * calling process, which is a child of one that has called child_init.  Wall time
 * and the size of the disk are for the parent to watch. */
void child_limits_apply(const struct child_limits *limits);

/* Whether memory is limited at the moment of asking for it.  In a build with
 * the address sanitizer it is not: its shadow would not fit. */
bool child_limits_memory(void);

/* Forks, applies the limits, calls function(arg) and exits with its result;
 * waits.  dir is where disk_bytes is measured.  Handlers of pthread_atfork do
 * not run.  ERR_IO if no child could be made. */
int child_run(int (*function)(void *arg), void *arg, const char *dir,
	      const struct child_limits *limits, struct child_result *result, struct err *err);

#endif
