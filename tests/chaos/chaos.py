#!/usr/bin/python3
"""tests/chaos/chaos.py - people push and read while a monkey hurts the cluster; nothing that was
promised may break (docs/testing.md).

  CHAOS_SECONDS=300     how long; the check of what is left comes on top
  CHAOS_SEED=N          of everybody's choices; printed at the end (moments still differ)
  CHAOS_CALM=1          no monkey: what leaks under load alone
  CHAOS_PEOPLE=11       how many write
  CHAOS_KEEP=1          keep the folder of a green run
  GITSHARD_BUILD=debug  sanitizers and fault points"""
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

os.environ.setdefault("GITSHARD_PATIENCE", "1")  # how long things may take is a promise here

from harness import gitrun  # noqa: E402
from harness.cluster import TREE, Cluster  # noqa: E402
from harness.wait import wait_for  # noqa: E402
import monkey  # noqa: E402
import people  # noqa: E402
from registers import OK, History, now, self_check  # noqa: E402

SECONDS = float(os.environ.get("CHAOS_SECONDS", "300"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
WRITERS = int(os.environ.get("CHAOS_PEOPLE", "11"))
CALM = os.environ.get("CHAOS_CALM") is not None
ENOUGH = 8  # broken promises after which there is no use in going on
SETS = ["node.projection_check=2s", "router.threads=2"]


class World:
    def __init__(self, dir_):
        self.dir, self.history = pathlib.Path(dir_), History()
        self.cluster = Cluster(self.dir / "c", nodes=3, routers=2, shards=8, sets=SETS)
        self.repos = [f"chaos/r{i}" for i in range(3)]
        self.vanish, self.rest, self.gap = (0.0 if CALM else 0.03), 0.15, 3.0
        self.deadline = self.final = float("inf")
        self.slow = (0.0, "")
        self.usage = {}  # (name, pid) -> [(time, resident kB, descriptors)]
        self.hung = 0
        self.shardctl = shlex.split(self.cluster.env["SHARDCTL"])

    def stopping(self):
        return now() > self.deadline or len(self.history.wrong) >= ENOUGH

    def over(self):
        return now() > self.final or len(self.history.wrong) >= ENOUGH

    def slowest(self, what, took):
        if took > self.slow[0]:
            self.slow = (took, what)

    def words(self, text):
        """Each sort of error text once, without what differs."""
        for line in text.splitlines():
            if re.match(r"(To |Done|hint:|[ +*=-]\t|\s*$)", line):
                continue
            for pattern, to in ((r"[0-9a-f]{40}", "ID"), (r"refs/\S+|heads/\S+", "REF"), (r"http://\S+", "URL"),
                                (r"\b(found|chaos)/[\w-]+", "REPO"), (r"\d+", "N")):
                line = re.sub(pattern, to, line)
            self.history.said(line.strip())

    def hang(self, text):
        """A request without end: everything the daemons say about themselves is kept."""
        self.hung += 1
        to = self.dir / f"hang-{self.hung}.txt"
        with open(to, "w") as f:
            f.write(text + "\n")
            for name in self.cluster.nodes + self.cluster.routers:
                for path in ("/readyz", "/status"):
                    f.write(f"== {name} {path}\n{self.cluster.http(name, path, seconds=3)[1]}\n")
            f.write("== children\n" + "\n".join(map(str, self.cluster.children())) + "\n")
        self.history.fail(f"{text}; see {to}")

    def watch(self):
        """Memory and descriptors of every daemon, every two seconds."""
        while not self.over():
            for name in self.cluster.nodes + self.cluster.routers:
                try:
                    pid = self.cluster.pid(name)
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                    rss = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
                    fds = len(os.listdir(f"/proc/{pid}/fd"))
                except (OSError, ValueError, TypeError):
                    continue
                self.usage.setdefault((name, pid), []).append((now(), rss, fds))
            time.sleep(2)

    def found(self):
        """A base commit, the common repositories, those who use them."""
        git = gitrun.Git(self.dir / "home")
        work = git.init(self.dir / "w")
        self.base = git.commit(work)
        self.tree = git.out("rev-parse", "HEAD^{tree}", cwd=work)
        for repo in self.repos:
            self.cluster.create(repo)
            git.run("push", "-q", self.cluster.url(repo), "HEAD:refs/heads/shared", cwd=work)
        self.shared = self.history.chain(self.repos[0], "refs/heads/shared", self.base)
        kinds = [people.WRITERS[i % len(people.WRITERS)] for i in range(WRITERS)] + list(people.READERS)
        self.people = []
        for i, kind in enumerate(kinds):
            rng = random.Random(f"{SEED} {i}")
            repo = self.repos[0] if kind is people.Shared else rng.choice(self.repos)
            p = kind(self, f"{kind.__name__.lower()}{i}", repo, rng)
            git.run("fetch", "-q", work, "HEAD", cwd=p.work)
            shutil.copytree(work / ".git/objects", p.work / "objects", dirs_exist_ok=True)
            self.people.append(p)

    def guarded(self, what, run):
        try:
            run()
        except Exception:  # a thread's failure is the run's
            self.history.fail(f"{what}: {traceback.format_exc()}")

    def progress(self):
        c = self.history.counts
        print(f"chaos: {c['ok']} pushes, {c['refused']} refused, {c['unknown']} unknown, {c['reads']} reads, "
              f"{c['failed reads']} failed, "
              f"{c['older after newer']} older after newer, {len(self.history.wrong)} broken promises", flush=True)

    def run(self):
        self.deadline = now() + SECONDS
        threads = [threading.Thread(target=self.guarded, args=(p.name, p.live)) for p in self.people]
        watcher = threading.Thread(target=self.guarded, args=("watch", self.watch), daemon=True)
        for t in threads + [watcher]:
            t.start()
        with open(self.dir / "monkey.log", "w") as log:
            self.monkey = monkey.Monkey(self, random.Random(f"{SEED} monkey"), min(30.0, SECONDS / 8), log)
            if CALM:
                while not self.stopping():
                    time.sleep(0.2)
            else:
                self.guarded("monkey", self.monkey.live)
            self.guarded("heal", self.monkey.heal)
            self.guarded("ready", self.all_ready)
        end = now() + people.HANG_SECONDS + 20
        for t in threads:
            t.join(max(0.0, end - now()))
        if any(t.is_alive() for t in threads):
            self.history.fail("somebody's push or read does not end after everything was mended")
        self.progress()
        self.guarded("equal", lambda: [self.cluster.wait_equal(repo, seconds=30) for repo in self.repos])
        self.history.quiet = True
        self.final = now() + 120
        for p in self.people:
            if not self.over():
                self.guarded(p.name, p.last)
        for p in self.people:
            if not self.over() and p.repo in self.repos:
                self.guarded(p.name, p.look)

    def all_ready(self):
        c = self.cluster
        wait_for(lambda: c.raw("status", str(c.dir), check=False).returncode == 0, 60,
                 lambda: "all ready: " + c.raw("status", str(c.dir), check=False).stdout, step=0.2)

    # what is left

    def check_repo(self, repo):
        c = self.cluster
        c.wait_equal(repo, seconds=30)

        def projected():
            try:
                seen = [gitrun.refs(c.git, c.repo_dir(n, repo)) for n in c.nodes]
            except AssertionError as e:
                return str(e)
            return all(s == seen[0] for s in seen) or str(seen)
        wait_for(lambda: projected() is True, 20, lambda: f"{repo}: files equal: {projected()}", step=0.2)
        refs = c.dumps(repo)["refs"]
        listed = dict(reversed(l.split("\t")) for l in c.git.out("ls-remote", c.url(repo)).splitlines())
        on_disk = {r: v for r, v in refs.items() if r != "HEAD"}
        advertised = {r: v for r, v in listed.items() if r != "HEAD" and not r.endswith("^{}")}
        assert on_disk == advertised, f"{repo}: {on_disk} on disk, {advertised} advertised"
        for p in self.people:
            if isinstance(p, people.Forward) and p.repo == repo:
                acked = [op.value[0] for op in p.reg.ops[1:] if op.fate == OK]
                self.in_history(repo, refs, p.reg.refs[0], acked)
        if self.shared.repo == repo:
            self.in_history(repo, refs, self.shared.ref, self.shared.acked)

    def in_history(self, repo, refs, ref, acked):
        for n in self.cluster.nodes:
            have = set(self.cluster.git.out("rev-list", refs[ref], cwd=self.cluster.repo_dir(n, repo)).split()) \
                if ref in refs else set()
            lost = [s for s in acked if s not in have]
            assert not lost, f"{n}: {repo} {ref} lost acknowledged pushes: {lost}"

    def check_all_repos(self):
        """Those founded on the way: the same ones everywhere, with one digest, and all of them known."""
        c = self.cluster

        def all_repos():
            return [{r["repo"]: (r["id"], r["digest"], r["refs"]) for r in c.json(n, "/v1/repos")["repos"]}
                    for n in c.nodes]
        wait_for(lambda: all(x == all_repos()[0] for x in all_repos()), 20, "one list of repositories", step=0.2)
        have = all_repos()[0]
        for r in self.history.registers:
            gone = any(op.value == (None,) for op in r.ops[1:])  # it may be down for good
            assert gone or r.ops[-1].fate != OK or r.repo in have, f"{r.repo} was acknowledged and is not there"
        founders = [p for p in self.people if isinstance(p, people.Founder)]
        for p in founders:
            for repo in p.founded[-40:]:
                if repo in have:
                    p.repo = repo
                    p.look()
            for repo in p.founded[-4:]:
                if repo in have:
                    c.dumps(repo)

    def check_nodes(self):
        c = self.cluster
        for n in c.nodes:
            data = c.root(n) / ".gitshard"
            left = list((data / "tmp").glob("*"))
            assert not left, f"{n}: left in tmp: {left}"
            socks = [p.name for p in data.rglob("*") if p.is_socket()]
            assert socks == ["hook.sock"], f"{n}: {socks}"
            for s in c.json(n, "/status")["shards"]:
                assert s["missing_packs"] == 0 and s["unresolved"] == 0 and s["halted"] is None, f"{n}: {s}"
            damaged = [r for r in c.json(n, "/v1/repos")["repos"] if r["state"] != "ok"]
            assert not damaged, f"{n}: {damaged}"
            for repo in c.root(n).glob("*/*.git"):
                left = gitrun.leftovers(repo)
                assert not left, f"{n}: left behind: {left}"

    def check_staging(self):
        """A voter that did not hear a release keeps the pack until the next claim, and no longer."""
        c = self.cluster

        def left():
            return [str(p) for n in c.nodes for p in c.staging(n).iterdir()]
        try:
            wait_for(lambda: not left(), 20, "staging is empty", step=0.2)
        except AssertionError:
            print(f"chaos: {len(left())} staged files wait for a claim: {left()}")
            for n in c.nodes:
                c.do("stop", n)
                c.do("start", n)
            wait_for(lambda: not left(), 20, lambda: f"staging is empty: {left()}", step=0.2)

    def check_refill(self):
        """A node whose disk is lost gets everything again from the log and the others."""
        c, n = self.cluster, random.Random(f"{SEED} refill").choice(self.cluster.nodes)
        c.do("kill", n)
        c.do("wipe", n)
        c.do("start", n)
        for repo in self.repos:
            c.wait_equal(repo, seconds=60)
            c.dumps(repo)
        bad = [r for r in c.json(n, "/v1/repos")["repos"] if r["state"] != "ok"]
        assert not bad, f"{n} after its disk was lost: {bad}"

    def check_usage(self):
        for (name, pid), rows in sorted(self.usage.items()):
            if len(rows) < 10 or pid != self.cluster.pid(name):
                continue
            early, late = rows[len(rows) // 4], rows[-1]
            print(f"chaos: {name} {pid}: {late[0] - rows[0][0]:.0f} s, resident {early[1]} -> {late[1]} kB, "
                  f"descriptors {early[2]} -> {late[2]} (most {max(r[2] for r in rows)})")
            if late[2] > 300:
                self.history.fail(f"{name}: {late[2]} descriptors open when all is quiet")

    def check(self):
        self.guarded("children", self.cluster.no_children)
        for repo in self.repos:
            self.guarded(repo, lambda: self.check_repo(repo))
        self.guarded("repositories", self.check_all_repos)
        self.guarded("nodes", self.check_nodes)
        self.final = 0
        self.guarded("usage", self.check_usage)
        self.guarded("staging", self.check_staging)
        self.guarded("refill", self.check_refill)
        self.guarded("end", self.cluster.down)


def main():
    self_check()
    (TREE / "build" / "chaos").mkdir(parents=True, exist_ok=True)
    dir_ = tempfile.mkdtemp(prefix="run-", dir=TREE / "build" / "chaos")
    print(f"chaos: seed {SEED}, {SECONDS:g} s, {WRITERS} writers, in {dir_}", flush=True)
    world = World(dir_)
    try:
        world.found()
        world.run()
        world.check()
    finally:
        world.cluster.raw("down", str(world.cluster.dir), check=False)
    h = world.history
    with open(world.dir / "words.txt", "w") as f:
        for text, n in sorted(h.words.items(), key=lambda kv: -kv[1]):
            f.write(f"{n:6} {text}\n")
    with open(world.dir / "wrong.json", "w") as f:
        json.dump(h.wrong, f, indent=1)
    world.progress()
    print(f"chaos: the monkey did {world.monkey.counts}; slowest {world.slow[0]:.1f} s: {world.slow[1]}")
    for text in h.wrong[:ENOUGH]:
        print("chaos: BROKEN: " + text)
    if h.wrong:
        print(f"chaos: CHAOS_SEED={SEED} failed; all is kept in {dir_}")
    elif os.environ.get("CHAOS_KEEP") is None:
        shutil.rmtree(dir_, ignore_errors=True)
    good = h.counts["ok"] + h.counts["reads"]
    print(f"{good} passed, {len(h.wrong)} failed")
    return 1 if h.wrong else 0


sys.exit(main())
