/* The schema of the database, and its history.
 *
 * S1  A file is ours if its header carries STORE_APPLICATION_ID.
 * S2  Its version is PRAGMA user_version.  Version 0 is the empty file: a new
 *     database is made by the same steps that bring an old one up to date, so
 *     that there is one way in which a schema comes about.
 * S3  A step that has been released never changes; a change of the schema is a
 *     new step at the end, and STORE_VERSION is raised.
 * S4  A step and its version number become visible together or not at all. */
#include "schema.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "store.h"

/* Columns are named like the members of the row structs in store.h, which say
 * more about them. */
static const char version_1[] =
	"CREATE TABLE campaigns (\n"
	"  id INTEGER PRIMARY KEY,\n"
	"  version TEXT NOT NULL,      -- of powercut\n"
	"  command TEXT NOT NULL,\n"
	"  started TEXT NOT NULL,      -- ISO 8601, UTC\n"
	"  finished TEXT NOT NULL,     -- '' while running, or if it was killed\n"
	"  system TEXT NOT NULL,\n"
	"  seed INTEGER NOT NULL,      -- 64 bits, shown as a signed number\n"
	"  jobs INTEGER NOT NULL,\n"
	"  exit_code INTEGER NOT NULL  -- -1 while running\n"
	") STRICT;\n"

	"CREATE TABLE traces (\n"
	"  id INTEGER PRIMARY KEY,\n"
	"  identity INTEGER NOT NULL,  -- hash of what the model reads of it\n"
	"  bytes BLOB NOT NULL         -- compressed, with a version and a checksum\n"
	") STRICT;\n"
	"CREATE INDEX traces_by_identity ON traces(identity);\n"

	"CREATE TABLE targets (\n"
	"  id INTEGER PRIMARY KEY,\n"
	"  campaign INTEGER NOT NULL REFERENCES campaigns(id),\n"
	"  trace INTEGER REFERENCES traces(id), -- NULL: none could be recorded\n"
	"  name TEXT NOT NULL,\n"
	"  engine TEXT NOT NULL,\n"
	"  options TEXT NOT NULL,      -- expanded\n"
	"  workload TEXT NOT NULL,     -- expanded\n"
	"  contract TEXT NOT NULL,     -- in words\n"
	"  expected TEXT NOT NULL,     -- fingerprints, space separated\n"
	"  seed INTEGER NOT NULL,\n"
	"  calls INTEGER NOT NULL,\n"
	"  operations INTEGER NOT NULL,\n"
	"  changes INTEGER NOT NULL,\n"
	"  micros INTEGER NOT NULL,\n"
	"  points INTEGER NOT NULL,\n"
	"  inconclusive TEXT NOT NULL  -- '' or why\n"
	") STRICT;\n"
	"CREATE INDEX targets_by_campaign ON targets(campaign);\n"

	"CREATE TABLE coverage (\n"
	"  target INTEGER NOT NULL REFERENCES targets(id),\n"
	"  profile TEXT NOT NULL,\n"
	"  points INTEGER NOT NULL,    -- crash points explored\n"
	"  possible INTEGER NOT NULL,  -- states; a lower bound unless exact\n"
	"  exact INTEGER NOT NULL,\n"
	"  tested INTEGER NOT NULL,    -- distinct images looked at\n"
	"  merged INTEGER NOT NULL,    -- states whose image had been tested\n"
	"  left_out INTEGER NOT NULL,  -- a lower bound unless exact\n"
	"  recovered INTEGER NOT NULL,\n"
	"  violations INTEGER NOT NULL,\n"
	"  inconclusive INTEGER NOT NULL,\n"
	"  loss INTEGER NOT NULL,      -- most acknowledged changes lost\n"
	"  UNIQUE (target, profile)\n"
	") STRICT;\n"

	"CREATE TABLE points (\n"
	"  target INTEGER NOT NULL REFERENCES targets(id),\n"
	"  profile TEXT NOT NULL,\n"
	"  point INTEGER NOT NULL,\n"
	"  event INTEGER NOT NULL,\n"
	"  before TEXT NOT NULL,       -- fault points around it\n"
	"  after TEXT NOT NULL,\n"
	"  possible INTEGER NOT NULL,\n"
	"  exact INTEGER NOT NULL,\n"
	"  tested INTEGER NOT NULL,\n"
	"  merged INTEGER NOT NULL,\n"
	"  left_out INTEGER NOT NULL,\n"
	"  violations INTEGER NOT NULL,\n"
	"  PRIMARY KEY (target, profile, point)\n"
	") STRICT, WITHOUT ROWID;\n"

	"CREATE TABLE outcomes (\n"
	"  target INTEGER NOT NULL REFERENCES targets(id),\n"
	"  profile TEXT NOT NULL,\n"
	"  state TEXT NOT NULL,        -- pasteable ID\n"
	"  point INTEGER NOT NULL,\n"
	"  digest_lo INTEGER NOT NULL, -- of the image\n"
	"  digest_hi INTEGER NOT NULL,\n"
	"  verdict TEXT NOT NULL CHECK (verdict IN ('pass', 'fail', 'inconclusive')),\n"
	"  rules INTEGER NOT NULL,     -- broken: bit n is rule On\n"
	"  begun INTEGER NOT NULL,     -- changes, at the crash\n"
	"  acked INTEGER NOT NULL,\n"
	"  durable INTEGER NOT NULL,\n"
	"  prefix INTEGER NOT NULL,    -- changes recovered, or -1 if no prefix fits\n"
	"  loss INTEGER NOT NULL,\n"
	"  text TEXT NOT NULL,         -- why\n"
	"  live INTEGER NOT NULL       -- 1: by a real kill\n"
	") STRICT;\n"
	"CREATE INDEX outcomes_by_state ON outcomes(target, state);\n"
	"CREATE INDEX outcomes_not_passed ON outcomes(target, verdict)\n"
	"  WHERE verdict <> 'pass';\n"

	"CREATE TABLE faults (\n"
	"  target INTEGER NOT NULL REFERENCES targets(id),\n"
	"  name TEXT NOT NULL,\n"
	"  passages INTEGER NOT NULL,\n"
	"  crashes INTEGER NOT NULL,\n"
	"  UNIQUE (target, name)\n"
	") STRICT;\n"

	"CREATE TABLE findings (\n"
	"  id INTEGER PRIMARY KEY,\n"
	"  target INTEGER NOT NULL REFERENCES targets(id),\n"
	"  fingerprint TEXT NOT NULL,\n"
	"  rule INTEGER NOT NULL,      -- the first one broken\n"
	"  rules INTEGER NOT NULL,     -- all: bit n is rule On\n"
	"  title TEXT NOT NULL,\n"
	"  cause TEXT NOT NULL,\n"
	"  source TEXT NOT NULL,\n"
	"  before TEXT NOT NULL,       -- fault points around the crash\n"
	"  after TEXT NOT NULL,\n"
	"  profiles TEXT NOT NULL,     -- space separated\n"
	"  minimal TEXT NOT NULL,      -- the minimal ones among them\n"
	"  state TEXT NOT NULL,        -- ID of the representative state\n"
	"  explanation TEXT NOT NULL,\n"
	"  states INTEGER NOT NULL,    -- failing states with this cause\n"
	"  expected INTEGER NOT NULL\n"
	") STRICT;\n"
	"CREATE INDEX findings_by_fingerprint ON findings(fingerprint);\n"
	"CREATE INDEX findings_by_target ON findings(target);\n";

