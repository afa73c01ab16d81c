#include "campaign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "area.h"
#include "clock.h"
#include "contract.h"
#include "live.h"
#include "mem.h"
#include "target.h"
#include "trace_codec.h"
#include "workload_record.h"

enum {
	STATES_MAX_DEFAULT = 20000,
	NESTED_MAX_DEFAULT = 24,
	NESTED_STATES_MAX = 32, /* crash states of one nested run */
	LIVE_PASSAGES = 3,
};

/* Hardened targets run with the default workload; textbook ones need few operations
 * to fail, and what fails is dear to explain. */
const struct campaign_target campaign_builtin[] = {
	{.spec = "wal:variant=hardened,sync=sync",
	 .why = "every acknowledged write survives, on every file system"},
	{.spec = "wal:variant=hardened,sync=sync,call=fdatasync", .why = "fdatasync is enough"},
	{.spec = "wal:variant=hardened,sync=sync,recycle=1,segment_bytes=1024",
	 .why = "reused segments are safe"},
	{.spec = "wal:variant=hardened,sync=batch,batch=8", .why = "at most seven writes are lost"},
	{.spec = "wal:variant=hardened,sync=none", .why = "only a sync or a batch makes durable"},
	{.spec = "wal:variant=textbook,sync=sync,segment_bytes=2048",
	 .workload = "ops=60 mix=put,delete,sync",
	 .states_max = 1500,
	 .seed = 1,
	 .expected = "O2@posix-dir",
	 .why = "the log as it is taught: fine on ext4, lost where a directory must be synced"},
	{.spec = "wal:variant=textbook,sync=sync,segment_bytes=1024",
	 .workload = "ops=60 mix=put=30,delete=10,compact=3",
	 .states_max = 1500,
	 .seed = 1,
	 .expected = "O2@kill O2@ext4 O2@xfs O2@posix-dir",
	 .why = "the same log compacts in place: a mere kill loses what was committed"},
	{.spec = "lsm:variant=hardened,sync=each", .why = "every acknowledged write survives"},
	{.spec = "lsm:variant=hardened,sync=on-sync",
	 .states_max = 5000,
	 .why = "what a sync covers survives"},
	{.spec = "lsm:variant=textbook,memtable_bytes=600",
	 .workload = "ops=50 mix=put,delete",
	 .states_max = 1500,
	 .seed = 1,
	 .expected = "O4@xfs O4@ext4 O3@posix-dir",
	 .why = "a log that is never synced: it survives a kill, and after a power failure "
		"neither the newest writes nor their order"},
	{.spec = "btree:variant=hardened",
	 .workload = "ops=200 keys=14 batches=2-12 "
		     "mix=put=50,delete=60,batch=3,sync=6,compact=3,reopen=5",
	 .states_max = 5000,
	 .why = "every acknowledged write survives"},
	{.spec = "btree:variant=textbook,fanout=3",
	 .workload = "ops=60 keys=20 mix=put=60,delete=60",
	 .states_max = 1500,
	 .seed = 1,
	 .expected = "O1@kill O2@kill O8@kill O1@ideal O8@ideal O1@btrfs O8@btrfs",
	 .why = "metadata past the log, and no commit record: a mere kill breaks the tree"},
	{.spec = "bitcask:variant=hardened,sync_writes=1",
	 .why = "every acknowledged write survives"},
	{.spec = "bitcask:variant=hardened,sync_writes=0", .why = "what a sync covers survives"},
	{.spec = "bitcask:variant=textbook,sync_writes=1",
	 .workload = "ops=60 mix=put=30,delete=10,compact=5",
	 .states_max = 1500,
	 .seed = 1,
	 .expected = "O2@kill O2@xfs O1@xfs O1@ext4 O2@ext4 O2@posix-dir",
	 .why = "merging deletes the old files before the new ones are in place"},
	{0},
};

/* ---- small parts ---- */

static char *now_text(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return mem_printf("%s", text);
}

static char *system_text(void)
{
	struct utsname u;
	if (uname(&u))
		return mem_printf("unknown");
#ifdef __clang__
	const char *compiler = "";
#else
	const char *compiler = "gcc ";
#endif
	return mem_printf("%s %s %s, built by %s%s", u.sysname, u.release, u.machine, compiler,
			  __VERSION__);
}

