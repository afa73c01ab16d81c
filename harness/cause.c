#include "cause.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "mem.h"
#include "session.h"

enum {
	FUNCTIONS_IN_SITE = 2, /* innermost functions that tell sites apart */
	TIMELINE_MAX = 24,
	OTHERS_MAX = 3, /* further kinds of loss that are told */
};

struct site {
	UT_hash_handle hh;
	uint32_t number;
	char *text;
};

struct causes {
	const struct subject *s;
	struct cause **list; /* pointers, so that callers may keep them */
	size_t n, cap;
	struct site *sites;
	const char **site_texts; /* by number */
	size_t n_sites, sites_cap;
	uint32_t *site_of; /* by micro-op: 1 + number, or 0 while unknown */
};

struct causes *causes_create(const struct subject *subject)
{
	struct causes *c = mem_alloc(1, sizeof *c);
	c->s = subject;
	c->site_of = mem_alloc(subject->ops->n_micros, sizeof *c->site_of);
	return c;
}

static void cause_free(struct cause *cause)
{
	free(cause->sites);
	free(cause->key);
	free(cause->state);
	free(cause->fingerprint);
	free(cause->title);
	free(cause->text);
	free(cause->source);
	free(cause->before);
	free(cause->after);
	free(cause->explanation);
	free(cause);
}

void causes_destroy(struct causes *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		cause_free(c->list[i]);
	struct site *s, *next;
	HASH_ITER (hh, c->sites, s, next) {
		HASH_DEL(c->sites, s);
		free(s->text);
		free(s);
	}
	free(c->list);
	free(c->site_texts);
	free(c->site_of);
	free(c);
}

size_t causes_count(const struct causes *c)
{
	return c->n;
}

struct cause *causes_get(struct causes *c, size_t i)
{
	return c->list[i];
}

/* ---- sites ---- */

/* The functions that led to an event, innermost first, without those of the
 * system and of the harness. */