/* Nested runs, and the fault points that should have been passed. */
static const char version_2[] =
	"ALTER TABLE traces ADD COLUMN parent TEXT NOT NULL DEFAULT '';\n"
	"ALTER TABLE traces ADD COLUMN first_event INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE coverage ADD COLUMN recoverable INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE coverage ADD COLUMN again INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE coverage ADD COLUMN nested INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE coverage ADD COLUMN nested_left_out INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE faults ADD COLUMN recoveries INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE faults ADD COLUMN reachable INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE findings ADD COLUMN found_after INTEGER NOT NULL DEFAULT 0;\n";

/* What real file systems had to say of findings. */
static const char version_3[] =
	"CREATE TABLE witnesses (\n"
	"  finding INTEGER NOT NULL REFERENCES findings(id),\n"
	"  file_system TEXT NOT NULL,\n"
	"  kernel TEXT NOT NULL,       -- release, machine\n"
	"  options TEXT NOT NULL,      -- of mkfs and mount\n"
	"  made TEXT NOT NULL,         -- ISO 8601, UTC\n"
	"  seed INTEGER NOT NULL,\n"
	"  states INTEGER NOT NULL,    -- block states mounted\n"
	"  variants INTEGER NOT NULL,  -- of timing that were tried\n"
	"  outcome TEXT NOT NULL\n"
	"    CHECK (outcome IN ('witnessed', 'same rule', 'not seen', 'not tried')),\n"
	"  variant TEXT NOT NULL,      -- of timing that showed it, or ''\n"
	"  blocks TEXT NOT NULL,       -- writes kept and lost, or ''\n"
	"  text TEXT NOT NULL,         -- what recovery then said, or why it was not tried\n"
	"  UNIQUE (finding, file_system)\n"
	") STRICT;\n";

