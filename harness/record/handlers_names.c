/* Calls that change directories. */
#include "handlers.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "peer.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE	 (1 << 1)
#endif

static uint32_t lookup(const struct task *task, const struct place *place)
{
	return tree_lookup(&task->recorder->tree, place->dir, place->name);
}

static const char *keep(struct task *task, const char *name)
{
	return trace_intern(task->recorder->trace, name);
}

/* True where the place is under the root and resolved; complains where it could
 * not be resolved though the call found it. */
static bool is_ours(struct task *task, const struct place *place)
{
	if (place->unresolved)
		call_inconclusive(task, "cannot follow the path %s", place->path);
	return place->dir != 0;
}

/* The inode at a place whose name the call has just used; 0, with a note, where
 * the tree does not know it. */
static uint32_t known(struct task *task, const struct place *place)
{
	uint32_t ino = lookup(task, place);
	if (ino == 0)
		call_inconclusive(task, "%s was made by something not recorded", place->name);
	return ino;
}

/* Asks for the exit stop if one of the places may be under the root. */
static void enter_names(struct task *task, void (*at_exit)(struct task *))
{
	const struct place *from = &task->from, *to = &task->to;
	if (from->dir == 0 && to->dir == 0 && !from->unresolved && !to->unresolved)
		return;
	task->call.exclusive = from->dir != 0 || to->dir != 0;
	task->call.at_exit = at_exit;
}

/* A call with one place, which is task->to. */
static void enter_name(struct task *task, int dirfd, uint64_t path, void (*at_exit)(struct task *))
{
	peer_place(task, dirfd, path, 0, &task->to);
	enter_names(task, at_exit);
}

/* Rename */

static struct event *append_rename(struct task *task, enum event_kind kind, uint32_t ino)
{
	struct event *event = call_event(task, kind);
	event->ino = ino;
	event->dir = task->from.dir;
	event->name = keep(task, task->from.name);
	event->dir2 = task->to.dir;
	event->name2 = keep(task, task->to.name);
	return event;
}

/* The name that the call was given as its last is gone. */
static void append_removal(struct task *task, enum event_kind kind, uint32_t ino)
{
	struct event *event = call_event(task, kind);
	event->ino = ino;
	event->dir = task->to.dir;
	event->name = keep(task, task->to.name);
}

/* Where one of the two has no part in the trace, the other is renamed. */
static void append_exchange(struct task *task, uint32_t from, uint32_t to)
{
	struct event *event = append_rename(
		task, from == TREE_OTHER || to == TREE_OTHER ? EVENT_RENAME : EVENT_EXCHANGE, from);
	if (from != TREE_OTHER)
		return;
	struct event e = *event;
	event->ino = to;
	event->dir = e.dir2;
	event->name = e.name2;
	event->dir2 = e.dir;
	event->name2 = e.name;
}

static void exchanged(struct task *task, uint32_t from, uint32_t to)
{
	struct tree *tree = &task->recorder->tree;
	if (to == 0) {
		call_inconclusive(task, "%s was made by something not recorded", task->to.name);
		return;
	}
	if (from == to)
		return;
	append_exchange(task, from, to);
	tree_remove(tree, task->from.dir, task->from.name);
	tree_remove(tree, task->to.dir, task->to.name);
	tree_enter(tree, task->from.dir, task->from.name, to);
	tree_enter(tree, task->to.dir, task->to.name, from);
}

static void moved(struct task *task, uint32_t from, uint32_t to)
{
	struct tree *tree = &task->recorder->tree;
	struct stat st;
	/* Two names of one file: the call does nothing. */
	if (from == to && (from != TREE_OTHER || peer_place_stat(&task->from, &st)))
		return;
	if (from != TREE_OTHER)
		append_rename(task, EVENT_RENAME, from);
	else if (to != 0 && to != TREE_OTHER)
		append_removal(task, EVENT_UNLINK, to);
	tree_remove(tree, task->from.dir, task->from.name);
	if (to != 0)
		tree_remove(tree, task->to.dir, task->to.name);
	tree_enter(tree, task->to.dir, task->to.name, from);
}

