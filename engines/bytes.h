/* Bytes in memory: little-endian integers, and a buffer that grows at its end. */
#ifndef POWERCUT_BYTES_H
#define POWERCUT_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline void store_le(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t load_le(const uint8_t *p, int bytes)
{
	uint64_t v = 0;
	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Zeroed is empty; data is freed by its owner. */
struct bytes_buffer {
	uint8_t *data;
	size_t used, room;
};

/* Room for n more bytes behind those used.  0, or -1 where memory ran out and
 * nothing changed. */
int bytes_reserve(struct bytes_buffer *buffer, size_t n);

/* Appends n bytes (p may be NULL where n is 0).  0, or -1 as bytes_reserve. */
int bytes_append(struct bytes_buffer *buffer, const void *p, size_t n);

#endif
