#include "lib_engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "faults.h"
#include "io.h"
#include "mem.h"
#include "prng.h"
#include "target.h"

/* What is under test; like all that is shared with the processes of the tests,
 * set before Check forks. */
static const struct subject *tested;

/* ---- files ---- */

static void wipe(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
}

void files_write(const char *dir, const char *name, const void *data, size_t size)
{
	char *path = mem_printf("%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ck_assert_msg(fd >= 0 && !io_write_at(fd, data, size, 0), "%s: %s", path, strerror(errno));
	close(fd);
	free(path);
}

void files_remove(const char *dir, const char *name)
{
	char *path = mem_printf("%s/%s", dir, name);
	ck_assert_msg(!unlink(path), "%s: %s", path, strerror(errno));
	free(path);
}

static void snapshot_add(struct snapshot *snapshot, int dir, const char *name)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY);
	ck_assert(fd >= 0 && snapshot->n < SNAPSHOT_FILES_MAX && !fstat(fd, &st));
	ck_assert_msg(S_ISREG(st.st_mode), "%s is no file", name);
	size_t i = snapshot->n++, size = (size_t)st.st_size;
	snprintf(snapshot->files[i].name, sizeof snapshot->files[i].name, "%.63s", name);
	snapshot->files[i].size = size;
	snapshot->files[i].data = mem_alloc(size + 1, 1);
	ck_assert_int_eq(io_read_at(fd, snapshot->files[i].data, size, 0), st.st_size);
	close(fd);
}

void snapshot_take(struct snapshot *snapshot, const char *dir)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, alphasort), d = open(dir, O_RDONLY | O_DIRECTORY);
	ck_assert(n >= 0 && d >= 0);
	snapshot->n = 0;
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			snapshot_add(snapshot, d, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	close(d);
}

void snapshot_finish(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n; i++)
		free(snapshot->files[i].data);
	snapshot->n = 0;
}

void snapshot_restore(const struct snapshot *snapshot, const char *dir)
{
	wipe(dir);
	for (size_t i = 0; i < snapshot->n; i++)
		files_write(dir, snapshot->files[i].name, snapshot->files[i].data,
			    snapshot->files[i].size);
}

/* ---- stores ---- */

void store_options(struct store *store, const char *options)
{
	const struct engine *const table[] = {store->engine, NULL};
	struct err err = {0};
	char *text = mem_printf("%s%s%s", store->engine->name, *options ? ":" : "", options);
	target_destroy(store->target);
	ck_assert_msg(!target_parse(text, table, &store->target, &err), "%s", err.text);
	free(text);
	store->config = store->target->config;
	store->engine->contract(&store->config, &store->contract);
}

void store_init(struct store *store, const struct engine *engine, const char *options)
{
	*store = (struct store){.engine = engine};
	const char *parent = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(store->dir, sizeof store->dir, "%s/test_%s.XXXXXX", parent, engine->name);
	ck_assert_ptr_nonnull(mkdtemp(store->dir));
	store_options(store, options);
}

bool store_open(struct store *store)
{
	store->error.text[0] = '\0';
	store->handle = store->engine->open(store->dir, &store->config, &store->error);
	return store->handle != NULL;
}

int store_close(struct store *store)
{
	void *handle = store->handle;
	store->handle = NULL;
	store->error.text[0] = '\0';
	return handle ? store->engine->close(handle, &store->error) : 0;
}

int store_reopen(struct store *store)
{
	return store_close(store) < 0 || !store_open(store) ? -1 : 0;
}

void store_finish(struct store *store)
{
	store_close(store);
	if (!access(store->dir, F_OK))
		wipe(store->dir);
	rmdir(store->dir);
	target_destroy(store->target);
}

static struct engine_bytes bytes_of(const char *text)
{
	return (struct engine_bytes){text, strlen(text)};
}

int store_put(struct store *store, const char *key, const char *value)
{
	return store->engine->put(store->handle, bytes_of(key), bytes_of(value), &store->error);
}

int store_del(struct store *store, const char *key)
{
	return store->engine->del(store->handle, bytes_of(key), &store->error);
}

bool store_has(struct store *store, const char *key, const char *value)
{
	struct engine_bytes got = {0};
	int rc = store->engine->get(store->handle, bytes_of(key), &got, &store->error);
	if (!value || rc != 1)
		return !value && rc == 0;
	return got.length == strlen(value) && !memcmp(got.data, value, got.length);
}

static int count_visit(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	(void)key, (void)value;
	++*(size_t *)arg;
	return 0;
}

size_t store_count(struct store *store)
{
	size_t n = 0;
	int rc = store->engine->scan(store->handle, count_visit, &n, &store->error);
	ck_assert_msg(rc == 0, "%s", store->error.text);
	return n;
}

/* 0 where the engine has no such function: it cannot disapprove then. */
static int verify(struct store *store)
{
	store->error.text[0] = '\0';
	return store->engine->verify ? store->engine->verify(store->handle, &store->error) : 0;
}

/* ---- keys and values of plans ---- */

enum { VALUE_ROOM = 9000 };

struct bytes {
	size_t length;
	char data[VALUE_ROOM];
};

static unsigned int keys_of(const struct subject *subject)
{
	return subject->keys ? subject->keys : 9;
}

/* Key 0 is the empty key, where that may be; every eighth is long. */
static void key_make(const struct subject *subject, unsigned int key, struct bytes *out)
{
	bool empty = key == 0 && !subject->no_empty_key;
	out->length = empty ? 0 : (size_t)snprintf(out->data, sizeof out->data, "key%u", key);
	for (; key % 8 == 7 && out->length < 200; out->length++)
		out->data[out->length] = '-';
}