static const struct profile *const *all_profiles(void)
{
	static const struct profile *all[32];
	size_t n = 0;
	for (const struct profile *p = profile_table; p->name; p++)
		all[n++] = p;
	return all;
}

/* One target being worked on. */
struct job {
	const struct campaign_options *options;
	const struct campaign_target *what;
	struct store *store;
	int64_t campaign;
	struct err *err;
	struct target *target;
	struct workload_options workload_options;
	struct workload *workload;
	struct engine_contract contract;
	struct recover_engine recover;
	struct recover_job recover_job;
	struct session session;
	struct nest nest;
	struct library *library;    /* a worker fills its own copy */
	char parent[AREA_PATH_MAX]; /* where disks are made */
	struct charge charge;
	struct subject s;
	struct buf canonical; /* what s.canonical points to */
	struct explore_options explore_options;
	struct explore *explore;
	uint64_t tested, recoveries, states, explore_ns, own_cpu_ns;
	double private_mib;
	bool inconclusive;
	uint32_t findings, unexpected, missing, unreached;
};

static uint64_t seed_of(const struct job *job)
{
	return job->what->seed ? job->what->seed : job->options->seed;
}

static void job_finish(struct job *job)
{
	explore_destroy(job->explore);
	pool_destroy(job->s.pool);
	symbols_destroy(job->s.symbols);
	library_destroy(job->library);
	judge_destroy(job->charge.judge);
	trace_destroy(job->s.trace);
	workload_destroy(job->workload);
	target_destroy(job->target);
	buf_finish(&job->canonical);
}

/* ---- preparing: options → workload, contract ---- */

static int make_workload(struct job *job)
{
	return workload_create(&job->workload_options, job->target->engine, &job->workload,
			       job->err);
}

static int prepare(struct job *job)
{
	int rc = target_parse(job->what->spec, job->options->engines, &job->target, job->err);
	if (rc)
		return rc;
	job->workload_options = job->options->workload;
	if (job->what->mix)
		rc = workload_parse_mix(job->what->mix, &job->workload_options, job->err);
	if (!rc && job->what->workload)
		rc = workload_parse(job->what->workload, &job->workload_options, job->err);
	job->workload_options.seed = seed_of(job);
	if (!rc)
		rc = workload_expand(&job->workload_options, job->err);
	if (!rc)
		rc = make_workload(job);
	if (rc)
		return rc;
	job->target->engine->contract(&job->target->config, &job->contract);
	if (job->what->contract)
		rc = contract_override(job->what->contract, &job->contract, job->err);
	return rc;
}

/* ---- recording ---- */

/* A process may leave early with a good exit status; then the workload is not
 * the one that was asked for. */
static int check_ended(struct job *job)
{
	uint32_t ended = 0;
	for (size_t i = 0; i < job->s.trace->n_events; i++)
		ended += job->s.trace->events[i].kind == EVENT_OP_END;
	if (ended == job->workload->n_ops)
		return ERR_OK;
	return err_set(job->err, ERR_TARGET,
		       "%s: the process left after %u of %u operations of the workload, without "
		       "any crash",
		       job->what->spec, ended, job->workload->n_ops);
}

static int record_in(struct job *job, const char *parent)
{
	struct area area = {0};
	struct record_result result;
	int rc = area_create(parent, &area, job->err);
	if (rc)
		return rc;
	char *dir = mem_printf("%s/data", area.path);
	struct workload_record r = {.target = job->target,
				    .workload = job->workload,
				    .dir = dir,
				    .seed = seed_of(job),
				    .no_stacks = job->options->no_stacks};
	if (mkdir(dir, 0755))
		rc = err_sys(job->err, "%s", dir);
	if (!rc)
		rc = workload_record(&r, &job->s.trace, &result, job->err);
	if (!rc && (result.timed_out || !WIFEXITED(result.wait_status) ||
		    WEXITSTATUS(result.wait_status) != 0))
		rc = err_set(job->err, ERR_TARGET,
			     "%s: the workload itself did not run to its end (%s %d) without any "
			     "crash: nothing can be tested",
			     job->what->spec,
			     result.timed_out		       ? "time-out"
			     : WIFSIGNALED(result.wait_status) ? "signal"
							       : "exit status",
			     WIFSIGNALED(result.wait_status) ? WTERMSIG(result.wait_status)
			     : WIFEXITED(result.wait_status) ? WEXITSTATUS(result.wait_status)
							     : 0);
	if (!rc)
		rc = check_ended(job);
	free(dir);
	area_remove(&area);
	return rc;
}

