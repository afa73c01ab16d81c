#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "planted.h"
#include "profile.h"
#include "record.h"
#include "reports.h"
#include "sheet.h"

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

/* What a run must do, "put, sync". */
static void put_needs(unsigned needs, struct buf *out)
{
	static const struct {
		enum engine_need need;
		const char *words;
	} table[] = {
		{ENGINE_NEEDS_PUT, "put"},	   {ENGINE_NEEDS_DELETE, "delete"},
		{ENGINE_NEEDS_BATCH, "batch"},	   {ENGINE_NEEDS_SYNC, "sync"},
		{ENGINE_NEEDS_COMPACT, "compact"}, {ENGINE_NEEDS_REOPEN, "reopen"},
		{ENGINE_NEEDS_CRASH, "crash"},
	};
	const char *separator = "";
	if (!needs)
		buf_string(out, "always");
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (!(needs & table[i].need))
			continue;
		buf_printf(out, "%s%s", separator, table[i].words);
		separator = ", ";
	}
}

/* "variant=hardened, sync=sync or batch; or batch<=2" of
 * "variant=hardened,sync=sync|batch;batch<=2". */
static void put_when(const char *when, struct buf *out)
{
	for (const char *at = when; *at; at++) {
		if (*at == ',')
			buf_string(out, ", ");
		else if (*at == ';')
			buf_string(out, "; or ");
		else if (*at == '|')
			buf_string(out, " or ");
		else
			buf_byte(out, (uint8_t)*at);
	}
}

/* A line for each point: its name, what must be done, and with which options. */
static void put_points(struct sheet *sheet, const struct engine_fault_point *points)
{
	enum { NEEDS_COLUMN = 2 + 30, WHEN_COLUMN = NEEDS_COLUMN + 15 };
	struct buf text = {0};
	for (const struct engine_fault_point *p = points; p && p->name; p++) {
		buf_printf(sheet->out, "  %-*s", NEEDS_COLUMN - 2, p->name);
		buf_clear(&text);
		put_needs(p->needs, &text);
		if (p->when && text.len < WHEN_COLUMN - NEEDS_COLUMN)
			buf_printf(&text, "%*s", (int)(WHEN_COLUMN - NEEDS_COLUMN - text.len), "");
		else if (p->when)
			buf_string(&text, "; ");
		if (p->when)
			put_when(p->when, &text);
		sheet_wrap(sheet, NEEDS_COLUMN, buf_text(&text));
	}
	buf_finish(&text);
}

static int list_faults(const struct list *l, struct buf *out, struct err *err)
{
	struct sheet sheet;
	(void)err;
	sheet_init(&sheet, &l->how, out);
	for (const struct engine *const *e = engine_table; *e; e++) {
		buf_printf(out, "%s  %s\n", (*e)->name, (*e)->summary);
		put_points(&sheet, (*e)->fault_points);
	}
	buf_string(out, "\nBehind a name: what a run must do to pass the point (crash: open the "
			"store\nafter one that left something to repair), then the options with "
			"which it is\npassed, if not with all.\n");
	return ERR_OK;
}

/* The options of `powercut run` that a workload is written in: "--ops 20 --mix put"
 * of "ops=20 mix=put". */
static void put_workload(const char *workload, struct buf *out)
{
	const char *word;
	size_t length;
	while (store_next_word(&workload, &word, &length)) {
		size_t name = strcspn(word, "= ");
		buf_printf(out, " --%.*s", (int)name, word);
		if (name < length)
			buf_printf(out, " %.*s", (int)(length - name - 1), word + name + 1);
	}
}

/* "O4 or O6" of "O4|O6". */
static void put_rules(const char *rules, struct buf *out)
{
	for (const char *at = rules; *at; at++)
		if (*at == '|')
			buf_string(out, " or ");
		else
			buf_byte(out, (uint8_t)*at);
}

static void put_bug(struct sheet *sheet, const struct planted_bug *bug)
{
	struct buf text = {0};
	sheet_paint(sheet, SHEET_BOLD, bug->name);
	buf_byte(sheet->out, '\n');
	sheet_field(sheet, "wrong", bug->wrong);
	put_rules(bug->rules, &text);
	buf_string(&text, ", from ");
	for (const char *at = bug->from; *at; at++)
		buf_printf(&text, "%s%c", *at == ' ' ? "," : "", *at);
	sheet_field(sheet, "breaks", buf_text(&text));
	buf_clear(&text);
	buf_printf(&text, "powercut run --engine %s%cmutant=%s", bug->target,
		   strchr(bug->target, ':') ? ',' : ':', bug->name);
	put_workload(bug->workload, &text);
	sheet_field_whole(sheet, "try", buf_text(&text));
	buf_finish(&text);
}

static int list_bugs(const struct list *l, struct buf *out, struct err *err)
{
	struct sheet sheet;
	(void)err;
	sheet_init(&sheet, &l->how, out);
	for (const struct planted_bug *bug = planted_bugs; bug->name; bug++)
		put_bug(&sheet, bug);
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
	{"engines", list_engines}, {"profiles", list_profiles},	  {"faults", list_faults},
	{"bugs", list_bugs},	   {"campaigns", list_campaigns}, {"findings", list_findings},
	{"calls", list_calls},
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
	return cli_usage("list", "expected one of engines, profiles, faults, bugs, campaigns, "
				 "findings, calls");
}

const struct cli_command cli_list = {
	.name = "list",
	.arguments = "[OPTIONS] WHAT",
	.help = "Lists what there is",
	.details = "WHAT is one of\n"
		   "engines    with their options\n"
		   "profiles   persistence profiles, strongest first\n"
		   "faults     fault points of the engines, and what it takes to pass them\n"
		   "bugs       planted in the engines, and how to turn them on\n"
		   "campaigns  in the database\n"
		   "findings   in the database\n"
		   "calls      system calls that the recorder knows\n",
	.options = options,
	.run = run,
};
