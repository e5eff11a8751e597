"""Git's files are a projection of what the catalog says: what changes them from outside is refused
by the fence, or found and mended."""
import os
import pathlib

import pytest

from harness import gitrun
from harness.wait import wait_for

OPTIONS = {"sets": ["node.projection_check=1s"], "shards": 4}


@pytest.fixture
def repo(own_cluster, git, tmp_path, new_name):
    c, name = own_cluster, new_name("behind")
    c.create(name)
    work = git.init(tmp_path / "w")
    first = git.commit(work)
    git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", "HEAD:refs/heads/side", "HEAD:refs/tags/v1", cwd=work)
    second = git.commit(work)
    git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work)
    c.dumps(name)
    return name, work, first, second


def test_fence(own_cluster, repo, git):
    """Plain git in a node's folder changes no ref, on primary and follower."""
    c, (name, work, first, second) = own_cluster, repo
    before = c.dumps(name)
    for n in c.nodes:
        folder = c.repo_dir(n, name)
        for args in (["update-ref", "refs/heads/main", first], ["update-ref", "-d", "refs/heads/side"],
                     ["update-ref", "refs/heads/new", first], ["branch", "other", first],
                     ["branch", "-D", "side"], ["tag", "-d", "v1"], ["branch", "-m", "side", "moved"]):
            r = git.run(*args, cwd=folder, check=False)
            assert not r.ok, f"{n}: {r}"
            assert gitrun.refs(git, folder) == before["refs"], f"{n}: {r}"
        assert "gitshard" in git.run("update-ref", "refs/heads/x", first, cwd=folder, check=False).err
    assert c.dumps(name) == before


def test_reading_with_plain_git(own_cluster, repo, git, tmp_path):
    """Any git reads a node's folder: clone, log, archive, cat-file."""
    c, (name, work, first, second) = own_cluster, repo
    for n in c.nodes:
        folder = c.repo_dir(n, name)
        git.run("clone", "-q", folder, tmp_path / n)
        assert git.out("log", "--format=%H", "main", cwd=folder).split() == [second, first]
        assert git.run("archive", "main", cwd=folder).ok


def damage(folder, first):
    ref = folder / "refs/heads/main"
    packed = folder / "packed-refs"

    def unpacked(name):
        path = folder / "refs/heads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def drop_packed(name):
        if packed.exists():
            packed.write_text("".join(l for l in packed.read_text().splitlines(True) if not l.rstrip().endswith(name)))

    def folder_in_the_way():
        """The node may mend what is half damaged: then that goes again."""
        drop_packed("refs/heads/main")
        made = folder / "made"
        made.mkdir()
        (made / "x").write_text(first + "\n")
        while True:
            ref.unlink(missing_ok=True)
            try:
                return made.rename(ref)
            except NotADirectoryError:
                continue
    return {
        "changed": lambda: unpacked("main").write_text(first + "\n"),
        "deleted": lambda: (ref.unlink(missing_ok=True), drop_packed("refs/heads/main")),
        "added": lambda: unpacked("stranger").write_text(first + "\n"),
        "garbage": lambda: unpacked("main").write_text("garbage\n"),
        "empty": lambda: unpacked("main").write_text(""),
        "head": lambda: (folder / "HEAD").write_text("ref: refs/heads/elsewhere\n"),
        "packed_gone": lambda: packed.unlink(missing_ok=True),
        "folder_in_the_way": folder_in_the_way,
    }


KINDS = list(damage(pathlib.Path("."), ""))


@pytest.mark.parametrize("kind", KINDS)
def test_mended(own_cluster, repo, git, kind):
    """Within a second or so the files are again what the catalog says; clients never saw it."""
    c, (name, work, first, second) = own_cluster, repo
    want = c.dumps(name)["refs"]
    for n in (c.primary(name), c.followers(name)[0]):
        folder = c.repo_dir(n, name)
        damage(folder, first)[kind]()
        for _ in range(3):
            out = git.out("ls-remote", c.url(name))
            assert f"{second}\trefs/heads/main" in out and "stranger" not in out
        wait_for(lambda: safe_refs(git, folder) == want, 15, lambda: f"{n} mended: {safe_refs(git, folder)} is {want}",
                 step=0.1)
    assert c.dumps(name)["refs"] == want
    sha = git.commit(work)
    git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work)
    assert c.dumps(name)["refs"]["refs/heads/main"] == sha


