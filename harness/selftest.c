#include "selftest.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "judge.h"
#include "mem.h"
#include "planted.h"

const struct campaign_target selftest_sound[] = {
	{.spec = "wal:variant=hardened,sync=batch,batch=8,recycle=1,call=fdatasync"},
	{.spec = "wal:variant=hardened,sync=none,recycle=1,segment_bytes=1024"},
	{.spec = "lsm:variant=hardened,sync=each,call=fdatasync"},
	{.spec = "btree:variant=hardened,call=fdatasync"},
	{.spec = "bitcask:variant=hardened,sync_writes=1,call=fdatasync"},
	/* Empty values, and values of several blocks. */
	{.spec = "wal:variant=hardened", .workload = "ops=60 values=24-12000 empty=15"},
	{.spec = "lsm:variant=hardened", .workload = "ops=60 values=24-12000 empty=15"},
	{.spec = "btree:variant=hardened", .workload = "ops=60 values=24-12000 empty=15"},
	{.spec = "bitcask:variant=hardened", .workload = "ops=60 values=24-12000 empty=15"},
	{0},
};

static const char *const texts[][2] = {
#define X(constant, text, json) [SELFTEST_##constant] = {text, json},
	SELFTEST_VERDICTS(X)
#undef X
};

const char *selftest_verdict_text(enum selftest_verdict verdict)
{
	return texts[verdict][0];
}

const char *selftest_verdict_json(enum selftest_verdict verdict)
{
	return texts[verdict][1];
}

/* ---- names ---- */

bool selftest_matches(const char *name, const char *subject)
{
	size_t n = strlen(name);
	if (n && name[n - 1] == '*')
		return strncmp(name, subject, n - 1) == 0;
	if (strncmp(name, subject, n) != 0)
		return false;
	/* "wal" stands for "wal/skip-sync" and "wal:sync=none". */
	bool engine = n && !strpbrk(name, ":/");
	return subject[n] == '\0' || (engine && (subject[n] == '/' || subject[n] == ':'));
}

/* ---- what is to be run ---- */

struct subjects {
	const struct selftest_options *options;
	const struct campaign_target **sound;
	size_t n_sound, sound_cap;
};

static bool selected(const struct selftest_options *o, const char *subject)
{
	for (size_t i = 0; i < o->n_names; i++)
		if (selftest_matches(o->names[i], subject))
			return true;
	return o->n_names == 0;
}

/* Takes the rows of a table that expect nothing and whose engine is there. */
static void take_sound(struct subjects *s, const struct campaign_target *table)
{
	for (const struct campaign_target *t = table; t->spec; t++)
		if (!t->expected && selected(s->options, t->spec) &&
		    trial_engine_known(s->options->trials.campaign.engines, t->spec))
			*MEM_PUSH(s->sound, s->n_sound, s->sound_cap) = t;
}

static int check_names(const struct subjects *s, struct err *err)
{
	for (size_t i = 0; i < s->options->n_names; i++) {
		const char *name = s->options->names[i];
		bool any = false;
		for (const struct planted_bug *b = s->options->bugs; b->name; b++)
			any = any || selftest_matches(name, b->name);
		for (size_t k = 0; k < s->n_sound; k++)
			any = any || selftest_matches(name, s->sound[k]->spec);
		if (!any)
			return err_set(
				err, ERR_USAGE,
				"\"%s\" matches no planted bug (see `powercut list bugs`) and no "
				"sound engine",
				name);
	}
	return ERR_OK;
}

/* ---- one run ---- */

/* What only a second look at a recovered store can break. */
static const uint32_t nested_rules =
	RULE_BIT(RULE_O9) | RULE_BIT(RULE_O10) | RULE_BIT(RULE_O11) | RULE_BIT(RULE_O12);

struct run {
	struct selftest_row row;
	char *state, *why;
};

static void take_finding(struct run *run, const struct finding_row *f, uint32_t profiles)
{
	struct selftest_row *row = &run->row;
	row->findings++;
	row->broken |= f->rules;
	if (row->wrong && !(f->rules & row->expected))
		return;
	row->found |= profiles;
	if (run->state && f->found_after >= row->found_after)
		return;
	free(run->state);
	run->state = mem_printf("%s", f->state);
	row->found_after = f->found_after;
}

/* A run that could not be judged in part never passes; but a missed bug is only missed
 * where all was judged, while one finding in a sound engine is enough. */
static enum selftest_verdict decide(const struct selftest_row *row, bool undecided)
{
	if (!row->wrong && row->findings)
		return SELFTEST_ACCUSED;
	if (undecided)
		return SELFTEST_UNDECIDED;
	if (!row->wrong)
		return SELFTEST_SILENT;
	return row->required & ~row->found ? SELFTEST_MISSED : SELFTEST_FOUND;
}

static int read_rows(void *arg, struct store *store, const struct campaign_result *result,
		     struct err *err)
{
	struct run *run = arg;
	struct store_query *q = NULL;
	struct finding_row finding;
	struct target_row target;
	uint32_t profiles;
	int rc;
	while ((rc = store_next_finding(store, &q, result->id, &finding, err)) == 1) {
		rc = profiles_parse(finding.profiles, &profiles, err);
		if (rc)
			break;
		take_finding(run, &finding, profiles);
	}
	store_query_end(&q);
	if (!rc)
		rc = trial_target(store, result->id, &target, err);
	if (rc)
		return rc;
	rc = trial_undecided(store, result, &target, &run->why, err);
	run->row.states = result->states;
	run->row.elapsed_ns = result->elapsed_ns;
	run->row.unreached = result->unreached;
	run->row.verdict = decide(&run->row, run->why != NULL);
	return rc;
}

