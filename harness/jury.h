/* Juries: who says what a recovery is worth.
 *
 * The jury of a recorded workload holds recovered contents against its history.
 * A nested run has another (nest.h): it asks whether what a first recovery left
 * behind, or showed, survives a second crash. */
#ifndef POWERCUT_JURY_H
#define POWERCUT_JURY_H

#include "buf.h"
#include "judge.h"
#include "recover.h"

struct jury {
	/* How far things had come after the first n_events events of the trace. */
	struct bounds (*bounds)(const void *arg, uint32_t n_events, bool power);
	/* The verdict on contents, but for O1 and O8. */
	void (*judge)(const void *arg, const struct contents *contents, const struct bounds *bounds,
		      struct verdict *verdict);
	/* Why, in a sentence without a full stop. */
	void (*explain)(const void *arg, const struct contents *contents,
			const struct bounds *bounds, enum rule rule, struct buf *out);
	/* What a recovery that ended badly (rule is then O1), or whose answers disagree
	 * (O8), breaks. */
	enum rule (*failed)(const void *arg, const struct recovery *recovery,
			    const struct bounds *bounds, enum rule rule);
	/* Recoveries are told how much was acknowledged: equal files are recovered
	 * again where that differs. */
	bool tells_acked;
	const void *arg;
};

/* A history and a contract, as the first jury needs them. */
struct charge {
	const struct history *history;
	const struct engine_contract *contract;
	struct judge *judge;
};

/* The jury of a recorded workload; charge must outlive it. */
struct jury jury_create(const struct charge *charge);

/* Whether nothing can be concluded from how a recovery ended. */
bool recovery_unsure(const struct recovery *recovery);

/* The verdict on a recovery, however it ended; broken is 0 where it is unsure. */
void jury_judge(const struct jury *jury, const struct recovery *recovery,
		const struct bounds *bounds, struct verdict *verdict);

/* Why a rule is broken, or why nothing can be concluded (rule 0).  Appends. */
void jury_explain(const struct jury *jury, const struct recovery *recovery,
		  const struct bounds *bounds, enum rule rule, struct buf *out);

/* The first of the rules broken; 0 if none is. */
enum rule first_rule(uint32_t broken);

#endif