/* Now and then an empty value and a large one. */
static size_t value_length(const struct subject *subject, unsigned int write)
{
	if (write % 17 == 0)
		return subject->value_bytes ? subject->value_bytes : 700;
	return write % 11 == 0 ? 0 : 8 + write * 37 % 90;
}

/* Begins with the number of the write, so that it can be told from the value. */
static void value_make(const struct subject *subject, unsigned int write, struct bytes *out)
{
	out->length = value_length(subject, write);
	for (size_t i = 0; i < out->length; i++)
		out->data[i] = (char)('a' + (write + i / 8) % 26);
	if (out->length)
		snprintf(out->data, 8, "w%u:", write);
}

static struct engine_bytes view(const struct bytes *bytes)
{
	return (struct engine_bytes){bytes->data, bytes->length};
}

/* ---- what a store shows ---- */

/* What is under a key: the number of a write, or one of these. */
enum {
	SHOWN_NOTHING = 0,
	SHOWN_EMPTY = -1, /* the value of several writes */
	SHOWN_ERROR = -2,
	SHOWN_OTHER = -3, /* what was never written */
};

struct shown {
	unsigned int keys;
	int32_t under[PLAN_KEYS_MAX];	/* by get */
	int32_t scanned[PLAN_KEYS_MAX]; /* by scan */
	bool scan_failed;
	bool others; /* the scan showed a key that is not in the plan, or one twice */
	char error[256];
};

/* The write that made a value. */
static int32_t recognise(const struct subject *subject, struct engine_bytes value)
{
	static struct bytes expected;
	char head[9] = "", *end;
	if (!value.length)
		return SHOWN_EMPTY;
	if (value.length < 8)
		return SHOWN_OTHER;
	memcpy(head, value.data, 8);
	unsigned long write = head[0] == 'w' ? strtoul(head + 1, &end, 10) : 0;
	if (!write || write > UINT16_MAX || *end != ':')
		return SHOWN_OTHER;
	value_make(subject, (unsigned int)write, &expected);
	bool same =
		value.length == expected.length && !memcmp(value.data, expected.data, value.length);
	return same ? (int32_t)write : SHOWN_OTHER;
}

struct scan {
	const struct subject *subject;
	struct shown *shown;
};

static int scan_visit(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	static struct bytes expected;
	struct scan *scan = arg;
	struct shown *shown = scan->shown;
	for (unsigned int k = 0; k < shown->keys; k++) {
		key_make(scan->subject, k, &expected);
		if (key.length != expected.length ||
		    (key.length && memcmp(key.data, expected.data, key.length) != 0))
			continue;
		shown->others |= shown->scanned[k] != SHOWN_NOTHING;
		shown->scanned[k] = recognise(scan->subject, value);
		return 0;
	}
	shown->others = true;
	return 0;
}

/* Reads all that the open store shows. */
static void look(struct store *store, const struct subject *subject, struct shown *shown)
{
	static struct bytes key;
	*shown = (struct shown){.keys = keys_of(subject)};
	for (unsigned int k = 0; k < shown->keys; k++) {
		struct engine_bytes got = {0};
		struct engine_error error = {""};
		key_make(subject, k, &key);
		int rc = store->engine->get(store->handle, view(&key), &got, &error);
		shown->under[k] = rc < 0   ? SHOWN_ERROR
				  : rc > 0 ? recognise(subject, got)
					   : SHOWN_NOTHING;
		ck_assert_msg(rc >= 0 || error.text[0], "get fails without a text");
		if (rc < 0)
			memcpy(shown->error, error.text, sizeof shown->error);
	}
	struct engine_error error = {""};
	struct scan scan = {subject, shown};
	shown->scan_failed = store->engine->scan(store->handle, scan_visit, &scan, &error) < 0;
	ck_assert_msg(!shown->scan_failed || error.text[0], "scan fails without a text");
	if (shown->scan_failed)
		memcpy(shown->error, error.text, sizeof shown->error);
}

static bool failed(const struct shown *shown)
{
	bool any = shown->scan_failed;
	for (unsigned int k = 0; k < shown->keys; k++)
		any |= shown->under[k] == SHOWN_ERROR;
	return any;
}

/* Whether neither get nor scan failed and both show the same. */
static bool consistent(const struct shown *shown)
{
	return !failed(shown) && !shown->others &&
	       !memcmp(shown->under, shown->scanned, sizeof shown->under);
}

static bool is_write(const struct plan *plan, int32_t shown, uint16_t write)
{
	if (shown == SHOWN_EMPTY)
		return write && !value_length(plan->subject, write);
	return shown == write;
}

/* Whether everything that is shown, errors aside, is as after the step. */
static bool shows_state(const struct shown *shown, const struct plan *plan, size_t steps)
{
	const uint16_t *state = plan->states[steps];
	if (shown->others)
		return false;
	for (unsigned int k = 0; k < shown->keys; k++) {
		if (shown->under[k] != SHOWN_ERROR && !is_write(plan, shown->under[k], state[k]))
			return false;
		/* A scan that failed may not have come to the key. */
		bool missed = shown->scan_failed && shown->scanned[k] == SHOWN_NOTHING;
		if (!missed && !is_write(plan, shown->scanned[k], state[k]))
			return false;
	}
	return true;
}

/* The most of the first `most` steps that it shows, or -1. */
static int newest_state(const struct shown *shown, const struct plan *plan, size_t most)
{
	for (size_t p = most + 1; p > 0; p--)
		if (shows_state(shown, plan, p - 1))
			return (int)p - 1;
	return -1;
}

