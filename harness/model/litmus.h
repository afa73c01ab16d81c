/* The litmus table of the model: each test is a handful of calls and a question
 * about the crash states that follow.
 *
 * The model is held against the table, state by state; so are real file systems.
 * The columns of ext4, ext4-noda, xfs and btrfs were tried on the real ones.
 *
 * Pure. */
#ifndef POWERCUT_LITMUS_H
#define POWERCUT_LITMUS_H

#include <stdbool.h>

#include "seen.h"

enum litmus_column {
	LITMUS_IDEAL,
	LITMUS_EXT4,
	LITMUS_EXT4_LOCK,
	LITMUS_EXT4_NODA,
	LITMUS_XFS,
	LITMUS_BTRFS,
	LITMUS_POSIX,
	LITMUS_COLUMNS
};

/* The profile of each column. */
extern const char *const litmus_columns[LITMUS_COLUMNS];

struct litmus {
	const char *name;  /* "L2 empty": variants of one test share the first word */
	const char *calls; /* trace_text.h */
	bool after;	   /* only the crash after the last call, else at any moment */
	const char *asks;  /* the question in words: "b is empty" */
	bool (*shows)(const struct seen *seen); /* the question; litmus_shows asks it */
	const char *expected; /* a letter a column: 'y', some crash state shows it; 'n', none */
};

/* Ends with a NULL name. */
extern const struct litmus litmus_table[];

/* Whether a tree shows what the test asks for.  The bytes of files must have been
 * kept in it. */
bool litmus_shows(const struct litmus *litmus, const struct seen *seen);

/* Whether some crash state may show it under the profile of a column. */
static inline bool litmus_expects(const struct litmus *litmus, enum litmus_column column)
{
	return litmus->expected[column] == 'y';
}

#endif
