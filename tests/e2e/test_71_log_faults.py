"""Shows 3: the log does, by a seed, whatever protocol R5 allows a log to do (commitlog_fault.h): it loses
appends and acknowledgements, appends late or twice, delays, freezes, refuses.  People of tests/chaos push
and read meanwhile; then the log is read and everything compared with it (harness/loglook.py): what they
were told, every ref on every node, every read.  In the middle of it one node is killed, and claims again
on such a log.

GITSHARD_FAULT_SEEDS=2, from GITSHARD_FAULT_SEED=1 on; GITSHARD_FAULT_TURNS=7 of each who pushes.
make check-log-faults has 20 seeds on each log."""
import collections
import os
import random
import re
import shlex
import shutil
import sys
import threading
import time
import traceback

import pytest

from conftest import GITSHARD_KEEP, end_cluster
from harness import cluster as harness
from harness import direct, gitrun, loglook
from harness.wait import PATIENCE, wait_for

sys.path.insert(0, str(harness.TREE / "tests/chaos"))
import people  # noqa: E402
from registers import NO, OK, History, now, self_check  # noqa: E402

SEEDS = int(os.environ.get("GITSHARD_FAULT_SEEDS", "2"))
FIRST = int(os.environ.get("GITSHARD_FAULT_SEED", "1"))
TURNS = int(os.environ.get("GITSHARD_FAULT_TURNS", "7"))
SHARDS = 4
# Of a thousand appends, barriers among them, and milliseconds at most; a seed has between half and twice
# as many.
KINDS = {"refuse": (30, 0), "lost": (50, 0), "lostack": (50, 0), "late": (60, 900), "twice": (60, 500),
         "delay": (50, 700), "freeze": (16, 800)}
# A fate that the log leaves open for longer than that is an unknown outcome to the client; a node asks for
# a barrier after a second.
SETS = ["node.push_deadline=800ms", "node.projection_check=2s"]
SLACK_MS = 2  # between a wall clock in milliseconds and ours

met = collections.Counter()  # over all seeds
total = collections.Counter()


def wall_clock():
    """What has to be added to now() for the time of day, by the quickest of some looks: who is interrupted
    in the middle of one is wrong by as much."""
    looks = []
    for _ in range(200):
        before, wall, after = now(), time.time(), now()
        looks.append((after - before, wall - (before + after) / 2))
    return min(looks)[1]


