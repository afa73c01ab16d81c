#include "tree.h"

#include <assert.h>
#include <string.h>

#include "fault.h"

/* What a node that was split adds to its parent. */
struct split {
	uint32_t page; /* the right half; 0: there was no split */
	size_t key_length;
	uint8_t key[BTREE_KEY_MAX]; /* the lowest of the right half */
};

int tree_create(struct btree *btree, struct engine_error *error)
{
	struct node root = {.number = META_PAGE + 1};
	btree->meta = (struct meta){.root = root.number, .height = 1, .pages = root.number + 1};
	return node_store(btree, &root, error);
}

/* Where to split, so that either half fits.  By bytes where these are too many:
 * no entry takes more than a third of a page. */
static uint32_t middle(const struct node *node)
{
	size_t total = node_bytes(node, 0, node->n);
	if (total <= PAGE_ROOM)
		return node->n / 2;
	uint32_t i = 1;
	while (node_bytes(node, 0, i) < total / 2)
		i++;
	return i;
}

static int split_node(struct btree *btree, struct node *node, struct split *split,
		      struct engine_error *error)
{
	struct node right = {.level = node->level};
	uint32_t at = middle(node);
	right.n = node->n - at;
	node->n = at;
	memcpy(right.at, &node->at[at], right.n * sizeof right.at[0]);

	struct engine_bytes key = right.at[0].key;
	split->key_length = key.length;
	memcpy(split->key, key.data, key.length);
	if (right.level)
		right.at[0].key.length = 0;
	if (!page_allocate(btree, &right.number, error))
		return -1;
	split->page = right.number;
	if (node_store(btree, node, error) < 0 || node_store(btree, &right, error) < 0)
		return -1;
	FAULT_POINT("btree/split/page");
	return 0;
}

static int store_or_split(struct btree *btree, struct node *node, struct split *split,
			  struct engine_error *error)
{
	if (node_fits(btree, node))
		return node_store(btree, node, error);
	return split_node(btree, node, split, error);
}

static int put_in_leaf(struct btree *btree, struct node *leaf, struct engine_bytes key,
		       struct engine_bytes value, struct split *split, struct engine_error *error)
{
	bool found;
	uint32_t i = node_search(leaf, key, &found);
	struct node_entry entry = {.key = key, .value = value};
	if (found && chain_free(btree, &leaf->at[i], error) < 0)
		return -1;
	if (value.length > btree->inline_bytes) {
		entry.chained = true;
		if (chain_create(btree, value, &entry.page, error) < 0)
			return -1;
	}
	if (found) {
		leaf->at[i] = entry;
	} else {
		node_insert(leaf, i, &entry);
		btree->meta.count++;
	}
	return store_or_split(btree, leaf, split, error);
}

static int put_below(struct btree *btree, uint32_t number, uint32_t level, struct engine_bytes key,
		     struct engine_bytes value, struct split *split, struct engine_error *error)
{
	struct node node;
	if (node_load(btree, number, level, &node, error) < 0)
		return -1;
	if (!level)
		return put_in_leaf(btree, &node, key, value, split, error);
	struct split below = {0};
	uint32_t i = node_child(&node, key);
	if (put_below(btree, node.at[i].page, level - 1, key, value, &below, error) < 0)
		return -1;
	if (!below.page)
		return 0;
	const struct node_entry entry = {.key = {below.key, below.key_length}, .page = below.page};
	node_insert(&node, i + 1, &entry);
	return store_or_split(btree, &node, split, error);
}

int tree_put(struct btree *btree, struct engine_bytes key, struct engine_bytes value,
	     struct engine_error *error)
{
	struct meta *meta = &btree->meta;
	struct split split = {0};
	if (put_below(btree, meta->root, meta->height - 1, key, value, &split, error) < 0)
		return -1;
	if (!split.page)
		return 0;
	if (meta->height == HEIGHT_MAX)
		return engine_fail(error, "the store is full: its tree has %d levels", HEIGHT_MAX);
	struct node root = {.level = meta->height, .n = 2};
	root.at[0] = (struct node_entry){.page = meta->root};
	root.at[1] = (struct node_entry){.key = {split.key, split.key_length}, .page = split.page};
	if (!page_allocate(btree, &root.number, error) || node_store(btree, &root, error) < 0)
		return -1;
	meta->root = root.number;
	meta->height++;
	FAULT_POINT("btree/split/root");
	return 0;
}

/* Drops a child that is no longer needed.  The keys that it had are now those of
 * the one before it, or of the one behind where it was the first. */
static int drop_child(struct btree *btree, struct node *node, uint32_t i,
		      struct engine_error *error)
{
	if (page_free(btree, node->at[i].page, error) < 0)
		return -1;
	node_remove(node, i);
	if (!i && node->n)
		node->at[0].key.length = 0;
	return node_store(btree, node, error);
}

/* Moves all of child i + 1 into child i, if there is one and it all fits. */
static int merge_children(struct btree *btree, struct node *node, uint32_t i,
			  struct engine_error *error)
{
	struct node left, right;
	if (i + 1 >= node->n)
		return 0;
	if (node_load(btree, node->at[i].page, node->level - 1, &left, error) < 0 ||
	    node_load(btree, node->at[i + 1].page, node->level - 1, &right, error) < 0)
		return -1;
	if (left.n + right.n > btree->fanout)
		return 0;
	if (right.level)
		right.at[0].key = node->at[i + 1].key;
	memcpy(&left.at[left.n], right.at, right.n * sizeof right.at[0]);
	left.n += right.n;
	if (!node_fits(btree, &left))
		return 0;
	if (node_store(btree, &left, error) < 0 || drop_child(btree, node, i + 1, error) < 0)
		return -1;
	FAULT_POINT("btree/merge/page");
	return 1;
}

