#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "finding.h"
#include "hunt.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"
#include "on.h"
#include "sheet.h"
#include "witnesses.h"

enum { ROUNDS = 6 };

/* What came of one file system, in a form that outlives the hunt. */
struct testimony {
	const struct file_system *fs;
	enum hunt_outcome outcome;
	uint64_t states;
	uint32_t variants;
	const char *variant;
	char *options, *blocks, *text;
	bool older_kept; /* the database has more telling news of it */
};

struct witness {
	struct real_options real;
	struct on on;
	const char *db, *tmp;
	bool json, quiet, any;
	/* the finding */
	int64_t finding;
	uint32_t rules;
	char *fingerprint, *title, *target, *state;
	struct rebuilt subject;
	/* what came of it */
	struct testimony list[ON_MAX];
	uint32_t n;
	char *kernel, *made;
	const char *at; /* the file system that is under way */
};

/* ---- options ---- */

static int set_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct witness *)ctx)->db = value;
	return ERR_OK;
}

static int set_on(void *ctx, const char *value, struct err *err)
{
	return on_parse(&((struct witness *)ctx)->on, value, err);
}

static int set_states(void *ctx, const char *value, struct err *err)
{
	return cli_parse_count(value, 4, 10000000, &((struct witness *)ctx)->real.states_max, err);
}

static int set_rounds(void *ctx, const char *value, struct err *err)
{
	return cli_parse_count(value, 1, 100000, &((struct witness *)ctx)->real.rounds, err);
}

static int set_seed(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 0, UINT64_MAX, &((struct witness *)ctx)->real.seed, err);
}

static int set_jobs(void *ctx, const char *value, struct err *err)
{
	return cli_parse_count(value, 1, 64, &((struct witness *)ctx)->real.jobs, err);
}

static int set_timeout(void *ctx, const char *value, struct err *err)
{
	return cli_parse_timeout(value, &((struct witness *)ctx)->real.limits.wall_ms, err);
}

static int set_tmp(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct witness *)ctx)->tmp = value;
	return ERR_OK;
}

static int set_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct witness *)ctx)->json = true;
	return ERR_OK;
}

static int set_quiet(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct witness *)ctx)->quiet = true;
	return ERR_OK;
}

static int set_same_rule(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct witness *)ctx)->any = true;
	return ERR_OK;
}

static const struct cli_option options[] = {
	{"on", "NAME,…", "file systems: ext4, ext4-lock, ext4-noda, xfs, btrfs [all]", set_on},
	{"same-rule", NULL, "be content with another state on which the same rule breaks",
	 set_same_rule},
	{"max-states", "N", "block states mounted, a file system [1000]", set_states},
	{"rounds", "N", "recordings under each timing [6]", set_rounds},
	{"seed", "N", "seed of the timing and the choice of states [1]", set_seed},
	{"jobs", "N", "workers [one a CPU]", set_jobs},
	{"timeout", "TIME", "wall time of one recovery, 500ms or seconds [1s]", set_timeout},
	{"tmp", "DIR", "where file systems are mounted [/dev/shm]", set_tmp},
	{"db", "FILE", "database [powercut.db]", set_db},
	{"json", NULL, "for machines", set_json},
	{"quiet", NULL, "no progress", set_quiet},
	{0},
};

/* ---- the finding ---- */

static char *copy(const char *text)
{
	return mem_dup(text, strlen(text));
}

static int take_finding(struct witness *w, struct store *store, const char *what, struct err *err)
{
	struct finding_row finding;
	struct target_row target;
	int rc = finding_find(store, what, &w->finding, err);
	if (!rc)
		rc = store_get_finding(store, w->finding, &finding, err);
	if (!rc)
		rc = store_get_target(store, finding.target, &target, err);
	if (rc)
		return rc;
	w->rules = finding.rules ? finding.rules : RULE_BIT(finding.rule);
	w->fingerprint = copy(finding.fingerprint);
	w->title = copy(finding.title);
	w->state = copy(finding.state);
	w->target = copy(target.name);
	if (!*w->state)
		return err_set(err, ERR_MISSING, "finding %s has no crash state to look for",
			       w->fingerprint);
	return hunt_check(w->rules, err);
}

