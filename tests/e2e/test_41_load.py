"""Shows 4: 16 pushing and 8 reading clients through two routers for a minute.

Every branch's history counts: the commit numbered n says so in `self.number`, written down before
it is pushed and marked acknowledged after git said so.  A reader notes what is acknowledged, then
reads, and finds nothing older; the refs of an atomic push it finds all at one number."""
import os
import random
import threading
import time



from harness import direct, gitrun

SECONDS = float(os.environ.get("GITSHARD_LOAD_SECONDS", "60"))
OPTIONS = {"routers": 2}
SHARED = "refs/heads/shared"
READERS = ("node1", "fetch", "2", "node2", "0", "fetch", "node3", "2")
# What a pusher may be told when another was first.
LOST_RACE = ("fetch first", "non-fast-forward", "failed to update ref", "cannot lock ref",
             "but expected", "stale")


class Load:
    def __init__(self, cluster, repo, path):
        self.c, self.repo, self.path = cluster, repo, path
        self.lock = threading.Lock()
        self.number = {}   # commit id -> its number on its branch
        self.acked = {}    # ref -> highest acknowledged number
        self.tips = {}     # ref -> every acknowledged commit id
        self.groups = []   # refs that always move together
        self.wrong = []    # broken promises and unexpected words
        self.counts = {"pushes": 0, "races": 0, "reads": 0}
        self.end = time.monotonic() + SECONDS

    def is_load(self):
        """Enough was done to call it one."""
        return min(self.counts["pushes"], self.counts["reads"]) > SECONDS and self.acked.get(SHARED, 0) > 5 and \
            all(f"refs/heads/own{i}" in self.acked for i in range(8))

    def running(self):
        now = time.monotonic()  # a slow machine takes longer over it
        return len(self.wrong) < 5 and (now < self.end or now < self.end + 4 * SECONDS and not self.is_load())

    def fail(self, text):
        with self.lock:
            self.wrong.append(text)

    def ack(self, refs, sha):
        with self.lock:
            self.counts["pushes"] += 1
            for ref in refs:
                self.acked[ref] = max(self.acked.get(ref, 0), self.number[sha])
                self.tips.setdefault(ref, []).append(sha)

    def user(self, name):
        git = gitrun.Git(self.path / name / "home")
        git.env["GIT_AUTHOR_NAME"] = name  # no two users make the same commit
        repo = git.init(self.path / name / "r.git", "--bare")
        return git, repo, random.Random(name)

    def url(self, rng):
        return self.c.url(self.repo, rng.choice((1, 2)))

    def push_own(self, name, refs):
        git, repo, rng = self.user(name)
        atomic = ["--atomic"] if len(refs) > 1 else []
        tip, n = self.base, 0
        git.run("fetch", "-q", self.url(rng), SHARED, cwd=repo)
        while self.running():
            n += 1
            tip = git.commit_on(repo, tip, f"{name} {n}", {name: f"{n}\n"})
            with self.lock:
                self.number[tip] = n
            r = git.run("push", "-q", *atomic, self.url(rng), *[f"{tip}:{ref}" for ref in refs],
                        cwd=repo, check=False)
            if not r.ok:
                return self.fail(f"{name}: {r}")
            self.ack(refs, tip)

    def push_shared(self, name):
        git, repo, rng = self.user(name)
        while self.running():
            git.run("fetch", "-q", self.url(rng), f"+{SHARED}:{SHARED}", cwd=repo)
            parent = git.out("rev-parse", SHARED, cwd=repo)
            for _ in range(3):
                tip = git.commit_on(repo, parent, f"{name} on {parent}", {name: parent})
                with self.lock:
                    self.number[tip] = self.number[parent] + 1
                r = git.run("push", "-q", self.url(rng), f"{tip}:{SHARED}", cwd=repo, check=False)
                if r.ok:
                    self.ack([SHARED], tip)
                    parent = tip
                elif any(w in r.err for w in LOST_RACE):
                    self.counts["races"] += 1
                    break
                else:
                    return self.fail(f"{name}: {r}")

    def read(self, name, how):
        git, repo, rng = self.user(name)
        while self.running():
            with self.lock:
                floor = dict(self.acked)
            if how in self.c.nodes:
                # A router keeps one client at one replica; these make sure that all are read.
                status, seen, fields = direct.refs_of(self.c, how, self.repo, shard=self.shard)
                if status == 503:
                    continue
                r = gitrun.Result(("read at", how), 0 if status == 200 else 1, str(status), str(fields))
            elif how == "fetch":
                r = git.run("fetch", "-q", "--prune", self.url(rng), "+refs/*:refs/*", cwd=repo, check=False)
                seen = gitrun.refs(git, repo) if r.ok else {}
            else:
                r = git.run("-c", f"protocol.version={how}", "ls-remote", self.url(rng), cwd=repo, check=False)
                seen = dict(reversed(l.split("\t")) for l in r.out.splitlines())
            if not r.ok:
                return self.fail(f"{name}: {r}")
            self.judge(name, floor, seen)
            self.counts["reads"] += 1

    def judge(self, name, floor, seen):
        with self.lock:
            at = {ref: self.number.get(sha) for ref, sha in seen.items()}
        for ref, n in floor.items():
            if at.get(ref) is None or at[ref] < n:
                self.fail(f"{name}: stale: {ref} at {at.get(ref)} ({seen.get(ref)}), {n} was acknowledged before")
        for group in self.groups:
            if len({seen.get(ref) for ref in group}) != 1:
                self.fail(f"{name}: half of an atomic push: { {ref: at.get(ref) for ref in group} }")

    def go(self):
        jobs = []
        for i in range(8):
            jobs.append((self.push_shared, f"shared{i}"))
            refs = [f"refs/heads/own{i}"]
            if i % 2:
                refs += [f"refs/heads/twin{i}", f"refs/marks/{i}"]
                self.groups.append(refs)
            jobs.append((self.push_own, f"own{i}", refs))
            jobs.append((self.read, f"reader{i}", READERS[i]))

        def guarded(job):
            try:
                job[0](*job[1:])
            except Exception as e:  # a thread's failure is the test's
                self.fail(f"{job[1]}: {type(e).__name__}: {e}")
        threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


