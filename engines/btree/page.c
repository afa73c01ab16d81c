/* Pages: in the data file, in memory, and in the free list.
 *
 * A page in the data file (integers are little-endian):
 *
 *   0   checksum  u32  over the page's number (u32), then all behind this field
 *   4   type      u8   enum page_type
 *   5   level     u8   INNER: levels below it; the others 0
 *   6   used      u16  bytes that count, header included; the others are zeros
 *   8   link      u32  LEAF, INNER: entries; OVERFLOW, FREE: next page or 0
 *   12  contents  LEAF, INNER: see node.h.  OVERFLOW: a part of a value.
 *                 FREE: none.  META:
 *
 *   12  magic       8 bytes
 *   20  variant     u8   1: hardened
 *   21  height      u8
 *   24  root        u32
 *   28  pages       u32
 *   32  free        u32
 *   36  free count  u32
 *   40  count       u64
 *   48  sequence    u64
 *
 * The checksum is put in when the page goes to the data file, taken out when it
 * is read from there, and zero elsewhere, in the log too, whose entries have
 * their own.
 *
 * Pages stay in memory once they were read.  What a transaction changes is
 * changed there, and listed in btree->dirty: forgetting them undoes it, since
 * the data file has, or can have again, what was committed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "btree.h"
#include "fault.h"
#include "io.h"

enum { AT_TYPE = 4, AT_LEVEL = 5, AT_USED = 6, AT_LINK = 8 };
enum {
	AT_MAGIC = 12,
	AT_VARIANT = 20,
	AT_HEIGHT = 21,
	AT_ROOT = 24,
	AT_PAGES = 28,
	AT_FREE = 32,
	AT_FREE_COUNT = 36,
	AT_COUNT = 40,
	AT_SEQUENCE = 48,
	META_BYTES = 56,
};

static const char magic[8] = {'p', 'c', '-', 'b', 't', 'r', 'e', 'e'};

enum page_type page_type(const struct page *page)
{
	return (enum page_type)page->bytes[AT_TYPE];
}

uint32_t page_link(const struct page *page)
{
	return (uint32_t)load_le(page->bytes + AT_LINK, 4);
}

uint32_t page_level(const struct page *page)
{
	return page->bytes[AT_LEVEL];
}

size_t page_used(const struct page *page)
{
	return load_le(page->bytes + AT_USED, 2);
}

void page_set(struct page *page, enum page_type type, uint32_t level, uint32_t link, size_t used)
{
	page->bytes[AT_TYPE] = (uint8_t)type;
	page->bytes[AT_LEVEL] = (uint8_t)level;
	store_le(page->bytes + AT_USED, used, 2);
	store_le(page->bytes + AT_LINK, link, 4);
}

static uint32_t checksum_of(const struct btree *btree, uint32_t number, const uint8_t *bytes)
{
	uint8_t seed[4];
	store_le(seed, number, 4);
	uint32_t checksum = btree_checksum(btree, 0, seed, sizeof seed);
	return btree_checksum(btree, checksum, bytes + AT_TYPE, PAGE_BYTES - AT_TYPE);
}

int page_read(const struct btree *btree, uint32_t number, uint8_t *bytes,
	      struct engine_error *error)
{
	ssize_t got = io_read_at(btree->data, bytes, PAGE_BYTES, (uint64_t)number * PAGE_BYTES);
	if (got < 0)
		return engine_fail(error, "read of %s: %s", btree->data_name.text, strerror(errno));
	if (got < PAGE_BYTES || load_le(bytes, 4) != checksum_of(btree, number, bytes))
		return 0;
	store_le(bytes, 0, 4);
	return 1;
}

int page_write(struct btree *btree, uint32_t number, struct engine_error *error)
{
	uint8_t bytes[PAGE_BYTES];
	memcpy(bytes, btree->pages[number]->bytes, sizeof bytes);
	store_le(bytes, checksum_of(btree, number, bytes), 4);
	return file_write(btree->data, &btree->data_name, bytes, sizeof bytes,
			  (uint64_t)number * PAGE_BYTES, error);
}

/* The place of a page, which may be NULL.  number is below PAGES_MAX. */
static struct page **slot(struct btree *btree, uint32_t number, struct engine_error *error)
{
	if (number >= btree->pages_room) {
		size_t room = btree->pages_room ? btree->pages_room : 64;
		while (room <= number)
			room *= 2;
		struct page **pages = realloc(btree->pages, room * sizeof(struct page *));
		if (!pages) {
			engine_fail(error, "out of memory for the table of pages");
			return NULL;
		}
		for (size_t i = btree->pages_room; i < room; i++)
			pages[i] = NULL;
		btree->pages = pages;
		btree->pages_room = room;
	}
	return &btree->pages[number];
}

/* Fills the empty place of a page with what the data file has. */
static int load(struct btree *btree, uint32_t number, struct page **at, struct engine_error *error)
{
	struct page *page = calloc(1, sizeof *page);
	if (!page)
		return engine_fail(error, "out of memory for a page");
	int rc = page_read(btree, number, page->bytes, error);
	if (rc == 0)
		rc = engine_fail(error, "page %u of %s is damaged or missing", number,
				 btree->data_name.text);
	if (rc < 0)
		free(page);
	else
		*at = page;
	return rc < 0 ? -1 : 0;
}

