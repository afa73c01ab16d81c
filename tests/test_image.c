/* Images: walking from state to state gives what going there at once gives, and
 * digests are equal exactly where trees are. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "choose.h"
#include "lib_traces.h"
#include "mem.h"

enum { PROFILES = 9 };

/* ---- the newest state is the page cache ---- */

/* A directory in the plainest form, which takes each event at once. */
struct plain_name {
	uint32_t dir, ino;
	const char *name;
};

struct plain {
	struct plain_name names[256];
	size_t n;
};

static struct plain_name *plain_find(struct plain *p, uint32_t dir, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->names[i].dir == dir && strcmp(p->names[i].name, name) == 0)
			return &p->names[i];
	return NULL;
}

static void plain_set(struct plain *p, uint32_t dir, const char *name, uint32_t ino)
{
	struct plain_name *n = plain_find(p, dir, name);
	if (!n)
		n = &p->names[p->n++];
	*n = (struct plain_name){dir, ino, name};
}

static void plain_do(struct plain *p, const struct event *e)
{
	struct plain_name *from = plain_find(p, e->dir, e->name);
	struct plain_name *to = plain_find(p, e->dir2, e->name2);
	uint32_t a = from ? from->ino : 0, b = to ? to->ino : 0;
	switch (e->kind) {
	case EVENT_CREATE:
	case EVENT_MKDIR:
	case EVENT_SYMLINK:
	case EVENT_LINK:
		plain_set(p, e->dir, e->name, e->ino);
		break;
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		from->ino = 0;
		break;
	case EVENT_RENAME:
		if (a != b) {
			from->ino = 0;
			plain_set(p, e->dir2, e->name2, a);
		}
		break;
	case EVENT_EXCHANGE:
		from->ino = b;
		to->ino = a;
		break;
	default:
		break;
	}
}

struct comparing {
	struct plain *plain;
	const struct ops *ops;
	size_t found;
	const char *text;
};

static int compare_name(void *arg, const char *path, uint32_t ino)
{
	struct comparing *c = arg;
	char copy[256], *at = copy;
	uint32_t dir = TRACE_ROOT;
	snprintf(copy, sizeof copy, "%s", path);
	for (char *slash; (slash = strchr(at, '/')); at = slash + 1) {
		*slash = '\0';
		struct plain_name *n = plain_find(c->plain, dir, at);
		ck_assert_msg(n && n->ino, "%s in\n%s", path, c->text);
		dir = n->ino;
	}
	struct plain_name *n = plain_find(c->plain, dir, at);
	ck_assert_msg(n && n->ino == ino, "%s in\n%s", path, c->text);
	c->found++;
	return 0;
}

START_TEST(the_newest_state_has_the_names_that_the_calls_left)
{
	for (unsigned i = 0; i < traces_rounds(100); i++) {
		struct prng prng;
		prng_init(&prng, i + 500);
		char *text = traces_random(&prng, 40, TRACES_ALL);
		struct traces_lowered l = traces_lower(text);
		struct image *image = image_create(l.ops);
		struct plain plain = {.n = 0};
		struct state state = {.point = l.ops->n_steps, .tear.object = NONE};
		for (size_t k = 0; k < l.trace->n_start_entries; k++)
			plain_set(&plain, l.trace->start_entries[k].dir,
				  l.trace->start_entries[k].name, l.trace->start_entries[k].ino);
		for (size_t k = 0; k < l.trace->n_events; k++)
			plain_do(&plain, &l.trace->events[k]);
		struct comparing c = {.plain = &plain, .ops = l.ops, .text = text};
		size_t expected = 0;
		for (size_t k = 0; k < plain.n; k++)
			expected += plain.names[k].ino != 0;
		image_goto(image, &state);
		image_walk(image, compare_name, &c);
		ck_assert_uint_eq(c.found, expected);
		image_destroy(image);
		traces_release(&l);
		free(text);
	}
}
END_TEST

/* ---- walking, and digests ---- */

struct seen {
	UT_hash_handle hh;
	struct digest digest;
	char *tree;
	size_t length;
};

struct seen_tree {
	UT_hash_handle hh;
	struct digest digest;
	char *tree;
};

/* Digest → tree and tree → digest, for all states of one trace. */
struct known {
	struct seen *by_digest;
	struct seen_tree *by_tree;
	uint64_t states, equal;
};

