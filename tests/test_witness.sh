#!/bin/sh
# Findings on real file systems: which are witnessed, which are not, and what is left after a kill.
#
#   test_witness.sh POWERCUT [engine|stores|kill]
#
# Needs root, FUSE and loop devices; without them it says so and is skipped.
set -u
[ $# -ge 1 ] && [ -x "$1" ] || {
	echo "usage: test_witness.sh POWERCUT [engine|stores|kill]"
	exit 64
}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "$1")
group=${2-}
. "$here/lib_cli.sh"
. "$here/lib_cases.sh"

# One recording shows whether this machine can do it at all; what it misses is in the first line.
"$program" fidelity --on ext4 --programs 1 --no-litmus --quiet --tmp "$areas" >"$work/out" 2>"$work/err" </dev/null
[ $? != 64 ] || {
	echo "SKIPPED: witnesses: $(sed -n '1s/^powercut fidelity: //p' "$work/err")"
	exit 77
}

# ---- witnesses ----

# has_fs NAME: skips the case where it cannot be made or mounted here.
has_fs() {
	[ "$1" != ext4 ] || return 0 # see above
	"$program" fidelity --on "$1" --programs 1 --no-litmus --quiet --tmp "$areas" >out 2>err </dev/null
	[ $? != 64 ] || skip "$(sed -n '1s/^powercut fidelity: //p' err)"
}

# campaign PROFILES STATES ARGUMENT…: a database db with findings.
campaign() {
	profiles=$1
	limit=$2
	shift 2
	exits 1 run --quiet --db db --tmp "$areas" --model "$profiles" --max-states "$limit" --depth 0 "$@"
}

lsm_campaign() {
	campaign ext4 400 --engine lsm:variant=textbook,memtable_bytes=600 --ops 50 --mix put,delete
}

# case_campaign CASE PROFILES STATES: the same of a real store.
case_campaign() {
	build "$1"
	campaign "$2" "$3" --check './check {dir} {acked}' -- ./workload '{dir}'
}

# fingerprint PATTERN: of the first finding whose listing has it.
fingerprint() {
	pc list findings --db db
	awk -v pattern="$1" '/^[0-9a-f]+  / { id = $1 } $0 ~ pattern { print id; exit }' out
}

# witness EXIT FINDING OPTION…: the outcomes in words, one a file system, are in $outcomes.
witness() {
	wanted=$1
	finding=$2
	shift 2
	[ -n "$finding" ] || fail "there is no such finding: $(cat out)"
	exits "$wanted" witness "$finding" --db db --tmp "$areas" --json "$@"
	outcomes=$(sed -n 's/.*"outcome": "\(.*\)",*$/\1/p' out)
}

# seen_on FILE-SYSTEM FINDING OPTION…: witnessed, or another state on which its rule breaks.
seen_on() {
	fs=$1
	finding=$2
	shift 2
	witness 0 "$finding" --on "$fs" "$@"
	case $outcomes in
	witnessed | 'same rule') ;;
	*) fail "$fs: $outcomes: $(cat out)" ;;
	esac
	has out '"blocks": "keeps'
	has out "\"kernel\": \"$(uname -r) $(uname -m)\""
}

lsm_on_ext4() {
	lsm_campaign
	seen_on ext4 "$(fingerprint O4)" --same-rule --max-states 6000
	has out '"text": "a crash .*breaks O4 (prefix): no prefix of the operations'
	exits 0 show "$(fingerprint O4)" --db db
	has out 'On real file systems'
	has out 'same rule  *on ext4\|witnessed  *on ext4'
}

# The calls of a recovery, after a first crash, are crashed on a real disk too.
double_crash_on_ext4() {
	exits 1 run --quiet --db db --tmp "$areas" --model ext4 --max-states 300 --nested 12 --no-outcomes \
		--engine lsm:mutant=lsm/leftovers-before-flush
	seen_on ext4 "$(fingerprint O10)" --same-rule
	has out 'O10 (recovery is crash-safe): open'
}

# A file that was replaced without a sync: all zeros on ext4, empty on xfs; on all of them the old one.
pyjson_on() {
	has_fs "$1"
	case_campaign pyjson-replace "$1" 60
	seen_on "$1" "$(fingerprint LOST)" --same-rule
	has out 'LOST: acked='
	case $1 in
	ext4 | xfs)
		seen_on "$1" "$(fingerprint CORRUPT)" --max-states 3000
		[ "$outcomes" = witnessed ] || fail "the very state was not seen: $(cat out)"
		has out 'CORRUPT: state.json has'
		stays_seen "$1" "$(fingerprint CORRUPT)"
		;;
	esac
}

# What was witnessed stays so, whatever comes of a smaller look.
stays_seen() {
	pc witness "$2" --on "$1" --db db --tmp "$areas" --max-states 12 --rounds 1
	exits 0 show "$2" --db db
	has out "witnessed  *on $1 "
	[ "$(grep -c " on $1 " out)" = 1 ] || fail "more than one row: $(cat out)"
}

sqlite_on_ext4() {
	case_campaign sqlite-delete-full posix,ext4 800
	seen_on ext4 "$(fingerprint 'check')" --max-states 2000
	[ "$outcomes" = witnessed ] || fail "the very state was not seen: $(cat out)"
}

leveldb_not_on_ext4() {
	case_campaign leveldb-sync posix 500
	finding=$(fingerprint check)
	witness 2 "$finding" --on ext4 --max-states 100 --rounds 1
	[ "$outcomes" = 'not seen' ] || fail "$outcomes: $(cat out)"
	has out '"variants": 6'
	exits 0 show "$finding" --db db
	has out 'not seen  *on ext4 in .* states of 6 timings'
	lacks out mpossible
}

