#!/bin/sh
# tests/lint/format.sh [-i]: is all C formatted by .clang-format (Debian 12's clang-format 14)?
# -i: rewrite what is not.
set -u
cd "$(dirname "$0")/../.." || exit 1
how='--dry-run --Werror'
[ "${1:-}" = -i ] && how=-i
# shellcheck disable=SC2086
find gitproto shard-map router replica tests -name '*.[ch]' | sort |
	xargs -r -P 2 -n 16 clang-format-14 --style=file $how
