#!/bin/sh
# Tests of plug-ins, from outside: powercut is installed into an empty directory, and the example of
# tests/plugin is built and run against that alone.
#
#   test_plugin.sh BUILD EXAMPLE COMPILER [SANITIZERS]
#
# BUILD is the build directory to install from, EXAMPLE that of the example's sources, COMPILER a C
# compiler, SANITIZERS what powercut was built with.  Prints a line for each case, as Check does.
set -u
[ $# -ge 3 ] && [ -d "$1" ] && [ -d "$2" ] || {
	echo "usage: test_plugin.sh BUILD EXAMPLE COMPILER [SANITIZERS]"
	exit 64
}
build=$1
example=$2
cc=$3
sanitizers=${4:-none}
program=$(readlink -f -- "$build/powercut")
. "$(dirname -- "$0")/lib_cli.sh"
stage=$work/stage

# ---- the installation ----

install_powercut() {
	meson install -C "$build" --no-rebuild --destdir "$stage" --quiet >log 2>&1 ||
		fail "meson install: $(cat log)"
	(cd "$stage" && find . -type f | sed 's,.*/,,') >files
	for file in powercut powercut.1 powercut.pc engine.h fault.h; do
		grep -qxF "$file" files || fail "$file was not installed"
	done
}

describe() {
	[ "$(pkg-config --cflags powercut | tr -d ' ')" = "-I${headers%/powercut}" ] ||
		fail "cflags: $(pkg-config --cflags powercut), headers are in $headers"
	[ "$(pkg-config --variable=abi powercut)" = \
		"$(sed -n 's/^#define ENGINE_ABI //p' "$headers/engine.h")" ] ||
		fail "abi: $(pkg-config --variable=abi powercut)"
}

headers_stand_alone() {
	for header in engine.h fault.h; do
		echo "#include <powercut/$header>" >alone.c
		$cc -std=gnu17 -Wall -Wextra -Werror -fsyntax-only $cflags alone.c || fail "$header"
	done
}

# Plug-ins bring libraries that powercut also has in itself.  Sanitizers export symbols of their own.
exports() {
	nm -D --defined-only "$program" | sed 's/.* //' | grep -v @ >all
	pattern=.
	[ "$sanitizers" = none ] || pattern='^\(engine\|fault\|sqlite3\|fiu\|dw\|elf\|ZSTD\|store\|trace\)'
	grep "$pattern" all | sort >symbols
	printf '%s\n' engine_fail engine_number engine_value fault_mutant fault_mutants_on \
		fault_point_passed fault_points_on | diff - symbols || fail "other symbols"
}

# ---- the example ----

build_example() {
	meson setup "$work/example" "$example" >log 2>&1 && ninja -C "$work/example" >>log 2>&1 ||
		fail "$(cat log)"
	cp "$work/example/jotter.so" "$work/jotter.so"
}

small='--ops 20 --seed 1 --no-outcomes'

finds() {
	cp "$work/jotter.so" .
	# shellcheck disable=SC2086 # words
	exits 1 run --engine ./jotter.so $small --model ext4,posix-dir --tmp "$areas" --quiet
	has out 'the directory entry of notes (created)'
	has out 'jotter\.c:[0-9]* in open_jotter'
	has out 'shows from *posix-dir$'
	exits 0 list findings --db powercut.db --json
	[ "$(grep -c '"fingerprint"' out)" = 1 ] || fail "not one finding: $(cat out)"
}

silent() {
	# shellcheck disable=SC2086
	exits 0 run --engine "$work/jotter.so:dirsync=1" $small --tmp "$areas" --quiet
	has out 'PASSED'
}

# Fault points name windows, and a run that misses one it should pass is told of.
points() {
	# shellcheck disable=SC2086
	exits 1 run --engine "$work/jotter.so:dirsync=1,mutant=jotter/no-sync" $small --model ext4 \
		--tmp "$areas" --quiet
	has out 'between jotter/append/'
	refused 'jotter has no planted bug "jotter/none"; known are: jotter/no-sync' \
		run --engine "$work/jotter.so:mutant=jotter/none"
}

