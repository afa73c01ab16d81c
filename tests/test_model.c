/* The model against the rules in their plainest form (lib_reference.h): the
 * same crash states at every point of thousands of random traces, under every
 * profile.  Then single rules by hand. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "lib_reference.h"
#include "lib_traces.h"
#include "mem.h"
#include "trace_text.h"

enum { PROFILES = 9 };

/* ---- against the reference ---- */

struct compared {
	const char *text;
	const struct profile *profile;
	uint64_t points, states;
};

static void explain_key(const struct ops *ops, const uint32_t *key, struct buf *out)
{
	for (uint32_t i = 0; i < ops->n_objects; i++) {
		const struct object *o = &ops->objects[i];
		if (o->kind == OBJECT_ENTRY)
			buf_printf(out, " entry %u/%s", o->ino, o->name);
		else
			buf_printf(out, o->kind == OBJECT_SIZE ? " size #%u" : " data #%u:%u",
				   o->ino, o->block);
		buf_printf(out, "=%d", (int)key[i]);
	}
	buf_printf(out, " tear %d %u %x", (int)key[ops->n_objects], key[ops->n_objects + 1],
		   key[ops->n_objects + 2]);
}

static void fail_at(const struct compared *c, const struct reference *r, const struct ops *ops,
		    const uint32_t *key, const char *what)
{
	struct buf out = {0};
	explain_key(ops, key, &out);
	ck_abort_msg("%s at point %u of\n%s%s:%s", c->profile->name, reference_point(r), c->text,
		     what, buf_text(&out));
}

static int find_key(const uint32_t *keys, size_t n, size_t words, const uint32_t *key)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = memcmp(keys + middle * words, key, words * sizeof *key);
		if (order == 0)
			return (int)middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static void compare_point(struct compared *c, struct model *model, const struct reference *r)
{
	const struct ops *ops = model_ops(model);
	size_t n, words = reference_key_words(r), found = 0;
	const uint32_t *keys = reference_keys(r, &n);
	uint32_t *key = mem_alloc(words, sizeof *key);
	bool *seen = mem_alloc(n, sizeof *seen);
	struct state state;
	struct count count = model_count(model, 100000000);
	struct chooser *chooser = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(chooser, &state)) {
		reference_key(r, &state, key);
		int at = find_key(keys, n, words, key);
		if (at < 0)
			fail_at(c, r, ops, key, "the model has a state too many");
		if (seen[at])
			fail_at(c, r, ops, key, "the model has a state twice");
		seen[at] = true;
		found++;
	}
	chooser_destroy(chooser);
	for (size_t i = 0; found < n && i < n; i++)
		if (!seen[i])
			fail_at(c, r, ops, keys + i * words, "the model lacks a state");
	ck_assert_msg(count.exact && count.states == n,
		      "%s at point %u: %s%lu counted of %zu in\n%s", c->profile->name,
		      reference_point(r), count.exact ? "" : "inexact ",
		      (unsigned long)count.states, n, c->text);
	c->points++;
	c->states += n;
	free(key);
	free(seen);
}

static void compare_trace(struct compared *c, const struct ops *ops)
{
	struct model *model = model_create(ops, c->profile);
	struct reference *r = reference_create(ops, c->profile);
	do {
		while (model_point(model) < reference_point(r))
			ck_assert(model_advance(model));
		ck_assert_uint_eq(model_point(model), reference_point(r));
		if (!reference_lost(r))
			compare_point(c, model, r);
	} while (reference_advance(r));
	reference_destroy(r);
	model_destroy(model);
}

static void compare_random(const struct profile *profile, unsigned mix, unsigned calls,
			   bool threads, unsigned rounds, uint64_t seed)
{
	struct compared c = {.profile = profile};
	for (unsigned i = 0; i < traces_rounds(rounds); i++) {
		struct prng prng;
		prng_init(&prng, seed * 1000003 + i);
		char *text = traces_random(&prng, calls, mix);
		struct traces_lowered l =
			threads ? traces_lower_threads(text, &prng) : traces_lower(text);
		c.text = text;
		compare_trace(&c, l.ops);
		traces_release(&l);
		free(text);
	}
	ck_assert_uint_ge(c.points, rounds);
}

