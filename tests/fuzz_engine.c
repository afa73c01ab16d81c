/* A fuzz target for libFuzzer: an engine opens a directory that the input
 * describes, and everything is tried on the store that it makes of it.  Compiled
 * with -DFUZZ_ENGINE=wal and so on; "./dev fuzz" does that.
 *
 * Errors are fine.  Crashes, leaks of memory or descriptors, and errors without
 * a text are not; and where verify approves of a store, scan and get must agree,
 * what is put must be there and what is deleted must not.  A store with the
 * checksums of the hardened variant must stay sound: without them, damage may
 * look like what the engine itself will write next.
 *
 * An input is
 *
 *   settings  u8    the lower bits choose the options, modulo their number;
 *                   CHECKSUMS_OFF: the checksum of whatever bytes is 0, so that
 *                   mutated files get past it
 *
 * and any number of pieces, each appended to the file that it names:
 *
 *   name      u8    a number in the engine's list of names, modulo its length
 *   literal   u16   bytes of data
 *   zeros     u16   zero bytes behind them
 *   data            literal bytes, or those that are left
 *
 * Integers are little-endian.  "fuzz_ENGINE --write-seeds=DIRECTORY" writes
 * inputs that describe sound stores, closed and as a kill leaves them.
 *
 * With -DFUZZ_SMOKE it is a program of its own, for any compiler, that tries the
 * seeds and some simple mutations of them.
 *
 * The program is linked with --wrap=io_crc32c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "builtin.h"
#include "bytes.h"
#include "io.h"
#include "mem.h"
#include "prng.h"

enum {
	CHECKSUMS_OFF = 0x80,
	PIECE_HEADER = 5,    /* bytes */
	IMAGE_MAX = 1 << 20, /* bytes of all files; more pieces do not count */
	NUMBERS = 64,	     /* of files with one suffix: 1 to 63 and the highest */
	RECORDS_MAX = 64,    /* that are looked at */
	ZEROS_MIN = 16,	     /* a run of as many zeros is not literal */
	SETTINGS_MAX = 4,    /* combinations of options */
	OPTIONS_MAX = 16,    /* of an engine */
};

/* ---- what is fuzzed ---- */

#define JOIN(a, b)   a##b
#define ENGINE_OF(e) JOIN(e, _engine)
static const struct engine *const engine = &ENGINE_OF(FUZZ_ENGINE);

/* Options and names of files that each engine uses. */
static const struct row {
	const char *engine;
	const char *options[SETTINGS_MAX + 1]; /* those without their fallback */
	const char *files[4];		       /* whole names */
	const char *suffixes[4];	       /* of numbered files */
} rows[] = {
	{"wal",
	 {"segment_bytes=600", "segment_bytes=256,recycle=1,sync=none",
	  "variant=textbook,segment_bytes=600,recycle=1"},
	 {NULL},
	 {"wal", "tmp", "spare"}},
	{"lsm",
	 {"memtable_bytes=500,block_bytes=100", "memtable_bytes=200,compact_at=2,sync=on-sync",
	  "variant=textbook,memtable_bytes=500,block_bytes=100"},
	 {"MANIFEST", "MANIFEST.tmp", "LOG"},
	 {"log", "sst", "tmp"}},
	{"btree",
	 {"log_bytes=60000", "inline_bytes=0,fanout=3", "variant=textbook,fanout=3",
	  "variant=textbook,inline_bytes=10"},
	 {"tree.pages", "pages.log"},
	 {NULL}},
	{"bitcask",
	 {"max_file_bytes=300", "max_file_bytes=600,merge_dead_percent=0,sync_writes=0",
	  "variant=textbook,max_file_bytes=300"},
	 {NULL},
	 {"data", "hint", "tmp"}},
};

static const struct row *row;
static struct settings {
	const char *values[OPTIONS_MAX];
	struct engine_config config;
	char *text; /* that values point into */
} settings[SETTINGS_MAX];
static size_t n_settings;
static char dir_path[200];
static int dir = -1;
static bool checksums_off;

