#include "lib_store.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "io.h"
#include "mem.h"
#include "target.h"

/* ---- files ---- */

void files_wipe(const char *dir)
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
	files_wipe(dir);
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
		files_wipe(store->dir);
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

int store_verify(struct store *store)
{
	store->error.text[0] = '\0';
	return store->engine->verify ? store->engine->verify(store->handle, &store->error) : 0;
}
