"""The log is away: writes are refused at once and in words, reads as node.reads_without_log says, and all
goes on alone.  The log is a file here, taken from its place; test_80_brokers has the same with brokers."""
import os
import subprocess
import threading
import time

import pytest

from harness import cluster as harness
from harness import direct, rawhttp
from harness.wait import wait_for
from test_50_kill import Pushing

OPTIONS = {"shards": 8, "routers": 2}
AWAY = float(os.environ.get("GITSHARD_AWAY_SECONDS", "0"))  # s more than it takes to be noticed
AWAY_AFTER = 2.0  # s without the log before it counts as away
AT_ONCE = 10.0  # s, and not as long as trying would take: routers try for 15 s where it may help

pytestmark = pytest.mark.skipif(harness.LOG != "file", reason="moves the log's file")


def log_states(c):
    return [c.json(n, "/status")["log"] for n in c.nodes]


def wait_away(c):
    wait_for(lambda: all(s["away"] for s in log_states(c)), 10, "all nodes know that the log is away")


def wait_back(c):
    wait_for(lambda: all(s["ok"] and not s["away"] for s in log_states(c)), 10, "the log is back")


def get(c, repo, service, **fields):
    """An advertisement through the router."""
    return rawhttp.get(f"{c.url(repo)}/info/refs?service={service}", fields)


def timed(fn, *args, **kw):
    begin = time.monotonic()
    return fn(*args, **kw), time.monotonic() - begin


def test_refused_at_once_and_all_goes_on(own_cluster, tmp_path, new_name):
    c = own_cluster
    u = Pushing(c, new_name("away"), tmp_path)
    sha = u.acked[-1]
    with c.log_file_away():
        wait_away(c)
        r, seconds = timed(u.push, check=False)
        assert not r.ok and "the commit log is away; nothing was changed, push again" in r.err, r
        assert seconds < AT_ONCE, seconds
        u.git.run("reset", "-q", "--hard", sha, cwd=u.work)
        u.unknown.clear()
        # One whose advertisement came before.
        answer = rawhttp.post(f"{c.url(u.repo)}/git-receive-pack", b"0000",
                              {"Content-Type": "application/x-git-receive-pack-request"})
        assert "\3gitshard: the commit log is away; nothing was changed" in answer.text
        r, seconds = timed(u.git.run, "ls-remote", c.url(u.repo), check=False)
        assert not r.ok and "the commit log is away" in r.err and "try again" in r.err, r
        assert seconds < AT_ONCE, seconds
        time.sleep(AWAY)
        r, seconds = timed(c.ctl, "repo", "create", new_name("away"), check=False)
        assert r.returncode == 1 and "log" in r.stderr, r
        words = c.ctl("status", check=False).stderr
        assert "--map FILE" in words, words
        words = c.ctl("status", "--map", str(c.root("node2") / ".gitshard" / "map.json")).stdout
        assert "is without its commit log: map version 1, 3 of 3 nodes answer" in words, words
        assert "node node1 refuses pushes: its commit log is away (" in words, words
        status = c.json("node1", "/status")["log"]
        assert not status["ok"] and status["away"] and status["why"], status
        for n in c.nodes:
            code, _, fields = direct.refs_of(c, n, u.repo, shard=0)
            assert code == 503 and fields["gitshard-reason"] == "log-away", (code, fields)
    wait_back(c)
    begin = time.monotonic()
    u.push()
    assert time.monotonic() - begin < AT_ONCE
    u.history_is_whole()
    wait_for(lambda: c.ctl_json("status")["verdict"] == "healthy", 10, "all is healthy again")
    c.nothing_left(u.repo)


def absence(c, u):
    """Seconds, at most, that a node missed the log; what the nodes said of it; what a push and a read met."""
    out = []
    threads = [threading.Thread(target=lambda: out.append(u.push(check=False))),
               threading.Thread(target=lambda: out.append(u.git.run("ls-remote", c.url(u.repo), check=False)))]
    begin = time.monotonic()
    with c.log_file_away():
        wait_for(lambda: not any(s["ok"] for s in log_states(c)), 10, "all nodes miss the log")
        for t in threads:
            t.start()
        states = log_states(c)
    wait_for(lambda: all(s["ok"] for s in log_states(c)), 10, "the log is back")
    seconds = time.monotonic() - begin
    for t in threads:
        t.join()
    return seconds, states, out