static bool was_written(const struct plan *plan, unsigned int key, int32_t shown)
{
	if (shown == SHOWN_NOTHING || shown == SHOWN_ERROR)
		return true;
	for (size_t i = 0; i < plan->n; i++)
		for (size_t c = 0; c < plan->steps[i].n; c++)
			if (plan->steps[i].changes[c].key == key &&
			    is_write(plan, shown, plan->steps[i].changes[c].write))
				return true;
	return false;
}

static bool shows_only_written(const struct shown *shown, const struct plan *plan)
{
	for (unsigned int k = 0; k < shown->keys; k++)
		if (!was_written(plan, k, shown->under[k]) ||
		    !was_written(plan, k, shown->scanned[k]))
			return false;
	return !shown->others;
}

/* ---- plans ---- */

static enum step_type choose(struct prng *prng, const unsigned int *mix)
{
	unsigned int total = 0, at = 0;
	for (int i = 0; i < STEP_TYPES; i++)
		total += mix[i];
	uint64_t chosen = prng_below(prng, total);
	while (chosen >= mix[at])
		chosen -= mix[at++];
	return (enum step_type)at;
}

void plan_make(struct plan *plan, const struct subject *subject, uint64_t seed, size_t n,
	       unsigned without)
{
	unsigned int mix[STEP_TYPES] = {50, 15, 10, 6, 8, 11};
	struct prng prng;
	uint16_t writes = 0;
	without |= (subject->engine->batch ? 0 : WITHOUT(BATCH)) |
		   (subject->engine->sync ? 0 : WITHOUT(SYNC)) |
		   (subject->engine->compact ? 0 : WITHOUT(COMPACT));
	for (int i = 0; i < STEP_TYPES; i++)
		if (without & 1u << i)
			mix[i] = 0;
	prng_init(&prng, seed);
	*plan = (struct plan){.subject = subject, .n = n};
	ck_assert(n <= PLAN_STEPS_MAX && keys_of(subject) <= PLAN_KEYS_MAX &&
		  subject->value_bytes <= VALUE_ROOM);
	for (size_t i = 0; i < n; i++) {
		enum step_type type = plan->steps[i].type = choose(&prng, mix);
		size_t changes = type == STEP_BATCH  ? prng_below(&prng, PLAN_CHANGES_MAX + 1)
				 : type < STEP_BATCH ? 1
						     : 0;
		plan->steps[i].n = changes;
		memcpy(plan->states[i + 1], plan->states[i], sizeof plan->states[i]);
		for (size_t c = 0; c < changes; c++) {
			bool del = type == STEP_DELETE ||
				   (type == STEP_BATCH && prng_below(&prng, 4) == 0);
			uint16_t key = (uint16_t)prng_below(&prng, keys_of(subject));
			plan->steps[i].changes[c].key = key;
			plan->steps[i].changes[c].write = del ? 0 : ++writes;
			plan->states[i + 1][key] = plan->steps[i].changes[c].write;
		}
	}
}

static int do_changes(const struct plan *plan, size_t step, struct store *store)
{
	static struct bytes keys[PLAN_CHANGES_MAX], values[PLAN_CHANGES_MAX];
	struct engine_change changes[PLAN_CHANGES_MAX] = {0};
	const struct engine *engine = store->engine;
	for (size_t i = 0; i < plan->steps[step].n; i++) {
		uint16_t write = plan->steps[step].changes[i].write;
		key_make(plan->subject, plan->steps[step].changes[i].key, &keys[i]);
		changes[i].key = view(&keys[i]);
		changes[i].del = !write;
		if (!write)
			continue;
		value_make(plan->subject, write, &values[i]);
		changes[i].value = view(&values[i]);
	}
	if (plan->steps[step].type == STEP_BATCH)
		return engine->batch(store->handle, changes, plan->steps[step].n, &store->error);
	if (plan->steps[step].type == STEP_DELETE)
		return engine->del(store->handle, changes[0].key, &store->error);
	return engine->put(store->handle, changes[0].key, changes[0].value, &store->error);
}

int plan_step(const struct plan *plan, size_t step, struct store *store)
{
	store->error.text[0] = '\0';
	switch (plan->steps[step].type) {
	case STEP_SYNC:
		return store->engine->sync(store->handle, &store->error);
	case STEP_COMPACT:
		return store->engine->compact(store->handle, &store->error);
	case STEP_REOPEN:
		return store_reopen(store);
	default:
		return do_changes(plan, step, store);
	}
}

/* Fails the test unless the open store shows what it must after the step. */
static void compare(const struct plan *plan, struct store *store, size_t steps)
{
	struct shown shown;
	look(store, plan->subject, &shown);
	ck_assert_msg(!failed(&shown), "after %zu steps: %s", steps, shown.error);
	ck_assert_msg(consistent(&shown), "after %zu steps get and scan disagree", steps);
	ck_assert_msg(shows_state(&shown, plan, steps), "after %zu steps, contents", steps);
	ck_assert_msg(!verify(store), "after %zu steps, verify: %s", steps, store->error.text);
}

void plan_compare(const struct plan *plan, struct store *store)
{
	ck_assert_msg(store_open(store), "%s", store->error.text);
	for (size_t i = 0; i < plan->n; i++) {
		int rc = plan_step(plan, i, store);
		ck_assert_msg(rc == 0, "step %zu: %s", i, store->error.text);
		compare(plan, store, i + 1);
	}
	ck_assert_msg(!store_close(store), "%s", store->error.text);
	ck_assert_msg(store_open(store), "%s", store->error.text);
	compare(plan, store, plan->n);
}

int plan_prefix(const struct plan *plan, struct store *store, size_t most)
{
	struct shown shown;
	look(store, plan->subject, &shown);
	return consistent(&shown) ? newest_state(&shown, plan, most) : -1;
}

