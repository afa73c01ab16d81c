/* Looking at a real tree: it is seen just as the image that it was made from. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "choose.h"
#include "disk.h"
#include "lib_traces.h"
#include "look.h"
#include "mem.h"
#include "seen.h"

static char parent[64];

static void set_up(void)
{
	snprintf(parent, sizeof parent, "/dev/shm/test-look-XXXXXX");
	if (!mkdtemp(parent)) {
		snprintf(parent, sizeof parent, "/tmp/test-look-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(parent));
	}
}

static void tear_down(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -r %s", parent);
	ck_assert_int_eq(system(command), 0);
}

static int open_parent(void)
{
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The two are equal byte by byte but for nothing. */
static void check_state(const struct ops *ops, struct image *image, const struct state *state,
			const char *text)
{
	struct buf real = {0}, wanted = {0};
	struct err err;
	char dir[80];
	snprintf(dir, sizeof dir, "%s/tree", parent);
	ck_assert_msg(disk_export(ops, state, dir, &err) == 0, "%s", err.text);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool data = state->point % 2;
	ck_assert_msg(look_tree(fd, data, &real, &err) == 0, "%s", err.text);
	close(fd);
	image_goto(image, state);
	seen_image(image, data, &wanted);
	ck_assert_msg(real.len == wanted.len && memcmp(real.data, wanted.data, real.len) == 0,
		      "point %u of\n%s", state->point, text);
	buf_finish(&real);
	buf_finish(&wanted);
	tear_down();
	ck_assert_int_eq(mkdir(parent, 0700), 0);
}

START_TEST(a_real_tree_is_seen_as_its_image)
{
	for (uint64_t seed = 0; seed < traces_rounds(8); seed++) {
		struct prng prng;
		struct state state;
		prng_init(&prng, seed + 7);
		char *text = traces_random(&prng, 25, TRACES_ALL);
		struct traces_lowered l = traces_lower(text);
		struct image *image = image_create(l.ops);
		struct model *model = model_create(l.ops, profile_find("posix"));
		do {
			if (model_point(model) % 5)
				continue;
			struct chooser *c = chooser_create(model, CHOOSE_RANDOM, NONE, 3, seed);
			while (chooser_next(c, &state))
				check_state(l.ops, image, &state, text);
			chooser_destroy(c);
		} while (model_advance(model));
		model_destroy(model);
		image_destroy(image);
		traces_release(&l);
		free(text);
	}
}
END_TEST

START_TEST(what_the_model_does_not_know_is_an_error)
{
	struct buf out = {0};
	struct err err;
	int fd = open_parent();
	ck_assert_int_eq(mkdirat(fd, "d", 0700), 0);
	ck_assert_int_eq(mkfifoat(fd, "d/pipe", 0600), 0);
	ck_assert_int_eq(look_tree(fd, true, &out, &err), ERR_CORRUPT);
	ck_assert_str_eq(err.text, "d/pipe is neither a file nor a directory nor a symbolic link");
	ck_assert_uint_eq(out.len, 0);
	buf_finish(&out);
	close(fd);
}
END_TEST

/* Also where a link leads out of the tree, or into itself; links to links are links. */
START_TEST(links_are_not_followed)
{
	struct buf out = {0}, words = {0};
	struct err err;
	int fd = open_parent();
	ck_assert_int_eq(mkdirat(fd, "lost+found", 0700), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", fd, "out"), 0);
	ck_assert_int_eq(symlinkat(".", fd, "self"), 0);
	ck_assert_int_eq(linkat(fd, "self", fd, "same", 0), 0);
	/* Twice: the directory's descriptor is as it was. */
	for (int i = 0; i < 2; i++) {
		buf_clear(&out);
		buf_clear(&words);
		ck_assert_msg(look_tree(fd, true, &out, &err) == 0, "%s", err.text);
		seen_print((const struct seen *)(const void *)out.data, &words);
		ck_assert_str_eq(buf_text(&words), "lost+found  directory\n"
						   "out  symbolic link to /etc/passwd\n"
						   "same  symbolic link to .\n"
						   "self  link to same\n");
	}
	buf_finish(&out);
	buf_finish(&words);
	close(fd);
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
	struct buf out = {0};
	struct err err;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(look_tree(fd, false, &out, &err), ERR_IO);
	ck_assert_str_eq(err.text, "cannot list the directory: Not a directory");
	close(fd);
	/* root may read everything, so another one looks. */
	fd = open_parent();
	ck_assert_int_eq(mkdirat(fd, "d", 0700), 0);
	int file = openat(fd, "d/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0);
	close(file);
	fchmodat(fd, ".", 0755, 0);
	fchmodat(fd, "d", 0755, 0);
	pid_t pid = fork();
	if (pid == 0) {
		bool lowered = geteuid() != 0 || setuid(65534) == 0;
		int rc = lowered ? look_tree(fd, false, &out, &err) : ERR_OK;
		_exit(rc == ERR_IO && strcmp(err.text, "cannot open d/secret: Permission denied") ==
					      0
			      ? 0
			      : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(fd);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("look");
	tcase_set_timeout(cases, 100);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, a_real_tree_is_seen_as_its_image);
	tcase_add_test(cases, what_the_model_does_not_know_is_an_error);
	tcase_add_test(cases, links_are_not_followed);
	tcase_add_test(cases, what_cannot_be_read_is_named);
	Suite *suite = suite_create("look");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
