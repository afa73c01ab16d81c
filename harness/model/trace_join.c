#include "trace_join.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* A name in a directory of the first trace. */
struct entry {
	uint32_t dir, ino;
	const char *name;
};

struct join {
	struct trace *out;
	const struct trace *first, *second;
	struct entry *entries; /* the tree that the first life left */
	size_t n_entries, entries_cap;
	uint32_t *inos; /* by inode of second: its number in out, or 0 */
};

/* ---- the tree of the first life ---- */

static struct entry *find(const struct join *j, uint32_t dir, const char *name)
{
	for (size_t i = 0; i < j->n_entries; i++)
		if (j->entries[i].dir == dir && strcmp(j->entries[i].name, name) == 0)
			return &j->entries[i];
	return NULL;
}

static void put(struct join *j, uint32_t dir, const char *name, uint32_t ino)
{
	struct entry *known = find(j, dir, name);
	if (!known)
		known = MEM_PUSH(j->entries, j->n_entries, j->entries_cap);
	*known = (struct entry){dir, ino, name};
}

static void drop(struct join *j, uint32_t dir, const char *name)
{
	struct entry *known = find(j, dir, name);
	if (known)
		*known = j->entries[--j->n_entries];
}

static void follow(struct join *j, const struct event *e)
{
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_SYMLINK:
	case EVENT_LINK:
		if (e->dir != 0)
			put(j, e->dir, e->name, e->ino);
		break;
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		drop(j, e->dir, e->name);
		break;
	case EVENT_RENAME:
		drop(j, e->dir, e->name);
		put(j, e->dir2, e->name2, e->ino);
		break;
	case EVENT_EXCHANGE: {
		struct entry *a = find(j, e->dir, e->name), *b = find(j, e->dir2, e->name2);
		if (a && b) {
			uint32_t ino = a->ino;
			a->ino = b->ino;
			b->ino = ino;
		}
		break;
	}
	default:
		break;
	}
}

/* ---- the first life ---- */

static void copy_start(struct join *j)
{
	struct trace *out = j->out;
	const struct trace *first = j->first;
	out->n_inodes = first->n_inodes;
	for (size_t i = 0; i < first->n_start_inodes; i++)
		*MEM_PUSH(out->start_inodes, out->n_start_inodes, out->start_inodes_cap) =
			first->start_inodes[i];
	for (size_t i = 0; i < first->n_start_entries; i++) {
		const struct start_entry *e = &first->start_entries[i];
		trace_start_link(out, e->dir, e->name, e->ino);
		put(j, e->dir, e->name, e->ino);
	}
}

static uint32_t copy_stack(struct join *j, const struct trace *from, uint32_t stack,
			   const uint32_t *modules)
{
	const struct stack *s = &from->stacks[stack];
	struct frame *frames = mem_alloc(s->n, sizeof *frames);
	for (uint32_t i = 0; i < s->n; i++)
		frames[i] = (struct frame){modules[s->frames[i].module], s->frames[i].offset};
	uint32_t number = trace_stack(j->out, frames, s->n);
	free(frames);
	return number;
}

/* By module of a trace, its number in out.  Caller frees; so below. */
static uint32_t *copy_modules(struct join *j, const struct trace *from)
{
	uint32_t *modules = mem_alloc(from->n_modules, sizeof *modules);
	for (size_t i = 0; i < from->n_modules; i++)
		modules[i] = trace_module(j->out, from->modules[i].path, from->modules[i].build_id);
	return modules;
}

static uint32_t *copy_stacks(struct join *j, const struct trace *from)
{
	uint32_t *modules = copy_modules(j, from);
	uint32_t *stacks = mem_alloc(from->n_stacks, sizeof *stacks);
	for (size_t i = 1; i < from->n_stacks; i++)
		stacks[i] = copy_stack(j, from, (uint32_t)i, modules);
	free(modules);
	return stacks;
}

static struct event *copy_event(struct join *j, const struct event *e, const uint32_t *stacks)
{
	struct event *copy = trace_append(j->out, e->kind);
	*copy = *e;
	copy->stack = stacks[e->stack];
	copy->name = trace_intern(j->out, e->name);
	copy->name2 = trace_intern(j->out, e->name2);
	return copy;
}

static void copy_first(struct join *j, size_t n_events)
{
	uint32_t *stacks = copy_stacks(j, j->first);
	copy_start(j);
	for (size_t i = 0; i < n_events; i++) {
		copy_event(j, &j->first->events[i], stacks);
		follow(j, &j->first->events[i]);
	}
	free(stacks);
}

/* ---- the second life ---- */

/* Finds out which inodes of the first life those are that the second began with.
 * Entries may be in any order, so a directory may be known late. */
static bool match_start(struct join *j)
{
	const struct trace *second = j->second;
	size_t matched = 0;
	j->inos[TRACE_ROOT] = TRACE_ROOT;
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < second->n_start_entries; i++) {
			const struct start_entry *e = &second->start_entries[i];
			const struct entry *known =
				j->inos[e->dir] ? find(j, j->inos[e->dir], e->name) : NULL;
			if (!known || j->inos[e->ino])
				continue;
			j->inos[e->ino] = known->ino;
			more = true;
			matched++;
		}
	}
	return matched == second->n_start_inodes;
}

static uint32_t new_number(struct join *j, uint32_t ino)
{
	if (ino && !j->inos[ino])
		j->inos[ino] = trace_new_inode(j->out);
	return ino ? j->inos[ino] : 0;
}

static void copy_second(struct join *j, size_t n_events)
{
	uint32_t *stacks = copy_stacks(j, j->second);
	for (size_t i = 0; i < j->second->n_events; i++) {
		struct event *e = copy_event(j, &j->second->events[i], stacks);
		e->entered += (uint32_t)n_events;
		e->ino = new_number(j, e->ino);
		e->dir = new_number(j, e->dir);
		e->dir2 = new_number(j, e->dir2);
	}
	free(stacks);
}

struct trace *trace_join(const struct trace *first, size_t n_events, const struct trace *second,
			 struct err *err)
{
	struct join j = {.out = trace_create(), .first = first, .second = second};
	j.inos = mem_alloc((size_t)second->n_inodes + 1, sizeof *j.inos);
	copy_first(&j, n_events);
	if (match_start(&j)) {
		copy_second(&j, n_events);
		trace_seal(j.out);
	} else {
		err_set(err, ERR_INTERNAL,
			"the second life of a directory begins with other files "
			"than the first one left");
		trace_destroy(j.out);
		j.out = NULL;
	}
	free(j.entries);
	free(j.inos);
	return j.out;
}
