#include "fidelity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commands.h"
#include "interrupt.h"
#include "mem.h"
#include "on.h"
#include "reports.h"
#include "sheet.h"

struct fidelity {
	struct fidelity_options options;
	struct on on;
	const char *tmp, *program;
	uint64_t rounds;
	bool litmus_only, no_litmus, json, quiet;
};

/* ---- options ---- */

static int set_on(void *ctx, const char *value, struct err *err)
{
	return on_parse(&((struct fidelity *)ctx)->on, value, err);
}

static int set_model(void *ctx, const char *value, struct err *err)
{
	struct fidelity *f = ctx;
	f->options.profile = profile_find(value);
	return f->options.profile ? ERR_OK
				  : err_set(err, ERR_USAGE,
					    "\"%s\" is no profile: see `powercut list "
					    "profiles`",
					    value);
}

static int set_programs(void *ctx, const char *value, struct err *err)
{
	return cli_parse_count(value, 1, 10000000, &((struct fidelity *)ctx)->options.programs,
			       err);
}

static int set_calls(void *ctx, const char *value, struct err *err)
{
	return cli_parse_count(value, 1, 40, &((struct fidelity *)ctx)->options.calls_max, err);
}

static int set_states(void *ctx, const char *value, struct err *err)
{
	struct fidelity *f = ctx;
	int rc = cli_parse_count(value, 2, 1000000, &f->options.states_max, err);
	f->options.litmus_max = f->options.states_max;
	return rc;
}

static int set_seed(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 0, UINT64_MAX, &((struct fidelity *)ctx)->options.seed, err);
}

static int set_jobs(void *ctx, const char *value, struct err *err)
{
	return cli_parse_count(value, 1, 64, &((struct fidelity *)ctx)->options.jobs, err);
}

static int set_rounds(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 1, 100000, &((struct fidelity *)ctx)->rounds, err);
}

static int set_program(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct fidelity *)ctx)->program = value;
	return ERR_OK;
}

static int set_tmp(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct fidelity *)ctx)->tmp = value;
	return ERR_OK;
}

static int set_litmus(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct fidelity *)ctx)->litmus_only = true;
	return ERR_OK;
}

static int set_no_litmus(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct fidelity *)ctx)->no_litmus = true;
	return ERR_OK;
}

static int set_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct fidelity *)ctx)->json = true;
	return ERR_OK;
}

static int set_quiet(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct fidelity *)ctx)->quiet = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"on", "NAME,…", "file systems: ext4, ext4-lock, ext4-noda, xfs, btrfs [all]", set_on},
	{"model", "NAME", "hold them against this profile [that of the file system]", set_model},
	{"programs", "N", "random programs a file system [100]", set_programs},
	{"calls", "N", "calls of a program, at most [8]", set_calls},
	{"max-states", "N", "block states of a recording [60], of a litmus test [1000]",
	 set_states},
	{"seed", "N", "seed of the programs, the timing and the choice of states [1]", set_seed},
	{"litmus", NULL, "only the litmus tests", set_litmus},
	{"no-litmus", NULL, "only the random programs", set_no_litmus},
	{"program", "FILE", "only this program, as a miss is printed", set_program},
	{"rounds", "N", "record it N times under each timing [10]", set_rounds},
	{"jobs", "N", "processes [one a CPU]", set_jobs},
	{"tmp", "DIR", "where file systems are mounted [/dev/shm]", set_tmp},
	{"json", NULL, "for machines", set_json},
	{"quiet", NULL, "no progress", set_quiet},
	{0},
};

/* ---- progress ---- */

static void show_progress(void *arg, const struct file_system *fs, uint32_t done, uint32_t of)
{
	(void)arg;
	fprintf(stderr, "\r\033[K  %s: %u of %u", fs->name, done, of);
	fflush(stderr);
}

static void clear_progress(const struct fidelity *f)
{
	if (f->options.progress)
		fprintf(stderr, "\r\033[K");
}

