#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marker.h"
#include "mem.h"

enum {
	VALUE_BYTES = 40, /* where there is nothing to take the place of */
	GUESTS = 3,	  /* values written: by PUT, NEW and BATCH */
};

/* The session's own keys, behind those of the workload. */
static const struct engine_bytes own_keys[] = {
	{"powercut.after", sizeof "powercut.after" - 1},
	{"powercut.batch", sizeof "powercut.batch" - 1},
};
enum { OWN_NEW, OWN_BATCH, OWN_KEYS };

const char *session_step_name(uint64_t step)
{
	static const char *const names[SESSION_STEPS] = {
		[SESSION_OPEN] = "recovery",
		[SESSION_AGAIN] = "closing and opening again",
		[SESSION_PUT] = "a put after the recovery",
		[SESSION_DELETE] = "a delete after the recovery",
		[SESSION_NEW] = "a put of a new key after the recovery",
		[SESSION_BATCH] = "a batch after the recovery",
		[SESSION_SYNC] = "a sync after the recovery",
		[SESSION_REOPEN] = "closing and opening after that",
		[SESSION_COMPACT] = "a compaction after the recovery",
	};
	return step < SESSION_STEPS ? names[step] : "";
}

/* ---- preparing ---- */

/* Whether the workload had such an operation. */
static bool had(const struct trace *t, enum op_type type)
{
	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].kind == EVENT_OP_BEGIN && t->events[i].data_length &&
		    t->events[i].data[0] == type)
			return true;
	return false;
}

void session_init(struct session *s, const struct recover_engine *engine,
		  const struct engine_contract *contract, struct history *history,
		  const struct trace *trace)
{
	s->engine = engine;
	s->keeps = contract->ack != ENGINE_ACK_ON_SYNC || engine->target->engine->sync;
	s->batches = had(trace, OP_BATCH) && contract->batch != ENGINE_BATCH_NONE;
	s->compacts = had(trace, OP_COMPACT);
	s->n_changes = SESSION_CHANGES_MAX - !s->batches;
	s->n_keys = history->n_keys;
	history_invite(history, trace->arena, own_keys, OWN_KEYS, GUESTS);
}

bool session_has(const struct session *s, enum session_step step)
{
	switch (step) {
	case SESSION_BATCH:
		return s->batches;
	case SESSION_COMPACT:
		return s->compacts;
	case SESSION_SYNC:
		return s->engine->target->engine->sync;
	default:
		return true;
	}
}

/* ---- planning ---- */

/* The items after the longest prefix of the history which gives what was shown;
 * *n of them, 0 where nothing was lost, or no prefix gives it. */
static const struct history_item *first_lost(const struct session *s, const struct contents *shown,
					     uint32_t *n)
{
	const struct history *h = s->engine->history;
	uint32_t *now = mem_alloc(h->n_keys, sizeof *now), from = h->n_items;
	for (uint32_t i = 0;; i++) {
		bool same = memcmp(now, shown->write, h->n_keys * sizeof *now) == 0;
		if (same)
			from = i < h->n_changes ? h->changes[i].first : h->n_items;
		if (i == h->n_changes)
			break;
		const struct history_change *c = &h->changes[i];
		for (uint32_t k = c->first; k < c->first + c->n; k++)
			now[h->items[k].key] = h->items[k].shows;
	}
	free(now);
	*n = h->n_items - from;
	return h->items + from;
}

/* The length of a value that, with its key, is as long as a lost write was. */
static uint32_t length_like(const struct session *s, const struct history_item *lost, uint32_t key)
{
	const struct engine_bytes *keys = s->engine->history->keys;
	uint64_t whole = keys[lost->key].length + lost->value_length;
	bool fits = lost->value_length && whole >= keys[key].length + VALUE_BYTES_MIN;
	return fits ? (uint32_t)(whole - keys[key].length) : VALUE_BYTES;
}

/* A key of the workload to delete: another one, which is there if any is. */
static uint32_t to_delete(const struct session *s, const struct contents *shown, uint32_t other)
{
	for (uint32_t i = 0; i < s->n_keys; i++)
		if (i != other && shown->write[i] != CONTENTS_ABSENT)
			return i;
	return (other + 1) % s->n_keys;
}

static void plan_item(const struct session *s, struct session_change *c, uint32_t key,
		      uint32_t guest, uint32_t value_length)
{
	const struct history *h = s->engine->history;
	c->keys[c->n] = key;
	c->items[c->n++] = (struct op_change){.key = h->keys[key],
					      .del = !guest,
					      .write = guest ? h->n_writes + guest : 0,
					      .value_length = value_length};
}

static uint32_t own_key(const struct session *s, int which)
{
	return history_key(s->engine->history, own_keys[which]);
}

