/* Calls that promise durability, or look as if they did. */
#include "handlers.h"

#include <sys/stat.h>

static void synced(struct task *task)
{
	bool data_only = task->row->enter == call_fdatasync;
	call_event(task, data_only ? EVENT_FDATASYNC : EVENT_FSYNC)->ino = task->call.ino;
}

static void synced_all(struct task *task)
{
	call_event(task, EVENT_SYNC);
}

static void hinted(struct task *task)
{
	struct event *event = call_event(task, EVENT_HINT);
	event->ino = task->call.ino;
	event->offset = task->call.args[1];
	event->length = task->call.args[2];
}

/* None of these is exclusive: they may take long, and other threads go on
 * meanwhile.  What they cover is told by event.entered. */
void call_fsync(struct task *task)
{
	if (!call_takes_fd(task, (int)task->call.args[0]))
		return;
	call_needs_reaped(task, task->call.ino);
	task->call.at_exit = synced;
}

void call_fdatasync(struct task *task)
{
	call_fsync(task);
}

void call_sync(struct task *task)
{
	call_needs_reaped(task, 0);
	task->call.at_exit = synced_all;
}

void call_syncfs(struct task *task)
{
	struct stat st;
	if (call_opens_fd(task, (int)task->call.args[0]) && fstat(task->call.fd, &st) == 0 &&
	    st.st_dev == task->recorder->root_dev)
		call_sync(task);
}

void call_sync_file_range(struct task *task)
{
	if (call_takes_fd(task, (int)task->call.args[0]))
		task->call.at_exit = hinted;
}
