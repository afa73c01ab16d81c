/* The report for machines, "powercut-report", version 1.
 *
 * {
 *   "format": "powercut-report", "version": 1,
 *   "campaign": {
 *     "id", "powercut", "command", "started", "finished", "system", "seed", "jobs", "exit_code",
 *     "verdict": "passed" | "failed" | "inconclusive" | "nothing" | "too_little" | "unfinished",
 *     "targets", "targets_failed", "targets_inconclusive": counts,
 *     "findings": those not expected, "expected": those expected, "missing": expected ones that
 *       did not occur; "tested", "violations", "nested": sums over targets and profiles;
 *     "unreached": how many fault points the targets should have passed and did not
 *   },
 *   "targets": [{
 *     "name", "engine", "options", "workload", "contract", "seed",
 *     "calls", "operations", "changes", "micro_ops", "points",
 *     "verdict": as above, never "unfinished",
 *     "inconclusive": "" or why, "expected": [fingerprint], "unreached": [fault point],
 *     "coverage": [{"profile", "points", "possible", "exact", "tested", "merged", "left_out",
 *                   "recovered", "violations", "inconclusive", "loss",
 *                   "recoverable", "again", "nested", "nested_left_out"}],
 *     "windows": [{"before", "after", "points", "tested", "violations"}],
 *     "faults": [{"name", "passages", "recoveries", "crashes", "reachable"}],
 *     "findings": [{"id", "fingerprint", "rule": "O2", "rules": ["O2"], "title", "cause",
 *                   "source", "before", "after", "profiles": [], "minimal": [], "state",
 *                   "states", "found_after", "expected", "explanation",
 *                   "witnesses": [{"file_system", "outcome": "witnessed" | "same rule" |
 *                                    "not seen" | "not tried",
 *                                  "kernel", "options", "made", "seed", "states", "variants",
 *                                  "variant", "blocks", "text"}]}],
 *     "inconclusive_states": [{"state", "text"}]
 *   }]
 * }
 *
 * Unknown texts are "".  "exit_code" is -1 while the campaign runs or where it was killed.
 * "possible" and "left_out" are lower bounds unless "exact".  Numbers are integers of up to 63
 * bits; seeds, which have 64, are strings.  "before" and "after" are fault points.  "windows" sums
 * over the profiles.  A real file system is a profile with the name "on:ext4".  Text that is not
 * UTF-8 has U+FFFD for the bytes at fault.
 *
 * "too_little": all that was tested is in order, but a fault point that the options and the
 * workload lead to was never passed ("unreached").  Of the recoveries that went well
 * ("recoverable") some were recorded and crashed in turn ("again"), which gave states after two
 * crashes or more ("nested"; at least "nested_left_out" others were not tested); what they broke
 * counts in "violations".  A fault point's "passages" are those of the recorded run; "recoveries"
 * are the ones that passed it; "crashes" are the states that stand for a crash at it or after it
 * and before the next.  "found_after": states of the target looked at until the first of them.
 *
 * "witnesses": real file systems on which the finding was looked for.  "witnessed": it left the
 * very files of the finding's state; "same rule": other files, which break one of "rules" too;
 * "not seen": neither, in so many "states" of a recorded disk, of so many "variants" of timing,
 * which does not say that it cannot be.  "variant" is the timing that showed it, "blocks" what
 * the disk had kept and lost then, "text" what recovery said, or why it was not tried.
 *
 * Members may be added without a new version; one that goes or changes its meaning raises it. */
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "finding.h"
#include "rules.h"
#include "summary.h"
#include "witnesses.h"

enum { FORMAT_VERSION = 1, INCONCLUSIVE_MAX = 1000 };

static void quoted(struct buf *out, const char *text)
{
	buf_byte(out, '"');
	buf_json(out, text, strlen(text));
	buf_byte(out, '"');
}

static void new_line(struct json *json)
{
	if (json->depth)
		buf_byte(json->out, '\n');
	for (uint32_t i = 0; i < json->depth; i++)
		buf_string(json->out, "  ");
}

static void member(struct json *json, const char *name)
{
	if (json->some)
		buf_byte(json->out, ',');
	new_line(json);
	if (name) {
		quoted(json->out, name);
		buf_string(json->out, ": ");
	}
	json->some = true;
}

void json_open(struct json *json, const char *name, char bracket)
{
	member(json, name);
	buf_byte(json->out, (uint8_t)bracket);
	json->depth++;
	json->some = false;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (json->some) {
		buf_byte(json->out, '\n');
		for (uint32_t i = 0; i < json->depth; i++)
			buf_string(json->out, "  ");
	}
	buf_byte(json->out, (uint8_t)bracket);
	if (json->depth == 0)
		buf_byte(json->out, '\n');
	json->some = true;
}

