/* Shrinking a program: delta debugging on its lines, then on the names and numbers in
 * them.
 *
 * A candidate is put together line by line: a line that no longer can be done without
 * those that were left out is left out too.  So every candidate is a program, and
 * leaving out the making of a file leaves out all that was done to it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "ops.h"
#include "programs.h"

struct shrinking {
	program_still *still;
	void *arg;
	uint32_t tries, tries_max;
	char **lines; /* of the smallest program so far */
	size_t n_lines, lines_cap;
};

static void set_lines(struct shrinking *s, const char *text)
{
	for (size_t i = 0; i < s->n_lines; i++)
		free(s->lines[i]);
	s->n_lines = 0;
	while (*text) {
		size_t n = strcspn(text, "\n");
		if (n)
			*MEM_PUSH(s->lines, s->n_lines, s->lines_cap) = mem_dup(text, n);
		text += n + (text[n] == '\n');
	}
}

static void finish_lines(struct shrinking *s)
{
	set_lines(s, "");
	free(s->lines);
}

static void join(const struct shrinking *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_lines; i++)
		buf_printf(out, "%s\n", s->lines[i]);
}

/* Asks; a program with which it still occurs is the smallest so far. */
static bool accept(struct shrinking *s, const char *text)
{
	if (s->tries == s->tries_max)
		return false;
	s->tries++;
	if (!s->still(s->arg, text))
		return false;
	set_lines(s, text);
	return true;
}

/* ---- leaving out lines ---- */

/* Whether a line makes an inode, and so takes a number. */
static bool makes(const char *line)
{
	static const char *const verbs[] = {"start-file ", "start-dir ", "start-symlink ", "creat ",
					    "mkdir ",	   "symlink ",	 "tmpfile"};
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strncmp(line, verbs[i], strlen(verbs[i])) == 0)
			return true;
	return false;
}

/* Appends a line with each #N as the number that this inode now has; false: it has
 * none, since what made it was left out. */
static bool put_line(const char *line, const uint32_t *number, uint32_t n, struct buf *out)
{
	for (const char *at = line; *at; at++) {
		buf_byte(out, (uint8_t)*at);
		if (*at != '#' || !isdigit((unsigned char)at[1]))
			continue;
		char *end;
		unsigned long ino = strtoul(at + 1, &end, 10);
		if (ino > n || (ino > TRACE_ROOT && !number[ino]))
			return false;
		buf_printf(out, "%u", ino > TRACE_ROOT ? number[ino] : (uint32_t)ino);
		at = end - 1;
	}
	buf_byte(out, '\n');
	return true;
}

/* Puts together all lines but [from, to), and those that then cannot be done. */
static void leave_out(const struct shrinking *s, size_t from, size_t to, struct buf *out)
{
	uint32_t *number = mem_alloc(s->n_lines + TRACE_ROOT + 1, sizeof *number);
	uint32_t n = TRACE_ROOT, made = TRACE_ROOT; /* before, and now */
	for (size_t i = 0; i < s->n_lines; i++) {
		size_t start = out->len;
		n += makes(s->lines[i]);
		if (i >= from && i < to)
			continue;
		if (!put_line(s->lines[i], number, n, out) || program_check(buf_text(out), NULL))
			out->len = start;
		else if (makes(s->lines[i]))
			number[n] = ++made;
	}
	free(number);
}

/* Leaves out lines, many at a time and then one at a time; whether any could go. */
static bool fewer_lines(struct shrinking *s)
{
	bool any = false;
	for (size_t size = (s->n_lines + 1) / 2; size > 0; size /= 2) {
		/* From the end: what comes last is needed least by others. */
		for (size_t end = s->n_lines; end > 0 && s->tries < s->tries_max;) {
			struct buf text = {0};
			size_t from = end > size ? end - size : 0;
			leave_out(s, from, end, &text);
			bool gone = accept(s, buf_text(&text));
			any = any || gone;
			buf_finish(&text);
			end = gone && s->n_lines < from ? s->n_lines : from;
		}
	}
	return any;
}

/* ---- leaving out renames and directories, which others name ---- */

/* Appends a line in which a path is replaced, also where it is the beginning of one. */
static void put_renamed(const char *line, const char *path, const char *by, struct buf *out)
{
	size_t n = strlen(path);
	for (const char *at = line; *at;) {
		size_t word = strcspn(at, " ");
		if (at > line && word >= n && strncmp(at, path, n) == 0 &&
		    (word == n || at[n] == '/')) {
			bool root = strcmp(by, ".") == 0 && word > n;
			buf_string(out, root ? "" : by);
			buf_append(out, at + n + root, word - n - root);
		} else {
			buf_append(out, at, word);
		}
		at += word;
		for (; *at == ' '; at++)
			buf_byte(out, ' ');
	}
}

