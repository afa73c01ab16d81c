/* The data directory as it is at the start → the start of a trace. */
#ifndef POWERCUT_SNAPSHOT_H
#define POWERCUT_SNAPSHOT_H

#include "err.h"
#include "trace.h"
#include "tree.h"

/* Reads root with everything below it into the start and the tree, names in
 * the order of their bytes.  Sockets, pipes and devices are left out: no crash
 * state has them.  ERR_IO, ERR_MISSING. */
int snapshot_take(const char *root, struct trace *trace, struct tree *tree, struct err *err);

#endif
