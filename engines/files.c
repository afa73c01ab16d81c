#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

enum { DIGITS = 8 };

struct file_name file_name(uint32_t number, const char *suffix)
{
	struct file_name name;
	snprintf(name.text, sizeof name.text, "%08u.%.8s", number, suffix);
	return name;
}

struct file_name file_named(const char *text)
{
	struct file_name name;
	snprintf(name.text, sizeof name.text, "%s", text);
	return name;
}

int numbers_push(struct numbers *numbers, uint32_t number, struct engine_error *error)
{
	if (numbers->n == numbers->room) {
		size_t room = numbers->room ? numbers->room * 2 : 16;
		uint32_t *at = realloc(numbers->at, room * sizeof *at);
		if (!at)
			return engine_fail(error, "out of memory for a list of files");
		numbers->at = at;
		numbers->room = room;
	}
	numbers->at[numbers->n++] = number;
	return 0;
}

/* The number that a file name begins with and its suffix; 0: it is not ours. */
static uint32_t parse_name(const char *name, const char **suffix)
{
	uint32_t number = 0;
	for (int i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (uint32_t)(name[i] - '0');
	}
	*suffix = name + DIGITS + 1;
	return name[DIGITS] == '.' ? number : 0;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static int classify(const char *name, const char *const *suffixes, struct numbers *lists, size_t n,
		    struct engine_error *error)
{
	const char *suffix;
	uint32_t number = parse_name(name, &suffix);
	for (size_t i = 0; number && i < n; i++)
		if (!strcmp(suffix, suffixes[i]))
			return numbers_push(&lists[i], number, error);
	return 0;
}

int files_list(int dir, const char *const *suffixes, struct numbers *lists, size_t n,
	       struct engine_error *error)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		engine_fail(error, "open the directory to list it: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	int rc = 0;
	struct dirent *entry;
	while (!rc && (errno = 0, entry = readdir(stream)))
		rc = classify(entry->d_name, suffixes, lists, n, error);
	if (!rc && errno)
		rc = engine_fail(error, "read the directory: %s", strerror(errno));
	closedir(stream);
	for (size_t i = 0; i < n; i++)
		if (lists[i].n)
			qsort(lists[i].at, lists[i].n, sizeof *lists[i].at, compare);
	return rc;
}

int directory_open(const char *path, struct engine_error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? engine_fail(error, "open the directory: %s", strerror(errno)) : fd;
}

int directory_sync(int dir, struct engine_error *error)
{
	if (fsync(dir) < 0)
		return engine_fail(error, "fsync of the directory: %s", strerror(errno));
	return 0;
}

int file_open(int dir, const struct file_name *name, int flags, struct engine_error *error)
{
	int fd = openat(dir, name->text, flags | O_CLOEXEC, 0666);
	if (fd < 0)
		return engine_fail(error, "%s %s: %s", flags & O_CREAT ? "create" : "open",
				   name->text, strerror(errno));
	return fd;
}

int file_rename(int dir, const struct file_name *from, const struct file_name *to,
		struct engine_error *error)
{
	if (renameat(dir, from->text, dir, to->text) < 0)
		return engine_fail(error, "rename %s to %s: %s", from->text, to->text,
				   strerror(errno));
	return 0;
}

int file_unlink(int dir, const struct file_name *name, struct engine_error *error)
{
	if (unlinkat(dir, name->text, 0) < 0)
		return engine_fail(error, "unlink %s: %s", name->text, strerror(errno));
	return 0;
}

int file_write(int fd, const struct file_name *name, const void *p, size_t n, uint64_t offset,
	       struct engine_error *error)
{
	if (io_write_at(fd, p, n, offset) < 0)
		return engine_fail(error, "write to %s: %s", name->text, strerror(errno));
	return 0;
}

int file_sync(int fd, const struct file_name *name, bool datasync, struct engine_error *error)
{
	if ((datasync ? fdatasync(fd) : fsync(fd)) < 0)
		return engine_fail(error, "%s of %s: %s", datasync ? "fdatasync" : "fsync",
				   name->text, strerror(errno));
	return 0;
}

int file_load(int dir, const struct file_name *name, uint8_t **data, size_t *size,
	      struct engine_error *error)
{
	struct stat st;
	*data = NULL;
	int fd = file_open(dir, name, O_RDONLY, error);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		engine_fail(error, "fstat of %s: %s", name->text, strerror(errno));
		goto failed;
	}
	*data = malloc((size_t)st.st_size + 1);
	if (!*data) {
		engine_fail(error, "out of memory for %s (%lld bytes)", name->text,
			    (long long)st.st_size);
		goto failed;
	}
	ssize_t got = io_read_at(fd, *data, (size_t)st.st_size, 0);
	if (got < 0) {
		engine_fail(error, "read of %s: %s", name->text, strerror(errno));
		goto failed;
	}
	*size = (size_t)got;
	close(fd);
	return 0;
failed:
	free(*data);
	*data = NULL;
	close(fd);
	return -1;
}
