/* Command lines that users write → the words that a program is called with.
 *
 * Words are separated by blanks and may be quoted as in sh: 'as it is', "with
 * \" and \\", \x for one character.  Where something else of the shell's language
 * is used (| & ; < > ( ) $ ` * ? [ ~ # ! or several lines), the text is for sh -c.
 *
 * {name} stands for a value, in a word of its own or within one. */
#ifndef POWERCUT_WORDS_H
#define POWERCUT_WORDS_H

#include <stdbool.h>

#include "buf.h"
#include "err.h"

/* What {name} stands for; a NULL name ends a list. */
struct place_value {
	const char *name, *value;
};

/* Takes text apart; in the shell's case the words are "sh", "-c" and the text, in
 * which values are quoted for it.  *words ends with NULL and is released by
 * words_free.  ERR_USAGE for a quote that is not closed and for no words. */
int words_parse(const char *text, const struct place_value *values, char ***words, struct err *err);

/* The same of words that are there already: only {name} is replaced. */
char **words_fill(const char *const *words, const struct place_value *values);

/* NULL is fine. */
void words_free(char **words);

/* Whether {name} occurs. */
bool words_mention(const char *text, const char *name);

/* Checks that a program exists, along PATH where its name has no slash.  ERR_USAGE. */
int words_find(const char *program, struct err *err);

/* Appends words as one would type them. */
void words_join(const char *const *words, struct buf *out);

#endif
