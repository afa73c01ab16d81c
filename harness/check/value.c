/* Values that say which write made them.  The frame is in workload.h; this file
 * is the only one that knows it. */
#include "workload.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "prng.h"

enum { CHECK_BYTES = 9 /* "~" and 8 hex digits */ };

static const char hex_digits[] = "0123456789abcdef";

/* The key is part of the checksum, so that a value under a wrong key is shown
 * to be wrong. */
static uint32_t value_check(struct engine_bytes key, const char *value, size_t length)
{
	return XXH32(key.data, key.length, XXH32(value, length, 0));
}

static void put_check(uint32_t check, char *out)
{
	*out++ = '~';
	for (int shift = 28; shift >= 0; shift -= 4)
		*out++ = hex_digits[check >> shift & 15];
}

/* Readable bytes for most writes and arbitrary ones for each eighth, because
 * stores have been known to stop at a zero byte or a newline. */
static void fill(uint32_t write, struct engine_bytes key, char *out, size_t n)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct prng prng;
	prng_init(&prng, XXH3_64bits_withSeed(key.data, key.length, write));
	uint64_t bits = 0;
	for (size_t i = 0; i < n; i++, bits >>= 8) {
		if (i % 8 == 0)
			bits = prng_next(&prng);
		out[i] = write % 8 ? alphabet[bits & 63] : (char)(bits & 255);
	}
}

static size_t put_decimal(uint32_t v, char *out)
{
	char digits[10];
	size_t n = 0;
	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

void value_make(uint32_t write, struct engine_bytes key, uint32_t length, char *out)
{
	if (length == 0)
		return;
	assert(length >= VALUE_BYTES_MIN);
	size_t n = 0, end = length - CHECK_BYTES;
	out[n++] = 'w';
	n += put_decimal(write, out + n);
	out[n++] = ':';
	fill(write, key, out + n, end - n);
	put_check(value_check(key, out, end), out + end);
}

/* The number between "w" and ":", or 0 where it is none that put_decimal
 * writes. */
static uint32_t parse_write(const char *p, size_t n)
{
	uint64_t write = 0;
	size_t i = 1;
	if (p[0] != 'w' || p[1] == '0')
		return 0;
	for (; i < n && i <= 10 && p[i] >= '0' && p[i] <= '9'; i++)
		write = write * 10 + (uint64_t)(p[i] - '0');
	return p[i] == ':' && write <= UINT32_MAX ? (uint32_t)write : 0;
}

uint32_t value_parse(struct engine_bytes key, struct engine_bytes value)
{
	if (value.length < VALUE_BYTES_MIN)
		return 0;
	const char *p = value.data;
	size_t end = value.length - CHECK_BYTES;
	uint32_t write = parse_write(p, end);
	if (write == 0)
		return 0;
	char check[CHECK_BYTES];
	put_check(value_check(key, p, end), check);
	return memcmp(p + end, check, sizeof check) == 0 ? write : 0;
}
