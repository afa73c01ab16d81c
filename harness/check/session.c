#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marker.h"
#include "mem.h"

static const char new_key[] = "powercut.after";
enum { VALUE_BYTES = 40 };

const char *session_step_name(uint64_t step)
{
	static const char *const names[SESSION_STEPS] = {
		[SESSION_OPEN] = "recovery",
		[SESSION_AGAIN] = "closing and opening again",
		[SESSION_PUT] = "a put after the recovery",
		[SESSION_DELETE] = "a delete after the recovery",
		[SESSION_NEW] = "a put of a new key after the recovery",
		[SESSION_SYNC] = "a sync after the recovery",
		[SESSION_REOPEN] = "closing and opening after that",
	};
	return step < SESSION_STEPS ? names[step] : "";
}

/* ---- preparing ---- */

void session_init(struct session *s, const struct recover_engine *engine,
		  const struct engine_contract *contract, struct history *history,
		  struct arena *arena)
{
	const struct engine_bytes first = history->keys[0];
	const struct engine_bytes second = history->keys[history->n_keys > 1];
	const struct engine_bytes fresh = {new_key, sizeof new_key - 1};
	const struct engine_bytes guests[] = {first, fresh};
	const uint32_t lengths[] = {VALUE_BYTES, VALUE_BYTES};
	uint32_t write = history->n_writes;
	s->engine = engine;
	s->keeps = contract->ack != ENGINE_ACK_ON_SYNC || engine->target->engine->sync;
	s->changes[0] =
		(struct op_change){.key = first, .write = write + 1, .value_length = VALUE_BYTES};
	s->changes[1] = (struct op_change){.key = second, .del = true};
	s->changes[2] =
		(struct op_change){.key = fresh, .write = write + 2, .value_length = VALUE_BYTES};
	history_invite(history, arena, guests, lengths, 2);
	for (int i = 0; i < SESSION_CHANGES; i++)
		s->keys[i] = history_key(history, s->changes[i].key);
}

size_t session_result_bytes(const struct history *history)
{
	return sizeof(struct session_result) + contents_bytes(history);
}

struct contents *session_shown(struct session_result *result)
{
	return (struct contents *)(void *)(result + 1);
}

void session_expect(const struct session *s, const struct contents *shown, uint32_t n,
		    struct contents *expected)
{
	memcpy(expected, shown, contents_bytes(s->engine->history));
	for (uint32_t i = 0; i < n; i++)
		expected->write[s->keys[i]] =
			s->changes[i].del ? (uint32_t)CONTENTS_ABSENT : s->changes[i].write;
}

/* ---- holding it ---- */

struct sitting {
	const struct session *session;
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
	session_expect(s->session, shown, 0, s->expected);
	return 0;
}

static int reopen(struct sitting *s, enum rule rule, const char *when)
{
	if (close_store(s, rule, "closing") || open_store(s, rule, "opening again"))
		return -1;
	return rule == RULE_O9 || s->session->keeps ? look(s, rule, when) : 0;
}

static int change(struct sitting *s, uint32_t i)
{
	const struct op_change *c = &s->session->changes[i];
	char value[VALUE_BYTES];
	int rc;
	if (c->del) {
		rc = engine_of(s)->del(s->store, c->key, &s->error);
	} else {
		value_make(c->write, c->key, c->value_length, value);
		rc = engine_of(s)->put(s->store, c->key,
				       (struct engine_bytes){value, c->value_length}, &s->error);
	}
	session_expect(s->session, session_shown(s->result), i + 1, s->expected);
	return rc ? fails(s, RULE_O12, c->del ? "a delete failed" : "a put failed") : 0;
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
		return change(s, step - SESSION_PUT);
	case SESSION_SYNC:
		if (engine_of(s)->sync && engine_of(s)->sync(s->store, &s->error))
			return fails(s, RULE_O12, "a sync failed");
		return 0;
	case SESSION_REOPEN:
		return reopen(s, RULE_O12, "three changes, a sync and a clean reopening");
	default:
		return 0;
	}
}

static void begin(const struct session *s, enum session_step step, struct buf *code)
{
	static const uint8_t types[SESSION_STEPS] = {
		[SESSION_OPEN] = OP_REOPEN,   [SESSION_AGAIN] = OP_REOPEN, [SESSION_PUT] = OP_PUT,
		[SESSION_DELETE] = OP_DELETE, [SESSION_NEW] = OP_PUT,	   [SESSION_SYNC] = OP_SYNC,
		[SESSION_REOPEN] = OP_REOPEN,
	};
	struct op op = {.type = (enum op_type)types[step]};
	struct op_change change;
	if (step >= SESSION_PUT && step <= SESSION_NEW) {
		change = s->changes[step - SESSION_PUT];
		op.n = 1;
		op.changes = &change;
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
		begin(session, (enum session_step)step, &code);
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
