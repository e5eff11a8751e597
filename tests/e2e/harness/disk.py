"""A small disk for a part of a cluster, which a test fills and empties.  Needs root."""
import os
import pathlib
import subprocess

from harness.preload import Preload


class Disk:
    """A tmpfs mounted at a folder, from `mount` to `umount`."""

    def __init__(self, path, megabytes):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(self.path)],
                       check=True)

    def umount(self):
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def free_bytes(self):
        st = os.statvfs(self.path)
        return st.f_bavail * st.f_frsize

    def fill(self, leave=0):
        """Takes all space but so many bytes."""
        with open(self.path / "filler", "ab") as f:
            while self.free_bytes() > leave:
                n = min(self.free_bytes() - leave, 1 << 20)
                try:
                    os.write(f.fileno(), b"\0" * n)
                except OSError:
                    break
        return self.free_bytes()

    def empty(self):
        (self.path / "filler").unlink(missing_ok=True)


class Failing(Preload):
    """I/O errors for what a daemon writes below a folder, while `on`: see eio.c."""

    def __init__(self, path):
        super().__init__(path, "eio")

    def below(self, folder):
        """Daemons started inside are concerned."""
        return self.inside(EIO_FOLDER=folder, EIO_FLAG=self.flag)
