/* The command line: one file a subcommand, one table of them (main.c). */
#ifndef POWERCUT_CLI_H
#define POWERCUT_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "store.h"

enum { EXIT_VIOLATION = 1, EXIT_INCONCLUSIVE = 2, EXIT_NOTHING = 3, EXIT_WRONG_USAGE = 64 };

/* An option of a subcommand.  The table is both what is parsed and what --help
 * shows.  set gets the command's own struct; value is NULL where arg is. */
struct cli_option {
	const char *name; /* without "--"; NULL ends the table */
	const char *arg;  /* "FILE", or NULL for a flag */
	const char *help;
	int (*set)(void *ctx, const char *value, struct err *err);
};

struct cli_command {
	const char *name;
	const char *arguments; /* for --help: "[OPTIONS] ID" */
	const char *help;      /* one line */
	const char *details;   /* further lines for its own --help, or NULL */
	const struct cli_option *options;
	/* Returns the exit code.  argv[0] is the command's name. */
	int (*run)(int argc, char **argv, const char *command_line);
};

/* Parses options; the rest of the arguments is at argv[*rest].  Returns 0 to go
 * on, or 1 where *exit_code is to be returned (--help, wrong usage; both have
 * been printed). */
int cli_parse(const struct cli_command *command, void *ctx, int argc, char **argv, int *rest,
	      int *exit_code);

/* Prints "powercut NAME: text" on standard error; returns the exit code. */
int cli_fail(const char *name, const struct err *err);
/* The same for wrong usage, with a hint at --help. */
int cli_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "10s", "500ms", "2m", "1h", or a bare number of seconds → milliseconds. */
int cli_parse_time(const char *text, uint64_t *ms, struct err *err);
/* A time from 1 ms to 1 h, as a limit on one recovery. */
int cli_parse_timeout(const char *text, uint32_t *ms, struct err *err);
/* "64", "64K", "1G" (binary) → bytes. */
int cli_parse_size(const char *text, uint64_t *bytes, struct err *err);
int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
		     struct err *err);
/* The same for a number that fits 32 bits, which is left alone where the text is wrong. */
int cli_parse_count(const char *text, uint32_t min, uint32_t max, uint32_t *value, struct err *err);

/* The text of a file, of 1 MiB at most, the caller's to free.  ERR_USAGE names the file and why. */
int cli_read_file(const char *path, char **text, struct err *err);

/* Writes all of it to standard output; the exit code to use: code, or 70 where
 * it could not be written (a closed pipe counts as written). */
int cli_print(const struct buf *out, int code);

/* Opens the database for reading; a failure has been printed. */
struct store *cli_open(const char *command, const char *path, int *exit_code);
/* The campaign that text names ("3"), or the newest where it is NULL. */
int cli_campaign(struct store *store, const char *text, int64_t *id, struct err *err);

/* Columns of the terminal on standard output, 80 where there is none. */
uint32_t cli_width(void);
/* Whether standard output takes colours: a terminal, and NO_COLOR is not set. */
bool cli_colour(void);

#define CLI_DATABASE "powercut.db"

#endif
