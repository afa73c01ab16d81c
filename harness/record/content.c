/* A file is replayed into memory that costs nothing where nothing was written,
 * as its events may leave holes of any size.  Two files are equal if they are so
 * wherever one of them can be anything but zeros: in the data of the real one,
 * and in the ranges that the trace wrote. */
#include "content.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"

#define NO_EVENT SIZE_MAX

struct content_index {
	const struct trace *trace;
	size_t *first, *last;		  /* by inode: its first and last event, or NO_EVENT */
	size_t *next;			  /* by event: the next one of its inode, or NO_EVENT */
	const struct start_inode **start; /* by inode, or NULL */
};

static bool changes_content(const struct event *e)
{
	return e->kind == EVENT_WRITE || e->kind == EVENT_TRUNCATE || e->kind == EVENT_FALLOCATE ||
	       e->kind == EVENT_ZERO || e->kind == EVENT_SYMLINK;
}

struct content_index *content_index_create(const struct trace *trace)
{
	struct content_index *index = mem_alloc(1, sizeof *index);
	size_t n = (size_t)trace->n_inodes + 1;
	index->trace = trace;
	index->first = mem_alloc(n, sizeof *index->first);
	index->last = mem_alloc(n, sizeof *index->last);
	index->next = mem_alloc(trace->n_events, sizeof *index->next);
	index->start = mem_alloc(n, sizeof *index->start);
	for (size_t i = 0; i < n; i++)
		index->first[i] = index->last[i] = NO_EVENT;
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		index->start[trace->start_inodes[i].ino] = &trace->start_inodes[i];
	for (size_t i = 0; i < trace->n_events; i++) {
		const struct event *e = &trace->events[i];
		index->next[i] = NO_EVENT;
		if (!changes_content(e))
			continue;
		if (index->last[e->ino] == NO_EVENT)
			index->first[e->ino] = i;
		else
			index->next[index->last[e->ino]] = i;
		index->last[e->ino] = i;
	}
	return index;
}

void content_index_destroy(struct content_index *index)
{
	if (!index)
		return;
	free(index->first);
	free(index->last);
	free(index->next);
	free(index->start);
	free(index);
}

/* The bytes of a file, in room for as many as it ever had. */
struct content {
	uint8_t *bytes;
	uint64_t size, room;
};

static uint64_t size_after(const struct event *e, uint64_t size)
{
	uint64_t end = e->offset + e->length;
	if (e->kind == EVENT_TRUNCATE)
		return e->length;
	if (e->flags & EVENT_KEEP_SIZE)
		return size;
	return size > end ? size : end;
}

/* The last size, and in *room the greatest one. */
static uint64_t final_size(const struct content_index *index, uint32_t ino, uint64_t *room)
{
	uint64_t size = index->start[ino] ? index->start[ino]->size : 0;
	*room = size;
	for (size_t i = index->first[ino]; i != NO_EVENT; i = index->next[i]) {
		size = size_after(&index->trace->events[i], size);
		if (size > *room)
			*room = size;
	}
	return size;
}

static void zero(struct content *c, uint64_t from, uint64_t to)
{
	enum { PAGE = 4096 };
	uint64_t inner_from = (from + PAGE - 1) / PAGE * PAGE, inner_to = to / PAGE * PAGE;
	if (from >= to)
		return;
	if (inner_from >= inner_to) {
		memset(c->bytes + from, 0, to - from);
		return;
	}
	memset(c->bytes + from, 0, inner_from - from);
	madvise(c->bytes + inner_from, inner_to - inner_from, MADV_DONTNEED);
	memset(c->bytes + inner_to, 0, to - inner_to);
}

static void apply(struct content *c, const struct event *e)
{
	uint64_t after = size_after(e, c->size), end = e->offset + e->length;
	if (e->kind == EVENT_WRITE)
		memcpy(c->bytes + e->offset, e->data, e->length);
	else if (e->kind == EVENT_TRUNCATE)
		zero(c, after, c->size);
	else if (e->kind == EVENT_ZERO)
		zero(c, e->offset, end < c->room ? end : c->room);
	c->size = after;
}

static bool equal(const struct content *c, const uint8_t *real, uint64_t from, uint64_t to)
{
	if (to > c->size)
		to = c->size;
	return from >= to || memcmp(c->bytes + from, real + from, to - from) == 0;
}

static bool equal_where_real_has_data(const struct content *c, const uint8_t *real, int fd)
{
	for (off_t from = 0, to; (from = lseek(fd, from, SEEK_DATA)) >= 0; from = to) {
		to = lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			break;
		if (!equal(c, real, (uint64_t)from, (uint64_t)to))
			return false;
	}
	return true;
}

static bool equal_where_written(const struct content_index *index, uint32_t ino,
				const struct content *c, const uint8_t *real)
{
	if (index->start[ino] && !equal(c, real, 0, index->start[ino]->size))
		return false;
	for (size_t i = index->first[ino]; i != NO_EVENT; i = index->next[i]) {
		const struct event *e = &index->trace->events[i];
		if (e->kind == EVENT_WRITE && !equal(c, real, e->offset, e->offset + e->length))
			return false;
	}
	return true;
}

/* Replays into c->bytes, which has c->room bytes, all zero. */
static void replay(const struct content_index *index, uint32_t ino, struct content *c)
{
	const struct start_inode *start = index->start[ino];
	if (start && start->size > 0)
		memcpy(c->bytes, start->data, start->size);
	c->size = start ? start->size : 0;
	for (size_t i = index->first[ino]; i != NO_EVENT; i = index->next[i])
		apply(c, &index->trace->events[i]);
}

static void *map(uint64_t bytes, int flags, int fd)
{
	int protection = fd >= 0 ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, bytes, protection, flags, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

const char *content_compare(const struct content_index *index, uint32_t ino, int fd, uint64_t size)
{
	struct content c = {0};
	uint64_t expected = final_size(index, ino, &c.room);
	if (expected != size)
		return "has another size";
	if (size == 0)
		return NULL;
	const char *how = NULL;
	c.bytes = map(c.room, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	uint8_t *real = map(size, MAP_PRIVATE, fd);
	if (!c.bytes || !real) {
		how = "is too large to be compared";
	} else {
		replay(index, ino, &c);
		if (!equal_where_real_has_data(&c, real, fd) ||
		    !equal_where_written(index, ino, &c, real))
			how = "has other contents";
	}
	if (c.bytes)
		munmap(c.bytes, c.room);
	if (real)
		munmap(real, size);
	return how;
}

const uint8_t *content_symlink(const struct content_index *index, uint32_t ino, size_t *n)
{
	if (index->start[ino]) {
		*n = index->start[ino]->size;
		return index->start[ino]->data;
	}
	const struct event *e = &index->trace->events[index->first[ino]];
	*n = e->data_length;
	return e->data;
}
