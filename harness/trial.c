#include "trial.h"

#include <stdlib.h>
#include <string.h>

#include "area.h"
#include "judge.h"
#include "mem.h"

/* ---- running ---- */

static int prepare(const struct trials *trials, const struct trial *trial,
		   struct campaign_options *options, struct err *err)
{
	*options = trials->campaign;
	options->profiles = trial->profiles;
	options->workload = (struct workload_options){0};
	if (!trial->workload)
		return ERR_OK;
	return workload_parse(trial->workload, &options->workload, err);
}

static int run_in(const char *db, const struct campaign_options *options, trial_read *read,
		  void *arg, struct err *err)
{
	struct store *store = NULL;
	struct campaign_result result;
	int rc = store_create(db, &store, err);
	if (!rc)
		rc = campaign_run(options, store, &result, err);
	if (!rc)
		rc = read(arg, store, &result, err);
	store_close(store);
	return rc;
}

/* In a database that is gone afterwards. */
static int run_aside(const struct campaign_options *options, trial_read *read, void *arg,
		     struct err *err)
{
	char parent[AREA_PATH_MAX];
	struct area area = {0};
	int rc = area_choose(options->tmp, parent, err);
	if (!rc)
		rc = area_create(parent, &area, err);
	if (rc)
		return rc;
	char *db = mem_printf("%s/trial.db", area.path);
	rc = run_in(db, options, read, arg, err);
	free(db);
	area_remove(&area);
	return rc;
}

int trial_run(const struct trials *trials, const struct trial *trial, trial_read *read, void *arg,
	      struct err *err)
{
	struct campaign_options options;
	const struct campaign_target targets[] = {
		{.spec = trial->spec, .mix = trial->mix, .contract = trial->contract}, {0}};
	int rc = prepare(trials, trial, &options, err);
	if (rc)
		return rc;
	options.targets = targets;
	return trials->db ? run_in(trials->db, &options, read, arg, err)
			  : run_aside(&options, read, arg, err);
}

bool trials_stopped(const struct trials *trials)
{
	return trials->campaign.stop && *trials->campaign.stop;
}

bool trial_engine_known(const struct engine *const *engines, const char *spec)
{
	size_t n = strcspn(spec, ":");
	const struct engine *const *e = engines ? engines : engine_table;
	for (; *e; e++)
		if (strlen((*e)->name) == n && memcmp((*e)->name, spec, n) == 0)
			return true;
	return false;
}

/* ---- rows ---- */

int trial_target(struct store *store, int64_t campaign, struct target_row *row, struct err *err)
{
	struct store_query *q = NULL;
	int rc = store_next_target(store, &q, campaign, row, err);
	int64_t id = rc == 1 ? row->id : 0;
	store_query_end(&q);
	if (rc < 0)
		return rc;
	if (!id)
		return err_set(err, ERR_MISSING, "the campaign has no target");
	return store_get_target(store, id, row, err);
}

/* The first recovery that could not be judged, where it is known. */
static int undecided_state(struct store *store, int64_t target, char **why, struct err *err)
{
	struct store_query *q = NULL;
	struct outcome_row o;
	int rc = store_next_verdict(store, &q, target, "inconclusive", &o, err);
	if (rc == 1)
		*why = mem_printf("%s: %s", o.state, o.text);
	store_query_end(&q);
	if (rc == 0)
		*why = mem_printf("a recovery could not be judged");
	return rc < 0 ? rc : ERR_OK;
}

int trial_undecided(struct store *store, const struct campaign_result *result,
		    const struct target_row *row, char **why, struct err *err)
{
	*why = NULL;
	if (row->inconclusive[0])
		*why = mem_printf("%s", row->inconclusive);
	else if (result->inconclusive)
		return undecided_state(store, row->id, why, err);
	else if (result->idle)
		*why = mem_printf("the workload changed nothing");
	else if (!result->tested)
		*why = mem_printf("nothing was tested");
	return ERR_OK;
}

/* ---- sets of rules and of profiles ---- */

int rules_parse(const char *text, uint32_t *rules, struct err *err)
{
	*rules = 0;
	for (const char *at = text;; at++) {
		size_t n = strcspn(at, "|");
		uint32_t rule = rule_named(at, n);
		if (!rule)
			return err_set(err, ERR_USAGE, "\"%.*s\" is not a rule", (int)n, at);
		*rules |= RULE_BIT(rule);
		at += n;
		if (!*at)
			return ERR_OK;
	}
}

int profiles_parse(const char *names, uint32_t *set, struct err *err)
{
	const char *word;
	size_t length;
	*set = 0;
	while (store_next_word(&names, &word, &length)) {
		char *name = mem_dup(word, length);
		const struct profile *p = profile_find(name);
		int rc = p ? ERR_OK : err_set(err, ERR_USAGE, "\"%s\" is not a profile", name);
		free(name);
		if (rc)
			return rc;
		*set |= 1u << (p - profile_table);
	}
	return ERR_OK;
}

uint32_t profiles_weaker(uint32_t set)
{
	uint32_t weaker = 0;
	for (int q = 0; profile_table[q].name; q++)
		for (int p = 0; profile_table[p].name && set >> q & 1; p++)
			if (profile_within(&profile_table[q], &profile_table[p]))
				weaker |= 1u << p;
	return weaker;
}

uint32_t profiles_minimal(uint32_t set)
{
	uint32_t minimal = set;
	for (int p = 0; profile_table[p].name; p++)
		for (int q = 0; profile_table[q].name; q++)
			if (p != q && set >> p & set >> q & 1 &&
			    profile_within(&profile_table[q], &profile_table[p]) &&
			    !profile_within(&profile_table[p], &profile_table[q]))
				minimal &= ~(1u << p);
	return minimal;
}

void profiles_print(uint32_t set, struct buf *out)
{
	const char *space = "";
	for (int p = 0; profile_table[p].name; p++) {
		if (!(set >> p & 1))
			continue;
		buf_printf(out, "%s%s", space, profile_table[p].name);
		space = " ";
	}
}
