#include "tracee.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { THREADS = 4, WRITES = 50 };

/* Each thread fills a file of its own and one that all append to. */
static void *fill(void *arg)
{
	char name[16], line[16];
	int id = *(int *)arg;
	snprintf(name, sizeof name, "t%d", id);
	int own = open_raw(name, O_CREAT | O_WRONLY),
	    shared = open_raw("shared", O_CREAT | O_WRONLY | O_APPEND);
	for (int i = 0; i < WRITES; i++) {
		int n = snprintf(line, sizeof line, "%d:%d\n", id, i);
		NEED(write(own, line, (size_t)n));
		NEED(write(shared, line, (size_t)n));
		if (i % 10 == 0)
			NEED(fsync(own));
		NEED(rename(name, name)); /* does nothing */
	}
	NEED(unlink(name));
	return NULL;
}

/* All threads make and remove the same few names. */
static void *race(void *arg)
{
	static const char *const names[] = {"a", "b", "d/c"};
	int id = *(int *)arg;
	for (int i = 0; i < WRITES; i++) {
		const char *name = names[(i + id) % 3], *other = names[(i + 2 * id + 1) % 3];
		int fd = open(name, O_CREAT | O_WRONLY | (i % 2 ? O_TRUNC : 0), 0666);
		ssize_t n = write(fd, "race", 4);
		(void)!n;
		(void)!rename(name, other);
		if (i % 3 == 0)
			unlink(other);
		if (i % 4 == 0)
			(void)!link(name, other);
		fsync(fd);
		close(fd);
	}
	return NULL;
}

static volatile char restless[4096];

/* One thread writes what another never stops changing. */
static void *write_restless(void *arg)
{
	int id = *(int *)arg, fd = open_raw("f", O_CREAT | O_WRONLY);
	if (id == 0) {
		for (int i = 0; i < 4 * WRITES; i++)
			NEED(syscall(SYS_pwrite64, fd, restless, sizeof restless,
				     (long)(i * sizeof restless)));
		_exit(0);
	}
	if (id > 1)
		return NULL;
	for (;;) {
		for (size_t i = 0; i < sizeof restless; i += 64)
			restless[i]++;
		sched_yield();
	}
}

/* One thread makes directories wherever another has led them all. */
static void *wander(void *arg)
{
	static const char *const names[] = {"../a", "../b"};
	int id = *(int *)arg;
	char name[16];
	if (id > 1)
		return NULL;
	if (id == 1)
		for (int i = 0;; i++) {
			NEED(chdir(names[i % 2]));
			sched_yield();
		}
	for (int i = 0; i < 4 * WRITES; i++) {
		snprintf(name, sizeof name, "d%d", i);
		NEED(mkdir(name, 0777));
	}
	_exit(0);
}

static int run_threads(void *(*run)(void *))
{
	pthread_t threads[THREADS];
	int ids[THREADS];
	for (int i = 0; i < THREADS; i++) {
		ids[i] = i;
		if (pthread_create(&threads[i], NULL, run, &ids[i]) != 0)
			return 99;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

int tracee_threads(void)
{
	return run_threads(fill);
}

int tracee_racing(void)
{
	NEED(mkdir("d", 0777));
	return run_threads(race);
}

int tracee_restless(void)
{
	return run_threads(write_restless);
}

int tracee_wandering(void)
{
	NEED(mkdir("a", 0777));
	NEED(mkdir("b", 0777));
	NEED(chdir("a"));
	return run_threads(wander);
}

/* Forever, always one after the other. */
int tracee_forking(void)
{
	for (;;)
		if (NEED(fork()) != 0)
			_exit(0);
}

int tracee_children(void)
{
	int fd = open_raw("f", O_CREAT | O_WRONLY);
	expect("openat creat f");
	for (int i = 0; i < 3; i++) {
		expect("write write f %d \"%d\"", 2 * i, i);
		expect("write write f %d \"+\"", 2 * i + 1);
		fflush(stdout);
		pid_t pid = (pid_t)NEED(fork());
		if (pid == 0) {
			char byte = (char)('0' + i);
			NEED(syscall(SYS_write, fd, &byte, 1));
			_exit(0);
		}
		int status;
		NEED(waitpid(pid, &status, 0));
		NEED(syscall(SYS_write, fd, "+", 1));
	}
	return 0;
}

int tracee_shell(void)
{
	expect("openat creat f");
	expect("write write f 0 \"hello\\x0a\"");
	expect("openat creat g");
	expect("write write g 0 \"world\\x0a\"");
	expect("openat open f");
	expect("openat truncate f 0");
	fflush(stdout);
	return system("echo hello > f; (echo world > g); : > f");
}

int tracee_killed(void)
{
	int fd = open_raw("f", O_CREAT | O_WRONLY);
	expect("openat creat f");
	NEED(syscall(SYS_write, fd, "last", 4));
	expect("write write f 0 \"last\"");
	fflush(stdout);
	kill(getpid(), SIGKILL);
	NEED(syscall(SYS_write, fd, "never", 5));
	return 0;
}

/* Leaves a process of another session behind, which would write forever. */
int tracee_daemon(void)
{
	if (NEED(fork()) == 0) {
		setsid();
		if (NEED(fork()) == 0) {
			int fd = open_raw("f", O_CREAT | O_WRONLY);
			for (;;) {
				NEED(syscall(SYS_pwrite64, fd, "x", 1, 0L));
				usleep(1000);
			}
		}
		_exit(0);
	}
	int status;
	NEED(wait(&status));
	return 7;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	(void)number;
	caught++;
}

/* Signals, stops and continuations pass through. */
int tracee_signals(void)
{
	signal(SIGUSR1, on_signal);
	int fd = open_raw("f", O_CREAT | O_WRONLY);
	expect("openat creat f");
	fflush(stdout);
	pid_t parent = getpid(), pid = (pid_t)NEED(fork());
	if (pid == 0) {
		for (int i = 0; i < 20; i++)
			kill(parent, SIGUSR1);
		raise(SIGSTOP);
		NEED(syscall(SYS_write, fd, "a", 1));
		_exit(3);
	}
	expect("write write f 0 \"a\"");
	int status;
	while (waitpid(pid, &status, WUNTRACED) < 0)
		;
	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
		return 99;
	usleep(20000);
	if (lseek(fd, 0, SEEK_END) != 0)
		return 97; /* it was not really stopped */
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 3 && caught > 0 ? 0 : 98;
}

static void *exec_shell(void *arg)
{
	(void)arg;
	execl("/bin/sh", "sh", "-c", "echo after > g", (char *)NULL);
	return NULL;
}

static void *sleep_long(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* An exec by a thread ends the others and takes the number of the first. */
int tracee_exec_from_thread(void)
{
	pthread_t a, b;
	close(open_raw("f", O_CREAT | O_WRONLY));
	expect("openat creat f");
	expect("openat creat g");
	expect("write write g 0 \"after\\x0a\"");
	fflush(stdout);
	pthread_create(&a, NULL, sleep_long, NULL);
	pthread_create(&b, NULL, exec_shell, NULL);
	pthread_join(b, NULL);
	return 99;
}
