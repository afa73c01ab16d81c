#!/bin/sh
# Which lines of the hardened engines' recoveries does the campaign execute?
#
#   recovery_coverage.sh [ENGINE…]             without a name: all engines
#
# Recovery code is what an engine's open function reaches: in its own files and in those that all engines
# share (engines/*.[ch]), by the compiler's call graph, and besides through a pointer if it was seen to be
# called so.  A line counts as executed if it was executed within that function: in recoveries of crash
# states, in those of workloads that reopen, and in nested runs.  What put, sync or compact executed of the
# same functions counts for nothing.  No errors are injected.
#
# For each engine, the lines executed of all, and of those that can be: all but the errors, planted bugs
# and listed ones below.  Then each line that was not:
#
#   FILE:LINE FUNCTION  error: TEXT            of a branch that ends in failure: a call that failed, no
#                                              memory, damage that no crash does
#   FILE:LINE FUNCTION  planted: TEXT          of a planted bug
#   FILE:LINE FUNCTION  REASON: TEXT           as recovery_coverage.list says
#   FILE:LINE FUNCTION  GAP: TEXT              none of these: a state that the campaign lacks
#
# A branch that ends in failure: unexecuted lines one behind the other, with no condition, loop or fault
# point among them, the last of which has engine_fail or a function that does only that, or is
# `return -1`, a goto, or `return NULL` in a function that has an error to tell.
#
# It ends with 1 if there is a gap, or an entry of the list that has come not to be true: lines that are
# executed, functions and lines that are not there.  From the environment: RECOVERY_COVERAGE_RUN, further
# options of `powercut run`, and TMPDIR.
#
# How lines are counted in processes that end with _exit or are killed: the compiler's counters of the
# engines are put into one section.  engine_table is replaced, when the copy is linked, by one whose open
# functions add what the counters gained meanwhile to sums in memory that all processes share; the first
# process leaves with the sums in place of its own counters, and gcov's own exit code writes them.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
tree=${here%/*}
work=$(mktemp -d "${TMPDIR:-/tmp}/recovery-coverage-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
list=$here/recovery_coverage.list
copy=$work/tree
build=$work/build
wrong=0

die() {
	echo "recovery_coverage: $*" >&2
	exit 1
}

# ---- the copy ----

write_counting() {
	cat >"$work/counters.ld" <<-'END'
		SECTIONS
		{
			gcov_counters (NOLOAD) : {
				gcov_counters_begin = .;
				*(.bss.__gcov0.*)
				gcov_counters_end = .;
			}
		}
		INSERT AFTER .bss;
	END
	cat >"$work/counting.c" <<-'END'
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <unistd.h>

		#include "engine.h"

		enum { ENGINES_MAX = 16 };

		extern int64_t gcov_counters_begin[], gcov_counters_end[];
		extern const struct engine *const __real_engine_table[];
		const struct engine *__wrap_engine_table[ENGINES_MAX + 1];
		static struct engine copies[ENGINES_MAX];
		static int64_t *before, *sums; /* sums are shared by all processes */
		static size_t n;
		static pid_t first;

		static void *open_and_count(const char *dir, const struct engine_config *config,
					    struct engine_error *error)
		{
			size_t e = 0;
			while (copies[e].options != config->options)
				e++;
			memcpy(before, gcov_counters_begin, n * sizeof *before);
			void *store = __real_engine_table[e]->open(dir, config, error);
			for (size_t i = 0; i < n; i++)
				__atomic_fetch_add(&sums[i], gcov_counters_begin[i] - before[i],
						   __ATOMIC_RELAXED);
			return store;
		}

		static void leave(void)
		{
			for (size_t i = 0; i < n; i++)
				gcov_counters_begin[i] = getpid() == first ? sums[i] : 0;
		}

		static int64_t *numbers(int flags)
		{
			int64_t *p = mmap(NULL, n * sizeof *p, PROT_READ | PROT_WRITE,
					  flags | MAP_ANONYMOUS, -1, 0);
			if (p == MAP_FAILED)
				abort();
			return p;
		}

		__attribute__((constructor)) static void begin(void)
		{
			n = (size_t)(gcov_counters_end - gcov_counters_begin);
			first = getpid();
			before = numbers(MAP_PRIVATE);
			sums = numbers(MAP_SHARED);
			for (size_t i = 0; i < ENGINES_MAX && __real_engine_table[i]; i++) {
				copies[i] = *__real_engine_table[i];
				copies[i].open = open_and_count;
				__wrap_engine_table[i] = &copies[i];
			}
			atexit(leave);
		}
	END
}

