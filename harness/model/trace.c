#include "trace.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "mem.h"

struct interned {
	UT_hash_handle hh;
	char *text;
};

struct stack_key {
	UT_hash_handle hh;
	uint32_t id;
	size_t n;
	struct frame frames[];
};

struct trace *trace_create(void)
{
	struct trace *trace = mem_alloc(1, sizeof *trace);
	trace->arena = arena_create();
	trace->n_inodes = TRACE_ROOT;
	*MEM_PUSH(trace->stacks, trace->n_stacks, trace->stacks_cap) = (struct stack){0};
	return trace;
}

static void forget_keys(struct trace *trace)
{
	struct interned *s, *s_next;
	HASH_ITER (hh, trace->interned, s, s_next) {
		HASH_DEL(trace->interned, s);
		free(s);
	}
	struct stack_key *k, *k_next;
	HASH_ITER (hh, trace->stack_keys, k, k_next) {
		HASH_DEL(trace->stack_keys, k);
		free(k);
	}
}

void trace_destroy(struct trace *trace)
{
	if (!trace)
		return;
	forget_keys(trace);
	if (!trace->sealed) {
		free(trace->start_inodes);
		free(trace->start_entries);
		free(trace->events);
		free(trace->stacks);
		free(trace->modules);
	}
	arena_destroy(trace->arena);
	free(trace);
}

uint32_t trace_new_inode(struct trace *trace)
{
	return ++trace->n_inodes;
}

uint32_t trace_start(struct trace *trace, uint32_t dir, const char *name, enum inode_type type,
		     const void *data, size_t size)
{
	uint32_t ino = trace_new_inode(trace);
	*MEM_PUSH(trace->start_inodes, trace->n_start_inodes, trace->start_inodes_cap) =
		(struct start_inode){.ino = ino,
				     .type = (uint8_t)type,
				     .size = size,
				     .data = trace_bytes(trace, data, size)};
	trace_start_link(trace, dir, name, ino);
	return ino;
}

void trace_start_link(struct trace *trace, uint32_t dir, const char *name, uint32_t ino)
{
	*MEM_PUSH(trace->start_entries, trace->n_start_entries, trace->start_entries_cap) =
		(struct start_entry){.dir = dir, .ino = ino, .name = trace_intern(trace, name)};
}

struct event *trace_append(struct trace *trace, enum event_kind kind)
{
	uint32_t at = (uint32_t)trace->n_events;
	struct event *e = MEM_PUSH(trace->events, trace->n_events, trace->events_cap);
	*e = (struct event){
		.kind = (uint8_t)kind, .entered = at, .call = "", .name = "", .name2 = ""};
	return e;
}

const char *trace_intern(struct trace *trace, const char *s)
{
	struct interned *found;
	size_t n = strlen(s);
	HASH_FIND(hh, trace->interned, s, n, found);
	if (!found) {
		found = mem_alloc(1, sizeof *found);
		found->text = arena_dup(trace->arena, s, n + 1, 1);
		HASH_ADD_KEYPTR(hh, trace->interned, found->text, n, found);
	}
	return found->text;
}

const uint8_t *trace_bytes(struct trace *trace, const void *p, size_t n)
{
	return arena_dup(trace->arena, p, n, 1);
}

uint32_t trace_module(struct trace *trace, const char *path, const char *build_id)
{
	for (size_t i = 0; i < trace->n_modules; i++)
		if (strcmp(trace->modules[i].path, path) == 0 &&
		    strcmp(trace->modules[i].build_id, build_id) == 0)
			return (uint32_t)i;
	*MEM_PUSH(trace->modules, trace->n_modules, trace->modules_cap) =
		(struct module){trace_intern(trace, path), trace_intern(trace, build_id)};
	return (uint32_t)trace->n_modules - 1;
}

uint32_t trace_stack(struct trace *trace, const struct frame *frames, size_t n)
{
	if (n == 0)
		return 0;
	/* Frames are copied field by field: padding must not tell equal ones apart. */
	struct stack_key *key = mem_alloc(1, sizeof *key + n * sizeof *frames), *found;
	for (size_t i = 0; i < n; i++) {
		key->frames[i].module = frames[i].module;
		key->frames[i].offset = frames[i].offset;
	}
	key->n = n;
	HASH_FIND(hh, trace->stack_keys, key->frames, n * sizeof *frames, found);
	if (found) {
		free(key);
		return found->id;
	}
	key->id = (uint32_t)trace->n_stacks;
	HASH_ADD_KEYPTR(hh, trace->stack_keys, key->frames, n * sizeof *frames, key);
	*MEM_PUSH(trace->stacks, trace->n_stacks, trace->stacks_cap) = (struct stack){
		(uint32_t)n, arena_dup(trace->arena, key->frames, n, sizeof *frames)};
	return key->id;
}

static void *move(struct arena *arena, void *p, size_t n, size_t size)
{
	void *q = arena_dup(arena, p, n, size);
	free(p);
	return q;
}

void trace_seal(struct trace *trace)
{
	if (trace->sealed)
		return;
	struct arena *a = trace->arena;
	trace->start_inodes =
		move(a, trace->start_inodes, trace->n_start_inodes, sizeof *trace->start_inodes);
	trace->start_entries =
		move(a, trace->start_entries, trace->n_start_entries, sizeof *trace->start_entries);
	trace->events = move(a, trace->events, trace->n_events, sizeof *trace->events);
	trace->stacks = move(a, trace->stacks, trace->n_stacks, sizeof *trace->stacks);
	trace->modules = move(a, trace->modules, trace->n_modules, sizeof *trace->modules);
	forget_keys(trace);
	trace->sealed = true;
}

const char *trace_inconclusive(const struct trace *trace)
{
	for (size_t i = 0; i < trace->n_events; i++)
		if (trace->events[i].kind == EVENT_NOTE &&
		    trace->events[i].flags & EVENT_INCONCLUSIVE)
			return (const char *)trace->events[i].data;
	return NULL;
}

const char *event_kind_name(enum event_kind kind)
{
	static const char *const names[] = {
#define X(constant, name) name,
		EVENT_KINDS(X)
#undef X
	};
	return kind < EVENT_KINDS_COUNT ? names[kind] : "?";
}
