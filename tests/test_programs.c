/* Random programs: each can be done, all that matters occurs in them, and a miss
 * shrinks to the calls that it needs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib_traces.h"
#include "programs.h"
#include "sanitized.h"
#include "trace_text.h"

/* Sanitized, most of the time would go into mapping memory. */
enum { SEEDS = SANITIZED ? 6000 : 20000, COUNTED = 5000, CALLS = 12 };

static struct trace *parse(const char *text)
{
	struct trace *trace;
	struct err err;
	ck_assert_msg(trace_parse(text, "program", &trace, &err) == 0, "%s in\n%s", err.text, text);
	return trace;
}

/* ---- making ---- */

/* What occurs in programs, counted. */
enum feature {
	START_NOTHING,
	START_IN_DIRECTORY,
	START_LINK,
	LAST_OF_KINDS = 100, /* events by their kind lie between */
	DSYNC,
	FSYNC_TOO,
	STORE,
	KEEP,
	NO_KEEP,
	NAMELESS,
	WRITE_LOST_NAME,
	WRITE_ONE_BYTE,
	WRITE_WHOLE_BLOCK,
	WRITE_CROSSING,
	WRITE_HOLE,
	WRITE_IN_PLACE,
	TRUNCATE_TO_0,
	TRUNCATE_DOWN,
	TRUNCATE_UP,
	REPLACE,
	RENAME_ACROSS,
	RENAME_DIRECTORY,
	RENAME_LINKS,
	EXCHANGE_DIRECTORIES,
	SYNC_ROOT,
	SYNC_DIRECTORY,
	SYNC_OTHER,
	CALL_IN_DIRECTORY,
	WRITE_AFTER_RENAME,
	FEATURES
};

struct counting {
	uint32_t of[FEATURES];
	uint32_t lengths[CALLS + 1];
};

static bool is_directory(const struct ops *ops, uint32_t ino)
{
	return ops->inodes[ino].type == INODE_DIR;
}

/* The micro-op of an entry that an event made, or NULL. */
static const struct micro *entry_of(const struct ops *ops, uint32_t event)
{
	for (uint32_t i = 0; i < ops->n_micros; i++)
		if (ops->micros[i].event == event && ops->micros[i].flags & MICRO_META)
			return &ops->micros[i];
	return NULL;
}

static void count_write(struct counting *c, const struct event *e, uint64_t size)
{
	uint64_t end = e->offset + e->length;
	c->of[DSYNC] += (e->flags & EVENT_DSYNC) != 0;
	c->of[FSYNC_TOO] += (e->flags & EVENT_FSYNC_TOO) != 0;
	c->of[STORE] += (e->flags & EVENT_STORE) != 0;
	c->of[WRITE_ONE_BYTE] += e->length == 1;
	c->of[WRITE_WHOLE_BLOCK] += e->offset % 4096 == 0 && e->length == 4096;
	c->of[WRITE_CROSSING] += e->offset % 4096 && e->offset / 4096 != (end - 1) / 4096;
	c->of[WRITE_HOLE] += e->offset > size;
	c->of[WRITE_IN_PLACE] += end <= size;
}

static void count_rename(struct counting *c, const struct ops *ops, const struct event *e,
			 uint32_t event)
{
	const struct micro *m = entry_of(ops, event);
	c->of[RENAME_LINKS] += m == NULL;
	c->of[REPLACE] += m && m->flags & MICRO_REPLACES;
	c->of[RENAME_ACROSS] += e->dir != e->dir2;
	c->of[RENAME_DIRECTORY] += is_directory(ops, e->ino);
}

static void count_sync(struct counting *c, const struct ops *ops, const struct event *e)
{
	c->of[SYNC_ROOT] += e->ino == TRACE_ROOT;
	c->of[SYNC_DIRECTORY] += e->ino != TRACE_ROOT && is_directory(ops, e->ino);
	c->of[SYNC_OTHER] += e->entered > 0 && e[-1].kind == EVENT_CREATE && e[-1].ino != e->ino;
}