static void known_add(struct known *k, struct digest digest, const struct buf *tree,
		      const char *text)
{
	struct seen *s;
	struct seen_tree *t;
	k->states++;
	HASH_FIND(hh, k->by_digest, &digest, sizeof digest, s);
	HASH_FIND(hh, k->by_tree, tree->data, tree->len, t);
	ck_assert_msg(!s || (s->length == tree->len && memcmp(s->tree, tree->data, tree->len) == 0),
		      "one digest, two trees in\n%s", text);
	ck_assert_msg(!t || memcmp(&t->digest, &digest, sizeof digest) == 0,
		      "one tree, two digests in\n%s", text);
	k->equal += s != NULL;
	if (s)
		return;
	s = mem_alloc(1, sizeof *s);
	t = mem_alloc(1, sizeof *t);
	s->digest = t->digest = digest;
	s->tree = t->tree = mem_dup(tree->data, tree->len);
	s->length = tree->len;
	HASH_ADD(hh, k->by_digest, digest, sizeof s->digest, s);
	HASH_ADD_KEYPTR(hh, k->by_tree, t->tree, tree->len, t);
}

static void known_finish(struct known *k)
{
	struct seen *s, *s_next;
	HASH_ITER (hh, k->by_digest, s, s_next) {
		HASH_DEL(k->by_digest, s);
		free(s);
	}
	struct seen_tree *t, *t_next;
	HASH_ITER (hh, k->by_tree, t, t_next) {
		HASH_DEL(k->by_tree, t);
		free(t->tree);
		free(t);
	}
}

static void same_objects(const struct image *a, const struct image *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ck_assert_uint_eq(image_version(a, i), image_version(b, i));
}

/* Takes an image that has been somewhere to a state, and a new one. */
static void visit(struct image *walking, const struct ops *ops, const struct state *state,
		  struct known *known, const char *text)
{
	struct image *fresh = image_create(ops);
	struct buf here = {0}, there = {0};
	image_goto(walking, state);
	image_goto(fresh, state);
	same_objects(walking, fresh, ops->n_objects);
	traces_dump(ops, walking, &here);
	traces_dump(ops, fresh, &there);
	ck_assert(here.len == there.len && (!here.len || !memcmp(here.data, there.data, here.len)));
	struct digest a = image_digest(walking), b = image_digest(fresh);
	ck_assert_msg(a.lo == b.lo && a.hi == b.hi, "point %u with %u held of\n%s", state->point,
		      state->n_held, text);
	buf_text(&here);
	known_add(known, a, &here, text);
	buf_finish(&here);
	buf_finish(&there);
	image_destroy(fresh);
}

/* A state that outlives its chooser. */
struct kept {
	struct state state;
	struct held *held;
};

/* Random states of all points of a trace. */
static struct kept *collect(const struct ops *ops, const struct profile *profile, uint64_t seed,
			    size_t *n)
{
	struct kept *list = NULL;
	size_t cap = 0;
	struct model *model = model_create(ops, profile);
	*n = 0;
	do {
		struct state state;
		struct chooser *c = chooser_create(model, CHOOSE_RANDOM, NONE, 6, seed + *n);
		while (chooser_next(c, &state)) {
			struct kept *k = MEM_PUSH(list, *n, cap);
			k->state = state;
			k->held = mem_alloc(state.n_held, sizeof *k->held);
			if (state.n_held)
				memcpy(k->held, state.held, state.n_held * sizeof *k->held);
			k->state.held = k->held;
		}
		chooser_destroy(c);
	} while (model_advance(model));
	model_destroy(model);
	return list;
}

/* The states of one trace in random order. */
static void wander(const struct profile *profile, unsigned mix, uint64_t seed, struct known *total)
{
	struct prng prng;
	struct known known = {0};
	size_t n;
	prng_init(&prng, seed);
	char *text = traces_random(&prng, 14, mix);
	struct traces_lowered l = traces_lower(text);
	struct image *image = image_create(l.ops);
	struct kept *list = collect(l.ops, profile, seed, &n);
	for (size_t i = 0; i < n; i++)
		visit(image, l.ops, &list[prng_below(&prng, n)].state, &known, text);
	for (size_t i = 0; i < n; i++)
		free(list[i].held);
	free(list);
	total->states += known.states;
	total->equal += known.equal;
	known_finish(&known);
	image_destroy(image);
	traces_release(&l);
	free(text);
}

