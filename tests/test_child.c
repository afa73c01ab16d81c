#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "mem.h"

enum {
	PIDS_MAX = 4096,
	LIFE_SECONDS = 20 /* of what should have been killed before: a broken killer must not
			     cost the machine */
};

/* What the children tell the test. */
static struct shared {
	uint32_t n_pids;
	pid_t pids[PIDS_MAX];
	uint32_t forks_left;
	char dir[64];
} * shared;

static struct child_result result;

static void set_up(void)
{
	struct err err = {0};
	shared = mem_map_shared(sizeof *shared);
	ck_assert_ptr_nonnull(shared);
	strcpy(shared->dir, "/tmp/test-child-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(shared->dir));
	ck_assert_msg(child_init(&err) == ERR_OK, "%s", err.text);
}

static void tear_down(void)
{
	char command[128];
	umount2(shared->dir, MNT_DETACH);
	snprintf(command, sizeof command, "rm -rf %s", shared->dir);
	ck_assert_int_eq(system(command), 0);
}

static void enlist(void)
{
	alarm(LIFE_SECONDS);
	uint32_t i = __atomic_fetch_add(&shared->n_pids, 1, __ATOMIC_SEQ_CST);
	if (i < PIDS_MAX)
		shared->pids[i] = getpid();
}

static void run(int (*function)(void *arg), const struct child_limits *limits)
{
	struct err err = {0};
	int got = child_run(function, NULL, shared->dir, limits, &result, &err);
	ck_assert_msg(got == ERR_OK, "%s", err.text);
	ck_assert(waitpid(-1, NULL, WNOHANG) < 0);
	for (uint32_t i = 0; i < shared->n_pids && i < PIDS_MAX; i++)
		ck_assert_msg(kill(shared->pids[i], 0) != 0, "process %d of %u survived",
			      (int)shared->pids[i], shared->n_pids);
}

static const struct child_limits wide = {.wall_ms = 20000};
static const struct child_limits brief = {.wall_ms = 200, .cpu_ms = 5000};

static int give_7(void *arg)
{
	(void)arg;
	return 7;
}

START_TEST(the_value_of_the_function_is_the_exit_status)
{
	run(give_7, &wide);
	ck_assert_int_eq(result.end, CHILD_EXIT);
	ck_assert_int_eq(result.code, 7);
	ck_assert(!result.survivors);
}
END_TEST

static int abort_now(void *arg)
{
	(void)arg;
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	return 0;
}

START_TEST(a_signal_is_named)
{
	run(abort_now, &wide);
	ck_assert_int_eq(result.end, CHILD_SIGNAL);
	ck_assert_int_eq(result.code, SIGABRT);
}
END_TEST

static int sleep_long(void *arg)
{
	(void)arg;
	enlist();
	for (;;)
		pause();
	return 0;
}

static int stop_itself(void *arg)
{
	(void)arg;
	enlist();
	raise(SIGSTOP);
	return 0;
}

static int ignore_everything(void *arg)
{
	(void)arg;
	enlist();
	for (int s = 1; s < 32; s++)
		signal(s, SIG_IGN);
	for (int i = 0; i < LIFE_SECONDS * 10; i++)
		usleep(100000);
	return 0;
}

static int (*const idlers[])(void *) = {sleep_long, stop_itself, ignore_everything};

START_TEST(a_child_that_does_not_end_is_ended_at_its_wall_time)
{
	uint64_t before = clock_ns();
	run(idlers[_i], &brief);
	uint64_t ms = (clock_ns() - before) / 1000000;
	ck_assert_int_eq(result.end, CHILD_WALL);
	ck_assert_uint_ge(ms, brief.wall_ms);
	ck_assert_uint_lt(ms, 10 * brief.wall_ms);
}
END_TEST

static int spin(void *arg)
{
	(void)arg;
	for (volatile int i = 0;;)
		i = !i;
	return 0;
}

static int spin_past_the_warning(void *arg)
{
	signal(SIGXCPU, SIG_IGN);
	return spin(arg);
}

static int (*const spinners[])(void *) = {spin, spin_past_the_warning};

START_TEST(a_child_that_computes_for_ever_is_ended_at_its_cpu_time)
{
	struct child_limits limits = {.wall_ms = 60000, .cpu_ms = 1};
	run(spinners[_i], &limits);
	ck_assert_int_eq(result.end, CHILD_CPU);
}
END_TEST

static int eat_memory(void *arg)
{
	(void)arg;
	for (size_t eaten = 0; eaten < (size_t)256 << 20; eaten += 1 << 20) {
		char *p = malloc(1 << 20);
		if (!p)
			return 1;
		memset(p, 1, 1 << 20);
	}
	return 0;
}

START_TEST(memory_is_refused_beyond_the_limit)
{
	struct child_limits limits = {.wall_ms = 20000, .memory_bytes = 64 << 20};
	if (!child_limits_memory()) {
		puts("SKIPPED: memory_is_refused_beyond_the_limit: not with the address sanitizer");
		return;
	}
	run(eat_memory, &limits);
	ck_assert_int_eq(result.end, CHILD_MEMORY);
	ck_assert_int_eq(result.code, 1);
}
END_TEST

static int eat_shared_memory(void *arg)
{
	size_t bytes = (size_t)128 << 20;
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, bytes);
	return sleep_long(arg);
}

START_TEST(memory_that_no_limit_of_the_kernel_counts_is_seen_at_a_tick)
{
	struct child_limits limits = {.wall_ms = 20000, .memory_bytes = 64 << 20};
	run(eat_shared_memory, &limits);
	ck_assert_int_eq(result.end, CHILD_MEMORY);
}
END_TEST