uint32_t __wrap_io_crc32c(uint32_t crc, const void *p, size_t n);
uint32_t __real_io_crc32c(uint32_t crc, const void *p, size_t n);

uint32_t __wrap_io_crc32c(uint32_t crc, const void *p, size_t n)
{
	return checksums_off ? 0 : __real_io_crc32c(crc, p, n);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fprintf(stderr, "%s: ", engine->name);
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	abort();
}

/* ---- directories ---- */

static size_t count(const char *const *texts, size_t most)
{
	size_t n = 0;
	while (n < most && texts[n])
		n++;
	return n;
}

static size_t count_names(void)
{
	return count(row->files, 4) + NUMBERS * count(row->suffixes, 4);
}

static void name_make(size_t i, char *out, size_t room)
{
	size_t files = count(row->files, 4);
	if (i < files) {
		snprintf(out, room, "%s", row->files[i]);
		return;
	}
	size_t number = (i - files) % NUMBERS + 1;
	snprintf(out, room, "%08zu.%s", number < NUMBERS ? number : 99999999,
		 row->suffixes[(i - files) / NUMBERS]);
}

/* Calls each for every file in the directory. */
static void each_file(void (*each)(const char *name, void *arg), void *arg)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	if (!d)
		fail("%s: %s", dir_path, strerror(errno));
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			each(entry->d_name, arg);
	closedir(d);
}

static void remove_file(const char *name, void *arg)
{
	(void)arg;
	if (unlinkat(dir, name, 0) < 0)
		fail("unlink %s: %s", name, strerror(errno));
}

static void wipe(void)
{
	each_file(remove_file, NULL);
}

static void append(size_t name, const uint8_t *p, size_t n, size_t zeros)
{
	char text[40];
	struct stat st;
	name_make(name, text, sizeof text);
	int fd = openat(dir, text, O_WRONLY | O_CREAT, 0666);
	if (fd < 0 || fstat(fd, &st) < 0 || io_write_at(fd, p, n, (uint64_t)st.st_size) < 0 ||
	    ftruncate(fd, st.st_size + (off_t)(n + zeros)) < 0)
		fail("%s: %s", text, strerror(errno));
	close(fd);
}

/* Makes the directory what the pieces say. */
static void make_image(const uint8_t *p, size_t n)
{
	size_t total = 0;
	while (n >= PIECE_HEADER) {
		size_t literal = load_le(p + 1, 2), zeros = load_le(p + 3, 2), name = p[0];
		p += PIECE_HEADER, n -= PIECE_HEADER;
		if (literal > n)
			literal = n;
		total += literal + zeros;
		if (total > IMAGE_MAX)
			return;
		append(name % count_names(), p, literal, zeros);
		p += literal, n -= literal;
	}
}

/* ---- stores ---- */

/* What a scan showed. */
struct records {
	struct {
		void *key, *value; /* NULL where they have no bytes */
		size_t key_length, value_length;
	} at[RECORDS_MAX];
	size_t n; /* all of them, also those behind the first RECORDS_MAX */
};

static int note_record(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	struct records *records = arg;
	if (records->n < RECORDS_MAX) {
		records->at[records->n].key = mem_dup(key.data ? key.data : "", key.length);
		records->at[records->n].key_length = key.length;
		records->at[records->n].value = mem_dup(value.data ? value.data : "", value.length);
		records->at[records->n].value_length = value.length;
	}
	records->n++;
	return 0;
}

static void records_finish(struct records *records)
{
	for (size_t i = 0; i < records->n && i < RECORDS_MAX; i++) {
		free(records->at[i].key);
		free(records->at[i].value);
	}
}

static struct engine_bytes key_of(const struct records *records, size_t i)
{
	return (struct engine_bytes){records->at[i].key, records->at[i].key_length};
}

/* An open store. */
struct session {
	void *store;
	bool sound; /* verify has approved, and nothing failed since */
	struct engine_error error;
	struct engine_error last; /* of the last call that failed */
};

/* Takes note of what a call returned. */
static int called(struct session *s, const char *what, int rc)
{
	if (rc < 0 && !s->error.text[0])
		fail("%s fails without a text", what);
	if (rc < 0) {
		s->sound = false;
		s->last = s->error;
	}
	s->error.text[0] = '\0';
	return rc;
}

