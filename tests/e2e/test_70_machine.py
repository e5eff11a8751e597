"""The machine's own failures: disks that are full, a log that is away, SIGTERM at any time, nodes that
were stopped for long.  Needs root: small disks are mounted for parts of the cluster."""
import ctypes
import os
import random
import signal
import threading
import time

import pytest

from conftest import end_cluster, open_clusters
from harness import direct, gitrun
from harness.disk import Disk, Failing
from harness.wait import wait_for
from test_50_kill import Pushing

SHARDS = 8
MIN_FREE = 16 << 20
SEED = 20260102


def repo_on(c, node, new_name):
    """A new repository whose primary is this node."""
    for _ in range(60):
        repo = new_name("m")
        c.create(repo)
        if c.primary(repo) == node:
            return repo
    raise AssertionError(f"{node} is primary of no shard")


def stuck_on(c, node):
    """Why shards of the node cannot be written, in its own words."""
    return [s["stuck"] for s in c.json(node, "/status")["shards"] if s["stuck"]]


class Machine:
    """A cluster whose node1 and whose log have small disks of their own."""

    def __init__(self, make_cluster, name, *sets, build=None, min_free="16M"):
        self.disks = []

        def prepare(dir_):
            self.disk = Disk(dir_ / "data" / "node1", 96)
            self.log_disk = Disk(dir_ / "logdisk", 64)
            self.disks = [self.disk, self.log_disk]
        # The folder's name is known to make_cluster only.
        self.c = make_cluster(name, shards=SHARDS, build=build, prepare=prepare,
                              sets=lambda d: [f"log=file:{d}/logdisk/log.db",
                                              f"node.min_free={min_free}", *sets])

    def user_on(self, node, new_name, path, large=False):
        return User(self.c, repo_on(self.c, node, new_name), path, large)

    def stuck(self, node):
        return stuck_on(self.c, node)

    def empty(self):
        for d in self.disks:
            d.empty()

    def end(self):
        for d in self.disks:
            d.umount()


class User(Pushing):
    """Pushes to a repository that is there already."""

    def __init__(self, c, repo, path, large=False):
        self.c, self.repo, self.large = c, repo, large
        path.mkdir(parents=True, exist_ok=True)
        self.git = gitrun.Git(path / "home")
        self.work = self.git.init(path / "w")
        self.noise = random.Random(SEED)
        self.acked, self.unknown = [], []
        self.push()

    def undo(self):
        """Forgets a commit whose push was refused."""
        self.git.run("reset", "-q", "--hard", "HEAD~1", cwd=self.work)
        self.unknown.clear()

    def read(self, router=1):
        out = self.git.out("ls-remote", self.c.url(self.repo, router), "refs/heads/main")
        return out.split()[0] if out else None

    def ref_at(self, node):
        """(status, what a strict read at this very node says)."""
        status, refs, _ = direct.refs_of(self.c, node, self.repo)
        return status, refs.get("refs/heads/main")


@pytest.fixture(scope="module")
def shared(keep_cluster):
    m = Machine(keep_cluster, "machine", "node.push_deadline=15s", "node.read_deadline=10s",
                "router.retry_deadline=10s", build="debug")
    yield m
    end(m)


def end(m):
    """The disks can only go when nobody uses them."""
    m.empty()
    try:
        if m.c in open_clusters:
            end_cluster(m.c)
    finally:
        m.end()


@pytest.fixture
def machine(shared):
    yield shared
    shared.empty()
    c = shared.c
    for n in c.nodes + c.routers:
        c.raw("start", str(c.dir), n, check=False)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready again")


def again(u, seconds=30):
    """A push works, at the latest after some tries."""
    last = []

    def works():
        last.append(u.push(check=False))
        return last[-1].ok
    wait_for(works, seconds, lambda: f"a push works: {last[-1]}", step=0.2)


# ---- full disks ------------------------------------------------------------------------------

