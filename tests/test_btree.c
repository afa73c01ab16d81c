/* The btree engine: what holds for every engine (lib_engine.h), and what is its own. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "bytes.h"
#include "io.h"
#include "lib_engine.h"
#include "mem.h"

enum { PAGE = 4096, SECTOR = 512, KEY_MAX = 1024, VALUE_MAX = 1024 * 1024 };

/* Narrow and wide trees, few and many chains, a checkpoint now and then or always. */
#define NARROW	"fanout=3"
#define WIDE	"fanout=64,inline_bytes=256,log_bytes=65536,call=fdatasync"
#define CHAINED "fanout=4,inline_bytes=0,log_bytes=0"

static const char *const combinations[] = {
	"variant=hardened," NARROW,
	"variant=hardened," WIDE,
	"variant=hardened," CHAINED,
	"variant=textbook," NARROW,
	"variant=textbook," WIDE,
	"variant=textbook," CHAINED,
	NULL,
};

/* Part of a transaction, as a kill leaves it behind. */
static void litter(const char *dir)
{
	char path[200], bytes[700];
	memset(bytes, 'x', sizeof bytes);
	snprintf(path, sizeof path, "%s/pages.log", dir);
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes)
		_exit(6);
	close(fd);
}

/* Not textbook: a kill between its pages breaks the tree. */
static const struct subject_kill kills[] = {
	{"variant=hardened," NARROW, .litter = litter},
	{"variant=hardened," WIDE, .litter = litter},
	{"variant=hardened," CHAINED, .litter = litter},
	{NULL},
};

/* A page is looked at when it is needed.  Sums of bytes notice no exchange. */
static const struct subject_damage damages[] = {
	{"variant=hardened," NARROW, DAMAGED_PREFIX, .lazy = true},
	{"variant=hardened," CHAINED, DAMAGED_PREFIX, .lazy = true},
	{"variant=textbook," NARROW, DAMAGED_ANYTHING, .lazy = true},
	{NULL},
};

static const char *const names[] = {"tree.pages", "pages.log", "notes.txt", "00000001.wal", NULL};

static const struct subject btree = {
	.engine = &btree_engine,
	.sources = BTREE_SOURCES,
	.options = combinations,
	.kills = kills,
	.damages = damages,
	.names = names,
	.keys = 24,
};

/* Files. */

/* The file of that name in a snapshot. */
static size_t file_in(const struct snapshot *snapshot, const char *name)
{
	size_t i = 0;
	while (i < snapshot->n && strcmp(snapshot->files[i].name, name))
		i++;
	ck_assert_msg(i < snapshot->n, "there is no %s", name);
	return i;
}

struct shape {
	unsigned int height, pages, free;
};

/* What the meta page of the store says. */
static struct shape shape_of(const struct store *store)
{
	struct snapshot snapshot;
	snapshot_take(&snapshot, store->dir);
	const uint8_t *meta = snapshot.files[file_in(&snapshot, "tree.pages")].data;
	struct shape shape = {meta[21], (unsigned int)load_le(meta + 28, 4),
			      (unsigned int)load_le(meta + 36, 4)};
	snapshot_finish(&snapshot);
	return shape;
}

static int verify(struct store *store)
{
	return btree_engine.verify(store->handle, &store->error);
}

static void put_row(struct store *store, int n, const char *value)
{
	for (int i = 0; i < n; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%03d", i * 37 % n);
		ck_assert_int_eq(store_put(store, key, value), 0);
		ck_assert_msg(!verify(store), "%s", store->error.text);
	}
}

static void del_row(struct store *store, int n)
{
	for (int i = 0; i < n; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%03d", i * 11 % n);
		ck_assert_int_eq(store_del(store, key), 0);
		ck_assert_msg(!verify(store), "%s", store->error.text);
	}
}

/* The tree. */

