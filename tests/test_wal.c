/* The wal engine against a model in memory: while it runs, after it was closed,
 * after it was killed at each of its fault points, and on damaged files.  What a
 * power failure leaves is the harness's own matter. */
#include <check.h>
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

#include "buf.h"
#include "builtin.h"
#include "fault.h"
#include "faults.h"
#include "io.h"
#include "mem.h"
#include "prng.h"

/* Plans: what is to be done, and what must be there after each step. */

enum { KEYS = 9, OPS_MAX = 160, CHANGES_MAX = 24, VALUE_MAX = 700 };

enum op_type { PUT, DELETE, BATCH, SYNC, COMPACT, REOPEN, OP_TYPES };

struct op {
	enum op_type type;
	size_t n;
	struct {
		uint16_t key, write; /* write 0: delete */
	} changes[CHANGES_MAX];
};

struct plan {
	struct op ops[OPS_MAX];
	size_t n;
	uint16_t states[OPS_MAX + 1][KEYS]; /* before each op: the write under each key */
};

static const unsigned int mix_all[OP_TYPES] = {50, 15, 10, 6, 8, 11};
static const unsigned int mix_plain[OP_TYPES] = {60, 20, 0, 8, 0, 12};

static enum op_type choose(struct prng *prng, const unsigned int *mix)
{
	unsigned int total = 0, at = 0;
	for (int i = 0; i < OP_TYPES; i++)
		total += mix[i];
	uint64_t chosen = prng_below(prng, total);
	while (chosen >= mix[at])
		chosen -= mix[at++];
	return (enum op_type)at;
}

static void plan_make(struct plan *plan, uint64_t seed, size_t n, const unsigned int *mix)
{
	struct prng prng;
	uint16_t writes = 0;
	prng_init(&prng, seed);
	*plan = (struct plan){.n = n};
	for (size_t i = 0; i < n; i++) {
		struct op *op = &plan->ops[i];
		op->type = choose(&prng, mix);
		op->n = op->type <= DELETE ? 1 : 0;
		if (op->type == BATCH)
			op->n = prng_below(&prng, CHANGES_MAX + 1);
		memcpy(plan->states[i + 1], plan->states[i], sizeof plan->states[i]);
		for (size_t k = 0; k < op->n; k++) {
			bool del = op->type == DELETE ||
				   (op->type == BATCH && prng_below(&prng, 4) == 0);
			op->changes[k].key = (uint16_t)prng_below(&prng, KEYS);
			op->changes[k].write = del ? 0 : ++writes;
			plan->states[i + 1][op->changes[k].key] = op->changes[k].write;
		}
	}
}

struct bytes {
	size_t length;
	char data[VALUE_MAX];
};

/* Key 0 is the empty key. */
static void key_make(unsigned int key, struct bytes *out)
{
	out->length = key ? (size_t)snprintf(out->data, sizeof out->data, "key%u", key) : 0;
}

/* Now and then an empty value, and one of more than a small segment. */
static void value_make(unsigned int write, struct bytes *out)
{
	*out = (struct bytes){.length = write % 17 == 0	  ? VALUE_MAX
					: write % 11 == 0 ? 0
							  : 8 + write * 37 % 90};
	for (size_t i = 0; i < out->length; i++)
		out->data[i] = (char)('a' + (write + i / 8) % 26);
	if (out->length)
		snprintf(out->data, 8, "w%u:", write);
}

static struct engine_bytes view(const struct bytes *bytes)
{
	return (struct engine_bytes){bytes->data, bytes->length};
}

/* Stores. */

enum { OPTIONS_MAX = 16 };

struct store {
	char dir[100];
	void *handle;
	const char *values[OPTIONS_MAX];
	struct engine_config config;
	struct engine_contract contract;
	struct engine_error error;
	char text[200]; /* the options as given, which values points into */
};

/* Options as "name=value,name=value"; the others have their fallback. */
static void store_options(struct store *store, const char *options)
{
	snprintf(store->text, sizeof store->text, "%s", options);
	store->config = (struct engine_config){wal_engine.options, store->values};
	for (size_t i = 0; wal_engine.options[i].name; i++)
		store->values[i] = wal_engine.options[i].fallback;
	for (char *word = strtok(store->text, ","); word; word = strtok(NULL, ",")) {
		char *value = strchr(word, '=');
		*value++ = '\0';
		size_t i = 0;
		while (strcmp(wal_engine.options[i].name, word))
			i++;
		store->values[i] = value;
	}
	wal_engine.contract(&store->config, &store->contract);
}

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

