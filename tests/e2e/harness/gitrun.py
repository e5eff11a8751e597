"""The real git as a client: an environment of its own, every run's code and words kept."""
import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess

NULL = "0" * 40
SECONDS = 600  # patience: gitshard's own deadlines end what does not end


@dataclasses.dataclass
class Result:
    args: tuple
    rc: int
    out: str
    err: str

    @property
    def ok(self):
        return self.rc == 0

    def __str__(self):
        return f"git {' '.join(self.args)}: {self.rc}\n{self.out}{self.err}"


def base_env(home, protocol=None):
    """Nothing of the machine's or the user's configuration reaches these."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "TZ": "UTC",
           "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat",
           "GIT_AUTHOR_NAME": "A U Thor", "GIT_AUTHOR_EMAIL": "author@localhost",
           "GIT_COMMITTER_NAME": "C O Mitter", "GIT_COMMITTER_EMAIL": "committer@localhost",
           "no_proxy": "*"}
    config = {"init.defaultBranch": "main", "gc.auto": "0", "maintenance.auto": "false"}
    if protocol is not None:
        config["protocol.version"] = str(protocol)
    env["GIT_CONFIG_COUNT"] = str(len(config))
    for i, (key, value) in enumerate(config.items()):
        env[f"GIT_CONFIG_KEY_{i}"], env[f"GIT_CONFIG_VALUE_{i}"] = key, value
    return env


class Git:
    """One user: a home, a protocol version, a clock that goes one minute on with each commit."""

    def __init__(self, home, protocol=None):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.env = base_env(home, protocol)
        self.minutes = 0

    def run(self, *args, cwd=None, input=None, check=True, env=None, seconds=SECONDS):
        args = tuple(str(a) for a in args)
        p = subprocess.run(("git",) + args, cwd=cwd, env={**self.env, **(env or {})},
                           input=input if input is None or isinstance(input, bytes) else input.encode(),
                           stdin=subprocess.DEVNULL if input is None else None,
                           capture_output=True, timeout=seconds)
        r = Result(args, p.returncode, p.stdout.decode(errors="replace"),
                   p.stderr.decode(errors="replace"))
        if check and not r.ok:
            raise AssertionError(str(r))
        return r

    def out(self, *args, **kw):
        return self.run(*args, **kw).out.strip()

    def tick(self):
        self.minutes += 1
        date = f"{1700000000 + 60 * self.minutes} +0000"
        self.env["GIT_AUTHOR_DATE"] = self.env["GIT_COMMITTER_DATE"] = date

    def init(self, path, *args):
        self.run("init", "-q", *args, path)
        return pathlib.Path(path)

    def commit(self, repo, name="file", text=None, message=None):
        """Adds a commit to what is checked out, returns its id."""
        self.tick()
        path = pathlib.Path(repo) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text is not None else f"{name} {self.minutes}\n")
        self.run("add", name, cwd=repo)
        self.run("commit", "-q", "-m", message or f"commit {self.minutes}", cwd=repo)
        return self.out("rev-parse", "HEAD", cwd=repo)

    def commit_on(self, repo, parent, message, files=None):
        """A commit without a work tree: the parent's tree plus small files.  Quick."""
        self.tick()
        if files is None:
            tree = self.out("rev-parse", f"{parent}^{{tree}}", cwd=repo) if parent else \
                self.out("mktree", cwd=repo, input="")
        else:
            lines = [self.out("ls-tree", parent, cwd=repo)] if parent else []
            keep = [l for l in "\n".join(lines).splitlines() if l.split("\t")[1] not in files]
            for name, text in files.items():
                blob = self.out("hash-object", "-w", "--stdin", cwd=repo, input=text)
                keep.append(f"100644 blob {blob}\t{name}")
            tree = self.out("mktree", cwd=repo, input="\n".join(keep) + "\n")
        args = ["commit-tree", tree, "-m", message] + (["-p", parent] if parent else [])
        return self.out(*args, cwd=repo)

    def pack(self, repo, want, have=()):
        """The bytes of a pack with what is reachable from want and not from have."""
        spec = "\n".join(list(want) + ["^" + h for h in have]) + "\n"
        return subprocess.run(["git", "pack-objects", "--revs", "--stdout", "-q"], cwd=repo, env=self.env,
                              input=spec.encode(), capture_output=True, check=True).stdout


# ---- what a repository holds -----------------------------------------------------------------

def refs(git, repo):
    """{name: id} of all refs, and HEAD's target under "HEAD"."""
    out = git.out("for-each-ref", "--format=%(refname) %(objectname)", cwd=repo)
    found = dict(line.split(" ", 1) for line in out.splitlines())
    head = git.run("symbolic-ref", "-q", "HEAD", cwd=repo, check=False)
    found["HEAD"] = head.out.strip() if head.ok else git.out("rev-parse", "HEAD", cwd=repo)
    return found


def objects(git, repo):
    """Digest and number of all reachable objects; the missing ones of a partial clone with `?`."""
    out = git.out("rev-list", "--objects", "--all", "--no-object-names", "--missing=print", cwd=repo)
    ids = sorted(out.splitlines())
    return len(ids), hashlib.sha256("\n".join(ids).encode()).hexdigest()


def all_objects(git, repo):
    """Every object that is there, reachable or not."""
    out = git.out("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=repo)
    return set(out.split())


def fsck(git, repo):
    r = git.run("fsck", "--full", "--strict", "--no-progress", "--no-dangling", cwd=repo, check=False)
    words = [l for l in (r.out + r.err).splitlines() if not l.startswith("notice: ")]
    return r.rc, "\n".join(words)  # a HEAD without its branch is worth a notice, and no more


def dump(git, repo, worktree=False):
    """All that two repositories must have in common to be called equal."""
    repo = pathlib.Path(repo)
    d = {"refs": refs(git, repo), "objects": objects(git, repo)}
    gitdir = repo / ".git" if (repo / ".git").exists() else repo
    shallow = gitdir / "shallow"
    d["shallow"] = sorted(shallow.read_text().split()) if shallow.exists() else []
    if not (repo / ".git").exists() or "?" not in git.out(
            "rev-list", "--objects", "--all", "--missing=print", cwd=repo):
        d["fsck"] = fsck(git, repo)
    if worktree:
        r = git.run("status", "--porcelain", cwd=repo, check=False)
        d["status"] = (r.rc, r.out)  # a partial clone may have to ask its server, in vain
    return d


def leftovers(repo, staging=None):
    """Files that a push that ended must not leave: quarantines, locks, half packs."""
    bad = []
    for folder, folders, files in os.walk(repo):  # unlike rglob(), it bears folders that go meanwhile
        bad += [os.path.join(folder, name) for name in folders + files
                if name.startswith("tmp_objdir-") or name.endswith((".lock", ".keep"))
                or re.match(r"tmp_(pack|idx|obj)_|incoming-", name)]
    if staging is not None and pathlib.Path(staging).is_dir():
        bad += [str(p) for p in pathlib.Path(staging).iterdir()]
    return bad


def normal(text, urls):
    """What a client was told, without what legitimately differs: addresses and folders."""
    for url, name in urls.items():
        text = text.replace(str(url), name)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())
