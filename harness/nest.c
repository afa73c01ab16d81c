#include "nest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore.h"
#include "mem.h"
#include "points.h"
#include "record.h"
#include "trace_codec.h"
#include "trace_join.h"
#include "workload_record.h"

enum { RECORD_FACTOR = 4 }; /* a session may take so much longer than a recovery */

/* ---- orders ---- */

uint64_t nest_order_encode(const struct nest_order *order)
{
	return 1 | (uint64_t)order->joined << 1 | (uint64_t)order->full << 2 |
	       (uint64_t)(order->profile - profile_table) << 8;
}

static struct nest_order nest_order_decode(uint64_t order)
{
	return (struct nest_order){.profile = &profile_table[order >> 8],
				   .joined = order >> 1 & 1,
				   .full = order >> 2 & 1};
}

/* ---- the jury ---- */

enum { STAGE_RECOVERING = 1, STAGE_SHOWN, STAGE_STAYS };

/* The changes of the session among its first n steps' events. */
static uint32_t changes_by(const uint32_t *events, uint32_t n_events)
{
	uint32_t n = 0;
	for (int step = SESSION_PUT; step <= SESSION_BATCH; step++)
		n += events[step] && events[step] <= n_events;
	return n;
}

static bool ended(const struct nested *n, enum session_step step, uint32_t n_events)
{
	return n->ended[step] && n->ended[step] <= n_events;
}

static struct bounds nested_bounds(const void *arg, uint32_t n_events, bool power)
{
	const struct nested *n = arg;
	const struct engine_contract *c = n->s.contract;
	bool holds = c->against == ENGINE_AGAINST_POWER || !power;
	bool synced = ended(n, SESSION_SYNC, n_events);
	bool batched = c->batch == ENGINE_BATCH_DURABLE && ended(n, SESSION_BATCH, n_events);
	struct bounds b = {.begun = changes_by(n->begun, n_events),
			   .acked = changes_by(n->ended, n_events)};
	b.stage = STAGE_RECOVERING;
	if (ended(n, SESSION_OPEN, n_events))
		b.stage = holds && (c->stays || synced) ? STAGE_STAYS : STAGE_SHOWN;
	if (holds && c->ack == ENGINE_ACK_EACH)
		b.durable = b.acked;
	else if (holds && (synced || batched))
		b.durable = n->nest->session->n_changes; /* all come before */
	return b;
}

/* Whether a key looks as some number of the session's changes leaves it. */
static bool key_fits(const struct nested *n, const struct contents *contents, uint32_t key,
		     uint32_t least, uint32_t most)
{
	for (uint32_t k = least; k <= most; k++) {
		session_expect(n->nest->session, &n->plan, n->shown, k, n->scratch);
		if (contents->write[key] == n->scratch->write[key])
			return true;
	}
	return false;
}

static bool all_fit(const struct nested *n, const struct contents *contents, uint32_t k)
{
	session_expect(n->nest->session, &n->plan, n->shown, k, n->scratch);
	return memcmp(contents->write, n->scratch->write,
		      n->s.history->n_keys * sizeof *contents->write) == 0;
}

/* The first key that does not look as that many changes leave it; there is one. */
static uint32_t first_unlike(const struct nested *n, const struct contents *contents, uint32_t k)
{
	uint32_t i = 0;
	session_expect(n->nest->session, &n->plan, n->shown, k, n->scratch);
	while (i + 1 < n->s.history->n_keys && contents->write[i] == n->scratch->write[i])
		i++;
	return i;
}

/* Whether one of the session's first changes deletes a key. */
static bool deletes(const struct nested *n, uint32_t key, uint32_t changes)
{
	for (uint32_t i = 0; i < changes; i++) {
		const struct session_change *c = &n->plan.changes[i];
		for (uint32_t k = 0; k < c->n; k++)
			if (c->keys[k] == key && c->items[k].del)
				return true;
	}
	return false;
}

/* Whether all is as with the last change, the batch, or as without it, but for the
 * batch's keys, of which some are so and some so. */
static bool batch_torn(const struct nested *n, const struct contents *contents, uint32_t begun)
{
	const struct session *session = n->nest->session;
	if (!session->batches || begun < session->n_changes)
		return false;
	const struct session_change *batch = &n->plan.changes[session->n_changes - 1];
	session_expect(session, &n->plan, n->shown, session->n_changes, n->scratch);
	for (uint32_t k = 0; k < batch->n; k++)
		n->scratch->write[batch->keys[k]] = contents->write[batch->keys[k]];
	return memcmp(contents->write, n->scratch->write,
		      n->s.history->n_keys * sizeof *contents->write) == 0;
}

