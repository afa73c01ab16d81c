/* The tree: records found, put in and taken out, in memory.  Nothing is written
 * before the transaction is committed. */
#ifndef POWERCUT_BTREE_TREE_H
#define POWERCUT_BTREE_TREE_H

#include "btree.h"
#include "node.h"

/* Makes the pages of an empty tree, as the first transaction. */
int tree_create(struct btree *btree, struct engine_error *error);

int tree_put(struct btree *btree, struct engine_bytes key, struct engine_bytes value,
	     struct engine_error *error);
/* A key that is not there changes nothing. */
int tree_delete(struct btree *btree, struct engine_bytes key, struct engine_error *error);

/* 1 and the value (valid until the next call), 0, or -1. */
int tree_get(struct btree *btree, struct engine_bytes key, struct engine_bytes *value,
	     struct engine_error *error);
int tree_scan(struct btree *btree, engine_visit *visit, void *arg, struct engine_error *error);

/* chain.c: values in OVERFLOW pages. */

/* How many pages a value of so many bytes takes. */
uint32_t chain_pages(size_t length);
/* Puts a value into new pages; the first one's number in *first. */
int chain_create(struct btree *btree, struct engine_bytes value, uint32_t *first,
		 struct engine_error *error);
int chain_free(struct btree *btree, const struct node_entry *entry, struct engine_error *error);
/* The value of an entry, chained or not; valid until the next call. */
int chain_value(struct btree *btree, const struct node_entry *entry, struct engine_bytes *value,
		struct engine_error *error);
/* Page by page: the next one's number, from entry->page, and how many bytes of
 * the value it has; NULL on failure. */
struct page *chain_page(struct btree *btree, const struct node_entry *entry, uint32_t i,
			uint32_t *number, size_t *bytes, struct engine_error *error);

#endif