START_TEST(writes_and_syncs_match_the_rules)
{
	compare_random(&profile_table[_i],
		       TRACES_WRITES | TRACES_RANGES | TRACES_SYNCS | TRACES_SMALL, 8, false, 60,
		       1);
}
END_TEST

START_TEST(names_and_syncs_match_the_rules)
{
	compare_random(&profile_table[_i], TRACES_NAMES | TRACES_LINKS | TRACES_SYNCS, 10, false,
		       60, 2);
}
END_TEST

START_TEST(directories_match_the_rules)
{
	compare_random(&profile_table[_i], TRACES_NAMES | TRACES_DIRECTORIES | TRACES_SYNCS, 10,
		       false, 60, 3);
}
END_TEST

START_TEST(everything_matches_the_rules)
{
	compare_random(&profile_table[_i], TRACES_ALL | TRACES_SMALL, 9, false, 60, 4);
}
END_TEST

START_TEST(wide_writes_match_the_rules)
{
	bool tears = profile_table[_i].tears;
	compare_random(&profile_table[_i], TRACES_ALL, tears ? 3 : 6, false, tears ? 10 : 60, 5);
}
END_TEST

START_TEST(threads_match_the_rules)
{
	compare_random(&profile_table[_i], TRACES_ALL | TRACES_SMALL, 9, true, 60, 6);
}
END_TEST

START_TEST(stores_and_msync_match_the_rules)
{
	unsigned mix = TRACES_STORES | TRACES_SMALL;
	compare_random(&profile_table[_i], mix | TRACES_WRITES | TRACES_SYNCS, 7, false, 60, 8);
	compare_random(&profile_table[_i], mix | TRACES_ALL, 8, false, 30, 9);
	compare_random(&profile_table[_i], mix | TRACES_ALL, 8, true, 30, 10);
}
END_TEST

START_TEST(replacing_by_rename_matches_the_rules)
{
	compare_random(&profile_table[_i],
		       TRACES_NAMES | TRACES_WRITES | TRACES_SYNCS | TRACES_SMALL, 8, false, 60, 7);
}
END_TEST

/* ---- one profile within another ---- */

static void check_within(const struct ops *ops, const struct profile *a, const struct profile *b,
			 const char *text)
{
	struct reference *inner = reference_create(ops, a), *outer = reference_create(ops, b);
	size_t words = reference_key_words(inner);
	do {
		size_t n_in, n_out;
		const uint32_t *in = reference_keys(inner, &n_in);
		const uint32_t *out = reference_keys(outer, &n_out);
		for (size_t i = 0; i < n_in && !reference_lost(outer); i++)
			ck_assert_msg(find_key(out, n_out, words, in + i * words) >= 0,
				      "%s is not within %s at point %u of\n%s", a->name, b->name,
				      reference_point(inner), text);
	} while (reference_advance(inner) && reference_advance(outer));
	reference_destroy(inner);
	reference_destroy(outer);
}

START_TEST(what_is_within_a_profile_has_no_other_states)
{
	const struct profile *a = &profile_table[_i];
	/* btrfs is within posix but for states in which the names of a file part (M9), and for
	 * files without any. */
	unsigned mix = a->rename_splits ? TRACES_ALL & ~(TRACES_DIRECTORIES | TRACES_NAMES)
					: TRACES_ALL;
	for (unsigned i = 0; i < traces_rounds(40); i++) {
		struct prng prng;
		prng_init(&prng, i * 7919 + 11);
		unsigned stores = i % 3 ? 0 : TRACES_STORES;
		char *text = traces_random(&prng, 9, mix | stores | TRACES_SMALL);
		struct traces_lowered l =
			i % 4 ? traces_lower(text) : traces_lower_threads(text, &prng);
		for (const struct profile *b = profile_table; b->name; b++)
			if (a != b && profile_within(a, b))
				check_within(l.ops, a, b, text);
		traces_release(&l);
		free(text);
	}
}
END_TEST

