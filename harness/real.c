#include "real.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "clock.h"
#include "crash_disk.h"
#include "look.h"
#include "mem.h"
#include "points.h"
#include "prng.h"

enum {
	STATES_MAX = 1000,
	/* Block states that are looked at before what they showed is recovered: a visit that
	 * ends it all must not come too late, and going back costs a disk some copying. */
	BATCH = 128,
	/* A tree that takes more to be described has gigabytes, which nobody can read at each
	 * block state. */
	TREE_MAX = 16 << 20,
};

/* What an errand brings back; the tree follows, but where there is a text. */
struct looked {
	uint64_t bytes; /* of the tree; and what follows is aligned as it needs it */
	enum err_code code;
	char text[200]; /* why there is none; ERR_FULL: it was larger than any tree of this trace */
};
_Static_assert(sizeof(struct looked) % _Alignof(struct seen) == 0, "the tree follows");

/* What is recovered once: a tree, and where recoveries are told, with how much had been
 * acknowledged. */
struct shown_key {
	struct digest digest;
	uint64_t acked;
};

struct shown {
	UT_hash_handle hh;
	struct shown_key key;
	struct recovery recovery; /* contents are its own */
	struct recovery *again;	  /* a second one; NULL: none was needed so far */
};

/* What is judged once. */
struct found_key {
	struct digest digest;
	struct bounds bounds;
};
_Static_assert(sizeof(struct found_key) == sizeof(struct digest) + sizeof(struct bounds),
	       "hashed as bytes");

struct found {
	UT_hash_handle hh;
	struct found_key key;
};

/* One to be judged. */
struct tree {
	const struct seen *seen;
	uint32_t block_state, point;
	struct bounds bounds;
	struct shown *shown;
	bool fresh;
};

struct real {
	const struct subject *s;
	const struct real_options *o;
	real_visit *visit;
	void *arg;
	struct real_totals *totals;
	struct err *err;
	struct recover_job job;
	struct device *const *devices;
	uint32_t jobs, n_events;
	size_t tree_bytes; /* room for a tree in an answer */
	struct shown *shown;
	struct found *found;
	/* Of the recording that is under way: */
	struct experiment experiment;
	const struct timing *timing;
	struct pool *pool;
	const struct seen *seen[BATCH]; /* by block state */
	struct tree trees[BATCH];
	uint32_t n_trees;
	bool over; /* the visitor has enough */
};

/* ---- looking: in a worker ---- */

static void look(void *arg, const struct state *state, uint64_t order, const char *dir,
		 void *answer)
{
	const struct real *r = arg;
	struct looked *looked = answer;
	struct buf tree = {0};
	struct err err = {0};
	(void)state;
	(void)order;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? err_sys(&err, "%s", dir) : look_tree(fd, false, &tree, &err);
	if (fd >= 0)
		close(fd);
	if (!rc && tree.len > r->tree_bytes)
		rc = err_set(&err, ERR_FULL, "a tree of %zu bytes, where %zu are the most",
			     tree.len, r->tree_bytes);
	looked->bytes = rc ? 0 : tree.len;
	if (!rc)
		memcpy(looked + 1, tree.data, tree.len);
	looked->code = (enum err_code)rc;
	snprintf(looked->text, sizeof looked->text, "%.190s", rc ? err.text : "");
	buf_finish(&tree);
}

/* The largest size that a file of the trace has at any time. */
static uint64_t largest(const struct ops *ops, uint32_t ino)
{
	const struct inode *inode = &ops->inodes[ino];
	uint64_t most = inode->start_size;
	if (inode->size_object == NONE)
		return most;
	for (uint32_t v = 1; v <= ops->objects[inode->size_object].n; v++) {
		uint64_t size = ops->micros[ops_micro(ops, inode->size_object, v)].size;
		most = size > most ? size : most;
	}
	return most;
}

/* No tree of the trace needs more: each entry is there at most once, below directories that
 * have one place each. */
static size_t tree_bytes(const struct trace *trace, const struct ops *ops)
{
	uint64_t blocks = 0, directories = 0, n = trace->n_start_entries, path;
	for (uint32_t i = 1; i <= ops->n_inodes; i++) {
		directories += ops->inodes[i].type == INODE_DIR;
		if (ops->inodes[i].type != INODE_DIR)
			blocks += largest(ops, i) / BLOCK_BYTES + 1;
	}
	for (uint32_t i = 0; i < ops->n_objects; i++)
		n += ops->objects[i].kind == OBJECT_ENTRY;
	path = directories * (NAME_MAX + 1);
	path = path < PATH_MAX ? path : PATH_MAX;
	return sizeof(struct seen) + n * (sizeof(struct seen_node) + NAME_MAX + 1 + path) +
	       blocks * sizeof(struct digest);
}

