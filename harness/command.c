#include "command.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "record.h"
#include "words.h"

enum { WALL_MS = 10000, RUN_MS = 60000 };

/* ---- before anything is run ---- */

static int check_pattern(const char *pattern, struct err *err)
{
	regex_t regex;
	char why[128];
	int rc = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (rc) {
		regerror(rc, &regex, why, sizeof why);
		return err_set(err, ERR_USAGE, "\"%s\" is no regular expression: %s", pattern, why);
	}
	regfree(&regex);
	return ERR_OK;
}

static bool mentions_dir(const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		if (words_mention(words[i], "dir"))
			return true;
	return false;
}

static int check_setup(const char *setup, struct err *err)
{
	char **words;
	int rc = words_parse(setup, NULL, &words, err);
	if (!rc)
		rc = words_find(words[0], err);
	words_free(words);
	return rc ? err_wrap(err, "setup") : ERR_OK;
}

int command_check(const struct command *c, struct err *err)
{
	if (!c->check)
		return err_set(err, ERR_USAGE,
			       "the workload has no checker: say how states are checked, --check "
			       "'CMD {dir} {acked}'");
	if (checker_check(c->check, err))
		return err_wrap(err, "checker");
	if (!c->workload || !c->workload[0])
		return err_set(err, ERR_USAGE,
			       "there is no workload: it comes last, -- WORKLOAD ARGS {dir}");
	if (!mentions_dir(c->workload))
		return err_set(err, ERR_USAGE,
			       "no word of the workload mentions {dir}, the directory that it is "
			       "to work in");
	if (words_find(c->workload[0], err))
		return err_wrap(err, "workload");
	if (c->setup && check_setup(c->setup, err))
		return err->code;
	return c->ack_pattern ? check_pattern(c->ack_pattern, err) : ERR_OK;
}

void command_limits(struct child_limits *limits)
{
	if (!limits->wall_ms)
		limits->wall_ms = WALL_MS;
	/* A run-time system may reserve far more than it uses, and a store map and
	 * preallocate more than it writes. */
	if (!limits->memory_bytes)
		limits->memory_bytes = (uint64_t)1 << 46;
	if (!limits->file_bytes)
		limits->file_bytes = (uint64_t)1 << 40;
}

/* ---- recording ---- */

/* How a process ended, for people: "exit status 3", "signal 11 (...)". */
static void put_end(int status, struct buf *out)
{
	if (WIFSIGNALED(status))
		buf_printf(out, "died of signal %d (%s)", WTERMSIG(status),
			   strsignal(WTERMSIG(status)));
	else
		buf_printf(out, "ended with status %d", WEXITSTATUS(status));
}

static int fail_ended(const char *what, int status, struct err *err)
{
	struct buf end = {0};
	put_end(status, &end);
	err_set(err, ERR_USAGE, "%s %s, without any crash: nothing can be tested", what,
		buf_text(&end));
	buf_finish(&end);
	return err->code;
}

