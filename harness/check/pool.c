/* The caller's side of a pool: hands out jobs, collects results, replaces
 * workers that died.  See worker.h for what is shared.
 *
 * A pool in the calling process has one seat, whose worker is called where
 * another would be woken. */
#include "recover.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "clock.h"
#include "mem.h"
#include "worker.h"

enum {
	LOOK_MS = 200,	 /* between two looks whether workers live */
	LEAVE_MS = 3000, /* a worker may take to end its present job */
	END_MS = 1000,	 /* and then, to end whoever runs in it */
};
static const uint64_t GRACE_NS = 1000000000; /* for a result, when all is to stop */

enum slot_use { SLOT_FREE, SLOT_BUSY, SLOT_AGAIN, SLOT_LENT };

struct seat {
	pid_t pid; /* 0: given up */
	struct plan plan;
	uint32_t taken;	    /* results taken; the channel's done runs ahead */
	uint32_t died_at;   /* done + 1 when the worker last died */
	uint8_t use[SLOTS]; /* enum slot_use */
};

struct pool {
	struct seat *seats;
	uint32_t n_seats;
	uint32_t next;	/* where the search for a free slot begins */
	uint32_t busy;	/* slots that are BUSY or AGAIN */
	uint32_t again; /* slots that are AGAIN */
	uint8_t *lent;	/* the use of the slot whose contents the caller has, or NULL */
	char parent[AREA_PATH_MAX];
	struct recover_job job;
	volatile const bool *stop;
	struct err err; /* why the last worker was given up */
	void *shared;
	size_t shared_bytes;
	struct worker *here; /* of a pool in the calling process, or NULL */
	int output[2];	     /* what standard output and error were before it */
};

static struct bell *pool_bell(const struct pool *pool)
{
	return pool->shared;
}

/* ---- workers ---- */

/* Removes what processes that are dead have left. */
static void pool_sweep(const struct pool *pool)
{
	const struct plan *plan = &pool->seats[0].plan;
	if (plan->stage && plan->stage->sweep)
		plan->stage->sweep(plan->stage_arg, pool->parent);
	area_sweep(pool->parent);
}

static int seat_start(struct pool *pool, struct seat *seat, struct err *err)
{
	pid_t parent = getpid();
	fflush(NULL); /* or a worker's child might write it once more */
	seat->plan.channel->phase = WORKER_STARTING;
	seat->pid = fork();
	if (seat->pid < 0) {
		seat->pid = 0;
		return err_sys(err, "cannot start a worker");
	}
	if (seat->pid == 0)
		worker_main(&seat->plan, parent);
	(void)pool;
	return ERR_OK;
}

/* A result for the job at the head of the queue, whose worker is gone. */
static void fail_head(struct seat *seat, const char *why)
{
	struct channel *c = seat->plan.channel;
	struct slot *slot = plan_slot(&seat->plan, c->queue[c->done % SLOTS]);
	slot->end = RECOVERY_BROKEN;
	slot->survivors = false;
	snprintf(slot->text, sizeof slot->text, "%.250s", why);
	c->done++;
}

static void seat_give_up(struct pool *pool, struct seat *seat)
{
	struct channel *c = seat->plan.channel;
	seat->pid = 0;
	while (c->done != c->submitted)
		fail_head(seat, pool->err.text);
}

/* Replaces a worker that has ended.  A job during which two have ended is not
 * tried again. */
static void seat_replace(struct pool *pool, struct seat *seat, int status)
{
	struct channel *c = seat->plan.channel;
	if (c->phase == WORKER_FAILED) {
		pool->err = c->err;
		seat_give_up(pool, seat);
		return;
	}
	pool_sweep(pool);
	if (c->done != c->submitted && seat->died_at == c->done + 1) {
		char why[128];
		snprintf(why, sizeof why, "two workers ended during this recovery (%s %d)",
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		fail_head(seat, why);
		seat->died_at = 0;
	} else {
		seat->died_at = c->done + 1;
	}
	if (seat_start(pool, seat, &pool->err) != ERR_OK)
		seat_give_up(pool, seat);
}

static void look_after_workers(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_seats; i++) {
		struct seat *seat = &pool->seats[i];
		int status = 0;
		if (seat->pid > 0 && waitpid(seat->pid, &status, WNOHANG) == seat->pid)
			seat_replace(pool, seat, status);
	}
}

static bool any_worker(const struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_seats; i++)
		if (pool->seats[i].pid > 0)
			return true;
	return false;
}

/* ---- making and ending ---- */