size_t plan_durable(const struct plan *plan, const struct store *store, size_t ended)
{
	const struct engine_contract *contract = &store->contract;
	size_t spare = contract->ack == ENGINE_ACK_EACH ? 0 : SIZE_MAX;
	if (contract->ack == ENGINE_ACK_EVERY)
		spare = contract->every - 1;
	for (; ended > 0; ended--) {
		enum step_type type = plan->steps[ended - 1].type;
		if (type == STEP_SYNC ||
		    (type == STEP_BATCH && contract->batch == ENGINE_BATCH_DURABLE))
			break;
		if (type <= STEP_BATCH && spare-- == 0)
			break;
	}
	return ended;
}

/* ---- what holds while nothing goes wrong ---- */

static struct plan plan; /* of the running test: too large for a stack */

START_TEST(it_always_holds_what_a_model_holds)
{
	struct store store;
	for (uint64_t round = 0; round < 25; round++) {
		store_init(&store, tested->engine, tested->options[_i]);
		plan_make(&plan, tested, round * 100 + (uint64_t)_i, 160, 0);
		plan_compare(&plan, &store);
		store_finish(&store);
	}
}
END_TEST

static const size_t key_sizes[] = {0, 1, 255, 256, 1000, 1024};
static const size_t value_sizes[] = {0, 1, 255, 4000, 4095, 4096, 4097, 8192, 65535, 65536, 100000};

enum {
	KEY_SIZES = sizeof key_sizes / sizeof *key_sizes,
	VALUE_SIZES = sizeof value_sizes / sizeof *value_sizes,
};

struct sizes {
	char keys[1024], values[100000 + VALUE_SIZES];
	bool kept[KEY_SIZES][VALUE_SIZES];
};

/* A key of the size that no other size of value has (but the empty key, whose
 * value is the last that was kept). */
static struct engine_bytes sized_key(struct sizes *s, size_t k, size_t v)
{
	memset(s->keys, 'k', sizeof s->keys);
	s->keys[0] = (char)('A' + v);
	return (struct engine_bytes){s->keys, key_sizes[k]};
}

static void put_sizes(struct sizes *s, struct store *store)
{
	for (size_t k = 0; k < KEY_SIZES; k++) {
		for (size_t v = 0; v < VALUE_SIZES; v++) {
			struct engine_bytes key = sized_key(s, k, v);
			struct engine_bytes value = {s->values + v, value_sizes[v]};
			store->error.text[0] = '\0';
			s->kept[k][v] =
				!store->engine->put(store->handle, key, value, &store->error);
			ck_assert(s->kept[k][v] || store->error.text[0]);
			if (!key.length && s->kept[k][v] && v)
				memset(s->kept[k], 0, v * sizeof s->kept[k][0]);
		}
	}
}

static void check_sizes(struct sizes *s, struct store *store)
{
	size_t expected = 0;
	for (size_t k = 0; k < KEY_SIZES; k++) {
		for (size_t v = 0; v < VALUE_SIZES; v++) {
			struct engine_bytes key = sized_key(s, k, v), got = {0};
			if (!s->kept[k][v])
				continue;
			expected++;
			int rc = store->engine->get(store->handle, key, &got, &store->error);
			ck_assert_msg(rc == 1, "key of %zu: %s", key.length, store->error.text);
			ck_assert_uint_eq(got.length, value_sizes[v]);
			ck_assert(!got.length || !memcmp(got.data, s->values + v, got.length));
		}
	}
	ck_assert_uint_eq(store_count(store), expected);
	ck_assert_msg(!verify(store), "%s", store->error.text);
}

START_TEST(empty_and_large_keys_and_values_are_kept_or_refused_without_harm)
{
	static struct sizes s;
	struct store store;
	for (size_t i = 0; i < sizeof s.values; i++)
		s.values[i] = (char)(i * 7 + i / 251);
	store_init(&store, tested->engine, tested->options[_i]);
	ck_assert_msg(store_open(&store), "%s", store.error.text);
	for (int round = 0; round < 2; round++) {
		put_sizes(&s, &store);
		check_sizes(&s, &store);
		ck_assert_msg(!store_reopen(&store), "%s", store.error.text);
		check_sizes(&s, &store);
		if (tested->engine->compact)
			ck_assert_msg(!tested->engine->compact(store.handle, &store.error), "%s",
				      store.error.text);
		check_sizes(&s, &store);
		ck_assert_msg(!store_reopen(&store), "%s", store.error.text);
		check_sizes(&s, &store);
	}
	ck_assert_int_eq(store_del(&store, "no such key"), 0);
	ck_assert_int_eq(store_put(&store, "key", ""), 0);
	ck_assert(store_has(&store, "key", ""));
	ck_assert_int_eq(store_del(&store, "key"), 0);
	ck_assert(store_has(&store, "key", NULL));
	check_sizes(&s, &store);
	store_finish(&store);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error_with_its_cause)
{
	struct store store;
	store_init(&store, tested->engine, "");
	ck_assert_int_eq(rmdir(store.dir), 0);
	ck_assert(!store_open(&store));
	ck_assert_msg(strstr(store.error.text, "No such file or directory"), "%s",
		      store.error.text);
	store_finish(&store);
}
END_TEST

/* ---- kills ---- */

/* How a child that was not killed ended. */
enum {
	END_WELL,
	END_NO_FAULTS = 2,
	END_NO_OPEN,
	END_NO_CLOSE,
	END_NO_STEP,
	END_NO_LITTER, /* litter() itself */
	END_TAKES_WRITES,
};

/* What a child tells of itself until it dies. */
struct progress {
	volatile size_t ended; /* steps */
	char error[256];
};

