#include "checker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"
#include "words.h"

int checker_check(const char *command, struct err *err)
{
	static const struct place_value none[] = {{0}};
	char **words;
	int rc = words_parse(command, none, &words, err);
	if (!rc && !words_mention(command, "dir"))
		rc = err_set(err, ERR_USAGE,
			     "\"%s\" does not mention {dir}, the directory that it is to check",
			     command);
	if (!rc)
		rc = words_find(words[0], err);
	words_free(words);
	return rc;
}

void checker_init(struct checker *checker, const char *command, const struct ops *ops)
{
	const struct trace *t = ops->trace;
	*checker = (struct checker){.command = command, .ops = ops};
	checker->acked = arena_alloc(t->arena, t->n_events + 1, sizeof *checker->acked);
	checker->acked[0] = 0;
	for (size_t i = 0; i < t->n_events; i++)
		checker->acked[i + 1] = checker->acked[i] + (t->events[i].kind == EVENT_ACK);
}

uint32_t checker_acked(const struct checker *checker, uint32_t n_events)
{
	return checker->acked[n_events];
}

/* ---- in the child ---- */

/* The file of the lines acknowledged among the first n events, beside dir. */
static int write_acks(const struct checker *c, uint32_t n_events, const char *path)
{
	const struct trace *t = c->ops->trace;
	FILE *file = fopen(path, "we");
	if (!file)
		return -1;
	for (uint32_t i = 0; i < n_events; i++) {
		const struct event *e = &t->events[i];
		if (e->kind != EVENT_ACK)
			continue;
		fwrite(e->data, 1, e->data_length, file);
		fputc('\n', file);
	}
	int failed = ferror(file);
	return fclose(file) || failed ? -1 : 0;
}

static int become_checker(void *arg, const struct state *state, const char *dir,
			  struct engine_error *error)
{
	const struct checker *c = arg;
	uint32_t n_events = ops_events_before(c->ops, state->point);
	char *acked = mem_printf("%u", checker_acked(c, n_events));
	char *acks = mem_printf("%s-acks", dir);
	const struct place_value values[] = {{"dir", dir}, {"acked", acked}, {"acks", acks}, {0}};
	char **words;
	struct err err;
	if (words_mention(c->command, "acks") && write_acks(c, n_events, acks))
		return engine_fail(error, "cannot write %s: %s", acks, strerror(errno));
	if (words_parse(c->command, values, &words, &err))
		return engine_fail(error, "%s", err.text);
	setenv("POWERCUT_DIR", dir, 1);
	setenv("POWERCUT_ACKED", acked, 1);
	execvp(words[0], words);
	return engine_fail(error, "cannot run %s: %s", words[0], strerror(errno));
}

struct recover_job checker_job(const struct checker *checker)
{
	return (struct recover_job){.become = become_checker, .arg = (void *)(uintptr_t)checker};
}
