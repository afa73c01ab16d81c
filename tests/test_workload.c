#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marker.h"
#include "mem.h"
#include "workload.h"

/* ---- markers, as a recorder would see them ---- */

struct marked {
	enum marker_kind kind;
	uint64_t number;
	char text[64];
	struct buf data;
};
static struct marked *marks;
static size_t n_marks, marks_cap;

/* marker_emit goes through this function, which stands in for the C library's. */
long syscall(long number, ...)
{
	long a[6];
	va_list args;
	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number != SYS_prctl || a[0] != MARKER_OPTION) {
		long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
		return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	struct marked *m = MEM_PUSH(marks, n_marks, marks_cap);
	*m = (struct marked){.kind = (enum marker_kind)a[1], .number = (uint64_t)a[2]};
	buf_append(&m->data, (const void *)a[3], (size_t)a[4]);
	errno = EINVAL;
	return -1;
}

static void forget_marks(void)
{
	for (size_t i = 0; i < n_marks; i++)
		buf_finish(&marks[i].data);
	free(marks);
	marks = NULL;
	n_marks = marks_cap = 0;
}

/* ---- an engine in memory, which survives nothing ---- */

enum { MEMORY_KEYS = 64 };

static struct memory {
	struct engine_bytes keys[MEMORY_KEYS], values[MEMORY_KEYS];
	size_t n;
	uint32_t calls[OP_TYPES_COUNT], opens, closes;
	uint32_t fail_put_at, fail_open_at; /* which call fails, from 1; 0: none */
	bool silent;			    /* failures have no text */
} memory;

static struct engine_bytes keep(struct engine_bytes bytes)
{
	return (struct engine_bytes){mem_dup(bytes.data, bytes.length), bytes.length};
}

static void drop(struct engine_bytes bytes)
{
	free((void *)(uintptr_t)bytes.data);
}

static bool same(struct engine_bytes a, struct engine_bytes b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static int refuse(struct engine_error *error, const char *text)
{
	snprintf(error->text, sizeof error->text, "%s", memory.silent ? "" : text);
	return -1;
}

static void memory_remove(struct engine_bytes key)
{
	for (size_t i = 0; i < memory.n; i++) {
		if (!same(memory.keys[i], key))
			continue;
		drop(memory.keys[i]);
		drop(memory.values[i]);
		memory.n--;
		memory.keys[i] = memory.keys[memory.n];
		memory.values[i] = memory.values[memory.n];
		return;
	}
}

static void memory_set(struct engine_bytes key, struct engine_bytes value)
{
	memory_remove(key);
	ck_assert_uint_lt(memory.n, MEMORY_KEYS);
	memory.keys[memory.n] = keep(key);
	memory.values[memory.n++] = keep(value);
}

static void memory_reset(void)
{
	while (memory.n)
		memory_remove(memory.keys[0]);
	memset(&memory, 0, sizeof memory);
	forget_marks();
}

static void *memory_open(const char *dir, const struct engine_config *config,
			 struct engine_error *error)
{
	(void)dir, (void)config;
	if (++memory.opens == memory.fail_open_at) {
		refuse(error, "will not open");
		return NULL;
	}
	return &memory;
}

static int memory_close(void *store, struct engine_error *error)
{
	(void)store, (void)error;
	memory.closes++;
	return 0;
}

static int memory_put(void *store, struct engine_bytes key, struct engine_bytes value,
		      struct engine_error *error)
{
	(void)store;
	if (++memory.calls[OP_PUT] == memory.fail_put_at)
		return refuse(error, "disk full");
	memory_set(key, value);
	return 0;
}

static int memory_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	(void)store, (void)error;
	memory.calls[OP_DELETE]++;
	memory_remove(key);
	return 0;
}

static int memory_batch(void *store, const struct engine_change *changes, size_t n,
			struct engine_error *error)
{
	(void)store, (void)error;
	memory.calls[OP_BATCH]++;
	for (size_t i = 0; i < n; i++) {
		if (changes[i].del)
			memory_remove(changes[i].key);
		else
			memory_set(changes[i].key, changes[i].value);
	}
	return 0;
}

