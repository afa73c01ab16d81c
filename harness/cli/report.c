#include <stdlib.h>

#include "commands.h"
#include "reports.h"

struct report {
	const char *db, *campaign, *output;
	const struct report_renderer *renderer;
	struct report_options how;
};

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct report *)ctx)->db = value;
	return ERR_OK;
}

static int set_campaign(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct report *)ctx)->campaign = value;
	return ERR_OK;
}

static int set_format(void *ctx, const char *value, struct err *err)
{
	struct report *r = ctx;
	r->renderer = report_find(value, err);
	return r->renderer ? ERR_OK : ERR_USAGE;
}

static int set_windows(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct report *)ctx)->how.all_windows = true;
	return ERR_OK;
}

static int set_full(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct report *)ctx)->how.full = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"db", "FILE", "database [powercut.db]", set_db},
	{"campaign", "N", "which one [the newest; see list campaigns]", set_campaign},
	{"format", "NAME", "text or json [text]", set_format},
	{"full", NULL, "text: every target in full, however many there are", set_full},
	{"windows", NULL, "text: the same with every window between fault points", set_windows},
	{0},
};

/* What is not known to have ended has not been told of in full. */
static int exit_code(struct store *store, int64_t campaign, int *code, struct err *err)
{
	struct campaign_row row;
	int rc = store_get_campaign(store, campaign, &row, err);
	if (!rc)
		*code = *row.finished ? 0 : 2;
	return rc;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct report r = {.renderer = &report_renderers[0]};
	int rest, code, outcome = 0;
	struct err err;
	int64_t id;
	struct buf out = {0};
	(void)command_line;
	if (cli_parse(&cli_report, &r, argc, argv, &rest, &code))
		return code;
	if (rest < argc)
		return cli_usage("report", "\"%s\" is too much", argv[rest]);
	struct store *store = cli_open("report", r.db, &code);
	if (!store)
		return code;
	r.how.width = cli_width();
	r.how.colour = cli_colour();
	int rc = cli_campaign(store, r.campaign, &id, &err);
	if (!rc)
		rc = r.renderer->render(store, id, &r.how, &out, &err);
	if (!rc)
		rc = exit_code(store, id, &outcome, &err);
	code = rc ? cli_fail("report", &err) : cli_print(&out, outcome);
	buf_finish(&out);
	store_close(store);
	return code;
}

const struct cli_command cli_report = {
	.name = "report",
	.arguments = "[OPTIONS]",
	.help = "Shows what a campaign found, from its database alone",
	.options = options,
	.run = run,
};