def test_load(own_cluster, git, tmp_path, new_name):
    c, repo = own_cluster, new_name("load")
    load = Load(c, repo, tmp_path)
    work = git.init(tmp_path / "w")
    c.create(repo)
    load.base = git.commit(work)
    load.number[load.base] = 0
    git.run("push", "-q", c.url(repo), f"HEAD:{SHARED}", cwd=work)
    load.shard = c.shard(repo)
    load.end = time.monotonic() + SECONDS
    before = {n: c.metric(n, "gitshard_strict_reads_total") for n in c.nodes}
    load.go()
    print(f"{load.counts} in {SECONDS:g} s")
    assert not load.wrong, "\n".join(load.wrong[:5])
    assert load.counts["pushes"] > SECONDS and load.counts["reads"] > SECONDS
    assert load.acked[SHARED] > 5 and all(f"refs/heads/own{i}" in load.acked for i in range(8))
    for n in c.nodes:
        assert c.metric(n, "gitshard_strict_reads_total") > before[n], f"{n} served no read"
    c.wait_equal(repo, seconds=30)
    refs = c.dumps(repo)["refs"]
    for ref, shas in load.tips.items():
        for n in c.nodes:
            folder = c.repo_dir(n, repo)
            history = set(c.git.out("rev-list", refs[ref], cwd=folder).split())
            lost = [s for s in shas if s not in history]
            assert not lost, f"{n}: {ref} lost {lost}"
    c.nothing_left(repo)



def test_two_pushers_one_wins(own_cluster, git, tmp_path, new_name):
    """The same old value from many clients at one moment: exactly one push is taken, each time."""
    c, repo = own_cluster, new_name("race")
    work = git.init(tmp_path / "w")
    c.create(repo)
    base = git.commit(work)
    git.run("push", "-q", c.url(repo), "HEAD:refs/heads/main", cwd=work)
    for turn in range(10):
        rivals = [git.commit_on(work, base, f"turn {turn} of {i}") for i in range(4)]
        results = [None] * 4

        def push(i):
            results[i] = git.run("push", "-q", f"--force-with-lease=refs/heads/main:{base}", c.url(repo, 1 + i % 2),
                                 f"{rivals[i]}:refs/heads/main", cwd=work, check=False)
        threads = [threading.Thread(target=push, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        won = [i for i in range(4) if results[i].ok]
        assert len(won) == 1, [str(r) for r in results]
        base = rivals[won[0]]
        assert git.out("ls-remote", c.url(repo), "refs/heads/main").split()[0] == base
    c.dumps(repo)
