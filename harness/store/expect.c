#include <string.h>

#include "rules.h"
#include "store.h"

bool store_next_word(const char **list, const char **word, size_t *length)
{
	*word = *list ? *list + strspn(*list, " ") : "";
	*length = strcspn(*word, " ");
	*list = *word + *length;
	return *length > 0;
}

/* Whether word, of that length, is among the words of a list. */
static bool among(const char *list, const char *word, size_t length)
{
	const char *other;
	size_t n;
	while (store_next_word(&list, &other, &n))
		if (n == length && memcmp(other, word, n) == 0)
			return true;
	return false;
}

bool store_finding_is(const struct finding_row *row, const char *word, size_t length)
{
	const char *at = memchr(word, '@', length);
	if (among(row->fingerprint, word, length))
		return true;
	if (!at)
		return false;
	size_t n = (size_t)(at - word);
	uint32_t rule = rule_named(word, n);
	return rule && row->rules & RULE_BIT(rule) && among(row->minimal, at + 1, length - n - 1);
}