/* Follows sizes, and what was renamed, to see what the calls do. */
static void count_events(struct counting *c, const struct ops *ops)
{
	const struct trace *t = ops->trace;
	uint64_t size[CALLS + 16] = {0};
	uint32_t links[CALLS + 16] = {0};
	bool renamed[CALLS + 16] = {0};
	ck_assert_uint_lt(t->n_inodes, CALLS + 16);
	for (size_t i = 0; i < t->n_start_inodes; i++)
		size[t->start_inodes[i].ino] = t->start_inodes[i].size;
	for (size_t i = 0; i < t->n_start_entries; i++)
		links[t->start_entries[i].ino]++;
	for (uint32_t i = 0; i < t->n_events; i++) {
		const struct event *e = &t->events[i];
		uint64_t end = e->offset + e->length;
		c->of[LAST_OF_KINDS - 1 - e->kind]++;
		c->of[CALL_IN_DIRECTORY] += e->dir > TRACE_ROOT;
		switch (e->kind) {
		case EVENT_CREATE:
			c->of[NAMELESS] += e->dir == 0;
			links[e->ino] += e->dir != 0;
			break;
		case EVENT_LINK:
			links[e->ino]++;
			break;
		case EVENT_UNLINK:
			links[e->ino]--;
			renamed[e->ino] = false;
			break;
		case EVENT_WRITE:
			count_write(c, e, size[e->ino]);
			c->of[WRITE_AFTER_RENAME] += renamed[e->ino];
			c->of[WRITE_LOST_NAME] += !links[e->ino] && !renamed[e->ino];
			size[e->ino] = size[e->ino] < end ? end : size[e->ino];
			break;
		case EVENT_TRUNCATE:
			c->of[TRUNCATE_TO_0] += e->length == 0;
			c->of[TRUNCATE_DOWN] += e->length && e->length < size[e->ino];
			c->of[TRUNCATE_UP] += e->length > size[e->ino];
			size[e->ino] = e->length;
			break;
		case EVENT_FALLOCATE:
		case EVENT_ZERO:
			c->of[e->flags & EVENT_KEEP_SIZE ? KEEP : NO_KEEP]++;
			if (!(e->flags & EVENT_KEEP_SIZE) && end > size[e->ino])
				size[e->ino] = end;
			break;
		case EVENT_RENAME:
			count_rename(c, ops, e, i);
			renamed[e->ino] = true;
			break;
		case EVENT_EXCHANGE:
			c->of[EXCHANGE_DIRECTORIES] += is_directory(ops, e->ino);
			break;
		case EVENT_FSYNC:
		case EVENT_FDATASYNC:
			count_sync(c, ops, e);
			break;
		}
	}
}

static void count_program(struct counting *c, const char *text)
{
	struct traces_lowered l = traces_lower(text);
	const struct trace *t = l.trace;
	c->lengths[t->n_events]++;
	c->of[START_NOTHING] += t->n_start_entries == 0;
	c->of[START_LINK] += t->n_start_entries > t->n_start_inodes;
	for (size_t i = 0; i < t->n_start_entries; i++)
		c->of[START_IN_DIRECTORY] += t->start_entries[i].dir != TRACE_ROOT;
	count_events(c, l.ops);
	traces_release(&l);
}

START_TEST(every_program_can_be_done)
{
	struct counting c = {0};
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct buf text = {0};
		struct err err;
		program_make(seed, CALLS, &text);
		ck_assert_msg(program_check(buf_text(&text), &err) == 0, "seed %lu: %s in\n%s",
			      (unsigned long)seed, err.text, text.data);
		if (seed < COUNTED)
			count_program(&c, text.data);
		buf_finish(&text);
	}
	/* Events that only concern the harness are not of a file system. */
	static const uint8_t none[EVENT_KINDS_COUNT] = {
		[EVENT_OPEN] = 1,   [EVENT_FAULT] = 1, [EVENT_OP_BEGIN] = 1,
		[EVENT_OP_END] = 1, [EVENT_NOTE] = 1,  [EVENT_ACK] = 1};
	for (enum event_kind k = 0; k < EVENT_KINDS_COUNT; k++)
		ck_assert_msg(none[k] != (c.of[LAST_OF_KINDS - 1 - k] >= 100), "%s occurs %u times",
			      event_kind_name(k), c.of[LAST_OF_KINDS - 1 - k]);
	for (int i = 0; i < FEATURES; i++)
		if (i <= START_LINK || i > LAST_OF_KINDS)
			ck_assert_msg(
				c.of[i] >=
					(i == RENAME_LINKS || i == EXCHANGE_DIRECTORIES ? 10 : 100),
				"feature %d occurs %u times", i, c.of[i]);
	ck_assert_uint_eq(c.lengths[0], 0);
	for (int i = 1; i <= CALLS; i++)
		ck_assert_msg(c.lengths[i] >= 200, "%u programs of %d calls", c.lengths[i], i);
}
END_TEST

