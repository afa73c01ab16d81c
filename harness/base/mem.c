#include "mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Address space, not memory: pages come when they are touched.  Few large mappings
 * make a fork cheaper than many small ones. */
enum { ARENA_CHUNK = 64 << 20 };

static void out_of_memory(void)
{
	static const char text[] = "powercut: out of memory\n";
	fputs(text, stderr);
	exit(70);
}

void *mem_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return p;
	size_t bigger = *cap ? *cap : 8;
	while (bigger < need)
		bigger *= 2;
	if (size && bigger > SIZE_MAX / size)
		out_of_memory();
	char *q = realloc(p, bigger * size);
	if (!q)
		out_of_memory();
	memset(q + *cap * size, 0, (bigger - *cap) * size);
	*cap = bigger;
	return q;
}

char *mem_dup(const void *p, size_t n)
{
	char *q = malloc(n + 1);
	if (!q)
		out_of_memory();
	if (n)
		memcpy(q, p, n);
	q[n] = '\0';
	return q;
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		out_of_memory();
	return text;
}

struct chunk {
	struct chunk *next;
	size_t bytes;
};

struct arena {
	struct chunk *chunks; /* newest first; the first one is being filled */
	size_t at;	      /* next free byte of the first chunk */
	size_t used;
};

struct arena *arena_create(void)
{
	return mem_alloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *c = arena->chunks; c;) {
		struct chunk *next = c->next;
		munmap(c, c->bytes);
		c = next;
	}
	free(arena);
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
	if (size && n > (SIZE_MAX / 2) / size)
		out_of_memory();
	size_t want = (n * size + 15) & ~(size_t)15;
	if (!arena->chunks || arena->chunks->bytes - arena->at < want) {
		size_t head = (sizeof(struct chunk) + 15) & ~(size_t)15;
		size_t bytes = want + head > ARENA_CHUNK ? want + head : ARENA_CHUNK;
		struct chunk *c = mem_map_shared(bytes);
		if (!c)
			out_of_memory();
		c->bytes = bytes;
		c->next = arena->chunks;
		arena->chunks = c;
		arena->at = head;
	}
	void *p = (char *)arena->chunks + arena->at;
	arena->at += want;
	arena->used += want;
	return p;
}

void *arena_dup(struct arena *arena, const void *p, size_t n, size_t size)
{
	void *q = arena_alloc(arena, n, size);
	if (n && size)
		memcpy(q, p, n * size);
	return q;
}

void arena_protect(struct arena *arena)
{
	for (struct chunk *c = arena->chunks, *next; c; c = next) {
		next = c->next;
		mprotect(c, c->bytes, PROT_READ);
	}
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}

void *mem_map_shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void mem_unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}
