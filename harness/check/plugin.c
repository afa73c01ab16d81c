#include "plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

/* It is read before anything is known of the rest. */
_Static_assert(offsetof(struct engine, abi) == 0, "abi is the first member (P3)");

enum { ROWS_MAX = 128 }; /* of a plug-in's tables: more, and the end is missing */

struct loaded {
	char *file; /* absolute, without symbolic links */
	const struct engine *engine;
	const char *const *mutants;
};

struct absent {
	const char *name, *why;
};

/* What this process has loaded and where it looks: dlopen's own state is as
 * global. */
static struct {
	struct loaded *loaded;
	size_t n_loaded, loaded_cap;
	char **directories;
	size_t n_directories, directories_cap;
	struct absent *absent;
	size_t n_absent, absent_cap;
} plugins;

/* ---- P4: what an engine must have ---- */

/* The characters that a target's text and a report's columns can carry. */
static bool is_word(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-";
	size_t n = text ? strlen(text) : 0;
	return n > 0 && n <= 32 && strspn(text, plain) == n;
}

static int check_functions(const struct engine *e, const char *what, struct err *err)
{
	const struct {
		const char *name;
		bool there;
	} members[] = {
		{"name", e->name}, {"summary", e->summary}, {"contract", e->contract},
		{"open", e->open}, {"close", e->close},	    {"put", e->put},
		{"del", e->del},   {"get", e->get},	    {"scan", e->scan},
	};
	struct buf missing = {0};
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (!members[i].there)
			buf_printf(&missing, "%s%s", missing.len ? ", " : "", members[i].name);
	int rc = missing.len ? err_set(err, ERR_USAGE,
				       "%s: powercut_engine lacks what each engine must have: %s",
				       what, buf_text(&missing))
			     : ERR_OK;
	buf_finish(&missing);
	return rc;
}

/* Whether value, n long, is one of "a|b|c". */
static bool is_choice(const char *choices, const char *value, size_t n)
{
	for (const char *at = choices;; at++) {
		size_t length = strcspn(at, "|");
		if (length == n && memcmp(at, value, n) == 0)
			return true;
		at += length;
		if (!*at)
			return false;
	}
}

/* A fallback that would be refused if it were given is a mistake. */
static bool has_sound_fallback(const struct engine_option *o)
{
	if (!o->fallback || strchr(o->fallback, ','))
		return false;
	if (o->choices && !*o->choices)
		return true; /* any text */
	if (o->choices)
		return is_choice(o->choices, o->fallback, strlen(o->fallback));
	char *end;
	errno = 0;
	uint64_t number = strtoull(o->fallback, &end, 10);
	return *o->fallback >= '0' && *o->fallback <= '9' && !*end && !errno && o->min <= number &&
	       number <= o->max;
}

static int check_option(const struct engine_option *options, size_t i, const char *what,
			struct err *err)
{
	const struct engine_option *o = &options[i];
	if (!is_word(o->name) || strcmp(o->name, "mutant") == 0)
		return err_set(err, ERR_USAGE,
			       "%s: \"%s\" cannot be the name of an option: expected letters, "
			       "digits, - or _, and not \"mutant\"",
			       what, o->name);
	for (size_t k = 0; k < i; k++)
		if (strcmp(options[k].name, o->name) == 0)
			return err_set(err, ERR_USAGE, "%s: option %s is there twice", what,
				       o->name);
	if (!has_sound_fallback(o) && o->choices)
		return err_set(err, ERR_USAGE, "%s: option %s: its fallback is not one of %s", what,
			       o->name, o->choices);
	if (!has_sound_fallback(o))
		return err_set(err, ERR_USAGE,
			       "%s: option %s: its fallback is not a number from %" PRIu64
			       " to %" PRIu64,
			       what, o->name, o->min, o->max);
	if (!o->help)
		return err_set(err, ERR_USAGE, "%s: option %s has no help", what, o->name);
	return ERR_OK;
}

static int no_end(const char *what, const char *table, struct err *err)
{
	return err_set(err, ERR_USAGE,
		       "%s: the table of %s has no end within %d rows: expected a row whose name "
		       "is NULL",
		       what, table, ROWS_MAX);
}

static int check_options(const struct engine *e, const char *what, struct err *err)
{
	for (size_t i = 0; e->options && e->options[i].name; i++) {
		int rc = i == ROWS_MAX ? no_end(what, "options", err)
				       : check_option(e->options, i, what, err);
		if (rc)
			return rc;
	}
	return ERR_OK;
}

static const struct engine_option *find_option(const struct engine *e, const char *name, size_t n)
{
	const struct engine_option *o = e->options;
	while (o && o->name && (strlen(o->name) != n || memcmp(o->name, name, n) != 0))
		o++;
	return o && o->name ? o : NULL;
}

