/* The verdict on a campaign in words, as the text report begins and ends with it. */
#ifndef POWERCUT_VERDICT_H
#define POWERCUT_VERDICT_H

#include "sheet.h"

enum sheet_style verdict_style(enum report_verdict verdict);

/* Prints "PASSED: …", wrapped, from the present column, which is `column`; 0 or an
 * error of the store. */
int verdict_print(struct sheet *sheet, uint32_t column, struct store *store, int64_t campaign,
		  const struct report_summary *summary, struct err *err);

#endif
