#include "target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "mem.h"
#include "planted.h"
#include "plugin.h"

/* A piece of a text that is not terminated. */
struct piece {
	const char *at;
	size_t n;
};

static bool piece_is(struct piece piece, const char *text)
{
	return piece.n == strlen(text) && memcmp(piece.at, text, piece.n) == 0;
}

static size_t count_options(const struct engine *engine)
{
	size_t n = 0;
	while (engine->options && engine->options[n].name)
		n++;
	return n;
}

/* How much of a target's text names its engine: up to a colon.  A file's name may
 * hold colons itself where it ends in ".so". */
static size_t name_length(const char *text)
{
	size_t n = strcspn(text, ":");
	if (!memchr(text, '/', n))
		return n;
	for (const char *at = text; (at = strstr(at, ".so")); at += 3)
		if (at[3] == ':' || at[3] == '\0')
			return (size_t)(at + 3 - text);
	return n;
}

static bool is_file(struct piece name)
{
	return memchr(name.at, '/', name.n) ||
	       (name.n > 3 && memcmp(name.at + name.n - 3, ".so", 3) == 0);
}

static const struct engine *load_file(struct piece name, struct err *err)
{
	const struct engine *engine;
	char *file = mem_dup(name.at, name.n);
	int rc = plugin_load(file, &engine, err);
	if (!rc && name_length(plugin_file(engine)) != strlen(plugin_file(engine)))
		rc = err_set(err, ERR_USAGE,
			     "%s: expected a name that ends in .so, or no colon in its path",
			     plugin_file(engine));
	free(file);
	return rc ? NULL : engine;
}

static void put_plugin(void *arg, const char *name, const char *file, const char *why)
{
	(void)file;
	buf_printf(arg, ", %s%s", name, why ? " (not built)" : "");
}

static void put_known(const struct engine *const *table, struct buf *out)
{
	for (size_t i = 0; table[i]; i++)
		buf_printf(out, "%s%s", i ? ", " : "", table[i]->name);
	plugin_each(put_plugin, out);
}

static const struct engine *find_engine(struct piece name, const struct engine *const *table,
					struct err *err)
{
	const struct engine *engine;
	for (size_t i = 0; table[i]; i++)
		if (piece_is(name, table[i]->name))
			return table[i];
	if (is_file(name))
		return load_file(name, err);
	if (plugin_find(name.at, name.n, &engine, err) || engine)
		return engine;
	struct buf known = {0};
	put_known(table, &known);
	err_set(err, ERR_USAGE, "there is no engine \"%.*s\"; known are: %s", (int)name.n, name.at,
		buf_text(&known));
	buf_finish(&known);
	return NULL;
}

static int unknown_option(const struct engine *engine, struct piece name, struct err *err)
{
	struct buf known = {0};
	for (size_t i = 0; i < count_options(engine); i++)
		buf_printf(&known, "%s%s", i ? ", " : "", engine->options[i].name);
	err_set(err, ERR_USAGE, "%s has no option \"%.*s\"; known are: %s", engine->name,
		(int)name.n, name.at, known.len ? buf_text(&known) : "none");
	buf_finish(&known);
	return ERR_USAGE;
}

static bool is_choice(const char *choices, struct piece value)
{
	for (const char *at = choices;;) {
		struct piece choice = {at, strcspn(at, "|")};
		if (choice.n == value.n && memcmp(choice.at, value.at, value.n) == 0)
			return true;
		if (at[choice.n] == '\0')
			return false;
		at += choice.n + 1;
	}
}

static bool parse_number(struct piece digits, uint64_t *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.at[i] < '0' || digits.at[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(digits.at[i] - '0'), &v))
			return false;
	}
	*out = v;
	return digits.n > 0;
}

/* A checked value in *out, which the caller frees. */
static int check_value(const struct engine *engine, const struct engine_option *option,
		       struct piece value, char **out, struct err *err)
{
	if (option->choices) {
		if (*option->choices && !is_choice(option->choices, value))
			return err_set(err, ERR_USAGE, "%s: %s=%.*s: expected one of %s",
				       engine->name, option->name, (int)value.n, value.at,
				       option->choices);
		*out = mem_dup(value.at, value.n);
		return ERR_OK;
	}
	uint64_t number;
	if (!parse_number(value, &number) || number < option->min || number > option->max)
		return err_set(err, ERR_USAGE,
			       "%s: %s=%.*s: expected a number from %" PRIu64 " to %" PRIu64,
			       engine->name, option->name, (int)value.n, value.at, option->min,
			       option->max);
	*out = mem_printf("%" PRIu64, number);
	return ERR_OK;
}

