/* Persistence profiles: which of the rules M1-M10 a file system keeps.
 *
 * One row each in profile.c; adding a profile is adding a row. */
#ifndef POWERCUT_PROFILE_H
#define POWERCUT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rule_order {       /* M4: what reaches the disk in program order */
	ORDER_NONE,
	ORDER_DIRECTORY,/* the entries of each directory */
	ORDER_METADATA, /* all metadata */
	ORDER_OVERTAKE, /* all metadata, but what is fsynced may overtake */
	ORDER_ALL,      /* every micro-op: states are prefixes */
	ORDER_ISSUED,   /* everything issued is there: one state */
};

enum rule_size { SIZE_FREE, SIZE_LAST, SIZE_NEW }; /* M5: no, last, new */

enum rule_names { NAMES_NONE, NAMES_CREATION, NAMES_ALL }; /* M6 */

enum rule_replace {     /* M8, the weakest first */
	REPLACE_FREE,   /* no */
	REPLACE_STARTS, /* the new size is there, its data perhaps not */
	REPLACE_WAITS,  /* newly allocated data is there */
};

struct profile {
	const char *name;
	const char *summary; /* one line for people */
	enum rule_order order;
	enum rule_size size;
	enum rule_names fsync, fdatasync; /* what each makes durable beside the file */
	bool journal;             /* M7 */
	enum rule_replace replace;
	bool rename_splits;       /* M9: fsync of the new directory alone may leave both names */
	bool exchange_unnamed;    /* M6: an exchange is no name by which fsync knows a file */
	bool sync_flushes_log;    /* M1: sync makes durable what is logged, and not data that is
				     written in place */
	bool nameless_unlogged;   /* M1: a sync of a file without a name says nothing of it, but
				     that a later name comes after what was synced */
	bool zeros_ordered;       /* M4: zeros at the ends of a punched range come no later than
				     what the journal has of it */
	bool tail_waits;          /* M3: a block that was cut or punched in part comes no sooner
				     than the new size */
	uint32_t sector_bytes;    /* M10: writes of this size are atomic */
	bool tears;               /* blocks larger than a sector may be torn */
	bool file_system;         /* a real file system with its defaults, not a limit case */
};

/* The table, strongest first; ends with a NULL name. */
extern const struct profile profile_table[];

/* The row of that name, or NULL. */
const struct profile *profile_find(const char *name);

/* Whether every crash state that a admits is also admitted by b: kill within
 * ideal within each file system within posix-dir within posix.  btrfs is not
 * within posix-dir, since what is fsynced may overtake; it counts as within
 * posix, which lacks only states in which the names of one file part, and those of
 * files without a name, because findings name minimal profiles. */
bool profile_within(const struct profile *a, const struct profile *b);

#endif
