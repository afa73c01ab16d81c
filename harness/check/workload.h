/* Workloads: a seeded sequence of operations, and the values they write.
 *
 * A value names the write that made it (writes are numbered from 1 through the
 * whole workload) and carries a checksum over itself and its key, so that
 * whatever a recovery returns can be traced to its operation or shown to be
 * invented:
 *
 *   "w" write number in decimal ":" filler that depends on write and key "~"
 *   check, 8 hex digits: XXH32 of the key, seeded with the XXH32 of all before
 *   the "~"
 *
 * A length of 0 is the empty value, which names nothing: all writes of an empty
 * value to one key look alike, and the judge takes them so (history.h). */
#ifndef POWERCUT_WORKLOAD_H
#define POWERCUT_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "engine.h"
#include "err.h"

/* X(constant, name on the command line, default weight in the mix) */
#define OP_TYPES(X)         \
	X(PUT, "put", 60)       \
	X(DELETE, "delete", 15) \
	X(BATCH, "batch", 8)    \
	X(SYNC, "sync", 7)      \
	X(COMPACT, "compact", 4)\
	X(REOPEN, "reopen", 6)

enum op_type {
#define X(constant, name, weight) OP_##constant,
	OP_TYPES(X)
#undef X
	OP_TYPES_COUNT
};

const char *op_type_name(enum op_type type);

/* A zeroed struct is valid: every zero means the default in brackets. */
struct workload_options {
	uint32_t ops;  /* number of operations [120] */
	uint32_t keys; /* distinct keys [12] */
	bool mixed;    /* weight[] was given; otherwise the default mix */
	uint32_t weight[OP_TYPES_COUNT];
	uint32_t value_min, value_max; /* bytes of a value [24, 200]; at least 24 */
	uint32_t batch_min, batch_max; /* changes in a batch [2, 40] */
	uint32_t reuse; /* percent of changes that go to a key already used [70] */
	uint32_t empty; /* percent of writes whose value is empty, whatever value_min is [0] */
	uint64_t seed;
};

/* The shortest value but the empty one: room for any write number. */
enum { VALUE_BYTES_MIN = 24 };

/* Parses "put=60,delete=15,sync" (a bare name has its default weight; what is
 * not named has none) into weight[] and mixed.  ERR_USAGE with the word at
 * fault and what was expected. */
int workload_parse_mix(const char *text, struct workload_options *options, struct err *err);

/* Parses words as workload_describe writes them, "ops=100 keys=5 values=24-64";
 * a single number stands for both ends of a range.  What is not named is left
 * alone.  ERR_USAGE with the word at fault. */
int workload_parse(const char *text, struct workload_options *options, struct err *err);

/* Puts the defaults where there are zeros, and checks bounds (ERR_USAGE).  A
 * default bends to an end of its range that was given: values of at least 500
 * bytes are of at most 500, not 200. */
int workload_expand(struct workload_options *options, struct err *err);

/* The expanded options in one line, as stored and printed:
 * "ops=60 keys=12 mix=put=60,delete=15,… values=24-200 batches=2-40 reuse=70
 * empty=0".  The seed is not part of it. */
void workload_describe(const struct workload_options *options, struct buf *out);

struct op_change {
	struct engine_bytes key;
	bool del;
	uint32_t write;        /* number of the write; 0 for a delete */
	uint32_t value_length; /* bytes */
};

struct op {
	enum op_type type;
	uint32_t n; /* changes: 1 for put and delete, any for batch, else 0 */
	struct op_change *changes;
};

struct workload {
	struct op *ops;
	uint32_t n_ops;
	uint32_t n_writes;
	/* private storage */
	struct workload_storage *storage;
};

/* Makes a workload from expanded options.  Operations that the engine lacks
 * (batch, sync, compact) are left out of the mix.  The same options and engine
 * abilities give the same workload.  Released by workload_destroy (NULL is
 * fine).  ERR_USAGE where nothing is left. */
int workload_create(const struct workload_options *options, const struct engine *engine,
		    struct workload **workload, struct err *err);
void workload_destroy(struct workload *workload);

/* Runs a workload on an engine in dir: opens it, then each operation between
 * its begin and end markers, then closes it; in the calling process, which is
 * the one being recorded or killed.  An operation that fails is marked as
 * failed and the workload goes on, except that a failed reopen ends it.  An
 * operation's number is its index in ops.  If progress is not NULL, it counts
 * begun and ended operations there (it is in shared memory).  Returns 0, or -1
 * with error where the store could not be opened, reopened or closed. */
struct workload_progress {
	volatile uint32_t begun, ended;
};
int workload_run(const struct workload *workload, const struct engine *engine,
		 const struct engine_config *config, const char *dir,
		 struct workload_progress *progress, struct engine_error *error);

/* The encoding of an operation in its begin marker:
 *   u8 type, varint n, then for each change: u8 del, blob key, varint write,
 *   varint value_length. */
void op_encode(const struct op *op, struct buf *out);

/* Writes the value of a write to out: length bytes, 0 or at least
 * VALUE_BYTES_MIN. */
void value_make(uint32_t write, struct engine_bytes key, uint32_t length, char *out);

/* The write that made these bytes for that key, or 0 if none can have (or if
 * they are empty). */
uint32_t value_parse(struct engine_bytes key, struct engine_bytes value);

#endif
