/* What the recorder does at the calls that stop.
 *
 * A handler runs at the entry stop.  If it leaves task->call.at_exit NULL, the
 * call goes on unwatched; else that function runs at the exit stop, if the call
 * succeeded (call.at_failure, if not).  A handler that asks for exclusion while another call has
 * it is run again, from scratch, when its turn comes: handlers leave no mark
 * but in task->call, task->from and task->to.
 *
 * Calls on a file outside the root and calls that fail leave no event. */
#ifndef POWERCUT_HANDLERS_H
#define POWERCUT_HANDLERS_H

#include "recorder.h"

/* handlers_open.c */
void call_open(struct task *task);
void call_openat(struct task *task);
void call_openat2(struct task *task);
void call_creat(struct task *task);
void call_open_by_handle_at(struct task *task);

/* handlers_data.c */
void call_write(struct task *task);
void call_pwrite64(struct task *task);
void call_writev(struct task *task);
void call_pwritev(struct task *task);
void call_pwritev2(struct task *task);
void call_copy_file_range(struct task *task);
void call_sendfile(struct task *task);
void call_splice(struct task *task);
void call_truncate(struct task *task);
void call_ftruncate(struct task *task);
void call_fallocate(struct task *task);
void call_clone_range(struct task *task);

/* handlers_aio.c */
void call_io_submit(struct task *task);

/* Frees what a call of io_submit holds. */
void aio_release(struct call *call);

/* The process has ended; what it submitted is done. */
void aio_forget(struct recorder *recorder, const struct process *process);

/* Spoils the run where the program does not know yet that all writes of io_submit
 * to ino (0: any file) are done, on which the call relies. */
void call_needs_reaped(struct task *task, uint32_t ino);

/* handlers_sync.c */
void call_fsync(struct task *task);
void call_fdatasync(struct task *task);
void call_sync(struct task *task);
void call_syncfs(struct task *task);
void call_sync_file_range(struct task *task);

/* handlers_names.c */
void call_rename(struct task *task);
void call_renameat(struct task *task);
void call_renameat2(struct task *task);
void call_link(struct task *task);
void call_linkat(struct task *task);
void call_unlink(struct task *task);
void call_unlinkat(struct task *task);
void call_rmdir(struct task *task);
void call_symlink(struct task *task);
void call_symlinkat(struct task *task);
void call_mkdir(struct task *task);
void call_mkdirat(struct task *task);
void call_mknod(struct task *task);
void call_mknodat(struct task *task);

/* handlers_memory.c */
void call_mmap(struct task *task);
void call_mprotect(struct task *task);
void call_munmap(struct task *task);
void call_mremap(struct task *task);
void call_remapped(struct task *task);
void call_madvise(struct task *task);
void call_msync(struct task *task);

/* handlers_other.c */
void call_bind(struct task *task);
void call_chdir(struct task *task);
void call_close_range(struct task *task);
void call_refused(struct task *task);
void call_unmodelled(struct task *task);
void call_ioctl(struct task *task);
void call_clone(struct task *task);
void call_clone3(struct task *task);
void call_unshare(struct task *task);
void call_marker(struct task *task);

/* What handlers share (handlers.c). */

/* Appends an event of this call, with its stack. */
struct event *call_event(struct task *task, enum event_kind kind);

/* Adds the note "NAME: text" that makes the run inconclusive; once for each
 * different text. */
void call_inconclusive(struct task *task, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same with a word of the caller's choice for the call (task may be NULL),
 * and a note that spoils nothing. */
void note_add(struct recorder *recorder, struct task *task, unsigned flags, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* An at_exit for a call that is only watched so that others wait for it. */
void call_ignored(struct task *task);

/* Reads an argument from the tracee's memory.  Where it cannot, the call spoils
 * the run if it succeeds. */
bool call_reads(struct task *task, uint64_t addr, void *out, size_t n);

/* Opens a descriptor of the tracee as call.fd, with call.fd_flags, and finds
 * the inode, as call.ino.  False where that is no file under the root; where we
 * may not look, the call spoils the run if it succeeds. */
bool call_takes_fd(struct task *task, int fd);

/* The first half of that: only call.fd. */
bool call_opens_fd(struct task *task, int fd);

/* Where a call's bytes are in the tracee's memory. */
struct source_bytes {
	uint64_t buffer;	/* of one piece; or */
	uint64_t vector, count; /* the struct iovec's; count 0: take them from the file */
};

/* The call has written call.ret bytes to call.ino at offset (handlers_data.c). */
void call_wrote_at(struct task *task, uint64_t offset, const struct source_bytes *from);

/* The number of the file behind one of our descriptors, or 0: what is not
 * known, and what is only mistaken for a file that is gone. */
uint32_t call_identify(const struct recorder *recorder, int ours, const struct stat *st);

/* Makes a new inode known at dir/name, and appends its event.  dir 0: it has no
 * name. */
struct event *call_creates(struct task *task, enum event_kind kind, enum inode_type type,
			   uint32_t dir, const char *name, const struct stat *st);

#endif
