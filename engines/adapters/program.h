/* A program that is talked to through its standard input and output, in lines and
 * in counted bytes.  Its standard error is ours.
 *
 * It has a process group of its own.  Timeouts are in milliseconds; -1: none. */
#ifndef POWERCUT_PROGRAM_H
#define POWERCUT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

enum { PROGRAM_LINE_MAX = 1 << 14 };

enum program_heard {
	PROGRAM_HEARD,
	PROGRAM_SILENT,	 /* nothing, or not all of it, within the time */
	PROGRAM_ENDED,	 /* it closed its output before all of it came */
	PROGRAM_TOO_LONG /* a line longer than PROGRAM_LINE_MAX, or more than fits in memory */
};

struct program;

/* Starts a command: words, the first found along PATH; where it has anything that
 * means something to a shell, sh -c.  NULL on failure, with a text in error. */
struct program *program_start(const char *command, struct engine_error *error);

/* Sends n bytes.  False where it does not take them: it has ended, or did not read
 * within the time.  What it said last can still be heard. */
bool program_send(struct program *program, const void *p, size_t n, int timeout_ms);

/* Forgets what was heard so far: pointers to it end here. */
void program_next(struct program *program);

/* A line without its newline, terminated; zero bytes in it become '?'.  With
 * PROGRAM_SILENT or PROGRAM_ENDED it is what came of it, with PROGRAM_TOO_LONG its
 * beginning. */
enum program_heard program_line(struct program *program, int timeout_ms, const char **line);

/* n bytes.  They move when more is heard. */
enum program_heard program_bytes(struct program *program, size_t n, int timeout_ms,
				 const char **bytes);

/* Closes its input and waits for its end.  False where it did not come, and it was
 * killed.  *extra is true where it said something that was not heard. */
bool program_finish(struct program *program, int timeout_ms, bool *extra);

/* How it ended, "ended with exit status 1", as waited for by program_finish; where
 * it did not end, it is given a moment and then killed. */
void program_ending(struct program *program, char *text, size_t size);

/* Whether program_ending saw this exit status. */
bool program_exited(const struct program *program, int status);

/* Kills it with all of its process group and frees everything.  NULL is fine. */
void program_destroy(struct program *program);

#endif
