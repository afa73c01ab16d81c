# shellcheck shell=sh
# Tests of the command line, what they share: read by a script that has set $program.  It makes a directory
# $work, which goes with the script, and $areas for images.  Each case is a run of `check`; `finish`, at the end,
# closes as a Check program does, so that each case counts.
work=$(mktemp -d "${TMPDIR:-/tmp}/test-cli-XXXXXX") || exit 1
# Where images are made: a directory that only this test uses, in memory if there is room.
areas=$work/areas
free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
[ "${free:-0}" -lt 200000 ] || areas=$(mktemp -d /dev/shm/test-cli-XXXXXX) || areas=$work/areas
trap 'chmod -R u+rwx "$work"; rm -rf "$work" "$areas"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$areas" "$work/cases"
cases=0
failures=0
export TERM=xterm
unset NO_COLOR

# ---- cases ----

# check SENTENCE FUNCTION [ARGUMENT…]: runs it in a subshell and an empty directory.
check() {
	sentence=$1
	shift
	cases=$((cases + 1))
	mkdir "$work/cases/$cases"
	if (cd "$work/cases/$cases" && "$@" && exit 0) >"$work/log" 2>&1; then
		echo "ok $sentence"
	elif [ $? = 77 ]; then # Check counts a test that skipped itself as run
		echo "SKIPPED: $sentence: $(tail -n 1 "$work/log")"
	else
		failures=$((failures + 1))
		echo "not ok $sentence"
		sed 's/^/    /' "$work/log"
	fi
	chmod -R u+rwx "$work/cases/$cases"
	rm -rf "$work/cases/$cases"
}

fail() {
	echo "$*"
	[ ! -f err ] || { echo "stderr:" && head -n 20 err; }
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

# needs_mounts NAME: skips the whole script where real file systems cannot be mounted.
needs_mounts() {
	if [ "$(id -u)" != 0 ]; then
		echo "SKIPPED: $1: real file systems need root"
		exit 77
	fi
	for needed in /dev/fuse /dev/loop-control; do
		[ -w $needed ] || {
			echo "SKIPPED: $1: real file systems need $needed"
			exit 77
		}
	done
}

# pc ARGUMENT…: runs the program; its output is in out and err, its exit code in $code.
pc() {
	timeout 60 "$program" "$@" >out 2>err </dev/null
	code=$?
	! grep -q 'Sanitizer\|runtime error' err || fail "powercut $*: a sanitizer spoke"
}

# exits CODE ARGUMENT…
exits() {
	wanted=$1
	shift
	pc "$@"
	[ $code = "$wanted" ] || fail "powercut $*: exit code $code, expected $wanted"
}

has() {
	grep -q -e "$2" "$1" || fail "\"$2\" is not in $1: $(head -n 5 "$1")"
}

lacks() {
	! grep -q -e "$2" "$1" || fail "\"$2\" is in $1: $(grep -e "$2" "$1" | head -n 3)"
}

# refused PATTERN ARGUMENT…: wrong usage, one line that says so and perhaps one with a hint.
refused() {
	pattern=$1
	shift
	exits 64 "$@"
	[ ! -s out ] || fail "powercut $*: wrote to standard output"
	sed 1q err >first
	has first "^powercut [a-z-]*: "
	has first "$pattern"
	sed '1d; /^Try `powercut .*--help`\.$/d' err >others
	[ ! -s others ] || fail "powercut $*: more than one line"
}

# Says how many cases there were; the exit code.
finish() {
	echo "$(((cases - failures) * 100 / cases))%: Checks: $cases, Failures: $failures, Errors: 0"
	[ $failures = 0 ]
}