static int record(struct job *job)
{
	char parent[AREA_PATH_MAX];
	int rc = area_choose(job->options->tmp, parent, job->err);
	if (!rc)
		rc = record_in(job, parent);
	if (!rc)
		rc = ops_lower(job->s.trace, &job->s.ops, job->err);
	if (!rc)
		rc = history_create(job->s.trace, &job->s.history, job->err);
	return rc;
}

/* ---- rows ---- */

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

/* Operations fail although nothing was injected: then what was tested is not
 * what was asked for. */
static void failed_operations(const struct job *job, struct buf *out)
{
	const struct trace *t = job->s.trace;
	const struct event *first = NULL;
	uint32_t n = 0;
	for (size_t i = 0; i < t->n_events; i++)
		if (t->events[i].kind == EVENT_OP_END && t->events[i].data_length) {
			first = first ? first : &t->events[i];
			n++;
		}
	if (n)
		buf_printf(out, "%u of %u operations failed without any crash, the first: %.*s", n,
			   job->workload->n_ops, (int)first->data_length,
			   (const char *)first->data);
}

/* What is known of a target before anything ran; its texts are in words. */
struct target_words {
	struct buf options, workload, contract;
};

static struct target_row describe_target(const struct job *job, struct target_words *words)
{
	target_describe(job->target, &words->options);
	workload_describe(&job->workload_options, &words->workload);
	contract_describe(&job->contract, &words->contract);
	return (struct target_row){.campaign = job->campaign,
				   .name = job->what->spec,
				   .engine = job->target->engine->name,
				   .options = buf_text(&words->options),
				   .workload = buf_text(&words->workload),
				   .contract = buf_text(&words->contract),
				   .expected = job->what->expected,
				   .seed = seed_of(job),
				   .operations = job->workload->n_ops};
}

static void target_words_finish(struct target_words *words)
{
	buf_finish(&words->options);
	buf_finish(&words->workload);
	buf_finish(&words->contract);
}

static int add_target(struct job *job)
{
	struct target_words words = {0};
	struct buf failures = {0};
	struct target_row row = describe_target(job, &words);
	job->s.identity = trace_identity(job->s.trace);
	int rc = add_trace(job, &row.trace);
	for (size_t i = 0; i < job->s.trace->n_events; i++)
		row.calls += job->s.trace->events[i].call[0] != '\0';
	row.changes = job->s.history->n_changes;
	row.micros = job->s.ops->n_micros;
	row.points = job->s.ops->n_steps;
	failed_operations(job, &failures);
	row.inconclusive = trace_inconclusive(job->s.trace);
	if (!row.inconclusive && failures.len)
		row.inconclusive = buf_text(&failures);
	if (row.inconclusive)
		job->inconclusive = true;
	if (!rc)
		rc = store_add_target(job->store, &row, job->err);
	job->s.id = row.id;
	target_words_finish(&words);
	buf_finish(&failures);
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
	/* A kill leaves little to repair, and so does a disk that loses but the end. */
	for (const struct profile *const *p = job->options->profiles; *p; p++)
		if ((*p)->order != ORDER_ISSUED && (*p)->order != ORDER_ALL)
			done |= ENGINE_NEEDS_CRASH;
	return done;
}

