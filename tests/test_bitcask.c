/* The bitcask engine: what holds for every engine (lib_engine.h), and what is its own. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "lib_engine.h"
#include "mem.h"

/* Each variant, syncing each record or not, with files and merges of several kinds. */
#define PLAIN	"call=fsync,max_file_bytes=600"
#define EAGER	"call=fdatasync,max_file_bytes=1000,merge_dead_percent=0"
#define PARTIAL "call=fsync,max_file_bytes=300,merge_dead_percent=70"
#define TINY	"call=fdatasync,max_file_bytes=64,merge_dead_percent=100"

#define MODES(variant, rest)                                                                       \
	"variant=" variant ",sync_writes=1," rest, "variant=" variant ",sync_writes=0," rest

static const char *const combinations[] = {
	MODES("hardened", PLAIN),   MODES("hardened", EAGER), MODES("hardened", PARTIAL),
	MODES("hardened", TINY),    MODES("textbook", PLAIN), MODES("textbook", EAGER),
	MODES("textbook", PARTIAL), MODES("textbook", TINY),  NULL,
};

/* The name of the last data file in dir; "" where there is none. */
static void last_data_file(const char *dir, char last[NAME_MAX + 1])
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	last[0] = '\0';
	while (d && (entry = readdir(d)))
		if (strstr(entry->d_name, ".data") && strcmp(entry->d_name, last) > 0)
			strcpy(last, entry->d_name);
	if (!d || closedir(d))
		_exit(6);
}

/* A torn tail, a merge that came to nothing, and a hint without its file. */
static void litter(const char *dir)
{
	char last[NAME_MAX + 1];
	last_data_file(dir, last);
	const char *const names[] = {"90000000.tmp", "90000000.hint", last};
	int d = open(dir, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!names[i][0])
			continue;
		int fd = openat(d, names[i], O_WRONLY | O_CREAT | O_APPEND, 0666);
		if (fd < 0 || write(fd, "litter", 6) != 6 || close(fd))
			_exit(6);
	}
	close(d);
}

#define HARDENED(mode, rest)                                                                       \
	{                                                                                          \
		.options = "variant=hardened," mode "," rest, .litter = litter                     \
	}
/* Textbook merges remove first, which a kill may interrupt. */
#define TEXTBOOK(mode, rest)                                                                       \
	{                                                                                          \
		.options = "variant=textbook," mode "," rest, .without = WITHOUT(COMPACT),         \
		.litter = litter                                                                   \
	}

static const struct subject_kill kills[] = {
	HARDENED("sync_writes=1", PLAIN),   HARDENED("sync_writes=0", PLAIN),
	HARDENED("sync_writes=1", EAGER),   HARDENED("sync_writes=0", EAGER),
	HARDENED("sync_writes=1", PARTIAL), HARDENED("sync_writes=0", PARTIAL),
	HARDENED("sync_writes=0", TINY),    TEXTBOOK("sync_writes=1", PLAIN),
	TEXTBOOK("sync_writes=0", PARTIAL), {NULL},
};

/* No file tells which others there should be, and with a hint values are first
 * looked at when they are read. */
static const struct subject_damage damages[] = {
	{"variant=hardened,max_file_bytes=600", DAMAGED_WRITTEN, .lazy = true},
	{"variant=hardened,max_file_bytes=300,merge_dead_percent=70", DAMAGED_WRITTEN,
	 .lazy = true},
	{"variant=textbook,max_file_bytes=600", DAMAGED_WRITTEN, .lazy = true},
	{NULL},
};

static const char *const names[] = {"00000001.data", "00000002.data", "00000004.data",
				    "99999999.data", "00000001.hint", "00000002.hint",
				    "00000004.hint", "00000003.tmp",  "0000001.data",
				    "00000000.data", "notes.txt",     NULL};

static const struct subject bitcask = {
	.engine = &bitcask_engine,
	.sources = BITCASK_SOURCES,
	.options = combinations,
	.kills = kills,
	.damages = damages,
	.names = names,
};

