#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "last_words.h"
#include "mem.h"
#include "recover.h"
#include "stage.h"
#include "trace_text.h"

/* What the recoveries and the test tell each other. */
static struct shared {
	uint32_t runs;
	pid_t pids[16];
	/* What stages did. */
	uint32_t created, destroyed, shown, restored, swept;
	uint32_t kept_open; /* descriptors and current directories in the way of restore */
} * shared;

static char parent[64];
static struct trace *trace;
static struct ops *ops;
static struct history history = {.n_keys = 2};
static struct pool *pool;
static struct recovery recovery;
static struct err err;

#define OK(call) ck_assert_msg((call) == ERR_OK, "%s", err.text)

static const char steps[] = "start-file a \"\"\n"
			    "append a x*10\nappend a y*5000\nrename a b\nrename b a\n"
			    "truncate a 7\nappend a z*9000\ncreat c\nunlink c\n";

static void set_up(void)
{
	snprintf(parent, sizeof parent, "/dev/shm/test-recover-XXXXXX");
	if (!mkdtemp(parent)) {
		snprintf(parent, sizeof parent, "/tmp/test-recover-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(parent));
	}
	shared = mem_map_shared(sizeof *shared);
	OK(trace_parse(steps, "test", &trace, &err));
	trace_seal(trace);
	OK(ops_lower(trace, &ops, &err));
}

/* A pool leaves nothing in its directory. */
static void tear_down(void)
{
	pool_destroy(pool);
	pool = NULL;
	trace_destroy(trace);
	ck_assert_msg(rmdir(parent) == 0, "%s: %s", parent, strerror(errno));
}

typedef int recover_fn(void *arg, const char *dir, struct contents *contents,
		       struct conduct *conduct, struct engine_error *error);

static const struct child_limits limits = {.wall_ms = 250, .cpu_ms = 5000};

static void open_pool(recover_fn *recover, uint32_t jobs)
{
	struct recover_job job = {.recover = recover};
	struct pool_options options = {.jobs = jobs, .parent = parent, .limits = limits, .cpu = -1};
	OK(pool_create(ops, &history, &job, &options, &pool, &err));
}

static struct state at(uint32_t point)
{
	return (struct state){.point = point, .tear = {.object = NONE}};
}

static void run_at(uint32_t point)
{
	struct state s = at(point);
	OK(pool_run(pool, &s, &recovery, &err));
}

static uint32_t count_run(void)
{
	return __atomic_fetch_add(&shared->runs, 1, __ATOMIC_SEQ_CST);
}

/* ---- results ---- */

/* Keys 0 and 1: the sizes of a and b, plus one where they are there.  Then it
 * does some damage. */
static int read_sizes(void *arg, const char *dir, struct contents *contents,
		      struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	static const char *const names[] = {"a", "b"};
	char path[300];
	(void)arg;
	(void)error;
	for (int i = 0; i < 2; i++) {
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		if (stat(path, &st) == 0)
			contents->write[i] = (uint32_t)st.st_size + 1;
	}
	snprintf(path, sizeof path, "%s/%s", dir, contents->write[0] ? "a" : "b");
	truncate(path, 123);
	snprintf(path, sizeof path, "%s/new", dir);
	mkdir(path, 0);
	return 0;
}

static void check_sizes(uint32_t point)
{
	static const uint32_t expected[][2] = {
		{1, 0},	   {1, 0},    {11, 0},	 {11, 0}, /* 10 bytes */
		{4097, 0}, {4097, 0}, {5011, 0},	  /* in two blocks */
	};
	ck_assert_int_eq(recovery.end, RECOVERY_OK);
	ck_assert_uint_eq(recovery.contents->n_keys, 2);
	if (point < sizeof expected / sizeof *expected) {
		ck_assert_uint_eq(recovery.contents->write[0], expected[point][0]);
		ck_assert_uint_eq(recovery.contents->write[1], expected[point][1]);
	}
	if (point == ops->n_steps)
		ck_assert_uint_eq(recovery.contents->write[0], 9008);
}

START_TEST(a_pool_recovers_every_state_with_any_number_of_workers)
{
	uint32_t points = ops->n_steps + 1, submitted = 0, taken = 0, rounds = 10 * points;
	bool seen[1000] = {false};
	open_pool(read_sizes, (uint32_t)_i);
	while (taken < rounds) {
		struct state s = at(submitted % points);
		if (submitted < rounds && pool_submit(pool, &s, submitted)) {
			submitted++;
			continue;
		}
		ck_assert_uint_eq(pool_busy(pool), submitted - taken);
		OK(pool_wait(pool, &recovery, &err));
		ck_assert(!seen[recovery.tag]);
		seen[recovery.tag] = true;
		check_sizes((uint32_t)recovery.tag % points);
		taken++;
	}
	ck_assert_int_eq(pool_wait(pool, &recovery, &err), ERR_MISSING);
	uint64_t cpu_ns, recoveries;
	pool_cost(pool, &cpu_ns, &recoveries);
	ck_assert_uint_eq(recoveries, rounds);
	ck_assert_uint_gt(cpu_ns, 0);
}
END_TEST

/* ---- ends ---- */

static int fail_with_path(void *arg, const char *dir, struct contents *contents,
			  struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	(void)arg;
	(void)contents;
	snprintf(error->text, sizeof error->text, "cannot read %s/a", dir);
	return -1;
}

static int fail_silently(void *arg, const char *dir, struct contents *contents,
			 struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	(void)arg;
	(void)dir;
	(void)contents;
	(void)error;
	return -1;
}

static int die_of_a_signal(void *arg, const char *dir, struct contents *contents,
			   struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	(void)arg;
	(void)contents;
	(void)error;
	fprintf(stderr, "first\n==%d==ERROR: at 0x%lx in %s/a\nlast\n", (int)getpid(),
		(unsigned long)(uintptr_t)dir, dir);
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	return 0;
}

static int leave(void *arg, const char *dir, struct contents *contents, struct conduct *conduct,
		 struct engine_error *error)
{
	(void)conduct;
	(void)arg;
	(void)dir;
	(void)contents;
	(void)error;
	dprintf(STDOUT_FILENO, "good\n\nbye\n");
	_exit(0);
}

static int hang(void *arg, const char *dir, struct contents *contents, struct conduct *conduct,
		struct engine_error *error)
{
	(void)conduct;
	(void)arg;
	(void)dir;
	(void)contents;
	(void)error;
	count_run();
	alarm(30); /* were it not killed, it would end */
	for (;;)
		pause();
	return 0;
}

static int hang_once(void *arg, const char *dir, struct contents *contents, struct conduct *conduct,
		     struct engine_error *error)
{
	(void)conduct;
	return count_run() == 0 ? hang(arg, dir, contents, conduct, error)
				: read_sizes(arg, dir, contents, conduct, error);
}

static int write_without_end(void *arg, const char *dir, struct contents *contents,
			     struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	static char block[1 << 16];
	char path[300];
	(void)arg;
	(void)contents;
	(void)error;
	snprintf(path, sizeof path, "%s/large", dir);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	while (write(fd, block, sizeof block) > 0)
		;
	return -1;
}

static int make_a_daemon(void *arg, const char *dir, struct contents *contents,
			 struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			shared->pids[0] = getpid();
			hang(arg, dir, contents, conduct, error);
		}
		_exit(0);
	}
	wait(NULL);
	while (!__atomic_load_n(&shared->runs, __ATOMIC_SEQ_CST))
		usleep(100);
	return 0;
}

