#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "clock.h"
#include "contract.h"
#include "mem.h"
#include "workload_record.h"

enum { NESTED_STATES_MAX = 32 /* crash states of one nested run */ };

uint64_t job_seed(const struct job *job)
{
	return job->what->seed ? job->what->seed : job->options->seed;
}

void job_finish(struct job *job)
{
	explore_destroy(job->explore);
	pool_destroy(job->s.pool);
	symbols_destroy(job->s.symbols);
	library_destroy(job->library);
	judge_destroy(job->charge.judge);
	trace_destroy(job->s.trace);
	workload_destroy(job->workload);
	target_destroy(job->target);
	buf_finish(&job->canonical);
}

/* ---- preparing: options → workload, contract ---- */

int job_make_workload(struct job *job)
{
	return workload_create(&job->workload_options, job->target->engine, &job->workload,
			       job->err);
}

int job_prepare(struct job *job)
{
	int rc = target_parse(job->what->spec, job->options->engines, &job->target, job->err);
	if (rc)
		return rc;
	job->workload_options = job->options->workload;
	if (job->what->mix)
		rc = workload_parse_mix(job->what->mix, &job->workload_options, job->err);
	if (!rc && job->what->workload)
		rc = workload_parse(job->what->workload, &job->workload_options, job->err);
	job->workload_options.seed = job_seed(job);
	if (!rc)
		rc = workload_expand(&job->workload_options, job->err);
	if (!rc)
		rc = job_make_workload(job);
	if (rc)
		return rc;
	job->target->engine->contract(&job->target->config, &job->contract);
	if (job->what->contract)
		rc = contract_override(job->what->contract, &job->contract, job->err);
	return rc;
}

/* ---- recording ---- */

/* A process may leave early with a good exit status; then the workload is not
 * the one that was asked for. */
static int check_ended(struct job *job)
{
	uint32_t ended = 0;
	for (size_t i = 0; i < job->s.trace->n_events; i++)
		ended += job->s.trace->events[i].kind == EVENT_OP_END;
	if (ended == job->workload->n_ops)
		return ERR_OK;
	return err_set(job->err, ERR_TARGET,
		       "%s: the process left after %u of %u operations of the workload, without "
		       "any crash",
		       job->what->spec, ended, job->workload->n_ops);
}

static int record_in(struct job *job, const char *parent)
{
	struct area area = {0};
	struct record_result result;
	int rc = area_create(parent, &area, job->err);
	if (rc)
		return rc;
	char *dir = mem_printf("%s/data", area.path);
	struct workload_record r = {.target = job->target,
				    .workload = job->workload,
				    .dir = dir,
				    .seed = job_seed(job),
				    .no_stacks = job->options->no_stacks};
	if (mkdir(dir, 0755))
		rc = err_sys(job->err, "%s", dir);
	if (!rc)
		rc = workload_record(&r, &job->s.trace, &result, job->err);
	if (!rc && (result.timed_out || !WIFEXITED(result.wait_status) ||
		    WEXITSTATUS(result.wait_status) != 0))
		rc = err_set(job->err, ERR_TARGET,
			     "%s: the workload itself did not run to its end (%s %d) without any "
			     "crash: nothing can be tested",
			     job->what->spec,
			     result.timed_out		       ? "time-out"
			     : WIFSIGNALED(result.wait_status) ? "signal"
							       : "exit status",
			     WIFSIGNALED(result.wait_status) ? WTERMSIG(result.wait_status)
			     : WIFEXITED(result.wait_status) ? WEXITSTATUS(result.wait_status)
							     : 0);
	if (!rc)
		rc = check_ended(job);
	free(dir);
	area_remove(&area);
	return rc;
}

static int record(struct job *job)
{
	char parent[AREA_PATH_MAX];
	int rc = area_choose(job->options->tmp, parent, job->err);
	if (!rc)
		rc = record_in(job, parent);
	if (!rc)
		rc = ops_lower(job->s.trace, &job->s.ops, job->err);
	if (!rc)
		rc = history_create(job->s.trace, &job->s.history, job->err);
	return rc;
}

/* ---- exploring ---- */

/* All that workers must know is in place before they are forked. */
static void describe_subject(struct job *job)
{
	job->s.name = job->what->spec;
	target_canonical(job->target, &job->canonical);
	job->s.canonical = buf_text(&job->canonical);
	job->s.contract = &job->contract;
	job->charge = (struct charge){job->s.history, &job->contract,
				      judge_create(job->s.history, &job->contract)};
	job->s.jury = jury_create(&job->charge);
	job->s.store = job->store;
	job->s.seed = job_seed(job);
}

/* Recoveries can be crashed in turn where there is something to recover.  A store
 * whose operations fail anyway is no better after a recovery. */