class World:
    """As people know it."""

    def __init__(self, seed, dir_, cluster):
        self.seed, self.dir, self.cluster, self.history = seed, dir_, cluster, History()
        self.wall = wall_clock()
        self.repos = [f"faults/r{i}" for i in range(3)]
        self.vanish, self.rest = 0.0, 0.05
        self.shardctl = shlex.split(cluster.env["SHARDCTL"])
        self.words_told = collections.Counter()
        self.pushing = True
        self.killed, self.dying, self.all_met = None, None, False
        self.met = collections.Counter()
        self.reads = []  # (node, repository, offset, refs, when it had ended)

    def stopping(self):
        return not self.pushing

    def over(self):
        return len(self.history.wrong) >= 8

    def slowest(self, what, took):
        pass

    def words(self, text):
        self.words_told.update(text.splitlines())

    def hang(self, text):
        self.history.fail(text)

    def ms(self, moment):
        return (self.wall + moment) * 1000

    def found(self):
        """Repositories and people; a push whose outcome is unknown is pushed again."""
        git = gitrun.Git(self.dir / "home")
        work = git.init(self.dir / "w")
        self.base = git.commit(work)
        self.tree = git.out("rev-parse", "HEAD^{tree}", cwd=work)
        for repo in self.repos:
            wait_for(lambda: git.run("push", "-q", self.cluster.url(repo), "HEAD:refs/heads/shared",
                                     cwd=work, check=False).ok, 60, f"{repo} is founded", step=0.1)
        self.shared = self.history.chain(self.repos[0], "refs/heads/shared", self.base)
        self.writers, self.readers = [], []
        for i, kind in enumerate(people.WRITERS + (people.Looker, people.Fetcher)):
            rng = random.Random(f"{self.seed} {i}")
            repo = self.repos[0] if kind is people.Shared else self.repos[i % len(self.repos)]
            p = kind(self, f"{kind.__name__.lower()}{i}", repo, rng)
            git.run("fetch", "-q", work, "HEAD", cwd=p.work)
            shutil.copytree(work / ".git/objects", p.work / "objects", dirs_exist_ok=True)
            (self.writers if i < len(people.WRITERS) else self.readers).append(p)

    def guarded(self, what, run):
        try:
            run()
        except Exception:  # a thread's failure is the test's
            self.history.fail(f"{what}: {traceback.format_exc()}")

    def push_on(self, p):
        """So often, and until every kind of fault was met."""
        end, turns = now() + 90 * PATIENCE, 0
        while not self.over() and (turns < TURNS or not self.all_met and now() < end):
            p.turn()
            p.rest(self.rest)
            turns += 1

    def watch(self):
        while not self.stopping() and not self.all_met:
            texts = []
            for n in [n for n in self.cluster.nodes if n != self.dying]:
                text = self.cluster.http(n, "/metrics")[1]
                if n != self.dying:  # what it counts now dies with it
                    texts.append(text)
            self.all_met = all(self.met[kind] or any(
                re.search(f'faults_total{{kind="{kind}"}} [1-9]', t) for t in texts) for kind in KINDS)
            time.sleep(0.2)

    def read_refs(self):
        """What one node says its refs are at which offset."""
        rng = random.Random(f"{self.seed} reads")
        while not self.stopping():
            node, repo = rng.choice(self.cluster.nodes), rng.choice(self.repos)
            status, refs, fields = direct.refs_of(self.cluster, node, repo)
            if status == 200:
                refs.pop("HEAD", None)
                self.reads.append((node, repo, int(fields["gitshard-offset"].split(":")[1]), refs, self.ms(now())))
            time.sleep(0.1)

    def count_faults(self, node):
        for kind in KINDS:
            self.met[kind] += int(self.cluster.metric(node, "gitshard_log_faults_total", kind=kind))

    def kill_one(self):
        rng = random.Random(f"{self.seed} kill")
        at = rng.randint(20, 5 * TURNS)  # acknowledged pushes
        wait_for(lambda: self.stopping() or self.history.counts[OK] >= at, 120, "pushes", step=0.01)
        self.killed = self.dying = rng.choice(self.cluster.nodes)
        self.count_faults(self.killed)
        self.cluster.do("kill", self.killed)
        self.dying = None
        self.cluster.do("start", self.killed)

    def go(self):
        writers = [threading.Thread(target=self.guarded, args=(p.name, lambda p=p: self.push_on(p)))
                   for p in self.writers]
        readers = [threading.Thread(target=self.guarded, args=(p.name, p.live)) for p in self.readers]
        readers += [threading.Thread(target=self.guarded, args=(f.__name__, f))
                    for f in (self.read_refs, self.kill_one, self.watch)]
        for t in writers + readers:
            t.start()
        for t in writers:
            t.join()
        self.pushing = False
        for t in readers:
            t.join()


def settle(c, n_shards=SHARDS):
    """Every append's fate is known, and everything applied everywhere."""
    seen = {}

    def settled():
        for n in c.nodes:
            status, text = c.http(n, "/status")
            if status != 200:
                return False
            seen[n] = c.json(n, "/status")["shards"]
        shards = [s for n in c.nodes for s in seen[n]]
        return all(s["unresolved"] == 0 and s["applied"] == s["position"] and s["missing_packs"] == 0
                   and s["halted"] is None for s in shards) and \
            all(len({s["position"] for s in shards if s["shard"] == i}) == 1 for i in range(n_shards))
    wait_for(settled, 60, lambda: f"every fate is known: {seen}", step=0.1)


