"""Names: renamed repositories, repositories in a shard of their own, through every router; and the
primary killed at each step of it."""
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time
import urllib.parse

import pytest

from harness import direct, gitrun, rawhttp
from harness.cluster import LOG
from harness.wait import wait_for

OPTIONS = {"build": "debug", "shards": 4, "routers": 2, "sets": ["node.auto_create=no"]}
SEED = 20260137


@pytest.fixture
def c(own_cluster):
    c = own_cluster
    yield c
    for n in c.nodes:
        c.raw("resume", str(c.dir), n, check=False)
        c.raw("start", str(c.dir), n, check=False)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready again")


def where(c, repo):
    return c.ctl_json("where", repo)


def name_in(c, new_name, shard, other=False):
    """A free name whose hash says that shard, or another one."""
    for _ in range(200):
        name = new_name("n")
        if (where(c, name)["shard"] == shard) != other:
            return name
    raise AssertionError(f"no name for shard {shard}")


def names(c):
    return {r["repo"]: r["id"] for r in c.ctl_json("repo", "list")["repos"]}


class User:
    def __init__(self, c, repo, path):
        self.c, self.git = c, gitrun.Git(path / "home")
        self.work = self.git.init(path / "w")
        c.create(repo)
        self.push(repo)

    def push(self, repo, router=1, check=True):
        self.sha = self.git.commit(self.work)
        return self.git.run("push", "-q", self.c.url(repo, router), "HEAD:refs/heads/main", cwd=self.work,
                            check=check)

    def sees(self, repo):
        """What each router says of main, at once; None: there is no such repository."""
        seen = set()
        for router in (1, 2):
            r = self.git.run("ls-remote", self.c.url(repo, router), "refs/heads/main", check=False)
            assert r.ok or "not found" in r.err or "not exist" in r.err, r
            seen.add(r.out.split()[0] if r.ok else None)
        assert len(seen) == 1, seen
        return seen.pop()


def is_new_name(c, u, old, new, shard, by="directory"):
    """Everything is under the new name, in the same shard, and nothing under the old one."""
    assert u.sees(new) == u.sha
    assert u.sees(old) is None
    for router in (2, 1):
        u.push(new, router)
        assert u.sees(new) == u.sha
    w = where(c, new)
    assert (w["exists"], w["shard"], w["by"]) == (True, shard, by), w
    assert not where(c, old)["exists"]
    wait_for(lambda: not any(c.repo_dir(n, old).exists() for n in c.nodes), 10, "old folders are gone")
    return c.dumps(new)


def test_rename_and_back(c, tmp_path, new_name):
    old = new_name()
    u = User(c, old, tmp_path)
    before = where(c, old)
    new = name_in(c, new_name, before["shard"], other=True)
    third = name_in(c, new_name, before["shard"])
    done = c.ctl_json("repo", "rename", old.upper(), new)
    assert (done["repo"], done["id"], done["shard"]) == (new, before["id"], before["shard"])
    is_new_name(c, u, old, new, before["shard"])
    assert "by the directory" in c.ctl("where", new).stdout
    assert "*" in next(line for line in c.ctl("repo", "list").stdout.splitlines() if new in line)
    c.ctl("repo", "rename", new, third)
    is_new_name(c, u, new, third, before["shard"], by="hash")
    c.ctl("repo", "rename", third, new)
    c.ctl("repo", "rename", new, old)
    is_new_name(c, u, new, old, before["shard"], by="hash")
    assert where(c, old)["id"] == before["id"]
    # the names are free again, in the shard that they have now
    for name in (new, third):
        c.create(name)
        assert where(c, name)["shard"] == before["shard"]
    c.nothing_left(old)


def test_refused(c, tmp_path, new_name):
    old, other = new_name(), new_name()
    u = User(c, old, tmp_path)
    c.create(other)
    before = names(c)
    for args, words, code in [((old, other), "exists already", 1), ((old, old), "its name already", 1),
                              (("x/nobody", new_name()), "does not exist", 1),
                              ((old, old + ".wiki"), "a wiki goes with its repository", 1),
                              ((old, "nonsense"), "", 2), ((old, "a/b/c"), "", 2),
                              ((old, "a/-b"), "", 2), ((old,), "usage", 2)]:
        p = c.ctl("repo", "rename", *args, check=False)
        assert p.returncode == code and words in p.stderr, (args, p)
    p = c.ctl("repo", "rename", "x/nobody", other, check=False)
    assert "does not exist" in p.stderr
    status, text = c.http(c.nodes[0], f"/v1/repos/rename?repo={old}&to={other}&id=zz", "POST")
    assert status == 400 and json.loads(text)["code"] == "bad", text
    status, text = c.http(c.primary(old), f"/v1/repos/rename?repo={old}&to=n/new&id={'ab' * 16}", "POST")
    assert status == 409 and json.loads(text)["code"] == "conflict", text
    assert names(c) == before
    u.push(old)
    assert where(c, old)["by"] == where(c, other)["by"] == "hash"


