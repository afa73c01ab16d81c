/* Tracees: small programs that make storage calls and print, for each, the line
 * that the recording should have (as test_record.c renders events).
 *
 * A tracee is a function; it runs with the data directory as its working
 * directory, and leaves it empty or not as it likes.  The same functions make a
 * program (a static and a dynamic one) and run in forked children of the test. */
#ifndef POWERCUT_TRACEE_H
#define POWERCUT_TRACEE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marker.h"

enum { NOT_HERE = 77 }; /* exit code: this machine or file system lacks what is tested */

struct tracee {
	const char *name;
	int (*run)(void);
};

extern const struct tracee tracee_table[];

/* The tracee of that name, or NULL. */
const struct tracee *tracee_find(const char *name);

/* A line that the recording should have. */
void expect(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the tracee with exit code 99 if a call did not do what the tracee needs. */
long need(long result, const char *what);
#define NEED(call) need((long)(call), #call)

/* openat in the working directory, without C library in between. */
int open_raw(const char *path, int flags);

int tracee_contents(void);
int tracee_copies(void);
int tracee_sizes(void);
int tracee_opens(void);
int tracee_names(void);
int tracee_paths(void);
int tracee_syncs(void);
int tracee_descriptors(void);
int tracee_unlinked(void);
int tracee_reuse(void);
int tracee_failures(void);
int tracee_outside(void);
int tracee_threads(void);
int tracee_racing(void);
int tracee_wandering(void);
int tracee_restless(void);
int tracee_forking(void);
int tracee_children(void);
int tracee_shell(void);
int tracee_killed(void);
int tracee_daemon(void);
int tracee_markers(void);
int tracee_stack(void);
int tracee_loop(void);
int tracee_refused(void);
int tracee_mapped_for_reading(void);
int tracee_signals(void);
int tracee_exec_from_thread(void);
int tracee_tmpfile(void);
int tracee_clone_file(void);
int tracee_aio(void);
int tracee_pipes(void);
int tracee_flags(void);
int tracee_resolved(void);
int tracee_through_proc(void);
int tracee_dotdot(void);
int tracee_long_names(void);
int tracee_trees(void);
int tracee_many(void);
int tracee_sockets(void);
int tracee_replaced(void);
int tracee_passed(void);
int tracee_own_table(void);
int tracee_leaderless(void);
int tracee_vforked(void);
int tracee_outlived(void);
int tracee_handles(void);
int tracee_chdir(void);
int tracee_sandboxed(void);
int tracee_interrupted(void);
int tracee_hidden(void);
int tracee_killed_in_call(void);
int tracee_exec_among_writers(void);
int tracee_stores(void);
int tracee_stores_synced(void);
int tracee_stores_grown(void);
int tracee_stores_replaced(void);
int tracee_stores_protected(void);
int tracee_stores_unlinked(void);
int tracee_stores_mixed(void);
int tracee_stores_forked(void);
int tracee_stores_exec(void);
int tracee_stores_filtered(void);
int tracee_stores_spliced(void);
int tracee_stores_not_made(void);
int tracee_stores_sparse(void);
int tracee_stores_signalled(void);
int tracee_stores_killed(void);
int tracee_stores_threads(void);
int tracee_stores_past_the_end(void);

/* Each spoils the run. */
int tracee_splice_to_mapped(void);
int tracee_rename_in(void);
int tracee_rename_out(void);
int tracee_link_in(void);
int tracee_link_out(void);
int tracee_whiteout(void);
int tracee_collapse(void);
int tracee_through_self(void);
int tracee_mknod(void);
int tracee_aio_unreaped(void);
int tracee_aio_together(void);
int tracee_aio_append(void);
int tracee_unknown(void);
int tracee_old_architecture(void);
int tracee_x32(void);
int tracee_listener(void);
int tracee_untraced(void);

#endif
