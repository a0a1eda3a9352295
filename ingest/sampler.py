"""Which camera is looked at next: earliest deadline first among those that have a frame, and nobody starves.

A camera is due `look_every` after its last look was due. Who is looked at goes to the back by its own interval, so
whoever waits gets older than everybody that is served: under overload each gets its share, late by the same measure.
"""

from __future__ import annotations

import heapq
import itertools
from datetime import timedelta


class Sampler:
    """Deadlines of the cameras of one worker. Times are monotonic seconds, told by the caller."""

    def __init__(self) -> None:
        self._every: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._turn: dict[str, int] = {}
        self._ready: list[tuple[float, int, str]] = []
        self._queued: set[str] = set()
        self._order = itertools.count()

    def add(self, camera: str, look_every: timedelta) -> None:
        self._every[camera] = look_every.total_seconds()
        self._turn[camera] = next(self._order)

    def offer(self, camera: str, now: float) -> None:
        """The camera has a frame waiting. Saying it again changes nothing."""
        if camera not in self._queued:
            self._queued.add(camera)
            heapq.heappush(self._ready, (self._due.setdefault(camera, now), self._turn[camera], camera))

    def take(self, now: float, limit: int) -> list[str]:
        """At most `limit` cameras whose time has come, the most overdue first; each counts as looked at now."""
        taken: list[str] = []
        while self._ready and len(taken) < limit and self._ready[0][0] <= now:
            due, _, camera = heapq.heappop(self._ready)
            self._queued.discard(camera)
            every = self._every[camera]
            # Keyframes come with jitter: one that is a little late does not put off all that follow. One that is
            # later than that waited for us, and takes its place behind everybody who waits longer.
            self._due[camera] = due + every if now - due <= every / 4 else now + every
            self._turn[camera] = next(self._order)  # of two due together, the one seen longer ago comes first
            taken.append(camera)
        return taken

    def give_back(self, camera: str, now: float) -> None:
        """A camera that was taken but could not be looked at: it is due again at once."""
        self._due[camera] = now
        self.offer(camera, now)

    def next_due(self) -> float | None:
        """When the next waiting camera is due; None when none waits."""
        return self._ready[0][0] if self._ready else None

    def lateness(self, now: float) -> float:
        """By how many seconds the most overdue waiting camera is late; 0 when none is."""
        return max(0.0, now - self._ready[0][0]) if self._ready else 0.0
