#!/bin/sh
# Tests of commands: any program as a workload, and a checker.
#
#   test_commands.sh POWERCUT
#
# The store is a file `value` that is replaced; the checker wants the last acknowledged one.  Prints a line
# for each case, and closes as a Check program does, so that each counts.
set -u
[ $# -eq 1 ] && [ -x "$1" ] || {
	echo "usage: test_commands.sh POWERCUT"
	exit 64
}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$(readlink -f -- "$1")
. "$here/lib_cli.sh"
bin=$work/bin
mkdir "$bin"

# script NAME: makes a program of standard input.
script() {
	{
		echo '#!/bin/sh'
		cat
	} >"$bin/$1"
	chmod +x "$bin/$1"
}

# What does no harm: each version is synced before it gets its name, and then the name.
script sound <<'END'
cd "$1" || exit 9
for i in 1 2 3; do
	echo "value $i" >new
	sync new
	mv new value
	sync .
	echo "ack $i"
done
END
script no-dirsync <<'END'
cd "$1" || exit 9
for i in 1 2 3; do
	echo "value $i" >new
	sync new
	mv new value
	echo "ack $i"
done
END
script no-sync <<'END'
cd "$1" || exit 9
for i in 1 2 3; do
	echo "value $i" >new
	mv new value
	sync .
	echo "ack $i"
done
END
script checker <<'END'
cd "$1" || exit 9
[ "$2" != 0 ] || exit 0
read -r word n <value || { echo "LOST: there is no value"; exit 1; }
[ "$n" -ge "$2" ] || { echo "LOST: value $n after acknowledgement $2"; exit 1; }
END

common="--quiet --db db --tmp $areas"

# campaign CODE MODEL WORKLOAD [OPTION…]: with the plain checker.
campaign() {
	wanted=$1
	model=$2
	workload=$3
	shift 3
	rm -f db
	# shellcheck disable=SC2086 # words
	exits "$wanted" run $common --model "$model" --check "$bin/checker {dir} {acked}" "$@" -- \
		"$bin/$workload" '{dir}'
}

# checked CODE CHECK [OPTION…]: the sound store with another checker, under ext4.
checked() {
	wanted=$1
	check=$2
	shift 2
	rm -f db
	# shellcheck disable=SC2086 # words
	exits "$wanted" run $common --model ext4 --check "$check" "$@" -- "$bin/sound" '{dir}'
}

# ---- verdicts ----

a_sound_store_passes() {
	campaign 0 kill,ext4,posix sound
	has out '^PASSED'
}

a_missing_directory_sync_is_found() {
	campaign 1 posix no-dirsync
	has out 'LOST: there is no value'
	has out 'the directory entry of value (renamed) was not on disk'
	has out '  check$'
}

a_missing_sync_is_found_where_it_matters() {
	campaign 1 ext4 no-sync
	campaign 0 kill no-sync
}

a_finding_is_shown_and_replayed() {
	campaign 1 posix no-dirsync
	finding=$(sed -n 's/.*powercut show \([0-9a-f]*\).*/\1/p' out | sed 1q)
	state=$(sed -n 's/.*powercut repro \([^ ]*\).*/\1/p' out | sed 1q)
	exits 0 show --db db "$finding"
	has out 'LOST *rename'
	has out 'acknowledged, line 1: ack 1'
	exits 1 repro --db db --tmp "$areas" "$state"
	has out 'said  *exit status 1: LOST'
	exits 0 repro --db db --tmp "$areas" --export files "$state"
	[ ! -e files/value ] || fail "the state has a value"
}

expected_findings_pass() {
	campaign 0 posix no-dirsync --expect check@posix
	campaign 1 ext4 sound --expect check@ext4
}

one_worker_finds_what_two_find() {
	campaign 1 posix no-sync --jobs 1
	exits 0 report --db db --format json
	grep '"\(fingerprint\|states\|state\)":' out >one
	campaign 1 posix no-sync --jobs 2
	exits 0 report --db db --format json
	grep '"\(fingerprint\|states\|state\)":' out >two
	[ -s one ] || fail "nothing to compare"
	cmp one two || fail "reports differ: $(diff one two)"
}

# More crash points than the budget has states: some of them are looked at, but with losses.
a_long_workload_is_no_excuse() {
	script long <<'END'
cd "$1" || exit 9
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	echo "value $i" >new
	mv new value
	echo "ack $i"
done
END
	campaign 1 ext4 long --max-states 60
	has out 'LOST'
}

