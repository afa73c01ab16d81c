/* A crew: processes that share out pieces of work, each with a device of its own. */
#ifndef POWERCUT_CREW_H
#define POWERCUT_CREW_H

#include "lab.h"

struct crew_work {
	uint32_t n; /* pieces */
	/* Does one, in a process of the crew; its answer goes to shared memory.  stop becomes
	 * true when all is to end.  An error ends the whole. */
	int (*piece)(void *arg, struct lab *lab, struct device *device, uint32_t piece,
		     volatile const bool *stop, struct err *err);
	void *arg;
	volatile const bool *stop; /* set by a signal's handler; NULL: none */
	/* Called a few times a second, in the calling process; NULL: nothing is. */
	void (*progress)(void *arg, uint32_t done);
	void *progress_arg;
};

/* Does all pieces, by so many processes.  The file system's fresh image is made first, and
 * inherited.  ERR_TARGET where it was stopped; ERR_INTERNAL where a process died; else the
 * first error of a piece. */
int crew_run(struct lab *lab, const struct file_system *fs, uint64_t device_bytes, uint32_t jobs,
	     const struct crew_work *work, struct err *err);

/* One process a CPU. */
uint32_t crew_jobs(void);

#endif