static int add_faults(struct job *job)
{
	int rc = ERR_OK;
	const struct engine_fault_point *points = job->target->engine->fault_points;
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

static int add_finding(struct job *job, const struct cause *cause, uint64_t *met)
{
	struct buf all = {0}, minimal = {0};
	put_profiles(cause->profiles, &all, &minimal);
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
	row.expected = is_expected(job->what->expected, &row, met);
	job->findings++;
	job->unexpected += !row.expected;
	int rc = store_add_finding(job->store, &row, job->err);
	buf_finish(&all);
	buf_finish(&minimal);
	return rc;
}

static int add_findings(struct job *job)
{
	struct causes *causes = explore_causes(job->explore);
	const char *expected = job->what->expected, *word;
	uint64_t met = 0;
	size_t length;
	int rc = ERR_OK;
	for (size_t i = 0; i < causes_count(causes) && !rc; i++)
		rc = add_finding(job, causes_get(causes, i), &met);
	for (unsigned i = 0; i < 64 && store_next_word(&expected, &word, &length); i++)
		job->missing += !(met >> i & 1);
	return rc;
}

/* ---- exploring ---- */

/* All that workers must know is in place before they are forked. */
static void describe_subject(struct job *job)
{
	job->s.name = job->what->spec;
	target_canonical(job->target, &job->canonical);
	job->s.canonical = buf_text(&job->canonical);
	job->s.contract = &job->contract;
	job->charge = (struct charge){job->s.history, &job->contract,
				      judge_create(job->s.history, &job->contract)};
	job->s.jury = jury_create(&job->charge);
	job->s.store = job->store;
	job->s.seed = seed_of(job);
}

/* Recoveries can be crashed in turn where there is something to recover.  A store
 * whose operations fail anyway is no better after a recovery. */
static bool may_nest(const struct job *job)
{
	return job->options->depth && job->s.history->n_keys && !job->s.history->failures;
}

static void prepare_recovery(struct job *job)
{
	const struct campaign_options *o = job->options;
	job->recover = (struct recover_engine){job->target, job->s.history};
	job->recover_job =
		(struct recover_job){.recover = recover_with_engine, .arg = &job->recover};
	if (!may_nest(job))
		return;
	session_init(&job->session, &job->recover, &job->contract, job->s.history,
		     job->s.trace->arena);
	job->nest = (struct nest){.subject = &job->s,
				  .session = &job->session,
				  .parent = job->parent,
				  .library = job->library,
				  .limits = o->limits,
				  .states_max = NESTED_STATES_MAX,
				  .depth = o->depth,
				  .runs_max = o->nested_max};
	job->recover_job.errand = nest_errand;
	job->recover_job.errand_arg = &job->nest;
	job->recover_job.answer_bytes = sizeof(struct nest_answer);
}

/* 0: no limit. */
static uint64_t states_max(const struct job *job)
{
	uint64_t max = job->options->states_max;
	if (job->what->states_max && job->what->states_max < max)
		max = job->what->states_max;
	return max == UINT64_MAX ? 0 : max;
}

static int start_exploring(struct job *job, uint64_t deadline_ns)
{
	const struct campaign_options *o = job->options;
	struct pool_options pool = {
		.jobs = o->jobs, .parent = job->parent, .limits = o->limits, .cpu = -1};
	int rc = area_choose(o->tmp, job->parent, job->err);
	if (rc)
		return rc;
	/* Workers are forked from here: what they need not have must not be there. */
	workload_destroy(job->workload);
	job->workload = NULL;
	job->library = library_create();
	prepare_recovery(job);
	describe_subject(job);
	rc = pool_create(job->s.ops, job->s.history, &job->recover_job, &pool, &job->s.pool,
			 job->err);
	if (rc)
		return rc;
	job->s.symbols = symbols_create(job->s.trace, job->library);
	job->explore_options = (struct explore_options){
		.states_max = states_max(job),
		.deadline_ns = deadline_ns,
		.stop = o->stop,
		.progress = o->progress,
		.progress_arg = o->progress_arg,
		.no_outcomes = o->no_outcomes,
		.nest = may_nest(job) ? &job->nest : NULL,
	};
	job->explore = explore_create(&job->s, &job->explore_options);
	return ERR_OK;
}

/* Private memory of this process in MiB. */
static double private_mib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	unsigned long kib, sum = 0;
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Private_Clean: %lu", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %lu", &kib) == 1)
			sum += kib;
	if (f)
		fclose(f);
	return (double)sum / 1024;
}

/* The budget or a signal ended exploring under a profile. */
static int note_cut(struct job *job, const struct profile *profile)
{
	char *why =
		mem_printf("stopped under %s: %s; later profiles were not reached", profile->name,
			   job->options->stop && *job->options->stop ? "interrupted"
								     : "the time budget ran out");
	int rc = store_set_inconclusive(job->store, job->s.id, why, job->err);
	free(why);
	return rc;
}

