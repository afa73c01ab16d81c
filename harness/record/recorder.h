/* The state of one recording, shared by the files of this band and by nobody
 * else.
 *
 * One thread, the tracer, does everything; it alone may use ptrace on the
 * tracees.  The thread that asked for the recording sleeps meanwhile, and only
 * kills when the time is over. */
#ifndef POWERCUT_RECORDER_H
#define POWERCUT_RECORDER_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "acks.h"
#include "record.h"
#include "syscalls.h"
#include "trace.h"
#include "tree.h"

/* Where a path leads: a name in a directory. */
struct place {
	char path[PATH_MAX]; /* as the tracee gave it, without trailing slashes */
	const char *name;    /* its last component; "": what is meant is `at` itself */
	int at;		     /* our descriptor of the directory, or -1; closed after the call */
	uint32_t dir;	     /* 0: not under the root */
	bool unresolved;     /* the directory cannot be looked up */
};

struct mapped_file;
struct mapping;
struct written;

/* A system call between its two stops. */
struct call {
	uint64_t args[6];
	uint64_t pc, sp;
	uint64_t ret;	  /* at the exit stop, which is only handled on success */
	uint32_t entered; /* events in the trace at the entry stop */
	uint32_t stack;
	bool has_stack;
	bool recorded; /* it left an event */
	bool gone; /* the task is no longer at the exit stop: it is ending, or another program */
	/* At the entry stop a handler that wants the exit stop sets this. */
	void (*at_exit)(struct task *task);
	/* The same where the call has failed and may have done something all the
	 * same; needs at_exit too. */
	void (*at_failure)(struct task *task);
	/* Set with at_exit: no other such call may be between its stops now.
	 * Must not be set where the call may wait for another thread. */
	bool exclusive;
	/* What handlers keep from one stop to the other. */
	int fd; /* see peer_fd; -1; closed after the call */
	bool fd_shared;
	int fd_flags; /* as fcntl F_GETFL gives them */
	uint32_t ino;
	uint64_t flags;
	struct call_blocks *blocks; /* of io_submit (handlers_aio.c), or NULL */
};

struct process {
	UT_hash_handle hh;
	pid_t pid;
	int pidfd; /* -1: descriptors are looked up in /proc */
	unsigned n_tasks;
	struct unwinder *unwinder; /* NULL until needed */
	struct mapping *mappings;  /* of files under the root, shared (mapped.h) */
	size_t n_mappings;
	uint32_t remapped;	 /* how often they changed */
	struct written *written; /* of its address space; NULL: all that is mapped is compared */
	bool written_tried;
};

/* A thread of a tracee. */
struct task {
	UT_hash_handle hh;
	pid_t tid;
	struct recorder *recorder;
	struct process *process;
	uint16_t number;
	const struct syscall_row *row; /* the call it is in */
	struct call call;
	struct place from, to; /* scratch of the handlers of names */
	struct task *waiting;  /* next in recorder->waiting */
};

struct recorder {
	const struct record_options *options;
	struct record_result *result;
	struct trace *trace;
	struct tree tree;
	char root[PATH_MAX]; /* the real path */
	size_t root_length;
	dev_t root_dev;

	pid_t first; /* the process that was started */
	bool first_ended;
	struct process *processes;
	uint16_t n_threads;   /* numbers given */
	struct task *holder;  /* whose exclusive call is between its stops */
	struct task *waiting; /* at their entry stops until the holder is done */
	size_t *notes;	      /* which events are notes */
	size_t n_notes, notes_cap;
	struct unreaped *unreaped; /* see handlers_aio.c */
	size_t n_unreaped, unreaped_cap;
	const char *in_flight; /* a call whose thread was killed in it, or NULL */
	struct acks acks;

	struct mapped_file *mapped; /* what was ever mapped shared (mapped.h), by number */
	size_t n_watched;	    /* how many of them can be stored to */
	size_t applied;		    /* events that their shadows have */
	bool exact_maps;	    /* some file is mapped shared that is open for reading only */

	/* The tracer changes what follows under the lock; the other thread reads
	 * it under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	struct task *tasks; /* changed by the tracer, read by the other thread */
	bool expired;	    /* time is over: whatever still comes is to be killed */
	bool done;
};

#endif