static bool within(const char *a, const char *b)
{
	return profile_within(profile_find(a), profile_find(b));
}

START_TEST(profiles_are_ordered_as_the_design_says)
{
	for (const struct profile *p = profile_table; p->name; p++) {
		ck_assert(profile_within(p, p));
		ck_assert(within("kill", p->name));
		ck_assert(within(p->name, "posix"));
		ck_assert(!p->file_system || within("ideal", p->name));
		ck_assert(!p->file_system || !within("posix-dir", p->name));
	}
	ck_assert(within("ext4-lock", "ext4") && within("ext4", "ext4-noda"));
	ck_assert(within("posix-dir", "posix") && within("ext4", "posix-dir"));
	ck_assert(!within("ext4", "ext4-lock") && !within("ext4", "xfs"));
	ck_assert(!within("btrfs", "posix-dir") && !within("btrfs", "ext4"));
	ck_assert_ptr_null(profile_find("zfs"));
}
END_TEST

/* ---- single rules ---- */

enum question { NO, YES };

struct putting {
	const struct image *image;
	struct buf *out;
};

/* "path=x*3+0*5", one after the other. */
static int put_file(void *arg, const char *path, uint32_t ino)
{
	struct putting *p = arg;
	uint64_t size = image_size(p->image, ino);
	char *bytes = mem_alloc(size, 1);
	image_read(p->image, ino, 0, bytes, size);
	buf_printf(p->out, "%s%s", p->out->len ? " " : "", path);
	/* Runs of one byte: x*3. */
	for (uint64_t i = 0, k; i < size; i = k) {
		for (k = i; k < size && bytes[k] == bytes[i]; k++)
			continue;
		buf_printf(p->out, "%c%c*%u", i ? '+' : '=', bytes[i] ? bytes[i] : '0',
			   (unsigned)(k - i));
	}
	free(bytes);
	return 0;
}

/* The trees of all states after the last call, each on a line between line
 * breaks.  Caller frees. */
static char *trees(const char *profile, const char *calls)
{
	struct traces_lowered l = traces_lower(calls);
	struct model *model = model_create(l.ops, profile_find(profile));
	struct image *image = image_create(l.ops);
	struct buf out = {0};
	struct state state;
	while (model_advance(model))
		continue;
	buf_byte(&out, '\n');
	struct chooser *c = chooser_create(model, CHOOSE_EXHAUSTIVE, NONE, 0, 0);
	while (chooser_next(c, &state)) {
		struct buf tree = {0};
		struct putting p = {image, &tree};
		image_goto(image, &state);
		image_walk(image, put_file, &p);
		buf_printf(&out, "%s\n", buf_text(&tree));
		buf_finish(&tree);
	}
	chooser_destroy(c);
	image_destroy(image);
	model_destroy(model);
	traces_release(&l);
	buf_text(&out);
	return out.data;
}

static void ask(const char *profile, const char *calls, const char *tree, enum question expected)
{
	char *all = trees(profile, calls), *line = mem_printf("\n%s\n", tree);
	ck_assert_msg((strstr(all, line) != NULL) == (expected == YES),
		      "%s: %s should %sbe among the states of\n%s:%s", profile, tree,
		      expected ? "" : "not ", calls, all);
	free(all);
	free(line);
}

/* The same answer under every profile; kill has one state, so it cannot say yes
 * to all. */
static void ask_all(const char *calls, const char *tree, enum question expected)
{
	for (const struct profile *p = profile_table; p->name; p++)
		if (p->order != ORDER_ISSUED || expected == NO)
			ask(p->name, calls, tree, expected);
}

#define LINKED "start-file f a*10\nstart-link g f\n"

START_TEST(fsync_through_another_hard_link_covers_the_file)
{
	ask_all(LINKED "write f 0 b*10\nfsync g", "f=a*10 g=a*10", NO);
	ask("posix", LINKED "write f 0 b*10", "f=a*10 g=a*10", YES);
}
END_TEST

