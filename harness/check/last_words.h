/* What a dying process printed, as one line that is the same every time. */
#ifndef POWERCUT_LAST_WORDS_H
#define POWERCUT_LAST_WORDS_H

#include <stddef.h>

/* The line of a file that says most: the first that speaks of an error or an
 * assertion, else the last; "" if the file is empty. */
void last_words(int fd, const char *dir, char *text, size_t size);

/* Takes out of a text what differs from run to run (addresses, process numbers,
 * the directory dir) and what is not printable. */
void last_words_tidy(char *text, const char *dir);

#endif
