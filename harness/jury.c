#include "jury.h"

/* ---- the jury of a recorded workload ---- */

static struct bounds first_bounds(const void *arg, uint32_t n_events, bool power)
{
	const struct charge *c = arg;
	return history_bounds(c->history, c->contract, n_events, power);
}

static void first_judge(const void *arg, const struct contents *contents,
			const struct bounds *bounds, struct verdict *verdict)
{
	const struct charge *c = arg;
	*verdict = (struct verdict){0};
	/* A guest is nothing that this history knows of. */
	for (uint32_t i = 0; i < contents->n_keys; i++)
		if (contents->write[i] > c->history->n_writes &&
		    contents->write[i] != CONTENTS_INVENTED)
			verdict->broken = RULE_BIT(RULE_O3);
	if (!verdict->broken)
		judge_contents(c->judge, contents, bounds, verdict);
}

static void first_explain(const void *arg, const struct contents *contents,
			  const struct bounds *bounds, enum rule rule, struct buf *out)
{
	const struct charge *c = arg;
	judge_explain(c->judge, contents, bounds, rule, out);
}

static enum rule first_failed(const void *arg, const struct recovery *r,
			      const struct bounds *bounds, enum rule rule)
{
	(void)arg;
	(void)r;
	(void)bounds;
	return rule;
}

struct jury jury_create(const struct charge *charge)
{
	return (struct jury){.bounds = first_bounds,
			     .judge = first_judge,
			     .explain = first_explain,
			     .failed = first_failed,
			     .arg = charge};
}

/* ---- any recovery ---- */

bool recovery_unsure(const struct recovery *r)
{
	return r->end == RECOVERY_UNSTABLE || r->end == RECOVERY_BROKEN;
}

static uint32_t failed(const struct jury *jury, const struct recovery *r,
		       const struct bounds *bounds, enum rule rule)
{
	return RULE_BIT(jury->failed(jury->arg, r, bounds, rule));
}

void jury_judge(const struct jury *jury, const struct recovery *r, const struct bounds *bounds,
		struct verdict *verdict)
{
	*verdict = (struct verdict){0};
	if (recovery_unsure(r))
		return;
	if (r->end == RECOVERY_OK)
		jury->judge(jury->arg, r->contents, bounds, verdict);
	if (r->end != RECOVERY_OK || r->survivors)
		verdict->broken |= failed(jury, r, bounds, RULE_O1);
	else if (r->conduct.disagreement[0])
		verdict->broken |= failed(jury, r, bounds, RULE_O8);
}

void jury_explain(const struct jury *jury, const struct recovery *r, const struct bounds *bounds,
		  enum rule rule, struct buf *out)
{
	size_t before = out->len;
	if (r->end != RECOVERY_OK) {
		buf_string(out, r->text);
		return;
	}
	jury->explain(jury->arg, r->contents, bounds, rule, out);
	if (out->len == before && r->survivors)
		buf_string(out, "recovery left a process behind");
	else if (out->len == before)
		buf_string(out, r->conduct.disagreement);
}

enum rule first_rule(uint32_t broken)
{
	return broken ? (enum rule)__builtin_ctz(broken) : (enum rule)0;
}
