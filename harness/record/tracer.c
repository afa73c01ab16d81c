/* A call that the filter stops at makes two stops: at its entry, where the
 * handler of its row decides whether it matters, and, if so, at its exit.
 *
 * Calls that change something are let in one at a time (call.exclusive): while
 * one is between its stops the next waits at its entry stop.  So the events are
 * in the order in which the kernel did the calls, whatever the order in which
 * exit stops are reported.  Syncs, which take long, overlap with others.
 *
 * Before a call is handled, what stores through mappings have changed is looked for
 * (mapped.h).  While there are such mappings, any call waits for the one that
 * changes something: half of its doing would be taken for stores. */
#include "tracer.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "filter.h"
#include "handlers.h"
#include "mapped.h"
#include "mem.h"
#include "peer.h"
#include "registers.h"
#include "spawn.h"
#include "unwind.h"

enum {
	OPTIONS = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
		  PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
		  PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL,
	SYSCALL_STOP = SIGTRAP | 0x80,
};

static long ask(int request, pid_t tid, uintptr_t addr, uintptr_t data)
{
	return ptrace((enum __ptrace_request)request, tid, addr, data);
}

/* Failure means that the thread is being killed; its end will be reported. */
static void resume(const struct task *task, int signal)
{
	int request = task->call.at_exit ? PTRACE_SYSCALL : PTRACE_CONT;
	ask(request, task->tid, 0, (uintptr_t)signal);
}

/* Tasks and processes */

static struct process *process_get(struct recorder *r, pid_t pid)
{
	struct process *process;
	HASH_FIND(hh, r->processes, &pid, sizeof pid, process);
	if (!process) {
		process = mem_alloc(1, sizeof *process);
		process->pid = pid;
		process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		/* Where it is not allowed, as in some containers, go by /proc. */
		int fd = (int)syscall(SYS_pidfd_getfd, process->pidfd, -1, 0);
		if (fd < 0 && errno != EBADF && process->pidfd >= 0) {
			close(process->pidfd);
			process->pidfd = -1;
		}
		HASH_ADD(hh, r->processes, pid, sizeof process->pid, process);
	}
	process->n_tasks++;
	return process;
}

static void process_put(struct recorder *r, struct process *process)
{
	if (--process->n_tasks > 0)
		return;
	mapped_forget(process);
	HASH_DEL(r->processes, process);
	aio_forget(r, process);
	if (process->pidfd >= 0)
		close(process->pidfd);
	unwind_destroy(process->unwinder);
	free(process);
}

static struct task *task_find(struct recorder *r, pid_t tid)
{
	struct task *task;
	HASH_FIND(hh, r->tasks, &tid, sizeof tid, task);
	return task;
}

/* The task of a tid, made when it first stops.  Its creator's stop, which may
 * come before or after, tells nothing more; by then the new one may be gone. */
static struct task *task_get(struct recorder *r, pid_t tid)
{
	struct task *task = task_find(r, tid);
	if (task)
		return task;
	task = mem_alloc(1, sizeof *task);
	task->tid = tid;
	task->recorder = r;
	task->number = r->n_threads++;
	task->call.fd = task->from.at = task->to.at = -1;
	task->process = process_get(r, peer_process(tid));
	if (task->process->n_tasks == 1)
		mapped_refresh(task, NULL, 0, 0); /* what it has from its parent */
	pthread_mutex_lock(&r->lock);
	HASH_ADD(hh, r->tasks, tid, sizeof task->tid, task);
	bool expired = r->expired;
	pthread_mutex_unlock(&r->lock);
	if (expired)
		kill(tid, SIGKILL);
	return task;
}

static void let_next_in(struct recorder *r);

/* Gives up what a handler has looked up. */
static void call_release(struct task *task)
{
	struct call *call = &task->call;
	if (call->fd >= 0)
		close(call->fd);
	call->fd = -1;
	aio_release(call);
	call->at_exit = call->at_failure = NULL;
	peer_place_release(&task->from);
	peer_place_release(&task->to);
}

/* Ends the call that a task is in. */
static void call_finish(struct task *task)
{
	struct recorder *r = task->recorder;
	if (task->call.recorded)
		r->result->calls++;
	task->call.recorded = false;
	call_release(task);
	task->row = NULL;
	if (r->holder == task) {
		r->holder = NULL;
		let_next_in(r);
	}
}