# edit FILE FROM TO: replaces one text by another, which must be there once.
edit() {
	awk -v from="$2" -v to="$3" '
		at = index($0, from) { $0 = substr($0, 1, at - 1) to substr($0, at + length(from)); n++ }
		1
		END { exit n != 1 }' "$copy/$1" >"$work/edited" || die "$1 is not as expected: $2"
	cp "$work/edited" "$copy/$1"
}

make_copy() {
	mkdir "$copy" && write_counting
	(cd "$tree" && cp -r meson.build docs engines faults harness reports tests "$copy") || exit 1
	gcc -O2 -I"$copy/engines" -c "$work/counting.c" -o "$work/counting.o" || die "it does not compile"
	edit engines/meson.build 'dependencies: faults)' "dependencies: faults, c_args: ['--coverage', '-O0',
		'-fdata-sections', '-fcallgraph-info'])"
	edit meson.build "link_args: ['-Wl,-z,now']" "link_args: ['-Wl,-z,now', '--coverage',
		'$work/counting.o', '-Wl,--wrap=engine_table', '-Wl,-T,$work/counters.ld']"
	if ! CC=gcc meson setup "$build" "$copy" -Dwerror=false >"$work/log" 2>&1 ||
		! ninja -C "$build" powercut >"$work/log" 2>&1; then
		cat "$work/log"
		die "the copy does not build"
	fi
	objects=$build/engines/libengines.a.p
	[ -d "$objects" ] || die "there is no $objects"
}

# ---- campaigns ----

# Hardened targets of the built-in campaign, and further options; each "SPEC [OPTIONS OF run]".
targets_of() {
	awk -v engine="$1" '
		/^const struct campaign_target campaign_builtin/ { builtin = 1; next }
		/^};/ { builtin = 0 }
		!builtin { next }
		{ row = row $0 }
		/},$/ {
			if (match(row, /\.spec = "[^"]*"/)) {
				spec = substr(row, RSTART + 9, RLENGTH - 10)
				if (index(spec, engine ":") == 1 && spec ~ /variant=hardened/)
					print spec workload()
			}
			row = ""
		}
		# Words "ops=60 keys=12" as options; strings that follow one another are one.
		function workload(   words, n, i, options) {
			if (!match(row, /\.workload =([ \t]*"[^"]*")+/)) return ""
			words = substr(row, RSTART + 11, RLENGTH - 11)
			gsub(/"[ \t]*"|^[ \t]*"|"$/, "", words)
			n = split(words, word, " ")
			for (i = 1; i <= n; i++) {
				sub(/=/, " ", word[i])
				options = options " --" word[i]
			}
			return options
		}' "$tree/harness/campaign_builtin.c"
	case $1 in
	wal) cat <<-'END' ;;
		wal:sync=batch,batch=4,recycle=1,segment_bytes=700 --ops 200
		wal:sync=none,buffer_bytes=300,segment_bytes=1024 --values 24-600
		wal:sync=batch --keys 200 --reuse 1
		wal:recycle=1,segment_bytes=300 --keys 4 --mix put=20,delete=60,compact=10
		wal:segment_bytes=20000 --values 300-5000 --model posix --max-states 2000
		END
	lsm) cat <<-'END' ;;
		lsm:memtable_bytes=600,manifest_bytes=5000
		lsm:sync=on-sync,memtable_bytes=1200,compact_at=2 --values 24-900
		lsm:sync=each --model posix --max-states 3000
		END
	btree) cat <<-'END' ;;
		btree:log_bytes=0 --keys 20
		btree:fanout=3,log_bytes=50000 --values 24-6000
		btree:log_bytes=200000,fanout=3 --keys 200 --reuse 1 --values 24-3000
		btree:variant=hardened --values 1000-5000 --model posix --max-states 3000
		END
	bitcask) cat <<-'END' ;;
		bitcask:max_file_bytes=300 --mix put=60,delete=30,compact=20,reopen=10
		bitcask:merge_dead_percent=0,sync_writes=0 --mix put=60,delete=30,compact=20,sync=10,reopen=10
		bitcask:merge_dead_percent=0 --keys 1 --mix put=20,delete=40,compact=30
		bitcask:max_file_bytes=20000 --values 300-5000 --model posix --max-states 2000
		END
	*) echo "$1:variant=hardened" ;;
	esac
}