static int kill_the_worker_once(void *arg, const char *dir, struct contents *contents,
				struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	if (count_run() == 3)
		kill(getppid(), SIGKILL);
	return read_sizes(arg, dir, contents, conduct, error);
}

static int kill_the_worker(void *arg, const char *dir, struct contents *contents,
			   struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	kill(getppid(), SIGKILL);
	return read_sizes(arg, dir, contents, conduct, error);
}

static const struct ending {
	recover_fn *recover;
	enum recovery_end end;
	const char *text;
	bool survivors;
} endings[] = {
	{read_sizes, RECOVERY_OK, "", false},
	{fail_with_path, RECOVERY_FAILED, "cannot read a", false},
	{fail_silently, RECOVERY_FAILED, "an error without a text", false},
	{die_of_a_signal, RECOVERY_SIGNAL, "signal 6 (Aborted): ERROR: at 0x in a", false},
	{leave, RECOVERY_EXIT, "left the process with status 0: bye", false},
	{hang, RECOVERY_TIMEOUT, "no end within 250 ms, and within 2500 ms alone", false},
	{hang_once, RECOVERY_UNSTABLE,
	 "no end within 250 ms, but an end when it was run again alone", false},
	{make_a_daemon, RECOVERY_OK, "", true},
	{kill_the_worker, RECOVERY_BROKEN, "two workers ended during this recovery (signal 9)",
	 false},
};