def test_wiki_goes_along(c, tmp_path, new_name):
    old, taken = new_name(), new_name()
    u = User(c, old, tmp_path / "u")
    v = User(c, old + ".wiki", tmp_path / "v")
    shard, ids = where(c, old)["shard"], names(c)
    new = name_in(c, new_name, shard, other=True)
    c.ctl("repo", "rename", old, new)
    assert u.sees(new) == u.sha and v.sees(new + ".wiki") == v.sha
    assert u.sees(old) is None and v.sees(old + ".wiki") is None
    assert names(c)[new + ".wiki"] == ids[old + ".wiki"]
    # a name whose wiki exists is taken, whichever shard it has
    c.create(taken + ".wiki")
    p = c.ctl("repo", "rename", new, taken, check=False)
    assert p.returncode == 1 and "exists already" in p.stderr, p
    assert u.sees(new) == u.sha and v.sees(new + ".wiki") == v.sha
    # the place stays while one of the two is there
    c.ctl("repo", "delete", new)
    assert where(c, new + ".wiki")["by"] == "directory" and v.sees(new + ".wiki") == v.sha
    c.ctl("repo", "delete", new + ".wiki")


def test_pinned(c, tmp_path, new_name):
    name = new_name("pin")
    by_hash = where(c, name)["shard"]
    shard = (by_hash + 1) % 4
    done = c.ctl_json("repo", "create", name, "--shard", str(shard))
    assert done["shard"] == shard
    u = User.__new__(User)
    u.c, u.git = c, gitrun.Git(tmp_path / "home")
    u.work = u.git.init(tmp_path / "w")
    for router in (2, 1):
        u.push(name, router)
        assert u.sees(name) == u.sha
    assert (where(c, name)["shard"], where(c, name)["by"]) == (shard, "directory")
    for args, words, code in [(("--shard", str(shard)), "exists already", 1),
                              (("--shard", str(by_hash)), "exists already", 1), ((), "exists already", 1),
                              (("--shard", "4"), "--shard", 2), (("--shard", "x"), "--shard", 2)]:
        p = c.ctl("repo", "create", name, *args, check=False)
        assert p.returncode == code and words in p.stderr, (args, p)
    # one that exists where its hash says is not moved
    plain = new_name("plain")
    c.create(plain)
    at = where(c, plain)["shard"]
    p = c.ctl("repo", "create", plain, "--shard", str((at + 1) % 4), check=False)
    assert p.returncode == 1 and "exists already" in p.stderr and "not moved" in p.stderr, p
    assert (where(c, plain)["shard"], where(c, plain)["by"]) == (at, "hash")
    status, text = c.http(c.nodes[0], "/v1/repos", "POST", {"repo": new_name(), "shard": 99})
    assert status == 400 and "there is no shard 99" in text, text
    # deleting frees the name, in its shard
    for n, stays in ((name, shard), (plain, at)):
        c.ctl("repo", "delete", n)
        assert not where(c, n)["exists"] and where(c, n)["shard"] == stays
        p = c.ctl("repo", "create", n, "--shard", str((stays + 1) % 4), check=False)
        assert p.returncode == 4 and f"is a name of shard {stays}" in p.stderr, p
        assert u.sees(n) is None
        c.create(n)
        u.push(n, 2)
        assert u.sees(n) == u.sha and where(c, n)["shard"] == stays
        c.dumps(n)


POINTS = ["rename.name", "rename.wiki", "life.committed"]