/* ---- places in the history ---- */

/* The first crash point of a moment: all events before it are done. */
static uint32_t point_at(const struct real *r, uint32_t moment)
{
	const struct ops *ops = r->s->ops;
	uint32_t event = moment_events(moment), low = 0, high = ops->n_steps;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (ops->steps[middle].event < event)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct state state_of(uint32_t point, const struct held *held)
{
	return (struct state){.point = point, .held = held, .n_held = 1, .tear = {.object = NONE}};
}

/* ---- workers ---- */

static bool must_stop(struct real *r)
{
	if ((r->o->stop && *r->o->stop) || (r->o->deadline_ns && clock_ns() >= r->o->deadline_ns))
		r->totals->cut = true;
	return r->totals->cut;
}

static void report(const struct real *r)
{
	if (r->o->progress)
		r->o->progress(r->o->progress_arg, r->totals->mounted, r->totals->recoveries);
}

/* Waiting ends early where a signal says so, which is no error. */
static int wait_for(struct real *r, struct recovery *recovery)
{
	int rc = pool_wait(r->pool, recovery, r->err);
	if (rc && r->o->stop && *r->o->stop) {
		r->totals->cut = true;
		return ERR_TARGET;
	}
	return rc;
}

static void copy_recovery(const struct real *r, const struct recovery *from, struct recovery *to)
{
	*to = *from;
	to->answer = NULL;
	if (from->contents)
		to->contents = (const struct contents *)(void *)mem_dup(
			from->contents, contents_bytes(r->s->history));
}

static void refused(struct real *r, const char *text)
{
	if (!r->totals->unmountable++)
		snprintf(r->totals->refusal, sizeof r->totals->refusal, "%.250s", text);
}

/* Takes the result of an errand; its tag is the place in the batch. */
static int take_look(struct real *r)
{
	struct recovery recovery;
	int rc = wait_for(r, &recovery);
	if (rc)
		return rc;
	const struct looked *looked = recovery.answer;
	if (recovery.end != RECOVERY_OK) {
		refused(r, recovery.text);
		return ERR_OK;
	}
	if (looked->code == ERR_FULL)
		return err_set(r->err, ERR_INTERNAL, "%s", looked->text);
	if (looked->code) {
		refused(r, looked->text);
		return ERR_OK;
	}
	r->seen[recovery.tag] = (const void *)mem_dup(looked + 1, looked->bytes);
	r->totals->mounted++;
	report(r);
	return ERR_OK;
}

/* Takes the result of a recovery; its tag is the number of its tree. */
static int take_recovery(struct real *r)
{
	struct recovery recovery;
	int rc = wait_for(r, &recovery);
	if (rc)
		return rc;
	copy_recovery(r, &recovery, &r->trees[recovery.tag].shown->recovery);
	r->totals->recoveries++;
	report(r);
	return ERR_OK;
}

static int finish_all(struct real *r, int (*take)(struct real *))
{
	int rc = ERR_OK;
	while (!rc && pool_busy(r->pool))
		rc = take(r);
	return rc;
}

/* ---- a batch ---- */

static int look_at_all(struct real *r, uint32_t first, uint32_t n)
{
	int rc = ERR_OK;
	for (uint32_t i = 0; i < n && !rc; i++) {
		const struct held held = {.object = first + i};
		const struct state state = state_of(0, &held);
		while (!rc && !pool_errand(r->pool, &state, 1, i))
			rc = take_look(r);
	}
	return rc ? rc : finish_all(r, take_look);
}

/* Whether it was judged before; from now on it was. */
static bool known(struct real *r, const struct seen *seen, const struct bounds *bounds)
{
	struct found_key key = {seen->digest, *bounds};
	struct found *f;
	HASH_FIND(hh, r->found, &key, sizeof key, f);
	if (f)
		return true;
	f = mem_alloc(1, sizeof *f);
	f->key = key;
	HASH_ADD(hh, r->found, key, sizeof key, f);
	return false;
}

/* What its recovery shows: known, or to be found out. */
static struct shown *shown_of(struct real *r, const struct tree *tree, bool *fresh)
{
	struct shown_key key = {tree->seen->digest,
				r->s->jury.tells_acked ? tree->bounds.acked : 0};
	struct shown *s;
	HASH_FIND(hh, r->shown, &key, sizeof key, s);
	*fresh = !s;
	if (s)
		return s;
	s = mem_alloc(1, sizeof *s);
	s->key = key;
	HASH_ADD(hh, r->shown, key, sizeof key, s);
	return s;
}

/* Of what was seen in a batch, the trees that were not judged yet, in the order of their block
 * states: whatever order the workers finish in. */
static void gather(struct real *r, uint32_t first, uint32_t n)
{
	r->n_trees = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!r->seen[i])
			continue;
		struct tree *t = &r->trees[r->n_trees];
		*t = (struct tree){.seen = r->seen[i], .block_state = first + i};
		t->point = point_at(r, r->experiment.states.list[first + i].to);
		t->bounds = points_bounds(r->s, t->point, true);
		if (known(r, t->seen, &t->bounds))
			continue;
		t->shown = shown_of(r, t, &t->fresh);
		r->n_trees++;
	}
}

