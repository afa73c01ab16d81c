#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "mem.h"
#include "prng.h"
#include "script.h"

static const struct engine_contract each = {.ack = ENGINE_ACK_EACH, .prefix = true};
static const struct engine_contract on_sync = {.ack = ENGINE_ACK_ON_SYNC, .prefix = true};
static const struct engine_contract batch_durable = {
	.ack = ENGINE_ACK_ON_SYNC, .prefix = true, .batch = ENGINE_BATCH_DURABLE};

/* Each operation of a script is four events: begin, a call, end, a call. */
enum { EVENTS_OF_OP = 4, TO_BEGIN = 1, TO_END = 3 };

static struct bounds after(const struct script *s, const struct engine_contract *contract,
			   uint32_t op, uint32_t to)
{
	return history_bounds(s->history, contract, op * EVENTS_OF_OP + to, true);
}

static struct bounds at_end(const struct script *s, const struct engine_contract *contract)
{
	return history_bounds(s->history, contract, (uint32_t)s->trace->n_events, true);
}

START_TEST(only_operations_that_change_contents_are_changes)
{
	struct script s = script_make("put a; sync; del a; reopen; batch a b -a; compact");
	const struct history *h = s.history;
	ck_assert_uint_eq(h->n_changes, 3);
	ck_assert(h->changes[0].op == 0 && h->changes[1].op == 2 && h->changes[2].op == 4);
	ck_assert(h->changes[2].type == OP_BATCH && h->changes[2].n == 3);
	ck_assert(h->changes[1].begun == 8 && h->changes[1].ended == 10);
	ck_assert(h->n_items == 5 && h->n_keys == 2 && h->n_writes == 3);
	ck_assert(h->items[3].key == 1 && h->items[3].write == 3 && h->items[3].change == 3);
	ck_assert(h->items[4].key == 0 && h->items[4].write == 0);
	ck_assert_uint_eq(h->item_of_write[2], 3);
	script_finish(&s);
}
END_TEST

START_TEST(a_change_counts_as_begun_and_acknowledged_from_its_markers_on)
{
	struct script s = script_make("put a; put b");
	struct bounds b = after(&s, &each, 0, 0);
	ck_assert(b.begun == 0 && b.acked == 0 && b.durable == 0);
	b = after(&s, &each, 0, TO_BEGIN);
	ck_assert(b.begun == 1 && b.acked == 0 && b.durable == 0);
	b = after(&s, &each, 0, TO_END - 1);
	ck_assert(b.begun == 1 && b.acked == 0 && b.durable == 0);
	b = after(&s, &each, 0, TO_END);
	ck_assert(b.begun == 1 && b.acked == 1 && b.durable == 1);
	b = history_bounds(s.history, &each, UINT32_MAX, true);
	ck_assert(b.begun == 2 && b.acked == 2 && b.durable == 2);
	script_finish(&s);
}
END_TEST

START_TEST(an_operation_that_never_returned_is_begun_for_ever)
{
	struct script s = script_make("put a; ?put b");
	struct bounds b = at_end(&s, &each);
	ck_assert(b.begun == 2 && b.acked == 1 && b.durable == 1);
	ck_assert_uint_eq(s.history->changes[1].ended, UINT32_MAX);
	script_finish(&s);
}
END_TEST

START_TEST(every_n_spares_the_last_n_minus_1_that_did_not_fail)
{
	struct engine_contract every = {.ack = ENGINE_ACK_EVERY, .every = 3};
	struct script s = script_make("put a; put a; put a; !put a; put a; !put a");
	static const uint32_t durable[] = {0, 0, 1, 1, 2, 2};
	for (uint32_t op = 0; op < 6; op++)
		ck_assert_uint_eq(after(&s, &every, op, TO_END).durable, durable[op]);
	every.every = 1;
	ck_assert_uint_eq(at_end(&s, &every).durable, 5);
	script_finish(&s);
}
END_TEST