START_TEST(a_lost_unlink_shows_the_bytes_written_after_it)
{
	ask("posix", "start-file f a*10\nunlink f\nwrite #2 0 b*10", "f=b*10", YES);
	ask("ext4", "start-file f a*10\nunlink f\nwrite #2 0 b*10", "f=b*10", YES);
	ask_all("start-file f a*10\nunlink f\nwrite #2 0 b*10\nfsync .", "f=b*10", NO);
}
END_TEST

START_TEST(rename_over_then_write_goes_to_the_file_that_was_moved)
{
	const char *calls = "start-file f a*10\nstart-file t b*10\nrename t f\nwrite f 0 c*10";
	ask("posix", calls, "f=a*10 t=c*10", YES);
	ask("posix", calls, "f=c*10", YES);
	ask("posix", calls, "f=c*10 t=c*10", NO);
}
END_TEST

START_TEST(rmdir_needs_its_unlinks)
{
	const char *calls = "start-dir d\nstart-file d/x\nunlink d/x\nrmdir d";
	ask("posix", calls, "d", YES);
	ask("posix", calls, "d d/x", YES);
	ask("posix", calls, "", YES);
	ask("posix", "start-dir d\nstart-file d/x\nunlink d/x\nrmdir d\nfsync .", "", YES);
	ask("posix", "start-dir d\nstart-file d/x\nunlink d/x\nrmdir d\nfsync .", "d d/x", NO);
}
END_TEST

START_TEST(a_synchronous_write_covers_its_own_range_only)
{
	const char *calls = "start-file f a*8192\nwrite f 0 b*4096\ndsync-write f 4096 c*4096";
	ask("posix", calls, "f=a*4096+c*4096", YES);
	ask("posix", calls, "f=b*4096+c*4096", YES);
	ask_all(calls, "f=b*4096+a*4096", NO);
	ask("ideal", calls, "f=a*4096+c*4096", NO);
	ask_all("start-file f\nsync-write f 0 c*10", "f", NO);
}
END_TEST

START_TEST(msync_covers_its_own_range_only)
{
	const char *calls =
		"start-file f a*8192\nstore f 0 b*4096\nstore f 4096 c*4096\nmsync f 4096 4096";
	ask("posix", calls, "f=a*4096+c*4096", YES);
	ask("posix", calls, "f=b*4096+c*4096", YES);
	ask_all(calls, "f=b*4096+a*4096", NO);
	ask("ideal", calls, "f=a*4096+c*4096", NO);
}
END_TEST

START_TEST(msync_makes_its_range_readable)
{
	/* What cut the range, or let it grow, is on disk with it; what did not touch it need
	 * not be. */
	const char *grown = "start-file f a*4096\ntruncate f 12288\nstore f 4096 b*4096\n";
	char *first = mem_printf("%smsync f 4096 4096", grown);
	ask_all(first, "f=a*4096", NO);
	ask_all(first, "f=a*4096+0*8192", NO);
	free(first);
	ask_all("start-file f a*8192\nzero f 0 4096\nmsync f 0 4096", "f=a*8192", NO);
	ask("posix", "start-file f a*8192\nzero f 0 4096\nmsync f 4096 4096", "f=a*8192", YES);
	ask("posix", "start-file f a*8192\ntruncate f 4096\nmsync f 0 4096", "f=a*8192", YES);
	ask_all("start-file f a*8192\ntruncate f 100\ntruncate f 8192\nmsync f 0 4096", "f=a*8192",
		NO);
}
END_TEST

START_TEST(msync_is_an_fdatasync_of_names)
{
	const char *calls = "creat f\ntruncate f 4096\nmsync f 0 4096";
	ask("ext4", calls, "", NO);
	ask("posix", calls, "", YES);
}
END_TEST

/* Nobody saw one of the two stores without the other: neither a kill nor a disk that
 * keeps the order may show it.  Other disks may. */
