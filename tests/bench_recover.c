/* Not a test: recoveries a second beside bare forks, on one CPU, in one run.
 *
 *   bench_recover [ENGINE[:OPTIONS]] [OPERATIONS] [RECOVERIES]
 *
 * Records a workload, then recovers the states of its crash points in turn,
 * with one worker; in between, forks a process that does nothing, of the same
 * size.  Rounds of both alternate, so that other load hits both alike. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "faults.h"
#include "record.h"
#include "recover.h"
#include "target.h"
#include "workload.h"

enum { ROUNDS = 10, CPU = 0 };

struct bench {
	struct target *target;
	struct workload *workload;
	char dir[64];
	struct trace *trace;
	struct ops *ops;
	struct history *history;
	struct pool *pool;
	uint32_t n_ops;
	uint32_t recoveries; /* a round */
	uint32_t point;
	uint64_t ends[RECOVERY_BROKEN + 1];
	double recover_s, fork_s; /* best round */
};

static void check(int rc, const struct err *err)
{
	if (rc == ERR_OK)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

static int work(void *arg)
{
	struct bench *b = arg;
	struct engine_error error;
	return workload_run(b->workload, b->target->engine, &b->target->config, b->dir, NULL,
			    &error);
}

static void prepare(struct bench *b, const char *target)
{
	extern const struct engine *const engine_table[];
	struct err err = {0};
	struct record_result result;
	char command[128];
	struct workload_options options = {.ops = b->n_ops, .seed = 1};
	check(target_parse(target, engine_table, &b->target, &err), &err);
	check(workload_expand(&options, &err), &err);
	check(workload_create(&options, b->target->engine, &b->workload, &err), &err);
	snprintf(b->dir, sizeof b->dir, "/tmp/bench-recover-XXXXXX");
	if (!mkdtemp(b->dir))
		exit(1);
	struct record_options record = {
		.root = b->dir, .function = work, .arg = b, .no_stacks = true};
	b->trace = trace_create();
	check(record_run(&record, b->trace, &result, &err), &err);
	snprintf(command, sizeof command, "rm -rf %s", b->dir);
	if (system(command) != 0)
		exit(1);
	workload_destroy(b->workload);
	b->workload = NULL;
	check(ops_lower(b->trace, &b->ops, &err), &err);
	check(history_create(b->trace, &b->history, &err), &err);
}

static void recover_round(struct bench *b)
{
	struct err err = {0};
	struct recovery recovery;
	uint64_t before = clock_ns();
	for (uint32_t submitted = 0, taken = 0; taken < b->recoveries;) {
		struct state s = {.point = b->point % (b->ops->n_steps + 1),
				  .tear = {.object = NONE}};
		if (submitted < b->recoveries && pool_submit(b->pool, &s, 0)) {
			submitted++;
			b->point++;
			continue;
		}
		check(pool_wait(b->pool, &recovery, &err), &err);
		b->ends[recovery.end]++;
		taken++;
	}
	double s = (double)(clock_ns() - before) / 1e9 / b->recoveries;
	if (b->recover_s == 0 || s < b->recover_s)
		b->recover_s = s;
}

static void fork_round(struct bench *b)
{
	uint64_t before = clock_ns();
	for (uint32_t i = 0; i < b->recoveries; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	double s = (double)(clock_ns() - before) / 1e9 / b->recoveries;
	if (b->fork_s == 0 || s < b->fork_s)
		b->fork_s = s;
}

static void print(const struct bench *b)
{
	uint64_t cpu_ns, recoveries;
	pool_cost(b->pool, &cpu_ns, &recoveries);
	printf("%u operations, %u micro-ops, %u objects\n", b->n_ops, b->ops->n_micros,
	       b->ops->n_objects);
	printf("bare fork and wait   %8.1f us\n", b->fork_s * 1e6);
	printf("recovery             %8.1f us, of which worker CPU %.1f us\n", b->recover_s * 1e6,
	       (double)cpu_ns / 1e3 / (double)recoveries);
	printf("ratio                %8.2f\n", b->fork_s / b->recover_s);
	for (int i = 0; i <= RECOVERY_BROKEN; i++)
		if (b->ends[i])
			printf("end %d: %llu times\n", i, (unsigned long long)b->ends[i]);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct bench b = {.n_ops = argc > 2 ? (uint32_t)atoi(argv[2]) : 100,
			  .recoveries = argc > 3 ? (uint32_t)atoi(argv[3]) / ROUNDS : 300};
	prepare(&b, argc > 1 ? argv[1] : "wal");
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(CPU, &set);
	sched_setaffinity(0, sizeof set, &set);
	struct recover_engine engine = {b.target, b.history};
	struct recover_job job = {recover_with_engine, &engine};
	struct pool_options options = {.jobs = 1, .cpu = CPU};
	check(pool_create(b.ops, b.history, &job, &options, &b.pool, &err), &err);
	for (int i = 0; i < ROUNDS; i++) {
		recover_round(&b);
		fork_round(&b);
	}
	print(&b);
	pool_destroy(b.pool);
	trace_destroy(b.trace);
	workload_destroy(b.workload);
	target_destroy(b.target);
	return 0;
}
