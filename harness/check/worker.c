/* A worker: takes jobs, shows their states on its stage, and recovers them in
 * children of its own. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "area.h"
#include "clock.h"
#include "last_words.h"
#include "mem.h"

enum {
	ALONE_FACTOR = 10,     /* how much more time a recovery gets alone */
	SPACE_MIN = 1 << 20,   /* with less free, a failure may be ours, */
	SPACE_SHARE = 32,      /* but on a small file system only with less than this part */
	PUBLISH_EVERY = 32,    /* jobs between two notes of the CPU time used */
	HANGS_KNOWN = 3,       /* confirmed time-outs after which another is no surprise */
	PATIENCE_MS = 200,     /* then, at least so long, */
	PATIENCE_FACTOR = 20,  /* and so many times what recoveries that end have taken */
	RING_EVERY = SLOTS / 2 /* results for which the caller is woken */
};

struct worker {
	const struct plan *plan;
	void *stage; /* NULL after it could not be mended */
	char dir[STAGE_PATH_MAX];
	int output;	     /* what recoveries print */
	uint64_t longest_ns; /* of the recoveries that ended by themselves */
	uint32_t unrung;
};

/* One recovery, as its child sees it. */
struct attempt {
	const struct plan *plan;
	struct slot *slot;
	const char *dir;
};

/* ---- bells ---- */

uint32_t bell_count(const struct bell *bell)
{
	return __atomic_load_n(&bell->count, __ATOMIC_SEQ_CST);
}

