#!/bin/sh
# One static analyser over all of our C.  What it gets wrong stands in tests/lint/cppcheck-allowed,
# every line below a comment that says why.
set -u
cd "$(dirname "$0")/../.." || exit 1
allowed=tests/lint/cppcheck-allowed
awk '/^[^#]/ && before !~ /^#/ { print "'$allowed':" FNR ": no reason stands above it"; bad = 1 }
	{ before = $0 } END { exit bad }' $allowed || exit 1
mkdir -p build/cppcheck
# cppcheck looks into no system header; the lists of sys/queue.h and uthash's loop it has to know.
queue=$(echo '#include <sys/queue.h>' | ${CC:-gcc} -E -x c - |
	sed -n 's/^# 1 "\(.*sys\/queue.h\)".*/\1/p')
exec cppcheck --quiet -j 2 --std=c11 --enable=warning,performance,portability \
	--include="$queue" --include=tests/lint/cppcheck-macros.h \
	--error-exitcode=1 --cppcheck-build-dir=build/cppcheck --suppressions-list=$allowed \
	--template='{file}:{line}: {severity} ({id}): {message}' -I. -D_GNU_SOURCE -D__linux__ \
	'-DGITSHARD_BUILD="lint"' \
	gitproto shard-map router replica
