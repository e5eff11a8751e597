"""Brokers of the commit log are killed under load: no push fails, none is lost, no read is stale.

make check-kafka-chaos; without GITSHARD_CHAOS_SECONDS and a log in Kafka there is nothing to do."""
import os
import sys
import threading
import time

import pytest

from harness import cluster as harness
from test_41_load import SHARED, Load

sys.path.insert(0, str(harness.TREE / "tests"))
import kafka  # noqa: E402

SECONDS = float(os.environ.get("GITSHARD_CHAOS_SECONDS", "0"))
EVERY = 20.0  # s between two kills
DOWN = 10.0   # s of them the broker is away
STALL = 6.0   # s at most without any acknowledged push, with the recommended broker settings
OPTIONS = {"routers": 2}

pytestmark = pytest.mark.skipif(harness.LOG != "kafka" or SECONDS == 0,
                                reason="needs GITSHARD_LOG=kafka and GITSHARD_CHAOS_SECONDS")


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
    for name in ("kafka1", "kafka2", "kafka3"):
        try:
            _, partitions = kafka.metadata(c.listen(name))
        except OSError:
            continue
        for topic, number, lead, _, _ in partitions:
            if topic.endswith(".commits") and number == shard and lead > 0:
                return f"kafka{lead}"
    raise AssertionError("nobody knows the leader")


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
