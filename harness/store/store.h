/* The store: one SQLite file with everything a campaign learnt.
 *
 * Writers open it with store_create; rows are batched in transactions that are
 * committed when store_commit is called or, at the next row, when half a second
 * has passed or a few megabytes have gathered, so that a kill at any moment
 * leaves a readable file with all finished batches.  Others can read while it
 * is being written.  The schema has a version (PRAGMA user_version) and an
 * application id; older files are migrated, newer and foreign ones refused.
 *
 * All texts given are copied; NULL counts as "".  Counts of 64 bits saturate at
 * INT64_MAX, the largest integer that SQLite has: a number of states that is
 * cut off so is no longer exact, and its row says so.  Seeds, identities and
 * digests keep all their bits.
 *
 * A store is used by one thread, and by the process that opened it: a child
 * made by fork must not touch it, nor open the same file, not even to read: it
 * inherits SQLite's belief that it holds its parent's locks. */
#ifndef POWERCUT_STORE_H
#define POWERCUT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum { STORE_VERSION = 3, STORE_APPLICATION_ID = 0x50574354 /* "PWCT" */ };

struct store;

/* Opens path for writing, making it where it is missing.  ERR_CORRUPT for a
 * file that is not ours, ERR_VERSION for a newer one, ERR_IO. */
int store_create(const char *path, struct store **store, struct err *err);
/* Opens an existing file for reading.  ERR_MISSING where there is none; else as
 * store_create.  (The file is changed only to roll back the batch that a killed
 * writer left half done, or to migrate it.) */
int store_open(const char *path, struct store **store, struct err *err);
/* Commits and closes; NULL is fine.  An error is lost: commit first to see it. */
void store_close(struct store *store);
int store_commit(struct store *store, struct err *err);

/* The path as it was given. */
const char *store_path(const struct store *store);

/* ---- writing; each returns 0 or an error, ids are set in the row ---- */

/* When the disk refuses (full, an error) the whole unfinished batch is lost, and
 * every later call that writes returns the same error. */

struct campaign_row {
	int64_t id;
	const char *version;  /* of powercut */
	const char *command;  /* the command line, readable */
	const char *started;  /* ISO 8601, UTC */
	const char *finished; /* "" while running or if it was killed */
	const char *system;   /* kernel, machine, compiler */
	uint64_t seed;
	uint32_t jobs;
	int exit_code;        /* -1 while running */
};
int store_add_campaign(struct store *store, struct campaign_row *row, struct err *err);
int store_finish_campaign(struct store *store, int64_t id, const char *finished, int exit_code,
			  struct err *err);

struct trace_row {
	int64_t id;
	uint64_t identity;
	const char *parent;   /* of a recovery's own run: the state that was recovered; else "" */
	uint32_t first_event; /* of that run; the events before it led to the state */
	const void *bytes;    /* as trace_codec.h encodes it; not read by store_next_trace */
	size_t length;
};
/* A trace that is already there (same bytes, same parent) is not stored twice. */
int store_add_trace(struct store *store, struct trace_row *row, struct err *err);

/* The "engine" of a target that is a command: options is then its checker, name and
 * workload its words, changes the number of lines that it acknowledged. */
#define STORE_COMMAND "command"

struct target_row {
	int64_t id, campaign;
	int64_t trace;        /* 0: none could be recorded */
	const char *name;     /* as given: "wal:variant=hardened,sync=sync" */
	const char *engine;   /* "wal", or the file of a plug-in that was named by its file */
	const char *options;  /* expanded: "variant=hardened,sync=sync,…" */
	const char *workload; /* expanded, workload_describe */
	const char *contract; /* in words */
	const char *expected; /* findings expected, space separated: see store_finding_is */
	uint64_t seed;
	uint32_t calls, operations, changes, micros, points;
	const char *inconclusive; /* "" or why */
};
int store_add_target(struct store *store, struct target_row *row, struct err *err);
/* Says afterwards why a target could not be judged. */
int store_set_inconclusive(struct store *store, int64_t target, const char *why, struct err *err);

