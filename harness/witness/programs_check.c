/* Whether a real file system would do the calls of a program: what trace_parse and
 * ops_lower do not ask, since they read what was recorded, and that had been done. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "ops.h"
#include "programs.h"
#include "trace_text.h"

struct checked_name {
	uint32_t dir, ino;
	const char *name;
};

/* The tree as the calls leave it. */
struct checking {
	struct checked_name *names;
	size_t n_names, names_cap;
	uint8_t *types;	  /* by inode */
	uint32_t *parent; /* by inode: of a directory, 0 once it is removed */
	uint32_t *links;  /* by inode */
	bool *named;	  /* by inode: it has a name, or had one */
};

static struct checked_name *lookup(struct checking *c, uint32_t dir, const char *name)
{
	for (size_t i = 0; i < c->n_names; i++)
		if (c->names[i].dir == dir && strcmp(c->names[i].name, name) == 0)
			return &c->names[i];
	return NULL;
}

static void add(struct checking *c, uint32_t dir, const char *name, uint32_t ino)
{
	*MEM_PUSH(c->names, c->n_names, c->names_cap) = (struct checked_name){dir, ino, name};
	c->parent[ino] = dir;
	c->links[ino]++;
	c->named[ino] = true;
}

static void drop(struct checking *c, struct checked_name *name)
{
	c->parent[name->ino] = 0;
	c->links[name->ino]--;
	*name = c->names[--c->n_names];
}

static bool is_directory(const struct checking *c, uint32_t ino)
{
	return c->types[ino] == INODE_DIR;
}

static bool empty(const struct checking *c, uint32_t dir)
{
	for (size_t i = 0; i < c->n_names; i++)
		if (c->names[i].dir == dir)
			return false;
	return true;
}

/* Whether dir is outer, or somewhere in it. */
static bool inside(const struct checking *c, uint32_t dir, uint32_t outer)
{
	while (dir != outer && dir != TRACE_ROOT && dir != 0)
		dir = c->parent[dir];
	return dir == outer;
}

/* Each returns what is wrong with a call, or NULL, and does it. */

static const char *check_make(struct checking *c, const struct event *e)
{
	c->types[e->ino] = e->kind == EVENT_MKDIR     ? INODE_DIR
			   : e->kind == EVENT_SYMLINK ? INODE_SYMLINK
						      : INODE_FILE;
	if (e->dir)
		add(c, e->dir, e->name, e->ino);
	return NULL;
}

static const char *check_link(struct checking *c, const struct event *e)
{
	if (c->types[e->ino] != INODE_FILE)
		return "what is linked is no file";
	if (c->named[e->ino] && !c->links[e->ino])
		return "a file that has lost its names gets no new one";
	add(c, e->dir, e->name, e->ino);
	return NULL;
}

static const char *check_remove(struct checking *c, const struct event *e)
{
	if (e->kind == EVENT_RMDIR && !empty(c, e->ino))
		return "the directory is not empty";
	drop(c, lookup(c, e->dir, e->name));
	return NULL;
}

static const char *check_rename(struct checking *c, const struct event *e)
{
	struct checked_name *to = lookup(c, e->dir2, e->name2);
	uint32_t replaced = to ? to->ino : 0;
	if (replaced == e->ino)
		return NULL; /* two links of one file: nothing happens */
	if (inside(c, e->dir2, e->ino))
		return "the directory would be inside itself";
	if (replaced && is_directory(c, replaced) != is_directory(c, e->ino))
		return "one of a directory and something else would replace the other";
	if (replaced && is_directory(c, replaced) && !empty(c, replaced))
		return "the directory that is replaced is not empty";
	if (replaced)
		drop(c, to);
	drop(c, lookup(c, e->dir, e->name));
	add(c, e->dir2, e->name2, e->ino);
	return NULL;
}

static const char *check_exchange(struct checking *c, const struct event *e)
{
	struct checked_name *a = lookup(c, e->dir, e->name), *b = lookup(c, e->dir2, e->name2);
	if (inside(c, e->dir2, a->ino) || inside(c, e->dir, b->ino))
		return "a directory would be inside itself";
	uint32_t ino = a->ino;
	a->ino = b->ino;
	b->ino = ino;
	c->parent[a->ino] = a->dir;
	c->parent[b->ino] = b->dir;
	return NULL;
}

static const char *check_call(struct checking *c, const struct event *e)
{
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_SYMLINK:
		return check_make(c, e);
	case EVENT_LINK:
		return check_link(c, e);
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		return check_remove(c, e);
	case EVENT_RENAME:
		return check_rename(c, e);
	case EVENT_EXCHANGE:
		return check_exchange(c, e);
	case EVENT_FALLOCATE:
	case EVENT_ZERO:
	case EVENT_MSYNC:
		return e->length ? NULL : "a range has at least one byte";
	case EVENT_FSYNC:
	case EVENT_FDATASYNC:
	case EVENT_HINT:
	case EVENT_OPEN:
		if (c->types[e->ino] == INODE_SYMLINK)
			return "a symbolic link cannot be opened";
		if (is_directory(c, e->ino) && e->ino != TRACE_ROOT && !c->links[e->ino])
			return "the directory is gone";
		return NULL;
	default:
		return NULL;
	}
}

static int check_trace(const struct trace *trace, struct err *err)
{
	struct checking c = {0};
	size_t n = (size_t)trace->n_inodes + 1;
	int rc = ERR_OK;
	c.types = mem_alloc(n, sizeof *c.types);
	c.parent = mem_alloc(n, sizeof *c.parent);
	c.links = mem_alloc(n, sizeof *c.links);
	c.named = mem_alloc(n, sizeof *c.named);
	c.types[TRACE_ROOT] = INODE_DIR;
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		c.types[trace->start_inodes[i].ino] = trace->start_inodes[i].type;
	for (size_t i = 0; i < trace->n_start_entries; i++) {
		const struct start_entry *s = &trace->start_entries[i];
		add(&c, s->dir, s->name, s->ino);
	}
	for (size_t i = 0; i < trace->n_events && !rc; i++) {
		const struct event *e = &trace->events[i];
		const char *wrong = check_call(&c, e);
		if (wrong)
			rc = err_set(err, ERR_USAGE, "call %zu (%s): %s", i + 1,
				     event_kind_name(e->kind), wrong);
	}
	free(c.names);
	free(c.types);
	free(c.parent);
	free(c.links);
	free(c.named);
	return rc;
}

int program_check(const char *text, struct err *err)
{
	struct trace *trace;
	struct ops *ops;
	int rc = trace_parse(text, "program", &trace, err);
	if (rc)
		return rc;
	trace_seal(trace);
	rc = ops_lower(trace, &ops, err);
	rc = rc ? rc : check_trace(trace, err);
	trace_destroy(trace);
	return rc;
}
