#include "fidelity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "mem.h"
#include "ops.h"
#include "prng.h"
#include "programs.h"
#include "trace_text.h"

enum {
	PROGRAMS = 100,
	CALLS_MAX = 8,
	STATES_MAX = 60,
	LITMUS_MAX = 1000,
	LITMUS_ROUND = 50,   /* block states of one recording of a litmus test */
	LITMUS_ROUNDS = 100, /* recordings of it, at most */
	SHRINK_MAX = 60,
	SHRINK_REPEATS = 3, /* recordings of a smaller program, before it counts as harmless */
	TIMINGS = 6,
	PROGRAM_DATA = 65536, /* of a program: more than any writes, for the device's size */
};

/* ---- one recording of one program ---- */

struct attempt {
	struct trace *trace;
	struct ops *ops;
	struct experiment experiment;
	struct against against;
};

struct how {
	const struct file_system *fs;
	const struct profile *profile;
	const struct timing *timing;
	uint64_t seed;
	bool warm, close_each;
	bool keep_data;
	uint32_t states_max;
	volatile const bool *stop;
};

/* The ways in which a program is recorded follow from its seed. */
static struct how how_of(const struct file_system *fs, const struct fidelity_options *options,
			 const struct timing *timing, uint64_t seed, uint32_t states_max)
{
	struct prng p;
	prng_init(&p, seed);
	return (struct how){.fs = fs,
			    .profile = options->profile ? options->profile : profile_find(fs->name),
			    .timing = timing,
			    .seed = prng_next(&p),
			    .warm = prng_below(&p, 4) == 0,
			    .close_each = prng_below(&p, 2) == 0,
			    .states_max = states_max};
}

static int attempt_parse(const char *text, const char *name, struct attempt *a, struct err *err)
{
	int rc = trace_parse(text, name, &a->trace, err);
	if (rc)
		return rc;
	trace_seal(a->trace);
	return ops_lower(a->trace, &a->ops, err);
}

static int attempt_run(struct lab *lab, struct device *device, const char *text, const char *name,
		       const struct how *how, struct attempt *a, struct err *err)
{
	*a = (struct attempt){0};
	int rc = attempt_parse(text, name, a, err);
	if (rc)
		return rc;
	uint32_t n_events = (uint32_t)a->trace->n_events;
	const struct block_run run = {.fs = how->fs,
				      .timing = how->timing,
				      .trace = a->trace,
				      .n_events = n_events,
				      .seed = how->seed,
				      .warm = how->warm,
				      .close_each = how->close_each};
	const struct block_options states = {.states_max = how->states_max, .seed = how->seed};
	rc = experiment_run(lab, device, &run, &states, how->keep_data, how->stop, &a->experiment,
			    err);
	if (!rc)
		against_model(&a->experiment, a->ops, how->profile, n_events, &a->against);
	return rc;
}

static void attempt_finish(struct attempt *a)
{
	against_finish(&a->against);
	experiment_finish(&a->experiment);
	trace_destroy(a->trace);
	*a = (struct attempt){0};
}

/* ---- random programs ---- */

/* What a crew shares: the result, whose misses lie here. */
struct tally {
	struct fidelity_result r;
	struct fidelity_miss miss[FIDELITY_MISSES];
};

struct campaign {
	const struct file_system *fs;
	const struct fidelity_options *options;
	const char *program, *name; /* one that is given; NULL: random ones */
	struct tally *tally;
};

#define ADD(field, n) __atomic_fetch_add(&(field), (n), __ATOMIC_SEQ_CST)

static void note_failure(struct tally *t, const struct err *err)
{
	if (ADD(t->r.failed, 1) == 0)
		snprintf(t->r.failure, sizeof t->r.failure, "%.500s", err->text);
}

