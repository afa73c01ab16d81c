#include "file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"

#define MIB (UINT64_C(1) << 20)

/* Blocks of 4096 bytes, as everywhere in the model.  Nothing is left to be done
 * in the background: it would be recorded. */
#define EXT4_MKFS                                                                                  \
	{                                                                                          \
		"mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E",                       \
			"lazy_itable_init=0,lazy_journal_init=0,nodiscard"                         \
	}

const struct file_system file_system_table[] = {
	{"ext4", "ext4", "", EXT4_MKFS, 16 * MIB, 5 * MIB},
	{"ext4-lock", "ext4", "dioread_lock", EXT4_MKFS, 16 * MIB, 5 * MIB},
	{"ext4-noda", "ext4", "noauto_da_alloc", EXT4_MKFS, 16 * MIB, 5 * MIB},
	{"xfs", "xfs", "nouuid", {"mkfs.xfs", "-q", "-f", "-K"}, 32 * MIB, 12 * MIB},
	{"btrfs", "btrfs", "", {"mkfs.btrfs", "-q", "-f", "-K"}, 128 * MIB, 64 * MIB},
	{0},
};

/* mkfs.xfs makes none below 300 MB unless it believes itself to be tested. */
static char *const mkfs_environment[] = {
	(char[]){"PATH=/usr/sbin:/sbin:/usr/bin:/bin"},
	(char[]){"TEST_DIR=1"},
	(char[]){"TEST_DEV=1"},
	(char[]){"QA_CHECK_FS=1"},
	NULL,
};
static const char *const places[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin", NULL};

const struct file_system *file_system_find(const char *name)
{
	for (const struct file_system *fs = file_system_table; fs->name; fs++)
		if (strcmp(fs->name, name) == 0)
			return fs;
	return NULL;
}

uint64_t file_system_bytes(const struct file_system *fs, uint64_t bytes)
{
	uint64_t need = fs->overhead_bytes + 2 * bytes + 8 * MIB;
	uint64_t size = fs->bytes_min;
	while (size < need)
		size *= 2;
	return size;
}

/* ---- whether it is here ---- */

/* The program's path, the caller's to free, or NULL. */
static char *find_program(const char *name)
{
	for (size_t i = 0; places[i]; i++) {
		char *path = mem_printf("%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static bool kernel_lists(const char *type)
{
	FILE *f = fopen("/proc/filesystems", "re");
	char line[128];
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		const char *name = strrchr(line, '\t');
		found = name && strcmp(name + 1, type) == 0;
	}
	if (f)
		fclose(f);
	return found;
}

/* The mount itself would load the module; asking for a mount of nothing does, too. */
static bool kernel_knows(const char *type)
{
	if (kernel_lists(type))
		return true;
	mount("none", "/proc/self/fd", type, 0, NULL);
	return kernel_lists(type);
}

int file_system_check(const struct file_system *fs, struct err *err)
{
	char *path = find_program(fs->mkfs[0]);
	const char *package = strcmp(fs->type, "ext4") == 0  ? "e2fsprogs"
			      : strcmp(fs->type, "xfs") == 0 ? "xfsprogs"
							     : "btrfs-progs";
	if (!path)
		return err_set(err, ERR_UNSUPPORTED, "%s is not installed (Debian's package %s)",
			       fs->mkfs[0], package);
	free(path);
	if (!kernel_knows(fs->type))
		return err_set(err, ERR_UNSUPPORTED, "this kernel has no %s", fs->type);
	return ERR_OK;
}

/* ---- making and mounting ---- */

/* Runs a program; its output goes to fd. */
static int run(const char *path, char *const argv[], int fd, int *status, struct err *err)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 1);
	posix_spawn_file_actions_adddup2(&actions, fd, 2);
	int rc = posix_spawn(&pid, path, &actions, NULL, argv, mkfs_environment);
	posix_spawn_file_actions_destroy(&actions);
	if (rc) {
		errno = rc;
		return err_sys(err, "%s", path);
	}
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, "%s", path);
	return ERR_OK;
}

int file_system_make(const struct file_system *fs, const char *device, struct err *err)
{
	char *argv[MKFS_WORDS + 2];
	char said[300] = "";
	size_t n = 0;
	for (; fs->mkfs[n]; n++)
		argv[n] = (char *)(uintptr_t)fs->mkfs[n];
	argv[n] = (char *)(uintptr_t)device;
	argv[n + 1] = NULL;
	char *path = find_program(fs->mkfs[0]);
	if (!path)
		return file_system_check(fs, err);
	int fd = memfd_create("mkfs", MFD_CLOEXEC), status = 0;
	int rc = fd < 0 ? err_sys(err, "no memory for a file") : run(path, argv, fd, &status, err);
	if (!rc && status != 0) {
		ssize_t got = pread(fd, said, sizeof said - 1, 0);
		said[got > 0 ? got : 0] = '\0';
		rc = err_set(err, ERR_IO, "%s failed: %s", fs->mkfs[0], said);
	}
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

int file_system_mount(const struct file_system *fs, const char *device, const char *dir,
		      struct err *err)
{
	if (mount(device, dir, fs->type, MS_NOATIME, fs->options) == 0)
		return ERR_OK;
	return err_sys(err, "cannot mount %s as %s", device, fs->name);
}

int file_system_unmount(const char *dir, struct err *err)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	for (int i = 0; i < 200; i++) {
		if (umount2(dir, 0) == 0 || errno == EINVAL)
			return ERR_OK;
		if (errno != EBUSY)
			break;
		nanosleep(&moment, NULL);
	}
	return err_sys(err, "cannot unmount %s", dir);
}

void file_system_describe(const struct file_system *fs, struct buf *out)
{
	for (size_t i = 0; fs->mkfs[i]; i++)
		buf_printf(out, "%s%s", i ? " " : "", fs->mkfs[i]);
	buf_printf(out, "; mount -o noatime%s%s", *fs->options ? "," : "", fs->options);
}
