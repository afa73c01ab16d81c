#include "lib_traces.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "trace_text.h"

enum { NAMES_MAX = 64, INODES_MAX = 128, DIR_LEVELS = 4 };

struct generator {
	struct prng *prng;
	unsigned mix;
	struct buf out;
	struct {
		uint32_t dir, ino;
		char name;
	} names[NAMES_MAX];
	unsigned n_names;
	struct {
		enum inode_type type;
		uint32_t parent; /* of a directory */
		uint64_t size;	 /* of a file */
	} inodes[INODES_MAX];
	uint32_t n_inodes;
	unsigned letter;
	uint64_t look[4]; /* the blocks that a look has found changed */
	unsigned n_look;
};

static uint64_t below(struct generator *g, uint64_t bound)
{
	return prng_below(g->prng, bound);
}

static int find_name(const struct generator *g, uint32_t dir, char name)
{
	for (unsigned i = 0; i < g->n_names; i++)
		if (g->names[i].dir == dir && g->names[i].name == name)
			return (int)i;
	return -1;
}

static void add_name(struct generator *g, uint32_t dir, char name, uint32_t ino)
{
	g->names[g->n_names].dir = dir;
	g->names[g->n_names].name = name;
	g->names[g->n_names++].ino = ino;
}

static void drop_name(struct generator *g, int i)
{
	g->names[i] = g->names[--g->n_names];
}

static uint32_t new_inode(struct generator *g, enum inode_type type, uint32_t parent)
{
	uint32_t ino = ++g->n_inodes;
	g->inodes[ino].type = type;
	g->inodes[ino].parent = parent;
	return ino;
}

static void put_directory(struct generator *g, uint32_t dir)
{
	if (dir == TRACE_ROOT)
		return;
	for (unsigned i = 0; i < g->n_names; i++)
		if (g->names[i].ino == dir) {
			put_directory(g, g->names[i].dir);
			buf_printf(&g->out, "%c/", g->names[i].name);
			return;
		}
}

static void put_name(struct generator *g, uint32_t dir, char name)
{
	buf_byte(&g->out, ' ');
	put_directory(g, dir);
	buf_byte(&g->out, (uint8_t)name);
}

/* Any of the names that are there (type < 0: of any type), or -1. */
static int pick_name(struct generator *g, int type)
{
	int found = -1;
	uint64_t seen = 0;
	for (unsigned i = 0; i < g->n_names; i++)
		if ((type < 0 || g->inodes[g->names[i].ino].type == (enum inode_type)type) &&
		    below(g, ++seen) == 0)
			found = (int)i;
	return found;
}

/* A directory that has a name, or the root. */
static uint32_t pick_directory(struct generator *g)
{
	int i = g->mix & TRACES_DIRECTORIES && below(g, 3) ? pick_name(g, INODE_DIR) : -1;
	return i < 0 ? TRACE_ROOT : g->names[i].ino;
}

static int level(const struct generator *g, uint32_t dir)
{
	int n = 0;
	for (; dir != TRACE_ROOT; dir = g->inodes[dir].parent)
		n++;
	return n;
}

static bool inside(const struct generator *g, uint32_t dir, uint32_t outer)
{
	for (; dir != TRACE_ROOT; dir = g->inodes[dir].parent)
		if (dir == outer)
			return true;
	return dir == outer;
}

/* ---- one function a family of calls; false: not possible now ---- */

static bool make(struct generator *g, const char *verb, enum inode_type type)
{
	uint32_t dir = pick_directory(g);
	char name = (char)((type == INODE_DIR ? 'p' : 'a') + (char)below(g, 4));
	if (g->n_names == NAMES_MAX || g->n_inodes + 1 == INODES_MAX ||
	    find_name(g, dir, name) >= 0 || (type == INODE_DIR && level(g, dir) >= DIR_LEVELS))
		return false;
	buf_string(&g->out, verb);
	put_name(g, dir, name);
	if (type == INODE_SYMLINK)
		buf_printf(&g->out, " target%c", (char)('0' + below(g, 2)));
	add_name(g, dir, name, new_inode(g, type, dir));
	return true;
}

static bool link_(struct generator *g)
{
	int i = pick_name(g, INODE_FILE);
	uint32_t dir = pick_directory(g);
	char name = (char)('a' + (char)below(g, 4));
	if (i < 0 || g->n_names == NAMES_MAX || find_name(g, dir, name) >= 0)
		return false;
	buf_string(&g->out, "link");
	put_name(g, g->names[i].dir, g->names[i].name);
	put_name(g, dir, name);
	add_name(g, dir, name, g->names[i].ino);
	return true;
}