/* One name that a planted bug of the engine has: is it the one asked for? */
static void offer_mutant(struct target *target, struct piece name, const char *bug,
			 struct buf *known)
{
	if (!target->mutant && piece_is(name, bug))
		target->mutant = mem_dup(name.at, name.n);
	buf_printf(known, "%s%s", known->len ? ", " : "", bug);
}

static int parse_mutant(struct target *target, struct piece name, struct err *err)
{
	size_t prefix = strlen(target->engine->name);
	struct buf known = {0};
	const char *const *bugs = plugin_mutants(target->engine);
	for (; bugs && *bugs; bugs++)
		offer_mutant(target, name, *bugs, &known);
	for (const struct planted_bug *bug = planted_bugs;
	     bug->name && !plugin_file(target->engine); bug++)
		if (strncmp(bug->name, target->engine->name, prefix) == 0 &&
		    bug->name[prefix] == '/')
			offer_mutant(target, name, bug->name, &known);
	if (!target->mutant)
		err_set(err, ERR_USAGE, "%s has no planted bug \"%.*s\"; known are: %s",
			target->engine->name, (int)name.n, name.at,
			known.len ? buf_text(&known) : "none");
	buf_finish(&known);
	return target->mutant ? ERR_OK : ERR_USAGE;
}

static int parse_option(struct target *target, struct piece word, struct err *err)
{
	const struct engine *engine = target->engine;
	const char *equals = memchr(word.at, '=', word.n);
	struct piece name = {word.at, equals ? (size_t)(equals - word.at) : word.n};
	size_t i = 0;
	if (piece_is(name, "mutant")) {
		if (!equals)
			return err_set(err, ERR_USAGE, "%s: expected mutant=NAME", engine->name);
		if (target->mutant)
			return err_set(err, ERR_USAGE, "%s: mutant is given twice", engine->name);
		return parse_mutant(target, (struct piece){equals + 1, word.n - name.n - 1}, err);
	}
	while (i < count_options(engine) && !piece_is(name, engine->options[i].name))
		i++;
	if (i == count_options(engine))
		return unknown_option(engine, name, err);
	if (!equals)
		return err_set(err, ERR_USAGE, "%s: expected %s=VALUE", engine->name,
			       engine->options[i].name);
	if (target->values[i])
		return err_set(err, ERR_USAGE, "%s: %s is given twice", engine->name,
			       engine->options[i].name);
	struct piece value = {equals + 1, word.n - name.n - 1};
	return check_value(engine, &engine->options[i], value, &target->values[i], err);
}

static int parse_options(struct target *target, const char *text, struct err *err)
{
	while (*text) {
		struct piece word = {text, strcspn(text, ",")};
		int code = parse_option(target, word, err);
		if (code)
			return code;
		text += word.n;
		if (*text == ',' && *++text == '\0')
			return err_set(err, ERR_USAGE,
				       "%s: expected an option after the last comma",
				       target->engine->name);
	}
	return ERR_OK;
}

static int make_engine(struct target *target, struct err *err)
{
	struct engine_error error = {{0}};
	if (!target->row->make)
		return ERR_OK;
	const struct engine *made = target->row->make(&target->config, &error);
	if (!made)
		return err_set(err, ERR_USAGE, "%s: %s", target->row->name, error.text);
	target->engine = made;
	target->config.options = made->options;
	return ERR_OK;
}