/* The first key that does not look as what was shown and what was done since
 * leave it, and the rule that this breaks; 0: all do. */
static enum rule broken_key(const struct nested *n, const struct contents *contents,
			    const struct bounds *b, uint32_t *key)
{
	for (uint32_t i = 0; i < n->s.history->n_keys; i++) {
		if (key_fits(n, contents, i, b->durable, b->begun))
			continue;
		*key = i;
		if (!key_fits(n, contents, i, 0, b->begun))
			return RULE_O11;
		/* It looks as before a change that is durable. */
		return deletes(n, i, b->durable) ? RULE_O6 : RULE_O2;
	}
	return (enum rule)0;
}

static enum rule broken_rule(const struct nested *n, const struct contents *contents,
			     const struct bounds *b, uint32_t *key)
{
	if (contents->invented)
		return RULE_O3;
	enum rule rule = broken_key(n, contents, b, key);
	if (rule || !n->s.contract->prefix)
		return rule;
	for (uint32_t k = b->durable; k <= b->begun; k++)
		if (all_fit(n, contents, k))
			return (enum rule)0;
	/* All is as after fewer changes than were durable: nothing is torn, though a batch
	 * in flight may explain each key by itself. */
	for (uint32_t k = b->durable; k-- > 0;)
		if (all_fit(n, contents, k)) {
			*key = first_unlike(n, contents, b->durable);
			return deletes(n, *key, b->durable) ? RULE_O6 : RULE_O2;
		}
	return batch_torn(n, contents, b->begun) ? RULE_O5 : RULE_O4;
}

static bool fits_the_first_crash(const struct nested *n, const struct contents *contents)
{
	struct verdict verdict;
	const struct jury *first = &n->nest->subject->jury;
	first->judge(first->arg, contents, &n->before, &verdict);
	return !verdict.broken;
}

static void nested_judge(const void *arg, const struct contents *contents, const struct bounds *b,
			 struct verdict *verdict)
{
	const struct nested *n = arg;
	uint32_t key;
	*verdict = (struct verdict){0};
	if (b->stage < STAGE_STAYS && b->durable == 0 && fits_the_first_crash(n, contents))
		return;
	if (b->stage == STAGE_RECOVERING) {
		verdict->broken = RULE_BIT(RULE_O10);
		return;
	}
	/* Without a promise of order or of staying, a key may look like anything that
	 * was ever written to it. */
	bool lax = b->stage == STAGE_SHOWN && !n->s.contract->prefix;
	enum rule rule =
		lax && !contents->invented ? (enum rule)0 : broken_rule(n, contents, b, &key);
	if (rule)
		verdict->broken = RULE_BIT(rule);
}

/* What the first crash's jury says of what a second recovery shows. */
static void explain_first(const struct nested *n, const struct contents *contents, struct buf *out)
{
	struct verdict verdict;
	const struct jury *first = &n->nest->subject->jury;
	first->judge(first->arg, contents, &n->before, &verdict);
	enum rule rule = first_rule(verdict.broken);
	buf_printf(out, "a crash during recovery leaves what breaks %s: ", rule_name(rule));
	first->explain(first->arg, contents, &n->before, rule, out);
}

static void nested_explain(const void *arg, const struct contents *contents, const struct bounds *b,
			   enum rule rule, struct buf *out)
{
	const struct nested *n = arg;
	uint32_t key = 0;
	if (rule == RULE_O10 && b->stage == STAGE_RECOVERING) {
		if (!fits_the_first_crash(n, contents))
			explain_first(n, contents, out);
		return;
	}
	if (rule != broken_rule(n, contents, b, &key))
		return;
	if (rule == RULE_O3) {
		buf_printf(out, "after a recovery and a second crash, %s", contents->text);
		return;
	}
	if (rule == RULE_O4) {
		buf_string(out, "after a recovery and a second crash, the changes made in between "
				"are there out of order");
		return;
	}
	if (rule == RULE_O5) {
		buf_string(out, "after a recovery and a second crash, the batch made in between is "
				"there in part");
		return;
	}
	history_print_key(n->s.history->keys[key], out);
	if (rule == RULE_O11)
		buf_printf(out, ": recovery had shown %s, and a second crash %s",
			   n->shown->write[key] == CONTENTS_ABSENT ? "that it is not there"
								   : "its value",
			   contents->write[key] == CONTENTS_ABSENT ? "lost it" : "changed it");
	else
		buf_printf(out,
			   ": %s after a recovery was acknowledged as durable, and a second "
			   "crash lost it",
			   rule == RULE_O6 ? "a delete" : "a put");
}

