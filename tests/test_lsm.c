/* The lsm engine: what holds for every engine (lib_engine.h), and what is its own. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "bytes.h"
#include "lib_engine.h"
#include "mem.h"

/* The offset of the first sequence number in a log. */
enum { LOG_SEQUENCE = 8 };

/* Many small tables of small blocks; few tables; each change a table of its own;
 * everything in the log. */
#define SMALL  "memtable_bytes=500,block_bytes=100"
#define LARGE  "memtable_bytes=3000,compact_at=2,call=fdatasync"
#define SINGLE "memtable_bytes=1,compact_at=4,manifest_bytes=2000"
#define LAZY   "memtable_bytes=1000000"

static const char *const combinations[] = {
	"variant=hardened,sync=each," SMALL,
	"variant=hardened,sync=on-sync," SMALL,
	"variant=hardened,sync=each," LARGE,
	"variant=hardened,sync=on-sync," SINGLE,
	"variant=hardened,sync=on-sync," LAZY,
	"variant=textbook," SMALL,
	"variant=textbook," LARGE,
	"variant=textbook," SINGLE,
	"variant=textbook," LAZY,
	NULL,
};

static void litter(const char *dir, const char *name, int flags)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | flags, 0666);
	if (fd < 0 || write(fd, "litter", 6) != 6)
		_exit(6);
	close(fd);
}

/* Files of no version, of each kind. */
static void litter_files(const char *dir)
{
	litter(dir, "90000000.tmp", O_CREAT | O_EXCL);
	litter(dir, "90000001.log", O_CREAT | O_EXCL);
	litter(dir, "90000002.sst", O_CREAT | O_EXCL);
}

/* The start of a record behind the log. */
static void litter_log(const char *dir)
{
	litter(dir, "LOG", O_APPEND);
}

static const struct subject_kill kills[] = {
	{.options = "variant=hardened,sync=each," SMALL, .litter = litter_files},
	{.options = "variant=hardened,sync=on-sync," SMALL, .litter = litter_files},
	{.options = "variant=hardened,sync=each," LARGE, .litter = litter_files},
	{.options = "variant=hardened,sync=on-sync," LAZY, .litter = litter_files},
	{.options = "variant=textbook," SMALL, .litter = litter_log},
	{.options = "variant=textbook," LARGE, .litter = litter_log},
	{NULL},
};

static const struct subject_damage damages[] = {
	{.options = "variant=hardened," SMALL, .contents = DAMAGED_PREFIX, .lazy = true},
	{.options = "variant=hardened," LARGE, .contents = DAMAGED_PREFIX, .lazy = true},
	{NULL},
};

static const char *const names[] = {
	"MANIFEST",	"MANIFEST.tmp", "LOG",		"00000001.log", "00000002.log",
	"00000004.log", "00000003.sst", "00000005.sst", "00000007.sst", "99999998.tmp",
	"0000001.log",	"00000000.sst", "notes.txt",	NULL,
};

static const struct subject subject = {
	.engine = &lsm_engine,
	.sources = LSM_SOURCES,
	.options = combinations,
	.kills = kills,
	.damages = damages,
	.names = names,
};

static struct store store;

static void open_new(const char *options)
{
	store_init(&store, &lsm_engine, options);
	ck_assert_msg(store_open(&store), "%s", store.error.text);
}

static void compact(void)
{
	ck_assert_msg(!lsm_engine.compact(store.handle, &store.error), "%s", store.error.text);
}

/* The only file with that suffix; -1 where there is not one. */
static int only(const struct snapshot *files, const char *suffix)
{
	int found = -1;
	for (size_t i = 0; i < files->n; i++) {
		if (!strstr(files->files[i].name, suffix))
			continue;
		if (found >= 0)
			return -1;
		found = (int)i;
	}
	return found;
}

static size_t count(const struct snapshot *files, const char *suffix)
{
	size_t n = 0;
	for (size_t i = 0; i < files->n; i++)
		n += strstr(files->files[i].name, suffix) != NULL;
	return n;
}

/* ---- what it promises and accepts ---- */

static struct engine_contract contract_of(const char *options)
{
	store_init(&store, &lsm_engine, options);
	store_finish(&store);
	return store.contract;
}

START_TEST(each_mode_declares_its_contract)
{
	struct engine_contract c = contract_of("");
	ck_assert(c.ack == ENGINE_ACK_EACH && c.against == ENGINE_AGAINST_POWER);
	ck_assert(c.prefix && c.batch == ENGINE_BATCH_ATOMIC && c.stays);
	ck_assert_int_eq(contract_of("sync=on-sync").ack, ENGINE_ACK_ON_SYNC);
	c = contract_of("variant=textbook,sync=on-sync");
	ck_assert(c.ack == ENGINE_ACK_EACH && c.against == ENGINE_AGAINST_KILL);
	ck_assert(c.prefix && c.batch == ENGINE_BATCH_NONE && !c.stays);
}
END_TEST

