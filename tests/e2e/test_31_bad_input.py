"""What no friend sends.  Each gets a sentence or git's usual words; nothing moves, nothing stays
behind, and the next request works."""
import socket
import struct
import subprocess
import urllib.parse

import pytest

from harness import gitrun, rawhttp
from harness.gitrun import NULL
from harness.wait import wait_for


class Victim:
    """A repository with main, side and a user's folder, and the proof that it did not change."""

    def __init__(self, cluster, git, repo, path):
        self.cluster, self.git, self.repo = cluster, git, repo
        self.url = cluster.create(repo)
        self.work = git.init(path / "w")
        self.base = git.commit(self.work, "file", "base\n")
        self.main = git.commit(self.work, "file", "main\n")
        git.run("push", "-q", self.url, "HEAD:refs/heads/main", f"{self.base}:refs/heads/side",
                cwd=self.work)
        cluster.wait_equal(repo)
        self.before = {n: gitrun.all_objects(git, cluster.repo_dir(n, repo)) for n in cluster.nodes}
        self.refs = cluster.dumps(repo)["refs"]
        self.next = git.commit(self.work, "file", "next\n")
        self.pack = git.pack(self.work, [self.next], [self.main])

    def unmoved(self):
        """Refs and objects are what they were, nothing is left behind, and a push works."""
        c = self.cluster
        c.nothing_left(self.repo)
        assert c.dumps(self.repo)["refs"] == self.refs
        after = {n: gitrun.all_objects(self.git, c.repo_dir(n, self.repo)) for n in c.nodes}
        for n in c.nodes:
            assert after[n] == self.before[n], f"{n} keeps {after[n] - self.before[n]}"
        self.works()

    def works(self):
        c = self.cluster
        c.nothing_left(self.repo)
        self.git.run("push", "-q", self.url, f"{self.next}:refs/heads/after", cwd=self.work)
        assert c.dumps(self.repo)["refs"]["refs/heads/after"] == self.next


@pytest.fixture
def victim(cluster, git, tmp_path, new_name):
    return Victim(cluster, git, new_name("bad"), tmp_path)


# ---- paths -----------------------------------------------------------------------------------

PATHS = [
    "/../etc/passwd", "/a/../../etc/x", "/a/../b.git", "/a/%2e%2e/b.git", "/%2e%2e/%2e%2e.git",
    "/a/..%2fb.git", "/a%2fb.git", "/a/b%00.git", "/a/b%00c.git", "/a/b%0a.git", "/a/b%7f.git", "/a/b%01.git",
    "/a/.git", "/a/b.git.git", "/a/..git", "//b.git", "/a//b.git", "/a/./b.git", "/./b.git",
    "/a.git", "/a/b/c.git", "/a/b/c/d.git", "/%20/b.git", "/a/%20.git", "/a/b%5c.git", "/~a/b.git",
    "/a/-b.git", "/-a/b.git", "/a/b%zz.git", "/a/b%.git", "/a/b%e0%80.git", "/.a/b.git", "/a/b.lock.git",
    "/a/" + "x" * 300 + ".git", "/" + "y" * 300 + "/b.git", "/a/b.git%2f..%2fc"]


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p[:30])
def test_path(cluster, path):
    """400 or 404 with a sentence, for each of the three endpoints."""
    base = cluster.env["HTTP_URL"]
    for method, tail in (("GET", "/info/refs?service=git-upload-pack"), ("GET", "/info/refs?service=git-receive-pack"),
                         ("POST", "/git-upload-pack"), ("POST", "/git-receive-pack")):
        service = tail[1:]
        head = (f"{method} {path}{tail} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Content-Type: application/x-{service}-request\r\nContent-Length: 4\r\n\r\n")
        if method == "GET":
            head = f"GET {path}{tail} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        got = rawhttp.raw(base, head.encode() + (b"0000" if method == "POST" else b""))
        assert rawhttp.raw_status(got) in (400, 404), got[:300]
        words = got.split(b"\r\n\r\n", 1)[1]
        assert len(words.split()) >= 3, got


@pytest.mark.parametrize("path", ["/", "/a", "/a/b.git", "/a/b.git/HEAD", "/a/b.git/info/refs",
                                  "/a/b.git/info/refs?service=git-upload-archive",
                                  "/a/b.git/info/refs?service=", "/a/b.git/objects/info/packs"])
def test_no_such_endpoint(cluster, path):
    r = rawhttp.get(cluster.env["HTTP_URL"] + path)
    assert r.status in (400, 403, 404) and r.body


