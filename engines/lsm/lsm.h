/* Inside the lsm engine: an open store and what its files share.  The theory is
 * in lsm.c.
 *
 * Functions that can fail return 0 (or what they say), or -1 with a text in
 * error. */
#ifndef POWERCUT_LSM_H
#define POWERCUT_LSM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "files.h"
#include "log.h"
#include "manifest.h"
#include "memtable.h"
#include "table.h"

struct lsm {
	/* The options. */
	bool hardened;
	bool datasync;		 /* call=fdatasync */
	bool sync_each;		 /* never in the textbook variant */
	uint64_t memtable_bytes; /* a log that has as many is flushed before the next change */
	size_t block_bytes;
	size_t compact_at; /* tables to a compaction that was not asked for */

	int dir;       /* descriptor; -1: none */
	uint32_t next; /* number of the next file: above all that were ever found */

	struct log log;
	struct memtable memtable; /* what the log amounts to */
	struct table **tables;	  /* from the oldest to the newest */
	size_t n_tables, tables_room;
	uint64_t flushed;  /* the number of the last change that is in the tables */
	uint64_t sequence; /* of the last change */
	struct manifest manifest;

	struct bytes_buffer found; /* a block with the value that get returned */

	struct engine_error failed; /* set: a write or sync failed, no more are made */
};

/* Suffixes and names of the files: lsm.c. */
extern const char lsm_log_suffix[], lsm_table_suffix[], lsm_temporary_suffix[];
struct file_name lsm_textbook_log(void);

/* flush.c: the memtable → the newest table, if it holds anything; and a new log.
 * Opening ends in one as well. */
int lsm_flush(struct lsm *lsm, struct engine_error *error);

/* compact.c */

/* Compacts for as long as there are compact_at tables that should be one. */
int lsm_compact_some(struct lsm *lsm, struct engine_error *error);
/* Everything becomes one table. */
int lsm_compact_all(struct lsm *lsm, struct engine_error *error);

/* tables.c */

/* Writes what a merge gives as a table, durable but for its name in the hardened
 * variant; NULL where the merge gives nothing. */
struct merge;
int lsm_write_table(struct lsm *lsm, struct merge *merge, struct table **table,
		    struct engine_error *error);
/* Makes room for one more table. */
int lsm_reserve_table(struct lsm *lsm, struct engine_error *error);
/* The version that the store's tables and a log make; its tables are the
 * caller's to free, also on failure. */
int lsm_version(const struct lsm *lsm, uint32_t log, struct version *version,
		struct engine_error *error);
/* Makes it durable. */
int lsm_commit(struct lsm *lsm, uint32_t log, struct engine_error *error);
/* A number for a new file; 0 where none is left. */
uint32_t lsm_new_number(struct lsm *lsm, struct engine_error *error);

/* recover.c */
int lsm_recover(struct lsm *lsm, struct engine_error *error);

/* lsm.c: the newest entry of a key, which may be a tombstone and is valid until
 * the next call: 1, 0 where there is none, -1. */
int lsm_find(struct lsm *lsm, struct engine_bytes key, struct entry *entry,
	     struct engine_error *error);

/* verify.c */
int lsm_verify(struct lsm *lsm, struct engine_error *error);

#endif
