#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "mem.h"
#include "trace.h"

/* Where each inode was last named, following the events. */
struct names {
	struct {
		uint32_t dir;
		const char *name; /* NULL: nowhere */
	} * of;			  /* by inode */
	uint32_t n;
};

static void names_set(struct names *names, uint32_t ino, uint32_t dir, const char *name)
{
	if (ino && ino <= names->n) {
		names->of[ino].dir = dir;
		names->of[ino].name = name;
	}
}

static void names_init(struct names *names, const struct trace *trace)
{
	names->n = trace->n_inodes;
	names->of = mem_alloc((size_t)trace->n_inodes + 1, sizeof *names->of);
	for (size_t i = 0; i < trace->n_start_entries; i++)
		names_set(names, trace->start_entries[i].ino, trace->start_entries[i].dir,
			  trace->start_entries[i].name);
}

/* What was last named dir/name, and is so still, or 0. */
static uint32_t names_find(const struct names *names, uint32_t dir, const char *name)
{
	for (uint32_t i = 1; i <= names->n; i++)
		if (names->of[i].name && names->of[i].dir == dir &&
		    strcmp(names->of[i].name, name) == 0)
			return i;
	return 0;
}

static void names_follow(struct names *names, const struct event *e)
{
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_SYMLINK:
	case EVENT_LINK:
		if (e->dir != 0)
			names_set(names, e->ino, e->dir, e->name);
		break;
	case EVENT_RENAME:
		names_set(names, names_find(names, e->dir2, e->name2), 0, NULL);
		names_set(names, e->ino, e->dir2, e->name2);
		break;
	case EVENT_EXCHANGE:
		names_set(names, names_find(names, e->dir2, e->name2), e->dir, e->name);
		names_set(names, e->ino, e->dir2, e->name2);
		break;
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		/* Only the name that is remembered: a link keeps its other one. */
		if (e->ino <= names->n && names->of[e->ino].dir == e->dir &&
		    names->of[e->ino].name && strcmp(names->of[e->ino].name, e->name) == 0)
			names_set(names, e->ino, 0, NULL);
		break;
	default:
		break;
	}
}

/* Names and notes come from the program under test: what would steer a
 * terminal, or break a line, goes as \xHH. */
static void put_text(const char *text, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			buf_printf(out, "\\x%02x", text[i]);
		else
			buf_byte(out, (uint8_t)text[i]);
	}
}

static void put_name(const char *name, struct buf *out)
{
	put_text(name, strlen(name), out);
}

static void put_path(const struct names *names, uint32_t ino, struct buf *out, int depth)
{
	if (ino == TRACE_ROOT) {
		buf_string(out, depth ? "" : ".");
	} else if (ino > names->n || !names->of[ino].name || depth > 64) {
		buf_printf(out, "#%u", ino);
	} else {
		put_path(names, names->of[ino].dir, out, depth + 1);
		if (names->of[ino].dir != TRACE_ROOT)
			buf_byte(out, '/');
		put_name(names->of[ino].name, out);
	}
}

static void put_entry(const struct names *names, uint32_t dir, const char *name, struct buf *out)
{
	if (dir != TRACE_ROOT) {
		put_path(names, dir, out, 0);
		buf_byte(out, '/');
	}
	put_name(name, out);
}

char *trace_path(const struct trace *trace, uint32_t ino, size_t at)
{
	struct names names;
	struct buf out = {0};
	names_init(&names, trace);
	for (size_t i = 0; i < at && i < trace->n_events; i++)
		names_follow(&names, &trace->events[i]);
	put_path(&names, ino, &out, 0);
	free(names.of);
	buf_text(&out);
	return out.data;
}

/* Up to 24 bytes of data in quotes, for people. */
static void put_data(const uint8_t *data, uint64_t n, struct buf *out)
{
	buf_byte(out, '"');
	for (uint64_t i = 0; i < n && i < 24; i++) {
		if (data[i] == '"' || data[i] == '\\')
			buf_printf(out, "\\%c", data[i]);
		else if (data[i] >= 0x20 && data[i] < 0x7f)
			buf_byte(out, data[i]);
		else
			buf_printf(out, "\\x%02x", data[i]);
	}
	buf_string(out, n > 24 ? "\"…" : "\"");
}

