/* Random programs.
 *
 * The maker keeps the tree as the calls leave it, so that each call can be done.
 * Half of the calls come in idioms: sequences that storage engines use, whole or cut
 * short, in which most of what file systems do differently lies.  The others are
 * single calls.  One file in two is that which was touched last.
 *
 * No call has two arguments that ask the generator of numbers: compilers differ in the
 * order of arguments, and a seed is one program everywhere. */
#include "programs.h"

#include <stdlib.h>

#include "mem.h"
#include "ops.h"
#include "prng.h"

enum {
	DIR_LEVELS = 2, /* directories within directories */
	FILE_NAMES = 6, /* a to f */
	DIR_NAMES = 3,	/* p to r */
	SIZE_MAX_BYTES = 24 * BLOCK_BYTES,
};

struct made_name {
	uint32_t dir, ino;
	char name;
};

struct made_inode {
	enum inode_type type;
	uint32_t links;
	uint64_t size; /* of a file */
};

struct maker {
	struct prng prng;
	struct buf *out;
	uint32_t left; /* calls that may still be made */
	struct made_name *names;
	size_t n_names, names_cap;
	struct made_inode *inodes; /* by number */
	size_t n_inodes, inodes_cap;
	uint32_t recent; /* the file touched last, 0 for none */
	uint32_t letter;
};

static uint64_t below(struct maker *m, uint64_t bound)
{
	return prng_below(&m->prng, bound);
}

/* True n times in `of`. */
static bool chance(struct maker *m, uint64_t n, uint64_t of)
{
	return below(m, of) < n;
}

/* ---- the tree ---- */

static int find_name(const struct maker *m, uint32_t dir, char name)
{
	for (size_t i = 0; i < m->n_names; i++)
		if (m->names[i].dir == dir && m->names[i].name == name)
			return (int)i;
	return -1;
}

/* The first name of an inode, or -1. */
static int name_of(const struct maker *m, uint32_t ino)
{
	for (size_t i = 0; i < m->n_names; i++)
		if (m->names[i].ino == ino)
			return (int)i;
	return -1;
}

static enum inode_type type_of(const struct maker *m, int name)
{
	return m->inodes[m->names[name].ino].type;
}

static uint32_t new_inode(struct maker *m, enum inode_type type)
{
	*MEM_PUSH(m->inodes, m->n_inodes, m->inodes_cap) = (struct made_inode){.type = type};
	return (uint32_t)m->n_inodes - 1;
}

static void add_name(struct maker *m, uint32_t dir, char name, uint32_t ino)
{
	*MEM_PUSH(m->names, m->n_names, m->names_cap) = (struct made_name){dir, ino, name};
	m->inodes[ino].links++;
}

static void drop_name(struct maker *m, int i)
{
	m->inodes[m->names[i].ino].links--;
	m->names[i] = m->names[--m->n_names];
}

static uint32_t parent(const struct maker *m, uint32_t dir)
{
	return m->names[name_of(m, dir)].dir;
}

static int level(const struct maker *m, uint32_t dir)
{
	int n = 0;
	for (; dir != TRACE_ROOT; dir = parent(m, dir))
		n++;
	return n;
}

/* Whether dir is outer, or somewhere in it. */
static bool inside(const struct maker *m, uint32_t dir, uint32_t outer)
{
	for (; dir != TRACE_ROOT && dir != outer; dir = parent(m, dir))
		;
	return dir == outer;
}

static bool empty(const struct maker *m, uint32_t dir)
{
	for (size_t i = 0; i < m->n_names; i++)
		if (m->names[i].dir == dir)
			return false;
	return true;
}

/* ---- choosing ---- */

/* Any name of a type, or -1. */
static int pick_name(struct maker *m, enum inode_type type)
{
	int found = -1;
	uint64_t n = 0;
	for (size_t i = 0; i < m->n_names; i++)
		if (type_of(m, (int)i) == type && below(m, ++n) == 0)
			found = (int)i;
	return found;
}