static bool remove_(struct generator *g)
{
	int i = pick_name(g, -1);
	if (i < 0)
		return false;
	bool dir = g->inodes[g->names[i].ino].type == INODE_DIR;
	for (unsigned k = 0; dir && k < g->n_names; k++)
		if (g->names[k].dir == g->names[i].ino)
			return false;
	buf_string(&g->out, dir ? "rmdir" : "unlink");
	put_name(g, g->names[i].dir, g->names[i].name);
	drop_name(g, i);
	return true;
}

/* Whether a directory that has entries would be replaced, or the types clash. */
static bool cannot_replace(const struct generator *g, uint32_t ino, int to)
{
	if (to < 0)
		return false;
	uint32_t old = g->names[to].ino;
	if ((g->inodes[ino].type == INODE_DIR) != (g->inodes[old].type == INODE_DIR))
		return true;
	for (unsigned i = 0; i < g->n_names; i++)
		if (g->inodes[old].type == INODE_DIR && g->names[i].dir == old)
			return true;
	return false;
}

static bool rename_(struct generator *g)
{
	int from = pick_name(g, -1);
	uint32_t dir = pick_directory(g);
	if (from < 0)
		return false;
	uint32_t ino = g->names[from].ino;
	bool is_dir = g->inodes[ino].type == INODE_DIR;
	char name = (char)((is_dir ? 'p' : 'a') + (char)below(g, 4));
	int to = find_name(g, dir, name);
	if (to == from || (is_dir && (inside(g, dir, ino) || level(g, dir) >= DIR_LEVELS)) ||
	    cannot_replace(g, ino, to))
		return false;
	buf_string(&g->out, "rename");
	put_name(g, g->names[from].dir, g->names[from].name);
	put_name(g, dir, name);
	if (to >= 0 && g->names[to].ino == ino)
		return true; /* two links of one file: nothing happens */
	if (is_dir)
		g->inodes[ino].parent = dir;
	g->names[from].dir = dir;
	g->names[from].name = name;
	if (to >= 0)
		drop_name(g, to);
	return true;
}

static bool exchange(struct generator *g)
{
	int a = pick_name(g, INODE_FILE), b = pick_name(g, INODE_FILE);
	if (a < 0 || a == b)
		return false;
	buf_string(&g->out, "exchange");
	put_name(g, g->names[a].dir, g->names[a].name);
	put_name(g, g->names[b].dir, g->names[b].name);
	uint32_t ino = g->names[a].ino;
	g->names[a].ino = g->names[b].ino;
	g->names[b].ino = ino;
	return true;
}

/* A file by a name or, once in a while, by its number alone; 0: there is none. */
static uint32_t put_file(struct generator *g, const char *verb)
{
	uint32_t ino = 0;
	if (below(g, 4) == 0 && g->n_inodes > TRACE_ROOT) {
		ino = TRACE_ROOT + 1 + (uint32_t)below(g, g->n_inodes - TRACE_ROOT);
		if (g->inodes[ino].type == INODE_FILE) {
			buf_printf(&g->out, "%s #%u", verb, ino);
			return ino;
		}
	}
	int i = pick_name(g, INODE_FILE);
	if (i < 0)
		return 0;
	buf_string(&g->out, verb);
	put_name(g, g->names[i].dir, g->names[i].name);
	return g->names[i].ino;
}

static uint64_t pick_offset(struct generator *g)
{
	static const uint16_t small[] = {0, 512, 1000, 3600, 4096, 4608},
			      wide[] = {0, 100, 2500, 4096, 5000, 8192, 11000, 16384};
	return g->mix & TRACES_SMALL ? small[below(g, sizeof small / sizeof *small)]
				     : wide[below(g, sizeof wide / sizeof *wide)];
}

static uint64_t pick_length(struct generator *g)
{
	static const uint16_t small[] = {300, 512, 600, 700},
			      wide[] = {1, 600, 2500, 4096, 5000, 9000};
	return g->mix & TRACES_SMALL ? small[below(g, sizeof small / sizeof *small)]
				     : wide[below(g, sizeof wide / sizeof *wide)];
}

/* Returns the number of bytes. */
static uint64_t put_data(struct generator *g)
{
	char c = (char)('A' + (char)(g->letter++ % 50));
	if (below(g, 10) == 0)
		c = '0';
	uint64_t n = pick_length(g), zeros = 0;
	if (c == '[' || c == '\\' || c == ']')
		c = '_';
	buf_printf(&g->out, " %c*%u", c, (unsigned)n);
	if (below(g, 5) == 0) {
		zeros = pick_length(g);
		buf_printf(&g->out, "+0*%u", (unsigned)zeros);
	}
	return n + zeros;
}

