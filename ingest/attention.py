"""Which cameras have an open question, and how long each may be looked at closely for it.

    a scene asks ──▸ open ── settled: the scene asks no more ──▸ closed
                    ▴   └─ its time is up ──▸ rests ── the scene asks no more ──▸ closed
                    └──── the scene still asks ──┘

A question that its time did not settle rests, first for as long as it was looked at, then for twice as long each time: what
flickers for hours is looked at closely for a small part of them. It must not rest for ever: where looks come further apart than
a scene's `max_gap`, because there is too much to look at, only close ones ever fill a `hold`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

LONGEST_REST = 8
"""How many times its own time a question rests at most: then it takes one ninth of the time."""


@dataclass(frozen=True, slots=True)
class _Question:
    """Looked at closely until `until`; then it rests so many seconds."""

    until: float
    rest: float


class Attention:
    """The questions of all cameras. Times are monotonic seconds, told by the caller."""

    def __init__(self, limits: Mapping[str, timedelta]) -> None:
        self._limits: dict[str, float] = {}
        self._questions: dict[str, dict[str, _Question]] = {}
        self.adopt(limits)

    def adopt(self, limits: Mapping[str, timedelta]) -> None:
        """How long each scene's questions are worth from now on; questions already open keep their time."""
        self._limits = {scene: limit.total_seconds() for scene, limit in limits.items() if limit > timedelta()}

    def asked(self, camera: str, scenes: Collection[str], now: float) -> float | None:
        """After a look, the scenes that have a question on the camera: until when it is to be looked at closely, or None."""
        before = self._questions.get(camera, {})
        after = {
            scene: question for scene in scenes if (question := self._next(scene, before.get(scene), now)) is not None
        }
        if after:
            self._questions[camera] = after
        else:
            self._questions.pop(camera, None)
        until = max((each.until for each in after.values()), default=now)
        return until if until > now else None

    def forget(self, camera: str) -> None:
        self._questions.pop(camera, None)

    def _next(self, scene: str, before: _Question | None, now: float) -> _Question | None:
        """The scene's question as it stands now; None when it has none: nothing was asked before, and now it gets no attention."""
        limit = self._limits.get(scene)
        if limit is None or (before is not None and now < before.until + before.rest):
            return before
        return _Question(now + limit, limit if before is None else min(2 * before.rest, LONGEST_REST * limit))
