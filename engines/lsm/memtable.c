#include "memtable.h"

#include <stdlib.h>
#include <string.h>

struct memtable_node {
	struct entry entry; /* its key is behind next[] */
	void *value;	    /* its value */
	size_t height;
	struct memtable_node *next[];
};

void memtable_clear(struct memtable *memtable)
{
	struct memtable_node *next;
	for (struct memtable_node *node = memtable->first[0]; node; node = next) {
		next = node->next[0];
		free(node->value);
		free(node);
	}
	*memtable = (struct memtable){0};
}

/* For each level, the link to the first node whose key is not before key.
 * Returns that node of level 0, or NULL. */
static struct memtable_node *find_links(struct memtable *memtable, struct engine_bytes key,
					struct memtable_node **links[MEMTABLE_HEIGHT])
{
	struct memtable_node **next = memtable->first;
	for (size_t level = MEMTABLE_HEIGHT; level-- > 0;) {
		while (next[level] && entry_compare_keys(next[level]->entry.key, key) < 0)
			next = next[level]->next;
		links[level] = &next[level];
	}
	return *links[0];
}

/* One node in two rises to the next level, and not by chance: one sequence of
 * calls gives one structure. */
static size_t height_of(size_t nth)
{
	size_t height = (size_t)__builtin_ctzll((unsigned long long)nth) + 1;
	return height < MEMTABLE_HEIGHT ? height : MEMTABLE_HEIGHT;
}

static struct memtable_node *make_node(const struct entry *entry, size_t height)
{
	size_t links = height * sizeof(struct memtable_node *);
	struct memtable_node *node = malloc(sizeof *node + links + entry->key.length);
	if (!node)
		return NULL;
	char *key = (char *)node + sizeof *node + links;
	if (entry->key.length)
		memcpy(key, entry->key.data, entry->key.length);
	*node = (struct memtable_node){.height = height};
	node->entry.key = (struct engine_bytes){key, entry->key.length};
	return node;
}

/* All of an entry but its key; value is a copy that now is the node's. */
static void set_entry(struct memtable_node *node, const struct entry *entry, void *value)
{
	free(node->value);
	node->value = value;
	node->entry.value = (struct engine_bytes){value, entry->value.length};
	node->entry.sequence = entry->sequence;
	node->entry.del = entry->del;
}

int memtable_set(struct memtable *memtable, const struct entry *entry)
{
	struct memtable_node **links[MEMTABLE_HEIGHT];
	struct memtable_node *node = find_links(memtable, entry->key, links);
	void *value = malloc(entry->value.length + 1);
	if (!value)
		return -1;
	if (entry->value.length)
		memcpy(value, entry->value.data, entry->value.length);
	if (!node || entry_compare_keys(node->entry.key, entry->key)) {
		node = make_node(entry, height_of(memtable->n + 1));
		if (!node) {
			free(value);
			return -1;
		}
		memtable->n++;
		for (size_t level = 0; level < node->height; level++) {
			node->next[level] = *links[level];
			*links[level] = node;
		}
	}
	set_entry(node, entry, value);
	return 0;
}

const struct entry *memtable_find(const struct memtable *memtable, struct engine_bytes key)
{
	struct memtable_node *const *next = memtable->first;
	for (size_t level = MEMTABLE_HEIGHT; level-- > 0;)
		while (next[level] && entry_compare_keys(next[level]->entry.key, key) < 0)
			next = next[level]->next;
	const struct memtable_node *node = next[0];
	return node && !entry_compare_keys(node->entry.key, key) ? &node->entry : NULL;
}

const struct entry *memtable_next(const struct memtable *memtable, struct memtable_cursor *cursor)
{
	cursor->at = cursor->at ? cursor->at->next[0] : memtable->first[0];
	return cursor->at ? &cursor->at->entry : NULL;
}
