/* The trace as bytes: what goes in comes out, and nothing else gets in. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "lib_traces.h"
#include "mem.h"
#include "trace_codec.h"
#include "trace_text.h"

/* The head, as trace_codec.h describes it. */
enum { AT_VERSION = 8, AT_RAW = 12, AT_PACKED = 20, AT_CHECK = 28, HEAD_BYTES = 36 };

/* ---- traces with everything in them ---- */

static void add_stacks(struct trace *t, struct prng *prng)
{
	uint32_t modules[] = {trace_module(t, "/usr/lib/libc.so.6", "c0ffee"),
			      trace_module(t, "/tmp/store", "")};
	for (size_t i = 0; i < t->n_events; i++) {
		struct frame frames[5];
		size_t n = prng_below(prng, 6);
		for (size_t k = 0; k < n; k++)
			frames[k] = (struct frame){modules[prng_below(prng, 2)],
						   0x1000 + prng_below(prng, 3)};
		t->events[i].stack = trace_stack(t, frames, n);
		t->events[i].thread = (uint16_t)prng_below(prng, 3);
		t->events[i].call = prng_below(prng, 2) ? "pwrite64" : "";
	}
}

static struct trace *random_trace(uint64_t seed, bool stacks)
{
	struct prng prng;
	struct trace *trace;
	struct err err;
	prng_init(&prng, seed);
	char *text = traces_random(&prng, 25, TRACES_ALL | TRACES_STORES);
	char *more = mem_printf("%sbegin 1 \"put\"\nfault w/x\nnote hello\nend 1 \"no\"\n"
				"tmpfile\n",
				text);
	ck_assert_msg(trace_parse(more, "t", &trace, &err) == 0, "%s", err.text);
	for (size_t i = 0; i < trace->n_events; i++)
		if (!(trace->events[i].flags & EVENT_STORE)) /* there it says what is of one look */
			trace->events[i].entered -= (uint32_t)prng_below(&prng, i + 1);
	if (stacks)
		add_stacks(trace, &prng);
	free(text);
	free(more);
	return trace;
}

/* ---- equality, field by field ---- */

static void same_bytes(const void *a, const void *b, uint64_t n)
{
	if (n)
		ck_assert(memcmp(a, b, n) == 0);
}

static void same_event(const struct event *a, const struct event *b)
{
	ck_assert_uint_eq(a->kind, b->kind);
	ck_assert_uint_eq(a->flags, b->flags);
	ck_assert_uint_eq(a->thread, b->thread);
	ck_assert_uint_eq(a->entered, b->entered);
	ck_assert_uint_eq(a->ino, b->ino);
	ck_assert_uint_eq(a->dir, b->dir);
	ck_assert_uint_eq(a->dir2, b->dir2);
	ck_assert_uint_eq(a->stack, b->stack);
	ck_assert_str_eq(a->call, b->call);
	ck_assert_str_eq(a->name, b->name);
	ck_assert_str_eq(a->name2, b->name2);
	ck_assert_uint_eq(a->offset, b->offset);
	ck_assert_uint_eq(a->length, b->length);
	ck_assert_uint_eq(a->data_length, b->data_length);
	same_bytes(a->data, b->data, a->data_length);
}

static void same_start(const struct trace *a, const struct trace *b)
{
	ck_assert_uint_eq(a->n_inodes, b->n_inodes);
	ck_assert_uint_eq(a->n_start_inodes, b->n_start_inodes);
	for (size_t i = 0; i < a->n_start_inodes; i++) {
		ck_assert_uint_eq(a->start_inodes[i].ino, b->start_inodes[i].ino);
		ck_assert_uint_eq(a->start_inodes[i].type, b->start_inodes[i].type);
		ck_assert_uint_eq(a->start_inodes[i].size, b->start_inodes[i].size);
		same_bytes(a->start_inodes[i].data, b->start_inodes[i].data,
			   a->start_inodes[i].size);
	}
	ck_assert_uint_eq(a->n_start_entries, b->n_start_entries);
	for (size_t i = 0; i < a->n_start_entries; i++) {
		ck_assert_uint_eq(a->start_entries[i].dir, b->start_entries[i].dir);
		ck_assert_uint_eq(a->start_entries[i].ino, b->start_entries[i].ino);
		ck_assert_str_eq(a->start_entries[i].name, b->start_entries[i].name);
	}
}