@pytest.mark.parametrize("point", POINTS)
def test_primary_killed_in_rename(c, tmp_path, new_name, point):
    """Whatever step it dies at: nothing is lost, and the same command finishes it."""
    u, v = None, None
    home = new_name()
    shard = (where(c, home)["shard"] + 1) % 4
    c.ctl("repo", "create", home, "--shard", str(shard))
    u = User.__new__(User)
    u.c, u.git = c, gitrun.Git(tmp_path / "home")
    u.work = u.git.init(tmp_path / "w")
    u.push(home)
    v = User(c, home + ".wiki", tmp_path / "v")
    ids = names(c)
    new = name_in(c, new_name, shard, other=True)
    p = c.primary(home)
    c.fault(p, point)
    first = c.ctl("--timeout", "6s", "repo", "rename", home, new, check=False)
    wait_for(lambda: c.http(p, "/healthz")[0] == 0, 10, f"{p} died at {point}")
    assert first.returncode != 0 and first.stderr, first
    c.do("start", p)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready")
    # one of the two names has it, and only one
    assert [u.sees(home), u.sees(new)].count(u.sha) == 1
    assert [v.sees(home + ".wiki"), v.sees(new + ".wiki")].count(v.sha) == 1
    again = c.ctl("repo", "rename", home, new, check=False)
    assert again.returncode == 0 and ids[home] in again.stdout, again
    assert (names(c)[new], names(c)[new + ".wiki"]) == (ids[home], ids[home + ".wiki"])
    is_new_name(c, u, home, new, shard)
    assert v.sees(new + ".wiki") == v.sha
    c.nothing_left(new)


@pytest.mark.parametrize("point", ["create.name", "life.committed"])
def test_primary_killed_in_create_and_delete(c, new_name, point):
    name, other = new_name(), new_name()
    shard = str((where(c, name)["shard"] + 1) % 4)
    creates = point.startswith("create")
    args = ("repo", "create", name, "--shard", shard) if creates else ("repo", "delete", name)
    if not creates:
        c.ctl("repo", "create", name, "--shard", shard)
    c.ctl("repo", "create", other, "--shard", shard)
    p = c.primary(other)
    c.fault(p, point)
    first = c.ctl("--timeout", "6s", *args, check=False)
    wait_for(lambda: c.http(p, "/healthz")[0] == 0, 10, f"{p} died at {point}")
    assert first.returncode != 0 and first.stderr, first
    c.do("start", p)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready")
    assert where(c, name)["by"] == "directory" and not where(c, name)["exists"]
    again = c.ctl(*args, check=False)
    assert (again.returncode == 0) == creates, again  # what was deleted is not there
    assert where(c, name)["exists"] == creates


def test_primary_dies_behind_another_node(c, new_name):
    """What a node handed on to a primary that died of it may have been done: nobody is told to try again."""
    name, other = new_name(), new_name()
    c.create(name)
    c.ctl("repo", "create", other, "--shard", str(where(c, name)["shard"]))
    p = c.primary(name)
    follower = c.followers(name)[0]
    c.fault(p, "life.committed")
    status, text = c.http(follower, f"/v1/repos?repo={name}", "DELETE")
    assert json.loads(text)["code"] == "unknown" and "may have been done or not" in text, (status, text)
    wait_for(lambda: c.http(p, "/healthz")[0] == 0, 10, f"{p} died")
    c.do("start", p)
    wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 30, "all ready")
    assert not where(c, name)["exists"] and where(c, other)["exists"]


def leaders(c):
    """{shard: node}; None while one has no primary."""
    found = {s["shard"]: n for n in c.nodes for s in c.json(n, "/status")["shards"] if s["role"] == "primary"}
    return found if len(found) == 4 else None


def directory_end(c):
    with sqlite3.connect(f"file:{c.dir}/log.db?mode=ro", uri=True) as db:
        row = db.execute("SELECT next FROM stream WHERE stream = 0xfffffffd").fetchone()
    return row[0] if row else 0


@pytest.mark.skipif(LOG != "file", reason="looks into the log's file")
def test_stop_while_a_name_is_asked_for(make_cluster, new_name):
    """A node is stopped at once while a push that makes its repository waits for another shard's word."""
    c = make_cluster("stop", build="debug", shards=4, sets=["node.auto_create=yes"])
    leads = wait_for(lambda: leaders(c), 30, "a primary each")
    name = new_name()
    by_hash = where(c, name)["shard"]
    asked = leads[by_hash]
    shard = next(s for s in leads if leads[s] != asked)
    mine = leads[shard]
    c.ctl("repo", "create", name, "--shard", str(shard))
    c.ctl("repo", "delete", name)
    before = directory_end(c)
    c.do("pause", asked)
    push = threading.Thread(target=lambda: rawhttp.push(
        c.url(name), [("0" * 40, "1" * 40, "refs/heads/main")], rawhttp.empty_pack()))
    push.start()
    wait_for(lambda: directory_end(c) > before, 10, "the name is put")
    os.kill(c.pid(mine), signal.SIGINT)
    wait_for(lambda: c.http(mine, "/healthz")[0] == 0, 10, f"{mine} ends")
    c.do("resume", asked)
    c.raw("start", str(c.dir), mine)
    push.join()
    c.down()


