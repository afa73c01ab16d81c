/* Fault points and planted bugs are libfiu points of failure, "point:NAME" and
 * "mutant:NAME", so that a pattern over the one never touches the other.
 *
 * A mutant is an ordinary libfiu point that always fails.  A fault point has a
 * callback that counts, marks and kills and never fails.  libfiu tells a
 * callback the pattern that was enabled, not the point that was passed, so the
 * name travels beside it, in a variable of the thread. */
#define FIU_ENABLE 1
#include <fiu.h>
#include <fiu-control.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "faults.h"
#include "marker.h"
#include "mem.h"

enum { NAME_MAX_BYTES = 160 };

struct passages {
	char *name;
	uint64_t n;
};

bool fault_points_on, fault_mutants_on;

/* What is on in this process.  The lock guards the counts. */
static struct {
	pthread_mutex_t lock;
	struct passages *passages;
	size_t n_passages, passages_cap;
	char **enabled; /* libfiu names, to be disabled by the next faults_init */
	size_t n_enabled, enabled_cap;
	bool marking;
	char *kill_name; /* may end in '*'; NULL: nobody is killed */
	uint64_t kill_at, kill_passages;
	bool acting; /* some fault point is a point of libfiu */
	void (*watch)(void *arg, const char *name);
	void *watch_arg;
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local const char *passing;

static uint64_t count_passage(const char *name)
{
	for (size_t i = 0; i < faults.n_passages; i++)
		if (!strcmp(faults.passages[i].name, name))
			return ++faults.passages[i].n;
	struct passages *p = MEM_PUSH(faults.passages, faults.n_passages, faults.passages_cap);
	p->name = mem_dup(name, strlen(name));
	p->n = 1;
	return 1;
}

static bool matches(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);
	if (n && pattern[n - 1] == '*')
		return !strncmp(pattern, name, n - 1);
	return !strcmp(pattern, name);
}

/* libfiu's callback for every enabled fault point. */
static int passed(const char *pattern, int *failnum, void **failinfo, unsigned int *flags)
{
	(void)pattern, (void)failnum, (void)failinfo, (void)flags;
	pthread_mutex_lock(&faults.lock);
	uint64_t n = count_passage(passing);
	if (faults.marking)
		marker_emit(MARKER_FAULT, n, passing, strlen(passing));
	if (faults.kill_name && matches(faults.kill_name, passing) &&
	    ++faults.kill_passages == faults.kill_at) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause(); /* nothing may happen after the passage */
	}
	pthread_mutex_unlock(&faults.lock);
	return 0;
}

void fault_point_passed(const char *name)
{
	char point[NAME_MAX_BYTES];
	if (faults.watch)
		faults.watch(faults.watch_arg, name);
	if (!faults.acting)
		return;
	snprintf(point, sizeof point, "point:%s", name);
	passing = name;
	fiu_fail(point);
	passing = NULL;
}

bool fault_mutant(const char *name)
{
	char point[NAME_MAX_BYTES];
	snprintf(point, sizeof point, "mutant:%s", name);
	return fiu_fail(point) != 0;
}

/* Forgets what an earlier use, here or in a parent, turned on and counted. */
static void forget(void)
{
	for (size_t i = 0; i < faults.n_enabled; i++) {
		fiu_disable(faults.enabled[i]);
		free(faults.enabled[i]);
	}
	for (size_t i = 0; i < faults.n_passages; i++)
		free(faults.passages[i].name);
	free(faults.kill_name);
	faults.n_enabled = faults.n_passages = 0;
	faults.kill_name = NULL;
	faults.watch = NULL;
	faults.marking = faults.acting = fault_points_on = fault_mutants_on = false;
}

int faults_init(uint64_t seed, struct err *err)
{
	/* A thread of the parent may have held it when this process was forked. */
	pthread_mutex_init(&faults.lock, NULL);
	fiu_set_prng_seed((unsigned int)seed);
	if (fiu_init(0) < 0)
		return err_set(err, ERR_INTERNAL, "libfiu does not start");
	/* Again: the first fiu_init may have seeded from the clock. */
	fiu_set_prng_seed((unsigned int)seed);
	forget();
	return ERR_OK;
}

/* Enables a libfiu point, with the callback of fault points or, without one,
 * to fail always.  Enabling a point twice is fine. */
static int enable(const char *kind, const char *name, external_cb_t *callback, struct err *err)
{
	if (!*name || strlen(kind) + strlen(name) >= NAME_MAX_BYTES)
		return err_set(err, ERR_USAGE, "\"%s\" is no name of a fault or mutant", name);
	char *point = mem_printf("%s%s", kind, name);
	for (size_t i = 0; i < faults.n_enabled; i++) {
		if (!strcmp(faults.enabled[i], point)) {
			free(point);
			return ERR_OK;
		}
	}
	int rc = callback ? fiu_enable_external(point, 1, NULL, 0, callback)
			  : fiu_enable(point, 1, NULL, 0);
	if (rc < 0) {
		free(point);
		return err_set(err, ERR_INTERNAL, "libfiu does not enable %s%s", kind, name);
	}
	*MEM_PUSH(faults.enabled, faults.n_enabled, faults.enabled_cap) = point;
	return ERR_OK;
}

int faults_mark(struct err *err)
{
	int rc = enable("point:", "*", passed, err);
	if (rc != ERR_OK)
		return rc;
	faults.marking = faults.acting = fault_points_on = true;
	return ERR_OK;
}

int faults_kill_at(const char *name, uint64_t n, struct err *err)
{
	if (!n)
		return err_set(err, ERR_USAGE, "passages of %s are counted from 1", name);
	int rc = enable("point:", name, passed, err);
	if (rc != ERR_OK)
		return rc;
	free(faults.kill_name);
	faults.kill_name = mem_dup(name, strlen(name));
	faults.kill_at = n;
	faults.kill_passages = 0;
	faults.acting = fault_points_on = true;
	return ERR_OK;
}

void faults_watch(void (*watch)(void *arg, const char *name), void *arg)
{
	faults.watch = watch;
	faults.watch_arg = arg;
	fault_points_on = true;
}

int faults_enable_mutant(const char *name, struct err *err)
{
	int rc = enable("mutant:", name, NULL, err);
	if (rc != ERR_OK)
		return rc;
	fault_mutants_on = true;
	return ERR_OK;
}
