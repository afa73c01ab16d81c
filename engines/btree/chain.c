/* Values that are too long for their leaf: chains of OVERFLOW pages, all but the
 * last of them full. */
#include <string.h>

#include "tree.h"

uint32_t chain_pages(size_t length)
{
	return (uint32_t)((length + PAGE_ROOM - 1) / PAGE_ROOM);
}

/* Bytes that the i-th page of a chain holds. */
static size_t part_bytes(size_t length, uint32_t i)
{
	size_t left = length - (size_t)i * PAGE_ROOM;
	return left < PAGE_ROOM ? left : PAGE_ROOM;
}

int chain_create(struct btree *btree, struct engine_bytes value, uint32_t *first,
		 struct engine_error *error)
{
	*first = 0;
	for (uint32_t i = chain_pages(value.length); i > 0; i--) {
		uint32_t number;
		struct page *page = page_allocate(btree, &number, error);
		if (!page)
			return -1;
		size_t part = part_bytes(value.length, i - 1);
		page_set(page, PAGE_OVERFLOW, 0, *first, PAGE_HEADER + part);
		memcpy(page->bytes + PAGE_HEADER,
		       (const uint8_t *)value.data + (size_t)(i - 1) * PAGE_ROOM, part);
		*first = number;
	}
	return 0;
}

struct page *chain_page(struct btree *btree, const struct node_entry *entry, uint32_t i,
			uint32_t *number, size_t *bytes, struct engine_error *error)
{
	struct page *page = page_get(btree, *number, PAGE_OVERFLOW, error);
	if (!page)
		return NULL;
	bool last = i + 1 == chain_pages(entry->value.length);
	*bytes = part_bytes(entry->value.length, i);
	if (page_used(page) != PAGE_HEADER + *bytes || last != !page_link(page)) {
		engine_fail(error, "damaged: page %u has no part of its value", *number);
		return NULL;
	}
	*number = page_link(page);
	return page;
}

int chain_free(struct btree *btree, const struct node_entry *entry, struct engine_error *error)
{
	uint32_t next = entry->page, n = entry->chained ? chain_pages(entry->value.length) : 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = next;
		size_t bytes;
		if (!chain_page(btree, entry, i, &next, &bytes, error) ||
		    page_free(btree, number, error) < 0)
			return -1;
	}
	return 0;
}

int chain_value(struct btree *btree, const struct node_entry *entry, struct engine_bytes *value,
		struct engine_error *error)
{
	btree->value.used = 0;
	if (!entry->chained &&
	    bytes_append(&btree->value, entry->value.data, entry->value.length) < 0)
		return engine_fail(error, "out of memory for a value");
	uint32_t next = entry->page, n = entry->chained ? chain_pages(entry->value.length) : 0;
	for (uint32_t i = 0; i < n; i++) {
		size_t bytes;
		const struct page *page = chain_page(btree, entry, i, &next, &bytes, error);
		if (!page)
			return -1;
		if (bytes_append(&btree->value, page->bytes + PAGE_HEADER, bytes) < 0)
			return engine_fail(error, "out of memory for a value");
	}
	*value = (struct engine_bytes){btree->value.data, btree->value.used};
	return 0;
}