/* From the database alone, which is closed then: children that use it must not be made
 * while it is open. */
static int rebuild(struct witness *w, struct store *store, struct err *err)
{
	struct rebuilt *c = &w->subject;
	int rc = rebuild_state(store, w->state, &w->real.limits, w->tmp, c, err);
	if (rc)
		return err_wrap(err, "the state of finding %s", w->fingerprint);
	for (struct rebuilt *r = c; r; r = r->base)
		r->s.store = NULL;
	if (!c->check)
		return ERR_OK;
	command_limits(&w->real.limits);
	/* A command's checker is looked for from here. */
	rc = checker_check(c->check, err);
	return rc ? err_wrap(err, "checker") : ERR_OK;
}

/* ---- progress ---- */

static void show_progress(void *arg, uint64_t mounted, uint64_t recoveries)
{
	const struct witness *w = arg;
	fprintf(stderr, "\r\033[K  %s: %" PRIu64 " states mounted, %" PRIu64 " recoveries", w->at,
		mounted, recoveries);
	fflush(stderr);
}

static void clear_progress(const struct witness *w)
{
	if (w->real.progress)
		fprintf(stderr, "\r\033[K");
}

/* ---- file systems ---- */

static void take_result(struct testimony *t, struct hunt_result *r)
{
	t->outcome = r->outcome;
	t->states = r->states;
	t->variants = r->variants;
	t->variant = r->timing ? r->timing->name : "";
	t->blocks = copy(buf_text(&r->blocks));
	t->text = copy(buf_text(&r->text));
}

static struct testimony *testify(struct witness *w, const struct file_system *fs)
{
	struct testimony *t = &w->list[w->n++];
	struct buf how = {0};
	*t = (struct testimony){.fs = fs, .variant = ""};
	file_system_describe(fs, &how);
	t->options = copy(buf_text(&how));
	buf_finish(&how);
	return t;
}

static void try_one(struct witness *w, const struct file_system *fs)
{
	struct hunt hunt = {.subject = &w->subject,
			    .rules = w->rules,
			    .title = w->title,
			    .any = w->any,
			    .real = w->real};
	struct hunt_result r;
	struct err err = {0};
	hunt.real.fs = fs;
	w->at = fs->name;
	int rc = hunt_run(&hunt, &r, &err);
	/* What was seen stands, whatever came later. */
	bool telling = r.outcome == HUNT_WITNESSED || r.outcome == HUNT_SAME_RULE;
	if (telling || (!rc && !interrupted)) {
		take_result(testify(w, fs), &r);
	} else if (!interrupted) {
		struct testimony *t = testify(w, fs);
		t->blocks = copy("");
		t->text = copy(err.text);
	}
	hunt_finish(&r);
}

/* Those that this machine has not are said to be missing; on_complete has named them too. */
static void note_missing(struct witness *w)
{
	struct err err;
	for (const struct file_system *fs = file_system_table; fs->name; fs++) {
		if (file_system_check(fs, &err) == ERR_OK)
			continue;
		struct testimony *t = testify(w, fs);
		t->blocks = copy("");
		t->text = copy(err.text);
	}
}

/* ---- keeping and printing ---- */

static const char *const outcome_names[] = {
	[HUNT_NOT_TRIED] = "not tried",
	[HUNT_NOT_SEEN] = "not seen",
	[HUNT_SAME_RULE] = "same rule",
	[HUNT_WITNESSED] = "witnessed",
};

static struct witness_row row_of(const struct witness *w, const struct testimony *t)
{
	return (struct witness_row){
		.finding = w->finding,
		.file_system = t->fs->name,
		.kernel = w->kernel,
		.options = t->options,
		.made = w->made,
		.seed = w->real.seed,
		.states = t->states,
		.variants = t->variants,
		.outcome = outcome_names[t->outcome],
		.variant = t->variant,
		.blocks = t->blocks,
		.text = t->text,
	};
}

