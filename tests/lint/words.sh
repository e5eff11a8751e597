#!/bin/sh
# No words of postponement, no paths of one machine, no stray white space in what is ours.
set -u
cd "$(dirname "$0")/../.." || exit 1
bad=0
files() {
	find gitproto shard-map router replica tests docs Makefile README.md CHANGELOG.md .ci -type f \
		! -path 'tests/lint/*' ! -path 'tests/corpus/*' ! -name '*.pyc' ! -path '*/.hypothesis/*' \
		! -path '*/.pytest_cache/*' 2>/dev/null
}
find_bad() {
	what=$1
	shift
	# shellcheck disable=SC2046
	if grep -nIE "$@" $(files); then
		echo "words: $what"
		bad=1
	fi
}
find_bad 'finish it, or take it out' '\b(TODO|FIXME|XXX|HACK|not implemented|not yet implemented)\b'
find_bad 'paths of one machine mean nothing elsewhere' '(/work/|/farm/|/root/|/home/[a-z]|/tmp/bash_jobs|/tmp/gs/)'
find_bad 'white space at the end of a line' '[ 	]+$'
# shellcheck disable=SC2046
for f in $(find gitproto shard-map router replica tests -name '*.[ch]'); do
	awk -v f="$f" '{ gsub(/\t/, "        ") } length($0) > 110 { print "words: " f ":" FNR ": a line of " length($0) " columns"; bad = 1 } END { exit bad }' "$f" || bad=1
done
exit $bad
