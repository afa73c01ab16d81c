#include "claims.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "choose.h"
#include "judge.h"
#include "mem.h"
#include "trace_text.h"

enum { ADMITS_SHOWN = 4 };

static const char *const names[] = {
#define X(constant, name) [CLAIM_##constant] = name,
	CLAIM_ANSWERS(X)
#undef X
};

const char *claim_answer_name(enum claim_answer answer)
{
	return names[answer];
}

/* A case being decided. */
struct deciding {
	const struct claims_options *options;
	const struct claim_case *what;
	uint32_t profiles; /* the set, none empty */
	uint32_t rules;	   /* RULE_BITs */
	struct claim_row row;
	uint32_t shown;	   /* profiles under which some state shows it */
	char *state, *why; /* what row.state and row.why point to, where not "" */
	struct buf admits;
};

static void set_state(struct deciding *d, const char *state)
{
	if (!d->state)
		d->state = mem_printf("%s", state);
}

/* ---- one target ---- */

static int read_coverage(struct deciding *d, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct coverage_row c;
	int rc;
	while ((rc = store_next_coverage(store, &q, target, &c, err)) == 1) {
		d->row.states += c.tested + c.merged;
		d->row.left_out += c.left_out;
	}
	return rc;
}

static uint32_t profile_bit(const char *name)
{
	const struct profile *p = profile_find(name);
	return p ? 1u << (p - profile_table) : 0;
}

/* The failing states that were kept, which are not all where there are many. */
static int read_failures(struct deciding *d, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct outcome_row o;
	int rc;
	while ((rc = store_next_verdict(store, &q, target, "fail", &o, err)) == 1) {
		if (!(o.rules & d->rules))
			continue;
		d->shown |= profile_bit(o.profile);
		set_state(d, o.state);
	}
	return rc;
}

/* A finding speaks for all of its states, by the first rule that they break. */
static int read_findings(struct deciding *d, struct store *store, int64_t campaign, struct err *err)
{
	struct store_query *q = NULL;
	struct finding_row f;
	uint32_t profiles;
	int rc;
	while ((rc = store_next_finding(store, &q, campaign, &f, err)) == 1) {
		if (!(RULE_BIT(f.rule) & d->rules))
			continue;
		rc = profiles_parse(f.profiles, &profiles, err);
		if (rc)
			break;
		d->shown |= profiles;
		set_state(d, f.state);
	}
	store_query_end(&q);
	return rc;
}

/* Whether a crash at the fault point that the case is about was tried. */
static int read_crashes(struct deciding *d, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct fault_row f;
	uint64_t crashes = 0;
	int rc;
	if (!d->what->at)
		return ERR_OK;
	while ((rc = store_next_fault(store, &q, target, &f, err)) == 1)
		if (strcmp(f.name, d->what->at) == 0)
			crashes += f.crashes;
	if (!rc && !crashes && !d->why)
		d->why = mem_printf("no crash at %s was tried", d->what->at);
	return rc;
}

static int read_target(struct deciding *d, struct store *store,
		       const struct campaign_result *result, int64_t *id, struct err *err)
{
	struct target_row target;
	int rc = trial_target(store, result->id, &target, err);
	if (rc)
		return rc;
	*id = target.id;
	char *why;
	rc = trial_undecided(store, result, &target, &why, err);
	if (d->why)
		free(why); /* of the first of two runs is enough */
	else
		d->why = why;
	if (!rc)
		rc = read_coverage(d, store, *id, err);
	if (!rc)
		rc = read_crashes(d, store, *id, err);
	return rc;
}

static int read_rows(void *arg, struct store *store, const struct campaign_result *result,
		     struct err *err)
{
	struct deciding *d = arg;
	int64_t id;
	int rc = read_target(d, store, result, &id, err);
	if (!rc)
		rc = read_failures(d, store, id, err);
	if (!rc)
		rc = read_findings(d, store, result->id, err);
	return rc;
}

/* The profiles of a set, for a campaign. */
struct profile_list {
	const struct profile *all[32];
};

static void list_profiles(uint32_t set, struct profile_list *list)
{
	size_t n = 0;
	for (int p = 0; profile_table[p].name; p++)
		if (set >> p & 1)
			list->all[n++] = &profile_table[p];
	list->all[n] = NULL;
}

static int try_target(struct deciding *d, const char *spec, bool outcomes, trial_read *read,
		      void *arg, struct err *err)
{
	struct trials trials = d->options->trials;
	struct profile_list list;
	list_profiles(d->profiles, &list);
	trials.campaign.no_outcomes = !outcomes;
	const struct trial trial = {.spec = spec,
				    .workload = d->what->workload,
				    .contract = d->what->contract,
				    .profiles = list.all};
	return trial_run(&trials, &trial, read, arg, err);
}

/* ---- two calls side by side ---- */

struct image_key {
	uint64_t lo, hi;
	uint32_t profile; /* bit */
};

struct seen {
	UT_hash_handle hh;
	struct image_key key;
};

