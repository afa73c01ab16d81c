/* Writing JSON: members one a line, indented, in a fixed order. */
#ifndef POWERCUT_JSON_H
#define POWERCUT_JSON_H

#include "reports.h"

struct json {
	struct buf *out;
	uint32_t depth;
	bool some; /* the present object or list has members */
};

/* name is NULL inside a list.  bracket is '{' or '['. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket); /* '}' or ']' */
void json_text(struct json *json, const char *name, const char *text);
void json_number(struct json *json, const char *name, int64_t n);
void json_count(struct json *json, const char *name, uint64_t n);
/* All 64 bits, as a string of decimal digits. */
void json_bits(struct json *json, const char *name, uint64_t n);
void json_bool(struct json *json, const char *name, bool value);
/* The words of a list separated by spaces. */
void json_words(struct json *json, const char *name, const char *list);

/* "format": "powercut-…" and "version", the first members of every document. */
void json_format(struct json *json, const char *format);

/* A finding as an object, with its witnesses; shared by the report, show and the list.  0 or
 * an error of the store. */
int json_finding(struct json *json, const char *name, struct store *store,
		 const struct finding_row *row, struct err *err);
/* A campaign with its verdict. */
void json_campaign(struct json *json, const char *name, const struct campaign_row *row,
		   const struct report_summary *summary);

#endif
