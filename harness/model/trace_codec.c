/* The payload, before compression, is the trace in the order of struct trace:
 * a count, then the elements; strings go once into a table and are referred to
 * by number. */
#include "trace_codec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>
#include <zstd.h>

#include "mem.h"

static const char magic[8] = "PCTRACE";

enum { HEAD_BYTES = 8 + 4 + 8 + 8 + 8 };

/* ---- encoding ---- */

struct string {
	UT_hash_handle hh;
	const char *text; /* the trace's */
	uint32_t id;
};

struct encoder {
	struct buf body;
	struct buf strings; /* the table: blobs in the order of their numbers */
	struct string *known;
	uint32_t n;
};

static void put_string(struct encoder *e, const char *text)
{
	struct string *s;
	size_t n = strlen(text);
	HASH_FIND(hh, e->known, text, n, s);
	if (!s) {
		s = mem_alloc(1, sizeof *s);
		s->text = text;
		s->id = e->n++;
		HASH_ADD_KEYPTR(hh, e->known, s->text, n, s);
		buf_blob(&e->strings, text, n);
	}
	buf_varint(&e->body, s->id);
}

static void put_event(struct encoder *e, const struct event *event)
{
	buf_byte(&e->body, event->kind);
	buf_byte(&e->body, event->flags);
	buf_varint(&e->body, event->thread);
	buf_varint(&e->body, event->entered);
	buf_varint(&e->body, event->ino);
	buf_varint(&e->body, event->dir);
	buf_varint(&e->body, event->dir2);
	buf_varint(&e->body, event->stack);
	put_string(e, event->call);
	put_string(e, event->name);
	put_string(e, event->name2);
	buf_varint(&e->body, event->offset);
	buf_varint(&e->body, event->length);
	buf_blob(&e->body, event->data, event->data_length);
}

static void put_start(struct encoder *e, const struct trace *trace)
{
	buf_varint(&e->body, trace->n_start_inodes);
	for (size_t i = 0; i < trace->n_start_inodes; i++) {
		const struct start_inode *s = &trace->start_inodes[i];
		buf_varint(&e->body, s->ino);
		buf_byte(&e->body, s->type);
		buf_blob(&e->body, s->data, s->size);
	}
	buf_varint(&e->body, trace->n_start_entries);
	for (size_t i = 0; i < trace->n_start_entries; i++) {
		buf_varint(&e->body, trace->start_entries[i].dir);
		buf_varint(&e->body, trace->start_entries[i].ino);
		put_string(e, trace->start_entries[i].name);
	}
}

static void put_trace(struct encoder *e, const struct trace *trace)
{
	buf_varint(&e->body, trace->n_inodes);
	put_start(e, trace);
	buf_varint(&e->body, trace->n_events);
	for (size_t i = 0; i < trace->n_events; i++)
		put_event(e, &trace->events[i]);
	buf_varint(&e->body, trace->n_modules);
	for (size_t i = 0; i < trace->n_modules; i++) {
		put_string(e, trace->modules[i].path);
		put_string(e, trace->modules[i].build_id);
	}
	buf_varint(&e->body, trace->n_stacks);
	for (size_t i = 0; i < trace->n_stacks; i++) {
		buf_varint(&e->body, trace->stacks[i].n);
		for (uint32_t k = 0; k < trace->stacks[i].n; k++) {
			buf_varint(&e->body, trace->stacks[i].frames[k].module);
			buf_varint(&e->body, trace->stacks[i].frames[k].offset);
		}
	}
}

static void encoder_finish(struct encoder *e)
{
	struct string *s, *next;
	HASH_ITER (hh, e->known, s, next) {
		HASH_DEL(e->known, s);
		free(s);
	}
	buf_finish(&e->body);
	buf_finish(&e->strings);
}

/* The payload: number of strings, the strings, the rest. */
static void payload(const struct trace *trace, struct buf *raw)
{
	struct encoder e = {0};
	put_trace(&e, trace);
	buf_varint(raw, e.n);
	buf_append(raw, e.strings.data, e.strings.len);
	buf_append(raw, e.body.data, e.body.len);
	encoder_finish(&e);
}

/* The check covers the head up to itself and the packed payload. */
static uint64_t checksum(const void *head, const void *packed, size_t n)
{
	return XXH3_64bits_withSeed(packed, n, XXH3_64bits(head, HEAD_BYTES - 8));
}

