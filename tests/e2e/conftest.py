"""Fixtures: one cluster for all tests that do not hurt it, clusters of their own for the others."""
import itertools
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import gitrun  # noqa: E402
from harness.cluster import TREE, Cluster  # noqa: E402
from harness.peer import Peer  # noqa: E402

GITSHARD_KEEP = os.environ.get("GITSHARD_KEEP")  # anything: keep the folders of green runs too
open_clusters = []
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def area(request):
    """A folder for everything of this run, removed when the run was green."""
    (TREE / "build" / "e2e").mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=TREE / "build" / "e2e"))
    yield path
    if request.session.testsfailed == 0 and not GITSHARD_KEEP:
        shutil.rmtree(path, ignore_errors=True)
    else:
        print(f"\nkept: {path}")


def end_all(clusters):
    failures = []
    for c in [c for c in clusters if c in open_clusters]:
        try:
            end_cluster(c)
        except AssertionError as e:  # the others are ended all the same
            failures.append(str(e))
    assert not failures, "\n".join(failures)


def maker(area, made):
    def make(name, **options):
        c = Cluster(area / f"{name}{next(numbers)}", **options)
        made.append(c)
        open_clusters.append(c)
        return c
    return make


@pytest.fixture
def make_cluster(area):
    """make_cluster(name, **options) - a cluster for this test; it may call .down() earlier."""
    made = []
    yield maker(area, made)
    end_all(made)


@pytest.fixture(scope="session")
def keep_cluster(area):
    """The same for fixtures that serve several tests, and end theirs by end_cluster when they can."""
    made = []
    yield maker(area, made)
    end_all(made)


def end_cluster(c):
    open_clusters.remove(c)
    c.down()


@pytest.fixture(scope="session")
def cluster(keep_cluster):
    """The common cluster: three nodes, two routers, nothing is broken in it."""
    return keep_cluster("common", routers=2, sets=["node.auto_create=no"])


@pytest.fixture(scope="module")
def own_cluster(keep_cluster, request):
    """One for this module alone, with OPTIONS of the module, gone at its end."""
    c = keep_cluster(request.module.__name__.replace("test_", "c"),
                     **getattr(request.module, "OPTIONS", {}))
    yield c
    if c in open_clusters:
        end_cluster(c)


@pytest.fixture(scope="session")
def peer(area):
    p = Peer(area / "peer")
    yield p
    p.close()


@pytest.fixture
def git(tmp_path):
    g = gitrun.Git(tmp_path / "home")
    g.tick()
    return g


@pytest.fixture
def tmp_path(area, request):
    """Like pytest's own, but beside the clusters, on the same disk."""
    name = "".join(ch if ch.isalnum() else "-" for ch in request.node.name)[:60]
    path = area / "t" / f"{next(numbers)}-{name}"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def new_name(request):
    """A repository name that no other test has."""
    return lambda prefix="t": f"{prefix}/r{next(numbers)}"


@pytest.fixture(autouse=True)
def no_child_remains():
    """After each test, no process that a daemon started still runs."""
    yield
    for c in open_clusters:
        c.no_children()
