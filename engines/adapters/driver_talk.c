#include "driver_talk.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 30 }; /* of a key or value that a driver sends */

/* ---- the greeting ---- */

static const char greeting_example[] =
	"\"powercut-driver 1 name=NAME ack=each against=power prefix=yes\"";

/* What a word of the greeting may say. */
enum field { FIELD_ACK, FIELD_AGAINST, FIELD_PREFIX, FIELD_BATCH, FIELD_STAYS, FIELDS };
static const struct {
	const char *name;
	enum field field;
	int value;
} words[] = {
	{"ack=each", FIELD_ACK, ENGINE_ACK_EACH},
	{"ack=on-sync", FIELD_ACK, ENGINE_ACK_ON_SYNC},
	{"against=power", FIELD_AGAINST, ENGINE_AGAINST_POWER},
	{"against=kill", FIELD_AGAINST, ENGINE_AGAINST_KILL},
	{"prefix=yes", FIELD_PREFIX, true},
	{"prefix=no", FIELD_PREFIX, false},
	{"batch=none", FIELD_BATCH, ENGINE_BATCH_NONE},
	{"batch=atomic", FIELD_BATCH, ENGINE_BATCH_ATOMIC},
	{"batch=durable", FIELD_BATCH, ENGINE_BATCH_DURABLE},
	{"stays=yes", FIELD_STAYS, true},
	{"stays=no", FIELD_STAYS, false},
};

static void set_field(struct engine_contract *c, enum field field, int value)
{
	switch (field) {
	case FIELD_ACK:
		c->ack = (enum engine_ack)value;
		break;
	case FIELD_AGAINST:
		c->against = (enum engine_against)value;
		break;
	case FIELD_PREFIX:
		c->prefix = value;
		break;
	case FIELD_BATCH:
		c->batch = (enum engine_batch)value;
		break;
	default:
		c->stays = value;
	}
}

/* A number from 1 to 999999999, which is all of the text; 0 where it is not. */
static uint32_t parse_count(const char *text)
{
	size_t n = strspn(text, "0123456789");
	return n == 0 || n > 9 || text[n] ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

static int parse_name(const char *text, struct driver_greeting *g, struct engine_error *error)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strspn(text, plain);
	if (n == 0 || text[n] || n > DRIVER_NAME_MAX)
		return engine_fail(error,
				   "name=%.60s: expected 1 to %d letters, digits, '.', '_' or '-'",
				   text, DRIVER_NAME_MAX);
	strcpy(g->name, text);
	return 0;
}

static int parse_abilities(char *list, struct driver_greeting *g, struct engine_error *error)
{
	const struct {
		const char *name;
		bool *can;
	} abilities[] = {{"batch", &g->batch},
			 {"sync", &g->sync},
			 {"maintain", &g->maintain},
			 {"verify", &g->verify}};
	for (char *word; (word = strsep(&list, ","));) {
		size_t i = 0;
		while (i < 4 && strcmp(word, abilities[i].name))
			i++;
		if (i == 4)
			return engine_fail(error,
					   "can=...%.40s: expected some of batch, sync, maintain "
					   "and verify, with commas between",
					   word);
		*abilities[i].can = true;
	}
	return 0;
}

static int parse_word(char *word, struct driver_greeting *g, unsigned *given,
		      struct engine_error *error)
{
	if (strncmp(word, "name=", 5) == 0)
		return parse_name(word + 5, g, error);
	if (strncmp(word, "can=", 4) == 0)
		return word[4] ? parse_abilities(word + 4, g, error) : 0;
	if (strncmp(word, "ack=every:", 10) == 0 && parse_count(word + 10)) {
		g->contract.ack = ENGINE_ACK_EVERY;
		g->contract.every = parse_count(word + 10);
		*given |= 1u << FIELD_ACK;
		return 0;
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i].name))
			continue;
		set_field(&g->contract, words[i].field, words[i].value);
		*given |= 1u << words[i].field;
		return 0;
	}
	return engine_fail(error,
			   "\"%.60s\": expected name=, ack=each|every:N|on-sync, "
			   "against=power|kill, prefix=yes|no, batch=none|atomic|durable, "
			   "stays=yes|no or can=",
			   word);
}

