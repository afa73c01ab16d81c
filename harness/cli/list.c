#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "profile.h"
#include "record.h"
#include "reports.h"

struct list {
	const char *db, *campaign;
	struct report_options how;
};

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct list *)ctx)->db = value;
	return ERR_OK;
}

static int set_campaign(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct list *)ctx)->campaign = value;
	return ERR_OK;
}

static int set_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct list *)ctx)->how.json = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"db", "FILE", "database, for campaigns and findings [powercut.db]", set_db},
	{"campaign", "N", "findings of that campaign only", set_campaign},
	{"json", NULL, "campaigns and findings as JSON", set_json},
	{0},
};

static int list_engines(const struct list *l, struct buf *out, struct err *err)
{
	(void)l;
	(void)err;
	for (const struct engine *const *e = engine_table; *e; e++) {
		buf_printf(out, "%s  %s\n", (*e)->name, (*e)->summary);
		for (const struct engine_option *o = (*e)->options; o && o->name; o++) {
			char range[64] = "";
			if (!o->choices)
				snprintf(range, sizeof range, "%llu..%llu",
					 (unsigned long long)o->min, (unsigned long long)o->max);
			buf_printf(out, "  %-14s %s [%s]\n", o->name,
				   o->choices ? o->choices : range, o->fallback);
			buf_printf(out, "  %-14s   %s\n", "", o->help);
		}
	}
	return ERR_OK;
}

static int list_profiles(const struct list *l, struct buf *out, struct err *err)
{
	(void)l;
	(void)err;
	for (const struct profile *p = profile_table; p->name; p++)
		buf_printf(out, "%-10s %s\n", p->name, p->summary);
	return ERR_OK;
}

static int list_faults(const struct list *l, struct buf *out, struct err *err)
{
	(void)l;
	(void)err;
	for (const struct engine *const *e = engine_table; *e; e++)
		for (const struct engine_fault_point *p = (*e)->fault_points; p && p->name; p++)
			buf_printf(out, "%s\n", p->name);
	return ERR_OK;
}

static int list_calls(const struct list *l, struct buf *out, struct err *err)
{
	struct record_syscall row;
	(void)l;
	(void)err;
	buf_printf(out, "%-24s %-14s %7s %8s\n", "system call", "handling", "x86_64", "aarch64");
	for (size_t i = 0; record_syscall(i, &row); i++)
		buf_printf(out, "%-24s %-14s %7d %8d\n", row.name, row.handling, row.x86_64,
			   row.aarch64);
	return ERR_OK;
}

static int list_campaigns(const struct list *l, struct buf *out, struct err *err)
{
	int code;
	struct store *store = cli_open("list", l->db, &code);
	if (!store)
		return 1;
	int rc = report_list_campaigns(store, &l->how, out, err);
	store_close(store);
	return rc;
}

static int list_findings(const struct list *l, struct buf *out, struct err *err)
{
	int code;
	int64_t campaign = 0;
	struct store *store = cli_open("list", l->db, &code);
	if (!store)
		return 1;
	int rc = l->campaign ? cli_campaign(store, l->campaign, &campaign, err) : ERR_OK;
	if (!rc)
		rc = report_list_findings(store, campaign, &l->how, out, err);
	store_close(store);
	return rc;
}

static const struct {
	const char *name;
	int (*list)(const struct list *l, struct buf *out, struct err *err);
} lists[] = {
	{"engines", list_engines},     {"profiles", list_profiles}, {"faults", list_faults},
	{"campaigns", list_campaigns}, {"findings", list_findings}, {"calls", list_calls},
};

static int run(int argc, char **argv, const char *command_line)
{
	struct list l = {0};
	int rest, code;
	struct err err;
	struct buf out = {0};
	(void)command_line;
	if (cli_parse(&cli_list, &l, argc, argv, &rest, &code))
		return code;
	l.how.width = cli_width();
	l.how.colour = cli_colour();
	for (size_t i = 0; argc - rest == 1 && i < sizeof lists / sizeof *lists; i++) {
		if (strcmp(lists[i].name, argv[rest]) != 0)
			continue;
		int rc = lists[i].list(&l, &out, &err);
		/* 1: what went wrong has been said. */
		code = rc == 1 ? EXIT_WRONG_USAGE
		       : rc    ? cli_fail("list", &err)
			       : cli_print(&out, 0);
		buf_finish(&out);
		return code;
	}
	return cli_usage("list", "expected one of engines, profiles, faults, campaigns, findings, "
				 "calls");
}

const struct cli_command cli_list = {
	.name = "list",
	.arguments = "[OPTIONS] engines|profiles|faults|campaigns|findings|calls",
	.help = "Lists what there is",
	.details = "engines    with their options\n"
		   "profiles   persistence profiles, strongest first\n"
		   "faults     fault points of the engines\n"
		   "campaigns  in the database\n"
		   "findings   in the database\n"
		   "calls      system calls that the recorder knows\n",
	.options = options,
	.run = run,
};
