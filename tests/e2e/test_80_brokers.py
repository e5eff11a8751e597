"""Brokers of the commit log go away: one of three under load (no push fails, none is lost, no read is
stale), all of them (refused in words, and all goes on alone).  Nothing to do without a log in Kafka.

make check-kafka-chaos gives the load its GITSHARD_CHAOS_SECONDS."""
import os
import sys
import threading
import time

import pytest

from harness import cluster as harness
from harness.wait import wait_for
from test_41_load import SHARED, Load

sys.path.insert(0, str(harness.TREE / "tests"))
import kafka  # noqa: E402

SECONDS = float(os.environ.get("GITSHARD_CHAOS_SECONDS", "0"))
BROKERS = ("kafka1", "kafka2", "kafka3")
EVERY = 20.0  # s between two kills
DOWN = 10.0   # s of them the broker is away
# s at most without any acknowledged push, with the recommended broker settings; a machine that is busy
# with other things may need more.
STALL = float(os.environ.get("GITSHARD_CHAOS_STALL", "6"))
OPTIONS = {"routers": 2}

pytestmark = pytest.mark.skipif(harness.LOG != "kafka" or harness.BROKERS != "3",
                                reason="needs GITSHARD_LOG=kafka with three brokers")


class Watched(Load):
    """Notes when pushes are acknowledged."""

    def __init__(self, *args):
        super().__init__(*args)
        self.times = []

    def ack(self, refs, sha):
        super().ack(refs, sha)
        self.times.append(time.monotonic())


def leader(c, shard):
    """The name of the broker that leads the shard's partition."""
    for name in BROKERS:
        try:
            _, partitions = kafka.metadata(c.listen(name))
        except OSError:
            continue
        for topic, number, lead, _, _ in partitions:
            if topic.endswith(".commits") and number == shard and lead > 0:
                return f"kafka{lead}"
    raise AssertionError("nobody knows the leader")


def push(git, work, url, text):
    sha = git.commit(work, text=text)
    return sha, git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=work, check=False)


def test_leader_paused(own_cluster, git, tmp_path, new_name):
    """A broker that stands still is no lost connection: it has to be given up, and its late answers
    harm nobody."""
    c, repo = own_cluster, new_name("paused")
    url, work = c.create(repo), git.init(tmp_path / "w")
    _, r = push(git, work, url, "first")
    assert r.ok, str(r)
    name = leader(c, c.shard(repo))
    c.do("pause", name)
    try:
        begin = time.monotonic()
        sha, r = push(git, work, url, "second")
        print(f"\na push while its broker is paused: {time.monotonic() - begin:.1f} s")
        assert r.ok, str(r)
    finally:
        c.do("resume", name)
    for i in range(20):
        sha, r = push(git, work, url, f"after {i}")
        assert r.ok, str(r)
        assert git.out("ls-remote", url, "refs/heads/main").split()[0] == sha
        time.sleep(0.1)
    assert c.dumps(repo)["refs"]["refs/heads/main"] == sha


def test_all_brokers_lost(own_cluster, git, tmp_path, new_name):
    c, repo = own_cluster, new_name("away")
    url, work = c.create(repo), git.init(tmp_path / "w")
    _, r = push(git, work, url, "first")
    assert r.ok, str(r)
    for name in BROKERS:
        c.do("kill", name)
    wait_for(lambda: all(c.json(n, "/status")["log"]["away"] for n in c.nodes), 20,
             "all nodes know that the log is away")
    begin = time.monotonic()
    _, r = push(git, work, url, "second")
    seconds = time.monotonic() - begin
    print(f"\na push without any broker: {seconds:.1f} s: {r.err.strip().splitlines()[:2]}")
    assert not r.ok and "the commit log is away; nothing was changed" in r.err, str(r)
    assert seconds < 3
    r = git.run("ls-remote", url, check=False)
    assert not r.ok and "the commit log is away" in r.err, str(r)
    for name in BROKERS:
        c.do("start", name, "--no-wait")
    wait_for(lambda: git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=work, check=False).ok, 90,
             "pushes work again", step=0.5)
    tip = git.out("rev-parse", "HEAD", cwd=work)
    assert git.out("ls-remote", url, "refs/heads/main").split()[0] == tip
    assert c.dumps(repo)["refs"]["refs/heads/main"] == tip
    for name in BROKERS:
        wait_for(lambda: kafka.why_not_ready(c.listen(name), int(name[5:])) is None, 60,
                 f"{name} is back")


@pytest.mark.skipif(SECONDS == 0, reason="needs GITSHARD_CHAOS_SECONDS")
def test_brokers_killed(own_cluster, git, tmp_path, new_name):
    c, repo = own_cluster, new_name("chaos")
    load = Watched(c, repo, tmp_path)
    work = git.init(tmp_path / "w")
    c.create(repo)
    load.base = git.commit(work)
    load.number[load.base] = 0
    git.run("push", "-q", c.url(repo), f"HEAD:{SHARED}", cwd=work)
    load.shard = c.shard(repo)
    begin = time.monotonic()
    load.end = begin + SECONDS
    killed = []

    def hurt():
        while time.monotonic() + EVERY <= load.end and load.running():
            time.sleep(EVERY - DOWN)
            name = leader(c, load.shard)
            killed.append((time.monotonic(), name))
            c.do("kill", name)
            time.sleep(DOWN)
            c.do("start", name)
    t = threading.Thread(target=hurt)
    t.start()
    load.go()
    t.join()
    stalls = sorted((b - a, a) for a, b in zip(load.times, load.times[1:]))
    print(f"\n{load.counts} in {SECONDS:g} s; {len(killed)} leaders killed; longest stalls: "
          + ", ".join(f"{s:.2f} s at {a - begin:.0f} s" for s, a in stalls[:-6:-1]))
    print("killed: " + ", ".join(f"{n} at {t - begin:.0f} s" for t, n in killed))
    assert not load.wrong, "\n".join(load.wrong[:5])
    assert len(killed) >= 1 and load.counts["reads"] > SECONDS
    assert stalls[-1][0] < STALL
    c.wait_equal(repo, seconds=30)
    refs = c.dumps(repo)["refs"]
    for ref, shas in load.tips.items():
        for n in c.nodes:
            history = set(c.git.out("rev-list", refs[ref], cwd=c.repo_dir(n, repo)).split())
            lost = [s for s in shas if s not in history]
            assert not lost, f"{n}: {ref} lost {lost}"
    c.nothing_left(repo)