/* A recovery that fails while the one before it had not ended breaks O10. */
static enum rule nested_failed(const void *arg, const struct recovery *r, const struct bounds *b,
			       enum rule rule)
{
	(void)r;
	(void)arg;
	return b->stage == STAGE_RECOVERING ? RULE_O10 : rule;
}

/* ---- a nested subject ---- */

static void find_steps(struct nested *n, const struct trace *t)
{
	for (uint32_t i = n->s.first_event; i < t->n_events; i++) {
		const struct event *e = &t->events[i];
		if (e->offset >= SESSION_STEPS)
			continue;
		if (e->kind == EVENT_OP_BEGIN)
			n->begun[e->offset] = i + 1;
		else if (e->kind == EVENT_OP_END && !e->data_length)
			n->ended[e->offset] = i + 1;
	}
}

int nested_init(struct nested *n, const struct nest *nest, struct trace *trace,
		uint32_t first_event, const struct state *parent, const char *parent_id, bool power,
		const struct contents *shown, struct err *err)
{
	*n = (struct nested){.s = *nest->subject, .nest = nest, .power = power, .shown = shown};
	n->before = points_bounds(nest->subject, parent->point, power);
	n->s.trace = trace;
	n->s.first_event = first_event;
	n->s.parent = parent_id;
	n->s.pool = NULL;
	n->s.store = NULL;
	n->s.symbols = NULL;
	n->s.identity = trace_identity(trace);
	n->s.jury = (struct jury){.bounds = nested_bounds,
				  .judge = nested_judge,
				  .explain = nested_explain,
				  .failed = nested_failed,
				  .arg = n};
	n->scratch = mem_alloc(1, contents_bytes(n->s.history));
	session_make_plan(nest->session, shown, &n->plan);
	find_steps(n, trace);
	return ops_lower(trace, &n->s.ops, err);
}

void nested_finish(struct nested *n)
{
	free(n->scratch);
	n->scratch = NULL;
}

/* ---- recording a session ---- */

struct recorded {
	const struct nest *nest;
	const char *dir;
	struct session_result *result; /* shared memory */
};

static int session_child(void *arg)
{
	const struct recorded *r = arg;
	struct err err;
	struct child_limits limits = r->nest->limits;
	child_limits_expand(&limits);
	limits.cpu_ms *= RECORD_FACTOR;
	/* The disk is not watched here. */
	if (limits.file_bytes > limits.disk_bytes)
		limits.file_bytes = limits.disk_bytes;
	child_limits_apply(&limits);
	if (recorded_child_begin(r->nest->session->engine->target, r->nest->subject->seed, &err)) {
		fprintf(stderr, "powercut: %s\n", err.text);
		return 2;
	}
	return session_run(r->nest->session, r->dir, r->result) ? 1 : 0;
}

static void unsure(struct nest_answer *answer, const char *text)
{
	if (!answer->unsure[0])
		snprintf(answer->unsure, sizeof answer->unsure, "%.250s", text);
}

static void breaks(struct nest_answer *answer, enum rule rule, const char *text)
{
	answer->broken = rule;
	snprintf(answer->text, sizeof answer->text, "%.250s", text);
}

/* What the session says by itself.  False where its trace is of no use. */
static bool hear(const struct trace *trace, const struct record_result *recorded,
		 const struct session_result *result, struct nest_answer *answer)
{
	const char *spoilt = trace_inconclusive(trace);
	if (recorded->timed_out)
		unsure(answer, "a session after recovery did not end in time");
	else if (spoilt)
		unsure(answer, spoilt);
	else if (result->broken == RULE_O1)
		unsure(answer, "the recovery fails when it is recorded, and did not before");
	else if (result->broken)
		breaks(answer, result->broken, result->text);
	else if (WIFSIGNALED(recorded->wait_status) && result->steps)
		breaks(answer, result->steps <= SESSION_AGAIN ? RULE_O9 : RULE_O12,
		       "the process died of a signal when the recovered store was used");
	else if (!WIFEXITED(recorded->wait_status) || WEXITSTATUS(recorded->wait_status))
		unsure(answer, "a session after recovery did not come to its end");
	return !answer->unsure[0] && result->steps > SESSION_OPEN;
}

static int record_session(const struct nest *nest, const char *dir, struct session_result *result,
			  struct trace **trace, struct record_result *recorded, struct err *err)
{
	struct recorded arg = {nest, dir, result};
	struct child_limits limits = nest->limits;
	child_limits_expand(&limits);
	struct record_options options = {.root = dir,
					 .function = session_child,
					 .arg = &arg,
					 .timeout_ms = (uint64_t)limits.wall_ms * RECORD_FACTOR};
	*trace = trace_create();
	return record_run(&options, *trace, recorded, err);
}