static int write_files(size_t n, size_t bytes)
{
	static char block[1 << 16];
	for (size_t i = 0; i < n; i++) {
		char path[128];
		snprintf(path, sizeof path, "%s/f%zu", shared->dir, i);
		int fd = open(path, O_CREAT | O_WRONLY, 0600);
		for (size_t at = 0; fd >= 0 && at < bytes; at += sizeof block)
			if (write(fd, block, sizeof block) < 0)
				return 1;
		close(fd);
	}
	return 0;
}

static int write_one_large_file(void *arg)
{
	(void)arg;
	return write_files(1, 16 << 20);
}

START_TEST(a_file_that_grows_too_large_is_an_end_of_its_own)
{
	struct child_limits limits = {.wall_ms = 20000, .file_bytes = 1 << 20};
	run(write_one_large_file, &limits);
	ck_assert_int_eq(result.end, CHILD_FILE);
}
END_TEST

static int write_many_files(void *arg)
{
	(void)arg;
	write_files(1 << 20, 1 << 20);
	return sleep_long(arg);
}

START_TEST(many_files_that_fill_the_disk_are_an_end_of_their_own)
{
	struct child_limits limits = {.wall_ms = 20000, .disk_bytes = 4 << 20};
	if (mount("none", shared->dir, "tmpfs", 0, "size=32m") != 0) {
		puts("SKIPPED: many_files_that_fill_the_disk…: needs the right to mount");
		return;
	}
	run(write_many_files, &limits);
	ck_assert_int_eq(result.end, CHILD_DISK);
}
END_TEST

static int make_a_daemon(void *arg)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			signal(SIGHUP, SIG_IGN);
			sleep_long(arg);
		}
		_exit(0);
	}
	wait(NULL);
	while (!__atomic_load_n(&shared->n_pids, __ATOMIC_SEQ_CST))
		usleep(100);
	return 0;
}

START_TEST(a_daemon_does_not_survive)
{
	run(make_a_daemon, &wide);
	ck_assert_uint_eq(shared->n_pids, 1);
	ck_assert_int_eq(result.end, CHILD_EXIT);
	ck_assert(result.survivors);
	run(give_7, &wide);
	ck_assert(!result.survivors);
}
END_TEST

static int leave_the_dead(void *arg)
{
	(void)arg;
	if (fork() == 0)
		_exit(0);
	usleep(20000);
	return 0;
}

START_TEST(what_was_left_behind_counts_even_where_it_is_dead_already)
{
	run(leave_the_dead, &wide);
	ck_assert(result.survivors);
}
END_TEST

/* Forks until forks_left is used up; each process stays and goes on, but not for
 * ever. */
static int fork_bomb(bool sessions)
{
	alarm(LIFE_SECONDS);
	for (;;) {
		uint32_t left = __atomic_load_n(&shared->forks_left, __ATOMIC_SEQ_CST);
		if (left == 0 ||
		    !__atomic_compare_exchange_n(&shared->forks_left, &left, left - 1, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			usleep(10000);
			continue;
		}
		if (fork() == 0) {
			if (sessions)
				setsid();
			enlist();
		}
	}
	return 0;
}

static int bomb_in_the_group(void *arg)
{
	(void)arg;
	return fork_bomb(false);
}

static int bomb_in_sessions(void *arg)
{
	(void)arg;
	return fork_bomb(true);
}

static int bomb_and_leave(void *arg)
{
	if (fork() == 0) {
		enlist();
		return bomb_in_sessions(arg);
	}
	usleep(5000);
	return 0;
}

static int (*const bombs[])(void *) = {bomb_in_the_group, bomb_in_sessions, bomb_and_leave};

START_TEST(a_fork_bomb_ends)
{
	shared->forks_left = 300;
	run(bombs[_i], &brief);
	ck_assert_int_eq(result.end, _i == 2 ? CHILD_EXIT : CHILD_WALL);
	ck_assert(result.survivors);
	ck_assert_uint_gt(shared->n_pids, 0);
}
END_TEST

static int look_at_limits(void *arg)
{
	struct rlimit core, cpu, file;
	(void)arg;
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_CPU, &cpu);
	getrlimit(RLIMIT_FSIZE, &file);
	return core.rlim_cur <= 1 && cpu.rlim_cur == 3 && file.rlim_max == 12345 &&
			       getpgrp() == getpid()
		       ? 0
		       : 1;
}

START_TEST(limits_and_group_are_the_childs_own)
{
	struct child_limits limits = {.wall_ms = 20000, .cpu_ms = 2001, .file_bytes = 12345};
	run(look_at_limits, &limits);
	ck_assert_int_eq(result.code, 0);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("child");
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_add_test(cases, the_value_of_the_function_is_the_exit_status);
	tcase_add_test(cases, a_signal_is_named);
	tcase_add_loop_test(cases, a_child_that_does_not_end_is_ended_at_its_wall_time, 0, 3);
	tcase_add_loop_test(cases, a_child_that_computes_for_ever_is_ended_at_its_cpu_time, 0, 2);
	tcase_add_test(cases, memory_is_refused_beyond_the_limit);
	tcase_add_test(cases, memory_that_no_limit_of_the_kernel_counts_is_seen_at_a_tick);
	tcase_add_test(cases, a_file_that_grows_too_large_is_an_end_of_its_own);
	tcase_add_test(cases, many_files_that_fill_the_disk_are_an_end_of_their_own);
	tcase_add_test(cases, a_daemon_does_not_survive);
	tcase_add_test(cases, what_was_left_behind_counts_even_where_it_is_dead_already);
	tcase_add_loop_test(cases, a_fork_bomb_ends, 0, 3);
	tcase_add_test(cases, limits_and_group_are_the_childs_own);
	Suite *suite = suite_create("child");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
