#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "clock.h"
#include "mem.h"

uint64_t job_seed(const struct job *job)
{
	return job->what->seed ? job->what->seed : job->options->seed;
}

void job_init(struct job *job)
{
	job->kind = job->what->command ? &job_of_command : &job_of_engine;
	job->limits = job->options->limits;
}

void job_finish(struct job *job)
{
	explore_destroy(job->explore);
	pool_destroy(job->s.pool);
	symbols_destroy(job->s.symbols);
	library_destroy(job->library);
	job->kind->finish(job);
	trace_destroy(job->s.trace);
	buf_finish(&job->canonical);
}

/* ---- recording ---- */

static int record_in(struct job *job, const char *parent)
{
	struct area area = {0};
	int rc = area_create(parent, &area, job->err);
	if (rc)
		return rc;
	char *dir = mem_printf("%s/data", area.path);
	if (mkdir(dir, 0755))
		rc = err_sys(job->err, "%s", dir);
	if (!rc)
		rc = job->kind->record(job, dir);
	free(dir);
	area_remove(&area);
	return rc;
}

/* Records once more, and holds that against what was recorded first. */
static int record_again(struct job *job, const char *parent)
{
	struct trace *first = job->s.trace;
	struct buf difference = {0};
	job->s.trace = NULL;
	int rc = record_in(job, parent);
	if (!rc && trace_differ(first, job->s.trace, &difference))
		rc = err_set(job->err, ERR_USAGE,
			     "%s: the workload does not do the same when it is run again: %s",
			     job->what->spec, buf_text(&difference));
	trace_destroy(job->s.trace);
	job->s.trace = first;
	buf_finish(&difference);
	return rc;
}

static int record(struct job *job)
{
	char parent[AREA_PATH_MAX];
	int rc = area_choose(job->options->tmp, parent, job->err);
	if (!rc)
		rc = record_in(job, parent);
	if (!rc && job->options->twice)
		rc = record_again(job, parent);
	if (!rc)
		rc = ops_lower(job->s.trace, &job->s.ops, job->err);
	if (!rc)
		rc = history_create(job->s.trace, &job->s.history, job->err);
	return rc;
}

/* ---- exploring ---- */

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
	struct pool_options pool = {.jobs = o->jobs,
				    .parent = job->parent,
				    .limits = job->limits,
				    .stop = o->stop,
				    .cpu = -1};
	int rc = area_choose(o->tmp, job->parent, job->err);
	if (rc)
		return rc;
	/* Workers are forked from here: all that they must know is in place. */
	job->library = library_create();
	job->s.name = job->what->spec;
	job->s.store = job->store;
	job->s.seed = job_seed(job);
	rc = job->kind->arrange(job);
	if (rc)
		return rc;
	job->s.canonical = buf_text(&job->canonical);
	rc = pool_create(job->s.ops, job->s.history, &job->recover_job, &pool, &job->s.pool,
			 job->err);
	if (rc)
		return rc;
	if (job->kind->try_out && (rc = job->kind->try_out(job)))
		return rc;
	job->s.symbols = symbols_create(job->s.trace, job->library);
	job->explore_options = (struct explore_options){
		.states_max = states_max(job),
		.deadline_ns = deadline_ns,
		.stop = o->stop,
		.progress = o->progress,
		.progress_arg = o->progress_arg,
		.no_outcomes = o->no_outcomes,
		.nest = job->nests ? &job->nest : NULL,
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
static int note_cut(struct job *job, const char *profile)
{
	char *why =
		mem_printf("stopped under %s: %s; later profiles were not reached", profile,
			   job->options->stop && *job->options->stop ? "interrupted"
								     : "the time budget ran out");
	int rc = store_set_inconclusive(job->store, job->s.id, why, job->err);
	free(why);
	return rc;
}

/* What a profile came to. */
static int add_row(struct job *job, const struct coverage_row *row, bool cut)
{
	job->tested += row->tested;
	job->recoveries += row->recovered;
	job->inconclusive = job->inconclusive || cut || row->inconclusive;
	return cut ? note_cut(job, row->profile) : ERR_OK;
}

static int explore_profiles(struct job *job)
{
	int rc = ERR_OK;
	bool cut = false;
	for (const struct profile *const *p = job->options->profiles; *p && !rc && !cut; p++) {
		struct coverage_row row;
		rc = explore_profile(job->explore, *p, &row, &cut, job->err);
		if (!rc)
			rc = add_row(job, &row, cut);
	}
	return rc;
}

/* Real file systems instead of profiles. */
static int explore_file_systems(struct job *job)
{
	const struct campaign_options *o = job->options;
	struct buf why = {0};
	int rc = ERR_OK;
	bool cut = false;
	for (const struct file_system *const *fs = o->on; *fs && !rc && !cut; fs++) {
		struct coverage_row row;
		const struct explore_real_options real = {
			.lab = job->lab,
			.fs = *fs,
			.job = &job->recover_job,
			.states_max = (uint32_t)job->explore_options.states_max,
			.jobs = o->jobs,
			.limits = job->limits,
		};
		buf_string(&why, why.len ? "; " : "");
		rc = explore_real(job->explore, &real, &row, &why, &cut, job->err);
		if (!rc)
			rc = add_row(job, &row, cut);
	}
	if (!rc && !cut && why.len)
		rc = store_set_inconclusive(job->store, job->s.id, buf_text(&why), job->err);
	buf_finish(&why);
	return rc;
}

static int explore_all(struct job *job)
{
	uint64_t start = clock_ns(), cpu = clock_cpu_ns(), workers = 0, recoveries;
	int rc = job->options->on ? explore_file_systems(job) : explore_profiles(job);
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
	int rc = job->kind->prepare(job);
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