struct coverage_row {
	int64_t target;
	const char *profile;
	uint32_t points;      /* crash points explored */
	uint64_t possible;    /* states; UINT64_MAX saturates */
	bool exact;           /* else possible is a lower bound */
	uint64_t tested;      /* distinct images looked at under this profile */
	uint64_t merged;      /* states whose image was equal to one already tested */
	uint64_t left_out;    /* possible - tested - merged; a lower bound if !exact */
	uint64_t recovered;   /* recoveries executed (an image seen under an earlier profile
				 is not recovered again) */
	uint64_t violations;  /* failing (image, history) pairs */
	uint64_t inconclusive;
	uint32_t loss;        /* most acknowledged changes lost by any state */
	uint64_t recoverable; /* recoveries that went well and could be crashed in turn */
	uint64_t again;       /* of these, the ones that were: run again, recorded, crashed */
	uint64_t nested;      /* states that were tested then: after two crashes or more */
	uint64_t nested_left_out; /* further ones that the profile allows; a lower bound */
};
/* One row for each target and profile. */
int store_add_coverage(struct store *store, const struct coverage_row *row, struct err *err);

struct point_row {
	int64_t target;
	const char *profile;
	uint32_t point, event;
	const char *before, *after; /* fault points around it, "" at the ends */
	uint64_t possible;
	bool exact;
	uint64_t tested, merged, left_out, violations;
};
/* One row for each target, profile and point. */
int store_add_point(struct store *store, const struct point_row *row, struct err *err);

struct outcome_row {
	int64_t target;
	const char *profile;
	const char *state;   /* pasteable ID */
	uint32_t point;
	uint64_t digest_lo, digest_hi;
	const char *verdict; /* "pass", "fail", "inconclusive" */
	uint32_t rules;      /* RULE_BITs broken */
	uint32_t begun, acked, durable;
	int64_t prefix;      /* p, or -1 */
	uint32_t loss;
	const char *text;    /* why, for fail and inconclusive */
	bool live;           /* by a real kill, not from the model */
};
int store_add_outcome(struct store *store, const struct outcome_row *row, struct err *err);

struct fault_row {
	int64_t target;
	const char *name;
	uint64_t passages; /* in the recorded run */
	uint64_t recoveries; /* recoveries, and uses of the store after one, that passed it */
	uint64_t crashes;  /* states that stand for a crash at it or before the next one */
	bool reachable;    /* with these options and what was done, it should have been passed */
};
/* One row for each target and name. */
int store_add_fault(struct store *store, const struct fault_row *row, struct err *err);

struct finding_row {
	int64_t id, target;
	const char *fingerprint; /* 16 hex digits */
	uint32_t rule;           /* the first rule broken */
	uint32_t rules;          /* all */
	const char *title;       /* one line */
	const char *cause;       /* one line: what was lost or kept, by which call */
	const char *source;      /* "wal.c:210 in segment_create", "" if unknown */
	const char *before, *after; /* fault points around the crash */
	const char *profiles;    /* all that show it, space separated */
	const char *minimal;     /* the minimal ones among them */
	const char *state;       /* ID of the representative state */
	const char *explanation; /* several lines, ready to print */
	uint64_t states;         /* failing states with this cause */
	uint64_t found_after;    /* states of the target looked at until the first of them */
	bool expected;
};
int store_add_finding(struct store *store, struct finding_row *row, struct err *err);

/* What became of a finding on a real file system. */
struct witness_row {
	int64_t finding;
	const char *file_system; /* "ext4", "ext4-lock", "ext4-noda", "xfs", "btrfs" */
	const char *kernel;      /* release and machine: "6.18.44 x86_64" */
	const char *options;     /* mkfs and mount, as used */
	const char *made;        /* ISO 8601, UTC */
	uint64_t seed;
	uint64_t states;         /* block states mounted */
	uint32_t variants;       /* of timing that were tried */
	const char *outcome;     /* "witnessed": the very tree of the finding's state; "same rule":
				    another, on which one of the finding's rules breaks; "not
				    seen"; "not tried" */
	const char *variant;     /* the timing that showed it, or "" */
	const char *blocks;      /* block writes kept and lost, or "" */
	const char *text;        /* what recovery then said, or why it was not tried */
};
/* One row for each finding and file system: a later one takes the place of the earlier. */
int store_add_witness(struct store *store, const struct witness_row *row, struct err *err);