/* ---- exploring it ---- */

static void add_faults(const struct nest *nest, const struct trace *trace, uint32_t first,
		       const struct explore *x, struct nest_answer *answer)
{
	const struct engine_fault_point *p = nest->session->engine->target->engine->fault_points;
	for (uint32_t i = 0; p && p[i].name && i < FAULTS_MAX; i++) {
		for (size_t k = first; k < trace->n_events; k++)
			if (trace->events[k].kind == EVENT_FAULT &&
			    strcmp(trace->events[k].name, p[i].name) == 0)
				answer->passed[i / 64] |= (uint64_t)1 << (i % 64);
		if (explore_recoveries_past(x, i))
			answer->passed[i / 64] |= (uint64_t)1 << (i % 64);
		answer->crashes[i] = (uint32_t)explore_crashes_after(x, p[i].name);
	}
}

static void add_found(struct causes *causes, struct nest_answer *answer)
{
	for (size_t i = 0; i < causes_count(causes) && i < NEST_CAUSES; i++) {
		const struct cause *cause = causes_get(causes, i);
		struct nest_found *found = &answer->found[answer->n_found++];
		*found = (struct nest_found){.key = cause_key_hash(cause),
					     .rule = cause->rule,
					     .rules = cause->rules,
					     .states = cause->states};
		found->n_sites = cause_sites(causes, cause, found->sites, NEST_SITES);
	}
}

static int write_file(const char *path, const struct buf *bytes, struct err *err)
{
	FILE *f = fopen(path, "w");
	if (!f)
		return err_sys(err, "%s", path);
	bool bad = fwrite(bytes->data, 1, bytes->len, f) != bytes->len;
	if (fclose(f) != 0 || bad)
		return err_sys(err, "%s", path);
	return ERR_OK;
}

/* Everything, for nest_read. */
static int tell_all(const struct nested *n, struct causes *causes, struct nest_answer *answer,
		    struct err *err)
{
	struct buf out = {0}, trace = {0};
	int rc = trace_encode(n->s.trace, &trace, err);
	buf_u64(&out, n->s.identity);
	buf_u32(&out, n->s.first_event);
	buf_blob(&out, n->s.parent, strlen(n->s.parent));
	buf_blob(&out, trace.data, trace.len);
	buf_varint(&out, causes_count(causes));
	for (size_t i = 0; i < causes_count(causes); i++)
		cause_encode(causes_get(causes, i), &out);
	snprintf(answer->file, sizeof answer->file, "%s/powercut-nest-%d", n->nest->parent,
		 (int)getpid());
	if (!rc)
		rc = write_file(answer->file, &out, err);
	buf_finish(&out);
	buf_finish(&trace);
	return rc;
}

static void take_coverage(const struct coverage_row *row, struct nest_answer *answer)
{
	answer->tested = row->tested + row->nested;
	answer->left_out = row->left_out + row->nested_left_out;
	answer->recovered = row->recovered;
	answer->violations = row->violations;
	answer->inconclusive = row->inconclusive;
}

static int explore_nested(struct nested *n, const struct nest_order *order,
			  struct nest_answer *answer, struct err *err)
{
	const struct nest *nest = n->nest;
	struct recover_engine engine = *nest->session->engine;
	struct nest deeper = *nest;
	struct recover_job job = {.recover = recover_with_engine, .arg = &engine};
	struct pool_options options = {.parent = nest->parent, .limits = nest->limits, .cpu = -1};
	struct explore_options how = {.states_max = nest->states_max};
	struct coverage_row row;
	bool cut;
	if (nest->depth > 1) {
		deeper.subject = &n->s;
		deeper.depth--;
		job.errand = nest_errand;
		job.errand_arg = &deeper;
		job.answer_bytes = sizeof(struct nest_answer);
		how.nest = &deeper;
	}
	int rc = pool_create_here(n->s.ops, n->s.history, &job, &options, &n->s.pool, err);
	if (rc)
		return rc;
	n->s.symbols = symbols_create(n->s.trace, nest->library);
	struct explore *x = explore_create(&n->s, &how);
	rc = explore_profile(x, order->profile, &row, &cut, err);
	if (!rc) {
		take_coverage(&row, answer);
		add_faults(nest, n->s.trace, n->s.first_event, x, answer);
		add_found(explore_causes(x), answer);
	}
	if (!rc && order->full)
		rc = tell_all(n, explore_causes(x), answer, err);
	explore_destroy(x);
	symbols_destroy(n->s.symbols);
	pool_destroy(n->s.pool);
	return rc;
}

