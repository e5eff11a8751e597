"""Large packs: staged while one voter reads slowly; memory, times and bytes of it.

`make bench-large` (GITSHARD_LARGE=1) takes the sizes of the promise: a push of 1 GB, and ten clients
with 100 MB each while one voter reads 1 MB/s."""
import concurrent.futures
import os
import shutil
import time

import pytest
from conftest import end_cluster
from harness import large
from harness.slow import Slow

LONG = bool(os.environ.get("GITSHARD_LARGE"))
MB = 1_000_000
BIG = (1000 if LONG else 60) * MB
CLIENTS, EACH = (10, 100 * MB) if LONG else (3, 30 * MB)
RATE = MB
WATCH = 60 if LONG else 8  # seconds
SLOW = "node3"


@pytest.fixture(scope="module")
def slow_cluster(keep_cluster, area):
    """node3 is behind a slow line whenever `slow` is on."""
    slow = Slow(area / "slow", RATE)
    c = keep_cluster("large", shards=8, build="release")
    with slow.line():
        c.do("stop", SLOW)
        c.do("start", SLOW)
    c.slow = slow
    yield c
    slow.off()
    end_cluster(c)


def repo_elsewhere(c, new_name):
    """A new repository whose primary is not the slow node."""
    for _ in range(60):
        repo = new_name("large")
        c.create(repo)
        if c.primary(repo) != SLOW:
            return repo
    raise AssertionError(f"{SLOW} is primary of every shard")


def push(git, src, url):
    """Seconds of a push of main."""
    begin = time.monotonic()
    git.run("-c", "pack.window=0", "push", "-q", url, "main", cwd=src, seconds=1200)  # noise has no deltas
    return time.monotonic() - begin


def bytes_there(c, repos):
    """Of packs, whole or coming, on the slow node."""
    files = list(c.staging(SLOW).glob("*.pack"))
    for repo in repos:
        files += (c.repo_dir(SLOW, repo) / "objects" / "pack").glob("*.pack")
    sizes = {}
    for f in files:
        try:
            st = f.stat()
        except FileNotFoundError:
            return bytes_there(c, repos)  # on its way from the one to the other
        sizes[st.st_ino] = st.st_size
    return sum(sizes.values())


def pace(c, repos, seconds):
    """Bytes a second that come on there, and bytes that were there and had to come again."""
    begin = now = time.monotonic()
    first = last = bytes_there(c, repos)
    lost = 0
    while now < begin + seconds:
        time.sleep(0.25)
        now, have = time.monotonic(), bytes_there(c, repos)
        lost += max(0, last - have)
        last = have
    return (last - first) / (now - begin), lost


def test_one_large_push(slow_cluster, git, tmp_path, new_name):
    """A push of 1 GB beside the same push to a bare repository on the same disk."""
    c = slow_cluster
    src = large.noise(git, tmp_path / "src.git", BIG, 1)
    git.init(tmp_path / "plain.git", "--bare")
    plain = push(git, src, tmp_path / "plain.git")
    git.init(tmp_path / "strict.git", "--bare")
    git.run("config", "receive.fsckObjects", "true", cwd=tmp_path / "strict.git")
    strict = push(git, src, tmp_path / "strict.git")
    for name in ("plain.git", "strict.git"):
        shutil.rmtree(tmp_path / name)
    url = c.create(repo := new_name("large"))
    before = large.packs_on_the_way(c)
    with large.Peaks(c) as peaks:
        took = push(git, src, url)
        c.wait_equal(repo, seconds=120)
    sent = {k: v - before[k] for k, v in large.packs_on_the_way(c).items()}
    print(f"\n  {BIG // MB} MB: {took:.1f} s; plain git {plain:.1f} s (ratio {took / plain:.2f}), with "
          f"receive.fsckObjects {strict:.1f} s (ratio {took / strict:.2f})\n  packs to voters "
          f"{sent['voter'] / MB:.0f} MB, fetched by members {sent['member'] / MB:.0f} MB\n{peaks.text()}")
    peaks.bounded()
    assert sent["member"] == 0  # both voters had it as it was pushed
    assert sent["voter"] < 2.1 * BIG
    c.nothing_left(repo)
    shutil.rmtree(src)


def test_many_pushes_beside_a_slow_voter(slow_cluster, git, tmp_path, new_name):
    """Every client is served at the pace of the fast voter, memory is bounded on all nodes, and the
    slow voter gets everything in the end, none of it twice at once."""
    c = slow_cluster
    users = []
    for i in range(CLIENTS):
        src = large.noise(git, tmp_path / f"src{i}.git", EACH, 100 + i)
        users.append((src, repo_elsewhere(c, new_name)))
    before = large.packs_on_the_way(c)
    c.slow.on()
    with large.Peaks(c) as peaks, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        begin = time.monotonic()
        times = list(pool.map(lambda u: push(git, u[0], c.url(u[1])), users))
        took = time.monotonic() - begin
        alone = CLIENTS * EACH / RATE  # what the slow voter needs for all of it
        behind = [r for _, r in users if (c.repo(SLOW, r) or {}).get("state") != "ok"]
        print(f"\n  {CLIENTS} x {EACH // MB} MB, {SLOW} reads {RATE / MB:g} MB/s: all served after "
              f"{took:.1f} s ({', '.join(f'{t:.1f}' for t in sorted(times))}); {len(behind)} "
              f"repositories wait there for their pack")
        assert took < alone / 2, f"the slow voter held the pushes up: {took:.1f} s"
        assert behind, f"{SLOW} was not slow"
        waits = c.metric(SLOW, "gitshard_missing_packs")
        rate, lost = pace(c, [r for _, r in users], WATCH)
        print(f"  then for {WATCH} s: {rate / MB:.2f} MB/s come on there, {lost / MB:.1f} MB came for nothing")
        # A machine that stands still meanwhile takes that off the rate.
        assert RATE / 4 < rate < RATE * 1.5 and lost < RATE
        c.slow.off()
        begin = time.monotonic()
        for _, repo in users:
            c.wait_equal(repo, seconds=300)
        caught_up = time.monotonic() - begin
    sent = {k: v - before[k] for k, v in large.packs_on_the_way(c).items()}
    total = CLIENTS * EACH
    print(f"  {SLOW} without its slow line has everything {caught_up:.1f} s later ({waits:.0f} needs); "
          f"packs to voters {sent['voter'] / MB:.0f} MB, fetched by members {sent['member'] / MB:.0f} MB"
          f" (pushed: {total / MB:.0f} MB)\n{peaks.text()}")
    peaks.bounded()
    assert sent["voter"] + sent["member"] < 2.3 * total
    for src, repo in users:
        assert c.dumps(repo, full=False)["refs/heads/main"] == git.out("rev-parse", "main", cwd=src)
        c.nothing_left(repo)
        shutil.rmtree(src)