START_TEST(a_sync_makes_durable_what_ended_before_it_once_it_has_ended_well)
{
	struct script s = script_make("put a; put b; sync; put c; !sync");
	ck_assert_uint_eq(after(&s, &on_sync, 1, TO_END).durable, 0);
	ck_assert_uint_eq(after(&s, &on_sync, 2, TO_BEGIN).durable, 0);
	ck_assert_uint_eq(after(&s, &on_sync, 2, TO_END).durable, 2);
	ck_assert_uint_eq(at_end(&s, &on_sync).durable, 2);
	struct engine_contract every = {.ack = ENGINE_ACK_EVERY, .every = 9};
	ck_assert_uint_eq(at_end(&s, &every).durable, 2);
	script_finish(&s);
}
END_TEST

START_TEST(a_durable_batch_makes_itself_and_all_before_it_durable)
{
	struct script s = script_make("put a; batch b c; put d; !batch a b");
	ck_assert_uint_eq(after(&s, &batch_durable, 1, TO_BEGIN).durable, 0);
	ck_assert_uint_eq(after(&s, &batch_durable, 1, TO_END).durable, 2);
	ck_assert_uint_eq(at_end(&s, &batch_durable).durable, 2);
	ck_assert_uint_eq(at_end(&s, &on_sync).durable, 0);
	script_finish(&s);
}
END_TEST

START_TEST(a_contract_against_kill_promises_nothing_when_power_goes)
{
	struct engine_contract kill = {.ack = ENGINE_ACK_EACH, .against = ENGINE_AGAINST_KILL};
	struct script s = script_make("put a; put b");
	uint32_t n = (uint32_t)s.trace->n_events;
	ck_assert_uint_eq(history_bounds(s.history, &kill, n, true).durable, 0);
	ck_assert_uint_eq(history_bounds(s.history, &kill, n, true).acked, 2);
	ck_assert_uint_eq(history_bounds(s.history, &kill, n, false).durable, 2);
	script_finish(&s);
}
END_TEST

/* The bounds once more, by reading all events up to the point. */
static struct bounds naive_bounds(const struct script *s, const struct engine_contract *contract,
				  uint32_t n_events)
{
	const struct history *h = s->history;
	struct bounds b = {0};
	for (uint32_t c = 1; c <= h->n_changes; c++) {
		b.begun += h->changes[c - 1].begun < n_events;
		b.acked += h->changes[c - 1].ended < n_events;
	}
	for (uint32_t c = 1; c <= b.acked; c++) {
		uint32_t well_after = 0;
		for (uint32_t later = c + 1; later <= b.acked; later++)
			well_after += !h->changes[later - 1].failed;
		const struct history_change *change = &h->changes[c - 1];
		if (contract->ack == ENGINE_ACK_EACH)
			b.durable = c;
		if (contract->ack == ENGINE_ACK_EVERY && !change->failed &&
		    well_after + 1 >= contract->every)
			b.durable = c;
		if (contract->batch == ENGINE_BATCH_DURABLE && change->type == OP_BATCH &&
		    !change->failed)
			b.durable = c;
	}
	/* An operation's end is two events after its begin. */
	for (uint32_t i = 0; i + 2 < n_events && contract->ack != ENGINE_ACK_EACH; i++) {
		const struct event *e = &s->trace->events[i];
		bool sync = e->kind == EVENT_OP_BEGIN && e->data[0] == OP_SYNC;
		if (!sync || e[2].kind != EVENT_OP_END || e[2].data_length > 0)
			continue;
		uint32_t before = 0;
		for (uint32_t c = 0; c < h->n_changes; c++)
			before += h->changes[c].ended < i;
		b.durable = before > b.durable ? before : b.durable;
	}
	return b;
}

