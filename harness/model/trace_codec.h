/* A trace as bytes: what the database keeps.
 *
 *   magic    8 bytes  "PCTRACE\0"
 *   version  u32      TRACE_VERSION
 *   raw      u64      length of the payload before compression
 *   packed   u64      length of the payload as it follows
 *   check    u64      XXH3-64 of everything before it and of the packed payload
 *   payload           zstd
 *
 * Bytes that are short, altered, of another version or not a trace are refused
 * with a text that says which. */
#ifndef POWERCUT_TRACE_CODEC_H
#define POWERCUT_TRACE_CODEC_H

#include "buf.h"
#include "trace.h"

enum { TRACE_VERSION = 1 };

/* Appends the encoded trace to out.  The same trace always gives the same
 * bytes (with one version of zstd). */
int trace_encode(const struct trace *trace, struct buf *out, struct err *err);

/* Decodes n bytes at p into a new sealed trace in *trace, which the caller
 * destroys.  ERR_CORRUPT or ERR_VERSION with a text, *trace NULL. */
int trace_decode(const void *p, size_t n, struct trace **trace, struct err *err);

/* A hash of what the model reads of the trace (start and events; not stacks,
 * thread numbers or call names): equal for two recordings of one run. */
uint64_t trace_identity(const struct trace *trace);

#endif