static int memory_sync(void *store, struct engine_error *error)
{
	(void)store, (void)error;
	memory.calls[OP_SYNC]++;
	return 0;
}

static int memory_compact(void *store, struct engine_error *error)
{
	(void)store, (void)error;
	memory.calls[OP_COMPACT]++;
	return 0;
}

static const struct engine memory_engine = {
	.abi = ENGINE_ABI,
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.put = memory_put,
	.del = memory_del,
	.batch = memory_batch,
	.sync = memory_sync,
	.compact = memory_compact,
};
static const struct engine poor_engine = {.name = "poor", .put = memory_put, .del = memory_del};

/* ---- helpers ---- */

static struct workload *make(struct workload_options options, const struct engine *engine)
{
	struct workload *w = NULL;
	struct err err = {0};
	ck_assert_msg(workload_expand(&options, &err) == 0, "%s", err.text);
	ck_assert_msg(workload_create(&options, engine, &w, &err) == 0, "%s", err.text);
	return w;
}

static struct buf encode_all(const struct workload *w)
{
	struct buf out = {0};
	for (uint32_t i = 0; i < w->n_ops; i++)
		op_encode(&w->ops[i], &out);
	return out;
}

static bool equal_workloads(struct workload_options a, struct workload_options b)
{
	struct workload *wa = make(a, &memory_engine), *wb = make(b, &memory_engine);
	struct buf ea = encode_all(wa), eb = encode_all(wb);
	bool equal = ea.len == eb.len && memcmp(ea.data, eb.data, ea.len) == 0;
	buf_finish(&ea);
	buf_finish(&eb);
	workload_destroy(wa);
	workload_destroy(wb);
	return equal;
}

static struct engine_bytes text_bytes(const char *text)
{
	return (struct engine_bytes){text, strlen(text)};
}

/* ---- values ---- */

START_TEST(a_value_names_its_write_whatever_its_length)
{
	static const uint32_t writes[] = {1, 8, 9, 10, 123456, UINT32_MAX};
	struct engine_bytes key = text_bytes("key07");
	char value[300];
	for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
		for (uint32_t n = VALUE_BYTES_MIN; n <= sizeof value; n++) {
			memset(value, 'x', sizeof value);
			value_make(writes[i], key, n, value);
			ck_assert_uint_eq(value_parse(key, (struct engine_bytes){value, n}),
					  writes[i]);
			ck_assert(n == sizeof value || value[n] == 'x');
		}
	}
}
END_TEST

START_TEST(a_value_with_any_bit_changed_names_nothing)
{
	struct engine_bytes key = text_bytes("key07");
	char value[100];
	for (uint32_t write = 7; write <= 8; write++) {
		value_make(write, key, sizeof value, value);
		for (size_t bit = 0; bit < 8 * sizeof value; bit++) {
			value[bit / 8] = (char)(value[bit / 8] ^ (1 << bit % 8));
			ck_assert_uint_eq(
				value_parse(key, (struct engine_bytes){value, sizeof value}), 0);
			value[bit / 8] = (char)(value[bit / 8] ^ (1 << bit % 8));
		}
	}
}
END_TEST

START_TEST(a_value_that_is_cut_torn_or_zeroed_names_nothing)
{
	struct engine_bytes key = text_bytes("key07");
	char value[200], other[200];
	value_make(12, key, sizeof value, value);
	value_make(13, key, sizeof other, other);
	for (size_t n = 0; n < sizeof value; n++)
		ck_assert_uint_eq(value_parse(key, (struct engine_bytes){value, n}), 0);
	/* The last 8 bytes, the check, stay those of the other. */
	for (size_t n = 3; n <= sizeof value - 8; n++) {
		memcpy(other, value, n);
		ck_assert_uint_eq(value_parse(key, (struct engine_bytes){other, sizeof other}), 0);
	}
	memset(value + 50, 0, 20);
	ck_assert_uint_eq(value_parse(key, (struct engine_bytes){value, sizeof value}), 0);
}
END_TEST

