#!/bin/sh
# Many small random workloads over the hardened engines: none of them may break a promise.
#
#   soak.sh N [SEED [FIRST]]     workloads FIRST [1] to FIRST + N - 1 of SEED [1]
#
# A workload has 50 operations, and of its crash states at most 200 under one profile are tested.  Its
# engine, that engine's options, the mix of operations, keys, sizes and the profile follow from SEED and
# its number alone, so that any of them can be run again: with this script, or with the command line that
# is printed for each that does not pass.
#
# What the outcome of one means:
#
#   0  passed
#   2  inconclusive: named and counted
#   3  too little happened in 50 operations for a pass, but nothing was broken: counted
#   1  a finding: the command line and the report are printed, and it ends.  So it does with any other
#      code, which is a failure of the program
#
# It ends with 1 after either; with 2 if more than one in a hundred workloads was inconclusive, or when
# interrupted; with 0 otherwise.  From the environment: POWERCUT, the program [build/powercut]; TMPDIR.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
powercut=${POWERCUT:-${here%/*}/build/powercut}
report_every=500 # workloads
done=0
passed=0
inconclusive=0
little=0
findings=0
failures=0
states=0
nested=0
stopped=no

die() {
	echo "soak: $*" >&2
	exit 64
}

for number in "${1:-}" "${2:-1}" "${3:-1}"; do
	case $number in
	'' | *[!0-9]* | 0* | ??????????*) die "usage: soak.sh N [SEED [FIRST]], numbers from 1 to 999999999" ;;
	esac
done
[ -x "$powercut" ] || die "there is no program $powercut: build it, or name it in POWERCUT"
count=$1
seed=${2:-1}
first=${3:-1}
# One small database a workload: in memory it is made and removed at once.
work=$(mktemp -d "${TMPDIR:-$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)}/soak-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'stopped=yes' INT TERM HUP

# draw: a line a workload, "OPTIONS of powercut run".
draw() {
	awk -v seed="$seed" -v first="$first" -v count="$count" '
	# The numbers of Park and Miller: awks differ in rand().  All products are below 2^53.
	function next_number() { return state = state * 16807 % 2147483647 }
	function below(n) { return int(next_number() / 2147483647 * n) }
	function between(low, high) { return low + below(high - low + 1) }
	function one_of(words,   list, n) { n = split(words, list, " "); return list[1 + below(n)] }
	# Each seed and number has a stream of its own; the first numbers of near streams are alike.
	function begin(i,   k) {
		state = (seed % 2147483646 + 1) * 48271 % 2147483647
		state = (state + i) % 2147483646 + 1
		for (k = 0; k < 12; k++)
			next_number()
	}
	function wal(   spec, sync) {
		sync = one_of("sync batch none")
		spec = "wal:variant=hardened,sync=" sync
		if (sync == "batch")
			spec = spec ",batch=" one_of("1 2 3 5 8 13")
		return spec ",recycle=" below(2) ",segment_bytes=" one_of("256 400 700 1024 2048 4096 9000") \
			",buffer_bytes=" one_of("1 64 500 4096 20000")
	}
	function lsm() {
		return "lsm:variant=hardened,sync=" one_of("each on-sync") \
			",memtable_bytes=" one_of("1 200 600 1200 2048 5000") \
			",block_bytes=" one_of("1 100 512 4096") ",compact_at=" between(2, 5) \
			",manifest_bytes=" one_of("256 400 1000 5000")
	}
	function btree() {
		return "btree:variant=hardened,fanout=" one_of("3 3 4 5 8 64") \
			",inline_bytes=" one_of("0 24 128 256") \
			",log_bytes=" one_of("0 4096 8192 16384 50000")
	}
	function bitcask() {
		return "bitcask:variant=hardened,sync_writes=" below(2) \
			",max_file_bytes=" one_of("64 300 700 1200 2048 5000") \
			",merge_dead_percent=" one_of("0 10 40 70 100")
	}
	function target(   spec) {
		spec = one_of("wal lsm btree bitcask")
		spec = spec == "wal" ? wal() : spec == "lsm" ? lsm() : spec == "btree" ? btree() : bitcask()
		return spec ",call=" one_of("fsync fdatasync")
	}
	# Puts always, each of the others in three workloads of four.
	function mix(   text) {
		text = "put=" between(20, 80)
		if (below(4)) text = text ",delete=" between(5, 60)
		if (below(4)) text = text ",batch=" between(2, 30)
		if (below(4)) text = text ",sync=" between(2, 30)
		if (below(4)) text = text ",compact=" between(2, 20)
		if (below(4)) text = text ",reopen=" between(2, 20)
		return text
	}
	# Ends of ranges "MIN-MAX": mostly small, some beyond a block or two.
	function values(   low) {
		low = one_of("24 24 24 30 100 500")
		return low "-" (low + one_of("0 10 60 200 200 1000 5000 9000"))
	}
	function batches(   low) {
		low = one_of("1 2 2 4")
		return low "-" (low + one_of("0 1 5 10 40"))
	}
	BEGIN {
		for (i = first; i < first + count; i++) {
			begin(i)
			print "--engine " target() " --mix " mix() " --keys " one_of("1 2 4 8 12 12 20 40") \
				" --values " values() " --batches " batches() \
				" --reuse " one_of("1 30 70 70 95 100") " --empty " one_of("0 0 0 10 50") \
				" --model " one_of("kill ideal ext4-lock ext4 ext4-noda xfs btrfs posix-dir posix posix") \
				" --seed " (1 + next_number())
		}
	}' </dev/null
}

# run_one OPTIONS: the report is added to $work/reports; its exit code.
run_one() {
	rm -f "$work/db" "$work/db-wal" "$work/db-shm" "$work/db-journal"
	# shellcheck disable=SC2086 # options
	"$powercut" run --ops 50 --max-states 200 --nested 2 --jobs 1 --no-stacks --no-outcomes --json \
		--tmp "$work" --db "$work/db" $1 >"$work/report" 2>"$work/errors" </dev/null
	code=$?
	cat "$work/report" >>"$work/reports"
	return $code
}

# The states tested, of the reports since the last time.
count_states() {
	# shellcheck disable=SC2046 # two numbers
	set -- $(awk '/^    "tested": / { tested += $2 } /^    "nested": / { nested += $2 }
		END { print tested + 0, nested + 0 }' "$work/reports")
	: >"$work/reports"
	states=$((states + $1))
	nested=$((nested + $2))
}

summary() {
	count_states
	echo "$done workloads: $passed passed, $little with too little, $inconclusive inconclusive," \
		"$findings with findings, $failures failed; $states states and $nested after a second crash"
}

as_command() {
	echo "workload $((first + done - 1)) of seed $seed:"
	echo "  powercut run --ops 50 --max-states 200 --nested 2 --jobs 1 $1"
}

: >"$work/reports"
draw >"$work/drawn" || die "no workloads could be drawn"
while [ $stopped = no ] && read -r options <&3; do
	code=0
	run_one "$options" || code=$?
	# An interrupt also ends the run that was under way.
	[ $stopped = no ] || break
	done=$((done + 1))
	case $code in
	0) passed=$((passed + 1)) ;;
	2) inconclusive=$((inconclusive + 1)) && echo "inconclusive:" && as_command "$options" ;;
	3) little=$((little + 1)) ;;
	*)
		if [ $code = 1 ]; then findings=1; else failures=1; fi
		echo "ended with $code:"
		as_command "$options"
		cat "$work/report" "$work/errors"
		break
		;;
	esac
	[ $((done % report_every)) != 0 ] || summary
done 3<"$work/drawn"
summary
[ $((findings + failures)) = 0 ] || exit 1
[ $stopped = no ] && [ $((inconclusive * 100)) -le $done ] || exit 2