/* A new directory, in memory where that can be: tests sync a lot. */
static void store_init(struct store *store, const char *options)
{
	*store = (struct store){0};
	const char *parent = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(store->dir, sizeof store->dir, "%s/test_wal.XXXXXX", parent);
	ck_assert_ptr_nonnull(mkdtemp(store->dir));
	store_options(store, options);
}

static bool store_open(struct store *store)
{
	store->error.text[0] = '\0';
	store->handle = wal_engine.open(store->dir, &store->config, &store->error);
	return store->handle != NULL;
}

static int store_close(struct store *store)
{
	void *handle = store->handle;
	store->handle = NULL;
	return handle ? wal_engine.close(handle, &store->error) : 0;
}

static void store_finish(struct store *store)
{
	store_close(store);
	wipe(store->dir);
	rmdir(store->dir);
}

static int put(struct store *store, struct engine_bytes key, struct engine_bytes value)
{
	return wal_engine.put(store->handle, key, value, &store->error);
}

static int put_text(struct store *store, const char *key, const char *value)
{
	return put(store, (struct engine_bytes){key, strlen(key)},
		   (struct engine_bytes){value, strlen(value)});
}

static int do_changes(struct store *store, const struct op *op)
{
	static struct bytes keys[CHANGES_MAX], values[CHANGES_MAX];
	struct engine_change changes[CHANGES_MAX] = {0};
	for (size_t i = 0; i < op->n; i++) {
		key_make(op->changes[i].key, &keys[i]);
		changes[i].key = view(&keys[i]);
		changes[i].del = !op->changes[i].write;
		if (changes[i].del)
			continue;
		value_make(op->changes[i].write, &values[i]);
		changes[i].value = view(&values[i]);
	}
	if (op->type == BATCH)
		return wal_engine.batch(store->handle, changes, op->n, &store->error);
	if (op->type == DELETE)
		return wal_engine.del(store->handle, changes[0].key, &store->error);
	return put(store, changes[0].key, changes[0].value);
}

static int do_op(struct store *store, const struct op *op)
{
	switch (op->type) {
	case SYNC:
		return wal_engine.sync(store->handle, &store->error);
	case COMPACT:
		return wal_engine.compact(store->handle, &store->error);
	case REOPEN:
		return store_close(store) < 0 || !store_open(store) ? -1 : 0;
	default:
		return do_changes(store, op);
	}
}

static int count_visit(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	(void)key, (void)value;
	++*(size_t *)arg;
	return 0;
}

/* Whether the open store holds just what state says, by get and by scan. */
static bool holds(struct store *store, const uint16_t *state)
{
	size_t expected = 0, found = 0;
	for (unsigned int key = 0; key < KEYS; key++) {
		struct bytes k, v = {0};
		struct engine_bytes got = {0};
		key_make(key, &k);
		value_make(state[key], &v);
		int rc = wal_engine.get(store->handle, view(&k), &got, &store->error);
		if (rc != (state[key] != 0))
			return false;
		if (rc && (got.length != v.length || memcmp(got.data, v.data, v.length)))
			return false;
		expected += (size_t)rc;
	}
	return !wal_engine.scan(store->handle, count_visit, &found, &store->error) &&
	       found == expected;
}

/* The most of the first `most` ops whose contents the store has, or -1. */
static int prefix(struct store *store, const struct plan *plan, size_t most)
{
	for (size_t p = most + 1; p > 0; p--)
		if (holds(store, plan->states[p - 1]))
			return (int)p - 1;
	return -1;
}

/* How many of the first `ended` ops the contract says are durable. */
static size_t durable(const struct store *store, const struct plan *plan, size_t ended)
{
	size_t spare = store->contract.ack == ENGINE_ACK_EACH ? 0 : SIZE_MAX;
	if (store->contract.ack == ENGINE_ACK_EVERY)
		spare = store->contract.every - 1;
	while (ended > 0) {
		enum op_type type = plan->ops[ended - 1].type;
		if (type == SYNC || type == BATCH)
			break;
		if (type <= DELETE && spare-- == 0)
			break;
		ended--;
	}
	return ended;
}

static void run_and_compare(struct store *store, const struct plan *plan)
{
	ck_assert_msg(store_open(store), "%s", store->error.text);
	for (size_t i = 0; i < plan->n; i++) {
		int rc = do_op(store, &plan->ops[i]);
		ck_assert_msg(rc == 0, "op %zu: %s", i, store->error.text);
		ck_assert_msg(holds(store, plan->states[i + 1]), "after op %zu", i);
		rc = wal_engine.verify(store->handle, &store->error);
		ck_assert_msg(rc == 0, "op %zu: %s", i, store->error.text);
	}
	ck_assert_int_eq(store_close(store), 0);
	ck_assert_msg(store_open(store), "%s", store->error.text);
	ck_assert(holds(store, plan->states[plan->n]));
}