/* The name of a regular file, rather of the one touched last; or -1. */
static int pick_named_file(struct maker *m)
{
	int i = m->recent && chance(m, 1, 2) ? name_of(m, m->recent) : -1;
	return i >= 0 ? i : pick_name(m, INODE_FILE);
}

/* A regular file, once in a while one that has no name; or 0. */
static uint32_t pick_file(struct maker *m)
{
	uint32_t found = 0;
	uint64_t n = 0;
	for (uint32_t i = TRACE_ROOT + 1; i < m->n_inodes; i++)
		if (m->inodes[i].type == INODE_FILE && !m->inodes[i].links && below(m, ++n) == 0)
			found = i;
	if (found && chance(m, 1, 4))
		return found;
	int i = pick_named_file(m);
	return i < 0 ? found : m->names[i].ino;
}

static uint32_t pick_directory(struct maker *m)
{
	int i = chance(m, 1, 2) ? pick_name(m, INODE_DIR) : -1;
	return i < 0 ? TRACE_ROOT : m->names[i].ino;
}

/* A name that is free in a directory, or 0. */
static char free_name(struct maker *m, uint32_t dir, bool for_directory)
{
	char first = for_directory ? 'p' : 'a', found = 0;
	uint64_t n = 0;
	for (char c = first; c < first + (for_directory ? DIR_NAMES : FILE_NAMES); c++)
		if (find_name(m, dir, c) < 0 && below(m, ++n) == 0)
			found = c;
	return found;
}

static uint64_t pick_length(struct maker *m)
{
	static const uint16_t lengths[] = {1,	 100,  512,  1000, 2500, 3000, 4095,  4096,  4096,
					   4096, 4097, 5000, 8192, 8192, 9000, 12288, 16384, 20480};
	return lengths[below(m, sizeof lengths / sizeof *lengths)];
}

static uint64_t down(uint64_t offset)
{
	return offset / BLOCK_BYTES * BLOCK_BYTES;
}

/* An offset into a file: within it, at its end, or beyond. */
static uint64_t pick_offset(struct maker *m, uint64_t size)
{
	switch (below(m, 8)) {
	case 0:
	case 1:
		return 0;
	case 2:
		return below(m, size);
	case 3:
		return down(below(m, size));
	case 4:
		return down(size);
	case 5:
		return size;
	case 6:
		return down(size) + BLOCK_BYTES;
	default:
		return size + (chance(m, 1, 2) ? 100 : 2 * BLOCK_BYTES);
	}
}

/* ---- writing lines ---- */

static void put_path(struct maker *m, uint32_t dir, char name)
{
	if (dir != TRACE_ROOT) {
		int i = name_of(m, dir);
		put_path(m, m->names[i].dir, m->names[i].name);
		buf_byte(m->out, '/');
	}
	buf_byte(m->out, (uint8_t)name);
}

static void put_name(struct maker *m, uint32_t dir, char name)
{
	buf_byte(m->out, ' ');
	put_path(m, dir, name);
}

static void put_inode(struct maker *m, uint32_t ino)
{
	int i = ino == TRACE_ROOT ? -1 : name_of(m, ino);
	if (ino == TRACE_ROOT)
		buf_string(m->out, " .");
	else if (i < 0)
		buf_printf(m->out, " #%u", ino);
	else
		put_name(m, m->names[i].dir, m->names[i].name);
}

static void put_number(struct maker *m, uint64_t n)
{
	buf_printf(m->out, " %u", (unsigned)n);
}

static void put_data(struct maker *m, uint64_t length)
{
	uint32_t letter = m->letter++ % 52;
	char c = (char)(letter < 26 ? 'A' + (char)letter : 'a' + (char)(letter - 26));
	buf_printf(m->out, " %c*%u", c, (unsigned)length);
}

/* Begins a call; false: the program is long enough. */
static bool begin(struct maker *m, const char *verb)
{
	if (m->left == 0)
		return false;
	m->left--;
	buf_string(m->out, verb);
	return true;
}

