/* Looking for what stores have changed.
 *
 * Bytes are read, not mapped: a file that is cut while it is looked at would kill
 * whoever has it mapped.
 *
 * What a look finds is to be what was there at one moment.  Where other threads can
 * store meanwhile, what was found is collected again until nothing is other than
 * before. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handlers.h"
#include "mapped_inside.h"
#include "mem.h"
#include "written.h"

enum {
	CHUNK = 16 * PAGE,
	/* Threads that store without end must not keep the recorder from going on. */
	COLLECTIONS_MAX = 16,
};

/* To be able to tell, the kernel needs page tables, also where a file has holes: 8 MiB for
 * this.  What is larger is compared wherever it has data. */
#define ASKED_MAX ((uint64_t)4 << 30)

/* A page that is other than its shadow. */
struct change {
	struct mapped_file *file;
	uint64_t offset;
	size_t n;     /* bytes: a page, or less at the end of the file */
	size_t bytes; /* where they are in collection.bytes */
};

/* All changed pages, by file and offset. */
struct collection {
	struct change *list;
	size_t n, cap;
	uint8_t *bytes;
	size_t n_bytes, bytes_cap;
};

static void add_change(struct collection *c, struct mapped_file *file, uint64_t offset,
		       const uint8_t *now, size_t n)
{
	*MEM_PUSH(c->list, c->n, c->cap) = (struct change){file, offset, n, c->n_bytes};
	c->bytes = mem_grow(c->bytes, &c->bytes_cap, c->n_bytes + n, 1);
	memcpy(c->bytes + c->n_bytes, now, n);
	c->n_bytes += n;
}

static bool same(const struct collection *a, const struct collection *b)
{
	if (a->n != b->n || a->n_bytes != b->n_bytes)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].file != b->list[i].file || a->list[i].offset != b->list[i].offset)
			return false;
	return a->n_bytes == 0 || memcmp(a->bytes, b->bytes, a->n_bytes) == 0;
}

static void collection_finish(struct collection *c)
{
	free(c->list);
	free(c->bytes);
}

