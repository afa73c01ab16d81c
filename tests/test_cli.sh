#!/bin/sh
# Tests of the command line, from outside: each is a few runs of the program.
#
#   test_cli.sh POWERCUT POWERCUT_SHIFTED [GROUP…]
#
# The second program is the same program but for the line numbers of its engine's sources.  Prints a line
# for each case, and closes as a Check program does, so that each counts.  A group is one of the
# functions at the end: only those given are run.
set -u
[ $# -ge 2 ] && [ -x "$1" ] && [ -x "$2" ] || {
	echo "usage: test_cli.sh POWERCUT POWERCUT_SHIFTED [GROUP…]"
	exit 64
}
here=$(dirname -- "$0")
program=$(readlink -f -- "$1")
shifted=$(readlink -f -- "$2")
. "$here/lib_cli.sh"

# As refused, and no file comes into being, none is changed.
refused_cleanly() {
	cp "$work/a.db" a.db
	find . ! -name out ! -name err ! -name first ! -name others ! -name before >before
	refused "$@"
	find . ! -name out ! -name err ! -name first ! -name others ! -name before >out
	cmp out before || fail "$*: it made or removed files: $(cat out)"
	cmp a.db "$work/a.db" || fail "$*: it changed the database"
}

# bad PATTERN ARGUMENT…: a case of its own.
bad() {
	bad_pattern=$1
	shift
	check "refused: powercut$(printf " '%s'" "$@")" refused_cleanly "$bad_pattern" "$@"
}

# A JSON document, by its grammar: strings and other values become one character each, then
# objects and arrays of such, until one is left.
valid_json() {
	awk '
		{ text = text $0 "\n" }
		END {
			gsub(/\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/, "", text)
			gsub(/"([^"\\\001-\037]|\\["\\\/bfnrt])*"/, "\001", text)
			gsub(/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null/, "\002", text)
			gsub(/[ \t\r\n]/, "", text)
			do {
				n = gsub(/\{(\001:[\001\002](,\001:[\001\002])*)?\}/, "\002", text)
				n += gsub(/\[([\001\002](,[\001\002])*)?\]/, "\002", text)
			} while (n)
			exit text != "\002"
		}' "$1" || fail "$1 is not JSON: $(head -c 300 "$1")"
}