def compare_register(world, look, r, ends):
    """Each effective record was asked for by the operation that was under way then, and each operation was
    told what became of it."""
    changes = [c for c in look.by_path[r.repo] if any(ref in c.refs for ref in r.refs)]
    ops, at, state = r.ops[1:], 0, r.ops[0].value
    for i, op in enumerate(ops):
        until = world.ms(ops[i + 1].begin) - SLACK_MS if i + 1 < len(ops) else float("inf")
        mine = []
        while at < len(changes) and changes[at].wall_ms < until:
            mine.append(changes[at])
            state = tuple(changes[at].refs.get(ref, old) for ref, old in zip(r.refs, state))
            at += 1
        what = f"{r.repo} {' '.join(r.refs)}: {op}; the log: {[str(c) for c in mine] or 'nothing'}"
        assert all(c.wall_ms > world.ms(op.begin) - SLACK_MS for c in mine), f"nobody asked for it: {what}"
        assert len(mine) <= 1, f"more than once: {what}"
        if op.fate == OK:
            assert state == op.value, f"acknowledged, and not so in the log ({state}): {what}"
        elif op.fate == NO:
            assert not mine, f"refused, and effective: {what}"
        else:
            assert not mine or state == op.value, f"something else was done: {what}"
            ends["committed" if mine else "dead"] += 1
    assert at == len(changes), f"nobody asked for {[str(c) for c in changes[at:]]}"


def compare_chain(look, chain, ends):
    """Many push to it, each commit once."""
    found = collections.Counter(c.refs[chain.ref] for c in look.by_path[chain.repo] if chain.ref in c.refs)
    for sha in chain.number:
        n = found.pop(sha, 0)
        assert n <= 1, f"{chain.ref}: {sha} took effect {n} times"
        if sha in chain.acked:
            assert n == 1, f"{chain.ref}: {sha} was acknowledged and is not in the log"
        elif sha in chain.refused:
            assert n == 0, f"{chain.ref}: {sha} was refused and is in the log"
        elif chain.number[sha] > 0:
            ends["committed" if n else "dead"] += 1
    assert not found, f"{chain.ref}: nobody pushed {found}"


def compare_reads(world, look):
    for node, repo, offset, refs, end in world.reads:
        may = look.states(repo, offset, end + SLACK_MS)
        assert refs in may, f"{node}: {repo} at {offset} was {refs}; by the log one of {may}"


def compare_nodes(c, look):
    """Refs on the disk of every node, its catalog's digests, and its list of repositories."""
    for n in c.nodes:
        rows = {r["repo"]: r for r in c.json(n, "/v1/repos")["repos"]}
        assert rows.keys() == look.repos.keys(), f"{n} has {sorted(rows)}, the log {sorted(look.repos)}"
        for path, repo in look.repos.items():
            assert (rows[path]["id"], rows[path]["digest"]) == (repo.id, repo.digest()), f"{n}: {rows[path]}"
    for path, repo in look.repos.items():
        c.wait_equal(path)
        for n in c.nodes:
            on_disk = gitrun.refs(c.git, c.repo_dir(n, path))
            assert on_disk == {**repo.refs, "HEAD": repo.head}, f"{n}: {path}: {on_disk}"


@pytest.fixture(scope="module")
def brokers(keep_cluster):
    """The URL of three brokers for all seeds; None on the file log."""
    if harness.LOG != "kafka":
        yield None
        return
    c = keep_cluster("brokers", nodes=0, routers=0)
    yield c.env["LOG"]
    end_cluster(c)


# ---- the judge must be able to say no ----------------------------------------------------------

