/* The table of system calls, as syscalls.def has it. */
#ifndef POWERCUT_SYSCALLS_H
#define POWERCUT_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>

struct task;

enum handling { MODELLED, NO_EFFECT, INCONCLUSIVE, REFUSED };

/* When the filter stops at the call. */
enum when {
	NEVER,
	ALWAYS,
	OPEN_ARG1, /* open flags in argument 1 (2) may write, create or cut */
	OPEN_ARG2,
	SHARED_MAP,    /* mmap of a file, shared, or in place of what is there */
	MADE_WRITABLE, /* mprotect with PROT_WRITE */
	SHM_FLAG,      /* shmat with SHM_REMAP */
	FILE_IOCTL,    /* of the families that file systems may use */
	CLONE_FLAGS,   /* out of our sight, into another mount namespace, or odd */
	UNSHARE_FLAGS,
	CLOSE_FLAGS,  /* close_range that first makes a descriptor table of its own */
	FILTER_FLAGS, /* seccomp with a listener, which may let calls pass by us */
	TREE_FLAGS,   /* open_tree that makes a mount of its own */
	ADVICE_ARG2,  /* MADV_REMOVE */
	ADVICE_ARG3,
	MARKER, /* prctl with MARKER_OPTION */
};

struct syscall_row {
	const char *name;
	int x86_64, aarch64; /* -1: not there */
	enum handling handling;
	enum when when;
	/* At the entry stop; NULL where it never stops.  See handlers.h. */
	void (*enter)(struct task *task);
};

/* Ends with a NULL name. */
extern const struct syscall_row syscall_table[];

/* The row with that index, or NULL where there is none or its number on this
 * machine is another.  (The filter reports the index of the row it stops at.) */
const struct syscall_row *syscall_row(size_t index, uint64_t number);

/* The row of a number on this machine, or NULL. */
const struct syscall_row *syscall_row_of_number(uint64_t number);

/* The row's number on this machine, or -1. */
int syscall_number(const struct syscall_row *row);

#endif