START_TEST(a_value_under_another_key_names_nothing)
{
	char value[40];
	value_make(3, text_bytes("key07"), sizeof value, value);
	struct engine_bytes bytes = {value, sizeof value};
	ck_assert_uint_eq(value_parse(text_bytes("key07"), bytes), 3);
	ck_assert_uint_eq(value_parse(text_bytes("key08"), bytes), 0);
	ck_assert_uint_eq(value_parse(text_bytes(""), bytes), 0);
}
END_TEST

/* ---- making ---- */

START_TEST(the_same_options_give_the_same_workload_and_another_seed_another)
{
	struct workload_options options = {.ops = 200, .seed = 5}, other = {.ops = 200, .seed = 6};
	ck_assert(equal_workloads(options, options));
	ck_assert(!equal_workloads(options, other));
}
END_TEST

START_TEST(operations_that_an_engine_lacks_are_left_out)
{
	struct workload *w = make((struct workload_options){.ops = 500}, &poor_engine);
	for (uint32_t i = 0; i < w->n_ops; i++)
		ck_assert(w->ops[i].type == OP_PUT || w->ops[i].type == OP_DELETE ||
			  w->ops[i].type == OP_REOPEN);
	workload_destroy(w);
}
END_TEST

START_TEST(a_mix_of_which_an_engine_has_nothing_is_refused)
{
	struct workload_options options = {0};
	struct workload *w;
	struct err err = {0};
	ck_assert_int_eq(workload_parse_mix("sync,batch", &options, &err), 0);
	ck_assert_int_eq(workload_expand(&options, &err), 0);
	ck_assert_int_eq(workload_create(&options, &poor_engine, &w, &err), ERR_USAGE);
	ck_assert_ptr_null(w);
	ck_assert_str_eq(err.text, "poor has none of the operations of the mix");
}
END_TEST

START_TEST(all_operations_of_the_default_mix_occur_about_as_often_as_it_says)
{
	uint32_t n[OP_TYPES_COUNT] = {0};
	struct workload *w = make((struct workload_options){.ops = 10000}, &memory_engine);
	for (uint32_t i = 0; i < w->n_ops; i++)
		n[w->ops[i].type]++;
	ck_assert_uint_gt(n[OP_PUT], 5700);
	ck_assert_uint_lt(n[OP_PUT], 6300);
	ck_assert_uint_gt(n[OP_COMPACT], 300);
	ck_assert_uint_lt(n[OP_COMPACT], 500);
	workload_destroy(w);
}
END_TEST

START_TEST(keys_are_distinct_of_all_lengths_and_some_are_binary)
{
	struct workload *w =
		make((struct workload_options){.ops = 4000, .keys = 300, .reuse = 1}, &poor_engine);
	const struct engine_bytes *seen[400];
	size_t n = 0, short_keys = 0, long_keys = 0, binary = 0;
	for (uint32_t i = 0; i < w->n_ops; i++) {
		if (w->ops[i].n == 0)
			continue;
		const struct engine_bytes *key = &w->ops[i].changes->key;
		ck_assert(key->length >= 1 && key->length <= 40);
		size_t k = 0;
		while (k < n && !same(*seen[k], *key))
			k++;
		if (k < n)
			continue;
		ck_assert_uint_lt(n, 300);
		seen[n++] = key;
		short_keys += key->length == 1;
		long_keys += key->length == 40;
		binary += memchr(key->data, 0, key->length) != NULL;
	}
	ck_assert_uint_eq(n, 300);
	ck_assert(short_keys && long_keys && binary && binary < 30);
	workload_destroy(w);
}
END_TEST

START_TEST(value_lengths_fill_their_range_to_both_ends)
{
	struct workload *w =
		make((struct workload_options){.ops = 3000, .value_min = 30, .value_max = 5000},
		     &poor_engine);
	uint32_t least = 0, most = 0, between = 0;
	for (uint32_t i = 0; i < w->n_ops; i++) {
		if (w->ops[i].type != OP_PUT)
			continue;
		uint32_t n = w->ops[i].changes->value_length;
		ck_assert(n >= 30 && n <= 5000);
		least += n == 30;
		most += n == 5000;
		between += n > 1000 && n < 4000;
	}
	ck_assert(least > 50 && most > 50 && between > 500);
	workload_destroy(w);
}
END_TEST

