/* The crash points of a target under a profile: which are worth exploring, how
 * many states each has, and how a budget is shared among them. */
#ifndef POWERCUT_POINTS_H
#define POWERCUT_POINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "model.h"
#include "subject.h"

struct point {
	uint32_t point;
	uint32_t newest; /* the micro-op just issued, or NONE at an acknowledgement or sync */
	uint32_t keep;	 /* the same where only states that contain it are new, else NONE */
	uint32_t event;
	struct bounds bounds; /* of the history, for the judge */
	struct count possible;
	struct count chosen; /* of these, the ones that contain keep: the others were possible at
				the point before */
	uint64_t tested, merged, violations; /* for exploring to fill in */
	bool skipped;			     /* the budget does not reach it */
	bool complete; /* every possible state was looked at, here or before */
};

struct points {
	struct point *list; /* in the order of the trace */
	size_t n, cap;
	bool sparse; /* the budget is too small for a few states of each point: some points
			have been chosen, of each of which a few are to be looked at */
};

/* How far things had come at a crash point, by the subject's jury. */
struct bounds points_bounds(const struct subject *subject, uint32_t point, bool power);

/* Finds and counts all points worth exploring, by a model of its own.  That takes
 * time: stop, which may be NULL, is asked at each point whether to give up. */
void points_plan(struct points *points, const struct subject *subject,
		 const struct profile *profile, bool (*stop)(void *arg), void *arg);

/* Only the end of the trace. */
void points_end(struct points *points, const struct subject *subject,
		const struct profile *profile);

void points_finish(struct points *points);

/* The most states to look at in any one point so that all together stay within
 * the budget (0: no limit): points with fewer leave theirs to the others.
 *
 * One state a point would be the one in which nothing is lost, which says next to
 * nothing.  Where there would be no more, points are skipped, evenly, so that the
 * others have some; half of the budget is for points after an acknowledgement,
 * where what was acknowledged must be there. */
uint64_t points_share(struct points *points, uint64_t budget);

/* The sum of the states to choose from, saturating. */
uint64_t points_total(const struct points *points);

#endif
