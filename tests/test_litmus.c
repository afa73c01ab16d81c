/* The litmus table of the model: each test is a handful of calls and a question
 * about the crash states that follow.  `yes`: some crash state shows it, `no`:
 * none may.  The columns of ext4, ext4-noda, xfs and btrfs were tried on the
 * real file systems. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "image.h"
#include "mem.h"
#include "model.h"
#include "trace_text.h"

enum { OLD = 2500, NEW = 3000, WHOLE = 4096 };

/* ---- looking at a crash state ---- */

struct lookup {
	const char *path;
	uint32_t ino;
};

static int found(void *arg, const char *path, uint32_t ino)
{
	struct lookup *l = arg;
	if (strcmp(path, l->path) == 0)
		l->ino = ino;
	return 0;
}

/* The inode at a path, or 0. */
static uint32_t at(const struct image *image, const char *path)
{
	struct lookup l = {.path = path};
	image_walk(image, found, &l);
	return l.ino;
}

static bool there(const struct image *image, const char *path)
{
	return at(image, path) != 0;
}

static uint64_t size_of(const struct image *image, const char *path)
{
	return image_size(image, at(image, path));
}

/* Whether bytes [from, to) of a file are all c. */
static bool all(const struct image *image, const char *path, uint64_t from, uint64_t to, char c)
{
	uint32_t ino = at(image, path);
	if (!ino || image_size(image, ino) < to)
		return false;
	char *bytes = mem_alloc(to - from, 1);
	image_read(image, ino, from, bytes, to - from);
	bool same = true;
	for (uint64_t i = 0; i < to - from; i++)
		same = same && bytes[i] == c;
	free(bytes);
	return same;
}

static bool is(const struct image *image, const char *path, uint64_t size, char c)
{
	return there(image, path) && size_of(image, path) == size && all(image, path, 0, size, c);
}

/* ---- the questions ---- */

typedef bool question(const struct image *image);

static bool f_missing(const struct image *i)
{
	return !there(i, "f");
}
static bool f_in_part(const struct image *i)
{
	return there(i, "f") && !is(i, "f", NEW, 'n');
}
static bool b_empty(const struct image *i)
{
	return there(i, "b") && size_of(i, "b") == 0;
}
static bool b_zeros(const struct image *i)
{
	return is(i, "b", NEW, 0);
}
static bool b_neither(const struct image *i)
{
	return !is(i, "b", OLD, 'o') && !is(i, "b", NEW, 'n');
}
static bool b_empty_or_zeros(const struct image *i)
{
	return b_empty(i) || b_zeros(i);
}
static bool b_old(const struct image *i)
{
	return is(i, "b", OLD, 'o');
}
static bool n_empty(const struct image *i)
{
	return there(i, "n") && size_of(i, "n") == 0;
}
static bool first_not_last(const struct image *i)
{
	return all(i, "f", 0, 1, '1') && all(i, "f", 9 * WHOLE, 9 * WHOLE + 1, 0);
}
static bool g_not_f(const struct image *i)
{
	return all(i, "g", 0, WHOLE, 'g') && all(i, "f", 0, WHOLE, 0);
}
static bool grown_with_zeros(const struct image *i)
{
	return size_of(i, "f") > 2500 && all(i, "f", 2500, 2501, 0);
}
static bool b_not_a(const struct image *i)
{
	return there(i, "b") && !there(i, "a");
}
static bool a_missing(const struct image *i)
{
	return !there(i, "a");
}
static bool g_there(const struct image *i)
{
	return there(i, "g");
}
static bool half(const struct image *i)
{
	return all(i, "f", 0, 2048, 'a') && all(i, "f", 2048, 4096, 'b');
}
static bool both(const struct image *i)
{
	return there(i, "d/x") && there(i, "e/x");
}
static bool neither(const struct image *i)
{
	return !there(i, "d/x") && !there(i, "e/x");
}
static bool first_of_two_zeros(const struct image *i)
{
	return size_of(i, "f") == 8192 && all(i, "f", 0, WHOLE, 0);
}
static bool df_unreachable(const struct image *i)
{
	return !there(i, "d/f");
}
static bool twice_with_old(const struct image *i)
{
	char bytes[8000] = "";
	if (size_of(i, "f") != 8000)
		return false;
	image_read(i, at(i, "f"), 0, bytes, sizeof bytes);
	return memchr(bytes, 'o', sizeof bytes) != NULL;
}
static bool three_second_zeros(const struct image *i)
{
	return size_of(i, "f") == 3 * WHOLE && all(i, "f", WHOLE, 2 * WHOLE, 0);
}
static bool b_has_t_old(const struct image *i)
{
	return is(i, "b", NEW, 't');
}
static bool d_missing(const struct image *i)
{
	return !there(i, "d");
}