static int check_greeting(const struct driver_greeting *g, unsigned given,
			  struct engine_error *error)
{
	static const char *const needed[] = {
		[FIELD_ACK] = "ack=", [FIELD_AGAINST] = "against=", [FIELD_PREFIX] = "prefix="};
	if (!g->name[0])
		return engine_fail(error, "name= is missing");
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!(given & 1u << i))
			return engine_fail(error, "%s is missing", needed[i]);
	if (g->contract.batch != ENGINE_BATCH_NONE && !g->batch)
		return engine_fail(error, "it promises batches, but batch is not in can=");
	return 0;
}

int driver_parse_greeting(const char *line, struct driver_greeting *g, struct engine_error *error)
{
	char copy[PROGRAM_LINE_MAX + 1], *rest = copy, *word;
	unsigned given = 0;
	*g = (struct driver_greeting){.contract = {.every = 1}};
	snprintf(copy, sizeof copy, "%s", line);
	word = strsep(&rest, " ");
	if (strcmp(word, "powercut-driver") || !rest)
		return engine_fail(error, "it begins with \"%.60s\", expected %s", line,
				   greeting_example);
	word = strsep(&rest, " ");
	if (parse_count(word) != DRIVER_PROTOCOL)
		return engine_fail(error, "protocol version \"%.20s\", expected %d", word,
				   DRIVER_PROTOCOL);
	while ((word = strsep(&rest, " ")))
		if (*word && parse_word(word, g, &given, error))
			return -1;
	return check_greeting(g, given, error);
}

/* ---- replies ---- */

/* A text between quotes, cut, with nothing in it that is not printable. */
static void quote(const char *text, char *out, size_t size)
{
	enum { SHOWN = 60 };
	size_t n = (size_t)snprintf(out, size, "said \"%.*s%s\"", SHOWN, text,
				    strlen(text) > SHOWN ? "..." : "");
	for (size_t i = 0; i < n && i < size && out[i]; i++)
		if (out[i] < ' ' || out[i] > '~')
			out[i] = '?';
}

/* What it did instead of saying all of a line or of bytes. */
static void describe_end(struct program *program, enum program_heard end, const char *line,
			 char *text, size_t size)
{
	char ending[80];
	size_t n = 0;
	if (*line) {
		quote(line, text, size);
		n = strlen(text);
		n += (size_t)snprintf(text + n, size - n, " and ");
	}
	switch (end) {
	case PROGRAM_ENDED:
		program_ending(program, ending, sizeof ending);
		snprintf(text + n, size - n, "%s", ending);
		break;
	case PROGRAM_SILENT:
		snprintf(text + n, size - n, "%s", n ? "no more" : "said nothing");
		break;
	default:
		snprintf(text + n, size - n, "%s",
			 n ? "more than a line may have" : "there is no memory for them");
	}
}

int driver_hear_greeting(struct program *program, int timeout_ms, struct driver_greeting *greeting,
			 struct engine_error *error)
{
	const char *line;
	char text[160];
	program_next(program);
	enum program_heard end = program_line(program, timeout_ms, &line);
	if (end == PROGRAM_HEARD) {
		struct engine_error why = {{0}};
		return driver_parse_greeting(line, greeting, &why)
			       ? engine_fail(error, "its greeting: %.240s", why.text)
			       : 0;
	}
	describe_end(program, end, line, text, sizeof text);
	if (end == PROGRAM_SILENT)
		return engine_fail(error, "it %s for %g s, expected a greeting such as %s", text,
				   timeout_ms / 1000.0, greeting_example);
	return engine_fail(error, "it %s, expected a greeting such as %s", text, greeting_example);
}