def test_node_that_was_away(make_cluster, tmp_path, new_name):
    """A node reads the log of one shard before that of another: names that went from one to the other
    meanwhile come right, and nobody is told that they are not there."""
    c = make_cluster("away", build="debug", shards=2, routers=2, sets=["node.auto_create=no"])
    keep = [new_name(), new_name()]
    for i, k in enumerate(keep):
        c.ctl("repo", "create", k, "--shard", str(i))
    away = next(n for n in c.nodes if all(c.primary(k) != n for k in keep))
    name = new_name()
    u = User(c, name, tmp_path)
    shard = where(c, name)["shard"]
    new = name_in(c, new_name, shard, other=True)
    c.wait_equal(name)
    c.do("kill", away)
    for _ in range(6):
        c.ctl("repo", "rename", name, new)
        c.ctl("repo", "create", name)
        p = c.ctl("repo", "rename", keep[1 - shard], new_name())
        keep[1 - shard] = p.stdout.split()[3]
        for taken in (name, new):  # names stay with their shard
            assert c.ctl("repo", "rename", keep[1 - shard], taken, check=False).returncode != 0
        c.ctl("repo", "delete", name)
        assert c.ctl("repo", "rename", keep[1 - shard], name, check=False).returncode == 4
        c.ctl("repo", "rename", new, name)
    c.ctl("repo", "rename", name, new)
    c.do("start", away)
    wait_for(lambda: all(s["halted"] is None for s in c.json(away, "/status")["shards"]), 20, "it goes on")
    status, refs, _ = direct.refs_of(c, away, new)
    assert status == 200 and refs["refs/heads/main"] == u.sha, (status, refs)
    is_new_name(c, u, name, new, shard)
    c.down()


class Load:
    """People who push and fetch what one after the other calls by two names."""

    def __init__(self, c, pair, path, n):
        self.c, self.pair, self.n = c, pair, n
        self.git = gitrun.Git(path / "home")
        self.work = self.git.init(path / "w")
        self.acked, self.failed, self.wrong, self.seen = [], 0, None, 0

    def push(self, dice):
        sha = self.git.commit(self.work)
        while True:
            url = self.c.url(dice.choice(self.pair), dice.choice((1, 2)))
            r = self.git.run("push", "-q", url, f"HEAD:refs/heads/b{self.n}", cwd=self.work, check=False)
            if r.ok:
                self.acked.append(sha)
                return
            self.failed += 1
            if stop_at(self):
                return

    def read(self, dice):
        known = self.acked[-1] if self.acked else None
        url = self.c.url(dice.choice(self.pair), dice.choice((1, 2)))
        r = self.git.run("ls-remote", url, f"refs/heads/b{self.n}", check=False)
        if not r.ok:
            return
        self.seen += 1
        got = r.out.split()[0] if r.out else None
        if known is not None and got != known:
            self.wrong = f"{url}: {got}, {known} was acknowledged"


def stop_at(user):
    return user.stop.is_set()


def own_hook(c, repo, name, text):
    c.wait_equal(repo)  # the folder is there, under this name
    for n in c.nodes:
        hook = c.repo_dir(n, repo) / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\n" + text)
        hook.chmod(0o755)