static int rank(const char *outcome)
{
	int i = HUNT_WITNESSED;
	while (i > 0 && strcmp(outcome_names[i], outcome) != 0)
		i--;
	return i;
}

/* That nothing was seen this time does not undo what was seen on the same kernel. */
static int find_older(struct witness *w, struct store *store, struct err *err)
{
	struct store_query *q = NULL;
	struct witness_row row;
	int rc;
	while ((rc = store_next_witness(store, &q, w->finding, &row, err)) == 1) {
		for (uint32_t i = 0; i < w->n; i++) {
			struct testimony *t = &w->list[i];
			if (strcmp(row.file_system, t->fs->name) == 0 &&
			    rank(row.outcome) > (int)t->outcome &&
			    (t->outcome == HUNT_NOT_TRIED || strcmp(row.kernel, w->kernel) == 0))
				t->older_kept = true;
		}
	}
	return rc;
}

/* The file may have gone, or be another, since it was read. */
static int check_same(const struct witness *w, struct store *store, struct err *err)
{
	struct finding_row finding;
	int rc = store_get_finding(store, w->finding, &finding, err);
	if (!rc && strcmp(finding.fingerprint, w->fingerprint) != 0)
		rc = err_set(err, ERR_MISSING, "it is no longer the database that was read");
	return rc;
}

static int keep(struct witness *w, struct err *err)
{
	const char *path = w->db ? w->db : CLI_DATABASE;
	struct store *store = NULL;
	if (w->n == 0)
		return ERR_OK;
	int rc = access(path, F_OK) != 0 ? err_sys(err, "%s", path)
					 : store_create(path, &store, err);
	if (!rc)
		rc = check_same(w, store, err);
	if (!rc)
		rc = find_older(w, store, err);
	for (uint32_t i = 0; i < w->n && !rc; i++) {
		struct witness_row row = row_of(w, &w->list[i]);
		if (!w->list[i].older_kept)
			rc = store_add_witness(store, &row, err);
	}
	if (!rc)
		rc = store_commit(store, err);
	store_close(store);
	return rc ? err_wrap(err, "what came of it could not be kept") : ERR_OK;
}

static uint32_t seen_on(const struct witness *w)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < w->n; i++)
		n += w->list[i].outcome >= HUNT_SAME_RULE;
	return n;
}

static int exit_of(const struct witness *w)
{
	return interrupted || !seen_on(w) ? EXIT_INCONCLUSIVE : 0;
}

static void put_text(const struct witness *w, struct buf *out)
{
	const struct report_options how = {.width = cli_width(), .colour = cli_colour()};
	struct sheet sheet;
	struct buf line = {0};
	sheet_init(&sheet, &how, out);
	buf_printf(&line, "Finding %s", w->fingerprint);
	sheet_paint(&sheet, SHEET_BOLD, buf_text(&line));
	buf_byte(out, '\n');
	sheet_wrap(&sheet, 0, w->title);
	sheet_field(&sheet, "target", w->target);
	sheet_field_whole(&sheet, "state", w->state);
	buf_byte(out, '\n');
	for (uint32_t i = 0; i < w->n; i++) {
		struct witness_row row = row_of(w, &w->list[i]);
		witnesses_say(&sheet, &row);
		if (w->list[i].older_kept)
			sheet_field(&sheet, "", "The database keeps what was seen earlier.");
	}
	buf_finish(&line);
}

/* "powercut-witness", version 1: the finding, the rows as the report has them (json.c), whether a
 * signal ended it, and the exit status. */
static void put_json(const struct witness *w, struct buf *out)
{
	struct json json = {.out = out};
	json_open(&json, NULL, '{');
	json_format(&json, "powercut-witness");
	json_text(&json, "fingerprint", w->fingerprint);
	json_text(&json, "title", w->title);
	json_text(&json, "target", w->target);
	json_text(&json, "state", w->state);
	json_open(&json, "witnesses", '[');
	for (uint32_t i = 0; i < w->n; i++) {
		struct witness_row row = row_of(w, &w->list[i]);
		witnesses_object(&json, &row);
	}
	json_close(&json, ']');
	json_bool(&json, "interrupted", interrupted);
	json_number(&json, "exit", exit_of(w));
	json_close(&json, '}');
}

