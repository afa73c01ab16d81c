#include "witnesses.h"

#include <string.h>

enum outcome { WITNESSED, SAME_RULE, NOT_SEEN, NOT_TRIED, OUTCOMES };

static const struct {
	const char *name; /* in the store, and for people */
	const char *line; /* how a line begins that lists file systems */
} outcomes[OUTCOMES] = {
	[WITNESSED] = {"witnessed", "witnessed on "},
	[SAME_RULE] = {"same rule", "same rule broken on "},
	[NOT_SEEN] = {"not seen", "not seen on "},
	[NOT_TRIED] = {"not tried", "not tried on "},
};

/* The store lets no other outcome in, but a file may have been made by hand. */
static enum outcome outcome_of(const struct witness_row *row)
{
	enum outcome o = WITNESSED;
	while (o < NOT_TRIED && strcmp(row->outcome, outcomes[o].name) != 0)
		o++;
	return o;
}

int witnesses_line(struct sheet *sheet, struct store *store, int64_t finding, struct err *err)
{
	struct store_query *q = NULL;
	struct witness_row row;
	struct buf lists[OUTCOMES] = {0}, text = {0};
	int rc;
	while ((rc = store_next_witness(store, &q, finding, &row, err)) == 1) {
		enum outcome o = outcome_of(&row);
		buf_printf(&lists[o], "%s%s", lists[o].len ? ", " : outcomes[o].line,
			   row.file_system);
		if (o == NOT_SEEN) {
			buf_string(&lists[o], " (");
			sheet_count(&lists[o], row.states, "state");
			buf_string(&lists[o], ")");
		}
	}
	for (int o = 0; o < OUTCOMES; o++) {
		if (lists[o].len)
			buf_printf(&text, "%s%s", text.len ? "; " : "", buf_text(&lists[o]));
		buf_finish(&lists[o]);
	}
	if (rc == 0)
		sheet_field(sheet, "witnesses", buf_text(&text));
	buf_finish(&text);
	return rc;
}

/* " (Linux 6.18.44 x86_64; options; timing: commit; seed 1)" */
static void circumstances(const struct witness_row *row, struct buf *out)
{
	buf_string(out, " (");
	if (*row->kernel)
		buf_printf(out, "Linux %s; ", row->kernel);
	if (*row->options)
		buf_printf(out, "%s; ", row->options);
	if (*row->variant)
		buf_printf(out, "timing: %s; ", row->variant);
	buf_printf(out, "seed %llu)", (unsigned long long)row->seed);
}

static void put_outcome(const struct witness_row *row, enum outcome outcome, struct buf *out)
{
	buf_printf(out, "on %s", row->file_system);
	if (outcome == NOT_SEEN) {
		buf_string(out, " in ");
		sheet_count(out, row->states, "state");
		buf_string(out, " of ");
		sheet_count(out, row->variants, "timing");
	}
	if (outcome != NOT_TRIED)
		circumstances(row, out);
	if (outcome == SAME_RULE)
		buf_string(out, ": not this state, but another on which a rule of this finding "
				"is broken");
	if (*row->blocks)
		buf_printf(out, ": %s", row->blocks);
	if (outcome == NOT_TRIED && *row->text)
		buf_printf(out, ": %s", row->text);
}

void witnesses_say(struct sheet *sheet, const struct witness_row *row)
{
	struct buf text = {0};
	enum outcome o = outcome_of(row);
	put_outcome(row, o, &text);
	sheet_field(sheet, outcomes[o].name, buf_text(&text));
	if (o != NOT_TRIED)
		sheet_field(sheet, "", row->text);
	buf_finish(&text);
}

int witnesses_block(struct sheet *sheet, struct store *store, int64_t finding, struct err *err)
{
	struct store_query *q = NULL;
	struct witness_row row;
	bool any = false;
	int rc;
	while ((rc = store_next_witness(store, &q, finding, &row, err)) == 1) {
		if (!any) {
			buf_byte(sheet->out, '\n');
			sheet_paint(sheet, SHEET_BOLD, "On real file systems");
			buf_byte(sheet->out, '\n');
		}
		any = true;
		witnesses_say(sheet, &row);
	}
	return rc;
}

void witnesses_object(struct json *json, const struct witness_row *row)
{
	json_open(json, NULL, '{');
	json_text(json, "file_system", row->file_system);
	json_text(json, "outcome", row->outcome);
	json_text(json, "kernel", row->kernel);
	json_text(json, "options", row->options);
	json_text(json, "made", row->made);
	json_bits(json, "seed", row->seed);
	json_count(json, "states", row->states);
	json_count(json, "variants", row->variants);
	json_text(json, "variant", row->variant);
	json_text(json, "blocks", row->blocks);
	json_text(json, "text", row->text);
	json_close(json, '}');
}

int witnesses_list(struct json *json, struct store *store, int64_t finding, struct err *err)
{
	struct store_query *q = NULL;
	struct witness_row row;
	int rc;
	json_open(json, "witnesses", '[');
	while ((rc = store_next_witness(store, &q, finding, &row, err)) == 1)
		witnesses_object(json, &row);
	json_close(json, ']');
	return rc;
}
