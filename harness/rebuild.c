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

static int rebuild_target(struct rebuilt *c, const struct target_row *row, struct err *err)
{
	char *spec = mem_printf("%s:%s", row->engine, row->options);
	int rc = target_parse(spec, engine_table, &c->target, err);
	free(spec);
	if (!rc)
		rc = contract_parse(row->contract, &c->contract, err);
	if (rc)
		return rc;
	c->s.name = mem_printf("%s", row->name);
	c->s.id = row->id;
	c->s.seed = row->seed;
	c->s.contract = &c->contract;
	c->recover = (struct recover_engine){c->target, c->s.history};
	c->recover_job = (struct recover_job){recover_with_engine, &c->recover};
	return ERR_OK;
}

int rebuild_state(struct store *store, const char *id, struct rebuilt *c, struct err *err)
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
		return err_set(err, ERR_USAGE, "\"%s\" names no known profile", id);
	int rc = find_target(store, id, (uint32_t)head, &row, &c->s.trace, err);
	c->s.store = store;
	if (!rc)
		rc = ops_lower(c->s.trace, &c->s.ops, err);
	if (!rc)
		rc = history_create(c->s.trace, &c->s.history, err);
	if (!rc)
		rc = rebuild_target(c, &row, err);
	if (!rc) {
		c->s.identity = trace_identity(c->s.trace);
		c->charge = (struct charge){c->s.history, &c->contract,
					    judge_create(c->s.history, &c->contract)};
		c->s.jury = jury_create(&c->charge);
		c->model = model_create(c->s.ops, profile);
		rc = state_from_id(c->model, rest, &c->state, &c->held, err);
	}
	return rc;
}

void rebuilt_finish(struct rebuilt *c)
{
	model_destroy(c->model);
	judge_destroy(c->charge.judge);
	trace_destroy(c->s.trace);
	target_destroy(c->target);
	free((void *)(uintptr_t)c->s.name);
	buf_finish(&c->held);
	*c = (struct rebuilt){0};
}
