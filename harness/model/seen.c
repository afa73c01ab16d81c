#include "seen.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "mem.h"

/* ---- collecting ---- */

static struct seen_node *newest_node(struct seen_maker *maker)
{
	assert(maker->nodes.len);
	return (struct seen_node *)(void *)(maker->nodes.data + maker->nodes.len) - 1;
}

static uint32_t blocks_of(uint64_t size)
{
	return (uint32_t)((size + BLOCK_BYTES - 1) / BLOCK_BYTES);
}

/* A node is whole once it has all its blocks. */
static bool newest_is_whole(struct seen_maker *maker)
{
	const struct seen_node *node;
	uint32_t number = (uint32_t)(maker->nodes.len / sizeof *node) - 1;
	if (maker->nodes.len == 0)
		return true;
	node = newest_node(maker);
	return node->first != number || node->n_blocks == blocks_of(node->size);
}

uint32_t seen_add(struct seen_maker *maker, const char *path, enum inode_type type, uint32_t first,
		  uint64_t size)
{
	struct seen_node node;
	uint32_t number = (uint32_t)(maker->nodes.len / sizeof node);
	assert(newest_is_whole(maker));
	memset(&node, 0, sizeof node); /* its padding is digested too */
	node.path = (uint32_t)maker->text.len;
	node.first = first == NONE ? number : first;
	node.size = type == INODE_DIR ? 0 : size;
	if (first == NONE)
		node.block = (uint32_t)(maker->blocks.len / sizeof(struct digest));
	node.type = (uint8_t)type;
	buf_append(&maker->nodes, &node, sizeof node);
	buf_append(&maker->text, path, strlen(path) + 1);
	return number;
}

void seen_add_block(struct seen_maker *maker, const uint8_t *bytes)
{
	struct digest d;
	newest_node(maker)->n_blocks++;
	ops_digest(bytes, &d.lo, &d.hi);
	buf_append(&maker->blocks, &d, sizeof d);
	if (maker->keep_data)
		buf_append(&maker->data, bytes, BLOCK_BYTES);
}

void seen_finish(struct seen_maker *maker, struct buf *out)
{
	struct seen seen = {0};
	assert(out->len == 0 && newest_is_whole(maker));
	seen.n_nodes = (uint32_t)(maker->nodes.len / sizeof(struct seen_node));
	seen.n_blocks = (uint32_t)(maker->blocks.len / sizeof(struct digest));
	seen.nodes = sizeof seen;
	seen.blocks = seen.nodes + maker->nodes.len;
	seen.text = seen.blocks + maker->blocks.len;
	seen.bytes = seen.text + maker->text.len;
	if (maker->data.len) {
		seen.data = seen.bytes;
		seen.bytes += maker->data.len;
	}
	buf_append(out, &seen, sizeof seen);
	buf_append(out, maker->nodes.data, maker->nodes.len);
	buf_append(out, maker->blocks.data, maker->blocks.len);
	buf_append(out, maker->text.data, maker->text.len);
	/* The text is the last of what counts; where it begins is told by the counts. */
	XXH128_hash_t h = XXH3_128bits_withSeed(
		out->data + seen.nodes, seen.text + maker->text.len - seen.nodes, seen.n_nodes);
	((struct seen *)(void *)out->data)->digest = (struct digest){h.low64, h.high64};
	buf_append(out, maker->data.data, maker->data.len);
	seen_maker_finish(maker);
}

void seen_maker_finish(struct seen_maker *maker)
{
	buf_finish(&maker->nodes);
	buf_finish(&maker->blocks);
	buf_finish(&maker->text);
	buf_finish(&maker->data);
	*maker = (struct seen_maker){.keep_data = maker->keep_data};
}

/* ---- from an image ---- */

struct taking {
	const struct image *image;
	struct seen_maker maker;
	uint32_t *node; /* by inode: 1 + its first node */
};

static int take_name(void *arg, const char *path, uint32_t ino)
{
	struct taking *t = arg;
	const struct inode *inode = &image_ops(t->image)->inodes[ino];
	uint64_t size = image_size(t->image, ino);
	uint8_t bytes[BLOCK_BYTES];
	if (inode->type != INODE_DIR && t->node[ino]) {
		seen_add(&t->maker, path, inode->type, t->node[ino] - 1, size);
		return 0;
	}
	t->node[ino] = 1 + seen_add(&t->maker, path, inode->type, NONE, size);
	for (uint64_t at = 0; inode->type != INODE_DIR && at < size; at += BLOCK_BYTES) {
		if (inode->type == INODE_FILE) {
			image_read(t->image, ino, at, bytes, BLOCK_BYTES);
		} else {
			uint64_t n = size - at < BLOCK_BYTES ? size - at : BLOCK_BYTES;
			memset(bytes, 0, sizeof bytes);
			memcpy(bytes, inode->start_data + at, n);
		}
		seen_add_block(&t->maker, bytes);
	}
	return 0;
}