void bell_ring(struct bell *bell)
{
	__atomic_add_fetch(&bell->count, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&bell->asleep, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &bell->count, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void bell_wait(struct bell *bell, uint32_t count, uint32_t timeout_ms)
{
	struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	__atomic_store_n(&bell->asleep, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &bell->count, FUTEX_WAIT, count, &timeout, NULL, 0);
	__atomic_store_n(&bell->asleep, 0, __ATOMIC_SEQ_CST);
}

/* ---- one job ---- */

static struct state slot_state(struct slot *slot)
{
	return (struct state){.point = slot->point,
			      .n_held = slot->n_held,
			      .held = slot_held(slot),
			      .tear = slot->tear};
}

static int recover_in_child(void *arg)
{
	const struct attempt *a = arg;
	struct contents *contents = plan_contents(a->plan, a->slot);
	/* A recovery sees nothing of ours that is open. */
	close_range(3, ~0U, 0);
	contents_init(a->plan->history, contents);
	if (a->plan->job->become) {
		struct state state = slot_state(a->slot);
		a->plan->job->become(a->plan->job->arg, &state, a->dir, &a->slot->error);
		a->slot->answer = ANSWER_ERROR;
		return 1;
	}
	int rc = a->plan->job->recover(a->plan->job->arg, a->dir, contents, &a->slot->conduct,
				       &a->slot->error);
	a->slot->answer = rc == 0 ? ANSWER_CONTENTS : ANSWER_ERROR;
	return rc == 0 ? 0 : 1;
}

static void end_as(struct slot *slot, uint32_t end, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void end_as(struct slot *slot, uint32_t end, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(slot->text, sizeof slot->text, fmt, args);
	va_end(args);
	slot->end = end;
}

/* Whether hanging is what this store does: then what hangs is not run again, and is
 * not waited for as long.  It would take eleven times the limit for each. */
static bool hangs_anyway(const struct worker *w)
{
	const struct channel *c = w->plan->channel;
	return c && __atomic_load_n(&c->hangs, __ATOMIC_RELAXED) >= HANGS_KNOWN;
}

static void end_in_time_out(const struct worker *w, struct slot *slot,
			    const struct child_limits *limits)
{
	if (hangs_anyway(w))
		end_as(slot, RECOVERY_TIMEOUT, "no end in time, like others before it");
	else if (!slot->again)
		end_as(slot, AGAIN_TIME, " ");
	else
		end_as(slot, RECOVERY_TIMEOUT, "no end within %u ms, and within %u ms alone",
		       limits->wall_ms / ALONE_FACTOR, limits->wall_ms);
}

/* What the engine says, and what was printed: by the program that it runs, perhaps,
 * in its last moment. */
static void end_in_error(struct worker *w, struct slot *slot)
{
	char words[160];
	slot->error.text[sizeof slot->error.text - 1] = '\0';
	last_words(w->output, w->dir, words, sizeof words);
	end_as(slot, RECOVERY_FAILED, "%s%s%s",
	       *slot->error.text ? slot->error.text : "an error without a text", *words ? ": " : "",
	       words);
	last_words_tidy(slot->text, w->dir);
}

static void end_badly(struct worker *w, struct slot *slot, const struct child_result *result)
{
	char words[160];
	last_words(w->output, w->dir, words, sizeof words);
	const char *colon = *words ? ": " : "";
	if (result->end == CHILD_EXIT)
		end_as(slot, RECOVERY_EXIT, "left the process with status %d%s%s", result->code,
		       colon, words);
	else
		end_as(slot, RECOVERY_SIGNAL, "signal %d (%s)%s%s", result->code,
		       strsignal(result->code), colon, words);
}

/* A checker's exit status. */
static void end_by_status(struct worker *w, struct slot *slot, const struct child_result *result)
{
	char words[160];
	if (slot->answer == ANSWER_ERROR) {
		end_as(slot, RECOVERY_BROKEN, "%.250s", slot->error.text);
	} else if (result->end == CHILD_SIGNAL) {
		end_badly(w, slot, result);
	} else if (result->code == 0) {
		end_as(slot, RECOVERY_OK, "%s", "");
	} else {
		last_words(w->output, w->dir, words, sizeof words);
		bool report = strstr(words, "Sanitizer: ") || strstr(words, "runtime error: ");
		end_as(slot, report ? RECOVERY_EXIT : RECOVERY_FAILED, "exit status %d%s%s",
		       result->code, *words ? ": " : "", words);
	}
}

static void end_by_itself(struct worker *w, struct slot *slot, const struct child_result *result)
{
	if (w->plan->job->become) {
		end_by_status(w, slot, result);
		return;
	}
	bool exited = result->end == CHILD_EXIT;
	if (exited && slot->answer == ANSWER_CONTENTS && result->code == 0) {
		end_as(slot, RECOVERY_OK, "%s", "");
	} else if (exited && slot->answer == ANSWER_ERROR && result->code == 1) {
		end_in_error(w, slot);
	} else {
		end_badly(w, slot, result);
	}
}

static void end_recovery(struct worker *w, struct slot *slot, const struct child_limits *limits,
			 const struct child_result *result)
{
	switch (result->end) {
	case CHILD_EXIT:
	case CHILD_SIGNAL:
		end_by_itself(w, slot, result);
		break;
	case CHILD_WALL:
	case CHILD_CPU:
		end_in_time_out(w, slot, limits);
		break;
	case CHILD_FILE:
		end_as(slot, RECOVERY_LIMIT, "a file grew beyond %llu bytes",
		       (unsigned long long)limits->file_bytes);
		break;
	case CHILD_MEMORY:
		end_as(slot, RECOVERY_LIMIT, "it took more than %llu MiB of memory",
		       (unsigned long long)limits->memory_bytes >> 20);
		break;
	case CHILD_DISK:
		end_as(slot, slot->again ? (uint32_t)RECOVERY_LIMIT : (uint32_t)AGAIN_SPACE,
		       "it wrote more than %llu MiB", (unsigned long long)limits->disk_bytes >> 20);
	}
	slot->survivors = result->survivors && !w->plan->job->become;
}

/* Whether a file system has next to no room left. */
static bool full(const char *dir, bool small)
{
	struct statfs fs;
	if (statfs(dir, &fs) != 0)
		return false;
	uint64_t least = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize / SPACE_SHARE;
	if (!small || least > SPACE_MIN)
		least = SPACE_MIN;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize < least;
}

/* A failure while the file system is full says nothing of the recovery: neither the
 * one where stages are, nor the one that a stage has mounted. */
static void doubt_failure(struct worker *w, struct slot *slot)
{
	uint32_t end = slot->again ? (uint32_t)RECOVERY_BROKEN : (uint32_t)AGAIN_SPACE;
	if (slot->end == RECOVERY_OK || slot->end == RECOVERY_LIMIT || slot->end >= AGAIN_TIME)
		return;
	if (full(w->plan->parent, false))
		end_as(slot, end,
		       "%s is full: free some space, or choose another directory with --tmp DIR",
		       w->plan->parent);
	else if (w->stage && full(w->dir, true))
		end_as(slot, end, "the file system that states are shown on is full");
}

static void end_again(struct slot *slot, const struct child_limits *limits)
{
	if (slot->again == AGAIN_TIME && slot->end != RECOVERY_TIMEOUT &&
	    slot->end != RECOVERY_BROKEN)
		end_as(slot, RECOVERY_UNSTABLE,
		       "no end within %u ms, but an end when it was run again alone",
		       limits->wall_ms / ALONE_FACTOR);
}

/* Forgets what recoveries printed. */
static void clear_output(struct worker *w)
{
	struct stat st;
	if (fstat(w->output, &st) == 0 && st.st_size > 0 && ftruncate(w->output, 0) != 0)
		lseek(w->output, 0, SEEK_SET); /* it only grows, then */
}

/* A stage where there is none, and somewhere for recoveries to print. */
static int need_stage(struct worker *w, struct err *err)
{
	const struct plan *plan = w->plan;
	char path[AREA_PATH_MAX + 16];
	if (w->stage)
		return ERR_OK;
	int rc = plan->stage->create(plan->stage_arg, plan->ops, plan->parent, &w->stage, err);
	if (rc)
		return rc;
	snprintf(w->dir, sizeof w->dir, "%s", plan->stage->dir(w->stage));
	snprintf(path, sizeof path, "%.*s/own-output", AREA_PATH_MAX, plan->stage->area(w->stage));
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		return err_sys(err, "cannot make %s", path);
	close(fd);
	w->output = STDERR_FILENO;
	return ERR_OK;
}

static void drop_stage(struct worker *w)
{
	w->plan->stage->destroy(w->stage);
	w->stage = NULL;
}

/* Shows the state; where that fails, on a new stage. */
static int show(struct worker *w, struct slot *slot, struct err *err)
{
	struct state state = slot_state(slot);
	for (int attempt = 0;; attempt++) {
		int rc = need_stage(w, err);
		if (!rc)
			rc = w->plan->stage->show(w->stage, &state, err);
		if (!rc)
			return ERR_OK;
		drop_stage(w);
		if (attempt > 0)
			return rc;
	}
}

/* What it did is undone, whatever it was. */
static void clean_up(struct worker *w)
{
	struct err err;
	clear_output(w);
	if (w->stage && w->plan->stage->restore(w->stage, &err) != ERR_OK)
		drop_stage(w);
}

static void run_errand(struct worker *w, struct slot *slot)
{
	struct err err = {0};
	struct state state = slot_state(slot);
	void *answer = plan_answer(w->plan, slot);
	memset(answer, 0, w->plan->job->answer_bytes);
	if (show(w, slot, &err) != ERR_OK) {
		end_as(slot, RECOVERY_BROKEN, "%.250s", err.text);
		return;
	}
	end_as(slot, RECOVERY_OK, "%s", "");
	w->plan->job->errand(w->plan->job->errand_arg, &state, slot->order, w->dir, answer);
	clean_up(w);
}

/* Where it is seen how much a recovery writes.  Not in a disk's directory, which is on
 * the file system of its parent, but may be renamed or removed. */
static const char *measured(const struct worker *w)
{
	return w->plan->stage == &stage_disk ? w->plan->parent : w->dir;
}

static void run_recovery(struct worker *w, struct slot *slot)
{
	struct err err = {0};
	struct attempt attempt = {w->plan, slot, w->dir};
	struct child_limits limits = w->plan->limits;
	struct child_result result;
	if (slot->again) {
		limits.wall_ms *= ALONE_FACTOR;
		limits.cpu_ms *= ALONE_FACTOR;
	}
	slot->answer = ANSWER_NONE;
	slot->error.text[0] = '\0';
	memset(&slot->conduct, 0, sizeof slot->conduct);
	if (hangs_anyway(w)) {
		uint64_t patience = PATIENCE_FACTOR * w->longest_ns / 1000000 + PATIENCE_MS;
		if (slot->again == AGAIN_TIME) {
			end_in_time_out(w, slot, &limits);
			return;
		}
		if (patience < limits.wall_ms)
			limits.wall_ms = (uint32_t)patience;
	}
	uint64_t start = clock_ns();
	int rc = show(w, slot, &err);
	if (!rc)
		rc = child_run(recover_in_child, &attempt, measured(w), &limits, &result, &err);
	if (!rc && result.end == CHILD_EXIT && clock_ns() - start > w->longest_ns)
		w->longest_ns = clock_ns() - start;
	if (!rc)
		end_recovery(w, slot, &limits, &result);
	else
		end_as(slot, RECOVERY_BROKEN, "%.250s", err.text);
	doubt_failure(w, slot);
	if (slot->again)
		end_again(slot, &limits);
	clean_up(w);
}

void worker_do(struct worker *w, struct slot *slot)
{
	slot->survivors = false;
	if (slot->order)
		run_errand(w, slot);
	else
		run_recovery(w, slot);
}

struct worker *worker_create(const struct plan *plan)
{
	struct worker *w = mem_alloc(1, sizeof *w);
	w->plan = plan;
	return w;
}

void worker_destroy(struct worker *w)
{
	if (w)
		drop_stage(w);
	free(w);
}

/* ---- life ---- */

static void publish(struct channel *c)
{
	__atomic_store_n(&c->cpu_ns, clock_cpu_ns(), __ATOMIC_RELAXED);
}

static void loop(struct worker *w)
{
	struct channel *c = w->plan->channel;
	for (;;) {
		uint32_t bell = bell_count(&c->bell);
		if (__atomic_load_n(&c->quit, __ATOMIC_SEQ_CST))
			return;
		if (__atomic_load_n(&c->submitted, __ATOMIC_SEQ_CST) == c->done) {
			publish(c);
			bell_wait(&c->bell, bell, 60000);
			continue;
		}
		worker_do(w, plan_slot(w->plan, c->queue[c->done % SLOTS]));
		if (++c->recoveries % PUBLISH_EVERY == 0)
			publish(c);
		uint32_t done = __atomic_add_fetch(&c->done, 1, __ATOMIC_SEQ_CST);
		w->unrung++;
		if (w->unrung < RING_EVERY &&
		    done != __atomic_load_n(&c->submitted, __ATOMIC_SEQ_CST))
			continue;
		w->unrung = 0;
		publish(c);
		bell_ring(w->plan->bell);
	}
}

/* Nothing of the caller's ways with signals and descriptors is inherited, and a
 * key pressed at the terminal is not for workers. */
static void leave_caller(const struct plan *plan)
{
	sigset_t none;
	sigemptyset(&none);
	for (int s = 1; s <= SIGRTMAX; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	close_range(3, ~0U, 0);
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (plan->cpu >= 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET((size_t)plan->cpu, &set);
		sched_setaffinity(0, sizeof set, &set);
	}
}

void worker_main(const struct plan *plan, pid_t parent)
{
	struct channel *c = plan->channel;
	struct worker w = {.plan = plan};
	leave_caller(plan);
	/* Whoever runs here goes with us, and what it has started. */
	child_end_on(SIGTERM);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	int rc = child_init(&c->err);
	if (!rc)
		rc = need_stage(&w, &c->err);
	/* An engine gone wild may write anywhere, but not into what we judge by. */
	arena_protect(plan->ops->trace->arena);
	__atomic_store_n(&c->phase, rc ? WORKER_FAILED : WORKER_READY, __ATOMIC_SEQ_CST);
	bell_ring(plan->bell);
	if (!rc)
		loop(&w);
	drop_stage(&w);
	_exit(0);
}
