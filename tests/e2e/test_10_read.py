"""Reading, each way that git knows, in each protocol version, beside plain git http-backend."""
import pytest

from harness import rawhttp
from harness.table import Side, compare, seed


def clone(s):
    s("clone", "URL", "c", cwd=".")
    s("clone", "--mirror", "-q", "URL", "m", cwd=".")
    s("ls-remote", "URL")
    s("ls-remote", "--symref", "URL", "HEAD", "refs/heads/*")
    s("ls-remote", "--heads", "--exit-code", "URL", "nothing")


def clone_empty(s):
    s("clone", "URL", "c", cwd=".")
    s("ls-remote", "URL", cwd="c")
    s("fetch", cwd="c")


def fetch(s):
    s("clone", "-q", "URL", "c", cwd=".")
    s.commit("file", "more\n")
    s.quiet("push", "-q", "URL", "main", "main:refs/heads/new", "main:refs/tags/later")
    s("fetch", cwd="c")
    s("fetch", cwd="c")
    s("pull", "-q", "--ff-only", cwd="c")
    s.quiet("push", "-q", "URL", ":new", ":later")
    s("fetch", "--prune", "--prune-tags", cwd="c")
    s("remote", "show", "origin", cwd="c")


def fetch_much_apart(s):
    """Both sides have moved on: several rounds of negotiation, gzipped bodies."""
    s("clone", "-q", "URL", "c", cwd=".")
    for i in range(40):
        tip = s.git.commit_on(s.path / "c", f"refs/remotes/origin/{'main' if i == 0 else 'x'}",
                              f"mine {i}")
        s.quiet("update-ref", "refs/remotes/origin/x", tip, cwd="c")
        s.quiet("update-ref", f"refs/heads/mine{i}", tip, cwd="c")
    s.commit("file", "theirs\n")
    s.quiet("push", "-q", "URL", "main")
    s("fetch", "-q", "origin", cwd="c")
    s("rev-parse", "origin/main", cwd="c")


def shallow(s):
    s("clone", "--depth", "1", "URL", "c", cwd=".")
    s("log", "--format=%H", cwd="c")
    s("fetch", "--depth", "3", cwd="c")
    s("log", "--format=%H", cwd="c")
    s("fetch", "--deepen", "1", cwd="c")
    s("log", "--format=%H", cwd="c")
    s("fetch", "--unshallow", cwd="c")
    s("log", "--format=%H", cwd="c")


def shallow_since(s):
    date = s.quiet("log", "-1", "--format=%ct", "main~2")
    s("clone", "-q", f"--shallow-since={date}", "URL", "c", cwd=".")
    s("log", "--format=%H", cwd="c")
    s("clone", "-q", "--shallow-exclude=side", "URL", "d", cwd=".")
    s("log", "--format=%H", cwd="d")
    s.commit("file", "more\n")
    s.quiet("push", "-q", "URL", "main")
    s("fetch", "-q", cwd="d")
    s("pull", "-q", "--ff-only", cwd="d")


def shallow_push_back(s):
    s("clone", "-q", "--depth", "1", "URL", "c", cwd=".")
    s.commit("file", "from the shallow one\n", cwd="c")
    s("push", "origin", "main", cwd="c")
    s("fetch", "-q", "origin")


def partial(s):
    for i, spec in enumerate(("blob:none", "blob:limit=10", "tree:0")):
        s("clone", "-q", "--no-checkout", f"--filter={spec}", "URL", f"c{i}", cwd=".")
        s("rev-list", "--objects", "--all", "--missing=print", cwd=f"c{i}")
    s("checkout", "-q", "main", cwd="c0")
    s("show", "main:dir/0", cwd="c1")


