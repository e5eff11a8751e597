"""Shows 2: a real size.  50,000 commits and 300,000 objects, through the router, whole on all nodes."""
from harness import gitrun, history


def test_mirror_of_a_large_history(cluster, git, tmp_path, new_name):
    src = git.init(tmp_path / "src.git", "--bare")

    def write(out):
        marks = history.Marks()
        history.commits(out, marks, "refs/heads/main", 40000)
        main = marks.of["refs/heads/main"]
        for b in range(10):
            history.commits(out, marks, f"refs/heads/topic{b}", 1000, parent=main[-1 - b * 300])
        history.tags(out, 200, main)
    history.feed(git, src, write)
    total = int(git.out("rev-list", "--all", "--count", cwd=src))
    count = len(gitrun.all_objects(git, src))
    assert total >= 50000 and count >= 300000, (total, count)

    repo = new_name("big")
    url = cluster.create(repo)
    git.run("push", "-q", "--mirror", url, cwd=src)
    cluster.wait_equal(repo, seconds=120)
    git.run("clone", "-q", "--mirror", cluster.url(repo, 2), tmp_path / "back.git")
    want = gitrun.refs(git, src)
    assert gitrun.refs(git, tmp_path / "back.git") == want
    for name in cluster.nodes:
        folder = cluster.repo_dir(name, repo)
        assert gitrun.refs(git, folder) == want, name
        r = git.run("fsck", "--full", "--strict", "--no-progress", cwd=folder, check=False)
        assert (r.rc, r.out + r.err) == (0, ""), f"{name}: {r}"
        assert len(gitrun.all_objects(git, folder)) == count
    cluster.nothing_left(repo)