START_TEST(stores_of_one_look_have_no_order)
{
	const char *calls = "start-file f a*8192\nstore f 0 b*4096\nstore-too f 4096 c*4096";
	static const char *const halves[] = {"f=b*4096+a*4096", "f=a*4096+c*4096"};
	for (int i = 0; i < 2; i++) {
		ask("kill", calls, halves[i], NO);
		ask("ideal", calls, halves[i], NO);
		ask("ext4", calls, halves[i], YES);
	}
	ask("ideal", calls, "f=a*8192", YES);
	ask("ideal", "start-file f a*8192\nstore f 0 b*4096\nstore f 4096 c*4096", halves[0], YES);
	struct traces_lowered l = traces_lower(calls);
	struct model *model = model_create(l.ops, profile_find("kill"));
	ck_assert(model_advance(model));
	ck_assert_uint_eq(model_point(model), 2);
	ck_assert(!model_advance(model));
	model_destroy(model);
	traces_release(&l);
}
END_TEST

START_TEST(a_synchronous_write_of_nothing_syncs_nothing)
{
	ask("ideal", "start-file f\nstart-file g a*10\nwrite g 0 b*10\nsync-write f 0 b*0",
	    "f g=a*10", YES);
	ask("xfs", "start-file f\nunlink f\ncreat g\nsync-write g 0 b*0", "f", YES);
}
END_TEST

START_TEST(old_bytes_never_come_back)
{
	ask_all("start-file f o*9000\ntruncate f 100\ntruncate f 9000", "f=o*9000", YES);
	ask_all("start-file f o*9000\ntruncate f 100\ntruncate f 9000\nfsync f", "f=o*100+0*8900",
		YES);
	ask("posix", "start-file f o*1024\ntruncate f 0\nwrite f 0 n*1024", "f=n*512+o*512", NO);
	ask("posix", "start-file f o*1024\ntruncate f 0\nwrite f 0 n*1024", "f=n*512+0*512", YES);
	ask("posix", "start-file f o*8192\nzero f 0 4096 keep\nwrite f 8000 n*192",
	    "f=0*4096+o*3904+n*192", YES);
	ask("posix", "start-file f o*4096\nzero f 0 4096\nwrite f 0 n*4096", "f=n*512+o*3584", NO);
}
END_TEST

/* What real file systems were seen to do with a block that keeps its place. */
START_TEST(zeros_in_a_part_of_a_block_are_data)
{
	const char *cut = "start-file f o*4096\ntruncate f 100", *before = "f=o*100+0*3996";
	ask("ext4", cut, before, YES);
	ask("xfs", cut, before, YES);
	ask("posix", cut, before, YES);
	ask("btrfs", cut, before, NO);
	ask("ideal", cut, before, NO);
	ask("kill", cut, before, NO);
	const char *punched = "start-file f o*10\nzero f 0 5 keep\ncreat g";
	ask("btrfs", punched, "f=o*10 g", YES);
	ask("ext4", punched, "f=o*10 g", NO);
	ask("xfs", punched, "f=0*5+o*5", YES);
	ask("xfs", punched, "f=o*10 g", YES);
	ask("posix", "start-file f o*1024\nzero f 0 1024\nwrite f 0 n*1024", "f=n*512+o*512", YES);
}
END_TEST

START_TEST(sync_of_xfs_flushes_its_log)
{
	const char *in_place = "start-file f o*10\nwrite f 0 n*10\nsync";
	ask("xfs", in_place, "f=o*10", YES);
	ask("ext4", in_place, "f=o*10", NO);
	ask("btrfs", in_place, "f=o*10", NO);
	ask_all("creat f\nappend f n*10\nsync", "f=0*10", NO);
	ask_all("creat f\nappend f n*10\nsync", "f", NO);
}
END_TEST

START_TEST(btrfs_logs_no_file_without_a_name)
{
	const char *calls = "start-file f o*10\nunlink f\nwrite #2 0 n*10\nfsync #2";
	ask("btrfs", calls, "f=o*10", YES);
	ask("ext4", calls, "f=o*10", NO);
	/* A name that it gets later comes after what was synced. */
	ask_all("tmpfile\nwrite #2 0 n*10\nfsync #2\nlink #2 f", "f=0*10", NO);
	ask_all("tmpfile\nwrite #2 0 n*10\nfsync #2\nlink #2 f", "f", NO);
}
END_TEST

