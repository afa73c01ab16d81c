/* Inside the bitcask engine: an open store and what its files share.  The theory
 * is in bitcask.c.
 *
 * Functions that can fail return 0, or -1 with a text in error. */
#ifndef POWERCUT_BITCASK_H
#define POWERCUT_BITCASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "files.h"
#include "keydir.h"
#include "record.h"

struct data_file {
	uint32_t number;
	bool hinted;	/* its hint is beside it, and is believed */
	uint64_t bytes; /* that hold records */
};

/* Zeroed is empty; the owner frees at. */
struct data_files {
	struct data_file *at;
	size_t n, room;
};

struct bitcask {
	/* The options. */
	bool hardened;
	bool datasync; /* call=fdatasync */
	bool sync_writes;
	uint64_t max_file_bytes; /* a file with records does not grow beyond by a further one */
	uint64_t dead_percent;	 /* files with at least this share of dead bytes are merged */

	int dir; /* descriptors; -1: none */
	int fd;	 /* of the active file, which is the last of files */
	int reader;
	uint32_t reader_file; /* number of the file that reader reads */

	struct data_files files; /* numbers rising */
	bool dirty;		 /* the active file was written to since its last sync */
	uint32_t next_file;	 /* number of the next file */
	uint64_t timestamp;	 /* of the next record */
	struct keydir keydir;
	struct bytes_buffer record; /* being written */
	struct bytes_buffer value;  /* the record last read */

	struct engine_error failed; /* set: a write or sync failed, no more are made */
};

/* bitcask.c: suffixes of the files. */
extern const char bitcask_data[], bitcask_hint[], bitcask_temporary[];

/* data.c: the data files, and the active one among them. */
int data_files_push(struct data_files *files, const struct data_file *file,
		    struct engine_error *error);
/* The file with that number, or NULL. */
struct data_file *data_files_find(const struct data_files *files, uint32_t number);
/* Takes the number of a file that is to be made. */
int bitcask_new_number(struct bitcask *b, uint32_t *number, struct engine_error *error);
/* Writes a change to the active file, in a new one where it would grow too big,
 * and takes note of it in the keydir.  value is ignored for a tombstone. */
int bitcask_append(struct bitcask *b, const struct record *record, const void *value,
		   struct engine_error *error);
/* Syncs the active file where it needs it. */
int bitcask_sync_active(struct bitcask *b, struct engine_error *error);
/* Closes the active file, if there is one, as it is.  From here on there is none. */
int bitcask_leave_active(struct bitcask *b, struct engine_error *error);
/* Reads the value of a key that is not deleted: valid until the next read. */
int bitcask_read(struct bitcask *b, const struct keydir_entry *entry, struct engine_bytes *value,
		 struct engine_error *error);
void bitcask_close_reader(struct bitcask *b);

/* recover.c and merge.c: see the theory. */
int bitcask_recover(struct bitcask *b, struct engine_error *error);
int bitcask_merge(struct bitcask *b, struct engine_error *error);

#endif
