/* Running a workload on an engine, between markers. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marker.h"
#include "mem.h"

struct run {
	const struct engine *engine;
	const struct engine_config *config;
	const char *dir;
	void *store;
	/* Room for the largest operation: its values, and its changes as engines
	 * see them. */
	char *values;
	size_t values_cap;
	struct engine_change *changes;
	size_t changes_cap;
	struct engine_error *error;
};

void op_encode(const struct op *op, struct buf *out)
{
	buf_byte(out, (uint8_t)op->type);
	buf_varint(out, op->n);
	for (uint32_t i = 0; i < op->n; i++) {
		const struct op_change *c = &op->changes[i];
		buf_byte(out, c->del);
		buf_blob(out, c->key.data, c->key.length);
		buf_varint(out, c->write);
		buf_varint(out, c->value_length);
	}
}

/* Makes the operation's values and shows its changes as an engine sees them. */
static void prepare(struct run *run, const struct op *op)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < op->n; i++)
		bytes += op->changes[i].value_length;
	run->values = mem_grow(run->values, &run->values_cap, bytes + 1, 1);
	run->changes = mem_grow(run->changes, &run->changes_cap, op->n + 1, sizeof *run->changes);
	char *at = run->values;
	for (uint32_t i = 0; i < op->n; i++) {
		const struct op_change *c = &op->changes[i];
		if (!c->del)
			value_make(c->write, c->key, c->value_length, at);
		run->changes[i] = (struct engine_change){
			.key = c->key, .value = {at, c->value_length}, .del = c->del};
		at += c->value_length;
	}
}

static int open_store(struct run *run)
{
	run->store = run->engine->open(run->dir, run->config, run->error);
	return run->store ? 0 : -1;
}

static int close_store(struct run *run)
{
	void *store = run->store;
	run->store = NULL;
	return run->engine->close(store, run->error);
}

static int perform(struct run *run, const struct op *op)
{
	const struct engine *engine = run->engine;
	const struct engine_change *c = run->changes;
	switch (op->type) {
	case OP_PUT:
		return engine->put(run->store, c->key, c->value, run->error);
	case OP_DELETE:
		return engine->del(run->store, c->key, run->error);
	case OP_BATCH:
		return engine->batch(run->store, c, op->n, run->error);
	case OP_SYNC:
		return engine->sync(run->store, run->error);
	case OP_COMPACT:
		return engine->compact(run->store, run->error);
	case OP_REOPEN:
		return close_store(run) ? -1 : open_store(run);
	default:
		return 0;
	}
}

/* The text of a failure must not be empty: in a marker that would mean success. */
static void complete_error(struct engine_error *error)
{
	if (error->text[0] == '\0')
		snprintf(error->text, sizeof error->text, "it failed without saying why");
}

static void run_op(struct run *run, const struct op *op, uint32_t number, struct buf *code,
		   struct workload_progress *progress)
{
	prepare(run, op);
	buf_clear(code);
	op_encode(op, code);
	run->error->text[0] = '\0';
	marker_emit(MARKER_OP_BEGIN, number, code->data, code->len);
	if (progress)
		progress->begun = number + 1;
	bool failed = perform(run, op) != 0;
	if (progress)
		progress->ended = number + 1;
	if (failed)
		complete_error(run->error);
	marker_emit(MARKER_OP_END, number, run->error->text, failed ? strlen(run->error->text) : 0);
}

int workload_run(const struct workload *workload, const struct engine *engine,
		 const struct engine_config *config, const char *dir,
		 struct workload_progress *progress, struct engine_error *error)
{
	struct run run = {.engine = engine, .config = config, .dir = dir, .error = error};
	struct buf code = {0};
	error->text[0] = '\0';
	int result = open_store(&run);
	for (uint32_t i = 0; result == 0 && i < workload->n_ops; i++) {
		run_op(&run, &workload->ops[i], i, &code, progress);
		/* Only a failed reopen leaves no store. */
		if (!run.store)
			result = -1;
	}
	if (result == 0)
		result = close_store(&run);
	if (result)
		complete_error(error);
	free(run.values);
	free(run.changes);
	buf_finish(&code);
	return result;
}
