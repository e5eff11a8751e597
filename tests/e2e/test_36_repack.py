"""Few packs: a repository that is pushed to without end stays quick, and nobody notices the repacks."""
import json
import os
import random
import subprocess
import threading
import time

import pytest

from harness import gitrun, history, packs
from harness.disk import Disk
from harness.wait import wait_for

PUSHES = int(os.environ.get("GITSHARD_PUSHES", "300"))
OPTIONS = {"build": "debug", "shards": 4, "sets": ["node.inline_max=8K"]}
FEW = 50


def many_commits(git, path, n):
    """A bare repository with n commits in a line, as ids, oldest first.  Their trees stay as large as they
    are after 200 commits: git's own work for a push grows with the tree."""
    src = git.init(path, "--bare")
    history.feed(git, src, lambda out: history.commits(out, history.Marks(), "refs/heads/src", n, fan=1))
    return src, git.out("rev-list", "--reverse", "refs/heads/src", cwd=src).split()


class Noise:
    """A work tree whose pushes are large enough to be staged."""

    def __init__(self, c, git, path, repo):
        self.c, self.git, self.repo = c, git, repo
        self.work = git.init(path)
        self.random = random.Random(7)
        c.create(repo)

    def push(self, size=20_000, ref="main"):
        (self.work / "noise").write_bytes(self.random.randbytes(size))
        self.git.tick()
        self.git.run("add", "noise", cwd=self.work)
        self.git.run("commit", "-q", "-m", "noise", cwd=self.work)
        self.git.run("push", "-q", self.c.url(self.repo), f"HEAD:refs/heads/{ref}", cwd=self.work)


def push_until_few(u, nodes):
    """A repack in the middle of some pushes leaves what came after it for the next one, for which more
    pushes are needed."""
    def counts():
        return [packs.count(u.c, n, u.repo) for n in nodes]

    def few():
        packs.at_rest(u.c, nodes)
        return max(counts()) < 8 or u.push()
    wait_for(few, 30, lambda: f"few packs: {counts()}")


def failure(c, name, repo):
    """A node's last failed repack, when it was of this repository."""
    last = c.json(name, "/status")["repack"].get("last_failure")
    return last if last and last["repo"] == repo else None


