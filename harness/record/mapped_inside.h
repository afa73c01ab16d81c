/* What the files that follow mappings share: mapped.c, look.c, spaces.c. */
#ifndef POWERCUT_MAPPED_INSIDE_H
#define POWERCUT_MAPPED_INSIDE_H

#include "mapped.h"

enum { PAGE = 4096 };

struct range {
	uint64_t from, to;
};

struct mapped_file {
	UT_hash_handle hh;
	uint32_t ino;
	int fd;			 /* of our own, for reading */
	dev_t shown_dev;	 /* as /proc/PID/maps has it, which need not be what stat has */
	uint64_t shown_ino;	 /* 0: not yet known */
	uint8_t *shadow;	 /* what the trace says is in it; NULL: not watched */
	uint64_t size, room;	 /* of the file, and of the shadow in whole pages */
	uint32_t writers;	 /* mappings that can be stored to now */
	bool hopeless;		 /* cannot be watched; the run is spoilt */
	struct range *suspected; /* what is to be compared at the next look */
	size_t n_suspected, suspected_cap;
};

static inline uint64_t whole_pages(uint64_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Bytes [from, to) of a file are to be compared at the next look, whatever is mapped. */
void mapped_suspect(struct mapped_file *file, uint64_t from, uint64_t to);

/* Brings all shadows up to the end of the trace. */
void mapped_apply(struct recorder *recorder);

/* A file is no longer watched. */
void mapped_drop(struct recorder *recorder, struct mapped_file *file);

/* The next range of data of a file, from *from on and below end: [*from, *to).  File
 * systems that cannot tell have data everywhere. */
bool mapped_next_data(int fd, uint64_t *from, uint64_t end, uint64_t *to);

#endif