START_TEST(bounds_are_those_that_reading_all_events_gives)
{
	struct workload_options options = {.ops = 40, .keys = 3, .seed = (uint64_t)_i};
	ck_assert_int_eq(workload_parse_mix("put,batch=10,sync=10,reopen", &options, NULL), 0);
	struct script s = script_random(&options, _i % 3 * 15, _i % 2);
	for (int ack = ENGINE_ACK_EACH; ack <= ENGINE_ACK_ON_SYNC; ack++) {
		for (int batch = ENGINE_BATCH_NONE; batch <= ENGINE_BATCH_DURABLE; batch++) {
			struct engine_contract contract = {
				.ack = (enum engine_ack)ack,
				.every = 1 + (uint32_t)_i % 5,
				.batch = (enum engine_batch)batch,
			};
			for (uint32_t n = 0; n <= s.trace->n_events; n++) {
				struct bounds fast = history_bounds(s.history, &contract, n, true);
				struct bounds slow = naive_bounds(&s, &contract, n);
				ck_assert_uint_eq(fast.begun, slow.begun);
				ck_assert_uint_eq(fast.acked, slow.acked);
				ck_assert_uint_eq(fast.durable, slow.durable);
			}
		}
	}
	script_finish(&s);
}
END_TEST

START_TEST(keys_are_found_and_strangers_are_not)
{
	struct workload_options options = {.ops = 3000, .keys = 1000, .reuse = 1};
	struct script s = script_random(&options, 0, false);
	const struct history *h = s.history;
	ck_assert_uint_eq(h->n_keys, 1000);
	for (uint32_t k = 0; k < h->n_keys; k++)
		ck_assert_uint_eq(history_key(h, h->keys[k]), k);
	ck_assert_uint_eq(history_key(h, (struct engine_bytes){"stranger", 8}), UINT32_MAX);
	ck_assert_uint_eq(history_key(h, (struct engine_bytes){"", 0}), UINT32_MAX);
	script_finish(&s);
}
END_TEST

START_TEST(a_trace_without_operations_has_an_empty_history)
{
	struct script s = script_make("");
	struct bounds b = at_end(&s, &each);
	ck_assert(s.history->n_changes == 0 && b.begun == 0);
	ck_assert_uint_eq(history_key(s.history, (struct engine_bytes){"a", 1}), UINT32_MAX);
	script_finish(&s);
}
END_TEST

/* Markers as number, kind and bytes; the first that makes no sense is refused. */
static const struct bad {
	struct {
		char kind; /* b or e */
		uint64_t number;
		const char *bytes;
		size_t n;
	} marks[4];
	const char *error;
} bad_traces[] = {
	{{{'e', 0, "", 0}}, "event 0, operation 0: it ends without having begun"},
	{{{'b', 0, "\3\0", 2}, {'b', 1, "\3\0", 2}}, "event 1, operation 1: it is out of order"},
	{{{'b', 0, "\3\0", 2}, {'e', 1, "", 0}},
	 "event 1, operation 1: it ends without having begun"},
	{{{'b', 4, "\3\0", 2}, {'e', 4, "", 0}, {'b', 4, "\3\0", 2}},
	 "event 2, operation 4: it is out of order"},
	{{{'b', 0, "\3", 1}}, "event 0, operation 0: its encoding is damaged"},
	{{{'b', 0, "\x63\0", 2}}, "event 0, operation 0: its encoding is damaged"},
	{{{'b', 0, "\3\1\0\1a\1\36", 7}}, "event 0, operation 0: its encoding is damaged"},
	{{{'b', 0, "\0\1\0\1a\1", 6}}, "event 0, operation 0: its encoding is damaged"},
	{{{'b', 0, "\0\1\0\1a\2\36", 7}}, "event 0, operation 0: it has write 2 after write 0"},
	{{{'b', 0, "\1\1\1\1a\2\0", 7}}, "event 0, operation 0: it has write 2 after write 0"},
	{{{'b', 0, "\0\1\0\1a\1\36\0", 8}}, "event 0, operation 0: bytes follow its encoding"},
};

START_TEST(markers_that_make_no_sense_are_refused_by_name)
{
	const struct bad *bad = &bad_traces[_i];
	struct trace *trace = trace_create();
	struct history *h;
	struct err err = {0};
	for (int i = 0; i < 4 && bad->marks[i].kind; i++)
		script_append(trace, bad->marks[i].kind == 'b' ? EVENT_OP_BEGIN : EVENT_OP_END,
			      bad->marks[i].number, bad->marks[i].bytes, bad->marks[i].n);
	ck_assert_int_eq(history_create(trace, &h, &err), ERR_CORRUPT);
	ck_assert_str_eq(err.text, bad->error);
	ck_assert_ptr_null(h);
	trace_destroy(trace);
}
END_TEST

