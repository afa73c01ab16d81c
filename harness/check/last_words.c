#include "last_words.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_MAX = 4096 };

static const char *const signs[] = {"ERROR", "Assertion", "assertion", "runtime error"};

static bool telling(const char *line)
{
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (strstr(line, signs[i]))
			return true;
	return false;
}

/* How many bytes at p are dir and the slash behind it. */
static size_t skip_dir(const char *p, const char *dir)
{
	size_t n = strlen(dir);
	if (n == 0 || strncmp(p, dir, n) != 0)
		return 0;
	return p[n] == '/' ? n + 1 : n;
}

/* How many bytes at p are "0x" and hexadecimal digits. */
static size_t skip_address(const char *p)
{
	size_t n = 2;
	if (p[0] != '0' || p[1] != 'x')
		return 0;
	while (isxdigit((unsigned char)p[n]))
		n++;
	return n;
}

/* How many bytes at p are "==PID==". */
static size_t skip_pid(const char *p)
{
	size_t n = 2;
	if (p[0] != '=' || p[1] != '=')
		return 0;
	while (isdigit((unsigned char)p[n]))
		n++;
	return n > 2 && p[n] == '=' && p[n + 1] == '=' ? n + 2 : 0;
}

void last_words_tidy(char *text, const char *dir)
{
	char *to = text;
	for (const char *p = text; *p;) {
		size_t address = skip_address(p);
		size_t skip = address ? address : skip_dir(p, dir) + skip_pid(p);
		if (address)
			to = (char *)memcpy(to, "0x", 2) + 2;
		p += skip;
		if (!skip) {
			*to++ = *p >= ' ' && *p <= '~' ? *p : ' ';
			p++;
		}
	}
	*to = '\0';
}

/* The first telling line of a text, which is cut up, or its last. */
static char *choose(char *text)
{
	char *rest = text, *last = text + strlen(text);
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (telling(line))
			return line;
		if (*line)
			last = line;
	}
	return last;
}

static char *read_lines(int fd, off_t from, char bytes[READ_MAX + 1])
{
	ssize_t n = pread(fd, bytes, READ_MAX, from);
	bytes[n > 0 ? n : 0] = '\0';
	return choose(bytes);
}

void last_words(int fd, const char *dir, char *text, size_t size)
{
	char bytes[READ_MAX + 1];
	struct stat st;
	text[0] = '\0';
	if (fstat(fd, &st) != 0 || st.st_size == 0)
		return;
	char *line = read_lines(fd, 0, bytes);
	if (st.st_size > READ_MAX && !telling(line))
		line = read_lines(fd, st.st_size - READ_MAX, bytes);
	last_words_tidy(line, dir);
	snprintf(text, size, "%s", line);
}
