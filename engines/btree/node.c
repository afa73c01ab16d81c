#include "node.h"

#include <assert.h>
#include <string.h>

enum { LEAF_OVERHEAD = 7, INNER_OVERHEAD = 6, LINK_BYTES = 4 };

int key_compare(struct engine_bytes a, struct engine_bytes b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* Reads the entry at *at, which moves behind it.  Whether it is one. */
static bool decode(const struct node *node, size_t used, size_t *at, struct node_entry *entry)
{
	const uint8_t *p = node->bytes + *at;
	size_t overhead = node->level ? INNER_OVERHEAD : LEAF_OVERHEAD, left = used - *at;
	if (left < overhead)
		return false;
	size_t key_length = load_le(p, 2), value_length = 0, stored = 0;
	*entry = (struct node_entry){.key = {p + overhead, key_length}};
	if (node->level) {
		entry->page = (uint32_t)load_le(p + 2, 4);
	} else {
		value_length = load_le(p + 2, 4);
		entry->chained = p[6];
		stored = entry->chained ? LINK_BYTES : value_length;
	}
	size_t value_max = entry->chained ? BTREE_VALUE_MAX : INLINE_MAX; /* so that splits fit */
	if (key_length > BTREE_KEY_MAX || value_length > value_max ||
	    overhead + key_length + stored > left)
		return false;
	const uint8_t *value = p + overhead + key_length;
	entry->value = (struct engine_bytes){entry->chained ? NULL : value, value_length};
	if (entry->chained)
		entry->page = (uint32_t)load_le(value, LINK_BYTES);
	*at += overhead + key_length + stored;
	return true;
}

/* Takes the page in node->bytes apart.  Whether it is a node. */
static bool decode_all(struct node *node, size_t used, uint32_t n)
{
	size_t at = PAGE_HEADER;
	if (n > FANOUT_MAX || used > PAGE_BYTES || used < PAGE_HEADER)
		return false;
	for (node->n = 0; node->n < n; node->n++) {
		struct node_entry *entry = &node->at[node->n];
		if (!decode(node, used, &at, entry))
			return false;
		if (node->n && key_compare(entry[-1].key, entry->key) >= 0)
			return false;
	}
	return at == used && !(node->level && n && node->at[0].key.length);
}

int node_load(struct btree *btree, uint32_t number, uint32_t level, struct node *node,
	      struct engine_error *error)
{
	struct page *page = page_get(btree, number, level ? PAGE_INNER : PAGE_LEAF, error);
	if (!page)
		return -1;
	node->number = number;
	node->level = level;
	memcpy(node->bytes, page->bytes, sizeof node->bytes);
	if (page_level(page) != level || !decode_all(node, page_used(page), page_link(page)))
		return engine_fail(error, "damaged: page %u is no node of level %u", number, level);
	if (!node->n && (level || number != btree->meta.root))
		return engine_fail(error, "damaged: page %u has no entries", number);
	return 0;
}

static size_t entry_bytes(const struct node *node, const struct node_entry *entry)
{
	if (node->level)
		return INNER_OVERHEAD + entry->key.length;
	return LEAF_OVERHEAD + entry->key.length +
	       (entry->chained ? LINK_BYTES : entry->value.length);
}

size_t node_bytes(const struct node *node, uint32_t from, uint32_t to)
{
	size_t bytes = 0;
	for (uint32_t i = from; i < to; i++)
		bytes += entry_bytes(node, &node->at[i]);
	return bytes;
}

bool node_fits(const struct btree *btree, const struct node *node)
{
	return node->n <= btree->fanout && node_bytes(node, 0, node->n) <= PAGE_ROOM;
}

static void encode(const struct node *node, const struct node_entry *entry, uint8_t *p)
{
	store_le(p, entry->key.length, 2);
	store_le(p + 2, node->level ? entry->page : entry->value.length, 4);
	if (!node->level)
		p[6] = entry->chained;
	p += node->level ? INNER_OVERHEAD : LEAF_OVERHEAD;
	if (entry->key.length)
		memcpy(p, entry->key.data, entry->key.length);
	p += entry->key.length;
	if (entry->chained)
		store_le(p, entry->page, LINK_BYTES);
	else if (!node->level && entry->value.length)
		memcpy(p, entry->value.data, entry->value.length);
}

int node_store(struct btree *btree, const struct node *node, struct engine_error *error)
{
	struct page *page = page_blank(btree, node->number, error);
	if (!page)
		return -1;
	size_t at = PAGE_HEADER;
	assert(at + node_bytes(node, 0, node->n) <= PAGE_BYTES && node->n <= FANOUT_MAX);
	for (uint32_t i = 0; i < node->n; i++) {
		encode(node, &node->at[i], page->bytes + at);
		at += entry_bytes(node, &node->at[i]);
	}
	page_set(page, node->level ? PAGE_INNER : PAGE_LEAF, node->level, node->n, at);
	return 0;
}

uint32_t node_search(const struct node *node, struct engine_bytes key, bool *found)
{
	uint32_t low = 0, high = node->n;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (key_compare(node->at[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < node->n && key_compare(node->at[low].key, key) == 0;
	return low;
}

uint32_t node_child(const struct node *node, struct engine_bytes key)
{
	bool found;
	uint32_t i = node_search(node, key, &found);
	return found || !i ? i : i - 1;
}

void node_insert(struct node *node, uint32_t i, const struct node_entry *entry)
{
	memmove(&node->at[i + 1], &node->at[i], (node->n - i) * sizeof node->at[0]);
	node->at[i] = *entry;
	node->n++;
}

void node_remove(struct node *node, uint32_t i)
{
	node->n--;
	memmove(&node->at[i], &node->at[i + 1], (node->n - i) * sizeof node->at[0]);
}
