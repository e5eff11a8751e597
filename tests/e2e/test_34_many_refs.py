"""Pushes of many refs and of packs above the inline limit."""
import random

from harness import gitrun, history
from harness.wait import wait_for

REFS = 3000


def test_many_refs(cluster, git, tmp_path, new_name):
    """One push of 3,000 branches, one that moves all of them, one that deletes all: each whole."""
    repo = new_name("many")
    url = cluster.create(repo)
    src = git.init(tmp_path / "src.git", "--bare")
    history.feed(git, src, lambda out: history.commits(out, history.Marks(), "refs/heads/main", 10))

    def set_all(rev):
        tip = git.out("rev-parse", rev, cwd=src)
        git.run("update-ref", "--stdin", cwd=src, input="".join(
            f"update refs/heads/b/{i} {tip}\n" for i in range(REFS)))
        return tip
    for rev, how in (("main~3", ["--atomic"]), ("main~2", []), ("main", ["--atomic"])):
        tip = set_all(rev)
        git.run("push", "-q", *how, url, "refs/heads/*:refs/heads/*", cwd=src)
        cluster.wait_equal(repo, seconds=60)
        for name in cluster.nodes:
            have = gitrun.refs(git, cluster.repo_dir(name, repo))
            assert len(have) == REFS + 2 and have["refs/heads/b/7"] == tip, name
    out = git.out("ls-remote", url, cwd=src)
    assert len(out.splitlines()) == REFS + 2
    git.run("update-ref", "--stdin", cwd=src, input="".join(
        f"delete refs/heads/b/{i}\n" for i in range(REFS)))
    git.run("push", "-q", "--prune", url, "refs/heads/*:refs/heads/*", cwd=src)
    cluster.wait_equal(repo, seconds=60)
    assert set(cluster.dumps(repo)["refs"]) == {"HEAD", "refs/heads/main"}
    cluster.nothing_left(repo)


def test_atomic_push_of_too_many_refs(cluster, git, tmp_path, new_name):
    """A record has a size: an atomic push that does not fit is refused whole, in words that tell how
    many would."""
    repo = new_name("many")
    url = cluster.create(repo)
    src = git.init(tmp_path / "src.git", "--bare")
    history.feed(git, src, lambda out: history.commits(out, history.Marks(), "refs/heads/main", 1))
    tip = git.out("rev-parse", "main", cwd=src)
    git.run("update-ref", "--stdin", cwd=src, input="".join(
        f"update refs/heads/{'x' * 200}/{i} {tip}\n" for i in range(5000)))
    r = git.run("push", "-q", "--atomic", url, "refs/heads/*:refs/heads/*", cwd=src, check=False)
    assert not r.ok and any(w.isdigit() for w in r.err.replace(",", "").split()), r.err[-2000:]
    assert cluster.dumps(repo)["refs"] == {"HEAD": "refs/heads/main"}
    git.run("push", "-q", url, "refs/heads/*:refs/heads/*", cwd=src)
    cluster.wait_equal(repo, seconds=60)
    assert len(cluster.dumps(repo)["refs"]) == 5002
    cluster.nothing_left(repo)


def test_staged_packs(cluster, git, tmp_path, new_name):
    """Packs above the inline limit reach the voters before the record and are whole everywhere."""
    repo = new_name("staged")
    url = cluster.create(repo)
    work = git.init(tmp_path / "w")
    noise = random.Random(1)
    for i, size in enumerate((200_000, 300_000, 2_000_000, 30_000_000)):
        (work / f"f{i}").write_bytes(noise.randbytes(size))
        git.tick()
        git.run("add", f"f{i}", cwd=work)
        git.run("commit", "-q", "-m", f"{i}", cwd=work)
        git.run("push", "-q", url, "HEAD:refs/heads/main", f"HEAD:refs/heads/b{i}", cwd=work)
        cluster.wait_equal(repo, seconds=30)
    git.run("clone", "-q", "--bare", url, tmp_path / "back.git")
    assert cluster.dumps(repo)["refs"]["refs/heads/main"] == git.out("rev-parse", "HEAD", cwd=work)
    cluster.nothing_left(repo)


def test_memory_stays_small(cluster, git, tmp_path, new_name):
    """A push and a clone of 200 MB stream through the router: its resident memory stays small."""
    repo = new_name("stream")
    url = cluster.create(repo)
    work = git.init(tmp_path / "w")
    noise = random.Random(2)
    for i in range(4):
        (work / f"f{i}").write_bytes(noise.randbytes(50_000_000))
    git.tick()
    git.run("add", ".", cwd=work)
    git.run("-c", "core.compression=0", "commit", "-q", "-m", "large", cwd=work)
    git.run("-c", "core.compression=0", "push", "-q", url, "HEAD:refs/heads/main", cwd=work)
    git.run("clone", "-q", "--bare", url, tmp_path / "back.git")

    def peak(name):
        status = open(f"/proc/{cluster.pid(name)}/status").read()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024
    if cluster.build == "release":
        assert peak("router1") < 64, f"router1 had {peak('router1')} MB"
        for name in cluster.nodes:
            assert peak(name) < 256, f"{name} had {peak(name)} MB"
    wait_for(lambda: cluster.repo("node1", repo), 10, "node1 has it")
    cluster.wait_equal(repo, seconds=60)
    cluster.nothing_left(repo)
