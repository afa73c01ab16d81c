/* The seccomp filter that stops a tracee at the calls of syscalls.def. */
#ifndef POWERCUT_FILTER_H
#define POWERCUT_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* AUDIT_ARCH_… of this machine. */
extern const uint32_t filter_arch;

/* What a stop reports as its data where the call has no row; else it is the
 * index of the row. */
enum { FILTER_UNKNOWN = 0xffff };

/* Builds the program.  The caller frees program->filter. */
void filter_build(struct sock_fprog *program);

/* Installs it in the calling thread, for good.  Returns 0 or -1 with errno.
 * Safe between fork and exec. */
int filter_install(const struct sock_fprog *program);

#endif