verdicts() {
	check 'a sound store passes' a_sound_store_passes
	check 'a missing sync of the directory is found' a_missing_directory_sync_is_found
	check 'a missing sync is found, but not by a kill' a_missing_sync_is_found_where_it_matters
	check 'a finding is shown and replayed' a_finding_is_shown_and_replayed
	check 'a long workload is tested with losses too' a_long_workload_is_no_excuse
	check 'expected findings of a command' expected_findings_pass
	check 'one worker finds what two find, of a command' one_worker_finds_what_two_find
}

# ---- what workloads and checkers are told ----

a_checker_is_told() {
	script told <<'END'
[ "$(wc -l <"$3")" = "$2" ] || { echo "$(wc -l <"$3") lines, not $2"; exit 1; }
i=0
while read -r line; do
	i=$((i + 1))
	[ "$line" = "ack $i" ] || { echo "line $i is $line"; exit 1; }
done <"$3"
[ "$POWERCUT_DIR" = "$1" ] && [ "$POWERCUT_ACKED" = "$2" ]
END
	checked 0 "$bin/told {dir} {acked} {acks}"
}

a_checker_may_be_a_line_of_shell() {
	checked 0 'cd {dir} && { [ {acked} -eq 0 ] || grep -q value value; }'
	checked 1 'cd {dir} && { [ {acked} -lt 2 ] || grep -q nonsense value; } || [ {acked} -eq 3 ]'
}

only_matching_lines_acknowledge() {
	script chatty <<'END'
cd "$1" || exit 9
echo starting
echo "value 1" >value
sync value .
echo ack 1
END
	campaign 0 posix chatty --ack-pattern '^ack [0-9]+$'
	campaign 64 posix chatty # the checker then expects a second version
}

a_setup_is_the_durable_start() {
	script fill <<'END'
cd "$1" && echo "value 9" >value
END
	script touch-only <<'END'
cd "$1" || exit 9
echo begun
echo more >other
END
	campaign 0 posix touch-only --setup "$bin/fill {dir}"
	campaign 64 posix touch-only
}

a_checker_may_have_variables() {
	checked 0 "LIMIT=3 $bin/checker {dir} {acked}"
}

quoted_words_are_words() {
	script 'a checker' <<'END'
[ "$1" = "two words" ] && [ "$2" = 'a"b' ] && [ "$3" = "" ] && [ -d "$4" ]
END
	checked 0 "'$bin/a checker' 'two words' \"a\\\"b\" '' {dir}"
}

told() {
	check 'a checker is told the directory, the count and the lines' a_checker_is_told
	check 'a checker may be a line of shell' a_checker_may_be_a_line_of_shell
	check 'only lines that match acknowledge' only_matching_lines_acknowledge
	check 'what the setup made is durable' a_setup_is_the_durable_start
	check 'a checker may have variables in front' a_checker_may_have_variables
	check 'quoted words are words' quoted_words_are_words
}

# ---- programs that misbehave ----

# What it does to a state is undone: no later one is harmed.  The sound store passes all the same.
harmless() {
	checked 0 "$bin/checker {dir} {acked}"
	sed -n 's/^  ext4  *//p' out >expected
	{
		sed '1d' "$bin/checker" | sed 's/exit 0; *//; s/|| exit 0$/|| harm/'
		echo harm
	} >body
	script harmful <<END
harm() {
	$1
	exit 0
}
$(cat body)
END
	checked 0 "$bin/harmful {dir} {acked}"
	sed -n 's/^  ext4  *//p' out >got
	cmp got expected || fail "another result: $(cat got expected)"
}

a_checker_that_crashes() {
	script dies <<'END'
[ "$2" != 2 ] || kill -SEGV $$
END
	checked 1 "$bin/dies {dir} {acked}"
	has out 'O1'
	has out 'signal 11'
}

a_checker_that_never_ends() {
	script hangs <<'END'
[ "$2" != 2 ] || [ ! -e "$1/new" ] || sleep 100
END
	checked 1 "$bin/hangs {dir} {acked}" --timeout 50ms
	has out 'O1'
	has out 'no end within'
}

a_sanitizer_reports() {
	script report <<'END'
[ "$2" != 2 ] || { echo "==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x1" >&2; exit 1; }
END
	checked 1 "$bin/report {dir} {acked}"
	has out 'O1'
	has out 'AddressSanitizer: heap-use-after-free'
}

a_call_that_is_not_modelled() {
	script pipes <<'END'
cd "$1" || exit 9
echo "value 1" >value
sync value .
mkfifo pipe
echo ack 1
END
	campaign 2 ext4 pipes
	has out 'mknod'
}

