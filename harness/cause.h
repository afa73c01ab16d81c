/* Causes: failing states that have one reason are one finding.
 *
 * A failing state is made as good as it can be: whatever can be given back to
 * the disk without mending the failure is.  What is still missing then is the
 * cause, as a set of sites: what kind of micro-op, by which call, from which
 * functions, on a file of which role.  Lines and numbers are no part of it, so
 * that its fingerprint survives unrelated edits, other seeds and new recordings.
 *
 * Where the state fails although nothing is missing, the cause is the step that
 * brought the failure: the state just before it was acceptable. */
#ifndef POWERCUT_CAUSE_H
#define POWERCUT_CAUSE_H

#include "choose.h"
#include "judge.h"
#include "subject.h"

struct cause {
	uint32_t rule;	 /* the first rule broken */
	uint32_t rules;	 /* all that were, in any of its states */
	uint32_t *sites; /* what was lost, as site numbers, rising; empty: see culprit */
	size_t n_sites;
	uint32_t culprit;     /* the step that brought the failure, where nothing is lost; NONE: it
				 was there before the first */
	uint64_t states;      /* failing states with this cause */
	uint64_t found_after; /* states looked at until the first of them, all profiles */
	uint32_t profiles;    /* bit i: the i-th profile of profile_table shows it; CAUSE_ON */
	char *key; /* what was lost or kept, without the rule: causes with one key are one */
	/* The representative: the first one found, made minimal. */
	char *state; /* ID */
	char *fingerprint, *title, *text, *source, *before, *after, *explanation;
};

/* The bit of a real file system that showed it, the i-th of file_system_table. */
#define CAUSE_ON(i) (UINT32_C(1) << (16 + (i)))

struct causes;

struct causes *causes_create(const struct subject *subject);
void causes_destroy(struct causes *causes);
size_t causes_count(const struct causes *causes);
struct cause *causes_get(struct causes *causes, size_t i);

/* The known cause that explains a state with this first rule broken, or NULL:
 * one all of whose sites are among what the state lost. */
struct cause *causes_known(struct causes *causes, uint32_t rule, const struct state *state);

/* Whether a state still fails with that rule. */
typedef bool still_fails(void *arg, const struct state *state);

/* Makes a failing state minimal.  The model must be at its point with nothing
 * decided.  held is the storage of minimal->held. */
void causes_minimise(struct model *model, const struct state *state, still_fails *fails, void *arg,
		     struct state *minimal, struct buf *held);

/* Adds a cause from a minimal state: its words, its fingerprint; or finds the one
 * that lost the same, whatever rule it breaks.  culprit is a step, for states that
 * lost nothing, or NONE where nothing had been done yet.  why is the judge's explanation. */
struct cause *causes_add(struct causes *causes, struct model *model, uint32_t rule,
			 const struct state *minimal, uint32_t culprit, const char *why);

/* The cause of a rule that the use of a recovered store broke, without a second
 * crash (O9, O12): one for each rule. */
struct cause *causes_add_use(struct causes *causes, const struct profile *profile, uint32_t rule,
			     const struct state *state, const char *why);

/* A cause as bytes, and back: without its sites and its culprit, which mean
 * something to its own subject only.  Adopted is only the cause with that key, and
 * only where it is not known yet; the reader turns bad where the bytes are none. */
void cause_encode(const struct cause *cause, struct buf *out);
void causes_adopt(struct causes *causes, struct reader *reader, uint64_t key_hash);
struct cause *causes_find(struct causes *causes, uint64_t key_hash);
uint64_t cause_key_hash(const struct cause *cause);

/* The sites of a cause as hashes, which mean the same to all subjects of a target:
 * at most max of them in out.  And the first cause with sites all of which are
 * among n such hashes, or NULL. */
uint32_t cause_sites(const struct causes *causes, const struct cause *cause, uint64_t *out,
		     uint32_t max);
struct cause *causes_explaining(struct causes *causes, const uint64_t *sites, uint32_t n);

/* "0123abcd." and the state's ID: what people paste. */
void state_public_id(const struct subject *subject, struct model *model, const struct state *state,
		     struct buf *out);

/* The same where no model is at the state's point. */
void state_public_id_alone(const struct subject *subject, const struct profile *profile,
			   const struct state *state, struct buf *out);

#endif