static void renamed(struct task *task)
{
	bool from_ours = is_ours(task, &task->from), to_ours = is_ours(task, &task->to);
	uint64_t flags = task->call.flags;
	if (!from_ours && !to_ours)
		return;
	if (!from_ours || !to_ours) {
		call_inconclusive(task, "%s %s the data directory",
				  to_ours ? task->to.name : task->from.name,
				  to_ours ? "came from outside" : "was moved out of");
		return;
	}
	if (flags & ~(uint64_t)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
		call_inconclusive(task, "flags 0x%llx are not modelled", (unsigned long long)flags);
		return;
	}
	uint32_t from = known(task, &task->from), to = lookup(task, &task->to);
	if (from == 0)
		return;
	if (flags & RENAME_EXCHANGE)
		exchanged(task, from, to);
	else
		moved(task, from, to);
}

static void enter_rename(struct task *task, int from_dirfd, uint64_t from, int to_dirfd,
			 uint64_t to)
{
	peer_place(task, from_dirfd, from, 0, &task->from);
	peer_place(task, to_dirfd, to, 0, &task->to);
	enter_names(task, renamed);
}

void call_rename(struct task *task)
{
	enter_rename(task, AT_FDCWD, task->call.args[0], AT_FDCWD, task->call.args[1]);
}

void call_renameat(struct task *task)
{
	const uint64_t *args = task->call.args;
	enter_rename(task, (int)args[0], args[1], (int)args[2], args[3]);
}

void call_renameat2(struct task *task)
{
	task->call.flags = task->call.args[4];
	call_renameat(task);
}

/* Names that come */

/* What is at a place after the call, or 0 where that cannot be told. */
static bool stat_new(struct task *task, struct stat *st)
{
	if (lookup(task, &task->to) != 0) {
		call_inconclusive(task, "%s was removed by something not recorded", task->to.name);
		return false;
	}
	if (peer_place_stat(&task->to, st))
		return true;
	call_inconclusive(task, "cannot see %s, which it made", task->to.name);
	return false;
}

static bool is_other(const struct stat *st)
{
	return !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode);
}

static void linked(struct task *task)
{
	struct recorder *r = task->recorder;
	struct stat st;
	if (!is_ours(task, &task->to)) {
		uint32_t ino = peer_place_stat(&task->to, &st) ? tree_identify(&r->tree, &st) : 0;
		if (ino != 0 && tree_node(&r->tree, ino)->links > 0)
			call_inconclusive(task, "a name outside the data directory (%s)",
					  task->to.name);
		return;
	}
	if (!stat_new(task, &st))
		return;
	if (is_other(&st)) {
		tree_enter(&r->tree, task->to.dir, task->to.name, TREE_OTHER);
		return;
	}
	uint32_t ino = tree_identify(&r->tree, &st);
	const struct node *node = &r->tree.nodes[ino];
	if (ino == 0 || (node->links == 0 && !node->nameless)) {
		call_inconclusive(task, "%s is a file from outside the data directory",
				  task->to.name);
		return;
	}
	struct event *event = call_event(task, EVENT_LINK);
	event->ino = ino;
	event->dir = task->to.dir;
	event->name = keep(task, task->to.name);
	tree_enter(&r->tree, task->to.dir, task->to.name, ino);
}

static void enter_link(struct task *task, int dirfd, uint64_t path)
{
	enter_name(task, dirfd, path, linked);
	/* A link out of the directory is seen by what it links to. */
	task->call.at_exit = linked;
}

void call_link(struct task *task)
{
	enter_link(task, AT_FDCWD, task->call.args[1]);
}

void call_linkat(struct task *task)
{
	enter_link(task, (int)task->call.args[2], task->call.args[3]);
}

