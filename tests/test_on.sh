#!/bin/sh
# powercut run --on: campaigns on real file systems.
#
#   test_on.sh POWERCUT
#
# Needs root, FUSE and loop devices, and is skipped where these are missing.
set -u
[ $# -ge 1 ] && [ -x "$1" ] || {
	echo "usage: test_on.sh POWERCUT"
	exit 64
}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "$1")
. "$here/lib_cli.sh"
needs_mounts test_on

# on FS,… ARGUMENT…: a campaign there; the exit code is in $code.
on() {
	list=$1
	shift
	for fs in $(echo "$list" | tr , ' '); do
		type=${fs%-*}
		command -v "mkfs.$type" >/dev/null || skip "mkfs.$type is not installed"
	done
	timeout 120 "$program" run --on "$list" --quiet --db db --tmp "$areas" "$@" >out 2>err </dev/null
	code=$?
	! grep -q 'Sanitizer\|runtime error' err || fail "powercut $*: a sanitizer spoke"
}

# column N PROFILE: of its line in the report.
column() {
	awk -v n="$1" -v profile="$2" '$1 == profile && NF == 8 { gsub(/[≥,]/, "", $n); print $n }' out
}

nothing_is_left() {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		if ! grep -qs "$areas/" /sys/block/loop*/loop/backing_file /proc/mounts &&
			[ -z "$(find "$areas" -mindepth 1 -print -quit)" ]; then
			return 0
		fi
		sleep 0.2
	done
	fail "left behind: $(grep -s "$areas/" /sys/block/loop*/loop/backing_file /proc/mounts) $(ls "$areas")"
}

# ---- what is found ----

hardened_is_silent() {
	on "$1" --engine wal:variant=hardened,sync=sync,segment_bytes=1024 --ops 25 --max-states 72
	[ $code = 0 ] || fail "exit code $code: $(head -n 30 out)"
	has out '^PASSED'
	[ "$(column 3 "on:$1")" -gt 5 ] || fail "too few trees: $(cat out)"
	[ "$(column 7 "on:$1")" = 0 ] || fail "violations: $(cat out)"
	tr -s '\n ' ' ' <out >flat
	has flat "on $1: mkfs.$1"
	nothing_is_left
}

lsm='--engine lsm:variant=textbook,memtable_bytes=600 --contract each,power --ops 20 --mix put,delete'

# A log that is never synced, if one asks of it what it does not promise.
textbook_loses() {
	# shellcheck disable=SC2086 # words
	on ext4 $lsm --max-states 60
	[ $code = 1 ] || fail "exit code $code: $(head -n 30 out)"
	has out 'shows from  *on:ext4$'
	has out 'source  *[a-z]*.c:[0-9]* in '
	lacks out 'nconclusive'
	[ "$(column 8 on:ext4)" -gt 0 ] || fail "loss: $(cat out)"
	state=$(sed -n 's/.*powercut repro \([^ ]*\) .*/\1/p' out | head -n 1)
	prints=$(sed -n 's/^  Finding \([0-9a-f]*\) .*/\1/p' out)
	print=$(echo "$prints" | head -n 1)
	exits 1 repro --db db --tmp "$areas" "$state"
	has out 'verdict  *fail'
	exits 0 show --db db "$print"
	tr -s '\n ' ' ' <out >flat
	has flat 'Seen on a real file system, ext4 (mkfs.ext4 .*; mount -o noatime), with the timing [a-z]*: the disk keeps'
	exits 0 gate --db db --baseline db
	exits 0 list findings --db db
	has out "$print"
	# Causes are those of the model's states.
	# shellcheck disable=SC2086 # words
	exits 1 run --quiet --db model --tmp "$areas" --model ext4 --depth 0 $lsm --max-states 1500
	for print in $prints; do
		! grep -q "Finding $print" out || found=$print
	done
	[ -n "${found-}" ] || fail "none of $prints is a finding of the model: $(grep Finding out)"
	nothing_is_left
}

replaced_by_rename() {
	command -v python3 >/dev/null || skip "python3 is not installed"
	cp "$here/cases/json_workload" workload
	cp "$here/cases/json_check" check
	chmod +x workload check
	echo "$1" >config
	# shellcheck disable=SC2016 # for the checker
	on ext4,xfs --max-states "$3" --check './check {dir} {acked}' -- ./workload '{dir}'
	[ $code = "$2" ] || fail "exit code $code: $(head -n 40 out)"
	lacks out 'nconclusive'
}

pyjson_fails() {
	replaced_by_rename replace 1 120
	[ "$(column 7 on:ext4)" -gt 0 ] || fail "ext4: $(cat out)"
	[ "$(column 7 on:xfs)" -gt 0 ] || fail "xfs: $(cat out)"
	# Written without waiting: files of no bytes, which xfs shows and ext4 does not.
	has out 'CORRUPT: state.json has 0 bytes'
	has out 'shows from  *on:xfs$'
	# What must occur is named by where it shows.
	on xfs --max-states 36 --expect check@on:xfs --check './check {dir} {acked}' -- ./workload '{dir}'
	[ $code = 0 ] || fail "expected, exit code $code: $(head -n 40 out)"
	has out 'Expected finding'
	nothing_is_left
}

pyjson_passes() {
	replaced_by_rename fsync-replace-dirsync 0 36
	nothing_is_left
}

# ---- what cannot be concluded ----