START_TEST(a_seed_and_a_bound_are_one_program)
{
	struct buf a = {0}, b = {0};
	program_make(7, CALLS, &a);
	program_make(7, CALLS, &b);
	ck_assert_str_eq(buf_text(&a), buf_text(&b));
	buf_clear(&b);
	program_make(8, CALLS, &b);
	ck_assert_str_ne(buf_text(&a), buf_text(&b));
	buf_clear(&b);
	program_make(9, 0, &b);
	struct trace *trace = parse(buf_text(&b));
	ck_assert_uint_eq(trace->n_events, 1);
	trace_destroy(trace);
	buf_clear(&b);
	program_make(10, 400, &b); /* long ones do not run out of names */
	ck_assert_int_eq(program_check(buf_text(&b), NULL), 0);
	buf_finish(&a);
	buf_finish(&b);
}
END_TEST

/* Whatever the compiler.  A change of the maker changes this number, and nothing else may. */
START_TEST(a_seed_is_one_program_on_every_machine)
{
	struct buf text = {0};
	uint64_t sum = 0xcbf29ce484222325u; /* FNV-1a */
	for (uint64_t seed = 0; seed < 500; seed++)
		program_make(seed, CALLS, &text);
	for (size_t i = 0; i < text.len; i++)
		sum = (sum ^ (uint8_t)text.data[i]) * 0x100000001b3u;
	ck_assert_msg(sum == 0x8bfc23cd64d6df85u, "the sum is 0x%llx", (unsigned long long)sum);
	buf_finish(&text);
}
END_TEST

/* What one reads tells which write it was. */
START_TEST(each_write_has_its_own_letter)
{
	for (uint64_t seed = 0; seed < 500; seed++) {
		struct buf text = {0};
		bool used[256] = {[0] = true};
		program_make(seed, 50, &text);
		struct trace *t = parse(buf_text(&text));
		for (size_t i = 0; i < t->n_start_inodes; i++) {
			const struct start_inode *s = &t->start_inodes[i];
			if (s->size == 0)
				continue;
			ck_assert(!used[s->data[0]]);
			used[s->data[0]] = true;
		}
		for (size_t i = 0; i < t->n_events; i++) {
			const struct event *e = &t->events[i];
			if (e->kind != EVENT_WRITE)
				continue;
			ck_assert_uint_ge(e->length, 1);
			ck_assert_msg(!used[e->data[0]], "%c is written twice in\n%s", e->data[0],
				      text.data);
			used[e->data[0]] = true;
		}
		trace_destroy(t);
		buf_finish(&text);
	}
}
END_TEST

/* ---- checking ---- */

static const struct {
	const char *text, *wrong;
} refused[] = {
	{"creat a\ncreat a\n", "program:2: \"a\" exists already"},
	{"start-dir d\nwrite d 0 x*3\n", "is not a file"},
	{"start-dir d\nstart-file d/a\nrmdir d\n", "call 1 (rmdir): the directory is not empty"},
	{"start-dir d\nunlink d\n", "is of another type"},
	{"mkdir p\nmkdir p/q\nrename p p/q/r\n", "call 3 (rename): the directory would be inside"},
	{"start-dir p\nstart-dir q\nstart-file q/a\nrename p q\n", "is replaced is not empty"},
	{"start-dir p\nstart-file a\nrename a p\n", "would replace the other"},
	{"start-dir p\nstart-file a\nrename p a\n", "would replace the other"},
	{"start-dir p\nstart-dir p/q\nexchange p p/q\n", "call 1 (exchange): a directory would be"},
	{"start-dir p\nstart-dir q\nstart-dir q/r\nexchange p q\nrename p/r q/p\nrename q q/p/q\n",
	 "call 3 (rename): the directory would be inside"},
	{"start-dir p\nstart-dir p/r\nstart-dir q\nexchange p/r q\nrename p p/r/x\n",
	 "call 2 (rename): the directory would be inside"},
	{"start-dir p\nstart-dir p/r\nstart-dir q\nexchange q p/r\nrename p p/r/x\n",
	 "call 2 (rename): the directory would be inside"},
	{"start-file a\nunlink a\nlink #2 b\n", "call 2 (link): a file that has lost its names"},
	{"tmpfile\nlink #2 a\nunlink a\nlink #2 a\n", "call 4 (link)"},
	{"start-file a\ncreat b\nrename b a\nlink #2 c\n", "call 3 (link)"},
	{"symlink s a\nlink s t\n", "call 2 (link): what is linked is no file"},
	{"symlink s a\nfsync s\n", "call 2 (fsync): a symbolic link cannot be opened"},
	{"start-dir d\nrmdir d\nfsync #2\n", "call 2 (fsync): the directory is gone"},
	{"start-file a\nfallocate a 0 0\n", "call 1 (fallocate): a range has at least one byte"},
	{"start-file a\nzero a 4096 0 keep\n", "call 1 (zero): a range has at least one byte"},
};

