"""What lies in objects/pack of a repository on a node, and who repacks."""
import datetime
import re

from harness.wait import wait_for

LINE = re.compile(r"^(\S+)Z info - repack repo=(\S+) packs=(\d+) left=(\d+) merged=(\d+) indexed=(\d)"
                  r" ms=(\d+)", re.M)


def folder(cluster, name, repo):
    return cluster.repo_dir(name, repo) / "objects" / "pack"


def count(cluster, name, repo):
    return sum(p.suffix == ".pack" for p in folder(cluster, name, repo).iterdir())


def kept(cluster, name):
    """SHA-256 of the packs that were rolled up and of which the index was kept."""
    return {p.stem for p in (cluster.root(name) / ".gitshard" / "rolled").glob("*/*.idx")}


def moves(cluster, name):
    """Of the repacks of a node: changes when one begins or ends."""
    state = cluster.json(name, "/status")["repack"]
    return state["on"], state.get("done"), state.get("failed"), state.get("waiting"), "now" in state


def at_rest(cluster, names, seconds=20):
    """No repack runs or waits on these nodes."""
    def rest(n):
        state = cluster.json(n, "/status")["repack"]
        return not state["on"] or ("now" not in state and state["waiting"] == 0)
    wait_for(lambda: all(rest(n) for n in names), seconds,
             lambda: f"repacks at rest: {[cluster.json(n, '/status')['repack'] for n in names]}")


def done(cluster, name, repo=None):
    """The repacks that a node's log tells of: (path, packs before, after, merged, milliseconds)."""
    text = (cluster.dir / "log" / f"{name}.log").read_text(errors="replace")
    return [(m[2], int(m[3]), int(m[4]), int(m[5]), int(m[7])) for m in LINE.finditer(text)
            if repo is None or m[2] == repo]


def times(cluster, name):
    """The same as (begin, end), in seconds."""
    text = (cluster.dir / "log" / f"{name}.log").read_text(errors="replace")
    spans = []
    for m in LINE.finditer(text):
        end = datetime.datetime.fromisoformat(m[1] + "+00:00").timestamp()
        spans.append((end - int(m[7]) / 1000, end))
    return spans
