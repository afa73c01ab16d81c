#include "handlers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"
#include "peer.h"
#include "unwind.h"

struct event *call_event(struct task *task, enum event_kind kind)
{
	struct recorder *r = task->recorder;
	struct call *call = &task->call;
	if (!call->has_stack && !r->options->no_stacks) {
		call->stack = unwind_stack(task);
		call->has_stack = true;
	}
	struct event *event = trace_append(r->trace, kind);
	event->thread = task->number;
	event->entered = call->entered;
	event->stack = call->stack;
	event->call = task->row->name;
	call->recorded = true;
	return event;
}

static void add_note(struct recorder *r, struct task *task, unsigned flags, const char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < r->n_notes; i++) {
		const struct event *e = &r->trace->events[r->notes[i]];
		if (e->data_length == n && memcmp(e->data, text, n) == 0)
			return;
	}
	*MEM_PUSH(r->notes, r->n_notes, r->notes_cap) = r->trace->n_events;
	struct event *event = task && task->row ? call_event(task, EVENT_NOTE)
						: trace_append(r->trace, EVENT_NOTE);
	event->flags = (uint8_t)flags;
	event->data = trace_bytes(r->trace, text, n + 1);
	event->data_length = n;
}

void note_add(struct recorder *recorder, struct task *task, unsigned flags, const char *fmt, ...)
{
	char text[PATH_MAX + 256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	add_note(recorder, task, flags, text);
}

void call_inconclusive(struct task *task, const char *fmt, ...)
{
	char text[PATH_MAX + 256];
	int n = snprintf(text, sizeof text, "%s: ", task->row->name);
	va_list args;
	va_start(args, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, args);
	va_end(args);
	add_note(task->recorder, task, EVENT_INCONCLUSIVE, text);
}

/* Of a file that has lost its name the kernel still knows the directory. */
static bool was_under_root(const struct recorder *recorder, int ours)
{
	char path[PATH_MAX];
	struct stat st;
	if (!peer_fd_path(ours, path))
		return false;
	if (peer_under_root(recorder, path))
		return true;
	char *slash = strrchr(path, '/');
	slash[slash == path] = '\0';
	return stat(path, &st) == 0 && tree_identify_dir(&recorder->tree, &st) != 0;
}

uint32_t call_identify(const struct recorder *recorder, int ours, const struct stat *st)
{
	uint32_t ino = tree_identify(&recorder->tree, st);
	if (ino == 0 || recorder->tree.nodes[ino].links > 0)
		return ino;
	/* A file without names keeps its st_ino only while it is open. */
	return st->st_nlink == 0 && was_under_root(recorder, ours) ? ino : 0;
}

void call_ignored(struct task *task)
{
	(void)task;
}

static void not_read(struct task *task)
{
	call_inconclusive(task, "cannot read its arguments");
}

bool call_reads(struct task *task, uint64_t addr, void *out, size_t n)
{
	if (peer_read(task, addr, out, n))
		return true;
	task->call.at_exit = not_read;
	return false;
}

static void not_seen(struct task *task)
{
	call_inconclusive(task, "its descriptor cannot be looked up: the program hides itself");
}

bool call_opens_fd(struct task *task, int fd)
{
	struct call *call = &task->call;
	if (call->fd >= 0)
		close(call->fd);
	call->fd = peer_fd(task, fd, &call->fd_shared);
	if (call->fd == PEER_BLIND) {
		call->fd = -1;
		call->at_exit = not_seen;
	}
	return call->fd >= 0;
}

bool call_takes_fd(struct task *task, int fd)
{
	struct call *call = &task->call;
	struct stat st;
	if (!call_opens_fd(task, fd) || fstat(call->fd, &st) != 0)
		return false;
	call->ino = call_identify(task->recorder, call->fd, &st);
	if (call->ino == 0)
		return false;
	call->fd_flags = peer_fd_flags(task, fd);
	return true;
}

struct event *call_creates(struct task *task, enum event_kind kind, enum inode_type type,
			   uint32_t dir, const char *name, const struct stat *st)
{
	struct recorder *r = task->recorder;
	uint32_t ino = trace_new_inode(r->trace);
	tree_add(&r->tree, ino, type, st);
	if (dir != 0)
		tree_enter(&r->tree, dir, name, ino);
	struct event *event = call_event(task, kind);
	event->ino = ino;
	event->dir = dir;
	event->name = trace_intern(r->trace, name);
	return event;
}
