#!/bin/sh
# Tests of sync_sites.awk: each is one engine's source and the calls expected in it.
# Run with the directory of sync_sites.awk as argument.
set -eu
sites=$1/sync_sites.awk
work=$(mktemp -d "${TMPDIR:-/tmp}/test-sync-sites-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/engines/one"
cat >"$work/engines/files.c" <<'END'
int file_sync(int fd, bool datasync)
{
	return datasync ? fdatasync(fd) : fsync(fd);
}
END

find_sites() {
	cat >"$work/engines/one/one.c"
	(cd "$work" && awk -f "$sites" engines/*.c engines/one/*.c 2>errors)
}

# expect SENTENCE "LINE COLUMN FUNCTION CALL N;…" < SOURCE
expect() {
	got=$(find_sites | cut -d ' ' -f 2- | paste -s -d ';')
	if [ "$got" != "$2" ] || [ -s "$work/errors" ]; then
		echo "$1: expected $2, got $got"
		cat "$work/errors"
		exit 1
	fi
}

# refuse SENTENCE TEXT < SOURCE: an error that contains the text.
refuse() {
	if find_sites >/dev/null || ! grep -qF -e "$2" "$work/errors"; then
		echo "$1: expected an error with \"$2\""
		cat "$work/errors"
		exit 1
	fi
}

expect 'calls of a primitive are numbered' '3 2 f fsync 1;4 6 f fsync 2;5 10 f fdatasync 1' <<'END'
static int f(int fd)
{
	fsync(fd);
	if (fsync(fd) < 0)
		return fdatasync(fd);
	return 0;
}
END
expect 'shared helpers and wrappers count, at any depth' \
	'1 31 one_sync file_sync 1;2 28 sync_all one_sync 1;3 19 f sync_all 1' <<'END'
int one_sync(int fd) { return file_sync(fd, true); }
int sync_all(int fd) { if (one_sync(fd) < 0) return -1; return 0; }
int f(int fd) { { sync_all(fd); } return 0; }
END
expect 'a wrapper may stand behind its calls, and in between a name that says nothing' \
	'1 17 f one_sync 1;2 27 save fsync 1' <<'END'
int f(int fd) { one_sync(fd); return 0; }
int save(int fd) { return fsync(fd); }
int one_sync(int fd) { return save(fd); }
END
expect 'declarations, comments, strings, members and other names are no calls' '' <<'END'
int one_sync(int fd) __attribute__((nonnull)); /* fsync(fd) */
static int unsynced(int n) { return n; }
static const struct engine e = {.sync = one_sync};
int f(struct engine *e) // fsync(fd)
{
	/* fsync(1);
	 * fsync(2); */
	const char *sync = "fsync(\"1\")", quote = '"';
	return e->sync(e) + unsynced(1) + e.fsync (quote);
}
END
refuse 'a flag may sync' 'a flag that syncs' <<'END'
int f(const char *s) { return open(s, O_WRONLY | O_DSYNC); }
END
refuse 'a macro may sync' 'a macro that syncs' <<'END'
#define SAVE(fd) \
	fsync(fd)
END
refuse 'a pointer to a function may sync' 'my_sync is not called' <<'END'
static int my_sync(int fd) { return fsync(fd); }
int f(int fd) { int (*g)(int) = my_sync; return g(fd); }
END
cat >>"$work/engines/files.c" <<'END'
int file_put(int fd) { return file_sync(fd, false); }
END
refuse 'a shared helper must say that it syncs' 'file_put is shared' <<'END'
int f(int fd) { return file_put(fd); }
END
