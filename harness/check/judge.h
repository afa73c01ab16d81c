/* Judging: recovered contents + history + contract → a verdict, by rule.
 *
 *   O1 opens        recovery ends in time, without an error, a signal or a
 *                   sanitizer's report
 *   O2 durable      every change whose acknowledgement meant durable is there
 *   O3 invented     every value was written by the workload for that key
 *   O4 prefix       the contents are those after some prefix of the changes
 *   O5 atomic       a batch is there as a whole or not at all
 *   O6 resurrection what a durable delete removed stays removed
 *   O7 in flight    the change in flight is wholly there or wholly not
 *
 * and, judged by others from more than one look at the contents:
 *
 *   O8 agreement    scan, point reads and the engine's own check agree
 *                   (recover_with_engine)
 *   O9 idempotent   closing and opening again gives the same contents
 *   O10 recovery is crash-safe   every crash state of a recovery recovers to
 *                   something that was acceptable before it
 *   O11 stays       what a recovery has shown is not lost by a second crash
 *   O12 usable      writes, a sync and a clean reopening work after a recovery
 *                   (O9 to O12: session.h, nest.h)
 *
 * What counts as there, and what follows from it, is defined in judge.c.  In
 * short: p is the longest prefix of the changes, no longer than what had begun,
 * that gives the contents.  O4: p exists (where the contract promises order).
 * O2: p is at least D; where there is no such prefix or no promise of order,
 * each key holds a write no older than its last durable one.  O6 is O2 where a
 * lost change is a delete and the key has a value again.  A change that failed
 * is optional.  The measured loss is acknowledged minus p.
 *
 * Pure. */
#ifndef POWERCUT_JUDGE_H
#define POWERCUT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "history.h"
#include "rules.h"

struct verdict {
	uint32_t broken; /* RULE_BITs; 0 is acceptable */
	bool has_prefix;
	uint32_t prefix; /* p, where has_prefix */
	uint32_t loss;	 /* acknowledged changes that are not there: those after p where
			    has_prefix, else those that no key shows to be there.  Failed
			    ones and keys with invented values do not count */
};

/* Prepared tables for judging many contents of one history, which must outlive
 * the judge.  Judging takes time in the number of keys, not of changes (where
 * much was lost, also in the number of lost changes).  Released by
 * judge_destroy (NULL is fine). */
struct judge;
struct judge *judge_create(const struct history *history, const struct engine_contract *contract);
void judge_destroy(struct judge *judge);

/* Judges contents that a recovery returned, by O2 to O7.  O1 is not seen from
 * here: it is broken where there are no contents to judge. */
void judge_contents(struct judge *judge, const struct contents *contents,
		    const struct bounds *bounds, struct verdict *verdict);

/* The same by walking the whole history, slowly and simply: the definition that
 * judge_contents is tested against. */
void judge_reference(const struct history *history, const struct engine_contract *contract,
		     const struct contents *contents, const struct bounds *bounds,
		     struct verdict *verdict);

/* Explains a violation of one rule in a sentence without a full stop: which
 * key, which operation (numbered as in the workload), what was promised and what
 * was found instead.  Appends to out; nothing where the rule is not broken, and
 * for rules other than O2 to O7. */
void judge_explain(struct judge *judge, const struct contents *contents,
		   const struct bounds *bounds, enum rule rule, struct buf *out);

#endif
