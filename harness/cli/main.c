#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

static const struct cli_command *const commands[] = {
#define X(name) &cli_##name,
	CLI_COMMANDS(X)
#undef X
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void put_help(struct buf *to)
{
	buf_string(to,
		   "Usage: powercut COMMAND [OPTIONS]\n\n"
		   "Crash-consistency tests for storage engines: records what an engine asks of\n"
		   "the disk, works out every state the disk could be in had the power failed at\n"
		   "each moment, and checks what the engine recovers from it.\n\nCommands:\n");
	for (int i = 0; i < COMMANDS; i++)
		buf_printf(to, "  %-11s %s\n", commands[i]->name, commands[i]->help);
	buf_string(
		to,
		"\n`powercut COMMAND --help` tells more.  `powercut run` without options runs\n"
		"the built-in campaign.\n\n"
		"Exit codes: 0 passed, 1 an invariant was violated or an expected finding did not\n"
		"occur, 2 inconclusive, 3 nothing was exercised, or too little, 64 wrong usage,\n"
		"70 internal error, or what had to be written could not be.\n");
}

/* One word as a shell would have to be given it. */
static void put_word(const char *word, struct buf *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_@%+=:,./-";
	if (word[0] && !word[strspn(word, plain)]) {
		buf_string(out, word);
		return;
	}
	buf_byte(out, '\'');
	for (; *word; word++)
		buf_printf(out, *word == '\'' ? "'\\''" : "%c", *word);
	buf_byte(out, '\'');
}

/* The command line as one text, for the store: it can be pasted. */
static const char *join(int argc, char **argv, struct buf *out)
{
	buf_string(out, "powercut");
	for (int i = 1; i < argc; i++) {
		buf_byte(out, ' ');
		put_word(argv[i], out);
	}
	return buf_text(out);
}

int main(int argc, char **argv)
{
	struct buf line = {0};
	int code = EXIT_WRONG_USAGE;
	/* Both are told by errno; children that run an engine have the default again. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		put_help(&line);
		fputs(buf_text(&line), stderr);
		buf_finish(&line);
		return code;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		put_help(&line);
		code = cli_print(&line, 0);
		buf_finish(&line);
		return code;
	}
	if (strcmp(argv[1], "--version") == 0) {
		buf_printf(&line, "powercut %s\n", POWERCUT_VERSION);
		code = cli_print(&line, 0);
		buf_finish(&line);
		return code;
	}
	cli_find_plugins();
	for (int i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i]->name) == 0) {
			code = commands[i]->run(argc - 1, argv + 1, join(argc, argv, &line));
			buf_finish(&line);
			return code;
		}
	fprintf(stderr, "powercut: \"%.40s\" is not a command, expected one of\n ", argv[1]);
	for (int i = 0; i < COMMANDS; i++)
		fprintf(stderr, " %s", commands[i]->name);
	fprintf(stderr, "\nTry `powercut --help`.\n");
	return code;
}
