#!/bin/sh
# The test programs in Python at least compile, know the names they use, and import nothing beyond
# Debian's packages.
set -u
cd "$(dirname "$0")/../.." || exit 1
/usr/bin/python3 - $(find tests -name '*.py' -o -name cluster -type f | sort) <<'PY'
import ast, sys
import pyflakes.checker, pyflakes.messages
known = set(sys.stdlib_module_names) | {"pytest", "hypothesis", "harness", "conftest"}
known |= {path.rsplit("/", 1)[1].removesuffix(".py") for path in sys.argv[1:]}
bad = 0
for path in sys.argv[1:]:
    try:
        tree = ast.parse(open(path).read(), path)
    except SyntaxError as e:
        print(f"python: {path}:{e.lineno}: {e.msg}")
        bad = 1
        continue
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        for name in names:
            if name.split(".")[0] not in known:
                print(f"python: {path}:{node.lineno}: imports {name}")
                bad = 1
    for m in pyflakes.checker.Checker(tree, path).messages:
        # A part of a tuple that nobody needs has a name all the same.
        if not isinstance(m, pyflakes.messages.UnusedVariable):
            print(f"python: {m}")
            bad = 1
sys.exit(bad)
PY