static void print_arguments(const struct names *names, const struct event *e, struct buf *out)
{
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
		if (e->dir != 0)
			put_entry(names, e->dir, e->name, out);
		else
			buf_string(out, "without a name");
		buf_printf(out, "  (inode %u)", e->ino);
		break;
	case EVENT_SYMLINK:
		put_entry(names, e->dir, e->name, out);
		buf_string(out, " -> ");
		put_data(e->data, e->data_length, out);
		break;
	case EVENT_LINK:
		put_path(names, e->ino, out, 0);
		buf_byte(out, ' ');
		put_entry(names, e->dir, e->name, out);
		break;
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		put_entry(names, e->dir, e->name, out);
		break;
	case EVENT_RENAME:
	case EVENT_EXCHANGE:
		put_entry(names, e->dir, e->name, out);
		buf_byte(out, ' ');
		put_entry(names, e->dir2, e->name2, out);
		break;
	case EVENT_WRITE:
		put_path(names, e->ino, out, 0);
		buf_printf(out, " %" PRIu64 "+%" PRIu64 " ", e->offset, e->length);
		put_data(e->data, e->length, out);
		buf_string(out, e->flags & EVENT_FSYNC_TOO ? " sync"
				: e->flags & EVENT_DSYNC   ? " dsync"
				: e->flags & EVENT_STORE   ? " stored"
							   : "");
		break;
	case EVENT_TRUNCATE:
		put_path(names, e->ino, out, 0);
		buf_printf(out, " %" PRIu64, e->length);
		break;
	case EVENT_FALLOCATE:
	case EVENT_ZERO:
	case EVENT_MSYNC:
		put_path(names, e->ino, out, 0);
		buf_printf(out, " %" PRIu64 "+%" PRIu64 "%s", e->offset, e->length,
			   e->flags & EVENT_KEEP_SIZE ? " keep" : "");
		break;
	case EVENT_FSYNC:
	case EVENT_FDATASYNC:
	case EVENT_HINT:
	case EVENT_OPEN:
		put_path(names, e->ino, out, 0);
		break;
	case EVENT_FAULT:
		put_name(e->name, out);
		buf_printf(out, " (passage %" PRIu64 ")", e->offset);
		break;
	case EVENT_OP_BEGIN:
	case EVENT_OP_END:
		buf_printf(out, "%" PRIu64, e->offset);
		if (e->kind == EVENT_OP_END && e->data_length) {
			buf_string(out, " failed: ");
			put_data(e->data, e->data_length, out);
		}
		break;
	case EVENT_ACK:
		buf_printf(out, "%" PRIu64 " ", e->offset);
		put_text((const char *)e->data, e->data_length, out);
		break;
	case EVENT_NOTE:
		buf_string(out, e->flags & EVENT_INCONCLUSIVE ? "inconclusive: " : "");
		put_text((const char *)e->data, strnlen((const char *)e->data, e->data_length),
			 out);
		break;
	default:
		break;
	}
}

static void print_start(const struct names *names, const struct trace *trace, struct buf *out)
{
	static const char *const types[] = {"file", "directory", "symlink"};
	const struct start_inode **of = mem_alloc((size_t)trace->n_inodes + 1, sizeof *of);
	for (size_t i = 0; i < trace->n_start_inodes; i++)
		of[trace->start_inodes[i].ino] = &trace->start_inodes[i];
	for (size_t i = 0; i < trace->n_start_entries; i++) {
		const struct start_entry *entry = &trace->start_entries[i];
		const struct start_inode *s = of[entry->ino];
		if (!s)
			continue;
		buf_printf(out, "start  %-10s ", types[s->type]);
		put_entry(names, entry->dir, entry->name, out);
		buf_printf(out, "  (inode %u, %" PRIu64 " bytes)\n", s->ino, s->size);
	}
	free(of);
}

void trace_print(const struct trace *trace, struct buf *out)
{
	struct names names;
	names_init(&names, trace);
	print_start(&names, trace, out);
	for (size_t i = 0; i < trace->n_events; i++) {
		const struct event *e = &trace->events[i];
		buf_printf(out, "%5zu  ", i);
		if (e->thread)
			buf_printf(out, "[%u] ", e->thread);
		buf_printf(out, "%-10s ", event_kind_name(e->kind));
		print_arguments(&names, e, out);
		const char *kind = event_kind_name(e->kind);
		if (e->call[0] && strcmp(e->call, kind) != 0)
			buf_printf(out, "  by %s", e->call);
		buf_byte(out, '\n');
		names_follow(&names, e);
	}
	free(names.of);
}
