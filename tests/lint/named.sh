#!/bin/sh
# Every test that docs/failures.md names exists.
cd "$(dirname "$0")/../.." || exit 1
exec /usr/bin/python3 -B tests/lint/named.py docs/failures.md
