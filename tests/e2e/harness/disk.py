"""A small disk for a part of a cluster, which a test fills and empties.  Needs root."""
import os
import pathlib
import subprocess


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
