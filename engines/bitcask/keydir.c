#include "keydir.h"

#include <stdlib.h>
#include <string.h>

void keydir_clear(struct keydir *keydir)
{
	struct keydir_entry *e, *next;
	HASH_ITER (hh, keydir->entries, e, next)
		keydir_remove(keydir, e);
}

struct keydir_entry *keydir_find(const struct keydir *keydir, struct engine_bytes key)
{
	struct keydir_entry *found;
	const void *bytes = key.length ? key.data : ""; /* which may be NULL for no bytes */
	HASH_FIND(hh, keydir->entries, bytes, key.length, found);
	return found;
}

static struct keydir_entry *add(struct keydir *keydir, struct engine_bytes key)
{
	struct keydir_entry *e = calloc(1, sizeof *e + key.length);
	if (!e)
		return NULL;
	e->key_length = key.length;
	if (key.length)
		memcpy(e->key, key.data, key.length);
	HASH_ADD_KEYPTR(hh, keydir->entries, e->key, e->key_length, e);
	if (!e->hh.tbl) { /* the table had no memory for it */
		free(e);
		return NULL;
	}
	return e;
}

int keydir_take(struct keydir *keydir, const struct record *record, uint32_t file, uint64_t offset)
{
	struct keydir_entry *e = keydir_find(keydir, record->key);
	if (!e && !(e = add(keydir, record->key)))
		return -1;
	if (record->value_length != RECORD_TOMBSTONE)
		e->values++;
	if (record->timestamp < e->timestamp)
		return 0;
	e->timestamp = record->timestamp;
	e->file = file;
	e->offset = offset;
	e->value_length = record->value_length;
	return 0;
}

void keydir_remove(struct keydir *keydir, struct keydir_entry *entry)
{
	HASH_DEL(keydir->entries, entry);
	free(entry);
}
