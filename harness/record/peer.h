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

/* A descriptor of our own for the tracee's, or -1; the caller closes it.  It
 * is good for fstat and, as /proc/self/fd/N, for readlink and open; whether it
 * shares the tracee's position is for peer_fd_position to know. */
int peer_fd(const struct task *task, int fd);

/* The flags and the position of the tracee's descriptor fd; ours is what
 * peer_fd gave for it. */
int peer_fd_flags(const struct task *task, int fd, int ours);
uint64_t peer_fd_position(const struct task *task, int fd, int ours);

/* The path behind one of our descriptors, PATH_MAX bytes at out.  A file that
 * has lost its name has " (deleted)" cut off.  False if there is none. */
bool peer_fd_path(int ours, char *out);

/* What the tracee means by a path relative to dirfd (AT_FDCWD or one of its
 * descriptors), for our own calls, PATH_BYTES at out.  False if too long. */
bool peer_path(const struct task *task, int dirfd, const char *path, char *out);

/* The same for a path in its memory, with the directory looked up. */
void peer_place(const struct task *task, int dirfd, uint64_t addr, struct place *place);

/* What is mapped at addr: as stat would show it (st_dev and st_ino only).
 * False if it is nothing, or no file. */
bool peer_mapping(const struct task *task, uint64_t addr, struct stat *st);

/* Whether a path, as the kernel shows it, is below the root. */
bool peer_under_root(const struct recorder *recorder, const char *path);

/* The process that a thread belongs to, or tid itself if that is unknown. */
pid_t peer_process(pid_t tid);

#endif
