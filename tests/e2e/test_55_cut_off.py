"""A primary that the other nodes do not reach, and one that stands still in the middle of a push."""
import os
import threading
import time

import pytest

from harness import direct
from harness.netcut import Cut
from harness.wait import wait_for
from test_50_kill import Pushing, pushing_on

SHARDS = 4
PAUSE = float(os.environ.get("GITSHARD_PAUSE_SECONDS", "3"))  # s; longer than a lease


def read_at(c, u, node):
    status, refs, _ = direct.refs_of(c, node, u.repo)
    return status, refs.get("refs/heads/main")


def reigns(c):
    """Who leads in which epoch, as each node has it."""
    return {n: sorted((s["shard"], s["epoch"], s["primary"]) for s in c.json(n, "/status")["shards"])
            for n in c.nodes}


def agreed_reigns(c):
    """The same, when all nodes have read of the last start."""
    def same():
        seen = reigns(c)
        return seen if all(s == seen["node1"] for s in seen.values()) else None
    return wait_for(same, 20, lambda: f"one view: {reigns(c)}")


def test_network_cut_between_primary_and_followers(make_cluster, tmp_path, new_name):
    """The log goes round it: small packs travel on, and reads are fresh everywhere.  A large one has no
    majority and is refused in words; one whose primary still reaches another voter has one."""
    c = make_cluster("cut", shards=SHARDS, build="release", sets=["node.push_deadline=10s"])
    cut = Cut(c, tmp_path / "cut")
    small = pushing_on(c, "node1", new_name, tmp_path / "small")
    large = pushing_on(c, "node1", new_name, tmp_path / "large", large=True)
    beside = pushing_on(c, "node2", new_name, tmp_path / "beside", large=True)
    before = agreed_reigns(c)
    cut.between("node1", ["node2", "node3"])
    try:
        for _ in range(5):
            small.push()
            for n in c.nodes:
                assert read_at(c, small, n) == (200, small.acked[-1]), n
        tip = large.acked[-1]
        r = large.push(check=False)
        assert not r.ok and "quorum not reached" in r.err and "push again" in r.err, r
        large.git.run("reset", "-q", "--hard", tip, cwd=large.work)
        large.unknown.clear()
        assert read_at(c, large, "node2") == (200, tip)
        beside.push()
        small.push()
        assert reigns(c) == before
    finally:
        cut.heal()
    wait_for(lambda: large.push(check=False).ok, 20, "a large pack finds its majority again", step=0.5)
    beside.push()
    for u in (small, large, beside):
        u.history_is_whole()
        c.nothing_left(u.repo)
    assert reigns(c) == before


@pytest.mark.parametrize("point", ["push.before_append", "push.after_append"])
def test_primary_paused_in_the_middle_of_a_push(make_cluster, tmp_path, new_name, point):
    """Nobody takes over in this version: it goes on where it stood.  What it writes late is judged by
    the log, what the client heard is true, and reads meanwhile are fresh, or refused where it stands
    still with the lock of a log in a file."""
    # Before it has the lock, reads are answered, and get their time.
    c = make_cluster("paused", shards=SHARDS, build="debug", sets=[
        "router.retry_deadline=4s", "node.read_deadline=3s"] if point == "push.after_append" else [])
    u = Pushing(c, new_name("paused"), tmp_path)
    p, before = c.primary(u.repo), u.acked[-1]
    result = []
    t = threading.Thread(target=lambda: result.append(u.push(check=False)))
    c.fault(p, point, "stop")
    t.start()
    try:
        wait_for(lambda: c.state_of(p) == "T", 20, f"{p} stands still")
        end = time.monotonic() + PAUSE
        committed = []
        while time.monotonic() < end:
            r = u.git.run("ls-remote", c.url(u.repo), "refs/heads/main", check=False)
            if not r.ok:
                assert point == "push.after_append" and "error: 503" in r.err, r
                continue
            sha = r.out.split()[0]
            assert sha == before or point == "push.after_append", sha
            assert not committed or sha == committed[-1], "a read went back"
            if sha != before:
                committed.append(sha)
    finally:
        c.do("resume", p)
    t.join(150)
    assert result, "the push ends"
    assert result[0].ok or "push again" in result[0].err, result[0]
    assert not committed or committed[-1] in u.acked + u.unknown
    wait_for(lambda: u.push(check=False).ok, 30, "a push works", step=0.2)
    u.history_is_whole()
    assert c.shard_state(p, c.shard(u.repo))["role"] == "primary"
    c.nothing_left(u.repo)