START_TEST(the_longest_keys_and_values_are_kept_and_longer_ones_refused)
{
	size_t key_max = 65535, value_max = 64 << 20;
	char *bytes = mem_alloc(value_max + 1, 1);
	struct engine_bytes key = {bytes, key_max}, value = {bytes, value_max}, got;
	memset(bytes, 'x', value_max + 1);
	open_new("");
	ck_assert_int_eq(lsm_engine.put(store.handle, key, value, &store.error), 0);
	key.length++;
	ck_assert_int_eq(lsm_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a key has at most 65535 bytes, not 65536");
	key.length--, value.length++;
	ck_assert_int_eq(lsm_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a value has at most 67108864 bytes, not 67108865");
	ck_assert_int_eq(store_put(&store, "a", "b"), 0); /* refusals are no failures */
	ck_assert_int_eq(store_reopen(&store), 0);
	compact();
	ck_assert_int_eq(lsm_engine.get(store.handle, key, &got, &store.error), 1);
	ck_assert_uint_eq(got.length, value_max);
	ck_assert_mem_eq(got.data, bytes, value_max);
	store_finish(&store);
	free(bytes);
}
END_TEST

START_TEST(opening_as_the_other_variant_is_refused_and_harmless)
{
	static const char *const variants[] = {"variant=hardened", "variant=textbook"};
	char text[100];
	open_new(variants[_i]);
	ck_assert(!store_put(&store, "a", "b") && !store_close(&store));
	store_options(&store, variants[1 - _i]);
	ck_assert(!store_open(&store));
	snprintf(text, sizeof text, "this store was made with %s", variants[_i]);
	ck_assert_str_eq(store.error.text, text);
	store_options(&store, variants[_i]);
	ck_assert(store_open(&store) && store_has(&store, "a", "b"));
	store_finish(&store);
}
END_TEST

/* ---- the log ---- */

START_TEST(a_batch_is_there_as_a_whole_or_not_at_all)
{
	struct snapshot files;
	const struct engine_change changes[] = {{.key = {"a", 1}, .value = {"1", 1}},
						{.key = {"b", 1}, .value = {"2", 1}}};
	open_new("");
	ck_assert(!store_put(&store, "a", "0"));
	ck_assert(!lsm_engine.batch(store.handle, changes, 2, &store.error));
	ck_assert(!store_close(&store));
	snapshot_take(&files, store.dir);
	int log = only(&files, ".log");
	ck_assert_int_ge(log, 0);
	for (int cut = 1; cut < 8 + 2 * 19; cut++) {
		files.files[log].size--;
		snapshot_restore(&files, store.dir);
		ck_assert(store_open(&store));
		ck_assert(store_has(&store, "a", "0") && store_has(&store, "b", NULL));
		ck_assert_int_eq(store_close(&store), 0);
	}
	snapshot_finish(&files);
	store_finish(&store);
}
END_TEST

/* The last numbers were those of entries that no longer exist. */
START_TEST(numbers_go_on_rising_when_nothing_is_left_that_has_them)
{
	struct snapshot files;
	open_new("");
	ck_assert(!store_put(&store, "a", "b") && !store_del(&store, "a"));
	compact();
	ck_assert(!store_reopen(&store) && !store_put(&store, "a", "c"));
	snapshot_take(&files, store.dir);
	int log = only(&files, ".log");
	ck_assert(log >= 0 && count(&files, ".sst") == 0);
	ck_assert_uint_eq(load_le(files.files[log].data + LOG_SEQUENCE, 8), 3);
	snapshot_finish(&files);
	store_finish(&store);
}
END_TEST

/* A lost record, a whole one behind it, and then a new one of the same size and
 * number in its place. */
START_TEST(records_behind_a_lost_one_never_come_back)
{
	enum { RECORD = 8 + 17 + 1 + 3 };
	struct snapshot files;
	open_new("sync=on-sync");
	ck_assert(!store_put(&store, "a", "old") && !store_put(&store, "b", "old") &&
		  !store_put(&store, "c", "old") && !store_close(&store));
	snapshot_take(&files, store.dir);
	int log = only(&files, ".log");
	ck_assert_uint_eq(files.files[log].size, 3 * RECORD);
	memset(files.files[log].data + RECORD, 0, RECORD);
	snapshot_restore(&files, store.dir);
	ck_assert(store_open(&store) && store_has(&store, "b", NULL));
	ck_assert(!store_put(&store, "b", "new") && !store_reopen(&store));
	ck_assert(store_has(&store, "b", "new") && store_count(&store) == 2);
	snapshot_finish(&files);
	store_finish(&store);
}
END_TEST

/* ---- tables and versions ---- */

/* A crash may lose the last version, but not the files of the one before it. */
START_TEST(the_version_before_the_last_has_the_same_contents)
{
	struct snapshot before, after;
	open_new("memtable_bytes=1,compact_at=64,manifest_bytes=100000");
	for (const char *key = "a\0b\0c\0d\0"; *key; key += 2)
		ck_assert(!store_put(&store, key, "1"));
	ck_assert(!store_reopen(&store)); /* which flushes */
	snapshot_take(&before, store.dir);
	compact();
	snapshot_take(&after, store.dir);
	ck_assert(count(&before, ".sst") == 4 && count(&after, ".sst") == 1);
	store_close(&store);
	snapshot_restore(&before, store.dir);
	for (size_t i = 0; i < after.n; i++) {
		bool torn = !strcmp(after.files[i].name, "MANIFEST");
		files_write(store.dir, after.files[i].name, after.files[i].data,
			    after.files[i].size - torn);
	}
	ck_assert(store_open(&store) && store_count(&store) == 4);
	ck_assert(!lsm_engine.verify(store.handle, &store.error));
	snapshot_finish(&before);
	snapshot_finish(&after);
	store_finish(&store);
}
END_TEST

START_TEST(files_of_no_version_go_and_without_a_version_nothing_opens)
{
	struct snapshot files;
	open_new("");
	ck_assert(!store_put(&store, "a", "b") && !store_close(&store));
	litter_files(store.dir);
	ck_assert(store_open(&store) && store_has(&store, "a", "b"));
	snapshot_take(&files, store.dir);
	ck_assert_uint_eq(files.n, 3);
	ck_assert(count(&files, "MANIFEST") == 1 && only(&files, ".log") >= 0 &&
		  only(&files, ".sst") >= 0);
	snapshot_finish(&files);
	files_remove(store.dir, "MANIFEST");
	ck_assert(store_reopen(&store) < 0);
	ck_assert_str_eq(store.error.text,
			 "there are tables or logs but no MANIFEST; no crash leaves that");
	store_finish(&store);
}
END_TEST

/* Whatever the sizes of tables are: here, small ones between large ones. */
START_TEST(tables_stay_few_and_the_manifest_small)
{
	struct snapshot files;
	char key[20], value[2000];
	open_new(_i ? "memtable_bytes=1" : "memtable_bytes=1,variant=textbook");
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "k%d", i * 7919 % 3000);
		memset(value, 'x', sizeof value - 1);
		value[i % 5 ? i % 40 : 1000 + i % 900] = '\0';
		ck_assert_int_eq(store_put(&store, key, value), 0);
	}
	snapshot_take(&files, store.dir);
	ck_assert_uint_le(count(&files, ".sst"), 30);
	for (size_t i = 0; i < files.n; i++)
		if (!strcmp(files.files[i].name, "MANIFEST"))
			ck_assert_uint_le(files.files[i].size, 256);
	ck_assert_uint_eq(store_count(&store), 3000);
	snapshot_finish(&files);
	store_finish(&store);
}
END_TEST

