/* The keydir: for each key, where its newest record is.  It knows deleted keys
 * too, for as long as a tombstone of theirs is in a file. */
#ifndef POWERCUT_BITCASK_KEYDIR_H
#define POWERCUT_BITCASK_KEYDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "record.h"

struct keydir_entry {
	/* The newest record of the key. */
	uint64_t timestamp;
	uint64_t offset;       /* bytes from the start of its file */
	uint32_t file;	       /* number of its data file */
	uint32_t value_length; /* bytes, or RECORD_TOMBSTONE */

	uint64_t values; /* records of the key in all files that are no tombstones */
	uint64_t going;	 /* of these, those that the merge in progress removes */

	UT_hash_handle hh;
	size_t key_length;
	char key[];
};

/* A zeroed struct keydir is an empty one.  The entries are a list as well, in
 * the order in which their keys first came. */
struct keydir {
	struct keydir_entry *entries;
};

void keydir_clear(struct keydir *keydir);

/* The entry of a key, deleted or not, or NULL. */
struct keydir_entry *keydir_find(const struct keydir *keydir, struct engine_bytes key);

/* Takes note of a record in a file, and of its place where no newer record of
 * its key is known; of equally new ones (copies) the last one taken counts.  0,
 * or -1 where memory ran out and the keydir is as before. */
int keydir_take(struct keydir *keydir, const struct record *record, uint32_t file, uint64_t offset);

/* Forgets an entry, and frees it. */
void keydir_remove(struct keydir *keydir, struct keydir_entry *entry);

/* The entry behind e, the first for NULL; NULL at the end. */
static inline struct keydir_entry *keydir_next(const struct keydir *keydir,
					       const struct keydir_entry *e)
{
	return e ? e->hh.next : keydir->entries;
}

static inline bool keydir_deleted(const struct keydir_entry *e)
{
	return e->value_length == RECORD_TOMBSTONE;
}

/* Whether the newest record says anything: a tombstone does while there is an
 * older value, in whichever file. */
static inline bool keydir_needed(const struct keydir_entry *e)
{
	return !keydir_deleted(e) || e->values > 0;
}

static inline size_t keydir_record_bytes(const struct keydir_entry *e)
{
	return record_bytes(e->key_length, e->value_length);
}

static inline struct engine_bytes keydir_key(const struct keydir_entry *e)
{
	return (struct engine_bytes){e->key, e->key_length};
}

#endif