void session_make_plan(const struct session *s, const struct contents *shown,
		       struct session_plan *plan)
{
	uint32_t n;
	const struct history_item *lost = first_lost(s, shown, &n);
	uint32_t put = n ? lost[0].key : 0, new = own_key(s, OWN_NEW);
	struct session_change *changes = plan->changes;
	*plan = (struct session_plan){0};
	plan_item(s, &changes[0], put, 1, n ? length_like(s, &lost[0], put) : VALUE_BYTES);
	plan_item(s, &changes[1], new, 2, n > 1 ? length_like(s, &lost[1], new) : VALUE_BYTES);
	plan_item(s, &changes[2], to_delete(s, shown, put), 0, 0);
	if (!s->batches)
		return;
	plan_item(s, &changes[3], own_key(s, OWN_BATCH), 3, VALUE_BYTES);
	plan_item(s, &changes[3], new, 0, 0);
}

size_t session_result_bytes(const struct history *history)
{
	return sizeof(struct session_result) + contents_bytes(history);
}

struct contents *session_shown(struct session_result *result)
{
	return (struct contents *)(void *)(result + 1);
}

void session_expect(const struct session *s, const struct session_plan *plan,
		    const struct contents *shown, uint32_t n, struct contents *expected)
{
	memcpy(expected, shown, contents_bytes(s->engine->history));
	for (uint32_t i = 0; i < n; i++) {
		const struct session_change *c = &plan->changes[i];
		for (uint32_t k = 0; k < c->n; k++)
			expected->write[c->keys[k]] =
				c->items[k].del ? (uint32_t)CONTENTS_ABSENT : c->items[k].write;
	}
}

/* ---- holding it ---- */

struct sitting {
	const struct session *session;
	struct session_plan plan; /* from the first opening on */
	const char *dir;
	struct session_result *result;
	void *store;
	struct engine_error error;
	struct contents *seen, *expected;
};

static const struct engine *engine_of(const struct sitting *s)
{
	return s->session->engine->target->engine;
}

static int fails(struct sitting *s, enum rule rule, const char *doing)
{
	s->result->broken = rule;
	snprintf(s->result->text, sizeof s->result->text, "%s: %.180s", doing,
		 s->error.text[0] ? s->error.text : "it failed without saying why");
	return -1;
}

static int open_store(struct sitting *s, enum rule rule, const char *doing)
{
	s->store = engine_of(s)->open(s->dir, &s->session->engine->target->config, &s->error);
	return s->store ? 0 : fails(s, rule, doing);
}

static int close_store(struct sitting *s, enum rule rule, const char *doing)
{
	void *store = s->store;
	s->store = NULL;
	return engine_of(s)->close(store, &s->error) ? fails(s, rule, doing) : 0;
}

/* Names the first key in which what was seen is not what was expected. */
static int differs(struct sitting *s, enum rule rule, const char *when)
{
	const struct history *h = s->session->engine->history;
	struct buf text = {0};
	for (uint32_t i = 0; i < h->n_keys; i++) {
		uint32_t seen = s->seen->write[i], expected = s->expected->write[i];
		if (seen == expected)
			continue;
		buf_printf(&text, "after %s, ", when);
		history_print_key(h->keys[i], &text);
		buf_string(&text, seen == CONTENTS_ABSENT	? " is gone"
				  : expected == CONTENTS_ABSENT ? " is back"
								: " has another value");
		break;
	}
	if (!text.len)
		buf_printf(&text, "after %s, the scan shows what nobody wrote: %s", when,
			   s->seen->text);
	s->result->broken = rule;
	snprintf(s->result->text, sizeof s->result->text, "%s", buf_text(&text));
	buf_finish(&text);
	return -1;
}

/* Scans the store and compares with what is expected. */
static int look(struct sitting *s, enum rule rule, const char *when)
{
	const struct recover_engine *engine = s->session->engine;
	struct conduct conduct = {0};
	contents_init(engine->history, s->seen);
	if (recover_scan(engine, s->store, s->seen, &conduct, &s->error))
		return fails(s, rule, "the scan failed");
	if (conduct.disagreement[0]) {
		snprintf(s->error.text, sizeof s->error.text, "%s", conduct.disagreement);
		return fails(s, rule, when);
	}
	bool same =
		!s->seen->invented && memcmp(s->seen->write, s->expected->write,
					     engine->history->n_keys * sizeof *s->seen->write) == 0;
	return same ? 0 : differs(s, rule, when);
}

static int open_first(struct sitting *s)
{
	const struct recover_engine *engine = s->session->engine;
	struct contents *shown = session_shown(s->result);
	contents_init(engine->history, shown);
	if (open_store(s, RULE_O1, "opening"))
		return -1;
	if (recover_scan(engine, s->store, shown, &s->result->conduct, &s->error))
		return fails(s, RULE_O1, "the scan failed");
	session_make_plan(s->session, shown, &s->plan);
	session_expect(s->session, &s->plan, shown, 0, s->expected);
	return 0;
}