/* fsync's run, then fdatasync's. */
struct pair {
	struct deciding *d;
	bool second;
	struct seen *seen;   /* the images of the first run */
	uint32_t complete;   /* profiles of which it tried all states */
	uint32_t broken[32]; /* rules that it broke, by row of profile_table */
};

static int read_complete(struct pair *pair, struct store *store, int64_t target, struct err *err)
{
	struct store_query *q = NULL;
	struct coverage_row c;
	int rc;
	while ((rc = store_next_coverage(store, &q, target, &c, err)) == 1)
		if (c.exact && !c.left_out)
			pair->complete |= profile_bit(c.profile);
	return rc;
}

static struct image_key key_of(const struct outcome_row *o)
{
	struct image_key key;
	memset(&key, 0, sizeof key); /* padding is hashed too */
	key.lo = o->digest_lo;
	key.hi = o->digest_hi;
	key.profile = profile_bit(o->profile);
	return key;
}

/* Whether that image was not seen yet; it is now. */
static bool first_seen(struct pair *pair, const struct image_key *key)
{
	struct seen *s;
	HASH_FIND(hh, pair->seen, key, sizeof *key, s);
	if (s)
		return false;
	s = mem_alloc(1, sizeof *s);
	memcpy(&s->key, key, sizeof *key);
	HASH_ADD(hh, pair->seen, key, sizeof s->key, s);
	return true;
}

static void note_first(struct pair *pair, const struct outcome_row *o)
{
	struct image_key key = key_of(o);
	const struct profile *p = profile_find(o->profile);
	if (p)
		pair->broken[p - profile_table] |= o->rules;
	first_seen(pair, &key);
}

static void compare_second(struct pair *pair, const struct outcome_row *o)
{
	struct deciding *d = pair->d;
	struct image_key key = key_of(o);
	const struct profile *p = profile_find(o->profile);
	if (p && o->rules & d->rules & ~pair->broken[p - profile_table]) {
		d->shown |= key.profile;
		set_state(d, o->state);
	}
	if (!(pair->complete & key.profile) || !first_seen(pair, &key))
		return;
	if (d->row.only++ < ADMITS_SHOWN)
		buf_printf(&d->admits, "%s%s", d->admits.len ? " " : "", o->state);
}

static int read_pair(void *arg, struct store *store, const struct campaign_result *result,
		     struct err *err)
{
	struct pair *pair = arg;
	struct store_query *q = NULL;
	struct outcome_row o;
	int64_t id;
	int rc = read_target(pair->d, store, result, &id, err);
	if (!rc && !pair->second)
		rc = read_complete(pair, store, id, err);
	if (rc)
		return rc;
	while ((rc = store_next_outcome(store, &q, id, NULL, &o, err)) == 1)
		if (pair->second)
			compare_second(pair, &o);
		else
			note_first(pair, &o);
	return rc;
}

static int compare_calls(struct deciding *d, struct err *err)
{
	struct pair pair = {.d = d};
	struct seen *s, *next;
	char *fsync_spec = mem_printf("%s,call=fsync", d->what->spec);
	char *fdatasync_spec = mem_printf("%s,call=fdatasync", d->what->spec);
	int rc = try_target(d, fsync_spec, true, read_pair, &pair, err);
	pair.second = true;
	if (!rc)
		rc = try_target(d, fdatasync_spec, true, read_pair, &pair, err);
	HASH_ITER (hh, pair.seen, s, next) {
		HASH_DEL(pair.seen, s);
		free(s);
	}
	free(fsync_spec);
	free(fdatasync_spec);
	return rc;
}

/* ---- calls written by hand ---- */

struct looking {
	const struct image *image;
	const struct claim_calls *calls;
	bool found, same;
};

static int look(void *arg, const char *path, uint32_t ino)
{
	struct looking *l = arg;
	if (strcmp(path, l->calls->path) != 0)
		return 0;
	l->found = true;
	if (!l->calls->contents)
		return 1;
	size_t n = strlen(l->calls->contents);
	char *bytes = mem_alloc(n + 1, 1);
	l->same = image_size(l->image, ino) == n;
	image_read(l->image, ino, 0, bytes, n);
	l->same = l->same && memcmp(bytes, l->calls->contents, n) == 0;
	free(bytes);
	return 1;
}

static bool shows(const struct image *image, const struct claim_calls *calls)
{
	struct looking l = {.image = image, .calls = calls};
	image_walk(image, look, &l);
	return calls->contents ? l.found && l.same : !l.found;
}

/* All states after the last call, under one profile. */
static void try_calls_under(struct deciding *d, const struct ops *ops, int profile)
{
	struct model *model = model_create(ops, &profile_table[profile]);
	struct image *image = image_create(ops);
	struct state state;
	while (model_advance(model))
		continue;
	struct chooser *chooser = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(chooser, &state)) {
		image_goto(image, &state);
		d->row.states++;
		if (shows(image, d->what->calls))
			d->shown |= 1u << profile;
	}
	chooser_destroy(chooser);
	image_destroy(image);
	model_destroy(model);
}