void json_text(struct json *json, const char *name, const char *text)
{
	member(json, name);
	quoted(json->out, text);
}

void json_number(struct json *json, const char *name, int64_t n)
{
	member(json, name);
	buf_printf(json->out, "%" PRId64, n);
}

void json_count(struct json *json, const char *name, uint64_t n)
{
	member(json, name);
	buf_printf(json->out, "%" PRIu64, n);
}

void json_bits(struct json *json, const char *name, uint64_t n)
{
	member(json, name);
	buf_printf(json->out, "\"%" PRIu64 "\"", n);
}

void json_bool(struct json *json, const char *name, bool value)
{
	member(json, name);
	buf_string(json->out, value ? "true" : "false");
}

void json_words(struct json *json, const char *name, const char *list)
{
	const char *word;
	size_t length;
	struct buf one = {0};
	json_open(json, name, '[');
	while (store_next_word(&list, &word, &length)) {
		buf_clear(&one);
		buf_append(&one, word, length);
		json_text(json, NULL, buf_text(&one));
	}
	json_close(json, ']');
	buf_finish(&one);
}

void json_format(struct json *json, const char *format)
{
	json_text(json, "format", format);
	json_number(json, "version", FORMAT_VERSION);
}

int json_finding(struct json *json, const char *name, struct store *store,
		 const struct finding_row *row, struct err *err)
{
	struct buf rules = {0};
	json_open(json, name, '{');
	json_number(json, "id", row->id);
	json_text(json, "fingerprint", row->fingerprint);
	json_text(json, "rule", rule_name(row->rule));
	finding_rules(row, &rules);
	json_words(json, "rules", buf_text(&rules));
	json_text(json, "title", row->title);
	json_text(json, "cause", row->cause);
	json_text(json, "source", row->source);
	json_text(json, "before", row->before);
	json_text(json, "after", row->after);
	json_words(json, "profiles", row->profiles);
	json_words(json, "minimal", row->minimal);
	json_text(json, "state", row->state);
	json_count(json, "states", row->states);
	json_count(json, "found_after", row->found_after);
	json_bool(json, "expected", row->expected);
	json_text(json, "explanation", row->explanation);
	int rc = witnesses_list(json, store, row->id, err);
	json_close(json, '}');
	buf_finish(&rules);
	return rc;
}

void json_campaign(struct json *json, const char *name, const struct campaign_row *row,
		   const struct report_summary *summary)
{
	json_open(json, name, '{');
	json_number(json, "id", row->id);
	json_text(json, "powercut", row->version);
	json_text(json, "command", row->command);
	json_text(json, "started", row->started);
	json_text(json, "finished", row->finished);
	json_text(json, "system", row->system);
	json_bits(json, "seed", row->seed);
	json_count(json, "jobs", row->jobs);
	json_number(json, "exit_code", row->exit_code);
	json_text(json, "verdict", summary_verdict_json(summary->verdict));
	json_count(json, "targets", summary->targets);
	json_count(json, "targets_failed", summary->targets_failed);
	json_count(json, "targets_inconclusive", summary->targets_inconclusive);
	json_count(json, "findings", summary->findings);
	json_count(json, "expected", summary->expected);
	json_count(json, "missing", summary->missing);
	json_count(json, "unreached", summary->unreached);
	json_count(json, "tested", summary->tested);
	json_count(json, "nested", summary->nested);
	json_count(json, "violations", summary->violations);
	json_close(json, '}');
}

static void target_members(struct json *json, const struct target_row *row,
			   const struct target_summary *summary)
{
	json_text(json, "name", row->name);
	json_text(json, "engine", row->engine);
	json_text(json, "options", row->options);
	json_text(json, "workload", row->workload);
	json_text(json, "contract", row->contract);
	json_bits(json, "seed", row->seed);
	json_count(json, "calls", row->calls);
	json_count(json, "operations", row->operations);
	json_count(json, "changes", row->changes);
	json_count(json, "micro_ops", row->micros);
	json_count(json, "points", row->points);
	json_text(json, "verdict", summary_verdict_json(summary->verdict));
	json_text(json, "inconclusive", row->inconclusive);
	json_words(json, "expected", row->expected);
}

static int coverage_list(struct json *json, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct coverage_row row;
	int rc;
	json_open(json, "coverage", '[');
	while ((rc = store_next_coverage(store, &q, target, &row, err)) == 1) {
		json_open(json, NULL, '{');
		json_text(json, "profile", row.profile);
		json_count(json, "points", row.points);
		json_count(json, "possible", row.possible);
		json_bool(json, "exact", row.exact);
		json_count(json, "tested", row.tested);
		json_count(json, "merged", row.merged);
		json_count(json, "left_out", row.left_out);
		json_count(json, "recovered", row.recovered);
		json_count(json, "violations", row.violations);
		json_count(json, "inconclusive", row.inconclusive);
		json_count(json, "loss", row.loss);
		json_count(json, "recoverable", row.recoverable);
		json_count(json, "again", row.again);
		json_count(json, "nested", row.nested);
		json_count(json, "nested_left_out", row.nested_left_out);
		json_close(json, '}');
	}
	json_close(json, ']');
	return rc;
}

