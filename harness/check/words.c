#include "words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

static const char shell_signs[] = "|&;<>()$`*?[~#!\n\r";

/* Characters that a shell takes as they are. */
static bool plain(const char *text)
{
	for (const char *p = text; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "_-+=./,:@%{}^",
			    *p))
			return false;
	return *text != '\0';
}

static void put_quoted(const char *text, struct buf *out)
{
	if (plain(text)) {
		buf_string(out, text);
		return;
	}
	buf_byte(out, '\'');
	for (const char *p = text; *p; p++)
		if (*p == '\'')
			buf_string(out, "'\\''");
		else
			buf_byte(out, (uint8_t)*p);
	buf_byte(out, '\'');
}

/* The value that p, at a "{", names, and how long its name is with its braces. */
static const struct place_value *value_at(const char *p, const struct place_value *values,
					  size_t *length)
{
	for (; values && values->name; values++) {
		size_t n = strlen(values->name);
		if (strncmp(p + 1, values->name, n) == 0 && p[1 + n] == '}') {
			*length = n + 2;
			return values;
		}
	}
	return NULL;
}

static char *fill(const char *text, const struct place_value *values, bool quoted)
{
	struct buf out = {0};
	size_t length;
	for (const char *p = text; *p;) {
		const struct place_value *v = *p == '{' ? value_at(p, values, &length) : NULL;
		if (!v)
			buf_byte(&out, (uint8_t)*p++);
		else if (quoted)
			put_quoted(v->value, &out);
		else
			buf_string(&out, v->value);
		p += v ? length : 0;
	}
	buf_text(&out);
	return out.data;
}

bool words_mention(const char *text, const char *name)
{
	const struct place_value wanted[] = {{name, ""}, {0}};
	size_t length;
	for (const char *p = text; (p = strchr(p, '{')); p++)
		if (value_at(p, wanted, &length))
			return true;
	return false;
}

char **words_fill(const char *const *words, const struct place_value *values)
{
	size_t n = 0;
	while (words[n])
		n++;
	char **filled = mem_alloc(n + 1, sizeof *filled);
	for (size_t i = 0; i < n; i++)
		filled[i] = fill(words[i], values, false);
	return filled;
}

void words_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

void words_join(const char *const *words, struct buf *out)
{
	for (size_t i = 0; words[i]; i++) {
		if (i)
			buf_byte(out, ' ');
		put_quoted(words[i], out);
	}
}

static bool is_program(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

int words_find(const char *program, struct err *err)
{
	const char *path = getenv("PATH");
	if (strchr(program, '/'))
		return is_program(program) ? ERR_OK
					   : err_set(err, ERR_USAGE,
						     "%s is no program that can be run", program);
	for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");
		char *candidate = mem_printf("%.*s/%s", (int)n, p, program);
		bool found = is_program(candidate);
		free(candidate);
		if (found)
			return ERR_OK;
		p += n + (p[n] == ':');
	}
	return err_set(err, ERR_USAGE, "there is no program %s along PATH", program);
}

/* ---- taking a text apart ---- */

struct splitting {
	const char *at;
	struct buf word;
	bool in_word; /* an empty pair of quotes is a word too */
	char **words;
	size_t n, cap;
};

static void end_word(struct splitting *s)
{
	if (!s->in_word)
		return;
	*MEM_PUSH(s->words, s->n, s->cap) = mem_printf("%s", buf_text(&s->word));
	buf_clear(&s->word);
	s->in_word = false;
}

/* What a quote encloses; false where it is not closed. */
static bool take_quoted(struct splitting *s)
{
	char quote = *s->at++;
	for (; *s->at && *s->at != quote; s->at++) {
		if (quote == '"' && s->at[0] == '\\' && (s->at[1] == '"' || s->at[1] == '\\'))
			s->at++;
		buf_byte(&s->word, (uint8_t)*s->at);
	}
	if (!*s->at)
		return false;
	s->at++;
	return true;
}

/* Whether a text begins with a variable's value: X=1 program. */
static bool sets_variable(const char *text)
{
	text += strspn(text, " \t");
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	return n && !(text[0] >= '0' && text[0] <= '9') && text[n] == '=';
}

/* Takes the text apart; *shell: it is not for us. */
static int split(struct splitting *s, const char *text, bool *shell, struct err *err)
{
	s->at = text;
	*shell = sets_variable(text);
	while (*s->at && !*shell) {
		char c = *s->at;
		bool blank = c == ' ' || c == '\t';
		if (blank)
			end_word(s);
		else
			s->in_word = true;
		if (c == '\'' || c == '"') {
			if (c == '"' && strpbrk(s->at, "$`"))
				*shell = true;
			else if (!take_quoted(s))
				return err_set(err, ERR_USAGE, "%s: a quote is not closed", text);
		} else if (c == '\\' && s->at[1]) {
			buf_byte(&s->word, (uint8_t)s->at[1]);
			s->at += 2;
		} else {
			*shell = strchr(shell_signs, c) != NULL;
			if (!blank)
				buf_byte(&s->word, (uint8_t)c);
			s->at++;
		}
	}
	end_word(s);
	return ERR_OK;
}

int words_parse(const char *text, const struct place_value *values, char ***words, struct err *err)
{
	struct splitting s = {0};
	bool shell;
	int rc = split(&s, text, &shell, err);
	*MEM_PUSH(s.words, s.n, s.cap) = NULL;
	if (!rc && !shell && !s.words[0])
		rc = err_set(err, ERR_USAGE, "\"%s\" is no command", text);
	*words = NULL;
	if (!rc && shell) {
		*words = mem_alloc(4, sizeof **words);
		(*words)[0] = mem_printf("sh");
		(*words)[1] = mem_printf("-c");
		(*words)[2] = fill(text, values, true);
	} else if (!rc) {
		*words = words_fill((const char *const *)s.words, values);
	}
	words_free(s.words);
	buf_finish(&s.word);
	return rc;
}
