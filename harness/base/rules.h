/* The rules that recovered contents are held against: their numbers, names and
 * promises.  The numbers are in databases; what they mean exactly is for judge.h,
 * session.h and checker.h to say. */
#ifndef POWERCUT_RULES_H
#define POWERCUT_RULES_H

#include <stddef.h>
#include <stdint.h>

/* X(constant, number, name, short promise, promise) */
#define RULES(X)                                                                          \
	X(O1, 1, "O1", "opens", "a store opens after a crash")                            \
	X(O2, 2, "O2", "durable", "what was acknowledged as durable is there")            \
	X(O3, 3, "O3", "nothing invented", "nothing is there that was never written")     \
	X(O4, 4, "O4", "prefix", "what is lost is the end, nothing in between")           \
	X(O5, 5, "O5", "atomic", "a batch is there as a whole or not at all")             \
	X(O6, 6, "O6", "no resurrection", "what was deleted for good stays deleted")      \
	X(O7, 7, "O7", "in flight", "the operation in flight is wholly there or wholly not") \
	X(O8, 8, "O8", "agreement", "scans, reads and the engine's own check agree")      \
	X(O9, 9, "O9", "idempotent", "recovering again gives the same contents")          \
	X(O10, 10, "O10", "recovery is crash-safe", "a crash during a recovery does no harm") \
	X(O11, 11, "O11", "stays", "what a recovery has shown stays")                     \
	X(O12, 12, "O12", "usable", "a store can be used after a recovery")               \
	X(O13, 13, "O13", "errors are not success", "an error is not taken for a success") \
	X(CHECK, 14, "check", "accepted", "the checker accepts what it finds")

enum rule {
#define X(constant, number, name, brief, promise) RULE_##constant = number,
	RULES(X)
#undef X
	RULES_END
};

#define RULE_BIT(rule) (1u << (rule))

/* "O2", "durable" and "what was acknowledged as durable is there"; "" for what is
 * no rule. */
const char *rule_name(uint32_t rule);
const char *rule_promise(uint32_t rule);
const char *rule_sentence(uint32_t rule);

/* The rule of that name, or 0. */
uint32_t rule_named(const char *name, size_t length);

#endif