START_TEST(each_way_to_end_is_told_apart_and_the_pool_goes_on)
{
	const struct ending *e = &endings[_i];
	open_pool(e->recover, 1);
	run_at(3);
	ck_assert_str_eq(recovery.text, e->text);
	ck_assert_int_eq(recovery.end, e->end);
	ck_assert_int_eq(recovery.survivors, e->survivors);
	if (shared->pids[0])
		ck_assert_int_ne(kill(shared->pids[0], 0), 0);
	if (e->end == RECOVERY_TIMEOUT) {
		ck_assert_uint_eq(shared->runs, 2);
		return;
	}
	shared->runs = e->recover == hang_once;
	run_at(2);
	ck_assert_int_eq(recovery.end, e->recover == hang_once ? RECOVERY_OK : e->end);
}
END_TEST

static int leave_with_words_once(void *arg, const char *dir, struct contents *contents,
				 struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	if (count_run() == 0)
		return leave(arg, dir, contents, conduct, error);
	_exit(0);
}

START_TEST(what_one_recovery_printed_is_not_laid_at_the_nexts_door)
{
	open_pool(leave_with_words_once, 1);
	run_at(1);
	ck_assert_str_eq(recovery.text, "left the process with status 0: bye");
	run_at(1);
	ck_assert_str_eq(recovery.text, "left the process with status 0");
}
END_TEST

START_TEST(a_file_that_grows_without_end_exceeds_a_limit)
{
	struct recover_job job = {.recover = write_without_end};
	struct pool_options options = {
		.jobs = 1, .parent = parent, .limits = {.file_bytes = 1 << 20}, .cpu = -1};
	OK(pool_create(ops, &history, &job, &options, &pool, &err));
	run_at(1);
	ck_assert_int_eq(recovery.end, RECOVERY_LIMIT);
	ck_assert_str_eq(recovery.text, "a file grew beyond 1048576 bytes");
}
END_TEST

/* Runs with a small tmpfs as the parent; false where mounting is not allowed. */
static bool mount_small(void)
{
	if (mount("none", parent, "tmpfs", 0, "size=80m") == 0)
		return true;
	puts("SKIPPED: a test of a full disk needs the right to mount");
	return false;
}

static void unmount_small(void)
{
	pool_destroy(pool);
	pool = NULL;
	ck_assert_int_eq(umount(parent), 0);
}

START_TEST(a_disk_that_is_too_small_is_our_fault_and_named)
{
	if (!mount_small())
		return;
	open_pool(write_without_end, 1);
	run_at(1);
	ck_assert_int_eq(recovery.end, RECOVERY_BROKEN);
	ck_assert_ptr_nonnull(strstr(recovery.text, parent));
	ck_assert_ptr_nonnull(strstr(recovery.text, "--tmp"));
	unmount_small();
}
END_TEST

static int fill_the_disk(void *arg, const char *dir, struct contents *contents,
			 struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	write_without_end(arg, dir, contents, conduct, error);
	return hang(arg, dir, contents, conduct, error);
}

