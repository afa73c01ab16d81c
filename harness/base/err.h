/* Errors: one negative enum, and a text that gains context on its way out.
 *
 * A function that can fail returns an enum err_code (ERR_OK is 0) and fills a
 * struct err that its caller owns.  The innermost function says what happened
 * (err_set, err_sys); functions on the way out prefix where (err_wrap).  */
#ifndef POWERCUT_ERR_H
#define POWERCUT_ERR_H

enum err_code {
	ERR_OK = 0,
	ERR_USAGE = -1,	      /* the user asked for something that cannot be */
	ERR_IO = -2,	      /* the operating system refused */
	ERR_CORRUPT = -3,     /* a file or trace is damaged or not ours */
	ERR_VERSION = -4,     /* a file or plug-in is of another version */
	ERR_MISSING = -5,     /* what was named does not exist */
	ERR_UNSUPPORTED = -6, /* this machine or build cannot do it */
	ERR_TARGET = -7,      /* the program under test misbehaved */
	ERR_FULL = -8,	      /* what had to be written could not be: a full disk, a quota, a
				 limit on the size of files, a failing disk */
	ERR_INTERNAL = -70,   /* our own invariant is broken */
};

enum { ERR_TEXT_MAX = 1024 };

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX];
};

/* Sets code and text; a longer text is cut.  Returns code, so that a caller
 * can `return err_set(...)`.  err may be NULL. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Like err_set with ERR_IO, and appends ": " and the text of errno; ERR_FULL where
 * errno says that there is no room. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the text that is there.  Returns err->code (or
 * ERR_INTERNAL where err is NULL). */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The exit code of the command line for a code: 0; 64 for what the user can mend by
 * asking for something else; 70 for what was rightly asked and could not be done:
 * ERR_FULL and ERR_INTERNAL. */
int err_exit_code(enum err_code code);

#endif
