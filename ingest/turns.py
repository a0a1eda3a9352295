"""Whose turn it is to open a connection: so many a second over all cameras of the process, in the order of asking.

After a power cut every camera of a district asks at once. Each gets the next free turn, a little earlier or later than
its exact time, so that neither the switches nor the devices meet a burst, nor a beat.
"""

from __future__ import annotations

import random

OPENS_A_SECOND = 100.0
"""A thousand cameras within ten seconds; a district switch sees no more than that many handshakes at a time."""


class Turns:
    """Times are monotonic seconds, told by the caller."""

    def __init__(self, *, per_second: float = OPENS_A_SECOND, draw: random.Random | None = None) -> None:
        self._apart = 1.0 / per_second
        self._free = float("-inf")
        self._draw = draw or random.Random()

    def wait(self, now: float) -> float:
        """Take the next turn: how long to wait for it."""
        turn = max(now, self._free)
        self._free = turn + self._apart
        return turn - now + self._draw.random() * self._apart
