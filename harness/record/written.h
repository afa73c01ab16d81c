/* Which pages an address space has written since it was last asked.
 *
 * The kernel can tell since Linux 6.7: userfaultfd write-protects pages, lets the first
 * store through without asking anybody (UFFD_FEATURE_WP_ASYNC, for mappings of any
 * kind), and PAGEMAP_SCAN lists the pages that are not protected any more and protects
 * them again.  Pages that were unmapped or never mapped count as written.  A userfaultfd
 * is for the address space of the process that makes it, so the tracee is made to.
 *
 * This is only ever faster than comparing everything, never less sure: whatever goes
 * wrong is reported, and then everything is compared. */
#ifndef POWERCUT_WRITTEN_H
#define POWERCUT_WRITTEN_H

#include "recorder.h"

struct written;

/* Observes the address space of a task that is at its exit stop.  NULL where kernel,
 * permissions or the tracee's own seccomp filters do not let it.  Sets call.gone if the
 * task is no longer at that stop.  Released by written_destroy (NULL is fine). */
struct written *written_create(struct task *task);
void written_destroy(struct written *written);

/* Includes addresses [start, end), which are whole mappings.  False if the kernel
 * refuses.  The first question says that all of it was written. */
bool written_add(const struct written *written, uint64_t start, uint64_t end);

/* Tells what of [start, end) was written since the last question, as addresses
 * [from, to) in order.  False if that cannot be told: then anything may have been. */
typedef void written_told(void *arg, uint64_t from, uint64_t to);
bool written_ask(const struct written *written, uint64_t start, uint64_t end, written_told *told,
		 void *arg);

#endif