static void end(struct maker *m)
{
	buf_byte(m->out, '\n');
}

/* ---- single calls of which all is known ---- */

static void on_inode(struct maker *m, const char *verb, uint32_t ino)
{
	if (!begin(m, verb))
		return;
	put_inode(m, ino);
	end(m);
}

/* A new file, directory or symbolic link; 0 where that is not possible. */
static uint32_t make(struct maker *m, const char *verb, enum inode_type type, uint32_t dir)
{
	char name = free_name(m, dir, type == INODE_DIR);
	if (!name || (type == INODE_DIR && level(m, dir) >= DIR_LEVELS) || !begin(m, verb))
		return 0;
	put_name(m, dir, name);
	if (type == INODE_SYMLINK)
		buf_string(m->out, chance(m, 1, 2) ? " a" : " nowhere/at/all");
	end(m);
	uint32_t ino = new_inode(m, type);
	add_name(m, dir, name, ino);
	if (type == INODE_FILE)
		m->recent = ino;
	return ino;
}

static void grow(struct maker *m, uint32_t ino, uint64_t size)
{
	if (m->inodes[ino].size < size)
		m->inodes[ino].size = size;
}

/* verb: "write", "dsync-write" or "sync-write". */
static void write_at(struct maker *m, const char *verb, uint32_t ino, uint64_t offset,
		     uint64_t length)
{
	if (offset + length > SIZE_MAX_BYTES)
		offset = 0;
	if (!begin(m, verb))
		return;
	put_inode(m, ino);
	put_number(m, offset);
	put_data(m, length);
	end(m);
	grow(m, ino, offset + length);
	m->recent = ino;
}

static void append(struct maker *m, uint32_t ino, uint64_t length)
{
	uint64_t size = m->inodes[ino].size;
	if (size + length > SIZE_MAX_BYTES || !begin(m, "append"))
		return;
	put_inode(m, ino);
	put_data(m, length);
	end(m);
	grow(m, ino, size + length);
	m->recent = ino;
}

static void truncate_to(struct maker *m, uint32_t ino, uint64_t size)
{
	if (!begin(m, "truncate"))
		return;
	put_inode(m, ino);
	put_number(m, size);
	end(m);
	m->inodes[ino].size = size;
	m->recent = ino;
}

/* Whether rename(2) would move a name to dir/name. */
static bool can_move(const struct maker *m, int from, uint32_t dir, char name)
{
	uint32_t ino = m->names[from].ino;
	bool is_dir = m->inodes[ino].type == INODE_DIR;
	int to = find_name(m, dir, name);
	if (is_dir && (inside(m, dir, ino) || level(m, dir) >= DIR_LEVELS))
		return false;
	if (to < 0 || to == from)
		return to != from;
	uint32_t old = m->names[to].ino;
	return is_dir == (m->inodes[old].type == INODE_DIR) && (!is_dir || empty(m, old));
}

static bool move(struct maker *m, int from, uint32_t dir, char name)
{
	if (!can_move(m, from, dir, name) || !begin(m, "rename"))
		return false;
	struct made_name *n = &m->names[from];
	int to = find_name(m, dir, name);
	put_name(m, n->dir, n->name);
	put_name(m, dir, name);
	end(m);
	if (m->inodes[n->ino].type == INODE_FILE)
		m->recent = n->ino;
	if (to >= 0 && m->names[to].ino == n->ino)
		return true; /* two links of one file: nothing happens */
	n->dir = dir;
	n->name = name;
	if (to >= 0)
		drop_name(m, to);
	return true;
}

/* A sync of some kind, or none. */
static void maybe_sync(struct maker *m, uint32_t ino)
{
	static const char *const verbs[] = {"fsync",	 "fsync",     "fsync",
					    "fdatasync", "fdatasync", "hint"};
	uint64_t i = below(m, 9);
	if (i < sizeof verbs / sizeof *verbs)
		on_inode(m, verbs[i], ino);
}