def test_push_under_way(c, tmp_path, new_name):
    """A push that git still receives when its repository gets another name is ended with words, and leaves
    nothing where the folder was; one that was answered ends its hooks in peace."""
    old, new, third = (new_name() for _ in range(3))
    u = User(c, old, tmp_path / "u")
    v = User(c, new_name(), tmp_path / "v")
    there, go, late, end = (tmp_path / w for w in ("there", "go", "late", "end"))
    own_hook(c, old, "pre-receive", f"echo here >{there}; while [ ! -e {go} ]; do sleep 0.02; done")
    told = []
    before = u.sha
    pushing = threading.Thread(target=lambda: told.append(u.push(old, check=False)))
    pushing.start()
    wait_for(there.exists, 20, "git runs the hook")
    c.ctl("repo", "rename", old, new)
    pushing.join()
    assert not told[0].ok and "the repository was renamed meanwhile; push again" in told[0].err, told
    assert u.sees(new) == before
    go.touch()
    own_hook(c, new, "pre-receive", "exit 0")
    own_hook(c, new, "post-receive", f"echo begun >{late}; while [ ! -e {end} ]; do sleep 0.02; done; "
             f"echo done >{late}")
    pushing = threading.Thread(target=lambda: told.append(u.push(new)))
    pushing.start()
    wait_for(late.exists, 20, "git runs the later hook")
    there.unlink()
    own_hook(c, new, "pre-receive", f"echo here >{there}")
    renaming = threading.Thread(target=lambda: c.ctl("repo", "rename", new, third))
    p = c.primary(new)
    wait_for(lambda: c.metric(p, "gitshard_write_locks_held") == 0, 20, "the answered push holds it no more")
    renaming.start()
    wait_for(lambda: c.metric(p, "gitshard_write_locks_held") == 1, 20, "the rename holds the write lock")
    other = threading.Thread(target=lambda: told.append(v.git.run(
        "push", "-q", c.url(new), "HEAD:refs/heads/side", cwd=v.work, check=False)))
    other.start()  # it comes to wait for the write lock, which the rename has
    wait_for(there.exists, 20, "git runs the hook")
    end.touch()
    for t in (pushing, renaming, other):
        t.join()
    assert late.read_text() == "done\n"
    assert not told[-1].ok and "the repository was renamed meanwhile; push again" in told[-1].err, told
    own_hook(c, third, "pre-receive", "exit 0")
    own_hook(c, third, "post-receive", "exit 0")
    u.push(third)
    assert u.sees(third) == u.sha
    c.dumps(third)
    no_strangers(c)
    c.nothing_left(third)


@contextlib.contextmanager
def proc_receive(c, node, text):
    """Meanwhile git finds this on the node instead of ours."""
    hook = c.root(node) / ".gitshard/hooks/proc-receive"
    ours = os.readlink(hook)
    hook.unlink()
    hook.write_text("#!/bin/sh\n" + text + "\n")
    hook.chmod(0o755)
    try:
        yield
    finally:
        hook.unlink()
        hook.symlink_to(ours)


def test_late_push_of_a_deleted_repository(c, tmp_path, new_name):
    """It ends when another repository has its name, and the same pack in it: that stays."""
    name = new_name()
    c.create(name)
    p, git = c.primary(name), gitrun.Git(tmp_path / "home")
    work = git.init(tmp_path / "w")
    git.commit(work)
    there, go, told = tmp_path / "there", tmp_path / "go", []

    def push():
        return git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work, check=False)

    def packs():
        return sorted(f.name for f in (c.repo_dir(p, name) / "objects/pack").glob("pack-*.pack"))
    with proc_receive(c, p, f"echo here >{there}; while [ ! -e {go} ]; do sleep 0.02; done; exit 1"):
        pushing = threading.Thread(target=lambda: told.append(push()))
        pushing.start()
        wait_for(there.exists, 20, "git runs the hook")
    was = packs()
    c.ctl("repo", "delete", name)
    c.create(name)
    assert push().ok and packs() == was
    go.touch()
    pushing.join()
    assert not told[0].ok
    wait_for(lambda: c.metric(p, "gitshard_pushes_active") == 0, 10, "both are over")
    assert packs() == was
    c.dumps(name)


def test_push_between_its_hooks(c, tmp_path, new_name):
    """Its objects have left their quarantine and no record names them: they go with it."""
    old, new = new_name(), new_name()
    u = User(c, old, tmp_path / "u")
    c.dumps(old)
    p = c.primary(old)

    def packs(repo):
        return sorted(f.name for f in (c.repo_dir(p, repo) / "objects/pack").glob("pack-*"))
    before, there = packs(old), tmp_path / "there"
    told = []
    with proc_receive(c, p, f"echo here >{there}; exec sleep 1000"):
        pushing = threading.Thread(target=lambda: told.append(u.push(old, check=False)))
        pushing.start()
        wait_for(there.exists, 20, "git runs the hook")
        assert packs(old) != before
        c.ctl("repo", "rename", old, new)
        pushing.join()
    assert not told[0].ok and "the repository was renamed meanwhile; push again" in told[0].err, told
    wait_for(lambda: packs(new) == before, 10, lambda: f"what was pushed is gone: {packs(new)}, {before}")
    u.push(new)
    c.dumps(new)
    c.nothing_left(new)


