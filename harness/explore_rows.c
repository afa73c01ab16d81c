#include "explore_private.h"

#include <string.h>

#include "mem.h"

void explore_count_window(struct explore *x, const char *name, uint64_t states)
{
	struct window *w;
	HASH_FIND_STR(x->windows, name, w);
	if (!w) {
		w = mem_alloc(1, sizeof *w);
		w->name = name;
		HASH_ADD_KEYPTR(hh, x->windows, w->name, strlen(w->name), w);
	}
	w->states += states;
}

uint64_t explore_recoveries_past(const struct explore *x, uint32_t index)
{
	return index < FAULTS_MAX ? x->past[index] : 0;
}

uint64_t explore_crashes_after(const struct explore *x, const char *fault_point)
{
	struct window *w;
	HASH_FIND_STR(x->windows, fault_point, w);
	return w ? w->states : 0;
}

/* The states of a point are what a crash can leave from the fault point before it
 * on, and at every one that is passed until the next point: syncs in between
 * only take some away. */
static void count_crashes(struct explore *x, const struct point *p, uint32_t until)
{
	const struct ops *ops = x->s->ops;
	const struct event *events = x->s->trace->events;
	uint64_t states = p->tested + p->merged;
	if (!states)
		return;
	explore_count_window(x, ops_fault_before(ops, p->point), states);
	for (uint32_t i = p->point; i < until; i++)
		if (ops->steps[i].kind == STEP_FAULT)
			explore_count_window(x, events[ops->steps[i].event].name, states);
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void explore_add_rows(struct explore *x)
{
	struct coverage_row *row = x->row;
	row->exact = true;
	for (size_t i = 0; i < x->points.n && !x->rc; i++) {
		struct point *p = &x->points.list[i];
		/* States without the micro-op to keep were looked at before it, where all
		 * were. */
		uint64_t old = p->possible.states - p->chosen.states;
		if (p->complete && p->keep != NONE) {
			p->merged += old;
			row->merged += old;
		}
		uint64_t seen = add_saturating(p->tested, p->merged);
		uint64_t possible = p->possible.states > seen ? p->possible.states : seen;
		uint32_t at = ops_point_named(x->s->ops, p->point);
		bool last = i + 1 == x->points.n;
		struct point_row r = {
			.target = x->s->id,
			.profile = x->label,
			.point = p->point,
			.event = p->event,
			.before = ops_fault_before(x->s->ops, at),
			.after = ops_fault_after(x->s->ops, at),
			.possible = possible,
			.exact = p->possible.exact && p->chosen.exact,
			.tested = p->tested,
			.merged = p->merged,
			.left_out = possible - seen,
			.violations = p->violations,
		};
		if (p->tested + p->merged)
			row->points++;
		row->possible = add_saturating(row->possible, possible);
		row->exact = row->exact && r.exact && row->possible != UINT64_MAX;
		count_crashes(x, p, last ? x->s->ops->n_steps : x->points.list[i + 1].point);
		if (x->s->store && !p->skipped)
			x->rc = store_add_point(x->s->store, &r, x->err);
	}
	row->left_out = row->possible - add_saturating(row->tested, row->merged);
	if (row->possible == UINT64_MAX)
		row->exact = false;
}
