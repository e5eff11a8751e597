"""Freshness: each of the three ways of a strict read (protocol R7) forced, and what they promise."""
import os
import threading
import time

import pytest

from harness import direct
from harness.wait import wait_for

METRIC = "gitshard_strict_reads_total"
OPTIONS = {"shards": 4}


@pytest.fixture
def repo(own_cluster, git, tmp_path, new_name):
    c = own_cluster
    name = new_name("fresh")
    c.create(name)
    work = git.init(tmp_path / "w")

    def push(branch="main"):
        sha = git.commit(work)
        git.run("push", "-q", c.url(name), f"HEAD:refs/heads/{branch}", cwd=work)
        return sha
    push()
    c.wait_equal(name)
    yield name, push
    for n in c.nodes:
        if c.raw("status", str(c.dir), check=False).returncode != 0:
            c.raw("resume", str(c.dir), n, check=False)
            c.raw("start", str(c.dir), n, check=False)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready again")


def ways(c, name):
    return {w: c.metric(name, METRIC, way=w) for w in ("lease", "ask", "barrier")}


def without_a_pause(run, most):
    """The first result of run() in which no step took as long as `most`, seconds.  A machine that stands
    still between a node's question and the answer ends the node's patience: what is counted then says
    nothing about the way that a read goes."""
    for _ in range(100):
        steps, result = run()
        if max(steps) < most:
            return result
    raise AssertionError(f"this machine pauses all the time: {steps}")


def test_lease(own_cluster, repo):
    """The primary answers by itself, under its lease, without a word to anybody."""
    c, (name, push) = own_cluster, repo
    p = c.primary(name)
    sha = push()
    before = ways(c, p)
    for _ in range(10):
        status, refs, fields = direct.refs_of(c, p, name)
        assert status == 200 and refs["refs/heads/main"] == sha, (status, refs, fields)
        assert ":" in fields["gitshard-offset"]
    after = ways(c, p)
    assert after["lease"] >= before["lease"] + 10
    assert (after["ask"], after["barrier"]) == (before["ask"], before["barrier"])


def test_ask(own_cluster, repo):
    """A follower asks the primary, and shows at once what was acknowledged before."""
    c, (name, push) = own_cluster, repo

    def asks(f):
        before = ways(c, f)["ask"]
        return direct.refs_of(c, f, name)[0] == 200 and ways(c, f)["ask"] > before

    for f in c.followers(name):
        def run():
            # Who had no answer in time asks nobody for two seconds.
            wait_for(lambda: asks(f), 10, f"{f} asks its primary")
            before, steps = ways(c, f), []
            for _ in range(10):
                sha = push()
                begin = time.monotonic()
                status, refs, fields = direct.refs_of(c, f, name)
                steps.append(time.monotonic() - begin)
                assert status == 200 and refs["refs/heads/main"] == sha, (status, refs, fields)
            return steps, (before, ways(c, f))
        before, after = without_a_pause(run, 0.9)  # a node waits a second for its primary's answer
        assert after["ask"] >= before["ask"] + 10, (before, after)
        assert after["lease"] == before["lease"]


def test_barrier(own_cluster, repo):
    """Without its primary a shard is still read strictly, at both followers."""
    c, (name, push) = own_cluster, repo
    p, followers = c.primary(name), c.followers(name)
    sha = push()
    c.do("kill", p)
    for f in followers:
        before = ways(c, f)
        status, refs, fields = direct.refs_of(c, f, name)
        assert status == 200 and refs["refs/heads/main"] == sha, (status, refs, fields)
        after = ways(c, f)
        assert after["barrier"] >= before["barrier"] + 1, (before, after)
        assert after["lease"] == before["lease"]


def test_barrier_through_the_router(own_cluster, repo, git, tmp_path):
    """Clones go on while the primary is away; a push is refused in words."""
    c, (name, push) = own_cluster, repo
    p = c.primary(name)
    sha = push()
    c.do("kill", p)
    for i in range(4):
        git.run("clone", "-q", c.url(name), tmp_path / f"c{i}")
        assert git.out("rev-parse", "HEAD", cwd=tmp_path / f"c{i}") == sha
    git.commit(tmp_path / "c0")
    begin = time.monotonic()
    r = git.run("push", c.url(name), "HEAD:refs/heads/main", cwd=tmp_path / "c0", check=False)
    assert not r.ok and time.monotonic() - begin < 60, r
    assert "503" in r.err or "primary" in r.err, r.err
    c.do("start", p)
    wait_for(lambda: git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=tmp_path / "c0",
                             check=False).ok, 20, "the push works after the primary's return")
    c.dumps(name)


def test_paused_primary_serves_nothing_stale(own_cluster, repo):
    """Stopped between two reads for longer than its lease, the primary must prove itself anew."""
    c, (name, push) = own_cluster, repo
    p, shard = c.primary(name), c.shard(name)
    sha = push()
    c.do("pause", p)
    got = []
    t = threading.Thread(target=lambda: got.append(direct.refs_of(c, p, name, shard=shard)))
    t.start()
    time.sleep(2.5)  # longer than T2: its lease is over, whatever it believes
    c.do("resume", p)
    t.join()
    status, refs, _ = got[0]
    assert status == 503 or refs["refs/heads/main"] == sha


