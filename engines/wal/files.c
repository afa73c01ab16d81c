#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wal.h"

const char wal_segment[] = "wal", wal_spare[] = "spare", wal_temporary[] = "tmp";

enum { DIGITS = 8 };

struct wal_name wal_name(uint32_t number, const char *suffix)
{
	struct wal_name name;
	snprintf(name.text, sizeof name.text, "%08u.%.8s", number, suffix);
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

/* The list that a file name belongs to and its number; NULL: not ours. */
static struct numbers *classify(struct listing *listing, const char *name, uint32_t *number)
{
	*number = 0;
	for (int i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		*number = *number * 10 + (uint32_t)(name[i] - '0');
	}
	if (!*number || name[DIGITS] != '.')
		return NULL;
	const char *suffix = name + DIGITS + 1;
	if (!strcmp(suffix, wal_segment))
		return &listing->segments;
	if (!strcmp(suffix, wal_spare))
		return &listing->spares;
	return strcmp(suffix, wal_temporary) ? NULL : &listing->temporaries;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void sort(struct numbers *numbers)
{
	if (numbers->n)
		qsort(numbers->at, numbers->n, sizeof *numbers->at, compare);
}

int wal_list(const struct wal *wal, struct listing *listing, struct engine_error *error)
{
	*listing = (struct listing){0};
	int fd = openat(wal->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		engine_fail(error, "open the directory to list it: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	int rc = 0;
	struct dirent *entry;
	while (!rc && (errno = 0, entry = readdir(dir))) {
		uint32_t number;
		struct numbers *list = classify(listing, entry->d_name, &number);
		if (list)
			rc = numbers_push(list, number, error);
	}
	if (!rc && errno)
		rc = engine_fail(error, "read the directory: %s", strerror(errno));
	closedir(dir);
	sort(&listing->segments);
	sort(&listing->spares);
	sort(&listing->temporaries);
	return rc;
}

void listing_finish(struct listing *listing)
{
	free(listing->segments.at);
	free(listing->spares.at);
	free(listing->temporaries.at);
}

int wal_open_file(const struct wal *wal, const struct wal_name *name, int flags,
		  struct engine_error *error)
{
	int fd = openat(wal->dir, name->text, flags | O_CLOEXEC, 0666);
	if (fd < 0)
		return engine_fail(error, "%s %s: %s", flags & O_CREAT ? "create" : "open",
				   name->text, strerror(errno));
	return fd;
}

int wal_rename(const struct wal *wal, const struct wal_name *from, const struct wal_name *to,
	       struct engine_error *error)
{
	if (renameat(wal->dir, from->text, wal->dir, to->text) < 0)
		return engine_fail(error, "rename %s to %s: %s", from->text, to->text,
				   strerror(errno));
	return 0;
}

int wal_unlink(const struct wal *wal, const struct wal_name *name, struct engine_error *error)
{
	if (unlinkat(wal->dir, name->text, 0) < 0)
		return engine_fail(error, "unlink %s: %s", name->text, strerror(errno));
	return 0;
}

int wal_sync_directory(const struct wal *wal, struct engine_error *error)
{
	if (fsync(wal->dir) < 0)
		return engine_fail(error, "fsync of the directory: %s", strerror(errno));
	return 0;
}

int wal_sync_fd(const struct wal *wal, int fd, const struct wal_name *name,
		struct engine_error *error)
{
	if ((wal->datasync ? fdatasync(fd) : fsync(fd)) < 0)
		return engine_fail(error, "%s of %s: %s", wal->datasync ? "fdatasync" : "fsync",
				   name->text, strerror(errno));
	return 0;
}
