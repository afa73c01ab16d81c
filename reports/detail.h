/* One target in full, for people. */
#ifndef POWERCUT_DETAIL_H
#define POWERCUT_DETAIL_H

#include "sheet.h"
#include "summary.h"

struct detail_options {
	uint32_t number, total; /* "Target 3 of 7" */
	bool all_windows;	/* every window between two fault points, and the fault points that
				   could not be passed */
	bool brief;		/* findings that were expected are counted, no more */
};

/* Prints what ran, what it promised, how much was tried and what was found.  0 or
 * an error of the store. */
int detail_print(struct sheet *sheet, struct store *store, const struct target_row *target,
		 const struct target_summary *summary, const struct detail_options *options,
		 struct err *err);

#endif
