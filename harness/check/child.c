/* Time is the point here: a recovery is a fork, and everything beside the fork
 * must stay small.  So no timer is set for each child.  One timer ticks for
 * the life of the process; a tick interrupts the waiting parent, which then
 * looks at the clock and at the disk.  A tick that comes just before the parent
 * waits is lost, and the next one does its work. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "orphans.h"
#include "sanitized.h"

enum { TICK_MS = 50 };

/* The state of one run. */
struct run {
	pid_t pid;
	const char *dir;
	struct child_limits limits;
	uint64_t started_ns;
	uint64_t disk_before; /* bytes in use */
	bool killed;	      /* by us, for the reason in why */
	enum child_end why;
};

/* What this process had mapped and held when child_init looked: there is one
 * process and one child at a time, and no object of the caller's to keep it. */
static struct {
	pid_t pid;
	uint64_t data_bytes, resident_bytes;
} self;

/* A signal asked this process to end: at once, or after the child that runs. */
static volatile sig_atomic_t ending, running;
static int end_signal;

static void on_end(int signal)
{
	(void)signal;
	ending = 1;
	if (!running)
		_exit(0);
}

void child_end_on(int signal_number)
{
	struct sigaction action = {.sa_handler = on_end};
	end_signal = signal_number;
	sigaction(signal_number, &action, NULL);
}

static void tick(int signal)
{
	(void)signal; /* interrupting wait4 is all it does */
}

/* Bytes of private memory mapped, and of memory held, by a process. */
static bool memory_of(pid_t pid, uint64_t *data_bytes, uint64_t *resident_bytes)
{
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, line, sizeof line - 1);
	close(fd);
	if (n <= 0)
		return false;
	line[n] = '\0';
	unsigned long resident, data;
	if (sscanf(line, "%*u %lu %*u %*u %*u %lu", &resident, &data) != 2)
		return false;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	*data_bytes = data * page;
	*resident_bytes = resident * page;
	return true;
}

static int tick_start(struct err *err)
{
	struct sigaction action = {.sa_handler = tick};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX - 1};
	struct timespec period = {.tv_nsec = TICK_MS * 1000000L};
	struct itimerspec every = {.it_interval = period, .it_value = period};
	timer_t timer;
	if (sigaction(event.sigev_signo, &action, NULL) != 0)
		return err_sys(err, "cannot handle the tick");
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
	    timer_settime(timer, 0, &every, NULL) != 0)
		return err_sys(err, "cannot start the tick timer");
	return ERR_OK;
}

int child_init(struct err *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMAX - 1);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return err_sys(err, "cannot become the reaper of orphans");
	/* An ignored SIGCHLD would take the exit status away. */
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, NULL) != 0)
		return err_sys(err, "cannot prepare signals");
	self.pid = getpid();
	memory_of(self.pid, &self.data_bytes, &self.resident_bytes);
	return tick_start(err);
}

void child_limits_expand(struct child_limits *limits)
{
	if (limits->wall_ms == 0)
		limits->wall_ms = 1000;
	if (limits->cpu_ms == 0)
		limits->cpu_ms = limits->wall_ms;
	if (limits->memory_bytes == 0)
		limits->memory_bytes = (uint64_t)1 << 30;
	if (limits->file_bytes == 0)
		limits->file_bytes = (uint64_t)256 << 20;
	if (limits->disk_bytes == 0)
		limits->disk_bytes = (uint64_t)512 << 20;
}

bool child_limits_memory(void)
{
	return !SANITIZED;
}