static struct progress *progress; /* shared with children */

static int give_up(int code, const struct store *store)
{
	memcpy(progress->error, store->error.text, sizeof progress->error);
	return code;
}

/* Does the plan from the first opening on; how it ended. */
static int run(const struct plan *p, struct store *store, void (*litter)(const char *dir))
{
	if (!store_open(store))
		return give_up(END_NO_OPEN, store);
	for (size_t i = 0; i < p->n; i++) {
		if (p->steps[i].type != STEP_REOPEN) {
			if (plan_step(p, i, store) < 0)
				return give_up(END_NO_STEP, store);
		} else {
			if (store_close(store) < 0)
				return give_up(END_NO_CLOSE, store);
			if (litter)
				litter(store->dir);
			if (!store_open(store))
				return give_up(END_NO_OPEN, store);
		}
		progress->ended++;
	}
	return END_WELL;
}

/* Whether the child was killed by itself; other ends than that and a good one
 * fail the test. */
static bool was_killed(pid_t pid, const char *point, uint64_t n)
{
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		ck_assert_msg(WTERMSIG(status) == SIGKILL,
			      "died of signal %d before %s, passage %d", WTERMSIG(status), point,
			      (int)n);
		return true;
	}
	ck_assert_msg(WEXITSTATUS(status) == END_WELL, "ended with %d before %s, passage %d: %s",
		      WEXITSTATUS(status), point, (int)n, progress->error);
	return false;
}

bool plan_kill(const struct plan *p, struct store *store, const char *point, uint64_t n,
	       void (*litter)(const char *dir), size_t *ended)
{
	progress->ended = 0;
	wipe(store->dir);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(faults_init(1, NULL) || faults_kill_at(point, n, NULL)
			      ? END_NO_FAULTS
			      : run(p, store, litter));
	bool killed = was_killed(pid, point, n);
	*ended = progress->ended;
	return killed;
}

/* Kills an opening of the store at the n-th passage of a point; whether it was
 * passed as often. */
static bool kill_opening(struct store *store, const char *point, uint64_t n)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (faults_init(1, NULL) || faults_kill_at(point, n, NULL))
			_exit(END_NO_FAULTS);
		_exit(store_open(store) ? END_WELL : give_up(END_NO_OPEN, store));
	}
	return was_killed(pid, point, n);
}

/* Whether what is shown may be there after a death in step `ended`. */
static bool keeps_contract(const struct shown *shown, const struct plan *p,
			   const struct store *store, size_t ended)
{
	size_t least = plan_durable(p, store, ended), most = ended < p->n ? ended + 1 : ended;
	bool in_parts = most > ended && p->steps[ended].type == STEP_BATCH &&
			store->contract.batch == ENGINE_BATCH_NONE;
	if (store->contract.prefix && !in_parts)
		return newest_state(shown, p, most) >= (int)least;
	/* Without a promise of prefixes, each key stands for itself. */
	for (unsigned int k = 0; k < shown->keys; k++) {
		bool found = false;
		for (size_t s = least; s <= most; s++)
			found |= is_write(p, shown->under[k], p->states[s][k]);
		for (size_t c = 0; in_parts && c < p->steps[ended].n; c++)
			found |= p->steps[ended].changes[c].key == k &&
				 is_write(p, shown->under[k], p->steps[ended].changes[c].write);
		if (!found)
			return false;
	}
	return true;
}

static void check_killed(struct store *store, const struct plan *p, size_t ended, const char *what)
{
	struct shown shown, again;
	ck_assert_msg(store_open(store), "%s: %s", what, store->error.text);
	look(store, p->subject, &shown);
	ck_assert_msg(!failed(&shown), "%s: %s", what, shown.error);
	ck_assert_msg(consistent(&shown), "%s: get and scan disagree", what);
	ck_assert_msg(keeps_contract(&shown, p, store, ended),
		      "%s: of %zu steps, of which %zu are durable, %d are there", what, ended,
		      plan_durable(p, store, ended), newest_state(&shown, p, p->n));
	ck_assert_msg(!verify(store), "%s: verify: %s", what, store->error.text);
	ck_assert_msg(!store_reopen(store), "%s: %s", what, store->error.text);
	look(store, p->subject, &again);
	ck_assert_msg(!memcmp(&shown, &again, sizeof shown), "%s: what was shown is gone", what);
	ck_assert_msg(!store_put(store, "key1", "after") && !store_reopen(store) &&
			      store_has(store, "key1", "after") && !store_close(store),
		      "%s: %s", what, store->error.text);
}

enum { POINTS_MAX = 200 };

/* The fault points and which of them were passed, or could have been, in any of
 * the runs. */
struct coverage {
	bool reachable[POINTS_MAX], reached[POINTS_MAX];
	size_t next; /* the point that the next opening is to be killed at */
};

static struct coverage *coverage; /* shared with the processes of the tests */

static const struct engine_fault_point *points(void)
{
	static const struct engine_fault_point none[] = {{NULL}};
	return tested->engine->fault_points ? tested->engine->fault_points : none;
}

static unsigned int needs_met(const struct plan *p)
{
	static const unsigned int needs[STEP_TYPES] = {ENGINE_NEEDS_PUT,     ENGINE_NEEDS_DELETE,
						       ENGINE_NEEDS_BATCH,   ENGINE_NEEDS_SYNC,
						       ENGINE_NEEDS_COMPACT, ENGINE_NEEDS_REOPEN};
	unsigned int met = ENGINE_NEEDS_CRASH;
	for (size_t i = 0; i < p->n; i++)
		met |= needs[p->steps[i].type];
	return met;
}

