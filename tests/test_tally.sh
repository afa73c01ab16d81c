#!/bin/sh
# Tests of tally.awk: each is one log and the counts expected of it.
# Run with the directory of tally.awk as argument.
set -eu
tally=$1/tally.awk

# program NAME RESULT [OUTPUT-LINE…]: a program's section, as meson writes it.
program() {
	printf '==== 1/9 ====\ntest:         %s\nstart time:   10:00:00\nresult:       %s\n' "$1" "$2"
	shift 2
	[ $# = 0 ] || printf -- '---- stdout ----\n'
	printf '%s\n' "$@"
	printf '==============\n\n'
}

# The first wrong count ends this program: no variable could carry it out of a pipeline.
# expect SENTENCE "PASSED FAILED SKIPPED" [awk option…] < LOG
expect() {
	sentence=$1
	wanted=$2
	shift 2
	got=$(awk -v dir=build -v status=0 "$@" -f "$tally" | tail -n 1)
	[ "$got" = "$wanted" ] || {
		echo "$sentence: expected $wanted, got $got"
		return 1
	}
}

all='100%: Checks: 6, Failures: 0, Errors: 0'
note='SKIPPED: mount: needs root'

program a 'exit status 0' "$all" | expect 'a Check program counts its tests' '6 0 0'
program a 'exit status 0' hello | expect 'another program counts as one' '1 0 0'
program a 'exit status 0' "no newline$all" | expect 'text before the summary does no harm' '6 0 0'
program a 'exit status 0' "$all" "$all" | expect 'several suites of a program add up' '12 0 0'
{
	program a 'exit status 0' "$all"
	program b 'exit status 1'
	program c 'exit status 77' 'no FUSE'
} | expect 'programs add up' '6 1 1'
program a 'exit status 1' '66%: Checks: 6, Failures: 1, Errors: 1' |
	expect 'failures and errors both fail' '4 2 0'
program a 'exit status 0' '66%: Checks: 6, Failures: 1, Errors: 1' |
	expect 'failures that the exit status hides are failures' '4 2 0'
program a 'exit status 1' "$all" | expect 'a leak after the last test is one failure' '5 1 0'
program a 'killed by signal 11 SIGSEGV' | expect 'a crash is one failure' '0 1 0'
program a 'exit status 0' '100%: Checks: 0, Failures: 0, Errors: 0' |
	expect 'a Check program without tests fails' '0 1 0'
program a 'exit status 0' "$note" "$all" | expect 'a skipped test has not passed' '5 0 1'
program a 'exit status 0' "$note" "$note" "$all" | expect 'a repeated skip counts once' '5 0 1'
program a 'exit status 77' | expect 'exit status 77 is a skip' '0 0 1'
program a 'exit status 0' "$note" "$all" | expect 'a skip fails in CI' '5 1 0' -v ci=true
program a 'exit status 0' "$note" "$all" |
	expect 'an allowed skip does not fail in CI' '5 0 1' -v ci=true -v allowed='build mount: why'
program a 'exit status 0' "$note" "$all" |
	expect 'a skip allowed elsewhere fails in CI' '5 1 0' -v ci=true \
		-v allowed='build-asan mount: why'
program a 'exit status 0' "$all" | expect "meson's own failure is a failure" '6 1 0' -v status=2
program a 'exit status 1' |
	expect "meson's status adds nothing to known failures" '0 1 0' -v status=1
expect 'an empty log counts nothing' '0 0 0' </dev/null
