"""Disks that are lost, or come back as they were long ago, and a log that is not the one that was read.
Nothing is repaired in this version: it is noticed, said, and nothing that is old is served."""
import contextlib
import fcntl
import pathlib
import shutil
import sqlite3
import subprocess
import time

import pytest

from harness import cluster as harness
from harness import direct, rawhttp
from harness.wait import wait_for
from test_50_kill import pushing_on

SHARDS = 4


@pytest.fixture
def c(make_cluster):
    """These hurt their cluster for good.  Repacking waits for a primary, in vain here."""
    return make_cluster("lost", shards=SHARDS, sets=["router.retry_deadline=6s", "node.repack_packs=0"])


def log_text(c, name):
    return (c.dir / "log" / f"{name}.log").read_text(errors="replace")


def last_words(c, name):
    return "\n".join(log_text(c, name).strip().splitlines()[-5:])


def read_at(c, u, node):
    status, refs, _ = direct.refs_of(c, node, u.repo)
    return status, refs.get("refs/heads/main")


@contextlib.contextmanager
def all_down(c):
    """Routers too: who has seen another log has to be started again."""
    for n in c.nodes + c.routers:
        c.do("stop", n)
    yield
    for n in c.nodes + c.routers:
        c.raw("start", str(c.dir), n, "--no-wait")


def test_follower_wiped(c, tmp_path, new_name):
    """It reads the log from its beginning and takes staged packs from the others; pushes go on; its
    copy does not count, and status says so."""
    u = pushing_on(c, "node1", new_name, tmp_path / "u")
    large = pushing_on(c, "node2", new_name, tmp_path / "large", large=True)
    u.push()
    large.push()
    c.do("stop", "node3")
    c.do("wipe", "node3")
    u.push()
    c.do("start", "node3")
    u.push()
    shard = c.shard(u.repo)
    wait_for(lambda: read_at(c, u, "node3") == (200, u.acked[-1]), 30, "node3 serves what is there")
    for x in (u, large):
        x.history_is_whole()
    assert c.shard_state("node3", shard)["voter"] is False
    assert c.shard_state("node3", shard)["role"] == "learner"
    words = c.ctl("status").stdout
    assert "is degraded" in words or "without a primary" in words, words
    assert f"shard {shard}: the copy on node3 does not count for pushes" in words, words


def test_primary_wiped(c, tmp_path, new_name):
    """Its shards are not its any more: what was acknowledged is read from all nodes, pushes are refused
    in words.  The shards of the others go on."""
    u = pushing_on(c, "node1", new_name, tmp_path / "u")
    other = pushing_on(c, "node2", new_name, tmp_path / "other")
    u.push()
    c.do("stop", "node1")
    c.do("wipe", "node1")
    c.do("start", "node1")
    for n in c.nodes:
        wait_for(lambda n=n: read_at(c, u, n) == (200, u.acked[-1]), 30, f"{n} serves what is there")
    r = u.push(check=False)
    assert not r.ok and "nothing was changed" in r.err, r
    assert r.err.count("remote:") or "gitshard:" in r.err, r
    u.unknown.clear()
    other.push()
    shard = c.shard(u.repo)
    assert not [n for n in c.nodes if c.shard_state(n, shard)["role"] == "primary"]
    words = c.ctl("status").stdout
    assert f"shard {shard}: its primary node1 came back with another disk" in words, words
    u.history_is_whole()
    other.history_is_whole()


def test_old_copy_of_a_disk(c, tmp_path, new_name):
    """R13: the log knows a later start of this disk.  The process ends and says what to do; wiped, it is
    a new one."""
    u = pushing_on(c, "node1", new_name, tmp_path / "u")
    c.do("stop", "node3")
    old = tmp_path / "copy"
    subprocess.run(["cp", "-a", c.root("node3"), old], check=True)
    c.do("start", "node3")
    u.push()
    wait_for(lambda: read_at(c, u, "node3") == (200, u.acked[-1]), 20, "node3 has it")
    c.do("stop", "node3")
    shutil.rmtree(c.root("node3"))
    subprocess.run(["cp", "-a", old, c.root("node3")], check=True)
    for _ in range(2):  # by its next number it would look like itself
        c.raw("start", str(c.dir), "node3", check=False)
        wait_for(lambda: c.http("node3", "/healthz")[0] == 0, 20, "node3 ends")
        assert "it is an old copy; wipe the data and root directories" in last_words(c, "node3")
    u.push()
    c.do("wipe", "node3")
    c.do("start", "node3")
    wait_for(lambda: read_at(c, u, "node3") == (200, u.acked[-1]), 30, "node3 serves what is there")
    u.history_is_whole()


class OldLog:
    """The log's file as it was, and as it is."""

    def __init__(self, c, path):
        self.files = [c.dir / "log.db", c.dir / "log.db-wal", c.dir / "log.db-shm"]
        self.c, self.old, self.true = c, pathlib.Path(path) / "old", pathlib.Path(path) / "true"
        self.copy(self.old)

    def copy(self, to):
        to.mkdir(parents=True)
        for f in self.files:
            if f.exists():
                shutil.copy2(f, to)

    def put(self, folder):
        for f in self.files:
            f.unlink(missing_ok=True)
            if folder is not None and (folder / f.name).exists():
                shutil.copy2(folder / f.name, f)