def p50(values):
    return sorted(values)[len(values) // 2]


def test_pushes_without_end(make_cluster, git, tmp_path, new_name):
    """GITSHARD_PUSHES pushes to one repository, while somebody fetches from it over and over."""
    c = make_cluster("many", build="release", shards=4)
    src, ids = many_commits(git, tmp_path / "src.git", PUSHES)
    repo = new_name("many")
    url = c.create(repo)
    seconds, most, stop, wrong, fetches = [], {n: 0 for n in c.nodes}, threading.Event(), [], []

    def reader():
        user = gitrun.Git(tmp_path / "reader")
        into = user.init(tmp_path / "reader.git", "--bare")
        while not stop.wait(0.2):
            at = len(seconds)  # pushes that were answered before
            r = user.run("fetch", "-q", url, "+refs/heads/*:refs/heads/*", cwd=into, check=False)
            if not r.ok:
                wrong.append(str(r))
                return
            if at > 0 and not user.run("cat-file", "-e", ids[at - 1], cwd=into, check=False).ok:
                wrong.append(f"push {at} was answered, and a fetch after it does not have it")
                return
            fetches.append(at)
        wrong.extend(filter(None, [gitrun.fsck(user, into)[1]]))
    thread = threading.Thread(target=reader)
    thread.start()
    try:
        for i, sha in enumerate(ids):
            begin = time.monotonic()
            git.run("push", "-q", url, f"{sha}:refs/heads/main", cwd=src)
            seconds.append(time.monotonic() - begin)
            if i % 10 == 0:
                for n in c.nodes:
                    most[n] = max(most[n], packs.count(c, n, repo))
            assert not wrong, wrong[0]
    finally:
        stop.set()
        thread.join()
    assert not wrong, wrong[0]
    tenth = max(1, min(1000, PUSHES // 10))
    first, last = p50(seconds[:tenth]), p50(seconds[-tenth:])
    print(f"\n{PUSHES} pushes in {sum(seconds):.1f} s: p50 of the first {tenth} {first * 1000:.1f} ms, of the"
          f" last {last * 1000:.1f} ms, ratio {last / first:.2f}; most packs {most}; {len(fetches)} fetches;"
          f" repacks {[len(packs.done(c, n)) for n in c.nodes]}")
    assert max(most.values()) < FEW, most
    assert c.dumps(repo)["refs"]["refs/heads/main"] == ids[-1]
    for n in c.nodes:
        assert packs.done(c, n), f"{n} never repacked"
        assert packs.count(c, n, repo) < 20
        assert (packs.folder(c, n, repo) / "multi-pack-index").exists()
        assert c.json(n, "/status")["repack"]["failed"] == 0
        assert c.metric(n, "gitshard_repacks_total", end="failed") == 0
    spans = sorted(s for n in c.nodes for s in packs.times(c, n))
    for (_, end), (begin, _) in zip(spans, spans[1:]):
        assert begin > end - 0.05, "two members of a shard repacked at the same time"
    c.nothing_left(repo)


def test_a_late_member_gets_what_was_rolled_up(own_cluster, git, tmp_path, new_name):
    """Its staged packs are in larger ones by now: they are made anew for it, from any member."""
    c = own_cluster
    u = Noise(c, git, tmp_path / "w", new_name("late"))
    u.push()
    c.wait_equal(u.repo)
    late = c.followers(u.repo)[0]
    others = [n for n in c.nodes if n != late]
    c.do("stop", late)
    for _ in range(10):
        u.push()
    wait_for(lambda: all(packs.count(c, n, u.repo) < 8 and len(packs.kept(c, n)) >= 8 for n in others), 30,
             lambda: f"rolled up: {[(packs.count(c, n, u.repo), len(packs.kept(c, n))) for n in others]}")
    before = objects_of(c, git, others[0], u.repo)
    wait_for(lambda: on_their_way(c, c.primary(u.repo)) == 0, 30, "no copy of a push waits for the late one")
    c.do("start", late)
    c.dumps(u.repo)
    assert objects_of(c, git, late, u.repo) == before
    assert c.metric(late, "gitshard_packs_fetched_total") >= 8
    # What came that way can be rolled up in turn, and be given on.
    for _ in range(8):
        u.push()
    wait_for(lambda: len(packs.kept(c, late)) >= 8, 30, lambda: f"rolled up: {packs.kept(c, late)}")
    packs.at_rest(c, c.nodes)
    both = sorted(packs.kept(c, late) & packs.kept(c, others[0]))
    assert both
    for sha256 in both:
        assert objects_given(c, git, late, u.repo, sha256, tmp_path) == \
            objects_given(c, git, others[0], u.repo, sha256, tmp_path)
    c.nothing_left(u.repo)


def on_their_way(c, name):
    return sum(c.metric(name, f"gitshard_stage_{what}") for what in ("sending", "lingering", "waiting"))


def objects_of(c, git, name, repo):
    """All that a node's folder has, while no repack takes packs away from the one who looks."""
    return c.at_one_moment(repo, [name], lambda: gitrun.all_objects(git, c.repo_dir(name, repo)))


def objects_given(c, git, name, repo, sha256, tmp_path):
    """The objects of a pack, as a node gives it to a member that asks."""
    id_ = c.repo(name, repo)["id"]
    p = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-m", "30", "-D", str(tmp_path / "head"),
                        "-o", str(tmp_path / "body"), "-H", f"gitshard-shard: {c.shard(repo)}",
                        "-H", f"gitshard-repo: {id_}", "-H", f"gitshard-pack: {sha256}:1",
                        f"http://{c.listen(name)}/gs/pack"], capture_output=True, text=True, timeout=40)
    assert p.returncode == 0, p.stderr
    lines = (tmp_path / "head").read_text().split("\n")
    fields = dict(l.strip().lower().split(": ", 1) for l in lines if ": " in l)
    assert lines[0].split()[1] == "200" and fields["gitshard-made"] == "yes", lines
    size = int(fields["gitshard-pack"].split(":")[1])
    pack = tmp_path / "given.pack"
    pack.write_bytes((tmp_path / "body").read_bytes()[:size])
    out = git.init(tmp_path / f"given-{name}-{sha256[:8]}.git", "--bare")
    git.run("index-pack", pack, "-o", out / "objects/pack/pack-1.idx", cwd=out)
    pack.rename(out / "objects/pack/pack-1.pack")
    return gitrun.all_objects(git, out)


@pytest.mark.parametrize("point", ["roll-in", "roll-out"])
def test_killed_in_the_exchange(own_cluster, git, tmp_path, new_name, point):
    c = own_cluster
    u = Noise(c, git, tmp_path / "w", new_name("killed"))
    u.push()
    victim = c.followers(u.repo)[0]
    c.wait_equal(u.repo)
    c.fault(victim, point)
    for _ in range(12):
        u.push()
    wait_for(lambda: c.http(victim, "/healthz")[0] == 0, 20, f"{victim} died at {point}")
    c.do("start", victim)
    c.dumps(u.repo)
    for _ in range(8):
        u.push()
    push_until_few(u, [victim])
    c.dumps(u.repo)
    c.nothing_left(u.repo)
    wait_for(lambda: not list((c.root(victim) / ".gitshard" / "tmp").iterdir()), 10, "nothing half-made stays")


def test_what_is_left_alone(own_cluster, git, tmp_path, new_name):
    """Packs that an operator keeps, and objects that no ref reaches any more."""
    c = own_cluster
    u = Noise(c, git, tmp_path / "w", new_name("alone"))
    u.push(ref="gone")
    lost = git.out("rev-parse", "HEAD", cwd=u.work)
    c.wait_equal(u.repo)
    name = c.primary(u.repo)
    keep = next(p for p in packs.folder(c, name, u.repo).iterdir() if p.suffix == ".pack")
    keep.with_suffix(".keep").write_text("mine\n")
    git.run("checkout", "-q", "--orphan", "other", cwd=u.work)
    u.push()
    git.run("push", "-q", c.url(u.repo), ":refs/heads/gone", cwd=u.work)
    for _ in range(12):
        u.push()
    push_until_few(u, c.nodes)
    assert keep.exists()
    keep.with_suffix(".keep").unlink()
    for n in c.nodes:
        assert git.run("cat-file", "-e", lost, cwd=c.repo_dir(n, u.repo), check=False).ok
    c.dumps(u.repo)


@pytest.mark.parametrize("format_", ["sha1", "sha256"])
def test_tags_of_old_commits(own_cluster, git, tmp_path, new_name, format_):
    """The node itself reads objects, also those whose pack was rolled up since it looked last."""
    c = own_cluster
    repo = new_name("tags")
    url = c.create(repo, "--object-format", format_)
    w = git.init(tmp_path / "w", f"--object-format={format_}")
    ids = []
    for i in range(24):
        ids.append(git.commit(w))
        git.run("tag", "-a", "-m", "t", f"t{i}", ids[i // 2], cwd=w)
        git.run("push", "-q", url, "HEAD:refs/heads/main", f"t{i}", cwd=w)
    packs.at_rest(c, c.nodes)
    git.run("tag", "-a", "-m", "t", "last", ids[3], cwd=w)
    git.run("push", "-q", url, "last", cwd=w)
    assert f"{ids[3]}\trefs/tags/last^{{}}" in git.out("ls-remote", url, cwd=w)
    c.dumps(repo)
    for n in c.nodes:
        assert packs.done(c, n, repo), f"{n} never repacked"


def test_too_little_disk(make_cluster, git, tmp_path, new_name):
    """It is said in `status`, pushes go on, and it is done when there is room."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small disk: needs root")
    disks = []

    def prepare(dir_):
        disks.append(Disk(dir_ / "data" / "node1", 64))
    c = make_cluster("small", prepare=prepare, shards=4, sets=["node.min_free=8M"])
    try:
        u = Noise(c, git, tmp_path / "w", new_name("small"))
        u.push()
        c.wait_equal(u.repo)
        disks[0].fill(leave=12 << 20)  # room for pushes, none for twice their sum
        for _ in range(9):
            u.push(size=300_000)
        state = wait_for(lambda: failure(c, "node1", u.repo), 20, "node1 says why it cannot")
        assert state["repo"] == u.repo and "free some" in state["why"], state
        disks[0].empty()
        u.push()
        c.wait_equal(u.repo)
    finally:
        c.down()
        disks[0].umount()


def test_without_a_primary(make_cluster, git, tmp_path, new_name):
    """Nobody can say whose turn it is: the followers still get to few packs, though a bit later."""
    c = make_cluster("nobody", shards=4, sets=["node.repack_packs=0", "node.inline_max=8K"])
    u = Noise(c, git, tmp_path / "w", new_name("nobody"))
    for _ in range(12):
        u.push()
    c.wait_equal(u.repo)
    p, followers = c.primary(u.repo), c.followers(u.repo)
    assert packs.count(c, followers[0], u.repo) == 12
    assert not c.json(p, "/status")["repack"]["on"]
    c.do("kill", p)
    shape = json.loads((c.dir / "cluster.json").read_text())
    shape["set"].remove("node.repack_packs=0")
    (c.dir / "cluster.json").write_text(json.dumps(shape))
    for n in followers:
        c.do("stop", n)
        c.do("start", n)
    wait_for(lambda: all(packs.count(c, n, u.repo) == 1 for n in followers), 30,
             lambda: f"few packs: {[packs.count(c, n, u.repo) for n in followers]}")


def test_a_damaged_pack(own_cluster, git, tmp_path, new_name):
    """A node that cannot read what it would merge exchanges nothing, and says so; the others do."""
    c = own_cluster
    u = Noise(c, git, tmp_path / "w", new_name("damaged"))
    u.push()
    c.wait_equal(u.repo)
    sick = c.followers(u.repo)[0]
    pack = next(p for p in packs.folder(c, sick, u.repo).iterdir() if p.suffix == ".pack")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(content)
    for _ in range(11):
        u.push()
    state = wait_for(lambda: failure(c, sick, u.repo), 30, "it says so")
    assert state["repo"] == u.repo and state["why"], state
    assert packs.count(c, sick, u.repo) == 12 and pack.exists()
    wait_for(lambda: all(packs.count(c, n, u.repo) < 8 for n in c.nodes if n != sick), 30, "the others do")
    wait_for(lambda: not list((c.root(sick) / ".gitshard" / "tmp").iterdir()), 10, "nothing half-made stays")
