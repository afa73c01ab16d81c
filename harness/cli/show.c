#include "commands.h"
#include "reports.h"

struct show {
	const char *db;
	struct report_options how;
};

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct show *)ctx)->db = value;
	return ERR_OK;
}

static int set_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct show *)ctx)->how.json = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"db", "FILE", "database [powercut.db]", set_db},
	{"json", NULL, "as JSON", set_json},
	{0},
};

static int run(int argc, char **argv, const char *command_line)
{
	struct show s = {0};
	int rest, code;
	struct err err;
	struct buf out = {0};
	(void)command_line;
	if (cli_parse(&cli_show, &s, argc, argv, &rest, &code))
		return code;
	if (argc - rest != 1)
		return cli_usage("show", "expected one fingerprint, or the beginning of one");
	struct store *store = cli_open("show", s.db, &code);
	if (!store)
		return code;
	s.how.width = cli_width();
	s.how.colour = cli_colour();
	code = report_show(store, argv[rest], &s.how, &out, &err) ? cli_fail("show", &err)
								  : cli_print(&out, 0);
	buf_finish(&out);
	store_close(store);
	return code;
}

const struct cli_command cli_show = {
	.name = "show",
	.arguments = "[OPTIONS] FINGERPRINT",
	.help = "Explains one finding",
	.options = options,
	.run = run,
};
