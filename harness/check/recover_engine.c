#include "recover.h"

struct scan {
	const struct history *history;
	struct contents *contents;
};

static int add_record(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	struct scan *scan = arg;
	contents_add(scan->history, scan->contents, key, value);
	return 0;
}

/* The store is not closed: its process ends next. */
int recover_with_engine(void *arg, const char *dir, struct contents *contents,
			struct engine_error *error)
{
	const struct recover_engine *r = arg;
	struct scan scan = {r->history, contents};
	void *store = r->engine->open(dir, r->config, error);
	if (!store)
		return -1;
	return r->engine->scan(store, add_record, &scan, error);
}