static int explore_all(struct job *job)
{
	const struct profile *const *p = job->options->profiles;
	uint64_t start = clock_ns(), cpu = clock_cpu_ns(), workers = 0, recoveries;
	int rc = ERR_OK;
	bool cut = false;
	for (; *p && !rc && !cut; p++) {
		struct coverage_row row;
		rc = explore_profile(job->explore, *p, &row, &cut, job->err);
		job->tested += row.tested;
		job->recoveries += row.recovered;
		job->inconclusive = job->inconclusive || cut || row.inconclusive;
		if (!rc && cut)
			rc = note_cut(job, *p);
	}
	job->explore_ns = clock_ns() - start;
	job->states = explore_looked(job->explore);
	pool_cost(job->s.pool, &workers, &recoveries);
	job->own_cpu_ns = clock_cpu_ns() - cpu + workers;
	job->private_mib = private_mib();
	return rc;
}

/* Live crashes have rows beside those of the profiles. */
static int add_live_coverage(struct job *job, const struct live_result *r)
{
	struct coverage_row live = {
		.target = job->s.id,
		.profile = "live",
		.points = r->crashes,
		.possible = r->passages,
		.exact = true,
		.tested = r->crashes,
		.left_out = r->passages - r->crashes,
		.recovered = r->crashes,
		.violations = r->violations,
		.inconclusive = r->inconclusive,
		.loss = r->loss,
	};
	struct coverage_row power = r->power;
	power.target = job->s.id;
	power.profile = "live+power";
	int rc = store_add_coverage(job->store, &live, job->err);
	if (!rc && job->options->live_power)
		rc = store_add_coverage(job->store, &power, job->err);
	job->inconclusive = job->inconclusive || live.inconclusive || power.inconclusive;
	job->tested += live.tested + power.tested;
	return rc;
}

/* A live crash broke what the model's states did not: that must be seen. */
static int add_live_finding(struct job *job, const struct live_result *r)
{
	char *fingerprint = mem_printf(
		"%016" PRIx64, (uint64_t)XXH3_64bits_withSeed(
				       r->where, strlen(r->where),
				       XXH3_64bits(job->s.canonical, strlen(job->s.canonical))));
	struct finding_row row = {
		.target = job->s.id,
		.fingerprint = fingerprint,
		.rule = RULE_O2,
		.rules = RULE_BIT(RULE_O2),
		.title = r->text,
		.cause = "a real kill of the process at this fault point",
		.before = r->where,
		.profiles = "kill",
		.minimal = "kill",
		.explanation = "Seen by killing the process, not by the model.",
		.states = r->violations,
	};
	job->findings++;
	job->unexpected++;
	int rc = store_add_finding(job->store, &row, job->err);
	free(fingerprint);
	return rc;
}

static int crash_live(struct job *job)
{
	const struct campaign_options *o = job->options;
	struct explore_options explore = job->explore_options;
	explore.nest = NULL;
	struct live_options options = {
		.target = job->target,
		.limits = &o->limits,
		.parent = o->tmp,
		.power = o->live_power,
		.profiles = o->profiles,
		.explore = &explore,
		.jobs = o->jobs,
		.passages_max = LIVE_PASSAGES,
	};
	struct live_result result;
	int rc = make_workload(job);
	options.workload = job->workload;
	if (!rc)
		rc = live_run(&job->s, &options, &result, job->err);
	if (rc)
		return rc;
	if (result.mismatches)
		return err_set(job->err, ERR_INTERNAL,
			       "%s: a live crash left what the recorded trace does not contain: %s",
			       job->what->spec, result.text);
	rc = add_live_coverage(job, &result);
	bool known = causes_count(explore_causes(job->explore)) > 0;
	if (!rc && (result.violations || result.power.violations) && !known)
		rc = add_live_finding(job, &result);
	return rc;
}

/* A target whose workload cannot even run without a crash is not judged; others
 * are. */
static int add_failed_target(struct job *job)
{
	struct target_words words = {0};
	struct target_row row = describe_target(job, &words);
	char *why = mem_printf("%s", job->err->text);
	row.inconclusive = why;
	job->inconclusive = true;
	int rc = store_add_target(job->store, &row, job->err);
	free(why);
	target_words_finish(&words);
	return rc;
}