START_TEST(the_longest_keys_and_values_are_kept_and_longer_ones_refused)
{
	struct store store;
	struct engine_bytes got;
	char *bytes = mem_alloc(VALUE_MAX + 1, 1);
	memset(bytes, 'x', VALUE_MAX + 1);
	store_init(&store, &btree_engine, combinations[_i]);
	ck_assert(store_open(&store));
	struct engine_bytes key = {bytes, KEY_MAX}, value = {bytes, VALUE_MAX};
	ck_assert_int_eq(btree_engine.put(store.handle, key, value, &store.error), 0);
	key.length++;
	ck_assert_int_eq(btree_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a key has at most 1024 bytes, not 1025");
	key.length--, value.length++;
	ck_assert_int_eq(btree_engine.put(store.handle, key, value, &store.error), -1);
	ck_assert_str_eq(store.error.text, "a value has at most 1048576 bytes, not 1048577");
	ck_assert_int_eq(store_put(&store, "a", "b"), 0); /* refusals are no failures */
	ck_assert_int_eq(store_reopen(&store), 0);
	ck_assert_int_eq(btree_engine.get(store.handle, key, &got, &store.error), 1);
	ck_assert_uint_eq(got.length, VALUE_MAX);
	ck_assert_mem_eq(got.data, bytes, VALUE_MAX);
	ck_assert_int_eq(verify(&store), 0);
	store_finish(&store);
	free(bytes);
}
END_TEST

/* A page has room for three such entries: splits go by bytes, not by fanout. */
START_TEST(pages_are_split_when_their_bytes_are_too_many)
{
	char key[KEY_MAX], value[256];
	struct store store;
	store_init(&store, &btree_engine, "fanout=64,inline_bytes=256");
	memset(key, 'k', sizeof key);
	memset(value, 'v', sizeof value);
	ck_assert(store_open(&store));
	for (int i = 0; i < 120; i++) {
		size_t n = i % 3 ? sizeof key : 8; /* long and short ones */
		snprintf(key, 8, "%03d", i * 7 % 120);
		key[3] = 'k';
		struct engine_bytes k = {key, n}, v = {value, sizeof value};
		ck_assert_int_eq(btree_engine.put(store.handle, k, v, &store.error), 0);
		ck_assert_msg(!verify(&store), "%s", store.error.text);
	}
	ck_assert_uint_eq(store_count(&store), 120);
	ck_assert_uint_ge(shape_of(&store).height, 4);
	store_finish(&store);
}
END_TEST

START_TEST(the_tree_grows_and_shrinks_and_pages_are_used_again)
{
	struct store store;
	char value[300];
	memset(value, 'v', sizeof value);
	value[sizeof value - 1] = '\0';
	store_init(&store, &btree_engine, _i ? "fanout=3" : "fanout=4,variant=textbook");
	ck_assert(store_open(&store));
	put_row(&store, 100, value);
	struct shape full = shape_of(&store);
	ck_assert(full.height >= 4 && !full.free);
	del_row(&store, 100);
	struct shape empty = shape_of(&store);
	ck_assert_uint_eq(empty.height, 1);
	ck_assert_uint_eq(empty.pages, full.pages);
	ck_assert_uint_eq(empty.free, full.pages - 2); /* all but meta page and root */
	put_row(&store, 100, value);
	ck_assert_uint_eq(shape_of(&store).pages, full.pages);
	store_finish(&store);
}
END_TEST

START_TEST(a_value_that_is_replaced_gives_its_pages_to_the_next_one)
{
	struct store store;
	char value[20001];
	memset(value, 'v', sizeof value);
	value[20000] = '\0';
	store_init(&store, &btree_engine, "");
	ck_assert(store_open(&store) && !store_put(&store, "a", value));
	ck_assert_uint_eq(shape_of(&store).pages, 2 + 5);
	value[0] = 'w';
	ck_assert(!store_put(&store, "a", value) && store_has(&store, "a", value));
	ck_assert(!store_put(&store, "a", "short") && store_has(&store, "a", "short"));
	ck_assert_uint_eq(shape_of(&store).free, 5);
	ck_assert_uint_eq(shape_of(&store).pages, 2 + 5);
	ck_assert(!store_reopen(&store) && store_has(&store, "a", "short"));
	store_finish(&store);
}
END_TEST

/* The log. */

/* Runs the plan up to the n-th time that the point is passed, and dies there; the
 * files that this leaves. */
static size_t die(struct store *store, struct plan *plan, const char *point, uint64_t n,
		  struct snapshot *snapshot)
{
	size_t ended;
	plan_make(plan, &btree, 3, 60, WITHOUT(REOPEN) | WITHOUT(SYNC) | WITHOUT(COMPACT));
	ck_assert(plan_kill(plan, store, point, n, NULL, &ended));
	snapshot_take(snapshot, store->dir);
	return ended;
}

START_TEST(log_entries_and_pages_have_the_checksums_that_their_format_says)
{
	struct store store;
	struct snapshot snapshot;
	static struct plan plan;
	size_t pages = 0, commits = 0;
	store_init(&store, &btree_engine, "log_bytes=1000000");
	die(&store, &plan, "btree/commit/written", 30, &snapshot);
	size_t log = file_in(&snapshot, "pages.log");
	uint32_t checksum = 0;
	const uint8_t *p = snapshot.files[log].data, *end = p + snapshot.files[log].size;
	while (p < end) {
		size_t length = load_le(p + 16, 4);
		checksum = io_crc32c(checksum, p + 4, 16 + length);
		ck_assert_uint_eq(load_le(p, 4), checksum);
		ck_assert_uint_eq(load_le(p + 8, 8), commits + 1);
		pages++;
		if (load_le(p + 4, 4) == UINT32_MAX) {
			ck_assert_uint_eq(load_le(p + 20, 4), pages - 1);
			checksum = 0, pages = 0, commits++;
		}
		p += (20 + length + SECTOR - 1) / SECTOR * SECTOR;
	}
	ck_assert_uint_eq(commits, 30);
	size_t data = file_in(&snapshot, "tree.pages");
	for (uint32_t i = 0; i < snapshot.files[data].size / PAGE; i++) {
		uint8_t number[4];
		store_le(number, i, 4);
		p = snapshot.files[data].data + (size_t)i * PAGE;
		checksum = io_crc32c(io_crc32c(0, number, 4), p + 4, PAGE - 4);
		ck_assert_uint_eq(load_le(p, 4), checksum);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* Whether the store opens and shows what it should: all that was acknowledged. */
static void check_whole(struct store *store, const struct plan *plan, size_t ended)
{
	ck_assert_msg(store_open(store), "%s", store->error.text);
	ck_assert_msg(!verify(store), "%s", store->error.text);
	ck_assert_int_ge(plan_prefix(plan, store, ended + 1), (int)ended);
	ck_assert_int_eq(store_close(store), 0);
}

/* Whether it shows nothing but a prefix, or is refused; *opened counts. */
static void check_prefix(struct store *store, const struct plan *plan, size_t *opened)
{
	if (!store_open(store))
		return;
	++*opened;
	ck_assert_msg(!verify(store), "%s", store->error.text);
	ck_assert_int_ge(plan_prefix(plan, store, plan->n), 0);
	store_close(store);
}

/* With the log whole, no page in the data file matters that a checkpoint has not
 * made durable. */
START_TEST(pages_that_are_lost_or_torn_come_back_from_the_log)
{
	struct store store;
	struct snapshot snapshot;
	static struct plan plan;
	store_init(&store, &btree_engine, "log_bytes=1000000");
	size_t ended = die(&store, &plan, "btree/commit/written", 40, &snapshot);
	size_t data = file_in(&snapshot, "tree.pages"), size = snapshot.files[data].size;
	for (size_t at = 0; at < size; at += SECTOR) {
		memset(snapshot.files[data].data + at, 0, SECTOR);
		snapshot_restore(&snapshot, store.dir);
		check_whole(&store, &plan, ended);
	}
	for (; size; size -= PAGE) {
		snapshot.files[data].size = size - PAGE;
		snapshot_restore(&snapshot, store.dir);
		check_whole(&store, &plan, ended);
	}
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

/* A log that lost its end, or anything else that the data file already has, is
 * refused: replaying the rest would take pages back. */
START_TEST(a_log_that_is_cut_or_altered_gives_a_prefix_or_an_error)
{
	struct store store;
	struct snapshot snapshot;
	static struct plan plan;
	size_t opened = 0, tried = 0;
	store_init(&store, &btree_engine, "log_bytes=1000000,fanout=3");
	die(&store, &plan, "btree/commit/flushed", _i ? 11 : 14, &snapshot);
	size_t log = file_in(&snapshot, "pages.log"), size = snapshot.files[log].size;
	ck_assert_uint_ge(size, (size_t)5 * SECTOR);
	for (size_t at = 0; at < size; at += at % SECTOR < 24 ? 1 : 97) {
		snapshot.files[log].size = at;
		snapshot_restore(&snapshot, store.dir);
		check_prefix(&store, &plan, &opened);
		snapshot.files[log].size = size;
		snapshot.files[log].data[at] ^= 0x10;
		snapshot_restore(&snapshot, store.dir);
		check_prefix(&store, &plan, &opened);
		snapshot.files[log].data[at] ^= 0x10;
		tried += 2;
	}
	ck_assert(opened > 0 && opened < tried);
	snapshot_finish(&snapshot);
	store_finish(&store);
}
END_TEST

START_TEST(a_log_of_another_time_is_refused)
{
	struct store store;
	struct snapshot early, late;
	static struct plan plan;
	store_init(&store, &btree_engine, _i ? "log_bytes=0" : "log_bytes=1000000");
	die(&store, &plan, "btree/commit/synced", _i ? 20 : 10, &early);
	die(&store, &plan, "btree/commit/synced", _i ? 25 : 15, &late);
	size_t log = file_in(&early, "pages.log");
	const struct snapshot *data = _i ? &early : &late, *other = _i ? &late : &early;
	snapshot_restore(data, store.dir);
	files_write(store.dir, "pages.log", other->files[log].data, other->files[log].size);
	ck_assert(!store_open(&store));
	ck_assert_str_eq(
		store.error.text,
		_i ? "damaged: the log has transactions 25 to 25, the data file is as of 19"
		   : "damaged: the log has transactions 1 to 10, the data file is as of 14");
	snapshot_finish(&early);
	snapshot_finish(&late);
	store_finish(&store);
}
END_TEST

START_TEST(opening_as_the_other_variant_is_refused_and_harmless)
{
	struct store store;
	static const char *const variants[] = {"variant=hardened", "variant=textbook"};
	const char *mine = variants[_i], *other = variants[!_i];
	char text[100];
	store_init(&store, &btree_engine, mine);
	ck_assert(store_open(&store) && !store_put(&store, "a", "b") && !store_close(&store));
	store_options(&store, other);
	ck_assert(!store_open(&store));
	snprintf(text, sizeof text, "this store was made with %s", mine);
	ck_assert_str_eq(store.error.text, text);
	store_options(&store, mine);
	ck_assert(store_open(&store) && store_has(&store, "a", "b"));
	store_finish(&store);
}
END_TEST

static void add_own(TCase *cases)
{
	tcase_add_loop_test(cases, the_longest_keys_and_values_are_kept_and_longer_ones_refused, 0,
			    6);
	tcase_add_test(cases, pages_are_split_when_their_bytes_are_too_many);
	tcase_add_loop_test(cases, the_tree_grows_and_shrinks_and_pages_are_used_again, 0, 2);
	tcase_add_test(cases, a_value_that_is_replaced_gives_its_pages_to_the_next_one);
	tcase_add_test(cases, log_entries_and_pages_have_the_checksums_that_their_format_says);
	tcase_add_test(cases, pages_that_are_lost_or_torn_come_back_from_the_log);
	tcase_add_loop_test(cases, a_log_that_is_cut_or_altered_gives_a_prefix_or_an_error, 0, 2);
	tcase_add_loop_test(cases, a_log_of_another_time_is_refused, 0, 2);
	tcase_add_loop_test(cases, opening_as_the_other_variant_is_refused_and_harmless, 0, 2);
}

int main(void)
{
	return subject_run(&btree, add_own);
}
