#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mem.h"

enum {
	OPTIONS_MAX = 48,
	FILE_MAX = 1 << 20,
	LONG_OPTION = 256, /* and above: no character, so no short option */
};

/* The exit code. */
static int print_help(const struct cli_command *c)
{
	struct buf out = {0};
	buf_printf(&out, "Usage: powercut %s %s\n\n%s.\n", c->name, c->arguments, c->help);
	if (c->details)
		buf_printf(&out, "\n%s", c->details);
	buf_string(&out, "\nOptions:\n");
	for (const struct cli_option *o = c->options; o->name; o++) {
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		buf_printf(&out, "  %-22s %s\n", left, o->help);
	}
	buf_printf(&out, "  %-22s %s\n", "--help", "show this");
	int code = cli_print(&out, 0);
	buf_finish(&out);
	return code;
}

/* What getopt_long stumbled over.  It leaves 0 in optopt for a long option that it
 * does not know or that begins several, whose own value they differ by. */
static int bad_option(const struct cli_command *c, bool no_value, const char *word)
{
	if (optopt >= LONG_OPTION)
		return cli_usage(c->name, "--%s %s",
				 optopt == LONG_OPTION ? "help"
						       : c->options[optopt - LONG_OPTION - 1].name,
				 no_value ? "needs a value" : "takes no value");
	if (optopt)
		return cli_usage(c->name, "-%c is not an option: all are long, as in --help",
				 optopt);
	return cli_usage(c->name, "%s is not an option, or begins several", word);
}

int cli_parse(const struct cli_command *c, void *ctx, int argc, char **argv, int *rest,
	      int *exit_code)
{
	struct option table[OPTIONS_MAX] = {{"help", no_argument, NULL, LONG_OPTION}};
	for (int i = 0; c->options[i].name; i++)
		table[i + 1] = (struct option){c->options[i].name,
					       c->options[i].arg ? required_argument : no_argument,
					       NULL, LONG_OPTION + 1 + i};
	opterr = 0;
	optind = 1;
	for (;;) {
		int found = getopt_long(argc, argv, ":", table, NULL);
		if (found == -1)
			break;
		if (found == '?' || found == ':') {
			*exit_code = bad_option(c, found == ':', argv[optind - 1]);
			return 1;
		}
		if (found == LONG_OPTION) {
			*exit_code = print_help(c);
			return 1;
		}
		struct err err;
		const struct cli_option *o = &c->options[found - LONG_OPTION - 1];
		if (o->set(ctx, optarg, &err)) {
			*exit_code = cli_usage(c->name, "--%s: %s", o->name, err.text);
			return 1;
		}
	}
	*rest = optind;
	return 0;
}

/* One line, whatever the text quotes: nothing in it reaches the terminal as a
 * control character. */
static void complain(const char *name, const char *text)
{
	struct buf line = {0};
	for (; *text; text++)
		buf_byte(&line, iscntrl((unsigned char)*text) ? '?' : (uint8_t)*text);
	fflush(stdout);
	fprintf(stderr, "powercut %s: %s\n", name, buf_text(&line));
	buf_finish(&line);
}

int cli_fail(const char *name, const struct err *err)
{
	complain(name, err->text);
	return err_exit_code(err->code);
}

int cli_usage(const char *name, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	complain(name, text);
	fprintf(stderr, "Try `powercut %s --help`.\n", name);
	return EXIT_WRONG_USAGE;
}

/* Digits, then one of the suffixes. */
static int parse_scaled(const char *text, const char *const *suffixes, const uint64_t *factors,
			const char *expected, uint64_t *value, struct err *err)
{
	char *end;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	for (int i = 0; suffixes[i] && text[0] >= '0' && text[0] <= '9' && !errno; i++)
		if (strcmp(end, suffixes[i]) == 0 && n <= UINT64_MAX / factors[i]) {
			*value = n * factors[i];
			return ERR_OK;
		}
	return err_set(err, ERR_USAGE, "\"%s\" is not %s", text, expected);
}