static const char *const modes[] = {"sync=sync", "sync=batch,batch=3", "sync=none"};
static const char *const rests[] = {
	"call=fsync,segment_bytes=600",
	"call=fdatasync,segment_bytes=256,recycle=1",
	"call=fsync,recycle=1,segment_bytes=1000,buffer_bytes=1",
	"buffer_bytes=200,segment_bytes=400",
};

static void compare_variant(const char *variant)
{
	static struct plan plan;
	struct store store;
	char options[150];
	for (uint64_t seed = 0; seed < 25 * 12; seed++) {
		snprintf(options, sizeof options, "variant=%s,%s,%s", variant, modes[seed % 3],
			 rests[seed / 3 % 4]);
		store_init(&store, options);
		plan_make(&plan, seed, OPS_MAX, mix_all);
		run_and_compare(&store, &plan);
		store_finish(&store);
	}
}

START_TEST(hardened_always_holds_what_a_model_holds)
{
	compare_variant("hardened");
}
END_TEST

START_TEST(textbook_always_holds_what_a_model_holds)
{
	compare_variant("textbook");
}
END_TEST

START_TEST(the_longest_keys_and_values_are_kept_and_longer_ones_refused)
{
	struct store store;
	struct engine_bytes got;
	size_t key_max = 65535, value_max = 64 << 20;
	char *bytes = mem_alloc(value_max + 1, 1);
	memset(bytes, 'x', value_max);
	store_init(&store, "sync=batch");
	ck_assert(store_open(&store));
	struct engine_bytes key = {bytes, key_max}, value = {bytes, value_max};
	ck_assert_int_eq(put(&store, key, value), 0);
	key.length++;
	ck_assert_int_eq(put(&store, key, value), -1);
	ck_assert_str_eq(store.error.text, "a key has at most 65535 bytes, not 65536");
	key.length--, value.length++;
	ck_assert_int_eq(put(&store, key, value), -1);
	ck_assert_int_eq(put_text(&store, "a", "b"), 0); /* refusals are no failures */
	ck_assert_int_eq(do_op(&store, &(struct op){.type = REOPEN}), 0);
	ck_assert_int_eq(wal_engine.get(store.handle, key, &got, &store.error), 1);
	ck_assert_uint_eq(got.length, value_max);
	ck_assert_mem_eq(got.data, bytes, value_max);
	ck_assert_int_eq(do_op(&store, &(struct op){.type = COMPACT}), 0);
	ck_assert_int_eq(do_op(&store, &(struct op){.type = REOPEN}), 0);
	ck_assert_int_eq(wal_engine.get(store.handle, key, &got, &store.error), 1);
	store_finish(&store);
	free(bytes);
}
END_TEST