static void same_trace(const struct trace *a, const struct trace *b)
{
	same_start(a, b);
	ck_assert_uint_eq(a->n_events, b->n_events);
	for (size_t i = 0; i < a->n_events; i++)
		same_event(&a->events[i], &b->events[i]);
	ck_assert_uint_eq(a->n_modules, b->n_modules);
	for (size_t i = 0; i < a->n_modules; i++) {
		ck_assert_str_eq(a->modules[i].path, b->modules[i].path);
		ck_assert_str_eq(a->modules[i].build_id, b->modules[i].build_id);
	}
	ck_assert_uint_eq(a->n_stacks, b->n_stacks);
	for (size_t i = 0; i < a->n_stacks; i++) {
		ck_assert_uint_eq(a->stacks[i].n, b->stacks[i].n);
		for (uint32_t k = 0; k < a->stacks[i].n; k++) {
			ck_assert_uint_eq(a->stacks[i].frames[k].module,
					  b->stacks[i].frames[k].module);
			ck_assert_uint_eq(a->stacks[i].frames[k].offset,
					  b->stacks[i].frames[k].offset);
		}
	}
}

static struct buf encoded(const struct trace *trace)
{
	struct buf out = {0};
	struct err err;
	ck_assert_msg(trace_encode(trace, &out, &err) == 0, "%s", err.text);
	return out;
}

START_TEST(what_goes_in_comes_out)
{
	for (uint64_t seed = 0; seed < traces_rounds(60); seed++) {
		struct trace *a = random_trace(seed, true), *b;
		struct buf first = encoded(a), second;
		struct err err;
		ck_assert_msg(trace_decode(first.data, first.len, &b, &err) == 0, "%s", err.text);
		ck_assert(b->sealed);
		same_trace(a, b);
		second = encoded(b);
		ck_assert_uint_eq(first.len, second.len);
		same_bytes(first.data, second.data, first.len);
		trace_destroy(a);
		trace_destroy(b);
		buf_finish(&first);
		buf_finish(&second);
	}
}
END_TEST

START_TEST(an_empty_trace_is_a_trace)
{
	struct trace *a = trace_create(), *b;
	struct err err;
	struct buf bytes = encoded(a);
	ck_assert_int_eq(trace_decode(bytes.data, bytes.len, &b, &err), 0);
	same_trace(a, b);
	trace_destroy(a);
	trace_destroy(b);
	buf_finish(&bytes);
}
END_TEST

START_TEST(encoding_appends)
{
	struct trace *a = random_trace(1, true);
	struct buf alone = encoded(a), behind = {0};
	struct err err;
	buf_string(&behind, "before");
	ck_assert_int_eq(trace_encode(a, &behind, &err), 0);
	ck_assert_uint_eq(behind.len, alone.len + 6);
	same_bytes(behind.data + 6, alone.data, alone.len);
	trace_destroy(a);
	buf_finish(&alone);
	buf_finish(&behind);
}
END_TEST

START_TEST(a_decoded_trace_lowers_alike)
{
	struct trace *a = random_trace(5, false), *b;
	struct ops *x, *y;
	struct err err;
	struct buf bytes = encoded(a);
	ck_assert_int_eq(trace_decode(bytes.data, bytes.len, &b, &err), 0);
	trace_seal(a);
	ck_assert_int_eq(ops_lower(a, &x, &err), 0);
	ck_assert_int_eq(ops_lower(b, &y, &err), 0);
	ck_assert_uint_eq(x->n_objects, y->n_objects);
	ck_assert_uint_eq(x->n_micros, y->n_micros);
	trace_destroy(a);
	trace_destroy(b);
	buf_finish(&bytes);
}
END_TEST

