/* Contracts as text: what an engine promises (engine.h), in words for people
 * and in short for the command line. */
#ifndef POWERCUT_CONTRACT_H
#define POWERCUT_CONTRACT_H

#include "buf.h"
#include "engine.h"
#include "err.h"

/* Appends a sentence without a full stop: "each acknowledged operation survives
 * loss of power; losses are a suffix; batches are atomic and durable". */
void contract_describe(const struct engine_contract *contract, struct buf *out);

/* What contract_describe wrote: a contract that promises the same.  ERR_CORRUPT. */
int contract_parse(const char *description, struct engine_contract *contract, struct err *err);

/* Changes what a comma-separated text names, and leaves the rest:
 *
 *   each  every=N (N >= 1)  on-sync         which acknowledgements mean durable
 *   power  kill                             what they hold against
 *   prefix  no-prefix                       whether losses are a suffix
 *   batch=none  batch=atomic  batch=durable
 *   stays  no-stays                         whether what a recovery has shown is durable
 *
 * ERR_USAGE with the word at fault; contract is then as before. */
int contract_override(const char *text, struct engine_contract *contract, struct err *err);

/* Whether an engine, which may be anybody's, filled its contract in with what
 * engine.h has.  ERR_USAGE with its name. */
int contract_check(const struct engine_contract *contract, const char *engine, struct err *err);

#endif
