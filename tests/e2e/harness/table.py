"""One list of client operations, run against gitshard and against plain git, then compared.

An operation is a function of a Side: it runs git commands, whose codes and words are kept in order.
What the two sides saw and what their repositories hold must be the same."""
import pathlib
import re

from harness import gitrun


class Side:
    """One of the two: a server with one repository, and a user's folder."""

    def __init__(self, server, repo, path, protocol):
        self.server, self.repo, self.path = server, repo, pathlib.Path(path)
        self.git = gitrun.Git(self.path / "home", protocol)
        self.git.tick()
        self.url = server.create(repo)
        self.seen = []
        self.urls = {self.url: "URL", self.url[:-4]: "URL", str(self.path): "HERE"}

    def __call__(self, *args, cwd="w", **kw):
        """Runs git, keeps what was seen; args may name URL."""
        args = [self.url if a == "URL" else a for a in args]
        r = self.git.run(*args, cwd=self.path / cwd, check=False, **kw)
        self.seen.append((" ".join(str(a) for a in args), r.rc, r.out, r.err))
        return r

    def quiet(self, *args, cwd="w", **kw):
        """Runs git on the user's side, which must work."""
        args = [self.url if a == "URL" else a for a in args]
        return self.git.out(*args, cwd=self.path / cwd, **kw)

    def commit(self, name="file", text=None, cwd="w"):
        return self.git.commit(self.path / cwd, name, text)

    def story(self):
        return [(gitrun.normal(cmd, self.urls), rc, gitrun.normal(out, self.urls),
                 gitrun.normal(err, self.urls)) for cmd, rc, out, err in self.seen]

    def clients(self):
        """What each folder of the user holds afterwards."""
        return {p.name: gitrun.dump(self.git, p, worktree=(p / ".git").exists())
                for p in sorted(self.path.iterdir()) if p.name != "home"}


def seed(side):
    """w: three commits on main, a side branch, a tag and an annotated tag; pushed as the start."""
    side.git.init(side.path / "w")
    side.quiet("remote", "add", "origin", side.url)
    for i in range(3):
        side.commit("file", f"line {i}\n" * 50)
        side.commit(f"dir/{i}", f"{i}\n" * 20)
    side.quiet("branch", "side", "HEAD~2")
    side.quiet("tag", "light", "HEAD~1")
    side.quiet("tag", "-a", "-m", "a tag", "heavy", "HEAD~3")
    side.quiet("push", "-q", "URL", "main", "side", "light", "heavy")


def same(what, ours, plain):
    if ours != plain:
        keys = [k for k in {**ours, **plain} if ours.get(k) != plain.get(k)]
        raise AssertionError(f"{what} differ in {keys}:\ngitshard {ours}\nplain    {plain}")


REASON = re.compile(r"^(!.*|.* ! \[remote rejected\].*|\s*! \[remote rejected\].*) \(([^()]*)\)$")
OURS = "pre-receive hook declined"


def told(text, other):
    """Lines of what one side said, each ref's reason apart, so that one difference can be allowed:
    gitshard refuses as much as it can in pre-receive, where the objects vanish with the refusal, and
    says git's own sentence there.  It may say more than git, in lines of its own."""
    lines = []
    reasons = dict(m.groups() for line in other.splitlines() if (m := REASON.match(line)))
    for line in text.splitlines():
        m = REASON.match(line)
        if m and OURS in (m[2], reasons.get(m[1])) and "remote: error: " in text:
            line = m[1] + " (refused)"
        lines.append(line)
    return lines


def same_stories(ours, plain):
    """Step by step; the first that differs tells most."""
    for n, (a, b) in enumerate(zip(ours, plain)):
        out, err = told(a[2], b[2]), told(a[3], b[3])
        missing = [line for line in told(b[3], a[3]) if line not in err]
        more = [line for line in err if line not in told(b[3], a[3]) and not line.startswith("remote: error: ")]
        if a[:2] != b[:2] or out != told(b[2], a[2]) or missing or more:
            text = "\n".join(f"{side}: {rc}\n{out}\n{err}" for side, (_, rc, out, err) in
                             (("gitshard", a), ("plain", b)))
            raise AssertionError(f"step {n}, git {a[0]}\nmissing {missing}\nmore {more}\n{text}")
    assert len(ours) == len(plain)


def compare(operation, cluster, peer, repo, path, protocol, seeded=True):
    sides = []
    for name, server in (("gitshard", cluster), ("plain", peer)):
        side = Side(server, repo, path / name, protocol)
        if seeded:
            seed(side)
        operation(side)
        sides.append(side)
    ours, plain = sides
    same_stories(ours.story(), plain.story())
    same("the user's folders", ours.clients(), plain.clients())
    same("the repositories", cluster.dumps(repo), peer.dumps(repo))
    cluster.nothing_left(repo)
    return ours
