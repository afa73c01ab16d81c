/* Trees as data: equal digests for equal trees, and what is kept of one. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib_traces.h"
#include "model.h"
#include "seen.h"

static const struct seen *seen_of(const struct buf *tree)
{
	return (const struct seen *)(const void *)tree->data;
}

static void take(const struct ops *ops, uint32_t point, bool data, struct buf *tree)
{
	struct image *image = image_create(ops);
	struct state state = {.point = point, .tear = {.object = NONE}};
	image_goto(image, &state);
	seen_image(image, data, tree);
	image_destroy(image);
}

static void take_text(const char *text, bool data, struct buf *tree)
{
	struct traces_lowered l = traces_lower(text);
	take(l.ops, l.ops->n_steps, data, tree);
	traces_release(&l);
}

static bool same(const struct buf *a, const struct buf *b)
{
	struct digest x = seen_of(a)->digest, y = seen_of(b)->digest;
	return x.lo == y.lo && x.hi == y.hi;
}

/* Bytes of a file, read off the tree, are those of the image. */
static int check_node(void *arg, const char *path, uint32_t ino)
{
	void **args = arg;
	const struct image *image = args[0];
	const struct seen *seen = args[1];
	uint32_t *next = args[2], node = (*next)++, n_blocks = 0;
	uint8_t type = image_ops(image)->inodes[ino].type;
	ck_assert_str_eq(seen_path(seen, node), path);
	ck_assert_uint_eq(seen_find(seen, path), node);
	ck_assert_uint_eq(seen_node(seen, node)->type, type);
	if (type == INODE_FILE) {
		ck_assert_uint_eq(seen_node(seen, node)->size, image_size(image, ino));
		n_blocks = (uint32_t)((image_size(image, ino) + BLOCK_BYTES - 1) / BLOCK_BYTES);
	}
	for (uint32_t block = 0; block < n_blocks; block++) {
		uint8_t bytes[BLOCK_BYTES];
		struct digest d, have = seen_block(seen, node, block);
		image_read(image, ino, (uint64_t)block * BLOCK_BYTES, bytes, sizeof bytes);
		ops_digest(bytes, &d.lo, &d.hi);
		ck_assert(d.lo == have.lo && d.hi == have.hi);
		ck_assert(!seen->data || memcmp(seen_data(seen, node, block), bytes, 4096) == 0);
	}
	ck_assert_ptr_null(seen_data(seen, node, n_blocks + 1));
	return 0;
}

/* For all points of random traces: the tree is the image, and trees are told apart just
 * as their bytes are. */
START_TEST(a_tree_is_its_image)
{
	for (uint64_t seed = 0; seed < traces_rounds(100); seed++) {
		struct prng prng;
		prng_init(&prng, seed);
		char *text = traces_random(&prng, 12, TRACES_ALL);
		struct traces_lowered l = traces_lower(text);
		struct image *image = image_create(l.ops);
		struct buf before = {0}, before_dump = {0};
		/* The model goes over both halves of a rename at once. */
		struct model *model = model_create(l.ops, profile_find("kill"));
		do {
			uint32_t point = model_point(model);
			struct state state = {.point = point, .tear = {.object = NONE}};
			struct buf tree = {0}, dump = {0};
			uint32_t next = 0;
			image_goto(image, &state);
			seen_image(image, point % 2, &tree);
			traces_dump(l.ops, image, &dump);
			void *args[] = {image, tree.data, &next};
			image_walk(image, check_node, args);
			ck_assert_uint_eq(seen_of(&tree)->n_nodes, next);
			ck_assert_uint_eq(seen_of(&tree)->bytes, tree.len);
			ck_assert_uint_eq(seen_find(seen_of(&tree), "no such name"), NONE);
			if (point > 0) {
				bool equal = dump.len == before_dump.len &&
					     (!dump.len ||
					      memcmp(dump.data, before_dump.data, dump.len) == 0);
				ck_assert_msg(same(&tree, &before) == equal, "point %u of\n%s",
					      point, text);
			}
			buf_finish(&before);
			buf_finish(&before_dump);
			before = tree;
			before_dump = dump;
		} while (model_advance(model));
		model_destroy(model);
		buf_finish(&before);
		buf_finish(&before_dump);
		image_destroy(image);
		traces_release(&l);
		free(text);
	}
}
END_TEST