START_TEST(fsync_of_xfs_knows_no_exchange)
{
	const char *calls = "start-file f o*10\nstart-file g p*5\nexchange f g\nfsync f";
	ask("xfs", calls, "f=o*10 g=p*5", YES);
	ask("ext4", calls, "f=o*10 g=p*5", NO);
}
END_TEST

START_TEST(names_of_a_logged_file_overtake)
{
	ask("btrfs", "creat a\ncreat f\nfsync f\nlink f e", "e f", YES);
	ask("btrfs", "creat a\ncreat f\nlink f e", "e f", NO);
	ask("btrfs", "creat a\ncreat f\nfsync f\nlink f e\ncreat g", "a f g", NO);
	ask("btrfs", "creat d\nfsync d\nfallocate d 0 1\nrename d f", "f", YES);
	ask("ext4", "creat d\nfsync d\nfallocate d 0 1\nrename d f", "f", NO);
}
END_TEST

START_TEST(a_write_behind_the_last_block_grows_that_first)
{
	const char *calls = "start-file f a*1\nwrite f 4096 b*1";
	ask("xfs", calls, "f=a*1+0*4095", YES);
	ask("ideal", calls, "f=a*1+0*4095", NO);
	ask("kill", calls, "f=a*1+0*4095", NO);
}
END_TEST

/* A file's fsync takes along neither later changes of names above it nor, where it
 * overtakes, those of directories that are not new. */
START_TEST(names_above_a_file_come_with_older_changes)
{
	const char *moved = "start-dir d\nstart-file d/f\nrename d e\nfsync e/f";
	ask("ext4", moved, "d d/f", YES);
	ask("btrfs", moved, "d d/f", YES);
	ask("ext4", "start-dir d\nrename d e\ncreat e/f\nfsync e/f", "d d/f", NO);
	ask("btrfs", "start-dir d\nrename d e\ncreat e/f\nfsync e/f", "d d/f", YES);
	ask("btrfs", "mkdir d\nrename d e\ncreat e/f\nfsync e/f", "d d/f", YES);
	ask("btrfs", "mkdir d\ncreat d/f\nfsync d/f", "d", NO);
	/* What the name was before may stay elsewhere. */
	ask("btrfs", "start-file b o*3\nrename b d\ncreat f\nrename f d\nfsync d", "b=o*3 d", YES);
	ask("ext4", "start-file b o*3\nrename b d\ncreat f\nrename f d\nfsync d", "b=o*3 d", NO);
}
END_TEST

START_TEST(truncate_then_write_in_any_order_of_the_disk)
{
	const char *calls = "start-file f o*10\ntruncate f 0\nwrite f 0 n*5";
	ask("posix", calls, "f=o*10", YES);
	ask("posix", calls, "f", YES);
	ask("posix", calls, "f=0*5", YES);
	ask("posix", calls, "f=n*5", YES);
	ask("posix", calls, "f=n*5+o*5", NO);
	ask("posix", calls, "f=o*5", NO);
}
END_TEST

START_TEST(an_exchange_is_one_group)
{
	const char *calls = "start-dir d\nstart-file a x*1\nstart-file d/b y*1\nexchange a d/b";
	ask_all(calls, "a=y*1 d d/b=x*1", YES);
	ask_all(calls, "a=y*1 d d/b=y*1", NO);
	ask_all(calls, "a=x*1 d d/b=x*1", NO);
	/* Not even on btrfs, where a plain rename may leave both names. */
	ask("btrfs", "start-dir d\nstart-file a x*1\nstart-file d/b y*1\nexchange a d/b\nfsync d",
	    "a=x*1 d d/b=x*1", NO);
}
END_TEST

START_TEST(sync_covers_everything)
{
	const char *calls = "start-file f a*10\nwrite f 0 b*10\ncreat g\nsync";
	char *all = trees("ext4", calls);
	ck_assert_str_eq(all, "\nf=b*10 g\n");
	free(all);
}
END_TEST