/* ---- refusals ---- */

/* Decodes a copy of exactly that size, so that a read past it is noticed. */
static int decode(const char *bytes, size_t n, struct err *err)
{
	struct trace *trace;
	char *copy = malloc(n ? n : 1);
	if (n)
		memcpy(copy, bytes, n);
	*err = (struct err){0};
	int rc = trace_decode(copy, n, &trace, err);
	ck_assert((rc == 0) == (trace != NULL));
	ck_assert(rc == 0 || err->text[0]);
	trace_destroy(trace);
	free(copy);
	return rc;
}

START_TEST(every_truncation_is_refused)
{
	struct trace *a = random_trace(2, true);
	struct buf bytes = encoded(a);
	struct err err;
	for (size_t n = 0; n < bytes.len; n++) {
		ck_assert_int_eq(decode(bytes.data, n, &err), ERR_CORRUPT);
		ck_assert_msg(strstr(err.text, n < 8 ? "not a trace" : "truncated") != NULL,
			      "%zu bytes: %s", n, err.text);
	}
	trace_destroy(a);
	buf_finish(&bytes);
}
END_TEST

START_TEST(every_changed_byte_is_refused)
{
	struct trace *a = random_trace(3, true);
	struct buf bytes = encoded(a);
	struct err err;
	for (size_t i = 0; i < bytes.len; i++)
		for (int flip = 1; flip < 256; flip <<= 1) {
			bytes.data[i] ^= (char)flip;
			int rc = decode(bytes.data, bytes.len, &err);
			ck_assert_int_eq(rc,
					 i >= AT_VERSION && i < AT_RAW ? ERR_VERSION : ERR_CORRUPT);
			bytes.data[i] ^= (char)flip;
		}
	ck_assert_int_eq(decode(bytes.data, bytes.len, &err), 0);
	trace_destroy(a);
	buf_finish(&bytes);
}
END_TEST

START_TEST(each_refusal_says_what_is_wrong)
{
	struct trace *a = random_trace(4, true);
	struct buf bytes = encoded(a);
	struct err err;
	buf_byte(&bytes, 'x');
	decode(bytes.data, bytes.len, &err);
	ck_assert_ptr_nonnull(strstr(err.text, "bytes behind its end"));
	bytes.len--;
	bytes.data[bytes.len - 1] ^= 1;
	decode(bytes.data, bytes.len, &err);
	ck_assert_str_eq(err.text, "trace has been altered: its checksum differs");
	bytes.data[AT_VERSION] = 9;
	decode(bytes.data, bytes.len, &err);
	ck_assert_str_eq(err.text, "trace of version 9, this powercut reads 1");
	static const char database[] = "SQLite format 3\0and so on, for some more bytes";
	decode(database, sizeof database, &err);
	ck_assert_str_eq(err.text, "not a trace: it does not begin with \"PCTRACE\"");
	trace_destroy(a);
	buf_finish(&bytes);
}
END_TEST

/* ---- nonsense with a correct checksum ---- */

static void put_u64(char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (char)(v >> (8 * i));
}

/* A whole file around a payload: what trace_encode does. */
static struct buf wrap(const char *payload, size_t n, uint64_t claimed)
{
	struct buf out = {0};
	size_t room = ZSTD_compressBound(n);
	char *packed = mem_alloc(room, 1);
	size_t length = ZSTD_compress(packed, room, payload, n, 1);
	buf_append(&out, "PCTRACE", 8);
	buf_u32(&out, TRACE_VERSION);
	buf_u64(&out, claimed);
	buf_u64(&out, length);
	buf_u64(&out, 0);
	buf_append(&out, packed, length);
	put_u64(out.data + AT_CHECK, XXH3_64bits_withSeed(out.data + HEAD_BYTES, length,
							  XXH3_64bits(out.data, AT_CHECK)));
	free(packed);
	return out;
}

