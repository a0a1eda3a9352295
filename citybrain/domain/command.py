"""What people, the dispatch system, ingest and the clock ask of the pipeline, as messages that can be recorded and replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from citybrain.domain.case import Case, CaseAction, Report
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Point


@dataclass(frozen=True, slots=True)
class Act:
    """Someone takes an action on a case. `id` is the asker's, so that asking twice acts once; `actor` is who.

    `unit` is whom `assign` gives it to, `until` by when `extend` allows and `defer` waits, `into` the case that `merge` makes it
    part of and `into_locality` where that one lies; `evidence` are pictures taken on the spot (role `field`).
    """

    id: str
    case: str
    locality: str
    action: CaseAction
    actor: str
    at: datetime
    reason: str = ""
    note: str = ""
    unit: str | None = None
    until: datetime | None = None
    into: str | None = None
    into_locality: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Absorb:
    """The other half of a merge: `case` gets cameras, reports and evidence of `other`, as they were when it was asked.

    `places` are where cameras see it, each with its camera. `undone`: the merge was taken back, and with it what came by it.
    The pipeline asks this of itself, when the merge is done.
    """

    id: str
    case: str
    locality: str
    other: Case
    actor: str
    at: datetime
    places: Mapping[str, str] = field(default_factory=dict)
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Reported:
    """Somebody else than a camera tells of a problem of a scene at a location: hotline, inspector or sensor.

    `place` names the spot where it has a name (`sensor/<id>`), else it is made of the report's id. `label` says what was found:
    a sensor's kind, or that somebody reported it. `ended`: a sensor says that it is over.
    """

    id: str
    scene: str
    locality: str
    place: str
    location: Point | None
    grid_cell: str | None
    report: Report
    actor: str
    at: datetime
    evidence: tuple[Evidence, ...] = ()
    label: str = "report"
    ended: bool = False


@dataclass(frozen=True, slots=True)
class LookAgain:
    """A unit says that it is done: the camera is to look at the place again, and to keep a picture of what it sees then.

    Said of each place of the case, and said again, with the same `asked_at`, while there is no answer. The pipeline asks it.
    """

    id: str
    case: str
    locality: str
    camera: str
    scene: str
    place: str
    asked_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """From `since` to `until` cases that match are filed and shown, and nobody is told; what is None matches everything.

    `grid_cell` matches by its beginning.
    """

    id: str
    since: datetime
    until: datetime
    author: str
    reason: str
    scene: str | None = None
    camera: str | None = None
    grid_cell: str | None = None


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence begins to hold; or, with another `until`, the one of the same id ends then."""

    id: str
    silence: Silence
    at: datetime


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


Command = Absorb | Act | Configured | Delivered | Filmed | LookAgain | Reported | Silenced | Tick
