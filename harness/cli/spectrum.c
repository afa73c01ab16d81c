#include <inttypes.h>
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "mem.h"
#include "sheet.h"
#include "spectrum.h"
#include "trials.h"

enum { WIDTH_MIN = 100 };

struct spectrum {
	struct cli_trials common; /* first: its options are set through it */
	struct spectrum_options options;
	struct buf out, notes;
	struct sheet_table table;
	struct json json;
};

static const struct cli_option options[] = {
	CLI_TRIALS_OPTIONS("2000"),
	{0},
};

/* The profiles that have a column of their own in the text.  JSON has all. */
static const char *const shown[] = {"kill", "ext4", "xfs", "btrfs", "posix-dir", "posix", NULL};

/* Profiles that usually lose what another one does, and are named where they do not. */
static const struct {
	const char *name, *like;
} variants[] = {{"ext4-lock", "ext4"}, {"ext4-noda", "ext4"}, {NULL, NULL}};

/* ---- text ---- */

static void put_heading(struct sheet_table *table)
{
	static const char *const costs[] = {"syncs", "same", "dirs", NULL};
	table->columns = 1;
	sheet_cell(table, SHEET_FAINT, "most acknowledged lost");
	for (int i = 0; shown[i]; i++, table->columns++)
		sheet_cell(table, SHEET_FAINT, shown[i]);
	for (int i = 0; costs[i]; i++, table->columns++)
		sheet_cell(table, SHEET_FAINT, costs[i]);
}

static const struct spectrum_loss *loss_under(const struct spectrum_row *row, const char *profile)
{
	return &row->losses[profile_find(profile) - profile_table];
}

static void put_ratio(struct sheet_table *table, uint32_t n, uint32_t of)
{
	struct buf text = {0};
	buf_printf(&text, "%.2f", of ? (double)n / of : 0);
	sheet_cell(table, SHEET_PLAIN, buf_text(&text));
	buf_finish(&text);
}

static void put_share(struct sheet_table *table, uint32_t n, uint32_t of)
{
	struct buf text = {0};
	if (of)
		buf_printf(&text, "%u%%", (unsigned)((uint64_t)n * 100 / of));
	else
		buf_byte(&text, '-');
	sheet_cell(table, SHEET_PLAIN, buf_text(&text));
	buf_finish(&text);
}

static void put_label(const struct spectrum_row *row, struct buf *out)
{
	buf_printf(out, "%s %s %s %s", row->mode->engine, row->mode->variant, row->mode->mode,
		   row->call);
}

static void note_variants(const struct spectrum_row *row, struct buf *notes)
{
	for (int i = 0; variants[i].name; i++) {
		const struct spectrum_loss *own = loss_under(row, variants[i].name);
		if (own->loss == loss_under(row, variants[i].like)->loss)
			continue;
		put_label(row, notes);
		buf_printf(notes, ": %s%u under %s\n", own->at_least ? "≥" : "", own->loss,
			   variants[i].name);
	}
}

static void put_row(struct spectrum *s, const struct spectrum_row *row)
{
	struct sheet_table *table = &s->table;
	struct buf label = {0};
	put_label(row, &label);
	sheet_cell(table, SHEET_PLAIN, buf_text(&label));
	for (int i = 0; shown[i]; i++) {
		const struct spectrum_loss *l = loss_under(row, shown[i]);
		sheet_cell_number(table, l->loss ? SHEET_WARN : SHEET_GOOD, l->loss, l->at_least);
	}
	put_ratio(table, row->cost.files, row->operations);
	put_share(table, row->cost.same_size, row->cost.files);
	put_ratio(table, row->cost.directories, row->operations);
	note_variants(row, &s->notes);
	if (row->why[0])
		buf_printf(&s->notes, "%s is INCONCLUSIVE: %s\n", buf_text(&label), row->why);
	buf_finish(&label);
}

static void put_legend(struct spectrum *s, struct sheet *sheet)
{
	char *workload =
		mem_printf("%s, seed %" PRIu64, spectrum_workload, s->options.trials.campaign.seed);
	if (s->notes.len) {
		buf_byte(&s->out, '\n');
		sheet_lines(sheet, 2, buf_text(&s->notes));
	}
	buf_byte(&s->out, '\n');
	sheet_field(sheet, "kill", "the process dies; all other columns: power fails");
	sheet_field(sheet, "left out", "≥ stands where states were left out: these may lose more");
	sheet_field(sheet, "syncs", "sync calls of files an operation");
	sheet_field(sheet, "same", "share of these that had no change of size to make durable");
	sheet_field(sheet, "dirs", "sync calls of directories an operation");
	sheet_field(sheet, "workload", workload);
	free(workload);
}

