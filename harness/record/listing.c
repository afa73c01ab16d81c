#include "listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

static int by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

int listing_read(int fd, const char *path, char ***names, size_t *n, struct err *err)
{
	size_t cap = 0;
	DIR *stream = fdopendir(dup(fd));
	if (!stream)
		return err_sys(err, "cannot list %s", path);
	errno = 0;
	for (struct dirent *entry; (entry = readdir(stream)); errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			*MEM_PUSH(*names, *n, cap) = mem_dup(entry->d_name, strlen(entry->d_name));
	int failure = errno;
	closedir(stream);
	if (failure != 0) {
		errno = failure;
		return err_sys(err, "cannot list %s", path);
	}
	if (*n > 0)
		qsort(*names, *n, sizeof **names, by_name);
	return ERR_OK;
}

void listing_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}