static bool opened(struct session *s, const struct engine_config *config)
{
	s->error.text[0] = '\0';
	s->store = engine->open(dir_path, config, &s->error);
	if (!s->store && !s->error.text[0])
		fail("open fails without a text");
	s->last = s->error;
	return s->store != NULL;
}

static int closed(struct session *s)
{
	s->error.text[0] = '\0';
	return called(s, "close", engine->close(s->store, &s->error));
}

static bool verified(struct session *s)
{
	s->error.text[0] = '\0';
	return !engine->verify || !called(s, "verify", engine->verify(s->store, &s->error));
}

/* Whether the value under key is this one; NULL: whether there is none. */
static bool has(struct session *s, struct engine_bytes key, const void *value, size_t length)
{
	struct engine_bytes got = {0};
	int rc = called(s, "get", engine->get(s->store, key, &got, &s->error));
	if (!value)
		return rc == 0;
	return rc == 1 && got.length == length && !memcmp(got.data ? got.data : "", value, length);
}

/* Looks at everything. */
static void look(struct session *s, struct records *records)
{
	*records = (struct records){0};
	s->sound = verified(s);
	bool sound = s->sound;
	s->error.text[0] = '\0';
	int rc = engine->scan(s->store, note_record, records, &s->error);
	if (rc < 0 && sound)
		fail("verify approves, scan fails: %s", s->error.text);
	called(s, "scan", rc);
	for (size_t i = 0; i < records->n && i < RECORDS_MAX; i++)
		if (!has(s, key_of(records, i), records->at[i].value,
			 records->at[i].value_length) &&
		    sound)
			fail("verify approves, get does not agree with record %zu of a scan", i);
}

static struct engine_bytes bytes_of(const char *text)
{
	return (struct engine_bytes){text, strlen(text)};
}

/* The records of a scan that change() deletes, and does not put again. */
static bool to_delete(const struct records *records, size_t i)
{
	return records->at[i].key_length < 4 || memcmp(records->at[i].key, "fuzz", 4) != 0;
}

static void change(struct session *s, const struct records *records)
{
	const struct engine_change changes[] = {
		{.key = bytes_of("fuzz2"), .value = bytes_of("two")},
		{.key = bytes_of("fuzz1"), .del = true},
		{.key = bytes_of("fuzz1"), .value = bytes_of("one")},
	};
	size_t deleted = records->n < 4 ? records->n : 4;
	char large[700];
	memset(large, 'x', sizeof large);
	called(s, "put",
	       engine->put(s->store, bytes_of("fuzz3"), (struct engine_bytes){large, sizeof large},
			   &s->error));
	called(s, "put", engine->put(s->store, bytes_of("fuzz1"), bytes_of("one"), &s->error));
	for (size_t i = 0; i < deleted; i++)
		if (to_delete(records, i))
			called(s, "del", engine->del(s->store, key_of(records, i), &s->error));
	if (engine->batch)
		called(s, "batch", engine->batch(s->store, changes, 3, &s->error));
	for (size_t i = 0; i < deleted && s->sound; i++)
		if (to_delete(records, i) && !has(s, key_of(records, i), NULL, 0))
			fail("record %zu is deleted and still there", i);
	if (s->sound && (!has(s, bytes_of("fuzz1"), "one", 3) ||
			 !has(s, bytes_of("fuzz3"), large, sizeof large)))
		fail("what was put is not there");
	if (engine->sync)
		called(s, "sync", engine->sync(s->store, &s->error));
	if (engine->compact)
		called(s, "compact", engine->compact(s->store, &s->error));
}

static bool has_checksums(const struct engine_config *config)
{
	return !checksums_off && !strcmp(engine_value(config, "variant"), "hardened");
}

