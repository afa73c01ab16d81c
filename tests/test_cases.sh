#!/bin/sh
# Real stores as commands: the verdicts on them are those of cases/README.md.
#
#   test_cases.sh POWERCUT [CASE…]
#
# Builds each case with the compiler and the store's development package, runs a campaign on it under three
# profiles, and compares.  A case whose store is not installed is skipped.  Prints a line for each, and closes
# as a Check program does, so that each counts.
set -u
[ $# -ge 1 ] && [ -x "$1" ] || {
	echo "usage: test_cases.sh POWERCUT [CASE…]"
	exit 64
}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "$1")
shift
wanted=" $* "
. "$here/lib_cli.sh"
states=2500 # a profile

# compile PACKAGE SOURCES FLAGS…: `workload` and `check` of SOURCES_w.c and SOURCES_c.c.
compile() {
	package=$1
	sources=$2
	shift 2
	for part in w c; do
		program_name=workload
		[ $part = w ] || program_name=check
		cc -O1 -g -w -I "$here/cases" -o $program_name "$here/cases/${sources}_$part.c" "$@" 2>cc.log ||
			skip "the store is not installed, or cannot be linked with: $package"
	done
}

# scripts PROGRAM PACKAGE SOURCES CONFIGURATION: the same for scripts, which read theirs from a file.
scripts() {
	command -v "$1" >/dev/null || skip "the program $1 is not installed: $2"
	cp "$here/cases/$3_workload" workload
	cp "$here/cases/$3_check" check
	chmod +x workload check
	echo "$4" >config
}

build() {
	case $1 in
	sqlite-delete-extra) compile libsqlite3-dev sqlite '-DJM="DELETE"' '-DSY="EXTRA"' -lsqlite3 ;;
	sqlite-delete-full) compile libsqlite3-dev sqlite '-DJM="DELETE"' '-DSY="FULL"' -lsqlite3 ;;
	sqlite-wal-normal) compile libsqlite3-dev sqlite '-DJM="WAL"' '-DSY="NORMAL"' -lsqlite3 ;;
	lmdb-default) compile liblmdb-dev lmdb -DVMAX=1200 -llmdb ;;
	lmdb-nosync-dirsync) compile liblmdb-dev lmdb -DVMAX=1200 -DDIRSYNC -DFLAGS=MDB_NOSYNC -llmdb ;;
	leveldb-sync) compile libleveldb-dev leveldb -DSYNC=1 -DPARENTSYNC -lleveldb ;;
	gdbm-nosync) compile libgdbm-dev kv -DBE_GDBM -DGBS=1024 -DVMAX=1500 -DDIRSYNC -lgdbm ;;
	tdb-txn-nodirsync) compile libtdb-dev kv -DBE_TDB -DATOMIC -DDEL=4 -ltdb ;;
	bdb-txn) compile libdb-dev kv -DBE_BDB -DBTYPE=DB_BTREE -DBPS=4096 -DTXN -DATOMIC -DDEL=4 -DDIRSYNC -ldb-5.3 ;;
	pyjson-replace) scripts python3 python3 json replace ;;
	pyjson-fsync-replace-dirsync) scripts python3 python3 json fsync-replace-dirsync ;;
	git-commit-default) scripts git git git FSYNC= ;;
	*) fail "nobody knows how $1 is built" ;;
	esac
}

# verdict OF PROFILE: pass or fail, from the profile's line of the report.
verdict() {
	awk -v profile="$1" '$1 == profile && NF == 8 { print $7 == "0" ? "pass" : "fail" }' out
}

# case_is CASE POSIX POSIX-DIR EXT4
case_is() {
	build "$1"
	# shellcheck disable=SC2016 # for the checker
	timeout 300 "$program" run --quiet --db db --tmp "$areas" --model posix,posix-dir,ext4 --max-states $states \
		--check './check {dir} {acked}' -- ./workload '{dir}' >out 2>err </dev/null
	code=$?
	got="$(verdict posix) $(verdict posix-dir) $(verdict ext4)"
	[ "$got" = "$2 $3 $4" ] || fail "posix, posix-dir, ext4: $got; expected $2 $3 $4: $(head -n 40 out)"
	lacks out 'nconclusive'
	expected=0
	case $got in *fail*) expected=1 ;; esac
	[ $code = $expected ] || fail "exit code $code: $(head -n 40 out)"
	case $1 in
	sqlite-*) lacks out 'CORRUPT' ;;
	esac
}

# The table, a line a case.
rows=$(sed -n 's/^| *\([a-z0-9-]*\) *| *\(pass\|fail\) *| *\(pass\|fail\) *| *\(pass\|fail\) *|.*/\1 \2 \3 \4/p' \
	"$here/cases/README.md")
while read -r name posix posix_dir ext4; do
	case $wanted in
	'  ' | *" $name "*) check "$name: $posix, $posix_dir, $ext4" case_is "$name" "$posix" "$posix_dir" "$ext4" ;;
	esac
done <<END
$rows
END
[ $cases -gt 0 ] || {
	echo "there is no such case"
	exit 1
}
finish