static struct buf payload_of(const struct trace *trace)
{
	struct buf bytes = encoded(trace), raw = {0};
	struct reader r;
	reader_init(&r, bytes.data + AT_RAW, 8);
	size_t n = read_u64(&r);
	char *room = mem_alloc(n, 1);
	ck_assert_uint_eq(ZSTD_decompress(room, n, bytes.data + HEAD_BYTES, bytes.len - HEAD_BYTES),
			  n);
	buf_append(&raw, room, n);
	free(room);
	buf_finish(&bytes);
	return raw;
}

/* Decodes; what is accepted must be good for everything that one does with a
 * trace: be printed, hashed, encoded, and lowered or refused. */
static bool use(const struct buf *bytes)
{
	struct trace *trace;
	struct ops *ops;
	struct err err;
	struct buf out = {0};
	if (trace_decode(bytes->data, bytes->len, &trace, &err)) {
		ck_assert(err.code == ERR_CORRUPT && err.text[0]);
		return false;
	}
	trace_print(trace, &out);
	trace_identity(trace);
	trace_inconclusive(trace);
	ck_assert_int_eq(trace_encode(trace, &out, &err), 0);
	if (ops_lower(trace, &ops, &err) == 0) {
		struct image *image = image_create(ops);
		struct state state = {.point = ops->n_steps, .tear.object = NONE};
		image_goto(image, &state);
		image_digest(image);
		image_destroy(image);
	} else {
		ck_assert(err.code == ERR_CORRUPT && err.text[0]);
	}
	buf_finish(&out);
	trace_destroy(trace);
	return true;
}

static void mutate(struct buf *raw, struct prng *prng)
{
	for (uint64_t n = 1 + prng_below(prng, 4); n; n--) {
		size_t at = prng_below(prng, raw->len);
		switch (prng_below(prng, 5)) {
		case 0:
			raw->data[at] ^= (char)(1 << prng_below(prng, 8));
			break;
		case 1:
			raw->data[at] = (char)prng_next(prng);
			break;
		case 2:
			raw->data[at] = (char)0xff;
			break;
		case 3:
			raw->len = at + 1;
			break;
		default:
			memmove(raw->data + at, raw->data + at + 1, raw->len - at - 1);
			raw->len -= raw->len > 1;
		}
	}
}

START_TEST(nonsense_with_a_correct_checksum_does_no_harm)
{
	unsigned accepted = 0, refused = 0;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct trace *trace = random_trace(seed, true);
		struct buf good = payload_of(trace);
		struct prng prng;
		prng_init(&prng, seed);
		for (unsigned i = 0; i < traces_rounds(250); i++) {
			struct buf raw = {0};
			buf_append(&raw, good.data, good.len);
			mutate(&raw, &prng);
			struct buf bytes = wrap(raw.data, raw.len, raw.len);
			if (use(&bytes))
				accepted++;
			else
				refused++;
			buf_finish(&bytes);
			buf_finish(&raw);
		}
		buf_finish(&good);
		trace_destroy(trace);
	}
	/* Else it was not tried. */
	ck_assert_uint_gt(accepted, 0);
	ck_assert_uint_gt(refused, 0);
}
END_TEST

START_TEST(a_false_length_is_refused_before_memory_is_asked_for)
{
	struct trace *trace = random_trace(6, false);
	struct buf raw = payload_of(trace);
	uint64_t claims[] = {0, raw.len - 1, raw.len + 1, UINT64_MAX, (uint64_t)1 << 62};
	struct err err;
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		struct buf bytes = wrap(raw.data, raw.len, claims[i]);
		ck_assert_int_eq(decode(bytes.data, bytes.len, &err), ERR_CORRUPT);
		ck_assert_str_eq(err.text, "trace has another length than its head says");
		buf_finish(&bytes);
	}
	buf_finish(&raw);
	trace_destroy(trace);
}
END_TEST

