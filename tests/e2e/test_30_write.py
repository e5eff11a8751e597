"""Pushing, each way that git knows, in each protocol version, beside plain git http-backend."""
import pytest

from harness.table import compare


def new_branch(s):
    s.quiet("checkout", "-q", "-b", "topic")
    s.commit("topic.txt")
    s("push", "origin", "topic")
    s("push", "-u", "origin", "HEAD:refs/heads/deep/er/topic")


def update(s):
    s.commit("file", "more\n")
    s("push", "origin", "main")
    s("push", "origin", "main")
    s("push", "--porcelain", "-v", "origin", "main")


def first_into_empty(s):
    s.git.init(s.path / "w")
    s.commit("file", "first\n")
    s("push", "URL", "HEAD:refs/heads/main")
    s("push", "URL", "HEAD:refs/heads/second")
    s("clone", "-q", "URL", "c", cwd=".")


def non_fast_forward(s):
    s.quiet("reset", "-q", "--hard", "HEAD~1")
    s.commit("file", "another way\n")
    s("push", "origin", "main")
    s("push", "--force", "origin", "main")
    s("push", "origin", "+side:refs/heads/main")


def force_with_lease(s):
    s("fetch", "-q", "origin")
    old = s.quiet("rev-parse", "main")
    s.quiet("commit", "-q", "--amend", "-m", "amended")
    s("push", f"--force-with-lease=main:{'1' * 40}", "origin", "main")
    s("push", f"--force-with-lease=main:{old}", "origin", "main")


def delete(s):
    s("push", "origin", ":side")
    s("push", "origin", "--delete", "heavy", "light")
    s("push", "origin", ":side")
    s("push", "origin", "--delete", "refs/heads/never")
    s("ls-remote", "origin")


def delete_all_and_back(s):
    s("push", "origin", ":side", ":heavy", ":light")
    s("push", "origin", "side", "heavy", "light")


def delete_current(s):
    s("push", "origin", ":main")
    s("ls-remote", "origin")


def tags(s):
    s.quiet("tag", "v1")
    s.quiet("tag", "-a", "-m", "two", "v2")
    s("push", "origin", "v1")
    s("push", "--tags", "origin")
    s.quiet("tag", "-f", "v1", "HEAD~1")
    s("push", "origin", "v1")
    s("push", "-f", "origin", "v1")
    s("push", "--follow-tags", "origin", "main")


def several(s):
    s.commit("file", "more\n")
    s("push", "origin", "main", "main:refs/heads/a", "main:refs/heads/b", ":side", "main:refs/notes/n")


def several_one_refused(s):
    """The non-fast-forward is refused by the client; the D/F conflict by the server."""
    s.commit("file", "more\n")
    s("push", "origin", "main", "main:refs/heads/side/deeper", "main:refs/heads/good")
    s("push", "origin", "side:main", "main:refs/heads/good2")


def atomic(s):
    s.commit("file", "more\n")
    s("push", "--atomic", "origin", "main", "main:refs/heads/a", ":side", "main:refs/tags/t")
    s.commit("file", "and more\n")
    s("push", "--atomic", "origin", "main", "main:refs/heads/a/b")
    s("push", "--atomic", "origin", "+main~2:main", "main:refs/heads/c")
    s("push", "--atomic", "origin", "main~2:main", "main:refs/heads/d")


def push_option(s):
    s.commit("file", "more\n")
    s("push", "-o", "first=1", "-o", "second", "origin", "main")
    s("push", "-o", "third", "--atomic", "origin", "main:refs/heads/x", "main:refs/heads/y")


def mirror(s):
    s("push", "--mirror", "URL")
    s.quiet("branch", "-m", "side", "renamed")
    s.quiet("tag", "-d", "light")
    s.commit("file", "more\n")
    s("push", "--mirror", "URL")
    s("push", "--mirror", "URL")


def prune(s):
    s("push", "origin", "main:refs/heads/x/1", "main:refs/heads/x/2")
    s("push", "--prune", "origin", "refs/heads/*:refs/heads/*")


def file_for_folder(s):
    """`a` goes and `a/b` comes in one push, and the other way round."""
    s("push", "origin", "main:refs/heads/a")
    s("push", "origin", ":refs/heads/a", "main:refs/heads/a/b")
    s("push", "origin", ":refs/heads/a/b", "main:refs/heads/a")


def odd_names(s):
    for name in ("refs/heads/\u00fcml\u00e4ut", "refs/heads/with-dash", "refs/heads/UPPER", "refs/heads/upper",
                 "refs/heads/a'b", "refs/pull/1/head", "refs/meta/config", "refs/heads/HEAD", "refs/x/y/z"):
        s("push", "origin", f"main:{name}")
    s("ls-remote", "origin")


