/* Measuring the harness: every figure as a ratio within one run, since machines
 * are noisy.  Timings are never tests. */
#ifndef POWERCUT_BENCH_H
#define POWERCUT_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct bench_options {
	const char *self; /* the program's own path, to be run as `self bench --calls DIR` */
	const char *tmp;  /* where directories are made; NULL: as in recover.h */
	uint32_t rounds;  /* of each measurement; the best counts; 0 means 3 */
};

struct bench_result {
	/* One core, everything pinned to it. */
	double forks_per_s;	 /* bare fork and wait at the harness's resident size */
	double recoveries_per_s; /* of wal, executed */
	double recovery_ratio;	 /* the one in the other, best of each */
	double states_per_s;	 /* looked at, merged ones included */

	double checks_per_s; /* a checker in C, another program, over 300 KB of files */
	double check_ratio;
	double sqlite_per_s; /* recoveries of the plug-in sqlite; 0 where it was not built */
	double sqlite_ratio;

	/* Microseconds that recording adds to a call. */
	double call_bare_us; /* the call itself, for comparison */
	double call_us, call_stacks_us;
	double strace_us; /* strace -f --seccomp-bpf; 0 where it is not installed */

	/* The harness's own CPU time a state, workers included, recoveries not. */
	double cpu_100_us, cpu_10000_us;
	double private_mib; /* private memory after the larger of the two */
};

int bench_run(const struct bench_options *options, struct bench_result *result, struct err *err);

/* The calls that recording is measured with: small writes to a file in dir. */
int bench_calls(const char *dir, struct err *err);

/* The workload that checking is measured with, files of a few kilobytes that are
 * replaced one by one (in an empty directory it only makes them: the setup), and its
 * checker, which reads them all. */
int bench_store(const char *dir, struct err *err);
int bench_check(const char *dir, struct err *err);

#endif
