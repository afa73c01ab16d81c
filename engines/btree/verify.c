/* The structure of an open store: every page is reached just once, from the meta
 * page, as what it should be; keys are where they belong; counts are right; and
 * the data file has what memory has. */
#include <stdlib.h>
#include <string.h>

#include "tree.h"

struct walk {
	struct btree *btree;
	bool *seen; /* by page */
	uint64_t records;
	uint32_t pages;
};

static int visit(struct walk *walk, uint32_t number, struct engine_error *error)
{
	if (walk->seen[number])
		return engine_fail(error, "verify: page %u is used twice", number);
	walk->seen[number] = true;
	walk->pages++;
	uint8_t bytes[PAGE_BYTES];
	int rc = page_read(walk->btree, number, bytes, error);
	if (rc < 0)
		return -1;
	if (!rc || memcmp(bytes, walk->btree->pages[number]->bytes, sizeof bytes))
		return engine_fail(error, "verify: page %u is not in the data file", number);
	return 0;
}

static int walk_chain(struct walk *walk, const struct node_entry *entry, struct engine_error *error)
{
	uint32_t next = entry->page, n = entry->chained ? chain_pages(entry->value.length) : 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = next;
		size_t bytes;
		if (!chain_page(walk->btree, entry, i, &next, &bytes, error) ||
		    visit(walk, number, error) < 0)
			return -1;
	}
	return 0;
}

/* Keys from low on, below high (NULL: all). */
static int walk_node(struct walk *walk, uint32_t number, uint32_t level, struct engine_bytes low,
		     const struct engine_bytes *high, struct engine_error *error)
{
	struct node node;
	if (node_load(walk->btree, number, level, &node, error) < 0 ||
	    visit(walk, number, error) < 0)
		return -1;
	for (uint32_t i = 0; i < node.n; i++) {
		struct engine_bytes key = level && !i ? low : node.at[i].key;
		const struct engine_bytes *next = i + 1 < node.n ? &node.at[i + 1].key : high;
		if (key_compare(key, low) < 0 || (high && key_compare(key, *high) >= 0))
			return engine_fail(error, "verify: page %u has a key of another", number);
		if ((level ? walk_node(walk, node.at[i].page, level - 1, key, next, error)
			   : walk_chain(walk, &node.at[i], error)) < 0)
			return -1;
	}
	walk->records += level ? 0 : node.n;
	return 0;
}

static int walk_free(struct walk *walk, struct engine_error *error)
{
	const struct meta *meta = &walk->btree->meta;
	uint32_t n = 0;
	for (uint32_t number = meta->free; number; n++) {
		const struct page *page = page_get(walk->btree, number, PAGE_FREE, error);
		if (!page || visit(walk, number, error) < 0)
			return -1;
		number = page_link(page);
	}
	if (n != meta->free_count)
		return engine_fail(error, "verify: %u pages are free, not %u", n, meta->free_count);
	return 0;
}

static int walk_all(struct walk *walk, struct engine_error *error)
{
	struct btree *btree = walk->btree;
	const struct meta *meta = &btree->meta;
	const struct engine_bytes lowest = {0};
	if (!page_get(btree, META_PAGE, PAGE_META, error) || visit(walk, META_PAGE, error) < 0 ||
	    walk_node(walk, meta->root, meta->height - 1, lowest, NULL, error) < 0 ||
	    walk_free(walk, error) < 0)
		return -1;
	if (walk->records != meta->count)
		return engine_fail(error, "verify: there are %llu records, not %llu",
				   (unsigned long long)walk->records,
				   (unsigned long long)meta->count);
	if (walk->pages != meta->pages)
		return engine_fail(error, "verify: %u pages are in use or free, of %u", walk->pages,
				   meta->pages);
	return 0;
}

int btree_verify(struct btree *btree, struct engine_error *error)
{
	struct walk walk = {.btree = btree, .seen = calloc(btree->meta.pages, sizeof *walk.seen)};
	if (!walk.seen)
		return engine_fail(error, "verify: out of memory");
	int rc = walk_all(&walk, error);
	free(walk.seen);
	return rc;
}