def wrong_objects(s):
    """Trees, blobs and tags where a branch wants a commit."""
    s("push", "origin", "main^{tree}:refs/heads/tree")
    s("push", "origin", "main^{tree}:refs/tags/tree")
    s("push", "origin", "main:file:refs/tags/blob")
    s("push", "origin", "heavy:refs/tags/other")


def funny_one_level(s):
    s("push", "origin", "main:refs/onelevel")
    s("push", "origin", "main:refs/onelevel", "main:refs/heads/good")


def dry_run(s):
    s.commit("file", "more\n")
    s("push", "--dry-run", "origin", "main", ":side")


def unpacked_and_packed(s):
    """A push of one object and one of many, thin and not."""
    s.commit("file", "one\n")
    s("push", "-q", "--no-thin", "origin", "main")
    for i in range(30):
        s.commit(f"many/{i}", f"{i}\n" * 200)
    s("push", "-q", "--thin", "origin", "main")


def above_post_buffer(s):
    """More than http.postBuffer: the probe of four bytes, then a chunked body."""
    import random
    noise = random.Random(7)
    (s.path / "w" / "big").write_bytes(noise.randbytes(3_000_000))
    s.git.tick()
    s.quiet("add", "big")
    s.quiet("commit", "-q", "-m", "big")
    s("push", "-q", "origin", "main")


SEEDED = [new_branch, update, non_fast_forward, force_with_lease, delete, delete_all_and_back,
          delete_current, tags, several, several_one_refused, atomic, push_option, mirror, prune,
          file_for_folder, odd_names, wrong_objects, funny_one_level, dry_run, unpacked_and_packed,
          above_post_buffer]


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("operation", SEEDED + [first_into_empty], ids=lambda f: f.__name__)
def test_write(cluster, peer, tmp_path, new_name, operation, protocol):
    compare(operation, cluster, peer, new_name(), tmp_path, protocol, seeded=operation in SEEDED)


def test_atomic_file_for_folder(cluster, git, tmp_path, new_name):
    """Deletes come first, also when atomic: plain git refuses this one."""
    repo = new_name()
    url = cluster.create(repo)
    work = git.init(tmp_path / "w")
    sha = git.commit(work)
    git.run("push", "-q", url, "HEAD:refs/heads/a", cwd=work)
    git.run("push", "-q", "--atomic", url, ":refs/heads/a", "HEAD:refs/heads/a/b", cwd=work)
    assert cluster.dumps(repo)["refs"] == {"HEAD": "refs/heads/main", "refs/heads/a/b": sha}
    git.run("push", "-q", "--atomic", url, "HEAD:refs/heads/a", ":refs/heads/a/b", cwd=work)
    assert cluster.dumps(repo)["refs"] == {"HEAD": "refs/heads/main", "refs/heads/a": sha}


def test_case_and_suffix(cluster, git, tmp_path, new_name):
    """Any case and no `.git` reach the same repository."""
    repo = new_name("Case")
    cluster.create(repo)
    work = git.init(tmp_path / "w")
    sha = git.commit(work)
    base = cluster.env["HTTP_URL"]
    git.run("push", "-q", f"{base}/{repo.upper()}", "HEAD:refs/heads/main", cwd=work)
    for url in (f"{base}/{repo}.git", f"{base}/{repo.lower()}", f"{base}/{repo.upper()}.git/"):
        assert git.out("ls-remote", url, "refs/heads/main").split()[0] == sha
    assert cluster.dumps(repo.lower())["refs"]["refs/heads/main"] == sha


def test_auto_create(make_cluster, git, tmp_path):
    """With auto_create a push makes the repository; asking for its refs makes nothing."""
    c = make_cluster("auto", sets=["node.auto_create=yes"])
    work = git.init(tmp_path / "w")
    sha = git.commit(work)
    url = c.url("new/one")
    assert git.run("ls-remote", url, check=False).out == ""
    assert "new/one" not in c.ctl("repo", "list").stdout
    git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=work)
    assert git.out("ls-remote", url, "refs/heads/main").split()[0] == sha
    c.dumps("new/one")
    for bad in ("new/..", "new/a..b/c", "new/.git", "%2e%2e/x"):
        p = git.run("push", "-q", f"{c.env['HTTP_URL']}/{bad}", "HEAD:refs/heads/main", cwd=work,
                    check=False)
        assert not p.ok, bad
    assert [r["repo"] for r in c.json("node1", "/v1/repos")["repos"]] == ["new/one"]