static size_t whole_pages(size_t bytes)
{
	return (bytes + 4095) & ~(size_t)4095;
}

static int pool_map(struct pool *pool, const struct plan *plan, struct err *err)
{
	size_t slots_bytes = SLOTS * plan->slot_bytes;
	size_t head = whole_pages(sizeof(struct bell));
	size_t each = whole_pages(sizeof(struct channel)) + slots_bytes;
	pool->shared_bytes = head + pool->n_seats * each;
	pool->shared = mem_map_shared(pool->shared_bytes);
	if (!pool->shared)
		return err_sys(err, "no memory for %u workers", pool->n_seats);
	for (uint32_t i = 0; i < pool->n_seats; i++) {
		char *at = (char *)pool->shared + head + i * each;
		struct plan *p = &pool->seats[i].plan;
		*p = *plan;
		p->bell = pool_bell(pool);
		p->channel = (struct channel *)(void *)at;
		p->slots = at + whole_pages(sizeof(struct channel));
	}
	return ERR_OK;
}

static int wait_until_ready(struct pool *pool, struct err *err)
{
	for (uint32_t i = 0; i < pool->n_seats;) {
		struct seat *seat = &pool->seats[i];
		uint32_t bell = bell_count(pool_bell(pool));
		uint32_t phase = __atomic_load_n(&seat->plan.channel->phase, __ATOMIC_SEQ_CST);
		int status;
		if (phase == WORKER_FAILED)
			return err_set(err, seat->plan.channel->err.code, "%.1000s",
				       seat->plan.channel->err.text);
		if (phase == WORKER_READY) {
			i++;
			continue;
		}
		if (waitpid(seat->pid, &status, WNOHANG) == seat->pid) {
			seat->pid = 0;
			return err_set(err, ERR_IO, "a worker ended at its start (status %d)",
				       status);
		}
		bell_wait(pool_bell(pool), bell, LOOK_MS);
	}
	return ERR_OK;
}

static int pool_start(struct pool *pool, const struct plan *plan, const char *parent,
		      struct err *err)
{
	int rc = area_choose(parent, pool->parent, err);
	if (rc)
		return rc;
	malloc_trim(0); /* each recovery is a fork, which copies what is left */
	rc = pool_map(pool, plan, err);
	if (!rc)
		pool_sweep(pool);
	for (uint32_t i = 0; i < pool->n_seats && !rc; i++)
		rc = seat_start(pool, &pool->seats[i], err);
	return rc ? rc : wait_until_ready(pool, err);
}

static size_t aligned(size_t bytes)
{
	return (bytes + 15) & ~(size_t)15;
}

static struct pool *pool_new(const struct ops *ops, const struct history *history,
			     const struct recover_job *job, const struct pool_options *options,
			     uint32_t n_seats, struct plan *plan)
{
	struct pool *pool = mem_alloc(1, sizeof *pool);
	pool->n_seats = n_seats;
	pool->seats = mem_alloc(pool->n_seats, sizeof *pool->seats);
	pool->job = *job;
	pool->stop = options->stop;
	*plan = (struct plan){.ops = ops,
			      .history = history,
			      .job = &pool->job,
			      .stage = options->stage ? options->stage : &stage_disk,
			      .stage_arg = options->stage_arg,
			      .parent = pool->parent,
			      .limits = options->limits,
			      .cpu = options->cpu};
	child_limits_expand(&plan->limits);
	plan->held_max = ops->n_objects ? ops->n_objects : 1;
	plan->contents_at = aligned(sizeof(struct slot) + plan->held_max * sizeof(struct held));
	plan->answer_at = plan->contents_at + aligned(contents_bytes(history));
	plan->slot_bytes = whole_pages(plan->answer_at + job->answer_bytes);
	return pool;
}

int pool_create(const struct ops *ops, const struct history *history, const struct recover_job *job,
		const struct pool_options *options, struct pool **out, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t n = options->jobs ? options->jobs : cpus > 0 ? (uint32_t)cpus : 1;
	struct plan plan;
	struct pool *pool = pool_new(ops, history, job, options, n, &plan);
	int rc = pool_start(pool, &plan, options->parent, err);
	*out = rc ? NULL : pool;
	if (rc)
		pool_destroy(pool);
	return rc;
}

