/* The history: what the workload did, read off the trace alone.
 *
 * Only operations that change contents count (put, delete, batch); they are
 * numbered from 1, the changes.  Sync, compact and reopen change none, but an
 * acknowledged sync says that what came before it is durable.  Operations come
 * one after the other: one begins when the one before has ended.
 *
 * A change that returned an error may or may not have happened.  It has a
 * number like any other and is counted in all bounds; that it is within D says
 * nothing about itself, only about the changes around it.
 *
 * Writes of empty values to one key cannot be told apart by what a recovery
 * returns.  In contents they all appear as the first of them.
 *
 * Pure. */
#ifndef POWERCUT_HISTORY_H
#define POWERCUT_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "engine.h"
#include "trace.h"
#include "workload.h"

struct history_change {
	uint32_t op;	       /* number of the operation in the workload, from 0 */
	uint8_t type;	       /* enum op_type: PUT, DELETE or BATCH */
	bool failed;	       /* it returned an error: it may or may not have happened */
	uint32_t begun, ended; /* events (trace->events[begun]); UINT32_MAX: it never ended */
	uint32_t first, n;     /* its items: items[first..first+n) */
};

struct history_item {
	uint32_t key;	/* index into keys */
	uint32_t write; /* number of the write; 0 for a delete */
	uint32_t value_length;
	uint32_t change; /* the change it belongs to, from 1 */
	uint32_t shows;	 /* what contents show of it: 0 for a delete, the first empty write
			    of the key for an empty value, else write */
};

/* A point of the history at which everything before a place in the trace is
 * known: how far a recovery may and must have come. */
struct bounds {
	uint32_t begun;	  /* changes begun */
	uint32_t acked;	  /* changes that returned, failed ones too */
	uint32_t durable; /* D: the last change whose acknowledgement meant durable; all before
			     it are durable too */
	uint32_t stage;	  /* 0; in a nested run how far it has come (nest.h), and the numbers
			     above are then those of what is done after the recovery */
};

struct history {
	struct history_change *changes; /* [0] is change 1 */
	uint32_t n_changes;
	struct history_item *items;
	uint32_t n_items;
	struct engine_bytes *keys;
	uint32_t n_keys;
	uint32_t n_writes;
	/* item_of_write[w - 1]: the item of write w */
	uint32_t *item_of_write;
	bool failures; /* some change failed */
	/* Writes that contents may show although the trace has no such operation: they are
	 * made after a recovery (session.h).  The first is write n_writes + 1. */
	uint32_t n_guests;
	struct history_private *priv;
};

/* Everything is allocated from the trace's arena and goes with it.
 * ERR_CORRUPT where the markers make no sense. */
int history_create(const struct trace *trace, struct history **history, struct err *err);

/* The bounds after the first n_events events, for a contract; power tells
 * whether the crash is a loss of power (true) or a mere kill (false): a
 * contract against kill says nothing of power (durable is then 0).  Otherwise
 * D is, of the changes that have ended,
 *
 *   EACH     all;
 *   EVERY N  all before the last N - 1 that did not fail, and what ON_SYNC says;
 *   ON_SYNC  those before the last sync that has ended without an error;
 *
 * and in any case those up to the last batch that has ended without an error,
 * where a batch's return makes it durable.  Takes the same time whatever the
 * length of the history. */
struct bounds history_bounds(const struct history *history, const struct engine_contract *contract,
			     uint32_t n_events, bool power);

/* Lets contents show n_guests guests too, under any key and of any length: the
 * value names its write and vouches for the rest.  Of n_keys keys those that the
 * history lacks are added to it.  Memory is from the arena that the history is
 * from.  Once, before contents are made. */
void history_invite(struct history *history, struct arena *arena, const struct engine_bytes *keys,
		    uint32_t n_keys, uint32_t n_guests);

/* The index of a key, or UINT32_MAX. */
uint32_t history_key(const struct history *history, struct engine_bytes key);

/* How many of the first n changes did not fail. */
uint32_t history_successes(const struct history *history, uint32_t n);

/* A key for people: as it is where it is a plain word, else in quotes with
 * \xHH for what cannot be printed. */
void history_print_key(struct engine_bytes key, struct buf *out);

/* What a recovery showed: for each key the write that made its value. */
enum { CONTENTS_ABSENT = 0 };
#define CONTENTS_INVENTED UINT32_MAX

struct contents {
	uint32_t n_keys;   /* of the history */
	uint32_t invented; /* records that no write of the workload explains */
	char text[200];	   /* the first of these, for people */
	uint32_t write[];  /* by key: 0, a write (history_item.shows), a guest (above n_writes) or
			      CONTENTS_INVENTED */
};

/* Bytes that the contents of this history take. */
size_t contents_bytes(const struct history *history);

/* Empties contents and prepares it for contents_add. */
void contents_init(const struct history *history, struct contents *contents);

/* Adds one record that a recovery returned.  A record that no write explains,
 * or whose key was there before, counts as invented. */
void contents_add(const struct history *history, struct contents *contents, struct engine_bytes key,
		  struct engine_bytes value);

#endif