class FakeLog:
    """One stream with a repository o/r."""

    def __init__(self):
        self.records = []
        self.repo = loglook.Repo({"repo": "5e", "path": "o/r", "head": "refs/heads/main"})
        self.seq, self.reign = 0, {"epoch": 1, "node": 1, "boot": "b1"}
        self.add("genesis", free=True, voters=[{"node": 1, "incarnation": "d1"}, {"node": 2, "incarnation": "d2"}])
        self.add("claim", incarnation="d1", base=0)
        self.add("create", repo="5e", path="o/r", head="refs/heads/main")

    def add(self, type_, **more):
        r = {"stream": 0, "offset": len(self.records), "type": type_, "free": False, "wall_ms": time.time() * 1000,
             "txn": f"t{len(self.records)}", **self.reign, "seq": self.seq, **more}
        self.seq += 1
        self.records.append(r)

    def move(self, old, new, **more):
        self.repo.refs = {"a": new}
        self.add("update", repo="5e", config=0, refs=[{"name": "a", "old": old or loglook.NULL, "new": new}],
                 digest=self.repo.digest(), **more)

    def again(self, r):
        self.records.append({**r, "offset": len(self.records)})


def oid(n):
    return f"{n:040x}"


def judge(log, fates, values):
    """An operation for each of fates, tried while the log's next record was written."""
    world = World.__new__(World)
    world.wall, world.history = wall_clock(), History()
    r = world.history.register("o/r", ("a",))
    ends = collections.Counter()
    for fate, value, write in zip(fates, values, log):
        op = world.history.begin(r, (value,))
        write()
        world.history.end(r, op, fate)
        time.sleep(3 * SLACK_MS / 1000)
    return world, r, ends


@pytest.mark.parametrize("fate,effective,fine", [
    (OK, 1, True), (OK, 0, False), (NO, 0, True), (NO, 1, False), ("unknown", 0, True), ("unknown", 1, True)])
def test_judge(fate, effective, fine):
    f = FakeLog()
    late = {} if effective else {"seq": 0}  # behind a newer one: out of order
    steps = [lambda: f.move(None, oid(1)), lambda: f.move(oid(1), oid(2), **late)]
    world, r, ends = judge(steps, [OK, fate], [oid(1), oid(2)])
    look = loglook.Look([f.records])
    try:
        compare_register(world, look, r, ends)
        assert fine
    except AssertionError:
        assert not fine
    assert look.doubles() == 0
    assert ends == ({"committed" if effective else "dead": 1} if fate == "unknown" else {})


def test_judge_of_the_log():
    f = FakeLog()
    f.move(None, oid(1))
    f.again(f.records[-1])                             # twice: out of order
    f.move(oid(9), oid(2))                             # no such old value
    f.add("claim", incarnation="d2", base=3, epoch=2, node=2, boot="b2", seq=0)  # something stands above 3
    f.add("claim", incarnation="d3", base=5, epoch=2, node=3, boot="b3", seq=0)  # no voter
    f.add("claim", incarnation="d2", base=5, epoch=2, node=2, boot="b2", seq=0)
    f.move(oid(1), oid(3))                             # of the reign before
    look = loglook.Look([f.records])
    assert [r["verdict"] for r in f.records[3:]] == ["effective", "out", "dead", "out", "out", "effective", "out"]
    assert look.repos["o/r"].refs == {"a": oid(1)} and look.updates() == 1 and look.doubles() == 1
    assert look.states("o/r", 4, 0) == [{"a": oid(1)}] and look.states("o/r", 2, 0) == [{}]