def test_push_that_comes_slowly(c, tmp_path, new_name):
    """The name counts that the repository has when git begins: a push that is still sending its commands
    then does not go to what had the name before."""
    old, new = new_name(), new_name()
    u = User(c, old, tmp_path / "u")
    u.git.run("push", "-q", c.url(old), "HEAD:refs/heads/side", cwd=u.work)
    p = c.primary(old)
    body = rawhttp.push_body([(u.sha, "0" * 40, "refs/heads/side")])
    url = urllib.parse.urlsplit(c.url(old))
    wait_for(lambda: c.metric(p, "gitshard_pushes_active") == 0, 10, "the last push is over")
    with socket.create_connection((url.hostname, url.port), 20) as s:
        s.sendall((f"POST {url.path}/git-receive-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                   "Content-Type: application/x-git-receive-pack-request\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body[:10])
        wait_for(lambda: c.metric(p, "gitshard_pushes_active") == 1, 10, "the push is at the node")
        c.ctl("repo", "rename", old, new)
        s.sendall(body[10:])
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    assert b"renamed or deleted meanwhile; push again" in answer, answer
    assert "refs/heads/side" in c.dumps(new)["refs"]
    no_strangers(c)


def no_strangers(c):
    for n in c.nodes:
        assert "layout.stranger" not in (c.dir / "log" / f"{n}.log").read_text(errors="replace"), n


def test_under_load(c, tmp_path, new_name):
    """Renamed back and forth while people push and fetch by both names through both routers: a read
    that is answered shows all that was acknowledged, and no push is lost."""
    a = new_name("load")
    c.create(a)
    shard = where(c, a)["shard"]
    b = name_in(c, new_name, shard, other=True)
    stop = threading.Event()
    users = [Load(c, (a, b), tmp_path / f"u{i}", i) for i in range(4)]

    def run(u):
        dice = random.Random(SEED + u.n)
        while not stop.is_set() and u.wrong is None:
            u.push(dice)
            u.read(dice)
    for u in users:
        u.stop = stop
    threads = [threading.Thread(target=run, args=(u,)) for u in users]
    for t in threads:
        t.start()
    renames, end = 0, time.monotonic() + 12
    names_ = (a, b)
    try:
        while time.monotonic() < end or renames <= 5 or not all(u.seen or u.wrong for u in users):
            c.ctl("repo", "rename", names_[renames % 2], names_[1 - renames % 2])
            renames += 1
            before = sum(len(u.acked) for u in users)  # let some pushes through before the next one
            wait_for(lambda: sum(len(u.acked) for u in users) >= before + 4, 20, "pushes go on")
    finally:
        stop.set()
        for t in threads:
            t.join()
    now = names_[renames % 2]
    assert [u.wrong for u in users] == [None] * 4
    assert renames > 5 and all(u.seen for u in users)
    refs = c.dumps(now)["refs"]
    for u in users:
        have = set(u.git.out("rev-list", refs[f"refs/heads/b{u.n}"],
                             cwd=c.repo_dir(c.nodes[0], now)).split())
        assert not [s for s in u.acked if s not in have]
    no_strangers(c)
    print(f"{renames} renames, {sum(len(u.acked) for u in users)} pushes, "
          f"{sum(u.failed for u in users)} pushes told to come again")
    c.nothing_left(now)


def test_rivals(c, new_name):
    """Many want one name at once, from several shards, by create, pin and rename: one gets it."""
    for turn in range(4):
        name = new_name("rival")
        olds = []
        for shard in range(4):
            olds.append(new_name())
            c.ctl("repo", "create", olds[-1], "--shard", str(shard))
        jobs = [("repo", "rename", old, name) for old in olds]
        jobs += [("repo", "create", name, "--shard", str(s)) for s in range(4)] + [("repo", "create", name)]
        random.Random(SEED + turn).shuffle(jobs)
        done = []
        threads = [threading.Thread(target=lambda j=j: done.append((j, c.ctl(*j, check=False))))
                   for j in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        won = [j for j, p in done if p.returncode == 0]
        assert len(won) == 1, [(j, p.returncode, p.stderr) for j, p in done]
        list_ = c.ctl_json("repo", "list")["repos"]
        assert [r["repo"] for r in list_].count(name) == 1
        left = [o for o in olds if won[0][:3] != ("repo", "rename", o)]
        assert all([r["repo"] for r in list_].count(o) == 1 for o in left)
        for n in c.nodes:
            assert all(s["halted"] is None for s in c.json(n, "/status")["shards"])
        for r in (*left, name):
            c.ctl("repo", "delete", r)
        assert not where(c, name)["exists"]
