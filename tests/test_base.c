#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "mem.h"
#include "prng.h"

START_TEST(err_gains_context_on_its_way_out)
{
	struct err err = {0};
	ck_assert_int_eq(err_set(&err, ERR_CORRUPT, "bad magic %d", 7), ERR_CORRUPT);
	ck_assert_int_eq(err_wrap(&err, "file %s", "x.db"), ERR_CORRUPT);
	ck_assert_str_eq(err.text, "file x.db: bad magic 7");
	ck_assert_int_eq(err_exit_code(err.code), 64);
	ck_assert_int_eq(err_exit_code(ERR_INTERNAL), 70);
}
END_TEST

START_TEST(reader_returns_what_buf_wrote_and_stops_at_the_end)
{
	struct buf b = {0};
	const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		buf_varint(&b, values[i]);
		buf_u64(&b, values[i]);
	}
	buf_blob(&b, "abc", 3);
	struct reader r;
	reader_init(&r, b.data, b.len);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		ck_assert_uint_eq(read_varint(&r), values[i]);
		ck_assert_uint_eq(read_u64(&r), values[i]);
	}
	size_t n;
	const char *p = read_blob(&r, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(p, "abc", 3);
	ck_assert(!r.bad);
	ck_assert_uint_eq(read_byte(&r), 0);
	ck_assert(r.bad);
	buf_finish(&b);
}
END_TEST

START_TEST(a_blob_longer_than_the_input_is_refused)
{
	const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'x'};
	struct reader r;
	reader_init(&r, bytes, sizeof bytes);
	size_t n = 1;
	ck_assert_ptr_null(read_blob(&r, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert(r.bad);
}
END_TEST

START_TEST(json_text_is_always_valid)
{
	struct buf b = {0};
	buf_json(&b, "a\"\\\n\x01\xc3\xa4\xff\xc3", 9);
	ck_assert_str_eq(buf_text(&b), "a\\\"\\\\\\n\\u0001\xc3\xa4\\ufffd\\ufffd");
	buf_finish(&b);
}
END_TEST

START_TEST(arena_memory_is_zeroed_and_aligned)
{
	struct arena *a = arena_create();
	for (size_t i = 1; i < 3000; i += 7) {
		unsigned char *p = arena_alloc(a, i * 97, 1);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		for (size_t k = 0; k < i * 97; k += 61)
			ck_assert_uint_eq(p[k], 0);
		memset(p, 0xff, i * 97);
	}
	arena_destroy(a);
}
END_TEST

START_TEST(prng_below_stays_below)
{
	struct prng p;
	prng_init(&p, 42);
	uint64_t first = prng_next(&p);
	prng_init(&p, 42);
	ck_assert_uint_eq(prng_next(&p), first);
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_lt(prng_below(&p, 7), 7);
	ck_assert_uint_eq(prng_below(&p, 0), 0);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("base");
	tcase_add_test(cases, err_gains_context_on_its_way_out);
	tcase_add_test(cases, reader_returns_what_buf_wrote_and_stops_at_the_end);
	tcase_add_test(cases, a_blob_longer_than_the_input_is_refused);
	tcase_add_test(cases, json_text_is_always_valid);
	tcase_add_test(cases, arena_memory_is_zeroed_and_aligned);
	tcase_add_test(cases, prng_below_stays_below);
	Suite *suite = suite_create("base");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