static void grow(struct generator *g, uint32_t ino, uint64_t size)
{
	if (g->inodes[ino].size < size)
		g->inodes[ino].size = size;
}

static bool write_(struct generator *g)
{
	bool append = below(g, 3) == 0;
	uint64_t sync = g->mix & TRACES_SYNCS ? below(g, 10) : 2;
	const char *verb = sync == 0 ? "dsync-write" : sync == 1 ? "sync-write" : "write";
	uint32_t ino = put_file(g, append ? "append" : verb);
	if (!ino)
		return false;
	uint64_t offset = append ? g->inodes[ino].size : pick_offset(g);
	if (!append)
		buf_printf(&g->out, " %u", (unsigned)offset);
	grow(g, ino, offset + put_data(g));
	return true;
}

static bool truncate_(struct generator *g)
{
	uint32_t ino = put_file(g, "truncate");
	if (!ino)
		return false;
	g->inodes[ino].size = pick_offset(g);
	buf_printf(&g->out, " %u", (unsigned)g->inodes[ino].size);
	return true;
}

static bool range(struct generator *g)
{
	uint32_t ino = put_file(g, below(g, 2) ? "fallocate" : "zero");
	if (!ino)
		return false;
	unsigned offset = (unsigned)pick_offset(g), length = (unsigned)pick_length(g);
	bool keep = below(g, 2);
	buf_printf(&g->out, " %u %u%s", offset, length, keep ? " keep" : "");
	if (!keep)
		grow(g, ino, offset + length);
	return true;
}

/* A store of few bytes within a block of the file that this look has not yet. */
static bool store(struct generator *g, const char *verb)
{
	uint32_t ino = put_file(g, verb);
	if (!ino || g->inodes[ino].size < 2)
		return false;
	uint64_t size = g->inodes[ino].size, offset = below(g, size - 1);
	uint64_t end = offset / 4096 * 4096 + 4096;
	if (end > size)
		end = size;
	uint64_t n = 1 + below(g, end - offset < 700 ? end - offset : 700);
	uint64_t block = (uint64_t)ino << 32 | offset / 4096;
	for (unsigned i = 0; i < g->n_look; i++)
		if (g->look[i] == block)
			return false;
	g->look[g->n_look++] = block;
	buf_printf(&g->out, " %u %c*%u", (unsigned)offset, (char)('A' + (char)(g->letter++ % 26)),
		   (unsigned)n);
	return true;
}

/* What one look finds, or an msync. */
static bool stores(struct generator *g)
{
	if (below(g, 4) == 0) {
		if (!put_file(g, "msync"))
			return false;
		buf_printf(&g->out, " %u %u", (unsigned)pick_offset(g) / 4096 * 4096,
			   (unsigned)(1 + below(g, 3)) * 4096);
		return true;
	}
	g->n_look = 0;
	if (!store(g, "store"))
		return false;
	for (uint64_t n = below(g, 3); n > 0; n--) {
		size_t start = g->out.len;
		buf_byte(&g->out, '\n');
		if (!store(g, "store-too"))
			g->out.len = start;
	}
	return true;
}

static bool sync_(struct generator *g)
{
	const char *verb = below(g, 2) ? "fsync" : "fdatasync";
	uint64_t n = below(g, 10);
	if (n == 0) {
		buf_string(&g->out, "sync");
		return true;
	}
	if (n < 6)
		return put_file(g, verb) != 0;
	uint32_t dir = pick_directory(g);
	if (dir == TRACE_ROOT)
		buf_printf(&g->out, "%s .", verb);
	else
		buf_printf(&g->out, "%s #%u", verb, dir);
	return true;
}

static bool any_call(struct generator *g)
{
	unsigned kind = 1u << below(g, 6);
	if (g->mix & TRACES_STORES && below(g, 3) == 0)
		return stores(g);
	if (!(g->mix & kind))
		return false;
	switch (kind) {
	case TRACES_WRITES:
		return below(g, 4) ? write_(g) : truncate_(g);
	case TRACES_RANGES:
		return below(g, 2) && range(g);
	case TRACES_NAMES:
		switch (below(g, 8)) {
		case 0:
		case 1:
		case 2:
			return make(g, "creat", INODE_FILE);
		case 3:
			return remove_(g);
		case 4:
			return exchange(g);
		default:
			return rename_(g);
		}
	case TRACES_LINKS:
		return below(g, 4) ? link_(g) : make(g, "symlink", INODE_SYMLINK);
	case TRACES_DIRECTORIES:
		return make(g, "mkdir", INODE_DIR);
	default:
		return sync_(g);
	}
}

/* Tries calls until one is possible. */
static void put_call(struct generator *g)
{
	size_t start = g->out.len;
	while (!any_call(g))
		g->out.len = start;
	buf_byte(&g->out, '\n');
}

