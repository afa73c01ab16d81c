/* The wal engine: what holds for every engine (lib_engine.h), and what is its own. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builtin.h"
#include "io.h"
#include "lib_engine.h"
#include "mem.h"

/* Each variant in each mode, with segments, buffers and calls of several kinds. */
#define PLAIN	   "call=fsync,segment_bytes=600"
#define RECYCLED   "call=fdatasync,segment_bytes=256,recycle=1"
#define UNBUFFERED "call=fsync,recycle=1,segment_bytes=1000,buffer_bytes=1"
#define BUFFERED   "buffer_bytes=200,segment_bytes=400"

#define MODES(variant, rest)                                                                       \
	"variant=" variant ",sync=sync," rest, "variant=" variant ",sync=batch,batch=3," rest,     \
		"variant=" variant ",sync=none," rest

static const char *const combinations[] = {
	MODES("hardened", PLAIN),      MODES("hardened", RECYCLED), MODES("hardened", UNBUFFERED),
	MODES("hardened", BUFFERED),   MODES("textbook", PLAIN),    MODES("textbook", RECYCLED),
	MODES("textbook", UNBUFFERED), MODES("textbook", BUFFERED), NULL,
};

/* Segments and other files that an opening has to remove, cut or pass over. */
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
			_exit(6);
		close(fd);
	}
	close(d);
}

#define HARDENED(mode, rest)                                                                       \
	{                                                                                          \
		.options = "variant=hardened," mode "," rest, .litter = litter                     \
	}
/* Textbook compacts in place, which a kill may interrupt. */
#define TEXTBOOK(mode, rest)                                                                       \
	{                                                                                          \
		.options = "variant=textbook," mode "," rest, .without = WITHOUT(COMPACT)          \
	}

static const struct subject_kill kills[] = {
	HARDENED("sync=sync", PLAIN),
	HARDENED("sync=batch,batch=3", PLAIN),
	HARDENED("sync=none", PLAIN),
	HARDENED("sync=sync", RECYCLED),
	HARDENED("sync=batch,batch=3", RECYCLED),
	HARDENED("sync=none", RECYCLED),
	HARDENED("sync=sync", UNBUFFERED),
	HARDENED("sync=batch,batch=3", UNBUFFERED),
	HARDENED("sync=none", UNBUFFERED),
	HARDENED("sync=sync", BUFFERED),
	HARDENED("sync=batch,batch=3", BUFFERED),
	HARDENED("sync=none", BUFFERED),
	TEXTBOOK("sync=sync", PLAIN),
	TEXTBOOK("sync=batch,batch=3", PLAIN),
	TEXTBOOK("sync=none", PLAIN),
	TEXTBOOK("sync=sync", RECYCLED),
	TEXTBOOK("sync=batch,batch=3", RECYCLED),
	TEXTBOOK("sync=none", RECYCLED),
	{NULL},
};

/* The textbook crc protects neither order nor place of a record. */
static const struct subject_damage damages[] = {
	{"variant=hardened,segment_bytes=600", DAMAGED_PREFIX},
	{"variant=hardened,recycle=1,segment_bytes=300", DAMAGED_PREFIX},
	{"variant=textbook,segment_bytes=600", DAMAGED_ANYTHING},
	{"variant=textbook,recycle=1,segment_bytes=300", DAMAGED_ANYTHING},
	{NULL},
};

static const char *const names[] = {
	"00000001.wal",	  "00000002.wal", "00000004.wal", "99999999.wal", "00000003.tmp",
	"00000002.spare", "0000001.wal",  "00000000.wal", "notes.txt",	  NULL};

static const struct subject wal = {
	.engine = &wal_engine,
	.sources = WAL_SOURCES,
	.options = combinations,
	.kills = kills,
	.damages = damages,
	.names = names,
};

/* Limits, checksums, contracts. */