/* ---- litmus tests ---- */

static uint32_t litmus_count(void)
{
	uint32_t n = 0;
	while (litmus_table[n].name)
		n++;
	return n;
}

static enum litmus_column column_of(const struct file_system *fs)
{
	int c = 0;
	while (c < LITMUS_COLUMNS && strcmp(litmus_columns[c], fs->name) != 0)
		c++;
	return (enum litmus_column)c;
}

/* What all of a command comes to. */
struct outcome {
	uint32_t holes;	 /* trees outside the model, and cells that contradict the table */
	uint32_t unsure; /* what could not be done or decided */
	uint32_t cells, seen, unseen; /* "yes" cells */
};

static const char *cell(const struct litmus *l, const struct file_system *fs,
			const struct litmus_result *r, char text[32])
{
	bool expected = litmus_expects(l, column_of(fs));
	if (!r->done)
		snprintf(text, 32, "?");
	else if (r->shown)
		snprintf(text, 32, "%s", expected ? "yes" : "YES, not no");
	else if (expected)
		snprintf(text, 32, "not in %u", r->states);
	else
		snprintf(text, 32, "no");
	return text;
}

static void weigh_cell(const struct litmus *l, const struct file_system *fs,
		       const struct litmus_result *r, struct outcome *o)
{
	bool expected = litmus_expects(l, column_of(fs));
	o->holes += (r->shown && !expected) || r->misses;
	o->unsure += !r->done || r->unmountable || r->undecided;
	o->cells += expected;
	o->seen += expected && r->shown;
	o->unseen += expected && r->done && !r->shown;
}

/* What each test does and asks, for whoever has not the table at hand. */
static void explain_litmus(struct buf *out)
{
	const struct report_options how = {.width = cli_width()};
	struct sheet sheet;
	sheet_init(&sheet, &how, out);
	buf_byte(out, '\n');
	for (const struct litmus *l = litmus_table; l->name; l++) {
		struct buf text = {0};
		buf_printf(&text, "%s? ", l->asks);
		for (const char *c = l->calls; *c; c++)
			buf_printf(&text, "%s", *c == '\n' ? "; " : (char[]){*c, '\0'});
		buf_string(&text, l->after ? "; the crash comes after the last of these" : "");
		buf_printf(out, "%-13s ", l->name);
		sheet_wrap(&sheet, 14, buf_text(&text));
		buf_finish(&text);
	}
}

static void print_litmus(const struct on *on, struct litmus_result *const *results,
			 struct outcome *o, struct buf *out)
{
	char text[32];
	buf_printf(out, "%-13s", "litmus test");
	for (uint32_t f = 0; f < on->n; f++)
		buf_printf(out, f + 1 < on->n ? " %-13s" : " %s", on->fs[f]->name);
	buf_byte(out, '\n');
	for (uint32_t i = 0; litmus_table[i].name; i++) {
		buf_printf(out, "%-13s", litmus_table[i].name);
		for (uint32_t f = 0; f < on->n; f++) {
			const struct litmus_result *r = &results[f][i];
			weigh_cell(&litmus_table[i], on->fs[f], r, o);
			buf_printf(out, " %-13s", cell(&litmus_table[i], on->fs[f], r, text));
		}
		while (out->len && out->data[out->len - 1] == ' ')
			out->len--;
		buf_byte(out, '\n');
	}
	buf_printf(out,
		   "\nyes: some crash image shows it; no: none of those tried did, as the table "
		   "says.\nOf %u cells that say yes, %u were seen; \"not in N\": not in N block "
		   "states.\n",
		   o->cells, o->seen);
	explain_litmus(out);
	for (uint32_t f = 0; f < on->n; f++) {
		for (uint32_t i = 0; litmus_table[i].name; i++) {
			const struct litmus_result *r = &results[f][i];
			if (!r->done || r->unmountable)
				buf_printf(out, "\n%s on %s could not be done: %s\n",
					   litmus_table[i].name, on->fs[f]->name, r->text);
			else if (r->misses)
				buf_printf(out, "\n%s on %s, outside the model: %s\n",
					   litmus_table[i].name, on->fs[f]->name, r->text);
			else if (r->shown &&
				 !litmus_expects(&litmus_table[i], column_of(on->fs[f])))
				buf_printf(out, "\n%s on %s, timing %s: %s\n", litmus_table[i].name,
					   on->fs[f]->name, r->timing, r->blocks);
		}
	}
}

