/* Targets as text: "wal:variant=hardened,sync=sync" → an engine and a value for
 * each of its options.  One further option is the harness's own: mutant=NAME turns
 * a planted bug of the engine on (planted.h), while it runs and while it recovers.
 *
 * The engine is a built-in one; or a plug-in's by its name, found where plugin.h
 * looks; or that of a file, where the name has a slash or ends in ".so". */
#ifndef POWERCUT_TARGET_H
#define POWERCUT_TARGET_H

#include "buf.h"
#include "engine.h"
#include "err.h"

struct target {
	const struct engine *engine;
	const char *source; /* what finds it again: its name, or the file of a plug-in that
			       was named by its file, absolute */
	const struct engine *row; /* of the table: what text named, and what made engine
				     where that is another */
	struct engine_config config;
	char **values; /* what config.values points to */
	char *mutant;  /* the planted bug's name, or NULL */
};

/* Parses text against a NULL-terminated table of engines.  Options that are not
 * named get their fallback; numbers lose leading zeros, so that equal targets
 * have equal descriptions.  *target is released by target_destroy and does not
 * need text any more.  ERR_USAGE with a text that names the engine or option
 * and what was expected; *target is then NULL.  An engine that has to be made
 * (engine.h) is made here, which may run what it stands for. */
int target_parse(const char *text, const struct engine *const *table, struct target **target,
		 struct err *err);

/* NULL is fine. */
void target_destroy(struct target *target);

/* Appends the engine's own name and the options that differ from their defaults,
 * in the order of the engine's table: equal for all spellings of one target, and
 * wherever the file of a plug-in lies. */
void target_canonical(const struct target *target, struct buf *out);

/* Appends all options, given or not, in the order of the engine's table:
 * "variant=hardened,sync=sync,batch=8".  target_parse accepts it after the
 * target's source and a colon. */
void target_describe(const struct target *target, struct buf *out);

/* Turns the target's planted bug on in this process, in which faults_init must
 * have been called; nothing where it has none. */
int target_plant(const struct target *target, struct err *err);

/* Whether a fault point is reachable in a run with these options that did all of
 * `done` (enum engine_need, or'ed). */
bool config_reaches(const struct engine_config *config, const struct engine_fault_point *point,
		    unsigned done);

#endif
