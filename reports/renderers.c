#include "reports.h"

#include <string.h>

const struct report_renderer report_renderers[] = {
#define X(name, function, help) {name, help, function},
	REPORT_RENDERERS(X)
#undef X
		{NULL, NULL, NULL},
};

const struct report_renderer *report_find(const char *name, struct err *err)
{
	struct buf names = {0};
	const struct report_renderer *found = NULL;
	for (const struct report_renderer *r = report_renderers; r->name; r++) {
		if (strcmp(r->name, name) == 0)
			found = r;
		buf_printf(&names, "%s%s", names.len ? ", " : "", r->name);
	}
	if (!found)
		err_set(err, ERR_USAGE, "no report format '%s', expected one of: %s", name,
			buf_text(&names));
	buf_finish(&names);
	return found;
}
