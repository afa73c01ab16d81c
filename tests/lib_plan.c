#include "lib_plan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib_engine.h"
#include "prng.h"

/* ---- keys and values of plans ---- */

enum { VALUE_ROOM = 9000 };

struct bytes {
	size_t length;
	char data[VALUE_ROOM];
};

static unsigned int keys_of(const struct subject *subject)
{
	return subject->keys ? subject->keys : 9;
}

/* Key 0 is the empty key, where that may be; every eighth is long. */
static void key_make(const struct subject *subject, unsigned int key, struct bytes *out)
{
	bool empty = key == 0 && !subject->no_empty_key;
	out->length = empty ? 0 : (size_t)snprintf(out->data, sizeof out->data, "key%u", key);
	for (; key % 8 == 7 && out->length < 200; out->length++)
		out->data[out->length] = '-';
}

/* Now and then an empty value and a large one. */
static size_t value_length(const struct subject *subject, unsigned int write)
{
	if (write % 17 == 0)
		return subject->value_bytes ? subject->value_bytes : 700;
	return write % 11 == 0 ? 0 : 8 + write * 37 % 90;
}

/* Begins with the number of the write, so that it can be told from the value. */
static void value_make(const struct subject *subject, unsigned int write, struct bytes *out)
{
	out->length = value_length(subject, write);
	for (size_t i = 0; i < out->length; i++)
		out->data[i] = (char)('a' + (write + i / 8) % 26);
	if (out->length)
		snprintf(out->data, 8, "w%u:", write);
}

static struct engine_bytes view(const struct bytes *bytes)
{
	return (struct engine_bytes){bytes->data, bytes->length};
}

/* ---- what a store shows ---- */

/* The write that made a value. */
static int32_t recognise(const struct subject *subject, struct engine_bytes value)
{
	static struct bytes expected;
	char head[9] = "", *end;
	if (!value.length)
		return SHOWN_EMPTY;
	if (value.length < 8)
		return SHOWN_OTHER;
	memcpy(head, value.data, 8);
	unsigned long write = head[0] == 'w' ? strtoul(head + 1, &end, 10) : 0;
	if (!write || write > UINT16_MAX || *end != ':')
		return SHOWN_OTHER;
	value_make(subject, (unsigned int)write, &expected);
	bool same =
		value.length == expected.length && !memcmp(value.data, expected.data, value.length);
	return same ? (int32_t)write : SHOWN_OTHER;
}

struct scan {
	const struct subject *subject;
	struct shown *shown;
};

static int scan_visit(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	static struct bytes expected;
	struct scan *scan = arg;
	struct shown *shown = scan->shown;
	for (unsigned int k = 0; k < shown->keys; k++) {
		key_make(scan->subject, k, &expected);
		if (key.length != expected.length ||
		    (key.length && memcmp(key.data, expected.data, key.length) != 0))
			continue;
		shown->others |= shown->scanned[k] != SHOWN_NOTHING;
		shown->scanned[k] = recognise(scan->subject, value);
		return 0;
	}
	shown->others = true;
	return 0;
}

/* Reads all that the open store shows. */
void shown_look(struct store *store, const struct subject *subject, struct shown *shown)
{
	static struct bytes key;
	*shown = (struct shown){.keys = keys_of(subject)};
	for (unsigned int k = 0; k < shown->keys; k++) {
		struct engine_bytes got = {0};
		struct engine_error error = {""};
		key_make(subject, k, &key);
		int rc = store->engine->get(store->handle, view(&key), &got, &error);
		shown->under[k] = rc < 0   ? SHOWN_ERROR
				  : rc > 0 ? recognise(subject, got)
					   : SHOWN_NOTHING;
		ck_assert_msg(rc >= 0 || error.text[0], "get fails without a text");
		if (rc < 0)
			memcpy(shown->error, error.text, sizeof shown->error);
	}
	struct engine_error error = {""};
	struct scan scan = {subject, shown};
	shown->scan_failed = store->engine->scan(store->handle, scan_visit, &scan, &error) < 0;
	ck_assert_msg(!shown->scan_failed || error.text[0], "scan fails without a text");
	if (shown->scan_failed)
		memcpy(shown->error, error.text, sizeof shown->error);
}

