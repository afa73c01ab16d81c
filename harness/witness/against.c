#include "against.h"

#include <stdlib.h>
#include <string.h>

#include "admits.h"
#include "choose.h"
#include "mem.h"
#include "model.h"

enum {
	POINT_MAX = 3000,  /* states of a point that are listed */
	MODEL_MAX = 30000, /* states of a program */
};

struct digests {
	struct digest *list;
	size_t n, cap;
};

/* What is under way. */
struct comparison {
	const struct experiment *experiment;
	const struct ops *ops;
	uint32_t n_events;
	uint32_t *first_point; /* [n_events + 1]: the crash point before event e */
	bool **explained;      /* [sighting][moment - from] */
	bool *unknown;	       /* [sighting] */
	struct digests model, seen;
	bool too_many;
};

/* ---- moments and crash points ---- */

static void find_points(struct comparison *c)
{
	uint32_t step = 0;
	c->first_point = mem_alloc((size_t)c->n_events + 2, sizeof *c->first_point);
	for (uint32_t e = 0; e <= c->n_events; e++) {
		while (step < c->ops->n_steps && c->ops->steps[step].event < e)
			step++;
		c->first_point[e] = step;
	}
}

/* Whether the crash point may be the one at that moment: between calls there is one; a
 * call in flight has done any part of what it does. */
static bool point_is_of(const struct comparison *c, uint32_t point, uint32_t moment)
{
	uint32_t e = moment_events(moment);
	if (!moment_in_flight(moment) || e >= c->n_events)
		return point == c->first_point[e];
	return point >= c->first_point[e] && point <= c->first_point[e + 1];
}

static bool wanted(const struct comparison *c, size_t sighting, uint32_t point)
{
	const struct sighting *s = &c->experiment->list[sighting];
	for (uint32_t m = s->from; m <= s->to; m++)
		if (!c->explained[sighting][m - s->from] && point_is_of(c, point, m))
			return true;
	return false;
}

static void explain(struct comparison *c, size_t sighting, uint32_t point)
{
	const struct sighting *s = &c->experiment->list[sighting];
	for (uint32_t m = s->from; m <= s->to; m++)
		if (point_is_of(c, point, m))
			c->explained[sighting][m - s->from] = true;
}

/* ---- what is seen, and what there is ---- */

static void push(struct digests *d, struct digest digest)
{
	*MEM_PUSH(d->list, d->n, d->cap) = digest;
}

static int by_value(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

static void sort_unique(struct digests *d)
{
	size_t n = 0;
	if (d->n)
		qsort(d->list, d->n, sizeof *d->list, by_value);
	for (size_t i = 0; i < d->n; i++)
		if (n == 0 || by_value(&d->list[n - 1], &d->list[i]) != 0)
			d->list[n++] = d->list[i];
	d->n = n;
}

static void ask(struct comparison *c, struct model *model, struct image *image)
{
	uint32_t point = model_point(model);
	for (size_t i = 0; i < c->experiment->n; i++) {
		struct state state;
		struct buf held = {0};
		if (!wanted(c, i, point))
			continue;
		enum admitted a =
			model_admits(model, c->experiment->list[i].seen, 0, &state, &held);
		if (a == ADMITTED_YES) {
			explain(c, i, point);
			image_goto(image, &state);
			push(&c->seen, image_digest(image));
		} else if (a == ADMITTED_UNKNOWN) {
			c->unknown[i] = true;
		}
		buf_finish(&held);
	}
}

static void list_states(struct comparison *c, struct model *model, struct image *image)
{
	struct count count = model_count(model, 0);
	struct state state;
	if (!count.exact || count.states > POINT_MAX || c->model.n > MODEL_MAX)
		c->too_many = true;
	if (c->too_many)
		return;
	struct chooser *chooser = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(chooser, &state)) {
		image_goto(image, &state);
		push(&c->model, image_digest(image));
	}
	chooser_destroy(chooser);
}

static void walk(struct comparison *c, const struct profile *profile)
{
	struct model *model = model_create(c->ops, profile);
	struct image *image = image_create(c->ops);
	do {
		if (model_point(model) > c->first_point[c->n_events])
			break;
		ask(c, model, image);
		list_states(c, model, image);
	} while (model_advance(model));
	image_destroy(image);
	model_destroy(model);
}

/* ---- the whole ---- */

static void collect(struct comparison *c, struct against *a)
{
	for (size_t i = 0; i < c->experiment->n; i++) {
		const struct sighting *s = &c->experiment->list[i];
		uint32_t m = s->from;
		while (m <= s->to && c->explained[i][m - s->from])
			m++;
		if (m > s->to)
			continue;
		if (c->unknown[i])
			a->undecided++;
		else
			*MEM_PUSH(a->misses, a->n_misses, a->misses_cap) = (struct miss){i, m};
	}
	if (c->too_many)
		return;
	sort_unique(&c->model);
	sort_unique(&c->seen);
	a->model = c->model.n;
	for (size_t i = 0; i < c->seen.n; i++)
		a->seen += bsearch(&c->seen.list[i], c->model.list, c->model.n,
				   sizeof *c->model.list, by_value) != NULL;
}

void against_model(const struct experiment *experiment, const struct ops *ops,
		   const struct profile *profile, uint32_t n_events, struct against *against)
{
	struct comparison c = {.experiment = experiment, .ops = ops, .n_events = n_events};
	*against = (struct against){0};
	find_points(&c);
	c.explained = mem_alloc(experiment->n, sizeof *c.explained);
	c.unknown = mem_alloc(experiment->n, sizeof *c.unknown);
	for (size_t i = 0; i < experiment->n; i++)
		c.explained[i] = mem_alloc(experiment->list[i].to - experiment->list[i].from + 1,
					   sizeof(bool));
	walk(&c, profile);
	collect(&c, against);
	for (size_t i = 0; i < experiment->n; i++)
		free(c.explained[i]);
	free(c.explained);
	free(c.unknown);
	free(c.first_point);
	free(c.model.list);
	free(c.seen.list);
}

void against_finish(struct against *against)
{
	free(against->misses);
	*against = (struct against){0};
}

void miss_print(const struct experiment *experiment, const struct ops *ops,
		const struct profile *profile, const struct miss *miss, struct buf *out)
{
	const struct sighting *s = &experiment->list[miss->sighting];
	uint32_t e = moment_events(miss->moment);
	struct model *model = model_create(ops, profile);
	uint32_t last = 0;
	/* The latest point of the moment: there most is possible that was not before. */
	while (last < ops->n_steps &&
	       ops->steps[last].event < e + (moment_in_flight(miss->moment) ? 1 : 0))
		last++;
	while (model_point(model) < last && model_advance(model))
		;
	buf_printf(out, "crash: ");
	if (moment_in_flight(miss->moment))
		buf_printf(out, "while event %u was in flight\n", e + 1);
	else
		buf_printf(out, "after %u event%s had returned\n", e, e == 1 ? "" : "s");
	buf_string(out, "the file system showed:\n");
	seen_print(s->seen, out);
	buf_string(out, "which the model does not admit: ");
	model_admits_not(model, s->seen, out);
	buf_string(out, "\nthe disk ");
	block_state_print(&experiment->states, &experiment->states.list[s->block_state], out);
	buf_byte(out, '\n');
	model_destroy(model);
}
