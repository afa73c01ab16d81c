#include "bench.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "campaign.h"
#include "clock.h"
#include "mem.h"
#include "record.h"
#include "target.h"

enum {
	CALLS = 20000,
	CALL_BYTES = 100,
	ROUNDS_DEFAULT = 3,
	FORK_NS = 500000000,
	CHECKS = 1500,
	SQLITE_STATES = 3000
};

struct bench {
	const struct bench_options *options;
	struct bench_result *result;
	struct area area;
	struct err *err;
};

static int pin(int cpu, cpu_set_t *before)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_getaffinity(0, sizeof *before, before) ||
	       sched_setaffinity(0, sizeof one, &one);
}

static double best(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

/* ---- forks and recoveries ---- */

static double forks_per_second(void)
{
	uint64_t start = clock_ns(), now = start;
	uint64_t n = 0;
	for (; now - start < FORK_NS; now = clock_ns(), n++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		while (waitpid(pid, NULL, 0) < 0)
			continue;
	}
	return (double)n * 1e9 / (double)(now - start);
}

static int run_engine(struct bench *b, const char *spec, const char *mix, uint32_t ops,
		      uint64_t states_max, struct campaign_result *result)
{
	const struct campaign_target targets[] = {{.spec = spec, .mix = mix}, {0}};
	const struct profile *profiles[] = {profile_find("posix"), NULL};
	struct campaign_options options = {
		.targets = targets,
		.profiles = profiles,
		.workload = {.ops = ops},
		.states_max = states_max,
		.depth = UINT32_MAX, /* recoveries that are recorded take another kind of time */
		.jobs = 1,
		.tmp = b->options->tmp,
		.command = "bench",
		.no_stacks = true,
	};
	struct store *store = NULL;
	char *path = mem_printf("%s/bench.db", b->area.path);
	unlink(path);
	int rc = store_create(path, &store, b->err);
	if (!rc)
		rc = campaign_run(&options, store, result, b->err);
	store_close(store);
	free(path);
	return rc;
}

static int run_wal(struct bench *b, const char *mix, uint32_t ops, uint64_t states_max,
		   struct campaign_result *result)
{
	return run_engine(b, "wal:variant=hardened,sync=sync", mix, ops, states_max, result);
}

/* Forks and recoveries take turns; the best of each counts.  A campaign before
 * them brings this process to the size that it has while it explores. */
static int measure_recoveries(struct bench *b, uint32_t rounds)
{
	struct bench_result *result = b->result;
	struct campaign_result r;
	int rc = run_wal(b, "put=80,delete=20", 100, UINT64_MAX, &r);
	for (uint32_t i = 0; i < rounds && !rc; i++) {
		double forks = forks_per_second();
		rc = run_wal(b, "put=80,delete=20", 100, UINT64_MAX, &r);
		if (rc)
			break;
		double seconds = (double)r.explore_ns / 1e9;
		double recoveries = (double)r.recoveries / seconds;
		if (forks > result->forks_per_s)
			result->forks_per_s = forks;
		if (recoveries > result->recoveries_per_s) {
			result->recoveries_per_s = recoveries;
			result->states_per_s = (double)r.states / seconds;
		}
	}
	if (!rc)
		result->recovery_ratio = result->recoveries_per_s / result->forks_per_s;
	return rc;
}

/* ---- a real store, as a plug-in ---- */

static int measure_sqlite(struct bench *b, uint32_t rounds)
{
	struct bench_result *result = b->result;
	struct target *target;
	struct err none;
	if (target_parse("sqlite", engine_table, &target, &none))
		return ERR_OK;
	target_destroy(target);
	for (uint32_t i = 0; i < rounds; i++) {
		struct campaign_result r;
		int rc = run_engine(b, "sqlite:journal=delete,synchronous=extra",
				    "put=80,delete=20", 60, SQLITE_STATES, &r);
		if (rc)
			return rc;
		double recoveries = (double)r.recoveries * 1e9 / (double)r.explore_ns;
		if (recoveries > result->sqlite_per_s)
			result->sqlite_per_s = recoveries;
	}
	result->sqlite_ratio = result->sqlite_per_s / result->forks_per_s;
	return ERR_OK;
}

/* ---- checks ---- */

static int run_command(struct bench *b, struct campaign_result *result)
{
	const char *const workload[] = {b->options->self, "bench", "--store", "{dir}", NULL};
	char *check = mem_printf("'%s' bench --check {dir}", b->options->self);
	char *setup = mem_printf("'%s' bench --store {dir}", b->options->self);
	struct command command = {.workload = workload, .check = check, .setup = setup};
	const struct campaign_target targets[] = {{.spec = "bench", .command = &command}, {0}};
	const struct profile *profiles[] = {profile_find("posix"), NULL};
	struct campaign_options options = {
		.targets = targets,
		.profiles = profiles,
		.states_max = CHECKS,
		.jobs = 1,
		.tmp = b->options->tmp,
		.command = "bench",
		.no_stacks = true,
	};
	struct store *store = NULL;
	char *path = mem_printf("%s/bench.db", b->area.path);
	unlink(path);
	int rc = store_create(path, &store, b->err);
	if (!rc)
		rc = campaign_run(&options, store, result, b->err);
	if (!rc && result->exit_code)
		rc = err_set(b->err, ERR_INTERNAL, "the benchmark's own store is not sound");
	store_close(store);
	free(path);
	free(check);
	free(setup);
	return rc;
}

static int measure_checks(struct bench *b, uint32_t rounds)
{
	struct bench_result *result = b->result;
	for (uint32_t i = 0; i < rounds; i++) {
		struct campaign_result r;
		int rc = run_command(b, &r);
		if (rc)
			return rc;
		double checks = (double)r.recoveries * 1e9 / (double)r.explore_ns;
		if (checks > result->checks_per_s)
			result->checks_per_s = checks;
	}
	result->check_ratio = result->checks_per_s / result->forks_per_s;
	return ERR_OK;
}

/* ---- the harness's own time and memory ---- */

/* With the default mix, which compacts: the store stays small, so that what grows
 * with the workload is the harness's work and not the recoveries', which would
 * leave cold caches behind them. */
static int measure_cpu(struct bench *b)
{
	struct campaign_result small, large;
	int rc = run_wal(b, NULL, 100, UINT64_MAX, &small);
	if (!rc)
		rc = run_wal(b, NULL, 10000, 20000, &large);
	if (rc)
		return rc;
	b->result->cpu_100_us = (double)small.own_cpu_ns / 1e3 / (double)small.states;
	b->result->cpu_10000_us = (double)large.own_cpu_ns / 1e3 / (double)large.states;
	b->result->private_mib = large.private_mib;
	return ERR_OK;
}

/* ---- recorded calls ---- */

int bench_calls(const char *dir, struct err *err)
{
	char bytes[CALL_BYTES];
	char *path = mem_printf("%s/calls", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), rc = ERR_OK;
	memset(bytes, 'x', sizeof bytes);
	for (int i = 0; i < CALLS && fd >= 0; i++)
		if (pwrite(fd, bytes, sizeof bytes, (off_t)(i % 64) * CALL_BYTES) < 0)
			break;
	if (fd < 0 || close(fd))
		rc = err_sys(err, "%s", path);
	free(path);
	return rc;
}

/* Runs a program to its end; its wall time, or 0 where it failed. */
static uint64_t time_program(char *const *argv)
{
	uint64_t start = clock_ns();
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		if (null >= 0 && dup2(null, 1) >= 0 && dup2(null, 2) >= 0)
			execvp(argv[0], argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		continue;
	return pid > 0 && status == 0 ? clock_ns() - start : 0;
}

static int time_recording(struct bench *b, const char *dir, char *const *argv, bool stacks,
			  uint64_t *ns)
{
	struct trace *trace = trace_create();
	struct record_options options = {.root = dir, .argv = argv, .no_stacks = !stacks};
	struct record_result result = {0};
	uint64_t start = clock_ns();
	int rc = record_run(&options, trace, &result, b->err);
	*ns = clock_ns() - start;
	trace_destroy(trace);
	return rc;
}

/* Microseconds a call by which one time exceeds another. */
static double added(uint64_t ns, uint64_t bare_ns)
{
	return ns > bare_ns ? (double)(ns - bare_ns) / 1e3 / CALLS : 0;
}

static int time_round(struct bench *b, const char *dir, const char *log)
{
	struct bench_result *r = b->result;
	char *const bare[] = {(char *)(uintptr_t)b->options->self, (char *)(uintptr_t) "bench",
			      (char *)(uintptr_t) "--calls", (char *)(uintptr_t)dir, NULL};
	char *const traced[] = {(char *)(uintptr_t) "strace",
				(char *)(uintptr_t) "-f",
				(char *)(uintptr_t) "--seccomp-bpf",
				(char *)(uintptr_t) "-e",
				(char *)(uintptr_t) "trace=open,openat,creat,pwrite64,write,fsync",
				(char *)(uintptr_t) "-o",
				(char *)(uintptr_t)log,
				bare[0],
				bare[1],
				bare[2],
				bare[3],
				NULL};
	uint64_t plain = time_program(bare), ns = 0;
	if (!plain)
		return err_set(b->err, ERR_IO, "%s bench --calls %s failed", bare[0], dir);
	r->call_bare_us = best(r->call_bare_us, (double)plain / 1e3 / CALLS);
	int rc = time_recording(b, dir, bare, false, &ns);
	r->call_us = best(r->call_us, added(ns, plain));
	if (!rc)
		rc = time_recording(b, dir, bare, true, &ns);
	r->call_stacks_us = best(r->call_stacks_us, added(ns, plain));
	uint64_t strace = time_program(traced);
	if (strace)
		r->strace_us = best(r->strace_us, added(strace, plain));
	return rc;
}

static int measure_calls(struct bench *b, uint32_t rounds)
{
	char *dir = mem_printf("%s/calls", b->area.path);
	char *log = mem_printf("%s/strace", b->area.path);
	int rc = mkdir(dir, 0755) ? err_sys(b->err, "%s", dir) : ERR_OK;
	for (uint32_t i = 0; i < rounds && !rc; i++)
		rc = time_round(b, dir, log);
	free(dir);
	free(log);
	return rc;
}

int bench_run(const struct bench_options *options, struct bench_result *result, struct err *err)
{
	char parent[AREA_PATH_MAX];
	struct bench b = {.options = options, .result = result, .err = err};
	uint32_t rounds = options->rounds ? options->rounds : ROUNDS_DEFAULT;
	cpu_set_t before;
	*result = (struct bench_result){0};
	int rc = area_choose(options->tmp, parent, err);
	if (!rc)
		rc = area_create(parent, &b.area, err);
	if (rc)
		return rc;
	if (pin(sched_getcpu(), &before))
		rc = err_sys(err, "pinning to one CPU");
	if (!rc)
		rc = measure_recoveries(&b, rounds);
	if (!rc)
		rc = measure_sqlite(&b, rounds);
	if (!rc)
		rc = measure_checks(&b, rounds);
	if (!rc)
		rc = measure_calls(&b, rounds);
	if (!rc)
		rc = measure_cpu(&b);
	sched_setaffinity(0, sizeof before, &before);
	area_remove(&b.area);
	return rc;
}
