"""The ground that the other tests stand on: tests/cluster, the programs' surfaces, a first push."""
import json
import subprocess

import pytest

from harness.cluster import BUILD, LOG, TREE, Cluster
from harness.wait import wait_for

PROGRAMS = ["gitshard-router", "gitshard-replica", "shardctl"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_tells_about_itself(program):
    path = TREE / "build" / BUILD / program
    for flag in ("--help", "--version"):
        p = subprocess.run([path, flag], capture_output=True, text=True, timeout=120)
        assert p.returncode == 0, p.stderr
        assert "gitshard" in p.stdout.lower() or program in p.stdout
    p = subprocess.run([path, "--no-such-option"], capture_output=True, text=True, timeout=120)
    assert p.returncode != 0 and "no-such-option" in p.stderr


@pytest.mark.parametrize("program,name", [("gitshard-router", "router1"), ("gitshard-replica", "node1")])
def test_check_config(cluster, tmp_path, program, name):
    path = TREE / "build" / BUILD / program
    conf = cluster.dir / "etc" / f"{name}.conf"

    def check(file):
        return subprocess.run([path, "--config", file, "--check-config"], capture_output=True,
                              text=True, timeout=120)
    assert check(conf).returncode == 0, check(conf).stderr
    bad = tmp_path / "bad.conf"
    bad.write_text(conf.read_text() + "\nno_such_key = 1\n")
    p = check(bad)
    assert p.returncode != 0 and "no_such_key" in p.stderr, p.stderr
    p = check(tmp_path / "missing.conf")
    assert p.returncode != 0 and "missing.conf" in p.stderr


def test_up_is_quick(cluster):
    limit = 20 if BUILD == "release" else 60  # a second or two, on a machine that does nothing else
    limit += 40 if LOG == "kafka" else 0  # three Java machines
    assert cluster.up_seconds < limit


def test_admin_listeners(cluster):
    for name in cluster.nodes + cluster.routers:
        for path in ("/healthz", "/readyz"):
            assert cluster.http(name, path)[0] == 200
        status, text = cluster.http(name, "/metrics")
        assert status == 200 and "# TYPE gitshard_" in text
        assert cluster.json(name, "/status")["cluster"] == "local"
        assert cluster.http(name, "/no/such/thing")[0] == 404
        assert cluster.http(name, "/status", "DELETE")[0] in (404, 405)


def test_first_push(cluster, git, tmp_path, new_name):
    repo = new_name()
    url = cluster.create(repo)
    work = git.init(tmp_path / "w")
    sha = git.commit(work)
    git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=work)
    for router in (1, 2):
        git.run("clone", "-q", cluster.url(repo, router), tmp_path / f"c{router}")
        assert git.out("rev-parse", "HEAD", cwd=tmp_path / f"c{router}") == sha
    assert cluster.dumps(repo)["refs"] == {"refs/heads/main": sha, "HEAD": "refs/heads/main"}
    cluster.nothing_left(repo)


def test_shardctl(cluster, new_name):
    repo = new_name()
    made = cluster.ctl_json("repo", "create", repo, "--head", "trunk")
    assert made["repo"] == repo and len(made["id"]) == 32
    assert repo in cluster.ctl("repo", "list").stdout
    assert repo in json.dumps(cluster.ctl_json("repo", "list"))
    where = cluster.ctl_json("where", repo)
    assert where["shard"] == made["shard"] == cluster.shard(repo)
    again = cluster.ctl("repo", "create", repo, check=False)
    assert again.returncode != 0 and "exists" in again.stderr
    upper = cluster.ctl("repo", "create", repo.upper(), check=False)
    assert upper.returncode != 0 and "exists" in upper.stderr
    assert cluster.ctl("map", "show").returncode == 0
    assert cluster.ctl_json("map", "show")["version"] == 1
    second = cluster.ctl("map", "init", "--node", cluster.admin("node1")[7:], check=False)
    assert second.returncode != 0 and second.stderr
    status = cluster.ctl_json("status")
    assert all(n in json.dumps(status) for n in cluster.nodes)
    assert cluster.ctl("status").returncode == 0
    cluster.wait_equal(repo)
    assert cluster.dumps(repo)["refs"]["HEAD"] == "refs/heads/trunk"
    cluster.ctl("repo", "delete", repo)
    wait_for(lambda: not any(cluster.repo_dir(n, repo).exists() for n in cluster.nodes), 10,
             "the folders are gone")
    assert repo not in cluster.ctl("repo", "list").stdout
    gone = cluster.ctl("repo", "delete", repo, check=False)
    assert gone.returncode != 0 and repo in gone.stderr


def test_sha256_repository(cluster, git, tmp_path, new_name):
    repo = new_name()
    url = cluster.create(repo, "--object-format", "sha256")
    work = git.init(tmp_path / "w", "--object-format=sha256")
    sha = git.commit(work)
    assert len(sha) == 64
    for n, protocol in enumerate((0, 1, 2)):
        env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.version",
               "GIT_CONFIG_VALUE_0": str(protocol)}
        git.run("push", "-q", url, f"HEAD:refs/heads/b{n}", cwd=work, env=env)
        git.run("clone", "-q", "-b", f"b{n}", url, tmp_path / f"c{n}", env=env)
        assert git.out("rev-parse", "HEAD", cwd=tmp_path / f"c{n}") == sha
    assert len(cluster.dumps(repo)["refs"]) == 4


def test_cluster_command(area, git, tmp_path):
    """up, stop, start, kill, pause, wipe and down do what they say; data survive; up repeats."""
    c = Cluster(area / "command", nodes=2, sets=["log_level=debug"])
    try:
        url = c.create("a/b")
        work = git.init(tmp_path / "w")
        git.commit(work)
        git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=work)
        c.wait_equal("a/b")
        assert c.raw("status", str(c.dir)).returncode == 0
        follower = c.followers("a/b")[0]
        for hurt, mend in (("stop", "start"), ("kill", "start"), ("pause", "resume")):
            c.do(hurt, follower)
            assert c.raw("status", str(c.dir), check=False).returncode == 1
            c.do(mend, follower)
            wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 20, "ready")
        assert c.raw("wipe", str(c.dir), follower, check=False).returncode == 1
        assert "no node9" in c.raw("kill", str(c.dir), "node9", check=False).stderr
        assert "later" in c.raw("cut", str(c.dir), "node1", "node2", check=False).stderr
        c.down()
        assert c.raw("status", str(c.dir), check=False).returncode == 1
        assert "2 nodes" in c.raw("up", str(c.dir), "--nodes", "5", check=False).stderr
        c.raw("up", str(c.dir))
        git.run("clone", "-q", url, tmp_path / "again")
        c.dumps("a/b")
    finally:
        c.down()


def test_cluster_command_says_why(area):
    """A daemon that cannot start makes `up` fail in words and leaves nothing running."""
    c = area / "why"
    p = subprocess.run([TREE / "tests/cluster", "up", c, "--build", BUILD,
                        "--set", "node.no_such_key=1"], capture_output=True, text=True, timeout=600)
    assert p.returncode == 1 and "no_such_key" in p.stderr, p.stderr
    p = subprocess.run([TREE / "tests/cluster", "status", c], capture_output=True, text=True, timeout=600)
    assert p.returncode == 1 and "stopped" in p.stdout and "ready" not in p.stdout
