/* What checking is measured with: a store of FILES files, each of FILE_BYTES bytes
 * that say which version they are of.  A version is written to a new file, synced,
 * renamed over the old one, and the directory is synced. */
#include <fcntl.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "mem.h"

enum { FILES = 30, FILE_BYTES = 10240, UPDATES = 40 };

static int sync_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) ? err_sys(err, "%s", dir) : ERR_OK;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int write_file(const char *path, unsigned version, struct err *err)
{
	char bytes[FILE_BYTES];
	memset(bytes, (int)('a' + version % 26), sizeof bytes);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), rc = ERR_OK;
	if (fd < 0 || write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes || fsync(fd))
		rc = err_sys(err, "%s", path);
	if (fd >= 0 && close(fd) && !rc)
		rc = err_sys(err, "%s", path);
	return rc;
}

static int update(const char *dir, unsigned file, unsigned version, struct err *err)
{
	char *path = mem_printf("%s/%02u", dir, file), *new_path = mem_printf("%s/new", dir);
	int rc = write_file(new_path, version, err);
	if (!rc && rename(new_path, path))
		rc = err_sys(err, "%s", path);
	free(path);
	free(new_path);
	return rc ? rc : sync_dir(dir, err);
}

int bench_store(const char *dir, struct err *err)
{
	int rc = ERR_OK;
	char *first = mem_printf("%s/00", dir);
	bool there = access(first, F_OK) == 0;
	free(first);
	for (unsigned i = 0; i < FILES && !rc && !there; i++)
		rc = update(dir, i, 0, err);
	for (unsigned i = 1; i <= UPDATES && !rc && there; i++) {
		printf("%u\n", i);
		fflush(stdout);
		rc = update(dir, i * 7 % FILES, i, err);
	}
	return rc;
}

/* One version throughout. */
static int check_file(const char *path, struct err *err)
{
	char bytes[FILE_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_sys(err, "%s", path);
	if (n != FILE_BYTES || memcmp(bytes, bytes + 1, FILE_BYTES - 1) != 0)
		return err_set(err, ERR_CORRUPT, "%s is of no single version", path);
	return ERR_OK;
}

int bench_check(const char *dir, struct err *err)
{
	int rc = ERR_OK;
	for (unsigned i = 0; i < FILES && !rc; i++) {
		char *path = mem_printf("%s/%02u", dir, i);
		rc = check_file(path, err);
		free(path);
	}
	return rc;
}
