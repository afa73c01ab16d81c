#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "area.h"
#include "buf.h"
#include "disk.h"
#include "disk_inside.h"
#include "mem.h"
#include "prng.h"
#include "trace_text.h"

static char parent[64];
static struct trace *trace;
static struct ops *ops;
static struct disk *disk;
static struct err err;

static void set_up(void)
{
	snprintf(parent, sizeof parent, "/dev/shm/test-disk-XXXXXX");
	if (!mkdtemp(parent)) {
		snprintf(parent, sizeof parent, "/tmp/test-disk-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(parent));
	}
}

static void close_disk(void)
{
	disk_destroy(disk);
	trace_destroy(trace);
	disk = NULL;
	trace = NULL;
}

/* Removes the test's directory, in which nothing else may be left. */
static void tear_down(void)
{
	close_disk();
	ck_assert_msg(rmdir(parent) == 0, "%s: %s", parent, strerror(errno));
}

#define OK(call) ck_assert_msg((call) == ERR_OK, "%s", err.text)

static void lower(const char *text)
{
	OK(trace_parse(text, "test", &trace, &err));
	trace_seal(trace);
	OK(ops_lower(trace, &ops, &err));
}

static void open_disk(const char *text)
{
	lower(text);
	OK(disk_create(ops, parent, &disk, &err));
}

static struct state at(uint32_t point)
{
	return (struct state){.point = point, .tear = {.object = NONE}};
}

static struct state at_end(void)
{
	return at(ops->n_steps);
}

static void show(const struct state *state)
{
	OK(disk_show(disk, state, &err));
}

/* The first difference between a directory and a state, "" for none. */
static const char *difference(const struct state *state, const char *dir)
{
	static char text[512];
	OK(disk_compare(ops, state, dir, text, sizeof text, &err));
	return text;
}

static void check_shown(const struct state *state)
{
	ck_assert_str_eq(difference(state, disk_dir(disk)), "");
}

/* ---- comparing and exporting ---- */

static const char small_tree[] = "start-file a \"hello\"\n"
				 "start-link b a\n"
				 "start-dir d\n"
				 "start-file d/c x*5000\n"
				 "start-file d/e x*5000\n"
				 "start-symlink s d/c\n";

static const struct damage {
	const char *command, *found;
} damages[] = {
	{"true", ""},
	{"echo >n", "n: this file should not be there"},
	{"rm d/c", "d/c: it is missing"},
	{"rm s", "s: it is missing"},
	{"rm s; mkdir s", "s: it is a directory and not a symlink"},
	{"rm -r d; mkfifo d", "d: it is a special file and not a directory"},
	{"printf x >>d/c", "d/c: its size is 5001 and not 5000"},
	{"printf y | dd of=d/c bs=1 seek=4097 conv=notrunc 2>/dev/null",
	 "d/c: byte 4097 is 0x79 and not 0x78"},
	{"ln -sf d/e s", "s: it points to d/e and not to d/c"},
	{"rm b; cp a b", "b: it should be a link to a"},
	{"ln -f d/c d/e", "d/e: it should not be a link to d/c"},
};

START_TEST(a_comparison_finds_the_difference)
{
	char dir[128], command[512];
	lower(small_tree);
	struct state end = at_end();
	snprintf(dir, sizeof dir, "%s/tree", parent);
	OK(disk_export(ops, &end, dir, &err));
	snprintf(command, sizeof command, "cd %s && { %s; }", dir, damages[_i].command);
	ck_assert_int_eq(system(command), 0);
	ck_assert_str_eq(difference(&end, dir), damages[_i].found);
	snprintf(command, sizeof command, "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(an_export_goes_to_an_empty_directory_only)
{
	lower(small_tree);
	struct state end = at_end();
	char inner[128], command[256];
	snprintf(inner, sizeof inner, "%s/tree", parent);
	ck_assert_int_eq(mkdir(inner, 0755), 0);
	OK(disk_export(ops, &end, inner, &err));
	ck_assert_int_eq(disk_export(ops, &end, inner, &err), ERR_USAGE);
	snprintf(command, sizeof command, "rm -r %s", inner);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- random traces ---- */

enum { NAMES = 6, DIRS = 3 };

/* What the generator knows of the tree it is making: names n0.. in the root and
 * in directories d0.., which come and go. */
struct generator {
	struct prng prng;
	struct buf text;
	int file[DIRS + 1][NAMES]; /* which file is there, 0 for none; [DIRS] is the root */
	int files;
	bool dir[DIRS];
};

static uint64_t any(struct generator *g, uint64_t bound)
{
	return prng_below(&g->prng, bound);
}

static const char *path_of(int dir, int name)
{
	static char paths[4][16];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	if (dir == DIRS)
		snprintf(path, 16, "n%d", name);
	else
		snprintf(path, 16, "d%d/n%d", dir, name);
	return path;
}

/* A random place for a name whose directory exists. */
static void place(struct generator *g, int *dir, int *name)
{
	*dir = (int)any(g, DIRS + 1);
	if (*dir < DIRS && !g->dir[*dir])
		*dir = DIRS;
	*name = (int)any(g, NAMES);
}

static void generate_dir(struct generator *g)
{
	int d = (int)any(g, DIRS);
	bool used = false;
	for (int i = 0; i < NAMES; i++)
		used |= g->file[d][i] != 0;
	if (used)
		return;
	buf_printf(&g->text, "%s d%d\n", g->dir[d] ? "rmdir" : "mkdir", d);
	g->dir[d] = !g->dir[d];
}

static void generate_name(struct generator *g)
{
	int d1, n1, d2, n2;
	place(g, &d1, &n1);
	place(g, &d2, &n2);
	int *from = &g->file[d1][n1], *to = &g->file[d2][n2];
	if (!*from || *from == *to)
		return;
	if (any(g, 3) == 0 && !*to) {
		buf_printf(&g->text, "link %s %s\n", path_of(d1, n1), path_of(d2, n2));
		*to = *from;
	} else if (any(g, 3) == 0 && *to) {
		int swapped = *to;
		buf_printf(&g->text, "exchange %s %s\n", path_of(d1, n1), path_of(d2, n2));
		*to = *from;
		*from = swapped;
	} else if (any(g, 3) == 0) {
		buf_printf(&g->text, "unlink %s\n", path_of(d1, n1));
		*from = 0;
	} else {
		buf_printf(&g->text, "rename %s %s\n", path_of(d1, n1), path_of(d2, n2));
		*to = *from;
		*from = 0;
	}
}

static void generate_bytes(struct generator *g)
{
	int d, n;
	place(g, &d, &n);
	const char *path = path_of(d, n);
	unsigned long offset = any(g, 20000), length = 1 + any(g, 9000);
	char c = (char)('a' + any(g, 26));
	if (!g->file[d][n]) {
		buf_printf(&g->text, "creat %s\n", path);
		g->file[d][n] = ++g->files;
		return;
	}
	switch (any(g, 8)) {
	case 0:
		buf_printf(&g->text, "truncate %s %lu\n", path, offset);
		break;
	case 1:
		buf_printf(&g->text, "zero %s %lu %lu%s\n", path, offset, length,
			   any(g, 2) ? " keep" : "");
		break;
	case 2:
		buf_printf(&g->text, "fallocate %s %lu %lu\n", path, offset, length);
		break;
	case 3:
		buf_printf(&g->text, "append %s %c*%lu\n", path, c, length);
		break;
	default:
		buf_printf(&g->text, "write %s %lu %c*%lu\n", path, offset, c, length);
	}
}

static void generate(struct generator *g, uint64_t seed, int events)
{
	prng_init(&g->prng, seed);
	buf_string(&g->text, "start-file n0 \"start\"+z*7000\nstart-link n1 n0\n"
			     "start-dir d0\nstart-file d0/n0 0*5000+\"x\"\n");
	g->file[DIRS][0] = g->file[DIRS][1] = ++g->files;
	g->file[0][0] = ++g->files;
	g->dir[0] = true;
	for (int i = 0; i < events; i++) {
		uint64_t kind = any(g, 10);
		if (kind == 0)
			generate_dir(g);
		else if (kind < 4)
			generate_name(g);
		else
			generate_bytes(g);
	}
}

/* Whether no version of an entry is a directory. */
static bool plain_entry(uint32_t object)
{
	for (uint32_t v = 0; v <= ops->objects[object].n; v++) {
		uint32_t ino = ops_entry(ops, object, v);
		if (ino && ops->inodes[ino].type == INODE_DIR)
			return false;
	}
	return true;
}

/* A state that holds back older versions of some objects, and tears one. */
static struct state random_state(struct generator *g, struct buf *held)
{
	struct state s = at((uint32_t)any(g, ops->n_steps + 1));
	buf_clear(held);
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		uint32_t newest = ops_newest(ops, i, s.point);
		bool entry = ops->objects[i].kind == OBJECT_ENTRY;
		if (newest == 0 || any(g, 4) || (entry && !plain_entry(i)))
			continue;
		struct held h = {i, (uint32_t)any(g, newest)};
		buf_append(held, &h, sizeof h);
		s.n_held++;
	}
	s.held = (const struct held *)(const void *)held->data;
	for (uint32_t i = 0; i < ops->n_objects && any(g, 2); i++) {
		uint32_t object = (uint32_t)any(g, ops->n_objects);
		if (ops->objects[object].kind == OBJECT_BLOCK)
			s.tear = (struct tear){object, 0, (uint8_t)any(g, 256)};
	}
	return s;
}

START_TEST(whatever_was_shown_before_a_state_is_shown_as_it_is)
{
	struct generator g = {0};
	struct buf held = {0};
	generate(&g, (uint64_t)_i + 1, 60);
	open_disk(buf_text(&g.text));
	struct state start = at(0);
	check_shown(&start);
	for (int i = 0; i < 100; i++) {
		struct state s = random_state(&g, &held);
		show(&s);
		ck_assert_msg(!*difference(&s, disk_dir(disk)), "seed %d, state %d: %s", _i, i,
			      difference(&s, disk_dir(disk)));
		OK(disk_restore(disk, &err));
	}
	for (uint32_t point = 0; point <= ops->n_steps; point++) {
		struct state s = at(point);
		show(&s);
		check_shown(&s);
	}
	buf_finish(&g.text);
	buf_finish(&held);
}
END_TEST

START_TEST(an_export_equals_its_state)
{
	struct generator g = {0};
	struct buf held = {0};
	char dir[128], command[256];
	generate(&g, 77, 60);
	lower(buf_text(&g.text));
	for (int i = 0; i < 20; i++) {
		struct state s = random_state(&g, &held);
		snprintf(dir, sizeof dir, "%s/tree", parent);
		OK(disk_export(ops, &s, dir, &err));
		ck_assert_str_eq(difference(&s, dir), "");
		snprintf(command, sizeof command, "rm -r %s", dir);
		ck_assert_int_eq(system(command), 0);
	}
	buf_finish(&g.text);
	buf_finish(&held);
}
END_TEST

/* ---- undoing ---- */

/* Runs a function in a child in the disk's directory, then restores. */
static void vandalise(void (*function)(struct generator *g), struct generator *g)
{
	const char *dir = disk_dir(disk);
	pid_t pid = fork();
	if (pid == 0) {
		if (chdir(dir) == 0)
			function(g);
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	OK(disk_restore(disk, &err));
}

/* A random name below the working directory: old, or new with a chance. */
static const char *some_name(struct generator *g)
{
	static char names[4][300];
	static unsigned turn;
	char *name = names[turn++ % 4];
	switch (any(g, 12)) {
	case 0:
		snprintf(name, 300, "new%d", (int)any(g, 4));
		break;
	case 1:
		memset(name, 'x', 255);
		name[255] = '\0';
		break;
	case 2:
		snprintf(name, 300, "d%d", (int)any(g, DIRS));
		break;
	case 3:
		snprintf(name, 300, "newdir/n%d", (int)any(g, NAMES));
		break;
	default:
		snprintf(name, 300, "%s", path_of((int)any(g, DIRS + 1), (int)any(g, NAMES)));
	}
	return name;
}

static void vandal_write(struct generator *g)
{
	int fd = open(some_name(g), O_RDWR | (any(g, 2) ? O_CREAT : 0), 0600);
	char bytes[5000];
	memset(bytes, 'V', sizeof bytes);
	if (pwrite(fd, bytes, any(g, sizeof bytes), (off_t)any(g, 12000)) < 0)
		return;
	if (any(g, 3) == 0)
		fchmod(fd, (mode_t)any(g, 01000));
	if (any(g, 3) == 0)
		fsetxattr(fd, "user.vandal", "x", 1, 0);
	if (any(g, 3) == 0)
		fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 100, 6000);
}

static void vandal_map(struct generator *g)
{
	int fd = open(some_name(g), O_RDWR);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
		return;
	size_t pages = ((size_t)st.st_size + 4095) & ~(size_t)4095;
	char *p = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	volatile char c = p[0];
	p[any(g, (uint64_t)st.st_size)] = (char)(c + 1);
	p[pages - 1] = 'V'; /* most often past the end of the file */
}

static void vandal_rename(struct generator *g)
{
	const char *to = some_name(g);
	rename(some_name(g), to);
	if (any(g, 2)) {
		int fd = open(to, O_WRONLY | (any(g, 2) ? O_TRUNC : 0));
		if (write(fd, "V", 1) == 1 && any(g, 2))
			unlink(to);
	}
}

static void vandal_link(struct generator *g)
{
	const char *new = any(g, 2) ? some_name(g) : "../own-link";
	if (link(some_name(g), new) != 0)
		return;
	int fd = open(new, O_WRONLY);
	if (write(fd, "LINK", 4) == 4 && any(g, 2))
		truncate(new, (off_t)any(g, 9000));
	unlink(new);
}

static void vandal_make(struct generator *g)
{
	const char *name = some_name(g);
	if (any(g, 2))
		unlink(name);
	switch (any(g, 5)) {
	case 0:
		mkfifo(name, 0600);
		break;
	case 1:
		mkdir("newdir", (mode_t)any(g, 01000));
		mkdir(name, 0700);
		break;
	case 2:
		/* To nothing: what follows would be done to a file of this machine. */
		if (symlink("/nonexistent/file", name) != 0)
			return;
		break;
	case 3: {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		snprintf(address.sun_path, sizeof address.sun_path, "%.60s", name);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
			return;
		break;
	}
	default:
		for (int i = 0; i < 40 && mkdir("deep", 0700) == 0 && chdir("deep") == 0; i++)
			close(open("file", O_CREAT | O_WRONLY, 0));
	}
}

static void vandal_remove(struct generator *g)
{
	const char *name = some_name(g);
	if (unlink(name) != 0)
		rmdir(name);
	chmod(some_name(g), (mode_t)any(g, 01000));
	truncate(some_name(g), (off_t)any(g, 20000));
	if (any(g, 8) == 0)
		chmod(".", 0);
	if (any(g, 8) == 0)
		utimensat(AT_FDCWD, ".", NULL, 0);
}

static void vandal(struct generator *g)
{
	static void (*const acts[])(struct generator *) = {
		vandal_write, vandal_map, vandal_rename, vandal_link, vandal_make, vandal_remove};
	for (uint64_t i = 1 + any(g, 6); i > 0; i--)
		acts[any(g, sizeof acts / sizeof *acts)](g);
}

START_TEST(whatever_a_child_did_is_undone)
{
	struct generator g = {0};
	struct buf held = {0};
	generate(&g, (uint64_t)_i + 1000, 50);
	open_disk(buf_text(&g.text));
	for (int i = 0; i < 60; i++) {
		struct state s = random_state(&g, &held);
		show(&s);
		vandalise(vandal, &g);
		ck_assert_msg(!*difference(&s, disk_dir(disk)), "seed %d, round %d: %s", _i, i,
			      difference(&s, disk_dir(disk)));
		any(&g, 1000); /* the child's choices were made on a copy: differ next time */
	}
	buf_finish(&g.text);
	buf_finish(&held);
}
END_TEST

START_TEST(without_inotify_everything_is_compared)
{
	struct generator g = {0};
	struct buf held = {0};
	generate(&g, 4711, 50);
	open_disk(buf_text(&g.text));
	close(disk->notify);
	disk->notify = -1;
	for (int i = 0; i < 60; i++) {
		struct state s = random_state(&g, &held);
		show(&s);
		vandalise(vandal, &g);
		check_shown(&s);
		any(&g, 1000);
	}
	buf_finish(&g.text);
	buf_finish(&held);
}
END_TEST

static void flood(struct generator *g)
{
	(void)g;
	for (int i = 0; i < 12000; i++) {
		const char *name = i % 2 ? "flood1" : "flood2";
		close(open(name, O_CREAT | O_WRONLY, 0600));
		unlink(name);
	}
	int fd = open("a", O_WRONLY);
	if (write(fd, "J", 1) != 1)
		_exit(1);
}

START_TEST(more_events_than_the_kernel_keeps_are_survived)
{
	open_disk(small_tree);
	struct state end = at_end();
	show(&end);
	vandalise(flood, NULL);
	check_shown(&end);
}
END_TEST

static void do_nothing(struct generator *g)
{
	(void)g;
	close(open("a", O_RDONLY));
	closedir(opendir("."));
}

static void write_nothing(struct generator *g)
{
	(void)g;
	close(open("a", O_WRONLY));
}

START_TEST(a_child_that_only_reads_costs_one_look)
{
	open_disk(small_tree);
	struct state end = at_end();
	show(&end);
	uint32_t turn = disk->turn;
	vandalise(do_nothing, NULL);
	ck_assert_uint_eq(disk->turn, turn);
	vandalise(write_nothing, NULL);
	ck_assert_uint_eq(disk->turn, turn + 1);
}
END_TEST

static void store_past_the_ends(struct generator *g)
{
	static const char *const names[] = {"a", "b"};
	(void)g;
	for (int i = 0; i < 2; i++) {
		struct stat st;
		int fd = open(names[i], O_RDWR);
		if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
			continue;
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		memset(p + st.st_size, 'V', 4096 - (size_t)st.st_size);
	}
}

START_TEST(bytes_left_behind_the_end_of_a_file_never_come_back)
{
	open_disk("start-file a \"x\"\ntruncate a 4000\ntruncate a 3\nwrite a 10 \"y\"\n"
		  "creat b\ntruncate b 10\ntruncate b 4000\n");
	for (uint32_t from = 0; from <= ops->n_steps; from++) {
		for (uint32_t to = 0; to <= ops->n_steps; to++) {
			struct generator g = {.prng = {from * 100 + to}};
			struct state a = at(from), b = at(to);
			show(&a);
			vandalise(store_past_the_ends, &g);
			show(&b);
			check_shown(&b);
		}
	}
}
END_TEST

static void spoil_attributes(struct generator *g)
{
	(void)g;
	if (setxattr("a", "user.vandal", "x", 1, 0) != 0 && errno != EOPNOTSUPP)
		_exit(1);
	if (chmod("d/c", 0) != 0 || chmod("d", 0) != 0 || chmod(".", 0500) != 0)
		_exit(1);
}

START_TEST(attributes_are_put_back)
{
	static const struct {
		const char *name;
		mode_t mode;
	} expected[] = {{".", 0755}, {"a", 0644}, {"d", 0755}, {"d/c", 0644}};
	open_disk(small_tree);
	struct state end = at_end();
	show(&end);
	vandalise(spoil_attributes, NULL);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		char path[512], names[64];
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", disk_dir(disk), expected[i].name);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, expected[i].mode);
		ck_assert_int_le(listxattr(path, names, sizeof names), 0);
	}
}
END_TEST

START_TEST(what_showing_itself_did_is_not_taken_for_a_childs)
{
	open_disk("creat a\ncreat b\nrename a b\nunlink b\nmkdir d\ncreat d/a\n");
	for (uint32_t point = 0; point <= ops->n_steps; point++) {
		struct state s = at(point);
		show(&s);
		uint32_t turn = disk->turn;
		OK(disk_restore(disk, &err));
		ck_assert_uint_eq(disk->turn, turn);
	}
}
END_TEST

/* ---- areas ---- */

START_TEST(the_area_of_a_dead_process_is_swept_and_no_other)
{
	struct area mine, found;
	OK(area_create(parent, &mine, &err));
	pid_t pid = fork();
	if (pid == 0) {
		_exit(area_create(parent, &found, NULL) == ERR_OK ? 0 : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	char path[128];
	snprintf(path, sizeof path, "%s/powercut-%d-0", parent, (int)pid);
	ck_assert_int_eq(access(path, F_OK), 0);
	area_sweep(parent);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(access(mine.path, F_OK), 0);
	area_remove(&mine);
}
END_TEST

START_TEST(a_directory_that_cannot_be_worked_in_is_named)
{
	char chosen[AREA_PATH_MAX];
	ck_assert_int_eq(area_choose("/nonexistent", chosen, &err), ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent"));
	ck_assert_ptr_nonnull(strstr(err.text, "--tmp"));
	OK(area_choose(NULL, chosen, &err));
	ck_assert_int_eq(access(chosen, W_OK), 0);
}
END_TEST

START_TEST(a_deep_tree_is_removed)
{
	char top[128];
	int here = open(".", O_RDONLY | O_DIRECTORY);
	snprintf(top, sizeof top, "%s/top", parent);
	ck_assert(mkdir(top, 0700) == 0 && chdir(top) == 0);
	for (int i = 0; i < 3000; i++) {
		char name[200];
		memset(name, 'n', sizeof name);
		name[sizeof name - 1] = '\0';
		ck_assert(mkdir(name, 0700) == 0 && chdir(name) == 0);
	}
	ck_assert_int_eq(fchdir(here), 0);
	int dir = open(parent, O_RDONLY | O_DIRECTORY);
	ck_assert_msg(area_tree_remove(dir, dir, "top") == 0, "%s", strerror(errno));
	close(dir);
	close(here);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("disk");
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_loop_test(cases, a_comparison_finds_the_difference, 0,
			    sizeof damages / sizeof *damages);
	tcase_add_test(cases, an_export_goes_to_an_empty_directory_only);
	tcase_add_loop_test(cases, whatever_was_shown_before_a_state_is_shown_as_it_is, 0, 8);
	tcase_add_test(cases, an_export_equals_its_state);
	tcase_add_loop_test(cases, whatever_a_child_did_is_undone, 0, 8);
	tcase_add_test(cases, without_inotify_everything_is_compared);
	tcase_add_test(cases, more_events_than_the_kernel_keeps_are_survived);
	tcase_add_test(cases, a_child_that_only_reads_costs_one_look);
	tcase_add_test(cases, bytes_left_behind_the_end_of_a_file_never_come_back);
	tcase_add_test(cases, attributes_are_put_back);
	tcase_add_test(cases, what_showing_itself_did_is_not_taken_for_a_childs);
	tcase_add_test(cases, the_area_of_a_dead_process_is_swept_and_no_other);
	tcase_add_test(cases, a_directory_that_cannot_be_worked_in_is_named);
	tcase_add_test(cases, a_deep_tree_is_removed);
	Suite *suite = suite_create("disk");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