/* ---- the table ---- */

enum column { IDEAL, EXT4, EXT4_LOCK, EXT4_NODA, XFS, BTRFS, POSIX, COLUMNS };
static const char *const columns[COLUMNS] = {"ideal", "ext4",  "ext4-lock", "ext4-noda",
					     "xfs",   "btrfs", "posix"};

#define REPLACE	   "start-file b o*2500\ncreat t\nwrite t 0 n*3000\n"
#define SAFE	   REPLACE "fsync t\nrename t b\n"
#define TWO_BLOCKS "start-file f x*8192\nstart-file g\n"
#define MOVE	   "start-dir d\nstart-dir e\nstart-file d/x\nrename d/x e/x\nfsync e\n"
#define NAMELESS   "tmpfile\nwrite #2 0 n*3000\n"

static const struct litmus {
	const char *name;
	const char *calls;
	bool after; /* only the crash after the last call */
	question *shows;
	const char *expected; /* y or n for each column */
} table[] = {
	/*                                                            i4lnxbp */
	{"L1", "creat f\nwrite f 0 n*3000\nfsync f", true, f_missing, "nnnnnny"},
	{"L2 empty", REPLACE "rename t b", false, b_empty, "nnnyyny"},
	{"L2 zeros", REPLACE "rename t b", false, b_zeros, "nynynny"},
	{"L2", REPLACE "rename t b", false, b_neither, "nynyyny"},
	{"L3", SAFE, false, b_neither, "nnnnnnn"},
	{"L4", SAFE, true, b_old, "yyyyyyy"},
	{"L5", SAFE "fsync .", true, b_old, "nnnnnnn"},
	{"L6", "creat t\nwrite t 0 n*3000\nrename t n", false, n_empty, "nyyyyyy"},
	{"L7", "start-file f 0*40960\nwrite f 36864 1*4096\nwrite f 0 1*4096", false,
	 first_not_last, "nyyyyyy"},
	{"L8", "start-file f 0*4096\nstart-file g 0*4096\nwrite f 0 f*4096\nwrite g 0 g*4096",
	 false, g_not_f, "nyyyyyy"},
	{"L9", "start-file f a*2500\nappend f b*2500", false, grown_with_zeros, "nyyyyyy"},
	{"L10", "creat a\ncreat b", false, b_not_a, "nnnnnny"},
	{"L11", "creat a\ncreat b\nwrite b 0 n*3000\nfsync b", true, a_missing, "nnnnnyy"},
	{"L12", TWO_BLOCKS "write f 0 n*4096\nunlink g\nfdatasync f", true, g_there, "nyyyyyy"},
	{"L13", TWO_BLOCKS "write f 0 n*4096\nunlink g\nfsync f", true, g_there, "nyyyyyy"},
	{"L14", "start-file f a*4096\nwrite f 0 b*4096", false, half, "nnnnnny"},
	{"L15", MOVE, true, both, "nnnnnyn"},
	{"L16", MOVE, false, neither, "nnnnnnn"},
	{"L17", SAFE "fdatasync b", true, b_old, "nyyynny"},
	{"L18", "creat f\nwrite f 0 n*8192\nhint f", false, first_of_two_zeros, "nyyyyyy"},
	{"L19", "mkdir d\ncreat d/f\nwrite d/f 0 n*3000\nfsync d/f", true, df_unreachable,
	 "nnnnnny"},
	{"L20", REPLACE "rename t b\nfsync .", true, b_empty_or_zeros, "nynyyyy"},
	{"L21", "start-file f o*4000\ntruncate f 0\ntruncate f 8000", false, twice_with_old,
	 "nnnnnnn"},
	{"L22", "start-file f\nappend f n*4096\nappend f n*4096\ndsync-write f 8192 n*4096", true,
	 three_second_zeros, "nyyyyyy"},
	{"L23", "start-file b o*2500\nstart-file t t*3000\nwrite t 0 n*3000\nrename t b", false,
	 b_has_t_old, "nyyyyny"},
	{"L24", "mkdir d\nmkdir e\nfsync e", true, d_missing, "nnnnnyy"},
	{"L25", NAMELESS "fsync #2\nlink #2 f", false, f_in_part, "nnnnnnn"},
	{"L25 unsynced", NAMELESS "link #2 f", false, f_in_part, "nyyyyyy"},
	{"L26", NAMELESS "link #2 f\nfsync #2", true, f_missing, "nnnnnny"},
	{"L26 before", NAMELESS "fsync #2\nlink #2 f", true, f_missing, "yyyyyyy"},
	{"L26 dir", NAMELESS "fsync #2\nlink #2 f\nfsync .", true, f_missing, "nnnnnnn"},
};

