"""Waiting for a condition, with a deadline.  No test sleeps and hopes.

A deadline here is patience and no claim: it costs nothing when all is right, and a busy machine may need
more than the usual time.  GITSHARD_PATIENCE is how many times as much it gets.  What has to be quick is
measured by the test that says so."""
import os
import time

PATIENCE = float(os.environ.get("GITSHARD_PATIENCE", "5"))


def wait_for(condition, seconds, what, step=0.02):
    """Returns the first true value of condition(); fails with `what` when it was looked at in vain after
    PATIENCE times so many seconds."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        last = time.monotonic() > end  # this process may have stood still, too
        got = condition()
        if got:
            return got
        if last:
            raise AssertionError(f"after {seconds:g} s still not: {what() if callable(what) else what}")
        time.sleep(step)
