#include "trace.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

/* Whether two events are of the same doing; which thread did it, and from where, is
 * not asked. */
static bool same(const struct event *a, const struct event *b)
{
	return a->kind == b->kind && a->flags == b->flags && a->ino == b->ino && a->dir == b->dir &&
	       a->dir2 == b->dir2 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->name2, b->name2) == 0 && a->offset == b->offset &&
	       a->length == b->length && a->data_length == b->data_length &&
	       (a->data_length == 0 || memcmp(a->data, b->data, a->data_length) == 0);
}

static void put_event(const struct trace *t, size_t at, struct buf *out)
{
	if (at >= t->n_events) {
		buf_string(out, "nothing more");
		return;
	}
	const struct event *e = &t->events[at];
	char *path = e->ino ? trace_path(t, e->ino, at) : NULL;
	buf_printf(out, "%s %s", event_kind_name((enum event_kind)e->kind),
		   *e->name ? e->name
		   : path   ? path
			    : "");
	if (e->kind == EVENT_WRITE)
		buf_printf(out, ", %llu bytes at %llu", (unsigned long long)e->length,
			   (unsigned long long)e->offset);
	if (e->kind == EVENT_ACK)
		buf_printf(out, "%.*s", e->data_length < 60 ? (int)e->data_length : 60,
			   (const char *)e->data);
	free(path);
}

bool trace_differ(const struct trace *a, const struct trace *b, struct buf *difference)
{
	size_t i = 0;
	while (i < a->n_events && i < b->n_events && same(&a->events[i], &b->events[i]))
		i++;
	if (i == a->n_events && i == b->n_events)
		return false;
	buf_printf(difference, "event %zu is first ", i);
	put_event(a, i, difference);
	buf_string(difference, ", then ");
	put_event(b, i, difference);
	if (i < a->n_events && i < b->n_events && a->events[i].kind == EVENT_WRITE &&
	    b->events[i].kind == EVENT_WRITE && a->events[i].length == b->events[i].length &&
	    a->events[i].offset == b->events[i].offset)
		buf_string(difference, ", with other contents");
	return true;
}
