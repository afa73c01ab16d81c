/* What reports say of a finding's witnesses: real file systems on which it was looked
 * for.  A state that was not seen may still be possible, and none of these says
 * otherwise. */
#ifndef POWERCUT_WITNESSES_H
#define POWERCUT_WITNESSES_H

#include "json.h"
#include "sheet.h"

/* A line of a finding, "witnessed on ext4; not seen on xfs (1,240 states)"; nothing where
 * none was looked for.  0 or an error of the store, as of the others. */
int witnesses_line(struct sheet *sheet, struct store *store, int64_t finding, struct err *err);

/* A block with all there is to say of each. */
int witnesses_block(struct sheet *sheet, struct store *store, int64_t finding, struct err *err);

/* One of them, as a part of the block; as an object of the list.  The finding is not looked at. */
void witnesses_say(struct sheet *sheet, const struct witness_row *row);
void witnesses_object(struct json *json, const struct witness_row *row);

/* The member "witnesses", a list. */
int witnesses_list(struct json *json, struct store *store, int64_t finding, struct err *err);

#endif