START_TEST(what_cannot_be_done_is_refused)
{
	struct err err = {0};
	ck_assert_int_ne(program_check(refused[_i].text, &err), 0);
	ck_assert_msg(strstr(err.text, refused[_i].wrong) != NULL, "\"%s\" for\n%s", err.text,
		      refused[_i].text);
}
END_TEST

static const char *const fine[] = {
	"",
	"start-file a\nlink a b\nrename a b\nunlink a\nunlink b\nwrite #2 0 x*3\nfsync #2\n",
	"tmpfile\nlink #2 a\nlink a b\nunlink a\nlink b a\n",
	"start-dir p\nstart-dir q\nrename p q\nrmdir q\n",
	"start-dir p\nstart-dir q\nstart-file p/a\nexchange p q\nrmdir p\nunlink q/a\nrmdir q\n",
	"mkdir p\nmkdir q\nrename p q/p\ncreat q/p/a\nrename q/p p\nrmdir q\nfsync p\nfsync .\n",
};

START_TEST(what_can_be_done_is_not_refused)
{
	struct err err;
	ck_assert_msg(program_check(fine[_i], &err) == 0, "%s in\n%s", err.text, fine[_i]);
}
END_TEST

/* ---- shrinking ---- */

struct wanted {
	const char *lines[4]; /* texts that must occur in this order */
	uint32_t asked;
};

static bool has_in_order(void *arg, const char *text)
{
	struct wanted *w = arg;
	w->asked++;
	ck_assert_int_eq(program_check(text, NULL), 0);
	for (int i = 0; i < 4 && w->lines[i]; i++) {
		text = strstr(text, w->lines[i]);
		if (!text)
			return false;
		text += strlen(w->lines[i]);
	}
	return true;
}

static const struct {
	const char *text;
	struct wanted wanted;
	const char *best;
} shrunk[] = {
	{"start-dir p\nstart-file p/a 1*5000\nstart-file b 2*100\nstart-link c b\n"
	 "creat d\nappend d A*300\nfsync d\nmkdir q\nrename d b\nfsync .\nwrite b 0 B*9000\n",
	 {{"rename d b", "fsync ."}, 0},
	 "creat d\nrename d b\nfsync .\n"},
	/* Numbers of files follow. */
	{"start-file a\nstart-file b\ncreat c\ntmpfile\nunlink b\nappend #5 A*10\nwrite #3 0 B*1\n"
	 "unlink a\nlink #5 e\n",
	 {{"unlink b", "write #"}, 0},
	 "start-file b\nunlink b\nwrite #2 0 B*1\n"},
	{"creat c\ntmpfile\nappend #3 A*1000\nfsync #3\nlink #3 c2\nfsync .\n",
	 {{"tmpfile", "fsync #", "link"}, 0},
	 "tmpfile\nfsync #2\nlink #2 c2\n"},
	/* Numbers get smaller, or rounder. */
	{"start-file a 1*12345\nwrite a 5001 A*9001\ntruncate a 777\nzero a 4096 5000 keep\n",
	 {{"write a", "zero a"}, 0},
	 "start-file a 1*1\nwrite a 0 A*1\nzero a 0 1 keep\n"},
};

START_TEST(shrinks_to_what_is_needed)
{
	struct wanted w = shrunk[_i].wanted;
	struct buf best = {0};
	uint32_t tries = program_shrink(shrunk[_i].text, 1000, has_in_order, &w, &best);
	ck_assert_str_eq(buf_text(&best), shrunk[_i].best);
	ck_assert_uint_eq(tries, w.asked);
	buf_finish(&best);
}
END_TEST