/* Leaves out line i; what comes after it says `by` instead of `path`. */
static bool try_renamed(struct shrinking *s, size_t i, const char *path, const char *by)
{
	struct shrinking other = {0};
	struct buf text = {0};
	for (size_t k = 0; k < s->n_lines; k++) {
		if (k > i)
			put_renamed(s->lines[k], path, by, &text);
		else
			buf_string(&text, s->lines[k]);
		buf_byte(&text, '\n');
	}
	set_lines(&other, buf_text(&text));
	buf_clear(&text);
	leave_out(&other, i, i + 1, &text);
	bool gone = accept(s, buf_text(&text));
	buf_finish(&text);
	finish_lines(&other);
	return gone;
}

/* A rename is left out by staying with the old name; a directory by using the one that it is
 * in.  Whether any could go. */
static bool fewer_names(struct shrinking *s)
{
	bool any = false;
	for (size_t i = 0; i < s->n_lines && s->tries < s->tries_max;) {
		char a[256], b[256], *slash;
		bool gone = false;
		if (sscanf(s->lines[i], "rename %255s %255s", a, b) == 2) {
			gone = try_renamed(s, i, b, a);
		} else if (sscanf(s->lines[i], "start-dir %255s", a) == 1 ||
			   sscanf(s->lines[i], "mkdir %255s", a) == 1) {
			slash = strrchr(a, '/');
			snprintf(b, sizeof b, "%.*s", slash ? (int)(slash - a) : 1,
				 slash ? a : ".");
			gone = try_renamed(s, i, a, b);
		}
		any = any || gone;
		i += !gone;
	}
	return any;
}

/* ---- simpler numbers ---- */

/* How simple a number is: less is simpler. */
static uint64_t rank(uint64_t n)
{
	enum { FEW = 1000 };
	uint64_t class = n <= 1			? 0
			 : n % BLOCK_BYTES == 0 ? 1
			 : n % FEW == 0		? 2
			 : n % 100 == 0		? 3
						: 4;
	return class << 40 | (n >> 40 ? (uint64_t)1 << 39 : n);
}

/* The next number of a line from *at on: a size, offset, length, or how often a byte is
 * repeated; not the number of an inode.  NULL at the end. */
static const char *next_number(const char *line, const char *at, const char **end)
{
	for (; *at; at++) {
		bool first = at > line && (at[-1] == ' ' || at[-1] == '*');
		if (!first || !isdigit((unsigned char)*at))
			continue;
		*end = at + strspn(at, "0123456789");
		if (**end == '\0' || **end == ' ' || **end == '+')
			return at;
	}
	return NULL;
}

/* Tries another number in place of [at, end) of line i. */
static bool try_number(struct shrinking *s, size_t i, const char *at, const char *end,
		       uint64_t number)
{
	struct buf text = {0};
	for (size_t k = 0; k < s->n_lines; k++) {
		if (k == i) {
			buf_append(&text, s->lines[i], (size_t)(at - s->lines[i]));
			buf_printf(&text, "%llu%s\n", (unsigned long long)number, end);
		} else {
			buf_printf(&text, "%s\n", s->lines[k]);
		}
	}
	bool better = program_check(buf_text(&text), NULL) == 0 && accept(s, buf_text(&text));
	buf_finish(&text);
	return better;
}

/* Makes one number simpler, as far as it goes at one try. */
static bool simpler_number(struct shrinking *s, size_t i, const char *at, const char *end)
{
	uint64_t n = strtoull(at, NULL, 10), down = n / BLOCK_BYTES * BLOCK_BYTES;
	bool repeated = at[-1] == '*';
	const uint64_t candidates[] = {repeated ? 1 : 0,   1,	  BLOCK_BYTES,	   down,
				       down + BLOCK_BYTES, n / 2, n / 1000 * 1000, n / 100 * 100};
	for (size_t k = 0; k < sizeof candidates / sizeof *candidates; k++) {
		uint64_t c = candidates[k];
		if (rank(c) < rank(n) && !(repeated && c == 0) && try_number(s, i, at, end, c))
			return true;
	}
	return false;
}

static bool simpler_numbers(struct shrinking *s)
{
	bool any = false;
	for (size_t i = 0; i < s->n_lines; i++) {
		const char *end, *at = strchr(s->lines[i], '"') ? NULL : s->lines[i];
		for (size_t from = 0; at && s->tries < s->tries_max;) {
			at = next_number(s->lines[i], s->lines[i] + from, &end);
			if (!at)
				break;
			from = (size_t)(at - s->lines[i]);
			if (simpler_number(s, i, at, end))
				any = true; /* the same place again */
			else
				from += (size_t)(end - at);
		}
	}
	return any;
}

uint32_t program_shrink(const char *text, uint32_t tries_max, program_still *still, void *arg,
			struct buf *best)
{
	struct shrinking s = {.still = still, .arg = arg, .tries_max = tries_max};
	set_lines(&s, text);
	bool more = true;
	while (more && s.tries < tries_max) {
		more = fewer_lines(&s);
		more = fewer_names(&s) || more;
		more = simpler_numbers(&s) || more;
	}
	join(&s, best);
	finish_lines(&s);
	return s.tries;
}