@pytest.mark.parametrize("data", [
    b"GET /a/b.git/info/refs?service=git-upload-pack HTTP/1.1\r\n\r\n",
    b"GET /a/b.git/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /a/b.git/x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    b"GET /a/b.git/x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    b"GET /a/b\x01.git/x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a/b.git/git-upload-pack HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0000",
    b"POST /a/b.git/git-upload-pack HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n0000",
    b"POST /a/b.git/git-upload-pack HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /a/b.git/git-upload-pack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /a/b.git/git-upload-pack HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200 + b"\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n"],
    ids=["no-host", "two-hosts", "obs-fold", "nul", "control", "cl+te", "two-cl", "cl-overflow",
         "bad-chunk", "te-in-1.0", "long-target", "long-field", "many-fields", "http-9.9", "tls", "noise"])
def test_bad_http(cluster, data):
    """A 4xx in words, or a closed connection; never a request that was half understood."""
    got = rawhttp.raw(cluster.env["HTTP_URL"], data, half_close=True)
    status = rawhttp.raw_status(got)
    assert status == 0 or 400 <= status < 500 or status == 505, got[:200]


# ---- unknown repositories, wrong headers ------------------------------------------------------

def test_unknown_repository(cluster, peer, git, tmp_path):
    work = git.init(tmp_path / "w")
    git.commit(work)
    stories = []
    for url in (cluster.url("no/body"), peer.url("no/body")):
        story = []
        for args in (["clone", "-q", url, tmp_path / "c"], ["ls-remote", url],
                     ["push", "-q", url, "HEAD:refs/heads/main"]):
            r = git.run(*args, cwd=work, check=False)
            words = gitrun.normal(r.err, {url: "URL", url + "/": "URL/"}).splitlines()
            # gitshard says what git shows as "remote: ...": a sentence more than plain git.
            story.append((r.rc, [w for w in words if not w.startswith("remote: ")]))
        stories.append(story)
    assert stories[0] == stories[1]
    r = rawhttp.get(cluster.url("no/body") + "/info/refs?service=git-upload-pack")
    assert r.status == 404 and "no/body" in r.text


def test_wrong_content_type(victim):
    for kind in ("text/plain", "application/x-git-receive-pack-request; charset=utf-8", ""):
        r = rawhttp.post(f"{victim.url}/git-receive-pack", rawhttp.FLUSH, {"Content-Type": kind})
        assert r.status == 415 and r.body
    r = rawhttp.post(f"{victim.url}/git-upload-pack", rawhttp.FLUSH,
                     {"Content-Type": "application/x-git-receive-pack-request"})
    assert r.status == 415
    r = rawhttp.post(f"{victim.url}/git-upload-pack", b"0000", {
        "Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "br"})
    assert r.status == 415
    victim.unmoved()


def test_gzip_that_is_none(victim):
    for service in ("upload", "receive"):
        r = rawhttp.post(f"{victim.url}/git-{service}-pack", b"this is no gzip" * 10, {
            "Content-Type": f"application/x-git-{service}-pack-request", "Content-Encoding": "gzip"})
        assert 400 <= r.status < 500 and r.body, (service, r)
    victim.unmoved()


def test_gzip_bomb(victim):
    import gzip
    have = rawhttp.pkts(f"have {victim.main}\n")
    head = rawhttp.pkts("command=fetch", rawhttp.DELIM, f"want {victim.main}\n")
    for n in (8_000_000,):  # 400 MB of lines, in a body of 1 MB
        r = rawhttp.post(f"{victim.url}/git-upload-pack", gzip.compress(head + have * n, 9), {
            "Git-Protocol": "version=2", "Content-Encoding": "gzip",
            "Content-Type": "application/x-git-upload-pack-request"})
        assert 400 <= r.status < 500 and r.body
    victim.unmoved()


def test_gzipped_push(victim):
    """JGit does so."""
    import gzip
    body = rawhttp.push_body([(victim.main, victim.next, "refs/heads/main")], victim.pack)
    r = rawhttp.post(f"{victim.url}/git-receive-pack", gzip.compress(body), {
        "Content-Type": "application/x-git-receive-pack-request", "Content-Encoding": "gzip"})
    assert rawhttp.report(r) == {"unpack": "ok", "refs/heads/main": "ok"}
    victim.works()


def test_expect_continue_and_chunks(victim):
    """libgit2 and dulwich send every push in chunks; curl asks before it sends a large body."""
    r, report = rawhttp.push(victim.url, [(victim.main, victim.next, "refs/heads/main")], victim.pack,
                             chunked=True)
    assert report == {"unpack": "ok", "refs/heads/main": "ok"}, (r, report)
    body = rawhttp.push_body([(NULL, victim.next, "refs/heads/expected")], rawhttp.empty_pack())
    u = urllib.parse.urlsplit(victim.url)
    with socket.create_connection((u.hostname, u.port), 20) as s:
        s.sendall((f"POST {u.path}/git-receive-pack HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                   "Content-Type: application/x-git-receive-pack-request\r\nConnection: close\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode())
        s.settimeout(20)
        assert s.recv(1000).startswith(b"HTTP/1.1 100 ")
        s.sendall(body)
        got = b""
        while piece := s.recv(65536):
            got += piece
    assert got.startswith(b"HTTP/1.1 200 ") and b"ok refs/heads/expected" in got
    victim.works()


def test_probe_and_keep_alive(victim):
    """The probe of four bytes moves nothing; ten requests go over one connection."""
    import http.client
    u = urllib.parse.urlsplit(victim.url)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=20)
    c.connect()
    port = c.sock.getsockname()[1]
    for _ in range(5):
        c.request("POST", f"{u.path}/git-receive-pack", b"0000",
                  {"Content-Type": "application/x-git-receive-pack-request"})
        r = c.getresponse()
        assert r.status == 200
        r.read()
        c.request("GET", f"{u.path}/info/refs?service=git-upload-pack")
        r = c.getresponse()
        assert r.status == 200 and victim.main.encode() in r.read()
        assert c.sock is not None and c.sock.getsockname()[1] == port
    c.close()
    victim.unmoved()


# ---- bodies that break off -------------------------------------------------------------------

def test_body_cut_off(victim):
    """The client goes away at many places of a push's body."""
    body = rawhttp.push_body([(victim.main, victim.next, "refs/heads/main")], victim.pack)
    u = urllib.parse.urlsplit(victim.url)
    cuts = sorted({0, 1, 3, 50, 100, len(body) - len(victim.pack), len(body) - len(victim.pack) + 11,
                   len(body) - 21, len(body) - 1})
    for chunked in (False, True):
        for cut in cuts:
            head = (f"POST {u.path}/git-receive-pack HTTP/1.1\r\nHost: x\r\n"
                    "Content-Type: application/x-git-receive-pack-request\r\n")
            if chunked:
                data = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body[:cut]
            else:
                data = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:cut]
            got = rawhttp.raw(victim.url, data, half_close=True)
            assert rawhttp.raw_status(got) != 200 or b"ok refs/heads/main" not in got, got
            with socket.create_connection((u.hostname, u.port), 20) as s:  # and with a reset
                s.sendall(data)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    victim.unmoved()


def test_fetch_cut_off(victim, cluster):
    """Clients that leave while they are served leave no child behind."""
    body = rawhttp.pkts("command=fetch", rawhttp.DELIM, f"want {victim.main}\n", "done\n", rawhttp.FLUSH)
    u = urllib.parse.urlsplit(victim.url)
    for cut in range(0, len(body) + 1, 7):
        with socket.create_connection((u.hostname, u.port), 20) as s:
            s.sendall((f"POST {u.path}/git-upload-pack HTTP/1.1\r\nHost: x\r\nGit-Protocol: version=2\r\n"
                       "Content-Type: application/x-git-upload-pack-request\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n").encode() + body[:cut])
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    victim.unmoved()


# ---- pushes that git refuses -----------------------------------------------------------------

def flipped(pack):
    return pack[:30] + bytes([pack[30] ^ 0x55]) + pack[31:]


@pytest.mark.parametrize("what", ["garbage", "flipped", "short", "empty", "trailer", "many", "zero"])
def test_bad_pack(victim, what):
    pack = {"garbage": b"this is no pack at all", "flipped": flipped(victim.pack),
            "short": victim.pack[:-30], "empty": rawhttp.empty_pack(), "zero": b"",
            "trailer": victim.pack[:-20] + bytes(20),
            "many": b"PACK" + struct.pack(">II", 2, 0xffffffff) + victim.pack[12:]}[what]
    r, report = rawhttp.push(victim.url, [(victim.main, victim.next, "refs/heads/main")], pack)
    assert r.status in (200, 400), r
    if r.status == 200 and report:
        assert report["unpack"] != "ok" or report["refs/heads/main"].startswith("ng"), report
    victim.unmoved()


def test_missing_objects(victim):
    """A whole pack whose commit names a tree that is nowhere."""
    pack = subprocess.run(["git", "pack-objects", "--stdout", "-q"], cwd=victim.work, check=True,
                          env=victim.git.env, capture_output=True, input=victim.next.encode() + b"\n").stdout
    _, report = rawhttp.push(victim.url, [(victim.main, victim.next, "refs/heads/main")], pack)
    assert report["refs/heads/main"].startswith("ng"), report
    victim.unmoved()


def test_fsck_refuses(victim):
    """An object that no git should hold: a tree entry named `.git`."""
    git, work = victim.git, victim.work
    blob = git.out("hash-object", "-w", "--stdin", cwd=work, input="x\n")
    raw_tree = b"100644 .git\0" + bytes.fromhex(blob)
    tree = subprocess.run(["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"], cwd=work,
                          env=git.env, input=raw_tree, capture_output=True, check=True).stdout.decode().strip()
    bad = git.out("commit-tree", tree, "-m", "bad", cwd=work)
    r = git.run("push", victim.url, f"{bad}:refs/heads/bad", cwd=work, check=False)
    assert not r.ok and "hasDotgit" in r.err, r.err
    victim.unmoved()


def report_of_both(cluster, peer, git, repo, path, commands, **kw):
    """The same raw push to gitshard and to plain git: (ours, plain, the victim)."""
    victim = Victim(cluster, git, repo, path)
    plain = peer.create(repo)
    git.run("push", "-q", plain, f"{victim.main}:refs/heads/main", f"{victim.base}:refs/heads/side",
            cwd=victim.work)
    made = commands(victim)
    pack = b"" if all(new == NULL for _, new, _ in made) else victim.pack
    _, ours = rawhttp.push(victim.url, made, pack, **kw)
    _, theirs = rawhttp.push(plain, made, pack, **kw)
    return ours, theirs, victim


ONE = [
    ("stale_old", lambda v: [(v.base, v.next, "refs/heads/main")]),
    ("stale_create", lambda v: [(NULL, v.next, "refs/heads/main")]),
    ("stale_missing", lambda v: [(v.main, v.next, "refs/heads/none")]),
    ("stale_delete", lambda v: [(v.base, NULL, "refs/heads/main"), (v.main, NULL, "refs/heads/side")]),
    ("df_below", lambda v: [(NULL, v.next, "refs/heads/main/below")]),
    ("one_level", lambda v: [(NULL, v.next, "refs/onelevel")]),
    ("outside", lambda v: [(NULL, v.next, "heads/main")]),
    ("head", lambda v: [(NULL, v.next, "HEAD")]),
    ("dots", lambda v: [(NULL, v.next, "refs/heads/../x")]),
    ("lock", lambda v: [(NULL, v.next, "refs/heads/x.lock")]),
    ("control", lambda v: [(NULL, v.next, "refs/heads/x\x01y")]),
    ("space", lambda v: [(NULL, v.next, "refs/heads/x y")]),
    ("at_brace", lambda v: [(NULL, v.next, "refs/heads/x@{1}")]),
    ("slashes", lambda v: [(NULL, v.next, "refs/heads//x")]),
    ("dot_end", lambda v: [(NULL, v.next, "refs/heads/x.")]),
    ("one_good_one_bad", lambda v: [(NULL, v.next, "refs/heads/good"), (v.base, v.next, "refs/heads/main")]),
]


@pytest.mark.parametrize("name,commands", ONE, ids=[n for n, _ in ONE])
def test_refused_like_git(cluster, peer, git, tmp_path, new_name, name, commands):
    """Each ref has the verdict that plain git gives; the reason is git's or says more."""
    ours, plain, victim = report_of_both(cluster, peer, git, new_name("bad"), tmp_path, commands)
    assert {k: v.split()[0] for k, v in ours.items()} == {k: v.split()[0] for k, v in plain.items()}, \
        (ours, plain)
    for ref, verdict in ours.items():
        if verdict.startswith("ng"):
            assert len(verdict.split()) >= 3, verdict
    if all(v.startswith("ng") for k, v in ours.items() if k != "unpack"):
        victim.unmoved()
    else:
        refs = cluster.dumps(victim.repo)["refs"]
        assert refs == {**victim.refs, "refs/heads/good": victim.next}
        victim.works()


@pytest.mark.parametrize("caps", [rawhttp.CAPS, rawhttp.CAPS + " atomic"], ids=["plain", "atomic"])
def test_same_ref_twice(victim, caps):
    """Neither command for that ref is carried out; of an atomic push, nothing is."""
    twice = [(victim.main, victim.next, "refs/heads/main"), (victim.next, victim.base, "refs/heads/main")]
    for commands in (twice, [twice[0], (NULL, victim.next, "refs/heads/x"), twice[1]]):
        if len(commands) == 3 and "atomic" not in caps:
            continue
        _, report = rawhttp.push(victim.url, commands, victim.pack, caps=caps)
        assert report and all(v.startswith("ng") for k, v in report.items() if k != "unpack"), report
    victim.unmoved()


@pytest.mark.parametrize("bad", ["refs/onelevel", "heads/outside", "refs/heads/x.lock", "refs/heads/main/below"])
def test_atomic_with_one_refused_by_git(victim, bad):
    """git does not hand our hook what it refuses itself, and still calls the rest atomic."""
    _, report = rawhttp.push(victim.url, [(NULL, victim.next, "refs/heads/a"), (NULL, victim.next, bad),
                                          (NULL, victim.next, "refs/heads/b")], victim.pack,
                             caps=rawhttp.CAPS + " atomic")
    assert all(v.startswith("ng") for k, v in report.items() if k != "unpack") and len(report) >= 3, report
    victim.unmoved()


def test_atomic_with_missing_objects(victim):
    """One ref of the two names an object that nobody sent."""
    _, report = rawhttp.push(victim.url, [(NULL, victim.next, "refs/heads/a"),
                                          (NULL, "12" * 20, "refs/heads/b")], victim.pack,
                             caps=rawhttp.CAPS + " atomic")
    assert report["refs/heads/a"].startswith("ng") and report["refs/heads/b"].startswith("ng"), report
    victim.unmoved()


@pytest.mark.parametrize("ref", ["refs/gitshard/x", "refs/internal/gitshard/x"])
def test_internal_refs(victim, ref):
    _, report = rawhttp.push(victim.url, [(NULL, victim.next, ref)], victim.pack)
    if ref == "refs/gitshard/x":
        assert report[ref].startswith("ng"), report
        victim.unmoved()


def test_bad_commands(victim):
    """Lines that are no commands: an error in the report, or none; never a change."""
    good = f"{victim.main} {victim.next} refs/heads/main\0 {rawhttp.CAPS}".encode()
    for lines in ([b"nonsense\0 report-status"], [good, b"nonsense"], [b"x" * 40 + b" " + b"y" * 40 + b" refs/heads/a\0"],
                  [f"{victim.main} {victim.next} ".encode() + b"refs/heads/" + b"n" * 5000 + b"\0 report-status"],
                  [f"{victim.main[:-1]} {victim.next} refs/heads/main\0 report-status".encode()]):
        r = rawhttp.post(f"{victim.url}/git-receive-pack", rawhttp.pkts(*lines, rawhttp.FLUSH) + victim.pack,
                         {"Content-Type": "application/x-git-receive-pack-request"})
        assert "refs/heads/main" not in rawhttp.report(r) or rawhttp.report(r)["refs/heads/main"] != "ok"
    for body in (b"zzzz", b"0003", b"ffff", b"0004", b"\0\0\0\0", b"0010abc", b"00"):
        r = rawhttp.post(f"{victim.url}/git-receive-pack", body,
                         {"Content-Type": "application/x-git-receive-pack-request"})
        assert r.status < 500 or r.status == 503, (body, r)
        r = rawhttp.post(f"{victim.url}/git-upload-pack", body, {
            "Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"})
        assert r.status < 500 or r.status == 503, (body, r)
    victim.unmoved()


def test_unreachable_objects_of_a_refused_push(victim, cluster):
    """v2 serves any object that exists: what was refused must not exist (nor be served)."""
    _, report = rawhttp.push(victim.url, [(victim.base, victim.next, "refs/heads/main")], victim.pack)
    assert report["refs/heads/main"].startswith("ng")
    wait_for(lambda: not cluster.children(), 10, "children are gone")
    body = rawhttp.pkts("command=fetch", rawhttp.DELIM, f"want {victim.next}\n", "done\n", rawhttp.FLUSH)
    for _ in range(6):
        r = rawhttp.post(f"{victim.url}/git-upload-pack", body, {
            "Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"})
        assert b"PACK" not in r.body
    victim.unmoved()