static void wander_all(const struct profile *profile, unsigned mix)
{
	struct known total = {0};
	for (unsigned i = 0; i < traces_rounds(25); i++)
		wander(profile, mix, 9000 + i, &total);
	/* Else nothing was shown: some trees were met twice, and others were not. */
	ck_assert_uint_gt(total.equal, total.states / 20);
	ck_assert_uint_lt(total.equal, total.states);
}

START_TEST(digests_are_equal_where_trees_are_in_one_directory)
{
	wander_all(&profile_table[_i], TRACES_WRITES | TRACES_RANGES | TRACES_NAMES | TRACES_SYNCS);
}
END_TEST

START_TEST(digests_are_equal_where_trees_are_with_links)
{
	wander_all(&profile_table[_i], TRACES_WRITES | TRACES_NAMES | TRACES_LINKS);
}
END_TEST

START_TEST(digests_are_equal_where_trees_are_with_directories)
{
	wander_all(&profile_table[_i], TRACES_ALL);
}
END_TEST

START_TEST(digests_are_equal_where_trees_are_with_torn_blocks)
{
	wander_all(profile_find("posix"),
		   TRACES_WRITES | TRACES_RANGES | TRACES_NAMES | TRACES_SMALL);
}
END_TEST

static struct digest digest_of(const char *calls)
{
	struct traces_lowered l = traces_lower(calls);
	struct image *image = image_create(l.ops);
	struct state state = {.point = l.ops->n_steps, .tear.object = NONE};
	image_goto(image, &state);
	struct digest d = image_digest(image);
	image_destroy(image);
	traces_release(&l);
	return d;
}

static bool same_digest(const char *a, const char *b)
{
	struct digest x = digest_of(a), y = digest_of(b);
	return x.lo == y.lo && x.hi == y.hi;
}

START_TEST(how_a_tree_came_about_does_not_show)
{
	ck_assert(same_digest("creat f\nwrite f 0 a*5000",
			      "creat f\nwrite f 4096 a*904\nwrite f 0 a*4096"));
	ck_assert(same_digest("creat g\nrename g f", "creat h\nunlink h\ncreat f"));
	ck_assert(same_digest("mkdir d\nrmdir d\nmkdir d", "mkdir d"));
	ck_assert(same_digest("creat f\ntruncate f 9000", "creat f\nwrite f 0 0*9000"));
	ck_assert(same_digest("creat a\nlink a b", "creat z\ncreat b\nlink b a\nunlink z"));
	ck_assert(same_digest("mkdir d\ncreat d/a\nlink d/a b",
			      "mkdir e\ncreat b\nlink b e/a\nrename e d"));
}
END_TEST

START_TEST(what_a_program_can_see_shows)
{
	ck_assert(!same_digest("creat a\nlink a b", "creat a\ncreat b"));
	ck_assert(!same_digest("creat a\nlink a b\ncreat c\nlink c d",
			       "creat a\nlink a c\ncreat b\nlink b d"));
	ck_assert(!same_digest("creat a", "mkdir a"));
	ck_assert(!same_digest("creat a", "symlink a b"));
	ck_assert(!same_digest("symlink a b", "symlink a c"));
	ck_assert(!same_digest("creat f\nwrite f 0 0*10", "creat f\nwrite f 0 0*11"));
	ck_assert(!same_digest("creat f\nwrite f 0 a*4096+b*4096",
			       "creat f\nwrite f 0 b*4096+a*4096"));
	ck_assert(!same_digest("mkdir d\ncreat d/a", "mkdir d\ncreat a"));
	ck_assert(
		!same_digest("creat f\nwrite f 0 a*1\ncreat g", "creat g\nwrite g 0 a*1\ncreat f"));
}
END_TEST

/* ---- what changed, and reading ---- */

