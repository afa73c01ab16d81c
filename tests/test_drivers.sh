#!/bin/sh
# Tests of drivers from outside: what driver-test says of them, and campaigns.
#
#   test_drivers.sh POWERCUT PYTHON LOG
#
# LOG is the driver in C.  tests/drivers/ill.py is one that is fine but for one thing.  Prints a line for each
# case, and closes as a Check program does, so that each counts.
set -u
[ $# -eq 3 ] && [ -x "$1" ] && [ -x "$2" ] && [ -x "$3" ] || {
	echo "usage: test_drivers.sh POWERCUT PYTHON LOG"
	exit 64
}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "$1")
log=$(readlink -f -- "$3")
. "$here/lib_cli.sh"
python="$2 -S -E" # quicker to start
py="$python $here/../engines/drivers/wal.py"
ill="$python $here/drivers/ill.py"
small='--ops 40 --max-states 300 --depth 0 --quiet'

# campaign CODE OPTION…
campaign() {
	campaign_code=$1
	shift
	# shellcheck disable=SC2086 # words
	exits "$campaign_code" run $small --tmp "$areas" "$@"
}

# Wrong usage, which a line says; no file comes into being but what is noted here.
refused() {
	pattern=$1
	shift
	exits 64 "$@"
	[ ! -s out ] || fail "it wrote to standard output"
	sed 1q err >first
	has first "^powercut [a-z-]*: "
	has first "$pattern"
	[ "$(find . -type f | wc -l)" = 3 ] || fail "files: $(find .)"
}

# bad PATTERN ARGUMENT…: a case of its own.
bad() {
	check "refused: $*" refused "$@"
}

fingerprints() { # of a database
	exits 0 report --format json --db "$1"
	sed -n 's/.*"fingerprint": "\([0-9a-f]*\)".*/\1/p' out
}

driver_is_well() {
	exits 0 driver-test --tmp "$areas" "$1"
	grep -v '^ok ' out >others
	[ "$(cat others)" = "$1: 36 checks went well" ] || fail "$(cat others)"
	[ ! -s err ] || fail "it wrote to standard error"
}

# driver_is_wrong WAY CHECK PATTERN: what is said of the first check that goes wrong.
driver_is_wrong() {
	exits 1 driver-test --tmp "$areas" --timeout 5s "$ill $1"
	awk '/^[^ ]/ { if (found) exit; found = /^WRONG/ } found' out >wrong
	has wrong "^WRONG  $2\$"
	has wrong "$3"
	tail -n 1 out >last
	has last ": [0-9]* of [0-9]* checks went wrong"
}

ill() {
	check "driver-test says of \"$1\": $2" driver_is_wrong "$@"
}

# Drivers that are silent where they should not be are given little time.
driver_is_silent() {
	exits 1 driver-test --tmp "$areas" --timeout "$1" "$ill $2"
	has out "^WRONG  $3\$"
	has out "$4"
}

drivers_that_are_wrong() {
	ill noisy greeting 'its greeting: it begins with "hello, this is my store", expected "powercut-'
	ill newer greeting 'protocol version "2", expected 1'
	ill unsure greeting '"ack=maybe": expected name=, ack=each|every:N|on-sync, '
	ill vague greeting 'prefix= is missing'
	ill nameless greeting 'name=my/store: expected 1 to 40 letters, digits, '
	ill boastful greeting 'it promises batches, but batch is not in can='
	ill clever greeting 'can=...fly: expected some of batch, sync, maintain and verify'
	ill endless greeting 'it said "powercut-driver 1 xxx.*\.\.\." and more than a line may have'
	ill fickle greeting 'expected  name=ill[0-9]*, as before'
	ill loud put 'got       it said "OK"'
	ill loud put 'sent      put 5 5 "apple" "green"'
	ill short 'get of what was put' 'said "value 4", but there is no newline behind the 4 bytes'
	ill strips 'get of newlines, zeros and other bytes' 'expected  "value 30" "ok.nnone.n'
	ill text 'get of 100 KB' 'got       it said "value 204800" '
	ill nothing 'get of an empty value' 'got       it said "none"'
	ill absent 'delete of a key that is not there' 'got       it said "none"'
	ill twice scan 'got       a key twice: "item 5 102400" "large"'
	ill misses scan 'got       no item with the key "large"'
	ill invents 'scan of an empty store' 'a key that is not there: "item 6 10" "nobody" "wrote th'
	ill mixes scan 'got       not the value of a key: "item 5 3" "large" "two"'
	ill half 'get of what a batch put twice' 'got       it said "ok"'
	ill leaves 'error for a request that it cannot know' 'got       it ended with exit status 3'
	ill falls 'get of what was put' 'got       it died of signal 11 (Segmentation fault)'
	ill forgets 'scan shows the same' 'got       no item with the key "kkkk'
	ill chatty 'end of its input after close' 'it said something after its last reply'
	ill sour 'end of its input after close' 'got       it ended with exit status 6'
	ill makes 'error for a directory that is not there' 'got       it said "ok"'
	ill refuses put 'got       it said "error no space for this"'
	ill breaks 'open again' 'got       it ended with exit status 4'
	ill orphans 'no process is left' 'a process that it had started goes on'
	check 'driver-test of one that says nothing' driver_is_silent 300ms mute greeting \
		'it said nothing for 0.3 s, expected a greeting'
	check 'driver-test of one that announces too much' driver_is_silent 2s long \
		'get of what was put' 'then not the 7 bytes that have to follow, but nothing more'
	check 'driver-test of one that does not flush' driver_is_silent 1s buffers \
		'open of an empty directory' 'got       it said nothing'
	check 'driver-test of one that does not end' driver_is_silent 2s lingers \
		'end of its input after close' 'got       it goes on'
}

