#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	char rule[16];
	if (among(row->fingerprint, word, length))
		return true;
	int n = snprintf(rule, sizeof rule, "O%u@", row->rule);
	return length > (size_t)n && memcmp(word, rule, (size_t)n) == 0 &&
	       among(row->minimal, word + n, length - (size_t)n);
}
