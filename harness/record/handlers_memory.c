/* Calls on memory that files under the root may be mapped in. */
#include "handlers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mapped.h"
#include "mem.h"

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

static char *path_of(struct task *task, uint32_t ino)
{
	return trace_path(task->recorder->trace, ino, task->recorder->trace->n_events);
}

/* The addresses of a call, which are whole pages. */
static void range_of(const struct task *task, uint64_t *from, uint64_t *to)
{
	uint64_t length = (task->call.args[1] + 4095) / 4096 * 4096;
	*from = task->call.args[0];
	*to = length > UINT64_MAX - *from ? UINT64_MAX : *from + length;
}

/* The next mapping from *i on that addresses [from, to) reach into, or NULL. */
static const struct mapping *next_mapping(const struct task *task, uint64_t from, uint64_t to,
					  size_t *i)
{
	const struct process *process = task->process;
	for (; *i < process->n_mappings; ++*i) {
		const struct mapping *m = &process->mappings[*i];
		if (m->start < to && m->end > from)
			return &process->mappings[(*i)++];
	}
	return NULL;
}

static bool touches_mapping(const struct task *task, uint64_t from, uint64_t to)
{
	size_t i = 0;
	return next_mapping(task, from, to, &i) != NULL;
}

/* mmap */

static void cannot_follow(struct task *task)
{
	char *path = path_of(task, task->call.ino);
	call_inconclusive(task, "stores through a shared mapping of %s are not seen (%s)", path,
			  task->call.flags & MAP_SYNC ? "MAP_SYNC" : "it cannot be read");
	free(path);
}

static void replaced(struct task *task)
{
	uint64_t from, to;
	range_of(task, &from, &to);
	mapped_refresh(task, NULL, from, to);
}

static void mapped(struct task *task)
{
	struct mapped_file *file = mapped_open(task);
	uint64_t from = task->call.ret, length = (task->call.args[1] + 4095) / 4096 * 4096;
	if (mapped_is_watched(task->recorder, task->call.ino)) {
		char *path = path_of(task, task->call.ino);
		note_add(task->recorder, task, 0, "mmap: stores to %s are seen as of the next call",
			 path);
		free(path);
	}
	mapped_refresh(task, file, from, from + length);
}

static void enter_shared(struct task *task)
{
	struct mapped_file *file = mapped_open(task);
	uint64_t type = task->call.args[3] & MAP_TYPE;
	task->call.flags = type == MAP_SHARED_VALIDATE ? task->call.args[3] : 0;
	if (!file || task->call.flags & MAP_SYNC) {
		task->call.flags |= file ? 0 : MAP_TYPE;
		task->call.at_exit = cannot_follow;
		return;
	}
	task->call.at_exit = mapped;
	task->call.exclusive = true;
	if (task->call.args[2] & PROT_WRITE && !task->recorder->holder)
		mapped_watch(task, file);
}

void call_mmap(struct task *task)
{
	uint64_t flags = task->call.args[3];
	bool shared = flags & MAP_SHARED && !(flags & MAP_ANONYMOUS);
	if (flags & MAP_FIXED && task->process->n_mappings > 0)
		task->call.at_exit = replaced;
	if (!shared || !call_takes_fd(task, (int)task->call.args[4]))
		return;
	if ((task->call.fd_flags & O_ACCMODE) == O_RDWR)
		enter_shared(task);
	else
		task->recorder->exact_maps = true; /* it looks like the others, but for msync */
}

/* What changes mappings */

void call_munmap(struct task *task)
{
	uint64_t from, to;
	range_of(task, &from, &to);
	if (touches_mapping(task, from, to))
		task->call.at_exit = replaced;
}

static void replaced_somewhere(struct task *task)
{
	mapped_refresh(task, NULL, 0, UINT64_MAX);
}

void call_mremap(struct task *task)
{
	uint64_t from, to;
	range_of(task, &from, &to);
	if (touches_mapping(task, from, to) ||
	    (task->call.args[3] & MREMAP_FIXED && task->process->n_mappings > 0))
		task->call.at_exit = replaced_somewhere;
}

/* remap_file_pages, shmat with SHM_REMAP: rare enough. */
void call_remapped(struct task *task)
{
	if (task->process->n_mappings > 0)
		task->call.at_exit = replaced_somewhere;
}

/* Only asked of PROT_WRITE: what can no longer be stored to may as well be watched. */
void call_mprotect(struct task *task)
{
	uint64_t from, to;
	size_t i = 0;
	range_of(task, &from, &to);
	for (const struct mapping *m; (m = next_mapping(task, from, to, &i));) {
		if (m->writable)
			continue;
		task->call.exclusive = true;
		task->call.at_exit = replaced;
		if (!task->recorder->holder)
			mapped_watch(task, m->file);
	}
}

/* MADV_REMOVE is a hole punched through memory. */
static void punched(struct task *task)
{
	uint64_t from, to;
	size_t i = 0;
	range_of(task, &from, &to);
	for (const struct mapping *m; (m = next_mapping(task, from, to, &i));) {
		uint64_t start = m->start > from ? m->start : from;
		struct event *event = call_event(task, EVENT_ZERO);
		event->ino = mapped_ino(m->file);
		event->flags = EVENT_KEEP_SIZE;
		event->offset = m->offset + (start - m->start);
		event->length = (m->end < to ? m->end : to) - start;
	}
}

void call_madvise(struct task *task)
{
	uint64_t from, to;
	range_of(task, &from, &to);
	if (!touches_mapping(task, from, to))
		return;
	task->call.exclusive = true;
	task->call.at_exit = punched;
}

/* msync */

/* MS_SYNC syncs each mapping's part of its file; MS_ASYNC does nothing.  Where
 * another thread has changed the mappings meanwhile, nobody can tell what was synced. */
static void synced_mappings(struct task *task)
{
	uint64_t from, to;
	size_t i = 0;
	bool sync = task->call.args[2] & MS_SYNC && task->call.flags == task->process->remapped;
	range_of(task, &from, &to);
	for (const struct mapping *m; (m = next_mapping(task, from, to, &i));) {
		uint64_t start = m->start > from ? m->start : from;
		if (sync && m->syncs)
			call_needs_reaped(task, mapped_ino(m->file));
		struct event *event = call_event(task, sync && m->syncs ? EVENT_MSYNC : EVENT_HINT);
		event->ino = mapped_ino(m->file);
		event->offset = m->offset + (start - m->start);
		event->length = (m->end < to ? m->end : to) - start;
	}
}

void call_msync(struct task *task)
{
	uint64_t from, to;
	range_of(task, &from, &to);
	if (!touches_mapping(task, from, to))
		return;
	task->call.flags = task->process->remapped;
	task->call.at_exit = synced_mappings;
}