static void put_start(struct generator *g)
{
	if (g->mix & TRACES_DIRECTORIES && below(g, 2)) {
		buf_string(&g->out, "start-dir p\n");
		add_name(g, TRACE_ROOT, 'p', new_inode(g, INODE_DIR, TRACE_ROOT));
	}
	for (char name = 'a'; name < 'c'; name++) {
		if (name > 'a' && below(g, 2))
			continue;
		uint32_t dir = pick_directory(g);
		buf_string(&g->out, "start-file");
		put_name(g, dir, name);
		uint64_t size = below(g, 2) ? pick_offset(g) : pick_length(g);
		buf_printf(&g->out, " %c*%u\n", (char)('x' + (name - 'a')), (unsigned)size);
		uint32_t ino = new_inode(g, INODE_FILE, dir);
		g->inodes[ino].size = size;
		add_name(g, dir, name, ino);
	}
	if (g->mix & TRACES_LINKS && below(g, 4) == 0 && find_name(g, TRACE_ROOT, 'd') < 0) {
		int i = pick_name(g, INODE_FILE);
		buf_string(&g->out, "start-link d");
		put_name(g, g->names[i].dir, g->names[i].name);
		buf_byte(&g->out, '\n');
		add_name(g, TRACE_ROOT, 'd', g->names[i].ino);
	}
}

char *traces_random(struct prng *prng, unsigned calls, unsigned mix)
{
	struct generator g = {.prng = prng, .mix = mix, .n_inodes = TRACE_ROOT};
	g.inodes[TRACE_ROOT].type = INODE_DIR;
	put_start(&g);
	for (unsigned i = 0; i < calls; i++)
		put_call(&g);
	buf_text(&g.out);
	return g.out.data;
}

/* ---- from text to what the model reads ---- */

static struct traces_lowered lower(struct trace *trace, const char *text)
{
	struct traces_lowered l = {.trace = trace};
	struct err err;
	trace_seal(trace);
	ck_assert_msg(ops_lower(trace, &l.ops, &err) == 0, "%s in\n%s", err.text, text);
	return l;
}

static struct trace *parse(const char *text)
{
	struct trace *trace;
	struct err err;
	ck_assert_msg(trace_parse(text, "trace", &trace, &err) == 0, "%s in\n%s", err.text, text);
	return trace;
}

struct traces_lowered traces_lower(const char *text)
{
	return lower(parse(text), text);
}

struct traces_lowered traces_lower_threads(const char *text, struct prng *prng)
{
	struct trace *trace = parse(text);
	for (size_t i = 0; i < trace->n_events; i++) {
		uint32_t back = (uint32_t)prng_below(prng, 6);
		/* A look has no call that could have been entered before it. */
		if (trace->events[i].flags & EVENT_STORE)
			continue;
		if (back < 3 && back <= i)
			trace->events[i].entered -= back;
	}
	return lower(trace, text);
}

void traces_release(struct traces_lowered *lowered)
{
	trace_destroy(lowered->trace);
	*lowered = (struct traces_lowered){0};
}

/* ---- trees ---- */

struct dumping {
	const struct image *image;
	const struct ops *ops;
	struct buf *out;
	uint32_t *first; /* by inode: 1 + place of its first name */
	uint32_t n;
};

static int dump_name(void *arg, const char *path, uint32_t ino)
{
	struct dumping *d = arg;
	const struct inode *inode = &d->ops->inodes[ino];
	d->n++;
	if (!d->first[ino])
		d->first[ino] = d->n;
	buf_printf(d->out, "%s %d %u ", path, inode->type, d->first[ino]);
	if (inode->type == INODE_SYMLINK)
		buf_blob(d->out, inode->start_data, inode->start_size);
	if (inode->type == INODE_FILE) {
		uint64_t size = image_size(d->image, ino);
		char *bytes = mem_alloc(size, 1);
		image_read(d->image, ino, 0, bytes, size);
		buf_blob(d->out, bytes, size);
		free(bytes);
	}
	buf_byte(d->out, '\n');
	return 0;
}

void traces_dump(const struct ops *ops, const struct image *image, struct buf *out)
{
	struct dumping d = {image, ops, out, NULL, 0};
	d.first = mem_alloc((size_t)ops->n_inodes + 1, sizeof *d.first);
	image_walk(image, dump_name, &d);
	free(d.first);
}

unsigned traces_rounds(unsigned n)
{
	const char *factor = getenv("POWERCUT_TEST_ROUNDS");
	double times = factor ? strtod(factor, NULL) : 1;
	return (unsigned)(n * times);
}
