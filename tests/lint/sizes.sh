#!/bin/sh
# Files of at most 600 lines and functions of at most 60, so that each still holds one idea.
# Exceptions, each with its reason, stand in tests/lint/sizes-allowed:
#	path            reason
#	path:function   reason
set -u
cd "$(dirname "$0")/../.." || exit 1
allowed=tests/lint/sizes-allowed
# shellcheck disable=SC2046
awk -v allowed=$allowed '
	BEGIN {
		while ((getline line < allowed) > 0) {
			if (line ~ /^#/ || line == "")
				continue
			n = split(line, f, /[ \t]+/)
			if (n < 4) {
				print allowed ": no reason for " f[1]; bad = 1
			}
			may[f[1]] = 1
		}
	}
	function file_done() {
		if (last != "" && lines > 600 && !(last in may)) {
			print "size: " last " has " lines " lines (at most 600)"; bad = 1
		}
		if (lines > 600 && last in may)
			used[last] = 1
	}
	FNR == 1 { file_done(); last = FILENAME; inside = 0 }
	{ lines = FNR }
	/^[A-Za-z_][A-Za-z0-9_ *]*\(/ && !inside { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
	/^{/ { inside = 1; start = FNR }
	/^}/ {
		if (inside && FNR - start - 1 >= 60) {
			key = FILENAME ":" name
			if (key in may)
				used[key] = 1
			else {
				print "size: " FILENAME ":" start ": " name " has " FNR - start - 1 " lines (fewer than 60)"
				bad = 1
			}
		}
		inside = 0
	}
	END {
		file_done()
		for (k in may)
			if (!(k in used)) {
				print allowed ": " k " needs no exception any more"; bad = 1
			}
		exit bad
	}' $(find gitproto shard-map router replica tests -name '*.[ch]' | sort)