static void put_json(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, "\"%s\":\"", key);
	buf_json(out, text, strlen(text));
	buf_byte(out, '"');
}

static void json_litmus(const struct on *on, struct litmus_result *const *results,
			struct outcome *o, struct buf *out)
{
	buf_string(out, "\"litmus\":[");
	for (uint32_t f = 0; f < on->n; f++) {
		for (uint32_t i = 0; litmus_table[i].name; i++) {
			const struct litmus *l = &litmus_table[i];
			const struct litmus_result *r = &results[f][i];
			weigh_cell(l, on->fs[f], r, o);
			buf_printf(out, "%s{", f || i ? "," : "");
			put_json(out, "test", l->name);
			buf_byte(out, ',');
			put_json(out, "asks", l->asks);
			buf_byte(out, ',');
			put_json(out, "calls", l->calls);
			buf_byte(out, ',');
			put_json(out, "file_system", on->fs[f]->name);
			buf_printf(out, ",\"expected\":%s,\"done\":%s,\"shown\":%s,\"states\":%u,",
				   litmus_expects(l, column_of(on->fs[f])) ? "true" : "false",
				   r->done ? "true" : "false", r->shown ? "true" : "false",
				   r->states);
			put_json(out, "timing", r->timing);
			buf_byte(out, ',');
			put_json(out, "blocks", r->blocks);
			buf_printf(out, ",\"outside_model\":%" PRIu64 ",", r->misses);
			put_json(out, "text", r->text);
			buf_byte(out, '}');
		}
	}
	buf_string(out, "],");
}

/* ---- random programs ---- */

static void weigh_programs(const struct fidelity_result *r, struct outcome *o)
{
	o->holes += r->misses > 0;
	o->unsure += r->failed || r->unmountable || r->undecided || r->states == 0;
}

static void print_miss(const struct fidelity_result *r, const struct fidelity_miss *m,
		       struct buf *out)
{
	buf_printf(out,
		   "\n%s shows what the model has not (timing %s, start %s, descriptors %s):\n%s%s",
		   r->fs->name, m->timing->name, m->warm ? "just made" : "mounted anew",
		   m->close_each ? "closed after each call" : "kept open", m->program, m->text);
}

static void print_programs(const struct fidelity_result *r, const struct on *on, struct buf *out)
{
	(void)on;
	buf_printf(out, "%-10s %8u %10" PRIu64 " %10" PRIu64 " %8" PRIu64, r->fs->name, r->programs,
		   r->states, r->trees, r->misses);
	if (r->model)
		buf_printf(out, "   %4.1f %% of %" PRIu64,
			   100.0 * (double)r->seen / (double)r->model, r->model);
	buf_byte(out, '\n');
}

static void print_doubts(const struct fidelity_result *r, struct buf *out)
{
	if (r->failed)
		buf_printf(out, "\n%s: %u of %u recordings failed: %s\n", r->fs->name, r->failed,
			   r->recordings, r->failure);
	if (r->unmountable)
		buf_printf(out, "\n%s: %u states could not be mounted: %s\n", r->fs->name,
			   r->unmountable, r->refusal);
	if (r->undecided)
		buf_printf(out,
			   "\n%s: for %" PRIu64 " trees the search in the model was given up\n",
			   r->fs->name, r->undecided);
	for (uint32_t i = 0; i < r->n_miss; i++)
		print_miss(r, &r->miss[i], out);
}

