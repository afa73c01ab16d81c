/* Acknowledgements: what tracees write to their standard output, line by line.
 *
 * It is a pipe whose other end is here.  A write to it is watched to its exit
 * stop, where what it wrote is taken out; whatever else fills the pipe (splice,
 * say) is taken at the next stop.  So a line stands in the trace before all that
 * the tracees did to files after it was written. */
#ifndef POWERCUT_ACKS_H
#define POWERCUT_ACKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct recorder;
struct task;

/* Part of the recorder's state. */
struct acks {
	bool wanted;
	int in, out; /* the pipe; -1 where closed; in is read without waiting */
	dev_t dev;
	ino_t ino;	  /* of the pipe */
	struct buf bytes; /* read and not yet ended by a newline; under the recorder's lock */
	uint64_t n;	  /* acknowledgements so far */
};

bool acks_wanted(const struct recorder *recorder);

/* Makes the pipe; acks.out is for the first tracee, and ours is closed when it
 * has it. */
int acks_open(struct recorder *recorder, struct err *err);
void acks_spawned(struct recorder *recorder);
/* Releases everything; may be called however far it came. */
void acks_close(struct recorder *recorder);

/* Whether a tracee's descriptor is the pipe. */
bool acks_come_from(const struct task *task, int fd);

/* For the tracer: takes out what is there and appends an event for each line that
 * has ended; task is the one whose call wrote it, or NULL. */
void acks_take(struct recorder *recorder, struct task *task);
/* All have ended: the last line needs no newline. */
void acks_end(struct recorder *recorder);

/* For the other thread, which holds the recorder's lock: makes room in the pipe,
 * which may be full, so that a tracee does not wait for us while we wait for it. */
void acks_relieve(struct recorder *recorder);

#endif
