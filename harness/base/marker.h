/* Markers: how a program under test tells the recorder what cannot be seen in
 * its storage calls (fault points passed, operations begun and ended).
 *
 * A marker is a prctl with an option number that no kernel uses: the kernel
 * answers EINVAL at once, and the recorder, which asks seccomp to stop at this
 * option, reads the arguments.  Markers are therefore in the trace in their
 * true order among the storage calls of all threads. */
#ifndef POWERCUT_MARKER_H
#define POWERCUT_MARKER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MARKER_OPTION = 0x50437574 }; /* "PCut" */

enum marker_kind {
	MARKER_FAULT = 1,    /* data: the fault point's name; number: its passage, from 1 */
	MARKER_OP_BEGIN = 2, /* number: the operation; data: its encoding (workload.h) */
	MARKER_OP_END = 3,   /* number: the operation; data: empty on success, else the error */
};

/* Emits one marker; errno is left alone.  Outside a recording it does nothing
 * but a failing system call. */
static inline void marker_emit(enum marker_kind kind, uint64_t number, const void *data,
			       size_t length)
{
	int saved = errno;
	syscall(SYS_prctl, (long)MARKER_OPTION, (long)kind, (long)number, (long)(uintptr_t)data,
		(long)length);
	errno = saved;
}

#endif