static bool may_nest(const struct job *job)
{
	return job->options->depth && job->s.history->n_keys && !job->s.history->failures;
}

static void prepare_recovery(struct job *job)
{
	const struct campaign_options *o = job->options;
	job->recover = (struct recover_engine){job->target, job->s.history};
	job->recover_job =
		(struct recover_job){.recover = recover_with_engine, .arg = &job->recover};
	if (!may_nest(job))
		return;
	session_init(&job->session, &job->recover, &job->contract, job->s.history,
		     job->s.trace->arena);
	job->nest = (struct nest){.subject = &job->s,
				  .session = &job->session,
				  .parent = job->parent,
				  .library = job->library,
				  .limits = o->limits,
				  .states_max = NESTED_STATES_MAX,
				  .depth = o->depth,
				  .runs_max = o->nested_max};
	job->recover_job.errand = nest_errand;
	job->recover_job.errand_arg = &job->nest;
	job->recover_job.answer_bytes = sizeof(struct nest_answer);
}

/* 0: no limit. */
static uint64_t states_max(const struct job *job)
{
	uint64_t max = job->options->states_max;
	if (job->what->states_max && job->what->states_max < max)
		max = job->what->states_max;
	return max == UINT64_MAX ? 0 : max;
}

static int start_exploring(struct job *job, uint64_t deadline_ns)
{
	const struct campaign_options *o = job->options;
	struct pool_options pool = {
		.jobs = o->jobs, .parent = job->parent, .limits = o->limits, .cpu = -1};
	int rc = area_choose(o->tmp, job->parent, job->err);
	if (rc)
		return rc;
	/* Workers are forked from here: what they need not have must not be there. */
	workload_destroy(job->workload);
	job->workload = NULL;
	job->library = library_create();
	prepare_recovery(job);
	describe_subject(job);
	rc = pool_create(job->s.ops, job->s.history, &job->recover_job, &pool, &job->s.pool,
			 job->err);
	if (rc)
		return rc;
	job->s.symbols = symbols_create(job->s.trace, job->library);
	job->explore_options = (struct explore_options){
		.states_max = states_max(job),
		.deadline_ns = deadline_ns,
		.stop = o->stop,
		.progress = o->progress,
		.progress_arg = o->progress_arg,
		.no_outcomes = o->no_outcomes,
		.nest = may_nest(job) ? &job->nest : NULL,
	};
	job->explore = explore_create(&job->s, &job->explore_options);
	return ERR_OK;
}

/* Private memory of this process in MiB. */
static double private_mib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	unsigned long kib, sum = 0;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Private_Clean: %lu", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %lu", &kib) == 1)
			sum += kib;
	if (f)
		fclose(f);
	return (double)sum / 1024;
}

/* The budget or a signal ended exploring under a profile. */
static int note_cut(struct job *job, const struct profile *profile)
{
	char *why =
		mem_printf("stopped under %s: %s; later profiles were not reached", profile->name,
			   job->options->stop && *job->options->stop ? "interrupted"
								     : "the time budget ran out");
	int rc = store_set_inconclusive(job->store, job->s.id, why, job->err);
	free(why);
	return rc;
}

static int explore_all(struct job *job)
{
	const struct profile *const *p = job->options->profiles;
	uint64_t start = clock_ns(), cpu = clock_cpu_ns(), workers = 0, recoveries;
	int rc = ERR_OK;
	bool cut = false;
	for (; *p && !rc && !cut; p++) {
		struct coverage_row row;
		rc = explore_profile(job->explore, *p, &row, &cut, job->err);
		job->tested += row.tested;
		job->recoveries += row.recovered;
		job->inconclusive = job->inconclusive || cut || row.inconclusive;
		if (!rc && cut)
			rc = note_cut(job, *p);
	}
	job->explore_ns = clock_ns() - start;
	job->states = explore_looked(job->explore);
	pool_cost(job->s.pool, &workers, &recoveries);
	job->own_cpu_ns = clock_cpu_ns() - cpu + workers;
	job->private_mib = private_mib();
	return rc;
}

/* ---- the whole ---- */

int job_run(struct job *job, uint64_t deadline_ns)
{
	int rc = job_prepare(job);
	if (!rc)
		rc = record(job);
	if (rc == ERR_TARGET)
		return job_add_failed_target(job);
	if (!rc)
		rc = job_add_target(job);
	if (!rc)
		rc = start_exploring(job, deadline_ns);
	if (!rc)
		rc = explore_all(job);
	if (!rc && job->options->live)
		rc = job_crash_live(job);
	if (!rc)
		rc = job_add_findings(job);
	if (!rc)
		rc = job_add_faults(job);
	if (!rc)
		rc = store_commit(job->store, job->err);
	return rc;
}
