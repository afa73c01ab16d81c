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
. "$here/lib_cases.sh"
states=2500 # a profile

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
