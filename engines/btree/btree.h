/* Inside the btree engine: an open store and what its files share.  The theory is
 * in btree.c.
 *
 * Functions that can fail return 0 (or what they say), or -1 or NULL with a text
 * in error. */
#ifndef POWERCUT_BTREE_H
#define POWERCUT_BTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "engine.h"
#include "files.h"

enum {
	PAGE_BYTES = 4096,
	PAGE_HEADER = 12,		      /* bytes */
	PAGE_ROOM = PAGE_BYTES - PAGE_HEADER, /* bytes behind the header */
	PAGES_MAX = 1 << 20,		      /* a store has at most 4 GiB */
	META_PAGE = 0,			      /* the number of the meta page */
	HEIGHT_MAX = 32,		      /* levels, leaves included */
	FANOUT_MAX = 64,		      /* entries of a leaf or inner page */
	INLINE_MAX = 256,		      /* bytes of a value in its leaf */
	BTREE_KEY_MAX = 1024,		      /* bytes */
	BTREE_VALUE_MAX = 1024 * 1024,	      /* bytes */
};

enum page_type {
	PAGE_META = 1,
	PAGE_LEAF,
	PAGE_INNER,
	PAGE_OVERFLOW,
	PAGE_FREE,
};

/* A page in memory, whose checksum field is zero: see page.c. */
struct page {
	bool dirty;  /* changed by the transaction in hand */
	bool reused; /* taken from the free list by the transaction in hand */
	uint8_t bytes[PAGE_BYTES];
};

/* What the meta page says. */
struct meta {
	uint32_t root;
	uint32_t height;     /* levels, at least 1 */
	uint32_t pages;	     /* pages of the data file, this one included */
	uint32_t free;	     /* the first free page; 0: there is none */
	uint32_t free_count; /* pages in the free list */
	uint64_t count;	     /* records */
	uint64_t sequence;   /* of the last transaction */
};

struct btree {
	/* The options. */
	bool hardened;
	bool datasync; /* call=fdatasync */
	uint32_t fanout;
	uint32_t inline_bytes;
	uint64_t log_bytes;

	int dir, data, log; /* descriptors; -1: none */
	struct file_name data_name, log_name;

	struct page **pages; /* those read so far, by number, the others NULL */
	size_t pages_room;
	struct numbers dirty; /* pages of the transaction in hand, in the order of change */
	struct meta meta, committed;

	uint64_t log_end;	    /* bytes of the log that the kernel has */
	struct bytes_buffer buffer; /* entries behind these, which it has not */
	uint32_t entry_checksum;    /* of the last entry of the transaction in the buffer */

	struct bytes_buffer value;  /* the last value that get or scan has put together */
	struct engine_error failed; /* set: a write or sync failed, no more are made */
};

/* A checksum of n bytes, continuing from another; 0 to begin. */
uint32_t btree_checksum(const struct btree *btree, uint32_t checksum, const void *p, size_t n);

/* page.c */

enum page_type page_type(const struct page *page);
/* LEAF, INNER: the number of entries.  OVERFLOW, FREE: the next page or 0. */
uint32_t page_link(const struct page *page);
uint32_t page_level(const struct page *page);
size_t page_used(const struct page *page); /* bytes; not checked */
void page_set(struct page *page, enum page_type type, uint32_t level, uint32_t link, size_t used);

/* A page of the store as it is now, which is valid until the next transaction
 * is forgotten. */
struct page *page_get(struct btree *btree, uint32_t number, enum page_type type,
		      struct engine_error *error);
/* A page of zeros in place of whatever the page was, as part of the transaction. */
struct page *page_blank(struct btree *btree, uint32_t number, struct engine_error *error);
/* A page that is free, or a new one; blank. */
struct page *page_allocate(struct btree *btree, uint32_t *number, struct engine_error *error);
int page_free(struct btree *btree, uint32_t number, struct engine_error *error);

/* Reads a page from the data file, past the memory: 1, or 0 where its checksum
 * is wrong or the file ends before it. */
int page_read(const struct btree *btree, uint32_t number, uint8_t *bytes,
	      struct engine_error *error);
/* Writes a page to the data file. */
int page_write(struct btree *btree, uint32_t number, struct engine_error *error);

/* The transaction's pages are as they were before it. */
void pages_forget(struct btree *btree);
/* They are part of the store from now on. */
void pages_settle(struct btree *btree);

/* Puts btree->meta into the transaction. */
int meta_store(struct btree *btree, struct engine_error *error);
/* Whether it is a meta page of the other variant, whose checksums we cannot tell. */
bool meta_foreign(const struct btree *btree, const uint8_t *bytes);
int meta_decode(const struct btree *btree, const uint8_t *bytes, struct meta *meta,
		struct engine_error *error);

/* log.c */

/* One entry: the image of a page, or the COMMIT of a transaction. */
struct log_entry {
	bool commit;
	uint32_t page;	   /* its number */
	uint64_t sequence; /* of the transaction */
	const uint8_t *data;
	size_t length; /* of data */
};

/* The log as it is in memory for recovery. */
struct log_reader {
	const uint8_t *data;
	size_t size;
	size_t at;	   /* of the next entry */
	uint32_t checksum; /* of the entry before it, in the same transaction */
};

/* Puts the image of a page into the buffer. */
int log_append_page(struct btree *btree, uint32_t number, struct engine_error *error);
/* Puts a COMMIT into the buffer: of n pages. */
int log_append_commit(struct btree *btree, uint32_t n, struct engine_error *error);
/* Writes the buffer to the end of the log. */
int log_flush(struct btree *btree, struct engine_error *error);
int log_truncate(struct btree *btree, struct engine_error *error);
/* Whether there is a whole and valid entry at reader->at; moves behind it. */
bool log_next(const struct btree *btree, struct log_reader *reader, struct log_entry *entry);

/* commit.c */
/* Makes the transaction in hand durable, if it changed anything. */
int btree_commit(struct btree *btree, struct engine_error *error);
/* Writes the transaction's pages to the data file. */
int btree_write_pages(struct btree *btree, struct engine_error *error);
/* Empties the log, which the data file can do without once it is synced. */
int btree_checkpoint(struct btree *btree, struct engine_error *error);

/* recover.c: see the theory. */
int btree_recover(struct btree *btree, struct engine_error *error);

/* verify.c */
int btree_verify(struct btree *btree, struct engine_error *error);

#endif
