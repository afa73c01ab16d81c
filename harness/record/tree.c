#include "tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "mem.h"

struct identity_key {
	uint64_t dev, ino;
};

struct identity {
	UT_hash_handle hh;
	struct identity_key key;
	uint32_t ino;
};

struct name_key {
	uint32_t dir;
	char name[256];
};

struct name {
	UT_hash_handle hh;
	uint32_t ino;
	struct name_key key;
};

void tree_finish(struct tree *tree)
{
	struct identity *i, *i_next;
	HASH_ITER (hh, tree->identities, i, i_next) {
		HASH_DEL(tree->identities, i);
		free(i);
	}
	struct name *n, *n_next;
	HASH_ITER (hh, tree->names, n, n_next) {
		HASH_DEL(tree->names, n);
		free(n);
	}
	free(tree->nodes);
	*tree = (struct tree){0};
}

static struct identity *find_identity(const struct tree *tree, const struct stat *st)
{
	struct identity_key key = {st->st_dev, st->st_ino};
	struct identity *found;
	HASH_FIND(hh, tree->identities, &key, sizeof key, found);
	return found;
}

void tree_add(struct tree *tree, uint32_t ino, enum inode_type type, const struct stat *st)
{
	tree->nodes = mem_grow(tree->nodes, &tree->cap, ino + 1, sizeof *tree->nodes);
	if (tree->n_nodes < ino + 1)
		tree->n_nodes = ino + 1;
	tree->nodes[ino] = (struct node){.type = (uint8_t)type};
	struct identity *identity = find_identity(tree, st);
	if (!identity) {
		identity = mem_alloc(1, sizeof *identity);
		identity->key = (struct identity_key){st->st_dev, st->st_ino};
		HASH_ADD(hh, tree->identities, key, sizeof identity->key, identity);
	}
	identity->ino = ino;
}

uint32_t tree_identify(const struct tree *tree, const struct stat *st)
{
	const struct identity *identity = find_identity(tree, st);
	return identity ? identity->ino : 0;
}

uint32_t tree_identify_dir(const struct tree *tree, const struct stat *st)
{
	uint32_t ino = tree_identify(tree, st);
	const struct node *node = &tree->nodes[ino];
	return ino != 0 && node->type == INODE_DIR && node->links > 0 ? ino : 0;
}

struct node *tree_node(struct tree *tree, uint32_t ino)
{
	assert(ino != 0 && ino < tree->n_nodes);
	return &tree->nodes[ino];
}

/* Fills key and returns how many of its bytes count. */
static size_t name_key(struct name_key *key, uint32_t dir, const char *name)
{
	key->dir = dir;
	size_t n = strnlen(name, sizeof key->name);
	memcpy(key->name, name, n);
	return offsetof(struct name_key, name) + n;
}

static struct name *find_name(const struct tree *tree, uint32_t dir, const char *name)
{
	struct name_key key;
	size_t n = name_key(&key, dir, name);
	struct name *found;
	HASH_FIND(hh, tree->names, &key, n, found);
	return found;
}

uint32_t tree_lookup(const struct tree *tree, uint32_t dir, const char *name)
{
	const struct name *found = find_name(tree, dir, name);
	return found ? found->ino : 0;
}

void tree_enter(struct tree *tree, uint32_t dir, const char *name, uint32_t ino)
{
	assert(!find_name(tree, dir, name));
	struct name *n = mem_alloc(1, sizeof *n);
	n->ino = ino;
	size_t key_bytes = name_key(&n->key, dir, name);
	HASH_ADD_KEYPTR(hh, tree->names, &n->key, key_bytes, n);
	if (ino == TREE_OTHER)
		return;
	tree_node(tree, ino)->links++;
	tree_node(tree, ino)->nameless = false;
}

void tree_remove(struct tree *tree, uint32_t dir, const char *name)
{
	struct name *n = find_name(tree, dir, name);
	assert(n);
	if (n->ino != TREE_OTHER)
		tree_node(tree, n->ino)->links--;
	HASH_DEL(tree->names, n);
	free(n);
}
