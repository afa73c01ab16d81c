#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"
#include "fault.h"

enum {
	RECORD_HEAD = 24,
	NUMBER_BYTES = 4,
	/* The crcs of the MANIFEST are for a file number that no other file has. */
	MANIFEST_NUMBER = 0,
};

static const char manifest_name[] = "MANIFEST", manifest_temporary[] = "MANIFEST.tmp";

int manifest_exists(int dir, struct engine_error *error)
{
	if (!faccessat(dir, manifest_name, F_OK, 0))
		return 1;
	if (errno == ENOENT)
		return 0;
	return engine_fail(error, "look for %s: %s", manifest_name, strerror(errno));
}

/* ---- records ---- */

/* The crc of the record at p, of n bytes, without its own field. */
static uint32_t seal(uint64_t offset, const uint8_t *p, size_t n)
{
	return entry_seal(MANIFEST_NUMBER, offset, p + 8, n - 8);
}

static int encode(struct bytes_buffer *record, const struct version *version, uint64_t offset,
		  struct engine_error *error)
{
	size_t n = RECORD_HEAD + NUMBER_BYTES * version->tables.n;
	record->used = 0;
	if (bytes_reserve(record, n) < 0)
		return engine_fail(error, "out of memory for a version");
	uint8_t *p = record->data;
	store_le(p, n, 4);
	store_le(p + 8, version->sequence, 8);
	store_le(p + 16, version->log, 4);
	store_le(p + 20, version->tables.n, 4);
	for (size_t i = 0; i < version->tables.n; i++)
		store_le(p + RECORD_HEAD + NUMBER_BYTES * i, version->tables.at[i], 4);
	store_le(p + 4, seal(offset, p, n), 4);
	record->used = n;
	return 0;
}

/* The length of the record at p, of which n bytes can be read; 0 where there is
 * no whole and valid one. */
static size_t check(const uint8_t *p, size_t n, uint64_t offset)
{
	size_t length = n < RECORD_HEAD ? 0 : load_le(p, 4);
	if (length < RECORD_HEAD || length > n ||
	    load_le(p + 20, 4) != (length - RECORD_HEAD) / NUMBER_BYTES || length % NUMBER_BYTES ||
	    load_le(p + 4, 4) != seal(offset, p, length))
		return 0;
	return length;
}

/* ---- reading ---- */

static int decode(const uint8_t *p, struct version *version, struct engine_error *error)
{
	size_t n = load_le(p + 20, 4);
	version->sequence = load_le(p + 8, 8);
	version->log = (uint32_t)load_le(p + 16, 4);
	if (version->sequence >> 63) /* nobody comes that far, and it must not wrap */
		return engine_fail(error, "%s is damaged: its sequence number is %llu",
				   manifest_name, (unsigned long long)version->sequence);
	for (size_t i = 0; i < n; i++) {
		uint32_t number = (uint32_t)load_le(p + RECORD_HEAD + NUMBER_BYTES * i, 4);
		if (numbers_push(&version->tables, number, error) < 0)
			return -1;
	}
	return 0;
}

int manifest_load(int dir, struct version *version, struct engine_error *error)
{
	struct file_name name = file_named(manifest_name);
	uint8_t *data;
	size_t size, at = 0, n, length = 0;
	*version = (struct version){0};
	if (file_load(dir, &name, &data, &size, error) < 0)
		return -1;
	while ((n = check(data + at, size - at, at))) {
		at += n;
		length = n;
	}
	int rc = length ? decode(data + at - length, version, error)
			: engine_fail(error, "%s is damaged: it has no version", name.text);
	free(data);
	return rc;
}

/* ---- writing ---- */

static int append(struct manifest *manifest, struct engine_error *error)
{
	const struct file_name name = file_named(manifest_name);
	const struct bytes_buffer *record = &manifest->record;
	if (file_write(manifest->fd, &name, record->data, record->used, manifest->size, error) < 0)
		return -1;
	FAULT_POINT("lsm/manifest/appended");
	if (file_sync(manifest->fd, &name, manifest->datasync, error) < 0)
		return -1;
	FAULT_POINT("lsm/manifest/synced");
	manifest->size += record->used;
	return 0;
}

/* Writes the only version of a new file and puts it in place. */
static int write_new(struct manifest *manifest, int fd, struct engine_error *error)
{
	const struct file_name temporary = file_named(manifest_temporary);
	const struct file_name name = file_named(manifest_name);
	const struct bytes_buffer *record = &manifest->record;
	if (file_write(fd, &temporary, record->data, record->used, 0, error) < 0)
		return -1;
	FAULT_POINT("lsm/replace/written");
	if (file_sync(fd, &temporary, manifest->datasync, error) < 0)
		return -1;
	FAULT_POINT("lsm/replace/synced");
	if (file_rename(manifest->dir, &temporary, &name, error) < 0)
		return -1;
	FAULT_POINT("lsm/replace/renamed");
	if (!MUTANT("lsm/manifest-no-dirsync") && directory_sync(manifest->dir, error) < 0)
		return -1;
	FAULT_POINT("lsm/replace/dirsynced");
	return 0;
}

static int replace(struct manifest *manifest, struct engine_error *error)
{
	const struct file_name temporary = file_named(manifest_temporary);
	int fd = file_open(manifest->dir, &temporary, O_RDWR | O_CREAT | O_TRUNC, error);
	if (fd < 0)
		return -1;
	FAULT_POINT("lsm/replace/created");
	if (write_new(manifest, fd, error) < 0) {
		close(fd);
		return -1;
	}
	int old = manifest->fd;
	manifest->fd = fd;
	manifest->size = manifest->record.used;
	if (old >= 0 && close(old) < 0)
		return engine_fail(error, "close the old %s: %s", manifest_name, strerror(errno));
	return 0;
}

int manifest_commit(struct manifest *manifest, const struct version *version,
		    struct engine_error *error)
{
	size_t n = RECORD_HEAD + NUMBER_BYTES * version->tables.n;
	bool fresh = manifest->fd < 0 || manifest->size + n > manifest->bytes_max;
	if (encode(&manifest->record, version, fresh ? 0 : manifest->size, error) < 0)
		return -1;
	return fresh ? replace(manifest, error) : append(manifest, error);
}

void manifest_finish(struct manifest *manifest)
{
	if (manifest->fd >= 0)
		close(manifest->fd);
	free(manifest->record.data);
	*manifest = (struct manifest){.dir = manifest->dir, .fd = -1};
}