START_TEST(writing_too_much_exceeds_a_limit)
{
	struct recover_job job = {.recover = fill_the_disk};
	struct pool_options options = {.jobs = 1,
				       .parent = parent,
				       .limits = {.wall_ms = 9000, .disk_bytes = 4 << 20},
				       .cpu = -1};
	if (!mount_small())
		return;
	OK(pool_create(ops, &history, &job, &options, &pool, &err));
	run_at(1);
	ck_assert_int_eq(recovery.end, RECOVERY_LIMIT);
	ck_assert_str_eq(recovery.text, "it wrote more than 4 MiB");
	unmount_small();
}
END_TEST

START_TEST(a_parent_that_is_too_small_is_refused)
{
	struct recover_job job = {.recover = read_sizes};
	struct pool_options options = {.jobs = 1, .parent = parent, .cpu = -1};
	if (mount("none", parent, "tmpfs", 0, "size=1m") != 0) {
		puts("SKIPPED: a_parent_that_is_too_small…: needs the right to mount");
		return;
	}
	ck_assert_int_eq(pool_create(ops, &history, &job, &options, &pool, &err), ERR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "--tmp"));
	unmount_small();
}
END_TEST

/* ---- workers that die ---- */

START_TEST(the_jobs_of_a_killed_worker_are_run_by_another)
{
	open_pool(kill_the_worker_once, 2);
	for (uint32_t i = 0; i < 10; i++) {
		struct state s = at(i);
		ck_assert(pool_submit(pool, &s, i));
	}
	for (int i = 0; i < 10; i++) {
		OK(pool_wait(pool, &recovery, &err));
		check_sizes((uint32_t)recovery.tag);
	}
	ck_assert_uint_eq(shared->runs, 11);
}
END_TEST

static int hang_and_tell(void *arg, const char *dir, struct contents *contents,
			 struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	shared->pids[1] = getpid();
	shared->pids[2] = getppid();
	return hang(arg, dir, contents, conduct, error);
}

static bool alive(pid_t pid)
{
	char path[64], state = 'X';
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	fclose(f);
	return state != 'Z' && state != 'X';
}

START_TEST(workers_die_with_the_process_that_made_them_and_their_areas_are_swept)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct state s = at(0);
		struct recover_job job = {.recover = hang_and_tell};
		struct pool_options options = {
			.jobs = 1, .parent = parent, .limits = {.wall_ms = 60000}, .cpu = -1};
		if (pool_create(ops, &history, &job, &options, &pool, &err) == ERR_OK)
			pool_run(pool, &s, &recovery, &err);
		_exit(1);
	}
	while (!__atomic_load_n(&shared->runs, __ATOMIC_SEQ_CST))
		usleep(1000);
	ck_assert(alive(shared->pids[1]) && alive(shared->pids[2]));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 1000 && (alive(shared->pids[1]) || alive(shared->pids[2])); i++)
		usleep(1000);
	ck_assert(!alive(shared->pids[1]) && !alive(shared->pids[2]));
	ck_assert_int_ne(rmdir(parent), 0);
	open_pool(read_sizes, 1);
}
END_TEST

START_TEST(a_pool_ends_at_once_while_a_recovery_hangs)
{
	struct recover_job job = {.recover = hang};
	struct pool_options options = {
		.jobs = 1, .parent = parent, .limits = {.wall_ms = 60000}, .cpu = -1};
	struct state s = at(0);
	OK(pool_create(ops, &history, &job, &options, &pool, &err));
	ck_assert(pool_submit(pool, &s, 0));
	while (!__atomic_load_n(&shared->runs, __ATOMIC_SEQ_CST))
		usleep(1000);
}
END_TEST

/* ---- stages ---- */

/* A stage that makes the first of held objects' numbers the contents of the only file,
 * and has its directory only while a state is shown. */
struct fake {
	const struct fake_arg *arg;
	char area[80], dir[100];
};

struct fake_arg {
	const char *mount; /* options of a tmpfs that is mounted there; NULL: none */
	uint32_t show_fails, restore_fails; /* the how manieth call of all does; 0: none */
};

