"""What the city goes on without at present, and who has fallen silent: signs of life lie where they may be lost.

Redis that is gone, or begun anew, takes all heartbeats with it. So what was heard last is remembered, and nobody is called silent
while nobody can be heard.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from citybrain.clock import Clock, iso
from citybrain.ports import EvidenceStore, HotStore
from events_api.signs import FRESH, Heartbeat, heartbeats, is_fresh

_REMEMBERED = 4 * FRESH
_MISSING = {
    "hot": "what is hot cannot be had: latest pictures, camera states and figures of processes are missing",
    "evidence": "the evidence storage does not answer: pictures and clips cannot be seen, and wait to be kept",
}


@dataclass(frozen=True, slots=True)
class Lack:
    """A comfort that is missing: `hot` or `evidence`, as this process knows since then."""

    what: str
    since: datetime

    def as_fields(self) -> dict[str, str]:
        return {"what": self.what, "since": iso(self.since), "reason": _MISSING[self.what]}


class Vitals:
    """As one replica of the API knows them. Safe to share between threads."""

    def __init__(self, hot: HotStore, evidence: EvidenceStore, clock: Clock) -> None:
        self._hot, self._evidence, self._clock = hot, evidence, clock
        self._lock = threading.Lock()
        self._heard: dict[str, Heartbeat] = {}
        self._away_at: datetime | None = None

    def lacking(self) -> list[Lack]:
        """What the city goes on without."""
        found = {"hot": self._hot.away_since(), "evidence": self._evidence.away_since()}
        return [Lack(what, since) for what, since in found.items() if since is not None]

    def silent(self) -> list[str]:
        """Which roles have reported and no longer do, or must and never did; nobody while that cannot be known."""
        beats, now = heartbeats(self._hot), self._clock.now()
        with self._lock:
            if self._hot.away_since() is not None:
                self._away_at = now
            before = {name: beat for name, beat in self._heard.items() if now - beat.at <= _REMEMBERED}
            self._heard = before | {beat.name: beat for beat in beats}
            if self._away_at is not None and now - self._away_at <= FRESH:
                return []
            heard = list(self._heard.values())
        said = {role: is_fresh(role, heard, now) for role in ("pipeline", "ingest", "sensors")}
        return [f"{role} is silent" for role, fresh in said.items() if fresh is False] + (
            ["pipeline has not reported yet"] if said["pipeline"] is None else []
        )
