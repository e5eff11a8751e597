"""Generated histories for `git fast-import`: large ones in seconds, the same ones every time."""
import subprocess


def feed(git, repo, write):
    """Runs fast-import in repo; write(out) writes the stream to its binary input."""
    p = subprocess.Popen(["git", "fast-import", "--quiet", "--depth=10"], cwd=repo, env=git.env,
                         stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        write(p.stdin)
        p.stdin.close()
    except BrokenPipeError:
        pass
    err = p.stderr.read().decode()
    assert p.wait() == 0, err


class Marks:
    """Numbers of the commits of a stream, so that branches and tags can begin anywhere."""

    def __init__(self):
        self.last = 0
        self.of = {}  # branch -> its commits, oldest first


def commits(out, marks, branch, n, parent=None, fan=40, width=1):
    """n commits on a branch, each changing `width` files three folders deep: a commit, three trees
    besides the root's and a blob per file, so about 6 objects a commit at width 1."""
    mine = marks.of.setdefault(branch, [])
    for i in range(n):
        marks.last += 1
        mine.append(marks.last)
        msg = b"commit %d" % i
        out.write(b"commit %s\nmark :%d\ncommitter C <c@localhost> %d +0000\ndata %d\n%s\n" % (
            branch.encode(), marks.last, 1600000000 + i, len(msg), msg))
        if i == 0 and parent:
            out.write(b"from :%d\n" % parent)
        for w in range(width):
            k = i * 7 + w * 13
            body = b"%s: %d of %d\nsome more words\n" % (branch.encode(), i, w)
            out.write(b"M 100644 inline d%d/e%d/f%d/g%d\ndata %d\n%s\n" % (
                k % fan, k // fan % fan, k % 11, k % 17, len(body), body))


def tags(out, n, targets):
    """n annotated tags on these commits."""
    for i in range(n):
        msg = b"tag %d" % i
        out.write(b"tag t%d\nfrom :%d\ntagger C <c@localhost> 1700000000 +0000\ndata %d\n%s\n" % (
            i, targets[i * (len(targets) // n)], len(msg), msg))
