#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device_inside.h"
#include "mem.h"

enum { LOOP_ATTEMPTS = 50 }; /* another process may take the free device first */

/* Memory that costs nothing until it is used, shared with children. */
static void *map_sparse(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, uint64_t bytes)
{
	if (p)
		munmap(p, bytes);
}

static uint64_t n_blocks(uint64_t bytes)
{
	return bytes / DEVICE_BLOCK;
}

/* ---- images ---- */

void block_image_finish(struct block_image *image)
{
	unmap(image->data, image->bytes);
	free(image->used);
	*image = (struct block_image){0};
}

void device_copy(const struct device *device, struct block_image *image)
{
	uint64_t n = n_blocks(device->shared->bytes);
	*image = (struct block_image){.bytes = device->shared->bytes,
				      .data = map_sparse(device->shared->bytes),
				      .used = mem_alloc(n, 1)};
	if (!image->data) {
		fprintf(stderr, "powercut: out of memory\n");
		exit(70);
	}
	for (uint64_t i = 0; i < n; i++) {
		image->used[i] = device->shared->dirty[i] != 0;
		if (image->used[i])
			memcpy(image->data + i * DEVICE_BLOCK, device->data + i * DEVICE_BLOCK,
			       DEVICE_BLOCK);
	}
}

int device_load(struct device *device, const struct block_image *image, struct err *err)
{
	uint64_t n = n_blocks(image->bytes);
	for (uint64_t i = 0; i < n; i++) {
		if (image->used[i])
			memcpy(device->data + i * DEVICE_BLOCK, image->data + i * DEVICE_BLOCK,
			       DEVICE_BLOCK);
		else if (device->shared->dirty[i])
			memset(device->data + i * DEVICE_BLOCK, 0, DEVICE_BLOCK);
		device->shared->dirty[i] = image->used[i] ? DEVICE_TOUCHED : 0;
	}
	return device_forget(device, err);
}

/* ---- the loop device ---- */

static int configure(struct device *d, const char *path)
{
	struct loop_config config = {.fd = (uint32_t)d->file};
	/* Direct, so that writes may be under way together. */
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	snprintf((char *)config.info.lo_file_name, sizeof config.info.lo_file_name, "powercut-%d",
		 getpid());
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
		d->loop = fd;
		snprintf(d->path, sizeof d->path, "%s", path);
		return 0;
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int attach(struct device *d, struct err *err)
{
	char path[32];
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), rc = -1;
	if (control < 0) {
		err_sys(err, "/dev/loop-control");
		return err->code = ERR_UNSUPPORTED;
	}
	errno = EBUSY;
	for (int i = 0; i < LOOP_ATTEMPTS && rc && errno == EBUSY; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			break;
		snprintf(path, sizeof path, "/dev/loop%d", number);
		rc = configure(d, path);
	}
	int saved = errno;
	close(control);
	errno = saved;
	if (rc == 0)
		return ERR_OK;
	err_sys(err, "cannot set up a loop device");
	return err->code = ERR_UNSUPPORTED;
}

/* ---- devices ---- */

static int start_server(struct device *d, const char *dir, struct err *err)
{
	int ready[2];
	uint8_t answer = 0;
	char *path;
	pid_t parent = getpid();
	if (pipe2(ready, O_CLOEXEC) != 0)
		return err_sys(err, "cannot make a pipe");
	fflush(NULL);
	d->server = fork();
	if (d->server == 0)
		device_serve(d, dir, ready[1], parent);
	close(ready[1]);
	if (d->server > 0)
		while (read(ready[0], &answer, 1) < 0 && errno == EINTR)
			;
	close(ready[0]);
	if (d->server < 0)
		return err_sys(err, "cannot start the program behind a device");
	if (answer != SERVER_READY) {
		errno = d->shared->error;
		err_sys(err, "cannot mount a FUSE file system");
		return err->code = ERR_UNSUPPORTED;
	}
	/* Its mount is in its own namespace. */
	path = mem_printf("/proc/%d/root%s/" DISK_NAME, d->server, dir);
	d->file = open(path, O_RDWR | O_CLOEXEC);
	int rc = d->file < 0 ? err_sys(err, "%s", path) : ERR_OK;
	free(path);
	return rc;
}

