/* An engine that is another program.
 *
 * Each opening starts the driver anew, and each operation is one request and its
 * reply.  So in a recorded run the driver's calls lie between the markers of the
 * operation for which they were made: a reply is an acknowledgement.
 *
 * A driver that fails says so, and the store goes on.  One that does not keep to
 * the protocol (or dies, or is silent) is not talked to again: whatever is asked of
 * it from then on fails with the same text. */
#include "driver.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builtin.h"
#include "bytes.h"
#include "driver_talk.h"

enum {
	END_MS = 5000,			   /* for a driver to end when it is told to */
	ALWAYS = DRIVER_ERROR | DRIVER_OK, /* what may be said to most requests */
};

struct driver {
	struct engine engine;
	struct engine_option options[2];
	struct driver_greeting greeting;
	char name[DRIVER_NAME_MAX + 16];
	char *fallback; /* of the one option */
	char *command;
};

struct store {
	const struct driver *driver;
	struct program *program;
	struct bytes_buffer request;
	char shown[64]; /* what a request is called in errors */
	bool lost;	/* memory ran out while it was put together */
	bool broken;	/* the driver broke the protocol */
	struct engine_error why;
};

static const struct driver *driver_of(const struct engine_config *config)
{
	return (const struct driver *)((uintptr_t)config->options -
				       offsetof(struct driver, options));
}

/* ---- commands as options ---- */

static const char command_option[] = "driver:command=";

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c != 0x7f && c != ',' && c != '%';
}

char *driver_target(const char *command)
{
	size_t used = sizeof command_option - 1;
	char *out = malloc(used + 3 * strlen(command) + 1);
	if (!out)
		return NULL;
	memcpy(out, command_option, sizeof command_option);
	for (const char *c = command; *c; c++)
		if (is_plain((unsigned char)*c))
			out[used++] = *c;
		else
			used += (size_t)sprintf(out + used, "%%%02X", (unsigned char)*c);
	out[used] = '\0';
	return out;
}

/* In place.  False where a % is not followed by two digits, or by 00. */
static bool decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		char digits[3] = {0}, *end = digits;
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		strncpy(digits, from + 1, 2);
		unsigned long c = strtoul(digits, &end, 16);
		if (end != digits + 2 || c == 0 || !strchr("0123456789abcdefABCDEF", digits[0]))
			return false;
		*to++ = (char)c;
		from += 2;
	}
	*to = '\0';
	return true;
}

/* ---- requests ---- */

static void begin(struct store *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct store *s, const void *p, size_t n)
{
	s->lost = s->lost || bytes_append(&s->request, p, n) != 0;
}

/* The line of a request, or of one of the changes in it. */
static void begin(struct store *s, const char *fmt, ...)
{
	va_list args;
	char line[sizeof s->shown];
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	if (s->request.used == 0)
		memcpy(s->shown, line, sizeof line);
	add(s, line, strlen(line));
	add(s, "\n", 1);
}

static void add_bytes(struct store *s, struct engine_bytes bytes)
{
	add(s, bytes.data, bytes.length);
	add(s, "\n", 1);
}

static void add_put(struct store *s, struct engine_bytes key, struct engine_bytes value)
{
	begin(s, "put %zu %zu", key.length, value.length);
	add_bytes(s, key);
	add_bytes(s, value);
}

static void add_delete(struct store *s, struct engine_bytes key)
{
	begin(s, "delete %zu", key.length);
	add_bytes(s, key);
}

static int fail_again(const struct store *s, struct engine_error *error)
{
	*error = s->why;
	return -1;
}

/* A reply that is not of the expected kinds. */
static int break_off(struct store *s, const struct driver_reply *reply, unsigned expected,
		     struct engine_error *error)
{
	char text[100];
	driver_expected(expected, text, sizeof text);
	s->broken = true;
	engine_fail(&s->why, "to \"%s\" the driver %s, expected %s", s->shown, reply->did, text);
	return fail_again(s, error);
}

/* Hears a reply to the request under way. */
static int hear(struct store *s, unsigned expected, struct driver_reply *reply,
		struct engine_error *error)
{
	driver_hear(s->program, -1, reply);
	if (!(reply->kind & expected))
		return break_off(s, reply, expected, error);
	if (reply->kind == DRIVER_ERROR)
		return engine_fail(error, "%s", reply->reason);
	error->text[0] = '\0';
	return 0;
}