static void put_functions(const struct causes *c, const struct event *e, struct buf *out)
{
	struct source source;
	int n = 0;
	for (size_t i = 0;
	     n < FUNCTIONS_IN_SITE && symbols_frame(c->s->symbols, e->stack, i, &source); i++) {
		if (source.system || !source.function[0])
			continue;
		buf_printf(out, "%s%s", n ? "<" : "", source.function);
		n++;
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* "wal.c:210 in segment_create, from wal.c:300 in rotate"; "" if unknown. */
static void put_source(const struct causes *c, const struct event *e, struct buf *out)
{
	struct source source;
	int n = 0;
	for (size_t i = 0;
	     n < FUNCTIONS_IN_SITE && symbols_frame(c->s->symbols, e->stack, i, &source); i++) {
		if (source.system || !source.file[0])
			continue;
		buf_printf(out, "%s%s:%d in %s", n ? ", from " : "", base_name(source.file),
			   source.line, source.function);
		n++;
	}
}

/* Where a call came from.  Where nothing of it was compiled with debugging
 * information, the functions that libraries and programs export still have names. */
static void put_caller(const struct causes *c, const struct event *e, struct buf *out)
{
	struct source source;
	size_t before = out->len;
	put_source(c, e, out);
	for (size_t i = 0; out->len == before && symbols_frame(c->s->symbols, e->stack, i, &source);
	     i++)
		if (!source.runtime && source.function[0] && strcmp(source.function, "_start") != 0)
			buf_printf(out, "in %s of %s", source.function, source.module);
}

/* What a file is called whatever its number: "*.wal". */
static void put_role(const char *path, struct buf *out)
{
	for (const char *p = path; *p; p++) {
		if (!isdigit((unsigned char)*p))
			buf_byte(out, (uint8_t)*p);
		else if (p == path || !isdigit((unsigned char)p[-1]))
			buf_byte(out, '*');
	}
}

static const struct event *event_of(const struct causes *c, uint32_t micro)
{
	return &c->s->trace->events[c->s->ops->micros[micro].event];
}

/* The path that a micro-op concerns, as it was. */
static char *micro_path(const struct causes *c, uint32_t micro)
{
	const struct ops *ops = c->s->ops;
	const struct micro *m = &ops->micros[micro];
	const struct object *o = &ops->objects[m->object];
	if (o->kind != OBJECT_ENTRY)
		return trace_path(c->s->trace, o->ino, m->event);
	if (o->ino == TRACE_ROOT)
		return mem_printf("%s", o->name);
	char *dir = trace_path(c->s->trace, o->ino, m->event);
	char *path = mem_printf("%s/%s", dir, o->name);
	free(dir);
	return path;
}

static const char *const kind_names[] = {"entry", "size", "data"};

static uint32_t site_number(struct causes *c, uint32_t micro)
{
	struct buf text = {0};
	struct site *site;
	if (c->site_of[micro])
		return c->site_of[micro] - 1;
	const struct ops *ops = c->s->ops;
	const struct event *e = event_of(c, micro);
	char *path = micro_path(c, micro);
	buf_printf(&text, "%s %s ", kind_names[ops->objects[ops->micros[micro].object].kind],
		   e->call[0] ? e->call : event_kind_name(e->kind));
	put_functions(c, e, &text);
	buf_byte(&text, ' ');
	put_role(path, &text);
	free(path);
	buf_text(&text);
	HASH_FIND_STR(c->sites, text.data, site);
	if (!site) {
		site = mem_alloc(1, sizeof *site);
		site->text = mem_dup(text.data, text.len);
		site->number = (uint32_t)c->n_sites;
		*MEM_PUSH(c->site_texts, c->n_sites, c->sites_cap) = site->text;
		HASH_ADD_KEYPTR(hh, c->sites, site->text, text.len, site);
	}
	buf_finish(&text);
	c->site_of[micro] = site->number + 1;
	return site->number;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The micro-ops that a state lost, in program order.  Caller frees. */
static uint32_t *lost_micros(const struct ops *ops, const struct state *state, size_t *n)
{
	uint32_t *lost = NULL;
	size_t cap = 0;
	*n = 0;
	for (uint32_t i = 0; i < state->n_held; i++) {
		uint32_t object = state->held[i].object;
		uint32_t newest = ops_newest(ops, object, state->point);
		for (uint32_t v = state->held[i].version + 1; v <= newest; v++)
			*MEM_PUSH(lost, *n, cap) = ops_micro(ops, object, v);
	}
	if (state->tear.object != NONE) {
		uint32_t version = ops_newest(ops, state->tear.object, state->point);
		for (uint32_t i = 0; i < state->n_held; i++)
			if (state->held[i].object == state->tear.object)
				version = state->held[i].version;
		if (version)
			*MEM_PUSH(lost, *n, cap) = ops_micro(ops, state->tear.object, version);
	}
	if (*n)
		qsort(lost, *n, sizeof *lost, compare_u32);
	return lost;
}

/* The distinct sites of what a state lost, rising.  Caller frees. */
static uint32_t *lost_sites(struct causes *c, const struct state *state, size_t *n)
{
	size_t k = 0;
	uint32_t *sites = lost_micros(c->s->ops, state, n);
	for (size_t i = 0; i < *n; i++)
		sites[i] = site_number(c, sites[i]);
	if (*n)
		qsort(sites, *n, sizeof *sites, compare_u32);
	for (size_t i = 0; i < *n; i++)
		if (k == 0 || sites[k - 1] != sites[i])
			sites[k++] = sites[i];
	*n = k;
	return sites;
}

static bool includes(const uint32_t *all, size_t n, const uint32_t *some, size_t k)
{
	size_t i = 0;
	for (size_t j = 0; j < k; j++) {
		while (i < n && all[i] < some[j])
			i++;
		if (i == n || all[i] != some[j])
			return false;
	}
	return true;
}

struct cause *causes_known(struct causes *c, uint32_t rule, const struct state *state)
{
	size_t n;
	uint32_t *sites = lost_sites(c, state, &n);
	struct cause *known = NULL;
	for (size_t i = 0; i < c->n && !known; i++) {
		struct cause *cause = c->list[i];
		if (cause->rules & RULE_BIT(rule) && cause->n_sites &&
		    includes(sites, n, cause->sites, cause->n_sites))
			known = cause;
	}
	free(sites);
	return known;
}

/* ---- minimal states ---- */

static void copy_state(const struct state *from, struct state *to, struct buf *held)
{
	/* from->held may lie in held itself. */
	struct held *copy = (struct held *)(void *)mem_dup(from->held, from->n_held * sizeof *copy);
	*to = *from;
	buf_clear(held);
	buf_append(held, copy, to->n_held * sizeof *copy);
	to->held = (const struct held *)(const void *)held->data;
	free(copy);
}

void causes_minimise(struct model *model, const struct state *state, still_fails *fails, void *arg,
		     struct state *minimal, struct buf *held)
{
	struct buf trial_held = {0};
	struct state trial;
	uint32_t n;
	const uint32_t *pending = model_pending(model, &n);
	copy_state(state, minimal, held);
	if (minimal->tear.object != NONE) {
		trial = *minimal;
		trial.tear.object = NONE;
		if (fails(arg, &trial))
			minimal->tear.object = NONE;
	}
	/* Data is given back first, then sizes, then entries: what remains is what
	 * a maintainer can name best. */
	for (uint32_t i = n; i-- > 0;) {
		bool is_held = false;
		for (uint32_t k = 0; k < minimal->n_held; k++)
			is_held = is_held || minimal->held[k].object == pending[i];
		if (!is_held)
			continue;
		state_restore(model, minimal, pending[i], &trial, &trial_held);
		if (fails(arg, &trial))
			copy_state(&trial, minimal, held);
	}
	buf_finish(&trial_held);
}

/* ---- words ---- */

/* Whether the range of an msync reaches what a micro-op of its file changed. */
static bool msync_covers(const struct causes *c, uint32_t micro, const struct event *e)
{
	const struct micro *m = &c->s->ops->micros[micro];
	const struct object *o = &c->s->ops->objects[m->object];
	uint64_t start = (uint64_t)o->block * BLOCK_BYTES;
	if (o->kind == OBJECT_SIZE)
		return m->size <= e->offset + e->length;
	return start < e->offset + e->length && start + BLOCK_BYTES > e->offset;
}

/* Whether a sync that covers a micro-op comes anywhere after it. */
static bool synced_later(const struct causes *c, uint32_t micro)
{
	const struct trace *t = c->s->trace;
	const struct micro *m = &c->s->ops->micros[micro];
	uint32_t ino = c->s->ops->objects[m->object].ino;
	for (size_t i = m->event + 1; i < t->n_events; i++) {
		const struct event *e = &t->events[i];
		bool covers =
			e->ino == ino && (e->kind == EVENT_FSYNC || e->kind == EVENT_FDATASYNC ||
					  (e->kind == EVENT_MSYNC && msync_covers(c, micro, e)));
		if (covers || e->kind == EVENT_SYNC)
			return true;
	}
	return false;
}

/* One line on one lost micro-op. */
static void put_lost(const struct causes *c, uint32_t micro, struct buf *out)
{
	const struct ops *ops = c->s->ops;
	const struct micro *m = &ops->micros[micro];
	const struct object *o = &ops->objects[m->object];
	const struct event *e = event_of(c, micro);
	char *path = micro_path(c, micro);
	bool later = synced_later(c, micro);
	if (o->kind == OBJECT_ENTRY) {
		char *dir = trace_path(c->s->trace, o->ino, m->event);
		const char *how =
			m->ino ? e->kind == EVENT_RENAME ? "renamed" : "created" : "removed";
		bool root = o->ino == TRACE_ROOT;
		buf_printf(out,
			   "the directory entry of %s (%s) was not on disk: its directory%s%s %s",
			   path, how, root ? "" : " ", root ? "" : dir,
			   later ? "was not yet synced" : "was never synced");
		free(dir);
	} else if (o->kind == OBJECT_SIZE) {
		buf_printf(out, "the size of %s (%" PRIu64 " bytes) was not on disk: it %s", path,
			   m->size, later ? "was not yet synced" : "was never synced after it");
	} else {
		buf_printf(out, "data of %s (block %u) was not on disk: it %s", path, o->block,
			   later ? "was not yet synced" : "was never synced after it");
	}
	free(path);
}

/* What became of the micro-ops of an event in a state. */
static const char *fate(const struct causes *c, const struct model *model,
			const struct state *state, uint32_t event)
{
	const struct ops *ops = c->s->ops;
	bool any = false, lost = false, kept = false, settled = true;
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = &ops->micros[i];
		if (m->event != event || m->step >= state->point)
			continue;
		uint32_t version = ops_newest(ops, m->object, state->point);
		for (uint32_t k = 0; k < state->n_held; k++)
			if (state->held[k].object == m->object)
				version = state->held[k].version;
		any = true;
		if (version < m->version)
			lost = true;
		else
			kept = true;
		settled = settled && model_low(model, m->object) >= m->version;
		if (state->tear.object == m->object && version == m->version)
			return "TORN";
	}
	if (settled && model_profile(model)->order == ORDER_ISSUED)
		settled = false; /* nothing is certain to outlive more than the process */
	return !any	      ? ""
	       : lost && kept ? "PARTLY LOST"
	       : lost	      ? "LOST"
	       : settled      ? "durable"
			      : "kept";
}

static void put_operation(const struct causes *c, uint32_t at, struct buf *out)
{
	const struct event *e = &c->s->trace->events[at];
	bool begins = e->kind == EVENT_OP_BEGIN;
	if (c->s->parent && at >= c->s->first_event)
		buf_printf(out, "%s %s", session_step_name(e->offset),
			   begins ? "begins" : "has ended");
	else
		buf_printf(out, "operation %" PRIu64 " %s", e->offset,
			   begins ? "begins" : "acknowledged");
}

static void put_event(const struct causes *c, uint32_t at, struct buf *out)
{
	const struct event *e = &c->s->trace->events[at];
	char *path = e->ino ? trace_path(c->s->trace, e->ino, at) : NULL;
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_UNLINK:
	case EVENT_RMDIR:
	case EVENT_LINK:
	case EVENT_SYMLINK:
		buf_printf(out, "%s %s", event_kind_name(e->kind),
			   e->dir ? e->name : "a file without a name");
		break;
	case EVENT_RENAME:
		buf_printf(out, "rename %s to %s", e->name, e->name2);
		break;
	case EVENT_WRITE:
		buf_printf(out, "%s %s, %" PRIu64 " bytes at %" PRIu64 "%s",
			   e->flags & EVENT_STORE ? "stores to" : "write", path, e->length,
			   e->offset, e->flags & EVENT_STORE ? ", as seen at the next call" : "");
		break;
	case EVENT_MSYNC:
		buf_printf(out, "msync %s, %" PRIu64 " bytes at %" PRIu64, path, e->length,
			   e->offset);
		break;
	case EVENT_TRUNCATE:
		buf_printf(out, "truncate %s to %" PRIu64, path, e->length);
		break;
	case EVENT_FAULT:
		buf_printf(out, "-- %s", e->name);
		break;
	case EVENT_OP_BEGIN:
	case EVENT_OP_END:
		put_operation(c, at, out);
		break;
	case EVENT_ACK:
		buf_printf(out, "acknowledged, line %" PRIu64 ": %.*s", e->offset,
			   (int)e->data_length, (const char *)e->data);
		break;
	default:
		buf_printf(out, "%s %s", event_kind_name(e->kind),
			   path ? strcmp(path, ".") == 0 ? "the directory" : path : "");
	}
	free(path);
}

static void put_line(const struct causes *c, const struct model *model, const struct state *state,
		     uint32_t at, struct buf *out)
{
	struct buf line = {0};
	if (c->s->parent && at == c->s->first_event)
		buf_printf(out, "         == %s, and the store is opened again ==\n",
			   at ? "the process is killed here" : "power had failed");
	put_event(c, at, &line);
	buf_printf(out, "  %5u  %-11s %s\n", at, fate(c, model, state, at), buf_text(&line));
	buf_finish(&line);
}

/* The calls around the failure, a line each: what became of them. */
static void put_timeline(const struct causes *c, const struct model *model,
			 const struct state *state, uint32_t first, struct buf *out)
{
	const char *end = model_profile(model)->order == ORDER_ISSUED ? "the process is killed"
								      : "power fails";
	if (!state->point) {
		buf_printf(out, "         == %s here ==\n", end);
		return;
	}
	uint32_t last = c->s->ops->steps[state->point - 1].event;
	uint32_t from = first > 2 ? first - 2 : 0;
	if (last - from >= TIMELINE_MAX && from + TIMELINE_MAX / 2 < last) {
		/* Keep the beginning and the end. */
		for (uint32_t i = from; i < from + TIMELINE_MAX / 2; i++)
			put_line(c, model, state, i, out);
		from = last - TIMELINE_MAX / 2;
		buf_printf(out, "         ...\n");
	}
	for (uint32_t i = from; i <= last; i++)
		put_line(c, model, state, i, out);
	buf_printf(out, "         == %s here ==\n", end);
}

/* What fails before the first step. */
static void put_beginning(const struct causes *c, struct buf *text, struct buf *key)
{
	buf_string(text, "the store fails before anything was done to it: ");
	buf_string(text, c->s->parent			? "what the first crash left"
			 : c->s->trace->n_start_entries ? "what the directory held at first"
							: "an empty directory");
	buf_string(key, "kept nothing");
}

/* What brought a failure that needs no loss. */
static void put_culprit(struct causes *c, uint32_t step, struct buf *text, struct buf *source,
			struct buf *key)
{
	if (step == NONE) {
		put_beginning(c, text, key);
		return;
	}
	const struct step *s = &c->s->ops->steps[step];
	const struct event *e = &c->s->trace->events[s->event];
	struct buf line = {0};
	put_event(c, s->event, &line);
	if (s->kind == STEP_MICRO) {
		buf_printf(text,
			   "a crash right after this call is enough, even if the disk loses "
			   "nothing: %s",
			   buf_text(&line));
		put_caller(c, e, source);
		uint32_t site = site_number(c, s->micro);
		buf_printf(key, "kept %s", c->site_texts[site]);
	} else {
		buf_printf(text,
			   "the operation was acknowledged before it was on its way to the "
			   "disk (%s)",
			   buf_text(&line));
		buf_printf(key, "acknowledged %s %s", ops_fault_before(c->s->ops, step),
			   ops_fault_after(c->s->ops, step));
	}
	buf_finish(&line);
}

/* Which of n losses is named: an entry is what tells most; else the first. */
static size_t most_telling(const struct causes *c, const uint32_t *lost, size_t n)
{
	size_t best = 0;
	for (size_t i = n; i-- > 0;)
		if (c->s->ops->objects[c->s->ops->micros[lost[i]].object].kind == OBJECT_ENTRY)
			best = i;
	return best;
}

static void put_losses(struct causes *c, const struct state *state, struct buf *text,
		       struct buf *source, struct buf *key, uint32_t *first)
{
	size_t n, n_sites;
	uint32_t *lost = lost_micros(c->s->ops, state, &n);
	uint32_t *sites = lost_sites(c, state, &n_sites);
	*first = n ? c->s->ops->micros[lost[0]].event : 0;
	for (size_t i = 0; i < n_sites; i++)
		buf_printf(key, "lost %s\n", c->site_texts[sites[i]]);
	if (state->tear.object != NONE)
		buf_string(key, "torn\n");
	size_t best = most_telling(c, lost, n);
	if (n) {
		put_lost(c, lost[best], text);
		put_caller(c, event_of(c, lost[best]), source);
		if (n_sites > 1)
			buf_printf(text, " (and %zu other %s of loss)", n_sites - 1,
				   n_sites == 2 ? "kind" : "kinds");
	}
	if (state->tear.object != NONE)
		buf_string(text, "; a block was torn between sectors");
	free(lost);
	free(sites);
}

/* The losses that the line on the cause leaves out, one of each kind. */
static void put_other_losses(struct causes *c, const struct state *state, struct buf *out)
{
	size_t n, n_seen = 0, others = 0;
	uint32_t *lost = lost_micros(c->s->ops, state, &n);
	uint32_t *seen = mem_alloc(n + 1, sizeof *seen);
	size_t best = most_telling(c, lost, n);
	if (n)
		seen[n_seen++] = site_number(c, lost[best]);
	for (size_t i = 0; i < n; i++) {
		uint32_t site = site_number(c, lost[i]);
		bool known = false;
		for (size_t k = 0; k < n_seen; k++)
			known = known || seen[k] == site;
		if (known)
			continue;
		seen[n_seen++] = site;
		if (others++ >= OTHERS_MAX)
			continue;
		buf_string(out, others == 1 ? "Lost as well:\n  " : "  ");
		put_lost(c, lost[i], out);
		buf_byte(out, '\n');
	}
	if (others > OTHERS_MAX)
		buf_printf(out, "  and %zu more\n", others - OTHERS_MAX);
	free(seen);
	free(lost);
}

static char *fingerprint(const struct causes *c, uint32_t rule, const char *key)
{
	char *text = mem_printf("%s\n%s O%u", key, c->s->canonical, rule);
	char *print = mem_printf("%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
	free(text);
	return print;
}

static struct cause *find_key(struct causes *c, const char *key)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->list[i]->key, key) == 0)
			return c->list[i];
	return NULL;
}

