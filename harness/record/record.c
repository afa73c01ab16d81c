#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "handlers.h"
#include "mapped.h"
#include "recorder.h"
#include "snapshot.h"
#include "tracer.h"
#include "verify.h"

enum {
	TIMEOUT_DEFAULT_MS = 60000,
	RELIEF_MS = 20, /* between two looks at a pipe that may be full */
};

/* What the tracer's thread is given and gives back. */
struct errand {
	struct recorder *recorder;
	const sigset_t *mask;
	struct err *err;
	int rc;
};

static void *tracer_main(void *arg)
{
	struct errand *errand = arg;
	struct recorder *r = errand->recorder;
	errand->rc = tracer_run(r, errand->mask, errand->err);
	pthread_mutex_lock(&r->lock);
	r->done = true;
	pthread_cond_signal(&r->done_cond);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static struct timespec deadline_after(uint64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static bool is_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* Sleeps until the tracer is done; true if the time was over first. */
static bool wait_until_done(struct recorder *r)
{
	volatile const bool *stop = r->options->stop;
	uint64_t ms = r->options->timeout_ms ? r->options->timeout_ms : TIMEOUT_DEFAULT_MS;
	struct timespec deadline = deadline_after(ms);
	int rc = 0;
	pthread_mutex_lock(&r->lock);
	while (!r->done && rc == 0 && !acks_wanted(r) && !stop)
		rc = pthread_cond_timedwait(&r->done_cond, &r->lock, &deadline);
	while (!r->done && rc == 0 && !(stop && *stop)) {
		struct timespec soon = deadline_after(RELIEF_MS);
		bool last = is_after(&soon, &deadline);
		rc = pthread_cond_timedwait(&r->done_cond, &r->lock, last ? &deadline : &soon);
		rc = rc && !last ? 0 : rc;
		if (acks_wanted(r))
			acks_relieve(r);
	}
	bool over = !r->done;
	pthread_mutex_unlock(&r->lock);
	return over;
}

/* Runs the tracer in a thread of its own (tracer.h says why). */
static int trace_program(struct recorder *r, struct err *err)
{
	sigset_t all, mask;
	pthread_t thread;
	struct errand errand = {r, &mask, err, ERR_OK};
	/* The caller's signals are for the caller's threads.  But the tracer leaves
	 * SIGCHLD open, of which it causes one at each stop: where there is no
	 * handler the kernel then drops it at once, and wakes nobody. */
	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	int rc = pthread_create(&thread, NULL, tracer_main, &errand);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (rc != 0) {
		errno = rc;
		return err_sys(err, "cannot start a thread");
	}
	if (wait_until_done(r)) {
		r->result->timed_out = true;
		r->result->left_running = r->first_ended;
		tracer_kill(r);
	}
	pthread_join(thread, NULL);
	return errand.rc;
}

static int check(struct recorder *r, struct err *err)
{
	char *difference;
	int rc = verify_trace(r->trace, r->root, &difference, err);
	if (difference)
		note_add(r, NULL, EVENT_INCONCLUSIVE, "directory differs from the trace: %s%s%s%s",
			 difference, r->in_flight ? " (" : "", r->in_flight ? r->in_flight : "",
			 r->in_flight ? " was in flight at the end)" : "");
	free(difference);
	return rc;
}

static int find_root(struct recorder *r, const char *root, struct err *err)
{
	struct stat st;
	if (!realpath(root, r->root) || stat(r->root, &st) != 0) {
		int missing = errno == ENOENT;
		err_sys(err, "the data directory %s", root);
		return err->code = missing ? ERR_MISSING : ERR_IO;
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "%s is not a directory", root);
	r->root_length = strlen(r->root);
	if (r->root_length == 1)
		return err_set(err, ERR_USAGE, "the data directory cannot be /");
	r->root_dev = st.st_dev;
	return ERR_OK;
}

static void init_lock(struct recorder *r)
{
	pthread_condattr_t attr;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->done_cond, &attr);
	pthread_condattr_destroy(&attr);
}

int record_run(const struct record_options *options, struct trace *trace,
	       struct record_result *result, struct err *err)
{
	struct err unused;
	if (!err)
		err = &unused;
	*result = (struct record_result){0};
	if (!options->root || !options->function == !options->argv)
		return err_set(err, ERR_INTERNAL, "recording needs a root and one program");
	struct recorder r = {.options = options,
			     .result = result,
			     .trace = trace,
			     .acks = {.in = -1, .out = -1}};
	init_lock(&r);
	int rc = find_root(&r, options->root, err);
	if (rc == ERR_OK)
		rc = snapshot_take(r.root, trace, &r.tree, err);
	if (rc == ERR_OK && options->acks)
		rc = acks_open(&r, err);
	if (rc == ERR_OK)
		rc = trace_program(&r, err);
	acks_close(&r);
	if (rc == ERR_OK)
		rc = check(&r, err);
	if (rc == ERR_OK)
		trace_seal(trace);
	free(r.notes);
	free(r.unreaped);
	mapped_finish(&r);
	tree_finish(&r.tree);
	pthread_cond_destroy(&r.done_cond);
	pthread_mutex_destroy(&r.lock);
	return rc;
}
