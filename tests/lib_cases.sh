# shellcheck shell=sh
# Real stores as commands, how they are built: read after lib_cli.sh by a script that has set $here to this
# directory.  A case whose store is not installed is skipped.

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
