/* LMDB as an engine: the unnamed database of an environment, each change a write
 * transaction of its own, a batch one transaction.
 *
 * What is promised is what lmdb.h says at mdb_env_open (also at
 * http://www.lmdb.tech/doc/group__mdb.html):
 *
 * - without flags, commits are durable: what the flags omit tells so;
 * - MDB_NOMETASYNC: "maintains database integrity, but a system crash may undo the
 *   last committed transaction", so all but the last are durable.  A deletion that
 *   finds nothing would be no commit, and count as one: there it is made to write;
 * - MDB_NOSYNC: "a system crash can corrupt the database or lose the last
 *   transactions", until mdb_env_sync; where the file system keeps the order of
 *   writes and MDB_WRITEMAP is off, only the latter.  Corruption, which no contract
 *   allows, is thus found where it was announced;
 * - MDB_MAPASYNC with MDB_WRITEMAP: the same, until mdb_env_sync.
 *
 * A new file gets two meta pages by one write, and LMDB refuses a file that has but
 * a part of them: a crash during the very first opening may leave one.  Whoever uses
 * LMDB has to begin again there, and so does this, unless told not to.  No commit is
 * lost by it: the first sync makes both pages durable.
 *
 * Nothing is said of whether what a reader saw after a crash stays after a second
 * one, so that is not promised. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

static const struct engine_option options[] = {
	{"nosync", "0", "0|1", 0, 0, "MDB_NOSYNC: commits are not synced"},
	{"nometasync", "0", "0|1", 0, 0, "MDB_NOMETASYNC: the meta page is not synced"},
	{"writemap", "0", "0|1", 0, 0, "MDB_WRITEMAP: pages are changed in a shared mapping"},
	{"mapasync", "0", "0|1", 0, 0, "MDB_MAPASYNC: with writemap, syncs are only begun"},
	{"nosubdir", "0", "0|1", 0, 0, "MDB_NOSUBDIR: the environment is a file, not a directory"},
	{"lock", "1", "0|1", 0, 0, "0: MDB_NOLOCK, no lock file and its shared mapping"},
	{"mapsize", "1048576", NULL, 65536, 1073741824,
	 "bytes of the mapping, the most that the database can have"},
	{"mend", "1", "0|1", 0, 0,
	 "1: begins again where the creation was cut off; 0: LMDB refuses what is there"},
	{NULL},
};

static const struct {
	const char *option, *value;
	unsigned flag;
} flags[] = {
	{"nosync", "1", MDB_NOSYNC},	 {"nometasync", "1", MDB_NOMETASYNC},
	{"writemap", "1", MDB_WRITEMAP}, {"mapasync", "1", MDB_MAPASYNC},
	{"nosubdir", "1", MDB_NOSUBDIR}, {"lock", "0", MDB_NOLOCK},
};

struct store {
	MDB_env *env;
	MDB_dbi dbi;
	bool always; /* each operation must be a commit that writes */
	void *value; /* what get returned last */
};

static unsigned flags_of(const struct engine_config *config)
{
	unsigned all = 0;
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (strcmp(engine_value(config, flags[i].option), flags[i].value) == 0)
			all |= flags[i].flag;
	return all;
}

static void contract(const struct engine_config *config, struct engine_contract *contract)
{
	unsigned all = flags_of(config);
	bool mapasync = (all & MDB_MAPASYNC) && (all & MDB_WRITEMAP);
	*contract = (struct engine_contract){
		.ack = ENGINE_ACK_EACH,
		.against = ENGINE_AGAINST_POWER,
		.prefix = true,
		.batch = ENGINE_BATCH_ATOMIC,
	};
	if ((all & MDB_NOSYNC) || mapasync) {
		contract->ack = ENGINE_ACK_ON_SYNC;
	} else if (all & MDB_NOMETASYNC) {
		contract->ack = ENGINE_ACK_EVERY;
		contract->every = 2;
	}
}

static int fails(const char *doing, int rc, struct engine_error *error)
{
	return engine_fail(error, "%s: %s", doing, mdb_strerror(rc));
}

static int begin(struct store *s, unsigned how, MDB_txn **txn, struct engine_error *error)
{
	int rc = mdb_txn_begin(s->env, NULL, how, txn);
	return rc ? fails("mdb_txn_begin", rc, error) : 0;
}

