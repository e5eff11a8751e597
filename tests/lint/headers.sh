#!/bin/sh
# Every header compiles alone, in the warnings of the tree.  CC and FLAGS come from the Makefile.
set -u
cd "$(dirname "$0")/../.." || exit 1
flags=$(printf '%s\n' $FLAGS | grep -v '^-M' | tr '\n' ' ')
# A header by itself uses none of its static inline functions.
export CC flags
find gitproto shard-map router replica tests/lib -name '*.h' 2>/dev/null | sort |
	xargs -P 2 -n 8 sh -c 'rc=0
		for h; do $CC $flags -fsyntax-only -x c -include "$h" /dev/null || { echo "header: $h does not compile alone"; rc=1; }; done
		exit $rc' sh
