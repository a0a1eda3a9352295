"""A camera's zones as an engineer draws them: where they are written, and what they would have given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from citybrain.domain.camera import Text, ZoneKind
from citybrain.domain.geometry import Box, Point
from citybrain.errors import CityBrainError


@dataclass(frozen=True, slots=True)
class DrawnZone:
    """A zone as it is drawn, not yet checked. `place` names what it shows when another camera shows it too."""

    id: str
    kind: ZoneKind
    points: tuple[Point, ...]
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A camera's zones as its file says them. `revision` changes with anything that the file says of the camera.

    `surveyed` are the zones whose corners were surveyed: how the picture maps to the ground stays when they are drawn anew.
    """

    camera: str
    file: str
    revision: str
    zones: Sequence[DrawnZone]
    surveyed: frozenset[str] = frozenset()


class Changed(CityBrainError):
    """The file says something else of the camera than when it was read."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(f"the zones of {sheet.camera} were changed meanwhile; look at what they are now")
        self.sheet = sheet


class Faulty(CityBrainError):
    """With these zones the folder would have faults; nothing was written."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults[:3]))
        self.faults = tuple(faults)


class NotWritable(CityBrainError):
    """The file cannot be written, or not by a machine: its message says why and what a person does instead."""


class ZoneFiles(Protocol):
    """Where the zones of cameras are written."""

    def sheet(self, camera: str) -> Sheet | None:
        """What the file says now; None when no file has this camera. Raises NotWritable when the file cannot be read so."""
        ...

    def write(self, camera: str, zones: Sequence[DrawnZone], *, revision: str) -> tuple[Sheet, str]:
        """Put these zones in place of the camera's, if `revision` is still its sheet's; the new sheet, and the revision of the
        whole configuration by which the running roles will go on. Raises Changed, Faulty, NotWritable: nothing was written."""
        ...


@dataclass(frozen=True, slots=True)
class RehearsedCase:
    """A case that the looks of the last hour give, or gave.

    lost: with the present zones only; gained: with the drawn ones only; kept: with both.
    """

    change: Literal["gained", "lost", "kept"]
    scene: str
    title: Text
    severity: str
    zone: str
    began_at: datetime
    filed_at: datetime
    box: Box | None = None
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of it. `looks` were judged; cases filed from `since` on are told, those before only led up to them."""

    since: datetime
    until: datetime
    looks: int
    cases: Sequence[RehearsedCase]


class Busy(CityBrainError):
    """Another rehearsal is running: one at a time."""


class TooLong(CityBrainError):
    """It did not come to an end in time."""


class Rehearsal(Protocol):
    """Judges what a camera saw lately once more, by other zones. Blocks for seconds."""

    def rehearse(self, camera: str, zones: Sequence[DrawnZone]) -> Rehearsed:
        """Raises Busy, TooLong, Faulty."""
        ...
