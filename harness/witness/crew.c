#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mem.h"

enum { LOOK_NS = 50000000 };

struct crew_shared {
	uint32_t next, done;
	bool stop;
	struct err err;
	uint32_t failed;
};

struct crew {
	const struct crew_work *work;
	struct lab *lab;
	struct crew_shared *shared;
	pid_t *members;
	uint32_t n;
	bool died;
};

uint32_t crew_jobs(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (uint32_t)n : 1;
}

static void fail(struct crew_shared *s, const struct err *err)
{
	if (__atomic_exchange_n(&s->failed, 1, __ATOMIC_SEQ_CST) == 0)
		s->err = *err;
	__atomic_store_n(&s->stop, true, __ATOMIC_SEQ_CST);
}

static void member(struct crew *c, struct device *device, pid_t parent) __attribute__((noreturn));

static void member(struct crew *c, struct device *device, pid_t parent)
{
	struct crew_shared *s = c->shared;
	struct err err = {0};
	setpgid(0, 0); /* a key pressed at the terminal is for the caller */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 1; i <= SIGRTMAX; i++)
		signal(i, SIG_DFL);
	if (getppid() != parent)
		_exit(0);
	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		uint32_t piece = __atomic_fetch_add(&s->next, 1, __ATOMIC_SEQ_CST);
		if (piece >= c->work->n)
			break;
		if (c->work->piece(c->work->arg, c->lab, device, piece, &s->stop, &err)) {
			if (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST))
				fail(s, &err);
			break;
		}
		__atomic_fetch_add(&s->done, 1, __ATOMIC_SEQ_CST);
	}
	_exit(0);
}

static int start(struct crew *c, struct device *const *devices, uint32_t jobs, struct err *err)
{
	pid_t parent = getpid();
	fflush(NULL);
	for (uint32_t i = 0; i < jobs; i++) {
		pid_t pid = fork();
		if (pid == 0)
			member(c, devices[i], parent);
		if (pid < 0)
			return err_sys(err, "cannot start a process");
		c->members[c->n++] = pid;
	}
	return ERR_OK;
}

/* Those that have ended are taken off the list. */
static void reap(struct crew *c)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < c->n; i++) {
		int status;
		if (waitpid(c->members[i], &status, WNOHANG) != c->members[i])
			c->members[left++] = c->members[i];
		else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			c->died = true;
	}
	c->n = left;
}

static void wait_all(struct crew *c)
{
	const struct timespec moment = {.tv_nsec = LOOK_NS};
	for (;;) {
		reap(c);
		if (c->n == 0)
			return;
		if (c->died || (c->work->stop && *c->work->stop))
			__atomic_store_n(&c->shared->stop, true, __ATOMIC_SEQ_CST);
		if (c->work->progress)
			c->work->progress(c->work->progress_arg,
					  __atomic_load_n(&c->shared->done, __ATOMIC_SEQ_CST));
		nanosleep(&moment, NULL);
	}
}

int crew_run(struct lab *lab, const struct file_system *fs, uint64_t device_bytes, uint32_t jobs,
	     const struct crew_work *work, struct err *err)
{
	struct crew c = {.work = work, .lab = lab};
	struct device *const *devices;
	const struct block_image *fresh;
	int rc = lab_devices(lab, jobs, device_bytes, &devices, err);
	if (!rc)
		rc = lab_fresh(lab, devices[0], fs, &fresh, err);
	if (rc)
		return rc;
	c.shared = mem_map_shared(sizeof *c.shared);
	if (!c.shared)
		return err_sys(err, "no memory");
	c.members = mem_alloc(jobs, sizeof *c.members);
	rc = start(&c, devices, jobs, err);
	if (rc)
		c.shared->stop = true;
	wait_all(&c);
	if (!rc && c.shared->failed) {
		*err = c.shared->err;
		rc = err->code;
	} else if (!rc && c.died) {
		rc = err_set(err, ERR_INTERNAL, "a process that worked on %s was killed", fs->name);
	} else if (!rc && work->stop && *work->stop) {
		rc = err_set(err, ERR_TARGET, "stopped");
	}
	free(c.members);
	mem_unmap(c.shared, sizeof *c.shared);
	return rc;
}
