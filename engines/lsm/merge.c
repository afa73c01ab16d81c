#include "merge.h"

#include <stdlib.h>

/* Moves a source to its next entry. */
static int advance(struct merge *merge, struct merge_source *source, struct engine_error *error)
{
	source->taken = false;
	if (source->cursor.table) {
		int rc = table_next(&source->cursor, &source->entry, error);
		source->ended = rc == 0;
		return rc < 0 ? -1 : 0;
	}
	const struct entry *entry = memtable_next(merge->memtable, &source->memory);
	source->ended = !entry;
	if (entry)
		source->entry = *entry;
	return 0;
}

int merge_init(struct merge *merge, const struct memtable *memtable, struct table *const *tables,
	       size_t n, struct engine_error *error)
{
	*merge = (struct merge){.memtable = memtable, .n = n + (memtable != NULL)};
	merge->sources = calloc(merge->n + 1, sizeof *merge->sources);
	if (!merge->sources)
		return engine_fail(error, "out of memory for a merge");
	for (size_t i = 0; i < n; i++)
		merge->sources[i].cursor.table = tables[i];
	for (size_t i = 0; i < merge->n; i++)
		merge->sources[i].taken = true; /* that is, not yet begun */
	return 0;
}

void merge_finish(struct merge *merge)
{
	for (size_t i = 0; merge->sources && i < merge->n; i++)
		free(merge->sources[i].cursor.buffer.data);
	free(merge->sources);
	*merge = (struct merge){0};
}

/* Whether a comes before b: by key, and of one key the newest. */
static bool before(const struct entry *a, const struct entry *b)
{
	int order = entry_compare_keys(a->key, b->key);
	return order ? order < 0 : a->sequence > b->sequence;
}

/* The source with the next entry, or NULL at the end. */
static struct merge_source *choose(struct merge *merge)
{
	struct merge_source *best = NULL;
	for (size_t i = 0; i < merge->n; i++) {
		struct merge_source *source = &merge->sources[i];
		if (!source->ended && (!best || before(&source->entry, &best->entry)))
			best = source;
	}
	return best;
}

/* Whether a tombstone may hide an older value. */
static bool hides(const struct merge *merge, struct engine_bytes key)
{
	for (size_t i = 0; i < merge->n_older; i++)
		if (table_covers(merge->older[i], key))
			return true;
	return false;
}

/* The newest entry of the next key. */
static int next_key(struct merge *merge, struct entry *entry, struct engine_error *error)
{
	for (size_t i = 0; i < merge->n; i++)
		if (merge->sources[i].taken && advance(merge, &merge->sources[i], error) < 0)
			return -1;
	const struct merge_source *best = choose(merge);
	if (!best)
		return 0;
	*entry = best->entry;
	for (size_t i = 0; i < merge->n; i++)
		merge->sources[i].taken =
			!merge->sources[i].ended &&
			!entry_compare_keys(merge->sources[i].entry.key, entry->key);
	return 1;
}

int merge_next(struct merge *merge, struct entry *entry, struct engine_error *error)
{
	int rc;
	do {
		rc = next_key(merge, entry, error);
	} while (rc > 0 && merge->drops && entry->del && !hides(merge, entry->key));
	return rc;
}
