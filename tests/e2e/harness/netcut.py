"""A network cut between nodes, while clients, routers and the log are reached: see netcut.c."""
from harness.preload import Preload


class Cut(Preload):
    """Nodes are started again inside, then `between` and `heal`.  Each node has a flag of its own."""

    def __init__(self, cluster, path):
        super().__init__(path, "netcut")
        self.c = cluster
        for name in cluster.nodes:
            cluster.do("stop", name)
            with self.inside(CUT_FLAG=path / name):
                cluster.do("start", name)

    def between(self, one, others):
        """Neither side reaches the other."""
        port = {n: self.c.listen(n).rsplit(":", 1)[1] for n in self.c.nodes}
        (self.path / one).write_text(" ".join(port[n] for n in others))
        for n in others:
            (self.path / n).write_text(port[one])

    def heal(self):
        for n in self.c.nodes:
            (self.path / n).unlink(missing_ok=True)