/* Child i has few entries left: none, and it goes, or its neighbours may take
 * them. */
static int shrink_child(struct btree *btree, struct node *node, uint32_t i, uint32_t left,
			struct engine_error *error)
{
	if (!left)
		return drop_child(btree, node, i, error);
	int rc = merge_children(btree, node, i, error);
	if (!rc && i)
		rc = merge_children(btree, node, i - 1, error);
	return rc < 0 ? -1 : 0;
}

/* *left: entries that the node has afterwards; unchanged where the key was not
 * there, and nothing else was changed either. */
static int delete_below(struct btree *btree, uint32_t number, uint32_t level,
			struct engine_bytes key, uint32_t *left, struct engine_error *error)
{
	struct node node;
	if (node_load(btree, number, level, &node, error) < 0)
		return -1;
	if (level) {
		uint32_t i = node_child(&node, key), below = btree->fanout;
		if (delete_below(btree, node.at[i].page, level - 1, key, &below, error) < 0)
			return -1;
		if (below >= (btree->fanout + 1) / 2)
			return 0;
		if (shrink_child(btree, &node, i, below, error) < 0)
			return -1;
	} else {
		bool found;
		uint32_t i = node_search(&node, key, &found);
		if (!found)
			return 0;
		if (chain_free(btree, &node.at[i], error) < 0)
			return -1;
		node_remove(&node, i);
		btree->meta.count--;
		if (node_store(btree, &node, error) < 0)
			return -1;
	}
	*left = node.n;
	return 0;
}

/* A root with one child gives way to it; one with none is an empty leaf. */
static int shrink_root(struct btree *btree, uint32_t left, struct engine_error *error)
{
	struct meta *meta = &btree->meta;
	struct node root;
	if (!left) {
		root = (struct node){.number = meta->root};
		meta->height = 1;
		return node_store(btree, &root, error);
	}
	while (meta->height > 1) {
		if (node_load(btree, meta->root, meta->height - 1, &root, error) < 0)
			return -1;
		if (root.n > 1)
			break;
		if (page_free(btree, root.number, error) < 0)
			return -1;
		meta->root = root.at[0].page;
		meta->height--;
		FAULT_POINT("btree/merge/root");
	}
	return 0;
}

int tree_delete(struct btree *btree, struct engine_bytes key, struct engine_error *error)
{
	struct meta *meta = &btree->meta;
	uint32_t left = btree->fanout;
	if (delete_below(btree, meta->root, meta->height - 1, key, &left, error) < 0)
		return -1;
	return left < 2 && meta->height > 1 ? shrink_root(btree, left, error) : 0;
}

int tree_get(struct btree *btree, struct engine_bytes key, struct engine_bytes *value,
	     struct engine_error *error)
{
	struct node node;
	uint32_t number = btree->meta.root;
	for (uint32_t level = btree->meta.height - 1; level; level--) {
		if (node_load(btree, number, level, &node, error) < 0)
			return -1;
		number = node.at[node_child(&node, key)].page;
	}
	if (node_load(btree, number, 0, &node, error) < 0)
		return -1;
	bool found;
	uint32_t i = node_search(&node, key, &found);
	if (!found)
		return 0;
	return chain_value(btree, &node.at[i], value, error) < 0 ? -1 : 1;
}

/* Keys that do not rise show that a damaged tree has one leaf twice; without
 * this check a scan of one might not end in our time. */
struct scan {
	engine_visit *visit;
	void *arg;
	bool begun;
	size_t key_length;
	uint8_t key[BTREE_KEY_MAX]; /* the last one */
};

static int scan_leaf(struct btree *btree, const struct node *leaf, struct scan *scan,
		     struct engine_error *error)
{
	for (uint32_t i = 0; i < leaf->n; i++) {
		struct engine_bytes key = leaf->at[i].key, value;
		const struct engine_bytes last = {scan->key, scan->key_length};
		if (scan->begun && key_compare(last, key) >= 0)
			return engine_fail(error, "damaged: page %u is out of order", leaf->number);
		scan->begun = true;
		scan->key_length = key.length;
		memcpy(scan->key, key.data, key.length);
		if (chain_value(btree, &leaf->at[i], &value, error) < 0)
			return -1;
		if (scan->visit(scan->arg, key, value))
			return engine_fail(error, "the scan was ended by its visitor");
	}
	return 0;
}

static int scan_below(struct btree *btree, uint32_t number, uint32_t level, struct scan *scan,
		      struct engine_error *error)
{
	struct node node;
	if (node_load(btree, number, level, &node, error) < 0)
		return -1;
	if (!level)
		return scan_leaf(btree, &node, scan, error);
	for (uint32_t i = 0; i < node.n; i++)
		if (scan_below(btree, node.at[i].page, level - 1, scan, error) < 0)
			return -1;
	return 0;
}

int tree_scan(struct btree *btree, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct scan scan = {.visit = visit, .arg = arg};
	return scan_below(btree, btree->meta.root, btree->meta.height - 1, &scan, error);
}