/* Whether the point's row says that it belongs to the other variant. */
static bool of_other_variant(const struct store *store, const struct engine_fault_point *point)
{
	char when[64];
	const char *at = point->when ? strstr(point->when, "variant=") : NULL;
	if (!at)
		return false;
	snprintf(when, sizeof when, "%.*s", (int)strcspn(at, ","), at);
	return !config_reaches(&store->config, &(struct engine_fault_point){.when = when}, 0);
}

static void reached(const struct store *store, size_t point)
{
	coverage->reached[point] = true;
	ck_assert_msg(!of_other_variant(store, &points()[point]),
		      "%s is passed in a variant that its row excludes", points()[point].name);
}

/* Crashes the recovery from a crash, at one of those points that only this
 * passes, each in its turn. */
static void kill_recovery(struct store *store)
{
	size_t candidates = 0;
	for (size_t i = 0; points()[i].name; i++)
		candidates += (points()[i].needs & ENGINE_NEEDS_CRASH) != 0;
	size_t chosen = candidates ? coverage->next++ % candidates : 0;
	for (size_t i = 0; points()[i].name; i++)
		if (points()[i].needs & ENGINE_NEEDS_CRASH && chosen-- == 0 &&
		    kill_opening(store, points()[i].name, 1))
			reached(store, i);
}

/* The same at the first, then the second, ... passage of any point, until an
 * opening comes through. */
static void kill_recoveries(struct store *store)
{
	char any[64];
	snprintf(any, sizeof any, "%s/*", tested->engine->name);
	for (uint64_t n = 1; kill_opening(store, any, n); n++)
		;
}

/* Kills at every passage of every point; of the more frequent ones, at fewer and
 * fewer. */
static void kill_everywhere(const struct subject_kill *kill, uint64_t seed)
{
	struct store store;
	size_t ended;
	store_init(&store, tested->engine, kill->options);
	plan_make(&plan, tested, seed, 100, kill->without);
	for (size_t i = 0; points()[i].name; i++) {
		const char *point = points()[i].name;
		bool crashed = points()[i].needs & ENGINE_NEEDS_CRASH || strstr(point, "/recover/");
		coverage->reachable[i] |=
			config_reaches(&store.config, &points()[i], needs_met(&plan));
		uint64_t kills = 0;
		for (uint64_t n = 1;
		     plan_kill(&plan, &store, point, n, crashed ? kill->litter : NULL, &ended);
		     n += 1 + n / 4) {
			reached(&store, i);
			if (++kills % 16 == 2)
				kill_recoveries(&store);
			else if (kills % 4 == 0)
				kill_recovery(&store);
			char what[250];
			snprintf(what, sizeof what, "%.120s, %.100s, passage %d", kill->options,
				 point, (int)n);
			check_killed(&store, &plan, ended, what);
		}
	}
	store_finish(&store);
}

START_TEST(it_keeps_its_contract_when_killed_at_any_fault_point)
{
	kill_everywhere(&tested->kills[_i], (uint64_t)_i);
}
END_TEST

/* Runs behind all of the above. */
START_TEST(every_fault_point_that_could_be_reached_was_passed)
{
	for (size_t i = 0; points()[i].name; i++)
		ck_assert_msg(coverage->reached[i] || !coverage->reachable[i], "%s is never passed",
			      points()[i].name);
}
END_TEST

/* ---- a disk that is full ---- */

/* Whether a call failed, and said why. */
static bool refused(int rc, struct engine_error *error)
{
	bool told = rc < 0 && error->text[0];
	error->text[0] = '\0';
	return told;
}

static bool refuses_writes(struct store *store)
{
	const struct engine *e = store->engine;
	const struct engine_change change = {.key = {"key2", 4}, .value = {"x", 1}};
	struct engine_error *error = &store->error;
	error->text[0] = '\0';
	return refused(store_put(store, "key1", ""), error) &&
	       refused(store_del(store, "key1"), error) &&
	       (!e->sync || refused(e->sync(store->handle, error), error)) &&
	       (!e->compact || refused(e->compact(store->handle, error), error)) &&
	       (!e->batch || refused(e->batch(store->handle, &change, 1, error), error));
}

/* Does the plan with files of at most so many bytes; END_NO_STEP where that was
 * too few and the store then refused all writes. */
static int fill_disk(const struct plan *p, struct store *store, rlim_t bytes)
{
	struct rlimit limit = {bytes, bytes};
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return END_NO_FAULTS;
	int end = run(p, store, NULL);
	return end == END_NO_STEP && !refuses_writes(store) ? END_TAKES_WRITES : end;
}

/* Whether the disk was too small for a step. */
static bool fill_and_check(const struct subject_kill *kill, rlim_t bytes)
{
	struct store store;
	struct shown shown;
	int status;
	store_init(&store, tested->engine, kill->options);
	progress->ended = 0;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(fill_disk(&plan, &store, bytes));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "signal %d with %d bytes", WTERMSIG(status), (int)bytes);
	int end = WEXITSTATUS(status);
	ck_assert_msg(end != END_NO_FAULTS && end != END_TAKES_WRITES,
		      "%s, %d bytes: takes writes after step %zu failed: %s", kill->options,
		      (int)bytes, progress->ended, progress->error);
	ck_assert_msg(end == END_WELL || progress->error[0], "fails without a text");
	ck_assert_msg(store_open(&store), "%s", store.error.text);
	look(&store, tested, &shown);
	ck_assert_msg(consistent(&shown), "%s", shown.error);
	ck_assert_msg(keeps_contract(&shown, &plan, &store, progress->ended),
		      "%s, %d bytes: of %zu steps %d are there", kill->options, (int)bytes,
		      progress->ended, newest_state(&shown, &plan, plan.n));
	ck_assert_msg(!verify(&store), "%s", store.error.text);
	store_finish(&store);
	return end == END_NO_STEP;
}