def test_a_short_absence_is_waited_for(own_cluster, tmp_path, new_name):
    """Shorter than what counts as away: who pushes and who reads waits, and is served.  A machine that is
    busy may make it a longer one, which is not meant here."""
    c = own_cluster
    u = Pushing(c, new_name("short"), tmp_path)
    for _ in range(30):
        seconds, states, out = absence(c, u)
        if seconds < AWAY_AFTER:
            break
    assert seconds < AWAY_AFTER, "this machine knows no short absence"
    assert not any(s["away"] for s in states), states
    assert len(out) == 2 and all(r.ok for r in out), out
    u.history_is_whole()


def test_any(make_cluster, tmp_path, new_name):
    """What is here is served, and said to be what it is.  Nobody gets less than he has seen."""
    c = make_cluster("any", shards=4, sets=["node.reads_without_log=any"])
    u = Pushing(c, new_name("any"), tmp_path)
    u.history_is_whole()
    a = get(c, u.repo, "git-upload-pack")
    assert a.status == 200 and "gitshard-without-log" not in a.fields
    shard, offset = a.fields["gitshard-offset"].split(":")
    with c.log_file_away():
        wait_away(c)
        a = get(c, u.repo, "git-upload-pack")
        assert a.status == 200 and u.acked[-1] in a.text
        age = a.fields["gitshard-without-log"]
        assert age == "unknown" or int(age) < 60, age
        assert get(c, u.repo, "git-upload-pack", **{"gitshard-after": f"{shard}:{offset}"}).status == 200
        a = get(c, u.repo, "git-upload-pack", **{"gitshard-after": f"{shard}:{int(offset) + 1000}"})
        assert a.status == 503 and "the commit log is away" in a.text
        u.git.run("clone", "-q", c.url(u.repo), tmp_path / "clone")
        assert u.git.out("rev-parse", "HEAD", cwd=tmp_path / "clone") == u.acked[-1]
        r, seconds = timed(u.push, check=False)
        assert not r.ok and "nothing was changed" in r.err and seconds < AT_ONCE, (r, seconds)
        u.unknown.clear()
    wait_back(c)
    u.push()
    u.history_is_whole()
    assert "gitshard-without-log" not in get(c, u.repo, "git-upload-pack").fields


def test_bounded(make_cluster, tmp_path, new_name):
    """What was fresh so short a time ago is served, then nothing."""
    c = make_cluster("bounded", shards=4, sets=["node.reads_without_log=bounded(16s)"])
    u = Pushing(c, new_name("bounded"), tmp_path)
    u.history_is_whole()
    with c.log_file_away():
        wait_away(c)
        ages = []

        def refused():
            a = get(c, u.repo, "git-upload-pack")
            if a.status != 200:
                return a
            assert u.acked[-1] in a.text
            ages.append(int(a.fields["gitshard-without-log"]))
            return None
        a = wait_for(refused, 30, "what is here is too old", step=0.2)
        assert a.status == 503 and "the commit log is away" in a.text
        assert ages and max(ages) <= 16, ages
        _, seconds = timed(get, c, u.repo, "git-upload-pack")
        assert seconds < AT_ONCE
    wait_back(c)
    assert get(c, u.repo, "git-upload-pack").status == 200
    u.push()
    u.history_is_whole()


def test_wrong_words_are_refused(tmp_path, own_cluster):
    conf = (own_cluster.dir / "etc" / "node1.conf").read_text()
    bad = tmp_path / "bad.conf"
    bad.write_text(conf.replace("node {", 'node {\n\treads_without_log = "sometimes"'))
    r = subprocess.run([harness.TREE / "build" / own_cluster.build / "gitshard-replica",
                                "--check-config", "--config", bad], capture_output=True, text=True)
    assert r.returncode != 0 and "reads_without_log" in r.stderr and "bounded(TIME)" in r.stderr, r
