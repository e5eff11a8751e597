"""The monkey: hurts members of a cluster by a seed, and mends them again."""
import fcntl
import os
import pathlib
import signal
import time

from registers import now

POINTS = ("push.before_append", "push.after_append", "push.after_apply", "push.before_answer",
          "stage.confirmed", "log.locked", "log.committed", "apply-read", "apply-disk", "pack-placed",
          "apply-transaction", "apply-stored", "apply-files", "layout-moved")


def parent_of(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat[stat.rindex(")") + 2:].split()[1])


class Monkey:
    def __init__(self, world, rng, max_pause, log):
        self.w, self.c, self.rng, self.max_pause, self.log = world, world.cluster, rng, max_pause, log
        self.hurt = {}  # name -> (time of mending, how)
        self.counts = {}
        debug = self.c.build != "release"
        self.acts = [(self.kill, 6), (self.stop, 2), (self.pause, 5), (self.kill_router, 2),
                     (self.pause_router, 2), (self.kill_child, 6), (self.pause_child, 2),
                     (self.damage, 4), (self.freeze_log, 2), (self.kill_all, 1), (self.fault, 8 if debug else 0)]

    def say(self, text):
        self.log.write(f"{now():.3f} {text}\n")
        self.log.flush()

    def state(self, name):
        """'' when it is gone, otherwise the letter of /proc."""
        try:
            pid = self.c.pid(name)
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            state = stat[stat.rindex(")") + 2]
            return "" if state in "ZX" else state
        except (OSError, ValueError):
            return ""

    def signal(self, name, signo):
        try:
            os.kill(self.c.pid(name), signo)
        except (OSError, ValueError):
            pass

    def whole(self, kind):
        return [n for n in kind if n not in self.hurt]

    def length(self):
        """Mostly short, sometimes as long as may be."""
        return self.rng.uniform(0.1, 1.0) ** 3 * self.max_pause

    def victim(self, kind, spare):
        whole = self.whole(kind)
        return self.rng.choice(whole) if len(whole) > spare else None

    # what hurts

    def end_of(self, name, signo, seconds):
        self.say(f"signal {signo} to {name}, back in {seconds:.1f} s")
        self.signal(name, signo)
        self.hurt[name] = (now() + seconds, "start")

    def kill(self):
        name = self.victim(self.c.nodes, self.rng.choice((1, 1, 2)))
        if name:
            self.end_of(name, signal.SIGKILL, self.length())

    def stop(self):
        name = self.victim(self.c.nodes, 1)
        if name:
            self.end_of(name, signal.SIGTERM, self.length())

    def kill_all(self):
        for name in self.whole(self.c.nodes):
            self.end_of(name, signal.SIGKILL, self.rng.uniform(0, 1))

    def pause(self):
        name = self.victim(self.c.nodes, self.rng.choice((1, 1, 2)))
        if name:
            self.freeze(name)

    def freeze(self, name):
        seconds = self.length()
        self.say(f"pause of {name} for {seconds:.1f} s")
        self.signal(name, signal.SIGSTOP)
        self.hurt[name] = (now() + seconds, "resume")

    def kill_router(self):
        name = self.victim(self.c.routers, 0)
        if name:
            self.end_of(name, self.rng.choice((signal.SIGKILL, signal.SIGTERM)), self.length() / 2)

    def pause_router(self):
        name = self.victim(self.c.routers, 1)
        if name:
            self.freeze(name)

    def child(self):
        """Not the one that LeakSanitizer looks with: its parent would wait for it for ever."""
        children = self.c.children()
        words = dict(children)
        mine = [(pid, cmd) for pid, cmd in children if words.get(parent_of(pid)) != cmd]
        return self.rng.choice(mine) if mine else None

    def kill_child(self):
        for _ in range(200):  # they live for a few milliseconds
            found = self.child()
            if found:
                self.say(f"kill of child {found}")
                try:
                    os.kill(found[0], signal.SIGKILL)
                except OSError:
                    pass
                return
            time.sleep(0.002)

    def pause_child(self):
        for _ in range(200):
            found = self.child()
            if found:
                self.say(f"pause of child {found}")
                try:
                    os.kill(found[0], signal.SIGSTOP)
                    self.hurt[f"child {found[0]}"] = (now() + self.length() / 3, "resume child")
                except OSError:
                    pass
                return
            time.sleep(0.002)

    def freeze_log(self):
        """As by a process that was stopped while it wrote: nobody can append."""
        end = now() + self.length() / 2
        self.say(f"the log stands still for {end - now():.1f} s")
        with open(self.c.dir / "log.db-lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            while now() < end and not self.w.stopping():
                self.mend()
                time.sleep(0.05)

    def damage(self):
        """Ref files change behind the node's back."""
        repo = self.rng.choice(self.w.repos)
        folder = self.c.repo_dir(self.rng.choice(self.c.nodes), repo)
        refs = [p for p in folder.glob("refs/**/*") if p.is_file() and not p.name.endswith(".lock")]
        ref = self.rng.choice(refs) if refs else folder / "refs/heads/none"
        how = self.rng.choice(("old", "garbage", "empty", "gone", "new", "HEAD", "packed"))
        self.say(f"damage: {how} {ref}")
        try:
            if how == "gone":
                ref.unlink()
            elif how == "new":
                (folder / "refs/heads/stranger").write_text(self.w.base + "\n")
            elif how == "HEAD":
                (folder / "HEAD").write_text("ref: refs/heads/elsewhere\n")
            elif how == "packed":
                (folder / "packed-refs").unlink(missing_ok=True)
            else:
                ref.write_text({"old": self.w.base + "\n", "garbage": "garbage\n", "empty": ""}[how])
        except OSError:
            pass  # the node itself moved it

    def fault(self):
        name = self.victim(self.c.nodes, 1)
        if name:
            point = self.rng.choice(POINTS)
            action = self.rng.choice(("die", "die", "stop"))
            self.say(f"fault {point} {action} at {name}")
            try:
                self.c.fault(name, point, action)
            except AssertionError:
                pass  # it is just going down

    # what mends

    def mend(self, everything=False):
        for name in self.c.nodes + self.c.routers:  # what a fault point ended or stopped
            if name not in self.hurt and self.state(name) in ("", "T"):
                self.hurt[name] = (now() + self.rng.uniform(0, 3),
                                   "resume" if self.state(name) else "start")
        for name, (when, how) in list(self.hurt.items()):
            if not everything and when > now():
                continue
            if how == "resume child":
                try:
                    os.kill(int(name.split()[1]), signal.SIGCONT)
                except OSError:
                    pass
            elif how == "resume":
                self.signal(name, signal.SIGCONT)
            elif self.state(name):
                self.signal(name, signal.SIGCONT)
                if not everything and when > now() - 60:
                    continue  # it is still ending
                self.w.history.fail(f"{name} still runs a minute after SIGTERM")
                self.signal(name, signal.SIGKILL)
                continue
            else:
                p = self.c.raw("start", str(self.c.dir), name, "--no-wait", check=False)
                if p.returncode != 0:
                    self.w.history.fail(f"start {name}: {p.stderr}")
            self.say(f"mended {name}: {how}")
            del self.hurt[name]

    def live(self):
        acts, weights = zip(*self.acts)
        while not self.w.stopping():
            act = self.rng.choices(acts, weights)[0]
            self.counts[act.__name__] = self.counts.get(act.__name__, 0) + 1
            act()
            until = now() + self.rng.uniform(0.1, self.w.gap)
            while now() < until and not self.w.stopping():
                self.mend()
                time.sleep(0.05)

    def heal(self):
        """All mended; those that still end get the time to."""
        end = now() + 60
        while now() < end:
            for name, (when, how) in list(self.hurt.items()):
                self.hurt[name] = (min(when, now()), how)
            self.mend()
            if not self.hurt:
                if self.c.build != "release":
                    self.disarm()
                if not self.hurt and all(self.state(n) not in ("", "T") for n in self.c.nodes):
                    return
            time.sleep(0.05)
        self.w.history.fail(f"not mended: {self.hurt}")

    def disarm(self):
        for name in self.c.nodes:
            for point in POINTS:
                self.c.http(name, f"/v1/fault?point={point}&action=none", "POST", seconds=5)
