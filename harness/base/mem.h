/* Memory.
 *
 * A harness that runs out of memory has nothing useful left to do, so these
 * never return NULL: they say so on stderr and exit with 70.
 *
 * Shared arenas exist because a recovery is a fork, and fork pays for every
 * private page of its parent while it skips the page tables of shared
 * mappings.  What is large and read by workers (the trace, the micro-ops)
 * therefore lives in an arena of MAP_SHARED memory. */
#ifndef POWERCUT_MEM_H
#define POWERCUT_MEM_H

#include <stddef.h>

/* Zeroed memory for n elements of size bytes.  Caller frees with free(). */
void *mem_alloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));

/* Returns p, moved if need be, with room for at least need elements of size
 * bytes; *cap is the room in elements and is updated.  New room is zeroed. */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
	__attribute__((warn_unused_result));

/* A copy of n bytes followed by a zero byte.  Caller frees with free(). */
char *mem_dup(const void *p, size_t n) __attribute__((malloc, warn_unused_result));

/* A formatted string.  Caller frees with free(). */
char *mem_printf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, warn_unused_result));

/* Makes room for one more element at the end of a growing array and yields a
 * pointer to it: the array, its length and its capacity are the caller's. */
#define MEM_PUSH(array, n, cap)                                                  \
	((array) = mem_grow((array), &(cap), (n) + 1, sizeof *(array)),          \
	 &(array)[(n)++])

struct arena;

/* An empty arena of shared memory; released with arena_destroy, which accepts
 * NULL.  Memory from it is zeroed, 16-byte aligned, and lives as long. */
struct arena *arena_create(void);
void arena_destroy(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t n, size_t size);
void *arena_dup(struct arena *arena, const void *p, size_t n, size_t size);

/* Makes everything in the arena read-only in this process and in the children it
 * will have; nothing can be allocated there any more. */
void arena_protect(struct arena *arena);

/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

/* bytes of zeroed MAP_SHARED memory of its own, rounded up to whole pages, or
 * NULL with errno set.  Released with mem_unmap. */
void *mem_map_shared(size_t bytes);
void mem_unmap(void *p, size_t bytes);

#endif