def test_lagging_follower_waits(own_cluster, repo):
    """A read that reached a stopped follower before the push was acknowledged anywhere else still
    shows that push, since it is answered after."""
    c, (name, push) = own_cluster, repo
    f, shard = c.followers(name)[0], c.shard(name)
    c.do("pause", f)
    sha = push()
    got = []
    t = threading.Thread(target=lambda: got.append(direct.refs_of(c, f, name, shard=shard)))
    t.start()
    c.do("resume", f)
    t.join()
    status, refs, _ = got[0]
    assert status == 200 and refs["refs/heads/main"] == sha


def test_lagging_follower_and_a_new_beginning(own_cluster, git, tmp_path, new_name):
    """A repository is deleted and made anew under its name while a follower is stopped: reads that wait
    there for the old one must not show the new one half-way, or none."""
    c, name = own_cluster, new_name("anew")
    work = git.init(tmp_path / "w")
    c.create(name)
    git.commit(work)
    git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work)
    c.wait_equal(name)
    f, shard = c.followers(name)[0], c.shard(name)
    for _ in range(2):
        c.do("pause", f)
        c.ctl("repo", "delete", name)
        c.create(name)
        for _ in range(8):  # not small, so that the follower takes a moment over them
            sha = git.commit(work, text=os.urandom(60_000).hex())
            git.run("push", "-q", c.url(name), "+HEAD:refs/heads/main", cwd=work)
        got = []
        readers = [threading.Thread(target=lambda: got.append(direct.refs_of(c, f, name, shard=shard)))
                   for _ in range(4)]
        for t in readers:
            t.start()
        c.do("resume", f)
        for t in readers:
            t.join()
        for status, refs, fields in got:
            assert status == 200 and refs.get("refs/heads/main") == sha, (status, refs, fields, sha)


def test_wrong_node_is_told(own_cluster, repo):
    """A follower refuses a push's advertisement with 421 and says who is primary."""
    import subprocess
    c, (name, push) = own_cluster, repo
    f = c.followers(name)[0]
    shard = c.shard(name)
    p = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-m", "20", "-D", "-", "-o", "/dev/null",
         "-H", "gitshard-request: 0123456789abcdef", "-H", "gitshard-map: 1",
         "-H", f"gitshard-shard: {shard}", "-H", "gitshard-epoch: 0", "-X", "POST",
         "-H", "content-type: application/x-git-receive-pack-request",
         f"http://{c.listen(f)}/git/{name}.git/git-receive-pack"], capture_output=True, text=True)
    assert " 421" in p.stdout[:20], p
    fields = dict(l.split(": ", 1) for l in p.stdout.splitlines()[1:] if ": " in l)
    number = c.json(c.primary(name), "/status")["number"]
    assert int(fields["gitshard-primary"]) == number and int(fields["gitshard-epoch"]) >= 1


def test_idle_shard_writes_nothing(own_cluster, repo):
    """No reads, no pushes: no barrier either."""
    c, (name, push) = own_cluster, repo
    shard, p = c.shard(name), c.primary(name)
    time.sleep(2.5)  # what the last read renewed runs out
    before = c.shard_state(p, shard)["position"]
    time.sleep(3)
    assert c.shard_state(p, shard)["position"] == before


def test_repeated_push_is_answered(own_cluster, repo, git, tmp_path):
    """libcurl sends a POST again when a connection dies unanswered: the answer is ok, and nothing
    is appended."""
    from harness import rawhttp
    c, (name, push) = own_cluster, repo
    work = tmp_path / "w"
    old = git.out("rev-parse", "HEAD", cwd=work)
    new = git.commit(work)
    pack = git.pack(work, [new], [old])
    shard, p = c.shard(name), c.primary(name)
    cmds = [(old, new, "refs/heads/main"), (gitrun_null(), new, "refs/heads/created")]
    for i in range(3):
        _, report = rawhttp.push(c.url(name), cmds, pack)
        assert report == {"unpack": "ok", "refs/heads/main": "ok", "refs/heads/created": "ok"}, (i, report)
    drop = [(new, gitrun_null(), "refs/heads/created")]
    for i in range(2):
        _, report = rawhttp.push(c.url(name), drop)
        assert report == {"unpack": "ok", "refs/heads/created": "ok"}, (i, report)
    c.wait_equal(name)
    assert "refs/heads/created" not in c.dumps(name)["refs"]
    applied = c.repo(p, name)["applied"]
    _, report = rawhttp.push(c.url(name), drop)
    assert report["refs/heads/created"] == "ok" and c.repo(p, name)["applied"] == applied
    assert shard == c.shard(name)
    c.nothing_left(name)


def gitrun_null():
    return "0" * 40


def test_reads_are_counted(own_cluster, git, repo, tmp_path):
    c, (name, _) = own_cluster, repo

    def counts():
        return [sum(c.metric(n, "gitshard_fetches_total", kind=k) for n in c.nodes)
                for k in ("info_refs", "ls_refs", "upload_pack")]
    before = counts()
    git.run("clone", "-q", c.url(name), tmp_path / "clone")
    info, ls_refs, upload_pack = (b - a for a, b in zip(before, counts()))
    assert (info, ls_refs) == (1, 1) and upload_pack >= 1
