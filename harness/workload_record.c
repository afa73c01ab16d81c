#include "workload_record.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

int recorded_child_begin(const struct target *target, uint64_t seed, struct err *err)
{
	dup2(STDERR_FILENO, STDOUT_FILENO);
	signal(SIGTERM, SIG_DFL); /* a worker's is no engine's */
	int rc = faults_init(seed, err);
	if (!rc)
		rc = faults_mark(err);
	return rc ? rc : target_plant(target, err);
}

int workload_record_child(void *arg)
{
	const struct workload_record *r = arg;
	struct err err;
	struct engine_error own = {{0}}, *error = r->error ? r->error : &own;
	int rc = recorded_child_begin(r->target, r->seed, &err);
	if (!rc && r->kill_at)
		rc = faults_kill_at(r->kill_at, r->kill_passage, &err);
	if (rc) {
		fprintf(stderr, "powercut: %s\n", err.text);
		return 1;
	}
	rc = workload_run(r->workload, r->target->engine, &r->target->config, r->dir, r->progress,
			  error);
	if (rc && !r->error)
		fprintf(stderr, "powercut: %s: %s\n", r->target->engine->name, error->text);
	return rc ? 1 : 0;
}

int workload_record(const struct workload_record *r, struct trace **trace,
		    struct record_result *result, struct err *err)
{
	struct workload_record copy = *r;
	struct record_options options = {
		.stop = r->stop,
		.root = r->dir,
		.function = workload_record_child,
		.arg = &copy,
		.no_stacks = r->no_stacks,
	};
	*trace = trace_create();
	int rc = record_run(&options, *trace, result, err);
	if (rc) {
		trace_destroy(*trace);
		*trace = NULL;
		return err_wrap(err, "recording %s", r->target->engine->name);
	}
	return ERR_OK;
}