static int commit(MDB_txn *txn, struct engine_error *error)
{
	int rc = mdb_txn_commit(txn);
	return rc ? fails("mdb_txn_commit", rc, error) : 0;
}

static int store_close(void *store, struct engine_error *error)
{
	struct store *s = store;
	(void)error;
	mdb_env_close(s->env);
	free(s->value);
	free(s);
	return 0;
}

/* Whether a file has a part of what LMDB writes first: fewer than two pages, or one
 * of them still zeros.  A file of no bytes is a new one for LMDB. */
static bool is_cut_off(int fd)
{
	static const char zeros[64]; /* a meta page's header and magic are nearer than that */
	char start[sizeof zeros];
	long page = sysconf(_SC_PAGESIZE);
	off_t size = lseek(fd, 0, SEEK_END);
	bool cut = size > 0 && size < 2 * page;
	for (int i = 0; i < 2 && size > 0 && !cut; i++)
		cut = pread(fd, start, sizeof start, i * page) == (ssize_t)sizeof start &&
		      memcmp(start, zeros, sizeof zeros) == 0;
	return cut;
}

/* Empties a data file whose creation was cut off. */
static int mend(const char *dir, bool is_file, struct engine_error *error)
{
	char path[4096 + 16];
	int rc = 0;
	snprintf(path, sizeof path, "%s%s", dir, is_file ? "" : "/data.mdb");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : engine_fail(error, "%s: %s", path, strerror(errno));
	if (is_cut_off(fd) && ftruncate(fd, 0))
		rc = engine_fail(error, "%s: %s", path, strerror(errno));
	close(fd);
	return rc;
}

static int open_environment(struct store *s, const char *path, const struct engine_config *config,
			    struct engine_error *error)
{
	int rc = mdb_env_set_mapsize(s->env, engine_number(config, "mapsize"));
	if (rc)
		return fails("mdb_env_set_mapsize", rc, error);
	rc = mdb_env_open(s->env, path, flags_of(config), 0666);
	return rc ? fails("mdb_env_open", rc, error) : 0;
}

static int open_database(struct store *s, struct engine_error *error)
{
	MDB_txn *txn;
	if (begin(s, MDB_RDONLY, &txn, error))
		return -1;
	int rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
	if (!rc)
		return commit(txn, error);
	mdb_txn_abort(txn);
	return fails("mdb_dbi_open", rc, error);
}

static void *store_open(const char *dir, const struct engine_config *config,
			struct engine_error *error)
{
	char path[4096];
	bool file = flags_of(config) & MDB_NOSUBDIR;
	if ((size_t)snprintf(path, sizeof path, "%s%s", dir, file ? "/store.mdb" : "") >=
	    sizeof path) {
		engine_fail(error, "the path is too long");
		return NULL;
	}
	struct store *s = calloc(1, sizeof *s);
	int rc = s ? mdb_env_create(&s->env) : MDB_PANIC;
	if (rc) {
		engine_fail(error, "no memory");
		free(s);
		return NULL;
	}
	s->always = flags_of(config) & MDB_NOMETASYNC;
	if (strcmp(engine_value(config, "mend"), "1") == 0 && mend(path, file, error)) {
		store_close(s, error);
		return NULL;
	}
	if (!open_environment(s, path, config, error) && !open_database(s, error))
		return s;
	store_close(s, error);
	return NULL;
}

static MDB_val val(struct engine_bytes bytes)
{
	return (MDB_val){bytes.length, (void *)(uintptr_t)bytes.data};
}

static struct engine_bytes bytes(const MDB_val *v)
{
	return (struct engine_bytes){v->mv_data, v->mv_size};
}

static int apply(struct store *s, MDB_txn *txn, const struct engine_change *c,
		 struct engine_error *error)
{
	MDB_val key = val(c->key), value = val(c->value);
	int rc = c->del ? mdb_del(txn, s->dbi, &key, NULL) : mdb_put(txn, s->dbi, &key, &value, 0);
	if (rc == MDB_NOTFOUND && s->always) {
		rc = mdb_put(txn, s->dbi, &key, &key, 0);
		if (!rc)
			rc = mdb_del(txn, s->dbi, &key, NULL);
	}
	if (!rc || (c->del && rc == MDB_NOTFOUND))
		return 0;
	return fails(c->del ? "mdb_del" : "mdb_put", rc, error);
}

