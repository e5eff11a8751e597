"""Shows 5: nodes killed with -9 at random moments and at exact ones; what the log says is true."""
import os
import random
import signal
import threading
import time

import pytest

from harness import gitrun
from harness.wait import wait_for

OPTIONS = {"build": "debug", "shards": 4}  # fault points exist in test builds only
SEED = 20260101


class Pushing:
    """A user who pushes one commit after another, and knows what was acknowledged."""

    def __init__(self, c, repo, path, large=False):
        self.c, self.repo, self.large = c, repo, large
        self.git = gitrun.Git(path / "home")
        self.work = self.git.init(path / "w")
        self.noise = random.Random(SEED)
        c.create(repo)
        self.acked = []
        self.unknown = []
        self.push()

    def commit(self):
        if self.large:
            (self.work / "large").write_bytes(self.noise.randbytes(400_000))
            self.git.tick()
            self.git.run("add", "large", cwd=self.work)
            self.git.run("commit", "-q", "-m", "large", cwd=self.work)
            return self.git.out("rev-parse", "HEAD", cwd=self.work)
        return self.git.commit(self.work)

    def push(self, check=True):
        sha = self.commit()
        r = self.git.run("push", self.c.url(self.repo), "HEAD:refs/heads/main", cwd=self.work, check=check)
        (self.acked if r.ok else self.unknown).append(sha)
        return r

    def history_is_whole(self, nodes=None):
        """Every acknowledged push is in every node's history, once all have applied it."""
        if nodes is None:
            self.c.wait_equal(self.repo, seconds=30)
        refs = self.c.dumps(self.repo, nodes)["refs"]
        for n in nodes or self.c.nodes:
            have = set(self.git.out("rev-list", refs["refs/heads/main"],
                                    cwd=self.c.repo_dir(n, self.repo)).split())
            lost = [s for s in self.acked if s not in have]
            assert not lost, f"{n} lost {lost}"


def pushing_on(c, node, new_name, path, large=False):
    """A user whose repository has this node as primary."""
    for _ in range(60):
        repo = new_name("on")
        c.create(repo)
        if c.primary(repo) == node:
            c.ctl("repo", "delete", repo)
            return Pushing(c, repo, path, large)
    raise AssertionError(f"{node} is primary of no shard")


@pytest.fixture
def mended(own_cluster):
    yield own_cluster
    c = own_cluster
    for n in c.nodes:
        c.raw("start", str(c.dir), n, check=False)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready again")


def test_follower_killed_at_20_moments(mended, tmp_path, new_name):
    """Pushes go on meanwhile, none fails; the killed one catches up from the log alone."""
    c = mended
    users = [Pushing(c, new_name("kill"), tmp_path / f"u{i}", large=i == 1) for i in range(2)]
    followers = c.followers(users[0].repo)
    # Both repositories' pushes must go on: kill only what is primary of neither.
    victims = [n for n in followers if n != c.primary(users[1].repo)]
    stop, wrong = threading.Event(), []

    def pusher(u):
        while not stop.is_set():
            r = u.push(check=False)
            if not r.ok:
                wrong.append(str(r))
                return
    threads = [threading.Thread(target=pusher, args=(u,)) for u in users]
    for t in threads:
        t.start()
    moments = random.Random(SEED)
    try:
        for i in range(20):
            victim = victims[i % len(victims)]
            time.sleep(moments.uniform(0.05, 0.6))
            c.do("kill", victim)
            time.sleep(moments.uniform(0.0, 0.3))
            c.do("start", victim)
            assert not wrong, wrong[0]
        wait_for(lambda: wrong or all(len(u.acked) > 10 for u in users), 60, "pushes go on")
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, wrong[0]
    for u in users:
        assert len(u.acked) > 10
        c.wait_equal(u.repo, seconds=30)
        u.history_is_whole()
        c.nothing_left(u.repo)


# point, is the push in the log (and so everywhere) when the primary is gone.  Just after the append
# was asked for it may be there or not: only that all nodes agree is promised.
POINTS = [("push.before_append", False), ("push.after_append", None), ("log.committed", None),
          ("push.after_apply", True),
          ("push.before_answer", True)]


@pytest.mark.parametrize("large", [False, True], ids=["inline", "staged"])
@pytest.mark.parametrize("point,committed", POINTS, ids=[p for p, _ in POINTS])
def test_primary_killed(mended, tmp_path, new_name, point, committed, large):
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path, large)
    before = u.acked[-1]
    p, followers = c.primary(u.repo), c.followers(u.repo)
    c.fault(p, point)
    r = u.push(check=False)
    wait_for(lambda: c.http(p, "/healthz")[0] == 0, 10, f"{p} died at {point}")
    assert r.rc != 0 and r.err.strip(), r  # an error in words; nothing answered for it
    sha = u.unknown[-1]
    c.dumps(u.repo, followers)
    if committed:
        wait_for(lambda: c.dumps(u.repo, followers)["refs"]["refs/heads/main"] == sha, 10,
                 "the followers have it")
    c.do("start", p)
    have = c.dumps(u.repo)["refs"]["refs/heads/main"]
    assert have in {True: (sha,), False: (before,), None: (sha, before)}[committed], \
        f"{have} after {point}: {sha} was pushed on {before}"

    def again():
        return u.git.run("push", c.url(u.repo), "HEAD:refs/heads/main", cwd=u.work, check=False)
    last = []
    wait_for(lambda: last.append(again()) or last[-1].ok, 30, lambda: f"a push works: {last[-1]}", step=0.2)
    if have == sha:
        assert "up-to-date" in last[-1].err, last[-1]
    u.acked.append(sha)
    u.push()
    u.history_is_whole()
    c.nothing_left(u.repo)