/* Compares [from, to), which begins with a page, with the shadow. */
static void compare(struct recorder *r, struct collection *c, struct mapped_file *file,
		    uint64_t from, uint64_t to)
{
	uint8_t now[CHUNK];
	while (from < to) {
		size_t n = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
		ssize_t have = pread(file->fd, now, n, (off_t)from);
		if (have <= 0)
			return; /* cut by something not recorded: the check at the end tells */
		n = (size_t)have;
		r->result->pages_compared += (n + PAGE - 1) / PAGE;
		const uint8_t *shadow = file->shadow + from;
		for (size_t at = 0; at < n && memcmp(now + at, shadow + at, n - at) != 0;) {
			size_t page = n - at < PAGE ? n - at : PAGE;
			if (memcmp(now + at, shadow + at, page) != 0)
				add_change(c, file, from + at, now + at, page);
			at += page;
		}
		from = have % PAGE ? to : from + n;
	}
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Makes one of ranges that touch, in whole pages: a page must be looked at once. */
static void merge_suspected(struct mapped_file *file)
{
	struct range *s = file->suspected;
	size_t n = 0;
	if (file->n_suspected > 1)
		qsort(s, file->n_suspected, sizeof *s, by_start);
	for (size_t i = 0; i < file->n_suspected; i++) {
		struct range r = {s[i].from / PAGE * PAGE, whole_pages(s[i].to)};
		if (n > 0 && r.from <= s[n - 1].to)
			s[n - 1].to = r.to > s[n - 1].to ? r.to : s[n - 1].to;
		else
			s[n++] = r;
	}
	file->n_suspected = n;
}

/* The same, but for holes. */
static void compare_data(struct recorder *r, struct collection *c, struct mapped_file *file,
			 uint64_t from, uint64_t end)
{
	/* Where holes are smaller than pages, a page may be found by its end. */
	for (uint64_t to; from < end && mapped_next_data(file->fd, &from, end, &to); from = to) {
		to = smaller(whole_pages(to), end);
		compare(r, c, file, from / PAGE * PAGE, to);
	}
}

static void compare_suspected(struct recorder *r, struct collection *c, struct mapped_file *file)
{
	merge_suspected(file);
	for (size_t i = 0; i < file->n_suspected; i++) {
		uint64_t from = file->suspected[i].from;
		uint64_t end = smaller(file->suspected[i].to, file->size);
		/* Looking for a hole may take as long as reading the whole file. */
		if (end > from && end - from <= CHUNK)
			compare(r, c, file, from, end);
		else
			compare_data(r, c, file, from, end);
	}
}

static void told(void *arg, uint64_t from, uint64_t to)
{
	const struct mapping *m = arg;
	mapped_suspect(m->file, m->offset + (from - m->start), m->offset + (to - m->start));
}

/* Whatever may have been stored to through a mapping since this was last asked. */
static void suspect_mapping(const struct process *process, struct mapping *m)
{
	uint64_t size = whole_pages(m->file->size), n = m->end - m->start;
	if (size <= m->offset)
		return;
	n = smaller(n, size - m->offset);
	if (m->observed && n <= ASKED_MAX)
		m->observed = written_ask(process->written, m->start, m->start + n, told, m);
	if (!m->observed || n > ASKED_MAX)
		mapped_suspect(m->file, m->offset, m->offset + n);
}

static void suspect_written(struct process *process)
{
	for (size_t i = 0; i < process->n_mappings; i++)
		if (process->mappings[i].writable)
			suspect_mapping(process, &process->mappings[i]);
}

static void collect(struct recorder *r, struct collection *c)
{
	c->n = c->n_bytes = 0;
	for (struct process *p = r->processes; p; p = p->hh.next)
		suspect_written(p);
	for (struct mapped_file *f = r->mapped; f; f = f->hh.next)
		if (f->shadow)
			compare_suspected(r, c, f);
}

/* Whether anybody else may be storing now. */
static bool others_run(const struct recorder *r, const struct task *task)
{
	for (const struct task *t = r->tasks; t; t = t->hh.next)
		if (t != task && t->process->n_mappings > 0)
			return true;
	return false;
}

static void append_store(struct trace *trace, const struct collection *c,
			 const struct change *change, uint16_t thread, uint32_t entered)
{
	uint8_t *before = change->file->shadow + change->offset;
	const uint8_t *now = c->bytes + change->bytes;
	size_t from = 0, to = change->n;
	while (now[from] == before[from])
		from++;
	while (now[to - 1] == before[to - 1])
		to--;
	memcpy(before, now, change->n);
	struct event *e = trace_append(trace, EVENT_WRITE);
	e->thread = thread;
	e->entered = entered;
	e->flags = EVENT_STORE;
	e->ino = change->file->ino;
	e->offset = change->offset + from;
	e->length = e->data_length = to - from;
	e->data = trace_bytes(trace, now + from, to - from);
}

static void forget_suspected(struct recorder *r)
{
	for (struct mapped_file *f = r->mapped; f; f = f->hh.next) {
		f->n_suspected = 0;
		if (f->shadow && f->writers == 0)
			mapped_drop(r, f);
	}
}

void mapped_look(struct recorder *recorder, const struct task *task)
{
	struct collection found = {0}, again = {0};
	struct trace *trace = recorder->trace;
	if (recorder->n_watched == 0)
		return;
	mapped_apply(recorder);
	collect(recorder, &found);
	bool still = !others_run(recorder, task);
	for (int i = 1; !still && i < COLLECTIONS_MAX; i++) {
		collect(recorder, &again);
		still = same(&found, &again);
		struct collection swap = found;
		found = again;
		again = swap;
	}
	if (!still)
		note_add(recorder, NULL, 0,
			 "threads stored while it was looked: one look may show some stores "
			 "without others that came before");
	uint32_t entered = (uint32_t)trace->n_events;
	for (size_t i = 0; i < found.n; i++)
		append_store(trace, &found, &found.list[i], task->number, entered);
	recorder->applied = trace->n_events;
	forget_suspected(recorder);
	collection_finish(&found);
	collection_finish(&again);
}