# Few states a profile suffice: a line has to be executed once.
run_targets() {
	targets_of "$1" | while read -r spec options; do
		for seed in 1 2; do
			code=0
			rm -f "$work/db"
			# shellcheck disable=SC2086 # options
			"$build/powercut" run --quiet --no-stacks --no-outcomes --max-states 400 \
				--nested 4 --engine "$spec" --seed $seed $options --db "$work/db" \
				${RECOVERY_COVERAGE_RUN:-} >"$work/report" 2>&1 || code=$?
			case $code in
			0 | 3) ;;
			*) cat "$work/report" && die "$spec $options --seed $seed ended with $code" ;;
			esac
		done
	done
}

# ---- what was executed ----

# Lines "FILE FUNCTION LINE COUNT TEXT" of the engine's files and the shared ones; COUNT is - where no
# code is.  Fields are separated by tabs.
executed() {
	for data in "$objects"/*.gcda; do
		(cd "$build" && gcov -t -b "$data" 2>/dev/null) || die "gcov cannot read ${data##*/}"
	done | awk -v engine="$1" '
		BEGIN { OFS = "\t" }
		/^ +-: +0:Source:/ { file = $0; sub(/^.*\/tree\//, "", file) }
		/^function / { name = $2; next }
		!/^ *[-#=0-9*]+: *[0-9]+:/ { next }
		{
			split($0, part, ":")
			count = part[1]; number = part[2] + 0
			gsub(/[ *]/, "", count)
			text = substr($0, length(part[1]) + length(part[2]) + 3)
			gsub(/^[ \t]+|[ \t]+$/, "", text)
			if (number == 0) { name = "-"; next }
			if (file !~ /^engines\/[^\/]*$/ && index(file, "engines/" engine "/") != 1) next
			if (count ~ /[#=]/) count = 0
			print substr(file, 9), name, number, count, text
		}'
}

# The functions reached from open, "FILE FUNCTION", not through those that the list leaves out; others
# that were executed belong to them.
reached() {
	root=$(sed -n 's/^\t\.open = \([a-z_0-9]*\),$/\1/p' "$tree/engines/$1"/*.c)
	[ -n "$root" ] || die "$1 has no open function"
	cat "$objects"/*.ci | awk -v root="$root" -v engine="$1" -v list="$list" '
		BEGIN {
			while ((getline line <list) > 0)
				if (line ~ /^[^ #]+ [^ :]+: textbook/ && split(line, part, /[ :]/))
					left_out[part[1] " " part[2]]
		}
		# Titles are FILE:FUNCTION for static functions, FUNCTION for others.
		function plain(title) { sub(/^.*\/tree\//, "", title); return title }
		/^node: / && !/shape/ {
			split($0, part, "\"")
			title = plain(part[2])
			split(part[4], label, /\\n/)
			place = plain(label[2]); sub(/:.*/, "", place); sub(/^engines\//, "", place)
			home[title] = place; name[title] = label[1]
			if (label[1] == root && index(place, engine "/") == 1) start = title
		}
		/^edge: / {
			split($0, part, "\"")
			from = plain(part[2])
			calls[from] = calls[from] " " plain(part[4])
		}
		function visit(title,   list_of, i, k) {
			if (seen[title]++ || !(title in home)) return
			if (home[title] "" ~ /\// && index(home[title], engine "/") != 1) return
			if ((home[title] " " name[title]) in left_out) return
			print home[title] " " name[title]
			k = split(calls[title], list_of, " ")
			for (i = 1; i <= k; i++) visit(list_of[i])
		}
		END { visit(start) }'
}

# ---- the report ----

# Reads "FILE FUNCTION", then executed lines; uses the list.
report() {
	awk -v engine="$1" -v list="$list" -v detail="$work/detail" -v used_file="$work/used" \
		-v not_there="no such function, or no such line that is not executed" '
	BEGIN {
		FS = "\t"
		while ((getline line <list) > 0) {
			if (line !~ /^[a-z]/) continue
			split(line, word, /[ :]/)
			if (word[1] ~ /\// && index(word[1], engine "/") != 1) continue
			colon = index(line, ": ")
			key = substr(line, 1, colon - 1)
			if (match(line, / "[^"].*": /)) { # FILE FUNCTION "TEXT": REASON
				key = substr(line, 1, RSTART + RLENGTH - 3)
				colon = RSTART + RLENGTH - 2
			}
			reason[key] = substr(line, colon + 2)
			entry[++entries] = key
		}
	}
	FILENAME ~ /reached$/ { split($0, word, " "); in_reach[$0]; next }
	{
		key = $1 ":" $3
		if (!(key in text)) { order[++lines] = key; text[key] = $5; home[key] = $1; function_of[key] = $2; number[key] = $3 }
		# Equal lines of headers come once for each file that includes them.
		if ($4 != "-") { code[key] = 1; count[key] += $4; names[$1 " " $2] += $4 }
	}
	function is_textbook(place) { return place in reason && reason[place] ~ /^textbook/ }
	# A function that does nothing but fail: its body is a return engine_fail(…) alone.
	# And which functions have an error to tell: their NULL is a failure.
	function note_failing(   i, key, place) {
		for (i = 1; i <= lines; i++) {
			key = order[i]; place = home[key] " " function_of[key]
			if (code[key] && !(place in begun)) { begun[place]; in_head = 1 }
			if (in_head && text[key] ~ /struct engine_error \*/) tells[place]
			if (text[key] ~ /^{/) in_head = 0
			if (code[key] && text[key] != "}" && ++body[place] == 2 && fails(text[key], place)) only[place]
			else if (code[key] && text[key] != "}" && body[place] > 2) delete only[place]
		}
		for (place in only) { sub(/^.* /, "", place); failing[place] }
	}
	function fails(s, place) {
		if (match(s, /^return [a-z_]+\(/) && substr(s, 8, RLENGTH - 8) in failing) return 1
		if (s ~ /^return NULL;/) return place in tells
		return s ~ /engine_fail\(/ || s ~ /^return -1;/ || s ~ /^rc = -1;/ || s ~ /^goto [a-z]+;/
	}
	function is_plain(s) {
		return s ~ /[;:]$/ && s !~ /^(if|for|while|do|switch|else|case)([^a-z]|$)/ && s !~ /FAULT_POINT/
	}
	# The last of the lines that the statement which begins at pending[i] goes on to.
	function statement_end(i, to,   k) {
		for (k = number[pending[i]]; text[home[pending[i]] ":" k] !~ /;( *\/\*.*)?$/; k++)
			if (!((home[pending[i]] ":" (k + 1)) in text)) break
		while (i < to && number[pending[i + 1]] <= k) i++
		return i
	}
	# The last line of the branch to a failure that begins at pending[i]; 0 if none begins there.
	function branch_end(i, to) {
		for (; i <= to; i++) {
			if (fails(text[pending[i]], home[pending[i]] " " function_of[pending[i]]))
				return statement_end(i, to)
			if (!is_plain(text[pending[i]])) return 0
		}
		return 0
	}
	# pending[1] to pending[to] are of one function, none of them executed, nothing executed between them.
	function judge_run(to,   i, end) {
		for (i = 1; i <= to; i++) {
			end = branch_end(i, to)
			for (; i < end; i++) tell(pending[i], "error")
			tell(pending[i], end ? "error" : "GAP")
		}
	}
	function tell(key, what,   place, why, before) {
		place = home[key] " " function_of[key]
		before = home[key] ":" (number[key] - 1)
		if (function_of[key] in failing && place in only) what = "error"
		if (what == "GAP" && before in text && text[before] ~ /[^!]MUTANT\(/) what = "planted"
		why = place " \"" text[key] "\""
		if (!(why in reason) && before in text) why = place " \"" text[before] "\""
		if (place in reason) why = place
		if (why in reason) { used[why]; what = reason[why] }
		if (what == "GAP") gaps++
		else if (what == "error") errors++
		else if (what == "planted") planted++
		else reasons++
		print "  " home[key] ":" number[key] " " function_of[key] "  " what ": " text[key] >detail
	}
	END {
		printf "" >detail
		note_failing()
		for (i = 1; i <= lines; i++) {
			key = order[i]; place = home[key] " " function_of[key]
			if (place in reason && names[place]) stale(place, "is executed")
			if (is_textbook(place)) { used[place]; continue }
			if (!code[key] || !(place in in_reach || names[place] > 0)) continue
			all++
			if (count[key]) done++
			# A run of unexecuted lines ends at an executed one and with the function.
			if (n && (count[key] || place != run_place)) { judge_run(n); n = 0 }
			if (!count[key]) { pending[++n] = key; run_place = place }
			if (!(place in known)) { known[place]; functions++ }
			if (!(home[key] in files)) { files[home[key]]; n_files++ }
		}
		if (n) judge_run(n)
		for (i = 1; i <= entries; i++)
			if (entry[i] in used) print entry[i] >>used_file
			else if (entry[i] ~ /^[^ ]*\//) stale(entry[i], not_there)
		if (!all) { print engine ": nothing is known of its recovery"; exit 1 }
		printf "%s: %d of %d lines of recovery executed (%.1f %%), %d functions in %d files; " \
			"the others: %d error, %d planted, %d with a reason, %d gaps: %.1f %% of what " \
			"can be\n", engine, done, all, 100 * done / all, functions, n_files, errors, \
			planted, reasons, gaps, 100 * done / (done + gaps)
		exit gaps || n_stale
	}
	function stale(what, why) { if (stale_entries[what]++) return; n_stale++; print "  in the list: " what ": " why >detail }
	' "$work/reached" "$work/executed"
}

test_engine() {
	rm -f "$objects"/*.gcda
	run_targets "$1" || exit 1
	executed "$1" >"$work/executed" || exit 1
	reached "$1" >"$work/reached" || exit 1
	report "$1" || wrong=$((wrong + 1))
	cat "$work/detail"
}

# Entries for the shared files that were true of no engine.
stale_entries() {
	sed -n 's/^\([a-z0-9_]*\.[ch] [^":]*\( "[^"]*"\)\{0,1\}\): .*/\1/p' "$list" | grep -vxF -f "$work/used"
}

engines=$*
[ -n "$engines" ] || engines=$(cd "$tree/engines" && for file in */*.c; do
	[ "${file%/*}" != "$(basename "$file" .c)" ] || echo "${file%/*}"
done)
for engine in $engines; do
	[ -d "$tree/engines/$engine" ] || die "there is no engine $engine"
done
[ -f "$list" ] || die "there is no $list"
: >"$work/used"
make_copy
for engine in $engines; do
	test_engine "$engine"
done
if [ $# = 0 ] && stale=$(stale_entries); then
	printf '%s\n' "$stale" | sed 's/$/: in the list, but of no engine/'
	wrong=$((wrong + 1))
fi
[ $wrong = 0 ]