/* The points of a target between the same two fault points, summed up. */
struct window_row {
	const char *before, *after; /* "" at the ends */
	uint32_t points;     /* crash points, of all profiles */
	uint64_t tested, violations;
};

/* Takes the next word of a list separated by spaces: false at its end. */
bool store_next_word(const char **list, const char **word, size_t *length);

/* Whether a finding is the one that a word of an expectation names: by its
 * fingerprint, or by a rule that it breaks and one of its minimal profiles, "O2@posix". */
bool store_finding_is(const struct finding_row *row, const char *word, size_t length);

/* ---- reading: rows one at a time; texts are valid until the next call with
 * the same query (store_get_*: until the next call of the same function) ---- */

/* Between these two everything read is of one moment, even while another process
 * writes; that one cannot commit meanwhile, so be quick.  They do nothing on a
 * store opened for writing, and store_end_reading always succeeds. */
int store_begin_reading(struct store *store, struct err *err);
void store_end_reading(struct store *store);

struct store_query;
/* Each starts a query; next returns 1 with a row, 0 at the end, or an error.
 * A campaign or target of 0 means all, and so does a NULL or empty profile or
 * state; rows come in the order in which they were written, but points by
 * profile and number.  store_last_campaign gives the newest campaign. */
int store_last_campaign(struct store *store, int64_t *id, struct err *err); /* ERR_MISSING */
int store_next_campaign(struct store *store, struct store_query **q, struct campaign_row *row,
			struct err *err);
/* The traces whose identities begin with these 32 bits. */
int store_next_trace(struct store *store, struct store_query **q, uint32_t head,
		     struct trace_row *row, struct err *err);
int store_next_target(struct store *store, struct store_query **q, int64_t campaign,
		      struct target_row *row, struct err *err);
int store_next_coverage(struct store *store, struct store_query **q, int64_t target,
			struct coverage_row *row, struct err *err);
int store_next_point(struct store *store, struct store_query **q, int64_t target,
		     const char *profile, struct point_row *row, struct err *err);
int store_next_outcome(struct store *store, struct store_query **q, int64_t target,
		       const char *state, struct outcome_row *row, struct err *err);
/* The outcomes of a target (not 0) that are "fail" or "inconclusive", whichever
 * is asked for; does not look at those that pass. */
int store_next_verdict(struct store *store, struct store_query **q, int64_t target,
		       const char *verdict, struct outcome_row *row, struct err *err);
/* In the order in which the run first came through them. */
int store_next_window(struct store *store, struct store_query **q, int64_t target,
		      struct window_row *row, struct err *err);
int store_next_fault(struct store *store, struct store_query **q, int64_t target,
		     struct fault_row *row, struct err *err);
int store_next_finding(struct store *store, struct store_query **q, int64_t campaign,
		       struct finding_row *row, struct err *err);
/* A finding of 0 means all. */
int store_next_witness(struct store *store, struct store_query **q, int64_t finding,
		       struct witness_row *row, struct err *err);
/* Ends a query early; *q may be NULL.  A query that returned 0 or an error has
 * ended, and *q is NULL again.  All queries must have ended at store_close. */
void store_query_end(struct store_query **q);

/* ERR_MISSING where there is no such row. */
int store_get_campaign(struct store *store, int64_t id, struct campaign_row *row,
		       struct err *err);
int store_get_target(struct store *store, int64_t id, struct target_row *row, struct err *err);
int store_get_finding(struct store *store, int64_t id, struct finding_row *row, struct err *err);
/* The trace's bytes into out. */
int store_get_trace(struct store *store, int64_t id, struct buf *out, struct err *err);

#endif