int pool_create_here(const struct ops *ops, const struct history *history,
		     const struct recover_job *job, const struct pool_options *options,
		     struct pool **out, struct err *err)
{
	struct plan plan;
	struct pool *pool = pool_new(ops, history, job, options, 1, &plan);
	int rc = area_choose(options->parent, pool->parent, err);
	if (!rc)
		rc = pool_map(pool, &plan, err);
	*out = rc ? NULL : pool;
	if (rc) {
		pool_destroy(pool);
		return rc;
	}
	fflush(NULL);
	for (int fd = 0; fd < 2; fd++)
		pool->output[fd] = fcntl(fd + 1, F_DUPFD_CLOEXEC, 3);
	pool->here = worker_create(&pool->seats[0].plan);
	pool->seats[0].pid = getpid();
	return ERR_OK;
}

/* Recoveries printed to files of the worker's own. */
static void leave_here(struct pool *pool)
{
	worker_destroy(pool->here);
	for (int fd = 0; fd < 2; fd++) {
		dup2(pool->output[fd], fd + 1);
		close(pool->output[fd]);
	}
	mem_unmap(pool->shared, pool->shared_bytes);
	free(pool->seats);
	free(pool);
}

/* Waits for a worker that was told to quit, and kills it where that takes too
 * long.  Its area then stays until the next sweep. */
static void seat_end(struct seat *seat, uint64_t deadline_ns)
{
	while (seat->pid > 0 && waitpid(seat->pid, NULL, WNOHANG) == 0) {
		if (clock_ns() > deadline_ns + END_MS * (uint64_t)1000000)
			kill(seat->pid, SIGKILL);
		else if (clock_ns() > deadline_ns)
			kill(seat->pid, SIGTERM);
		usleep(500);
	}
	seat->pid = 0;
}

void pool_destroy(struct pool *pool)
{
	if (!pool)
		return;
	if (pool->here) {
		leave_here(pool);
		return;
	}
	for (uint32_t i = 0; i < pool->n_seats && pool->shared; i++) {
		struct channel *c = pool->seats[i].plan.channel;
		__atomic_store_n(&c->quit, 1, __ATOMIC_SEQ_CST);
		bell_ring(&c->bell);
	}
	uint64_t deadline_ns = clock_ns() + LEAVE_MS * (uint64_t)1000000;
	for (uint32_t i = 0; i < pool->n_seats; i++)
		seat_end(&pool->seats[i], deadline_ns);
	if (pool->shared)
		pool_sweep(pool);
	mem_unmap(pool->shared, pool->shared_bytes);
	free(pool->seats);
	free(pool);
}

/* ---- jobs ---- */

static void release_lent(struct pool *pool)
{
	if (pool->lent)
		*pool->lent = SLOT_FREE;
	pool->lent = NULL;
}

/* Puts a slot into its worker's queue. */
static void hand_over(struct pool *pool, struct seat *seat, uint32_t slot)
{
	struct channel *c = seat->plan.channel;
	c->queue[c->submitted % SLOTS] = slot;
	__atomic_add_fetch(&c->submitted, 1, __ATOMIC_SEQ_CST);
	if (pool->here) {
		worker_do(pool->here, plan_slot(&seat->plan, slot));
		c->recoveries++;
		c->done++;
	} else {
		bell_ring(&c->bell);
	}
}

/* The worker with the fewest jobs before it, and a free slot of it. */
static struct seat *find_slot(struct pool *pool, uint32_t *slot)
{
	struct seat *best = NULL;
	uint32_t fewest = UINT32_MAX;
	for (uint32_t i = 0; i < pool->n_seats; i++) {
		struct seat *seat = &pool->seats[(pool->next + i) % pool->n_seats];
		uint32_t waiting = seat->plan.channel->submitted - seat->taken;
		const uint8_t *free_one = memchr(seat->use, SLOT_FREE, SLOTS);
		if (seat->pid <= 0 || !free_one || waiting >= fewest)
			continue;
		best = seat;
		fewest = waiting;
		*slot = (uint32_t)(free_one - seat->use);
	}
	pool->next++;
	return best;
}

bool pool_submit(struct pool *pool, const struct state *state, uint64_t tag)
{
	return pool_errand(pool, state, 0, tag);
}

bool pool_errand(struct pool *pool, const struct state *state, uint64_t order, uint64_t tag)
{
	uint32_t i;
	assert(state->n_held <= pool->seats[0].plan.held_max);
	release_lent(pool);
	struct seat *seat = find_slot(pool, &i);
	if (!seat)
		return false;
	struct slot *slot = plan_slot(&seat->plan, i);
	slot->tag = tag;
	slot->point = state->point;
	slot->n_held = state->n_held;
	slot->tear = state->tear;
	slot->order = order;
	slot->again = 0;
	if (state->n_held)
		memcpy(slot_held(slot), state->held, state->n_held * sizeof *state->held);
	seat->use[i] = SLOT_BUSY;
	pool->busy++;
	hand_over(pool, seat, i);
	return true;
}

