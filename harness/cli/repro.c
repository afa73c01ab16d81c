#include <string.h>

#include "commands.h"
#include "contract.h"
#include "disk.h"
#include "points.h"
#include "rebuild.h"
#include "reports.h"
#include "sheet.h"

struct repro {
	const char *db, *export, *tmp;
	struct child_limits limits;
};

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct repro *)ctx)->db = value;
	return ERR_OK;
}

static int set_export(void *ctx, const char *value, struct err *err)
{
	((struct repro *)ctx)->export = value;
	return *value ? ERR_OK : err_set(err, ERR_USAGE, "names no directory");
}

static int set_tmp(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct repro *)ctx)->tmp = value;
	return ERR_OK;
}

static int set_timeout(void *ctx, const char *value, struct err *err)
{
	return cli_parse_timeout(value, &((struct repro *)ctx)->limits.wall_ms, err);
}

static const struct cli_option options[] = {
	{"db", "FILE", "database [powercut.db]", set_db},
	{"export", "DIR", "write the state's files to DIR, new or empty", set_export},
	{"timeout", "TIME", "wall time of the recovery, 500ms or seconds [1s]", set_timeout},
	{"tmp", "DIR", "where the image is made [/dev/shm]", set_tmp},
	{0},
};

/* A line of the width of the terminal, and what does not fit below its text. */
static void put_wrapped(struct buf *out, const char *label, const char *text)
{
	const struct report_options how = {.width = cli_width()};
	struct sheet sheet;
	sheet_init(&sheet, &how, out);
	buf_string(out, label);
	sheet_wrap(&sheet, (uint32_t)strlen(label), text);
}

/* The place in the history at which a state of this point is judged: all events
 * before the step in flight, or with an acknowledgement just given. */
static int put_verdict(struct rebuilt *c, const struct recovery *r, struct buf *out)
{
	bool power = model_profile(c->model)->order != ORDER_ISSUED;
	struct bounds bounds = points_bounds(&c->s, c->state.point, power);
	struct verdict verdict;
	struct buf why = {0}, contract = {0}, line = {0};
	buf_printf(out, "target     %s\n", c->s.name);
	if (c->check)
		buf_printf(out, "checker    %s\n", c->check);
	else
		contract_describe(&c->contract, &contract);
	if (contract.len)
		put_wrapped(out, "contract   ", buf_text(&contract));
	buf_finish(&contract);
	buf_printf(out, "profile    %s\n", model_profile(c->model)->name);
	if (c->parent)
		buf_printf(out, "after      a recovery of %s\n", c->parent);
	if (c->check)
		buf_printf(out, "history    acknowledged lines: %u\n", bounds.acked);
	else
		buf_printf(out,
			   "%s    %u change%s begun, %u acknowledged, %u of them durable by "
			   "contract\n",
			   c->parent ? "since  " : "history", bounds.begun,
			   bounds.begun == 1 ? "" : "s", bounds.acked, bounds.durable);
	bool unsure = recovery_unsure(r);
	jury_judge(&c->s.jury, r, &bounds, &verdict);
	if (c->check) {
		buf_printf(out, "said       %s\n", r->end == RECOVERY_OK ? "accepts" : r->text);
	} else if (r->end == RECOVERY_OK) {
		if (c->parent)
			buf_string(out, "recovered  without an error\n");
		else if (verdict.has_prefix && verdict.prefix == 0)
			buf_string(out, "recovered  what was there before any change\n");
		else if (verdict.has_prefix && verdict.prefix == 1)
			buf_string(out, "recovered  the first change\n");
		else if (verdict.has_prefix)
			buf_printf(out, "recovered  the first %u changes\n", verdict.prefix);
		else
			buf_string(out, "recovered  no prefix of the changes\n");
	} else {
		buf_printf(out, "recovery   %s\n", r->text);
	}
	for (int rule = RULE_O1; rule < RULES_END && !unsure; rule++) {
		if (!(verdict.broken & RULE_BIT(rule)))
			continue;
		buf_clear(&why);
		jury_explain(&c->s.jury, r, &bounds, (enum rule)rule, &why);
		buf_printf(&line, "%s %s: %s", rule_name(rule), rule_promise(rule), buf_text(&why));
		put_wrapped(out, "breaks     ", buf_text(&line));
		buf_clear(&line);
	}
	buf_finish(&why);
	buf_finish(&line);
	buf_printf(out, "verdict    %s\n",
		   unsure	    ? "inconclusive"
		   : verdict.broken ? "fail"
				    : "pass");
	return unsure ? EXIT_INCONCLUSIVE : verdict.broken ? EXIT_VIOLATION : 0;
}

static int recover_again(struct rebuilt *c, const struct repro *r, struct buf *out, int *code,
			 struct err *err)
{
	struct pool_options pool = {.jobs = 1, .parent = r->tmp, .limits = r->limits, .cpu = -1};
	struct recovery recovery;
	/* A command's checker is looked for from here. */
	if (c->check && checker_check(c->check, err))
		return err_wrap(err, "checker");
	int rc = pool_create(c->s.ops, c->s.history, &c->recover_job, &pool, &c->s.pool, err);
	if (!rc)
		rc = pool_run(c->s.pool, &c->state, &recovery, err);
	if (!rc)
		*code = put_verdict(c, &recovery, out);
	pool_destroy(c->s.pool);
	c->s.pool = NULL;
	return rc;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct repro r = {0};
	struct rebuilt subject = {0};
	int rest, code = 0;
	struct buf out = {0};
	struct err err;
	(void)command_line;
	if (cli_parse(&cli_repro, &r, argc, argv, &rest, &code))
		return code;
	if (argc - rest != 1)
		return cli_usage("repro", "expected one crash-state ID, as reports print it");
	struct store *store = cli_open("repro", r.db, &code);
	if (!store)
		return code;
	int rc = rebuild_state(store, argv[rest], &r.limits, r.tmp, &subject, &err);
	if (!rc && subject.check)
		command_limits(&r.limits);
	if (!rc && r.export) {
		rc = disk_export(subject.s.ops, &subject.state, r.export, &err);
		if (!rc)
			buf_printf(&out, "%s: the files as the crash left them\n", r.export);
	} else if (!rc) {
		rc = recover_again(&subject, &r, &out, &code, &err);
	}
	code = rc ? cli_fail("repro", &err) : cli_print(&out, code);
	buf_finish(&out);
	rebuilt_finish(&subject);
	store_close(store);
	return code;
}

const struct cli_command cli_repro = {
	.name = "repro",
	.arguments = "[OPTIONS] ID",
	.help = "Rebuilds a crash state from its ID; recovers and judges it again",
	.details = "The database alone is needed.  With --export, the state is written and not\n"
		   "recovered.  Exit code: 0 the state passes, 1 it fails, 2 inconclusive.\n",
	.options = options,
	.run = run,
};
