"""Requests to one node's back plane (HTTP/2 without TLS, as routers speak it), past the router, so
that a test says which replica answers.  curl speaks it."""
import subprocess

from harness import rawhttp


def refs_of(cluster, name, repo, seconds=90, shard=None):
    """(status, {ref: id}, fields) of a strict read at this node, by the v0 advertisement."""
    shard = cluster.shard(repo) if shard is None else shard
    p = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-m", str(seconds), "-D", "-", "-o", "-",
         "-H", "gitshard-request: 0123456789abcdef", "-H", "gitshard-map: 1",
         "-H", f"gitshard-shard: {shard}", "-H", "gitshard-epoch: 0",
         f"http://{cluster.listen(name)}/git/{repo}.git/info/refs?service=git-upload-pack"],
        capture_output=True, timeout=seconds + 10)
    if p.returncode != 0:
        return 0, {}, p.stderr.decode()
    head, _, body = p.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(l.lower().split(": ", 1) for l in lines[1:] if ": " in l)
    status = int(lines[0].split()[1])
    found = {}
    if status == 200:
        for p in rawhttp.unpkts(body):
            if p and not p.startswith(b"#"):
                oid, ref = p.split(b"\0")[0].decode().strip().split(" ", 1)
                found[ref] = oid
    return status, found, fields