/* ---- JSON ---- */

static void json_losses(struct json *json, const struct spectrum_row *row)
{
	json_open(json, "losses", '[');
	for (int p = 0; profile_table[p].name; p++) {
		const struct spectrum_loss *l = &row->losses[p];
		json_open(json, NULL, '{');
		json_text(json, "profile", profile_table[p].name);
		json_count(json, "loss", l->loss);
		json_bool(json, "at_least", l->at_least);
		json_count(json, "tested", l->tested);
		json_count(json, "left_out", l->left_out);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_row(struct json *json, const struct spectrum_row *row)
{
	json_open(json, NULL, '{');
	json_text(json, "engine", row->mode->engine);
	json_text(json, "variant", row->mode->variant);
	json_text(json, "mode", row->mode->mode);
	json_text(json, "call", row->call);
	json_text(json, "target", row->spec);
	json_count(json, "operations", row->operations);
	json_losses(json, row);
	json_count(json, "file_syncs", row->cost.files);
	json_count(json, "same_size_syncs", row->cost.same_size);
	json_count(json, "directory_syncs", row->cost.directories);
	json_text(json, "inconclusive", row->why);
	json_close(json, '}');
}

/* ---- the whole ---- */

static void on_row(void *arg, const struct spectrum_row *row)
{
	struct spectrum *s = arg;
	if (s->common.json)
		json_row(&s->json, row);
	else
		put_row(s, row);
}

static void begin_json(struct spectrum *s)
{
	json_open(&s->json, NULL, '{');
	json_format(&s->json, "powercut-spectrum");
	json_text(&s->json, "workload", spectrum_workload);
	json_bits(&s->json, "seed", s->options.trials.campaign.seed);
	json_open(&s->json, "rows", '[');
}

static void end_text(struct spectrum *s)
{
	struct sheet sheet;
	uint32_t width = cli_width();
	const struct report_options how = {.width = width > WIDTH_MIN ? width : WIDTH_MIN,
					   .colour = cli_colour()};
	sheet_init(&sheet, &how, &s->out);
	sheet_table_print(&sheet, &s->table);
	put_legend(s, &sheet);
}

static int run_spectrum(struct spectrum *s)
{
	struct err err;
	int code;
	s->options.row = on_row;
	s->options.arg = s;
	s->json.out = &s->out;
	if (s->common.json)
		begin_json(s);
	else
		put_heading(&s->table);
	int rc = spectrum_run(&s->options, &code, &err);
	cli_trials_clear(&s->common);
	if (s->common.json) {
		json_close(&s->json, ']');
		json_close(&s->json, '}');
	} else {
		end_text(s);
	}
	return rc ? cli_fail("spectrum", &err) : cli_print(&s->out, code);
}

static int run(int argc, char **argv, const char *command_line)
{
	struct spectrum *s = mem_alloc(1, sizeof *s);
	int rest, code;
	if (cli_parse(&cli_spectrum, s, argc, argv, &rest, &code))
		goto done;
	if (rest < argc) {
		code = cli_usage("spectrum", "\"%s\" is too much", argv[rest]);
		goto done;
	}
	cli_trials_begin(&s->common, command_line);
	s->options.trials = s->common.trials;
	code = run_spectrum(s);
done:
	buf_finish(&s->out);
	buf_finish(&s->notes);
	free(s);
	return code;
}

const struct cli_command cli_spectrum = {
	.name = "spectrum",
	.arguments = "[OPTIONS]",
	.help = "Measures what each engine and mode loses, and its syncs",
	.details =
		"For each engine, variant, mode and sync call: the most acknowledged operations\n"
		"that any tested state lost, contract or not, after a kill and after a power\n"
		"failure under each profile; and the sync calls that an operation costs.  With\n"
		"puts and deletes only: batches, syncs and compactions would hide the loss.\n",
	.options = options,
	.run = run,
};