/* To crash recoveries in turn takes longer than all else together: only where a bug is
 * known by it, and then of many states, or where nothing may be found. */
static void set_nested(struct campaign_options *campaign, const struct selftest_row *row)
{
	bool known_by_it = row->expected & nested_rules;
	if (row->wrong && !known_by_it)
		campaign->depth = UINT32_MAX;
	if (row->wrong && !campaign->nested_states)
		campaign->nested_states = SELFTEST_NESTED_STATES;
	if (!campaign->nested_max)
		campaign->nested_max = row->wrong ? SELFTEST_NESTED_BUG : SELFTEST_NESTED_SOUND;
}

static int run_one(const struct selftest_options *o, const struct trial *trial, struct run *run,
		   struct selftest_result *result, struct err *err)
{
	struct trials trials = o->trials;
	trials.campaign.seed = run->row.seed;
	set_nested(&trials.campaign, &run->row);
	run->row.spec = trial->spec;
	if (o->begin)
		o->begin(o->arg, run->row.name);
	int rc = trial_run(&trials, trial, read_rows, run, err);
	if (rc)
		err_wrap(err, "%s", run->row.name);
	run->row.state = run->state ? run->state : "";
	run->row.why = run->row.verdict == SELFTEST_UNDECIDED && run->why ? run->why : "";
	if (!rc) {
		result->verdicts[run->row.verdict]++;
		if (o->row)
			o->row(o->arg, &run->row);
	}
	free(run->state);
	free(run->why);
	return rc;
}

static int run_bug(const struct selftest_options *o, const struct planted_bug *bug, uint64_t seed,
		   struct selftest_result *result, struct err *err)
{
	struct run run = {.row = {.name = bug->name, .wrong = bug->wrong, .seed = seed}};
	uint32_t from;
	if (rules_parse(bug->rules, &run.row.expected, err) ||
	    profiles_parse(bug->from, &from, err)) {
		err->code = ERR_INTERNAL;
		return err_wrap(err, "%s", bug->name);
	}
	run.row.required = profiles_weaker(from);
	char *spec = mem_printf("%s%cmutant=%s", bug->target, strchr(bug->target, ':') ? ',' : ':',
				bug->name);
	const struct trial trial = {.spec = spec, .workload = bug->workload};
	int rc = run_one(o, &trial, &run, result, err);
	free(spec);
	return rc;
}

static int run_sound(const struct selftest_options *o, const struct campaign_target *target,
		     uint64_t seed, struct selftest_result *result, struct err *err)
{
	struct run run = {.row = {.name = target->spec, .seed = seed}};
	const struct trial trial = {.spec = target->spec,
				    .mix = target->mix,
				    .workload = target->workload,
				    .contract = target->contract};
	return run_one(o, &trial, &run, result, err);
}

/* ---- the whole ---- */

static int run_seed(const struct subjects *s, uint64_t seed, struct selftest_result *result,
		    struct err *err)
{
	const struct selftest_options *o = s->options;
	int rc = ERR_OK;
	for (const struct planted_bug *b = o->bugs; b->name && !rc; b++)
		if (selected(o, b->name) && !trials_stopped(&o->trials))
			rc = run_bug(o, b, seed, result, err);
	for (size_t i = 0; i < s->n_sound && !rc && !trials_stopped(&o->trials); i++)
		rc = run_sound(o, s->sound[i], seed, result, err);
	return rc;
}

static int exit_code(const struct selftest_options *o, const struct selftest_result *r)
{
	if (r->verdicts[SELFTEST_MISSED] || r->verdicts[SELFTEST_ACCUSED])
		return 1;
	if (r->verdicts[SELFTEST_UNDECIDED] || trials_stopped(&o->trials))
		return 2;
	return r->verdicts[SELFTEST_FOUND] || r->verdicts[SELFTEST_SILENT] ? 0 : 3;
}

int selftest_run(const struct selftest_options *given, struct selftest_result *result,
		 struct err *err)
{
	struct selftest_options options = *given;
	struct subjects subjects = {.options = &options};
	uint64_t start = clock_ns(), first;
	*result = (struct selftest_result){0};
	options.bugs = options.bugs ? options.bugs : planted_bugs;
	options.seeds = options.seeds ? options.seeds : 1;
	first = options.trials.campaign.seed ? options.trials.campaign.seed : 1;
	if (!options.trials.campaign.states_max)
		options.trials.campaign.states_max = SELFTEST_STATES_MAX;
	options.trials.campaign.no_outcomes = true;
	take_sound(&subjects, options.sound ? options.sound : campaign_builtin);
	if (!options.sound)
		take_sound(&subjects, selftest_sound);
	int rc = check_names(&subjects, err);
	for (uint64_t i = 0; i < options.seeds && !rc; i++)
		rc = run_seed(&subjects, first + i, result, err);
	free(subjects.sound);
	result->elapsed_ns = clock_ns() - start;
	result->exit_code = rc ? err_exit_code((enum err_code)rc) : exit_code(&options, result);
	return rc;
}
