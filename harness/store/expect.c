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
	char *end;
	if (among(row->fingerprint, word, length))
		return true;
	if (length < 2 || word[0] != 'O')
		return false;
	unsigned long rule = strtoul(word + 1, &end, 10);
	size_t n = (size_t)(end - word) + 1;
	return *end == '@' && n < length && rule < 32 && row->rules >> rule & 1 &&
	       among(row->minimal, word + n, length - n);
}
