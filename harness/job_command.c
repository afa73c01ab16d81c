/* A job whose target is a command: its workload runs as it is, and its checker says
 * of each crash state whether it is acceptable. */
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "mem.h"
#include "words.h"

static int prepare(struct job *job)
{
	command_limits(&job->limits);
	return command_check(job->what->command, job->err);
}

static int record(struct job *job, const char *dir)
{
	const struct command *c = job->what->command;
	const struct command_run run = {.ms = job->options->run_ms,
					.no_stacks = job->options->no_stacks,
					.stop = job->options->stop};
	if (strpbrk(dir, " \t\n'\"\\$`&|;<>()*?[#~!"))
		return err_set(job->err, ERR_USAGE,
			       "%s has characters in it that a shell would take apart: choose "
			       "another directory with --tmp DIR",
			       dir);
	return command_record(c, dir, &run, &job->s.trace, job->err);
}

static void describe(const struct job *job, struct target_words *words, struct target_row *row)
{
	const struct command *c = job->what->command;
	buf_string(&words->options, c->check);
	words_join(c->workload, &words->workload);
	if (c->setup)
		buf_printf(&words->workload, ", after %s", c->setup);
	buf_string(&words->contract, "what the checker accepts");
	row->engine = STORE_COMMAND;
	for (size_t i = 0; job->s.trace && i < job->s.trace->n_events; i++)
		row->changes += job->s.trace->events[i].kind == EVENT_ACK;
	row->operations = row->changes;
}

/* The name of a program, wherever it lies, and its arguments: what findings go by. */
static void put_canonical(const struct command *c, struct buf *out)
{
	struct buf all = {0};
	words_join(c->workload, &all);
	const char *slash = strrchr(c->workload[0], '/');
	size_t skip = slash ? (size_t)(slash + 1 - c->workload[0]) : 0;
	buf_string(out, buf_text(&all) + skip);
	buf_finish(&all);
}

static int arrange(struct job *job)
{
	checker_init(&job->checker, job->what->command->check, job->s.ops);
	job->recover_job = checker_job(&job->checker);
	put_canonical(job->what->command, &job->canonical);
	job->s.contract = &job->contract;
	job->s.jury = command_jury(&job->checker);
	return ERR_OK;
}

/* The checker must accept what the workload left without any crash. */
static int try_out(struct job *job)
{
	struct state end = {.point = job->s.ops->n_steps, .tear = {.object = NONE}};
	struct recovery r;
	if (trace_inconclusive(job->s.trace))
		return ERR_OK; /* what it left is not known */
	int rc = pool_run(job->s.pool, &end, &r, job->err);
	if (rc || r.end == RECOVERY_OK)
		return rc;
	return err_set(job->err, recovery_unsure(&r) ? ERR_TARGET : ERR_USAGE,
		       "the checker does not accept what the workload left without any crash "
		       "(%s): nothing can be tested",
		       r.text);
}

static void finish(struct job *job)
{
	(void)job;
}

const struct job_kind job_of_command = {prepare, record, describe, arrange, try_out, finish};
