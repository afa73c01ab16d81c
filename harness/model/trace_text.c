#include "trace_text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "mem.h"

/* A name as of the line being read. */
struct name {
	uint32_t dir, ino;
	const char *name;
};

struct parser {
	struct trace *trace;
	unsigned line;
	struct err *err;
	struct name *names;
	size_t n_names, names_cap;
	uint64_t n_acks;
	uint64_t *sizes; /* by inode, for append */
	uint8_t *types;
	size_t sizes_cap, types_cap;
	const char *at; /* rest of the line */
	struct {
		const char *name;
		uint64_t n;
	} passages[64];
	size_t n_passages;
};

#define FAIL(p, ...) (err_set((p)->err, ERR_USAGE, __VA_ARGS__), -1)

static int word(struct parser *p, const char *what, char *out, size_t size)
{
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
	size_t n = strcspn(p->at, " \t");
	if (n == 0)
		return FAIL(p, "%s is missing", what);
	if (n >= size)
		return FAIL(p, "%s is longer than %zu bytes", what, size - 1);
	memcpy(out, p->at, n);
	out[n] = '\0';
	p->at += n;
	return 0;
}

/* At the end of the line or at a comment; "#*3" is data. */
static bool at_end(struct parser *p)
{
	p->at += strspn(p->at, " \t");
	return *p->at == '\0' || (*p->at == '#' && p->at[1] != '*');
}

static int number(struct parser *p, const char *what, uint64_t *value)
{
	char text[64], *end;
	if (word(p, what, text, sizeof text))
		return -1;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*end || errno || !isdigit((unsigned char)text[0]))
		return FAIL(p, "%s is \"%s\", expected a number below 2^64", what, text);
	return 0;
}

static struct name *lookup(struct parser *p, uint32_t dir, const char *name)
{
	for (size_t i = 0; i < p->n_names; i++)
		if (p->names[i].dir == dir && strcmp(p->names[i].name, name) == 0)
			return &p->names[i];
	return NULL;
}

/* Splits a path into the inode of its directory and its last component. */
static int path(struct parser *p, const char *what, uint32_t *dir, const char **name)
{
	char text[4096];
	if (word(p, what, text, sizeof text))
		return -1;
	*dir = TRACE_ROOT;
	char *at = text;
	for (char *slash; (slash = strchr(at, '/')); at = slash + 1) {
		*slash = '\0';
		struct name *n = lookup(p, *dir, at);
		if (!n || p->types[n->ino] != INODE_DIR)
			return FAIL(p, "%s: no directory \"%s\"", what, at);
		*dir = n->ino;
	}
	if (*at == '\0' || strcmp(at, ".") == 0 || strcmp(at, "..") == 0)
		return FAIL(p, "%s ends in \"%s\", expected a name", what, at);
	*name = trace_intern(p->trace, at);
	return 0;
}

/* The inode at a path, "." for the root, or #N. */
static int existing(struct parser *p, const char *what, uint32_t *ino)
{
	p->at += strspn(p->at, " \t");
	if (*p->at == '#') {
		uint64_t v;
		p->at++;
		if (number(p, what, &v))
			return -1;
		if (v == 0 || v > p->trace->n_inodes)
			return FAIL(p, "%s: there is no inode %" PRIu64, what, v);
		*ino = (uint32_t)v;
		return 0;
	}
	if (*p->at == '.' && (p->at[1] == '\0' || isspace((unsigned char)p->at[1]))) {
		p->at++;
		*ino = TRACE_ROOT;
		return 0;
	}
	uint32_t dir;
	const char *name;
	if (path(p, what, &dir, &name))
		return -1;
	struct name *n = lookup(p, dir, name);
	if (!n)
		return FAIL(p, "%s: \"%s\" does not exist", what, name);
	*ino = n->ino;
	return 0;
}