# Where the file lies is no part of a finding, but is found again from the database.
elsewhere() {
	mkdir "a:b" c
	for directory in "a:b" c; do
		cp "$work/jotter.so" "$directory/"
		# shellcheck disable=SC2086
		exits 1 run --engine "./$directory/jotter.so:dirsync=0" $small --model posix-dir \
			--tmp "$areas" --quiet --db "${directory%:b}.db"
		exits 0 list findings --db "${directory%:b}.db" --json
		grep '"fingerprint"' out >"${directory%:b}.prints"
	done
	diff a.prints c.prints || fail "fingerprints differ with the directory"
	exits 0 list findings --db a.db --json
	state=$(sed -n 's/.*"state": "\([^"]*\)".*/\1/p' out | head -n 1)
	cd /
	exits 1 repro "$state" --db "$OLDPWD/a.db" --tmp "$areas" >/dev/null
	cd "$OLDPWD"
	mv a:b/jotter.so gone.so
	exits 64 repro "$state" --db a.db --tmp "$areas"
	has err 'a:b/jotter\.so: No such file or directory'
}

by_name() {
	plugins=$(pkg-config --variable=plugindir powercut)
	mkdir -p "$plugins"
	cp "$work/jotter.so" "$plugins/"
	exits 0 list engines
	has out '^jotter  a file of synced records'
	has out "plug-in .*/jotter\.so"
	# shellcheck disable=SC2086
	exits 1 run --engine jotter $small --model posix-dir --tmp "$areas" --quiet
	cp "$work/jotter.so" "$plugins/other.so"
	refused 'other\.so: holds the engine "jotter", expected "other"' run --engine other
	echo text >"$plugins/other.so"
	exits 0 list engines
	has out 'other  cannot be used: .*other\.so: cannot be loaded'
	has out '^jotter  '
	rm "$plugins/other.so" "$plugins/jotter.so"
	refused 'there is no engine "jotter"; known are: wal, lsm, btree, bitcask' run --engine jotter
}

# ---- plug-ins that are refused ----

# bad_plugin SED-SCRIPT PATTERN: the example, altered, is refused with such words.
bad_plugin() {
	sed "$1" "$example/jotter.c" >jotter.c
	! cmp -s jotter.c "$example/jotter.c" || fail "nothing was altered"
	# shellcheck disable=SC2086 # words
	$cc -std=gnu17 -w $cflags -shared -fPIC -o bad.so jotter.c || fail "it does not build"
	refused "$PWD/bad\.so: $2" run --engine ./bad.so
	[ ! -e powercut.db ] || fail "there is a database"
}

bad() {
	sentence="refused: $1"
	shift
	check "$sentence" bad_plugin "$@"
}

missing_file() {
	refused './no\.so: No such file or directory' run --engine ./no.so
	refused 'no\.so: No such file or directory' run --engine no.so:dirsync=1
	refused '/: not a file' run --engine /
	echo text >text.so
	refused 'text\.so: cannot be loaded: file too short\|text\.so: cannot be loaded: invalid ELF' \
		run --engine ./text.so
	cp "$work/jotter.so" .
	refused 'jotter: dirsync=2: expected one of 0|1' run --engine ./jotter.so:dirsync=2
	refused 'jotter has no option "sync"' run --engine jotter.so:sync=1
}