static void maybe_sync_directory(struct maker *m, uint32_t dir)
{
	if (chance(m, 1, 2))
		on_inode(m, chance(m, 3, 4) ? "fsync" : "fdatasync", dir);
}

static void write_anywhere(struct maker *m, const char *verb, uint32_t ino)
{
	uint64_t offset = pick_offset(m, m->inodes[ino].size), length = pick_length(m);
	write_at(m, verb, ino, offset, length);
}

/* ---- single calls at random; what is not possible makes none ---- */

static void any_creat(struct maker *m)
{
	make(m, "creat", INODE_FILE, pick_directory(m));
}

static void any_mkdir(struct maker *m)
{
	make(m, "mkdir", INODE_DIR, pick_directory(m));
}

static void any_symlink(struct maker *m)
{
	make(m, "symlink", INODE_SYMLINK, pick_directory(m));
}

static void any_write(struct maker *m)
{
	uint32_t ino = pick_file(m);
	uint64_t sync = below(m, 10);
	const char *verb = sync == 0 ? "sync-write" : sync < 3 ? "dsync-write" : "write";
	if (ino)
		write_anywhere(m, verb, ino);
}

static void any_append(struct maker *m)
{
	uint32_t ino = pick_file(m);
	if (ino)
		append(m, ino, pick_length(m));
}

/* Stores through a shared mapping, within a block of the file. */
static void any_store(struct maker *m)
{
	uint32_t ino = pick_file(m);
	uint64_t size = ino ? m->inodes[ino].size : 0;
	if (!size || !begin(m, "store"))
		return;
	uint64_t offset = chance(m, 1, 2) ? down(below(m, size)) : below(m, size);
	uint64_t room = down(offset) + BLOCK_BYTES < size ? down(offset) + BLOCK_BYTES - offset
							  : size - offset;
	uint64_t length = pick_length(m);
	put_inode(m, ino);
	put_number(m, offset);
	put_data(m, length < room ? length : room);
	end(m);
	m->recent = ino;
	if (chance(m, 1, 2) && begin(m, "msync")) {
		put_inode(m, ino);
		put_number(m, down(offset));
		put_number(m, BLOCK_BYTES);
		end(m);
	}
}

static void any_truncate(struct maker *m)
{
	uint32_t ino = pick_file(m);
	if (!ino)
		return;
	uint64_t size = m->inodes[ino].size;
	switch (below(m, 6)) {
	case 0:
		truncate_to(m, ino, 0);
		break;
	case 1:
		truncate_to(m, ino, down(size));
		break;
	case 2:
		truncate_to(m, ino, down(size) + BLOCK_BYTES);
		break;
	case 3:
		truncate_to(m, ino, size < SIZE_MAX_BYTES ? size + pick_length(m) : size / 2);
		break;
	default:
		truncate_to(m, ino, below(m, size));
	}
}

static void any_range(struct maker *m)
{
	bool zero = chance(m, 1, 2), keep = chance(m, 1, 2);
	uint32_t ino = pick_file(m);
	if (!ino)
		return;
	uint64_t offset = pick_offset(m, m->inodes[ino].size), length = pick_length(m);
	if (offset + length > SIZE_MAX_BYTES || !begin(m, zero ? "zero" : "fallocate"))
		return;
	put_inode(m, ino);
	put_number(m, offset);
	put_number(m, length);
	buf_string(m->out, keep ? " keep" : "");
	end(m);
	if (!keep)
		grow(m, ino, offset + length);
	m->recent = ino;
}

static void any_link(struct maker *m)
{
	int i = pick_named_file(m);
	uint32_t dir = pick_directory(m);
	char name = free_name(m, dir, false);
	if (i < 0 || !name || !begin(m, "link"))
		return;
	uint32_t ino = m->names[i].ino;
	put_inode(m, ino);
	put_name(m, dir, name);
	end(m);
	add_name(m, dir, name, ino);
}