/* The second write had not returned when the fsync was entered. */
START_TEST(a_sync_covers_only_what_had_returned_when_it_was_entered)
{
	struct traces_lowered l;
	struct err err;
	ck_assert_int_eq(
		trace_parse("start-file f a*20\nwrite f 0 b*10\nwrite f 5000 c*10\nfsync f", "t",
			    &l.trace, &err),
		0);
	l.trace->events[2].entered = 1;
	trace_seal(l.trace);
	ck_assert_int_eq(ops_lower(l.trace, &l.ops, &err), 0);
	struct model *model = model_create(l.ops, profile_find("posix"));
	while (model_advance(model))
		continue;
	uint32_t first = ops_block_object(l.ops, 2, 0), second = ops_block_object(l.ops, 2, 1);
	ck_assert_uint_eq(model_low(model, first), 1);
	ck_assert_uint_eq(model_low(model, second), 0);
	ck_assert_uint_eq(model_high(model, second), 1);
	model_destroy(model);
	traces_release(&l);
}
END_TEST

/* A size whose data is missing may be the floor of a sync of other bytes: then
 * M5 asks for the data all the same. */
START_TEST(a_floor_under_a_size_brings_its_data)
{
	const char *calls = "start-file f\nwrite f 8192 a*10\ndsync-write f 0 b*10";
	ask("xfs", calls, "f=b*10+0*8192", NO);
	ask("xfs", calls, "f=b*10+0*8182+a*10", YES);
	ask("ext4", calls, "f=b*10+0*8192", YES);
}
END_TEST

START_TEST(counting_with_too_little_work_gives_a_lower_bound)
{
	struct buf text = {0};
	for (int i = 0; i < 6; i++)
		buf_printf(&text, "creat f%d\ncreat g%d\nrename f%d h%d\n", i, i, i, i);
	struct traces_lowered l = traces_lower(buf_text(&text));
	struct model *model = model_create(l.ops, profile_find("posix"));
	while (model_advance(model))
		continue;
	struct count exact = model_count(model, 0);
	ck_assert(exact.exact);
	bool was_exact = false;
	for (uint64_t work = 1; work < 400; work++) {
		struct count some = model_count(model, work);
		ck_assert_uint_ge(some.states, 1);
		ck_assert_uint_le(some.states, exact.states);
		ck_assert(!some.exact || some.states == exact.states);
		ck_assert(some.exact || !was_exact);
		was_exact = some.exact;
	}
	ck_assert(was_exact);
	model_destroy(model);
	traces_release(&l);
	buf_finish(&text);
}
END_TEST

START_TEST(counts_beyond_64_bits_are_lower_bounds)
{
	struct buf text = {0};
	for (int i = 0; i < 70; i++)
		buf_printf(&text, "creat f%d\n", i);
	struct traces_lowered l = traces_lower(buf_text(&text));
	struct model *model = model_create(l.ops, profile_find("posix"));
	while (model_advance(model))
		continue;
	struct count count = model_count(model, 0);
	ck_assert(!count.exact);
	ck_assert_uint_eq(count.states, UINT64_MAX);
	model_destroy(model);
	traces_release(&l);
	buf_finish(&text);
}
END_TEST

START_TEST(a_long_chain_is_counted_exactly)
{
	struct buf text = {0};
	for (int i = 0; i < 2000; i++)
		buf_printf(&text, "creat f%d\nappend f%d x*1\n", i, i);
	struct traces_lowered l = traces_lower(buf_text(&text));
	struct model *model = model_create(l.ops, profile_find("ideal"));
	while (model_advance(model))
		continue;
	struct count count = model_count(model, 0);
	ck_assert(count.exact);
	/* Each file: not there, there, there with its byte; data alone shows nothing. */
	ck_assert_uint_eq(count.states, 2 * 2000 + 1);
	model_destroy(model);
	traces_release(&l);
	buf_finish(&text);
}
END_TEST

