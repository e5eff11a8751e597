"""A cluster made by tests/cluster, and what its admin listeners say."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import gitrun, packs
from harness.wait import PATIENCE, wait_for

TREE = pathlib.Path(__file__).resolve().parents[3]
BUILD = os.environ.get("GITSHARD_BUILD", "release")
LOG = os.environ.get("GITSHARD_LOG", "file")  # or kafka, then with so many brokers:
BROKERS = os.environ.get("GITSHARD_BROKERS", "3")
KAFKA_VERSION = os.environ.get("GITSHARD_KAFKA_VERSION")
SICK = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer"
                  r"|^BUG .*CHECK", re.M)


class Cluster:
    def __init__(self, dir_, nodes=3, routers=1, build=None, shards=None, sets=(),
                 prepare=None, brokers=None, called=None, secure=False):
        """brokers: the URL of another cluster's, shared; called: our name there.  secure: one broker, by
        TLS and SCRAM."""
        self.dir = pathlib.Path(dir_)
        self.nodes = [f"node{i}" for i in range(1, nodes + 1)]
        self.routers = [f"router{i}" for i in range(1, routers + 1)]
        self.build = build or BUILD
        if prepare is not None:  # the folder, before anything starts in it
            prepare(self.dir)
        args = ["up", str(self.dir), "--nodes", str(nodes), "--routers", str(routers),
                "--build", self.build]
        sets = list(sets(self.dir) if callable(sets) else sets)
        self.log = "file" if any(s.startswith("log=") and "{log}" not in s for s in sets) else LOG
        if brokers:
            args += ["--log", brokers]
        elif self.log == "kafka":
            args += ["--log", self.log, "--brokers", BROKERS if not secure else "1"]
            args += ["--kafka-secure"] if secure else []
            args += ["--kafka-version", KAFKA_VERSION] if KAFKA_VERSION else []
        if called:
            args += ["--name", called]
        if shards:
            args += ["--shards", str(shards)]
        for s in sets:
            args += ["--set", s]
        begin = time.monotonic()
        self.raw(*args)
        self.up_seconds = time.monotonic() - begin
        self.git = gitrun.Git(self.dir / "home")
        self.reported = set()  # leftovers that an earlier test has failed for
        self.read_env()

    def read_env(self):
        self.env = {}
        for line in (self.dir / "env").read_text().splitlines():
            key, value = line.split("=", 1)
            self.env[key] = shlex.split(value)[0] if value else ""

    # tests/cluster

    def raw(self, *args, check=True, seconds=600):
        p = subprocess.run([TREE / "tests/cluster", *args], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=seconds)
        if check and p.returncode != 0:
            raise AssertionError(f"tests/cluster {' '.join(args)}: {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def set(self, *sets):
        """Starts what does not run, with these settings changed for all that start from now on."""
        return self.raw("up", str(self.dir), *[a for s in sets for a in ("--set", s)])

    def do(self, what, name, *more):
        return self.raw(what, str(self.dir), name, *more)

    def down(self):
        """Ends it, and fails if anything was left or a daemon found a bug in itself."""
        p = self.raw("down", str(self.dir), check=False)
        self.check_logs()
        assert p.returncode == 0, p.stderr

    def check_logs(self):
        for log in sorted((self.dir / "log").glob("*.log")):
            text = log.read_text(errors="replace")
            m = SICK.search(text)
            assert m is None, f"{log}:\n{text[max(0, m.start() - 500):m.start() + 4000]}"

    @contextlib.contextmanager
    def log_stands_still(self):
        """Meanwhile no append is answered."""
        if self.log == "file":
            with open(self.dir / "log.db-lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            return
        brokers = [f"kafka{i}" for i in range(1, int(BROKERS) + 1)]
        try:
            for name in brokers:
                self.do("pause", name)
            yield
        finally:
            for name in brokers:
                self.do("resume", name)

    @contextlib.contextmanager
    def log_file_away(self, path=None):
        """Meanwhile the log's file is not in its place; afterwards it is the same file."""
        path = pathlib.Path(path or self.dir / "log.db")
        away = path.parent / "away"
        away.mkdir()
        files = [f for f in (path, *(path.with_name(path.name + s) for s in ("-wal", "-shm"))) if f.exists()]
        for f in files:
            f.rename(away / f.name)
        try:
            yield
        finally:
            for f in files:
                (away / f.name).rename(f)
            away.rmdir()

    def pid(self, name):
        return int((self.dir / "run" / f"{name}.pid").read_text())

    def state_of(self, name):
        """The process's, as the kernel has it: "T" is stopped."""
        text = pathlib.Path(f"/proc/{self.pid(name)}/stat").read_text()
        return text[text.rindex(")") + 2]

    def children(self):
        """Processes that a daemon started and that still live: [(pid, command)]."""
        try:
            began = {line.split()[0] for line in
                     (self.dir / "run" / "sessions").read_text().splitlines()}
        except FileNotFoundError:
            return []
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or entry in began:
                continue
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                fields = stat[stat.rindex(")") + 2:].split()
                if fields[3] in began and fields[0] not in "ZX":
                    cmd = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
                    found.append((int(entry), cmd.replace(b"\0", b" ").decode(errors="replace")))
            except OSError:
                continue
        return found

    def no_children(self, seconds=10):
        wait_for(lambda: not self.children(), seconds, lambda: f"no children: {self.children()}")

    # addresses

    def url(self, repo, router=1):
        return f"{self.env['HTTP_URL' if router == 1 else f'HTTP_URL_{router}']}/{repo}.git"

    def admin(self, name):
        if name.startswith("node"):
            return self.env[f"{name.upper()}_ADMIN"]
        return self.env["ADMIN_URL" if name == "router1" else f"ADMIN_URL_{name[6:]}"]

    def listen(self, name):
        shape = json.loads((self.dir / "cluster.json").read_text())
        return shape["members"][name]["listen"]

    def root(self, name):
        return pathlib.Path(self.env[f"{name.upper()}_ROOT"])

    def repo_dir(self, name, repo):
        return self.root(name) / f"{repo}.git"

    def staging(self, name):
        return self.root(name) / ".gitshard" / "staging"

    # admin listeners

    def http(self, name, path, method="GET", body=None, seconds=60):
        """(status, text) of an admin listener; 0 when nobody answers."""
        req = urllib.request.Request(self.admin(name) + path, method=method,
                                     data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    req, timeout=seconds) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")
        except OSError as e:
            return 0, str(e)

    def json(self, name, path):
        status, text = self.http(name, path)
        assert status == 200, f"{name} {path}: {status} {text}"
        return json.loads(text)

    def metric(self, name, metric, **labels):
        """Sum of the samples of a metric whose labels include these."""
        status, text = self.http(name, "/metrics")
        assert status == 200, text
        total = 0.0
        for line in text.splitlines():
            m = re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if m and m[1] == metric:
                has = dict(re.findall(r'(\w+)="([^"]*)"', m[2] or ""))
                if all(has.get(k) == str(v) for k, v in labels.items()):
                    total += float(m[3])
        return total

    def fault(self, name, point, action="die"):
        q = urllib.parse.urlencode({"point": point, "action": action})
        status, text = self.http(name, f"/v1/fault?{q}", "POST")
        assert status == 200, f"{name}: fault {point}: {status} {text}"

    # repositories

    def ctl(self, *args, check=True):
        if args[0] == "status":  # it gives a node two seconds
            args = ("--timeout", "60s", *args)
        p = subprocess.run(shlex.split(self.env["SHARDCTL"]) + list(args), capture_output=True,
                           text=True, stdin=subprocess.DEVNULL, timeout=300)
        if check and p.returncode != 0:
            raise AssertionError(f"shardctl {' '.join(args)}: {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def ctl_json(self, *args):
        return json.loads(self.ctl(*args, "-o", "json").stdout)

    def create(self, repo, *args):
        self.ctl("repo", "create", repo, *args)
        return self.url(repo)

    def repo(self, name, repo):
        """A node's own words about a repository; None when it does not have it."""
        status, text = self.http(name, "/v1/repos?repo=" + repo.lower())
        found = json.loads(text).get("repos", []) if status == 200 else []
        return found[0] if found else None

    def shard(self, repo):
        for name in self.nodes:
            found = self.repo(name, repo)
            if found:
                return found["shard"]
        raise AssertionError(f"no node has {repo}")

    def shard_state(self, name, shard):
        for s in self.json(name, "/status")["shards"]:
            if s["shard"] == shard:
                return s
        raise AssertionError(f"{name} has no shard {shard}")

    def primary(self, repo):
        shard = self.shard(repo)

        def find():
            for name in self.nodes:
                status, text = self.http(name, "/status")
                if status == 200 and any(s["shard"] == shard and s["role"] == "primary"
                                         for s in json.loads(text)["shards"]):
                    return name
            return None
        return wait_for(find, 20, f"a primary for shard {shard}")

    def followers(self, repo):
        p = self.primary(repo)
        return [n for n in self.nodes if n != p]

    # equality

    def wait_equal(self, repo, nodes=None, seconds=20):
        """All nodes have applied as much of this repository, with one digest, as their projection."""
        nodes = nodes or self.nodes

        def equal():
            seen = [self.repo(n, repo) for n in nodes]
            if any(s is None or s["state"] != "ok" for s in seen):
                return False  # one that misses a pack moves its files when it has come
            files = {subprocess.run(["git", f"--git-dir={self.repo_dir(n, repo)}", "for-each-ref"],
                                    capture_output=True, text=True).stdout for n in nodes}
            if len(files) != 1:
                return False
            return len({(s["digest"], s["applied"], s["id"]) for s in seen}) == 1
        wait_for(equal, seconds, lambda: "equal: " + json.dumps(
            {n: self.repo(n, repo) for n in nodes}, indent=1), step=0.05)

    def dumps(self, repo, nodes=None, full=True):
        """What the nodes' folders hold, by plain git; asserts that it is the same, returns it."""
        nodes = nodes or self.nodes
        read = gitrun.dump if full else gitrun.refs
        seen = self.at_one_moment(repo, nodes, lambda: {n: read(self.git, self.repo_dir(n, repo)) for n in nodes})
        first = seen[nodes[0]]
        for n, d in seen.items():
            assert d == first, f"{n} differs from {nodes[0]}: {d} != {first}"
        if full:
            assert first["fsck"] == (0, ""), first["fsck"]
        return first

    def moves(self, repo, nodes):
        """Changes when a node applies something to the repository, or repacks."""
        seen = {n: self.repo(n, repo) or {} for n in nodes}
        return {n: ([s.get(k) for k in ("id", "digest", "applied", "state")], packs.moves(self, n))
                for n, s in seen.items()}

    def at_one_moment(self, repo, nodes, look):
        """What look() saw while nothing moved on these nodes: one may read a record a moment after another,
        and plain git's fsck complains of packs that go while it looks."""
        end = time.monotonic() + 60 * PATIENCE
        while True:
            self.wait_equal(repo, nodes)
            packs.at_rest(self, nodes)
            before, seen, why = self.moves(repo, nodes), None, None
            try:
                seen = look()
            except AssertionError as e:
                why = e
            if self.moves(repo, nodes) != before:
                assert time.monotonic() < end, f"{repo} is never still: {before}, {self.moves(repo, nodes)}"
                continue
            if why is not None:
                raise why
            return seen

    def nothing_left(self, repo, nodes=None):
        """No quarantine, lock, half pack, staged pack or child, a moment after the last request."""
        self.no_children()

        def bad():
            return {p for n in nodes or self.nodes
                    for p in gitrun.leftovers(self.repo_dir(n, repo), self.staging(n))} - self.reported
        try:
            wait_for(lambda: not bad(), 10, lambda: f"nothing left behind: {sorted(bad())}")
        finally:
            self.reported |= bad()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