/* Limits and contracts. */

START_TEST(the_longest_keys_and_values_are_kept_and_longer_ones_refused)
{
	struct store store;
	struct engine_bytes got;
	size_t key_max = 65535, value_max = 64 << 20;
	char *bytes = mem_alloc(value_max + 1, 1);
	memset(bytes, 'x', value_max);
	store_init(&store, &bitcask_engine, "merge_dead_percent=0");
	ck_assert(store_open(&store));
	struct engine_bytes key = {bytes, key_max}, value = {bytes, value_max};
	ck_assert_int_eq(bitcask_engine.put(store.handle, key, value, &store.error), 0);
	key.length++;
	ck_assert_int_eq(bitcask_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a key has at most 65535 bytes, not 65536");
	ck_assert_int_eq(bitcask_engine.del(store.handle, key, &store.error), -1);
	key.length--, value.length++;
	ck_assert_int_eq(bitcask_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a value has at most 67108864 bytes, not 67108865");
	ck_assert_int_eq(store_put(&store, "a", "b"), 0); /* refusals are no failures */
	ck_assert_int_eq(bitcask_engine.compact(store.handle, &store.error), 0);
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert_int_eq(bitcask_engine.get(store.handle, key, &got, &store.error), 1);
	ck_assert(got.length == value_max && !memcmp(got.data, bytes, value_max));
	store_finish(&store);
	free(bytes);
}
END_TEST

START_TEST(each_mode_declares_its_contract)
{
	struct store store;
	store_init(&store, &bitcask_engine, "sync_writes=1");
	ck_assert_int_eq(store.contract.ack, ENGINE_ACK_EACH);
	ck_assert(store.contract.prefix && store.contract.stays);
	store_options(&store, "sync_writes=0,variant=textbook");
	ck_assert_int_eq(store.contract.ack, ENGINE_ACK_ON_SYNC);
	ck_assert(store.contract.prefix && !store.contract.stays);
	store_finish(&store);
}
END_TEST

/* Files. */

static const char *file_list(struct store *store)
{
	static char list[2000];
	struct snapshot snapshot;
	snapshot_take(&snapshot, store->dir);
	list[0] = '\0';
	for (size_t i = 0; i < snapshot.n; i++) {
		strcat(list, i ? " " : "");
		strcat(list, snapshot.files[i].name);
	}
	snapshot_finish(&snapshot);
	return list;
}

static void compact(struct store *store)
{
	ck_assert_int_eq(bitcask_engine.compact(store->handle, &store->error), 0);
}

static void put_ok(struct store *store, const char *key, const char *value)
{
	ck_assert_msg(!store_put(store, key, value), "%s", store->error.text);
}

/* Files of two records; the tombstone and half of its file are merged while the
 * old value is in a file that is not. */
static void partial_merge(struct store *store)
{
	store_init(store, &bitcask_engine, "max_file_bytes=64,merge_dead_percent=50");
	ck_assert(store_open(store));
	put_ok(store, "a", "old");		    /* 1: stays, for the sake of b */
	put_ok(store, "b", "a rather long value");  /* 1 */
	ck_assert_int_eq(store_del(store, "a"), 0); /* 2 */
	put_ok(store, "c", "a rather long value");  /* 2: dead */
	put_ok(store, "c", "new");		    /* 3 */
	compact(store);
	ck_assert_str_eq(file_list(store), "00000001.data 00000003.data 00000004.data "
					   "00000004.hint");
}

START_TEST(a_tombstone_stays_while_an_older_value_is_in_an_unmerged_file)
{
	struct store store;
	partial_merge(&store);
	ck_assert(!store_reopen(&store) && store_has(&store, "a", NULL));
	ck_assert(store_has(&store, "c", "new"));
	store_finish(&store);
}
END_TEST

START_TEST(a_tombstone_goes_when_no_older_value_is_left)
{
	struct store store;
	partial_merge(&store);
	put_ok(&store, "b", "new"); /* 5; all of 1 is dead */
	compact(&store);	    /* the value of a goes */
	compact(&store);	    /* and now its tombstone */
	ck_assert_str_eq(file_list(&store), "00000003.data 00000005.data");
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert(store_has(&store, "a", NULL) && store_has(&store, "b", "new"));
	store_finish(&store);
}
END_TEST

START_TEST(a_store_in_which_all_is_dead_merges_to_nothing)
{
	struct store store;
	store_init(&store, &bitcask_engine, "");
	ck_assert(store_open(&store));
	put_ok(&store, "a", "1");
	store_del(&store, "a");
	compact(&store);
	ck_assert_str_eq(file_list(&store), "00000002.data 00000002.hint");
	compact(&store);
	ck_assert_str_eq(file_list(&store), "");
	put_ok(&store, "a", "2");
	ck_assert(!store_reopen(&store) && store_has(&store, "a", "2"));
	ck_assert_str_eq(file_list(&store), "00000003.data");
	store_finish(&store);
}
END_TEST

/* Inputs of a merge come back, as they may after a crash: all, or any one. */
START_TEST(inputs_that_come_back_change_nothing)
{
	struct store store;
	struct snapshot before, after;
	store_init(&store, &bitcask_engine, "max_file_bytes=64,merge_dead_percent=0");
	ck_assert(store_open(&store));
	for (int i = 0; i < 12; i++) {
		char key[2] = {(char)('a' + i % 5), '\0'}, value[8];
		snprintf(value, sizeof value, "%d", i);
		put_ok(&store, key, value);
		if (i % 3 == 0)
			ck_assert_int_eq(store_del(&store, key), 0);
	}
	snapshot_take(&before, store.dir);
	compact(&store);
	ck_assert_int_eq(store_close(&store), 0);
	snapshot_take(&after, store.dir);
	for (size_t i = 0; i < before.n; i++) {
		snapshot_restore(&after, store.dir);
		files_write(store.dir, before.files[i].name, before.files[i].data,
			    before.files[i].size);
		for (int round = 0; round < 3; round++) {
			ck_assert(store_open(&store));
			ck_assert(store_has(&store, "a", "10") && store_has(&store, "b", "11"));
			ck_assert(store_has(&store, "c", "7") && store_has(&store, "d", "8"));
			ck_assert(store_has(&store, "e", NULL));
			ck_assert_int_eq(bitcask_engine.verify(store.handle, &store.error), 0);
			compact(&store);
			ck_assert_int_eq(store_close(&store), 0);
		}
	}
	snapshot_finish(&before);
	snapshot_finish(&after);
	store_finish(&store);
}
END_TEST

/* Hints. */

/* A store of one merged file with its hint, closed; its files. */
static void make_merged(struct store *store, const char *options, struct snapshot *snapshot)
{
	store_init(store, &bitcask_engine, options);
	ck_assert(store_open(store));
	put_ok(store, "a", "1");
	put_ok(store, "b", "2");
	compact(store);
	ck_assert_int_eq(store_close(store), 0);
	ck_assert_str_eq(file_list(store), "00000002.data 00000002.hint");
	snapshot_take(snapshot, store->dir);
}

/* Values are first read when they are asked for. */
START_TEST(opening_reads_a_valid_hint_and_not_its_data_file)
{
	struct store store;
	struct snapshot snapshot;
	make_merged(&store, "merge_dead_percent=0", &snapshot);
	snapshot.files[0].data[20 + 1] ^= 1; /* the value of a */
	snapshot_restore(&snapshot, store.dir);
	ck_assert(store_open(&store) && store_has(&store, "b", "2"));
	struct engine_bytes key = {"a", 1}, value;
	ck_assert_int_eq(bitcask_engine.get(store.handle, key, &value, &store.error), -1);
	ck_assert_str_eq(store.error.text,
			 "00000002.data is damaged: no record of its key at byte 0");
	ck_assert_int_eq(bitcask_engine.verify(store.handle, &store.error), -1);
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* The hint with each byte altered, and cut to each length. */
START_TEST(a_hint_that_is_not_whole_is_removed_and_not_missed)
{
	struct store store;
	struct snapshot snapshot;
	make_merged(&store, "merge_dead_percent=0", &snapshot);
	for (size_t i = 0, size = snapshot.files[1].size; i < 2 * size; i++) {
		uint8_t bit = i < size ? 0x10 : 0;
		snapshot.files[1].size = bit ? size : i - size;
		snapshot.files[1].data[i % size] ^= bit;
		snapshot_restore(&snapshot, store.dir);
		snapshot.files[1].data[i % size] ^= bit;
		ck_assert(store_open(&store));
		ck_assert_str_eq(file_list(&store), "00000002.data");
		ck_assert(store_has(&store, "a", "1") && store_has(&store, "b", "2"));
		store_close(&store);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

START_TEST(a_hint_of_another_size_of_data_file_is_not_believed)
{
	struct store store;
	struct snapshot snapshot;
	make_merged(&store, "merge_dead_percent=0", &snapshot);
	snapshot.files[0].size--;
	snapshot_restore(&snapshot, store.dir);
	ck_assert(store_open(&store) && store_has(&store, "a", "1"));
	ck_assert(store_has(&store, "b", NULL));
	ck_assert_str_eq(file_list(&store), "00000002.data");
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* An empty hint, as a crash leaves it where nothing was synced. */
START_TEST(textbook_believes_a_hint_that_is_empty)
{
	struct store store;
	struct snapshot snapshot;
	make_merged(&store, "variant=textbook,merge_dead_percent=0", &snapshot);
	snapshot.files[1].size = 0;
	snapshot_restore(&snapshot, store.dir);
	ck_assert(store_open(&store) && !store_count(&store));
	ck_assert_int_eq(bitcask_engine.verify(store.handle, &store.error), -1);
	store_close(&store);
	store_options(&store, "variant=hardened"); /* which does not, textbook's or not */
	snapshot_restore(&snapshot, store.dir);
	ck_assert(store_open(&store));
	ck_assert_uint_eq(store_count(&store), 2);
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

START_TEST(only_the_last_file_may_have_a_torn_tail)
{
	struct store store;
	struct snapshot snapshot;
	store_init(&store, &bitcask_engine, "max_file_bytes=64");
	ck_assert(store_open(&store));
	for (int i = 0; i < 6; i++)
		put_ok(&store, "key", "0123456789");
	ck_assert_int_eq(store_close(&store), 0);
	snapshot_take(&snapshot, store.dir);
	ck_assert_uint_gt(snapshot.n, 2);
	for (size_t i = 0; i < snapshot.n; i++) {
		snapshot.files[i].size -= 3;
		snapshot_restore(&snapshot, store.dir);
		snapshot.files[i].size += 3;
		ck_assert_int_eq(store_open(&store), i + 1 == snapshot.n);
		store_close(&store);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

static void add_own(TCase *cases)
{
	tcase_add_test(cases, the_longest_keys_and_values_are_kept_and_longer_ones_refused);
	tcase_add_test(cases, each_mode_declares_its_contract);
	tcase_add_test(cases, a_tombstone_stays_while_an_older_value_is_in_an_unmerged_file);
	tcase_add_test(cases, a_tombstone_goes_when_no_older_value_is_left);
	tcase_add_test(cases, a_store_in_which_all_is_dead_merges_to_nothing);
	tcase_add_test(cases, inputs_that_come_back_change_nothing);
	tcase_add_test(cases, opening_reads_a_valid_hint_and_not_its_data_file);
	tcase_add_test(cases, a_hint_that_is_not_whole_is_removed_and_not_missed);
	tcase_add_test(cases, a_hint_of_another_size_of_data_file_is_not_believed);
	tcase_add_test(cases, textbook_believes_a_hint_that_is_empty);
	tcase_add_test(cases, only_the_last_file_may_have_a_torn_tail);
}

int main(void)
{
	return subject_run(&bitcask, add_own);
}
