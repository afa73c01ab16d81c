/* Return addresses → functions and source lines, on demand.
 *
 * Reads the debugging information of the modules that a trace names; a module
 * that is gone, or whose build id has changed, gives names no longer, and that
 * is said rather than guessed. */
#ifndef POWERCUT_SYMBOLS_H
#define POWERCUT_SYMBOLS_H

#include "trace.h"

struct source {
	char function[128]; /* "" if unknown */
	char file[256];	    /* as the compiler was given it, "" if unknown */
	int line;	    /* 0 if unknown */
	char module[64];    /* name of the program or library, without directories */
	bool runtime;	    /* the C library or the dynamic loader */
	bool system;	    /* a frame of the C library or the dynamic loader, or of the
			       harness itself: nothing the maintainer would mend */
};

struct symbols;

/* Modules that were opened and addresses that were looked up: the dear part,
 * which the symbols of many traces of one program can share.  Not by several
 * threads.  library_destroy accepts NULL. */
struct library;
struct library *library_create(void);
void library_destroy(struct library *library);

/* Keeps references to trace and library; without one (NULL) it has its own.
 * Never fails: what cannot be read gives unknown sources.  symbols_destroy
 * accepts NULL. */
struct symbols *symbols_create(const struct trace *trace, struct library *library);
void symbols_destroy(struct symbols *symbols);

/* Resolves frame i of a stack, inlined functions not expanded.  Returns false
 * past the end of the stack. */
bool symbols_frame(struct symbols *symbols, uint32_t stack, size_t i, struct source *source);

#endif
