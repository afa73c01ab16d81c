#include "spectrum.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "trace_codec.h"

const char spectrum_workload[] = "ops=80 mix=put=80,delete=20";

const struct spectrum_mode spectrum_modes[] = {
	{"wal", "textbook", "sync", "sync=sync"},
	{"wal", "textbook", "batch=8", "sync=batch,batch=8"},
	{"wal", "textbook", "none", "sync=none"},
	{"wal", "hardened", "sync", "sync=sync"},
	{"wal", "hardened", "batch=8", "sync=batch,batch=8"},
	{"wal", "hardened", "none", "sync=none"},
	{"lsm", "textbook", "flush", ""},
	{"lsm", "hardened", "each", "sync=each"},
	{"lsm", "hardened", "on-sync", "sync=on-sync"},
	{"btree", "textbook", "each", ""},
	{"btree", "hardened", "each", ""},
	{"bitcask", "textbook", "each", "sync_writes=1"},
	{"bitcask", "textbook", "on-sync", "sync_writes=0"},
	{"bitcask", "hardened", "each", "sync_writes=1"},
	{"bitcask", "hardened", "on-sync", "sync_writes=0"},
	{0},
};

static const char *const calls[] = {"fsync", "fdatasync", NULL};

/* ---- the cost ---- */

/* What is known of each inode while walking through a trace. */
struct walk {
	const struct trace *trace;
	uint64_t *sizes; /* by inode */
	bool *resized;	 /* since its last sync */
	bool *directory;
	bool counting; /* within the operations */
	struct sync_cost *cost;
};

static void resize(struct walk *w, uint32_t ino, uint64_t size)
{
	w->resized[ino] = w->resized[ino] || w->sizes[ino] != size;
	w->sizes[ino] = size;
}

static void grow(struct walk *w, uint32_t ino, uint64_t end)
{
	if (end > w->sizes[ino])
		resize(w, ino, end);
}

static void sync_file(struct walk *w, uint32_t ino)
{
	w->cost->files += w->counting;
	w->cost->same_size += w->counting && !w->resized[ino];
	w->resized[ino] = false;
}

static void sync_everything(struct walk *w)
{
	bool any = false;
	for (uint32_t ino = 1; ino <= w->trace->n_inodes; ino++) {
		any = any || w->resized[ino];
		w->resized[ino] = false;
	}
	w->cost->files += w->counting;
	w->cost->same_size += w->counting && !any;
}

static void step(struct walk *w, const struct event *e)
{
	switch ((enum event_kind)e->kind) {
	case EVENT_MKDIR:
		w->directory[e->ino] = true;
		break;
	case EVENT_WRITE:
		grow(w, e->ino, e->offset + e->length);
		if (e->flags & (EVENT_DSYNC | EVENT_FSYNC_TOO))
			sync_file(w, e->ino);
		break;
	case EVENT_TRUNCATE:
		w->resized[e->ino] = true;
		w->sizes[e->ino] = e->length;
		break;
	case EVENT_FALLOCATE:
	case EVENT_ZERO:
		w->resized[e->ino] = true; /* an allocation, if nothing else */
		if (!(e->flags & EVENT_KEEP_SIZE))
			grow(w, e->ino, e->offset + e->length);
		break;
	case EVENT_FSYNC:
	case EVENT_FDATASYNC:
	case EVENT_MSYNC:
		if (w->directory[e->ino])
			w->cost->directories += w->counting;
		else
			sync_file(w, e->ino);
		break;
	case EVENT_SYNC:
		sync_everything(w);
		break;
	default:
		break;
	}
}

/* The events from the first begin of an operation to the last end of one. */
static void operations_span(const struct trace *t, size_t *first, size_t *last)
{
	*first = t->n_events;
	*last = 0;
	for (size_t i = 0; i < t->n_events; i++) {
		if (t->events[i].kind == EVENT_OP_BEGIN && *first == t->n_events)
			*first = i;
		if (t->events[i].kind == EVENT_OP_END)
			*last = i;
	}
}

