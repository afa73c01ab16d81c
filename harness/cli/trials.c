#include "trials.h"

#include <unistd.h>

#include "area.h"
#include "interrupt.h"

int cli_trials_seed(void *ctx, const char *value, struct err *err)
{
	return cli_parse_number(value, 1, INT64_MAX,
				&((struct cli_trials *)ctx)->trials.campaign.seed, err);
}

int cli_trials_states(void *ctx, const char *value, struct err *err)
{
	struct campaign_options *o = &((struct cli_trials *)ctx)->trials.campaign;
	int rc = cli_parse_number(value, 0, INT64_MAX, &o->states_max, err);
	if (!rc && o->states_max == 0)
		o->states_max = UINT64_MAX;
	return rc;
}

int cli_trials_jobs(void *ctx, const char *value, struct err *err)
{
	uint64_t jobs;
	int rc = cli_parse_number(value, 1, 256, &jobs, err);
	if (!rc)
		((struct cli_trials *)ctx)->trials.campaign.jobs = (uint32_t)jobs;
	return rc;
}

int cli_trials_timeout(void *ctx, const char *value, struct err *err)
{
	return cli_parse_timeout(value, &((struct cli_trials *)ctx)->trials.campaign.limits.wall_ms,
				 err);
}

int cli_trials_tmp(void *ctx, const char *value, struct err *err)
{
	char parent[AREA_PATH_MAX];
	((struct cli_trials *)ctx)->trials.campaign.tmp = value;
	return area_choose(value, parent, err);
}

int cli_trials_db(void *ctx, const char *value, struct err *err)
{
	(void)err;
	((struct cli_trials *)ctx)->trials.db = value;
	return ERR_OK;
}

int cli_trials_json(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct cli_trials *)ctx)->json = true;
	return ERR_OK;
}

int cli_trials_quiet(void *ctx, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct cli_trials *)ctx)->quiet = true;
	return ERR_OK;
}

void cli_trials_begin(struct cli_trials *t, const char *command_line)
{
	struct campaign_options *o = &t->trials.campaign;
	interrupt_catch();
	if (!o->seed)
		o->seed = 1;
	o->stop = &interrupted;
	o->command = command_line;
	/* Where there is no screen, a line a profile would drown the results. */
	status_init(&t->status, t->quiet || t->json || !isatty(STDERR_FILENO));
	o->progress = status_show;
	o->progress_arg = &t->status;
}

void cli_trials_clear(struct cli_trials *t)
{
	status_finish(&t->status);
}
