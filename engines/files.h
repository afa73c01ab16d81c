/* The files of a store: numbered, "NNNNNNNN.suffix", all in one directory.
 *
 * dir is a descriptor of that directory.  Functions that can fail return 0 (or
 * what they say), or -1 with a text in error that names the file. */
#ifndef POWERCUT_FILES_H
#define POWERCUT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"

enum { FILE_NUMBER_MAX = 99999999 };

struct file_name {
	char text[24];
};

/* The name of a numbered file; its suffix has at most 8 characters. */
struct file_name file_name(uint32_t number, const char *suffix);

/* Any other name, of at most 23 characters. */
struct file_name file_named(const char *text);

/* Numbers of files.  Zeroed is empty. */
struct numbers {
	uint32_t *at;
	size_t n, room;
};

int numbers_push(struct numbers *numbers, uint32_t number, struct engine_error *error);

/* Fills lists[i], which must be empty, with the numbers of the files that have
 * suffixes[i], rising; n of them.  Other files are passed over, and so is number
 * 0.  The caller frees lists[i].at, also on failure. */
int files_list(int dir, const char *const *suffixes, struct numbers *lists, size_t n,
	       struct engine_error *error);

/* Opens a directory for the calls below; a descriptor. */
int directory_open(const char *path, struct engine_error *error);
int directory_sync(int dir, struct engine_error *error);

/* A descriptor; with O_CREAT, of a file with mode 0666. */
int file_open(int dir, const struct file_name *name, int flags, struct engine_error *error);
int file_rename(int dir, const struct file_name *from, const struct file_name *to,
		struct engine_error *error);
int file_unlink(int dir, const struct file_name *name, struct engine_error *error);

/* Writes n bytes at offset. */
int file_write(int fd, const struct file_name *name, const void *p, size_t n, uint64_t offset,
	       struct engine_error *error);

/* fsync, or fdatasync where datasync says so. */
int file_sync(int fd, const struct file_name *name, bool datasync, struct engine_error *error);

/* Reads a whole file into memory that the caller frees, also where it is empty;
 * *data is NULL on failure. */
int file_load(int dir, const struct file_name *name, uint8_t **data, size_t *size,
	      struct engine_error *error);

#endif