static int fake_create(const void *arg, const struct ops *of, const char *where, void **stage,
		       struct err *e)
{
	struct fake *f = mem_alloc(1, sizeof *f);
	(void)of;
	f->arg = arg;
	snprintf(f->area, sizeof f->area, "%s/fake-%d-%u", where, (int)getpid(),
		 __atomic_add_fetch(&shared->created, 1, __ATOMIC_SEQ_CST));
	snprintf(f->dir, sizeof f->dir, "%s/shown", f->area);
	*stage = f;
	return mkdir(f->area, 0700) == 0 ? ERR_OK : err_sys(e, "cannot make %s", f->area);
}

static int fake_clear(struct fake *f)
{
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	int rc = area_tree_clear(fd);
	close(fd);
	if (f->arg->mount && umount(f->dir) != 0)
		return -1;
	return rc == 0 ? rmdir(f->dir) : rc;
}

static void fake_destroy(void *stage)
{
	struct fake *f = stage;
	char path[120];
	if (!f)
		return;
	__atomic_add_fetch(&shared->destroyed, 1, __ATOMIC_SEQ_CST);
	fake_clear(f);
	snprintf(path, sizeof path, "%s/own-output", f->area);
	unlink(path);
	rmdir(f->area);
	free(f);
}

static const char *fake_dir(const void *stage)
{
	return ((const struct fake *)stage)->dir;
}

static const char *fake_area(const void *stage)
{
	return ((const struct fake *)stage)->area;
}

static int fake_show(void *stage, const struct state *state, struct err *e)
{
	struct fake *f = stage;
	char path[120];
	if (__atomic_add_fetch(&shared->shown, 1, __ATOMIC_SEQ_CST) == f->arg->show_fails)
		return err_set(e, ERR_IO, "show fails");
	if (mkdir(f->dir, 0700) != 0)
		return err_sys(e, "cannot make %s", f->dir);
	if (f->arg->mount && mount("none", f->dir, "tmpfs", 0, f->arg->mount) != 0)
		return err_sys(e, "cannot mount");
	snprintf(path, sizeof path, "%s/number", f->dir);
	FILE *file = fopen(path, "w");
	if (!file)
		return err_sys(e, "cannot make %s", path);
	fprintf(file, "%u\n", state->n_held ? state->held[0].object : 0);
	return fclose(file) == 0 ? ERR_OK : err_sys(e, "cannot write %s", path);
}

/* Links in /proc of this process that lead into the directory. */
static uint32_t links_into(const char *dir)
{
	uint32_t n = 0;
	for (int fd = -1; fd < 256; fd++) {
		char link[64], to[300] = "";
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		n += readlink(fd < 0 ? "/proc/self/cwd" : link, to, sizeof to - 1) > 0 &&
		     strncmp(to, dir, strlen(dir)) == 0;
	}
	return n;
}

static int fake_restore(void *stage, struct err *e)
{
	struct fake *f = stage;
	shared->kept_open += links_into(f->dir);
	if (__atomic_add_fetch(&shared->restored, 1, __ATOMIC_SEQ_CST) == f->arg->restore_fails)
		return err_set(e, ERR_IO, "restore fails");
	return fake_clear(f) == 0 ? ERR_OK : err_sys(e, "cannot clear %s", f->dir);
}

static void fake_sweep(const void *arg, const char *where)
{
	ck_assert_ptr_nonnull(arg);
	ck_assert_str_eq(where, parent);
	shared->swept++;
}

static const struct stage_kind fake_kind = {
	.create = fake_create,
	.destroy = fake_destroy,
	.dir = fake_dir,
	.area = fake_area,
	.show = fake_show,
	.restore = fake_restore,
	.sweep = fake_sweep,
};

static uint32_t read_number(const char *dir)
{
	char path[300];
	unsigned number = UINT32_MAX;
	snprintf(path, sizeof path, "%s/number", dir);
	FILE *file = fopen(path, "r");
	if (!file || fscanf(file, "%u", &number) != 1)
		number = UINT32_MAX;
	if (file)
		fclose(file);
	return number;
}