START_TEST(checksums_are_those_of_crc32c)
{
	char bytes[300];
	ck_assert_uint_eq(io_crc32c(0, "123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(io_crc32c_portable(0, "123456789", 9), 0xe3069283u);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * i);
	for (size_t i = 0; i < sizeof bytes; i++)
		ck_assert_uint_eq(io_crc32c(7, bytes + i, sizeof bytes - i),
				  io_crc32c_portable(7, bytes + i, sizeof bytes - i));
}
END_TEST

/* The contract. */

static struct engine_contract contract_of(const char *options)
{
	struct store store;
	store_options(&store, options);
	return store.contract;
}

START_TEST(each_mode_declares_its_contract)
{
	struct engine_contract c = contract_of("sync=batch,batch=5");
	ck_assert_int_eq(c.ack, ENGINE_ACK_EVERY);
	ck_assert_uint_eq(c.every, 5);
	ck_assert(c.prefix && c.batch == ENGINE_BATCH_DURABLE);
	ck_assert_int_eq(c.against, ENGINE_AGAINST_POWER);
	ck_assert_int_eq(contract_of("sync=sync").ack, ENGINE_ACK_EACH);
	ck_assert_int_eq(contract_of("sync=none,variant=textbook").ack, ENGINE_ACK_ON_SYNC);
}
END_TEST

/* Kills. */

struct killed {
	volatile uint32_t ended;
	volatile bool open_failed;
};

/* Files that only a crash or a stranger leaves, so that openings have all their
 * work to do. */
static void litter(const char *dir)
{
	static const char *const names[] = {"00000001.wal", "90000000.tmp", "90000001.wal",
					    "90000002.spare"};
	int d = open(dir, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int fd = openat(d, names[i], O_WRONLY | O_CREAT | O_EXCL, 0666);
		if (fd < 0)
			continue; /* the first segment may be the log's own */
		if (io_write_at(fd, "litter", 6, 0))
			abort();
		close(fd);
	}
	close(d);
}

/* Runs the plan and dies on the way or at its end. */
static void run_to_death(struct store *store, const struct plan *plan, struct killed *killed,
			 const char *point, uint64_t n)
{
	killed->open_failed = true;
	if (faults_init(1, NULL) || faults_kill_at(point, n, NULL) || !store_open(store))
		_exit(2);
	killed->open_failed = false;
	for (size_t i = 0; i < plan->n; i++) {
		if (plan->ops[i].type == REOPEN) {
			if (store_close(store) < 0)
				_exit(3);
			if (strstr(point, "recover") && !strstr(store->text, "textbook"))
				litter(store->dir);
			if (!store_open(store))
				_exit(4);
		} else if (do_op(store, &plan->ops[i])) {
			_exit(5);
		}
		killed->ended++;
	}
	_exit(0);
}

/* Kills the store at the n-th passage of a point and checks what is left.
 * Returns whether the point was passed as often. */
static bool kill_and_check(struct store *store, const struct plan *plan, struct killed *killed,
			   const char *point, uint64_t n)
{
	int status;
	wipe(store->dir);
	*killed = (struct killed){0};
	pid_t pid = fork();
	if (pid == 0)
		run_to_death(store, plan, killed, point, n);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		ck_assert_int_eq(WEXITSTATUS(status), 0);
		return false;
	}
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	ck_assert_msg(store_open(store), "%s: %s", point, store->error.text);
	size_t most = killed->ended < plan->n ? killed->ended + 1 : plan->n;
	int p = prefix(store, plan, most);
	ck_assert_msg(p >= (int)durable(store, plan, killed->ended),
		      "%s, passage %d: of %u ops %d are there", point, (int)n, killed->ended, p);
	ck_assert_int_eq(wal_engine.verify(store->handle, &store->error), 0);
	ck_assert_int_eq(put_text(store, "key1", "after"), 0);
	ck_assert_int_eq(do_op(store, &(struct op){.type = REOPEN}), 0);
	ck_assert_int_eq(store_close(store), 0);
	return true;
}

/* Kills at every passage of every point (of the more frequent ones, at fewer and
 * fewer), and notes in reached[] which points were passed. */
static void kill_everywhere(const char *options, const unsigned int *mix, uint64_t seed,
			    bool *reached)
{
	static struct plan plan;
	struct store store;
	struct killed *killed = mem_map_shared(sizeof *killed);
	store_init(&store, options);
	plan_make(&plan, seed, 100, mix);
	for (size_t i = 0; wal_engine.fault_points[i].name; i++)
		for (uint64_t n = 1;
		     kill_and_check(&store, &plan, killed, wal_engine.fault_points[i].name, n);
		     n += 1 + n / 4)
			reached[i] = true;
	store_finish(&store);
	mem_unmap(killed, sizeof *killed);
}

START_TEST(hardened_keeps_its_contract_when_killed_at_any_fault_point)
{
	bool reached[100] = {0};
	char options[150];
	for (uint64_t i = 0; i < 12; i++) {
		snprintf(options, sizeof options, "variant=hardened,%s,%s", modes[i % 3],
			 rests[i / 3]);
		kill_everywhere(options, mix_all, i, reached);
	}
	for (size_t i = 0; wal_engine.fault_points[i].name; i++) {
		const char *point = wal_engine.fault_points[i].name;
		bool textbook = !strcmp(point, "wal/compact/truncated") ||
				!strcmp(point, "wal/compact/rewritten");
		ck_assert_msg(reached[i] == !textbook, "%s", point);
	}
}
END_TEST

START_TEST(textbook_without_compacting_keeps_its_contract_when_killed)
{
	bool reached[100] = {0};
	char options[150];
	for (uint64_t i = 0; i < 6; i++) {
		snprintf(options, sizeof options, "variant=textbook,%s,%s", modes[i % 3],
			 rests[i / 3]);
		kill_everywhere(options, mix_plain, i, reached);
	}
}
END_TEST

static bool loses(struct store *store, const struct plan *plan, struct killed *killed,
		  const char *point)
{
	int status;
	wipe(store->dir);
	*killed = (struct killed){0};
	pid_t pid = fork();
	if (pid == 0)
		run_to_death(store, plan, killed, point, 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && store_open(store));
	int p = prefix(store, plan, killed->ended + 1);
	store_close(store);
	return p < (int)killed->ended;
}

START_TEST(textbook_loses_records_when_killed_between_truncating_and_rewriting)
{
	struct store store;
	static struct plan plan;
	struct killed *killed = mem_map_shared(sizeof *killed);
	store_init(&store, "variant=textbook");
	plan_make(&plan, 1, 20, mix_plain);
	plan.ops[19] = (struct op){.type = COMPACT};
	memcpy(plan.states[20], plan.states[19], sizeof plan.states[20]);
	ck_assert(loses(&store, &plan, killed, "wal/compact/truncated"));
	ck_assert(!loses(&store, &plan, killed, "wal/compact/rewritten"));
	store_finish(&store);
	mem_unmap(killed, sizeof *killed);
}
END_TEST

/* Damage. */

enum { FILES_MAX = 24 };

struct snapshot {
	size_t n;
	struct {
		char name[32];
		size_t size;
		uint8_t *data;
	} files[FILES_MAX];
};

static void snapshot_take(struct snapshot *snapshot, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	snapshot->n = 0;
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		struct stat st;
		int fd = openat(dirfd(d), entry->d_name, O_RDONLY);
		ck_assert(fd >= 0 && snapshot->n < FILES_MAX && !fstat(fd, &st));
		size_t i = snapshot->n++;
		snprintf(snapshot->files[i].name, 32, "%.31s", entry->d_name);
		snapshot->files[i].size = (size_t)st.st_size;
		snapshot->files[i].data = mem_alloc((size_t)st.st_size + 1, 1);
		ck_assert_int_eq(io_read_at(fd, snapshot->files[i].data, (size_t)st.st_size, 0),
				 st.st_size);
		close(fd);
	}
	closedir(d);
}

