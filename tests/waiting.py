"""Waiting for what another process or thread brings about."""

import time


def until(claim, *, within_s: float = 30):
    """The claim's first answer that is true; AssertionError when none is in time."""
    last = time.monotonic() + within_s
    while not (found := claim()):
        assert time.monotonic() < last, f"it did not come true within {within_s:.0f} s"
        time.sleep(0.01)
    return found
