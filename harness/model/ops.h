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
 *               size is delayed growth.  A write that begins in a later block than
 *               the file ends in first grows it to the end of that block, which is
 *               written anew with zeros behind what was the end.
 *   truncate    the size, and a mask: data older than the truncate reads as zeros
 *               from the new end on, from the moment that the truncated size (or
 *               a later one) is on disk.  Newer data there demands that size
 *               (M3: a later version implies the group before it).  A block of which a
 *               part is cut off that has data there is also written, with zeros: data of
 *               its own, which most file systems may send before the size (M3).
 *   fallocate   the size (which may be the same one: then it only says that
 *               metadata changed).
 *   zero        data, for the blocks at the ends of the range that become zeros in part;
 *               then a size (perhaps the same) and a mask over the whole blocks: punched
 *               holes and zeroed ranges.
 *   create, link, symlink, mkdir, unlink, rmdir   one entry.
 *   rename      one group of two entries; exchange likewise.
 *   stores      through shared mappings, as they were seen: a write that never grows
 *               a file.  What was seen in one look is one step.
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
	uint32_t block;   /* BLOCK: its number in the file; ENTRY: what it names at the start */
	uint32_t data0;   /* BLOCK: index of version 0's data */
	const char *name; /* ENTRY */
	uint32_t n;       /* versions 1..n exist beside 0 */
	uint32_t first;   /* version v is the micro-op versions[first + v - 1] */
};

enum micro_flag {
	MICRO_META = 1,     /* entry, truncate, fallocate: what M4 orders */
	MICRO_GROWTH = 2,   /* a size by an extending write */
	MICRO_ALLOCATES = 4,/* data of a block that had none, or none since a mask over it all */
	MICRO_REPLACES = 8, /* the entry of a rename over an existing file */
	MICRO_TOGETHER = 16, /* one step with the next micro-op: data of stores that were seen in one
				look; the size below */
};

struct micro {
	uint32_t object;
	uint32_t version; /* of that object, >= 1 */
	uint32_t event;
	uint32_t step;  /* its position among the steps */
	uint32_t partner; /* the other micro-op of a rename or exchange, or NONE: both or neither */
	uint8_t flags;
	uint32_t ino;   /* ENTRY: the inode it now names, 0 for none */
	uint32_t old;   /* ENTRY: the inode it named before, 0 for none */
	uint64_t size;  /* SIZE: the size */
	uint32_t data;  /* BLOCK: index into the data versions */
};

/* STEP_END: an operation, or an acknowledgement of a program's own. */
enum step_kind { STEP_MICRO, STEP_SYNC, STEP_BEGIN, STEP_END, STEP_FAULT };

struct step {
	uint8_t kind;
	uint32_t micro; /* STEP_MICRO */
	uint32_t event;
};

/* What the model must know of an inode. */
struct inode {
	uint8_t type;         /* enum inode_type */
	uint32_t size_object; /* files; else NONE */
	uint32_t blocks, n_blocks; /* its BLOCK objects: block_objects[blocks..], by number */
	uint32_t masks, n_masks;   /* masks[masks..], in program order */
	uint32_t entries, n_entries; /* of a directory: entry_objects[entries..], by name */
	uint32_t namings, n_namings; /* namings[namings..], in program order */
	uint64_t start_size;       /* file: size at the start; symlink: length of its target */
	const uint8_t *start_data; /* file: contents at the start; symlink: its target */
};

/* A version of an entry that names an inode. */
struct naming {
	uint32_t object, version;
};

/* Bytes [from, to) of an inode read as zeros in data that is older than the
 * micro-op, once the size on disk is at least of its version. */
struct mask {
	uint32_t micro; /* a SIZE micro-op */
	uint64_t from, to;
};

/* The bytes of one version of one block, as a patch of the version before, or
 * whole.  The digest is 0 for a block of zeros. */