# What docs/driver.md shows, but for the name and for a directory that there need not be.
driver_as_documented() {
	mkdir storage
	sed -n '/^## A session/,/^## The/p' "$here/../docs/driver.md" | sed 's|/tmp/data|./storage|' >session
	sed -n 's/^    > \{0,1\}//p' session >requests
	sed -n 's/^    < \{0,1\}//p' session | sed 1d >expected
	[ "$(wc -l <requests)" = 18 ] && [ "$(wc -l <expected)" = 12 ] || fail "$(cat session)"
	for driver in "$log" "$py"; do
		$driver <requests >replies || fail "$driver: exit code $?"
		sed 1d replies | diff expected - || fail "$driver"
		rm storage/*
	done
}

# Before anything was tested, it is bad input.
driver_is_refused() {
	refused_pattern=$1
	shift
	exits 64 run $small --tmp "$areas" --db new.db "$@"
	has err "$refused_pattern"
	[ ! -s out ] || fail "it wrote to standard output"
}

driver_finds() {
	campaign 1 --db x.db --driver "$py" --ops 20 --model ext4,posix-dir
	has out 'the directory entry of wal (created) was not on disk: its'
	has out '^  shows from    posix-dir$'
	[ "$(grep -c '^  Finding' out)" = 1 ] || fail "not one finding"
	fingerprints x.db >first
	id=$(sed -n 's/.*"state": "\([^"]*\)".*/\1/p' out)
	exits 1 repro --tmp "$areas" --db x.db "$id"
	has out '^breaks     O2 durable'
	# Wherever it lies, and whatever is in its name.
	cp "$here/../engines/drivers/wal.py" ", 100%: it's.py"
	campaign 1 --db y.db --driver "$python \", 100%: it's.py\"" --ops 20 --model ext4,posix-dir
	fingerprints y.db >second
	cmp first second || fail "other fingerprints: $(cat first second)"
	exits 1 repro --tmp "$areas" --db y.db "$id"
	mv ", 100%: it's.py" moved
	exits 64 repro --tmp "$areas" --db y.db "$id"
	has err 'it ended with exit status 2, expected a greeting'
}

driver_is_sound() {
	campaign 0 --db x.db --driver "$1" --ops 20 --max-states 60 --depth 1 --nested 4 --model kill,ext4,posix-dir
	has out '^PASSED'
}

# Mixes without a reopening: what the driver does after a crash is not known before.
driver_breaks() {
	campaign 1 --db x.db --driver "$ill breaks" --mix put --ops 4 --model kill
	has out '^  Finding [0-9a-f]*  O1$'
	tr -s ' \n' ' ' <out >flat
	has flat 'to "open" the driver ended with exit status 4, expected "ok" or "error TEXT": assertion failed: the store'
	campaign 1 --db x.db --driver "$ill gives-up" --mix put --ops 4 --model kill --depth 1
	has out '^  Finding [0-9a-f]*  O12$'
	tr -s ' \n' ' ' <out >flat
	has flat 'a put failed: to "put [0-9]* [0-9]*" the driver ended with exit status 5, expected "ok"'
}

driver_is_missing() {
	exits 64 driver-test 'no-such-program "$HOME"'
	has err 'the shell finds no such program$'
}

# ---- all ----

check 'driver-test: the driver in Python' driver_is_well "$py"
check 'driver-test: the sound one' driver_is_well "$py --sound"
check 'driver-test: the driver in C' driver_is_well "$log"
check 'the session in docs/driver.md is one' driver_as_documented
bad 'expected one command' driver-test
bad 'expected one command' driver-test ' '
bad 'expected one command' driver-test a b
bad '"no-such-program" cannot be started: No such file' driver-test no-such-program
check 'driver-test: nothing that a shell finds' driver_is_missing
drivers_that_are_wrong
bad '"true": it ended with exit status 0, expected a greeting such as "power' run --driver true
bad '"no-such-program": cannot be started: No such file' run --driver no-such-program
bad '--driver: driver: expected command=CMD' run --driver ''
bad '--engine: driver: command=%4x: expected two digits behind each %' run --engine driver:command=%4x
bad 'its greeting: protocol version "2", expected 1' run --driver "$ill newer"
bad 'it did not end at the end of its input' run --driver "$ill lingers"
check 'run: a wrong reply' driver_is_refused \
	'to "put [0-9]* [0-9]*" the driver said "OK", expected "ok" or "error TEXT"' --driver "$ill loud"
check 'run: a driver that leaves while it is closed' driver_is_refused \
	'after "close" the driver ended with exit status 6, expected 0' --driver "$ill sour"
check 'run: a driver that falls' driver_is_refused \
	'to "open" the driver ended with exit status 4, expected "ok" or "error TEXT"' \
	--driver "$ill breaks" --mix put,reopen
check 'run: the textbook driver loses its file' driver_finds
check 'run: the sound driver in Python' driver_is_sound "$py --sound"
check 'run: the driver in C' driver_is_sound "$log"
check 'run: a driver that fails after a crash' driver_breaks
finish