START_TEST(empty_values_come_only_when_asked_for)
{
	struct workload_options options = {.ops = 1000};
	for (options.empty = 0; options.empty <= 30; options.empty += 30) {
		struct workload *w = make(options, &poor_engine);
		uint32_t n = 0;
		for (uint32_t i = 0; i < w->n_ops; i++)
			n += w->ops[i].type == OP_PUT && w->ops[i].changes->value_length == 0;
		ck_assert(options.empty ? n > 150 && n < 350 : n == 0);
		workload_destroy(w);
	}
}
END_TEST

/* Whether the batch writes a key that an earlier change of it wrote. */
static bool repeats(const struct op *op)
{
	for (uint32_t i = 0; i < op->n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (same(op->changes[i].key, op->changes[k].key))
				return true;
	return false;
}

START_TEST(batches_are_of_all_sizes_with_deletes_and_repeated_keys)
{
	struct workload_options options = {
		.ops = 2000, .keys = 1000, .batch_min = 3, .batch_max = 9};
	struct workload *w = make(options, &memory_engine);
	uint32_t sizes[10] = {0}, deletes = 0, repeated = 0, writes = 0;
	for (uint32_t i = 0; i < w->n_ops; i++) {
		const struct op *op = &w->ops[i];
		for (uint32_t k = 0; k < op->n; k++) {
			if (!op->changes[k].del)
				ck_assert_uint_eq(op->changes[k].write, ++writes);
			deletes += op->type == OP_BATCH && op->changes[k].del;
		}
		if (op->type != OP_BATCH)
			continue;
		ck_assert(op->n >= 3 && op->n <= 9);
		sizes[op->n]++;
		repeated += repeats(op);
	}
	for (int n = 3; n <= 9; n++)
		ck_assert_uint_gt(sizes[n], 0);
	ck_assert(deletes > 0 && repeated > 0);
	ck_assert_uint_eq(writes, w->n_writes);
	workload_destroy(w);
}
END_TEST

/* ---- options ---- */

START_TEST(a_described_workload_parses_to_itself)
{
	struct workload_options a = {.ops = 77, .value_max = 512, .empty = 3}, b = {0};
	struct buf text = {0}, again = {0};
	struct err err = {0};
	ck_assert_int_eq(workload_parse_mix("put,delete=5,sync=1", &a, &err), 0);
	ck_assert_int_eq(workload_expand(&a, &err), 0);
	workload_describe(&a, &text);
	ck_assert_str_eq(buf_text(&text),
			 "ops=77 keys=12 mix=put=60,delete=5,sync=1 values=24-512 batches=2-40 "
			 "reuse=70 empty=3");
	ck_assert_int_eq(workload_parse(buf_text(&text), &b, &err), 0);
	ck_assert_int_eq(workload_expand(&b, &err), 0);
	workload_describe(&b, &again);
	ck_assert_str_eq(buf_text(&again), buf_text(&text));
	buf_finish(&text);
	buf_finish(&again);
}
END_TEST

START_TEST(a_default_bends_to_what_was_given)
{
	struct workload_options options = {0};
	struct err err = {0};
	ck_assert_int_eq(workload_parse("values=500 batches=1", &options, &err), 0);
	ck_assert_int_eq(workload_expand(&options, &err), 0);
	ck_assert(options.value_min == 500 && options.value_max == 500);
	ck_assert(options.batch_min == 1 && options.batch_max == 1);
	options = (struct workload_options){.value_min = 500, .batch_max = 1};
	ck_assert_int_eq(workload_expand(&options, &err), 0);
	ck_assert(options.value_max == 500 && options.batch_min == 1);
}
END_TEST

static const struct {
	const char *text, *error;
} refused_words[] = {
	{"ops=0", "ops=0: expected a number from 1 to 1000000"},
	{"keys=x", "keys=x: expected a number from 1 to 100000"},
	{"values=10-30", "values=10-30: expected a range such as 30-40 from 24 to 16777216"},
	{"values=40-30", "values=40-30: expected a range such as 30-40 from 24 to 16777216"},
	{"reuse=101", "reuse=101: expected a number from 1 to 100"},
	{"colour=red", "\"colour\" is no option of a workload: expected ops, keys, mix, values, "
		       "batches, reuse or empty"},
	{"mix=put,frob=3", "\"frob\" is no operation: expected put, delete, batch, sync, compact "
			   "or reopen"},
	{"mix=put=-1", "\"put=-1\": expected a weight from 0 to 1000000"},
};

START_TEST(a_wrong_word_is_named_and_changes_nothing)
{
	struct workload_options options = {.ops = 3}, before = options;
	struct err err = {0};
	char text[64];
	snprintf(text, sizeof text, "ops=9 %s", refused_words[_i].text);
	ck_assert_int_eq(workload_parse(text, &options, &err), ERR_USAGE);
	ck_assert_str_eq(err.text, refused_words[_i].error);
	ck_assert_mem_eq(&options, &before, sizeof options);
}
END_TEST

START_TEST(options_out_of_bounds_are_refused)
{
	const struct workload_options bad[] = {
		{.value_min = 23},    {.value_min = 50, .value_max = 40},
		{.batch_max = 10001}, {.reuse = 101},
		{.empty = 101},	      {.mixed = true},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct workload_options options = bad[i];
		struct err err = {0};
		ck_assert_msg(workload_expand(&options, &err) == ERR_USAGE, "row %zu", i);
	}
}
END_TEST

/* ---- running ---- */

static int run(const struct workload *w, struct workload_progress *progress,
	       struct engine_error *error)
{
	return workload_run(w, &memory_engine, NULL, "", progress, error);
}

START_TEST(a_run_leaves_what_the_operations_say)
{
	memory_reset();
	struct workload *w = make((struct workload_options){.ops = 400, .seed = 3}, &memory_engine);
	struct workload_progress progress = {0};
	struct engine_error error;
	ck_assert_int_eq(run(w, &progress, &error), 0);
	ck_assert(progress.begun == 400 && progress.ended == 400);
	ck_assert_uint_gt(memory.opens, 1);
	ck_assert_uint_eq(memory.opens, memory.closes);
	for (size_t i = 0; i < memory.n; i++) {
		uint32_t last = 0;
		for (uint32_t o = 0; o < w->n_ops; o++)
			for (uint32_t c = 0; c < w->ops[o].n; c++)
				if (same(w->ops[o].changes[c].key, memory.keys[i]))
					last = w->ops[o].changes[c].write;
		ck_assert_uint_gt(last, 0);
		ck_assert_uint_eq(value_parse(memory.keys[i], memory.values[i]), last);
	}
	workload_destroy(w);
	memory_reset();
}
END_TEST

START_TEST(each_operation_is_between_its_markers)
{
	memory_reset();
	struct workload *w = make((struct workload_options){.ops = 50}, &memory_engine);
	struct engine_error error;
	ck_assert_int_eq(run(w, NULL, &error), 0);
	ck_assert_uint_eq(n_marks, 100);
	for (uint32_t i = 0; i < w->n_ops; i++) {
		struct buf code = {0};
		op_encode(&w->ops[i], &code);
		const struct marked *begin = &marks[2 * i], *end = &marks[2 * i + 1];
		ck_assert(begin->kind == MARKER_OP_BEGIN && begin->number == i);
		ck_assert_uint_eq(begin->data.len, code.len);
		ck_assert_mem_eq(begin->data.data, code.data, code.len);
		ck_assert(end->kind == MARKER_OP_END && end->number == i && end->data.len == 0);
		buf_finish(&code);
	}
	workload_destroy(w);
	memory_reset();
}
END_TEST

START_TEST(a_failed_operation_is_marked_with_its_error_and_the_run_goes_on)
{
	for (int silent = 0; silent < 2; silent++) {
		memory_reset();
		memory.fail_put_at = 3;
		memory.silent = silent;
		struct workload_options options = {.ops = 9};
		ck_assert_int_eq(workload_parse_mix("put", &options, NULL), 0);
		struct workload *w = make(options, &memory_engine);
		struct engine_error error;
		ck_assert_int_eq(run(w, NULL, &error), 0);
		ck_assert_uint_eq(memory.calls[OP_PUT], 9);
		ck_assert_str_eq(buf_text(&marks[2 * 2 + 1].data),
				 silent ? "it failed without saying why" : "disk full");
		ck_assert_uint_eq(marks[2 * 3 + 1].data.len, 0);
		workload_destroy(w);
	}
	memory_reset();
}
END_TEST

START_TEST(a_failed_reopen_is_marked_and_ends_the_run)
{
	memory_reset();
	memory.fail_open_at = 2;
	struct workload_options options = {.ops = 5};
	ck_assert_int_eq(workload_parse_mix("reopen", &options, NULL), 0);
	struct workload *w = make(options, &memory_engine);
	struct engine_error error;
	ck_assert_int_eq(run(w, NULL, &error), -1);
	ck_assert_str_eq(error.text, "will not open");
	ck_assert_uint_eq(n_marks, 2);
	ck_assert_str_eq(buf_text(&marks[1].data), "will not open");
	ck_assert_uint_eq(memory.closes, 1);
	workload_destroy(w);
	memory_reset();
}
END_TEST

START_TEST(a_store_that_does_not_open_runs_nothing)
{
	memory_reset();
	memory.fail_open_at = 1;
	struct workload *w = make((struct workload_options){.ops = 5}, &memory_engine);
	struct engine_error error;
	ck_assert_int_eq(run(w, NULL, &error), -1);
	ck_assert_str_eq(error.text, "will not open");
	ck_assert_uint_eq(n_marks, 0);
	workload_destroy(w);
	memory_reset();
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
	TCase *cases = tcase_create("workload");
	tcase_add_test(cases, a_value_names_its_write_whatever_its_length);
	tcase_add_test(cases, a_value_with_any_bit_changed_names_nothing);
	tcase_add_test(cases, a_value_that_is_cut_torn_or_zeroed_names_nothing);
	tcase_add_test(cases, a_value_under_another_key_names_nothing);
	tcase_add_test(cases, the_same_options_give_the_same_workload_and_another_seed_another);
	tcase_add_test(cases, operations_that_an_engine_lacks_are_left_out);
	tcase_add_test(cases, a_mix_of_which_an_engine_has_nothing_is_refused);
	tcase_add_test(cases, all_operations_of_the_default_mix_occur_about_as_often_as_it_says);
	tcase_add_test(cases, keys_are_distinct_of_all_lengths_and_some_are_binary);
	tcase_add_test(cases, value_lengths_fill_their_range_to_both_ends);
	tcase_add_test(cases, empty_values_come_only_when_asked_for);
	tcase_add_test(cases, batches_are_of_all_sizes_with_deletes_and_repeated_keys);
	tcase_add_test(cases, a_described_workload_parses_to_itself);
	tcase_add_test(cases, a_default_bends_to_what_was_given);
	tcase_add_loop_test(cases, a_wrong_word_is_named_and_changes_nothing, 0,
			    ROWS(refused_words));
	tcase_add_test(cases, options_out_of_bounds_are_refused);
	tcase_add_test(cases, a_run_leaves_what_the_operations_say);
	tcase_add_test(cases, each_operation_is_between_its_markers);
	tcase_add_test(cases, a_failed_operation_is_marked_with_its_error_and_the_run_goes_on);
	tcase_add_test(cases, a_failed_reopen_is_marked_and_ends_the_run);
	tcase_add_test(cases, a_store_that_does_not_open_runs_nothing);
	Suite *suite = suite_create("workload");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