void sync_cost_count(const struct trace *trace, struct sync_cost *cost)
{
	size_t first, last, n = trace->n_inodes + 1;
	struct walk w = {.trace = trace,
			 .sizes = mem_alloc(n, sizeof *w.sizes),
			 .resized = mem_alloc(n, sizeof *w.resized),
			 .directory = mem_alloc(n, sizeof *w.directory),
			 .cost = cost};
	*cost = (struct sync_cost){0};
	w.directory[TRACE_ROOT] = true;
	for (size_t i = 0; i < trace->n_start_inodes; i++) {
		const struct start_inode *s = &trace->start_inodes[i];
		w.sizes[s->ino] = s->size;
		w.directory[s->ino] = s->type == INODE_DIR;
	}
	operations_span(trace, &first, &last);
	for (size_t i = 0; i < trace->n_events; i++) {
		w.counting = i > first && i < last;
		step(&w, &trace->events[i]);
	}
	free(w.sizes);
	free(w.resized);
	free(w.directory);
}

static int read_cost(struct store *store, const struct target_row *target, struct sync_cost *cost,
		     struct err *err)
{
	struct buf bytes = {0};
	struct trace *trace = NULL;
	int rc = store_get_trace(store, target->trace, &bytes, err);
	if (!rc)
		rc = trace_decode(bytes.data, bytes.len, &trace, err);
	if (!rc)
		sync_cost_count(trace, cost);
	trace_destroy(trace);
	buf_finish(&bytes);
	return rc;
}

/* ---- one row ---- */

struct measuring {
	struct spectrum_row row;
	char *why;
};

static int read_losses(struct spectrum_row *row, struct store *store, int64_t target,
		       struct err *err)
{
	struct store_query *q = NULL;
	struct coverage_row c;
	int rc;
	while ((rc = store_next_coverage(store, &q, target, &c, err)) == 1) {
		const struct profile *p = profile_find(c.profile);
		if (!p)
			continue;
		row->losses[p - profile_table] = (struct spectrum_loss){
			.loss = c.loss,
			/* Who lost everything cannot lose more. */
			.at_least = c.left_out > 0 && c.loss < row->operations,
			.tested = c.tested,
			.left_out = c.left_out,
		};
	}
	return rc;
}

static int read_rows(void *arg, struct store *store, const struct campaign_result *result,
		     struct err *err)
{
	struct measuring *m = arg;
	struct target_row target;
	int rc = trial_target(store, result->id, &target, err);
	if (rc)
		return rc;
	m->row.operations = target.changes;
	int64_t id = target.id;
	rc = trial_undecided(store, result, &target, &m->why, err);
	if (!rc && target.trace)
		rc = read_cost(store, &target, &m->row.cost, err);
	if (!rc)
		rc = read_losses(&m->row, store, id, err);
	return rc;
}

static int measure(const struct spectrum_options *o, const struct spectrum_mode *mode,
		   const char *call, int *exit_code, struct err *err)
{
	struct measuring m = {.row = {.mode = mode, .call = call}};
	char *spec = mem_printf("%s:variant=%s%s%s,call=%s", mode->engine, mode->variant,
				mode->options[0] ? "," : "", mode->options, call);
	const struct trial trial = {.spec = spec, .workload = spectrum_workload};
	int rc = trial_run(&o->trials, &trial, read_rows, &m, err);
	m.row.spec = spec;
	m.row.why = m.why ? m.why : "";
	if (!rc && *exit_code != 2)
		*exit_code = m.row.why[0] ? 2 : 0;
	if (!rc && o->row)
		o->row(o->arg, &m.row);
	free(m.why);
	free(spec);
	return rc;
}

/* ---- the whole ---- */

int spectrum_run(const struct spectrum_options *given, int *exit_code, struct err *err)
{
	struct spectrum_options o = *given;
	struct campaign_options *c = &o.trials.campaign;
	int rc = ERR_OK;
	*exit_code = 3;
	if (!c->states_max)
		c->states_max = SPECTRUM_STATES_MAX;
	c->no_outcomes = true;
	c->depth = UINT32_MAX; /* a second crash adds nothing to what the first one lost */
	for (const struct spectrum_mode *m = o.modes ? o.modes : spectrum_modes; m->engine; m++) {
		if (!trial_engine_known(c->engines, m->engine))
			continue;
		for (int i = 0; calls[i] && !rc && !trials_stopped(&o.trials); i++)
			rc = measure(&o, m, calls[i], exit_code, err);
	}
	if (trials_stopped(&o.trials))
		*exit_code = 2;
	return rc;
}
