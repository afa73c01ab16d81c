#!/bin/sh
# test_calls.sh POWERCUT COMPILER…: every system call that the headers of this machine know has a
# row in the recorder's table, under that name and number.
set -eu
powercut=$1
shift
case $(uname -m) in
x86_64) column=3 ;;
aarch64) column=4 ;;
*)
	echo "SKIPPED: test_calls: no column for $(uname -m)"
	exit 77
	;;
esac
known=$("$powercut" list calls | sed 's/no effect/no-effect/' |
	awk -v column=$column 'NR > 1 && $column >= 0 { print $1, $column }')
echo '#include <asm/unistd.h>' | "$@" -E -dM -x c - | awk -v known="$known" '
	# aarch64 has some by way of another name: __NR_fcntl is __NR3264_fcntl.
	/^#define __NR/ && NF == 3 { value[$2] = $3 }
	END {
		n = split(known, lines, "\n")
		for (i = 1; i <= n; i++)
			has[lines[i]] = 1
		for (name in value) {
			number = value[name] in value ? value[value[name]] : value[name]
			call = substr(name, 6)
			if (name !~ /^__NR_/ || number !~ /^[0-9]+$/ || call == "syscalls")
				continue
			total++
			if (!((call " " number) in has)) {
				print "no row for " call ", number " number
				missing++
			}
		}
		print total " system calls in the headers, " missing + 0 " without a row"
		exit missing > 0 || total < 300
	}'