START_TEST(a_name_with_a_zero_byte_is_refused)
{
	struct trace *trace;
	struct err err;
	ck_assert_int_eq(trace_parse("creat abcdefgh", "t", &trace, &err), 0);
	struct buf raw = payload_of(trace);
	char *name = memmem(raw.data, raw.len, "abcdefgh", 8);
	ck_assert_ptr_nonnull(name);
	name[3] = '\0';
	struct buf bytes = wrap(raw.data, raw.len, raw.len);
	ck_assert_int_eq(decode(bytes.data, bytes.len, &err), ERR_CORRUPT);
	ck_assert_str_eq(err.text, "trace is not well-formed");
	buf_finish(&bytes);
	buf_finish(&raw);
	trace_destroy(trace);
}
END_TEST

/* ---- identity ---- */

START_TEST(identity_does_not_see_stacks_threads_and_call_names)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct trace *plain = random_trace(seed, false), *full = random_trace(seed, true);
		ck_assert_uint_eq(trace_identity(plain), trace_identity(full));
		trace_destroy(plain);
		trace_destroy(full);
	}
}
END_TEST

START_TEST(identity_survives_encoding)
{
	struct trace *a = random_trace(8, true), *b;
	struct buf bytes = encoded(a);
	struct err err;
	ck_assert_int_eq(trace_decode(bytes.data, bytes.len, &b, &err), 0);
	ck_assert_uint_eq(trace_identity(a), trace_identity(b));
	trace_destroy(a);
	trace_destroy(b);
	buf_finish(&bytes);
}
END_TEST

static uint64_t identity_of(const char *text)
{
	struct trace *trace;
	struct err err;
	ck_assert_int_eq(trace_parse(text, "t", &trace, &err), 0);
	uint64_t identity = trace_identity(trace);
	trace_destroy(trace);
	return identity;
}

START_TEST(identity_sees_everything_else)
{
	static const char *const different[] = {
		"creat f",
		"creat g",
		"mkdir f",
		"start-file f",
		"start-file f a*1",
		"start-file f a*2",
		"start-file g a*1",
		"start-dir f",
		"creat f\nfsync f",
		"creat f\nfdatasync f",
		"creat f\nwrite f 0 a*1",
		"creat f\nwrite f 1 a*1",
		"creat f\nwrite f 0 b*1",
		"creat f\ndsync-write f 0 a*1",
		"creat f\ntruncate f 1",
		"creat f\ntruncate f 2",
		"creat f\nzero f 0 1",
		"creat f\nzero f 0 1 keep",
		"creat f\nfallocate f 0 1",
		"begin 1",
		"begin 2",
		"begin 1 \"x\"",
		"end 1",
		"",
	};
	for (size_t i = 0; i < sizeof different / sizeof *different; i++)
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(identity_of(different[i]) != identity_of(different[k]),
				      "\"%s\" and \"%s\"", different[i], different[k]);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("codec");
	tcase_add_test(cases, what_goes_in_comes_out);
	tcase_add_test(cases, an_empty_trace_is_a_trace);
	tcase_add_test(cases, encoding_appends);
	tcase_add_test(cases, a_decoded_trace_lowers_alike);
	tcase_add_test(cases, every_truncation_is_refused);
	tcase_add_test(cases, every_changed_byte_is_refused);
	tcase_add_test(cases, each_refusal_says_what_is_wrong);
	tcase_add_test(cases, nonsense_with_a_correct_checksum_does_no_harm);
	tcase_add_test(cases, a_false_length_is_refused_before_memory_is_asked_for);
	tcase_add_test(cases, a_name_with_a_zero_byte_is_refused);
	tcase_add_test(cases, identity_does_not_see_stacks_threads_and_call_names);
	tcase_add_test(cases, identity_survives_encoding);
	tcase_add_test(cases, identity_sees_everything_else);
	tcase_set_timeout(cases, 300);
	Suite *suite = suite_create("trace_codec");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
