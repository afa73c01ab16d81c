#include "recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "faults.h"
#include "mem.h"

/* ---- conduct: which fault points are passed ---- */

struct watch {
	const struct engine *engine;
	struct conduct *conduct;
};

static void note_passage(void *arg, const char *name)
{
	const struct watch *w = arg;
	const struct engine_fault_point *points = w->engine->fault_points;
	w->conduct->path = XXH64(name, strlen(name), w->conduct->path);
	for (uint32_t i = 0; points && points[i].name && i < FAULTS_MAX; i++)
		if (strcmp(points[i].name, name) == 0) {
			w->conduct->passed[i / 64] |= (uint64_t)1 << (i % 64);
			return;
		}
}

/* ---- O8: scan, point reads and the store's own check agree ---- */

static int disagree(struct conduct *conduct, const char *before, struct engine_bytes key,
		    const char *after)
{
	struct buf text = {0};
	buf_string(&text, before);
	history_print_key(key, &text);
	buf_string(&text, after);
	snprintf(conduct->disagreement, sizeof conduct->disagreement, "%s", buf_text(&text));
	buf_finish(&text);
	return -1;
}

/* Whether get says of a key what the scan said; -1 where not. */
static int check_key(const struct recover_engine *r, void *store, uint32_t index,
		     const struct contents *scanned, struct contents *one, struct conduct *conduct)
{
	const struct history *h = r->history;
	struct engine_error error = {{0}};
	struct engine_bytes value = {0}, key = h->keys[index];
	int found = r->target->engine->get(store, key, &value, &error);
	bool there = scanned->write[index] != CONTENTS_ABSENT;
	if (found < 0) {
		char text[200];
		snprintf(text, sizeof text, ", gives an error: %.120s", error.text);
		return disagree(conduct, "the scan went well, but to get ", key, text);
	}
	if (found != (int)there)
		return disagree(conduct, "", key,
				there ? " is in the scan, but get does not find it"
				      : " is not in the scan, but get finds it");
	if (!found)
		return 0;
	one->write[index] = CONTENTS_ABSENT;
	contents_add(h, one, key, value);
	if (one->write[index] != scanned->write[index])
		return disagree(conduct, "", key, " has another value by get than in the scan");
	return 0;
}

static void check_agreement(const struct recover_engine *r, void *store,
			    const struct contents *scanned, struct contents *one,
			    struct conduct *conduct)
{
	const struct engine *engine = r->target->engine;
	struct engine_error error = {{0}};
	for (uint32_t i = 0; i < r->history->n_keys; i++)
		if (check_key(r, store, i, scanned, one, conduct) < 0)
			return;
	if (engine->verify && engine->verify(store, &error) != 0)
		snprintf(conduct->disagreement, sizeof conduct->disagreement,
			 "the store's own check fails: %.150s",
			 error.text[0] ? error.text : "without saying why");
}

/* ---- the whole ---- */

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

int recover_scan(const struct recover_engine *r, void *store, struct contents *contents,
		 struct conduct *conduct, struct engine_error *error)
{
	struct scan scan = {r->history, contents};
	if (r->target->engine->scan(store, add_record, &scan, error) != 0)
		return -1;
	struct contents *one = mem_alloc(1, contents_bytes(r->history));
	contents_init(r->history, one);
	check_agreement(r, store, contents, one, conduct);
	free(one);
	return 0;
}

/* The store is not closed: its process ends next, and what would outlive it is
 * ended here. */
int recover_with_engine(void *arg, const char *dir, struct contents *contents,
			struct conduct *conduct, struct engine_error *error)
{
	const struct recover_engine *r = arg;
	struct watch watch = {r->target->engine, conduct};
	struct err err;
	if (r->target->mutant &&
	    (faults_init(1, &err) != ERR_OK || target_plant(r->target, &err) != ERR_OK)) {
		snprintf(error->text, sizeof error->text, "%.250s", err.text);
		return -1;
	}
	faults_watch(note_passage, &watch);
	void *store = r->target->engine->open(dir, &r->target->config, error);
	int rc = store ? recover_scan(r, store, contents, conduct, error) : -1;
	if (store && r->target->engine->abandon)
		r->target->engine->abandon(store);
	return rc;
}
