# The calls of an engine whose purpose is to sync, one a line:
#
#   FILE LINE COLUMN FUNCTION CALL N          N numbers the same calls of one function, from 1
#
#   awk -f sync_sites.awk engines/*.[ch] engines/NAME/*.[ch]
#
# What is called counts if its name says "sync" and it reaches fsync, fdatasync or the like: these
# themselves, the helpers that the engines share, and the engine's own functions.  Calls within the
# shared helpers are no sites.  What syncs in a way that does not show as such a call (a flag, a macro, a
# pointer to a function, a helper whose name says nothing) is an error, so that nothing is passed over.
#
# It reads C as this project writes it: a name and the parenthesis of its call are on one line.

BEGIN {
	split("fsync fdatasync sync syncfs msync sync_file_range", names, " ")
	for (i in names)
		reaches[names[i]] = 1
}

FNR == 1 {
	depth = parens = in_comment = in_define = 0
	header = current = ""
	n = split(FILENAME, parts, "/")
	shared = parts[n - 1] == "engines"
}

function fail(text)
{
	print FILENAME ":" FNR ": " text >"/dev/stderr"
	failed = 1
}

# The line with spaces for what is in comments, strings and character constants.
function blank(line,   out, at, c, two, quote)
{
	for (at = 1; at <= length(line); at += length(c)) {
		c = substr(line, at, 1)
		two = substr(line, at, 2)
		if (in_comment || quote != "") {
			if (two == "*/" && in_comment)
				c = two
			if (c == "\\")
				c = two
			if (c == "*/")
				in_comment = 0
			if (c == quote)
				quote = ""
			out = out substr("  ", 1, length(c))
		} else if (two == "/*") {
			in_comment = 1
			c = two
			out = out "  "
		} else if (two == "//") {
			break
		} else if (c == "\"" || c == "'") {
			quote = c
			out = out " "
		} else {
			out = out c
		}
	}
	return out
}

# A name before a parenthesis: the head of a function, or a call in one.
function named(name, column, before)
{
	if (depth == 0) {
		if (parens == 0)
			header = name
		return
	}
	if (current == "" || before ~ /(\.|->) *$/)
		return
	n_calls++
	call_file[n_calls] = FILENAME
	call_line[n_calls] = FNR
	call_column[n_calls] = column
	call_in[n_calls] = current
	call_to[n_calls] = name
	call_shared[n_calls] = shared
}

# Names that are no calls; a variable may be called sync.
function mentioned(name)
{
	if (name ~ /sync/ && name != "sync" && current != "")
		mentions[FILENAME ":" FNR] = name
}

function scan(line,   at, token, name, column)
{
	for (at = 1; match(substr(line, at), /[A-Za-z_][A-Za-z_0-9]*|[^ \t]/); at += RLENGTH) {
		at += RSTART - 1
		token = substr(line, at, RLENGTH)
		if (name != "" && token != "(")
			mentioned(name)
		if (token == "(") {
			if (name != "")
				named(name, column, substr(line, 1, column - 1))
			parens++
		} else if (token == ")") {
			parens--
		} else if (token == "{") {
			if (depth++ == 0)
				current = header
		} else if (token == "}") {
			if (--depth == 0)
				current = header = ""
		} else if (token == ";" && depth == 0) {
			header = ""
		}
		name = token ~ /^[A-Za-z_]/ ? token : ""
		column = at
	}
	if (name != "")
		mentioned(name)
}

{
	line = blank($0)
	if (line ~ /(^|[^A-Za-z_0-9])(O_SYNC|O_DSYNC|RWF_SYNC|RWF_DSYNC|MS_SYNC)([^A-Za-z_0-9]|$)/)
		fail("a flag that syncs cannot be taken out here")
	if (in_define || line ~ /^[ \t]*#/) {
		if (line !~ /^[ \t]*#[ \t]*include/ && line ~ /sync[A-Za-z_0-9]* *\(/)
			fail("a macro that syncs cannot be taken out here")
		in_define = line ~ /\\$/
		next
	}
	scan(line)
}

END {
	do {
		changed = 0
		for (i = 1; i <= n_calls; i++)
			if ((call_to[i] in reaches) && !(call_in[i] in reaches))
				changed = reaches[call_in[i]] = 1
	} while (changed)
	for (i = 1; i <= n_calls; i++) {
		if (!(call_to[i] in reaches))
			continue
		if (call_shared[i]) {
			if (call_in[i] !~ /sync/) {
				print call_file[i] ": " call_in[i] " is shared, syncs, and does not say so " \
					"in its name" >"/dev/stderr"
				failed = 1
			}
		} else if (call_to[i] ~ /sync/) {
			print call_file[i], call_line[i], call_column[i], call_in[i], call_to[i], \
				++ordinal[call_file[i], call_in[i], call_to[i]]
		}
	}
	for (place in mentions)
		if (mentions[place] in reaches) {
			print place ": " mentions[place] " is not called, and so cannot be taken out here" \
				>"/dev/stderr"
			failed = 1
		}
	exit failed
}
