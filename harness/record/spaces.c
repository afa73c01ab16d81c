/* What each address space has mapped: read from /proc after every call that may have
 * changed it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "mapped_inside.h"
#include "mem.h"
#include "written.h"

static struct mapped_file *find_shown(const struct recorder *r, dev_t dev, uint64_t ino)
{
	for (struct mapped_file *f = r->mapped; f; f = f->hh.next)
		if (ino != 0 && f->shown_ino == ino && f->shown_dev == dev)
			return f;
	return NULL;
}

struct reading {
	struct recorder *recorder;
	struct mapped_file *file; /* known to be at addr, or NULL */
	uint64_t addr;
	struct mapping *list;
	size_t n, cap;
	bool last; /* the line before was that of list[n - 1] */
};

static void read_line(struct reading *reading, const char *line)
{
	unsigned long start, end, offset, ino;
	unsigned major, minor;
	char mode[5];
	if (reading->last && strncmp(line, "VmFlags:", 8) == 0)
		reading->list[reading->n - 1].syncs = strstr(line, " sh") != NULL;
	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, mode, &offset, &major, &minor,
		   &ino) != 7)
		return;
	dev_t dev = makedev(major, minor);
	reading->last = false;
	if (mode[3] != 's')
		return;
	if (reading->file && reading->addr >= start && reading->addr < end) {
		reading->file->shown_dev = dev;
		reading->file->shown_ino = ino;
	}
	struct mapped_file *file = find_shown(reading->recorder, dev, ino);
	if (!file)
		return;
	*MEM_PUSH(reading->list, reading->n, reading->cap) =
		(struct mapping){start, end, offset, file, mode[1] == 'w', true, false};
	reading->last = true;
}

/* The kernel may show as two what is one for us. */
static void merge_mappings(struct reading *reading)
{
	size_t n = 0;
	for (size_t i = 0; i < reading->n; i++) {
		const struct mapping *m = &reading->list[i];
		struct mapping *before = n > 0 ? &reading->list[n - 1] : NULL;
		if (before && before->end == m->start && before->file == m->file &&
		    before->writable == m->writable && before->syncs == m->syncs &&
		    before->offset + (before->end - before->start) == m->offset)
			before->end = m->end;
		else
			reading->list[n++] = *m;
	}
	reading->n = n;
}

static bool same_mapping(const struct mapping *a, const struct mapping *b)
{
	return a->start == b->start && a->end == b->end && a->offset == b->offset &&
	       a->file == b->file && a->writable == b->writable;
}

/* What is mapped now and was before, and has not been touched. */
static bool is_kept(const struct mapping *m, const struct mapping *list, size_t n, uint64_t from,
		    uint64_t to)
{
	for (size_t i = 0; i < n; i++)
		if (same_mapping(m, &list[i]))
			return m->start >= to || m->end <= from;
	return false;
}

/* A process has other mappings from now on; what it stored through the former ones
 * is still to be found. */
static void set_mappings(struct process *process, struct mapping *list, size_t n, uint64_t from,
			 uint64_t to)
{
	for (size_t i = 0; i < process->n_mappings; i++) {
		const struct mapping *m = &process->mappings[i];
		if (m->writable && !is_kept(m, list, n, from, to))
			mapped_suspect(m->file, m->offset, m->offset + (m->end - m->start));
		m->file->writers -= m->writable;
	}
	free(process->mappings);
	process->mappings = list;
	process->n_mappings = n;
	process->remapped++;
	for (size_t i = 0; i < n; i++)
		list[i].file->writers += list[i].writable;
}

static void observe_all(struct process *process)
{
	for (size_t i = 0; i < process->n_mappings && process->written; i++) {
		struct mapping *m = &process->mappings[i];
		m->observed = m->writable && written_add(process->written, m->start, m->end);
	}
}

void mapped_observe(struct task *task)
{
	struct process *process = task->process;
	bool any = false;
	for (size_t i = 0; i < process->n_mappings; i++)
		any = any || process->mappings[i].writable;
	if (!any || process->written_tried || task->recorder->options->compare_mappings)
		return;
	process->written_tried = true;
	process->written = written_create(task);
	observe_all(process);
}

void mapped_refresh(struct task *task, struct mapped_file *file, uint64_t from, uint64_t to)
{
	struct recorder *r = task->recorder;
	struct process *process = task->process;
	struct reading reading = {.recorder = r, .file = file, .addr = from};
	char path[64], *line = NULL;
	size_t cap = 0;
	if (!r->mapped)
		return;
	snprintf(path, sizeof path, "/proc/%d/%s", task->tid, r->exact_maps ? "smaps" : "maps");
	FILE *maps = fopen(path, "re");
	while (maps && getline(&line, &cap, maps) > 0)
		read_line(&reading, line);
	free(line);
	if (maps)
		fclose(maps);
	merge_mappings(&reading);
	set_mappings(process, reading.list, reading.n, from, to);
	observe_all(process);
	/* A child may have had a mapping for longer than its parent. */
	for (size_t i = 0; i < process->n_mappings; i++)
		if (process->mappings[i].writable)
			mapped_watch(task, process->mappings[i].file);
}

void mapped_forget(struct process *process)
{
	set_mappings(process, NULL, 0, 0, UINT64_MAX);
	written_destroy(process->written);
	process->written = NULL;
	process->written_tried = false;
}
