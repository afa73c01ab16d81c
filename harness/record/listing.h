/* The names in a directory, in the order of their bytes. */
#ifndef POWERCUT_LISTING_H
#define POWERCUT_LISTING_H

#include <stddef.h>

#include "err.h"

/* Lists the directory that is open as fd, without "." and ".."; path is for
 * messages.  *names, which must be NULL, and *n are released by listing_free,
 * also after an error.  ERR_IO. */
int listing_read(int fd, const char *path, char ***names, size_t *n, struct err *err);
void listing_free(char **names, size_t n);

#endif