# poke FILE OFFSET BYTES: overwrites bytes in place; BYTES as printf takes them.
poke() {
	# shellcheck disable=SC2059 # the bytes are a format
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# ---- small campaigns ----

# What they have in common: quick, and quiet.  What they record of a recovery takes most of the
# time: those that are about it ask for it again.
small='--ops 40 --max-states 300 --depth 0 --quiet'
textbook='--engine wal:variant=textbook --model kill,ext4,posix'
hardened='--engine wal:variant=hardened --model kill,ext4,posix'
# Its findings all need a second crash.
nested='--engine wal:mutant=wal/recover-no-sync --model kill,ext4 --depth 1 --nested 6'

# campaign CODE DATABASE OPTION…
campaign() {
	campaign_code=$1
	campaign_db=$2
	shift 2
	# shellcheck disable=SC2086 # words
	exits "$campaign_code" run $small --tmp "$areas" --db "$campaign_db" "$@"
}

fingerprints() { # of the newest campaign
	exits 0 report --format json --db "$1"
	sed -n 's/.*"fingerprint": "\([0-9a-f]*\)".*/\1/p' out
}

states() { # that stand for a finding, with its rule: "O2 ID"
	exits 0 report --format json --db "$1"
	sed -n -e 's/.*"rule": "\(O[0-9]*\)".*/\1/p' -e 's/.*"state": "\([^"]*\)".*/\1/p' out |
		paste -d ' ' - -
}

# ---- cases: wrong usage ----

no_command() {
	exits 64
	[ ! -s out ] || fail "it wrote to standard output"
	has err '^Usage: powercut COMMAND'
}

unknown_command() {
	exits 64 frobnicate
	has err '^powercut: "frobnicate" is not a command, expected one of$'
	has err '^  run report '
}

help_of() {
	exits 0 "$@"
	has out '^Usage: powercut'
	[ ! -s err ] || fail "it wrote to standard error"
}

# Every option that the help of a command shows with a value, without it.
values_missing() {
	exits 0 "$1" --help
	sed -n 's/^  --\([a-z-]*\) [A-Z].*/\1/p' out >names
	[ -s names ] || fail "no options"
	while read -r name; do
		refused "^powercut $1: --$name needs a value" "$1" "--$name"
	done <names
}

# Every option without a value, with one.
values_too_much() {
	exits 0 "$1" --help
	sed -n 's/^  --\([a-z-]*\)   .*/\1/p' out >names
	[ -s names ] || fail "no options"
	while read -r name; do
		refused "^powercut $1: --$name takes no value" "$1" "--$name=1"
	done <names
}

wrong_usage() {
	check 'without a command: usage' no_command
	check 'an unknown command is named, and the known ones are' unknown_command
	check '--help' help_of --help
	for command in run report show repro gate selftest spectrum claims list trace bench driver-test; do
		check "$command --help" help_of $command --help
		check "$command: options without their values" values_missing $command
		check "$command: flags with a value" values_too_much $command
		bad "^powercut $command: --nope is not an option" $command --nope
		bad "^powercut $command: -x is not an option" $command -x
		bad "^powercut $command: -x is not an option" $command -xyz
	done
	bad 'no checker' run extra
	bad '"extra" is too much' report extra
	bad 'expected one fingerprint' show
	bad 'expected one fingerprint' show c68c 38a8
	bad 'expected one crash-state ID' repro
	bad 'expected one crash-state ID' repro a b
	bad '"extra" is too much' gate extra
	lists='expected one of engines, profiles, faults, bugs, campaigns, findings, calls'
	bad "$lists" list
	bad "\"nonsense\" is no list, $lists" list nonsense
	bad "\"profiles\" is too much, $lists" list engines profiles
	bad "\"bugs\" is too much, $lists" list faults bugs
	for what in engines profiles faults bugs campaigns calls; do
		bad "--campaign goes with findings, not with $what" list $what --campaign 1
	done
	bad '--db goes with campaigns and findings, not with bugs' list bugs --db a.db
	bad '"extra" is too much' trace extra
	bad 'either --target or --state' trace --target 1 --state "$state"
	bad '"extra" is too much' spectrum extra
	bad '"extra" is too much' bench extra
	bad '--m is not an option, or begins several' run --m kill
}

# ---- cases: wrong values of run ----

# bad_run PATTERN ARGUMENT…: with a small campaign into a database that must not come into being.
bad_run() {
	run_pattern=$1
	shift
	# shellcheck disable=SC2086 # words
	bad "$run_pattern" run --engine wal $small --db new.db "$@"
}

wrong_values() {
	bad '^powercut run: --engine: there is no engine "nope"; known are: .*wal' run --engine nope
	bad '^powercut run: --engine: there is no engine ""' run --engine ''
	bad '^powercut run: --engine: wal has no option "nope"; known are: variant, ' \
		run --engine wal:nope=1
	bad '--engine: wal: variant=x: expected one of textbook|hardened' run --engine wal:variant=x
	bad '--engine: wal: expected variant=VALUE' run --engine wal:variant
	bad '--engine: wal: segment_bytes=1: expected a number from 256' \
		run --engine wal:segment_bytes=1
	bad '--engine: wal: variant is given twice' \
		run --engine wal:variant=textbook,variant=textbook
	bad '--engine: there is no engine "nope"' run --engine wal --engine nope
	for mutant in '' nope skip-sync lsm/drop-tombstone btree/no-checksum bitcask/hint-trusted; do
		bad "--engine: wal has no planted bug \"$mutant\"; known are: wal/skip-sync, " \
			run --engine "wal:mutant=$mutant"
	done
	for engine in lsm btree bitcask; do
		bad "--engine: $engine has no planted bug \"wal/skip-sync\"; known are: $engine/" \
			run --engine "$engine:mutant=wal/skip-sync"
	done
	bad_run '--model: "nope" is not a profile, expected one of kill ideal' --model nope
	bad_run '--model: "nope" is not a profile' --model kill,nope
	bad_run '--model: "" is not a profile' --model kill,,ext4
	bad_run '--model: names no profile' --model ''
	bad_run '--model: names no profile' --model kill --model ''
	bad_run '--model: "" is not a profile' --model kill,
	for option in ops keys reuse empty; do
		for value in '' nonsense -1 1.5 1e3 0x10 99999999999999999999999; do
			bad_run "--$option: .*expected a number from" --$option "$value"
		done
	done
	for option in values batches; do
		for value in '' nonsense -1 9-3 30- 99999999999999999999999; do
			bad_run "--$option: .*expected a range such as" --$option "$value"
		done
	done
	for option in seed max-states depth nested jobs; do
		for value in '' nonsense -1 1.5 99999999999999999999999; do
			bad_run "--$option: \".*\" is not a number from" --$option "$value"
		done
	done
	bad_run '--depth: "5" is not a number from 0 to 4' --depth 5
	bad_run '--nested: "0" is not a number from 1' --nested 0
	bad_run '--nested-states: "x" is not a number' --nested-states x
	bad_run '--seed: "0" is not a number from 1' --seed 0
	bad_run '--jobs: "0" is not a number from 1' --jobs 0
	for option in budget timeout; do
		for value in '' nonsense -1 0 1x 10ss 99999999999999999999999 9999999h; do
			bad_run "--$option: \".*\" is not a time" --$option "$value"
		done
	done
	for option in memory disk; do
		for value in '' nonsense -1 0 1 64K 1T 99999999999999999999999 99999999999G; do
			bad_run "--$option: \".*\" is not a size" --$option "$value"
		done
	done
	bad_run '--mix: "nope" is no operation: expected put, delete' --mix nope
	bad_run '--mix: "" is no operation' --mix ''
	bad_run '--mix: "" is no operation' --mix put,
	bad_run '--mix: "put=x": expected a weight' --mix put=x
	bad_run '--mix: mix: no operation has a weight above 0' --mix put=0
	bad_run '--contract: contract: "nope": expected each, every=N' --contract nope
	bad_run '--contract: contract: every=0: expected a number' --contract every=0
	bad_run '--contract: contract: "": expected each' --contract each,
	bad_run '"on-sync": what an acknowledgement means is said twice' --contract each,on-sync
	bad_run '"each": what an acknowledgement means is said twice' --contract every=2,each
	bad_run '"kill": what it holds against is said twice' --contract power,prefix,kill
	bad_run '"no-prefix": the order of losses is said twice' --contract prefix,no-prefix
	bad_run '"batch=none": what batches are is said twice' --contract batch=atomic,batch=none
	bad_run '"stays": whether a recovery.s contents stay is said twice' --contract stays,stays
	bad_run '--expect: "nope" is neither a rule and profile such as O2@posix' --expect nope
	bad_run '--expect: "O2@nope" is neither' --expect 'O4@kill O2@nope'
	bad_run '--expect: "O99@kill" is neither' --expect O99@kill
	bad_run '--tmp: cannot work in nodir (choose another directory' --tmp nodir
	bad_run '--tmp: cannot work in ' --tmp ''
	bad_run '--tmp: .*/a.db is no directory' --tmp "$work/a.db"
	bad_run '--power goes with --live' --power
	bad '--contract goes with --engine' run --contract each
	bad '--mix goes with --engine' run --mix put
	bad '--expect goes with --engine' run --expect O2@kill
}

wrong_values_of_others() {
	bad '--format: no report format .nope., expected one of: text, json' report --format nope
	for value in '' nonsense 0 -1 99999999999999999999999; do
		bad '--campaign: ".*" is not a number from 1' report --db a.db --campaign "$value"
	done
	bad 'a.db: no campaign 99 (see list campaigns)' report --db a.db --campaign 99
	bad 'a.db: no campaign 99' list findings --db a.db --campaign 99
	bad 'a.db: no campaign 99' gate --db a.db --baseline a.db --campaign 99
	bad '--baseline FILE is missing' gate --db a.db
	bad "'zzzz' names no finding, expected a fingerprint" show --db a.db zzzz
	bad "'' names no finding" show --db a.db ''
	bad 'a.db: no finding.s fingerprint begins with 00000000' show --db a.db 00000000
	bad 'a.db: no row 99 in findings' show --db a.db '#99'
	bad 'a.db: campaign 1 has no target "99"; it has 1 wal:variant=textbook' \
		trace --db a.db --target 99
	bad 'a.db: campaign 1 has no target "nope"; it has 1 wal' trace --db a.db --target nope
	bad 'a.db: no campaign 99' trace --db a.db --campaign 99
	bad 'either --campaign or --state' trace --db a.db --campaign 1 --state "$state"
	for value in '' nonsense 1234567 123456789 1234567G "x$state" " $state"; do
		bad '--state: ".*" is no crash-state ID' trace --db a.db --state "$value"
	done
	bad 'no trace of this database begins with 00000000' \
		trace --db a.db --state 00000000.posix.13.1
	bad '--rounds: "0" is not a number from 1' bench --rounds 0
	bad 'cannot work in nodir' bench --tmp nodir
	bad '--timeout: "0" is not a time' repro --db a.db --timeout 0 "$state"
	bad 'cannot work in nodir' repro --db a.db --tmp nodir "$state"
	for command in selftest spectrum claims; do
		for option in seed max-states jobs; do
			for value in '' nonsense -1 99999999999999999999999; do
				bad "^powercut $command: --$option: \".*\" is not a number from" \
					$command --db new.db --$option "$value"
			done
		done
		bad '--seed: "0" is not a number from 1' $command --seed 0
		bad '--jobs: "257" is not a number from 1 to 256' $command --jobs 257
		bad '--timeout: "0" is not a time' $command --timeout 0
		bad '--tmp: cannot work in nodir' $command --tmp nodir
	done
	for value in '' nonsense 0 -1 1.5 1000001; do
		bad '--seeds: ".*" is not a number from 1 to 1000000' selftest --seeds "$value"
	done
	bad '--seeds: there are no 3 seeds from 9223372036854775807 on' \
		selftest --seed 9223372036854775807 --seeds 3
	bad '--export: names no directory' repro --db a.db --export '' "$state"
	bad '"wal/nope" matches no planted bug (see `powercut list bugs`) and no sound engine' selftest wal/skip-sync wal/nope
	for value in '' nonsense 0 13; do
		bad "^powercut claims: \"$value\" is not a number from 1 to 12" claims 1 "$value"
	done
}

# ---- cases: databases that are none ----

# With every command that reads one, and with run, which would make one.
for_readers() {
	readers_pattern=$1
	readers_db=$2
	for reader in 'report' 'show c68c' 'list campaigns' 'list findings' 'trace' \
		"repro $state" "gate --baseline $work/a.db"; do
		# shellcheck disable=SC2086 # words
		refused "$readers_pattern" $reader --db "$readers_db"
	done
	refused "$readers_pattern" gate --db "$work/a.db" --baseline "$readers_db"
}

for_all() {
	for_readers "$@"
	# shellcheck disable=SC2086 # words
	refused "$1" run $small $hardened --db "$2"
}

directory_for_database() {
	mkdir dir.db
	for_all 'dir.db: is a directory, expected a powercut database' dir.db
	rmdir dir.db || fail "it wrote into the directory"
}

missing_database() {
	for_readers 'none.db: no such database' none.db
	[ ! -e none.db ] || fail "it was made"
	for_readers 'no/none.db: no such database' no/none.db
	# shellcheck disable=SC2086 # words
	refused 'no/none.db: ' run $small $hardened --db no/none.db
	for_all 'a database needs a file name' ''
}

# damaged PATTERN: x.db is refused, and stays as it is.
damaged() {
	cp x.db copy.db
	for_all "$1" x.db
	cmp x.db copy.db || fail "it was changed"
	[ ! -e x.db-journal ] || fail "a journal was made"
}

no_database() {
	printf 'Dear diary,\n%0200d\n' 0 >x.db
	damaged 'x.db: file is not a database, expected a powercut database'
	: >x.db
	for_readers 'x.db: file is empty, expected a powercut database' x.db
	[ ! -s x.db ] || fail "it was filled"
}

foreign_database() { # offset 68: the application id
	cp "$work/a.db" x.db
	poke x.db 68 '\0\0\0\052'
	damaged 'x.db: a SQLite database of another program (application id 0x0000002a'
}

newer_database() { # offset 60: the version of the schema
	cp "$work/a.db" x.db
	poke x.db 60 '\0\0\0\143'
	damaged 'x.db: .*database version 99, expected at most'
}

half_database() {
	half=$(($(wc -c <"$work/a.db") / 2))
	head -c "$half" "$work/a.db" >x.db
	damaged 'x.db: '
}

noise_in_database() { # every page but the first
	head -c 4096 "$work/a.db" >x.db
	tail -c +4097 "$work/a.db" | tr '\0-\377' '\1-\377\0' >>x.db
	cp x.db copy.db
	for reader in 'report' 'list findings' 'trace' "repro $state"; do
		# shellcheck disable=SC2086 # words
		refused 'x.db: ' $reader --db x.db
	done
	cmp x.db copy.db || fail "it was changed"
}

# Root may write anywhere but in such places.
unwritable_place() {
	# shellcheck disable=SC2086 # words
	refused '/proc/powercut.db: ' run $small $hardened --db /proc/powercut.db
	[ "$(id -u)" != 0 ] || return 0
	mkdir locked
	chmod a-w locked
	# shellcheck disable=SC2086 # words
	refused 'locked/x.db: cannot write to its directory' run $small $hardened --db locked/x.db
}

full_disk() {
	mkdir disk
	# In a mount namespace of its own: nothing is left mounted, whatever happens.
	unshare -m true 2>/dev/null || skip "needs the right to mount"
	unshare -m sh -c '
		mount -t tmpfs -o size=400k none disk || exit 77
		shift 2
		"$0" run --engine wal --model kill --ops 40 --depth 0 --db disk/x.db --quiet \
			>out 2>err || exit 1
		"$0" run "$@" --db disk/x.db >out 2>err
		code=$?
		"$0" list campaigns --db disk/x.db >list 2>>err || exit 1
		exit $code' "$program" - - --engine wal:variant=textbook --ops 120 --quiet
	code=$?
	[ $code != 77 ] || skip "cannot mount a tmpfs"
	[ $code = 70 ] || fail "exit code $code, expected 70"
	has err '^powercut run: disk/x.db: .*full'
	has list '^1 .*PASSED' # the finished campaign is still there
}

full_disk_selftest() {
	mkdir disk
	unshare -m true 2>/dev/null || skip "needs the right to mount"
	unshare -m sh -c 'mount -t tmpfs -o size=200k none disk || exit 77
		"$@" >out 2>err' - "$program" selftest wal/skip-sync --quiet --db disk/x.db
	code=$?
	[ $code != 77 ] || skip "cannot mount a tmpfs"
	[ $code = 70 ] || fail "exit code $code, expected 70"
	has err '^powercut selftest: .*disk/x.db: .*full'
}

# A file that would grow beyond its limit is an error, not a death without a word.
limited_file() {
	(
		ulimit -f 100
		# shellcheck disable=SC2086 # words
		"$program" run $small $textbook --tmp "$areas" --db x.db >/dev/null 2>err
	)
	code=$?
	[ $code = 70 ] || fail "exit code $code, expected 70"
	has err '^powercut run: .*File too large'
}

# Several that begin one new database at once.
begun_at_once() {
	for round in 1 2 3 4 5; do
		pids=
		for n in 1 2 3 4; do
			# shellcheck disable=SC2086 # words
			"$program" run --engine wal --model kill --ops 3 --depth 0 --quiet \
				--tmp "$areas" --db new.db >/dev/null 2>err.$n &
			pids="$pids $!"
		done
		for pid in $pids; do
			wait "$pid"
			code=$?
			[ $code = 3 ] || fail "round $round: exit code $code: $(cat err.?)"
		done
		exits 0 list campaigns --db new.db
		[ "$(grep -c '^[0-9]' out)" = 4 ] || fail "not four campaigns"
		rm new.db
	done
}

# A place for images without room.
full_tmp() {
	mkdir small
	unshare -m true 2>/dev/null || skip "needs the right to mount"
	unshare -m sh -c 'mount -t tmpfs -o size=1m none small || exit 77
		"$@" >out 2>err' - "$program" run --engine wal --tmp small --db x.db
	code=$?
	[ $code != 77 ] || skip "cannot mount a tmpfs"
	[ $code = 64 ] || fail "exit code $code, expected 64"
	has err '^powercut run: --tmp: small has . MiB free and 64 are needed'
}

output_full() {
	[ -w /dev/full ] || skip "there is no /dev/full"
	for reader in 'report' 'report --format json' 'list findings' 'trace' 'show #1' \
		"repro $state" "gate --baseline $work/a.db"; do
		# shellcheck disable=SC2086 # words
		"$program" $reader --db "$work/a.db" >/dev/full 2>err
		code=$?
		[ $code = 70 ] || fail "$reader: exit code $code, expected 70"
		has err 'standard output: No space left'
	done
	for talk in --help --version 'run --help' 'list engines' 'list --json bugs'; do
		# shellcheck disable=SC2086 # words
		"$program" $talk >/dev/full 2>err
		code=$?
		[ $code = 70 ] || fail "$talk: exit code $code, expected 70"
		# shellcheck disable=SC2086 # words
		"$program" $talk >&- 2>err
		code=$?
		[ $code = 70 ] || fail "$talk with it closed: exit code $code, expected 70"
	done
}

reader_goes_away() {
	"$program" trace --db "$work/a.db" 2>err | head -n 1 >out
	[ -s out ] && [ ! -s err ] || fail "no first line, or a complaint"
}

wrong_databases() {
	check 'a directory for a database' directory_for_database
	check 'no database, no directory, no name' missing_database
	check 'a file that is no database, or empty' no_database
	check 'the database of another program, which stays as it is' foreign_database
	check 'a newer database, which stays as it is' newer_database
	check 'half a database' half_database
	check 'noise for a database' noise_in_database
	check 'a place where nothing can be written' unwritable_place
	check 'a full disk, which keeps what was finished' full_disk
	check 'a full disk and the self-test' full_disk_selftest
	check 'a limit on the size of files' limited_file
	check 'one new database for several at once' begun_at_once
	check 'a full place for images' full_tmp
	check 'standard output that is full is an internal error' output_full
	check 'a reader of standard output that goes away is none' reader_goes_away
}

# ---- cases: traces that were altered ----

# The trace lies in one piece from its magic to the end of the page, and goes on in others.
altered_trace() {
	at=$(grep -abo PCTRACE "$work/a.db" | sed -n '1s/:.*//p')
	[ -n "$at" ] || fail "the database holds no trace"
	# The head, the beginning of what is compressed, and far in it: text that would unpack.
	for offset in 0 8 9 12 20 28 40 100 112 168 176 184 192 208 216 232 240; do
		for byte in '\000' '\377' '\125'; do
			cp "$work/a.db" x.db
			poke x.db $((at + offset)) "$byte"
			! cmp -s x.db "$work/a.db" || continue
			for reader in trace "repro $state" "repro --export dir $state"; do
				# shellcheck disable=SC2086 # words
				refused 'trace 1' $reader --db x.db
			done
		done
	done
	[ ! -e dir ] || fail "something was exported"
}

# Its end overwritten with zeros, up to the end of the page.
cut_trace() {
	at=$(grep -abo PCTRACE "$work/a.db" | sed -n '1s/:.*//p')
	cp "$work/a.db" x.db
	rest=$((4096 - (at + 200) % 4096))
	dd if=/dev/zero of=x.db bs=1 seek=$((at + 200)) count=$rest conv=notrunc 2>/dev/null
	refused 'trace 1\|malformed' trace --db x.db
	refused 'trace 1\|malformed' repro "$state" --db x.db
	command -v sqlite3 >/dev/null || return 0 # the same, in a database that is in order
	for bytes in 0 5 30 1000; do
		cp "$work/a.db" x.db
		sqlite3 x.db "UPDATE traces SET bytes = substr(bytes, 1, $bytes)"
		refused 'trace 1' trace --db x.db
		refused 'trace 1' repro "$state" --db x.db
	done
}

# Another campaign's trace in the same database does no harm.
other_trace_altered() {
	cp "$work/a.db" x.db
	campaign 1 x.db --engine wal:variant=textbook --model posix --seed 2
	other=$(states x.db | sed -n '1s/.* //p')
	at=$(grep -abo PCTRACE "$work/a.db" | sed -n '1s/:.*//p')
	poke x.db $((at + 40)) '\377\377\377\377\377\377'
	exits 1 repro "$other" --db x.db
	refused 'trace 1' repro "$state" --db x.db
}

altered_traces() {
	check 'an altered trace is refused' altered_trace
	check 'a truncated trace is refused' cut_trace
	check 'a damaged trace does not spoil the others' other_trace_altered
}

# ---- cases: run ----

run_passes() {
	# shellcheck disable=SC2086 # words
	campaign 0 x.db $hardened
	has out '^PASSED: no violation'
	# Enough to run it again.
	has out 'seed 1'
	has out 'ops=40 keys=12'
	exits 0 report --format json --db x.db
	has out '"options": "variant=hardened,sync=sync,batch=8,call=fsync'
	has out '"workload": "ops=40 keys=12 mix=put='
	has out '"seed": "1"'
	has out '"exit_code": 0'
}

run_finds() {
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook
	has out '^FAILED: '
	has out '  Finding [0-9a-f]* '
	exits 0 report --db x.db
	has out '^FAILED: '
}

# One cause is one finding, whatever it breaks; helpers that the engines share are no cause.
run_findings() {
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook
	has out '  Finding [0-9a-f]*  O2 O4$'
	exits 0 report --format json --db x.db
	sed -n 's/.*"source": "\(.*\)",$/\1/p' out >sources
	[ "$(grep -c '^[a-z]*\.c:[0-9]* in ' sources)" -ge 2 ] || fail "no sources"
	lacks sources '\(files\|io\|bytes\)\.c:'
	sed -n 's/.*"cause": //p' out >causes
	[ "$(sort causes | uniq | wc -l)" = "$(wc -l <causes)" ] || fail "one cause twice"
	fingerprints x.db >prints
	[ "$(sort prints | uniq | wc -l)" = "$(wc -l <prints)" ] || fail "one fingerprint twice"
}

run_engines() {
	campaign 0 x.db --engine wal --engine lsm --engine btree --engine bitcask --model kill --ops 80
	has out '^PASSED: no violation in .* of 4 targets'
	exits 0 report --format json --db x.db
	has out '^    "targets": 4,'
	for engine in wal lsm btree bitcask; do
		has out "^      \"engine\": \"$engine\",\$"
		exits 0 trace --db x.db --target $engine
		has out "^# $engine, seed 1, ops=80 "
		has out "  $engine/recover/begin "
		exits 0 report --format json --db x.db
	done
}

# Of many targets those that passed are a line each, unless all is asked for.
report_in_full() {
	set -- --engine wal
	for n in 1 2 3; do # 8 targets
		set -- "$@" "$@"
	done
	campaign 0 x.db "$@" --model kill
	lacks out '^Target '
	for option in --full --windows; do
		exits 0 report $option --db x.db
		[ "$(grep -c '^Target [1-8] of 8: wal  PASSED$' out)" = 8 ] ||
			fail "$option: not all targets"
	done
	lacks out ' other window'
	exits 0 report --full --db x.db
	has out ' other window'
}

run_left_out() {
	# Some fault points are passed by few recoveries: not all in so few states of one crash.
	campaign 0 x.db --engine wal:variant=hardened --max-states 5 --depth 1
	has out '^PASSED: .*states left out'
	campaign 0 x.db --engine wal:variant=hardened --max-states 20000
	lacks out 'states left out'
}

run_inconclusive() {
	campaign 2 x.db --engine wal:variant=hardened --max-states 0 --ops 2000 --budget 1ms
	has out '^INCONCLUSIVE: '
	exits 0 report --db x.db
	has out '^INCONCLUSIVE: .*could not be judged to the end'
	has out 'stopped under .*: the time budget ran'
	exits 0 list campaigns --db x.db
	has out 'INCONCLUSIVE'
	campaign 2 x.db --engine wal:variant=hardened --max-states 0 --ops 2000 --budget 300ms
	has out '^INCONCLUSIVE: '
}

run_idle() {
	# shellcheck disable=SC2086 # words
	campaign 3 x.db $hardened --mix sync,reopen,compact
	has out '^NOTHING TESTED: the workload changed nothing'
	exits 0 report --db x.db
	has out '^NOTHING TESTED: '
	exits 3 gate --db x.db --baseline x.db
}

# Three operations fill no segment: what lies behind the fault points of the next one is unknown.
run_too_little() {
	campaign 3 x.db --engine wal --model kill --ops 3
	has out '^TOO LITTLE: 3 fault points that should have been passed never were:'
	has out ' wal/rotate/begin wal/rotate/created wal/rotate/dirsynced$'
	has out '^Target 1 of 1: wal  TOO LITTLE$'
	exits 0 report --db x.db
	has out '^TOO LITTLE: .*should have been passed never were:'
	exits 0 list campaigns --db x.db
	has out '^1 .*  TOO LITTLE  '
	exits 0 report --format json --db x.db
	valid_json out
	has out '^    "verdict": "too_little",$'
	has out '^    "exit_code": 3,$'
	has out '^    "unreached": 3,$'
	sed -n '/^      "unreached": \[$/,/^      \]/p' out | grep -o 'wal/[a-z/-]*' >points
	printf '%s\n' wal/rotate/begin wal/rotate/created wal/rotate/dirsynced | cmp - points ||
		fail "not the points that it names: $(cat points)"
	# A violation is worse.
	campaign 1 x.db --engine wal:mutant=wal/skip-sync --model ext4 --ops 3
	has out '^FAILED: .*; 3 fault points that should have been passed$'
	has out '^        never were: wal/rotate/begin, '
}

# Options that leave a fault point no occasion are none of these.
run_enough() {
	for options in sync=batch,batch=3,buffer_bytes=1 sync=none,buffer_bytes=1 \
		sync=batch,batch=3,buffer_bytes=100 sync=batch,batch=1 \
		sync=batch,segment_bytes=256 sync=batch,batch=65536; do
		campaign 0 x.db --engine "wal:$options" --model kill --ops 80
	done
	campaign 0 x.db --engine bitcask:merge_dead_percent=100 --model ext4 --ops 120 --max-states 3000
	campaign 3 x.db --engine wal:sync=none,segment_bytes=1000000 --model kill --ops 80
}

# What is expected may break several rules, of which any will do.
run_expected() {
	campaign 0 x.db --engine wal:variant=textbook --mix put,delete,sync --model ext4,posix-dir \
		--expect O2@posix-dir
	has out '^PASSED: nothing but the expected '
	# Of the two findings one alone breaks O4.
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook --expect O4@posix
	has out '^FAILED: 1 finding '
	exits 0 report --format json --db x.db
	for expected in true false; do
		has out "\"expected\": $expected"
	done
	# Only at a profile from which it shows.
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook --expect 'O2@posix O4@ext4'
	has out '^FAILED: 1 expected finding missing'
	has out '^  Missing O4@ext4$'
	campaign 1 x.db --engine wal:variant=hardened --model kill --expect O2@kill
	has out '^FAILED: 1 expected finding missing'
	exits 1 gate --db x.db --baseline x.db
	has out 'an expected finding did not occur'
}

# --contract asks for more than the engine promises.
run_contract() {
	campaign 0 x.db --engine wal:variant=hardened,sync=none --model kill
	campaign 1 x.db --engine wal:variant=hardened,sync=none --model kill --contract each
	states x.db >states
	[ -s states ] || fail "no finding"
	while read -r rule id; do
		exits 1 repro "$id" --db x.db
		has out "^breaks     $rule "
	done <states
}

run_commands_kept() {
	campaign 0 "it's.db" --engine wal:variant=hardened --model kill
	has out "'it'"
	exits 0 report --format json --db "it's.db"
	has out "\"command\": \"powercut run .* --db 'it'.*'s.db' "
}

run_json() {
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook --json
	[ ! -s err ] || fail "it wrote to standard error"
	valid_json out
	has out '"verdict": "failed"'
	exits 0 report --format json --db x.db
	valid_json out
	exits 0 list campaigns --json --db x.db
	valid_json out
	exits 0 list findings --json --db x.db
	valid_json out
	fingerprints x.db >prints
	exits 0 show --json "$(sed 1q prints)" --db x.db
	valid_json out
	exits 0 gate --json --db x.db --baseline x.db
	valid_json out
}

json_is_checked() {
	for text in '{' '{"a":1,}' '[1 2]' '{"a"}' '"a' "{'a':1}" '01' '{"a":"\x"}' 'nul' '' '{} {}'; do
		printf '%s' "$text" >x
		! (valid_json x) >/dev/null || fail "$text was taken for JSON"
	done
	printf '{"a\\n": [1, -2.5e3, {"\\u00fc": null}, "x", [], {}], "b": true}\n' >x
	valid_json x
}

# No terminal: a line for each profile that is done, and no escapes.
run_lines() {
	timeout 60 "$program" run --engine wal:variant=textbook --model kill,ext4,posix --ops 40 \
		--max-states 300 --db x.db >out 2>err </dev/null
	for profile in kill ext4 posix; do
		has err "^wal:variant=textbook  $profile: [0-9]* states, [0-9]* recoveries"
	done
	[ "$(wc -l <err)" = 3 ] || fail "not a line a profile"
	escape=$(printf '\033')
	for file in out err; do
		lacks $file "$escape"
	done
	for reader in report 'list findings' 'list campaigns' 'show #1'; do
		# shellcheck disable=SC2086 # words
		exits 0 $reader --db x.db
		lacks out "$escape"
	done
}

run_quiet() {
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook
	[ ! -s err ] || fail "--quiet is not quiet"
}

# on_terminal COMMAND: in a pseudo terminal of 80 columns, what it showed in the file screen.
on_terminal() {
	command -v script >/dev/null || skip "script is not installed"
	script -qec "stty cols 80 2>/dev/null; $1" screen >/dev/null </dev/null
	code=$?
}

# The screen is erased by going up its lines: all that were drawn, and nothing follows.
run_screen() {
	on_terminal "'$program' run --engine wal:variant=hardened --max-states 2000 --tmp '$areas' --db x.db >out"
	[ $code = 0 ] || fail "exit code $code"
	has screen '  time      .* s   states .*/s.   recoveries'
	has screen '  profile   kill, '
	has screen '  findings  none'
	escape=$(printf '\033')
	drawn=$(grep -c "$escape\[?7l  target  " screen)
	erased=$(grep -o "$escape\[A$escape\[2K" screen | wc -l)
	[ "$drawn" -ge 1 ] || fail "nothing was drawn"
	[ "$erased" = $((4 * drawn)) ] || fail "$drawn screens of 4 lines, $erased lines erased"
	has screen "^$escape\[?7h\($escape\[A$escape\[2K\)\{4\}\(Script done\|$\)"
	[ "$(grep -c "$escape\[?7h" screen)" = "$drawn" ] || fail "wrapping was left off"
	on_terminal "TERM=dumb '$program' run --engine wal --model kill --tmp '$areas' --db x.db >out"
	lacks screen "$escape"
	has screen '^wal  kill: [0-9]* states'
}

# Colours on a terminal only, and not where NO_COLOR is set.
colours() {
	escape=$(printf '\033')
	on_terminal "'$program' report --db '$work/a.db'"
	[ $code = 0 ] || fail "exit code $code"
	has screen "$escape\["
	on_terminal "NO_COLOR=1 '$program' report --db '$work/a.db'"
	has screen 'FAILED'
	lacks screen "$escape"
}

runs() {
	check 'run: passed, 0' run_passes
	check 'run: a violation, 1' run_finds
	check 'run: a budget that ends, 2' run_inconclusive
	check 'run: the first line says what was left out' run_left_out
	check 'run: nothing exercised, 3' run_idle
	check 'run: a fault point that was never passed is named, 3' run_too_little
	check 'run: one that the options leave no occasion for is not' run_enough
	check 'run: a finding has all its rules, and a line of the engine' run_findings
	check 'run: the four engines' run_engines
	check 'report: --full and --windows leave nothing out' report_in_full
	check 'run: expected findings' run_expected
	check 'run: a contract of its own, which repro knows' run_contract
	check 'run: its command line can be pasted' run_commands_kept
	check 'run: --json is JSON, and so are all others' run_json
	check 'what this test takes for JSON' json_is_checked
	check 'run: plain lines where there is no terminal' run_lines
	check 'run: --quiet' run_quiet
	check 'run: a live screen on a terminal, which is erased' run_screen
	check 'colours on a terminal, unless NO_COLOR is set' colours
}

# ---- cases: repro ----

repro_fails_again() {
	cp "$work/a.db" x.db
	states x.db >states
	[ "$(wc -l <states)" -ge 2 ] || fail "too few findings"
	while read -r rule id; do
		exits 1 repro "$id" --db x.db --tmp "$areas"
		has out "^breaks     $rule "
		has out '^verdict    fail$'
	done <states
	command -v sqlite3 >/dev/null || return 0 # not these alone: every tenth state that failed
	sqlite3 -separator ' ' x.db "SELECT rules, state FROM outcomes
		WHERE verdict = 'fail' AND rowid % 10 = 0 LIMIT 40" >failed
	[ -s failed ] || fail "no failing outcomes"
	while read -r rules id; do
		exits 1 repro "$id" --db x.db --tmp "$areas"
		again=0
		for rule in $(sed -n 's/^breaks     O\([0-9]*\) .*/\1/p' out); do
			again=$((again | 1 << rule))
		done
		[ "$again" = "$rules" ] || fail "$id: rules $again, before $rules"
	done <failed
}

repro_exports() {
	mkdir elsewhere
	cp "$work/a.db" elsewhere/copy.db
	states elsewhere/copy.db >states
	n=0
	while read -r _ id; do
		n=$((n + 1))
		exits 0 repro "$id" --db "$work/a.db" --export "one-$n"
		exits 0 repro "$id" --db "$work/a.db" --export "two-$n"
		(cd elsewhere && exits 0 repro "$id" --db copy.db --export "three-$n") || exit 1
		diff -r "one-$n" "two-$n" || fail "$id: not the same again"
		diff -r "one-$n" "elsewhere/three-$n" || fail "$id: not the same from a copy"
	done <states
	[ -n "$(find one-* -type f)" ] || fail "no files"
	cmp elsewhere/copy.db "$work/a.db" || fail "the database was changed"
}

repro_export_refused() {
	mkdir full empty
	echo precious >full/file
	refused 'full exists and is not an empty directory' \
		repro "$state" --db "$work/a.db" --export full
	[ "$(ls full)" = file ] && [ "$(cat full/file)" = precious ] || fail "it was touched"
	refused 'full/file exists and is not an empty directory' \
		repro "$state" --db "$work/a.db" --export full/file
	refused 'no/dir: No such file' repro "$state" --db "$work/a.db" --export no/dir
	exits 0 repro "$state" --db "$work/a.db" --export empty
}

repro_nonsense() {
	trace=${state%%.*}
	for id in '' x "$trace" "0$state" " $state" "-$state" "0x${state#??}" "$trace." \
		"$trace.posix" "$trace.posix." "$trace.posix.13" "$trace.nope.13.1" \
		"$trace.posix.-1.1" "$trace.posix.99999.1" "$trace.posix.13.zz" \
		"$trace.posix.13.99999999999999999999" "$trace.posix.4294967309.1" \
		"$trace.posix.13.1.1" "00000000.posix.13.1" "$state " "$state
"; do
		refused '"\|begins with 00000000' repro --db "$work/a.db" -- "$id"
	done
}

repros() {
	check 'repro: what failed fails again, by the same rules' repro_fails_again
	check 'repro: exports are the same each time, and from a copy' repro_exports
	check 'repro: only into a new or empty directory' repro_export_refused
	check 'repro: nonsense for an ID' repro_nonsense
}

# ---- cases: gate ----

gate_passes() {
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook
	exits 0 gate --db x.db --baseline "$work/a.db"
	has out '^gate: passed (0 new, [1-9][0-9]* known, 0 gone)'
	[ ! -s err ] || fail "it wrote to standard error"
	exits 0 gate --db x.db --baseline x.db
	has err 'the baseline is the database itself'
}

gate_new() {
	campaign 1 base.db --engine wal:variant=textbook --mix put,delete,sync --model posix
	campaign 1 x.db --engine wal:variant=textbook --model posix --seed 5
	exits 1 gate --db x.db --baseline base.db
	grep '^new ' out >new
	[ -s new ] || fail "nothing is new"
	cp out text
	fingerprints x.db >prints
	read -r _ print _ <new
	has prints "$print"
	has text '^       in wal:variant=textbook: '
	awk 'length > 80' text >wide
	[ ! -s wide ] || fail "wide lines: $(cat wide)"
	exits 1 gate --json --db x.db --baseline base.db
	valid_json out
	has out "\"new\":\[{\"fingerprint\":\"$print\""
	has out '"verdict":"new findings"'
	has out '"target":"wal:variant=textbook","cause":"'
}

gate_gone() {
	# shellcheck disable=SC2086 # words
	campaign 0 x.db $hardened
	fingerprints "$work/a.db" >prints
	exits 0 gate --db x.db --baseline "$work/a.db"
	while read -r print; do
		has out "^gone  *$print  "
	done <prints
	exits 0 gate --json --db x.db --baseline "$work/a.db"
	valid_json out
	has out '"new":\[\],"gone":\[{"fingerprint":"'
}

# A campaign that was not decided is no pass, whatever the baseline.
gate_undecided() {
	campaign 2 x.db --engine wal:variant=hardened --max-states 0 --ops 2000 --budget 1ms
	exits 2 gate --db x.db --baseline "$work/a.db"
	has out '^gate: undecided .*: the campaign was inconclusive'
	exits 2 gate --json --db x.db --baseline "$work/a.db"
	valid_json out
	# An earlier campaign can be asked for.
	campaign 0 x.db --engine wal:variant=hardened --model kill
	exits 0 gate --db x.db --baseline "$work/a.db"
	exits 2 gate --db x.db --baseline "$work/a.db" --campaign 1
}

# What was not looked at is no pass, whatever the baseline.
gate_gaps() {
	mkdir base now
	campaign 3 base/x.db --engine wal --model kill --ops 3
	exits 3 gate --db base/x.db --baseline "$work/a.db"
	for point in begin created dirsynced; do
		has out "^never  wal/rotate/$point  wal\$"
	done
	lacks out '^shrunk '
	tail -n 2 out | tr -s '\n ' '  ' >joined # the line is wrapped
	has joined 'gate: undecided .*: fault points that should have been passed never were $'
	exits 3 gate --json --db base/x.db --baseline "$work/a.db"
	valid_json out
	has out '"unreached":\[{"fault":"wal/rotate/begin","target":"wal"},'
	has out '"shrunk":\[\]'
	has out '"verdict":"undecided"'
	# What the baseline passed and these operations do not lead to.
	campaign 0 base/x.db --engine wal --model kill --mix put,compact
	campaign 0 now/x.db --engine wal --model kill --mix put
	exits 0 gate --db now/x.db --baseline now/x.db
	rm base/x.db
	campaign 0 base/x.db --engine wal --model kill --mix put,compact
	exits 3 gate --db now/x.db --baseline base/x.db
	has out '^shrunk wal/compact/begin  wal$'
	lacks out '^never '
	tail -n 2 out | tr -s '\n ' '  ' >joined
	has joined 'gate: undecided .*: fault points that the baseline passed no longer are $'
	exits 3 gate --json --db now/x.db --baseline base/x.db
	valid_json out
	has out '"unreached":\[\],"shrunk":\[{"fault":"wal/compact/begin","target":"wal"}'
	exits 0 gate --db base/x.db --baseline now/x.db
}

gates() {
	check 'gate: known findings pass' gate_passes
	check 'gate: a new finding is named, 1' gate_new
	check 'gate: findings that are gone are listed, 0' gate_gone
	check 'gate: an inconclusive campaign does not pass' gate_undecided
	check 'gate: nor one that left fault points unpassed, which are named' gate_gaps
}

# ---- cases: crashes of recoveries ----

# Sums of a member of the report's coverage, of the newest campaign: sum_of DATABASE MEMBER
sum_of() {
	exits 0 report --format json --db "$1"
	awk -F '[:,]' -v name="\"$2\"" '
		/^      "coverage"/ { on = 1 }
		/^      "windows"/ { on = 0 }
		on && index($1, name) { n += $2; seen = 1 }
		END { if (!seen) exit 1; print n }' out || fail "no \"$2\" in the coverage"
}

depth_none() {
	# shellcheck disable=SC2086 # words
	campaign 0 x.db $nested --depth 0
	lacks out 'crashed in turn'
	has out '^PASSED: no violation'
	for member in again nested nested_left_out; do
		[ "$(sum_of x.db $member)" = 0 ] || fail "$member: not 0"
	done
	command -v sqlite3 >/dev/null || return 0
	[ "$(sqlite3 x.db 'SELECT count(*) FROM traces')" = 1 ] || fail "more than one trace"
}

# --nested is for each profile; deeper runs have more states.
depth_some() {
	cp "$work/n.db" x.db
	exits 0 report --db x.db
	has out '^  12 of [0-9]* good recoveries were crashed in turn: [0-9]* states after a second'
	[ "$(sum_of x.db again)" = 12 ] || fail "not six recoveries a profile"
	once=$(sum_of x.db nested)
	[ "$once" -gt 12 ] || fail "too few states: $once"
	# shellcheck disable=SC2086 # words
	campaign 0 x.db $nested --nested 1
	[ "$(sum_of x.db again)" = 2 ] || fail "not one recovery a profile"
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $nested --depth 2
	twice=$(sum_of x.db nested)
	[ "$twice" -gt "$once" ] || fail "$twice states two crashes deep, $once one deep"
}

# parent_of ID: the state that was recovered, by the repro of ID in the file out.
parent_of() {
	sed -n 's/^after      a recovery of //p' out
}

nested_findings() {
	mkdir elsewhere # with nothing but the database
	cp "$work/n.db" elsewhere/copy.db
	cd elsewhere || exit 1
	states copy.db >states
	[ "$(wc -l <states)" -ge 2 ] || fail "too few findings"
	while read -r rule id; do
		[ "$rule" = O11 ] || fail "$id: $rule, expected O11"
		exits 1 repro "$id" --db copy.db --tmp "$areas"
		has out "^breaks     $rule stays: "
		has out '^verdict    fail$'
		parent=$(parent_of)
		[ -n "$parent" ] || fail "$id: not after a recovery"
		exits 0 repro "$parent" --db copy.db --tmp "$areas"
		has out '^verdict    pass$'
		lacks out '^after '
		exits 0 repro "$id" --db copy.db --export one --tmp "$areas"
		exits 0 repro "$id" --db copy.db --export two --tmp "$areas"
		[ -n "$(find one -type f)" ] || fail "$id: no files"
		diff -r one two || fail "$id: not the same again"
		rm -r one two
	done <states
	cmp copy.db "$work/n.db" || fail "the database was changed"
	[ -z "$(ls "$areas")" ] || fail "it left $(ls "$areas")"
}

nested_shown() {
	cp "$work/n.db" x.db
	id=$(states x.db | sed -n '1s/.* //p')
	exits 1 repro "$id" --db x.db
	parent=$(parent_of)
	exits 0 trace --db x.db --target 1
	has out '^# wal:'
	exits 0 trace --db x.db --target 1 --campaign 1
	exits 0 show --db x.db '#1'
	has out '^  A second crash, after the state '
	has out "^  after         $parent\$"
	has out '  recovery begins$'
	has out "^  powercut repro $id --db x.db\$"
	has out "^  powercut repro $parent --db x.db\$"
}

# Its calls are those of the first life up to the crash, then those of the recovery.
nested_trace() {
	cp "$work/n.db" x.db
	id=$(states x.db | sed -n '1s/.* //p')
	exits 1 repro "$id" --db x.db
	parent=$(parent_of)
	for name in "$id" "${id%%.*}"; do
		exits 0 trace --db x.db --state "$name"
		has out "^# a recovery of $parent, from event [1-9][0-9]* on\$"
		first=$(sed -n '1s/.*from event \([0-9]*\) on$/\1/p' out)
		grep "^ *$first  " out >line || fail "no event $first"
		has out '  wal/recover/begin (passage 1)'
	done
	sed '1,/^ *'"$first"'  /d' out >since
	has since 'wal/recover/begin'
	exits 0 trace --db x.db --state "$parent"
	lacks out '^# a recovery'
	cp out by_state
	exits 0 trace --db x.db
	sed 1d out >by_target
	diff by_state by_target || fail "not the trace of the target"
	exits 0 trace --db x.db --state "$id" --stacks
	has out '  wal_flush at .*segment\.c:[0-9]'
}

nested_expected() {
	# shellcheck disable=SC2086 # words
	campaign 0 x.db $nested --expect O11@ext4
	has out '^PASSED: nothing but the expected '
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $nested --expect O10@ext4
	has out 'expected finding missing'
}

# A finding of one crash says what it breaks after two, too.  Of its rules any may be expected; all
# findings break O2.
nested_rules() {
	# shellcheck disable=SC2086 # words
	campaign 1 x.db $textbook --depth 1
	has out '  Finding [0-9a-f]*  O2 O4 O11$'
	# shellcheck disable=SC2086 # words
	campaign 0 x.db $textbook --depth 1 --expect O2@posix
	for rule in O4 O11; do
		# shellcheck disable=SC2086 # words
		campaign 1 x.db $textbook --depth 1 --expect $rule@posix
		has out '^FAILED: 1 finding in '
		has out '^  Expected finding [0-9a-f]*  O2 O4 O11$'
	done
}

# A loss that one crash explains is no finding of its own where a second one came with it.
nested_explained() {
	set -- --engine wal:variant=textbook --mix put,delete,sync --depth 1 --model ext4,posix-dir
	campaign 1 x.db "$@"
	exits 0 report --format json --db x.db
	lacks out '^ *"minimal": \[\]'
	lacks out '^ *"states": 0,'
	campaign 0 x.db "$@" --expect O2@posix-dir
	has out '^PASSED: nothing but the expected '
}

nests() {
	# shellcheck disable=SC2086 # words
	check 'a campaign whose findings need a second crash' campaign 1 "$work/n.db" $nested
	check '--depth 0: no recovery is crashed in turn' depth_none
	check '--depth and --nested: that many are' depth_some
	check 'repro: a state after two crashes, from the database alone' nested_findings
	check 'show: a finding after two crashes' nested_shown
	check 'trace --state: the run in which the crash happened' nested_trace
	check 'run: expected findings after two crashes' nested_expected
	check 'run: one finding, after one crash and after two' nested_rules
	check 'run: no finding without a failing state' nested_explained
}

# ---- cases: lists ----

list_engines() {
	exits 0 list engines
	for engine in wal lsm btree bitcask driver; do
		has out "^$engine  [a-z]"
	done
	# Behind these come adapters, built or not, and other plug-ins.
	grep -v '  not built: ' out >there
	[ $(($(grep -c '^[^ ]' there) - $(grep -c '^  plug-in ' there))) = 5 ] ||
		fail "not five engines"
}

# Every point that a campaign knows is there, and nothing twice.
list_faults() {
	campaign 0 x.db --engine wal --engine lsm --engine btree --engine bitcask --model kill --ops 80
	exits 0 report --format json --db x.db
	sed -n '/^      "faults"/,/^      "findings"/s/.*"name": "\(.*\)",$/\1/p' out | sort >known
	exits 0 list faults
	[ ! -s err ] || fail "it wrote to standard error"
	for engine in wal lsm btree bitcask; do
		has out "^$engine  [a-z]"
		has out "^  $engine/recover/begin  *always$"
	done
	has out '^  wal/rotate/dirsynced  *put  *variant=hardened$'
	sed -n 's/^  \([a-z]*\/[^ ]*\) .*/\1/p' out | sort >listed
	[ "$(wc -l <known)" -ge 40 ] || fail "too few points"
	diff known listed || fail "not the points of the campaign"
	[ "$(uniq listed | wc -l)" = "$(wc -l <listed)" ] || fail "one point twice"
}

# Each with what it takes to see it; the first of an engine is tried as it is printed.
list_bugs() {
	exits 0 list bugs
	[ ! -s err ] || fail "it wrote to standard error"
	cp out bugs
	sed -n 's/^\([a-z]*\/[a-z-]*\)$/\1/p' bugs >names
	[ "$(sort names | uniq | wc -l)" = "$(wc -l <names)" ] || fail "one bug twice"
	for field in wrong breaks try; do
		[ "$(grep -c "^  $field  " bugs)" = "$(wc -l <names)" ] || fail "$field: not of each bug"
	done
	has bugs '^  wrong         sync mode does not sync$'
	has bugs '^  breaks        O2, from ext4, ext4-lock, ext4-noda, xfs, btrfs$'
	for engine in wal lsm btree bitcask; do
		name=$(grep -m 1 "^$engine/" names) || fail "no bug in $engine"
		try=$(sed -n "s|^  try  *powercut \(.*mutant=$name\( .*\)*\)\$|\1|p" bugs)
		[ -n "$try" ] || fail "$name: no command"
		# shellcheck disable=SC2086 # words
		exits 1 $try --depth 0 --max-states 2000 --quiet --tmp "$areas" --db $engine.db
		has out "^Target 1 of 1: $engine:.*mutant=$name  FAILED"
		# shellcheck disable=SC2046 # a state and its rule
		set -- $(states $engine.db | sed 1q)
		exits 1 repro "$2" --db $engine.db
		has out "^breaks     $1 "
	done
}

# Each list has a form for machines.
list_json() {
	for what in engines profiles faults bugs calls; do
		exits 0 list $what --json
		valid_json out
		has out "\"format\": \"powercut-$what\""
		exits 0 list $what
		awk 'length > 80 { print "a wide line: " $0 }' out | grep -v ' powercut run ' >wide
		[ ! -s wide ] || fail "list $what: $(cat wide)"
	done
	exits 0 list faults --json
	has out '"name": "wal/rotate/dirsynced"'
	for what in campaigns findings; do
		exits 0 list $what --json --db "$work/a.db"
		valid_json out
	done
}

# The line on the cause counts the other kinds of loss: they are told below.
losses_listed() {
	campaign 1 x.db --engine bitcask:variant=textbook --mix put=30,delete=10,compact=5 --ops 60 \
		--max-states 1000 --model xfs,posix-dir
	exits 0 list findings --db x.db --json
	print=$(awk -F '"' '/"fingerprint":/ { print_of = $4 }
		/"cause":.*(and [0-9]+ other kinds? of loss)/ { print print_of; exit }' out)
	[ -n "$print" ] || fail "no finding with several kinds of loss"
	exits 0 show --db x.db "$print"
	has out '^  Lost as well:$'
	sed -n '/^  Lost as well:$/{n;p;}' out >other
	has other '^    the \|^    data of '
}

lists() {
	check 'list engines' list_engines
	check 'list faults: those that campaigns know' list_faults
	check 'show: all kinds of loss' losses_listed
	check 'lists: for machines, and for narrow screens' list_json
	check 'list bugs: their commands find them' list_bugs
}

# ---- cases: trials ----

selftest_runs() {
	exits 0 selftest wal/skip-sync --quiet --tmp "$areas" --db x.db
	[ ! -s err ] || fail "it wrote to standard error"
	has out '^found         wal/skip-sync '
	has out '^selftest: passed: 1 found, 0 missed, 0 silent, 0 accused, 0 inconclusive in .*, seed 1$'
	exits 0 list campaigns --db x.db
	has out '^1 '
	exits 0 selftest --json --max-states 50 'wal:variant=hardened,sync=sync' --tmp "$areas"
	[ ! -s err ] || fail "it wrote to standard error"
	valid_json out
	has out '"format": "powercut-selftest"'
	has out '"verdict": "silent"'
}

# Too small a budget to find it: that is said, and no pass.
selftest_misses() {
	exits 1 selftest --max-states 1 wal/skip-sync --quiet --tmp "$areas"
	has out '^MISSED        wal/skip-sync '
	has out '^    missed under .*posix'
	has out '^selftest: FAILED: 0 found, 1 missed'
	[ "$(ls)" = "$(printf 'err\nout')" ] || fail "it left files: $(ls)"
}

spectrum_runs() {
	exits 0 spectrum --max-states 5 --quiet --json --tmp "$areas"
	[ ! -s err ] || fail "it wrote to standard error"
	valid_json out
	has out '"format": "powercut-spectrum"'
	for engine in wal lsm btree bitcask; do
		has out "\"$engine[:\" ]"
	done
}

claims_run() {
	exits 0 claims --max-states 200 1 --quiet --tmp "$areas" --db x.db
	[ ! -s err ] || fail "it wrote to standard error"
	has out '^ 1  A flush-only log '
	has out '^    \(confirmed\|refuted\): '
	has out '^claims: [0-9]* confirmed, [0-9]* refuted, 0 inconclusive, seed 1$'
	has out '^Any state: powercut repro --db x.db STATE$'
	exits 0 claims --max-states 200 1 --json --tmp "$areas"
	valid_json out
	has out '"format": "powercut-claims"'
	lacks out '"claim": 2'
}

trials() {
	check 'selftest: a bug is found, a sound engine is silent' selftest_runs
	check 'selftest: a bug that is missed, 1' selftest_misses
	check 'spectrum: all engines' spectrum_runs
	check 'claims: one of them' claims_run
}

# ---- cases: kills and interrupts ----

# Processes that work in, or were started with, the directory of this test's images.
survivors() {
	echo "$areas" >pattern # a file: grep's own arguments are not to be found
	grep -alF -f pattern /proc/[0-9]*/cmdline 2>/dev/null
	find /proc/[0-9]*/cwd -maxdepth 0 -lname "$areas*" 2>/dev/null
}

# A long campaign in the background; its number is in $pid.
long_campaign() {
	"$program" run --engine wal:variant=hardened --ops 2000 --max-states 0 --quiet \
		--tmp "$areas" --db "$1" >long.out 2>&1 </dev/null &
	pid=$!
}

# The moments are given, not drawn: where they fall in a run is chance enough.
killed() {
	found=0
	for delay in 0.01 0.03 0.06 0.1 0.17 0.25 0.4 0.55 0.8 1.2 3 6 12; do
		# The last ones are for machines so busy that little has begun before.
		[ $found -lt 3 ] || [ ${delay#*.} != $delay ] || break
		rm -f x.db x.db-journal
		long_campaign x.db
		sleep $delay
		kill -9 $pid || fail "it had ended: $(cat long.out)"
		wait $pid 2>/dev/null
		for try in 1 2 3 4 5 6 7 8 9 10; do
			left=$(survivors)
			[ -n "$left" ] || break
			sleep 0.2
		done
		[ -z "$left" ] || fail "killed after $delay s; after $try tries still alive: $left"
		[ -s x.db ] || continue
		pc list campaigns --db x.db
		# Where the first batch was not finished, there is nothing yet.
		if [ $code = 64 ] && grep -q 'nothing was ever finished\|is empty' err; then
			continue
		fi
		[ $code = 0 ] || fail "killed after $delay s: list: exit code $code"
		[ -s out ] || continue
		found=$((found + 1))
		has out 'UNFINISHED'
		exits 2 report --db x.db
		has out '^UNFINISHED: the campaign is still running, or was killed'
		exits 2 gate --db x.db --baseline "$work/a.db"
		has out 'the campaign did not end'
	done
	[ $found -ge 3 ] || fail "only $found kills left a campaign behind"
	# A directory without its lock is of a moment too short to be told from one in the making.
	for dir in "$areas"/powercut-*; do
		[ ! -d "$dir" ] || [ -e "$dir/lock" ] || rm -rf "$dir"
	done
	[ -n "$(ls "$areas")" ] || fail "no kill left an area behind: this tests nothing"
	campaign 0 x.db --engine wal:variant=hardened --model kill
	[ -z "$(ls "$areas")" ] || fail "areas of the dead are still there: $(ls "$areas")"
	exits 0 list campaigns --db x.db
	has out 'UNFINISHED'
	has out 'PASSED'
}

# A signal to the whole group, as a terminal sends it.
interrupted() {
	timeout --preserve-status -s "$1" 1 "$program" run --engine wal:variant=hardened --ops 2000 \
		--max-states 0 --tmp "$areas" --db x.db >out 2>err </dev/null
	code=$?
	[ $code = 2 ] || fail "exit code $code, expected 2"
	has out '^INCONCLUSIVE: .*could not be judged to the end'
	has out 'stopped under .*: interrupted'
	exits 0 report --db x.db
	has out '^INCONCLUSIVE: .*could not be judged to the end'
	has out 'stopped under .*: interrupted'
	exits 0 report --db x.db --format json
	has out '"exit_code": 2'
	[ -z "$(survivors)" ] || fail "still alive: $(survivors)"
	[ -z "$(ls "$areas")" ] || fail "it left $(ls "$areas")"
}

# Targets that were not begun have not passed.
interrupted_between() {
	set -- --engine wal:variant=hardened
	for n in 1 2 3 4 5; do # 64 targets
		set -- "$@" "$@"
	done
	timeout --preserve-status -s INT 0.5 "$program" run "$@" --ops 300 --model kill --quiet \
		--tmp "$areas" --db x.db >out 2>err </dev/null
	code=$?
	[ $code = 2 ] || fail "exit code $code, expected 2"
}

kills() {
	check 'kill -9 leaves a database in order, and nobody alive' killed
	check 'SIGINT ends a campaign with what it has' interrupted INT
	check 'SIGTERM does, too' interrupted TERM
	check 'SIGINT: targets not begun have not passed' interrupted_between
}

# ---- cases: the same again ----

# The report of a database but for what must differ.
without_times() {
	exits 0 report --format json --db "$1"
	sed -e '/^    "\(id\|started\|finished\|command\|jobs\)":/d' -e '/^ *"id": [0-9]*,$/d' out
}

same_again() {
	# shellcheck disable=SC2086 # words
	campaign 1 one.db $textbook --depth 1 "$@" --seed 7
	# shellcheck disable=SC2086 # words
	campaign 1 two.db $textbook --depth 1 --seed 7 --jobs 2
	without_times one.db >one
	without_times two.db >two
	[ "$(wc -l <one)" -gt 100 ] || fail "too little to compare"
	has one '"again": [1-9]'
	diff one two || fail "not the same"
	# shellcheck disable=SC2086 # words
	campaign 1 two.db $textbook --depth 1 --seed 8
	without_times two.db >two
	! cmp -s one two || fail "another seed made no difference"
}

# prints PROGRAM DATABASE: fingerprints and sources of its findings.
prints() {
	"$1" run --engine wal:variant=textbook --ops 60 --max-states 2000 --quiet --tmp "$areas" \
		--db "$2" >out 2>err </dev/null
	"$1" report --format json --db "$2" >json || fail "report"
	sed -n 's/.*"fingerprint": //p' json | sort >"$2.prints"
	sed -n 's/.*"source": //p' json | sort >"$2.sources"
}

lines_shift() {
	prints "$program" plain.db
	prints "$shifted" shifted.db
	[ "$(wc -l <plain.db.prints)" -ge 2 ] || fail "too few findings"
	diff plain.db.prints shifted.db.prints || fail "fingerprints changed with the lines"
	# The other program is really another: each line number is 17 more.
	awk '{ out = ""; while (match($0, /\.c:[0-9]+/)) {
		out = out substr($0, 1, RSTART + 2) substr($0, RSTART + 3, RLENGTH - 3) + 17
		$0 = substr($0, RSTART + RLENGTH) } print out $0 }' plain.db.sources | sort >expected
	grep -q '\.c:[0-9]' expected || fail "no source lines"
	diff expected shifted.db.sources || fail "lines are not 17 further down"
	pc gate --db shifted.db --baseline plain.db
	[ $code = 0 ] || fail "gate: exit code $code"
}

same() {
	check 'the same seed gives the same report' same_again --jobs 2
	check 'one worker finds what two find' same_again --jobs 1
	check 'fingerprints survive a new recording and shifted lines' lines_shift
}

# ---- all ----

fixture() {
	# shellcheck disable=SC2086 # words
	campaign 1 "$work/a.db" $textbook
}

check 'a small campaign, which the others look at' fixture
state=$(cd "$work" && states a.db | sed -n '1s/.* //p')
[ -n "$state" ] || {
	echo "nothing else can be tested"
	exit 1
}

if [ $# -gt 2 ]; then # groups, to run some only
	shift 2
	for group; do
		$group
	done
else
	wrong_usage
	wrong_values
	wrong_values_of_others
	wrong_databases
	altered_traces
	runs
	repros
	gates
	nests
	lists
	trials
	kills
	same
fi
finish
