/* Lowering against a page cache in the plainest form: each file a row of bytes,
 * each call done to it at once. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib_traces.h"
#include "mem.h"
#include "trace_text.h"

/* ---- a page cache ---- */

enum { CACHE_BYTES = 1024 * 1024 };

struct cached {
	uint8_t bytes[CACHE_BYTES];
	uint64_t size;
};

struct cache {
	struct cached *files; /* by inode */
};

static void cache_init(struct cache *cache, const struct trace *trace)
{
	cache->files = mem_alloc((size_t)trace->n_inodes + 1, sizeof *cache->files);
	for (size_t i = 0; i < trace->n_start_inodes; i++) {
		const struct start_inode *s = &trace->start_inodes[i];
		if (s->type != INODE_FILE)
			continue;
		memcpy(cache->files[s->ino].bytes, s->data, s->size);
		cache->files[s->ino].size = s->size;
	}
}

static void cache_do(struct cache *cache, const struct event *e)
{
	struct cached *f = &cache->files[e->ino];
	uint64_t end = e->offset + e->length;
	ck_assert_uint_lt(end, CACHE_BYTES);
	switch (e->kind) {
	case EVENT_WRITE:
		memcpy(f->bytes + e->offset, e->data, e->length);
		if (e->length && end > f->size)
			f->size = end;
		break;
	case EVENT_TRUNCATE:
		f->size = e->length;
		memset(f->bytes + f->size, 0, CACHE_BYTES - f->size);
		break;
	case EVENT_ZERO:
	case EVENT_FALLOCATE:
		if (e->kind == EVENT_ZERO)
			memset(f->bytes + e->offset, 0, e->length);
		if (!(e->flags & EVENT_KEEP_SIZE) && end > f->size)
			f->size = end;
		break;
	default:
		break;
	}
}

/* What the micro-ops of the present event made: as the cache has it now. */
static void check_micro(const struct ops *ops, const struct cache *cache, const struct micro *m,
			const char *text)
{
	const struct object *o = &ops->objects[m->object];
	uint8_t block[BLOCK_BYTES];
	if (o->kind != OBJECT_BLOCK)
		return;
	ops_content(ops, m->object, m->version, block);
	ck_assert_msg(memcmp(block, cache->files[o->ino].bytes + (size_t)o->block * BLOCK_BYTES,
			     BLOCK_BYTES) == 0,
		      "block %u of inode %u, version %u, event %u of\n%s", o->block, o->ino,
		      m->version, m->event, text);
}

static void check_newest_size(const struct ops *ops, const struct cache *cache, uint32_t step,
			      const char *text)
{
	for (uint32_t i = 0; i < ops->n_objects; i++)
		if (ops->objects[i].kind == OBJECT_SIZE)
			ck_assert_msg(ops_size(ops, i, ops_newest(ops, i, step)) ==
					      cache->files[ops->objects[i].ino].size,
				      "size of inode %u before step %u of\n%s", ops->objects[i].ino,
				      step, text);
}

static void compare_with_cache(const struct traces_lowered *l, const char *text)
{
	struct cache cache;
	uint32_t step = 0;
	cache_init(&cache, l->trace);
	for (size_t i = 0; i < l->trace->n_events; i++) {
		cache_do(&cache, &l->trace->events[i]);
		for (; step < l->ops->n_steps && l->ops->steps[step].event == i; step++)
			if (l->ops->steps[step].kind == STEP_MICRO)
				check_micro(l->ops, &cache,
					    &l->ops->micros[l->ops->steps[step].micro], text);
		check_newest_size(l->ops, &cache, step, text);
	}
	free(cache.files);
}

START_TEST(every_version_of_a_block_is_what_the_page_cache_held)
{
	for (unsigned i = 0; i < traces_rounds(300); i++) {
		struct prng prng;
		prng_init(&prng, i + 1000);
		char *text = traces_random(&prng, 40,
					   i % 2 ? TRACES_ALL : TRACES_WRITES | TRACES_RANGES);
		struct traces_lowered l = traces_lower(text);
		compare_with_cache(&l, text);
		traces_release(&l);
		free(text);
	}
}
END_TEST

