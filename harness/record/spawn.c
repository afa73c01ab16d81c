#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "filter.h"

enum failed_step { STEP_NONE, STEP_FILTER, STEP_EXEC };

struct report {
	enum failed_step step;
	int error;
};

static _Noreturn void report_and_exit(int fd, enum failed_step step)
{
	struct report report = {step, errno};
	ssize_t n = write(fd, &report, sizeof report);
	_exit(n == (ssize_t)sizeof report ? 127 : 126);
}

static _Noreturn void child(const struct record_options *options, const struct sock_fprog *filter,
			    const sigset_t *mask, int output, int go, int report)
{
	char byte;
	/* Ends with the tracer's last descriptor, also if the tracer dies. */
	while (read(go, &byte, 1) < 0 && errno == EINTR)
		;
	close(go);
	if (filter_install(filter) != 0)
		report_and_exit(report, STEP_FILTER);
	sigprocmask(SIG_SETMASK, mask, NULL);
	signal(SIGXFSZ, SIG_DFL); /* the harness ignores it: not a program's own choice */
	if (output >= 0)
		dup2(output, STDOUT_FILENO);
	if (!options->function) {
		execvp(options->argv[0], options->argv);
		report_and_exit(report, STEP_EXEC);
	}
	close(report);
	int status = options->function(options->arg);
	fflush(NULL);
	_exit(status);
}

static void close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
}

int spawn(const struct record_options *options, const sigset_t *mask, int output,
	  struct spawned *spawned, struct err *err)
{
	int go[2] = {-1, -1}, report[2] = {-1, -1}, rc = ERR_OK;
	struct sock_fprog filter = {0};
	*spawned = (struct spawned){-1, -1, -1};
	if (pipe2(go, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) {
		rc = err_sys(err, "cannot make a pipe");
		goto done;
	}
	filter_build(&filter);
	/* Or what is buffered here would be written by the child too. */
	fflush(NULL);
	spawned->pid = fork();
	if (spawned->pid < 0) {
		rc = err_sys(err, "cannot fork");
		goto done;
	}
	if (spawned->pid == 0) {
		close(go[1]);
		close(report[0]);
		child(options, &filter, mask, output, go[0], report[1]);
	}
	spawned->go = go[1];
	spawned->report = report[0];
	go[1] = report[0] = -1;
done:
	close_pair(go);
	close_pair(report);
	free(filter.filter);
	return rc;
}

void spawn_go(struct spawned *spawned)
{
	if (spawned->go >= 0)
		close(spawned->go);
	spawned->go = -1;
}

int spawn_finish(struct spawned *spawned, const struct record_options *options, struct err *err)
{
	struct report report = {STEP_NONE, 0};
	ssize_t n = read(spawned->report, &report, sizeof report);
	close(spawned->report);
	spawned->report = -1;
	if (n != (ssize_t)sizeof report)
		return ERR_OK;
	errno = report.error;
	if (report.step == STEP_FILTER) {
		err_sys(err, "cannot install a seccomp filter");
		return err->code = ERR_UNSUPPORTED;
	}
	err_sys(err, "cannot run %s", options->argv[0]);
	return err->code = report.error == ENOENT ? ERR_MISSING : ERR_IO;
}
