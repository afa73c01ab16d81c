/* What the trace says a file contains at its end. */
#ifndef POWERCUT_CONTENT_H
#define POWERCUT_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "trace.h"

struct content_index;

/* Sorts the events by file.  The trace must outlive it.  Released by
 * content_index_destroy (NULL is fine). */
struct content_index *content_index_create(const struct trace *trace);
void content_index_destroy(struct content_index *index);

/* Compares a file with what is open as fd and has size bytes.  NULL where they
 * are equal, else how they differ. */
const char *content_compare(const struct content_index *index, uint32_t ino, int fd, uint64_t size);

/* The target of a symbolic link. */
const uint8_t *content_symlink(const struct content_index *index, uint32_t ino, size_t *n);

#endif