# A block is whole or not there: that one was torn is nothing that this disk shows.
other_state() {
	case_campaign pyjson-replace posix 200
	seen_on ext4 "$(fingerprint 'CORRUPT: state.json has 665 bytes, not JSON$')" --same-rule
	[ "$outcomes" = 'same rule' ] || fail "$outcomes: $(cat out)"
}

refusals() {
	refused 'expected one fingerprint' witness --db db
	refused 'db' witness 12345678 --db db
	[ ! -e db ] || fail "a database was made"
	lsm_campaign
	refused "no finding's fingerprint begins with 0000000000000000" witness 0000000000000000 --db db
	finding=$(fingerprint O4)
	refused '"zfs" is no file system' witness "$finding" --db db --on ext4,zfs
	cp db before
	refused 'is not a number' witness "$finding" --db db --max-states 1
	# Root in nothing but its permissions.
	if command -v setpriv >/dev/null; then
		setpriv --reuid 65534 --inh-caps +dac_override --ambient-caps +dac_override \
			"$program" witness "$finding" --db db >out 2>err </dev/null
		[ $? = 64 ] || fail "without root: $(cat out)"
		has err 'root'
	fi
	cmp db before || fail "a refused command changed the database"
}

interrupted() {
	lsm_campaign
	"$program" witness "$(fingerprint O4)" --db db --tmp "$areas" --on ext4 --max-states 1000000 --rounds 1000 >out 2>err </dev/null &
	# From then on it takes signals.
	while kill -0 $! 2>/dev/null && [ -z "$(ls -A "$areas")" ]; do sleep 0.1; done
	sleep 0.5
	kill -INT $!
	wait $!
	code=$?
	[ $code = 2 ] || fail "exit code $code: $(cat out)"
	has err 'interrupted: what came of [01] of 1 file systems is kept'
	[ -z "$(ls -A "$areas")" ] || fail "left behind: $(ls "$areas")"
}

# ---- kills ----

# What there is of ours; the directory for images is in each command line, and in the paths of devices.
processes() {
	printf '%s\n' "$areas" >pattern # not an argument of the program that looks for it
	grep -slaF -f pattern /proc/[0-9]*/cmdline
}

ours() {
	processes
	grep -s "$areas" /proc/mounts
	grep -s "$areas" /sys/block/loop*/loop/backing_file
	ls -A "$areas"
}

# until_none FUNCTION: it prints nothing, now or within five seconds; what it printed last is in $left.
until_none() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		left=$("$1")
		[ -n "$left" ] || return 0
		sleep 0.5
	done
	return 1
}

# killed_at MILLISECONDS ARGUMENT…: counts in $killed where that was in time.
killed_at() {
	delay=$(awk -v ms="$1" 'BEGIN { printf "%.3f", ms / 1000 }')
	shift
	"$program" "$@" --tmp "$areas" --quiet >out 2>err </dev/null &
	sleep "$delay"
	kill -9 $! 2>/dev/null && killed=$((killed + 1))
	wait $! 2>/dev/null
	case $? in
	137) ;;
	0) has out witnessed ;; # it was quicker
	*) fail "powercut $*: ended by itself" ;;
	esac
}

nothing_left() {
	lsm_campaign
	finding=$(fingerprint O4)
	killed=0
	# Moments by a seed, two of three in the first quarter of a second.
	awk 'BEGIN { srand(5); for (i = 0; i < 28; i++) print int(10 + rand() * (i % 3 ? 240 : 700)), i % 4 }' >moments
	while [ $killed -lt 20 ] && read -r ms which; do
		case $which in
		0) killed_at "$ms" fidelity --on ext4 --programs 100000 --no-litmus ;;
		1) killed_at "$ms" witness "$finding" --db db --on ext4 --max-states 1000000 --rounds 1000 ;;
		2) killed_at "$ms" run --on ext4 --db db2 --engine wal --max-states 1000000 ;;
		3) killed_at "$ms" fidelity --on ext4-noda --litmus --max-states 100000 ;;
		esac
	done <moments
	[ $killed = 20 ] || fail "only $killed were killed in time"
	# They end by themselves; the next start has but to clear away.
	until_none processes || fail "still running: $left"
	exits 0 fidelity --on ext4 --programs 1 --no-litmus --quiet --tmp "$areas"
	until_none ours || fail "left behind: $left"
}

in_group() {
	[ -z "$group" ] || [ "$group" = "$1" ]
}

if in_group engine; then
	check 'textbook lsm loses data on a real ext4' lsm_on_ext4
	check 'a recovery that is not crash-safe fails on a real ext4' double_crash_on_ext4
	check 'what cannot be done is refused, and changes nothing' refusals
	check 'interrupted, it ends in order' interrupted
fi
if in_group stores; then
	check 'a file replaced without a sync is lost on a real ext4' pyjson_on ext4
	check 'the same on a real xfs' pyjson_on xfs
	check 'the same on a real btrfs' pyjson_on btrfs
	check 'SQLite with a journal whose end is not synced is witnessed on ext4' sqlite_on_ext4
	check 'what LevelDB loses under posix is not seen on ext4' leveldb_not_on_ext4
	check 'another state that breaks the rule is not called the same' other_state
fi
if in_group kill; then
	check '20 kills leave nothing behind the next start' nothing_left
fi
finish