static void any_unlink(struct maker *m)
{
	int i = chance(m, 1, 8) ? pick_name(m, INODE_SYMLINK) : pick_named_file(m);
	if (i < 0 || !begin(m, "unlink"))
		return;
	put_name(m, m->names[i].dir, m->names[i].name);
	end(m);
	drop_name(m, i);
}

static void any_rmdir(struct maker *m)
{
	int i = pick_name(m, INODE_DIR);
	if (i < 0 || !empty(m, m->names[i].ino) || !begin(m, "rmdir"))
		return;
	put_name(m, m->names[i].dir, m->names[i].name);
	end(m);
	drop_name(m, i);
}

/* To a new name or over another. */
static void any_rename(struct maker *m)
{
	int from = chance(m, 1, 12) ? pick_name(m, INODE_SYMLINK) : pick_named_file(m);
	uint32_t dir = pick_directory(m);
	if (from < 0)
		return;
	int to = chance(m, 1, 2) ? pick_name(m, INODE_FILE) : -1;
	char name = free_name(m, dir, false);
	if (to >= 0 && to != from)
		move(m, from, m->names[to].dir, m->names[to].name);
	else if (name)
		move(m, from, dir, name);
}

static void any_rename_of_directory(struct maker *m)
{
	int from = pick_name(m, INODE_DIR), to = chance(m, 1, 3) ? pick_name(m, INODE_DIR) : -1;
	uint32_t dir = pick_directory(m);
	if (from < 0)
		return;
	char name = free_name(m, dir, true);
	if (to >= 0)
		move(m, from, m->names[to].dir, m->names[to].name);
	else if (name)
		move(m, from, dir, name);
}

static void any_exchange(struct maker *m)
{
	enum inode_type type = chance(m, 1, 4) ? INODE_DIR : INODE_FILE;
	int a = pick_name(m, type), b = pick_name(m, type);
	if (a < 0 || a == b)
		return;
	struct made_name *x = &m->names[a], *y = &m->names[b];
	uint32_t ino = x->ino;
	/* Directories of one level: none is inside the other, and none gets too deep. */
	if (type == INODE_DIR && level(m, ino) != level(m, y->ino))
		return;
	if (!begin(m, "exchange"))
		return;
	put_name(m, x->dir, x->name);
	put_name(m, y->dir, y->name);
	end(m);
	x->ino = y->ino;
	y->ino = ino;
}

static void any_sync(struct maker *m)
{
	uint32_t ino = pick_file(m);
	if (ino)
		on_inode(m, chance(m, 1, 2) ? "fsync" : "fdatasync", ino);
}

static void any_directory_sync(struct maker *m)
{
	uint32_t dir = pick_directory(m);
	on_inode(m, chance(m, 3, 4) ? "fsync" : "fdatasync", dir);
}

static void any_hint(struct maker *m)
{
	uint32_t ino = pick_file(m);
	if (ino)
		on_inode(m, "hint", ino);
}

static void sync_all(struct maker *m)
{
	if (begin(m, "sync"))
		end(m);
}

/* ---- idioms ---- */

/* Some bytes for a file that is new. */
static void fill(struct maker *m, uint32_t ino)
{
	for (uint64_t n = 1 + below(m, 2); n > 0; n--)
		append(m, ino, pick_length(m));
}

/* Write a new file, move it over an old one: with the right syncs, or without. */
static void replace(struct maker *m)
{
	int old = pick_name(m, INODE_FILE);
	if (old < 0)
		return;
	uint32_t dir = m->names[old].dir;
	char name = m->names[old].name;
	uint32_t ino = make(m, "creat", INODE_FILE, chance(m, 3, 4) ? dir : pick_directory(m));
	if (!ino)
		return;
	fill(m, ino);
	maybe_sync(m, ino);
	if (move(m, name_of(m, ino), dir, name))
		maybe_sync_directory(m, dir);
	if (chance(m, 1, 4))
		maybe_sync(m, ino);
}