START_TEST(after_a_failed_write_no_more_are_taken_and_nothing_acknowledged_is_lost)
{
	const struct subject_kill *kill = &tested->kills[_i];
	size_t failures = 0;
	plan_make(&plan, tested, (uint64_t)_i, 100, kill->without);
	for (rlim_t bytes = 0; bytes < 100000; bytes += 50 + bytes / 4)
		failures += fill_and_check(kill, bytes);
	ck_assert_uint_gt(failures, 0);
}
END_TEST

/* ---- damage ---- */

/* Opens a damaged store and checks that it does what the subject says.  what
 * tells the damage. */
static void check_damaged(struct store *store, const struct subject_damage *damage,
			  const char *what)
{
	struct shown shown, again;
	if (!store_open(store)) {
		ck_assert_msg(store->error.text[0], "%s: refused without a text", what);
		return;
	}
	look(store, tested, &shown);
	int p = newest_state(&shown, &plan, plan.n);
	bool approved = !verify(store);
	ck_assert_msg(approved || store->error.text[0], "%s: verify fails without a text", what);
	ck_assert_msg(!approved || consistent(&shown),
		      "%s: verify approves of what is not whole: %s", what, shown.error);
	ck_assert_msg(damage->lazy || approved, "%s: %s", what, store->error.text);
	ck_assert_msg(damage->contents != DAMAGED_PREFIX || p >= 0, "%s: no prefix", what);
	ck_assert_msg(damage->contents != DAMAGED_WRITTEN || shows_only_written(&shown, &plan),
		      "%s: what was never written", what);
	if (store_reopen(store)) {
		ck_assert_msg(damage->lazy && store->error.text[0], "%s: reopening: %s", what,
			      store->error.text);
		goto done;
	}
	look(store, tested, &again);
	if (consistent(&shown) && (p >= 0 || damage->contents != DAMAGED_ANYTHING))
		ck_assert_msg(!memcmp(&shown, &again, sizeof shown), "%s: contents change", what);
	store->error.text[0] = '\0';
	if (store_put(store, "key1", "after") || store_reopen(store) ||
	    (!store_has(store, "key1", "after") && damage->contents != DAMAGED_ANYTHING) ||
	    store_has(store, "key1", NULL) || store_close(store))
		ck_assert_msg(damage->lazy && store->error.text[0], "%s: a write after it: %s",
			      what, store->error.text);
done:
	store_close(store);
}

/* A small store, closed, and its files; without batches and compactions where
 * plain. */
static void make_small(struct store *store, struct snapshot *snapshot,
		       const struct subject_damage *damage, bool plain)
{
	store_init(store, tested->engine, damage->options);
	plan_make(&plan, tested, 4, damage->steps ? damage->steps : 30,
		  damage->without | (plain ? WITHOUT(BATCH) | WITHOUT(COMPACT) : 0));
	plan_compare(&plan, store);
	ck_assert_int_eq(store_close(store), 0);
	snapshot_take(snapshot, store->dir);
	ck_assert_uint_ge(snapshot->n, 1);
}

/* Bytes from one damage to the next, so that there are at most a few thousand. */
static size_t stride(const struct snapshot *snapshot)
{
	size_t total = 0;
	for (size_t f = 0; f < snapshot->n; f++)
		total += snapshot->files[f].size;
	return total / 6000 + 1;
}

/* Calls damage_at for offsets of each file: all of them, or about one in each
 * stride, the first and last hundred always. */
static void
sweep(struct store *store, struct snapshot *snapshot, const struct subject_damage *damage,
      void (*damage_at)(struct snapshot *snapshot, size_t file, size_t at, const char *dir))
{
	size_t step = stride(snapshot);
	struct prng prng;
	char what[200];
	prng_init(&prng, 6);
	for (size_t f = 0; f < snapshot->n; f++) {
		size_t size = snapshot->files[f].size, at = 0;
		while (at < size) {
			damage_at(snapshot, f, at, store->dir);
			snprintf(what, sizeof what, "%s, byte %zu of %s", damage->options, at,
				 snapshot->files[f].name);
			check_damaged(store, damage, what);
			bool edge = at < 100 || at + step + 100 > size;
			at += edge ? 1 : 1 + prng_below(&prng, 2 * step - 1);
		}
	}
}

static void cut_at(struct snapshot *snapshot, size_t file, size_t at, const char *dir)
{
	size_t size = snapshot->files[file].size;
	snapshot->files[file].size = at;
	snapshot_restore(snapshot, dir);
	snapshot->files[file].size = size;
}

static void alter_at(struct snapshot *snapshot, size_t file, size_t at, const char *dir)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	uint8_t flip = flips[at % sizeof flips];
	snapshot->files[file].data[at] ^= flip;
	snapshot_restore(snapshot, dir);
	snapshot->files[file].data[at] ^= flip;
}

/* Each kind of damage is done to each row of the table, twice. */
static void damage_everywhere(int i, void (*damage_at)(struct snapshot *snapshot, size_t file,
						       size_t at, const char *dir))
{
	struct store store;
	struct snapshot snapshot;
	make_small(&store, &snapshot, &tested->damages[i / 2], i % 2 == 0);
	sweep(&store, &snapshot, &tested->damages[i / 2], damage_at);
	snapshot_finish(&snapshot);
	store_finish(&store);
}

START_TEST(files_may_be_cut_at_any_byte)
{
	damage_everywhere(_i, cut_at);
}
END_TEST

