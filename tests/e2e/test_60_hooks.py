"""A repository's own hooks: run where git would run them, told what git would tell them."""
import pytest

from harness.wait import wait_for

OPTIONS = {"shards": 4}


class Hooked:
    def __init__(self, c, git, repo, path):
        self.c, self.git, self.repo, self.path = c, git, repo, path
        self.url = c.create(repo)
        self.work = git.init(path / "w")
        git.commit(self.work)
        git.run("push", "-q", self.url, "HEAD:refs/heads/main", cwd=self.work)
        c.wait_equal(repo)

    def hook(self, name, script):
        """Gives every node's repository this hook; $NOTES is a file to write to."""
        for n in self.c.nodes:
            folder = self.c.repo_dir(n, self.repo) / "hooks"
            folder.mkdir(exist_ok=True)
            file = folder / name
            file.write_text(f"#!/bin/sh\nNODE={n}\nNOTES={self.path}/notes\n{script}\n")
            file.chmod(0o755)

    def notes(self):
        file = self.path / "notes"
        return file.read_text() if file.exists() else ""

    def push(self, *args, check=False):
        return self.git.run("push", *args, cwd=self.work, check=check)


@pytest.fixture
def hooked(own_cluster, git, tmp_path, new_name):
    return Hooked(own_cluster, git, new_name("hook"), tmp_path)


def test_pre_receive_sees_and_passes(hooked):
    h = hooked
    h.hook("pre-receive", 'while read old new ref; do echo "$old $new $ref $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 '
           '$(git cat-file -t $new)" >>$NOTES; done; echo "hello from the hook"')
    old = h.git.out("rev-parse", "HEAD", cwd=h.work)
    new = h.git.commit(h.work)
    r = h.push("-o", "opt=1", h.url, "HEAD:refs/heads/main", check=True)
    assert "remote: hello from the hook" in r.err
    assert h.notes() == f"{old} {new} refs/heads/main 1 opt=1 commit\n"
    assert h.c.dumps(h.repo)["refs"]["refs/heads/main"] == new


def test_pre_receive_refuses(hooked):
    h = hooked
    before = h.c.dumps(h.repo)
    h.hook("pre-receive", 'echo "not today" >&2; exit 1')
    h.git.commit(h.work)
    r = h.push(h.url, "HEAD:refs/heads/main", "HEAD:refs/heads/b")
    assert not r.ok and "remote: not today" in r.err and "pre-receive hook declined" in r.err
    assert h.c.dumps(h.repo) == before
    h.c.nothing_left(h.repo)


def test_update_refuses_one(hooked):
    """Its refusal concerns its own ref; the others of a push that is not atomic move."""
    h = hooked
    h.hook("update", 'echo "$1 $2 $3" >>$NOTES; case $1 in refs/heads/no*) echo "no $1" >&2; exit 1;; esac')
    new = h.git.commit(h.work)
    r = h.push(h.url, "HEAD:refs/heads/main", "HEAD:refs/heads/no1", "HEAD:refs/heads/yes")
    assert not r.ok and "remote: no refs/heads/no1" in r.err and "hook declined" in r.err
    refs = h.c.dumps(h.repo)["refs"]
    assert refs == {"HEAD": "refs/heads/main", "refs/heads/main": new, "refs/heads/yes": new}
    assert len(h.notes().splitlines()) == 3
    h.git.commit(h.work)
    r = h.push("--atomic", h.url, "HEAD:refs/heads/main", "HEAD:refs/heads/no2")
    assert not r.ok and h.c.dumps(h.repo)["refs"] == refs
    h.c.nothing_left(h.repo)