static int quoted(struct parser *p, struct buf *out)
{
	for (p->at++; *p->at != '"'; p->at++) {
		if (*p->at == '\0')
			return FAIL(p, "data: the closing quote is missing");
		if (*p->at != '\\') {
			buf_byte(out, (uint8_t)*p->at);
			continue;
		}
		p->at++;
		static const char from[] = "nt\\\"", to[] = "\n\t\\\"";
		const char *known = *p->at ? strchr(from, *p->at) : NULL;
		if (known) {
			buf_byte(out, (uint8_t)to[known - from]);
		} else if (*p->at == 'x' && isxdigit((unsigned char)p->at[1]) &&
			   isxdigit((unsigned char)p->at[2])) {
			char hex[3] = {p->at[1], p->at[2], '\0'};
			buf_byte(out, (uint8_t)strtoul(hex, NULL, 16));
			p->at += 2;
		} else {
			return FAIL(p, "data: unknown escape, expected \\n \\t \\\\ \\\" or \\xHH");
		}
	}
	p->at++;
	return 0;
}

static int repeated(struct parser *p, struct buf *out)
{
	uint8_t c = *p->at == '0' ? 0 : (uint8_t)*p->at;
	char *end;
	if (*p->at == '\0' || p->at[1] != '*' || !isdigit((unsigned char)p->at[2]))
		return FAIL(p, "data: expected \"text\" or c*N, found \"%s\"", p->at);
	uint64_t n = strtoull(p->at + 2, &end, 10);
	if (n > 1u << 30)
		return FAIL(p, "data: more than 1 GiB");
	p->at = end;
	uint8_t run[512];
	memset(run, c, sizeof run);
	for (uint64_t part; n > 0; n -= part) {
		part = n < sizeof run ? n : sizeof run;
		buf_append(out, run, part);
	}
	return 0;
}

static int data(struct parser *p, struct buf *out)
{
	p->at += strspn(p->at, " \t");
	for (;;) {
		if (*p->at == '"' ? quoted(p, out) : repeated(p, out))
			return -1;
		if (*p->at != '+')
			return 0;
		p->at++;
	}
}

static void add_name(struct parser *p, uint32_t dir, const char *name, uint32_t ino)
{
	*MEM_PUSH(p->names, p->n_names, p->names_cap) = (struct name){dir, ino, name};
}

static void remember(struct parser *p, uint32_t ino, uint8_t type, uint64_t size)
{
	p->sizes = mem_grow(p->sizes, &p->sizes_cap, ino + 1, sizeof *p->sizes);
	p->types = mem_grow(p->types, &p->types_cap, ino + 1, sizeof *p->types);
	p->sizes[ino] = size;
	p->types[ino] = type;
}

static void remove_name(struct parser *p, struct name *n)
{
	*n = p->names[--p->n_names];
}

/* ---- one function a family of verbs; v is the verb's row ---- */

struct verb;
typedef int parse_verb(struct parser *p, const struct verb *v);
struct verb {
	const char *name;
	parse_verb *parse;
	enum event_kind kind;
	uint8_t flags;
};

static int start_inode(struct parser *p, const struct verb *v)
{
	uint32_t dir;
	const char *name;
	struct buf bytes = {0};
	enum inode_type type = v->kind == EVENT_CREATE	? INODE_FILE
			       : v->kind == EVENT_MKDIR ? INODE_DIR
							: INODE_SYMLINK;
	if (path(p, "path", &dir, &name))
		return -1;
	if (type == INODE_SYMLINK) {
		char target[4096];
		if (word(p, "target", target, sizeof target))
			return -1;
		buf_string(&bytes, target);
	} else if (type == INODE_FILE && !at_end(p) && data(p, &bytes)) {
		buf_finish(&bytes);
		return -1;
	}
	if (p->trace->n_events) {
		buf_finish(&bytes);
		return FAIL(p, "%s must come before all calls", v->name);
	}
	if (lookup(p, dir, name)) {
		buf_finish(&bytes);
		return FAIL(p, "\"%s\" exists already", name);
	}
	uint32_t ino = trace_start(p->trace, dir, name, type, bytes.data, bytes.len);
	remember(p, ino, (uint8_t)type, bytes.len);
	add_name(p, dir, name, ino);
	buf_finish(&bytes);
	return 0;
}