def single(s):
    s("clone", "--single-branch", "URL", "c", cwd=".")
    s("branch", "-a", cwd="c")
    s("clone", "-q", "--single-branch", "--no-tags", "-b", "side", "URL", "d", cwd=".")
    s("fetch", "-q", "origin", "refs/tags/heavy:refs/tags/heavy", cwd="d")
    s("clone", "-q", "-b", "light", "URL", "e", cwd=".")
    s("clone", "-q", "-b", "nothing", "URL", "f", cwd=".")


def by_id(s):
    """An advertised id is served in each version; what is not there is refused."""
    tip = s.quiet("rev-parse", "side")
    s("init", "-q", "c", cwd=".")
    s("fetch", "-q", "URL", tip, cwd="c")
    s("rev-parse", "FETCH_HEAD", cwd="c")
    s("fetch", "-q", "URL", "1234567890123456789012345678901234567890", cwd="c")
    s("fetch", "-q", "URL", "refs/heads/nothing", cwd="c")


def unborn_head(s):
    """HEAD points to a branch that is not there."""
    s.quiet("push", "-q", "URL", "side:refs/heads/other", ":side", ":light", ":heavy")
    s("clone", "-q", "-b", "other", "URL", "c", cwd=".")
    s("ls-remote", "URL")


SEEDED = [clone, fetch, fetch_much_apart, shallow, shallow_since, shallow_push_back, partial, single,
          by_id, unborn_head]


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("operation", SEEDED + [clone_empty], ids=lambda f: f.__name__)
def test_read(cluster, peer, tmp_path, new_name, operation, protocol):
    compare(operation, cluster, peer, new_name(), tmp_path, protocol, seeded=operation in SEEDED)


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_advertisement_is_gits_own(cluster, peer, git, tmp_path, new_name, service, protocol):
    """Byte for byte, but for what gitshard allows on top in the push advertisement: nothing."""
    repo, texts = new_name(), []
    for name, server in (("ours", cluster), ("plain", peer)):
        side = Side(server, repo, tmp_path / name, protocol)
        empty = rawhttp.get(f"{side.url}/info/refs?service={service}",
                            {"Git-Protocol": f"version={protocol}"} if protocol else {})
        seed(side)
        full = rawhttp.get(f"{side.url}/info/refs?service={service}",
                           {"Git-Protocol": f"version={protocol}"} if protocol else {})
        texts.append([(r.status, r.fields.get("content-type"), r.fields.get("cache-control"),
                       r.fields.get("pragma"), r.fields.get("expires"), r.body) for r in (empty, full)])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("arguments", [
    [], ["peel"], ["symrefs"], ["peel", "symrefs", "unborn"],
    ["ref-prefix refs/heads/"], ["peel", "ref-prefix refs/tags/h", "ref-prefix HEAD", "symrefs"],
    ["ref-prefix refs/nothing"], ["ref-prefix "]], ids=lambda a: "+".join(a) or "none")
def test_ls_refs_is_gits_own(cluster, peer, tmp_path, new_name, arguments):
    repo, answers = new_name(), []
    body = rawhttp.pkts("command=ls-refs\n", "agent=test\n", "object-format=sha1\n", rawhttp.DELIM,
                        *[a + "\n" for a in arguments], rawhttp.FLUSH)
    for name, server in (("ours", cluster), ("plain", peer)):
        side = Side(server, repo, tmp_path / name, 2)
        seed(side)
        r = rawhttp.post(f"{side.url}/git-upload-pack", body, {
            "Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"})
        answers.append((r.status, r.fields.get("content-type"), r.body))
    assert answers[0] == answers[1]


def test_ls_refs_with_an_unknown_argument(cluster, new_name):
    """Plain git dies and its client gets an empty 200; a sentence is better."""
    url = cluster.create(new_name())
    r = rawhttp.post(f"{url}/git-upload-pack", rawhttp.pkts(
        "command=ls-refs\n", rawhttp.DELIM, "no such argument\n", rawhttp.FLUSH), {
            "Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"})
    assert r.status == 400 and "no such argument" in r.text
