#include <stdio.h>
#include <unistd.h>

#include "bench.h"
#include "commands.h"

struct bench_command {
	struct bench_options options;
	const char *calls, *store, *check;
	bool json;
};

static int set_rounds(void *ctx, const char *value, struct err *err)
{
	uint64_t n;
	int rc = cli_parse_number(value, 1, 1000, &n, err);
	if (!rc)
		((struct bench_command *)ctx)->options.rounds = (uint32_t)n;
	return rc;
}

static int set_tmp(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct bench_command *)ctx)->options.tmp = value;
	return ERR_OK;
}

static int set_calls(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct bench_command *)ctx)->calls = value;
	return ERR_OK;
}

static int set_store(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct bench_command *)ctx)->store = value;
	return ERR_OK;
}

static int set_check(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct bench_command *)ctx)->check = value;
	return ERR_OK;
}

static int set_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct bench_command *)ctx)->json = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"rounds", "N", "measure N times, keep the best [3]", set_rounds},
	{"tmp", "DIR", "where images are made [/dev/shm]", set_tmp},
	{"json", NULL, "for machines", set_json},
	{"calls", "DIR", "only make the calls that recording is measured with", set_calls},
	{"store", "DIR", "only be the workload that checking is measured with", set_store},
	{"check", "DIR", "only be its checker", set_check},
	{0},
};

static void print_text(const struct bench_result *r, struct buf *out)
{
	buf_printf(out, "one core\n");
	buf_printf(out, "  bare fork and wait       %8.0f /s\n", r->forks_per_s);
	buf_printf(out,
		   "  recoveries of wal        %8.0f /s   %.2f of the forks (aim: 0.40 or more)\n",
		   r->recoveries_per_s, r->recovery_ratio);
	buf_printf(out, "  states looked at         %8.0f /s   merged ones included\n",
		   r->states_per_s);
	buf_printf(out,
		   "  checks by a C program    %8.0f /s   %.3f of the forks (aim: 0.035 or more)\n",
		   r->checks_per_s, r->check_ratio);
	if (r->sqlite_per_s > 0)
		buf_printf(out,
			   "  recoveries of SQLite     %8.0f /s   %.3f of the forks (aim: 0.070 or "
			   "more)\n",
			   r->sqlite_per_s, r->sqlite_ratio);
	else
		buf_string(out, "  recoveries of SQLite     its plug-in is not there\n");
	buf_printf(out, "recording, microseconds added to a call of %.2f\n", r->call_bare_us);
	buf_printf(out, "  powercut                 %8.1f us\n", r->call_us);
	if (r->strace_us > 0)
		buf_printf(out,
			   "  strace --seccomp-bpf     %8.1f us   powercut takes %.2f of it (aim: "
			   "1.20 "
			   "or "
			   "less)\n",
			   r->strace_us, r->call_us / r->strace_us);
	else
		buf_printf(out, "  strace --seccomp-bpf     not installed, or it could not run\n");
	buf_printf(out, "  powercut with stacks     %8.1f us   stacks cost %.1f us\n",
		   r->call_stacks_us, r->call_stacks_us - r->call_us);
	buf_printf(out, "the harness's own CPU time a state, workers included\n");
	buf_printf(out, "  100 operations           %8.1f us\n", r->cpu_100_us);
	buf_printf(out,
		   "  10,000 operations        %8.1f us   %.2f times as much (aim: 2.00 or less)\n",
		   r->cpu_10000_us, r->cpu_10000_us / r->cpu_100_us);
	buf_printf(out, "  private memory           %8.1f MiB  (aim: below 64)\n", r->private_mib);
}

static void print_json(const struct bench_result *r, struct buf *out)
{
	buf_printf(
		out,
		"{\"format\":\"powercut-bench\",\"version\":1,\"forks_per_s\":%.1f,"
		"\"recoveries_per_s\":%.1f,\"recovery_ratio\":%.4f,\"states_per_s\":%.1f,\"checks_"
		"per_s\":%.1f,\"check_ratio\":%.4f,\"sqlite_per_s\":%.1f,"
		"\"sqlite_ratio\":%.4f,"
		"\"call_bare_us\":%.3f,\"call_us\":%.3f,\"call_stacks_us\":%.3f,\"strace_us\":%.3f,"
		"\"cpu_100_us\":%.3f,\"cpu_10000_us\":%.3f,\"private_mib\":%.2f}\n",
		r->forks_per_s, r->recoveries_per_s, r->recovery_ratio, r->states_per_s,
		r->checks_per_s, r->check_ratio, r->sqlite_per_s, r->sqlite_ratio, r->call_bare_us,
		r->call_us, r->call_stacks_us, r->strace_us, r->cpu_100_us, r->cpu_10000_us,
		r->private_mib);
}

static int run(int argc, char **argv, const char *command_line)
{
	struct bench_command b = {0};
	struct bench_result result;
	char self[4096];
	int rest, code;
	struct err err;
	struct buf out = {0};
	(void)command_line;
	if (cli_parse(&cli_bench, &b, argc, argv, &rest, &code))
		return code;
	if (rest < argc)
		return cli_usage("bench", "\"%s\" is too much", argv[rest]);
	if (b.store)
		return bench_store(b.store, &err) ? cli_fail("bench", &err) : 0;
	if (b.check)
		return bench_check(b.check, &err) ? cli_fail("bench", &err) : 0;
	if (b.calls)
		return bench_calls(b.calls, &err) ? cli_fail("bench", &err) : 0;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	self[n > 0 ? n : 0] = '\0';
	b.options.self = self;
	if (bench_run(&b.options, &result, &err))
		return cli_fail("bench", &err);
	if (b.json)
		print_json(&result, &out);
	else
		print_text(&result, &out);
	code = cli_print(&out, 0);
	buf_finish(&out);
	return code;
}

const struct cli_command cli_bench = {
	.name = "bench",
	.arguments = "[OPTIONS]",
	.help = "Measures the harness on this machine",
	.details = "Every figure is to be read as a ratio within one run.\n",
	.options = options,
	.run = run,
};