START_TEST(a_hundred_patches_of_one_block_are_all_there)
{
	struct buf text = {0};
	buf_string(&text, "start-file f x*4096\n");
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "write f %d %c*7\n", i * 37, 'a' + i % 26);
	struct traces_lowered l = traces_lower(buf_text(&text));
	compare_with_cache(&l, buf_text(&text));
	ck_assert_uint_eq(l.ops->objects[ops_block_object(l.ops, 2, 0)].n, 100);
	traces_release(&l);
	buf_finish(&text);
}
END_TEST

/* ---- which micro-ops a call becomes ---- */

/* "e" entry, "s" size, "d" data; then M metadata, G growth, A allocates, R
 * replaces; "|" between events. */
static char *micros_of(const struct ops *ops)
{
	struct buf out = {0};
	uint32_t event = 0;
	for (uint32_t i = 0; i < ops->n_micros; i++) {
		const struct micro *m = &ops->micros[i];
		if (i && m->event != event)
			buf_byte(&out, '|');
		event = m->event;
		buf_byte(&out, (uint8_t) "esd"[ops->objects[m->object].kind]);
		for (int k = 0; k < 4; k++)
			if (m->flags >> k & 1)
				buf_byte(&out, (uint8_t) "MGAR"[k]);
	}
	buf_text(&out);
	return out.data;
}

static const struct {
	const char *calls, *micros;
} lowerings[] = {
	{"creat f", "eM"},
	{"mkdir d", "eM"},
	{"symlink s t", "eM"},
	{"start-file f\nlink f g", "eM"},
	{"start-file f\nunlink f", "eM"},
	{"start-dir d\nrmdir d", "eM"},
	{"start-file f\nrename f g", "eMeM"},
	{"start-file f\nrename f f", ""},
	{"start-file f\nstart-file g\nrename f g", "eMReM"},
	{"start-dir f\nstart-dir g\nrename f g", "eMeM"},
	{"start-file f\nstart-link g f\nrename f g", ""},
	{"start-file f\nstart-file g\nexchange f g", "eMeM"},
	/* One block at a time, the data before the size. */
	{"start-file f\nwrite f 0 a*9000", "dAsGdAsGdAsG"},
	{"start-file f x*9000\nwrite f 100 a*9", "d"},
	{"start-file f x*100\nappend f a*10", "dsG"},
	{"start-file f\nwrite f 8192 a*1\nwrite f 0 b*1", "dAsG|dA"},
	{"start-file f\nwrite f 0 a*0", ""},
	/* Blocks that were cut off or punched are allocated anew; part of one is not. */
	{"start-file f x*8192\ntruncate f 0\nwrite f 0 a*1", "sM|dAsG"},
	{"start-file f x*8192\ntruncate f 100\nwrite f 0 a*1", "sMd|d"},
	{"start-file f x*8192\nzero f 0 4096\nwrite f 0 a*1\nwrite f 4096 a*1", "sM|dA|d"},
	{"start-file f x*8192\nzero f 0 4095\nwrite f 0 a*1", "dsM|d"},
	{"start-file f x*10\ntruncate f 10", ""},
	{"start-file f x*10\nfallocate f 0 5", "sM"},
	{"start-file f\nhint f\nopen f\nfsync f\nfault x\nbegin 1\nend 1\nnote hello", ""},
};

START_TEST(a_call_becomes_these_micro_ops)
{
	struct traces_lowered l = traces_lower(lowerings[_i].calls);
	char *micros = micros_of(l.ops);
	ck_assert_msg(strcmp(micros, lowerings[_i].micros) == 0, "%s: %s, expected %s",
		      lowerings[_i].calls, micros, lowerings[_i].micros);
	free(micros);
	traces_release(&l);
}
END_TEST

START_TEST(sizes_grow_at_block_boundaries)
{
	struct traces_lowered l =
		traces_lower("start-file f x*100\nwrite f 50 a*9000\ntruncate f 7\n"
			     "fallocate f 10 90 keep\nfallocate f 10 90");
	static const uint64_t sizes[] = {100, 4096, 8192, 9050, 7, 7, 100};
	uint32_t size = l.ops->inodes[2].size_object;
	for (uint32_t v = 0; v < sizeof sizes / sizeof *sizes; v++)
		ck_assert_uint_eq(ops_size(l.ops, size, v), sizes[v]);
	traces_release(&l);
}
END_TEST