def safe_refs(git, folder):
    try:
        return gitrun.refs(git, folder)
    except AssertionError as e:
        return str(e)


def main_of(seen):
    return seen.get("refs/heads/main") if isinstance(seen, dict) else None


@pytest.mark.parametrize("kind", ["changed", "deleted", "added", "head"])
def test_mended_at_start(own_cluster, repo, git, kind):
    """What changed while the node was down is found when it starts."""
    c, (name, work, first, second) = own_cluster, repo
    want = c.dumps(name)["refs"]
    n = c.followers(name)[0]
    c.do("stop", n)
    damage(c.repo_dir(n, name), first)[kind]()
    c.do("start", n)
    wait_for(lambda: safe_refs(git, c.repo_dir(n, name)) == want, 15, f"{n} is mended", step=0.1)
    c.dumps(name)


def test_push_over_a_changed_ref(own_cluster, repo, git):
    """A push right after the damage is judged by the catalog, not by the file."""
    c, (name, work, first, second) = own_cluster, repo
    folder = c.repo_dir(c.primary(name), name)
    damage(folder, first)["changed"]()
    sha = git.commit(work)
    git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work)
    wait_for(lambda: main_of(safe_refs(git, folder)) == sha, 15, "the file follows", step=0.1)
    c.dumps(name)


def test_stale_locks_of_a_killed_node(own_cluster, repo, git):
    """Lock files that a dead process left do not stop a node that starts, nor its pushes."""
    c, (name, work, first, second) = own_cluster, repo
    n = c.primary(name)
    c.do("kill", n)
    folder = c.repo_dir(n, name)
    for lock in ("refs/heads/main.lock", "HEAD.lock", "packed-refs.lock"):
        (folder / lock).parent.mkdir(parents=True, exist_ok=True)
        (folder / lock).write_text("")
    (folder / "objects" / "tmp_objdir-incoming-abc").mkdir()
    c.do("start", n)
    sha = git.commit(work)
    wait_for(lambda: git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work, check=False).ok, 20,
             "a push works", step=0.2)
    assert c.dumps(name)["refs"]["refs/heads/main"] == sha
    c.nothing_left(name)


def test_leftovers_of_a_killed_push(own_cluster, repo, git):
    """git receive-pack was killed alone: what it left goes while the node lives.  Not so what may be
    an operator's, or of a push that runs."""
    c, (name, work, first, second) = own_cluster, repo
    folder = c.repo_dir(c.primary(name), name)
    pack = next(folder.glob("objects/pack/*.pack"))
    quarantine, keep = folder / "objects/tmp_objdir-incoming-abc", pack.with_suffix(".keep")
    own, fresh = folder / "objects/pack/pack-own.keep", folder / "objects/tmp_objdir-incoming-def"
    for d in (quarantine, fresh):
        (d / "pack").mkdir(parents=True)
    keep.write_text("receive-pack 1 on here\n")
    own.write_text("mine\n")
    os.utime(fresh, (4e9, 4e9))

    def gone():
        git.commit(work)
        git.run("push", "-q", c.url(name), "HEAD:refs/heads/main", cwd=work)
        return not quarantine.exists() and not keep.exists()
    wait_for(gone, 15, "leftovers are gone", step=0.2)
    sha = git.out("rev-parse", "HEAD", cwd=work)
    assert own.exists() and fresh.exists()
    own.unlink()
    fresh.joinpath("pack").rmdir()
    fresh.rmdir()
    assert c.dumps(name)["refs"]["refs/heads/main"] == sha
