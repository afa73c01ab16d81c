/* Descendants are found by reading /proc: rare, so it may be slow.  All are
 * first stopped, round after round, until none is seen running: a stopped
 * process does not fork.  Only then are they killed. */
#include "orphans.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"

enum { STOP_ROUNDS = 32 };

struct process {
	pid_t pid, parent, group;
	char state; /* as in /proc/PID/stat */
	bool ours;
};

struct processes {
	struct process *all;
	size_t n, cap;
};

/* False where the process is gone. */
static bool process_read(const char *name, struct process *p)
{
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%.20s/stat", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, line, sizeof line - 1);
	close(fd);
	if (n <= 0)
		return false;
	line[n] = '\0';
	/* "PID (NAME) STATE PARENT GROUP …", where NAME may hold anything. */
	const char *rest = strrchr(line, ')');
	*p = (struct process){.pid = (pid_t)strtol(name, NULL, 10)};
	return rest && sscanf(rest + 1, " %c %d %d", &p->state, &p->parent, &p->group) == 3;
}

static void processes_read(struct processes *list)
{
	list->n = 0;
	DIR *proc = opendir("/proc");
	for (struct dirent *e; proc && (e = readdir(proc));) {
		struct process p;
		if (isdigit((unsigned char)e->d_name[0]) && process_read(e->d_name, &p))
			*MEM_PUSH(list->all, list->n, list->cap) = p;
	}
	if (proc)
		closedir(proc);
}

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool process_ours(const struct processes *list, pid_t pid, pid_t self)
{
	if (pid == self)
		return true;
	struct process key = {.pid = pid};
	const struct process *p = bsearch(&key, list->all, list->n, sizeof key, by_pid);
	return p && p->ours;
}

/* Marks the descendants of this process. */
static void processes_mark(struct processes *list)
{
	pid_t self = getpid();
	if (list->n)
		qsort(list->all, list->n, sizeof *list->all, by_pid);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < list->n; i++) {
			struct process *p = &list->all[i];
			if (p->ours || !process_ours(list, p->parent, self))
				continue;
			p->ours = more = true;
		}
	}
}

/* Sends a signal to all descendants, and returns how many seemed to run.  The
 * group is only signalled where a descendant is in it: its number may belong
 * to others by now. */
static size_t processes_signal(struct processes *list, pid_t group, int signal)
{
	size_t running = 0;
	bool grouped = false;
	processes_read(list);
	processes_mark(list);
	for (size_t i = 0; i < list->n; i++)
		grouped |= list->all[i].ours && list->all[i].group == group;
	if (grouped)
		kill(-group, SIGKILL);
	for (size_t i = 0; i < list->n; i++) {
		const struct process *p = &list->all[i];
		if (!p->ours || strchr("ZX", p->state))
			continue;
		running += !strchr("Tt", p->state) && p->group != group;
		kill(p->pid, signal);
	}
	return running;
}

static void kill_all(struct processes *list, pid_t group)
{
	for (int round = 0; round < STOP_ROUNDS; round++)
		if (processes_signal(list, group, SIGSTOP) == 0)
			break;
	processes_signal(list, group, SIGKILL);
}

bool orphans_end(pid_t group)
{
	struct processes list = {0};
	bool any = false;
	pid_t pid;
	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		any = true;
		if (pid > 0)
			continue;
		kill_all(&list, group);
		if (list.n == 0)
			break; /* there is no /proc to look in */
		waitpid(-1, NULL, 0);
	}
	free(list.all);
	return any;
}