/* Lengths behind a word, "item 3 24". */
static bool parse_lengths(const char *text, size_t n, size_t *lengths)
{
	for (size_t i = 0; i < n; i++) {
		char *end;
		if (text[0] != ' ' || text[1] < '0' || text[1] > '9')
			return false;
		unsigned long long length = strtoull(text + 1, &end, 10);
		if (length > BYTES_MAX)
			return false;
		lengths[i] = (size_t)length;
		text = end;
	}
	return *text == '\0';
}

static const struct {
	const char *word;
	enum driver_reply_kind kind;
	size_t lengths;
} replies[] = {
	{"ok", DRIVER_OK, 0},
	{"none", DRIVER_NONE, 0},
	{"value", DRIVER_VALUE, 1},
	{"item", DRIVER_ITEM, 2},
};

/* The kind of a line, and what follows it. */
static enum driver_reply_kind parse_reply(const char *line, size_t *n, size_t lengths[2])
{
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		size_t word = strlen(replies[i].word);
		if (strncmp(line, replies[i].word, word) != 0 ||
		    !parse_lengths(line + word, replies[i].lengths, lengths))
			continue;
		*n = replies[i].lengths;
		return replies[i].kind;
	}
	return strncmp(line, "error", 5) == 0 && (line[5] == ' ' || !line[5]) ? DRIVER_ERROR
									      : DRIVER_WRONG;
}

static void hear_bytes(struct program *program, int timeout_ms, size_t n, const size_t lengths[2],
		       struct driver_reply *reply)
{
	const char *at = NULL;
	char text[80];
	size_t said = strlen(reply->did), total = 0;
	for (size_t i = 0; i < n; i++)
		total += lengths[i] + 1;
	enum program_heard end = program_bytes(program, total, timeout_ms, &at);
	if (end != PROGRAM_HEARD) {
		reply->kind = DRIVER_WRONG;
		describe_end(program, end, "", text, sizeof text);
		snprintf(reply->did + said, sizeof reply->did - said,
			 ", then not the %zu bytes that have to follow, but %s", total,
			 end == PROGRAM_SILENT ? "nothing more" : text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		*(i + 1 < n ? &reply->key : &reply->value) = (struct engine_bytes){at, lengths[i]};
		at += lengths[i];
		if (*at++ == '\n')
			continue;
		reply->kind = DRIVER_WRONG;
		snprintf(reply->did + said, sizeof reply->did - said,
			 ", but there is no newline behind the %zu bytes of the %s", lengths[i],
			 i + 1 < n ? "key" : "value");
		return;
	}
}

void driver_hear(struct program *program, int timeout_ms, struct driver_reply *reply)
{
	const char *line;
	size_t n = 0, lengths[2] = {0, 0};
	enum program_heard end = program_line(program, timeout_ms, &line);
	*reply = (struct driver_reply){.kind = DRIVER_WRONG};
	if (end != PROGRAM_HEARD) {
		describe_end(program, end, line, reply->did, sizeof reply->did);
		return;
	}
	quote(line, reply->did, sizeof reply->did);
	reply->kind = parse_reply(line, &n, lengths);
	if (reply->kind == DRIVER_ERROR)
		snprintf(reply->reason, sizeof reply->reason, "%s",
			 line[5] && line[6] ? line + 6 : "an error without a text");
	if (n)
		hear_bytes(program, timeout_ms, n, lengths, reply);
}

void driver_expected(unsigned kinds, char *text, size_t size)
{
	static const struct {
		enum driver_reply_kind kind;
		const char *text;
	} forms[] = {
		{DRIVER_ITEM, "\"item LENGTH LENGTH\""},
		{DRIVER_VALUE, "\"value LENGTH\""},
		{DRIVER_NONE, "\"none\""},
		{DRIVER_OK, "\"ok\""},
		{DRIVER_ERROR, "\"error TEXT\""},
	};
	size_t n = 0;
	text[0] = '\0';
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		bool last = !(kinds & ~(unsigned)forms[i].kind);
		if (kinds & forms[i].kind && n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s",
					      !n     ? ""
					      : last ? " or "
						     : ", ",
					      forms[i].text);
		kinds &= ~(unsigned)forms[i].kind;
	}
}
