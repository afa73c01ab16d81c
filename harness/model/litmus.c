#include "litmus.h"

#include <string.h>

enum { OLD = 2500, NEW = 3000, WHOLE = BLOCK_BYTES };

/* ---- looking at a tree ---- */

static bool there(const struct seen *s, const char *path)
{
	return seen_find(s, path) != NONE;
}

/* 0 where there is no such file. */
static uint64_t size_of(const struct seen *s, const char *path)
{
	uint32_t node = seen_find(s, path);
	return node == NONE ? 0 : seen_node(s, node)->size;
}

/* Whether c is the byte at an offset of a file; no other node has any bytes. */
static bool byte_is(const struct seen *s, uint32_t node, uint64_t offset, char c)
{
	const uint8_t *block = seen_data(s, node, (uint32_t)(offset / BLOCK_BYTES));
	return block && block[offset % BLOCK_BYTES] == (uint8_t)c;
}

/* Whether bytes [from, to) of a file are there and all c. */
static bool all(const struct seen *s, const char *path, uint64_t from, uint64_t to, char c)
{
	uint32_t node = seen_find(s, path);
	if (node == NONE || seen_node(s, node)->size < to)
		return false;
	for (; from < to; from++)
		if (!byte_is(s, node, from, c))
			return false;
	return true;
}

/* Whether any byte of a file is c. */
static bool any(const struct seen *s, const char *path, char c)
{
	uint32_t node = seen_find(s, path);
	for (uint64_t i = 0, size = size_of(s, path); i < size; i++)
		if (byte_is(s, node, i, c))
			return true;
	return false;
}

static bool is(const struct seen *s, const char *path, uint64_t size, char c)
{
	return there(s, path) && size_of(s, path) == size && all(s, path, 0, size, c);
}

/* ---- the questions ---- */

static bool f_missing(const struct seen *s)
{
	return !there(s, "f");
}
static bool f_in_part(const struct seen *s)
{
	return there(s, "f") && !is(s, "f", NEW, 'n');
}
static bool b_empty(const struct seen *s)
{
	return there(s, "b") && size_of(s, "b") == 0;
}
static bool b_zeros(const struct seen *s)
{
	return is(s, "b", NEW, 0);
}
static bool b_neither(const struct seen *s)
{
	return !is(s, "b", OLD, 'o') && !is(s, "b", NEW, 'n');
}
static bool b_empty_or_zeros(const struct seen *s)
{
	return b_empty(s) || b_zeros(s);
}
static bool b_old(const struct seen *s)
{
	return is(s, "b", OLD, 'o');
}
static bool n_empty(const struct seen *s)
{
	return there(s, "n") && size_of(s, "n") == 0;
}
static bool first_not_last(const struct seen *s)
{
	return all(s, "f", 0, 1, '1') && all(s, "f", 9 * WHOLE, 9 * WHOLE + 1, 0);
}
static bool g_not_f(const struct seen *s)
{
	return all(s, "g", 0, WHOLE, 'g') && all(s, "f", 0, WHOLE, 0);
}
static bool grown_with_zeros(const struct seen *s)
{
	return size_of(s, "f") > OLD && all(s, "f", OLD, OLD + 1, 0);
}
static bool b_not_a(const struct seen *s)
{
	return there(s, "b") && !there(s, "a");
}
static bool a_missing(const struct seen *s)
{
	return !there(s, "a");
}
static bool g_there(const struct seen *s)
{
	return there(s, "g");
}
static bool half(const struct seen *s)
{
	return all(s, "f", 0, WHOLE / 2, 'a') && all(s, "f", WHOLE / 2, WHOLE, 'b');
}
static bool both(const struct seen *s)
{
	return there(s, "d/x") && there(s, "e/x");
}
static bool neither(const struct seen *s)
{
	return !there(s, "d/x") && !there(s, "e/x");
}
static bool first_of_two_zeros(const struct seen *s)
{
	return size_of(s, "f") == 2 * WHOLE && all(s, "f", 0, WHOLE, 0);
}
static bool df_unreachable(const struct seen *s)
{
	return !there(s, "d/f");
}
static bool twice_with_old(const struct seen *s)
{
	return size_of(s, "f") == 8000 && any(s, "f", 'o');
}
static bool three_second_zeros(const struct seen *s)
{
	return size_of(s, "f") == 3 * WHOLE && all(s, "f", WHOLE, 2 * WHOLE, 0);
}
static bool b_has_t_old(const struct seen *s)
{
	return is(s, "b", NEW, 't');
}
static bool d_missing(const struct seen *s)
{
	return !there(s, "d");
}
static bool f_not_grown(const struct seen *s)
{
	return size_of(s, "f") < 2 * OLD || !all(s, "f", OLD, 2 * OLD, 'n');
}
static bool a_and_b_missing(const struct seen *s)
{
	return !there(s, "a") && !there(s, "b");
}
static bool g_before_size(const struct seen *s)
{
	return there(s, "g") && size_of(s, "f") < 2 * WHOLE;
}
static bool g_before_hole(const struct seen *s)
{
	return there(s, "g") && any(s, "f", 'o');
}
static bool dx_there(const struct seen *s)
{
	return there(s, "d/x");
}