void seen_image(const struct image *image, bool keep_data, struct buf *out)
{
	struct taking t = {.image = image, .maker.keep_data = keep_data};
	t.node = mem_alloc((size_t)image_ops(image)->n_inodes + 1, sizeof *t.node);
	image_walk(image, take_name, &t);
	seen_finish(&t.maker, out);
	free(t.node);
}

/* ---- looking ---- */

static const void *at(const struct seen *seen, uint64_t offset)
{
	return (const char *)seen + offset;
}

const struct seen_node *seen_node(const struct seen *seen, uint32_t node)
{
	assert(node < seen->n_nodes);
	return (const struct seen_node *)at(seen, seen->nodes) + node;
}

const char *seen_path(const struct seen *seen, uint32_t node)
{
	return (const char *)at(seen, seen->text) + seen_node(seen, node)->path;
}

struct digest seen_block(const struct seen *seen, uint32_t node, uint32_t block)
{
	const struct seen_node *first = seen_node(seen, seen_node(seen, node)->first);
	if (block >= first->n_blocks)
		return (struct digest){0, 0};
	return ((const struct digest *)at(seen, seen->blocks))[first->block + block];
}

const uint8_t *seen_data(const struct seen *seen, uint32_t node, uint32_t block)
{
	const struct seen_node *first = seen_node(seen, seen_node(seen, node)->first);
	if (!seen->data || block >= first->n_blocks)
		return NULL;
	return (const uint8_t *)at(seen, seen->data) + ((size_t)first->block + block) * BLOCK_BYTES;
}

/* Paths in the order of the nodes: what is below a directory comes right after it,
 * whatever the bytes of the names beside it. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	int x = *a == '\0' ? 0 : *a == '/' ? 1 : 2 + (unsigned char)*a;
	int y = *b == '\0' ? 0 : *b == '/' ? 1 : 2 + (unsigned char)*b;
	return (x > y) - (x < y);
}

uint32_t seen_find(const struct seen *seen, const char *path)
{
	uint32_t low = 0, high = seen->n_nodes;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_paths(seen_path(seen, middle), path);
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NONE;
}

/* ---- for people ---- */

static bool is_zeros(const struct seen *seen, uint32_t node, uint32_t block)
{
	struct digest d = seen_block(seen, node, block);
	return !(d.lo | d.hi);
}

static void print_zeros(const struct seen *seen, uint32_t node, struct buf *out)
{
	uint32_t n = seen_node(seen, node)->n_blocks;
	for (uint32_t from = 0, to; from < n; from = to) {
		to = from + 1;
		if (!is_zeros(seen, node, from))
			continue;
		while (to < n && is_zeros(seen, node, to))
			to++;
		if (to - from == 1)
			buf_printf(out, ", block %" PRIu32 " zeros", from);
		else
			buf_printf(out, ", blocks %" PRIu32 "-%" PRIu32 " zeros", from, to - 1);
	}
}

static void print_symlink(const struct seen *seen, uint32_t node, struct buf *out)
{
	const uint8_t *target = seen_data(seen, node, 0);
	uint64_t size = seen_node(seen, node)->size;
	buf_string(out, "symbolic link");
	if (target)
		buf_printf(out, " to %.*s", (int)(size < BLOCK_BYTES ? size : BLOCK_BYTES),
			   (const char *)target);
	else
		buf_printf(out, " to a name of %" PRIu64 " bytes", size);
}

void seen_print(const struct seen *seen, struct buf *out)
{
	for (uint32_t i = 0; i < seen->n_nodes; i++) {
		const struct seen_node *node = seen_node(seen, i);
		buf_printf(out, "%s  ", seen_path(seen, i));
		if (node->first != i) {
			buf_printf(out, "link to %s", seen_path(seen, node->first));
		} else if (node->type == INODE_DIR) {
			buf_string(out, "directory");
		} else if (node->type == INODE_SYMLINK) {
			print_symlink(seen, i, out);
		} else {
			buf_printf(out, "%" PRIu64 " byte%s", node->size,
				   node->size == 1 ? "" : "s");
			print_zeros(seen, i, out);
		}
		buf_byte(out, '\n');
	}
}