/* ---- contents ---- */

static struct contents *no_contents(const struct script *s)
{
	struct contents *c = mem_alloc(1, contents_bytes(s->history));
	memset(c, 0xff, contents_bytes(s->history));
	contents_init(s->history, c);
	return c;
}

static void add(const struct script *s, struct contents *c, const char *key, uint32_t write,
		uint32_t length)
{
	char value[100];
	struct engine_bytes k = {key, strlen(key)};
	value_make(write, k, length, value);
	contents_add(s->history, c, k, (struct engine_bytes){value, length});
}

START_TEST(a_record_is_traced_to_its_write)
{
	struct script s = script_make("put a; put b; put a");
	struct contents *c = no_contents(&s);
	ck_assert(c->n_keys == 2 && c->invented == 0);
	ck_assert(c->write[0] == CONTENTS_ABSENT && c->write[1] == CONTENTS_ABSENT);
	add(&s, c, "a", 3, SCRIPT_VALUE_BYTES);
	add(&s, c, "b", 2, SCRIPT_VALUE_BYTES);
	ck_assert(c->write[0] == 3 && c->write[1] == 2 && c->invented == 0);
	free(c);
	script_finish(&s);
}
END_TEST

START_TEST(all_empty_values_of_a_key_look_alike)
{
	struct script s = script_make("put a; put a=; put a=; put b");
	struct contents *c = no_contents(&s);
	ck_assert_uint_eq(s.history->items[2].shows, 2);
	add(&s, c, "a", 0, 0);
	ck_assert(c->write[0] == 2 && c->invented == 0);
	add(&s, c, "b", 0, 0);
	ck_assert(c->write[1] == CONTENTS_INVENTED && c->invented == 1);
	free(c);
	script_finish(&s);
}
END_TEST

static const struct {
	const char *key;
	uint32_t write, length;
	const char *text;
} inventions[] = {
	{"a", 2, SCRIPT_VALUE_BYTES, "a holds what was never written to it: 30 bytes (w2:"},
	{"a", 9, SCRIPT_VALUE_BYTES, "a holds what was never written to it: 30 bytes (w9:"},
	{"a", 1, SCRIPT_VALUE_BYTES + 1, "a holds what was never written to it: 31 bytes (w1:"},
	{"a", 0, 0, "a holds what was never written to it: 0 bytes"},
	{"c", 1, SCRIPT_VALUE_BYTES, "c, a key that was never used, holds 30 bytes (w1:"},
	{"", 1, SCRIPT_VALUE_BYTES, "\"\", a key that was never used, holds 30 bytes (w1:"},
};

START_TEST(a_record_that_no_write_explains_is_invented)
{
	struct script s = script_make("put a; put b");
	struct contents *c = no_contents(&s);
	add(&s, c, inventions[_i].key, inventions[_i].write, inventions[_i].length);
	ck_assert_uint_eq(c->invented, 1);
	ck_assert_uint_eq(c->write[0],
			  inventions[_i].key[0] == 'a' ? CONTENTS_INVENTED : CONTENTS_ABSENT);
	ck_assert_msg(strncmp(c->text, inventions[_i].text, strlen(inventions[_i].text)) == 0, "%s",
		      c->text);
	free(c);
	script_finish(&s);
}
END_TEST

START_TEST(a_key_that_is_returned_twice_is_invented)
{
	struct script s = script_make("put a; put a");
	struct contents *c = no_contents(&s);
	add(&s, c, "a", 1, SCRIPT_VALUE_BYTES);
	add(&s, c, "a", 2, SCRIPT_VALUE_BYTES);
	ck_assert(c->write[0] == 1 && c->invented == 1);
	ck_assert(strstr(c->text, "a was returned twice") == c->text);
	free(c);
	script_finish(&s);
}
END_TEST