static int start_link(struct parser *p, const struct verb *v)
{
	uint32_t dir, ino;
	const char *name;
	if (path(p, "path", &dir, &name) || existing(p, "old path", &ino))
		return -1;
	if (p->trace->n_events)
		return FAIL(p, "%s must come before all calls", v->name);
	if (lookup(p, dir, name))
		return FAIL(p, "\"%s\" exists already", name);
	trace_start_link(p->trace, dir, name, ino);
	add_name(p, dir, name, ino);
	return 0;
}

static int make(struct parser *p, const struct verb *v)
{
	uint32_t dir;
	const char *name;
	char target[4096] = "";
	if (path(p, "path", &dir, &name))
		return -1;
	if (v->kind == EVENT_SYMLINK && word(p, "target", target, sizeof target))
		return -1;
	if (lookup(p, dir, name))
		return FAIL(p, "\"%s\" exists already", name);
	uint32_t ino = trace_new_inode(p->trace);
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->dir = dir;
	e->name = name;
	e->data_length = strlen(target);
	e->data = trace_bytes(p->trace, target, e->data_length + 1);
	remember(p, ino,
		 v->kind == EVENT_MKDIR	    ? INODE_DIR
		 : v->kind == EVENT_SYMLINK ? INODE_SYMLINK
					    : INODE_FILE,
		 0);
	add_name(p, dir, name, ino);
	return 0;
}

static int nameless(struct parser *p, const struct verb *v)
{
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = trace_new_inode(p->trace);
	remember(p, e->ino, INODE_FILE, 0);
	return 0;
}

static int link_(struct parser *p, const struct verb *v)
{
	uint32_t ino, dir;
	const char *name;
	if (existing(p, "old path", &ino) || path(p, "path", &dir, &name))
		return -1;
	if (lookup(p, dir, name))
		return FAIL(p, "\"%s\" exists already", name);
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->dir = dir;
	e->name = name;
	add_name(p, dir, name, ino);
	return 0;
}

static int remove_(struct parser *p, const struct verb *v)
{
	uint32_t dir;
	const char *name;
	if (path(p, "path", &dir, &name))
		return -1;
	struct name *n = lookup(p, dir, name);
	if (!n)
		return FAIL(p, "\"%s\" does not exist", name);
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = n->ino;
	e->dir = dir;
	e->name = name;
	remove_name(p, n);
	return 0;
}

static int rename_(struct parser *p, const struct verb *v)
{
	uint32_t dir, dir2;
	const char *name, *name2;
	if (path(p, "old path", &dir, &name) || path(p, "new path", &dir2, &name2))
		return -1;
	struct name *from = lookup(p, dir, name), *to = lookup(p, dir2, name2);
	if (!from || (v->kind == EVENT_EXCHANGE && !to))
		return FAIL(p, "\"%s\" does not exist", from ? name2 : name);
	uint32_t ino = from->ino;
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->dir = dir;
	e->name = name;
	e->dir2 = dir2;
	e->name2 = name2;
	if (v->kind == EVENT_EXCHANGE) {
		from->ino = to->ino;
		to->ino = ino;
		return 0;
	}
	if (to && to->ino == ino)
		return 0; /* two links of one file, or one name: nothing happens */
	if (to)
		to->ino = ino;
	else
		add_name(p, dir2, name2, ino);
	from = lookup(p, dir, name);
	remove_name(p, from);
	return 0;
}

static int write_(struct parser *p, const struct verb *v)
{
	uint32_t ino;
	uint64_t offset;
	struct buf bytes = {0};
	bool too = strcmp(v->name, "store-too") == 0;
	size_t n = p->trace->n_events;
	if (too && (n == 0 || !(p->trace->events[n - 1].flags & EVENT_STORE)))
		return FAIL(p, "no store comes right before it");
	if (existing(p, "path", &ino))
		return -1;
	offset = p->sizes[ino];
	if (strcmp(v->name, "append") != 0 && number(p, "offset", &offset))
		return -1;
	if (data(p, &bytes)) {
		buf_finish(&bytes);
		return -1;
	}
	if (v->flags & EVENT_STORE && offset + bytes.len > p->sizes[ino]) {
		buf_finish(&bytes);
		return FAIL(p, "a store cannot go past the end, which is at %" PRIu64,
			    p->sizes[ino]);
	}
	struct event *e = trace_append(p->trace, v->kind);
	if (too)
		e->entered = e[-1].entered;
	e->ino = ino;
	e->flags = v->flags;
	e->offset = offset;
	e->length = e->data_length = bytes.len;
	e->data = trace_bytes(p->trace, bytes.data, bytes.len);
	if (offset + bytes.len > p->sizes[ino])
		p->sizes[ino] = offset + bytes.len;
	buf_finish(&bytes);
	return 0;
}