struct data_version {
	const uint8_t *whole; /* BLOCK_BYTES, or NULL */
	const uint8_t *patch; /* bytes for [from, to) on top of the version before */
	uint32_t before;      /* index of that version */
	uint16_t from, to;
	uint16_t extent;      /* bytes up to the last one that is not zero */
	uint64_t lo, hi;      /* digest of the content */
	uint64_t sector[BLOCK_SECTORS]; /* a hash of each sector */
};

struct ops {
	const struct trace *trace;
	struct object *objects; /* in the order in which they are first met */
	uint32_t n_objects;
	uint32_t *versions;
	struct micro *micros;
	uint32_t n_micros;
	struct step *steps;
	uint32_t n_steps;
	struct inode *inodes; /* [1..n_inodes]; [0] unused */
	uint32_t n_inodes;
	uint32_t *block_objects;
	uint32_t *entry_objects;
	struct naming *namings;
	struct mask *masks;
	struct data_version *data;
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

/* The names of the fault points passed last before and next from a crash point
 * on; "" at the ends. */
const char *ops_fault_before(const struct ops *ops, uint32_t point);
const char *ops_fault_after(const struct ops *ops, uint32_t point);

/* How many events of the trace had happened whole at a crash point. */
uint32_t ops_events_before(const struct ops *ops, uint32_t point);

/* The point that a crash point is named after.  Fault points that are passed
 * right after a micro-op change nothing: a crash behind them is a crash before
 * them, and "behind" is what people look for. */
uint32_t ops_point_named(const struct ops *ops, uint32_t point);

/* The size of an inode, or what an entry names (0 for nothing), at a version. */
uint64_t ops_size(const struct ops *ops, uint32_t object, uint32_t version);
uint32_t ops_entry(const struct ops *ops, uint32_t object, uint32_t version);

/* The object of block number `block` of an inode, or NONE where it never has
 * data (it then reads as zeros). */
uint32_t ops_block_object(const struct ops *ops, uint32_t ino, uint32_t block);

/* The index into data of a version of a block. */
static inline uint32_t ops_data(const struct ops *ops, uint32_t object, uint32_t version)
{
	return version ? ops->micros[ops_micro(ops, object, version)].data
		       : ops->objects[object].data0;
}

/* The content of a block at a version as the page cache then held it (bytes
 * past the end of file are zeros), into BLOCK_BYTES at out.  Masks that came
 * later are not applied. */
void ops_content(const struct ops *ops, uint32_t object, uint32_t version, uint8_t *out);

/* The masks that hide bytes of a version of a block while the size object of
 * its inode is at size_version: masks [*first, *end). */
void ops_masks(const struct ops *ops, uint32_t object, uint32_t version, uint32_t size_version,
	       uint32_t *first, uint32_t *end);

/* The masks that come with version b of a size and are not there with version a,
 * for a < b: masks [*first, *end). */
void ops_masks_switched(const struct ops *ops, uint32_t object, uint32_t a, uint32_t b,
			uint32_t *first, uint32_t *end);

/* Makes zeros of what masks [first, end) hide of a block (bytes may be NULL);
 * whether there is anything. */
bool ops_mask_block(const struct ops *ops, uint32_t object, uint32_t first, uint32_t end,
		    uint8_t *bytes);

/* The digest (two words, for sums) of BLOCK_BYTES; 0, 0 for zeros. */
void ops_digest(const uint8_t *bytes, uint64_t *lo, uint64_t *hi);

/* The content of a version of a block less what was cut off or punched before
 * a newer version of it: what a torn write of the newer one leaves in place. */
void ops_content_under(const struct ops *ops, uint32_t object, uint32_t version, uint32_t newer,
		       uint8_t *out);

/* A set of bits of the sectors in which a version of a block differs from what
 * an older one leaves under it. */
uint8_t ops_sectors_differing(const struct ops *ops, uint32_t object, uint32_t newer,
			      uint32_t older);

#endif