static void waiting_remove(struct recorder *r, const struct task *task)
{
	struct task **at = &r->waiting;
	while (*at && *at != task)
		at = &(*at)->waiting;
	if (*at)
		*at = task->waiting;
}

static void task_remove(struct task *task)
{
	struct recorder *r = task->recorder;
	waiting_remove(r, task);
	if (task->call.at_exit)
		r->in_flight = task->row->name;
	call_finish(task);
	pthread_mutex_lock(&r->lock);
	HASH_DEL(r->tasks, task);
	pthread_mutex_unlock(&r->lock);
	process_put(r, task->process);
	if (!r->holder) /* else the next call to stop looks */
		mapped_look(r, task);
	free(task);
}

void tracer_kill(struct recorder *recorder)
{
	pthread_mutex_lock(&recorder->lock);
	recorder->expired = true;
	for (struct task *task = recorder->tasks; task; task = task->hh.next)
		kill(task->tid, SIGKILL);
	pthread_mutex_unlock(&recorder->lock);
}

/* Stops of calls */

static void wait_for_turn(struct recorder *r, struct task *task)
{
	struct task **at = &r->waiting;
	while (*at)
		at = &(*at)->waiting;
	*at = task;
	task->waiting = NULL;
}

/* Runs the handler of the call that the task is about to make, and lets it go
 * on, unless it has to wait. */
static void call_begin(struct task *task)
{
	struct recorder *r = task->recorder;
	struct call *call = &task->call;
	if (r->n_watched > 0 && r->holder) {
		wait_for_turn(r, task);
		return;
	}
	mapped_look(r, task);
	call_release(task);
	call->exclusive = false;
	/* Behind the stores: those that came before a line must not stand after it. */
	acks_take(r, NULL);
	call->entered = (uint32_t)r->trace->n_events;
	call->flags = 0;
	task->row->enter(task);
	if (call->at_exit && call->exclusive && r->holder) {
		call_release(task);
		wait_for_turn(r, task);
		return;
	}
	if (call->at_exit && call->exclusive)
		r->holder = task;
	if (!call->at_exit)
		call_finish(task);
	resume(task, 0);
}

static void let_next_in(struct recorder *r)
{
	while (r->waiting && !r->holder) {
		struct task *task = r->waiting;
		r->waiting = task->waiting;
		task->waiting = NULL;
		call_begin(task);
	}
}

/* The row of the call.  Our filter reports it; a filter of the program's own that
 * stops too reports what it likes. */
static const struct syscall_row *find_row(const struct __ptrace_syscall_info *info)
{
	if (info->arch != filter_arch)
		return NULL;
	const struct syscall_row *row = syscall_row(info->seccomp.ret_data, info->seccomp.nr);
	return row ? row : syscall_row_of_number(info->seccomp.nr);
}

static void did_something_unknown(struct task *task)
{
	note_add(task->recorder, NULL, EVENT_INCONCLUSIVE, "%s %llu is not in the table",
		 task->row->name, (unsigned long long)task->call.flags);
}

/* Programs try calls that the kernel does not know. */
static void failed_unknown(struct task *task)
{
	if ((int64_t)task->call.ret != -ENOSYS)
		did_something_unknown(task);
}

static void on_unknown(struct task *task, const struct __ptrace_syscall_info *info)
{
	static const struct syscall_row ours = {.name = "system call"},
					others = {.name = "another architecture's system call"};
	task->row = info->arch == filter_arch ? &ours : &others;
	task->call.flags = info->seccomp.nr;
	task->call.at_exit = did_something_unknown;
	task->call.at_failure = failed_unknown;
	resume(task, 0);
}

static void on_entry(struct task *task)
{
	struct __ptrace_syscall_info info;
	struct call *call = &task->call;
	task->recorder->result->stops++;
	if (ask(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof info, (uintptr_t)&info) <= 0) {
		resume(task, 0);
		return;
	}
	const struct syscall_row *row = find_row(&info);
	if (!row) {
		on_unknown(task, &info);
		return;
	}
	if (!row->enter) {
		resume(task, 0);
		return;
	}
	task->row = row;
	memcpy(call->args, info.seccomp.args, sizeof call->args);
	call->pc = info.instruction_pointer;
	call->sp = info.stack_pointer;
	call->stack = 0;
	call->has_stack = false;
	call->recorded = false;
	call_begin(task);
}