static int store_batch(void *store, const struct engine_change *changes, size_t n,
		       struct engine_error *error)
{
	MDB_txn *txn;
	int rc = begin(store, 0, &txn, error);
	if (rc)
		return rc;
	for (size_t i = 0; i < n && !rc; i++)
		rc = apply(store, txn, &changes[i], error);
	if (!rc)
		return commit(txn, error);
	mdb_txn_abort(txn);
	return rc;
}

static int store_put(void *store, struct engine_bytes key, struct engine_bytes value,
		     struct engine_error *error)
{
	return store_batch(store, &(struct engine_change){.key = key, .value = value}, 1, error);
}

static int store_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	return store_batch(store, &(struct engine_change){.key = key, .del = true}, 1, error);
}

static int keep(struct store *s, const MDB_val *found, struct engine_bytes *value,
		struct engine_error *error)
{
	free(s->value);
	s->value = malloc(found->mv_size + 1);
	if (!s->value)
		return engine_fail(error, "no memory");
	if (found->mv_size)
		memcpy(s->value, found->mv_data, found->mv_size);
	*value = (struct engine_bytes){s->value, found->mv_size};
	return 1;
}

static int store_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		     struct engine_error *error)
{
	struct store *s = store;
	MDB_txn *txn;
	MDB_val k = val(key), found;
	if (begin(s, MDB_RDONLY, &txn, error))
		return -1;
	int rc = mdb_get(txn, s->dbi, &k, &found);
	int result = !rc		  ? keep(s, &found, value, error)
		     : rc == MDB_NOTFOUND ? 0
					  : fails("mdb_get", rc, error);
	mdb_txn_abort(txn);
	return result;
}

/* Visits all records within txn and counts them. */
static int walk(struct store *s, MDB_txn *txn, engine_visit *visit, void *arg, size_t *n,
		struct engine_error *error)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, s->dbi, &cursor), ended = 0;
	if (rc)
		return fails("mdb_cursor_open", rc, error);
	for (*n = 0; !ended && !(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)); ++*n)
		ended = visit ? visit(arg, bytes(&key), bytes(&value)) : 0;
	mdb_cursor_close(cursor);
	if (ended)
		return engine_fail(error, "the scan was ended");
	return rc == MDB_NOTFOUND ? 0 : fails("mdb_cursor_get", rc, error);
}

static int store_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	MDB_txn *txn;
	size_t n;
	if (begin(store, MDB_RDONLY, &txn, error))
		return -1;
	int rc = walk(store, txn, visit, arg, &n, error);
	mdb_txn_abort(txn);
	return rc;
}

static int store_sync(void *store, struct engine_error *error)
{
	struct store *s = store;
	int rc = mdb_env_sync(s->env, 1);
	return rc ? fails("mdb_env_sync", rc, error) : 0;
}

/* LMDB has no check of its own; it keeps a count of the records, though. */
static int store_verify(void *store, struct engine_error *error)
{
	struct store *s = store;
	MDB_txn *txn;
	MDB_stat stat;
	size_t n = 0;
	if (begin(s, MDB_RDONLY, &txn, error))
		return -1;
	int rc = mdb_stat(txn, s->dbi, &stat);
	if (rc)
		rc = fails("mdb_stat", rc, error);
	else
		rc = walk(s, txn, NULL, NULL, &n, error);
	if (!rc && n != stat.ms_entries)
		rc = engine_fail(error, "the tree has %zu records, its root says %zu", n,
				 stat.ms_entries);
	mdb_txn_abort(txn);
	return rc;
}

const struct engine powercut_engine = {
	.abi = ENGINE_ABI,
	.name = "lmdb",
	.summary = "LMDB: a copy-on-write tree, each change a transaction",
	.options = options,
	.contract = contract,
	.open = store_open,
	.close = store_close,
	.put = store_put,
	.del = store_del,
	.get = store_get,
	.scan = store_scan,
	.batch = store_batch,
	.sync = store_sync,
	.verify = store_verify,
};
