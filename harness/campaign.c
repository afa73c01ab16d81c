#include "campaign.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "job.h"
#include "mem.h"

enum {
	STATES_MAX_DEFAULT = 20000,
	COMMAND_STATES_MAX_DEFAULT = 3000, /* a checker is another program, which starts slowly */
	ON_STATES_MAX_DEFAULT = 2000,	   /* each is mounted */
	NESTED_MAX_DEFAULT = 24,
	NESTED_STATES_DEFAULT = 64,
};

static char *now_text(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return mem_printf("%s", text);
}

/* And how the file systems that are asked are made and mounted. */
static char *system_text(const struct campaign_options *o)
{
	struct utsname u;
	struct buf text = {0};
	if (uname(&u))
		return mem_printf("unknown");
#ifdef __clang__
	const char *compiler = "";
#else
	const char *compiler = "gcc ";
#endif
	buf_printf(&text, "%s %s %s, built by %s%s", u.sysname, u.release, u.machine, compiler,
		   __VERSION__);
	for (size_t i = 0; o->on && o->on[i]; i++) {
		buf_printf(&text, "; on %s: ", o->on[i]->name);
		file_system_describe(o->on[i], &text);
	}
	char *all = mem_dup(text.data, text.len);
	buf_finish(&text);
	return all;
}

static const struct profile *const *all_profiles(void)
{
	static const struct profile *all[32];
	size_t n = 0;
	for (const struct profile *p = profile_table; p->name; p++)
		all[n++] = p;
	return all;
}

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
		o->states_max = o->on		      ? ON_STATES_MAX_DEFAULT
				: o->targets->command ? COMMAND_STATES_MAX_DEFAULT
						      : STATES_MAX_DEFAULT;
	if (o->on)
		o->depth = UINT32_MAX;
	if (!o->nested_max)
		o->nested_max = NESTED_MAX_DEFAULT;
	if (!o->nested_states)
		o->nested_states = NESTED_STATES_DEFAULT;
	o->depth = o->depth == UINT32_MAX ? 0 : o->depth ? o->depth : 1;
	if (!o->jobs)
		o->jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static int begin(const struct campaign_options *o, struct store *store, int64_t *id,
		 struct err *err)
{
	char *started = now_text(), *system = system_text(o);
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
	result->idle += job->s.history && job->changes == 0;
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
		job_init(&job);
		rc = job.kind->prepare(&job);
		job_finish(&job);
	}
	return rc;
}

/* Behind a device there is a process of ours, and who records waits for any that ends. */
static void drop_devices(struct lab *lab)
{
	struct device *const *devices;
	struct err err;
	if (lab)
		lab_devices(lab, 0, 0, &devices, &err);
}

int campaign_run(const struct campaign_options *given, struct store *store,
		 struct campaign_result *result, struct err *err)
{
	struct campaign_options options = *given;
	uint64_t start = clock_ns();
	*result = (struct campaign_result){0};
	expand(&options);
	uint64_t deadline = options.budget_ms ? start + options.budget_ms * 1000000 : 0;
	struct lab *lab = NULL;
	int rc = check_targets(&options, err);
	if (!rc && options.on)
		rc = lab_open(options.tmp, &lab, err);
	if (!rc)
		rc = begin(&options, store, &result->id, err);
	for (const struct campaign_target *t = options.targets; t->spec && !rc; t++) {
		struct job job = {.options = &options,
				  .what = t,
				  .store = store,
				  .campaign = result->id,
				  .lab = lab,
				  .err = err};
		job_init(&job);
		rc = job_run(&job, deadline);
		add_up(result, &job);
		job_finish(&job);
		drop_devices(lab);
		if (options.stop && *options.stop) {
			result->inconclusive += t[1].spec != NULL; /* not even begun */
			break;
		}
	}
	lab_close(lab);
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
