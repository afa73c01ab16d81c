/* Histories for tests, from a line of text or from a workload.
 *
 *   put a        a put of key a; writes are numbered from 1 in order
 *   put a=       the same with an empty value
 *   del a        a delete
 *   batch a -b   a batch: a put of a, a delete of b
 *   sync compact reopen
 *
 * Operations are separated by "; ".  A "!" before one means that it failed, a
 * "?" that it never returned. */
#ifndef POWERCUT_TESTS_SCRIPT_H
#define POWERCUT_TESTS_SCRIPT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "mem.h"
#include "prng.h"

enum { SCRIPT_ITEMS_MAX = 64, SCRIPT_VALUE_BYTES = 30 };

struct script {
	struct trace *trace;
	struct history *history;
	uint32_t n_ops, n_writes;
};

static inline void script_append(struct trace *trace, enum event_kind kind, uint64_t number,
				 const void *data, size_t n)
{
	struct event *event = trace_append(trace, kind);
	event->offset = number;
	event->data = trace_bytes(trace, data, n);
	event->data_length = n;
}

/* An operation between its markers, with a storage call in between and after,
 * so that events and operations are not numbered alike. */
static inline void script_op(struct script *s, const struct op *op, bool failed, bool ended)
{
	struct buf code = {0};
	op_encode(op, &code);
	script_append(s->trace, EVENT_OP_BEGIN, s->n_ops, code.data, code.len);
	trace_append(s->trace, EVENT_SYNC);
	if (ended)
		script_append(s->trace, EVENT_OP_END, s->n_ops, failed ? "no" : "", failed ? 2 : 0);
	trace_append(s->trace, EVENT_SYNC);
	s->n_ops++;
	buf_finish(&code);
}

static inline void script_change(struct script *s, struct op *op, const char *word, bool del)
{
	size_t n = strcspn(word, "=");
	struct op_change *c = &op->changes[op->n++];
	ck_assert_uint_le(op->n, SCRIPT_ITEMS_MAX);
	*c = (struct op_change){.key = {word, n}, .del = del};
	if (del)
		return;
	c->write = ++s->n_writes;
	c->value_length = word[n] == '=' ? 0 : SCRIPT_VALUE_BYTES;
}

static inline void script_line(struct script *s, char *line)
{
	struct op_change changes[SCRIPT_ITEMS_MAX];
	struct op op = {.changes = changes};
	bool failed = *line == '!', lost = *line == '?';
	char *save = NULL, *verb = strtok_r(line + (failed || lost), " ", &save);
	int type = 0;
	while (type < OP_TYPES_COUNT && strcmp(op_type_name(type), verb) != 0)
		type++;
	op.type = strcmp(verb, "del") == 0 ? OP_DELETE : (enum op_type)type;
	ck_assert_int_lt(op.type, OP_TYPES_COUNT);
	for (char *word; (word = strtok_r(NULL, " ", &save));)
		script_change(s, &op, word + (*word == '-'), op.type == OP_DELETE || *word == '-');
	script_op(s, &op, failed, !lost);
}

static inline void script_seal(struct script *s)
{
	struct err err = {0};
	trace_seal(s->trace);
	ck_assert_msg(history_create(s->trace, &s->history, &err) == 0, "%s", err.text);
}

static inline struct script script_make(const char *text)
{
	struct script s = {.trace = trace_create()};
	char *copy = mem_dup(text, strlen(text)), *save = NULL;
	for (char *line = strtok_r(copy, ";", &save); line; line = strtok_r(NULL, ";", &save))
		script_line(&s, line + strspn(line, " "));
	free(copy);
	script_seal(&s);
	return s;
}

/* Runs nothing: only its table of functions is looked at. */
static inline int script_batch(void *store, const struct engine_change *changes, size_t n,
			       struct engine_error *error)
{
	(void)store, (void)changes, (void)n, (void)error;
	return 0;
}

static inline int script_maintain(void *store, struct engine_error *error)
{
	(void)store, (void)error;
	return 0;
}

/* The history of a workload of which each operation fails with the given
 * probability; the last one never returns where cut is set. */
static inline struct script script_random(const struct workload_options *options,
					  uint32_t fail_percent, bool cut)
{
	static const struct engine engine = {.name = "script",
					     .batch = script_batch,
					     .sync = script_maintain,
					     .compact = script_maintain};
	struct workload_options expanded = *options;
	struct workload *workload = NULL;
	struct err err = {0};
	struct prng prng;
	prng_init(&prng, options->seed ^ 0x5c819);
	ck_assert_msg(workload_expand(&expanded, &err) == 0, "%s", err.text);
	ck_assert_int_eq(workload_create(&expanded, &engine, &workload, &err), 0);
	struct script s = {.trace = trace_create()};
	for (uint32_t i = 0; i < workload->n_ops; i++)
		script_op(&s, &workload->ops[i], prng_below(&prng, 100) < fail_percent,
			  !cut || i + 1 < workload->n_ops);
	workload_destroy(workload);
	script_seal(&s);
	return s;
}

static inline void script_finish(struct script *s)
{
	trace_destroy(s->trace);
}

#endif