/* A write that ends beyond byte 6000: something of numbers is needed. */
static bool writes_far(void *arg, const char *text)
{
	(void)arg;
	struct trace *t = parse(text);
	bool far = false;
	for (size_t i = 0; i < t->n_events; i++)
		far = far || (t->events[i].kind == EVENT_WRITE && t->events[i].length > 100 &&
			      t->events[i].offset + t->events[i].length > 6000);
	trace_destroy(t);
	return far;
}

START_TEST(numbers_shrink_as_far_as_the_miss_stays)
{
	struct buf best = {0};
	program_shrink("start-file a 1*100\nwrite a 7011 A*2345\n", 1000, writes_far, NULL, &best);
	ck_assert_str_eq(buf_text(&best), "start-file a 1*1\nwrite a 4096 A*4096\n");
	buf_finish(&best);
}
END_TEST

/* A file is written to after it was renamed. */
static bool writes_renamed(void *arg, const char *text)
{
	(void)arg;
	struct trace *t = parse(text);
	bool found = false;
	for (size_t i = 0; i < t->n_events; i++)
		for (size_t k = 0; k < i; k++)
			found = found || (t->events[i].kind == EVENT_WRITE &&
					  t->events[k].kind == EVENT_RENAME &&
					  t->events[i].ino == t->events[k].ino);
	trace_destroy(t);
	return found;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Whatever the program: what is left is a file, its renaming and the write; it may be a
 * second name that is renamed, and a store needs bytes to be there. */
START_TEST(random_programs_shrink_to_the_least)
{
	unsigned n = 0;
	for (uint64_t seed = 0; n < 60; seed++) {
		struct buf text = {0}, best = {0}, again = {0};
		program_make(seed, 15, &text);
		if (writes_renamed(NULL, buf_text(&text))) {
			uint32_t tries =
				program_shrink(text.data, 500, writes_renamed, NULL, &best);
			ck_assert_int_eq(program_check(buf_text(&best), NULL), 0);
			ck_assert(writes_renamed(NULL, best.data));
			ck_assert_uint_lt(tries, 500);
			size_t lines = 3 + (strstr(best.data, "link ") != NULL) +
				       (strstr(best.data, "store ") != NULL);
			ck_assert_msg(count_lines(best.data) <= lines, "%s\nfrom\n%s", best.data,
				      text.data);
			program_shrink(text.data, 500, writes_renamed, NULL, &again);
			ck_assert_str_eq(buf_text(&again), best.data);
			n++;
		}
		buf_finish(&text);
		buf_finish(&best);
		buf_finish(&again);
	}
}
END_TEST

static const char long_text[] = "start-file a 1*12345\nmkdir p\nwrite a 5001 A*9001\n"
				"truncate a 777\nrename a p/b\nzero p/b 4097 5000 keep\n";

START_TEST(tries_are_bounded)
{
	for (uint32_t bound = 0; bound < 60; bound++) {
		struct wanted never = {{"never"}, 0}, often = {{"a", "p/b"}, 0};
		struct buf best = {0};
		uint32_t tries = program_shrink(long_text, bound, has_in_order, &never, &best);
		ck_assert_uint_le(tries, bound);
		ck_assert_uint_eq(tries, never.asked);
		ck_assert_str_eq(buf_text(&best), long_text);
		buf_clear(&best);
		tries = program_shrink(long_text, bound, has_in_order, &often, &best);
		ck_assert_uint_le(tries, bound);
		ck_assert_uint_eq(tries, often.asked);
		ck_assert(has_in_order(&often, buf_text(&best)));
		buf_finish(&best);
	}
}
END_TEST

#define SIZE_OF(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
	TCase *cases = tcase_create("programs");
	tcase_add_test(cases, every_program_can_be_done);
	tcase_add_test(cases, a_seed_and_a_bound_are_one_program);
	tcase_add_test(cases, a_seed_is_one_program_on_every_machine);
	tcase_add_test(cases, each_write_has_its_own_letter);
	tcase_add_loop_test(cases, what_cannot_be_done_is_refused, 0, SIZE_OF(refused));
	tcase_add_loop_test(cases, what_can_be_done_is_not_refused, 0, SIZE_OF(fine));
	tcase_add_loop_test(cases, shrinks_to_what_is_needed, 0, SIZE_OF(shrunk));
	tcase_add_test(cases, numbers_shrink_as_far_as_the_miss_stays);
	tcase_add_test(cases, random_programs_shrink_to_the_least);
	tcase_add_test(cases, tries_are_bounded);
	tcase_set_timeout(cases, 120);
	Suite *suite = suite_create("programs");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
