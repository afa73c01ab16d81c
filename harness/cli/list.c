#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "engine.h"
#include "json.h"
#include "mem.h"
#include "planted.h"
#include "plugin.h"
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
	{"json", NULL, "for machines", set_json},
	{0},
};

/* ---- JSON: an object with the list under its own name ---- */

static void json_begin(struct json *json, struct buf *out, const char *format, const char *name)
{
	*json = (struct json){.out = out};
	json_open(json, NULL, '{');
	json_format(json, format);
	json_open(json, name, '[');
}

static void json_end(struct json *json)
{
	json_close(json, ']');
	json_close(json, '}');
}

static void json_engine(struct json *json, const struct engine *engine, const char *file)
{
	json_open(json, NULL, '{');
	json_text(json, "name", engine->name);
	json_text(json, "summary", engine->summary);
	if (file)
		json_text(json, "plug_in", file);
	json_open(json, "options", '[');
	for (const struct engine_option *o = engine->options; o && o->name; o++) {
		json_open(json, NULL, '{');
		json_text(json, "name", o->name);
		json_text(json, "default", o->fallback);
		json_text(json, "choices", o->choices ? o->choices : "");
		if (!o->choices) {
			json_count(json, "min", o->min);
			json_count(json, "max", o->max);
		}
		json_text(json, "help", o->help);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

static void json_profiles(struct buf *out)
{
	struct json json;
	json_begin(&json, out, "powercut-profiles", "profiles");
	for (const struct profile *p = profile_table; p->name; p++) {
		json_open(&json, NULL, '{');
		json_text(&json, "name", p->name);
		json_text(&json, "summary", p->summary);
		json_close(&json, '}');
	}
	json_end(&json);
}

static void json_bugs(struct buf *out)
{
	struct json json;
	json_begin(&json, out, "powercut-bugs", "bugs");
	for (const struct planted_bug *bug = planted_bugs; bug->name; bug++) {
		json_open(&json, NULL, '{');
		json_text(&json, "name", bug->name);
		json_text(&json, "wrong", bug->wrong);
		json_text(&json, "target", bug->target);
		json_text(&json, "workload", bug->workload);
		json_text(&json, "rules", bug->rules);
		json_words(&json, "from", bug->from);
		json_close(&json, '}');
	}
	json_end(&json);
}

static void json_calls(struct buf *out)
{
	struct json json;
	struct record_syscall row;
	json_begin(&json, out, "powercut-calls", "calls");
	for (size_t i = 0; record_syscall(i, &row); i++) {
		json_open(&json, NULL, '{');
		json_text(&json, "name", row.name);
		json_text(&json, "handling", row.handling);
		json_number(&json, "x86_64", row.x86_64);
		json_number(&json, "aarch64", row.aarch64);
		json_close(&json, '}');
	}
	json_end(&json);
}

/* ---- text ---- */

static void put_option(struct sheet *sheet, const struct engine_option *o)
{
	enum { COLUMN = 17, HELP_COLUMN = 19 };
	struct buf text = {0};
	if (o->choices)
		buf_printf(&text, "%s [%s]", *o->choices ? o->choices : "TEXT", o->fallback);
	else
		buf_printf(&text, "%" PRIu64 "..%" PRIu64 " [%s]", o->min, o->max, o->fallback);
	buf_printf(sheet->out, "  %-14s ", o->name);
	sheet_wrap(sheet, COLUMN, buf_text(&text));
	buf_printf(sheet->out, "%*s", HELP_COLUMN, "");
	sheet_wrap(sheet, HELP_COLUMN, o->help);
	buf_finish(&text);
}

/* Where engines are listed: as JSON where json.out is set. */
struct engines_out {
	struct sheet *sheet;
	struct json json;
};

static void put_engine(struct engines_out *to, const struct engine *engine, const char *file)
{
	if (to->json.out) {
		json_engine(&to->json, engine, file);
		return;
	}
	buf_printf(to->sheet->out, "%s  %s\n", engine->name, engine->summary);
	if (file)
		buf_printf(to->sheet->out, "  plug-in %s\n", file);
	for (const struct engine_option *o = engine->options; o && o->name; o++)
		put_option(to->sheet, o);
}

static void put_absent(struct engines_out *to, const char *name, const char *why)
{
	if (!to->json.out) {
		buf_printf(to->sheet->out, "%s  %s\n", name, why);
		return;
	}
	json_open(&to->json, NULL, '{');
	json_text(&to->json, "name", name);
	json_text(&to->json, "absent", why);
	json_close(&to->json, '}');
}

/* One that does not load is no reason not to list the others. */
static void put_plugin(void *arg, const char *name, const char *file, const char *why)
{
	struct engines_out *to = arg;
	const struct engine *engine = NULL;
	struct err err = {0};
	if (why) {
		put_absent(to, name, why);
	} else if (plugin_find(name, strlen(name), &engine, &err)) {
		char *text = mem_printf("cannot be used: %s", err.text);
		put_absent(to, name, text);
		free(text);
	} else if (engine) {
		put_engine(to, engine, file);
	}
}

static int list_engines(const struct list *l, struct buf *out, struct err *err)
{
	struct sheet sheet;
	(void)err;
	struct engines_out to = {.sheet = &sheet};
	if (l->how.json)
		json_begin(&to.json, out, "powercut-engines", "engines");
	sheet_init(&sheet, &l->how, out);
	for (const struct engine *const *e = engine_table; *e; e++)
		put_engine(&to, *e, NULL);
	plugin_each(put_plugin, &to);
	if (l->how.json)
		json_end(&to.json);
	return ERR_OK;
}

static int list_profiles(const struct list *l, struct buf *out, struct err *err)
{
	struct sheet sheet;
	(void)err;
	if (l->how.json) {
		json_profiles(out);
		return ERR_OK;
	}
	sheet_init(&sheet, &l->how, out);
	for (const struct profile *p = profile_table; p->name; p++) {
		buf_printf(out, "%-10s ", p->name);
		sheet_wrap(&sheet, 11, p->summary);
	}
	return ERR_OK;
}

/* What a run must do, "put, sync", or `nothing`. */
static void put_needs(unsigned needs, const char *between, const char *nothing, struct buf *out)
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
		buf_string(out, nothing);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (!(needs & table[i].need))
			continue;
		buf_printf(out, "%s%s", separator, table[i].words);
		separator = between;
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
		put_needs(p->needs, ", ", "always", &text);
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

static void json_faults(struct buf *out)
{
	struct json json;
	struct buf needs = {0};
	json_begin(&json, out, "powercut-faults", "faults");
	for (const struct engine *const *e = engine_table; *e; e++) {
		for (const struct engine_fault_point *p = (*e)->fault_points; p && p->name; p++) {
			buf_clear(&needs);
			put_needs(p->needs, " ", "", &needs);
			json_open(&json, NULL, '{');
			json_text(&json, "name", p->name);
			json_text(&json, "engine", (*e)->name);
			json_words(&json, "needs", buf_text(&needs));
			json_text(&json, "when", p->when ? p->when : "");
			json_close(&json, '}');
		}
	}
	json_end(&json);
	buf_finish(&needs);
}

static int list_faults(const struct list *l, struct buf *out, struct err *err)
{
	struct sheet sheet;
	(void)err;
	if (l->how.json) {
		json_faults(out);
		return ERR_OK;
	}
	sheet_init(&sheet, &l->how, out);
	for (const struct engine *const *e = engine_table; *e; e++) {
		if (!(*e)->fault_points)
			continue;
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
	if (l->how.json) {
		json_bugs(out);
		return ERR_OK;
	}
	sheet_init(&sheet, &l->how, out);
	for (const struct planted_bug *bug = planted_bugs; bug->name; bug++)
		put_bug(&sheet, bug);
	return ERR_OK;
}

static int list_calls(const struct list *l, struct buf *out, struct err *err)
{
	struct record_syscall row;
	(void)err;
	if (l->how.json) {
		json_calls(out);
		return ERR_OK;
	}
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

static const struct kind {
	const char *name;
	int (*list)(const struct list *l, struct buf *out, struct err *err);
	bool db, campaign; /* options that mean something for it */
} lists[] = {
	{"engines", list_engines, false, false},    {"profiles", list_profiles, false, false},
	{"faults", list_faults, false, false},	    {"bugs", list_bugs, false, false},
	{"campaigns", list_campaigns, true, false}, {"findings", list_findings, true, true},
	{"calls", list_calls, false, false},
};

enum { WORD_MAX = 40 };

/* Says what is wrong with a word. */
static int refuse(const char *word, const char *wrong)
{
	return cli_usage("list",
			 "\"%.*s\" %s, expected one of engines, profiles, faults, bugs, "
			 "campaigns, findings, calls",
			 WORD_MAX, word, wrong);
}

static const struct kind *find(const char *name)
{
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(lists[i].name, name) == 0)
			return &lists[i];
	return NULL;
}

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
	if (argc == rest)
		return cli_usage("list",
				 "expected one of engines, profiles, faults, bugs, campaigns, "
				 "findings, calls");
	if (argc - rest > 1)
		return refuse(argv[rest + 1], "is too much");
	const struct kind *kind = find(argv[rest]);
	if (!kind)
		return refuse(argv[rest], "is no list");
	if (l.campaign && !kind->campaign)
		return cli_usage("list", "--campaign goes with findings, not with %s", kind->name);
	if (l.db && !kind->db)
		return cli_usage("list", "--db goes with campaigns and findings, not with %s",
				 kind->name);
	int rc = kind->list(&l, &out, &err);
	/* 1: what went wrong has been said. */
	code = rc == 1 ? EXIT_WRONG_USAGE : rc ? cli_fail("list", &err) : cli_print(&out, 0);
	buf_finish(&out);
	return code;
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