static void note_miss(struct campaign *c, const struct attempt *a, const struct how *how,
		      const char *text, uint64_t seed)
{
	struct tally *t = c->tally;
	struct buf words = {0};
	ADD(t->r.misses, a->against.n_misses);
	uint32_t i = ADD(t->r.n_miss, 1);
	if (i >= FIDELITY_MISSES)
		return;
	struct fidelity_miss *m = &t->miss[i];
	m->seed = seed;
	m->timing = how->timing;
	m->warm = how->warm;
	m->close_each = how->close_each;
	snprintf(m->program, sizeof m->program, "%s", text);
	miss_print(&a->experiment, a->ops, how->profile, &a->against.misses[0], &words);
	snprintf(m->text, sizeof m->text, "%s", buf_text(&words));
	buf_finish(&words);
}

static void count(struct campaign *c, const struct attempt *a)
{
	struct tally *t = c->tally;
	ADD(t->r.states, a->experiment.mounted);
	ADD(t->r.trees, a->experiment.n);
	ADD(t->r.undecided, a->against.undecided);
	if (a->experiment.unmountable && ADD(t->r.unmountable, a->experiment.unmountable) == 0)
		snprintf(t->r.refusal, sizeof t->r.refusal, "%s", a->experiment.refusal);
	if (a->against.model) {
		ADD(t->r.counted, 1);
		ADD(t->r.model, a->against.model);
		ADD(t->r.seen, a->against.seen);
	}
}

static int record_one(struct campaign *c, struct lab *lab, struct device *device, const char *text,
		      const char *name, const struct timing *timing, uint64_t seed,
		      volatile const bool *stop, struct err *err)
{
	struct attempt a;
	struct how how = how_of(c->fs, c->options, timing, seed,
				c->options->states_max ? c->options->states_max : STATES_MAX);
	how.stop = stop;
	int rc = attempt_run(lab, device, text, name, &how, &a, err);
	ADD(c->tally->r.recordings, 1);
	if (!rc) {
		count(c, &a);
		if (a.against.n_misses)
			note_miss(c, &a, &how, text, seed);
	} else if (rc == ERR_IO || rc == ERR_FULL) {
		note_failure(c->tally, err);
		rc = ERR_OK;
	}
	attempt_finish(&a);
	return rc;
}

/* Each random program under the mixed timing, and under another in turn. */
static int piece(void *arg, struct lab *lab, struct device *device, uint32_t number,
		 volatile const bool *stop, struct err *err)
{
	struct campaign *c = arg;
	struct buf text = {0};
	struct prng p;
	const struct timing *mixed = timing_find("mixed");
	uint64_t seed = c->options->seed * 1000003 + number;
	prng_init(&p, seed);
	if (c->program)
		return record_one(c, lab, device, c->program, c->name,
				  &timing_table[number % TIMINGS], seed, stop, err);
	program_make(prng_next(&p), c->options->calls_max ? c->options->calls_max : CALLS_MAX,
		     &text);
	int rc = record_one(c, lab, device, buf_text(&text), "program", mixed, prng_next(&p), stop,
			    err);
	if (!rc)
		rc = record_one(c, lab, device, buf_text(&text), "program",
				&timing_table[number % TIMINGS], prng_next(&p), stop, err);
	buf_finish(&text);
	return rc;
}

/* ---- smaller misses ---- */

struct shrinking {
	struct lab *lab;
	struct device *device;
	const struct campaign *c;
	struct fidelity_miss *miss;
};

static bool still_misses(void *arg, const char *text)
{
	struct shrinking *s = arg;
	bool found = false;
	for (uint32_t i = 0; i < SHRINK_REPEATS && !found; i++) {
		struct attempt a;
		struct err err;
		struct how how =
			how_of(s->c->fs, s->c->options, s->miss->timing, s->miss->seed, STATES_MAX);
		how.seed += i;
		how.warm = s->miss->warm;
		how.close_each = s->miss->close_each;
		how.stop = s->c->options->stop;
		int rc = attempt_run(s->lab, s->device, text, "program", &how, &a, &err);
		found = !rc && a.against.n_misses > 0;
		if (found) {
			struct buf words = {0};
			miss_print(&a.experiment, a.ops, how.profile, &a.against.misses[0], &words);
			snprintf(s->miss->text, sizeof s->miss->text, "%s", buf_text(&words));
			buf_finish(&words);
		}
		attempt_finish(&a);
	}
	return found;
}