static int recover_all(struct real *r)
{
	int rc = ERR_OK;
	for (uint32_t i = 0; i < r->n_trees && !rc; i++) {
		const struct tree *t = &r->trees[i];
		const struct held held = {.object = t->block_state};
		const struct state state = state_of(t->point, &held);
		while (!rc && t->fresh && !pool_submit(r->pool, &state, i))
			rc = take_recovery(r);
	}
	return rc ? rc : finish_all(r, take_recovery);
}

/* What fails is recovered once more: what comes and goes is the recovery's own doing, or the
 * machine's.  What took too long was run twice already. */
static int confirm(struct real *r, const struct tree *t, struct verdict *verdict, bool *unsure)
{
	struct shown *s = t->shown;
	struct recovery recovery;
	struct verdict second;
	if (s->recovery.end == RECOVERY_TIMEOUT)
		return ERR_OK;
	if (!s->again) {
		const struct held held = {.object = t->block_state};
		const struct state state = state_of(t->point, &held);
		int rc = pool_submit(r->pool, &state, 0)
				 ? wait_for(r, &recovery)
				 : err_set(r->err, ERR_IO, "no worker is left");
		if (rc)
			return rc;
		r->totals->recoveries++;
		s->again = mem_alloc(1, sizeof *s->again);
		copy_recovery(r, &recovery, s->again);
	}
	jury_judge(&r->s->jury, s->again, &t->bounds, &second);
	*unsure = !(second.broken & RULE_BIT(first_rule(verdict->broken)));
	if (*unsure)
		verdict->broken = 0;
	return ERR_OK;
}

static int judge_tree(struct real *r, const struct tree *t)
{
	const struct block_state *b = &r->experiment.states.list[t->block_state];
	struct real_state state = {.seen = t->seen,
				   .from = b->from,
				   .to = b->to,
				   .point = t->point,
				   .bounds = t->bounds,
				   .recovery = &t->shown->recovery,
				   .fresh = t->fresh,
				   .unsure = recovery_unsure(&t->shown->recovery),
				   .timing = r->timing,
				   .experiment = &r->experiment,
				   .block_state = t->block_state,
				   .mounted = r->totals->mounted};
	int rc = ERR_OK;
	jury_judge(&r->s->jury, state.recovery, &t->bounds, &state.verdict);
	if (state.verdict.broken)
		rc = confirm(r, t, &state.verdict, &state.unsure);
	if (rc)
		return rc;
	r->totals->trees++;
	rc = r->visit(r->arg, &state, r->err);
	r->over = rc == 1;
	return r->over ? ERR_OK : rc;
}

static int run_batch(struct real *r, uint32_t first, uint32_t n)
{
	int rc = look_at_all(r, first, n);
	if (!rc) {
		gather(r, first, n);
		rc = recover_all(r);
	}
	for (uint32_t i = 0; i < r->n_trees && !rc && !r->over && !must_stop(r); i++)
		rc = judge_tree(r, &r->trees[i]);
	for (uint32_t i = 0; i < n; i++) {
		free((void *)(uintptr_t)r->seen[i]);
		r->seen[i] = NULL;
	}
	r->n_trees = 0;
	return rc;
}

/* ---- a recording ---- */

