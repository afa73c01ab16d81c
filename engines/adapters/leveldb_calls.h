/* The calls that LevelDB's C interface and RocksDB's have in common, as an engine:
 * the second began as a copy of the first, and only the prefix of names differs.
 *
 * Included once, by a source that has defined API(name) as name with its prefix,
 * and that defines configure and sync_db, declared below. */

struct store {
	API(t) * db;
	API(options_t) * options;
	API(writeoptions_t) * write, *synced; /* as the options say; always synced */
	API(readoptions_t) * read;
	char *value; /* what get returned last; the library's */
	bool logged; /* what is written goes to a log; RocksDB can do without */
};

/* Sets s->options, s->write as the engine's options say, before the store is
 * opened. */
static void configure(struct store *s, const struct engine_config *config);
/* Makes everything acknowledged so far durable; an error in *why. */
static void sync_db(struct store *s, char **why);

static bool is(const struct engine_config *config, const char *option, const char *value)
{
	return strcmp(engine_value(config, option), value) == 0;
}

/* The outcome of a call that may have set why, which it frees. */
static int outcome(char *why, const char *doing, struct engine_error *error)
{
	if (!why)
		return 0;
	engine_fail(error, "%s: %s", doing, why);
	API(free)(why);
	return -1;
}

static void release(struct store *s)
{
	API(options_destroy)(s->options);
	API(writeoptions_destroy)(s->write);
	API(writeoptions_destroy)(s->synced);
	API(readoptions_destroy)(s->read);
	API(free)(s->value);
	free(s);
}

static void *store_open(const char *dir, const struct engine_config *config,
			struct engine_error *error)
{
	struct store *s = calloc(1, sizeof *s);
	char *why = NULL;
	if (!s) {
		engine_fail(error, "no memory");
		return NULL;
	}
	s->options = API(options_create)();
	s->write = API(writeoptions_create)();
	s->synced = API(writeoptions_create)();
	s->read = API(readoptions_create)();
	API(options_set_create_if_missing)(s->options, 1);
	API(writeoptions_set_sync)(s->synced, 1);
	API(readoptions_set_verify_checksums)(s->read, 1);
	configure(s, config);
	s->db = API(open)(s->options, dir, &why);
	if (!outcome(why, "open", error))
		return s;
	release(s);
	return NULL;
}

static int store_close(void *store, struct engine_error *error)
{
	struct store *s = store;
	(void)error;
	API(close)(s->db);
	release(s);
	return 0;
}

static int store_put(void *store, struct engine_bytes key, struct engine_bytes value,
		     struct engine_error *error)
{
	struct store *s = store;
	char *why = NULL;
	API(put)(s->db, s->write, key.data, key.length, value.data, value.length, &why);
	return outcome(why, "put", error);
}

static int store_del(void *store, struct engine_bytes key, struct engine_error *error)
{
	struct store *s = store;
	char *why = NULL;
	API(delete)(s->db, s->write, key.data, key.length, &why);
	return outcome(why, "delete", error);
}

static int store_get(void *store, struct engine_bytes key, struct engine_bytes *value,
		     struct engine_error *error)
{
	struct store *s = store;
	char *why = NULL;
	API(free)(s->value);
	s->value = API(get)(s->db, s->read, key.data, key.length, &value->length, &why);
	value->data = s->value;
	return outcome(why, "get", error) ? -1 : s->value != NULL;
}

static int store_scan(void *store, engine_visit *visit, void *arg, struct engine_error *error)
{
	struct store *s = store;
	char *why = NULL;
	bool ended = false;
	API(iterator_t) *at = API(create_iterator)(s->db, s->read);
	for (API(iter_seek_to_first)(at); !ended && API(iter_valid)(at); API(iter_next)(at)) {
		struct engine_bytes key, value;
		key.data = API(iter_key)(at, &key.length);
		value.data = API(iter_value)(at, &value.length);
		ended = visit(arg, key, value);
	}
	API(iter_get_error)(at, &why);
	API(iter_destroy)(at);
	if (ended)
		engine_fail(error, "the scan was ended");
	return outcome(why, "scan", error) || ended ? -1 : 0;
}

static int store_batch(void *store, const struct engine_change *changes, size_t n,
		       struct engine_error *error)
{
	struct store *s = store;
	char *why = NULL;
	API(writebatch_t) *batch = API(writebatch_create)();
	for (size_t i = 0; i < n; i++) {
		struct engine_bytes k = changes[i].key, v = changes[i].value;
		if (changes[i].del)
			API(writebatch_delete)(batch, k.data, k.length);
		else
			API(writebatch_put)(batch, k.data, k.length, v.data, v.length);
	}
	API(write)(s->db, s->write, batch, &why);
	API(writebatch_destroy)(batch);
	return outcome(why, "write", error);
}

static int store_sync(void *store, struct engine_error *error)
{
	char *why = NULL;
	sync_db(store, &why);
	return outcome(why, "sync", error);
}

static int store_compact(void *store, struct engine_error *error)
{
	struct store *s = store;
	(void)error;
	API(compact_range)(s->db, NULL, 0, NULL, 0);
	return 0;
}
