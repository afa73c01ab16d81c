/* A trace: everything a program asked of its data directory, in order.
 *
 * A trace holds the directory as it was at the start (which is durable), the
 * events, the call stacks, and the modules that the stacks point into.  It is
 * what the recorder produces, what a test writes by hand (trace_text.h), what
 * the database keeps (trace_codec.h), and all that the model reads.
 *
 * Inodes are numbered by the trace, from 1, which is the data directory; a
 * number is never used twice.  Names are single path components. */
#ifndef POWERCUT_TRACE_H
#define POWERCUT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum { TRACE_ROOT = 1 };

enum inode_type { INODE_FILE, INODE_DIR, INODE_SYMLINK };

/* X(constant, name in text and listings).  The names are also the verbs of
 * the text form. */
#define EVENT_KINDS(X)                                                                   \
	X(CREATE, "creat")       /* a new file ino at dir/name; dir 0: without a name */ \
	X(MKDIR, "mkdir")        /* a new directory ino at dir/name */                   \
	X(SYMLINK, "symlink")    /* a new symbolic link ino at dir/name to data */       \
	X(LINK, "link")          /* ino is now also at dir/name */                       \
	X(UNLINK, "unlink")      /* dir/name, which named ino, is gone */                \
	X(RMDIR, "rmdir")        /* the same of a directory */                           \
	X(RENAME, "rename")      /* ino from dir/name to dir2/name2, replacing it */     \
	X(EXCHANGE, "exchange")  /* dir/name and dir2/name2 changed places */            \
	X(WRITE, "write")        /* length bytes of data at offset of ino */             \
	X(TRUNCATE, "truncate")  /* the size of ino is now length */                     \
	X(FALLOCATE, "fallocate")/* offset, length; grows the size unless KEEP_SIZE */   \
	X(ZERO, "zero")          /* offset, length read as zeros (punch, zero range); */ \
				 /* grows the size unless KEEP_SIZE */                   \
	X(FSYNC, "fsync")        /* of ino, which may be a directory */                  \
	X(FDATASYNC, "fdatasync")                                                        \
	X(SYNC, "sync")          /* sync or syncfs: everything */                        \
	X(HINT, "hint")          /* sync_file_range and the like: promises nothing */    \
	X(OPEN, "open")          /* an existing ino was opened for writing */            \
	X(FAULT, "fault")        /* fault point name passed for the offset-th time */    \
	X(OP_BEGIN, "begin")     /* operation number offset begins; data: its encoding */\
	X(OP_END, "end")         /* it returned; data: empty, or the error it gave */    \
	X(NOTE, "note")          /* data: text and a zero byte; INCONCLUSIVE: spoils the run */ \
	X(ACK, "ack")            /* acknowledgement number offset, from 1; data: its line */ \
	X(MSYNC, "msync")        /* offset, length of ino: as fdatasync, but of that range */

enum event_kind {
#define X(constant, name) EVENT_##constant,
	EVENT_KINDS(X)
#undef X
	EVENT_KINDS_COUNT
};

enum event_flag {
	EVENT_KEEP_SIZE = 1,    /* FALLOCATE, ZERO: the size stays */
	EVENT_DSYNC = 2,        /* WRITE: also made its own bytes durable (O_DSYNC, RWF_DSYNC) */
	EVENT_FSYNC_TOO = 4,    /* WRITE: the same for O_SYNC, RWF_SYNC */
	EVENT_INCONCLUSIVE = 8, /* NOTE: nothing may be concluded from this run */
	/* WRITE: not a call, but what stores through shared mappings had changed when
	 * the recorder looked.  Events in a row with the same `entered` are of one look:
	 * in which order their stores came nobody knows. */
	EVENT_STORE = 16,
	EVENT_FLAGS_ALL = 31,
};

