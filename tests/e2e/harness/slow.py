"""A node behind a slow line: see slow.c."""
import contextlib
import os
import pathlib
import subprocess


class Slow:
    def __init__(self, path, rate):
        """rate: bytes a second that come in while it is on."""
        path.mkdir(parents=True)
        self.lib, self.flag, self.rate = path / "slow.so", path / "slow", rate
        source = pathlib.Path(__file__).parent / "slow.c"
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", str(self.lib), str(source),
                        "-ldl"], check=True)

    @contextlib.contextmanager
    def line(self):
        """Daemons started inside are behind it."""
        env = {"LD_PRELOAD": str(self.lib), "SLOW_RATE": str(self.rate), "SLOW_FLAG": str(self.flag)}
        os.environ.update(env)
        try:
            yield
        finally:
            for key in env:
                del os.environ[key]

    def on(self):
        self.flag.touch()

    def off(self):
        self.flag.unlink(missing_ok=True)