static int show_recording(struct real *r)
{
	const struct crash_stage stage = {.source = {r->o->lab, r->o->fs,
						     &r->experiment.recording.base,
						     &r->experiment.states},
					  .devices = r->devices,
					  .n = r->jobs};
	const struct pool_options options = {.jobs = r->jobs,
					     .parent = lab_dir(r->o->lab),
					     .stage = &stage_crash_disk,
					     .stage_arg = &stage,
					     .limits = r->o->limits,
					     .stop = r->o->stop,
					     .cpu = -1};
	uint32_t n = r->experiment.states.n;
	int rc = pool_create(r->s->ops, r->s->history, &r->job, &options, &r->pool, r->err);
	for (uint32_t first = 0; first < n && !rc && !r->over && !must_stop(r); first += BATCH)
		rc = run_batch(r, first, n - first < BATCH ? n - first : BATCH);
	pool_destroy(r->pool);
	r->pool = NULL;
	return rc;
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static int run_recording(struct real *r, uint64_t seed, uint32_t states_max)
{
	struct prng p;
	prng_init(&p, seed);
	/* A file system that has just been made, and programs that close their files after
	 * each call, behave in ways of their own. */
	const struct block_run run = {.fs = r->o->fs,
				      .timing = r->timing,
				      .trace = r->s->trace,
				      .n_events = r->n_events,
				      .seed = prng_next(&p),
				      .warm = prng_below(&p, 2) == 0,
				      .close_each = prng_below(&p, 2) == 0};
	const struct block_options options = {.states_max = states_max < 2 ? 2 : states_max,
					      .from_moment = r->o->from_moment,
					      .seed = prng_next(&p)};
	int rc =
		experiment_record(r->o->lab, r->devices[0], &run, &options, &r->experiment, r->err);
	if (!rc) {
		r->totals->recordings++;
		r->totals->possible =
			add_saturating(r->totals->possible, r->experiment.states.possible);
		rc = show_recording(r);
	}
	experiment_finish(&r->experiment);
	return rc;
}

/* ---- the whole ---- */

static int run_all(struct real *r)
{
	static const struct timing *all[32];
	const struct timing *const *timings = r->o->timings;
	uint32_t n = 0, rounds = r->o->rounds ? r->o->rounds : 1;
	uint32_t left = r->o->states_max ? r->o->states_max : STATES_MAX;
	int rc = ERR_OK;
	for (; !timings && timing_table[n].name; n++)
		all[n] = &timing_table[n];
	timings = timings ? timings : all;
	for (n = 0; timings[n];)
		n++;
	for (uint32_t i = 0; i < n * rounds && !rc && !r->over && !must_stop(r); i++) {
		uint64_t before = r->totals->mounted + r->totals->unmountable;
		r->timing = timings[i % n];
		r->totals->timings = i < n ? i + 1 : n;
		/* What a recording has not enough states for is left to the others. */
		rc = run_recording(r, r->o->seed * 1000003 + i, left / (n * rounds - i));
		uint64_t used = r->totals->mounted + r->totals->unmountable - before;
		left -= used < left ? (uint32_t)used : left;
	}
	/* A signal ends it, and is no error. */
	return r->totals->cut && rc == ERR_TARGET ? ERR_OK : rc;
}

static void release(struct real *r)
{
	struct shown *s, *next_shown;
	struct found *f, *next_found;
	HASH_ITER (hh, r->shown, s, next_shown) {
		HASH_DEL(r->shown, s);
		free((void *)(uintptr_t)s->recovery.contents);
		if (s->again)
			free((void *)(uintptr_t)s->again->contents);
		free(s->again);
		free(s);
	}
	HASH_ITER (hh, r->found, f, next_found) {
		HASH_DEL(r->found, f);
		free(f);
	}
}

int real_run(const struct subject *subject, const struct recover_job *job,
	     const struct real_options *options, real_visit *visit, void *arg,
	     struct real_totals *totals, struct err *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t all = (uint32_t)subject->trace->n_events;
	struct real r = {
		.s = subject,
		.o = options,
		.visit = visit,
		.arg = arg,
		.totals = totals,
		.err = err,
		.job = *job,
		.jobs = options->jobs ? options->jobs
			: cpus > 0    ? (uint32_t)cpus
				      : 1,
		.n_events = options->n_events && options->n_events < all ? options->n_events : all};
	*totals = (struct real_totals){0};
	r.tree_bytes = tree_bytes(subject->trace, subject->ops);
	if (r.tree_bytes > TREE_MAX)
		return err_set(
			err, ERR_TARGET,
			"its files are too many or too large to be looked at again and again");
	r.job.errand = look;
	r.job.errand_arg = &r;
	r.job.answer_bytes = sizeof(struct looked) + r.tree_bytes;
	int rc = lab_devices(options->lab, r.jobs,
			     file_system_bytes(options->fs, replay_bytes(subject->trace)),
			     &r.devices, err);
	if (!rc)
		rc = run_all(&r);
	release(&r);
	return rc;
}
