/* A conversation with a driver, by a script: what it does wrong, said in the terms of
 * the protocol.  Nothing is crashed here. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "adapters/driver_talk.h"
#include "area.h"
#include "commands.h"
#include "mem.h"
#include "orphans.h"

enum { REPLY_MS = 10000, LARGE = 100 << 10, LONG_KEY = 300, PAIRS_MAX = 32, QUOTED = 24 };

struct pair {
	struct engine_bytes key, value;
};

struct test {
	const char *command, *tmp;
	uint32_t reply_ms;
	char *dir; /* where stores are made */
	struct program *program;
	bool over;		      /* the conversation cannot go on */
	struct buf request;	      /* what is asked next, */
	struct buf sent;	      /* and how it is shown */
	struct pair there[PAIRS_MAX]; /* what the store must hold */
	size_t n_there;
	struct engine_bytes large, long_key;
	bool known; /* it has greeted before, so: */
	struct driver_greeting greeting;
	unsigned checks, wrong, not_reached;
};

/* ---- options ---- */

static int set_tmp(void *ctx, const char *value, struct err *err)
{
	char parent[AREA_PATH_MAX];
	((struct test *)ctx)->tmp = value;
	return area_choose(value, parent, err);
}

static int set_timeout(void *ctx, const char *value, struct err *err)
{
	return cli_parse_timeout(value, &((struct test *)ctx)->reply_ms, err);
}

static const struct cli_option options[] = {
	{"timeout", "TIME", "how long to wait for a reply [10s]", set_timeout},
	{"tmp", "DIR", "where stores are made [/dev/shm]", set_tmp},
	{0},
};

/* ---- lines ---- */

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* At once: the next reply may be long in coming. */
static void say(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	fflush(stdout);
}

static void well(struct test *t, const char *check)
{
	t->checks++;
	say("ok     %s\n", check);
}

static void wrong(struct test *t, const char *check, const char *expected, const char *got)
{
	t->checks++;
	t->wrong++;
	say("WRONG  %s\n", check);
	if (t->sent.len)
		say("       sent      %s\n", buf_text(&t->sent));
	if (expected)
		say("       expected  %s\n", expected);
	say("       got       %s\n", got);
}

static bool reached(struct test *t)
{
	t->not_reached += t->over;
	return !t->over;
}

/* ---- requests ---- */

/* Bytes as people see them, cut. */
static void put_quoted(struct engine_bytes bytes, struct buf *out)
{
	buf_byte(out, '"');
	for (size_t i = 0; i < bytes.length && i < QUOTED; i++) {
		unsigned char c = ((const unsigned char *)bytes.data)[i];
		if (c == '\n')
			buf_string(out, "\\n");
		else if (c < ' ' || c > '~' || c == '"' || c == '\\')
			buf_printf(out, "\\x%02x", c);
		else
			buf_byte(out, c);
	}
	buf_string(out, bytes.length > QUOTED ? "...\"" : "\"");
}