static int window_list(struct json *json, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct window_row row;
	int rc;
	json_open(json, "windows", '[');
	while ((rc = store_next_window(store, &q, target, &row, err)) == 1) {
		json_open(json, NULL, '{');
		json_text(json, "before", row.before);
		json_text(json, "after", row.after);
		json_count(json, "points", row.points);
		json_count(json, "tested", row.tested);
		json_count(json, "violations", row.violations);
		json_close(json, '}');
	}
	json_close(json, ']');
	return rc;
}

static int fault_list(struct json *json, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row row;
	int rc;
	json_open(json, "faults", '[');
	while ((rc = store_next_fault(store, &q, target, &row, err)) == 1) {
		json_open(json, NULL, '{');
		json_text(json, "name", row.name);
		json_count(json, "passages", row.passages);
		json_count(json, "recoveries", row.recoveries);
		json_count(json, "crashes", row.crashes);
		json_bool(json, "reachable", row.reachable);
		json_close(json, '}');
	}
	json_close(json, ']');
	return rc;
}

static int unreached_list(struct json *json, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row row;
	int rc;
	json_open(json, "unreached", '[');
	while ((rc = store_next_fault(store, &q, target, &row, err)) == 1)
		if (summary_unreached(&row))
			json_text(json, NULL, row.name);
	json_close(json, ']');
	return rc;
}

static int finding_list(struct json *json, struct store *store, const struct target_row *target,
			struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row row;
	int rc;
	json_open(json, "findings", '[');
	while ((rc = store_next_finding(store, &q, target->campaign, &row, err)) == 1) {
		if (row.target == target->id)
			rc = json_finding(json, NULL, store, &row, err);
		if (rc < 0)
			break;
	}
	store_query_end(&q);
	json_close(json, ']');
	return rc;
}

static int inconclusive_list(struct json *json, struct store *store, int64_t target,
			     struct err *err)
{
	struct store_query *q = NULL;
	struct outcome_row row;
	int rc = 0;
	json_open(json, "inconclusive_states", '[');
	for (int n = 0; n < INCONCLUSIVE_MAX; n++) {
		rc = store_next_verdict(store, &q, target, "inconclusive", &row, err);
		if (rc != 1)
			break;
		json_open(json, NULL, '{');
		json_text(json, "state", row.state);
		json_text(json, "text", row.text);
		json_close(json, '}');
	}
	store_query_end(&q);
	json_close(json, ']');
	return rc < 0 ? rc : 0;
}

static int target_object(struct json *json, struct store *store, const struct target_row *target,
			 struct err *err)
{
	struct target_summary summary;
	int rc = summary_of_target(store, target, &summary, err);
	if (rc)
		return rc;
	json_open(json, NULL, '{');
	target_members(json, target, &summary);
	rc = unreached_list(json, store, target->id, err);
	if (rc == 0)
		rc = coverage_list(json, store, target->id, err);
	if (rc == 0)
		rc = window_list(json, store, target->id, err);
	if (rc == 0)
		rc = fault_list(json, store, target->id, err);
	if (rc == 0)
		rc = finding_list(json, store, target, err);
	if (rc == 0)
		rc = inconclusive_list(json, store, target->id, err);
	json_close(json, '}');
	return rc;
}

static int target_list(struct json *json, struct store *store, int64_t campaign, struct err *err)
{
	struct store_query *q = NULL;
	struct target_row target;
	int rc;
	json_open(json, "targets", '[');
	while ((rc = store_next_target(store, &q, campaign, &target, err)) == 1) {
		rc = target_object(json, store, &target, err);
		if (rc)
			break;
	}
	store_query_end(&q);
	json_close(json, ']');
	return rc;
}

int report_json(struct store *store, int64_t campaign, const struct report_options *options,
		struct buf *out, struct err *err)
{
	struct json json = {.out = out};
	struct report_summary summary;
	struct campaign_row row;
	(void)options;
	int rc = store_begin_reading(store, err);
	if (rc == 0)
		rc = report_summarise(store, campaign, &summary, err);
	if (rc == 0)
		rc = store_get_campaign(store, campaign, &row, err);
	if (rc)
		goto done;
	json_open(&json, NULL, '{');
	json_format(&json, "powercut-report");
	json_campaign(&json, "campaign", &row, &summary);
	rc = target_list(&json, store, campaign, err);
	json_close(&json, '}');
done:
	store_end_reading(store);
	return rc;
}
