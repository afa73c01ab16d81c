#!/bin/sh
# Takes each sync out of the hardened engines, one at a time: the campaign must find each of them gone.
#
#   sync_deletion.sh [ENGINE…]                 without a name: all engines
#
# A sound engine is silent, and that could also be because the campaign is blind.  So in a copy of the
# tree each call whose purpose is to sync (sync_sites.awk finds them, in the sources) becomes a 0 with its
# arguments evaluated, and the campaign over the engine's hardened targets must then end with a finding.
# A call that may be missing is in sync_deletion.list, with the reason; then nothing may be found, so
# that the list cannot go stale.
#
# A line a call:
#
#   PLACE FUNCTION CALL  found: RULES; from PROFILES; N states of TARGET
#   PLACE FUNCTION CALL  redundant: REASON
#   PLACE FUNCTION CALL  MISSED, UNDECIDED or NOT REDUNDANT, and why
#
# What is found is told of by the finding that the most states show, of the first target and seed with
# any; PROFILES are the strongest of those tried, not of all.
#
# It ends with 1 if there is any of the last kind.  From the environment: SYNC_DELETION_RUN, further
# options of `powercut run`, and TMPDIR.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
tree=${here%/*}
work=$(mktemp -d "${TMPDIR:-/tmp}/sync-deletion-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
list=$here/sync_deletion.list
seeds='1 2'
few_states=1000 # a target and profile
# What any profile shows, one of these does: the weakest of the file systems, and the weakest of all.
profiles=ext4-noda,btrfs,posix
# Targets beside those of the built-in campaign, and what is only found with them.
extra=
sites=0
found=0
redundant=0
wrong=0

die() {
	echo "sync_deletion: $*" >&2
	exit 1
}

# ---- the copy ----

# Without asserts, some of which would notice first: what is tested is what the disk shows.
make_copy() {
	mkdir "$work/tree" "$work/sound" || exit 1
	(cd "$tree" && cp -r meson.build docs engines faults harness reports tests "$work/tree") || exit 1
	cp -r "$work/tree/engines" "$work/sound" || exit 1
	cat >"$work/deleted.h" <<-'END'
		static inline int sync_deleted_(int zero, ...)
		{
			return zero;
		}
		#define sync_deleted(...) sync_deleted_(0, __VA_ARGS__)
	END
	meson setup "$work/build" "$work/tree" -Dwerror=false -Db_ndebug=true \
		-Dc_args="-include $work/deleted.h" >"$work/log" 2>&1 ||
		{ cat "$work/log" && die "the copy cannot be set up"; }
	build
}

build() {
	ninja -C "$work/build" powercut >"$work/log" 2>&1 || { cat "$work/log" && die "it does not build"; }
}

# take_out FILE LINE COLUMN CALL: the name of the call is replaced, and nothing else.
take_out() {
	awk -v line="$2" -v column="$3" -v call="$4" 'NR == line {
			$0 = substr($0, 1, column - 1) "sync_deleted" substr($0, column + length(call))
		} 1' "$work/sound/$1" >"$work/tree/$1" || die "$1 cannot be changed"
	build
}

put_back() {
	cp "$work/sound/$1" "$work/tree/$1" || die "$1 cannot be put back"
}

# ---- campaigns ----

# The hardened targets of an engine in the built-in campaign, then those of `extra`; without any, its
# hardened variant.  One a line: what to test, then options of `powercut run`.
targets_of() {
	{
		awk -v engine="$1" '
			/^const struct campaign_target campaign_builtin/ { builtin = 1 }
			/^};/ { builtin = 0 }
			builtin { text = text " " $0 }
			END {
				for (n = split(text, rows, /\{\.spec = /); ++i < n;) {
					spec = quoted(rows[i + 1])
					if (index(spec, engine ":") == 1 && spec ~ /variant=hardened/)
						print spec options(rows[i + 1])
				}
			}
			# What is between the first quotes.
			function quoted(row) {
				return match(row, /"[^"]*"/) ? substr(row, RSTART + 1, RLENGTH - 2) : ""
			}
			function options(row,   out, n, i, words, pair) {
				if (match(row, /\.workload = /))
					n = split(quoted(substr(row, RSTART)), words, " ")
				for (i = 1; i <= n; i++) {
					split(words[i], pair, /=/)
					out = out " --" pair[1] " " substr(words[i], length(pair[1]) + 2)
				}
				if (match(row, /\.states_max = [0-9]+/))
					out = out " --max-states " substr(row, RSTART + 14, RLENGTH - 14)
				return out
			}
		' "$tree/harness/campaign_builtin.c"
		printf '%s\n' "$extra" | grep "^$1:"
	} >"$work/targets"
	[ -s "$work/targets" ] || echo "$1:variant=hardened" >"$work/targets"
}

# campaign TARGET SEED: into $work/report; its exit code.
campaign() {
	rm -f "$work/db"
	# shellcheck disable=SC2086 # options
	"$work/build/powercut" run --quiet --no-stacks --no-outcomes --engine $1 --seed "$2" \
		--model $profiles --db "$work/db" ${SYNC_DELETION_RUN:-} </dev/null >"$work/report" 2>&1
}

# Of the report's findings the one that the most states show.
main_finding() {
	awk -v target="$1" '
		$1 == "Finding" { $1 = $2 = ""; sub(/^ */, ""); rules = $0 }
		/^  shows from / { sub(/^  shows from */, ""); from = $0 }
		/^  seen in / {
			n = $3
			gsub(/,/, "", n)
			if (n + 0 > most) {
				most = n + 0
				text = rules "; from " from "; " $3 " states of " target
			}
		}
		END { print text }
	' "$work/report"
}