START_TEST(a_rename_ties_its_entries_together)
{
	struct traces_lowered l = traces_lower("start-file f\nstart-file g\nrename f g");
	const struct micro *a = &l.ops->micros[0], *b = &l.ops->micros[1];
	ck_assert_uint_eq(a->partner, 1);
	ck_assert_uint_eq(b->partner, 0);
	ck_assert_uint_eq(a->ino, 2);
	ck_assert_uint_eq(a->old, 3);
	ck_assert_uint_eq(b->ino, 0);
	ck_assert_uint_eq(b->old, 2);
	traces_release(&l);
}
END_TEST

START_TEST(namings_are_in_program_order)
{
	struct traces_lowered l = traces_lower("creat f\nlink f g\nrename f h\nunlink g");
	const struct inode *inode = &l.ops->inodes[2];
	ck_assert_uint_eq(inode->n_namings, 3);
	const char *names[] = {"f", "g", "h"};
	for (uint32_t i = 0; i < 3; i++) {
		const struct naming *n = &l.ops->namings[inode->namings + i];
		ck_assert_str_eq(l.ops->objects[n->object].name, names[i]);
		ck_assert_uint_eq(ops_entry(l.ops, n->object, n->version), 2);
	}
	traces_release(&l);
}
END_TEST

START_TEST(steps_are_micro_ops_syncs_and_marks)
{
	struct traces_lowered l = traces_lower("begin 1\ncreat f\nappend f a*1\nfault w\nfsync "
					       "f\ndsync-write f 0 b*1\nsync\nend 1");
	static const uint8_t kinds[] = {STEP_BEGIN, STEP_MICRO, STEP_MICRO, STEP_MICRO, STEP_FAULT,
					STEP_SYNC,  STEP_MICRO, STEP_SYNC,  STEP_SYNC,	STEP_END};
	ck_assert_uint_eq(l.ops->n_steps, sizeof kinds);
	for (uint32_t i = 0; i < l.ops->n_steps; i++)
		ck_assert_uint_eq(l.ops->steps[i].kind, kinds[i]);
	traces_release(&l);
}
END_TEST

START_TEST(newest_is_what_was_issued_before_the_point)
{
	struct traces_lowered l = traces_lower("creat f\nappend f a*1\nfsync f\nappend f b*1");
	uint32_t size = l.ops->inodes[2].size_object;
	static const uint32_t expected[] = {0, 0, 0, 1, 1, 1, 2};
	for (uint32_t point = 0; point <= l.ops->n_steps; point++)
		ck_assert_uint_eq(ops_newest(l.ops, size, point), expected[point]);
	traces_release(&l);
}
END_TEST

/* ---- masks, digests, sectors ---- */

START_TEST(masks_hide_what_is_older_than_they_are)
{
	struct traces_lowered l = traces_lower(
		"start-file f o*8192\nzero f 0 4096\nwrite f 4096 n*10\ntruncate f 4200");
	uint32_t first, end, a = ops_block_object(l.ops, 2, 0), b = ops_block_object(l.ops, 2, 1);
	ops_masks(l.ops, a, 0, 0, &first, &end);
	ck_assert_uint_eq(end - first, 0);
	ops_masks(l.ops, a, 0, 1, &first, &end);
	ck_assert_uint_eq(end - first, 1);
	ops_masks(l.ops, a, 0, 2, &first, &end);
	ck_assert_uint_eq(end - first, 2);
	ops_masks(l.ops, b, 1, 1, &first, &end);
	ck_assert_uint_eq(end - first, 0);
	ops_masks(l.ops, b, 1, 2, &first, &end);
	ck_assert_uint_eq(end - first, 1);
	ck_assert(ops_mask_block(l.ops, b, first, end, NULL));
	ck_assert(!ops_mask_block(l.ops, a, first, end, NULL));
	traces_release(&l);
}
END_TEST