static int reopen(struct sitting *s, enum rule rule, const char *when)
{
	if (close_store(s, rule, "closing") || open_store(s, rule, "opening again"))
		return -1;
	return rule == RULE_O9 || s->session->keeps ? look(s, rule, when) : 0;
}

/* The values of a change, to be freed, and the change as an engine takes it. */
static char *make_changes(const struct session_change *c, struct engine_change *changes)
{
	char *values, *p;
	size_t bytes = 1;
	for (uint32_t i = 0; i < c->n; i++)
		bytes += c->items[i].value_length;
	p = values = mem_alloc(bytes, 1);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct op_change *item = &c->items[i];
		if (!item->del)
			value_make(item->write, item->key, item->value_length, p);
		changes[i] = (struct engine_change){item->key, {p, item->value_length}, item->del};
		p += item->value_length;
	}
	return values;
}

static int change(struct sitting *s, enum session_step step)
{
	uint32_t i = step - SESSION_PUT;
	const struct session_change *c = &s->plan.changes[i];
	struct engine_change changes[SESSION_ITEMS_MAX];
	char *values = make_changes(c, changes);
	int rc;
	if (step == SESSION_BATCH)
		rc = engine_of(s)->batch(s->store, changes, c->n, &s->error);
	else if (changes[0].del)
		rc = engine_of(s)->del(s->store, changes[0].key, &s->error);
	else
		rc = engine_of(s)->put(s->store, changes[0].key, changes[0].value, &s->error);
	free(values);
	session_expect(s->session, &s->plan, session_shown(s->result), i + 1, s->expected);
	if (!rc)
		return 0;
	return fails(s, RULE_O12,
		     step == SESSION_BATCH    ? "a batch failed"
		     : step == SESSION_DELETE ? "a delete failed"
					      : "a put failed");
}

static int compact(struct sitting *s)
{
	if (engine_of(s)->compact(s->store, &s->error))
		return fails(s, RULE_O12, "a compaction failed");
	return s->session->keeps ? look(s, RULE_O12, "a compaction") : 0;
}

static int perform(struct sitting *s, enum session_step step)
{
	switch (step) {
	case SESSION_OPEN:
		return open_first(s);
	case SESSION_AGAIN:
		return reopen(s, RULE_O9, "closing and opening again");
	case SESSION_PUT:
	case SESSION_DELETE:
	case SESSION_NEW:
	case SESSION_BATCH:
		return change(s, step);
	case SESSION_COMPACT:
		return compact(s);
	case SESSION_SYNC:
		return engine_of(s)->sync(s->store, &s->error) ? fails(s, RULE_O12, "a sync failed")
							       : 0;
	case SESSION_REOPEN:
		return reopen(s, RULE_O12, "some changes and a clean reopening");
	default:
		return 0;
	}
}

static void begin(struct sitting *s, enum session_step step, struct buf *code)
{
	static const uint8_t types[SESSION_STEPS] = {
		[SESSION_OPEN] = OP_REOPEN,	[SESSION_AGAIN] = OP_REOPEN,
		[SESSION_PUT] = OP_PUT,		[SESSION_DELETE] = OP_DELETE,
		[SESSION_NEW] = OP_PUT,		[SESSION_BATCH] = OP_BATCH,
		[SESSION_COMPACT] = OP_COMPACT, [SESSION_SYNC] = OP_SYNC,
		[SESSION_REOPEN] = OP_REOPEN,
	};
	struct op op = {.type = (enum op_type)types[step]};
	if (step >= SESSION_PUT && step <= SESSION_BATCH) {
		op.n = s->plan.changes[step - SESSION_PUT].n;
		op.changes = s->plan.changes[step - SESSION_PUT].items;
	}
	buf_clear(code);
	op_encode(&op, code);
	marker_emit(MARKER_OP_BEGIN, step, code->data, code->len);
}

int session_run(const struct session *session, const char *dir, struct session_result *result)
{
	size_t bytes = contents_bytes(session->engine->history);
	struct sitting s = {.session = session, .dir = dir, .result = result};
	struct buf code = {0};
	int rc = 0;
	s.seen = mem_alloc(1, bytes);
	s.expected = mem_alloc(1, bytes);
	for (int step = 0; step < SESSION_STEPS && !rc; step++) {
		if (!session_has(session, (enum session_step)step))
			continue;
		begin(&s, (enum session_step)step, &code);
		rc = perform(&s, (enum session_step)step);
		marker_emit(MARKER_OP_END, (uint64_t)step, result->text,
			    rc ? strlen(result->text) : 0);
		result->steps += !rc;
	}
	if (!rc && s.store)
		rc = close_store(&s, RULE_O12, "closing");
	if (s.store && engine_of(&s)->abandon)
		engine_of(&s)->abandon(s.store);
	buf_finish(&code);
	free(s.seen);
	free(s.expected);
	return rc;
}
