"""What people, the dispatch system, ingest and the clock ask of the pipeline, as messages that can be recorded and replayed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from citybrain.domain.case import CaseAction
from citybrain.domain.episode import Evidence


@dataclass(frozen=True, slots=True)
class Act:
    """Someone takes an action on a case. `id` is the asker's, so that asking twice acts once; `actor` is who."""

    id: str
    case: str
    locality: str
    action: CaseAction
    actor: str
    at: datetime
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The dispatch system took a case event: when it was committed here, posted, acknowledged, and under which number."""

    id: str
    case: str
    locality: str
    event: str
    committed_at: datetime
    posted_at: datetime
    acknowledged_at: datetime
    external_id: str | None = None

    @property
    def at(self) -> datetime:
        return self.acknowledged_at


@dataclass(frozen=True, slots=True)
class Filmed:
    """A clip is stored of an episode that ingest saw begin: at `place`, since `began_at`, confirmed at `confirmed_at`."""

    id: str
    scene: str
    place: str
    locality: str
    began_at: datetime
    confirmed_at: datetime
    clip: Evidence
    at: datetime


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by for a locality's open cases."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Configured:
    """From here on the city is judged by another configuration: what it no longer watches is let go."""

    id: str
    at: datetime
    revision: str


Command = Act | Configured | Delivered | Filmed | Tick
