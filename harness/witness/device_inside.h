/* What a device and its FUSE program share. */
#ifndef POWERCUT_DEVICE_INSIDE_H
#define POWERCUT_DEVICE_INSIDE_H

#include <sys/types.h>

#include "device.h"

enum {
	LOG_ENTRIES = 1 << 21,
	SERVER_READY = 1,  /* the disk's file can be opened */
	SERVER_FAILED = 2, /* FUSE could not be mounted; error says why */
};
#define LOG_BYTES ((uint64_t)3 << 30)
#define DISK_NAME "disk"

struct device_shared {
	uint64_t bytes;
	uint32_t moment, recording, slow_us;
	uint32_t n; /* entries of the log */
	uint64_t data_bytes;
	uint32_t overflow;
	pid_t owner; /* device_claim */
	int error;   /* errno of a server that failed */
	uint8_t dirty[];
};

struct device {
	struct device_shared *shared;
	uint8_t *data; /* the bytes of the disk */
	struct block_entry *entries;
	uint8_t *log_data;
	pid_t server;
	int file; /* the disk's file, through FUSE */
	int loop;
	char path[32];
};

/* The life of the FUSE program, in its own process: mounts over dir in a namespace
 * of its own, writes a byte to ready (SERVER_…), and serves until the mount is gone. */
void device_serve(struct device *device, const char *dir, int ready, pid_t parent)
	__attribute__((noreturn));

#endif
