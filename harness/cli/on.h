/* --on: real file systems by their names. */
#ifndef POWERCUT_ON_H
#define POWERCUT_ON_H

#include "err.h"
#include "file_system.h"

enum { ON_MAX = 16 };

/* A zeroed struct: none named. */
struct on {
	const struct file_system *fs[ON_MAX + 1];
	uint32_t n;
	uint32_t n_missing; /* of the table, that this machine has not, where none was named */
};

/* Adds the names of a list "ext4,xfs".  ERR_USAGE. */
int on_parse(struct on *on, const char *value, struct err *err);

/* Where none was named, takes all that this machine has, and says on standard error which
 * it has not.  ERR_UNSUPPORTED where one that was named is not here, or there is none. */
int on_complete(struct on *on, struct err *err);

#endif