struct page *page_get(struct btree *btree, uint32_t number, enum page_type type,
		      struct engine_error *error)
{
	if (number >= btree->meta.pages) {
		engine_fail(error, "damaged: a link to page %u, of %u", number, btree->meta.pages);
		return NULL;
	}
	struct page **at = slot(btree, number, error);
	if (!at || (!*at && load(btree, number, at, error) < 0))
		return NULL;
	if (page_type(*at) != type) {
		engine_fail(error, "damaged: page %u is of type %d, not %d", number, page_type(*at),
			    type);
		return NULL;
	}
	return *at;
}

struct page *page_blank(struct btree *btree, uint32_t number, struct engine_error *error)
{
	struct page **at = slot(btree, number, error);
	if (!at)
		return NULL;
	if (!*at && !(*at = calloc(1, sizeof **at))) {
		engine_fail(error, "out of memory for a page");
		return NULL;
	}
	struct page *page = *at;
	memset(page->bytes, 0, sizeof page->bytes);
	if (!page->dirty && numbers_push(&btree->dirty, number, error) < 0) {
		free(page);
		*at = NULL;
		return NULL;
	}
	page->dirty = true;
	return page;
}

struct page *page_allocate(struct btree *btree, uint32_t *number, struct engine_error *error)
{
	struct meta *meta = &btree->meta;
	if (meta->free) {
		struct page *page = page_get(btree, meta->free, PAGE_FREE, error);
		if (!page)
			return NULL;
		*number = meta->free;
		meta->free = page_link(page);
		meta->free_count--;
		page = page_blank(btree, *number, error);
		if (page)
			page->reused = true;
		return page;
	}
	if (meta->pages >= PAGES_MAX) {
		engine_fail(error, "the store is full: it has %d pages", PAGES_MAX);
		return NULL;
	}
	*number = meta->pages++;
	return page_blank(btree, *number, error);
}

int page_free(struct btree *btree, uint32_t number, struct engine_error *error)
{
	struct page *page = page_blank(btree, number, error);
	if (!page)
		return -1;
	page_set(page, PAGE_FREE, 0, btree->meta.free, PAGE_HEADER);
	btree->meta.free = number;
	btree->meta.free_count++;
	return 0;
}

void pages_forget(struct btree *btree)
{
	for (size_t i = 0; i < btree->dirty.n; i++) {
		free(btree->pages[btree->dirty.at[i]]);
		btree->pages[btree->dirty.at[i]] = NULL;
	}
	btree->dirty.n = 0;
	btree->meta = btree->committed;
}

void pages_settle(struct btree *btree)
{
	for (size_t i = 0; i < btree->dirty.n; i++) {
		btree->pages[btree->dirty.at[i]]->dirty = false;
		btree->pages[btree->dirty.at[i]]->reused = false;
	}
	btree->dirty.n = 0;
	btree->committed = btree->meta;
}

int meta_store(struct btree *btree, struct engine_error *error)
{
	struct page *page = page_blank(btree, META_PAGE, error);
	if (!page)
		return -1;
	const struct meta *meta = &btree->meta;
	page_set(page, PAGE_META, 0, 0, META_BYTES);
	memcpy(page->bytes + AT_MAGIC, magic, sizeof magic);
	page->bytes[AT_VARIANT] = btree->hardened;
	page->bytes[AT_HEIGHT] = (uint8_t)meta->height;
	store_le(page->bytes + AT_ROOT, meta->root, 4);
	store_le(page->bytes + AT_PAGES, meta->pages, 4);
	store_le(page->bytes + AT_FREE, meta->free, 4);
	store_le(page->bytes + AT_FREE_COUNT, meta->free_count, 4);
	store_le(page->bytes + AT_COUNT, meta->count, 8);
	store_le(page->bytes + AT_SEQUENCE, meta->sequence, 8);
	return 0;
}

static bool is_meta(const uint8_t *bytes)
{
	return bytes[AT_TYPE] == PAGE_META && !memcmp(bytes + AT_MAGIC, magic, sizeof magic);
}

bool meta_foreign(const struct btree *btree, const uint8_t *bytes)
{
	return is_meta(bytes) && bytes[AT_VARIANT] == !btree->hardened;
}

int meta_decode(const struct btree *btree, const uint8_t *bytes, struct meta *meta,
		struct engine_error *error)
{
	if (!is_meta(bytes) || bytes[AT_VARIANT] != btree->hardened)
		return engine_fail(error, "damaged: page %d is no meta page", META_PAGE);
	*meta = (struct meta){
		.root = (uint32_t)load_le(bytes + AT_ROOT, 4),
		.height = bytes[AT_HEIGHT],
		.pages = (uint32_t)load_le(bytes + AT_PAGES, 4),
		.free = (uint32_t)load_le(bytes + AT_FREE, 4),
		.free_count = (uint32_t)load_le(bytes + AT_FREE_COUNT, 4),
		.count = load_le(bytes + AT_COUNT, 8),
		.sequence = load_le(bytes + AT_SEQUENCE, 8),
	};
	if (!meta->height || meta->height > HEIGHT_MAX || meta->pages > PAGES_MAX || !meta->root ||
	    meta->root >= meta->pages || meta->free >= meta->pages ||
	    meta->free_count >= meta->pages)
		return engine_fail(error, "damaged: the meta page cannot be true");
	return 0;
}