static void json_programs(const struct fidelity_result *r, bool first, struct buf *out)
{
	buf_printf(out, "%s{", first ? "" : ",");
	put_json(out, "file_system", r->fs->name);
	buf_printf(out,
		   ",\"programs\":%u,\"recordings\":%u,\"failed\":%u,\"states\":%" PRIu64
		   ",\"unmountable\":%u,\"trees\":%" PRIu64 ",\"undecided\":%" PRIu64
		   ",\"outside_model\":%" PRIu64 ",\"model_trees\":%" PRIu64
		   ",\"model_trees_seen\":%" PRIu64 ",\"counted\":%u,\"misses\":[",
		   r->programs, r->recordings, r->failed, r->states, r->unmountable, r->trees,
		   r->undecided, r->misses, r->model, r->seen, r->counted);
	for (uint32_t i = 0; i < r->n_miss; i++) {
		buf_printf(out, "%s{", i ? "," : "");
		put_json(out, "timing", r->miss[i].timing->name);
		buf_byte(out, ',');
		put_json(out, "program", r->miss[i].program);
		buf_byte(out, ',');
		put_json(out, "text", r->miss[i].text);
		buf_byte(out, '}');
	}
	buf_string(out, "]}");
}

/* ---- the command ---- */

static int run_litmus(struct fidelity *f, struct lab *lab, struct outcome *o, struct buf *out,
		      struct err *err)
{
	struct litmus_result *results[ON_MAX] = {0};
	int rc = ERR_OK;
	for (uint32_t i = 0; i < f->on.n && !rc; i++) {
		results[i] = mem_alloc(litmus_count(), sizeof **results);
		rc = fidelity_litmus(lab, f->on.fs[i], &f->options, results[i], err);
	}
	clear_progress(f);
	if (!rc && f->json)
		json_litmus(&f->on, results, o, out);
	else if (!rc)
		print_litmus(&f->on, results, o, out);
	for (uint32_t i = 0; i < f->on.n; i++)
		free(results[i]);
	return rc;
}

static int run_one(struct fidelity *f, struct lab *lab, const struct file_system *fs,
		   const char *program, struct fidelity_result *result, struct err *err)
{
	if (program)
		return fidelity_program(lab, fs, program, f->program,
					f->rounds ? (uint32_t)f->rounds : 10, &f->options, result,
					err);
	return fidelity_run(lab, fs, &f->options, result, err);
}

static int run_programs(struct fidelity *f, struct lab *lab, const char *program, struct outcome *o,
			struct buf *out, struct err *err)
{
	struct buf doubts = {0};
	int rc = ERR_OK;
	if (f->json)
		buf_string(out, "\"programs\":[");
	else
		buf_printf(out, "%s%-10s %8s %10s %10s %8s   %s\n",
			   f->no_litmus || program ? "" : "\n", "programs", "number", "states",
			   "trees", "outside", "of the model, seen");
	for (uint32_t i = 0; i < f->on.n && !rc; i++) {
		struct fidelity_result r;
		rc = run_one(f, lab, f->on.fs[i], program, &r, err);
		clear_progress(f);
		weigh_programs(&r, o);
		if (!rc && f->json)
			json_programs(&r, i == 0, out);
		else if (!rc)
			print_programs(&r, &f->on, out);
		if (!rc)
			print_doubts(&r, &doubts);
		fidelity_finish(&r);
	}
	if (f->json)
		buf_string(out, "],");
	else
		buf_append(out, doubts.data, doubts.len);
	buf_finish(&doubts);
	return rc;
}

static int run_all(struct fidelity *f, struct lab *lab, const char *program, struct outcome *o,
		   struct buf *out, struct err *err)
{
	int rc = ERR_OK;
	if (!program && !f->no_litmus)
		rc = run_litmus(f, lab, o, out, err);
	if (!rc && !f->litmus_only)
		rc = run_programs(f, lab, program, o, out, err);
	return rc;
}

