#include "rebuild.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "contract.h"
#include "mem.h"
#include "trace_codec.h"

/* Whether a target's own run showed this state to fail. */
static int failed_there(struct store *store, const struct target_row *target, const char *id,
			bool *failed, struct err *err)
{
	struct store_query *q = NULL;
	struct outcome_row outcome;
	struct finding_row finding;
	int rc;
	*failed = false;
	while (!*failed && (rc = store_next_outcome(store, &q, target->id, id, &outcome, err)) == 1)
		*failed = strcmp(outcome.verdict, "fail") == 0;
	store_query_end(&q);
	if (*failed || rc)
		return *failed ? ERR_OK : rc;
	while (!*failed &&
	       (rc = store_next_finding(store, &q, target->campaign, &finding, err)) == 1)
		*failed = finding.target == target->id && strcmp(finding.state, id) == 0;
	store_query_end(&q);
	return *failed ? ERR_OK : rc;
}

/* Whether a target has the trace that an ID begins with.  A trace that cannot be
 * read has not: it is only of interest where no other fits, *damage says then why. */
static int has_trace(struct store *store, int64_t trace_id, uint32_t head, bool *has,
		     struct trace **trace, struct err *damage, struct err *err)
{
	struct buf bytes = {0};
	struct trace *found = NULL;
	int rc = store_get_trace(store, trace_id, &bytes, err);
	*has = false;
	if (!rc && trace_decode(bytes.data, bytes.len, &found, damage))
		err_wrap(damage, "%s: trace %" PRId64, store_path(store), trace_id);
	if (found && (uint32_t)(trace_identity(found) >> 32) == head) {
		*has = true;
		trace_destroy(*trace);
		*trace = found;
	} else {
		trace_destroy(found);
	}
	buf_finish(&bytes);
	return rc;
}

/* Targets may share a trace and differ in what they promise: the newest in which
 * the state failed is meant, or else the newest. */
static int find_target(struct store *store, const char *id, uint32_t head, struct target_row *row,
		       struct trace **trace, struct err *err)
{
	struct store_query *q = NULL;
	struct err damage = {0};
	int64_t best = 0;
	bool best_failed = false;
	int rc;
	while ((rc = store_next_target(store, &q, 0, row, err)) == 1) {
		bool has, failed = false;
		rc = has_trace(store, row->trace, head, &has, trace, &damage, err);
		if (!rc && has)
			rc = failed_there(store, row, id, &failed, err);
		if (rc)
			break;
		if (has && (failed || !best_failed)) {
			best = row->id;
			best_failed = failed;
		}
	}
	store_query_end(&q);
	if (rc)
		return rc;
	if (best)
		return store_get_target(store, best, row, err);
	if (damage.code) {
		*err = damage;
		return err->code;
	}
	return err_set(err, ERR_MISSING, "%s: no trace of this database begins with %08x",
		       store_path(store), head);
}

static int rebuild_command(struct rebuilt *c, const struct target_row *row)
{
	c->check = mem_printf("%s", row->options);
	checker_init(&c->checker, c->check, c->s.ops);
	c->s.jury = command_jury(&c->checker);
	c->recover_job = checker_job(&c->checker);
	return ERR_OK;
}

static int rebuild_engine(struct rebuilt *c, const struct target_row *row, struct err *err)
{
	char *spec = mem_printf("%s:%s", row->engine, row->options);
	int rc = target_parse(spec, engine_table, &c->target, err);
	free(spec);
	if (!rc)
		rc = contract_parse(row->contract, &c->contract, err);
	if (rc)
		return rc;
	c->recover = (struct recover_engine){c->target, c->s.history};
	c->recover_job = (struct recover_job){recover_with_engine, &c->recover};
	if (c->s.history->n_keys)
		session_init(&c->session, &c->recover, &c->contract, c->s.history, c->s.trace);
	c->nest = (struct nest){.session = &c->session};
	c->charge = (struct charge){c->s.history, &c->contract,
				    judge_create(c->s.history, &c->contract)};
	c->s.jury = jury_create(&c->charge);
	return ERR_OK;
}

/* The trace of a nested run whose identity begins with head, and its parent. */
static int find_nested(struct store *store, uint32_t head, struct rebuilt *c, uint32_t *first_event,
		       struct err *err)
{
	struct store_query *q = NULL;
	struct trace_row row;
	struct buf bytes = {0};
	int64_t found = 0;
	int rc;
	while (!found && (rc = store_next_trace(store, &q, head, &row, err)) == 1) {
		if (!*row.parent)
			continue;
		found = row.id;
		*first_event = row.first_event;
		c->parent = mem_dup(row.parent, strlen(row.parent));
	}
	store_query_end(&q);
	if (!found)
		return rc ? rc
			  : err_set(err, ERR_MISSING,
				    "%s: no trace of this database begins with %08x",
				    store_path(store), head);
	rc = store_get_trace(store, found, &bytes, err);
	if (!rc)
		rc = trace_decode(bytes.data, bytes.len, &c->own, err);
	buf_finish(&bytes);
	return rc;
}