/* ---- the table ---- */

const char *const litmus_columns[LITMUS_COLUMNS] = {
	[LITMUS_IDEAL] = "ideal",	  [LITMUS_EXT4] = "ext4", [LITMUS_EXT4_LOCK] = "ext4-lock",
	[LITMUS_EXT4_NODA] = "ext4-noda", [LITMUS_XFS] = "xfs",	  [LITMUS_BTRFS] = "btrfs",
	[LITMUS_POSIX] = "posix",
};

#define REPLACE	   "start-file b o*2500\ncreat t\nwrite t 0 n*3000\n"
#define SAFE	   REPLACE "fsync t\nrename t b\n"
#define TWO_BLOCKS "start-file f x*8192\nstart-file g\n"
#define MOVE	   "start-dir d\nstart-dir e\nstart-file d/x\nrename d/x e/x\nfsync e\n"
#define NAMELESS   "tmpfile\nwrite #2 0 n*3000\n"

const struct litmus litmus_table[] = {
	/*                                                            i4lnxbp */
	{"L1", "creat f\nwrite f 0 n*3000\nfsync f", true, "f is missing", f_missing, "nnnnnny"},
	{"L2 empty", REPLACE "rename t b", false, "b is empty", b_empty, "nnnyyyy"},
	{"L2 zeros", REPLACE "rename t b", false, "b is zeros", b_zeros, "nynynyy"},
	{"L2", REPLACE "rename t b", false, "b is neither old nor new", b_neither, "nynyyyy"},
	{"L3", SAFE, false, "b is neither old nor new", b_neither, "nnnnnnn"},
	{"L4", SAFE, true, "b is old", b_old, "yyyyyyy"},
	{"L5", SAFE "fsync .", true, "b is old", b_old, "nnnnnnn"},
	{"L6", "creat t\nwrite t 0 n*3000\nrename t n", false, "n is empty", n_empty, "nyyyyyy"},
	{"L7", "start-file f 0*40960\nwrite f 36864 1*4096\nwrite f 0 1*4096", false,
	 "the second write is there, not the first", first_not_last, "nyyyyyy"},
	{"L8", "start-file f 0*4096\nstart-file g 0*4096\nwrite f 0 f*4096\nwrite g 0 g*4096",
	 false, "g is changed, f is not", g_not_f, "nyyyyyy"},
	{"L9", "start-file f a*2500\nappend f b*2500", false, "f has grown by zeros",
	 grown_with_zeros, "nyyyyyy"},
	{"L10", "creat a\ncreat b", false, "b is there, a is missing", b_not_a, "nnnnnny"},
	{"L11", "creat a\ncreat b\nwrite b 0 n*3000\nfsync b", true, "a is missing", a_missing,
	 "nnnnnyy"},
	{"L12", TWO_BLOCKS "write f 0 n*4096\nunlink g\nfdatasync f", true, "g is still there",
	 g_there, "nyyyyyy"},
	{"L13", TWO_BLOCKS "write f 0 n*4096\nunlink g\nfsync f", true, "g is still there", g_there,
	 "nyyyyyy"},
	{"L14", "start-file f a*4096\nwrite f 0 b*4096", false, "the block is half old, half new",
	 half, "nnnnnny"},
	{"L15", MOVE, true, "d/x and e/x are both there", both, "nnnnnyn"},
	{"L16", MOVE, false, "neither d/x nor e/x is there", neither, "nnnnnnn"},
	{"L17", SAFE "fdatasync b", true, "b is old", b_old, "nyyynny"},
	{"L18", "creat f\nwrite f 0 n*4096\nwrite f 4096 n*4096\nhint f 4096 4096", false,
	 "f has its size, its first block is zeros", first_of_two_zeros, "nyyyyyy"},
	{"L19", "mkdir d\ncreat d/f\nwrite d/f 0 n*3000\nfsync d/f", true, "d/f is missing",
	 df_unreachable, "nnnnnny"},
	{"L20", REPLACE "rename t b\nfsync .", true, "b is empty or zeros", b_empty_or_zeros,
	 "nynyyyy"},
	{"L21", "start-file f o*4000\ntruncate f 0\ntruncate f 8000", false,
	 "f has grown and shows old bytes", twice_with_old, "nnnnnnn"},
	{"L22", "start-file f\nappend f n*4096\nappend f n*4096\ndsync-write f 8192 n*4096", true,
	 "f has three blocks, the second is zeros", three_second_zeros, "nyyyyyy"},
	{"L23", "start-file b o*2500\nstart-file t t*3000\nwrite t 0 n*3000\nrename t b", false,
	 "b has the old bytes of t", b_has_t_old, "nyyyyyy"},
	{"L24", "mkdir d\nmkdir e\nfsync e", true, "d is missing", d_missing, "nnnnnyy"},
	{"L25", NAMELESS "fsync #2\nlink #2 f", false, "f is there in part", f_in_part, "nnnnnnn"},
	{"L25 unsynced", NAMELESS "link #2 f", false, "f is there in part", f_in_part, "nyyyyyy"},
	{"L26", NAMELESS "link #2 f\nfsync #2", true, "f is missing", f_missing, "nnnnnny"},
	{"L26 before", NAMELESS "fsync #2\nlink #2 f", true, "f is missing", f_missing, "yyyyyyy"},
	{"L26 dir", NAMELESS "fsync #2\nlink #2 f\nfsync .", true, "f is missing", f_missing,
	 "nnnnnnn"},
	/* From here on the columns say what the rules say (M7, M1, M4 three times, M6): real file
	 * systems were not asked yet, and decide. */
	{"L27", TWO_BLOCKS "unlink g\nappend f n*4096\nfdatasync f", true, "g is still there",
	 g_there, "nnnnnyy"},
	{"L28", "start-file f o*2500\ndsync-write f 2500 n*2500", true, "f lacks what was appended",
	 f_not_grown, "nnnnnnn"},
	{"L29", "start-file a o*2500\nlink a b\nunlink a", false, "neither a nor b is there",
	 a_and_b_missing, "nnnnnny"},
	{"L30", "start-file f o*2500\nfallocate f 0 8192\ncreat g", false,
	 "g is there, f has its old size", g_before_size, "nnnnnny"},
	{"L31", "start-file f o*4096\nzero f 0 4096 keep\ncreat g", false,
	 "g is there, f has its old bytes", g_before_hole, "nnnnnny"},
	{"L32", "start-dir d\nstart-dir e\nstart-file d/x\nrename d e/d\nfsync e/d/x", true,
	 "d/x is still there", dx_there, "nyyyyyy"},
	{0},
};

bool litmus_shows(const struct litmus *litmus, const struct seen *seen)
{
	return litmus->shows(seen);
}
