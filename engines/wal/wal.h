/* Inside the wal engine: an open store and what its files share.  The theory is
 * in wal.c.
 *
 * Functions that can fail return 0, or -1 with a text in error. */
#ifndef POWERCUT_WAL_H
#define POWERCUT_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine.h"
#include "files.h"
#include "map.h"
#include "record.h"

enum wal_mode { WAL_SYNC, WAL_BATCH, WAL_NONE };

enum { WAL_SPARES_MAX = 4 };

struct wal {
	/* The options. */
	bool hardened;
	bool datasync; /* call=fdatasync */
	bool recycle;
	enum wal_mode mode;
	uint64_t batch;		/* records to a sync, in WAL_BATCH */
	uint64_t segment_bytes; /* a segment with records does not grow beyond by a further one */
	uint64_t buffer_bytes;	/* the buffer is flushed once it holds as many */

	int dir; /* descriptors; -1: none */
	int fd;	 /* of the last segment */

	struct numbers segments;    /* the log, rising; the last one is written to */
	struct numbers spares;	    /* retired segments to be used again; WAL_SPARES_MAX at most */
	uint64_t flushed;	    /* bytes of the last segment that the kernel has */
	struct bytes_buffer buffer; /* records behind these, which it has not */
	bool dirty;		    /* the last segment was written to since its last sync */
	uint64_t unsynced;	    /* acknowledged records that no sync has covered */
	uint64_t sequence;	    /* of the next record */
	struct map map;		    /* what the log and the buffer amount to */

	struct engine_error failed; /* set: a write or sync failed, no more are made */
};

/* What a replay made of the segments. */
struct replay {
	struct numbers segments; /* those that make up the log, rising */
	uint64_t end;		 /* bytes of the last one that are records of the log */
	uint64_t size;		 /* bytes of the last one */
	uint64_t sequence;	 /* of the next record */
	bool gap;		 /* the log stops before the segment in hand */
	struct map map;
};

/* wal.c: suffixes of the files. */
extern const char wal_segment[], wal_spare[], wal_temporary[];

/* segment.c: the life of the last segment, from birth to retirement. */
static inline uint32_t wal_last(const struct wal *wal)
{
	return wal->segments.at[wal->segments.n - 1];
}
int wal_flush(struct wal *wal, struct engine_error *error);
int wal_sync(struct wal *wal, struct engine_error *error);
int wal_rotate(struct wal *wal, struct engine_error *error);
/* Makes the segment, of which the first size bytes are written, the last one. */
int wal_adopt(struct wal *wal, int fd, uint32_t number, uint64_t size, struct engine_error *error);
/* Removes a segment that is superseded, or keeps it as a spare. */
int wal_retire(struct wal *wal, uint32_t number, struct engine_error *error);

/* replay.c: segments → contents; reads only. */
int wal_replay(const struct wal *wal, const struct numbers *found, struct replay *replay,
	       struct engine_error *error);
/* Continues with n bytes behind those of the last segment; the bytes that
 * belong to the log, or -1 where memory ran out. */
int64_t wal_replay_bytes(const struct wal *wal, uint32_t segment, const uint8_t *p, size_t n,
			 struct replay *replay);
void replay_finish(struct replay *replay);

/* recover.c and compact.c: see the theory. */
int wal_recover(struct wal *wal, struct engine_error *error);
int wal_compact(struct wal *wal, struct engine_error *error);

#endif