static void snapshot_finish(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n; i++)
		free(snapshot->files[i].data);
}

static void write_file(const char *dir, const char *name, const void *data, size_t size)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	ck_assert(fd >= 0 && !io_write_at(fd, data, size, 0));
	close(fd);
}

static void snapshot_restore(const struct snapshot *snapshot, const char *dir)
{
	wipe(dir);
	for (size_t i = 0; i < snapshot->n; i++)
		write_file(dir, snapshot->files[i].name, snapshot->files[i].data,
			   snapshot->files[i].size);
}

/* Opens a damaged store.  It may refuse; what it shows must be the contents
 * after a prefix (hardened), must stay, and must take writes. */
static void check_damaged(struct store *store, const struct plan *plan)
{
	if (!store_open(store)) {
		ck_assert_str_ne(store->error.text, "");
		return;
	}
	bool hardened = !strcmp(engine_value(&store->config, "variant"), "hardened");
	int p = prefix(store, plan, plan->n);
	if (hardened) {
		ck_assert_int_ge(p, 0);
		ck_assert_int_eq(wal_engine.verify(store->handle, &store->error), 0);
	}
	ck_assert_int_eq(do_op(store, &(struct op){.type = REOPEN}), 0);
	if (p >= 0)
		ck_assert(holds(store, plan->states[p]));
	ck_assert_int_eq(put_text(store, "key1", "after"), 0);
	ck_assert_int_eq(do_op(store, &(struct op){.type = REOPEN}), 0);
	struct engine_bytes got;
	ck_assert_int_eq(wal_engine.get(store->handle, (struct engine_bytes){"key1", 4}, &got,
					&store->error),
			 1);
	if (hardened)
		ck_assert_uint_eq(got.length, 5);
	ck_assert_int_eq(store_close(store), 0);
}

/* A small store of several segments, closed, and its files. */
static void make_small(struct store *store, struct plan *plan, struct snapshot *snapshot,
		       const char *options, bool compacts)
{
	store_init(store, options);
	plan_make(plan, 4, 30, compacts ? mix_all : mix_plain);
	run_and_compare(store, plan);
	ck_assert_int_eq(store_close(store), 0);
	snapshot_take(snapshot, store->dir);
	ck_assert_uint_ge(snapshot->n, 2);
}

static const char *const damaged_options[] = {
	"variant=hardened,segment_bytes=600",
	"variant=hardened,recycle=1,segment_bytes=300",
	"variant=textbook,segment_bytes=600",
	"variant=textbook,recycle=1,segment_bytes=300",
};