/* Key 0: the number.  Then it does some damage, and leaves somebody there. */
static int take_number(void *arg, const char *dir, struct contents *contents,
		       struct conduct *conduct, struct engine_error *error)
{
	(void)conduct;
	(void)arg;
	(void)error;
	contents->write[0] = read_number(dir);
	if (chdir(dir) != 0 || mkdir("new", 0) != 0 || unlink("number") != 0)
		return -1;
	if (fork() == 0) {
		setsid();
		for (;;)
			pause();
	}
	return 0;
}

struct fake_answer {
	uint32_t point, number;
	uint64_t order;
};

static void answer_number(void *arg, const struct state *state, uint64_t order, const char *dir,
			  void *answer)
{
	struct fake_answer *a = answer;
	(void)arg;
	*a = (struct fake_answer){state->point, read_number(dir), order};
}

static void open_fake(recover_fn *recover, const struct ops *of, const struct fake_arg *arg,
		      bool here)
{
	static struct recover_job job;
	job = (struct recover_job){.recover = recover,
				   .errand = answer_number,
				   .answer_bytes = sizeof(struct fake_answer)};
	struct pool_options options = {.jobs = 1,
				       .parent = parent,
				       .limits = limits,
				       .stage = &fake_kind,
				       .stage_arg = arg,
				       .cpu = -1};
	int rc = here ? pool_create_here(of, &history, &job, &options, &pool, &err)
		      : pool_create(of, &history, &job, &options, &pool, &err);
	ck_assert_msg(rc == ERR_OK, "%s", err.text);
}

static struct state numbered(uint32_t point, struct held *held)
{
	return (struct state){.point = point, .n_held = 1, .held = held, .tear = {.object = NONE}};
}

static void run_numbered(uint32_t number)
{
	struct held held = {.object = number};
	struct state s = numbered(2, &held);
	OK(pool_run(pool, &s, &recovery, &err));
}

static void check_fakes(uint32_t shown, uint32_t created)
{
	pool_destroy(pool);
	pool = NULL;
	ck_assert_uint_eq(shared->shown, shown);
	ck_assert_uint_eq(shared->created, created);
	ck_assert_uint_eq(shared->destroyed, created);
	ck_assert_uint_eq(shared->kept_open, 0);
}

START_TEST(recoveries_and_errands_are_shown_states_on_the_stage_that_was_asked_for)
{
	static const struct fake_arg arg = {0};
	struct held held = {.object = 70000};
	struct state s = numbered(4, &held);
	if (_i)
		OK(child_init(&err));
	open_fake(take_number, ops, &arg, _i);
	for (uint32_t number = 1u << 31; number < (1u << 31) + 3; number++) {
		run_numbered(number);
		ck_assert_msg(recovery.end == RECOVERY_OK, "%s", recovery.text);
		ck_assert_uint_eq(recovery.contents->write[0], number);
		ck_assert(recovery.survivors);
	}
	ck_assert(pool_errand(pool, &s, 99, 5));
	OK(pool_wait(pool, &recovery, &err));
	const struct fake_answer *a = recovery.answer;
	ck_assert_int_eq(recovery.end, RECOVERY_OK);
	ck_assert_uint_eq(a->number, 70000);
	ck_assert_uint_eq(a->point, 4);
	ck_assert_uint_eq(a->order, 99);
	ck_assert_uint_eq(shared->restored, 4);
	check_fakes(4, 1);
	ck_assert_uint_eq(shared->swept, _i ? 0 : 2);
}
END_TEST

START_TEST(a_trace_without_objects_has_room_for_a_number)
{
	static const struct fake_arg arg = {0};
	struct trace *none;
	struct ops *of_none;
	OK(trace_parse("", "test", &none, &err));
	trace_seal(none);
	OK(ops_lower(none, &of_none, &err));
	ck_assert_uint_eq(of_none->n_objects, 0);
	open_fake(take_number, of_none, &arg, false);
	run_numbered(12345);
	ck_assert_uint_eq(recovery.contents->write[0], 12345);
	check_fakes(1, 1);
	trace_destroy(none);
}
END_TEST

