#include "rules.h"

#include <string.h>

static const struct {
	const char *name, *promise, *sentence;
} table[RULES_END] = {
#define X(constant, number, name, brief, promise) [number] = {name, brief, promise},
	RULES(X)
#undef X
};

const char *rule_name(uint32_t rule)
{
	return rule && rule < RULES_END ? table[rule].name : "";
}

const char *rule_promise(uint32_t rule)
{
	return rule && rule < RULES_END ? table[rule].promise : "";
}

const char *rule_sentence(uint32_t rule)
{
	return rule && rule < RULES_END ? table[rule].sentence : "";
}

uint32_t rule_named(const char *name, size_t length)
{
	for (uint32_t rule = 1; rule < RULES_END; rule++)
		if (strlen(table[rule].name) == length &&
		    memcmp(table[rule].name, name, length) == 0)
			return rule;
	return 0;
}
