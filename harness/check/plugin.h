/* Engines that are loaded at run time, from shared objects.
 *
 * What the loader asks of a plug-in, in this order, so that a bad one is refused
 * with a reason before any of its functions is called:
 *
 * P1  It is a shared object that the dynamic linker takes, with all its symbols.
 * P2  It exports a data symbol powercut_engine, a struct engine (engine.h).
 * P3  The struct's first member, abi, is ENGINE_ABI.
 * P4  Its functions that are not optional are there, its name is a word, and its
 *     tables say what engine.h says they must.
 *
 * What was loaded stays for the life of the process, and its children have it too. */
#ifndef POWERCUT_PLUGIN_H
#define POWERCUT_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "engine.h"
#include "err.h"

/* Loads the engine of a shared object, or finds it loaded already.  ERR_MISSING
 * where there is no such file, ERR_VERSION where P3 fails, ERR_USAGE otherwise;
 * each text begins with the file. */
int plugin_load(const char *file, const struct engine **engine, struct err *err);

/* Whether an engine keeps P4.  what is where it comes from, for the text. */
int plugin_check(const struct engine *engine, const char *what, struct err *err);

/* Adds a directory in which plugin_find looks for NAME.so, behind those that
 * were added before.  It need not exist.  The text is copied. */
void plugin_add_directory(const char *directory);

/* Notes why a plug-in that one might ask for is not there: a sentence without a
 * full stop.  Both texts must stay. */
void plugin_add_absent(const char *name, const char *why);

/* Loads the engine NAME from NAME.so in the first directory that has it.
 * *engine is NULL and the result ERR_OK where none has; ERR_MISSING with the
 * reason where it was noted as absent; otherwise as plugin_load.  An engine that
 * calls itself otherwise is refused. */
int plugin_find(const char *name, size_t length, const struct engine **engine, struct err *err);

/* Calls visit with each plug-in that plugin_find would find, in the order of the
 * directories and then of names, and with why NULL; then with each absent one, file
 * NULL.  Nothing is loaded. */
void plugin_each(void (*visit)(void *arg, const char *name, const char *file, const char *why),
		 void *arg);

/* The file that an engine came from, absolute; NULL where it was not loaded. */
const char *plugin_file(const struct engine *engine);

/* The names of a plug-in's planted bugs, ending with NULL; NULL: it has none. */
const char *const *plugin_mutants(const struct engine *engine);

#endif