static char *taken(struct buf *buf)
{
	buf_text(buf);
	char *text = mem_dup(buf->data, buf->len);
	buf_finish(buf);
	return text;
}

struct cause *causes_add(struct causes *c, struct model *model, uint32_t rule,
			 const struct state *minimal, uint32_t culprit, const char *why)
{
	struct buf text = {0}, source = {0}, key = {0}, explanation = {0}, id = {0};
	bool lost = !state_is_whole(minimal);
	uint32_t first = culprit == NONE ? 0 : c->s->ops->steps[culprit].event;
	if (lost)
		put_losses(c, minimal, &text, &source, &key, &first);
	else
		put_culprit(c, culprit, &text, &source, &key);
	struct cause *cause = find_key(c, buf_text(&key));
	if (cause) {
		cause->rules |= RULE_BIT(rule);
		buf_finish(&key);
		buf_finish(&text);
		buf_finish(&source);
		return cause;
	}
	cause = mem_alloc(1, sizeof *cause);
	cause->rule = rule;
	cause->rules = RULE_BIT(rule);
	cause->culprit = culprit;
	cause->key = taken(&key);
	cause->fingerprint = fingerprint(c, rule, cause->key);
	if (lost)
		cause->sites = lost_sites(c, minimal, &cause->n_sites);
	state_public_id(c->s, model, minimal, &id);
	cause->state = taken(&id);
	cause->text = taken(&text);
	cause->source = taken(&source);
	uint32_t at = ops_point_named(c->s->ops, minimal->point);
	cause->before = mem_printf("%s", ops_fault_before(c->s->ops, at));
	cause->after = mem_printf("%s", ops_fault_after(c->s->ops, at));
	cause->title = mem_printf("%s", why);
	if (c->s->parent)
		buf_printf(&explanation, "A second crash, after the state %s was recovered.\n",
			   c->s->parent);
	put_other_losses(c, minimal, &explanation);
	buf_string(&explanation, "The calls before the crash, and what the disk had of each:\n");
	put_timeline(c, model, minimal, first, &explanation);
	cause->explanation = taken(&explanation);
	*MEM_PUSH(c->list, c->n, c->cap) = cause;
	return cause;
}

