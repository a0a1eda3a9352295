"""Whether what began now is a problem already known: one problem, one case, also across cameras that see the same place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from citybrain.domain.case import Case, CaseState
from citybrain.domain.episode import EpisodeChange
from citybrain.domain.geometry import Box, Point, metres_between
from pipeline.loop import Absorbed, Undo, Verification
from pipeline.pace import Pace
from pipeline.scene import Grouping

SAME_SPOT = 0.5
"""Boxes of one camera that overlap this much are about one spot."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One camera's episode in a case: where, since when, whether it is still there, and whether it can be seen.

    A sensor's is one too, without a camera. What people report is none: nobody would tell when it is over.
    """

    camera: str
    began_at: datetime
    box: Box | None
    ground: Point | None
    shared_place: str | None
    open: bool = True
    blind: bool = False


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case with what is needed to join, judge and tell it: its sightings by place, and what was done to it.

    `notice` is the version of the case by which the dispatch system is told of it for the first time. `into_locality` is
    where the case lies that this one was made part of.
    """

    case: Case
    sightings: Mapping[str, Sighting]
    dispatch: bool
    done: tuple[str, ...] = ()
    rejected_at: datetime | None = None
    notice: int = 1
    pace: Pace = field(default_factory=Pace)
    undo: Undo | None = None
    into_locality: str | None = None
    absorbed: tuple[Absorbed, ...] = ()
    verification: Verification | None = None

    @property
    def present(self) -> bool:
        return any(sighting.open for sighting in self.sightings.values())


def same_problem(
    record: CaseRecord, change: EpisodeChange, *, location: Point | None, per_object: bool, grouping: Grouping
) -> bool:
    """Whether the episode that began is the problem of this case; `location` is about where, its camera's if need be."""
    if record.case.scene != change.scene:
        return False
    if not record.case.cameras:
        # Only reports tell of it so far: the first camera that sees such a thing near sees that one.
        return metres_from(record, location, per_object=per_object) <= grouping.reach_m
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


def metres_from(record: CaseRecord, location: Point | None, *, per_object: bool) -> float:
    """How far a location lies from the case, as far as a report can tell; infinitely, when nothing says that they are near."""
    known = [each.ground for each in record.sightings.values() if each.ground]
    known += [record.case.location] if record.case.location and not known else []
    if not per_object and (location is None or not known or record.case.locality.startswith("place:")):
        # All that is kept together lies in one cell or at one place: for water on a road that is near enough.
        return 0.0
    if location is None:
        return math.inf
    return min((metres_between(each, location) for each in known), default=math.inf)


def recurred(records: Iterable[CaseRecord], at: datetime, *, within: timedelta) -> str | None:
    """The case that what begins now is a recurrence of: the one filed last that was closed not longer ago than that.

    One that was rejected was no problem; of one that was merged the other case is meant.
    """
    closed = [
        record.case
        for record in records
        if record.case.state is CaseState.CLOSED and at - (record.case.closed_at or at) <= within
    ]
    case = max(closed, key=lambda case: (case.filed_at, case.id), default=None)
    return None if case is None else case.merged_into or case.id


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
