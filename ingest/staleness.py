"""How long a camera has gone unseen: what is known of it is as old as the newest picture that was looked at."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_S = 30.0
"""`longest` is told over one to two of these: long enough for whoever asks each quarter of a minute."""

LATE = 1.25
"""From this factor of its patience on, a camera counts as late: a keyframe comes when it comes."""


@dataclass(slots=True)
class Staleness:
    """One camera's. Monotonic seconds, told by the caller; `newest_s` is when the newest picture looked at was taken."""

    newest_s: float | None = None
    _since_s: float = float("-inf")
    _now: float = 0.0
    _before: float = 0.0

    def looked(self, taken_s: float, now_s: float) -> None:
        """A look at a picture taken at `taken_s` is done; one that is older than the newest tells nothing new."""
        self._turn(now_s)
        if self.newest_s is not None:
            self._now = max(self._now, now_s - self.newest_s)
        if self.newest_s is None or taken_s > self.newest_s:
            self.newest_s = taken_s

    def longest(self, now_s: float) -> float | None:
        """How old what was known of it became at most, lately and now; None when it was never looked at."""
        self._turn(now_s)
        return None if self.newest_s is None else max(self._now, self._before, now_s - self.newest_s)

    def late(self, patience_s: float, now_s: float) -> bool:
        longest = self.longest(now_s)
        return longest is not None and longest > patience_s * LATE

    def _turn(self, now_s: float) -> None:
        if now_s - self._since_s >= WINDOW_S:
            fresh = now_s - self._since_s < 2 * WINDOW_S
            self._before, self._now, self._since_s = (self._now if fresh else 0.0), 0.0, now_s