def test_post_receive_sees_its_push_everywhere(hooked):
    """It runs once, after the commit, for what moved; whatever it starts reads its own push."""
    h = hooked
    h.hook("post-receive", f'''
read old new ref rest
echo "once $ref $new" >>$NOTES
[ -z "$(cat)" ] || echo "more than one line" >>$NOTES
for i in 1 2 3 4 5 6; do
	seen=$(env -i PATH="$PATH" HOME=/nonexistent git ls-remote {h.url} $ref | cut -f1)
	[ "$seen" = "$new" ] || echo "stale $seen" >>$NOTES
done
echo done from post-receive''')
    for _ in range(3):
        new = h.git.commit(h.work)
        r = h.push(h.url, "HEAD:refs/heads/main", check=True)
        assert "remote: done from post-receive" in r.err
        wait_for(lambda: h.notes().count("\n") >= 1, 5, "notes")
        assert h.notes() == f"once refs/heads/main {new}\n"
        (h.path / "notes").unlink()
    assert h.push(h.url, "HEAD:refs/heads/main", check=True).err.strip() == "Everything up-to-date"
    assert h.notes() == ""


def test_post_receive_failure_changes_nothing(hooked):
    h = hooked
    h.hook("post-receive", "exit 1")
    new = h.git.commit(h.work)
    assert h.push(h.url, "HEAD:refs/heads/main").ok
    assert h.c.dumps(h.repo)["refs"]["refs/heads/main"] == new


def test_post_receive_of_a_mixed_push(hooked):
    h = hooked
    h.hook("post-receive", "cat >>$NOTES")
    h.hook("update", '[ "$1" != refs/heads/no ]')
    old = h.git.out("rev-parse", "HEAD", cwd=h.work)
    new = h.git.commit(h.work)
    h.push(h.url, "HEAD:refs/heads/main", "HEAD:refs/heads/no", "HEAD:refs/tags/t")
    assert sorted(h.notes().splitlines()) == sorted(
        [f"{old} {new} refs/heads/main", f"{'0' * 40} {new} refs/tags/t"])


def test_hooks_work_in_other_repositories(hooked):
    """Our configuration and fence do not leak into what a hook does elsewhere."""
    h = hooked
    other = h.git.init(h.path / "other.git", "--bare")
    h.hook("post-receive", f'''
read old new ref
env | grep -E "GITSHARD|^GIT_CONFIG_(KEY|VALUE|COUNT|PARAMETERS)" >>$NOTES
unset GIT_DIR
git -C {other} fetch -q {h.url} "+refs/heads/*:refs/heads/*" >>$NOTES 2>&1
git -C {other} update-ref refs/heads/copy $new >>$NOTES 2>&1
git -C {other} config --get core.hooksPath >>$NOTES
true''')
    new = h.git.commit(h.work)
    h.push(h.url, "HEAD:refs/heads/main", check=True)
    assert h.notes() == ""
    assert h.git.out("rev-parse", "refs/heads/copy", "refs/heads/main", cwd=other).split() == [new, new]


def test_slow_hook_and_a_client_that_leaves(hooked):
    """A hook under way when its client goes away: nothing stays, the lock is free."""
    import socket
    import struct
    import urllib.parse

    from harness import rawhttp
    from harness.gitrun import NULL
    h = hooked
    h.hook("pre-receive", "echo started >>$NOTES; sleep 1")
    old = h.git.out("rev-parse", "HEAD", cwd=h.work)
    new = h.git.commit(h.work)
    body = rawhttp.push_body([(NULL, new, "refs/heads/x")], h.git.pack(h.work, [new], [old]))
    u = urllib.parse.urlsplit(h.url)
    with socket.create_connection((u.hostname, u.port), 20) as s:
        s.sendall((f"POST {u.path}/git-receive-pack HTTP/1.1\r\nHost: x\r\n"
                   "Content-Type: application/x-git-receive-pack-request\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        wait_for(h.notes, 10, "the hook has started")
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    h.c.nothing_left(h.repo)
    h.hook("pre-receive", "exit 0")
    h.push(h.url, "HEAD:refs/heads/main", check=True)
    # The push was either given up whole or made whole.
    refs = h.c.dumps(h.repo)["refs"]
    assert refs.get("refs/heads/x", new) == new