static int run_target(struct job *job, uint64_t deadline_ns)
{
	int rc = prepare(job);
	if (!rc)
		rc = record(job);
	if (rc == ERR_TARGET)
		return add_failed_target(job);
	if (!rc)
		rc = add_target(job);
	if (!rc)
		rc = start_exploring(job, deadline_ns);
	if (!rc)
		rc = explore_all(job);
	if (!rc && job->options->live)
		rc = crash_live(job);
	if (!rc)
		rc = add_findings(job);
	if (!rc)
		rc = add_faults(job);
	if (!rc)
		rc = store_commit(job->store, job->err);
	return rc;
}

/* ---- the whole ---- */

/* A target whose workload changed nothing had nothing to lose: that it lost
 * nothing says nothing, and must not hide behind the others' passing. */
static int exit_code(const struct campaign_result *r)
{
	if (r->unexpected || r->missing)
		return 1;
	if (r->inconclusive)
		return 2;
	if (!r->tested || r->idle == r->targets)
		return 3;
	if (r->idle)
		return 2;
	return r->unreached ? 3 : 0;
}

static void expand(struct campaign_options *o)
{
	if (!o->targets)
		o->targets = campaign_builtin;
	if (!o->profiles)
		o->profiles = all_profiles();
	if (!o->engines)
		o->engines = engine_table;
	if (!o->seed)
		o->seed = 1;
	if (!o->states_max)
		o->states_max = STATES_MAX_DEFAULT;
	if (!o->nested_max)
		o->nested_max = NESTED_MAX_DEFAULT;
	o->depth = o->depth == UINT32_MAX ? 0 : o->depth ? o->depth : 1;
	if (!o->jobs)
		o->jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static int begin(const struct campaign_options *o, struct store *store, int64_t *id,
		 struct err *err)
{
	char *started = now_text(), *system = system_text();
	struct campaign_row row = {.version = POWERCUT_VERSION,
				   .command = o->command,
				   .started = started,
				   .system = system,
				   .seed = o->seed,
				   .jobs = o->jobs,
				   .exit_code = -1};
	int rc = store_add_campaign(store, &row, err);
	*id = row.id;
	if (!rc)
		rc = store_commit(store, err);
	free(started);
	free(system);
	return rc;
}

static void add_up(struct campaign_result *result, const struct job *job)
{
	result->targets++;
	result->findings += job->findings;
	result->unexpected += job->unexpected;
	result->missing += job->missing;
	result->inconclusive += job->inconclusive;
	result->unreached += job->unreached;
	result->idle += job->s.history && job->s.history->n_changes == 0;
	result->tested += job->tested;
	result->recoveries += job->recoveries;
	result->states += job->states;
	result->explore_ns += job->explore_ns;
	result->own_cpu_ns += job->own_cpu_ns;
	if (job->private_mib > result->private_mib)
		result->private_mib = job->private_mib;
}

/* Checks all targets before anything is recorded or written. */
static int check_targets(const struct campaign_options *o, struct err *err)
{
	int rc = ERR_OK;
	for (const struct campaign_target *t = o->targets; t->spec && !rc; t++) {
		struct job job = {.options = o, .what = t, .err = err};
		rc = prepare(&job);
		job_finish(&job);
	}
	return rc;
}

int campaign_run(const struct campaign_options *given, struct store *store,
		 struct campaign_result *result, struct err *err)
{
	struct campaign_options options = *given;
	uint64_t start = clock_ns();
	*result = (struct campaign_result){0};
	expand(&options);
	uint64_t deadline = options.budget_ms ? start + options.budget_ms * 1000000 : 0;
	int rc = check_targets(&options, err);
	if (!rc)
		rc = begin(&options, store, &result->id, err);
	for (const struct campaign_target *t = options.targets; t->spec && !rc; t++) {
		struct job job = {.options = &options,
				  .what = t,
				  .store = store,
				  .campaign = result->id,
				  .err = err};
		rc = run_target(&job, deadline);
		add_up(result, &job);
		job_finish(&job);
		if (options.stop && *options.stop) {
			result->inconclusive += t[1].spec != NULL; /* not even begun */
			break;
		}
	}
	result->elapsed_ns = clock_ns() - start;
	result->exit_code = rc ? err_exit_code((enum err_code)rc) : exit_code(result);
	if (result->id) {
		char *finished = now_text();
		struct err ignored;
		int saved = store_finish_campaign(store, result->id, finished, result->exit_code,
						  rc ? &ignored : err);
		rc = rc ? rc : saved;
		free(finished);
	}
	return rc;
}