/* Sends the request that was put together, and begins the next. */
static int send_request(struct store *s, struct engine_error *error)
{
	bool lost = s->lost;
	size_t n = s->request.used;
	s->request.used = 0;
	s->lost = false;
	if (s->broken)
		return fail_again(s, error);
	if (lost)
		return engine_fail(error, "no memory for \"%s\"", s->shown);
	/* For who finds this process waiting, and ends it. */
	engine_fail(error, "no reply to \"%s\" by the driver", s->shown);
	program_next(s->program);
	/* Why it did not take it is told by its reply, or by its end. */
	program_send(s->program, s->request.data, n, -1);
	return 0;
}

static int ask(struct store *s, unsigned expected, struct driver_reply *reply,
	       struct engine_error *error)
{
	return send_request(s, error) ? -1 : hear(s, expected, reply, error);
}

static int ask_word(void *store, const char *word, struct engine_error *error)
{
	struct driver_reply reply;
	begin(store, "%s", word);
	return ask(store, ALWAYS, &reply, error);
}

/* ---- the engine ---- */

static void driver_contract(const struct engine_config *config, struct engine_contract *contract)
{
	*contract = driver_of(config)->greeting.contract;
}

static void driver_abandon(void *store)
{
	struct store *s = store;
	program_destroy(s->program);
	free(s->request.data);
	free(s);
}

/* The driver says what it said when the engine was made. */
static int greet_again(struct store *s, struct engine_error *error)
{
	struct driver_greeting greeting;
	struct engine_error why = {{0}};
	if (driver_hear_greeting(s->program, DRIVER_GREETING_MS, &greeting, &why))
		return engine_fail(error, "the driver was started: %.220s", why.text);
	const struct driver_greeting *known = &s->driver->greeting;
	if (strcmp(greeting.name, known->name) || greeting.batch != known->batch ||
	    greeting.sync != known->sync || greeting.maintain != known->maintain ||
	    greeting.verify != known->verify)
		return engine_fail(error, "the driver greets differently each time");
	return 0;
}

static int open_dir(struct store *s, const char *dir, struct engine_error *error)
{
	struct driver_reply reply;
	begin(s, "open %zu", strlen(dir));
	add_bytes(s, (struct engine_bytes){dir, strlen(dir)});
	strcpy(s->shown, "open"); /* directories differ in length */
	return ask(s, ALWAYS, &reply, error);
}

static void *driver_open(const char *dir, const struct engine_config *config,
			 struct engine_error *error)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s) {
		engine_fail(error, "no memory");
		return NULL;
	}
	s->driver = driver_of(config);
	s->program = program_start(s->driver->command, error);
	if (s->program && !greet_again(s, error) && !open_dir(s, dir, error))
		return s;
	driver_abandon(s);
	return NULL;
}

static int finish(struct store *s, struct engine_error *error)
{
	char text[80];
	bool extra;
	if (!program_finish(s->program, END_MS, &extra))
		return engine_fail(error, "after \"close\" the driver did not end at the end of "
					  "its input");
	if (extra)
		return engine_fail(error, "the driver said something after its last reply");
	program_ending(s->program, text, sizeof text);
	if (!program_exited(s->program, 0))
		return engine_fail(error, "after \"close\" the driver %s, expected 0", text);
	return 0;
}

static int driver_close(void *store, struct engine_error *error)
{
	struct store *s = store;
	int rc = ask_word(s, "close", error);
	if (!rc)
		rc = finish(s, error);
	driver_abandon(s);
	return rc;
}

static int driver_put(void *store, struct engine_bytes key, struct engine_bytes value,
		      struct engine_error *error)
{
	struct driver_reply reply;
	add_put(store, key, value);
	return ask(store, ALWAYS, &reply, error);
}

static int driver_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	struct driver_reply reply;
	add_delete(store, key);
	return ask(store, ALWAYS, &reply, error);
}

static int driver_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		      struct engine_error *error)
{
	struct store *s = store;
	struct driver_reply reply;
	begin(s, "get %zu", key.length);
	add_bytes(s, key);
	if (ask(s, DRIVER_VALUE | DRIVER_NONE | DRIVER_ERROR, &reply, error))
		return -1;
	*value = reply.value;
	return reply.kind == DRIVER_VALUE;
}

