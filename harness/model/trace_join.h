/* Two lives of one directory as one trace: what happened until the process was
 * killed, and what was then done with the files that it left. */
#ifndef POWERCUT_TRACE_JOIN_H
#define POWERCUT_TRACE_JOIN_H

#include "trace.h"

/* The first n_events events of first, followed by the events of second, whose
 * start must be the tree that these leave.  What first had not made durable by
 * then is still pending when second goes on.  The new trace is sealed and refers
 * to the data of both, which must outlive it; NULL with ERR_INTERNAL where the
 * start of second is another tree. */
struct trace *trace_join(const struct trace *first, size_t n_events, const struct trace *second,
			 struct err *err);

#endif
