#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

void buf_finish(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
}

static char *room(struct buf *buf, size_t n)
{
	buf->data = mem_grow(buf->data, &buf->cap, buf->len + n, 1);
	return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(room(buf, n), p, n);
	buf->len += n;
}

void buf_byte(struct buf *buf, uint8_t byte)
{
	buf_append(buf, &byte, 1);
}

void buf_u32(struct buf *buf, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		buf_byte(buf, (uint8_t)(v >> (8 * i)));
}

void buf_u64(struct buf *buf, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		buf_byte(buf, (uint8_t)(v >> (8 * i)));
}

void buf_varint(struct buf *buf, uint64_t v)
{
	while (v >= 0x80) {
		buf_byte(buf, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	buf_byte(buf, (uint8_t)v);
}

void buf_string(struct buf *buf, const char *s)
{
	buf_append(buf, s, strlen(s));
}

void buf_blob(struct buf *buf, const void *p, size_t n)
{
	buf_varint(buf, n);
	buf_append(buf, p, n);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	char *p = room(buf, (size_t)n + 1);
	va_start(args, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)n;
}

size_t utf8_length(const unsigned char *s, size_t n)
{
	size_t want = s[0] < 0x80		    ? 1
		      : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		      : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		      : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						    : 0;
	if (want == 0 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return want;
}

void buf_json(struct buf *buf, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(p + i, n - i);
		if (length == 0) {
			buf_string(buf, "\\ufffd");
			i++;
		} else if (length > 1) {
			buf_append(buf, p + i, length);
			i += length;
		} else {
			if (p[i] == '"' || p[i] == '\\')
				buf_printf(buf, "\\%c", p[i]);
			else if (p[i] == '\n')
				buf_string(buf, "\\n");
			else if (p[i] < 0x20 || p[i] == 0x7f)
				buf_printf(buf, "\\u%04x", p[i]);
			else
				buf_byte(buf, p[i]);
			i++;
		}
	}
}

const char *buf_text(struct buf *buf)
{
	*room(buf, 1) = '\0';
	return buf->data;
}

void reader_init(struct reader *r, const void *p, size_t n)
{
	r->at = p;
	r->end = r->at ? r->at + n : NULL;
	r->bad = false;
}

const void *read_bytes(struct reader *r, size_t n)
{
	if (r->bad || (size_t)(r->end - r->at) < n) {
		r->bad = true;
		return NULL;
	}
	const void *p = r->at;
	r->at += n;
	return p;
}

uint8_t read_byte(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 1);
	return p ? *p : 0;
}

uint32_t read_u32(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 4);
	uint32_t v = 0;
	for (int i = 3; p && i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

uint64_t read_u64(struct reader *r)
{
	uint64_t low = read_u32(r);
	return low | (uint64_t)read_u32(r) << 32;
}

uint64_t read_varint(struct reader *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = read_byte(r);
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return r->bad ? 0 : v;
	}
	r->bad = true;
	return 0;
}

const void *read_blob(struct reader *r, size_t *n)
{
	uint64_t length = read_varint(r);
	const void *p = read_bytes(r, length > SIZE_MAX ? SIZE_MAX : (size_t)length);
	*n = p ? (size_t)length : 0;
	return p;
}