/* Bytes in use on the file system of dir; 0 where that cannot be told. */
static uint64_t disk_used(const char *dir)
{
	struct statfs fs;
	if (statfs(dir, &fs) != 0)
		return 0;
	return (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
}

static void limit(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit value = {.rlim_cur = soft, .rlim_max = hard};
	if (setrlimit((__rlimit_resource_t)resource, &value) == 0)
		return;
	/* A hard limit of the machine's that is lower will do as well. */
	getrlimit((__rlimit_resource_t)resource, &value);
	value.rlim_cur = soft < value.rlim_max ? soft : value.rlim_max;
	setrlimit((__rlimit_resource_t)resource, &value);
}

static uint64_t cpu_seconds(const struct child_limits *limits)
{
	return (limits->cpu_ms + 999u) / 1000u;
}

void child_limits_apply(const struct child_limits *given)
{
	struct child_limits expanded = *given, *limits = &expanded;
	child_limits_expand(limits);
	uint64_t cpu = cpu_seconds(limits);
	limit(RLIMIT_CPU, cpu, cpu + 1);
	limit(RLIMIT_FSIZE, limits->file_bytes, limits->file_bytes);
	/* Private memory only: stores may map more than there is, for reading. */
	if (child_limits_memory()) {
		uint64_t bytes = self.data_bytes + limits->memory_bytes;
		limit(RLIMIT_DATA, bytes, bytes);
	}
	/* Not 0: at 0 a program that collects cores would still be started. */
	limit(RLIMIT_CORE, 1, 1);
}

static void __attribute__((noreturn))
child_main(int (*function)(void *arg), void *arg, const struct child_limits *limits)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (end_signal)
		signal(end_signal, SIG_DFL);
	if (getppid() != self.pid)
		_exit(1); /* the parent died before it could be watched */
	child_limits_apply(limits);
	_exit(function(arg));
}

static void run_kill(struct run *run, enum child_end why)
{
	run->killed = true;
	run->why = why;
	kill(-run->pid, SIGKILL);
	kill(run->pid, SIGKILL);
}

/* At a tick: is the child still within its limits? */
static void run_look(struct run *run)
{
	uint64_t data, resident;
	uint64_t lived_ns = clock_ns() - run->started_ns;
	if (run->killed)
		return;
	if (ending || lived_ns >= run->limits.wall_ms * (uint64_t)1000000) {
		run_kill(run, CHILD_WALL);
		return;
	}
	uint64_t used = disk_used(run->dir);
	if (used > run->disk_before && used - run->disk_before > run->limits.disk_bytes)
		run_kill(run, CHILD_DISK);
	else if (memory_of(run->pid, &data, &resident) &&
		 resident > self.resident_bytes + run->limits.memory_bytes)
		run_kill(run, CHILD_MEMORY);
}

static bool ate_memory(const struct run *run, const struct rusage *usage)
{
	uint64_t peak = (uint64_t)usage->ru_maxrss * 1024;
	return peak >= self.resident_bytes + run->limits.memory_bytes / 8 * 7;
}

static bool ate_cpu(const struct run *run, const struct rusage *usage)
{
	uint64_t us = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000u +
		      (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
	return us >= cpu_seconds(&run->limits) * 1000000u;
}

static void run_explain(const struct run *run, int status, const struct rusage *usage,
			struct child_result *result)
{
	bool exited = WIFEXITED(status);
	result->code = exited ? WEXITSTATUS(status) : WTERMSIG(status);
	if (exited && result->code == 0)
		result->end = CHILD_EXIT;
	else if (run->killed && !exited && result->code == SIGKILL)
		result->end = run->why;
	else if (!exited && result->code == SIGXFSZ)
		result->end = CHILD_FILE;
	else if (!exited &&
		 (result->code == SIGXCPU || (result->code == SIGKILL && ate_cpu(run, usage))))
		result->end = CHILD_CPU;
	else if (ate_memory(run, usage))
		result->end = CHILD_MEMORY;
	else
		result->end = exited ? CHILD_EXIT : CHILD_SIGNAL;
}

int child_run(int (*function)(void *arg), void *arg, const char *dir,
	      const struct child_limits *limits, struct child_result *result, struct err *err)
{
	struct run run = {.dir = dir, .limits = *limits, .disk_before = disk_used(dir)};
	struct rusage usage;
	int status;
	child_limits_expand(&run.limits);
	*result = (struct child_result){0};
	run.started_ns = clock_ns();
	running = 1;
	if (ending)
		_exit(0);
	run.pid = _Fork();
	if (run.pid < 0) {
		running = 0;
		return err_sys(err, "cannot fork");
	}
	if (run.pid == 0)
		child_main(function, arg, &run.limits);
	while (wait4(run.pid, &status, 0, &usage) < 0) {
		if (errno != EINTR)
			return err_sys(err, "cannot wait for a child");
		run_look(&run);
	}
	run_explain(&run, status, &usage, result);
	result->survivors = orphans_end(run.pid);
	running = 0;
	if (ending)
		_exit(0);
	return ERR_OK;
}