def test_primary_short_of_space(machine, tmp_path, new_name):
    """Below node.min_free pushes and new repositories are refused in words, before anything is begun;
    reads go on at that very node; with space they work again by themselves."""
    m, c = machine, machine.c
    u = m.user_on("node1", new_name, tmp_path / "u")
    before = c.dumps(u.repo)
    m.disk.fill(leave=MIN_FREE // 2)
    begin = time.monotonic()
    r = u.push(check=False)
    assert not r.ok and "disk of the storage node is full" in r.err, r
    assert "nothing was changed" in r.err, r
    assert time.monotonic() - begin < 9  # and not after router.retry_deadline
    assert "node node1 refuses pushes: the disk of" in c.ctl("status").stdout
    fresh = next(n for n in iter(lambda: new_name("m"), None))
    for _ in range(20):
        made = c.ctl("repo", "create", fresh, check=False)
        if made.returncode != 0:
            break
        fresh = new_name("m")
    assert made.returncode != 0 and "full" in made.stderr, made
    assert u.read() == u.acked[-1]
    assert u.ref_at("node1") == (200, u.acked[-1])
    u.git.run("clone", "-q", c.url(u.repo), tmp_path / "clone")
    assert c.dumps(u.repo) == before
    c.nothing_left(u.repo)
    m.disk.empty()
    again(u)
    u.history_is_whole()


def test_follower_full(machine, tmp_path, new_name):
    """A follower without any space: pushes go on, small and large; what it could not apply it does not
    serve, but hands over at once; all else it serves; with space it catches up by itself."""
    m, c = machine, machine.c
    u = m.user_on("node2", new_name, tmp_path / "u")
    large = m.user_on("node2", new_name, tmp_path / "large", large=True)
    quiet = m.user_on("node2", new_name, tmp_path / "quiet")
    own = m.user_on("node1", new_name, tmp_path / "own")
    c.wait_equal(quiet.repo)
    m.disk.fill()
    for _ in range(3):
        assert u.push(check=False).ok
        assert large.push(check=False).ok
    wait_for(lambda: m.stuck("node1"), 10, "node1 says that it is stuck")
    assert "full" in m.stuck("node1")[0] or "space" in m.stuck("node1")[0], m.stuck("node1")
    begin = time.monotonic()
    status, _ = u.ref_at("node1")
    assert status == 503 and time.monotonic() - begin < 8  # and not after node.read_deadline
    for _ in range(3):
        assert u.read() == u.acked[-1] and large.read() == large.acked[-1]
    time.sleep(2)  # longer than a lease: what node1 proves, it proves anew
    assert quiet.ref_at("node1") == (200, quiet.acked[-1])
    assert own.ref_at("node1") == (200, own.acked[-1])
    r = own.push(check=False)
    assert not r.ok and "nothing was changed" in r.err, r
    assert "node1 cannot write" in c.ctl("status").stdout
    m.disk.empty()
    wait_for(lambda: not m.stuck("node1"), 20, "node1 goes on")
    again(own)
    for x in (u, large, quiet, own):
        x.history_is_whole()
        c.nothing_left(x.repo)


def test_voter_short_of_space(machine, tmp_path, new_name):
    """A large push needs a second copy, and the only other voter has no room: refused in words in
    pre-receive, nothing moved or left; small pushes go on; with space the large one goes through."""
    m, c = machine, machine.c
    u = m.user_on("node2", new_name, tmp_path / "u", large=True)
    before = c.dumps(u.repo)
    c.do("kill", "node3")
    m.disk.fill(leave=MIN_FREE // 2)
    r = u.push(check=False)
    assert not r.ok and "quorum not reached" in r.err and "its disk is full" in r.err, r
    assert c.dumps(u.repo, ["node1", "node2"]) == before
    c.nothing_left(u.repo, ["node1", "node2"])
    u.large = False
    u.undo()
    assert u.push(check=False).ok
    u.large = True
    m.disk.empty()
    again(u)
    c.do("start", "node3")
    u.history_is_whole()


def test_primary_full_in_the_middle(machine, tmp_path, new_name):
    """The record is in the log and the primary cannot apply it: the client waits or hears that the
    outcome is unknown; the others have it; all else is read on at the primary; with space it is
    there too."""
    m, c = machine, machine.c
    u = m.user_on("node1", new_name, tmp_path / "u")
    other = m.user_on("node1", new_name, tmp_path / "other")
    sha = u.git.commit(u.work)
    for i in range(2000):
        (u.work / ".git" / "refs" / "heads" / f"many{i}").write_text(sha + "\n")
    c.fault("node1", "push.before_append", "stop")
    results = []
    t = threading.Thread(target=lambda: results.append(
        u.git.run("push", "-q", c.url(u.repo), "refs/heads/*:refs/heads/*", cwd=u.work, check=False)))
    t.start()
    wait_for(lambda: c.state_of("node1") == "T", 30, "node1 is stopped")
    m.disk.fill()
    c.do("resume", "node1")
    wait_for(lambda: m.stuck("node1"), 20, "node1 is stuck")
    wait_for(lambda: u.read() == sha, 10, "the others have it")
    time.sleep(2)
    assert other.ref_at("node1") == (200, other.acked[-1])
    assert u.ref_at("node1")[0] == 503
    t.join()
    assert results[0].ok or "outcome unknown" in results[0].err, results[0]
    m.disk.empty()
    wait_for(lambda: not m.stuck("node1"), 20, "node1 goes on")
    assert u.ref_at("node1") == (200, sha)
    u.acked.append(sha)
    r = u.git.run("push", c.url(u.repo), "refs/heads/*:refs/heads/*", cwd=u.work)
    assert "up-to-date" in r.err, r
    again(other)
    u.history_is_whole()
    c.nothing_left(u.repo)


def test_full_while_git_receives(make_cluster, tmp_path, new_name):
    """No node.min_free, and the space ends within the pack: git's words, nothing moved, nothing left."""
    m = Machine(make_cluster, "receive", min_free="0")
    try:
        c = m.c
        u = m.user_on("node1", new_name, tmp_path / "u")
        before = c.dumps(u.repo)
        m.disk.fill(leave=1 << 20)
        (u.work / "blob").write_bytes(random.Random(SEED).randbytes(8 << 20))
        u.git.run("add", "blob", cwd=u.work)
        r = u.push(check=False)
        assert not r.ok and r.err.strip(), r
        assert u.read() == u.acked[-1]
        c.nothing_left(u.repo)
        assert c.dumps(u.repo) == before
        m.disk.empty()
        again(u)
        u.history_is_whole()
    finally:
        end(m)


def test_log_short_of_space(machine, tmp_path, new_name):
    """Below node.min_free where the log lies: pushes are refused before anything is begun, and there
    is room for the barriers that prove reads, on every node and for longer than a lease."""
    m, c = machine, machine.c
    u = m.user_on("node2", new_name, tmp_path / "u")
    m.log_disk.fill(leave=MIN_FREE // 2)
    r = u.push(check=False)
    assert not r.ok and "disk of the commit log is full" in r.err, r
    u.undo()
    for _ in range(3):
        for n in c.nodes:
            assert u.ref_at(n) == (200, u.acked[-1])
        time.sleep(1)
    m.log_disk.empty()
    again(u)
    u.history_is_whole()


def test_log_full(make_cluster, tmp_path, new_name):
    """Without node.min_free: appends are refused in words, reads are fresh or 503, nothing moved, and
    all of it resumes when there is space."""
    m = Machine(make_cluster, "logfull", "node.push_deadline=8s", "node.read_deadline=3s",
                "router.retry_deadline=5s", min_free="0")
    try:
        c = m.c
        u = m.user_on("node2", new_name, tmp_path / "u", large=False)
        before = c.dumps(u.repo)["refs"]
        m.log_disk.fill()
        # Pages that the database has free already may take some small records.
        for i in range(200):
            (u.work / "file").write_text("".join(f"{u.noise.random()}\n" for _ in range(5000)))
            u.git.run("add", "file", cwd=u.work)
            r = u.push(check=False)
            if not r.ok:
                break
        assert not r.ok and ("full" in r.err or "unknown" in r.err), r
        for n in c.nodes:
            status, sha = u.ref_at(n)
            assert status == 503 or sha in (u.acked[-1], u.unknown[-1]), (n, status, sha)
        m.log_disk.empty()
        again(u)
        assert c.dumps(u.repo)["refs"] != before
        u.history_is_whole()
        c.nothing_left(u.repo)
    finally:
        end(m)


def test_everything_full_at_once(make_cluster, tmp_path, new_name):
    """One disk below all of it, as on a single machine: refused, read, and back."""
    disks = []

    def prepare(dir_):
        disks.append(Disk(dir_, 192))
    c = make_cluster("onedisk", shards=SHARDS, prepare=prepare, sets=["node.min_free=16M"])
    try:
        repo = new_name("m")
        c.create(repo)
        u = User(c, repo, tmp_path / "u")
        disks[0].fill(leave=4 << 20)
        r = u.push(check=False)
        assert not r.ok and "nothing was changed" in r.err, r
        u.undo()
        for n in c.nodes:
            assert u.ref_at(n) == (200, u.acked[-1])
        disks[0].empty()
        again(u)
        u.history_is_whole()
    finally:
        disks[0].empty()
        try:
            end_cluster(c)
        finally:
            disks[0].umount()


def test_io_errors(make_cluster, tmp_path, new_name):
    """Every write of node1 fails with EIO for a while: as follower it hands reads over, as primary it
    refuses pushes or does not know, and reads on; when the disk works again, so does the node."""
    fail = Failing(tmp_path / "eio")
    c = make_cluster("eio", shards=SHARDS, build="release",
                     sets=["node.push_deadline=12s", "router.retry_deadline=10s"])
    try:
        with fail.below(c.root("node1")):
            c.do("stop", "node1")
            c.do("start", "node1")
        users = {n: User(c, repo_on(c, n, new_name), tmp_path / n, large=n == "node3") for n in c.nodes}
        quiet = User(c, repo_on(c, "node1", new_name), tmp_path / "quiet")
        c.wait_equal(quiet.repo)
        fail.on()
        for _ in range(3):
            for n in ("node2", "node3"):
                assert users[n].push(check=False).ok
                assert users[n].read() == users[n].acked[-1]
        stuck = wait_for(lambda: stuck_on(c, "node1"), 10, "node1 says that it is stuck")
        assert "Input/output error" in stuck[0] or "disk I/O error" in stuck[0], stuck
        assert users["node2"].ref_at("node1")[0] == 503
        r = users["node1"].push(check=False)
        assert not r.ok and ("nothing was changed" in r.err or "outcome unknown" in r.err), r
        time.sleep(2)  # longer than a lease
        assert quiet.ref_at("node1") == (200, quiet.acked[-1])
        fail.off()
        wait_for(lambda: not stuck_on(c, "node1"), 20, "node1 goes on")
        for u in list(users.values()) + [quiet]:
            again(u)
            u.history_is_whole()
            c.nothing_left(u.repo)
    finally:
        fail.off()


def test_started_on_a_full_disk(machine, tmp_path, new_name):
    """It ends at once and says what to do; with room it starts."""
    m, c = machine, machine.c
    u = m.user_on("node2", new_name, tmp_path / "u")
    c.do("stop", "node1")
    m.disk.fill()
    c.raw("start", str(c.dir), "node1", check=False)
    wait_for(lambda: c.http("node1", "/healthz")[0] == 0, 10, "node1 ends")
    words = (c.dir / "log" / "node1.log").read_text(errors="replace").strip().splitlines()[-1]
    assert "make room" in words and "start again" in words, words
    u.push()
    m.disk.empty()
    c.do("start", "node1")
    wait_for(lambda: u.ref_at("node1") == (200, u.acked[-1]), 20, "node1 has caught up")
    u.history_is_whole()


# ---- the log away ----------------------------------------------------------------------------

def test_log_lock_held_by_a_stopped_process(machine, tmp_path, new_name):
    """A writer is stopped with the log's lock in its hands: no other can write.  Pushes end in words,
    reads are fresh or 503, and when it goes on, so does everything."""
    m, c = machine, machine.c
    u = m.user_on("node1", new_name, tmp_path / "u")
    holder = m.user_on("node3", new_name, tmp_path / "holder")
    c.fault("node3", "log.locked", "stop")
    results = []
    t = threading.Thread(target=lambda: results.append(holder.push(check=False)))
    t.start()
    try:
        wait_for(lambda: c.state_of("node3") == "T", 20, "node3 is stopped")
        before = u.acked[-1]
        r = u.push(check=False)
        assert not r.ok, r
        assert "nothing was changed" in r.err or "outcome unknown" in r.err or "in time" in r.err, r
        status, sha = u.ref_at("node1")
        assert status == 503 or sha == before, (status, sha)
    finally:
        c.do("resume", "node3")
    t.join()
    again(u)
    again(holder)
    for x in (u, holder):
        x.history_is_whole()
        c.nothing_left(x.repo)


def test_log_file_away_for_a_while(machine, tmp_path, new_name):
    """The log's files are gone from their place for some seconds: pushes are refused at once, reads
    are fresh or 503; back again, everything goes on without a restart."""
    m, c = machine, machine.c
    u = m.user_on("node1", new_name, tmp_path / "u")
    with c.log_file_away(c.dir / "logdisk" / "log.db"):
        wait_for(lambda: not c.json("node1", "/status")["log"]["ok"], 5, "node1 misses the log")
        begin = time.monotonic()
        r = u.push(check=False)
        assert not r.ok and "commit log" in r.err and "nothing was changed" in r.err, r
        assert time.monotonic() - begin < 12  # and not after node.push_deadline
        u.undo()
        time.sleep(2)
        for n in c.nodes:
            status, sha = u.ref_at(n)
            assert status == 503 or sha == u.acked[-1], (n, status, sha)
    wait_for(lambda: all(c.json(n, "/status")["log"]["ok"] for n in c.nodes), 10, "the log is back")
    again(u)
    for n in c.nodes:
        assert u.ref_at(n) == (200, u.acked[-1])
    u.history_is_whole()


# ---- stopped ---------------------------------------------------------------------------------

class Reaper:
    """Daemons are orphans of tests/cluster: for their exit codes this process adopts them."""
    PR_SET_CHILD_SUBREAPER = 36

    def __enter__(self):
        self.adopt(1)
        return self

    def __exit__(self, *_):
        self.adopt(0)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    def adopt(self, on):
        assert ctypes.CDLL(None).prctl(self.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) == 0

    def stop(self, c, name, seconds=45):
        """SIGTERM; returns the exit code, negative for a signal."""
        pid = c.pid(name)
        os.kill(pid, signal.SIGTERM)
        status = []

        def ended():
            got, st = os.waitpid(pid, os.WNOHANG)
            if got:
                status.append(st)
            return got
        wait_for(ended, seconds, f"{name} ended after SIGTERM")
        return os.waitstatus_to_exitcode(status[0])


def test_sigterm_at_any_time(make_cluster, tmp_path, new_name):
    """Nodes and routers are stopped and started at random moments under pushes and reads: each ends
    with 0, no acknowledged push is lost, no answer is without words, no read is old."""
    with Reaper() as reaper:
        c = make_cluster("term", routers=2, shards=SHARDS)
        users = [Pushing(c, new_name("term"), tmp_path / f"u{i}", large=i == 2) for i in range(3)]
        stop, wrong = threading.Event(), []

        def pusher(u, number):
            while not stop.is_set():
                known = u.acked[-1]
                r = u.push(check=False)
                if not r.ok and not r.err.strip():
                    wrong.append(f"a push without words: {r}")
                url = c.url(u.repo, 1 + number % 2)
                got = u.git.run("ls-remote", url, "refs/heads/main", cwd=u.work, check=False)
                if got.ok:
                    newest = got.out.split()[0] if got.out else ""
                    if u.git.run("merge-base", "--is-ancestor", known, newest or "x", cwd=u.work,
                                 check=False).rc != 0:
                        wrong.append(f"old read: {newest or 'nothing'} after {known}")
        threads = [threading.Thread(target=pusher, args=(u, i)) for i, u in enumerate(users)]
        for t in threads:
            t.start()
        moments = random.Random(SEED)
        codes = {}
        try:
            for i in range(12):
                name = moments.choice(c.nodes + c.routers)
                time.sleep(moments.uniform(0.05, 1.0))
                codes[f"{name} at {i}"] = reaper.stop(c, name)
                time.sleep(moments.uniform(0.0, 0.5))
                c.do("start", name)
            wait_for(lambda: wrong or all(len(u.acked) > 5 for u in users), 60, "pushes go on")
        finally:
            stop.set()
            for t in threads:
                t.join()
        assert not wrong, wrong[:3]
        assert set(codes.values()) == {0}, codes
        for u in users:
            again(u)
            u.history_is_whole()
            c.nothing_left(u.repo)
            assert len(u.acked) > 5


def test_sigterm_lets_a_push_finish(make_cluster, tmp_path, new_name):
    """A push is in a repository's own hook when its primary is told to end: it is finished first, and
    acknowledged; new ones go to nobody meanwhile; the exit code is 0."""
    with Reaper() as reaper:
        c = make_cluster("drain", shards=SHARDS)
        u = Pushing(c, new_name("drain"), tmp_path / "u")
        p = c.primary(u.repo)
        begun, go = tmp_path / "begun", tmp_path / "go"
        hook = c.repo_dir(p, u.repo) / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {begun}\nwhile ! test -e {go}; do sleep 0.05; done\n")
        hook.chmod(0o755)
        results, codes = [], []
        push = threading.Thread(target=lambda: results.append(u.push(check=False)))
        push.start()
        wait_for(begun.exists, 20, "the hook runs")
        term = threading.Thread(target=lambda: codes.append(reaper.stop(c, p)))
        term.start()
        wait_for(lambda: c.json(p, "/status")["state"] == "draining", 10, "it drains")
        assert c.http(p, "/readyz")[0] == 503
        go.touch()
        push.join()
        term.join()
        assert results[0].ok, results[0]
        assert codes == [0], codes
        hook.unlink()
        c.do("start", p)
        again(u)
        u.history_is_whole()
        c.nothing_left(u.repo)


def test_node_away_for_long(machine, tmp_path, new_name):
    """A node is stopped for so long that routers have given it up, then started: it catches up, and
    is asked again, for reads and as primary."""
    m, c = machine, machine.c
    u = m.user_on("node3", new_name, tmp_path / "u")
    other = m.user_on("node2", new_name, tmp_path / "other")
    c.do("stop", "node3")
    end_of_memory = time.monotonic() + 15
    while time.monotonic() < end_of_memory:
        assert other.push(check=False).ok
        assert u.read() == u.acked[-1]
    c.do("start", "node3")
    again(u, seconds=10)
    reads = c.metric("node3", "gitshard_strict_reads_total")
    # One client asks one node for one repository: several, so that some are this node's.
    repos = [new_name("m") for _ in range(32)]
    for repo in repos:
        c.create(repo)

    def asked():
        for repo in repos:
            u.git.run("ls-remote", c.url(repo), cwd=tmp_path)
        return c.metric("node3", "gitshard_strict_reads_total") > reads
    wait_for(asked, 10, "node3 is asked for reads again")
    assert other.ref_at("node3") == (200, other.acked[-1])
    u.history_is_whole()
    other.history_is_whole()
