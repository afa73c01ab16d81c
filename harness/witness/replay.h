/* Replaying: a trace → the same calls again, on another directory.
 *
 * Each event is done as nearly as it was: data by pwrite, or by stores through a
 * shared mapping where it came so; syncs of a write's own by RWF_DSYNC and RWF_SYNC
 * (RWF_ flags need no other open); ranges by fallocate; msync through a mapping;
 * sync_file_range of the same range.  What was read, and what only concerns the harness
 * (fault points, operations, acknowledgements, notes), is passed over, but counted.
 * Files of the trace are found by the names that they have, or had: a file without
 * one is held open as long as events need it.
 *
 * What a trace does not tell, and is done in the most common way:
 *   O_DIRECT: such writes go through the page cache, as all do.
 *   Copies within the kernel (copy_file_range, reflinks, splice) and vectors: a pwrite of
 *     their bytes.  So does what was appended: at the offset at which it came to lie.
 *   Zeros: a hole where the size was kept, else FALLOC_FL_ZERO_RANGE (a hole and an
 *     allocation where the file system knows no such thing).
 *   sync_file_range: all three of its flags.
 *   sync and syncfs: syncfs of the file system of dir, never of others.
 *   Truncation by O_TRUNC: ftruncate.  Opening alone, and hints by msync: nothing.
 *   Modes, owners, times, and files without a part in the trace (sockets): none. */
#ifndef POWERCUT_REPLAY_H
#define POWERCUT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "trace.h"

struct replay;

/* Called at the borders of events, in order, between their calls and never amidst one's.
 * For an event that is a call: with before true ahead of it (of moment 2 event + 1), and with
 * before false when it has returned (of moment 2 event + 2).  For one that is none: once, with
 * before false, so that every even moment but 0 is announced.  Opening and closing the
 * file is part of the event that needs it.  A non-zero return ends the replay with
 * that error, which is then in err. */
typedef int replay_border(void *arg, uint32_t event, bool before, struct err *err);

/* Makes the start of the trace in dir, an empty directory, which is not synced.  dir stays
 * the caller's, and may be closed.  The trace must outlive the replay.
 * close_each: descriptors are closed after each event, as by a program that opens,
 * writes and closes; else they stay open to the end (but for those of files with names, where
 * there is no room for more descriptors).  ERR_IO or ERR_FULL names the
 * file; ERR_CORRUPT where the trace has numbers that cannot be. */
int replay_create(const struct trace *trace, int dir, bool close_each, struct replay **replay,
		  struct err *err);
/* Does the first n_events events (or as many as there are), less those that an earlier call
 * has done.  border may be NULL.  Where an event cannot be done: ERR_FULL where something could
 * not be written (no room, a failing disk; err.h), else ERR_IO, with number, verb and path of the
 * event; nothing may be done after that but replay_destroy.  Numbers are those of the trace, from
 * 0. */
int replay_run(struct replay *replay, uint32_t n_events, replay_border *border, void *arg,
	       struct err *err);
/* Opens a file (for reading and writing) or directory of the trace that exists now: a
 * descriptor, the caller's to close, or -1 with errno. */
int replay_open(struct replay *replay, uint32_t ino);
/* The number of an existing, named regular file of the trace, chosen by `choice` (any
 * number); 0 if there is none. */
uint32_t replay_file(const struct replay *replay, uint64_t choice);
/* Closes all descriptors, so that the file system can be unmounted; for a replay that has not
 * run yet.  replay_resume goes on in dir, the same directory mounted anew.  ERR_IO. */
void replay_rest(struct replay *replay);
int replay_resume(struct replay *replay, int dir, struct err *err);
/* Closes everything.  NULL is fine. */
void replay_destroy(struct replay *replay);

/* What the files of the trace need in bytes, for the size of a file system: the sum of the
 * blocks that they are given, one for each inode, nothing subtracted.  UINT64_MAX
 * saturates. */
uint64_t replay_bytes(const struct trace *trace);

#endif