struct cause *causes_add_use(struct causes *c, const struct profile *profile, uint32_t rule,
			     const struct state *state, const char *why)
{
	char *key = mem_printf("use O%u", rule);
	struct cause *cause = find_key(c, key);
	if (cause) {
		free(key);
		return cause;
	}
	struct buf id = {0};
	uint32_t at = ops_point_named(c->s->ops, state->point);
	state_public_id_alone(c->s, profile, state, &id);
	cause = mem_alloc(1, sizeof *cause);
	*cause = (struct cause){
		.rule = rule,
		.rules = RULE_BIT(rule),
		.key = key,
		.fingerprint = fingerprint(c, rule, key),
		.state = taken(&id),
		.title = mem_printf("%s", why),
		.text = mem_printf("no second crash is needed: using the store that was recovered "
				   "is enough"),
		.source = mem_printf("%s", ""),
		.before = mem_printf("%s", ops_fault_before(c->s->ops, at)),
		.after = mem_printf("%s", ops_fault_after(c->s->ops, at)),
		.explanation = mem_printf("The state was recovered, closed and opened again, "
					  "written to and synced, closed and opened once more, and "
					  "compacted if the workload compacts.\n"),
	};
	*MEM_PUSH(c->list, c->n, c->cap) = cause;
	return cause;
}