static int exit_of(const struct outcome *o)
{
	return o->holes ? EXIT_VIOLATION : o->unsure ? EXIT_INCONCLUSIVE : 0;
}

static void put_head(const struct fidelity *f, struct buf *out)
{
	struct utsname u;
	uname(&u);
	if (f->json) {
		buf_printf(out, "{\"format\":\"powercut-fidelity\",\"version\":1,");
		buf_string(out, "\"kernel\":\"");
		buf_json(out, u.release, strlen(u.release));
		buf_printf(out, "\",\"seed\":%" PRIu64 ",", f->options.seed);
	} else {
		buf_printf(out, "%s %s %s, seed %" PRIu64 "\n\n", u.sysname, u.release, u.machine,
			   f->options.seed);
	}
}

static void put_end(const struct fidelity *f, const struct outcome *o, struct buf *out)
{
	int code = exit_of(o);
	if (f->json)
		buf_printf(out, "\"exit\":%d}\n", code);
	else
		buf_printf(out, "\n%s\n",
			   code == 0 ? "no state outside the model"
			   : code == EXIT_VIOLATION
				   ? "the model has holes"
				   : "inconclusive: not all could be tried or decided");
}

static int work(struct fidelity *f, struct buf *out, int *code, struct err *err)
{
	struct outcome outcome = {.unsure = f->on.n_missing};
	struct lab *lab = NULL;
	char *program = NULL;
	int rc = f->program ? cli_read_file(f->program, &program, err) : ERR_OK;
	if (!rc)
		rc = lab_open(f->tmp, &lab, err);
	if (!rc) {
		put_head(f, out);
		rc = run_all(f, lab, program, &outcome, out, err);
		put_end(f, &outcome, out);
		*code = exit_of(&outcome);
	}
	lab_close(lab);
	free(program);
	return rc;
}

static int run(int argc, char **argv, const char *command_line)
{
	struct fidelity f = {.options = {.seed = 1, .stop = &interrupted}};
	int rest, code;
	struct err err;
	struct buf out = {0};
	(void)command_line;
	if (cli_parse(&cli_fidelity, &f, argc, argv, &rest, &code))
		return code;
	if (rest < argc)
		return cli_usage("fidelity", "\"%s\" is too much", argv[rest]);
	if (f.litmus_only && (f.no_litmus || f.program))
		return cli_usage("fidelity", "--litmus leaves nothing to do with %s",
				 f.program ? "--program" : "--no-litmus");
	if (f.program && f.options.programs)
		return cli_usage("fidelity",
				 "--program FILE is one program: --programs does not go "
				 "with it");
	if (f.rounds && !f.program)
		return cli_usage("fidelity", "--rounds is for --program FILE");
	if (on_complete(&f.on, &err))
		return cli_fail("fidelity", &err);
	interrupt_catch();
	if (!f.quiet && !f.json && isatty(STDERR_FILENO))
		f.options.progress = show_progress;
	if (work(&f, &out, &code, &err)) {
		clear_progress(&f);
		code = interrupted ? EXIT_INCONCLUSIVE : 0;
		if (interrupted)
			fprintf(stderr, "powercut fidelity: interrupted\n");
		else
			code = cli_fail("fidelity", &err);
	} else {
		code = cli_print(&out, code);
	}
	buf_finish(&out);
	return code;
}

const struct cli_command cli_fidelity = {
	.name = "fidelity",
	.arguments = "[OPTIONS]",
	.help = "Holds the model against real file systems",
	.details = "Random small programs of calls, and the litmus tests, are run on real file "
		   "systems\n"
		   "over a disk whose writes are recorded; each state that a crash may leave there "
		   "is\n"
		   "mounted, and must be among the model's.  Needs root, FUSE and loop devices.\n"
		   "Exit code: 0 all are; 1 the model has a hole; 2 not all could be tried.\n",
	.options = options,
	.run = run,
};