/* ---- damage without checksums ---- */

static int ask_for(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	(void)arg, (void)value;
	struct engine_bytes got;
	return lsm_engine.get(store.handle, key, &got, &store.error) < 0;
}

/* What is there may be anything, also other keys, but every call returns. */
static void use_damaged(void)
{
	if (!store_open(&store)) {
		ck_assert_str_ne(store.error.text, "");
		return;
	}
	lsm_engine.scan(store.handle, ask_for, NULL, &store.error);
	lsm_engine.verify(store.handle, &store.error);
	store_put(&store, "key1", "after");
	lsm_engine.compact(store.handle, &store.error);
	store_close(&store);
}

START_TEST(a_damaged_textbook_store_ends_in_errors_or_contents)
{
	static struct plan plan;
	struct snapshot files;
	store_init(&store, &lsm_engine, "variant=textbook," SMALL);
	plan_make(&plan, &subject, 4, 12, 0);
	plan_compare(&plan, &store);
	store_close(&store);
	snapshot_take(&files, store.dir);
	for (size_t f = 0; f < files.n; f++) {
		size_t size = files.files[f].size;
		for (size_t at = 0; at < size; at++) {
			uint8_t flip = at % 3 ? 0xff : 1;
			files.files[f].data[at] ^= flip;
			snapshot_restore(&files, store.dir);
			use_damaged();
			files.files[f].data[at] ^= flip;
			files.files[f].size = at;
			snapshot_restore(&files, store.dir);
			use_damaged();
			files.files[f].size = size;
		}
	}
	snapshot_finish(&files);
	store_finish(&store);
}
END_TEST

static void add_own(TCase *cases)
{
	tcase_add_test(cases, each_mode_declares_its_contract);
	tcase_add_test(cases, the_longest_keys_and_values_are_kept_and_longer_ones_refused);
	tcase_add_loop_test(cases, opening_as_the_other_variant_is_refused_and_harmless, 0, 2);
	tcase_add_test(cases, a_batch_is_there_as_a_whole_or_not_at_all);
	tcase_add_test(cases, numbers_go_on_rising_when_nothing_is_left_that_has_them);
	tcase_add_test(cases, records_behind_a_lost_one_never_come_back);
	tcase_add_test(cases, the_version_before_the_last_has_the_same_contents);
	tcase_add_test(cases, files_of_no_version_go_and_without_a_version_nothing_opens);
	tcase_add_loop_test(cases, tables_stay_few_and_the_manifest_small, 0, 2);
	tcase_add_test(cases, a_damaged_textbook_store_ends_in_errors_or_contents);
}

int main(void)
{
	return subject_run(&subject, add_own);
}
