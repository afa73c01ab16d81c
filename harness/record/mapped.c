#include "mapped_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handlers.h"
#include "mem.h"

/* More data than this in one file is not followed. */
#define DATA_MAX ((uint64_t)1 << 30)

uint32_t mapped_ino(const struct mapped_file *file)
{
	return file->ino;
}

static struct mapped_file *find(const struct recorder *r, uint32_t ino)
{
	struct mapped_file *file;
	HASH_FIND(hh, r->mapped, &ino, sizeof ino, file);
	return file;
}

bool mapped_is_watched(const struct recorder *recorder, uint32_t ino)
{
	const struct mapped_file *file = find(recorder, ino);
	return file && file->shadow;
}

struct mapped_file *mapped_open(struct task *task)
{
	struct recorder *r = task->recorder;
	struct mapped_file *file = find(r, task->call.ino);
	if (file)
		return file;
	/* Not the tracee's descriptor: a lock on it would last for as long as ours. */
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", task->call.fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	file = mem_alloc(1, sizeof *file);
	file->ino = task->call.ino;
	file->fd = fd;
	HASH_ADD(hh, r->mapped, ino, sizeof file->ino, file);
	return file;
}

void mapped_suspect(struct mapped_file *file, uint64_t from, uint64_t to)
{
	*MEM_PUSH(file->suspected, file->n_suspected, file->suspected_cap) =
		(struct range){from, to};
}

/* Shadows */

static void no_room(void)
{
	perror("powercut: cannot map memory for a shadow of a file");
	exit(70);
}

static void set_room(struct mapped_file *file, uint64_t size)
{
	uint64_t room = whole_pages(size ? size : 1);
	void *p;
	if (file->shadow && room <= file->room)
		return;
	if (file->shadow)
		p = mremap(file->shadow, file->room, room, MREMAP_MAYMOVE);
	else
		p = mmap(NULL, room, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		no_room();
	file->shadow = p;
	file->room = room;
}

static void zero(struct mapped_file *file, uint64_t from, uint64_t to)
{
	if (to > file->room)
		to = file->room;
	uint64_t first = whole_pages(from), last = to / PAGE * PAGE;
	if (from >= to)
		return;
	if (first >= last) {
		memset(file->shadow + from, 0, to - from);
		return;
	}
	memset(file->shadow + from, 0, first - from);
	madvise(file->shadow + first, last - first, MADV_DONTNEED);
	memset(file->shadow + last, 0, to - last);
}

static void set_size(struct mapped_file *file, uint64_t size)
{
	set_room(file, size);
	if (size < file->size)
		zero(file, size, file->size);
	/* Stores behind the old end, which were no part of the file, may now be. */
	if (size > file->size)
		mapped_suspect(file, file->size, whole_pages(file->size));
	file->size = size;
}

/* What a call has changed is no store. */
static void apply(struct mapped_file *file, const struct event *e)
{
	uint64_t end = e->offset + e->length;
	switch (e->kind) {
	case EVENT_WRITE:
		if (end > file->size)
			set_size(file, end);
		memcpy(file->shadow + e->offset, e->data, e->length);
		break;
	case EVENT_TRUNCATE:
		set_size(file, e->length);
		break;
	case EVENT_ZERO:
	case EVENT_FALLOCATE:
		if (!(e->flags & EVENT_KEEP_SIZE) && end > file->size)
			set_size(file, end);
		if (e->kind == EVENT_ZERO)
			zero(file, e->offset, end);
		break;
	default:
		break;
	}
}

void mapped_apply(struct recorder *r)
{
	const struct trace *t = r->trace;
	for (; r->applied < t->n_events; r->applied++) {
		const struct event *e = &t->events[r->applied];
		struct mapped_file *file = e->ino ? find(r, e->ino) : NULL;
		if (file && file->shadow)
			apply(file, e);
	}
}

bool mapped_next_data(int fd, uint64_t *from, uint64_t end, uint64_t *to)
{
	off_t data = lseek(fd, (off_t)*from, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return false;
	off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	if (data >= 0)
		*from = (uint64_t)data;
	*to = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
	return *from < end;
}

/* The contents at first.  False where they are too many or cannot be read. */
static bool fill_shadow(struct mapped_file *file)
{
	uint64_t from, to, data = 0;
	for (from = 0; mapped_next_data(file->fd, &from, file->size, &to); from = to) {
		data += to - from;
		if (data > DATA_MAX)
			return false;
		while (from < to) {
			ssize_t n = pread(file->fd, file->shadow + from, to - from, (off_t)from);
			if (n <= 0)
				return n == 0;
			from += (uint64_t)n;
		}
	}
	return true;
}

void mapped_drop(struct recorder *r, struct mapped_file *file)
{
	munmap(file->shadow, file->room);
	file->shadow = NULL;
	file->size = file->room = 0;
	file->n_suspected = 0;
	r->n_watched--;
}

static void spoil(struct task *task, struct mapped_file *file)
{
	char *path = trace_path(task->recorder->trace, file->ino, task->recorder->trace->n_events);
	note_add(task->recorder, task, EVENT_INCONCLUSIVE,
		 "mmap: stores through a shared mapping of %s, which has more than 1 GiB of data or "
		 "cannot be read, are not seen",
		 path);
	free(path);
}

void mapped_watch(struct task *task, struct mapped_file *file)
{
	struct recorder *r = task->recorder;
	if (file->shadow || file->hopeless)
		return;
	mapped_apply(r);
	file->size = tree_node(&r->tree, file->ino)->size;
	set_room(file, file->size);
	r->n_watched++;
	if (!fill_shadow(file)) {
		file->hopeless = true;
		spoil(task, file);
		mapped_drop(r, file);
	}
}

void mapped_finish(struct recorder *recorder)
{
	struct mapped_file *file, *next;
	HASH_ITER (hh, recorder->mapped, file, next) {
		HASH_DEL(recorder->mapped, file);
		if (file->shadow)
			munmap(file->shadow, file->room);
		close(file->fd);
		free(file->suspected);
		free(file);
	}
}
