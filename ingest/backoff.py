"""How long to wait before trying a camera again: doubling, with jitter, so that a street does not return at once."""

from __future__ import annotations

import random


class Backoff:
    """Doubling waits in seconds, each drawn from the upper half of its range."""

    def __init__(self, *, first: float = 0.5, last: float = 30.0, draw: random.Random | None = None) -> None:
        self._first, self._last = first, last
        self._draw = draw or random.Random()
        self._next = first

    def wait(self) -> float:
        span, self._next = self._next, min(self._last, self._next * 2)
        return span * (0.5 + self._draw.random() / 2)

    def reset(self) -> None:
        """It worked: the next wait is a short one again."""
        self._next = self._first