only_where_mounted() {
	printf '#!/bin/sh\necho 1 >"$1/a"\nsync "$1/a" "$1"\necho one\n' >workload
	printf '#!/bin/sh\ntest "$(stat -f -c %%T "$1")" != ext2/ext3 || { echo mounted; exit 1; }\n' >check
	chmod +x workload check
	on ext4 --max-states 20 --check './check {dir}' -- ./workload '{dir}'
	[ $code = 2 ] || fail "exit code $code: $(head -n 40 out)"
	tr -s '\n ' ' ' <out >flat
	has flat 'it fails on the mounted ext4 (exit status 1: mounted), but the same tree as plain files recovers well'
	lacks out 'Finding'
}

only_at_times() {
	printf '#!/bin/sh\necho 1 >"$1/a"\necho one\n' >workload
	printf '#!/bin/sh\nn=$(cat count); echo $((n + 1)) >count\n[ $n -lt 1 ] || [ $((n %% 2)) = 0 ]\n' >check
	echo 0 >count
	chmod +x workload check
	on ext4 --jobs 1 --max-states 12 --check "sh -c 'cd $PWD && ./check # {dir}'" -- ./workload '{dir}'
	[ $code = 2 ] || fail "exit code $code: $(head -n 40 out)"
	has out 'did not when it'
}

# What the file system does not take is said, and others are tried.
unmade_on_one() {
	printf '#!/bin/sh\necho 1 >"$1/a"\ntruncate -s 100G "$1/a"\necho one\n' >workload
	printf '#!/bin/sh\nexit 0\n' >check
	chmod +x workload check
	on ext4 --max-states 20 --check './check {dir}' -- ./workload '{dir}'
	[ $code = 2 ] || fail "exit code $code: $(head -n 40 out)"
	has out 'too large'
}

# ---- the command line ----

wrong_usage() {
	refused '"ext5" is no file system' run --on ext5
	refused '\-\-model does not go with' run --on ext4 --model posix --engine wal
	refused '\-\-live does not go with' run --on ext4 --live --engine wal
	refused '\-\-nested does not go with' run --on ext4 --nested 3 --engine wal
	refused '\-\-depth does not go with' run --on ext4 --depth 1 --engine wal
	refused 'a number from 2 to' run --on ext4 --max-states 0 --engine wal
	refused 'O2@posix is not found with --on' run --on ext4 --engine wal --expect O2@posix
	refused 'O2@on:ext4 is not found without --on' run --engine wal --expect O2@on:ext4
	refused 'neither a rule and profile' run --on ext4 --engine wal --expect O2@on:ext5
	[ -z "$(ls -- *.db 2>/dev/null)" ] || fail "a database was made"
}

not_root() {
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	chmod 755 "$work" "$work/cases" .
	setpriv --reuid 65534 --regid 65534 --clear-groups "$program" run --on ext4 --engine wal --db "$PWD/db" >out 2>err
	code=$?
	[ $code != 126 ] && [ $code != 127 ] || skip "the program cannot be run by others"
	[ $code = 64 ] || fail "exit code $code"
	has err 'run: real file systems need root'
	[ ! -e db ] || fail "a database was made"
}

# ---- how it ends ----

# start: a campaign that goes on for a while, as $pid.
start() {
	"$program" run --on ext4 --engine wal --max-states 100000 --quiet --db db --tmp "$areas" >out 2>err </dev/null &
	pid=$!
	trap 'kill -9 $pid 2>/dev/null' EXIT
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		! grep -qs "$areas/" /sys/block/loop*/loop/backing_file || break
		sleep 0.1
	done
	grep -qs "$areas/" /sys/block/loop*/loop/backing_file || fail "it does not start: $(cat err out)"
	sleep "$1"
}

interrupted() {
	start 0.7
	kill -INT $pid
	wait $pid
	code=$?
	[ $code = 2 ] || fail "exit code $code: $(cat err out)"
	has out 'interrupted'
	nothing_is_left
}

killed() {
	for pause in 0.05 0.6; do
		rm -f db
		start $pause
		kill -9 $pid
		wait $pid 2>/dev/null
		for i in 1 2 3 4 5 6 7 8 9 10; do
			grep -qs "$areas/" /sys/block/loop*/loop/backing_file || break
			sleep 0.2
		done
		! grep -qs "$areas/" /sys/block/loop*/loop/backing_file /proc/mounts || fail "a loop device or mount is left"
	done
	# Directories go with the next start.
	on ext4 --engine wal --ops 3 --max-states 12
	nothing_is_left
}

check "hardened wal keeps its promises on ext4" hardened_is_silent ext4
check "hardened wal keeps its promises on xfs" hardened_is_silent xfs
check "hardened wal keeps its promises on btrfs" hardened_is_silent btrfs
check "textbook lsm loses data on ext4, by the cause that the model names" textbook_loses
check "a file that is replaced without a sync is lost on ext4 and xfs" pyjson_fails
check "a file that is replaced with all syncs is there" pyjson_passes
check "what fails only where it is mounted is inconclusive, with both facts" only_where_mounted
check "what does not fail again is inconclusive" only_at_times
check "a workload that cannot be looked at is inconclusive, and says so" unmade_on_one
check "wrong usage is refused before there is a database" wrong_usage
check "who may not mount is told so" not_root
check "an interrupted campaign leaves a report, and nothing else" interrupted
check "a killed campaign leaves nothing that the next one does not clear away" killed
finish
