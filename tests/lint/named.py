"""Every test that a document names exists: `test_50_kill::test_router_killed` (tests/e2e), unit tests as
`commitlog/test_fate.c::test_x` or `replica/shard/test_shard.c`; without a file it is in the one named last,
without a folder in the last one's."""
import pathlib
import re
import sys

E2E = pathlib.Path("tests/e2e")
ROOMS = {"commitlog": pathlib.Path("tests/unit/shard-map/commitlog")}
NAME = re.compile(r"(?:(?P<file>[\w/-]*\btest_\w+\.c|test_\d\d_\w+)(?:::)?)?(?P<fn>(?(file)\w+|test_\w+))?(?:\[.*\])?")


def unit_path(name, last):
    room, slash, rest = name.partition("/")
    if not slash:
        return last.parent / name
    return ROOMS.get(room, pathlib.Path("tests/unit") / room) / rest


def check(doc):
    bad, last = 0, None
    for number, line in enumerate(pathlib.Path(doc).read_text().splitlines(), 1):
        for token in re.findall(r"`([^`]+)`", line):
            m = NAME.fullmatch(token)
            if m is None or not (m["file"] or m["fn"]):
                continue
            if m["file"] and m["file"].endswith(".c"):
                last = unit_path(m["file"], last)
            elif m["file"]:
                last = E2E / (m["file"] + ".py")
            if last is None or not last.is_file():
                why = f"no file {last}"
            elif m["fn"] and not re.search(rf"^(?:def )?{m['fn']}\(", last.read_text(), re.M):
                why = f"no such test in {last}"
            else:
                continue
            print(f"named: {doc}:{number}: {token}: {why}")
            bad += 1
    return bad


sys.exit(1 if sum(check(doc) for doc in sys.argv[1:]) else 0)