/* ---- the command ---- */

static void take_circumstances(struct witness *w)
{
	struct utsname u;
	char text[32];
	time_t now = time(NULL);
	struct tm tm;
	uname(&u);
	w->kernel = mem_printf("%s %s", u.release, u.machine);
	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	w->made = copy(text);
}

static void hunt_all(struct witness *w)
{
	if (!w->quiet && !w->json && isatty(STDERR_FILENO)) {
		w->real.progress = show_progress;
		w->real.progress_arg = w;
	}
	for (uint32_t i = 0; i < w->on.n && !interrupted; i++)
		try_one(w, w->on.fs[i]);
	clear_progress(w);
	if (w->on.n_missing)
		note_missing(w);
}

/* Reads the database, and leaves it as it is. */
static int prepare(struct witness *w, const char *what, int *code)
{
	struct err err;
	struct store *store = cli_open("witness", w->db, code);
	if (!store)
		return 1;
	int rc = take_finding(w, store, what, &err);
	if (!rc && faccessat(AT_FDCWD, store_path(store), W_OK, AT_EACCESS) != 0)
		rc = err_sys(&err, "%s cannot be written, and what comes of this is kept there",
			     store_path(store));
	if (!rc)
		rc = on_complete(&w->on, &err);
	if (!rc)
		rc = lab_open(w->tmp, &w->real.lab, &err);
	if (!rc)
		rc = rebuild(w, store, &err);
	store_close(store);
	if (rc)
		*code = cli_fail("witness", &err);
	return rc;
}

static int work(struct witness *w)
{
	struct buf out = {0};
	struct err err;
	take_circumstances(w);
	hunt_all(w);
	int rc = keep(w, &err);
	if (w->json)
		put_json(w, &out);
	else
		put_text(w, &out);
	int code = cli_print(&out, exit_of(w));
	buf_finish(&out);
	if (interrupted)
		fprintf(stderr,
			"powercut witness: interrupted: what came of %u of %u file systems is "
			"kept\n",
			w->n - w->on.n_missing, w->on.n);
	return rc ? cli_fail("witness", &err) : code;
}

static void finish(struct witness *w)
{
	rebuilt_finish(&w->subject);
	lab_close(w->real.lab);
	for (uint32_t i = 0; i < w->n; i++) {
		free(w->list[i].options);
		free(w->list[i].blocks);
		free(w->list[i].text);
	}
	free(w->fingerprint);
	free(w->title);
	free(w->target);
	free(w->state);
	free(w->kernel);
	free(w->made);
}

static int run(int argc, char **argv, const char *command_line)
{
	struct witness *w = mem_alloc(1, sizeof *w);
	int rest, code;
	(void)command_line;
	w->real.seed = 1;
	w->real.rounds = ROUNDS;
	w->real.stop = &interrupted;
	if (cli_parse(&cli_witness, w, argc, argv, &rest, &code))
		goto done;
	if (argc - rest != 1) {
		code = cli_usage("witness", "expected one fingerprint, or the beginning of one");
		goto done;
	}
	interrupt_catch();
	if (!prepare(w, argv[rest], &code))
		code = work(w);
done:
	finish(w);
	free(w);
	return code;
}

const struct cli_command cli_witness = {
	.name = "witness",
	.arguments = "[OPTIONS] FINGERPRINT",
	.help = "Looks for a finding on real file systems",
	.details =
		"The finding's calls are run on real file systems over a disk whose writes are "
		"recorded;\n"
		"what crashes may leave is mounted, recovered there and judged, until the very "
		"files of\n"
		"the finding's state fail again.  What comes of it is kept in the database: show "
		"and\n"
		"report print it.  What was seen is kept even if it is not seen another time on "
		"the\n"
		"same kernel.  Needs root, FUSE and loop devices; a checker is looked for from "
		"here.\n"
		"Exit code: 0 at least one file system showed the state, or another on which a "
		"rule of\n"
		"the finding breaks; 2 none did, which does not say that it cannot be.\n",
	.options = options,
	.run = run,
};
