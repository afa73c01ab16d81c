/* Leaf and inner pages, taken apart.
 *
 * The contents of a page are its entries, keys strictly rising, compared as
 * bytes and then by length:
 *
 *   LEAF   key length u16, value length u32, chained u8 (0, 1), key, and then
 *          the value or, chained, the u32 number of the first OVERFLOW page
 *   INNER  key length u16, child u32, key.  The child has the keys from this
 *          one up to the next entry's.  The first key is empty: that child
 *          has all that are lower than the second */
#ifndef POWERCUT_BTREE_NODE_H
#define POWERCUT_BTREE_NODE_H

#include "btree.h"

struct node_entry {
	struct engine_bytes key;
	struct engine_bytes value; /* data is NULL where it is chained */
	bool chained;
	uint32_t page; /* the child, or the first page of the chain */
};

/* Room for one entry more than a page may have, until it is split. */
struct node {
	uint32_t number;
	uint32_t level; /* 0: a leaf */
	uint32_t n;
	struct node_entry at[FANOUT_MAX + 1];
	uint8_t bytes[PAGE_BYTES]; /* what the entries that were loaded point into */
};

int key_compare(struct engine_bytes a, struct engine_bytes b);

/* Loads a page of the level given.  One without entries is an error, unless it
 * is a root that is a leaf. */
int node_load(struct btree *btree, uint32_t number, uint32_t level, struct node *node,
	      struct engine_error *error);
/* Makes it what the page holds; it must fit. */
int node_store(struct btree *btree, const struct node *node, struct engine_error *error);

/* Bytes that the entries from `from` up to, not including, `to` take in a page. */
size_t node_bytes(const struct node *node, uint32_t from, uint32_t to);
/* Whether it needs no split. */
bool node_fits(const struct btree *btree, const struct node *node);

/* The first entry whose key is not lower; *found: it is this key. */
uint32_t node_search(const struct node *node, struct engine_bytes key, bool *found);
/* The entry of the child that has the key, if any has. */
uint32_t node_child(const struct node *node, struct engine_bytes key);

void node_insert(struct node *node, uint32_t i, const struct node_entry *entry);
void node_remove(struct node *node, uint32_t i);

#endif