a_checker_of_moods() {
	script moody <<END
n=\$(cat "$PWD/runs" 2>/dev/null || echo 0)
echo \$((n + 1)) >"$PWD/runs"
[ "\$n" != 4 ] || { echo "not in the mood"; exit 1; }
END
	checked 2 "$bin/moody {dir} {acked}" --jobs 1
	has out 'did not when it was'
}

# Hanging is confirmed a few times, at eleven times the limit; then it is known.
a_checker_that_hangs_everywhere() {
	script hangs-always <<'END'
[ -e "$1/value" ] && grep -q 3 "$1/value" && [ ! -e "$1/new" ] && [ "$2" = 3 ] || sleep 100
END
	checked 1 "$bin/hangs-always {dir} {acked}" --timeout 100ms
	has out 'O1'
	has out 'no end '
}

misbehaving() {
	check 'a checker that removes everything' harmless "rm -rf ./* ../data"
	check 'a checker that overwrites everything' harmless "echo x >value; echo y >new; mkdir -p a/b"
	check 'a checker that takes permissions' harmless "chmod 0 value .; chmod 0 ."
	check 'a checker that writes beside its directory' harmless "echo x >../beside; echo y >>../own-output"
	check 'a checker that leaves a process behind' harmless "sleep 100 & true"
	check 'a checker that crashes' a_checker_that_crashes
	check 'a checker that never ends costs its verdict' a_checker_that_never_ends
	check 'a checker that always hangs ends all the same' a_checker_that_hangs_everywhere
	check 'a checker that does not agree with itself is inconclusive' a_checker_of_moods
	check 'a sanitizer that reports in a checker' a_sanitizer_reports
	check 'a call that is not modelled is inconclusive, by name' a_call_that_is_not_modelled
}

# ---- bad input ----

# refused PATTERN ARGUMENT…: exit 64, one line, no database.
refused() {
	pattern=$1
	shift
	rm -f db
	# shellcheck disable=SC2086 # words
	exits 64 run $common --model ext4 "$@"
	has err "$pattern"
	[ ! -s out ] || fail "it wrote to standard output"
}

bad() {
	sentence=$1
	shift
	check "refused: $sentence" refused "$@"
}

bad_input() {
	check="$bin/checker {dir} {acked}"
	script fails <<'END'
echo ack; echo x >"$1/f"; exit 3
END
	script silent <<'END'
echo x >"$1/f"
END
	script idle <<'END'
echo ack
END
	script dead <<'END'
kill -9 $$
END
	script refuses <<'END'
echo "it is not to my liking"; exit 1
END
	bad 'no checker' 'has no checker' -- "$bin/sound" '{dir}'
	bad 'no workload' 'there is no workload' --check "$check"
	bad 'a checker without {dir}' 'does not mention {dir}' --check "$bin/checker {acked}" -- "$bin/sound" '{dir}'
	bad 'a workload without {dir}' 'no word of the workload mentions {dir}' --check "$check" -- "$bin/sound" dir
	bad 'a checker that is not there' 'no/such is no program' --check '/no/such {dir}' -- "$bin/sound" '{dir}'
	bad 'a workload that is not there' 'no program no-such-program' --check "$check" -- no-such-program '{dir}'
	bad 'a setup that is not there' 'setup: there is no program' --setup no-such-program --check "$check" -- "$bin/sound" '{dir}'
	bad 'a setup that fails' 'the setup ended with status 1' --setup 'false {dir}' --check "$check" -- "$bin/sound" '{dir}'
	bad 'a quote that is not closed' 'a quote is not closed' --check "sh -c 'x {dir}" -- "$bin/sound" '{dir}'
	bad 'a pattern that is none' 'no regular expression' --ack-pattern '(' --check "$check" -- "$bin/sound" '{dir}'
	bad 'a pattern that nothing matches' 'none of the 3 lines' --ack-pattern 'zzz' --check "$check" -- "$bin/sound" '{dir}'
	bad 'a workload that fails' 'ended with status 3' --check "$check" -- "$bin/fails" '{dir}'
	bad 'a workload that dies' 'signal 9' --check "$check" -- "$bin/dead" '{dir}'
	bad 'a workload that prints nothing' 'printed no line' --check "$check" -- "$bin/silent" '{dir}'
	bad 'a workload that writes nothing' 'changed nothing' --check "$check" -- "$bin/idle" '{dir}'
	bad 'a checker that refuses the end' 'not accept.*not to my liking' --check "$bin/refuses {dir}" -- "$bin/sound" '{dir}'
	bad 'an engine and a workload' 'engine goes with an engine' --engine wal --check "$check" -- "$bin/sound" '{dir}'
	bad 'a mix and a workload' 'mix goes with an engine' --mix put --check "$check" -- "$bin/sound" '{dir}'
}

