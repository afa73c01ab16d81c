#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "symbols.h"
#include "trace_codec.h"

struct trace_command {
	const char *db, *target, *campaign, *state;
	bool stacks;
};

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct trace_command *)ctx)->db = value;
	return ERR_OK;
}

static int set_target(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct trace_command *)ctx)->target = value;
	return ERR_OK;
}

static int set_campaign(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct trace_command *)ctx)->campaign = value;
	return ERR_OK;
}

static int set_state(void *ctx, const char *value, struct err *err)
{
	((struct trace_command *)ctx)->state = value;
	if (strspn(value, "0123456789abcdef") == 8 && (value[8] == '.' || !value[8]))
		return ERR_OK;
	return err_set(err, ERR_USAGE, "\"%s\" is no crash-state ID as reports print it", value);
}

static int set_stacks(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct trace_command *)ctx)->stacks = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"db", "FILE", "database [powercut.db]", set_db},
	{"target", "SPEC", "the target, or its number in the report [1]", set_target},
	{"campaign", "N", "of that campaign [the newest]", set_campaign},
	{"state", "ID", "the run in which that crash happened, a recovery's too", set_state},
	{"stacks", NULL, "with the functions and source lines of each call", set_stacks},
	{0},
};

/* Finds the target of the campaign by its number in the report or by its name, of which
 * the last counts; where there is none such, says which there are. */
static int find(struct store *store, const struct trace_command *t, struct target_row *row,
		struct err *err)
{
	struct store_query *q = NULL;
	struct buf known = {0};
	int64_t campaign = 0, id = 0;
	uint64_t number = 0, n = 0;
	struct err ignored;
	const char *what = t->target ? t->target : "1";
	bool numbered = cli_parse_number(what, 1, INT64_MAX, &number, &ignored) == ERR_OK;
	int rc = cli_campaign(store, t->campaign, &campaign, err);
	while (!rc && (rc = store_next_target(store, &q, campaign, row, err)) == 1) {
		rc = 0;
		n++;
		if (numbered ? n == number : strcmp(row->name, what) == 0)
			id = row->id;
		buf_printf(&known, "%s%" PRIu64 " %s", n > 1 ? ", " : "", n, row->name);
	}
	store_query_end(&q);
	if (!rc && id)
		rc = store_get_target(store, id, row, err);
	else if (!rc)
		rc = err_set(err, ERR_MISSING,
			     "%s: campaign %" PRId64 " has no target \"%s\"; it has %s",
			     store_path(store), campaign, what, n ? buf_text(&known) : "none");
	buf_finish(&known);
	return rc;
}

static void print_stack(struct symbols *symbols, uint32_t stack, struct buf *out)
{
	struct source s;
	for (size_t i = 0; symbols_frame(symbols, stack, i, &s); i++)
		if (!s.system)
			buf_printf(out, "             %s at %s:%d\n",
				   s.function[0] ? s.function : "?", s.file[0] ? s.file : "?",
				   s.line);
}

/* The listing with the stack of each call below its line. */
static void put_stacks(const struct trace *trace, struct buf *listing, struct buf *out)
{
	struct symbols *symbols = symbols_create(trace, NULL);
	const char *line = buf_text(listing);
	while (*line) {
		size_t n = strcspn(line, "\n");
		unsigned long event;
		buf_append(out, line, n + (line[n] == '\n'));
		if (sscanf(line, "%lu", &event) == 1 && event < trace->n_events)
			print_stack(symbols, trace->events[event].stack, out);
		line += n + (line[n] == '\n');
	}
	symbols_destroy(symbols);
}

/* The number of the trace that is meant, and a heading. */
static int find_trace(struct store *store, const struct trace_command *t, int64_t *id,
		      struct buf *out, struct err *err)
{
	struct target_row target;
	struct trace_row trace;
	struct store_query *q = NULL;
	if (!t->state) {
		int rc = find(store, t, &target, err);
		if (rc)
			return rc;
		*id = target.trace;
		buf_printf(out, "# %s, seed %" PRIu64 ", %s\n", target.name, target.seed,
			   target.workload);
		return ERR_OK;
	}
	int rc = store_next_trace(store, &q, (uint32_t)strtoul(t->state, NULL, 16), &trace, err);
	if (rc == 1 && *trace.parent)
		buf_printf(out, "# a recovery of %s, from event %u on\n", trace.parent,
			   trace.first_event);
	*id = trace.id;
	store_query_end(&q);
	if (rc == 0)
		return err_set(err, ERR_MISSING, "no trace of this database begins with %.8s",
			       t->state);
	return rc == 1 ? ERR_OK : rc;
}

static int print(struct store *store, const struct trace_command *t, struct buf *out,
		 struct err *err)
{
	struct trace *trace = NULL;
	struct buf bytes = {0}, listing = {0};
	int64_t id = 0;
	int rc = find_trace(store, t, &id, out, err);
	if (!rc)
		rc = store_get_trace(store, id, &bytes, err);
	if (!rc && (rc = trace_decode(bytes.data, bytes.len, &trace, err)))
		err_wrap(err, "trace %" PRId64 " of the database", id);
	if (!rc) {
		trace_print(trace, &listing);
		if (t->stacks)
			put_stacks(trace, &listing, out);
		else
			buf_append(out, listing.data, listing.len);
	}
	trace_destroy(trace);
	buf_finish(&bytes);
	buf_finish(&listing);
	return rc;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct trace_command t = {0};
	int rest, code;
	struct err err;
	struct buf out = {0};
	(void)command_line;
	if (cli_parse(&cli_trace, &t, argc, argv, &rest, &code))
		return code;
	if (rest < argc)
		return cli_usage("trace", "\"%s\" is too much", argv[rest]);
	if (t.state && t.target)
		return cli_usage("trace", "either --target or --state");
	if (t.state && t.campaign)
		return cli_usage("trace", "either --campaign or --state");
	struct store *store = cli_open("trace", t.db, &code);
	if (!store)
		return code;
	code = print(store, &t, &out, &err) ? cli_fail("trace", &err) : cli_print(&out, 0);
	buf_finish(&out);
	store_close(store);
	return code;
}

const struct cli_command cli_trace = {
	.name = "trace",
	.arguments = "[OPTIONS]",
	.help = "Prints the recorded calls of a target",
	.options = options,
	.run = run,
};
