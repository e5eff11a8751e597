"""Outcomes that are not known yet: `status` says which, since when, and what is being done, and in the
end each is known."""
import datetime
import random
import re
import threading
import time

from harness import gitrun
from harness.wait import wait_for
from test_50_kill import Pushing

OPTIONS = {"shards": 8, "sets": ["node.push_deadline=15s"]}
SEED = 11


class Lossy(Pushing):
    """The same where even its beginning may fail."""

    def __init__(self, c, repo, path):
        self.c, self.repo, self.large = c, repo, False
        self.git = gitrun.Git(path / "home")
        self.work = self.git.init(path / "w")
        self.noise = random.Random(SEED)
        self.acked, self.unknown = [], []
        wait_for(lambda: c.ctl("repo", "create", repo, check=False).returncode == 0 or
                 any(c.repo(n, repo) for n in c.nodes), 60, f"{repo} is made", step=0.2)


def open_at(c, name, repo):
    """What the node says is open for a repository."""
    return [o for s in c.json(name, "/status")["shards"] for o in s["open"] if o["repo"] == repo]


def log_of(c, name):
    return (c.dir / "log" / f"{name}.log").read_text(errors="replace")


def unknown(c):
    return sum(c.metric(n, "gitshard_outcomes_unknown") for n in c.nodes)


def test_status_says_what_is_open(own_cluster, tmp_path, new_name):
    c = own_cluster
    u = Pushing(c, new_name("open"), tmp_path)
    p, shard = c.primary(u.repo), c.shard(u.repo)
    assert open_at(c, p, u.repo) == [] and unknown(c) == 0
    result = []
    pusher = threading.Thread(target=lambda: result.append(u.push(check=False)))
    with c.log_stands_still():
        pusher.start()
        asked = time.time()
        o = wait_for(lambda: open_at(c, p, u.repo), 15, "the push is listed")[0]
        assert o["type"] == "update" and not o["decided"] and o["doing"].startswith("waiting for"), o
        assert re.fullmatch("[0-9a-f]{32}", o["txn"]) and 1000 <= o["for_ms"] < 20000, o
        since = datetime.datetime.fromisoformat(o["since"].replace("Z", "+00:00")).timestamp()
        assert asked - 1 < since < time.time(), o
        wait_for(lambda: "barrier to be read back" in open_at(c, p, u.repo)[0]["doing"], 10,
                 "a barrier is on its way")
        assert unknown(c) == 1
        assert c.json(p, "/status")["outcomes_unknown"] == 1
        kept = ("--map", str(c.root(p) / ".gitshard" / "map.json"))  # brokers do not give it now
        words = c.ctl("status", *kept).stdout
        assert re.search(rf"shard {shard}: 1 outcome unknown, the oldest: update {u.repo} of request "
                         rf"{o['request']} on {p} for \d+ s: waiting for a barrier", words), words
        assert "is degraded" in words
        assert c.ctl_json("status", *kept)["shards"][shard]["outcomes_unknown"] == 1
    wait_for(lambda: unknown(c) == 0, 20, "everything is known")
    wait_for(lambda: open_at(c, p, u.repo) == [], 20, "nothing is open")
    wait_for(lambda: f" {o['request']} request " in log_of(c, "router1"), 10, "the router's line of the request")
    wait_for(lambda: re.search(rf"{o['request']} resolved .*txn={o['txn']} outcome=(committed|dead)", log_of(c, p)),
             10, "the node's line of the outcome")
    pusher.join()
    if not result[0].ok:
        u.push()
    u.history_is_whole()


def test_status_says_weak_log(own_cluster):
    c = own_cluster
    weak = c.json("node1", "/status")["log"].get("weak")
    if c.log == "file":
        assert weak == "a log in a file is one machine and one disk"
        assert "weak-log" in (c.dir / "log" / "node1.log").read_text()
    words = c.ctl("status").stdout
    assert (f"weak log (allowed by allow_weak_log): {weak}" in words) == (weak is not None), words
    assert c.ctl_json("status")["weak_log"] == weak


def test_lost_and_late_appends(make_cluster, tmp_path, new_name):
    """The log loses answers and appends and is late.  Whoever is told ok is there, whoever is told that
    the outcome is unknown can push again, `status` shows what is open, and in the end nothing is."""
    c = make_cluster("outcomes", shards=4, build="debug", sets=[
        "log=fault:%d,lostack=300,lost=200,late=200@4s:{log}" % SEED,
        "node.push_deadline=4s", "node.read_deadline=10s"])
    users = [Lossy(c, new_name("lossy"), tmp_path / str(i)) for i in range(3)]
    seen, over = [], threading.Event()

    def watch():
        while not over.wait(0.1):
            seen.extend(o for n in c.nodes for s in c.json(n, "/status")["shards"] for o in s["open"])

    def push_all(u):
        for _ in range(8):
            u.push(check=False)
    watcher = threading.Thread(target=watch)
    pushers = [threading.Thread(target=push_all, args=(u,)) for u in users]
    for t in [watcher] + pushers:
        t.start()
    for t in pushers:
        t.join()
    over.set()
    watcher.join()
    print(f"\n{sum(len(u.acked) for u in users)} acknowledged, "
          f"{len({o['txn'] for o in seen})} appends were seen open, at most for "
          f"{max((o['for_ms'] for o in seen), default=0)} ms")
    assert any(not o["decided"] and "barrier to be read back" in o["doing"] for o in seen), seen
    for u in users:
        wait_for(lambda: u.push(check=False).ok, 60, "a push works", step=0.2)
        u.history_is_whole()
    wait_for(lambda: unknown(c) == 0, 60, "every outcome is known")
    for u in users:
        c.nothing_left(u.repo)