START_TEST(sectors_differ_where_bytes_do)
{
	struct traces_lowered l = traces_lower("start-file f o*4096\nwrite f 600 n*10\n"
					       "write f 4095 n*1\nwrite f 600 o*10");
	uint32_t block = ops_block_object(l.ops, 2, 0);
	ck_assert_uint_eq(ops_sectors_differing(l.ops, block, 1, 0), 0x02);
	ck_assert_uint_eq(ops_sectors_differing(l.ops, block, 2, 0), 0x82);
	ck_assert_uint_eq(ops_sectors_differing(l.ops, block, 2, 1), 0x80);
	ck_assert_uint_eq(ops_sectors_differing(l.ops, block, 3, 0), 0x80);
	traces_release(&l);
}
END_TEST

START_TEST(what_a_torn_write_leaves_is_never_what_was_cut_off)
{
	struct traces_lowered l =
		traces_lower("start-file f o*1024\ntruncate f 0\nwrite f 0 o*512");
	uint32_t block = ops_block_object(l.ops, 2, 0);
	uint8_t bytes[BLOCK_BYTES], zeros[BLOCK_BYTES] = {0};
	ops_content_under(l.ops, block, 0, 1, bytes);
	ck_assert_mem_eq(bytes, zeros, sizeof bytes);
	ck_assert_uint_eq(ops_sectors_differing(l.ops, block, 1, 0), 0x01);
	traces_release(&l);
}
END_TEST

START_TEST(a_block_of_zeros_has_the_digest_zero)
{
	uint8_t bytes[BLOCK_BYTES] = {0};
	uint64_t lo, hi;
	ops_digest(bytes, &lo, &hi);
	ck_assert(lo == 0 && hi == 0);
	bytes[BLOCK_BYTES - 1] = 1;
	ops_digest(bytes, &lo, &hi);
	ck_assert(lo && hi);
}
END_TEST

/* ---- traces that contradict themselves ---- */

/* Each spoils one event of a good trace. */
static void unlink_nothing(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_UNLINK);
	e->dir = TRACE_ROOT;
	e->name = trace_intern(t, "nothing");
}
static void unlink_directory(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_UNLINK);
	e->dir = TRACE_ROOT;
	e->name = trace_intern(t, "d");
}
static void make_again(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_CREATE);
	e->dir = TRACE_ROOT;
	e->ino = trace_new_inode(t);
	e->name = trace_intern(t, "f");
}
static void make_same_inode(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_CREATE);
	e->dir = TRACE_ROOT;
	e->ino = 2;
	e->name = trace_intern(t, "g");
}
static void make_root(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_MKDIR);
	e->dir = TRACE_ROOT;
	e->ino = TRACE_ROOT;
	e->name = trace_intern(t, "g");
}
static void make_outside(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_CREATE);
	e->dir = TRACE_ROOT;
	e->ino = trace_new_inode(t);
	e->name = trace_intern(t, "../g");
}
static void make_dots(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_CREATE);
	e->dir = TRACE_ROOT;
	e->ino = trace_new_inode(t);
	e->name = trace_intern(t, "..");
}
static void make_in_file(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_CREATE);
	e->dir = 2;
	e->ino = trace_new_inode(t);
	e->name = trace_intern(t, "g");
}
static void link_directory(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_LINK);
	e->dir = TRACE_ROOT;
	e->ino = 3;
	e->name = trace_intern(t, "g");
}
static void rename_nothing(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_RENAME);
	e->dir = e->dir2 = TRACE_ROOT;
	e->name = trace_intern(t, "nothing");
	e->name2 = trace_intern(t, "g");
}
static void write_to_directory(struct trace *t)
{
	trace_append(t, EVENT_WRITE)->ino = 3;
}
static void write_to_unknown(struct trace *t)
{
	trace_append(t, EVENT_WRITE)->ino = 99;
}
static void write_past_everything(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_WRITE);
	e->ino = 2;
	e->offset = UINT64_MAX - 1;
	e->length = e->data_length = 5;
	e->data = trace_bytes(t, "12345", 5);
}
static void range_past_everything(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_ZERO);
	e->ino = 2;
	e->offset = UINT64_MAX;
	e->length = 5;
}
static struct event *stored(struct trace *t, uint64_t offset)
{
	struct event *e = trace_append(t, EVENT_WRITE);
	e->ino = 2;
	e->flags = EVENT_STORE;
	e->offset = offset;
	e->length = e->data_length = 1;
	e->data = trace_bytes(t, "x", 1);
	return e;
}
static void store_past_the_end(struct trace *t)
{
	stored(t, 1);
}
static void store_twice(struct trace *t)
{
	stored(t, 0);
	stored(t, 0)->entered = 1;
}
static void msync_past_everything(struct trace *t)
{
	struct event *e = trace_append(t, EVENT_MSYNC);
	e->ino = 2;
	e->offset = UINT64_MAX;
	e->length = 5;
}
static void msync_directory(struct trace *t)
{
	trace_append(t, EVENT_MSYNC)->ino = 3;
}
static void sync_unknown(struct trace *t)
{
	trace_append(t, EVENT_FSYNC)->ino = 0;
}

