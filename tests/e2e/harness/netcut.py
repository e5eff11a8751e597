"""A network cut between nodes, while clients, routers and the log are reached: see netcut.c."""
import os
import pathlib
import subprocess


class Cut:
    """Nodes are started again inside, then `between` and `heal`."""

    def __init__(self, cluster, path):
        path.mkdir(parents=True)
        self.c, self.path, self.lib = cluster, path, path / "netcut.so"
        source = pathlib.Path(__file__).parent / "netcut.c"
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", str(self.lib), str(source),
                        "-ldl"], check=True)
        for name in cluster.nodes:
            cluster.do("stop", name)
            env = {"LD_PRELOAD": str(self.lib), "CUT_FLAG": str(path / name)}
            os.environ.update(env)
            try:
                cluster.do("start", name)
            finally:
                for key in env:
                    del os.environ[key]

    def between(self, one, others):
        """Neither side reaches the other."""
        port = {n: self.c.listen(n).rsplit(":", 1)[1] for n in self.c.nodes}
        (self.path / one).write_text(" ".join(port[n] for n in others))
        for n in others:
            (self.path / n).write_text(port[one])

    def heal(self):
        for n in self.c.nodes:
            (self.path / n).unlink(missing_ok=True)
