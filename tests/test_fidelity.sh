#!/bin/sh
# powercut fidelity: the model is held against real file systems.
#
#   test_fidelity.sh POWERCUT PROGRAMS
#
# PROGRAMS random programs a file system.  Needs root, FUSE and loop devices, and is skipped where these
# are missing.
set -u
[ $# -eq 2 ] && [ -x "$1" ] || {
	echo "usage: test_fidelity.sh POWERCUT PROGRAMS"
	exit 64
}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "$1")
programs=$2
. "$here/lib_cli.sh"
needs_mounts test_fidelity

# fidelity CODE ARGUMENT…
fidelity() {
	wanted=$1
	shift
	timeout 200 "$program" fidelity --quiet --tmp "$areas" "$@" >out 2>err </dev/null
	code=$?
	! grep -q 'Sanitizer\|runtime error' err || fail "fidelity $*: a sanitizer spoke"
	[ $code = "$wanted" ] || fail "fidelity $*: exit code $code, expected $wanted: $(cat out)"
}

nothing_is_outside() {
	command -v "mkfs.${1%-*}" >/dev/null || skip "mkfs.${1%-*} is not installed"
	fidelity 0 --on "$1" --no-litmus --programs "$programs" --max-states 24
	has out '^no state outside the model'
	awk -v fs="$1" '$1 == fs && $2 > 0 && $3 > 20 && $5 == 0 { found = 1 } END { exit !found }' out ||
		fail "no states, or some outside: $(cat out)"
}

litmus_cells() {
	fidelity 0 --on ext4 --litmus --max-states 6
	grep -q '^L4  *yes$' out || fail "L4 is not seen: $(cat out)"
	grep -q '^L5  *no$' out || fail "L5 is seen: $(cat out)"
}

# What ext4 does is more than `kill` allows: a hole, whose program is made small.
a_hole_is_found() {
	fidelity 1 --on ext4 --no-litmus --programs 1 --calls 5 --max-states 24 --model kill
	has out '^ext4 shows what the model has not'
	has out '^the model has holes'
	awk '/^ext4 shows/ { n = 0; on = 1; next } /^crash:/ { if (on && n > 6) exit 1; on = 0 } on { n++ }' out ||
		fail "not made small: $(cat out)"
}

a_given_program() {
	printf 'start-file f o*4096\nstart-file g o*4096\nwrite f 0 n*4096\nwrite g 0 n*4096\nfsync g\n' >two
	fidelity 0 --on ext4 --program two --rounds 1 --max-states 24
	# There, the fsync of one would keep the other too.
	fidelity 1 --on ext4 --program two --rounds 1 --max-states 24 --model ideal
}

json() {
	command -v python3 >/dev/null || skip "python3 is not installed"
	printf 'creat a\nfsync a\n' >program
	fidelity 0 --on ext4 --program program --rounds 1 --max-states 4 --json
	python3 -c 'import json, sys
d = json.load(open("out"))
p = d["programs"][0]
assert d["format"] == "powercut-fidelity" and d["exit"] == 0 and d["kernel"]
assert p["file_system"] == "ext4" and p["states"] > 0 and p["outside_model"] == 0' || fail "$(cat out)"
}

wrong_usage() {
	printf 'creat a\nnonsense b\n' >program
	fidelity 64 --on ext9
	has err 'ext9.*expected some of ext4'
	fidelity 64 --on ext4 --model ext9
	fidelity 64 --on ext4 --programs 0
	fidelity 64 --on ext4 --program nowhere
	has err nowhere
	fidelity 64 --on ext4 --program program
	has err 'program:2'
	fidelity 64 --on ext4 surplus
}

not_root() {
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	setpriv --reuid 65534 --clear-groups "$program" fidelity --on ext4 >out 2>err
	[ $? = 64 ] || fail "exit code of somebody else"
	has err 'need root'
}

# The random programs are the same in each run; their timing is not.
for fs in ext4 xfs btrfs; do
	check "what random programs leave on $fs is in the model" nothing_is_outside $fs
done
check "the litmus table" litmus_cells
check "what the model has not is found, and made small" a_hole_is_found
check "a program that is given" a_given_program
check "JSON" json
check "wrong usage is refused" wrong_usage
check "who may not mount is told so" not_root
finish
