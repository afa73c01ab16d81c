/* The text form of a trace, in which tests write traces by hand.
 *
 * A line is a verb and its arguments; # begins a comment.  Paths are relative
 * to the data directory; #N names inode N (a file that has lost its name).
 *
 *   start-file PATH [DATA]      start-dir PATH      start-symlink PATH TARGET
 *   start-link PATH OLDPATH
 *   creat PATH                  mkdir PATH          symlink PATH TARGET
 *   tmpfile                     (a file without a name, the next #N)
 *   link OLDPATH PATH           unlink PATH         rmdir PATH
 *   rename OLDPATH PATH         exchange PATH PATH
 *   write PATH OFFSET DATA      append PATH DATA
 *   dsync-write PATH OFFSET DATA                    sync-write PATH OFFSET DATA
 *   store PATH OFFSET DATA      store-too PATH OFFSET DATA (seen in the same look)
 *   msync PATH OFFSET LENGTH
 *   truncate PATH SIZE          hint PATH [OFFSET LENGTH]   open PATH
 *   fallocate PATH OFFSET LENGTH [keep]             zero PATH OFFSET LENGTH [keep]
 *   fsync PATH                  fdatasync PATH      sync
 *   fault NAME                  note TEXT           inconclusive TEXT
 *   begin N [DATA]              end N [DATA]       ack LINE
 *
 * DATA is one or more of "text" (with \n \t \\ \" \xHH), c*N for N bytes c,
 * and 0*N for N zero bytes, joined by +. */
#ifndef POWERCUT_TRACE_TEXT_H
#define POWERCUT_TRACE_TEXT_H

#include "trace.h"

/* Parses text (name is for messages) into a new unsealed trace.  ERR_USAGE
 * with "name:line: …" on nonsense, *trace NULL. */
int trace_parse(const char *text, const char *name, struct trace **trace, struct err *err);

#endif