int target_parse(const char *text, const struct engine *const *table, struct target **target,
		 struct err *err)
{
	*target = NULL;
	struct piece name = {text, name_length(text)};
	const struct engine *engine = find_engine(name, table, err);
	if (!engine)
		return ERR_USAGE;
	struct target *t = mem_alloc(1, sizeof *t);
	size_t n = count_options(engine);
	t->engine = t->row = engine;
	t->source = is_file(name) ? plugin_file(engine) : engine->name;
	t->values = mem_alloc(n, sizeof *t->values);
	int code = parse_options(t, text[name.n] ? text + name.n + 1 : "", err);
	for (size_t i = 0; i < n; i++)
		if (!t->values[i])
			t->values[i] = mem_dup(engine->options[i].fallback,
					       strlen(engine->options[i].fallback));
	t->config = (struct engine_config){engine->options, (const char *const *)t->values};
	if (!code)
		code = make_engine(t, err);
	if (code) {
		target_destroy(t);
		return code;
	}
	*target = t;
	return ERR_OK;
}

void target_destroy(struct target *target)
{
	if (!target)
		return;
	for (size_t i = 0; target->values && i < count_options(target->engine); i++)
		free(target->values[i]);
	if (target->engine != target->row)
		target->row->unmake(target->engine);
	free(target->values);
	free(target->mutant);
	free(target);
}

void target_canonical(const struct target *target, struct buf *out)
{
	char before = ':';
	buf_string(out, target->engine->name);
	for (size_t i = 0; i < count_options(target->engine); i++) {
		const struct engine_option *o = &target->engine->options[i];
		if (strcmp(target->values[i], o->fallback) == 0)
			continue;
		buf_printf(out, "%c%s=%s", before, o->name, target->values[i]);
		before = ',';
	}
	if (target->mutant)
		buf_printf(out, "%cmutant=%s", before, target->mutant);
}

void target_describe(const struct target *target, struct buf *out)
{
	const struct engine_config *config = &target->config;
	size_t i = 0;
	for (; config->options && config->options[i].name; i++)
		buf_printf(out, "%s%s=%s", i ? "," : "", config->options[i].name,
			   config->values[i]);
	if (target->mutant)
		buf_printf(out, "%smutant=%s", i ? "," : "", target->mutant);
}

int target_plant(const struct target *target, struct err *err)
{
	return target->mutant ? faults_enable_mutant(target->mutant, err) : ERR_OK;
}

/* Whether `value` is one of "a|b|c", which ends at `end`. */
static bool is_among(const char *value, const char *choices, const char *end)
{
	size_t n = strlen(value);
	while (choices < end) {
		const char *bar = memchr(choices, '|', (size_t)(end - choices));
		const char *stop = bar ? bar : end;
		if ((size_t)(stop - choices) == n && memcmp(choices, value, n) == 0)
			return true;
		choices = stop + 1;
	}
	return false;
}

/* The value of the option whose name is at `name`, n long; NULL: no such option. */
static const char *value_of(const struct engine_config *config, const char *name, size_t n)
{
	for (size_t i = 0; config->options && config->options[i].name; i++)
		if (strlen(config->options[i].name) == n &&
		    memcmp(config->options[i].name, name, n) == 0)
			return config->values[i];
	return NULL;
}

/* One condition, "sync=sync|batch", "batch>=2" or "batch<=16", which ends at `end`. */
static bool condition_holds(const struct engine_config *config, const char *at, const char *end)
{
	size_t n = (size_t)(end - at), name = strcspn(at, "=<>");
	if (name >= n)
		return false;
	const char *value = value_of(config, at, name);
	if (!value)
		return false;
	if (at[name] == '=')
		return is_among(value, at + name + 1, end);
	uint64_t own, bound;
	struct piece digits = {at + name + 2, n - name - 2};
	if (name + 2 > n || at[name + 1] != '=' || !parse_number(digits, &bound) ||
	    !parse_number((struct piece){value, strlen(value)}, &own))
		return false;
	return at[name] == '<' ? own <= bound : own >= bound;
}

/* Conditions separated by commas, all of which must hold, up to `end`. */
static bool all_hold(const struct engine_config *config, const char *at, const char *end)
{
	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;
		if (!condition_holds(config, at, stop))
			return false;
		at = comma ? comma + 1 : end;
	}
	return true;
}

bool config_reaches(const struct engine_config *config, const struct engine_fault_point *point,
		    unsigned done)
{
	if (point->needs & ~done)
		return false;
	for (const char *at = point->when; at; at = *at == ';' ? at + 1 : NULL) {
		const char *end = at + strcspn(at, ";");
		if (all_hold(config, at, end))
			return true;
		at = end;
	}
	return !point->when;
}
