/* Lists of what a database holds. */
#include <string.h>

#include "finding.h"
#include "json.h"
#include "sheet.h"
#include "summary.h"

static void campaign_text(struct sheet *sheet, const struct campaign_row *row,
			  const struct report_summary *summary)
{
	struct buf text = {0};
	buf_printf(&text, "%lld", (long long)row->id);
	sheet_paint(sheet, SHEET_BOLD, buf_text(&text));
	buf_clear(&text);
	buf_printf(&text, "  %s  %s  ", row->started, summary_verdict_text(summary->verdict));
	sheet_count(&text, summary->targets, "target");
	buf_string(&text, ", ");
	sheet_count(&text, summary->findings + summary->expected, "finding");
	sheet_escape(sheet->out, buf_text(&text));
	buf_string(sheet->out, "\n    ");
	sheet_wrap(sheet, 4, row->command);
	buf_finish(&text);
}

int report_list_campaigns(struct store *store, const struct report_options *options,
			  struct buf *out, struct err *err)
{
	struct sheet sheet;
	struct json json = {.out = out};
	bool as_json = options && options->json;
	struct store_query *q = NULL;
	struct campaign_row row;
	struct report_summary summary;
	sheet_init(&sheet, options, out);
	int rc = store_begin_reading(store, err);
	if (rc)
		return rc;
	if (as_json) {
		json_open(&json, NULL, '{');
		json_format(&json, "powercut-campaigns");
		json_open(&json, "campaigns", '[');
	}
	while ((rc = store_next_campaign(store, &q, &row, err)) == 1) {
		rc = report_summarise(store, row.id, &summary, err);
		if (rc)
			break;
		if (as_json)
			json_campaign(&json, NULL, &row, &summary);
		else
			campaign_text(&sheet, &row, &summary);
	}
	if (as_json) {
		json_close(&json, ']');
		json_close(&json, '}');
	}
	store_query_end(&q);
	store_end_reading(store);
	return rc;
}

static void finding_text(struct sheet *sheet, const struct finding_row *row,
			 const struct target_row *target)
{
	struct buf text = {0};
	sheet_paint(sheet, SHEET_BOLD, row->fingerprint);
	buf_string(&text, "  ");
	finding_rules(row, &text);
	buf_printf(&text, "  %scampaign %lld, %s", row->expected ? "expected  " : "",
		   (long long)target->campaign, target->name);
	sheet_wrap(sheet, 4, buf_text(&text));
	buf_string(sheet->out, "    ");
	sheet_wrap(sheet, 4, row->title);
	buf_finish(&text);
}

static int finding_object(struct json *json, struct store *store, const struct finding_row *row,
			  const struct target_row *target, struct err *err)
{
	json_open(json, NULL, '{');
	json_number(json, "campaign", target->campaign);
	json_text(json, "target", target->name);
	int rc = json_finding(json, "finding", store, row, err);
	json_close(json, '}');
	return rc;
}

int report_list_findings(struct store *store, int64_t campaign,
			 const struct report_options *options, struct buf *out, struct err *err)
{
	struct sheet sheet;
	struct json json = {.out = out};
	bool as_json = options && options->json;
	struct store_query *q = NULL;
	struct finding_row row;
	struct target_row target;
	sheet_init(&sheet, options, out);
	int rc = store_begin_reading(store, err);
	if (rc)
		return rc;
	if (as_json) {
		json_open(&json, NULL, '{');
		json_format(&json, "powercut-findings");
		json_open(&json, "findings", '[');
	}
	while ((rc = store_next_finding(store, &q, campaign, &row, err)) == 1) {
		rc = store_get_target(store, row.target, &target, err);
		if (rc == 0 && as_json)
			rc = finding_object(&json, store, &row, &target, err);
		else if (rc == 0)
			finding_text(&sheet, &row, &target);
		if (rc)
			break;
	}
	if (as_json) {
		json_close(&json, ']');
		json_close(&json, '}');
	}
	store_query_end(&q);
	store_end_reading(store);
	return rc;
}