START_TEST(a_stage_that_fails_is_replaced)
{
	static const struct fake_arg show = {.show_fails = 2}, restore = {.restore_fails = 2};
	open_fake(take_number, ops, _i ? &restore : &show, false);
	for (uint32_t number = 1; number < 4; number++) {
		run_numbered(number);
		ck_assert_msg(recovery.end == RECOVERY_OK, "%s", recovery.text);
		ck_assert_uint_eq(recovery.contents->write[0], number);
	}
	check_fakes(_i ? 3 : 4, 2);
}
END_TEST

/* As small as a file system may be that a failure is still laid at the recovery's door,
 * full, and with room. */
static const struct mounted {
	const char *options;
	recover_fn *recover;
	enum recovery_end end;
	const char *text;
} mounted[] = {
	{"size=1m", fail_silently, RECOVERY_FAILED, "an error without a text"},
	{"size=3m", write_without_end, RECOVERY_BROKEN,
	 "the file system that states are shown on is full"},
	{"size=80m", fill_the_disk, RECOVERY_LIMIT, "it wrote more than 4 MiB"},
};

START_TEST(a_mounted_stage_has_its_own_room)
{
	const struct mounted *m = &mounted[_i];
	struct fake_arg arg = {.mount = m->options};
	struct recover_job job = {.recover = m->recover};
	struct pool_options options = {.jobs = 1,
				       .parent = parent,
				       .limits = {.wall_ms = 9000, .disk_bytes = 4 << 20},
				       .stage = &fake_kind,
				       .stage_arg = &arg,
				       .cpu = -1};
	if (!mount_small())
		return;
	OK(pool_create(ops, &history, &job, &options, &pool, &err));
	run_numbered(1);
	ck_assert_str_eq(recovery.text, m->text);
	ck_assert_int_eq(recovery.end, m->end);
	unmount_small();
	ck_assert_uint_eq(shared->created, shared->destroyed);
}
END_TEST

/* ---- texts ---- */

START_TEST(a_text_loses_what_differs_from_run_to_run)
{
	char text[] = "==123==ERROR: bad\tread of 0x7ffE12 in /dev/shm/p-1/data/f, not 0x. ==x==";
	last_words_tidy(text, "/dev/shm/p-1/data");
	ck_assert_str_eq(text, "ERROR: bad read of 0x in f, not 0x. ==x==");
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("recover");
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_loop_test(cases, a_pool_recovers_every_state_with_any_number_of_workers, 1, 4);
	tcase_add_loop_test(cases, each_way_to_end_is_told_apart_and_the_pool_goes_on, 0,
			    sizeof endings / sizeof *endings);
	tcase_add_test(cases, what_one_recovery_printed_is_not_laid_at_the_nexts_door);
	tcase_add_test(cases, a_file_that_grows_without_end_exceeds_a_limit);
	tcase_add_test(cases, a_disk_that_is_too_small_is_our_fault_and_named);
	tcase_add_test(cases, writing_too_much_exceeds_a_limit);
	tcase_add_test(cases, a_parent_that_is_too_small_is_refused);
	tcase_add_test(cases, the_jobs_of_a_killed_worker_are_run_by_another);
	tcase_add_test(cases,
		       workers_die_with_the_process_that_made_them_and_their_areas_are_swept);
	tcase_add_test(cases, a_pool_ends_at_once_while_a_recovery_hangs);
	tcase_add_loop_test(cases,
			    recoveries_and_errands_are_shown_states_on_the_stage_that_was_asked_for,
			    0, 2);
	tcase_add_test(cases, a_trace_without_objects_has_room_for_a_number);
	tcase_add_loop_test(cases, a_stage_that_fails_is_replaced, 0, 2);
	tcase_add_loop_test(cases, a_mounted_stage_has_its_own_room, 0,
			    sizeof mounted / sizeof *mounted);
	tcase_add_test(cases, a_text_loses_what_differs_from_run_to_run);
	Suite *suite = suite_create("recover");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
