"""Which cameras have an open question, and how long each may be looked at closely for it.

    a scene asks ──▸ open ── settled: the scene asks no more ──▸ closed
                       └─ its time is up ──▸ spent ── the scene asks no more ──▸ closed

A spent question gets nothing more until it was closed: what cannot be settled by looking closely is left to patience.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta


class Attention:
    """The questions of all cameras. Times are monotonic seconds, told by the caller."""

    def __init__(self, limits: Mapping[str, timedelta]) -> None:
        self._limits: dict[str, float] = {}
        self._questions: dict[str, dict[str, float]] = {}
        self.adopt(limits)

    def adopt(self, limits: Mapping[str, timedelta]) -> None:
        """How long each scene's questions are worth from now on; questions already open keep their time."""
        self._limits = {scene: limit.total_seconds() for scene, limit in limits.items() if limit > timedelta()}

    def asked(self, camera: str, scenes: Collection[str], now: float) -> float | None:
        """After a look, the scenes that have a question on the camera: until when it is to be looked at closely, or None."""
        before = self._questions.get(camera, {})
        after = {
            scene: before.get(scene, now + self._limits[scene])
            for scene in scenes
            if scene in before or scene in self._limits
        }
        if after:
            self._questions[camera] = after
        else:
            self._questions.pop(camera, None)
        until = max(after.values(), default=now)
        return until if until > now else None

    def forget(self, camera: str) -> None:
        self._questions.pop(camera, None)
