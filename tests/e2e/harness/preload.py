"""Libraries of this folder that change what a daemon's system calls do, preloaded into it."""
import contextlib
import os
import pathlib
import subprocess


class Preload:
    """NAME.c, built into a folder of its own; it acts while its flag, a file there, exists."""

    def __init__(self, path, name):
        path.mkdir(parents=True)
        self.path, self.lib, self.flag = path, path / f"{name}.so", path / name
        source = pathlib.Path(__file__).parent / f"{name}.c"
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", str(self.lib), str(source),
                        "-ldl"], check=True)

    @contextlib.contextmanager
    def inside(self, **env):
        """Daemons started inside have it, and these variables for it."""
        env = {"LD_PRELOAD": str(self.lib), **{key: str(value) for key, value in env.items()}}
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