static void note_hang(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_seats; i++)
		__atomic_add_fetch(&pool->seats[i].plan.channel->hangs, 1, __ATOMIC_RELAXED);
}

/* Takes the next result of a worker.  True if it is one for the caller; one
 * that must be run again, alone, waits in its slot. */
static bool seat_take(struct pool *pool, struct seat *seat, struct recovery *recovery)
{
	struct channel *c = seat->plan.channel;
	uint32_t i = c->queue[seat->taken++ % SLOTS];
	struct slot *slot = plan_slot(&seat->plan, i);
	if (slot->end >= AGAIN_TIME) {
		slot->again = slot->end;
		seat->use[i] = SLOT_AGAIN;
		pool->again++;
		return false;
	}
	if (slot->end == RECOVERY_TIMEOUT)
		note_hang(pool);
	*recovery = (struct recovery){.tag = slot->tag,
				      .end = (enum recovery_end)slot->end,
				      .survivors = slot->survivors,
				      .conduct = slot->conduct};
	memcpy(recovery->text, slot->text, sizeof recovery->text);
	recovery->conduct.disagreement[sizeof recovery->conduct.disagreement - 1] = '\0';
	if (slot->order)
		recovery->answer = plan_answer(&seat->plan, slot);
	else if (slot->end == RECOVERY_OK)
		recovery->contents = plan_contents(&seat->plan, slot);
	seat->use[i] = SLOT_LENT;
	pool->lent = &seat->use[i];
	pool->busy--;
	return true;
}

static bool take_any(struct pool *pool, struct recovery *recovery)
{
	for (uint32_t i = 0; i < pool->n_seats; i++) {
		struct seat *seat = &pool->seats[i];
		const struct channel *c = seat->plan.channel;
		while (__atomic_load_n(&c->done, __ATOMIC_SEQ_CST) != seat->taken)
			if (seat_take(pool, seat, recovery))
				return true;
	}
	return false;
}

/* Nothing else is under way: starts one job that must be alone. */
static void start_alone(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_seats; i++) {
		struct seat *seat = &pool->seats[i];
		uint8_t *use = memchr(seat->use, SLOT_AGAIN, SLOTS);
		if (!use)
			continue;
		*use = SLOT_BUSY;
		pool->again--;
		hand_over(pool, seat, (uint32_t)(use - seat->use));
		if (seat->pid <= 0)
			fail_head(seat, pool->err.text);
		return;
	}
}

int pool_wait(struct pool *pool, struct recovery *recovery, struct err *err)
{
	release_lent(pool);
	if (pool->busy == 0)
		return any_worker(pool)
			       ? err_set(err, ERR_MISSING, "no recovery is under way")
			       : err_set(err, ERR_IO, "no worker is left: %.900s", pool->err.text);
	uint64_t stopped_ns = 0;
	for (;;) {
		uint32_t bell = bell_count(pool_bell(pool));
		if (take_any(pool, recovery))
			return ERR_OK;
		if (pool->stop && *pool->stop && !stopped_ns)
			stopped_ns = clock_ns();
		if (stopped_ns && clock_ns() - stopped_ns > GRACE_NS)
			return err_set(err, ERR_TARGET, "interrupted");
		if (pool->busy == pool->again) {
			start_alone(pool);
			continue;
		}
		bell_wait(pool_bell(pool), bell, LOOK_MS);
		if (bell == bell_count(pool_bell(pool)))
			look_after_workers(pool);
	}
}

uint32_t pool_busy(const struct pool *pool)
{
	return pool->busy;
}

int pool_run(struct pool *pool, const struct state *state, struct recovery *recovery,
	     struct err *err)
{
	if (!pool_submit(pool, state, 0))
		return err_set(err, ERR_IO, "no worker is left: %.900s", pool->err.text);
	return pool_wait(pool, recovery, err);
}

void pool_cost(const struct pool *pool, uint64_t *worker_cpu_ns, uint64_t *recoveries)
{
	*worker_cpu_ns = *recoveries = 0;
	for (uint32_t i = 0; i < pool->n_seats; i++) {
		const struct channel *c = pool->seats[i].plan.channel;
		*worker_cpu_ns += __atomic_load_n(&c->cpu_ns, __ATOMIC_RELAXED);
		*recoveries += __atomic_load_n(&c->recoveries, __ATOMIC_RELAXED);
	}
}