uint64_t cause_key_hash(const struct cause *cause)
{
	return XXH3_64bits(cause->key, strlen(cause->key));
}

struct cause *causes_find(struct causes *c, uint64_t key_hash)
{
	for (size_t i = 0; i < c->n; i++)
		if (cause_key_hash(c->list[i]) == key_hash)
			return c->list[i];
	return NULL;
}

static uint64_t site_hash(const struct causes *c, uint32_t site)
{
	return XXH3_64bits(c->site_texts[site], strlen(c->site_texts[site]));
}

uint32_t cause_sites(const struct causes *c, const struct cause *cause, uint64_t *out, uint32_t max)
{
	uint32_t n = 0;
	for (size_t i = 0; i < cause->n_sites && n < max; i++)
		out[n++] = site_hash(c, cause->sites[i]);
	return n;
}

static bool has_sites(const struct causes *c, const struct cause *cause, const uint64_t *sites,
		      uint32_t n)
{
	for (size_t i = 0; i < cause->n_sites; i++) {
		uint64_t hash = site_hash(c, cause->sites[i]);
		bool found = false;
		for (uint32_t k = 0; k < n; k++)
			found = found || sites[k] == hash;
		if (!found)
			return false;
	}
	return cause->n_sites > 0;
}

struct cause *causes_explaining(struct causes *c, const uint64_t *sites, uint32_t n)
{
	for (size_t i = 0; i < c->n; i++)
		if (has_sites(c, c->list[i], sites, n))
			return c->list[i];
	return NULL;
}