def test_voter_killed_while_a_pack_is_staged(mended, tmp_path, new_name):
    """It dies when it has just said that the pack is durable there; the push is decided."""
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path, large=True)
    victim = c.followers(u.repo)[0]
    c.fault(victim, "stage.confirmed")
    r = u.push(check=False)
    wait_for(lambda: c.http(victim, "/healthz")[0] == 0, 10, f"{victim} died")
    assert r.ok, r  # the primary and the other voter are two of three
    u.push()
    c.do("start", victim)
    u.push()
    u.history_is_whole()
    c.nothing_left(u.repo)


def test_hook_killed_while_the_log_stands_still(mended, tmp_path, new_name):
    """git would say "remote rejected"; but the record may be in the log, and here it is."""
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path)
    p, shard = c.primary(u.repo), c.shard(u.repo)
    result = []
    pusher = threading.Thread(target=lambda: result.append(u.push(check=False)))
    with c.log_stands_still():
        pusher.start()
        hook = wait_for(lambda: [pid for pid, cmd in c.children() if "proc-receive" in cmd], 10, "the hook runs")
        wait_for(lambda: c.shard_state(p, shard)["unresolved"], 10, "the record is on its way")
        os.kill(hook[0], signal.SIGKILL)
        pusher.join(15)  # node.push_deadline is 20 s
    assert result, "the client is told at once"
    assert not result[0].ok and "push again" in result[0].err, result[0]
    assert "rejected" not in result[0].err, result[0]
    u.git.run("push", c.url(u.repo), "HEAD:refs/heads/main", cwd=u.work)
    u.acked.append(u.unknown[-1])
    u.history_is_whole()
    c.nothing_left(u.repo)


def test_late_voter_keeps_no_pack(mended, tmp_path, new_name):
    """The others decide the push while it is paused; the pack that comes late leaves its staging."""
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path, large=True)
    late = c.followers(u.repo)[0]
    c.do("pause", late)
    try:
        for _ in range(3):
            assert u.push(check=False).ok
    finally:
        c.do("resume", late)
    u.history_is_whole()
    c.nothing_left(u.repo)


def test_staged_push_with_one_voter_only(mended, tmp_path, new_name):
    """No majority can hold the pack: the push is refused in words and nothing moves or stays; a
    small push needs no copies and goes through."""
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path, large=True)
    before = c.dumps(u.repo)["refs"]
    followers = c.followers(u.repo)
    for n in followers:
        c.do("kill", n)
    r = u.push(check=False)
    assert not r.ok and r.err.strip(), r
    u.large = False
    u.git.run("reset", "-q", "--hard", "HEAD~1", cwd=u.work)
    small = u.push(check=False)
    assert small.ok, small
    for n in followers:
        c.do("start", n)
    u.history_is_whole()
    assert c.dumps(u.repo)["refs"] != before
    c.nothing_left(u.repo)


def test_everything_killed_at_once(mended, tmp_path, new_name):
    """All three nodes, in the middle of pushes: what was acknowledged is there when they are back."""
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path)
    for turn in range(3):
        t = threading.Thread(target=lambda: [u.push(check=False) for _ in range(3)])
        t.start()
        time.sleep(0.2 + 0.2 * turn)
        for n in c.nodes:
            c.do("kill", n)
        for n in c.nodes:
            c.do("start", n, "--no-wait")
        t.join()
        wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready")
        wait_for(lambda: u.push(check=False).ok, 30, "pushes work again", step=0.2)
        u.history_is_whole()
    c.nothing_left(u.repo)


def test_router_killed(make_cluster, git, tmp_path):
    """Clients of the other router see nothing; one that starts without the log uses its file."""
    c = make_cluster("routers", routers=2)
    work = git.init(tmp_path / "w")
    c.create("a/b")
    git.commit(work)
    c.do("kill", "router1")
    git.run("push", "-q", c.url("a/b", 2), "HEAD:refs/heads/main", cwd=work)
    c.do("start", "router1")
    sha = git.commit(work)
    git.run("push", "-q", c.url("a/b", 1), "HEAD:refs/heads/main", cwd=work)
    assert git.out("ls-remote", c.url("a/b", 2), "refs/heads/main").split()[0] == sha
    c.dumps("a/b")


def test_node_stopped_in_the_middle_of_a_push(mended, tmp_path, new_name):
    """SIGTERM to the primary while clients push: each gets its answer or an error in words."""
    c = mended
    u = Pushing(c, new_name("kill"), tmp_path)
    results = []
    t = threading.Thread(target=lambda: [results.append(u.push(check=False)) for _ in range(4)])
    t.start()
    time.sleep(0.3)
    p = c.primary(u.repo)
    c.do("stop", p)
    c.do("start", p)
    t.join()
    assert all(r.ok or r.err.strip() for r in results)
    wait_for(lambda: u.push(check=False).ok, 30, "pushes work again", step=0.2)
    u.history_is_whole()
    c.nothing_left(u.repo)
