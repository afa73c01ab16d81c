#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "trace_codec.h"

/* ---- the target ---- */

static int add_trace(struct job *job, int64_t *id)
{
	struct buf bytes = {0};
	int rc = trace_encode(job->s.trace, &bytes, job->err);
	struct trace_row row = {
		.identity = job->s.identity, .bytes = bytes.data, .length = bytes.len};
	if (!rc)
		rc = store_add_trace(job->store, &row, job->err);
	*id = row.id;
	buf_finish(&bytes);
	return rc;
}

/* The findings that must occur.  Those of built-in targets are named by profiles: on real
 * file systems they may occur, and nobody knows in how many states. */
static const char *must_occur(const struct job *job)
{
	const char *expected = job->what->expected;
	return job->options->on && expected && !strstr(expected, "@on:") ? NULL : expected;
}

static struct target_row describe(const struct job *job, struct target_words *words)
{
	struct target_row row = {.campaign = job->campaign,
				 .name = job->what->spec,
				 .expected = must_occur(job),
				 .seed = job_seed(job)};
	job->kind->describe(job, words, &row);
	row.options = buf_text(&words->options);
	row.workload = buf_text(&words->workload);
	row.contract = buf_text(&words->contract);
	return row;
}

static void target_words_finish(struct target_words *words)
{
	buf_finish(&words->options);
	buf_finish(&words->workload);
	buf_finish(&words->contract);
	buf_finish(&words->failures);
}

int job_add_target(struct job *job)
{
	struct target_words words = {0};
	struct target_row row = describe(job, &words);
	job->s.identity = trace_identity(job->s.trace);
	int rc = add_trace(job, &row.trace);
	for (size_t i = 0; i < job->s.trace->n_events; i++)
		row.calls += job->s.trace->events[i].call[0] != '\0';
	job->changes = row.changes;
	row.micros = job->s.ops->n_micros;
	row.points = job->s.ops->n_steps;
	row.inconclusive = trace_inconclusive(job->s.trace);
	if (!row.inconclusive && words.failures.len)
		row.inconclusive = buf_text(&words.failures);
	if (row.inconclusive)
		job->inconclusive = true;
	if (!rc)
		rc = store_add_target(job->store, &row, job->err);
	job->s.id = row.id;
	target_words_finish(&words);
	return rc;
}

/* What the run did, as fault points ask for it (enum engine_need). */
static unsigned what_was_done(const struct job *job)
{
	static const unsigned needs[OP_TYPES_COUNT] = {
		[OP_PUT] = ENGINE_NEEDS_PUT,	     [OP_DELETE] = ENGINE_NEEDS_DELETE,
		[OP_BATCH] = ENGINE_NEEDS_BATCH,     [OP_SYNC] = ENGINE_NEEDS_SYNC,
		[OP_COMPACT] = ENGINE_NEEDS_COMPACT, [OP_REOPEN] = ENGINE_NEEDS_REOPEN,
	};
	const struct trace *t = job->s.trace;
	unsigned done = 0;
	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].kind == EVENT_OP_BEGIN && t->events[i].data_length &&
		    t->events[i].data[0] < OP_TYPES_COUNT)
			done |= needs[t->events[i].data[0]];
	/* A kill leaves little to repair, and so does a disk that loses but the end; what a real
	 * file system leaves is not known beforehand. */
	for (const struct profile *const *p = job->options->profiles; *p && !job->options->on; p++)
		if ((*p)->order != ORDER_ISSUED && (*p)->order != ORDER_ALL)
			done |= ENGINE_NEEDS_CRASH;
	return done;
}

int job_add_faults(struct job *job)
{
	int rc = ERR_OK;
	const struct engine_fault_point *points =
		job->target ? job->target->engine->fault_points : NULL;
	unsigned done = what_was_done(job);
	for (uint32_t k = 0; points && points[k].name && !rc; k++) {
		const struct engine_fault_point *p = &points[k];
		struct fault_row row = {.target = job->s.id, .name = p->name};
		row.reachable = config_reaches(&job->target->config, p, done);
		row.recoveries = explore_recoveries_past(job->explore, k);
		for (size_t i = 0; i < job->s.trace->n_events; i++)
			row.passages += job->s.trace->events[i].kind == EVENT_FAULT &&
					strcmp(job->s.trace->events[i].name, p->name) == 0;
		row.crashes = explore_crashes_after(job->explore, p->name);
		job->unreached += row.reachable && !row.passages && !row.recoveries;
		rc = store_add_fault(job->store, &row, job->err);
	}
	return rc;
}

