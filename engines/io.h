/* Loops around the system calls that may do less than they were asked for, and
 * the checksum that the engines share.  Nothing more. */
#ifndef POWERCUT_IO_H
#define POWERCUT_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all n bytes at offset.  0, or -1 with errno; then any part of them may
 * have been written. */
int io_write_at(int fd, const void *p, size_t n, uint64_t offset);

/* Reads up to n bytes at offset and returns how many, fewer than n only at the
 * end of the file; -1 with errno. */
ssize_t io_read_at(int fd, void *p, size_t n, uint64_t offset);

/* CRC-32C (Castagnoli) of n bytes, continuing from crc; 0 to begin.  It finds
 * every change that lies within 32 consecutive bits. */
uint32_t io_crc32c(uint32_t crc, const void *p, size_t n);

/* The same without special instructions. */
uint32_t io_crc32c_portable(uint32_t crc, const void *p, size_t n);

#endif
