/* A campaign of many targets at a glance, and what it came to in words. */
#ifndef POWERCUT_OVERVIEW_H
#define POWERCUT_OVERVIEW_H

#include "sheet.h"

/* Both print an empty line first and return 0 or an error of the store. */

/* A line a target. */
int overview_table(struct sheet *sheet, struct store *store, int64_t campaign, struct err *err);

/* What was tested, which targets kept their promises, the findings by name, and
 * what to do next. */
int overview_summary(struct sheet *sheet, struct store *store, int64_t campaign,
		     const struct report_summary *summary, struct err *err);

#endif
