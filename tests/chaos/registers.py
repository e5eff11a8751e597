"""What may be seen: the history of everything that was tried, and the judge of every read.

A register is a tuple of refs that always move together (one ref, or those of an atomic push); its
values are tuples of object ids, None where a ref does not exist.  One writer at a time moves it, so
its operations have an order, and each ended in one of three ways: OK (acknowledged), NO (refused in
words that promise that nothing changed), UNKNOWN.

A read that began at S and ended at E may see the value of an operation that is not older than the
newest one acknowledged before S and that began before E and was not refused.  Anything else is a broken
promise: lost, stale, half or refused and there all the same.

What is not acknowledged yet is promised to nobody: a follower that has read the record may show it a
moment before the primary has, whose readers still see the value before.  Such reads are counted.  Once
all is quiet, what was ever seen counts as if it had been acknowledged."""
import threading
import time

OK, NO, UNKNOWN = "ok", "refused", "unknown"
now = time.monotonic


class Op:
    def __init__(self, value):
        self.value, self.begin, self.end, self.fate = value, now(), None, UNKNOWN

    def __str__(self):
        end = "-" if self.end is None else f"{self.end:.3f}"
        return f"{self.fate} {self.begin:.3f}..{end} {self.value}"


class Register:
    def __init__(self, repo, refs):
        self.repo, self.refs = repo, refs
        self.ops = []
        self.known = []  # (time, index): from this time on, nothing older may be seen
        self.seen = []   # the same, by readers

    def tail(self, n=8):
        return "\n".join(f"    {i}: {op}" for i, op in list(enumerate(self.ops))[-n:])


class Chain:
    """A branch that many push to, fast-forward only: a number stands for each commit's depth."""

    def __init__(self, repo, ref):
        self.repo, self.ref = repo, ref
        self.number = {}
        self.acked = []  # commits
        self.refused = set()
        self.floor = [(0.0, 0)]
        self.seen = []


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.registers, self.chains = [], []
        self.wrong = []
        self.quiet = False
        self.counts = {"older after newer": 0, OK: 0, NO: 0, UNKNOWN: 0, "reads": 0, "failed reads": 0}
        self.words = {}

    def fail(self, text):
        with self.lock:
            self.wrong.append(text)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def said(self, text):
        with self.lock:
            self.words[text] = self.words.get(text, 0) + 1

    def register(self, repo, refs, value=None):
        r = Register(repo, tuple(refs))
        op = Op(value or (None,) * len(r.refs))
        op.fate, op.end = OK, op.begin
        r.ops.append(op)
        r.known.append((op.begin, 0))
        with self.lock:
            self.registers.append(r)
        return r

    def chain(self, repo, ref, base):
        c = Chain(repo, ref)
        c.number[base] = 0
        with self.lock:
            self.chains.append(c)
        return c

    # pushes

    def begin(self, r, value):
        op = Op(tuple(value))
        with self.lock:
            r.ops.append(op)
        return op

    def end(self, r, op, fate):
        with self.lock:
            op.end, op.fate = now(), fate
            self.counts[fate] += 1
            if fate == OK:
                r.known.append((op.end, r.ops.index(op)))

    def chain_end(self, c, sha, fate):
        with self.lock:
            self.counts[fate] += 1
            if fate == OK:
                c.acked.append(sha)
                c.floor.append((now(), c.number[sha]))
            elif fate == NO:
                c.refused.add(sha)

    # reads

    def judge(self, who, repo, begin, seen):
        """seen: {ref: id} of one moment between begin and now."""
        end = now()
        with self.lock:
            self.counts["reads"] += 1
            registers = [r for r in self.registers if r.repo == repo]
            chains = [c for c in self.chains if c.repo == repo]
            for r in registers:
                self.judge_register(who, r, begin, end, tuple(seen.get(ref) for ref in r.refs))
            for c in chains:
                self.judge_chain(who, c, begin, end, seen.get(c.ref))

    def judge_register(self, who, r, begin, end, value):
        seen = max((i for t, i in r.seen if t <= begin), default=0)
        floor = max([i for t, i in r.known if t <= begin] + [seen if self.quiet else 0])
        for i in range(floor, len(r.ops)):
            op = r.ops[i]
            if op.value == value and op.begin <= end and op.fate != NO:
                r.seen.append((end, i))
                self.counts["older after newer"] += i < seen and value != r.ops[seen].value
                return
        # A create whose outcome is unknown may come after a later delete; it still found nothing.
        if r.ops[floor].value == (None,) * len(r.refs) and any(
                op.value == value and op.fate == UNKNOWN for op in r.ops[:floor]):
            return
        self.wrong.append(
            f"{who}: {r.repo} {' '.join(r.refs)}: saw {value} between {begin:.3f} and {end:.3f}, "
            f"operation {floor} was in force before:\n{r.tail()}")

    def judge_chain(self, who, c, begin, end, sha):
        seen = max((n for t, n in c.seen if t <= begin), default=0)
        floor = max([n for t, n in c.floor if t <= begin] + [seen if self.quiet else 0])
        n = c.number.get(sha)
        if n is None or n < floor or sha in c.refused:
            self.wrong.append(f"{who}: {c.repo} {c.ref}: saw {sha}, number {n}, between {begin:.3f} "
                              f"and {end:.3f}; {floor} was in force before"
                              + (" (it was refused)" if sha in c.refused else ""))
        else:
            c.seen.append((end, n))
            self.counts["older after newer"] += n < seen


def self_check():
    """The judge must be able to say no."""
    def case(fates, value, want, begun=True):
        h = History()
        r = h.register("o/r", ("a", "b"))
        for i, fate in enumerate(fates):
            op = h.begin(r, (f"{i}a", f"{i}b"))
            if fate is not None:
                h.end(r, op, fate)
        begin = now()
        if not begun:
            h.begin(r, ("9a", "9b"))
        h.judge("check", "o/r", begin, dict(zip("ab", value)))
        assert bool(h.wrong) != want, (fates, value, h.wrong)
    case([OK, OK], ("1a", "1b"), True)
    case([OK, OK], ("0a", "0b"), False)           # lost or stale
    case([OK, OK], ("1a", "0b"), False)           # half
    case([OK, NO], ("1a", "1b"), False)           # refused, and there
    case([OK, UNKNOWN], ("1a", "1b"), True)
    case([OK, UNKNOWN], ("0a", "0b"), True)
    case([OK, None], ("1a", "1b"), True)          # under way
    case([OK], (None, None), False)               # gone
    case([OK], ("7a", "7b"), False)               # nobody pushed that
    case([OK], ("9a", "9b"), True, begun=False)   # began while we read
    h = History()
    r = h.register("o/r", ("a",))
    h.end(r, h.begin(r, ("x",)), UNKNOWN)
    h.judge("check", "o/r", now(), {"a": "x"})
    h.judge("check", "o/r", now(), {})
    assert not h.wrong and h.counts["older after newer"] == 1, h.counts
    h.quiet = True
    h.judge("check", "o/r", now(), {})
    assert len(h.wrong) == 1, h.wrong             # seen, and gone again
    c = h.chain("o/c", "a", "base")
    c.number["one"] = 1
    h.chain_end(c, "one", OK)
    h.judge("check", "o/c", now(), {"a": "base"})
    assert len(h.wrong) == 2, h.wrong
