/* A job whose target is an engine: our workload drives it, and what it recovers is
 * held against the history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "contract.h"
#include "job.h"
#include "mem.h"
#include "workload_record.h"

/* ---- preparing: options → workload, contract ---- */

int job_make_workload(struct job *job)
{
	return workload_create(&job->workload_options, job->target->engine, &job->workload,
			       job->err);
}

static int prepare(struct job *job)
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
	rc = contract_check(&job->contract, job->target->engine->name, job->err);
	if (!rc && job->what->contract)
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

/* Without any crash.  A program that does not do what was agreed is bad input, and
 * not a store that was tested. */
static int did_not_end(struct job *job, const struct record_result *result,
		       const struct engine_error *error)
{
	int status = result->wait_status;
	char how[32] = "time-out";
	if (!result->timed_out && WIFSIGNALED(status))
		snprintf(how, sizeof how, "signal %d", WTERMSIG(status));
	else if (!result->timed_out)
		snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(status));
	return err_set(job->err, job->target->row->make ? ERR_USAGE : ERR_TARGET,
		       "%s: the workload itself did not run to its end (%s%s%.*s) without any "
		       "crash: nothing can be tested",
		       job->what->spec, how, error->text[0] ? ": " : "", (int)sizeof error->text,
		       error->text);
}

static int record(struct job *job, const char *dir)
{
	struct record_result result;
	struct workload_record r = {.target = job->target,
				    .workload = job->workload,
				    .dir = dir,
				    .seed = job_seed(job),
				    .stop = job->options->stop,
				    .no_stacks = job->options->no_stacks,
				    .error = mem_map_shared(sizeof *r.error)};
	if (!r.error)
		return err_sys(job->err, "shared memory");
	int rc = workload_record(&r, &job->s.trace, &result, job->err);
	if (!rc && r.stop && *r.stop)
		return err_set(job->err, ERR_TARGET,
			       "%s: interrupted while the workload was recorded", job->what->spec);
	if (!rc && (result.timed_out || !WIFEXITED(result.wait_status) ||
		    WEXITSTATUS(result.wait_status) != 0))
		rc = did_not_end(job, &result, r.error);
	mem_unmap(r.error, sizeof *r.error);
	return rc ? rc : check_ended(job);
}

/* Operations fail although nothing was injected: then what was tested is not
 * what was asked for. */
static void put_failed_operations(const struct job *job, struct buf *out)
{
	const struct trace *t = job->s.trace;
	const struct event *first = NULL;
	uint32_t n = 0;
	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].kind == EVENT_OP_END && t->events[i].data_length) {
			first = first ? first : &t->events[i];
			n++;
		}
	if (n)
		buf_printf(out, "%u of %u operations failed without any crash, the first: %.*s", n,
			   job->workload->n_ops, (int)first->data_length,
			   (const char *)first->data);
}

static void describe(const struct job *job, struct target_words *words, struct target_row *row)
{
	target_describe(job->target, &words->options);
	workload_describe(&job->workload_options, &words->workload);
	contract_describe(&job->contract, &words->contract);
	row->engine = job->target->source;
	row->operations = job->workload->n_ops;
	if (job->s.history) {
		row->changes = job->s.history->n_changes;
		put_failed_operations(job, &words->failures);
	}
}

/* ---- recovering and judging ---- */

/* Recoveries can be crashed in turn where there is something to recover.  A store
 * whose operations fail anyway is no better after a recovery. */
static bool may_nest(const struct job *job)
{
	return job->options->depth && job->s.history->n_keys && !job->s.history->failures;
}

static uint64_t nested_max(const struct job *job)
{
	uint64_t max = job->options->nested_max, own = job->what->nested_max;
	return own && own < max ? own : max;
}

static void prepare_recoveries(struct job *job)
{
	const struct campaign_options *o = job->options;
	/* Workers are forked soon: what they need not have must not be there. */
	workload_destroy(job->workload);
	job->workload = NULL;
	job->recover = (struct recover_engine){job->target, job->s.history};
	job->recover_job =
		(struct recover_job){.recover = recover_with_engine, .arg = &job->recover};
	if (!may_nest(job))
		return;
	session_init(&job->session, &job->recover, &job->contract, job->s.history, job->s.trace);
	job->nests = true;
	uint64_t states = o->nested_states == UINT64_MAX ? 0 : o->nested_states;
	job->nest = (struct nest){.subject = &job->s,
				  .session = &job->session,
				  .parent = job->parent,
				  .library = job->library,
				  .limits = o->limits,
				  .states_max = states,
				  .depth = o->depth,
				  .runs_max = nested_max(job)};
	job->recover_job.errand = nest_errand;
	job->recover_job.errand_arg = &job->nest;
	job->recover_job.answer_bytes = sizeof(struct nest_answer);
}

static int arrange(struct job *job)
{
	prepare_recoveries(job);
	target_canonical(job->target, &job->canonical);
	job->s.contract = &job->contract;
	job->charge = (struct charge){job->s.history, &job->contract,
				      judge_create(job->s.history, &job->contract)};
	job->s.jury = jury_create(&job->charge);
	return ERR_OK;
}

static void finish(struct job *job)
{
	judge_destroy(job->charge.judge);
	workload_destroy(job->workload);
	target_destroy(job->target);
}

const struct job_kind job_of_engine = {prepare, record, describe, arrange, NULL, finish};