FILE_ONLY = pytest.mark.skipif(harness.LOG != "file", reason="changes the log's file")


def check_stopped(c, u, other):
    """All say so, nothing old is served, nothing is taken."""
    shard = c.shard(u.repo)
    for n in c.nodes:
        wait_for(lambda n=n: c.shard_state(n, shard)["halted"], 20, f"{n} has stopped the shard")
        words = c.shard_state(n, shard)["halted"]
        assert "the log" in words and "bring the log back that was read, then start this node again" in words
        assert c.metric(n, "gitshard_shards_halted") >= 1
        assert read_at(c, u, n)[0] == 503
    r = u.push(check=False)
    assert not r.ok and "is stopped on this node" in r.err, r
    u.unknown.clear()
    u.git.run("reset", "-q", "--hard", "HEAD~1", cwd=u.work)


@FILE_ONLY
@pytest.mark.parametrize("what", ["cut", "recreated"])
def test_log_cut(c, tmp_path, new_name, what):
    """R12: found at the start of the nodes.  With the true log back, all goes on and nothing is lost."""
    u = pushing_on(c, "node1", new_name, tmp_path / "u")
    other = pushing_on(c, "node2", new_name, tmp_path / "other")
    with all_down(c):
        logs = OldLog(c, tmp_path)
    c.raw("up", str(c.dir))
    u.push()
    other.push()
    with all_down(c):
        logs.copy(logs.true)
        logs.put(logs.old if what == "cut" else None)
    wait_for(lambda: all(c.http(n, "/healthz")[0] == 200 for n in c.nodes + c.routers), 20, "all of them run")
    check_stopped(c, u, other)
    words = c.ctl("status", "--map", str(c.root("node1") / ".gitshard" / "map.json")).stdout
    assert "its primary has stopped it; halted on " in words and "bring the log back" in words, words
    with all_down(c):
        logs.put(logs.true)
    c.raw("up", str(c.dir))
    for x in (u, other):
        x.push()
        x.history_is_whole()


@FILE_ONLY
def test_log_cut_under_running_nodes(c, tmp_path, new_name):
    """R12: cut and written on, so that its length says nothing.  After a node stood still, what it read
    last is looked at again."""
    u = pushing_on(c, "node1", new_name, tmp_path / "u")
    u.push()
    c.wait_equal(u.repo)
    shard = c.shard(u.repo)
    with open(c.dir / "log.db-lock") as lock, contextlib.closing(sqlite3.connect(c.dir / "log.db")) as db:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with db:
            (end,) = db.execute("SELECT next FROM stream WHERE stream = ?", (shard,)).fetchone()
            db.execute("UPDATE record SET bytes = (SELECT bytes FROM record WHERE stream = ? AND off = ?)"
                       " WHERE stream = ? AND off = ?", (shard, end - 3, shard, end - 1))
    for n in c.nodes:
        c.do("pause", n)
        time.sleep(1.6)  # it is the standing still that is tested
        c.do("resume", n)
    for n in c.nodes:
        wait_for(lambda n=n: c.shard_state(n, shard)["halted"], 20, f"{n} has stopped the shard")
        assert "bring the log back that was read" in c.shard_state(n, shard)["halted"]
        assert not any(s["halted"] for s in c.json(n, "/status")["shards"] if s["shard"] != shard)
    assert not u.push(check=False).ok


@FILE_ONLY
def test_log_replaced_under_running_nodes(make_cluster, tmp_path, new_name):
    """Where the site says so, what was read is served on, and said to be that."""
    c = make_cluster("replaced", shards=SHARDS,
                     sets=["router.retry_deadline=6s", "node.reads_without_log=any"])
    u = pushing_on(c, "node1", new_name, tmp_path / "u")
    with all_down(c):
        logs = OldLog(c, tmp_path)
    c.raw("up", str(c.dir))
    u.push()
    with c.log_file_away():
        wait_for(lambda: not any(c.json(n, "/status")["log"]["ok"] for n in c.nodes), 10, "all miss the log")
        logs.put(logs.old)
        shard = c.shard(u.repo)
        for n in c.nodes:
            wait_for(lambda n=n: c.shard_state(n, shard)["halted"], 20, f"{n} has stopped the shard")
        a = rawhttp.get(f"{c.url(u.repo)}/info/refs?service=git-upload-pack")
        assert a.status == 200 and u.acked[-1] in a.text and "gitshard-without-log" in a.fields, a
        r = u.push(check=False)
        assert not r.ok and "bring the log back" in r.err, r
        u.unknown.clear()
        for n in c.nodes + c.routers:
            c.do("stop", n)
        logs.put(None)
    c.raw("up", str(c.dir))
    u.push()
    u.history_is_whole()