static void truncate_everywhere(const char *options, bool compacts)
{
	struct store store;
	static struct plan plan;
	struct snapshot snapshot;
	make_small(&store, &plan, &snapshot, options, compacts);
	for (size_t f = 0; f < snapshot.n; f++) {
		size_t size = snapshot.files[f].size;
		for (size_t n = 0; n < size; n++) {
			snapshot.files[f].size = n;
			snapshot_restore(&snapshot, store.dir);
			check_damaged(&store, &plan);
		}
		snapshot.files[f].size = size;
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}

START_TEST(files_cut_at_any_byte_give_a_prefix)
{
	truncate_everywhere(damaged_options[_i / 2], _i % 2);
}
END_TEST

static void flip_everywhere(const char *options, bool compacts)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	struct store store;
	static struct plan plan;
	struct snapshot snapshot;
	make_small(&store, &plan, &snapshot, options, compacts);
	for (size_t f = 0; f < snapshot.n; f++) {
		for (size_t n = 0; n < snapshot.files[f].size; n++) {
			uint8_t flip = flips[n % sizeof flips];
			snapshot.files[f].data[n] ^= flip;
			snapshot_restore(&snapshot, store.dir);
			check_damaged(&store, &plan);
			snapshot.files[f].data[n] ^= flip;
		}
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}

START_TEST(files_with_any_byte_altered_give_a_prefix)
{
	flip_everywhere(damaged_options[_i / 2], _i % 2);
}
END_TEST

START_TEST(files_that_are_missing_or_replaced_by_others_give_a_prefix)
{
	struct store store;
	static struct plan plan;
	struct snapshot snapshot;
	make_small(&store, &plan, &snapshot, damaged_options[_i / 2], _i % 2);
	for (size_t f = 0; f < snapshot.n; f++) {
		for (size_t g = 0; g < snapshot.n; g++) {
			snapshot_restore(&snapshot, store.dir);
			write_file(store.dir, snapshot.files[f].name, snapshot.files[g].data,
				   snapshot.files[g].size);
			check_damaged(&store, &plan);
		}
		char path[200];
		snprintf(path, sizeof path, "%s/%s", store.dir, snapshot.files[f].name);
		snapshot_restore(&snapshot, store.dir);
		ck_assert_int_eq(unlink(path), 0);
		check_damaged(&store, &plan);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Zeros, noise, or noise behind whole records, under every name that counts. */
START_TEST(zeros_and_noise_give_a_prefix)
{
	static const char *const names[] = {"00000001.wal", "00000002.wal", "00000004.wal",
					    "99999999.wal", "00000003.tmp", "00000002.spare",
					    "0000001.wal",  "00000000.wal", "notes.txt"};
	struct store store;
	static struct plan plan;
	struct snapshot snapshot;
	struct prng prng;
	uint8_t noise[2000] = {0};
	make_small(&store, &plan, &snapshot, damaged_options[_i], false);
	prng_init(&prng, 5);
	for (int round = 0; round < 300; round++) {
		snapshot_restore(&snapshot, store.dir);
		if (round % 3 == 0)
			wipe(store.dir);
		for (size_t i = 0; round >= 10 && i < sizeof noise; i++)
			noise[i] = (uint8_t)prng_below(&prng, round % 2 ? 256 : 3);
		for (uint64_t files = 1 + prng_below(&prng, 3); files > 0; files--)
			write_file(store.dir,
				   names[prng_below(&prng, sizeof names / sizeof *names)], noise,
				   prng_below(&prng, sizeof noise));
		check_damaged(&store, &plan);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Puts n records of one size under the keys first, first + 1, ... */
static void put_row(struct store *store, int first, int n, const char *value)
{
	for (int i = first; i < first + n; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%03d", i);
		ck_assert_int_eq(put_text(store, key, value), 0);
	}
}

/* A lost record, whole ones behind it, and then a new record of the same size
 * and number in its place. */
START_TEST(records_behind_a_lost_one_never_come_back)
{
	enum { RECORD = 25 + 4 + 3 };
	struct store store;
	struct snapshot snapshot;
	size_t found = 0;
	store_init(&store, _i ? "sync=none,recycle=1" : "sync=none");
	ck_assert(store_open(&store));
	put_row(&store, 0, 8, "old");
	ck_assert_int_eq(store_close(&store), 0);
	snapshot_take(&snapshot, store.dir);
	memset(snapshot.files[0].data + 3 * RECORD, 0, RECORD);
	snapshot_restore(&snapshot, store.dir);
	ck_assert(store_open(&store));
	put_row(&store, 3, 1, "new");
	ck_assert_int_eq(do_op(&store, &(struct op){.type = REOPEN}), 0);
	ck_assert_int_eq(wal_engine.scan(store.handle, count_visit, &found, &store.error), 0);
	ck_assert_uint_eq(found, 4);
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Segments behind a gap have the numbers of those that will be written next. */
START_TEST(segments_behind_a_gap_never_come_back)
{
	struct store store;
	size_t found = 0;
	char path[200];
	store_init(&store, _i ? "segment_bytes=256,recycle=1" : "segment_bytes=256");
	ck_assert(store_open(&store));
	put_row(&store, 0, 40, "old"); /* 8 a segment */
	ck_assert_int_eq(store_close(&store), 0);
	snprintf(path, sizeof path, "%s/00000003.wal", store.dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(store_open(&store));
	put_row(&store, 16, 8, "new");
	ck_assert_int_eq(do_op(&store, &(struct op){.type = REOPEN}), 0);
	ck_assert_int_eq(wal_engine.scan(store.handle, count_visit, &found, &store.error), 0);
	ck_assert_uint_eq(found, 24);
	store_finish(&store);
}
END_TEST

/* The file of a retired segment is a new one's, with the old records in it. */
START_TEST(a_recycled_segment_shows_nothing_of_its_old_records)
{
	struct store store;
	struct snapshot snapshot;
	size_t found = 0, reused = 0;
	store_init(&store, "recycle=1,segment_bytes=256");
	ck_assert(store_open(&store));
	put_row(&store, 0, 40, "old");
	ck_assert_int_eq(do_op(&store, &(struct op){.type = COMPACT}), 0);
	for (int i = 0; i < 40; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%03d", i);
		ck_assert_int_eq(wal_engine.del(store.handle,
						(struct engine_bytes){key, strlen(key)},
						&store.error),
				 0);
	}
	put_row(&store, 50, 1, "new");
	snapshot_take(&snapshot, store.dir);
	for (size_t i = 0; i < snapshot.n; i++)
		reused += strstr(snapshot.files[i].name, ".spare") == NULL &&
			  memmem(snapshot.files[i].data, snapshot.files[i].size, "old", 3);
	ck_assert_uint_gt(reused, 1); /* beside the checkpoint */
	snapshot_finish(&snapshot);
	ck_assert_int_eq(do_op(&store, &(struct op){.type = REOPEN}), 0);
	ck_assert_int_eq(wal_engine.scan(store.handle, count_visit, &found, &store.error), 0);
	ck_assert_uint_eq(found, 1);
	store_finish(&store);
}
END_TEST

START_TEST(opening_as_the_other_variant_is_refused_and_harmless)
{
	struct store store;
	store_init(&store, "variant=hardened");
	ck_assert(store_open(&store) && !put_text(&store, "a", "b") && !store_close(&store));
	store_options(&store, "variant=textbook");
	ck_assert(!store_open(&store));
	ck_assert_str_eq(store.error.text, "this store was made with variant=hardened");
	store_options(&store, "variant=hardened");
	struct engine_bytes got;
	ck_assert(store_open(&store));
	ck_assert_int_eq(
		wal_engine.get(store.handle, (struct engine_bytes){"a", 1}, &got, &store.error), 1);
	store_finish(&store);
}
END_TEST

START_TEST(a_batch_without_its_commit_is_not_there)
{
	struct store store;
	struct snapshot snapshot;
	struct engine_bytes got;
	struct engine_change changes[] = {{.key = {"a", 1}, .value = {"1", 1}},
					  {.key = {"b", 1}, .value = {"2", 1}}};
	store_init(&store, _i ? "variant=textbook" : "variant=hardened");
	ck_assert(store_open(&store));
	ck_assert_int_eq(put_text(&store, "a", "0"), 0);
	ck_assert_int_eq(wal_engine.batch(store.handle, changes, 2, &store.error), 0);
	ck_assert_int_eq(store_close(&store), 0);
	snapshot_take(&snapshot, store.dir);
	for (int cut = 1; cut < 33 + 27 * 2; cut++) {
		snapshot.files[0].size--;
		snapshot_restore(&snapshot, store.dir);
		ck_assert(store_open(&store));
		ck_assert_int_eq(wal_engine.get(store.handle, (struct engine_bytes){"a", 1}, &got,
						&store.error),
				 1);
		ck_assert_mem_eq(got.data, "0", 1);
		ck_assert_int_eq(wal_engine.get(store.handle, (struct engine_bytes){"b", 1}, &got,
						&store.error),
				 0);
		ck_assert_int_eq(store_close(&store), 0);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Errors. */

static int full_disk(struct store *store)
{
	struct rlimit limit = {200, 200};
	struct engine_bytes got;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) || !store_open(store))
		return 1;
	int i = 0;
	while (i < 100 && !put_text(store, "key", "some twenty bytes...."))
		i++;
	if (i == 0 || i == 100 ||
	    strcmp(store->error.text, "write to 00000001.wal: File too large"))
		return 2;
	if (!put_text(store, "other", "") || !strstr(store->error.text, "no more writes") ||
	    !strstr(store->error.text, "File too large"))
		return 3;
	if (!wal_engine.sync(store->handle, &store->error) ||
	    !wal_engine.compact(store->handle, &store->error) ||
	    !wal_engine.del(store->handle, (struct engine_bytes){"key", 3}, &store->error))
		return 4;
	if (wal_engine.get(store->handle, (struct engine_bytes){"key", 3}, &got, &store->error) !=
	    1)
		return 5;
	return store_close(store) == 0 ? 6 : 0;
}

START_TEST(after_a_failed_write_no_more_are_taken_and_nothing_acknowledged_is_lost)
{
	struct store store;
	struct engine_bytes got;
	int status;
	store_init(&store, "sync=sync");
	pid_t pid = fork();
	if (pid == 0)
		_exit(full_disk(&store));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "%d", status);
	ck_assert(store_open(&store));
	ck_assert_int_eq(
		wal_engine.get(store.handle, (struct engine_bytes){"key", 3}, &got, &store.error),
		1);
	store_finish(&store);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error_with_its_cause)
{
	struct store store;
	store_init(&store, "");
	ck_assert_int_eq(rmdir(store.dir), 0);
	ck_assert(!store_open(&store));
	ck_assert_str_eq(store.error.text, "open the directory: No such file or directory");
}
END_TEST

/* Fault points. */

static size_t count_listed(const char *name)
{
	size_t n = 0;
	for (size_t i = 0; wal_engine.fault_points[i].name; i++)
		n += !strcmp(wal_engine.fault_points[i].name, name);
	return n;
}

/* Checks the names in one source; notes them in found. */
static void check_source(const char *text, bool *found)
{
	static const char marker[] = "FAULT_POINT(\"";
	while ((text = strstr(text, marker))) {
		char name[100] = "";
		text += sizeof marker - 1;
		size_t n = strcspn(text, "\"");
		ck_assert_uint_lt(n, sizeof name);
		memcpy(name, text, n);
		ck_assert_msg(count_listed(name) == 1, "%s is not listed once", name);
		for (size_t i = 0; wal_engine.fault_points[i].name; i++)
			found[i] |= !strcmp(wal_engine.fault_points[i].name, name);
	}
}

START_TEST(the_fault_points_listed_are_those_in_the_source)
{
	bool found[100] = {0};
	struct snapshot sources;
	snapshot_take(&sources, WAL_SOURCES);
	for (size_t i = 0; i < sources.n; i++)
		check_source((char *)sources.files[i].data, found);
	for (size_t i = 0; wal_engine.fault_points[i].name; i++)
		ck_assert_msg(found[i], "%s is not passed", wal_engine.fault_points[i].name);
	snapshot_finish(&sources);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("wal");
	tcase_set_timeout(cases, 300);
	tcase_add_test(cases, hardened_always_holds_what_a_model_holds);
	tcase_add_test(cases, textbook_always_holds_what_a_model_holds);
	tcase_add_test(cases, the_longest_keys_and_values_are_kept_and_longer_ones_refused);
	tcase_add_test(cases, checksums_are_those_of_crc32c);
	tcase_add_test(cases, each_mode_declares_its_contract);
	tcase_add_test(cases, hardened_keeps_its_contract_when_killed_at_any_fault_point);
	tcase_add_test(cases, textbook_without_compacting_keeps_its_contract_when_killed);
	tcase_add_test(cases, textbook_loses_records_when_killed_between_truncating_and_rewriting);
	tcase_add_loop_test(cases, files_cut_at_any_byte_give_a_prefix, 0, 8);
	tcase_add_loop_test(cases, files_with_any_byte_altered_give_a_prefix, 0, 8);
	tcase_add_loop_test(cases, files_that_are_missing_or_replaced_by_others_give_a_prefix, 0,
			    8);
	tcase_add_loop_test(cases, zeros_and_noise_give_a_prefix, 0, 4);
	tcase_add_loop_test(cases, records_behind_a_lost_one_never_come_back, 0, 2);
	tcase_add_loop_test(cases, segments_behind_a_gap_never_come_back, 0, 2);
	tcase_add_test(cases, a_recycled_segment_shows_nothing_of_its_old_records);
	tcase_add_test(cases, opening_as_the_other_variant_is_refused_and_harmless);
	tcase_add_loop_test(cases, a_batch_without_its_commit_is_not_there, 0, 2);
	tcase_add_test(cases,
		       after_a_failed_write_no_more_are_taken_and_nothing_acknowledged_is_lost);
	tcase_add_test(cases, a_directory_that_is_not_there_is_an_error_with_its_cause);
	tcase_add_test(cases, the_fault_points_listed_are_those_in_the_source);
	Suite *suite = suite_create("wal");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
