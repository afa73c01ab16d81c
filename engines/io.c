#include "io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int io_write_at(int fd, const void *p, size_t n, uint64_t offset)
{
	const char *at = p;
	while (n) {
		ssize_t done = pwrite(fd, at, n, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = EIO; /* no progress and no reason: never wait for one */
		if (done <= 0)
			return -1;
		at += done;
		offset += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

ssize_t io_read_at(int fd, void *p, size_t n, uint64_t offset)
{
	char *at = p;
	size_t got = 0;
	while (got < n) {
		ssize_t done = pread(fd, at + got, n - got, (off_t)(offset + got));
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		if (done == 0)
			break;
		got += (size_t)done;
	}
	return (ssize_t)got;
}

/* Four bits at a time: entry i is i shifted through the reflected polynomial
 * 0x82f63b78. */
static const uint32_t nibbles[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
	0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t io_crc32c_portable(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *at = p;
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= at[i];
		crc = (crc >> 4) ^ nibbles[crc & 15];
		crc = (crc >> 4) ^ nibbles[crc & 15];
	}
	return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *at = p;
	uint64_t wide = (uint32_t)~crc;
	for (; n >= 8; n -= 8, at += 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	uint32_t narrow = (uint32_t)wide;
	for (; n; n--, at++)
		narrow = __builtin_ia32_crc32qi(narrow, *at);
	return ~narrow;
}
#endif

uint32_t io_crc32c(uint32_t crc, const void *p, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse(crc, p, n);
#endif
	return io_crc32c_portable(crc, p, n);
}