static void made_symlink(struct task *task)
{
	struct recorder *r = task->recorder;
	char target[PATH_MAX];
	struct stat st;
	if (!is_ours(task, &task->to) || !stat_new(task, &st))
		return;
	if (!peer_string(task, task->call.args[0], target, sizeof target)) {
		call_inconclusive(task, "cannot read its target");
		return;
	}
	struct event *event =
		call_creates(task, EVENT_SYMLINK, INODE_SYMLINK, task->to.dir, task->to.name, &st);
	event->data_length = strlen(target);
	event->data = trace_bytes(r->trace, target, event->data_length);
}

void call_symlink(struct task *task)
{
	enter_name(task, AT_FDCWD, task->call.args[1], made_symlink);
}

void call_symlinkat(struct task *task)
{
	enter_name(task, (int)task->call.args[1], task->call.args[2], made_symlink);
}

static void made_dir(struct task *task)
{
	struct stat st;
	if (is_ours(task, &task->to) && stat_new(task, &st))
		call_creates(task, EVENT_MKDIR, INODE_DIR, task->to.dir, task->to.name, &st);
}

void call_mkdir(struct task *task)
{
	enter_name(task, AT_FDCWD, task->call.args[0], made_dir);
}

void call_mkdirat(struct task *task)
{
	enter_name(task, (int)task->call.args[0], task->call.args[1], made_dir);
}

/* A regular file made by mknod is like one made by open; others are in no crash
 * state, and a program that makes some wants them there. */
static void made_node(struct task *task)
{
	struct stat st;
	if (!is_ours(task, &task->to) || !stat_new(task, &st))
		return;
	if (S_ISREG(st.st_mode))
		call_creates(task, EVENT_CREATE, INODE_FILE, task->to.dir, task->to.name, &st);
	else
		call_inconclusive(task, "%s is neither a file nor a directory", task->to.name);
	if (!S_ISREG(st.st_mode))
		tree_enter(&task->recorder->tree, task->to.dir, task->to.name, TREE_OTHER);
}

void call_mknod(struct task *task)
{
	enter_name(task, AT_FDCWD, task->call.args[0], made_node);
}

void call_mknodat(struct task *task)
{
	enter_name(task, (int)task->call.args[0], task->call.args[1], made_node);
}

/* A socket's name is no more than a place to meet, which every start makes anew. */
static void bound(struct task *task)
{
	struct stat st;
	if (is_ours(task, &task->to) && stat_new(task, &st))
		tree_enter(&task->recorder->tree, task->to.dir, task->to.name, TREE_OTHER);
}

void call_bind(struct task *task)
{
	struct sockaddr_un address = {0};
	size_t n = (size_t)task->call.args[2], family = offsetof(struct sockaddr_un, sun_path);
	if (n <= family || n > sizeof address ||
	    !call_reads(task, task->call.args[1], &address, n) || address.sun_family != AF_UNIX ||
	    address.sun_path[0] == '\0')
		return;
	snprintf(task->to.path, sizeof task->to.path, "%.*s", (int)(n - family), address.sun_path);
	peer_place_path(task, AT_FDCWD, 0, &task->to);
	enter_names(task, bound);
}

/* Names that go */

static void removed(struct task *task, enum event_kind kind)
{
	if (!is_ours(task, &task->to))
		return;
	uint32_t ino = known(task, &task->to);
	if (ino == 0)
		return;
	if (ino != TREE_OTHER)
		append_removal(task, kind, ino);
	tree_remove(&task->recorder->tree, task->to.dir, task->to.name);
}

static void removed_file(struct task *task)
{
	removed(task, EVENT_UNLINK);
}

static void removed_dir(struct task *task)
{
	removed(task, EVENT_RMDIR);
}

void call_unlink(struct task *task)
{
	enter_name(task, AT_FDCWD, task->call.args[0], removed_file);
}

void call_rmdir(struct task *task)
{
	enter_name(task, AT_FDCWD, task->call.args[0], removed_dir);
}

void call_unlinkat(struct task *task)
{
	enter_name(task, (int)task->call.args[0], task->call.args[1],
		   task->call.args[2] & AT_REMOVEDIR ? removed_dir : removed_file);
}