START_TEST(zeros_are_called_zeros)
{
	struct script s = script_make("put a");
	struct contents *c = no_contents(&s);
	contents_add(s.history, c, (struct engine_bytes){"a", 1},
		     (struct engine_bytes){(char[30]){0}, 30});
	ck_assert_str_eq(c->text, "a holds what was never written to it: 30 bytes, all zero");
	free(c);
	script_finish(&s);
}
END_TEST

START_TEST(keys_are_printed_plain_or_quoted)
{
	struct buf text = {0};
	history_print_key((struct engine_bytes){"key07", 5}, &text);
	buf_byte(&text, ' ');
	history_print_key((struct engine_bytes){"a\0\xff\"b", 5}, &text);
	ck_assert_str_eq(buf_text(&text), "key07 \"a\\x00\\xff\\\"b\"");
	buf_finish(&text);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

START_TEST(guests_are_recognised_beside_the_writes_of_the_trace)
{
	struct script s = script_make("put a; put b");
	struct history *h = s.history;
	struct engine_bytes keys[] = {{"a", 1}, {"new", 3}};
	char value[40];
	history_invite(h, s.trace->arena, keys, 2, 2);
	ck_assert_uint_eq(h->n_keys, 3);
	ck_assert_uint_eq(history_key(h, keys[1]), 2);
	ck_assert_uint_eq(history_key(h, (struct engine_bytes){"b", 1}), 1);
	struct contents *c = malloc(contents_bytes(h));
	contents_init(h, c);
	value_make(3, keys[0], 30, value);
	contents_add(h, c, keys[0], (struct engine_bytes){value, 30});
	value_make(4, keys[1], 40, value);
	contents_add(h, c, keys[1], (struct engine_bytes){value, 40});
	ck_assert(c->write[0] == 3 && c->write[2] == 4 && c->invented == 0);
	contents_init(h, c);
	contents_add(h, c, keys[0], (struct engine_bytes){value, 40}); /* another key's */
	value_make(5, keys[1], 40, value);
	contents_add(h, c, keys[1], (struct engine_bytes){value, 40}); /* nobody's */
	ck_assert_uint_eq(c->invented, 2);
	free(c);
	script_finish(&s);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("history");
	tcase_add_test(cases, only_operations_that_change_contents_are_changes);
	tcase_add_test(cases, a_change_counts_as_begun_and_acknowledged_from_its_markers_on);
	tcase_add_test(cases, an_operation_that_never_returned_is_begun_for_ever);
	tcase_add_test(cases, every_n_spares_the_last_n_minus_1_that_did_not_fail);
	tcase_add_test(cases, a_sync_makes_durable_what_ended_before_it_once_it_has_ended_well);
	tcase_add_test(cases, a_durable_batch_makes_itself_and_all_before_it_durable);
	tcase_add_test(cases, a_contract_against_kill_promises_nothing_when_power_goes);
	tcase_add_loop_test(cases, bounds_are_those_that_reading_all_events_gives, 0, 20);
	tcase_add_test(cases, keys_are_found_and_strangers_are_not);
	tcase_add_test(cases, a_trace_without_operations_has_an_empty_history);
	tcase_add_loop_test(cases, markers_that_make_no_sense_are_refused_by_name, 0,
			    ROWS(bad_traces));
	tcase_add_test(cases, a_record_is_traced_to_its_write);
	tcase_add_test(cases, all_empty_values_of_a_key_look_alike);
	tcase_add_loop_test(cases, a_record_that_no_write_explains_is_invented, 0,
			    ROWS(inventions));
	tcase_add_test(cases, a_key_that_is_returned_twice_is_invented);
	tcase_add_test(cases, zeros_are_called_zeros);
	tcase_add_test(cases, guests_are_recognised_beside_the_writes_of_the_trace);
	tcase_add_test(cases, keys_are_printed_plain_or_quoted);
	Suite *suite = suite_create("history");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
