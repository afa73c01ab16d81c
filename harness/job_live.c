#include "job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "live.h"
#include "mem.h"

enum { LIVE_PASSAGES = 3 };

/* Live crashes have rows beside those of the profiles. */
static int add_live_coverage(struct job *job, const struct live_result *r)
{
	struct coverage_row live = {
		.target = job->s.id,
		.profile = "live",
		.points = r->crashes,
		.possible = r->passages,
		.exact = true,
		.tested = r->crashes,
		.left_out = r->passages - r->crashes,
		.recovered = r->crashes,
		.violations = r->violations,
		.inconclusive = r->inconclusive,
		.loss = r->loss,
	};
	struct coverage_row power = r->power;
	power.target = job->s.id;
	power.profile = "live+power";
	int rc = store_add_coverage(job->store, &live, job->err);
	if (!rc && job->options->live_power)
		rc = store_add_coverage(job->store, &power, job->err);
	job->inconclusive = job->inconclusive || live.inconclusive || power.inconclusive;
	job->tested += live.tested + power.tested;
	return rc;
}

/* A live crash broke what the model's states did not: that must be seen. */
static int add_live_finding(struct job *job, const struct live_result *r)
{
	char *fingerprint = mem_printf(
		"%016" PRIx64, (uint64_t)XXH3_64bits_withSeed(
				       r->where, strlen(r->where),
				       XXH3_64bits(job->s.canonical, strlen(job->s.canonical))));
	struct finding_row row = {
		.target = job->s.id,
		.fingerprint = fingerprint,
		.rule = RULE_O2,
		.rules = RULE_BIT(RULE_O2),
		.title = r->text,
		.cause = "a real kill of the process at this fault point",
		.before = r->where,
		.profiles = "kill",
		.minimal = "kill",
		.explanation = "Seen by killing the process, not by the model.",
		.states = r->violations,
	};
	job->findings++;
	job->unexpected++;
	int rc = store_add_finding(job->store, &row, job->err);
	free(fingerprint);
	return rc;
}

int job_crash_live(struct job *job)
{
	const struct campaign_options *o = job->options;
	struct explore_options explore = job->explore_options;
	explore.nest = NULL;
	struct live_options options = {
		.target = job->target,
		.limits = &o->limits,
		.parent = o->tmp,
		.power = o->live_power,
		.profiles = o->profiles,
		.explore = &explore,
		.jobs = o->jobs,
		.passages_max = LIVE_PASSAGES,
	};
	struct live_result result;
	int rc = job_make_workload(job);
	options.workload = job->workload;
	if (!rc)
		rc = live_run(&job->s, &options, &result, job->err);
	if (rc)
		return rc;
	if (result.mismatches)
		return err_set(job->err, ERR_INTERNAL,
			       "%s: a live crash left what the recorded trace does not contain: %s",
			       job->what->spec, result.text);
	rc = add_live_coverage(job, &result);
	bool known = causes_count(explore_causes(job->explore)) > 0;
	if (!rc && (result.violations || result.power.violations) && !known)
		rc = add_live_finding(job, &result);
	return rc;
}