static void ask_line(struct test *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void ask_line(struct test *t, const char *fmt, ...)
{
	char line[64];
	va_list args;
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	buf_printf(&t->request, "%s\n", line);
	buf_printf(&t->sent, "%s%s", t->sent.len ? "; " : "", line);
}

static void ask_bytes(struct test *t, struct engine_bytes bytes)
{
	buf_append(&t->request, bytes.data, bytes.length);
	buf_byte(&t->request, '\n');
	buf_byte(&t->sent, ' ');
	put_quoted(bytes, &t->sent);
}

static void ask_put(struct test *t, struct engine_bytes key, struct engine_bytes value)
{
	ask_line(t, "put %zu %zu", key.length, value.length);
	ask_bytes(t, key);
	ask_bytes(t, value);
}

static void ask_key(struct test *t, const char *word, struct engine_bytes key)
{
	ask_line(t, "%s %zu", word, key.length);
	ask_bytes(t, key);
}

static void forget(struct test *t)
{
	buf_clear(&t->request);
	buf_clear(&t->sent);
}

/* Hears one reply; false, and said so, where it is of no kind expected. */
static bool hear(struct test *t, const char *check, unsigned kinds, struct driver_reply *reply)
{
	char expected[160], got[200];
	driver_hear(t->program, (int)t->reply_ms, reply);
	if (reply->kind & kinds)
		return true;
	driver_expected(kinds, expected, sizeof expected);
	snprintf(got, sizeof got, "it %s", reply->did);
	wrong(t, check, expected, got);
	/* After any other reply of the protocol, it can be talked to. */
	t->over = !(reply->kind & (DRIVER_OK | DRIVER_NONE | DRIVER_VALUE | DRIVER_ERROR));
	return false;
}

/* Sends what was put together and hears the reply. */
static bool send_and_hear(struct test *t, const char *check, unsigned kinds,
			  struct driver_reply *reply)
{
	if (!reached(t))
		return false;
	program_next(t->program);
	program_send(t->program, t->request.data, t->request.len, (int)t->reply_ms);
	return hear(t, check, kinds, reply);
}

/* The request that was put together must have a reply of this kind. */
static bool expect(struct test *t, const char *check, enum driver_reply_kind kind)
{
	struct driver_reply reply;
	bool fine = send_and_hear(t, check, kind, &reply);
	if (fine)
		well(t, check);
	forget(t);
	return fine;
}

static bool same(struct engine_bytes a, struct engine_bytes b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static void expect_value(struct test *t, const char *check, struct engine_bytes key,
			 struct engine_bytes value)
{
	struct driver_reply reply;
	struct buf expected = {0}, got = {0};
	ask_key(t, "get", key);
	if (send_and_hear(t, check, DRIVER_VALUE, &reply)) {
		buf_printf(&expected, "\"value %zu\" ", value.length);
		put_quoted(value, &expected);
		buf_printf(&got, "it %s ", reply.did);
		put_quoted(reply.value, &got);
		if (same(value, reply.value))
			well(t, check);
		else
			wrong(t, check, buf_text(&expected), buf_text(&got));
	}
	forget(t);
	buf_finish(&expected);
	buf_finish(&got);
}

static void expect_none(struct test *t, const char *check, struct engine_bytes key)
{
	ask_key(t, "get", key);
	expect(t, check, DRIVER_NONE);
}

/* ---- what the store must hold ---- */

static struct pair *find(struct test *t, struct engine_bytes key)
{
	for (size_t i = 0; i < t->n_there; i++)
		if (same(t->there[i].key, key))
			return &t->there[i];
	return NULL;
}

static void note_put(struct test *t, struct engine_bytes key, struct engine_bytes value)
{
	struct pair *old = find(t, key);
	*(old ? old : &t->there[t->n_there++]) = (struct pair){key, value};
}

static void note_delete(struct test *t, struct engine_bytes key)
{
	struct pair *old = find(t, key);
	if (old)
		*old = t->there[--t->n_there];
}

/* One item of a scan.  What is wrong with it, or an empty text. */
static void check_item(struct test *t, const struct driver_reply *item, bool *seen,
		       struct buf *fault)
{
	const struct pair *pair = find(t, item->key);
	if (fault->len)
		return;
	if (!pair)
		buf_string(fault, "a key that is not there: ");
	else if (seen[pair - t->there])
		buf_string(fault, "a key twice: ");
	else if (!same(pair->value, item->value))
		buf_string(fault, "not the value of a key: ");
	if (pair)
		seen[pair - t->there] = true;
	if (!fault->len)
		return;
	buf_printf(fault, "\"item %zu %zu\" ", item->key.length, item->value.length);
	put_quoted(item->key, fault);
	buf_byte(fault, ' ');
	put_quoted(item->value, fault);
}

static void expect_scan(struct test *t, const char *check)
{
	bool seen[PAIRS_MAX] = {false};
	struct driver_reply reply;
	struct buf fault = {0}, expected = {0};
	ask_line(t, "scan");
	bool fine = send_and_hear(t, check, DRIVER_ITEM | DRIVER_OK, &reply);
	while (fine && reply.kind == DRIVER_ITEM) {
		check_item(t, &reply, seen, &fault);
		program_next(t->program);
		fine = hear(t, check, DRIVER_ITEM | DRIVER_OK, &reply);
	}
	for (size_t i = 0; fine && i < t->n_there && !fault.len; i++) {
		if (seen[i])
			continue;
		buf_string(&fault, "no item with the key ");
		put_quoted(t->there[i].key, &fault);
	}
	buf_printf(&expected, "each of the %zu keys that are there once, then \"ok\"", t->n_there);
	if (fine && fault.len)
		wrong(t, check, buf_text(&expected), buf_text(&fault));
	else if (fine)
		well(t, check);
	forget(t);
	buf_finish(&fault);
	buf_finish(&expected);
}

static void put_and_get(struct test *t, const char *put_check, const char *get_check,
			struct engine_bytes key, struct engine_bytes value)
{
	ask_put(t, key, value);
	if (expect(t, put_check, DRIVER_OK))
		note_put(t, key, value);
	expect_value(t, get_check, key, value);
}

/* ---- beginnings and ends ---- */

/* Starts the driver and hears its greeting.  An error where there is no such program;
 * where it does not greet, what would be asked of it is not. */
static int begin(struct test *t, struct err *err)
{
	struct engine_error error = {{0}};
	struct driver_greeting greeting;
	t->program = program_start(t->command, &error);
	if (!t->program)
		return err_set(err, ERR_USAGE, "\"%s\" %s", t->command, error.text);
	t->over = false;
	if (driver_hear_greeting(t->program, (int)t->reply_ms, &greeting, &error)) {
		t->over = true;
		if (program_exited(t->program, 127))
			return err_set(err, ERR_USAGE, "\"%s\": the shell finds no such program",
				       t->command);
		wrong(t, "greeting", NULL, error.text);
	} else if (t->known && strcmp(greeting.name, t->greeting.name) != 0) {
		char expected[80], got[80];
		snprintf(expected, sizeof expected, "name=%s, as before", t->greeting.name);
		snprintf(got, sizeof got, "name=%s", greeting.name);
		wrong(t, "greeting", expected, got);
	} else if (!t->known) {
		well(t, "greeting");
		t->known = true;
		t->greeting = greeting;
	}
	return ERR_OK;
}

static bool open_dir(struct test *t, const char *check, const char *dir)
{
	ask_key(t, "open", (struct engine_bytes){dir, strlen(dir)});
	return expect(t, check, DRIVER_OK);
}

/* The end of its input ends it; after "close" with exit status 0. */
static void end(struct test *t, const char *check, bool closed)
{
	char text[100] = "it ";
	bool extra = false, ended = false;
	if (reached(t)) {
		ended = program_finish(t->program, (int)t->reply_ms, &extra);
		program_ending(t->program, text + 3, sizeof text - 3);
		if (!ended)
			wrong(t, check, "it ends", "it goes on");
		else if (extra && closed)
			wrong(t, check, "nothing more", "it said something after its last reply");
		else if (closed && !program_exited(t->program, 0))
			wrong(t, check, "it ends with exit status 0", text);
		else
			well(t, check);
	}
}

/* ---- the script ---- */

static struct engine_bytes text(const char *s)
{
	return (struct engine_bytes){s, strlen(s)};
}

static const char odd_key_bytes[] = "\0\n\xff key\r\n";
static const char odd_value_bytes[] = "ok\nnone\nerror no\nvalue 3\n\0\xc3\x28\r\n";
static const struct engine_bytes odd_key = {odd_key_bytes, sizeof odd_key_bytes - 1};
static const struct engine_bytes odd_value = {odd_value_bytes, sizeof odd_value_bytes - 1};

static void change_one(struct test *t)
{
	expect_none(t, "get of a key that is not there", text("absent"));
	expect_scan(t, "scan of an empty store");
	put_and_get(t, "put", "get of what was put", text("apple"), text("green"));
	put_and_get(t, "put over it", "get of the new value", text("apple"), text("red"));
	put_and_get(t, "put of an empty value", "get of an empty value", text("empty"), text(""));
	put_and_get(t, "put of 100 KB", "get of 100 KB", text("large"), t->large);
	put_and_get(t, "put of newlines, zeros and other bytes",
		    "get of newlines, zeros and other bytes", odd_key, odd_value);
	put_and_get(t, "put with a key of 300 bytes", "get with a key of 300 bytes", t->long_key,
		    text("long"));
	ask_key(t, "delete", text("apple"));
	if (expect(t, "delete", DRIVER_OK))
		note_delete(t, text("apple"));
	expect_none(t, "get of what was deleted", text("apple"));
	ask_key(t, "delete", text("absent"));
	expect(t, "delete of a key that is not there", DRIVER_OK);
}

/* The same key twice, and one that goes. */
static void change_many(struct test *t)
{
	if (!t->greeting.batch)
		return;
	ask_line(t, "batch 5");
	ask_put(t, text("one"), text("1"));
	ask_put(t, odd_key, text("two"));
	ask_key(t, "delete", text("empty"));
	ask_put(t, text("one"), text("another"));
	ask_key(t, "delete", text("absent"));
	if (!expect(t, "batch", DRIVER_OK))
		return;
	note_put(t, text("one"), text("another"));
	note_put(t, odd_key, text("two"));
	note_delete(t, text("empty"));
	expect_value(t, "get of what a batch put twice", text("one"), text("another"));
	expect_none(t, "get of what a batch deleted", text("empty"));
}

static void ask_abilities(struct test *t)
{
	const struct {
		bool can;
		const char *word;
	} abilities[] = {{t->greeting.sync, "sync"},
			 {t->greeting.maintain, "maintain"},
			 {t->greeting.verify, "verify"}};
	for (size_t i = 0; i < sizeof abilities / sizeof *abilities; i++) {
		if (!abilities[i].can)
			continue;
		ask_line(t, "%s", abilities[i].word);
		expect(t, abilities[i].word, DRIVER_OK);
	}
	expect_scan(t, "scan");
	ask_line(t, "frobnicate");
	expect(t, "error for a request that it cannot know", DRIVER_ERROR);
	expect_scan(t, "scan after that");
}

static void close_it(struct test *t)
{
	ask_line(t, "close");
	expect(t, "close", DRIVER_OK);
	end(t, "end of its input after close", true);
}

static void first(struct test *t)
{
	open_dir(t, "open of an empty directory", t->dir);
	change_one(t);
	change_many(t);
	ask_abilities(t);
	close_it(t);
}

static void second(struct test *t)
{
	open_dir(t, "open again", t->dir);
	expect_scan(t, "scan shows the same");
	if (find(t, text("large")))
		expect_value(t, "get of 100 KB", text("large"), t->large);
	put_and_get(t, "put", "get of what was put", text("later"), text("yes"));
	end(t, "end of its input without close", false);
}

static void third(struct test *t)
{
	char *missing = mem_printf("%s/missing", t->dir);
	ask_key(t, "open", text(missing));
	expect(t, "error for a directory that is not there", DRIVER_ERROR);
	end(t, "end of its input after an error", false);
	free(missing);
}

/* What a conversation leaves behind would be taken for a recovery's in a campaign. */
static void leave(struct test *t)
{
	program_destroy(t->program);
	t->program = NULL;
	if (orphans_end(-1))
		wrong(t, "no process is left", NULL, "a process that it had started goes on");
}

/* Each in a process of its own, on the same directory. */
static void (*const conversations[])(struct test *t) = {first, second, third};

static int converse(struct test *t, struct err *err)
{
	char *large = mem_alloc(LARGE, 1), *long_key = mem_alloc(LONG_KEY, 1);
	int rc = ERR_OK;
	t->large = (struct engine_bytes){large, LARGE};
	t->long_key = (struct engine_bytes){long_key, LONG_KEY};
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i * 7 + i / 256);
	memset(long_key, 'k', LONG_KEY);
	for (size_t i = 0; i < sizeof conversations / sizeof *conversations && !rc; i++) {
		rc = begin(t, err);
		if (!rc && t->known)
			conversations[i](t);
		leave(t);
		if (!t->known)
			break;
	}
	free(large);
	free(long_key);
	return rc;
}

static int test_in_area(struct test *t, struct err *err)
{
	char parent[AREA_PATH_MAX];
	struct area area = {0};
	int rc = area_choose(t->tmp, parent, err);
	if (!rc)
		rc = area_create(parent, &area, err);
	if (rc)
		return rc;
	t->dir = mem_printf("%s/store", area.path);
	if (mkdir(t->dir, 0755))
		rc = err_sys(err, "%s", t->dir);
	if (!rc)
		rc = converse(t, err);
	free(t->dir);
	area_remove(&area);
	return rc;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct test t = {.reply_ms = REPLY_MS};
	int rest, code;
	struct err err;
	(void)command_line;
	if (cli_parse(&cli_driver_test, &t, argc, argv, &rest, &code))
		return code;
	if (argc - rest != 1 || !argv[rest][strspn(argv[rest], " \t")])
		return cli_usage("driver-test", "expected one command, in quotes if it has blanks");
	t.command = argv[rest];
	int rc = test_in_area(&t, &err);
	buf_finish(&t.request);
	buf_finish(&t.sent);
	if (rc)
		return cli_fail("driver-test", &err);
	if (t.wrong)
		say("%s: %u of %u checks went wrong", t.command, t.wrong, t.checks);
	else
		say("%s: %u checks went well", t.command, t.checks);
	say(t.not_reached ? ", %u were not reached\n" : "\n", t.not_reached);
	return t.wrong ? EXIT_VIOLATION : 0;
}

const struct cli_command cli_driver_test = {
	.name = "driver-test",
	.arguments = "[OPTIONS] CMD",
	.help = "Says what a driver does wrong: a scripted conversation",
	.details = "CMD is what `powercut run --driver CMD` takes: a program that speaks the\n"
		   "protocol of docs/driver.md.  Exit code: 0 it does, 1 it does not.\n",
	.options = options,
	.run = run,
};