struct looked {
	uint64_t states;
	bool shown;
};

/* Looks at every state of the model's present point. */
static void look(struct model *model, struct image *image, const struct litmus *l,
		 struct looked *looked)
{
	struct state state;
	struct chooser *c = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	uint64_t n = 0;
	while (chooser_next(c, &state)) {
		image_goto(image, &state);
		looked->shown = l->shows(image) || looked->shown;
		n++;
	}
	chooser_destroy(c);
	struct count count = model_count(model, 0);
	ck_assert_msg(count.exact && count.states == n, "%s: counted %lu states, found %lu",
		      l->name, (unsigned long)count.states, (unsigned long)n);
	looked->states += n;
}

static struct looked run(const struct litmus *l, const char *profile)
{
	struct trace *trace;
	struct ops *ops;
	struct err err;
	ck_assert_msg(trace_parse(l->calls, l->name, &trace, &err) == 0, "%s", err.text);
	trace_seal(trace);
	ck_assert_msg(ops_lower(trace, &ops, &err) == 0, "%s", err.text);
	struct model *model = model_create(ops, profile_find(profile));
	struct image *image = image_create(ops);
	struct looked looked = {0};
	if (!l->after)
		look(model, image, l, &looked);
	while (model_advance(model))
		if (!l->after || model_point(model) == ops->n_steps)
			look(model, image, l, &looked);
	image_destroy(image);
	model_destroy(model);
	trace_destroy(trace);
	return looked;
}

START_TEST(every_cell_of_the_litmus_table)
{
	const struct litmus *l = &table[_i];
	for (int c = 0; c < COLUMNS; c++) {
		bool expected = l->expected[c] == 'y';
		struct looked looked = run(l, columns[c]);
		ck_assert_msg(looked.shown == expected, "%s under %s: %s, expected %s (%lu states)",
			      l->name, columns[c], looked.shown ? "yes" : "no",
			      expected ? "yes" : "no", (unsigned long)looked.states);
	}
}
END_TEST

START_TEST(kill_leaves_one_state_at_each_point)
{
	struct trace *trace;
	struct ops *ops;
	struct err err;
	ck_assert_msg(trace_parse(table[_i].calls, "", &trace, &err) == 0, "%s", err.text);
	trace_seal(trace);
	ck_assert_msg(ops_lower(trace, &ops, &err) == 0, "%s", err.text);
	struct model *model = model_create(ops, profile_find("kill"));
	while (model_advance(model))
		ck_assert_uint_eq(model_count(model, 0).states, 1);
	model_destroy(model);
	trace_destroy(trace);
}
END_TEST

int main(void)
{
	int n = sizeof table / sizeof *table;
	TCase *cases = tcase_create("litmus");
	tcase_add_loop_test(cases, every_cell_of_the_litmus_table, 0, n);
	tcase_add_loop_test(cases, kill_leaves_one_state_at_each_point, 0, n);
	tcase_set_timeout(cases, 60);
	Suite *suite = suite_create("litmus");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
