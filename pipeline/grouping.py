"""Whether what began now is a problem already known: one problem, one case, also across cameras that see the same place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from citybrain.domain.case import Case
from citybrain.domain.episode import EpisodeChange
from citybrain.domain.geometry import Box, Point, metres_between
from pipeline.scene import Grouping

SAME_SPOT = 0.5
"""Boxes of one camera that overlap this much are about one spot."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One camera's episode in a case: where, since when, whether it is still there, and whether it can be seen."""

    camera: str
    began_at: datetime
    box: Box | None
    ground: Point | None
    shared_place: str | None
    open: bool = True
    blind: bool = False


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case with what is needed to join, judge and tell it: its sightings by place, and what was done to it."""

    case: Case
    sightings: Mapping[str, Sighting]
    dispatch: bool
    done: tuple[str, ...] = ()
    rejected_at: datetime | None = None

    @property
    def present(self) -> bool:
        return any(sighting.open for sighting in self.sightings.values())


def same_problem(record: CaseRecord, change: EpisodeChange, *, per_object: bool, grouping: Grouping) -> bool:
    """Whether the episode that began is the problem of this case."""
    if record.case.scene != change.scene:
        return False
    return change.place in record.sightings or (
        any(
            _same_place(sighting, change, per_object=per_object, grouping=grouping)
            for sighting in record.sightings.values()
            if sighting.open
        )
        and not (per_object and _sees_it_already(record, change))
    )


def same_spot(record: CaseRecord, change: EpisodeChange, *, per_object: bool) -> bool:
    """Whether the episode is where the case was, seen by the same camera, whatever stands there now."""
    if record.case.scene != change.scene:
        return False
    if change.place in record.sightings:
        return True
    return per_object and any(
        sighting.camera == change.camera
        and sighting.box is not None
        and change.box is not None
        and sighting.box.overlap(change.box) >= SAME_SPOT
        for sighting in record.sightings.values()
    )


def latest(records: Iterable[CaseRecord]) -> CaseRecord | None:
    """The record whose case was filed last."""
    return max(records, key=lambda record: (record.case.filed_at, record.case.id), default=None)


def _sees_it_already(record: CaseRecord, change: EpisodeChange) -> bool:
    """A camera that sees two things at once sees two problems."""
    return any(sighting.camera == change.camera and sighting.open for sighting in record.sightings.values())


def _same_place(sighting: Sighting, change: EpisodeChange, *, per_object: bool, grouping: Grouping) -> bool:
    if sighting.ground is not None and change.ground is not None:
        return metres_between(sighting.ground, change.ground) <= grouping.radius_m
    if sighting.shared_place is None or sighting.shared_place != change.shared_place:
        return False
    if not per_object:
        return True
    apart: timedelta = abs(sighting.began_at - change.began_at)
    return apart <= grouping.same_arrival
