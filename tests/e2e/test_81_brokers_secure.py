"""TLS and SCRAM between the daemons and one broker; and what is said when it does not let them in.
Nothing to do without Kafka's jars (make deps-kafka) and a log in Kafka."""
import subprocess
import sys

import pytest

from harness import cluster as harness
from harness.wait import wait_for

sys.path.insert(0, str(harness.TREE / "tests"))
import kafka  # noqa: E402

pytestmark = pytest.mark.skipif(harness.LOG != "kafka", reason="needs GITSHARD_LOG=kafka")


def test_by_tls_and_scram(make_cluster, git, tmp_path, new_name):
    c = make_cluster("secure", secure=True)
    etc = c.dir / "etc"
    assert "SASL_SSL" in (etc / "kafka.properties").read_text()
    repo = new_name("secure")
    url = c.create(repo)
    w = git.init(tmp_path / "w")
    sha = git.commit(w)
    git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=w)
    assert sha in git.out("ls-remote", url)
    c.dumps(repo)
    victim = c.followers(repo)[0]

    def started_with(**options):
        """What a node, started with these, says of its log."""
        c.do("stop", victim)
        kafka.write_options(etc, **options)
        c.raw("start", str(c.dir), victim, "--no-wait")
        wait_for(lambda: c.http(victim, "/healthz")[0] == 200, 20, f"{victim} answers")
        return lambda: c.json(victim, "/status")["log"]

    log = started_with(password="wrong")
    wait_for(lambda: not log()["ok"] and "SASL authentication" in log()["why"], 20,
             lambda: f"refused by its password: {log()}")
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", str(tmp_path / "other.key"), "-out", str(other), "-subj", "/CN=other"],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    log = started_with(ca=other)
    wait_for(lambda: not log()["ok"] and "certificate" in log()["why"], 20,
             lambda: f"a broker that is not ours: {log()}")
    shardctl = c.ctl("map", "show", check=False)
    assert shardctl.returncode != 0 and "certificate" in shardctl.stderr, shardctl
    log = started_with()
    wait_for(lambda: log()["ok"], 20, lambda: f"the log again: {log()}")
    git.commit(w)
    git.run("push", "-q", url, "HEAD:refs/heads/main", cwd=w)
    c.dumps(repo)