/* ---- findings ---- */

/* The real file systems that showed a cause: that one did says nothing of the others. */
static void put_file_systems(uint32_t profiles, struct buf *all, struct buf *minimal)
{
	for (int i = 0; file_system_table[i].name; i++) {
		if (!(profiles & CAUSE_ON(i)))
			continue;
		buf_printf(all, "%son:%s", all->len ? " " : "", file_system_table[i].name);
		buf_printf(minimal, "%son:%s", minimal->len ? " " : "", file_system_table[i].name);
	}
}

/* All profiles of a cause, and the minimal ones among them. */
static void put_profiles(uint32_t profiles, struct buf *all, struct buf *minimal)
{
	for (int i = 0; profile_table[i].name; i++) {
		bool least = true;
		if (!(profiles >> i & 1))
			continue;
		for (int k = 0; profile_table[k].name; k++)
			if (k != i && profiles >> k & 1 &&
			    profile_within(&profile_table[k], &profile_table[i]) &&
			    !profile_within(&profile_table[i], &profile_table[k]))
				least = false;
		buf_printf(all, "%s%s", all->len ? " " : "", profile_table[i].name);
		if (least)
			buf_printf(minimal, "%s%s", minimal->len ? " " : "", profile_table[i].name);
	}
}

/* Notes in *met (a bit a word) which expectations a finding meets. */
static bool is_expected(const char *expected, const struct finding_row *row, uint64_t *met)
{
	const char *word;
	size_t length;
	bool any = false;
	for (unsigned i = 0; i < 64 && store_next_word(&expected, &word, &length); i++)
		if (store_finding_is(row, word, length)) {
			*met |= (uint64_t)1 << i;
			any = true;
		}
	return any;
}

/* Whether a finding on a real file system breaks a rule that is expected to break under some
 * profile. */
static bool may_occur(const struct job *job, const struct finding_row *row)
{
	const char *expected = job->what->expected, *word;
	size_t length;
	while (job->options->on && store_next_word(&expected, &word, &length)) {
		const char *at = memchr(word, '@', length);
		uint32_t rule = at && strncmp(at, "@on:", 4) != 0
					? rule_named(word, (size_t)(at - word))
					: 0;
		if (rule && row->rules & RULE_BIT(rule))
			return true;
	}
	return false;
}

static int add_finding(struct job *job, const struct cause *cause, uint64_t *met)
{
	struct buf all = {0}, minimal = {0};
	put_profiles(cause->profiles, &all, &minimal);
	put_file_systems(cause->profiles, &all, &minimal);
	struct finding_row row = {
		.target = job->s.id,
		.fingerprint = cause->fingerprint,
		.rule = cause->rule,
		.rules = cause->rules,
		.title = cause->title,
		.cause = cause->text,
		.source = cause->source,
		.before = cause->before,
		.after = cause->after,
		.profiles = buf_text(&all),
		.minimal = buf_text(&minimal),
		.state = cause->state,
		.explanation = cause->explanation,
		.states = cause->states,
		.found_after = cause->found_after,
	};
	row.expected = is_expected(must_occur(job), &row, met) || may_occur(job, &row);
	job->findings++;
	job->unexpected += !row.expected;
	int rc = store_add_finding(job->store, &row, job->err);
	buf_finish(&all);
	buf_finish(&minimal);
	return rc;
}

int job_add_findings(struct job *job)
{
	struct causes *causes = explore_causes(job->explore);
	const char *expected = must_occur(job), *word;
	uint64_t met = 0;
	size_t length;
	int rc = ERR_OK;
	for (size_t i = 0; i < causes_count(causes) && !rc; i++)
		rc = add_finding(job, causes_get(causes, i), &met);
	for (unsigned i = 0; i < 64 && store_next_word(&expected, &word, &length); i++)
		job->missing += !(met >> i & 1);
	return rc;
}

int job_add_failed_target(struct job *job)
{
	struct target_words words = {0};
	struct target_row row = describe(job, &words);
	char *why = mem_printf("%s", job->err->text);
	row.inconclusive = why;
	job->inconclusive = true;
	int rc = store_add_target(job->store, &row, job->err);
	free(why);
	target_words_finish(&words);
	return rc;
}