/* What the first recovery shows. */
static int recover_base(struct rebuilt *c, const struct child_limits *limits, const char *tmp,
			struct err *err)
{
	struct rebuilt *base = c->base;
	struct pool_options options = {.jobs = 1, .parent = tmp, .limits = *limits, .cpu = -1};
	struct recovery r;
	size_t bytes = contents_bytes(base->s.history);
	int rc = pool_create(base->s.ops, base->s.history, &base->recover_job, &options,
			     &base->s.pool, err);
	if (!rc)
		rc = pool_run(base->s.pool, &base->state, &r, err);
	if (!rc && r.end != RECOVERY_OK)
		rc = err_set(err, ERR_TARGET,
			     "the state %s, from which this one came, no longer recovers: %.200s",
			     c->parent, r.text);
	if (!rc) {
		c->shown = mem_alloc(1, bytes);
		memcpy(c->shown, r.contents, bytes);
	}
	pool_destroy(base->s.pool);
	base->s.pool = NULL;
	return rc;
}

static int rebuild_nested(struct store *store, uint32_t head, const struct profile *profile,
			  const struct child_limits *limits, const char *tmp, struct rebuilt *c,
			  struct err *err)
{
	uint32_t first_event = 0;
	bool power = profile->order != ORDER_ISSUED;
	int rc = find_nested(store, head, c, &first_event, err);
	if (rc)
		return rc;
	c->base = mem_alloc(1, sizeof *c->base);
	rc = rebuild_state(store, c->parent, limits, tmp, c->base, err);
	if (!rc)
		rc = recover_base(c, limits, tmp, err);
	if (rc)
		return rc;
	c->nest = (struct nest){
		.subject = &c->base->s, .session = c->base->nest.session, .limits = *limits};
	rc = nested_init(&c->nested, &c->nest, c->own, first_event, &c->base->state, c->parent,
			 power, c->shown, err);
	c->s = c->nested.s;
	c->s.name = mem_printf("%s", c->base->s.name);
	c->contract = c->base->contract;
	c->recover = c->base->recover;
	c->recover_job = c->base->recover_job;
	return rc;
}

static int rebuild_first(struct store *store, const struct target_row *row, struct rebuilt *c,
			 struct err *err)
{
	c->s.store = store;
	int rc = ops_lower(c->s.trace, &c->s.ops, err);
	if (!rc)
		rc = history_create(c->s.trace, &c->s.history, err);
	if (rc)
		return rc;
	c->s.name = mem_printf("%s", row->name);
	c->s.id = row->id;
	c->s.seed = row->seed;
	c->s.contract = &c->contract;
	c->s.identity = trace_identity(c->s.trace);
	return strcmp(row->engine, STORE_COMMAND) == 0 ? rebuild_command(c, row)
						       : rebuild_engine(c, row, err);
}

int rebuild_state(struct store *store, const char *id, const struct child_limits *limits,
		  const char *tmp, struct rebuilt *c, struct err *err)
{
	char *end;
	struct target_row row;
	*c = (struct rebuilt){0};
	unsigned long head = strtoul(id, &end, 16);
	if (strspn(id, "0123456789abcdefABCDEF") != 8 || *end != '.')
		return err_set(err, ERR_USAGE,
			       "\"%s\" is no crash-state ID, expected TRACE.PROFILE.POINT.ANSWERS "
			       "as reports print it",
			       id);
	const char *rest = end + 1;
	const struct profile *profile = state_id_profile(rest);
	if (!profile)
		return err_set(err, ERR_USAGE,
			       "\"%s\" is no crash-state ID, expected TRACE.PROFILE.POINT.ANSWERS "
			       "with a profile of `powercut list profiles`",
			       id);
	int rc = find_target(store, id, (uint32_t)head, &row, &c->s.trace, err);
	if (!rc)
		rc = rebuild_first(store, &row, c, err);
	else if (rc == ERR_MISSING)
		rc = rebuild_nested(store, (uint32_t)head, profile, limits, tmp, c, err);
	if (rc)
		return rc;
	c->model = model_create(c->s.ops, profile);
	return state_from_id(c->model, rest, &c->state, &c->held, err);
}

void rebuilt_finish(struct rebuilt *c)
{
	model_destroy(c->model);
	judge_destroy(c->charge.judge);
	free((void *)(uintptr_t)c->s.name);
	buf_finish(&c->held);
	nested_finish(&c->nested);
	if (c->parent)
		trace_destroy(c->own);
	else
		trace_destroy(c->s.trace);
	target_destroy(c->target);
	free(c->check);
	free(c->parent);
	free(c->shown);
	if (c->base)
		rebuilt_finish(c->base);
	free(c->base);
	*c = (struct rebuilt){0};
}