/* The texts of a cause, in the order in which they are written. */
enum { CAUSE_TEXTS = 9 };

static void texts_of(struct cause *cause, char **texts[CAUSE_TEXTS])
{
	char **const all[CAUSE_TEXTS] = {&cause->fingerprint, &cause->state,	   &cause->title,
					 &cause->text,	      &cause->source,	   &cause->before,
					 &cause->after,	      &cause->explanation, &cause->key};
	memcpy(texts, all, sizeof all);
}

void cause_encode(const struct cause *cause, struct buf *out)
{
	struct cause copy = *cause;
	char **texts[CAUSE_TEXTS];
	texts_of(&copy, texts);
	buf_u32(out, cause->rule);
	for (int i = 0; i < CAUSE_TEXTS; i++)
		buf_blob(out, *texts[i], strlen(*texts[i]));
}

void causes_adopt(struct causes *c, struct reader *r, uint64_t key_hash)
{
	struct cause *cause = mem_alloc(1, sizeof *cause);
	char **texts[CAUSE_TEXTS];
	texts_of(cause, texts);
	cause->rule = read_u32(r);
	cause->rules = RULE_BIT(cause->rule);
	for (int i = 0; i < CAUSE_TEXTS; i++) {
		size_t n;
		const void *text = read_blob(r, &n);
		*texts[i] = mem_dup(text ? text : "", text ? n : 0);
	}
	if (r->bad || cause_key_hash(cause) != key_hash || find_key(c, cause->key))
		cause_free(cause);
	else
		*MEM_PUSH(c->list, c->n, c->cap) = cause;
}

void state_public_id(const struct subject *subject, struct model *model, const struct state *state,
		     struct buf *out)
{
	buf_printf(out, "%08x.", (unsigned)(subject->identity >> 32));
	state_id(model, state, out);
}

void state_public_id_alone(const struct subject *subject, const struct profile *profile,
			   const struct state *state, struct buf *out)
{
	struct model *model = model_create(subject->ops, profile);
	while (model_point(model) < state->point)
		model_advance(model);
	state_public_id(subject, model, state, out);
	model_destroy(model);
}
