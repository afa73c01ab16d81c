/* Files under the root that tracees map shared and can store to.
 *
 * A store leaves no call.  What stores have changed is found by looking, whenever
 * a call stops: a shadow holds what the trace says is in the file, and wherever the
 * file differs from it by then there has been a store (or more than one: versions
 * exist where they were looked at).  Whose it was does not matter, so a mapping in
 * a forked child, process_vm_writev and read(2) into a mapping are all seen alike.
 *
 * Nothing else may change the file meanwhile, or it would be taken for stores: while
 * any file is watched, a call enters only when no other that changes something is
 * between its stops (tracer.c).
 *
 * What is compared is what is mapped for writing, to the end of the file; where an
 * address space is observed (written.h), only the pages that it has written since. */
#ifndef POWERCUT_MAPPED_H
#define POWERCUT_MAPPED_H

#include "recorder.h"

struct mapped_file;

/* A shared mapping of a file that is open for writing. */
struct mapping {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* in the file, in bytes */
	struct mapped_file *file;
	bool writable; /* now; else it can still become so */
	bool syncs;    /* msync syncs it: it was made with a descriptor open for writing */
	bool observed; /* process->written tells what is stored through it */
};

/* The file that the task's call (call.fd, call.ino) is about to map, which from now
 * on is known in address spaces; NULL, with errno, where it cannot be read. */
struct mapped_file *mapped_open(struct task *task);

/* Begins to watch a file: no store to it may have been possible before.  Must not be
 * called while a call that changes something is between its stops. */
void mapped_watch(struct task *task, struct mapped_file *file);

bool mapped_is_watched(const struct recorder *recorder, uint32_t ino);

/* Appends what stores have changed since the last look, if anything is watched.  task
 * is at whose stop this is. */
void mapped_look(struct recorder *recorder, const struct task *task);

/* Reads anew what the task's process has mapped, after a call that may have replaced
 * whatever was at addresses [from, to).  Where file is not NULL, it is mapped at from. */
void mapped_refresh(struct task *task, struct mapped_file *file, uint64_t from, uint64_t to);

/* Has the kernel tell from now on which pages the task's process writes, where it can
 * and there is something to tell.  At the exit stop of a call that succeeded. */
void mapped_observe(struct task *task);

/* The address space of a process is gone. */
void mapped_forget(struct process *process);

uint32_t mapped_ino(const struct mapped_file *file);

/* Releases all that recorder->mapped holds. */
void mapped_finish(struct recorder *recorder);

#endif