static const struct {
	void (*spoil)(struct trace *t);
	const char *says;
} contradictions[] = {
	{unlink_nothing, "trace event 1 (unlink): \"nothing\" does not exist"},
	{unlink_directory, "trace event 1 (unlink): \"d\" is of another type"},
	{make_again, "trace event 1 (creat): \"f\" exists already"},
	{make_same_inode, "trace event 1 (creat): inode 2 is made twice"},
	{make_root, "trace event 1 (mkdir): inode 1 is made twice"},
	{make_outside, "trace event 1 (creat): \"../g\" is no name"},
	{make_dots, "trace event 1 (creat): \"..\" is no name"},
	{make_in_file, "trace event 1 (creat): inode 2 is not a directory"},
	{link_directory, "trace event 1 (link): inode 3 is a directory, which has one name"},
	{rename_nothing, "trace event 1 (rename): \"nothing\" does not exist"},
	{write_to_directory, "trace event 1 (write): inode 3 is not a file"},
	{write_to_unknown, "trace event 1 (write): inode 99 does not exist"},
	{write_past_everything,
	 "trace event 1 (write): a write at 18446744073709551614 is past any file's end"},
	{range_past_everything, "trace event 1 (zero): the range ends past any file's end"},
	{store_past_the_end, "trace event 1 (write): a store at 1 is past the end of inode 2"},
	{store_twice, "trace event 2 (write): block 0 was stored to twice in one look"},
	{msync_past_everything, "trace event 1 (msync): the range ends past any file's end"},
	{msync_directory, "trace event 1 (msync): inode 3 is not a file"},
	{sync_unknown, "trace event 1 (fsync): inode 0 does not exist"},
};

START_TEST(a_contradiction_is_refused_with_the_number_of_its_event)
{
	struct trace *trace;
	struct ops *ops;
	struct err err;
	ck_assert_int_eq(trace_parse("start-file f x*1\nstart-dir d\nfsync f", "t", &trace, &err),
			 0);
	contradictions[_i].spoil(trace);
	trace_seal(trace);
	ck_assert_int_eq(ops_lower(trace, &ops, &err), ERR_CORRUPT);
	ck_assert_str_eq(err.text, contradictions[_i].says);
	ck_assert_ptr_null(ops);
	trace_destroy(trace);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("ops");
	tcase_add_test(cases, every_version_of_a_block_is_what_the_page_cache_held);
	tcase_add_test(cases, a_hundred_patches_of_one_block_are_all_there);
	tcase_add_loop_test(cases, a_call_becomes_these_micro_ops, 0,
			    sizeof lowerings / sizeof *lowerings);
	tcase_add_test(cases, sizes_grow_at_block_boundaries);
	tcase_add_test(cases, a_rename_ties_its_entries_together);
	tcase_add_test(cases, namings_are_in_program_order);
	tcase_add_test(cases, steps_are_micro_ops_syncs_and_marks);
	tcase_add_test(cases, newest_is_what_was_issued_before_the_point);
	tcase_add_test(cases, masks_hide_what_is_older_than_they_are);
	tcase_add_test(cases, sectors_differ_where_bytes_do);
	tcase_add_test(cases, what_a_torn_write_leaves_is_never_what_was_cut_off);
	tcase_add_test(cases, a_block_of_zeros_has_the_digest_zero);
	tcase_add_loop_test(cases, a_contradiction_is_refused_with_the_number_of_its_event, 0,
			    sizeof contradictions / sizeof *contradictions);
	tcase_set_timeout(cases, 300);
	Suite *suite = suite_create("ops");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
