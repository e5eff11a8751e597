"""Large packs: repositories of noise, and who takes how much memory meanwhile."""
import collections
import os
import pathlib
import random
import subprocess
import threading

BLOB = 5_000_000


def noise(git, path, total, seed):
    """A bare repository whose main has `total` bytes that do not compress, in one pack."""
    git.init(path, "--bare")
    rnd = random.Random(seed)
    p = subprocess.Popen(["git", "-c", "core.compression=0", "fast-import", "--quiet", "--depth=0"], cwd=path,
                         env=git.env, stdin=subprocess.PIPE)
    for i in range(max(1, total // BLOB)):
        p.stdin.write(b"blob\nmark :%d\ndata %d\n" % (i + 1, min(BLOB, total)))
        p.stdin.write(rnd.randbytes(min(BLOB, total)) + b"\n")
    p.stdin.write(b"commit refs/heads/main\ncommitter C <c@localhost> 1700000000 +0000\ndata 1\nx\n")
    for i in range(max(1, total // BLOB)):
        p.stdin.write(b"M 100644 :%d f%d\n" % (i + 1, i))
    p.stdin.close()
    assert p.wait() == 0
    return path


def status_of(pid, *keys):
    """Fields of /proc/PID/status, in MB; None for a process that is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = dict(line.split(":", 1) for line in text.splitlines())
    return tuple(int(found[k].split()[0]) / 1024 if k in found else 0.0 for k in keys)


class Peaks:
    """with Peaks(cluster) as p: ... - p.daemons {name: (peak, of it anonymous)}, p.children
    {command: peak of the largest}, in MB.  VmHWM is the kernel's own; RssAnon is looked at 20 times
    a second."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.anon = collections.defaultdict(float)
        self.children = collections.defaultdict(float)
        self.daemons = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def names(self):
        return self.cluster.nodes + self.cluster.routers

    def watch(self):
        pids = {n: self.cluster.pid(n) for n in self.names()}
        while not self.ended.wait(0.05):
            for name, pid in pids.items():
                got = status_of(pid, "RssAnon")
                self.anon[name] = max(self.anon[name], got[0] if got else 0.0)
            for pid, command in self.cluster.children():
                got = status_of(pid, "VmHWM")
                words = command.split()
                if not got or not got[0] or not words or "gitshard-replica" in words[0]:
                    continue  # gone, or about to be another program
                what = " ".join([os.path.basename(words[0])] + [w for w in words[1:] if w[0] != "-"][:1])
                self.children[what] = max(self.children[what], got[0])

    def __enter__(self):
        for name in self.names():  # the peak so far is forgotten
            pathlib.Path(f"/proc/{self.cluster.pid(name)}/clear_refs").write_text("5")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        for name in self.names():
            self.daemons[name] = (status_of(self.cluster.pid(name), "VmHWM")[0], self.anon[name])

    def text(self):
        lines = [f"    {n:10} peak {hwm:6.1f} MB, anonymous {anon:6.1f} MB"
                 for n, (hwm, anon) in sorted(self.daemons.items())]
        lines += [f"    child {c:30} peak {mb:6.1f} MB" for c, mb in sorted(self.children.items())]
        return "\n".join(lines)

    def bounded(self):
        for name, (hwm, _) in self.daemons.items():
            most = 64 if name.startswith("router") else 256
            assert hwm < most, f"{name} had {hwm:.0f} MB, at most {most} are promised"


def packs_on_the_way(cluster):
    """Bytes of packs that nodes gave to others so far, by what for."""
    return {what: sum(cluster.metric(n, "gitshard_pack_bytes_sent_total", to=what)
                      for n in cluster.nodes) for what in ("voter", "member")}