START_TEST(undoing_gives_back_what_was_decided)
{
	struct traces_lowered l =
		traces_lower("start-file b x*1\ncreat t\nwrite t 0 n*9000\nrename t b\nunlink b");
	struct model *model = model_create(l.ops, profile_find("ext4-lock"));
	uint32_t n, *lows = mem_alloc(l.ops->n_objects, sizeof *lows);
	while (model_advance(model))
		continue;
	const uint32_t *pending = model_pending(model, &n);
	for (uint32_t i = 0; i < l.ops->n_objects; i++)
		lows[i] = model_low(model, i);
	size_t mark = model_mark(model);
	for (uint32_t i = 0; i < n; i++)
		model_decide(model, pending[i],
			     i % 2 ? model_low(model, pending[i]) : model_high(model, pending[i]));
	for (uint32_t i = 0; i < n; i++)
		ck_assert_uint_eq(model_low(model, pending[i]), model_high(model, pending[i]));
	model_undo(model, mark);
	for (uint32_t i = 0; i < l.ops->n_objects; i++)
		ck_assert_uint_eq(model_low(model, i), lows[i]);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_uint_eq(model_high(model, pending[i]),
				  ops_newest(l.ops, pending[i], l.ops->n_steps));
	free(lows);
	model_destroy(model);
	traces_release(&l);
}
END_TEST

int main(void)
{
	TCase *random = tcase_create("random");
	tcase_add_loop_test(random, writes_and_syncs_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, names_and_syncs_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, directories_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, everything_matches_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, wide_writes_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, threads_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, stores_and_msync_match_the_rules, 0, PROFILES);
	tcase_add_loop_test(random, replacing_by_rename_matches_the_rules, 0, PROFILES);
	tcase_set_timeout(random, 600);
	TCase *rules = tcase_create("rules");
	tcase_add_loop_test(rules, what_is_within_a_profile_has_no_other_states, 0, PROFILES);
	tcase_add_test(rules, profiles_are_ordered_as_the_design_says);
	tcase_add_test(rules, fsync_through_another_hard_link_covers_the_file);
	tcase_add_test(rules, a_lost_unlink_shows_the_bytes_written_after_it);
	tcase_add_test(rules, rename_over_then_write_goes_to_the_file_that_was_moved);
	tcase_add_test(rules, rmdir_needs_its_unlinks);
	tcase_add_test(rules, a_synchronous_write_covers_its_own_range_only);
	tcase_add_test(rules, a_synchronous_write_of_nothing_syncs_nothing);
	tcase_add_test(rules, msync_covers_its_own_range_only);
	tcase_add_test(rules, msync_makes_its_range_readable);
	tcase_add_test(rules, msync_is_an_fdatasync_of_names);
	tcase_add_test(rules, stores_of_one_look_have_no_order);
	tcase_add_test(rules, old_bytes_never_come_back);
	tcase_add_test(rules, zeros_in_a_part_of_a_block_are_data);
	tcase_add_test(rules, sync_of_xfs_flushes_its_log);
	tcase_add_test(rules, btrfs_logs_no_file_without_a_name);
	tcase_add_test(rules, fsync_of_xfs_knows_no_exchange);
	tcase_add_test(rules, names_of_a_logged_file_overtake);
	tcase_add_test(rules, a_write_behind_the_last_block_grows_that_first);
	tcase_add_test(rules, names_above_a_file_come_with_older_changes);
	tcase_add_test(rules, truncate_then_write_in_any_order_of_the_disk);
	tcase_add_test(rules, an_exchange_is_one_group);
	tcase_add_test(rules, sync_covers_everything);
	tcase_add_test(rules, a_sync_covers_only_what_had_returned_when_it_was_entered);
	tcase_add_test(rules, a_floor_under_a_size_brings_its_data);
	tcase_add_test(rules, counting_with_too_little_work_gives_a_lower_bound);
	tcase_add_test(rules, counts_beyond_64_bits_are_lower_bounds);
	tcase_add_test(rules, a_long_chain_is_counted_exactly);
	tcase_add_test(rules, undoing_gives_back_what_was_decided);
	tcase_set_timeout(rules, 600);
	Suite *suite = suite_create("model");
	suite_add_tcase(suite, random);
	suite_add_tcase(suite, rules);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
