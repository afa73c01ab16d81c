/* Opening for writing.  Whether an open made the file is decided by the tree:
 * what has no name there was not there. */
#include "handlers.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"

enum {
	TMPFILE_BIT = 020000000,
	CHANGES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | TMPFILE_BIT,
};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Where the name that the call was given is no link, it is that of the file. */
static bool has_given_name(const struct task *task, const struct stat *st)
{
	struct stat named;
	return task->from.dir != 0 && peer_place_stat(&task->from, &named) && same_file(st, &named);
}

/* Which name of which directory the descriptor was opened by, as task->to; dir 0
 * where that is not under the root. */
static void find_place(struct task *task)
{
	struct recorder *r = task->recorder;
	struct place *place = &task->to;
	struct stat st;
	if (!peer_fd_path(task->call.fd, place->path)) {
		place->unresolved = true;
		return;
	}
	char *slash = strrchr(place->path, '/');
	place->name = slash + 1;
	*slash = '\0';
	if (stat(*place->path ? place->path : "/", &st) == 0)
		place->dir = tree_identify_dir(&r->tree, &st);
	*slash = '/';
	place->unresolved = place->dir == 0 && peer_under_root(r, place->path);
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

static void opened_at(struct task *task, const struct place *place, const struct stat *st)
{
	if (tree_lookup(&task->recorder->tree, place->dir, place->name) != 0)
		call_inconclusive(task, "%s is not what was there before", place->name);
	else if (task->call.flags & O_CREAT)
		call_creates(task, EVENT_CREATE, INODE_FILE, place->dir, place->name, st);
	else
		call_inconclusive(task, "%s was made by something not recorded", place->name);
}

static void opened_unknown(struct task *task, const struct stat *st)
{
	if (has_given_name(task, st)) {
		opened_at(task, &task->from, st);
		return;
	}
	find_place(task);
	if (task->to.dir != 0)
		opened_at(task, &task->to, st);
	else if (task->to.unresolved && st->st_dev == task->recorder->root_dev)
		call_inconclusive(task, "cannot tell where the file %s is", task->to.name);
}

/* A file without a name, in a directory under the root. */
static void opened_nameless(struct task *task, const struct stat *st)
{
	struct event *event = call_creates(task, EVENT_CREATE, INODE_FILE, 0, "", st);
	tree_node(&task->recorder->tree, event->ino)->nameless = true;
}

static void opened(struct task *task)
{
	struct stat st;
	if (!call_opens_fd(task, (int)task->call.ret) || fstat(task->call.fd, &st) != 0) {
		call_inconclusive(task, "cannot see the descriptor that it returned");
		return;
	}
	if (!S_ISREG(st.st_mode))
		return;
	uint32_t dir = task->call.ino, ino;
	if (task->call.flags & TMPFILE_BIT) {
		if (dir != 0)
			opened_nameless(task, &st);
		return;
	}
	ino = call_identify(task->recorder, task->call.fd, &st);
	if (ino != 0)
		opened_existing(task, ino);
	else
		opened_unknown(task, &st);
}

/* Some reasons for an open to fail, such as O_DIRECT where there is none, are
 * found when the file has been made. */
static void opened_in_vain(struct task *task)
{
	struct stat st;
	if (task->call.flags & O_CREAT && task->from.dir != 0 &&
	    tree_lookup(&task->recorder->tree, task->from.dir, task->from.name) == 0 &&
	    peer_place_stat(&task->from, &st) && S_ISREG(st.st_mode))
		call_creates(task, EVENT_CREATE, INODE_FILE, task->from.dir, task->from.name, &st);
}

/* Looks at what the path leads to now: the directory of a file without a name is
 * kept as call.ino; and opening a pipe may wait for its other end. */
static void look_ahead(struct task *task)
{
	struct stat st;
	int fd = peer_place_open(&task->from);
	bool exists = fd >= 0 && fstat(fd, &st) == 0;
	if (fd >= 0)
		close(fd);
	if (exists && task->call.flags & TMPFILE_BIT)
		task->call.ino = tree_identify_dir(&task->recorder->tree, &st);
	task->call.exclusive =
		!exists || task->call.flags & TMPFILE_BIT ||
		(S_ISREG(st.st_mode) && tree_identify(&task->recorder->tree, &st) != 0);
}

static void enter_open(struct task *task, int dirfd, uint64_t path, uint64_t flags,
		       uint64_t resolve)
{
	if (flags & O_PATH || (flags & CHANGES) == 0)
		return;
	task->call.flags = flags;
	task->call.ino = 0;
	task->call.at_exit = opened;
	task->call.at_failure = opened_in_vain;
	if (flags & (O_CREAT | O_TRUNC | TMPFILE_BIT)) {
		peer_place(task, dirfd, path, resolve, &task->from);
		look_ahead(task);
	}
}

void call_open(struct task *task)
{
	enter_open(task, AT_FDCWD, task->call.args[0], task->call.args[1], 0);
}

void call_openat(struct task *task)
{
	enter_open(task, (int)task->call.args[0], task->call.args[1], task->call.args[2], 0);
}

void call_openat2(struct task *task)
{
	struct open_how how;
	if (call_reads(task, task->call.args[2], &how, sizeof how))
		enter_open(task, (int)task->call.args[0], task->call.args[1], how.flags,
			   how.resolve);
}

void call_creat(struct task *task)
{
	enter_open(task, AT_FDCWD, task->call.args[0], O_CREAT | O_WRONLY | O_TRUNC, 0);
}

/* (Flags that make a file fail here.) */
void call_open_by_handle_at(struct task *task)
{
	task->call.flags = task->call.args[2] & ~(uint64_t)(O_CREAT | TMPFILE_BIT);
	task->call.ino = 0;
	task->call.at_exit = opened;
	task->call.exclusive = task->call.flags & O_TRUNC;
}
