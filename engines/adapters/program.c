#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"

enum {
	CHUNK = 1 << 14,
	MOMENT_MS = 1000, /* for a program that closed its output to end */
	LOOK_MS = 1,
};

struct program {
	pid_t pid;   /* of its first process, and its group */
	int in, out; /* our ends of its input and output; -1: closed */
	bool ended;  /* it was waited for, */
	int status;  /* and this is how it ended */
	int reaper;  /* whether this process reaped orphans before */
	struct bytes_buffer heard;
	size_t taken; /* bytes of heard that were given out */
};

/* ---- time ---- */

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The moment at which a timeout is over; -1: never. */
static int64_t deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

/* Waits until a descriptor is ready; false where that is too late. */
static bool ready(int fd, short events, int64_t until)
{
	for (;;) {
		int64_t left = until < 0 ? -1 : until - now_ms();
		struct pollfd p = {.fd = fd, .events = events};
		if (until >= 0 && left < 0)
			left = 0;
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

/* ---- starting ---- */

/* Both ends above those that a program takes for its input and output. */
static int make_pipe(int pair[2])
{
	if (pipe2(pair, O_CLOEXEC) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		int fd = pair[i] > 2 ? pair[i] : fcntl(pair[i], F_DUPFD_CLOEXEC, 3);
		if (fd != pair[i])
			close(pair[i]);
		pair[i] = fd;
	}
	return pair[0] < 0 || pair[1] < 0 ? -1 : 0;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The words of a command, which are cut up in place; the list is the caller's. */
static char **split(char *command)
{
	size_t n = 0;
	char **words = calloc(strlen(command) / 2 + 2, sizeof *words);
	for (char *rest = command, *word; words && (word = strsep(&rest, " \t"));)
		if (*word)
			words[n++] = word;
	return words;
}

/* In the new process: becomes the program. */
static _Noreturn void become(char *const *words, int in, int out, int report)
{
	sigset_t none;
	sigemptyset(&none);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execvp(words[0], words);
	int error = errno;
	ssize_t n = write(report, &error, sizeof error);
	_exit(n == (ssize_t)sizeof error ? 127 : 126);
}

/* 0, or why it could not be done (errno). */
static int spawn(struct program *p, char *const *words)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, report[2] = {-1, -1}, error = 0;
	if (make_pipe(in) || make_pipe(out) || make_pipe(report) ||
	    fcntl(in[1], F_SETFL, O_NONBLOCK) || (p->pid = fork()) < 0) {
		error = errno;
	} else if (p->pid == 0) {
		become(words, in[0], out[1], report[1]);
	} else {
		setpgid(p->pid, p->pid);
		close_end(&report[1]);
		while (read(report[0], &error, sizeof error) < 0 && errno == EINTR)
			continue;
	}
	p->in = in[1];
	p->out = out[0];
	close_end(&in[0]);
	close_end(&out[1]);
	close_end(&report[0]);
	close_end(&report[1]);
	return error;
}

struct program *program_start(const char *command, struct engine_error *error)
{
	static const char shell_signs[] = "|&;<>()$`\\\"'*?[]#~=\n";
	struct program *p = calloc(1, sizeof *p);
	char *copy = strdup(command);
	char *shell[] = {(char[]){"sh"}, (char[]){"-c"}, copy, NULL};
	char **words = copy && !strpbrk(command, shell_signs) ? split(copy) : NULL;
	int why = ENOMEM;
	if (p && copy) {
		p->in = p->out = -1;
		/* What its processes leave behind is ours to end. */
		prctl(PR_GET_CHILD_SUBREAPER, &p->reaper);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		why = words && !words[0] ? ENOENT : spawn(p, words ? words : shell);
	}
	if (why) {
		engine_fail(error, "cannot be started: %s", strerror(why));
		program_destroy(p);
		p = NULL;
	}
	free(words);
	free(copy);
	return p;
}

/* ---- ending ---- */

/* Whether it has ended, waiting for that. */
static bool wait_for_end(struct program *p, int64_t until)
{
	while (!p->ended) {
		pid_t pid = waitpid(p->pid, &p->status, WNOHANG);
		p->ended = pid == p->pid || (pid < 0 && errno != EINTR);
		if (p->ended || (until >= 0 && now_ms() >= until))
			break;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	return p->ended;
}

/* All of its group end: a process whose parent was killed becomes our child before
 * that parent can be waited for. */
static void kill_group(struct program *p)
{
	int status;
	pid_t pid;
	if (p->pid <= 0)
		return;
	if (!p->ended)
		kill(p->pid, SIGKILL);
	kill(-p->pid, SIGKILL);
	while ((pid = waitpid(-p->pid, &status, 0)) > 0 || (pid < 0 && errno == EINTR)) {
		if (pid != p->pid)
			continue;
		p->ended = true;
		p->status = status;
	}
	p->pid = 0;
}

bool program_finish(struct program *p, int timeout_ms, bool *extra)
{
	char rest[CHUNK];
	int64_t until = deadline(timeout_ms);
	ssize_t n = 0;
	*extra = p->heard.used > p->taken;
	close_end(&p->in);
	while (ready(p->out, POLLIN, until) &&
	       ((n = read(p->out, rest, sizeof rest)) > 0 || (n < 0 && errno == EINTR)))
		*extra = *extra || n > 0;
	bool ended = wait_for_end(p, until);
	kill_group(p);
	return ended;
}

void program_ending(struct program *p, char *text, size_t size)
{
	bool by_itself = wait_for_end(p, deadline(MOMENT_MS));
	if (!by_itself)
		snprintf(text, size, "closed its standard output without ending");
	else if (WIFSIGNALED(p->status))
		snprintf(text, size, "died of signal %d (%s)", WTERMSIG(p->status),
			 strsignal(WTERMSIG(p->status)));
	else
		snprintf(text, size, "ended with exit status %d", WEXITSTATUS(p->status));
}

bool program_exited(const struct program *p, int status)
{
	return p->ended && WIFEXITED(p->status) && WEXITSTATUS(p->status) == status;
}

void program_destroy(struct program *p)
{
	if (!p)
		return;
	close_end(&p->in);
	kill_group(p);
	close_end(&p->out);
	prctl(PR_SET_CHILD_SUBREAPER, p->reaper);
	free(p->heard.data);
	free(p);
}

/* ---- talking ---- */

/* write() without the signal that it may raise, which others may be waiting for. */
static ssize_t write_quietly(int fd, const void *bytes, size_t n)
{
	sigset_t pipe, before, waiting;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&waiting);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	ssize_t done = write(fd, bytes, n);
	int error = errno;
	if (done < 0 && error == EPIPE && !sigismember(&waiting, SIGPIPE))
		sigtimedwait(&pipe, NULL, &(struct timespec){0});
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return done;
}

bool program_send(struct program *p, const void *bytes, size_t n, int timeout_ms)
{
	int64_t until = deadline(timeout_ms);
	const char *at = bytes;
	while (n > 0) {
		ssize_t done = write_quietly(p->in, at, n);
		if (done < 0 && errno == EAGAIN && ready(p->in, POLLOUT, until))
			continue;
		if (done < 0 && errno != EINTR)
			return false;
		at += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return true;
}

void program_next(struct program *p)
{
	p->heard.used -= p->taken;
	if (p->taken && p->heard.used)
		memmove(p->heard.data, p->heard.data + p->taken, p->heard.used);
	p->taken = 0;
}

/* Hears more.  A byte is left behind it for a terminator. */
static enum program_heard hear(struct program *p, int64_t until)
{
	for (;;) {
		if (bytes_reserve(&p->heard, CHUNK + 1))
			return PROGRAM_TOO_LONG;
		if (until >= 0 && !ready(p->out, POLLIN, until))
			return PROGRAM_SILENT;
		ssize_t n = read(p->out, p->heard.data + p->heard.used, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		p->heard.used += n > 0 ? (size_t)n : 0;
		return n > 0 ? PROGRAM_HEARD : PROGRAM_ENDED;
	}
}

enum program_heard program_line(struct program *p, int timeout_ms, const char **line)
{
	int64_t until = deadline(timeout_ms);
	enum program_heard end = PROGRAM_HEARD;
	size_t seen = 0;
	*line = "";
	for (;;) {
		size_t n = p->heard.used - p->taken;
		char *at = n ? (char *)p->heard.data + p->taken : NULL;
		char *newline = n > seen ? memchr(at + seen, '\n', n - seen) : NULL;
		size_t length = newline ? (size_t)(newline - at) : n;
		if (!newline && length < PROGRAM_LINE_MAX && end == PROGRAM_HEARD) {
			seen = n;
			end = hear(p, until);
			continue;
		}
		if (length >= PROGRAM_LINE_MAX) {
			length = PROGRAM_LINE_MAX;
			end = PROGRAM_TOO_LONG;
		}
		p->taken += length + (newline && end == PROGRAM_HEARD);
		for (size_t i = 0; i < length; i++)
			at[i] = at[i] ? at[i] : '?';
		if (at) {
			at[length] = '\0';
			*line = at;
		}
		return end;
	}
}

enum program_heard program_bytes(struct program *p, size_t n, int timeout_ms, const char **bytes)
{
	int64_t until = deadline(timeout_ms);
	while (p->heard.used - p->taken < n) {
		enum program_heard end = hear(p, until);
		if (end != PROGRAM_HEARD)
			return end;
	}
	*bytes = (const char *)p->heard.data + p->taken;
	p->taken += n;
	return PROGRAM_HEARD;
}