static int make_small(struct lab *lab, const struct campaign *c, uint64_t bytes, struct err *err)
{
	struct device *const *devices;
	int rc = lab_devices(lab, 1, bytes, &devices, err);
	for (uint32_t i = 0; i < c->tally->r.n_miss && i < FIDELITY_MISSES && !rc; i++) {
		struct shrinking s = {lab, devices[0], c, &c->tally->miss[i]};
		struct buf best = {0};
		program_shrink(s.miss->program,
			       c->options->shrink_max ? c->options->shrink_max : SHRINK_MAX,
			       still_misses, &s, &best);
		snprintf(s.miss->program, sizeof s.miss->program, "%s", buf_text(&best));
		buf_finish(&best);
	}
	return rc;
}

/* ---- the whole ---- */

struct reporting {
	const struct fidelity_options *options;
	const struct file_system *fs;
	uint32_t of;
};

static void report(void *arg, uint32_t done)
{
	const struct reporting *r = arg;
	if (r->options->progress)
		r->options->progress(r->options->progress_arg, r->fs, done, r->of);
}

/* Takes the result out of shared memory. */
static void fill(const struct tally *t, struct fidelity_result *r)
{
	*r = t->r;
	if (r->n_miss > FIDELITY_MISSES)
		r->n_miss = FIDELITY_MISSES;
	r->miss = mem_alloc(FIDELITY_MISSES, sizeof *r->miss);
	memcpy(r->miss, t->miss, r->n_miss * sizeof *r->miss);
}

static int run_pieces(struct lab *lab, struct campaign *c, uint32_t n,
		      struct fidelity_result *result, struct err *err)
{
	const struct fidelity_options *o = c->options;
	uint64_t bytes = file_system_bytes(c->fs, PROGRAM_DATA);
	struct reporting reporting = {o, c->fs, n};
	const struct crew_work work = {n, piece, c, o->stop, report, &reporting};
	*result = (struct fidelity_result){.fs = c->fs};
	c->tally = mem_map_shared(sizeof *c->tally);
	if (!c->tally)
		return err_sys(err, "no memory");
	c->tally->r.fs = c->fs;
	c->tally->r.programs = c->program ? 1 : n;
	int rc = crew_run(lab, c->fs, bytes, o->jobs ? o->jobs : crew_jobs(), &work, err);
	if (!rc && !c->program)
		rc = make_small(lab, c, bytes, err);
	fill(c->tally, result);
	mem_unmap(c->tally, sizeof *c->tally);
	return rc;
}

int fidelity_run(struct lab *lab, const struct file_system *fs,
		 const struct fidelity_options *options, struct fidelity_result *result,
		 struct err *err)
{
	struct campaign c = {.fs = fs, .options = options};
	return run_pieces(lab, &c, options->programs ? options->programs : PROGRAMS, result, err);
}

int fidelity_program(struct lab *lab, const struct file_system *fs, const char *program,
		     const char *name, uint32_t rounds, const struct fidelity_options *options,
		     struct fidelity_result *result, struct err *err)
{
	struct campaign c = {.fs = fs, .options = options, .program = program, .name = name};
	struct attempt a = {0};
	*result = (struct fidelity_result){.fs = fs};
	int rc = attempt_parse(program, name, &a, err);
	if (!rc && a.trace->n_events == 0)
		rc = err_set(err, ERR_USAGE, "%s has no calls, only a start at most", name);
	attempt_finish(&a);
	if (rc)
		return rc;
	return run_pieces(lab, &c, rounds * TIMINGS, result, err);
}

void fidelity_finish(struct fidelity_result *result)
{
	free(result->miss);
	*result = (struct fidelity_result){0};
}

/* ---- litmus tests ---- */

struct litmus_run {
	const struct file_system *fs;
	const struct fidelity_options *options;
	struct litmus_result *results; /* shared */
};