/* Opens what is in the directory, changes it, and opens it again. */
static void exercise(const struct engine_config *config)
{
	struct session s = {0};
	struct records records = {0};
	if (!opened(&s, config))
		return;
	look(&s, &records);
	change(&s, &records);
	records_finish(&records);
	bool sound = s.sound && has_checksums(config);
	if (sound && !verified(&s))
		fail("verify approved before the changes and not after: %s", s.last.text);
	if (closed(&s) < 0 || !opened(&s, config)) {
		if (sound)
			fail("a sound store does not close and open again: %s", s.last.text);
		return;
	}
	look(&s, &records);
	if (sound && (!s.sound || !has(&s, bytes_of("fuzz1"), "one", 3)))
		fail("a sound store is not after it was opened again: %s", s.last.text);
	records_finish(&records);
	closed(&s);
}

/* The lowest descriptor that is free. */
static int descriptor(void)
{
	int fd = dup(dir);
	close(fd);
	return fd;
}

static void try(const uint8_t *p, size_t n)
{
	if (!n)
		return;
	int before = descriptor();
	checksums_off = p[0] & CHECKSUMS_OFF;
	wipe();
	make_image(p + 1, n - 1);
	exercise(&settings[(p[0] & ~CHECKSUMS_OFF) % n_settings].config);
	if (descriptor() != before)
		fail("a descriptor is not closed");
}

/* ---- seeds ---- */

static void encode_piece(struct buf *out, size_t name, const uint8_t *p, size_t literal,
			 size_t zeros)
{
	uint8_t header[PIECE_HEADER];
	header[0] = (uint8_t)name;
	store_le(header + 1, literal, 2);
	store_le(header + 3, zeros, 2);
	buf_append(out, header, sizeof header);
	buf_append(out, p, literal);
}

static size_t zeros_at(const uint8_t *p, size_t n)
{
	size_t zeros = 0;
	while (zeros < n && zeros < UINT16_MAX && !p[zeros])
		zeros++;
	return zeros;
}

static void encode_bytes(struct buf *out, size_t name, const uint8_t *p, size_t n)
{
	size_t at = 0;
	do {
		size_t literal = 0, zeros = 0;
		while (at + literal < n && literal < UINT16_MAX) {
			zeros = zeros_at(p + at + literal, n - at - literal);
			if (zeros >= ZEROS_MIN)
				break;
			literal++, zeros = 0;
		}
		encode_piece(out, name, p + at, literal, zeros);
		at += literal + zeros;
	} while (at < n);
}

static void encode_file(const char *name, void *arg)
{
	static uint8_t bytes[IMAGE_MAX];
	char text[40];
	size_t i = 0;
	for (; i < count_names(); i++) {
		name_make(i, text, sizeof text);
		if (!strcmp(text, name))
			break;
	}
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : io_read_at(fd, bytes, sizeof bytes, 0);
	if (n < 0 || n == IMAGE_MAX || i == count_names() || i > UINT8_MAX)
		fail("a seed cannot have %s", name);
	encode_bytes(arg, i, bytes, (size_t)n);
	close(fd);
}

/* Does some of everything. */
static void operate(struct session *s, size_t operations)
{
	char key[20], value[2000];
	memset(value, 'v', sizeof value);
	for (size_t i = 0; i < operations; i++) {
		snprintf(key, sizeof key, "key%zu", i * 7 % 11);
		struct engine_bytes v = {value, i == 20 ? sizeof value : i * 29 % 120};
		const struct engine_change changes[] = {{.key = bytes_of(key), .value = v},
							{.key = bytes_of("key3"), .del = true},
							{.key = bytes_of("key5"), .value = v}};
		int rc = i % 5 == 4 ? engine->del(s->store, bytes_of(key), &s->error)
				    : engine->put(s->store, bytes_of(key), v, &s->error);
		if (!rc && i % 8 == 3 && engine->batch)
			rc = engine->batch(s->store, changes, 3, &s->error);
		if (!rc && i % 15 == 14 && engine->compact)
			rc = engine->compact(s->store, &s->error);
		if (!rc && i % 13 == 12 && engine->sync)
			rc = engine->sync(s->store, &s->error);
		if (rc)
			fail("seed: %s", s->error.text);
	}
}

static const size_t lengths[] = {0, 3, 13, 30};

enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* Fills out with seed i; false where there are no more. */
static bool seed_make(size_t i, struct buf *out)
{
	bool killed = i % 2, off = i / 2 % 2;
	size_t length = i / 4 % LENGTHS, options = i / 4 / LENGTHS;
	struct session s = {0};
	if (options >= n_settings)
		return false;
	checksums_off = off;
	wipe();
	if (!opened(&s, &settings[options].config))
		fail("seed: %s", s.error.text);
	operate(&s, lengths[length]);
	buf_clear(out);
	buf_byte(out, (uint8_t)(options | (off ? CHECKSUMS_OFF : 0)));
	if (killed)
		each_file(encode_file, out);
	if (closed(&s) < 0)
		fail("seed: close");
	if (!killed)
		each_file(encode_file, out);
	return true;
}

/* ---- programs ---- */

static void tidy(void)
{
	wipe();
	rmdir(dir_path);
}

/* Gives every option its fallback, or what text says: "name=value,name=value". */
static void settings_init(struct settings *s, const char *text)
{
	s->config = (struct engine_config){engine->options, s->values};
	s->text = mem_dup(text, strlen(text));
	for (size_t i = 0; engine->options[i].name; i++)
		s->values[i] = engine->options[i].fallback;
	for (char *name = strtok(s->text, ","); name; name = strtok(NULL, ",")) {
		size_t length = strcspn(name, "="), i = 0;
		while (engine->options[i].name && (strlen(engine->options[i].name) != length ||
						   strncmp(engine->options[i].name, name, length)))
			i++;
		if (!engine->options[i].name)
			fail("has no option %s", name);
		s->values[i] = name + length + 1;
	}
}

/* Finds the row, reads its options and makes the directory. */
static void prepare(void)
{
	const char *parent = getenv("TMPDIR");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(rows[i].engine, engine->name))
			row = &rows[i];
	if (!row)
		fail("has no row");
	for (; row->options[n_settings]; n_settings++)
		settings_init(&settings[n_settings], row->options[n_settings]);
	if (!parent)
		parent = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(dir_path, sizeof dir_path, "%s/fuzz_%s.XXXXXX", parent, engine->name);
	if (!mkdtemp(dir_path))
		fail("%s: %s", dir_path, strerror(errno));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		fail("%s: %s", dir_path, strerror(errno));
	atexit(tidy);
}

#ifdef FUZZ_SMOKE

/* Each seed, then with some bytes altered, and cut. */
int main(void)
{
	struct buf seed = {0};
	struct prng prng;
	size_t n = 0;
	prepare();
	prng_init(&prng, 1);
	for (; seed_make(n, &seed); n++) {
		try((const uint8_t *)seed.data, seed.len);
		for (int i = 0; i < 40; i++) {
			uint8_t *altered = (uint8_t *)mem_dup(seed.data, seed.len);
			for (uint64_t k = prng_below(&prng, 4); k > 0; k--)
				altered[prng_below(&prng, seed.len)] ^= (uint8_t)prng_next(&prng);
			try(altered, i % 4 ? seed.len : prng_below(&prng, seed.len) + 1);
			free(altered);
		}
	}
	buf_finish(&seed);
	for (size_t i = 0; i < n_settings; i++)
		free(settings[i].text);
	return n ? EXIT_SUCCESS : EXIT_FAILURE;
}

#else

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void write_seeds(const char *directory)
{
	struct buf seed = {0};
	for (size_t i = 0; seed_make(i, &seed); i++) {
		char *path = mem_printf("%s/seed%02zu", directory, i);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
		if (fd < 0 || io_write_at(fd, seed.data, seed.len, 0) < 0 || close(fd) < 0)
			fail("%s: %s", path, strerror(errno));
		free(path);
	}
	buf_finish(&seed);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char flag[] = "--write-seeds=";
	prepare();
	for (int i = 1; i < *argc; i++) {
		if (strncmp((*argv)[i], flag, sizeof flag - 1))
			continue;
		write_seeds((*argv)[i] + sizeof flag - 1);
		exit(0);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	try(p, n);
	return 0;
}

#endif