static int try_calls(struct deciding *d, struct err *err)
{
	struct trace *trace = NULL;
	struct ops *ops = NULL;
	int rc = trace_parse(d->what->calls->text, "calls", &trace, err);
	if (rc)
		return rc;
	trace_seal(trace);
	rc = ops_lower(trace, &ops, err);
	for (int p = 0; profile_table[p].name && !rc; p++)
		if (d->profiles >> p & 1)
			try_calls_under(d, ops, p);
	trace_destroy(trace);
	return rc;
}

/* ---- one case ---- */

static enum claim_answer answer(const struct deciding *d)
{
	uint32_t shown = d->shown & d->profiles;
	bool can = d->what->kind == CLAIM_CAN;
	/* One state is enough, whatever else could not be told. */
	if (can && shown == d->profiles)
		return CLAIM_CONFIRMED;
	if (!can && shown)
		return CLAIM_REFUTED;
	if (d->why)
		return CLAIM_UNDECIDED;
	return can ? CLAIM_REFUTED : CLAIM_CONFIRMED;
}

static int try_case(struct deciding *d, struct err *err)
{
	if (d->what->calls)
		return try_calls(d, err);
	if (d->what->kind == CLAIM_SAME)
		return compare_calls(d, err);
	return try_target(d, d->what->spec, false, read_rows, d, err);
}

static int prepare(struct deciding *d, struct err *err)
{
	int rc = ERR_OK;
	if (d->what->profiles)
		rc = profiles_parse(d->what->profiles, &d->profiles, err);
	for (int p = 0; profile_table[p].name && !d->what->profiles; p++)
		d->profiles |= 1u << p;
	if (!rc && d->what->rules)
		rc = rules_parse(d->what->rules, &d->rules, err);
	return rc;
}

static int decide(const struct claims_options *o, const struct claim *claim,
		  const struct claim_case *what, struct claims_result *result, struct err *err)
{
	struct deciding d = {.options = o, .what = what, .row = {.claim = claim, .what = what}};
	int rc = prepare(&d, err);
	if (!rc)
		rc = try_case(&d, err);
	if (rc)
		err_wrap(err, "claim %u", claim->number);
	d.row.answer = answer(&d);
	/* A state decides nothing where something is only said of all others. */
	bool deciding = d.row.answer == (what->kind == CLAIM_CAN ? CLAIM_CONFIRMED : CLAIM_REFUTED);
	d.row.state = d.state && deciding ? d.state : "";
	d.row.why = d.why && d.row.answer == CLAIM_UNDECIDED ? d.why : "";
	d.row.admits = buf_text(&d.admits);
	if (!rc) {
		result->answers[d.row.answer]++;
		result->surprises +=
			d.row.answer != CLAIM_UNDECIDED && d.row.answer != what->expected;
		if (o->row)
			o->row(o->arg, &d.row);
	}
	free(d.state);
	free(d.why);
	buf_finish(&d.admits);
	return rc;
}

/* ---- the whole ---- */

static bool asked_for(const struct claims_options *o, unsigned number)
{
	for (size_t i = 0; i < o->n_numbers; i++)
		if (o->numbers[i] == number)
			return true;
	return o->n_numbers == 0;
}

static int check_numbers(const struct claims_options *o, struct err *err)
{
	for (size_t i = 0; i < o->n_numbers; i++) {
		bool known = false;
		for (size_t k = 0; k < o->n_claims; k++)
			known = known || o->claims[k].number == o->numbers[i];
		if (!known)
			return err_set(err, ERR_USAGE, "there is no claim %u", o->numbers[i]);
	}
	return ERR_OK;
}

static int decide_claim(const struct claims_options *o, const struct claim *claim,
			struct claims_result *result, struct err *err)
{
	int rc = ERR_OK;
	for (const struct claim_case *c = claim->cases; c->says && !rc; c++) {
		if (trials_stopped(&o->trials))
			break;
		if (c->spec && !trial_engine_known(o->trials.campaign.engines, c->spec))
			result->passed_over++;
		else
			rc = decide(o, claim, c, result, err);
	}
	return rc;
}

static int exit_code(const struct claims_options *o, const struct claims_result *r)
{
	if (r->answers[CLAIM_UNDECIDED] || r->passed_over || trials_stopped(&o->trials))
		return 2;
	return r->answers[CLAIM_CONFIRMED] || r->answers[CLAIM_REFUTED] ? 0 : 3;
}

int claims_run(const struct claims_options *given, struct claims_result *result, struct err *err)
{
	struct claims_options o = *given;
	*result = (struct claims_result){0};
	if (!o.claims) {
		o.claims = claims;
		o.n_claims = CLAIMS_COUNT;
	}
	if (!o.trials.campaign.states_max)
		o.trials.campaign.states_max = CLAIMS_STATES_MAX;
	o.trials.campaign.depth = UINT32_MAX; /* no case is about a second crash */
	int rc = check_numbers(&o, err);
	for (size_t i = 0; i < o.n_claims && !rc; i++)
		if (asked_for(&o, o.claims[i].number))
			rc = decide_claim(&o, &o.claims[i], result, err);
	result->exit_code = rc ? err_exit_code((enum err_code)rc) : exit_code(&o, result);
	return rc;
}