a_workload_that_differs() {
	script differs <<'END'
cd "$1" || exit 9
echo "value $$" >value
sync value .
echo ack 1
END
	rm -f db
	# shellcheck disable=SC2086 # words
	exits 64 run $common --model ext4 --twice --check "test -e {dir} {acked}" -- "$bin/differs" '{dir}'
	has err 'does not do the same when it is run again: event 1 is first write value'
	campaign 0 ext4 sound --twice
}

an_interrupted_recording() {
	script sleeps <<'END'
echo ack; echo x >"$1/f"; sleep 100
END
	rm -f db
	# shellcheck disable=SC2086 # words
	"$program" run $common --model ext4 --check "$bin/checker {dir} {acked}" -- "$bin/sleeps" '{dir}' >out 2>err &
	sleep 1
	kill -TERM $!
	wait $!
	code=$?
	[ $code = 2 ] || fail "exit code $code, expected 2"
	has out 'interrupted while'
}

# A checker that would take long: whoever stops the campaign, and however, nobody is left.
stopped_while_checking() {
	script slow <<'END'
[ "$2" = 3 ] && exit 0
sleep 4242
END
	rm -f db
	# shellcheck disable=SC2086 # words
	"$program" run $common --model ext4 --check "$bin/slow {dir} {acked}" -- "$bin/sound" '{dir}' >out 2>err &
	sleep 1.5
	kill "-$1" $!
	began=$(date +%s)
	wait $!
	code=$?
	[ $(($(date +%s) - began)) -le 8 ] || fail "it took too long to stop"
	tries=0
	while pgrep -f 'sleep 4242' >/dev/null && [ $tries -lt 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	! pgrep -f 'sleep 4242' >/dev/null || fail "a process is left: $(pgrep -fa 'sleep 4242')"
	[ "$1" = KILL ] || [ $code = 2 ] || fail "exit code $code, expected 2"
	[ "$1" = KILL ] || has out 'interrupted'
}

a_workload_that_leaves_a_process() {
	script leaves <<'END'
cd "$1" || exit 9
echo "value 1" >value
sync value .
echo ack 1
sleep 100 &
END
	campaign 2 ext4 leaves --run-timeout 500ms
	has out 'a process that it left'
}

a_workload_that_never_ends() {
	script endless <<'END'
echo ack; echo x >"$1/f"; sleep 100
END
	campaign 2 ext4 endless --run-timeout 300ms
	has out 'did not end in time'
}

# ---- the README's example ----

# in_readme FILE FIRST LAST: the README has these lines of a file.
in_readme() {
	sed -n "$2,$3p" "$tutorial/$1" | while IFS= read -r line; do
		[ -z "$line" ] || grep -qxF "    $line" "$tutorial/../../README.md" || echo "    $line"
	done >missing
	[ ! -s missing ] || fail "the README lacks of $1: $(cat missing)"
}

# tutorial CODE PROGRAM
tutorial() {
	rm -f db
	exits "$1" run --quiet --db db --tmp "$areas" --model kill,ext4,posix \
		--check "$tutorial/check.py {dir} {acked}" -- "$tutorial/$2" '{dir}'
}

the_tutorial() {
	command -v python3 >/dev/null || skip "python3 is not installed"
	tutorial 1 save.py
	has out 'CORRUPT: 1 lines, the first is'
	has out '^  kill .* 0  *0$'
	tutorial 0 save_synced.py
	in_readme save.py 4 99
	in_readme check.py 4 99
	in_readme save_synced.py 6 12
}

verdicts
told
misbehaving
bad_input
check 'refused: a workload that differs, where it must not' a_workload_that_differs
check 'a recording can be interrupted' an_interrupted_recording
check 'SIGINT while checkers hang' stopped_while_checking INT
check 'SIGTERM while checkers hang' stopped_while_checking TERM
check 'SIGKILL while checkers hang leaves nobody' stopped_while_checking KILL
check 'a workload that leaves a process behind is inconclusive' a_workload_that_leaves_a_process
check 'a workload that never ends is inconclusive' a_workload_that_never_ends
tutorial=$here/tutorial
check 'the example of the README' the_tutorial
finish