/* "variant=hardened,sync=sync|batch": options, and values that they can have. */
static bool is_condition(const struct engine *e, const char *when)
{
	for (const char *at = when; *at;) {
		size_t name = strcspn(at, "=,");
		const struct engine_option *o = find_option(e, at, name);
		if (!o || at[name] != '=')
			return false;
		for (at += name; *at == '=' || *at == '|';) {
			size_t value = strcspn(++at, "|,");
			if (!value || (o->choices && !is_choice(o->choices, at, value)))
				return false;
			at += value;
		}
		if (*at == ',' && !*++at)
			return false;
	}
	return true;
}

static int check_points(const struct engine *e, const char *what, struct err *err)
{
	const unsigned all = 2 * ENGINE_NEEDS_CRASH - 1;
	for (size_t i = 0; e->fault_points && e->fault_points[i].name; i++) {
		const struct engine_fault_point *p = &e->fault_points[i];
		if (i == ROWS_MAX)
			return no_end(what, "fault points", err);
		if (!*p->name || p->name[strcspn(p->name, " *,\n")])
			return err_set(err, ERR_USAGE,
				       "%s: \"%s\" cannot be the name of a fault point: expected "
				       "engine/operation/moment",
				       what, p->name);
		if (p->when && !is_condition(e, p->when))
			return err_set(err, ERR_USAGE,
				       "%s: fault point %s: \"%s\" is not OPTION=VALUE|...,... of "
				       "the engine's options and their values",
				       what, p->name, p->when);
		if (p->needs & ~all)
			return err_set(err, ERR_USAGE,
				       "%s: fault point %s needs %#x, which is not made of "
				       "enum engine_need",
				       what, p->name, p->needs);
	}
	return ERR_OK;
}

int plugin_check(const struct engine *engine, const char *what, struct err *err)
{
	int rc = check_functions(engine, what, err);
	if (!rc && !is_word(engine->name))
		rc = err_set(err, ERR_USAGE,
			     "%s: \"%s\" cannot be the name of an engine: expected at most 32 "
			     "letters, digits, - or _",
			     what, engine->name);
	if (!rc)
		rc = check_options(engine, what, err);
	return rc ? rc : check_points(engine, what, err);
}

/* ---- P1 to P3: the shared object ---- */

/* The struct, where the symbol is one of data and large enough to be read. */
static int find_struct(void *object, const char *file, const struct engine **engine,
		       struct err *err)
{
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;
	void *at = dlsym(object, "powercut_engine");
	if (!at)
		return err_set(err, ERR_USAGE,
			       "%s: not a plug-in: it exports no powercut_engine, expected "
			       "\"const struct engine powercut_engine\" (engine.h)",
			       file);
	if (!dladdr1(at, &info, (void **)(void *)&symbol, RTLD_DL_SYMENT) || !symbol ||
	    ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT ||
	    symbol->st_size < sizeof((*engine)->abi))
		return err_set(err, ERR_USAGE,
			       "%s: not a plug-in: powercut_engine is not data, expected "
			       "\"const struct engine powercut_engine\" (engine.h)",
			       file);
	const struct engine *e = at;
	if (e->abi != ENGINE_ABI)
		return err_set(err, ERR_VERSION,
			       "%s: made for version %" PRIu32 " of the plug-in interface, this "
			       "powercut has version %d: build it again with this one's engine.h",
			       file, e->abi, ENGINE_ABI);
	if (symbol->st_size < sizeof *e)
		return err_set(err, ERR_USAGE,
			       "%s: powercut_engine has %zu bytes, expected the %zu of "
			       "struct engine",
			       file, (size_t)symbol->st_size, sizeof *e);
	*engine = e;
	return ERR_OK;
}

/* What dlerror says, without the file's name where that comes first. */
static int refused(const char *file, struct err *err)
{
	const char *why = dlerror();
	size_t n = strlen(file);
	if (why && strncmp(why, file, n) == 0 && why[n] == ':')
		why += n + 1 + strspn(why + n + 1, " ");
	return err_set(err, ERR_USAGE, "%s: cannot be loaded: %s", file,
		       why ? why : "for no stated reason");
}

/* The file whose code is running while it is loaded. */
static const char *loading;

/* A constructor may end the process, and with it a run that then looks well. */
static void on_exit_while_loading(void)
{
	if (!loading)
		return;
	dprintf(STDERR_FILENO, "powercut: %s: it left the process while it was loaded\n", loading);
	_exit(err_exit_code(ERR_USAGE));
}