refusals() {
	check 'refused: a file that is not there, or is no shared object; options' missing_file
	bad 'another version' 's/\.abi = ENGINE_ABI/.abi = 999/' \
		'made for version 999 of the plug-in interface, this powercut has version [0-9]*'
	bad 'no powercut_engine' 's/const struct engine powercut_engine/&_of_mine/' \
		'not a plug-in: it exports no powercut_engine'
	bad 'a function of that name' \
		's/const struct engine powercut_engine/__asm__(".globl powercut_engine\\n.type powercut_engine, @function\\npowercut_engine: ret\\n"); &_of_mine/' \
		'not a plug-in: powercut_engine is not data'
	bad 'a symbol that nobody has' 's/hash_of(note);$/mystery(note);/' \
		'cannot be loaded: undefined symbol: mystery'
	bad 'a symbol of powercut that is not for plug-ins' 's/fsync(dir)/sqlite3_initialize()/' \
		'cannot be loaded: undefined symbol: sqlite3_initialize'
	bad 'no scan and no put' '/\.scan = /d; /\.put = /d' \
		'powercut_engine lacks what each engine must have: put, scan'
	bad 'a name that no target can have' 's/\.name = "jotter"/.name = "my,jotter"/' \
		'"my,jotter" cannot be the name of an engine'
	bad 'an option named mutant' 's/{"dirsync", /{"mutant", /' \
		'"mutant" cannot be the name of an option'
	bad 'an option twice' 's/{"dirsync", .*/&{"dirsync", "0", "0|1", 0, 0, ""},/' \
		'option dirsync is there twice'
	bad 'a fallback that is no choice' 's/{"dirsync", "0"/{"dirsync", "2"/' \
		'option dirsync: its fallback is not one of 0|1'
	bad 'a fallback that is out of bounds' 's/{"dirsync", "0", "0|1", 0, 0/{"dirsync", "0", NULL, 1, 9/' \
		'option dirsync: its fallback is not a number from 1 to 9'
	bad 'a fault point with an option that is not there' 's/"dirsync=1", 0/"dirsink=1", 0/' \
		'fault point jotter/open/dirsynced: "dirsink=1" is not OPTION=VALUE'
}

# A contract is only known when options are, so that the file itself is fine.
bad_contract() {
	sed 's/\.ack = ENGINE_ACK_EACH/.ack = ENGINE_ACK_EVERY/' "$example/jotter.c" >jotter.c
	# shellcheck disable=SC2086
	$cc -std=gnu17 -w $cflags -shared -fPIC -o bad.so jotter.c || fail "it does not build"
	refused 'jotter: its contract has every=0' run --engine ./bad.so --db none.db --tmp "$areas" --quiet
}

# ---- all ----

for tool in meson ninja pkg-config nm; do
	command -v $tool >/dev/null || {
		echo "SKIPPED: test_plugin: $tool is not installed"
		exit 77
	}
done
check 'powercut is installed with its headers, manual and powercut.pc' install_powercut
pc_file=$(find "$stage" -name powercut.pc)
headers=$(dirname -- "$(find "$stage" -name fault.h)")
program=$(find "$stage" -type f -name powercut)
[ -n "$pc_file" ] && [ -n "$program" ] || {
	echo "nothing else can be tested"
	exit 1
}
# Only what was installed, and that where it is for now.
PKG_CONFIG_LIBDIR=$(dirname -- "$pc_file")
PKG_CONFIG_SYSROOT_DIR=$stage
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
unset PKG_CONFIG_PATH
cflags=$(pkg-config --cflags powercut)
check 'powercut.pc says where headers are and which version they have' describe
check 'each installed header stands alone' headers_stand_alone
check 'the program shows plug-ins what is for them and nothing else' exports
check 'the example builds against what was installed' build_example
[ -f "$work/jotter.so" ] || {
	echo "nothing else can be tested"
	exit 1
}
check 'the example has a finding where names are lost' finds
check 'the example has none with its sound option' silent
check 'a plug-in has fault points and planted bugs' points
check 'a finding does not depend on the file, and repro loads it again' elsewhere
check 'a plug-in that is installed is found by its name' by_name
refusals
check 'refused: a contract that promises nothing that can be' bad_contract
finish
