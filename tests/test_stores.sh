#!/bin/sh
# The adapters of real stores: what their documentation promises is kept, and what it warns of is
# found.  Small workloads, seed 1.
#
#   test_stores.sh POWERCUT whole|brief [STORE…]
#
# brief: one case a store, for builds that are slow.  Prints a line for each case, as Check does.  A
# store that was not built is skipped, with the reason.
set -u
[ $# -ge 2 ] && [ -x "$1" ] || {
	echo "usage: test_stores.sh POWERCUT whole|brief [STORE…]"
	exit 64
}
program=$(readlink -f -- "$1")
extent=$2
shift 2
. "$(dirname -- "$0")/lib_cli.sh"

# Whether a finding broke this rule.
broke() {
	grep -qx " *\"$1\",\{0,1\}" out
}

# The greatest loss under any profile.
loss() {
	sed -n 's/^ *"loss": \([0-9]*\).*/\1/p' out | sort -n | tail -n 1
}

# keeps SPEC LOSS OPTION…: no violation; LOSS is the most that was lost, or "some".
keeps() {
	spec=$1
	lost=$2
	shift 2
	exits 0 run --engine "$spec" --json --tmp "$areas" "$@"
	[ "$lost" = some ] && [ "$(loss)" -ge 1 ] || [ "$(loss)" = "$lost" ] ||
		fail "$spec: $(loss) lost, expected $lost"
}

# loses SPEC LOSS OPTION…: acknowledged changes are gone, up to LOSS of them, and no more is wrong.
loses() {
	spec=$1
	lost=$2
	shift 2
	exits 1 run --engine "$spec" --json --tmp "$areas" "$@"
	broke O2 || broke O6 || fail "$spec: nothing was lost"
	for rule in O1 O3 O4 O5 O7 O8 O9 O10 O12; do
		! broke $rule || fail "$spec: $rule was broken, expected O2 and O6 only"
	done
	[ "$lost" = some ] || [ "$(loss)" = "$lost" ] ||
		fail "$spec: $(loss) lost, expected $lost"
}

# corrupts SPEC OPTION…: what it says it may be, unreadable or not what anybody wrote.
corrupts() {
	spec=$1
	shift
	exits 1 run --engine "$spec" --json --tmp "$areas" "$@"
	broke O1 || broke O3 || broke O5 || broke O8 || fail "$spec: nothing was corrupt"
}

# leaves_gaps SPEC OPTION…: what is lost lies before what is there, and all of it can be read.
leaves_gaps() {
	spec=$1
	shift
	exits 1 run --engine "$spec" --json --tmp "$areas" "$@"
	broke O4 || fail "$spec: what was lost is the end"
	for rule in O1 O3 O5 O8; do
		! broke $rule || fail "$spec: $rule was broken, expected O2, O4 and O6 only"
	done
}

# store NAME: whether it was built; if not, that is said.
store() {
	"$program" list engines >"$work/engines"
	why=$(sed -n "s/^$1  \(not built: .*\)/\1/p" "$work/engines")
	[ -z "$why" ] || {
		echo "SKIPPED: $1: $why"
		return 1
	}
	check "$1 is listed with its options" has "$work/engines" "plug-in .*/$1\.so\$"
}

few='--ops 20 --max-states 1000 --nested 4'

sqlite() {
	# shellcheck disable=SC2086 # words
	{
		check 'SQLite, DELETE and EXTRA: nothing is lost' \
			keeps sqlite:synchronous=extra 0 $few --model kill,ext4,posix
		[ "$extent" = whole ] || return 0
		check 'SQLite, DELETE and FULL: the last transaction' \
			loses sqlite 1 $few --mix put,batch,compact --model ext4
		check 'SQLite, TRUNCATE and FULL: nothing is lost' \
			keeps sqlite:journal=truncate 0 $few --model ext4,posix-dir
		check 'SQLite, PERSIST and FULL: nothing is lost' \
			keeps sqlite:journal=persist 0 $few --model ext4,posix-dir --empty 30
		check 'SQLite, PERSIST and NORMAL: the chance of corruption is not zero' \
			corrupts sqlite:journal=persist,synchronous=normal --ops 12 --max-states 2000 \
			--depth 0 --model ext4
		check 'SQLite, WAL and FULL: nothing is lost' \
			keeps sqlite:journal=wal 0 $few --model ext4,posix
		check 'SQLite, WAL and NORMAL: what no checkpoint has synced may be lost' \
			keeps sqlite:journal=wal,synchronous=normal some $few \
			--model ext4,posix-dir
		check 'SQLite, WAL and NORMAL: transactions are lost, nothing is corrupt' \
			loses sqlite:journal=wal,synchronous=normal some $few \
			--model ext4 --contract each
		check 'SQLite, OFF: power corrupts, a kill does not' \
			keeps sqlite:synchronous=off 0 $few --model kill
		check 'SQLite, OFF: corrupt' \
			corrupts sqlite:synchronous=off --ops 20 --max-states 3000 --depth 0 --model ext4
		check 'SQLite, MEMORY: a kill corrupts' \
			corrupts sqlite:journal=memory $few --model kill
	}
}

lmdb() {
	# shellcheck disable=SC2086
	{
		check 'LMDB: nothing is lost' keeps lmdb 0 $few --model kill,ext4 --empty 30
		[ "$extent" = whole ] || return 0
		check 'LMDB: the name of its file is never synced' \
			loses lmdb some $few --model posix-dir
		check 'LMDB, NOMETASYNC: the last transaction' \
			keeps lmdb:nometasync=1 1 $few --model ext4
		check 'LMDB, NOSYNC: the last transactions, where writes keep their order' \
			keeps lmdb:nosync=1 some $few --model ideal
		check 'LMDB, NOSYNC: corrupt, where they do not' \
			corrupts lmdb:nosync=1 $few --model ext4
		check 'LMDB refuses a file whose creation was cut off' \
			corrupts lmdb:mend=0 $few --model kill
	}
}

leveldb() {
	# shellcheck disable=SC2086
	{
		check 'LevelDB, sync=1: nothing is lost' \
			keeps leveldb:sync=1 0 $few --model ext4,posix-dir --empty 30
		[ "$extent" = whole ] || return 0
		check 'LevelDB, sync=1: a rename that is not synced, and unlinks behind it' \
			corrupts leveldb:sync=1 $few --model posix
		check 'LevelDB, sync=0: what no synced write follows may be lost' \
			keeps leveldb some $few --model ext4
		check 'LevelDB, sync=0: a synced write leaves the log before it as it is' \
			leaves_gaps leveldb --ops 60 --mix put=2,sync=1 --values 4000-6000 \
			--max-states 3000 --depth 0 --model ext4
		check 'LevelDB, sync=0: a kill loses nothing' \
			keeps leveldb 0 $few --model kill --contract each,kill
	}
}

rocksdb() {
	less='--ops 16 --max-states 300 --nested 2'
	# shellcheck disable=SC2086
	{
		check 'RocksDB, sync=1: nothing is lost' \
			keeps rocksdb:sync=1 0 $less --model ext4,posix-dir --empty 30
		[ "$extent" = whole ] || return 0
		check 'RocksDB, sync=0: a kill loses nothing' \
			keeps rocksdb 0 $less --model kill --contract each,kill
		check 'RocksDB, wal=0: what no flush follows is lost to a kill' \
			keeps rocksdb:wal=0 some $less --model kill
	}
}

for store in ${*:-sqlite lmdb leveldb rocksdb}; do
	! store "$store" || $store
done
[ $cases != 0 ] || exit 77
finish
