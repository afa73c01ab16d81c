/* A growing byte buffer, and a reader that cannot run past its end.
 * Integers are little-endian; varints are LEB128. */
#ifndef POWERCUT_BUF_H
#define POWERCUT_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL while empty; not terminated unless buf_text was called */
	size_t len;
	size_t cap;
};

/* A zeroed struct buf is an empty one. */
void buf_finish(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_append(struct buf *buf, const void *p, size_t n);
void buf_byte(struct buf *buf, uint8_t byte);
void buf_u32(struct buf *buf, uint32_t v);
void buf_u64(struct buf *buf, uint64_t v);
void buf_varint(struct buf *buf, uint64_t v);
void buf_string(struct buf *buf, const char *s);                   /* bytes only */
void buf_blob(struct buf *buf, const void *p, size_t n);           /* varint, bytes */
void buf_printf(struct buf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The bytes as text inside a JSON string, without the quotes; bytes that are
 * not UTF-8 become U+FFFD. */
void buf_json(struct buf *buf, const char *s, size_t n);
/* The length of the well-formed UTF-8 sequence at s, which has n bytes left, or
 * 0 where there is none. */
size_t utf8_length(const unsigned char *s, size_t n);
/* Terminates the content with a zero byte that does not count, and returns it;
 * valid until the next change. */
const char *buf_text(struct buf *buf);

/* A reader over bytes that it does not own.  Once it ran out or met nonsense,
 * bad is set and every further read gives 0. */
struct reader {
	const uint8_t *at, *end;
	bool bad;
};

void reader_init(struct reader *r, const void *p, size_t n);
uint8_t read_byte(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
uint64_t read_varint(struct reader *r);
/* n bytes in place, or NULL (and bad). */
const void *read_bytes(struct reader *r, size_t n);
/* What buf_blob wrote: in place, with its length in *n. */
const void *read_blob(struct reader *r, size_t *n);

#endif
