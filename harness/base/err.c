#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void format(struct err *err, const char *fmt,
							 va_list args)
{
	int n = vsnprintf(err->text, sizeof err->text, fmt, args);
	if (n < 0)
		err->text[0] = '\0';
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	if (!err)
		return code;
	va_list args;
	va_start(args, fmt);
	format(err, fmt, args);
	va_end(args);
	err->code = code;
	return code;
}

static bool is_full(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	int code = is_full(saved) ? ERR_FULL : ERR_IO;
	if (!err)
		return code;
	va_list args;
	va_start(args, fmt);
	format(err, fmt, args);
	va_end(args);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(saved));
	err->code = code;
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	if (!err)
		return ERR_INTERNAL;
	struct err inner = *err;
	va_list args;
	va_start(args, fmt);
	format(err, fmt, args);
	va_end(args);
	size_t used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", inner.text);
	return err->code;
}

int err_exit_code(enum err_code code)
{
	switch (code) {
	case ERR_OK:
		return 0;
	case ERR_FULL:
	case ERR_INTERNAL:
		return 70;
	default:
		return 64;
	}
}