START_TEST(any_byte_may_be_altered)
{
	damage_everywhere(_i, alter_at);
}
END_TEST

START_TEST(files_may_be_missing_or_replaced_by_others)
{
	const struct subject_damage *damage = &tested->damages[_i / 2];
	struct store store;
	struct snapshot snapshot;
	char what[200];
	make_small(&store, &snapshot, damage, _i % 2 == 0);
	for (size_t f = 0; f < snapshot.n; f++) {
		for (size_t g = 0; g < snapshot.n; g++) {
			snapshot_restore(&snapshot, store.dir);
			files_write(store.dir, snapshot.files[f].name, snapshot.files[g].data,
				    snapshot.files[g].size);
			snprintf(what, sizeof what, "%s, %s replaced by %s", damage->options,
				 snapshot.files[f].name, snapshot.files[g].name);
			check_damaged(&store, damage, what);
		}
		snapshot_restore(&snapshot, store.dir);
		files_remove(store.dir, snapshot.files[f].name);
		snprintf(what, sizeof what, "%s, %s missing", damage->options,
			 snapshot.files[f].name);
		check_damaged(&store, damage, what);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Zeros (10 rounds), noise, or noise beside whole files, under every name that counts. */
START_TEST(files_may_be_zeros_or_noise)
{
	const struct subject_damage *damage = &tested->damages[_i];
	struct store store;
	struct snapshot snapshot;
	struct prng prng;
	uint8_t noise[9000] = {0};
	char what[100];
	size_t names = 0;
	while (tested->names[names])
		names++;
	make_small(&store, &snapshot, damage, true);
	prng_init(&prng, 5);
	for (int round = 0; round < 300; round++) {
		snapshot_restore(&snapshot, store.dir);
		if (round % 3 == 0)
			wipe(store.dir);
		for (size_t i = 0; round >= 10 && i < sizeof noise; i++)
			noise[i] = (uint8_t)prng_below(&prng, round % 2 ? 256 : 3);
		for (uint64_t files = 1 + prng_below(&prng, 3); files > 0; files--)
			files_write(store.dir, tested->names[prng_below(&prng, names)], noise,
				    prng_below(&prng, round % 4 ? 2000 : sizeof noise));
		snprintf(what, sizeof what, "%.60s, noise %d", damage->options, round);
		check_damaged(&store, damage, what);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* ---- the source ---- */

/* Checks the names in one source; notes them in passed. */
static void check_source(const char *text, unsigned int *passed)
{
	static const char marker[] = "FAULT_POINT(";
	while ((text = strstr(text, marker))) {
		char name[100] = "";
		text += sizeof marker - 1;
		text += strspn(text, " \t\n");
		if (*text != '"')
			continue; /* not a use, but a mention */
		size_t n = strcspn(++text, "\""), rows = 0;
		ck_assert_uint_lt(n, sizeof name);
		memcpy(name, text, n);
		for (size_t i = 0; points()[i].name; i++) {
			bool same = !strcmp(points()[i].name, name);
			rows += same;
			passed[i] += same;
		}
		ck_assert_msg(rows == 1, "%s is not listed once", name);
	}
}

START_TEST(the_fault_points_listed_are_those_in_the_source)
{
	unsigned int passed[POINTS_MAX] = {0};
	struct snapshot sources;
	snapshot_take(&sources, tested->sources);
	for (size_t i = 0; i < sources.n; i++)
		check_source((char *)sources.files[i].data, passed);
	for (size_t i = 0; points()[i].name; i++)
		ck_assert_msg(passed[i] > 0, "%s is listed, and not in the source",
			      points()[i].name);
	snapshot_finish(&sources);
}
END_TEST

/* ---- running ---- */

static void add_tests(TCase *cases)
{
	int options = 0, kills = 0, damages = 0;
	while (tested->options[options])
		options++;
	while (tested->kills[kills].options)
		kills++;
	while (tested->damages[damages].options)
		damages++;
	tcase_set_timeout(cases, 300);
	tcase_add_loop_test(cases, it_always_holds_what_a_model_holds, 0, options);
	tcase_add_loop_test(cases, empty_and_large_keys_and_values_are_kept_or_refused_without_harm,
			    0, options);
	tcase_add_test(cases, a_directory_that_is_not_there_is_an_error_with_its_cause);
	tcase_add_loop_test(cases, it_keeps_its_contract_when_killed_at_any_fault_point, 0, kills);
	tcase_add_test(cases, every_fault_point_that_could_be_reached_was_passed);
	tcase_add_loop_test(cases,
			    after_a_failed_write_no_more_are_taken_and_nothing_acknowledged_is_lost,
			    0, kills);
	tcase_add_loop_test(cases, files_may_be_cut_at_any_byte, 0, 2 * damages);
	tcase_add_loop_test(cases, any_byte_may_be_altered, 0, 2 * damages);
	tcase_add_loop_test(cases, files_may_be_missing_or_replaced_by_others, 0, 2 * damages);
	tcase_add_loop_test(cases, files_may_be_zeros_or_noise, 0, damages);
	tcase_add_test(cases, the_fault_points_listed_are_those_in_the_source);
}

int subject_run(const struct subject *subject, void (*own)(TCase *cases))
{
	tested = subject;
	progress = mem_map_shared(sizeof *progress);
	coverage = mem_map_shared(sizeof *coverage);
	if (!progress || !coverage) {
		perror("no shared memory");
		return EXIT_FAILURE;
	}
	TCase *cases = tcase_create(subject->engine->name);
	add_tests(cases);
	if (own)
		own(cases);
	Suite *suite = suite_create(subject->engine->name);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	mem_unmap(progress, sizeof *progress);
	mem_unmap(coverage, sizeof *coverage);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