int trace_encode(const struct trace *trace, struct buf *out, struct err *err)
{
	struct buf raw = {0};
	payload(trace, &raw);
	size_t room = ZSTD_compressBound(raw.len);
	char *packed = mem_alloc(room, 1);
	size_t n = ZSTD_compress(packed, room, raw.data, raw.len, 3);
	int rc = ERR_OK;
	if (ZSTD_isError(n)) {
		rc = err_set(err, ERR_INTERNAL, "compressing the trace: %s", ZSTD_getErrorName(n));
		goto done;
	}
	size_t start = out->len;
	buf_append(out, magic, sizeof magic);
	buf_u32(out, TRACE_VERSION);
	buf_u64(out, raw.len);
	buf_u64(out, n);
	buf_u64(out, checksum(out->data + start, packed, n));
	buf_append(out, packed, n);
done:
	free(packed);
	buf_finish(&raw);
	return rc;
}

/* ---- decoding ---- */

struct decoder {
	struct reader r;
	struct trace *trace;
	const char **strings;
	uint64_t n_strings;
};

/* A count of elements of at least one byte each cannot exceed what is left. */
static uint64_t get_count(struct decoder *d)
{
	uint64_t n = read_varint(&d->r);
	if (n > (uint64_t)(d->r.end - d->r.at)) {
		d->r.bad = true;
		return 0;
	}
	return n;
}

static uint32_t get_u32(struct decoder *d, uint64_t limit)
{
	uint64_t v = read_varint(&d->r);
	if (v > limit) {
		d->r.bad = true;
		return 0;
	}
	return (uint32_t)v;
}

static const char *get_string(struct decoder *d)
{
	uint64_t id = read_varint(&d->r);
	if (id >= d->n_strings) {
		d->r.bad = true;
		return "";
	}
	return d->strings[id];
}

static const uint8_t *get_blob(struct decoder *d, uint64_t *length)
{
	size_t n;
	const void *p = read_blob(&d->r, &n);
	*length = n;
	/* One byte more, which is zero: texts in data can be used as such. */
	uint8_t *copy = arena_alloc(d->trace->arena, n + 1, 1);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

static void get_strings(struct decoder *d)
{
	uint64_t n = get_count(d);
	d->strings = mem_alloc(n, sizeof *d->strings);
	for (uint64_t i = 0; i < n && !d->r.bad; i++) {
		size_t length;
		const char *text = read_blob(&d->r, &length);
		if (length && memchr(text, '\0', length))
			d->r.bad = true;
		char *copy = mem_dup(text, length);
		d->strings[i] = trace_intern(d->trace, copy);
		d->n_strings = i + 1;
		free(copy);
	}
}

static void get_start(struct decoder *d)
{
	struct trace *t = d->trace;
	uint64_t n = get_count(d);
	for (uint64_t i = 0; i < n && !d->r.bad; i++) {
		struct start_inode *s =
			MEM_PUSH(t->start_inodes, t->n_start_inodes, t->start_inodes_cap);
		s->ino = get_u32(d, t->n_inodes);
		s->type = read_byte(&d->r);
		s->data = get_blob(d, &s->size);
		if (s->ino == 0 || s->type > INODE_SYMLINK)
			d->r.bad = true;
	}
	n = get_count(d);
	for (uint64_t i = 0; i < n && !d->r.bad; i++) {
		struct start_entry *s =
			MEM_PUSH(t->start_entries, t->n_start_entries, t->start_entries_cap);
		s->dir = get_u32(d, t->n_inodes);
		s->ino = get_u32(d, t->n_inodes);
		s->name = get_string(d);
		if (s->dir == 0 || s->ino == 0)
			d->r.bad = true;
	}
}

static void get_event(struct decoder *d, uint32_t at)
{
	struct event *e = trace_append(d->trace, EVENT_NOTE);
	e->kind = read_byte(&d->r);
	e->flags = read_byte(&d->r);
	e->thread = (uint16_t)get_u32(d, UINT16_MAX);
	e->entered = get_u32(d, at);
	e->ino = get_u32(d, d->trace->n_inodes);
	e->dir = get_u32(d, d->trace->n_inodes);
	e->dir2 = get_u32(d, d->trace->n_inodes);
	e->stack = get_u32(d, UINT32_MAX);
	e->call = get_string(d);
	e->name = get_string(d);
	e->name2 = get_string(d);
	e->offset = read_varint(&d->r);
	e->length = read_varint(&d->r);
	e->data = get_blob(d, &e->data_length);
	if (e->kind >= EVENT_KINDS_COUNT || e->flags > EVENT_FLAGS_ALL ||
	    (e->kind == EVENT_WRITE && e->data_length != e->length))
		d->r.bad = true;
}

static void get_stacks(struct decoder *d)
{
	struct trace *t = d->trace;
	uint64_t n = get_count(d);
	for (uint64_t i = 0; i < n && !d->r.bad; i++) {
		struct module *m = MEM_PUSH(t->modules, t->n_modules, t->modules_cap);
		m->path = get_string(d);
		m->build_id = get_string(d);
	}
	n = get_count(d);
	for (uint64_t i = 0; i < n && !d->r.bad; i++) {
		uint64_t frames = get_count(d);
		struct frame *f = arena_alloc(t->arena, frames, sizeof *f);
		for (uint64_t k = 0; k < frames && !d->r.bad; k++) {
			f[k].module = get_u32(d, UINT32_MAX);
			f[k].offset = read_varint(&d->r);
			if (f[k].module >= t->n_modules)
				d->r.bad = true;
		}
		/* The empty stack is there already. */
		if (i > 0)
			*MEM_PUSH(t->stacks, t->n_stacks, t->stacks_cap) =
				(struct stack){(uint32_t)frames, f};
	}
	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].stack >= t->n_stacks)
			d->r.bad = true;
}