/* Whether one of the sightings shows it, and which. */
static const struct sighting *find_shown(const struct litmus *l, const struct attempt *a)
{
	uint32_t end = 2 * (uint32_t)a->trace->n_events;
	for (size_t i = 0; i < a->experiment.n; i++) {
		const struct sighting *s = &a->experiment.list[i];
		if ((!l->after || s->to == end) && litmus_shows(l, s->seen))
			return s;
	}
	return NULL;
}

static void judge_litmus(const struct litmus *l, const struct attempt *a, const struct how *how,
			 struct litmus_result *r)
{
	struct buf words = {0};
	const struct sighting *s = find_shown(l, a);
	r->done = r->done || a->experiment.mounted > 0;
	r->states += a->experiment.mounted;
	r->undecided += a->against.undecided;
	r->unmountable += a->experiment.unmountable;
	if (a->experiment.unmountable && !*r->text)
		snprintf(r->text, sizeof r->text, "%s", a->experiment.refusal);
	if (a->against.n_misses && !r->misses) {
		miss_print(&a->experiment, a->ops, how->profile, &a->against.misses[0], &words);
		snprintf(r->text, sizeof r->text, "%s", buf_text(&words));
		buf_clear(&words);
	}
	r->misses += a->against.n_misses;
	if (s) {
		r->shown = true;
		r->after = r->states - a->experiment.mounted + s->block_state + 1;
		snprintf(r->timing, sizeof r->timing, "%s", how->timing->name);
		block_state_print(&a->experiment.states, &a->experiment.states.list[s->block_state],
				  &words);
		snprintf(r->blocks, sizeof r->blocks, "%s", buf_text(&words));
	}
	buf_finish(&words);
}

/* Each once, then what shows most. */
static const struct timing *litmus_timing(uint32_t recording)
{
	static const char *const later[] = {"mixed", "range", "mixed", "slow"};
	return recording < TIMINGS ? &timing_table[recording]
				   : timing_find(later[recording % (sizeof later / sizeof *later)]);
}

static int litmus_piece(void *arg, struct lab *lab, struct device *device, uint32_t number,
			volatile const bool *stop, struct err *err)
{
	struct litmus_run *run = arg;
	const struct litmus *l = &litmus_table[number];
	struct litmus_result *r = &run->results[number];
	uint32_t max = run->options->litmus_max ? run->options->litmus_max : LITMUS_MAX;
	int rc = ERR_OK;
	for (uint32_t i = 0; i < LITMUS_ROUNDS; i++) {
		struct attempt a;
		struct how how = how_of(run->fs, run->options, litmus_timing(i),
					run->options->seed * 1000003 + i,
					max < LITMUS_ROUND ? max : LITMUS_ROUND);
		how.keep_data = true;
		how.stop = stop;
		/* All timings once, at least. */
		if ((i >= TIMINGS && (r->states >= max || !r->done)) || r->shown)
			break;
		rc = attempt_run(lab, device, l->calls, l->name, &how, &a, err);
		if (!rc)
			judge_litmus(l, &a, &how, r);
		attempt_finish(&a);
		if (rc == ERR_IO) {
			snprintf(r->text, sizeof r->text, "%.1000s", err->text);
			return ERR_OK;
		}
		if (rc)
			break;
	}
	return rc;
}

int fidelity_litmus(struct lab *lab, const struct file_system *fs,
		    const struct fidelity_options *options, struct litmus_result *results,
		    struct err *err)
{
	uint32_t n = 0;
	while (litmus_table[n].name)
		n++;
	struct litmus_run run = {fs, options, mem_map_shared(n * sizeof *results)};
	struct reporting reporting = {options, fs, n};
	const struct crew_work work = {n, litmus_piece, &run, options->stop, report, &reporting};
	if (!run.results)
		return err_sys(err, "no memory");
	int rc = crew_run(lab, fs, file_system_bytes(fs, PROGRAM_DATA),
			  options->jobs ? options->jobs : crew_jobs(), &work, err);
	memcpy(results, run.results, n * sizeof *results);
	mem_unmap(run.results, n * sizeof *results);
	return rc;
}