bool shown_failed(const struct shown *shown)
{
	bool any = shown->scan_failed;
	for (unsigned int k = 0; k < shown->keys; k++)
		any |= shown->under[k] == SHOWN_ERROR;
	return any;
}

/* Whether neither get nor scan failed and both show the same. */
bool shown_consistent(const struct shown *shown)
{
	return !shown_failed(shown) && !shown->others &&
	       !memcmp(shown->under, shown->scanned, sizeof shown->under);
}

bool shown_is(const struct plan *plan, int32_t shown, uint16_t write)
{
	if (shown == SHOWN_EMPTY)
		return write && !value_length(plan->subject, write);
	return shown == write;
}

/* Whether everything that is shown, errors aside, is as after the step. */
static bool shows_state(const struct shown *shown, const struct plan *plan, size_t steps)
{
	const uint16_t *state = plan->states[steps];
	if (shown->others)
		return false;
	for (unsigned int k = 0; k < shown->keys; k++) {
		if (shown->under[k] != SHOWN_ERROR && !shown_is(plan, shown->under[k], state[k]))
			return false;
		/* A scan that failed may not have come to the key. */
		bool missed = shown->scan_failed && shown->scanned[k] == SHOWN_NOTHING;
		if (!missed && !shown_is(plan, shown->scanned[k], state[k]))
			return false;
	}
	return true;
}

/* The most of the first `most` steps that it shows, or -1. */
int shown_prefix(const struct shown *shown, const struct plan *plan, size_t most)
{
	for (size_t p = most + 1; p > 0; p--)
		if (shows_state(shown, plan, p - 1))
			return (int)p - 1;
	return -1;
}

bool shown_same(const struct shown *a, const struct shown *b)
{
	return a->keys == b->keys && a->others == b->others && a->scan_failed == b->scan_failed &&
	       !memcmp(a->under, b->under, sizeof a->under) &&
	       !memcmp(a->scanned, b->scanned, sizeof a->scanned);
}

static bool was_written(const struct plan *plan, unsigned int key, int32_t shown)
{
	if (shown == SHOWN_NOTHING || shown == SHOWN_ERROR)
		return true;
	for (size_t i = 0; i < plan->n; i++)
		for (size_t c = 0; c < plan->steps[i].n; c++)
			if (plan->steps[i].changes[c].key == key &&
			    shown_is(plan, shown, plan->steps[i].changes[c].write))
				return true;
	return false;
}

bool shown_written(const struct shown *shown, const struct plan *plan)
{
	for (unsigned int k = 0; k < shown->keys; k++)
		if (!was_written(plan, k, shown->under[k]) ||
		    !was_written(plan, k, shown->scanned[k]))
			return false;
	return !shown->others;
}

/* ---- plans ---- */

static enum step_type choose(struct prng *prng, const unsigned int *mix)
{
	unsigned int total = 0, at = 0;
	for (int i = 0; i < STEP_TYPES; i++)
		total += mix[i];
	uint64_t chosen = prng_below(prng, total);
	while (chosen >= mix[at])
		chosen -= mix[at++];
	return (enum step_type)at;
}

void plan_make(struct plan *plan, const struct subject *subject, uint64_t seed, size_t n,
	       unsigned without)
{
	unsigned int mix[STEP_TYPES] = {50, 15, 10, 6, 8, 11};
	struct prng prng;
	uint16_t writes = 0;
	without |= (subject->engine->batch ? 0 : WITHOUT(BATCH)) |
		   (subject->engine->sync ? 0 : WITHOUT(SYNC)) |
		   (subject->engine->compact ? 0 : WITHOUT(COMPACT));
	for (int i = 0; i < STEP_TYPES; i++)
		if (without & 1u << i)
			mix[i] = 0;
	prng_init(&prng, seed);
	*plan = (struct plan){.subject = subject, .n = n};
	ck_assert(n <= PLAN_STEPS_MAX && keys_of(subject) <= PLAN_KEYS_MAX &&
		  subject->value_bytes <= VALUE_ROOM);
	for (size_t i = 0; i < n; i++) {
		enum step_type type = plan->steps[i].type = choose(&prng, mix);
		size_t changes = type == STEP_BATCH  ? prng_below(&prng, PLAN_CHANGES_MAX + 1)
				 : type < STEP_BATCH ? 1
						     : 0;
		plan->steps[i].n = changes;
		memcpy(plan->states[i + 1], plan->states[i], sizeof plan->states[i]);
		for (size_t c = 0; c < changes; c++) {
			bool del = type == STEP_DELETE ||
				   (type == STEP_BATCH && prng_below(&prng, 4) == 0);
			uint16_t key = (uint16_t)prng_below(&prng, keys_of(subject));
			plan->steps[i].changes[c].key = key;
			plan->steps[i].changes[c].write = del ? 0 : ++writes;
			plan->states[i + 1][key] = plan->steps[i].changes[c].write;
		}
	}
}