static int truncate_(struct parser *p, const struct verb *v)
{
	uint32_t ino;
	uint64_t size;
	if (existing(p, "path", &ino) || number(p, "size", &size))
		return -1;
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->length = size;
	p->sizes[ino] = size;
	return 0;
}

static int range(struct parser *p, const struct verb *v)
{
	uint32_t ino;
	uint64_t offset, length;
	uint8_t flags = 0;
	char keep[8];
	if (existing(p, "path", &ino) || number(p, "offset", &offset) ||
	    number(p, "length", &length))
		return -1;
	if (!at_end(p)) {
		if (word(p, "flag", keep, sizeof keep))
			return -1;
		if (strcmp(keep, "keep") != 0)
			return FAIL(p, "flag is \"%s\", expected \"keep\"", keep);
		flags = EVENT_KEEP_SIZE;
	}
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->offset = offset;
	e->length = length;
	e->flags = flags;
	if (!flags && offset + length > p->sizes[ino])
		p->sizes[ino] = offset + length;
	return 0;
}

static int msync_(struct parser *p, const struct verb *v)
{
	uint32_t ino;
	uint64_t offset, length;
	if (existing(p, "path", &ino) || number(p, "offset", &offset) ||
	    number(p, "length", &length))
		return -1;
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->offset = offset;
	e->length = length;
	return 0;
}

/* Without a range, of the whole file. */
static int hint_(struct parser *p, const struct verb *v)
{
	uint32_t ino;
	uint64_t offset = 0, length = 0;
	if (existing(p, "path", &ino) ||
	    (!at_end(p) && (number(p, "offset", &offset) || number(p, "length", &length))))
		return -1;
	struct event *e = trace_append(p->trace, v->kind);
	e->ino = ino;
	e->offset = offset;
	e->length = length;
	return 0;
}

static int on_inode(struct parser *p, const struct verb *v)
{
	uint32_t ino;
	if (existing(p, "path", &ino))
		return -1;
	trace_append(p->trace, v->kind)->ino = ino;
	return 0;
}

static int alone(struct parser *p, const struct verb *v)
{
	trace_append(p->trace, v->kind);
	return 0;
}

static int fault(struct parser *p, const struct verb *v)
{
	char name[256];
	size_t i = 0;
	if (word(p, "name", name, sizeof name))
		return -1;
	while (i < p->n_passages && strcmp(p->passages[i].name, name) != 0)
		i++;
	if (i == sizeof p->passages / sizeof *p->passages)
		return FAIL(p, "more than %zu fault points", i);
	struct event *e = trace_append(p->trace, v->kind);
	e->name = trace_intern(p->trace, name);
	if (i == p->n_passages)
		p->passages[p->n_passages++].name = e->name;
	e->offset = ++p->passages[i].n;
	return 0;
}

static int mark(struct parser *p, const struct verb *v)
{
	uint64_t n;
	struct buf bytes = {0};
	if (number(p, "number", &n))
		return -1;
	if (!at_end(p) && data(p, &bytes)) {
		buf_finish(&bytes);
		return -1;
	}
	struct event *e = trace_append(p->trace, v->kind);
	e->offset = n;
	e->data_length = bytes.len;
	e->data = trace_bytes(p->trace, bytes.data, bytes.len);
	buf_finish(&bytes);
	return 0;
}

