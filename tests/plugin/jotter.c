/* A store outside powercut's source, as a plug-in: a file of records, "notes", to
 * which each change is appended and synced; all of it in memory besides.
 *
 * Record: key length, value length (all ones: the key is deleted), a hash of these
 * and what follows, the key, the value.
 *
 * With dirsync=0, the default, it has the flaw that such stores often have: nobody
 * syncs the directory, so that by what POSIX promises the whole file may be gone,
 * name and all, although each record in it was synced. */
#include <powercut/engine.h>
#include <powercut/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct engine_option options[] = {
	{"dirsync", "0", "0|1", 0, 0, "1: the directory is synced too, when the file is made"},
	{NULL, NULL, NULL, 0, 0, NULL},
};

static const struct engine_fault_point fault_points[] = {
	{"jotter/open/dirsynced", "dirsync=1", 0},
	{"jotter/append/written", NULL, ENGINE_NEEDS_PUT},
	{"jotter/append/synced", NULL, ENGINE_NEEDS_PUT},
	{NULL, NULL, 0},
};

/* Planted bugs: jotter.so:mutant=jotter/no-sync turns this one on. */
const char *const powercut_mutants[] = {"jotter/no-sync", NULL};

#define DELETED UINT32_MAX

struct head {
	uint32_t key, value;
	uint64_t hash;
};

struct note {
	struct note *next;
	struct head head;
	char bytes[]; /* the key, the value */
};

struct jotter {
	int fd;
	off_t end;
	struct note *notes;
};

static void contract(const struct engine_config *config, struct engine_contract *c)
{
	(void)config;
	*c = (struct engine_contract){.ack = ENGINE_ACK_EACH,
				      .against = ENGINE_AGAINST_POWER,
				      .prefix = true,
				      .stays = true};
}

static size_t value_bytes(const struct head *head)
{
	return head->value == DELETED ? 0 : head->value;
}

/* FNV-1a: a torn record must not look like a whole one. */
static uint64_t hash_of(const struct note *note)
{
	uint64_t h = 14695981039346656037u;
	size_t n = note->head.key + value_bytes(&note->head);
	h = (h ^ note->head.key) * 1099511628211u;
	h = (h ^ note->head.value) * 1099511628211u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)note->bytes[i]) * 1099511628211u;
	return h;
}

static struct note **find(struct jotter *j, const void *key, size_t length)
{
	struct note **at = &j->notes;
	while (*at && ((*at)->head.key != length || memcmp((*at)->bytes, key, length) != 0))
		at = &(*at)->next;
	return at;
}

/* Takes what the note says to heart, and the note. */
static void apply(struct jotter *j, struct note *note)
{
	struct note **at = find(j, note->bytes, note->head.key), *old = *at;
	if (old) {
		*at = old->next;
		free(old);
	}
	if (note->head.value == DELETED) {
		free(note);
		return;
	}
	note->next = j->notes;
	j->notes = note;
}

/* The next note of the file, or NULL where there is no whole one. */
static struct note *read_note(struct jotter *j)
{
	struct head head;
	off_t size = lseek(j->fd, 0, SEEK_END);
	if (pread(j->fd, &head, sizeof head, j->end) != (ssize_t)sizeof head)
		return NULL;
	size_t n = head.key + value_bytes(&head);
	if (j->end + (off_t)(sizeof head + n) > size)
		return NULL;
	struct note *note = malloc(sizeof *note + n);
	if (!note)
		return NULL;
	note->head = head;
	if (pread(j->fd, note->bytes, n, j->end + (off_t)sizeof head) == (ssize_t)n &&
	    hash_of(note) == head.hash)
		return note;
	free(note);
	return NULL;
}

/* What was read is shown from now on, so that it has to be on disk by then; what is
 * left of a torn record must not come before the next one. */
