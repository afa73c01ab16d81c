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
	if (!l->result->text[0])
		snprintf(l->result->text, sizeof l->result->text,
			 "%s at passage %" PRIu64 " of %s: %s", kind, passage, name, text);
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
	if (pid == 0)
		_exit(workload_record_child(&r));
	while (waitpid(pid, &status, 0) < 0)
		continue;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* ---- what is left behind ---- */

struct recovering {
	struct live *l;
	struct contents *contents;
	struct engine_error *error;
};

static int recover_in_child(void *arg)
{
	struct recovering *r = arg;
	struct recover_engine engine = {.engine = r->l->options->target->engine,
					.config = &r->l->options->target->config,
					.history = r->l->s->history};
	return recover_with_engine(&engine, r->l->dir, r->contents, r->error) ? 1 : 0;
}

static int judge_left(struct live *l, const struct bounds *bounds, const char *name,
		      uint64_t passage)
{
	size_t bytes = contents_bytes(l->s->history) + sizeof(struct engine_error);
	struct engine_error *error = mem_map_shared(bytes);
	if (!error)
		return err_sys(l->err, "shared memory");
	struct contents *contents = (struct contents *)(void *)(error + 1);
	struct recovering r = {l, contents, error};
	struct child_result end;
	struct buf why = {0};
	contents_init(l->s->history, contents);
	int rc = child_run(recover_in_child, &r, l->dir, l->options->limits, &end, l->err);
	if (!rc && end.end == CHILD_EXIT && end.code == 0) {
		struct verdict verdict;
		judge_contents(l->s->judge, contents, bounds, &verdict);
		if (verdict.broken) {
			judge_explain(l->s->judge, contents, bounds,
				      (enum rule)__builtin_ctz(verdict.broken), &why);
			l->result->violations++;
		}
	} else if (!rc && end.end == CHILD_WALL) {
		buf_string(&why, "recovery exceeded its time");
		l->result->inconclusive++;
	} else if (!rc) {
		buf_printf(&why, "recovery failed: %s", error->text);
		l->result->violations++;
	}
	if (why.len)
		note(l, "violation", name, passage, buf_text(&why));
	buf_finish(&why);
	mem_unmap(error, bytes);
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
	s.judge = NULL;
	s.pool = NULL;
	s.symbols = NULL;
	s.store = NULL;
	int rc = fresh_dir(l);
	if (!rc)
		rc = workload_record(&r, &s.trace, &recorded, l->err);
	if (!rc)
		rc = ops_lower(s.trace, &s.ops, l->err);
	if (!rc)
		rc = history_create(s.trace, &s.history, l->err);
	if (!rc) {
		engine = (struct recover_engine){l->options->target->engine,
						 &l->options->target->config, s.history};
		s.judge = judge_create(s.history, s.contract);
		s.symbols = symbols_create(s.trace);
		rc = pool_create(s.ops, s.history, &job, &options, &s.pool, l->err);
	}
	if (!rc)
		x = explore_create(&s, l->options->explore);
	for (size_t i = 0; !rc && l->options->profiles[i]; i++) {
		struct coverage_row row;
		bool cut;
		rc = explore_end(x, l->options->profiles[i], &row, &cut, l->err);
		l->result->states += rc ? 0 : row.tested;
		l->result->violations += rc ? 0 : row.violations;
		l->result->inconclusive += rc ? 0 : row.inconclusive + cut;
	}
	if (!rc && causes_count(explore_causes(x)))
		note(l, "violation", name, passage, causes_get(explore_causes(x), 0)->title);
	explore_destroy(x);
	pool_destroy(s.pool);
	symbols_destroy(s.symbols);
	judge_destroy(s.judge);
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
	*result = (struct live_result){0};
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
