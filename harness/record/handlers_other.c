/* Markers; the calls that cannot be modelled, each of which spoils the run where
 * it touches the data directory; and those that change what descriptors and paths
 * mean. */
#include "handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "marker.h"
#include "mem.h"
#include "peer.h"
#include "registers.h"

enum {
	MARKER_BYTES_MAX = 1 << 24,
	CLONE_ODD = CLONE_UNTRACED | CLONE_NEWNS,
};

/* Markers */

static void append_marker(struct task *task, const uint8_t *data, size_t n)
{
	struct recorder *r = task->recorder;
	const uint64_t *args = task->call.args;
	static const uint8_t kinds[] = {
		[MARKER_FAULT] = EVENT_FAULT,
		[MARKER_OP_BEGIN] = EVENT_OP_BEGIN,
		[MARKER_OP_END] = EVENT_OP_END,
	};
	struct event *event = trace_append(r->trace, kinds[args[1]]);
	event->thread = task->number;
	event->offset = args[2];
	task->call.recorded = true;
	if (args[1] == MARKER_FAULT) {
		event->name = trace_intern(r->trace, (const char *)data);
		return;
	}
	event->data = trace_bytes(r->trace, data, n);
	event->data_length = n;
}

void call_marker(struct task *task)
{
	const uint64_t *args = task->call.args;
	size_t n = (size_t)args[4];
	if (args[1] < MARKER_FAULT || args[1] > MARKER_OP_END || args[4] > MARKER_BYTES_MAX) {
		call_inconclusive(task, "a marker of unknown kind %llu",
				  (unsigned long long)args[1]);
		return;
	}
	uint8_t *data = mem_alloc(n + 1, 1);
	if (n == 0 || peer_read(task, args[3], data, n))
		append_marker(task, data, n);
	else
		call_inconclusive(task, "cannot read a marker");
	free(data);
}

static char *path_of(struct task *task, uint32_t ino)
{
	return trace_path(task->recorder->trace, ino, task->recorder->trace->n_events);
}

/* Ways around */

static void succeeded(struct task *task)
{
	call_inconclusive(task, "is not modelled");
}

void call_unmodelled(struct task *task)
{
	task->call.at_exit = succeeded;
}

void call_refused(struct task *task)
{
	if (registers_refuse(task->tid, ENOSYS) != 0) {
		call_inconclusive(task, "could not be refused");
		return;
	}
	note_add(task->recorder, task, 0, "%s: answered with ENOSYS", task->row->name);
	task->call.at_exit = call_ignored;
}

/* Commands of the families in the filter that leave contents alone. */
static bool is_harmless_ioctl(uint32_t command)
{
	enum { DIRECTION_AND_SIZE = 0xffff0000 };
	switch (command & ~(uint32_t)DIRECTION_AND_SIZE) {
	case 1:		     /* FIBMAP */
	case 2:		     /* FIGETBSZ */
	case 0x15 << 8:	     /* FS_IOC_GETFSUUID */
	case 0x15 << 8 | 1:  /* FS_IOC_GETFSSYSFSPATH */
	case 'v' << 8 | 1:   /* FS_IOC_GETVERSION */
	case 'v' << 8 | 2:   /* FS_IOC_SETVERSION */
	case 'f' << 8 | 1:   /* FS_IOC_GETFLAGS */
	case 'f' << 8 | 2:   /* FS_IOC_SETFLAGS */
	case 'f' << 8 | 11:  /* FS_IOC_FIEMAP */
	case 'X' << 8 | 31:  /* FS_IOC_FSGETXATTR */
	case 'X' << 8 | 32:  /* FS_IOC_FSSETXATTR */
	case 'X' << 8 | 119: /* FIFREEZE */
	case 'X' << 8 | 120: /* FITHAW */
	case 'X' << 8 | 121: /* FITRIM */
	case 0x94 << 8 | 49: /* FS_IOC_GETFSLABEL */
	case 0x94 << 8 | 54: /* FIDEDUPERANGE */
		return true;
	default:
		return false;
	}
}

static void controlled(struct task *task)
{
	char *path = path_of(task, task->call.ino);
	call_inconclusive(task, "command 0x%llx on %s is not modelled",
			  (unsigned long long)(uint32_t)task->call.args[1], path);
	free(path);
}

void call_ioctl(struct task *task)
{
	if ((uint32_t)task->call.args[1] == FICLONE || (uint32_t)task->call.args[1] == FICLONERANGE)
		call_clone_range(task);
	else if (!is_harmless_ioctl((uint32_t)task->call.args[1]) &&
		 call_takes_fd(task, (int)task->call.args[0]))
		task->call.at_exit = controlled;
}

static void stop_sharing(struct process *process)
{
	if (process->pidfd >= 0)
		close(process->pidfd);
	process->pidfd = -1;
}

static void cloned_oddly(struct task *task)
{
	call_inconclusive(task, "flags 0x%llx are not modelled",
			  (unsigned long long)task->call.flags);
}

static void enter_clone(struct task *task, uint64_t flags)
{
	if (flags & CLONE_ODD) {
		task->call.flags = flags & CLONE_ODD;
		task->call.at_exit = cloned_oddly;
		return;
	}
	/* A descriptor table for each thread: /proc can look those up. */
	if (flags & CLONE_THREAD && !(flags & CLONE_FILES))
		stop_sharing(task->process);
}

void call_clone(struct task *task)
{
	enter_clone(task, task->call.args[0]);
}

void call_clone3(struct task *task)
{
	uint64_t flags; /* the first member of struct clone_args */
	if (call_reads(task, task->call.args[0], &flags, sizeof flags))
		enter_clone(task, flags);
}

/* Only stops where the thread gets a table of its own. */
void call_close_range(struct task *task)
{
	stop_sharing(task->process);
}

/* Waits for calls that may be relative to the directory. */
void call_chdir(struct task *task)
{
	task->call.exclusive = true;
	task->call.at_exit = call_ignored;
}

void call_unshare(struct task *task)
{
	if (task->call.args[0] & CLONE_FILES)
		stop_sharing(task->process);
	if (task->call.args[0] & CLONE_NEWNS)
		call_unmodelled(task);
}
