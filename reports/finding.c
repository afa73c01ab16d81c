#include "finding.h"

#include <stdlib.h>
#include <string.h>

#include "rules.h"
#include "summary.h"

enum { PREFIX_MIN = 4, NAMED_MAX = 5 };

/* Whether what is asked for is "#" and a number: *id. */
static bool parse_number(const char *what, int64_t *id)
{
	char *end = NULL;
	if (what[0] != '#' || what[1] < '0' || what[1] > '9')
		return false;
	*id = strtoll(what + 1, &end, 10);
	return *end == '\0';
}

static int check_prefix(const char *what, struct err *err)
{
	size_t digits = strspn(what, "0123456789abcdefABCDEF");
	if (what[digits] == '\0' && digits >= PREFIX_MIN)
		return 0;
	return err_set(err, ERR_USAGE,
		       "'%s' names no finding, expected a fingerprint or at least %d digits of one",
		       what, PREFIX_MIN);
}

/* The newest finding whose fingerprint begins so, 0 for none, in *id; the
 * different fingerprints that do in names, their number in *n. */
static int search(struct store *store, const char *prefix, int64_t *id, struct buf *names,
		  uint32_t *n, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	int rc;
	*id = 0;
	*n = 0;
	while ((rc = store_next_finding(store, &q, 0, &row, err)) == 1) {
		if (strncasecmp(row.fingerprint, prefix, strlen(prefix)) != 0)
			continue;
		*id = row.id;
		if (strstr(buf_text(names), row.fingerprint))
			continue;
		if (++*n <= NAMED_MAX)
			buf_printf(names, "%s%s", *n > 1 ? ", " : "", row.fingerprint);
	}
	return rc;
}

int finding_find(struct store *store, const char *what, int64_t *id, struct err *err)
{
	struct buf names = {0}, safe = {0};
	uint32_t n = 0;
	int rc = 0;
	if (parse_number(what, id))
		return 0;
	rc = check_prefix(what, err);
	if (rc == 0)
		rc = search(store, what, id, &names, &n, err);
	if (rc == 0 && n == 0)
		rc = err_set(err, ERR_MISSING, "%s: no finding's fingerprint begins with %s",
			     store_path(store), what);
	if (rc == 0 && n > 1) {
		sheet_escape(&safe, buf_text(&names));
		rc = err_set(err, ERR_USAGE, "%s begins several fingerprints: %s%s", what,
			     buf_text(&safe), n > NAMED_MAX ? ", …" : "");
	}
	buf_finish(&names);
	buf_finish(&safe);
	return rc;
}

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