static void append_and_sync(struct maker *m)
{
	uint32_t ino = pick_file(m);
	for (uint64_t n = 1 + below(m, 2); ino && n > 0; n--) {
		append(m, ino, pick_length(m));
		maybe_sync(m, ino);
	}
}

/* Make or change one file, sync another. */
static void sync_other(struct maker *m)
{
	uint32_t one = make(m, "creat", INODE_FILE, pick_directory(m));
	int other = pick_name(m, INODE_FILE);
	if (other < 0)
		return;
	uint32_t ino = m->names[other].ino;
	if (one && chance(m, 1, 2))
		fill(m, one);
	if (chance(m, 1, 2))
		write_anywhere(m, "write", ino);
	on_inode(m, chance(m, 1, 2) ? "fsync" : "fdatasync", ino);
}

/* b to c, then a to b, as logs are rotated; or a to b, then b to c. */
static void rename_chain(struct maker *m)
{
	int first = pick_name(m, INODE_FILE);
	if (first < 0)
		return;
	uint32_t dir = m->names[first].dir;
	char name = m->names[first].name, new = free_name(m, dir, false);
	if (!new || !move(m, first, dir, new))
		return;
	int second = chance(m, 2, 3) ? pick_name(m, INODE_FILE) : find_name(m, dir, new);
	if (second >= 0 && second != find_name(m, dir, name))
		move(m, second, dir, name);
	maybe_sync_directory(m, dir);
}

static void overwrite(struct maker *m)
{
	uint32_t ino = pick_file(m);
	uint64_t size = ino ? m->inodes[ino].size : 0;
	for (uint64_t n = 1 + below(m, 2); size && n > 0; n--) {
		uint64_t offset = chance(m, 1, 2) ? down(below(m, size)) : below(m, size);
		uint64_t length = pick_length(m);
		write_at(m, "write", ino, offset, length < size - offset ? length : size - offset);
	}
	if (size)
		maybe_sync(m, ino);
}

static void write_after_rename(struct maker *m)
{
	any_rename(m);
	if (!m->recent)
		return;
	uint32_t ino = m->recent;
	write_anywhere(m, "write", ino);
	maybe_sync(m, ino);
}

/* From one directory to another, and a sync of one of them. */
static void move_across(struct maker *m)
{
	int from = pick_named_file(m);
	uint32_t dir = pick_directory(m), old = from < 0 ? dir : m->names[from].dir;
	char name = free_name(m, dir, false);
	if (dir == old || !name || !move(m, from, dir, name))
		return;
	on_inode(m, "fsync", chance(m, 2, 3) ? dir : old);
}

static void new_directory(struct maker *m)
{
	uint32_t dir = make(m, "mkdir", INODE_DIR, pick_directory(m));
	uint32_t ino = dir ? make(m, "creat", INODE_FILE, dir) : 0;
	if (!ino)
		return;
	if (chance(m, 1, 2))
		fill(m, ino);
	maybe_sync(m, ino);
	maybe_sync_directory(m, dir);
}

static void nameless(struct maker *m)
{
	if (!begin(m, "tmpfile"))
		return;
	end(m);
	uint32_t ino = new_inode(m, INODE_FILE), dir = pick_directory(m);
	fill(m, ino);
	maybe_sync(m, ino);
	char name = free_name(m, dir, false);
	if (!name || !begin(m, "link"))
		return;
	put_inode(m, ino);
	put_name(m, dir, name);
	end(m);
	add_name(m, dir, name, ino);
	maybe_sync_directory(m, dir);
}

static void write_again_from_nothing(struct maker *m)
{
	uint32_t ino = pick_file(m);
	if (!ino)
		return;
	truncate_to(m, ino, 0);
	fill(m, ino);
	maybe_sync(m, ino);
}