static int driver_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct store *s = store;
	struct driver_reply reply;
	bool go_on = true;
	begin(s, "scan");
	if (ask(s, DRIVER_ITEM | ALWAYS, &reply, error))
		return -1;
	while (reply.kind == DRIVER_ITEM) {
		/* All of it is heard, or the next reply would be part of it. */
		go_on = go_on && visit(arg, reply.key, reply.value) == 0;
		program_next(s->program);
		if (hear(s, DRIVER_ITEM | ALWAYS, &reply, error))
			return -1;
	}
	return go_on ? 0 : -1;
}

static int driver_batch(void *store, const struct engine_change *changes, size_t n,
			struct engine_error *error)
{
	struct driver_reply reply;
	begin(store, "batch %zu", n);
	for (size_t i = 0; i < n; i++)
		if (changes[i].del)
			add_delete(store, changes[i].key);
		else
			add_put(store, changes[i].key, changes[i].value);
	return ask(store, ALWAYS, &reply, error);
}

static int driver_sync(void *store, struct engine_error *error)
{
	return ask_word(store, "sync", error);
}

static int driver_compact(void *store, struct engine_error *error)
{
	return ask_word(store, "maintain", error);
}

static int driver_verify(void *store, struct engine_error *error)
{
	return ask_word(store, "verify", error);
}

/* ---- making one ---- */

static void driver_unmake(const struct engine *engine)
{
	struct driver *d = (struct driver *)(uintptr_t)engine;
	if (!d)
		return;
	free(d->fallback);
	free(d->command);
	free(d);
}

static int interview(struct driver *d, struct engine_error *error)
{
	bool extra;
	struct program *program = program_start(d->command, error);
	if (!program)
		return -1;
	int rc = driver_hear_greeting(program, DRIVER_GREETING_MS, &d->greeting, error);
	if (!rc && !program_finish(program, END_MS, &extra))
		rc = engine_fail(error, "it did not end at the end of its input");
	program_destroy(program);
	return rc;
}

static void fill_in(struct driver *d)
{
	const struct driver_greeting *g = &d->greeting;
	snprintf(d->name, sizeof d->name, "driver:%s", g->name);
	d->options[0] = (struct engine_option){.name = "command",
					       .fallback = d->fallback,
					       .choices = "",
					       .help = driver_engine.options->help};
	d->engine = (struct engine){
		.abi = ENGINE_ABI,
		.name = d->name,
		.summary = d->command,
		.options = d->options,
		.contract = driver_contract,
		.open = driver_open,
		.close = driver_close,
		.put = driver_put,
		.del = driver_del,
		.get = driver_get,
		.scan = driver_scan,
		.batch = g->batch ? driver_batch : NULL,
		.sync = g->sync ? driver_sync : NULL,
		.compact = g->maintain ? driver_compact : NULL,
		.verify = g->verify ? driver_verify : NULL,
		.abandon = driver_abandon,
	};
}

static const struct engine *driver_make(const struct engine_config *config,
					struct engine_error *error)
{
	const char *value = engine_value(config, "command");
	struct engine_error why = {{0}};
	struct driver *d = calloc(1, sizeof *d);
	if (d) {
		d->fallback = strdup(value);
		d->command = strdup(value);
	}
	if (!d || !d->fallback || !d->command)
		engine_fail(error, "no memory");
	else if (!*value)
		engine_fail(error, "expected command=CMD");
	else if (!decode(d->command))
		engine_fail(error, "command=%.100s: expected two digits behind each %%", value);
	else if (interview(d, &why))
		engine_fail(error, "\"%.80s\": %.250s", d->command, why.text);
	else {
		fill_in(d);
		return &d->engine;
	}
	driver_unmake(d ? &d->engine : NULL);
	return NULL;
}

static const struct engine_option options[] = {
	{.name = "command",
	 .fallback = "",
	 .choices = "",
	 .help = "the program: words, or for sh where it has signs of a shell; %2C is a comma"},
	{0},
};

const struct engine driver_engine = {
	.abi = ENGINE_ABI,
	.name = "driver",
	.summary = "a program in any language, by the protocol of docs/driver.md",
	.options = options,
	.make = driver_make,
	.unmake = driver_unmake,
};