static int note(struct parser *p, const struct verb *v)
{
	p->at += strspn(p->at, " \t");
	struct event *e = trace_append(p->trace, v->kind);
	e->flags = v->flags;
	e->data_length = strlen(p->at);
	e->data = trace_bytes(p->trace, p->at, e->data_length + 1);
	p->at += e->data_length;
	return 0;
}

static int ack(struct parser *p, const struct verb *v)
{
	struct event *e = trace_append(p->trace, v->kind);
	e->offset = ++p->n_acks;
	p->at += strspn(p->at, " \t");
	e->data_length = strlen(p->at);
	e->data = trace_bytes(p->trace, p->at, e->data_length);
	p->at += e->data_length;
	return 0;
}

static const struct verb verbs[] = {
	{"start-file", start_inode, EVENT_CREATE, 0},
	{"start-dir", start_inode, EVENT_MKDIR, 0},
	{"start-symlink", start_inode, EVENT_SYMLINK, 0},
	{"start-link", start_link, EVENT_LINK, 0},
	{"creat", make, EVENT_CREATE, 0},
	{"tmpfile", nameless, EVENT_CREATE, 0},
	{"mkdir", make, EVENT_MKDIR, 0},
	{"symlink", make, EVENT_SYMLINK, 0},
	{"link", link_, EVENT_LINK, 0},
	{"unlink", remove_, EVENT_UNLINK, 0},
	{"rmdir", remove_, EVENT_RMDIR, 0},
	{"rename", rename_, EVENT_RENAME, 0},
	{"exchange", rename_, EVENT_EXCHANGE, 0},
	{"write", write_, EVENT_WRITE, 0},
	{"append", write_, EVENT_WRITE, 0},
	{"dsync-write", write_, EVENT_WRITE, EVENT_DSYNC},
	{"sync-write", write_, EVENT_WRITE, EVENT_FSYNC_TOO},
	{"store", write_, EVENT_WRITE, EVENT_STORE},
	{"store-too", write_, EVENT_WRITE, EVENT_STORE},
	{"truncate", truncate_, EVENT_TRUNCATE, 0},
	{"fallocate", range, EVENT_FALLOCATE, 0},
	{"zero", range, EVENT_ZERO, 0},
	{"fsync", on_inode, EVENT_FSYNC, 0},
	{"fdatasync", on_inode, EVENT_FDATASYNC, 0},
	{"msync", msync_, EVENT_MSYNC, 0},
	{"sync", alone, EVENT_SYNC, 0},
	{"hint", hint_, EVENT_HINT, 0},
	{"open", on_inode, EVENT_OPEN, 0},
	{"fault", fault, EVENT_FAULT, 0},
	{"begin", mark, EVENT_OP_BEGIN, 0},
	{"end", mark, EVENT_OP_END, 0},
	{"ack", ack, EVENT_ACK, 0},
	{"note", note, EVENT_NOTE, 0},
	{"inconclusive", note, EVENT_NOTE, EVENT_INCONCLUSIVE},
};

static int line(struct parser *p)
{
	char name[64];
	if (at_end(p))
		return 0;
	if (word(p, "verb", name, sizeof name))
		return -1;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (verbs[i].parse(p, &verbs[i]))
			return -1;
		if (!at_end(p))
			return FAIL(p, "\"%s\" is too much", p->at);
		return 0;
	}
	return FAIL(p, "unknown verb \"%s\"", name);
}

int trace_parse(const char *text, const char *name, struct trace **trace, struct err *err)
{
	struct err scratch;
	struct parser p = {.trace = trace_create(), .err = err ? err : &scratch};
	int rc = 0;
	remember(&p, TRACE_ROOT, INODE_DIR, 0);
	while (*text && rc == 0) {
		size_t n = strcspn(text, "\n");
		char *copy = mem_dup(text, n);
		p.line++;
		p.at = copy;
		rc = line(&p);
		if (rc)
			err_wrap(p.err, "%s:%u", name, p.line);
		free(copy);
		text += n + (text[n] == '\n');
	}
	free(p.names);
	free(p.sizes);
	free(p.types);
	if (rc) {
		trace_destroy(p.trace);
		p.trace = NULL;
	}
	*trace = p.trace;
	return rc ? ERR_USAGE : ERR_OK;
}
