"""What the log says: every record of every shard, judged by the rules of docs/commit-log.md and of
shard-map/commitlog/verdict.h written down once more, so that nothing here goes by what a node believes."""
import collections
import hashlib
import json
import subprocess

from harness.cluster import TREE

NULL = "0" * 40


def dump(url, cluster, shards):
    """The records, a list a shard."""
    p = subprocess.run([TREE / "build/debug/tests/dump/dump_log", url, cluster, str(shards)],
                       capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stderr
    found = [[] for _ in range(shards)]
    for line in p.stdout.splitlines():
        r = json.loads(line)
        assert r["offset"] == len(found[r["stream"]]), f"a gap before {line}"
        found[r["stream"]].append(r)
    return found


class Repo:
    def __init__(self, r):
        self.id, self.path, self.head, self.refs = r["repo"], r["path"], r["head"], {}

    def digest(self):
        """Each ref's SHA-256 as four numbers, summed lane by lane."""
        sums = [0, 0, 0, 0]
        rows = [name.encode() + b"\0" + bytes.fromhex(oid) for name, oid in self.refs.items()]
        for row in rows + [b"HEAD\0" + self.head.encode()]:
            h = hashlib.sha256(row).digest()
            sums = [(s + int.from_bytes(h[8 * i:8 * i + 8], "big")) % 2**64 for i, s in enumerate(sums)]
        return b"".join(s.to_bytes(8, "big") for s in sums).hex()


class Change:
    """What one effective record did to one repository: refs that moved, None for those that are gone."""

    def __init__(self, r, path, refs, after):
        self.record, self.path, self.refs, self.after = r, path, refs, after
        self.shard, self.offset, self.wall_ms = r["stream"], r["offset"], r["wall_ms"]

    def __str__(self):
        r = self.record
        return f"{self.shard}:{self.offset} {r['type']} txn {r['txn']} of {self.path} at {self.wall_ms}: {self.refs}"


class Shard:
    """One stream, judged from its beginning."""

    def __init__(self, records):
        self.reign, self.holder = (0, 0, ""), None
        self.last, self.seq = None, -1
        self.voters, self.config = set(), 0
        self.repos, self.used = {}, set()
        self.changes = []
        self.verdicts = collections.Counter()
        for r in records:
            verdict = self.judge(r)
            self.verdicts[verdict] += 1
            r["verdict"] = verdict

    def judge(self, r):
        if r["type"] == "genesis":
            if r["offset"] != 0:
                return "out"
            self.voters = {(v["node"], v["incarnation"]) for v in r["voters"]}
            return "effective"
        if r["free"]:
            return "free"
        reign = (r["epoch"], r["node"], r["boot"])
        if r["type"] == "claim":
            # R2: the next epoch, by a voter, over a base above which nothing in order stands.
            if r["epoch"] != self.reign[0] + 1 or (r["node"], r["incarnation"]) not in self.voters or (
                    self.last is not None and self.last > r["base"]):
                return "out"
            self.reign, self.last, self.seq = reign, r["offset"], 0
            return "effective"
        if reign != self.reign or r["seq"] <= self.seq:
            return "out"
        self.last, self.seq = r["offset"], r["seq"]
        return "effective" if getattr(self, "do_" + r["type"])(r) else "dead"

    def do_barrier(self, r):
        return True

    def do_create(self, r):
        if r["repo"] in self.used or any(p.path == r["path"] for p in self.repos.values()):
            return False
        self.used.add(r["repo"])
        self.repos[r["repo"]] = Repo(r)
        self.changes.append(Change(r, r["path"], {}, {}))
        return True

    def do_delete(self, r):
        repo = self.repos.pop(r["repo"], None)
        if repo is not None:
            self.changes.append(Change(r, repo.path, dict.fromkeys(repo.refs), {}))
        return repo is not None

    def do_update(self, r):
        repo = self.repos.get(r["repo"])
        if repo is None or r["config"] != self.config:
            return False
        if any(repo.refs.get(f["name"], NULL) != f["old"] for f in r["refs"]):
            return False
        after = dict(repo.refs)
        for f in r["refs"]:
            if f["new"] == NULL:
                after.pop(f["name"], None)
            else:
                after[f["name"]] = f["new"]
        if self.in_the_way(after, repo.refs):
            return False
        repo.refs, repo.head = after, r.get("head", repo.head)
        assert repo.digest() == r["digest"], f"{repo.path}: another digest than its record has: {r}"
        self.changes.append(Change(r, repo.path, {f["name"]: after.get(f["name"]) for f in r["refs"]}, after))
        return True

    @staticmethod
    def in_the_way(after, before):
        """A new name below another, or the other way round."""
        folders = {name[:i] for name in after for i, ch in enumerate(name) if ch == "/"}
        return after.keys() != before.keys() and any(name in folders for name in after)


class Look:
    """The whole log; what each repository was at every offset."""

    def __init__(self, records):
        self.records = records
        self.shards = [Shard(rs) for rs in records]
        self.repos = {r.path: r for s in self.shards for r in s.repos.values()}
        self.by_path = collections.defaultdict(list)
        for s in self.shards:
            for c in s.changes:
                self.by_path[c.path].append(c)

    def updates(self):
        """Number of effective updates."""
        return sum(c.record["type"] == "update" for s in self.shards for c in s.changes)

    def doubles(self):
        """Appends that stand in the log more than once; and fails when one took effect twice."""
        n = 0
        for rs in self.records:
            by_txn = collections.defaultdict(list)
            for r in rs:
                by_txn[r["txn"]].append(r)
            for txn, same in by_txn.items():
                n += len(same) > 1 and not same[0]["free"]
                effective = [r["offset"] for r in same if r["verdict"] == "effective"]
                assert len(effective) <= 1, f"txn {txn} took effect at {effective}"
        return n

    def states(self, path, offset, until_ms):
        """What the refs of a repository may be for who has read up to offset, at a moment before until_ms."""
        found = [{}]
        for c in self.by_path[path]:
            if c.offset < offset:
                found = [c.after]
            elif c.wall_ms <= until_ms:
                found.append(c.after)
        return found