static int get_trace(struct decoder *d)
{
	get_strings(d);
	/* Each inode takes more than a byte where it is made. */
	d->trace->n_inodes = get_u32(d, (uint64_t)(d->r.end - d->r.at) + TRACE_ROOT);
	get_start(d);
	uint64_t n = get_count(d);
	for (uint64_t i = 0; i < n && !d->r.bad; i++)
		get_event(d, (uint32_t)i);
	get_stacks(d);
	return d->r.bad || d->r.at != d->r.end ? -1 : 0;
}

/* Checks the head and unpacks the payload, which the caller frees. */
static int unpack(const void *p, size_t n, char **raw, size_t *raw_length, struct err *err)
{
	struct reader r;
	reader_init(&r, p, n);
	const char *m = read_bytes(&r, sizeof magic);
	if (!m || memcmp(m, magic, sizeof magic) != 0)
		return err_set(err, ERR_CORRUPT, "not a trace: it does not begin with \"%s\"",
			       magic);
	uint32_t version = read_u32(&r);
	if (!r.bad && version != TRACE_VERSION)
		return err_set(err, ERR_VERSION, "trace of version %u, this powercut reads %d",
			       version, TRACE_VERSION);
	uint64_t length = read_u64(&r), packed = read_u64(&r), check = read_u64(&r);
	if (r.bad || packed != (uint64_t)(r.end - r.at))
		return err_set(err, ERR_CORRUPT,
			       "trace is truncated or has bytes behind its end: %zu bytes, its "
			       "head says %" PRIu64,
			       n, packed + HEAD_BYTES);
	if (checksum(p, r.at, packed) != check)
		return err_set(err, ERR_CORRUPT, "trace has been altered: its checksum differs");
	if (ZSTD_getFrameContentSize(r.at, packed) != length)
		return err_set(err, ERR_CORRUPT, "trace has another length than its head says");
	*raw = mem_alloc(length, 1);
	*raw_length = ZSTD_decompress(*raw, length, r.at, packed);
	if (ZSTD_isError(*raw_length) || *raw_length != length) {
		free(*raw);
		*raw = NULL;
		return err_set(err, ERR_CORRUPT, "trace does not decompress");
	}
	return ERR_OK;
}

int trace_decode(const void *p, size_t n, struct trace **trace, struct err *err)
{
	char *raw = NULL;
	size_t length = 0;
	*trace = NULL;
	int rc = unpack(p, n, &raw, &length, err);
	if (rc)
		return rc;
	struct decoder d = {.trace = trace_create()};
	reader_init(&d.r, raw, length);
	if (get_trace(&d) != 0) {
		rc = err_set(err, ERR_CORRUPT, "trace is not well-formed");
		trace_destroy(d.trace);
	} else {
		trace_seal(d.trace);
		*trace = d.trace;
	}
	free(d.strings);
	free(raw);
	return rc;
}

uint64_t trace_identity(const struct trace *trace)
{
	struct encoder e = {0};
	put_start(&e, trace);
	for (size_t i = 0; i < trace->n_events; i++) {
		struct event event = trace->events[i];
		event.thread = 0;
		event.stack = 0;
		event.call = "";
		put_event(&e, &event);
	}
	uint64_t h = XXH3_64bits(e.body.data, e.body.len);
	h = XXH3_64bits_withSeed(e.strings.data, e.strings.len, h);
	encoder_finish(&e);
	return h;
}