static int settle(struct jotter *j, int dir, const struct engine_config *config,
		  struct engine_error *error)
{
	if (ftruncate(j->fd, j->end) || fsync(j->fd))
		return engine_fail(error, "notes: %s", strerror(errno));
	if (engine_number(config, "dirsync")) {
		if (fsync(dir))
			return engine_fail(error, "the directory: %s", strerror(errno));
		FAULT_POINT("jotter/open/dirsynced");
	}
	return 0;
}

static int close_jotter(void *store, struct engine_error *error)
{
	struct jotter *j = store;
	int rc = close(j->fd) ? engine_fail(error, "close: %s", strerror(errno)) : 0;
	while (j->notes) {
		struct note *next = j->notes->next;
		free(j->notes);
		j->notes = next;
	}
	free(j);
	return rc;
}

static void *open_jotter(const char *path, const struct engine_config *config,
			 struct engine_error *error)
{
	struct jotter *j = calloc(1, sizeof *j);
	struct note *note;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!j || dir < 0 ||
	    (j->fd = openat(dir, "notes", O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0) {
		engine_fail(error, "%s/notes: %s", path, strerror(errno));
		free(j);
		if (dir >= 0)
			close(dir);
		return NULL;
	}
	while ((note = read_note(j))) {
		j->end += (off_t)(sizeof note->head + note->head.key + value_bytes(&note->head));
		apply(j, note);
	}
	int rc = settle(j, dir, config, error);
	close(dir);
	if (!rc)
		return j;
	close_jotter(j, &(struct engine_error){{0}});
	return NULL;
}

static int append(struct jotter *j, const struct note *note, struct engine_error *error)
{
	size_t n = sizeof note->head + note->head.key + value_bytes(&note->head);
	if (pwrite(j->fd, &note->head, n, j->end) != (ssize_t)n)
		return engine_fail(error, "notes: it was not written whole");
	FAULT_POINT("jotter/append/written");
	if (!MUTANT("jotter/no-sync") && fsync(j->fd))
		return engine_fail(error, "notes: %s", strerror(errno));
	FAULT_POINT("jotter/append/synced");
	j->end += (off_t)n;
	return 0;
}

static int change(struct jotter *j, struct engine_bytes key, struct engine_bytes value,
		  uint32_t value_length, struct engine_error *error)
{
	struct note *note = malloc(sizeof *note + key.length + value.length);
	if (!note)
		return engine_fail(error, "no memory");
	note->head = (struct head){(uint32_t)key.length, value_length, 0};
	if (key.length)
		memcpy(note->bytes, key.data, key.length);
	if (value.length)
		memcpy(note->bytes + key.length, value.data, value.length);
	note->head.hash = hash_of(note);
	if (append(j, note, error)) {
		free(note);
		return -1;
	}
	apply(j, note);
	return 0;
}

static int put(void *store, struct engine_bytes key, struct engine_bytes value,
	       struct engine_error *error)
{
	return change(store, key, value, (uint32_t)value.length, error);
}

static int del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return change(store, key, (struct engine_bytes){NULL, 0}, DELETED, error);
}

static int get(void *store, struct engine_bytes key, struct engine_bytes *value,
	       struct engine_error *error)
{
	struct note *note = *find(store, key.data, key.length);
	(void)error;
	if (note)
		*value = (struct engine_bytes){note->bytes + note->head.key, note->head.value};
	return note != NULL;
}

static int scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct jotter *j = store;
	for (struct note *note = j->notes; note; note = note->next) {
		struct engine_bytes key = {note->bytes, note->head.key};
		struct engine_bytes value = {note->bytes + note->head.key, note->head.value};
		if (visit(arg, key, value))
			return engine_fail(error, "the scan was ended");
	}
	return 0;
}

const struct engine powercut_engine = {
	.abi = ENGINE_ABI,
	.name = "jotter",
	.summary = "a file of synced records, whose name is synced only if asked",
	.options = options,
	.fault_points = fault_points,
	.contract = contract,
	.open = open_jotter,
	.close = close_jotter,
	.put = put,
	.del = del,
	.get = get,
	.scan = scan,
};
