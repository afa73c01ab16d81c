# Counts the tests in a meson test log.
#
#   awk -v dir=NAME -v status=N -v ci=true|false -v allowed=LINES -f tally.awk testlog.txt
#
# dir     what to call this run in messages
# status  meson's exit status: when it is not 0, at least one failure is counted
# ci      true: a skip is a failure, unless a line of `allowed` begins with "DIR NAME: "
#
# Prints a line for each failing program and each skip, then "PASSED FAILED SKIPPED".
#
# A Check program counts as many tests as it ran, any other program as one.  A skip is a line
# "SKIPPED: name: reason" for one test of a program, or exit status 77 for a whole program.

# A program's section opens with a line such as "=== 3/12 ===" and ends with "======".
/^=+ +[0-9]+\/[0-9]+ +=+$/ {
	end_program()
	in_head = 1
	next
}
/^=+$/ { end_program(); next }

in_head && sub(/^test: +/, "") { name = $0; next }
in_head && sub(/^result: +/, "") { result = $0; next }
/^-+ (stdout|stderr) -+$/ { in_head = 0; next }
in_head || name == "" { next }

match($0, /[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/) {
	line = substr($0, RSTART)
	gsub(/[^0-9]+/, " ", line)
	split(line, number, " ")
	is_check = 1
	ran += number[2]
	bad += number[3] + number[4]
	next
}

# A forked child may print again what its parent had buffered: a text counts once.
match($0, /SKIPPED: /) {
	line = substr($0, RSTART + RLENGTH)
	if (!(line in seen)) {
		seen[line] = 1
		skips[++skip_count] = line
	}
	next
}

NF { last_line = $0 }

END {
	end_program()
	if (status != 0 && failed == 0)
		fail("meson test", "exit status " status, 1)
	printf "%d %d %d\n", passed, failed, skipped
}

# Counts the program that was being read, if any, and forgets it.
function end_program(   i)
{
	if (name != "") {
		if (result == "exit status 77" && skip_count == 0)
			skips[++skip_count] = name ": " last_line
		for (i = 1; i <= skip_count; i++)
			skip(skips[i])
		if (result != "exit status 77")
			count_program()
	}
	name = result = last_line = ""
	in_head = is_check = ran = bad = skip_count = 0
	split("", seen)
}

function count_program()
{
	if (!is_check)
		ran = 1
	if (bad > 0)
		fail(name, bad " of " ran " tests", bad)
	else if (result != "exit status 0")
		fail(name, result, ++bad)
	else if (ran == 0)
		fail(name, "it ran no test", 1)
	# Check counts a test that skipped itself as passed.
	if (is_check)
		ran -= skip_count
	if (ran > bad)
		passed += ran - bad
}

function skip(text)
{
	if (ci == "true" && !is_allowed(text)) {
		fail(text, "skipped, which CI does not allow", 1)
	} else {
		skipped++
		print "SKIPPED: " dir ": " text
	}
}

function is_allowed(text)
{
	sub(/: .*/, ": ", text)
	return index("\n" allowed, "\n" dir " " text) > 0
}

function fail(what, why, count)
{
	failed += count
	print "FAILED: " dir ": " what ": " why
}
