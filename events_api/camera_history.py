"""What states the cameras went through, as far as somebody looked: each change once, the last few of each camera."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from citybrain.clock import instant
from events_api.camera_overview import Known

KEPT = 20
"""States of each camera that are remembered. They are lost with the process: what lasts is in the cases, and in metrics."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch in one state for one reason; `since` is when it began, as ingest told or as it was noticed."""

    state: str
    reason: str
    reason_zh: str
    since: datetime


class CameraHistory:
    """Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spells: dict[str, deque[Spell]] = {}

    def note(self, cameras: Collection[Known], at: datetime) -> None:
        """All cameras there are, as they were just read."""
        with self._lock:
            before, self._spells = self._spells, {}
            for known in cameras:
                id = known.camera.id
                spells = self._spells[id] = before.get(id) or deque(maxlen=KEPT)
                last = spells[-1] if spells else None
                if last is None or (last.state, last.reason) != (known.state, known.reason):
                    spells.append(Spell(known.state, known.reason, known.reason_zh, _since(known, last, at)))

    def of(self, camera: str) -> Sequence[Spell]:
        """The newest first."""
        with self._lock:
            return tuple(reversed(self._spells.get(camera, ())))


def _since(known: Known, last: Spell | None, at: datetime) -> datetime:
    """Ingest says since when; of what only we say, and of what cannot be, it is when we noticed."""
    if known.state == "unknown":
        return at
    try:
        since = instant(str(known.told.get("since")))
    except ValueError:
        return at
    return since if since <= at and (last is None or since >= last.since) else at
