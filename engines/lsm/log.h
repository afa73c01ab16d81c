/* The log: changes since the last flush, in the order in which they were made.
 *
 * It is records, one behind the other:
 *
 *   length   u32   bytes of the entries
 *   crc      u32   of the length and the entries (entry_seal: for this log and
 *                  this place in it); the textbook variant leaves it 0
 *   entries        entry.h; those of one operation, their numbers rising by 1
 *
 * Functions that can fail return 0, or -1 with a text in error. */
#ifndef POWERCUT_LSM_LOG_H
#define POWERCUT_LSM_LOG_H

#include "entry.h"
#include "files.h"
#include "memtable.h"

enum {
	LOG_OVERHEAD = 8,		    /* bytes of a record beside its entries */
	LOG_RECORD_MAX = 1024 * 1024 * 1024 /* bytes of its entries */
};

struct log {
	int fd; /* -1: none */
	uint32_t number;
	struct file_name name;
	bool sealed;		    /* its records have a crc */
	uint64_t size;		    /* bytes that the kernel has */
	struct bytes_buffer buffer; /* the record behind these, which it has not */
	bool dirty;		    /* written to since its last sync */
};

/* Continues a log behind its first size bytes.  log must have no file; fd is its
 * from now on. */
void lsm_log_begin(struct log *log, int fd, uint32_t number, const struct file_name *name,
		   bool sealed, uint64_t size);

/* Closes the file, if there is one. */
int lsm_log_close(struct log *log, struct engine_error *error);

/* Closes the file and frees everything. */
void lsm_log_finish(struct log *log);

/* Puts the record of n entries into the buffer, which must be empty. */
int lsm_log_buffer(struct log *log, const struct entry *entries, size_t n,
		   struct engine_error *error);

/* Hands the buffer to the kernel. */
int lsm_log_flush(struct log *log, struct engine_error *error);
int lsm_log_sync(struct log *log, bool datasync, struct engine_error *error);

/* Reads the log of that number and name into a memtable.
 *
 * sealed: records count while each is whole, valid and next in sequence behind
 * *sequence; otherwise, while each is whole.  *sequence becomes the number of the last
 * entry, *end the bytes of the records that count, *size those of the file. */
struct replay {
	uint64_t sequence, end, size;
};
int lsm_log_replay(int dir, uint32_t number, const struct file_name *name, bool sealed,
		   struct memtable *memtable, struct replay *replay, struct engine_error *error);

#endif