static int load(const char *file, struct err *err)
{
	static bool guarded;
	const struct engine *engine = NULL;
	if (!guarded)
		atexit(on_exit_while_loading);
	guarded = true;
	loading = file;
	void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	loading = NULL;
	if (!object)
		return refused(file, err);
	int rc = find_struct(object, file, &engine, err);
	if (!rc)
		rc = plugin_check(engine, file, err);
	if (rc) {
		dlclose(object);
		return rc;
	}
	struct loaded *l = MEM_PUSH(plugins.loaded, plugins.n_loaded, plugins.loaded_cap);
	l->file = mem_dup(file, strlen(file));
	l->engine = engine;
	l->mutants = dlsym(object, "powercut_mutants");
	return ERR_OK;
}

static const struct loaded *find_loaded(const char *file)
{
	for (size_t i = 0; i < plugins.n_loaded; i++)
		if (strcmp(plugins.loaded[i].file, file) == 0)
			return &plugins.loaded[i];
	return NULL;
}

int plugin_load(const char *file, const struct engine **engine, struct err *err)
{
	struct stat st;
	char *whole = realpath(file, NULL);
	int rc = ERR_OK;
	*engine = NULL;
	if (!whole)
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_MISSING : ERR_USAGE,
			       "%s: %s", file, strerror(errno));
	if (stat(whole, &st) == 0 && !S_ISREG(st.st_mode))
		rc = err_set(err, ERR_USAGE, "%s: not a file, expected a shared object", file);
	if (!rc && !find_loaded(whole))
		rc = load(whole, err);
	if (!rc)
		*engine = find_loaded(whole)->engine;
	free(whole);
	return rc;
}

/* ---- by name ---- */

void plugin_add_directory(const char *directory)
{
	*MEM_PUSH(plugins.directories, plugins.n_directories, plugins.directories_cap) =
		mem_dup(directory, strlen(directory));
}

void plugin_add_absent(const char *name, const char *why)
{
	*MEM_PUSH(plugins.absent, plugins.n_absent, plugins.absent_cap) =
		(struct absent){name, why};
}

/* The file NAME.so of the first directory that has it, which the caller frees. */
static char *find_file(const char *name, size_t length)
{
	struct stat st;
	for (size_t i = 0; i < plugins.n_directories; i++) {
		char *file = mem_printf("%s/%.*s.so", plugins.directories[i], (int)length, name);
		if (stat(file, &st) == 0)
			return file;
		free(file);
	}
	return NULL;
}

int plugin_find(const char *name, size_t length, const struct engine **engine, struct err *err)
{
	*engine = NULL;
	if (memchr(name, '/', length))
		return ERR_OK;
	char *file = find_file(name, length);
	for (size_t i = 0; !file && i < plugins.n_absent; i++)
		if (strlen(plugins.absent[i].name) == length &&
		    memcmp(plugins.absent[i].name, name, length) == 0)
			return err_set(err, ERR_MISSING, "engine %.*s: %s", (int)length, name,
				       plugins.absent[i].why);
	if (!file)
		return ERR_OK;
	int rc = plugin_load(file, engine, err);
	if (!rc && (strlen((*engine)->name) != length || memcmp((*engine)->name, name, length))) {
		rc = err_set(err, ERR_USAGE, "%s: holds the engine \"%s\", expected \"%.*s\"", file,
			     (*engine)->name, (int)length, name);
		*engine = NULL;
	}
	free(file);
	return rc;
}

static int is_object(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);
	return n > 3 && strcmp(entry->d_name + n - 3, ".so") == 0;
}

void plugin_each(void (*visit)(void *arg, const char *name, const char *file, const char *why),
		 void *arg)
{
	for (size_t i = 0; i < plugins.n_directories; i++) {
		struct dirent **entries;
		int n = scandir(plugins.directories[i], &entries, is_object, alphasort);
		for (int k = 0; k < n; k++) {
			size_t length = strlen(entries[k]->d_name) - 3;
			char *name = mem_dup(entries[k]->d_name, length);
			char *file = mem_printf("%s/%s.so", plugins.directories[i], name);
			char *first = find_file(name, length);
			if (first && strcmp(first, file) == 0)
				visit(arg, name, file, NULL);
			free(first);
			free(file);
			free(name);
			free(entries[k]);
		}
		if (n >= 0)
			free(entries);
	}
	for (size_t i = 0; i < plugins.n_absent; i++)
		visit(arg, plugins.absent[i].name, NULL, plugins.absent[i].why);
}

/* ---- what is known of an engine ---- */

static const struct loaded *origin(const struct engine *engine)
{
	for (size_t i = 0; i < plugins.n_loaded; i++)
		if (plugins.loaded[i].engine == engine)
			return &plugins.loaded[i];
	return NULL;
}

const char *plugin_file(const struct engine *engine)
{
	const struct loaded *l = origin(engine);
	return l ? l->file : NULL;
}

const char *const *plugin_mutants(const struct engine *engine)
{
	const struct loaded *l = origin(engine);
	return l ? l->mutants : NULL;
}
