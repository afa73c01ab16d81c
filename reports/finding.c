#include "finding.h"

#include <string.h>

#include "rules.h"
#include "summary.h"

void finding_rules(const struct finding_row *row, struct buf *out)
{
	uint32_t rules = row->rules ? row->rules : row->rule < 32 ? 1u << row->rule : 0;
	const char *separator = "";
	for (uint32_t rule = 1; rule < RULES_END; rule++) {
		if (!(rules & RULE_BIT(rule)))
			continue;
		buf_printf(out, "%s%s", separator, rule_name(rule));
		separator = " ";
	}
}

void finding_window(const char *before, const char *after, struct buf *out)
{
	if (*before && *after)
		buf_printf(out, "between %s and %s", before, after);
	else if (*before)
		buf_printf(out, "after %s, the last fault point", before);
	else if (*after)
		buf_printf(out, "before %s, the first fault point", after);
}

static bool has_word(const char *list, const char *wanted, size_t n)
{
	const char *word;
	size_t length;
	while (store_next_word(&list, &word, &length))
		if (length == n && memcmp(word, wanted, n) == 0)
			return true;
	return false;
}

void finding_profiles(const char *list, const char *except, struct buf *out)
{
	const char *word, *separator = "";
	size_t length;
	while (store_next_word(&list, &word, &length)) {
		if (has_word(except, word, length))
			continue;
		buf_string(out, separator);
		buf_append(out, word, length);
		separator = ", ";
	}
}

void finding_fields(struct sheet *sheet, const struct finding_row *row)
{
	struct buf text = {0};
	sheet_field(sheet, "cause", row->cause);
	sheet_field(sheet, "source", row->source);
	finding_window(row->before, row->after, &text);
	sheet_field(sheet, "window", buf_text(&text));
	buf_clear(&text);
	finding_profiles(row->minimal, "", &text);
	sheet_field(sheet, "shows from", buf_text(&text));
	buf_clear(&text);
	finding_profiles(row->profiles, row->minimal, &text);
	sheet_field(sheet, "also under", buf_text(&text));
	buf_clear(&text);
	sheet_count(&text, row->states, "failing state");
	sheet_field(sheet, "seen in", buf_text(&text));
	buf_finish(&text);
}
