/* Which points are worth exploring.
 *
 * After a micro-op, only states that contain it are new: the others were possible
 * just before, with the same history.  But a block that may be torn between its
 * newest version and an older one is neither with nor without it: there all
 * states are looked at.  So they are after stores through mappings that were seen
 * in one look: any one of them makes a state new.
 *
 * After an acknowledgement that changes what must be there, all states are
 * judged anew.  A sync takes states away and adds none, so it is no point of its
 * own, but where what is fsynced may overtake (btrfs): there it makes states
 * possible that were not before.
 *
 * tests/test_points.c holds this against all states of all points. */
#include "points.h"

#include <stdlib.h>

#include "mem.h"

enum {
	COUNT_WORK = 20000, /* for one crash point; see model_count */
	SPARSE_STATES = 8,  /* of a point, where there are too many points */
};

struct planning {
	struct points *points;
	const struct subject *s;
	struct model *model;
	struct bounds last; /* of the last point */
};

static bool by_power(const struct planning *p)
{
	return model_profile(p->model)->order != ORDER_ISSUED;
}

static struct bounds bounds_after(const struct planning *p, uint32_t n_events)
{
	return p->s->jury.bounds(p->s->jury.arg, n_events, by_power(p));
}

/* The micro-op without which no state is new, or NONE. */
static uint32_t to_keep(const struct planning *p, uint32_t newest)
{
	const struct ops *ops = p->s->ops;
	if (newest == NONE || !by_power(p))
		return NONE;
	const struct micro *m = &ops->micros[newest];
	bool torn = model_profile(p->model)->tears && ops->objects[m->object].kind == OBJECT_BLOCK;
	return torn || m->flags & MICRO_TOGETHER ? NONE : newest;
}

static void add_point(struct planning *p, uint32_t newest, uint32_t event, struct bounds bounds)
{
	struct point point = {.point = model_point(p->model),
			      .newest = newest,
			      .keep = to_keep(p, newest),
			      .event = event,
			      .bounds = bounds};
	point.possible = point.chosen = model_count(p->model, COUNT_WORK);
	if (point.keep != NONE) {
		const struct micro *m = &p->s->ops->micros[point.keep];
		size_t mark = model_mark(p->model);
		model_at_least(p->model, m->object, m->version);
		point.chosen = model_count(p->model, COUNT_WORK);
		model_undo(p->model, mark);
	}
	*MEM_PUSH(p->points->list, p->points->n, p->points->cap) = point;
	p->last = bounds;
}

static bool same_bounds(const struct bounds *a, const struct bounds *b)
{
	return a->acked == b->acked && a->durable == b->durable && a->stage == b->stage;
}

/* Whether the step just taken makes a point worth exploring, and which. */
static void plan_step(struct planning *p, const struct step *s)
{
	if (s->kind == STEP_MICRO) {
		/* A rename's halves are one step; either stands for both. */
		add_point(p, s->micro, s->event, bounds_after(p, s->event));
	} else if (s->kind == STEP_SYNC) {
		if (model_profile(p->model)->order == ORDER_OVERTAKE)
			add_point(p, NONE, s->event, bounds_after(p, s->event));
	} else if (s->kind == STEP_END) {
		struct bounds b = bounds_after(p, s->event + 1);
		if (!same_bounds(&b, &p->last))
			add_point(p, NONE, s->event, b);
	}
}

struct bounds points_bounds(const struct subject *subject, uint32_t point, bool power)
{
	uint32_t events = point ? ops_events_before(subject->ops, point) : subject->first_event;
	return subject->jury.bounds(subject->jury.arg, events, power);
}

void points_plan(struct points *points, const struct subject *subject,
		 const struct profile *profile, bool (*stop)(void *arg), void *arg)
{
	struct planning p = {points, subject, model_create(subject->ops, profile)};
	const struct step *steps = subject->ops->steps;
	uint32_t before = 0, first = subject->first_event;
	points->n = 0;
	while (before < subject->ops->n_steps && steps[before].event < first &&
	       model_advance(p.model))
		before = model_point(p.model);
	p.last = bounds_after(&p, first);
	/* What a second life begins with was looked at in the first. */
	if (!first)
		add_point(&p, NONE, 0, p.last);
	for (; !(stop && stop(arg)) && model_advance(p.model); before = model_point(p.model))
		plan_step(&p, &steps[before]);
	model_destroy(p.model);
}

void points_end(struct points *points, const struct subject *subject, const struct profile *profile)
{
	struct planning p = {points, subject, model_create(subject->ops, profile)};
	uint32_t n_events = (uint32_t)subject->trace->n_events;
	points->n = 0;
	while (model_advance(p.model))
		continue;
	add_point(&p, NONE, n_events ? n_events - 1 : 0, bounds_after(&p, n_events));
	model_destroy(p.model);
}

void points_finish(struct points *points)
{
	free(points->list);
	*points = (struct points){0};
}

/* ---- sharing a budget ---- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The level to which a budget fills all points, smallest first. */
static uint64_t water_level(const struct points *points, uint64_t budget)
{
	uint64_t *n = mem_alloc(points->n, sizeof *n), level = UINT64_MAX;
	for (size_t i = 0; i < points->n; i++)
		n[i] = points->list[i].chosen.exact ? points->list[i].chosen.states : UINT64_MAX;
	qsort(n, points->n, sizeof *n, compare_u64);
	for (size_t i = 0; i < points->n; i++) {
		uint64_t share = budget / (points->n - i);
		if (n[i] > share) {
			level = share;
			break;
		}
		budget -= n[i];
	}
	free(n);
	return level;
}

/* What a point is to have where only some points are looked at. */
static uint64_t sparse_states(const struct point *p)
{
	bool few = p->chosen.exact && p->chosen.states < SPARSE_STATES;
	return few ? p->chosen.states : SPARSE_STATES;
}

/* Skips points of one kind, those after an acknowledgement or the others, so that
 * the rest, evenly spread, takes no more than its share of what all would. */
static void thin_out(struct points *points, bool acknowledged, uint64_t share, uint64_t all)
{
	double credit = 0, part = all ? (double)share / (double)all : 0;
	for (size_t i = 0; i < points->n; i++) {
		struct point *p = &points->list[i];
		double cost = (double)sparse_states(p);
		if ((p->newest == NONE) != acknowledged)
			continue;
		credit += cost * part;
		p->skipped = credit + 1e-6 < cost;
		credit -= p->skipped ? 0 : cost;
	}
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void choose_points(struct points *points, uint64_t budget)
{
	uint64_t all[2] = {0, 0};
	for (size_t i = 0; i < points->n; i++)
		all[points->list[i].newest == NONE] += sparse_states(&points->list[i]);
	uint64_t others = least(all[0], budget - least(all[1], budget / 2));
	thin_out(points, false, others, all[0]);
	thin_out(points, true, least(all[1], budget - others), all[1]);
}

uint64_t points_share(struct points *points, uint64_t budget)
{
	if (budget == 0)
		budget = UINT64_MAX;
	uint64_t level = water_level(points, budget);
	points->sparse = level < 2;
	if (!points->sparse)
		return level;
	choose_points(points, budget);
	return least(SPARSE_STATES, budget);
}

uint64_t points_total(const struct points *points)
{
	uint64_t total = 0;
	for (size_t i = 0; i < points->n; i++)
		if (__builtin_add_overflow(total, points->list[i].chosen.states, &total))
			return UINT64_MAX;
	return total;
}