/* Why the operating system refused, 0 if that is not known. */
static int system_errno(sqlite3 *db)
{
	int code = sqlite3_system_errno(db);
	if (code == 0)
		sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &code);
	return code;
}

int schema_error(sqlite3 *db, int rc, const char *doing, struct err *err)
{
	enum err_code code = ERR_IO;
	const char *hint = "";
	switch (rc & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_SCHEMA:
		code = ERR_CORRUPT;
		break;
	case SQLITE_ERROR: /* a table or column that should be there is not */
		code = ERR_CORRUPT;
		hint = " (not the schema that its version number promises)";
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		hint = " by another process";
		break;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		errno = system_errno(db);
		if (errno)
			return err_sys(err, "%s: %s", doing, sqlite3_errmsg(db));
		break;
	case SQLITE_FULL:
		code = ERR_FULL;
		break;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
		code = ERR_INTERNAL;
		break;
	}
	return err_set(err, code, "%s: %s%s", doing, sqlite3_errmsg(db), hint);
}

static int execute(sqlite3 *db, const char *sql, const char *doing, struct err *err)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : schema_error(db, rc, doing, err);
}

static int to_version_1(sqlite3 *db, struct err *err)
{
	char pragma[64];
	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", STORE_APPLICATION_ID);
	int rc = execute(db, pragma, "cannot make the database", err);
	return rc ? rc : execute(db, version_1, "cannot make the database", err);
}

static int to_version_2(sqlite3 *db, struct err *err)
{
	return execute(db, version_2, "cannot be brought up to date", err);
}

static int to_version_3(sqlite3 *db, struct err *err)
{
	return execute(db, version_3, "cannot be brought up to date", err);
}

schema_step *const schema_steps[] = {to_version_1, to_version_2, to_version_3};
_Static_assert(sizeof schema_steps / sizeof *schema_steps == STORE_VERSION,
	       "each version has the step that leads to it (S3)");

int schema_version(sqlite3 *db, int *version, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*version = sqlite3_column_int(stmt, 0);
	int result = rc == SQLITE_ROW ? 0 : schema_error(db, rc, "cannot be read", err);
	sqlite3_finalize(stmt);
	return result;
}

static int check_version(int version, int newest, struct err *err)
{
	if (version >= 0 && version <= newest)
		return 0;
	return err_set(err, ERR_VERSION,
		       "made by another powercut: database version %d, expected at most %d",
		       version, newest);
}

/* One step within its transaction (S4).  The version is read again under the
 * lock: another process may have taken the step in the meantime. */
static int take_step(sqlite3 *db, schema_step *const *steps, int n_steps, int *version,
		     struct err *err)
{
	char pragma[64];
	int rc = execute(db, "BEGIN IMMEDIATE", "cannot be brought up to date", err);
	if (rc)
		return rc;
	rc = schema_version(db, version, err);
	if (rc == 0)
		rc = check_version(*version, n_steps, err);
	if (rc || *version == n_steps)
		goto done;
	rc = steps[*version](db, err);
	if (rc == 0) {
		snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d; COMMIT", *version + 1);
		rc = execute(db, pragma, "cannot store the new schema", err);
	}
	if (rc)
		err_wrap(err, "from database version %d to %d", *version, *version + 1);
	else
		++*version;
done:
	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int schema_migrate(sqlite3 *db, schema_step *const *steps, int n_steps, struct err *err)
{
	int version = 0;
	int rc = schema_version(db, &version, err);
	if (rc == 0)
		rc = check_version(version, n_steps, err);
	while (rc == 0 && version < n_steps)
		rc = take_step(db, steps, n_steps, &version, err);
	return rc;
}
