#include "live.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "disk.h"
#include "mem.h"
#include "workload_record.h"

struct live {
	const struct subject *s;
	const struct live_options *options;
	struct live_result *result;
	struct err *err;
	struct workload_progress *progress; /* shared with the process that dies */
	struct area area;
	char *dir;
};

static void note(struct live *l, const char *kind, const char *name, uint64_t passage,
		 const char *text)
{
	if (l->result->text[0])
		return;
	snprintf(l->result->where, sizeof l->result->where, "%s", name);
	snprintf(l->result->text, sizeof l->result->text, "%s at passage %" PRIu64 " of %s: %s",
		 kind, passage, name, text);
}

/* ---- a directory for one crash ---- */

static int fresh_dir(struct live *l)
{
	if (area_tree_remove(l->area.fd, l->area.fd, "data") || mkdirat(l->area.fd, "data", 0755))
		return err_sys(l->err, "making %s", l->dir);
	return ERR_OK;
}

/* Runs the workload until it kills itself.  1 if it did, 0 if not, or an error. */
static int crash(struct live *l, const char *name, uint64_t passage)
{
	struct workload_record r = {.target = l->options->target,
				    .workload = l->options->workload,
				    .dir = l->dir,
				    .seed = l->s->seed,
				    .kill_at = name,
				    .kill_passage = passage,
				    .progress = l->progress};
	int status;
	l->progress->begun = l->progress->ended = 0;
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(l->err, "fork");
	if (pid == 0) {
		signal(SIGXFSZ, SIG_DFL); /* as in any child that runs an engine */
		_exit(workload_record_child(&r));
	}
	while (waitpid(pid, &status, 0) < 0)
		continue;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* ---- what is left behind ---- */

struct recovering {
	struct live *l;
	struct contents *contents;
	struct conduct *conduct;
	struct engine_error *error;
};

static int recover_in_child(void *arg)
{
	struct recovering *r = arg;
	struct recover_engine engine = {.target = r->l->options->target,
					.history = r->l->s->history};
	return recover_with_engine(&engine, r->l->dir, r->contents, r->conduct, r->error) ? 1 : 0;
}

static int add_row(struct live *l, const char *name, uint64_t passage, const struct bounds *b,
		   const char *verdict, const struct verdict *v, const char *why)
{
	char *state = mem_printf("live.%s.%" PRIu64, name, passage);
	struct outcome_row row = {
		.target = l->s->id,
		.profile = "kill",
		.state = state,
		.verdict = verdict,
		.rules = v->broken,
		.begun = b->begun,
		.acked = b->acked,
		.durable = b->durable,
		.prefix = v->has_prefix ? (int64_t)v->prefix : -1,
		.loss = v->loss,
		.text = why,
		.live = true,
	};
	int rc = store_add_outcome(l->s->store, &row, l->err);
	free(state);
	return rc;
}

/* How the child that recovered ended, in the words of pools. */
static void put_end(const struct recovering *r, const struct child_result *end,
		    struct recovery *recovery)
{
	*recovery = (struct recovery){.end = RECOVERY_FAILED, .conduct = *r->conduct};
	const char *error = r->error->text[0] ? r->error->text : "it left without a word";
	if (end->end == CHILD_EXIT && end->code == 0) {
		recovery->end = RECOVERY_OK;
		recovery->contents = r->contents;
	} else if (end->end == CHILD_WALL) {
		recovery->end = RECOVERY_UNSTABLE;
		error = "recovery exceeded its time";
	}
	if (recovery->end != RECOVERY_OK)
		snprintf(recovery->text, sizeof recovery->text, "%s%.200s",
			 recovery->end == RECOVERY_FAILED ? "recovery failed: " : "", error);
}

static int add_verdict(struct live *l, const struct recovery *recovery, const struct bounds *bounds,
		       const char *name, uint64_t passage)
{
	struct verdict v;
	struct buf why = {0};
	bool unsure = recovery_unsure(recovery);
	jury_judge(&l->s->jury, recovery, bounds, &v);
	if (v.broken || unsure)
		jury_explain(&l->s->jury, recovery, bounds, first_rule(v.broken), &why);
	l->result->violations += v.broken != 0;
	l->result->inconclusive += unsure;
	if (v.loss > l->result->loss)
		l->result->loss = v.loss;
	if (v.broken)
		note(l, "violation", name, passage, buf_text(&why));
	const char *verdict = unsure ? "inconclusive" : v.broken ? "fail" : "pass";
	int rc = add_row(l, name, passage, bounds, verdict, &v, buf_text(&why));
	buf_finish(&why);
	return rc;
}

static int judge_left(struct live *l, const struct bounds *bounds, const char *name,
		      uint64_t passage)
{
	size_t contents = contents_bytes(l->s->history);
	size_t bytes = sizeof(struct engine_error) + sizeof(struct conduct) + contents;
	struct recovering r = {.l = l, .error = mem_map_shared(bytes)};
	if (!r.error)
		return err_sys(l->err, "shared memory");
	r.conduct = (struct conduct *)(void *)(r.error + 1);
	r.contents = (struct contents *)(void *)(r.conduct + 1);
	struct child_result end;
	struct recovery recovery;
	contents_init(l->s->history, r.contents);
	int rc = child_run(recover_in_child, &r, l->dir, l->options->limits, &end, l->err);
	if (!rc) {
		put_end(&r, &end, &recovery);
		rc = add_verdict(l, &recovery, bounds, name, passage);
	}
	mem_unmap(r.error, bytes);
	return rc;
}

/* ---- one passage ---- */

static int check_left(struct live *l, uint32_t point, const char *name, uint64_t passage)
{
	char text[256] = "";
	struct state state = {.point = point, .tear = {.object = NONE}};
	int rc = disk_compare(l->s->ops, &state, l->dir, text, sizeof text, l->err);
	if (!rc && text[0]) {
		l->result->mismatches++;
		note(l, "the directory differs from the trace", name, passage, text);
	}
	return rc;
}

static void add_power(struct live *l, const struct coverage_row *row, bool cut)
{
	struct coverage_row *sum = &l->result->power;
	sum->points += row->points;
	sum->possible += row->possible;
	sum->exact = sum->exact && row->exact;
	sum->tested += row->tested;
	sum->merged += row->merged;
	sum->left_out += row->left_out;
	sum->recovered += row->recovered;
	sum->violations += row->violations;
	sum->inconclusive += row->inconclusive + cut;
	if (row->loss > sum->loss)
		sum->loss = row->loss;
}

/* The same crash, recorded: what the model says a disk may have kept. */
static int ask_model(struct live *l, const char *name, uint64_t passage)
{
	struct workload_record r = {.target = l->options->target,
				    .workload = l->options->workload,
				    .dir = l->dir,
				    .seed = l->s->seed,
				    .no_stacks = true,
				    .kill_at = name,
				    .kill_passage = passage};
	struct subject s = *l->s;
	struct record_result recorded;
	struct explore *x = NULL;
	struct recover_engine engine;
	struct recover_job job = {recover_with_engine, &engine};
	struct pool_options options = {.jobs = l->options->jobs,
				       .parent = l->options->parent,
				       .limits = *l->options->limits,
				       .cpu = -1};
	s.trace = NULL;
	struct charge charge = {.contract = s.contract};
	s.pool = NULL;
	s.symbols = NULL;
	s.store = NULL;
	int rc = fresh_dir(l);
	if (!rc)
		rc = workload_record(&r, &s.trace, &recorded, l->err);
	if (!rc && trace_inconclusive(s.trace))
		l->result->power.inconclusive++;
	if (!rc)
		rc = ops_lower(s.trace, &s.ops, l->err);
	if (!rc)
		rc = history_create(s.trace, &s.history, l->err);
	if (!rc) {
		engine = (struct recover_engine){l->options->target, s.history};
		charge.history = s.history;
		charge.judge = judge_create(s.history, s.contract);
		s.jury = jury_create(&charge);
		s.symbols = symbols_create(s.trace, NULL);
		rc = pool_create(s.ops, s.history, &job, &options, &s.pool, l->err);
	}
	if (!rc)
		x = explore_create(&s, l->options->explore);
	for (size_t i = 0; !rc && l->options->profiles[i]; i++) {
		struct coverage_row row;
		bool cut;
		rc = explore_end(x, l->options->profiles[i], &row, &cut, l->err);
		if (!rc)
			add_power(l, &row, cut);
	}
	if (!rc && causes_count(explore_causes(x)))
		note(l, "violation", name, passage, causes_get(explore_causes(x), 0)->title);
	explore_destroy(x);
	pool_destroy(s.pool);
	symbols_destroy(s.symbols);
	judge_destroy(charge.judge);
	trace_destroy(s.trace);
	return rc;
}

static int one_passage(struct live *l, uint32_t step)
{
	const struct trace *t = l->s->trace;
	uint32_t event = l->s->ops->steps[step].event;
	const char *name = t->events[event].name;
	uint64_t passage = t->events[event].offset;
	int rc = fresh_dir(l);
	int died = rc ? 0 : crash(l, name, passage);
	if (rc || died < 0)
		return rc ? rc : died;
	if (!died) {
		l->result->mismatches++;
		note(l, "the process was not killed", name, passage, "it passed no such point");
		return ERR_OK;
	}
	l->result->crashes++;
	rc = check_left(l, step + 1, name, passage);
	if (!rc) {
		struct bounds b = history_bounds(l->s->history, l->s->contract, event + 1, false);
		rc = judge_left(l, &b, name, passage);
	}
	if (!rc && l->options->power)
		rc = ask_model(l, name, passage);
	return rc;
}

int live_run(const struct subject *subject, const struct live_options *options,
	     struct live_result *result, struct err *err)
{
	char parent[AREA_PATH_MAX];
	struct live l = {.s = subject, .options = options, .result = result, .err = err};
	*result = (struct live_result){.power = {.exact = true}};
	int rc = area_choose(options->parent, parent, err);
	if (!rc)
		rc = area_create(parent, &l.area, err);
	if (rc)
		return rc;
	l.dir = mem_printf("%s/data", l.area.path);
	l.progress = mem_map_shared(sizeof *l.progress);
	rc = l.progress ? child_init(err) : err_sys(err, "shared memory");
	for (uint32_t i = 0; i < subject->ops->n_steps && !rc; i++) {
		const struct step *s = &subject->ops->steps[i];
		result->passages += s->kind == STEP_FAULT;
		bool wanted = s->kind == STEP_FAULT &&
			      (!options->passages_max ||
			       subject->trace->events[s->event].offset <= options->passages_max);
		if (wanted && !(options->explore->stop && *options->explore->stop))
			rc = one_passage(&l, i);
	}
	mem_unmap(l.progress, sizeof *l.progress);
	free(l.dir);
	area_remove(&l.area);
	return rc;
}
