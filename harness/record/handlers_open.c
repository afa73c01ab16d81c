/* Opening for writing.  Whether an open made the file is decided by the tree:
 * what has no name there was not there. */
#include "handlers.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

#include "peer.h"

enum {
	TMPFILE_BIT = 020000000,
	CHANGES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | TMPFILE_BIT,
};

/* Which name of which directory a descriptor was opened by.  False if that is
 * not under the root. */
static bool find_place(struct task *task, struct place *place)
{
	struct recorder *r = task->recorder;
	struct stat st;
	*place = (struct place){.name = ""};
	if (!peer_fd_path(task->call.fd, place->path) || !peer_under_root(r, place->path))
		return false;
	char *slash = strrchr(place->path, '/');
	place->name = slash + 1;
	*slash = '\0';
	if (stat(place->path, &st) == 0)
		place->dir = tree_identify_dir(&r->tree, &st);
	*slash = '/';
	return true;
}

static void opened_existing(struct task *task, uint32_t ino)
{
	struct node *node = tree_node(&task->recorder->tree, ino);
	if ((task->call.flags & O_ACCMODE) != O_RDONLY)
		call_event(task, EVENT_OPEN)->ino = ino;
	if ((task->call.flags & O_TRUNC) == 0 || node->size == 0)
		return;
	call_event(task, EVENT_TRUNCATE)->ino = ino;
	node->size = 0;
}

static void opened_by_name(struct task *task, const struct stat *st)
{
	struct place *place = &task->from;
	if (!find_place(task, place))
		return;
	const char *shown = place->path + task->recorder->root_length + 1;
	if (task->call.flags & TMPFILE_BIT)
		call_inconclusive(task, "O_TMPFILE is not modelled (%s)", shown);
	else if (place->dir == 0 ||
		 tree_lookup(&task->recorder->tree, place->dir, place->name) != 0)
		call_inconclusive(task, "%s is not what was there before", shown);
	else if (task->call.flags & O_CREAT)
		call_creates(task, EVENT_CREATE, INODE_FILE, place->dir, place->name, st);
	else
		call_inconclusive(task, "%s was made by something not recorded", shown);
}

static void opened(struct task *task)
{
	struct stat st;
	task->call.fd = peer_fd(task, (int)task->call.ret);
	if (task->call.fd < 0 || fstat(task->call.fd, &st) != 0) {
		call_inconclusive(task, "cannot see the descriptor that it returned");
		return;
	}
	if (!S_ISREG(st.st_mode))
		return;
	uint32_t ino = call_identify(task->recorder, task->call.fd, &st);
	if (ino != 0)
		opened_existing(task, ino);
	else
		opened_by_name(task, &st);
}

static void enter_open(struct task *task, int dirfd, uint64_t path, uint64_t flags)
{
	if (flags & O_PATH || (flags & CHANGES) == 0)
		return;
	task->call.flags = flags;
	task->call.at_exit = opened;
	/* Opening a pipe may wait for its other end: outside the root no
	 * exclusion is asked for, and under it there are none. */
	if (flags & (O_CREAT | O_TRUNC)) {
		peer_place(task, dirfd, path, &task->from);
		task->call.exclusive = task->from.dir != 0;
	}
}

void call_open(struct task *task)
{
	enter_open(task, AT_FDCWD, task->call.args[0], task->call.args[1]);
}

void call_openat(struct task *task)
{
	enter_open(task, (int)task->call.args[0], task->call.args[1], task->call.args[2]);
}

void call_openat2(struct task *task)
{
	uint64_t flags; /* the first member of struct open_how */
	_Static_assert(offsetof(struct open_how, flags) == 0, "struct open_how");
	if (peer_read(task, task->call.args[2], &flags, sizeof flags))
		enter_open(task, (int)task->call.args[0], task->call.args[1], flags);
}

void call_creat(struct task *task)
{
	enter_open(task, AT_FDCWD, task->call.args[0], O_CREAT | O_WRONLY | O_TRUNC);
}

void call_open_by_handle_at(struct task *task)
{
	task->call.flags = task->call.args[2];
	task->call.at_exit = opened;
}
