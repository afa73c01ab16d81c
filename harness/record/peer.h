/* Looking into a tracee that is at a stop: its memory, descriptors, paths. */
#ifndef POWERCUT_PEER_H
#define POWERCUT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "recorder.h"

/* n bytes at addr.  False if not all can be read. */
bool peer_read(const struct task *task, uint64_t addr, void *out, size_t n);

/* n bytes gathered from the tracee's buffers. */
bool peer_gather(const struct task *task, const struct iovec *from, size_t n_from, void *out,
		 size_t n);

/* A string with its zero byte.  False if it does not fit or cannot be read. */
bool peer_string(const struct task *task, uint64_t addr, char *out, size_t size);

/* A descriptor of our own for the tracee's; the caller closes it.  It is good
 * for fstat and, as /proc/self/fd/N, for readlink and open; *shared tells
 * whether it has the tracee's position and flags.  -1 where the tracee has no
 * such descriptor; PEER_BLIND where we may not look. */
enum { PEER_BLIND = -2 };
int peer_fd(const struct task *task, int fd, bool *shared);

/* The flags and the position of the tracee's descriptor fd, of which call.fd
 * is ours. */
int peer_fd_flags(const struct task *task, int fd);
uint64_t peer_fd_position(const struct task *task, int fd);

/* The path behind one of our descriptors, PATH_MAX bytes at out.  A file that
 * has lost its name has " (deleted)" cut off.  False if there is none. */
bool peer_fd_path(int ours, char *out);

/* Looks up the directory of what the tracee means by the path at addr, relative
 * to dirfd (AT_FDCWD or one of its descriptors); resolve: RESOLVE_… flags that
 * the call has.  place must be a released one. */
void peer_place(const struct task *task, int dirfd, uint64_t addr, uint64_t resolve,
		struct place *place);

/* The same for the path that place->path holds. */
void peer_place_path(const struct task *task, int dirfd, uint64_t resolve, struct place *place);

/* A descriptor (O_PATH) of what is at the place, symbolic links followed, or -1
 * with errno; the caller closes it. */
int peer_place_open(const struct place *place);

/* What is at the place, links not followed.  False if nothing is. */
bool peer_place_stat(const struct place *place, struct stat *st);

/* Closes what it holds; it is nowhere then. */
void peer_place_release(struct place *place);

/* Whether a path, as the kernel shows it, is below the root. */
bool peer_under_root(const struct recorder *recorder, const char *path);

/* The process that a thread belongs to, or tid itself if that is unknown. */
pid_t peer_process(pid_t tid);

#endif
