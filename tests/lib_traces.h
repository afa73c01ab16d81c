/* What several tests of the model need: traces by the thousand, made from a
 * seed, and a crash state's tree as bytes that can be compared. */
#ifndef POWERCUT_LIB_TRACES_H
#define POWERCUT_LIB_TRACES_H

#include "buf.h"
#include "image.h"
#include "ops.h"
#include "prng.h"

/* What a random trace may contain. */
enum traces_mix {
	TRACES_WRITES = 1,	 /* writes, truncates */
	TRACES_RANGES = 2,	 /* fallocate, zero */
	TRACES_NAMES = 4,	 /* create, rename, unlink, exchange */
	TRACES_LINKS = 8,	 /* hard and symbolic links */
	TRACES_DIRECTORIES = 16, /* mkdir, rmdir, moves between directories */
	TRACES_SYNCS = 32,	 /* fsync, fdatasync, sync, writes with RWF_DSYNC and RWF_SYNC */
	TRACES_SMALL = 64,	 /* writes of few sectors, so that few states are torn */
	TRACES_STORES = 128,	 /* stores through mappings, msync */
	TRACES_ALL = 63,
};

/* The text of a random trace of so many calls, all of them valid.  Caller
 * frees. */
char *traces_random(struct prng *prng, unsigned calls, unsigned mix);

struct traces_lowered {
	struct trace *trace;
	struct ops *ops;
};

/* Parses, seals and lowers; fails the test where that is not possible. */
struct traces_lowered traces_lower(const char *text);
/* The same; but some syncs were entered before the calls ahead of them had
 * returned, as happens with threads. */
struct traces_lowered traces_lower_threads(const char *text, struct prng *prng);
void traces_release(struct traces_lowered *lowered);

/* Appends the tree as a program would find it: names, types, links, sizes and
 * bytes.  Equal bytes if and only if equal trees. */
void traces_dump(const struct ops *ops, const struct image *image, struct buf *out);

/* A number of rounds: n, or what POWERCUT_TEST_ROUNDS makes of it (a factor). */
unsigned traces_rounds(unsigned n);

#endif