struct event {
	uint8_t kind;  /* enum event_kind */
	uint8_t flags; /* enum event_flag */
	uint16_t thread; /* small number of the thread, from 0 */
	/* How many events were already there when the call was entered: a sync
	 * covers those and no later ones. */
	uint32_t entered;
	uint32_t ino;
	uint32_t dir, dir2;
	uint32_t stack; /* index into stacks; 0 is the empty stack */
	const char *call; /* system call as the kernel names it, "pwrite64"; "" if none */
	const char *name, *name2;
	uint64_t offset, length;
	const uint8_t *data; /* data_length bytes; WRITE: the same as length */
	uint64_t data_length;
};

/* One inode of the start. */
struct start_inode {
	uint32_t ino;
	uint8_t type; /* enum inode_type */
	uint64_t size; /* also the length of data (file contents, symlink target) */
	const uint8_t *data;
};

struct start_entry {
	uint32_t dir;
	uint32_t ino;
	const char *name;
};

/* A return address as an offset into the file that was mapped there, so that
 * address space randomisation leaves no mark. */
struct frame {
	uint32_t module; /* index into modules */
	uint64_t offset; /* address in the file's own numbering (as its symbols have it) */
};

struct stack {
	uint32_t n;
	const struct frame *frames; /* innermost first; [0] is the call itself */
};

struct module {
	const char *path;
	const char *build_id; /* lower-case hex, "" if the file has none */
};

struct trace {
	struct arena *arena; /* owns everything below that is not an array */
	struct start_inode *start_inodes; /* the root is not among them */
	size_t n_start_inodes, start_inodes_cap;
	struct start_entry *start_entries;
	size_t n_start_entries, start_entries_cap;
	struct event *events;
	size_t n_events, events_cap;
	struct stack *stacks; /* [0] is empty */
	size_t n_stacks, stacks_cap;
	struct module *modules;
	size_t n_modules, modules_cap;
	uint32_t n_inodes; /* numbers 1..n_inodes are in use */
	bool sealed;       /* the arrays live in the arena too */
	struct interned *interned;
	struct stack_key *stack_keys;
};

/* An empty trace, which has a root and nothing else; NULL never.  Released by
 * trace_destroy, which accepts NULL. */
struct trace *trace_create(void);
void trace_destroy(struct trace *trace);

/* The next unused inode number. */
uint32_t trace_new_inode(struct trace *trace);

/* Adds an inode and its name to the start, and returns its number.  data is
 * copied.  A hard link is made with trace_start_link. */
uint32_t trace_start(struct trace *trace, uint32_t dir, const char *name, enum inode_type type,
		     const void *data, size_t size);
void trace_start_link(struct trace *trace, uint32_t dir, const char *name, uint32_t ino);

/* Appends a zeroed event of that kind, with empty strings and entered set to
 * its own position.  The pointer is good until the next append. */
struct event *trace_append(struct trace *trace, enum event_kind kind);

/* Strings and bytes that live as long as the trace. */
const char *trace_intern(struct trace *trace, const char *s);
const uint8_t *trace_bytes(struct trace *trace, const void *p, size_t n);

/* The number of that module or stack, added where it is new. */
uint32_t trace_module(struct trace *trace, const char *path, const char *build_id);
uint32_t trace_stack(struct trace *trace, const struct frame *frames, size_t n);

/* Moves the arrays to shared memory and forbids further changes. */
void trace_seal(struct trace *trace);

/* The text of the first note that makes the run inconclusive, or NULL. */
const char *trace_inconclusive(const struct trace *trace);

/* "creat", "write", … */
const char *event_kind_name(enum event_kind kind);

/* The path of an inode just before event `at`, for people: "dir/name", "." for
 * the root, or "#5" for an inode that had no name then.  Caller frees. */
char *trace_path(const struct trace *trace, uint32_t ino, size_t at);

struct buf;

/* Whether two recordings of one program differ, and in what first, for people.
 * Appends to difference. */
bool trace_differ(const struct trace *a, const struct trace *b, struct buf *difference);

/* The readable listing that `powercut trace` prints: the start, then a line an
 * event, with its number.  Appends to out. */
void trace_print(const struct trace *trace, struct buf *out);

#endif
