"""Those who push and those who read."""
import os
import re
import shutil
import signal
import subprocess
import time

from harness import gitrun
from harness.wait import PATIENCE
from registers import NO, OK, UNKNOWN, now

LAST_SECONDS = 40.0 * PATIENCE
HANG_SECONDS = 120.0  # a pause of 30 s, the deadlines of node and router, and a good deal more
# What a client was told ends with nothing moved.
REFUSED = ("nothing was changed", "[rejected]")


class Hang(Exception):
    pass


class Person:
    """A thread's user: a home, a bare repository for work, a seeded mind."""

    def __init__(self, world, name, repo, rng):
        self.w, self.h, self.name, self.repo, self.rng = world, world.history, name, repo, rng
        self.git = gitrun.Git(world.dir / "people" / name / "home", protocol=rng.choice((0, 1, 2)))
        self.git.env["GIT_AUTHOR_NAME"] = name  # no two people make the same commit
        self.work = self.git.init(world.dir / "people" / name / "r.git", "--bare")
        self.done = 0
        self.setup()

    def setup(self):
        pass

    def url(self, repo=None):
        return self.w.cluster.url(repo or self.repo, self.rng.choice(range(1, len(self.w.cluster.routers) + 1)))

    def net(self, *args, vanish=None, program=("git",)):
        """git over the network: (rc, out, err).  vanish: killed after so many seconds."""
        words = (*program, *map(str, args))
        p = subprocess.Popen(words, cwd=self.work, env=self.git.env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
        begin = now()
        try:
            out, err = p.communicate(timeout=vanish or HANG_SECONDS)
        except subprocess.TimeoutExpired:
            if not vanish:
                self.w.hang(f"{self.name}: {' '.join(words)} has no end after {HANG_SECONDS:g} s")
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            return -9, "", "vanished"
        took = now() - begin
        self.w.slowest(f"{self.name}: {' '.join(words)}", took)
        return p.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def commit(self, parent=None, blob=None):
        tree = self.w.tree
        if blob is not None:
            (self.work / "blob").write_bytes(blob)
            oid = self.git.out("hash-object", "-w", "blob", cwd=self.work)
            tree = self.git.out("mktree", cwd=self.work, input=f"100644 blob {oid}\tblob\n")
        self.git.tick()
        self.done += 1
        args = ["commit-tree", tree, "-m", f"{self.name} {self.done}"]
        return self.git.out(*args, *(["-p", parent] if parent else []), cwd=self.work)

    def push(self, specs, *options):
        """Pushes; returns a function from a ref to its fate."""
        vanish = self.rng.uniform(0.02, 0.5) if self.rng.random() < self.w.vanish else None
        rc, out, err = self.net("push", "--porcelain", *options, self.url(), *specs, vanish=vanish)
        told = {}
        for line in out.splitlines():
            m = re.match(r"([ +\-*!=])\t([^:]*):(\S+)\t(.*)", line)
            if m:
                told[m[3]] = (m[1], m[4])
        if rc != 0 and err != "vanished":
            self.w.words(out + err)

        def fate(ref):
            flag, why = told.get(ref, ("?", ""))
            if rc == 0 or flag in " +-*=":
                return OK
            if any(w in why or w in err for w in REFUSED):
                return NO
            # A refusal of one ref says so, or says that it does not know; git itself does not when
            # the hook was killed.
            if flag == "!" and "[remote rejected]" in why and "unknown" not in why and \
                    "fail to run" not in why:
                return NO
            return UNKNOWN
        return fate

    def look(self):
        """A strict read by ls-remote, judged; {ref: id}, or None when there was no answer."""
        version = self.rng.choice(("0", "1", "2"))
        begin = now()
        rc, out, err = self.net("-c", f"protocol.version={version}", "ls-remote", self.url())
        if rc != 0:
            self.h.count("failed reads")
            self.w.words(err)
            return None
        seen = dict(reversed(l.split("\t")) for l in out.splitlines())
        self.h.judge(f"{self.name} (ls-remote v{version})", self.repo, begin, seen)
        return seen

    def look_until(self):
        while not self.w.over():
            seen = self.look()
            if seen is not None:
                return seen
            self.rest(0.3)
        return None

    def rest(self, most):
        time.sleep(self.rng.uniform(0, most))

    def live(self):
        while not self.w.stopping():
            self.turn()
            self.rest(self.w.rest)

    def last(self):
        """After everything is well again: it must work, at once or nearly."""
        end = now() + LAST_SECONDS
        while now() < end:
            before = self.h.counts[OK]
            if self.turn() == OK:
                return
            if self.h.counts[OK] == before:
                self.rest(0.5)
        self.h.fail(f"{self.name}: no push works {LAST_SECONDS:g} s after everything was well again")


class Mover(Person):
    """One register of refs; subclasses say what it holds next."""
    refs = ("{}",)
    atomic = False

    def setup(self):
        refs = tuple("refs/" + r.format(self.name) for r in self.refs)
        self.reg = self.h.register(self.repo, refs)
        self.value = self.reg.ops[0].value
        self.sure = True

    def next(self):
        raise NotImplementedError

    def turn(self):
        retry = not self.sure and self.rng.random() < 0.5
        if not self.sure and not retry:
            seen = self.look_until()
            if seen is None:
                return None
            self.value = tuple(seen.get(ref) for ref in self.reg.refs)
            self.sure = True
        want = self.reg.ops[-1].value if retry else self.next()
        specs = [f"+{new or ''}:{ref}" for ref, old, new in zip(self.reg.refs, self.value, want)
                 if retry or old != new]
        if retry:  # a delete of what is not there is refused by git itself
            specs = [s for s in specs if not s.startswith("+:")]
            if len(specs) != len(self.reg.refs):
                self.sure = False
                seen = self.look_until()
                if seen is not None:
                    self.value, self.sure = tuple(seen.get(ref) for ref in self.reg.refs), True
                return None
        op = self.h.begin(self.reg, want)
        fate = self.push(specs, *(["--atomic"] if self.atomic else []))
        fates = {fate(s.rsplit(":", 1)[1]) for s in specs}
        f = OK if fates == {OK} else NO if fates == {NO} else UNKNOWN
        if f == UNKNOWN and OK in fates and self.atomic:
            self.h.fail(f"{self.name}: an atomic push was answered by halves: {fates}")
        self.h.end(self.reg, op, f)
        if f == OK:
            self.value, self.sure = want, True
        elif f == UNKNOWN:
            self.sure = False
        return f


class Forward(Mover):
    refs = ("heads/{}",)
    tip = None

    def next(self):
        self.tip = self.commit(self.tip or self.w.base)
        return (self.tip,)


class Large(Forward):
    """Packs that are staged on a majority of voters before the record is appended."""

    def next(self):
        size = self.rng.choice((210_000, 400_000, 900_000))
        self.tip = self.commit(self.tip or self.w.base, blob=self.rng.randbytes(size))
        return (self.tip,)


class Force(Mover):
    refs = ("heads/{}/forced",)

    def next(self):
        return (self.commit(self.w.base),)


class Group(Mover):
    refs = ("heads/{}/a", "heads/{}/b", "tags/{}")
    atomic = True

    def next(self):
        return (self.commit(self.w.base),) * 3


class Swap(Mover):
    """A branch becomes a folder of branches, and back, in one atomic push."""
    refs = ("heads/{}/d", "heads/{}/d/x", "heads/{}/mark")
    atomic = True

    def next(self):
        new = self.commit(self.w.base)
        return (None, new, new) if self.value[0] else (new, None, new)


class Life(Mover):
    refs = ("heads/{}/life",)

    def next(self):
        return (None,) if self.value[0] else (self.commit(self.w.base),)


class Many(Person):
    """Several refs in one push that is not atomic: each has a fate of its own."""

    def setup(self):
        self.regs = [self.h.register(self.repo, (f"refs/tags/{self.name}/{i}",)) for i in range(6)]

    def turn(self):
        regs = self.rng.sample(self.regs, self.rng.randint(2, 6))
        sha = self.commit(self.w.base)
        ops = [self.h.begin(r, (sha,)) for r in regs]
        fate = self.push([f"+{sha}:{r.refs[0]}" for r in regs])
        fates = [fate(r.refs[0]) for r in regs]
        for r, op, f in zip(regs, ops, fates):
            self.h.end(r, op, f)
        return OK if set(fates) == {OK} else None


class Shared(Person):
    """Many push to one branch; a race lost is no harm."""

    def turn(self):
        ref, c = "refs/heads/shared", self.w.shared
        rc, _, err = self.net("fetch", "-q", self.url(), f"+{ref}:{ref}")
        if rc != 0:
            self.w.words(err)
            return None
        parent = self.git.out("rev-parse", ref, cwd=self.work)
        f = None
        for _ in range(2):
            tip = self.commit(parent)
            with self.h.lock:
                c.number[tip] = c.number[parent] + 1
            f = self.push([f"{tip}:{ref}"])(ref)
            self.h.chain_end(c, tip, f)
            if f != OK:
                break
            parent = tip
        return f


class Founder(Person):
    """Pushes to repositories that do not exist yet."""

    def setup(self):
        self.n = 0
        self.founded = []

    def turn(self):
        if self.founded and self.rng.random() < 0.3:
            self.repo = self.rng.choice(self.founded)
            self.look()
            return None
        self.n += 1
        self.repo = f"found/{self.name}-{self.n}"
        self.founded.append(self.repo)
        reg = self.h.register(self.repo, ("refs/heads/main", "refs/heads/other"))
        sha = self.commit(self.w.base)
        op = self.h.begin(reg, (sha, sha))
        fate = self.push([f"{sha}:{r}" for r in reg.refs], "--atomic")
        fates = {fate(r) for r in reg.refs}
        f = OK if fates == {OK} else NO if fates == {NO} else UNKNOWN
        self.h.end(reg, op, f)
        return f


class Mason(Person):
    """Builds a repository by a push and pulls it down by shardctl; the name is always the same."""

    def setup(self):
        self.repo = f"mason/{self.name}"
        self.reg = self.h.register(self.repo, ("refs/heads/main",))

    def look(self):
        begin = now()
        rc, out, err = self.net("ls-remote", self.url())
        if rc != 0 and "does not exist" not in err:
            self.h.count("failed reads")
            self.w.words(err)
            return None
        seen = dict(reversed(l.split("\t")) for l in out.splitlines())
        self.h.judge(self.name, self.repo, begin, seen)
        return seen

    def pull_down(self):
        rc, _, err = self.net("repo", "delete", self.repo, program=self.w.shardctl)
        if rc != 0:
            self.w.words(err)
        # What it found missing says nothing of who took it away; it may have been we.
        return OK if rc == 0 else UNKNOWN

    def turn(self):
        seen = self.look_until()
        if seen is None:
            return None
        if seen and self.rng.random() < 0.7:
            op = self.h.begin(self.reg, (None,))
            f = self.pull_down()
        else:
            sha = self.commit(self.w.base)
            op = self.h.begin(self.reg, (sha,))
            f = self.push([f"+{sha}:refs/heads/main"])("refs/heads/main")
        self.h.end(self.reg, op, f)
        return f


class Looker(Person):
    def turn(self):
        self.repo = self.rng.choice(self.w.repos)
        return OK if self.look() is not None else None


class Cloner(Person):
    def turn(self):
        self.repo = self.rng.choice(self.w.repos)
        to = self.w.dir / "people" / self.name / "clone"
        begin = now()
        rc, _, err = self.net("clone", "-q", "--mirror", self.url(), to)
        if rc != 0:
            self.h.count("failed reads")
            self.w.words(err)
        else:
            self.h.judge(f"{self.name} (clone)", self.repo, begin, gitrun.refs(self.git, to))
            bad = gitrun.fsck(self.git, to)
            if bad != (0, ""):
                self.h.fail(f"{self.name}: a clone of {self.repo} is broken: {bad}")
        shutil.rmtree(to, ignore_errors=True)
        return OK if rc == 0 else None


class Fetcher(Person):
    """Keeps a mirror."""

    def turn(self):
        begin = now()
        vanish = self.rng.uniform(0.02, 0.3) if self.rng.random() < self.w.vanish else None
        rc, _, err = self.net("fetch", "-q", "--prune", self.url(), "+refs/*:refs/*", vanish=vanish)
        if rc == 0:
            self.h.judge(f"{self.name} (fetch)", self.repo, begin, gitrun.refs(self.git, self.work))
            return OK
        for lock in self.work.rglob("*.lock"):
            lock.unlink(missing_ok=True)
        if err != "vanished":
            self.h.count("failed reads")
            self.w.words(err)
        return None


WRITERS = (Forward, Group, Large, Force, Swap, Shared, Life, Many, Founder, Shared, Mason)
READERS = (Looker, Fetcher, Cloner)