int cli_parse_time(const char *text, uint64_t *ms, struct err *err)
{
	static const char *const suffixes[] = {"", "ms", "s", "m", "h", NULL};
	static const uint64_t factors[] = {1000, 1, 1000, 60000, 3600000};
	return parse_scaled(text, suffixes, factors, "a time such as 500ms, 10s, 2m or 1h", ms,
			    err);
}

int cli_parse_timeout(const char *text, uint32_t *ms, struct err *err)
{
	uint64_t value;
	int rc = cli_parse_time(text, &value, err);
	if (!rc && (value == 0 || value > 3600000))
		rc = err_set(err, ERR_USAGE, "\"%s\" is not a time from 1ms to 1h", text);
	if (!rc)
		*ms = (uint32_t)value;
	return rc;
}

int cli_parse_size(const char *text, uint64_t *bytes, struct err *err)
{
	static const char *const suffixes[] = {"", "K", "M", "G", NULL};
	static const uint64_t factors[] = {1, 1 << 10, 1 << 20, 1 << 30};
	return parse_scaled(text, suffixes, factors, "a size such as 4096, 64K, 512M or 1G", bytes,
			    err);
}

int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value, struct err *err)
{
	char *end;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*end || text[0] < '0' || text[0] > '9' || errno || *value < min || *value > max)
		return err_set(err, ERR_USAGE,
			       "\"%s\" is not a number from %" PRIu64 " to %" PRIu64, text, min,
			       max);
	return ERR_OK;
}

int cli_parse_count(const char *text, uint32_t min, uint32_t max, uint32_t *value, struct err *err)
{
	uint64_t n;
	int rc = cli_parse_number(text, min, max, &n, err);
	if (!rc)
		*value = (uint32_t)n;
	return rc;
}

int cli_read_file(const char *path, char **text, struct err *err)
{
	FILE *f = fopen(path, "re");
	struct buf all = {0};
	char part[4096];
	size_t n;
	*text = NULL;
	while (f && (n = fread(part, 1, sizeof part, f)) > 0 && all.len <= FILE_MAX)
		buf_append(&all, part, n);
	if (!f || ferror(f)) {
		err_sys(err, "%s", path);
		err->code = ERR_USAGE;
	} else if (all.len > FILE_MAX || memchr(buf_text(&all), 0, all.len)) {
		err_set(err, ERR_USAGE, "%s is no text of 1 MiB at most", path);
	} else {
		*text = mem_dup(buf_text(&all), all.len);
	}
	if (f)
		fclose(f);
	buf_finish(&all);
	return *text ? ERR_OK : err->code;
}

int cli_print(const struct buf *out, int code)
{
	for (size_t at = 0; at < out->len;) {
		ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			return code;
		if (n < 0) {
			fprintf(stderr, "powercut: standard output: %s\n", strerror(errno));
			return 70;
		}
		at += (size_t)n;
	}
	return code;
}

struct store *cli_open(const char *command, const char *path, int *exit_code)
{
	struct store *store = NULL;
	struct err err;
	if (store_open(path ? path : CLI_DATABASE, &store, &err)) {
		*exit_code = cli_fail(command, &err);
		return NULL;
	}
	return store;
}

int cli_campaign(struct store *store, const char *text, int64_t *id, struct err *err)
{
	uint64_t number;
	if (!text)
		return store_last_campaign(store, id, err);
	if (cli_parse_number(text, 1, INT64_MAX, &number, err))
		return err_wrap(err, "--campaign");
	struct campaign_row row;
	*id = (int64_t)number;
	int rc = store_get_campaign(store, *id, &row, err);
	if (rc == ERR_MISSING)
		return err_set(err, rc, "%s: no campaign %" PRIu64 " (see list campaigns)",
			       store_path(store), number);
	return rc;
}

uint32_t cli_width(void)
{
	struct winsize w;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 60)
		return w.ws_col;
	return 80;
}

bool cli_colour(void)
{
	const char *no = getenv("NO_COLOR");
	return isatty(STDOUT_FILENO) && !(no && *no);
}
