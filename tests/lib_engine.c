#include "lib_engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "mem.h"
#include "prng.h"
#include "target.h"

/* What is under test; like all that is shared with the processes of the tests,
 * set before Check forks. */
static const struct subject *tested;

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
	ck_assert_msg(!store_verify(store), "%s", store->error.text);
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
	files_wipe(store->dir);
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
		return shown_prefix(shown, p, most) >= (int)least;
	/* Without a promise of prefixes, each key stands for itself. */
	for (unsigned int k = 0; k < shown->keys; k++) {
		bool found = false;
		for (size_t s = least; s <= most; s++)
			found |= shown_is(p, shown->under[k], p->states[s][k]);
		for (size_t c = 0; in_parts && c < p->steps[ended].n; c++)
			found |= p->steps[ended].changes[c].key == k &&
				 shown_is(p, shown->under[k], p->steps[ended].changes[c].write);
		if (!found)
			return false;
	}
	return true;
}

static void check_killed(struct store *store, const struct plan *p, size_t ended, const char *what)
{
	struct shown shown, again;
	ck_assert_msg(store_open(store), "%s: %s", what, store->error.text);
	shown_look(store, p->subject, &shown);
	ck_assert_msg(!shown_failed(&shown), "%s: %s", what, shown.error);
	ck_assert_msg(shown_consistent(&shown), "%s: get and scan disagree", what);
	ck_assert_msg(keeps_contract(&shown, p, store, ended),
		      "%s: of %zu steps, of which %zu are durable, %d are there", what, ended,
		      plan_durable(p, store, ended), shown_prefix(&shown, p, p->n));
	ck_assert_msg(!store_verify(store), "%s: verify: %s", what, store->error.text);
	ck_assert_msg(!store_reopen(store), "%s: %s", what, store->error.text);
	shown_look(store, p->subject, &again);
	ck_assert_msg(shown_same(&shown, &again), "%s: what was shown is gone", what);
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
	snprintf(when, sizeof when, "%.*s", (int)strcspn(at, ",;"), at);
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
	shown_look(&store, tested, &shown);
	ck_assert_msg(shown_consistent(&shown), "%s", shown.error);
	ck_assert_msg(keeps_contract(&shown, &plan, &store, progress->ended),
		      "%s, %d bytes: of %zu steps %d are there", kill->options, (int)bytes,
		      progress->ended, shown_prefix(&shown, &plan, plan.n));
	ck_assert_msg(!store_verify(&store), "%s", store.error.text);
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

/* Whether a put works, and something is there afterwards; the value that was
 * put, unless the store may contain anything. */
static bool takes_write(struct store *store, const struct subject_damage *damage)
{
	const struct engine_bytes key = {"key1", 4};
	struct engine_bytes got = {0};
	if (store_put(store, "key1", "after") || store_reopen(store) ||
	    store->engine->get(store->handle, key, &got, &store->error) != 1)
		return false;
	bool same = got.length == 5 && !memcmp(got.data, "after", 5);
	return (same || damage->contents == DAMAGED_ANYTHING) && !store_close(store);
}

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
	shown_look(store, tested, &shown);
	int p = shown_prefix(&shown, &plan, plan.n);
	bool approved = !store_verify(store);
	ck_assert_msg(approved || store->error.text[0], "%s: verify fails without a text", what);
	ck_assert_msg(!approved || shown_consistent(&shown),
		      "%s: verify approves of what is not whole: %s", what, shown.error);
	ck_assert_msg(damage->lazy || approved, "%s: %s", what, store->error.text);
	ck_assert_msg(damage->contents != DAMAGED_PREFIX || p >= 0, "%s: no prefix", what);
	ck_assert_msg(damage->contents != DAMAGED_WRITTEN || shown_written(&shown, &plan),
		      "%s: what was never written", what);
	if (store_reopen(store)) {
		ck_assert_msg(damage->lazy && store->error.text[0], "%s: reopening: %s", what,
			      store->error.text);
		goto done;
	}
	shown_look(store, tested, &again);
	if (shown_consistent(&shown) && (p >= 0 || damage->contents != DAMAGED_ANYTHING))
		ck_assert_msg(shown_same(&shown, &again), "%s: contents change", what);
	store->error.text[0] = '\0';
	if (!takes_write(store, damage))
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
			files_wipe(store.dir);
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