static int do_changes(const struct plan *plan, size_t step, struct store *store)
{
	static struct bytes keys[PLAN_CHANGES_MAX], values[PLAN_CHANGES_MAX];
	struct engine_change changes[PLAN_CHANGES_MAX] = {0};
	const struct engine *engine = store->engine;
	for (size_t i = 0; i < plan->steps[step].n; i++) {
		uint16_t write = plan->steps[step].changes[i].write;
		key_make(plan->subject, plan->steps[step].changes[i].key, &keys[i]);
		changes[i].key = view(&keys[i]);
		changes[i].del = !write;
		if (!write)
			continue;
		value_make(plan->subject, write, &values[i]);
		changes[i].value = view(&values[i]);
	}
	if (plan->steps[step].type == STEP_BATCH)
		return engine->batch(store->handle, changes, plan->steps[step].n, &store->error);
	if (plan->steps[step].type == STEP_DELETE)
		return engine->del(store->handle, changes[0].key, &store->error);
	return engine->put(store->handle, changes[0].key, changes[0].value, &store->error);
}

int plan_step(const struct plan *plan, size_t step, struct store *store)
{
	store->error.text[0] = '\0';
	switch (plan->steps[step].type) {
	case STEP_SYNC:
		return store->engine->sync(store->handle, &store->error);
	case STEP_COMPACT:
		return store->engine->compact(store->handle, &store->error);
	case STEP_REOPEN:
		return store_reopen(store);
	default:
		return do_changes(plan, step, store);
	}
}

/* Fails the test unless the open store shows what it must after the step. */
static void compare(const struct plan *plan, struct store *store, size_t steps)
{
	struct shown shown;
	shown_look(store, plan->subject, &shown);
	ck_assert_msg(!shown_failed(&shown), "after %zu steps: %s", steps, shown.error);
	ck_assert_msg(shown_consistent(&shown), "after %zu steps get and scan disagree", steps);
	ck_assert_msg(shows_state(&shown, plan, steps), "after %zu steps, contents", steps);
	ck_assert_msg(!store_verify(store), "after %zu steps, verify: %s", steps,
		      store->error.text);
}

void plan_compare(const struct plan *plan, struct store *store)
{
	ck_assert_msg(store_open(store), "%s", store->error.text);
	for (size_t i = 0; i < plan->n; i++) {
		int rc = plan_step(plan, i, store);
		ck_assert_msg(rc == 0, "step %zu: %s", i, store->error.text);
		compare(plan, store, i + 1);
	}
	ck_assert_msg(!store_close(store), "%s", store->error.text);
	ck_assert_msg(store_open(store), "%s", store->error.text);
	compare(plan, store, plan->n);
}

int plan_prefix(const struct plan *plan, struct store *store, size_t most)
{
	struct shown shown;
	shown_look(store, plan->subject, &shown);
	return shown_consistent(&shown) ? shown_prefix(&shown, plan, most) : -1;
}

size_t plan_durable(const struct plan *plan, const struct store *store, size_t ended)
{
	const struct engine_contract *contract = &store->contract;
	size_t spare = contract->ack == ENGINE_ACK_EACH ? 0 : SIZE_MAX;
	if (contract->ack == ENGINE_ACK_EVERY)
		spare = contract->every - 1;
	for (; ended > 0; ended--) {
		enum step_type type = plan->steps[ended - 1].type;
		if (type == STEP_SYNC ||
		    (type == STEP_BATCH && contract->batch == ENGINE_BATCH_DURABLE))
			break;
		if (type <= STEP_BATCH && spare-- == 0)
			break;
	}
	return ended;
}
