/* A store in one file, as a driver for powercut (docs/driver.md): a worked example.
 *
 * "log" is records: a line "LENGTH CHECK", then LENGTH bytes, which are a request as it was
 * heard.  Each is synced before it is acknowledged.  What is behind the first damaged record was
 * never acknowledged: opening cuts it off, so that it is never read again. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
	char *data;
	size_t n;
};

static struct pair {
	struct bytes key, value;
	struct pair *next;
} * pairs;

static char line[128]; /* the last that was read, without its newline */
static int dir, file;

static _Noreturn void die(const char *why)
{
	perror(why);
	exit(1);
}

static int read_line(FILE *from)
{
	if (!fgets(line, sizeof line, from))
		return 0;
	line[strcspn(line, "\n")] = '\0';
	return 1;
}

/* n bytes, which a newline may have to follow; without data where they are not there. */
static struct bytes read_bytes(FILE *from, size_t n, int newline)
{
	struct bytes b = {malloc(n + 1), n};
	if (b.data && fread(b.data, 1, n, from) == n && (!newline || fgetc(from) == '\n'))
		return b;
	free(b.data);
	return (struct bytes){NULL, 0};
}

static struct bytes argument(FILE *from, size_t n)
{
	struct bytes b = read_bytes(from, n, 1);
	if (!b.data)
		die("a key or value is not as long as announced");
	return b;
}

static struct pair **find(struct bytes key)
{
	struct pair **at = &pairs;
	while (*at && ((*at)->key.n != key.n || memcmp((*at)->key.data, key.data, key.n)))
		at = &(*at)->next;
	return at;
}

/* Without data in value, the key is deleted.  Keeps both. */
static void set(struct bytes key, struct bytes value)
{
	struct pair **at = find(key), *old = *at;
	if (old)
		*at = old->next;
	free(old);
	if (value.data && (old = malloc(sizeof *old)))
		*old = (struct pair){key, value, pairs}, pairs = old;
}

/* Makes the changes that a record holds. */
static void apply(struct bytes record)
{
	FILE *from = fmemopen(record.data, record.n, "r");
	size_t k, v;
	while (read_line(from))
		if (sscanf(line, "put %zu %zu", &k, &v) == 2) {
			struct bytes key = argument(from, k);
			set(key, argument(from, v));
		} else if (sscanf(line, "delete %zu", &k) == 1) {
			set(argument(from, k), (struct bytes){NULL, 0});
		}
	fclose(from);
}

/* Copies the request that begins with the line just read. */
static void copy_request(FILE *to)
{
	size_t n[2], changes;
	fprintf(to, "%s\n", line);
	if (sscanf(line, "batch %zu", &changes) == 1) {
		while (changes-- > 0 && read_line(stdin))
			copy_request(to);
		return;
	}
	for (int i = 0, of = sscanf(line, "%*s %zu %zu", &n[0], &n[1]); i < of; i++) {
		struct bytes b = argument(stdin, n[i]);
		fwrite(b.data, 1, b.n, to);
		fputc('\n', to);
		free(b.data);
	}
}

static unsigned long long check(struct bytes b)
{
	unsigned long long hash = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < b.n; i++)
		hash = (hash ^ (unsigned char)b.data[i]) * 1099511628211u;
	return hash;
}

/* A change is in the log, and durable, before it is made and acknowledged. */
static void change(void)
{
	struct bytes request = {0}, record = {0};
	FILE *to = open_memstream(&request.data, &request.n);
	copy_request(to);
	fclose(to);
	to = open_memstream(&record.data, &record.n);
	fprintf(to, "%zu %016llx\n", request.n, check(request));
	fwrite(request.data, 1, request.n, to);
	fclose(to);
	if (write(file, record.data, record.n) != (ssize_t)record.n || fsync(file))
		die("log");
	apply(request);
	free(request.data);
	free(record.data);
}

/* Reads the log as far as it is whole.  All that it shows is durable when it returns. */
static int open_store(const char *path)
{
	size_t n;
	unsigned long long sum;
	off_t end = 0;
	dir = open(path, O_RDONLY | O_DIRECTORY);
	file = openat(dir, "log", O_RDWR | O_CREAT, 0666);
	if (dir < 0 || file < 0)
		return 0;
	FILE *log = fdopen(dup(file), "r");
	while (read_line(log) && sscanf(line, "%zu %llx", &n, &sum) == 2) {
		struct bytes request = read_bytes(log, n, 0);
		if (!request.data || check(request) != sum)
			break;
		apply(request);
		end = ftello(log);
	}
	fclose(log);
	return ftruncate(file, end) == 0 && lseek(file, end, SEEK_SET) == end && fsync(file) == 0 &&
	       fsync(dir) == 0;
}

static void print(const char *word, const struct bytes *first, const struct bytes *second)
{
	printf(second ? "%s %zu %zu\n" : "%s %zu\n", word, first->n, second ? second->n : 0);
	for (const struct bytes *b = first; b; b = b == first ? second : NULL) {
		fwrite(b->data, 1, b->n, stdout);
		putchar('\n');
	}
}

int main(void)
{
	size_t n;
	puts("powercut-driver 1 name=log ack=each against=power prefix=yes batch=durable "
	     "stays=yes can=batch,sync");
	while (fflush(stdout) == 0 && read_line(stdin))
		if (sscanf(line, "open %zu", &n) == 1) {
			struct bytes path = argument(stdin, n);
			path.data[n] = '\0';
			puts(open_store(path.data) ? "ok" : "error it cannot be opened");
		} else if (sscanf(line, "get %zu", &n) == 1) {
			struct pair *pair = *find(argument(stdin, n));
			if (pair)
				print("value", &pair->value, NULL);
			else
				puts("none");
		} else if (!strcmp(line, "scan")) {
			for (struct pair *p = pairs; p; p = p->next)
				print("item", &p->key, &p->value);
			puts("ok");
		} else if (!strncmp(line, "put ", 4) || !strncmp(line, "delete ", 7) ||
			   !strncmp(line, "batch ", 6)) {
			change();
			puts("ok");
		} else {
			int known = !strcmp(line, "sync") || !strcmp(line, "close");
			puts(known ? "ok" : "error unknown request");
		}
	return 0;
}
