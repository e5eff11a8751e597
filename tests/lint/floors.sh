#!/bin/sh
# Who may include whom (tests/lint/floors: "room: rooms it may include"), and which rooms may use
# which library (fences below).  A cycle in the list fails, so does a room that is not in it.
set -u
cd "$(dirname "$0")/../.." || exit 1
floors=tests/lint/floors
bad=0

awk -F: '{ n = split($2, a, " "); for (i = 1; i <= n; i++) print a[i], $1 }' $floors |
	tsort >/dev/null || bad=1

sources() {
	find gitproto shard-map router replica -name '*.[ch]'
}

# shellcheck disable=SC2046
grep -n '^#include "' $(sources) | awk '
	FNR == NR { split($0, f, ":"); may[f[1]] = f[2] " " f[1] " "; next }
	{
		split($0, l, ":"); from = l[1]; split($0, q, "\""); to = q[2]
		sub("/[^/]*$", "", from); sub("/[^/]*$", "", to)
		if (index(" " may[from], " " to " ") == 0) { print "floor: " $0; bad = 1 }
	}
	END { exit bad }' $floors - || bad=1

# fence HEADER-REGEX ROOM...: only files of these rooms include such headers.
fence() {
	what=$1
	shift
	allowed=$(printf '%s|' "$@")
	# shellcheck disable=SC2046
	# main.c of each program names the libraries' versions for --version.
	if grep -nE "^#include <($what)" $(sources) |
		grep -vE '^(replica|router|shard-map/ctl)/main\.c:' |
		grep -vE "^(${allowed%|})/[^/]*:"; then
		echo "fence: the lines above use <$what> outside of: $*"
		bad=1
	fi
}
fence 'event2/|nghttp2/|llhttp|openssl/[^e]|openssl/e[^v]' gitproto/net
fence 'openssl/evp' gitproto gitproto/base gitproto/net shard-map shard-map/commitlog shard-map/ctl \
	replica/repo replica/shard replica/apply replica/serve
fence 'git2' replica/repo replica/apply
fence 'sqlite3\.h' shard-map/commitlog replica/shard
fence 'curl/' shard-map/ctl
fence 'librdkafka/' shard-map/commitlog
fence 'librdkafka/' shard-map/commitlog
fence 'confuse\.h' gitproto/base
fence 'jansson\.h' shard-map shard-map/ctl shard-map/commitlog gitproto/base replica/admin \
	router/admin replica/serve
fence 'xxhash\.h' gitproto/base shard-map
fence 'zlib\.h' gitproto/net gitproto gitproto/base replica/serve replica/apply
exit $bad
