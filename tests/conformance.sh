#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Is docs/conformance.tsv sound? Every clause looks like one, every test it names exists, and no row
# is there twice.
#
#     conformance.sh SOURCE_DIRECTORY
set -eu

table=$1/docs/conformance.tsv
tests=$1/tests
tab=$(printf '\t')
bad=0

complain()
{
	echo "docs/conformance.tsv: $*" >&2
	bad=1
}

# KIND/FILE:FUNCTION is a function in tests/KIND/FILE.c, KIND/FILE alone a script or program there.
check_test()
{
	file=${1%%:*}
	function=${1#*:}
	if [ "$function" = "$1" ]; then
		ls "$tests/$file" "$tests/$file".* >/dev/null 2>&1 || complain "no test $1"
	elif [ ! -f "$tests/$file.c" ]; then
		complain "no file tests/$file.c"
	elif ! grep -Eq "^[a-z_][a-zA-Z0-9_ *]*[ *]$function\\(" "$tests/$file.c"; then
		complain "no function $function in tests/$file.c"
	fi
}

[ "$(head -n 1 "$table")" = "clause${tab}test${tab}note" ] || complain "wrong header"
[ -z "$(sort "$table" | uniq -d)" ] || complain "a row is there twice: $(sort "$table" | uniq -d)"

line=1
while IFS= read -r row; do
	line=$((line + 1))
	clause=${row%%"$tab"*}
	rest=${row#*"$tab"}
	test=${rest%%"$tab"*}
	echo "$row" | grep -Eq "^[^$tab]+$tab[^$tab]+$tab[^$tab]*\$" ||
		complain "line $line has not got three columns"
	echo "$clause" | grep -Eq '^[A-Z]+-(DRV|DEV|BOTH|LEG)-[0-9][0-9]$' ||
		complain "line $line: $clause is no clause"
	check_test "$test"
done <<ROWS
$(tail -n +2 "$table")
ROWS
exit $bad