START_TEST(the_longest_keys_and_values_are_kept_and_longer_ones_refused)
{
	struct store store;
	struct engine_bytes got;
	size_t key_max = 65535, value_max = 64 << 20;
	char *bytes = mem_alloc(value_max + 1, 1);
	memset(bytes, 'x', value_max);
	store_init(&store, &wal_engine, "sync=batch");
	ck_assert(store_open(&store));
	struct engine_bytes key = {bytes, key_max}, value = {bytes, value_max};
	ck_assert_int_eq(wal_engine.put(store.handle, key, value, &store.error), 0);
	key.length++;
	ck_assert_int_eq(wal_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a key has at most 65535 bytes, not 65536");
	key.length--, value.length++;
	ck_assert_int_eq(wal_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_int_eq(store_put(&store, "a", "b"), 0); /* refusals are no failures */
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert_int_eq(wal_engine.get(store.handle, key, &got, &store.error), 1);
	ck_assert_uint_eq(got.length, value_max);
	ck_assert_mem_eq(got.data, bytes, value_max);
	ck_assert_int_eq(wal_engine.compact(store.handle, &store.error), 0);
	ck_assert_int_eq(store_reopen(&store), 0);
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

static struct engine_contract contract_of(const char *options)
{
	struct store store;
	store_init(&store, &wal_engine, options);
	struct engine_contract contract = store.contract;
	store_finish(&store);
	return contract;
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

/* Records that must not come back. */

/* Puts n records of one size under the keys first, first + 1, ... */
static void put_row(struct store *store, int first, int n, const char *value)
{
	for (int i = first; i < first + n; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%03d", i);
		ck_assert_int_eq(store_put(store, key, value), 0);
	}
}

/* A lost record, whole ones behind it, and then a new record of the same size
 * and number in its place. */
START_TEST(records_behind_a_lost_one_never_come_back)
{
	enum { RECORD = 25 + 4 + 3 };
	struct store store;
	struct snapshot snapshot;
	store_init(&store, &wal_engine, _i ? "sync=none,recycle=1" : "sync=none");
	ck_assert(store_open(&store));
	put_row(&store, 0, 8, "old");
	ck_assert_int_eq(store_close(&store), 0);
	snapshot_take(&snapshot, store.dir);
	memset(snapshot.files[0].data + 3 * RECORD, 0, RECORD);
	snapshot_restore(&snapshot, store.dir);
	ck_assert(store_open(&store));
	put_row(&store, 3, 1, "new");
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert_uint_eq(store_count(&store), 4);
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Segments behind a gap have the numbers of those that will be written next. */
START_TEST(segments_behind_a_gap_never_come_back)
{
	struct store store;
	store_init(&store, &wal_engine, _i ? "segment_bytes=256,recycle=1" : "segment_bytes=256");
	ck_assert(store_open(&store));
	put_row(&store, 0, 40, "old"); /* 8 a segment */
	ck_assert_int_eq(store_close(&store), 0);
	files_remove(store.dir, "00000003.wal");
	ck_assert(store_open(&store));
	put_row(&store, 16, 8, "new");
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert_uint_eq(store_count(&store), 24);
	store_finish(&store);
}
END_TEST

/* The file of a retired segment is a new one's, with the old records in it. */
START_TEST(a_recycled_segment_shows_nothing_of_its_old_records)
{
	struct store store;
	struct snapshot snapshot;
	size_t reused = 0;
	store_init(&store, &wal_engine, "recycle=1,segment_bytes=256");
	ck_assert(store_open(&store));
	put_row(&store, 0, 40, "old");
	ck_assert_int_eq(wal_engine.compact(store.handle, &store.error), 0);
	for (int i = 0; i < 40; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%03d", i);
		ck_assert_int_eq(store_del(&store, key), 0);
	}
	put_row(&store, 50, 1, "new");
	snapshot_take(&snapshot, store.dir);
	for (size_t i = 0; i < snapshot.n; i++)
		reused += strstr(snapshot.files[i].name, ".spare") == NULL &&
			  memmem(snapshot.files[i].data, snapshot.files[i].size, "old", 3);
	ck_assert_uint_gt(reused, 1); /* beside the checkpoint */
	snapshot_finish(&snapshot);
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert_uint_eq(store_count(&store), 1);
	store_finish(&store);
}
END_TEST

START_TEST(opening_as_the_other_variant_is_refused_and_harmless)
{
	struct store store;
	store_init(&store, &wal_engine, "variant=hardened");
	ck_assert(store_open(&store) && !store_put(&store, "a", "b") && !store_close(&store));
	store_options(&store, "variant=textbook");
	ck_assert(!store_open(&store));
	ck_assert_str_eq(store.error.text, "this store was made with variant=hardened");
	store_options(&store, "variant=hardened");
	ck_assert(store_open(&store) && store_has(&store, "a", "b"));
	store_finish(&store);
}
END_TEST

START_TEST(a_batch_without_its_commit_is_not_there)
{
	struct store store;
	struct snapshot snapshot;
	struct engine_change changes[] = {{.key = {"a", 1}, .value = {"1", 1}},
					  {.key = {"b", 1}, .value = {"2", 1}}};
	store_init(&store, &wal_engine, _i ? "variant=textbook" : "variant=hardened");
	ck_assert(store_open(&store));
	ck_assert_int_eq(store_put(&store, "a", "0"), 0);
	ck_assert_int_eq(wal_engine.batch(store.handle, changes, 2, &store.error), 0);
	ck_assert_int_eq(store_close(&store), 0);
	snapshot_take(&snapshot, store.dir);
	for (int cut = 1; cut < 33 + 27 * 2; cut++) {
		snapshot.files[0].size--;
		snapshot_restore(&snapshot, store.dir);
		ck_assert(store_open(&store));
		ck_assert(store_has(&store, "a", "0") && store_has(&store, "b", NULL));
		ck_assert_int_eq(store_close(&store), 0);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* What textbook loses, and errors. */

static bool loses(struct store *store, const struct plan *plan, const char *point)
{
	size_t ended;
	ck_assert(plan_kill(plan, store, point, 1, NULL, &ended) && store_open(store));
	int p = plan_prefix(plan, store, ended + 1);
	store_close(store);
	return p < (int)ended;
}

START_TEST(textbook_loses_records_when_killed_between_truncating_and_rewriting)
{
	struct store store;
	static struct plan plan;
	store_init(&store, &wal_engine, "variant=textbook");
	plan_make(&plan, &wal, 1, 20, WITHOUT(BATCH) | WITHOUT(COMPACT));
	plan.steps[19].type = STEP_COMPACT;
	plan.steps[19].n = 0;
	memcpy(plan.states[20], plan.states[19], sizeof plan.states[20]);
	ck_assert(loses(&store, &plan, "wal/compact/truncated"));
	ck_assert(!loses(&store, &plan, "wal/compact/rewritten"));
	store_finish(&store);
}
END_TEST

static int full_disk(struct store *store)
{
	struct rlimit limit = {200, 200};
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) || !store_open(store))
		return 1;
	int i = 0;
	while (i < 100 && !store_put(store, "key", "some twenty bytes...."))
		i++;
	if (i == 0 || i == 100 ||
	    strcmp(store->error.text, "write to 00000001.wal: File too large"))
		return 2;
	if (!store_put(store, "other", "") || !strstr(store->error.text, "no more writes") ||
	    !strstr(store->error.text, "File too large"))
		return 3;
	if (!store_has(store, "key", "some twenty bytes...."))
		return 4;
	return store_close(store) == 0 ? 5 : 0;
}

START_TEST(a_full_disk_is_named_as_the_cause_of_every_later_refusal)
{
	struct store store;
	int status;
	store_init(&store, &wal_engine, "sync=sync");
	pid_t pid = fork();
	if (pid == 0)
		_exit(full_disk(&store));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "%d", status);
	ck_assert(store_open(&store) && store_has(&store, "key", "some twenty bytes...."));
	store_finish(&store);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_named_in_the_error)
{
	struct store store;
	store_init(&store, &wal_engine, "");
	ck_assert_int_eq(rmdir(store.dir), 0);
	ck_assert(!store_open(&store));
	ck_assert_str_eq(store.error.text, "open the directory: No such file or directory");
	store_finish(&store);
}
END_TEST

static void add_own(TCase *cases)
{
	tcase_add_test(cases, the_longest_keys_and_values_are_kept_and_longer_ones_refused);
	tcase_add_test(cases, checksums_are_those_of_crc32c);
	tcase_add_test(cases, each_mode_declares_its_contract);
	tcase_add_loop_test(cases, records_behind_a_lost_one_never_come_back, 0, 2);
	tcase_add_loop_test(cases, segments_behind_a_gap_never_come_back, 0, 2);
	tcase_add_test(cases, a_recycled_segment_shows_nothing_of_its_old_records);
	tcase_add_test(cases, opening_as_the_other_variant_is_refused_and_harmless);
	tcase_add_loop_test(cases, a_batch_without_its_commit_is_not_there, 0, 2);
	tcase_add_test(cases, textbook_loses_records_when_killed_between_truncating_and_rewriting);
	tcase_add_test(cases, a_full_disk_is_named_as_the_cause_of_every_later_refusal);
	tcase_add_test(cases, a_directory_that_is_not_there_is_named_in_the_error);
}

int main(void)
{
	return subject_run(&wal, add_own);
}
