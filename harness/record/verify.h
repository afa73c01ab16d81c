/* The trace against the directory that it should have led to. */
#ifndef POWERCUT_VERIFY_H
#define POWERCUT_VERIFY_H

#include "err.h"
#include "trace.h"

/* Replays the trace and compares names, types, links, sizes and contents with
 * what is below root.  *difference is the path (and what differs) of the first
 * difference, which the caller frees, or NULL.  ERR_IO where the directory
 * cannot be read. */
int verify_trace(const struct trace *trace, const char *root, char **difference, struct err *err);

#endif
