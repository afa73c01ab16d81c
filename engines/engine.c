#include "engine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *engine_value(const struct engine_config *config, const char *name)
{
	size_t i = 0;
	while (config->options[i].name && strcmp(config->options[i].name, name))
		i++;
	assert(config->options[i].name);
	return config->values[i];
}

uint64_t engine_number(const struct engine_config *config, const char *name)
{
	return strtoull(engine_value(config, name), NULL, 10);
}

int engine_fail(struct engine_error *error, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(error->text, sizeof error->text, fmt, args);
	va_end(args);
	return -1;
}
