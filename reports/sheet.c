#include "sheet.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

enum { INDENT = 2, LABEL_COLUMNS = 16, WIDTH_DEFAULT = 80, WIDTH_MIN = 60, FIRST_MIN = 10 };

void sheet_init(struct sheet *sheet, const struct report_options *options, struct buf *out)
{
	uint32_t width = options && options->width ? options->width : WIDTH_DEFAULT;
	*sheet = (struct sheet){
		.out = out,
		.width = width < WIDTH_MIN ? WIDTH_MIN : width,
		.colour = options && options->colour,
	};
}

static uint32_t code_point(const unsigned char *s, size_t length)
{
	if (length == 1)
		return s[0];
	uint32_t c = s[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

/* Characters that a terminal would act on, or that make a line read as
 * something else than its bytes say. */
static bool harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void escape(struct buf *out, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	for (size_t i = 0; i < n;) {
		size_t length = utf8_length(s + i, n - i);
		uint32_t c = length ? code_point(s + i, length) : s[i];
		if (c == '\n' || c == '\t')
			buf_string(out, c == '\n' ? "\\n" : "\\t");
		else if (length == 0 || (harmful(c) && c < 0x80))
			buf_printf(out, "\\x%02x", c);
		else if (harmful(c))
			buf_printf(out, "\\u%04x", c);
		else
			buf_append(out, s + i, length);
		i += length ? length : 1;
	}
}

void sheet_escape(struct buf *out, const char *text)
{
	escape(out, text, strlen(text));
}

/* Columns that escaped text takes: one for each character. */
static uint32_t columns(const char *text, size_t n)
{
	uint32_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

void sheet_number(struct buf *out, uint64_t n, bool at_least)
{
	if (at_least)
		buf_string(out, "≥");
	if (n >= 10000000) {
		uint64_t mantissa = n;
		int exponent = 1;
		for (; mantissa >= 100; mantissa /= 10)
			exponent++;
		buf_printf(out, "%u.%ue%d", (unsigned)(mantissa / 10), (unsigned)(mantissa % 10),
			   exponent);
		return;
	}
	if (n >= 1000000)
		buf_printf(out, "%u,", (unsigned)(n / 1000000));
	if (n >= 1000000)
		buf_printf(out, "%03u,%03u", (unsigned)(n / 1000 % 1000), (unsigned)(n % 1000));
	else if (n >= 1000)
		buf_printf(out, "%u,%03u", (unsigned)(n / 1000), (unsigned)(n % 1000));
	else
		buf_printf(out, "%u", (unsigned)n);
}

void sheet_count(struct buf *out, uint64_t n, const char *noun)
{
	sheet_number(out, n, false);
	buf_printf(out, " %s%s", noun, n == 1 ? "" : "s");
}

bool sheet_add_once(struct buf *list, const char *word)
{
	size_t length = strlen(word);
	if (!length)
		return false;
	for (const char *at = buf_text(list); (at = strstr(at, word)) != NULL; at++) {
		bool begins = at == list->data || at[-1] == ' ';
		if (begins && (at[length] == '\0' || at[length] == ','))
			return false;
	}
	buf_printf(list, "%s%s", list->len ? ", " : "", word);
	return true;
}

static void style_begin(struct sheet *sheet, enum sheet_style style)
{
	static const char *const codes[] = {"", "1", "1;32", "1;31", "1;33", "2"};
	if (sheet->colour && style != SHEET_PLAIN)
		buf_printf(sheet->out, "\033[%sm", codes[style]);
}

static void style_end(struct sheet *sheet, enum sheet_style style)
{
	if (sheet->colour && style != SHEET_PLAIN)
		buf_string(sheet->out, "\033[0m");
}

void sheet_paint(struct sheet *sheet, enum sheet_style style, const char *text)
{
	style_begin(sheet, style);
	sheet_escape(sheet->out, text);
	style_end(sheet, style);
}

static void pad(struct sheet *sheet, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_byte(sheet->out, ' ');
}

/* Words of escaped text from column `at` on; later lines begin at `indent`. */
static void wrap(struct sheet *sheet, uint32_t indent, const char *text)
{
	uint32_t at = indent;
	while (*text) {
		size_t spaces = strspn(text, " ");
		const char *word = text + spaces;
		size_t length = strcspn(word, " ");
		uint32_t width = columns(word, length);
		if (length == 0)
			break;
		if (at > indent && at + spaces + width > sheet->width) {
			buf_byte(sheet->out, '\n');
			pad(sheet, indent);
			at = indent;
		} else {
			pad(sheet, (uint32_t)spaces);
			at += (uint32_t)spaces;
		}
		buf_append(sheet->out, word, length);
		at += width;
		text = word + length;
	}
	buf_byte(sheet->out, '\n');
}

void sheet_wrap(struct sheet *sheet, uint32_t column, const char *text)
{
	struct buf safe = {0};
	sheet_escape(&safe, text);
	wrap(sheet, column, buf_text(&safe));
	buf_finish(&safe);
}

/* A line keeps its own indentation, also where it is wrapped. */
void sheet_lines(struct sheet *sheet, uint32_t column, const char *text)
{
	struct buf safe = {0};
	while (*text) {
		size_t length = strcspn(text, "\n");
		size_t spaces = strspn(text, " ");
		spaces = spaces > length ? length : spaces > 40 ? 40 : spaces;
		buf_clear(&safe);
		escape(&safe, text + spaces, length - spaces);
		if (length > spaces)
			pad(sheet, column + (uint32_t)spaces);
		wrap(sheet, column + (uint32_t)spaces, buf_text(&safe));
		text += length + (text[length] == '\n');
	}
	buf_finish(&safe);
}

static void label(struct sheet *sheet, const char *text)
{
	pad(sheet, INDENT);
	style_begin(sheet, SHEET_FAINT);
	buf_string(sheet->out, text);
	style_end(sheet, SHEET_FAINT);
	uint32_t used = INDENT + (uint32_t)strlen(text);
	pad(sheet, used < LABEL_COLUMNS ? LABEL_COLUMNS - used : 1);
}

void sheet_field(struct sheet *sheet, const char *name, const char *text)
{
	if (!*text)
		return;
	label(sheet, name);
	sheet_wrap(sheet, LABEL_COLUMNS, text);
}

void sheet_field_whole(struct sheet *sheet, const char *name, const char *text)
{
	if (!*text)
		return;
	label(sheet, name);
	sheet_escape(sheet->out, text);
	buf_byte(sheet->out, '\n');
}

void sheet_command(struct sheet *sheet, const char *command, const char *does)
{
	pad(sheet, INDENT);
	sheet_paint(sheet, SHEET_BOLD, command);
	buf_byte(sheet->out, '\n');
	pad(sheet, INDENT + 4);
	sheet_wrap(sheet, INDENT + 4, does);
}

void sheet_database(struct buf *command, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_./,:=+-@%";
	if (strcmp(path, "powercut.db") == 0)
		return;
	buf_string(command, " --db ");
	if (path[strspn(path, plain)] == '\0') {
		buf_string(command, path);
		return;
	}
	buf_byte(command, '\'');
	for (; *path; path++) {
		if (*path == '\'')
			buf_string(command, "'\\''");
		else
			buf_byte(command, (uint8_t)*path);
	}
	buf_byte(command, '\'');
}

void sheet_cell(struct sheet_table *table, enum sheet_style style, const char *text)
{
	struct buf safe = {0};
	sheet_escape(&safe, text);
	buf_text(&safe);
	*MEM_PUSH(table->cells, table->n, table->cap) = (struct sheet_cell){safe.data, style};
}

void sheet_cell_number(struct sheet_table *table, enum sheet_style style, uint64_t n, bool at_least)
{
	struct buf text = {0};
	sheet_number(&text, n, at_least);
	sheet_cell(table, style, buf_text(&text));
	buf_finish(&text);
}

static uint32_t cell_columns(const struct sheet_cell *cell)
{
	return columns(cell->text, strlen(cell->text));
}

/* The width of each column, and the gap between them.  The first gets no more
 * than the others leave. */
static uint32_t measure(const struct sheet *sheet, const struct sheet_table *table,
			uint32_t *widths)
{
	uint32_t others = INDENT, gap = 2;
	for (size_t i = 0; i < table->n; i++) {
		uint32_t *width = &widths[i % table->columns], own = cell_columns(&table->cells[i]);
		*width = own > *width ? own : *width;
	}
	for (uint32_t i = 1; i < table->columns; i++)
		others += gap + widths[i];
	if (others + FIRST_MIN > sheet->width) {
		others -= table->columns - 1;
		gap = 1;
	}
	uint32_t left = sheet->width > others + FIRST_MIN ? sheet->width - others : FIRST_MIN;
	widths[0] = widths[0] < left ? widths[0] : left;
	return gap;
}

static void print_cell(struct sheet *sheet, const struct sheet_cell *cell)
{
	style_begin(sheet, cell->style);
	buf_string(sheet->out, cell->text);
	style_end(sheet, cell->style);
}

/* A first cell that is too long has lines of its own. */
static void print_first(struct sheet *sheet, const struct sheet_cell *cell, uint32_t width)
{
	uint32_t used = cell_columns(cell);
	pad(sheet, INDENT);
	if (used > width) {
		wrap(sheet, INDENT, cell->text);
		pad(sheet, INDENT + width);
		return;
	}
	print_cell(sheet, cell);
	pad(sheet, width - used);
}

static void print_row(struct sheet *sheet, const struct sheet_table *table,
		      const struct sheet_cell *row, const uint32_t *widths, uint32_t gap)
{
	print_first(sheet, row, widths[0]);
	for (uint32_t i = 1; i < table->columns; i++) {
		pad(sheet, gap + widths[i] - cell_columns(&row[i]));
		print_cell(sheet, &row[i]);
	}
	buf_byte(sheet->out, '\n');
}

void sheet_table_print(struct sheet *sheet, struct sheet_table *table)
{
	uint32_t *widths = mem_alloc(table->columns, sizeof *widths);
	uint32_t gap = measure(sheet, table, widths);
	size_t rows = table->n > table->columns ? table->n : 0;
	if (rows)
		buf_byte(sheet->out, '\n');
	for (size_t i = 0; i < rows; i += table->columns)
		print_row(sheet, table, &table->cells[i], widths, gap);
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(widths);
	*table = (struct sheet_table){.columns = table->columns};
}
