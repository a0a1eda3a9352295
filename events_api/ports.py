"""What the events API is given from outside: the case view, delivery's dead letters, what it must know of scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from citybrain.domain.camera import Text
from citybrain.domain.case import CaseEvent
from citybrain.domain.command import Silence

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SceneInfo:
    """A scene as people see it. `status` is draft, trial or live."""

    id: str
    title: Text
    status: str
    severity: str
    code: str = ""
    zone_kind: str = "any"
    hold: timedelta = timedelta()
    reach_m: float = 50.0
    """How far a report may lie from the problem that it is about."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A case event that a receiver never took: after its last attempt, and why."""

    id: str
    endpoint: str
    case: str
    attempts: int
    reason: str
    failed_at: datetime


class DeadLetters(Protocol):
    """What delivery gave up on (kept by the pipeline's outbox, beyond one machine in a topic)."""

    def all(self, *, limit: int) -> Sequence[DeadLetter]:
        """The newest first."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...

    def resend(self, id: str) -> bool:
        """Queue it once more under its own id. False when there is no such dead letter."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A case event with its cursor, the offset at which the log holds it, and its bytes as they were written."""

    cursor: int
    event: CaseEvent
    raw: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message of the log that cannot be read as a case event, and why."""

    cursor: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A case event as it is handed on: `raw` is the CloudEvent exactly as the pipeline wrote it."""

    cursor: int
    type: str
    scene: str
    case: str
    cause: str | None
    raw: str
    severity: str = ""
    grid_cell: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are asked for; what is empty does not restrict.

    `grid_cells` are codes or their beginnings. So are `areas`: the code of an area is how those of its cells begin.
    """

    scenes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    grid_cells: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def lets_through(self, event: StoredEvent) -> bool:
        return (
            (not self.scenes or event.scene in self.scenes)
            and (not self.types or event.type in self.types)
            and (not self.severities or event.severity in self.severities)
            and all((event.grid_cell or "").startswith(codes) for codes in (self.grid_cells, self.areas) if codes)
        )


EVERYTHING = EventFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which cases are asked for; what is empty or None does not restrict.

    `grid_cell` is a prefix: the first nine digits of a code name its street. `judged` is confirmed, rejected or none.
    `words` must all appear in a case's titles, ids, places or notes. `silence` held the case back, at whatever time.
    """

    scenes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    grid_cell: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    open: bool | None = None
    judged: str | None = None
    words: tuple[str, ...] = ()
    silence: str | None = None


@dataclass(frozen=True, slots=True)
class KeptSilence:
    """A silence with how many cases it has held back, and how many of them are open and still told to nobody."""

    silence: Silence
    held: int = 0
    holding: int = 0


PageKey = tuple[str, str]
"""Where a page of cases ended: the last case's filed_at as the wire writes it, and its id."""


class CaseStore(Protocol):
    """The API's own view of the cases, made from the log of case events and nothing else; losing it costs a rebuild.

    `apply` writes a batch and the cursor behind it in one transaction: after a crash both are there or neither is.
    Applying an event again changes nothing. Safe to call from several threads, and from several processes where the store is
    theirs together: one batch is taken in at a time. Raises DatabaseAway while it cannot be asked.
    """

    def cursor(self) -> int:
        """The offset of the last message taken in, 0 at the beginning."""
        ...

    def apply(
        self, batch: Sequence[LoggedEvent | SetAside], *, cursor: int, after: int | None = None
    ) -> list[StoredEvent] | None:
        """Take in a batch in order of offset, and return the events in it that were new. With `after` only while the view stands
        there: None, and nothing is done, when another process was quicker."""
        ...

    def reset(self, *, at: int | None = None) -> None:
        """Forget everything: the log is another one. With `at` only while the view still stands there."""
        ...

    def case(self, id: str) -> Fields | None: ...

    def cases(self, wanted: Wanted, *, limit: int, after: PageKey | None = None) -> list[Fields]:
        """The newest first, by filed_at and id."""
        ...

    def timeline(self, id: str) -> list[StoredEvent]:
        """All events of one case, oldest first; empty when there is no such case."""
        ...

    def events(self, *, after: int, limit: int, wanted: EventFilter = EVERYTHING) -> list[StoredEvent]:
        """Events with a greater cursor, oldest first."""
        ...

    def effects(self, cause_prefix: str) -> list[StoredEvent]:
        """Events brought about by commands whose id starts with this."""
        ...

    def has_evidence(self, ref: str) -> bool:
        """Whether any case names this picture."""
        ...

    def counts(self) -> dict[tuple[str, str], int]:
        """How many cases there are by (scene, state)."""
        ...

    def latencies(self, *, since: datetime | None = None) -> list[float]:
        """latency_s of the cases filed since then that were posted, ascending."""
        ...

    def open_by_cell(self) -> dict[tuple[str | None, str], int]:
        """How many open cases there are by (grid cell, light)."""
        ...

    def silence_cursor(self) -> int:
        """The offset up to which silences were taken in, 0 at the beginning."""
        ...

    def take_silences(self, batch: Sequence[Silence], *, cursor: int) -> None:
        """Take in silences as they were made or changed, in order; what lies behind the cursor already changes nothing."""
        ...

    def silences(self) -> list[KeptSilence]:
        """All that people made, as they are now, in the order they were made."""
        ...

    def silenced(self) -> dict[str, tuple[int, int]]:
        """By silence, of whatever origin: how many cases it has held back, and how many it holds."""
        ...

    def set_aside(self) -> int:
        """How many messages could not be read."""
        ...

    def close(self) -> None: ...