# try_all OPTIONS: "found …", "silent", or "undecided …" after all targets and seeds.
try_all() {
	undecided=
	for seed in $seeds; do
		while read -r target; do
			code=0
			campaign "$target $1" "$seed" || code=$?
			case $code in
			0 | 3) ;; # nothing is broken; that some point was not passed with this seed is no matter here
			1) echo "found: $(main_finding "$target --seed $seed")" && return ;;
			*) undecided="$target ended with $code: $(head -n 1 "$work/report")" ;;
			esac
		done <"$work/targets"
	done
	echo "${undecided:-silent}"
}

# search: as try_all.  What fails is dear to explain, and most sites need few states to be found.
search() {
	result=$(try_all "--max-states $few_states")
	case $result in
	found*) echo "$result" ;;
	*) try_all '' ;;
	esac
}

# ---- engines ----

reason_of() {
	awk -v site="$1 $2 $3 $4: " 'index($0, site) == 1 { print substr($0, length(site) + 1) }' "$list"
}

# judge SITE… RESULT: the line's end, and the counts.
judge() {
	sites=$((sites + 1))
	reason=$(reason_of "$1" "$2" "$3" "$4")
	case $5,$reason in
	found*,) verdict=$5 && found=$((found + 1)) ;;
	silent,?*) verdict="redundant: $reason" && redundant=$((redundant + 1)) ;;
	found*) verdict="NOT REDUNDANT, though in the list: $5" && wrong=$((wrong + 1)) ;;
	silent*) verdict="MISSED: no campaign finds it" && wrong=$((wrong + 1)) ;;
	*) verdict="UNDECIDED: $5" && wrong=$((wrong + 1)) ;;
	esac
}

test_engine() {
	engine=$1
	(cd "$tree" && awk -f "$here/sync_sites.awk" engines/*.[ch] engines/"$engine"/*.[ch]) \
		>"$work/sites" || die "the calls of $engine that sync cannot be told"
	[ -s "$work/sites" ] || die "no call of $engine syncs"
	cut -d ' ' -f 1,4,5,6 "$work/sites" | sed 's|^engines/||' >>"$work/known"
	targets_of "$engine"
	echo "$engine: profiles $profiles, seeds $seeds, targets:"
	sed 's/^/  /' "$work/targets"
	sound=$(try_all '')
	if [ "$sound" != silent ]; then
		echo "$engine: not sound to begin with: $sound"
		wrong=$((wrong + 1))
		return
	fi
	while read -r file line column function call n <&3; do
		take_out "$file" "$line" "$column" "$call"
		judge "${file#engines/}" "$function" "$call" "$n" "$(search)"
		printf '%-24s %-18s %-15s %s\n' "${file#engines/}:$line" "$function" "$call" "$verdict"
		put_back "$file"
	done 3<"$work/sites"
}

# Entries of the list, for the engines tested, that name no call.
stale_entries() {
	sed -n '/^[^#]/s/: .*//p' "$list" | while read -r entry; do
		case " $* " in
		*" ${entry%%/*} "*) grep -qxF -e "$entry" "$work/known" || echo "$entry" ;;
		esac
	done
}

engines=$*
[ -n "$engines" ] || engines=$(cd "$tree/engines" && for file in */*.c; do
	[ "${file%/*}" != "$(basename "$file" .c)" ] || echo "${file%/*}"
done)
for engine in $engines; do
	[ -d "$tree/engines/$engine" ] || die "there is no engine $engine"
done
: >"$work/known"
make_copy
for engine in $engines; do
	test_engine "$engine"
done
# shellcheck disable=SC2086 # names
stale=$(stale_entries $engines)
[ -z "$stale" ] || {
	printf '%s\n' "$stale" | sed 's/$/: in the list, but there is no such call/'
	wrong=$((wrong + 1))
}
echo "$sites calls: $found found, $redundant redundant, $((sites - found - redundant)) neither"
[ $wrong = 0 ] && [ $sites != 0 ]
