/* Tables: sorted entries in a file that never changes.
 *
 *   blocks   entries (entry.h), at least block_bytes of them unless it is the
 *            last block, then a u32: the crc of them (entry_seal)
 *   index    for each block: u64 offset; u32 length, the crc included; u32 key
 *            length and key: the first one of the block.  Then u32 key length and key:
 *            the last one of the table
 *   footer   u64 offset of the index, u64 entries, u64 lowest and u64 highest
 *            sequence number, u32 crc of the index, u32 magic, u32 crc of the footer
 *            before it
 *
 * Each key is there once, and there is at least one.  The textbook variant leaves
 * all crcs 0 and does not look at them.
 *
 * Functions that can fail return 0 (or what they say), or -1 with a text in
 * error. */
#ifndef POWERCUT_LSM_TABLE_H
#define POWERCUT_LSM_TABLE_H

#include "entry.h"
#include "files.h"

struct table_block {
	uint64_t offset;
	uint32_t length; /* bytes, the crc included */
	struct engine_bytes first;
};

/* An open table. */
struct table {
	int fd;
	uint32_t number;
	struct file_name name;
	bool sealed;	/* it has crcs */
	uint64_t bytes; /* of the file */
	uint64_t n, sequence_min, sequence_max;
	struct table_block *blocks;
	size_t n_blocks;
	struct engine_bytes last;
	uint8_t *index; /* that the keys point into */
};

/* Opens a table and reads its footer and index. */
int table_open(int dir, uint32_t number, const struct file_name *name, bool sealed,
	       struct table **table, struct engine_error *error);
void table_close(struct table *table); /* NULL is fine */

/* Whether the file ends as a finished table does: 1 or 0, or -1. */
int table_finished(int dir, const struct file_name *name, struct engine_error *error);

/* Whether the key lies between the first and the last one. */
bool table_covers(const struct table *table, struct engine_bytes key);

/* 1 and the entry of the key, which may be a tombstone and points into buffer; 0:
 * it has none. */
int table_find(const struct table *table, struct engine_bytes key, struct bytes_buffer *buffer,
	       struct entry *entry, struct engine_error *error);

/* Walks all entries by rising keys.  Start with table alone set, and free
 * buffer.data at the end. */
struct table_cursor {
	const struct table *table;
	struct bytes_buffer buffer; /* the entries of the block before `block` */
	size_t block, at;
};
/* 1 and an entry, which points into the cursor's buffer until the next call; 0 at the end. */
int table_next(struct table_cursor *cursor, struct entry *entry, struct engine_error *error);

/* Reads everything and checks it: order, counts, sequence numbers. */
int table_verify(const struct table *table, struct engine_error *error);

/* Writes a table into an empty file.  Set the first five; release with
 * table_writer_finish. */
struct table_writer {
	int fd;
	uint32_t number;
	struct file_name name; /* of the file, for errors */
	bool sealed;
	size_t block_bytes;

	uint64_t offset;	   /* bytes written */
	struct bytes_buffer out;   /* whole blocks behind these */
	struct bytes_buffer block; /* the entries of the block in hand */
	struct bytes_buffer index;
	size_t last_at; /* offset in block of its last entry */
	uint64_t n, sequence_min, sequence_max;
};
/* Keys must rise. */
int table_add(struct table_writer *writer, const struct entry *entry, struct engine_error *error);
/* Writes all that is not yet written; at least one entry must have been added. */
int table_end(struct table_writer *writer, struct engine_error *error);
void table_writer_finish(struct table_writer *writer);

#endif