/* Runs the setup and waits for it; its output is the user's to see. */
static int run_setup(const struct command *c, const char *dir, struct err *err)
{
	const struct place_value values[] = {{"dir", dir}, {0}};
	char **words;
	int status, rc = words_parse(c->setup, values, &words, err);
	if (rc)
		return rc;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(words[0], words);
		fprintf(stderr, "powercut: cannot run %s\n", words[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		rc = err_sys(err, "cannot run the setup");
	else if (status)
		rc = fail_ended("the setup", status, err);
	words_free(words);
	return rc;
}

/* Lines that are acknowledgements, and those that are not. */
struct filter {
	regex_t regex;
	uint64_t refused;
};

static bool is_ack(void *arg, const char *line, size_t length)
{
	struct filter *f = arg;
	char *text = mem_dup(line, length);
	bool fits = regexec(&f->regex, text, 0, NULL, 0) == 0;
	free(text);
	f->refused += !fits;
	return fits;
}

static int check_ended(const struct command *c, const struct record_result *result,
		       const struct trace *trace, uint64_t refused, struct err *err)
{
	uint64_t acks = 0, changes = 0;
	if (result->left_running)
		return err_set(
			err, ERR_TARGET,
			"the workload %s ended, but a process that it left behind did not in "
			"time (see --run-timeout)",
			c->workload[0]);
	if (result->timed_out)
		return err_set(err, ERR_TARGET,
			       "the workload %s did not end in time (see --run-timeout)",
			       c->workload[0]);
	if (result->wait_status) {
		char *what = mem_printf("the workload %s", c->workload[0]);
		int rc = fail_ended(what, result->wait_status, err);
		free(what);
		return rc;
	}
	for (size_t i = 0; i < trace->n_events; i++) {
		enum event_kind kind = (enum event_kind)trace->events[i].kind;
		acks += kind == EVENT_ACK;
		changes += kind <= EVENT_ZERO;
	}
	if (!acks && refused)
		return err_set(err, ERR_USAGE,
			       "none of the %llu lines that the workload %s printed matches "
			       "--ack-pattern %s",
			       (unsigned long long)refused, c->workload[0], c->ack_pattern);
	if (!acks)
		return err_set(err, ERR_USAGE,
			       "the workload %s printed no line: it is to print one when "
			       "something is durable",
			       c->workload[0]);
	if (!changes && !trace_inconclusive(trace))
		return err_set(err, ERR_USAGE,
			       "the workload %s changed nothing in {dir}: nothing can be lost",
			       c->workload[0]);
	return ERR_OK;
}

int command_record(const struct command *c, const char *dir, const struct command_run *run,
		   struct trace **trace, struct err *err)
{
	const struct place_value values[] = {{"dir", dir}, {0}};
	struct filter filter = {0};
	struct record_result result;
	int rc = c->setup ? run_setup(c, dir, err) : ERR_OK;
	if (!rc && c->ack_pattern)
		rc = regcomp(&filter.regex, c->ack_pattern, REG_EXTENDED | REG_NOSUB)
			     ? err_set(err, ERR_INTERNAL, "a pattern no longer compiles")
			     : ERR_OK;
	if (rc)
		return rc;
	char **words = words_fill(c->workload, values);
	struct record_options options = {.root = dir,
					 .argv = words,
					 .acks = true,
					 .is_ack = c->ack_pattern ? is_ack : NULL,
					 .is_ack_arg = &filter,
					 .no_stacks = run->no_stacks,
					 .timeout_ms = run->ms ? run->ms : RUN_MS,
					 .stop = run->stop};
	*trace = trace_create();
	rc = record_run(&options, *trace, &result, err);
	if (rc == ERR_MISSING)
		rc = err->code = ERR_USAGE;
	if (!rc && run->stop && *run->stop)
		rc = err_set(err, ERR_TARGET, "interrupted while the workload was recorded");
	if (!rc)
		rc = check_ended(c, &result, *trace, filter.refused, err);
	if (c->ack_pattern)
		regfree(&filter.regex);
	words_free(words);
	return rc;
}

/* ---- the jury ---- */

static struct bounds bounds(const void *arg, uint32_t n_events, bool power)
{
	uint32_t acked = checker_acked(arg, n_events);
	(void)power;
	return (struct bounds){.begun = acked, .acked = acked, .durable = acked};
}

static void judge(const void *arg, const struct contents *contents, const struct bounds *b,
		  struct verdict *verdict)
{
	(void)arg;
	(void)contents;
	(void)b;
	*verdict = (struct verdict){0};
}

static void explain(const void *arg, const struct contents *contents, const struct bounds *b,
		    enum rule rule, struct buf *out)
{
	(void)arg;
	(void)contents;
	(void)b;
	(void)rule;
	(void)out;
}

static enum rule failed(const void *arg, const struct recovery *r, const struct bounds *b,
			enum rule rule)
{
	(void)arg;
	(void)b;
	return r->end == RECOVERY_FAILED ? RULE_CHECK : rule;
}

struct jury command_jury(const struct checker *checker)
{
	return (struct jury){.bounds = bounds,
			     .judge = judge,
			     .explain = explain,
			     .failed = failed,
			     .tells_acked = true,
			     .arg = checker};
}