START_TEST(what_changed_is_listed)
{
	struct traces_lowered l = traces_lower("start-file f x*4096\nwrite f 0 y*4096\ncreat g");
	struct image *image = image_create(l.ops);
	struct held held = {ops_block_object(l.ops, 2, 0), 0};
	struct state all = {.point = 2, .tear.object = NONE};
	struct state old = {.point = 2, .n_held = 1, .held = &held, .tear.object = NONE};
	size_t n;
	image_goto(image, &all);
	image_changes(image, &n);
	ck_assert_uint_eq(n, 2);
	image_goto(image, &old);
	const struct image_change *c = image_changes(image, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(c->object, held.object);
	ck_assert_uint_eq(c->before, 1);
	ck_assert_uint_eq(c->after, 0);
	image_goto(image, &old);
	image_changes(image, &n);
	ck_assert_uint_eq(n, 0);
	image_destroy(image);
	traces_release(&l);
}
END_TEST

START_TEST(a_torn_block_is_listed_when_it_comes_and_when_it_goes)
{
	struct traces_lowered l = traces_lower("start-file f x*4096\nwrite f 0 y*4096");
	struct image *image = image_create(l.ops);
	uint32_t block = ops_block_object(l.ops, 2, 0);
	struct state torn = {.point = 1, .tear = {block, 0, 0x0f}};
	struct state whole = {.point = 1, .tear.object = NONE};
	uint8_t bytes[BLOCK_BYTES];
	size_t n;
	image_goto(image, &torn);
	image_block(image, block, bytes);
	ck_assert(bytes[0] == 'y' && bytes[2047] == 'y' && bytes[2048] == 'x');
	image_goto(image, &whole);
	const struct image_change *c = image_changes(image, &n);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_eq(c->object, block);
	image_block(image, block, bytes);
	ck_assert(bytes[0] == 'y' && bytes[4095] == 'y');
	image_destroy(image);
	traces_release(&l);
}
END_TEST

START_TEST(reading_stops_at_the_end_and_fills_holes_with_zeros)
{
	struct traces_lowered l = traces_lower("creat f\nwrite f 10000 a*100");
	struct image *image = image_create(l.ops);
	struct state state = {.point = l.ops->n_steps, .tear.object = NONE};
	char bytes[200];
	memset(bytes, 'q', sizeof bytes);
	image_goto(image, &state);
	image_read(image, 2, 9990, bytes, sizeof bytes);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(bytes[i], i >= 10 && i < 110 ? 'a' : 0);
	image_destroy(image);
	traces_release(&l);
}
END_TEST

static int list_path(void *arg, const char *path, uint32_t ino)
{
	(void)ino;
	buf_printf(arg, "%s ", path);
	return 0;
}

static int stop_at_second(void *arg, const char *path, uint32_t ino)
{
	list_path(arg, path, ino);
	return strcmp(path, "a") == 0 ? 7 : 0;
}

START_TEST(a_walk_goes_by_the_bytes_of_names_and_ends_when_told)
{
	struct traces_lowered l = traces_lower(
		"start-file c\nstart-dir b\nstart-file b/z\nstart-file a\nstart-file B");
	struct image *image = image_create(l.ops);
	struct buf paths = {0};
	ck_assert_int_eq(image_walk(image, list_path, &paths), 0);
	ck_assert_str_eq(buf_text(&paths), "B a b b/z c ");
	buf_clear(&paths);
	ck_assert_int_eq(image_walk(image, stop_at_second, &paths), 7);
	ck_assert_str_eq(buf_text(&paths), "B a ");
	buf_finish(&paths);
	image_destroy(image);
	traces_release(&l);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("image");
	tcase_add_test(cases, the_newest_state_has_the_names_that_the_calls_left);
	tcase_add_loop_test(cases, digests_are_equal_where_trees_are_in_one_directory, 1, PROFILES);
	tcase_add_loop_test(cases, digests_are_equal_where_trees_are_with_links, 1, PROFILES);
	tcase_add_loop_test(cases, digests_are_equal_where_trees_are_with_directories, 1, PROFILES);
	tcase_add_test(cases, digests_are_equal_where_trees_are_with_torn_blocks);
	tcase_add_test(cases, how_a_tree_came_about_does_not_show);
	tcase_add_test(cases, what_a_program_can_see_shows);
	tcase_add_test(cases, what_changed_is_listed);
	tcase_add_test(cases, a_torn_block_is_listed_when_it_comes_and_when_it_goes);
	tcase_add_test(cases, reading_stops_at_the_end_and_fills_holes_with_zeros);
	tcase_add_test(cases, a_walk_goes_by_the_bytes_of_names_and_ends_when_told);
	tcase_set_timeout(cases, 300);
	Suite *suite = suite_create("image");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
