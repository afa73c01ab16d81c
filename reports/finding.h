/* A finding: how it is named, and what the text, show and list reports say about it in the same
 * words. */
#ifndef POWERCUT_FINDING_H
#define POWERCUT_FINDING_H

#include "sheet.h"

/* The finding that people mean: what is as report_show reads it, and so are the errors. */
int finding_find(struct store *store, const char *what, int64_t *id, struct err *err);

/* "O2", "O2 O4". */
void finding_rules(const struct finding_row *row, struct buf *out);

/* "between a/b/c and d/e/f"; "" where no fault point is near. */
void finding_window(const char *before, const char *after, struct buf *out);

/* "ext4, btrfs" of "ext4 btrfs", leaving out the words of another list. */
void finding_profiles(const char *list, const char *except, struct buf *out);

/* The lines on cause, source, window, profiles and states. */
void finding_fields(struct sheet *sheet, const struct finding_row *row);

#endif
