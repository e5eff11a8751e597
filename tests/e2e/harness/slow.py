"""A node behind a slow line: see slow.c."""
from harness.preload import Preload


class Slow(Preload):
    def __init__(self, path, rate):
        """rate: bytes a second that come in while it is on."""
        super().__init__(path, "slow")
        self.rate = rate

    def line(self):
        """Daemons started inside are behind it."""
        return self.inside(SLOW_RATE=self.rate, SLOW_FLAG=self.flag)
