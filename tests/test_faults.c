#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/ptrace.h>

#include "fault.h"
#include "faults.h"
#include "marker.h"
#include "mem.h"

/* Runs body(shared) in a child; how it ended, as wait says. */
static int in_child(int (*body)(volatile int *shared), volatile int *shared)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(body(shared));
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool dies(int (*body)(volatile int *shared), volatile int *shared)
{
	int status = in_child(body, shared);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool succeeds(int (*body)(volatile int *shared), volatile int *shared)
{
	int status = in_child(body, shared);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void pass(int times, volatile int *count)
{
	for (int i = 0; i < times; i++) {
		FAULT_POINT("eng/op/one");
		++*count;
		FAULT_POINT("eng/op/two");
		++*count;
		FAULT_POINT("eng/other/one");
		++*count;
	}
}

static volatile int *shared_int(void)
{
	return mem_map_shared(sizeof(int));
}

static int unasked(volatile int *shared)
{
	pass(3, shared);
	if (fault_points_on || fault_mutants_on || MUTANT("eng/bug"))
		return 1;
	return faults_init(1, NULL) != ERR_OK || fault_points_on || fault_mutants_on;
}

START_TEST(nothing_is_on_unless_asked_for)
{
	ck_assert(succeeds(unasked, shared_int()));
}
END_TEST

static int third_passage(volatile int *shared)
{
	if (faults_init(1, NULL) || faults_kill_at("eng/op/two", 3, NULL))
		return 1;
	pass(9, shared);
	return 0;
}

START_TEST(the_process_dies_at_the_passage_asked_for)
{
	volatile int *count = shared_int();
	ck_assert(dies(third_passage, count));
	ck_assert_int_eq(*count, 7);
}
END_TEST

static int tenth_passage_of_nine(volatile int *shared)
{
	if (faults_init(1, NULL) || faults_kill_at("eng/op/two", 10, NULL))
		return 1;
	pass(9, shared);
	return 0;
}

START_TEST(a_passage_that_never_comes_kills_nobody)
{
	ck_assert(succeeds(tenth_passage_of_nine, shared_int()));
}
END_TEST

static int third_of_a_star(volatile int *shared)
{
	if (faults_init(1, NULL) || faults_kill_at("eng/op/*", 3, NULL))
		return 1;
	pass(9, shared);
	return 0;
}

START_TEST(a_star_counts_all_that_it_matches)
{
	volatile int *count = shared_int();
	ck_assert(dies(third_of_a_star, count));
	ck_assert_int_eq(*count, 3);
}
END_TEST

static int replaced(volatile int *shared)
{
	if (faults_init(1, NULL) || faults_kill_at("eng/op/one", 1, NULL) ||
	    faults_kill_at("eng/other/one", 2, NULL))
		return 1;
	pass(9, shared);
	return 0;
}

START_TEST(a_second_kill_replaces_the_first)
{
	volatile int *count = shared_int();
	ck_assert(dies(replaced, count));
	ck_assert_int_eq(*count, 5);
}
END_TEST

static int forgetful(volatile int *shared)
{
	if (faults_init(1, NULL) || faults_kill_at("eng/op/one", 4, NULL) ||
	    faults_enable_mutant("eng/bug", NULL))
		return 1;
	pass(3, shared);
	if (faults_init(2, NULL) || fault_points_on || fault_mutants_on)
		return 2;
	pass(3, shared);
	fault_mutants_on = true; /* the gate open, the mutant is off all the same */
	if (MUTANT("eng/bug"))
		return 3;
	if (faults_kill_at("eng/op/one", 2, NULL))
		return 4;
	pass(3, shared);
	return 0;
}

START_TEST(init_turns_everything_off_and_counts_anew)
{
	volatile int *count = shared_int();
	ck_assert(dies(forgetful, count));
	ck_assert_int_eq(*count, 9 + 9 + 3);
}
END_TEST

static int mutant_by_name(volatile int *shared)
{
	(void)shared;
	if (faults_init(1, NULL) || faults_mark(NULL) || MUTANT("eng/bug"))
		return 1;
	if (faults_enable_mutant("eng/bug", NULL) || faults_enable_mutant("eng/bug", NULL))
		return 2;
	for (int i = 0; i < 3; i++)
		if (!MUTANT("eng/bug") || MUTANT("eng/bug2") || MUTANT("eng/bu"))
			return 3;
	return faults_enable_mutant("other/*", NULL) || !MUTANT("other/any") || MUTANT("third/any");
}

START_TEST(a_mutant_is_on_by_its_name_only)
{
	ck_assert(succeeds(mutant_by_name, shared_int()));
}
END_TEST

static int mutant_and_point_of_one_name(volatile int *shared)
{
	if (faults_init(1, NULL) || faults_enable_mutant("*", NULL))
		return 1;
	pass(1, shared);
	if (fault_points_on || faults_kill_at("*", 100, NULL))
		return 2;
	return !MUTANT("eng/op/one");
}

START_TEST(patterns_for_mutants_and_for_points_do_not_mix)
{
	ck_assert(succeeds(mutant_and_point_of_one_name, shared_int()));
}
END_TEST

START_TEST(names_and_numbers_that_cannot_be_are_refused)
{
	struct err err = {0};
	char name[300];
	memset(name, 'x', sizeof name);
	name[sizeof name - 1] = '\0';
	ck_assert_int_eq(faults_init(1, &err), ERR_OK);
	ck_assert_int_eq(faults_kill_at("eng/op/one", 0, &err), ERR_USAGE);
	ck_assert_str_eq(err.text, "passages of eng/op/one are counted from 1");
	ck_assert_int_eq(faults_kill_at("", 1, &err), ERR_USAGE);
	ck_assert_int_eq(faults_enable_mutant(name, &err), ERR_USAGE);
	ck_assert(!fault_points_on && !fault_mutants_on);
}
END_TEST

/* Takes the marker out of a system call that is being entered: "name number "
 * is added to text. */
static void note_marker(pid_t pid, char *text, size_t size)
{
	struct __ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_prctl ||
	    info.entry.args[0] != MARKER_OPTION)
		return;
	char name[100] = "";
	struct iovec to = {name, sizeof name - 1};
	struct iovec from = {(void *)(uintptr_t)info.entry.args[3], info.entry.args[4]};
	ck_assert_uint_lt(from.iov_len, sizeof name);
	ck_assert_int_eq(process_vm_readv(pid, &to, 1, &from, 1, 0), (ssize_t)from.iov_len);
	ck_assert_uint_eq(info.entry.args[1], MARKER_FAULT);
	size_t used = strlen(text);
	snprintf(text + used, size - used, "%s %d ", name, (int)info.entry.args[2]);
}

START_TEST(marks_name_each_passage_with_its_number_the_fatal_one_included)
{
	pid_t pid = fork();
	if (pid == 0) {
		int n = 0;
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		if (faults_init(1, NULL) || faults_mark(NULL) ||
		    faults_kill_at("eng/op/two", 2, NULL))
			_exit(1);
		pass(5, &n);
		_exit(2);
	}
	char text[500] = "";
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	while (WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			note_marker(pid, text, sizeof text);
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	}
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_str_eq(text, "eng/op/one 1 eng/op/two 1 eng/other/one 1 "
			       "eng/op/one 2 eng/op/two 2 ");
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("faults");
	tcase_add_test(cases, nothing_is_on_unless_asked_for);
	tcase_add_test(cases, the_process_dies_at_the_passage_asked_for);
	tcase_add_test(cases, a_passage_that_never_comes_kills_nobody);
	tcase_add_test(cases, a_star_counts_all_that_it_matches);
	tcase_add_test(cases, a_second_kill_replaces_the_first);
	tcase_add_test(cases, init_turns_everything_off_and_counts_anew);
	tcase_add_test(cases, a_mutant_is_on_by_its_name_only);
	tcase_add_test(cases, patterns_for_mutants_and_for_points_do_not_mix);
	tcase_add_test(cases, names_and_numbers_that_cannot_be_are_refused);
	tcase_add_test(cases, marks_name_each_passage_with_its_number_the_fatal_one_included);
	Suite *suite = suite_create("faults");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
