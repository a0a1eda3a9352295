"""What a step reads and what follows out of it: the states it finds, and those, the facts and the questions it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from citybrain.domain.command import Absorb, Act, LookAgain
from pipeline.camera_flow import CameraState
from pipeline.cases.records import LocalityState, Told
from pipeline.silences import Silences

Ask = Absorb | Act | LookAgain
"""What the pipeline asks of itself, and of ingest."""


class CameraStates(Protocol):
    """Where stage one finds the cameras; it never writes them."""

    def camera(self, key: str) -> CameraState: ...

    def known_cameras(self) -> Iterable[str]: ...


class LocalityStates(Protocol):
    """Where stage two finds the localities and what is silenced; it never writes them."""

    def locality(self, key: str) -> LocalityState: ...

    def localities(self) -> Iterable[str]: ...

    def silences(self) -> Silences: ...


class States(CameraStates, LocalityStates, Protocol):
    """What both stages find where one runner holds all of it."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that could not be acted on, and why; it is kept, shown and never tried again."""

    kind: Literal["unreadable", "unknown", "refused"]
    reason: str


@dataclass(slots=True)
class Effects:
    """What a step asks its runner to commit together.

    `asks` are commands of the pipeline to itself and to ingest. A runner that holds all states applies them before the next
    message, puts them on the bus in the same commit, and passes them over when they come by; one that is spread over workers
    puts them on the bus, and whoever they concern applies them.
    """

    cameras: dict[str, CameraState] = field(default_factory=dict)
    localities: dict[str, LocalityState] = field(default_factory=dict)
    silences: Silences | None = None
    told: list[Told] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