/* The events that had happened at a point which lies between two calls; 0 where
 * it lies within one, so that no life can be joined there. */
static uint32_t events_at(const struct ops *ops, uint32_t point)
{
	if (point == 0)
		return 0;
	uint32_t event = ops->steps[point - 1].event;
	bool within = point < ops->n_steps && ops->steps[point].event == event;
	return within ? 0 : event + 1;
}

static int look_into(const struct nest *nest, const struct nest_order *order,
		     const struct state *state, struct trace *session, const struct contents *shown,
		     struct nest_answer *answer, struct err *err)
{
	struct nested n = {0};
	struct trace *joined = NULL, *trace = session;
	struct buf parent = {0};
	uint32_t first = order->joined ? events_at(nest->subject->ops, state->point) : 0;
	bool power = order->profile->order != ORDER_ISSUED;
	if (first) {
		trace = joined = trace_join(nest->subject->trace, first, session, err);
		if (!joined)
			return err->code;
	}
	state_public_id_alone(nest->subject, order->profile, state, &parent);
	int rc = nested_init(&n, nest, trace, first, state, buf_text(&parent), power, shown, err);
	if (!rc && !fits_the_first_crash(&n, shown))
		unsure(answer, "the same state recovers differently when it is recovered again");
	else if (!rc)
		rc = explore_nested(&n, order, answer, err);
	nested_finish(&n);
	buf_finish(&parent);
	trace_destroy(joined);
	return rc;
}

/* The last steps are taken to see whether they can be.  What they leave when they
 * are cut short is for the first life to tell, and for the reopening before the
 * changes: there are no crashes in them. */
static void leave_out_last_steps(struct trace *trace)
{
	for (size_t i = 0; i < trace->n_events; i++)
		if (trace->events[i].kind == EVENT_OP_BEGIN &&
		    trace->events[i].offset >= SESSION_REOPEN) {
			trace->n_events = i;
			return;
		}
}

void nest_errand(void *arg, const struct state *state, uint64_t encoded, const char *dir,
		 void *answer_out)
{
	const struct nest *nest = arg;
	struct nest_answer *answer = answer_out;
	struct nest_order order = nest_order_decode(encoded);
	struct record_result recorded;
	struct trace *trace = NULL;
	struct err err = {0};
	size_t bytes = session_result_bytes(nest->subject->history);
	struct session_result *result = mem_map_shared(bytes);
	int rc = result ? record_session(nest, dir, result, &trace, &recorded, &err)
			: err_sys(&err, "shared memory");
	bool useful = !rc && hear(trace, &recorded, result, answer);
	if (useful) {
		leave_out_last_steps(trace);
		rc = look_into(nest, &order, state, trace, session_shown(result), answer, &err);
	}
	if (rc)
		unsure(answer, err.text);
	trace_destroy(trace);
	if (result)
		mem_unmap(result, bytes);
}

/* ---- the file ---- */

static int read_all(const char *path, struct buf *bytes, struct err *err)
{
	char chunk[65536];
	size_t n;
	FILE *f = fopen(path, "r");
	if (!f)
		return err_sys(err, "%s", path);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_append(bytes, chunk, n);
	fclose(f);
	unlink(path);
	return ERR_OK;
}

int nest_read(const char *path, uint64_t key_hash, struct causes *causes, struct trace_row *row,
	      struct buf *bytes, struct err *err)
{
	int rc = read_all(path, bytes, err);
	struct reader r;
	size_t length;
	if (rc)
		return rc;
	reader_init(&r, bytes->data, bytes->len);
	*row = (struct trace_row){.identity = read_u64(&r), .first_event = read_u32(&r)};
	const char *parent = read_blob(&r, &length);
	char *id = mem_dup(parent ? parent : "", r.bad ? 0 : length);
	row->bytes = read_blob(&r, &row->length);
	uint64_t n = read_varint(&r);
	for (uint64_t i = 0; i < n && !r.bad; i++)
		causes_adopt(causes, &r, key_hash);
	if (r.bad) {
		free(id);
		return err_set(err, ERR_INTERNAL, "%s: a worker's report is damaged", path);
	}
	/* The parent's ID has no terminator where it stands. */
	size_t at = (size_t)((const char *)row->bytes - bytes->data), end = bytes->len;
	buf_append(bytes, id, strlen(id) + 1);
	row->bytes = bytes->data + at;
	row->parent = bytes->data + end;
	free(id);
	return ERR_OK;
}