/* Each differs from all others. */
START_TEST(what_differs_has_another_digest)
{
	static const char *const texts[] = {
		"start-file a x*10\n",
		"start-file b x*10\n",
		"start-file a x*11\n",
		"start-file a x*10+0*1\n",
		"start-file a y*10\n",
		"start-file a 0*4096\n",
		"start-file a 0*8192\n",
		"start-dir a\n",
		"start-symlink a xxxxxxxxxx\n",
		"start-symlink a xxxxxxxxxy\n",
		"start-dir a\nstart-file a/b x*10\n",
		"start-dir a\nstart-file b x*10\n",
		"start-file a x*10\nstart-file b x*10\n",
		"start-file a x*10\nstart-link b a\n",
		"start-file a x*10\nstart-file b x*10\nstart-link c a\n",
		"start-file a x*10\nstart-file b x*10\nstart-link c b\n",
		"start-file a\ntmpfile\nunlink a\n",
	};
	enum { N = sizeof texts / sizeof *texts };
	struct buf trees[N] = {0};
	for (size_t i = 0; i < N; i++)
		take_text(texts[i], i % 2, &trees[i]);
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < N; k++)
			ck_assert_msg(same(&trees[i], &trees[k]) == (i == k), "%s%s", texts[i],
				      texts[k]);
	for (size_t i = 0; i < N; i++)
		buf_finish(&trees[i]);
}
END_TEST

/* However it came about, and whether bytes were kept. */
START_TEST(equal_trees_have_equal_digests)
{
	struct buf a = {0}, b = {0};
	take_text("start-file a x*5000\nstart-dir d\nstart-link d/b a\n", false, &a);
	take_text("creat z\nmkdir d\nwrite z 0 y*9000\ntruncate z 0\nlink z d/b\nrename z a\n"
		  "write d/b 0 x*5000\n",
		  true, &b);
	ck_assert(same(&a, &b));
	ck_assert(!seen_of(&a)->data && seen_of(&b)->data);
	buf_finish(&a);
	buf_finish(&b);
}
END_TEST

/* Names whose bytes come before the slash: what is below a directory still follows it. */
START_TEST(names_are_found_whatever_their_bytes)
{
	static const char *const paths[] = {"a", "a!", "a-b", "a/x", "a0", "a/x-/y", "a/x/y", "b"};
	struct buf tree = {0};
	take_text("start-dir a\nstart-file a!\nstart-file a-b\nstart-dir a/x\nstart-dir a/x-\n"
		  "start-file a/x-/y\nstart-file a/x/y\nstart-file a0\nstart-file b\n",
		  false, &tree);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		uint32_t node = seen_find(seen_of(&tree), paths[i]);
		ck_assert_uint_ne(node, NONE);
		ck_assert_str_eq(seen_path(seen_of(&tree), node), paths[i]);
	}
	ck_assert_uint_eq(seen_find(seen_of(&tree), "a/"), NONE);
	ck_assert_uint_eq(seen_find(seen_of(&tree), ""), NONE);
	buf_finish(&tree);
}
END_TEST

START_TEST(a_tree_in_words)
{
	struct buf tree = {0}, words = {0};
	take_text("start-dir d\nstart-file d/f 0*4096+x*10\nstart-link e d/f\nstart-symlink s to\n"
		  "start-file z 0*9000\nstart-file y x*1\n",
		  true, &tree);
	seen_print(seen_of(&tree), &words);
	ck_assert_str_eq(buf_text(&words), "d  directory\n"
					   "d/f  4106 bytes, block 0 zeros\n"
					   "e  link to d/f\n"
					   "s  symbolic link to to\n"
					   "y  1 byte\n"
					   "z  9000 bytes, blocks 0-2 zeros\n");
	buf_finish(&tree);
	buf_finish(&words);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("seen");
	tcase_set_timeout(cases, 100);
	tcase_add_test(cases, a_tree_is_its_image);
	tcase_add_test(cases, what_differs_has_another_digest);
	tcase_add_test(cases, equal_trees_have_equal_digests);
	tcase_add_test(cases, names_are_found_whatever_their_bytes);
	tcase_add_test(cases, a_tree_in_words);
	Suite *suite = suite_create("seen");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
