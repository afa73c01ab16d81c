/* What drivers say (docs/driver.md): their greeting and their replies. */
#ifndef POWERCUT_DRIVER_TALK_H
#define POWERCUT_DRIVER_TALK_H

#include <stdbool.h>

#include "engine.h"
#include "program.h"

enum { DRIVER_PROTOCOL = 1, DRIVER_NAME_MAX = 40, DRIVER_GREETING_MS = 10000 };

/* The first line that a driver says. */
struct driver_greeting {
	char name[DRIVER_NAME_MAX + 1];
	struct engine_contract contract;
	bool batch, sync, maintain, verify; /* what it can do beyond what all must */
};

/* 0, or -1 with a text that names the word at fault and what was expected. */
int driver_parse_greeting(const char *line, struct driver_greeting *greeting,
			  struct engine_error *error);

/* Hears it from a program just started. */
int driver_hear_greeting(struct program *program, int timeout_ms, struct driver_greeting *greeting,
			 struct engine_error *error);

enum driver_reply_kind {
	DRIVER_OK = 1,
	DRIVER_NONE = 2,
	DRIVER_VALUE = 4,
	DRIVER_ITEM = 8,
	DRIVER_ERROR = 16,
	DRIVER_WRONG = 32, /* no reply of the protocol, or none at all */
};

struct driver_reply {
	enum driver_reply_kind kind;
	struct engine_bytes key;   /* of an item; until the next reply */
	struct engine_bytes value; /* of a value or an item */
	/* What the driver did: `said "ok"`, `ended with exit status 1`; of an error, its
	 * text is the reason. */
	char did[160], reason[160];
};

/* Hears one reply; program_next comes before the first of a request. */
void driver_hear(struct program *program, int timeout_ms, struct driver_reply *reply);

/* The replies of a set of kinds, as in `"ok" or "error TEXT"`. */
void driver_expected(unsigned kinds, char *text, size_t size);

#endif
