/* Lowering: a trace → micro-ops, the smallest things a disk can keep or lose
 * by itself.
 *
 * Objects are what changes: an entry (a name in a directory), the size of an
 * inode, a block of 4096 bytes of an inode.  Each object has versions: 0 is the
 * durable start, v >= 1 is what its v-th micro-op made of it.  A micro-op
 * belongs to exactly one object.
 *
 * Steps are the trace as the model walks it: a micro-op, a sync event, or a
 * mark (begin and end of an operation, a fault point passed).  Crash point k is
 * the moment after the first k steps.
 *
 * What is lowered how:
 *   write       per block touched: its data, then, where it extends the file,
 *               the size up to the end of that block or of the write.  Such a
 *               size is delayed growth.
 *   truncate    one group: the size, and every block that is wholly cut off
 *               becomes zeros (a drop).  The cut part of the last block is a
 *               mask: it hides old bytes of older data from the moment that the
 *               truncated size is on disk.  Newer data of that block demands
 *               the group.
 *   fallocate   the size (which may be the same one: then it only says that
 *               metadata changed).
 *   zero        like truncate: one group of the size, drops and masks.
 *   create, link, symlink, mkdir, unlink, rmdir   one entry.
 *   rename      one group of two entries; exchange likewise.
 *
 * Pure: no system calls, no clock, no globals.  Everything is in the arena of
 * the trace, so that workers share it. */
#ifndef POWERCUT_OPS_H
#define POWERCUT_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "trace.h"

enum { BLOCK_BYTES = 4096, SECTOR_BYTES = 512, BLOCK_SECTORS = BLOCK_BYTES / SECTOR_BYTES };

enum object_kind { OBJECT_ENTRY, OBJECT_SIZE, OBJECT_BLOCK };

#define NONE UINT32_MAX

struct object {
	uint8_t kind;     /* enum object_kind */
	uint32_t ino;     /* ENTRY: the directory; else the inode */
	uint32_t block;   /* BLOCK: its number in the file */
	const char *name; /* ENTRY */
	uint32_t n;       /* versions 1..n exist beside 0 */
	uint32_t first;   /* version v is the micro-op versions[first + v - 1] */
};

enum micro_flag {
	MICRO_META = 1,     /* entry, truncate, fallocate: what M4 orders */
	MICRO_GROWTH = 2,   /* a size by an extending write */
	MICRO_ALLOCATES = 4,/* data of a block that had none since the start or a drop */
	MICRO_DROP = 8,     /* the block is zeros from here */
	MICRO_REPLACES = 16,/* the entry of a rename over an existing file */
};

struct micro {
	uint32_t object;
	uint32_t version; /* of that object, >= 1 */
	uint32_t event;
	uint32_t step;  /* its position among the steps */
	uint32_t group; /* micro-ops with one group number are all or nothing; NONE */
	uint8_t flags;
	uint32_t ino;   /* ENTRY: the inode it now names, 0 for none.  REPLACES: see old */
	uint32_t old;   /* ENTRY: the inode it named before, 0 for none */
	uint64_t size;  /* SIZE: the size */
	uint32_t data;  /* BLOCK: index into the data versions */
};

enum step_kind { STEP_MICRO, STEP_SYNC, STEP_BEGIN, STEP_END, STEP_FAULT };

struct step {
	uint8_t kind;
	uint32_t micro; /* STEP_MICRO */
	uint32_t event;
};

/* What the model must know of an inode. */
struct inode {
	uint8_t type;         /* enum inode_type */
	uint32_t size_object; /* NONE if its size never changes and it has no blocks */
	uint32_t blocks, n_blocks; /* its BLOCK objects: block_objects[blocks..], by number */
	uint32_t masks, n_masks;
	uint64_t start_size;
	const uint8_t *start_data;
};

/* Bytes [from, to) of an inode read as zeros in blocks whose data is older than
 * the micro-op, once the size on disk is at least of that version. */
struct mask {
	uint32_t micro; /* the SIZE micro-op of its group */
	uint64_t from, to;
};

struct ops {
	const struct trace *trace;
	struct object *objects;
	uint32_t n_objects;
	uint32_t *versions;
	struct micro *micros;
	uint32_t n_micros;
	struct step *steps;
	uint32_t n_steps;
	struct inode *inodes; /* [1..n_inodes]; [0] unused */
	uint32_t n_inodes;
	uint32_t *block_objects;
	struct mask *masks;
	struct data_version *data; /* private to ops.c */
	uint32_t n_data;
};

/* Lowers a sealed trace.  The result lives in the trace's arena and goes with
 * it.  ERR_CORRUPT where the trace contradicts itself (an unlink of a name that
 * is not there, a write to a directory), with the event's number. */
int ops_lower(struct trace *trace, struct ops **ops, struct err *err);

/* The micro-op that made version v >= 1 of an object. */
static inline uint32_t ops_micro(const struct ops *ops, uint32_t object, uint32_t version)
{
	return ops->versions[ops->objects[object].first + version - 1];
}

/* The newest version of an object at crash point `point` (M2). */
uint32_t ops_newest(const struct ops *ops, uint32_t object, uint32_t point);

/* The size of an inode, or what an entry names (0 for nothing), at a version. */
uint64_t ops_size(const struct ops *ops, uint32_t object, uint32_t version);
uint32_t ops_entry(const struct ops *ops, uint32_t object, uint32_t version);

/* The object of block number `block` of an inode, or NONE where it never has
 * data (it then reads as zeros). */
uint32_t ops_block_object(const struct ops *ops, uint32_t ino, uint32_t block);

/* The content of a block at a version as the page cache then held it (bytes
 * past the end of file are zeros), into BLOCK_BYTES at out.  Masks are not
 * applied. */
void ops_content(const struct ops *ops, uint32_t object, uint32_t version, uint8_t *out);

/* A set of bits of the sectors in which two versions of a block differ. */
uint8_t ops_sectors_differing(const struct ops *ops, uint32_t object, uint32_t a, uint32_t b);

#endif
