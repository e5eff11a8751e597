"""Waiting for a condition, with a deadline.  No test sleeps and hopes."""
import time


def wait_for(condition, seconds, what, step=0.02):
    """Returns the first true value of condition(); fails with `what` and the last value after that."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not: {what() if callable(what) else what}")
        time.sleep(step)