static void on_exit_stop(struct task *task)
{
	struct __ptrace_syscall_info info;
	struct call *call = &task->call;
	if (call->at_exit &&
	    ask(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof info, (uintptr_t)&info) > 0 &&
	    info.op == PTRACE_SYSCALL_INFO_EXIT) {
		call->ret = (uint64_t)info.exit.rval;
		if (!info.exit.is_error) {
			call->at_exit(task);
			mapped_observe(task);
		} else if (call->at_failure) {
			call->at_failure(task);
		}
	}
	bool gone = call->gone;
	call->gone = false;
	call_finish(task);
	if (!gone)
		resume(task, 0);
}

/* Other stops */

/* The program of a process has been replaced; of its threads only the one that
 * did it is left, and it has the process's number now. */
static void on_exec(struct recorder *r, struct task *task)
{
	unsigned long former = 0;
	ask(PTRACE_GETEVENTMSG, task->tid, 0, (uintptr_t)&former);
	struct task *other, *next;
	HASH_ITER (hh, r->tasks, other, next)
		if (other != task && other->process == task->process)
			task_remove(other);
	waiting_remove(r, task);
	call_finish(task);
	mapped_forget(task->process);
	unwind_destroy(task->process->unwinder);
	task->process->unwinder = NULL;
}

/* A thread is about to end.  One that is killed in a call does not stop at its
 * exit any more, though the call may have been done, and nobody else has come
 * in between. */
static void on_end(struct recorder *r, struct task *task)
{
	struct call *call = &task->call;
	waiting_remove(r, task);
	if (call->at_exit && registers_result(task->tid, &call->ret) == 0)
		call->at_exit(task);
	call_finish(task);
}

static bool is_group_stop(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void on_stop(struct recorder *r, struct task *task, int status)
{
	int event = status >> 16, signal = WSTOPSIG(status);
	switch (event) {
	case 0:
		if (signal == SYSCALL_STOP)
			on_exit_stop(task);
		else
			resume(task, signal);
		return;
	case PTRACE_EVENT_SECCOMP:
		on_entry(task);
		return;
	case PTRACE_EVENT_EXEC:
		on_exec(r, task);
		break;
	case PTRACE_EVENT_EXIT:
		on_end(r, task);
		break;
	case PTRACE_EVENT_STOP:
		if (is_group_stop(signal)) {
			ask(PTRACE_LISTEN, task->tid, 0, 0);
			return;
		}
		break;
	default: /* a new thread or process: known at its own first stop */
		break;
	}
	resume(task, 0);
}

static void on_status(struct recorder *r, pid_t tid, int status)
{
	if (WIFSTOPPED(status)) {
		on_stop(r, task_get(r, tid), status);
		return;
	}
	if (tid == r->first) {
		r->result->wait_status = status;
		r->first_ended = true;
	}
	struct task *task = task_find(r, tid);
	if (task)
		task_remove(task);
}

/* Sharing a CPU saves waking up the other one at each stop.  Not being allowed
 * to costs time only. */
static void bind_to_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();
	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

static int loop(struct recorder *r, struct err *err)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | __WNOTHREAD);
		if (tid > 0) {
			on_status(r, tid, status);
			continue;
		}
		if (errno == EINTR)
			continue;
		return errno == ECHILD ? ERR_OK : err_sys(err, "cannot wait for tracees");
	}
}

int tracer_run(struct recorder *recorder, const sigset_t *mask, struct err *err)
{
	struct spawned spawned;
	bind_to_one_cpu();
	int rc = spawn(recorder->options, mask, recorder->acks.out, &spawned, err);
	if (rc != ERR_OK)
		return rc;
	acks_spawned(recorder);
	recorder->first = spawned.pid;
	if (ask(PTRACE_SEIZE, spawned.pid, 0, OPTIONS) != 0) {
		rc = err_sys(err, "cannot trace");
		rc = err->code = ERR_UNSUPPORTED;
		kill(spawned.pid, SIGKILL);
	}
	task_get(recorder, spawned.pid);
	uint64_t start = clock_ns();
	spawn_go(&spawned);
	struct err second;
	int looped = loop(recorder, &second),
	    started = spawn_finish(&spawned, recorder->options, &second);
	recorder->result->elapsed_ns = clock_ns() - start;
	acks_end(recorder);
	if (rc == ERR_OK && (looped != ERR_OK || started != ERR_OK)) {
		*err = second;
		rc = second.code;
	}
	return rc;
}
