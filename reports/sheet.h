/* Text for people: escapes, numbers, wrapped lines, tables. */
#ifndef POWERCUT_SHEET_H
#define POWERCUT_SHEET_H

#include "reports.h"

enum sheet_style { SHEET_PLAIN, SHEET_BOLD, SHEET_GOOD, SHEET_BAD, SHEET_WARN, SHEET_FAINT };

/* Where a report is written. */
struct sheet {
	struct buf *out;
	uint32_t width;
	bool colour;
};

void sheet_init(struct sheet *sheet, const struct report_options *options, struct buf *out);

/* Appends text made harmless, on one line: a newline becomes "\n". */
void sheet_escape(struct buf *out, const char *text);

/* "1,234,567"; from ten million on "1.2e7", rounded down, so that "at least" in
 * front of it stays true.  With at_least, "≥" is in front. */
void sheet_number(struct buf *out, uint64_t n, bool at_least);

/* "1 target", "3 targets". */
void sheet_count(struct buf *out, uint64_t n, const char *noun);

/* Appends a word to a list, "a, b", unless it is there or empty; whether it did. */
bool sheet_add_once(struct buf *list, const char *word);

/* Appends text in a style; the text is escaped. */
void sheet_paint(struct sheet *sheet, enum sheet_style style, const char *text);

/* Appends text, escaped, that begins at column `column` and goes on in lines
 * indented as much; breaks at spaces only.  Ends the line. */
void sheet_wrap(struct sheet *sheet, uint32_t column, const char *text);

/* The same for text of several lines, each indented. */
void sheet_lines(struct sheet *sheet, uint32_t column, const char *text);

/* A line "  name       text", wrapped; nothing where text is empty. */
void sheet_field(struct sheet *sheet, const char *name, const char *text);

/* The same, never wrapped: a command to be pasted. */
void sheet_field_whole(struct sheet *sheet, const char *name, const char *text);

/* A line with a command, which is never wrapped, and what it does. */
void sheet_command(struct sheet *sheet, const char *command, const char *does);

/* Appends " --db FILE", quoted for a shell, unless it is the default. */
void sheet_database(struct buf *command, const char *path);

/* A table: cells are added row by row, the first row is the heading.  The first
 * column is flush left, the others right.  Columns are two spaces apart, or one
 * where the table would be too wide otherwise. */
struct sheet_table {
	uint32_t columns;
	struct sheet_cell {
		char *text; /* owned */
		enum sheet_style style;
	} * cells;
	size_t n, cap;
};

/* text is escaped and copied. */
void sheet_cell(struct sheet_table *table, enum sheet_style style, const char *text);
void sheet_cell_number(struct sheet_table *table, enum sheet_style style, uint64_t n,
		       bool at_least);
/* Prints an empty line and the table, unless it is but a heading; empties it. */
void sheet_table_print(struct sheet *sheet, struct sheet_table *table);

#endif
