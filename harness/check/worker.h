/* The inside of a pool: what the caller's process and its workers share.
 *
 * Each worker has a channel and SLOTS slots.  The caller fills a slot, puts its
 * number into the channel's queue and counts `submitted` up; the worker takes
 * the queue in order and counts `done` up.  Either side sleeps on a bell, a
 * futex that only grows, and is woken only if it sleeps. */
#ifndef POWERCUT_WORKER_H
#define POWERCUT_WORKER_H

#include <stdint.h>

#include "recover.h"
#include "stage.h"

enum { SLOTS = 8 };

/* Ends that stay within the pool: the job is to be run again, alone. */
enum {
	AGAIN_TIME = 100, /* it took too long, perhaps because of others */
	AGAIN_SPACE,	  /* the stage got full, perhaps because of others */
};

enum answer { ANSWER_NONE, ANSWER_CONTENTS, ANSWER_ERROR };

struct slot {
	/* The job. */
	uint64_t tag;
	uint32_t point;
	uint32_t n_held;
	struct tear tear;
	uint64_t order; /* of an errand; 0: recover */
	uint32_t again; /* 0, or why this is run again, alone */
	/* The result. */
	uint32_t end; /* enum recovery_end, or AGAIN_… */
	bool survivors;
	char text[256];
	/* Set by the recovery itself. */
	uint32_t answer;
	struct conduct conduct;
	struct engine_error error;
	/* Followed by room for held, contents and an errand's answer: see below. */
};

enum worker_phase { WORKER_STARTING, WORKER_READY, WORKER_FAILED };

struct bell {
	uint32_t count;	 /* futex */
	uint32_t asleep; /* somebody waits for it */
};

struct channel {
	struct bell bell; /* rung by the caller */
	uint32_t submitted, done;
	uint32_t quit;
	uint32_t phase;
	uint32_t queue[SLOTS];
	uint64_t cpu_ns, recoveries;
	uint32_t hangs; /* time-outs that were confirmed, of all workers; set by the caller */
	struct err err; /* where phase is WORKER_FAILED */
};

/* What a worker is told. */
struct plan {
	const struct ops *ops;
	const struct history *history;
	const struct recover_job *job;
	const struct stage_kind *stage;
	const void *stage_arg;
	const char *parent; /* of its stage */
	struct child_limits limits;
	int cpu;
	struct bell *bell; /* rung by workers */
	struct channel *channel;
	char *slots;
	uint32_t held_max; /* a state may have */
	size_t slot_bytes, contents_at, answer_at;
};

static inline struct slot *plan_slot(const struct plan *plan, uint32_t i)
{
	return (struct slot *)(void *)(plan->slots + i * plan->slot_bytes);
}

/* Room for held objects: one for each object of ops, and for at least one. */
static inline struct held *slot_held(struct slot *slot)
{
	return (struct held *)(slot + 1);
}

static inline struct contents *plan_contents(const struct plan *plan, struct slot *slot)
{
	return (struct contents *)(void *)((char *)slot + plan->contents_at);
}

static inline void *plan_answer(const struct plan *plan, struct slot *slot)
{
	return (char *)slot + plan->answer_at;
}

void bell_ring(struct bell *bell);
/* Sleeps while count is what it was, at most that long. */
void bell_wait(struct bell *bell, uint32_t count, uint32_t timeout_ms);
uint32_t bell_count(const struct bell *bell);

/* A worker's own things, of which a process may have one more (pool_create_here). */
struct worker;
struct worker *worker_create(const struct plan *plan);
void worker_destroy(struct worker *worker);
void worker_do(struct worker *worker, struct slot *slot);

/* The life of a worker, in its own process, which dies with parent. */
void worker_main(const struct plan *plan, pid_t parent) __attribute__((noreturn));

#endif
