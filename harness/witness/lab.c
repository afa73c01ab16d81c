#include "lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "mem.h"

enum { FRESH_MAX = 32 };

struct fresh {
	const struct file_system *fs;
	struct block_image image;
};

struct lab {
	struct area area;
	struct device **devices;
	uint32_t n;
	size_t cap;
	struct fresh fresh[FRESH_MAX];
	uint32_t n_fresh;
	uint32_t made; /* devices so far, for the names of their directories */
};

/* ---- what is needed ---- */

static int need_file(const char *path, const char *what, struct err *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "real file systems need %s, and %s cannot be opened: %s", what, path,
			       strerror(errno));
	close(fd);
	return ERR_OK;
}

int lab_check(struct err *err)
{
	if (geteuid() != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "real file systems need root, to mount them: run this as root");
	int rc = need_file("/dev/fuse", "FUSE", err);
	return rc ? rc : need_file("/dev/loop-control", "loop devices", err);
}

/* ---- what a predecessor left ---- */

/* Clears a loop device of ours whose process is gone.  The kernel does so by itself
 * as a rule; where it is in use, it is left alone. */
static void clear_loop(const char *name)
{
	struct loop_info64 info;
	char path[64];
	int pid;
	snprintf(path, sizeof path, "/dev/%.40s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) == 0 &&
	    sscanf((const char *)info.lo_file_name, "powercut-%d", &pid) == 1 &&
	    kill(pid, 0) != 0 && errno == ESRCH)
		ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
}

static void sweep_loops(void)
{
	DIR *list = opendir("/sys/block");
	for (struct dirent *e; list && (e = readdir(list));) {
		char path[300];
		snprintf(path, sizeof path, "/sys/block/%s/loop", e->d_name);
		if (strncmp(e->d_name, "loop", 4) == 0 && access(path, F_OK) == 0)
			clear_loop(e->d_name);
	}
	if (list)
		closedir(list);
}

/* ---- the laboratory ---- */

int lab_open(const char *tmp, struct lab **lab, struct err *err)
{
	char parent[AREA_PATH_MAX];
	*lab = NULL;
	int rc = lab_check(err);
	if (!rc)
		rc = area_choose(tmp, parent, err);
	if (rc)
		return rc;
	area_sweep(parent);
	sweep_loops();
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) {
		err_sys(err, "real file systems need a mount namespace");
		return err->code = ERR_UNSUPPORTED;
	}
	struct lab *l = mem_alloc(1, sizeof *l);
	rc = area_create(parent, &l->area, err);
	if (rc)
		free(l);
	else
		*lab = l;
	return rc;
}

static char *device_dir(const struct lab *lab, const char *what, const struct device *device)
{
	/* A device's own number: that of its loop device. */
	return mem_printf("%s/%s-%s", lab->area.path, what, strrchr(device_path(device), '/') + 1);
}

char *lab_mount_dir(const struct lab *lab, const struct device *device)
{
	return device_dir(lab, "mnt", device);
}

static void drop_device(struct lab *lab, struct device *device)
{
	char *dir = lab_mount_dir(lab, device);
	struct err err;
	file_system_unmount(dir, &err);
	rmdir(dir);
	free(dir);
	device_destroy(device);
}

void lab_close(struct lab *lab)
{
	if (!lab)
		return;
	for (uint32_t i = 0; i < lab->n; i++)
		drop_device(lab, lab->devices[i]);
	free(lab->devices);
	for (uint32_t i = 0; i < lab->n_fresh; i++)
		block_image_finish(&lab->fresh[i].image);
	area_remove(&lab->area);
	free(lab);
}

const char *lab_dir(const struct lab *lab)
{
	return lab->area.path;
}

static int add_device(struct lab *lab, uint64_t bytes, struct err *err)
{
	char *dir = mem_printf("%s/fuse-%u", lab->area.path, lab->made++);
	struct device *device = NULL;
	int rc = mkdir(dir, 0700) ? err_sys(err, "%s", dir)
				  : device_create(dir, bytes, &device, err);
	free(dir);
	if (rc)
		return rc;
	*MEM_PUSH(lab->devices, lab->n, lab->cap) = device;
	dir = lab_mount_dir(lab, device);
	rc = mkdir(dir, 0700) && errno != EEXIST ? err_sys(err, "%s", dir) : ERR_OK;
	free(dir);
	return rc;
}

int lab_devices(struct lab *lab, uint32_t n, uint64_t bytes, struct device *const **devices,
		struct err *err)
{
	uint32_t kept = 0;
	int rc = ERR_OK;
	for (uint32_t i = 0; i < lab->n; i++) {
		if (device_bytes(lab->devices[i]) == bytes)
			lab->devices[kept++] = lab->devices[i];
		else
			drop_device(lab, lab->devices[i]);
	}
	lab->n = kept;
	while (!rc && lab->n < n)
		rc = add_device(lab, bytes, err);
	*devices = lab->devices;
	return rc;
}

/* ---- fresh file systems ---- */

static int furnish(const char *dir, struct err *err)
{
	char *data = mem_printf("%s/" LAB_DATA, dir), *other = mem_printf("%s/" LAB_OTHER, dir);
	static const char block[DEVICE_BLOCK] = "other";
	int rc = ERR_OK;
	int fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (mkdir(data, 0755) != 0 || fd < 0 || write(fd, block, sizeof block) != sizeof block)
		rc = err_sys(err, "%s", dir);
	if (fd >= 0)
		close(fd);
	free(data);
	free(other);
	return rc;
}

/* device_load needs an image; nothing was ever written to an empty one. */
static int clear_device(struct device *device, struct err *err)
{
	uint8_t *dirty = device_dirty(device);
	uint64_t n = device_bytes(device) / DEVICE_BLOCK;
	for (uint64_t i = 0; i < n; i++)
		if (dirty[i])
			memset(device_data(device) + i * DEVICE_BLOCK, 0, DEVICE_BLOCK);
	memset(dirty, 0, n);
	return device_forget(device, err);
}

static int make_fresh(struct lab *lab, struct device *device, struct fresh *fresh, struct err *err)
{
	char *dir = lab_mount_dir(lab, device);
	int rc = clear_device(device, err);
	if (!rc)
		rc = file_system_make(fresh->fs, device_path(device), err);
	if (!rc)
		rc = device_forget(device, err);
	if (!rc)
		rc = file_system_mount(fresh->fs, device_path(device), dir, err);
	if (!rc) {
		rc = furnish(dir, err);
		int left = file_system_unmount(dir, rc ? NULL : err);
		rc = rc ? rc : left;
	}
	if (!rc)
		device_copy(device, &fresh->image);
	free(dir);
	return rc;
}

int lab_fresh(struct lab *lab, struct device *device, const struct file_system *fs,
	      const struct block_image **image, struct err *err)
{
	for (uint32_t i = 0; i < lab->n_fresh; i++) {
		struct fresh *f = &lab->fresh[i];
		if (f->fs == fs && f->image.bytes == device_bytes(device)) {
			*image = &f->image;
			return ERR_OK;
		}
	}
	if (lab->n_fresh == FRESH_MAX)
		block_image_finish(&lab->fresh[--lab->n_fresh].image);
	struct fresh *f = &lab->fresh[lab->n_fresh];
	f->fs = fs;
	int rc = make_fresh(lab, device, f, err);
	if (rc)
		return rc;
	lab->n_fresh++;
	*image = &f->image;
	return ERR_OK;
}