/* Room first, then data in it. */
static void allocate_and_write(struct maker *m)
{
	uint32_t ino = pick_file(m);
	if (!ino)
		return;
	uint64_t size = m->inodes[ino].size;
	if (size + 4 * BLOCK_BYTES > SIZE_MAX_BYTES || !begin(m, "fallocate"))
		return;
	bool keep = chance(m, 1, 2);
	put_inode(m, ino);
	put_number(m, size);
	put_number(m, 4 * BLOCK_BYTES);
	buf_string(m->out, keep ? " keep" : "");
	end(m);
	if (!keep)
		grow(m, ino, size + 4 * BLOCK_BYTES);
	maybe_sync(m, ino);
	const char *verb = chance(m, 1, 4) ? "dsync-write" : "write";
	write_at(m, verb, ino, size, pick_length(m));
	maybe_sync(m, ino);
}

/* ---- the whole ---- */

static const struct {
	void (*make)(struct maker *m);
	uint32_t weight;
} moves[] = {
	{replace, 12},		 {append_and_sync, 10},
	{sync_other, 8},	 {rename_chain, 6},
	{overwrite, 8},		 {write_after_rename, 6},
	{move_across, 6},	 {new_directory, 4},
	{nameless, 3},		 {write_again_from_nothing, 3},
	{allocate_and_write, 3}, {any_creat, 8},
	{any_mkdir, 4},		 {any_symlink, 2},
	{any_write, 16},	 {any_append, 8},
	{any_store, 3},		 {any_truncate, 6},
	{any_range, 6},		 {any_link, 5},
	{any_unlink, 6},	 {any_rmdir, 3},
	{any_rename, 10},	 {any_rename_of_directory, 4},
	{any_exchange, 4},	 {any_sync, 10},
	{any_directory_sync, 8}, {any_hint, 3},
	{sync_all, 1},
};

enum { MOVES = sizeof moves / sizeof *moves };

static void make_start(struct maker *m)
{
	static const uint16_t sizes[] = {0, 1, 100, 2500, 4096, 5000, 8192, 12288, 20000};
	for (uint64_t n = below(m, 3); n > 0; n--) {
		uint32_t dir = chance(m, 1, 4) ? pick_directory(m) : TRACE_ROOT;
		char name = free_name(m, dir, true);
		buf_string(m->out, "start-dir");
		put_name(m, dir, name);
		end(m);
		add_name(m, dir, name, new_inode(m, INODE_DIR));
	}
	for (uint64_t n = below(m, 4), i = 0; i < n; i++) {
		uint32_t dir = pick_directory(m), ino = new_inode(m, INODE_FILE);
		char name = free_name(m, dir, false);
		uint64_t size = sizes[below(m, sizeof sizes / sizeof *sizes)];
		buf_string(m->out, "start-file");
		put_name(m, dir, name);
		if (size)
			buf_printf(m->out, " %c*%u", (char)('1' + (char)i), (unsigned)size);
		end(m);
		add_name(m, dir, name, ino);
		m->inodes[ino].size = size;
	}
	int i = chance(m, 1, 6) ? pick_name(m, INODE_FILE) : -1;
	if (i >= 0) {
		uint32_t dir = pick_directory(m), ino = m->names[i].ino;
		char name = free_name(m, dir, false);
		buf_string(m->out, "start-link");
		put_name(m, dir, name);
		put_inode(m, ino);
		end(m);
		add_name(m, dir, name, ino);
	}
}

void program_make(uint64_t seed, uint32_t calls_max, struct buf *text)
{
	struct maker m = {.out = text};
	uint32_t sum = 0;
	prng_init(&m.prng, seed);
	new_inode(&m, INODE_DIR); /* no inode has number 0 */
	new_inode(&m, INODE_DIR); /* the root */
	for (size_t i = 0; i < MOVES; i++)
		sum += moves[i].weight;
	make_start(&m);
	m.left = 1 + (uint32_t)below(&m, calls_max);
	while (m.left > 0) {
		uint64_t at = below(&m, sum);
		size_t i = 0;
		for (; at >= moves[i].weight; i++)
			at -= moves[i].weight;
		moves[i].make(&m);
	}
	free(m.names);
	free(m.inodes);
}