int device_create(const char *dir, uint64_t bytes, struct device **device, struct err *err)
{
	struct device *d = mem_alloc(1, sizeof *d);
	int rc = ERR_OK;
	*device = NULL;
	d->file = d->loop = -1;
	d->shared = map_sparse(sizeof *d->shared + n_blocks(bytes));
	d->data = map_sparse(bytes);
	d->entries = map_sparse(LOG_ENTRIES * sizeof *d->entries);
	d->log_data = map_sparse(LOG_BYTES);
	if (!d->shared || !d->data || !d->entries || !d->log_data)
		rc = err_sys(err, "no memory for a device of %llu MiB",
			     (unsigned long long)bytes >> 20);
	if (!rc) {
		d->shared->bytes = bytes;
		rc = start_server(d, dir, err);
	}
	if (!rc)
		rc = attach(d, err);
	if (rc)
		device_destroy(d);
	else
		*device = d;
	return rc;
}

void device_destroy(struct device *d)
{
	if (!d)
		return;
	if (d->loop >= 0)
		close(d->loop);
	if (d->file >= 0)
		close(d->file);
	if (d->server > 0) {
		kill(d->server, SIGKILL);
		while (waitpid(d->server, NULL, 0) < 0 && errno == EINTR)
			;
	}
	uint64_t bytes = d->shared ? d->shared->bytes : 0;
	unmap(d->data, bytes);
	unmap(d->entries, LOG_ENTRIES * sizeof *d->entries);
	unmap(d->log_data, LOG_BYTES);
	unmap(d->shared, sizeof *d->shared + n_blocks(bytes));
	free(d);
}

const char *device_path(const struct device *device)
{
	return device->path;
}

uint64_t device_bytes(const struct device *device)
{
	return device->shared->bytes;
}

uint8_t *device_data(struct device *device)
{
	return device->data;
}

uint8_t *device_dirty(struct device *device)
{
	return device->shared->dirty;
}

int device_forget(const struct device *device, struct err *err)
{
	/* The descriptor that we hold is not open in workers. */
	int fd = open(device->path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 || ioctl(fd, BLKFLSBUF, 0) != 0 ? err_sys(err, "%s", device->path) : ERR_OK;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- recording ---- */

void device_record(struct device *d)
{
	struct device_shared *s = d->shared;
	__atomic_store_n(&s->recording, 0, __ATOMIC_SEQ_CST);
	madvise(d->log_data, LOG_BYTES, MADV_REMOVE); /* gives the memory back */
	s->n = s->moment = s->overflow = 0;
	s->data_bytes = 0;
	__atomic_store_n(&s->recording, 1, __ATOMIC_SEQ_CST);
}

void device_moment(struct device *d, uint32_t moment)
{
	__atomic_store_n(&d->shared->moment, moment, __ATOMIC_SEQ_CST);
}

int device_stop(struct device *d, struct block_log *log, struct err *err)
{
	struct device_shared *s = d->shared;
	__atomic_store_n(&s->recording, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&s->slow_us, 0, __ATOMIC_SEQ_CST);
	*log = (struct block_log){.entries = d->entries,
				  .data = d->log_data,
				  .n = s->n,
				  .data_bytes = s->data_bytes,
				  .last_moment = s->moment};
	if (s->overflow)
		return err_set(err, ERR_FULL, "more was written to the device than %llu MiB",
			       (unsigned long long)LOG_BYTES >> 20);
	return ERR_OK;
}

void device_slow(struct device *d, uint32_t microseconds)
{
	__atomic_store_n(&d->shared->slow_us, microseconds, __ATOMIC_SEQ_CST);
}

struct device *device_claim(struct device *const *devices, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		pid_t *owner = &devices[i]->shared->owner;
		pid_t was = __atomic_load_n(owner, __ATOMIC_SEQ_CST);
		bool dead = was == 0 || (kill(was, 0) != 0 && errno == ESRCH);
		if (dead && __atomic_compare_exchange_n(owner, &was, getpid(), false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return devices[i];
	}
	return NULL;
}

void device_release(struct device *device)
{
	__atomic_store_n(&device->shared->owner, 0, __ATOMIC_SEQ_CST);
}
