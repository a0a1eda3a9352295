"""What a case remembers of its closed loop: what undo would restore, what it absorbed, and what its cameras were asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from citybrain.domain.case import CaseState


@dataclass(frozen=True, slots=True)
class Undo:
    """How the case stood before the action that `Case.undoable` names."""

    state: CaseState
    judged: str | None


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a case that became part of this one brought along: ids of the case and its reports, cameras, references of
    pictures, and its places with the camera that sees each."""

    case: str
    cameras: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verification:
    """A unit said that it is done, and the cameras were asked what they see.

    `said_at` is when they were asked last. `waiting` are the places without an answer, each with its camera; of them `blind`
    cannot be seen at present. `gone` are those seen to be clear.
    """

    asked_at: datetime
    said_at: datetime
    waiting: Mapping[str, str]
    blind: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