def rules_of(seed, node):
    """Every kind of fault, at rates of this seed."""
    rng = random.Random(f"{seed} rates")
    rules = [f"{kind}={round(often * rng.uniform(0.5, 2))}" + (f"@{msec}ms" if msec else "")
             for kind, (often, msec) in KINDS.items()]
    return f"node{node}.log=fault:{1000 * seed + node},{','.join(rules)}:{{log}}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_log_faults(make_cluster, brokers, tmp_path, seed):
    self_check()
    begin, name = now(), f"seed{seed}"
    c = make_cluster(f"faults{seed}-", build="debug", shards=SHARDS, brokers=brokers, called=name,
                     sets=SETS + [rules_of(seed, i) for i in (1, 2, 3)])
    world = World(seed, tmp_path, c)
    world.found()
    world.go()
    settle(c)
    for n in c.nodes:
        world.count_faults(n)
    met.update(world.met)
    assert all(world.met[kind] > 0 for kind in KINDS), world.met
    applied = {n: c.metric(n, "gitshard_applied_updates") for n in c.nodes if n != world.killed}
    look = loglook.Look(loglook.dump(c.env["LOG"], name, SHARDS))
    # Not one more and not one less than the log has.
    assert set(applied.values()) == {look.updates()}, f"{applied}; in the log {look.updates()}"

    for n in c.nodes:
        c.do("stop", n)
    c.set(*[f"node{i}.log={{log}}" for i in (1, 2, 3)])
    world.history.quiet = True
    for p in world.writers + world.readers:
        world.guarded(p.name, p.last)
    assert not world.history.wrong, "\n".join(world.history.wrong[:5])

    settle(c)
    look = loglook.Look(loglook.dump(c.env["LOG"], name, SHARDS))
    ends, doubles = collections.Counter(), look.doubles()
    for r in world.history.registers:
        compare_register(world, look, r, ends)
    for chain in world.history.chains:
        compare_chain(look, chain, ends)
    compare_reads(world, look)
    compare_nodes(c, look)
    for repo in world.repos:
        c.dumps(repo)
        c.nothing_left(repo)
    counts = world.history.counts
    pushes = counts[OK] + counts[NO] + counts["unknown"]
    assert ends["committed"] + ends["dead"] == counts["unknown"] and len(world.reads) > 5
    verdicts = sum((s.verdicts for s in look.shards), collections.Counter())
    total.update({"seeds": 1, "pushes": pushes, "ok": counts[OK], "refused": counts[NO],
                  "unknown": counts["unknown"], "committed": ends["committed"], "dead": ends["dead"],
                  "reads": counts["reads"] + len(world.reads), "doubled": doubles, "out": verdicts["out"]})
    print(f"\nseed {seed}: {pushes} pushes, {counts[OK]} ok, {counts[NO]} refused, {counts['unknown']} unknown "
          f"({ends['committed']} committed, {ends['dead']} dead), {counts['reads']}+{len(world.reads)} reads; "
          f"{dict(world.met)}; {doubles} doubled, {dict(verdicts)}; {now() - begin:.0f} s", flush=True)
    end_cluster(c)
    if not GITSHARD_KEEP:
        c.remove()
        shutil.rmtree(tmp_path)


def test_atomic_push_is_answered_whole(make_cluster, brokers, git, tmp_path):
    """Also when a part of it is so already: it shares what becomes of the rest."""
    c = make_cluster("whole", build="debug", shards=1, brokers=brokers, called="whole",
                     sets=SETS + [f"node{i}.log=fault:{i},refuse=250,lost=250:{{log}}" for i in (1, 2, 3)])
    work, url, answers = git.init(tmp_path / "w"), c.url("o/whole"), collections.Counter()
    for i in range(60):
        sha = git.commit(work)
        r = git.run("push", "--porcelain", "--atomic", url, f"+{sha}:refs/heads/a", ":refs/heads/never",
                    cwd=work, check=False)
        told = re.findall(r"^([ +\-*!=])\t\S*:(refs/\S+)\t(?:\[remote rejected\] \((.*)\))?", r.out, re.M)
        whys = {why for flag, ref, why in told}
        assert len(told) in (0, 2) and len({flag == "!" for flag, _, _ in told}) < 2 and len(whys) < 2, str(r)
        answers.update(whys)
        if answers["fault: refuse"] and answers["outcome unknown, push again"]:
            break
    assert answers["fault: refuse"] and answers["outcome unknown, push again"], answers
    settle(c, 1)
    end_cluster(c)


def test_every_end_was_seen():
    if total["seeds"] == 0:
        pytest.skip("no seed was run")
    print(f"\n{dict(total)}; faults: {dict(met)}")
    assert total["unknown"] > 0 and total["doubled"] > 0, total
    assert total["seeds"] < 10 or total["committed"] > 0 and total["dead"] > 0, total
